"""datatrove's side of `dedup_end_to_end.py`, run by a Python that has datatrove and spaCy and not datassay.

    python dedup_datatrove_peer.py STAGE INPUT WORK      STAGE: signatures, buckets, clusters, filter

Its four MinHash stages as its example script has them, 14 buckets of 8 hashes, two workers, two tasks a worker where
files are read. INPUT is a folder of Parquet with id, text; `filter` writes what stays as Parquet to WORK/kept.
"""

from __future__ import annotations

import sys
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter

N_WORKERS = 2
CONFIG = MinhashConfig(num_buckets=14, hashes_per_bucket=8)
STAGES = ("signatures", "buckets", "clusters", "filter")


def steps(stage: str, documents: str, work: Path) -> list[PipelineStep]:
    signatures, buckets, removed = (str(work / name) for name in ("signatures", "buckets", "removed"))
    reader = ParquetReader(documents, glob_pattern="documents-*.parquet", doc_progress=False)
    if stage == "signatures":
        return [reader, MinhashDedupSignature(output_folder=signatures, config=CONFIG)]
    if stage == "buckets":
        return [MinhashDedupBuckets(input_folder=signatures, output_folder=buckets, config=CONFIG)]
    if stage == "clusters":
        return [MinhashDedupCluster(input_folder=buckets, output_folder=removed, config=CONFIG)]
    return [reader, MinhashDedupFilter(input_folder=removed), ParquetWriter(str(work / "kept"))]


def main() -> None:
    """See the module."""
    stage, documents, work = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    n_files = len(list(Path(documents).glob("documents-*.parquet")))
    n_tasks = {"signatures": n_files, "buckets": CONFIG.num_buckets, "clusters": 1, "filter": n_files}[stage]
    LocalPipelineExecutor(
        steps(stage, documents, work),
        tasks=n_tasks,
        workers=N_WORKERS,
        logging_dir=str(work / "logs" / stage),
        start_method="fork",  # whose CPU time is counted; it also loads everything once
    ).run()


if __name__ == "__main__":
    main()

"""datatrove's side of `pipeline_vs_datatrove.py`, run by a Python that has datatrove and not datassay.

    python pipeline_datatrove_peer.py INPUTS WORK TOKENIZER_JSON LANGUAGE_MODEL

The steps of datatrove's examples/fineweb.py with its settings: WARC reader, trafilatura for precision, English,
Gopher's filters, C4's without the rule about the ends of lines, FineWeb's, JSON lines; then its four MinHash stages, 14
buckets of 8 hashes; then its tokenizer on what stays, GPT-2's. Left out is what the other side's recipe leaves out too,
the list of URLs and personal data; and what would cost datatrove time: the files of excluded documents, shuffling and
merging tokens. Two workers; two tasks a stage, but 14 for the buckets and one for the clusters.
WORK/found.json says what stayed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import trafilatura
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
)
from datatrove.pipeline.readers import JsonlReader, WarcReader
from datatrove.pipeline.tokens import DocumentTokenizer
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils import lid

assert trafilatura, "loaded before the fork: each child of datatrove's extractor has one second to be ready"
N_WORKERS = 2
CONFIG = MinhashConfig(num_buckets=14, hashes_per_bucket=8)


def stages(inputs: str, work: Path, tokenizer: str) -> dict[str, tuple[int, list[PipelineStep]]]:
    """Tasks and steps of each stage, in order."""
    filtered, signatures, buckets, removed = (str(work / n) for n in ("filtered", "signatures", "buckets", "removed"))
    return {
        "filter": (
            N_WORKERS,
            [
                WarcReader(inputs, glob_pattern="*.warc.gz"),
                Trafilatura(favour_precision=True),
                LanguageFilter("en"),
                GopherRepetitionFilter(),
                GopherQualityFilter(),
                C4QualityFilter(filter_no_terminal_punct=False),
                FineWebQualityFilter(),
                JsonlWriter(filtered),
            ],
        ),
        "signatures": (N_WORKERS, [JsonlReader(filtered), MinhashDedupSignature(signatures, config=CONFIG)]),
        "buckets": (CONFIG.num_buckets, [MinhashDedupBuckets(signatures, buckets, config=CONFIG)]),
        "clusters": (1, [MinhashDedupCluster(buckets, removed, config=CONFIG)]),
        "tokens": (
            N_WORKERS,
            [
                JsonlReader(filtered),
                MinhashDedupFilter(removed),
                JsonlWriter(str(work / "kept")),
                DocumentTokenizer(str(work / "tokens"), tokenizer, eos_token="<|endoftext|>", shuffle_documents=False),
            ],
        ),
    }


def stats_of(logs: Path, step: str) -> dict[str, int]:
    """The totals of a step of a stage, by the end of its name."""
    found = {entry["name"]: entry["stats"] for entry in json.loads((logs / "stats.json").read_text())}
    (stats,) = (stats for name, stats in found.items() if name.endswith(step))
    return {name: value["total"] if isinstance(value, dict) else value for name, value in stats.items()}


def main(arguments: Sequence[str]) -> None:
    """See the module."""
    inputs, work, tokenizer, model = arguments[0], Path(arguments[1]), arguments[2], arguments[3]
    lid.cached_asset_path_or_download = lambda *_, **__: model
    for name, (n_tasks, steps) in stages(inputs, work, tokenizer).items():
        LocalPipelineExecutor(
            steps,
            tasks=n_tasks,
            workers=N_WORKERS,
            logging_dir=str(work / "logs" / name),
            start_method="fork",  # whose CPU time is counted; it also loads everything once
        ).run()
    logs = work / "logs"
    extractor = stats_of(logs / "filter", "Trafilatura")
    found = {
        "n_pages": extractor["total"],
        "n_timeouts": extractor.get("timeout", 0),
        "n_extracted": extractor["forwarded"],
        "n_filtered": stats_of(logs / "filter", "Jsonl")["total"],
        "n_kept": stats_of(logs / "tokens", "MinHash stage 4")["forwarded"],
        "n_tokens": stats_of(logs / "tokens", "Writer")["tokens"],
    }
    (work / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])

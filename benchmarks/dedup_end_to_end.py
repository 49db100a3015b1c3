"""Files of texts in, ids of what stays out: whole commands beside datasketch and datatrove.

    python benchmarks/dedup_end_to_end.py FOLDER --datasketch --datatrove-python PYTHON

FOLDER is a corpus by benchmarks/dedup_corpus.py. PYTHON is of an environment with
`pip install "datatrove[io,processing]==0.10.1" "xxhash<4" spacy`. Without either, our side alone.

All look for near duplicates by 14 bands of 8 rows over word 5-grams. `datassay dedup` checks the true similarity of
what the bands find (from .75 on), the peers don't. Against datasketch's index in memory it runs in one process, against
datatrove's four stages, which read and write Parquet, in two. CPU time is of the command and all its processes,
with and without what the same command takes for ten documents: start, imports, compiled code read from disk. Our
command runs five times, and its median counts. Wall time says little on a machine that others use.

Quality by the planted pairs: a pair is found where not both of its documents stay. In "alone" only clusters of two
documents count, where nothing is found by way of a third. Dropped documents without a planted partner are wrong in any
case; those whose partners are all less similar than .75 are so by the limit.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from dedup_corpus import WHOLE_CLUSTER, similarity_of, texts_by_id, word_shingles
from dedup_memory import Usage, measure

from datassay.dedup.settings import PRESETS, s_curve

PRESET = "fineweb"
COMMAND = (sys.executable, "-c", "from datassay.cli.main import main; main()", "dedup")
"""`datassay dedup` of this interpreter, whatever the path."""
MIN_JACCARD = 0.75
LIMITS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.0)
N_OURS = 5
"""How often our command runs, to take the median: it is over too soon for a single look. Peers run once."""
N_START = 10
"""Documents of the run that shows what starting takes."""
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Run:
    """What one way of removing duplicates took and left."""

    name: str
    usage: Usage
    start: Usage
    kept: Path  # Parquet with id

    @property
    def cpu(self) -> float:
        """Without the start."""
        return self.usage.cpu - self.start.cpu


def datassay(name: str, corpus: Path, start: Path, folder: Path, *, n_workers: int) -> Run:
    def command(documents: Path, out: Path) -> list[str]:
        return [
            *COMMAND,
            *map(str, shards(documents)),
            "-o",
            str(out),
            "--minhash",
            PRESET,
            "--workers",
            str(n_workers),
        ]

    measure(command(start, folder / "warm"), output=subprocess.DEVNULL)  # compiles, once per installation
    starts, wholes = [], []
    for i in range(N_OURS):
        starts.append(measure(command(start, folder / f"start-{i}"), output=subprocess.DEVNULL))
        wholes.append(measure(command(corpus, folder / f"all-{i}"), output=subprocess.DEVNULL))
    print(f"  {name}: {', '.join(f'{usage.cpu:.1f}' for usage in wholes)} s of CPU")
    begin, usage = (sorted(times, key=lambda usage: usage.cpu)[N_OURS // 2] for times in (starts, wholes))
    ids = pq.read_table(folder / "all-0" / "kept.parquet", columns=["source_id"]).rename_columns(["id"])
    pq.write_table(ids, folder / "kept.parquet")
    return Run(name, usage, begin, folder / "kept.parquet")


def datasketch(corpus: Path, start: Path, folder: Path) -> Run:
    def command(documents: Path, out: str) -> list[str]:
        paths = map(str, shards(documents))
        return [sys.executable, str(HERE / "dedup_datasketch_peer.py"), str(folder / out), *paths]

    begin, usage = measure(command(start, "start.txt")), measure(command(corpus, "kept.txt"))
    kept = pa.table({"id": (folder / "kept.txt").read_text().split()})
    pq.write_table(kept, folder / "kept.parquet")
    return Run("datasketch MinHashLSH", usage, begin, folder / "kept.parquet")


def datatrove(python: str, corpus: Path, start: Path, folder: Path) -> Run:
    def run(documents: Path, work: Path) -> Usage:
        total = Usage(0, 0, 0, 0)
        work.mkdir(parents=True)
        for stage in ("signatures", "buckets", "clusters", "filter"):
            command = [python, str(HERE / "dedup_datatrove_peer.py"), stage, str(documents), str(work)]
            with (work / f"{stage}.log").open("w") as log:
                usage = measure(command, output=log.fileno())
            print(f"  datatrove, {stage}: {usage.wall:.1f} s, {usage.cpu:.1f} s of CPU")
            total = Usage(
                total.wall + usage.wall,
                total.cpu + usage.cpu,
                max(total.peak_pss, usage.peak_pss),
                max(total.most_processes, usage.most_processes),
            )
        return total

    begin, usage = run(start, folder / "start"), run(corpus, folder / "all")
    ids = [pq.read_table(path, columns=["id"]) for path in sorted((folder / "all" / "kept").glob("*.parquet"))]
    pq.write_table(pa.concat_tables(ids), folder / "kept.parquet")
    return Run("datatrove, 4 stages, 2 workers", usage, begin, folder / "kept.parquet")


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("documents-*.parquet"))


def write_start(corpus: Path, folder: Path) -> Path:
    """A corpus of a few documents, in as many shards as the corpus has."""
    folder.mkdir()
    for path in shards(corpus):
        first = next(pq.ParquetFile(path).iter_batches(N_START))
        pq.write_table(pa.Table.from_batches([first]), folder / path.name)
    return folder


def show_times(runs: Sequence[Run], n_documents: int) -> None:
    """The first run is the one that the others are compared with."""
    ours = runs[0]
    print(f"{n_documents:,} documents")
    print(f"{'':32} {'CPU s':>8} {'without start':>14} {'documents/s':>12} {'wall s':>8} {'peak MB':>8}")
    for run in runs:
        print(
            f"{run.name:32} {run.usage.cpu:8.1f} {run.cpu:14.1f} {n_documents / run.cpu:12,.0f} "
            f"{run.usage.wall:8.1f} {run.usage.peak_pss / 1e6:8,.0f}"
        )
    for run in runs[1:]:
        print(
            f"{ours.name} takes {run.usage.cpu / ours.usage.cpu:.1f} times less CPU than {run.name}, "
            f"{run.cpu / ours.cpu:.1f} times without starts; wall {run.usage.wall / ours.usage.wall:.1f} times"
        )


def show_quality(runs: Sequence[Run], corpus: Path) -> None:
    truth = pq.read_table(corpus / "truth.parquet")
    jaccard, same = truth["jaccard"].to_numpy(), truth["same_text"].to_numpy(zero_copy_only=False)
    per_cluster = pc.value_counts(truth["cluster"])
    small = per_cluster.field("values").filter(pc.equal(per_cluster.field("counts"), 1))
    is_alone = pc.is_in(truth["cluster"], small).to_numpy(zero_copy_only=False)
    bands, rows = PRESETS[PRESET].bands, PRESETS[PRESET].rows
    ids = pa.concat_tables([pq.read_table(path, columns=["id"]) for path in shards(corpus)])["id"]
    for run in runs:
        kept = pq.read_table(run.kept, columns=["id"])["id"].cast(pa.string())
        stay = [pc.is_in(truth[end], kept).to_numpy(zero_copy_only=False) for end in ("a", "b")]
        found = ~(stay[0] & stay[1])
        print(f"\n{run.name}: {len(kept):,} of {len(ids):,} stay")
        print(f"  {'Jaccard':>10} {'pairs':>8} {'found':>7} {'pairs alone':>12} {'found':>7} {'S-curve':>8}")
        for low, high in [*pairwise(LIMITS), (1.0, 1.1)]:
            here = (low <= jaccard) & (jaccard < high)
            name = f"{low:.2f}–{high:.2f}" if low < 1 else "same set"
            curve = np.mean([s_curve(bands, rows, j) for j in jaccard[here & is_alone]]) if here.any() else np.nan
            print(
                f"  {name:>10} {here.sum():8,} {found[here].mean():7.3f} {(here & is_alone).sum():12,} "
                f"{found[here & is_alone].mean():7.3f} {curve:8.3f}"
            )
        dropped = set(ids.filter(pc.invert(pc.is_in(ids, kept))).to_pylist())
        right = dropped & similar_enough(dropped, corpus, truth)
        planted = dropped & {*truth["a"].to_pylist(), *truth["b"].to_pylist()}
        print(
            f"  of {len(dropped):,} dropped documents {len(planted):,} have a planted partner, {len(right):,} one of "
            f"similarity {MIN_JACCARD} or more: precision {len(right) / len(dropped):.4f}"
        )
        print(f"  copies with the same text that both stay: {(same & ~found).sum()}")


def similar_enough(dropped: set[str], corpus: Path, truth: pa.Table) -> set[str]:
    """The documents with a partner of MIN_JACCARD or more: among the listed pairs, else, if dropped, in the cluster."""
    close = truth.filter(pc.greater_equal(truth["jaccard"], MIN_JACCARD))
    found = {*close["a"].to_pylist(), *close["b"].to_pylist()}
    members: dict[str, set[str]] = {}
    for a, b, cluster in zip(*(truth[name].to_pylist() for name in ("a", "b", "cluster")), strict=True):
        members.setdefault(cluster, set()).update((a, b))
    large = [ids for ids in members.values() if len(ids) > WHOLE_CLUSTER and ids & dropped - found]
    texts = texts_by_id(corpus, set().union(*large))
    for ids in large:
        sets = {id: word_shingles(texts[id]) for id in ids}
        for id in ids & dropped - found:
            if any(similarity_of(sets[id], sets[other]) >= MIN_JACCARD for other in ids - {id}):
                found.add(id)
    return found


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path, help="a folder by dedup_corpus.py")
    parser.add_argument("--datasketch", action="store_true")
    parser.add_argument("--datatrove-python", help="an interpreter that has datatrove and spaCy")
    arguments = parser.parse_args()
    corpus = arguments.corpus.resolve()
    n_documents = sum(pq.read_metadata(path).num_rows for path in shards(corpus))
    with TemporaryDirectory(dir=corpus.parent) as temp:
        start = write_start(corpus, Path(temp) / "start")

        def folder(name: str) -> Path:
            (Path(temp) / name).mkdir()
            return Path(temp) / name

        if arguments.datasketch or not arguments.datatrove_python:
            one = datassay("datassay, 1 process", corpus, start, folder("one"), n_workers=0)
            runs = [one, *([datasketch(corpus, start, folder("datasketch"))] if arguments.datasketch else [])]
            show_times(runs, n_documents)
            show_quality(runs, corpus)
        if arguments.datatrove_python:
            two = datassay("datassay, 2 workers", corpus, start, folder("two"), n_workers=2)
            runs = [two, datatrove(arguments.datatrove_python, corpus, start, folder("datatrove"))]
            show_times(runs, n_documents)
            show_quality(runs, corpus)


if __name__ == "__main__":
    main()

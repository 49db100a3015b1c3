"""Repeated text in a raw corpus: what is cut, how fast, in how much memory, and whether brute force finds the same.

    python benchmarks/repeats.py [FOLDER]      FOLDER: data/ of the shared data (default: $DATASSAY_SHARED/data)

Every document counts as kept. For each stage: CPU seconds, documents per CPU second, the memory that it takes at its
peak above what the process had before (Linux), and what it counts. Then, of lines, paragraphs and substrings alone and
of all together, the share of characters that are cut. Last, on the first N_BRUTE documents, whether the words that are
left are those that a dictionary of all windows of 50 words leaves (with exact cuts: `fragment = 0`).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datassay.corpus.edits import Editor
from datassay.corpus.engine import InlineEngine, Inputs, Task, run_task
from datassay.corpus.stage import StageOutput, run_stage
from datassay.corpus.store import Outputs
from datassay.corpus.unicode import TABLES, decode, text_buffers
from datassay.dedup.repeats_plan import plan_stage, stage_names
from datassay.dedup.repeats_settings import RepeatedLines, RepeatedParagraphs, RepeatedSubstrings, RepeatsSettings
from datassay.dedup.substrings import read_words

N_BRUTE = 3000
TEXTS = pa.schema([("id", pa.string()), ("text", pa.large_string())])
DECIDED = pa.schema([("keep", pa.bool_())])
ROLES = pa.schema([("role", pa.string())])
ALL = RepeatsSettings(lines=RepeatedLines(), paragraphs=RepeatedParagraphs(), substrings=RepeatedSubstrings())


def copy_texts(inputs: Inputs, settings: int | None, out: Outputs) -> None:
    """A shard of `clean` that holds what is read here, or its first rows."""
    table = pq.read_table(inputs.one("raw"), columns=["id", "text"]).cast(TEXTS).slice(0, settings)
    with out.parquet("clean", TEXTS) as shard:
        for batch in table.to_batches(max_chunksize=1024):
            shard.write(batch)


def keep_all(inputs: Inputs, settings: None, out: Outputs) -> None:  # noqa: ARG001
    """Decisions and roles by which every document is kept for training."""
    for i, path in enumerate(inputs.all("clean")):
        n = pq.read_metadata(path).num_rows
        with out.parquet("decisions", DECIDED, partition=i) as shard:
            shard.write(pa.record_batch([np.ones(n, bool)], schema=DECIDED))
        with out.parquet("split", ROLES, partition=i) as shard:
            shard.write(pa.record_batch([pa.repeat("train", n)], schema=ROLES))


def prepared(shards: Sequence[Path], folder: Path, n_rows: int | None = None) -> dict[str, StageOutput]:
    tasks = [
        Task(copy_texts, Inputs({"raw": (path,)}), n_rows, folder / "clean", i, "") for i, path in enumerate(shards)
    ]
    clean = StageOutput("clean", folder / "clean", tuple(map(run_task, tasks)))
    deciding = Task(keep_all, Inputs({"clean": tuple(clean.paths("clean"))}), None, folder / "decide", 0, "")
    decided = StageOutput("decide", folder / "decide", (run_task(deciding),))
    return {"clean": clean, "decide": decided, "split": decided}


def run_stages(finished: dict[str, StageOutput], settings: RepeatsSettings, folder: Path, *, show: bool) -> None:
    for name in stage_names(settings):
        _forget_peak()
        before, start = _memory("VmRSS"), time.process_time()
        finished[name] = run_stage(plan_stage(name, settings, finished), finished, folder, InlineEngine())
        seconds = time.process_time() - start
        peak = _memory("VmHWM") - before
        if show:
            n_documents = sum(pq.read_metadata(path).num_rows for path in finished["clean"].paths("clean"))
            print(
                f"  {name:<17} {seconds:6.2f} s {n_documents / seconds:>9,.0f} documents/s, {peak:,.0f} MiB more, "
                f"{finished[name].n_bytes('units') + finished[name].n_bytes('anchors'):,} bytes shuffled, "
                f"{dict(finished[name].counts)}"
            )


def _forget_peak() -> None:
    """From here on, VmHWM is the peak of what follows (Linux)."""
    pa.default_memory_pool().release_unused()
    Path("/proc/self/clear_refs").write_text("5")


def _memory(name: str) -> float:
    """A figure of /proc/self/status in MiB."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def after(finished: dict[str, StageOutput]) -> Iterable[tuple[pa.Array, pa.Array]]:
    """The texts of each shard before and after the cuts."""
    for clean, edits in zip(finished["clean"].paths("clean"), finished["cut_repeats"].paths("edits"), strict=True):
        editor = Editor.of_files([edits])
        for batch in pq.ParquetFile(clean).iter_batches():
            yield batch["text"], editor.apply(batch)[0]["text"]


def n_chars(texts: pa.Array) -> int:
    return int(pa.compute.sum(pa.compute.utf8_length(texts)).as_py() or 0)


def words_of(texts: pa.Array) -> list[list[int]]:
    """The hashes of each text's words."""
    offsets, data = text_buffers(texts)
    found = []
    for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        codes, flags = np.empty(end - start, np.int32), np.empty(end - start, np.uint16)
        words, places = np.empty(end - start, np.uint64), np.empty((2, end - start), np.int32)
        n = decode(data, start, end, TABLES, codes, flags)
        found.append(words[: read_words(codes, flags, n, TABLES, words, *places)].tolist())
    return found


def brute_force(texts: Sequence[list[int]], n: int) -> list[list[int]]:
    """The words that are left of each text: all windows of n words in a dictionary, the first of each stays."""
    first: dict[tuple[int, ...], tuple[int, int]] = {}
    left = []
    for document, words in enumerate(texts):
        gone = np.zeros(len(words), bool)
        for i in range(len(words) - n + 1):
            other, place = first.setdefault(tuple(words[i : i + n]), (document, i))
            if (other, place) != (document, i):
                gone[max(i, place + n if other == document else 0) : i + n] = True
        left.append([word for word, is_gone in zip(words, gone.tolist(), strict=True) if not is_gone])
    return left


def main() -> None:
    default = Path(os.environ.get("DATASSAY_SHARED", "shared")) / "data"
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    shards = sorted((data / "corpus").glob("raw-*.parquet"))
    with TemporaryDirectory() as temp:
        finished = prepared(shards[:1], Path(temp) / "warm", 100)
        run_stages(finished, ALL, Path(temp) / "warm", show=False)  # compiles
        finished = prepared(shards, Path(temp))
        before = sum(n_chars(texts) for texts in _texts(finished))
        print(f"{before:,} characters")
        run_stages(finished, ALL, Path(temp), show=True)
        alone = {name: getattr(ALL, name) for name in ("lines", "paragraphs", "substrings")}
        for name, settings in {**{k: RepeatsSettings(**{k: v}) for k, v in alone.items()}, "all": ALL}.items():
            run_stages(finished, settings, Path(temp), show=False)
            left = sum(n_chars(text) for _, text in after(finished))
            counts = finished["cut_repeats"].counts
            print(
                f"{name}: {1 - left / before:.1%} cut, {counts['cut_documents']:,} documents, {counts['rests']:,} rests"
            )
        finished = prepared(shards, Path(temp) / "brute", N_BRUTE // len(shards))
        exact = RepeatsSettings(substrings=RepeatedSubstrings(fragment=0), min_chars_left=0)
        run_stages(finished, exact, Path(temp) / "brute", show=False)
        pairs = list(after(finished))
        expected = brute_force([words for texts, _ in pairs for words in words_of(texts)], 50)
        found = [words for _, texts in pairs for words in words_of(texts)]
        n_same = sum(a == b for a, b in zip(expected, found, strict=True))
        n_gone = sum(map(len, (w for texts, _ in pairs for w in words_of(texts)))) - sum(map(len, expected))
        print(f"brute force on {len(found):,} documents: {n_gone:,} words go; the same is left of {n_same:,} documents")


def _texts(finished: dict[str, StageOutput]) -> Iterable[pa.Array]:
    for path in finished["clean"].paths("clean"):
        for batch in pq.ParquetFile(path).iter_batches(columns=["text"]):
            yield batch["text"]


if __name__ == "__main__":
    main()

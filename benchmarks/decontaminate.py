"""Decontamination of the shared corpus against its validation texts: what is found, and how fast.

Needs the shared data (DATASSAY_SHARED). Looks for every domain of `lm/val.parquet`, with each preset. Prints documents
found and missed of those that hold the domain `leak_probe` on purpose, a table by domain, with `--list` every other
overlap, so that it can be read, and megabytes a second of the compiled search beside a plain loop over Python's words.
"""

from __future__ import annotations

import os
import string
import sys
import time
import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datassay.corpus.engine import Inputs, Task, TaskFunction, run_task
from datassay.filters import decontaminate, question_search
from datassay.filters import decontaminate_settings as settings_of
from datassay.filters.question_ngrams import find_ngrams, new_needles

DELETE = {code: None for code in range(sys.maxunicode) if unicodedata.category(chr(code))[0] == "P"}
DELETE |= {ord(character): None for character in string.punctuation}
N_PLAIN = 1500
"""Documents that plain Python searches."""


def main() -> None:
    """Search the corpus with each preset, then measure."""
    data = Path(os.environ["DATASSAY_SHARED"]) / "data"
    with TemporaryDirectory() as temp:
        questions = write_questions(data / "lm" / "val.parquet", Path(temp))
        for preset in settings_of.PRESETS:
            settings = settings_of.DecontaminateSettings.model_validate({"preset": preset, "questions": questions})
            folder = run(settings, data / "corpus", Path(temp) / preset)
            show(preset, folder, data / "corpus" / "truth.parquet")
            check(folder, questions)
        index = Path(temp) / "gpt3" / "index_questions" / "question_ngrams" / "part-00000.parquet"
        speed(index, data / "corpus" / "raw-00000.parquet", data / "lm" / "val.parquet")


def write_questions(validation: Path, folder: Path) -> dict[str, str]:
    """A file for each domain."""
    table = pq.read_table(validation, columns=["domain", "text"])
    paths = {}
    for domain in sorted(set(table["domain"].to_pylist())):
        paths[domain] = str(folder / f"{domain}.parquet")
        pq.write_table(table.filter(pc.equal(table["domain"], domain)), paths[domain])
    return paths


def run(settings: settings_of.DecontaminateSettings, corpus: Path, folder: Path) -> Path:
    """All stages over the shards of the corpus; the folder that they lie in."""
    shards = sorted(corpus.glob("raw-*.parquet"))

    def stage(function: TaskFunction, values: Any, index: int = 0, **files: tuple[Path, ...]) -> None:
        name = function.__name__  # type: ignore[attr-defined]
        run_task(Task(function, Inputs(files), values, folder / name, index, "key"))

    def made(name: str, dataset: str, index: int = 0) -> tuple[Path]:
        return (folder / name / dataset / f"part-{index:05d}.parquet",)

    stage(question_search.index_questions, settings_of.index_settings(settings))
    ngrams, questions = (made("index_questions", name) for name in ("question_ngrams", "questions"))
    for i, shard in enumerate(shards):
        stage(
            question_search.count_matches,
            settings_of.match_settings(settings),
            i,
            clean=(shard,),
            question_ngrams=ngrams,
        )
    documents = tuple(sorted((folder / "count_matches" / "ngram_documents").iterdir()))
    stage(question_search.frequent_ngrams, settings_of.frequent_settings(settings), ngram_documents=documents)
    index = {
        "question_ngrams": ngrams,
        "questions": questions,
        "frequent_ngrams": made("frequent_ngrams", "frequent_ngrams"),
    }
    for i, shard in enumerate(shards):
        matches = made("count_matches", "matches", i)
        stage(
            decontaminate.decontaminate, settings_of.cut_settings(settings), i, clean=(shard,), matches=matches, **index
        )
    overlaps = tuple(sorted((folder / "decontaminate" / "contamination").iterdir()))
    stage(decontaminate.report_questions, settings_of.ReportSettings(), contamination=overlaps, **index)
    return folder


def show(preset: str, folder: Path, truth: Path) -> None:
    """What was found, and what of it was planted."""
    labels = pq.read_table(truth, columns=["id", "label"])
    planted = set(labels.filter(pc.equal(labels["label"], "leak"))["id"].to_pylist())
    overlaps = pq.read_table(folder / "decontaminate" / "contamination").to_pylist()
    signals = pq.read_table(folder / "decontaminate" / "decontamination")
    found = {row["id"] for row in overlaps if row["file"] == "leak_probe"}
    hit = signals.filter(pc.greater(signals["contaminated_ngram_count"], 0))
    n_chars = pc.sum(signals["decontaminated_chars"]).as_py()
    print(
        f"\n{preset}: {len(found & planted)} of {len(planted)} planted documents found, {len(found - planted)} others"
    )
    print(f"  {hit.num_rows} of {signals.num_rows} documents hold something; {n_chars} characters left after cutting")
    print("  file         questions matchable  found documents   n-grams frequent")
    for row in pq.read_table(folder / "report_questions" / "question_files").to_pylist():
        print("  {:12} {:9} {:9} {:6} {:9} {:9} {:8}".format(*row.values()))
    if "--list" in sys.argv:
        for row in overlaps:
            if not (row["file"] == "leak_probe" and row["id"] in planted):
                print(f"  {row['file']}#{row['row']} {row['id']} {row['end'] - row['start']}: {row['excerpt'][:100]!r}")


def check(folder: Path, questions: dict[str, str]) -> None:
    """Whether the words of each overlap's excerpt are in its question, by Python's means."""
    texts = {name: pq.read_table(path)["text"].to_pylist() for name, path in questions.items()}
    words = {name: [" ".join(plain_words(text)) for text in some] for name, some in texts.items()}
    overlaps = pq.read_table(folder / "decontaminate" / "contamination").to_pylist()
    n_true = 0
    for row in overlaps:
        held = plain_words(row["excerpt"])
        if len(row["excerpt"]) < row["end"] - row["start"]:
            held = held[:-1]  # the excerpt may end within a word
        n_true += " ".join(held) in words[row["file"]][row["row"]]
    print(f"  {len(overlaps)} overlaps, {n_true} of them word for word in their question")


def plain_words(text: str) -> list[str]:
    """Words in lower case without punctuation, split at white space."""
    return text.lower().translate(DELETE).split()


def speed(index: Path, shard: Path, validation: Path) -> None:
    """Megabytes of text a second, compiled and plain, on one core."""
    columns = (pq.read_table(index)[name].to_numpy() for name in ("key", "prefix", "n_words"))
    needles = new_needles(*(np.ascontiguousarray(column) for column in columns))
    texts = pq.read_table(shard)["text"].combine_chunks().cast(pa.large_string())
    find_ngrams(texts.slice(0, 1), needles, prefix_words=8)
    n_bytes, seconds = pc.sum(pc.binary_length(texts)).as_py(), []
    for _ in range(5):
        begin = time.perf_counter()
        found = find_ngrams(texts, needles, prefix_words=8)
        seconds.append(time.perf_counter() - begin)
    best = min(seconds)
    print(
        f"\ncompiled: {n_bytes / best / 1e6:.0f} MB/s ({n_bytes / 1e6:.1f} MB, {len(found.texts)} matches, best of 5)"
    )
    questions = [plain_words(text) for text in pq.read_table(validation)["text"].to_pylist()]
    wanted = {" ".join(words[i : i + 13]) for words in questions for i in range(len(words) - 12)}
    plain = texts.slice(0, N_PLAIN)
    n_bytes, n_found, begin = pc.sum(pc.binary_length(plain)).as_py(), 0, time.perf_counter()
    for text in plain.to_pylist():
        words = plain_words(text)
        n_found += sum(" ".join(words[i : i + 13]) in wanted for i in range(len(words) - 12))
    took = time.perf_counter() - begin
    ours = int((found.texts < N_PLAIN).sum())
    print(
        f"plain Python: {n_bytes / took / 1e6:.1f} MB/s; in its {N_PLAIN} documents {n_found} matches, compiled {ours}"
    )


if __name__ == "__main__":
    main()

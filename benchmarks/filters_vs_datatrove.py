"""Decisions and speed of the preset `fineweb` beside datatrove's filters, on the same documents in one run.

    python benchmarks/filters_vs_datatrove.py --peer-python /path/to/peer/bin/python [FOLDER]

FOLDER: corpus/ of the shared data. The peer's environment needs `pip install datatrove spacy regex "xxhash<4"`;
no model is downloaded, as datatrove cuts English with spaCy's rules alone. Documents are the first of the corpus in
English, then of any language, then of pages, cleaned as the pipeline here cleans them before it measures.

Compared are the chain of FineWeb's script, every filter and every rule alone; and the speed of that chain, in CPU
seconds of one thread on the same documents, with the same filters here, all signals and all rules:

- `own definitions`: the signals of `text_signals`, presets gopher-quality, gopher-repetition, c4-paper, fineweb-paper;
- `its definitions`: the signals of `filters.datatrove`, preset fineweb, which decides as datatrove does;
- `same words`: datatrove with the words of `corpus.words` by one expression, and sentences by another, in place of
  spaCy's, beside our own definitions, whose words are the same: what spaCy takes is no part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datassay.corpus.clean import clean_text
from datassay.filters import datatrove, text_signals
from datassay.filters.c4 import C4_CODE, C4_CODE_ANY_END, C4_PAPER
from datassay.filters.fineweb import FINEWEB, FINEWEB_CODE, FINEWEB_CODE_WHOLE, FINEWEB_PAPER
from datassay.filters.gopher import GOPHER, GOPHER_QUALITY_CODE, GOPHER_REPETITION_CODE
from datassay.filters.rules import Rule

FILTERS: dict[str, tuple[Rule, ...]] = {
    "repetition": GOPHER_REPETITION_CODE,
    "quality": GOPHER_QUALITY_CODE,
    "c4_any_end": C4_CODE_ANY_END,
    "fineweb_quality": FINEWEB_CODE_WHOLE,
    "c4": C4_CODE,
}
"""The rules here that stand for each of datatrove's filters, on the text as it came."""
SAME_RULE = {"hash_ratio": "symbol_ratio", "ellipsis_ratio": "symbol_ratio"}
"""Rules here that are one of datatrove's only together."""
OWN = (*GOPHER, *C4_PAPER, *FINEWEB_PAPER)
"""The same four filters by our own definitions."""
SPEED_ROUNDS = 3
"""Of which the fastest counts, here; datatrove, a thousand times as slow and so less shaken, runs once."""
Measure = Callable[[pa.StringArray, pa.LargeStringArray], pa.RecordBatch]
OF = {"en": "English", "any": "any language", "web": "pages with their menus and scripts left in"}


def documents(folder: Path, *, n: int, of: str) -> pa.Table:
    """The first n documents that are not blank, see OF, with id and cleaned text."""
    corpus = pa.concat_tables(pq.read_table(path) for path in sorted(folder.glob("raw-*.parquet")))
    truth = pq.read_table(folder / "truth.parquet", columns=["id", "lang", "label"])
    if of == "en":
        corpus = corpus.filter(pc.is_in(corpus["id"], truth.filter(pc.equal(truth["lang"], "en"))["id"]))
    if of == "web":
        corpus = corpus.filter(pc.is_in(corpus["id"], truth.filter(pc.starts_with(truth["label"], "web_"))["id"]))
    corpus = corpus.filter(pc.match_substring_regex(corpus["text"], r"\w")).slice(0, n)
    texts = [clean_text(text)[0] for text in corpus["text"].to_pylist()]
    return pa.table({"id": corpus["id"].cast(pa.string()), "text": pa.array(texts, pa.large_string())})


def conditions() -> dict[str, str]:
    """SQL that holds where a document is dropped, by the names that the peer gives: rules, filters, chain."""
    parts: dict[str, list[str]] = {}
    for filter_name, rules in FILTERS.items():
        for rule in rules:
            if rule.name != "empty":
                key = f"{filter_name}: {SAME_RULE.get(rule.name, rule.name)}"
                parts.setdefault(key, []).append(is_dropped_by(rule))
        parts[filter_name] = [is_dropped_by(rule) for rule in rules]
    own = [is_dropped_by(rule) for rule in FINEWEB_CODE]
    parts["fineweb_quality after c4_any_end"] = parts["c4_any_end"] + own
    parts["chain"] = [is_dropped_by(rule) for rule in FINEWEB]
    return {name: " OR ".join(dropped) for name, dropped in parts.items()}


def is_dropped_by(rule: Rule) -> str:
    """SQL that holds where the rule drops a document."""
    return f"(NOT coalesce({rule.keep}, false))"


def dropped_here(table: pa.Table, dropped: dict[str, str], signals: Measure) -> pa.Table:
    """Whether each document is dropped, by the names of the conditions over these signals."""
    batches = table.to_batches(max_chunksize=datatrove.BATCH_ROWS)
    rows = [signals(batch["id"], batch["text"]) for batch in batches]
    columns = ", ".join(f'{condition} AS "{name}"' for name, condition in dropped.items())
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.register("signals", pa.Table.from_batches(rows))
        return connection.sql(f"SELECT {columns} FROM signals").to_arrow_table()


def seconds_here(table: pa.Table, rules: tuple[Rule, ...], signals: Measure) -> float:
    """CPU seconds of one thread for all signals and all these rules."""
    dropped = {f"{i} {rule.name}": is_dropped_by(rule) for i, rule in enumerate(rules)}
    dropped_here(table.slice(0, 1), dropped, signals)  # compiles
    taken = []
    for _ in range(SPEED_ROUNDS):
        begin = time.process_time()
        dropped_here(table, dropped, signals)
        taken.append(time.process_time() - begin)
    return min(taken)


def ask_peer(python: str, table: pa.Table, what: str) -> list[dict[str, Any]]:
    """What the peer answers about the documents, see there."""
    lines = "".join(json.dumps(row) + "\n" for row in table.to_pylist())
    command = [python, str(Path(__file__).with_name("datatrove_peer.py")), what]
    run = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def agreement(here: list[bool], there: list[bool]) -> float:
    """Share of documents that are decided alike."""
    return sum(a == b for a, b in zip(here, there, strict=True)) / len(here)


def print_agreement(table: pa.Table, what: str, python: str) -> None:
    """A line for each filter and rule, with the first documents that are decided differently."""
    print(f"\n{table.num_rows} documents, {what}, decided here and by datatrove")
    rows = ask_peer(python, table, "verdicts")
    ids = table["id"].to_pylist()
    assert [row["id"] for row in rows] == ids
    here = dropped_here(table, conditions(), datatrove.signals).to_pydict()
    print(f"{'dropped by':38} {'alike':>8} {'here':>6} {'peer':>6} {'only here':>9} {'only peer':>9}")
    for name in sorted(here, key=lambda name: (name != "chain", ":" in name, name)):
        ours, theirs = here[name], [row["dropped"][name] for row in rows]
        only_here = sum(a and not b for a, b in zip(ours, theirs, strict=True))
        only_peer = sum(b and not a for a, b in zip(ours, theirs, strict=True))
        differing = [i for i, a, b in zip(ids, ours, theirs, strict=True) if a != b][:3]
        print(
            f"{name:38} {agreement(ours, theirs):8.3%} {sum(ours):6} {sum(theirs):6} {only_here:9} {only_peer:9}  "
            f"{' '.join(differing)}"
        )


def print_speed(table: pa.Table, what: str, python: str) -> None:
    """Documents per CPU second on both sides, on the same documents."""
    with ThreadPoolExecutor() as pool:
        spacy, same_words = [
            seconds for (answer,) in pool.map(lambda way: ask_peer(python, table, way), ("spacy", "regex"))
            for seconds in answer.values()
        ]  # fmt: skip
    own = seconds_here(table, OWN, text_signals.signals)
    its = seconds_here(table, FINEWEB, datatrove.signals)
    n, n_bytes = table.num_rows, pc.sum(pc.binary_length(table["text"])).as_py()
    print(f"\n{n} documents, {what}, of {n_bytes / n:.0f} bytes on average; CPU of one thread, the same documents")
    print(f"{'':48} {'documents/s':>11} {'MB/s':>7} {'datatrove':>11} {'ratio':>7}")
    for name, here, there in (
        (f"own definitions, {len(OWN)} rules", own, spacy),
        (f"its definitions (fineweb), {len(FINEWEB)} rules", its, spacy),
        ("same words on both sides: own definitions", own, same_words),
    ):
        print(f"{name:48} {n / here:11.0f} {n_bytes / here / 1e6:7.1f} {n / there:11.1f} {there / here:6.0f}x")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--peer-python", required=True, help="an interpreter that has datatrove and spaCy")
    parser.add_argument("--documents", type=int, default=2000, help="how many are decided on both sides")
    parser.add_argument("--speed-documents", type=int, default=400, help="how many in English are timed; 0 for none")
    parser.add_argument("--of", choices=("en", "any", "web"), action="append", help="which documents; all if not given")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(os.environ["DATASSAY_SHARED"]) / "data" / "corpus"
    for of in arguments.of or ("en", "any", "web"):
        n_speed = arguments.speed_documents if of == "en" else 0
        table = documents(folder, n=max(arguments.documents, n_speed), of=of)
        if arguments.documents:
            print_agreement(table.slice(0, arguments.documents), OF[of], arguments.peer_python)
        if n_speed:
            print_speed(table.slice(0, n_speed), OF[of], arguments.peer_python)


if __name__ == "__main__":
    main()

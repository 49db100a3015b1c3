"""Decisions and speed of the preset `fineweb` beside datatrove's filters, on the same documents in one run.

    python benchmarks/filters_vs_datatrove.py --peer-python /path/to/peer/bin/python [FOLDER]

FOLDER: corpus/ of the shared data. The peer's environment needs `pip install datatrove spacy regex "xxhash<4"`;
no model is downloaded, as datatrove cuts English with spaCy's rules alone. Documents are the first of the corpus in
English, then of any language, then of pages, cleaned as the pipeline here cleans them before it measures.

Compared are the chain of FineWeb's script, every filter and every rule alone, and the speed of all rules here with that
of the chain there. `without spaCy` is datatrove with words and sentences by plain expressions (`corpus.words`, marks
before white space) in place of spaCy's, so that what spaCy takes is no part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datassay.corpus.clean import clean_text
from datassay.filters.c4 import C4_CODE, C4_CODE_ANY_END
from datassay.filters.datatrove import BATCH_ROWS, signals
from datassay.filters.fineweb import FINEWEB, FINEWEB_CODE, FINEWEB_CODE_WHOLE
from datassay.filters.gopher import GOPHER_QUALITY_CODE, GOPHER_REPETITION_CODE
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
SPEED_ROUNDS = 20
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
    return pa.table({"id": corpus["id"], "text": texts})


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


def dropped_here(table: pa.Table, dropped: dict[str, str]) -> dict[str, list[bool]]:
    """Whether each document is dropped, by the names of the conditions."""
    batches = table.to_batches(max_chunksize=BATCH_ROWS)
    rows = [signals(batch["id"].cast(pa.string()), batch["text"].cast(pa.large_string())) for batch in batches]
    columns = ", ".join(f'{condition} AS "{name}"' for name, condition in dropped.items())
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.register("signals", pa.Table.from_batches(rows))
        answers: dict[str, list[bool]] = connection.sql(f"SELECT {columns} FROM signals").to_arrow_table().to_pydict()
    return answers


def docs_per_second_here(table: pa.Table) -> float:
    """Documents per CPU second: all signals and all rules of preset `fineweb`, one thread.

    The documents are taken SPEED_ROUNDS times, as a shard holds thousands.
    """
    dropped = {rule.name + rule.keep: is_dropped_by(rule) for rule in FINEWEB}
    dropped_here(table, dropped)  # compiles
    shard = pa.concat_tables([table] * SPEED_ROUNDS)
    begin = time.process_time()
    dropped_here(shard, dropped)
    return int(shard.num_rows) / (time.process_time() - begin)


@dataclass(frozen=True, slots=True)
class Peer:
    """What datatrove answers: whether it drops each document, by name of rule or filter, and CPU seconds of filters."""

    dropped: dict[str, list[bool]]
    seconds: dict[str, float]
    regex_seconds: dict[str, float]
    """The same with words and sentences by plain expressions in place of spaCy's."""


def ask_peer(python: str, table: pa.Table, *, n_speed: int) -> Peer:
    """Run the peer over the documents, and time its filters over the first n_speed of them."""
    lines = "".join(json.dumps(row) + "\n" for row in table.to_pylist())
    command = [python, str(Path(__file__).with_name("datatrove_peer.py")), "--speed", str(n_speed)]
    run = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=True)
    first, *rows = [json.loads(line) for line in run.stdout.splitlines()]
    assert [row["id"] for row in rows] == table["id"].to_pylist()
    dropped = {name: [row["dropped"][name] for row in rows] for name in rows[0]["dropped"]}
    return Peer(dropped, first["seconds"], first["regex_seconds"])


def agreement(here: list[bool], there: list[bool]) -> float:
    """Share of documents that are decided alike."""
    return sum(a == b for a, b in zip(here, there, strict=True)) / len(here)


def print_agreement(table: pa.Table, here: dict[str, list[bool]], peer: Peer) -> None:
    """A line for each filter and rule, with the first documents that are decided differently."""
    head = ("alike", "here", "peer", "only here", "only peer")
    print(f"{'dropped by':38} {head[0]:>8} {head[1]:>6} {head[2]:>6} {head[3]:>9} {head[4]:>9}")
    for name in sorted(here, key=lambda name: (name != "chain", ":" in name, name)):
        ours, theirs = here[name], peer.dropped[name]
        only_here = sum(a and not b for a, b in zip(ours, theirs, strict=True))
        only_peer = sum(b and not a for a, b in zip(ours, theirs, strict=True))
        differing = [i for i, a, b in zip(table["id"].to_pylist(), ours, theirs, strict=True) if a != b][:3]
        print(
            f"{name:38} {agreement(ours, theirs):8.3%} {sum(ours):6} {sum(theirs):6} {only_here:9} {only_peer:9}  "
            f"{' '.join(differing)}"
        )


def print_speed(here: float, n: int, peer: Peer) -> None:
    """Documents per CPU second on both sides; everything here against each filter there."""
    print(f"{'CPU, one thread':46} {'docs/s':>9} {'ratio':>7}")
    print(f"{'here, all signals dt_*, all rules of fineweb':46} {here:9.0f}")
    for what, seconds in (("datatrove", peer.seconds), ("datatrove without spaCy", peer.regex_seconds)):
        for name, taken in seconds.items():
            print(f"{f'{what} {name}':46} {n / taken:9.1f} {here * taken / n:6.0f}x")


def compare(table: pa.Table, what: str, python: str, *, n_speed: int) -> None:
    """Print both tables for documents."""
    n_chars = pc.mean(pc.utf8_length(table["text"])).as_py()
    print(f"\n{table.num_rows} documents, {what}, {n_chars:.0f} characters on average")
    peer = ask_peer(python, table, n_speed=n_speed)
    print_agreement(table, dropped_here(table, conditions()), peer)
    if n_speed:
        print_speed(docs_per_second_here(table.slice(0, n_speed)), min(n_speed, table.num_rows), peer)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--peer-python", required=True, help="an interpreter that has datatrove and spaCy")
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--speed-documents", type=int, default=400)
    parser.add_argument("--of", choices=("en", "any", "web"), action="append", help="which documents; all if not given")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(os.environ["DATASSAY_SHARED"]) / "data" / "corpus"
    for of in arguments.of or ("en", "any", "web"):
        table = documents(folder, n=arguments.documents, of=of)
        compare(table, OF[of], arguments.peer_python, n_speed=arguments.speed_documents if of == "en" else 0)


if __name__ == "__main__":
    main()

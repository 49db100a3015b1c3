"""Decisions and speed of the preset `fineweb` beside datatrove's filters, on the same documents in one run.

    python benchmarks/filters_vs_datatrove.py --peer-python /path/to/peer/bin/python [FOLDER]

FOLDER: corpus/ of the shared data. The peer's environment needs `pip install datatrove spacy regex "xxhash<4"`;
no model is downloaded, as datatrove cuts English with spaCy's rules alone. Documents are the first of the corpus in
English, then the first of any language, cleaned as the pipeline here cleans them before it measures.

Compared are the chain of FineWeb's script, every filter and every rule alone. The chain shows a document to
FineWebQualityFilter as C4QualityFilter rewrote it; `on C4's text`, so do the rules here. `same words` is datatrove with
datassay's words in place of spaCy's; the sentences of C4 stay spaCy's.
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
from datassay.filters.presets import PRESETS
from datassay.filters.rules import Rule
from datassay.filters.text_signals import BATCH_ROWS, signals

FINEWEB = {rule.name: rule for rule in PRESETS["fineweb"]}
FILTERS: dict[str, tuple[Rule, ...]] = {
    "repetition": PRESETS["gopher-repetition"],
    "quality": tuple(
        FINEWEB.get("alpha_tokens", rule) if rule.name == "alpha_words" else rule for rule in PRESETS["gopher-quality"]
    ),
    "c4_any_end": tuple(FINEWEB[name] for name in ("lorem_ipsum", "curly_bracket", "sentences")),
    "fineweb_quality": PRESETS["fineweb-code"],
    "c4": PRESETS["c4-code"],
}
"""The rules here that stand for each of datatrove's filters."""
SAME_RULE = {"hash_ratio": "symbol_ratio", "ellipsis_ratio": "symbol_ratio", "terminal_punctuation": "sentences"}
"""Rules here that are one of datatrove's only together."""
ON_CUT = {
    "fineweb_quality on C4's text": "fineweb_quality after c4_any_end",
    "chain, its end on C4's text": "chain",
}
"""Verdicts here with FineWeb's own rules over the text that C4 leaves, and what they are compared with."""
_ONE_WORD = "spaCy keeps addresses, paths, dates, numbers with letters and abbreviations whole"
_TIE = "of equally frequent n-grams here the longest counts, there the first; a blank between all tokens there"
WHY: dict[str, str] = {
    "chain": "words, and what fineweb_quality sees",
    "fineweb_quality after c4_any_end": "there C4 has cut lines of one or two words, of cookies and javascript",
    "c4: sentences": 'spaCy ends a sentence before lower case, as in: "Yes?" he said',
    "c4_any_end: sentences": "spaCy ends a sentence before lower case, as in shuffled words",
    "fineweb_quality: line_punctuation": "here a quotation mark ends a line well",
    "fineweb_quality: list_ratio": _ONE_WORD,
    "fineweb_quality: repeated_lines": "there indentation counts as characters of a line",
    "fineweb_quality: short_lines": "there indentation counts as characters of a line",
    "quality: alpha_tokens": _ONE_WORD,
    "quality: bullet_lines": "there blank lines count as lines",
    "quality: ellipsis_lines": "there blank lines count as lines",
    "quality: mean_word_length": _ONE_WORD,
    "quality: stop_words": "there in lower case only",
    "quality: symbol_ratio": _ONE_WORD,
    "repetition: duplicate_lines": "lines that differ in indentation are equal here only",
    "repetition: duplicate_line_chars": "there indentation counts as characters of a line",
    **{f"repetition: top_{n}gram": _TIE for n in (2, 3, 4)},
    **{f"repetition: duplicate_{n}grams": _ONE_WORD for n in range(5, 11)},
}
"""Why decisions differ, found by looking at every document that the line rules decide differently and at several of
the others (datatrove 0.10.1)."""
SPEED_ROUNDS = 20


def documents(folder: Path, *, n: int, lang: str | None) -> pa.Table:
    """The first n documents that are not blank, of a language if one is given, with id and cleaned text."""
    corpus = pa.concat_tables(pq.read_table(path) for path in sorted(folder.glob("raw-*.parquet")))
    if lang is not None:
        truth = pq.read_table(folder / "truth.parquet", columns=["id", "lang"])
        corpus = corpus.filter(pc.is_in(corpus["id"], truth.filter(pc.equal(truth["lang"], lang))["id"]))
    corpus = corpus.filter(pc.match_substring_regex(corpus["text"], r"\w")).slice(0, n)
    texts = [clean_text(text)[0] for text in corpus["text"].to_pylist()]
    return pa.table({"id": corpus["id"], "text": texts})


def conditions() -> dict[str, str]:
    """SQL that holds where a document is dropped, by the names that the peer gives: rules, filters, chain."""
    parts: dict[str, list[str]] = {}
    for filter_name, rules in FILTERS.items():
        for rule in rules:
            key = f"{filter_name}: {SAME_RULE.get(rule.name, rule.name)}"
            dropped = f"NOT coalesce({rule.keep}, false)"
            for name in (key, filter_name, *(["chain"] if filter_name != "c4" else [])):
                parts.setdefault(name, []).append(dropped)
    parts["fineweb_quality after c4_any_end"] = parts["c4_any_end"] + parts["fineweb_quality"]
    return {name: " OR ".join(f"({one})" for one in dropped) for name, dropped in parts.items()}


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
    dropped = {rule.name: f"NOT coalesce({rule.keep}, false)" for rule in PRESETS["fineweb"]}
    dropped_here(table, dropped)  # compiles
    shard = pa.concat_tables([table] * SPEED_ROUNDS)
    begin = time.process_time()
    dropped_here(shard, dropped)
    return int(shard.num_rows) / (time.process_time() - begin)


@dataclass(frozen=True, slots=True)
class Peer:
    """What datatrove answers: whether it drops each document, by name of rule or filter, and CPU seconds of filters."""

    dropped: dict[str, list[bool]]
    same_words: dict[str, list[bool]]
    """The same with the words of datassay."""
    cut: list[str]
    """What C4's line rules leave of each document."""
    seconds: dict[str, float]


def ask_peer(python: str, table: pa.Table, *, n_speed: int) -> Peer:
    """Run the peer over the documents, and time its filters over the first n_speed of them."""
    lines = "".join(json.dumps(row) + "\n" for row in table.to_pylist())
    command = [python, str(Path(__file__).with_name("datatrove_peer.py")), "--speed", str(n_speed)]
    run = subprocess.run(command, input=lines, stdout=subprocess.PIPE, text=True, check=True)
    first, *rows = [json.loads(line) for line in run.stdout.splitlines()]
    assert [row["id"] for row in rows] == table["id"].to_pylist()
    dropped, same_words = (
        {name: [row[key][name] for row in rows] for name in rows[0][key]} for key in ("dropped", "same_words")
    )
    return Peer(dropped, same_words, [row["cut"] for row in rows], first["seconds"])


def verdicts_here(table: pa.Table, cut: list[str]) -> dict[str, list[bool]]:
    """Whether each document is dropped, by name; by FineWeb's own rules also as they see the text that C4 leaves."""
    dropped = dropped_here(table, conditions())
    of_cut = dropped_here(pa.table({"id": table["id"], "text": cut}), conditions())["fineweb_quality"]
    after_cut, chain = list(ON_CUT)
    dropped[after_cut] = [any(row) for row in zip(dropped["c4_any_end"], of_cut, strict=True)]
    steps = (dropped["repetition"], dropped["quality"], dropped[after_cut])
    dropped[chain] = [any(row) for row in zip(*steps, strict=True)]
    return dropped


def agreement(here: list[bool], there: list[bool]) -> float:
    """Share of documents that are decided alike."""
    return sum(a == b for a, b in zip(here, there, strict=True)) / len(here)


def print_agreement(here: dict[str, list[bool]], peer: Peer) -> None:
    """A line for each filter and rule."""
    head = ("alike", "same words", "here", "peer", "only here", "only peer")
    print(f"{'dropped by':38} {head[0]:>7} {head[1]:>10} {head[2]:>6} {head[3]:>6} {head[4]:>9} {head[5]:>9}  why")
    for name in sorted(here, key=lambda name: (not name.startswith("chain"), ":" in name, name)):
        peer_name = ON_CUT.get(name, name)
        ours, theirs = here[name], peer.dropped[peer_name]
        only_here = sum(a and not b for a, b in zip(ours, theirs, strict=True))
        only_peer = sum(b and not a for a, b in zip(ours, theirs, strict=True))
        alike, alike_in_same_words = agreement(ours, theirs), agreement(ours, peer.same_words[peer_name])
        print(
            f"{name:38} {alike:7.2%} {alike_in_same_words:10.2%} {sum(ours):6} {sum(theirs):6} {only_here:9} "
            f"{only_peer:9}  {WHY.get(name, '')}"
        )


def print_speed(here: float, n: int, seconds: dict[str, float]) -> None:
    """Documents per CPU second on both sides; everything here against each filter there."""
    print(f"{'CPU, one thread':38} {'docs/s':>9} {'ratio':>7}")
    print(f"{'here, all signals, all rules':38} {here:9.0f}")
    for name, taken in seconds.items():
        print(f"{'datatrove ' + name:38} {n / taken:9.1f} {here * taken / n:6.0f}x")


def compare(folder: Path, python: str, *, n: int, n_speed: int, lang: str | None) -> None:
    """Print both tables for documents of a language, or of all."""
    table = documents(folder, n=n, lang=lang)
    n_chars = pc.mean(pc.utf8_length(table["text"])).as_py()
    print(f"\n{table.num_rows} documents, {lang or 'any language'}, {n_chars:.0f} characters on average")
    peer = ask_peer(python, table, n_speed=n_speed)
    print_agreement(verdicts_here(table, peer.cut), peer)
    if n_speed:
        print_speed(docs_per_second_here(table.slice(0, n_speed)), min(n_speed, table.num_rows), peer.seconds)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--peer-python", required=True, help="an interpreter that has datatrove and spaCy")
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--speed-documents", type=int, default=400)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(os.environ["DATASSAY_SHARED"]) / "data" / "corpus"
    for lang, n_speed in (("en", arguments.speed_documents), (None, 0)):
        compare(folder, arguments.peer_python, n=arguments.documents, n_speed=n_speed, lang=lang)


if __name__ == "__main__":
    main()

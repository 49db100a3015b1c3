"""Words as spaCy cuts them and signals as datatrove defines them: against its own decisions, and a second way."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datassay.corpus.engine import Inputs
from datassay.corpus.store import Outputs
from datassay.filters import spacy_words
from datassay.filters.c4 import C4_CODE, C4_CODE_ANY_END
from datassay.filters.datatrove import (
    DATATROVE_SIGNALS,
    SIGNALS,
    STOP_WORDS,
    DatatroveSettings,
    measure_datatrove,
    signals,
)
from datassay.filters.fineweb import FINEWEB, FINEWEB_CODE, FINEWEB_CODE_WHOLE
from datassay.filters.gopher import GOPHER_QUALITY_CODE, GOPHER_REPETITION_CODE
from datassay.filters.rules import Rule
from datassay.filters.spacy_words import ENGLISH, split_words

DATA = Path(__file__).parents[1] / "data"


def measured(texts: list[str]) -> pa.Table:
    """The signals of texts, named by their places."""
    ids = pa.array([str(i) for i in range(len(texts))])
    return pa.Table.from_batches([signals(ids, pa.array(texts, pa.large_string()))])


# --- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [  # what spaCy 3.8.18 answers
        ("", []),
        (" \n\t ", []),
        ("Hello, world!", "Hello|,|world|!"),
        ("I can't, don't; it's we’ve", "I|ca|n't|,|do|n't|;|it|'s|we|’ve"),
        ("e.g. this (i.e. that) etc.", "e.g.|this|(|i.e.|that|)|etc|."),
        ("US$5 and 10km, 5% of it.", "US$|5|and|10|km|,|5|%|of|it|."),
        ("http://a.bc/x?y=1 foo@bar.com,", "http://a.bc/x?y=1|foo@bar.com|,"),
        ("10.0.0.1/x=y 8.8.8.8/x=y", "10.0.0.1|/|x|=|y|8.8.8.8/x=y"),
        ("well-known text:) vitamin-c. wait...", "well|-|known|text|:)|vitamin|-|c.|wait|..."),
        ("'Cause $5.00 3-4 a/b A,b end.Next", "'Cause|$|5.00|3|-|4|a|/|b|A|,|b|end|.|Next"),
        ("9am 10a.m. U.S. NASA.", "9|am|10|a.m.|U.S.|NASA|."),
    ],
)
def test_words(text: str, words: str | list[str]) -> None:
    expected = words.split("|") if isinstance(words, str) else words
    assert split_words(text) == expected == reference_words(text)


def characters(flag: int) -> str:
    """A class of Python's expressions for the characters that have a flag."""
    kinds = ENGLISH.kind[ENGLISH.kind_block].ravel()
    codes = np.flatnonzero(kinds & flag)
    starts = codes[np.diff(codes, prepend=-2) > 1]
    ends = codes[np.diff(codes, append=0x110001) > 1]
    return "".join(f"\\U{a:08x}-\\U{b:08x}" for a, b in zip(starts, ends, strict=True))


def lines_of(name: str) -> list[str]:
    with np.load(spacy_words.DATA) as file:
        return bytes(file[name]).decode().split("\n")


A = characters(spacy_words.ALPHA)
UNITS = "|".join(lines_of("units"))
PREFIX = re.compile(rf"^(?:[{characters(spacy_words.PREFIX)}]|\+(?![0-9])|\.\.+|US\$|[CA]\$)")
SUFFIX = re.compile(
    rf"(?:[{characters(spacy_words.SUFFIX)}]|……|\.\.+|['’][sS]|(?<=[0-9])\+|(?<=[0-9])(?:{UNITS}|US\$|[CA]\$)"
    rf"|(?<=[0-9])[{characters(spacy_words.CURRENCY)}]|(?<=°[FfCcKk])\.|(?<=[{characters(spacy_words.BEFORE_DOT)}])\."
    rf"|(?<=[{characters(spacy_words.UPPER)}][{characters(spacy_words.UPPER)}])\.)$"
)
INFIX = re.compile(
    rf"\.\.+|[{characters(spacy_words.INFIX)}]|(?<=[0-9])[+\-*^](?=[0-9-])"
    rf"|(?<=[{characters(spacy_words.LOWER_DOT)}])\.(?=[{characters(spacy_words.DOT_UPPER)}])|(?<=[{A}]),(?=[{A}])"
    rf"|(?<=[{A}0-9])(?:-|–|—|--|---|——|~)(?=[{A}])|(?<=[{A}0-9])[:<>=/](?=[{A}])"
)
ADDRESS = re.compile(
    r"^(?:(?:[\w\+\-\.]{2,})://)?(?:\S+(?::\S*)?@)?(?:(?!(?:10|127)(?:\.\d{1,3}){3})"
    r"(?!(?:169\.254|192\.168)(?:\.\d{1,3}){2})(?!172\.(?:1[6-9]|2\d|3[0-1])(?:\.\d{1,3}){2})"
    r"(?:[1-9]\d?|1\d\d|2[01]\d|22[0-3])(?:\.(?:1?\d{1,2}|2[0-4]\d|25[0-5])){2}"
    r"(?:\.(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-4]))|(?:(?:[A-Za-z0-9\u00a1-\uffff][A-Za-z0-9\u00a1-\uffff_-]{0,62})?"
    rf"[A-Za-z0-9\u00a1-\uffff]\.)+(?:[{characters(spacy_words.TLD)}]{{2,63}}))(?::\d{{2,5}})?(?:[/?#]\S*)?$"
)
CASES = {case.replace("\x01", ""): case.split("\x01") for case in lines_of("special_cases")}
PATTERNS = {tuple(pattern.split("\x01")) for pattern in lines_of("patterns")}


def reference_run(run: str) -> list[str]:
    """The tokens of a run by spaCy's expressions, as its `Tokenizer` takes prefixes and suffixes off."""
    prefixes: list[str] = []
    suffixes: list[str] = []
    length = 0
    while run and len(run) != length and run not in CASES:
        length = len(run)
        prefix = PREFIX.search(run)
        n = len(prefix.group()) if prefix else 0
        if n and run[n:] in CASES:
            prefixes.append(run[:n])
            run = run[n:]
            break
        suffix = SUFFIX.search(run[n:])
        m = len(suffix.group()) if suffix else 0
        if m and run[:-m] in CASES:
            suffixes.append(run[-m:])
            run = run[:-m]
            break
        prefixes += [run[:n]] if n else []
        suffixes += [run[-m:]] if m else []
        run = run[n : len(run) - m]
    middle = CASES[run] if run in CASES else [run] if ADDRESS.match(run) else infixes(run)
    return [*prefixes, *middle, *reversed(suffixes)]


def infixes(run: str) -> list[str]:
    tokens, rest = [], 0
    for match in INFIX.finditer(run):
        if match.start():
            tokens += [run[rest : match.start()], match.group()]
            rest = match.end()
    return [token for token in [*tokens, run[rest:]] if token]


def reference_tokens(text: str) -> list[str]:
    """All tokens, white space of more than one blank too."""
    tokens: list[tuple[str, int]] = []  # with what stands before: 0 nothing, 1 a blank
    gap = 1
    for run in re.findall(r"\s+|\S+", text):
        if run.isspace():
            is_first = not tokens and not text.startswith(run[:1] + text.lstrip()[:1])
            rest = run[1:] if run[0] == " " and tokens else run
            tokens += [(rest, 0)] if rest or is_first else []
            gap = 1
        else:
            for token in reference_run(run):
                tokens.append((token, gap))
                gap = 0
    return matched(tokens)


def matched(tokens: list[tuple[str, int]]) -> list[str]:
    """The tokens with special cases in the place of patterns: the longest first, then the first."""
    found = [
        (-n, t) for t in range(len(tokens)) for n in range(1, 13)
        if tuple(token for token, _ in tokens[t : t + n]) in PATTERNS and t + n <= len(tokens)
    ]  # fmt: skip
    seen: set[int] = set()
    made: dict[int, int] = {}
    for negative, t in sorted(found):
        n = -negative
        if t not in seen and t + n - 1 not in seen and not any(gap for _, gap in tokens[t + 1 : t + n]):
            made[t] = n
        seen |= set(range(t, t + n))
    result, t = [], 0
    while t < len(tokens):
        n = made.get(t, 0)
        result += CASES["".join(token for token, _ in tokens[t : t + n])] if n else [tokens[t][0]]
        t += max(n, 1)
    return result


def reference_words(text: str) -> list[str]:
    return [token for token in reference_tokens(text) if token.strip()]


# --- signals -------------------------------------------------------------------------------------------------------


def has(flag: int, character: str) -> bool:
    return bool(ENGLISH.kind[ENGLISH.kind_block[ord(character) >> 8], ord(character) & 255] & flag)


def reference_sentences(line: str) -> int:
    n, is_ended = 1, False
    for token in reference_tokens(line):
        is_mark = len(token) == 1 and has(spacy_words.SENTENCE_END, token)
        if is_ended and not is_mark and any(has(spacy_words.NOT_PUNCTUATION, c) for c in token):
            n += 1
            is_ended = False
        elif is_mark:
            is_ended = True
    return n


def repeated(parts: list[str]) -> tuple[int, int]:
    """(how many came before, their characters)."""
    seen: set[str] = set()
    again = [part for part in parts if part in seen or seen.add(part)]  # type: ignore[func-returns-value]
    return len(again), sum(map(len, again))


def reference_c4(text: str, *, needs_end: bool) -> tuple[str, dict[str, int]]:
    """(what C4's line rules leave, what is counted)."""
    kept, counts = [], Counter[str]()
    for line in map(str.strip, text.splitlines()):
        words = line.split()
        if any(len(word) > 1000 for word in words):
            continue
        line = re.sub(r"\[\d*]|\[edit]|\[citation needed]", "", line)
        if needs_end and (not line.endswith((".", "?", "!", '"', "'")) or line.endswith("...")):
            continue
        if len(words) < 3:
            continue
        lower = line.lower()
        counts["lorem_ipsum_count"] += "lorem ipsum" in lower
        if "javascript" in lower:
            continue
        counts["curly_bracket_count"] += "{" in line
        policy = "terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies"
        if not re.search(policy, lower):
            counts["line_count"] += 1
            counts["sentence_count"] += reference_sentences(line)
            kept.append(line)
    return "\n".join(kept).strip(), counts


def reference_fineweb(text: str, prefix: str) -> dict[str, float]:
    lines = [line for line in text.split("\n") if line.strip()]
    n = max(len(lines), 1)
    return {
        f"{prefix}line_count": len(lines),
        f"{prefix}terminal_punctuation_line_fraction": sum(has(spacy_words.TERMINAL, line[-1]) for line in lines) / n,
        f"{prefix}line_up_to_30_fraction": sum(len(line) <= 30 for line in lines) / n,
        f"{prefix}duplicate_line_char_fraction_of_lines": repeated(lines)[1] / max(len(text.replace("\n", "")), 1),
        f"{prefix}newlines_per_token": text.count("\n") / max(len(reference_words(text)), 1),
    }


def reference_repeated_grams(words: list[str], n: int) -> int:
    seen: set[str] = set()
    chars = i = 0
    while i <= len(words) - n:
        gram = "".join(words[i : i + n])
        if gram in seen:
            chars += len(gram)
            i += n
        else:
            seen.add(gram)
            i += 1
    return chars


def reference(text: str) -> dict[str, float]:
    """The signals of a text, in Python as datatrove has them."""
    words = reference_words(text)
    n, n_chars = max(len(words), 1), max(len(text), 1)
    non_symbols = [word for word in words if any(has(spacy_words.NOT_SYMBOL, c) for c in word)]
    lines = text.splitlines()
    n_lines = max(len(lines), 1)
    paragraphs, stretches = re.split(r"\n{2,}", text.strip()), re.split(r"\n+", text)
    values: dict[str, float] = {
        "dt_char_count": len(text),
        "dt_token_count": len(words),
        "dt_word_count": len(non_symbols),
        "dt_mean_word_length": sum(map(len, non_symbols)) / max(len(non_symbols), 1),
        "dt_hash_ratio": text.count("#") / n,
        "dt_ellipsis_ratio": (text.count("...") + text.count("…")) / n,
        "dt_bullet_line_fraction": sum(line.lstrip().startswith(("•", "-")) for line in lines) / n_lines,
        "dt_ellipsis_line_fraction": sum(line.rstrip().endswith(("...", "…")) for line in lines) / n_lines,
        "dt_alpha_token_fraction": sum(any(c.isalpha() for c in word) for word in words) / n,
        "dt_stop_word_count": len(set(STOP_WORDS) & set(words)),
        "dt_duplicate_paragraph_fraction": repeated(paragraphs)[0] / len(paragraphs),
        "dt_duplicate_paragraph_char_fraction": repeated(paragraphs)[1] / n_chars,
        "dt_duplicate_line_fraction": repeated(stretches)[0] / len(stretches),
        "dt_duplicate_line_char_fraction": repeated(stretches)[1] / n_chars,
    }
    for k in (2, 3, 4):
        grams = Counter(" ".join(words[i : i + k]) for i in range(len(words) - k + 1))
        values[f"dt_top_{k}gram_char_fraction"] = sum(len(g) * c for g, c in grams.most_common(1)) / n_chars
    for k in range(5, 11):
        values[f"dt_duplicate_{k}gram_char_fraction"] = reference_repeated_grams(words, k) / n_chars
    for variant, needs_end in (("c4", True), ("c4_any_end", False)):
        cut, counts = reference_c4(text, needs_end=needs_end)
        for name in ("line_count", "sentence_count", "lorem_ipsum_count", "curly_bracket_count"):
            values[f"dt_{variant}_{name}"] = counts[name]
    return values | reference_fineweb(text, "dt_") | reference_fineweb(cut, "dt_cut_")


PIECES = (
    *("lorem ipsum", "Lorem Ipsum ", "JavaScript", "{", "terms of use", "use coo\u212aies", "uses cookies", "[1]"),
    *("[edit]", "[]", "\n", "\n\n", "\r\n", "\r", "\x0b", "\u2028", "\x1d", "  ", " ", "\t", ".", "!", "...", "…"),
    *("- ", "• ", '"', "The end. ", "a b c", "the of and", "x" * 1001, "\u3000", "。", "can't", "10km", "US$5", ":)"),
    *("vitamin-c. ", "u@h.io", "http://a.bc/d", "8.8.8.8", "Foo bar baz qux quux. ", "foo bar baz qux quux corge "),
    *("every one ", "everyone ", "'s", "——", "e.g.", "+1", "3-4", "#", "9a.m.", "°C.", "漢字", "É", "😀"),
)
texts = st.one_of(
    st.text(max_size=60),
    st.builds(lambda parts, n: "".join(parts) * n, st.lists(st.sampled_from(PIECES), max_size=25), st.integers(1, 3)),
)


@given(st.lists(texts, min_size=1, max_size=4))
def test_any_text_as_in_python(some: list[str]) -> None:
    rows = measured(some).to_pylist()
    for text, row in zip(some, rows, strict=True):
        assert split_words(text) == reference_words(text)
        assert {name: row[name] for name in DATATROVE_SIGNALS.names if name != "id"} == reference(text)


def test_real_texts_as_in_python() -> None:
    texts = build().sample_texts()[::40]
    for text, row in zip(texts, measured(texts).to_pylist(), strict=True):
        row.pop("id")
        assert row == reference(text)


def test_ngrams_are_their_characters() -> None:
    """`can not` and `can` `not` are the same characters, and so are five words that are cut elsewhere."""
    (row,) = measured(["ab c d e fg h a bc d e fg"]).to_pylist()
    assert row["dt_duplicate_5gram_char_fraction"] == len("abcdefg") / len("ab c d e fg h a bc d e fg")


# --- decisions -----------------------------------------------------------------------------------------------------


def build() -> ModuleType:
    """The module that made the file of decisions."""
    spec = importlib.util.spec_from_file_location("decisions", DATA / "build_datatrove_decisions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FILTERS = {
    "repetition": GOPHER_REPETITION_CODE,
    "quality": GOPHER_QUALITY_CODE,
    "c4_any_end": C4_CODE_ANY_END,
    "c4": C4_CODE,
    "fineweb_quality": FINEWEB_CODE_WHOLE,
    "fineweb_quality after c4_any_end": C4_CODE_ANY_END + FINEWEB_CODE,
    "chain": FINEWEB,
}


def rules_of(name: str) -> tuple[Rule, ...]:
    """The rules here that one verdict of the peer is of."""
    key, _, rule_name = name.partition(": ")
    names = ("hash_ratio", "ellipsis_ratio") if rule_name == "symbol_ratio" else (rule_name,)
    return tuple(rule for rule in FILTERS[key] if not rule_name or rule.name in names)


def test_decides_as_datatrove_did() -> None:
    module = build()
    sample = module.sample_texts()
    with np.load(module.DECISIONS) as file:
        names, hashes, dropped = file["names"].tolist(), file["hashes"], file["dropped"]
    assert [module.text_hash(text) for text in sample] == hashes.tolist()
    columns = ", ".join(
        f'NOT ({" AND ".join(f"coalesce({rule.keep}, false)" for rule in rules_of(name))}) AS "{name}"'
        for name in names
    )
    with duckdb.connect() as connection:
        connection.register("signals", measured(sample))
        here = connection.sql(f"SELECT {columns} FROM signals").to_arrow_table()
    alike = {
        name: float(np.mean(here[name].to_numpy() == (dropped >> np.uint64(bit) & np.uint64(1)).astype(bool)))
        for bit, name in enumerate(names)
    }
    assert {name: share for name, share in alike.items() if share < 1} == {}
    assert 0.2 < np.mean(here["chain"].to_numpy()) < 0.9


def test_every_rule_is_over_signals() -> None:
    row = DATATROVE_SIGNALS.empty_table()
    for rules in FILTERS.values():
        for rule in rules:
            duckdb.from_arrow(row).filter(rule.keep).fetchall()
        assert len({rule.name for rule in rules}) == len(rules)


def test_signals_are_named_and_defined() -> None:
    assert all(signal.name.startswith("dt_") and signal.definition and signal.source for signal in SIGNALS)
    assert len({signal.name for signal in SIGNALS}) == len(SIGNALS)


# --- stage ---------------------------------------------------------------------------------------------------------


def test_no_text_and_empty_text() -> None:
    assert measured([]).num_rows == 0
    (row,) = measured([""]).to_pylist()
    assert {value for name, value in row.items() if name != "id" and "paragraph" not in name} == {0}


def test_batches_do_not_matter() -> None:
    some = build().sample_texts()[:60]
    whole = measured(some).drop_columns("id")
    parts = [measured(some[i : i + 7]).drop_columns("id") for i in range(0, 60, 7)]
    assert whole == pa.concat_tables(parts)
    sliced = pa.array(some, pa.large_string()).slice(30)
    assert pa.Table.from_batches([signals(pa.array(["x"] * 30), sliced)]).drop_columns("id") == whole.slice(30)


def test_stage_writes_a_row_for_each_document(tmp_path: Path) -> None:
    some = build().sample_texts()[:5]
    table = pa.table({"id": [f"d{i}" for i in range(5)], "text": pa.array(some, pa.large_string())})
    pq.write_table(table, tmp_path / "clean.parquet")
    out = Outputs(tmp_path / "out", 0)
    measure_datatrove(Inputs({"clean": (tmp_path / "clean.parquet",)}), DatatroveSettings(), out)
    (path,) = tmp_path.glob("out/datatrove/*.parquet")
    written = pq.read_table(path)
    assert written.schema.equals(DATATROVE_SIGNALS)
    assert written["id"].to_pylist() == table["id"].to_pylist()
    assert out.counts["documents"] == 5

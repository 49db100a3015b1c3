"""Repair of text: what is mended, what stays, and that the guard changes nothing."""

from __future__ import annotations

from pathlib import Path

import ftfy
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from ftfy.badness import BADNESS_RE
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datassay.corpus.clean import ASCII_GUARD, FTFY, GUARD, GUARD_RE2, CleanSettings, clean, clean_text, repair
from datassay.corpus.engine import Inputs
from datassay.corpus.schema import DOCUMENT
from datassay.corpus.store import Outputs

ALPHABET = sorted(
    {c for c in BADNESS_RE.pattern if ord(c) > 127} | set("aZ .,-&;#x41<\n\t\x07\x1b[0m\x85\xa0\ufeff€世界é")
)


@settings(max_examples=400, deadline=None)
@given(st.text(st.sampled_from(ALPHABET), max_size=60))
@example("sÃ³\nplain\nvoilÃ le travail")
@example("a &amp; b\n<p>\nc &amp; d")
@example("café — “quoted”\nâ€œquotedâ€\x9d")
@example("œ ")
@example("a  ")
@example("a\r\n&amp\u2028;\x0bÃ\u2029é")
def test_guard_changes_nothing(text: str) -> None:
    assert repair(text) == ftfy.fix_text(text, FTFY)
    (is_suspect,) = pc.match_substring_regex(pa.array([text]), GUARD_RE2).to_pylist()
    guard = ASCII_GUARD if text.isascii() else GUARD
    assert is_suspect == (guard.search(text) is not None)
    assert clean_text(text, is_suspect=is_suspect) == clean_text(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200).map(lambda text: text.encode("utf-8", "ignore").decode("cp1252", "ignore")))
def test_guard_changes_nothing_in_wrongly_decoded_text(text: str) -> None:
    assert repair(text) == ftfy.fix_text(text, FTFY)


@pytest.mark.parametrize(
    ("before", "after", "steps"),
    [
        ("", "", []),
        ("plain text", "plain text", []),
        ("It doesnâ€™t end.", "It doesn’t end.", ["repaired"]),
        ("“curly” and ﬁne ＦＵＬＬ", "“curly” and ﬁne ＦＵＬＬ", []),
        ("cafe\u0301", "café", ["normalized"]),
        ("a\r\nb\rc\u2028d\x0ce", "a\nb\nc\nd\ne", ["spaced"]),
        ("a\n\nb", "a\n\nb", []),
        ("a\n\n\nb", "a\n\nb", ["spaced"]),
        ("a \t\n \n \nb", "a\n\nb", ["spaced"]),
        ("    indented\n", "    indented", ["spaced"]),
        ("soft\xadhyphen zero\u200bwidth no\xa0break", "softhyphen zerowidth no break", ["spaced"]),
        ("می\u200cخواهم 👨\u200d👩", "می\u200cخواهم 👨\u200d👩", []),
        ("\ufeffbell\x07", "bell", ["repaired"]),
        ("Tom &amp; Jerry", "Tom & Jerry", ["repaired"]),
        ("write <b>\n&amp; for &", "write <b>\n&amp; for &", []),
    ],
)
def test_clean_text(before: str, after: str, steps: list[str]) -> None:
    assert clean_text(before) == (after, steps)


@given(st.text(max_size=80))
def test_clean_text_leaves_no_forbidden_white_space(text: str) -> None:
    cleaned, _ = clean_text(text)
    assert "\r" not in cleaned and "\n\n\n" not in cleaned and " \n" not in cleaned


def test_long_run_of_blanks_takes_linear_time() -> None:
    assert clean_text("a" + " " * 1_000_000 + "b")[1] == []


def test_stage_keeps_every_document(tmp_path: Path) -> None:
    rows = [
        {"id": name, "text": text, "source": "input", "file": "f", "offset": i}
        for i, (name, text) in enumerate([("a", "sÃ³"), ("b", "\u200b\n"), ("c", "as it was")])
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=DOCUMENT), tmp_path / "in.parquet")
    out = Outputs(tmp_path, 0)
    clean(Inputs({"documents": (tmp_path / "in.parquet",)}), CleanSettings(), out)
    table = pq.read_table(tmp_path / "clean/part-00000.parquet")
    assert table.schema.equals(DOCUMENT)
    assert table.column("text").to_pylist() == ["só", "", "as it was"]
    assert out.counts == {"documents": 3, "empty": 1, "repaired": 1, "spaced": 1}

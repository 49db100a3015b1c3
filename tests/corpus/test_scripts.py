"""Scripts of texts: the table against the names of characters, counting, what is merged."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datassay.corpus.scripts import DATA, SCRIPTS, TABLE, main_script, script_counts, write_table

NAMED = {
    "LATIN SMALL LETTER": "Latn",
    "CYRILLIC CAPITAL LETTER": "Cyrl",
    "GREEK SMALL LETTER": "Grek",
    "ARABIC LETTER": "Arab",
    "HEBREW LETTER": "Hebr",
    "DEVANAGARI LETTER": "Deva",
    "BENGALI LETTER": "Beng",
    "THAI CHARACTER": "Thai",
    "HANGUL SYLLABLE": "Hang",
    "HIRAGANA LETTER": "Jpan",
    "KATAKANA LETTER": "Jpan",
    "BOPOMOFO LETTER": "Hani",
    "CJK UNIFIED IDEOGRAPH": "Hani",
    "ETHIOPIC SYLLABLE": "Ethi",
    "GEORGIAN LETTER": "Geor",
    "CANADIAN SYLLABICS": "Cans",
}


def script_of(character: str) -> str | None:
    return main_script(script_counts(pa.array([character])))[0][0]


def counts_of(text: str) -> dict[str, int]:
    counts = script_counts(pa.array([text]))[0]
    return {SCRIPTS[i]: int(counts[i]) for i in np.flatnonzero(counts)}


@pytest.mark.skipif(unicodedata.unidata_version != "14.0.0", reason="names of another version of Unicode")
def test_scripts_are_those_of_the_characters_names() -> None:
    """The names are a second source: unicodedata has no scripts."""
    n_checked = 0
    for code in range(0x110000):
        is_letter = unicodedata.category(chr(code)).startswith("L")
        name = unicodedata.name(chr(code), "") if is_letter else ""
        for start, script in NAMED.items():
            if name.startswith(start):
                n_checked += 1
                place = TABLE.script[TABLE.block[code >> 8], code & 255]
                assert SCRIPTS[place] == script, (hex(code), name)
    assert n_checked > 100_000


@pytest.mark.parametrize("character", list("0 .,!?\n€+1€\u0301\u200d🙂\ue000"))
def test_digits_marks_and_signs_have_no_script(character: str) -> None:
    assert script_of(character) is None


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("Hello Привет!", {"Latn": 5, "Cyrl": 6}),
        ("中文", {"Hani": 2}),
        ("日本語の", {"Jpan": 4}),  # a fourth kana
        ("日本語学の", {"Jpan": 5}),  # a fifth: at the limit
        ("日本語学者の", {"Jpan": 1, "Hani": 5}),  # a sixth: below it
        ("한국어 漢字", {"Hang": 3, "Hani": 2}),
        ("", {}),
        ("12:30", {}),
    ],
)
def test_counts(text: str, counts: dict[str, int]) -> None:
    assert counts_of(text) == counts


def test_main_script_and_its_share() -> None:
    names, shares = main_script(script_counts(pa.array(["abc где?", "где ab", "ab где", "ааbb", "7", None])))
    assert names == ["Cyrl", "Cyrl", "Cyrl", "Cyrl", None, None]  # at a draw the first by name
    assert shares.tolist() == [0.5, 0.6, 0.6, 0.5, 0.0, 0.0]


def test_no_texts() -> None:
    assert script_counts(pa.array([], pa.string())).shape == (0, len(SCRIPTS))
    assert main_script(script_counts(pa.array([], pa.string())))[0] == []


@given(st.lists(st.text(st.characters(codec="utf-8"))), st.integers(0, 3))
def test_counting_is_looking_up_each_character(texts: list[str], skipped: int) -> None:
    """By a slice too, whose buffers begin before it."""
    counts = script_counts(pa.array(texts, pa.string())[skipped:])
    for text, row in zip(texts[skipped:], counts, strict=True):
        places = [TABLE.script[TABLE.block[ord(c) >> 8], ord(c) & 255] for c in text]
        assert row.sum() == sum(place != 255 for place in places)
        latin = SCRIPTS.index("Latn")
        assert row[latin] == places.count(latin)


def test_japanese_and_chinese_texts_are_told_apart(shared: Path) -> None:
    for language, script in {"ja": "Jpan", "zh": "Hani", "ko": "Hang", "ru": "Cyrl", "de": "Latn"}.items():
        rows = pq.read_table(shared / "lid/dev.parquet", filters=[("lang", "==", language)])
        assert set(main_script(script_counts(rows["text"].combine_chunks()))[0]) == {script}


def test_table_is_made_from_ranges(tmp_path: Path) -> None:
    lines = ["version 14.0.0", "0 Zyyy", "41 Latn", "5b Zyyy", "3041 Hira", "30a1 Kana", "30fb Zyyy"]
    write_table(tmp_path / "table.npz", lines)
    with np.load(tmp_path / "table.npz") as file:
        names, block, script = file["names"].tolist(), file["block"], file["script"]
    assert names == ["Jpan", "Latn"]

    def found(code: int) -> int:
        return int(script[block[code >> 8], code & 255])

    assert [found(code) for code in (0x40, 0x41, 0x5A, 0x5B, 0x3041, 0x30A1, 0x30FB, 0x10FFFF)] == [
        *(255, 1, 1, 255),
        *(0, 0, 255, 255),
    ]


@pytest.mark.parametrize("lines", [[], ["version 15.1.0", "0 Zyyy"]])
def test_ranges_of_another_version_are_refused(lines: list[str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"version 14\.0\.0"):
        write_table(tmp_path / "table.npz", lines)


def test_table_is_small() -> None:
    assert DATA.stat().st_size < 10_000

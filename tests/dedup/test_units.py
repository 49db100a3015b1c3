"""Lines and paragraphs: where they are, and which of them are the same."""

from __future__ import annotations

import pyarrow as pa
import pytest

from datassay.dedup.units import LINE, PARAGRAPH, find_units


def found(text: str, *, min_line: int | None = 1, min_paragraph: int | None = None) -> list[tuple[int, str]]:
    """(kind, text) of the units of a document."""
    units = find_units(pa.array([text], pa.large_string()), min_line, min_paragraph)
    places = zip(units.kinds.tolist(), units.starts.tolist(), units.ends.tolist(), strict=True)
    return [(kind, text[start:end]) for kind, start, end in places]


def keys(texts: list[str], kind: int = LINE) -> list[int]:
    """The key of each text that is one unit of this kind."""
    units = find_units(pa.array(texts, pa.large_string()), 1, 1)
    assert units.rows[units.kinds == kind].tolist() == list(range(len(texts)))
    return [int(key) for key in units.keys[units.kinds == kind]]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Read More", "read more"),
        ("Page 1 of 12", "page 9 of 40"),
        ("“Read more …”", "Read more"),
        ("  read \t more ", "read more"),
        ("don't", "dont"),
        ("Élan naïve, déjà vu", "elan naive deja vu"),
        ("e\u0301lan", "élan"),
        ("ἄνθρωπος", "ανθρωπος"),
        ("Ёжик", "ежик"),
        ("第１章。", "第2章"),
        ("½ x", "3 X"),
        ("❤️ it", "❤ it"),  # a variation selector
    ],
)
def test_lines_that_are_the_same(a: str, b: str) -> None:
    first, second = keys([a, b])
    assert first == second


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("read more", "readmore"),
        ("read more", "more read"),
        ("page 1", "page 11"),
        ("5 $", "5 €"),
        ("ที", "ที่"),  # a vowel sign is spelling
        ("कि", "की"),
        ("が", "か"),
        ("각", "가"),
    ],
)
def test_lines_that_are_not(a: str, b: str) -> None:
    first, second = keys([a, b])
    assert first != second


def test_a_line_is_no_paragraph() -> None:
    assert keys(["the same"], LINE) != keys(["the same"], PARAGRAPH)


def test_paragraphs_are_compared_line_by_line() -> None:
    a, b, c = keys(["One, two\n***\nthree", "one two\nthree!", "one two three"], PARAGRAPH)
    assert a == b != c


def test_where_units_are() -> None:
    """Positions are characters, whatever their bytes; blank lines and lines of signs alone are no lines."""
    text = "\n日本語の行\n  second 行\n \u3000\n***\n\nlast…"
    assert found(text, min_paragraph=1) == [
        (LINE, "日本語の行"),
        (LINE, "  second 行"),
        (PARAGRAPH, "日本語の行\n  second 行"),
        (LINE, "last…"),
        (PARAGRAPH, "last…"),
    ]


@pytest.mark.parametrize(("limit", "is_found"), [(9, True), (10, False)])
def test_limits_count_the_normal_form(limit: int, is_found: bool) -> None:
    """`read more` has nine characters, and so have both lines of a paragraph together, the line break not counted."""
    assert found("“ Read   more! ”", min_line=limit) == [(LINE, "“ Read   more! ”")] * is_found
    assert found("read\nmores…", min_line=None, min_paragraph=limit) == [(PARAGRAPH, "read\nmores…")] * is_found


@pytest.mark.parametrize("text", ["", "\n", "\n\n\n", " ", "…\n—"])
def test_no_units(text: str) -> None:
    assert found(text, min_line=0, min_paragraph=0) == []


def test_rows_are_those_of_the_batch() -> None:
    texts = pa.array(["", "a\nb", "", "c"], pa.large_string())
    assert find_units(texts, 1, None).rows.tolist() == [1, 1, 3]
    assert find_units(texts.slice(2), 1, None).rows.tolist() == [1]
    assert find_units(pa.array([], pa.large_string()), 1, 1).rows.tolist() == []

"""Where exactly a text is cut. In these tests, ⟦…⟧ is a repeated substring, ⟪…⟫ a repeated line or lines."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datassay.corpus.edits import edited
from datassay.dedup.cut import cut_spans, read_cuts
from datassay.dedup.repeats import CUT
from datassay.dedup.units import KINDS, LINE, PARAGRAPH, SUBSTRING

Place = tuple[int, int, int, int]


def cut_table(places: list[Place]) -> pa.Table:
    """places: (kind, row, start, end) of each cut."""
    if not places:
        return CUT.empty_table()
    kinds, rows, starts, ends = (list(column) for column in zip(*places, strict=True))
    return pa.table([kinds, rows, starts, ends, range(len(places)), [2] * len(places)], CUT)


def cut(text: str, places: list[tuple[int, int, int]], fragment: float = 0.1, min_tokens: int = 50) -> str:
    """places: (kind, start, end) of each cut."""
    table = cut_table([(kind, 0, start, end) for kind, start, end in places])
    rows = table["row"].to_numpy().astype(np.int64)
    spans = cut_spans(pa.array([text], pa.large_string()), rows, table, min_tokens=min_tokens, fragment=fragment)
    return edited(text, list(zip(spans.starts.tolist(), spans.ends.tolist(), spans.replacements.tolist(), strict=True)))


def cut_marked(marked: str, fragment: float = 0.1) -> str:
    """The text after the cuts that are marked in it."""
    places, text = [], ""
    for part in re.findall(r"⟦.*?⟧|⟪.*?⟫|[^⟦⟪]+", marked, re.DOTALL):
        if part[0] in "⟦⟪":
            places.append((SUBSTRING if part[0] == "⟦" else LINE, len(text), len(text) + len(part) - 2))
            part = part[1:-1]
        text += part
    return cut(text, places, fragment)


@pytest.mark.parametrize(
    ("marked", "left"),
    [
        ("⟪all⟫", ""),
        ("⟪first⟫\nb\nc", "b\nc"),
        ("a\n⟪line⟫\nc", "a\nc"),
        ("a\nb\n⟪last⟫", "a\nb"),
        ("a\n\n⟪line⟫\n\nc", "a\n\nc"),
        ("a\n\n⟪line⟫\nc", "a\n\nc"),
        ("a\n⟪line⟫\n\nc", "a\n\nc"),
        ("⟪first⟫\n\nb", "b"),
        ("a\n\n⟪last⟫", "a"),
        ("a\n⟪one⟫\n⟪two⟫\nc", "a\nc"),
        ("a\n⟪one⟫\n\n⟪two⟫\nc", "a\n\nc"),  # two paragraphs stay two
        ("a\n\n⟪one⟫\n⟪two⟫\n\nc", "a\n\nc"),
        ("a\n\n⟪one⟫\n\n⟪two⟫\nc", "a\n\nc"),
        ("a\n⟪line⟫\n    indented", "a\n    indented"),
        ("a\n⟪one⟫\nb\n⟪two⟫\nc", "a\nb\nc"),
    ],
)
def test_lines_go_with_a_line_break(marked: str, left: str) -> None:
    assert cut_marked(marked) == left


@pytest.mark.parametrize(
    ("marked", "left"),
    [
        ("He said ⟦all of it⟧ again.", "He said again."),
        ("He said ⟦all of it⟧. And more.", "He said And more."),
        ("He said (⟦all of it⟧) and more.", "He said and more."),
        ("He said – ⟦all of it⟧ – and more.", "He said – – and more."),
        ("a,⟦all of it⟧;b", "a,b"),
        ("前文。⟦全部重复⟧。后文", "前文。后文"),
        ("- ⟦all of it⟧ and more", "and more"),  # with the list mark
        ("more of ⟦all of it⟧!…", "more of"),
        ("* ⟦all of it⟧ *\nnext", "next"),
        ("a line\n⟦all of it⟧ rest of it", "a line\nrest of it"),
        ("one ⟦all of it⟧\n\nnext", "one\n\nnext"),
        ("one ⟦end of it.\nStart of⟧ two", "one\ntwo"),  # two lines stay two
        ("one ⟦end of it.\n\nStart of⟧ two", "one\n\ntwo"),
        ("one ⟦end of it.\n\nStart of⟧\ntwo", "one\n\ntwo"),
        ("one ⟦end of\nit. Start of⟧\n\ntwo", "one\n\ntwo"),
        ("one ⟦end of it.\nStart of\n⟧two words", "one\ntwo words"),
        ("one ⟦this⟧, – ⟦that⟧ two", "one two"),  # no word between
        ("one ⟦this⟧ and ⟦that⟧ two", "one and two"),
        ("price ⟦all of it⟧ $ 5", "price $ 5"),
        ("ก⟦ที่นี่⟧ข", "กข"),
    ],
)
def test_substrings_are_cut_between_words(marked: str, left: str) -> None:
    assert cut_marked(marked, fragment=0) == left


@pytest.mark.parametrize(
    ("marked", "left"),
    [
        # 18 letters, of which 2 (.11) or 1 (.06) would stay
        ("a\n⟦abcdefghi abcdefg⟧ xx\nb", "a\nxx\nb"),
        ("a\n⟦abcdefghi abcdefgh⟧ x\nb", "a\nb"),
        # the whole first line and 1 or 2 letters of 18 of the second
        ("⟦all of it\na⟧ bcdefghi bcdefghij", "a bcdefghi bcdefghij"),
        ("⟦all of it\nab⟧ cdefghi bcdefghij", "cdefghi bcdefghij"),
        # two fragments of one line count together
        ("one\nx ⟦abcdefghi abcdefgh⟧ x\nb", "one\nx x\nb"),
    ],
)
def test_hardly_anything_of_a_line_is_nothing(marked: str, left: str) -> None:
    assert cut_marked(marked) == left


@pytest.mark.parametrize(("n", "is_little"), [(49, True), (50, False)])
def test_a_small_share_of_a_long_line_may_be_much(n: int, is_little: bool) -> None:
    """Less than a tenth of the line would go, or stay: that is little if these are fewer than 50 characters."""
    little, much = "x" * n, "y" * 1000
    assert cut_marked(f"⟦all of it\n{little}⟧ {much}") == (f"{little} {much}" if is_little else much)
    assert cut_marked(f"first\n{little} ⟦{much}⟧") == ("first" if is_little else f"first\n{little}")


def test_a_paragraph_counts_before_a_line_and_a_line_before_a_substring() -> None:
    text = "one two\nthree four\nfive six\n\nlast"
    places = [(SUBSTRING, 0, 27), (LINE, 8, 18), (PARAGRAPH, 8, 27)]
    table = cut_table([(kind, 0, start, end) for kind, start, end in places])
    spans = cut_spans(pa.array([text]), np.zeros(3, np.int64), table, min_tokens=10, fragment=0.1)
    assert [KINDS[kind] for kind in spans.kinds] == ["substring", "paragraph"]
    assert [(int(a), int(b)) for a, b in zip(spans.starts, spans.ends, strict=True)] == [(0, 8), (8, 29)]


def test_words_around_a_cut_without_blanks_stay_two() -> None:
    """In Thai and Chinese, words of Latin letters may stand right beside others."""
    assert cut_marked("aaaaaaaa⟦ก中ก⟧bbbbbbbb", fragment=0) == "aaaaaaaa bbbbbbbb"
    assert cut_marked("กกกก⟦abc⟧中中中中", fragment=0) == "กกกก中中中中"
    assert cut_marked("aaaaaaaa ⟦bb cc⟧ dddddddd", fragment=0) == "aaaaaaaa dddddddd"


@given(st.text("ab.(, \n中ก", max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), max_size=4))
def test_the_words_that_are_left_are_those_outside_the_spans(text: str, wanted: list[tuple[int, int]]) -> None:
    """With exact cuts: whole, in order, and with no more empty lines between them."""
    text = re.sub("\n{3,}", "\n\n", text).strip()
    words = [match.span() for match in re.finditer("[ab]+|[中ก]", text)]
    spans = [(a % len(words), min(a % len(words) + n, len(words))) for a, n in wanted if words]
    gone = {i for first, stop in spans for i in range(first, stop)}
    after = cut(text, [(SUBSTRING, words[first][0], words[stop - 1][1]) for first, stop in spans], fragment=0)
    assert re.findall("[ab]+|[中ก]", after) == [text[slice(*word)] for i, word in enumerate(words) if i not in gone]
    assert "\n\n\n" not in after


def test_cuts_that_overlap_are_one() -> None:
    """Substrings only, and of one document; the smallest key speaks for all. Batches come in any order."""
    places = [(SUBSTRING, 0, 5, 20), (SUBSTRING, 0, 0, 10), (SUBSTRING, 0, 20, 30), (SUBSTRING, 0, 31, 40)]
    others = [(LINE, 0, 0, 10), (LINE, 0, 10, 20), (SUBSTRING, 1, 0, 10), (PARAGRAPH, 0, 0, 20)]
    batches = [batch for some in (places, others) for batch in cut_table(some).to_batches()]
    rows = read_cuts(batches).to_pylist()
    found = [(KINDS[row["kind"]], row["row"], row["start"], row["end"], row["key"]) for row in rows]
    assert found == [
        ("line", 0, 0, 10, 0),
        ("line", 0, 10, 20, 1),
        ("paragraph", 0, 0, 20, 3),
        ("substring", 0, 0, 30, 0),
        ("substring", 0, 31, 40, 3),
        ("substring", 1, 0, 10, 2),
    ]
    assert read_cuts([]).num_rows == 0

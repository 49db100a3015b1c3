"""Two texts against each other, in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datassay.cli import difference
from datassay.cli.difference import (
    N_CHANGES,
    N_COMPARED,
    N_CONTEXT,
    N_RUN,
    Piece,
    as_text,
    notes,
    word_difference,
    words,
)


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ("the old grey cat sat", "the old cat sat down", "the old [-grey-] cat sat {+down+}"),
        ("a b", "a b", "a b"),
        ("a  b\n", " a b", "a  b"),  # white space is not compared
        ("", "a b", "{+a b+}"),
        ("a b", "", "[-a b-]"),
        ("", "", ""),
        ("A b", "a b", "[-A-] {+a+} b"),
        ("人人生而自由", "人人而自由了", "人人[-生-]而自由{+了+}"),
        ("ที่ดี", "ที่ดีมาก", "ที่ดี{+มาก+}"),
        ("one\n\n \ntwo three", "one two four", "one\ntwo [-three-]{+four+}"),
    ],
)
def test_words_that_differ_are_marked(first: str, second: str, shown: str) -> None:
    assert as_text(word_difference(first, second)) == shown


def test_marks_stay_with_their_character() -> None:
    assert words("ที่ดี") == ["ที่", "ดี"]
    assert words(" \n a\u0301 b") == ["a\u0301 ", "b"]


@given(*[st.text(alphabet="ab \n人ี", max_size=40)] * 2)
def test_nothing_is_lost_between_the_pieces(first: str, second: str) -> None:
    found = word_difference(first, second)
    for text, kinds in ((first, ("same", "gone")), (second, ("same", "new"))):
        shown = "".join(piece.text for piece in found.pieces if piece.kind in kinds)
        n_hidden = sum(piece.n_hidden for piece in found.pieces if piece.kind in kinds)
        assert len(words(shown)) + n_hidden == len(words(text)) or "ี" in text  # a mark may join what a change parted
        if not n_hidden:
            assert "".join(shown.split()) == "".join(text.split())


def test_what_is_alike_is_shortened() -> None:
    """Of 40 words before, 40 between and 40 after two changes, 8 are shown on each side of a change."""
    first = [f"w{i}" for i in range(122)]
    second = [*first]
    second[40], second[81] = "x", "y"
    pieces = word_difference(" ".join(first), " ".join(second)).pieces
    assert [(p.kind, len(p.text.split()), p.n_hidden) for p in pieces] == [
        ("same", 0, 40 - N_CONTEXT),
        ("same", N_CONTEXT, 0),
        ("gone", 1, 0),
        ("new", 1, 0),
        ("same", N_CONTEXT, 40 - 2 * N_CONTEXT),
        ("same", N_CONTEXT, 0),
        ("gone", 1, 0),
        ("new", 1, 0),
        ("same", N_CONTEXT, 40 - N_CONTEXT),
    ]


def test_a_long_change_is_shortened() -> None:
    n_words = N_RUN + N_CONTEXT
    (piece,) = word_difference("", "w " * n_words).pieces
    assert (len(piece.text.split()), piece.n_hidden) == (n_words, 0)
    (piece,) = word_difference("", "w " * (n_words + 1)).pieces
    assert (len(piece.text.split()), piece.n_hidden) == (N_RUN, N_CONTEXT + 1)
    assert as_text(word_difference("", "w " * (n_words + 1))).endswith(" w … 9 more words …+}")


def test_changes_are_counted_where_there_are_too_many_to_show() -> None:
    first = [word for i in range(N_CHANGES + 5) for word in (f"a{i}", "x", "y", "z")]
    second = ["b" if word.startswith("a") else word for word in first]
    found = word_difference(" ".join(first), " ".join(second))
    assert sum(piece.kind == "gone" for piece in found.pieces) == N_CHANGES // 2  # a change is a word gone, a word new
    assert found.n_gone == found.n_new == N_CHANGES + 5
    assert notes(found) == [f"{2 * (N_CHANGES + 5) - N_CHANGES} more changes"]


def test_words_beyond_the_bound_are_not_compared_and_counted() -> None:
    middle = [f"w{i}" for i in range(N_COMPARED)]
    first, second = ["x", *middle, "end"], ["y", "z", *middle, "stop"]
    found = word_difference(" ".join(first), " ".join(second))
    assert (found.n_gone, found.n_new) == (1, 2)
    # 2 and 3 words after the first 3,000, and the 1 that the first has before its cut and the second behind
    assert notes(found) == ["the last 6 words of both were not compared"]


def test_a_word_by_chance_does_not_part_a_long_change() -> None:
    found = word_difference("a b c and d e f", "g h i and j k l")
    assert [(piece.kind, piece.text.strip()) for piece in found.pieces] == [
        ("gone", "a b c and d e f"),
        ("new", "g h i and j k l"),
    ]
    assert as_text(word_difference("a and b", "c and d")) == "[-a-] {+c+} and [-b-]{+d+}"


def test_texts_without_a_difference_say_so() -> None:
    assert notes(word_difference("a b", "a  b")) == ["word for word the same"]
    assert notes(word_difference("a b", "a c")) == []


@pytest.mark.parametrize(("n", "said"), [(1, "1 more word"), (1200, "1,200 more words")])
def test_hidden_words_are_counted(n: int, said: str) -> None:
    assert difference.hidden(Piece("same", "", n)) == said

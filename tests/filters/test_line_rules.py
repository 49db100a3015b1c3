"""Lines that C4 and RefinedWeb cut: at each limit and one step beyond, as spans of the text."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datassay.corpus.edits import edited
from datassay.filters.kernel import measure
from datassay.filters.line_rules import LINE_PRESETS, cut_word_counts, line_edits, word_counts


def cut(text: str, preset: str, without: Sequence[str] = ()) -> tuple[str, list[str]]:
    """What a preset leaves of a text, and the rules that cut."""
    cuts = line_edits(pa.array(["x"]), pa.array([text]), preset, without=without)
    spans = zip(*(cuts.edits[name].to_pylist() for name in ("start", "end", "replacement")), strict=True)
    return edited(text, list(spans)), [rule.removeprefix(f"{preset}/") for rule in cuts.edits["rule"].to_pylist()]


GOOD = "This line has five words."


@pytest.mark.parametrize(
    ("line", "paper", "code"),
    [
        (GOOD, [], []),
        ("Only four words here.", ["words"], []),
        ("Just three words.", ["words"], []),
        ("Two words.", ["words"], ["words"]),
        ("This line has no end at all", ["terminal_punctuation"], ["terminal_punctuation"]),
        ("This line here trails off...", ["terminal_punctuation"], ["terminal_punctuation"]),
        ("Does this line end well?", [], []),
        ("This line does end well!", [], []),
        ('He said "five words here"', [], []),
        ("This one ends in 'apostrophe'", ["terminal_punctuation"], []),
        ("Please enable JavaScript in your browser.", ["javascript"], ["javascript"]),
        ("You accept our Privacy Policy by reading.", ["policy"], ["policy"]),
        ("A word of " + "x" * 1000 + " is kept here.", [], []),
        ("A word of " + "x" * 1001 + " is not kept.", ["long_word"], ["long_word"]),
        ("Seen in four words.[12][edit][citation needed]", ["words"], ["citation"] * 3),
        ("[12] One two three four.", ["words"], ["citation"]),  # five words with the mark, which the paper leaves out
        ("One two three four five. [12]", ["terminal_punctuation"], ["terminal_punctuation"]),  # a space stays behind
        ("   Indented lines count as they are.   ", [], []),
    ],
)
def test_c4_lines(line: str, paper: list[str], code: list[str]) -> None:
    for preset, expected in (("c4-paper", paper), ("c4-code", code)):
        left, rules = cut(f"{GOOD}\n{line}\n{GOOD}", preset)
        assert rules == expected, preset
        kept = re.sub(r"\[.*\]", "", line) if "citation" in rules else "" if rules else line
        assert left == "\n".join(part for part in (GOOD, kept, GOOD) if part)


def test_rules_can_be_left_out() -> None:
    text = f"{GOOD}\nThis line has no end at all\nWe use cookies on our pages.[3]"
    assert cut(text, "c4-paper", ["terminal_punctuation"])[1] == ["policy"]
    assert cut(text, "c4-paper", ["terminal_punctuation", "policy"])[1] == ["citation"]
    assert cut(text, "c4-paper", [rule.name for rule in LINE_PRESETS["c4-paper"].rules]) == (text, [])


@pytest.mark.parametrize(
    ("line", "left", "rules"),
    [
        ("ABCde fg", None, []),  # 3 of 8
        ("ABCde", "", ["upper_case"]),  # 3 of 5
        ("AB cdef gh", None, []),
        ("ABCD efgh", None, []),  # 4 of 9
        ("ABCDE fghi", None, []),  # half of the characters exactly
        ("ABCDEF ghij", "", ["upper_case"]),
        ("20240101", "", ["digits"]),
        ("2024-01-01 is", None, []),
        ("word", "", ["words"]),
        ("two words", None, []),
        ("3 likes", "", ["counter"]),
        ("1,234 Shares!", "", ["counter"]),
        ("(5k   views)", "", ["counter"]),
        ("3 likes and more", None, []),
        ("no likes", None, []),
        ("you have 4 items in cart", "you have 4", ["phrase"]),
        ("items in cart", "", ["phrase"]),
        ("one two three four five six seven eight items in cart", None, []),  # eleven words
        ("one two three four five six seven items in cart", "one two three four five six seven", ["phrase"]),
        ("The news of today. Read more...", "The news of today.", ["phrase"]),
        ("The news of today. READ MORE…", "The news of today.", ["phrase"]),
        ("Read more... of this", None, []),
        ("Sign-in to see it", "to see it", ["phrase"]),
        ("Please Sign-in now", None, []),
    ],
)
def test_refinedweb_lines(line: str, left: str | None, rules: list[str]) -> None:
    before, after = "a line before it", "a line after it"
    found, by = cut(f"{before}\n{line}\n{after}", "refinedweb")
    assert by == rules
    kept = line if left is None else left
    assert found == "\n".join(part for part in (before, kept, after) if part)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", ""),
        ("\n\n", "\n\n"),
        ("word", ""),
        ("a b\n\nword\n\nc d", "a b\n\nc d"),  # one blank line stays, not two
        ("a b\nword\n\nc d", "a b\n\nc d"),
        ("a b\n\nword\nc d", "a b\n\nc d"),
        ("a b\n\nword\nother\n\nc d", "a b\n\nc d"),
        ("word\n\na b", "a b"),
        ("a b\n\nword", "a b"),
        ("a b\r\nword\r\nc d", "a b\r\nc d"),
        ("a b\u2028word\u2028c d", "a b\u2028c d"),
    ],
)
def test_a_line_goes_without_a_gap(text: str, left: str) -> None:
    assert cut(text, "refinedweb")[0] == left


def plain_c4(text: str) -> str:
    """datatrove's C4 rules on lines, in plain Python, of a text whose only line breaks are \\n."""
    kept = []
    for line in text.split("\n"):
        stripped = line.strip()
        words = stripped.split()
        left = re.sub(r"\[\d*]|\[edit]|\[citation needed]", "", stripped)
        if any(len(word) > 1000 for word in words) or len(words) < 3:
            continue
        if not left.endswith((".", "?", "!", '"', "'")) or left.endswith("..."):
            continue
        lower = line.lower()
        phrases = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
        if "javascript" in lower or any(phrase in lower for phrase in phrases):
            continue
        kept.append(left)
    return "\n".join(kept)


PARTS = st.sampled_from(
    [
        *("word ", "two words ", "\n", "\n\n", ". ", ".", "...", "!", "'", '"', "[1]", "[edit]", "[", "世界", "É"),
        *("javascript ", "JavaScript", "use cookies ", "privacy policy", "terms of use. ", "x" * 999 + " ", "x" * 1001),
    ]
)


@given(st.lists(PARTS, max_size=25).map("".join))
def test_c4_lines_as_in_plain_python(text: str) -> None:
    left, _ = cut(text, "c4-code")
    lines = [line.strip() for line in left.split("\n") if line.strip()]
    assert "\n".join(lines) == plain_c4(text)


@given(st.lists(st.one_of(PARTS, st.text(max_size=8)), max_size=20).map("".join))
def test_words_are_those_of_the_signals(text: str) -> None:
    texts = pa.array([text], pa.large_string())
    assert word_counts(texts)[0] == measure(texts)["word_count"][0]
    for preset in LINE_PRESETS:
        cuts = line_edits(pa.array(["x"]), texts, preset)
        assert 0 <= cut_word_counts(texts, cuts)[0] <= word_counts(texts)[0]
        spans = zip(cuts.edits["start"].to_pylist(), cuts.edits["end"].to_pylist(), strict=True)
        assert all(0 <= start < end <= len(text) for start, end in spans)


def test_cut_words_by_hand() -> None:
    texts = pa.array(["five words are in here\nONE TWO\n3 likes", "", "nothing goes here"])
    cuts = line_edits(pa.array(["a", "b", "c"]), texts, "refinedweb")
    assert cuts.rows.tolist() == [0, 0]
    assert cut_word_counts(texts, cuts).tolist() == [4, 0, 0]
    assert word_counts(texts).tolist() == [9, 0, 3]

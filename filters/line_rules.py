"""Lines that published methods cut from a page, as spans: C4's line rules and RefinedWeb's line-wise corrections.

C4 (Raffel et al. 2020, section 2.2) keeps a line if it is long enough, ends in punctuation, and speaks neither of
javascript nor of cookies and terms, and takes citation marks out of it. The figures differ between the paper's code and
datatrove, see `filters.c4`. RefinedWeb (Penedo et al. 2023, arXiv:2306.01116, appendix G.2) corrects pages line by
line; the figures are those with which DCLM rebuilt it: lines that are mostly upper case, all digits, a counter ("3
likes") or a single word go, and so do three phrases of page furniture in lines of at most ten words. A page that loses
more than a twentieth of its words goes as a whole, which is a rule over `refinedweb_cut_word_fraction`.

A line goes with its line break; a line between blank lines takes the blank lines after it along, so that no gap stays.
White space at both ends of a line is not looked at. DCLM's pattern takes any three characters for the dots of "Read
more..."; here they are dots, or an ellipsis.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled
from datassay.corpus.edits import EDIT, merge
from datassay.corpus.unicode import DIGIT, SPACE, TABLES, UPPER, Tables, decode, text_buffers
from datassay.corpus.words import WORD, read_token
from datassay.filters.lines import (
    C4_MAX_WORD_CHARS,
    JAVASCRIPT,
    POLICY,
    citation_end,
    ends_well,
    line_end,
    phrases_in,
    read_c4_line,
    strip_line,
)


@dataclass(frozen=True, slots=True)
class LineRule:
    """A reason for which a line, or a part of it, goes."""

    name: str
    cuts: str
    """What it cuts, for the docs."""


@dataclass(frozen=True, slots=True)
class LinePreset:
    """The line rules of a published method."""

    rules: tuple[LineRule, ...]
    """In the order in which they are tried: the first that holds is named as the reason."""
    source: str
    min_words: int
    """A line of fewer runs of characters between white space goes."""
    apostrophe_ends: bool = False
    """Whether ' ends a line well, as . ? ! and " do."""
    counts_without_citations: bool = False
    """Whether citation marks are taken out before words are counted."""


def _c4_rules(min_words: int, ends: str) -> tuple[LineRule, ...]:
    return (
        LineRule("long_word", f"lines with a word of more than {C4_MAX_WORD_CHARS} characters"),
        LineRule("words", f"lines of fewer than {min_words} words"),
        LineRule("terminal_punctuation", f"lines that do not end in one of {ends}, or that end in ..."),
        LineRule("javascript", "lines with the word javascript"),
        LineRule("policy", "lines with a phrase on cookies, privacy or terms of use"),
        LineRule("citation", "[12], [], [edit] and [citation needed] in lines that stay"),
    )


LINE_PRESETS: Mapping[str, LinePreset] = {
    "c4-paper": LinePreset(
        _c4_rules(5, '. ? ! "'), "Raffel et al. 2020, section 2.2", min_words=5, counts_without_citations=True
    ),
    "c4-code": LinePreset(_c4_rules(3, ". ? ! \" '"), "datatrove, C4QualityFilter", min_words=3, apostrophe_ends=True),
    "refinedweb": LinePreset(
        (
            LineRule("upper_case", "lines of which more than half of the characters are upper-case letters"),
            LineRule("digits", "lines of digits alone"),
            LineRule("words", "lines of one word"),
            LineRule("counter", "lines that count likes, shares, comments, views and the like"),
            LineRule("phrase", "items in cart, Read more... at the end and Sign-in at the beginning of short lines"),
        ),
        "Penedo et al. 2023, appendix G.2, with DCLM's figures",
        min_words=2,
    ),
    "citations": LinePreset(
        (LineRule("citation", "[12], [], [edit] and [citation needed]"),),
        "Raffel et al. 2020, section 2.2",
        min_words=0,
    ),
}

KERNEL_RULES = (
    "long_word",
    "upper_case",
    "digits",
    "words",
    "terminal_punctuation",
    "javascript",
    "policy",
    "citation",
)
"""Reasons by number, from 1, in the compiled functions; `counter` and `phrase` are found by regular expressions."""
LONG_WORD, UPPER_CASE, DIGITS, WORDS, END, SCRIPT, POLICIES, CITATION = range(1, len(KERNEL_RULES) + 1)

_COUNTED = "likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes|downloads|views|followers"
_MAY_HOLD = f"(?i){_COUNTED}|items in cart|read more|sign-in"  # for RE2
_COUNTER = re.compile(rf"^[^\w\n]*\d[,.\d]*[kmb]?[^\S\n]+(?:{_COUNTED})[^\w\n]*$", re.I | re.M)
_PHRASE = re.compile(
    r"[^\S\n]?items in cart|[^\S\n]?read more(?:\.\.\.|…)(?=[^\S\n]*$)|^[^\S\n]*sign-in[^\S\n]?", re.I | re.M
)
MAX_PHRASE_WORDS = 10
"""Words of a line in which page furniture is looked for."""


class Limits(NamedTuple):
    """A preset's figures, in the form that compiled functions take."""

    is_on: NDArray[np.bool_]  # (reasons,), by number
    min_words: int
    apostrophe_ends: bool
    counts_without_citations: bool


class Cuts(NamedTuple):
    """Spans that go, in order of text and place."""

    rows: NDArray[np.int64]
    """(spans,), the text of each"""
    edits: pa.Table
    """(spans,) of EDIT"""


def line_edits(ids: pa.Array, texts: pa.Array, preset: str, *, without: Sequence[str] = ()) -> Cuts:
    """What the rules of a preset cut out of texts, but for those named in `without`."""
    found = LINE_PRESETS[preset]
    names = [rule.name for rule in found.rules if rule.name not in without]
    limits = Limits(
        np.array([False, *(name in names for name in KERNEL_RULES)]),
        found.min_words,
        found.apostrophe_ends,
        found.counts_without_citations,
    )
    rows, starts, ends, reasons = _kernel_cuts(texts, limits)
    rules = np.array(["", *(f"{preset}/{name}" for name in KERNEL_RULES)], object)[reasons]
    furniture = list(_furniture(texts, names))
    rows = np.concatenate([rows, np.array([row for row, *_ in furniture], np.int64)])
    starts = np.concatenate([starts, np.array([span[0] for _, span, _ in furniture], np.int64)])
    ends = np.concatenate([ends, np.array([span[1] for _, span, _ in furniture], np.int64)])
    rules = np.concatenate([rules, np.array([f"{preset}/{name}" for *_, name in furniture], object)])
    edits = [ids.take(pa.array(rows)), starts, ends, pa.array(rules, pa.string()), pa.repeat("", len(rows))]
    return Cuts(*merge(rows, pa.table(edits, schema=EDIT)))


def word_counts(texts: pa.Array) -> NDArray[np.int64]:
    """Words of each text, as the signal `word_count` counts them."""
    counts: NDArray[np.int64] = _count_words(*text_buffers(texts), TABLES)
    return counts


def cut_word_counts(texts: pa.Array, cuts: Cuts) -> NDArray[np.int64]:
    """Words of each text that begin in a span that goes, whatever comes in its place."""
    starts, ends = cuts.edits["start"].to_numpy(), cuts.edits["end"].to_numpy()
    counts: NDArray[np.int64] = _count_cut_words(*text_buffers(texts), TABLES, cuts.rows, starts, ends)
    return counts


def _furniture(texts: pa.Array, names: Sequence[str]) -> Iterator[tuple[int, tuple[int, int], str]]:
    """(row of the text, span, rule) of counters and phrases of page furniture, where `names` has these rules."""
    if not {"counter", "phrase"} & set(names):
        return
    for row in np.flatnonzero(pc.match_substring_regex(texts, _MAY_HOLD)):
        text = texts[int(row)].as_py()
        if "counter" in names:
            for match in _COUNTER.finditer(text):
                yield int(row), (match.start(), min(match.end() + 1, len(text))), "counter"
        if "phrase" in names:
            for match in _PHRASE.finditer(text):
                start, end = text.rfind("\n", 0, match.start()) + 1, text.find("\n", match.end())
                line = text[start:] if end < 0 else text[start : end + 1]
                if len(line.split()) <= MAX_PHRASE_WORDS:
                    is_all = not _PHRASE.sub("", line).strip()
                    yield int(row), (start, start + len(line)) if is_all else match.span(), "phrase"


def _kernel_cuts(
    texts: pa.Array, limits: Limits
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(text, start, end, reason) of each span that the compiled rules cut."""
    offsets, data = text_buffers(texts)
    spans = np.empty((_most_cuts(data[offsets[0] : offsets[-1]]) + len(texts), 4), np.int64)
    n = _find_cuts(offsets, data, TABLES, limits, spans)
    return spans[:n, 0], spans[:n, 1], spans[:n, 2], spans[:n, 3]


@compiled
def _most_cuts(data: NDArray[np.uint8]) -> int:
    """Line breaks and opening brackets in UTF-8."""
    n, before = 0, np.uint8(0)
    for byte in data:
        is_latin_break = byte == 0x85 and before == 0xC2
        is_separator = (byte == 0xA8 or byte == 0xA9) and before == 0x80  # U+2028, U+2029, and a few others
        n += (0x0A <= byte <= 0x0D) or byte == 0x5B or is_latin_break or is_separator
        before = byte
    return n


@compiled
def _find_cuts(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], tables: Tables, limits: Limits, spans: NDArray[np.int64]
) -> int:
    """Write (text, start, end, reason) of each cut to `spans`, which has room for every line and bracket."""
    n_max = 1
    for d in range(len(offsets) - 1):
        n_max = max(n_max, offsets[d + 1] - offsets[d])
    codes, kinds = np.empty(n_max, np.int32), np.empty(n_max, np.uint16)
    n = 0
    for d in range(len(offsets) - 1):
        length = decode(data, offsets[d], offsets[d + 1], tables, codes, kinds)
        n = _cuts_of(d, codes[:length], kinds[:length], limits, spans, n)
    return n


@compiled
def _cuts_of(
    d: int, codes: NDArray[np.int32], kinds: NDArray[np.uint16], limits: Limits, spans: NDArray[np.int64], n: int
) -> int:
    """Add the cuts of text d to the n that `spans` holds; returns how many it holds then."""
    start, end = 0, len(codes)
    is_after_blank = True  # the last line that stays is blank, or there is none
    is_last_cut = False  # the last line goes, and the blank lines that follow too if it stood between blank lines
    while start < end:
        after = min(line_end(codes, kinds, start) + 1, end)
        first, last = strip_line(kinds, start, after)
        if first == last:
            if is_last_cut and is_after_blank:
                spans[n - 1, 2] = after
            else:
                is_after_blank = True
            start = after
            continue
        reason = _reason(codes, kinds, first, last, limits)
        is_last_cut = reason > 0
        if reason:
            spans[n] = (d, start, after, reason)
            n += 1
        else:
            is_after_blank = False
            if limits.is_on[CITATION]:
                n = _cite(d, codes, kinds, first, last, spans, n)
        start = after
    return n


@compiled
def _cite(
    d: int,
    codes: NDArray[np.int32],
    kinds: NDArray[np.uint16],
    start: int,
    end: int,
    spans: NDArray[np.int64],
    n: int,
) -> int:
    """Add the citation marks of a line."""
    i = start
    while i < end:
        stop = citation_end(codes, kinds, i, end) if codes[i] == 0x5B else i
        if stop > i:
            spans[n] = (d, i, stop, CITATION)
            n += 1
        i = max(stop, i + 1)
    return n


@compiled
def _reason(codes: NDArray[np.int32], kinds: NDArray[np.uint16], start: int, end: int, limits: Limits) -> int:
    """Why the line codes[start:end] goes, white space at its ends taken off; 0 if it stays."""
    is_on = limits.is_on
    if is_on[LONG_WORD] | is_on[UPPER_CASE] | is_on[DIGITS]:
        n_upper, n_digits, longest, run = 0, 0, 0, 0
        for i in range(start, end):
            n_upper += kinds[i] & UPPER != 0
            n_digits += kinds[i] & DIGIT != 0
            run = 0 if kinds[i] & SPACE else run + 1
            longest = max(longest, run)
        if is_on[LONG_WORD] and longest > C4_MAX_WORD_CHARS:
            return LONG_WORD
        if is_on[UPPER_CASE] and 2 * n_upper > end - start:
            return UPPER_CASE
        if is_on[DIGITS] and n_digits == end - start:
            return DIGITS
    if is_on[WORDS] | is_on[END]:
        n_words, _, left = read_c4_line(codes, kinds, start, end)
        if is_on[WORDS] and (left.n_words if limits.counts_without_citations else n_words) < limits.min_words:
            return WORDS
        if is_on[END] and not ends_well(left, limits.apostrophe_ends):
            return END
    if is_on[SCRIPT] | is_on[POLICIES]:
        phrases = phrases_in(codes, start, end)
        if is_on[SCRIPT] and phrases & JAVASCRIPT:
            return SCRIPT
        if is_on[POLICIES] and phrases & POLICY:
            return POLICIES
    return 0


@compiled
def _count_words(offsets: NDArray[np.int64], data: NDArray[np.uint8], tables: Tables) -> NDArray[np.int64]:
    counts = np.zeros(len(offsets) - 1, np.int64)
    n_max = 1
    for d in range(len(counts)):
        n_max = max(n_max, offsets[d + 1] - offsets[d])
    codes, kinds = np.empty(n_max, np.int32), np.empty(n_max, np.uint16)
    for d in range(len(counts)):
        n = decode(data, offsets[d], offsets[d + 1], tables, codes, kinds)
        counts[d] = _words_in(codes, kinds, 0, n)
    return counts


@compiled
def _count_cut_words(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    tables: Tables,
    rows: NDArray[np.int64],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> NDArray[np.int64]:
    counts = np.zeros(len(offsets) - 1, np.int64)
    n_max = 1
    for d in range(len(counts)):
        n_max = max(n_max, offsets[d + 1] - offsets[d])
    codes, kinds = np.empty(n_max, np.int32), np.empty(n_max, np.uint16)
    decoded = -1
    for s in range(len(rows)):
        d = rows[s]
        if d != decoded:
            decode(data, offsets[d], offsets[d + 1], tables, codes, kinds)
            decoded = d
        counts[d] += _words_in(codes, kinds, starts[s], ends[s])
    return counts


@compiled
def _words_in(codes: NDArray[np.int32], kinds: NDArray[np.uint16], start: int, end: int) -> int:
    """Words of codes[start:end]."""
    n, i = 0, start
    while i < end:
        if kinds[i] & SPACE:
            i += 1
            continue
        i, _, flags = read_token(codes, kinds, i, end)
        n += (flags & WORD) != 0
    return n

"""Facts about the lines, paragraphs and sentences of a document, and what C4's line rules would leave of it.

A line ends at any Unicode line break, and CR LF is one. White space at both ends of a line is not part of it; a line
of nothing else is blank, is not counted, and separates paragraphs. Sentences do not cross lines.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled
from datassay.corpus.unicode import BREAK, CLOSING, DIGIT, LETTER, LOWER, SPACE, TERMINAL, UPPER
from datassay.corpus.words import FNV_START, fnv_step, mix
from datassay.filters.interning import Interner, number_keys

LINE_COUNTS = np.dtype(
    [
        (name, np.int64)
        for name in (
            "line_count",
            "line_chars",  # of the lines that are counted, without the white space at their ends
            "newline_count",
            "bullet_line_count",
            "any_bullet_line_count",
            "ellipsis_line_count",
            "terminal_punctuation_line_count",
            "line_under_30_count",
            "line_up_to_30_count",
            "duplicate_line_count",
            "duplicate_line_chars",
            "paragraph_count",
            "duplicate_paragraph_count",
            "duplicate_paragraph_chars",
            "sentence_count",
            "javascript_line_count",
            "policy_line_count",
            "lorem_ipsum_line_count",
        )
    ]
)

C4_COUNTS = ("line_count", "sentence_count", "char_count")
"""What is counted of the lines that C4's line rules keep."""
C4_VARIANTS = {"c4": True, "c4_any_end": False}
"""Whether lines must end in punctuation."""
C4_MIN_WORDS = 5
"""Words of a line at least: the figure of the paper and the reference code."""
C4_MAX_WORD_CHARS = 1000

LOREM_IPSUM, JAVASCRIPT, POLICY = 1, 2, 4
PHRASES = {
    "lorem ipsum": LOREM_IPSUM,
    "javascript": JAVASCRIPT,
    "terms of use": POLICY,
    "privacy policy": POLICY,
    "cookie policy": POLICY,
    "uses cookies": POLICY,
    "use of cookies": POLICY,
    "use cookies": POLICY,
}
"""What C4 looks for in a line (Raffel et al. 2020, section 2.2), the case of ASCII letters ignored."""

_RAREST_FIRST = "jqzxvkbpygfwmucldrhsnioate"
_TRIGGERS = {phrase: min(phrase.replace(" ", ""), key=_RAREST_FIRST.index) for phrase in PHRASES}
_PHRASE_CODES = np.array([[*phrase.encode().ljust(16, b"\0")] for phrase in PHRASES], np.int32)  # (phrases, 16)
_PHRASE_LENGTHS = np.array([len(phrase) for phrase in PHRASES])
_PHRASE_FLAGS = np.array(list(PHRASES.values()))
_TRIGGER_OFFSETS = np.array([phrase.index(letter) for phrase, letter in _TRIGGERS.items()])
_IS_TRIGGER = np.array([chr(code).lower() in _TRIGGERS.values() for code in range(128)])
_CITATIONS = np.array([[*b"[edit]".ljust(17, b"\0")], [*b"[citation needed]"]], np.int32)
_CITATION_LENGTHS = np.array([6, 17])
_C4_NEEDS_END = np.array(list(C4_VARIANTS.values()))


class Room(NamedTuple):
    """The room that the lines, and then the paragraphs, of a document take."""

    line_keys: NDArray[np.uint64]
    line_chars: NDArray[np.int32]
    paragraph_keys: NDArray[np.uint64]
    paragraph_chars: NDArray[np.int32]
    numbers: NDArray[np.int32]


@compiled
def new_room(n_chars: int) -> Room:
    """Room for a document of that many characters."""
    n_lines = n_chars // 2 + 1
    return Room(
        np.empty(n_lines, np.uint64),
        np.empty(n_lines, np.int32),
        np.empty(n_lines, np.uint64),
        np.empty(n_lines, np.int32),
        np.empty(n_lines, np.int32),
    )


@compiled(_nrt=False)
def count_lines(
    text: NDArray[np.uint8],
    codes: NDArray[np.int32],
    kinds: NDArray[np.uint16],
    table: Interner,
    room: Room,
    out: Any,
    c4: NDArray[np.int64],
) -> None:
    """Count into `out`, a record of LINE_COUNTS, and `c4`, (variants, C4_COUNTS), what the module's tables name.

    text: the document in UTF-8; codes, kinds: decoded, see `unicode.decode`
    """
    may_hold_phrases, may_hold_brackets = _may_hold_phrases(text), _has_bracket(text)
    end = len(codes)
    n_lines, n_paragraphs, is_in_paragraph = 0, 0, False
    start = 0
    while start < end:
        stop = line_end(codes, kinds, start)
        out.newline_count += stop < end
        first, last = strip_line(kinds, start, stop)
        start = stop + 1
        if first == last:
            is_in_paragraph = False
            continue
        key = _line_hash(codes, first, last)
        room.line_keys[n_lines] = key
        room.line_chars[n_lines] = last - first
        n_lines += 1
        if not is_in_paragraph:
            room.paragraph_keys[n_paragraphs] = 0
            room.paragraph_chars[n_paragraphs] = -1  # a paragraph has one break less than lines
            n_paragraphs += 1
            is_in_paragraph = True
        room.paragraph_keys[n_paragraphs - 1] = mix(room.paragraph_keys[n_paragraphs - 1] + key)
        room.paragraph_chars[n_paragraphs - 1] += last - first + 1
        out.line_chars += last - first
        n_sentences = sentence_count(codes, kinds, first, last)
        phrases = phrases_in(codes, first, last) if may_hold_phrases else 0
        _count_line(codes, kinds, first, last, n_sentences, phrases, out)
        has_brackets = may_hold_brackets and _has_bracket(codes[first:last])
        _count_c4_line(codes, kinds, first, last, n_sentences, phrases, has_brackets, c4)
    out.line_count = n_lines
    out.duplicate_line_count, out.duplicate_line_chars = _duplicates(
        room.line_keys[:n_lines], room.line_chars, table, room.numbers
    )
    out.paragraph_count = n_paragraphs
    out.duplicate_paragraph_count, out.duplicate_paragraph_chars = _duplicates(
        room.paragraph_keys[:n_paragraphs], room.paragraph_chars, table, room.numbers
    )


@compiled(_nrt=False)
def _duplicates(
    keys: NDArray[np.uint64], chars: NDArray[np.int32], table: Interner, numbers: NDArray[np.int32]
) -> tuple[int, int]:
    """How many keys came before, and the characters of what they stand for."""
    n_distinct = number_keys(table, keys, numbers)
    n_seen, n_chars = 0, 0
    for i in range(len(keys)):
        if numbers[i] == n_seen:
            n_seen += 1
        else:
            n_chars += chars[i]
    return len(keys) - n_distinct, n_chars


@compiled(_nrt=False)
def _line_hash(codes: NDArray[np.int32], start: int, end: int) -> np.uint64:
    """64-bit hash of a line. Four chains of FNV-1a steps run side by side, since each waits for its multiplication."""
    a, b, c, d = FNV_START, mix(FNV_START), np.uint64(end - start), np.uint64(0)
    i = start
    while i + 4 <= end:
        a, b = fnv_step(a, codes[i]), fnv_step(b, codes[i + 1])
        c, d = fnv_step(c, codes[i + 2]), fnv_step(d, codes[i + 3])
        i += 4
    for j in range(i, end):
        a = fnv_step(a, codes[j])
    return mix(a + mix(b + mix(c + mix(d))))  # type: ignore[no-any-return]


@compiled(_nrt=False)
def line_end(codes: NDArray[np.int32], kinds: NDArray[np.uint16], start: int) -> int:
    for i in range(start, len(codes)):
        if kinds[i] & BREAK and not (codes[i] == 0x0D and i + 1 < len(codes) and codes[i + 1] == 0x0A):
            return i
    return len(codes)


@compiled(_nrt=False)
def strip_line(kinds: NDArray[np.uint16], start: int, end: int) -> tuple[int, int]:
    while start < end and kinds[start] & SPACE:
        start += 1
    while end > start and kinds[end - 1] & SPACE:
        end -= 1
    return start, end


@compiled(_nrt=False)
def _count_line(
    codes: NDArray[np.int32], kinds: NDArray[np.uint16], start: int, end: int, n_sentences: int, phrases: int, out: Any
) -> None:
    """Count one line, codes[start:end], white space at its ends taken off."""
    out.sentence_count += n_sentences
    out.bullet_line_count += codes[start] == 0x2022 or codes[start] == 0x2D  # • -
    out.any_bullet_line_count += is_bullet(codes[start])
    out.ellipsis_line_count += _ends_in_ellipsis(codes, start, end)
    out.terminal_punctuation_line_count += bool(kinds[end - 1] & TERMINAL) or _is_quotation_end(codes[end - 1])
    out.line_under_30_count += end - start < 30
    out.line_up_to_30_count += end - start <= 30
    out.lorem_ipsum_line_count += bool(phrases & LOREM_IPSUM)
    out.javascript_line_count += bool(phrases & JAVASCRIPT)
    out.policy_line_count += bool(phrases & POLICY)


@compiled(_nrt=False)
def is_bullet(code: int) -> bool:
    """Whether it is one of • ‣ ▶ ◀ ◦ ■ □ ▪ ▫ –, the bullets of RedPajama-V2."""
    if code < 0x2013:
        return False
    return code in (0x2022, 0x2023, 0x25B6, 0x25C0, 0x25E6, 0x25A0, 0x25A1, 0x25AA, 0x25AB, 0x2013)


@compiled(_nrt=False)
def _ends_in_ellipsis(codes: NDArray[np.int32], start: int, end: int) -> bool:
    if codes[end - 1] == 0x2026:
        return True
    return end - start >= 3 and codes[end - 1] == 0x2E and codes[end - 2] == 0x2E and codes[end - 3] == 0x2E


@compiled(_nrt=False)
def _is_quotation_end(code: int) -> bool:
    """Whether it is one of " ' ’ ” » 」 』."""
    return code in (0x22, 0x27, 0x2019, 0x201D, 0xBB, 0x300D, 0x300F)


@compiled(_nrt=False)
def sentence_count(codes: NDArray[np.int32], kinds: NDArray[np.uint16], start: int, end: int) -> int:
    """Sentences of the line codes[start:end]: what stands between ends of sentences and holds a letter or digit.

    A sentence ends with a run of TERMINAL and CLOSING characters and citations that begins with a TERMINAL one, at the
    end of the line, before white space that no lower-case letter follows, or after an ideographic or full-width mark. A
    full stop after a capital letter that stands alone is no end: `J. Smith`.
    """
    n, has_content, i = 0, False, start
    while i < end:
        flags = np.uint16(0)
        while i < end and not kinds[i] & TERMINAL:
            flags |= kinds[i]
            i += 1
        has_content |= flags & (LETTER | DIGIT) != 0
        if i == end:
            break
        after = i + 1
        while after < end and (kinds[after] & (TERMINAL | CLOSING) or codes[after] == 0x5B):
            next_after = citation_end(codes, kinds, after, end) if codes[after] == 0x5B else after + 1
            if next_after == after:
                break
            after = next_after
        if has_content and _ends_sentence(codes, kinds, start, end, i, after):
            n += 1
            has_content = False
        i = after
    return n + has_content


@compiled(_nrt=False)
def _ends_sentence(
    codes: NDArray[np.int32], kinds: NDArray[np.uint16], start: int, end: int, mark: int, after: int
) -> bool:
    """Whether the run of marks codes[mark:after] ends a sentence of the line codes[start:end]."""
    if after == end or codes[mark] >= 0x3000:
        return True
    if not kinds[after] & SPACE:
        return False
    is_after_capital = codes[mark] == 0x2E and after == mark + 1 and mark > start and kinds[mark - 1] & UPPER
    if is_after_capital and (mark - 1 == start or not kinds[mark - 2] & (LETTER | DIGIT)):
        return False
    while kinds[after] & SPACE:  # a line ends in no white space
        after += 1
    return not kinds[after] & LOWER


@compiled(_nrt=False)
def _may_hold_phrases(text: NDArray[np.uint8]) -> bool:
    """Whether a text holds four letters of one of the PHRASES, which few do: without a branch, 32 places at once."""
    if len(text) < 4:
        return False
    found = False
    first, second, third, fourth = text[:-3], text[1:-2], text[2:-1], text[3:]
    for i in range(len(fourth)):
        a, b, c, d = first[i] | 0x20, second[i] | 0x20, third[i] | 0x20, fourth[i] | 0x20
        found |= (a == 0x69) & (b == 0x70) & (c == 0x73) & (d == 0x75)  # ipsu
        found |= (a == 0x6A) & (b == 0x61) & (c == 0x76) & (d == 0x61)  # java
        found |= (a == 0x65) & (b == 0x72) & (c == 0x6D) & (d == 0x73)  # erms
        found |= (a == 0x76) & (b == 0x61) & (c == 0x63) & (d == 0x79)  # vacy
        found |= (a == 0x63) & (b == 0x6F) & (c == 0x6F) & (d == 0x6B)  # cook
    return found


@compiled(_nrt=False)
def _has_bracket(codes: NDArray[np.int32] | NDArray[np.uint8]) -> bool:
    """Whether a [ comes; the loop does not end early, so that many characters are compared at once."""
    found = False
    for i in range(len(codes)):
        found |= codes[i] == 0x5B
    return found


@compiled(_nrt=False)
def phrases_in(codes: NDArray[np.int32], start: int, end: int) -> int:
    """Flags of the phrases that codes[start:end] holds; each is looked for around its rarest letter."""
    found = 0
    for i in range(start, end):
        if codes[i] < 128 and _IS_TRIGGER[codes[i]]:
            for p in range(len(_PHRASE_FLAGS)):
                at = i - _TRIGGER_OFFSETS[p]
                if start <= at and _is_at(codes, at, end, _PHRASE_CODES[p], _PHRASE_LENGTHS[p], True):
                    found |= _PHRASE_FLAGS[p]
    return found


@compiled(_nrt=False)
def _is_at(
    codes: NDArray[np.int32], start: int, end: int, phrase: NDArray[np.int32], length: int, ignores_case: bool
) -> bool:
    """Whether `phrase`, in lower case, stands at codes[start] and ends before codes[end]."""
    if start + length > end:
        return False
    for i in range(length):
        code = codes[start + i]
        if ignores_case and 0x41 <= code <= 0x5A:
            code += 0x20
        if code != phrase[i]:
            return False
    return True


@compiled(_nrt=False)
def citation_end(codes: NDArray[np.int32], kinds: NDArray[np.uint16], start: int, end: int) -> int:
    """Where a citation that begins at `start` ends: `[12]`, `[]`, `[edit]`, `[citation needed]`; start if none does."""
    for p in range(len(_CITATION_LENGTHS)):
        if _is_at(codes, start, end, _CITATIONS[p], _CITATION_LENGTHS[p], False):
            return start + _CITATION_LENGTHS[p]  # type: ignore[no-any-return]
    i = start + 1
    while i < end and kinds[i] & DIGIT:
        i += 1
    return i + 1 if i < end and codes[i] == 0x5D else start


@compiled(_nrt=False)
def _count_c4_line(
    codes: NDArray[np.int32],
    kinds: NDArray[np.uint16],
    start: int,
    end: int,
    n_sentences: int,
    phrases: int,
    has_brackets: bool,
    c4: NDArray[np.int64],
) -> None:
    """Count one line for each variant whose line rules keep it. Words are what white space separates."""
    if phrases & (JAVASCRIPT | POLICY):
        return
    if has_brackets or end - start > C4_MAX_WORD_CHARS:
        _, longest, left = read_c4_line(codes, kinds, start, end)
        if longest > C4_MAX_WORD_CHARS:
            return
    else:  # nothing to leave out, and no more words to count than matter
        third = np.int64(codes[end - 3]) if end - start >= 3 else 0
        second = np.int64(codes[end - 2]) if end - start >= 2 else 0
        n_words = _word_count(kinds, start, end, C4_MIN_WORDS)
        left = Left(n_words, end - start, np.int64(codes[end - 1]), second, third)
    if left.n_words < C4_MIN_WORDS:
        return
    has_end = ends_well(left, False)
    for v in range(len(c4)):
        if has_end or not _C4_NEEDS_END[v]:
            c4[v, 0] += 1
            c4[v, 1] += n_sentences
            c4[v, 2] += left.n_chars + (c4[v, 0] > 1)


class Left(NamedTuple):
    """What C4 leaves of a line without its citations."""

    n_words: int
    n_chars: int
    last: int | np.int64
    second: int | np.int64  # character from the end, 0 if there is none
    third: int | np.int64


@compiled(_nrt=False)
def ends_well(left: Left, apostrophe_ends: bool) -> bool:
    """Whether a line ends in . ? ! or " (or ', if that counts) and not in three full stops."""
    last, full_stop = left.last, 0x2E
    if last == full_stop:
        return not (left.second == full_stop and left.third == full_stop)
    return last == 0x3F or last == 0x21 or last == 0x22 or (apostrophe_ends and last == 0x27)


@compiled(_nrt=False)
def read_c4_line(codes: NDArray[np.int32], kinds: NDArray[np.uint16], start: int, end: int) -> tuple[int, int, Left]:
    """Words of the line codes[start:end], characters of the longest one, and what is left without citations."""
    n_words, longest, run = 0, 0, 0
    n_left_words, left_run = 0, 0
    n_left, last, second, third = 0, 0, 0, 0
    citation = start
    for i in range(start, end):
        code, is_space = codes[i], bool(kinds[i] & SPACE)
        run = 0 if is_space else run + 1
        n_words += run == 1
        longest = max(longest, run)
        if code == 0x5B and i >= citation:
            citation = citation_end(codes, kinds, i, end)
        if i < citation:
            continue
        left_run = 0 if is_space else left_run + 1
        n_left_words += left_run == 1
        n_left += 1
        third, second, last = second, last, code
    return n_words, longest, Left(n_left_words, n_left, last, second, third)


@compiled(_nrt=False)
def _word_count(kinds: NDArray[np.uint16], start: int, end: int, most: int) -> int:
    """Words of a line that neither begins nor ends in white space, which separates them; at most `most`."""
    n = 1
    for i in range(start, end):
        n += (kinds[i] & SPACE != 0) & (kinds[i + 1] & SPACE == 0)
        if n == most:
            break
    return n

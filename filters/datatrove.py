"""Signals of a text as datatrove defines them, whose filters made FineWeb: https://github.com/huggingface/datatrove.

`dt_…` signals are what datatrove 0.10.1 measures in GopherRepetitionFilter, GopherQualityFilter, C4QualityFilter and
FineWebQualityFilter, with its own definitions where they differ from ours (`text_signals`): its words are spaCy's
(`spacy_words`), for text of any language; stop words count in lower case only; the most frequent n-gram counts if it
comes once, of several the first; n-grams are the same if their characters are; blank lines are lines for Gopher's rules
on bullets and ellipses; indentation is part of a line; a quotation mark ends no line for FineWeb.

C4's filter takes lines out of a text and drops it if few sentences are left; FineWeb's rules come after it in the
script that made FineWeb and see what is left: `dt_cut_…`. The cuts are measured here, not made.

One compiled pass: a text is decoded and cut into words once. Lines and paragraphs are known by the keys of
`spacy_words`, in constant time for any length. On `_nrt=False` see there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel

from datassay.corpus.compiled import compiled
from datassay.corpus.engine import Inputs
from datassay.corpus.store import Outputs, read_batches
from datassay.corpus.unicode import text_buffers
from datassay.filters.interning import Interner, new_interner, number_keys, number_of
from datassay.filters.lines import JAVASCRIPT, LOREM_IPSUM, PHRASES, POLICY
from datassay.filters.spacy_words import (
    DECIMAL,
    ENGLISH,
    LETTER,
    NOT_PUNCTUATION,
    NOT_SYMBOL,
    ROLLED,
    SENTENCE_END,
    TERMINAL,
    TOKEN_GAP,
    English,
    Text,
    Words,
    key_of,
    new_text,
    new_words,
    read_text,
    read_words,
    sum_up,
    text_key,
)
from datassay.filters.text_signals import Signal

VERSION = 1
"""Raised by hand whenever the stage's bytes change."""
BATCH_ROWS = 1024

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
MIN_WORDS, MAX_WORD_CHARS, SHORT_LINE = 3, 1000, 30
"""C4's least words of a line and longest word; FineWeb's short line."""

_C4 = ("line_count", "sentence_count", "lorem_ipsum_count", "curly_bracket_count")
_FINEWEB = ("line_count", "terminal_line_count", "short_line_count", "duplicate_chars", "line_chars", "newline_count")
COUNTS = np.dtype(
    [
        (name, np.int64)
        for name in (
            "char_count",
            "token_count",
            "word_count",
            "word_chars",
            "alpha_token_count",
            "stop_word_count",
            "hash_count",
            "ellipsis_count",
            "line_count",
            "bullet_line_count",
            "ellipsis_line_count",
            "paragraph_count",
            "duplicate_paragraph_count",
            "duplicate_paragraph_chars",
            "stretch_count",
            "duplicate_stretch_count",
            "duplicate_stretch_chars",
            "cut_token_count",
        )
    ]
)
"""What is counted of each text, beside n-grams, C4's lines and FineWeb's lines; a stretch is what newlines separate."""

_PHRASE_CODES = np.array([[*phrase.encode().ljust(16, b"\0")] for phrase in PHRASES], np.int32)  # (phrases, 16)
_PHRASE_LENGTHS = np.array([len(phrase) for phrase in PHRASES])
_PHRASE_FLAGS = np.array(list(PHRASES.values()))
_CITATIONS = np.array([[*b"[edit]".ljust(17, b"\0")], [*b"[citation needed]"]], np.int32)
_CITATION_LENGTHS = np.array([6, 17])


class Room(NamedTuple):
    """The room that a text takes beside its words."""

    numbers: NDArray[np.int32]
    positions: NDArray[np.int32]
    grams: NDArray[np.int32]
    keys: NDArray[np.uint64]
    is_seen: NDArray[np.bool_]
    marks: NDArray[np.uint8]  # how many keys fell there, 2 for more too
    sums: NDArray[np.uint64]  # (tokens + 1,), of the characters of all words before, without white space
    chars: NDArray[np.int32]  # (tokens + 1,), how many they are
    starts: NDArray[np.int32]  # of lines
    ends: NDArray[np.int32]
    bases: NDArray[np.int32]  # where the sums begin by which a line is known
    first_runs: NDArray[np.int32]
    end_runs: NDArray[np.int32]


def measure(texts: pa.LargeStringArray) -> dict[str, NDArray[np.int64]]:
    """Every count of every text, by name: one array of (texts,) each."""
    offsets, data = text_buffers(texts)
    records = np.zeros(len(texts), COUNTS)
    grams = np.zeros((len(texts), 9), np.int64)
    c4 = np.zeros((len(texts), 2, len(_C4)), np.int64)
    fineweb = np.zeros((len(texts), 2, len(_FINEWEB)), np.int64)
    stop_words = np.array([text_key(word) for word in STOP_WORDS], np.uint64)
    n_max = max(int(np.diff(offsets).max(initial=1)), 1)
    rooms = new_text(n_max), new_words(n_max), _new_room(n_max), new_interner(n_max + 2)
    _measure(offsets, data, ENGLISH, stop_words, *rooms, records, grams, c4, fineweb)
    counts = {name: records[name] for name in COUNTS.names or ()}
    for n in range(2, 11):
        counts[f"top_{n}gram_chars" if n <= 4 else f"duplicate_{n}gram_chars"] = grams[:, n - 2]
    for v, prefix in enumerate(("c4", "c4_any_end")):
        counts |= {f"{prefix}_{name}": c4[:, v, i] for i, name in enumerate(_C4)}
    for v, prefix in enumerate(("whole", "cut")):
        counts |= {f"{prefix}_{name}": fineweb[:, v, i] for i, name in enumerate(_FINEWEB)}
    return counts


@compiled(_nrt=True)
def _new_room(n: int) -> Room:
    return Room(
        np.empty(n + 2, np.int32),
        np.empty(n + 2, np.int32),
        np.empty(n + 2, np.int32),
        np.empty(n + 2, np.uint64),
        np.empty(n + 2, np.bool_),
        np.empty(16 * (n + 2), np.uint8),
        np.empty(n + 2, np.uint64),
        np.empty(n + 2, np.int32),
        np.empty(n + 2, np.int32),
        np.empty(n + 2, np.int32),
        np.empty(n + 2, np.int32),
        np.empty(n + 2, np.int32),
        np.empty(n + 2, np.int32),
    )


@compiled(_nrt=False)
def _measure(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    english: English,
    stop_words: NDArray[np.uint64],
    text: Text,
    words: Words,
    room: Room,
    table: Interner,
    records: NDArray[np.void],
    grams: NDArray[np.int64],
    c4: NDArray[np.int64],
    fineweb: NDArray[np.int64],
) -> None:
    """Count all texts of a batch into records and rows of zeros. The room for the work is enough for the longest."""
    for d in range(len(offsets) - 1):
        out = records[d]
        n = read_text(data, offsets[d], offsets[d + 1], english, text)
        n_runs, n_tokens, n_breaks = read_words(text, english, 0, n, words, 0, 0)
        out.char_count = n
        _count_marks(text.codes[:n], out)
        n_distinct = number_keys(table, words.keys[:n_tokens], room.numbers)
        _count_words(words, table, n_tokens, n_distinct, stop_words, out)
        _count_top_grams(words, n_tokens, table, room, grams[d])
        _count_repeated_grams(text, words, n_tokens, table, room, grams[d])
        _count_paragraphs(text, words, n_runs, n_breaks, table, room, out)
        n_stretches = _read_stretches(text, words, n, n_runs, n_breaks, room)
        _count_stretches(text, n_stretches, table, room, out)
        _count_fineweb_lines(text, n_stretches, table, room, fineweb[d, 0])
        n_lines = _read_lines(text, words, n, n_runs, n_breaks, room)
        _count_gopher_lines(text, words, n_lines, room, out)
        n_kept = _count_c4_lines(
            text, english, words, n, n_runs, n_tokens, n_lines, data[offsets[d] : offsets[d + 1]], room, c4[d]
        )
        out.cut_token_count = _strip_kept(text, words, n_kept, room, fineweb[d, 1], table)


@compiled(_nrt=False)
def _count_marks(codes: NDArray[np.int32], out: Any) -> None:
    """Count # and ellipses into `out`; of full stops three in a row, none of them twice."""
    n_hashes = n_ellipses = np.int32(0)
    for i in range(len(codes)):
        n_hashes = np.int32(n_hashes + (codes[i] == 0x23))
        n_ellipses = np.int32(n_ellipses + (codes[i] == 0x2026))
    n_dots, i, last = 0, 0, len(codes) - 2
    while i < last:
        if codes[i + 2] != 0x2E:
            i += 3
        elif codes[i + 1] != 0x2E or codes[i] != 0x2E:
            i += 1
        else:
            n_dots += 1
            i += 3
    out.hash_count, out.ellipsis_count = n_hashes, n_ellipses + n_dots


@compiled(_nrt=False)
def _count_words(
    words: Words, table: Interner, n_tokens: int, n_distinct: int, stop_words: NDArray[np.uint64], out: Any
) -> None:
    """Count words into `out`: each distinct one once, times how often it comes."""
    n_words = n_chars = n_alpha = 0
    for number in range(n_distinct):
        t, count = table.firsts[number], table.counts[number]
        flags = words.flags[t]
        n_alpha += count * ((flags & LETTER) != 0)
        is_word = (flags & NOT_SYMBOL) != 0
        n_words += count * is_word
        n_chars += count * is_word * (words.ends[t] - words.starts[t])
    n_stop_words = 0
    for key in stop_words:
        n_stop_words += number_of(table, n_tokens, key) >= 0
    out.token_count, out.word_count, out.word_chars = n_tokens, n_words, n_chars
    out.alpha_token_count, out.stop_word_count = n_alpha, n_stop_words


@compiled(_nrt=False)
def _count_top_grams(words: Words, n_tokens: int, table: Interner, room: Room, out: NDArray[np.int64]) -> None:
    """Characters, blanks between words included, of all occurrences of the most frequent 2-, 3- and 4-gram; of several
    of the one that comes first. As in `ngrams`, only places are kept whose n-gram came at least twice.

    table, room.numbers: what `number_keys` says of the words
    """
    starts, ends, numbers, positions, grams = words.starts, words.ends, room.numbers, room.positions, room.grams
    n_left = 0
    for t in range(n_tokens):
        positions[n_left], grams[n_left] = t, numbers[t]
        n_left += table.counts[numbers[t]] > 1
    for n in range(2, 5):
        if n_tokens < n:
            return
        n_keys = 0
        for k in range(n_left - 1):
            t = positions[k]
            is_followed = positions[k + 1] == t + 1
            room.keys[n_keys] = np.uint64(grams[k]) << np.uint64(32) | np.uint64(numbers[t + n - 1])
            positions[n_keys] = t
            n_keys += is_followed
        number_keys(table, room.keys[:n_keys], grams)
        n_left = 0
        most, top = 1, 0
        for k in range(n_keys):
            count = table.counts[grams[k]]
            if count > most:
                most, top = count, positions[k]
            positions[n_left], grams[n_left] = positions[k], grams[k]
            n_left += count > 1
        chars = n - 1
        for t in range(top, top + n):
            chars += ends[t] - starts[t]
        out[n - 2] = most * chars


@compiled(_nrt=False)
def _count_repeated_grams(
    text: Text, words: Words, n_tokens: int, table: Interner, room: Room, out: NDArray[np.int64]
) -> None:
    """Characters of the 5- to 10-grams that came before, read from left to right, each character counted once.

    An n-gram is its characters, wherever they are cut. So only places matter whose next characters come again, or are
    too few to tell; in prose, one in six, and soon none.
    """
    sums, chars, keys, inverses, powers = room.sums, room.chars, room.keys, text.inverses, text.powers
    starts, ends, word_keys = words.starts, words.ends, words.keys
    total, n_chars = np.uint64(0), 0
    for t in range(n_tokens):
        sums[t], chars[t] = total, n_chars
        total += word_keys[t] * powers[n_chars]
        n_chars += ends[t] - starts[t]
    sums[n_tokens], chars[n_tokens] = total, n_chars
    positions, grams, n_left = room.positions, room.grams, max(n_tokens - 4, 0)
    for t in range(n_left):
        positions[t] = t
    for n in range(5, 11):
        while n_left and positions[n_left - 1] + n > n_tokens:
            n_left -= 1
        if n < 8:
            n_left = _keep_repeated(n, 13 if n == 5 else 20 if n == 6 else 26, n_left, n_chars, text.rolling, room)
        if n_left < 2:
            return
        for k in range(n_left):
            t = positions[k]
            keys[k] = (sums[t + n] - sums[t]) * inverses[chars[t]]
        n_distinct = number_keys(table, keys[:n_left], grams)
        if n_distinct < n_left:
            out[n - 2] = _repeated_chars(n, n_left, n_distinct, room)


@compiled(_nrt=False)
def _keep_repeated(n: int, n_prefix: int, n_left: int, n_chars: int, rolling: NDArray[np.uint64], room: Room) -> int:
    """Keep those of the first n_left positions whose next n_prefix characters seem to come again, or go beyond their
    n-gram, and return how many they are. What is taken out has no equal here, nor for any greater n."""
    chars, positions, slots, marks = room.chars, room.positions, room.keys, room.marks
    n_slots, shift = 2, np.uint64(63)
    while n_slots < 8 * n_left:
        n_slots *= 2
        shift -= np.uint64(1)
    marks[:n_slots] = 0
    for k in range(n_left):
        first = chars[positions[k]]
        start, end = min(first + ROLLED, n_chars), min(first + n_prefix, n_chars)
        key = rolling[start] * np.uint64(0xD6E8FEB86659FD93) + rolling[end]
        slot = ((key ^ (key >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)) >> shift
        slots[k] = slot
        mark = marks[slot]
        marks[slot] = mark + (mark < 2)
    n_kept = 0
    for k in range(n_left):
        t = positions[k]
        is_kept = (chars[t + n] - chars[t] < n_prefix) | (marks[slots[k]] > 1)
        positions[n_kept] = t
        n_kept += is_kept
    return n_kept


@compiled(_nrt=False)
def _repeated_chars(n: int, n_left: int, n_distinct: int, room: Room) -> int:
    """Characters of the n-grams that came before; of overlapping ones the first counts, the others are not seen."""
    room.is_seen[:n_distinct] = False
    repeated, free = 0, 0
    for k in range(n_left):
        t = room.positions[k]
        if t < free:
            continue
        if room.is_seen[room.grams[k]]:
            repeated += room.chars[t + n] - room.chars[t]
            free = t + n
        else:
            room.is_seen[room.grams[k]] = True
    return repeated


@compiled(_nrt=False)
def _count_paragraphs(
    text: Text, words: Words, n_runs: int, n_breaks: int, table: Interner, room: Room, out: Any
) -> None:
    """Count what two newlines or more separate, white space at the ends of the text left out; an empty text has one."""
    if n_runs == 0:
        out.paragraph_count = 1
        return
    begin, end = words.run_starts[0], words.run_ends[n_runs - 1]
    n, k = 0, 0
    while k < n_breaks:
        first = words.breaks[k]
        last = first
        k += 1
        if first < begin or first >= end or text.codes[first] != 0x0A:
            continue
        while k < n_breaks and words.breaks[k] == last + 1 and text.codes[last + 1] == 0x0A:
            last += 1
            k += 1
        if last > first:
            room.keys[n], room.positions[n] = key_of(text, 0, begin, first), first - begin
            n += 1
            begin = last + 1
    room.keys[n], room.positions[n] = key_of(text, 0, begin, end), end - begin
    n += 1
    number_keys(table, room.keys[:n], room.grams)
    out.paragraph_count = n
    for p in range(n):
        if table.firsts[room.grams[p]] != p:
            out.duplicate_paragraph_count += 1
            out.duplicate_paragraph_chars += room.positions[p]


@compiled(_nrt=False)
def _set_line(room: Room, line: int, start: int, end: int, first_run: int, end_run: int) -> None:
    room.starts[line], room.ends[line], room.bases[line] = start, end, 0
    room.first_runs[line], room.end_runs[line] = first_run, end_run


@compiled(_nrt=False)
def _read_stretches(text: Text, words: Words, n: int, n_runs: int, n_breaks: int, room: Room) -> int:
    """Set the lines of `room` to what newlines separate, empty ones too, and return how many there are."""
    n_lines, start, first_run = 0, 0, 0
    for k in range(n_breaks):
        if text.codes[words.breaks[k]] == 0x0A:
            _set_line(room, n_lines, start, words.breaks[k], first_run, words.break_runs[k])
            n_lines += 1
            start, first_run = words.breaks[k] + 1, words.break_runs[k]
    _set_line(room, n_lines, start, n, first_run, n_runs)
    return n_lines + 1


@compiled(_nrt=False)
def _read_lines(text: Text, words: Words, n: int, n_runs: int, n_breaks: int, room: Room) -> int:
    """Set the lines of `room` to those of str.splitlines, and return how many there are."""
    n_lines, start, first_run, k = 0, 0, 0, 0
    while k < n_breaks:
        at, end_run = words.breaks[k], words.break_runs[k]
        _set_line(room, n_lines, start, at, first_run, end_run)
        n_lines += 1
        k += 1
        start, first_run = at + 1, end_run
        if text.codes[at] == 0x0D and k < n_breaks and words.breaks[k] == start and text.codes[start] == 0x0A:
            k += 1
            start += 1
    if start < n:
        _set_line(room, n_lines, start, n, first_run, n_runs)
        n_lines += 1
    return n_lines


@compiled(_nrt=False)
def _count_stretches(text: Text, n_stretches: int, table: Interner, room: Room, out: Any) -> None:
    """Count what one newline or more separate: empty only at the ends of the text."""
    count = 0
    for s in range(n_stretches):
        start, end = room.starts[s], room.ends[s]
        if end > start or s == 0 or s == n_stretches - 1:
            room.keys[count], room.positions[count] = key_of(text, 0, start, end), end - start
            count += 1
    number_keys(table, room.keys[:count], room.grams)
    out.stretch_count = count
    for s in range(count):
        if table.firsts[room.grams[s]] != s:
            out.duplicate_stretch_count += 1
            out.duplicate_stretch_chars += room.positions[s]


@compiled(_nrt=False)
def _count_fineweb_lines(text: Text, n_lines: int, table: Interner, room: Room, out: NDArray[np.int64]) -> None:
    """Count the lines of `room` that are not blank into `out`, (_FINEWEB,)."""
    n = 0
    for line in range(n_lines):
        start, end = room.starts[line], room.ends[line]
        out[4] += end - start
        if room.first_runs[line] < room.end_runs[line]:
            out[1] += (text.kinds[end - 1] & TERMINAL) != 0
            out[2] += end - start <= SHORT_LINE
            room.keys[n], room.positions[n] = key_of(text, room.bases[line], start, end), end - start
            n += 1
    number_keys(table, room.keys[:n], room.grams)
    for line in range(n):
        out[3] += room.positions[line] * (table.firsts[room.grams[line]] != line)
    out[0], out[5] = n, max(n_lines - 1, 0)


@compiled(_nrt=False)
def _ends_in_ellipsis(codes: NDArray[np.int32], start: int, end: int) -> bool:
    if codes[end - 1] == 0x2026:
        return True
    return end - start >= 3 and codes[end - 1] == 0x2E and codes[end - 2] == 0x2E and codes[end - 3] == 0x2E


@compiled(_nrt=False)
def _count_gopher_lines(text: Text, words: Words, n_lines: int, room: Room, out: Any) -> None:
    """Count lines, blank ones too, and those with bullets and ellipses into `out`."""
    out.line_count = n_lines
    for line in range(n_lines):
        first_run, end_run = room.first_runs[line], room.end_runs[line]
        if first_run < end_run:
            code = text.codes[words.run_starts[first_run]]
            out.bullet_line_count += code == 0x2022 or code == 0x2D  # • -
            last = end_run - 1
            out.ellipsis_line_count += _ends_in_ellipsis(text.codes, words.run_starts[last], words.run_ends[last])


@compiled(_nrt=False)
def _count_c4_lines(
    text: Text,
    english: English,
    words: Words,
    n: int,
    n_runs: int,
    n_tokens: int,
    n_lines: int,
    data: NDArray[np.uint8],
    room: Room,
    out: NDArray[np.int64],
) -> int:
    """Count the lines that C4's rules keep, and those that would drop the text, into `out`, (2, _C4): first with the
    rule on how a line ends. The lines kept without it become the lines of `room`; returns how many they are.

    data: the text in UTF-8
    """
    may_hold_phrases, has_square, has_curly = _may_hold_phrases(data), _holds(data, 0x5B), _holds(data, 0x7B)
    has_long = _is_long(words, 0, n_runs)
    tail = n + 1  # where a line is written anew, one place left for its sums
    n_kept = 0
    for line in range(n_lines):
        first_run, end_run = room.first_runs[line], room.end_runs[line]
        if end_run - first_run < MIN_WORDS or (has_long and _is_long(words, first_run, end_run)):
            continue
        start, end, base = words.run_starts[first_run], words.run_ends[end_run - 1], 0
        if has_square and _holds(text.codes[start:end], 0x5B):
            stop = _write_without_citations(text, start, end, tail)
            if stop < tail + end - start:
                start, end, base, first_run = tail, stop, tail, n_runs
                tail = stop + 1
                sum_up(text, start, end)
                n_runs, n_tokens, _ = read_words(text, english, start, end, words, n_runs, n_tokens)
                end_run = n_runs
        phrases = 0
        if may_hold_phrases and _may_hold_phrases(text.codes[start:end]):
            phrases = _phrases(text.codes, start, end)
        is_curly = has_curly and _holds(text.codes[start:end], 0x7B)
        has_end = _has_end(text.codes, start, end)
        is_kept = not phrases & (JAVASCRIPT | POLICY)
        n_sentences = _sentence_count(text, words, first_run, end_run, end) if is_kept else 0
        for v in range(2):
            if v or has_end:
                out[v, 0] += is_kept
                out[v, 1] += n_sentences
                out[v, 2] += bool(phrases & LOREM_IPSUM)
                out[v, 3] += is_curly and not phrases & JAVASCRIPT
        if is_kept:
            room.starts[n_kept], room.ends[n_kept], room.bases[n_kept] = start, end, base
            room.first_runs[n_kept], room.end_runs[n_kept] = first_run, end_run
            n_kept += 1
    return n_kept


@compiled(_nrt=False)
def _strip_kept(text: Text, words: Words, n_kept: int, room: Room, out: NDArray[np.int64], table: Interner) -> int:
    """Take white space off the ends of the text that the lines of `room` are, count its lines into `out`, and return
    its words. Only lines that were written anew have some, or are blank."""
    first, last = 0, n_kept
    while first < last and room.first_runs[first] == room.end_runs[first]:
        first += 1
    while last > first and room.first_runs[last - 1] == room.end_runs[last - 1]:
        last -= 1
    n_tokens = 0
    for line in range(first, last):
        room.starts[line - first], room.ends[line - first] = room.starts[line], room.ends[line]
        room.bases[line - first] = room.bases[line]
        room.first_runs[line - first], room.end_runs[line - first] = room.first_runs[line], room.end_runs[line]
        n_tokens += words.run_tokens[room.end_runs[line]] - words.run_tokens[room.first_runs[line]]
    n_lines = last - first
    if n_lines:
        room.starts[0] = words.run_starts[room.first_runs[0]]
        room.ends[n_lines - 1] = words.run_ends[room.end_runs[n_lines - 1] - 1]
        _count_fineweb_lines(text, n_lines, table, room, out)
    return n_tokens


@compiled(_nrt=False)
def _is_long(words: Words, first_run: int, end_run: int) -> bool:
    """Whether what white space separates is too long for C4 in one of these runs."""
    longest, starts, ends = 0, words.run_starts, words.run_ends
    for run in range(first_run, end_run):
        longest = max(longest, ends[run] - starts[run])
    return longest > MAX_WORD_CHARS


@compiled(_nrt=False)
def _holds(codes: NDArray[np.int32] | NDArray[np.uint8], code: int) -> bool:
    """Whether a character comes; the loop does not end early, so that many are compared at once."""
    found = False
    for i in range(len(codes)):
        found |= codes[i] == code
    return found


@compiled(_nrt=False)
def _has_end(codes: NDArray[np.int32], start: int, end: int) -> bool:
    """Whether a line ends in . ? ! " or ', and not in three full stops."""
    if start == end:
        return False
    return codes[end - 1] in (0x2E, 0x3F, 0x21, 0x22, 0x27) and not _ends_in_ellipsis(codes, start, end)


@compiled(_nrt=False)
def _write_without_citations(text: Text, start: int, end: int, tail: int) -> int:
    """Write codes[start:end] at `tail`, without `[12]`, `[]`, `[edit]`, `[citation needed]`; where that ends."""
    i, at = start, tail
    while i < end:
        if text.codes[i] == 0x5B:
            after = _citation_end(text, i, end)
            if after > i:
                i = after
                continue
        text.codes[at], text.kinds[at] = text.codes[i], text.kinds[i]
        at += 1
        i += 1
    return at


@compiled(_nrt=False)
def _citation_end(text: Text, start: int, end: int) -> int:
    """Where the citation that begins at `start` ends; `start` if none does."""
    for p in range(len(_CITATION_LENGTHS)):
        if _is_at(text.codes, start, end, _CITATIONS[p], _CITATION_LENGTHS[p], False):
            return start + _CITATION_LENGTHS[p]  # type: ignore[no-any-return]
    i = start + 1
    while i < end and text.kinds[i] & DECIMAL:
        i += 1
    return i + 1 if i < end and text.codes[i] == 0x5D else start


@compiled(_nrt=False)
def _sentence_count(text: Text, words: Words, first_run: int, end_run: int, end: int) -> int:
    """Sentences of a line that ends at `end`, as spaCy's sentencizer finds them: a mark of its list, and then a token
    that is no punctuation, white space of more than one blank too, begins a new one. An empty line has one."""
    gaps, tokens, token_flags = words.run_gaps, words.run_tokens, words.flags
    run_flags, starts, ends = words.run_flags, words.starts, words.ends
    n, is_ended = 1, False
    for run in range(first_run, end_run):
        if not is_ended and not run_flags[run] & SENTENCE_END:
            continue
        if is_ended and run > first_run and gaps[run] == TOKEN_GAP:
            n += 1
            is_ended = False
        for t in range(tokens[run], tokens[run + 1]):
            flags = token_flags[t]
            is_mark = (flags & SENTENCE_END) != 0 and ends[t] - starts[t] == 1
            begins = is_ended and (flags & NOT_PUNCTUATION) != 0 and not is_mark
            n += begins
            is_ended = is_mark or (is_ended and not begins)
    if end_run > first_run and is_ended:
        gap = end - words.run_ends[end_run - 1]
        n += gap > 1 or (gap == 1 and text.codes[end - 1] != 0x20)
    return n


@compiled(_nrt=False)
def _may_hold_phrases(data: NDArray[np.uint8] | NDArray[np.int32]) -> bool:
    """Whether a text, in UTF-8 or decoded, holds some letters of one of the PHRASES, or the Kelvin sign, whose lower
    case is k; few do. No branch, so that many places are compared at once."""
    if len(data) < 4:
        return False
    found = False
    first, second, third, fourth = data[:-3], data[1:-2], data[2:-1], data[3:]
    for i in range(len(fourth)):
        a, b, c, d = first[i] | 0x20, second[i] | 0x20, third[i] | 0x20, fourth[i] | 0x20
        found |= (a == 0x69) & (b == 0x70) & (c == 0x73) & (d == 0x75)  # ipsu
        found |= (a == 0x6A) & (b == 0x61) & (c == 0x76) & (d == 0x61)  # java
        found |= (a == 0x65) & (b == 0x72) & (c == 0x6D) & (d == 0x73)  # erms
        found |= (a == 0x76) & (b == 0x61) & (c == 0x63) & (d == 0x79)  # vacy
        found |= (a == 0x63) & (b == 0x6F) & (c == 0x6F) & (d == 0x6B)  # cook
        found |= (first[i] == 0xE2) & (second[i] == 0x84) & (third[i] == 0xAA)  # in UTF-8
        found |= (first[i] == 0x212A) | (fourth[i] == 0x212A)
    return found


@compiled(_nrt=False)
def _folded(code: int) -> int:
    """The lower case of a letter, as far as the PHRASES may hold it."""
    if 0x41 <= code <= 0x5A:
        return code + 0x20
    return 0x6B if code == 0x212A else code


@compiled(_nrt=False)
def _phrases(codes: NDArray[np.int32], start: int, end: int) -> int:
    """Flags of the PHRASES that codes[start:end] holds."""
    found = 0
    for i in range(start, end):
        first = _folded(codes[i])
        if first in (0x6C, 0x6A, 0x74, 0x70, 0x63, 0x75):  # one of the letters that they begin with: l j t p c u
            for p in range(len(_PHRASE_FLAGS)):
                if first == _PHRASE_CODES[p, 0] and _is_at(codes, i, end, _PHRASE_CODES[p], _PHRASE_LENGTHS[p], True):
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
        code = np.int64(codes[start + i])
        if (_folded(code) if ignores_case else code) != phrase[i]:
            return False
    return True


_GOPHER_QUALITY = "datatrove, GopherQualityFilter"
_GOPHER_REPETITION = "datatrove, GopherRepetitionFilter"
_C4_FILTER = "datatrove, C4QualityFilter"
_FINEWEB_FILTER = "datatrove, FineWebQualityFilter"
_QUALITY = (
    Signal("dt_char_count", "Characters.", count="char_count", source=_GOPHER_REPETITION),
    Signal("dt_token_count", "Words, symbols too, as spaCy cuts them.", count="token_count", source=_GOPHER_QUALITY),
    Signal(
        "dt_word_count",
        "Words with a character that is not in datatrove's list of punctuation.",
        count="word_count",
        source=_GOPHER_QUALITY,
    ),
    Signal(
        "dt_mean_word_length",
        "Characters per word of those that dt_word_count counts.",
        count="word_chars",
        per="word_count",
        source=_GOPHER_QUALITY,
    ),
    Signal("dt_hash_ratio", "# per word or symbol.", count="hash_count", per="token_count", source=_GOPHER_QUALITY),
    Signal(
        "dt_ellipsis_ratio",
        "Ellipses (... or …) per word or symbol.",
        count="ellipsis_count",
        per="token_count",
        source=_GOPHER_QUALITY,
    ),
    Signal(
        "dt_bullet_line_fraction",
        "Lines that begin with • or -, per line; blank lines are lines.",
        count="bullet_line_count",
        per="line_count",
        source=_GOPHER_QUALITY,
    ),
    Signal(
        "dt_ellipsis_line_fraction",
        "Lines that end in ... or …, per line; blank lines are lines.",
        count="ellipsis_line_count",
        per="line_count",
        source=_GOPHER_QUALITY,
    ),
    Signal(
        "dt_alpha_token_fraction",
        "Words with a letter, per word or symbol.",
        count="alpha_token_count",
        per="token_count",
        source=_GOPHER_QUALITY,
    ),
    Signal(
        "dt_stop_word_count",
        f"How many of these come, in lower case: {', '.join(STOP_WORDS)}.",
        count="stop_word_count",
        source=_GOPHER_QUALITY,
    ),
)
_REPETITION = (
    Signal(
        "dt_duplicate_paragraph_fraction",
        "What two newlines or more separate and came before, per paragraph.",
        count="duplicate_paragraph_count",
        per="paragraph_count",
        source=_GOPHER_REPETITION,
    ),
    Signal(
        "dt_duplicate_paragraph_char_fraction",
        "Characters of paragraphs that came before, per character.",
        count="duplicate_paragraph_chars",
        per="char_count",
        source=_GOPHER_REPETITION,
    ),
    Signal(
        "dt_duplicate_line_fraction",
        "What newlines separate and came before, per line; empty lines count at the ends of the text only.",
        count="duplicate_stretch_count",
        per="stretch_count",
        source=_GOPHER_REPETITION,
    ),
    Signal(
        "dt_duplicate_line_char_fraction",
        "Characters, indentation included, of lines that came before, per character.",
        count="duplicate_stretch_chars",
        per="char_count",
        source=_GOPHER_REPETITION,
    ),
    *(
        Signal(
            f"dt_top_{n}gram_char_fraction",
            f"Characters, a blank between words included, of all occurrences of the most frequent {n} words in a row, "
            "per character; of several the first, also if it comes once.",
            count=f"top_{n}gram_chars",
            per="char_count",
            source=_GOPHER_REPETITION,
        )
        for n in range(2, 5)
    ),
    *(
        Signal(
            f"dt_duplicate_{n}gram_char_fraction",
            f"Characters, without white space, of every {n} words in a row whose characters came before, none counted "
            "twice, per character.",
            count=f"duplicate_{n}gram_chars",
            per="char_count",
            source=_GOPHER_REPETITION,
        )
        for n in range(5, 11)
    ),
)
_C4_SIGNALS = tuple(
    Signal(f"dt_{variant}_{count}", f"{what}{condition}.", count=f"{variant}_{count}", source=_C4_FILTER)
    for variant, condition in {"c4": ", those that end in . ? ! \" or '", "c4_any_end": ", however they end"}.items()
    for count, what in {
        "line_count": "Lines that C4's line rules keep",
        "sentence_count": "Sentences, as spaCy's sentencizer counts them, of the lines that C4's line rules keep",
        "lorem_ipsum_count": "Lines with lorem ipsum that reach the rule which drops a page for it",
        "curly_bracket_count": "Lines with { that reach the rule which drops a page for it",
    }.items()
)
_FINEWEB_SIGNALS = tuple(
    Signal(f"dt_{prefix}{name}", f"{definition}{where}.", count=f"{part}_{count}", per=per, source=_FINEWEB_FILTER)
    for part, prefix, where, tokens in (
        ("whole", "", "", "token_count"),
        ("cut", "cut_", ", in the text that C4 leaves, however lines end", "cut_token_count"),
    )
    for name, definition, count, per in (
        ("line_count", "Lines, between newlines, that are not blank", "line_count", ""),
        (
            "terminal_punctuation_line_fraction",
            "Lines that end in terminal punctuation (a quotation mark is none), per line that is not blank",
            "terminal_line_count",
            f"{part}_line_count",
        ),
        (
            "line_up_to_30_fraction",
            "Lines of at most 30 characters, per line that is not blank",
            "short_line_count",
            f"{part}_line_count",
        ),
        (
            "duplicate_line_char_fraction_of_lines",
            "Characters of lines that are not blank and came before, per character that is no newline",
            "duplicate_chars",
            f"{part}_line_chars",
        ),
        ("newlines_per_token", "Newlines per word or symbol", "newline_count", tokens),
    )
)

SIGNALS: tuple[Signal, ...] = (*_QUALITY, *_REPETITION, *_C4_SIGNALS, *_FINEWEB_SIGNALS)
DATATROVE_SIGNALS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        *(pa.field(signal.name, signal.type, nullable=False) for signal in SIGNALS),
    ]
)


def signals(ids: pa.StringArray, texts: pa.LargeStringArray) -> pa.RecordBatch:
    """The signals of texts, a row of DATATROVE_SIGNALS for each."""
    counts = measure(texts)
    columns = [pa.array(np.ascontiguousarray(signal.values(counts))) for signal in SIGNALS]
    return pa.RecordBatch.from_arrays([ids, *columns], schema=DATATROVE_SIGNALS)


class DatatroveSettings(BaseModel, frozen=True, extra="forbid"):
    """Nothing to set: a signal has one definition."""


def measure_datatrove(inputs: Inputs, settings: DatatroveSettings, out: Outputs) -> None:  # noqa: ARG001  (every stage has some)
    """Stage: the dataset `clean` to the dataset `datatrove`, the signals of each document in the same order."""
    with out.parquet("datatrove", DATATROVE_SIGNALS) as shard:
        for batch in read_batches(inputs.all("clean"), columns=["id", "text"], n_rows=BATCH_ROWS):
            shard.write(signals(batch.column("id"), batch.column("text")))
            out.counts["documents"] += batch.num_rows

"""All counts over the texts of a batch, in one compiled pass over Arrow's UTF-8 buffers.

No Python string is made. A document is decoded once, cut into tokens once (`corpus.words`), and its tokens and lines
are numbered once; everything counted is a whole number, so that ratios are exact quotients in float64. Time and memory
grow linearly with a document's length, whatever it holds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled
from datassay.corpus.unicode import (
    DIGIT,
    HAS_LOWER,
    LETTER,
    LOWER,
    PUNCTUATION,
    SPACE,
    TABLES,
    UPPER,
    Tables,
    decode,
    lower_of,
    text_buffers,
)
from datassay.corpus.words import FNV_START, WORD, fnv_step, hash_of, mix, read_token
from datassay.filters import lines as line_counts
from datassay.filters import ngrams
from datassay.filters.interning import Interner, new_interner, number_keys, number_of
from datassay.filters.lines import C4_COUNTS, C4_VARIANTS, LINE_COUNTS
from datassay.filters.ngrams import MAX_N, MAX_TOP_N, MIN_N

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""Of which Gopher wants two (Rae et al. 2021, appendix A.1.1)."""

CHARACTER_COUNTS = np.dtype(
    [
        (name, np.int64)
        for name in (
            "n_chars",
            "letter_count",
            "digit_count",
            "punctuation_count",
            "upper_case_count",
            "white_space_count",
            "hash_count",
            "ellipsis_count",
            "curly_bracket_count",
        )
    ]
)
TOKEN_COUNTS = np.dtype(
    [
        *(
            (name, np.int64)
            for name in (
                "token_count",
                "run_count",
                "alpha_run_count",
                "word_count",
                "word_chars",
                "longest_word_length",
                "alpha_word_count",
                "upper_case_word_count",
                "unique_word_count",
                "stop_word_count",
                "stop_word_occurrences",
            )
        ),
        ("unigram_entropy", np.float64),
    ]
)


def measure(texts: pa.LargeStringArray) -> dict[str, NDArray[np.int64] | NDArray[np.float64]]:
    """Every count of every text, by name: one array of (texts,) each, whole numbers but for `unigram_entropy`."""
    offsets, data = text_buffers(texts)
    characters = np.zeros(len(texts), CHARACTER_COUNTS)
    tokens = np.zeros(len(texts), TOKEN_COUNTS)
    lines = np.zeros(len(texts), LINE_COUNTS)
    grams = np.zeros((len(texts), MAX_N - MIN_N + 1), np.int64)
    c4 = np.zeros((len(texts), len(C4_VARIANTS), len(C4_COUNTS)), np.int64)
    n_most = int(np.diff(offsets).max(initial=1))  # bytes of the longest document, for which there must be room
    work = Work(
        np.empty(n_most, np.int32),
        np.empty(n_most, np.uint16),
        _new_room(n_most),
        line_counts.new_room(n_most),
        ngrams.new_room(n_most),
        new_interner(n_most),
        new_interner(n_most),
    )
    _measure(offsets, data, TABLES, _stop_words(), work, Counts(characters, tokens, lines, grams, c4))
    counts = {"n_bytes": np.diff(offsets)}
    for records in (characters, tokens, lines):
        counts |= {name: records[name] for name in records.dtype.names or ()}
    counts["symbol_count"] = characters["hash_count"] + characters["ellipsis_count"]
    for n in range(MIN_N, MAX_N + 1):
        counts[f"top_{n}gram_chars" if n <= MAX_TOP_N else f"duplicate_{n}gram_chars"] = grams[:, n - MIN_N]
    for v, variant in enumerate(C4_VARIANTS):
        counts |= {f"{variant}_{name}": c4[:, v, i] for i, name in enumerate(C4_COUNTS)}
    return counts


def _stop_words() -> NDArray[np.uint64]:
    """Hashes of the stop words, as those of words in lower case."""
    codes = [np.array([ord(character) for character in word], np.int32) for word in STOP_WORDS]
    return np.array([hash_of(word, 0, len(word)) for word in codes], np.uint64)


class Room(NamedTuple):
    """The room that a document's tokens take, with what `_find_tokens` leaves there."""

    starts: NDArray[np.int32]  # where each token begins
    flags: NDArray[np.uint16]  # all flags of its characters
    keys: NDArray[np.uint64]  # hash of each token
    ids: NDArray[np.int32]  # number of each token, equal ones alike
    chars: NDArray[np.int32]  # characters before each token, and in all, without white space
    spaced_chars: NDArray[np.int32]  # the same with one character for each white space between tokens
    word_keys: NDArray[np.uint64]  # hash in lower case of each distinct word as it is written
    word_counts: NDArray[np.int64]  # how often it comes
    word_numbers: NDArray[np.int32]


class Work(NamedTuple):
    """All the room for the work, enough for the longest document of a batch."""

    codes: NDArray[np.int32]
    kinds: NDArray[np.uint16]
    room: Room
    line_room: line_counts.Room
    gram_room: ngrams.Room
    table: Interner
    word_table: Interner


class Counts(NamedTuple):
    """What is counted of each document, zeros before: records, then (documents, n-grams), (documents, variants, …)."""

    characters: NDArray[np.void]
    tokens: NDArray[np.void]
    lines: NDArray[np.void]
    grams: NDArray[np.int64]
    c4: NDArray[np.int64]


@compiled(_nrt=False)
def _measure(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    tables: Tables,
    stop_words: NDArray[np.uint64],
    work: Work,
    out: Counts,
) -> None:
    """Count all documents of a batch. `_nrt=False`, here and below: arrays are made before, so none is counted."""
    codes, kinds, room = work.codes, work.kinds, work.room
    for d in range(len(offsets) - 1):
        n = decode(data, offsets[d], offsets[d + 1], tables, codes, kinds)
        _count_characters(codes[:n], kinds[:n], out.characters[d])
        n_tokens, n_distinct = _find_tokens(codes[:n], kinds[:n], room, work.table, out.tokens[d])
        _count_tokens(codes, n_distinct, room, work.table, work.word_table, tables, stop_words, out.tokens[d])
        ngrams.ngram_chars(
            room.ids[:n_tokens],
            work.table.counts,
            room.chars,
            room.spaced_chars,
            work.word_table,
            work.gram_room,
            out.grams[d],
        )
        text = data[offsets[d] : offsets[d + 1]]
        line_counts.count_lines(text, codes[:n], kinds[:n], work.table, work.line_room, out.lines[d], out.c4[d])


@compiled(_nrt=False)
def _count_characters(codes: NDArray[np.int32], kinds: NDArray[np.uint16], out: Any) -> None:
    """Count characters into `out`, a record of CHARACTER_COUNTS."""
    out.n_chars = len(codes)
    out.letter_count = _flag_count(kinds, np.uint16(LETTER))
    out.digit_count = _flag_count(kinds, np.uint16(DIGIT))
    out.punctuation_count = _flag_count(kinds, np.uint16(PUNCTUATION))
    out.upper_case_count = _flag_count(kinds, np.uint16(UPPER))
    out.white_space_count = _flag_count(kinds, np.uint16(SPACE))
    out.hash_count = _code_count(codes, 0x23)
    out.ellipsis_count = _code_count(codes, 0x2026) + _dots_count(codes)
    out.curly_bracket_count = _code_count(codes, 0x7B)


@compiled(_nrt=False)
def _flag_count(kinds: NDArray[np.uint16], flag: np.uint16) -> int:
    """How many characters have the flag. A sum as narrow as the flags lets the compiler count 16 or 32 at once."""
    total = 0
    for start in range(0, len(kinds), 1 << 15):
        block, count = kinds[start : start + (1 << 15)], np.uint16(0)
        for i in range(len(block)):
            count = np.uint16(count + ((block[i] & flag) != 0))
        total += int(count)
    return total


@compiled(_nrt=False)
def _code_count(codes: NDArray[np.int32], code: int) -> int:
    count, sought = np.int32(0), np.int32(code)
    for i in range(len(codes)):
        count = np.int32(count + (codes[i] == sought))
    return int(count)


@compiled(_nrt=False)
def _dots_count(codes: NDArray[np.int32]) -> int:
    """How often three full stops come in a row, none of them counted twice."""
    n, i, last = 0, 0, len(codes) - 2
    while i < last:
        if codes[i + 2] != 0x2E:
            i += 3
        elif codes[i + 1] != 0x2E or codes[i] != 0x2E:
            i += 1
        else:
            n += 1
            i += 3
    return n


@compiled
def _new_room(n_tokens: int) -> Room:
    return Room(
        np.empty(n_tokens, np.int32),
        np.empty(n_tokens, np.uint16),
        np.empty(n_tokens, np.uint64),
        np.empty(n_tokens, np.int32),
        np.empty(n_tokens + 1, np.int32),
        np.empty(n_tokens + 1, np.int32),
        np.empty(n_tokens, np.uint64),
        np.empty(n_tokens, np.int64),
        np.empty(n_tokens, np.int32),
    )


@compiled(_nrt=False)
def _find_tokens(
    codes: NDArray[np.int32], kinds: NDArray[np.uint16], room: Room, table: Interner, out: Any
) -> tuple[int, int]:
    """Find and number the tokens of a document: how many there are, how many differ; `table` counts them by number.

    out: a record of TOKEN_COUNTS, for what is counted of tokens as they follow each other
    """
    starts, all_flags, keys, chars, spaced_chars = room.starts, room.flags, room.keys, room.chars, room.spaced_chars
    end = len(codes)
    n, i, last_end = 0, 0, 0
    n_chars = n_spaces = n_runs = n_alpha_runs = 0
    has_letter = False  # in the run of characters between white space
    chars[0] = spaced_chars[0] = 0
    while i < end:
        if kinds[i] & SPACE:
            i += 1
            continue
        stop, key, flags = read_token(codes, kinds, i, end)
        starts[n], all_flags[n], keys[n] = i, flags, key
        is_after_space, is_alpha = i > last_end, (flags & LETTER) != 0
        is_new_run = is_after_space | (n == 0)
        n_chars += stop - i
        n_spaces += is_after_space
        n += 1
        chars[n], spaced_chars[n] = n_chars, n_chars + n_spaces
        has_letter &= not is_new_run
        n_runs += is_new_run
        n_alpha_runs += is_alpha & (not has_letter)
        has_letter |= is_alpha
        i = last_end = stop
    out.token_count, out.run_count, out.alpha_run_count = n, n_runs, n_alpha_runs
    return n, number_keys(table, keys[:n], room.ids)


@compiled(_nrt=False)
def _count_tokens(
    codes: NDArray[np.int32],
    n_distinct: int,
    room: Room,
    table: Interner,
    words: Interner,
    tables: Tables,
    stop_words: NDArray[np.uint64],
    out: Any,
) -> None:
    """Count tokens into `out`, a record of TOKEN_COUNTS: each distinct one once, times how often it comes.

    words: room for the distinct words in lower case
    """
    starts, chars, counts, firsts = room.starts, room.chars, table.counts, table.firsts
    n = n_words = n_chars = longest = n_alpha = n_upper_case = 0
    for number in range(n_distinct):
        t, count = firsts[number], counts[number]
        flags, length = room.flags[t], chars[t + 1] - chars[t]
        if flags & WORD:
            n_words += count
            n_chars += count * length
            longest = max(longest, length)
            n_alpha += count * ((flags & LETTER) != 0)
            n_upper_case += count * ((flags & (UPPER | LOWER)) == UPPER)
            is_lower = flags & HAS_LOWER == 0  # most are, and have their hash already
            room.word_keys[n] = room.keys[t] if is_lower else _lower_hash(codes, starts[t], starts[t] + length, tables)
            room.word_counts[n] = count
            n += 1
    out.word_count, out.word_chars, out.longest_word_length = n_words, n_chars, longest
    out.alpha_word_count, out.upper_case_word_count = n_alpha, n_upper_case
    _count_vocabulary(room.word_keys[:n], room.word_counts, room.word_numbers, words, stop_words, out)


@compiled(_nrt=False)
def _count_vocabulary(
    keys: NDArray[np.uint64],
    counts: NDArray[np.int64],
    numbers: NDArray[np.int32],
    table: Interner,
    stop_words: NDArray[np.uint64],
    out: Any,
) -> None:
    """Count words without regard to case into `out`, a record of TOKEN_COUNTS.

    keys, counts: hash in lower case and number of occurrences of each distinct word as it is written
    """
    n_distinct = number_keys(table, keys, numbers)
    totals = table.counts[:n_distinct]
    totals[:] = 0
    for w in range(len(keys)):
        totals[numbers[w]] += counts[w]
    for stop_word in stop_words:
        number = number_of(table, len(keys), stop_word)
        if number >= 0:
            out.stop_word_count += 1
            out.stop_word_occurrences += totals[number]
    out.unique_word_count = n_distinct
    out.unigram_entropy = _entropy(totals)


@compiled(_nrt=False)
def _lower_hash(codes: NDArray[np.int32], start: int, end: int, tables: Tables) -> np.uint64:
    """`hash_of` of the characters in lower case."""
    value = FNV_START
    for i in range(start, end):
        value = fnv_step(value, lower_of(tables, codes[i]))
    return mix(value)  # type: ignore[no-any-return]


@compiled(_nrt=False)
def _entropy(counts: NDArray[np.int64]) -> float:
    """Entropy in nats of the distribution that has these counts; 0 for none."""
    total = counts.sum()
    entropy, once = 0.0, 0.0
    if total:
        once = 1 / total * np.log(1 / total)  # of the many words that come once
    for count in counts:
        entropy -= once if count == 1 else count / total * np.log(count / total)
    return entropy

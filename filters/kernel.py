"""All counts over the texts of a batch, in one compiled pass over Arrow's UTF-8 buffers.

No Python string is made. A document is decoded once, cut into tokens once (`corpus.words`), and its tokens and lines
are numbered once; everything counted is a whole number, so that ratios are exact quotients in float64. Time and memory
grow linearly with a document's length, whatever it holds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from datassay.corpus.unicode import DIGIT, LETTER, LOWER, PUNCTUATION, SPACE, TABLES, UPPER, Tables, decode, lower_of
from datassay.corpus.words import WORD, hash_of, mix, token_end
from datassay.filters import lines as line_counts
from datassay.filters import ngrams
from datassay.filters.interning import Interner, new_interner, number_keys
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
            "run_count",
            "alpha_run_count",
        )
    ]
)
TOKEN_COUNTS = np.dtype(
    [
        *(
            (name, np.int64)
            for name in (
                "token_count",
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
    _, offset_buffer, data_buffer = texts.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.empty(0, np.uint8)
    characters = np.zeros(len(texts), CHARACTER_COUNTS)
    tokens = np.zeros(len(texts), TOKEN_COUNTS)
    lines = np.zeros(len(texts), LINE_COUNTS)
    grams = np.zeros((len(texts), MAX_N - MIN_N + 1), np.int64)
    c4 = np.zeros((len(texts), len(C4_VARIANTS), len(C4_COUNTS)), np.int64)
    _measure(offsets, data, TABLES, _stop_words(), characters, tokens, lines, grams, c4)
    counts = {"n_bytes": np.diff(offsets)}
    for records in (characters, tokens, lines):
        counts |= {name: records[name] for name in records.dtype.names or ()}
    for n in range(MIN_N, MAX_N + 1):
        counts[f"top_{n}gram_chars" if n <= MAX_TOP_N else f"duplicate_{n}gram_chars"] = grams[:, n - MIN_N]
    for v, variant in enumerate(C4_VARIANTS):
        counts |= {f"{variant}_{name}": c4[:, v, i] for i, name in enumerate(C4_COUNTS)}
    return counts


def _stop_words() -> NDArray[np.uint64]:
    """Hashes of the stop words, as those of words in lower case."""
    codes = [np.array([ord(character) for character in word], np.int32) for word in STOP_WORDS]
    return np.array([hash_of(word, 0, len(word)) for word in codes], np.uint64)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _measure(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    tables: Tables,
    stop_words: NDArray[np.uint64],
    characters: NDArray[np.void],
    tokens: NDArray[np.void],
    lines: NDArray[np.void],
    grams: NDArray[np.int64],
    c4: NDArray[np.int64],
) -> None:
    """Count all documents of a batch into records and rows of zeros. The room for the work is for the longest one."""
    n_max = 1
    for d in range(len(offsets) - 1):
        n_max = max(n_max, offsets[d + 1] - offsets[d])
    codes, kinds = np.empty(n_max, np.int32), np.empty(n_max, np.uint16)
    room, line_room, gram_room = _new_room(n_max), line_counts.new_room(n_max), ngrams.new_room(n_max)
    table, word_table = new_interner(n_max), new_interner(n_max)
    for d in range(len(offsets) - 1):
        n = decode(data, offsets[d], offsets[d + 1], tables, codes, kinds)
        _count_characters(codes[:n], kinds[:n], characters[d])
        n_tokens = _find_tokens(codes[:n], kinds[:n], room, table)
        _count_tokens(codes, kinds, n_tokens, room, table, word_table, tables, stop_words, tokens[d])
        ngrams.ngram_chars(
            room.ids[:n_tokens], table.counts, room.chars, room.spaced_chars, word_table, gram_room, grams[d]
        )
        line_counts.count_lines(codes[:n], kinds[:n], table, line_room, lines[d], c4[d])


@njit(cache=True)  # type: ignore[untyped-decorator]
def _count_characters(codes: NDArray[np.int32], kinds: NDArray[np.uint16], out: Any) -> None:
    """Count characters into `out`, a record of CHARACTER_COUNTS."""
    letters = digits = punctuation = upper_case = spaces = hashes = brackets = ellipses = full_stops = 0
    for i in range(len(kinds)):
        kind = kinds[i]
        letters += (kind & LETTER) != 0
        digits += (kind & DIGIT) != 0
        punctuation += (kind & PUNCTUATION) != 0
        upper_case += (kind & UPPER) != 0
        spaces += (kind & SPACE) != 0
    for i in range(len(codes)):
        hashes += codes[i] == 0x23
        brackets += codes[i] == 0x7B
        ellipses += codes[i] == 0x2026
    for i in range(len(codes)):
        full_stops = full_stops + 1 if codes[i] == 0x2E else 0
        if full_stops == 3:
            ellipses += 1
            full_stops = 0
    runs = alpha_runs = 0
    is_in_run = has_letter = False
    for i in range(len(kinds)):
        is_space = (kinds[i] & SPACE) != 0
        runs += not is_space and not is_in_run
        has_letter = (has_letter and is_in_run) or (kinds[i] & LETTER) != 0
        is_end = i + 1 == len(kinds) or (kinds[i + 1] & SPACE) != 0
        alpha_runs += not is_space and is_end and has_letter
        is_in_run = not is_space
    out.run_count = runs
    out.alpha_run_count = alpha_runs
    out.n_chars = len(codes)
    out.letter_count = letters
    out.digit_count = digits
    out.punctuation_count = punctuation
    out.upper_case_count = upper_case
    out.white_space_count = spaces
    out.hash_count = hashes
    out.ellipsis_count = ellipses
    out.curly_bracket_count = brackets


class Room(NamedTuple):
    """The room that a document's tokens take, with what `_find_tokens` leaves there."""

    starts: NDArray[np.int32]  # where each token begins
    keys: NDArray[np.uint64]  # hash of each token
    ids: NDArray[np.int32]  # number of each token, equal ones alike
    chars: NDArray[np.int32]  # characters before each token, and in all, without white space
    spaced_chars: NDArray[np.int32]  # the same with one character for each white space between tokens
    word_keys: NDArray[np.uint64]  # hash in lower case of each distinct word as it is written
    word_counts: NDArray[np.int64]  # how often it comes
    word_numbers: NDArray[np.int32]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _new_room(n_tokens: int) -> Room:
    return Room(
        np.empty(n_tokens, np.int32),
        np.empty(n_tokens, np.uint64),
        np.empty(n_tokens, np.int32),
        np.empty(n_tokens + 1, np.int32),
        np.empty(n_tokens + 1, np.int32),
        np.empty(n_tokens, np.uint64),
        np.empty(n_tokens, np.int64),
        np.empty(n_tokens, np.int32),
    )


@njit(cache=True)  # type: ignore[untyped-decorator]
def _find_tokens(codes: NDArray[np.int32], kinds: NDArray[np.uint16], room: Room, table: Interner) -> int:
    """Find and number the tokens of a document, and return how many there are; `table` counts them by number."""
    starts, keys, chars, spaced_chars = room.starts, room.keys, room.chars, room.spaced_chars
    end = len(codes)
    n, i, last_end = 0, 0, 0
    chars[0] = spaced_chars[0] = 0
    while i < end:
        if kinds[i] & SPACE:
            i += 1
            continue
        stop = token_end(codes, kinds, i, end)
        starts[n] = i
        keys[n] = hash_of(codes, i, stop)
        chars[n + 1] = chars[n] + stop - i
        spaced_chars[n + 1] = spaced_chars[n] + stop - i + (i > last_end)
        n += 1
        i = last_end = stop
    number_keys(table, keys[:n], room.ids)
    return n


@njit(cache=True)  # type: ignore[untyped-decorator]
def _count_tokens(
    codes: NDArray[np.int32],
    kinds: NDArray[np.uint16],
    n_tokens: int,
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
    starts, ids, chars, token_counts = room.starts, room.ids, room.chars, table.counts
    n_seen = n_words = 0
    for t in range(n_tokens):
        if ids[t] < n_seen:
            continue
        count = token_counts[n_seen]
        n_seen += 1
        n_chars = chars[t + 1] - chars[t]
        flags = np.uint16(0)
        for i in range(starts[t], starts[t] + n_chars):
            flags |= kinds[i]
        if flags & WORD:
            out.word_count += count
            out.word_chars += count * n_chars
            out.longest_word_length = max(out.longest_word_length, n_chars)
            out.alpha_word_count += count * ((flags & LETTER) != 0)
            out.upper_case_word_count += count * ((flags & UPPER) != 0 and (flags & LOWER) == 0)
            room.word_keys[n_words] = _lower_hash(codes, starts[t], starts[t] + n_chars, tables)
            room.word_counts[n_words] = count
            n_words += 1
    out.token_count = n_tokens
    _count_vocabulary(room.word_keys[:n_words], room.word_counts, room.word_numbers, words, stop_words, out)


@njit(cache=True)  # type: ignore[untyped-decorator]
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
    for word in range(n_distinct):
        for stop_word in stop_words:
            if table.keys[word] == stop_word:
                out.stop_word_count += 1
                out.stop_word_occurrences += totals[word]
    out.unique_word_count = n_distinct
    out.unigram_entropy = _entropy(totals)


@njit(cache=True)  # type: ignore[untyped-decorator]
def _lower_hash(codes: NDArray[np.int32], start: int, end: int, tables: Tables) -> np.uint64:
    """`hash_of` of the characters in lower case."""
    value = np.uint64(0xCBF29CE484222325)
    for i in range(start, end):
        value = (value ^ np.uint64(lower_of(tables, codes[i]))) * np.uint64(0x100000001B3)
    return mix(value)  # type: ignore[no-any-return]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _entropy(counts: NDArray[np.int64]) -> float:
    """Entropy in nats of the distribution that has these counts; 0 for none."""
    total = counts.sum()
    entropy = 0.0
    for count in counts:
        entropy -= count / total * np.log(count / total)
    return entropy

"""N-grams of words and where texts hold them: compiled loops over Arrow's UTF-8 buffers.

A word is what GPT-3 calls a gram (Brown et al. 2020, appendix C): what white space separates, in lower case, without
punctuation. Punctuation is every character of Unicode's categories P* and every ASCII character that is neither letter
nor digit nor white space; what it leaves of a token stays one word (`don't` is `dont`), and a token of nothing else is
none. In scripts without spaces (`unicode.UNSPACED`) a character with its marks is a word. Marks with nothing before
them belong to no word.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled
from datassay.corpus.unicode import (
    DIGIT,
    LETTER,
    MARK,
    PUNCTUATION,
    SPACE,
    TABLES,
    UNSPACED,
    Tables,
    decode,
    lower_of,
    text_buffers,
)
from datassay.corpus.words import FNV_START, fnv_step, hash_of, mix, read_token

BASE = np.uint64(0x9E3779B97F4A7C15)
"""Of the polynomial over the hashes of words, modulo 2**64; odd, so that no word loses its weight. On disk for ever."""
FILTER_BITS_PER_KEY = 16
"""One position in sixteen that is no match passes the filter and costs a search."""
_LINE_FEED = 0x0A


class Needles(NamedTuple):
    """What is looked for, in the form that compiled loops take."""

    keys: NDArray[np.uint64]  # (needles,), sorted and distinct
    lengths: NDArray[np.int64]  # how many words needles have, each length once, ascending
    bits: NDArray[np.uint64]  # one bit for each value of the upper bits of a prefix; set where a needle has it
    shift: np.uint64  # by which a prefix becomes the number of its bit


class Matches(NamedTuple):
    """Where texts hold needles, in the order of texts and places."""

    texts: NDArray[np.int64]  # which text of the batch
    needles: NDArray[np.int64]  # which needle, by its place in `Needles.keys`
    starts: NDArray[np.int64]  # characters before it
    ends: NDArray[np.int64]  # characters up to its end


class Found(NamedTuple):
    """What the questions of a batch have to look for."""

    keys: NDArray[np.uint64]
    prefixes: NDArray[np.uint64]
    lengths: NDArray[np.int64]  # words
    rows: NDArray[np.int64]  # which row of the batch


def new_needles(keys: NDArray[np.uint64], prefixes: NDArray[np.uint64], lengths: NDArray[np.int64]) -> Needles:
    """Needles to look for, from their sorted keys, and the prefix and length of each."""
    n_bits = max(6, int(len(keys) * FILTER_BITS_PER_KEY - 1).bit_length() if len(keys) else 6)
    shift = np.uint64(64 - n_bits)
    places = prefixes >> shift
    bits = np.zeros(1 << (n_bits - 6), np.uint64)
    np.bitwise_or.at(bits, (places >> np.uint64(6)).astype(np.int64), np.uint64(1) << (places & np.uint64(63)))
    return Needles(keys, np.unique(lengths), bits, shift)


def find_ngrams(texts: pa.Array, needles: Needles, *, prefix_words: int) -> Matches:
    """Every place where a text (large_string, no nulls) holds a needle.

    A place runs from the first character of the first word to the last of the last, punctuation at both ends left out.
    prefix_words: as for `question_ngrams`; no needle has fewer words
    """
    return _collect(_find_ngrams(*text_buffers(texts), TABLES, needles, prefix_words))


def find_paragraphs(texts: pa.Array, needles: Needles) -> Matches:
    """Every line of a text (large_string, no nulls) that is exactly a needle of `question_paragraphs`."""
    return _collect(_find_paragraphs(*text_buffers(texts), TABLES, needles))


def question_ngrams(
    texts: pa.Array, rows: NDArray[np.int64], is_context: NDArray[np.bool_], *, n: int, min_words: int
) -> Found:
    """What to look for of questions, each of them a run of texts with the same row number.

    The n-grams of the row's words in a row, but for those that lie in its context alone; each text of fewer words than
    n, if it has at least `min_words`; the whole row, if all of it has fewer than n. A prefix is the polynomial over the
    first `min_words` words.
    """
    words, ends = _all_words(*text_buffers(texts), TABLES)
    return Found(*_question_ngrams(words, ends, rows, is_context, n, min_words))


def question_paragraphs(texts: pa.Array, rows: NDArray[np.int64], *, min_words: int) -> Found:
    """The lines of texts with at least `min_words` tokens (`corpus.words`: words and symbols), as they are."""
    return Found(*_question_paragraphs(*text_buffers(texts), TABLES, rows, min_words))


def _collect(places: NDArray[np.int64]) -> Matches:
    return Matches(*(np.ascontiguousarray(places[:, i]) for i in range(4)))


@compiled
def read_words(
    codes: NDArray[np.int32],
    kinds: NDArray[np.uint16],
    n: int,
    tables: Tables,
    words: NDArray[np.uint64],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> int:
    """Write hash, first character and end of each word of n characters; returns the number of words.

    words, starts, ends: as long as there are characters
    """
    n_words, value, is_open, is_unspaced = 0, FNV_START, False, False
    for i in range(n):
        kind, code = kinds[i], codes[i]
        if kind & SPACE:
            if is_open:
                words[n_words] = mix(value)
                n_words += 1
                is_open = False
        elif kind & PUNCTUATION or (code < 0x80 and not kind & (LETTER | DIGIT)):
            continue
        elif is_open and (kind & MARK or not (is_unspaced or kind & UNSPACED)):
            value = fnv_step(value, lower_of(tables, code))
            ends[n_words] = i + 1
        elif not kind & MARK:
            if is_open:
                words[n_words] = mix(value)
                n_words += 1
            is_open, is_unspaced = True, (kind & UNSPACED) != 0
            value = fnv_step(FNV_START, lower_of(tables, code))
            starts[n_words], ends[n_words] = i, i + 1
    if is_open:
        words[n_words] = mix(value)
        n_words += 1
    return n_words


@compiled
def _polynomial(words: NDArray[np.uint64]) -> np.uint64:
    """Sum of words[j] * BASE ** (number of words after j), modulo 2**64."""
    value = np.uint64(0)
    for word in words:
        value = value * BASE + word
    return value


@compiled
def _key(polynomial: np.uint64, n_words: int) -> np.uint64:
    return mix(polynomial ^ np.uint64(n_words))  # type: ignore[no-any-return]


@compiled
def _place_of(keys: NDArray[np.uint64], key: np.uint64) -> int:
    """Where a key stands among sorted ones; -1 if it does not."""
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low if low < len(keys) and keys[low] == key else -1


@compiled
def _passes(needles: Needles, prefix: np.uint64) -> bool:
    place = prefix >> needles.shift
    return (needles.bits[np.int64(place >> np.uint64(6))] >> (place & np.uint64(63))) & np.uint64(1) != 0  # type: ignore[no-any-return]


@compiled
def _longest(offsets: NDArray[np.int64]) -> int:
    n_max = 1
    for i in range(len(offsets) - 1):
        n_max = max(n_max, offsets[i + 1] - offsets[i])
    return n_max


@compiled
def _with_room(places: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Room for one row more than n: the same array, or a copy twice as long."""
    if n < len(places):
        return places
    grown = np.empty((2 * len(places), places.shape[1]), np.int64)
    grown[:n] = places
    return grown


@compiled
def _find_ngrams(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], tables: Tables, needles: Needles, p: int
) -> NDArray[np.int64]:
    """(matches, 4): text, needle, start, end."""
    n_max = _longest(offsets)
    codes, kinds = np.empty(n_max, np.int32), np.empty(n_max, np.uint16)
    words, starts, ends = np.empty(n_max, np.uint64), np.empty(n_max, np.int64), np.empty(n_max, np.int64)
    leaving = np.uint64(1)  # BASE ** p, the weight of the word that leaves the window
    for _ in range(p):
        leaving *= BASE
    places, n = np.empty((64, 4), np.int64), 0
    for d in range(len(offsets) - 1):
        n_chars = decode(data, offsets[d], offsets[d + 1], tables, codes, kinds)
        n_words = read_words(codes, kinds, n_chars, tables, words, starts, ends)
        if n_words < p:
            continue
        prefix = _polynomial(words[:p])
        for i in range(n_words - p + 1):
            if i:
                prefix = prefix * BASE + words[i + p - 1] - words[i - 1] * leaving
            if not _passes(needles, prefix):
                continue
            value, end = prefix, p
            for length in needles.lengths:
                if i + length > n_words:
                    break
                while end < length:
                    value = value * BASE + words[i + end]
                    end += 1
                needle = _place_of(needles.keys, _key(value, length))
                if needle >= 0:
                    places = _with_room(places, n)
                    places[n, 0], places[n, 1] = d, needle
                    places[n, 2], places[n, 3] = starts[i], ends[i + length - 1]
                    n += 1
    return places[:n]


@compiled
def _find_paragraphs(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], tables: Tables, needles: Needles
) -> NDArray[np.int64]:
    """(matches, 4): text, needle, start, end."""
    n_max = _longest(offsets)
    codes, kinds = np.empty(n_max, np.int32), np.empty(n_max, np.uint16)
    places, n = np.empty((64, 4), np.int64), 0
    for d in range(len(offsets) - 1):
        n_chars = decode(data, offsets[d], offsets[d + 1], tables, codes, kinds)
        start, value = 0, FNV_START
        for i in range(n_chars + 1):
            if i < n_chars and codes[i] != _LINE_FEED:
                value = fnv_step(value, codes[i])
                continue
            key = mix(value)
            if i > start and _passes(needles, key):
                needle = _place_of(needles.keys, key)
                if needle >= 0:
                    places = _with_room(places, n)
                    places[n, 0], places[n, 1], places[n, 2], places[n, 3] = d, needle, start, i
                    n += 1
            start, value = i + 1, FNV_START
    return places[:n]


@compiled
def _all_words(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], tables: Tables
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The hashes of the words of all texts, and where each text's end."""
    n_max = _longest(offsets)
    codes, kinds = np.empty(n_max, np.int32), np.empty(n_max, np.uint16)
    starts, word_ends = np.empty(n_max, np.int64), np.empty(n_max, np.int64)
    words, ends = np.empty(offsets[-1] - offsets[0], np.uint64), np.empty(len(offsets) - 1, np.int64)
    n = 0
    for d in range(len(offsets) - 1):
        n_chars = decode(data, offsets[d], offsets[d + 1], tables, codes, kinds)
        n += read_words(codes, kinds, n_chars, tables, words[n:], starts, word_ends)
        ends[d] = n
    return words[:n], ends


@compiled
def _question_ngrams(
    words: NDArray[np.uint64],
    ends: NDArray[np.int64],
    rows: NDArray[np.int64],
    is_context: NDArray[np.bool_],
    n: int,
    min_words: int,
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    n_most = len(words) + 2 * len(ends)
    keys, prefixes = np.empty(n_most, np.uint64), np.empty(n_most, np.uint64)
    lengths, of_rows = np.empty(n_most, np.int64), np.empty(n_most, np.int64)
    count, t, start = 0, 0, 0
    while t < len(ends):
        first, text_start, context_end = t, start, start
        while t < len(ends) and rows[t] == rows[first]:
            length = ends[t] - text_start
            if is_context[t]:
                context_end = ends[t]
            elif min_words <= length < n:
                count = _add(keys, prefixes, lengths, of_rows, count, words[text_start : ends[t]], min_words, rows[t])
            text_start = ends[t]
            t += 1
        end = text_start
        if min_words <= end - start < n and end > context_end:
            count = _add(keys, prefixes, lengths, of_rows, count, words[start:end], min_words, rows[first])
        for i in range(max(start, context_end - n + 1), end - n + 1):
            count = _add(keys, prefixes, lengths, of_rows, count, words[i : i + n], min_words, rows[first])
        start = end
    return keys[:count], prefixes[:count], lengths[:count], of_rows[:count]


@compiled
def _add(
    keys: NDArray[np.uint64],
    prefixes: NDArray[np.uint64],
    lengths: NDArray[np.int64],
    of_rows: NDArray[np.int64],
    count: int,
    words: NDArray[np.uint64],
    min_words: int,
    row: int,
) -> int:
    """Write one needle at `count`; returns how many there are then."""
    keys[count], prefixes[count] = _key(_polynomial(words), len(words)), _polynomial(words[:min_words])
    lengths[count], of_rows[count] = len(words), row
    return count + 1


@compiled
def _question_paragraphs(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], tables: Tables, rows: NDArray[np.int64], min_words: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    n_max = _longest(offsets)
    codes, kinds = np.empty(n_max, np.int32), np.empty(n_max, np.uint16)
    n_most = offsets[-1] - offsets[0] + len(offsets)
    keys, lengths, of_rows = np.empty(n_most, np.uint64), np.empty(n_most, np.int64), np.empty(n_most, np.int64)
    count = 0
    for d in range(len(offsets) - 1):
        n_chars = decode(data, offsets[d], offsets[d + 1], tables, codes, kinds)
        start = 0
        for i in range(n_chars + 1):
            if i == n_chars or codes[i] == _LINE_FEED:
                n_tokens = _count_tokens(codes, kinds, start, i)
                if i > start and n_tokens >= min_words:
                    keys[count], lengths[count], of_rows[count] = hash_of(codes, start, i), n_tokens, rows[d]
                    count += 1
                start = i + 1
    return keys[:count], keys[:count].copy(), lengths[:count], of_rows[:count]


@compiled
def _count_tokens(codes: NDArray[np.int32], kinds: NDArray[np.uint16], start: int, end: int) -> int:
    n, i = 0, start
    while i < end:
        if kinds[i] & SPACE:
            i += 1
        else:
            i, _, _ = read_token(codes, kinds, i, end)
            n += 1
    return n

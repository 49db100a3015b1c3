"""Shingles: hashes of all runs of k words of a document, what two documents are compared by.

A word is a run of letters, digits and `_` with the marks that follow them, in lower case; a shingle is k words in a row
(Broder 1997). Where more than half of a document's letters are of scripts without spaces, every such character is a
word of its own, and k is larger. A text of k words or fewer is one shingle; a text without words has none.

Three compiled steps for each document: its words in lower case with zero bytes between them, the hash of each word, the
hash of each run. The first handles 32 bytes at once where all are ASCII, the second finds the words of 64 bytes at once
and hashes them by eight.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numba.cpython.unsafe.numbers import trailing_zeros
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled
from datassay.corpus.unicode import DIGIT, LETTER, MARK, TABLES, UNSPACED, Tables, kind_of, lower_of, text_buffers

SHINGLING = 2
"""Version of the hashes: signatures of another cannot be compared."""
_BLOCK = 32
"""Bytes that are handled at once: constant, so that the compiler turns the loops over them into vector instructions."""
_ASCII = np.array([ord(chr(i).lower()) if chr(i).isalnum() or i == 0x5F else 0 for i in range(128)], np.uint8)
"""The lower case of each ASCII character that belongs to words, 0 for the others."""
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_HIGHS = np.uint64(0x8080808080808080)
_SEVENS = np.uint64(0x7F7F7F7F7F7F7F7F)
_GATHER = np.uint64(0x0102040810204080)
"""Times a word with the lowest bit of each byte: the upper byte has bit i of byte i."""
_0, _1, _8 = np.uint64(0), np.uint64(1), np.uint64(8)
_WORD_SEED = np.uint64(0xCBF29CE484222325)
_WORD_FACTOR = np.uint64(0xD6E8FEB86659FD93)
_RUN_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class ShingleSets:
    """The shingles of a batch of documents."""

    offsets: NDArray[np.int64]
    """(documents + 1,), where each document's values begin."""
    values: NDArray[np.uint32]
    """(values of all documents,), 32-bit hashes; of `shingle_sets`, sorted within a document and distinct."""
    by_characters: NDArray[np.bool_]
    """(documents,), whether the shingles are of characters."""

    @property
    def sizes(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)


def shingles(texts: pa.Array, *, words: int, characters: int, by_characters: bool = False) -> ShingleSets:
    """The shingles of texts as they come, with repeats: enough for a signature.

    words, characters: of a shingle, the second in scripts without spaces or, with `by_characters`, everywhere
    The hash of a shingle is the upper half of 64 bits. Of a text that is one shingle both halves are in the set, since
    32 bits are too few to tell millions of short texts apart.
    """
    offsets, data = text_buffers(texts)
    longest = int(np.max(np.diff(offsets), initial=0))
    hashes, bounds, is_by_characters = _hash_shingles(offsets, data, TABLES, longest, words, characters, by_characters)
    return ShingleSets(bounds, hashes, is_by_characters)


def shingle_sets(texts: pa.Array, *, words: int, characters: int, by_characters: bool = False) -> ShingleSets:
    """The sets of shingles of texts, as `shingles` with the values of each sorted and distinct."""
    found = shingles(texts, words=words, characters=characters, by_characters=by_characters)
    for start, end in pairwise(found.offsets.tolist()):
        found.values[start:end].sort()  # NumPy's vector sort: 6 times as fast as numba's, and 10 times as one for all
    offsets, n_values = _drop_repeats(found.offsets, found.values)
    return ShingleSets(offsets, found.values[:n_values].copy(), found.by_characters)


@compiled
def _hash_shingles(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    tables: Tables,
    longest: int,
    k_words: int,
    k_characters: int,
    all_by_characters: bool,
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.bool_]]:
    """Hashes of the shingles of all documents, in order of text; their bounds; whether by characters.

    longest: bytes of the longest document; NumPy finds it, because compiled code that calls np.max makes each process
             load all of numba's mathematics, and scipy.linalg with it
    """
    n_documents = len(offsets) - 1
    # a character has at most 3/2 of its bytes in lower case; zeros behind, so that the last word ends, too
    space = (longest + longest // 2 + 4 * 64) // 8
    words_of_8 = np.zeros(space, np.uint64)
    lower = words_of_8.view(np.uint8)
    words, runs = np.empty(longest + 1, np.uint64), np.empty(longest + 1, np.uint64)
    hashes = np.empty((offsets[-1] - offsets[0]) // 5 + 2, np.uint32)  # enough for most texts
    bounds, by_characters = np.zeros(n_documents + 1, np.int64), np.empty(n_documents, np.bool_)
    end = 0
    for i in range(n_documents):
        n_bytes, is_unspaced = _lower_words(data, offsets[i], offsets[i + 1], tables, lower)
        if is_unspaced or all_by_characters:
            by_characters[i], k = True, k_characters
            n_words = _hash_characters(lower, n_bytes, words)
        else:
            by_characters[i], k = False, k_words
            n_words = _hash_words(words_of_8, n_bytes, words)
        if end + n_words + 2 > len(hashes):
            more = np.empty(2 * len(hashes) + n_words, np.uint32)
            more[:end] = hashes[:end]
            hashes = more
        end += _hash_runs(words, n_words, k, runs, hashes[end:])
        bounds[i + 1] = end
    return hashes[:end], bounds, by_characters


@compiled
def _lower_words(
    data: NDArray[np.uint8], start: int, end: int, tables: Tables, lower: NDArray[np.uint8]
) -> tuple[int, bool]:
    """Write the words of data[start:end], valid UTF-8, to `lower`: in lower case, a zero for each other character.

    returns: bytes written, and whether more than half of the letters are of scripts without spaces
    """
    n_bytes = n_letters = n_unspaced = 0
    i = start
    while i < end:
        limit = min(i + _BLOCK, end)
        if limit - i == _BLOCK:
            found = _lower_ascii(data[i:limit], lower[n_bytes : n_bytes + _BLOCK])
            if found >= 0:
                n_letters += found
                n_bytes += _BLOCK
                i = limit
        while i < limit:
            if data[i] < 0x80:
                lower[n_bytes] = _ASCII[data[i]]
                n_letters += lower[n_bytes] >= 0x61
                n_bytes += 1
                i += 1
                continue
            code, i = _decode(data, i)
            kind = kind_of(tables, code)
            n_letters += (kind & LETTER) != 0
            n_unspaced += (kind & UNSPACED) != 0
            follows = n_bytes > 0 and lower[n_bytes - 1] != 0
            if (kind & (LETTER | DIGIT)) != 0 or (follows and (kind & MARK) != 0):
                n_bytes = _encode(lower_of(tables, code), lower, n_bytes)
            else:
                lower[n_bytes] = 0
                n_bytes += 1
    lower[n_bytes : n_bytes + 2 * 64] = 0
    return n_bytes, 2 * n_unspaced > n_letters


@compiled
def _lower_ascii(block: NDArray[np.uint8], lower: NDArray[np.uint8]) -> int:
    """Write one block in lower case and with zeros; how many letters it has, or -1 if it is not all ASCII.

    Its tests wrap around, as bytes do.
    """
    n_letters = n_others = np.uint8(0)
    for j in range(_BLOCK):
        byte = block[j]
        low = np.uint8(byte | np.uint8(0x20))
        is_letter = np.uint8(low - np.uint8(0x61)) < np.uint8(26)
        belongs = is_letter | (np.uint8(byte - np.uint8(0x30)) < np.uint8(10)) | (byte == np.uint8(0x5F))
        n_letters = np.uint8(n_letters + np.uint8(is_letter))
        n_others = np.uint8(n_others + np.uint8(byte >= np.uint8(0x80)))
        value = np.uint8(low if is_letter else byte)
        lower[j] = value if belongs else np.uint8(0)
    return -1 if n_others else int(n_letters)


@compiled
def _decode(data: NDArray[np.uint8], i: int) -> tuple[int, int]:
    """The character of two to four bytes that begins at i, and where the next begins."""
    lead = int(data[i])
    code = (lead & 0x1F) << 6 | int(data[i + 1]) & 0x3F
    if lead < 0xE0:
        return code, i + 2
    code = (code & 0x3FF) << 6 | int(data[i + 2]) & 0x3F
    if lead < 0xF0:
        return code, i + 3
    return (code & 0x7FFF) << 6 | int(data[i + 3]) & 0x3F, i + 4


@compiled
def _encode(code: int, out: NDArray[np.uint8], i: int) -> int:
    """Write a character as UTF-8; where the next goes."""
    if code < 0x80:
        out[i] = code
        return i + 1
    if code < 0x800:
        out[i] = 0xC0 | code >> 6
        out[i + 1] = 0x80 | code & 0x3F
        return i + 2
    if code < 0x10000:
        out[i] = 0xE0 | code >> 12
        out[i + 1] = 0x80 | (code >> 6) & 0x3F
        out[i + 2] = 0x80 | code & 0x3F
        return i + 3
    out[i] = 0xF0 | code >> 18
    out[i + 1] = 0x80 | (code >> 12) & 0x3F
    out[i + 2] = 0x80 | (code >> 6) & 0x3F
    out[i + 3] = 0x80 | code & 0x3F
    return i + 4


@compiled
def _hash_words(words_of_8: NDArray[np.uint64], n_bytes: int, hashes: NDArray[np.uint64]) -> np.int64:
    """Write the hash of each run of bytes that are not zero; how many there are.

    words_of_8: the bytes, eight at a time

    Of 64 bytes at once one bit each says whether they are zero; where it changes, a word begins or ends. All numbers
    are unsigned: an index that could be negative would be looked at twice.
    """
    n_words = start = goes_on = _0
    for block in range(_0, np.uint64(n_bytes // 8 + 1), _8):  # one more byte than there are: the last word ends there
        bits = _0
        for j in range(_8):
            eight = words_of_8[block + j]
            filled = ((eight & _SEVENS) + _SEVENS | eight) & _HIGHS  # the upper bit of each byte that is not zero
            bits |= ((filled >> np.uint64(7)) * _GATHER >> np.uint64(56)) << (_8 * j)
        changes = bits ^ (bits << _1 | goes_on)
        is_inside = goes_on != _0
        goes_on = bits >> np.uint64(63)
        while changes != _0:
            place = _8 * block + np.uint64(trailing_zeros(changes))
            changes &= changes - _1
            if is_inside:
                hashes[n_words] = _hash_word(words_of_8, start, place)
                n_words += _1
            else:
                start = place
            is_inside = not is_inside
    return np.int64(n_words)


@compiled(inline="always")
def _hash_word(words_of_8: NDArray[np.uint64], place: np.uint64, end: np.uint64) -> np.uint64:
    """The hash of bytes place to end - 1, of one or more."""
    value = _WORD_SEED
    while end - place > _8:
        value = (value ^ _eight_bytes(words_of_8, place)) * _WORD_FACTOR
        value ^= value >> np.uint64(32)
        place += _8
    last = _eight_bytes(words_of_8, place) & (_ALL >> (np.uint64(64) - _8 * (end - place)))
    return _mix((value ^ last) * _WORD_FACTOR)  # type: ignore[no-any-return]


@compiled(inline="always")
def _eight_bytes(words_of_8: NDArray[np.uint64], place: np.uint64) -> np.uint64:
    """Bytes place to place + 7, the first the lowest."""
    shift = (place & np.uint64(7)) << np.uint64(3)
    low, high = words_of_8[place >> np.uint64(3)], words_of_8[(place >> np.uint64(3)) + _1]
    # a shift by 64 has no meaning
    return (low >> shift) | ((high << _1) << (np.uint64(63) - shift))  # type: ignore[no-any-return]


@compiled
def _hash_characters(lower: NDArray[np.uint8], n_bytes: int, hashes: NDArray[np.uint64]) -> int:
    """Write the hash of each character that is not zero; how many there are."""
    n_characters = place = 0
    while place < n_bytes:
        if lower[place] == 0:
            place += 1
            continue
        value = np.uint64(lower[place])
        place += 1
        while lower[place] & 0xC0 == 0x80:
            value = value << np.uint64(8) | np.uint64(lower[place])
            place += 1
        hashes[n_characters] = _mix((value ^ _WORD_SEED) * _WORD_FACTOR)
        n_characters += 1
    return n_characters


@compiled
def _hash_runs(
    words: NDArray[np.uint64], n_words: int, k: int, runs: NDArray[np.uint64], hashes: NDArray[np.uint32]
) -> int:
    """Write the hashes of all runs of k words to `hashes`; how many there are.

    runs: room for as many numbers as words
    """
    if n_words == 0:
        return 0
    k = min(k, n_words)
    n_runs = n_words - k + 1
    runs[:n_runs] = words[:n_runs]
    for j in range(1, k):
        for i in range(n_runs):
            runs[i] = runs[i] * _RUN_FACTOR + words[i + j]
    for i in range(n_runs):
        hashes[i] = np.uint32(_mix(runs[i]) >> np.uint64(32))
    if n_runs == 1:
        hashes[1] = np.uint32(_mix(runs[0]) & np.uint64(0xFFFFFFFF))
        return 2
    return n_runs


@compiled
def _drop_repeats(bounds: NDArray[np.int64], hashes: NDArray[np.uint32]) -> tuple[NDArray[np.int64], int]:
    """Move the distinct values of each document, sorted, to the front of `hashes`; their bounds, and how many."""
    distinct = np.zeros(len(bounds), np.int64)
    n_values = 0
    for i in range(len(bounds) - 1):
        for j in range(bounds[i], bounds[i + 1]):
            value = hashes[j]
            if n_values == distinct[i] or value != hashes[n_values - 1]:
                hashes[n_values] = value
                n_values += 1
        distinct[i + 1] = n_values
    return distinct, n_values


@compiled(inline="always")
def _mix(x: np.uint64) -> np.uint64:
    """Spread 64 bits over 64 bits, one to one: the finalizer of splitmix64 (Steele, Lea, Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))

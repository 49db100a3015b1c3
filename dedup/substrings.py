"""Repeated stretches of at least L words, found exactly in bounded memory: no suffix array, no pairs of documents.

Lee et al. 2022 (Deduplicating training data makes language models better, arXiv:2107.06499) find them by a suffix array
of the corpus, which needs many times its bytes in memory or on fast disks. Here, winnowing (Schleimer, Wilkerson, Aiken
2003, Winnowing: local algorithms for document fingerprinting) says where to look, and file shuffles bring together what
is alike:

    anchors          of each run of w = L - k + 1 grams of k words, the one with the smallest hash
    shared_anchors   those whose hash occurs twice or more go back to their shards
    windows          every run of L words that holds a shared anchor is hashed
    repeated_windows those whose hash occurs twice or more (`repeats`)

Two equal windows hold the same w grams, so each selects the same gram at the same place within it: equal windows share
an anchor, and none is missed. What is hashed in vain are windows around anchors that share k words and not L. Two
windows that differ have one 64-bit hash with probability 2**-64: among 10**9 windows around shared anchors, one false
repeat of L words is expected in 37 corpora, among 10**10 there are three.

A word is one of `corpus.words`, in lower case: in scripts without spaces a character with its marks. Punctuation,
symbols, white space and line breaks between words make no difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, NonNegativeInt, PositiveInt

from datassay.corpus.compiled import compiled
from datassay.corpus.engine import Inputs
from datassay.corpus.shuffle import partition_of, shuffle_file
from datassay.corpus.store import Outputs
from datassay.corpus.unicode import SPACE, TABLES, Tables, decode, lower_of, text_buffers
from datassay.corpus.words import WORD, mix, read_token
from datassay.dedup.repeats import repeated, shuffled_rows
from datassay.dedup.units import SUBSTRING, UNIT, Units, numbered_texts, rounds

ANCHORS_VERSION = 1
SHARED_VERSION = 1
WINDOWS_VERSION = 1

ANCHOR = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),  # hash of k words; its upper bits are the partition
        pa.field("row", pa.int32(), nullable=False),  # in its shard
        pa.field("place", pa.int32(), nullable=False),  # words before it
    ]
)
SHARED = pa.schema([pa.field("row", pa.int32(), nullable=False), pa.field("place", pa.int32(), nullable=False)])

BASE = np.uint64(0x9E3779B97F4A7C15)
"""Of the polynomial over the hashes of words, modulo 2**64; odd, so that no word loses its weight."""


class AnchorsSettings(BaseModel, frozen=True, extra="forbid"):
    """What anchors are selected for, and how they are spread over files."""

    min_tokens: PositiveInt
    n_partitions: PositiveInt
    """A power of two."""


class SharedAnchorsSettings(BaseModel, frozen=True, extra="forbid"):
    """Which partition of anchors."""

    partition: NonNegativeInt


class WindowsSettings(AnchorsSettings, frozen=True, extra="forbid"):
    """Which shard, how many words a window has, and how windows are spread over files."""

    shard: NonNegativeInt


class Anchors(NamedTuple):
    """Anchors of texts, in order of text and place. Columns of ANCHOR."""

    keys: NDArray[np.uint64]
    rows: NDArray[np.int32]
    """In the batch, or in the shard."""
    places: NDArray[np.int32]


def gram_words(min_tokens: int) -> int:
    """k: the words of a gram.

    A third of a window. Of fewer words, more grams are alike by chance; of more, fewer grams lie in a window and more
    anchors, 2 / (w + 1) of the words, have to be sorted.
    """
    return max(1, min_tokens // 3)


def find_anchors(inputs: Inputs, settings: AnchorsSettings, out: Outputs) -> None:
    """Select the anchors of a shard. Reads `clean`.

    Writes `anchors`, shuffled by key. Counts `documents`, `words` and `anchors`.
    """
    with shuffle_file(out, "anchors", ANCHOR, settings.n_partitions) as file:
        for anchors in rounds(_shard_anchors(inputs, settings, out)):
            file.write_round(anchors, partition_of(anchors.keys, settings.n_partitions))
            out.counts["anchors"] += len(anchors.keys)


def _shard_anchors(inputs: Inputs, settings: AnchorsSettings, out: Outputs) -> Iterator[Anchors]:
    for first_row, texts in numbered_texts(inputs):
        anchors, n_words = select_anchors(texts, settings.min_tokens)
        out.counts["documents"] += len(texts)
        out.counts["words"] += n_words
        yield anchors._replace(rows=anchors.rows + np.int32(first_row))


def shared_anchors(inputs: Inputs, settings: SharedAnchorsSettings, out: Outputs) -> None:
    """Keep the anchors that occur twice or more. Reads a partition of `anchors`, of each shard, in the order of shards.

    Writes `shared`, shuffled by shard, in order of row and place. Counts `shared`.
    """
    paths = inputs.all("anchors")
    shards, table = shuffled_rows(paths, settings.partition, ANCHOR)
    found, _ = repeated(table["key"].to_numpy())
    shards, rows, places = shards[found], table["row"].to_numpy()[found], table["place"].to_numpy()[found]
    out.counts["shared"] += len(found)
    order = np.lexsort((places, rows, shards))
    with shuffle_file(out, "shared", SHARED, len(paths)) as file:
        file.write_round([rows[order], places[order]], shards[order])


def hash_windows(inputs: Inputs, settings: WindowsSettings, out: Outputs) -> None:
    """Hash the windows around the shared anchors of a shard. Reads `clean` and the shard's part of `shared`.

    Writes `units`, shuffled by key, in order of row. Counts `windows`. The shared anchors of a shard are in memory.
    """
    with shuffle_file(out, "units", UNIT, settings.n_partitions) as file:
        for units in rounds(_shard_windows(inputs, settings)):
            file.write_round(units, partition_of(units.keys, settings.n_partitions))
            out.counts["windows"] += len(units.keys)


def _shard_windows(inputs: Inputs, settings: WindowsSettings) -> Iterator[Units]:
    _, shared = shuffled_rows(inputs.all("shared"), settings.shard, SHARED)
    rows, places = shared["row"].to_numpy(), shared["place"].to_numpy()
    order = np.lexsort((places, rows))
    rows, places = rows[order], places[order]
    for first_row, texts in numbered_texts(inputs):
        here = slice(*np.searchsorted(rows, [first_row, first_row + len(texts)]))
        units = windows_at(texts, rows[here] - np.int32(first_row), places[here], settings.min_tokens)
        yield units._replace(rows=units.rows + np.int32(first_row))


def select_anchors(texts: pa.Array, min_tokens: int) -> tuple[Anchors, int]:
    """The anchors of texts, and how many words these have."""
    k = gram_words(min_tokens)
    *columns, n_words = _select_anchors(*text_buffers(texts), TABLES, k, min_tokens - k + 1)
    return Anchors(*columns), int(n_words)


def windows_at(texts: pa.Array, rows: NDArray[np.int32], places: NDArray[np.int32], min_tokens: int) -> Units:
    """The windows of texts that hold an anchor.

    rows, places: of the anchors, in order
    """
    k = gram_words(min_tokens)
    keys, at, starts, ends = _windows_at(*text_buffers(texts), TABLES, rows, places, k, min_tokens)
    return Units(keys, np.full(len(keys), SUBSTRING, np.int8), at, starts, ends)


@compiled(_nrt=False)
def read_words(
    codes: NDArray[np.int32],
    flags: NDArray[np.uint16],
    n: int,
    tables: Tables,
    words: NDArray[np.uint64],
    starts: NDArray[np.int32],
    ends: NDArray[np.int32],
) -> int:
    """Write hash and place of the words among n characters; returns how many there are.

    codes, flags: as `unicode.decode` writes them; codes are put into lower case
    """
    for i in range(n):
        codes[i] = lower_of(tables, codes[i])
    n_words = i = 0
    while i < n:
        if flags[i] & SPACE:
            i += 1
            continue
        end, value, kinds = read_token(codes, flags, i, n)
        if kinds & WORD:
            words[n_words], starts[n_words], ends[n_words] = value, i, end
            n_words += 1
        i = end
    return n_words


@compiled(_nrt=False)
def _power(n: int) -> np.uint64:
    value = np.uint64(1)
    for _ in range(n):
        value *= BASE
    return value


@compiled
def _select_anchors(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], tables: Tables, k: int, w: int
) -> tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.int32], int]:
    """Of each w grams in a row the smallest, of equal ones the last: the place depends on nothing but these grams."""
    n_documents = len(offsets) - 1
    longest = 0
    for document in range(n_documents):
        longest = max(longest, offsets[document + 1] - offsets[document])
    capacity = (offsets[n_documents] - offsets[0]) // 2 + n_documents  # words are apart, or of two bytes at least
    keys = np.empty(capacity, np.uint64)
    rows, places = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
    codes, flags = np.empty(longest, np.int32), np.empty(longest, np.uint16)
    words, grams = np.empty(longest, np.uint64), np.empty(longest, np.uint64)
    starts, ends, queue = np.empty(longest, np.int32), np.empty(longest, np.int32), np.empty(longest, np.int32)
    out_of = _power(k)
    n_found = n_all = 0
    for document in range(n_documents):
        n = decode(data, offsets[document], offsets[document + 1], tables, codes, flags)
        n_words = read_words(codes, flags, n, tables, words, starts, ends)
        n_all += n_words
        gram = np.uint64(0)
        first = stop = 0  # of the queue: places of grams, each smaller than all that follow
        last = -1
        for i in range(n_words):
            gram = gram * BASE + words[i]
            if i >= k:
                gram -= words[i - k] * out_of
            place = i - k + 1
            if place < 0:
                continue
            grams[place] = mix(gram)
            while stop > first and grams[queue[stop - 1]] >= grams[place]:
                stop -= 1
            queue[stop] = place
            stop += 1
            if place < w - 1:
                continue
            while queue[first] <= place - w:
                first += 1
            if queue[first] != last:
                last = queue[first]
                keys[n_found], rows[n_found], places[n_found] = grams[last], document, last
                n_found += 1
    return keys[:n_found].copy(), rows[:n_found].copy(), places[:n_found].copy(), n_all


@compiled
def _windows_at(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    tables: Tables,
    anchor_rows: NDArray[np.int32],
    anchor_places: NDArray[np.int32],
    k: int,
    n_window: int,
) -> tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Hash, document, first character and end of each run of n_window words that holds one of the anchors."""
    longest = capacity = a = 0
    while a < len(anchor_rows):
        document = anchor_rows[a]
        n_bytes = offsets[document + 1] - offsets[document]
        longest = max(longest, n_bytes)
        first = a
        while a < len(anchor_rows) and anchor_rows[a] == document:
            a += 1
        capacity += min(n_bytes // 2 + 1, (a - first) * (n_window - k + 1))
    keys, rows = np.empty(capacity, np.uint64), np.empty(capacity, np.int32)
    firsts, lasts = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
    codes, flags = np.empty(longest, np.int32), np.empty(longest, np.uint16)
    words, starts, ends = np.empty(longest, np.uint64), np.empty(longest, np.int32), np.empty(longest, np.int32)
    out_of = _power(n_window)
    n_found = a = 0
    while a < len(anchor_rows):
        document = anchor_rows[a]
        n = decode(data, offsets[document], offsets[document + 1], tables, codes, flags)
        n_words = read_words(codes, flags, n, tables, words, starts, ends)
        window, hashed = np.uint64(0), 0  # windows before that place are hashed, or hold no anchor
        while a < len(anchor_rows) and anchor_rows[a] == document:
            begin, end = max(anchor_places[a] + k - n_window, hashed), min(anchor_places[a], n_words - n_window)
            for place in range(begin, end + 1):
                if place == hashed and hashed:
                    window = window * BASE + words[place + n_window - 1] - words[place - 1] * out_of
                else:
                    window = np.uint64(0)
                    for i in range(place, place + n_window):
                        window = window * BASE + words[i]
                hashed = place + 1
                keys[n_found], rows[n_found] = mix(window), document
                firsts[n_found], lasts[n_found] = starts[place], ends[place + n_window - 1]
                n_found += 1
            a += 1
    return keys[:n_found], rows[:n_found], firsts[:n_found], lasts[:n_found]

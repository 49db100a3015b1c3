"""Dolma's rules on Common Crawl (Soldaini et al. 2024, arXiv:2402.00159), and the signals as its tagger defines them.

The figures are those of allenai/dolma, configs/dolma-v1_5/mixing/cc-head.yaml, the definitions those of its tagger
gopher_v1. They are Gopher's rules with other measures: words are what white space separates; their median length
counts, not the mean; lines end at a line feed alone; of a repeated line or n-gram every copy counts, and characters are
divided by those of all words (n-grams from five on: of all n-grams). So they are a family of signals of their own,
measured where a rule of the recipe mentions one.

Empty lines do not count, as in the tagger's second version: Dolma's texts are CCNet's and have none, and where blank
lines separate paragraphs they would be duplicates of each other. Of 22,000 documents with such lines the first version
drops 12,400 for duplicate lines.

Not among the rules: that a page with more than five pieces of personal data goes (`pii_count <= 5` says it), and what
Dolma's deduplication and its classifiers decide.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel

from datassay.corpus.compiled import compiled
from datassay.corpus.engine import Inputs
from datassay.corpus.store import Outputs, read_batches
from datassay.corpus.unicode import LETTER, SPACE, TABLES, Tables, decode, text_buffers
from datassay.corpus.words import hash_of
from datassay.filters.interning import Interner, new_interner, number_keys
from datassay.filters.rules import Rule
from datassay.filters.text_signals import BATCH_ROWS, Signal

VERSION = 1
MIN_N, MAX_TOP_N, MAX_N = 2, 4, 10
REQUIRED_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")

COUNTS = (
    "n_words",
    "word_chars",
    "twice_median_word_length",
    "symbol_words",
    "alpha_words",
    "required_words",
    "n_lines",
    "bullet_lines",
    "ellipsis_lines",
    "duplicate_lines",
    "duplicate_line_chars",
)
N_WORDS, WORD_CHARS, MEDIAN, SYMBOLS, ALPHA, REQUIRED, N_LINES, BULLETS, ELLIPSES, LINES, LINE_CHARS = range(
    len(COUNTS)
)

_SOURCE = "Soldaini et al. 2024; allenai/dolma, gopher_v1"
SIGNALS: tuple[Signal, ...] = (
    Signal("dolma_word_count", "Words: runs of characters between white space.", "n_words", source=_SOURCE),
    Signal(
        "dolma_median_word_length",
        "Median of the characters of a word.",
        "twice_median_word_length",
        per="two",
        source=_SOURCE,
    ),
    Signal("dolma_symbol_to_word_ratio", "Words with # or …, per word.", "symbol_words", "n_words", _SOURCE),
    Signal("dolma_alpha_word_fraction", "Words with a letter, per word.", "alpha_words", "n_words", _SOURCE),
    Signal(
        "dolma_required_word_count",
        f"Words that are one of these, in lower case, copies counted: {', '.join(REQUIRED_WORDS)}.",
        "required_words",
        source=_SOURCE,
    ),
    Signal("dolma_bullet_line_fraction", "Lines that begin with * or -, per line.", "bullet_lines", "n_lines", _SOURCE),
    Signal("dolma_ellipsis_line_fraction", "Lines that end in …, per line.", "ellipsis_lines", "n_lines", _SOURCE),
    Signal(
        "dolma_duplicate_line_fraction",
        "Lines that come more than once, every copy counted, per line.",
        "duplicate_lines",
        "n_lines",
        _SOURCE,
    ),
    Signal(
        "dolma_duplicate_line_char_fraction",
        "Characters of lines that come more than once, every copy counted, per character of a word. May exceed 1.",
        "duplicate_line_chars",
        "word_chars",
        _SOURCE,
    ),
    *(
        Signal(
            f"dolma_top_{n}gram_char_fraction",
            f"Characters of all occurrences of the most frequent {n} words in a row, the first of several, per "
            "character of a word.",
            f"top_{n}gram",
            "word_chars",
            _SOURCE,
        )
        for n in range(MIN_N, MAX_TOP_N + 1)
    ),
    *(
        Signal(
            f"dolma_duplicate_{n}gram_char_fraction",
            f"Characters of every {n} words in a row that come more than once, per character of every {n} words.",
            f"duplicate_{n}gram",
            f"all_{n}gram",
            _SOURCE,
        )
        for n in range(MAX_TOP_N + 1, MAX_N + 1)
    ),
)
"""Lines are what line feeds separate, but for empty ones. A text without words has 0 everywhere."""
DOLMA_SIGNALS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        *(pa.field(signal.name, signal.type, nullable=False) for signal in SIGNALS),
    ]
)

_CONFIG = "allenai/dolma, configs/dolma-v1_5/mixing/cc-head.yaml"
_MAX_TOP = {2: 0.20, 3: 0.18, 4: 0.16}
_MAX_DUPLICATE = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
DOLMA = (
    Rule("word_count", "dolma_word_count BETWEEN 50 AND 100000", _CONFIG),
    Rule("median_word_length", "dolma_median_word_length BETWEEN 3 AND 10", _CONFIG),
    Rule("symbol_ratio", "dolma_symbol_to_word_ratio <= 0.1", _CONFIG),
    Rule("alpha_words", "dolma_alpha_word_fraction >= 0.8", _CONFIG),
    Rule("required_words", "dolma_required_word_count >= 2", _CONFIG),
    Rule("bullet_lines", "dolma_bullet_line_fraction <= 0.9", _CONFIG),
    Rule("ellipsis_lines", "dolma_ellipsis_line_fraction <= 0.3", _CONFIG),
    Rule("duplicate_lines", "dolma_duplicate_line_fraction <= 0.3", _CONFIG),
    Rule("duplicate_line_chars", "dolma_duplicate_line_char_fraction <= 0.3", _CONFIG),
    *(Rule(f"top_{n}gram", f"dolma_top_{n}gram_char_fraction <= {limit}", _CONFIG) for n, limit in _MAX_TOP.items()),
    *(
        Rule(f"duplicate_{n}grams", f"dolma_duplicate_{n}gram_char_fraction <= {limit}", _CONFIG)
        for n, limit in _MAX_DUPLICATE.items()
    ),
)


class DolmaSettings(BaseModel, frozen=True, extra="forbid"):
    """Nothing to set: a signal has one definition."""


def measure_dolma(inputs: Inputs, settings: DolmaSettings, out: Outputs) -> None:  # noqa: ARG001
    """Stage: the dataset `clean` to the dataset `dolma`, the signals of each document in the same order."""
    with out.parquet("dolma", DOLMA_SIGNALS) as shard:
        for batch in read_batches(inputs.all("clean"), columns=["id", "text"], n_rows=BATCH_ROWS):
            out.counts["documents"] += batch.num_rows
            shard.write(dolma_signals(batch.column("id"), batch.column("text")))


def dolma_signals(ids: pa.StringArray, texts: pa.LargeStringArray) -> pa.RecordBatch:
    """The signals of texts, a row of DOLMA_SIGNALS for each."""
    offsets, data = text_buffers(texts)
    found = np.zeros((len(texts), len(COUNTS)), np.int64)
    grams = np.zeros((len(texts), MAX_N - MIN_N + 1, 2), np.int64)
    _measure(offsets, data, TABLES, _REQUIRED, found, grams)
    counts = {name: found[:, i] for i, name in enumerate(COUNTS)}
    counts["two"] = np.full(len(texts), 2, np.int64)
    for n in range(MIN_N, MAX_N + 1):
        counts[f"top_{n}gram"] = counts[f"duplicate_{n}gram"] = grams[:, n - MIN_N, 0]
        counts[f"all_{n}gram"] = grams[:, n - MIN_N, 1]
    columns = [pa.array(np.ascontiguousarray(signal.values(counts))) for signal in SIGNALS]
    return pa.RecordBatch.from_arrays([ids, *columns], schema=DOLMA_SIGNALS)


class Room(NamedTuple):
    """The room that a document takes: an entry for each character."""

    codes: NDArray[np.int32]
    kinds: NDArray[np.uint16]
    keys: NDArray[np.uint64]
    numbers: NDArray[np.int32]  # of each word, or line
    lengths: NDArray[np.int32]
    chars: NDArray[np.int64]  # of the words before each
    positions: NDArray[np.int32]
    grams: NDArray[np.int32]


@compiled
def _measure(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    tables: Tables,
    required: NDArray[np.uint64],
    counts: NDArray[np.int64],
    grams: NDArray[np.int64],
) -> None:
    """Count all documents into rows of zeros: `counts` by COUNTS; `grams` for each n (top or repeated, all)."""
    n_max = 1
    for d in range(len(offsets) - 1):
        n_max = max(n_max, offsets[d + 1] - offsets[d] + 1)
    room = Room(
        np.empty(n_max, np.int32),
        np.empty(n_max, np.uint16),
        np.empty(n_max, np.uint64),
        np.empty(n_max, np.int32),
        np.empty(n_max, np.int32),
        np.empty(n_max + 1, np.int64),
        np.empty(n_max, np.int32),
        np.empty(n_max, np.int32),
    )
    table = new_interner(n_max)
    for d in range(len(offsets) - 1):
        n = decode(data, offsets[d], offsets[d + 1], tables, room.codes, room.kinds)
        n_words = _count_words(n, required, room, counts[d])
        if n_words:
            _count_ngrams(n_words, room, table, grams[d])
            _count_lines(n, room, table, counts[d])


@compiled
def _count_words(n: int, required: NDArray[np.uint64], room: Room, out: NDArray[np.int64]) -> int:
    """Count the words of the first n characters into `out`; leaves their keys and the characters before them."""
    codes, kinds = room.codes, room.kinds
    n_words, i = 0, 0
    room.chars[0] = 0
    while i < n:
        if kinds[i] & SPACE:
            i += 1
            continue
        start, has_letter, has_symbol = i, False, False
        while i < n and not kinds[i] & SPACE:
            has_letter |= kinds[i] & LETTER != 0
            has_symbol |= codes[i] == 0x23 or codes[i] == 0x2026
            i += 1
        key = hash_of(codes, start, i)
        room.keys[n_words], room.lengths[n_words] = key, i - start
        n_words += 1
        room.chars[n_words] = room.chars[n_words - 1] + i - start
        out[SYMBOLS] += has_symbol
        out[ALPHA] += has_letter
        for word in required:
            out[REQUIRED] += key == word
    out[N_WORDS], out[WORD_CHARS] = n_words, room.chars[n_words]
    if n_words:
        ordered = np.sort(room.lengths[:n_words])
        out[MEDIAN] = np.int64(ordered[(n_words - 1) // 2]) + ordered[n_words // 2]
    return n_words


@compiled
def _count_ngrams(n_words: int, room: Room, table: Interner, out: NDArray[np.int64]) -> None:
    """Characters of the most frequent 2-, 3- and 4-gram, of the repeated 5- to 10-grams, and of all, into `out`."""
    keys, chars, positions, grams = room.keys, room.chars, room.positions, room.grams
    number_keys(table, keys[:n_words], room.numbers)
    n_left = 0
    for i in range(n_words):
        positions[n_left], grams[n_left] = i, room.numbers[i]
        n_left += table.counts[room.numbers[i]] > 1
    for n in range(MIN_N, MAX_N + 1):
        if n > n_words:
            return
        for i in range(n_words - n + 1):
            out[n - MIN_N, 1] += chars[i + n] - chars[i]
        n_left = _extend(n, n_left, n_words, room, table)
        if n <= MAX_TOP_N:
            out[n - MIN_N, 0] = chars[n]  # of the first n-gram, if none comes twice
            most, top = 1, 0
            for k in range(n_left):
                if table.counts[grams[k]] > most:  # positions are in order, so that the first of several wins
                    most, top = table.counts[grams[k]], positions[k]
            if most > 1:
                out[n - MIN_N, 0] = most * (chars[top + n] - chars[top])
        else:
            for k in range(n_left):
                out[n - MIN_N, 0] += chars[positions[k] + n] - chars[positions[k]]


@compiled
def _extend(n: int, n_before: int, n_words: int, room: Room, table: Interner) -> int:
    """Keep the positions, and the numbers, of the n-grams that repeat, of those whose first n - 1 words do."""
    keys, positions, grams = room.keys, room.positions, room.grams
    n_found = 0
    for k in range(n_before):
        i = positions[k]
        if i + n <= n_words:
            keys[n_found] = np.uint64(grams[k]) << np.uint64(32) | np.uint64(room.numbers[i + n - 1])
            positions[n_found] = i
            n_found += 1
    number_keys(table, keys[:n_found], grams)
    n_left = 0
    for k in range(n_found):
        positions[n_left], grams[n_left] = positions[k], grams[k]
        n_left += table.counts[grams[k]] > 1
    return n_left


@compiled
def _count_lines(n: int, room: Room, table: Interner, out: NDArray[np.int64]) -> None:
    """Count what line feeds separate among the first n characters, but for empty lines."""
    codes, n_lines, start = room.codes, 0, 0
    for i in range(n + 1):
        if i < n and codes[i] != 0x0A:
            continue
        if i > start:
            room.keys[n_lines], room.lengths[n_lines] = hash_of(codes, start, i), i - start
            n_lines += 1
            out[BULLETS] += codes[start] == 0x2A or codes[start] == 0x2D
            out[ELLIPSES] += codes[i - 1] == 0x2026
        start = i + 1
    number_keys(table, room.keys[:n_lines], room.numbers)
    for line in range(n_lines):
        if table.counts[room.numbers[line]] > 1:
            out[LINES] += 1
            out[LINE_CHARS] += room.lengths[line]
    out[N_LINES] = n_lines


def _word_hashes() -> NDArray[np.uint64]:
    codes = [np.array([ord(character) for character in word], np.int32) for word in REQUIRED_WORDS]
    return np.array([hash_of(word, 0, len(word)) for word in codes], np.uint64)


_REQUIRED = _word_hashes()

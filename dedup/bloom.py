"""Text that came before, found with a Bloom filter: one pass in a small memory that is known before it begins.

    bloom_count ─► registers (for each shard) ─► bloom ─► bloom (signals), edits

A Bloom filter (Bloom 1970) says of a unit that it never came, or that it came with a certain chance of error. A unit is
an n-gram of tokens, after the filter of DCLM (Li et al. 2024; mlfoundations/dclm, dedup/bff, remove type `old-both`),
or a whole paragraph, after Dolma (Soldaini et al. 2024). A paragraph is a line, as in both.

The pass goes over the documents in the order of the corpus, in one process: which of two copies comes first decides
which is cut. A filter that is too full would find everything and delete the corpus without a word, so its size follows
from the number of units, counted before with HyperLogLog, and the pass stops with an error if that was not enough.
"""

from __future__ import annotations

from math import ceil, log, log2, sqrt
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, Field, NonNegativeInt, PositiveInt, model_validator

from datassay.corpus.compiled import compiled
from datassay.corpus.edits import EDIT
from datassay.corpus.engine import Inputs
from datassay.corpus.errors import StoreError
from datassay.corpus.store import Outputs, ParquetShard, read_batches
from datassay.corpus.unicode import SPACE, TABLES, Tables, decode, text_buffers
from datassay.corpus.words import hash_of, mix, read_token

COUNT_VERSION = 1
VERSION = 1
BATCH_ROWS = 1024

PRECISION = 16
"""2**16 registers: the largest that datasketch has."""
STANDARD_ERROR = 1.04 / 2 ** (PRECISION / 2)
"""Of a count, relative (Flajolet, Fusy, Gandouet, Meunier 2007)."""
N_ERRORS = 3
"""The filter has room for so many standard errors more than were counted."""
NEWLINE = ord("\n")

REGISTERS = pa.schema([pa.field("register", pa.int8(), nullable=False)])
BLOOM = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("bloom_unit_count", pa.int64(), nullable=False),  # n-grams or paragraphs that were looked up
        pa.field("bloom_seen_fraction", pa.float64(), nullable=False),  # of these, that came before; 0 without any
    ]
)


class Bloom(BaseModel, frozen=True, extra="forbid"):
    """Repeated text by a Bloom filter: approximate, in one pass, in a memory that is known before."""

    unit: Literal["ngram", "paragraph"] = "ngram"
    """"ngram" (DCLM): a paragraph goes if most of its n-grams came before, a document likewise. "paragraph" (Dolma): a
    paragraph goes if it came before, character for character but for white space at its ends."""
    n: PositiveInt = 13
    """Tokens of an n-gram; a paragraph with fewer is neither looked up nor cut."""
    max_seen: float = Field(default=0.8, ge=0, le=1)
    """A paragraph is cut, and a document dropped, if more than this share of its n-grams came before; 1
    only measures the share, for a rule of your own over `bloom_seen_fraction`."""
    fp_rate: float | None = Field(default=None, gt=0, lt=1)
    """Chance that a unit that never came is taken for one that did; None is 0.01 for n-grams (DCLM) and 1e-6 for
    paragraphs (Dolma)."""
    n_units: PositiveInt | None = None
    """Distinct units of the corpus, if they are known; None counts them first."""
    max_megabytes: PositiveInt = 1024
    """A filter that would be larger is refused before the pass begins."""

    @model_validator(mode="after")
    def _means_what_it_says(self) -> Bloom:
        if self.unit == "paragraph" and {"n", "max_seen"} & self.model_fields_set:
            raise ValueError('`n` and `max_seen` go with unit = "ngram"')
        return self

    @property
    def cuts_ngrams(self) -> bool:
        """Whether documents are dropped for their n-grams."""
        return self.unit == "ngram" and self.max_seen < 1

    @property
    def chance_of_error(self) -> float:
        return self.fp_rate or {"ngram": 0.01, "paragraph": 1e-6}[self.unit]


class CountSettings(BaseModel, frozen=True, extra="forbid"):
    """What is counted."""

    unit: Literal["ngram", "paragraph"]
    n: PositiveInt


class PassSettings(BaseModel, frozen=True, extra="forbid"):
    """What the pass depends on."""

    bloom: Bloom
    n_shards: NonNegativeInt
    """The first shards are the input; documents of the others are neither looked up nor remembered."""


class Size(NamedTuple):
    """The size of a filter."""

    n_bits: int
    n_hashes: int


def filter_size(n_units: int, fp_rate: float) -> Size:
    """The smallest filter that is wrong with this chance once it holds so many units, or less often.

    k = log2(1 / p) hashes, a whole number, and m = -k n / ln(1 - p**(1 / k)) bits (Bloom 1970; Broder, Mitzenmacher
    2004): about half of the bits are set then.
    """
    n_hashes = max(1, round(log2(1 / fp_rate)))
    return Size(max(64, ceil(-n_hashes * max(n_units, 1) / log(1 - fp_rate ** (1 / n_hashes)))), n_hashes)


def count_units(inputs: Inputs, settings: CountSettings, out: Outputs) -> None:
    """The HyperLogLog registers of the units of a shard. Reads `clean`; writes `registers`. Counts `documents`."""
    registers = np.zeros(1 << PRECISION, np.int8)
    for batch in read_batches(inputs.all("clean"), columns=["text"], n_rows=BATCH_ROWS):
        offsets, data = text_buffers(batch["text"])
        _register(offsets, data, TABLES, _words_of(settings.unit, settings.n), registers)
        out.counts["documents"] += batch.num_rows
    with out.parquet("registers", REGISTERS) as shard:
        shard.write(pa.record_batch([pa.array(registers)], schema=REGISTERS))


def estimate(registers: NDArray[np.int8]) -> int:
    """The number of distinct units by their registers, and N_ERRORS standard errors more."""
    from datasketch import HyperLogLogPlusPlus

    found = float(HyperLogLogPlusPlus(reg=registers).count())
    return ceil(found * (1 + N_ERRORS * STANDARD_ERROR))


def sift(inputs: Inputs, settings: PassSettings, out: Outputs) -> None:
    """Look up every unit of the corpus, in order, and remember those of the paragraphs that stay.

    Reads `clean`, all shards, and their `registers` unless the number of units is given. Writes `bloom` and `edits`, a
    partition for each shard: the cut of a paragraph takes the line break before it along. Counts `documents`, `units`,
    `seen`, `cut_paragraphs`, `filter_bytes`, `filter_permille`: how full the filter is in the end.

    Raises StoreError if the filter would be larger than `max_megabytes`, or gets so full that it errs more often than
    asked for; nothing of the pass is kept then.
    """
    bloom = settings.bloom
    n_units = bloom.n_units or _counted(inputs.all("registers"))
    size = filter_size(n_units, bloom.chance_of_error)
    _check_memory(size, n_units, bloom)
    state = Filter(np.zeros(-(-size.n_bits // 64), np.uint64), np.zeros(1, np.int64), size.n_bits, size.n_hashes)
    out.counts.update(dict.fromkeys(("documents", "units", "seen", "cut_paragraphs"), 0))
    for index, path in enumerate(inputs.all("clean")):
        is_input = index < settings.n_shards
        with (
            out.parquet("bloom", BLOOM, partition=index) as signals,
            out.parquet("edits", EDIT, partition=index) as cuts,
        ):
            columns = ["id", "text"] if is_input else ["id"]
            for batch in read_batches([path], columns=columns, n_rows=BATCH_ROWS):
                if is_input:
                    _sift_batch(batch, bloom, state, signals, cuts, out)
                    _check_fill(state, n_units, bloom)
                else:
                    signals.write(_signals(batch["id"], np.zeros((batch.num_rows, 2), np.int64)))
    out.counts["filter_bytes"] = state.bits.nbytes
    out.counts["filter_permille"] = round(1000 * state.fill)


class Filter(NamedTuple):
    """A Bloom filter, in the form that compiled functions take."""

    bits: NDArray[np.uint64]
    n_set: NDArray[np.int64]  # (1,), how many bits are set
    n_bits: int
    n_hashes: int

    @property
    def fill(self) -> float:
        return float(self.n_set[0] / self.n_bits)


def _counted(paths: tuple[Path, ...]) -> int:
    registers = np.zeros(1 << PRECISION, np.int8)
    for path in paths:
        np.maximum(registers, pq.read_table(path)["register"].to_numpy(), out=registers)
    return estimate(registers)


def _check_memory(size: Size, n_units: int, bloom: Bloom) -> None:
    n_megabytes = ceil(size.n_bits / 8 / (1 << 20))
    if n_megabytes > bloom.max_megabytes:
        raise StoreError(
            f"dedup.bloom: a filter for {n_units:,} {bloom.unit}s that errs once in {1 / bloom.chance_of_error:,.0f} "
            f"takes {n_megabytes:,} MB, max_megabytes is {bloom.max_megabytes:,}; allow {n_megabytes:,}, raise "
            "fp_rate, or look for whole documents with [dedup] minhash instead"
        )


def _check_fill(state: Filter, n_units: int, bloom: Bloom) -> None:
    """Raise StoreError if more bits are set than n_units would set, by more than chance makes of it.

    The share of set bits varies by half of 1 / sqrt(bits) at most: bits that hashes share are set once.
    """
    allowed = bloom.chance_of_error ** (1 / state.n_hashes) + N_ERRORS * 0.5 / sqrt(state.n_bits)
    if state.fill > allowed:
        where = "n_units" if bloom.n_units is not None else "the count"
        raise StoreError(
            f"dedup.bloom: the filter was made for {n_units:,} {bloom.unit}s by {where}, and the corpus has more: "
            f"{state.fill:.0%} of its bits are set, so that it errs with a chance of {state.fill**state.n_hashes:.2g}, "
            f"while fp_rate allows {bloom.chance_of_error:.2g}; it would go on to delete what was never there before. "
            "Nothing was deleted; give a higher n_units, or none to have them counted"
        )


def _words_of(unit: str, n: int) -> int:
    """What compiled functions take for the unit: tokens of an n-gram, or 0 for whole paragraphs."""
    return n if unit == "ngram" else 0


def _sift_batch(
    batch: pa.RecordBatch, bloom: Bloom, state: Filter, signals: ParquetShard, cuts: ParquetShard, out: Outputs
) -> None:
    ids = batch["id"]
    offsets, data = text_buffers(batch["text"])
    n_lines = int(np.count_nonzero(data[offsets[0] : offsets[-1]] == NEWLINE)) + len(ids)
    found = np.zeros((len(ids), 2), np.int64)  # units, and those seen
    spans = np.empty((n_lines, 3), np.int64)  # document, start, end
    limit = bloom.max_seen if bloom.unit == "ngram" else 0.0
    n_cuts = _sift(offsets, data, TABLES, _words_of(bloom.unit, bloom.n), limit, state, found, spans)
    signals.write(_signals(ids, found))
    columns = [
        ids.take(pa.array(spans[:n_cuts, 0])),
        pa.array(spans[:n_cuts, 1]),
        pa.array(spans[:n_cuts, 2]),
        pa.repeat(f"bloom/{bloom.unit}", n_cuts),
        pa.repeat("", n_cuts),
    ]
    cuts.write(pa.RecordBatch.from_arrays(columns, schema=EDIT))
    out.counts["documents"] += len(ids)
    out.counts["units"] += int(found[:, 0].sum())
    out.counts["seen"] += int(found[:, 1].sum())
    out.counts["cut_paragraphs"] += n_cuts


def _signals(ids: pa.Array, found: NDArray[np.int64]) -> pa.RecordBatch:
    fractions = found[:, 1] / np.maximum(found[:, 0], 1)
    return pa.RecordBatch.from_arrays([ids, pa.array(found[:, 0].copy()), pa.array(fractions)], schema=BLOOM)


@compiled
def _register(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], tables: Tables, n: int, registers: NDArray[np.int8]
) -> None:
    """Raise the registers by the units of some texts."""
    codes, kinds, tokens, hashes = _room(offsets)
    for document in range(len(offsets) - 1):
        n_chars = decode(data, offsets[document], offsets[document + 1], tables, codes, kinds)
        start = 0
        while start <= n_chars:
            end = _line_end(codes, start, n_chars)
            n_units = _units(codes, kinds, start, end, n, tokens, hashes)
            raise_registers(hashes[:n_units], registers)
            start = end + 1


@compiled(_nrt=False)
def raise_registers(hashes: NDArray[np.uint64], registers: NDArray[np.int8]) -> None:
    """Register j holds the most leading zeros, and 1, of the upper bits of the hashes whose lower bits are j."""
    for value in hashes:
        register = np.int64(value & np.uint64((1 << PRECISION) - 1))
        rest, rank = value >> np.uint64(PRECISION), 64 - PRECISION + 1
        while rest:
            rest >>= np.uint64(1)
            rank -= 1
        registers[register] = max(registers[register], rank)


@compiled
def _sift(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    tables: Tables,
    n: int,
    max_seen: float,
    state: Filter,
    found: NDArray[np.int64],
    spans: NDArray[np.int64],
) -> int:
    """Look up the units of some texts, and remember those of the paragraphs that are not cut.

    found:   (texts, 2), to become the units of each text, and those of them that came before
    spans:   (lines,) of document, start, end, to become the cuts
    returns: the number of cuts
    """
    codes, kinds, tokens, hashes = _room(offsets)
    n_cuts = 0
    for document in range(len(offsets) - 1):
        n_chars = decode(data, offsets[document], offsets[document + 1], tables, codes, kinds)
        start = 0
        while start <= n_chars:
            end = _line_end(codes, start, n_chars)
            n_units = _units(codes, kinds, start, end, n, tokens, hashes)
            n_seen = 0
            for i in range(n_units):
                n_seen += _is_in(state, hashes[i])
            found[document, 0] += n_units
            found[document, 1] += n_seen
            if n_units and n_seen / n_units > max_seen:
                spans[n_cuts, 0], spans[n_cuts, 1], spans[n_cuts, 2] = document, max(start - 1, 0), end
                n_cuts += 1
            else:
                for i in range(n_units):
                    _add(state, hashes[i])
            start = end + 1
    return n_cuts


@compiled
def _room(
    offsets: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.uint16], NDArray[np.uint64], NDArray[np.uint64]]:
    """Room for the characters, their flags, the tokens and the units of the longest text."""
    longest = 1
    for i in range(len(offsets) - 1):
        longest = max(longest, offsets[i + 1] - offsets[i])
    return (
        np.empty(longest, np.int32),
        np.empty(longest, np.uint16),
        np.empty(longest, np.uint64),
        np.empty(longest, np.uint64),
    )


@compiled(_nrt=False)
def _line_end(codes: NDArray[np.int32], start: int, n_chars: int) -> int:
    """Where the line that begins at `start` ends: at a line feed or at the end of the text."""
    end = start
    while end < n_chars and codes[end] != NEWLINE:
        end += 1
    return end


@compiled(_nrt=False)
def _units(
    codes: NDArray[np.int32],
    kinds: NDArray[np.uint16],
    start: int,
    end: int,
    n: int,
    tokens: NDArray[np.uint64],
    hashes: NDArray[np.uint64],
) -> int:
    """Write the hashes of a line's units, in order, to `hashes`; how many there are. n is 0 for the whole line."""
    while start < end and kinds[start] & SPACE:
        start += 1
    while end > start and kinds[end - 1] & SPACE:
        end -= 1
    if n == 0:
        if end > start:
            hashes[0] = hash_of(codes, start, end)
        return 1 if end > start else 0
    n_tokens, i = 0, start
    while i < end:
        if kinds[i] & SPACE:
            i += 1
        else:
            i, tokens[n_tokens], _ = read_token(codes, kinds, i, end)
            n_tokens += 1
    n_units = max(0, n_tokens - n + 1)
    for unit in range(n_units):
        value = np.uint64(0)
        for k in range(unit, unit + n):
            value = value * np.uint64(0x9E3779B97F4A7C15) + tokens[k]
        hashes[unit] = mix(value)
    return n_units


@compiled(_nrt=False)
def _is_in(state: Any, value: np.uint64) -> bool:
    """Whether all bits of a unit are set: the hashes h + i g of Kirsch and Mitzenmacher 2006."""
    step = mix(value ^ np.uint64(0x5851F42D4C957F2D)) | np.uint64(1)
    for _ in range(state.n_hashes):
        bit = value % np.uint64(state.n_bits)
        if not state.bits[bit >> np.uint64(6)] >> (bit & np.uint64(63)) & np.uint64(1):
            return False
        value += step
    return True


@compiled(_nrt=False)
def _add(state: Any, value: np.uint64) -> None:
    step = mix(value ^ np.uint64(0x5851F42D4C957F2D)) | np.uint64(1)
    for _ in range(state.n_hashes):
        bit = value % np.uint64(state.n_bits)
        word, mask = bit >> np.uint64(6), np.uint64(1) << (bit & np.uint64(63))
        if not state.bits[word] & mask:
            state.bits[word] |= mask
            state.n_set[0] += 1
        value += step

"""MinHash signatures and their band keys: documents that share a band key are candidates to be near duplicates.

The signature is that of datasketch 2, scheme `affine32`: a shingle's 32-bit hash goes through the finalizer of
MurmurHash3, then through one affine map modulo 2**32 for each permutation, and the smallest value stays.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray
from pydantic import BaseModel, PositiveInt

from datassay.corpus.compiled import compiled
from datassay.corpus.engine import Inputs
from datassay.corpus.hashing import splitmix64
from datassay.corpus.store import Outputs, read_batches
from datassay.dedup.shingles import ShingleSets, shingle_sets

VERSION = 1

BAND = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),  # hash of (band, its values); its upper bits are the partition
        pa.field("rank", pa.uint64(), nullable=False),  # XXH3-64 of the id: an order that no sharding changes
        pa.field("row", pa.int32(), nullable=False),  # in its shard
    ]
)
_KEY_SEED = 0x6461746173736179
"""Of the multipliers of band keys; never to be changed, keys are on disk."""
_BATCH_ROWS = 1024


class SignSettings(BaseModel, frozen=True, extra="forbid"):
    """What the signatures depend on, and how band keys are spread over files."""

    bands: PositiveInt
    rows: PositiveInt
    shingle_words: PositiveInt
    shingle_chars: PositiveInt
    by_characters: bool = False
    seed: int
    n_partitions: PositiveInt
    """A power of two."""

    @property
    def n_permutations(self) -> int:
        return self.bands * self.rows


def signature_schema(n_permutations: int) -> pa.Schema:
    """One row for each document of the shard, in order; both lists are null where one takes no part."""
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("n_shingles", pa.int64(), nullable=False),
            pa.field("signature", pa.list_(pa.uint32(), n_permutations)),
            pa.field("shingles", pa.list_(pa.uint32())),  # sorted, distinct
        ]
    )


def sign(inputs: Inputs, settings: SignSettings, out: Outputs) -> None:
    """Shingle and sign the documents of a shard, but for those that are exact repeats and those without words.

    Reads `clean` and, where there are any, the rows to leave out, `repeats`. Writes `signatures`, and `bands` in every
    partition, be it empty, ordered by key. Counts `signed`, `signed_by_characters`, `repeats` and `no_words`.
    """
    repeats = np.concatenate(
        [np.zeros(0, np.int32), *(np.asarray(batch["row"]) for batch in read_batches(inputs.files.get("repeats", ())))]
    )
    parameters = permutations(settings.n_permutations, settings.seed)
    multipliers = band_multipliers(settings.bands, settings.rows)
    keys, ranks, rows = [], [], []
    with out.parquet("signatures", signature_schema(settings.n_permutations)) as shard:
        for first_row, batch in _numbered(inputs):
            is_repeat = np.isin(np.arange(first_row, first_row + batch.num_rows), repeats)
            texts = pc.if_else(pa.array(is_repeat), "", batch["text"])
            sets = shingle_sets(
                texts,
                words=settings.shingle_words,
                characters=settings.shingle_chars,
                by_characters=settings.by_characters,
            )
            signed = sets.sizes > 0
            signatures = sign_sets(sets, parameters)
            shard.write(_signature_batch(batch["id"], sets, signatures))
            keys.append(band_keys(signatures[signed], multipliers))
            ranks.append(_ranks(batch["id"].filter(pa.array(signed))))
            rows.append((first_row + np.flatnonzero(signed)).astype(np.int32))
            out.counts["signed"] += int(signed.sum())
            out.counts["signed_by_characters"] += int((signed & sets.by_characters).sum())
            out.counts["repeats"] += int(is_repeat.sum())
            out.counts["no_words"] += int((~signed & ~is_repeat).sum())
    _write_bands(
        np.concatenate([np.zeros((0, settings.bands), np.uint64), *keys]),
        np.concatenate([np.zeros(0, np.uint64), *ranks]),
        np.concatenate([np.zeros(0, np.int32), *rows]),
        settings.n_partitions,
        out,
    )


def _numbered(inputs: Inputs) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Batches of documents, each with the number of its first row in the shard."""
    first_row = 0
    for batch in read_batches(inputs.all("clean"), columns=["id", "text"], n_rows=_BATCH_ROWS):
        yield first_row, batch
        first_row += batch.num_rows


def permutations(n_permutations: int, seed: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Multipliers (odd) and increments, (n_permutations,) each, as datasketch 2 draws them for `affine32`.

    From RandomState, whose streams NumPy has frozen.
    """
    random = np.random.RandomState(seed)
    multipliers = random.randint(0, 1 << 31, n_permutations, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return multipliers, random.randint(0, 1 << 32, n_permutations, dtype=np.uint32)


def sign_sets(sets: ShingleSets, parameters: tuple[NDArray[np.uint32], NDArray[np.uint32]]) -> NDArray[np.uint32]:
    """Signatures (documents, permutations); all ones for an empty set."""
    signatures: NDArray[np.uint32] = _minima(sets.offsets, sets.values, *parameters)
    return signatures


@compiled
def _minima(
    offsets: NDArray[np.int64],
    values: NDArray[np.uint32],
    multipliers: NDArray[np.uint32],
    increments: NDArray[np.uint32],
) -> NDArray[np.uint32]:
    n_documents, n_permutations = len(offsets) - 1, len(multipliers)
    signatures = np.full((n_documents, n_permutations), np.uint32(0xFFFFFFFF), np.uint32)
    for i in range(n_documents):
        signature = signatures[i]
        for j in range(offsets[i], offsets[i + 1]):
            x = _murmur_finalizer(values[j])
            for p in range(n_permutations):
                # numba computes uint32 * uint32 in 64 bits: without the cast nothing would wrap
                value = np.uint32(multipliers[p] * x + increments[p])
                signature[p] = min(signature[p], value)
    return signatures


@compiled(inline="always")
def _murmur_finalizer(x: np.uint32) -> np.uint32:
    """Spread 32 bits over 32 bits, one to one: `fmix32` of MurmurHash3 (Appleby)."""
    x = np.uint32(np.uint32(x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    x = np.uint32(np.uint32(x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(x ^ (x >> np.uint32(16)))


def band_multipliers(bands: int, rows: int) -> NDArray[np.uint64]:
    """(bands, rows), odd; part of the format of band keys."""
    return splitmix64(_KEY_SEED, bands * rows).reshape(bands, rows) | np.uint64(1)


def band_keys(signatures: NDArray[np.uint32], multipliers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One key for each band of each document; documents that share a key are candidates.

    signatures:  (documents, bands * rows)
    multipliers: (bands, rows)
    returns:     (documents, bands)

    Two documents of Jaccard similarity s share a key with probability `s_curve(bands, rows, s)`. Equal keys of other
    origin (2**-33 at worst for a pair) cost a comparison and nothing else.
    """
    bands, rows = multipliers.shape
    values = signatures.reshape(-1, bands, rows)
    keys = np.zeros((len(values), bands), np.uint64)
    for row in range(rows):
        keys += values[:, :, row] * multipliers[:, row]  # wraps modulo 2**64, as a hash may
    return keys


def _ranks(ids: pa.Array) -> NDArray[np.uint64]:
    return np.array([xxhash.xxh3_64_intdigest(id.encode()) for id in ids.to_pylist()], np.uint64)


def _signature_batch(ids: pa.Array, sets: ShingleSets, signatures: NDArray[np.uint32]) -> pa.RecordBatch:
    n_permutations = signatures.shape[1]
    is_empty = pa.array(sets.sizes == 0)
    shingles = pa.ListArray.from_arrays(sets.offsets.astype(np.int32), sets.values, mask=is_empty)
    values = pa.FixedSizeListArray.from_arrays(signatures.ravel(), n_permutations, mask=is_empty)
    return pa.record_batch([ids, pa.array(sets.sizes), values, shingles], schema=signature_schema(n_permutations))


def _write_bands(
    keys: NDArray[np.uint64], ranks: NDArray[np.uint64], rows: NDArray[np.int32], n_partitions: int, out: Outputs
) -> None:
    """keys: (documents, bands); ranks, rows: (documents,). All keys of a shard are in memory at once."""
    bands = keys.shape[1]
    flat = keys.ravel()
    order = np.argsort(flat, kind="stable")
    width = 2**64 // n_partitions
    starts = np.array([partition * width for partition in range(n_partitions)], np.uint64)
    bounds = [*np.searchsorted(flat, starts, sorter=order), len(flat)]
    for partition in range(n_partitions):
        chosen = order[bounds[partition] : bounds[partition + 1]]
        table = pa.table([flat[chosen], ranks[chosen // bands], rows[chosen // bands]], schema=BAND)
        with out.parquet("bands", BAND, partition=partition) as shard:
            for batch in table.to_batches(max_chunksize=65_536):
                shard.write(batch)

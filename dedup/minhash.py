"""MinHash signatures and their band keys: documents that share a band key are candidates to be near duplicates.

The signature is that of datasketch 2, scheme `affine32`: a shingle's 32-bit hash goes through the finalizer of
MurmurHash3, then through one affine map modulo 2**32 for each permutation, and the smallest value stays.

Signatures are not kept, only their band keys: what they were made from is the text, and is read again for the few
documents that are compared.
"""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray
from pydantic import BaseModel, PositiveInt

from datassay.corpus.compiled import compiled
from datassay.corpus.engine import Inputs
from datassay.corpus.hashing import splitmix64
from datassay.corpus.shuffle import ShuffleFile, partition_of, shuffle_file
from datassay.corpus.store import Outputs
from datassay.corpus.unicode import text_buffers
from datassay.dedup.exact import TEXT, hashed_texts, write_by_hash
from datassay.dedup.shingles import ShingleSets, shingles
from datassay.dedup.texts import LISTED, FilePart, read_texts, write_listed

VERSION = 2

BAND = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),  # hash of (band, its values); its upper bits are the partition
        pa.field("rank", pa.uint64(), nullable=False),  # an order of documents that no sharding changes
        pa.field("row", pa.int32(), nullable=False),  # in its shard
    ]
)
_KEY_SEED = 0x6461746173736179
"""Of the multipliers of band keys; never to be changed, keys are on disk."""
_ID_CHARS = 32
"""Of the ids of `corpus.schema`: hexadecimal digits."""
ROUND_KEYS = 1 << 20
"""Band keys that wait in memory, 20 MB."""


class SignSettings(BaseModel, frozen=True, extra="forbid"):
    """What the signatures depend on, and how hashes are spread over partitions."""

    bands: PositiveInt
    rows: PositiveInt
    shingle_words: PositiveInt
    shingle_chars: PositiveInt
    by_characters: bool = False
    seed: int
    n_partitions: PositiveInt
    """Of band keys, a power of two."""
    n_text_partitions: PositiveInt | None = None
    """Of text hashes, a power of two; without it, texts are not hashed."""
    part: FilePart | None = None
    """What is signed; without it, dataset `clean`."""
    list_documents: bool = False
    """Whether ids and lengths are written, too."""

    @property
    def n_permutations(self) -> int:
        return self.bands * self.rows

    def shingles(self, texts: pa.Array) -> ShingleSets:
        return shingles(
            texts, words=self.shingle_words, characters=self.shingle_chars, by_characters=self.by_characters
        )


def sign(inputs: Inputs, settings: SignSettings, out: Outputs) -> None:
    """Shingle and sign the documents of a shard that have words; in the same pass, hash their texts.

    Reads `clean`, or the part of a file that the settings name. Writes `bands`, shuffled by the upper bits of the key;
    `texts`, shuffled by hash (see `exact`); `documents`. Counts `documents`, `signed`, `signed_by_characters`,
    `no_words`.
    """
    parameters = permutations(settings.n_permutations, settings.seed)
    multipliers = band_multipliers(settings.bands, settings.rows)
    first_row = 0
    with ExitStack() as stack:
        bands = _Waiting(stack.enter_context(shuffle_file(out, "bands", BAND, settings.n_partitions)), settings.bands)
        texts = documents = None
        if settings.n_text_partitions is not None:
            texts = stack.enter_context(shuffle_file(out, "texts", TEXT, settings.n_text_partitions))
        if settings.list_documents:
            documents = stack.enter_context(shuffle_file(out, "documents", LISTED, 1))
        for batch in read_texts(inputs, settings.part):
            sets = settings.shingles(batch["text"])
            signed = sets.sizes > 0
            keys = band_keys(sign_sets(sets, parameters), multipliers)
            rows = (first_row + np.flatnonzero(signed)).astype(np.int32)
            bands.add(keys[signed], ranks(sets, batch["id"])[signed], rows)
            if texts is not None:
                write_by_hash(texts, hashed_texts(batch, first_row))
            if documents is not None:
                write_listed(documents, batch)
            out.counts["documents"] += batch.num_rows
            out.counts["signed"] += int(signed.sum())
            out.counts["signed_by_characters"] += int((signed & sets.by_characters).sum())
            out.counts["no_words"] += int((~signed).sum())
            first_row += batch.num_rows
        bands.flush()


class _Waiting:
    """Band keys on their way into a file, in rounds of bounded size."""

    def __init__(self, file: ShuffleFile, n_bands: int) -> None:
        self._file = file
        self._n_bands = n_bands
        self._parts: list[tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int32]]] = []
        self._n_keys = 0

    def add(self, keys: NDArray[np.uint64], ranks: NDArray[np.uint64], rows: NDArray[np.int32]) -> None:
        """keys: (documents, bands); ranks, rows: (documents,)"""
        self._parts.append((keys, ranks, rows))
        self._n_keys += keys.size
        if self._n_keys >= ROUND_KEYS:
            self.flush()

    def flush(self) -> None:
        if not self._n_keys:
            return
        keys, ranks, rows = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        flat = keys.ravel()
        columns = (flat, np.repeat(ranks, self._n_bands), np.repeat(rows, self._n_bands))
        self._file.write_round([pa.array(column) for column in columns], partition_of(flat, self._file.n_partitions))
        self._parts, self._n_keys = [], 0


def ranks(sets: ShingleSets, ids: pa.Array) -> NDArray[np.uint64]:
    """(documents,): the order of documents in a bucket. Upper half by the shingles, lower half by the id.

    So it does not depend on which of several copies of a text stands for them.
    """
    of_texts = _sums(sets.offsets, sets.values) & ~np.uint64(0xFFFFFFFF)
    ordered: NDArray[np.uint64] = of_texts | id_ranks(ids)
    return ordered


def id_ranks(ids: pa.Array) -> NDArray[np.uint64]:
    """(documents,), 32 bits of each id: its first eight characters where it is one of ours, else a hash."""
    offsets, data = text_buffers(ids)
    is_ours = np.diff(offsets) == _ID_CHARS
    found = np.zeros(len(ids), np.uint64)
    first = data[offsets[:-1][is_ours][:, None] + np.arange(8)]  # (ours, 8), hexadecimal digits
    digits = (first & 0xF) + np.where(first >= ord("a"), 9, 0)
    found[is_ours] = (digits.astype(np.uint64) << np.arange(28, -4, -4, dtype=np.uint64)).sum(axis=1, dtype=np.uint64)
    for i in np.flatnonzero(~is_ours).tolist():
        found[i] = xxhash.xxh3_64_intdigest(ids[i].as_py().encode()) >> 32
    return found & np.uint64(0xFFFFFFFF)


@compiled
def _sums(offsets: NDArray[np.int64], values: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """The sum of each document's values, its bits spread by a multiplication."""
    sums = np.zeros(len(offsets) - 1, np.uint64)
    for i in range(len(sums)):
        total = np.uint64(0)
        for value in values[offsets[i] : offsets[i + 1]]:
            total += np.uint64(value)
        sums[i] = total * np.uint64(0x9E3779B97F4A7C15)
    return sums


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
        fours = offsets[i] + (offsets[i + 1] - offsets[i]) // 4 * 4
        # four values for each permutation that is loaded: twice as fast as one
        for j in range(offsets[i], fours, 4):
            x, y = _murmur_finalizer(values[j]), _murmur_finalizer(values[j + 1])
            z, w = _murmur_finalizer(values[j + 2]), _murmur_finalizer(values[j + 3])
            for p in range(n_permutations):
                a, b = multipliers[p], increments[p]
                # numba computes uint32 * uint32 in 64 bits: without the cast nothing would wrap
                first = min(np.uint32(a * x + b), np.uint32(a * y + b))
                second = min(np.uint32(a * z + b), np.uint32(a * w + b))
                signature[p] = min(signature[p], min(first, second))
        for j in range(fours, offsets[i + 1]):
            x = _murmur_finalizer(values[j])
            for p in range(n_permutations):
                signature[p] = min(signature[p], np.uint32(multipliers[p] * x + increments[p]))
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
    keys: NDArray[np.uint64] = _band_keys(signatures, multipliers)
    return keys


@compiled
def _band_keys(signatures: NDArray[np.uint32], multipliers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bands, rows = multipliers.shape
    keys = np.empty((len(signatures), bands), np.uint64)
    for i in range(len(signatures)):
        for band in range(bands):
            key = np.uint64(0)
            for row in range(rows):  # wraps modulo 2**64, as a hash may
                key += np.uint64(signatures[i, band * rows + row]) * multipliers[band, row]
            keys[i, band] = key
    return keys

"""From band keys to candidate pairs: in a bucket of n documents, at most 2n of them.

A bucket gives the pairs of neighbours, in an order that no sharding changes, and a star from its first document to all
others. Where the star's pair fails the check of the true similarity, neighbours that passed still hold the cluster
together.

Documents of an index that is compared with take part as shards behind those of the run. Pairs of two of them were
found when they came; so that each new document knows which old one it repeats, it is also paired with the first old one
of its bucket and with the nearest on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, NonNegativeInt

from datassay.corpus.compiled import compiled
from datassay.corpus.engine import Inputs
from datassay.corpus.shuffle import n_partitions_of, read_partition, shuffle_file
from datassay.corpus.store import Outputs

VERSION = 2

LARGE_BUCKET = 10_000
"""A bucket of more documents is counted in the report: boilerplate, or rows too few for this corpus."""

CANDIDATE = pa.schema([pa.field("pair", pa.uint64(), nullable=False)])  # of document numbers, the first above 32 bits
WANTED = pa.schema([pa.field("document", pa.uint32(), nullable=False)])
_MAX_DOCUMENTS = 1 << 32
_SLOTS_PER_KEY = 16


class CandidatesSettings(BaseModel, frozen=True, extra="forbid"):
    """Which partition, and how documents are numbered: those of shard 0 first, by row."""

    partition: NonNegativeInt
    n_partitions: NonNegativeInt
    """A power of two."""
    shard_rows: tuple[NonNegativeInt, ...]
    """Documents of each shard, those of an index last."""
    n_new: NonNegativeInt
    """How many shards are not of an index."""
    among_new: bool = True
    """Whether new documents are compared with each other, too."""

    @property
    def bounds(self) -> NDArray[np.int64]:
        """(shards + 1,), the number of each shard's first document."""
        return np.cumsum([0, *self.shard_rows])


def candidates(inputs: Inputs, settings: CandidatesSettings, out: Outputs) -> None:
    """Pair the documents that share a band key.

    Reads one partition of `bands`, one file a shard, in the order of shards, and, of an index, `old_bands`. Writes
    `candidates`, each pair once a file, shuffled by the shard of a, and `wanted`, the documents b, by theirs. Counts
    `buckets` (of two documents or more), `large_buckets` and `large_bucket_documents`, `candidates` (a pair found in
    several partitions counts in each).
    """
    bounds = settings.bounds
    if bounds[-1] >= _MAX_DOCUMENTS:
        raise ValueError(f"{bounds[-1]:,} documents; pairs are written as two numbers of 32 bits")
    paths = (*inputs.all("bands"), *inputs.files.get("old_bands", ()))
    keys, ranks, documents = _read_bands(paths, settings)
    chosen = np.flatnonzero(_may_be_shared(keys))
    keys, documents = keys[chosen], documents[chosen]
    order = np.lexsort((documents, ranks[chosen], keys))
    keys, documents = keys[order], documents[order]
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]][: len(keys)])
    sizes = np.diff(starts, append=len(keys))
    documents, sizes = documents[np.repeat(sizes > 1, sizes)], sizes[sizes > 1]
    out.counts["buckets"] += len(sizes)
    out.counts["large_buckets"] += int((sizes > LARGE_BUCKET).sum())
    out.counts["large_bucket_documents"] += int(sizes[sizes > LARGE_BUCKET].sum())
    pairs = _distinct_pairs(documents, sizes, n_new=int(bounds[settings.n_new]), among_new=settings.among_new)
    out.counts["candidates"] += len(pairs)
    n_shards = len(settings.shard_rows)
    with shuffle_file(out, "candidates", CANDIDATE, n_shards) as file:
        file.write_round([pa.array(pairs)], shards_of(first_of(pairs), bounds))
    wanted = np.unique(second_of(pairs))
    with shuffle_file(out, "wanted", WANTED, n_shards) as file:
        file.write_round([pa.array(wanted.astype(np.uint32))], shards_of(wanted, bounds))


def first_of(pairs: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (pairs >> np.uint64(32)).astype(np.int64)


def second_of(pairs: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)


def shards_of(documents: NDArray[np.int64], bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """The shard of each document number."""
    return np.searchsorted(bounds, documents, side="right") - 1


def _read_bands(
    paths: tuple[Path, ...], settings: CandidatesSettings
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]]:
    """(key, rank, document number) of a partition."""
    keys, ranks, documents = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for path, first in zip(paths, settings.bounds.tolist(), strict=False):
        for batch in band_batches(path, settings.partition, settings.n_partitions):
            keys.append(np.asarray(batch["key"]))
            ranks.append(np.asarray(batch["rank"]))
            documents.append(np.asarray(batch["row"]) + np.int64(first))
    return np.concatenate(keys), np.concatenate(ranks), np.concatenate(documents)


def band_batches(path: Path, partition: int, n_partitions: int) -> Iterator[pa.RecordBatch]:
    """The keys of a partition in a file that may have another number of partitions; both are powers of two."""
    have = n_partitions_of(path)
    if have >= n_partitions:
        share = have // n_partitions
        for part in range(partition * share, (partition + 1) * share):
            yield from read_partition(path, part)
        return
    shift = np.uint64(64 - (n_partitions - 1).bit_length())
    for batch in read_partition(path, partition * have // n_partitions):
        yield batch.filter(pa.array(np.asarray(batch["key"]) >> shift == partition))


def _may_be_shared(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether a key may come twice: all that do, and a sixteenth of the others.

    Two passes over a table of bits take an eighth of the time of sorting all keys (measured).
    """
    n_slots = 1 << max(10, (len(keys) * _SLOTS_PER_KEY - 1).bit_length())
    may: NDArray[np.bool_] = _meet_in_slots(keys, n_slots)
    return may


@compiled
def _meet_in_slots(keys: NDArray[np.uint64], n_slots: int) -> NDArray[np.bool_]:
    seen, twice = np.zeros(n_slots >> 6, np.uint64), np.zeros(n_slots >> 6, np.uint64)
    last = np.uint64(n_slots - 1)
    for key in keys:
        slot = key & last  # the lower bits, since the upper ones say the partition
        bit = np.uint64(1) << (slot & np.uint64(63))
        word = np.int64(slot >> np.uint64(6))
        twice[word] |= seen[word] & bit
        seen[word] |= bit
    meet = np.empty(len(keys), np.bool_)
    for i in range(len(keys)):
        slot = keys[i] & last
        meet[i] = twice[np.int64(slot >> np.uint64(6))] >> (slot & np.uint64(63)) & np.uint64(1) != 0
    return meet


def _distinct_pairs(
    documents: NDArray[np.int64], sizes: NDArray[np.int64], *, n_new: int, among_new: bool
) -> NDArray[np.uint64]:
    """The pairs of buckets that lie one after the other, sorted, each once, the first number the smaller.

    documents: (documents of all buckets,); those from n_new on are of an index
    """
    a, b = bucket_pairs(sizes)
    a, b = documents[a], documents[b]
    is_old = documents >= n_new
    if is_old.any():
        is_wanted = ((a < n_new) & (b < n_new) & among_new) | ((a < n_new) != (b < n_new))
        new, old = pairs_with_old(sizes, is_old)
        a, b = np.r_[a[is_wanted], documents[new]], np.r_[b[is_wanted], documents[old]]
    elif not among_new:
        a, b = a[:0], b[:0]
    codes = np.minimum(a, b).astype(np.uint64) << np.uint64(32) | np.maximum(a, b).astype(np.uint64)
    return np.unique(codes)


def bucket_pairs(sizes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of both ends of the pairs of buckets that lie one after the other.

    sizes: (buckets,), 2 or more
    """
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)  # of each document's bucket
    positions = np.arange(len(first))
    follows = positions > first  # has a neighbour before it
    beyond = positions > first + 1  # and is not that neighbour's neighbour to the first
    return (
        np.concatenate([positions[follows] - 1, first[beyond]]),
        np.concatenate([positions[follows], positions[beyond]]),
    )


def pairs_with_old(sizes: NDArray[np.int64], is_old: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of each new document with the first old one of its bucket, the nearest before and the nearest after.

    sizes: (buckets,); is_old: (documents of all buckets,)
    """
    ends = np.repeat(np.cumsum(sizes), sizes)
    starts = ends - np.repeat(sizes, sizes)
    new, old = np.flatnonzero(~is_old), np.flatnonzero(is_old)
    after = np.searchsorted(old, new)  # of the old ones, the next
    first = np.searchsorted(old, starts[new])  # of the old ones, the bucket's first
    padded = np.concatenate([[-1], old, [-1]])  # no position for where there is none
    found_new, found_old = [], []
    for number in (first, after - 1, after):
        position = padded[number + 1]
        is_inside = (position >= starts[new]) & (position < ends[new])
        found_new.append(new[is_inside])
        found_old.append(position[is_inside])
    return np.concatenate(found_new), np.concatenate(found_old)


def read_numbers(paths: tuple[Path, ...], shard: int) -> NDArray[np.uint64]:
    """The one column of a shuffled dataset of numbers, of one shard, sorted and each once."""
    batches = (batch for path in paths for batch in read_partition(path, shard))
    return np.unique(
        np.concatenate([np.zeros(0, np.uint64), *(np.asarray(batch.column(0), np.uint64) for batch in batches)])
    )

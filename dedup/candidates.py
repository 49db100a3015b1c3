"""From band keys to candidate pairs: in a bucket of n documents, at most 2n of them.

A bucket gives the pairs of neighbours, in an order that no sharding changes, and a star from its first document to all
others. Where the star's pair fails the check of the true similarity, neighbours that passed still hold the cluster
together.

Documents of an index that is compared with take part as shards behind those of the run. Pairs of two of them were
found when they came; so that each new document knows which old one it repeats, it is also paired with the first old one
of its bucket and with the nearest on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, NonNegativeInt, PositiveInt

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import StoreError
from datassay.corpus.shuffle import covering_partitions, n_partitions_of, partition_of, read_partition, shuffle_file
from datassay.corpus.store import Outputs
from datassay.dedup.stored import StoredShard
from datassay.dedup.twice import may_come_twice

VERSION = 2

LARGE_BUCKET = 10_000
"""A bucket of more documents is counted in the report: boilerplate, or rows too few for this corpus."""

CANDIDATE = pa.schema([pa.field("pair", pa.uint64(), nullable=False)])  # of document numbers, the first above 32 bits
WANTED = pa.schema([pa.field("document", pa.uint32(), nullable=False)])
MAX_DOCUMENTS = 1 << 32
"""A pair is two numbers of 32 bits."""


class CandidatesSettings(BaseModel, frozen=True, extra="forbid"):
    """Which partition, and how documents are numbered: those of shard 0 first, by row, and those of an index last."""

    partition: NonNegativeInt
    n_partitions: PositiveInt
    """A power of two."""
    shard_rows: tuple[NonNegativeInt, ...]
    """Documents of each shard but those of an index."""
    old: tuple[StoredShard, ...] = ()
    """Shards of an index to compare with."""
    among_new: bool = True
    """Whether new documents are compared with each other, too."""


def document_bounds(shard_rows: Sequence[int], old: Sequence[StoredShard] = ()) -> NDArray[np.int64]:
    """(shards + 1,), the number of each shard's first document; those of an index come last."""
    return np.cumsum([0, *shard_rows, *(shard.n_rows for shard in old)])


def candidates(inputs: Inputs, settings: CandidatesSettings, out: Outputs) -> None:
    """Pair the documents that share a band key.

    Reads one partition of `bands`, a file a shard, in the order of shards, and `repeats`, if there: documents that
    another stands for. Writes `candidates`, each pair once a file, shuffled by the shard of a, and `wanted`, the
    documents b, by theirs. Counts `buckets` (of two documents or more), `large_buckets` and `large_bucket_documents`,
    `candidates` (a pair found in several partitions counts in each).
    """
    bounds = document_bounds(settings.shard_rows, settings.old)
    if bounds[-1] > MAX_DOCUMENTS:
        raise StoreError(f"{bounds[-1]:,} documents: at most {MAX_DOCUMENTS:,} are compared at once; split them")
    documents, sizes = shared_buckets(inputs, settings)
    out.counts["buckets"] += len(sizes)
    out.counts["large_buckets"] += int((sizes > LARGE_BUCKET).sum())
    out.counts["large_bucket_documents"] += int(sizes[sizes > LARGE_BUCKET].sum())
    n_new = int(bounds[len(settings.shard_rows)])
    pairs = distinct_pairs(documents, sizes, n_new=n_new, among_new=settings.among_new)
    out.counts["candidates"] += len(pairs)
    with shuffle_file(out, "candidates", CANDIDATE, len(bounds) - 1) as file:
        file.write_round([pa.array(pairs)], shards_of(first_of(pairs), bounds))
    wanted = np.unique(second_of(pairs))
    with shuffle_file(out, "wanted", WANTED, len(bounds) - 1) as file:
        file.write_round([pa.array(wanted.astype(np.uint32))], shards_of(wanted, bounds))


def shared_buckets(inputs: Inputs, settings: CandidatesSettings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The document numbers of all buckets of two or more, by key, in a bucket by rank; and the buckets' sizes."""
    bounds = document_bounds(settings.shard_rows, settings.old)
    keys, ranks, documents = _read_bands(inputs, settings, bounds)
    chosen = np.flatnonzero(may_come_twice(keys))
    chosen = chosen[~_is_stood_for(inputs, settings, documents[chosen], bounds)]
    keys, ranks, documents = keys[chosen], ranks[chosen], documents[chosen]
    order = np.lexsort((documents, ranks, keys))
    keys, documents = keys[order], documents[order]
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]][: len(keys)])
    sizes = np.diff(starts, append=len(keys))
    return documents[np.repeat(sizes > 1, sizes)], sizes[sizes > 1]


def _read_bands(
    inputs: Inputs, settings: CandidatesSettings, bounds: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]]:
    """(key, rank, document number) of a partition, shard by shard; of files with fewer partitions also of others."""
    keys, ranks, documents = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    paths = (*inputs.all("bands"), *(shard.bands.path for shard in settings.old))
    for path, first in zip(paths, bounds.tolist(), strict=False):
        holds_others = n_partitions_of(path) < settings.n_partitions
        for part in covering_partitions(path, settings.partition, settings.n_partitions):
            for batch in read_partition(path, part):
                if holds_others:
                    found = partition_of(np.asarray(batch["key"]), settings.n_partitions)
                    batch = batch.filter(pa.array(found == settings.partition))
                keys.append(np.asarray(batch["key"]))
                ranks.append(np.asarray(batch["rank"]))
                documents.append(np.asarray(batch["row"]) + np.int64(first))
    return np.concatenate(keys), np.concatenate(ranks), np.concatenate(documents)


def _is_stood_for(
    inputs: Inputs, settings: CandidatesSettings, documents: NDArray[np.int64], bounds: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which of these documents, in order of their shards, have a text that another stands for."""
    mask = np.zeros(len(documents), np.bool_)
    n_new = len(settings.shard_rows)
    ends = np.searchsorted(shards_of(documents, bounds), np.arange(len(bounds)))
    for shard, (start, end) in enumerate(pairwise(ends.tolist())):
        if shard < n_new:
            batches = [batch for path in inputs.files.get("repeats", ()) for batch in read_partition(path, shard)]
        else:
            batches = list(read_partition(settings.old[shard - n_new].repeats.path, 0))
        if batches and end > start:
            rows = np.concatenate([np.asarray(batch["row"], np.int64) for batch in batches])
            mask[start:end] = np.isin(documents[start:end], rows + bounds[shard])
    return mask


def first_of(pairs: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (pairs >> np.uint64(32)).astype(np.int64)


def second_of(pairs: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)


def shards_of(documents: NDArray[np.int64], bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """The shard of each document number."""
    return np.searchsorted(bounds, documents, side="right") - 1


def distinct_pairs(
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

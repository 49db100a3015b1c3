"""From band keys to candidate pairs: in a bucket of n documents, at most 2n of them.

A bucket gives the pairs of neighbours, in an order that no sharding changes, and a star from its first document to all
others. Where the star's pair fails the check of the true similarity, neighbours that passed still hold the cluster
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel

from datassay.corpus.engine import Inputs
from datassay.corpus.store import Outputs

VERSION = 1

LARGE_BUCKET = 10_000
"""A bucket of more documents is counted in the report: boilerplate, or rows too few for this corpus."""

CANDIDATE = pa.schema(
    [
        pa.field("row_a", pa.int32(), nullable=False),  # in the shard that is the file's partition
        pa.field("shard_b", pa.int32(), nullable=False),
        pa.field("row_b", pa.int32(), nullable=False),
    ]
)


class CandidatesSettings(BaseModel, frozen=True, extra="forbid"):
    """Nothing to set."""


def candidates(inputs: Inputs, settings: CandidatesSettings, out: Outputs) -> None:  # noqa: ARG001
    """Pair the documents that share a band key.

    Reads a partition of `bands`, one file a shard, in the order of shards, and sorts it in memory. Writes `candidates`,
    each pair once a file, in a partition for each shard of a that has any. Counts `buckets` (of two documents or more),
    `large_buckets` and `large_bucket_documents`, `candidates` (a pair found in several partitions counts in each).
    """
    keys, shards, rows = _documents_in_buckets(inputs.all("bands"))
    starts = np.flatnonzero(np.diff(keys, prepend=~keys[:1]) != 0)
    sizes = np.diff(starts, append=len(keys))
    out.counts["buckets"] += len(sizes)
    out.counts["large_buckets"] += int((sizes > LARGE_BUCKET).sum())
    out.counts["large_bucket_documents"] += int(sizes[sizes > LARGE_BUCKET].sum())
    a, b = bucket_pairs(sizes)
    pairs = unique_rows(np.stack([shards[a], rows[a], shards[b], rows[b]], axis=1))
    out.counts["candidates"] += len(pairs)
    for shard in np.unique(pairs[:, 0]):
        chosen = pairs[pairs[:, 0] == shard]
        with out.parquet("candidates", CANDIDATE, partition=int(shard)) as part:
            part.write(pa.record_batch([chosen[:, 1], chosen[:, 2], chosen[:, 3]], schema=CANDIDATE))


def _documents_in_buckets(
    paths: Sequence[Path],
) -> tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.int32]]:
    """(key, shard, row) of the band keys that occur twice or more, in order of key, then rank."""
    tables = [pq.ParquetFile(path).read() for path in paths]
    shards = np.repeat(np.arange(len(tables), dtype=np.int32), [table.num_rows for table in tables])
    table = pa.concat_tables(tables)
    keys, ranks, rows = (table[name].to_numpy() for name in ("key", "rank", "row"))
    order = np.argsort(keys)
    equal = np.diff(keys[order]) == 0
    order = order[np.r_[equal, False] | np.r_[False, equal]] if len(order) else order
    order = order[np.lexsort((rows[order], shards[order], ranks[order], keys[order]))]
    return keys[order], shards[order], rows[order]


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


def unique_rows(rows: NDArray[np.int32]) -> NDArray[np.int32]:
    """The distinct rows of a table of numbers, in order of the first column, then the second…"""
    rows = rows[np.lexsort(rows.T[::-1])]
    is_new = np.r_[True, (rows[1:] != rows[:-1]).any(axis=1)][: len(rows)]
    distinct: NDArray[np.int32] = rows[is_new]
    return distinct

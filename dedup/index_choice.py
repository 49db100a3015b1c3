"""The choice among all documents of an index, as if they had come in one run, in whatever order they came."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from datassay.corpus.engine import Inputs
from datassay.corpus.store import Outputs, read_batches
from datassay.dedup.candidates import CandidatesSettings, distinct_pairs, shared_buckets
from datassay.dedup.index import open_index
from datassay.dedup.keep import (
    MEMBER,
    KeepSettings,
    ends_of,
    find_duplicates,
    old_members,
    read_edges,
    write_choice,
)
from datassay.dedup.settings import n_band_partitions
from datassay.dedup.stored import StoredShard


def decide_index(path: Path, settings: KeepSettings, out: Outputs) -> None:
    """Choose among all documents of an index as if they had come in one run. Writes `kept` and `duplicates`.

    Buckets that grew over time were paired more often than those of one run, so of the verified near pairs those count
    that one run would have compared; an order of arrival then changes nothing.
    """
    index = open_index(path)
    old = index.stored(path)
    edges = read_edges([path / name for name in sorted(index.edges)])
    members = pa.concat_tables([MEMBER.empty_table(), *map(_table, old_members(old, ends_of(edges)))])
    compared = _compared_pairs(old, index.header.bands)
    edges = edges.filter(pa.array(_is_compared(edges, members, old, compared)))
    members = members.append_column("is_old", pa.array(np.zeros(len(members), bool)))
    batches = (batch for shard in old for batch in read_batches([shard.documents.path]))
    write_choice(find_duplicates(edges, members, settings), batches, out)


def _table(batch: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([batch])


def _compared_pairs(old: Sequence[StoredShard], bands: int) -> NDArray[np.uint64]:
    """The pairs of document numbers that one run over these shards would compare, sorted."""
    n_documents = sum(shard.n_rows for shard in old)
    n_partitions = n_band_partitions(n_documents, bands)
    pairs = [np.zeros(0, np.uint64)]
    for partition in range(n_partitions):
        settings = CandidatesSettings(partition=partition, n_partitions=n_partitions, shard_rows=(), old=tuple(old))
        documents, sizes = shared_buckets(Inputs({"bands": ()}), settings)
        pairs.append(distinct_pairs(documents, sizes, n_new=n_documents, among_new=True))
    return np.unique(np.concatenate(pairs))


def _is_compared(
    edges: pa.Table, members: pa.Table, old: Sequence[StoredShard], compared: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """Which edges count: all but near ones between documents that one run would not compare."""
    numbers = _numbers(members["id"], old)
    ids = members["id"].combine_chunks()
    ends = [numbers[np.asarray(pc.index_in(edges[name], value_set=ids), np.int64)] for name in ("a", "b")]
    codes = np.minimum(*ends).astype(np.uint64) << np.uint64(32) | np.maximum(*ends).astype(np.uint64)
    is_near = pc.equal(edges["kind"], "near").to_numpy(zero_copy_only=False)
    place = np.minimum(np.searchsorted(compared, codes), max(len(compared) - 1, 0))
    found = compared[place] == codes if len(compared) else np.zeros(len(codes), bool)
    counts: NDArray[np.bool_] = ~is_near | found
    return counts


def _numbers(ids: pa.ChunkedArray, old: Sequence[StoredShard]) -> NDArray[np.int64]:
    """The document number of each of these ids."""
    numbers = np.full(len(ids), -1)
    wanted = ids.combine_chunks()
    number = 0
    for shard in old:
        for batch in read_batches([shard.documents.path], columns=["id"]):
            place = pc.index_in(batch["id"], value_set=wanted)
            rows = np.flatnonzero(np.asarray(pc.is_valid(place)))
            numbers[np.asarray(place.drop_null(), np.int64)] = number + rows
            number += batch.num_rows
    return numbers

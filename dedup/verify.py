"""From candidate pairs to verified edges: the exact Jaccard similarity of both shingle sets, in bounded memory.

Two file shuffles bring the sets together: in the shard of a, its set is written to the partition of b's shard; there,
both are compared. Each task holds the shingle sets of one shard at most, and streams the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from datassay.corpus.compiled import compiled
from datassay.corpus.engine import Inputs
from datassay.corpus.store import Outputs, read_batches
from datassay.dedup.candidates import unique_rows
from datassay.dedup.exact import PAIR

ATTACH_VERSION = 1
VERIFY_VERSION = 1

HALF = pa.schema(
    [
        pa.field("a", pa.string(), nullable=False),
        pa.field("shingles", pa.list_(pa.uint32()), nullable=False),  # of a
        pa.field("rows_b", pa.list_(pa.int32()), nullable=False),  # to compare with, in the partition's shard
    ]
)
_BATCH_ROWS = 256


class AttachSettings(BaseModel, frozen=True, extra="forbid"):
    """Nothing to set."""


class VerifySettings(BaseModel, frozen=True, extra="forbid"):
    """From which similarity on a pair is an edge."""

    min_jaccard: float = Field(ge=0, le=1)


@dataclass(frozen=True, slots=True)
class StoredSets:
    """Ids and shingle sets of some rows of a shard, in order of row."""

    rows: NDArray[np.int64]
    ids: pa.Array
    offsets: NDArray[np.int64]
    values: NDArray[np.uint32]

    def lists(self, positions: NDArray[np.int64]) -> pa.Array:
        """The sets at these positions, as an Arrow array of lists."""
        sets = [self.values[self.offsets[i] : self.offsets[i + 1]] for i in positions]
        offsets = np.cumsum([0, *map(len, sets)], dtype=np.int32)
        return pa.ListArray.from_arrays(offsets, np.concatenate(sets))


def attach(inputs: Inputs, settings: AttachSettings, out: Outputs) -> None:  # noqa: ARG001
    """Attach the shingle sets of a. Reads, of one shard, `candidates` and `signatures`; writes `halves`, in a partition
    for each shard of b that has any.

    Counts `compared`: distinct candidate pairs.
    """
    pairs = unique_rows(np.concatenate([np.zeros((0, 3), np.int32), *_candidates(inputs)]))
    out.counts["compared"] += len(pairs)
    sets = read_sets(inputs.one("signatures"), np.unique(pairs[:, 1]))
    for shard_b in np.unique(pairs[:, 0]):
        chosen = pairs[pairs[:, 0] == shard_b]
        with out.parquet("halves", HALF, partition=int(shard_b)) as shard:
            for batch in _halves(sets, chosen[:, 1], chosen[:, 2]):
                shard.write(batch)


def _candidates(inputs: Inputs) -> Iterator[NDArray[np.int32]]:
    for batch in read_batches(inputs.files.get("candidates", ()), n_rows=65_536):
        yield np.stack([np.asarray(batch[name]) for name in ("shard_b", "row_a", "row_b")], axis=1)


def _halves(sets: StoredSets, rows_a: NDArray[np.int32], rows_b: NDArray[np.int32]) -> Iterator[pa.RecordBatch]:
    """rows_a, rows_b: (pairs,), sorted."""
    distinct, starts = np.unique(rows_a, return_index=True)
    ends = np.append(starts[1:], len(rows_a))
    for i in range(0, len(distinct), _BATCH_ROWS):
        here = slice(i, i + _BATCH_ROWS)
        positions = np.searchsorted(sets.rows, distinct[here])
        first, last = starts[here][0], ends[here][-1]
        offsets = np.append(starts[here], last) - first
        lists_b = pa.ListArray.from_arrays(offsets.astype(np.int32), rows_b[first:last])
        yield pa.record_batch([sets.ids.take(pa.array(positions)), sets.lists(positions), lists_b], schema=HALF)


def verify(inputs: Inputs, settings: VerifySettings, out: Outputs) -> None:
    """Keep the candidate pairs that are similar enough. Reads, of the shard of b, `halves` and `signatures`; writes
    `pairs` of kind "near", ordered by (a, b).

    Counts `near_pairs`, and `refused`: candidates of a lower similarity.
    """
    halves = inputs.files.get("halves", ())
    needed = [np.asarray(batch["rows_b"].flatten()) for batch in read_batches(halves, columns=["rows_b"])]
    sets = read_sets(inputs.one("signatures"), np.unique(np.concatenate([np.zeros(0, np.int32), *needed])))
    edges = [PAIR.empty_table()]
    for batch in read_batches(halves, n_rows=_BATCH_ROWS):
        edges.append(pa.Table.from_batches([_edges(batch, sets, settings.min_jaccard)]))
        out.counts["refused"] += len(batch["rows_b"].flatten()) - edges[-1].num_rows
    table = pa.concat_tables(edges).sort_by([("a", "ascending"), ("b", "ascending")])
    out.counts["near_pairs"] += table.num_rows
    with out.parquet("pairs", PAIR) as shard:
        for batch in table.combine_chunks().to_batches(max_chunksize=65_536):
            shard.write(batch)


def _edges(halves: pa.RecordBatch, sets: StoredSets, min_jaccard: float) -> pa.RecordBatch:
    lists_a, lists_b = halves["shingles"], halves["rows_b"]
    offsets_a = np.asarray(lists_a.offsets, np.int64) - lists_a.offsets[0].as_py()
    from_a = np.repeat(np.arange(len(halves)), np.asarray(lists_b.value_lengths()))
    from_b = np.searchsorted(sets.rows, np.asarray(lists_b.flatten()))
    similarity = jaccards(offsets_a, np.asarray(lists_a.flatten()), from_a, sets.offsets, sets.values, from_b)
    is_edge = similarity >= min_jaccard
    x = halves["a"].take(pa.array(from_a[is_edge]))
    y = sets.ids.take(pa.array(from_b[is_edge]))
    is_ordered = pc.less(x, y)
    return pa.record_batch(
        [
            pc.if_else(is_ordered, x, y),
            pc.if_else(is_ordered, y, x),
            pa.array(similarity[is_edge]),
            pa.repeat("near", len(x)),
        ],
        schema=PAIR,
    )


def read_sets(path: Path, rows: NDArray[np.integer]) -> StoredSets:
    """The ids and shingle sets of these rows (sorted, distinct) of a shard of signatures."""
    ids, values, sizes = [pa.array([], pa.string())], [np.zeros(0, np.uint32)], [np.zeros(0, np.int64)]
    first_row = 0
    for batch in read_batches([path], columns=["id", "shingles"], n_rows=_BATCH_ROWS):
        here = rows[slice(*np.searchsorted(rows, [first_row, first_row + batch.num_rows]))] - first_row
        if len(here):
            chosen = batch.take(pa.array(here))
            ids.append(chosen["id"])
            values.append(np.asarray(chosen["shingles"].flatten()))
            sizes.append(np.asarray(chosen["shingles"].value_lengths(), np.int64))
        first_row += batch.num_rows
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
    return StoredSets(rows.astype(np.int64), pa.concat_arrays(ids), offsets, np.concatenate(values))


@compiled
def jaccards(
    offsets_a: NDArray[np.int64],
    values_a: NDArray[np.uint32],
    from_a: NDArray[np.int64],
    offsets_b: NDArray[np.int64],
    values_b: NDArray[np.uint32],
    from_b: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Jaccard similarity |A ∩ B| / |A ∪ B| of pairs of sets.

    offsets, values: sorted sets one after the other; none of them empty
    from_a, from_b:  (pairs,), which set of a and of b
    """
    similarity = np.empty(len(from_a), np.float64)
    for pair in range(len(from_a)):
        i, end_a = offsets_a[from_a[pair]], offsets_a[from_a[pair] + 1]
        j, end_b = offsets_b[from_b[pair]], offsets_b[from_b[pair] + 1]
        n_values, n_common = end_a - i + end_b - j, 0
        while i < end_a and j < end_b:
            x, y = values_a[i], values_b[j]
            n_common += x == y
            i += x <= y
            j += y <= x
        similarity[pair] = n_common / (n_values - n_common)
    return similarity

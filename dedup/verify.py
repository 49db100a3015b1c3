"""From candidate pairs to verified edges: the exact Jaccard similarity of both shingle sets, in bounded memory.

A file shuffle brings the sets together: the texts of a shard are read once more, and the sets of the documents that are
in a pair are made; the set of a is written to the partition of b's shard, where both are compared. Texts are streamed,
and so are the sets of a; of those of b a task holds BLOCK_BYTES.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, Field, NonNegativeInt, PositiveInt

from datassay.corpus.compiled import compiled
from datassay.corpus.engine import Inputs
from datassay.corpus.shuffle import ShuffleFile, read_partition, shuffle_file
from datassay.corpus.store import Outputs
from datassay.dedup.candidates import document_bounds, first_of, read_numbers, second_of, shards_of
from datassay.dedup.exact import PAIR
from datassay.dedup.shingles import shingle_sets
from datassay.dedup.stored import StoredFile, StoredShard
from datassay.dedup.texts import FilePart, read_texts

ATTACH_VERSION = 2
VERIFY_VERSION = 2

BLOCK_BYTES = 64 << 20
"""Of shingle sets of b that are compared at once."""
_ROUND_BYTES = 16 << 20
"""Of sets that wait to be written."""

HALF = pa.schema(
    [
        pa.field("a", pa.string(), nullable=False),
        pa.field("shingles", pa.list_(pa.uint32()), nullable=False),  # of a
        pa.field("rows_b", pa.list_(pa.int32()), nullable=False),  # to compare with, in the partition's shard
    ]
)
SET = pa.schema(
    [
        pa.field("row", pa.int32(), nullable=False),  # in its shard, ascending
        pa.field("id", pa.string(), nullable=False),
        pa.field("shingles", pa.list_(pa.uint32()), nullable=False),  # sorted, distinct
    ]
)


class AttachSettings(BaseModel, frozen=True, extra="forbid"):
    """Which shard, and how its sets are made."""

    shard: NonNegativeInt
    shard_rows: tuple[NonNegativeInt, ...]
    """As `candidates` has it."""
    old: tuple[StoredShard, ...] = ()
    """As `candidates` has it."""
    shingle_words: PositiveInt
    shingle_chars: PositiveInt
    by_characters: bool = False
    part: FilePart | None = None
    """What the shard is; without it, dataset `clean`."""


class VerifySettings(BaseModel, frozen=True, extra="forbid"):
    """Which shard, and from which similarity on a pair is an edge."""

    shard: NonNegativeInt
    min_jaccard: float = Field(ge=0, le=1)
    stored: StoredFile | None = None
    """The sets of a shard of an index, instead of dataset `sets`."""


@dataclass(frozen=True, slots=True)
class StoredSets:
    """Ids and shingle sets of some rows of a shard, in order of row."""

    rows: NDArray[np.int64]
    ids: pa.Array
    offsets: NDArray[np.int64]
    values: NDArray[np.uint32]


def attach(inputs: Inputs, settings: AttachSettings, out: Outputs) -> None:
    """Make the shingle sets of a shard's documents that are in a pair.

    Reads `candidates` and `wanted`, and the texts of the shard. Writes `halves`, the sets of documents a, shuffled by
    the shard of b, and `sets`, those of documents b. Counts `compared`: distinct candidate pairs.
    """
    bounds = document_bounds(settings.shard_rows, settings.old)
    pairs = read_numbers(inputs.all("candidates"), settings.shard)
    rows_a = first_of(pairs) - bounds[settings.shard]
    wanted = read_numbers(inputs.all("wanted"), settings.shard).astype(np.int64) - bounds[settings.shard]
    out.counts["compared"] += len(pairs)
    with (
        shuffle_file(out, "halves", HALF, len(bounds) - 1) as halves,
        shuffle_file(out, "sets", SET, 1) as sets,
    ):
        partners = _Partners(rows_a, second_of(pairs), bounds)
        waiting = _WaitingSets(halves, sets)
        for block in _needed_sets(inputs, settings, np.union1d(rows_a, wanted)):
            waiting.add(block, partners, wanted)
        waiting.flush()


def _needed_sets(inputs: Inputs, settings: AttachSettings, rows: NDArray[np.int64]) -> Iterator[StoredSets]:
    """The sets of these rows (sorted) of a shard, as its texts are read."""
    if not len(rows):
        return
    first_row = 0
    for batch in read_texts(inputs, settings.part, with_ids=False):
        here = rows[slice(*np.searchsorted(rows, [first_row, first_row + batch.num_rows]))]
        if len(here):
            chosen = batch.take(pa.array(here - first_row))
            found = shingle_sets(
                chosen["text"],
                words=settings.shingle_words,
                characters=settings.shingle_chars,
                by_characters=settings.by_characters,
            )
            if settings.part is None:
                ids = chosen["id"]
            else:
                ids = settings.part.ids((here + settings.part.first_row).tolist())
            yield StoredSets(here, ids, found.offsets, found.values)
        first_row += batch.num_rows


@dataclass(frozen=True, slots=True)
class _Partners:
    """The pairs of a shard, in order of the row of a."""

    rows_a: NDArray[np.int64]
    documents_b: NDArray[np.int64]
    bounds: NDArray[np.int64]

    def of(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(position in `rows`, shard of b, row of b) of the pairs whose a is one of these consecutive rows."""
        here = slice(np.searchsorted(self.rows_a, rows[0]), np.searchsorted(self.rows_a, rows[-1], side="right"))
        shards = shards_of(self.documents_b[here], self.bounds)
        return np.searchsorted(rows, self.rows_a[here]), shards, self.documents_b[here] - self.bounds[shards]


class _WaitingSets:
    """Sets on their way into both files, in rounds of bounded size."""

    def __init__(self, halves: ShuffleFile, sets: ShuffleFile) -> None:
        self._halves, self._sets = halves, sets
        self._half_parts: list[pa.RecordBatch] = []
        self._partitions: list[NDArray[np.int64]] = []
        self._set_parts: list[pa.RecordBatch] = []
        self._n_bytes = 0

    def add(self, block: StoredSets, partners: _Partners, wanted: NDArray[np.int64]) -> None:
        lists = pa.ListArray.from_arrays(block.offsets.astype(np.int32), block.values)
        position, shards, rows_b = partners.of(block.rows)
        if len(position):
            starts = np.flatnonzero(np.r_[True, (np.diff(position) != 0) | (np.diff(shards) != 0)])
            offsets = np.append(starts, len(position)).astype(np.int32)
            of_b = pa.ListArray.from_arrays(offsets, rows_b.astype(np.int32))
            at = pa.array(position[starts])
            self._half_parts.append(pa.record_batch([block.ids.take(at), lists.take(at), of_b], schema=HALF))
            self._partitions.append(shards[starts])
        is_wanted = np.isin(block.rows, wanted, kind="table")  # of few rows, without sorting
        if is_wanted.any():
            mask = pa.array(is_wanted)
            rows = pa.array(block.rows[is_wanted].astype(np.int32))
            self._set_parts.append(pa.record_batch([rows, block.ids.filter(mask), lists.filter(mask)], schema=SET))
        self._n_bytes += 4 * len(block.values)
        if self._n_bytes >= _ROUND_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._half_parts:
            columns = pa.concat_batches(self._half_parts).columns
            self._halves.write_round(columns, np.concatenate(self._partitions))
        if self._set_parts:
            batch = pa.concat_batches(self._set_parts)
            self._sets.write_round(batch.columns, np.zeros(len(batch), np.int64))
        self._half_parts, self._partitions, self._set_parts, self._n_bytes = [], [], [], 0


def verify(inputs: Inputs, settings: VerifySettings, out: Outputs) -> None:
    """Keep the candidate pairs that are similar enough. Reads, of the shard of b, `halves`, and `sets` or the stored
    sets of an index; writes `pairs` of kind "near", ordered by (a, b).

    Counts `near_pairs`, and `refused`: candidates of a lower similarity.
    """
    paths = inputs.all("halves")
    needed = [np.zeros(0, np.int64)]
    needed += [np.asarray(batch["rows_b"].flatten(), np.int64) for batch in _batches(paths, settings.shard)]
    rows = np.unique(np.concatenate(needed))
    edges = [PAIR.empty_table()]
    stored = inputs.one("sets") if settings.stored is None else settings.stored.path
    for block in read_sets(stored, rows):
        for batch in _batches(paths, settings.shard):
            found, n_refused = _edges(batch, block, settings.min_jaccard)
            edges.append(pa.Table.from_batches([found]))
            out.counts["refused"] += n_refused
    table = pa.concat_tables(edges).sort_by([("a", "ascending"), ("b", "ascending")])
    out.counts["near_pairs"] += table.num_rows
    with out.parquet("pairs", PAIR) as shard:
        for batch in table.combine_chunks().to_batches(max_chunksize=65_536):
            shard.write(batch)


def _batches(paths: Sequence[Path], partition: int) -> Iterator[pa.RecordBatch]:
    return (batch for path in paths for batch in read_partition(path, partition) if batch.num_rows)


def _edges(halves: pa.RecordBatch, sets: StoredSets, min_jaccard: float) -> tuple[pa.RecordBatch, int]:
    """The edges between some documents a and those of a block of b; how many of their pairs are none."""
    lists_a, lists_b = halves["shingles"], halves["rows_b"]
    offsets_a = np.asarray(lists_a.offsets, np.int64) - lists_a.offsets[0].as_py()
    from_a = np.repeat(np.arange(len(halves)), np.asarray(lists_b.value_lengths()))
    rows_b = np.asarray(lists_b.flatten(), np.int64)
    from_b = np.searchsorted(sets.rows, rows_b)
    in_block = (from_b < len(sets.rows)) & (sets.rows[np.minimum(from_b, len(sets.rows) - 1)] == rows_b)
    from_a, from_b = from_a[in_block], from_b[in_block]
    similarity = jaccards(offsets_a, np.asarray(lists_a.flatten()), from_a, sets.offsets, sets.values, from_b)
    is_edge = similarity >= min_jaccard
    x = halves["a"].take(pa.array(from_a[is_edge]))
    y = sets.ids.take(pa.array(from_b[is_edge]))
    is_ordered = pc.less(x, y)
    columns = [
        pc.if_else(is_ordered, x, y),
        pc.if_else(is_ordered, y, x),
        pa.array(similarity[is_edge]),
        pa.repeat("near", len(x)),
    ]
    return pa.record_batch(columns, schema=PAIR), int(len(is_edge) - is_edge.sum())


def read_sets(path: Path, rows: NDArray[np.int64], *, block_bytes: int = BLOCK_BYTES) -> Iterator[StoredSets]:
    """The ids and shingle sets of these rows (sorted, distinct) of a shard, in blocks of about so many bytes."""
    parts: list[pa.RecordBatch] = []
    n_bytes = 0
    for batch in read_partition(path, 0):
        here = np.flatnonzero(np.isin(np.asarray(batch["row"]), rows))
        if not len(here):
            continue
        parts.append(batch.take(pa.array(here)))
        n_bytes += parts[-1].nbytes
        if n_bytes >= block_bytes:
            yield _stored_sets(parts)
            parts, n_bytes = [], 0
    if parts:
        yield _stored_sets(parts)


def _stored_sets(parts: Iterable[pa.RecordBatch]) -> StoredSets:
    batch = pa.concat_batches(list(parts))
    lists = batch["shingles"]
    offsets = np.asarray(lists.offsets, np.int64)
    return StoredSets(
        np.asarray(batch["row"], np.int64), batch["id"], offsets - offsets[0], np.asarray(lists.flatten(), np.uint32)
    )


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

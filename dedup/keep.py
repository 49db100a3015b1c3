"""What stays of some files: one document of each cluster of copies, and for each of the others where its copy is.

The last stage of the command `dedup`, where no rules and no quality score decide beside the duplicates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel

from datassay.corpus.engine import Inputs
from datassay.corpus.shuffle import read_partition
from datassay.corpus.store import Outputs, read_batches
from datassay.dedup.clusters import resolve
from datassay.dedup.exact import KEY_PAIR
from datassay.dedup.minhash import id_ranks
from datassay.dedup.settings import KeepCriterion
from datassay.dedup.stored import StoredShard
from datassay.dedup.texts import LISTED, FilePart, read_columns

VERSION = 1

KEPT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),  # its name below the folder given
        pa.field("row", pa.int64(), nullable=False),  # in that file; the offset in files that have no rows
        pa.field("source_id", pa.string()),  # what the input calls it
    ]
)
MEMBER = pa.schema(
    [
        *KEPT,
        pa.field("n_chars", pa.int64()),
        pa.field("quality", pa.float64()),
        pa.field("date", pa.string()),
        pa.field("source", pa.string()),
    ]
)
"""What the choice between copies goes by; source is the name of the file."""
DUPLICATE = pa.schema(
    [
        *KEPT,
        pa.field("kept_for", pa.string(), nullable=False),  # the document that stays in its place
        pa.field("kept_file", pa.string(), nullable=False),  # as file, be it of this run or of an index
        pa.field("kept_row", pa.int64(), nullable=False),
        pa.field("kept_source_id", pa.string()),
        pa.field("cluster", pa.string(), nullable=False),  # the smallest id of its documents
        pa.field("kind", pa.string(), nullable=False),  # what makes it a copy
        pa.field("similarity", pa.float64()),  # of its edge to that document; null where others lie between
    ]
)


Column = Literal["quality", "date", "source_id"]
"""What a column of the input may be."""


class KeepSettings(BaseModel, frozen=True, extra="forbid"):
    """How is chosen between copies."""

    parts: tuple[FilePart, ...] = ()
    """The shards; without any, those of dataset `clean`."""
    keep_by: tuple[KeepCriterion, ...]
    source_priority: tuple[str, ...] = ()
    """Names of files, or patterns of them, the first preferred."""
    columns: dict[Column, str] = {}
    """Names of columns in the input by what they are here."""
    old: tuple[StoredShard, ...] = ()
    """Shards of an index: one of its documents stays in any case."""


def keep(inputs: Inputs, settings: KeepSettings, out: Outputs) -> None:
    """Choose one document of each cluster. Reads `pairs`, `documents` of `sign`, and columns of the documents.

    Writes `kept` and `duplicates`, both in order of the documents. Counts `documents`, `kept`, `duplicates`,
    `clusters`, and `duplicates_of_index`. In memory are those documents that have a copy, and at first a few of the
    others.
    """
    edges = read_edges(inputs.all("pairs"))
    members = _members(inputs, settings, ends_of(edges))
    duplicates = find_duplicates(edges, members, settings)
    old = members.filter(members["is_old"])["id"]
    out.counts["duplicates_of_index"] += pc.sum(pc.is_in(duplicates["kept_for"], value_set=old)).as_py() or 0
    write_choice(duplicates, _documents(inputs, settings), out)


def find_duplicates(edges: pa.Table, members: pa.Table, settings: KeepSettings) -> pa.Table:
    """DUPLICATE of the documents that go, in the order of members.

    members: MEMBER with `is_old`, of all documents with an edge; old ones do not go
    """
    found = resolve(edges, members, keep_by=settings.keep_by, source_priority=settings.source_priority)
    old = members.filter(members["is_old"])["id"]
    goes = pc.and_(pc.is_valid(found["kept_for"]), pc.invert(pc.is_in(found["id"], value_set=old)))
    return _rows(found.filter(goes), members, edges)


def write_choice(duplicates: pa.Table, documents: Iterator[pa.RecordBatch], out: Outputs) -> None:
    """Write `duplicates`, and as `kept` all others of the documents (MEMBER); both come in the same order."""
    out.counts["duplicates"] += len(duplicates)
    out.counts["clusters"] += pc.count_distinct(duplicates["cluster"]).as_py()
    with out.parquet("duplicates", DUPLICATE) as shard:
        for batch in duplicates.combine_chunks().to_batches(max_chunksize=65_536):
            shard.write(batch)
    dropped = duplicates["id"].combine_chunks()
    n_dropped = 0
    with out.parquet("kept", KEPT) as shard:
        for batch in documents:
            out.counts["documents"] += batch.num_rows
            following = dropped.slice(n_dropped, batch.num_rows)  # of all, a set would be made anew for each batch
            stays = batch.filter(pc.invert(pc.is_in(batch["id"], value_set=following)))
            n_dropped += batch.num_rows - stays.num_rows
            out.counts["kept"] += stays.num_rows
            shard.write(stays.select(KEPT.names).cast(KEPT))


def read_edges(paths: Sequence[Path]) -> pa.Table:
    """The rows of some files of pairs, whatever their kind."""
    return pa.concat_tables([KEY_PAIR.empty_table(), *(pq.read_table(path).cast(KEY_PAIR) for path in paths)])


def ends_of(edges: pa.Table) -> pa.Array:
    """The documents that have an edge."""
    return pa.chunked_array([*edges["a"].chunks, *edges["b"].chunks], pa.string()).unique()


def _members(inputs: Inputs, settings: KeepSettings, ids: pa.Array) -> pa.Table:
    """The documents with these ids, of the files and of the index, with `is_old`."""
    found = [MEMBER.empty_table().append_column("is_old", pa.array([], pa.bool_()))]
    marks = _Marks(ids)
    batches = (batch.filter(marks.may_hold(batch["id"])) for batch in _documents(inputs, settings))
    found += [_with_age(batch, is_old=False) for batch in batches]
    found += [_with_age(batch, is_old=True) for batch in old_members(settings.old, ids)]
    members = pa.concat_tables(found)
    return members.filter(pc.is_in(members["id"], value_set=ids))


class _Marks:
    """Tells of most ids that they are not among some; Arrow would make a set of all of those anew for each batch."""

    def __init__(self, ids: pa.Array) -> None:
        self._n_bits = min(32, (16 * len(ids)).bit_length())
        self._marks = np.zeros(1 << self._n_bits, np.bool_)
        self._marks[self._places(ids)] = True

    def _places(self, ids: pa.Array) -> NDArray[np.uint64]:
        return id_ranks(ids) >> np.uint64(32 - self._n_bits)

    def may_hold(self, ids: pa.Array) -> pa.Array:
        """True for all that are among them, and for a sixteenth of the others."""
        return pa.array(self._marks[self._places(ids)])


def _with_age(batch: pa.RecordBatch, *, is_old: bool) -> pa.Table:
    ages = pa.array(np.full(len(batch), is_old))
    return pa.Table.from_batches([batch]).append_column("is_old", ages)


def old_members(shards: Sequence[StoredShard], ids: pa.Array) -> Iterator[pa.RecordBatch]:
    """MEMBER of those documents of an index that have one of these ids."""
    for shard in shards:
        for batch in read_batches([shard.documents.path]):
            yield batch.filter(pc.is_in(batch["id"], value_set=ids))


def _documents(inputs: Inputs, settings: KeepSettings) -> Iterator[pa.RecordBatch]:
    """MEMBER of the documents of all shards but those of an index, in order."""
    for shard, path in enumerate(inputs.all("documents")):
        part = settings.parts[shard] if settings.parts else None
        given = Inputs({"clean": inputs.files["clean"][shard : shard + 1]} if part is None else {})
        yield from members_of(path, given, part, settings.columns)


def members_of(
    documents: Path, inputs: Inputs, part: FilePart | None, columns: Mapping[Column, str]
) -> Iterator[pa.RecordBatch]:
    """MEMBER of the documents of a shard, in order. documents: its file of `sign`."""
    listed = pa.Table.from_batches(read_partition(documents, 0), LISTED)
    first = 0
    for stated in _stated_columns(inputs, part, columns):
        here = listed.slice(first, stated.num_rows).combine_chunks()
        first += stated.num_rows
        known = {**dict(zip(here.column_names, here.columns, strict=True)), "source": stated["file"]}
        known.update(zip(stated.schema.names, stated.columns, strict=True))
        arrays = [known.get(field.name, pa.nulls(len(here), field.type)).cast(field.type) for field in MEMBER]
        yield from pa.Table.from_arrays(arrays, schema=MEMBER).combine_chunks().to_batches()


def _stated_columns(inputs: Inputs, part: FilePart | None, columns: Mapping[Column, str]) -> Iterator[pa.RecordBatch]:
    """file, row and what `columns` names, of the documents of a shard."""
    if part is None:  # a stage's documents have fields of their own
        names = {"file": "file", "row": "offset", "source_id": "source_id", "date": "date"}
        for batch in read_columns(inputs, None, list(names.values())):
            yield pa.RecordBatch.from_arrays(batch.columns, names=list(names))
        return
    first = part.first_row
    for batch in read_columns(inputs, part, list(columns.values())) if columns else _rows_without_columns(part):
        rows = pa.array(np.arange(first, first + batch.num_rows))
        file = pa.repeat(part.file.name, batch.num_rows)
        named = [batch.column(name).cast(MEMBER.field(kind).type) for kind, name in columns.items()]
        yield pa.RecordBatch.from_arrays([file, rows, *named], names=["file", "row", *columns])
        first += batch.num_rows


def _rows_without_columns(part: FilePart) -> Iterator[pa.RecordBatch]:
    yield pa.record_batch([pa.nulls(part.n_rows)], names=["nothing"])


def _rows(found: pa.Table, members: pa.Table, edges: pa.Table) -> pa.Table:
    """DUPLICATE of the documents that go, in the order of members."""
    ids = members["id"].combine_chunks()
    own = pc.index_in(found["id"], value_set=ids)
    found = found.append_column("place", own).sort_by("place")
    own, of_kept = found["place"], pc.index_in(found["kept_for"], value_set=ids)
    kept = members.take(of_kept)
    columns = {
        **{name: members[name].take(own) for name in KEPT.names},
        "kept_for": found["kept_for"],
        **{f"kept_{name}": kept[name] for name in ("file", "row", "source_id")},
        "cluster": found["cluster"],
        "kind": found["kind"],
        "similarity": _similarity(found, edges, ids),
    }
    return pa.Table.from_pydict(columns).cast(DUPLICATE)


def _similarity(found: pa.Table, edges: pa.Table, ids: pa.Array) -> pa.Array:
    """The similarity of the edge between each document and the one that stays for it; null where there is none."""
    n = len(ids)

    def codes(a: pa.ChunkedArray, b: pa.ChunkedArray) -> NDArray[np.int64]:
        x, y = (np.asarray(pc.index_in(column, value_set=ids), np.int64) for column in (a, b))
        return np.minimum(x, y) * n + np.maximum(x, y)

    edges = edges.filter(pc.is_valid(edges["similarity"]))
    place = pc.index_in(
        pa.array(codes(found["id"], found["kept_for"])), value_set=pa.array(codes(edges["a"], edges["b"]))
    )
    return edges["similarity"].combine_chunks().take(place)

"""Documents with the same text: found by a 128-bit hash of the text as `clean` left it, nothing else normalised.

Two stages with a file shuffle between them. The first copy of each text, by id, stands for all of them from here on:
the others are listed as repeats and take no part in the search for near duplicates. An empty text is nobody's copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray
from pydantic import BaseModel, NonNegativeInt, PositiveInt

from datassay.corpus.engine import Inputs
from datassay.corpus.shuffle import ShuffleFile, covering_partitions, read_partition, shuffle_file
from datassay.corpus.store import Outputs
from datassay.corpus.unicode import text_buffers
from datassay.dedup.stored import StoredShard
from datassay.dedup.texts import LISTED, FilePart, read_texts, write_listed
from datassay.dedup.twice import may_come_twice

HASH_TEXTS_VERSION = 2
EXACT_EDGES_VERSION = 3

TEXT = pa.schema(
    [
        pa.field("text_hash", pa.binary(16), nullable=False),  # XXH3-128 of the UTF-8 bytes, big-endian
        pa.field("id", pa.string(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),  # in its shard
    ]
)
REPEAT = pa.schema([pa.field("row", pa.int32(), nullable=False)])
PAIR = pa.schema(
    [
        pa.field("a", pa.string(), nullable=False),  # a < b
        pa.field("b", pa.string(), nullable=False),
        pa.field("similarity", pa.float64(), nullable=False),  # Jaccard, exact; "payload" and "url" have null
        pa.field("kind", pa.string(), nullable=False),  # "exact" | "payload" | "url" | "near"
    ]
)
KEY_PAIR = PAIR.set(2, pa.field("similarity", pa.float64()))
"""Of the kinds "url" and "payload", whose texts are not compared: there the similarity is null."""

COPY = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("shard", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("first", pa.string(), nullable=False),  # the document that stands for it
        pa.field("first_shard", pa.int32(), nullable=False),
    ]
)


class HashTextsSettings(BaseModel, frozen=True, extra="forbid"):
    """How text hashes are spread over partitions."""

    n_partitions: PositiveInt
    """A power of two."""
    part: FilePart | None = None
    """What is hashed; without it, dataset `clean`."""
    list_documents: bool = False
    """Whether ids and lengths are written, too."""


class ExactEdgesSettings(BaseModel, frozen=True, extra="forbid"):
    """Which partition, and what there is besides."""

    partition: NonNegativeInt
    n_partitions: PositiveInt
    n_shards: NonNegativeInt
    old: tuple[StoredShard, ...] = ()
    """Documents of an index, which stand for their copies."""
    among_new: bool = True
    """Whether new documents are compared with each other, too."""


def hash_texts(inputs: Inputs, settings: HashTextsSettings, out: Outputs) -> None:
    """Hash every text of a shard. Reads `clean`, or the part of a file that the settings name; writes `texts`, shuffled
    by hash, and `documents`. Counts `documents` and `empty`."""
    first_row = 0
    with ExitStack() as stack:
        texts = stack.enter_context(shuffle_file(out, "texts", TEXT, settings.n_partitions))
        documents = None
        if settings.list_documents:
            documents = stack.enter_context(shuffle_file(out, "documents", LISTED, 1))
        for batch in read_texts(inputs, settings.part):
            hashed = hashed_texts(batch, first_row)
            write_by_hash(texts, hashed)
            if documents is not None:
                write_listed(documents, batch)
            first_row += batch.num_rows
            out.counts["documents"] += batch.num_rows
            out.counts["empty"] += batch.num_rows - hashed.num_rows


def hashed_texts(batch: pa.RecordBatch, first_row: int) -> pa.RecordBatch:
    """TEXT of those documents of a batch that have any; first_row: of the batch, in its shard."""
    rows = pa.array(np.arange(first_row, first_row + batch.num_rows, dtype=np.int32))
    hashed = pa.record_batch([text_hashes(batch["text"]), batch["id"].cast(pa.string()), rows], schema=TEXT)
    return hashed.filter(pc.greater(pc.binary_length(batch["text"]), 0))


def text_hashes(texts: pa.Array) -> pa.Array:
    """XXH3-128 of the UTF-8 bytes of each text, 16 bytes, big-endian."""
    offsets, data = text_buffers(texts)
    text_bytes = data.data
    digests = [xxhash.xxh3_128_digest(text_bytes[start:end]) for start, end in pairwise(offsets.tolist())]
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(digests), [None, pa.py_buffer(b"".join(digests))])


def write_by_hash(file: ShuffleFile, hashed: pa.RecordBatch) -> None:
    """Write rows, whose first column is a hash of 16 bytes, as a round of a file that is shuffled by it."""
    first_bytes = _bytes_of(hashed.column(0))[:, :2].astype(np.int64)
    file.write_round(hashed.columns, (first_bytes[:, 0] * 256 + first_bytes[:, 1]) * file.n_partitions >> 16)


def exact_edges(inputs: Inputs, settings: ExactEdgesSettings, out: Outputs) -> None:
    """Join every copy of a text to the copy with the smallest id, or to one of an index that stands for it.

    Reads a partition of `texts`, a file a shard, in the order of shards. Writes `pairs`, ordered by (a, b), and
    `repeats`, shuffled by shard: the rows that are copies and not the first. Counts `exact_pairs`.
    """
    found = copies(inputs.all("texts"), settings.partition, settings.n_partitions, old=settings.old)
    if not settings.among_new:
        found = found.filter(pc.greater_equal(found["first_shard"], settings.n_shards))
    write_stars(found, pa.array(np.ones(len(found))), "exact", PAIR, out)
    with shuffle_file(out, "repeats", REPEAT, max(settings.n_shards, 1)) as file:
        file.write_round([found["row"].combine_chunks()], np.asarray(found["shard"], np.int64))


def copies(paths: Sequence[Path], partition: int, n_partitions: int, *, old: Sequence[StoredShard] = ()) -> pa.Table:
    """COPY of a partition: every new row that has the hash of another, but for the one that stands for all of them.

    paths: a file a shard; the hash is the first column
    That one has the smallest id; or it stands for its copies in an old shard, in the first of several indexes by id.
    Old shards are numbered after the others.
    Rows of a file with fewer partitions than asked for are looked at in several; only those of one hash meet.
    """
    tables = [_hashed(path, partition, n_partitions, shard) for shard, path in enumerate(paths)]
    tables += [_hashed_old(shard, partition, n_partitions, len(paths) + i) for i, shard in enumerate(old)]
    if not tables:
        return COPY.empty_table()
    hashed = pa.concat_tables(tables)
    lower_half = np.ascontiguousarray(_bytes_of(hashed["hash"].combine_chunks())[:, 8:]).view(np.uint64).ravel()
    hashed = hashed.filter(pa.array(may_come_twice(lower_half)))
    is_new = pc.less(hashed["shard"], len(paths))
    order = pc.sort_indices(
        hashed.append_column("is_new", is_new.cast(pa.int8())),
        [("hash", "ascending"), ("is_new", "ascending"), ("id", "ascending")],
    )
    hashed = hashed.take(order)
    first = _first_of_run(_bytes_of(hashed["hash"].combine_chunks()))
    is_copy = pa.array((first != np.arange(len(first))) & (np.asarray(hashed["shard"]) < len(paths)))
    found, standing = hashed.filter(is_copy), hashed.take(pa.array(first).filter(is_copy))
    return pa.table([found["id"], found["shard"], found["row"], standing["id"], standing["shard"]], schema=COPY)


def _hashed(path: Path, partition: int, n_partitions: int, shard: int) -> pa.Table:
    """The rows of a partition, with the number of their shard."""
    names = ["hash", "id", "row"]
    tables = [pa.table([[], [], []], schema=TEXT).rename_columns(names)]
    for part in covering_partitions(path, partition, n_partitions):
        tables += [pa.Table.from_batches([batch]).rename_columns(names) for batch in read_partition(path, part)]
    table = pa.concat_tables(tables)
    return table.append_column("shard", pa.array(np.full(len(table), shard, np.int32)))


def _hashed_old(shard: StoredShard, partition: int, n_partitions: int, number: int) -> pa.Table:
    """The same of an old shard, without what repeats other texts."""
    table = _hashed(shard.texts.path, partition, n_partitions, number)
    repeats = [batch["row"] for batch in read_partition(shard.repeats.path, 0)]
    return table.filter(pc.invert(pc.is_in(table["row"], value_set=pa.chunked_array(repeats, pa.int32()))))


def write_stars(found: pa.Table, similarity: pa.Array, kind: str, schema: pa.Schema, out: Outputs) -> None:
    """Write `pairs` that join each row of COPY to the one that stands for it, ordered by (a, b). Counts `KIND_pairs`.

    similarity: (rows,)
    """
    is_ordered = pc.less(found["first"], found["id"])
    pairs = pa.table(
        [
            pc.if_else(is_ordered, found["first"], found["id"]),
            pc.if_else(is_ordered, found["id"], found["first"]),
            similarity,
            pa.repeat(kind, len(found)),
        ],
        schema=schema,
    ).sort_by([("a", "ascending"), ("b", "ascending")])
    with out.parquet("pairs", schema) as shard:
        for batch in pairs.to_batches():
            shard.write(batch)
    out.counts[f"{kind}_pairs"] += len(found)


def _first_of_run(hashes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """For each of sorted hashes, (hashes, 16), the position of the first that equals it."""
    if not len(hashes):
        return np.zeros(0, np.int64)
    is_first = np.r_[True, (hashes[1:] != hashes[:-1]).any(axis=1)]
    first: NDArray[np.int64] = np.maximum.accumulate(np.where(is_first, np.arange(len(hashes)), 0))
    return first


def _bytes_of(hashes: pa.Array) -> NDArray[np.uint8]:
    """(hashes, 16)"""
    every = np.frombuffer(hashes.buffers()[1] or b"", np.uint8).reshape(-1, 16)
    return every[hashes.offset : hashes.offset + len(hashes)]

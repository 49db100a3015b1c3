"""Documents with the same text: found by a 128-bit hash of the text as `clean` left it, nothing else normalised.

Two stages with a file shuffle between them. The first copy of each text, by id, stands for all of them from here on:
the others are listed as repeats and take no part in the search for near duplicates. An empty text is nobody's copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray
from pydantic import BaseModel, PositiveInt

from datassay.corpus.engine import Inputs
from datassay.corpus.store import Outputs
from datassay.corpus.unicode import text_buffers
from datassay.dedup.texts import FilePart, read_texts

HASH_TEXTS_VERSION = 1
EXACT_EDGES_VERSION = 1

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
        pa.field("similarity", pa.float64(), nullable=False),  # Jaccard, exact
        pa.field("kind", pa.string(), nullable=False),  # "exact" | "near"
    ]
)


class HashTextsSettings(BaseModel, frozen=True, extra="forbid"):
    """How text hashes are spread over files."""

    n_partitions: PositiveInt
    """A power of two."""
    part: FilePart | None = None
    """What is hashed; without it, dataset `clean`."""


class ExactEdgesSettings(BaseModel, frozen=True, extra="forbid"):
    """Nothing to set."""


def hash_texts(inputs: Inputs, settings: HashTextsSettings, out: Outputs) -> None:
    """Hash every text of a shard. Reads `clean`, or the part of a file that the settings name; writes `texts` in every
    partition, be it empty, ordered by hash, row.

    Counts `documents` and `empty`. The hashes and ids of a shard are in memory at once.
    """
    tables = [TEXT.empty_table()]
    n_rows = 0
    for batch in read_texts(inputs, settings.part):
        rows = pa.array(np.arange(n_rows, n_rows + batch.num_rows, dtype=np.int32))
        has_text = pc.greater(pc.binary_length(batch["text"]), 0)
        hashes = pa.array(text_hashes(batch["text"].filter(has_text)), pa.binary(16))
        tables.append(pa.table([hashes, batch["id"].filter(has_text), rows.filter(has_text)], schema=TEXT))
        n_rows += batch.num_rows
    texts = pa.concat_tables(tables).sort_by([("text_hash", "ascending"), ("row", "ascending")])
    out.counts["documents"] += n_rows
    out.counts["empty"] += n_rows - len(texts)
    first_bytes = _bytes_of(texts["text_hash"].combine_chunks())[:, :2].astype(np.int64)
    partitions = (first_bytes[:, 0] * 256 + first_bytes[:, 1]) * settings.n_partitions >> 16
    bounds = np.searchsorted(partitions, np.arange(settings.n_partitions + 1))
    for partition, (start, end) in enumerate(pairwise(bounds.tolist())):
        with out.parquet("texts", TEXT, partition=partition) as shard:
            for batch in texts.slice(start, end - start).to_batches(max_chunksize=65_536):
                shard.write(batch)


def text_hashes(texts: pa.Array) -> list[bytes]:
    """XXH3-128 of the UTF-8 bytes of each text, 16 bytes, big-endian."""
    offsets, data = text_buffers(texts)
    text_bytes = data.data
    return [xxhash.xxh3_128_digest(text_bytes[start:end]) for start, end in pairwise(offsets.tolist())]


def exact_edges(inputs: Inputs, settings: ExactEdgesSettings, out: Outputs) -> None:  # noqa: ARG001
    """Join every copy of a text to the copy with the smallest id.

    Reads a partition of `texts`, one file a shard, in the order of shards. Writes `pairs`, ordered by (a, b), and
    `repeats`: of each shard, in a partition of its own, the rows that are copies and not the first. Counts
    `exact_pairs`.
    """
    texts = _with_shards(inputs.all("texts"))
    texts = texts.take(pc.sort_indices(texts, [("text_hash", "ascending"), ("id", "ascending")]))
    ids = texts["id"].combine_chunks()
    first = _first_of_run(_bytes_of(texts["text_hash"].combine_chunks()))
    is_copy = first != np.arange(len(first))
    n_copies = int(is_copy.sum())
    pairs = pa.table(
        [
            ids.take(pa.array(first[is_copy])),
            ids.filter(pa.array(is_copy)),
            pa.array(np.ones(n_copies)),
            pa.repeat("exact", n_copies),
        ],
        schema=PAIR,
    ).sort_by([("a", "ascending"), ("b", "ascending")])
    with out.parquet("pairs", PAIR) as shard:
        for batch in pairs.to_batches():
            shard.write(batch)
    out.counts["exact_pairs"] += n_copies
    _write_repeats(np.asarray(texts["shard"])[is_copy], np.asarray(texts["row"])[is_copy], out)


def _with_shards(paths: Sequence[Path]) -> pa.Table:
    """The rows of one file a shard, with the number of the shard."""
    tables = [pq.ParquetFile(path).read() for path in paths]
    return pa.concat_tables(
        table.append_column("shard", pa.array(np.full(table.num_rows, shard, np.int32)))
        for shard, table in enumerate(tables)
    )


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


def _write_repeats(shards: NDArray[np.int32], rows: NDArray[np.int32], out: Outputs) -> None:
    for shard in np.unique(shards):
        with out.parquet("repeats", REPEAT, partition=int(shard)) as part:
            part.write(pa.record_batch([pa.array(np.sort(rows[shards == shard]))], schema=REPEAT))

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
from datassay.corpus.store import Outputs, read_batches
from datassay.corpus.unicode import text_buffers

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
        pa.field("similarity", pa.float64(), nullable=False),  # Jaccard, exact; null where only url or payload agree
        pa.field("kind", pa.string(), nullable=False),  # "exact" | "payload" | "url" | "near"
    ]
)
KEY_PAIR = PAIR.set(2, pa.field("similarity", pa.float64()))
"""Of the kinds "url" and "payload", whose texts are not compared."""


class HashTextsSettings(BaseModel, frozen=True, extra="forbid"):
    """How text hashes are spread over files."""

    n_partitions: PositiveInt
    """A power of two."""


class ExactEdgesSettings(BaseModel, frozen=True, extra="forbid"):
    """Nothing to set."""


def hash_texts(inputs: Inputs, settings: HashTextsSettings, out: Outputs) -> None:
    """Hash every text of a shard. Reads `clean`; writes `texts` in every partition, be it empty, ordered by hash, row.

    Counts `documents` and `empty`. The hashes and ids of a shard are in memory at once.
    """
    tables = [TEXT.empty_table()]
    n_rows = 0
    for batch in read_batches(inputs.all("clean"), columns=["id", "text"]):
        rows = pa.array(np.arange(n_rows, n_rows + batch.num_rows, dtype=np.int32))
        has_text = pc.greater(pc.binary_length(batch["text"]), 0)
        hashes = pa.array(text_hashes(batch["text"].filter(has_text)), pa.binary(16))
        tables.append(pa.table([hashes, batch["id"].filter(has_text), rows.filter(has_text)], schema=TEXT))
        n_rows += batch.num_rows
    texts = pa.concat_tables(tables)
    out.counts["documents"] += n_rows
    out.counts["empty"] += n_rows - len(texts)
    write_by_hash(texts, "texts", settings.n_partitions, out)


def write_by_hash(hashed: pa.Table, dataset: str, n_partitions: int, out: Outputs) -> None:
    """Write rows, whose first column is a hash of 16 bytes, in every partition, be it empty, ordered by hash, row."""
    name = hashed.schema.names[0]
    hashed = hashed.sort_by([(name, "ascending"), ("row", "ascending")])
    first_bytes = _bytes_of(hashed[name].combine_chunks())[:, :2].astype(np.int64)
    partitions = (first_bytes[:, 0] * 256 + first_bytes[:, 1]) * n_partitions >> 16
    bounds = np.searchsorted(partitions, np.arange(n_partitions + 1))
    for partition, (start, end) in enumerate(pairwise(bounds.tolist())):
        with out.parquet(dataset, hashed.schema, partition=partition) as shard:
            for batch in hashed.slice(start, end - start).to_batches(max_chunksize=65_536):
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
    texts, first = copies(inputs.all("texts"))
    is_copy = first != np.arange(len(first))
    write_stars(texts["id"].combine_chunks(), first, pa.array(np.ones(int(is_copy.sum()))), "exact", PAIR, out)
    _write_repeats(np.asarray(texts["shard"])[is_copy], np.asarray(texts["row"])[is_copy], out)


def copies(paths: Sequence[Path]) -> tuple[pa.Table, NDArray[np.int64]]:
    """The rows of one partition, a file a shard, ordered by (hash, id), and of each row the first that has its hash.

    The hash is the first column; `shard` is added.
    """
    hashed = _with_shards(paths)
    name = hashed.schema.names[0]
    hashed = hashed.take(pc.sort_indices(hashed, [(name, "ascending"), ("id", "ascending")]))
    return hashed, _first_of_run(_bytes_of(hashed[name].combine_chunks()))


def write_stars(
    ids: pa.Array, first: NDArray[np.int64], similarity: pa.Array, kind: str, schema: pa.Schema, out: Outputs
) -> None:
    """Write `pairs` that join each row to the first of its kind, ordered by (a, b). Counts `KIND_pairs`.

    similarity: of each row that is not itself the first
    """
    is_copy = first != np.arange(len(first))
    n_copies = int(is_copy.sum())
    pairs = pa.table(
        [
            ids.take(pa.array(first[is_copy])),
            ids.filter(pa.array(is_copy)),
            similarity,
            pa.repeat(kind, n_copies),
        ],
        schema=schema,
    ).sort_by([("a", "ascending"), ("b", "ascending")])
    with out.parquet("pairs", schema) as shard:
        for batch in pairs.to_batches():
            shard.write(batch)
    out.counts[f"{kind}_pairs"] += n_copies


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

"""Documents that share a key: the same URL, once normalised, or the same bytes of HTML.

The same two stages as for texts (see `exact`): hashes of keys by partition, then a star to the smallest id of each key.
A document without the key is nobody's copy. The texts of such documents may differ, and take part in everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash
from pydantic import BaseModel, NonNegativeInt, PositiveInt

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import StoreError
from datassay.corpus.shuffle import shuffle_file
from datassay.corpus.store import Outputs, read_batches
from datassay.dedup.exact import KEY_PAIR, copies, write_by_hash, write_stars
from datassay.dedup.url_keys import UrlKeys, url_key

URL_VERSION = 1
PAYLOAD_VERSION = 1
EDGES_VERSION = 1
BATCH_ROWS = 65_536

KEY = pa.schema(
    [
        pa.field("key_hash", pa.binary(16), nullable=False),  # XXH3-128, big-endian
        pa.field("id", pa.string(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),  # in its shard
    ]
)


class UrlSettings(BaseModel, frozen=True, extra="forbid"):
    """How URLs become keys, and keys are spread over files."""

    url: UrlKeys
    n_partitions: PositiveInt
    """A power of two."""


class PayloadSettings(BaseModel, frozen=True, extra="forbid"):
    """How keys are spread over files."""

    n_partitions: PositiveInt
    """A power of two."""


class EdgesSettings(BaseModel, frozen=True, extra="forbid"):
    """What the keys are, and which partition of them."""

    kind: Literal["url", "payload"]
    partition: NonNegativeInt
    n_partitions: PositiveInt


def hash_urls(inputs: Inputs, settings: UrlSettings, out: Outputs) -> None:
    """Hash the key of every URL of a shard. Reads `clean`; writes `keys`, shuffled by hash.

    Counts `documents`, `without_url`, and `not_web`: URLs that are none of the web, which have no key.
    """

    def hashed() -> Iterator[tuple[pa.RecordBatch, list[bytes | None]]]:
        for batch in read_batches(inputs.all("clean"), columns=["id", "url"], n_rows=BATCH_ROWS):
            urls = batch["url"].to_pylist()
            keys = [None if url is None else url_key(url, settings.url) for url in urls]
            n_missing = batch["url"].null_count
            out.counts["without_url"] += n_missing
            out.counts["not_web"] += keys.count(None) - n_missing
            yield batch, [None if key is None else xxhash.xxh3_128_digest(key.encode()) for key in keys]

    _write_keys(hashed(), settings.n_partitions, out)


def hash_payloads(inputs: Inputs, settings: PayloadSettings, out: Outputs) -> None:
    """The hash of the payload of every document of a shard. Reads `records`; writes `keys` as `hash_urls` does.

    Counts `documents` and `without_payload`: those that were text already. Raises StoreError if an older version, which
    took no hashes, wrote the records.
    """
    for path in inputs.all("records"):
        if "payload_hash" not in pq.read_schema(path).names:
            raise StoreError(
                f"{path}: has no payload_hash, which older versions did not take; `datassay run` extracts anew"
            )

    def hashed() -> Iterator[tuple[pa.RecordBatch, list[bytes | None]]]:
        for batch in read_batches(inputs.all("records"), columns=["id", "payload_hash"], n_rows=BATCH_ROWS):
            documents = batch.filter(pc.is_valid(batch["id"]))
            out.counts["without_payload"] += documents["payload_hash"].null_count
            hashes = documents["payload_hash"].to_pylist()
            yield documents, [None if digits is None else bytes.fromhex(digits) for digits in hashes]

    _write_keys(hashed(), settings.n_partitions, out)


def _write_keys(hashed: Iterator[tuple[pa.RecordBatch, list[bytes | None]]], n_partitions: int, out: Outputs) -> None:
    """Write the hashes of each batch's documents, None without a key."""
    first_row = 0
    with shuffle_file(out, "keys", KEY, n_partitions) as file:
        for batch, digests in hashed:
            hashes = pa.array(digests, pa.binary(16))
            rows = pa.array(np.arange(first_row, first_row + batch.num_rows, dtype=np.int32))
            has_key = pc.is_valid(hashes)
            columns = [column.filter(has_key) for column in (hashes, batch["id"], rows)]
            write_by_hash(file, pa.record_batch(columns, schema=KEY))
            first_row += batch.num_rows
    out.counts["documents"] += first_row


def key_edges(inputs: Inputs, settings: EdgesSettings, out: Outputs) -> None:
    """Join every document of a key to the one with the smallest id. Reads a partition of `keys`; writes `pairs`.

    Counts `url_pairs` or `payload_pairs`.
    """
    found = copies(inputs.all("keys"), settings.partition, settings.n_partitions)
    write_stars(found, pa.nulls(len(found), pa.float64()), settings.kind, KEY_PAIR, out)

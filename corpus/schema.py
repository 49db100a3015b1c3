"""What a document is: one row, with the same columns from extraction to the refined corpus."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import xxhash

DOCUMENT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # 32 hex digits, see `document_id`
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("domain", pa.string()),  # registered domain of the URL, or what the input says
        pa.field("date", pa.string()),  # ISO 8601 as the input has it
        pa.field("source", pa.string(), nullable=False),  # "input" or its name, "reference", "validation/" and domain
        pa.field("source_id", pa.string()),  # the input's own identifier, such as WARC-Record-ID
        pa.field("file", pa.string(), nullable=False),  # name of the input file relative to its root
        pa.field("offset", pa.int64(), nullable=False),  # byte offset (WARC) or row number (others) in that file
        pa.field("extractor", pa.string()),  # which extractor made `text`; null where the input was text already
        pa.field("metadata", pa.string()),  # a JSON object with whatever else the input says
    ]
)

RECORD = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("length", pa.int64()),  # bytes of the record in the file; null for rows
        pa.field("outcome", pa.string(), nullable=False),  # "page" | "skipped" | "quarantine"
        pa.field("reason", pa.string()),  # why it is no page
        pa.field("id", pa.string()),  # the document, where there is one
        pa.field("url", pa.string()),
        pa.field("source_id", pa.string()),
        pa.field("payload_hash", pa.string()),  # XXH3-128 of the page's bytes, 32 hex digits; null for text
    ]
)


def document_id(file: str, offset: int) -> str:
    """Identifier of the document at `offset` (bytes or row) of the input `file` (name relative to its root)."""
    return xxhash.xxh3_128_hexdigest(f"{file}\0{offset}".encode())


def document_ids(file: str, offsets: Iterable[int]) -> pa.Array:
    """The identifiers of the documents at these offsets of one input file, as text."""
    digests = [xxhash.xxh3_128_digest(f"{file}\0{offset}".encode()) for offset in offsets]
    ends = np.arange(0, 32 * len(digests) + 1, 32, dtype=np.int32)
    return pa.StringArray.from_buffers(len(digests), pa.py_buffer(ends), pa.py_buffer(b"".join(digests).hex().encode()))

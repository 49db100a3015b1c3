"""Token shards: the ids of every document in Arrow's IPC stream format, mapped into memory and read without a copy.

`datasets.Dataset.from_file` maps the same file. Columns: id, ids (without `<eos>`), n_bytes (UTF-8 bytes of the text).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel

from datassay.corpus.edits import Editor
from datassay.corpus.engine import Inputs
from datassay.corpus.errors import StoreError
from datassay.corpus.store import Outputs, read_batches
from datassay.corpus.tokenizer import Ids, Tokenizer, load_tokenizer


class TokenizeSettings(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose: the tokenizer is an input."""


TOKENIZE_VERSION = 1
"""Raised by hand whenever the stage's bytes change."""


def tokenize(inputs: Inputs, settings: TokenizeSettings, out: Outputs) -> None:  # noqa: ARG001
    """Token ids of dataset `corpus` (columns `id` and `text`) by the one file of dataset `tokenizer`.

    Reads also, if there, `edits` (corpus.edits), and then tokenizes the edited texts.
    """
    editor = Editor.of_files(inputs.files.get("edits", ()))
    tokenizer = load_tokenizer(inputs.one("tokenizer"))
    schema = token_schema(tokenizer)
    with (
        out.file("tokens", ".arrow") as path,
        pa.OSFile(str(path), "wb") as file,
        pa.ipc.new_stream(file, schema) as writer,
    ):
        for batch in read_batches(inputs.all("corpus"), columns=["id", "text"], n_rows=1024):
            batch, _ = editor.apply(batch)
            tokens = token_batch(batch.column("id"), batch.column("text"), tokenizer)
            writer.write_batch(tokens)
            out.counts["n_documents"] += tokens.num_rows
            out.counts["n_tokens"] += len(tokens.column("ids").values)
            out.counts["n_bytes"] += pc.sum(tokens.column("n_bytes")).as_py() or 0


def token_schema(tokenizer: Tokenizer) -> pa.Schema:
    """Schema of a token shard; its metadata name the tokenizer."""
    metadata = {
        "tokenizer": tokenizer.content,
        "vocab_size": str(tokenizer.vocab_size),
        "eos_id": str(tokenizer.eos_id),
    }
    ids = pa.list_(pa.field("item", pa.from_numpy_dtype(tokenizer.dtype), nullable=False))
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("ids", ids, nullable=False),
            pa.field("n_bytes", pa.int64(), nullable=False),
        ],
        metadata,
    )


def token_batch(ids: pa.Array, texts: pa.Array, tokenizer: Tokenizer) -> pa.RecordBatch:
    """Rows of a token shard for documents with these ids and texts."""
    encoded = tokenizer.encode_batch(texts.to_pylist())
    offsets = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(tokens) for tokens in encoded], out=offsets[1:])
    schema = token_schema(tokenizer)
    flat = np.concatenate(encoded) if encoded else np.zeros(0, tokenizer.dtype)
    lists = pa.ListArray.from_arrays(offsets, pa.array(flat), type=schema.field("ids").type)
    return pa.RecordBatch.from_arrays([ids, lists, pc.binary_length(texts).cast(pa.int64())], schema=schema)


@dataclass(frozen=True)
class TokenShard:
    """A token shard in memory or mapped from a file; nothing is copied until it is used."""

    ids: Ids
    """All tokens of the shard; between the documents may lie bytes of the file that are no tokens."""
    starts: NDArray[np.int64]
    """(documents,), where each document begins in `ids`"""
    lengths: NDArray[np.int64]
    """(documents,), tokens of each document"""
    n_bytes: NDArray[np.int64]
    """(documents,), UTF-8 bytes of each document's text"""
    document_ids: pa.ChunkedArray
    """(documents,), string"""
    vocab_size: int
    eos_id: int
    tokenizer: str
    """`Tokenizer.content` of the tokenizer that made the ids"""

    def __len__(self) -> int:
        return len(self.starts)

    def document(self, i: int) -> Ids:
        """Token ids of document i, a view."""
        return self.ids[self.starts[i] : self.starts[i] + self.lengths[i]]

    @cached_property
    def n_tokens(self) -> int:
        return int(self.lengths.sum())


def open_tokens(path: Path) -> TokenShard:
    """The token shard in a file, mapped. Raises StoreError if the file is no token shard."""
    try:
        source = pa.memory_map(str(path))
        with pa.ipc.open_stream(source) as reader:
            schema = reader.schema
            batches = list(reader)
        source.seek(0)
        return _shard(source.read_buffer(), schema, batches)
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        raise StoreError(f"{path}: not a token shard ({error}); remove its folder and run again") from error


def tokenize_texts(texts: Sequence[str], tokenizer: Tokenizer, *, ids: Sequence[str] | None = None) -> TokenShard:
    """A token shard in memory of texts; ids of documents are 0, 1, 2… if none are given."""
    names = [str(i) for i in range(len(texts))] if ids is None else list(ids)
    batch = token_batch(pa.array(names, pa.string()), pa.array(list(texts), pa.large_string()), tokenizer)
    return _shard(batch.column("ids").values.buffers()[1], batch.schema, [batch])


def _shard(buffer: pa.Buffer, schema: pa.Schema, batches: Sequence[pa.RecordBatch]) -> TokenShard:
    """A shard whose batches lie in `buffer`; Arrow aligns arrays to 8 bytes, so `buffer` can be seen as one array."""
    metadata: dict[bytes, bytes] = schema.metadata or {}
    dtype: np.dtype[Any] = np.dtype(schema.field("ids").type.value_type.to_pandas_dtype())
    starts, lengths, n_bytes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for batch in batches:
        lists = batch.column("ids")
        offsets = lists.offsets.to_numpy().astype(np.int64)
        first = (lists.values.buffers()[1].address - buffer.address) // dtype.itemsize if len(lists.values) else 0
        starts.append(first + offsets[:-1])
        lengths.append(np.diff(offsets))
        n_bytes.append(batch.column("n_bytes").to_numpy())
    return TokenShard(
        ids=np.frombuffer(buffer, dtype, count=buffer.size // dtype.itemsize),
        starts=np.concatenate(starts),
        lengths=np.concatenate(lengths),
        n_bytes=np.concatenate(n_bytes),
        document_ids=pa.chunked_array([batch.column("id") for batch in batches], pa.string()),
        vocab_size=int(metadata[b"vocab_size"]),
        eos_id=int(metadata[b"eos_id"]),
        tokenizer=metadata[b"tokenizer"].decode(),
    )

"""The texts that dedup reads: of the stage `clean`, or straight from a file of rows, which is then not copied.

A large Parquet file is read in parts, so that several workers share it. Identifiers are those that a run would give:
a hash of the file's name and the row's number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, NonNegativeInt, field_serializer

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError
from datassay.corpus.records import InputFile
from datassay.corpus.schema import document_ids
from datassay.corpus.shuffle import ShuffleFile
from datassay.corpus.store import read_batches
from datassay.corpus.unicode import n_characters

PART_BYTES = 64 << 20
"""Stored bytes of the row groups of a part."""
BATCH_ROWS = 2048
_COLUMN_ROWS = 16_384


LISTED = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("n_chars", pa.int64(), nullable=False)])
"""Of every document of a shard, in order."""


class FilePart(BaseModel, frozen=True, extra="forbid"):
    """Some row groups of a Parquet file."""

    file: InputFile
    first_group: NonNegativeInt
    last_group: NonNegativeInt
    """The first one that is not read."""
    first_row: NonNegativeInt
    """Number in the file of the part's first row."""
    n_rows: NonNegativeInt
    text: str = "text"
    """The column with the text."""

    @field_serializer("file")
    def _name_file(self, file: InputFile) -> dict[str, object]:
        """By name and content, so that a task's key does not depend on where the file lies."""
        return {"name": file.name, "sha256": file.sha256}

    def ids(self, rows: Iterable[int]) -> pa.Array:
        """The identifiers of these rows of the file."""
        return document_ids(self.file.name, rows)


def parquet_parts(file: InputFile, *, text: str = "text", max_bytes: int = PART_BYTES) -> list[FilePart]:
    """A local Parquet file in parts of row groups of about `max_bytes`. Raises InputError if it has no such text."""
    try:
        metadata = pq.read_metadata(file.url)
        schema = pq.read_schema(file.url)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{file.url}: not a readable Parquet file: {error}") from error
    if text not in schema.names:
        raise InputError(f"{file.url}: no column {text!r}, only {', '.join(schema.names)}; name it with --text")
    kind = schema.field(text).type
    of_values = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not any(
        is_text(of_values) for is_text in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    ):
        raise InputError(f"{file.url}: column {text!r} holds {kind}, not text; name another with --text")
    parts: list[FilePart] = []
    first_group = first_row = n_rows = n_bytes = 0
    for group in range(metadata.num_row_groups):
        found = metadata.row_group(group)
        n_rows += found.num_rows
        n_bytes += sum(found.column(i).total_compressed_size for i in range(found.num_columns))
        if n_bytes >= max_bytes or group + 1 == metadata.num_row_groups:
            parts.append(
                FilePart(
                    file=file,
                    first_group=first_group,
                    last_group=group + 1,
                    first_row=first_row,
                    n_rows=n_rows,
                    text=text,
                )
            )
            first_group, first_row, n_rows, n_bytes = group + 1, first_row + n_rows, 0, 0
    return parts


def read_texts(inputs: Inputs, part: FilePart | None, *, with_ids: bool = True) -> Iterator[pa.RecordBatch]:
    """Batches of `id` (string) and `text` (large string, no nulls) of a shard, at most BATCH_ROWS rows each.

    part:     what the shard is; without one, dataset `clean` is read
    with_ids: False, for a second reading: leaves them out, where they are computed and few are needed, and takes the
              bytes for UTF-8 without looking
    Raises InputError where the file cannot be read or holds bytes that are no UTF-8.
    """
    if part is None:
        yield from read_batches(inputs.all("clean"), columns=["id", "text"], n_rows=BATCH_ROWS)
        return
    row = part.first_row
    for batch in _part_batches(part, [part.text], BATCH_ROWS, validates=with_ids):
        texts = pc.fill_null(batch.column(0).cast(pa.large_string()), "")
        columns = {"id": part.ids(range(row, row + len(texts)))} if with_ids else {}
        yield pa.RecordBatch.from_pydict({**columns, "text": texts})
        row += len(texts)


def read_columns(inputs: Inputs, part: FilePart | None, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Batches of some columns of a shard's documents, as they lie in its file."""
    if part is None:
        yield from read_batches(inputs.all("clean"), columns=columns, n_rows=_COLUMN_ROWS)
    else:
        yield from _part_batches(part, columns, _COLUMN_ROWS)


def _part_batches(
    part: FilePart, columns: Sequence[str], n_rows: int, *, validates: bool = True
) -> Iterator[pa.RecordBatch]:
    row = part.first_row
    try:
        with pq.ParquetFile(part.file.url) as file:
            groups = list(range(part.first_group, part.last_group))
            for batch in file.iter_batches(n_rows, row_groups=groups, columns=list(columns), use_threads=False):
                if validates:
                    batch.validate(full=True)  # strings that are no UTF-8
                yield batch
                row += batch.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{part.file.url}: row {row:,} and after: {error}; mend or leave out the file") from error


def write_listed(file: ShuffleFile, batch: pa.RecordBatch) -> None:
    """Write ids and lengths of a batch of `read_texts` to a file of one partition."""
    file.write_round([batch["id"], n_characters(batch["text"])], np.zeros(batch.num_rows, np.int64))

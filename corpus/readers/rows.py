"""Rows of JSON lines, Parquet and Arrow files as records: the text, what is known about it, and all the rest."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from datassay.corpus.errors import InputError
from datassay.corpus.readers.members import DamagedError
from datassay.corpus.readers.source import Source
from datassay.corpus.records import Record

MAX_LINE_BYTES = 64 << 20
BATCH_ROWS = 1024

NAMES: Mapping[str, tuple[str, ...]] = {
    "text": ("text",),
    "source_id": ("id", "source_id"),
    "url": ("url",),
    "date": ("date", "timestamp", "created"),
}
"""Where a record's fields are found unless the recipe says otherwise: the first name that a row has."""


Row = Mapping[str, object] | str
"""A row, or the reason why there is none in its place."""


def json_line_records(blocks: Iterator[bytes], *, name: str, fields: Mapping[str, str]) -> Iterator[Record]:
    """One record for each line of JSON lines; its offset is the line's number, from 0; empty lines are none.

    Lines end with a line feed alone: JSON strings may hold U+2028 and its like. Raises InputError if no line of the
    file has a text.
    """
    return _with_text(_json_rows(Source(blocks)), name=name, fields=fields)


def _json_rows(source: Source) -> Iterator[tuple[int, Row]]:
    number = 0
    try:
        while line := source.readline(MAX_LINE_BYTES):
            if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                yield number, "too_large"
                while line and not line.endswith(b"\n"):
                    line = source.readline(MAX_LINE_BYTES)
            elif stripped := line.strip():
                yield number, _json_row(stripped)
            number += 1
    except DamagedError as error:  # of the compression: what follows cannot be read
        yield number, str(error)


def _json_row(line: bytes) -> Row:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        try:
            value = json.loads(line)  # accepts NaN and halves of surrogate pairs, which other writers leave
        except (ValueError, RecursionError):
            return "not_json"
    return value if isinstance(value, dict) else "not_an_object"


def parquet_records(file: BinaryIO, *, name: str, fields: Mapping[str, str]) -> Iterator[Record]:
    """One record for each row of a Parquet file; its offset is the row's number. Raises InputError without texts."""
    try:
        parquet = pq.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise InputError(f"{name}: not a readable Parquet file: {error}; write it again or leave it out") from error
    _check_columns(parquet.schema_arrow, name=name, fields=fields)
    yield from _with_text(_arrow_rows(parquet.iter_batches(BATCH_ROWS)), name=name, fields=fields)


def arrow_records(file: BinaryIO, *, name: str, fields: Mapping[str, str]) -> Iterator[Record]:
    """One record for each row of an Arrow IPC stream (as `datasets` saves) or file; its offset is its number."""
    file.seek(0)
    is_file = file.read(6) == b"ARROW1"
    file.seek(0)
    try:
        if is_file:
            reader = pa.ipc.open_file(file)
            batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
        else:
            reader = pa.ipc.open_stream(file)
            batches = iter(reader)
    except pa.ArrowInvalid as error:
        raise InputError(f"{name}: not a readable Arrow file: {error}; save it again or leave it out") from error
    _check_columns(reader.schema, name=name, fields=fields)
    yield from _with_text(_arrow_rows(batches), name=name, fields=fields)


def _arrow_rows(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, Row]]:
    number = 0
    try:
        for batch in batches:
            for start in range(0, batch.num_rows, BATCH_ROWS):
                for row in batch.slice(start, BATCH_ROWS).to_pylist():
                    yield number, row
                    number += 1
    except (pa.ArrowException, OSError):
        yield number, "damaged_rows"


def _check_columns(schema: pa.Schema, *, name: str, fields: Mapping[str, str]) -> None:
    for field, column in fields.items():
        if column not in schema.names:
            raise InputError(f"{name}: no column {column!r} for {field!r}, only {', '.join(schema.names)}")
    if not set(_names("text", fields)) & set(schema.names):
        raise InputError(_no_text(name, schema.names))


def _no_text(name: str, have: Iterable[str]) -> str:
    return (
        f"{name}: no text: the fields are {', '.join(have) or 'none'}; say which one holds it, as in "
        'fields = { text = "content" }'
    )


def _names(field: str, fields: Mapping[str, str]) -> tuple[str, ...]:
    return (fields[field],) if field in fields else NAMES[field]


def _with_text(rows: Iterator[tuple[int, Row]], *, name: str, fields: Mapping[str, str]) -> Iterator[Record]:
    """Records of rows. Raises InputError at the end if there were rows, and none had a text."""
    names = {field: _names(field, fields) for field in NAMES}
    n_texts = 0
    have: dict[str, None] = {}  # in order of appearance
    for number, row in rows:
        record = Record(number, reason=row, is_damaged=True) if isinstance(row, str) else _record(number, row, names)
        n_texts += record.text is not None
        if n_texts == 0 and not isinstance(row, str) and len(have) < 100:
            have |= dict.fromkeys(row)
        yield record
    if n_texts == 0 and have:
        raise InputError(_no_text(name, have))


def _record(number: int, row: Mapping[str, object], names: Mapping[str, tuple[str, ...]]) -> Record:
    rest = dict(row)
    text = _take(rest, names["text"])
    source_id, url, date = (_take(rest, names[field]) for field in ("source_id", "url", "date"))
    nested = rest.get("metadata")
    if isinstance(nested, dict):  # dolma and datatrove keep the URL and the date there
        url = url if url is not None else _first(nested, names["url"])
        date = date if date is not None else _first(nested, names["date"])
        if not (rest.keys() - {"metadata"}) & nested.keys():
            rest = {key: value for key, value in rest.items() if key != "metadata"} | nested
    metadata = {key: _plain(value) for key, value in rest.items() if value is not None}
    is_text = isinstance(text, str)
    return Record(
        number,
        text=_well_formed(str(text)) if is_text else None,
        reason=None if is_text else "no_text",
        is_damaged=not is_text,
        url=_string(url),
        date=_string(date),
        source_id=_string(source_id),
        metadata=metadata,
    )


def _take(row: dict[str, object], names: tuple[str, ...]) -> object:
    """The first of these fields that the row has, taken out of it; None if it has none."""
    for name in names:
        if row.get(name) is not None:
            return row.pop(name)
    return None


def _first(row: Mapping[str, object], names: tuple[str, ...]) -> object:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _string(value: object) -> str | None:
    return None if value is None else _well_formed(str(_plain(value)))


def _plain(value: object) -> object:
    """The value as JSON has it: dates as ISO 8601, bytes as text, other numbers as strings."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str):
        return _well_formed(value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _well_formed(text: str) -> str:
    """Text that UTF-8 can hold: halves of surrogate pairs become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text

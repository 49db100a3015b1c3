"""Pages with the text that each should give, from JSON lines and Parquet files: what a classifier is trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, NoReturn

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from datassay.corpus.errors import InputError
from datassay.corpus.html.labels import WORD
from datassay.corpus.html.training import Example
from datassay.corpus.inputs import find_inputs
from datassay.corpus.readers import open_input
from datassay.corpus.readers.formats import file_format
from datassay.corpus.readers.members import DamagedError, file_blocks
from datassay.corpus.readers.rows import MAX_LINE_BYTES
from datassay.corpus.readers.source import Source
from datassay.corpus.records import InputFile

REQUIRED = ("html", "text")
OPTIONAL = ("other_text", "weight")
GROUP = "group"
BATCH_ROWS = 64

Row = Mapping[str, object]


def read_examples(paths: Sequence[str], *, group: str | None = None) -> Iterator[tuple[str, Example]]:
    """Where each page stands, as an error would say it, and the page; in the order of files' names, then of rows.

    group: the field that names a page's group; `group`, where a row has it, if not given
    A page without a group stands alone, together with those of the same bytes.
    Raises InputError for a file that is no JSON lines or Parquet, a row without `html` or `text`, an empty one, one of
    another type, or one that is not UTF-8.
    """
    for file in find_inputs(paths, source="pages"):
        for place, row in _rows(file, group):
            yield place, _example(row, place, group)


def _rows(file: InputFile, group: str | None) -> Iterator[tuple[str, Row]]:
    if file.n_bytes == 0:
        raise InputError(f"{file.name}: empty; it should have a page a line or row, with html and text")
    with open_input(file.url) as stream:
        seen = file_format(stream, file.name)
        if seen.name == "json_lines":
            yield from _json_rows(Source(file_blocks(stream, file.n_bytes, seen.codec)), file.name)
        elif seen.name == "parquet":
            yield from _parquet_rows(stream, file.name, group)
        else:
            raise InputError(f"{file.name}: a file of format {seen.name}; pages are JSON lines or Parquet")


def _json_rows(source: Source, name: str) -> Iterator[tuple[str, Row]]:
    number = 1
    try:
        while line := source.readline(MAX_LINE_BYTES):
            if line.strip():
                yield f"{name}: line {number}", _json_row(line, f"{name}: line {number}")
            number += 1
    except DamagedError as error:
        raise InputError(f"{name}: line {number}: {error}: cannot be decompressed; write the file again") from error


def _json_row(line: bytes, place: str) -> Row:
    if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
        raise InputError(f"{place}: longer than {MAX_LINE_BYTES >> 20} MB; leave the page out")
    _decoded(line, place)
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{place}: not JSON: {error}; it should be one object a line") from error
    if not isinstance(row, dict):
        raise InputError(f"{place}: {_kind(row)}, no object; it should be one object a line, with html and text")
    return row


def _parquet_rows(stream: BinaryIO, name: str, group: str | None) -> Iterator[tuple[str, Row]]:
    try:
        parquet = pq.ParquetFile(stream)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name}: not a readable Parquet file: {error}; write it again") from error
    have = parquet.schema_arrow.names
    for column in (*REQUIRED, *([group] if group else [])):
        if column not in have:
            raise InputError(f"{name}: no column {column!r}, only {', '.join(have)}; {_remedy(column)}")
    columns = [column for column in (*REQUIRED, *OPTIONAL, group or GROUP) if column in have]
    number = 0
    try:
        for batch in parquet.iter_batches(BATCH_ROWS, columns=columns):
            values = [_unchecked(batch.column(column)).to_pylist() for column in columns]
            for cells in zip(*values, strict=True):
                yield f"{name}: row {number} from 0", dict(zip(columns, cells, strict=True))
                number += 1
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name}: from row {number} on: damaged: {error}; write the file again") from error


def _unchecked(column: pa.Array) -> pa.Array:
    """Strings as bytes: Arrow does not look whether they are UTF-8."""
    kind = column.type
    return column.cast(pa.large_binary()) if pa.types.is_string(kind) or pa.types.is_large_string(kind) else column


def _example(row: Row, place: str, group: str | None) -> Example:
    html, text = (_string(row, field, place) for field in REQUIRED)
    other = _string(row, "other_text", place, may_be_empty=True) if row.get("other_text") is not None else None
    if not WORD.search(text):
        raise InputError(f"{place}: {'text'!r} has no word; leave the page out, or give its text")
    content = html.encode()
    return Example(content, text, other, _weight(row, place), _group(row, place, group) or _digest(content))


def _string(row: Row, field: str, place: str, *, may_be_empty: bool = False) -> str:
    """A field's text. Raises InputError if there is none, or if it is empty."""
    if field not in row:
        have = ", ".join(row) or "none"
        raise InputError(f"{place}: no field {field!r}, only {have}; {_remedy(field)}")
    value = row[field]
    if isinstance(value, bytes):
        value = _decoded(value, f"{place}: {field!r}")
    if not isinstance(value, str):
        _refuse(value, field, place, "a string")
    if not may_be_empty and not value.strip():
        raise InputError(f"{place}: {field!r} is empty; leave the page out, or give its {field}")
    return value


def _decoded(value: bytes, place: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{place}: not UTF-8 at byte {error.start}; decode it, and write it as UTF-8") from error


def _weight(row: Row, place: str) -> float:
    value = row.get("weight")
    if value is None:
        return 1.0
    if not isinstance(value, int | float) or isinstance(value, bool):
        _refuse(value, "weight", place, "a number above 0")
    if not (value > 0 and math.isfinite(value)):
        raise InputError(f"{place}: 'weight' is {value}; it should be above 0; leave out a page that should not count")
    return float(value)


def _group(row: Row, place: str, field: str | None) -> str | None:
    """The name of a page's group; None if it has none. Raises InputError if it should have one."""
    if field is not None and row.get(field) is None:
        have = ", ".join(row)
        raise InputError(f"{place}: no value in {field!r}, the field of groups (fields: {have}); {_remedy(field)}")
    value = row.get(field or GROUP)
    if value is None:
        return None
    if isinstance(value, bytes):
        value = _decoded(value, f"{place}: {field or GROUP!r}")
    if not isinstance(value, str | int) or isinstance(value, bool):
        _refuse(value, field or GROUP, place, "a string or a whole number")
    if value == "":
        raise InputError(f"{place}: {field or GROUP!r} is empty; give a name, or null for a page that stands alone")
    return f"group {value}"  # no name is the digest of a page


def _digest(content: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(content)


def _remedy(field: str) -> str:
    if field in REQUIRED:
        return f"rename the field that holds {'the page' if field == 'html' else 'its main text'}"
    return "give each page its group, or another field: --group FIELD"


def _refuse(value: object, field: str, place: str, right: str) -> NoReturn:
    raise InputError(f"{place}: {field!r} is {_kind(value)}; it should be {right}")


def _kind(value: object) -> str:
    """What a value is, in JSON's words."""
    names = {dict: "an object", list: "a list", bool: "true or false", str: "a string", type(None): "null"}
    if type(value) in names:
        return names[type(value)]
    return f"the number {value}" if isinstance(value, int | float) else f"of type {type(value).__name__}"

"""Questions to look for in the corpus: rows of text files, JSON lines, JSON arrays and Parquet files, as strings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from datassay.corpus.charset import decode
from datassay.corpus.errors import InputError, RecipeError
from datassay.corpus.given import GivenFile
from datassay.corpus.readers.members import GZIP, ZSTD, DamagedError, file_blocks

COLUMNS = (
    "text",
    "question",
    "query",
    "prompt",
    "problem",
    "instruction",
    "input",
    "sentence",
    "choices",
    "options",
    "answer",
    "answers",
    "target",
    "solution",
    "completion",
)
"""Columns that are looked for where a recipe names none: those that a file has, in this order.

Long passages that a question is about (`passage`, `context`, `article`) are not among them: they are often public
texts, such as Wikipedia's, and GPT-3's authors found most of what they flagged to be of this harmless kind.
"""
BATCH_ROWS = 1024


class QuestionFile(BaseModel, frozen=True, extra="forbid"):
    """A file of questions, its name, and which of its columns are looked for."""

    name: str
    """What reports call it; a question is `NAME#ROW`, rows counted from 0."""
    file: GivenFile
    columns: tuple[str, ...] = ()
    """In this order; strings, and the strings in lists and objects. Those of COLUMNS that the file has if empty."""
    context: tuple[str, ...] = ()
    """Columns that stand before these: looked for only where they go over into the columns (datatrove's `query`)."""


@dataclass(frozen=True, slots=True)
class Question:
    """One row of a file: the strings that stand before what is looked for, and those that are."""

    context: tuple[str, ...]
    texts: tuple[str, ...]


def read_questions(source: QuestionFile) -> Iterator[Question]:
    """The questions of a file, in order; compressed with gzip or zstd, or not.

    A text file has a question in each paragraph between blank lines, or, without blank lines, in each line.
    Raises InputError for a file that is missing, damaged or of another format, RecipeError for columns that it lacks.
    """
    path = source.file.path
    try:
        stream = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be opened: {error.strerror}; check the path") from error
    with stream:
        if stream.read(4) == b"PAR1":
            yield from _rows_to_questions(_parquet_rows(path, source), source)
            return
        content = _content(stream, path)
    stem = path.name.lower().removesuffix(".gz").removesuffix(".zst")
    if stem.endswith((".csv", ".tsv", ".parquet", ".arrow")):
        raise InputError(f"{path}: not a text, JSON or Parquet file; write the questions as JSON lines or Parquet")
    is_json = content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[{")) and not stem.endswith(".txt")
    if is_json or stem.endswith((".json", ".jsonl", ".ndjson")):
        yield from _rows_to_questions(_known(_json_rows(content, path), path, source), source)
        return
    if source.columns or source.context:
        raise RecipeError(f"{path}: a text file has no columns; leave out columns and context")
    yield from (Question((), (text,)) for text in _paragraphs(decode(content)[0]))


def _content(stream: BinaryIO, path: Path) -> bytes:
    """All of a file, decompressed: question files are small beside a corpus."""
    stream.seek(0)
    head = stream.read(4)
    codec = next((codec for codec in (GZIP, ZSTD) if head.startswith(codec.magic)), None)
    try:
        return b"".join(file_blocks(stream, path.stat().st_size, codec))
    except DamagedError as error:
        raise InputError(f"{path}: damaged ({error}); fetch it again") from error


def _paragraphs(text: str) -> Iterator[str]:
    """Runs of lines between blank lines; the lines, if none is blank."""
    lines = text.replace("\r\n", "\n").strip("\n").split("\n")
    if all(line.strip() for line in lines):
        yield from lines
        return
    paragraph: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            paragraph.append(line)
        elif paragraph:
            yield "\n".join(paragraph)
            paragraph = []


def _parquet_rows(path: Path, source: QuestionFile) -> Iterator[Mapping[str, object]]:
    try:
        with pq.ParquetFile(path) as file:
            _choose(file.schema_arrow.names, path, source)
            for batch in file.iter_batches(BATCH_ROWS):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file: {error}; write it again") from error


def _json_rows(content: bytes, path: Path) -> Iterator[Mapping[str, object]]:
    """The objects of JSON lines, or of one array; lines end with a line feed alone, and empty ones are none."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    if content.lstrip().startswith(b"["):
        rows = _json(content, f"{path}")
        if not isinstance(rows, list):
            raise InputError(f"{path}: not an array of objects; write one object a line")
        places: Iterable[tuple[str, object]] = ((f"{path}: row {number}", row) for number, row in enumerate(rows))
    else:
        lines = enumerate(content.split(b"\n"), 1)
        places = ((f"{path}: line {n}", _json(line, f"{path}: line {n}")) for n, line in lines if line.strip())
    for place, row in places:
        if not isinstance(row, dict):
            raise InputError(f"{place}: {type(row).__name__} instead of an object with columns")
        yield row


def _json(text: bytes, place: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return json.loads(text)  # accepts NaN, which other writers leave
        except ValueError as error:
            raise InputError(f"{place}: not JSON: {error}") from error


def _known(rows: Iterable[Mapping[str, object]], path: Path, source: QuestionFile) -> list[Mapping[str, object]]:
    """The rows, once it is sure that each column that is asked for is in one of them."""
    kept = list(rows)
    _choose(dict.fromkeys(name for row in kept for name in row), path, source)
    return kept


def _choose(names: Iterable[str], path: Path, source: QuestionFile) -> None:
    """Raise RecipeError unless the file has the columns that are asked for, or some of COLUMNS."""
    have = list(names)
    for name in (*source.columns, *source.context):
        if name not in have:
            raise RecipeError(f"{path}: no column {name!r}, only {', '.join(have)}")
    if not source.columns and have and not set(have) & set(COLUMNS):
        raise RecipeError(f"{path}: none of the usual columns; say which to look for, of {', '.join(have)}: columns")


def _rows_to_questions(rows: Iterable[Mapping[str, object]], source: QuestionFile) -> Iterator[Question]:
    columns = source.columns or tuple(name for name in COLUMNS if name not in source.context)
    for row in rows:
        context, texts = (
            tuple(text for name in names for text in _strings(row.get(name))) for names in (source.context, columns)
        )
        yield Question(context, texts)


def _strings(value: object) -> Iterator[str]:
    """The strings in a value, at any depth; a number counts as it is written, true, false and null do not."""
    if isinstance(value, str):
        yield value.encode("utf-8", "replace").decode()
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)

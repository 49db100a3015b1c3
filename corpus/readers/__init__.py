"""Readers: from a file of any format to records, every one of them a page, skipped with a reason, or in quarantine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from datassay.corpus.charset import decode
from datassay.corpus.errors import InputError, RecipeError
from datassay.corpus.readers.arc import ARC
from datassay.corpus.readers.archive import Archive, entries
from datassay.corpus.readers.formats import file_format
from datassay.corpus.readers.members import DamagedError, file_blocks
from datassay.corpus.readers.pages import to_record
from datassay.corpus.readers.rows import NAMES, arrow_records, json_line_records, parquet_records
from datassay.corpus.readers.source import Source
from datassay.corpus.readers.warc import WARC
from datassay.corpus.records import InputFile, Record

MAX_DOCUMENT_BYTES = 64 << 20
"""A text or HTML file is read up to this length; a longer one is skipped."""


def read_records(file: InputFile, *, fields: Mapping[str, str]) -> Iterator[Record]:
    """The records of a file in order; WARC and ARC records tile it. The format is seen from content and name.

    fields: for rows, which field of the file holds `text`, `source_id`, `url` or `date`, where its name is another
    Raises InputError if the file is missing, of an unknown format, or has no text; RecipeError on an unknown field.
    """
    if unknown := fields.keys() - NAMES.keys():
        raise RecipeError(f"fields: no field {', '.join(sorted(unknown))}, only {', '.join(NAMES)}")
    if file.n_bytes == 0:
        yield Record(0, 0, reason="empty_file", is_damaged=True)
        return
    with open_input(file.url) as stream:
        seen = file_format(stream, file.name)
        match seen.name:
            case "warc" | "arc":
                syntax = WARC if seen.name == "warc" else ARC
                yield from map(to_record, entries(Archive(stream, file.n_bytes, seen.codec, syntax)))
            case "json_lines":
                blocks = file_blocks(stream, file.n_bytes, seen.codec)
                yield from json_line_records(blocks, name=file.name, fields=fields)
            case "parquet":
                yield from parquet_records(stream, name=file.name, fields=fields)
            case "arrow":
                yield from arrow_records(stream, name=file.name, fields=fields)
            case kind:
                yield _document(Source(file_blocks(stream, file.n_bytes, seen.codec)), is_html=kind == "html")


def _document(source: Source, *, is_html: bool) -> Record:
    """The only record of a text or HTML file."""
    try:
        body = source.read(MAX_DOCUMENT_BYTES + 1)
    except DamagedError as error:
        return Record(0, reason=str(error), is_damaged=True)
    if len(body) > MAX_DOCUMENT_BYTES:
        return Record(0, reason="too_large")
    if is_html:
        return Record(0, html=body)
    text, _ = decode(body)
    return Record(0, text=text)


def open_input(url: str) -> BinaryIO:
    """A local path or URL opened for reading bytes. Raises InputError if it is not there."""
    try:
        if "://" not in url:
            return Path(url).open("rb")
        import fsspec

        return fsspec.open(url, "rb").open()  # type: ignore[no-any-return]
    except (OSError, ImportError, ValueError) as error:
        raise InputError(f"{url}: cannot be opened: {error}; check the path") from error

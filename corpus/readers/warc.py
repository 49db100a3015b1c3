"""WARC records (ISO 28500), read leniently where writers differ and strictly where bytes would be lost."""

from __future__ import annotations

import re

from datassay.corpus.readers.archive import MAX_BLOCK_BYTES, ArchiveRecord, Syntax
from datassay.corpus.readers.http import parse_headers
from datassay.corpus.readers.members import DamagedError
from datassay.corpus.readers.source import Source

MAX_HEADER_BYTES = 1 << 20

START = re.compile(rb"WARC/\d\.\d\d?[ \t]*\r?\n")


def read_warc(source: Source) -> ArchiveRecord:
    """The record that the source is at. Raises DamagedError if it is none, is cut, or its Content-Length is wrong."""
    if not START.match(source.peek(16)):
        raise DamagedError("not_a_record")
    head = source.read_head(MAX_HEADER_BYTES)
    if head is None:
        raise DamagedError("truncated_header")
    headers = parse_headers(head.decode("utf-8", "replace").split("\n")[1:])
    try:
        n_bytes = int(headers["content-length"])
    except (KeyError, ValueError) as error:
        raise DamagedError("no_content_length") from error
    block = read_block(source, n_bytes)
    _end_record(source)
    return ArchiveRecord(headers, block)


def read_block(source: Source, n_bytes: int) -> memoryview | None:
    """The next `n_bytes`, or None where they are more than are kept. Raises DamagedError if there are fewer."""
    if n_bytes < 0:
        raise DamagedError("no_content_length")
    block = source.view(n_bytes) if n_bytes <= MAX_BLOCK_BYTES else None
    if n_bytes != (len(block) if block is not None else source.skip(n_bytes)):
        raise DamagedError("truncated_block")
    return block


def _end_record(source: Source) -> None:
    """Pass the two empty lines after a block; some writers have fewer or more of them."""
    if source.peek(4) == b"\r\n\r\n":
        source.read(4)
        return
    skip_empty_lines(source)
    ahead = source.peek(16)
    if ahead and not START.match(ahead):
        raise DamagedError("wrong_content_length")


def skip_empty_lines(source: Source) -> None:
    """Pass carriage returns and line feeds."""
    while source.peek(1) in (b"\r", b"\n"):
        source.read(1)


WARC = Syntax(START, read_warc)

"""The records of a WARC or ARC file, and the bytes between them that are none: together they tile the file.

Compressed archives are sequences of gzip members or zstd frames, one for each record. A record is whole if its member
could be decompressed to the end (check sum included) and its length is the one that its header says. After anything
else, reading goes on at the next member that begins like a record; the bytes before it are damaged.

Offsets and lengths count bytes of the file as stored. Where several records share one member, they cannot be told
apart there: the k-th has the member's offset + k and the length 1, and the last has the rest of the member, so that
offsets stay unique and the records still tile the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

from datassay.corpus.readers.members import (
    GZIP,
    ZSTD,
    Codec,
    DamagedError,
    DecodeError,
    Member,
    WholeMember,
    Window,
    content_head,
    skippable_frame,
    zstd_with,
)
from datassay.corpus.readers.source import Source

MAX_BLOCK_BYTES = 64 << 20
"""The block of a record is kept up to this length; a longer one is passed over."""
SEARCH_BYTES = 1 << 20
HEAD_BYTES = 4096
"""Of what might be a member, so many stored bytes are decompressed to see whether it begins like a record."""
OVERLAP_BYTES = 8192
"""Start patterns match at most this many bytes."""


@dataclass(frozen=True, slots=True)
class ArchiveRecord:
    """A record: `headers` by lower-case name, in WARC's words also for ARC; `block` is None if it is too long."""

    headers: Mapping[str, str]
    block: memoryview | None


@dataclass(frozen=True, slots=True)
class Entry:
    """`length` stored bytes from `offset` on: a record, or none for the `reason` given."""

    offset: int
    length: int
    record: ArchiveRecord | None = None
    reason: str | None = None
    is_damaged: bool = False


@dataclass(frozen=True, slots=True)
class Syntax:
    """How records are written: WARC or ARC."""

    start: re.Pattern[bytes]
    """What a record begins with."""
    read: Callable[[Source], ArchiveRecord]
    """Reads the record that the source is at, with the empty lines after it. Raises DamagedError."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An open archive: where its bytes are and how they are to be read; `codec` is None if it is not compressed."""

    file: BinaryIO
    n_bytes: int
    codec: Codec | None
    syntax: Syntax


def entries(archive: Archive) -> Iterator[Entry]:
    """The records of an archive and the bytes between them, in order, without gaps."""
    return _plain_entries(archive) if archive.codec is None else _compressed_entries(archive, archive.codec)


def _plain_entries(archive: Archive) -> Iterator[Entry]:
    position = 0
    source = _plain_source(archive.file, position)
    while position < archive.n_bytes:
        try:
            record = archive.syntax.read(source)
        except DamagedError as error:
            end = _next_start(archive, position + 1)
            yield Entry(position, end - position, reason=str(error), is_damaged=True)
            source = _plain_source(archive.file, end)
        else:
            end = source.position
            yield Entry(position, end - position, record)
        position = end


def _plain_source(file: BinaryIO, position: int) -> Source:
    file.seek(position)
    return Source(iter(partial(file.read, SEARCH_BYTES), b""), position=position)


def _compressed_entries(archive: Archive, codec: Codec) -> Iterator[Entry]:
    window = Window(archive.file, archive.n_bytes)
    position = 0
    while position < archive.n_bytes:
        frame = skippable_frame(archive.file, position) if codec.magic == ZSTD.magic else None
        if frame is not None:
            length, dictionary = frame
            codec = zstd_with(dictionary) if dictionary else codec
            archive = replace(archive, codec=codec)
            entry = Entry(position, min(length, archive.n_bytes - position), reason="skippable_frame")
            yield entry
        else:
            for entry in _member_entries(archive, position, _open_member(archive, window, position)):
                yield entry
        position = entry.offset + entry.length


def _open_member(archive: Archive, window: Window, position: int) -> Member | WholeMember:
    whole = window.gzip_member(position) if archive.codec is GZIP else None
    if whole is not None:
        return whole
    assert archive.codec is not None
    return Member(archive.file, position, codec=archive.codec)


def _member_entries(archive: Archive, position: int, member: Member | WholeMember) -> Iterator[Entry]:
    """The records of the member at `position`; damage reaches to the next member that begins with a record."""
    source = Source(member.blocks())
    held: ArchiveRecord | None = None
    n_before = 0
    try:
        while source.peek(1):
            record = archive.syntax.read(source)
            if held is not None:
                yield Entry(position + n_before, 1, held)
                n_before += 1
            held = record
    except DamagedError as error:
        if held is not None and not isinstance(error, DecodeError):
            yield Entry(position + n_before, 1, held)
            n_before += 1
        first = position + n_before
        yield Entry(first, _next_member(archive, first + 1) - first, reason=str(error), is_damaged=True)
    else:
        first = position + n_before
        reason = None if held is not None else "empty_member"
        yield Entry(first, member.end - first, held, reason)


def _next_start(archive: Archive, position: int) -> int:
    """Where the next record of a plain archive seems to begin, from `position` on; its end if nowhere."""
    while position < archive.n_bytes:
        archive.file.seek(position - 1)  # whether a line begins at `position` shows in the byte before it
        data = archive.file.read(SEARCH_BYTES)
        if match := archive.syntax.start.search(data, 1):
            return position - 1 + match.start()
        if len(data) < SEARCH_BYTES:
            break
        position += len(data) - OVERLAP_BYTES
    return archive.n_bytes


def _next_member(archive: Archive, position: int) -> int:
    """Where the next member that begins with a record lies, from `position` on; the end of the archive if nowhere."""
    codec = archive.codec
    assert codec is not None
    while position < archive.n_bytes:
        archive.file.seek(position)
        data = archive.file.read(SEARCH_BYTES)
        at = data.find(codec.magic)
        while at >= 0 and (at + HEAD_BYTES <= len(data) or len(data) < SEARCH_BYTES):
            if archive.syntax.start.match(content_head(data[at : at + HEAD_BYTES], codec)):
                return position + at
            at = data.find(codec.magic, at + 1)
        if len(data) < SEARCH_BYTES:
            break
        position += len(data) - HEAD_BYTES
    return archive.n_bytes

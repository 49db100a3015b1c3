"""The units that a compressed file consists of: gzip members (RFC 1952) and zstd frames (RFC 8878)."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO, Protocol

import zstandard
from fastwarc.stream_io import GzipReader

WINDOW_BYTES = 1 << 20
MAX_MEMBER_BYTES = 16 << 20
"""A gzip member that is longer as stored is decompressed as a stream."""
MAX_CONTENT_BYTES = 96 << 20
"""One that is longer decompressed, too."""
MAX_DICTIONARY_BYTES = 16 << 20

GZIP_MAGIC = b"\x1f\x8b\x08"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_DICTIONARY = 0x184D2A5D  # the frame of a .warc.zst that holds the dictionary of all others


class DamagedError(Exception):
    """The bytes at hand are no whole record; the text is the reason, a snake_case word."""


class DecodeError(DamagedError):
    """The bytes at hand cannot be decompressed."""


class Decoder(Protocol):
    """Decompresses one member: zlib's interface."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Codec:
    """A way to compress: what a member begins with, and how it is decompressed."""

    name: str
    magic: bytes
    decoder: Callable[[], Decoder]
    block_bytes: int
    """Stored bytes that are decompressed at once; few, because a block may swell (gzip 1000-fold, zstd 30 000-fold)."""


def _gzip_decoder() -> Decoder:
    return zlib.decompressobj(31)


def _zstd_decoder() -> Decoder:
    return zstandard.ZstdDecompressor().decompressobj()


GZIP = Codec("gzip", GZIP_MAGIC, _gzip_decoder, 1 << 15)
ZSTD = Codec("zstd", ZSTD_MAGIC, _zstd_decoder, 1 << 12)


def zstd_with(dictionary: bytes) -> Codec:
    """The zstd codec whose frames need `dictionary`."""
    decompressor = zstandard.ZstdDecompressor(dict_data=zstandard.ZstdCompressionDict(dictionary))
    return replace(ZSTD, decoder=decompressor.decompressobj)


class Member:
    """A member that is decompressed block by block, from `position` of the file on."""

    def __init__(self, file: BinaryIO, position: int, *, codec: Codec) -> None:
        self._file = file
        self._codec = codec
        self._decoder = codec.decoder()
        self._position = position

    def blocks(self) -> Iterator[bytes]:
        """The content, block by block. Raises DecodeError if the member is damaged or cut."""
        while not self._decoder.eof:
            self._file.seek(self._position)
            stored = self._file.read(self._codec.block_bytes)
            if not stored:
                raise DecodeError("truncated_member")
            self._position += len(stored)
            try:
                content = self._decoder.decompress(stored)
            except (zlib.error, zstandard.ZstdError) as error:
                raise DecodeError(f"damaged_{self._codec.name}") from error
            if content:
                yield content

    @property
    def end(self) -> int:
        """Where the member ends in the file, once its content was read."""
        return self._position - len(self._decoder.unused_data)


@dataclass(frozen=True, slots=True)
class WholeMember:
    """A member that was decompressed at once, and where it ends in the file."""

    content: bytes
    end: int

    def blocks(self) -> Iterator[bytes]:
        """The content as one block."""
        return iter([self.content])


class Window:
    """The part of a file that is looked at, read in large blocks."""

    def __init__(self, file: BinaryIO, n_bytes: int) -> None:
        self._file = file
        self._n_bytes = n_bytes
        self._start = 0
        self._data = b""

    def gzip_member(self, position: int) -> WholeMember | None:
        """The gzip member at `position` if it reaches exactly to the next magic bytes.

        None if it does not (damage, a rubbish tail, magic bytes by chance within it) or is very long: `Member` then
        finds out. This way is faster: fastwarc's decompressor, and content of a known size.
        """
        stored = self._up_to(GZIP_MAGIC, position)
        if stored is None or len(stored) < 18:
            return None
        n_bytes = int.from_bytes(stored[-4:], "little")
        if n_bytes > MAX_CONTENT_BYTES:
            return None
        try:
            content = bytes(GzipReader(io.BytesIO(stored), buffer_size=len(stored)).read(n_bytes + 1))
        except OSError:
            return None
        # A reader at the end of its input says nothing of a missing trailer, so the length is compared.
        return WholeMember(content, position + len(stored)) if len(content) == n_bytes else None

    def _up_to(self, magic: bytes, position: int) -> bytes | None:
        """The bytes from `position` to the next `magic` or the end of the file; None if that is very far."""
        size = WINDOW_BYTES
        while True:
            at = position - self._start
            if 0 <= at < len(self._data):
                end = self._data.find(magic, at + 1)
                if end >= 0:
                    return self._data[at:end]
                if self._start + len(self._data) >= self._n_bytes:
                    return self._data[at:]
                if len(self._data) - at >= MAX_MEMBER_BYTES:
                    return None
                size = max(WINDOW_BYTES, 4 * (len(self._data) - at))
            self._file.seek(position)
            self._start, self._data = position, self._file.read(size)
            if not self._data:
                return None


def file_blocks(file: BinaryIO, n_bytes: int, codec: Codec | None) -> Iterator[bytes]:
    """The content of a whole file of one or more members, block by block. Raises DecodeError where it is damaged."""
    position = 0
    if codec is None:
        file.seek(position)
        yield from iter(partial(file.read, WINDOW_BYTES), b"")
        return
    while position < n_bytes:
        frame = skippable_frame(file, position) if codec is ZSTD else None
        if frame is not None:
            position += frame[0]
            continue
        member = Member(file, position, codec=codec)
        yield from member.blocks()
        position = member.end


def content_head(stored: bytes, codec: Codec) -> bytes:
    """The first bytes of the content of a member of which `stored` is the beginning; empty if it is none."""
    decoder = codec.decoder()
    try:
        return decoder.decompress(stored)
    except (zlib.error, zstandard.ZstdError):
        return b""


def skippable_frame(file: BinaryIO, position: int) -> tuple[int, bytes] | None:
    """Length of the zstd skippable frame at `position`, and the dictionary in it (empty if none); None if no such."""
    file.seek(position)
    head = file.read(8)
    if len(head) < 8:
        return None
    magic, n_bytes = struct.unpack("<II", head)
    if magic not in _SKIPPABLE:
        return None
    if magic != _DICTIONARY or n_bytes > MAX_DICTIONARY_BYTES:
        return 8 + n_bytes, b""
    dictionary = file.read(n_bytes)
    if dictionary.startswith(ZSTD_MAGIC):  # it may itself be compressed
        dictionary = content_head(dictionary, ZSTD)
    return 8 + n_bytes, dictionary

"""HTTP responses as crawlers archive them: status, headers, and the body with its encodings undone, also lying ones."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import zstandard
from fastwarc.stream_io import BrotliReader

MAX_BODY_BYTES = 64 << 20
"""A body is decompressed up to here, so that a compression bomb costs no more than this."""

_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_CHUNK_SIZE = re.compile(rb"(?:\r?\n)?([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_CHARSET = re.compile(r"""charset\s*=\s*["']?\s*([^\s;"']+)""", re.IGNORECASE)


class Readable(Protocol):
    """Anything to read bytes from."""

    def read(self, n: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response: `headers` by lower-case name, `body` without transfer and content encodings."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def mime(self) -> str | None:
        """The media type that the header claims, lower case, without parameters."""
        return mime_of(self.headers.get("content-type"))

    @property
    def charset(self) -> str | None:
        """The charset that the header claims."""
        match = _CHARSET.search(self.headers.get("content-type", ""))
        return match.group(1) if match else None


def mime_of(content_type: str | None) -> str | None:
    """Media type of a Content-Type value, lower case, without parameters; None if there is none."""
    return (content_type or "").split(";", 1)[0].strip().lower() or None


def parse_response(block: memoryview) -> Response | None:
    """The response in the block of a record, or None if it does not begin with a status line."""
    if bytes(block[:5]) != b"HTTP/":
        return None
    end = _END_OF_HEADERS.search(block)
    head = block[: end.start()] if end else block
    status_line, *lines = str(head, "latin-1").split("\n")
    words = status_line.split(None, 2)
    if len(words) < 2 or not words[1].isdigit():
        return None
    headers = parse_headers(lines)
    body = bytes(block[end.end() :]) if end else b""
    return Response(int(words[1]), headers, decode_body(body, headers))


def parse_headers(lines: list[str]) -> dict[str, str]:
    """Header lines as a mapping by lower-case name; the first of several wins, folded lines are joined."""
    headers: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith((" ", "\t")) and name:
            headers[name] += " " + line.strip()
            continue
        key, colon, value = line.partition(":")
        name = key.strip().lower() if colon else ""
        if name in headers:
            name = ""
        elif name:
            headers[name] = value.strip()
    return headers


def decode_body(body: bytes, headers: Mapping[str, str]) -> bytes:
    """The body without its transfer and content encodings; one that the header claims wrongly is left as it is."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = join_chunks(body)
    for encoding in reversed(headers.get("content-encoding", "").lower().split(",")):
        body = decompress(body, encoding.strip())
    return body


def join_chunks(body: bytes) -> bytes:
    """The data of a chunked body. Where chunks break off, the rest follows as it is."""
    parts: list[bytes] = []
    position = 0
    while match := _CHUNK_SIZE.match(body, position):
        size = int(match.group(1), 16)
        if size == 0:
            return b"".join(parts)
        parts.append(body[match.end() : match.end() + size])
        position = match.end() + size
    parts.append(body[position:])
    return b"".join(parts)


def decompress(body: bytes, encoding: str) -> bytes:
    """The body decompressed, as far as it goes if it is cut; the body itself if it is not in that encoding."""
    try:
        match encoding:
            case "gzip" | "x-gzip":
                return zlib.decompressobj(31).decompress(body, MAX_BODY_BYTES) or body
            case "deflate":
                return _inflate(body)
            case "br":
                return _read_all(BrotliReader(io.BytesIO(body))) or body
            case "zstd":
                return _read_all(zstandard.ZstdDecompressor().stream_reader(body)) or body
    except (zlib.error, zstandard.ZstdError, OSError):
        return body
    return body


def _read_all(reader: Readable) -> bytes:
    """What a decompressor gives, in pieces, because it clears a buffer of the size that is asked for."""
    parts: list[bytes] = []
    room = MAX_BODY_BYTES
    while room > 0 and (part := reader.read(min(room, 1 << 18))):
        parts.append(part)
        room -= len(part)
    return b"".join(parts)


def _inflate(body: bytes) -> bytes:
    try:
        return zlib.decompressobj(15).decompress(body, MAX_BODY_BYTES) or body
    except zlib.error:
        return zlib.decompressobj(-15).decompress(body, MAX_BODY_BYTES) or body  # some servers leave out the header

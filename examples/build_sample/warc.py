"""WARC 1.1 records, one gzip member each, with the same bytes every time (ISO 28500:2017)."""

from __future__ import annotations

import zlib
from base64 import b32encode
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from hashlib import sha1
from uuid import NAMESPACE_URL, uuid5

CRAWLED = datetime(2026, 1, 5, 12, 0, 0, tzinfo=timezone.utc)  # fixed, so that two builds agree


def member(block: bytes) -> bytes:
    """`block` as a gzip member without a time stamp."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    return compressor.compress(block) + compressor.flush()


def digest(payload: bytes) -> str:
    """The payload's digest, as WARC-Payload-Digest writes it."""
    return "sha1:" + b32encode(sha1(payload).digest()).decode()


def http(status: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """An HTTP response as it came over the wire."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(body: bytes, size: int = 4096) -> bytes:
    """`body` in HTTP's chunked transfer coding."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


def record(kind: str, url: str, block: bytes, *, number: int, headers: Mapping[str, str] | None = None) -> bytes:
    """One compressed record of type `kind`; `number` is its place in the archive and gives its date and identifier."""
    media_type = {
        "warcinfo": "application/warc-fields",
        "metadata": "application/warc-fields",
        "dns": "text/dns",
        "request": "application/http; msgtype=request",
    }.get(kind, "application/http; msgtype=response")
    head = {
        "WARC-Type": "response" if kind == "dns" else kind,
        "WARC-Record-ID": f"<urn:uuid:{uuid5(NAMESPACE_URL, f'{number} {kind} {url}')}>",
        "WARC-Date": (CRAWLED + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **({"WARC-Target-URI": url} if kind != "warcinfo" else {"WARC-Filename": url}),
        **(headers or {}),
        "Content-Type": media_type,
        "Content-Length": str(len(block)),
    }
    lines = ["WARC/1.1", *(f"{name}: {value}" for name, value in head.items())]
    return member("\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n")

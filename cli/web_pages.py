"""Pages from the web, one after the other: what a server answers as a record, or the reason why it is no page."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from importlib.metadata import PackageNotFoundError, version

from datassay.corpus.readers.http import Response, decode_body
from datassay.corpus.readers.pages import page_kind
from datassay.corpus.records import Record

TIMEOUT_SECONDS = 20.0
"""A server that is silent for so long has timed out…"""
TOTAL_SECONDS = 60.0
"""…and so has one that needs so long for the whole page."""
BLOCK_BYTES = 1 << 16


def user_agent() -> str:
    """Who asks, as servers see it."""
    try:
        return f"datassay/{version('datassay')} (extracts the text of pages that its user names)"
    except PackageNotFoundError:
        return "datassay (extracts the text of pages that its user names)"


def fetch(url: str, offset: int, *, max_bytes: int, timeout: float = TIMEOUT_SECONDS) -> Record:
    """The page at an http or https URL. The reason of a record without one: `status_404`, `timeout`, `unreachable`,
    `bad_url`, `too_large`, `not_html`, `no_body`.

    offset: the record's number
    Redirects are followed.
    """
    try:
        request = urllib.request.Request(
            as_ascii(url), headers={"User-Agent": user_agent(), "Accept": "text/html, */*"}
        )
        if request.type not in ("http", "https") or not request.host:
            return Record(offset, reason="bad_url", url=url)
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # of http and https alone
            body = _read(answer, max_bytes)
            if body is None:
                return Record(offset, reason="too_large", url=url)
            headers = _lower(answer.headers)
            response = Response(answer.status, headers, decode_body(body, headers | {"transfer-encoding": ""}))
    except urllib.error.HTTPError as error:
        error.close()
        return Record(offset, reason=f"status_{error.code}", url=url)
    except TimeoutError:
        return Record(offset, reason="timeout", url=url)
    except urllib.error.URLError as error:
        return Record(offset, reason="timeout" if isinstance(error.reason, TimeoutError) else "unreachable", url=url)
    except (http.client.InvalidURL, ValueError):
        return Record(offset, reason="bad_url", url=url)
    except (OSError, http.client.HTTPException):
        return Record(offset, reason="unreachable", url=url)
    kind = page_kind(response)
    if kind == "html":
        return Record(offset, html=response.body, url=url, charset=response.charset)
    return Record(offset, reason=kind if kind == "no_body" else "not_html", url=url)


def as_ascii(url: str) -> str:
    """The URL with what is not ASCII in its host as IDNA and elsewhere percent-encoded. Raises ValueError."""
    if url.isascii():
        return url.strip()
    parts = urllib.parse.urlsplit(url.strip())
    host = parts.netloc.encode("idna").decode()
    path, query = (urllib.parse.quote(part, safe="/%:=&?~+!$,;'@()*[]") for part in (parts.path, parts.query))
    return urllib.parse.urlunsplit((parts.scheme, host, path, query, ""))


def _read(answer: http.client.HTTPResponse, max_bytes: int) -> bytes | None:
    """The body; None if it is longer than `max_bytes`. Raises TimeoutError if it takes too long in all."""
    deadline = time.monotonic() + TOTAL_SECONDS
    body = bytearray()
    while block := answer.read1(BLOCK_BYTES):
        body += block
        if len(body) > max_bytes:
            return None
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(body)


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): str(value) for name, value in headers.items()}

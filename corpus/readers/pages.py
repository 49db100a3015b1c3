"""Which records of an archive are pages, and why the others are none."""

from __future__ import annotations

import re

from datassay.corpus.charset import decode
from datassay.corpus.readers.archive import ArchiveRecord, Entry
from datassay.corpus.readers.http import Response, mime_of, parse_response
from datassay.corpus.records import Record

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml", "application/xml", "text/xml"})
"""Media types of pages. Feeds that say so (application/rss+xml) are none."""
SNIFF_BYTES = 1024

_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]*>|<!--.*?-->|\s)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_BINARY = re.compile(
    rb"\x89PNG|GIF8|\xff\xd8\xff|%PDF|PK\x03\x04|\x1f\x8b|\x28\xb5\x2f\xfd|RIFF|ID3|OggS|\x00\x00\x01\x00|wOF|\x7fELF|MZ\x90"
)
_KEPT_HEADERS = {
    "warc-identified-content-language": "identified_language",
    "warc-refers-to": "refers_to",
    "warc-identified-payload-type": "identified_type",
}
"""WARC headers that go into a page's metadata, and their names there."""


def to_record(entry: Entry) -> Record:
    """The record for an entry of a WARC, WET or ARC file: a page, or the reason why it is none."""
    archived = entry.record
    if archived is None:
        return Record(entry.offset, entry.length, reason=entry.reason, is_damaged=entry.is_damaged)
    headers = archived.headers
    reason, response = _response(archived)
    html = text = None
    metadata: dict[str, object] = {}
    if response is not None:
        kind = page_kind(response)
        if kind == "html":
            html = response.body
        elif kind == "text":
            text, _ = decode(response.body, response.charset)
        else:
            reason = kind
        if response.mime is not None and (kind == "not_html" or response.mime not in HTML_TYPES):
            metadata["mime"] = response.mime
    if "warc-truncated" in headers:
        metadata["truncated"] = True
    if reason is None:
        metadata |= {name: headers[header] for header, name in _KEPT_HEADERS.items() if header in headers}
    return Record(
        entry.offset,
        entry.length,
        html=html,
        text=text,
        reason=reason,
        url=_url(headers.get("warc-target-uri")),
        date=headers.get("warc-date"),
        source_id=headers.get("warc-record-id"),
        charset=response.charset if response is not None else None,
        metadata=metadata,
    )


def _response(archived: ArchiveRecord) -> tuple[str | None, Response | None]:
    """What was archived as if by HTTP, or None and the reason why this record can be no page."""
    kind = archived.headers.get("warc-type", "unknown").lower()
    if kind not in ("response", "resource", "conversion"):
        return re.sub(r"\W+", "_", kind), None
    content_type = archived.headers.get("content-type", "")
    if mime_of(content_type) == "text/dns" or archived.headers.get("warc-target-uri", "").startswith("dns:"):
        return "dns", None
    if archived.block is None:
        return "too_large", None
    response = parse_response(archived.block) if kind == "response" else None
    if response is None:
        if mime_of(content_type) == "application/http":
            return "no_http", None
        response = Response(200, {"content-type": content_type}, bytes(archived.block))
    if 300 <= response.status < 400:
        return f"redirect_{response.status}", None
    if response.status != 200:
        return f"status_{response.status}", None
    return None, response


def page_kind(response: Response) -> str:
    """`html` or `text` for a page; else the reason why the body is none: `no_body` or `not_html`.

    The content decides where the claimed media type is missing or says nothing, and against a claim of HTML where the
    body is plainly something else.
    """
    head = response.body[:SNIFF_BYTES]
    if not head.strip():
        return "no_body"
    if _BINARY.match(head):
        return "not_html"
    if response.mime in HTML_TYPES or looks_like_html(head):
        return "html"
    return "text" if response.mime == "text/plain" else "not_html"


def looks_like_html(head: bytes) -> bool:
    """Whether these first bytes of a body, in any encoding, begin an HTML document."""
    return _HTML.match(head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe")) is not None


def _url(value: str | None) -> str | None:
    """A target URI without the angle brackets that WARC 1.0 writers put around it."""
    if value is not None and value.startswith("<") and value.endswith(">"):
        return value[1:-1]
    return value

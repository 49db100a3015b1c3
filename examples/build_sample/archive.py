"""The archives: the pages, and between them what else a crawler writes down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from pages import Page
from warc import chunked, digest, http, member, record

N_FILES = 5
MISSING = b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>"


def file_of(page: Page) -> int:
    """Number of the archive that holds `page`; copies are spread like all others."""
    return sha256(b"archive " + page.url.encode()).digest()[0] % N_FILES


def write_archives(folder: Path, pages: Sequence[Page]) -> list[str]:
    """Write the archives; returns the name of each page's file."""
    names = [f"crawl-{number:05}.warc.gz" for number in range(N_FILES)]
    for number, name in enumerate(names):
        held = [page for page in pages if file_of(page) == number]
        (folder / name).write_bytes(b"".join(_records(name, held, first=number * 100_000)))
    return [names[file_of(page)] for page in pages]


def _records(name: str, pages: Sequence[Page], *, first: int) -> Iterator[bytes]:
    """A file's records. `first` numbers them, so that no two records of the sample have the same identifier."""
    about = b"software: datassay examples/build_sample\r\nformat: WARC File Format 1.1\r\n"
    yield record("warcinfo", name, about, number=first)
    yield record(
        "dns", "dns:docs.example.net", b"20260105120000\r\ndocs.example.net. 3600 IN A 192.0.2.7\r\n", number=first + 1
    )
    robots = http("200 OK", {"Content-Type": "text/plain"}, b"User-agent: *\nDisallow: /search\n")
    yield record("response", f"http://mirror.example.edu/{first}/robots.txt", robots, number=first + 2)
    feed = http("200 OK", {"Content-Type": "application/json"}, b'{"items": []}')
    yield record("response", f"https://blog.example.com/{first}/feed.json", feed, number=first + 3)
    for number, page in enumerate(pages):
        place = first + 10 * (number + 1)
        if number % 40 == 0:
            request = f"GET {page.url} HTTP/1.1\r\nUser-Agent: example\r\n\r\n".encode()
            yield record("request", page.url, request, number=place)
        yield _response(page, number=place + 1)
        if number % 40 == 1:
            yield record("metadata", page.url, b"fetchTimeMs: 128\r\n", number=place + 2)
        if number % 50 == 2:
            yield _revisit(page, number=place + 3)
        if number % 50 == 3:
            missing = http("404 Not Found", {"Content-Type": "text/html"}, MISSING)
            yield record("response", page.url.rstrip("/") + "-old", missing, number=place + 4)
        if number % 50 == 4:
            moved = http("301 Moved Permanently", {"Location": page.url, "Content-Length": "0"}, b"")
            yield record("response", page.url.rstrip("/") + "-moved", moved, number=place + 5)


def _response(page: Page, *, number: int) -> bytes:
    headers = {"Content-Type": page.media_type}
    body = page.body
    if page.coding == "gzip":
        body = member(body)
        headers["Content-Encoding"] = "gzip"
    elif page.coding == "chunked":
        body = chunked(body)
        headers["Transfer-Encoding"] = "chunked"
    block = http("200 OK", headers, body)
    return record("response", page.url, block, number=number, headers={"WARC-Payload-Digest": digest(body)})


def _revisit(page: Page, *, number: int) -> bytes:
    """A second visit that found the page unchanged: headers without a body."""
    headers = {
        "WARC-Profile": "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest",
        "WARC-Refers-To-Target-URI": page.url,
        "WARC-Payload-Digest": digest(page.body),
    }
    block = http("200 OK", {"Content-Type": page.media_type}, b"")
    return record("revisit", page.url + "?again", block, number=number, headers=headers)

"""The pages of what a user names: HTML files, archives, tables, URLs and lists of URLs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from datassay.cli.web_pages import fetch
from datassay.corpus.errors import InputError
from datassay.corpus.ingest import IngestSettings, records_of
from datassay.corpus.inputs import find_inputs
from datassay.corpus.readers.formats import COMPRESSIONS, SUFFIXES
from datassay.corpus.readers.pages import SNIFF_BYTES, looks_like_html
from datassay.corpus.records import InputFile, Record

_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_PAGE_SUFFIXES = [suffix for suffix, name in SUFFIXES.items() if name in ("html", "text")]
_DATA_SUFFIXES = tuple(suffix + packed for suffix in SUFFIXES.keys() - _PAGE_SUFFIXES for packed in ("", *COMPRESSIONS))


@dataclass(frozen=True, slots=True)
class Found:
    """A record and the file or list that it comes from."""

    file: str
    record: Record
    is_fetched: bool = False
    """Whether it was asked for by its URL, and so gets a row even if it is no page."""


def records(inputs: Sequence[str], *, html: str | None, max_bytes: int) -> Iterator[Found]:
    """The records of all inputs, in the order in which they are given; the files of a folder sorted by name.

    html: the column of rows that holds HTML; without it, rows whose text begins like HTML are pages
    max_bytes: of a page from the web
    Raises InputError if an input is missing or of no known format.
    """
    checked = [_named(name) for name in inputs]  # all of them first: a mistyped name is said before minutes of work
    for name, found in zip(inputs, checked, strict=True):
        for i, one in enumerate(found):
            if isinstance(one, InputFile):
                yield from _of_file(one, html)
            else:
                yield Found(name, fetch(one, i, max_bytes=max_bytes), is_fetched=True)


def _named(name: str) -> Sequence[str | InputFile]:
    """The URLs or files that an input stands for."""
    if is_page_url(name):
        return [name]
    return urls_of_list(name) or find_inputs([name])


def is_page_url(name: str) -> bool:
    """Whether an input is the URL of a page, and not of a file of pages."""
    return bool(_URL.fullmatch(name)) and not urlsplit(name).path.lower().endswith(_DATA_SUFFIXES)


def is_one_page(inputs: Sequence[str]) -> bool:
    """Whether the inputs are a single page: an HTML file or a URL."""
    if len(inputs) != 1:
        return False
    (name,) = inputs
    if is_page_url(name):
        return True
    path = Path(name)
    if not path.is_file() or name.lower().endswith(_DATA_SUFFIXES):
        return False
    with path.open("rb") as file:
        return name.lower().endswith((".html", ".htm", ".xhtml")) or looks_like_html(file.read(SNIFF_BYTES))


def urls_of_list(name: str) -> list[str]:
    """The URLs of a text file with one a line; empty if it is none. Empty lines and those with # do not count."""
    path = Path(name)
    if path.suffix.lower() not in ("", ".txt", ".urls", ".list") or not path.is_file():
        return []
    with path.open("rb") as file:
        head = file.read(SNIFF_BYTES)
        if not re.match(rb"(?:\s|#[^\n]*\n)*https?://", head.removeprefix(b"\xef\xbb\xbf"), re.IGNORECASE):
            return []
        content = head + file.read()
    lines = (line.strip() for line in content.decode("utf-8-sig", "replace").splitlines())
    urls = [line for line in lines if line and not line.startswith("#")]
    wrong = [line for line in urls if not _URL.fullmatch(line)]
    if wrong:
        if len(wrong) * 2 > len(urls):
            return []  # a text that begins with an address
        raise InputError(f"{name}: a list of URLs, but {wrong[0][:80]!r} is none; write one a line, with http or https")
    return urls


def _of_file(file: InputFile, html: str | None) -> Iterator[Found]:
    fields = {} if html is None else {"text": html}
    for record in records_of(file, IngestSettings(files=(file,), fields=fields)):
        is_row = record.text is not None and record.length is None
        if is_row and record.text and (html is not None or looks_like_html(record.text[:SNIFF_BYTES].encode())):
            yield Found(file.name, replace(record, html=record.text.encode(), text=None, charset="utf-8"))
        else:
            yield Found(file.name, record)

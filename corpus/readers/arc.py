"""ARC records, the format before WARC: one line of header each, as version 1 or 2 has it.

http://archive.org/web/researcher/ArcFileFormat.php
"""

from __future__ import annotations

import re

from datassay.corpus.readers.archive import ArchiveRecord, Syntax
from datassay.corpus.readers.members import DamagedError
from datassay.corpus.readers.source import Source
from datassay.corpus.readers.warc import read_block, skip_empty_lines

MAX_LINE_BYTES = 8192

# URL IP-address date content-type [result check-sum location offset file-name] length; a URL may have spaces in it.
START = re.compile(
    rb"^[A-Za-z][A-Za-z0-9+.-]{0,20}:[^\s][^\r\n]{0,6000} [0-9A-Fa-f.:]{3,45} \d{8,18} [^\r\n]{0,1000} ?\d{1,18}\r?\n",
    re.MULTILINE,
)


def read_arc(source: Source) -> ArchiveRecord:
    """The record that the source is at. Raises DamagedError if it is none or is cut."""
    line = source.readline(MAX_LINE_BYTES)
    if not START.match(line):
        raise DamagedError("not_a_record")
    words = line.decode("utf-8", "replace").split()
    n_after_url = 9 if _is_version_2(words) else 4
    url = " ".join(words[:-n_after_url])
    _, date, mime = words[-n_after_url:][:3]
    block = read_block(source, int(words[-1]))
    skip_empty_lines(source)
    headers = {
        "warc-type": "warcinfo" if url.startswith("filedesc:") else "response",
        "warc-target-uri": url,
        "warc-date": iso_date(date),
        "content-type": "application/http" if url.startswith("http") else mime,
    }
    return ArchiveRecord(headers, block)


def _is_version_2(words: list[str]) -> bool:
    """Whether the header has ten fields, the sixth from the end of which is an HTTP status."""
    return len(words) >= 10 and bool(re.fullmatch(r"\d{3}", words[-6]) and re.fullmatch(r"\d{8,18}", words[-8]))


def iso_date(digits: str) -> str:
    """YYYYMMDDhhmmss as ISO 8601; shorter dates are filled with zeros."""
    d = digits.ljust(14, "0")
    return f"{d[:4]}-{d[4:6]}-{d[6:8]}T{d[8:10]}:{d[10:12]}:{d[12:14]}Z"


ARC = Syntax(START, read_arc)

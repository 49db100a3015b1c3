"""What format a file has: its first bytes decide, and its name where bytes can't tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from datassay.corpus.errors import InputError
from datassay.corpus.readers.arc import ARC
from datassay.corpus.readers.members import GZIP, ZSTD, Codec, content_head, skippable_frame
from datassay.corpus.readers.pages import looks_like_html
from datassay.corpus.readers.warc import WARC

SUFFIXES = {
    ".warc": "warc",
    ".wet": "warc",
    ".wat": "warc",
    ".arc": "arc",
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
    ".json": "json_lines",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".txt": "text",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
}
COMPRESSIONS = {".gz": GZIP, ".zst": ZSTD}
HEAD_BYTES = 1 << 14


@dataclass(frozen=True, slots=True)
class Format:
    """A format's name, a value of SUFFIXES, and how the file is compressed."""

    name: str
    codec: Codec | None


def file_format(file: BinaryIO, name: str) -> Format:
    """The format of an open file called `name`. Raises InputError if neither its bytes nor its name tell."""
    file.seek(0)
    stored = file.read(HEAD_BYTES)
    codec = next((codec for codec in (GZIP, ZSTD) if stored.startswith(codec.magic)), None)
    if codec is None and skippable_frame(file, 0) is not None:
        codec = ZSTD
    head = content_head(stored, codec) if codec else stored
    named, named_codec = _by_name(name)
    found = _by_content(head)
    known = found or named or _guess(head)
    if known is None:
        raise InputError(
            f"{name}: unknown format; it should be one of {', '.join(SUFFIXES)}, each but .parquet and .arrow also "
            f'with {" or ".join(COMPRESSIONS)}; a pattern such as "folder/*.txt" leaves other files out'
        )
    if known in ("parquet", "arrow"):
        _check_columnar(name, known=known, found=found, codec=codec)
    if known in ("warc", "arc") and found is None and codec is None:
        codec = named_codec  # the beginning is damaged
    return Format(known, codec)


def _check_columnar(name: str, *, known: str, found: str | None, codec: Codec | None) -> None:
    if codec is not None:
        raise InputError(
            f"{name}: a {known} file compressed as a whole; decompress it, its columns are compressed already"
        )
    if found is None:
        raise InputError(f"{name}: named like a {known} file but is none; write it again or leave it out")


def _by_name(name: str) -> tuple[str | None, Codec | None]:
    """Format and compression that a file's name says."""
    stem = name.lower()
    codec = None
    for suffix, of_suffix in COMPRESSIONS.items():
        if stem.endswith(suffix):
            stem, codec = stem.removesuffix(suffix), of_suffix
    return next((known for suffix, known in SUFFIXES.items() if stem.endswith(suffix)), None), codec


def _by_content(head: bytes) -> str | None:
    """The format of content that cannot be mistaken; None for text, which may be anything."""
    if WARC.start.match(head):
        return "warc"
    if head.startswith(b"filedesc:") and ARC.start.match(head):
        return "arc"
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "arrow"
    return None


def _guess(head: bytes) -> str | None:
    """The likely format of a file whose name says nothing."""
    if head.lstrip().startswith(b"{"):
        return "json_lines"
    return "html" if looks_like_html(head) else None

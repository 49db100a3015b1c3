"""What a reader makes of an input: records, every one of them accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of the input and what identifies it."""

    url: str
    """Where it is opened, for fsspec: a path or a URL."""
    name: str
    """Relative to the root of its input: the same on any machine, so that ids are."""
    n_bytes: int
    sha256: str
    source: str = "input"
    """What it is for: `input`, `reference`, or `validation/` and a domain."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: a page (HTML bytes or text), something skipped with a reason, or damaged bytes."""

    offset: int
    """Bytes into the file as stored (WARC, ARC), or row or line number from 0 (others)."""
    length: int | None = None
    """Bytes of the record in the file as stored; None for rows."""
    html: bytes | None = None
    """Body of a page to extract, transfer and content encodings undone."""
    text: str | None = None
    """Text, where the input holds text already."""
    reason: str | None = None
    """Why this is no page, as a short snake_case word such as `status_404`; None for a page."""
    is_damaged: bool = False
    """Whether these bytes could not be read: quarantine, not skipped."""
    url: str | None = None
    date: str | None = None
    source_id: str | None = None
    charset: str | None = None
    """What the HTTP header claims."""
    metadata: Mapping[str, object] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """`page`, `skipped` or `quarantine`."""
        if self.is_damaged:
            return "quarantine"
        return "skipped" if self.reason else "page"

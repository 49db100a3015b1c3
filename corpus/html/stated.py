"""What a page states about itself: meta elements, canonical link, title, language, JSON-LD (schema.org)."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from datassay.corpus.html.names import CANONICAL, LANGUAGE, META_NAMES, METADATA, N_STATED, TIME, TITLE
from datassay.corpus.html.scan import Scan

MAX_CHARS = 500
"""Of a statement; what is longer is cut."""
_PLACES = {kind: [META_NAMES.index(name) for name in names] for kind, names in METADATA.items()}
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Stated:
    """Statements, each in one line; None where a page makes none."""

    title: str | None = None
    author: str | None = None
    date: str | None = None
    """Of publication, as the page has it: usually ISO 8601."""
    language: str | None = None
    """Of `<html lang>`."""
    url: str | None = None
    """The canonical one."""
    site_name: str | None = None


def stated(page: bytes, scan: Scan) -> Stated:
    """What the page (UTF-8) states. JSON-LD is asked for author and date only where no meta element has them."""
    places = scan.stated[:N_STATED].tolist()

    def at(place: int) -> str | None:
        first, last = places[place]
        return one_line(page[first:last]) if last > first else None

    def of(kind: str) -> str | None:
        return next((text for place in _PLACES[kind] if (text := at(place))), None)

    author, date = of("author"), of("date")
    if not (author and date):
        for thing in linked_data(page, scan):
            date = date or one_line(thing.get("datePublished"))
            author = author or _name(thing.get("author"))
    return Stated(
        title=of("title") or at(TITLE),
        author=author,
        date=date or at(TIME),
        language=at(LANGUAGE),
        url=at(CANONICAL) or of("url"),
        site_name=of("site_name"),
    )


def article_body(page: bytes, scan: Scan) -> str:
    """The longest `articleBody` of the page's JSON-LD, without tags; "" if there is none."""
    bodies = [body for thing in linked_data(page, scan) if isinstance(body := thing.get("articleBody"), str)]
    text = html.unescape(_TAG.sub(" ", max(bodies, key=len, default="")))
    lines = (re.sub(r"[^\S\n]+", " ", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def linked_data(page: bytes, scan: Scan) -> Iterator[Mapping[str, Any]]:
    """The things that the page's JSON-LD describes at its top level or in its graph; what is no JSON is passed over."""
    for first, last in scan.stated[N_STATED:].tolist():
        try:
            found = orjson.loads(page[first:last].strip()) if last > first else None
        except orjson.JSONDecodeError:
            continue
        for thing in found if isinstance(found, list) else [found]:
            if isinstance(thing, dict):
                yield thing
                graph = thing.get("@graph")
                yield from (below for below in graph if isinstance(below, dict)) if isinstance(graph, list) else ()


def _name(author: object) -> str | None:
    """The name of a schema.org Person or Organization, of several the first."""
    if isinstance(author, list):
        author = author[0] if author else None
    return one_line(author.get("name") if isinstance(author, dict) else author)


def one_line(value: object) -> str | None:
    """A text in one line, character references resolved; None if it is none, or empty."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return None
    return " ".join(html.unescape(value).split())[:MAX_CHARS].strip() or None

"""The main text of a page: bytes in; text, metadata and, where there is no text, the reason out.

The only module that knows both extractors: our own (`html/`), which says how doubtful its answer is, and trafilatura,
which takes some eighteen times as long in its fastest setting. Profiles:

    fast      our own for all pages
    balanced  trafilatura for the most doubtful pages, at most a stated share
    quality   trafilatura for all pages

`benchmarks/extraction_f1.py` measures them; docs/extraction.md has the figures.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, PositiveInt

from datassay.corpus.charset import decode, to_utf8
from datassay.corpus.html.classifier import MODEL_PATH, load, main_blocks
from datassay.corpus.html.render import PLAIN, Style, written
from datassay.corpus.html.scan import count_tags, scan
from datassay.corpus.html.stated import article_body, stated
from datassay.corpus.html.wanted import AS_FOUND, Wanted, only_wanted

logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # a warning a page otherwise; the reason says it here

Profile = Literal["fast", "balanced", "quality"]


class ExtractionLimits(BaseModel, frozen=True, extra="forbid"):
    """Pages beyond these are not extracted, so that no page takes unbounded time; counted, hence the same anywhere."""

    max_bytes: PositiveInt = 8 << 20
    """Bytes of the page's body. `too_large` beyond."""
    max_elements: PositiveInt = 100_000
    """Start tags in the page. `too_many_elements` beyond; trafilatura needs up to 0.08 ms for each."""
    max_depth: PositiveInt = 240
    """Open elements at once. Deeper pages do not go to trafilatura: its parser cuts a page off at 255."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What was found in a page. Without text, `reason` says why."""

    text: str = ""
    reason: str | None = None
    """`no_text`, `too_large`, `too_many_elements`, `extractor_failed`; None if there is text."""
    extractor: str | None = None
    """`datassay`, `trafilatura`, `json-ld`, or `datassay-gate` for a page that would have been trafilatura's, but was
    not wanted."""
    doubt: float | None = None
    """How doubtful our own extractor is about its answer, 0 to 1; None where it was not asked."""
    title: str | None = None
    author: str | None = None
    date: str | None = None
    """Date of publication as the page's own metadata has it, usually ISO 8601."""
    language: str | None = None
    """What the page claims in `<html lang>`."""
    url: str | None = None
    """The page's canonical URL, as it states it."""
    site_name: str | None = None


def extract(
    body: bytes,
    *,
    header_charset: str | None = None,
    limits: ExtractionLimits | None = None,
    style: Style = PLAIN,
    wanted: Wanted = AS_FOUND,
    model: Path = MODEL_PATH,
) -> Extraction:
    """The main text and metadata of a page by our own extractor, which depend on these arguments alone.

    header_charset: what the HTTP header claims
    model: the classifier's file
    """
    limits = limits or ExtractionLimits()
    if len(body) > limits.max_bytes:
        return Extraction(reason="too_large")
    page = to_utf8(body, header_charset)
    content = np.frombuffer(page, np.uint8)
    if count_tags(content) > limits.max_elements and count_elements(page)[0] > limits.max_elements:
        return Extraction(reason="too_many_elements")
    found = scan(content)
    keep, doubt = main_blocks(found, load(model))
    text, extractor = written(content, found, only_wanted(found, keep, wanted), style), "datassay"
    if not text and (text := article_body(page, found)):
        extractor = "json-ld"
    if not text:
        return Extraction(reason="no_text", extractor=extractor, doubt=doubt)
    facts = stated(page, found)
    return Extraction(
        text,
        None,
        extractor,
        round(doubt, 4),
        facts.title,
        facts.author,
        facts.date,
        facts.language,
        facts.url,
        facts.site_name,
    )


def is_in_reach(body: bytes, limits: ExtractionLimits) -> bool:
    """Whether trafilatura may be asked about a page."""
    return count_elements(body)[1] <= limits.max_depth


def second_opinion(
    body: bytes,
    first: Extraction,
    *,
    header_charset: str | None = None,
    style: Style = PLAIN,
    wanted: Wanted = AS_FOUND,
) -> Extraction:
    """What trafilatura makes of a page that our own extractor has answered; the first answer if it finds no text."""
    try:
        text = quality_text(decode(body, header_charset)[0], style, wanted)
    except MemoryError:
        raise
    except Exception:  # what trafilatura raises on odd pages is its own, and any of it is about this page only
        return first if first.text else replace(first, reason="extractor_failed")
    return replace(first, text=text, reason=None, extractor="trafilatura") if text else first


def quality_text(html: str, style: Style = PLAIN, wanted: Wanted = AS_FOUND) -> str:
    """trafilatura's main text, without comments unless they are wanted; empty if it finds none.

    `fast` with `favor_recall` is the best and the fastest of its settings on article-extraction-benchmark.
    `deduplicate` must stay off: it keeps state between pages, so that the text would depend on their order.
    What it knows as comments are those below articles: posts of a thread stay even if comments are not wanted. Images
    come with their addresses in its own notation, also in plain text.
    """
    import trafilatura  # slow to import, and only this stage asks it

    text = trafilatura.extract(
        html,
        fast=True,
        favor_recall=True,
        include_comments=bool(wanted.comments),
        include_tables=wanted.tables,
        include_links=style.has_links,
        include_images=style.has_images,
        output_format="markdown" if style.is_markdown else "txt",
        prune_xpath=None if wanted.code else "//pre",
        deduplicate=False,
    )
    return (text or "").strip()


_UNCOUNTED = """
    area base body br col colgroup dd dt embed frame head hr html img input keygen li link meta optgroup option p param
    rp rt script source style tbody td tfoot th thead tr track wbr
"""
"""Elements without an end tag, or whose end tag may be left out: counting them would make flat pages deep."""


def _name_code(name: bytes) -> int:
    """The first four bytes of a tag's name as a number; shorter names are padded with blanks."""
    return int.from_bytes(name[:4].ljust(4), "big")


_NAME_BYTE = np.full(256, ord(" "), np.uint32)
"""Bytes of names, in lower case; all others are blank."""
for _byte in b"abcdefghijklmnopqrstuvwxyz0123456789":
    _NAME_BYTE[[_byte, ord(chr(_byte).upper())]] = _byte
_UNCOUNTED_CODES = np.array(sorted({_name_code(name.encode()) for name in _UNCOUNTED.split()}), np.uint32)


def count_elements(body: bytes) -> tuple[int, int]:
    """Start tags in a page, and how many elements with a mandatory end tag are open at once at most.

    Counted over the bytes, without parsing: a parser or an extractor may be what a deep page brings down. End tags that
    close nothing are passed over. Names are told apart by four bytes. Pages in UTF-16 count as flat.
    """
    page: NDArray[np.uint8] = np.frombuffer(body + b"      ", np.uint8)
    starts = np.flatnonzero(page == ord("<"))
    is_end = page[starts + 1] == ord("/")
    names = starts + 1 + is_end
    code = np.zeros(len(starts), np.uint32)
    inside = np.ones(len(starts), bool)
    for i in range(4):
        byte = _NAME_BYTE[page[names + i]]
        inside &= byte != ord(" ")
        code = (code << np.uint32(8)) | np.where(inside, byte, ord(" "))
    is_tag = code >= _name_code(b"a")  # a digit or a blank is less than a letter
    is_counted = is_tag & ~np.isin(code, _UNCOUNTED_CODES)
    steps = np.where(is_end, -1, 1)[is_counted]
    balance = np.cumsum(steps)
    n_elements = int((is_tag & ~is_end).sum())
    if not len(balance):
        return n_elements, 0
    floor = np.minimum(np.minimum.accumulate(balance), 0)
    return n_elements, int((balance - floor).max())

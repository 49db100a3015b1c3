"""The main text of a page: bytes in; text, metadata and, where there is no text, the reason out.

The only module that knows the extractors. Measured on the 92 development pages of scrapinghub's
article-extraction-benchmark (`benchmarks/extraction_f1.py`), on one core:

    quality   trafilatura, fast and for recall    F1 .958
    fast      resiliparse, trimmed                F1 .929   at 5 times the speed
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, PositiveInt
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from datassay.corpus.charset import decode

logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # a warning a page otherwise; the reason says it here

Profile = Literal["quality", "fast"]


class ExtractionLimits(BaseModel, frozen=True, extra="forbid"):
    """Pages beyond these are not extracted, so that no page takes unbounded time; counted, hence the same anywhere."""

    max_bytes: PositiveInt = 8 << 20
    """Bytes of the page's body. `too_large` beyond."""
    max_elements: PositiveInt = 100_000
    """Start tags in the page. `too_many_elements` beyond; trafilatura needs up to 0.08 ms for each."""
    max_depth: PositiveInt = 240
    """Open elements at once. `too_deep` beyond: lxml cuts a page off at 255, and resiliparse takes quadratic time."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What was found in a page. Without text, `reason` says why."""

    text: str = ""
    reason: str | None = None
    """`no_text`, `too_large`, `too_many_elements`, `too_deep`, `extractor_failed`; None if there is text."""
    extractor: str | None = None
    """`trafilatura`, `resiliparse`, or `resiliparse-gate` for a page that was not wanted."""
    title: str | None = None
    author: str | None = None
    date: str | None = None
    """Date of publication as the page's own metadata has it, usually ISO 8601."""
    language: str | None = None
    """What the page claims in `<html lang>`."""


def extract(
    body: bytes,
    *,
    profile: Profile = "quality",
    header_charset: str | None = None,
    limits: ExtractionLimits | None = None,
    is_wanted: Callable[[str], bool] | None = None,
) -> Extraction:
    """The main text and metadata of a page, which depend on these arguments alone.

    header_charset: what the HTTP header claims
    is_wanted: asked once, with the fast extractor's text, before the slow one; a page not wanted keeps that text
    """
    limits = limits or ExtractionLimits()
    if len(body) > limits.max_bytes:
        return Extraction(reason="too_large")
    n_elements, depth = count_elements(body)
    if n_elements > limits.max_elements:
        return Extraction(reason="too_many_elements")
    if depth > limits.max_depth:
        return Extraction(reason="too_deep")
    html, _ = decode(body, header_charset)
    try:
        tree = HTMLTree.parse(html)
        extractor, text = _text(html, tree, profile=profile, is_wanted=is_wanted)
    except MemoryError:
        raise
    except Exception:  # what extractors raise on odd pages is theirs, and any of it is about this page only
        return Extraction(reason="extractor_failed")
    if not text:
        return Extraction(reason="no_text", extractor=extractor)
    return Extraction(text, None, extractor, *_metadata(tree))


def _text(html: str, tree: HTMLTree, *, profile: Profile, is_wanted: Callable[[str], bool] | None) -> tuple[str, str]:
    """Which extractor was used, and its text. Where trafilatura finds nothing the fast one has its try."""
    if profile == "quality":
        if is_wanted is not None and not is_wanted(text := fast_text(tree)):
            return "resiliparse-gate", text
        if text := quality_text(html):
            return "trafilatura", text
    return "resiliparse", fast_text(tree)


def quality_text(html: str) -> str:
    """trafilatura's main text, without comments; empty if it finds none.

    `fast` with `favor_recall` is the best and the fastest of its settings on the benchmark above. `deduplicate` must
    stay off: it keeps state between pages, so that the text would depend on their order.
    """
    import trafilatura  # slow to import, and only this stage asks it

    text = trafilatura.extract(
        html, fast=True, favor_recall=True, include_comments=False, include_tables=True, deduplicate=False
    )
    return (text or "").strip()


MIN_LINE_CHARS = 80
"""Shorter lines before the first and after the last other line are not main text…"""
MIN_SENTENCE_CHARS = 40
"""…unless they are this long and end like a sentence. Both measured on the benchmark's development pages."""
_SENTENCE_END = tuple(".!?:;\"'”’»)。！？…")


def fast_text(tree: HTMLTree) -> str:
    """resiliparse's main text without the short lines at its head and tail; whole if all lines are short.

    All text of the page where resiliparse takes none of it for main text (7 of 327 real pages).
    """
    text = ""
    for main_content in (True, False):
        text = text or extract_plain_text(tree, main_content=main_content, alt_texts=False, list_bullets=False).strip()
    lines = [line.rstrip() for line in text.split("\n")]
    is_text = [_is_main_text(line) for line in lines]
    if any(is_text):
        first = is_text.index(True)
        last = len(lines) - is_text[::-1].index(True)
        lines = lines[first:last]
    return "\n".join(lines).strip()


def _is_main_text(line: str) -> bool:
    return len(line) >= MIN_LINE_CHARS or (len(line) >= MIN_SENTENCE_CHARS and line.endswith(_SENTENCE_END))


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


_TITLE_SELECTORS = ('meta[property="og:title"]', 'meta[name="twitter:title"]')
_AUTHOR_SELECTORS = ('meta[name="author"]', 'meta[property="article:author"]')
_DATE_SELECTORS = (
    'meta[property="article:published_time"]',
    'meta[itemprop="datePublished"]',
    'meta[name="date"]',
    'meta[name="dc.date"]',
)


def _metadata(tree: HTMLTree) -> tuple[str | None, str | None, str | None, str | None]:
    """Title, author, date and language as the page states them; trafilatura's search would cost as much as the text."""
    title = _stated(tree, _TITLE_SELECTORS) or _one_line(tree.title)
    root = tree.document.query_selector("html[lang]") if tree.document else None
    language = _one_line(root["lang"]) if root is not None else None
    return title, _stated(tree, _AUTHOR_SELECTORS), _stated(tree, _DATE_SELECTORS), language


def _stated(tree: HTMLTree, selectors: tuple[str, ...]) -> str | None:
    """The first non-empty `content` among the meta elements selected."""
    if tree.head is None:
        return None
    for selector in selectors:
        element = tree.head.query_selector(selector)
        if element is not None and (content := _one_line(element.getattr("content", ""))):
            return content
    return None


def _one_line(text: str | None) -> str | None:
    """The text in one line of 500 characters at most; None if there is none."""
    return re.sub(r"\s+", " ", text).strip()[:500] or None if text else None

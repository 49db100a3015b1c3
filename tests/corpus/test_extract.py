"""Extraction: what is main text, what is said about a page, and where it stops."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from datassay.corpus.extract import (
    Extraction,
    ExtractionLimits,
    count_elements,
    extract,
    is_in_reach,
    second_opinion,
)
from datassay.corpus.html.evaluation import page_shares, scores

SENTENCE = "The harbour was quiet that morning, and only the gulls were awake to see the first boat come in. "
PAGE = f"""<!DOCTYPE html><html lang="en-GB"><head><title>Harbour | News</title>
<meta property="og:title" content="A quiet
  harbour"><meta name="author" content="Ann Roe">
<meta property="article:published_time" content="2024-02-03T04:05:06Z"></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/n">News</a></li><li><a href="/c">Contact</a></li></ul></nav>
<article><h1>A quiet harbour</h1><p>{SENTENCE * 3}</p><p>{SENTENCE * 2}</p>
<table><tr><th>Boat</th><th>Length</th></tr><tr><td>Mary</td><td>12 m</td></tr></table>
<ul><li>Bring a coat for the wind on the pier.</li><li>Bring bread for the gulls.</li></ul>
<pre>x = 1
if x:
    y = 2</pre><p>{SENTENCE}</p></article>
<footer><p>Cookie settings</p></footer></body></html>"""


def asked_twice(body: bytes) -> Extraction:
    return second_opinion(body, extract(body))


@pytest.mark.parametrize(("function", "extractor"), [(extract, "datassay"), (asked_twice, "trafilatura")])
def test_main_text_and_metadata(function: Callable[[bytes], Extraction], extractor: str) -> None:
    found = function(PAGE.encode())
    assert found.reason is None
    assert found.text.count("The harbour was quiet") == 6
    assert "Contact" not in found.text and "Cookie" not in found.text
    assert (found.title, found.author) == ("A quiet harbour", "Ann Roe")
    assert (found.date, found.language) == ("2024-02-03T04:05:06Z", "en-GB")
    assert found.extractor == extractor


def test_tables_lists_and_code_stay() -> None:
    lines = extract(PAGE.encode()).text.split("\n")
    assert lines[lines.index("Boat\tLength") + 1] == "Mary\t12 m"
    assert "- Bring bread for the gulls." in lines
    assert lines[lines.index("x = 1") :][:3] == ["x = 1", "if x:", "    y = 2"]


def test_title_falls_back_to_the_title_element() -> None:
    html = PAGE.replace("og:title", "og:other")
    assert extract(html.encode()).title == "Harbour | News"


def test_charset_is_what_the_page_declares() -> None:
    html = PAGE.replace("<head>", "<head><meta charset=windows-1250>").replace("quiet", "tihé světlo")
    assert "tihé světlo" in extract(html.encode("cp1250"), header_charset="utf-8").text


@pytest.mark.parametrize(
    "body", [b"", b"   ", b"<html></html>", b"<html><body><script>var x = 1;</script></body></html>"]
)
def test_page_without_text(body: bytes) -> None:
    found = extract(body)
    assert (found.text, found.reason) == ("", "no_text")


def test_same_page_gives_the_same_text_whatever_came_before() -> None:
    first = asked_twice(PAGE.encode())
    for _ in range(4):  # trafilatura's own deduplication would drop paragraphs at the third time
        assert asked_twice(PAGE.encode()) == first


def test_first_answer_stays_where_the_second_is_empty() -> None:
    body = b"<p>Short."
    first = extract(body)
    assert first.text == "Short."
    assert second_opinion(b"", first) == first


LINKED = f'<script type="application/ld+json">{{"@type": "NewsArticle", "articleBody": "{SENTENCE}"}}</script>'


def test_text_from_linked_data_where_there_is_no_other() -> None:
    found = extract(f"<html><head>{LINKED}</head><body><div id=app></div></body></html>".encode())
    assert (found.text, found.extractor) == (SENTENCE.strip(), "json-ld")
    assert "articleBody" not in extract(PAGE.replace("</head>", f"{LINKED}</head>").encode()).text


@pytest.mark.parametrize(
    ("html", "counted"),
    [
        ("", (0, 0)),
        ("no tags, 1 < 2 and 3<4", (0, 0)),
        ("<p>one<p>two<br>three", (3, 0)),
        ("<div><b>x</b></div>", (2, 2)),
        ("<DIV><div></DIV></div>", (2, 2)),
        ("</div></div><div>x</div>", (1, 1)),
        ("<div>" * 7, (7, 7)),
        ("<a>x</a>" * 7, (7, 1)),
        ("<", (0, 0)),
        ("<!-- c --><!DOCTYPE html>", (0, 0)),
    ],
)
def test_count_elements(html: str, counted: tuple[int, int]) -> None:
    assert count_elements(html.encode()) == counted


def nested(depth: int) -> bytes:
    return (
        b"<html><body>" + b"<div>" * depth + f"<p>{SENTENCE * 3}</p>".encode() + b"</div>" * depth + b"</body></html>"
    )


def test_deep_pages_have_text_and_do_not_go_to_trafilatura() -> None:
    limits = ExtractionLimits()
    assert is_in_reach(nested(limits.max_depth), limits)
    assert not is_in_reach(nested(limits.max_depth + 1), limits)
    for depth in (limits.max_depth + 1, 6000):
        assert SENTENCE.strip() in extract(nested(depth)).text


def test_bytes_and_elements_at_the_limit() -> None:
    n_bytes, (n_elements, _) = len(PAGE.encode()), count_elements(PAGE.encode())
    assert extract(PAGE.encode(), limits=ExtractionLimits(max_bytes=n_bytes, max_elements=n_elements)).reason is None
    assert extract(PAGE.encode(), limits=ExtractionLimits(max_bytes=n_bytes - 1)).reason == "too_large"
    assert extract(PAGE.encode(), limits=ExtractionLimits(max_elements=n_elements - 1)).reason == "too_many_elements"


@pytest.mark.parametrize(
    "html",
    [
        nested(6000),
        b"<html><body>" + b"<div>" * 600_000,
        b"<" * 1_000_000,
        b"<html><body>" + b"<p>word " * 20_000,
        b"<html><body>" + b"<td>" * 20_000,
        b"<html><body><p>" + b"&amp;" * 200_000,
    ],
    ids=["deep", "deeper", "open", "flat", "cells", "entities"],
)
def test_awkward_page_ends(html: bytes) -> None:
    start = time.process_time()
    extract(html)
    assert time.process_time() - start < 30  # what is not bounded takes minutes here


def test_benchmark_quality(shared: Path) -> None:
    """A tenth of the pages; `benchmarks/extraction_f1.py` scores them all."""
    import sys

    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    try:
        from extraction_f1 import gold_pages
    finally:
        sys.path.pop(0)
    pages = list(gold_pages(shared / "extraction/dev.jsonl.zst"))[::9]
    found = [extract(page.html, header_charset="utf-8").text for page in pages]
    f1, _, _ = scores([page_shares(page.text, text) for page, text in zip(pages, found, strict=True)])
    assert all(found)
    assert f1 > 0.9

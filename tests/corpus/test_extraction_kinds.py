"""No kind of page collapses: documentation, forums, shops, lists… on sites made by software that no training page was.

Floors are some hundredths below what `benchmarks/extraction_kinds.py` measures, to let a retrained model breathe;
trafilatura's lowest on these kinds is .38, resiliparse's .63.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import pytest

from datassay.corpus.extract import extract
from datassay.corpus.html.evaluation import page_shares, scores

ROOT = Path(__file__).parents[2]
FLOORS = {
    "article": 0.91,
    "book": 0.93,
    "docs": 0.96,
    "forum": 0.92,
    "list": 0.95,
    "mail": 0.97,
    "qa": 0.95,
    "reference": 0.93,
    "shop": 0.95,
    "wiki": 0.95,
}


@pytest.fixture(scope="module")
def found() -> dict[str, list[tuple[dict[str, object], str]]]:
    """Rows of half B by kind, each with the text that we find in its page."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        from page_kind_halves import halves, read_pages
    finally:
        sys.path.pop(0)
    pages = read_pages(ROOT / "tests" / "data" / "page-kinds.jsonl.zst")
    by_kind = defaultdict(list)
    for row, half in zip(pages, halves(pages), strict=True):
        if half == "B":
            by_kind[row["kind"]].append((row, extract(row["html"].encode()).text))
    return by_kind


def f1(pairs: list[tuple[dict[str, object], str]]) -> float:
    return scores([page_shares(str(row["text"]), text) for row, text in pairs])[0]


@pytest.mark.parametrize("kind", FLOORS)
def test_kind(kind: str, found: dict[str, list[tuple[dict[str, object], str]]]) -> None:
    assert len(found[kind]) >= 4
    assert f1(found[kind]) >= FLOORS[kind]


def test_scripts_without_spaces_and_from_right_to_left(found: dict[str, list[tuple[dict[str, object], str]]]) -> None:
    pairs = [pair for kind in found.values() for pair in kind]
    for languages in (("zh-Hans", "zh-Hant", "ja"), ("th", "km"), ("ar", "he", "fa"), ("ko",), ("hi", "ta", "bn")):
        own = [pair for pair in pairs if pair[0]["lang"] in languages]
        assert len(own) >= 3
        assert f1(own) >= 0.8, languages


def test_code_stands_as_it_does_on_the_page(found: dict[str, list[tuple[dict[str, object], str]]]) -> None:
    """Where a block of code is found at all, its line breaks and indents are."""
    n_whole = n_found = 0
    for row, text in (pair for kind in found.values() for pair in kind):
        words = " ".join(text.split())
        for block in row["code"]:  # type: ignore[attr-defined]
            n_found += " ".join(block.split()) in words
            n_whole += block.strip("\n") in text
    assert n_found > 100
    assert n_whole >= 0.97 * n_found

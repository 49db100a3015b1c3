"""No kind of page collapses: documentation, forums, shops, lists… in 27 languages, none of them in training.

Floors are some hundredths below what `benchmarks/extraction_kinds.py` measures, to let a retrained model breathe;
trafilatura's lowest on these kinds is .55, resiliparse's .80.
"""

from __future__ import annotations

import io
from collections import defaultdict
from pathlib import Path

import orjson
import pytest
import zstandard

from datassay.corpus.extract import extract
from datassay.corpus.html.evaluation import page_shares, scores

ROOT = Path(__file__).parents[2]
FLOORS = {
    "article": 0.92,
    "book": 0.88,
    "docs": 0.94,
    "forum": 0.85,
    "list": 0.72,
    "mail": 0.94,
    "qa": 0.86,
    "reference": 0.8,
    "shop": 0.88,
    "wiki": 0.9,
}


@pytest.fixture(scope="module")
def found() -> dict[str, list[tuple[dict[str, object], str]]]:
    """Rows of the set by kind, each with the text that we find in its page."""
    path = ROOT / "tests" / "data" / "page-kinds.jsonl.zst"
    reader = zstandard.ZstdDecompressor().stream_reader(path.open("rb"))
    by_kind = defaultdict(list)
    for line in io.BufferedReader(reader):
        row = orjson.loads(line)
        by_kind[row["kind"]].append((row, extract(row["html"].encode()).text))
    return by_kind


def f1(pairs: list[tuple[dict[str, object], str]]) -> float:
    return scores([page_shares(str(row["text"]), text) for row, text in pairs])[0]


@pytest.mark.parametrize("kind", FLOORS)
def test_kind(kind: str, found: dict[str, list[tuple[dict[str, object], str]]]) -> None:
    assert len(found[kind]) >= 8
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
    assert n_found > 200
    assert n_whole >= 0.97 * n_found

"""The gold set of pages of many kinds keeps what its description promises."""

from __future__ import annotations

import hashlib
import io
import re
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from lxml import html

FILE = Path(__file__).parents[1] / "data" / "page-kinds.jsonl.zst"
FIELD_NAMES = "id kind lang template html text comments title author date code rows truth source license"
FIELDS = FIELD_NAMES.split()
KINDS = frozenset(["article", "book", "docs", "forum", "qa", "list", "shop", "wiki", "reference", "mail"])
LICENSE_NAMES = """
Apache-2.0 blessing BSD-2-Clause BSD-3-Clause CC-BY-3.0 CC-BY-4.0 CC-BY-SA-3.0 CC0-1.0
GFDL-1.3-no-invariants-only GFDL-1.3-no-invariants-or-later GPL-2.0-only GPL-2.0-or-later GPL-3.0-only GPL-3.0-or-later
LGPL-2.1-or-later LGPL-3.0-only LicenseRef-permission-notice LicenseRef-public-domain MIT MPL-2.0 PostgreSQL
PSF-2.0 Zlib
"""
LICENSES = frozenset(LICENSE_NAMES.split())


LANGUAGES = ("ar", "de", "en", "es", "fr", "hi", "ja", "km", "ko", "ru", "th", "zh")


@pytest.fixture(scope="module")
def pages() -> list[dict[str, Any]]:
    reader = zstandard.ZstdDecompressor().stream_reader(FILE.open("rb"))
    return [orjson.loads(line) for line in io.BufferedReader(reader)]


@pytest.fixture(scope="module")
def shown(pages: list[dict[str, Any]]) -> dict[str, str]:
    """The text of each page's HTML, entities decoded, less scripts and all white space."""
    texts = {}
    for page in pages:
        root = html.document_fromstring(page["html"].encode(), parser=html.HTMLParser(encoding="utf-8", huge_tree=True))
        for silent in root.xpath("//script|//style"):
            silent.drop_tree()
        texts[page["id"]] = squashed(root.text_content())
    return texts


def squashed(text: str) -> str:
    return re.sub(r"\s", "", text)


def test_fields_and_values(pages: list[dict[str, Any]]) -> None:
    for page in pages:
        assert list(page) == FIELDS
        assert page["kind"] in KINDS
        assert re.fullmatch(r"[a-z]{2}(-Han[st])?", page["lang"])
        assert page["truth"] in ("markup", "rendered")
        assert page["date"] is None or re.fullmatch(r"\d{4}-\d\d-\d\d", page["date"])
        assert page["title"] and page["source"] and len(page["text"]) >= 200
        assert len(page["code"]) <= 5 and len(page["rows"]) <= 5


def test_there_are_many_pages_of_every_kind(pages: list[dict[str, Any]]) -> None:
    kinds = Counter(page["kind"] for page in pages)
    assert len(pages) >= 120
    assert kinds.keys() == KINDS
    assert min(kinds.values()) >= 5, kinds


def test_there_are_many_languages_and_templates(pages: list[dict[str, Any]]) -> None:
    languages = Counter(page["lang"].partition("-")[0] for page in pages)
    assert all(languages[lang] >= 2 for lang in LANGUAGES), languages
    templates = Counter(page["template"] for page in pages)
    assert len(templates) >= 25
    assert all(n <= 10 for name, n in templates.items() if name.startswith("own-"))


def test_licences_allow_passing_on(pages: list[dict[str, Any]]) -> None:
    for page in pages:
        names = re.split(r" (?:AND|OR|WITH) ", re.sub(r"[()]", "", page["license"]))
        assert LICENSES.issuperset(names), (page["id"], page["license"])


def test_no_page_twice(pages: list[dict[str, Any]]) -> None:
    assert len({page["id"] for page in pages}) == len(pages)
    assert len({hashlib.sha256(page["html"].encode()).digest() for page in pages}) == len(pages)
    assert len({hashlib.sha256(squashed(page["text"]).encode()).digest() for page in pages}) == len(pages)


def test_code_blocks_and_rows_are_in_the_page(pages: list[dict[str, Any]], shown: dict[str, str]) -> None:
    for page in pages:
        for block in page["code"]:
            assert squashed(block) in shown[page["id"]], page["id"]
        for row in page["rows"]:
            assert len(row) >= 2
            assert all(squashed(cell) in shown[page["id"]] for cell in row), page["id"]


def test_every_word_of_the_truth_is_in_the_page(pages: list[dict[str, Any]], shown: dict[str, str]) -> None:
    for page in pages:
        words = set(re.findall(r"\w+", page["text"] + page["comments"]))
        missing = {word for word in words if word not in shown[page["id"]]}
        assert not missing, (page["id"], sorted(missing)[:10])


def test_pages_hold_more_than_the_truth(pages: list[dict[str, Any]], shown: dict[str, str]) -> None:
    """Nearly all pages have something around their main text, or they would tell extractors apart by nothing."""
    bare = [page["id"] for page in pages if len(squashed(page["text"])) > 0.995 * len(shown[page["id"]])]
    assert len(bare) < 0.1 * len(pages), bare


def test_no_inlined_pictures(pages: list[dict[str, Any]]) -> None:
    for page in pages:
        assert not re.search(r"data:[\w/.+-]+;base64,[A-Za-z0-9+/]{20}", page["html"]), page["id"]


def test_pages_tell_nothing_of_the_machine_that_rendered_them(pages: list[dict[str, Any]]) -> None:
    for page in pages:
        if page["truth"] == "rendered":
            assert not re.search(r"(?:Warning|Notice|Deprecated|Fatal error)</b>:|\.php on line \d", page["html"]), (
                page["id"]
            )

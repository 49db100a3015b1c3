"""What of a page is written: comments, tables and code, by one's own wish instead of the classifier's."""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
import zstandard

from datassay.corpus.extract import extract, quality_text
from datassay.corpus.html.evaluation import shingles
from datassay.corpus.html.wanted import Wanted
from datassay.corpus.ingest import IngestSettings
from datassay.corpus.page_extractor import ExtractSettings, Page, PageExtractor
from datassay.corpus.store import Outputs

ROOT = Path(__file__).parents[2]
PARAGRAPH = "The mill stands on the old bank of the river, and its wheel has turned since the year of the great flood. "
COMMENTS = """
<section id="comments"><h2>Comments</h2>
<ol><li class="comment"><cite>Jane Doe</cite><p>I went there as a child and the wheel was still then.</p></li>
<li class="comment"><cite>John Roe</cite><p>Me too!</p></li></ol>
<form><p>Your address will not be published, and the fields with a star have to be filled in.</p></form></section>
"""
TABLE = "<table><tr><th>year</th><th>wheels</th></tr><tr><td>1811</td><td>seven</td></tr></table>"
CODE = "<pre>for wheel in mill:\n    wheel.turn(by=17)</pre>"
ARTICLE = f"<h1>The old mill</h1>{f'<p>{PARAGRAPH * 3}</p>' * 4}"


def page(*parts: str, body: str = "") -> bytes:
    return f"<html><body class='{body}'><main>{ARTICLE}{''.join(parts)}</main></body></html>".encode()


def settings(**values: object) -> ExtractSettings:
    return ExtractSettings.model_validate(values)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    reader = zstandard.ZstdDecompressor().stream_reader((ROOT / "tests/data/page-kinds.jsonl.zst").open("rb"))
    return [orjson.loads(line) for line in io.BufferedReader(reader)]


def test_comments_that_are_wanted_come_without_names_and_forms() -> None:
    text = extract(page(COMMENTS), wanted=Wanted(comments=True)).text
    assert "I went there as a child" in text and "Me too!" in text
    assert "will not be published" not in text
    assert text.count(PARAGRAPH.strip()) == 12


def test_comments_that_are_not_wanted_are_dropped_even_where_the_classifier_keeps_them() -> None:
    long = f"<div class='comment'><p>{'I have read of this wheel, too, in a book on mills. ' * 6}</p></div>" * 6
    kept, dropped = (extract(page(long), wanted=Wanted(comments=wish)).text for wish in (True, False))
    assert "in a book on mills" in kept
    assert "in a book on mills" not in dropped and PARAGRAPH.strip() in dropped


def test_a_page_that_is_called_by_its_comments_keeps_its_text() -> None:
    whole = extract(page(body="comments")).text
    assert PARAGRAPH.strip() in whole
    assert extract(page(body="comments"), wanted=Wanted(comments=False)).text == whole


def test_tables_of_data_and_code_can_be_left_out() -> None:
    both = extract(page(TABLE, CODE, f"<p>{PARAGRAPH * 2}</p>")).text
    assert "1811\tseven" in both and "    wheel.turn(by=17)" in both
    no_tables = extract(page(TABLE, CODE, f"<p>{PARAGRAPH * 2}</p>"), wanted=Wanted(tables=False)).text
    assert "1811" not in no_tables and "wheel.turn" in no_tables
    no_code = extract(page(TABLE, CODE, f"<p>{PARAGRAPH * 2}</p>"), wanted=Wanted(code=False)).text
    assert "1811\tseven" in no_code and "wheel.turn" not in no_code


def test_a_table_that_lays_out_text_is_no_table_of_data() -> None:
    row = f"<tr><td>Mills</td><td>{PARAGRAPH * 8}</td></tr>"
    html = f"<html><body><h1>The old mill</h1><table>{row * 2}</table></body></html>".encode()
    assert extract(html).text.count(PARAGRAPH.strip()) == 16
    assert extract(html, wanted=Wanted(tables=False)) == extract(html)


def coverage(truth: str, text: str) -> float:
    """Share of the truth's 4-grams of words that are in the text."""
    want, have = shingles(truth), shingles(text)
    return sum((want & have).values()) / sum(want.values())


def test_comments_below_articles_of_real_templates(rows: list[dict[str, Any]]) -> None:
    commented = [row for row in rows if row["comments"]]
    assert len(commented) >= 9
    for row in commented:
        html = row["html"].encode()
        wanted, unwanted = (extract(html, wanted=Wanted(comments=wish)).text for wish in (True, False))
        assert coverage(row["comments"], wanted) > 0.9, row["id"]
        assert coverage(row["comments"], unwanted) < 0.05, row["id"]
        assert coverage(row["text"], unwanted) > 0.7, row["id"]


def test_threads_are_whole_with_comments_and_no_shorter_without(rows: list[dict[str, Any]]) -> None:
    """Posts of forums and answers are main text; what the classifier misses of them is kept if comments are wanted."""
    threads = [row for row in rows if row["kind"] in ("forum", "qa")]
    found = {
        wish: [extract(row["html"].encode(), wanted=Wanted(comments=wish)).text for row in threads]
        for wish in (None, True, False)
    }
    shares = {
        wish: [coverage(row["text"], text) for row, text in zip(threads, texts, strict=True)]
        for wish, texts in found.items()
    }
    means = {wish: sum(values) / len(values) for wish, values in shares.items()}
    assert means[True] > max(means[None], 0.98)
    assert means[False] >= means[None] - 0.01


def test_rows_and_code_of_real_templates(rows: list[dict[str, Any]]) -> None:
    n_rows = n_code = 0
    for row in rows:
        html = row["html"].encode()
        lines = ["\t".join(" ".join(cell.split()) for cell in cells) for cells in row["rows"]]
        blocks = [block.strip("\n") for block in row["code"] if len(block) >= 40]
        if not lines and not blocks:
            continue
        text, plain = extract(html).text, extract(html, wanted=Wanted(tables=False, code=False)).text
        n_rows += sum(line in text for line in lines) - 20 * sum(line in plain for line in lines)
        n_code += sum(block in text for block in blocks) - 20 * sum(block in plain for block in blocks)
    assert n_rows > 100 and n_code > 150


def test_settings_say_how_texts_are_written_in_every_profile() -> None:
    html = page(
        f'<h2>Where it is</h2><p>{PARAGRAPH} See <a href="/river">the river</a>. {PARAGRAPH * 2}</p>', TABLE, CODE
    )
    ours, theirs = (
        text_of(html, settings(profile=profile, markdown=True, links=True, tables=False, code=False))
        for profile in ("fast", "quality")
    )
    for text in (ours, theirs):
        assert "# The old mill" in text and "(/river)" in text
        assert "1811" not in text and "wheel.turn" not in text
    assert text_of(html, settings(profile="fast")) == extract(html).text
    assert text_of(html, settings(profile="quality")) == quality_text(html.decode())


def text_of(html: bytes, wish: ExtractSettings) -> str:
    with TemporaryDirectory() as folder:
        return PageExtractor(wish, Outputs(Path(folder), 0))([Page(html, "utf-8")])[0].text


@pytest.mark.parametrize("change", [{"markdown": True}, {"comments": False}, {"comments": True}, {"tables": False}])
def test_a_wish_is_part_of_what_a_task_is_known_by(change: dict[str, object]) -> None:
    keys = {IngestSettings(files=(), extract=settings(**wish)).model_dump_json() for wish in ({}, change)}
    assert len(keys) == 2


def test_comments_are_auto_or_a_boolean() -> None:
    assert [settings(comments=wish).wanted.comments for wish in ("auto", True, False)] == [None, True, False]
    with pytest.raises(ValueError, match="comments"):
        settings(comments="some")

"""The scanner: which elements, which blocks, what is counted; whatever bytes it is given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datassay.corpus.html.names import COMMENT_BIT, LANGUAGE, META_NAMES, N_STATED, TAGS, TITLE
from datassay.corpus.html.scan import (
    CHARS,
    COMMAS,
    COUNTS,
    ENDS,
    FIRST,
    LAST,
    LINK_CHARS,
    MAX_DEPTH,
    NODE,
    PARENT,
    PRE_TEXT,
    SENTENCES,
    TAG_OF,
    TEXT,
    TITLE_WORDS,
    WORDS,
    WORDS_OF,
    Scan,
    scan,
)


def scanned(html: str | bytes) -> tuple[bytes, Scan]:
    page = html.encode() if isinstance(html, str) else html
    return page, scan(np.frombuffer(page, np.uint8))


def blocks(html: str) -> list[tuple[str, str]]:
    """Path of the block element and text of each block."""
    page, found = scanned(html)
    return [(path(found, block[NODE]), text(page, found, block)) for block in found.blocks]


def path(found: Scan, node: int) -> str:
    names = []
    while node > 0:
        names.append(TAGS[found.nodes[node, TAG_OF]])
        node = found.nodes[node, PARENT]
    return " ".join(reversed(names))


def text(page: bytes, found: Scan, block: np.ndarray) -> str:
    segments = found.segments[block[FIRST] : block[LAST]]
    taken = b"".join(page[first:last] for first, last, kind in segments if kind in (TEXT, PRE_TEXT))
    return b" ".join(taken.split()).decode()


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("", []),
        ("text alone", [("", "text alone")]),
        ("<p>one<p>two", [("p", "one"), ("p", "two")]),
        ("<p>one<div>two</div>three", [("p", "one"), ("div", "two"), ("", "three")]),
        ("<ul><li>a<li>b<ul><li>c</ul></ul>", [("ul li", "a"), ("ul li", "b"), ("ul li ul li", "c")]),
        ("<dl><dt>t<dd>d<dt>u</dl>", [("dl dt", "t"), ("dl dd", "d"), ("dl dt", "u")]),
        ("<table><tr><td>1<td>2<tr><th>3</table>", [("table tr td", "1"), ("table tr td", "2"), ("table tr th", "3")]),
        (
            "<table><thead><tr><th>h<tbody><tr><td>c<tr><td>d</table>",
            [("table thead tr th", "h"), ("table tbody tr td", "c"), ("table tbody tr td", "d")],
        ),
        (
            "<table><tr><td>a<table><tr><td>b</table>c</table>",
            [
                ("table tr td", "a"),
                ("table tr td table tr td", "b"),
                ("table tr td", "c"),
            ],
        ),
        ("<p>a<b>b</b>c<br>d<br><br>e", [("p", "abcd"), ("p", "e")]),
        ("<div>a</p>b</div>", [("div", "a"), ("div", "b")]),  # an end tag without a start ends the block
        ("<p>a</b></i>b", [("p", "ab")]),
        ("<div><b>a</div>b", [("div", "a"), ("", "b")]),
        ("<a href=x>a<div>b</div></a>", [("", "a"), ("a div", "b")]),
        ("<p>1 < 2 and 3<4 &lt; 5", [("p", "1 < 2 and 3<4 &lt; 5")]),
        ("<P CLASS=x>a</P><!-- <p>no</p> --><p>b", [("p", "a"), ("p", "b")]),
        ("<!-->a<!--->b<!-- c --!>--> d", [("", "ab d")]),
        ("<?xml version='1.0'?><!DOCTYPE html>a", [("", "a")]),
        ("<script>if (a</b>) '<p>no'</script>yes<style>no</style>", [("", "yes")]),
        ("<SCRIPT>no</script >yes<noscript><p>no</noscript>", [("", "yes")]),
        ("<script src='x'/>yes", [("", "yes")]),
        ("<button>no</button><select><option>no</select>yes", [("", "yes")]),
        ("<svg><title>no</title></svg>yes", [("", "yes")]),
        ("<p title='a > b' class=\"x'y\">yes", [("p", "yes")]),
        ("<p>&nbsp;</p><p>\u00a0</p><p>yes", [("p", "yes")]),
        ("<html><head><title>T</title></head><body><p>a</body></html>b", [("html body p", "ab")]),
        ("<x-card class=y><p>a</p></x-card><p>b", [("? p", "a"), ("p", "b")]),
        ("<p><a name=x>a</a> b</p>", [("p", "a b")]),
    ],
)
def test_blocks(html: str, expected: list[tuple[str, str]]) -> None:
    assert blocks(html) == expected


def counts(html: str, column: int) -> list[float]:
    return [float(row[column]) for row in scanned(html)[1].counts]


@pytest.mark.parametrize(
    ("html", "column", "expected"),
    [
        ("<p>four words, of course.", WORDS, 4),
        ("<p>four words, of course.", CHARS, 19 + 4),
        ("<p>  two\n\n words ", CHARS, 8 + 2),
        ("<p>a &amp; b", CHARS, 3 + 3),
        ("<p>naïve café", CHARS, 9 + 2),
        ("<p>汉字是文字。", WORDS, 6),  # one a character, and the first of a run is one of its own
        ("<p>汉字", CHARS, 2 * 2 + 1),
        ("<p>ภาษาไทยเป็นภาษา", WORDS, 1 + 15 * 0.2),
        ("<p>ភាសាខ្មែរ", WORDS, 1 + 9 * 0.2),
        ("<p>한국어 글자", WORDS, 2),
        ("<p>One. Two! Three?", SENTENCES, 3),
        ("<p>一。二！三？", SENTENCES, 3),
        ("<p>هل هذا؟ نعم، هذا", SENTENCES, 1),
        ("<p>هل هذا؟ نعم، هذا", COMMAS, 1),
        ("<p>यह है। वह है।", SENTENCES, 2),
        ("<p>He said: “yes.”", ENDS, 1),
        ("<p>As follows:", ENDS, 0.5),
        ("<p>No end", ENDS, 0),
        ("<p>好。」", ENDS, 0),
        ("<p>a <a href=x>link</a> b", LINK_CHARS, 4 + 1),
        ("<p>an <a name=x>anchor</a>", LINK_CHARS, 0),
        ("<title>A quiet harbour</title><p>The quiet harbour is quiet", TITLE_WORDS, 3),
    ],
)
def test_counts(html: str, column: int, expected: float) -> None:
    found = counts(html, column)
    assert found == pytest.approx([expected], abs=1e-5)


def test_keywords_are_split_at_signs_and_capitals() -> None:
    _, found = scanned('<div class="post-comment_list"><p id=userReply>a</p></div><p class=commentary>b')
    assert [bool(node[WORDS_OF] >> COMMENT_BIT & 1) for node in found.nodes] == [False, True, True, False]


def test_statements() -> None:
    html = """<html lang="de"><meta property="og:title" content="First"><meta name=author content='Ann &amp; Bo'>
    <meta property="og:title" content="Second"><title>T</title><script type="application/ld+json">{"a": 1}</script>"""
    page, found = scanned(html)
    said = {place: page[first:last].decode() for place, (first, last) in enumerate(found.stated) if last}
    assert said == {
        META_NAMES.index("og:title"): "First",
        META_NAMES.index("author"): "Ann &amp; Bo",
        LANGUAGE: "de",
        TITLE: "T",
        N_STATED: '{"a": 1}',
    }


@pytest.mark.parametrize("depth", [MAX_DEPTH - 2, MAX_DEPTH, MAX_DEPTH + 1, 100_000])
def test_what_is_too_deep_belongs_to_the_element_at_the_limit(depth: int) -> None:
    html = "<div>" * depth + "<p>deep</p>" + "</div>" * depth + "<p>after</p>"
    page, found = scanned(html)
    assert [text(page, found, block) for block in found.blocks] == ["deep", "after"]
    assert path(found, found.blocks[1, NODE]) == "p"


SNIPPETS = st.sampled_from(
    [
        *("<p>", "</p>", "<td>", "<tr>", "<li>", "</ul>", "<ul>", "<table>", "</table>", "<pre>", "<br>", "<body>"),
        *("<a href='x'>", "</a>", "<code>", "<img alt=y>", "<svg>", "</svg/>", "<title>", "<script>", "</script>"),
        *("<meta name=author content=z>", "<b", ">", "<", "</", "<!--", "-->", '"', "'", "=", " "),
        *("text ", "&amp;", "\x00", "ไทย", "汉"),
    ]
)


@pytest.mark.parametrize("end", ["<title", "<title>", "<title>x", "<script", "<a href='x", "<!--", "</", "<p class="])
def test_page_that_ends_within_a_tag(end: str) -> None:
    page, found = scanned("<p>a" + end)
    assert [text(page, found, block) for block in found.blocks] == (["a</"] if end == "</" else ["a"])
    assert (found.stated <= len(page)).all()


def test_inline_elements_around_many_blocks_do_not_add_up() -> None:
    html = "<code><a href=x><code>" * 100 + "a<br><br>" * 500
    page, found = scanned(html)
    assert len(found.blocks) == 500
    assert_sound(page, found)


@given(st.lists(SNIPPETS, max_size=60))
def test_any_soup_gives_a_sound_table(snippets: list[str]) -> None:
    page, found = scanned("".join(snippets))
    assert_sound(page, found)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_sound_table(body: bytes) -> None:
    page, found = scanned(body)
    assert_sound(page, found)


def assert_sound(page: bytes, found: Scan) -> None:
    """Parents before children, blocks and segments in order and inside the page, counts that are counts."""
    numbers = np.arange(len(found.nodes))
    assert (found.nodes[:, PARENT] < numbers).all()
    assert ((found.blocks[:, NODE] >= 0) & (found.blocks[:, NODE] < len(found.nodes))).all()
    assert (found.blocks[:, FIRST] < found.blocks[:, LAST]).all()
    assert (found.blocks[1:, FIRST] >= found.blocks[:-1, LAST]).all()
    assert ((found.segments[:, 1] >= found.segments[:, 0]) & (found.segments[:, 1] <= len(page))).all()
    texts = found.segments[found.segments[:, 2] == TEXT]
    assert (texts[1:, 0] >= texts[:-1, 1]).all()
    assert found.counts.shape == (len(found.blocks), len(COUNTS))
    assert (found.counts >= 0).all()

"""From blocks to text: units, layout, Markdown, statements, and which blocks are chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datassay.corpus.errors import InputError
from datassay.corpus.html.classifier import load, main_blocks
from datassay.corpus.html.features import FEATURES, N_SECOND, measure
from datassay.corpus.html.render import PLAIN, Style, written
from datassay.corpus.html.scan import CHARS, scan
from datassay.corpus.html.stated import article_body, stated
from datassay.corpus.html.trees import Trees, probabilities
from datassay.corpus.html.units import united


def whole(html: str, style: Style = PLAIN) -> str:
    """All blocks as text."""
    page = np.frombuffer(html.encode(), np.uint8)
    found = scan(page)
    return written(page, found, np.ones(len(found.blocks), np.bool_), style)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>a\n  b &amp; c&#33;<p>d", "a b & c!\nd"),
        ("a<br>b", "a\nb"),
        ("<ul><li>a<li><p>b</p><p>c</p></ul>", "- a\n- b\nc"),
        ("<table><tr><th>a<th>b<tr><td>1<td>2</table>", "a\tb\n1\t2"),
        ("<table><tr><td>a<td><td>c<tr><td><td>2</table>", "a\t\tc\n\t2"),
        ("<table><tr><td><p>a</p><p>b</p><td>c</table>", "a\nb\nc"),  # for layout
        ("<pre>\n  x = 1\n\n    y  =  2\n</pre>", "  x = 1\n\n    y  =  2"),
        ("<pre>  <b>if</b> x:\n    <i>y</i></pre>", "  if x:\n    y"),
        ("<pre>a\r\n\tb &lt; c</pre><p>d", "a\n\tb < c\nd"),
        ("<pre>a<br>b</pre>", "a\nb"),
    ],
)
def test_plain(html: str, expected: str) -> None:
    assert whole(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<h2>a</h2><p>b", "## a\n\nb"),
        ("<ul><li>a<ul><li>b</ul><li>c</ul>", "- a\n  - b\n- c"),
        ("<ol><li>a<li><p>b</p><p>c</p></ol>", "1. a\n2. b\n\n  c"),
        ("<table><tr><th>a<th>b<tr><td>1|2<td>3</table>", "| a | b |\n| --- | --- |\n| 1\\|2 | 3 |"),
        ("<pre>x = 1\ny</pre>", "```\nx = 1\ny\n```"),
        ("<p>call <code>f()</code> now", "call `f()` now"),
        ("<blockquote>a<br>b</blockquote>", "> a\n> b"),
        ('<p><a href="/x?a=1&amp;b">b</a> c', "[b](/x?a=1&b) c"),
        ("<p>a <img alt='A cat'> b", "a ![A cat]() b"),
        ("<p>a</p><img alt='A cat'><p>b", "a\n\n![A cat]()b"),
    ],
)
def test_markdown(html: str, expected: str) -> None:
    assert whole(html, Style(is_markdown=True, has_links=True, has_images=True)) == expected


def test_links_and_images_are_left_out_by_default() -> None:
    assert whole("<p><a href=x>b</a> <img alt='A cat'> c", Style(is_markdown=True)) == "b c"


@pytest.mark.parametrize(
    ("html", "n_units"),
    [
        ("<table><tr><td>a<td>b<tr><td>c<td>d</table>", 1),
        ("<table><tr><td>a<td>b<tr><td><p>c<p>d<td>e</table>", 4),  # the first row is one, the second no data
        ("<ul><li>a<li>b</ul><p>c", 2),
        ("<ul><li>a<li>" + "b" * 81 + "</ul>", 2),
        ("<ul><li>a<li>" + "b" * 78 + "</ul>", 1),
    ],
)
def test_units(html: str, n_units: int) -> None:
    found = scan(np.frombuffer(html.encode(), np.uint8))
    units, unit = united(found)
    assert len(units.blocks) == n_units
    assert unit.tolist() == sorted(unit.tolist()) and set(unit) == set(range(n_units))
    assert units.counts[:, CHARS].sum() == found.counts[:, CHARS].sum()


def test_features_have_their_names() -> None:
    html = "<body><div class=comment><p><a href=x>" + "word " * 20 + "</a></p></div><p>" + "Text. " * 20
    found = measure(scan(np.frombuffer(html.encode(), np.uint8)))
    assert found.features.shape == (2, N_SECOND)
    column = {name: found.features[:, k].tolist() for k, name in enumerate(FEATURES)}
    assert column["link_density"] == [1, 0]
    assert column["sentences"] == [0, 20]
    assert column["keyword_0"] == [11, 0]  # the element above the block's own
    assert column["in_p"] == [12, 12]
    assert column["level1_paragraph_share"] == [0, 1]
    assert column["until_paragraph"] == [1, 40]


def test_trees_by_hand() -> None:
    """One tree: x0 <= 1 gives 2, else x2 <= 0 gives -1, else 3; another gives .5 to all."""
    trees = Trees(
        column=np.array([0, 2], np.int16),
        place=np.array([1, 0], np.int16),
        limit=np.array([0, 1], np.float32),
        left=np.array([0b010, 0b001], np.uint32),
        start=np.array([0, 2, 2], np.int32),
        leaf=np.array([2, -1, 3, 0.5], np.float32),
    )
    nan = np.nan  # goes to the left, as everywhere
    features = np.array([[1, 7, 9], [2, 7, 0], [2, 7, 1], [0, 7, 0], [2, 7, nan], [nan, 7, 1]], np.float32)
    found = probabilities(trees, features, np.array([True, True, True, False, True, True]))
    scores = [2.5, -0.5, 3.5, None, -0.5, 2.5]
    expected = [0.0 if score is None else 1 / (1 + np.exp(-score)) for score in scores]
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


ARTICLE = (
    "<nav><a href=/>Home</a> <a href=/n>News</a></nav><article><h1>Harbour</h1>"
    + "<p>The harbour was quiet that morning, and only the gulls were awake to see the boat come in.</p>" * 3
    + "</article><footer>All rights reserved</footer>"
)


@pytest.mark.parametrize("has_model", [True, False])
def test_choice_with_and_without_a_model(has_model: bool) -> None:
    page = np.frombuffer(ARTICLE.encode(), np.uint8)
    found = scan(page)
    keep, doubt = main_blocks(found, load() if has_model else None)
    text = written(page, found, keep)
    assert text.count("The harbour was quiet") == 3
    assert "Home" not in text and "rights" not in text
    assert doubt < 0.3 if has_model else doubt == 1


def test_model_of_other_features_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "old.npz", features=np.array(["log_chars"]))
    with pytest.raises(InputError, match="train it anew"):
        load(tmp_path / "old.npz")
    assert load(tmp_path / "none.npz") is None


def test_linked_data_states_what_meta_elements_do_not() -> None:
    html = """<meta name=author content="Ann"><link rel=canonical href="https://a.example/x">
    <meta property=og:site_name content="A &amp; B">
    <script type="application/ld+json">{"@graph": [{"@type": "WebPage"}, {"datePublished": "2024-05-06",
      "author": [{"name": "Bo"}], "articleBody": "One <b>two</b>.\\nThree &amp; four"}]}</script>
    <script type="application/ld+json">{broken</script>"""
    page = html.encode()
    found = scan(np.frombuffer(page, np.uint8))
    says = stated(page, found)
    assert (says.author, says.date, says.title) == ("Ann", "2024-05-06", None)
    assert (says.url, says.site_name) == ("https://a.example/x", "A & B")
    assert article_body(page, found) == "One two .\nThree & four"

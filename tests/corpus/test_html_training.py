"""Training: which blocks are wanted, and a classifier that learns from a few pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datassay.corpus.html.classifier import load, main_blocks, save
from datassay.corpus.html.labels import labels
from datassay.corpus.html.render import written
from datassay.corpus.html.scan import scan

pytest.importorskip("rapidfuzz", exc_type=ImportError)
pytest.importorskip("lightgbm", exc_type=ImportError)

WORDS = "harbour gulls morning boat quiet pier bread wind coat night rain light water stone road field".split()  # noqa: SIM905


def text_of(page: int, paragraph: int) -> str:
    return " ".join(WORDS[(3 * page + 5 * paragraph + k * k) % len(WORDS)] for k in range(30)) + "."


def page_of(page: int) -> tuple[bytes, str]:
    """A page, and its text: three paragraphs between a menu and advertisements that are as long."""
    texts = [text_of(page, k) for k in range(3)]
    menu = "<nav>" + "".join(f"<p><a href=/{word}>{word} and more</a></p>" for word in WORDS) + "</nav>"
    noise = "".join(f"<div class=ad>{text_of(page, 9 + k).upper()}</div>" for k in range(3))
    html = f"{menu}<article>{''.join(f'<p>{text}</p>' for text in texts)}</article>{noise}"
    return html.encode(), "\n".join(texts)


def test_labels_are_shares_of_aligned_words() -> None:
    blocks = ["a b c d e f g h".split(), "x y z w v".split(), "i j k l x y".split(), ["b"]]  # noqa: SIM905
    share = labels(blocks, "a b c d e f g h i j k l")
    assert share.tolist() == pytest.approx([1, 0, 4 / 6, 0])  # the last one's word stands elsewhere in the text


def test_a_classifier_learns_and_is_the_same_twice(tmp_path: Path) -> None:
    from datassay.corpus.html.training import Example, prepare, train

    examples = [Example(*page_of(k)) for k in range(24)]
    pages = [page for example in examples if (page := prepare(example)) is not None]
    for name in ("one.npz", "two.npz"):
        save(train(pages, rounds=(10, 10)), tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    html, wanted = page_of(77)
    content = np.frombuffer(html, np.uint8)
    found = scan(content)
    keep, _ = main_blocks(found, load(tmp_path / "one.npz"))
    assert written(content, found, keep) == wanted


def test_cells_of_a_table_are_words_apart() -> None:
    from datassay.corpus.html.training import Example, prepare

    rows = [WORDS[i : i + 4] for i in range(0, 16, 4)]
    table = "".join(f"<tr>{''.join(f'<td>{word}</td>' for word in row)}</tr>" for row in rows)
    prepared = prepare(Example(f"<main><table>{table}</table></main>".encode(), "\n".join("\t".join(r) for r in rows)))
    assert prepared is not None
    assert prepared.is_wanted.tolist() == [True]  # a table of data is one block

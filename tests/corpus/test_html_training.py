"""Training: which blocks are wanted, and a classifier that learns from a few pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datassay.corpus.errors import InputError
from datassay.corpus.html.classifier import Classifier, load, main_blocks, save
from datassay.corpus.html.labels import labels
from datassay.corpus.html.render import written
from datassay.corpus.html.scan import scan
from datassay.corpus.html.trees import MAX_LEAVES, probabilities

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


@pytest.mark.parametrize("n_leaves", [2, 15, 32])
def test_trees_are_what_lightgbm_made(n_leaves: int) -> None:
    """To the last leaf, with as many as there may be."""
    import lightgbm

    from datassay.corpus.html.training import flat

    rng = np.random.default_rng(n_leaves)
    features = rng.normal(size=(2000, 9)).round(2).astype(np.float32)
    wanted = features[:, 1] * features[:, 4] + rng.normal(size=2000) > 0.5
    parameters = {"objective": "binary", "num_leaves": n_leaves, "num_threads": 1, "verbose": -1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(features, wanted), 20)
    trees = flat(booster)
    assert np.diff(trees.start).tolist() == [n_leaves - 1] * 20
    found = probabilities(trees, features, np.ones(2000, np.bool_))
    assert found.tolist() == pytest.approx(booster.predict(features).tolist(), abs=1e-6)


def test_a_tree_with_more_leaves_than_there_may_be_is_refused(tmp_path: Path) -> None:
    ours = load()
    assert ours is not None
    for n_splits in (MAX_LEAVES - 1, MAX_LEAVES):
        tree = ours.first._replace(start=np.array([0, n_splits], np.int32))
        save(Classifier(tree, ours.second), tmp_path / f"{n_splits}.npz")
    assert load(tmp_path / f"{MAX_LEAVES - 1}.npz") is not None
    with pytest.raises(InputError, match="no classifier of blocks"):
        load(tmp_path / f"{MAX_LEAVES}.npz")

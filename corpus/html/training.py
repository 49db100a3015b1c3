"""Training the classifier of blocks: two stages of gradient-boosted trees on pages whose text is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.errors import InputError
from datassay.corpus.html.classifier import Classifier
from datassay.corpus.html.features import N_FEATURES, Measured, add_probabilities, measure
from datassay.corpus.html.labels import block_words, labels
from datassay.corpus.html.scan import Scan, scan
from datassay.corpus.html.trees import Trees, probabilities
from datassay.corpus.html.units import united

if TYPE_CHECKING:
    import lightgbm

Floats = NDArray[np.float32]

PARAMETERS = {
    "objective": "binary",
    "num_leaves": 15,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "min_data_in_leaf": 25,
    "lambda_l2": 5,
    "max_bin": 127,
    "num_threads": 1,  # more would add in another order
    "deterministic": True,
    "verbose": -1,
}
"""Of LightGBM. With a prototype leaves from 15 to 31 and weights of distilled pages from .5 to 1 were within noise."""
ROUNDS = (60, 150)
"""Trees of the first and the second stage…"""
RATES = (0.12, 0.06)
"""…and their learning rates."""
FOLDS = 4
"""The second stage learns from probabilities of first stages that have not seen the page, trained on the others."""
UNSURE_WEIGHT = 0.2
"""Of a block on which two teachers disagree."""
MIN_BLOCKS = 25
"""Of main text, and of other text: no leaf of a tree holds fewer (min_data_in_leaf)."""


@dataclass(frozen=True, slots=True)
class Example:
    """A page with the text that it should give."""

    html: bytes  # UTF-8
    text: str
    other_text: str | None = None
    """A second opinion: blocks on which the two differ count less."""
    weight: float = 1.0
    """Of the page; 1 for text that people marked."""
    group: str | None = None
    """Pages of one group stand on one side of every split; None is a group of its own."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An example's blocks: features, whether each is wanted, and how much it counts."""

    page: Scan
    measured: Measured
    is_wanted: NDArray[np.bool_]
    weight: Floats
    group: str | None = None


def prepare(example: Example) -> Prepared | None:
    """The blocks of an example; None if the page has none. A block counts by its share of the wanted words, at most as
    much as the whole page of another."""
    content = np.frombuffer(example.html, np.uint8)
    blocks = scan(content)
    page, unit = united(blocks)
    if not len(page.blocks):
        return None
    words: list[list[str]] = [[] for _ in page.blocks]
    for u, of_block in zip(unit, block_words(content, blocks), strict=True):  # cells are words apart
        words[u] += of_block
    share = labels(words, example.text)
    n_words = np.array([len(block) for block in words], np.float32)
    n_wanted = n_words[share >= 0.5].sum()
    weight = example.weight * np.minimum((n_words + 2) / (n_wanted + 60), np.float32(1))
    if example.other_text is not None:
        other = labels(words, example.other_text)
        weight[np.abs(share - other) > 0.5] *= UNSURE_WEIGHT
        share = (share + other) * np.float32(0.5)
    return Prepared(page, measure(page), share >= 0.5, weight.astype(np.float32), example.group)


def train(pages: Sequence[Prepared], *, seed: int = 1, rounds: tuple[int, int] = ROUNDS) -> Classifier:
    """A classifier from these pages. The same pages in the same order and the same seed give the same one.

    Raises InputError if the pages are too few.
    """
    check_enough(pages)
    fold = folds([page.group for page in pages], FOLDS, seed=seed)
    for k in range(FOLDS):
        stage = _stage([page for page, f in zip(pages, fold, strict=True) if f != k], 0, rounds, seed)
        for page, f in zip(pages, fold, strict=True):
            if f == k:
                everything = np.ones(len(page.weight), np.bool_)
                p = probabilities(stage, page.measured.features, everything)
                add_probabilities(page.page, page.measured, p)
    return Classifier(_stage(pages, 0, rounds, seed), _stage(pages, 1, rounds, seed))


def check_enough(pages: Sequence[Prepared]) -> None:
    """Raises InputError if these pages are too few to train on."""
    n_groups = len(set(own_groups([page.group for page in pages])))
    if n_groups < FOLDS:
        raise InputError(
            f"{len(pages)} pages with blocks in {n_groups} groups are too few to train on: the second stage learns "
            f"from {FOLDS} first stages that have not seen a group, so it needs {FOLDS} groups; give more pages"
        )
    n_wanted = sum(int(page.is_wanted.sum()) for page in pages)
    n_others = sum(len(page.is_wanted) for page in pages) - n_wanted
    if min(n_wanted, n_others) < MIN_BLOCKS:
        raise InputError(
            f"{len(pages)} pages with {n_wanted} blocks of main text and {n_others} others are too few to train on: a "
            f"leaf of a tree holds {MIN_BLOCKS}, so it needs as many of either; give more pages, or whole ones"
        )


def own_groups(groups: Sequence[str | None]) -> list[Hashable]:
    """The group of each page; a number where it has none."""
    return [i if group is None else group for i, group in enumerate(groups)]


def folds(groups: Sequence[str | None], n_folds: int, *, seed: int) -> NDArray[np.int64]:
    """(pages,) the fold of each page, a group's pages in one: larger groups first, those of one size in random order,
    each to the fold that has the fewest pages."""
    own = own_groups(groups)
    n_pages = Counter(own)
    place = np.random.default_rng(seed).permutation(len(n_pages))
    at = dict(zip(n_pages, place.tolist(), strict=True))
    filled = np.zeros(n_folds, np.int64)
    fold_of: dict[Hashable, int] = {}
    for group in sorted(n_pages, key=lambda group: (-n_pages[group], at[group])):
        fold_of[group] = int(filled.argmin())
        filled[fold_of[group]] += n_pages[group]
    return np.array([fold_of[group] for group in own], np.int64)


def cross_validation(
    pages: Sequence[Prepared | None], fold: NDArray[np.int64], *, others: Sequence[Prepared] = (), seed: int = 1
) -> Iterator[tuple[list[int], Classifier]]:
    """For each fold, which pages it has, and a classifier that has seen all pages but those.

    pages: None for one without blocks
    fold: (pages,) the fold of each
    others: pages that every classifier learns from
    Raises InputError if the pages of the other folds are too few, before the first training.
    """
    learned = []
    for k in range(int(fold.max()) + 1):
        learned.append([page for page, f in zip(pages, fold, strict=True) if f != k and page is not None])
        learned[k] += others
        check_enough(learned[k])
    for k, known in enumerate(learned):
        yield np.flatnonzero(fold == k).tolist(), train(known, seed=seed)


def _stage(pages: Sequence[Prepared], number: int, rounds: tuple[int, int], seed: int) -> Trees:
    import lightgbm

    n_features = N_FEATURES if number == 0 else pages[0].measured.features.shape[1]
    features = np.concatenate([page.measured.features[:, :n_features] for page in pages])
    wanted = np.concatenate([page.is_wanted for page in pages])
    weight = np.concatenate([page.weight for page in pages])
    data = lightgbm.Dataset(features, wanted, weight=weight / weight.mean())
    parameters = {**PARAMETERS, "learning_rate": RATES[number], "seed": seed}
    return flat(lightgbm.train(parameters, data, rounds[number]))


def flat(booster: lightgbm.Booster) -> Trees:
    """LightGBM's trees as arrays."""
    columns: list[int] = []
    limit: list[float] = []
    left: list[int] = []
    leaf: list[float] = []
    start = [0]

    def add(node: dict[str, Any], first: int) -> int:
        """Write down what is below a node, whose leaves begin with number `first` of the tree; their number."""
        if "leaf_value" in node:
            leaf.append(node["leaf_value"])
            return 1
        n_left = add(node["left_child"], first)
        n_right = add(node["right_child"], first + n_left)
        columns.append(node["split_feature"])
        limit.append(node["threshold"])
        left.append(((1 << n_left) - 1) << first)
        return n_left + n_right

    for tree in booster.dump_model()["tree_info"]:
        add(tree["tree_structure"], 0)
        start.append(len(columns))
    column, place = np.unique(np.array(columns, np.int16), return_inverse=True)
    return Trees(
        column,
        place.astype(np.int16),
        np.array(limit, np.float32),
        np.array(left, np.uint32),
        np.array(start, np.int32),
        np.array(leaf, np.float32),
    )

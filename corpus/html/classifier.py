"""The classifier of blocks: two stages of trees, kept in one file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.errors import InputError
from datassay.corpus.html.choose import choose, choose_by_rule, keep_index
from datassay.corpus.html.features import SECOND_FEATURES, add_probabilities, measure
from datassay.corpus.html.scan import Scan
from datassay.corpus.html.trees import MAX_LEAVES, Trees, probabilities
from datassay.corpus.html.units import united

MODEL_PATH = Path(__file__).parents[1] / "data" / "main_text.npz"
"""The model that comes with datassay; main_text.md beside it says what it was trained on."""
SECOND_FROM = 0.02
"""The second stage asks about blocks of this probability or more; the others are not main text."""
INDEX_DOUBT = 0.5
"""Doubt about an index, which a rule keeps against what the classifier says."""


class Classifier(NamedTuple):
    """How blocks become probabilities."""

    first: Trees
    second: Trees


def save(classifier: Classifier, path: Path) -> None:
    """Write a classifier; the same one gives the same bytes."""
    arrays = {
        f"{stage}_{field}": getattr(trees, field)
        for stage, trees in classifier._asdict().items()
        for field in Trees._fields
    }
    with path.open("wb") as file:
        np.savez_compressed(file, features=np.array(SECOND_FEATURES), **arrays)


@lru_cache(maxsize=4)
def load(path: Path = MODEL_PATH) -> Classifier | None:
    """The classifier of a file; None if there is no file. Raises InputError if it is none, or for other features."""
    if not path.exists():
        return None
    try:
        with np.load(path) as arrays:
            if arrays["features"].tolist() != list(SECOND_FEATURES):
                raise InputError(f"{path}: made by another version, with other features: train it anew")
            stages = [Trees(*(arrays[f"{stage}_{field}"] for field in Trees._fields)) for stage in Classifier._fields]
            if any(np.diff(trees.start).max(initial=0) >= MAX_LEAVES for trees in stages):
                raise ValueError(f"a tree has more than {MAX_LEAVES} leaves")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, BadZipFile) as error:
        raise InputError(f"{path}: no classifier of blocks; `datassay extractor train` makes one") from error
    return Classifier(*stages)


def load_given(path: Path) -> Classifier:
    """The classifier of a file that the user names. Raises InputError if there is no such file, or if it is none."""
    classifier = load(path)
    if classifier is None:
        raise InputError(f"{path}: no such file; `datassay extractor train` makes a classifier")
    return classifier


def main_blocks(page: Scan, classifier: Classifier | None) -> tuple[NDArray[np.bool_], float]:
    """(blocks,) which are main text, and how doubtful that is, 0 to 1; by plain rule, and as doubtful as can be,
    without a classifier."""
    page, unit = united(page)
    measured = measure(page)
    if classifier is None:
        return choose_by_rule(page, measured)[unit], 1.0
    first = probabilities(classifier.first, measured.features, np.ones(len(page.blocks), np.bool_))
    add_probabilities(page, measured, first)
    second = probabilities(classifier.second, measured.features, first >= SECOND_FROM)
    keep, doubt = choose(page.counts, first, second)
    if keep_index(page, measured, keep):
        doubt = max(doubt, INDEX_DOUBT)
    return keep[unit], float(doubt)

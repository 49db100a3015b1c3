"""The documents that a quality classifier is trained on and measured with, of both classes.

Which ones is decided by hashes of their ids, so neither order nor shards matter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

from datassay.corpus.engine import Inputs
from datassay.corpus.hashing import uniform
from datassay.corpus.store import read_batches
from datassay.filters.evaluation import evaluate_scores, evaluation_card
from datassay.filters.quality_settings import QualitySettings

MAX_HELD_OUT = 1000
"""Documents of a class held out of training, at most; they are held in memory."""

_WORD = re.compile(r"[^\W_]+|[^\w\s]|_")  # no underscore in a word, so no text can hold `__label__`


@dataclass(frozen=True, slots=True)
class Example:
    """A document to train on, or held out to measure."""

    label: str
    """`good` or `raw`."""
    id: str
    n_chars: int
    head: str
    """The text, as far as it is read."""
    text_hash: int
    """Of the words that are read: documents with equal ones are copies."""
    pieces: list[str]
    """The words of some pieces, set apart by spaces."""
    is_held_out: bool


@dataclass(frozen=True, slots=True)
class GoodClass:
    """What has to be known of the good documents before the raw ones are read."""

    text_hashes: frozenset[int]
    n_documents: int
    n_pieces: int
    """To train on."""


def words_of(text: str) -> list[str]:
    """Lower-cased words and single punctuation marks."""
    return _WORD.findall(text.lower())


def pieces_of(words: Sequence[str], piece_words: int) -> list[str]:
    """The words, cut into lines of equal length near `piece_words`; none for no words.

    Lines of a document of n words have n / round(n / piece_words) words: between 2/3 and 3/2 of piece_words for all but
    the shortest documents, and no short remainder at the end.
    """
    n_pieces = max(1, round(len(words) / piece_words))
    edges = [len(words) * i // n_pieces for i in range(n_pieces + 1)]
    return [" ".join(words[a:b]) for a, b in pairwise(edges) if b > a]


def good_class(inputs: Inputs, settings: QualitySettings) -> GoodClass:
    """Read the good documents once."""
    hashes, n_documents, n_pieces = set(), 0, 0
    for example in good_examples(inputs, settings):
        hashes.add(example.text_hash)
        n_documents += 1
        n_pieces += 0 if example.is_held_out else len(example.pieces)
    return GoodClass(frozenset(hashes), n_documents, n_pieces)


def good_examples(inputs: Inputs, settings: QualitySettings) -> Iterator[Example]:
    """The good documents, from dataset `reference`."""
    return _examples("good", inputs.all("reference"), settings.n_train_documents, settings)


def raw_examples(inputs: Inputs, settings: QualitySettings, good: GoodClass, counts: Counter[str]) -> Iterator[Example]:
    """The documents to tell good ones from: those of dataset `bad` if there is one, else the raw ones of `clean`.

    Without copies of good ones, which `counts` counts.
    """
    paths = inputs.files.get("bad") or inputs.all("clean")
    n_raw = min(settings.n_train_documents, settings.raw_per_good * good.n_documents)
    for example in _examples("raw", paths, n_raw, settings):
        if example.text_hash in good.text_hashes:
            counts["raw_copies_of_good"] += 1
        else:
            yield example


def _examples(label: str, paths: Sequence[Path], n_documents: int, settings: QualitySettings) -> Iterator[Example]:
    """The n_documents documents of these shards whose ids have the smallest hashes, in the order of the shards."""
    draws = [uniform(settings.seed, batch["id"].to_pylist()) for batch in read_batches(paths, columns=["id"])]
    ordered = np.sort(np.concatenate([*draws, np.empty(0)]))[:n_documents]
    if not len(ordered):
        return
    limit = ordered[-1]
    # The documents with the very smallest hashes are held out: a sample by hash of the sample.
    n_held_out = min(int(len(ordered) * settings.held_out), MAX_HELD_OUT)
    held_out_below = ordered[n_held_out]
    for batch in read_batches(paths, columns=["id", "text"], n_rows=512):
        ids = batch["id"].to_pylist()
        for i in np.flatnonzero((draw := uniform(settings.seed, ids)) <= limit):
            text = batch["text"][int(i)].as_py()
            head = text[: settings.head_chars]
            words = words_of(head)
            pieces = pieces_of(words, settings.piece_words)
            spread = pieces[:: -(-len(pieces) // settings.max_pieces)] if pieces else []
            is_held_out = bool(draw[i] < held_out_below)
            yield Example(label, ids[i], len(text), head, _hash(" ".join(words)), spread, is_held_out)


def by_id(examples: Iterable[Example]) -> list[Example]:
    """The examples in an order that does not depend on shards, so that sums of floats do not either."""
    return sorted(examples, key=lambda example: (example.label, example.id))


def held_out_card(examples: Sequence[Example], scores: NDArray[np.float64]) -> dict[str, object]:
    """What held-out documents say of a classifier, as JSON: AUCs beside those of length, and calibration.

    Raw documents count as bad ones, though some are good.
    """
    is_good = np.array([example.label == "good" for example in examples], bool)
    n_chars = np.array([example.n_chars for example in examples], np.float64)
    card = evaluation_card(evaluate_scores(scores, is_good, n_chars))
    return {"good_documents": card.pop("n_good"), "raw_documents": card.pop("n_bad"), **card}


def _hash(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode())

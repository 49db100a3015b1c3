"""How good the texts are that are found in pages: F1 of words' 4-grams, with a bootstrap interval.

Scores are those of scrapinghub/article-extraction-benchmark: multisets of 4-grams of words; true positives, false
positives and false negatives are divided by their sum for each page, and precision and recall come from their means
over pages, so that every page counts alike and an empty answer counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.html.classifier import Classifier, main_blocks
from datassay.corpus.html.labels import WORD, N
from datassay.corpus.html.render import written
from datassay.corpus.html.scan import scan

Shares = tuple[float, float, float]
"""Of a page: true positives, false positives and false negatives; they sum to 1, or to 0 if both texts are empty."""
N_REPLICATES = 2000
"""Of the bootstrap: the ends of an interval then vary by a few per cent of its width."""


def answer(html: bytes, classifier: Classifier | None) -> tuple[str, float]:
    """The text that a classifier finds in a page in UTF-8, and its doubt; by plain rule, in full doubt, without one."""
    content = np.frombuffer(html, np.uint8)
    page = scan(content)
    keep, doubt = main_blocks(page, classifier)
    return written(content, page, keep), doubt


def shingles(text: str, *, n: int = N) -> Counter[tuple[str, ...]]:
    """The n-grams of the text's words, with how often each occurs; one shorter one where there are fewer words."""
    words = WORD.findall(text)
    return Counter(tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1)))


def page_shares(wanted: str, found: str) -> Shares:
    """How the text that was found in a page agrees with the one that it should give."""
    if not wanted.strip() and not found.strip():
        return 0.0, 0.0, 0.0
    want, have = shingles(wanted), shingles(found)
    true = sum((want & have).values())
    false, missed = sum((have - want).values()), sum((want - have).values())
    total = true + false + missed
    return true / total, false / total, missed / total


def scores(shares: Sequence[Shares]) -> tuple[float, float, float]:
    """F1, precision and recall from the mean shares; 0 where nothing is right."""
    true, false, missed = (sum(column) / len(shares) for column in zip(*shares, strict=True))
    if true == 0:
        return 0.0, 0.0, 0.0
    precision, recall = true / (true + false), true / (true + missed)
    return 2 * precision * recall / (precision + recall), precision, recall


def f1_replicates(shares: Sequence[Shares], groups: Sequence[Hashable]) -> NDArray[np.float64]:
    """(N_REPLICATES,) F1 of pages drawn with replacement, a group's pages together.

    Answers to the same pages in the same groups get the same draws, so that their replicates can be subtracted.
    """
    number: dict[Hashable, int] = {}
    of_page = [number.setdefault(group, len(number)) for group in groups]
    sums = np.zeros((len(number), 3))
    np.add.at(sums, of_page, np.array(shares))
    draws = np.random.default_rng(0).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=N_REPLICATES)
    true, false, missed = (draws @ sums).T
    f1: NDArray[np.float64] = 2 * true / np.maximum(2 * true + false + missed, 1e-12)
    return f1


def interval(replicates: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 %."""
    low, high = np.quantile(replicates, [0.025, 0.975])
    return float(low), float(high)

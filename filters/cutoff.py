"""Score cut-offs: a fixed score, the best share of the documents, a budget of tokens, or GPT-3's Pareto draw.

Scores and lengths are numbers of one document each; larger scores are better. Documents with equal scores are ordered
by a tie in [0, 1), a hash of their id, so that counts are exact and do not depend on the order of documents.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Cutoff:
    """What to keep, as parsed from a recipe; `text` is how it was written."""

    kind: Literal["at_least", "top", "tokens", "pareto"]
    amount: Fraction
    """A score, a share of the documents between 0 and 1, a number of tokens, or the shape of the distribution."""
    text: str


@dataclass(frozen=True, slots=True)
class Limit:
    """Keep a document with a larger score, or with this score and a tie that is not larger; finite, so that JSON can
    hold it."""

    score: float
    tie: float


EVERYTHING = Limit(-sys.float_info.max, 1.0)
NOTHING = Limit(sys.float_info.max, 0.0)

_NUMBER = r"([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
_FORMS: tuple[tuple[Literal["at_least", "top", "tokens", "pareto"], re.Pattern[str]], ...] = (
    ("at_least", re.compile(rf">=\s*{_NUMBER}")),
    ("top", re.compile(rf"top\s+{_NUMBER}\s*%")),
    ("tokens", re.compile(rf"{_NUMBER}\s+tokens")),
    ("pareto", re.compile(rf"pareto\s+{_NUMBER}")),
)


def parse_cutoff(text: str) -> Cutoff:
    """The cut-off that a recipe's `keep` describes. Raises RecipeError if it is none.

    ">= 0.5" keeps these scores; "top 30%" the best 30 documents of 100, rounded down; "2e9 tokens" the best documents
    that fit into so many tokens together; "pareto 9" a document of score s with probability (2 - s)**-9.
    """
    for kind, form in _FORMS:
        if match := form.fullmatch(text.strip()):
            return Cutoff(kind, _amount(kind, match[1], text), text.strip())
    raise RecipeError(f'keep = {text!r}: not a cut-off; right would be ">= 0.5", "top 30%", "2e9 tokens" or "pareto 9"')


def _amount(kind: str, number: str, text: str) -> Fraction:
    amount = Fraction(number)
    if kind == "top":
        amount /= 100
        if not 0 < amount <= 1:
            raise RecipeError(f'keep = {text!r}: a share is above 0% and at most 100%, such as "top 30%"')
    elif kind in ("tokens", "pareto") and amount <= 0:
        example = "2e9 tokens" if kind == "tokens" else "pareto 9"
        raise RecipeError(f'keep = {text!r}: the number must be above 0, such as "{example}"')
    return amount


def threshold(
    cutoff: Cutoff, scores: NDArray[np.float64], *, ties: NDArray[np.float64], n_tokens: NDArray[np.float64]
) -> Limit:
    """The limit that keeps what a cut-off asks for among these candidates, all arrays (documents,).

    "top" keeps exactly floor(share x documents). "tokens" takes documents from the best down and stops before the first
    that would go over the budget. A Pareto cut-off has no limit: see `pareto_kept`.
    """
    if cutoff.kind == "at_least":
        return Limit(float(cutoff.amount), 1.0)  # ties are below 1
    if cutoff.kind == "pareto":
        raise ValueError("a Pareto cut-off has no limit")
    order = np.lexsort((ties, -scores))  # best first
    if cutoff.kind == "top":
        n_kept = math.floor(cutoff.amount * len(scores))
    else:
        n_kept = int(np.searchsorted(np.cumsum(n_tokens[order]), float(cutoff.amount), side="right"))
    if n_kept == len(scores):
        return EVERYTHING
    return Limit(float(scores[order[n_kept - 1]]), float(ties[order[n_kept - 1]])) if n_kept else NOTHING


def at_least(limit: Limit, scores: NDArray[np.float64], *, ties: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which documents a limit keeps; a NaN score never is."""
    kept: NDArray[np.bool_] = (scores > limit.score) | ((scores == limit.score) & (ties <= limit.tie))
    return kept


def pareto_kept(shape: float, scores: NDArray[np.float64], *, draws: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which documents a Pareto cut-off keeps, given a number in [0, 1) drawn for each; scores above 1 count as 1.

    Brown et al. 2020, appendix A keep a document where a draw of `numpy.random.pareto(shape)` exceeds 1 - score. That
    distribution has P(X > x) = (1 + x)**-shape, so the probability is (2 - score)**-shape, and a uniform draw below it
    decides the same: with shape 9, 0.2 % of score 0, 2.6 % of .5, 42 % of .9 and all of score 1. A NaN is never kept.
    """
    kept: NDArray[np.bool_] = draws < (2 - np.minimum(scores, 1)) ** -shape
    return kept

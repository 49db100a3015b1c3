"""Score cut-offs: a fixed score, the best share of the documents, a budget of tokens, or GPT-3's Pareto draw.

Scores and lengths are numbers of one document each; larger scores are better. Documents with equal scores are ordered
by a tie in [0, 1), a hash of their id, so that counts are exact and do not depend on the order of documents.

A cut-off may differ between groups of documents: languages, sources or domains. Each group is then cut by itself.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
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
    amount = Fraction(number.replace("_", ""))  # Python 3.10's Fraction knows no underscores
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


GROUPS = ("language", "source", "domain")
"""Columns by which cut-offs may differ."""
REST = "*"
"""The key of a table of cut-offs for all groups that it does not name, each of them cut by itself."""


@dataclass(frozen=True, slots=True)
class GroupCutoffs:
    """A cut-off for each group of documents, as parsed from a recipe."""

    by: str
    """One of GROUPS."""
    named: Mapping[str, Cutoff]
    rest: Cutoff
    """Of every other group, and of the documents whose group is null."""

    def of(self, group: str | None) -> Cutoff:
        """The cut-off of a group."""
        return self.rest if group is None else self.named.get(group, self.rest)


@dataclass(frozen=True, slots=True)
class GroupLimit:
    """What a group's cut-off came to."""

    group: str | None
    cutoff: Cutoff
    limit: Limit | None
    """None for a Pareto cut-off, which has none."""
    n_documents: int
    """Candidates of the group."""
    n_kept: int
    """Of the candidates."""


def parse_group_cutoffs(keep: str | Mapping[str, str], by: str) -> GroupCutoffs:
    """The cut-offs that a recipe's `keep` and `by` describe: one for every group alike, or a table by group.

    Raises RecipeError for an unknown `by`, for what is no cut-off, and for a table without "*".
    """
    if by not in GROUPS:
        raise RecipeError(f"by = {by!r}: no such grouping; there are {', '.join(GROUPS)}")
    if isinstance(keep, str):
        return GroupCutoffs(by, {}, parse_cutoff(keep))
    if REST not in keep:
        raise RecipeError(
            f'keep: no "{REST}" in the table of {", ".join(keep) or "nothing"}; add one for every other {by}, such as '
            f'"{REST}" = "top 30%", or ">= -1e9" to keep them all'
        )
    cutoffs = {}
    for group, text in keep.items():
        try:
            cutoffs[group] = parse_cutoff(text)
        except RecipeError as error:
            raise RecipeError(f"keep, {by} {group!r}: {error}") from error
    rest = cutoffs.pop(REST)
    return GroupCutoffs(by, cutoffs, rest)


def group_limits(
    cutoffs: GroupCutoffs,
    groups: Sequence[str | None],
    scores: NDArray[np.float64],
    *,
    ties: NDArray[np.float64],
    n_tokens: NDArray[np.float64],
) -> dict[str | None, GroupLimit]:
    """What the cut-off of each group comes to among these candidates, all (documents,); a NaN score is a ValueError.

    Groups are in the order of their names, null last. A share of a small group may be no document at all: 30 % of 3
    documents are 0. For a Pareto cut-off the ties are its draws.
    """
    if np.isnan(scores).any():
        raise ValueError("candidates have scores")
    limits = {}
    for group, rows in _rows_by_group(groups):
        cutoff = cutoffs.of(group)
        limit = _limit(cutoff, scores[rows], ties=ties[rows], n_tokens=n_tokens[rows])
        kept = _kept(cutoff, limit, scores[rows], ties=ties[rows])
        limits[group] = GroupLimit(group, cutoff, limit, len(rows), int(kept.sum()))
    return limits


def kept_by_group(
    cutoffs: GroupCutoffs,
    limits: Mapping[str | None, GroupLimit],
    groups: Sequence[str | None],
    scores: NDArray[np.float64],
    *,
    ties: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Which documents the limits of their groups keep, all (documents,); a NaN score never is.

    The documents may be more than the candidates; a group without a candidate has the limit of an empty group.
    """
    kept = np.zeros(len(scores), bool)
    for group, rows in _rows_by_group(groups):
        cutoff = cutoffs.of(group)
        empty = np.empty(0)
        limit = limits[group].limit if group in limits else _limit(cutoff, empty, ties=empty, n_tokens=empty)
        kept[rows] = _kept(cutoff, limit, scores[rows], ties=ties[rows])
    return kept


def limits_report(limits: Mapping[str | None, GroupLimit]) -> list[dict[str, object]]:
    """The limits as JSON: group (null for documents without one), what was asked, the score that it came to (null if
    it has none, or keeps everything or nothing), candidates, kept."""
    return [
        {
            "group": found.group,
            "keep": found.cutoff.text,
            "score": _score_of(found),
            "documents": found.n_documents,
            "kept": found.n_kept,
        }
        for found in limits.values()
    ]


def group_reason(name: str, by: str, found: GroupLimit) -> str:
    """The cut-off of a group as a reason says it: `quality top 30% (>= 0.61) of language en`."""
    score = None if found.cutoff.kind == "at_least" else _score_of(found)
    came_to = "" if score is None else f" (>= {score:.6g})"
    return f"{name} {found.cutoff.text}{came_to} of {by} {found.group or 'null'}"


def _score_of(found: GroupLimit) -> float | None:
    """The score that a group's cut-off came to; None if it has none, or keeps everything or nothing."""
    return None if found.limit is None or found.limit in (EVERYTHING, NOTHING) else found.limit.score


def _limit(
    cutoff: Cutoff, scores: NDArray[np.float64], *, ties: NDArray[np.float64], n_tokens: NDArray[np.float64]
) -> Limit | None:
    return None if cutoff.kind == "pareto" else threshold(cutoff, scores, ties=ties, n_tokens=n_tokens)


def _kept(
    cutoff: Cutoff, limit: Limit | None, scores: NDArray[np.float64], *, ties: NDArray[np.float64]
) -> NDArray[np.bool_]:
    if limit is None:
        return pareto_kept(float(cutoff.amount), scores, draws=ties)
    return at_least(limit, scores, ties=ties)


def _rows_by_group(groups: Sequence[str | None]) -> Iterator[tuple[str | None, NDArray[np.int64]]]:
    """Each group with the rows of its documents, by name, null last."""
    codes: dict[str | None, int] = {}
    numbered = np.array([codes.setdefault(group, len(codes)) for group in groups], np.int64)
    rows = np.split(np.argsort(numbered, kind="stable"), np.cumsum(np.bincount(numbered, minlength=len(codes)))[:-1])
    for group in sorted(codes, key=lambda name: (name is None, name or "")):
        yield group, rows[codes[group]]

"""Cut-offs: what each form keeps, exactly, whatever the order of the documents."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from datassay.corpus.errors import RecipeError
from datassay.filters.cutoff import Limit, at_least, pareto_kept, parse_cutoff, threshold


@pytest.mark.parametrize(
    ("text", "kind", "amount"),
    [
        (">= 0.5", "at_least", Fraction(1, 2)),
        (">=-1e-3", "at_least", Fraction(-1, 1000)),
        ("top 30%", "top", Fraction(3, 10)),
        (" top 0.5 % ", "top", Fraction(1, 200)),
        ("top 100%", "top", Fraction(1)),
        ("2e9 tokens", "tokens", Fraction(2_000_000_000)),
        ("500_000 tokens", "tokens", Fraction(500_000)),
        ("pareto 9", "pareto", Fraction(9)),
    ],
)
def test_forms(text: str, kind: str, amount: Fraction) -> None:
    cutoff = parse_cutoff(text)
    assert (cutoff.kind, cutoff.amount) == (kind, amount)


@pytest.mark.parametrize("text", ["", "0.5", "> 0.5", "top 30", "best 30%", "2e9", "tokens", "pareto", ">= half"])
def test_what_is_no_cutoff_is_told_what_would_be_one(text: str) -> None:
    with pytest.raises(RecipeError, match="top 30%"):
        parse_cutoff(text)


@pytest.mark.parametrize("text", ["top 0%", "top 101%", "0 tokens", "pareto 0", "pareto -1"])
def test_amounts_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="such as"):
        parse_cutoff(text)


def kept(
    text: str, scores: list[float], *, ties: list[float] | None = None, n_tokens: list[float] | None = None
) -> list[int]:
    """Indexes of the documents that a cut-off keeps among themselves."""
    values = np.array(scores, np.float64)
    hashes = np.arange(len(scores)) / max(len(scores), 1) if ties is None else np.array(ties)
    sizes = np.ones(len(scores)) if n_tokens is None else np.array(n_tokens, np.float64)
    limit = threshold(parse_cutoff(text), values, ties=hashes, n_tokens=sizes)
    return np.flatnonzero(at_least(limit, values, ties=hashes)).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (">= 0.7", [1, 3]),  # 0.7 itself is kept
        (">= 0.70000000001", [1]),
        ("top 50%", [1, 3]),
        ("top 49%", [1]),  # floor(.49 * 4)
        ("top 24%", []),
        ("top 100%", [0, 1, 2, 3]),
    ],
)
def test_scores_at_and_beside_the_limit(text: str, expected: list[int]) -> None:
    assert kept(text, [0.1, 0.9, 0.3, 0.7]) == expected


def test_29_percent_of_100_documents_are_29() -> None:
    assert len(kept("top 29%", list(range(100)))) == 29  # 0.29 * 100 is 28.999999999999996 in floats


def test_the_best_documents_that_fit_the_budget() -> None:
    scores, sizes = [0.9, 0.8, 0.7, 0.6], [50, 30, 20, 1]
    assert kept("100 tokens", scores, n_tokens=sizes) == [0, 1, 2]  # exactly the budget
    assert kept("99 tokens", scores, n_tokens=sizes) == [0, 1]  # does not skip on to the last
    assert kept("49 tokens", scores, n_tokens=sizes) == []
    assert kept("1e6 tokens", scores, n_tokens=sizes) == [0, 1, 2, 3]


def test_equal_scores_are_cut_exactly_and_in_any_order() -> None:
    scores, ties = np.array([1.0, 1, 1, 1, 2]), np.array([0.4, 0.1, 0.3, 0.2, 0.9])
    cutoff = parse_cutoff("top 60%")
    for order in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
        limit = threshold(cutoff, scores[order], ties=ties[order], n_tokens=np.ones(5))
        assert limit == Limit(1.0, 0.2)  # the 2, then the ties .1 and .2
        assert at_least(limit, scores[order], ties=ties[order]).sum() == 3


def test_no_candidates_and_nan() -> None:
    assert kept("top 30%", []) == []
    assert not at_least(Limit(-1e308, 1.0), np.array([np.nan]), ties=np.zeros(1)).any()
    assert not pareto_kept(9, np.array([np.nan]), draws=np.zeros(1)).any()


@pytest.mark.parametrize(("score", "share"), [(0.0, 2**-9), (0.5, 1.5**-9), (0.9, 1.1**-9), (1.0, 1.0)])
def test_pareto_keeps_what_gpt3_draws(score: float, share: float) -> None:
    n = 200_000
    draws = (np.arange(n) + 0.5) / n  # evenly spread over [0, 1)
    ours = pareto_kept(9, np.full(n, score), draws=draws).mean()
    assert ours == pytest.approx(share, abs=1 / n)
    assert pareto_kept(9, np.full(n, score + 2e-9), draws=draws).mean() >= ours  # also above 1
    theirs = (np.random.default_rng(0).pareto(9, n) > 1 - score).mean()
    assert theirs == pytest.approx(share, abs=4.5 * np.sqrt(share * (1 - share) / n) + 1e-12)  # 4.5 standard errors

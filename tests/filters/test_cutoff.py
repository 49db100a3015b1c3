"""Cut-offs: what each form keeps, exactly, whatever the order of the documents."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datassay.corpus.errors import RecipeError
from datassay.filters.cutoff import (
    GroupLimit,
    Limit,
    at_least,
    group_limits,
    group_reason,
    kept_by_group,
    limits_report,
    pareto_kept,
    parse_cutoff,
    parse_group_cutoffs,
    threshold,
)


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


def by_group(
    keep: str | dict[str, str], groups: list[str | None], scores: list[float], n_tokens: list[float] | None = None
) -> tuple[list[int], dict[str | None, GroupLimit]]:
    """Indexes of the documents that cut-offs by language keep among themselves, and the limits."""
    cutoffs = parse_group_cutoffs(keep, "language")
    values, ties = np.array(scores, np.float64), np.arange(len(scores)) / max(len(scores), 1)
    sizes = np.ones(len(scores)) if n_tokens is None else np.array(n_tokens, np.float64)
    limits = group_limits(cutoffs, groups, values, ties=ties, n_tokens=sizes)
    kept = kept_by_group(cutoffs, limits, groups, values, ties=ties)
    assert sum(limit.n_kept for limit in limits.values()) == kept.sum()
    return np.flatnonzero(kept).tolist(), limits


GROUPS = ["en", "de", "en", "de", "fr", None, "fr", "en", "de", "en"]
SCORES = [0.9, 0.1, 0.5, 0.2, 0.7, 0.8, 0.6, 0.4, 0.3, 0.3]


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ("top 50%", [0, 2, 4, 8]),  # 2 of 4 en, 1 of 3 de, 1 of 2 fr, 0 of 1 without a language
        ({"en": "top 25%", "de": "top 67%", "*": "top 100%"}, [0, 3, 4, 5, 6, 8]),
        ({"de": "top 66%", "*": ">= 0.7"}, [0, 4, 5, 8]),
        ({"en": "3 tokens", "*": "1 tokens"}, [0, 2, 4, 5, 7, 8]),  # a budget for each group
        ({"pt": "top 1%", "*": "pareto 1e-9"}, list(range(10))),  # which keeps nearly all; pt is not there
    ],
)
def test_each_group_is_cut_by_itself(keep: str | dict[str, str], expected: list[int]) -> None:
    assert by_group(keep, GROUPS, SCORES)[0] == expected


def test_the_limits_can_be_told() -> None:
    _, limits = by_group({"en": "top 50%", "de": "pareto 9", "fr": ">= 0.65", "*": "top 50%"}, GROUPS, SCORES)
    report = limits_report(limits)
    assert [row["group"] for row in report] == ["de", "en", "fr", None]
    assert report[1] == {"group": "en", "keep": "top 50%", "score": 0.5, "documents": 4, "kept": 2}
    assert report[0]["score"] is None
    assert report[3] == {"group": None, "keep": "top 50%", "score": None, "documents": 1, "kept": 0}
    reasons = [group_reason("quality", "language", limits[group]) for group in ("en", "de", "fr", None)]
    assert reasons == [
        "quality top 50% (>= 0.5) of language en",
        "quality pareto 9 of language de",
        "quality >= 0.65 of language fr",
        "quality top 50% of language null",
    ]


def test_documents_beyond_the_candidates_meet_their_groups_limit() -> None:
    cutoffs = parse_group_cutoffs({"en": "top 50%", "de": ">= 0.5", "*": "top 10%"}, "source")
    candidates = np.array([0.2, 0.8])
    limits = group_limits(cutoffs, ["en", "en"], candidates, ties=np.zeros(2), n_tokens=np.ones(2))
    groups, scores = ["en", "en", "de", "de", "pt", "en"], np.array([0.81, 0.79, 0.5, 0.49, 0.1, np.nan])
    kept = kept_by_group(cutoffs, limits, groups, scores, ties=np.zeros(6))
    assert kept.tolist() == [True, False, True, False, True, False]  # no candidate in pt: nothing to cut, as without by


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.integers(0, 5), st.integers(1, 9)), max_size=40),
    st.sampled_from([">= 3", "top 30%", "top 100%", "12 tokens", "pareto 2"]),
)
def test_a_group_is_cut_as_if_it_were_alone(rows: list[tuple[str | None, int, int]], keep: str) -> None:
    groups = [group for group, _, _ in rows]
    scores, sizes = np.array([row[1:] for row in rows], np.float64).reshape(-1, 2).T
    ties = np.arange(len(rows)) / max(len(rows), 1)
    cutoffs = parse_group_cutoffs({"a": keep, "b": "top 50%", "*": keep}, "domain")
    limits = group_limits(cutoffs, groups, scores, ties=ties, n_tokens=sizes)
    kept = kept_by_group(cutoffs, limits, groups, scores, ties=ties)
    for group in set(groups):
        own = np.array([name == group for name in groups])
        cutoff = parse_cutoff("top 50%" if group == "b" else keep)
        if cutoff.kind == "pareto":
            alone = pareto_kept(2, scores[own], draws=ties[own])
        else:
            alone = at_least(
                threshold(cutoff, scores[own], ties=ties[own], n_tokens=sizes[own]), scores[own], ties=ties[own]
            )
        assert kept[own].tolist() == alone.tolist()


@pytest.mark.parametrize(
    ("keep", "by", "message"),
    [
        ("top 30%", "url", "there are language, source, domain"),
        ({"en": "top 30%"}, "language", 'no "\\*" in the table of en'),
        ({"en": "best", "*": "top 30%"}, "language", "language 'en': keep = 'best'"),
        ({}, "language", "table of nothing"),
    ],
)
def test_tables_that_say_too_little_are_refused(keep: str | dict[str, str], by: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_group_cutoffs(keep, by)

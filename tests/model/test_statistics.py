"""Contrasts, their error rates and their power, against formulas, second ways and simulation."""

from __future__ import annotations

import math

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray
from scipy import stats

from datassay.model.statistics import (
    MEAN,
    Analysis,
    Comparison,
    Score,
    analyse,
    bootstrap_bpb,
    holm,
    p_values,
    pairing_correlation,
    resampling_weights,
    residual,
    sd_upper,
    smallest_detectable,
    standard_error,
    verdict,
    welch_p,
)

COMPARISONS = (
    Comparison("rules", "cumulative", "+rules", "raw"),
    Comparison("dedup", "cumulative", "+dedup", "+rules"),
    Comparison("all", "total", "+dedup", "raw"),
)


def random(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def scores_of(bpb: dict[str, list[float]], *, domain: str = "books", n_documents: int = 4) -> list[Score]:
    """One score a variant and seed, with documents of 1000 bytes that all have the same bits per byte."""
    n_bytes = np.full(n_documents, 1000, np.int64)
    return [
        Score(variant, seed, domain, value * math.log(2) * n_bytes, n_bytes)
        for variant, values in bpb.items()
        for seed, value in enumerate(values)
    ]


def contrast_table(analysis: Analysis) -> dict[tuple[str, str], str]:
    return {(contrast.domain, contrast.step): contrast.verdict for contrast in analysis.contrasts}


def test_residual_of_two_by_two() -> None:
    # Interaction (1 - 2 - 3 + 5) / 4 = 0.25 in each of four cells: sum of squares 4 / 16, one degree of freedom.
    assert residual(np.array([[1.0, 2.0], [3.0, 5.0]])) == (pytest.approx(0.5), 1)


def test_residual_is_that_of_least_squares() -> None:
    n_variants, n_seeds = 4, 3
    scores = random(1).normal(size=(n_variants, n_seeds))
    variant, seed = np.indices(scores.shape)
    design = np.column_stack([variant.ravel() == v for v in range(n_variants)] + [seed.ravel() == s for s in (1, 2)])
    _, squares, rank, _ = np.linalg.lstsq(design.astype(float), scores.ravel(), rcond=None)
    sd, df = residual(scores)
    assert df == scores.size - rank == 6
    assert sd == pytest.approx(math.sqrt(squares[0] / df))


@pytest.mark.parametrize("shape", [(1, 5), (5, 1)])
def test_residual_needs_two_variants_and_two_seeds(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="2 x 2"):
        residual(np.ones(shape))


def test_two_variants_are_the_paired_t_test() -> None:
    scores = random(2).normal(size=(2, 5)) + np.arange(5)
    sd, df = residual(scores)
    p = p_values(scores[0].mean(keepdims=True) - scores[1].mean(), se=standard_error(sd, 5), df=df)
    assert p[0] == pytest.approx(stats.ttest_rel(scores[0], scores[1]).pvalue)


def test_holm() -> None:
    # Sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04; the last may not fall below the one before it.
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.6, 0.7])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).tolist() == []


def test_smallest_detectable_of_many_degrees_of_freedom_is_the_normal_one() -> None:
    expected = (1.959964 + 0.841621) * 0.1  # z of .975 and of .8
    assert smallest_detectable(0.1, 1_000_000, alpha=0.05, power=0.8) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("n_variants", "n_seeds", "alpha"), [(2, 2, 0.05), (2, 3, 0.01), (6, 3, 0.01), (5, 5, 0.05)])
def test_smallest_detectable_is_found_as_often_as_promised(n_variants: int, n_seeds: int, alpha: float) -> None:
    n_draws, df = 40_000, (n_variants - 1) * (n_seeds - 1)
    se = standard_error(1.0, n_seeds)
    effect = smallest_detectable(se, df, alpha=alpha, power=0.8)
    draw = random(3)
    differences = draw.normal(effect, se, n_draws)
    sds = np.sqrt(draw.chisquare(df, n_draws) / df)
    found = np.abs(differences / (sds * se)) > stats.t.ppf(1 - alpha / 2, df)
    assert found.mean() == pytest.approx(0.8, abs=4 * math.sqrt(0.8 * 0.2 / n_draws))


def test_sd_upper_covers_the_true_deviation() -> None:
    n_draws, df = 20_000, 4
    sds = np.sqrt(random(4).chisquare(df, n_draws) / df)
    covered = np.array([sd * sd_upper(1.0, df, 0.9) >= 1.0 for sd in sds])
    assert covered.mean() == pytest.approx(0.9, abs=4 * math.sqrt(0.9 * 0.1 / n_draws))


def test_equal_variants_are_rarely_called_different() -> None:
    """A/A: six variants of the same corpus, three seeds with effects of their own, five steps and the total."""
    n_draws, pairs = 4000, [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4), (5, 0)]
    draw = random(5)
    n_false = 0
    for _ in range(n_draws):
        scores = draw.normal(size=(6, 3)) + 3 * draw.normal(size=(1, 3))
        sd, df = residual(scores)
        means = scores.mean(axis=1)
        differences = np.array([means[a] - means[b] for a, b in pairs])
        n_false += (holm(p_values(differences, se=standard_error(sd, 3), df=df)) < 0.05).any()
    assert n_false / n_draws <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / n_draws)
    assert n_false > 0  # else the test would be one that never finds anything


def test_welch_and_pairing() -> None:
    a, b = np.array([1.0, 2.0, 4.0]), np.array([2.0, 4.0, 8.0])
    # means 7/3, 14/3; variances 7/3, 28/3; t = (7/3) / sqrt(35/9) = 1.1832; df = (35/9)**2 / ((7/9)**2/2 + (28/9)**2/2)
    df = (35 / 9) ** 2 / ((7 / 9) ** 2 / 2 + (28 / 9) ** 2 / 2)
    assert welch_p(a, b) == pytest.approx(2 * stats.t.sf(1.1832160, df))
    assert welch_p(np.ones(3), np.ones(3)) is None
    assert pairing_correlation(a, b) == pytest.approx(1.0)
    assert pairing_correlation(a, -b) == pytest.approx(-1.0)
    assert pairing_correlation(a[:2], b[:2]) is None


def test_resampling_draws_each_unit_once_on_average_and_never_changes() -> None:
    weights = resampling_weights(7, 50, n_replicates=400)
    assert weights.shape == (400, 50)
    assert (weights.sum(axis=1) == 50).all()
    # A unit's count in one replicate has variance 1 - 1/50; over 400 replicates the mean is within 5 deviations of 1.
    assert np.abs(weights.mean(axis=0) - 1).max() < 5 * math.sqrt(0.98 / 400)
    assert (weights == resampling_weights(7, 50, n_replicates=400)).all()
    assert (weights != resampling_weights(8, 50, n_replicates=400)).any()


def test_bootstrap_over_documents_has_the_spread_of_a_mean() -> None:
    n_documents, n_replicates = 400, 2000
    nats: NDArray[np.float64] = random(6).normal(700, 50, size=(1, 1, n_documents))
    n_bytes = np.full(n_documents, 1000, np.int64)
    weights = resampling_weights(1, n_documents, n_replicates=n_replicates)
    drawn = bootstrap_bpb(nats, n_bytes, document_weights=weights, seed_weights=np.ones((n_replicates, 1)))
    standard = nats.std() / math.sqrt(n_documents) / 1000 / math.log(2)
    assert drawn.shape == (n_replicates, 1)
    assert drawn.mean() == pytest.approx(nats.mean() / 1000 / math.log(2), abs=4 * standard / math.sqrt(n_replicates))
    # The deviation of 2000 draws is known to 1 / sqrt(2 * 2000) = 1.6 %.
    assert drawn.std() == pytest.approx(standard, rel=0.07)


@pytest.mark.parametrize(
    ("difference", "p_holm", "words"),
    [
        (-0.1, 0.0499, "helps"),
        (0.1, 0.0499, "hurts"),
        (-0.1, 0.05, "not measurable at this budget"),
        (0.0, 1.0, "not measurable at this budget"),
    ],
)
def test_verdict_at_its_limit(difference: float, p_holm: float, words: str) -> None:
    assert verdict(difference, p_holm) == words


def test_analysis_of_one_step_that_helps_and_one_that_does_not_show() -> None:
    scores = scores_of(
        {"raw": [3.00, 3.01, 3.03], "+rules": [2.80, 2.82, 2.83], "+dedup": [2.801, 2.818, 2.831]}
    ) + scores_of(
        {"raw": [4.00, 4.01, 4.03], "+rules": [4.20, 4.22, 4.23], "+dedup": [4.201, 4.218, 4.231]}, domain="web"
    )
    analysis = analyse(scores, COMPARISONS, target="books")
    assert analysis.domains == (MEAN, "books", "web")
    assert contrast_table(analysis) == {
        (MEAN, "rules"): "not measurable at this budget",  # -0.2 on books and +0.2 on web cancel
        (MEAN, "dedup"): "not measurable at this budget",
        (MEAN, "all"): "not measurable at this budget",
        ("books", "rules"): "helps",
        ("books", "dedup"): "not measurable at this budget",
        ("books", "all"): "helps",
        ("web", "rules"): "hurts",
        ("web", "dedup"): "not measurable at this budget",
        ("web", "all"): "hurts",
    }
    rules = next(c for c in analysis.contrasts if (c.domain, c.step) == ("books", "rules"))
    assert rules.difference == pytest.approx((2.80 + 2.82 + 2.83 - 3.00 - 3.01 - 3.03) / 3)
    assert rules.low < rules.difference < rules.high < 0
    assert 0 < rules.smallest_detectable < 0.1
    assert "no effect" not in orjson.dumps(analysis).decode()


def test_interval_is_the_pooled_one() -> None:
    bpb = {"raw": [3.00, 3.01, 3.03], "+rules": [2.90, 2.93, 2.92], "+dedup": [2.95, 2.91, 2.94]}
    contrast = analyse(scores_of(bpb), COMPARISONS).contrasts[0]
    sd, df = residual(np.array(list(bpb.values())))
    assert df == 4
    assert contrast.high - contrast.difference == pytest.approx(2.776445 * sd * math.sqrt(2 / 3))  # t of .975, df 4


def test_a_variant_with_the_same_documents_adds_nothing() -> None:
    bpb = {"raw": [3.00, 3.01, 3.03], "+rules": [2.80, 2.82, 2.83]}
    analysis = analyse(scores_of(bpb), COMPARISONS, same_as={"+dedup": "+rules"})
    assert analysis.variants == ("raw", "+rules")
    assert analysis.noise[0].df == 2  # (2 - 1) * (3 - 1)
    assert contrast_table(analysis) == {
        ("books", "rules"): "helps",
        ("books", "dedup"): "same documents",
        ("books", "all"): "helps",
    }
    rules, _, total = analysis.contrasts
    assert rules.p_holm == rules.p == total.p == total.p_holm  # one test, asked for twice


def test_only_seeds_that_all_variants_finished_count() -> None:
    bpb = {"raw": [3.00, 3.01, 3.03], "+rules": [2.80, 2.82, 2.83], "+dedup": [2.81, 2.82]}
    analysis = analyse(scores_of(bpb), COMPARISONS)
    assert analysis.seeds == (0, 1)
    with pytest.raises(ValueError, match="seeds in common"):
        analyse(scores_of({**bpb, "+dedup": [2.81]}), COMPARISONS)


def test_runs_that_scored_other_documents_are_refused() -> None:
    scores = scores_of({"raw": [3.0, 3.1]}) + scores_of({"+rules": [3.0, 3.1]}, n_documents=5)
    with pytest.raises(ValueError, match="other documents"):
        analyse(scores, COMPARISONS[:1])


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(ValueError, match="'news' was not scored, only books"):
        analyse(scores_of({"raw": [3.0, 3.1], "+rules": [3.0, 3.1]}), COMPARISONS[:1], target="news")


@pytest.mark.parametrize(("n_documents", "n_notes"), [(99, 1), (100, 0)])  # 1000 bytes each: 100 kB at the limit
def test_small_domains_are_noted(n_documents: int, n_notes: int) -> None:
    scores = scores_of({"raw": [3.0, 3.1], "+rules": [3.0, 3.2]}, n_documents=n_documents)
    assert len(analyse(scores, COMPARISONS[:1]).notes) == n_notes


def test_published_power_figure() -> None:
    # sd 0.018 bpb, 5 variants x 5 seeds (df 16), p < .01: (t.995 + t.8) * se = (2.921 + 0.865) * 0.01138 = 0.0431
    assert smallest_detectable(standard_error(0.018, 5), 16, alpha=0.01) == pytest.approx(0.0431, abs=0.001)

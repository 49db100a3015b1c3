"""How good a score is on documents whose label is known: ranking (AUC), calibration, and what length alone achieves.

No interval here is drawn by chance: DeLong's for AUCs, the normal one for means, Wilson's for shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import erfc, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

N_BINS = 10
"""Bins of equal width between 0 and 1 in which calibration is looked at."""
TERCILES = ("short", "middle", "long")
Z = 1.959964
"""Quantile of the normal distribution for 95 % intervals."""


class Interval(NamedTuple):
    """A value with its 95 % interval; NaN where there are too few documents."""

    value: float
    low: float
    high: float


NO_INTERVAL = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True, slots=True)
class Bin:
    """Documents whose scores lie between two limits."""

    low: float
    high: float
    n_documents: int
    mean_score: float
    share_good: Interval
    """Wilson's interval."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether scores are probabilities: of documents that score .8, 80 % are good."""

    brier: Interval
    """Mean squared difference of score and label (Brier 1950); .25 for a score that always says .5."""
    brier_of_share: float
    """That of a score which always says the share of good documents: what there is to beat."""
    ece: Interval
    """Expected calibration error (Naeini et al. 2015): |mean score - share good| of the bins, weighted by documents.
    The interval takes bins and the signs of the differences as given."""
    ece_by_chance: float
    """What calibrated scores would have here: with few documents no ECE is 0."""
    p_calibrated: float
    """Chance of a Brier score as far from its expectation, if scores were probabilities (Spiegelhalter 1986)."""
    bins: tuple[Bin, ...]
    """Those that hold documents."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A score against labels, beside what the length of the text alone says."""

    n_good: int
    n_bad: int
    auc: Interval
    auc_of_length: Interval
    auc_above_length: Interval
    """The difference of the two, between -1 and 1, whose interval takes into account that both judge the same texts."""
    auc_within_length: dict[str, Interval]
    """Within the shortest third of the documents, the middle and the longest."""
    auc_at_equal_length: Interval
    """Mean of these, weighted by their pairs of a good and a bad document: what the score knows beside length."""
    calibration: Calibration | None
    """None for scores that are no probabilities: some lie outside 0 … 1."""


def evaluate_scores(
    scores: NDArray[np.float64], is_good: NDArray[np.bool_], n_chars: NDArray[np.float64]
) -> Evaluation:
    """Evaluate a score, larger for better, on labelled documents; all arrays (documents,). NaN is a ValueError."""
    if np.isnan(scores).any():
        raise ValueError(f"{int(np.isnan(scores).sum())} documents have no score")
    thirds = length_terciles(n_chars)
    within = {name: (scores[thirds == k], is_good[thirds == k]) for k, name in enumerate(TERCILES)}
    is_probability = len(scores) > 0 and scores.min() >= 0 and scores.max() <= 1
    return Evaluation(
        n_good=int(is_good.sum()),
        n_bad=int((~is_good).sum()),
        auc=_auc_of(scores, is_good),
        auc_of_length=_auc_of(n_chars, is_good),
        auc_above_length=auc_difference(scores, n_chars, is_good),
        auc_within_length={name: _auc_of(*group) for name, group in within.items()},
        auc_at_equal_length=stratified_auc([(s[good], s[~good]) for s, good in within.values()]),
        calibration=calibration(scores, is_good) if is_probability else None,
    )


def length_terciles(n_chars: NDArray[np.float64]) -> NDArray[np.int64]:
    """0 for the shortest third of the documents, 1, 2 for the longest; equal lengths share one."""
    if not len(n_chars):
        return np.empty(0, np.int64)
    limits = np.quantile(n_chars, [1 / 3, 2 / 3], method="inverted_cdf")
    return np.searchsorted(limits, n_chars, side="left").astype(np.int64)


def auc(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> Interval:
    """Probability that a positive scores above a negative (ties half), with its 95 % interval.

    Variance by DeLong, DeLong and Clarke-Pearson (Biometrics 1988), from the placements of each score in the other
    class; the interval ends at 0 and 1. Where all pairs agree that variance is 0 and says nothing: there the interval
    is Clopper and Pearson's for as many disjoint pairs as there are. Needs two scores of each class; NaN otherwise.
    """
    if min(len(positive), len(negative)) < 2:
        return NO_INTERVAL
    area, variance = _area_and_variance(positive, negative)
    if area in (0.0, 1.0):
        return _exact_interval(area, min(len(positive), len(negative)))
    return _normal_interval(area, variance)


def auc_difference(scores: NDArray[np.float64], others: NDArray[np.float64], is_good: NDArray[np.bool_]) -> Interval:
    """How much larger the AUC of `scores` is than that of `others` on the same documents; interval by DeLong."""
    n_good, n_bad = int(is_good.sum()), int((~is_good).sum())
    if min(n_good, n_bad) < 2:
        return NO_INTERVAL
    above, below = (
        _placements(scores[one], scores[other]) - _placements(others[one], others[other])
        for one, other in ((is_good, ~is_good), (~is_good, is_good))
    )
    half = Z * sqrt(above.var(ddof=1) / n_good + below.var(ddof=1) / n_bad)
    value = float(above.mean())
    return Interval(value, max(-1.0, value - half), min(1.0, value + half))


def stratified_auc(strata: list[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Interval:
    """The mean of the AUCs of strata (positive, negative), weighted by their pairs; those with too few are left out."""
    usable = [(positive, negative) for positive, negative in strata if min(len(positive), len(negative)) >= 2]
    if not usable:
        return NO_INTERVAL
    weights = np.array([len(positive) * len(negative) for positive, negative in usable], np.float64)
    weights /= weights.sum()
    areas, variances = np.array([_area_and_variance(*stratum) for stratum in usable]).T
    if (areas == areas[0]).all() and areas[0] in (0.0, 1.0):
        return _exact_interval(float(areas[0]), sum(min(len(a), len(b)) for a, b in usable))
    return _normal_interval(float(weights @ areas), float(weights**2 @ variances))


def _auc_of(values: NDArray[np.float64], is_good: NDArray[np.bool_]) -> Interval:
    return auc(values[is_good], values[~is_good])


def _area_and_variance(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> tuple[float, float]:
    above = _placements(positive, negative)  # share of negatives below each positive
    below = 1 - _placements(negative, positive)
    return float(above.mean()), float(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below))


def _placements(scores: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each score the share of `others` that is smaller, ties counted half."""
    ordered = np.sort(others)
    smaller, not_larger = np.searchsorted(ordered, scores, "left"), np.searchsorted(ordered, scores, "right")
    shares: NDArray[np.float64] = (smaller + not_larger) / (2 * len(others))
    return shares


def _exact_interval(area: float, n_pairs: int) -> Interval:
    """Clopper and Pearson's interval where all of n disjoint pairs agree. area: 0 or 1"""
    most = 1 - 0.025 ** (1 / n_pairs)
    return Interval(area, 1 - most, 1.0) if area else Interval(area, 0.0, most)


def _normal_interval(value: float, variance: float) -> Interval:
    half = Z * sqrt(variance)
    return Interval(value, max(0.0, value - half), min(1.0, value + half))


def calibration(scores: NDArray[np.float64], is_good: NDArray[np.bool_]) -> Calibration:
    """How far scores between 0 and 1 are from being the probability of a good document. Needs a document."""
    n = len(scores)
    labels = is_good.astype(np.float64)
    squares = (scores - labels) ** 2
    brier = _normal_interval(float(squares.mean()), float(squares.var(ddof=1)) / n if n > 1 else 0.0)
    in_bin = np.minimum((scores * N_BINS).astype(np.int64), N_BINS - 1)
    bins = []
    ece = variance = by_chance = 0.0
    for b in np.unique(in_bin).tolist():
        mask = in_bin == b
        n_in, mean, share = int(mask.sum()), float(scores[mask].mean()), float(labels[mask].mean())
        bins.append(Bin(b / N_BINS, (b + 1) / N_BINS, n_in, mean, wilson(int(labels[mask].sum()), n_in)))
        ece += n_in / n * abs(mean - share)
        variance += (n_in / n) ** 2 * share * (1 - share) / n_in
        # mean of |N(0, variance of the share of good ones)|
        by_chance += n_in / n * sqrt(2 / np.pi * float((scores[mask] * (1 - scores[mask])).mean()) / n_in)
    share = float(labels.mean())
    return Calibration(
        brier=brier,
        brier_of_share=share * (1 - share),
        ece=_normal_interval(ece, variance),
        ece_by_chance=float(by_chance),
        p_calibrated=_spiegelhalter(scores, labels),
        bins=tuple(bins),
    )


def _spiegelhalter(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> float:
    """Two-sided p of Spiegelhalter's z (Statistics in Medicine 1986); NaN where no score is open to chance."""
    spread = float(((1 - 2 * scores) ** 2 * scores * (1 - scores)).sum())
    surprise = float(((labels - scores) * (1 - 2 * scores)).sum())
    return erfc(abs(surprise) / sqrt(2 * spread)) if spread > 0 else float("nan")


def wilson(n_good: int, n: int) -> Interval:
    """A share with its 95 % interval by Wilson (1927)."""
    share, extra = n_good / n, Z**2 / n
    middle = (share + extra / 2) / (1 + extra)
    half = Z / (1 + extra) * sqrt(share * (1 - share) / n + extra / (4 * n))
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def evaluation_card(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as JSON: intervals as {value, low, high}, None for what too few documents leave open."""
    return {name: _plain(getattr(evaluation, name)) for name in evaluation.__slots__}


def _plain(value: Any) -> Any:
    match value:
        case Interval():
            return None if np.isnan(value.value) else value._asdict()
        case float():
            return None if np.isnan(value) else value
        case Mapping():
            return {key: _plain(below) for key, below in value.items()}
        case list() | tuple():
            return [_plain(below) for below in value]
        case Bin() | Calibration():
            return {name: _plain(getattr(value, name)) for name in value.__slots__}
    return value


def evaluation_table(evaluation: Evaluation) -> list[tuple[str, float, float, float]]:
    """Rows of (measure, value, low, high) to print; NaN where there are too few documents."""
    rows = [("AUC", *evaluation.auc), ("AUC of length alone", *evaluation.auc_of_length)]
    rows.append(("AUC above that of length", *evaluation.auc_above_length))
    rows += [(f"AUC, {name} texts", *interval) for name, interval in evaluation.auc_within_length.items()]
    rows.append(("AUC at equal length", *evaluation.auc_at_equal_length))
    if evaluation.calibration is not None:
        found = evaluation.calibration
        rows += [("Brier score", *found.brier), ("calibration error", *found.ece)]
    return rows

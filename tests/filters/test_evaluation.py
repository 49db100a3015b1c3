"""AUC, calibration and their intervals: against definitions, other programs' formulas, and their own coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datassay.corpus.hashing import uniform
from datassay.filters.evaluation import (
    Interval,
    auc,
    auc_difference,
    calibration,
    evaluate_scores,
    evaluation_card,
    evaluation_table,
    length_terciles,
    stratified_auc,
    wilson,
)


def test_auc_and_its_interval() -> None:
    # 2 lies above 1 and ties with 2; 4 and 5 lie above all three
    area, low, high = auc(np.array([2.0, 4, 5]), np.array([1.0, 2, 3]))
    assert area == pytest.approx((1.5 + 3 + 3) / 9)
    # variance: that of (.5, 1, 1) / 3 plus that of (1, 5/6, 2/3) / 3
    half = 1.959964 * np.sqrt(np.var([0.5, 1, 1], ddof=1) / 3 + np.var([1, 5 / 6, 2 / 3], ddof=1) / 3)
    assert (low, high) == (pytest.approx(area - half), 1.0)
    assert all(np.isnan(auc(np.array([1.0]), np.array([1.0, 2.0]))))


SCORES = st.lists(st.integers(0, 6), min_size=2, max_size=20)


@given(SCORES, SCORES)
def test_auc_is_the_share_of_pairs(positive: list[int], negative: list[int]) -> None:
    pairs = [(p > n) + (p == n) / 2 for p in positive for n in negative]
    found = auc(np.array(positive, np.float64), np.array(negative, np.float64))
    assert found.value == pytest.approx(np.mean(pairs))
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_an_interval_where_all_pairs_agree_is_not_empty() -> None:
    # 10 disjoint pairs that agree: Clopper and Pearson's interval for 10 of 10 begins at .025 ** (1 / 10)
    assert auc(np.arange(10.0) + 99, np.arange(20.0)) == (1, pytest.approx(0.025**0.1), 1)
    assert auc(np.arange(20.0), np.arange(10.0) + 99) == (0, 0, pytest.approx(1 - 0.025**0.1))
    strata = [(np.arange(4.0) + 9, np.arange(5.0))] * 2
    assert stratified_auc(strata) == (1, pytest.approx(0.025 ** (1 / 8)), 1)


def test_delongs_interval_holds_the_truth_about_95_times_in_100() -> None:
    n_samples, n = 400, 40
    inside = 0
    for i in range(n_samples):
        normal = np.sqrt(-2 * np.log(1 - uniform(i, [f"a{j}" for j in range(2 * n)]))) * np.cos(
            2 * np.pi * uniform(i, [f"b{j}" for j in range(2 * n)])
        )
        # means 1 apart: the truth is the normal distribution at 1 / sqrt(2), .7602
        _, low, high = auc(normal[:n] + 1, normal[n:])
        inside += low <= 0.7602 <= high
    assert inside / n_samples == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / n_samples))


def test_a_difference_of_aucs_knows_that_the_documents_are_the_same() -> None:
    scores, others, is_good = np.array([3.0, 1, 2, 0]), np.array([3.0, 1, 0, 2]), np.array([True, True, False, False])
    # either way 3 lies above both bad ones and 1 above one of them, but not above the same one
    found = auc_difference(scores, others, is_good)
    assert found.value == 0
    # placements: (1, .5) - (1, .5) = 0, 0 of the good; (.5, 1) - (1, .5) = (-.5, .5) of the bad, of variance .5
    assert found.high == pytest.approx(1.959964 * np.sqrt(0.5 / 2))
    same = auc_difference(scores, 2 * scores, is_good)
    assert same == (0, 0, 0)
    better = auc_difference(scores, -scores, is_good)
    assert better.value == pytest.approx(2 * auc(scores[is_good], scores[~is_good]).value - 1)
    assert all(np.isnan(auc_difference(scores[:2], others[:2], is_good[:2])))


def test_strata_are_weighted_by_their_pairs() -> None:
    one, two = (np.array([1.0, 3]), np.array([2.0, 0])), (np.array([1.0, 2, 3]), np.array([1.5, 2.5]))
    areas = [auc(*one).value, auc(*two).value]
    found = stratified_auc([one, two, (np.array([1.0]), np.array([2.0, 3.0]))])  # the last is too small to count
    assert found.value == pytest.approx((4 * areas[0] + 6 * areas[1]) / 10)
    variances = [((auc(*s).value - lower(*s)) / 1.959964) ** 2 for s in (one, two)]
    half = 1.959964 * np.sqrt(0.4**2 * variances[0] + 0.6**2 * variances[1])
    assert (found.low, found.high) == (
        pytest.approx(max(0, found.value - half)),
        pytest.approx(min(1, found.value + half)),
    )
    assert all(np.isnan(stratified_auc([])))


def lower(positive: np.ndarray, negative: np.ndarray) -> float:
    """Where DeLong's interval begins without ending at 0, from the placements written out."""
    above = [np.mean((negative < p) + (negative == p) / 2) for p in positive]
    below = [np.mean((positive > n) + (positive == n) / 2) for n in negative]
    variance = np.var(above, ddof=1) / len(above) + np.var(below, ddof=1) / len(below)
    return float(np.mean(above) - 1.959964 * np.sqrt(variance))


@pytest.mark.parametrize(
    ("lengths", "thirds"),
    [
        ([], []),
        ([5], [0]),
        ([1, 2, 3], [0, 1, 2]),
        ([3, 1, 2, 6, 5, 4], [1, 0, 0, 2, 2, 1]),
        ([7, 7, 7, 9], [0, 0, 0, 2]),
    ],
)
def test_terciles_of_length(lengths: list[float], thirds: list[int]) -> None:
    assert length_terciles(np.array(lengths, np.float64)).tolist() == thirds


def test_calibration_by_hand() -> None:
    scores, labels = np.array([0.1, 0.15, 0.9, 1.0]), np.array([False, True, True, True])
    found = calibration(scores, labels)
    squares = [0.01, 0.85**2, 0.01, 0]
    assert found.brier.value == pytest.approx(np.mean(squares))
    assert found.brier.high == pytest.approx(min(1, np.mean(squares) + 1.959964 * np.std(squares, ddof=1) / 2))
    assert found.brier_of_share == pytest.approx(0.75 * 0.25)
    assert [(b.low, b.high, b.n_documents) for b in found.bins] == [(0.1, 0.2, 2), (0.9, 1.0, 2)]
    assert found.ece.value == pytest.approx(0.5 * abs(0.125 - 0.5) + 0.5 * abs(0.95 - 1))


def test_scores_that_are_probabilities_are_found_calibrated_and_others_not() -> None:
    n = 4000
    scores = (np.arange(n) + 0.5) / n
    labels = uniform(3, [str(i) for i in range(n)]) < scores
    right, wrong = calibration(scores, labels), calibration(scores**2, labels)
    assert right.p_calibrated > 0.001
    assert right.ece.value < 2 * right.ece_by_chance  # and chance is small: sqrt(2 / pi p (1 - p) / 400) on average
    assert right.ece_by_chance == pytest.approx(np.sqrt(2 / np.pi / 6 / 400), rel=0.1)
    assert wrong.p_calibrated < 1e-6
    assert wrong.ece.low > 0.1  # the mean of x - x ** 2 is 1/6


def test_wilsons_interval() -> None:
    # the interval's ends solve |share - p| = z sqrt(p (1 - p) / n)
    share, low, high = wilson(8, 10)
    for end in (low, high):
        assert abs(share - end) == pytest.approx(1.959964 * np.sqrt(end * (1 - end) / 10))
    assert wilson(0, 10).low == 0
    assert wilson(10, 10).high == pytest.approx(1)


def test_scores_that_only_know_length_are_seen_through() -> None:
    n_chars = np.arange(300, dtype=np.float64)
    is_good = uniform(1, [str(i) for i in range(300)]) < n_chars / 300
    found = evaluate_scores(n_chars / 300, is_good, n_chars)
    assert found.auc == found.auc_of_length
    assert found.auc_at_equal_length.value < found.auc.value - 0.1
    assert found.calibration is not None
    assert evaluate_scores(n_chars, is_good, n_chars).calibration is None  # no probabilities


def test_a_card_is_json_and_leaves_open_what_is_not_known() -> None:
    found = evaluate_scores(np.array([0.2, 0.9]), np.array([False, True]), np.array([1.0, 2]))
    card = evaluation_card(found)
    assert (card["n_good"], card["auc"], card["auc_at_equal_length"]) == (1, None, None)
    assert card["calibration"]["bins"][0]["share_good"]["value"] == 0
    assert evaluation_table(found)[0][0] == "AUC"
    empty = evaluate_scores(np.empty(0), np.empty(0, bool), np.empty(0))
    assert (empty.n_good, empty.calibration) == (0, None)
    assert isinstance(empty.auc, Interval)
    with pytest.raises(ValueError, match="1 documents have no score"):
        evaluate_scores(np.array([np.nan]), np.array([True]), np.array([1.0]))

"""Scores of extraction: what a page's shares are, what comes of them, and how sure that is."""

from __future__ import annotations

import numpy as np
import pytest

from datassay.corpus.html.evaluation import (
    N_REPLICATES,
    answer,
    f1_replicates,
    interval,
    page_shares,
    scores,
    shingles,
)


def test_shingles_are_four_words_and_how_often_they_occur() -> None:
    assert shingles("a b, c d! a b c d") == {
        ("a", "b", "c", "d"): 2,
        ("b", "c", "d", "a"): 1,
        ("c", "d", "a", "b"): 1,
        ("d", "a", "b", "c"): 1,
    }
    assert shingles("two words") == {("two", "words"): 1}
    assert shingles("") == {(): 1}


@pytest.mark.parametrize(
    ("wanted", "found", "shares"),
    [
        ("a b c d e", "a b c d e", (1, 0, 0)),
        ("a b c d e", "a b c d", (1 / 2, 0, 1 / 2)),
        ("a b c d", "x a b c d", (1 / 2, 1 / 2, 0)),
        ("a b c d", "w x y z", (0, 1 / 2, 1 / 2)),
        ("a b c d", "", (0, 1 / 2, 1 / 2)),  # an empty answer is one wrong gram, as the benchmark counts
        ("", " \n", (0, 0, 0)),
    ],
)
def test_shares_of_a_page(wanted: str, found: str, shares: tuple[float, float, float]) -> None:
    assert page_shares(wanted, found) == pytest.approx(shares)


def test_scores_come_from_the_mean_shares() -> None:
    f1, precision, recall = scores([(1, 0, 0), (0.5, 0.5, 0), (0, 0, 1)])
    assert (precision, recall) == pytest.approx((1.5 / 2, 1.5 / 2.5))
    assert f1 == pytest.approx(2 * 1.5 / (2 * 1.5 + 0.5 + 1))
    assert scores([(0, 0.5, 0.5)]) == (0, 0, 0)


RIGHT, WRONG = (1.0, 0.0, 0.0), (0.0, 0.5, 0.5)
"""F1 of pages of which the share p is right is 2 p / (1 + p); at a half its slope is 8 / 9."""


def test_replicates_draw_pages() -> None:
    replicates = f1_replicates([RIGHT, WRONG] * 50, range(100))
    assert len(replicates) == N_REPLICATES
    assert replicates.mean() == pytest.approx(2 / 3, abs=0.005)
    deviation = 8 / 9 * 0.5 / 100**0.5
    assert replicates.std() == pytest.approx(deviation, rel=0.1)
    ends = 0.5 - 1.96 * 0.05, 0.5 + 1.96 * 0.05
    assert interval(replicates) == pytest.approx(tuple(2 * p / (1 + p) for p in ends), abs=0.01)


def test_replicates_draw_the_pages_of_a_group_together() -> None:
    alike = f1_replicates([RIGHT, WRONG] * 50, [i // 20 for i in range(100)])  # each group has as many of either
    assert np.allclose(alike, 2 / 3)
    apart = f1_replicates([RIGHT] * 50 + [WRONG] * 50, [i // 10 for i in range(100)])  # five groups right, five wrong
    assert apart.std() == pytest.approx(8 / 9 * 0.5 / 10**0.5, rel=0.1)


def test_answers_to_the_same_pages_get_the_same_draws() -> None:
    one = [(1.0, 0.0, 0.0), (0.6, 0.2, 0.2), (0.0, 0.5, 0.5)]
    groups = ["a", "b", "c"]
    assert f1_replicates(one, groups).tolist() == f1_replicates(one, groups).tolist()
    better = [(1.0, 0.0, 0.0), (0.8, 0.1, 0.1), (0.2, 0.4, 0.4)]
    assert (f1_replicates(better, groups) >= f1_replicates(one, groups)).all()


def test_nothing_right_scores_nothing() -> None:
    assert f1_replicates([(0.0, 0.0, 0.0)] * 3, "abc").tolist() == [0.0] * N_REPLICATES


def test_without_a_classifier_a_plain_rule_answers() -> None:
    sentence = "The harbour was quiet that morning, and only the gulls were awake to see the first boat come in."
    menu = "<nav><ul><li><a href=/>Home</a></li><li><a href=/n>News of the day</a></li></ul></nav>"
    html = f"<body>{menu}<article><p>{sentence}</p><p>{sentence}</p></article></body>"
    assert answer(html.encode(), None) == (f"{sentence}\n{sentence}", 1.0)

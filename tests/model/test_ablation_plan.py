"""What is planned, what it costs, and what is refused before it starts."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from datassay.corpus.errors import RecipeError
from datassay.model.ablation_plan import (
    REFERENCE_SD,
    Corpus,
    Cost,
    Plan,
    effective_tokens,
    make_comparisons,
    make_plan,
    make_variants,
    parse_duration,
    solve_budget,
)
from datassay.model.statistics import ALPHA, smallest_detectable

COST = Cost(seconds_per_step=0.03, fixed_seconds=5.0)


def plan_of(n_tokens: list[int], *, seeds: int = 3, budget: int = 1_024_000, contents: str = "abcdef") -> Plan:
    """A plan whose variants (raw, +s0, +s1…) hold these numbers of tokens; equal letters are equal documents."""
    variants = make_variants([f"s{i}" for i in range(len(n_tokens) - 1)])
    corpora = {
        variant: Corpus(Path("kept"), 10, n, 4 * n, content)
        for variant, n, content in zip(variants, n_tokens, contents, strict=False)
    }
    return make_plan(corpora, seeds=range(seeds), n_tokens=budget, tokens_per_step=1024, cost=COST, n_workers=2)


def test_a_preset_takes_the_place_of_the_rules() -> None:
    variants = make_variants(["language", "rules", "dedup"], presets=["c4-paper", "dolma"])
    assert [(variant.name, variant.kind, variant.preset, variant.steps) for variant in variants[4:]] == [
        ("rules c4-paper", "preset", "c4-paper", ("language", "dedup")),
        ("rules dolma", "preset", "dolma", ("language", "dedup")),
    ]
    found = [(c.step, c.kind, c.variant, c.versus) for c in make_comparisons(variants)]
    assert found == [
        ("all steps", "total", "+dedup", "raw"),
        ("language", "cumulative", "+language", "raw"),
        ("rules", "cumulative", "+rules", "+language"),
        ("dedup", "cumulative", "+dedup", "+rules"),
        ("c4-paper", "preset", "rules c4-paper", "+dedup"),  # against the recipe as it is
        ("dolma", "preset", "rules dolma", "+dedup"),
    ]


def test_variants_of_three_steps() -> None:
    variants = make_variants(["language", "rules", "dedup"], leave_one_out=True)
    assert [(variant.name, variant.steps) for variant in variants] == [
        ("raw", ()),
        ("+language", ("language",)),
        ("+rules", ("language", "rules")),
        ("+dedup", ("language", "rules", "dedup")),
        ("-language", ("rules", "dedup")),
        ("-rules", ("language", "dedup")),
    ]  # without dedup it is +rules


def test_comparisons_are_with_the_step_against_without_it() -> None:
    comparisons = make_comparisons(make_variants(["rules", "dedup"], leave_one_out=True))
    assert [(c.step, c.kind, c.variant, c.versus) for c in comparisons] == [
        ("all steps", "total", "+dedup", "raw"),
        ("rules", "cumulative", "+rules", "raw"),
        ("dedup", "cumulative", "+dedup", "+rules"),
        ("rules", "minus", "+dedup", "-rules"),
    ]
    assert [c.kind for c in make_comparisons(make_variants(["rules"]))] == ["cumulative"]  # the total is that step


def test_the_expected_effect_is_that_of_the_tests_that_will_be_made() -> None:
    """raw, +s0 and +s1, of which +s1 drops nothing: one comparison of two variants is left, with 1 x 2 df."""
    se = REFERENCE_SD * math.sqrt(2 / 3)
    plan = plan_of([3_000_000, 2_000_000, 2_000_000], contents="abb")
    assert plan.expected_detectable == smallest_detectable(se, 2, alpha=ALPHA)
    plan = plan_of([3_000_000, 2_000_000, 1_000_000])  # three comparisons: both steps, and all at once
    assert plan.expected_detectable == smallest_detectable(se, 4, alpha=ALPHA / 3)


def test_plan_counts_runs_seconds_and_epochs() -> None:
    plan = plan_of([4_096_000, 2_048_000, 512_000])
    assert [row.epochs for row in plan.rows] == [0.25, 0.5, 2.0]
    assert plan.n_runs == 9
    assert plan.seconds_per_run == pytest.approx(5 + 1000 * 0.03)  # 1 024 000 tokens are 1000 steps of 1024
    assert plan.seconds == pytest.approx(5 * 35)  # nine runs on two workers: five rounds
    assert [(seed, row.variant.name) for seed, row in plan.runs[:4]] == [(0, "raw"), (0, "+s0"), (0, "+s1"), (1, "raw")]


@pytest.mark.parametrize(("n_tokens", "n_notes"), [(256_000, 0), (255_999, 1)])  # four epochs, and just more
def test_more_than_four_epochs_are_noted(n_tokens: int, n_notes: int) -> None:
    assert len(plan_of([4_000_000, n_tokens]).notes) == n_notes


def test_same_documents_are_trained_once() -> None:
    plan = plan_of([4_000_000, 3_000_000, 3_000_000], contents="abb")
    assert plan.n_runs == 6
    assert plan.same_as == {"+s1": "+s0"}
    assert "same documents" in plan.notes[0]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"n_tokens": [9, 9], "contents": "aa"}, "no step drops a document"),
        ({"n_tokens": [9, 8], "seeds": 1}, "1 seeds; at least 2"),
        ({"n_tokens": [9, 0]}, "'\\+s0' keeps no document; loosen step 's0'"),
    ],
)
def test_what_cannot_be_compared_is_refused(plan: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        plan_of(**plan)  # type: ignore[arg-type]


def test_effective_tokens() -> None:
    assert effective_tokens(500, 1000) == 500
    assert effective_tokens(1000, 1000) == 1000
    # 16 epochs, R = 15 = R*: U * (1 + 15 * (1 - 1/e)) = 10.48 U
    assert effective_tokens(16_000, 1000) == pytest.approx(1000 * (1 + 15 * (1 - math.exp(-1))))


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["10", "0m", "ten minutes", "-5m", "10m "])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(RecipeError, match="such as 10m"):
        parse_duration(text)


def solve(seconds: float, *, n_unique: int = 10_000_000) -> tuple[int, int]:
    return solve_budget(seconds, cost=COST, n_variants=6, n_workers=2, tokens_per_step=1000, n_unique=n_unique)


def test_budget_buys_five_seeds_from_a_million_tokens_on() -> None:
    # 30 runs on 2 workers are 15 rounds; 1000 steps take 35 s: 525 s. The 0.1 is for rounding.
    assert solve(525.1) == (5, 1_000_000)
    n_seeds, n_tokens = solve(524)
    # 18 runs are 9 rounds of 58.2 s, less 5: 1774 steps of 0.03 s
    assert (n_seeds, n_tokens) == (3, 1_774_000)


def test_budget_reads_the_smallest_variant_four_times_at_most() -> None:
    assert solve(3600, n_unique=500_000) == (5, 2_000_000)


def test_too_small_a_budget_says_what_would_do() -> None:
    # 128 steps take 8.84 s; 9 rounds 79.6 s: two minutes
    assert solve(80) == (3, 129_000)
    with pytest.raises(RecipeError, match="takes 2 minutes"):
        solve(79)

"""What the ablation says on the command line and in the report's headline."""

from __future__ import annotations

import numpy as np
import pytest

from datassay.cli.ablate import verdicts
from datassay.cli.report.worth import headline
from datassay.model.statistics import Analysis, Comparison, Score, analyse

COMPARISONS = (
    Comparison("all steps", "total", "+rules", "raw"),
    Comparison("rules", "cumulative", "+rules", "raw"),
)


def analysis(domains: tuple[str, ...], target: str | None = None) -> Analysis:
    """Rules that halve the loss on every domain, seen with two seeds that differ little."""
    scores = [
        Score(variant, seed, domain, np.full(200, nats), np.full(200, 1000))
        for variant, losses in (("raw", (1400.0, 1410.0)), ("+rules", (700.0, 712.0)))
        for seed, nats in enumerate(losses)
        for domain in domains
    ]
    return analyse(scores, COMPARISONS, target=target)


@pytest.mark.parametrize(
    ("domains", "target", "named"),
    [
        (("held_out",), None, "held_out"),  # one domain: there is no mean
        (("books", "web"), None, "mean"),
        (("books", "web"), "web", "web"),
    ],
)
def test_the_verdict_names_its_domain(domains: tuple[str, ...], target: str | None, named: str) -> None:
    found = analysis(domains, target)
    first, *lines = verdicts(found)
    assert f"on {named} " in first
    assert [line.split()[0] for line in lines] == ["all", "+rules"]
    assert all("helps" in line for line in lines)
    assert named in headline(found)[0]

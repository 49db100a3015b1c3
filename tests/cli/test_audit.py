"""Which groups a rule hits harder than others: counted once more by hand, and flagged exactly from the limit on."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datassay.cli.audit import Group, as_csv, as_text, audit, wilson
from datassay.cli.run import Request, run_recipe
from datassay.cli.run_folder import RunFolder, open_run
from datassay.corpus.errors import StoreError


@pytest.fixture(scope="module")
def run(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that has come to its tokens."""
    folder = tmp_path_factory.mktemp("decided") / "run"
    assert run_recipe(Request(tiny.parent / "decided.toml", folder, until="tokens", workers=0)) == 0
    return open_run(folder)


@pytest.mark.parametrize(
    ("n_dropped", "n_documents", "low", "high"),
    [
        # Newcombe 1998 (Statistics in Medicine 17), table I, method 3: the score interval without continuity correction
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_intervals_as_published(n_dropped: int, n_documents: int, low: float, high: float) -> None:
    assert wilson(n_dropped, n_documents) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_ends_of_the_interval_solve_its_equation(counts: tuple[int, int]) -> None:
    """(p - share)**2 = z**2 p (1 - p) / n, of which the interval is the solution."""
    n_dropped, n = counts
    share = n_dropped / n
    low, high = wilson(n_dropped, n)
    assert 0 <= low <= share + 1e-12 and share - 1e-12 <= high <= 1
    for p in (low, high):
        assert (p - share) ** 2 == pytest.approx(1.959963984540054**2 * p * (1 - p) / n, abs=1e-9)


def documents(run: RunFolder) -> list[dict[str, Any]]:
    result = run.connect().execute(
        """
        SELECT language, n_chars, documents.domain, [r.rule FOR r IN reasons] AS rules FROM signals
        JOIN decisions USING (id)
        JOIN split USING (id) JOIN documents USING (id) WHERE role = 'train'
        """
    )
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def test_counts_are_those_by_hand(run: RunFolder) -> None:
    rows = documents(run)
    found = audit(run)
    by_domain = Counter(row["domain"] for row in rows)
    for group in (group for group in found if group.kind == "domain" and group.group in by_domain):
        assert group.n_documents == by_domain[group.group]
        assert group.n_dropped == sum(group.rule in row["rules"] for row in rows if row["domain"] == group.group)
    for rule in {group.rule for group in found}:
        average = sum(rule in row["rules"] for row in rows) / len(rows)
        assert {group.average for group in found if group.rule == rule} == {average}
        for kind in {group.kind for group in found if group.rule == rule}:
            assert sum(group.n_documents for group in found if (group.rule, group.kind) == (rule, kind)) == len(rows)


def test_equal_lengths_are_in_one_class(run: RunFolder) -> None:
    classes = {group.group: group.n_documents for group in audit(run) if group.kind == "length"}
    assert 2 <= len(classes) <= 10
    rows = documents(run)
    for name, n in classes.items():
        low, _, high, _ = name.split()
        assert n == sum(int(low) <= row["n_chars"] <= int(high) for row in rows)


def test_a_rule_is_not_held_against_what_it_is_about(run: RunFolder) -> None:
    kinds = {group.kind for group in audit(run) if group.rule == "language"}
    assert "language" not in kinds
    assert {"domain", "length"} <= kinds
    assert "language" in {group.kind for group in audit(run) if group.rule == "stop_words"}


def test_flagged_from_the_limit_on(run: RunFolder) -> None:
    """At a factor of just low / average a group is flagged; a hair above it is not, nor with one document too few."""
    worst = max(audit(run), key=lambda group: group.low / group.average)
    factor = worst.low / worst.average
    while factor * worst.average > worst.low:  # the division may have rounded up
        factor = math.nextafter(factor, 0)

    def is_flagged(factor: float, min_documents: int) -> bool:
        groups = audit(run, factor=factor, min_documents=min_documents)
        (found,) = (g for g in groups if (g.rule, g.kind, g.group) == (worst.rule, worst.kind, worst.group))
        return found.is_flagged

    assert is_flagged(factor, worst.n_documents)
    assert not is_flagged(factor, worst.n_documents + 1)
    assert not is_flagged(factor * (1 + 1e-9), worst.n_documents)


def test_flagged_groups_come_first_and_the_worst_are_said_in_words(run: RunFolder) -> None:
    groups = audit(run, factor=1, min_documents=1)
    flags = [group.is_flagged for group in groups]
    assert flags == sorted(flags, reverse=True)
    assert any(flags)
    text = as_text(groups, factor=1, min_documents=1)
    worst = groups[0]
    assert f"The worst: {worst.rule} drops {worst.n_dropped} of the {worst.n_documents} documents of " in text
    assert text == as_text(audit(run, factor=1, min_documents=1), factor=1, min_documents=1)
    assert text.count(" of all.") == min(5, sum(flags))


def test_nothing_to_flag(run: RunFolder) -> None:
    groups = audit(run, min_documents=10**6)
    assert as_text(groups, factor=3, min_documents=10**6).startswith(
        "No group of 1000000 documents or more is surely hit 3"
    )
    assert as_text([], factor=3, min_documents=30).endswith("0 rules, 0 pairs of rule and group.\n")


def test_csv_has_every_group() -> None:
    group = Group('a, "b"', "domain", "example.org", 40, 10, 0.05, 0.1, 0.4, is_flagged=True)
    names, row = csv.reader(io.StringIO(as_csv([group])))
    assert dict(zip(names, row, strict=True)) == {
        "rule": 'a, "b"',
        "kind": "domain",
        "group": "example.org",
        "documents": "40",
        "dropped": "10",
        "rate": "0.25",
        "low": "0.1",
        "high": "0.4",
        "average": "0.05",
        "flagged": "1",
    }
    assert group.times == pytest.approx(5)


def test_a_run_that_has_not_decided(tiny: Path, tmp_path: Path) -> None:
    assert run_recipe(Request(tiny.parent / "decided.toml", tmp_path, until="clean", workers=0)) == 0
    with pytest.raises(StoreError, match=r"stage 'decide' has not run; `datassay run` continues the run"):
        audit(open_run(tmp_path))

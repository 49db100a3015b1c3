"""Why a document stays: what is said is what decided."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datassay.dedup.clusters import choose, preference, resolve
from datassay.dedup.reasons import COLUMNS, REASON, deciding_criteria, reasons, said_of
from datassay.dedup.settings import KeepCriterion

CRITERIA: tuple[KeepCriterion, ...] = get_args(KeepCriterion)
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("cluster", pa.string()),
        ("quality", pa.float64()),
        ("n_chars", pa.int64()),
        ("date", pa.string()),
        ("source", pa.string()),
    ]
)
PRIORITY = ("books", "we*")


def members(*rows: tuple[object, ...]) -> pa.Table:
    """Rows of id, cluster, quality, n_chars, date, source."""
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], schema=SCHEMA)


def place(row: dict[str, Any], criterion: str) -> tuple[bool, Any]:
    """What a criterion means, written down once more: the unknown last, quality and length from high to low."""
    value = row[{"length": "n_chars"}.get(criterion, criterion)]
    if criterion == "source":
        return False, {"books": 0, "web": 1, "wet": 1}.get(value, 2)
    if value is None or value != value:
        return True, 0
    return False, -value if criterion in ("quality", "length") else value


ROWS = st.lists(
    st.tuples(
        st.sampled_from("xyz"),
        st.sampled_from([None, math.nan, -0.0, 0.0, 0.5, 0.5000000001, 0.9, math.inf]),
        st.sampled_from([None, 1, 2]),
        st.sampled_from([None, "2019", "2019-05-01", "2020"]),
        st.sampled_from(["books", "web", "wet", "other", "else"]),
    ),
    max_size=12,
)
KEEP_BY = st.lists(st.sampled_from(CRITERIA), unique=True).map(tuple)


@given(ROWS, KEEP_BY, st.randoms())
def test_reasons_agree_with_what_is_chosen(rows: list[Any], keep_by: tuple[KeepCriterion, ...], random: Any) -> None:
    names = [f"{i:02d}" for i in range(len(rows))]
    random.shuffle(names)
    table = members(*((name, *row) for name, row in zip(names, rows, strict=True)))
    found = reasons(table, keep_by, source_priority=PRIORITY)
    roots = np.array([[row[0] for row in rows].index(row[0]) for row in rows], np.int64)
    kept = choose(roots, preference(table, keep_by, PRIORITY))
    sizes = np.bincount(roots, minlength=len(rows))
    assert set(zip(found["cluster"].to_pylist(), found["kept"].to_pylist(), strict=True)) == {
        (row[0], names[best]) for row, best, root in zip(rows, kept, roots, strict=True) if sizes[root] > 1
    }
    for reason in found.to_pylist():
        group = [row for row in table.to_pylist() if row["cluster"] == reason["cluster"]]
        order = [*keep_by, "id"]
        best, second, *_ = sorted(group, key=lambda row: [place(row, criterion) for criterion in order])
        assert reason["n_documents"] == len(group)
        assert (reason["kept"], reason["runner_up"]) == (best["id"], second["id"])
        assert reason["criterion"] == next(c for c in order if place(best, c) != place(second, c))
        assert reason["because"] == said_of(
            reason["criterion"], *(row[COLUMNS[reason["criterion"]]] for row in (best, second))
        )


@given(ROWS, KEEP_BY)
def test_names_matter_exactly_where_the_id_decides(rows: list[Any], keep_by: tuple[KeepCriterion, ...]) -> None:
    table = members(*((f"{i:02d}", "x", *row[1:]) for i, row in enumerate(rows)))
    renamed = table.set_column(0, "id", pa.array([f"{len(rows) - i:02d}" for i in range(len(rows))], pa.string()))
    first, second = preference(table, keep_by, PRIORITY), preference(renamed, keep_by, PRIORITY)
    for a in range(len(rows)):
        for b in range(len(rows)):
            if first[a] < first[b]:
                (criterion,) = deciding_criteria(table, np.array([a]), np.array([b]), keep_by, source_priority=PRIORITY)
                assert (criterion == "id") == (second[a] > second[b])


def test_the_clusters_of_a_decision_have_their_reasons() -> None:
    table = members(
        ("a", "", 0.4, 10, "2020", "web"),
        ("b", "", 0.9, 10, "2020", "web"),
        ("c", "", 0.9, 12, "2020", "web"),
        ("d", "", 0.1, 10, "2020", "web"),
        ("e", "", 0.1, 10, "2019", "web"),
    ).drop_columns("cluster")
    pairs = pa.table({"a": ["a", "b", "d"], "b": ["b", "c", "e"], "kind": ["near", "exact", "near"]})
    decided = resolve(pairs, table, keep_by=CRITERIA, source_priority=PRIORITY)
    found = reasons(table.append_column("cluster", decided["cluster"]), CRITERIA, source_priority=PRIORITY)
    assert found.select(["kept", "runner_up", "because"]).to_pylist() == [
        {"kept": "c", "runner_up": "b", "because": "longer: 12 characters against 10"},
        {"kept": "e", "runner_up": "d", "because": "older: 2019 against 2020"},
    ]
    stays = dict(zip(decided["id"].to_pylist(), decided["kept_for"].to_pylist(), strict=True))
    assert [name for name, other in stays.items() if other is None] == ["c", "e"]


def test_the_order_of_rows_does_not_matter() -> None:
    rows = [
        ("a", "x", 0.5, 1, None, "web"),
        ("b", "x", None, 2, None, "web"),
        ("c", "y", 0.1, 3, "2020", "web"),
        ("d", "y", 0.1, 3, "2020", "books"),
    ]
    assert reasons(members(*rows[::-1]), CRITERIA, source_priority=PRIORITY).equals(
        reasons(members(*rows), CRITERIA, source_priority=PRIORITY)
    )


@pytest.mark.parametrize(
    "rows", [[], [("a", "x", 0.5, 1, None, "s")], [("a", "x", 0.5, 1, None, "s"), ("b", "y", 0.5, 1, None, "s")]]
)
def test_without_a_runner_up_there_is_no_reason(rows: list[tuple[object, ...]]) -> None:
    assert reasons(members(*rows), CRITERIA).equals(REASON.empty_table())


@pytest.mark.parametrize(
    ("criterion", "kept", "other", "said"),
    [
        ("quality", 0.914, 0.44, "quality 0.91 against 0.44"),
        ("quality", 0.9144, 0.9141, "quality 0.9144 against 0.9141"),
        ("quality", 0.1 + 0.2, 0.3, "quality 0.30000000000000004 against 0.3"),  # the smallest difference there is
        ("quality", 0.5, None, "quality 0.5 against unknown"),
        ("quality", 0.5, math.nan, "quality 0.5 against unknown"),
        ("quality", -12.0, -120.0, "quality -12 against -1.2e+02"),
        ("length", 5210, 4980, "longer: 5,210 characters against 4,980"),
        ("length", 7, None, "longer: 7 characters against unknown"),
        ("date", "2019", "2019-05-01", "older: 2019 against 2019-05-01"),
        ("date", "2019", None, "older: 2019 against unknown"),
        ("source", "books", "web", "source books before web"),
        ("id", "a", "b", "smaller id"),
    ],
)
def test_reasons_in_words(criterion: str, kept: object, other: object, said: str) -> None:
    assert said_of(criterion, kept, other) == said


def test_every_criterion_has_words() -> None:
    values: dict[str, tuple[object, object]] = {"quality": (0.9, 0.1), "n_chars": (2, 1)}
    for criterion in CRITERIA:
        said_of(criterion, *values.get(COLUMNS[criterion], ("a", "b")))
    with pytest.raises(ValueError, match="no words for the criterion 'taste', only for quality"):
        said_of("taste", 1, 2)

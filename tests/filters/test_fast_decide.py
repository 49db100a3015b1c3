"""Which rules fail, without reasons: the same as with reasons, whatever the signals and the limits."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datassay.corpus.engine import Inputs
from datassay.corpus.store import Outputs
from datassay.filters.decide import MEMORY, RulesSettings, apply_rules, connect
from datassay.filters.fast_decide import reasons_of, rule_failures
from datassay.filters.rules import Rule

RULES = (
    Rule("low", "x >= 0.5", "test"),
    Rule("between", "n BETWEEN 2 AND 5", "test"),
    Rule("both", "x < 0.9 AND n <> 4", "test"),
    Rule("language", "language IN ('en', 'de')", "test"),
)
ROWS = st.tuples(
    st.one_of(st.none(), st.sampled_from([0.0, 0.4999, 0.5, 0.9, 1.0, float("nan")])),
    st.one_of(st.none(), st.integers(0, 7)),
    st.one_of(st.none(), st.sampled_from(["en", "de", "fr", ""])),
)


def write(folder: Path, rows: list[tuple[float | None, int | None, str | None]]) -> Inputs:
    """Two datasets of aligned rows, as a shard has them."""
    ids = pa.array([f"{i:03d}" for i in range(len(rows))], pa.string())
    columns = [
        pa.array([row[i] for row in rows], kind) for i, kind in enumerate((pa.float64(), pa.int64(), pa.string()))
    ]
    pq.write_table(pa.table({"id": ids, "x": columns[0], "n": columns[1]}), folder / "a.parquet")
    pq.write_table(pa.table({"id": ids, "language": columns[2]}), folder / "b.parquet")
    return Inputs({"a": (folder / "a.parquet",), "b": (folder / "b.parquet",)})


@given(st.lists(ROWS, max_size=20), st.permutations(RULES), st.integers(0, len(RULES)))
def test_the_same_as_with_reasons(
    rows: list[tuple[float | None, int | None, str | None]], order: list[Rule], n_rules: int
) -> None:
    rules = tuple(order[:n_rules])
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        inputs = write(folder, rows)
        apply_rules(inputs, RulesSettings(rules=rules), Outputs(folder / "out", 0))
        expected = pq.read_table(folder / "out" / "verdicts" / "part-00000.parquet").to_pylist()
        with connect(MEMORY, 1, folder) as con:
            parts = list(rule_failures(con, rules, inputs))
            fails = np.concatenate([np.zeros((0, len(rules)), bool), *parts])
            backwards = list(range(len(rows)))[::-1]
            reasons = reasons_of(con, rules, inputs, backwards)
    named = [[rule.name for rule, is_failed in zip(rules, row, strict=True) if is_failed] for row in fails]
    assert named == [[reason["rule"] for reason in row["reasons"]] for row in expected]
    assert repr(reasons[::-1]) == repr([row["reasons"] for row in expected])  # repr: NaN is not NaN


def test_a_row_that_is_not_there(tmp_path: Path) -> None:
    inputs = write(tmp_path, [(0.1, 1, "en")])
    with connect(MEMORY, 1, tmp_path) as con:
        assert reasons_of(con, RULES, inputs, []) == []
        assert [reason["rule"] for reason in reasons_of(con, RULES, inputs, [0, 0])[1]] == ["low", "between"]
        with pytest.raises(ValueError, match="no row 1 in a shard of 1"):
            reasons_of(con, RULES, inputs, [1])

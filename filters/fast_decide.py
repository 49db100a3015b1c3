"""Which rules each document fails, and nothing else: for deciding again, where reasons are wanted for a few documents.

Of a million documents and 40 rules, reading the signals and asking the rules takes a second; writing every reason with
its value takes as long again (benchmarks/redecide.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datassay.corpus.engine import Inputs
from datassay.filters.decide import aligned_tables, failed_rules, failures, rule_columns
from datassay.filters.rules import Rule

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def rule_failures(con: DuckDBPyConnection, rules: Sequence[Rule], inputs: Inputs) -> Iterator[NDArray[np.bool_]]:
    """Whether each document of one shard fails each rule, (documents, rules), some thousand documents at a time.

    Reads what `filters.decide.apply_rules` reads; a rule fails exactly where it is among the reasons that that gives.
    """
    for signals in aligned_tables(inputs, _mentioned(con, rules)):
        fails = failures(con, rules, signals)
        yield np.stack(fails, axis=1) if fails else np.zeros((signals.num_rows, 0), bool)


def reasons_of(
    con: DuckDBPyConnection, rules: Sequence[Rule], inputs: Inputs, rows: Sequence[int]
) -> list[list[dict[str, Any]]]:
    """The reasons that `apply_rules` gives of some documents of one shard, named by row, in the order named.

    Raises ValueError for a row that the shard does not have.
    """
    found: dict[int, list[dict[str, Any]]] = {}
    start = 0
    for signals in aligned_tables(inputs, _mentioned(con, rules)):
        here = sorted({row for row in rows if start <= row < start + signals.num_rows})
        chosen = signals.take(pa.array([row - start for row in here], pa.int64()))
        found.update(zip(here, failed_rules(con, rules, chosen).to_pylist() if here else [], strict=True))
        start += signals.num_rows
    missing = [row for row in rows if row not in found]
    if missing:
        raise ValueError(f"no row {missing[0]} in a shard of {start}")
    return [found[row] for row in rows]


def _mentioned(con: DuckDBPyConnection, rules: Sequence[Rule]) -> list[str]:
    return [name for names in rule_columns(con, rules) for name in names]

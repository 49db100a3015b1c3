"""Why a document of a cluster stays: the first criterion that tells it from another of the cluster, in words.

`clusters.preference` itself is asked, so that what is said is what decided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datassay.dedup.clusters import preference
from datassay.dedup.settings import KeepCriterion

REASON = pa.schema(
    [
        pa.field("cluster", pa.string(), nullable=False),
        pa.field("n_documents", pa.int64(), nullable=False),
        pa.field("kept", pa.string(), nullable=False),
        pa.field("runner_up", pa.string(), nullable=False),  # the document that would stay without the one that does
        pa.field("criterion", pa.string(), nullable=False),  # of `keep_by`, the first that differs, or "id"
        pa.field("because", pa.string(), nullable=False),  # the same in words, with both values
    ]
)
COLUMNS = {"quality": "quality", "length": "n_chars", "date": "date", "source": "source", "id": "id"}
"""Where a criterion's values are."""


def reasons(members: pa.Table, keep_by: Sequence[KeepCriterion], *, source_priority: Sequence[str] = ()) -> pa.Table:
    """Which document of each cluster stays, and what told it from the runner-up.

    members: id, cluster, and the columns that `preference` needs
    returns: REASON, ordered by cluster; a cluster of one document has no runner-up and is left out
    """
    places = preference(members, keep_by, source_priority)
    order = np.lexsort((places, _codes(members["cluster"])))
    codes = _codes(members["cluster"])[order]
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    sizes = np.diff(starts, append=len(order))
    starts, sizes = starts[sizes > 1], sizes[sizes > 1]
    kept, runner_up = order[starts], order[starts + 1]
    criteria = deciding_criteria(members, kept, runner_up, keep_by, source_priority=source_priority)
    columns = [
        members["cluster"].take(pa.array(kept)),
        pa.array(sizes, pa.int64()),
        members["id"].take(pa.array(kept)),
        members["id"].take(pa.array(runner_up)),
        pa.array(criteria, pa.string()),
        pa.array(in_words(members, kept, runner_up, criteria), pa.string()),
    ]
    return pa.table(columns, schema=REASON).sort_by("cluster")


def deciding_criteria(
    documents: pa.Table,
    kept: NDArray[np.int64],
    others: NDArray[np.int64],
    keep_by: Sequence[KeepCriterion],
    *,
    source_priority: Sequence[str] = (),
) -> list[str]:
    """The first criterion by which each of `kept` is preferred to the one of `others`, "id" if none of `keep_by` is.

    kept, others: (pairs,), rows of `documents`; `preference` puts the first of a pair before the second

    The other is given a name that would win every tie. The criterion is the last of the shortest beginning of `keep_by`
    that prefers the kept one all the same.
    """
    n_pairs = len(kept)
    pairs = documents.take(pa.array(np.concatenate([kept, others])))
    names = pa.array(["1"] * n_pairs + ["0"] * n_pairs, pa.string())
    pairs = pairs.set_column(pairs.column_names.index("id"), "id", names)
    found = np.full(n_pairs, "id", dtype=object)
    for n_criteria in range(len(keep_by), 0, -1):
        places = preference(pairs, keep_by[:n_criteria], source_priority)
        found[places[:n_pairs] < places[n_pairs:]] = keep_by[n_criteria - 1]
    return [str(criterion) for criterion in found]


def in_words(
    documents: pa.Table, kept: NDArray[np.int64], others: NDArray[np.int64], criteria: Sequence[str]
) -> list[str]:
    """What `deciding_criteria` found of each pair, said with both values."""
    said = [""] * len(criteria)
    for criterion in sorted(set(criteria)):
        chosen = [i for i, name in enumerate(criteria) if name == criterion]
        values = documents[COLUMNS[criterion]]
        a, b = (values.take(pa.array(rows[chosen])).to_pylist() for rows in (kept, others))
        for i, x, y in zip(chosen, a, b, strict=True):
            said[i] = said_of(criterion, x, y)
    return said


def said_of(criterion: str, kept: Any, other: Any) -> str:
    """One reason in words: `quality 0.91 against 0.44`. An unknown value is None or NaN."""
    match criterion:
        case "quality":
            return "quality {} against {}".format(*_told_apart(kept, other))
        case "length":
            return f"longer: {_count(kept)} characters against {_count(other)}"
        case "date":
            return f"older: {kept or 'unknown'} against {other or 'unknown'}"
        case "source":
            return f"source {kept} before {other}"
        case "id":
            return "smaller id"
    raise ValueError(f"no words for the criterion {criterion!r}, only for {', '.join(COLUMNS)}")


def _told_apart(x: float | None, y: float | None) -> tuple[str, str]:
    """Both numbers with as few digits, two at least, as show that they differ."""
    if x is None or y is None or math.isnan(x) or math.isnan(y):
        return _number(x), _number(y)
    for n_digits in range(2, 17):
        a, b = f"{x:.{n_digits}g}", f"{y:.{n_digits}g}"
        if a != b:
            return a, b
    return repr(x), repr(y)


def _number(x: float | None) -> str:
    return "unknown" if x is None or math.isnan(x) else f"{x:.2g}"


def _count(n: int | None) -> str:
    return "unknown" if n is None else f"{n:,}"


def _codes(names: pa.ChunkedArray) -> NDArray[np.int64]:
    """A number from 0 for each distinct name."""
    return np.asarray(names.combine_chunks().dictionary_encode().indices, np.int64)

"""Limits of languages: FineWeb2's thresholds, the condition of the rule, both stages."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path

import duckdb
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import StoreError
from datassay.corpus.language import LANGUAGE, LanguageLimit, LanguageSettings
from datassay.corpus.language_limits import (
    LANGUAGE_LIMIT,
    auto_threshold,
    condition_by_column,
    find_thresholds,
    language_condition,
    read_thresholds,
    write_limits,
)
from datassay.corpus.store import Outputs


@pytest.mark.parametrize(
    ("scores", "threshold"),
    [
        ([], 0.3),
        ([0.31], 0.31),
        ([0.29], 0.3),  # never below
        ([0.9], 0.9),
        ([0.95, 0.95], 0.9),  # never above
        ([0.5, 0.6, 1.0], 0.6 - np.std([0.5, 0.6, 1.0])),
        ([0.0, 1.0], 0.3),
    ],
)
def test_auto_threshold(scores: list[float], threshold: float) -> None:
    assert auto_threshold(np.array(scores)) == threshold


@given(st.lists(st.floats(0, 1), min_size=1))
def test_auto_threshold_is_median_less_deviation(scores: list[float]) -> None:
    expected = statistics.median(scores) - statistics.pstdev(scores)
    assert auto_threshold(np.array(scores)) == pytest.approx(min(0.9, max(0.3, expected)))


def shard(path: Path, rows: list[tuple[str | None, float]]) -> Path:
    columns = {"id": [], "language": [], "language_score": []}  # type: dict[str, list[object]]
    for i, (language, score) in enumerate(rows):
        columns["id"].append(f"{path.stem}-{i}")
        columns["language"].append(language)
        columns["language_score"].append(score)
    schema = pa.schema(LANGUAGE.field(name) for name in columns)
    pq.write_table(pa.Table.from_pydict(columns, schema), path, row_group_size=2)
    return path


def found_in(folder: Path, *shards: Path) -> Path:
    find_thresholds(Inputs({"language": shards}), None, Outputs(folder, 0))
    return folder / "thresholds/part-00000.json"


def test_thresholds_of_all_shards(tmp_path: Path) -> None:
    first = shard(tmp_path / "a.parquet", [("de", 0.5), ("en", 0.99), (None, 0.0)])
    second = shard(tmp_path / "b.parquet", [("en", 0.97), ("de", 0.6), ("de", 1.0)])
    path = found_in(tmp_path, first, second)
    german = [0.5, 0.6, 1.0]
    assert orjson.loads(path.read_bytes()) == {
        "de": {
            "documents": 3,
            "median": 0.6,
            "standard_deviation": pytest.approx(statistics.pstdev(german)),
            "min_score": auto_threshold(np.array(german)),
        },
        "en": {
            "documents": 2,
            "median": pytest.approx(0.98),
            "standard_deviation": pytest.approx(0.01),
            "min_score": 0.9,
        },
    }
    assert read_thresholds(path) == {"de": auto_threshold(np.array(german)), "en": 0.9}


def test_thresholds_do_not_depend_on_how_documents_are_divided(tmp_path: Path) -> None:
    rows: list[tuple[str | None, float]] = [("de", i / 97 % 1) for i in range(50)]
    whole = found_in(tmp_path / "1", shard(tmp_path / "w.parquet", rows)).read_bytes()
    parts = [shard(tmp_path / f"{i}.parquet", rows[i : i + 7]) for i in range(0, 50, 7)]
    assert found_in(tmp_path / "2", *parts).read_bytes() == whole


def test_thresholds_of_nothing(tmp_path: Path) -> None:
    assert read_thresholds(found_in(tmp_path, shard(tmp_path / "a.parquet", []))) == {}
    assert read_thresholds(found_in(tmp_path, shard(tmp_path / "b.parquet", [(None, 0.0)]))) == {}


@pytest.mark.parametrize("content", [b"[]", b'{"de": 1}', b'{"de": {}}', b"{", b'{"de": {"min_score": "x"}}'])
def test_damaged_thresholds(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"t\.json"):
        read_thresholds(tmp_path / "t.json")


OWN = {"de": LanguageLimit(min_score=0.5), "fr": LanguageLimit(min_score="auto")}
AUTO = {"fr": 0.8125, "en": 0.7}


@pytest.mark.parametrize(
    ("settings", "condition"),
    [
        (LanguageSettings(), "language IN ('en') AND language_score >= 0.65"),
        (LanguageSettings(keep=("en", "de")), "language IN ('en', 'de') AND language_score >= 0.65"),
        (
            LanguageSettings(keep=("en", "de", "fr"), by_language=OWN),
            "(language IN ('en') AND language_score >= 0.65) OR (language IN ('de') AND language_score >= 0.5)"
            " OR (language IN ('fr') AND language_score >= 0.8125)",
        ),
        (LanguageSettings(min_score="auto"), "language IN ('en') AND language_score >= 0.7"),
        (LanguageSettings(keep=("yo",), min_score="auto"), "language IN ('yo') AND language_score >= 0.3"),
        (LanguageSettings(keep=()), "true"),
        (
            LanguageSettings(keep=(), by_language={"de": LanguageLimit(min_score=0.5)}),
            "(language IN ('de') AND language_score >= 0.5) OR (language IS NULL OR language NOT IN ('de'))",
        ),
        (LanguageSettings(keep=("it's",)), "language IN ('it''s') AND language_score >= 0.65"),
    ],
)
def test_condition(settings: LanguageSettings, condition: str) -> None:
    assert language_condition(settings, AUTO) == condition


def expected(settings: LanguageSettings, language: str | None, score: float, found: Mapping[str, float]) -> bool:
    """Whether a document is kept, without SQL."""
    if settings.keep and language not in settings.keep:
        return False
    if not settings.keep and language not in settings.by_language:
        return True
    assert language is not None
    limit = settings.by_language.get(language, LanguageLimit()).min_score or settings.min_score
    return score >= (found.get(language, 0.3) if limit == "auto" else float(limit))


@pytest.mark.parametrize(
    "settings",
    [
        LanguageSettings(),
        LanguageSettings(keep=("en", "de", "fr"), by_language=OWN),
        LanguageSettings(keep=("en", "fr", "yo"), min_score="auto"),
        LanguageSettings(keep=(), by_language=OWN),
        LanguageSettings(keep=()),
    ],
)
def test_both_conditions_keep_the_same(settings: LanguageSettings, tmp_path: Path) -> None:
    """At each limit and one step below; by limits in the condition and by limits as a signal."""
    limits = [0.3, 0.5, 0.65, 0.7, 0.8125]
    scores = [value for limit in limits for value in (float(np.nextafter(limit, 0)), limit)]
    rows = [(language, score) for language in ("en", "de", "fr", "yo", None) for score in scores]
    path = shard(tmp_path / "language.parquet", rows)
    thresholds = tmp_path / "thresholds.json"
    thresholds.write_bytes(orjson.dumps({name: {"min_score": limit} for name, limit in AUTO.items()}))
    out = Outputs(tmp_path, 0)
    write_limits(Inputs({"language": (path,), "thresholds": (thresholds,)}), settings, out)
    limited = tmp_path / "language_limit/part-00000.parquet"
    table = pq.read_table(limited)
    assert table.schema.equals(LANGUAGE_LIMIT)
    assert table["id"].to_pylist() == [f"language-{i}" for i in range(len(rows))]
    assert out.counts == {"documents": len(rows)}
    for condition in (language_condition(settings, AUTO), condition_by_column(settings)):
        query = f"SELECT coalesce({condition}, false) FROM '{path}' POSITIONAL JOIN '{limited}'"
        kept = [row[0] for row in duckdb.sql(query).fetchall()]
        assert kept == [expected(settings, language, score, AUTO) for language, score in rows]


def test_limits_without_auto_need_no_thresholds(tmp_path: Path) -> None:
    path = shard(tmp_path / "language.parquet", [("en", 0.1), ("de", 0.1), (None, 0.0)])
    write_limits(Inputs({"language": (path,)}), LanguageSettings(), Outputs(tmp_path, 0))
    table = pq.read_table(tmp_path / "language_limit/part-00000.parquet")
    assert table["language_min_score"].to_pylist() == [0.65, None, None]

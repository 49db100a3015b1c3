"""Deciding: every rule that fails is listed; limits are exact; cut-offs keep what they say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from duckdb import DuckDBPyConnection

from datassay.corpus.engine import Inputs, Task, run_task
from datassay.corpus.errors import RecipeError, StoreError
from datassay.filters import decide
from datassay.filters.decide import (
    RulesSettings,
    apply_rules,
    check_rules,
    connect,
    failed_rules,
)
from datassay.filters.rules import Rule

SIGNALS = pa.schema(
    [
        pa.field("word_count", pa.int64()),
        pa.field("alpha_fraction", pa.float64()),
        pa.field("has_lorem_ipsum", pa.bool_()),
        pa.field("language", pa.string()),
        pa.field("language_score", pa.float64()),
    ]
)


def rule(keep: str, name: str = "r") -> Rule:
    return Rule(name, keep, "test")


@pytest.fixture
def con(tmp_path: Path) -> Iterator[DuckDBPyConnection]:
    with connect("200MB", 1, tmp_path) as connection:
        yield connection


@pytest.mark.parametrize(
    "keep",
    [
        "word_count BETWEEN 50 AND 100000",
        "NOT has_lorem_ipsum",
        "language IN ('en', 'de') AND language_score >= 0.65",
        "alpha_fraction >= 0.6 -- most of it is letters",
        "coalesce(language_score, 0) > 0.5 OR length(language) = 2",
    ],
)
def test_conditions_over_signals_are_rules(keep: str) -> None:
    check_rules([rule(keep)], SIGNALS)


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("word_cuont >= 50", "no signal 'word_cuont'; did you mean 'word_count'"),
        ("word_count", "this is a BIGINT, not a condition"),
        ("word_count >", "syntax error"),
        ("word_count > 1; SELECT 1", "not an SQL expression"),
        ("word_count > 1, alpha_fraction > 1", "give one condition"),
        ("1 = 1 FROM other", "not an SQL expression"),
        ("word_count > avg(word_count)", "aggregates"),
        ("row_number() OVER () > 1", "window"),
        ("word_count > (SELECT 1)", "without SELECT"),
        ("random() < alpha_fraction", r"random\(\) is not the same in every run"),
        ("now() > '2020-01-01'", r"now\(\) is not the same"),
        ("current_date > '2020-01-01'", "no signal 'current_date'"),
        ("language > 3", "Cannot compare"),
        ("nothing(word_count) > 3", "nothing"),
    ],
)
def test_what_is_no_rule_is_refused_by_name(keep: str, message: str) -> None:
    with pytest.raises(RecipeError, match=f"rule 'r'.*{message}"):
        check_rules([rule("word_count > 1", "fine"), rule(keep)], SIGNALS)


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(RecipeError, match="'r' is there 2 times: 'word_count > 1' and 'word_count > 2'"):
        check_rules([rule("word_count > 1"), rule("word_count > 2")], SIGNALS)


def reasons_of(
    con: DuckDBPyConnection, keeps: Sequence[str], columns: Mapping[str, object]
) -> list[list[tuple[object, ...]]]:
    table = pa.table({name: pa.array(values, SIGNALS.field(name).type) for name, values in columns.items()})
    found = failed_rules(con, [rule(keep, f"r{i}") for i, keep in enumerate(keeps)], table)
    return [[tuple(reason.values()) for reason in reasons] for reasons in found.to_pylist()]


def test_all_rules_that_fail_are_listed_with_value_and_limit(con: DuckDBPyConnection) -> None:
    keeps = ["word_count BETWEEN 3 AND 5", "0.5 <= alpha_fraction"]
    columns = {"word_count": [2, 3, 5, 6, None], "alpha_fraction": [0.1, 0.5, None, 1.0, 0.2]}
    assert reasons_of(con, keeps, columns) == [
        [("r0", 2.0, keeps[0]), ("r1", 0.1, keeps[1])],
        [],
        [("r1", None, keeps[1])],  # null fails
        [("r0", 6.0, keeps[0])],
        [("r0", None, keeps[0]), ("r1", 0.2, keeps[1])],
    ]


def test_the_value_is_the_first_number_that_a_rule_mentions(con: DuckDBPyConnection) -> None:
    keeps = ["language IN ('en') AND language_score >= 0.65", "language = 'en'", "NOT has_lorem_ipsum"]
    columns = {"language": ["de"], "language_score": [0.9], "has_lorem_ipsum": [True]}
    assert [reason[1] for reason in reasons_of(con, keeps, columns)[0]] == [0.9, None, 1.0]


def test_no_rules_and_no_documents(con: DuckDBPyConnection) -> None:
    assert reasons_of(con, [], {"word_count": [1, 2]}) == [[], []]
    assert reasons_of(con, ["word_count > 1"], {"word_count": []}) == []


@pytest.mark.parametrize(
    "limit", ["0.7", "0.65", "0.1", "0.30", "0.018112", "0.01", "0.12", "0.67", "0.3000001", "1e-3", "3"]
)
def test_a_limit_is_the_same_in_sql_text_as_parameter_and_in_numpy(con: DuckDBPyConnection, limit: str) -> None:
    exact = float(limit)
    values = np.array([np.nextafter(exact, -1), exact, np.nextafter(exact, 9)])
    expected = [False, True, True]
    assert (values >= exact).tolist() == expected
    assert [
        not reasons for reasons in reasons_of(con, [f"alpha_fraction >= {limit}"], {"alpha_fraction": values})
    ] == expected
    con.register("x", pa.table({"value": values}))
    assert [kept for (kept,) in con.execute("SELECT value >= ? FROM x", [exact]).fetchall()] == expected


def test_why_no_signal_is_float32(con: DuckDBPyConnection) -> None:
    con.register("x", pa.table({"value": np.array([0.7], np.float32)}))
    assert con.execute("SELECT value >= 0.7, value >= ? FROM x", [0.7]).fetchall() == [(True, False)]


def write(path: Path, columns: Mapping[str, object]) -> Path:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=7)
    return path


def run(
    function: object, inputs: Mapping[str, Path | Sequence[Path]], settings: object, folder: Path, index: int = 0
) -> dict[str, int]:
    files = {name: (paths,) if isinstance(paths, Path) else tuple(paths) for name, paths in inputs.items()}
    return run_task(Task(function, Inputs(files), settings, folder, index, "key")).counts  # type: ignore[arg-type]


@pytest.fixture
def shard(tmp_path: Path) -> dict[str, Path]:
    """Twenty documents: 0, 1, … 19 words, quality word_count / 20, 100 bytes each; every fourth is German."""
    n = np.arange(20)
    ids = [f"id-{i:02d}" for i in n]
    return {
        "text": write(tmp_path / "in" / "text.parquet", {"id": ids, "word_count": n, "n_bytes": np.full(20, 100)}),
        "language": write(
            tmp_path / "in" / "language.parquet", {"id": ids, "language": ["de" if i % 4 == 0 else "en" for i in n]}
        ),
        "quality": write(tmp_path / "in" / "quality.parquet", {"id": ids, "quality": n / 20, "unused": n}),
    }


RULES = RulesSettings(
    rules=(Rule("language", "language IN ('en')", "recipe"), Rule("word_count", "word_count >= 10", "recipe")),
    carry=("quality", "n_bytes"),
)


def test_verdicts_of_a_shard(shard: dict[str, Path], tmp_path: Path) -> None:
    counts = run(apply_rules, shard, RULES, tmp_path)
    table = pq.read_table(tmp_path / "verdicts/part-00000.parquet")
    assert table.column_names == ["id", "keep", "reasons", "quality", "n_bytes"]
    rows = {row["id"]: row for row in table.to_pylist()}
    assert [reason["rule"] for reason in rows["id-08"]["reasons"]] == ["language", "word_count"]
    assert rows["id-09"]["reasons"] == [{"rule": "word_count", "value": 9.0, "limit": "word_count >= 10"}]
    assert (rows["id-11"]["keep"], rows["id-11"]["reasons"], rows["id-11"]["quality"]) == (True, [], 0.55)
    # German are 0, 4, 8, 12, 16; short are 0 to 9
    assert counts == {
        "documents": 20,
        "kept": 8,
        "fails language": 5,
        "only language": 2,
        "fails word_count": 10,
        "only word_count": 7,
    }


def test_batches_change_nothing(shard: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(apply_rules, shard, RULES, tmp_path / "one")
    monkeypatch.setattr(decide, "BATCH_ROWS", 3)
    run(apply_rules, shard, RULES, tmp_path / "many")
    name = "verdicts/part-00000.parquet"
    assert pq.read_table(tmp_path / "one" / name).equals(pq.read_table(tmp_path / "many" / name))


def test_shards_that_are_not_aligned_are_refused(shard: dict[str, Path], tmp_path: Path) -> None:
    whole = pq.read_table(shard["language"])
    for other in (whole.slice(0, 19), whole.take(list(range(19, -1, -1)))):
        pq.write_table(other, shard["language"])
        with pytest.raises(StoreError, match="of one shard have other ids"):
            run(apply_rules, shard, RULES, tmp_path)


@pytest.mark.parametrize("column", ["nothing", "n_bytes"])
def test_a_column_must_be_in_one_dataset(shard: dict[str, Path], tmp_path: Path, column: str) -> None:
    twice = {**shard, "again": shard["text"]}
    with pytest.raises(RecipeError, match=f"column '{column}' is in"):
        run(apply_rules, twice, RulesSettings(rules=(), carry=(column,)), tmp_path)


def test_a_rule_judges_only_what_it_is_for(shard: dict[str, Path], tmp_path: Path) -> None:
    rules = (
        Rule("words", "word_count >= 10", "recipe", only="language <> 'de'"),
        Rule("de/words", "word_count >= 5", "recipe", only="language = 'de'"),
        Rule("none", "word_count < 0", "recipe", only="CAST(NULL AS BOOLEAN)"),  # a null judges nothing
    )
    counts = run(apply_rules, shard, RulesSettings(rules=rules), tmp_path)
    # English and below 10: 1 2 3 5 6 7 9; German and below 5: 0 4
    assert counts == {
        "documents": 20,
        "kept": 11,
        "fails words": 7,
        "only words": 7,
        "fails de/words": 2,
        "only de/words": 2,
    }
    reasons = pq.read_table(tmp_path / "verdicts/part-00000.parquet")["reasons"].to_pylist()
    assert reasons[4] == [{"rule": "de/words", "value": 4.0, "limit": "word_count >= 5"}]
    with pytest.raises(RecipeError, match="rule 'x': only = 'lang = 1': there is no signal 'lang'"):
        check_rules([Rule("x", "true", "recipe", only="lang = 1")], pq.read_schema(shard["language"]))

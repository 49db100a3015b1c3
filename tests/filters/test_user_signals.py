"""The user's own signals: what they return is checked, and what they lack is null."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from datassay.corpus.engine import Inputs, Task, run_task
from datassay.corpus.errors import InputError, RecipeError
from datassay.corpus.schema import DOCUMENT
from datassay.filters.user_signals import UserSignal, measure_user, user_signal_settings

FUNCTIONS = """
import pyarrow as pa
import pyarrow.compute as pc

def n_shouts(texts):
    return pc.count_substring(texts, "!")

def ratio(texts):
    return pa.array([float("nan") if text == "" else text.count("!") / len(text) for text in texts.to_pylist()])

def one_less(texts):
    return n_shouts(texts)[1:]

def a_list(texts):
    return [1.0] * len(texts)

def raises(texts):
    raise KeyError("oops")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    schema = pa.schema([DOCUMENT.field(name) for name in ("id", "text", "url")])
    rows = [("a", "Hi! Ho!", "u:a"), ("b", "", None), ("c", "no", "u:c")]
    documents = [dict(zip(schema.names, row, strict=True)) for row in rows]
    pq.write_table(pa.Table.from_pylist(documents, schema=schema), tmp_path / "clean.parquet")
    return tmp_path


def measured(folder: Path, signal: UserSignal) -> tuple[list[object], dict[str, int]]:
    inputs = Inputs({"clean": (folder / "clean.parquet",)})
    done = run_task(Task(measure_user, inputs, user_signal_settings(signal, folder), folder / "out", 0, "key"))
    table = pq.read_table(folder / "out" / done.files[0].name)
    assert table.schema == signal.schema
    assert table["id"].to_pylist() == ["a", "b", "c"]
    return table[signal.name].to_pylist(), done.counts


def test_a_function_over_texts(folder: Path) -> None:
    values, counts = measured(folder, UserSignal(name="shouts", function="mine.py:n_shouts", type="int64"))
    assert values == [2, 0, 0]
    assert counts == {"documents": 3, "null": 0}


def test_nan_is_null(folder: Path) -> None:
    values, counts = measured(folder, UserSignal(name="ratio", function="mine.py:ratio"))
    assert values == [2 / 7, None, 0.0]
    assert counts == {"documents": 3, "null": 1}


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("one_less", r"mine\.py: one_less\(\) returned 2 values for 3 texts"),
        ("a_list", r"mine\.py: a_list\(\) returned list; right would be a pyarrow.Array"),
        ("raises", r"mine\.py: raises\(\) failed on 3 texts: KeyError: 'oops'"),
        ("nothing", r"mine\.py: no function 'nothing', only n_shouts, ratio"),
    ],
)
def test_a_wrong_function_is_named(folder: Path, function: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        measured(folder, UserSignal(name="x", function=f"mine.py:{function}"))


def test_values_of_another_type_are_refused(folder: Path) -> None:
    with pytest.raises(RecipeError, match="not int64"):
        measured(folder, UserSignal(name="x", function="mine.py:ratio", type="int64"))


def test_a_file_that_does_not_load_is_named(folder: Path) -> None:
    (folder / "mine.py").write_text("import nothing_like_it")
    with pytest.raises(RecipeError, match=r"mine\.py: cannot be loaded: ModuleNotFoundError"):
        user_signal_settings(UserSignal(name="x", function="mine.py:f"), folder)


def test_the_key_follows_the_content_of_the_file_and_not_its_place(folder: Path) -> None:
    signal = UserSignal(name="shouts", function="mine.py:n_shouts")
    before = user_signal_settings(signal, folder)
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "mine.py").write_text(FUNCTIONS)
    assert user_signal_settings(signal, folder / "elsewhere").model_dump(mode="json") == before.model_dump(mode="json")
    (folder / "mine.py").write_text(FUNCTIONS + "\n")
    assert user_signal_settings(signal, folder).model_dump(mode="json") != before.model_dump(mode="json")


@pytest.mark.parametrize(("key", "names"), [("id", ["c", "x", "a"]), ("url", ["u:c", None, "u:a"])])
def test_a_joined_column_is_null_where_the_file_has_no_row(folder: Path, key: str, names: list[str]) -> None:
    pq.write_table(pa.table({key: names, "edu": [3.0, 9.0, 1.0]}), folder / "scores.parquet", row_group_size=1)
    values, counts = measured(folder, UserSignal.model_validate({"name": "edu", "join": "scores.parquet", "key": key}))
    assert values == [1.0, None, 3.0]
    assert counts == {"documents": 3, "null": 1}


def test_float32_scores_are_the_decimals_that_were_written(folder: Path) -> None:
    pq.write_table(pa.table({"id": ["a"], "edu": pa.array([0.7], pa.float32())}), folder / "scores.parquet")
    values, _ = measured(folder, UserSignal(name="edu", join="scores.parquet"))
    assert values == [0.7, None, None]


def test_a_key_that_names_a_row_twice_is_refused(folder: Path) -> None:
    pq.write_table(pa.table({"id": ["a", "a"], "edu": [1.0, 2.0]}), folder / "scores.parquet")
    with pytest.raises(RecipeError, match="more than once"):
        measured(folder, UserSignal(name="edu", join="scores.parquet"))


def test_a_file_to_join_is_checked_before_the_run(folder: Path) -> None:
    signal = UserSignal(name="edu", join="scores.parquet")
    with pytest.raises(RecipeError, match="no such file"):
        user_signal_settings(signal, folder)
    pq.write_table(pa.table({"id": ["a"], "education": [1.0]}), folder / "scores.parquet")
    with pytest.raises(RecipeError, match="no column 'edu', only id, education"):
        user_signal_settings(signal, folder)
    (folder / "scores.parquet").write_bytes(b"id,edu\n")
    with pytest.raises(InputError, match="not a Parquet file"):
        user_signal_settings(signal, folder)


@pytest.mark.parametrize("origin", [{}, {"function": "a.py:f", "join": "b.parquet"}, {"function": "a.py"}])
def test_one_origin_is_needed(origin: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"right would be|give either"):
        UserSignal.model_validate({"name": "x", **origin})

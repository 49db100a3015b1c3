"""Combined scores: buckets of equal size, the best of them, and what ties, nulls and directions do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from datassay.corpus.engine import Inputs, Task, run_task
from datassay.corpus.errors import RecipeError, StoreError
from datassay.filters.percentiles import (
    PercentileSettings,
    Score,
    bucket_edges,
    buckets,
    combine,
    combine_scores,
    combined_schema,
    find_percentiles,
)


def settings(**changes: object) -> PercentileSettings:
    scores = [{"column": "quality"}, {"column": "perplexity", "better": "lower"}]
    return PercentileSettings.model_validate({"scores": scores, **changes})


def test_twenty_documents_fill_twenty_buckets() -> None:
    scores = np.array([7.0, 3, 19, 0, 5, 1, 2, 4, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18])
    edges = bucket_edges(scores, np.ones(20), 20)
    assert buckets(scores, edges).tolist() == scores.astype(int).tolist()


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(1, 25))
def test_edges_are_numpys_quantiles(scores: list[int], n_buckets: int) -> None:
    values = np.array(scores, np.float64)
    # NumPy rounds k / n x documents where that is a whole number, so shares are asked for a hair below
    shares = np.arange(1, n_buckets) / n_buckets * (1 - 1e-9)
    expected = np.quantile(values, shares, method="inverted_cdf")
    assert bucket_edges(values, np.ones(len(values)), n_buckets).tolist() == expected.tolist()


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=80, unique=True), st.integers(1, 25))
def test_buckets_of_distinct_scores_are_equal_to_one_document(scores: list[int], n_buckets: int) -> None:
    values = np.array(scores, np.float64)
    found = buckets(values, bucket_edges(values, np.ones(len(values)), n_buckets))
    sizes = np.bincount(found, minlength=n_buckets)
    assert sizes.max() - sizes.min() <= 1
    assert (np.diff(found[np.argsort(values)]) >= 0).all()


def test_weights_are_what_is_equal() -> None:
    # half of the bytes lie in the last document, so two buckets part there
    assert bucket_edges(np.array([1.0, 2, 3, 4]), np.array([1.0, 1, 1, 3]), 2).tolist() == [3.0]
    assert bucket_edges(np.array([1.0, 2, 3, 4]), np.ones(4), 2).tolist() == [2.0]


def test_equal_scores_share_the_lowest_bucket_that_they_reach() -> None:
    scores = np.array([0.0] * 60 + [*range(1, 41)])
    found = buckets(scores, bucket_edges(scores, np.ones(100), 20))
    assert found[:60].tolist() == [0] * 60  # and not 12, which lies above many documents
    assert found[60] == 12
    assert found[-1] == 19


def test_the_largest_bucket_decides_then_the_mean() -> None:
    edges = {"quality": np.array([1.0, 2, 3]), "perplexity": np.array([-3.0, -2, -1])}
    values = {
        "quality": np.array([0.0, 4, 4, np.nan, np.nan]),
        "perplexity": np.array([9.0, 9, 0, 0, np.nan]),  # lower is better
    }
    best, combined = combine(values, settings(n_buckets=4), edges)
    assert best.tolist() == [0, 3, 3, 3, 0]
    assert combined[:4].tolist() == [0, (3 + 1.5 / 4) / 4, (3 + 3 / 4) / 4, (3 + 3 / 4) / 4]
    assert np.isnan(combined[4])


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=50), st.integers(1, 30))
def test_the_bucket_can_be_read_off_the_score(pairs: list[tuple[int, int]], n_buckets: int) -> None:
    values = dict(zip(("quality", "perplexity"), np.array(pairs, np.float64).T, strict=True))
    chosen = settings(n_buckets=n_buckets)
    ones = np.ones(len(pairs))
    edges = {
        "quality": bucket_edges(values["quality"], ones, n_buckets),
        "perplexity": bucket_edges(-values["perplexity"], ones, n_buckets),
    }
    best, combined = combine(values, chosen, edges)
    assert ((combined >= 0) & (combined < 1)).all()
    assert np.floor(combined * n_buckets * (1 + 1e-12)).astype(int).tolist() == best.tolist()


def write(path: Path, **columns: list[object]) -> Path:
    n = len(next(iter(columns.values())))
    pq.write_table(pa.table({"id": [f"{path.stem}-{i}" for i in range(n)], **columns}), path)
    return path


def run(inputs: Inputs, chosen: PercentileSettings, folder: Path) -> Path:
    run_task(Task(find_percentiles, inputs, chosen, folder, 0, "key"))
    return folder / "percentiles/part-00000.json"


def test_stages_over_two_shards_and_two_datasets(tmp_path: Path) -> None:
    for name in ("quality", "text"):
        (tmp_path / name).mkdir()
    files = {
        "quality": (
            write(tmp_path / "quality/0.parquet", quality=[0.1, 0.9]),
            write(tmp_path / "quality/1.parquet", quality=[0.5, None]),
        ),
        "text": (
            write(tmp_path / "text/0.parquet", perplexity=[100, 10], n_bytes=[5, 5]),
            write(tmp_path / "text/1.parquet", perplexity=[50, None], n_bytes=[5, 5]),
        ),
    }
    chosen = settings(n_buckets=3)
    path = run(Inputs(files), chosen, tmp_path / "find")
    assert orjson.loads(path.read_bytes())["edges"] == {"quality": [0.1, 0.5], "perplexity": [-100, -50]}
    shard = Inputs({name: paths[1:] for name, paths in files.items()} | {"percentiles": (path,)})
    done = run_task(Task(combine_scores, shard, chosen, tmp_path / "out", 1, "key"))
    table = pq.read_table(tmp_path / "out/combined/part-00001.parquet")
    assert table.schema == combined_schema("nemotron_max")
    assert table["id"].to_pylist() == ["1-0", "1-1"]
    assert table["nemotron_max_bucket"].to_pylist() == [1, None]
    assert table["nemotron_max"].to_pylist() == [pytest.approx((1 + 1 / 3) / 3), None]
    assert done.counts == {"documents": 2, "null": 1}
    with pytest.raises(StoreError, match="edges of other scores"):
        run_task(Task(combine_scores, shard, settings(n_buckets=4), tmp_path / "out", 1, "key"))
    by_bytes = run(Inputs(files), settings(n_buckets=3, weights="bytes"), tmp_path / "bytes")
    assert orjson.loads(by_bytes.read_bytes())["edges"]["quality"] == [0.1, 0.5]  # all documents are of one size


@pytest.mark.parametrize(
    ("values", "message"), [([None, float("nan")], "null for all 2 documents"), (["a", "b"], "not a number")]
)
def test_what_cannot_be_ranked_is_refused(values: list[object], message: str, tmp_path: Path) -> None:
    array = pa.array(values, pa.float64()) if values[0] is None else values
    inputs = Inputs({"user": (write(tmp_path / "a.parquet", quality=array),)})  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=message):
        run(inputs, PercentileSettings(scores=(Score(column="quality"),)), tmp_path / "out")


@pytest.mark.parametrize("scores", [[], [{"column": "a"}, {"column": "a"}], [{"column": "a", "better": "best"}]])
def test_scores_are_named_once(scores: list[dict[str, str]]) -> None:
    with pytest.raises(ValidationError):
        PercentileSettings.model_validate({"scores": scores})

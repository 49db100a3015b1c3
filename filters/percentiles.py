"""Several scores as one: the best percentile that any of them gives a document, as Nemotron-CC combines its
classifiers (Su et al. 2024, arXiv:2412.02595).

Each score alone ranks all documents into 20 buckets of equal size, 0 to 19, and a document's bucket is the largest that
it reaches. Differences from NVIDIA's code (NeMo Curator), which cuts buckets by bytes and counts a score that equals an
edge above it: buckets hold equal numbers of documents unless `weights` says bytes, and equal scores lie in the lowest
bucket that they reach, since otherwise a score that is 0 for most documents would put all of them into the upper half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, Field, PositiveInt, field_validator

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import RecipeError, StoreError
from datassay.corpus.store import Outputs, read_json
from datassay.filters.decide import aligned_tables
from datassay.filters.quality_settings import COLUMN

FIND_VERSION = 1
COMBINE_VERSION = 1


class Score(BaseModel, frozen=True, extra="forbid"):
    """A signal that takes part."""

    column: str
    """Its name; any number will do."""
    better: Literal["higher", "lower"] = "higher"
    """`lower` for perplexities and the like."""


class PercentileSettings(BaseModel, frozen=True, extra="forbid"):
    """Which scores are combined, and how finely each is ranked; the default is Nemotron-CC's."""

    name: str = Field("nemotron_max", pattern=COLUMN)
    """Column of the combined score, and with `_bucket` of its bucket."""
    scores: tuple[Score, ...] = Field(min_length=1)
    """What takes part."""
    n_buckets: PositiveInt = 20
    """Buckets of equal size."""
    weights: Literal["documents", "bytes"] = "documents"
    """What is equal of them; bytes need the signal `n_bytes`."""

    @field_validator("scores")
    @classmethod
    def _names_each_once(cls, scores: tuple[Score, ...]) -> tuple[Score, ...]:
        names = [score.column for score in scores]
        if len(set(names)) < len(names):
            raise ValueError(f"scores: a column takes part once, not as in {', '.join(names)}")
        return scores


def combined_schema(name: str) -> pa.Schema:
    """Of a dataset of combined scores."""
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field(name, pa.float64()),  # at least 0 and below 1; null where every score is null
            pa.field(f"{name}_bucket", pa.int64()),  # 0 to n_buckets - 1, the largest of the scores' buckets
        ]
    )


def find_percentiles(inputs: Inputs, settings: PercentileSettings, out: Outputs) -> None:
    """Find the edges of the buckets of each score over all shards; writes `percentiles` (.json).

    Reads the columns from any number of datasets with aligned rows, each of all shards. Documents whose score is null
    or NaN do not count for that score. Holds 8 bytes for each document and score. Raises RecipeError if a score has no
    number at all.
    """
    names = [score.column for score in settings.scores]
    weights = ["n_bytes"] if settings.weights == "bytes" else []
    parts: dict[str, list[NDArray[np.float64]]] = {name: [np.empty(0)] for name in [*names, *weights]}
    for table in aligned_tables(inputs, [*names, *weights]):
        for name, columns in parts.items():
            columns.append(numbers(table, name))
        out.counts["documents"] += table.num_rows
    values = {name: np.concatenate(columns) for name, columns in parts.items()}
    sizes = values["n_bytes"] if weights else np.ones(out.counts["documents"])
    edges = {}
    for score in settings.scores:
        directed = _directed(values[score.column], score)
        is_known = ~np.isnan(directed)
        if not is_known.any():
            raise RecipeError(
                f"{settings.name}: {score.column!r} is null for all {len(directed)} documents; leave it out of scores"
            )
        edges[score.column] = bucket_edges(directed[is_known], sizes[is_known], settings.n_buckets).tolist()
    with out.file("percentiles", ".json") as path:
        card = {"settings": settings.model_dump(mode="json"), "documents": out.counts["documents"], "edges": edges}
        path.write_bytes(orjson.dumps(card, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")


def combine_scores(inputs: Inputs, settings: PercentileSettings, out: Outputs) -> None:
    """Combine the scores of one shard by the edges in `percentiles`; writes dataset `combined`.

    Raises StoreError if the edges are those of other settings.
    """
    card = read_json(inputs.one("percentiles"))
    if card["settings"] != settings.model_dump(mode="json"):
        raise StoreError(f"{inputs.one('percentiles')}: edges of other scores; run again")
    edges = {name: np.array(found, np.float64) for name, found in card["edges"].items()}
    schema = combined_schema(settings.name)
    columns = Inputs({name: paths for name, paths in inputs.files.items() if name != "percentiles"})
    with out.parquet("combined", schema) as shard:
        for table in aligned_tables(columns, [score.column for score in settings.scores]):
            values = {score.column: numbers(table, score.column) for score in settings.scores}
            best, combined = combine(values, settings, edges)
            is_null = np.isnan(combined)
            arrays = [pa.array(combined, mask=is_null), pa.array(best, mask=is_null)]
            shard.write(pa.RecordBatch.from_arrays([table["id"].combine_chunks(), *arrays], schema=schema))
            out.counts["documents"] += table.num_rows
            out.counts["null"] += int(is_null.sum())


def combine(
    values: Mapping[str, NDArray[np.float64]], settings: PercentileSettings, edges: Mapping[str, NDArray[np.float64]]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The bucket and the combined score of each document, arrays (documents,); 0 and NaN where no score is known.

    The combined score orders documents by their largest bucket first, then by the mean over their scores: with n
    buckets it is (largest + mean / n) / n. It lies in [0, 1), and the bucket is floor(n x score) but for rounding.
    """
    rows = []
    for score in settings.scores:
        directed = _directed(values[score.column], score)
        bucket = buckets(directed, edges[score.column]).astype(np.float64)
        rows.append(np.where(np.isnan(directed), np.nan, bucket))
    all_buckets = np.stack(rows)  # (scores, documents)
    is_known = ~np.isnan(all_buckets)
    n_known = is_known.sum(axis=0)
    largest = np.where(is_known, all_buckets, 0).max(axis=0)
    mean = np.where(is_known, all_buckets, 0).sum(axis=0) / np.maximum(n_known, 1)
    n = settings.n_buckets
    return largest.astype(np.int64), np.where(n_known > 0, (largest + mean / n) / n, np.nan)


def bucket_edges(scores: NDArray[np.float64], weights: NDArray[np.float64], n_buckets: int) -> NDArray[np.float64]:
    """The n_buckets - 1 edges between buckets of equal weight: the smallest score at or below which k / n_buckets lie.

    The inverse of the cumulative distribution, as `numpy.quantile` has it with method "inverted_cdf". scores, weights:
    (documents,), at least one document of a weight above 0
    """
    order = np.argsort(scores, kind="stable")
    below = np.cumsum(weights[order])
    wanted = np.arange(1, n_buckets) / n_buckets * below[-1]
    # One ulp of slack: k / n x total is rounded, and whole counts must be hit exactly.
    edges: NDArray[np.float64] = scores[order][np.searchsorted(below, wanted * (1 - 1e-12), side="left")]
    return edges


def buckets(scores: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many edges lie below each score."""
    return np.searchsorted(edges, scores, side="left").astype(np.int64)


def numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    """A column as float64, null as NaN. Raises RecipeError if it holds no numbers."""
    kind = table.schema.field(name).type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise RecipeError(f"{name!r} is a {kind}, not a number; only numbers can be ranked")
    found: NDArray[np.float64] = np.asarray(table[name].cast(pa.float64()).fill_null(np.nan))
    return found


def _directed(values: NDArray[np.float64], score: Score) -> NDArray[np.float64]:
    """The values so that larger is better."""
    return values if score.better == "higher" else -values


def score_columns(settings: PercentileSettings) -> Sequence[str]:
    """The columns that the stages read, to choose their inputs."""
    weights = ["n_bytes"] if settings.weights == "bytes" else []
    return [*(score.column for score in settings.scores), *weights]

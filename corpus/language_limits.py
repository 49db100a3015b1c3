"""From which score on a language is believed: the recipe's limits, or limits from the scores of the corpus itself.

A score means another thing for each language: a model is surer of languages that it saw more of and of those that no
other resembles. FineWeb2 (Penedo et al. 2025, arXiv:2506.20920) therefore takes for each language the median of the
corpus's scores less one standard deviation, never below 0.3 and never above 0.9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import StoreError
from datassay.corpus.language import LanguageSettings
from datassay.corpus.store import Outputs, read_batches, read_json, write_json

THRESHOLDS_VERSION = 1
LIMIT_VERSION = 1

LOWEST = 0.3
HIGHEST = 0.9

LANGUAGE_LIMIT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("language_min_score", pa.float64()),  # of the document's language; null where that is not kept
    ]
)


def auto_threshold(scores: NDArray[np.float64]) -> float:
    """FineWeb2's limit for a language from its scores, (documents,): median less standard deviation, in [0.3, 0.9].

    0.3 if there are no scores. The standard deviation is that of these scores (divided by n).
    """
    if len(scores) == 0:
        return LOWEST
    return float(max(LOWEST, min(HIGHEST, np.median(scores) - np.std(scores))))


def find_thresholds(inputs: Inputs, settings: Any, out: Outputs) -> None:  # noqa: ARG001
    """Write the limit of each language of dataset `language` as one JSON file of dataset `thresholds`.

    Of each language: `min_score`, and `documents`, `median`, `standard_deviation`, which it comes from. Holds 8 bytes
    for each document in memory.
    """
    scores = _scores_by_language(inputs.all("language"))
    out.counts["documents"] = sum(map(len, scores.values()))
    out.counts["languages"] = len(scores)
    found = {
        language: {
            "documents": len(values),
            "median": float(np.median(values)),
            "standard_deviation": float(np.std(values)),
            "min_score": auto_threshold(values),
        }
        for language, values in scores.items()
    }
    with out.file("thresholds", ".json") as path:
        write_json(path, found)


def _scores_by_language(paths: Iterable[Path]) -> dict[str, NDArray[np.float64]]:
    found: dict[str, list[NDArray[np.float64]]] = {}
    for batch in read_batches(list(paths), columns=["language", "language_score"], n_rows=65_536):
        codes = batch.column("language").dictionary_encode()
        names, places = codes.dictionary.to_pylist(), codes.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        scores = batch.column("language_score").to_numpy(zero_copy_only=False)
        for i, name in enumerate(names):
            found.setdefault(name, []).append(scores[places == i])
    return {name: np.concatenate(parts) for name, parts in sorted(found.items())}


def read_thresholds(path: Path) -> dict[str, float]:
    """The limit of each language from a file that `find_thresholds` wrote. Raises StoreError if it is another file."""
    try:
        return {str(language): float(facts["min_score"]) for language, facts in read_json(path).items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: not a file of language thresholds; remove its folder and run again") from error


def min_score(settings: LanguageSettings, language: str, found: Mapping[str, float]) -> float:
    """The limit of a language that is kept; `found` has those of "auto", and 0.3 holds for a language not in it."""
    limit = settings.min_score_of(language)
    return found.get(language, LOWEST) if limit == "auto" else float(limit)


def language_condition(settings: LanguageSettings, found: Mapping[str, float]) -> str:
    """The SQL condition that keeps the recipe's languages, each from its own limit on.

    found: limits of the languages whose `min_score` is "auto", see `read_thresholds`

    Languages with the same limit stand together. Where the recipe keeps all languages (`keep` is empty), only those
    with a table of their own have a limit, and a text without a language is kept.
    """
    by_limit: dict[float, list[str]] = {}
    for language in settings.keep or settings.by_language:
        by_limit.setdefault(min_score(settings, language, found), []).append(language)
    parts = [f"language IN ({_names(names)}) AND language_score >= {limit}" for limit, names in by_limit.items()]
    if not settings.keep:
        if not settings.by_language:
            return "true"
        parts.append(f"language IS NULL OR language NOT IN ({_names(settings.by_language)})")
    return parts[0] if len(parts) == 1 else " OR ".join(f"({part})" for part in parts)


def condition_by_column(settings: LanguageSettings) -> str:
    """The same condition where the limits are a signal, `language_min_score`, see `write_limits`.

    For a recipe with "auto", whose limits are not known before the corpus was measured.
    """
    if settings.keep:
        return f"language IN ({_names(settings.keep)}) AND language_score >= language_min_score"
    return "language_min_score IS NULL OR language_score >= language_min_score"


def _names(languages: Iterable[str]) -> str:
    return ", ".join("'" + language.replace("'", "''") + "'" for language in languages)


def write_limits(inputs: Inputs, settings: LanguageSettings, out: Outputs) -> None:
    """Write the limit of each document's language as a signal: dataset `language_limit`, a row for each of `language`.

    Reads the one file of `thresholds` if the recipe says "auto" anywhere.
    """
    found = read_thresholds(inputs.one("thresholds")) if settings.needs_thresholds else {}
    limits = {name: min_score(settings, name, found) for name in settings.keep or settings.by_language}
    with out.parquet("language_limit", LANGUAGE_LIMIT) as shard:
        for batch in read_batches(inputs.all("language"), columns=["id", "language"]):
            values = [limits.get(language) for language in batch.column("language").to_pylist()]
            columns = [batch.column("id"), pa.array(values, pa.float64())]
            shard.write(pa.RecordBatch.from_arrays(columns, schema=LANGUAGE_LIMIT))
            out.counts["documents"] += batch.num_rows

"""What a search for near duplicates finds of copies that were planted, and whether what it finds is true.

The copies are those of `edited_copies`; the search is the one that runs use, stage for stage. What it should find is
the S-curve at each pair's own similarity (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4.2), and
nothing below the limit. What it found is checked by a second definition of shingles and similarity, in plain Python.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from datassay.corpus.engine import Engine, Inputs, Task, run_task
from datassay.corpus.stage import StageOutput, run_stage
from datassay.corpus.store import Outputs
from datassay.corpus.unicode import UNSPACED_RANGES
from datassay.dedup.clusters import clusters
from datassay.dedup.plan import PAIR_STAGES, plan_stage, stage_names
from datassay.dedup.settings import DedupSettings, MinHash, s_curve

TEXT = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("text", pa.large_string(), nullable=False)])
MAX_DIFFERENCE = 1e-3
"""Two shingles of a long document may share one of 2**32 hashes: a similarity is off by one part in thousands."""

_UNSPACED = re.compile(f"[{''.join(f'{chr(first)}-{chr(last)}' for first, last in UNSPACED_RANGES)}]+")


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge that the search wrote."""

    a: str
    b: str
    similarity: float
    kind: str
    """"exact" or "near"."""


@dataclass(frozen=True, slots=True)
class FalseEdge:
    """An edge between documents that are not as similar as they have to be."""

    edge: Edge
    similarity: float
    """As plain Python computes it."""


def search(
    shards: Sequence[Iterable[pa.RecordBatch]], settings: DedupSettings, folder: Path, engine: Engine
) -> list[Edge]:
    """Run the stages over shards of documents, id and text, in `folder`; the edges in order of (a, b)."""
    tasks = [Task(_write, Inputs({}), batches, folder / "clean", i, f"clean {i}") for i, batches in enumerate(shards)]
    finished = {"clean": StageOutput("clean", folder / "clean", tuple(map(run_task, tasks)))}
    for name in stage_names(settings):
        finished[name] = run_stage(plan_stage(name, settings, finished), finished, folder, engine)
    tables = [pq.read_table(path) for name in PAIR_STAGES if name in finished for path in finished[name].paths("pairs")]
    rows = pa.concat_tables(tables).sort_by([("a", "ascending"), ("b", "ascending")])
    return [Edge(*row) for row in zip(*(rows[name].to_pylist() for name in Edge.__slots__), strict=True)]


def _write(inputs: Inputs, settings: Iterable[pa.RecordBatch], out: Outputs) -> None:  # noqa: ARG001
    with out.parquet("clean", TEXT) as shard:
        for batch in settings:
            shard.write(batch)


def in_one_cluster(pairs: Sequence[tuple[str, str]], edges: Sequence[Edge]) -> NDArray[np.bool_]:
    """Whether both ends of each pair are joined by edges, be it by way of other documents."""
    index = {id: i for i, id in enumerate(sorted({end for edge in edges for end in (edge.a, edge.b)}))}
    a = np.array([index[edge.a] for edge in edges], np.int64)
    b = np.array([index[edge.b] for edge in edges], np.int64)
    roots = clusters(a, b, len(index))
    joined = [x in index and y in index and roots[index[x]] == roots[index[y]] for x, y in pairs]
    return np.array(joined, np.bool_)


def expected(similarities: Sequence[float], settings: MinHash) -> NDArray[np.float64]:
    """The probability that each pair is found: the S-curve, and 0 below the limit, where the check refuses it."""
    return np.array(
        [s_curve(settings.bands, settings.rows, s) if s >= settings.min_jaccard else 0.0 for s in similarities]
    )


def lower_tail(probabilities: Sequence[float] | NDArray[np.float64], n_found: int) -> float:
    """The probability that of pairs found with these probabilities, independently, at most n_found are found.

    The Poisson binomial distribution, exact.
    """
    counts = np.ones(1)
    for p in probabilities:
        counts = np.append(counts * (1 - p), 0.0) + np.append(0.0, counts * p)
    return float(min(1.0, counts[: n_found + 1].sum()))


def false_edges(edges: Iterable[Edge], texts: Mapping[str, str], settings: MinHash) -> list[FalseEdge]:
    """The edges whose documents are less similar than the limit says, or not the same text if they are exact."""
    found = []
    for edge in edges:
        a, b = texts[edge.a], texts[edge.b]
        similarity = float(a == b) if edge.kind == "exact" else plain_similarity(a, b, settings)
        limit = 1.0 if edge.kind == "exact" else settings.min_jaccard - MAX_DIFFERENCE
        if similarity < limit:
            found.append(FalseEdge(edge, similarity))
    return found


def plain_similarity(a: str, b: str, settings: MinHash) -> float:
    """Jaccard similarity of two texts, without hashes and without what the stages compute it with; 0 for no words."""
    x, y = plain_shingles(a, settings), plain_shingles(b, settings)
    return len(x & y) / len(x | y) if x | y else 0.0


def plain_shingles(text: str, settings: MinHash) -> set[tuple[str, ...]]:
    """The shingles of a text by their definition."""
    by_characters = settings.by_characters or _is_unspaced(text)
    words = plain_words(text, by_characters=by_characters)
    k = settings.shingle_chars if by_characters else settings.shingle_words
    return {tuple(words[i : i + k]) for i in range(max(1, len(words) - k + 1))} if words else set()


def plain_words(text: str, *, by_characters: bool) -> list[str]:
    """Runs of letters, digits and `_` with the marks that follow them, in lower case; or each such character."""
    words: list[str] = []
    is_word = False
    for character in text:
        category = unicodedata.category(character)
        begins = category[0] in "LN" or character == "_"
        follows = is_word and (category[0] == "M" or (category == "Cf" and character != "\u200b"))
        if begins or follows:
            lower = character.lower()[0]
            if is_word and not by_characters:
                words[-1] += lower
            else:
                words.append(lower)
        is_word = begins or follows
    return words


def _is_unspaced(text: str) -> bool:
    """Whether more than half of the letters (general categories L*, as `isalpha` has it) are of such scripts."""
    return 2 * sum(map(str.isalpha, "".join(_UNSPACED.findall(text)))) > sum(map(str.isalpha, text))

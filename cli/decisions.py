"""Decide: which documents a set of steps keeps, and every reason why the others go.

The rules' verdicts were reached shard by shard; here the two choices that need the whole corpus are made: the quality
cut-off among the documents that pass the rules, and which member of each cluster of duplicates stays among those that
pass everything else. The ablation's variants are the same decision with fewer steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel

from datassay.corpus.engine import Inputs
from datassay.corpus.hashing import seed_of, uniform
from datassay.corpus.store import Outputs
from datassay.dedup.clusters import resolve
from datassay.dedup.settings import DedupSettings
from datassay.filters.cutoff import at_least, pareto_kept, parse_cutoff, threshold
from datassay.filters.decide import REASON

VERSION = 2

DECISION = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("keep", pa.bool_(), nullable=False),
        pa.field("reasons", pa.list_(REASON), nullable=False),  # every rule that failed; a duplicate has `kept_for`
        pa.field("cluster", pa.string()),  # smallest id of its duplicates among the documents that pass the rest
        pa.field("kept_for", pa.string()),  # the document that stays in place of this one
    ]
)
KEPT = pa.schema([pa.field("id", pa.string(), nullable=False)])

CARRIED = ("quality", "n_chars", "n_bytes", "date")
"""Columns that verdicts carry for the cut-off and for the choice between duplicates."""


class DecideSettings(BaseModel, frozen=True, extra="forbid"):
    """The steps of one decision."""

    without_rules: tuple[str, ...] = ()
    """Rules that do not count, by name."""
    quality: str | None = None
    """The quality cut-off; None for none."""
    bytes_per_token: float = 4.0
    """To turn a budget of tokens into bytes."""
    dedup: DedupSettings | None = None
    """How duplicates are chosen between; None keeps them all."""
    seed: int = 0
    """Seed of draws and ties."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The decision on one shard; arrays are (documents,)."""

    verdicts: Path
    keep: NDArray[np.bool_]
    roles: pa.Array
    is_cut: NDArray[np.bool_]
    """Whether the quality cut-off drops it."""
    cluster: pa.Array
    kept_for: pa.Array


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on the whole corpus."""

    shards: list[Shard]
    cutoff: str | None
    """The quality cut-off, with the score that it came to."""


def decide(inputs: Inputs, settings: DecideSettings, out: Outputs) -> None:
    """Decide on every document. Reads `verdicts`, `split` and `pairs`; writes `decisions`, a partition a shard."""
    decision = _decide(inputs, settings)
    for index, shard in enumerate(decision.shards):
        table = _verdicts(shard.verdicts, ["id", "reasons", "quality"])
        reasons = _reasons(table, shard, settings, decision.cutoff)
        columns = [table["id"].combine_chunks(), pa.array(shard.keep), reasons, shard.cluster, shard.kept_for]
        with out.parquet("decisions", DECISION, partition=index) as part:
            part.write(pa.RecordBatch.from_arrays(columns, schema=DECISION))
        out.counts["documents"] += len(shard.keep)
        out.counts["kept"] += int(shard.keep.sum())
        out.counts["duplicates"] += len(shard.kept_for) - shard.kept_for.null_count


def keep(inputs: Inputs, settings: DecideSettings, out: Outputs) -> None:
    """The training documents that a variant keeps. Reads what `decide` reads; writes `kept`: ids."""
    decision = _decide(inputs, settings)
    with out.parquet("kept", KEPT) as part:
        for shard in decision.shards:
            table = pq.read_table(shard.verdicts, columns=["id", "n_bytes"]).filter(pa.array(shard.keep))
            part.write(pa.RecordBatch.from_arrays([table["id"].combine_chunks()], schema=KEPT))
            out.counts["n_documents"] += table.num_rows
            out.counts["n_bytes"] += pc.sum(table["n_bytes"]).as_py() or 0


def _decide(inputs: Inputs, settings: DecideSettings) -> Decision:
    paths = inputs.all("verdicts")
    roles = [pq.read_table(path, columns=["role"])["role"].combine_chunks() for path in inputs.all("split")]
    keep = [
        _passes(path, settings.without_rules) & pc.equal(role, "train").to_numpy(zero_copy_only=False)
        for path, role in zip(paths, roles, strict=True)
    ]
    cut = [np.zeros(len(mask), bool) for mask in keep]
    cutoff = None
    if settings.quality is not None:
        cut, cutoff = _cut(paths, keep, settings)
        keep = [mask & ~dropped for mask, dropped in zip(keep, cut, strict=True)]
    nothing = [pa.nulls(len(mask), pa.string()) for mask in keep]
    clusters, kept_for = nothing, nothing
    if settings.dedup is not None:
        clusters, kept_for = _without_duplicates(paths, keep, inputs.all("pairs"), settings.dedup)
        keep = [
            mask & pc.is_null(other).to_numpy(zero_copy_only=False) for mask, other in zip(keep, kept_for, strict=True)
        ]
    shards = [Shard(*row) for row in zip(paths, keep, roles, cut, clusters, kept_for, strict=True)]
    return Decision(shards, cutoff)


def _verdicts(path: Path, columns: Sequence[str]) -> pa.Table:
    """Columns of a shard's verdicts; the quality is null where the recipe has no classifier."""
    known = pq.read_schema(path).names
    table = pq.read_table(path, columns=[name for name in columns if name in known])
    if "quality" in columns and "quality" not in known:
        table = table.append_column("quality", pa.nulls(table.num_rows, pa.float64()))
    return table


def _passes(path: Path, without_rules: Sequence[str]) -> NDArray[np.bool_]:
    """Whether each document of a shard passes the rules that count."""
    passes = []
    for batch in pq.ParquetFile(path).iter_batches(columns=["reasons"]):
        reasons = batch["reasons"]
        fails = pc.invert(pc.is_in(reasons.flatten().field("rule"), value_set=pa.array(without_rules, pa.string())))
        rows = pc.list_parent_indices(reasons).filter(fails).to_numpy()
        mask = np.ones(batch.num_rows, bool)
        mask[rows] = False
        passes.append(mask)
    return np.concatenate([np.empty(0, bool), *passes])


def _cut(
    paths: Sequence[Path], keep: Sequence[NDArray[np.bool_]], settings: DecideSettings
) -> tuple[list[NDArray[np.bool_]], str]:
    """Which documents of each shard the quality cut-off drops, and the cut-off as a reason says it.

    The limit is found among the documents that pass the rules and then holds for all, so that each has all its reasons.
    """
    assert settings.quality is not None
    cutoff = parse_cutoff(settings.quality)
    tables = [pq.read_table(path, columns=["id", "quality", "n_bytes"]) for path in paths]
    scores = [table["quality"].fill_null(np.nan).to_numpy() for table in tables]
    ties = [uniform(seed_of("cutoff", settings.seed), table["id"].to_pylist()) for table in tables]
    if cutoff.kind == "pareto":
        kept = [pareto_kept(float(cutoff.amount), *of, draws=draws) for *of, draws in zip(scores, ties, strict=True)]
        return [~mask for mask in kept], f"quality {cutoff.text}"
    n_tokens = [table["n_bytes"].to_numpy() / settings.bytes_per_token for table in tables]
    candidates = [mask & ~np.isnan(score) for mask, score in zip(keep, scores, strict=True)]
    limit = threshold(
        cutoff, _chosen(scores, candidates), ties=_chosen(ties, candidates), n_tokens=_chosen(n_tokens, candidates)
    )
    kept = [at_least(limit, score, ties=tie) for score, tie in zip(scores, ties, strict=True)]
    found = "" if cutoff.kind == "at_least" else f" (>= {limit.score:.6g})"
    return [~mask for mask in kept], f"quality {cutoff.text}{found}"


def _chosen(values: Sequence[NDArray[np.float64]], masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    return np.concatenate([np.empty(0), *(value[mask] for value, mask in zip(values, masks, strict=True))])


def _without_duplicates(
    paths: Sequence[Path], keep: Sequence[NDArray[np.bool_]], pairs: Sequence[Path], settings: DedupSettings
) -> tuple[list[pa.Array], list[pa.Array]]:
    """Cluster of each document of each shard, and the document that stays for it; null where there is none."""
    passing = pa.concat_tables(
        _verdicts(path, ["id", *CARRIED]).filter(pa.array(mask)) for path, mask in zip(paths, keep, strict=True)
    )
    edges = pa.concat_tables(pq.read_table(path, columns=["a", "b"]) for path in pairs)
    found = resolve(edges, passing, keep_by=settings.keep_by)
    clusters, kept_for = [], []
    for path in paths:
        ids = pq.read_table(path, columns=["id"])["id"].combine_chunks()
        rows = pc.index_in(ids, value_set=found["id"].combine_chunks())
        clusters.append(found["cluster"].combine_chunks().take(rows))
        kept_for.append(found["kept_for"].combine_chunks().take(rows))
    return clusters, kept_for


def _reasons(table: pa.Table, shard: Shard, settings: DecideSettings, cutoff: str | None) -> pa.Array:
    """Every reason of each document: the rules that count, the quality cut-off, and a role that is not training."""
    reasons = table["reasons"].to_pylist()
    quality = table["quality"].to_pylist()
    rows = []
    for i, role in enumerate(shard.roles.to_pylist()):
        own = [reason for reason in reasons[i] if reason["rule"] not in settings.without_rules]
        if shard.is_cut[i]:
            own.append({"rule": "quality", "value": quality[i], "limit": cutoff})
        if role != "train":
            own.append({"rule": role, "value": None, "limit": "training documents"})
        rows.append(own)
    return pa.array(rows, pa.list_(REASON))

"""Decide: which documents a set of steps keeps, and every reason why the others go.

The rules' verdicts were reached shard by shard; here the two choices that need the whole corpus are made: the quality
cut-off among the documents that pass the rules, and which member of each cluster of duplicates stays among those that
pass everything else. The ablation's variants are the same decision with fewer steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel

from datassay.corpus.engine import Inputs
from datassay.corpus.hashing import seed_of, uniform
from datassay.corpus.store import Outputs, write_json
from datassay.dedup.clusters import resolve
from datassay.dedup.settings import DedupSettings
from datassay.filters.cutoff import (
    GROUPS,
    GroupLimit,
    group_limits,
    group_reason,
    kept_by_group,
    limits_report,
    parse_group_cutoffs,
)
from datassay.filters.decide import REASON

VERSION = 4

DECISION = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("keep", pa.bool_(), nullable=False),
        pa.field("reasons", pa.list_(REASON), nullable=False),  # every rule that failed; a duplicate has `kept_for`
        pa.field("cluster", pa.string()),  # smallest id of its duplicates among the documents that pass the rest
        pa.field("kept_for", pa.string()),  # the document that stays in place of this one
        pa.field("kind", pa.string()),  # what makes it a copy of that: "exact" | "payload" | "url" | "near"
    ]
)
KEPT = pa.schema([pa.field("id", pa.string(), nullable=False)])

EDGE = pa.schema(
    [
        pa.field("a", pa.string(), nullable=False),
        pa.field("b", pa.string(), nullable=False),
        pa.field("kind", pa.dictionary(pa.int32(), pa.string()), nullable=False),
    ]
)

CARRIED = ("quality", "n_chars", "n_bytes", "date")
"""Columns that verdicts carry for the cut-off and for the choice between duplicates."""


class DecideSettings(BaseModel, frozen=True, extra="forbid"):
    """The steps of one decision."""

    without_rules: tuple[str, ...] = ()
    """Rules that do not count, by name."""
    preset: str | None = None
    """A dataset of further verdicts, `preset NAME`, that count too."""
    quality: str | dict[str, str] | None = None
    """The quality cut-off, or one for each group; None for none."""
    quality_by: str | None = None
    """The column that groups documents, each group cut by itself; None cuts all as one."""
    bytes_per_token: float = 4.0
    """To turn a budget of tokens into bytes."""
    dedup: DedupSettings | None = None
    """How duplicates are chosen between; None keeps them all."""
    seed: int = 0
    """Seed of draws and ties."""


@dataclass(frozen=True, slots=True)
class ShardChoice:
    """What was chosen of one shard; arrays are (documents,)."""

    keep: NDArray[np.bool_]
    """Whether it stays."""
    is_cut: NDArray[np.bool_]
    """Whether the quality cut-off drops it."""
    groups: list[str | None]
    """Which group's cut-off that was."""
    clusters: pa.Array
    kept_for: pa.Array
    """The document that stays in its place; null if there is none."""
    kinds: pa.Array
    """What makes it a copy of that; null if it is none."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen among the documents that pass the rules."""

    shards: list[ShardChoice]
    limits: Mapping[str | None, GroupLimit]
    """What the quality cut-off came to, by group; empty without one."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The decision on one shard."""

    verdicts: Path
    roles: pa.Array
    choice: ShardChoice


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on the whole corpus."""

    shards: list[Shard]
    limits: Mapping[str | None, GroupLimit]


def decide(inputs: Inputs, settings: DecideSettings, out: Outputs) -> None:
    """Decide on every document. Reads `verdicts`, `split` and `pairs`.

    Writes `decisions`, a partition a shard, and `limits` (.json): what the quality cut-off came to, by group.
    """
    decision = _decide(inputs, settings)
    for index, shard in enumerate(decision.shards):
        table = _verdicts(shard.verdicts, ["id", "reasons", "quality"])
        reasons = _reasons(table, shard, settings, decision.limits)
        chosen = shard.choice
        ids, keep = table["id"].combine_chunks(), pa.array(chosen.keep)
        columns = [ids, keep, reasons, chosen.clusters, chosen.kept_for, chosen.kinds]
        with out.parquet("decisions", DECISION, partition=index) as part:
            part.write(pa.RecordBatch.from_arrays(columns, schema=DECISION))
        out.counts["documents"] += len(chosen.keep)
        out.counts["kept"] += int(chosen.keep.sum())
        out.counts["duplicates"] += len(chosen.kept_for) - chosen.kept_for.null_count
    with out.file("limits", ".json") as path:
        write_json(path, limits_report(decision.limits))


def keep(inputs: Inputs, settings: DecideSettings, out: Outputs) -> None:
    """The training documents that a variant keeps. Reads what `decide` reads; writes `kept`: ids."""
    decision = _decide(inputs, settings)
    with out.parquet("kept", KEPT) as part:
        for shard in decision.shards:
            table = pq.read_table(shard.verdicts, columns=["id", "n_bytes"]).filter(pa.array(shard.choice.keep))
            part.write(pa.RecordBatch.from_arrays([table["id"].combine_chunks()], schema=KEPT))
            out.counts["n_documents"] += table.num_rows
            out.counts["n_bytes"] += pc.sum(table["n_bytes"]).as_py() or 0


def _decide(inputs: Inputs, settings: DecideSettings) -> Decision:
    paths = inputs.all("verdicts")
    roles = [pq.read_table(path, columns=["role"])["role"].combine_chunks() for path in inputs.all("split")]
    passes = [
        _passes(path, settings.without_rules) & pc.equal(role, "train").to_numpy(zero_copy_only=False)
        for path, role in zip(paths, roles, strict=True)
    ]
    if settings.preset is not None:
        others = inputs.all(settings.preset)
        passes = [mask & _passes(path, ()) for mask, path in zip(passes, others, strict=True)]
    chosen = choose(paths, passes, inputs.all("pairs") if settings.dedup is not None else (), settings)
    shards = [Shard(*row) for row in zip(paths, roles, chosen.shards, strict=True)]
    return Decision(shards, chosen.limits)


def choose(
    paths: Sequence[Path], passes: Sequence[NDArray[np.bool_]], pairs: Sequence[Path], settings: DecideSettings
) -> Choice:
    """The two choices that need the whole corpus: the quality cut-off, then one of each cluster of duplicates.

    paths:  verdicts of each shard, of which only the columns that are carried along are read
    passes: of each shard, which training documents pass the rules
    """
    cut = [np.zeros(len(mask), bool) for mask in passes]
    groups: list[list[str | None]] = [[None] * len(mask) for mask in passes]
    limits: Mapping[str | None, GroupLimit] = {}
    keep = list(passes)
    if settings.quality is not None:
        by = settings.quality_by
        if by is not None:
            groups = [pq.read_table(path, columns=[by])[by].to_pylist() for path in paths]
        cut, limits = _cut(paths, keep, groups, settings)
        keep = [mask & ~dropped for mask, dropped in zip(keep, cut, strict=True)]
    nothing = [pa.nulls(len(mask), pa.string()) for mask in keep]
    clusters, kept_for, kinds = nothing, nothing, nothing
    if settings.dedup is not None:
        clusters, kept_for, kinds = _without_duplicates(paths, keep, pairs, settings.dedup)
        keep = [
            mask & pc.is_null(other).to_numpy(zero_copy_only=False) for mask, other in zip(keep, kept_for, strict=True)
        ]
    rows = zip(keep, cut, groups, clusters, kept_for, kinds, strict=True)
    return Choice([ShardChoice(*row) for row in rows], limits)


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
    paths: Sequence[Path],
    keep: Sequence[NDArray[np.bool_]],
    groups: Sequence[Sequence[str | None]],
    settings: DecideSettings,
) -> tuple[list[NDArray[np.bool_]], Mapping[str | None, GroupLimit]]:
    """Which documents of each shard the quality cut-off drops, and what it came to in each group.

    A limit is found among the documents that pass the rules and then holds for all, so that each has all its reasons.
    """
    assert settings.quality is not None
    cutoffs = parse_group_cutoffs(settings.quality, settings.quality_by or GROUPS[0])
    scores, ties, n_tokens, candidates = [], [], [], []
    for path, mask in zip(paths, keep, strict=True):
        table = pq.read_table(path, columns=["id", "quality", "n_bytes"])
        scores.append(table["quality"].fill_null(np.nan).to_numpy())
        ties.append(uniform(seed_of("cutoff", settings.seed), table["id"].to_pylist()))
        candidates.append(mask & ~np.isnan(scores[-1]))
        n_tokens.append(table["n_bytes"].to_numpy()[candidates[-1]] / settings.bytes_per_token)
    limits = group_limits(
        cutoffs,
        [group for shard, mask in zip(groups, candidates, strict=True) for group in compress(shard, mask)],
        _chosen(scores, candidates),
        ties=_chosen(ties, candidates),
        n_tokens=np.concatenate([np.empty(0), *n_tokens]),
    )
    kept = [kept_by_group(cutoffs, limits, *shard, ties=tie) for *shard, tie in zip(groups, scores, ties, strict=True)]
    return [~mask for mask in kept], limits


def _chosen(values: Sequence[NDArray[np.float64]], masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    return np.concatenate([np.empty(0), *(value[mask] for value, mask in zip(values, masks, strict=True))])


def _without_duplicates(
    paths: Sequence[Path], keep: Sequence[NDArray[np.bool_]], pairs: Sequence[Path], settings: DedupSettings
) -> tuple[list[pa.Array], list[pa.Array], list[pa.Array]]:
    """Of each document of each shard its cluster, the document that stays for it, and why; null where there is none."""
    edges = pa.concat_tables([EDGE.empty_table(), *(_edges(path) for path in pairs)])
    # A document without an edge changes nothing, and most have none: to sort all of them would take most of the memory.
    members = pa.chunked_array([*edges["a"].chunks, *edges["b"].chunks], pa.string()).unique()
    passing = []
    for path, mask in zip(paths, keep, strict=True):
        table = _verdicts(path, ["id", *CARRIED, *(["source"] if "source" in settings.keep_by else [])])
        passing.append(table.filter(pc.and_(pc.is_in(table["id"], value_set=members), pa.array(mask))))
    found = resolve(
        edges, pa.concat_tables(passing), keep_by=settings.keep_by, source_priority=settings.source_priority
    )
    columns: tuple[list[pa.Array], list[pa.Array], list[pa.Array]] = ([], [], [])
    for path in paths:
        ids = pq.read_table(path, columns=["id"])["id"].combine_chunks()
        rows = pc.index_in(ids, value_set=found["id"].combine_chunks())
        for column, name in zip(columns, ("cluster", "kept_for", "kind"), strict=True):
            column.append(found[name].combine_chunks().take(rows))
    return columns


def _edges(path: Path) -> pa.Table:
    """The ends and kinds of the edges of one file; kinds as a dictionary, which takes 4 bytes an edge."""
    return pq.read_table(path, columns=EDGE.names, read_dictionary=["kind"]).cast(EDGE)


def cutoff_reason(limit: GroupLimit, by: str | None) -> str:
    """What a cut-off says in a reason, with the score that it came to."""
    if by is not None:
        return group_reason("quality", by, limit)
    (found,) = limits_report({None: limit})
    has_found = limit.cutoff.kind != "at_least" and found["score"] is not None
    return f"quality {limit.cutoff.text}" + (f" (>= {found['score']:.6g})" if has_found else "")


def _reasons(
    table: pa.Table, shard: Shard, settings: DecideSettings, limits: Mapping[str | None, GroupLimit]
) -> pa.Array:
    """Every reason of each document: the rules that count, the quality cut-off, and a role that is not training."""
    reasons = table["reasons"].to_pylist()
    quality = table["quality"].to_pylist()
    cutoffs = {group: cutoff_reason(limit, settings.quality_by) for group, limit in limits.items()}
    rows = []
    for i, role in enumerate(shard.roles.to_pylist()):
        own = [reason for reason in reasons[i] if reason["rule"] not in settings.without_rules]
        if shard.choice.is_cut[i]:
            limit = cutoffs.get(shard.choice.groups[i], f"quality {settings.quality}")  # of a group without a candidate
            own.append({"rule": "quality", "value": quality[i], "limit": limit})
        if role != "train":
            own.append({"rule": role, "value": None, "limit": "training documents"})
        rows.append(own)
    return pa.array(rows, pa.list_(REASON))

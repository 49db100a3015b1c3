"""What an ablation will train, what that costs and what it can show: everything that is known before it starts.

The variants hold the documents that remain after no step (`raw`), after the first step, the first two, …, and, if asked
for, after all steps but one. All read the same number of tokens, share one tokenizer and the same seeds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from datassay.corpus.errors import RecipeError
from datassay.model.statistics import ALPHA, Comparison, distinct_pairs, smallest_detectable, standard_error

MIN_SEEDS = 2
DEFAULT_SEEDS = 3
DEFAULT_TOKENS = 1_000_000
"""All of four corruptions of a corpus differed from the clean one at this budget with three seeds (measured)."""
MIN_TOKENS = 128_000
"""The smallest budget at which a corruption was measurable; nothing below was tried."""
MAX_EPOCHS = 4
"""Repeated tokens are worth nearly as much as new ones up to here (Muennighoff et al. 2023, JMLR 26-53)."""
REPETITION_DECAY = 15.0
"""R* of Muennighoff et al. 2023: after so many repetitions a repeated token is worth 1/e of a new one."""
REFERENCE_SD = 0.01
"""Residual deviation in bpb to expect: 0.004 to 0.021 was measured on three domains at 128 k to 1 M tokens."""

VariantKind = Literal["raw", "cumulative", "minus", "preset"]


@dataclass(frozen=True, slots=True)
class Variant:
    """A corpus to train on: the documents that a set of steps keeps."""

    name: str
    kind: VariantKind
    step: str | None
    """The step that it adds (cumulative) or leaves out (minus)."""
    steps: tuple[str, ...]
    """The steps that decide which documents it keeps, in order."""
    preset: str | None = None
    """Whose rules stand in place of the recipe's (preset)."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """The documents of a variant, and how much they are."""

    kept: Path
    """Parquet with a column `id`: the documents that are kept."""
    n_documents: int
    n_tokens: int
    n_bytes: int
    content: str
    """Hash of the set of kept ids and of their token shards: equal for variants of the same documents and texts."""
    is_edited: bool = False
    """Whether the texts are those after the recipe's edits."""


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One variant of the plan."""

    variant: Variant
    corpus: Corpus
    epochs: float
    """How often the budget reads each token."""
    effective_tokens: float
    """New tokens that are worth as much as the budget with its repetitions."""
    same_as: str | None
    """The earlier variant that holds the same documents, which is then trained once for both."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run costs, measured by a probe with all workers busy."""

    seconds_per_step: float
    fixed_seconds: float
    """Apart from the steps: reading the tokens, building the model, the evaluation."""

    def seconds(self, n_steps: int) -> float:
        return self.fixed_seconds + n_steps * self.seconds_per_step


@dataclass(frozen=True, slots=True)
class Plan:
    """An ablation that can be started as it is."""

    rows: tuple[PlanRow, ...]
    seeds: tuple[int, ...]
    n_tokens: int
    """Read by each run."""
    n_runs: int
    n_workers: int
    seconds_per_run: float
    seconds: float
    """For all runs that are not done yet, if every one takes as long as the probe says."""
    expected_detectable: float
    """Smallest effect in bpb that this plan finds, if the noise is `REFERENCE_SD`; the analysis gives the true one."""
    notes: tuple[str, ...]

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        return make_comparisons([row.variant for row in self.rows])

    @property
    def same_as(self) -> dict[str, str]:
        return {row.variant.name: row.same_as for row in self.rows if row.same_as is not None}

    @property
    def runs(self) -> list[tuple[int, PlanRow]]:
        """(seed, row) of every run, seed by seed, so that an ablation stopped early has compared all variants."""
        return [(seed, row) for seed in self.seeds for row in self.rows if row.same_as is None]


def make_variants(
    steps: Sequence[str], *, leave_one_out: bool = False, presets: Sequence[str] = ()
) -> tuple[Variant, ...]:
    """`raw`, one variant for each step on top of the ones before, then one without each step, then one for each preset.

    That of a preset takes all steps, with its rules in place of the recipe's.

    The variant without the last step is the one before it, and the one without the only step is raw: neither is
    repeated.
    """
    cumulative = [Variant(f"+{step}", "cumulative", step, tuple(steps[: i + 1])) for i, step in enumerate(steps)]
    minus = []
    if leave_one_out:
        minus = [
            Variant(f"-{step}", "minus", step, tuple(other for other in steps if other != step)) for step in steps[:-1]
        ]
    others = [Variant(f"rules {name}", "preset", name, tuple(s for s in steps if s != RULES), name) for name in presets]
    return (Variant("raw", "raw", None, ()), *cumulative, *minus, *others)


RULES = "rules"
"""The step whose place a preset takes."""


def make_comparisons(variants: Sequence[Variant]) -> tuple[Comparison, ...]:
    """All steps at once against raw, each step against the steps before it, and against all others; each preset's rules
    against the recipe's."""
    cumulative = [variant for variant in variants if variant.kind in ("raw", "cumulative")]
    refined = cumulative[-1]
    steps = [
        Comparison(variant.step or "", "cumulative", variant.name, before.name)
        for before, variant in pairwise(cumulative)
    ]
    minus = [Comparison(v.step or "", "minus", refined.name, v.name) for v in variants if v.kind == "minus"]
    presets = [Comparison(v.step or "", "preset", v.name, refined.name) for v in variants if v.kind == "preset"]
    total = [Comparison("all steps", "total", refined.name, cumulative[0].name)] if len(cumulative) > 2 else []
    return (*total, *steps, *minus, *presets)


def make_plan(
    corpora: Mapping[Variant, Corpus],
    *,
    seeds: Sequence[int],
    n_tokens: int,
    tokens_per_step: int,
    cost: Cost,
    n_workers: int,
) -> Plan:
    """The plan of an ablation in which each run reads `n_tokens`. Raises RecipeError if it can't compare anything."""
    rows = _rows(corpora, n_tokens)
    n_distinct = sum(row.same_as is None for row in rows)
    if len(seeds) < MIN_SEEDS:
        raise RecipeError(f"ablate: {len(seeds)} seeds; at least {MIN_SEEDS} are needed to tell a step from chance")
    if n_distinct < 2:
        raise RecipeError("ablate: no step drops a document, so there is nothing to compare")
    n_runs = n_distinct * len(seeds)
    seconds_per_run = cost.seconds(n_tokens // tokens_per_step)
    df = (n_distinct - 1) * (len(seeds) - 1)
    trained = {row.variant.name: row.same_as or row.variant.name for row in rows}
    comparisons = make_comparisons([row.variant for row in rows])
    alpha = ALPHA / len(distinct_pairs((trained[c.variant], trained[c.versus]) for c in comparisons))
    return Plan(
        rows=rows,
        seeds=tuple(seeds),
        n_tokens=n_tokens,
        n_runs=n_runs,
        n_workers=n_workers,
        seconds_per_run=seconds_per_run,
        seconds=math.ceil(n_runs / n_workers) * seconds_per_run,
        expected_detectable=smallest_detectable(standard_error(REFERENCE_SD, len(seeds)), df, alpha=alpha),
        notes=tuple(_notes(rows)),
    )


def _rows(corpora: Mapping[Variant, Corpus], n_tokens: int) -> tuple[PlanRow, ...]:
    first: dict[str, str] = {}  # content -> the first variant that holds it
    rows = []
    for variant, corpus in corpora.items():
        if corpus.n_tokens == 0:
            raise RecipeError(f"ablate: variant {variant.name!r} keeps no document; loosen step {variant.step!r}")
        same_as = first.get(corpus.content)
        first.setdefault(corpus.content, variant.name)
        rows.append(
            PlanRow(
                variant=variant,
                corpus=corpus,
                epochs=n_tokens / corpus.n_tokens,
                effective_tokens=effective_tokens(n_tokens, corpus.n_tokens),
                same_as=same_as,
            )
        )
    return tuple(rows)


def _notes(rows: Sequence[PlanRow]) -> list[str]:
    notes = []
    for row in rows:
        name = row.variant.name
        if row.same_as is not None:
            notes.append(f"{name} holds the same documents as {row.same_as}: trained once for both")
        if row.epochs > MAX_EPOCHS:
            notes.append(
                f"{name} reads its tokens {row.epochs:.1f} times, more than {MAX_EPOCHS}; they are worth "
                f"{row.effective_tokens:.3g} new ones, so it is at a disadvantage that more text would lift"
            )
        if row.variant.step == "dedup" and row.epochs < 1:
            notes.append(
                f"{name} is read {row.epochs:.2f} times: a copy costs something only where its original is read too, "
                "so what dedup is worth shows from about one epoch on"
            )
    return notes


def effective_tokens(n_tokens: int, n_unique: int) -> float:
    """How many new tokens are worth as much as `n_tokens` that repeat `n_unique`.

    U + U * R_star * (1 - exp(-R / R_star)) with R = epochs - 1 repetitions (Muennighoff et al. 2023).
    """
    if n_tokens <= n_unique:
        return float(n_tokens)
    repetitions = n_tokens / n_unique - 1
    return n_unique * (1 + REPETITION_DECAY * (1 - math.exp(-repetitions / REPETITION_DECAY)))


def parse_duration(text: str) -> float:
    """Seconds of a duration such as `90s`, `10m` or `1.5h`. Raises RecipeError on anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if match is None or float(match[1]) == 0:
        raise RecipeError(f"budget {text!r} is no duration; write a number and s, m or h, such as 10m")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def solve_budget(
    seconds: float, *, cost: Cost, n_variants: int, n_workers: int, tokens_per_step: int, n_unique: int
) -> tuple[int, int]:
    """The number of seeds and the tokens of each run that fill `seconds` best.

    n_variants: that differ in their documents
    n_unique:   tokens of the smallest variant; a run reads them `MAX_EPOCHS` times at most

    Five seeds where each run can still read the default number of tokens, else three with as many tokens as there is
    time for. Raises RecipeError if that is too few to measure anything.
    """
    for n_seeds, enough in ((5, DEFAULT_TOKENS), (DEFAULT_SEEDS, MIN_TOKENS)):
        rounds = math.ceil(n_variants * n_seeds / n_workers)
        n_steps = int((seconds / rounds - cost.fixed_seconds) / cost.seconds_per_step)
        if n_steps * tokens_per_step >= enough:
            n_tokens = min(n_steps * tokens_per_step, max(MAX_EPOCHS * n_unique, MIN_TOKENS))
            return n_seeds, n_tokens // tokens_per_step * tokens_per_step
    needed = rounds * cost.seconds(math.ceil(MIN_TOKENS / tokens_per_step))
    raise RecipeError(
        f"budget: {seconds / 60:.1f} minutes are too few for {n_variants} variants x {n_seeds} seeds; the least that "
        f"has measured anything, {MIN_TOKENS} tokens a run, takes {math.ceil(needed / 60)} minutes here"
    )

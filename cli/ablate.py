"""The ablation of a run: what it would cost, said before it starts; then the runs; then what they showed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from datassay.cli.pipeline import Plan
from datassay.cli.progress import Progress
from datassay.cli.sections import AblateSection
from datassay.cli.signals import EDITS
from datassay.corpus.errors import MissingExtraError, RecipeError
from datassay.corpus.hashing import settings_key
from datassay.corpus.store import read_json, write_json
from datassay.model import ablation_plan
from datassay.model.ablation_plan import Cost
from datassay.model.statistics import Analysis

if TYPE_CHECKING:
    from datassay.model.train import TrainSettings


def ablate(plan: Plan, folder: Path, *, n_workers: int, progress: Progress, plan_only: bool) -> str | None:
    """Train what is not trained yet and write the analysis; returns the name of its folder below the run's.

    None if only the plan was asked for. Raises MissingExtraError without torch.
    """
    try:
        from datassay.model.ablation import AblationData, probe, run_ablation, survey
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"the ablation trains models: pip install 'datassay[train]' (no {error.name})"
        ) from error
    recipe = plan.recipe.ablate
    assert recipe is not None
    settings = train_settings(recipe)
    finished = plan.finished
    domains = sorted(name.removeprefix("domain ") for name in finished["validation"].counts)
    if recipe.target is not None and recipe.target not in domains:
        raise RecipeError(f"ablate.target: no validation text of {recipe.target!r}, only of {', '.join(domains)}")
    shards = [path for i, path in enumerate(finished["ablation_tokens"].paths("tokens")) if plan.is_input(i)]
    validation = dict(zip(domains, finished["validation_tokens"].paths("tokens"), strict=True))
    edited = finished["edited_tokens"].paths("tokens") if "edited_tokens" in finished else []
    data = AblationData(
        tuple(shards),
        {domain: (path,) for domain, path in validation.items()},
        tuple(path for i, path in enumerate(edited) if plan.is_input(i)),
    )
    corpora = {
        variant: survey(data, path, is_edited=EDITS in variant.steps)
        for variant, path in zip(plan.variants, finished["variants"].paths("kept"), strict=True)
    }
    compared = settings.model_dump(mode="json", exclude={"n_tokens", "seed"})  # more of these adds runs to the same
    for variant, corpus in corpora.items():
        if corpus.n_tokens == 0:
            why = f"loosen step {variant.step!r}" if variant.step else "all are held out or near copies of what is"
            raise RecipeError(f"ablate: variant {variant.name!r} keeps no document: {why}")
    name = f"ablation-{settings_key(finished['ablation_tokenizer'].content, domains, compared)[:12]}"
    cost = _cost(folder / name, lambda: probe(data, next(iter(corpora.values())), settings, n_workers=n_workers))
    n_seeds, n_tokens = _size(recipe, cost, corpora.values(), n_workers=n_workers)
    ablation = ablation_plan.make_plan(
        corpora,
        seeds=range(n_seeds),
        n_tokens=n_tokens,
        tokens_per_step=recipe.batch_tokens,
        cost=cost,
        n_workers=n_workers,
    )
    for line in describe(ablation):
        progress.note(line)
    if plan_only:
        return None
    write_json(folder / name / "plan.json", orjson.loads(orjson.dumps(ablation, default=str)))
    result = run_ablation(
        ablation,
        data,
        settings,
        folder=folder / name,
        n_workers=n_workers,
        on_start=lambda n_runs, n_done: progress.start("ablation", n_runs, n_done),
        on_done=lambda _: progress.advance(),
        target=recipe.target,
    )
    progress.finish(f"{len(result.runs)} runs")
    for line in verdicts(result.analysis):
        progress.note(line)
    return name


def train_settings(recipe: AblateSection) -> TrainSettings:
    """How each run of an ablation trains."""
    from datassay.model.train import TrainSettings  # needs torch

    return TrainSettings(
        preset=recipe.model,
        n_tokens=recipe.n_tokens,
        batch_tokens=recipe.batch_tokens,
        seq_len=recipe.seq_len,
        lr=recipe.lr,
        optimizer=recipe.optimizer,
    )


def _size(
    recipe: AblateSection, cost: Cost, corpora: Collection[ablation_plan.Corpus], *, n_workers: int
) -> tuple[int, int]:
    """Seeds, and tokens of a run: what the recipe says, or what its budget of time allows."""
    if recipe.budget is None:
        return recipe.n_seeds, recipe.n_tokens
    return ablation_plan.solve_budget(
        ablation_plan.parse_duration(recipe.budget),
        cost=cost,
        n_variants=len({corpus.content for corpus in corpora}),
        n_workers=n_workers,
        tokens_per_step=recipe.batch_tokens,
        n_unique=min(corpus.n_tokens for corpus in corpora),
    )


def _cost(folder: Path, measure: Callable[[], Cost]) -> Cost:
    """What a run costs here: measured once, then remembered beside the runs."""
    path = folder / "cost.json"
    if path.exists():
        return Cost(**read_json(path))
    cost = measure()
    write_json(path, asdict(cost))
    return cost


def describe(plan: ablation_plan.Plan) -> list[str]:
    """What will be trained, what that costs and what it can show, as lines."""
    width = max(14, *(len(row.variant.name) for row in plan.rows))
    lines = [f"  {'variant':<{width}} {'documents':>10} {'tokens':>13} {'epochs':>7}"]
    for row in plan.rows:
        corpus = row.corpus
        lines.append(
            f"  {row.variant.name:<{width}} {corpus.n_documents:>10,} {corpus.n_tokens:>13,} {row.epochs:>7.2f}"
        )
    lines += [f"  note: {note}" for note in plan.notes]
    lines.append(
        f"ablation: {plan.n_runs} runs of {plan.n_tokens:,} tokens, {plan.seconds_per_run:.0f} s each, "
        f"{plan.seconds / 60:.0f} min in all on {plan.n_workers} workers; "
        f"should see effects from {plan.expected_detectable:.3f} bits per byte"
    )
    return lines


_SIGNS = {"total": "", "cumulative": "+", "minus": "-", "preset": "rules "}


def verdicts(analysis: Analysis) -> list[str]:
    """Every contrast of the domain that counts, as lines."""
    domain = analysis.target or analysis.domains[0]  # the mean comes first, where there are several
    lines = [f"worth of each step, bits per byte on {domain} (below zero is better):"]
    width = max([14, *(len(_SIGNS[contrast.kind] + contrast.step) for contrast in analysis.contrasts)])
    for contrast in analysis.contrasts:
        if contrast.domain == domain:
            name = _SIGNS[contrast.kind] + contrast.step
            interval = f"[{contrast.low:+.4f}, {contrast.high:+.4f}]"
            seen = (
                ""
                if contrast.verdict in ("helps", "hurts")
                else f" (would have seen {contrast.smallest_detectable:.3f})"
            )
            lines.append(f"  {name:<{width}} {contrast.difference:+.4f} {interval}  {contrast.verdict}{seen}")
    return lines

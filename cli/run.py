"""Run a recipe: every stage that is not done, then the ablation, then the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

from datassay.cli.ablate import ablate
from datassay.cli.pipeline import INPUT, Plan, check_given_files, score_source, stages
from datassay.cli.progress import Progress
from datassay.cli.recipe import load_recipe
from datassay.cli.run_folder import stage_entry, update_manifest
from datassay.cli.sections import ClassifierScore, Recipe
from datassay.cli.session import Terminated, engine_of, locked, stopped_by_signals
from datassay.cli.signals import check_recipe_rules
from datassay.corpus.engine import Engine, Task
from datassay.corpus.errors import InputError, RecipeError
from datassay.corpus.inputs import find_inputs, shards
from datassay.corpus.records import InputFile
from datassay.corpus.split import REFERENCE, VALIDATION
from datassay.corpus.stage import StageOutput, run_stage, waiting_tasks
from datassay.corpus.store import read_json, remove_leftovers
from datassay.corpus.without_pandas import without_pandas
from datassay.dedup.budget import LONG_SECONDS, Estimate, check_room, corpus_size, estimate, room_at
from datassay.dedup.settings import DedupSettings

PARTIAL = 4
"""Exit status of a run in which a guard left something out."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for."""

    recipe: Path
    output: Path | None = None
    changes: tuple[str, ...] = ()
    until: str | None = None
    sample: float | None = None
    limit: int | None = None
    workers: int = 2
    plan_only: bool = False


def run_recipe(request: Request) -> int:
    """Run a recipe as far as asked; returns the exit status."""
    recipe = load_recipe(request.recipe, request.changes)
    folder = request.output or Path("runs") / recipe.name
    names = [stage.name for stage in stages(recipe)]
    if request.until is not None and request.until not in [*names, "ablate"]:
        raise RecipeError(f"--until {request.until}: no such stage; there are {', '.join(names)}, ablate")
    if request.until == "ablate" and recipe.ablate is None:
        raise RecipeError(f"{request.recipe}: no [ablate] table, so there is nothing to compare")
    if request.sample is not None and not 0 < request.sample <= 1:
        raise RecipeError(f"--sample {request.sample}: a share of the pages, above 0 and at most 1")
    is_own_code = bool(recipe.signals)  # which may well want pandas
    with nullcontext() if is_own_code else without_pandas():
        check_recipe_rules(recipe, request.recipe)
        check_given_files(recipe)
        with locked(folder), stopped_by_signals(), Progress() as progress:
            try:
                with engine_of(request.workers, preload="datassay.cli.workers", is_own_code=is_own_code) as engine:
                    return _run(recipe, request, folder, engine, progress)
            except (KeyboardInterrupt, Terminated) as stop:
                progress.note("stopped; the same command continues")
                return 143 if isinstance(stop, Terminated) else 130


def _run(recipe: Recipe, request: Request, folder: Path, engine: Engine, progress: Progress) -> int:
    remove_leftovers(folder)
    plan = Plan(recipe, read_inputs(recipe, folder), share=request.sample or 1.0, limit=request.limit)
    manifest: dict[str, Any] = {
        "datassay": version("datassay"),
        "recipe": recipe.model_dump(mode="json"),
        "sample": {"share": request.sample, "limit": request.limit},
        "inputs": [[_input_entry(file) for file in files] for files in plan.shards],
        "stages": {},
        "quality_limits": [],
        "variants": [],
        "ablation": None,
    }
    for stage in stages(recipe, request.limit):
        stage_plan = stage.plan(plan)
        if stage.name == "sign":
            need = check_dedup_room(
                waiting_tasks(stage_plan, plan.finished, folder), recipe.dedup, folder, request.workers
            )
            if need.cpu_seconds > LONG_SECONDS:
                progress.note(f"near duplicates: {need.summary}")
        output = run_stage(
            stage_plan,
            plan.finished,
            folder,
            engine,
            on_start=progress.start,
            on_done=lambda *_: progress.advance(),
        )
        plan.finished[stage.name] = output
        manifest["stages"][stage.name] = stage_entry(output, stage_plan.version)
        if stage.name == "decide":
            manifest["quality_limits"] = read_json(output.paths("limits")[0])
        if stage.name == "variants":
            manifest["variants"] = [
                {"name": variant.name, "kind": variant.kind, "steps": variant.steps, **done.counts}
                for variant, done in zip(plan.variants, output.done, strict=True)
            ]
        progress.finish(summary(output) if stage.name != "variants" else _sizes(manifest["variants"]))
        update_manifest(folder, manifest)
        if stage.name == request.until:
            progress.note(f"stopped after {stage.name}; the run is in {folder}")
            return _status(plan)
    if recipe.ablate is not None:
        result = ablate(plan, folder, n_workers=max(request.workers, 1), progress=progress, plan_only=request.plan_only)
        if result is None:
            return _status(plan)
        manifest["ablation"] = result
        update_manifest(folder, manifest)
    from datassay.cli.report.page import write_report
    from datassay.cli.run_folder import open_run

    progress.note(f"report: {write_report(open_run(folder))}")
    return _status(plan)


def check_dedup_room(waiting: Sequence[Task], settings: DedupSettings, folder: Path, n_workers: int) -> Estimate:
    """What signing these tasks' documents and pairing them will need. Raises StoreError if that cannot fit."""
    size = corpus_size(path for task in waiting for path in task.inputs.all("clean"))
    if waiting:
        check_room(size, settings, folder, room=room_at(folder), n_processes=max(1, n_workers))
    return estimate(size, settings)


def _sizes(variants: Sequence[Mapping[str, Any]]) -> str:
    """How many documents each variant keeps."""
    return ", ".join(f"{variant['name']} {variant['n_documents']:,}" for variant in variants)


def input_files(recipe: Recipe, cache: Path | None = None) -> list[InputFile]:
    """The files that are refined, in the order of their documents: those without a name of their source, then the named
    sources by name, which stands before the names of their files.

    Raises InputError if a file has two sources.
    """
    files = find_inputs(recipe.input.paths, paths_from=recipe.input.paths_from, source=INPUT, cache=cache)
    for source, paths in sorted(recipe.input.sources.items()):
        found = find_inputs(paths, source=source, cache=cache)
        files += [replace(file, name=f"{source}/{file.name}") for file in found]
    known: dict[str, str] = {}
    for file in files:
        if known.setdefault(file.url, file.source) != file.source:
            raise InputError(
                f"{file.url}: is of source {known[file.url]!r} and of source {file.source!r}; name it in one of them"
            )
    return files


def read_inputs(recipe: Recipe, folder: Path) -> list[tuple[InputFile, ...]]:
    """The shards of everything that the recipe names: the input first, then validation, then the reference.

    Names of files that are no input carry their source in front, so that no two documents have one id.
    """
    cache = folder / "inputs.json"
    found = input_files(recipe, cache)
    if not found:
        raise InputError("the recipe's [input] names no file")
    groups = [group for _, files in groupby(found, key=lambda file: file.source) for group in shards(list(files))]
    others: list[tuple[str, tuple[str, ...]]] = []
    if recipe.ablate is not None:
        others += [(f"{VALIDATION}{domain}", paths) for domain, paths in sorted(recipe.ablate.validation.items())]
    if recipe.quality is not None and recipe.quality.reference:
        others.append((REFERENCE, recipe.quality.reference))
        others.append((score_source("quality", is_bad=True), recipe.quality.bad))
    for score in recipe.scores:
        others.append((score_source(score.name), score.reference))
        if isinstance(score, ClassifierScore):
            others.append((score_source(score.name, is_bad=True), score.bad))
    for source, paths in ((source, paths) for source, paths in others if paths):
        files = find_inputs(paths, paths_from=None, source=source, cache=cache)
        groups += shards([replace(file, name=f"{source}/{file.name}") for file in files])
    names = Counter(file.name for group in groups for file in group)
    for name, n in names.items():
        if n > 1:
            raise InputError(
                f"{name}: named by the input, and by a named source, the validation or the reference as well, so their "
                "documents would share ids; take those files out of the input"
            )
    return groups


def summary(output: StageOutput) -> str:
    """A stage's counts on one line, the largest first."""
    counts = sorted(output.counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{name} {n:,}" for name, n in counts[:5]]
    return ", ".join(shown) + (", …" if len(counts) > 5 else "")


def _status(plan: Plan) -> int:
    return PARTIAL if any(output.is_partial for output in plan.finished.values()) else 0


def _input_entry(file: InputFile) -> dict[str, Any]:
    return {"name": file.name, "source": file.source, "n_bytes": file.n_bytes, "sha256": file.sha256}

"""Decide again from what a run has measured: other rules and limits, in seconds, with no text read.

A recipe is replayed over the run folder: the keys of its stages say whether the run has measured what it needs. What is
missing and needs no text is made in a temporary folder: pairs above a higher limit of similarity, and the roles that
follow from them. Anything else is refused. So the result is that of `datassay run` with the same recipe.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError

from datassay.cli import decisions
from datassay.cli import recipe as recipes
from datassay.cli.decisions import DECISION, DecideSettings, cutoff_reason
from datassay.cli.nearest import nearest
from datassay.cli.pipeline import Plan, Stage, stages
from datassay.cli.query import table
from datassay.cli.recipe import load_recipe, with_absolute_paths
from datassay.cli.run_folder import RunFolder
from datassay.cli.sections import Recipe, RulesEntry
from datassay.cli.signals import check_recipe_rules, rules, rules_by_step
from datassay.corpus.engine import InlineEngine, Inputs, Task
from datassay.corpus.errors import RecipeError, StoreError
from datassay.corpus.language import LanguageSettings
from datassay.corpus.records import InputFile
from datassay.corpus.stage import Each, StageOutput, StagePlan, plan_tasks, run_stage
from datassay.corpus.store import Outputs, done_path, parquet_shard, read_batches, read_done
from datassay.dedup.exact import PAIR
from datassay.dedup.verify import VerifySettings
from datassay.filters.decide import MEMORY, connect
from datassay.filters.fast_decide import reasons_of, rule_failures
from datassay.filters.rules import Rule

FIXED = ("name", "seed", "input", "extract", "split", "write", "tokenize", "ablate")
"""Sections of the recipe that decide nothing, or only by what they make of the input: those of the run hold."""
CHANGEABLE = tuple(name for name in Recipe.model_fields if name not in FIXED)
MEASURES = ("signals", "scores", "measure")
"""Of these, those that only measure; what the run has measured beyond another recipe does no harm."""
N_EXAMPLES = 3
QUALITY_RULE = "quality"
RAW = "raw"
STEPS = ("urls", "language", "rules", "bad_words", "edits", "decontaminate", "quality", "dedup")
"""Those that drop documents, in order."""
WITHOUT_TEXTS = (
    *("thresholds", "language_limit", "percentiles", "split"),
    *("url_keys", "url_pairs", "payload_keys", "payload_pairs"),
)
"""Stages that are run again where their inputs have changed, for they read scores, pairs, sources and URLs."""
BYTES_PER_TOKEN = 4.0
"""Where the run has made no tokens."""


@dataclass(frozen=True, slots=True)
class Change:
    """What shall be decided otherwise."""

    settings: tuple[str, ...] = ()
    """KEY=VALUE, as for `datassay run --set`."""
    rules: tuple[str, ...] = ()
    """NAME=CONDITION: rules that are added, or take the place of those of that name."""
    without: tuple[str, ...] = ()
    """Names of rules that do not count."""
    recipe: Path | None = None
    """Another recipe, whose decisions are taken before the other changes."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a run has measured, found sufficient to decide by a recipe."""

    run: RunFolder
    recipe: Recipe
    judges: Judges
    tasks: Sequence[Task]
    """Those of the stage `verdicts`, not run: a shard's signals and the rules."""
    inputs: Inputs
    """Of the stage `decide`, with the run's own verdicts, of which only the columns that they carry are read."""
    settings: DecideSettings
    notes: tuple[str, ...] = ()
    """What a reader of the result should know."""


@dataclass(slots=True)
class Outcome:
    """A decision on every document of a run, in the order of its shards; arrays are (documents,)."""

    is_training: NDArray[np.bool_]
    """Whether its role is training: neither held out nor near to what is."""
    drops: dict[str, NDArray[np.bool_]]
    """What each step drops, in the order of STEPS; a step that is not taken is not there."""
    sizes: NDArray[np.int64]
    """Bytes of the texts."""
    limits: dict[str, str] = field(default_factory=dict)
    """Of each rule in order, and of the quality cut-off, what it keeps."""
    n_failed: dict[str, int] = field(default_factory=dict)
    """Training documents that fail each rule."""
    n_alone: dict[str, int] = field(default_factory=dict)
    """Training documents that fail this rule and no other."""
    cutoffs: dict[str | None, str] = field(default_factory=dict)
    """What the quality cut-off came to in each group."""
    kept_for: list[pa.Array] = field(default_factory=list)
    """Of each shard, the document that stays in place of each duplicate."""

    def after(self, step: str) -> NDArray[np.bool_]:
        """Whether each document is left after a step and those before it; all that may be trained on for `raw`."""
        left = self.is_training.copy()
        for name in STEPS[: STEPS.index(step) + 1] if step != RAW else ():
            if name in self.drops:
                left &= ~self.drops[name]
        return left

    @property
    def keep(self) -> NDArray[np.bool_]:
        return self.after(STEPS[-1])


@dataclass(frozen=True, slots=True)
class Judges:
    """The rules that judge every document, and the step that each belongs to."""

    rules: tuple[Rule, ...]
    steps: Mapping[str, str]
    """Step of each rule, by its name."""

    @property
    def names(self) -> list[str]:
        return [rule.name for rule in self.rules]

    @property
    def limits(self) -> dict[str, str]:
        """What each rule keeps, and of which documents."""
        return {rule.name: rule.keep + (f" if {rule.only}" if rule.only else "") for rule in self.rules}

    def drops(self, fails: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
        """What each step of rules drops, given (documents, rules)."""
        of_rule = [self.steps[name] for name in self.names]
        return {
            step: np.asarray(fails[:, np.array([own == step for own in of_rule], bool)].any(axis=1))
            for step in STEPS
            if step in of_rule
        }


def judges(recipe: Recipe) -> Judges:
    """The rules of a recipe."""
    steps = {rule.name: step for step, of_step in rules_by_step(recipe).items() for rule in of_step}
    return Judges(rules(recipe), steps)


def run_recipe_of(run: RunFolder) -> Recipe:
    """The recipe that a run was made by."""
    return Recipe.model_validate(run.manifest["recipe"])


def _row(plan: Plan, name: str) -> Stage:
    """A stage of the plan's recipe."""
    (row,) = [stage for stage in stages(plan.recipe, plan.limit) if stage.name == name]
    return row


def as_run(run: RunFolder) -> Plan:
    """The plan of a run, with all the stages that it has finished."""
    sample = run.manifest["sample"]
    recipe = run_recipe_of(run)
    plan = Plan(recipe, _shards(run), share=sample["share"] or 1.0, limit=sample["limit"])
    names = [stage.name for stage in stages(recipe, plan.limit)]
    plan.finished.update({name: _run_output(run, name) for name in names if run.has(name)})
    return plan


def changed_recipe(run: RunFolder, change: Change) -> Recipe:
    """The run's recipe with changes to what decides. Raises RecipeError where one is wrong or no such change."""
    values = _recipe_values(run.manifest["recipe"])
    if change.recipe is not None:
        values = _with_decisions_of(values, load_recipe(change.recipe))
    for setting in change.settings:
        section = setting.partition("=")[0].strip().partition(".")[0]
        if section not in CHANGEABLE:
            known = section in Recipe.model_fields
            raise RecipeError(
                f"--set {setting}: "
                + (
                    f"[{section}] does not decide, so a run has to take it up: datassay run RECIPE -o {run.path} "
                    f"--set {setting}"
                    if known
                    else f"no section {section!r}{nearest(section, CHANGEABLE)}; decide knows {', '.join(CHANGEABLE)}"
                )
            )
        recipes.apply_change(values, setting)
    _change_rules(values, change)
    recipes.fill_from_presets(values)
    where = Path("--set") if change.recipe is None else change.recipe
    try:
        recipe = with_absolute_paths(Recipe.model_validate(values), Path.cwd())
    except ValidationError as error:
        raise RecipeError("\n".join(recipes.explain(where, "", problem) for problem in error.errors())) from error
    check_recipe_rules(recipe, change.recipe or run.path)
    return recipe


def _recipe_values(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest's recipe as TOML would say it: what is not set is not there, and what is off is false."""
    values: dict[str, Any] = _without_nulls(recipe)
    values.setdefault("tokenize", False)
    values["dedup"].setdefault("minhash", False)
    if "language" in values:
        values["language"].update(values["language"].pop("by_language", {}))  # tables [language.CODE]
    return values


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nulls(below) for name, below in value.items() if below is not None}
    if isinstance(value, list):
        return [_without_nulls(below) for below in value]
    return value


def _with_decisions_of(values: dict[str, Any], other: Recipe) -> dict[str, Any]:
    """A run's recipe with the decisions of another."""
    theirs = _recipe_values(other.model_dump(mode="json"))
    merged = {name: value for name, value in values.items() if name not in CHANGEABLE}
    merged.update({name: values[name] for name in MEASURES if name in values})
    merged.update({name: theirs[name] for name in CHANGEABLE if name != "quality" and theirs.get(name)})
    if "quality" in values and "quality" not in theirs:
        merged["quality"] = {name: value for name, value in values["quality"].items() if name not in ("keep", "by")}
    elif "quality" in theirs:
        merged["quality"] = theirs["quality"]
        if theirs["quality"].get("reference") and values.get("quality", {}).get("reference"):
            merged["quality"]["reference"] = values["quality"]["reference"]
    return merged


def reference_note(run: RunFolder, path: Path) -> tuple[str, ...]:
    """That a recipe names other reference texts than those that the run's classifier was trained on."""
    theirs, ours = load_recipe(path).quality, run_recipe_of(run).quality
    if theirs is None or ours is None or not theirs.reference or theirs.reference == ours.reference:
        return ()
    return (f"{path}: quality.reference is another than the run's; the scores are those of the run's classifier",)


def _change_rules(values: dict[str, Any], change: Change) -> None:
    """Take rules out and put others in, in the recipe's own words."""
    added = []
    for rule in change.rules:
        name, equals, keep = rule.partition("=")
        if not equals or not name.strip() or not keep.strip():
            raise RecipeError(f"--rule {rule}: write NAME=CONDITION, such as --rule 'words=word_count >= 100'")
        added.append({"name": name.strip(), "keep": keep.strip()})
    entries = [dict(entry) for entry in values.get("rules", [])]
    gone = {*change.without, *(rule["name"] for rule in added)}
    known = set()
    for entry in entries:
        own = [rule.name for rule in RulesEntry.model_validate(entry).rules()]
        known.update(own)
        if "preset" in entry and gone & set(own):
            entry["without"] = [*entry.get("without", []), *(name for name in own if name in gone)]
    for name in change.without:
        if name not in known:
            raise RecipeError(f"--without {name}: the recipe has no such rule{nearest(name, sorted(known))}")
    values["rules"] = [entry for entry in entries if entry.get("name") not in gone] + added


@contextmanager
def ledger_for(run: RunFolder, recipe: Recipe) -> Iterator[Ledger]:
    """What the run has measured, if it is all that the recipe needs; the files made from it last for the block.

    Raises RecipeError, with the command that does it, if a stage would have to read texts.
    """
    run.files("decide", "decisions")  # or an error that says that the run has not come so far
    old = as_run(run)
    if (recipe.quality is None) != (old.recipe.quality is None):
        raise RecipeError(
            f"{run.path}: the run measured "
            + ("no quality; " if old.recipe.quality is None else "a quality, and without it has other inputs; ")
            + f"`datassay run RECIPE -o {run.path}` takes [quality] up or away, `--set quality.keep=` leaves only its "
            "cut-off out"
        )
    with TemporaryDirectory() as temp:
        yield _replay(run, old, recipe, Path(temp))


def _replay(run: RunFolder, old: Plan, recipe: Recipe, temp: Path) -> Ledger:
    """Go through the stages of both recipes: where their keys are the same, the run has what the new one needs.

    Keys are compared with each other and not with those on disk, so that a run stays open to questions when a later
    datassay would measure otherwise.
    """
    new = Plan(recipe, old.shards, old.share, old.limit)
    extraction = Plan(_extracted_by(recipe, old.recipe), old.shards, old.share, old.limit, new.finished)
    notes = _language_notes(run, recipe, old.recipe)
    rows = {stage.name: stage for stage in stages(old.recipe, old.limit)}
    for stage in stages(recipe, old.limit):
        if stage.name == "verdicts":
            break
        plan = stage.plan(extraction if stage.name == "extract" else new)
        output = None
        if stage.name in rows and run.has(stage.name):
            was = rows[stage.name].plan(old)
            is_same = _keys(plan, new.finished) == _keys(was, old.finished) or _asks_for_less(plan, was)
            output = old.finished[stage.name] if is_same else None
        new.finished[stage.name] = output or _made(run, plan, (recipe, old.recipe), new.finished, temp)
    tasks = plan_tasks(_row(new, "verdicts").plan(new), new.finished, temp)
    new.finished["verdicts"] = _carriers(run, tasks)
    (deciding,) = plan_tasks(_row(new, "decide").plan(new), new.finished, temp)
    return Ledger(run, recipe, judges(recipe), tasks, deciding.inputs, deciding.settings, notes)


def _keys(plan: StagePlan, finished: dict[str, StageOutput]) -> list[str]:
    return [task.key for task in plan_tasks(plan, finished, Path())]


def _asks_for_less(plan: StagePlan, was: StagePlan) -> bool:
    """Whether a stage measures fewer columns than the run did, because a rule that mentioned them is gone."""
    if plan.name != "edit":
        return False
    pairs = [(new.model_dump(), old.model_dump()) for new, old in zip(plan.settings, was.settings, strict=True)]
    return all(
        new[name] == old[name] or not new[name] or (isinstance(new[name], tuple) and set(new[name]) <= set(old[name]))
        for new, old in pairs
        for name in new
    )


def _carriers(run: RunFolder, tasks: Sequence[Task]) -> StageOutput:
    """Verdicts that carry the columns which the decision needs: the run's, or new ones if it needs others."""
    verdicts = _run_output(run, "verdicts")
    carried = set(tasks[0].settings.carry) if tasks else set()
    known = [set(pq.read_schema(path).names) for path in verdicts.paths("verdicts")]
    if all(carried <= names for names in known):
        return verdicts
    return StageOutput("verdicts", tasks[0].folder, tuple(InlineEngine().run(tasks)))


def _made(
    run: RunFolder, plan: StagePlan, of: tuple[Recipe, Recipe], finished: dict[str, StageOutput], temp: Path
) -> StageOutput:
    """What a stage would write that the run has not gone through as it is now planned, if no text is needed for it.

    of: the new recipe, and the run's
    """
    known = _finished(plan, finished, run.path)  # perhaps the run had another recipe once
    if known is not None:
        return known
    if plan.name == "texts" and of[1].dedup.exact and run.has("sign"):  # which hashed them in passing
        return replace(_run_output(run, "sign"), name="texts")
    if plan.name == "verify" and _is_stricter(*of):
        return _stricter_pairs(run, plan, finished, temp)
    if plan.name in WITHOUT_TEXTS or (plan.name == "quality" and of[0].quality is not None and of[0].quality.combine):
        return run_stage(plan, finished, temp, InlineEngine())
    raise RecipeError(_refusal(run, *of, plan))


def _shards(run: RunFolder) -> list[tuple[InputFile, ...]]:
    """The shards of the run by the names and hashes of their files; nothing of them is read."""
    return [
        tuple(InputFile(file["name"], file["name"], file["n_bytes"], file["sha256"], file["source"]) for file in files)
        for files in run.manifest["inputs"]
    ]


def _finished(plan: StagePlan, finished: dict[str, StageOutput], folder: Path) -> StageOutput | None:
    """What a stage wrote, if the run folder has it whole."""
    tasks = plan_tasks(plan, finished, folder)
    found = []
    for task in tasks:
        done = read_done(done_path(task.folder, task.index))
        if done is None or done.key != task.key:
            return None
        found.append(done)
    return StageOutput(plan.name, tasks[0].folder, tuple(found))


def _run_output(run: RunFolder, stage: str) -> StageOutput:
    """What the run's manifest says that a stage wrote."""
    entry = run.manifest["stages"][stage]
    folder = run.path / entry["folder"]
    found = [read_done(done_path(folder, index)) for index in range(entry["n_tasks"])]
    done = [record for record in found if record is not None]
    if len(done) < entry["n_tasks"]:
        raise StoreError(f"{folder}: files are missing; `datassay run` makes them again")
    return StageOutput(stage, folder, tuple(done))


def _is_stricter(recipe: Recipe, before: Recipe) -> bool:
    """Whether near duplicates are searched as they were, with a limit that is not lower."""
    new, old = recipe.dedup.minhash, before.dedup.minhash
    if new is None or old is None or recipe.dedup.exact != before.dedup.exact:
        return False
    return new.model_copy(update={"min_jaccard": old.min_jaccard}) == old and new.min_jaccard >= old.min_jaccard


def _stricter_pairs(run: RunFolder, plan: StagePlan, finished: dict[str, StageOutput], temp: Path) -> StageOutput:
    """The run's verified pairs above a higher limit: what `verify` would write, as it compares the same candidates."""
    verified = StagePlan(plan.name, _pairs_above, plan.version, (Each("verify", "pairs"),), plan.settings)
    return run_stage(verified, {**finished, "verify": _run_output(run, "verify")}, temp, InlineEngine())


def _pairs_above(inputs: Inputs, settings: VerifySettings, out: Outputs) -> None:
    """Keep the pairs of one shard that are similar enough."""
    with out.parquet("pairs", PAIR) as shard:
        for batch in read_batches(inputs.all("pairs"), n_rows=65_536):
            shard.write(batch.filter(pc.greater_equal(batch["similarity"], settings.min_jaccard)))


def _extracted_by(recipe: Recipe, before: Recipe) -> Recipe:
    """The recipe with the languages that the run's pages were extracted for."""
    keep = before.language.keep if before.language is not None else ()
    languages = recipe.language or LanguageSettings(keep=())
    return recipe.model_copy(update={"language": languages.model_copy(update={"keep": keep})})


def _language_notes(run: RunFolder, recipe: Recipe, before: Recipe) -> tuple[str, ...]:
    """What other languages mean for the texts. Raises RecipeError where pages would have to be extracted again."""
    old = set(before.language.keep) if before.language is not None else set()
    new = set(recipe.language.keep) if recipe.language is not None else set()
    if old == new:
        return ()
    n_gated = run.counts("extract").get("gated", 0)
    if n_gated and not (new and new <= old):
        added = ", ".join(sorted(new - old)) or "all"
        keep = ", ".join(f"'{name}'" for name in sorted(new))
        raise RecipeError(
            f"{run.path}: languages {added}: of {n_gated:,} pages in languages that the run did not keep there "
            f"is only the rough text of the fast extractor; they need "
            f'`datassay run RECIPE -o {run.path} --set "language.keep=[{keep}]"`'
        )
    if not run.counts("extract").get("extracted"):
        return ()
    return ("languages: a run would extract pages of languages that it drops only roughly; here they have their full "
            "text, so their reasons may differ",)  # fmt: skip


def _refusal(run: RunFolder, recipe: Recipe, before: Recipe, plan: StagePlan) -> str:
    """That a stage would have to read texts, because of which settings, and the command that does it."""
    new, old = (dict(_flat(_recipe_values(each.model_dump(mode="json")))) for each in (recipe, before))
    names = [name for name in new.keys() | old.keys() if new.get(name) != old.get(name)]
    names = [name for name in names if not re.match(r"quality\.(keep|by)\b|language\.(?!model|paragraphs)", name)]
    names = sorted(name for name in names if not any(name.startswith(f"{other}.") for other in names))
    command = f"datassay run RECIPE -o {run.path}"
    if not run.has(plan.name) and not names:
        return f"{run.path}: stage {plan.name!r} has not run; `datassay run` continues the run"
    because = f", because of {', '.join(names)}" if names else ""
    if plan.name == "verify" and recipe.dedup.minhash and before.dedup.minhash:
        because += f" (pairs were verified from a similarity of {before.dedup.minhash.min_jaccard} on)"
    if plan.name == "reference" or plan.name.endswith("_reference"):
        because += " (other reference texts are near to validation, so the classifier has to be trained anew)"
    settings = " ".join(f"--set '{name}={orjson.dumps(new[name]).decode()}'" for name in names if name in new)
    return (
        f"{run.path}: stage {plan.name!r} would have to read texts again{because}; this does it: {command} {settings}"
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def decide_again(ledger: Ledger) -> Outcome:
    """The decisions by the ledger's recipe: what the stages `verdicts` and `decide` would say."""
    settings, paths, judging = ledger.settings, ledger.inputs.all("verdicts"), ledger.judges
    counts = np.array([name not in settings.without_rules for name in judging.names], bool)
    training = [_is_training(path) for path in ledger.inputs.all("split")]
    totals = np.zeros(len(counts), np.int64)
    drops: list[dict[str, NDArray[np.bool_]]] = []
    only: list[NDArray[np.int16]] = []
    with TemporaryDirectory() as temp, connect(MEMORY, 1, Path(temp)) as con:
        for task, is_training in zip(ledger.tasks, training, strict=True):
            parts = rule_failures(con, judging.rules, task.inputs)
            fails = np.concatenate([np.zeros((0, len(counts)), bool), *parts]) & counts  # (documents, rules)
            if len(fails) != len(is_training):
                raise StoreError(f"{task.inputs.files}: signals of {len(fails)} documents, roles of {len(is_training)}")
            totals += fails[is_training].sum(axis=0)
            drops.append(judging.drops(fails))
            only.append(_only(fails))
            pa.default_memory_pool().release_unused()  # the signals of this shard: 40 MB less at the peak (measured)
    keep = [
        role & ~np.any([np.zeros(len(role), bool), *by.values()], axis=0)
        for role, by in zip(training, drops, strict=True)
    ]
    outcome = Outcome(
        is_training=_joined(training),
        drops={step: _joined([by[step] for by in drops]) for step in (drops[0] if drops else ())},
        sizes=_sizes(paths),
        limits=judging.limits,
        n_failed={name: int(n) for name, n in zip(judging.names, totals, strict=True)},
    )
    chosen = decisions.choose(paths, keep, ledger.inputs.all("pairs") if settings.dedup is not None else (), settings)
    if settings.quality is not None:
        outcome.drops["quality"] = _joined([shard.is_cut for shard in chosen.shards])
        outcome.cutoffs = {group: cutoff_reason(limit, settings.quality_by) for group, limit in chosen.limits.items()}
        outcome.limits[QUALITY_RULE] = _cutoff_text(settings.quality, settings.quality_by, outcome.cutoffs)
    outcome.kept_for = [shard.kept_for for shard in chosen.shards]
    if settings.dedup is not None:
        outcome.drops["dedup"] = _joined([np.asarray(pc.is_valid(names)) for names in outcome.kept_for])
    _count_alone(outcome, judging.names, np.concatenate([np.empty(0, np.int16), *only]))
    return outcome


def _cutoff_text(keep: str | Mapping[str, str], by: str | None, found: Mapping[str | None, str]) -> str:
    """The cut-off as the table of rules says it."""
    if by is None and None in found:
        return found[None]
    return f"quality {keep}" + (f" by {by}" if by is not None else "")


def _only(fails: NDArray[np.bool_]) -> NDArray[np.int16]:
    """The one rule that each document fails, (documents,); -1 for none, -2 for several.

    fails: (documents, rules)
    """
    n_failed = fails.sum(axis=1)
    first = fails.argmax(axis=1) if fails.shape[1] else n_failed
    only: NDArray[np.int16] = np.where(n_failed == 1, first, np.where(n_failed == 0, -1, -2)).astype(np.int16)
    return only


def decided_before(run: RunFolder) -> Outcome:
    """The decisions that the run made."""
    recipe = run_recipe_of(run)
    judging = judges(recipe)
    names = judging.names
    known = pa.array([*names, QUALITY_RULE], pa.string())
    parts: list[tuple[NDArray[np.bool_], dict[str, NDArray[np.bool_]], NDArray[np.int16]]] = []
    totals = np.zeros(len(names), np.int64)
    for path, split in zip(run.files("decide", "decisions"), run.files("split", "split"), strict=True):
        found = _read(path, ["reasons.list.element.rule", "kept_for"])
        is_training = _is_training(split)
        fails = np.zeros((found.num_rows, len(known)), bool)  # (documents, rules and the cut-off)
        start = 0
        for reasons in found["reasons"].chunks:
            rules = pc.index_in(reasons.flatten().field("rule"), value_set=known)
            rows = pc.list_parent_indices(reasons).filter(rules.is_valid())
            fails[np.asarray(rows) + start, np.asarray(rules.drop_null())] = True
            start += len(reasons)
        totals += fails[is_training, :-1].sum(axis=0)
        drops = judging.drops(fails[:, :-1])
        drops["quality"] = fails[:, -1]
        drops["dedup"] = np.asarray(pc.is_valid(found["kept_for"]))
        parts.append((is_training, drops, _only(fails[:, :-1])))
    outcome = Outcome(
        is_training=_joined([training for training, _, _ in parts]),
        drops={step: _joined([drops[step] for _, drops, _ in parts]) for step in (parts[0][1] if parts else ())},
        sizes=_sizes(run.files("verdicts", "verdicts")),
        limits=judging.limits,
        n_failed={name: int(n) for name, n in zip(names, totals, strict=True)},
    )
    if recipe.quality is None or recipe.quality.keep is None:
        del outcome.drops["quality"]
    else:
        outcome.limits[QUALITY_RULE] = _cutoff_text(recipe.quality.keep, recipe.quality.by, {})
    if "dedup" not in recipe.steps:
        del outcome.drops["dedup"]
    _count_alone(outcome, names, np.concatenate([np.empty(0, np.int16), *(only for _, _, only in parts)]))
    return outcome


def _count_alone(outcome: Outcome, rules: Sequence[str], only: NDArray[np.signedinteger]) -> None:
    """Count what each rule drops alone, and all that the quality cut-off does.

    only: (documents,), the one rule that each fails; -1 for none, -2 for several
    """
    cut = outcome.drops.get("quality", np.zeros(len(only), bool))
    found = np.bincount(only[outcome.is_training & ~cut & (only >= 0)], minlength=len(rules))
    outcome.n_alone = dict(zip(rules, map(int, found), strict=False))
    if QUALITY_RULE in outcome.limits:
        outcome.n_failed[QUALITY_RULE] = int((outcome.is_training & cut).sum())
        outcome.n_alone[QUALITY_RULE] = int((outcome.is_training & cut & (only == -1)).sum())


def _is_training(split: Path) -> NDArray[np.bool_]:
    role = _read(split, ["role"])["role"]
    return np.asarray(pc.equal(role, "train").combine_chunks().to_numpy(zero_copy_only=False), bool)


def _read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Columns of one shard, or all; a leaf of a nested column by its path in the file."""
    with pq.ParquetFile(path) as file:
        return file.read(columns and list(columns))


def _sizes(verdicts: Sequence[Path]) -> NDArray[np.int64]:
    parts = [_read(path, ["n_bytes"])["n_bytes"].to_numpy() for path in verdicts]
    return np.concatenate([np.empty(0, np.int64), *parts])


def _joined(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    return np.concatenate([np.empty(0, bool), *masks])


def write_decisions(ledger: Ledger, path: Path) -> None:
    """Write the decisions with all reasons as one Parquet file, by the stages `verdicts` and `decide` themselves."""
    with TemporaryDirectory() as temp:
        verdicts = []
        for task in ledger.tasks:
            out = Outputs(Path(temp) / "verdicts", task.index)
            task.function(task.inputs, task.settings, out)
            verdicts.append(out.folder / "verdicts" / f"{out.name}.parquet")
        inputs = Inputs({**ledger.inputs.files, "verdicts": tuple(verdicts)})
        out = Outputs(Path(temp) / "decide", 0)
        decisions.decide(inputs, ledger.settings, out)
        parts = sorted((out.folder / "decisions").glob("partition=*/*.parquet"))
        with parquet_shard(path, DECISION) as shard:
            for batch in read_batches(parts, n_rows=65_536):
                shard.write(batch)


def redecide(run: RunFolder, change: Change, output: Path | None = None) -> str:
    """What changes when the run's documents are decided on otherwise, as text; the run stays as it is.

    output: a Parquet file for the new decisions, with every reason
    """
    recipe = changed_recipe(run, change)
    notes = reference_note(run, change.recipe) if change.recipe is not None else ()
    with ledger_for(run, recipe) as ledger:
        old, new = decided_before(run), decide_again(ledger)
        if output is not None:
            write_decisions(ledger, output)
        parts = [
            _steps(old, new, bytes_per_token(run)),
            _rules(old, new),
            *_moved(ledger, old, new),
            *(f"note: {note}\n" for note in (*notes, *ledger.notes)),
            *([f"{output}: {len(new.keep):,} decisions\n"] if output is not None else []),
        ]
    return "\n".join(parts)


def bytes_per_token(run: RunFolder) -> float:
    """Of the run's tokenizer on what the run kept; BYTES_PER_TOKEN if it made no tokens."""
    counts = run.counts("tokens")
    return counts["n_bytes"] / counts["n_tokens"] if counts.get("n_tokens") else BYTES_PER_TOKEN


def _steps(old: Outcome, new: Outcome, per_token: float) -> str:
    """Documents and tokens after each step that either decision takes."""
    rows: list[tuple[object, ...]] = []
    for step in (RAW, *(step for step in STEPS if step in old.drops or step in new.drops)):
        left = [outcome.after(step) for outcome in (old, new)]
        n_before, n_after = (int(mask.sum()) for mask in left)
        before, after = (
            round(int(outcome.sizes[mask].sum()) / per_token) for outcome, mask in zip((old, new), left, strict=True)
        )
        name = step if step == RAW else f"+{step}"
        rows.append(
            (name, n_before, n_after, _difference(n_after - n_before), before, after, _difference(after - before))
        )
    names = ["step", "documents", "now", "change", "tokens", "now", "change"]
    return table(names, rows) + f"tokens: bytes / {per_token:.3g}\n"


def _rules(old: Outcome, new: Outcome) -> str:
    """What each rule drops of the training documents, before and now."""
    rows: list[tuple[object, ...]] = [
        (
            name,
            old.n_failed.get(name, ""),
            new.n_failed.get(name, ""),
            old.n_alone.get(name, ""),
            new.n_alone.get(name, ""),
            new.limits.get(name, "(no rule any more)"),
        )
        for name in dict.fromkeys([*old.limits, *new.limits])
    ]
    return table(["rule", "fails", "now", "alone", "now", "keeps"], rows)


def _difference(n: int) -> str:
    return f"{n:+,}" if n else "0"


def _moved(ledger: Ledger, old: Outcome, new: Outcome) -> Iterator[str]:
    """How many documents change sides, with some of them."""
    for title, mask in (
        ("kept now, dropped before", new.keep & ~old.keep),
        ("dropped now, kept before", old.keep & ~new.keep),
    ):
        lines = [f"{title}: {int(mask.sum()):,} documents"]
        lines += [f"  {name}  {url}\n    {reason}" for name, url, reason in _examples(ledger, new, mask)]
        yield "\n".join(lines) + "\n"


def _examples(ledger: Ledger, new: Outcome, mask: NDArray[np.bool_]) -> list[tuple[str, str, str]]:
    """(id, URL, reason) of the first documents of a mask by id, which is a hash."""
    verdicts = ledger.inputs.all("verdicts")
    starts = np.cumsum([0, *(pq.read_metadata(path).num_rows for path in verdicts)])
    found: list[tuple[str, int, int]] = []  # id, shard, row
    for shard, path in enumerate(verdicts):
        rows = np.flatnonzero(mask[starts[shard] : starts[shard + 1]])
        if len(rows):
            ids = _read(path, ["id"])["id"].take(pa.array(rows)).to_pylist()
            found = sorted([*found, *((name, shard, int(row)) for name, row in zip(ids, rows, strict=True))])[
                :N_EXAMPLES
            ]
    return [
        (name, _url(ledger, shard, row), _reason(ledger, new, shard, row, int(starts[shard])))
        for name, shard, row in found
    ]


def _url(ledger: Ledger, shard: int, row: int) -> str:
    (path,) = ledger.tasks[shard].inputs.all("clean")
    return _read(path, ["url"])["url"][row].as_py() or ""


def _reason(ledger: Ledger, new: Outcome, shard: int, row: int, start: int) -> str:
    """Why a document is dropped now; if it is kept, why it was dropped before."""
    if new.keep[start + row]:
        path = ledger.run.files("decide", "decisions")[shard]
        decision = _read(path).slice(row, 1).to_pylist()[0]
        return "was dropped: " + said(decision["reasons"], decision["kept_for"])
    task = ledger.tasks[shard]
    with TemporaryDirectory() as temp, connect(MEMORY, 1, Path(temp)) as con:
        (reasons,) = reasons_of(con, ledger.judges.rules, task.inputs, [row])
    if "quality" in new.drops and new.drops["quality"][start + row]:
        by = ledger.settings.quality_by
        found = (
            _read(ledger.inputs.all("verdicts")[shard], ["quality", *([by] if by else [])]).slice(row, 1).to_pylist()[0]
        )
        limit = new.cutoffs.get(found[by] if by else None, f"quality {ledger.settings.quality}")
        reasons.append({"rule": QUALITY_RULE, "value": found["quality"], "limit": limit})
    if not new.is_training[start + row]:
        role = _read(ledger.inputs.all("split")[shard], ["role"])["role"][row].as_py()
        reasons.append({"rule": role, "value": None, "limit": "training documents"})
    return "is dropped: " + said(reasons, new.kept_for[shard][row].as_py())


def said(reasons: Sequence[Mapping[str, Any]], kept_for: str | None) -> str:
    """Reasons in words."""
    parts = [f"{reason['rule']} is {_value(reason['value'])}, keeps {reason['limit']}" for reason in reasons]
    if kept_for is not None:
        parts.append(f"duplicate of {kept_for}")
    return "; ".join(parts)


def _value(value: float | None) -> str:
    return "null" if value is None else f"{value:.6g}"

"""The one table of stages: what runs, in which order, on what, with which part of the recipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datassay.cli import decisions
from datassay.cli.recipe import Recipe
from datassay.corpus import clean, given, given_tokenizer, ingest, language, split, tokenizer, tokens, validation, write
from datassay.corpus.engine import TaskFunction
from datassay.corpus.errors import RecipeError
from datassay.corpus.given import CopySettings, copy_file, given_file
from datassay.corpus.ingest import IngestSettings
from datassay.corpus.language import LanguageSettings
from datassay.corpus.records import InputFile
from datassay.corpus.schema import DOCUMENT
from datassay.corpus.stage import All, Each, Link, Partition, StageOutput, StagePlan
from datassay.dedup import plan as dedup
from datassay.filters import decide as filters
from datassay.filters import quality, text_signals, user_signals
from datassay.filters.rules import Rule
from datassay.model import shared_tokenizer
from datassay.model.ablation_plan import Variant, make_variants

INPUT = "input"
"""Source name of what is refined."""


@dataclass(slots=True)
class Plan:
    """What is known while a run goes on: the recipe, the shards of the input, and the stages that are finished."""

    recipe: Recipe
    shards: list[tuple[InputFile, ...]]
    """The files of each task of the first stage; no shard mixes sources."""
    share: float = 1.0
    """Share of the pages of the input that are taken, by hash."""
    limit: int | None = None
    """How many pages of the input are taken at most, by hash."""
    finished: dict[str, StageOutput] = field(default_factory=dict)

    def source(self, shard: int) -> str:
        return self.shards[shard][0].source

    def is_input(self, shard: int) -> bool:
        return self.source(shard) == INPUT

    @property
    def languages(self) -> LanguageSettings:
        """What the recipe says of languages; without a [language] table all are kept, and measured all the same."""
        return self.recipe.language or LanguageSettings(keep=())

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Raw, and raw with each step more; with everything but one step if the ablation asks for it."""
        ablate = self.recipe.ablate
        return make_variants(self.recipe.steps, leave_one_out=ablate is not None and ablate.minus)


@dataclass(frozen=True, slots=True)
class Stage:
    """A row of the table."""

    name: str
    plan: Callable[[Plan], StagePlan]


def stages(recipe: Recipe, limit: int | None = None) -> tuple[Stage, ...]:
    """The table, for a recipe; with a limit of pages, they are counted first."""
    trains_quality = recipe.quality is not None and recipe.quality.model is None
    ablates = recipe.ablate is not None
    rows: tuple[tuple[bool, str, Callable[[Plan], StagePlan]], ...] = (
        (limit is not None, "census", _census),
        (True, "extract", _extract),
        (True, "clean", _clean),
        (True, "text", _text),
        (True, "language", _language),
        *((True, f"user_{signal.name}", partial(_user, signal=signal)) for signal in recipe.signals),
        *((True, name, partial(_dedup, name=name)) for name in dedup.stage_names(recipe.dedup)),
        (True, "split", _split),
        (trains_quality, "reference", _reference),
        (recipe.quality is not None, "quality_model", _quality_model),
        (recipe.quality is not None, "quality", _quality),
        (True, "verdicts", _verdicts),
        (True, "decide", _decide),
        (True, "variants", _variants),
        (True, "write", _write),
        (recipe.tokenize is not None, "tokenizer", _tokenizer),
        (recipe.tokenize is not None, "tokens", _tokens),
        (ablates, "validation", _validation),
        (ablates, "ablation_tokenizer", _ablation_tokenizer),
        (ablates, "ablation_tokens", _ablation_tokens),
        (ablates, "validation_tokens", _validation_tokens),
    )
    return tuple(Stage(name, plan) for is_wanted, name, plan in rows if is_wanted)


def _census(plan: Plan) -> StagePlan:
    shards = [files for shard, files in enumerate(plan.shards) if plan.is_input(shard)]
    settings = [IngestSettings(files=files, fields=plan.recipe.input.fields, seed=plan.recipe.seed) for files in shards]
    return StagePlan("census", ingest.census, ingest.CENSUS_VERSION, (), settings)


def _extract(plan: Plan) -> StagePlan:
    share = plan.share if plan.limit is None else min(plan.share, share_of(plan.finished["census"], plan.limit))
    settings = [
        IngestSettings(
            files=files,
            fields=plan.recipe.input.fields if plan.is_input(shard) else {},
            keep_languages=plan.languages.keep,
            languages=_identify(plan),
            extract=plan.recipe.extract,
            share=share if plan.is_input(shard) else 1.0,
            seed=plan.recipe.seed,
        )
        for shard, files in enumerate(plan.shards)
    ]
    return StagePlan("extract", ingest.ingest, ingest.VERSION, (), settings)


def share_of(census: StageOutput, limit: int) -> float:
    """The share of pages to take by their chance, so that `limit` are taken, or all if there are no more."""
    chances = pa.concat_tables(pq.read_table(path) for path in census.paths("census"))["chance"].to_numpy()
    return float(np.sort(chances)[limit]) if limit < len(chances) else 1.0


def _clean(plan: Plan) -> StagePlan:
    return _per_shard(plan, "clean", clean.clean, clean.VERSION, (Each("extract", "documents"),), clean.CleanSettings())


def _text(plan: Plan) -> StagePlan:
    return _per_shard(
        plan, "text", text_signals.measure_text, text_signals.VERSION, (CLEAN,), text_signals.TextSettings()
    )


def _language(plan: Plan) -> StagePlan:
    return _per_shard(plan, "language", language.measure_language, language.VERSION, (CLEAN,), _identify(plan))


def _identify(plan: Plan) -> language.IdentifySettings:
    model = plan.languages.model
    return language.IdentifySettings(model=None if model is None else given_file(model))


def _user(plan: Plan, signal: user_signals.UserSignal) -> StagePlan:
    settings = _user_settings(signal)
    return _per_shard(plan, f"user_{signal.name}", user_signals.measure_user, user_signals.VERSION, (CLEAN,), settings)


def _user_settings(signal: user_signals.UserSignal) -> user_signals.UserSignalSettings:
    file = Path(signal.file)  # counts by its name and content, wherever it lies
    origin = "function" if signal.join is None else "join"
    local = signal.model_copy(update={origin: getattr(signal, origin).removeprefix(f"{file.parent}/")})
    return user_signals.user_signal_settings(local, file.parent)


def _dedup(plan: Plan, name: str) -> StagePlan:
    return dedup.plan_stage(name, plan.recipe.dedup, plan.finished)


def _split(plan: Plan) -> StagePlan:
    ablate = plan.recipe.ablate
    settings = split.SplitPlan(
        share=plan.recipe.split.share if ablate is not None and not ablate.validation else 0.0,
        seed=plan.recipe.split.seed,
        without_domains=ablate.without_domains if ablate is not None else (),
    )
    return StagePlan("split", split.split, split.VERSION, (ALL_CLEAN, *_pairs(plan)), [settings])


def _reference(plan: Plan) -> StagePlan:
    def is_reference(shard: int) -> bool:
        return plan.source(shard) == split.REFERENCE

    links = (All("clean", "clean", shards=is_reference), All("split", "split", shards=is_reference))
    return StagePlan("reference", split.select_reference, split.REFERENCE_VERSION, links, [None])


def _quality_model(plan: Plan) -> StagePlan:
    settings = _classifier(plan)
    if settings.model is not None:
        copied = CopySettings(file=given_file(settings.model), dataset="quality_model")
        return StagePlan("quality_model", copy_file, given.VERSION, (), [copied])
    links = (All("reference", "reference"), All("clean", "clean", shards=plan.is_input))
    return StagePlan("quality_model", quality.train_quality, quality.TRAIN_VERSION, links, [settings])


def _quality(plan: Plan) -> StagePlan:
    links = (CLEAN, All("quality_model", "quality_model"))
    return _per_shard(plan, "quality", quality.score_quality, quality.SCORE_VERSION, links, _classifier(plan).scoring)


def _verdicts(plan: Plan) -> StagePlan:
    recipe = plan.recipe
    carried = tuple(name for name in decisions.CARRIED if name != "quality" or recipe.quality is not None)
    settings = filters.RulesSettings(rules=rules(recipe), carry=carried)
    signals = tuple(Each(name, dataset) for name, dataset in signal_datasets(recipe))
    return _per_shard(plan, "verdicts", filters.apply_rules, filters.RULES_VERSION, (CLEAN, *signals), settings)


def _decide(plan: Plan) -> StagePlan:
    settings = [_decision(plan, plan.recipe.steps)]
    return StagePlan("decide", decisions.decide, decisions.VERSION, _decided_on(plan), settings)


def _variants(plan: Plan) -> StagePlan:
    settings = [_decision(plan, variant.steps) for variant in plan.variants]
    return StagePlan("variants", decisions.keep, decisions.VERSION, _decided_on(plan), settings)


def _write(plan: Plan) -> StagePlan:
    links: tuple[Link, ...] = (CLEAN, Each("language", "language"), Partition("decide", "decisions"))
    if plan.recipe.quality is not None:
        links = (*links, Each("quality", "quality"))
    settings = write.WritePlan(format=plan.recipe.write.format)
    return _per_shard(plan, "write", write.write_corpus, write.VERSION, links, settings)


def _tokenizer(plan: Plan) -> StagePlan:
    assert plan.recipe.tokenize is not None
    links = (All("write", "corpus"),)
    return _any_tokenizer("tokenizer", plan.recipe.tokenize.tokenizer, links, plan.recipe.seed)


def _tokens(plan: Plan) -> StagePlan:
    links = (Each("write", "corpus"), All("tokenizer", "tokenizer"))
    return _per_shard(plan, "tokens", tokens.tokenize, tokens.TOKENIZE_VERSION, links, tokens.TokenizeSettings())


def _validation(plan: Plan) -> StagePlan:
    assert plan.recipe.ablate is not None
    settings = validation.ValidationPlan(max_bytes=plan.recipe.ablate.max_validation_bytes, seed=plan.recipe.seed)
    links = (ALL_CLEAN, All("split", "split"), All("verdicts", "verdicts"))
    return StagePlan("validation", validation.select_validation, validation.VERSION, links, [settings])


def _ablation_tokenizer(plan: Plan) -> StagePlan:
    """Trained on equal bytes of every variant, or the one that the recipe names."""
    assert plan.recipe.ablate is not None
    spec = plan.recipe.ablate.tokenizer
    if not spec.startswith(TRAIN):
        return _any_tokenizer("ablation_tokenizer", spec, (), plan.recipe.seed)
    links = (All("clean", "clean", "corpus", plan.is_input), All("variants", "kept"))
    settings = shared_tokenizer.SharedTokenizerSettings(vocab_size=int(spec.removeprefix(TRAIN)), seed=plan.recipe.seed)
    function, version = shared_tokenizer.train_shared_tokenizer, shared_tokenizer.SHARED_TOKENIZER_VERSION
    return StagePlan("ablation_tokenizer", function, version, links, [settings])


def _ablation_tokens(plan: Plan) -> StagePlan:
    """Of all documents: variants share them, and each says which it keeps."""
    links = (Each("clean", "clean", "corpus"), All("ablation_tokenizer", "tokenizer"))
    return _per_shard(
        plan, "ablation_tokens", tokens.tokenize, tokens.TOKENIZE_VERSION, links, tokens.TokenizeSettings()
    )


def _validation_tokens(plan: Plan) -> StagePlan:
    n_domains = len(plan.finished["validation"].partitions("validation"))
    links = (Partition("validation", "validation", "corpus"), All("ablation_tokenizer", "tokenizer"))
    settings = [tokens.TokenizeSettings()] * n_domains
    return StagePlan("validation_tokens", tokens.tokenize, tokens.TOKENIZE_VERSION, links, settings)


CLEAN = Each("clean", "clean")
ALL_CLEAN = All("clean", "clean")
TRAIN = "train:"
"""Prefix of a tokenizer's name that asks to train one of so many tokens."""


def _per_shard(
    plan: Plan, name: str, function: TaskFunction, version: int, links: tuple[Link, ...], settings: Any
) -> StagePlan:
    """The same settings for a task per shard of the input."""
    return StagePlan(name, function, version, links, [settings] * len(plan.shards))


def _pairs(plan: Plan) -> tuple[Link, ...]:
    names = dedup.stage_names(plan.recipe.dedup)
    return tuple(All(name, "pairs") for name in dedup.PAIR_STAGES if name in names)


def _decided_on(plan: Plan) -> tuple[Link, ...]:
    return (All("verdicts", "verdicts"), All("split", "split"), *_pairs(plan))


def signal_datasets(recipe: Recipe) -> list[tuple[str, str]]:
    """(stage, dataset) of every column family of signals, in order."""
    families = [("text", "text"), ("language", "language")]
    families += [("quality", "quality")] * (recipe.quality is not None)
    return families + [(f"user_{signal.name}", "user") for signal in recipe.signals]


def rules(recipe: Recipe) -> tuple[Rule, ...]:
    """All rules of the recipe, that of languages first. Raises RecipeError if two have the same name."""
    found = [rule for entry in recipe.rules for rule in entry.rules()]
    if recipe.language is not None and recipe.language.keep:
        found.insert(0, language_rule(recipe.language))
    distinct = tuple(dict.fromkeys(found))
    for name, n in Counter(rule.name for rule in distinct).items():
        if n > 1:
            raise RecipeError(f"two rules are called {name!r}; leave one out with `without`, or rename your own")
    return distinct


def check_recipe_rules(recipe: Recipe, path: Path) -> None:
    """Raise RecipeError for the first rule of the recipe at `path` that is no condition over what it measures."""
    schemas = [DOCUMENT, text_signals.TEXT_SIGNALS, language.LANGUAGE]
    schemas += [quality.QUALITY] * (recipe.quality is not None) + [signal.schema for signal in recipe.signals]
    fields = {field.name: field for schema in schemas for field in schema if field.name != "text"}
    try:
        filters.check_rules(rules(recipe), pa.schema(list(fields.values())))
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error


def check_given_files(recipe: Recipe) -> None:
    """Raise DatassayError for the first file of the recipe, its inputs apart, that is missing or cannot be what it is
    named as: a stage that comes hours later would find it."""
    for signal in recipe.signals:
        _user_settings(signal)
    for models in (recipe.language, recipe.quality):
        if models is not None and models.model is not None:
            given_file(models.model)
    for section in (recipe.tokenize, recipe.ablate):
        if section is not None and not section.tokenizer.startswith(TRAIN):
            given_tokenizer.given_tokenizer(section.tokenizer)


def language_rule(settings: LanguageSettings) -> Rule:
    """The rule that keeps the languages of the recipe."""
    names = ", ".join("'" + name.replace("'", "''") + "'" for name in settings.keep)
    return Rule(LANGUAGE_RULE, f"language IN ({names}) AND language_score >= {settings.min_score}", "recipe")


LANGUAGE_RULE = "language"


def _decision(plan: Plan, steps: tuple[str, ...]) -> decisions.DecideSettings:
    """What a set of steps decides by."""
    recipe = plan.recipe
    of_step = {
        "language": [LANGUAGE_RULE],
        "rules": [rule.name for rule in rules(recipe) if rule.name != LANGUAGE_RULE],
    }
    return decisions.DecideSettings(
        without_rules=tuple(name for step, names in of_step.items() if step not in steps for name in names),
        quality=recipe.quality.keep if recipe.quality is not None and "quality" in steps else None,
        dedup=recipe.dedup if "dedup" in steps else None,
        seed=recipe.seed,
    )


def _classifier(plan: Plan) -> quality.QualitySettings:
    assert plan.recipe.quality is not None
    return plan.recipe.quality.classifier


def _any_tokenizer(name: str, spec: str, links: tuple[Link, ...], seed: int) -> StagePlan:
    """A tokenizer to train on what is linked, or a copy of a given one."""
    if spec.startswith(TRAIN):
        training = tokenizer.TrainTokenizerSettings(vocab_size=int(spec.removeprefix(TRAIN)), seed=seed)
        return StagePlan(name, tokenizer.train_tokenizer, tokenizer.TRAIN_TOKENIZER_VERSION, links, [training])
    given = given_tokenizer.given_tokenizer(spec)
    return StagePlan(name, given_tokenizer.copy_tokenizer, given_tokenizer.VERSION, (), [given])

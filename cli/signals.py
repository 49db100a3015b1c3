"""Which signals a recipe measures, and which rules it makes of them: what is known before anything runs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from pydantic import BaseModel

from datassay.cli.nearest import nearest
from datassay.cli.sections import Recipe
from datassay.corpus.engine import TaskFunction
from datassay.corpus.errors import RecipeError
from datassay.corpus.given import given_file
from datassay.corpus.ingest import EXTRACTION
from datassay.corpus.language import IdentifySettings, LanguageLimit, LanguageSettings
from datassay.corpus.language_limits import LANGUAGE_LIMIT, condition_by_column, language_condition
from datassay.corpus.schema import DOCUMENT
from datassay.dedup import bloom
from datassay.filters import bad_words, datatrove, decontaminate, dolma, edit, percentiles, text_signals, url_lists
from datassay.filters.decide import check_rules
from datassay.filters.pii import PiiSettings
from datassay.filters.presets import preset_rules
from datassay.filters.quality_settings import score_schema
from datassay.filters.rules import Rule

URLS, LANGUAGE, RULES, BAD_WORDS = "urls", "language", "rules", "bad_words"
EDITS, DECONTAMINATE = "edits", "decontaminate"
"""The steps of refining that have rules, by the names that the ablation and its report use."""


@dataclass(frozen=True, slots=True)
class Family:
    """Signals that one stage measures: the columns of one dataset, whose rows are those of `clean`."""

    stage: str
    dataset: str
    schema: pa.Schema
    is_partitioned: bool = False
    """Whether one task writes it all, a partition for each shard."""


@dataclass(frozen=True, slots=True)
class Optional:
    """A family of signals over texts that is measured only where it is asked for."""

    function: TaskFunction
    version: int
    schema: pa.Schema
    settings: BaseModel


OPTIONAL: Mapping[str, Optional] = {
    "datatrove": Optional(
        datatrove.measure_datatrove, datatrove.VERSION, datatrove.DATATROVE_SIGNALS, datatrove.DatatroveSettings()
    ),
    "dolma": Optional(dolma.measure_dolma, dolma.VERSION, dolma.DOLMA_SIGNALS, dolma.DolmaSettings()),
}
"""By name: of the stage, of its dataset, and in the recipe's key `measure`."""


def families(recipe: Recipe) -> list[Family]:
    """Every family of signals that the recipe measures, in order."""
    asked = optional_families(recipe)
    edits = edit_settings(recipe)
    rows: list[tuple[bool, str, str, pa.Schema]] = [
        (True, "extract", "extraction", EXTRACTION),
        (True, "text", "text", text_signals.TEXT_SIGNALS),
        (True, "language", "language", identification(recipe).schema),
        (has_auto_limits(recipe), "language_limit", "language_limit", LANGUAGE_LIMIT),
        *((True, name, name, OPTIONAL[name].schema) for name in asked),
        (recipe.urls is not None, "urls", "urls", url_lists.URL_SIGNALS),
        (recipe.bad_words is not None, "bad_words", "bad_words", bad_words.BAD_WORD_SIGNALS),
        (recipe.decontaminate is not None, "decontaminate", "decontamination", decontaminate.DECONTAMINATION),
        (edits is not None, "edit", "edited", edit.edited_schema(edits or edit.EditSettings())),
        *((True, f"user_{signal.name}", "user", signal.schema) for signal in recipe.signals),
        *((True, f"score_{score.name}", score.dataset, score.schema) for score in recipe.scores),
    ]
    found = [Family(stage, dataset, schema) for is_measured, stage, dataset, schema in rows if is_measured]
    if recipe.dedup.bloom is not None:
        found.append(Family("bloom", "bloom", bloom.BLOOM, is_partitioned=True))
    if recipe.quality is not None:
        combines = bool(recipe.quality.combine)
        schema = percentiles.combined_schema("quality") if combines else score_schema("quality")
        found.append(Family("quality", "combined" if combines else "quality", schema))
    return found


def identification(recipe: Recipe) -> IdentifySettings:
    """What languages are measured with. Without a [language] table all are kept, and measured all the same."""
    settings = recipe.language or LanguageSettings(keep=())
    model = None if settings.model is None else given_file(settings.model)
    return IdentifySettings(model=model, paragraphs=settings.paragraphs)


def has_auto_limits(recipe: Recipe) -> bool:
    """Whether the score from which on a language is kept is found in the scores of the corpus."""
    return recipe.language is not None and recipe.language.needs_thresholds


def limit_settings(recipe: Recipe) -> LanguageSettings:
    """What the limits of languages depend on."""
    settings = recipe.language or LanguageSettings(keep=())
    return LanguageSettings(
        keep=settings.keep,
        min_score=settings.min_score,
        by_language={code: LanguageLimit(min_score=limit.min_score) for code, limit in settings.by_language.items()},
    )


def combined_families(recipe: Recipe) -> list[Family]:
    """The families that hold what [quality] combines."""
    combined = {score.column for score in recipe.quality.combine} if recipe.quality is not None else set()
    return [family for family in families(recipe)[:-1] if combined & set(family.schema.names)]


def optional_families(recipe: Recipe) -> list[str]:
    """The families of OPTIONAL that the recipe asks for, or that one of its rules mentions."""
    mentioned = _mentioned(recipe)
    return [name for name in OPTIONAL if name in recipe.measure or mentioned & set(OPTIONAL[name].schema.names)]


def _mentioned(recipe: Recipe) -> set[str]:
    """Every word in the conditions of the recipe's rules, and of the presets that it compares."""
    compared = [rule for name in compared_presets(recipe) for rule in preset_rules(name)]
    conditions = [f"{rule.keep} {rule.only}" for rule in (*written_rules(recipe), *compared)]
    combined = [score.column for score in recipe.quality.combine] if recipe.quality is not None else []
    return {word for text in (*conditions, *combined) for word in re.findall(r"\w+", text)} - {"id"}


def edit_settings(recipe: Recipe) -> edit.EditSettings | None:
    """What is edited, and what of edits is measured because a rule mentions it; None if nothing."""
    mentioned = _mentioned(recipe)
    settings = edit.EditSettings(
        lines=tuple(edit.LineEdits(preset=entry.preset, without=entry.without) for entry in recipe.edits),
        measured=tuple(name for name in edit.MEASURABLE if edit.share_column(name) in mentioned),
        pii=recipe.pii,
        counted_pii=PiiSettings() if recipe.pii is None and edit.PII_COUNT in mentioned else None,
    )
    is_needed = settings != edit.EditSettings() or recipe.edits_before_deciding
    return settings if is_needed else None


def compared_presets(recipe: Recipe) -> tuple[str, ...]:
    """The presets whose rules the ablation tries in place of the recipe's."""
    return recipe.ablate.presets if recipe.ablate is not None else ()


def written_rules(recipe: Recipe) -> tuple[Rule, ...]:
    """The rules of [[rules]], and of the languages that have rules of their own in their place."""
    own = {code: entry.rules for code, entry in recipe.languages.items() if entry.rules}
    quoted = {code: "'" + code.replace("'", "''") + "'" for code in own}
    others = f"language IS NULL OR language NOT IN ({', '.join(quoted.values())})" if own else ""
    general = [replace(rule, only=others) for entry in recipe.rules for rule in entry.rules()]
    special = [
        replace(rule, name=f"{code}/{rule.name}", only=f"language = {quoted[code]}")
        for code, entries in own.items()
        for entry in entries
        for rule in entry.rules()
    ]
    return tuple(dict.fromkeys([*general, *special]))


def rules_by_step(recipe: Recipe) -> dict[str, tuple[Rule, ...]]:
    """All rules of a recipe by the step that they belong to, in order."""
    found = {
        URLS: (url_lists.NOT_BLOCKED,) if recipe.urls is not None else (),
        LANGUAGE: (_language_rule(recipe.language),) if recipe.language is not None and recipe.language.keep else (),
        RULES: written_rules(recipe),
        BAD_WORDS: (recipe.bad_words.rule,) if recipe.bad_words is not None else (),
        EDITS: (edit.NOT_EMPTY,) if recipe.edits_before_deciding else (),
    }
    if recipe.dedup.bloom is not None and recipe.dedup.bloom.cuts_ngrams:
        limit = recipe.dedup.bloom.max_seen
        came_before = Rule("bloom_seen", f"bloom_seen_fraction <= {limit}", "Li et al. 2024 (DCLM), its dedup/bff")
        found[EDITS] = (*found[EDITS], came_before)
    if recipe.decontaminate is not None:
        step = EDITS if recipe.decontaminate.mode == "cut" else DECONTAMINATE
        found[step] = (*found.get(step, ()), *recipe.decontaminate.rules)
    return {step: rules for step, rules in found.items() if rules}


def _language_rule(settings: LanguageSettings) -> Rule:
    """The rule that keeps the languages of the recipe."""
    condition = condition_by_column(settings) if settings.needs_thresholds else language_condition(settings, {})
    return Rule(LANGUAGE, condition, "recipe")


def rules(recipe: Recipe) -> tuple[Rule, ...]:
    """All rules of the recipe, in order. Raises RecipeError if two have the same name."""
    found = [rule for of_step in rules_by_step(recipe).values() for rule in of_step]
    for name, n in Counter(rule.name for rule in found).items():
        if n > 1:
            raise RecipeError(f"two rules are called {name!r}; leave one out with `without`, or rename your own")
    return tuple(found)


def check_recipe_rules(recipe: Recipe, path: Path) -> None:
    """Raise RecipeError for the first rule of the recipe at `path` that is no condition over what it measures."""
    schemas = [DOCUMENT, *(family.schema for family in families(recipe))]
    names = Counter(field.name for schema in schemas for field in schema if field.name != "id")
    for name, n in names.items():
        if n > 1:
            raise RecipeError(
                f"{path}: two signals are called {name!r}; give a score or signal of your own another name"
            )
    fields = {field.name: field for schema in schemas for field in schema if field.name != "text"}
    signals = pa.schema(list(fields.values()))
    try:
        check_rules(rules(recipe), signals)
        for name in compared_presets(recipe):
            check_rules(preset_rules(name), signals)
        if recipe.quality is not None:
            _check_combined([score.column for score in recipe.quality.combine], signals)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error


def _check_combined(columns: list[str], signals: pa.Schema) -> None:
    """Raise RecipeError for the first of the signals to combine that is none, or no number."""
    known = [
        field.name
        for field in signals
        if pa.types.is_primitive(field.type) and field.name not in ("offset", "quality", "quality_bucket")
    ]
    for name in columns:
        if name not in known:
            hint = nearest(name, known) or "; right would be the name of one of [[scores]], or of another number"
            raise RecipeError(f"quality.combine: there is no signal {name!r} that is a number{hint}")

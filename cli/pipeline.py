"""The one table of stages: what runs, in which order, on what, with which part of the recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datassay.cli import decisions
from datassay.cli.sections import ClassifierScore, GptScore, NgramScore, Recipe, ScoreEntry
from datassay.cli.signals import (
    EDITS,
    OPTIONAL,
    Family,
    combined_families,
    compared_presets,
    edit_settings,
    families,
    has_auto_limits,
    identification,
    limit_settings,
    optional_families,
    rules,
    rules_by_step,
)
from datassay.corpus import (
    clean,
    given,
    given_tokenizer,
    ingest,
    language,
    language_limits,
    split,
    tokenizer,
    tokens,
    validation,
    write,
)
from datassay.corpus.engine import TaskFunction
from datassay.corpus.errors import MissingExtraError
from datassay.corpus.given import CopySettings, copy_file, given_file
from datassay.corpus.html.classifier import load_given
from datassay.corpus.ingest import IngestSettings
from datassay.corpus.language import LanguageSettings
from datassay.corpus.page_extractor import ExtractSettings
from datassay.corpus.records import InputFile
from datassay.corpus.stage import All, Each, Link, Partition, StageOutput, StagePlan
from datassay.dedup import bloom, repeats_plan
from datassay.dedup import plan as dedup
from datassay.filters import (
    bad_words,
    decontaminate,
    decontaminate_settings,
    edit,
    percentiles,
    perplexity,
    quality,
    question_search,
    text_signals,
    url_lists,
    user_signals,
)
from datassay.filters import decide as filters
from datassay.filters.presets import preset_rules
from datassay.filters.quality_settings import QualitySettings
from datassay.filters.question_files import read_questions
from datassay.filters.rules import Rule
from datassay.model import shared_tokenizer
from datassay.model.ablation_plan import Variant, make_variants

INPUT = "input"
"""Source name of what is refined, where the recipe gives it no name."""


def score_source(name: str, *, is_bad: bool = False) -> str:
    """Source name of the good, or bad, text that one of [[scores]] is trained on."""
    return f"{split.REFERENCE}/{name}" + ("-bad" if is_bad else "")


def preset_stage(name: str) -> str:
    """The stage that judges by the rules of a preset that is compared."""
    return f"preset_{name.replace('-', '_')}"


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
        return split.is_input(self.source(shard))

    @property
    def languages(self) -> LanguageSettings:
        """What the recipe says of languages; without a [language] table all are kept, and measured all the same."""
        return self.recipe.language or LanguageSettings(keep=())

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Raw, and raw with each step more; with everything but one step if the ablation asks for it."""
        ablate = self.recipe.ablate
        return make_variants(
            self.recipe.steps,
            leave_one_out=ablate is not None and ablate.minus,
            presets=compared_presets(self.recipe),
        )


@dataclass(frozen=True, slots=True)
class Stage:
    """A row of the table."""

    name: str
    plan: Callable[[Plan], StagePlan]


def stages(recipe: Recipe, limit: int | None = None) -> tuple[Stage, ...]:
    """The table, for a recipe; with a limit of pages, they are counted first."""
    combines = recipe.quality is not None and bool(recipe.quality.combine)
    has_classifier = recipe.quality is not None and not combines
    has_bad = recipe.quality is not None and bool(recipe.quality.bad)
    trains_quality = recipe.quality is not None and bool(recipe.quality.reference)
    ablates = recipe.ablate is not None
    rows: tuple[tuple[bool, str, Callable[[Plan], StagePlan]], ...] = (
        (limit is not None, "census", _census),
        (True, "extract", _extract),
        (True, "clean", _clean),
        (True, "text", _text),
        (True, "language", _language),
        (has_auto_limits(recipe), "thresholds", _thresholds),
        (has_auto_limits(recipe), "language_limit", _language_limit),
        *((True, f"user_{signal.name}", partial(_user, signal=signal)) for signal in recipe.signals),
        *((True, name, partial(_optional, name=name)) for name in optional_families(recipe)),
        (recipe.urls is not None, "urls", _urls),
        (recipe.bad_words is not None, "bad_words", _bad_words),
        *((recipe.decontaminate is not None, name, plan) for name, plan in _DECONTAMINATION.items()),
        (recipe.dedup.bloom is not None and recipe.dedup.bloom.n_units is None, "bloom_count", _bloom_count),
        (recipe.dedup.bloom is not None, "bloom", _bloom),
        (edit_settings(recipe) is not None, "edit", _edit),
        *((True, name, partial(_dedup, name=name)) for name in dedup.stage_names(recipe.dedup)),
        (True, "split", _split),
        *(row for score in recipe.scores for row in _score_rows(score)),
        (trains_quality, "reference", partial(_reference, source=split.REFERENCE)),
        (
            trains_quality and has_bad,
            "bad",
            partial(_reference, source=score_source("quality", is_bad=True), stage="bad"),
        ),
        (has_classifier, "quality_model", _quality_model),
        (combines, "percentiles", _percentiles),
        (recipe.quality is not None, "quality", _combined if combines else _quality),
        (True, "verdicts", _verdicts),
        *((True, preset_stage(name), partial(_preset, name=name)) for name in compared_presets(recipe)),
        (True, "decide", _decide),
        (True, "variants", _variants),
        *((True, name, partial(_repeats, name=name)) for name in repeats_plan.stage_names(recipe.dedup)),
        (True, "write", _write),
        (recipe.tokenize is not None, "tokenizer", _tokenizer),
        (recipe.tokenize is not None, "tokens", _tokens),
        (ablates, "validation", _validation),
        (ablates, "ablation_tokenizer", _ablation_tokenizer),
        (ablates, "ablation_tokens", _ablation_tokens),
        (ablates and EDITS in recipe.steps, "edited_tokens", _edited_tokens),
        (ablates, "validation_tokens", _validation_tokens),
    )
    return tuple(Stage(name, plan) for is_wanted, name, plan in rows if is_wanted)


def _census(plan: Plan) -> StagePlan:
    shards = [files for shard, files in enumerate(plan.shards) if plan.is_input(shard)]
    settings = [IngestSettings(files=files, fields=plan.recipe.input.fields, seed=plan.recipe.seed) for files in shards]
    return StagePlan("census", ingest.census, ingest.CENSUS_VERSION, (), settings)


def _extract(plan: Plan) -> StagePlan:
    recipe = plan.recipe
    extraction = ExtractSettings(**recipe.extract.model_dump(exclude={"model"}))
    classifier = None if recipe.extract.model is None else given_file(recipe.extract.model)
    share = plan.share if plan.limit is None else min(plan.share, share_of(plan.finished["census"], plan.limit))
    settings = [
        IngestSettings(
            files=files,
            fields=recipe.input.fields if plan.is_input(shard) else {},
            keep_languages=plan.languages.keep,
            languages=identification(recipe).model_copy(update={"paragraphs": False}),  # the gate looks at pages
            extract=extraction,
            classifier=classifier,
            share=share if plan.is_input(shard) else 1.0,
            seed=recipe.seed,
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
    return _per_shard(
        plan, "language", language.measure_language, language.VERSION, (CLEAN,), identification(plan.recipe)
    )


def _user(plan: Plan, signal: user_signals.UserSignal) -> StagePlan:
    settings = _user_settings(signal)
    return _per_shard(plan, f"user_{signal.name}", user_signals.measure_user, user_signals.VERSION, (CLEAN,), settings)


def _user_settings(signal: user_signals.UserSignal) -> user_signals.UserSignalSettings:
    file = Path(signal.file)  # counts by its name and content, wherever it lies
    origin = "function" if signal.join is None else "join"
    local = signal.model_copy(update={origin: getattr(signal, origin).removeprefix(f"{file.parent}/")})
    return user_signals.user_signal_settings(local, file.parent)


def _optional(plan: Plan, name: str) -> StagePlan:
    family = OPTIONAL[name]
    return _per_shard(plan, name, family.function, family.version, (CLEAN,), family.settings)


def _thresholds(plan: Plan) -> StagePlan:
    links = (All("language", "language", shards=plan.is_input),)
    return StagePlan("thresholds", language_limits.find_thresholds, language_limits.THRESHOLDS_VERSION, links, [None])


def _language_limit(plan: Plan) -> StagePlan:
    links = (Each("language", "language"), All("thresholds", "thresholds"))
    function, version = language_limits.write_limits, language_limits.LIMIT_VERSION
    return _per_shard(plan, "language_limit", function, version, links, limit_settings(plan.recipe))


def _urls(plan: Plan) -> StagePlan:
    assert plan.recipe.urls is not None
    settings = url_lists.url_list_settings(plan.recipe.urls)
    return _per_shard(plan, "urls", url_lists.measure_urls, url_lists.VERSION, (CLEAN,), settings)


def _bad_words(plan: Plan) -> StagePlan:
    assert plan.recipe.bad_words is not None
    settings = bad_words.bad_word_settings(plan.recipe.bad_words.lists_of_words, seed=plan.recipe.seed)
    links = (CLEAN, Each("language", "language"))
    return _per_shard(plan, "bad_words", bad_words.measure_bad_words, bad_words.VERSION, links, settings)


def _edit(plan: Plan) -> StagePlan:
    links: tuple[Link, ...] = (CLEAN,)
    if plan.recipe.decontaminate is not None:
        links = (*links, Each("decontaminate", "edits", "given"))
    if plan.recipe.dedup.bloom is not None:
        links = (*links, Partition("bloom", "edits", "repeated"))
    return _per_shard(plan, "edit", edit.find_edits, edit.VERSION, links, edit_settings(plan.recipe))


def _index_questions(plan: Plan) -> StagePlan:
    settings = decontaminate_settings.index_settings(_questions(plan))
    return StagePlan("index_questions", question_search.index_questions, question_search.INDEX_VERSION, (), [settings])


def _count_matches(plan: Plan) -> StagePlan:
    settings = decontaminate_settings.match_settings(_questions(plan))
    links = (CLEAN, QUESTIONS[0])
    function, version = question_search.count_matches, question_search.MATCH_VERSION
    return _per_shard(plan, "count_matches", function, version, links, settings)


def _frequent_ngrams(plan: Plan) -> StagePlan:
    """Counted over the input alone: validation files are no part of the corpus."""
    settings = decontaminate_settings.frequent_settings(_questions(plan))
    links = (All("count_matches", "ngram_documents", shards=plan.is_input),)
    function, version = question_search.frequent_ngrams, question_search.FREQUENT_VERSION
    return StagePlan("frequent_ngrams", function, version, links, [settings])


def _decontaminate(plan: Plan) -> StagePlan:
    settings = decontaminate_settings.cut_settings(_questions(plan))
    links = (CLEAN, Each("count_matches", "matches"), *QUESTIONS, FREQUENT)
    return _per_shard(plan, "decontaminate", decontaminate.decontaminate, decontaminate.VERSION, links, settings)


def _report_questions(plan: Plan) -> StagePlan:
    links = (*QUESTIONS, FREQUENT, All("decontaminate", "contamination", shards=plan.is_input))
    function, version = decontaminate.report_questions, decontaminate.REPORT_VERSION
    return StagePlan("report_questions", function, version, links, [decontaminate_settings.ReportSettings()])


_DECONTAMINATION = {
    "index_questions": _index_questions,
    "count_matches": _count_matches,
    "frequent_ngrams": _frequent_ngrams,
    "decontaminate": _decontaminate,
    "report_questions": _report_questions,
}
QUESTIONS = (All("index_questions", "question_ngrams"), All("index_questions", "questions"))
FREQUENT = All("frequent_ngrams", "frequent_ngrams")


def _questions(plan: Plan) -> decontaminate_settings.DecontaminateSettings:
    assert plan.recipe.decontaminate is not None
    return plan.recipe.decontaminate


def _bloom_count(plan: Plan) -> StagePlan:
    assert plan.recipe.dedup.bloom is not None
    settings = bloom.CountSettings(unit=plan.recipe.dedup.bloom.unit, n=plan.recipe.dedup.bloom.n)
    return _per_shard(plan, "bloom_count", bloom.count_units, bloom.COUNT_VERSION, (CLEAN,), settings)


def _bloom(plan: Plan) -> StagePlan:
    """One task over all shards, of which the input comes first."""
    assert plan.recipe.dedup.bloom is not None
    links: tuple[Link, ...] = (ALL_CLEAN,)
    if plan.recipe.dedup.bloom.n_units is None:
        links = (*links, All("bloom_count", "registers", shards=plan.is_input))
    n_shards = sum(plan.is_input(shard) for shard in range(len(plan.shards)))
    settings = bloom.PassSettings(bloom=plan.recipe.dedup.bloom, n_shards=n_shards)
    return StagePlan("bloom", bloom.sift, bloom.VERSION, links, [settings])


def _dedup(plan: Plan, name: str) -> StagePlan:
    return dedup.plan_stage(name, plan.recipe.dedup, plan.finished)


def _repeats(plan: Plan, name: str) -> StagePlan:
    edits_of = FOUND_EDITS.stage if FOUND_EDITS.stage in plan.finished else None
    return repeats_plan.plan_stage(name, plan.recipe.dedup, plan.finished, edits_of=edits_of)


def _all_edits(recipe: Recipe) -> Each:
    """Where the edits are that are made."""
    return Each(repeats_plan.CUT_STAGE, "edits") if recipe.dedup.cuts_repeats else FOUND_EDITS


def _split(plan: Plan) -> StagePlan:
    ablate = plan.recipe.ablate
    settings = split.SplitPlan(
        share=plan.recipe.split.share if ablate is not None and not ablate.validation else 0.0,
        seed=plan.recipe.split.seed,
        without_domains=ablate.without_domains if ablate is not None else (),
    )
    return StagePlan("split", split.split, split.VERSION, (ALL_CLEAN, *_pairs(plan)), [settings])


def _reference(plan: Plan, *, source: str, stage: str = "reference") -> StagePlan:
    """The good text of one source."""

    def is_reference(shard: int) -> bool:
        return plan.source(shard) == source

    links = (All("clean", "clean", shards=is_reference), All("split", "split", shards=is_reference))
    return StagePlan(stage, split.select_reference, split.REFERENCE_VERSION, links, [None])


def _quality_model(plan: Plan) -> StagePlan:
    has_bad = plan.recipe.quality is not None and bool(plan.recipe.quality.bad)
    return _classifier_model(plan, "quality_model", _classifier(plan), good="reference", bad="bad" if has_bad else None)


def _classifier_model(
    plan: Plan, stage: str, settings: QualitySettings, *, good: str, bad: str | None = None
) -> StagePlan:
    """A model of the texts that stage `good` chose against those of `bad`, or the input."""
    if settings.model is not None:
        copied = CopySettings(file=given_file(settings.model), dataset="quality_model")
        return StagePlan(stage, copy_file, given.VERSION, (), [copied])
    others = All("clean", "clean", shards=plan.is_input) if bad is None else All(bad, "reference", "bad")
    links = (All(good, "reference"), others)
    return StagePlan(stage, quality.train_quality, quality.TRAIN_VERSION, links, [settings])


def _quality(plan: Plan) -> StagePlan:
    return _classifier_scores(plan, "quality", "quality_model", _classifier(plan))


def _classifier_scores(plan: Plan, stage: str, model: str, settings: QualitySettings) -> StagePlan:
    links = (CLEAN, All(model, "quality_model"))
    return _per_shard(plan, stage, quality.score_quality, quality.SCORE_VERSION, links, settings.scoring)


def _score_rows(score: ScoreEntry) -> Iterator[tuple[bool, str, Callable[[Plan], StagePlan]]]:
    """The stages of one of [[scores]]: its reference, its model, the score itself."""
    stage = f"score_{score.name}"
    source = score_source(score.name)
    yield bool(score.reference), f"{stage}_reference", partial(_reference, source=source, stage=f"{stage}_reference")
    if isinstance(score, ClassifierScore) and score.bad:
        source = score_source(score.name, is_bad=True)
        yield True, f"{stage}_bad", partial(_reference, source=source, stage=f"{stage}_bad")
    yield not isinstance(score, GptScore), f"{stage}_model", partial(_score_model, score=score)
    yield True, stage, partial(_score, score=score)


def _score_model(plan: Plan, score: ScoreEntry) -> StagePlan:
    stage, reference = f"score_{score.name}_model", f"score_{score.name}_reference"
    if isinstance(score, ClassifierScore):
        bad = f"score_{score.name}_bad" if score.bad else None
        return _classifier_model(plan, stage, score.settings, good=reference, bad=bad)
    assert isinstance(score, NgramScore)
    if score.model is not None:
        settings = perplexity.NgramFile(file=given_file(score.model))
        return StagePlan(stage, perplexity.read_ngram_model, perplexity.READ_VERSION, (), [settings])
    links = (All(reference, "reference"),)
    return StagePlan(stage, perplexity.train_ngram_model, perplexity.TRAIN_VERSION, links, [score.training])


def _score(plan: Plan, score: ScoreEntry) -> StagePlan:
    stage, model = f"score_{score.name}", f"score_{score.name}_model"
    if isinstance(score, ClassifierScore):
        return _classifier_scores(plan, stage, model, score.settings)
    if isinstance(score, NgramScore):
        links = (CLEAN, All(model, "ngram_model"))
        return _per_shard(plan, stage, perplexity.measure_ngram_perplexity, perplexity.VERSION, links, score.scoring)
    function, version, settings = gpt_stage(score)
    return _per_shard(plan, stage, function, version, (CLEAN,), settings)


def gpt_stage(score: GptScore) -> tuple[TaskFunction, int, Any]:
    """Function, version and settings of a stage that scores by a GPT. Raises MissingExtraError without torch."""
    try:
        from datassay.model import perplexity as gpt
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"score {score.name!r} asks a GPT: pip install 'datassay[train]' (no {error.name})"
        ) from error
    settings = gpt.gpt_perplexity_settings(Path(score.model), name=score.name, head_bytes=score.head_bytes)
    return gpt.measure_gpt_perplexity, gpt.VERSION, settings


def _percentiles(plan: Plan) -> StagePlan:
    assert plan.recipe.quality is not None
    links = tuple(
        All(family.stage, family.dataset, f"{family.stage} {family.dataset}", plan.is_input)
        for family in combined_families(plan.recipe)
    )
    settings = plan.recipe.quality.combination
    return StagePlan("percentiles", percentiles.find_percentiles, percentiles.FIND_VERSION, links, [settings])


def _combined(plan: Plan) -> StagePlan:
    assert plan.recipe.quality is not None
    columns = [_columns_of(family) for family in combined_families(plan.recipe)]
    links = (All("percentiles", "percentiles"), *columns)
    settings = plan.recipe.quality.combination
    return _per_shard(plan, "quality", percentiles.combine_scores, percentiles.COMBINE_VERSION, links, settings)


def _columns_of(family: Family) -> Link:
    """The signals of a shard."""
    link = Partition if family.is_partitioned else Each
    return link(family.stage, family.dataset, f"{family.stage} {family.dataset}")


def _verdicts(plan: Plan) -> StagePlan:
    return _judged(plan, "verdicts", rules(plan.recipe))


def _preset(plan: Plan, name: str) -> StagePlan:
    return _judged(plan, preset_stage(name), preset_rules(name))


def _judged(plan: Plan, stage: str, rules: tuple[Rule, ...]) -> StagePlan:
    """Every document judged by some rules."""
    recipe = plan.recipe
    by = recipe.quality.by if recipe.quality is not None else None
    carried = [name for name in decisions.CARRIED if name != "quality" or recipe.quality is not None]
    if "source" in recipe.dedup.keep_by:
        carried.append("source")
    if by is not None and by not in carried:
        carried.append(by)
    settings = filters.RulesSettings(rules=rules, carry=tuple(carried))
    signals = tuple(_columns_of(family) for family in families(recipe))
    return _per_shard(plan, stage, filters.apply_rules, filters.RULES_VERSION, (CLEAN, *signals), settings)


def _decide(plan: Plan) -> StagePlan:
    settings = [_decision(plan, plan.recipe.steps)]
    return StagePlan("decide", decisions.decide, decisions.VERSION, _decided_on(plan), settings)


def _variants(plan: Plan) -> StagePlan:
    settings = [_decision(plan, variant.steps, variant.preset) for variant in plan.variants]
    others = tuple(All(preset_stage(name), "verdicts", preset_stage(name)) for name in compared_presets(plan.recipe))
    return StagePlan("variants", decisions.keep, decisions.VERSION, (*_decided_on(plan), *others), settings)


def _write(plan: Plan) -> StagePlan:
    links: tuple[Link, ...] = (CLEAN, Each("language", "language"), Partition("decide", "decisions"))
    if plan.recipe.quality is not None:
        links = (*links, Each("quality", families(plan.recipe)[-1].dataset, "quality"))
    if EDITS in plan.recipe.steps:
        links = (*links, _all_edits(plan.recipe))
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


def _edited_tokens(plan: Plan) -> StagePlan:
    """The same after the recipe's edits, for the variants that make them."""
    links = (Each("clean", "clean", "corpus"), _all_edits(plan.recipe), All("ablation_tokenizer", "tokenizer"))
    return _per_shard(plan, "edited_tokens", tokens.tokenize, tokens.TOKENIZE_VERSION, links, tokens.TokenizeSettings())


def _validation_tokens(plan: Plan) -> StagePlan:
    n_domains = len(plan.finished["validation"].partitions("validation"))
    links = (Partition("validation", "validation", "corpus"), All("ablation_tokenizer", "tokenizer"))
    settings = [tokens.TokenizeSettings()] * n_domains
    return StagePlan("validation_tokens", tokens.tokenize, tokens.TOKENIZE_VERSION, links, settings)


CLEAN = Each("clean", "clean")
FOUND_EDITS = Each("edit", "edits")
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


def check_given_files(recipe: Recipe) -> None:
    """Raise DatassayError for the first file of the recipe, its inputs apart, that is missing or cannot be what it is
    named as: a stage that comes hours later would find it."""
    for signal in recipe.signals:
        _user_settings(signal)
    if recipe.extract.model is not None:
        load_given(Path(recipe.extract.model))
    given = [recipe.language, recipe.quality, *recipe.scores]
    for models in given:
        if models is not None and models.model is not None and not isinstance(models, GptScore):
            given_file(models.model)
    for score in recipe.scores:
        if isinstance(score, GptScore):
            gpt_stage(score)
    if recipe.urls is not None:
        url_lists.url_list_settings(recipe.urls)
    if recipe.bad_words is not None:
        bad_words.bad_word_settings(recipe.bad_words.lists_of_words, seed=recipe.seed)
    if recipe.decontaminate is not None:
        for file in decontaminate_settings.index_settings(recipe.decontaminate).files:
            next(read_questions(file), None)
    for section in (recipe.tokenize, recipe.ablate):
        if section is not None and not section.tokenizer.startswith(TRAIN):
            given_tokenizer.given_tokenizer(section.tokenizer)


def _decision(plan: Plan, steps: tuple[str, ...], preset: str | None = None) -> decisions.DecideSettings:
    """What a set of steps decides by, with the rules of a preset in place of the recipe's if one is given."""
    recipe = plan.recipe
    of_step = rules_by_step(recipe)
    return decisions.DecideSettings(
        without_rules=tuple(rule.name for step, found in of_step.items() if step not in steps for rule in found),
        preset=None if preset is None else preset_stage(preset),
        quality=recipe.quality.keep if recipe.quality is not None and "quality" in steps else None,
        quality_by=recipe.quality.by if recipe.quality is not None else None,
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

"""The tables and keys of a recipe, each with its default and its meaning: the one place where they stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Annotated, Literal, TypeVar

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, Field, field_validator, model_validator

from datassay.cli.nearest import nearest
from datassay.corpus.errors import RecipeError
from datassay.corpus.language import LanguageLimit, LanguageSettings
from datassay.corpus.page_extractor import ExtractSettings
from datassay.dedup.bloom import Bloom
from datassay.dedup.plan import stage_names
from datassay.dedup.repeats_settings import RepeatsSettings
from datassay.dedup.settings import DedupSettings, MinHash, named_minhash
from datassay.dedup.url_keys import UrlKeys
from datassay.filters.bad_words import NO_BAD_WORDS, BadWords
from datassay.filters.cutoff import parse_group_cutoffs
from datassay.filters.decontaminate_settings import DecontaminateSettings
from datassay.filters.line_rules import LINE_PRESETS
from datassay.filters.percentiles import PercentileSettings
from datassay.filters.percentiles import Score as CombinedScore
from datassay.filters.perplexity import NgramScoring, NgramTraining, perplexity_schema
from datassay.filters.pii import PiiSettings
from datassay.filters.presets import preset_rules
from datassay.filters.quality_settings import COLUMN, QualitySettings, score_schema
from datassay.filters.rules import Rule
from datassay.filters.url_lists import UrlLists
from datassay.filters.user_signals import UserSignal
from datassay.model.ablation_plan import parse_duration
from datassay.model.statistics import MEAN

Paths = tuple[str, ...]


Parsed = TypeVar("Parsed")


def _or_value_error(parse: Callable[[str], Parsed], text: str) -> Parsed:
    """What `parse` makes of a value; its RecipeError as the ValueError that becomes one with file and line."""
    try:
        return parse(text)
    except RecipeError as error:
        raise ValueError(str(error)) from error


class Section(BaseModel, frozen=True, extra="forbid"):
    """A table of the recipe; a key that it does not know is an error, never ignored."""


SOURCE_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
RESERVED_SOURCES = ("input", "reference", "validation")


def _listed(value: object) -> object:
    """A table of paths in which a single path is a list of one."""
    if isinstance(value, dict):
        return {name: [paths] if isinstance(paths, str) else paths for name, paths in value.items()}
    return value


class InputSection(Section):
    """What is refined."""

    paths: Paths = ()
    """Files, folders, globs or fsspec URLs: WARC, WET, ARC, JSON lines, Parquet, text, HTML, `datasets` on disk."""
    paths_from: str | None = None
    """A file (plain or gzip) that lists paths, one a line."""
    sources: dict[str, Paths] = {}
    """Files of sources with a name of their own, such as `{ books = ["books/*.parquet"], web = "crawl" }`: the name is
    the documents' `source`, and stands before the names of the files. Documents of `paths` have the source `input`."""
    fields: dict[str, str] = {}
    """Where a row keeps what a document has, such as `{ text = "content" }`."""

    @field_validator("sources", mode="before", json_schema_input_type=dict[str, str | list[str]])
    @classmethod
    def _paths_are_lists(cls, value: object) -> object:
        return _listed(value)

    @field_validator("sources")
    @classmethod
    def _have_names(cls, sources: dict[str, Paths]) -> dict[str, Paths]:
        for name, paths in sources.items():
            if not re.fullmatch(SOURCE_NAME, name) or name in RESERVED_SOURCES:
                raise ValueError(
                    f"a source cannot be called {name!r}: letters, digits and . _ - are allowed, and no name of "
                    f"{', '.join(RESERVED_SOURCES)}"
                )
            if not paths:
                raise ValueError(f"source {name!r} has no paths")
        return sources

    @model_validator(mode="after")
    def _has_something(self) -> InputSection:
        if not self.paths and self.paths_from is None and not self.sources:
            raise ValueError("no input: give `paths`, `paths_from` or `sources`")
        return self

    @property
    def source_names(self) -> tuple[str, ...]:
        """The sources of the documents, in the order of their shards."""
        unnamed = bool(self.paths) or self.paths_from is not None
        return (*(["input"] if unnamed else []), *sorted(self.sources))


class RulesEntry(Section):
    """Rules of a published preset, or one rule of your own."""

    preset: str | None = None
    """Name of a preset, see `datassay recipes list`."""
    without: tuple[str, ...] = ()
    """Rules of the preset that are left out."""
    changed: dict[str, str] = {}
    """Other conditions for rules of the preset, by name: `changed = { word_count = "word_count >= 100" }`."""
    name: str | None = None
    """Name of your own rule."""
    keep: str | None = None
    """SQL condition over signals that holds for the documents that stay."""

    @model_validator(mode="after")
    def _is_one_of_two(self) -> RulesEntry:
        if (self.preset is None) == (self.keep is None):
            raise ValueError("give either `preset`, or `name` and `keep`")
        if self.keep is not None and self.name is None:
            raise ValueError("a rule of your own needs a `name`")
        if (self.without or self.changed) and self.preset is None:
            raise ValueError("`without` and `changed` go with `preset`")
        self.rules()
        return self

    def rules(self) -> tuple[Rule, ...]:
        """The rules that this entry stands for."""
        if self.keep is not None and self.name is not None:
            return (Rule(self.name, self.keep, "recipe"),)
        rules = _or_value_error(preset_rules, self.preset or "")
        names = [rule.name for rule in rules]
        for name in (*self.without, *self.changed):
            if name not in names:
                raise ValueError(f"preset {self.preset!r} has no rule {name!r}{nearest(name, names)}")
        return tuple(self._changed(rule) for rule in rules if rule.name not in self.without)

    def _changed(self, rule: Rule) -> Rule:
        keep = self.changed.get(rule.name)
        return rule if keep is None else replace(rule, keep=keep, source=f"recipe, for {rule.source}")


class LanguageEntry(LanguageLimit, frozen=True, extra="forbid"):
    """What holds for the documents of one language alone."""

    rules: tuple[RulesEntry, ...] = ()
    """Rules for this language, in place of those of [[rules]]; those hold if none."""


class LanguageSection(LanguageSettings, frozen=True, extra="forbid"):
    """Which languages are kept, with a table [language.CODE] for what differs in one of them."""

    by_language: Mapping[str, LanguageEntry] = Field(default_factory=dict)


class EditsEntry(Section):
    """Lines, or marks in lines, that are cut out of every document."""

    preset: str
    """`c4-paper`, `c4-code`, `refinedweb` or `citations`, see `datassay recipes list`."""
    without: tuple[str, ...] = ()
    """Rules of the preset that are left out."""

    @model_validator(mode="after")
    def _is_known(self) -> EditsEntry:
        if self.preset not in LINE_PRESETS:
            known = ", ".join(LINE_PRESETS)
            raise ValueError(f"no preset of edits {self.preset!r}{nearest(self.preset, list(LINE_PRESETS))}; {known}")
        names = [rule.name for rule in LINE_PRESETS[self.preset].rules]
        for name in self.without:
            if name not in names:
                raise ValueError(f"preset {self.preset!r} cuts nothing by {name!r}{nearest(name, names)}")
        return self


class BadWordsSection(BadWords, frozen=True, extra="forbid"):
    """Bad words: a document with one goes."""

    keep_fraction: float = Field(0.0, ge=0, le=1)
    """Share of the documents with bad words that stays all the same, by hash of their id."""

    @property
    def lists_of_words(self) -> BadWords:
        """What is counted."""
        return BadWords.model_validate(self.model_dump(include=self.model_fields_set & set(BadWords.model_fields)))

    @property
    def rule(self) -> Rule:
        """C4's rule, or datatrove's if a share stays."""
        if not self.keep_fraction:
            return NO_BAD_WORDS
        keep = f"bad_word_count = 0 OR bad_word_draw < {self.keep_fraction}"
        return Rule(NO_BAD_WORDS.name, keep, "datatrove, C4BadWordsFilter")


class ClassifierScore(QualitySettings, frozen=True, extra="forbid"):
    """A classifier of good text, `kind = "fasttext"` or `"logistic"`, beside that of [quality]."""

    reference: Paths = ()
    """Good text; trains a classifier of reference against the input."""
    bad: Paths = ()
    """Bad text to train against, in place of the input."""

    @model_validator(mode="after")
    def _has_one_origin(self) -> ClassifierScore:
        if bool(self.reference) == (self.model is not None):
            raise ValueError(f"score {self.name!r}: give either `reference` (texts to train on) or `model` (a file)")
        if self.bad and not self.reference:
            raise ValueError(f"score {self.name!r}: `bad` goes with `reference`")
        return self

    @property
    def settings(self) -> QualitySettings:
        """What the classifier and its scores depend on."""
        return QualitySettings(**self.model_dump(include=set(QualitySettings.model_fields)))

    @property
    def dataset(self) -> str:
        return "quality"

    @property
    def schema(self) -> pa.Schema:
        return score_schema(self.name)


class NgramScore(NgramTraining, frozen=True, extra="forbid"):
    """Perplexity under an n-gram model of words, `kind = "ngram"`: low where a text reads like the model's."""

    kind: Literal["ngram"]
    name: str = Field("perplexity", pattern=COLUMN)
    """Column of the perplexity; `NAME_log10` and `NAME_unknown` go with it."""
    reference: Paths = ()
    """Text that the model is trained on."""
    model: str | None = None
    """An ARPA file, plain or .gz, in place of that."""

    @model_validator(mode="after")
    def _has_one_origin(self) -> NgramScore:
        if bool(self.reference) == (self.model is not None):
            raise ValueError(f"score {self.name!r}: give either `reference` (texts to train on) or `model` (ARPA)")
        return self

    @property
    def training(self) -> NgramTraining:
        """What the model depends on."""
        return NgramTraining(**self.model_dump(include=set(NgramTraining.model_fields)))

    @property
    def scoring(self) -> NgramScoring:
        """What scores depend on."""
        return NgramScoring(**self.model_dump(include=set(NgramScoring.model_fields)))

    @property
    def dataset(self) -> str:
        return "perplexity"

    @property
    def schema(self) -> pa.Schema:
        return perplexity_schema(self.name)


class GptScore(Section):
    """Bits per byte under a GPT that `datassay train` made, `kind = "gpt"`."""

    kind: Literal["gpt"]
    name: str = Field("gpt_bpb", pattern=COLUMN)
    """Column of the score."""
    model: str
    """Folder of the model."""
    head_bytes: int = Field(2048, ge=1)
    """Only so many bytes from the beginning of a document are read."""

    @property
    def reference(self) -> Paths:
        return ()

    @property
    def dataset(self) -> str:
        return "perplexity"

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field("id", pa.string(), nullable=False), pa.field(self.name, pa.float64())])


ScoreEntry = Annotated[ClassifierScore | NgramScore | GptScore, Field(discriminator="kind")]


class QualitySection(QualitySettings, frozen=True, extra="forbid"):
    """A quality score: by a classifier that the run trains, by one that you give, or of several scores together."""

    name: Literal["quality"] = "quality"
    reference: Paths = ()
    """Good text; trains a classifier of reference against the input."""
    bad: Paths = ()
    """Bad text to train against, in place of the input."""
    combine: tuple[CombinedScore, ...] = ()
    """Signals whose best percentile is the score, as Nemotron-CC combines its classifiers: names, or tables such as
    `{ column = "perplexity", better = "lower" }`."""
    keep: str | dict[str, str] | None = None
    """`>= 0.5`, `top 30%`, `2e9 tokens` or `pareto 9`; a table gives each group of `by` its own, and the others that of
    `"*"`; None measures only."""
    by: Literal["language", "source", "domain"] | None = None
    """Each group is cut by itself, not all documents as one."""

    @field_validator("combine", mode="before")
    @classmethod
    def _by_name(cls, combine: object) -> object:
        if isinstance(combine, list | tuple):
            return [{"column": score} if isinstance(score, str) else score for score in combine]
        return combine

    @field_validator("keep")
    @classmethod
    def _parses(cls, keep: str | dict[str, str] | None) -> str | dict[str, str] | None:
        if keep is not None:
            _or_value_error(lambda group: parse_group_cutoffs(keep, group), "source")
        return keep

    @model_validator(mode="after")
    def _has_groups(self) -> QualitySection:
        if isinstance(self.keep, dict) and self.by is None:
            raise ValueError('keep: a table of cut-offs needs `by`: "language", "source" or "domain"')
        return self

    @model_validator(mode="after")
    def _has_a_model(self) -> QualitySection:
        if sum((bool(self.reference), self.model is not None, bool(self.combine))) != 1:
            raise ValueError(
                "give either `reference` (texts to train on), `model` (a classifier) or `combine` (signals)"
            )
        if self.bad and not self.reference:
            raise ValueError("`bad` goes with `reference`")
        return self

    @property
    def classifier(self) -> QualitySettings:
        """What the classifier and its scores depend on."""
        return QualitySettings(**self.model_dump(include=set(QualitySettings.model_fields)))

    @property
    def combination(self) -> PercentileSettings:
        """How several scores become one."""
        return PercentileSettings(name="quality", scores=self.combine)


class DedupSection(RepeatsSettings, DedupSettings, frozen=True, extra="forbid"):
    """Which documents count as copies of each other, which of them stays, and which repeated text is cut."""

    @field_validator("minhash", mode="before", json_schema_input_type=str | Literal[False] | MinHash | None)
    @classmethod
    def _by_name(cls, value: object) -> object:
        """TOML has no null, so `false` is none; a name stands for the keys of a preset, or for bands and rows."""
        if isinstance(value, str):
            return named_minhash(value)
        return None if value is False else value

    @field_validator("url", mode="before", json_schema_input_type=bool | UrlKeys | None)
    @classmethod
    def _may_be_a_switch(cls, value: object) -> object:
        """`true` is the defaults, `false` is none."""
        return UrlKeys() if value is True else None if value is False else value

    @field_validator("bloom", mode="before", json_schema_input_type=bool | Bloom | None)
    @classmethod
    def _may_be_a_switch_too(cls, value: object) -> object:
        return Bloom() if value is True else None if value is False else value


def _has_a_size(name: str) -> str:
    """The name of a tokenizer, checked where it asks to train one; a path is looked up when it is needed."""
    prefix, colon, size = name.partition(":")
    if prefix == "train" and colon and not (size.isdecimal() and int(size) >= MIN_VOCABULARY):
        raise ValueError(f"{name!r}: write train:N, with N of at least {MIN_VOCABULARY}, for <eos> and the bytes")
    return name


MIN_VOCABULARY = 257
TokenizerName = Annotated[str, AfterValidator(_has_a_size)]


class WriteSection(Section):
    """The refined corpus."""

    format: Literal["parquet", "jsonl.zst"] = "parquet"
    """`jsonl.zst` writes JSON lines to `jsonl/`, beside the Parquet files of `corpus/`."""


class TokenizeSection(Section):
    """The product's tokens."""

    tokenizer: TokenizerName = "train:16384"
    """`train:N` for a byte-level BPE of N tokens trained on the refined corpus, `gpt2`, or a tokenizer.json."""


class SplitSection(Section):
    """Which documents of the input are held out, where no validation files are given."""

    share: float = Field(0.02, gt=0, lt=0.5)
    """Share of the units (domains, or documents where there is none) held out by hash, if the recipe has an [ablate]
    without `validation`; else nothing is."""
    seed: int = 0
    """Another seed holds out other units."""


class AblateSection(Section):
    """What each step is worth: small GPTs trained on what different decisions kept."""

    tokenizer: TokenizerName = "train:4096"
    """The ablation's own tokenizer, trained on equal bytes of all variants; or `gpt2`, or a tokenizer.json."""
    validation: dict[str, Paths] = {}
    """Held-out texts by domain; the domain `*` takes each document's domain from its field `domain`."""
    without_domains: tuple[str, ...] = ()
    """Domains of the validation files that are left out."""
    target: str | None = None
    """The domain that the verdict is about, declared before the run; the mean of all domains if None."""
    minus: bool = False
    """Whether also to train on everything but one step, for each step."""
    presets: tuple[str, ...] = ()
    """Presets of rules to try, each in place of the recipe's [[rules]], with all other steps alike."""
    model: Literal["xs", "s", "m", "l"] = "xs"
    """Shape of the GPT: xs is 2 layers of 64, s 4 of 128, m 6 of 192, l 6 of 256."""
    n_tokens: int = Field(1_000_000, ge=10_000)
    """Training tokens of each run, the same for all variants."""
    n_seeds: int = Field(3, ge=2)
    """Runs of each variant, paired by seed."""
    budget: str | None = None
    """A time such as `10m`, instead of `n_tokens` and `n_seeds`: as many of both as fit into it on this machine."""
    seq_len: int = Field(128, ge=16)
    """Tokens of context."""
    batch_tokens: int = Field(1024, ge=16)
    """Tokens of an optimizer step: a multiple of seq_len."""
    lr: float = Field(1e-3, gt=0)
    """Peak learning rate. Lower than what gives the best loss, because it compares variants with less noise."""
    optimizer: Literal["adamw", "adam", "sgd", "lion", "muon"] = "adamw"
    """What updates the weights."""
    max_validation_bytes: int = Field(150_000, ge=10_000)
    """Text evaluated of each domain, whole documents chosen by hash."""

    @field_validator("validation", mode="before", json_schema_input_type=str | list[str] | dict[str, str | list[str]])
    @classmethod
    def _paths_are_lists(cls, value: object) -> object:
        if isinstance(value, str | list):
            value = {"*": value}
        return _listed(value)

    @field_validator("presets")
    @classmethod
    def _are_presets(cls, presets: tuple[str, ...]) -> tuple[str, ...]:
        for name in presets:
            if not _or_value_error(preset_rules, name):
                raise ValueError(f"preset {name!r} has no rules to compare")
        return presets

    @field_validator("budget")
    @classmethod
    def _is_a_duration(cls, budget: str | None) -> str | None:
        if budget is not None:
            _or_value_error(parse_duration, budget)
        return budget

    @model_validator(mode="after")
    def _batches_are_whole(self) -> AblateSection:
        if self.batch_tokens % self.seq_len:
            raise ValueError(f"batch_tokens {self.batch_tokens} is no multiple of seq_len {self.seq_len}")
        return self

    @model_validator(mode="after")
    def _target_is_a_domain(self) -> AblateSection:
        domains = sorted(self.validation)
        if MEAN in domains:
            raise ValueError(f"a domain of validation cannot be called {MEAN!r}: that is the mean of all domains")
        if self.target and domains and "*" not in domains and self.target not in domains:
            raise ValueError(f"target {self.target!r} is no domain of validation: {', '.join(domains)}")
        for domain in self.without_domains:
            if domain == self.target:
                raise ValueError(f"target {domain!r} is left out by without_domains")
            if "*" not in domains and domain not in domains:
                raise ValueError(
                    f"without_domains {domain!r} is no domain of validation: {', '.join(domains) or 'none'}"
                )
        return self


class ExtractSection(ExtractSettings):
    """How pages become text."""

    model: str | None = None
    """Path of a classifier of your own, by `datassay extractor train`; the one that comes with datassay if none."""


class Recipe(Section):
    """Everything that decides what a run makes."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the run; its folder is `runs/NAME`."""
    seed: int = 0
    """Seed of every choice by hash."""
    input: InputSection
    extract: ExtractSection = ExtractSection()
    language: LanguageSection | None = None
    rules: tuple[RulesEntry, ...] = ()
    edits: tuple[EditsEntry, ...] = ()
    pii: PiiSettings | None = None
    urls: UrlLists | None = None
    bad_words: BadWordsSection | None = None
    decontaminate: DecontaminateSettings | None = None
    measure: tuple[Literal["datatrove", "dolma"], ...] = ()
    """Families of signals that are measured though no rule mentions them, for what is decided later."""
    signals: tuple[UserSignal, ...] = ()
    scores: tuple[ScoreEntry, ...] = ()
    quality: QualitySection | None = None
    dedup: DedupSection = DedupSection()
    split: SplitSection = SplitSection()
    write: WriteSection = WriteSection()
    tokenize: TokenizeSection | None = TokenizeSection()
    ablate: AblateSection | None = None

    @field_validator("tokenize", mode="before", json_schema_input_type=Literal[False] | TokenizeSection | None)
    @classmethod
    def _may_be_off(cls, value: object) -> object:
        """TOML has no null, so `tokenize = false` leaves the tokens out."""
        return None if value is False else value

    @model_validator(mode="after")
    def _priorities_are_sources(self) -> Recipe:
        names = self.input.source_names
        for pattern in self.dedup.source_priority:
            if not any(fnmatchcase(name, pattern) for name in names):
                hint = nearest(pattern, names) or f"; there are {', '.join(names)}"
                raise ValueError(f"dedup.source_priority: [input] has no source {pattern!r}{hint}")
        return self

    @property
    def languages(self) -> Mapping[str, LanguageEntry]:
        """What holds for single languages, by code."""
        return self.language.by_language if self.language is not None else {}

    @property
    def edits_before_deciding(self) -> bool:
        """Whether text is cut or replaced by what it says alone; what it repeats is cut after the decision."""
        cuts_questions = self.decontaminate is not None and self.decontaminate.mode == "cut"
        return bool(self.edits) or self.pii is not None or cuts_questions or self.dedup.bloom is not None

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps of refining that this recipe takes, in order."""
        taken = {
            "urls": self.urls is not None,
            "language": self.language is not None and bool(self.language.keep),
            "rules": bool(self.rules) or any(entry.rules for entry in self.languages.values()),
            "bad_words": self.bad_words is not None,
            "edits": self.edits_before_deciding or self.dedup.cuts_repeats,
            "decontaminate": self.decontaminate is not None and self.decontaminate.mode == "drop",
            "quality": self.quality is not None and self.quality.keep is not None,
            "dedup": bool(stage_names(self.dedup)),
        }
        return tuple(step for step, is_taken in taken.items() if is_taken)

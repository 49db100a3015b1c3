"""What a user writes: a recipe in TOML, checked, with every mistake named by file and line."""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError, field_validator, model_validator

from datassay.corpus.errors import RecipeError
from datassay.corpus.ingest import ExtractSettings
from datassay.corpus.language import LanguageSettings
from datassay.dedup.settings import PRESETS as MINHASH_PRESETS
from datassay.dedup.settings import DedupSettings, MinHash
from datassay.filters.cutoff import parse_cutoff
from datassay.filters.presets import PRESET_SETTINGS, preset_rules
from datassay.filters.quality import QualitySettings
from datassay.filters.rules import Rule
from datassay.filters.user_signals import UserSignal
from datassay.model.ablation_plan import parse_duration
from datassay.model.statistics import MEAN

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

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


class InputSection(Section):
    """What is refined."""

    paths: Paths = ()
    """Files, folders, globs or fsspec URLs: WARC, WET, ARC, JSON lines, Parquet, text, HTML, `datasets` on disk."""
    paths_from: str | None = None
    """A file (plain or gzip) that lists paths, one a line."""
    fields: dict[str, str] = {}
    """Where a row keeps what a document has, such as `{ text = "content" }`."""

    @model_validator(mode="after")
    def _has_something(self) -> InputSection:
        if not self.paths and self.paths_from is None:
            raise ValueError("no input: give `paths` or `paths_from`")
        return self


class RulesEntry(Section):
    """Rules of a published preset, or one rule of your own."""

    preset: str | None = None
    """Name of a preset, see `datassay recipes list`."""
    without: tuple[str, ...] = ()
    """Rules of the preset that are left out."""
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
        if self.without and self.preset is None:
            raise ValueError("`without` goes with `preset`")
        self.rules()
        return self

    def rules(self) -> tuple[Rule, ...]:
        """The rules that this entry stands for."""
        if self.keep is not None and self.name is not None:
            return (Rule(self.name, self.keep, "recipe"),)
        rules = _or_value_error(preset_rules, self.preset or "")
        names = [rule.name for rule in rules]
        for name in self.without:
            if name not in names:
                raise ValueError(f"preset {self.preset!r} has no rule {name!r}{nearest(name, names)}")
        return tuple(rule for rule in rules if rule.name not in self.without)


class QualitySection(QualitySettings, frozen=True, extra="forbid"):
    """A quality score by a classifier that the run trains, or that you give."""

    reference: Paths = ()
    """Good text; trains a classifier of reference against the input."""
    keep: str | None = None
    """`>= 0.5`, `top 30%`, `2e9 tokens` or `pareto 9`; None measures only."""

    @field_validator("keep")
    @classmethod
    def _parses(cls, keep: str | None) -> str | None:
        if keep is not None:
            _or_value_error(parse_cutoff, keep)
        return keep

    @model_validator(mode="after")
    def _has_a_model(self) -> QualitySection:
        if bool(self.reference) == (self.model is not None):
            raise ValueError("give either `reference` (texts to train on) or `model` (a fastText file)")
        return self

    @property
    def classifier(self) -> QualitySettings:
        """What the classifier and its scores depend on."""
        return QualitySettings(**self.model_dump(include=set(QualitySettings.model_fields)))


class DedupSection(DedupSettings, frozen=True, extra="forbid"):
    """Which documents count as copies of each other, and which of them stays."""

    @field_validator("minhash", mode="before", json_schema_input_type=str | Literal[False] | MinHash | None)
    @classmethod
    def _by_name(cls, value: object) -> object:
        """TOML has no null, so `false` is none; a name stands for the keys of a preset."""
        if isinstance(value, str):
            if value not in MINHASH_PRESETS:
                raise ValueError(f"no preset {value!r}; there are {', '.join(MINHASH_PRESETS)}")
            return MINHASH_PRESETS[value]
        return None if value is False else value


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
        if isinstance(value, dict):
            return {domain: [paths] if isinstance(paths, str) else paths for domain, paths in value.items()}
        return value

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


class Recipe(Section):
    """Everything that decides what a run makes."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the run; its folder is `runs/NAME`."""
    seed: int = 0
    """Seed of every choice by hash."""
    input: InputSection
    extract: ExtractSettings = ExtractSettings()
    language: LanguageSettings | None = None
    rules: tuple[RulesEntry, ...] = ()
    signals: tuple[UserSignal, ...] = ()
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

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps of refining that this recipe takes, in order."""
        taken = {
            "language": self.language is not None and bool(self.language.keep),
            "rules": bool(self.rules),
            "quality": self.quality is not None and self.quality.keep is not None,
            "dedup": self.dedup.exact or self.dedup.minhash is not None,
        }
        return tuple(step for step, is_taken in taken.items() if is_taken)


def load_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """The recipe in a TOML file with `--set key=value` changes. Raises RecipeError that names file, line and remedy.

    Relative paths in the recipe are relative to the recipe's folder.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RecipeError(
            f"{path}: no such recipe; give the path of a TOML file, such as examples/sample.toml"
        ) from error
    except (IsADirectoryError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not a TOML file") from error
    try:
        values = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: not TOML: {error}") from error
    for change in changes:
        _apply(values, change)
    values.setdefault("name", path.stem)
    _fill_from_presets(values)
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError("\n".join(_explain(path, source, problem) for problem in error.errors())) from error
    return with_absolute_paths(recipe, path.parent.resolve())


def _apply(values: dict[str, Any], change: str) -> None:
    """Set one key given as `a.b=value`; the value is TOML, or a bare string. `a.b=` with nothing removes it."""
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {change}: write KEY=VALUE, such as --set language.min_score=0.5")
    *tables, last = key.strip().split(".")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise RecipeError(f"--set {change}: {table!r} is not a table")
    if text.strip() == "":
        values.pop(last, None)
        return
    try:
        values[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        values[last] = text.strip()


def _fill_from_presets(values: dict[str, Any]) -> None:
    """Set what the named presets say beside rules, where the recipe has the section and is silent."""
    entries = values.get("rules", [])
    for entry in entries if isinstance(entries, list) else []:
        for section, settings in PRESET_SETTINGS.get(entry.get("preset", ""), {}).items():
            if isinstance(values.get(section), dict):
                values[section] = {**settings, **values[section]}


def _explain(path: Path, source: str, problem: Any) -> str:
    """One line: where, what is wrong, what would be right."""
    location = [step for step in problem["loc"] if isinstance(step, int | str)]
    line = find_line(source, location)
    where = f"{path}:{line}" if line else str(path)
    key = ".".join(str(step) for step in location)
    if problem["type"] == "extra_forbidden":
        fields = _fields(location[:-1])
        return f"{where}: unknown key {key!r}{nearest(str(location[-1]), fields)}; known: {', '.join(sorted(fields))}"
    if problem["type"] == "missing":
        return f"{where}: {key!r} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {key}: {message}" if key else f"{where}: {message}"


def _fields(location: Sequence[int | str]) -> list[str]:
    """The keys that the table at `location` knows, from the JSON schema."""
    schema = Recipe.model_json_schema()
    node: Any = schema
    for step in location:
        node = _resolve(schema, node)
        node = node.get("items", {}) if isinstance(step, int) else node.get("properties", {}).get(step, {})
    return list(_resolve(schema, node).get("properties", {}))


def _resolve(schema: Any, node: Any) -> Any:
    for option in node.get("anyOf", []):
        if option.get("type") != "null":
            node = option
    return schema["$defs"][node["$ref"].rsplit("/", 1)[-1]] if "$ref" in node else node


def nearest(name: str, known: Sequence[str]) -> str:
    """`: did you mean 'x'?` if one of the known names is near, else nothing."""
    close = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {close[0]!r}?" if close else ""


def find_line(source: str, location: Sequence[int | str]) -> int | None:
    """The line, from 1, on which the key at `location` stands in a TOML source, or the nearest table around it."""
    seen: dict[str, int] = {}
    lines: dict[tuple[int | str, ...], int] = {}
    table: tuple[int | str, ...] = ()
    for number, line in enumerate(source.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)\s*([^\]]+?)\s*\]", line):
            table = tuple(header[2].split("."))
            if header[1] == "[[":
                seen[header[2]] = seen.get(header[2], -1) + 1
                table = (*table, seen[header[2]])
            lines.setdefault(table, number)
            lines.setdefault(table[:1], number)
        elif key := re.match(r"\s*([A-Za-z0-9_.\"-]+)\s*=", line):
            path = (*table, *key[1].replace('"', "").split("."))
            lines.setdefault(path, number)
            for inner in re.findall(r"([A-Za-z0-9_-]+)\s*=", line[key.end() :]):
                lines.setdefault((*path, inner), number)
    where = tuple(location)
    while where and where not in lines:
        where = where[:-1]
    return lines.get(where)


def with_absolute_paths(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with every relative path made absolute against `folder`; URLs stay."""

    def absolute(path: str) -> str:
        return path if "://" in path or Path(path).is_absolute() else str(folder / path)

    def every(paths: Sequence[str]) -> Paths:
        return tuple(absolute(path) for path in paths)

    changes: dict[str, Any] = {
        "input": recipe.input.model_copy(
            update={
                "paths": every(recipe.input.paths),
                "paths_from": recipe.input.paths_from and absolute(recipe.input.paths_from),
            }
        ),
        "signals": tuple(_absolute_signal(signal, absolute) for signal in recipe.signals),
    }
    if recipe.language is not None and recipe.language.model is not None:
        changes["language"] = recipe.language.model_copy(update={"model": absolute(recipe.language.model)})
    if recipe.quality is not None:
        changes["quality"] = recipe.quality.model_copy(
            update={
                "reference": every(recipe.quality.reference),
                "model": recipe.quality.model and absolute(recipe.quality.model),
            }
        )
    for section in ("tokenize", "ablate"):
        value = getattr(recipe, section)
        if value is not None and value.tokenizer.endswith(".json"):
            changes[section] = value.model_copy(update={"tokenizer": absolute(value.tokenizer)})
    if recipe.ablate is not None:
        validation: Mapping[str, Paths] = {domain: every(paths) for domain, paths in recipe.ablate.validation.items()}
        changes["ablate"] = changes.get("ablate", recipe.ablate).model_copy(update={"validation": validation})
    return recipe.model_copy(update=changes)


def _absolute_signal(signal: UserSignal, absolute: Callable[[str], str]) -> UserSignal:
    name = "join" if signal.join is not None else "function"
    return signal.model_copy(update={name: absolute(getattr(signal, name))})


def json_schema() -> str:
    """The recipe's JSON schema, for editors."""
    return json.dumps(Recipe.model_json_schema(), indent=2)

"""A recipe as a user writes it, in TOML: read, checked, with every mistake named by file and line."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from datassay.cli.nearest import nearest
from datassay.cli.sections import Recipe
from datassay.corpus.errors import RecipeError
from datassay.filters.presets import PRESET_SETTINGS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


Model = TypeVar("Model", bound=BaseModel)


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
        apply_change(values, change)
    values.setdefault("name", path.stem)
    fill_from_presets(values)
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError("\n".join(explain(path, source, problem) for problem in error.errors())) from error
    return with_absolute_paths(recipe, path.parent.resolve())


def apply_change(values: dict[str, Any], change: str) -> None:
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


def fill_from_presets(values: dict[str, Any]) -> None:
    """Set what the named presets say beside rules, where the recipe has the section and is silent."""
    entries = values.get("rules", [])
    for entry in entries if isinstance(entries, list) else []:
        for section, settings in PRESET_SETTINGS.get(entry.get("preset", ""), {}).items():
            if isinstance(values.get(section), dict):
                values[section] = {**settings, **values[section]}


def explain(path: Path, source: str, problem: Any) -> str:
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
    if problem["type"] == "union_tag_not_found":
        return f"{where}: {key}.kind is missing; one of fasttext, logistic, ngram and gpt"
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


PATHS = {
    "input": ("paths", "paths_from"),
    "extract": ("model",),
    "language": ("model",),
    "urls": ("block_files", "folder", "allow_files", "hard_word_files", "soft_word_files", "substring_files"),
    "bad_words": ("lists",),
    "quality": ("reference", "bad", "model"),
}
"""Keys that hold a path, or several, by table."""


def with_absolute_paths(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with every relative path made absolute against `folder`; URLs stay."""

    def absolute(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(absolute(path) for path in value)
        if value is None or "://" in value or Path(value).is_absolute():
            return value
        return str(folder / value)

    def changed(section: Model, keys: Sequence[str]) -> Model:
        return section.model_copy(update={key: absolute(getattr(section, key)) for key in keys})

    changes: dict[str, Any] = {
        name: changed(getattr(recipe, name), keys) for name, keys in PATHS.items() if getattr(recipe, name) is not None
    }
    changes["signals"] = tuple(
        changed(signal, ["function" if signal.join is None else "join"]) for signal in recipe.signals
    )
    changes["scores"] = tuple(
        changed(score, [key for key in ("model", "reference", "bad") if key in type(score).model_fields])
        for score in recipe.scores
    )
    if recipe.decontaminate is not None:
        questions = {name: changed(file, ["path"]) for name, file in recipe.decontaminate.questions.items()}
        changes["decontaminate"] = recipe.decontaminate.model_copy(update={"questions": questions})
    for section in ("tokenize", "ablate"):
        value = getattr(recipe, section)
        if value is not None and value.tokenizer.endswith(".json"):
            changes[section] = changed(value, ["tokenizer"])
    sources = {name: absolute(paths) for name, paths in recipe.input.sources.items()}
    changes["input"] = changes["input"].model_copy(update={"sources": sources})
    if recipe.ablate is not None:
        validation = {domain: absolute(paths) for domain, paths in recipe.ablate.validation.items()}
        changes["ablate"] = changes.get("ablate", recipe.ablate).model_copy(update={"validation": validation})
    return recipe.model_copy(update=changes)


def json_schema() -> str:
    """The recipe's JSON schema, for editors."""
    return json.dumps(Recipe.model_json_schema(), indent=2)

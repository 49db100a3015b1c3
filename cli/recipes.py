"""The presets that ship, and what a recipe comes to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from datassay.cli.nearest import nearest
from datassay.cli.pipeline import check_given_files
from datassay.cli.query import table
from datassay.cli.recipe import json_schema, load_recipe
from datassay.cli.run import input_files
from datassay.cli.signals import check_recipe_rules
from datassay.corpus.errors import RecipeError
from datassay.dedup.settings import PRESETS as MINHASH_PRESETS
from datassay.dedup.settings import s_curve
from datassay.filters.line_rules import LINE_PRESETS
from datassay.filters.presets import PRESETS


def listing() -> str:
    """The presets of rules, of edits and of MinHash as three tables."""
    rules: list[tuple[object, ...]] = [
        (name, len(rules), rules[0].source if rules else "quality cut-off only") for name, rules in PRESETS.items()
    ]
    minhash: list[tuple[object, ...]] = [
        (name, preset.bands, preset.rows, preset.min_jaccard, *(s_curve(preset.bands, preset.rows, s) for s in SHOWN))
        for name, preset in MINHASH_PRESETS.items()
    ]
    edits: list[tuple[object, ...]] = [(name, len(p.rules), p.source) for name, p in LINE_PRESETS.items()]
    return (
        table(["rules", "n", "source"], rules)
        + "\n"
        + table(["edits", "n", "source"], edits)
        + "\n"
        + table(["minhash", "bands", "rows", "min_jaccard", *(f"found at {s}" for s in SHOWN)], minhash)
    )


SHOWN = (0.6, 0.7, 0.8, 0.9)
"""Similarities at which the S-curve is shown."""


def show(name: str) -> str:
    """The rules and edits of a preset, the JSON schema of recipes (`schema`), or a recipe with all its defaults."""
    if name == "schema":
        return json_schema() + "\n"
    if name in PRESETS or name in LINE_PRESETS:
        rules = [(rule.name, rule.keep, rule.source) for rule in PRESETS.get(name, ())]
        cuts = [(rule.name, rule.cuts) for rule in LINE_PRESETS[name].rules] if name in LINE_PRESETS else []
        tables = [table(["rule", "keeps", "source"], list(rules))] if name in PRESETS else []
        return "\n".join([*tables, *([table(["edit", "cuts"], list(cuts))] if cuts else [])])
    path = Path(name)
    if path.suffix == ".toml":
        return json.dumps(load_recipe(path).model_dump(mode="json"), indent=2) + "\n"
    raise RecipeError(f"no preset or recipe file {name!r}{nearest(name, [*PRESETS, *LINE_PRESETS])}")


def check(path: Path, changes: Sequence[str] = ()) -> str:
    """One line that says what a recipe would do. Raises RecipeError or InputError for what is wrong with it."""
    recipe = load_recipe(path, changes)
    check_recipe_rules(recipe, path)
    check_given_files(recipe)
    files = input_files(recipe)
    return f"{path}: {recipe.name}, {len(files)} input files, steps {', '.join(recipe.steps) or 'none'}"

"""What TOML has no word for: leaving a part out that is there by default, and presets by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from datassay.cli.recipe import load_recipe
from datassay.corpus.errors import RecipeError
from datassay.dedup.settings import PRESETS, MinHash


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text('[input]\npaths = ["a.jsonl"]\n\n[dedup]\nminhash = "fineweb"\n', encoding="utf-8")
    return path


def test_minhash_by_the_name_of_a_preset(recipe: Path) -> None:
    assert load_recipe(recipe).dedup.minhash == PRESETS["fineweb"]


def test_an_unknown_preset_is_named_with_its_line_and_what_there_is(recipe: Path) -> None:
    with pytest.raises(RecipeError, match=r"recipe.toml:5: dedup.minhash: no preset 'rocks'; there are .*fineweb"):
        load_recipe(recipe, ["dedup.minhash=rocks"])


def test_false_leaves_a_part_out(recipe: Path) -> None:
    off = load_recipe(recipe, ["dedup.minhash=false", "dedup.exact=false", "tokenize=false"])
    assert (off.dedup.minhash, off.tokenize) == (None, None)
    assert "dedup" not in off.steps


def test_a_wrong_key_of_minhash_is_still_explained(recipe: Path) -> None:
    with pytest.raises(RecipeError, match=r"unknown key 'dedup\.minhash\.band': did you mean 'bands'"):
        load_recipe(recipe, ["dedup.minhash={ band = 32 }"])


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("fineweb@0", PRESETS["fineweb"].model_copy(update={"min_jaccard": 0.0})),
        ("20x13@0.8", MinHash(bands=20, rows=13, min_jaccard=0.8)),
    ],
)
def test_a_name_may_carry_another_limit(recipe: Path, name: str, settings: MinHash) -> None:
    assert load_recipe(recipe, [f"dedup.minhash={name}"]).dedup.minhash == settings

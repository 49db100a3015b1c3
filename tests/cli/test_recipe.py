"""A mistake in a recipe is named with file, line and remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from jsonschema import Draft202012Validator

from datassay.cli.pipeline import stages
from datassay.cli.recipe import find_line, json_schema, load_recipe, tomllib
from datassay.cli.sections import AblateSection, Recipe
from datassay.cli.signals import check_recipe_rules, rules
from datassay.corpus.errors import RecipeError
from datassay.filters.presets import preset_rules

SMALLEST = '[input]\npaths = ["pages"]\n'
SAMPLE = Path(__file__).parents[2] / "examples" / "sample.toml"


def load(folder: Path, text: str, *changes: str) -> Recipe:
    (folder / "my.toml").write_text(text)
    return load_recipe(folder / "my.toml", changes)


def complaint(folder: Path, text: str, *changes: str) -> str:
    """What is said of a wrong recipe, from the file's name on."""
    with pytest.raises(RecipeError) as caught:
        check_recipe_rules(load(folder, text, *changes), folder / "my.toml")
    return str(caught.value).replace(f"{folder}/", "")


def test_smallest_recipe_has_defaults_and_the_files_name(tmp_path: Path) -> None:
    recipe = load(tmp_path, SMALLEST)
    assert recipe.name == "my"
    assert recipe.steps == ("dedup",)
    assert (recipe.language, recipe.quality, recipe.ablate) == (None, None, None)
    assert recipe.input.paths == (str(tmp_path / "pages"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # a key that is not known, at the top, in a table, in a table in line, in an array of tables
        ("sed = 1\n" + SMALLEST, "my.toml:1: unknown key 'sed': did you mean 'seed'?; known: ablate, "),
        (SMALLEST + "[language]\nkeeps = ['en']\n", "my.toml:4: unknown key 'language.keeps': did you mean 'keep'?"),
        (
            SMALLEST + "[dedup]\nexact = true\nminhash = { band = 32 }\n",
            "my.toml:5: unknown key 'dedup.minhash.band': did you mean 'bands'?; known: bands, ",
        ),
        (SMALLEST + "[dedup.minhash]\nband = 32\n", "my.toml:4: unknown key 'dedup.minhash.band': did you mean"),
        (
            SMALLEST + "[[rules]]\npreset = 'c4'\n[[rules]]\nnamed = 'x'\nkeep = 'true'\n",
            "my.toml:6: unknown key 'rules.1.named': did you mean 'name'?",
        ),
        (SMALLEST + "[zzz]\n", "my.toml:3: unknown key 'zzz'; known: ablate, "),
        # values of the wrong kind or out of range
        ("seed = 'one'\n" + SMALLEST, "my.toml:1: seed: Input should be a valid integer"),
        (
            SMALLEST + "[language]\nmin_score = 1.5\n",
            "my.toml:4: language.min_score: Input should be less than or equal to 1",
        ),
        (SMALLEST + "[split]\nshare = 0.5\n", "my.toml:4: split.share: Input should be less than 0.5"),
        (SMALLEST + "[ablate]\nn_seeds = 1\n", "my.toml:4: ablate.n_seeds: Input should be greater than or equal to 2"),
        (SMALLEST + "[write]\nformat = 'csv'\n", "my.toml:4: write.format: Input should be 'parquet' or 'jsonl.zst'"),
        (SMALLEST + "[ablate]\nbudget = 'soon'\n", "my.toml:4: ablate.budget: "),
        ("name = 'a/b'\n" + SMALLEST, "my.toml:1: name: String should match pattern"),
        ("input = 3\n", "my.toml:1: input: Input should be a valid dictionary"),
        # what is missing
        ("name = 'x'\n", "my.toml: 'input' is missing"),
        (
            "[input]\nfields = { text = 'body' }\n",
            "my.toml:1: input: no input: give `paths`, `paths_from` or `sources`",
        ),
        (SMALLEST + "[quality]\nkeep = 'top 30%'\n", "my.toml:3: quality: give either `reference`"),
        # cut-offs, presets and rules
        (
            SMALLEST + "[quality]\nreference = ['good']\nkeep = 'best 30'\n",
            "my.toml:5: quality.keep: keep = 'best 30': ",
        ),
        (SMALLEST + "[quality]\nreference = ['good']\nkeep = 'top 130%'\n", "my.toml:5: quality.keep: "),
        (SMALLEST + "[[rules]]\npreset = 'gofer-quality'\n", "my.toml:3: rules.0: "),
        (
            SMALLEST + "[[rules]]\npreset = 'gopher-quality'\nwithout = ['word_cuont']\n",
            "my.toml:3: rules.0: preset 'gopher-quality' has no rule 'word_cuont': did you mean 'word_count'?",
        ),
        (SMALLEST + "[[rules]]\nname = 'x'\n", "my.toml:3: rules.0: give either `preset`, or `name` and `keep`"),
        (SMALLEST + "[[rules]]\nkeep = 'true'\n", "my.toml:3: rules.0: a rule of your own needs a `name`"),
        (
            SMALLEST + "[ablate]\nseq_len = 100\n",
            "my.toml:3: ablate: batch_tokens 1024 is no multiple of seq_len 100",
        ),
        (
            SMALLEST + "[ablate]\ntarget = 'web'\nvalidation = { books = 'b.jsonl' }\n",
            "my.toml:3: ablate: target 'web' is no domain of validation: books",
        ),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, expected: str) -> None:
    assert complaint(tmp_path, text).startswith(expected)


def test_every_mistake_is_named(tmp_path: Path) -> None:
    lines = complaint(tmp_path, "sed = 1\n" + SMALLEST + "[split]\nshare = 2\n").splitlines()
    assert [line.split(": ")[0] for line in lines] == ["my.toml:5", "my.toml:1"]


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ("word_cuont > 3", "rule 'mine': keep = 'word_cuont > 3': there is no signal 'word_cuont'; did you mean"),
        ("word_count >", "rule 'mine': keep = 'word_count >': syntax error"),
        ("word_count", "rule 'mine': keep = 'word_count': this is a BIGINT, not a condition"),
        ("random() < 0.5", "rule 'mine': keep = 'random() < 0.5': random() is not the same in every run"),
        ("avg(word_count) > 3", "rule 'mine': keep = 'avg(word_count) > 3': "),
        ("quality > 0.5", "rule 'mine': keep = 'quality > 0.5': there is no signal 'quality'"),  # no [quality]
    ],
)
def test_rules_that_are_no_conditions_are_named(tmp_path: Path, keep: str, expected: str) -> None:
    assert expected in complaint(tmp_path, SMALLEST + f"[[rules]]\nname = 'mine'\nkeep = '{keep}'\n")


def test_two_rules_of_one_name_are_refused(tmp_path: Path) -> None:
    rule = "[[rules]]\nname = 'mine'\nkeep = 'word_count > {}'\n"
    assert "'mine'" in complaint(tmp_path, SMALLEST + rule.format(1) + rule.format(2))


def test_file_that_is_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"gone\.toml: no such recipe"):
        load_recipe(tmp_path / "gone.toml")
    with pytest.raises(RecipeError, match="not a TOML file"):
        load_recipe(tmp_path)
    assert complaint(tmp_path, "[input\n").startswith("my.toml: not TOML: ")
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    with pytest.raises(RecipeError, match=r"latin\.toml: not a TOML file"):
        load_recipe(tmp_path / "latin.toml")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("language.min_score=0.5", {"keep": ("en",), "min_score": 0.5}),
        ("language.keep=['de', 'fr']", {"keep": ("de", "fr"), "min_score": 0.65}),
        ("language.model=en.ftz", {"keep": ("en",), "min_score": 0.65}),  # a word is a string
        ("language.min_score=", {"keep": ("en",), "min_score": 0.65}),  # as if it were not there
    ],
)
def test_set_changes_a_key(tmp_path: Path, change: str, expected: dict[str, object]) -> None:
    language = load(tmp_path, SMALLEST + "[language]\nmin_score = 0.65\n", change).language
    assert language is not None
    assert language.model_dump(include={"keep", "min_score"}) == expected


def test_set_makes_and_removes_a_table(tmp_path: Path) -> None:
    recipe = load(tmp_path, SMALLEST, "ablate.n_seeds=5", "dedup.minhash.bands=8", "quality.keep=top 50%", "quality=")
    assert recipe.ablate is not None
    assert recipe.ablate.n_seeds == 5
    assert recipe.dedup.minhash is not None
    assert recipe.dedup.minhash.bands == 8
    assert recipe.quality is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("language.min_score", "--set language.min_score: write KEY=VALUE"),
        ("=3", "--set =3: write KEY=VALUE"),
        ("seed.x=3", "--set seed.x=3: 'seed' is not a table"),
        ("language.min_scor=0.5", "my.toml: unknown key 'language.min_scor': did you mean 'min_score'?"),
        ("seed=many", "my.toml:1: seed: Input should be a valid integer"),
    ],
)
def test_wrong_set_is_named(tmp_path: Path, change: str, expected: str) -> None:
    assert expected in complaint(tmp_path, "seed = 1\n" + SMALLEST, change)


def test_relative_paths_are_relative_to_the_recipe(tmp_path: Path) -> None:
    recipe = load(
        tmp_path,
        "[input]\npaths = ['a', '/b', 's3://bucket/c', '../d']\n[language]\nmodel = 'lid.ftz'\n"
        "[quality]\nreference = ['good/*.parquet']\n[[signals]]\nname = 'x'\nfunction = 'x.py:f'\n"
        "[ablate]\nvalidation = { books = 'val.jsonl' }\ntokenizer = 'tok.json'\n",
    )
    here = str(tmp_path)
    assert recipe.input.paths == (f"{here}/a", "/b", "s3://bucket/c", f"{here}/../d")
    assert recipe.language is not None
    assert recipe.language.model == f"{here}/lid.ftz"
    assert recipe.quality is not None
    assert recipe.quality.reference == (f"{here}/good/*.parquet",)
    assert recipe.signals[0].function == f"{here}/x.py:f"
    assert recipe.ablate is not None
    assert recipe.ablate.validation == {"books": (f"{here}/val.jsonl",)}
    assert recipe.ablate.tokenizer == f"{here}/tok.json"
    assert recipe.tokenize is not None
    assert recipe.tokenize.tokenizer == "train:16384"


def test_given_quality_model_is_relative_to_the_recipe(tmp_path: Path) -> None:
    quality = load(tmp_path, SMALLEST + "[quality]\nmodel = 'q.bin'\n").quality
    assert quality is not None
    assert quality.model == str(tmp_path / "q.bin")


@pytest.mark.parametrize("value", ["'val.jsonl'", "['val.jsonl']", "{ '*' = 'val.jsonl' }", "{ '*' = ['val.jsonl'] }"])
def test_validation_may_be_written_briefly(tmp_path: Path, value: str) -> None:
    ablate = load(tmp_path, SMALLEST + f"[ablate]\nvalidation = {value}\n").ablate
    assert ablate is not None
    assert ablate.validation == {"*": (str(tmp_path / "val.jsonl"),)}


def test_json_schema_is_one_and_agrees_with_the_model() -> None:
    schema = json.loads(json_schema())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert list(validator.iter_errors(tomllib.loads(SAMPLE.read_text()))) == []
    assert list(validator.iter_errors({"name": "x", "input": {"paths": ["a"]}, "sed": 1})) != []


def test_the_sample_recipe_takes_every_step() -> None:
    recipe = load_recipe(SAMPLE)
    assert recipe.steps == ("language", "rules", "quality", "dedup")
    check_recipe_rules(recipe, SAMPLE)
    assert [stage.name for stage in stages(recipe)][:2] == ["extract", "clean"]


def test_the_ablation_knows_every_optimizer() -> None:
    from datassay.model.optimizers import OPTIMIZERS

    assert get_args(AblateSection.model_fields["optimizer"].annotation) == tuple(OPTIMIZERS)


def test_line_of_a_key() -> None:
    source = 'name = "x"\n\n[a]\nb = 1\n[a.c]\nd = { e = 1, f = 2 }\n[[r]]\nk = 1\n[[r]]\nk = 2\n'
    assert [
        find_line(source, where)
        for where in (["name"], ["a"], ["a", "b"], ["a", "c"], ["a", "c", "d", "f"], ["r", 0, "k"], ["r", 1, "k"])
    ] == [1, 3, 4, 5, 6, 8, 10]
    assert find_line(source, ["r", 1, "missing"]) == 9
    assert find_line(source, ["zzz"]) is None


def test_no_domain_takes_the_name_of_their_mean(tmp_path: Path) -> None:
    message = complaint(tmp_path, SMALLEST + '[ablate]\nvalidation = { mean = "val.parquet" }\n')
    assert "a domain of validation cannot be called 'mean'" in message


def test_a_limit_of_a_preset_can_be_changed(tmp_path: Path) -> None:
    text = SMALLEST + (
        "[[rules]]\npreset = 'gopher-quality'\nwithout = ['stop_words']\n"
        "changed = { word_count = 'word_count >= 100' }\n"
    )
    found = {rule.name: rule for rule in rules(load(tmp_path, text))}
    published = {rule.name: rule for rule in preset_rules("gopher-quality")}
    assert found["word_count"].keep == "word_count >= 100"
    assert found["word_count"].source.startswith("recipe, for Rae et al.")
    assert {name: rule for name, rule in found.items() if name != "word_count"} == {
        name: rule for name, rule in published.items() if name not in ("word_count", "stop_words")
    }
    wrong = text.replace("word_count >= 100", "word_cuont >= 100")
    with pytest.raises(RecipeError, match="there is no signal 'word_cuont'; did you mean 'word_count'"):
        check_recipe_rules(load(tmp_path, wrong), tmp_path / "my.toml")

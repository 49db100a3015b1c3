"""Deciding again: the same as a run with that recipe, without a text read, or a refusal that says what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.cli.redecide import (
    Change,
    changed_recipe,
    decide_again,
    decided_before,
    ledger_for,
    redecide,
    write_decisions,
)
from datassay.cli.run import Request, run_recipe
from datassay.cli.run_folder import RunFolder, open_run
from datassay.corpus.errors import DatassayError, RecipeError, StoreError
from datassay.corpus.hashing import file_hash

OWN = 'rules=[{preset="gopher-quality", without=["word_count"]}, {name="word_count", keep="word_count >= 60"}]'


@pytest.fixture(scope="module")
def run(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that has come to its tokens."""
    folder = tmp_path_factory.mktemp("decided") / "run"
    assert run_recipe(Request(tiny.parent / "decided.toml", folder, until="tokens", workers=0)) == 0
    return open_run(folder)


@pytest.fixture(scope="module")
def unscored(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run without a classifier."""
    folder = tmp_path_factory.mktemp("unscored")
    request = Request(tiny.parent / "decided.toml", folder, changes=("quality=",), until="decide", workers=0)
    assert run_recipe(request) == 0
    return open_run(folder)


def rerun(
    tiny: Path, run: RunFolder, folder: Path, changes: tuple[str, ...], recipe: str = "decided.toml"
) -> RunFolder:
    """A real run with changes, on a copy of a run, so that it takes up what is measured."""
    shutil.copytree(run.path, folder)
    request = Request(tiny.parent / recipe, folder, changes=changes, until="decide", workers=0)
    assert run_recipe(request) == 0
    return open_run(folder)


def decided(run: RunFolder) -> pa.Table:
    """The decisions of a run, in the order of its shards."""
    return pa.concat_tables(pq.ParquetFile(path).read() for path in run.files("decide", "decisions"))


@pytest.mark.parametrize(
    "changes",
    [
        ("quality.keep=top 50%",),
        ("quality.keep=>= 0.5",),
        ("quality.keep=pareto 9",),
        ("quality.keep=",),
        ("language.min_score=0.9",),
        (OWN,),
        ("rules=[]",),
        ('rules=[{preset="gopher"}, {preset="c4"}]', "quality.keep=2000 tokens"),
        ('dedup.keep_by=["length"]',),
    ],
    ids=" ".join,
)
def test_equal_to_a_run_with_that_recipe(tiny: Path, run: RunFolder, tmp_path: Path, changes: tuple[str, ...]) -> None:
    assert_equal(run, rerun(tiny, run, tmp_path / "run", changes), changes, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        ("dedup.minhash.min_jaccard=0.9",),
        ("dedup.minhash.min_jaccard=0.7",),
        ("dedup.minhash=false",),
        ("dedup.minhash=false", "dedup.exact=false"),
        ("dedup.minhash.min_jaccard=1", "rules=[]", "language.min_score=0.2"),
    ],
    ids=" ".join,
)
def test_other_edges_give_other_roles_as_in_a_run(
    tiny: Path, unscored: RunFolder, tmp_path: Path, changes: tuple[str, ...]
) -> None:
    """What is near to validation follows from the edges; without a classifier nothing else follows from that."""
    expected = rerun(tiny, unscored, tmp_path / "run", ("quality=", *changes))
    assert_equal(unscored, expected, changes, tmp_path)


def test_other_edges_that_would_train_another_classifier(run: RunFolder) -> None:
    with pytest.raises(RecipeError, match=r"'reference' .* because of dedup\.minhash \(other reference texts .*anew\)"):
        redecide(run, Change(("dedup.minhash=false",)))


@pytest.mark.parametrize(
    "changes",
    [
        ("quality.keep=top 50%",),
        ('quality.keep={"*" = "top 50%", rows = "top 20%"}', "quality.by=domain"),
        ("language.min_score=0.3", "language.de="),
        ("language.min_score=0.7",),
        ("bad_words.keep_fraction=1", 'rules=[{preset="c4"}]'),
        ("urls=", "decontaminate.mode=drop"),
    ],
    ids=" ".join,
)
def test_with_every_stage_that_there_is(tiny: Path, finished: Path, tmp_path: Path, changes: tuple[str, ...]) -> None:
    full = open_run(finished)
    assert_equal(full, rerun(tiny, full, tmp_path / "run", changes, "tiny/recipe.toml"), changes, tmp_path)


def assert_equal(run: RunFolder, expected: RunFolder, changes: tuple[str, ...], tmp_path: Path) -> None:
    """What is decided on `run` with changes is what the other run decided, document by document and in all counts."""
    with ledger_for(run, changed_recipe(run, Change(changes))) as ledger:
        write_decisions(ledger, tmp_path / "decisions.parquet")
        outcome = decide_again(ledger)
    table = decided(expected)
    assert pq.ParquetFile(tmp_path / "decisions.parquet").read().equals(table)
    assert outcome.keep.tolist() == table["keep"].to_pylist()
    assert [name for names in outcome.kept_for for name in names.to_pylist()] == table["kept_for"].to_pylist()
    known = decided_before(expected)  # what is counted from verdicts is what is counted from decisions
    assert outcome.drops.keys() == known.drops.keys()
    for step, mask in outcome.drops.items():
        assert np.array_equal(mask, known.drops[step]), step
    assert (outcome.n_failed, outcome.n_alone) == (known.n_failed, known.n_alone)


def test_counts_are_those_of_the_reasons(run: RunFolder) -> None:
    """Counted once more in SQL, as the report does."""
    rows = run.connect().execute(
        """
        SELECT reason.rule, count(*), count(*) FILTER (n = 1)
        FROM (SELECT unnest(reasons) AS reason, len(reasons) AS n
              FROM decisions JOIN split USING (id) WHERE role = 'train') GROUP BY 1
        """
    )
    expected = {rule: (n, alone) for rule, n, alone in rows.fetchall()}
    outcome = decided_before(run)
    found = {rule: (n, outcome.n_alone[rule]) for rule, n in outcome.n_failed.items() if n}
    assert found == expected
    variants = {variant["name"]: variant["n_documents"] for variant in run.manifest["variants"]}
    steps = {"raw": "raw", **{step: f"+{step}" for step in outcome.drops}}
    assert {name: int(outcome.after(step).sum()) for step, name in steps.items()} == variants


def test_no_change_moves_nothing(run: RunFolder) -> None:
    text = redecide(run, Change())
    assert "kept now, dropped before: 0 documents" in text
    assert "dropped now, kept before: 0 documents" in text
    assert "note:" not in text


def test_the_run_stays_as_it_is_and_the_answer_is_the_same_again(run: RunFolder, tmp_path: Path) -> None:
    def hashes() -> dict[Path, str]:
        return {path: file_hash(path) for path in sorted(run.path.rglob("*")) if path.is_file()}

    before = hashes()
    change = Change(("quality.keep=top 30%", "language.min_score=0.9"))
    texts = [redecide(run, change, tmp_path / name).replace(name, "") for name in ("a.parquet", "b.parquet")]
    assert texts[0] == texts[1]
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert hashes() == before


def test_documents_that_change_sides_are_shown_with_their_reason(run: RunFolder) -> None:
    text = redecide(run, Change(rules=("word_count=word_count >= 200",)))
    _, _, dropped = text.partition("dropped now, kept before: ")
    assert "    is dropped: word_count is " in dropped
    assert ", keeps word_count >= 200" in dropped
    back = redecide(run, Change(without=("not_shouted",), settings=("quality.keep=",)))
    _, _, kept = back.partition("kept now, dropped before: ")
    assert "    was dropped: " in kept.partition("dropped now")[0]


def test_a_rule_replaces_that_of_its_name_and_without_takes_it_out(run: RunFolder) -> None:
    changed = changed_recipe(
        run, Change(rules=("word_count=word_count >= 200", "new = n_chars > 5"), without=("stop_words",))
    )
    rules = [rule for entry in changed.rules for rule in entry.rules()]
    names = [rule.name for rule in rules]
    assert "stop_words" not in names
    assert names[-2:] == ["word_count", "new"]
    assert names.count("word_count") == 1
    assert rules[-1].keep == "n_chars > 5"
    own = changed_recipe(run, Change(without=("not_shouted",)))
    assert "not_shouted" not in [rule.name for entry in own.rules for rule in entry.rules()]


def test_as_another_recipe_decides(run: RunFolder, tmp_path: Path) -> None:
    """Its language, rules, cut-off and duplicates count; its input and its tokens do not."""
    path = tmp_path / "other.toml"
    path.write_text(
        'name = "other"\ntokenize = false\n[input]\npaths = ["gone.jsonl"]\n[language]\nmin_score = 0.3\n'
        '[[rules]]\npreset = "c4"\n[dedup]\nkeep_by = ["date"]\n',
        encoding="utf-8",
    )
    changed = changed_recipe(run, Change(recipe=path))
    assert changed.name == "decided"
    assert changed.language is not None and changed.language.min_score == 0.3
    assert [entry.preset for entry in changed.rules] == ["c4"]
    assert changed.dedup.keep_by == ("date",)
    assert changed.quality is not None and changed.quality.keep is None
    assert changed.tokenize is not None
    assert redecide(run, Change(recipe=path)) == redecide(
        run,
        Change(("language.min_score=0.3", 'rules=[{preset="c4"}]', 'dedup.keep_by=["date"]', "quality.keep=")),
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Change(("dedup.minhash.min_jaccard=0.6",)), r"stage 'verify' would .*verified from a similarity of 0\.7 on"),
        (
            Change(("dedup.minhash.rows=4",)),
            r"'sign' .* because of dedup\.minhash\.rows; .*datassay run RECIPE -o .*rows=4",
        ),
        (Change(("dedup.exact=false",)), r"'sign' would have to read texts again, because of dedup\.exact"),
        (Change(("quality.epochs=3",)), r"stage 'quality_model' would .* because of quality\.epochs"),
        (Change(("quality=",)), r"without it has other inputs; .*--set quality\.keep="),
        (
            Change(("input.paths=['a']",)),
            r"\[input\] does not decide, .*: datassay run RECIPE -o .* --set input\.paths",
        ),
        (Change(("rulse=[]",)), r"no section 'rulse': did you mean 'rules'\?; decide knows language, rules"),
        (Change(("language.minscore=1",)), r"--set: unknown key 'language\.minscore': did you mean 'min_score'"),
        (Change(("quality.keep=best",)), r"not a cut-off; right would be"),
        (Change(rules=("word_count",)), r"--rule word_count: write NAME=CONDITION"),
        (Change(rules=("x=wrd_count > 3",)), r"rule 'x': .* no signal 'wrd_count'; did you mean 'word_count'\?"),
        (Change(without=("stopwords",)), r"no such rule: did you mean 'stop_words'\?"),
    ],
    ids=str,
)
def test_what_cannot_be_decided_says_what_to_do(run: RunFolder, change: Change, expected: str) -> None:
    with pytest.raises(RecipeError, match=expected):
        redecide(run, change)


def test_languages_whose_pages_have_only_a_rough_text(run: RunFolder) -> None:
    """Fewer languages need no text; others do where the gate kept pages from the slow extractor."""
    assert run.counts("extract")["gated"] > 0
    with pytest.raises(RecipeError, match=r"languages de: of \d+ pages .*language\.keep=\['de', 'en'\]"):
        redecide(run, Change(("language.keep=['en', 'de']",)))
    with pytest.raises(RecipeError, match="languages all: "):
        redecide(run, Change(("language.keep=[]",)))
    assert "note: " not in redecide(run, Change(("language.keep=['en', 'en']",)))


def test_a_run_that_has_not_decided(tiny: Path, tmp_path: Path) -> None:
    assert run_recipe(Request(tiny.parent / "decided.toml", tmp_path, until="clean", workers=0)) == 0
    with pytest.raises(StoreError, match=r"stage 'decide' has not run; `datassay run` continues the run"):
        redecide(open_run(tmp_path), Change(("quality.keep=top 50%",)))


def test_a_file_of_the_run_that_is_gone(run: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "run")
    damaged = open_run(tmp_path / "run")
    damaged.files("language", "language")[0].unlink()
    with pytest.raises(DatassayError, match=r"files are missing; `datassay run` makes them again"):
        redecide(damaged, Change(("quality.keep=top 50%",)))

"""Repeated text in a run: from the recipe to corpus, ledger, views and report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from datassay.cli.recipe import load_recipe
from datassay.cli.report.page import write_report
from datassay.cli.run import Request, run_recipe
from datassay.cli.run_folder import RunFolder, open_run
from datassay.cli.why import explain
from datassay.corpus.errors import RecipeError
from datassay.dedup.repeats_settings import RepeatedLines, RepeatedParagraphs, RepeatedSubstrings

BOILERPLATE = "Subscribe to our newsletter to read more."
PASSAGE = " ".join(f"passage{i}" for i in range(60))
DOCUMENTS = {  # the first has the first copy of both
    "dropped": f"A document of which a rule says that it goes.\n{BOILERPLATE}\n\n{PASSAGE}",
    "first": f"The first document that stays.\n{BOILERPLATE}\n\nIt goes on and on here.",
    "second": f"The second one says: {PASSAGE}. And then it ends.\n{BOILERPLATE}",
    "third": f"The third one begins.\n\nIt quotes {PASSAGE}, by ann.smith@gmail.com, which is its author's address.",
    "empty": BOILERPLATE,
}
RECIPE = """
name = "repeats"
tokenize = false
[input]
paths = ["rows.jsonl"]
[[rules]]
name = "not_bad"
keep = "word_count <> 77"
[pii]
[dedup]
minhash = false
lines = true
paragraphs = true
substrings = { min_tokens = 50 }
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repeats")
    rows = [json.dumps({"id": name, "text": text}) for name, text in DOCUMENTS.items()]
    (folder / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    return folder / "recipe.toml"


@pytest.fixture(scope="module")
def run(recipe: Path) -> RunFolder:
    folder = recipe.parent / "run"
    assert run_recipe(Request(recipe, folder, changes=(), workers=0)) == 0
    return open_run(folder)


def corpus(run: RunFolder) -> dict[str, str]:
    sql = "SELECT source_id, corpus.text FROM corpus JOIN documents USING (id)"
    return dict(run.connect().execute(sql).fetchall())


def test_the_first_copy_that_is_kept_stays(run: RunFolder) -> None:
    found = corpus(run)
    assert sorted(found) == ["first", "second", "third"]
    assert found["first"] == DOCUMENTS["first"]
    assert found["second"] == DOCUMENTS["second"].removesuffix(f"\n{BOILERPLATE}")
    assert found["third"].startswith("The third one begins.\n\nIt quotes by ")
    assert "ann.smith@gmail.com" not in found["third"]  # other edits are made too


def test_a_document_of_which_nothing_is_left_is_left_out_and_counted(run: RunFolder) -> None:
    kept = run.connect().execute("SELECT count(*) FROM decisions WHERE keep").fetchall()
    assert kept == [(4,)]
    assert (run.counts("write")["documents"], run.counts("write")["emptied"]) == (3, 1)
    assert run.counts("cut_repeats")["rests"] == 1


def test_why_shows_what_was_cut_by_which_rule(run: RunFolder) -> None:
    ledger = explain(run, "second")
    assert re.search(r"dedup/line +at \d+: 'Subscribe to our newsletter", ledger)
    ledger = explain(run, "third")
    assert re.search(r"dedup/substring +at 33: 'passage0 passage1", ledger)
    assert re.search(r"pii/email +at \d+", ledger)


def test_a_query_says_which_boilerplate_there_is(run: RunFolder) -> None:
    sql = "SELECT kind, any_value(excerpt), any_value(n_places), count(*) FROM repeats GROUP BY kind, hash ORDER BY 1"
    line, substring = run.connect().execute(sql).fetchall()
    assert line == ("line", BOILERPLATE, 4, 3)
    assert substring[0] == "substring" and substring[1].startswith("passage0 passage1") and substring[2:] == (3, 2)


def test_the_report_shows_the_most_frequent_repeats(run: RunFolder, tmp_path: Path) -> None:
    page = write_report(run, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Most frequent repeats" in page
    assert "<td>dedup/line</td>" in page and "<td>dedup/rest</td>" in page
    assert f"<td>{BOILERPLATE}</td>" in page


def test_without_repeats_nothing_of_them_runs(recipe: Path) -> None:
    """And the run is again what it was, after a run with them in the same folder."""
    folder = recipe.parent / "run-without"
    off = ("dedup.lines=false", "dedup.paragraphs=false", "dedup.substrings=false")
    assert run_recipe(Request(recipe, folder, changes=off, workers=0)) == 0
    before = {path.name: pq.read_table(path) for path in open_run(folder).files("write", "corpus")}
    assert run_recipe(Request(recipe, folder, workers=0)) == 0
    assert open_run(folder).has("cut_repeats")
    assert run_recipe(Request(recipe, folder, changes=off, workers=0)) == 0
    run = open_run(folder)
    assert not run.has("cut_repeats") and "repeats" not in run.datasets()
    assert {path.name: pq.read_table(path) for path in run.files("write", "corpus")} == before
    assert [rule for (rule,) in run.connect().execute("SELECT DISTINCT rule FROM edits").fetchall()] == ["pii/email"]


def test_switches_of_the_recipe(recipe: Path) -> None:
    found = load_recipe(recipe, ["dedup.lines={ keep = 6 }", "dedup.paragraphs=false", "dedup.substrings=true"])
    assert (found.dedup.lines, found.dedup.paragraphs) == (RepeatedLines(keep=6), None)
    assert found.dedup.substrings == RepeatedSubstrings()
    assert load_recipe(recipe).dedup.paragraphs == RepeatedParagraphs()
    assert found.steps == ("rules", "edits", "dedup")
    alone = load_recipe(recipe, ["pii=", "dedup.exact=false"])
    assert alone.steps == ("rules", "edits")
    off = load_recipe(recipe, ["pii=", "dedup.lines=", "dedup.paragraphs=", "dedup.substrings="])
    assert not off.dedup.cuts_repeats and off.steps == ("rules", "dedup")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("dedup.substrings={ min_tokens = 9 }", "dedup.substrings.min_tokens"),
        ("dedup.lines={ keep = 0 }", "dedup.lines.keep"),
        ("dedup.lines={ minchars = 3 }", "did you mean 'min_chars'"),
        ("dedup.paragraphs=3", "dedup.paragraphs"),
    ],
)
def test_mistakes_are_named(recipe: Path, change: str, says: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(says)):
        load_recipe(recipe, [change])

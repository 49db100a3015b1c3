"""Questions to a finished run: a document's ledger, SQL, and what is said when there is no answer."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

import datassay
from datassay.cli.query import answer, table
from datassay.cli.report.page import write_report
from datassay.cli.run import Request, run_recipe
from datassay.cli.run_folder import RunFolder, open_run
from datassay.cli.why import explain
from datassay.corpus.errors import InputError, RecipeError, StoreError
from datassay.corpus.schema import document_id


@pytest.fixture(scope="module")
def run(finished: Path) -> RunFolder:
    return open_run(finished)


@pytest.fixture(scope="module")
def begun(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that was stopped after cleaning."""
    folder = tmp_path_factory.mktemp("begun")
    assert run_recipe(Request(tiny / "recipe.toml", folder, until="clean", workers=0)) == 0
    return open_run(folder)


def one(run: RunFolder, sql: str) -> str:
    return str(run.connect().execute(sql).fetchone()[0])


def test_why_of_a_kept_document(run: RunFolder) -> None:
    name = one(
        run,
        "SELECT id FROM decisions ANTI JOIN edits USING (id) WHERE keep AND cluster IS NULL ORDER BY id LIMIT 1",
    )
    text = explain(run, name)
    assert text.startswith(f"document {name}\n")
    assert "\ndecision   kept\n" in text
    for part in ("  from       rows.jsonl at ", "\nsignals\n", "  word_count  ", "  language  ", "\ntext\n  | "):
        assert part in text


def test_why_shows_the_text_before_and_after_its_edits(run: RunFolder) -> None:
    name = one(run, "SELECT id FROM edits JOIN decisions USING (id) WHERE keep ORDER BY id LIMIT 1")
    text = explain(run, name)
    before = one(run, f"SELECT text FROM documents WHERE id = '{name}'")
    after = one(run, f"SELECT text FROM corpus WHERE id = '{name}'")
    gone = one(run, f"SELECT rule FROM edits WHERE id = '{name}' ORDER BY start LIMIT 1")
    assert f"\n  {gone} " in text
    assert f"\ntext before the edits\n  | {before[:500].splitlines()[0]}" in text
    assert f"\ntext after the edits\n  | {after[:500].splitlines()[0]}" in text
    assert before != after


def test_why_by_url_and_by_source_id(run: RunFolder) -> None:
    url = one(run, "SELECT url FROM documents WHERE url LIKE '%site1%' ORDER BY url LIMIT 1")
    source_id = one(run, f"SELECT source_id FROM documents WHERE url = '{url}'")
    assert explain(run, url) == explain(run, source_id)


def test_why_shows_every_document_of_a_url(run: RunFolder) -> None:
    assert explain(run, "rows.example.org/all").count("\ndecision   ") == 9


def test_why_of_a_url_with_many_documents_ends(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datassay.cli.why.MAX_DOCUMENTS", 2)
    text = explain(run, "rows.example.org/all")
    assert text.count("\ndecision   ") == 2
    assert len(text.partition("\n\nand 7 more documents of this URL\n")[2].split()) == 7


def test_why_of_a_dropped_document_has_every_reason(run: RunFolder) -> None:
    text = explain(run, "https://spam.example.com/c")  # numbers, hardly a word
    assert "\ndecision   dropped\n" in text
    rules = run.connect().execute(
        "SELECT unnest(reasons).rule FROM decisions JOIN documents USING (id) WHERE url LIKE '%spam%/c'"
    )
    names = [name for (name,) in rules.fetchall()]
    assert {"language", "stop_words"} < set(names)
    for name in names:
        assert f"\n  {name} " in text
    assert ", keeps language IN ('en', 'de') AND language_score >= language_min_score" in text


def test_why_of_a_duplicate_names_the_one_that_stays(run: RunFolder) -> None:
    name = one(run, "SELECT id FROM decisions WHERE kept_for IS NOT NULL ORDER BY id LIMIT 1")
    stays = one(run, f"SELECT kept_for FROM decisions WHERE id = '{name}'")
    text = explain(run, name)
    kind = {"exact": "the same text", "near": "a near copy"}[
        one(run, f"SELECT kind FROM duplicates WHERE id = '{name}'")
    ]
    assert f"\n  duplicate of {stays}, which stays for it: {kind}\n" in text
    assert re.search(rf"^cluster    \d+ documents; {stays} stays: \w", text, re.M)
    assert "\n  the other stays for this one: " in text
    assert "\nduplicates " in text
    assert stays in text.split("\nduplicates ")[1]


def test_why_of_a_copy_of_validation(run: RunFolder) -> None:
    assert "role       near_validation\n" in explain(run, "https://copy.example.net/v")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://site1.example.org/gone", "skipped: status_404\n"),
        ("https://spam.example.com/d", "skipped: "),
    ],
)
def test_why_of_a_record_that_is_no_document(run: RunFolder, url: str, expected: str) -> None:
    assert explain(run, url).startswith(expected)


def test_damaged_bytes_are_in_the_records(run: RunFolder) -> None:
    """The last record of the archive is cut."""
    assert one(run, "SELECT count(*) FROM records WHERE outcome = 'quarantine'") == "1"


def test_why_of_what_is_not_there(run: RunFolder) -> None:
    with pytest.raises(InputError, match=r"no document or record with the id, source id or URL 'nothing'"):
        explain(run, "nothing")


def test_why_of_a_run_that_has_not_come_far(begun: RunFolder) -> None:
    name = one(begun, "SELECT id FROM documents LIMIT 1")
    text = explain(begun, name)
    assert "decision" not in text
    assert "\ntext\n  | " in text


def test_report_of_a_run_that_has_not_come_far(begun: RunFolder) -> None:
    with pytest.raises(StoreError, match=r"stage 'decide' has not run; `datassay run` continues the run"):
        write_report(begun)


def test_query_has_a_view_of_everything(run: RunFolder) -> None:
    views = ("documents", "records", "signals", "pairs", "split", "decisions", "clusters", "corpus", "quality")
    views += ("user_shout_share",)
    for view in views:
        assert int(one(run, f"SELECT count(*) FROM {view}")) > 0
    n_documents = one(run, "SELECT count(*) FROM documents")
    assert one(run, "SELECT count(*) FROM signals") == n_documents
    assert one(run, "SELECT count(*) FROM decisions") == n_documents
    assert one(run, "SELECT count(*) FROM corpus") == one(run, "SELECT count(*) FROM decisions WHERE keep")


def test_ids_follow_from_file_and_offset(run: RunFolder) -> None:
    rows = run.connect().execute('SELECT id, file, "offset" FROM documents').fetchall()
    assert len({name for name, _, _ in rows}) == len(rows)
    assert all(name == document_id(file, offset) for name, file, offset in rows)


def test_query_as_a_table(run: RunFolder) -> None:
    sql = "SELECT role, count(*) AS n FROM split GROUP BY 1 ORDER BY 1 LIMIT 2"
    assert answer(run, sql) == "role              n\n---------------  --\nnear_validation   1\nreference        72\n"


def test_query_as_csv(run: RunFolder) -> None:
    found = answer(run, """SELECT 'a, "b"' AS x, 1.5 AS y, NULL AS z""", as_csv=True)
    assert list(csv.reader(io.StringIO(found))) == [["x", "y", "z"], ['a, "b"', "1.5", ""]]


@pytest.mark.parametrize("sql", ["", " ;", "-- nothing"])
def test_no_sql_is_a_mistake(run: RunFolder, sql: str) -> None:
    with pytest.raises(RecipeError, match="no statement"):
        answer(run, sql)


def test_wrong_sql_lists_the_views(run: RunFolder, begun: RunFolder) -> None:
    with pytest.raises(RecipeError, match=r"(?s)nowhere.*the views of this run: .*documents") as caught:
        answer(run, "SELECT * FROM nowhere")
    assert "signals" in str(caught.value)
    with pytest.raises(RecipeError, match=r"the views of this run: documents, extraction, records$"):
        answer(begun, "SELECT * FROM signals")


def test_table_cuts_long_cells_and_aligns_numbers() -> None:
    assert table(["n", "text"], [(1, "a\nb"), (100, None)]) == "  n  text\n---  ----\n  1  a b\n100\n"
    assert len(table(["x"], [("y" * 100,)]).splitlines()[2]) == 60
    assert table(["a", "b"], []) == "a  b\n-  -\n"


def test_no_run_here(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no run here \(no manifest.json\); `datassay run RECIPE` makes one"):
        open_run(tmp_path)


def test_manifest_accounts_for_everything(run: RunFolder) -> None:
    assert sorted(len(files) for files in run.manifest["inputs"]) == [1, 1, 1, 1, 1, 1, 2]
    counts = run.counts("extract")
    assert counts["records"] == counts["page"] + counts["skipped"] + counts["quarantine"]
    assert run.counts("decide")["documents"] == counts["page"]
    assert run.manifest["variants"][0]["name"] == "raw"
    kept = [variant["n_documents"] for variant in run.manifest["variants"]]
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] == run.counts("write")["documents"]
    json.dumps(run.manifest)


def test_python_door(finished: Path) -> None:
    run = datassay.open(finished)
    assert run.dataset("corpus").count_rows() == run.counts("write")["documents"]
    with pytest.raises(StoreError, match="no dataset 'nothing'; there are documents"):
        run.dataset("nothing")

"""Sources with names: from the recipe to the rows, which of two copies stays, and which source duplicates which."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from datassay.cli.compare import compared, side
from datassay.cli.query import answer
from datassay.cli.recipe import load_recipe
from datassay.cli.recipes import check
from datassay.cli.redecide import Change, changed_recipe, decide_again, ledger_for
from datassay.cli.report.page import write_report
from datassay.cli.run import Request, input_files, run_recipe
from datassay.cli.run_folder import RunFolder, open_run
from datassay.cli.why import explain
from datassay.corpus.errors import InputError, RecipeError

RECIPE = """
tokenize = false
[input]
paths = ["more.jsonl"]
sources = { books = ["books/*.jsonl"], web-new = "web", web-old = ["old/page.jsonl"] }
[dedup]
url = true
keep_by = ["source", "length"]
source_priority = ["books", "web-*"]
"""


def prose(seed: int, n: int = 60) -> str:
    """Sentences whose words come from few seeds' places alone: two of them share no five in a row."""
    return " ".join(f"word{(seed * 7919 + i * i * (seed + 3)) % 4001}" for i in range(n))


FILES: dict[str, list[tuple[str, str | None]]] = {
    "books/page.jsonl": [(prose(1), None), (prose(2), "http://books.com/2"), (prose(3), None)],
    "web/page.jsonl": [
        (prose(1), "http://a.com/1"),  # the text of a book
        (prose(2) + " and more", "http://a.com/2"),  # longer, and near to a book
        (prose(4), "http://a.com/4"),
        (prose(5), "http://a.com/5"),
    ],
    "old/page.jsonl": [
        (prose(4, 55), "http://www.a.com/4/?utm_source=x"),  # near to one of the web, and of its URL
        (prose(6, 90), "http://a.com/5#top"),  # another text of its URL, and longer
    ],
    "more.jsonl": [(prose(3), None), (prose(5), None), (prose(7), None)],
}


def write(folder: Path, recipe: str = RECIPE, files: dict[str, list[tuple[str, str | None]]] = FILES) -> Path:
    for name, rows in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps({"text": text, **({"url": url} if url else {})}) for text, url in rows)
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    (folder / "r.toml").write_text(recipe)
    return folder / "r.toml"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("sources")
    assert run_recipe(Request(write(folder), folder / "run", workers=0)) == 0
    return open_run(folder / "run")


def rows(run: RunFolder, sql: str) -> list[tuple[Any, ...]]:
    return run.connect().execute(sql).fetchall()


def test_documents_carry_the_name_of_their_source(run: RunFolder) -> None:
    assert rows(run, "SELECT source, file, count(*) FROM documents GROUP BY ALL ORDER BY 1") == [
        ("books", "books/page.jsonl", 3),
        ("input", "more.jsonl", 3),
        ("web-new", "web-new/page.jsonl", 4),
        ("web-old", "web-old/page.jsonl", 2),
    ]
    assert rows(run, "SELECT role, count(*) FROM split GROUP BY ALL") == [("train", 12)]
    assert rows(run, "SELECT source, count(*) FROM corpus GROUP BY ALL ORDER BY 1") == [
        ("books", 3),
        ("input", 1),
        ("web-new", 1),
        ("web-old", 1),
    ]


def test_which_source_duplicates_which(run: RunFolder) -> None:
    """Of the web, two patterns of one place, the longer text stays; what no pattern names loses to it."""
    assert rows(run, "SELECT source, kept_source, kind, n_documents FROM source_duplicates ORDER BY ALL") == [
        ("input", "books", "exact", 1),
        ("input", "web-old", "url", 1),
        ("web-new", "books", "exact", 1),
        ("web-new", "books", "near", 1),
        ("web-new", "web-old", "url", 1),
        ("web-old", "web-new", "url", 1),
    ]
    assert rows(run, "SELECT source_a, source_b, kind, n_pairs FROM source_pairs ORDER BY ALL") == [
        ("books", "input", "exact", 1),
        ("books", "web-new", "exact", 1),
        ("books", "web-new", "near", 1),
        ("input", "web-new", "exact", 1),
        ("web-new", "web-old", "near", 1),
        ("web-new", "web-old", "url", 2),
    ]
    assert "web-old" in answer(run, "SELECT * FROM duplicates")


def test_why_says_what_makes_a_copy(run: RunFolder) -> None:
    (name, kept) = rows(run, "SELECT id, kept_for FROM duplicates WHERE source = 'web-old'")[0]
    text = explain(run, name)
    assert f"duplicate of {kept}, which stays for it: the same URL\n" in text
    assert "duplicates 1 verified\n  near, url 0." in text
    (other,) = rows(run, "SELECT id FROM documents WHERE url = 'http://a.com/5#top'")[0]
    assert "duplicates 1 verified\n  url           " in explain(run, other)


def test_the_report_has_the_sources(run: RunFolder, tmp_path: Path) -> None:
    page = write_report(run, tmp_path / "report.html").read_text()
    assert "<h3>Which source duplicates which</h3>" in page
    assert "<td>web-new</td><td>books</td><td>near</td>" in page
    assert '<section id="sources">' in page
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["crossing"]["by"] == "source"
    assert {row[0] for row in found["sources"]} == {"web-new", "web-old", "books", "input"}


def test_one_source_is_told_by_its_files_or_domains(tmp_path: Path) -> None:
    recipe = "tokenize = false\n[input]\npaths = ['web', 'old/page.jsonl']\n[dedup]\nurl = true\n"
    files = {"web/a.jsonl": FILES["web/page.jsonl"], "old/page.jsonl": FILES["old/page.jsonl"]}
    for n_files, by in ((2, "file"), (1, "domain")):
        folder = tmp_path / by
        path = write(folder, recipe if n_files == 2 else recipe.replace(", 'old/page.jsonl'", ""), files)
        assert run_recipe(Request(path, folder / "run", workers=0)) == 0
        found = json.loads((folder / "run" / "report.json").read_text())["crossing"]
        assert found["by"] == by
        pairs = [(row["group"], row["kept_group"], row["kind"]) for row in found["duplicates"]]
        assert pairs == (
            [("page.jsonl", "a.jsonl", "url"), ("a.jsonl", "page.jsonl", "url")][::-1] if n_files == 2 else []
        )
        assert 'id="sources"' not in (folder / "run" / "report.html").read_text()


def kept(run: RunFolder, *changes: str) -> list[str]:
    """The places of the documents that would stay, by SOURCE and row."""
    with ledger_for(run, changed_recipe(run, Change(settings=changes))) as ledger:
        stays = decide_again(ledger).keep
    names = rows(run, 'SELECT source || "offset"::VARCHAR FROM documents')
    return sorted(name for (name,), stay in zip(names, stays.tolist(), strict=True) if stay)


def test_the_decision_is_the_runs(run: RunFolder) -> None:
    sql = 'SELECT source || "offset"::VARCHAR FROM documents JOIN decisions USING (id) WHERE keep ORDER BY 1'
    assert [(name,) for name in kept(run)] == rows(run, sql)


def test_another_priority_is_decided_without_a_text_read(run: RunFolder) -> None:
    assert kept(run, 'dedup.source_priority=["input", "web-old", "*"]') == [
        *("input0", "input1", "input2", "web-new0", "web-new1", "web-old0"),
    ]
    assert kept(run, 'dedup.keep_by=["length"]', "dedup.source_priority=[]")[-2:] == ["web-new2", "web-old1"]


def test_urls_are_compared_without_a_text_read(tmp_path: Path) -> None:
    """By a run that did not compare them."""
    path = write(tmp_path, RECIPE.replace("url = true", "url = false"))
    assert run_recipe(Request(path, tmp_path / "run", until="write", workers=0)) == 0
    without = open_run(tmp_path / "run")
    assert "web-new3" in kept(without)
    assert "web-new3" not in kept(without, "dedup.url=true")
    assert "web-new3" in kept(without, "dedup.url={ ignore_www = false }", "dedup.url=")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["books", "web-*"]', '["book", "web-*"]', "has no source 'book': did you mean 'books'?"),
        ('["books", "web-*"]', "[]", 'keep_by with "source" and source_priority go together'),
        ('["source", "length"]', '["length"]', 'keep_by with "source" and source_priority go together'),
        ("web-new =", "input =", "a source cannot be called 'input'"),
        ("web-new =", '"a/b" =', "a source cannot be called 'a/b'"),
        ('web-new = "web"', "web-new = []", "source 'web-new' has no paths"),
        ("url = true", "url = { ignore_ww = true }", "unknown key 'dedup.url.ignore_ww': did you mean 'ignore_www'?"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in RECIPE
    path = write(tmp_path, RECIPE.replace(old, new), {})
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert message in str(caught.value)


def test_files_of_sources(tmp_path: Path) -> None:
    """Relative to the recipe; the same name in two sources is no clash, but a file in two sources is a mistake."""
    path = write(tmp_path)
    assert [(file.source, file.name) for file in input_files(load_recipe(path))] == [
        ("input", "more.jsonl"),
        ("books", "books/page.jsonl"),
        ("web-new", "web-new/page.jsonl"),
        ("web-old", "web-old/page.jsonl"),
    ]
    assert "4 input files" in check(path)
    twice = write(tmp_path, RECIPE.replace('web-new = "web"', 'web-new = "old"'))
    with pytest.raises(InputError, match="is of source 'web-new' and of source 'web-old'"):
        input_files(load_recipe(twice))


def test_repeated_text_by_a_bloom_filter(tmp_path: Path) -> None:
    """Cuts and drops in a run: edits beside those of the recipe, a rule that counts, and the signals in the view."""
    shared, own = prose(11, 40), [prose(seed, 40) for seed in (12, 13, 14)]
    texts = [f"{own[0]}\n{shared}", f"{own[1]}\n{shared}", own[1], f"{own[2]} [edit]\nMore [edit] words here."]
    recipe = "tokenize = false\n[input]\npaths = ['rows.jsonl']\n[[edits]]\npreset = 'citations'\n"
    recipe += "[dedup]\nexact = false\nminhash = false\nbloom = true\n"
    path = write(tmp_path, recipe, {"rows.jsonl": [(text, None) for text in texts]})
    assert run_recipe(Request(path, tmp_path / "run", workers=0)) == 0
    run = open_run(tmp_path / "run")
    assert sorted(text for (text,) in rows(run, "SELECT text FROM corpus")) == sorted(
        [texts[0], own[1], texts[3].replace("[edit]", "")]
    )
    dropped = rows(run, "SELECT unnest(reasons) FROM decisions WHERE NOT keep")
    assert {(row[0]["rule"], row[0]["value"], row[0]["limit"]) for row in dropped} == {
        ("edits_left_text", 0.0, "edited_char_count > 0"),
        ("bloom_seen", 1.0, "bloom_seen_fraction <= 0.8"),
    }
    assert rows(run, "SELECT count(*) FROM edits WHERE rule = 'bloom/ngram'") == [(2,)]
    # a paragraph of 40 tokens has 28 13-grams, with [ edit ] it has 43 tokens
    assert rows(run, "SELECT bloom_unit_count FROM signals ORDER BY ALL") == [(28,), (31,), (56,), (56,)]


def test_a_comparison_is_of_all_sources(run: RunFolder) -> None:
    with side(run.path, None) as a, side(run.path, None) as b:
        found = compared(a, b)
    assert sum(group.n for group in found.languages) == 12


def test_a_run_whose_decisions_name_no_kinds_still_answers(run: RunFolder, tmp_path: Path) -> None:
    """As an older version wrote it: no views of sources, but `query`, `why` and the report as ever."""
    shutil.copytree(run.path, tmp_path / "old")
    old = open_run(tmp_path / "old")
    for path in old.files("decide", "decisions"):
        table = pq.read_table(path, partitioning=None).drop_columns(["kind"])
        pq.write_table(table, path)
    (name, kept) = rows(old, "SELECT id, kept_for FROM decisions WHERE kept_for IS NOT NULL ORDER BY id LIMIT 1")[0]
    assert f"duplicate of {kept}, which stays for it\n" in explain(old, name)
    assert "duplicates which" not in write_report(old).read_text()

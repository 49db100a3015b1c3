"""Clusters of a run: as a table, one by one, in a document's ledger, in the report, always with the same reasons."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from datassay.cli import clusters
from datassay.cli.clusters import (
    asked,
    cluster_of,
    contrasts,
    find_clusters,
    heading,
    largest,
    least_similar,
    members_of,
)
from datassay.cli.main import app
from datassay.cli.query import answer
from datassay.cli.report import duplicates
from datassay.cli.report.page import write_report
from datassay.cli.run import Request, run_recipe
from datassay.cli.run_folder import RunFolder, open_run
from datassay.cli.why import explain
from datassay.corpus.errors import InputError, RecipeError, StoreError
from datassay.dedup.settings import MinHash

RECIPE = """\
name = "copies"

[input]
paths = ["first.jsonl", "second.jsonl"]

[[rules]]
name = "short"
keep = "word_count <= 250"

[ablate]
validation = { held_out = "held_out.jsonl" }
"""
HOSTILE = "</script><b>&amp;"
LAST_STAGE = "variants"


def prose(seed: int, n_words: int = 200) -> list[str]:
    """Words drawn at random: two of these share no five in a row."""
    return [f"word{number:04d}" for number in np.random.RandomState(seed).randint(0, 5000, n_words)]


def replaced(words: list[str], **changes: str) -> str:
    """The text of `words` with that at each place (`_7="new"`) another."""
    return " ".join(changes.get(f"_{i}", word) for i, word in enumerate(words))


def documents() -> dict[str, tuple[str, str | None]]:
    """URL to text and date."""
    page, chain, near = prose(1), prose(2, 400), prose(3)
    found: dict[str, tuple[str, str | None]] = {
        "a.example.org/first": (" ".join(page), "2020-01-01"),
        "b.example.net/copy": (" ".join(page), "2019-01-01"),
        "a.example.org/longest": (replaced(page, _50="muchlongerword", _100=HOSTILE), "2021-01-01"),
        "a.example.org/other": (replaced(page, _150="x"), None),
        "a.example.org/old": (" ".join(prose(4)), "2018-01-01"),
        "a.example.org/new": (" ".join(prose(4)), "2022-01-01"),
        "a.example.org/equal": (" ".join(prose(5)), None),
        "b.example.net/equal": (" ".join(prose(5)), None),
        "a.example.org/near": (" ".join(near), None),
        "a.example.org/nearer": (replaced(near, _9="yy"), None),
        "b.example.net/too-long": (" ".join([*near, *prose(6, 51)]), None),  # 251 words fail; 196 of 247 shingles
        "a.example.org/alone": (" ".join(prose(7)), None),
        "b.example.net/held-out": (" ".join(prose(8)), None),
    }
    # Each overlaps the next in 176 of 216 shingles, .81, the one after it in 156 of 236, .66
    found |= {f"c.example.com/{i}": (" ".join(chain[i * 20 : i * 20 + 200]) + "x" * i, None) for i in range(5)}
    return found


def write_rows(path: Path, rows: list[tuple[str, tuple[str, str | None]]]) -> None:
    lines = (json.dumps({"url": f"https://{url}", "text": text, "date": date}) for url, (text, date) in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe over two files of documents, every other in each."""
    folder = tmp_path_factory.mktemp("copies")
    rows = list(documents().items())
    write_rows(folder / "first.jsonl", rows[::2])
    write_rows(folder / "second.jsonl", rows[1::2])
    write_rows(folder / "held_out.jsonl", [("v.example.org/1", (" ".join(prose(8)), None))])
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    return folder / "recipe.toml"


@pytest.fixture(scope="module")
def run(recipe: Path) -> RunFolder:
    assert run_recipe(Request(recipe, recipe.parent / "run", until=LAST_STAGE, workers=0)) == 0
    return open_run(recipe.parent / "run")


@pytest.fixture(scope="module")
def names(run: RunFolder) -> dict[str, str]:
    """URL to id."""
    rows = run.connect().execute("SELECT url, id FROM documents").fetchall()
    return {url.removeprefix("https://"): name for url, name in rows}


def listed(run: RunFolder, **options: object) -> list[dict[str, str]]:
    asked_for = {"member": None, "diff": None, "top": None, "as_csv": True} | options
    return list(csv.DictReader(io.StringIO(asked(run, **asked_for))))  # type: ignore[arg-type]


def test_clusters_with_the_reason_why_a_document_stays(run: RunFolder, names: dict[str, str]) -> None:
    found = {
        row["url"].removeprefix("https://"): (row["documents"], row["criterion"], row["because"]) for row in listed(run)
    }
    smaller = min(("a.example.org/equal", "b.example.net/equal"), key=names.__getitem__)
    n_chars = {url: len(text) for url, (text, _) in documents().items()}
    longer = {
        url: f"longer: {n_chars[url]:,} characters against {n_chars[other]:,}"
        for url, other in (
            ("c.example.com/4", "c.example.com/3"),
            ("a.example.org/longest", "a.example.org/first"),
            ("a.example.org/near", "a.example.org/nearer"),
        )
    }
    assert found == {
        "c.example.com/4": ("5", "length", longer["c.example.com/4"]),
        "a.example.org/longest": ("4", "length", longer["a.example.org/longest"]),
        "a.example.org/near": ("2", "length", longer["a.example.org/near"]),
        "a.example.org/old": ("2", "date", "older: 2018-01-01 against 2022-01-01"),
        smaller: ("2", "id", "smaller id"),
    }


def test_clusters_are_those_of_the_decisions(run: RunFolder, names: dict[str, str]) -> None:
    rows = run.connect().execute("SELECT cluster, n_documents, kept FROM clusters").fetchall()
    assert {(r["cluster"], int(r["documents"]), r["stays"]) for r in listed(run)} == set(rows)
    in_one = {names[f"c.example.com/{i}"] for i in range(5)}
    assert (min(in_one), 5, names["c.example.com/4"]) in rows


def test_the_real_recipe_agrees_with_its_decisions(finished: Path) -> None:
    run = open_run(finished)
    sql = "SELECT cluster, count(*), min(id) FILTER (kept_for IS NULL) FROM decisions WHERE cluster <> '' GROUP BY 1"
    rows = run.connect().execute(sql)
    assert {(r["cluster"], int(r["documents"]), r["stays"]) for r in listed(run)} == set(rows.fetchall()) != set()


def test_the_table_shows_the_largest(run: RunFolder, names: dict[str, str]) -> None:
    text = asked(run, member=None, diff=None, top=1, as_csv=False)
    lines = text.splitlines()
    assert lines[2].split()[:2] == ["5", names["c.example.com/4"]]
    assert "4 near from 0.8" in lines[2] and "example.com 5" in lines[2]
    assert lines[3:] == ["and 4 more clusters", "", "5 clusters; 10 documents go for another that stays."]
    assert "more clusters" not in asked(run, member=None, diff=None, top=5, as_csv=False)
    assert [row["documents"] for row in listed(run, top=2)] == ["5", "4"]


def test_members_with_the_reason_of_each(run: RunFolder, names: dict[str, str]) -> None:
    rows = {row["id"]: row for row in listed(run, member="https://a.example.org/other")}
    ids = [
        names[f"{url}"]
        for url in ("a.example.org/longest", "a.example.org/first", "b.example.net/copy", "a.example.org/other")
    ]
    assert set(rows) == set(ids)
    assert [rows[name]["stays"] for name in ids] == ["1", "0", "0", "0"]
    n_chars = [len(documents()[url][0]) for url in ("a.example.org/longest", "a.example.org/other")]
    assert rows[ids[3]]["because"] == f"longer: {n_chars[0]:,} characters against {n_chars[1]:,}"
    assert rows[ids[0]]["because"] == ""
    # copies of one text are as similar to the one that stays, though only the first of them was compared
    assert [rows[name]["kind"] for name in ids] == ["", "near", "near", "near"]
    assert (
        rows[ids[1]]["similarity"] == rows[ids[2]]["similarity"] == str(186 / 208)
    )  # one word became another, and one became three: 10 of 196 shingles go, 12 come
    assert listed(run, member="https://a.example.org/other", top=1)[0]["id"] == ids[0]


def test_a_member_that_others_join(run: RunFolder, names: dict[str, str]) -> None:
    """Document 4 of the chain stays; it is a verified pair with document 3 alone."""
    connection = run.connect()
    found = cluster_of(run, connection, names["c.example.com/0"])
    assert found is not None
    kinds = {member.url: member.kind for member in members_of(run, connection, found.cluster)}
    assert kinds == {f"https://c.example.com/{i}": "near" if i == 3 else None for i in range(5)}
    text = asked(run, member="https://c.example.com/0", diff=None, top=None, as_csv=False)
    assert text.startswith(f"{heading(found)}\n")
    assert len(re.findall(r"^\w{32}  joined +longer: ", text, re.M)) == 3


def test_one_cluster_is_found_as_among_all(run: RunFolder) -> None:
    connection = run.connect()
    find_clusters(run, connection)
    for found in largest(connection):
        assert cluster_of(run, run.connect(), found.kept) == found


def test_a_near_document_that_other_rules_dropped_is_no_member(run: RunFolder, names: dict[str, str]) -> None:
    found = cluster_of(run, run.connect(), names["a.example.org/near"])
    assert found is not None
    assert (found.n_documents, found.n_dropped, found.dropped) == (2, 1, (("short", 1),))
    text = asked(run, member=found.kept, diff=None, top=None, as_csv=False)
    sentence = "1 more document with a verified pair to a member is no member: it fails other rules: short 1"
    assert text.splitlines()[1] == sentence
    assert f"  {sentence}\n" in explain(run, found.kept)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("b.example.net/too-long", "other rules drop it before duplicates are chosen between: short"),
        ("b.example.net/held-out", "other rules drop it before duplicates are chosen between: near_validation"),
        ("a.example.org/alone", "it has no verified pair with a document that passes everything else"),
    ],
)
def test_a_document_in_no_cluster(run: RunFolder, names: dict[str, str], url: str, said: str) -> None:
    options = {"member": f"https://{url}", "diff": None, "top": None}
    assert asked(run, **options, as_csv=False) == f"{names[url]} is in no cluster: {said}\n"  # type: ignore[arg-type]
    assert listed(run, member=names[url]) == []
    assert "\ncluster " not in explain(run, names[url])


def test_the_ledger_says_the_same(run: RunFolder, names: dict[str, str]) -> None:
    found = cluster_of(run, run.connect(), names["a.example.org/first"])
    assert found is not None
    for url in ("a.example.org/first", "a.example.org/longest"):
        text = explain(run, names[url])
        assert f"\ncluster    {heading(found)}\n" in text
        assert f"\n  stays         {names['a.example.org/longest']}  https://a.example.org/longest\n" in text
    assert f"\n  the other stays for this one: {found.because}\n" in explain(run, names["a.example.org/first"])
    assert "the other stays" not in explain(run, names["a.example.org/longest"])


def test_the_ledger_of_a_large_cluster_ends(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datassay.cli.why.MAX_DUPLICATES", 3)
    assert "\n  and 2 more members\n" in explain(run, "https://c.example.com/1")


def test_the_difference_of_two_documents(run: RunFolder, names: dict[str, str]) -> None:
    pair = ("https://a.example.org/first", names["a.example.org/other"])
    text = asked(run, member=None, diff=pair, top=None, as_csv=False)
    colourless = re.sub(r"\x1b\[\d+m", "", text)
    word = prose(1)[150]
    # a word of 200 replaced touches 5 of 196 shingles: 191 in common, of 201
    assert f"Jaccard similarity {191 / 201:.3f}, 1 word only in the first, 1 only in the second\n" in colourless
    assert f" [-{word}-] {{+x+}} " in colourless
    same = asked(run, member=None, diff=(pair[0], "https://b.example.net/copy"), top=None, as_csv=False)
    assert "Jaccard similarity 1.000, 0 words only in the first, 0 only in the second, word for word the same\n" in same


def test_the_command(run: RunFolder) -> None:
    result = CliRunner().invoke(
        app, ["clusters", str(run.path), "--diff", "https://c.example.com/0", "https://c.example.com/1"]
    )
    assert result.exit_code == 0
    assert "Jaccard similarity 0.8" in result.stdout
    assert "\x1b" not in result.stdout  # no colours in a file
    result = CliRunner().invoke(app, ["clusters", str(run.path), "--csv", "--top", "1"])
    assert len(result.stdout.splitlines()) == 2


@pytest.mark.parametrize("other", [{"member": "x"}, {"top": 3}, {"as_csv": True}])
def test_options_that_would_be_ignored_are_mistakes(run: RunFolder, other: dict[str, object]) -> None:
    options = {"member": None, "diff": ("x", "y"), "top": None, "as_csv": False} | other
    with pytest.raises(RecipeError, match="--diff goes without --member, --top and --csv"):
        asked(run, **options)  # type: ignore[arg-type]


def test_documents_are_named_by_what_names_one(run: RunFolder, finished: Path) -> None:
    with pytest.raises(InputError, match="no document with the id, source id or URL 'nothing'"):
        asked(run, member="nothing", diff=None, top=None, as_csv=False)
    with pytest.raises(InputError, match=r"9 documents have the URL or source id '.*/all'; name one: (\w{32}, ){5}…"):
        asked(open_run(finished), member="rows.example.org/all", diff=None, top=None, as_csv=False)


def test_query_has_a_view_of_clusters(run: RunFolder) -> None:
    sql = "SELECT n_documents, count(*) AS n FROM clusters GROUP BY 1 ORDER BY 1"
    assert answer(run, sql, as_csv=True) == "n_documents,n\n2,3\n4,1\n5,1\n"


def test_the_document_that_stays_beside_the_least_similar_member(run: RunFolder, names: dict[str, str]) -> None:
    """Of the chain, members 0, 1, 2 and 3 are looked at; with 4, member 0 shares 116 of 276 shingles but the last."""
    connection = run.connect()
    find_clusters(run, connection)
    shown = largest(connection, 2)
    chain, page = (contrasts(run, connection, shown)[cluster.cluster] for cluster in shown)
    assert (chain.other, chain.is_pair) == (names["c.example.com/0"], False)
    assert chain.similarity == pytest.approx(116 / 276, abs=0.01)
    assert (page.other, page.is_pair) != (names["a.example.org/longest"], False)
    assert page.difference.n_gone > 0


def test_the_report_says_the_same(run: RunFolder, tmp_path: Path) -> None:
    path = write_report(run, tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    section = text[text.index('<section id="duplicates">') : text.index('<section id="provenance">')]
    for row in listed(run):
        assert f"<summary>{row['documents']} documents; {row['url']} stays: {row['because']}</summary>" in section
    assert "10 documents (" in section and "in 5 clusters" in section
    assert "In 1 of the 5 clusters some member is no verified pair" in section
    assert "fails other rules: short 1" in section
    assert "85.0% of pairs of similarity 0.7 (the limit)" in section  # 1 - (1 - .7**8)**32
    assert "<del>" in section and "<ins>" in section
    assert HOSTILE not in section and "&lt;/script&gt;&lt;b&gt;&amp;amp;" in section
    numbers = json.loads(path.with_suffix(".json").read_bytes())["duplicates"]
    assert (numbers["clusters"], numbers["documents"]) == (5, 10)
    assert numbers["criteria"] == {"length": 3, "date": 1, "id": 1}
    assert numbers["sizes"] == {"2": 3, "4": 1, "5–8": 1}


def test_the_clusters_of_the_least_similar_pairs(run: RunFolder, names: dict[str, str]) -> None:
    """Of one text are the three pairs of exact copies but the one that two near copies belong to."""
    connection = run.connect()
    find_clusters(run, connection)
    found = [cluster.kept for cluster in least_similar(connection, 9)]
    assert found == [names[url] for url in ("c.example.com/4", "a.example.org/longest", "a.example.org/near")]
    assert [cluster.kept for cluster in least_similar(connection, 2)] == found[:2]


def test_pairs_are_counted_by_kind_and_by_whether_they_count(run: RunFolder) -> None:
    """Of the three pairs of a rule's or a role's victims, none counts: one or two with the one that is too long, and
    the copies of validation."""
    found = duplicates.gather(run, run.connect())
    exact, near = found.kinds
    assert (exact.kind, exact.n_pairs, exact.n_between_members) == ("exact", 4, 3)
    assert near.kind == "near" and near.n_pairs > near.n_between_members >= 4 + 2 + 1
    assert 0.7 <= near.lowest < 0.82  # type: ignore[operator]
    counts = {what: n for stage, what, n in found.found if stage == "verify"}
    assert counts["near pairs"] == near.n_pairs
    assert found.similarity is not None
    assert sum(row[2] for row in found.similarity.rows) == near.n_pairs


@pytest.mark.parametrize(
    ("sizes", "classes"),
    [
        ([], []),
        ([(2, 7)], [("2", 7, 7)]),
        ([(2, 1), (3, 1), (4, 1), (5, 1)], [("2", 1, 1), ("3", 1, 2), ("4", 1, 3), ("5–8", 1, 4)]),
        ([(8, 2), (9, 1), (16, 1), (17, 1)], [("5–8", 2, 14), ("9–16", 2, 8 + 15), ("17–32", 1, 16)]),
    ],
)
def test_sizes_in_classes(sizes: list[tuple[int, int]], classes: list[tuple[str, int, int]]) -> None:
    assert duplicates.size_classes(sizes) == classes


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (("dedup.exact=false", "dedup.minhash=false"), 0),
        (("dedup.minhash=false",), 3),
        (("dedup.minhash.min_jaccard=1",), 3),
    ],
)
def test_other_settings(recipe: Path, tmp_path: Path, changes: tuple[str, ...], expected: int) -> None:
    """Without any pairs, with copies of the same text alone, and with a limit that leaves no room above it."""
    assert run_recipe(Request(recipe, tmp_path / "run", changes=changes, until=LAST_STAGE, workers=0)) == 0
    run = open_run(tmp_path / "run")
    assert len(listed(run)) == expected
    text = write_report(run).read_text(encoding="utf-8")
    assert ("No duplicates among" in text) == (expected == 0)
    assert ("figure-s-curve" in text) == ("dedup.minhash=false" not in changes)
    if not expected:
        assert asked(run, member=None, diff=None, top=None, as_csv=False).startswith("No clusters: ")


def test_a_run_that_has_not_decided(recipe: Path, tmp_path: Path) -> None:
    assert run_recipe(Request(recipe, tmp_path / "run", until="verify", workers=0)) == 0
    run = open_run(tmp_path / "run")
    with pytest.raises(StoreError, match=r"stage 'decide' has not run"):
        asked(run, member=None, diff=None, top=None, as_csv=False)
    with pytest.raises(StoreError, match=r"stage 'decide' has not run"):
        asked(run, member="https://a.example.org/first", diff=None, top=None, as_csv=False)
    assert "\nduplicates " in explain(run, "https://a.example.org/first")


def test_similarity_of_texts_without_words(run: RunFolder) -> None:
    settings = clusters.minhash_settings(run)
    assert clusters.similarities("!", ["!", "?", "", "a b"], settings) == [1.0, 0.0, 0.0, 0.0]
    assert clusters.similarities("a b", ["A  b!", "a c"], settings) == [1.0, 0.0]


def test_similarity_is_by_what_the_recipe_compares() -> None:
    """Each has three runs of eight characters, of which two are common, of four in all; the words are not the same."""
    pair = ("abcdefghij", ["abcdefghix"])
    assert clusters.similarities(*pair, MinHash(shingle_chars=8, by_characters=True)) == [0.5]
    assert clusters.similarities(*pair, MinHash(shingle_chars=8)) == [0.0]


def test_every_count_that_the_report_explains_is_one_of_a_stage(finished: Path) -> None:
    run = open_run(finished)
    stages = {stage for stage, _, _ in duplicates.FOUND if run.has(stage)}
    assert {"exact", "url_pairs", "payload_pairs", "sign", "candidates", "attach", "verify"} <= stages
    assert [row for row in duplicates.FOUND if row[0] in stages and row[1] not in run.counts(row[0])] == []

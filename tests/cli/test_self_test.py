"""`datassay dedup-self-test`: planted copies of the user's own documents, found or not."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from datassay.cli.main import app
from datassay.cli.run_folder import open_run
from datassay.cli.self_test import (
    GATE_FAILED,
    SelfTest,
    bin_of,
    outcome,
    sample,
    self_test_of_files,
    self_test_of_run,
)
from datassay.corpus.errors import InputError, RecipeError
from datassay.dedup.edited_copies import EDITS, Copy, edited_copies
from datassay.dedup.self_test import TEXT, Edge
from datassay.dedup.settings import PRESETS, DedupSettings, MinHash


def prose(seed: int, n_sentences: int = 25) -> str:
    random = np.random.RandomState(seed)
    return " ".join(
        " ".join(f"word{number}" for number in random.randint(0, 3000, 8)) + "." for _ in range(n_sentences)
    )


def chinese(seed: int, n_sentences: int = 25) -> str:
    random = np.random.RandomState(seed)
    return "".join(
        "".join(chr(0x4E00 + code) for code in random.randint(0, 2000, 12)) + "。" for _ in range(n_sentences)
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 documents in English letters, 200 in Chinese, some short ones, an exact copy and a near copy."""
    texts = [*(prose(seed) for seed in range(600)), *(chinese(seed) for seed in range(200)), "", "Read more", "!"]
    texts += [prose(3), prose(4) + " And one more sentence at the end."]
    path = tmp_path_factory.mktemp("corpus") / "crawl.parquet"
    pq.write_table(pa.table({"text": texts}), path)
    return path


@pytest.fixture(scope="module")
def found(corpus: Path) -> SelfTest:
    return self_test_of_files([str(corpus)], DedupSettings())


def rows(found: SelfTest, group: str) -> dict[str, int]:
    return {row.name: row.n_planted for row in found.rows if row.group == group}


def test_the_search_does_what_its_curve_says(found: SelfTest) -> None:
    """Whatever the curve allows: the test fails a right search in one of a hundred seeds, and this is one seed."""
    assert found.passes and found.exit_status == 0
    assert found.n_documents == 805
    assert found.n_copies == 802
    (over,) = (row for row in found.rows if row.group == "all")
    assert over.recall.low <= over.expected <= over.recall.high
    assert over.expected > 0.9


def test_nothing_below_the_limit_is_found(found: SelfTest) -> None:
    below = [row for row in found.rows if row.group == "similarity" and row.name < "0.70"]
    assert len(below) >= 8
    assert sum(row.n_planted for row in below) > 200
    assert all(row.n_found == row.n_edges == 0 and row.expected == 0 for row in below)


def test_every_copy_is_in_a_range_of_similarity(found: SelfTest) -> None:
    assert sum(rows(found, "similarity").values()) == found.n_copies
    assert set(rows(found, "edit")) == set(EDITS)
    assert set(rows(found, "script")) == {"Latn, with spaces", "Hani, without spaces"}
    assert sum(rows(found, "script").values()) == sum(rows(found, "edit").values()) == sum(rows(found, "all").values())


def test_the_same_words_are_always_found(found: SelfTest) -> None:
    (same,) = (row for row in found.rows if row.name == "1")
    assert same.n_found == same.n_planted >= 100
    assert same.verdict == "as the curve"


def test_duplicates_that_nobody_planted_are_reported_apart(found: SelfTest) -> None:
    assert (found.n_natural_exact, found.n_natural_near) == (1, 1)
    assert {found.natural[0].a, found.natural[0].b} == {"crawl.parquet:4", "crawl.parquet:804"}
    assert "duplicates that nobody planted: 2 edges, 1 of the same text, 1 near" in found.as_text()


def test_edges_are_computed_anew(found: SelfTest) -> None:
    assert found.n_checked == found.n_edges > 300
    assert f"precision: {found.n_edges:,} of {found.n_edges:,} edges are true" in found.as_text()


def test_text_csv_and_data_say_the_same(found: SelfTest) -> None:
    table = list(csv.DictReader(io.StringIO(found.as_csv())))
    assert [int(row["found"]) for row in table] == [row.n_found for row in found.rows]
    data = orjson.loads(orjson.dumps(found.as_data()))
    assert [row["recall"]["value"] for row in data["rows"]] == [row.recall.value for row in found.rows]
    assert data["passes"] is True
    assert found.as_text().endswith("passes: no row is significantly below the S-curve, and no edge is false\n")


@pytest.mark.parametrize("name", ["fineweb", "nemo", "redpajama2-0.8"])
def test_other_settings_do_what_their_curves_say(corpus: Path, name: str) -> None:
    found = self_test_of_files([str(corpus)], DedupSettings(minhash=PRESETS[name]), n_copies=400)
    assert found.passes
    assert found.n_copies == 400


def test_without_a_limit_pairs_of_low_similarity_are_found_as_often_as_they_are_compared(corpus: Path) -> None:
    found = self_test_of_files([str(corpus)], DedupSettings(minhash=MinHash(bands=50, rows=3, min_jaccard=0)))
    assert found.passes
    low = [row for row in found.rows if row.group == "similarity" and row.name < "0.50"]
    assert all(0.3 < row.expected < 1 and row.n_found > 0 for row in low)


def planted(n: int) -> tuple[dict[str, str], list[Copy]]:
    texts = {f"d{i}": prose(i) for i in range(n)}
    return texts, list(edited_copies(list(texts), list(texts.values()), MinHash()))


def true_edges(copies: Sequence[Copy]) -> list[Edge]:
    return [Edge(copy.original, copy.id, copy.similarity, "near") for copy in copies if copy.similarity >= 0.7]


def test_a_search_that_misses_pairs_fails() -> None:
    """Half of the pairs left out: far below a curve that is .85 at .7 and nearly 1 above."""
    texts, copies = planted(160)
    right = outcome(texts, copies, true_edges(copies), MinHash(), seed=0)
    assert right.exit_status == 0
    wrong = outcome(texts, copies, true_edges(copies)[::2], MinHash(), seed=0)
    assert wrong.exit_status == GATE_FAILED
    assert "FAILS: significantly fewer copies found than the S-curve says (all from 0.7 on" in wrong.as_text()
    assert not wrong.false_edges


def test_one_missing_pair_of_the_same_words_fails() -> None:
    """The S-curve at 1 is 1: such a pair cannot be missed by chance."""
    texts, copies = planted(160)
    missed = next(copy.id for copy in copies if copy.similarity == 1)
    edges = [edge for edge in true_edges(copies) if edge.b != missed]
    found = outcome(texts, copies, edges, MinHash(), seed=0)
    assert [row.fails for row in found.rows if row.name == "1"] == [True]
    assert found.exit_status == GATE_FAILED


def test_one_pair_less_by_chance_does_not_fail() -> None:
    texts, copies = planted(160)
    lowest = min(copy.similarity for copy in copies if copy.similarity >= 0.7)
    assert lowest < 0.75
    edges = [edge for edge in true_edges(copies) if edge.similarity != lowest]
    assert outcome(texts, copies, edges, MinHash(), seed=0).exit_status == 0


def test_a_false_edge_fails_and_is_named() -> None:
    texts, copies = planted(24)
    edges = [*true_edges(copies), Edge("d1", "d2", 0.8, "near")]
    found = outcome(texts, copies, edges, MinHash(), seed=0)
    assert found.exit_status == GATE_FAILED
    assert "  false: d1 and d2, near: 0.8000 written, 0.0000 true" in found.as_text()
    assert found.as_text().endswith("FAILS: 1 false edges\n")


def test_copies_found_by_way_of_another_document_count_as_found() -> None:
    texts, copies = planted(24)
    through = next(copy for copy in copies if copy.similarity >= 0.7)
    edges = [edge for edge in true_edges(copies) if edge.b != through.id]
    edges += [Edge(through.original, "other", 1.0, "exact"), Edge("other", through.id, through.similarity, "near")]
    (over,) = (
        row
        for row in outcome({**texts, "other": texts[through.original]}, copies, edges, MinHash(), seed=0).rows
        if row.group == "all"
    )
    assert (over.n_planted, over.n_edges, over.n_found) == (len(edges) - 1, len(edges) - 2, len(edges) - 1)


def documents(ids: Sequence[str], n_rows: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(ids), n_rows):
        here = list(ids[start : start + n_rows])
        yield pa.record_batch([here, [f"text of {id}" for id in here]], schema=TEXT)


def test_a_sample_is_by_hash_and_the_same_in_any_order() -> None:
    ids = [f"d{i}" for i in range(100)]
    first = sample(lambda: documents(ids, 7), 10, 0)
    assert len(first[0]) == 10
    assert first == sample(lambda: documents(ids[::-1], 30), 10, 0)
    assert first[0] == sample(lambda: documents(ids, 100), 20, 0)[0][:10]
    assert set(first[0]) != set(sample(lambda: documents(ids, 7), 10, 1)[0])
    assert first[1] == [f"text of {id}" for id in first[0]]
    assert sorted(sample(lambda: documents(ids, 7), 1000, 0)[0]) == sorted(ids)
    assert sample(lambda: documents([], 7), 10, 0) == ([], [])


@pytest.mark.parametrize(
    ("similarity", "name"),
    [
        (0.3, "0.30–0.35"),
        (0.35, "0.35–0.40"),
        (0.6999, "0.65–0.70"),
        (0.7, "0.70–0.75"),
        (0.9999, "0.95–1.00"),
        (1, "1"),
    ],
)
def test_a_range_begins_at_its_lower_end(similarity: float, name: str) -> None:
    assert bin_of(similarity) == name


def test_two_self_tests_say_the_same(corpus: Path) -> None:
    first, second = (self_test_of_files([str(corpus)], DedupSettings(), n_copies=50) for _ in range(2))
    assert first == second
    other = self_test_of_files([str(corpus)], DedupSettings(), n_copies=50, seed=1)
    assert [row.similarity for row in first.rows] != [row.similarity for row in other.rows]


def test_a_run_is_tested_on_its_clean_documents_with_its_own_settings(finished: Path) -> None:
    """The corpus of a few dozen documents; those of validation and reference are no part of it."""
    run = open_run(finished)
    found = self_test_of_run(run)
    assert found.settings == MinHash.model_validate(run.manifest["recipe"]["dedup"]["minhash"])
    (n_input,) = run.connect().execute(
        "SELECT count(*) FROM documents WHERE source IN ('input', 'feed')"
    ).fetchone() or (0,)
    assert found.n_documents == n_input
    assert found.exit_status == 0
    assert self_test_of_run(run, PRESETS["fineweb"]).settings == PRESETS["fineweb"]


def test_a_run_without_near_duplicates_needs_settings(finished: Path) -> None:
    run = open_run(finished)
    recipe = {**run.manifest["recipe"], "dedup": {"exact": True, "minhash": None}}
    without = replace(run, manifest={**run.manifest, "recipe": recipe})
    with pytest.raises(RecipeError, match="searches no near duplicates"):
        self_test_of_run(without)
    assert self_test_of_run(without, MinHash()).n_copies > 0


@pytest.mark.parametrize(("texts", "says"), [([], "no texts"), (["too short"], "none of 1 documents")])
def test_files_with_nothing_to_copy_are_an_error(tmp_path: Path, texts: list[str], says: str) -> None:
    path = tmp_path / "few.parquet"
    pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), path)
    with pytest.raises(InputError, match=says):
        self_test_of_files([str(path)], DedupSettings())


def test_command_prints_tables_or_csv(corpus: Path) -> None:
    command = ["dedup-self-test", str(corpus), "--copies", "40", "--minhash", "14x8@0.75"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0
    assert "40 edited copies planted among 805 documents" in result.stdout
    assert "preset fineweb, 14 bands of 8 rows, pairs below similarity 0.75 refused" in result.stdout
    as_csv = CliRunner().invoke(app, [*command, "--csv"]).stdout
    assert as_csv.startswith("group,name,planted,")


def test_the_limit_may_be_given_by_itself(corpus: Path) -> None:
    command = ["dedup", str(corpus), "--self-test", "--minhash", "14x8", "--min-jaccard", "0.85"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0
    assert "14 bands of 8 rows, pairs below similarity 0.85 refused" in result.stdout
    assert "0.80–0.85" in result.stdout
    wrong = CliRunner().invoke(app, [*command[:-1], "1.5"])
    assert isinstance(wrong.exception, RecipeError)
    assert "min_jaccard: Input should be less than or equal to 1" in str(wrong.exception)


@pytest.mark.parametrize("options", [["--against", "ix"], ["--append", "ix"], ["--no-near"]])
def test_options_that_would_do_nothing_are_refused(corpus: Path, options: list[str]) -> None:
    result = CliRunner().invoke(app, ["dedup", str(corpus), "--self-test", *options])
    assert isinstance(result.exception, RecipeError)
    assert "leave --against, --append, --no-near out" in str(result.exception)


def test_command_takes_a_run(finished: Path) -> None:
    result = CliRunner().invoke(app, ["dedup-self-test", str(finished)])
    assert result.exit_code == 0
    assert "passes" in result.stdout

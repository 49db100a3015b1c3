"""The classifier of blocks from the command line: trained on pages of one's own, scored beside the one that ships."""

from __future__ import annotations

import gzip
import io
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from typer.testing import CliRunner

from datassay.cli.extractor import evaluate_pages, train_from_pages
from datassay.cli.main import app
from datassay.corpus.errors import InputError, MissingExtraError, RecipeError
from datassay.corpus.html.classifier import load
from datassay.corpus.html.examples import read_examples
from datassay.corpus.html.training import FOLDS, Prepared, cross_validation, folds, prepare

PAGE_KINDS = Path(__file__).parents[1] / "data" / "page-kinds.jsonl.zst"
PAGE = "<main><p>The harbour was quiet that morning.</p></main>"
TEXT = "The harbour was quiet that morning."


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Thirty pages of ten templates."""
    reader = zstandard.ZstdDecompressor().stream_reader(PAGE_KINDS.open("rb"))
    by_template: dict[str, list[dict[str, Any]]] = {}
    for line in io.BufferedReader(reader):
        row = orjson.loads(line)
        by_template.setdefault(row["template"], []).append({key: row[key] for key in ("html", "text", "template")})
    some = [pages[:3] for pages in by_template.values() if len(pages) >= 3][:10]
    return [row for pages in some for row in pages]


@pytest.fixture(scope="module")
def pages(rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lines(tmp_path_factory.mktemp("pages") / "pages.jsonl.zst", rows)


@pytest.fixture(scope="module")
def model(pages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_extra()
    path = tmp_path_factory.mktemp("model") / "mine.npz"
    said = train_from_pages([str(pages)], path, group="template")
    assert f"{path}: {path.stat().st_size:,} bytes, trained on 30 pages in 10 groups, " in said
    assert "blocks main text" in said
    return path


def need_extra() -> None:
    pytest.importorskip("rapidfuzz", exc_type=ImportError)
    pytest.importorskip("lightgbm", exc_type=ImportError)


def write_lines(path: Path, rows: Sequence[object]) -> Path:
    content = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    compress = {".gz": gzip.compress, ".zst": zstandard.compress}.get(path.suffix, bytes)
    path.write_bytes(compress(content))
    return path


def score_of(said: str, name: str) -> float:
    """F1 in a line of the table."""
    line = next(line for line in said.splitlines() if line.startswith(f"{name}  "))
    return float(line.removeprefix(name).split()[0])


def test_a_model_of_ones_own_is_scored_beside_the_one_that_ships(model: Path, pages: Path) -> None:
    said = evaluate_pages([str(pages)], model, group="template")
    assert said.startswith("30 pages in 10 groups\n")
    assert score_of(said, "mine.npz") > 0.97  # pages that it learned from
    assert score_of(said, "mine.npz") > score_of(said, "plain rule")
    assert 0.5 < score_of(said, "shipped") < 1
    assert "F1 of mine.npz less that of shipped: " in said


def test_cross_validation_asks_models_that_have_not_seen_the_page(pages: Path, model: Path) -> None:
    said = evaluate_pages([str(pages)], n_folds=3, group="template")
    assert said.startswith("30 pages in 10 groups\n")
    unseen = score_of(said, "trained on the others")
    assert 0.5 < unseen < score_of(evaluate_pages([str(pages)], model), "mine.npz")
    assert unseen < score_of(said, "blocks as labelled")
    assert said == evaluate_pages([str(pages)], n_folds=3, group="template")
    assert said != evaluate_pages([str(pages)], n_folds=3, group="template", seed=2)


def test_the_same_pages_give_the_same_bytes_in_any_format(
    rows: list[dict[str, Any]], model: Path, tmp_path: Path
) -> None:
    files = [write_lines(tmp_path / name, rows) for name in ("pages.jsonl", "pages.jsonl.gz", "pages.jsonl.zst")]
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    columns["html"] = [html.encode() for html in columns["html"]]  # bytes are UTF-8
    pq.write_table(pa.table(columns), tmp_path / "pages.parquet")
    for number, file in enumerate([*files, tmp_path / "pages.parquet"]):
        train_from_pages([str(file)], tmp_path / f"{number}.npz", group="template")
        assert (tmp_path / f"{number}.npz").read_bytes() == model.read_bytes(), file.name
    train_from_pages([str(files[0])], tmp_path / "other.npz", group="template", seed=2)
    assert (tmp_path / "other.npz").read_bytes() != model.read_bytes()


def test_groups_and_weights_change_what_is_learned(rows: list[dict[str, Any]], model: Path, tmp_path: Path) -> None:
    need_extra()
    weighted = [row | {"weight": 0.1 if i % 2 else 3} for i, row in enumerate(rows)]
    train_from_pages([str(write_lines(tmp_path / "w.jsonl", weighted))], tmp_path / "w.npz", group="template")
    said = train_from_pages([str(write_lines(tmp_path / "u.jsonl", rows))], tmp_path / "u.npz")
    assert "trained on 30 pages in 30 groups" in said
    assert len({path.read_bytes() for path in (model, tmp_path / "w.npz", tmp_path / "u.npz")}) == 3


def test_a_second_text_is_a_second_opinion(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    need_extra()
    twice = [row | {"other_text": row["text"]} for row in rows[:1]] + [row | {"other_text": ""} for row in rows[:1]]
    agreed, alone = (prepare(example) for _, example in read_examples([str(write_lines(tmp_path / "p.jsonl", twice))]))
    assert agreed is not None and alone is not None
    assert agreed.weight[agreed.is_wanted].sum() > 2 * alone.weight[agreed.is_wanted].sum()


def test_groups_are_never_split() -> None:
    groups = [f"site {i * i % 17}" for i in range(60)] + [None] * 10
    fold = folds(groups, 4, seed=3)
    for name in set(groups) - {None}:
        assert len({int(f) for f, group in zip(fold, groups, strict=True) if group == name}) == 1
    assert len(set(fold[60:].tolist())) > 1  # pages without a group are not one
    assert np.bincount(fold).max() - np.bincount(fold).min() <= 2
    assert fold.tolist() == folds(groups, 4, seed=3).tolist()
    assert fold.tolist() != folds(groups, 4, seed=4).tolist()


def test_neither_stage_learns_from_the_group_that_it_answers(
    rows: list[dict[str, Any]], pages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of cross-validation, and of the first stages whose answers the second one learns from."""
    need_extra()
    from datassay.corpus.html import training

    examples = [example for _, example in read_examples([str(pages)], group="template")]
    prepared = [prepare(example) for example in examples]
    group_of = {id(page.page.blocks): page.group for page in prepared if page is not None}
    learned: set[str | None] = set()
    answered = []
    stage, add = training._stage, training.add_probabilities

    def noted_stage(pages: Sequence[Prepared], *rest: Any) -> Any:
        learned.clear()
        learned.update(page.group for page in pages)
        return stage(pages, *rest)

    def noted_answer(page: Any, *rest: Any) -> None:
        assert group_of[id(page.blocks)] not in learned
        answered.append(page)
        add(page, *rest)

    monkeypatch.setattr(training, "_stage", noted_stage)
    monkeypatch.setattr(training, "add_probabilities", noted_answer)
    fold = folds([example.group for example in examples], 3, seed=1)
    for members, _ in cross_validation(prepared, fold):
        assert not learned & {examples[i].group for i in members}
    assert len(answered) == 2 * len(rows)  # each page is learned from in two of three folds


def test_the_same_page_twice_is_one_group(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "p.jsonl", [{"html": html, "text": TEXT} for html in (PAGE, PAGE, PAGE + " ")])
    groups = [example.group for _, example in read_examples([str(path)])]
    assert groups[0] == groups[1] != groups[2]


def test_groups_may_be_numbers_or_missing(tmp_path: Path) -> None:
    rows = [{"html": f"{PAGE}{i}", "text": TEXT, "group": group} for i, group in enumerate((7, "7", None, None))]
    path = write_lines(tmp_path / "p.jsonl", rows)
    groups = [example.group for _, example in read_examples([str(path)])]
    assert groups[0] == groups[1]
    assert len(set(groups)) == 3


PAIR = {"html": PAGE, "text": TEXT}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"body": PAGE, "text": TEXT}, "no field 'html', only body, text; rename the field that holds the page"),
        ({"html": PAGE}, "no field 'text', only html; rename the field that holds its main text"),
        ({"html": PAGE, "text": " \n"}, "'text' is empty; leave the page out, or give its text"),
        ({"html": "", "text": TEXT}, "'html' is empty; leave the page out, or give its html"),
        ({"html": PAGE, "text": "…"}, "'text' has no word; leave the page out, or give its text"),
        ({"html": PAGE, "text": 3.5}, "'text' is the number 3.5; it should be a string"),
        ({"html": [PAGE], "text": TEXT}, "'html' is a list; it should be a string"),
        ({"html": PAGE, "text": None}, "'text' is null; it should be a string"),
        (PAIR | {"other_text": {}}, "'other_text' is an object; it should be a string"),
        (PAIR | {"weight": "1"}, "'weight' is a string; it should be a number above 0"),
        (PAIR | {"weight": True}, "'weight' is true or false; it should be a number above 0"),
        (PAIR | {"weight": 0}, "'weight' is 0; it should be above 0; leave out a page that should not count"),
        (PAIR | {"group": 1.5}, "'group' is the number 1.5; it should be a string or a whole number"),
        (PAIR | {"group": ""}, "'group' is empty; give a name, or null for a page that stands alone"),
        ([PAGE, TEXT], "a list, no object; it should be one object a line, with html and text"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, row: object, message: str) -> None:
    path = write_lines(tmp_path / "p.jsonl", [PAIR, row])
    with pytest.raises(InputError) as raised:
        list(read_examples([str(path)]))
    assert str(raised.value) == f"p.jsonl: line 2: {message}"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"html": "caf\xe9", "text": "a"}', "not UTF-8 at byte 13; decode it, and write it as UTF-8"),
        (b'{"html": "a", "text": ', "not JSON: "),
        (b'{"html": "\\ud800", "text": "a"}', "not JSON: "),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(orjson.dumps(PAIR) + b"\n\n" + line + b"\n")
    with pytest.raises(InputError) as raised:
        list(read_examples([str(path)]))
    assert str(raised.value).startswith(f"p.jsonl: line 3: {message}")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"url": ["u"], "text": [TEXT]}, "no column 'html', only url, text; rename the field that holds the page"),
        ({"html": [PAGE, PAGE], "text": [TEXT, None]}, "row 1 from 0: 'text' is null; it should be a string"),
        ({"html": [b"caf\xe9"], "text": [TEXT]}, "row 0 from 0: 'html': not UTF-8 at byte 3; decode it"),
        (
            {"html": pa.array([b"caf\xe9"]).view(pa.string()), "text": [TEXT]},
            "row 0 from 0: 'html': not UTF-8 at byte 3; decode it",
        ),
        ({"html": [PAGE], "text": [TEXT], "weight": [math.inf]}, "row 0 from 0: 'weight' is inf; it should be above 0"),
    ],
)
def test_a_wrong_parquet_file_is_named(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    with pytest.raises(InputError) as raised:
        list(read_examples([str(tmp_path / "p.parquet")]))
    assert str(raised.value).startswith(f"p.parquet: {message}")


def test_a_field_of_groups_must_be_there(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "p.jsonl", [PAIR | {"site": "a"}, PAIR])
    with pytest.raises(InputError, match="line 2: no value in 'site', the field of groups"):
        list(read_examples([str(path)], group="site"))
    pq.write_table(pa.table({"html": [PAGE], "text": [TEXT]}), tmp_path / "p.parquet")
    with pytest.raises(InputError, match="no column 'site', only html, text; give each page its group"):
        list(read_examples([str(tmp_path / "p.parquet")], group="site"))


def test_files_that_hold_no_pages_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "page.html").write_text(PAGE)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "cut.jsonl.zst").write_bytes(zstandard.compress(orjson.dumps(PAIR) * 99)[:40])
    for name, message in (
        ("missing.jsonl", "no such file"),
        ("empty.jsonl", r"empty\.jsonl: empty; it should have a page a line"),
        ("page.html", r"page\.html: a file of format html; pages are JSON lines or Parquet"),
        ("broken.parquet", r"broken\.parquet: not a readable Parquet file"),
        ("cut.jsonl.zst", r"cut\.jsonl\.zst: line 1: truncated_member: cannot be decompressed"),
    ):
        with pytest.raises(InputError, match=message):
            list(read_examples([str(tmp_path / name)]))


def test_too_few_pages_say_how_many_are_needed(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    need_extra()
    nine = str(write_lines(tmp_path / "nine.jsonl", rows[:9]))  # of three templates
    with pytest.raises(InputError, match=rf"9 pages with blocks in 3 groups are too few.*needs {FOLDS} groups"):
        train_from_pages([nine], tmp_path / "m.npz", group="template")
    with pytest.raises(InputError, match="9 pages in 3 groups for 5 folds: each fold needs a group"):
        evaluate_pages([nine], group="template")
    with pytest.raises(InputError, match="in 2 groups are too few to train on"):  # that one fold leaves to the others
        evaluate_pages([nine], group="template", n_folds=3)
    small = [{"html": f"{PAGE}<p>{i}</p>", "text": TEXT} for i in range(8)]
    with pytest.raises(InputError, match=r"8 pages with 8 blocks of main text and 8 others are too few.*holds 25"):
        train_from_pages([str(write_lines(tmp_path / "small.jsonl", small))], tmp_path / "m.npz")
    assert not (tmp_path / "m.npz").exists()


def test_pages_that_say_little_are_named(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    need_extra()
    wrong = [
        *rows,
        {"html": "<p></p>", "text": TEXT, "template": "x"},
        rows[0] | {"text": "No word of it, no word. " * 9},
    ]
    said = train_from_pages([str(write_lines(tmp_path / "p.jsonl", wrong))], tmp_path / "m.npz", group="template")
    assert "trained on 31 pages in 10 groups" in said
    assert "pages without text, left out: 1, p.jsonl: line 31\n" in said
    assert "pages that hold less than half of their text (another page's?): 1, p.jsonl: line 32\n" in said


def test_one_page_is_enough_to_ask_a_model(model: Path, tmp_path: Path) -> None:
    said = evaluate_pages([str(write_lines(tmp_path / "p.jsonl", [PAIR]))], model)
    assert said.startswith("1 pages in 1 groups\n")
    assert "less that of shipped" not in said  # no interval of one page


def test_wrong_arguments_are_refused(model: Path, pages: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"m\.bin: a classifier of blocks is a file that ends in \.npz"):
        train_from_pages([str(pages)], tmp_path / "m.bin")
    with pytest.raises(RecipeError, match="--folds and --seed are for cross-validation"):
        evaluate_pages([str(pages)], model, n_folds=5)
    with pytest.raises(InputError, match=r"none\.npz: no such file; `datassay extractor train` makes"):
        evaluate_pages([str(pages)], tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no model")
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    for name in ("text.npz", "other.npz"):
        with pytest.raises(InputError, match="no classifier of blocks; `datassay extractor train` makes one"):
            load(tmp_path / name)


@pytest.mark.parametrize("module", ["lightgbm", "rapidfuzz"])
def test_without_the_extra_a_message_says_what_to_install(
    module: str, pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if module == "rapidfuzz":
        pytest.importorskip("lightgbm", exc_type=ImportError)
    monkeypatch.setitem(sys.modules, module, None)
    for ask in (lambda: train_from_pages([str(pages)], tmp_path / "m.npz"), lambda: evaluate_pages([str(pages)])):
        with pytest.raises(MissingExtraError, match=rf'training needs {module}: pip install "datassay\[extractor\]"'):
            ask()


def test_the_commands(pages: Path, model: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    output = tmp_path / "again.npz"
    done = runner.invoke(app, ["extractor", "train", str(pages), "--group", "template", "-o", str(output)])
    assert done.exit_code == 0, done.output
    assert output.read_bytes() == model.read_bytes()
    done = runner.invoke(app, ["extractor", "evaluate", str(pages), "--model", str(output)])
    assert done.exit_code == 0, done.output
    assert score_of(done.output, "again.npz") > 0.97
    done = runner.invoke(app, ["extractor", "evaluate", str(pages), "--folds", "1"])
    assert done.exit_code == 2

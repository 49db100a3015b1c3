"""Classifiers without a run: train on files, evaluate on labelled ones, score any."""

from __future__ import annotations

from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.cli.classifiers import card_path, evaluate_file, score_files, train_from_files
from datassay.corpus.errors import InputError, RecipeError
from datassay.corpus.schema import document_id
from datassay.filters.quality import QualityScoring, QualitySettings

GOOD = [f"the river ran slowly past {i} old stone houses where people met to talk" for i in range(40)]
BAD = [f"click here login menu {i} share tweet accept cookies subscribe now" for i in range(60)]


def write_lines(path: Path, rows: list[dict[str, object]]) -> str:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    good = write_lines(folder / "good.jsonl", [{"text": text} for text in GOOD])
    pq.write_table(pa.table({"text": BAD}), folder / "bad.parquet")
    output = folder / "quality.npz"
    text = train_from_files([good], [str(folder / "bad.parquet")], output, QualitySettings(kind="logistic"))
    assert text.startswith("trained on 40 good documents, 36 good rows")
    assert "AUC of length alone" in text
    assert orjson.loads(card_path(output).read_bytes())["held_out"]["raw_documents"] == 6  # a tenth of 60
    return output


def test_a_fasttext_model_comes_out_of_the_same_files(tmp_path: Path) -> None:
    good = write_lines(tmp_path / "good.jsonl", [{"text": text} for text in GOOD])
    bad = write_lines(tmp_path / "bad.jsonl", [{"text": text} for text in BAD])
    train_from_files([good], [bad], tmp_path / "quality.bin", QualitySettings(epochs=20))
    table = evaluate_file(tmp_path / "quality.bin", write_lines(tmp_path / "l.jsonl", LABELLED))
    assert "2 good and 2 bad documents" in table
    with pytest.raises(RecipeError, match=r"fasttext model's file ends in \.bin"):
        train_from_files([good], [bad], tmp_path / "quality.npz", QualitySettings())


LABELLED: list[dict[str, object]] = [
    {"text": "old stone houses where people talk", "label": 1},
    {"text": "the river ran", "label": True},
    {"text": "click here", "label": "low"},
    {"text": "accept cookies", "label": 0},
]


def test_labels_of_any_kind_are_read(model: Path, tmp_path: Path) -> None:
    table = evaluate_file(model, write_lines(tmp_path / "l.jsonl", LABELLED))
    assert "2 good and 2 bad documents" in table
    row = next(line for line in table.splitlines() if line.startswith("AUC "))
    assert row.split()[1] == "1"
    assert "AUC of length alone" in table
    other = [{"body": row["text"], "grade": row["label"]} for row in LABELLED]
    again = evaluate_file(model, write_lines(tmp_path / "m.jsonl", other), text="body", label="grade")
    assert again == table


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "x", "label": 0.5}], "row 0: column 'label' is 0.5; right would be 1"),
        ([{"text": "x"}], "row 0: column 'label' is None"),
        ([{"body": "x", "label": 1}], "text"),
    ],
)
def test_files_without_labels_or_texts_are_refused(
    model: Path, tmp_path: Path, rows: list[dict[str, object]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        evaluate_file(model, write_lines(tmp_path / "l.jsonl", rows))


def test_scores_can_be_joined_by_a_run(model: Path, tmp_path: Path) -> None:
    rows = [{"id": f"doc-{i}", "text": text} for i, text in enumerate(["the river ran", "click here", ""])]
    path = write_lines(tmp_path / "docs.jsonl", rows)
    assert score_files(model, [path], tmp_path / "scores.parquet", QualityScoring(name="gpt3")) == 3
    table = pq.read_table(tmp_path / "scores.parquet")
    assert table["id"].to_pylist()[0] == document_id("docs.jsonl", 0)
    assert table["source_id"].to_pylist() == ["doc-0", "doc-1", "doc-2"]
    river, click, empty = table["gpt3"].to_pylist()
    assert river > 0.5 > click > empty == 0


def test_a_table_for_people(model: Path, shared: Path) -> None:
    table = evaluate_file(model, str(shared / "quality/labels.parquet"))
    assert "157 good and 133 bad documents" in table
    assert "share good" in table

"""The quality classifier: learns what is good, not what is long; the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from datassay.corpus.engine import Inputs, Task, run_task
from datassay.corpus.errors import RecipeError
from datassay.corpus.hashing import splitmix64
from datassay.corpus.schema import DOCUMENT
from datassay.filters.quality import (
    QUALITY,
    QualityScoring,
    QualitySettings,
    auc,
    load_model,
    pieces_of,
    quality_scores,
    score_quality,
    train_quality,
    words_of,
)

GOOD = words_of("the river ran slowly past old stone houses where people gathered to talk in the evening")
RAW = words_of("click here login menu share tweet cookies accept subscribe cart price sale home next page")


def document(words: list[str], seed: int, n_words: int) -> str:
    return " ".join(words[int(i)] for i in splitmix64(seed, n_words) % np.uint64(len(words)))


def write_documents(path: Path, texts: list[str]) -> Path:
    schema = pa.schema([DOCUMENT.field("id"), DOCUMENT.field("text")])
    ids = [f"{path.stem}{i:030x}" for i in range(len(texts))]
    pq.write_table(pa.table([ids, texts], schema=schema), path)
    return path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """40 good documents and 120 raw ones; every fifth raw one is as good, and one is a reference's copy."""
    folder = tmp_path_factory.mktemp("texts")
    good = [document(GOOD, 1000 * i, 50 + 7 * i) for i in range(40)]
    raw = [document(GOOD if i % 5 == 0 else RAW, 1000 * i + 500, 30 + 3 * i) for i in range(120)]
    return Inputs(
        {
            "reference": (write_documents(folder / "a.parquet", good),),
            "clean": (write_documents(folder / "b.parquet", [*raw, good[0].upper()]),),
        }
    )


@pytest.fixture(scope="module")
def trained(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    run_task(Task(train_quality, inputs, QualitySettings(), folder, 0, "key"))
    return folder


def test_training_again_gives_the_same_bytes(inputs: Inputs, trained: Path, tmp_path: Path) -> None:
    (shard,) = inputs.all("clean")
    table = pq.read_table(shard)
    pq.write_table(table.slice(50), tmp_path / "0.parquet")
    pq.write_table(table.slice(0, 50), tmp_path / "1.parquet")  # the same documents, cut and ordered otherwise
    again = Inputs({**inputs.files, "clean": (tmp_path / "0.parquet", tmp_path / "1.parquet")})
    run_task(Task(train_quality, again, QualitySettings(), tmp_path, 0, "key"))
    for name in ("quality_model/part-00000.bin", "quality_card/part-00000.json"):
        assert (trained / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_the_card_tells_what_was_trained_on(trained: Path) -> None:
    card = orjson.loads((trained / "quality_card/part-00000.json").read_bytes())
    assert card["counts"]["good_documents"] == 40
    assert card["counts"]["raw_copies_of_good"] == 1
    assert card["held_out"]["good_documents"] == 4  # a tenth of 40
    assert card["counts"]["raw_documents"] + card["held_out"]["raw_documents"] == 120
    assert card["held_out"]["auc"]["value"] > card["held_out"]["auc_of_length"]["value"]
    assert card["settings"] == QualitySettings().model_dump()


def test_good_text_scores_above_raw_text_of_any_length(trained: Path) -> None:
    model = load_model(trained / "quality_model/part-00000.bin", "good")
    lengths = (20, 100, 1000)
    good = quality_scores(model, [document(GOOD, 7, n) for n in lengths], QualityScoring())
    raw = quality_scores(model, [document(RAW, 7, n) for n in lengths], QualityScoring())
    assert good.min() > 0.5 > raw.max()


def test_scores_lie_beside_the_documents(trained: Path, tmp_path: Path) -> None:
    path = write_documents(tmp_path / "c.parquet", ["", " \n", "the river ran", "Click\nhere"])
    task_inputs = Inputs({"clean": (path,), "quality_model": (trained / "quality_model/part-00000.bin",)})
    run_task(Task(score_quality, task_inputs, QualitySettings().scoring, tmp_path / "out", 0, "key"))
    table = pq.read_table(tmp_path / "out/quality/part-00000.parquet")
    assert table.schema == QUALITY
    assert table["id"].equals(pq.read_table(path)["id"])
    scores = table["quality"].to_pylist()
    assert scores[:2] == [0, 0]  # no word
    assert scores[2] > scores[3]
    assert all(0 <= score <= 1 for score in scores)


def test_a_model_from_elsewhere_reads_the_text_as_it_is(trained: Path) -> None:
    model = load_model(trained / "quality_model/part-00000.bin", "good")
    settings = QualitySettings(model="theirs.bin").scoring
    assert settings.piece_words is None
    expected = dict(zip(*model.predict("Old stone", k=2), strict=True))["__label__good"]
    assert quality_scores(model, ["Old\nstone"], settings).tolist() == [pytest.approx(expected, abs=1e-6)]


def test_another_label_or_file_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no label 'hq', only "):
        load_model(trained / "quality_model/part-00000.bin", "hq")
    (tmp_path / "model.bin").write_bytes(b"none")
    with pytest.raises(RecipeError, match="not a fastText model"):
        load_model(tmp_path / "model.bin", "good")


def test_no_reference_is_refused(inputs: Inputs, tmp_path: Path) -> None:
    empty = Inputs({**inputs.files, "reference": (write_documents(tmp_path / "a.parquet", []),)})
    with pytest.raises(RecipeError, match="0 lines of reference text"):
        run_task(Task(train_quality, empty, QualitySettings(), tmp_path, 0, "key"))


def test_a_matrix_too_small_to_train_reproducibly_is_refused() -> None:
    assert QualitySettings(dim=16, buckets=540_672).buckets * 16 * 4 == 33 << 20  # exactly enough
    with pytest.raises(ValidationError, match="take buckets >= 540672"):
        QualitySettings(dim=16, buckets=540_671)


@pytest.mark.parametrize(
    ("n_words", "lengths"),
    [(0, []), (1, [1]), (299, [299]), (300, [150, 150]), (499, [249, 250]), (501, [167, 167, 167])],
)
def test_pieces_are_of_similar_length(n_words: int, lengths: list[int]) -> None:
    pieces = pieces_of([str(i) for i in range(n_words)], 200)
    assert [len(piece.split()) for piece in pieces] == lengths
    assert " ".join(pieces).split() == [str(i) for i in range(n_words)]


def test_words_do_not_tell_the_source() -> None:
    assert words_of("Well ,\nhe said") == words_of("well, he  said") == ["well", ",", "he", "said"]
    assert words_of("__label__good")[:2] == ["_", "_"]  # no text can claim a label


def test_auc_and_its_interval() -> None:
    # 2 lies above 1 and ties with 2; 4 and 5 lie above all three
    area, low, high = auc(np.array([2.0, 4, 5]), np.array([1.0, 2, 3]))
    assert area == pytest.approx((1.5 + 3 + 3) / 9)
    # variance: that of (.5, 1, 1) / 3 plus that of (1, 5/6, 2/3) / 3
    half = 1.959964 * np.sqrt(np.var([0.5, 1, 1], ddof=1) / 3 + np.var([1, 5 / 6, 2 / 3], ddof=1) / 3)
    assert (low, high) == (pytest.approx(area - half), 1.0)
    assert all(np.isnan(auc(np.array([1.0]), np.array([1.0, 2.0]))))


def test_real_reference_against_the_raw_corpus(shared: Path, tmp_path: Path) -> None:
    reference = pq.read_table(shared / "quality/reference.parquet", filters=[("label", "==", "high")])
    pq.write_table(reference.select(["id", "text"]), tmp_path / "reference.parquet")
    corpus = (shared / "corpus/raw-00000.parquet",)
    inputs = Inputs({"reference": (tmp_path / "reference.parquet",), "clean": corpus})
    run_task(Task(train_quality, inputs, QualitySettings(), tmp_path, 0, "key"))
    held_out = orjson.loads((tmp_path / "quality_card/part-00000.json").read_bytes())["held_out"]
    assert held_out["auc"]["low"] > 0.75

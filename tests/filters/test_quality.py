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
from datassay.corpus.errors import InputError, RecipeError
from datassay.corpus.hashing import splitmix64
from datassay.corpus.schema import DOCUMENT
from datassay.filters.examples import pieces_of, words_of
from datassay.filters.fasttext_classifier import FastTextClassifier, check_whole
from datassay.filters.quality import (
    QUALITY,
    QualityScoring,
    QualitySettings,
    evaluate_classifier,
    load_classifier,
    score_quality,
    train_quality,
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
    classifier = load_classifier(trained / "quality_model/part-00000.bin")
    lengths = (20, 100, 1000)
    good = classifier.scores([document(GOOD, 7, n) for n in lengths])
    raw = classifier.scores([document(RAW, 7, n) for n in lengths])
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
    settings = QualitySettings(model="theirs.bin").scoring
    assert settings.piece_words is None
    classifier = load_classifier(trained / "quality_model/part-00000.bin", settings)
    assert isinstance(classifier, FastTextClassifier)
    expected = dict(zip(*classifier.model.predict("Old stone", k=2), strict=True))["__label__good"]
    assert classifier.scores(["Old\nstone"]).tolist() == [pytest.approx(expected, abs=1e-6)]


def test_another_label_or_file_is_refused(trained: Path, tmp_path: Path) -> None:
    model = trained / "quality_model/part-00000.bin"
    with pytest.raises(RecipeError, match="no label 'hq', only "):
        load_classifier(model, QualityScoring(label="hq"))
    for content in (b"none", b"", b"\x7fELF" * 9):
        (tmp_path / "model.bin").write_bytes(content)
        with pytest.raises(RecipeError, match="neither a fastText model"):
            load_classifier(tmp_path / "model.bin")
    content = model.read_bytes()
    for damaged in (content[:60], content[:100], content[:200], content[:-1], content + b"0"):
        (tmp_path / "cut.bin").write_bytes(damaged)
        with pytest.raises(RecipeError, match="not a whole fastText model"):
            load_classifier(tmp_path / "cut.bin")
    with pytest.raises(InputError, match="no classifier can be read"):
        load_classifier(tmp_path / "missing.bin")


@pytest.mark.parametrize("norms", [False, True])
@pytest.mark.parametrize("n_labels", [2, 300])  # the output is quantized too, which takes 256 labels
def test_a_quantized_model_is_known_to_be_whole(tmp_path: Path, n_labels: int, norms: bool) -> None:
    import fasttext

    lines = tmp_path / "lines.txt"
    texts = [f"__label__{i % n_labels} {document(GOOD if i % 2 else RAW, i, 30)} n{i}" for i in range(600)]
    lines.write_text("\n".join(texts) + "\n")
    model = fasttext.train_supervised(str(lines), dim=8, thread=1, verbose=0, bucket=1000, wordNgrams=2)
    model.quantize(qnorm=norms, qout=n_labels >= 256, cutoff=300, input=str(lines), retrain=False)
    model.save_model(str(tmp_path / "model.ftz"))
    check_whole(tmp_path / "model.ftz")
    content = (tmp_path / "model.ftz").read_bytes()
    for cut in (len(content) - 1, len(content) // 2):
        (tmp_path / "cut.ftz").write_bytes(content[:cut])
        with pytest.raises(RecipeError, match="not a whole fastText model"):
            check_whole(tmp_path / "cut.ftz")


def test_a_classifier_has_a_column_of_its_own(trained: Path, tmp_path: Path) -> None:
    path = write_documents(tmp_path / "c.parquet", ["the river ran"])
    task_inputs = Inputs({"clean": (path,), "quality_model": (trained / "quality_model/part-00000.bin",)})
    settings = QualitySettings(name="edu").scoring
    run_task(Task(score_quality, task_inputs, settings, tmp_path / "out", 0, "key"))
    assert pq.read_schema(tmp_path / "out/quality/part-00000.parquet").names == ["id", "edu"]


def test_bad_texts_take_the_place_of_raw_ones(inputs: Inputs, tmp_path: Path) -> None:
    bad = write_documents(tmp_path / "bad.parquet", [document(RAW, 1000 * i, 60) for i in range(30)])
    run_task(Task(train_quality, Inputs({**inputs.files, "bad": (bad,)}), QualitySettings(), tmp_path, 0, "key"))
    card = orjson.loads((tmp_path / "quality_card/part-00000.json").read_bytes())
    assert card["counts"]["raw_documents"] + card["held_out"]["raw_documents"] == 30


@pytest.mark.parametrize(
    "changes", [{"kind": "logistic", "dim": 32}, {"logistic": {"l2": 2.0}}, {"kind": "logistic", "epochs": 1}]
)
def test_settings_of_the_other_kind_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="means nothing for kind"):
        QualitySettings.model_validate(changes)


def test_a_classifier_is_evaluated_beside_length(trained: Path) -> None:
    texts = [document(GOOD if i % 2 else RAW, i, 40 + i) for i in range(30)]
    found = evaluate_classifier(trained / "quality_model/part-00000.bin", texts, [i % 2 == 1 for i in range(30)])
    assert (found.n_good, found.n_bad) == (15, 15)
    assert found.auc.value == 1 > found.auc_of_length.value
    assert found.calibration is not None


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


def test_real_reference_against_the_raw_corpus(shared: Path, tmp_path: Path) -> None:
    reference = pq.read_table(shared / "quality/reference.parquet", filters=[("label", "==", "high")])
    pq.write_table(reference.select(["id", "text"]), tmp_path / "reference.parquet")
    corpus = (shared / "corpus/raw-00000.parquet",)
    inputs = Inputs({"reference": (tmp_path / "reference.parquet",), "clean": corpus})
    run_task(Task(train_quality, inputs, QualitySettings(), tmp_path, 0, "key"))
    held_out = orjson.loads((tmp_path / "quality_card/part-00000.json").read_bytes())["held_out"]
    assert held_out["auc"]["low"] > 0.75

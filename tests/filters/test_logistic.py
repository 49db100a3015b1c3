"""The logistic classifier: its features word by word, its weights against their definition, the same bytes twice."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from datassay.corpus.engine import Inputs, Task, run_task
from datassay.corpus.errors import RecipeError
from datassay.corpus.hashing import splitmix64
from datassay.corpus.schema import DOCUMENT
from datassay.filters.examples import words_of
from datassay.filters.logistic import (
    LogisticClassifier,
    ModelSettings,
    feature_rows,
    fit,
    hash_words,
    load_logistic,
    save_logistic,
)
from datassay.filters.quality import QualityScoring, QualitySettings, load_classifier, score_quality, train_quality
from datassay.filters.quality_settings import LogisticFeatures

MASK = (1 << 64) - 1


def hash_in_python(word: str) -> int:
    """FNV-1a's step over code points and the finish of splitmix64, as their definitions have them."""
    value = 0xCBF29CE484222325
    for character in word:
        value = (value ^ ord(character)) * 0x100000001B3 & MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & MASK
    return value ^ value >> 31


def features_of(text: str, features: LogisticFeatures, head_chars: int = 20_000) -> list[int]:
    words, ends = hash_words(pa.array([text], pa.large_string()), features, head_chars=head_chars)
    assert ends.tolist() == [len(words)]
    return words.tolist()


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ("white_space", ["well,", "he", "said:", "don't!", "3.14", "naïve", "ünï", "漢字"]),
        ("words", ["well", ",", "he", "said", ":", "don't", "!", "3.14", "naïve", "ünï", "漢", "字"]),
    ],
)
def test_words_are_hashed_in_lower_case(tokens: str, words: list[str]) -> None:
    features = LogisticFeatures.model_validate({"tokens": tokens})
    text = "Well,  HE said:\n\tDon't! 3.14 naïve\u2003ÜNÏ 漢字 "
    assert features_of(text, features) == [hash_in_python(word) % (1 << 18) for word in words]


@given(st.text(st.sampled_from("aB é\n漢😀 ,"), max_size=40), st.integers(1, 45), st.integers(2, 1000))
def test_only_the_beginning_is_hashed(text: str, head_chars: int, n_features: int) -> None:
    features = LogisticFeatures(n_features=n_features)
    expected = [hash_in_python(word.lower()) % n_features for word in text[:head_chars].split()]
    assert features_of(text, features, head_chars) == expected
    # as a slice of a longer column too
    for kind in (pa.large_string(), pa.string()):
        array = pa.array(["xx yy", text, "zz"], kind).slice(1, 2)
        words, ends = hash_words(array, features, head_chars=head_chars)
        assert words[: ends[0]].tolist() == expected


def settings_of(**changes: object) -> ModelSettings:
    return ModelSettings(features=LogisticFeatures.model_validate(changes), piece_words=3, head_chars=100)


@pytest.mark.parametrize("values", ["counts", "binary", "unit"])
def test_values_of_a_row(values: str) -> None:
    rows, owners = feature_rows(pa.array(["b a a", "", "c"], pa.large_string()), settings_of(values=values))
    assert owners.tolist() == [0, 2]  # a text without words has no row
    row = dict(zip(rows[0].indices.tolist(), rows[0].data.tolist(), strict=True))
    counts = {"a": 2.0, "b": 1.0}
    if values == "binary":
        counts = {"a": 1.0, "b": 1.0}
    elif values == "unit":
        counts = {"a": 2 / math.sqrt(5), "b": 1 / math.sqrt(5)}
    assert row == {hash_in_python(word) % (1 << 18): pytest.approx(value) for word, value in counts.items()}


def test_pieces_are_rows_of_equal_length() -> None:
    text = " ".join(f"w{i}" for i in range(8))  # 8 words in round(8 / 3) = 3 pieces: 2, 3, 3
    rows, owners = feature_rows(pa.array([text, "one"], pa.large_string()), settings_of(whole_documents=False))
    assert owners.tolist() == [0, 0, 0, 1]
    assert np.diff(rows.indptr).tolist() == [2, 3, 3, 1]
    assert sorted(rows[1].indices.tolist()) == sorted(hash_in_python(f"w{i}") % (1 << 18) for i in (2, 3, 4))


def test_weights_are_where_the_penalized_loss_is_flat() -> None:
    generator = np.random.default_rng(0)
    x = generator.poisson(1, (60, 7)).astype(np.float64)
    y = np.arange(60) < 15
    weights, bias = fit(csr_matrix(x), y, l2=0.5, max_steps=500)
    share = np.where(y, 60 / (2 * 15), 60 / (2 * 45))  # both classes weigh the same
    errors = share * (1 / (1 + np.exp(-(x @ weights + bias))) - y)
    assert x.T @ errors + 0.5 * weights == pytest.approx(np.zeros(7), abs=1e-2)
    assert errors.sum() == pytest.approx(0, abs=1e-2)
    assert (share * 1)[y].sum() == pytest.approx(share[~y].sum())


def test_too_few_steps_are_told() -> None:
    generator = np.random.default_rng(0)
    rows = csr_matrix(generator.poisson(1, (60, 7)).astype(np.float64))
    with pytest.raises(RecipeError, match=r"did not converge in 1 steps; raise logistic\.max_steps"):
        fit(rows, np.arange(60) < 15, l2=1e-3, max_steps=1)


GOOD = words_of("the river ran slowly past old stone houses where people gathered to talk in the evening")
RAW = words_of("click here login menu share tweet cookies accept subscribe cart price sale home next page")


def document(words: list[str], seed: int, n_words: int) -> str:
    return " ".join(words[int(i)] for i in splitmix64(seed, n_words) % np.uint64(len(words)))


def write_documents(path: Path, texts: list[str]) -> Path:
    schema = pa.schema([DOCUMENT.field("id"), DOCUMENT.field("text")])
    pq.write_table(pa.table([[f"{path.stem}{i:030x}" for i in range(len(texts))], texts], schema=schema), path)
    return path


SETTINGS = [
    QualitySettings(kind="logistic"),
    QualitySettings(
        kind="logistic", piece_words=20, logistic=LogisticFeatures(tokens="words", values="unit", whole_documents=False)
    ),
]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    folder = tmp_path_factory.mktemp("texts")
    good = [document(GOOD, 1000 * i, 50 + 7 * i) for i in range(40)]
    raw = [document(GOOD if i % 5 == 0 else RAW, 1000 * i + 500, 30 + 3 * i) for i in range(120)]
    return Inputs(
        {
            "reference": (write_documents(folder / "a.parquet", good),),
            "clean": (write_documents(folder / "b.parquet", [*raw, good[0].upper()]),),
        }
    )


@pytest.mark.parametrize("settings", SETTINGS)
def test_training_again_gives_the_same_bytes(inputs: Inputs, settings: QualitySettings, tmp_path: Path) -> None:
    (shard,) = inputs.all("clean")
    table = pq.read_table(shard)
    pq.write_table(table.slice(50), tmp_path / "0.parquet")
    pq.write_table(table.slice(0, 50), tmp_path / "1.parquet")  # the same documents, cut and ordered otherwise
    again = Inputs({**inputs.files, "clean": (tmp_path / "0.parquet", tmp_path / "1.parquet")})
    for name, given_inputs in (("one", inputs), ("two", again)):
        run_task(Task(train_quality, given_inputs, settings, tmp_path / name, 0, "key"))
    for name in ("quality_model/part-00000.npz", "quality_card/part-00000.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    card = orjson.loads((tmp_path / "one/quality_card/part-00000.json").read_bytes())
    assert card["counts"]["good_documents"] == 40
    assert card["counts"]["raw_copies_of_good"] == 1
    assert card["counts"]["raw_documents"] + card["held_out"]["raw_documents"] == 120
    assert card["held_out"]["auc"]["value"] > card["held_out"]["auc_of_length"]["value"]
    assert card["held_out"]["calibration"]["bins"]
    classifier = load_classifier(tmp_path / "one/quality_model/part-00000.npz")
    good, raw = (classifier.scores([document(words, 7, n) for n in (20, 100, 400)]) for words in (GOOD, RAW))
    assert good.min() > 0.5 > raw.max()


def test_scores_lie_beside_the_documents(inputs: Inputs, tmp_path: Path) -> None:
    settings = QualitySettings(kind="logistic", name="gpt3")
    run_task(Task(train_quality, inputs, settings, tmp_path, 0, "key"))
    model = tmp_path / "quality_model/part-00000.npz"
    texts = ["", " \n", "the river ran", "Click\nhere"]
    path = write_documents(tmp_path / "c.parquet", texts)
    task_inputs = Inputs({"clean": (path,), "quality_model": (model,)})
    run_task(Task(score_quality, task_inputs, settings.scoring, tmp_path / "out", 0, "key"))
    table = pq.read_table(tmp_path / "out/quality/part-00000.parquet")
    assert table.column_names == ["id", "gpt3"]
    scores = table["gpt3"].to_pylist()
    assert scores[:2] == [0, 0]  # no word
    classifier = load_logistic(model)
    for text, score in zip(texts[2:], scores[2:], strict=True):
        counts = Counter(hash_in_python(word) % (1 << 18) for word in text.lower().split())
        logit = classifier.bias + sum(n * classifier.weights[i] for i, n in counts.items())
        assert score == pytest.approx(1 / (1 + math.exp(-logit)), rel=1e-12)


def test_a_model_survives_its_file_and_says_the_same_for_ever(tmp_path: Path) -> None:
    model = LogisticClassifier(np.linspace(-1, 1, 16), 0.25, settings_of(n_features=16))
    for name in ("a.npz", "b.npz"):
        save_logistic(tmp_path / name, model)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = load_logistic(tmp_path / "a.npz")
    assert again.settings == model.settings
    texts = ["one two", "three " * 400, "\U0001f600"]
    assert again.scores(texts).tolist() == model.scores(texts).tolist()
    huge = LogisticClassifier(np.full(16, 1e3), 0.0, settings_of(n_features=16))
    assert huge.scores(["a " * 50]).tolist() == [1.0]  # no overflow


def test_damaged_models_are_refused(tmp_path: Path) -> None:
    model = LogisticClassifier(np.zeros(16), 0.0, settings_of(n_features=16))
    save_logistic(tmp_path / "a.npz", model)
    with pytest.raises(RecipeError, match="has one score and no label 'hq'"):
        load_classifier(tmp_path / "a.npz", QualityScoring(label="hq"))
    with pytest.raises(RecipeError, match="trained on the first 100 characters"):
        load_classifier(tmp_path / "a.npz", QualityScoring(head_chars=99))
    assert load_classifier(tmp_path / "a.npz", QualityScoring(head_chars=100)).settings.head_chars == 100
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    short = LogisticClassifier(np.zeros(15), 0.0, settings_of(n_features=16))
    save_logistic(tmp_path / "short.npz", short)
    for name in ("cut", "other", "short"):
        with pytest.raises(RecipeError, match=r"not a whole logistic model|with weights \(15,\)"):
            load_classifier(tmp_path / f"{name}.npz")


def test_no_reference_is_refused(inputs: Inputs, tmp_path: Path) -> None:
    empty = Inputs({**inputs.files, "reference": (write_documents(tmp_path / "a.parquet", []),)})
    with pytest.raises(RecipeError, match="0 rows of reference text"):
        run_task(Task(train_quality, empty, QualitySettings(kind="logistic"), tmp_path, 0, "key"))


def test_labelled_web_pages_beyond_their_length(shared: Path, tmp_path: Path) -> None:
    """Good against bad reference texts, without a look at the labels: better than chance at equal length."""
    from datassay.filters.quality import evaluate_classifier

    reference = pq.read_table(shared / "quality/reference.parquet", columns=["id", "text", "label"])
    files = {}
    for name, label in (("reference", "high"), ("bad", "low")):
        part = reference.filter(pa.array([value == label for value in reference["label"].to_pylist()]))
        pq.write_table(part.select(["id", "text"]), tmp_path / f"{name}.parquet")
        files[name] = (tmp_path / f"{name}.parquet",)
    settings = QualitySettings(kind="logistic", logistic=LogisticFeatures(tokens="words", values="unit"))
    run_task(Task(train_quality, Inputs(files), settings, tmp_path, 0, "key"))
    labelled = pq.read_table(shared / "quality/labels.parquet")
    is_good = [label == 1 for label in labelled["label"].to_pylist()]
    found = evaluate_classifier(tmp_path / "quality_model/part-00000.npz", labelled["text"].to_pylist(), is_good)
    assert found.auc_at_equal_length.low > 0.65

"""The quality classifier of a run: good text against raw or bad text, by fastText or by logistic regression.

The raw corpus holds good documents too: the score orders documents, it is no calibrated probability. And it knows only
the difference that it is shown. Trained on 170 essays, letters and articles against a noisy corpus of books, news and
pages, fastText has an AUC of .95 on held-out documents of both, but .63 [.57, .70] on 290 web pages that people
labelled, where length alone has .78 [.73, .84]; at equal length it has .62 [.55, .70]. Trained against 180 texts known
to be bad (page furniture, spam) a logistic classifier over words scaled to unit length has .85 [.80, .89] there, .79
[.73, .85] at equal length; of the ten in benchmarks/quality.py it alone lies above length by more than an interval, an
interval that does not know of the twenty classifiers that were tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError, RecipeError
from datassay.corpus.store import Outputs, read_batches
from datassay.filters.evaluation import Evaluation, evaluate_scores
from datassay.filters.fasttext_classifier import MAGIC, FastTextClassifier, load_fasttext, train_fasttext
from datassay.filters.logistic import LogisticClassifier, load_logistic, train_logistic
from datassay.filters.quality_settings import QualityScoring, QualitySettings, score_schema

__all__ = [
    "QUALITY",
    "SCORE_VERSION",
    "TRAIN_VERSION",
    "Classifier",
    "QualityScoring",
    "QualitySettings",
    "evaluate_classifier",
    "load_classifier",
    "score_quality",
    "score_schema",
    "train_quality",
]

TRAIN_VERSION = 2
SCORE_VERSION = 1

QUALITY = score_schema("quality")
BATCH_ROWS = 512

Classifier: TypeAlias = FastTextClassifier | LogisticClassifier


def train_quality(inputs: Inputs, settings: QualitySettings, out: Outputs) -> None:
    """Train on dataset `reference` (good documents) against dataset `bad` if there is one, else against the raw corpus,
    dataset `clean`.

    Writes `quality_model` (.bin or .npz) and `quality_card` (.json: settings, documents of each class, and on held-out
    documents AUC, beside the AUC of length alone and at equal length, and calibration). Exact copies of a reference in
    the corpus are left out of the raw class. Raises RecipeError without documents of one class.
    """
    train = train_fasttext if settings.kind == "fasttext" else train_logistic
    held_out = train(inputs, settings, out)
    card = {"settings": settings.model_dump(mode="json"), "counts": dict(out.counts), "held_out": held_out}
    with out.file("quality_card", ".json") as path:
        path.write_bytes(orjson.dumps(card, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")


def score_quality(inputs: Inputs, settings: QualityScoring, out: Outputs) -> None:
    """Score the documents of dataset `clean` with the model `quality_model`; writes dataset `quality`.

    A document without a word scores 0. Raises RecipeError if the model has no such label.
    """
    classifier = load_classifier(inputs.one("quality_model"), settings)
    schema = score_schema(settings.name)
    with out.parquet("quality", schema) as shard:
        for batch in read_batches(inputs.all("clean"), columns=["id", "text"], n_rows=BATCH_ROWS):
            texts = batch["text"]
            scores = classifier.scores(texts if isinstance(classifier, LogisticClassifier) else texts.to_pylist())
            shard.write(pa.RecordBatch.from_arrays([batch["id"], pa.array(scores)], schema=schema))
            out.counts["documents"] += batch.num_rows


def load_classifier(path: Path, settings: QualityScoring | None = None) -> Classifier:
    """The classifier in a file, whichever kind its content is of.

    Raises InputError if there is no file, RecipeError if it is of no known kind, is damaged, or has no such label.
    """
    settings = settings or QualityScoring()
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise InputError(f"{path}: no classifier can be read there: {error.strerror}") from error
    if start == MAGIC:
        return load_fasttext(path, settings)
    if start == b"PK\x03\x04":  # a zip file, as .npz is
        if settings.label != "good":
            raise RecipeError(
                f"{path}: a logistic model has one score and no label {settings.label!r}; leave label out"
            )
        classifier = load_logistic(path)
        own = classifier.settings.head_chars
        if settings.head_chars not in (own, QualityScoring().head_chars):
            raise RecipeError(f"{path}: was trained on the first {own} characters of a text; leave head_chars out")
        return classifier
    raise RecipeError(
        f"{path}: neither a fastText model (.bin or .ftz) nor a logistic model of this project (.npz); "
        "`datassay classifier train` makes both"
    )


def evaluate_classifier(
    path: Path, texts: Sequence[str], is_good: Sequence[bool], *, settings: QualityScoring | None = None
) -> Evaluation:
    """What a classifier's scores are worth on texts whose label is known, beside what their length says."""
    classifier = load_classifier(path, settings)
    batches = [classifier.scores(texts[i : i + BATCH_ROWS]) for i in range(0, len(texts), BATCH_ROWS)]
    scores: NDArray[np.float64] = np.concatenate([*batches, np.empty(0)])
    n_chars = np.array([len(text) for text in texts], np.float64)
    return evaluate_scores(scores, np.asarray(is_good, bool), n_chars)

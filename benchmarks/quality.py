"""Quality scores against people's labels: AUC overall, beside text length alone, and within terciles of length.

Trains on the shared reference texts against the raw corpus or against the reference's bad texts, never on labels, and
scores 290 web pages that people labelled. Bucket edges of the combined score come from a shard of the corpus. Needs the
shared data:

    DATASSAY_SHARED=FOLDER python benchmarks/quality.py [GPT]

GPT: a folder made by `datassay train`, whose bits per byte are then scored too.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from datassay.corpus.engine import Inputs
from datassay.corpus.store import Outputs
from datassay.filters.evaluation import Evaluation, evaluate_scores
from datassay.filters.percentiles import PercentileSettings, Score, bucket_edges, combine
from datassay.filters.perplexity import NgramModel, NgramText, compile_ngrams, score_texts, train_ngrams
from datassay.filters.quality import Classifier, QualitySettings, load_classifier, train_quality
from datassay.filters.quality_settings import LogisticFeatures

UNIT = LogisticFeatures(tokens="words", values="unit")
UNIT_PIECES = LogisticFeatures(tokens="words", values="unit", whole_documents=False)
CLASSIFIERS = (
    ("fastText, good against raw (default)", "raw", QualitySettings()),
    ("fastText, 2 epochs", "raw", QualitySettings(epochs=2)),
    ("fastText, pieces of 50 words", "raw", QualitySettings(piece_words=50, max_pieces=16)),
    ("fastText, good against bad", "bad", QualitySettings()),
    ("fastText, good against bad, 25 epochs", "bad", QualitySettings(epochs=25)),
    ("logistic (GPT-3), good against raw", "raw", QualitySettings(kind="logistic")),
    ("logistic, unit pieces, good against raw", "raw", QualitySettings(kind="logistic", logistic=UNIT_PIECES)),
    ("logistic (GPT-3), good against bad", "bad", QualitySettings(kind="logistic")),
    ("logistic, unit, good against bad", "bad", QualitySettings(kind="logistic", logistic=UNIT)),
    ("logistic, unit pieces, good against bad", "bad", QualitySettings(kind="logistic", logistic=UNIT_PIECES)),
)
COMBINED = (
    ("nemotron-max of three, against raw", (0, 6)),
    ("nemotron-max of three, against bad", (4, 8)),
)
"""Which classifiers take part, beside the n-gram model's perplexity."""

Scores = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Of the labelled documents, and of a shard of the corpus."""


def main() -> None:
    """Train, score and print one table."""
    data = Path(os.environ["DATASSAY_SHARED"]) / "data"
    labelled = pq.read_table(data / "quality" / "labels.parquet")
    texts = labelled["text"].to_pylist()
    is_good = np.asarray(labelled["label"]) == 1
    n_chars = np.array([len(text) for text in texts], np.float64)
    corpus = tuple(sorted((data / "corpus").glob("raw-*.parquet")))
    shard = pq.read_table(corpus[0], columns=["text"])["text"].to_pylist()
    print(f"{len(texts)} documents, {is_good.sum()} good; AUC with 95 % intervals (DeLong)")
    print(
        f"{'score':42} {'all':>17} {'short':>6} {'middle':>6} {'long':>6} "
        f"{'equal length':>17} {'above length':>20}  seconds"
    )
    report("text length alone", evaluate_scores(n_chars, is_good, n_chars), 0)
    found: list[Scores] = []
    with TemporaryDirectory() as temp:
        reference = pq.read_table(data / "quality" / "reference.parquet", columns=["id", "text", "label"])
        for name, label in (("good", "high"), ("bad", "low")):
            part = reference.filter(pc.equal(reference["label"], label))
            pq.write_table(part.select(["id", "text"]), Path(temp) / f"{name}.parquet")
        for i, (name, against, settings) in enumerate(CLASSIFIERS):
            begin = time.perf_counter()
            classifier = _trained(Path(temp), i, settings, corpus if against == "raw" else ())
            seconds = time.perf_counter() - begin
            used = any(i in parts for _, parts in COMBINED)
            found.append((classifier.scores(texts), classifier.scores(shard) if used else np.empty(0)))
            report(name, evaluate_scores(found[-1][0], is_good, n_chars), seconds)
        good = pq.read_table(Path(temp) / "good.parquet")["text"].to_pylist()
    begin = time.perf_counter()
    model = compile_ngrams(train_ngrams(iter([[text[:20_000] for text in good]]), NgramText(), order=3))
    seconds = time.perf_counter() - begin
    ngram = tuple(_mean_log10(model, part) for part in (texts, shard))
    report("3-gram perplexity, trained on good", evaluate_scores(ngram[0], is_good, n_chars), seconds)
    for name, parts in COMBINED:
        rows = [*(found[i] for i in parts), (ngram[0], ngram[1])]
        report(name, evaluate_scores(_combined(rows), is_good, n_chars), 0)
    if len(sys.argv) > 1:
        report("bits per byte of a GPT", evaluate_scores(-_gpt(Path(sys.argv[1]), texts), is_good, n_chars), 0)


def _trained(folder: Path, i: int, settings: QualitySettings, corpus: tuple[Path, ...]) -> Classifier:
    """Train a classifier on good texts against the corpus, or against the bad ones if there is none."""
    out = Outputs(folder, i)
    files = {"reference": (folder / "good.parquet",), "clean": corpus or (folder / "bad.parquet",)}
    train_quality(Inputs(files), settings, out)
    (path,) = (folder / "quality_model").glob(f"{out.name}.*")
    return load_classifier(path, settings.scoring)


def _mean_log10(model: NgramModel, texts: Sequence[str]) -> NDArray[np.float64]:
    """Mean log10 of a word's probability, by which perplexity orders texts the other way round."""
    scores = score_texts(model, [text[:20_000] for text in texts], NgramText())
    return scores.log10 / np.maximum(scores.n_scored, 1)


def _combined(rows: Sequence[Scores]) -> NDArray[np.float64]:
    """The labelled documents' combined score, by the corpus's buckets."""
    names = [f"score_{i}" for i in range(len(rows))]
    settings = PercentileSettings(scores=tuple(Score(column=name) for name in names))
    edges = {name: bucket_edges(row[1], np.ones(len(row[1])), 20) for name, row in zip(names, rows, strict=True)}
    return combine({name: row[0] for name, row in zip(names, rows, strict=True)}, settings, edges)[1]


def _gpt(folder: Path, texts: Sequence[str]) -> NDArray[np.float64]:
    """Bits per byte of the texts' beginnings."""
    from datassay.model.checkpoint import load_model
    from datassay.model.perplexity import bits_per_byte, gpt_perplexity_settings

    values = bits_per_byte(load_model(folder), list(texts), gpt_perplexity_settings(folder))
    return np.asarray(pa.array(values, pa.float64()).fill_null(100.0))


def report(name: str, found: Evaluation, seconds: float) -> None:
    """Print a row of the table."""
    whole, equal, above = (
        f"{value:.3f} [{low:.2f}, {high:.2f}]"
        for value, low, high in (found.auc, found.auc_at_equal_length, found.auc_above_length)
    )
    terciles = " ".join(f"{interval.value:6.3f}" for interval in found.auc_within_length.values())
    print(f"{name:42} {whole:>17} {terciles} {equal:>17} {above:>20} {seconds:8.1f}", flush=True)


if __name__ == "__main__":
    main()

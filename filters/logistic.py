"""GPT-3's quality classifier: logistic regression over hashed words (Brown et al. 2020, appendix A, arXiv:2005.14165).

The paper names Spark's standard tokenizer and HashingTF: text is lower-cased and split at white space, each word is
hashed to one of a fixed number of features, and a feature's value is how often its words come. Number of features,
penalty and training size were not published. Differences from Spark: the hash is this project's own (FNV-1a with
splitmix64's finish, over code points), white space is Unicode's, characters take their simple lower case, runs of white
space do not make empty words, and features are not standardized. Both classes weigh the same, so that 0.5 means "as
likely good as raw".

Counts grow with the text, and a score over them knows length: the model card shows the AUC of length alone beside, and
`values = "unit"` with `whole_documents = false` takes most of it away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from datassay.corpus.compiled import compiled
from datassay.corpus.engine import Inputs
from datassay.corpus.errors import RecipeError
from datassay.corpus.store import Outputs
from datassay.corpus.unicode import SPACE, TABLES, Tables, decode, lower_of, text_buffers
from datassay.corpus.words import FNV_START, fnv_step, mix, read_token
from datassay.filters.examples import Example, by_id, good_class, good_examples, held_out_card, raw_examples
from datassay.filters.quality_settings import LogisticFeatures, QualitySettings

FORMAT = "datassay logistic 1"
BATCH_TEXTS = 512


class ModelSettings(BaseModel, frozen=True, extra="forbid"):
    """What a model file says of itself: all that its scores depend on beside the weights."""

    format: str = FORMAT
    features: LogisticFeatures
    piece_words: int
    head_chars: int


@dataclass(frozen=True, slots=True)
class LogisticClassifier:
    """Weights of hashed words."""

    weights: NDArray[np.float64]
    """(n_features,)"""
    bias: float
    settings: ModelSettings

    def scores(self, texts: Sequence[str] | pa.Array) -> NDArray[np.float64]:
        """Probability of a good text: the mean over its rows (see `feature_rows`), 0 for a text without words."""
        array = texts if isinstance(texts, pa.Array) else pa.array(list(texts), pa.large_string())
        rows, owners = feature_rows(array, self.settings)
        logits = rows @ self.weights + self.bias
        chances = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
        totals, counts = np.zeros(len(array)), np.bincount(owners, minlength=len(array))
        np.add.at(totals, owners, chances)
        return totals / np.maximum(counts, 1)


def train_logistic(inputs: Inputs, settings: QualitySettings, out: Outputs) -> dict[str, object]:
    """Train on dataset `reference` against dataset `clean`, write `quality_model` (.npz), return what measures it.

    The rows of all training documents are held in memory, 12 bytes for each distinct word of each. Raises RecipeError
    without documents of one class or if the steps do not suffice.
    """
    counts = Counter(good_documents=0, raw_documents=0, good_rows=0, raw_rows=0, raw_copies_of_good=0)
    model_settings = ModelSettings(
        features=settings.logistic, piece_words=settings.piece_words, head_chars=settings.head_chars
    )
    good = good_class(inputs, settings)
    counts["good_documents"] = good.n_documents
    examples = chain(raw_examples(inputs, settings, good, counts), good_examples(inputs, settings))
    held_out: list[Example] = []
    rows, is_good = _training_rows(examples, model_settings, settings.max_pieces, held_out, counts)
    if not (counts["good_rows"] and counts["raw_rows"]):
        raise RecipeError(
            f"quality: {counts['good_rows']} rows of reference text and {counts['raw_rows']} of the corpus to train "
            "on; both are needed: see [quality] reference and [input] paths"
        )
    weights, bias = fit(rows, is_good, l2=settings.logistic.l2, max_steps=settings.logistic.max_steps)
    model = LogisticClassifier(weights, bias, model_settings)
    with out.file("quality_model", ".npz") as path:
        save_logistic(path, model)
    out.counts = counts
    held_out = by_id(held_out)
    return held_out_card(held_out, model.scores([example.head for example in held_out]))


def fit(rows: Any, is_good: NDArray[np.bool_], *, l2: float, max_steps: int) -> tuple[NDArray[np.float64], float]:
    """Weights (features,) and bias with the least penalized loss; both classes weigh the same. rows: CSR matrix

    L-BFGS from zeros, on one thread: the same rows in the same order give the same bytes. The loss of a row counts
    n / (2 n of its class). Raises RecipeError if it has not converged after max_steps.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    model = LogisticRegression(C=1 / l2, class_weight="balanced", solver="lbfgs", max_iter=max_steps, tol=1e-4)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model.fit(rows, is_good)
        except ConvergenceWarning as error:
            raise RecipeError(
                f"quality: logistic regression did not converge in {max_steps} steps; raise logistic.max_steps or "
                'logistic.l2, or take logistic.values = "unit"'
            ) from error
    return model.coef_[0].astype(np.float64), float(model.intercept_[0])


def _training_rows(
    examples: Iterable[Example],
    settings: ModelSettings,
    max_pieces: int,
    held_out: list[Example],
    counts: Counter[str],
) -> tuple[Any, NDArray[np.bool_]]:
    """The rows of the examples that are not held out, in the order of class and id, and whether each is good."""
    from scipy.sparse import csr_matrix, vstack

    blocks, names = [csr_matrix((0, settings.features.n_features))], []
    remaining = iter(examples)
    while batch := list(islice(remaining, BATCH_TEXTS)):
        held_out += [example for example in batch if example.is_held_out]
        train = [example for example in batch if not example.is_held_out]
        rows, owners = feature_rows(pa.array([example.head for example in train], pa.large_string()), settings)
        numbers = _number_within(owners)
        n_pieces = np.bincount(owners, minlength=len(train))
        step = -(-n_pieces // max_pieces)  # spread over the beginning, as for fastText
        is_taken = numbers % np.maximum(step, 1)[owners] == 0 if len(owners) else np.empty(0, bool)
        blocks.append(rows[np.flatnonzero(is_taken)])
        names += [
            (train[o].label, train[o].id, int(k)) for o, k in zip(owners[is_taken], numbers[is_taken], strict=True)
        ]
        counts["raw_documents"] += sum(example.label == "raw" for example in train)
    order = sorted(range(len(names)), key=names.__getitem__)
    is_good = np.array([names[i][0] == "good" for i in order], bool)
    counts["good_rows"] += int(is_good.sum())
    counts["raw_rows"] += int((~is_good).sum())
    return vstack(blocks, format="csr")[order], is_good


def _number_within(owners: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2… for the rows of each owner. owners: sorted"""
    firsts = np.searchsorted(owners, owners, side="left")
    numbers: NDArray[np.int64] = np.arange(len(owners)) - firsts
    return numbers


def feature_rows(texts: pa.LargeStringArray, settings: ModelSettings) -> tuple[Any, NDArray[np.int64]]:
    """Feature values of texts as a CSR matrix, and for each of its rows the text that it belongs to.

    A text without words has no row; other texts have one, or one for each piece of about `piece_words` words.
    """
    from scipy.sparse import csr_matrix

    features = settings.features
    words, ends = hash_words(texts, features, head_chars=settings.head_chars)
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    lengths = ends - starts
    n_rows = np.minimum(lengths, 1)
    if not features.whole_documents:
        n_rows = n_rows * np.maximum(1, np.rint(lengths / settings.piece_words).astype(np.int64))
    owners = np.repeat(np.arange(len(texts)), n_rows)
    edges = starts[owners] + lengths[owners] * _number_within(owners) // n_rows[owners]
    matrix = csr_matrix(
        (np.ones(len(words)), words, np.append(edges, len(words))), shape=(len(owners), features.n_features)
    )
    matrix.sum_duplicates()
    if features.values == "binary":
        matrix.data[:] = 1
    elif features.values == "unit":
        n_values = np.diff(matrix.indptr)
        row_of = np.repeat(np.arange(len(owners)), n_values)
        matrix.data /= np.sqrt(np.bincount(row_of, matrix.data**2, minlength=len(owners)))[row_of]
    return matrix, owners


def hash_words(
    texts: pa.LargeStringArray, features: LogisticFeatures, *, head_chars: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The feature of each word of the texts' beginnings, in order, and where each text's words end."""
    offsets, data = text_buffers(texts)
    ends = np.zeros(len(texts), np.int64)
    sizes = np.minimum(np.diff(offsets), 4 * head_chars)
    words = np.empty(int(sizes.sum()), np.int32)  # what is never used of it takes no memory
    is_run = features.tokens == "white_space"
    room = int(sizes.max(initial=1)) + 4
    n_words = _hash_words(offsets, data, TABLES, head_chars, features.n_features, is_run, room, words, ends)
    return words[:n_words].copy(), ends


@compiled
def _hash_words(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    tables: Tables,
    head_chars: int,
    n_features: int,
    is_run: bool,
    room: int,
    words: NDArray[np.int32],
    ends: NDArray[np.int64],
) -> int:
    """Write features to `words` and, for each text, how many there are up to its end; returns how many in all.

    room: characters of the longest beginning, and a little more
    """
    codes, kinds = np.empty(room, np.int32), np.empty(room, np.uint16)
    n = 0
    for d in range(len(offsets) - 1):
        # Enough bytes for head_chars characters; decoding ends with the character that the last byte belongs to.
        stop_byte = min(offsets[d + 1], offsets[d] + 4 * head_chars)
        end = min(decode(data, offsets[d], stop_byte, tables, codes, kinds), head_chars)
        i = 0
        while i < end:
            if kinds[i] & SPACE:
                i += 1
                continue
            if is_run:
                stop = i
                while stop < end and not kinds[stop] & SPACE:
                    stop += 1
            else:
                stop, _, _ = read_token(codes, kinds, i, end)
            value = FNV_START
            for j in range(i, stop):
                value = fnv_step(value, lower_of(tables, codes[j]))
            words[n] = mix(value) % np.uint64(n_features)
            n += 1
            i = stop
        ends[d] = n
    return n


def save_logistic(path: Path, model: LogisticClassifier) -> None:
    """Write a model to a file: weights, bias, and settings as JSON."""
    settings = np.frombuffer(orjson.dumps(model.settings.model_dump(), option=orjson.OPT_SORT_KEYS), np.uint8)
    with path.open("wb") as file:
        np.savez(file, weights=model.weights, bias=np.float64(model.bias), settings=settings)


def load_logistic(path: Path) -> LogisticClassifier:
    """The model in a file. Raises RecipeError if it is no whole logistic model."""
    from zipfile import BadZipFile

    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            settings = ModelSettings.model_validate_json(file["settings"].tobytes())
            weights, bias = file["weights"].astype(np.float64), float(file["bias"])
    except (ValueError, KeyError, OSError, EOFError, BadZipFile, ValidationError) as error:
        raise RecipeError(f"{path}: not a whole logistic model of this project: {error}") from error
    if settings.format != FORMAT or weights.shape != (settings.features.n_features,):
        raise RecipeError(f"{path}: {settings.format!r} with weights {weights.shape}; right would be {FORMAT!r}")
    return LogisticClassifier(weights, bias, settings)

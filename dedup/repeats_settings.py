"""What can be set about repeated text within documents."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, NonNegativeInt, PositiveInt


class RepeatedLines(BaseModel, frozen=True, extra="forbid"):
    """Lines that stand in the corpus more than once."""

    keep: PositiveInt = 1
    """So many of them stay, in documents that are kept if there are any; all others are cut."""
    min_chars: NonNegativeInt = 20
    """Shorter lines stay, counted as they are compared: without punctuation and accents, digits as 0. Below, a line
    repeats by chance (`}`, `(C++11)`, `Contents`)."""


class RepeatedParagraphs(BaseModel, frozen=True, extra="forbid"):
    """Paragraphs, which are the lines between empty lines, that stand in the corpus more than once."""

    keep: PositiveInt = 1
    """As for lines."""
    min_chars: NonNegativeInt = 50
    """As for lines; line breaks are not counted."""


class RepeatedSubstrings(BaseModel, frozen=True, extra="forbid"):
    """Stretches of words, beginning and ending anywhere, that stand in the corpus more than once."""

    keep: PositiveInt = 1
    """As for lines."""
    min_tokens: int = Field(default=50, ge=10, le=10_000)
    """Words of a stretch at least; in scripts without spaces a character is a word. Lee et al. 2022 and RefinedWeb take
    50 tokens of a tokenizer, which are some 40 English words."""
    fragment: float = Field(default=0.1, ge=0, lt=0.5)
    """A line of which at most this share, and fewer characters than `min_tokens`, would stay goes whole; one of which
    so little would go stays whole. 0 cuts exactly."""


def _by_switch(value: object) -> object:
    """`true` is a table with its defaults; TOML has no null, so `false` is none."""
    return {} if value is True else None if value is False else value


class RepeatsSettings(BaseModel, frozen=True, extra="forbid"):
    """Which repeated text is cut out of the documents that hold it."""

    lines: Annotated[RepeatedLines | None, BeforeValidator(_by_switch, bool | RepeatedLines | None)] = None
    """Cut repeated lines (CCNet, Wenzek et al. 2020). `true` takes the defaults."""
    paragraphs: Annotated[RepeatedParagraphs | None, BeforeValidator(_by_switch, bool | RepeatedParagraphs | None)] = (
        None
    )
    """Cut repeated paragraphs. `true` takes the defaults."""
    substrings: Annotated[RepeatedSubstrings | None, BeforeValidator(_by_switch, bool | RepeatedSubstrings | None)] = (
        None
    )
    """Cut repeated stretches of words (Lee et al. 2022). `true` takes the defaults."""
    min_chars_left: NonNegativeInt = 20
    """What cuts of lines, paragraphs and substrings leave of a document goes too if it has fewer characters."""

    @property
    def cuts_repeats(self) -> bool:
        """Whether anything is looked for."""
        return self.cuts_units or self.substrings is not None

    @property
    def cuts_units(self) -> bool:
        """Whether lines or paragraphs are looked for."""
        return self.lines is not None or self.paragraphs is not None

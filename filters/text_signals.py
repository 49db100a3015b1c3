"""The signals of a text: what the kernel counts, as columns with one definition each.

`SIGNALS` is the one table: names, definitions, sources. Every value is a count, or a count divided by another in
float64, 0 where there is nothing to divide by. Words, tokens and symbols are those of `corpus.words`, lines, paragraphs
and sentences those of `filters.lines`, characters are Unicode code points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel

from datassay.corpus.engine import Inputs
from datassay.corpus.store import Outputs, read_batches
from datassay.filters.kernel import measure

VERSION = 3
"""Raised by hand whenever the stage's bytes change."""
BATCH_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Signal:
    """One column: what the kernel counts as `count`, divided by `per` if that is given."""

    name: str
    definition: str
    count: str = ""
    """A name from `kernel.measure`; the signal's own if empty."""
    per: str = ""
    source: str = ""
    """Who used it to filter first, or under which name RedPajama-V2 publishes it (`rps_…`)."""

    @property
    def type(self) -> pa.DataType:
        return pa.float64() if self.per or self.name == "unigram_entropy" else pa.int64()

    def values(
        self, counts: Mapping[str, NDArray[np.int64] | NDArray[np.float64]]
    ) -> NDArray[np.int64] | NDArray[np.float64]:
        """The column, from what `kernel.measure` returns."""
        count = counts[self.count or self.name]
        return count / np.maximum(counts[self.per], 1) if self.per else count


_GOPHER = "Rae et al. 2021"
_C4 = "Raffel et al. 2020"
_FINEWEB = "Penedo et al. 2024"
_STOP_WORDS = "the, be, to, of, and, that, have, with"

_SIZE = (
    Signal("n_chars", "Characters."),
    Signal("n_bytes", "Bytes in UTF-8."),
    Signal("token_count", "Words and symbols."),
    Signal("word_count", "Words.", source=f"{_GOPHER}; rps_doc_word_count"),
    Signal("sentence_count", "Sentences.", source="rps_doc_num_sentences"),
    Signal("line_count", "Lines that are not blank."),
    Signal("paragraph_count", "Runs of lines between blank lines."),
)
_WORDS = (
    Signal(
        "mean_word_length",
        "Characters per word.",
        count="word_chars",
        per="word_count",
        source=f"{_GOPHER}; rps_doc_mean_word_length",
    ),
    Signal("longest_word_length", "Characters of the longest word."),
    Signal("stop_word_count", f"How many of these come, in any case: {_STOP_WORDS}.", source=_GOPHER),
    Signal(
        "stop_word_fraction",
        f"Words that are one of these, in any case, per word: {_STOP_WORDS}.",
        count="stop_word_occurrences",
        per="word_count",
        source="rps_doc_stop_word_fraction, of another list",
    ),
    Signal(
        "unique_word_fraction",
        "Different words, in lower case, per word.",
        count="unique_word_count",
        per="word_count",
        source="rps_doc_frac_unique_words",
    ),
    Signal(
        "unigram_entropy",
        "Entropy in nats of the distribution of words in lower case.",
        source="rps_doc_unigram_entropy",
    ),
    Signal("alpha_word_fraction", "Words with a letter, per word.", count="alpha_word_count", per="word_count"),
    Signal(
        "alpha_token_fraction",
        "Words with a letter, per word or symbol.",
        count="alpha_word_count",
        per="token_count",
        source="datatrove; 1 - rps_doc_frac_no_alph_words",
    ),
    Signal(
        "alpha_run_fraction",
        "Runs of characters between white space with a letter among them, per such run.",
        count="alpha_run_count",
        per="run_count",
        source=_GOPHER,
    ),
    Signal(
        "upper_case_word_fraction",
        "Words with an upper-case and without a lower-case letter, per word.",
        count="upper_case_word_count",
        per="word_count",
        source="rps_doc_frac_all_caps_words",
    ),
)
_CHARACTERS = (
    Signal("alpha_fraction", "Letters per character.", count="letter_count", per="n_chars"),
    Signal("digit_fraction", "Digits and other numbers per character.", count="digit_count", per="n_chars"),
    Signal("punctuation_fraction", "Punctuation per character.", count="punctuation_count", per="n_chars"),
    Signal("white_space_fraction", "White space per character.", count="white_space_count", per="n_chars"),
    Signal("upper_case_fraction", "Upper-case letters per letter.", count="upper_case_count", per="letter_count"),
    Signal("hash_ratio", "Characters # per word or symbol.", count="hash_count", per="token_count", source=_GOPHER),
    Signal(
        "ellipsis_ratio",
        "Ellipses, as ... or …, per word or symbol.",
        count="ellipsis_count",
        per="token_count",
        source=_GOPHER,
    ),
    Signal(
        "symbol_to_word_ratio",
        "Characters # and ellipses, as ... or …, per word.",
        count="symbol_count",
        per="word_count",
        source="rps_doc_symbol_to_word_ratio",
    ),
    Signal("curly_bracket_count", "Characters {.", source=f"{_C4}; as a ratio rps_doc_curly_bracket"),
)
_LINES = (
    Signal("mean_line_length", "Characters per line.", count="line_chars", per="line_count"),
    Signal(
        "newlines_per_token",
        "Line breaks per word or symbol.",
        count="newline_count",
        per="token_count",
        source=f"{_FINEWEB}, code (list ratio)",
    ),
    Signal(
        "bullet_line_fraction",
        "Lines that begin with • or -, per line.",
        count="bullet_line_count",
        per="line_count",
        source=_GOPHER,
    ),
    Signal(
        "any_bullet_line_fraction",
        "Lines that begin with one of • ‣ ▶ ◀ ◦ ■ □ ▪ ▫ –, per line.",
        count="any_bullet_line_count",
        per="line_count",
        source="rps_lines_start_with_bulletpoint",
    ),
    Signal(
        "ellipsis_line_fraction",
        "Lines that end in ... or …, per line.",
        count="ellipsis_line_count",
        per="line_count",
        source=f"{_GOPHER}; rps_doc_frac_lines_end_with_ellipsis",
    ),
    Signal(
        "terminal_punctuation_line_fraction",
        "Lines that end in a mark that ends a sentence, or in a quotation mark, per line.",
        count="terminal_punctuation_line_count",
        per="line_count",
        source=f"{_FINEWEB}; rps_lines_ending_with_terminal_punctution_mark",
    ),
    Signal(
        "line_under_30_fraction",
        "Lines of less than 30 characters, per line.",
        count="line_under_30_count",
        per="line_count",
        source=f"{_FINEWEB}, section 3.6",
    ),
    Signal(
        "line_up_to_30_fraction",
        "Lines of at most 30 characters, per line.",
        count="line_up_to_30_count",
        per="line_count",
        source=f"{_FINEWEB}, code",
    ),
    Signal("javascript_line_count", "Lines with the word javascript.", source=f"{_C4}; rps_lines_javascript_counts"),
    Signal("policy_line_count", "Lines with a phrase on cookies, privacy or terms of use.", source=_C4),
    Signal("lorem_ipsum_line_count", "Lines with lorem ipsum.", source=f"{_C4}; as a ratio rps_doc_lorem_ipsum"),
)
_REPETITION = (
    Signal(
        "duplicate_line_fraction",
        "Lines that came before, per line.",
        count="duplicate_line_count",
        per="line_count",
        source=_GOPHER,
    ),
    Signal(
        "duplicate_line_char_fraction",
        "Characters in lines that came before, per character.",
        count="duplicate_line_chars",
        per="n_chars",
        source=_GOPHER,
    ),
    Signal(
        "duplicate_line_char_fraction_of_lines",
        "Characters in lines that came before, per character of a line.",
        count="duplicate_line_chars",
        per="line_chars",
        source=_FINEWEB,
    ),
    Signal(
        "duplicate_paragraph_fraction",
        "Paragraphs that came before, per paragraph.",
        count="duplicate_paragraph_count",
        per="paragraph_count",
        source=_GOPHER,
    ),
    Signal(
        "duplicate_paragraph_char_fraction",
        "Characters in paragraphs that came before, per character.",
        count="duplicate_paragraph_chars",
        per="n_chars",
        source=_GOPHER,
    ),
    *(
        Signal(
            f"top_{n}gram_char_fraction",
            f"Characters of all occurrences of the most frequent {n} tokens in a row, per character; of several the "
            "longest, 0 if none comes twice. Above 1 where occurrences overlap.",
            count=f"top_{n}gram_chars",
            per="n_chars",
            source=f"{_GOPHER}; rps_doc_frac_chars_top_{n}gram",
        )
        for n in range(2, 5)
    ),
    *(
        Signal(
            f"duplicate_{n}gram_char_fraction",
            f"Characters, without white space, of every {n} tokens in a row that came before, none counted twice, per "
            "character.",
            count=f"duplicate_{n}gram_chars",
            per="n_chars",
            source=f"{_GOPHER}; rps_doc_frac_chars_dupe_{n}grams",
        )
        for n in range(5, 11)
    ),
)
_C4_LINES = {
    "c4": f'{_C4}: five words, ends in . ? ! or "',
    "c4_any_end": f"{_C4} without the rule on how a line ends",
}
_C4_SIGNALS = tuple(
    Signal(f"{variant}_{count}", f"{what} that C4's line rules keep.", source=source)
    for variant, source in _C4_LINES.items()
    for count, what in {
        "line_count": "Lines",
        "sentence_count": "Sentences of the lines",
        "char_count": "Characters, breaks between lines included, of the lines",
    }.items()
)

SIGNALS: tuple[Signal, ...] = (*_SIZE, *_WORDS, *_CHARACTERS, *_LINES, *_REPETITION, *_C4_SIGNALS)
TEXT_SIGNALS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        *(pa.field(signal.name, signal.type, nullable=False) for signal in SIGNALS),
    ]
)


def signals(ids: pa.StringArray, texts: pa.LargeStringArray) -> pa.RecordBatch:
    """The signals of texts, a row of TEXT_SIGNALS for each."""
    counts = measure(texts)
    columns = [pa.array(np.ascontiguousarray(signal.values(counts))) for signal in SIGNALS]
    return pa.RecordBatch.from_arrays([ids, *columns], schema=TEXT_SIGNALS)


class TextSettings(BaseModel, frozen=True, extra="forbid"):
    """Nothing to set: a signal has one definition."""


def measure_text(inputs: Inputs, settings: TextSettings, out: Outputs) -> None:  # noqa: ARG001  (every stage has some)
    """Stage: the dataset `clean` to the dataset `text`, the signals of each document in the same order."""
    with out.parquet("text", TEXT_SIGNALS) as shard:
        for batch in read_batches(inputs.all("clean"), columns=["id", "text"], n_rows=BATCH_ROWS):
            measured = signals(batch.column("id"), batch.column("text"))
            out.counts["documents"] += batch.num_rows
            out.counts["n_bytes"] += pc.sum(measured.column("n_bytes")).as_py() or 0
            shard.write(measured)

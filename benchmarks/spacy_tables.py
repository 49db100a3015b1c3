"""Make filters/data/spacy-english.npz, the tables of `filters.spacy_words`, from spaCy's and datatrove's own data.

    /path/to/peer/bin/python benchmarks/spacy_tables.py filters/data/spacy-english.npz

run by Python 3.11 (its Unicode is 14.0, as everywhere here) with `pip install datatrove spacy`. spaCy is under the MIT
licence (Copyright (C) 2016-2025 ExplosionAI GmbH and others), datatrove under Apache-2.0. Written are

- `kind_block`, `kind`: the flags below of each character, in two levels as in `corpus.unicode`, each found by asking
  spaCy's compiled expressions or Python;
- `special_cases`: lines of tokens with U+0001 between them, by which spaCy cuts a run of characters that is equal;
- `patterns`: the same cases as spaCy's rules alone would cut them, where its matcher looks for them among tokens;
- `units`: what is cut off after a digit, in UTF-8, one a line.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from pathlib import Path

import numpy as np
import spacy
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION
from spacy.lang import char_classes
from spacy.pipeline.sentencizer import Sentencizer
from spacy.symbols import ORTH
from spacy.tokenizer import Tokenizer

FLAGS = (
    "SPACE",  # str.isspace
    "BREAK",  # ends a line for str.splitlines
    "PREFIX",  # a prefix by itself
    "SUFFIX",  # a suffix by itself
    "INFIX",  # an infix by itself
    "ALPHA",
    "LOWER_DOT",  # a full stop after it may be an infix
    "DOT_UPPER",  # a full stop before it may be one
    "BEFORE_DOT",  # a full stop after it is a suffix
    "UPPER",  # of two of these, a full stop after them is one
    "CURRENCY",  # a suffix after a digit
    "TLD",  # in the last part of a host's name
    "WORD_CHARACTER",  # \w
    "DECIMAL",  # \d
    "NOT_PUNCTUATION",  # no general category P*
    "NOT_SYMBOL",  # not in datatrove's PUNCTUATION_SET
    "TERMINAL",  # in datatrove's TERMINAL_PUNCTUATION
    "SENTENCE_END",  # in the list of spaCy's sentencizer
    "LETTER",  # str.isalpha
    "ACTIVE",  # may stand at an end of, or inside, a run of characters and cut it
)
"""By bit, from the lowest."""
BREAKS = "\n\x0b\x0c\r\x1c\x1d\x1e\x85\u2028\u2029"
OTHER_ACTIVE = set("+.-*^,~:<>=/–—0123456789$'’°")


def flags_of_characters(tokenizer: Tokenizer) -> np.ndarray:
    """(1114112,) the flags of each character."""
    alpha, lower, upper = (re.compile(f"[{c}]").match for c in (
        char_classes.ALPHA, char_classes.ALPHA_LOWER, char_classes.ALPHA_UPPER))  # fmt: skip
    quotes = char_classes.CONCAT_QUOTES
    lower_dot = re.compile(f"[{char_classes.ALPHA_LOWER}{quotes}]").match
    dot_upper = re.compile(f"[{char_classes.ALPHA_UPPER}{quotes}]").match
    before_dot = next(s for s in spacy.blank("en").Defaults.suffixes if s.startswith("(?<=[0-9a-z"))
    is_before_dot = re.compile(before_dot + "$").search
    currency = {c for c in char_classes.CURRENCY.replace("\\", "").split("|") if len(c) == 1}
    infix = re.compile("|".join([*char_classes.LIST_ICONS, "…"])).match
    values = np.zeros(0x110000, np.uint32)
    for code in range(0x110000):
        c = chr(code)
        is_of = (
            c.isspace(),
            c in BREAKS,
            not c.isspace() and tokenizer.find_prefix(c) == 1 and c not in "+.",
            not c.isspace() and tokenizer.find_suffix(c) == 1,
            infix(c),
            alpha(c),
            lower_dot(c),
            dot_upper(c),
            is_before_dot(c + "."),
            upper(c),
            c in currency,
            lower(c),
            re.match(r"\w", c),
            re.match(r"\d", c),
            not unicodedata.category(c).startswith("P"),
            c not in PUNCTUATION_SET,
            c in TERMINAL_PUNCTUATION,
            c in Sentencizer.default_punct_chars,
            c.isalpha(),
        )
        flags = sum(bool(is_one) << bit for bit, is_one in enumerate(is_of))
        if flags & 0b11100 or c in OTHER_ACTIVE or c in currency:
            flags |= 1 << FLAGS.index("ACTIVE")
        values[code] = flags
    return values


def two_levels(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(block of each 256 characters, the distinct blocks in order of first use)."""
    rows: dict[bytes, int] = {}
    blocks = values.reshape(-1, 256)
    block = np.array([rows.setdefault(row.tobytes(), len(rows)) for row in blocks], np.uint8)
    return block, np.stack([np.frombuffer(row, values.dtype) for row in rows])


def lines(rows: list[str]) -> np.ndarray:
    """Lines of text as an array of bytes."""
    return np.frombuffer("\n".join(rows).encode(), np.uint8)


def main() -> None:
    """See the module."""
    nlp = spacy.blank("en")
    tokenizer = nlp.tokenizer
    assert tokenizer.token_match is None
    without_cases = Tokenizer(
        spacy.blank("en").vocab,
        rules=None,
        prefix_search=tokenizer.prefix_search,
        suffix_search=tokenizer.suffix_search,
        infix_finditer=tokenizer.infix_finditer,
        url_match=tokenizer.url_match,
    )
    cases, patterns = [], []
    for text, tokens in sorted(tokenizer.rules.items()):
        if any(c.isspace() for c in text):
            continue  # white space is no word, whatever is made of it
        cases.append("\x01".join(token[ORTH] for token in tokens))
        if tokenizer.find_prefix(text) or tokenizer.find_infix(text) or tokenizer.find_suffix(text):
            patterns.append("\x01".join(token.text for token in without_cases(text)))
    units = sorted(set(char_classes.UNITS.split("|")))
    assert not any(set(unit) & set("0123456789.*+?()[]{}\\^$") for unit in units)
    block, kind = two_levels(flags_of_characters(tokenizer))
    np.savez_compressed(
        Path(sys.argv[1]),
        kind_block=block,
        kind=kind,
        special_cases=lines(cases),
        patterns=lines(patterns),
        units=lines(units),
    )
    print(f"spaCy {spacy.__version__}: {len(cases)} special cases, {len(patterns)} patterns, {kind.shape} kinds")


if __name__ == "__main__":
    main()

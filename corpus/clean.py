"""Repair of text, the same for all recipes: broken encodings, Unicode normal form, white space.

ftfy (Speer 2019, doi:10.5281/zenodo.2591652) undoes wrong decoding. It runs with the settings of FineWeb's formatter:
what is damage is mended, what is typography (curly quotes, ligatures, full-width letters) stays. It takes 0.2 ms a
document, most of it for lines in which it finds nothing, so a regular expression that matches wherever it could act
chooses the lines that go to it; the result is the same (`tests/corpus/test_clean.py`).
"""

from __future__ import annotations

import re
import unicodedata

import ftfy
import pyarrow as pa
import pyarrow.compute as pc
from ftfy import TextFixerConfig
from ftfy.badness import MOJIBAKE_CATEGORIES
from pydantic import BaseModel

from datassay.corpus.engine import Inputs
from datassay.corpus.schema import DOCUMENT
from datassay.corpus.store import Outputs, read_batches

VERSION = 1

FTFY = TextFixerConfig(
    fix_latin_ligatures=False,
    fix_character_width=False,
    uncurl_quotes=False,
    fix_line_breaks=False,  # done before, so that a line is a line
    normalization=None,  # done after
    explain=False,
)
FTFY_LITERAL = FTFY._replace(unescape_html=False)
"""From the first line with a "<" on, ftfy takes entities for what the author meant to show."""


class CleanSettings(BaseModel, frozen=True, extra="forbid"):
    """There is nothing to choose: what is repaired here is the same for all recipes."""


_CONTROL = "\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u206a-\u206f\ufeff\ufff9-\ufffc"
"""What ftfy removes or replaces wherever it stands…"""
_SURROGATES = r"\ud800-\udfff"
"""…and these, which no text in UTF-8 has."""
_ENTITY = r"\#?[0-9A-Za-z]{1,24};"
"""After the "&"."""
_SUSPECT = "ÂÃØÙŒœ"
"""Letters that ftfy's rules take for mojibake also beside ASCII."""
_LETTERS = MOJIBAKE_CATEGORIES["lower_common"] + MOJIBAKE_CATEGORIES["upper_common"]
"""Greek and Cyrillic, which are mojibake only beside _RARE, but for two letters of Serbian and Russian."""
_COMMON = MOJIBAKE_CATEGORIES["common"]
"""Dashes and the like, which are mojibake only after a suspect or two Latin letters."""
_RARE = "".join(characters for name, characters in MOJIBAKE_CATEGORIES.items() if not name.endswith("common"))
"""The others of some 400 characters that mojibake consists of: accented Latin letters, quotes, symbols."""

ASCII_GUARD = re.compile(rf"[\x00-\x08\x0b\x0e-\x1f\x7f&](?:(?<!&)|{_ENTITY})")
GUARD = re.compile(
    rf"[{_CONTROL}{_SURROGATES}{_SUSPECT}{_RARE}Ђ&]"
    rf"(?:(?<=[{_CONTROL}{_SURROGATES}{_SUSPECT}])|(?<=[{_RARE}])[{_RARE}{_LETTERS}]|(?<=[{_LETTERS}][{_RARE}])|(?<=[вВ]Ђ)"
    rf"|(?<=[ÎÐ])[{_COMMON}]|(?<=&){_ENTITY})"
)
"""Where ftfy could act, with FTFY: all its other rules for mojibake ask for two such neighbours outside ASCII. A search
passes over whatever is not in the first brackets, so other characters before a match are looked at from behind."""
GUARD_RE2 = (
    f"[{_CONTROL}{_SUSPECT}]|[{_RARE}][{_RARE}{_LETTERS}]|[{_LETTERS}][{_RARE}]|[вВ]Ђ|[ÎÐ][{_COMMON}]|&{_ENTITY}"
)
"""The same for Arrow, which looks through a batch in a third of the time."""

_BREAKS = "\r\x0b\x0c\u2028\u2029"
_LINE_BREAK = re.compile(f"[{_BREAKS}](?:(?<=\r)\n)?")
_SPACES = "\xa0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f"
_INVISIBLE = "\xad\u200b\u2060\ufeff"
"""Soft hyphen, zero-width space, word joiner, byte order mark. The zero-width joiners stay: scripts and emoji need
them."""
_MANY_BREAKS = re.compile("\n{3,}")


def clean(inputs: Inputs, settings: CleanSettings, out: Outputs) -> None:  # noqa: ARG001
    """The documents of "documents" with repaired text as "clean"; counts how many each step changed."""
    with out.parquet("clean", DOCUMENT) as shard:
        for batch in read_batches(inputs.all("documents"), n_rows=512):
            texts = []
            suspect = pc.match_substring_regex(batch.column("text"), GUARD_RE2)
            for before, is_suspect in zip(batch.column("text").to_pylist(), suspect.to_pylist(), strict=True):
                text, steps = clean_text(before, is_suspect=is_suspect)
                texts.append(text)
                out.counts["documents"] += 1
                out.counts["empty"] += not text
                out.counts.update(steps)
            column = batch.schema.get_field_index("text")
            shard.write(batch.set_column(column, DOCUMENT.field("text"), pa.array(texts, pa.large_string())))


def clean_text(text: str, *, is_suspect: bool = True) -> tuple[str, list[str]]:
    """The repaired text, and which of "repaired" (ftfy), "normalized" (NFC), "spaced" (white space) changed it.

    is_suspect: whether it matches GUARD_RE2; where it does not, ftfy would find nothing

    White space: line breaks become "\\n", other blanks than tab and ideographic space become " ", invisible characters
    go, lines lose blanks at their ends, and at most one empty line stands between two others, none at head and tail.
    """
    broken = _with_plain_breaks(text)
    repaired = repair(broken) if is_suspect else broken
    normalized = unicodedata.normalize("NFC", repaired)
    spaced = _tidy(normalized if repaired == broken else _with_plain_breaks(normalized))
    steps = {
        "repaired": repaired != broken,
        "normalized": normalized != repaired,
        "spaced": broken != text or spaced != normalized,
    }
    return spaced, [step for step, is_changed in steps.items() if is_changed]


def _with_plain_breaks(text: str) -> str:
    """The text with "\\n" for every line break."""
    return _LINE_BREAK.sub("\n", text) if any(mark in text for mark in _BREAKS) else text


def repair(text: str) -> str:
    """What `ftfy.fix_text(text, FTFY)` returns, by asking it about the lines only that it could change."""
    guard = ASCII_GUARD if text.isascii() else GUARD
    first_tag = text.find("<")
    parts, done = [], 0
    while (hit := guard.search(text, done)) is not None:
        start = text.rfind("\n", 0, hit.start()) + 1
        end = text.find("\n", hit.end()) + 1 or len(text)
        is_literal = 0 <= first_tag < start
        parts += [text[done:start], ftfy.fix_text(text[start:end], FTFY_LITERAL if is_literal else FTFY)]
        done = end
    return "".join([*parts, text[done:]]) if parts else text


def _tidy(text: str) -> str:
    if not text.isascii():
        for mark in _SPACES:  # several times as fast as a regular expression, since few texts have more than one
            if mark in text:
                text = text.replace(mark, " ")
        for mark in _INVISIBLE:
            if mark in text:
                text = text.replace(mark, "")
    if " \n" in text or "\t\n" in text:
        text = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
    text = text.rstrip(" \t")
    return (_MANY_BREAKS.sub("\n\n", text) if "\n\n\n" in text else text).strip("\n")

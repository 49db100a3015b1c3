"""What a language model gets to see of a text: a sample without what belongs to no language, or its paragraphs."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled
from datassay.corpus.unicode import LOWER, TABLES, UPPER, Tables, decode, text_buffers

N_CHARS = 500
"""Characters of a text that are looked at."""
N_PIECES = 4
"""In how many pieces, evenly spread."""

MAX_UPPER_FRACTION = 0.15
"""A sample with more capitals than this among its letters that have case is put into lower case.

lid.176 knows .35 of the labelled texts in capitals and .82 of them in lower case, .77 in title case and .81 so. Putting
every sample into lower case brings title case to .82, but costs .002 of real pages, which mix languages.
"""

MIN_CHARS = 100
"""A paragraph shorter than this is joined with those after it, at the end with the one before.

Measured with 60, 100 and 200 characters: of pages of one language .6, .3 and .3 % have a fifth or more taken for
another; of pages with a quarter or more in a second language 99, 98 and 87 % are seen.
"""
MAX_CHARS = 250
"""A longer paragraph is cut."""
MAX_PARAGRAPHS = 10
"""So many are looked at, evenly spread over the text."""

_TAG_OR_ADDRESS = re.compile(r"<[A-Za-z/!][^<>]{0,200}>|[!-~]*(?:://|www\.|@)[!-~]*")
_WITHOUT_LETTER = re.compile(r"(?<!\S)[\W\d_]+(?!\S)")


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


def plain(line: str) -> str:
    """The line without tags, addresses of pages and mail, and runs of characters without a letter.

    They belong to no language, and each misleads the model; an address in an unspaced script is cut out of its run.
    """
    if "<" in line or "://" in line or "www." in line or "@" in line:
        line = _TAG_OR_ADDRESS.sub(" ", line)
    return " ".join(_WITHOUT_LETTER.sub(" ", line).split())


def lines_to_judge(texts: Sequence[str]) -> list[str]:
    """What the model is asked about for each text; empty for a text without a letter."""
    lines = [plain(sample(text)) for text in texts]
    is_loud = upper_fractions(lines) > MAX_UPPER_FRACTION
    return [line.lower() if loud else line for line, loud in zip(lines, is_loud.tolist(), strict=True)]


def upper_fractions(lines: Sequence[str]) -> NDArray[np.float64]:
    """Upper-case letters among the letters of either case, of each line; 0 without such letters."""
    offsets, data = text_buffers(pa.array(lines, pa.large_string()))
    fractions = np.zeros(len(lines), np.float64)
    _upper_fractions(offsets, data, TABLES, fractions)
    return fractions


@compiled
def _upper_fractions(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], tables: Tables, fractions: NDArray[np.float64]
) -> None:
    n_max = 1
    for d in range(len(offsets) - 1):
        n_max = max(n_max, offsets[d + 1] - offsets[d])
    codes, kinds = np.empty(n_max, np.int32), np.empty(n_max, np.uint16)
    for d in range(len(offsets) - 1):
        n = decode(data, offsets[d], offsets[d + 1], tables, codes, kinds)
        n_upper, n_lower = 0, 0
        for i in range(n):
            n_upper += kinds[i] & UPPER != 0
            n_lower += kinds[i] & LOWER != 0
        if n_upper:
            fractions[d] = n_upper / (n_upper + n_lower)


def paragraph_pieces(text: str) -> list[str]:
    """Pieces of a text, from its first to its last: lines, the short ones joined, the long ones cut.

    Empty for a text without anything but white space; one piece, however short, for a short text.
    """
    found: list[str] = []
    waiting = ""
    for line in text.split("\n"):
        line = line.strip()
        for start in range(0, len(line), MAX_CHARS):
            piece = line[start : start + MAX_CHARS]
            waiting = f"{waiting}\n{piece}" if waiting else piece
            if len(waiting) >= MIN_CHARS:
                found.append(waiting)
                waiting = ""
    if waiting and found:
        found[-1] = f"{found[-1]}\n{waiting}"
    elif waiting:
        found.append(waiting)
    if len(found) > MAX_PARAGRAPHS:
        found = [found[i * (len(found) - 1) // (MAX_PARAGRAPHS - 1)] for i in range(MAX_PARAGRAPHS)]
    return found

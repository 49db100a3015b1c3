"""Lines and paragraphs as they are compared across documents, by the hash of a normal form.

CCNet (Wenzek et al. 2020, arXiv:1911.00359), section 3.1, compares lower case, with digits as 0, without punctuation
and accents. Here

- a letter becomes its simple lower case; Latin, Greek and Cyrillic letters lose what NFD takes off them, and combining
  marks U+0300 to U+036F go; vowel signs of other scripts stay, they are spelling and no accent;
- a character of the categories N* becomes 0, so that dates and counters are alike;
- characters of the categories P*, and from U+2000 on marks, joiners and variation selectors, go; symbols stay;
- a run of white space between others is one blank.

A line ends at a line feed, which is the only line break that `clean` leaves. A paragraph is a run of lines that hold
more than white space, and is compared line by line. Positions are characters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, PositiveInt

from datassay.corpus.compiled import compiled
from datassay.corpus.engine import Inputs
from datassay.corpus.shuffle import partition_of, shuffle_file
from datassay.corpus.store import Outputs, read_batches
from datassay.corpus.unicode import (
    DIGIT,
    MARK,
    PUNCTUATION,
    SPACE,
    TABLES,
    Tables,
    decode,
    kind_of,
    lower_of,
    text_buffers,
)
from datassay.corpus.words import FNV_START, fnv_step, mix

VERSION = 1

LINE, PARAGRAPH, SUBSTRING = 0, 1, 2
KINDS = ("line", "paragraph", "substring")
"""What can be repeated, by number."""

UNIT = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),  # hash of kind and normal form; its upper bits are the partition
        pa.field("kind", pa.int8(), nullable=False),  # place in KINDS
        pa.field("row", pa.int32(), nullable=False),  # in its shard
        pa.field("start", pa.int32(), nullable=False),  # first character
        pa.field("end", pa.int32(), nullable=False),  # after the last
    ]
)
"""A place in a document that may stand elsewhere as well."""

BATCH_ROWS = 1024
ROUND_ROWS = 1 << 20
"""Rows of a shuffle that are written at once: each round costs some hundred bytes for each partition."""

ACCENTED = ((0xC0, 0x250), (0x370, 0x530), (0x1E00, 0x2000))
"""Latin, Greek and Cyrillic letters with their accents in one character."""
COMBINING = (0x300, 0x370)
_N_PLAIN = 0x2000
_LINE_FEED, _BLANK, _ZERO, _DROPPED = 0x0A, 0x20, 0x30, 0


class Units(NamedTuple):
    """Places in texts, in order of text; those of one kind also in order of place. Columns of UNIT."""

    keys: NDArray[np.uint64]
    kinds: NDArray[np.int8]
    rows: NDArray[np.int32]
    """In the batch, or in the shard."""
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]


class HashUnitsSettings(BaseModel, frozen=True, extra="forbid"):
    """What is hashed, and how hashes are spread over files."""

    min_line_chars: int | None
    """None: no lines."""
    min_paragraph_chars: int | None
    """None: no paragraphs."""
    n_partitions: PositiveInt
    """A power of two."""


def hash_units(inputs: Inputs, settings: HashUnitsSettings, out: Outputs) -> None:
    """Hash the lines and paragraphs of a shard that are long enough. Reads `clean`.

    Writes `units`, shuffled by key, in order of row. Counts `documents`, `lines` and `paragraphs`.
    """
    with shuffle_file(out, "units", UNIT, settings.n_partitions) as file:
        for units in rounds(_shard_units(inputs, settings, out)):
            file.write_round(units, partition_of(units.keys, settings.n_partitions))


def _shard_units(inputs: Inputs, settings: HashUnitsSettings, out: Outputs) -> Iterator[Units]:
    for first_row, texts in numbered_texts(inputs):
        units = find_units(texts, settings.min_line_chars, settings.min_paragraph_chars)
        out.counts["documents"] += len(texts)
        for kind in (LINE, PARAGRAPH):
            out.counts[f"{KINDS[kind]}s"] += int((units.kinds == kind).sum())
        yield units._replace(rows=units.rows + np.int32(first_row))


Columns = TypeVar("Columns", bound=tuple[NDArray[Any], ...])


def rounds(found: Iterable[Columns]) -> Iterator[Columns]:
    """The same rows in batches of ROUND_ROWS and more, but for the last."""
    waiting: list[Columns] = []
    for columns in found:
        waiting.append(columns)
        if sum(len(one[0]) for one in waiting) >= ROUND_ROWS:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(parts: list[Columns]) -> Columns:
    return type(parts[0])(*map(np.concatenate, zip(*parts, strict=True)))


def numbered_texts(inputs: Inputs) -> Iterator[tuple[int, pa.Array]]:
    """Batches of the texts of `clean`, each with the number of its first row in the shard."""
    first_row = 0
    for batch in read_batches(inputs.all("clean"), columns=["text"], n_rows=BATCH_ROWS):
        yield first_row, batch["text"]
        first_row += batch.num_rows


def find_units(texts: pa.Array, min_line_chars: int | None, min_paragraph_chars: int | None) -> Units:
    """The lines and paragraphs of texts whose normal forms have at least so many characters, and one; None: none."""
    limits = [2**62 if limit is None else max(limit, 1) for limit in (min_line_chars, min_paragraph_chars)]
    return Units(*_find_units(*text_buffers(texts), TABLES, PLAIN, *limits))


@compiled(_nrt=False)
def _plain(tables: Tables, plain: NDArray[np.int32], code: int) -> int:
    """What becomes of a character: another one, _BLANK or _DROPPED."""
    if code < _N_PLAIN:
        return int(plain[code])
    kind = kind_of(tables, code)
    if kind & SPACE:
        return _BLANK
    if kind & (PUNCTUATION | MARK):
        return _DROPPED
    return _ZERO if kind & DIGIT else lower_of(tables, code)


def _plain_table() -> NDArray[np.int32]:
    """What becomes of each character below _N_PLAIN.

    Python's own tables give the letter below an accent, which Unicode promises never to change.
    """
    table = np.zeros(_N_PLAIN, np.int32)
    for code in range(_N_PLAIN):
        kind = kind_of.py_func(TABLES, code)
        if kind & SPACE:
            table[code] = _BLANK
        elif kind & DIGIT:
            table[code] = _ZERO
        elif not (kind & PUNCTUATION or COMBINING[0] <= code < COMBINING[1]):
            has_accent = any(first <= code < last for first, last in ACCENTED)
            base = ord(unicodedata.normalize("NFD", chr(code))[0]) if has_accent else code
            table[code] = lower_of.py_func(TABLES, base)
    return table


PLAIN = _plain_table()


@compiled
def _find_units(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    tables: Tables,
    plain: NDArray[np.int32],
    min_line: int,
    min_paragraph: int,
) -> tuple[NDArray[np.uint64], NDArray[np.int8], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    n_documents = len(offsets) - 1
    n_units = 2 * n_documents
    longest = 0
    for document in range(n_documents):
        longest = max(longest, offsets[document + 1] - offsets[document])
        for i in range(offsets[document], offsets[document + 1]):
            n_units += 2 * (data[i] == _LINE_FEED)
    keys, kinds = np.empty(n_units, np.uint64), np.empty(n_units, np.int8)
    rows, starts, ends = np.empty(n_units, np.int32), np.empty(n_units, np.int32), np.empty(n_units, np.int32)
    codes, flags = np.empty(longest, np.int32), np.empty(longest, np.uint16)
    n_found = 0
    for document in range(n_documents):
        n = decode(data, offsets[document], offsets[document + 1], tables, codes, flags)
        start = paragraph_start = paragraph_end = paragraph_chars = 0
        paragraph = FNV_START
        while start <= n:
            line, line_chars, is_blank, end = _read_line(codes, flags, tables, plain, start, n)
            if line_chars >= min_line:
                keys[n_found], kinds[n_found] = mix(line), LINE
                rows[n_found], starts[n_found], ends[n_found] = document, start, end
                n_found += 1
            if not is_blank:
                paragraph = mix(fnv_step(paragraph, line)) if line_chars else paragraph
                paragraph_chars += line_chars
                paragraph_end = end
            if is_blank or end == n:
                if paragraph_chars >= min_paragraph:
                    keys[n_found], kinds[n_found] = paragraph, PARAGRAPH
                    rows[n_found], starts[n_found], ends[n_found] = document, paragraph_start, paragraph_end
                    n_found += 1
                paragraph, paragraph_chars, paragraph_start = FNV_START, 0, end + 1
            start = end + 1
    return keys[:n_found], kinds[:n_found], rows[:n_found], starts[:n_found], ends[:n_found]


@compiled(_nrt=False)
def _read_line(
    codes: NDArray[np.int32],
    flags: NDArray[np.uint16],
    tables: Tables,
    plain: NDArray[np.int32],
    start: int,
    n: int,
) -> tuple[np.uint64, int, bool, int]:
    """Hash and length of the normal form of the line that begins at start; whether it is white space; its end."""
    value, n_chars, waits, is_blank, i = FNV_START, 0, False, True, start
    while i < n and codes[i] != _LINE_FEED:
        code = _plain(tables, plain, codes[i])
        is_blank &= (flags[i] & SPACE) != 0
        if code == _BLANK:
            waits = n_chars > 0
        elif code != _DROPPED:
            if waits:
                value = fnv_step(value, _BLANK)
                n_chars += 1
                waits = False
            value = fnv_step(value, code)
            n_chars += 1
        i += 1
    return value, n_chars, is_blank, i

"""What each character is: classes and lower case by Unicode 14.0, the same whatever version Python itself knows.

The tables are data, `data/unicode-14.npz`, 100 KB in memory, made once by

    python -m datassay.corpus.unicode OUT.npz

under a Python whose `unicodedata` has that version (3.11). A table has two levels: character c stands at
`table[block[c >> 8], c & 255]`, and blocks that are equal are stored once.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled

VERSION = "14.0.0"
"""Of the Unicode Character Database that the tables were made from."""
DATA = Path(__file__).parent / "data" / "unicode-14.npz"

LETTER = 1
"""General categories L*."""
DIGIT = 2
"""General categories N*: decimal digits, letter numbers such as Ⅳ, others such as ½."""
MARK = 4
"""What belongs to the character before it: M*, and Cf (joiners, soft hyphen) without the zero width space."""
PUNCTUATION = 8
"""General categories P*."""
SPACE = 16
"""The property White_Space, and the zero width space, which separates words of scripts without spaces."""
BREAK = 32
"""White space that ends a line: LF, VT, FF, CR, NEL, LINE SEPARATOR, PARAGRAPH SEPARATOR."""
UPPER = 64
"""General categories Lu and Lt."""
UNSPACED = 128
"""Letters of scripts that are written without spaces between words, see `UNSPACED_RANGES`."""
TERMINAL = 256
"""What ends a sentence, see `TERMINAL_MARKS`."""
CLOSING = 512
"""What may follow the mark that ends a sentence: general categories Pe and Pf, and the straight quotes."""
LOWER = 1024
"""General category Ll."""
RUN = 2048
"""What makes up a run of word characters: letters, digits and marks that are not UNSPACED, and the underscore."""
HAS_LOWER = 4096
"""What has a simple lower case other than itself."""

UNSPACED_RANGES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x3005, 0x3007),  # ideographic iteration, closing and zero marks
    (0x3021, 0x312F),  # Hangzhou numerals, Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31BF),  # Bopomofo extended
    (0x31F0, 0x31FF),  # Katakana phonetic extensions
    (0x3400, 0x9FFF),  # Han
    (0xA9E0, 0xA9FF),  # Myanmar extended B
    (0xAA60, 0xAADF),  # Myanmar extended A, Tai Viet
    (0xF900, 0xFAFF),  # Han, compatibility
    (0xFF66, 0xFF9F),  # Katakana, half width
    (0x11700, 0x1174F),  # Ahom
    (0x1AFF0, 0x1B16F),  # Kana supplement and extensions
    (0x20000, 0x3FFFF),  # Han, the supplementary planes
)
TERMINAL_MARKS = ".!?…‼⁇⁈⁉‽⸮⸼։؝؞؟۔܀܁܂߹।॥၊။።፧፨᙮᜵᜶᠃᠉᥄᥅។៕᪨᪩᪪᪫᭚᭛᭞᭟᰻᰼᱾᱿。꓿꘎꘏꛳꛷꡶꡷꣎꣏꤯꧈꧉꩝꩞꩟꫰꫱꯫︒﹒﹖﹗！．？｡"
"""The property Sentence_Terminal within the Basic Multilingual Plane, the ellipsis and Khmer's full stops."""

_WHITE_SPACE = {0x20, 0xA0, 0x1680, 0x202F, 0x205F, 0x3000, *range(0x2000, 0x200C)}
_BREAKS = {0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029}
_N_CHARACTERS = 0x110000


class Tables(NamedTuple):
    """The two-level tables, in the form that compiled functions take."""

    kind_block: NDArray[np.uint8]  # (4352,), which row of `kind`
    kind: NDArray[np.uint16]  # (rows, 256), the flags above
    lower_block: NDArray[np.uint8]  # (4352,), which row of `lower`
    lower: NDArray[np.int32]  # (rows, 256), what to add to a character to get its simple lower case


def load_tables(path: Path = DATA) -> Tables:
    """The tables in a file that `write_tables` wrote."""
    with np.load(path) as file:
        return Tables(*(np.ascontiguousarray(file[name]) for name in Tables._fields))


def text_buffers(texts: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Offsets (texts + 1,) and UTF-8 bytes of strings without nulls, for compiled functions; nothing is copied where
    they are large strings."""
    texts = texts.cast(pa.large_string())
    if not len(texts):
        return np.zeros(1, np.int64), np.empty(0, np.uint8)
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return bounds, np.frombuffer(data or b"", np.uint8)


def n_characters(texts: pa.Array) -> NDArray[np.int64]:
    """Characters of each string, (texts,); 4 times as fast as Arrow's `utf8_length` (measured)."""
    lengths: NDArray[np.int64] = _lengths(*text_buffers(texts))
    return lengths


@compiled
def _lengths(offsets: NDArray[np.int64], data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Of valid UTF-8 all bytes count but those that go on with a character."""
    lengths = np.empty(len(offsets) - 1, np.int64)
    for i in range(len(lengths)):
        n_characters = 0
        for byte in data[offsets[i] : offsets[i + 1]]:
            n_characters += (byte & 0xC0) != 0x80
        lengths[i] = n_characters
    return lengths


@compiled(_nrt=False)
def kind_of(tables: Tables, code: int) -> int:
    """The flags of a character."""
    return tables.kind[tables.kind_block[code >> 8], code & 255]  # type: ignore[no-any-return]


@compiled(_nrt=False)
def lower_of(tables: Tables, code: int) -> int:
    """The simple lower case of a character: one character, itself if it has none."""
    return code + tables.lower[tables.lower_block[code >> 8], code & 255]  # type: ignore[no-any-return]


@compiled(_nrt=False)
def decode(
    data: NDArray[np.uint8], start: int, end: int, tables: Tables, codes: NDArray[np.int32], kinds: NDArray[np.uint16]
) -> int:
    """Decode the valid UTF-8 in data[start:end] into `codes` and look their flags up into `kinds`.

    codes, kinds: at least end - start long; what lies beyond the characters stays as it is
    returns:      number of characters
    """
    n, i = 0, start
    while i < end:
        lead = np.int32(data[i])
        if lead < 0x80:
            codes[n] = lead
            kinds[n] = tables.kind[0, lead]  # the first block is row 0
            i += 1
        else:
            if lead < 0xE0:
                code, more = lead & 0x1F, 1
            elif lead < 0xF0:
                code, more = lead & 0x0F, 2
            else:
                code, more = lead & 0x07, 3
            for j in range(i + 1, i + 1 + more):
                code = code << 6 | np.int32(data[j]) & 0x3F
            codes[n] = code
            kinds[n] = tables.kind[tables.kind_block[code >> 8], code & 255]
            i += 1 + more
        n += 1
    return n


def _kind(code: int) -> int:
    """The flags of a character by the running Python's `unicodedata`."""
    character = chr(code)
    category = unicodedata.category(character)
    flags = 0
    if code in _BREAKS:
        flags |= SPACE | BREAK
    elif code in _WHITE_SPACE or code == 0x09:
        flags |= SPACE
    elif category[0] == "L":
        flags |= LETTER | {"Lu": UPPER, "Lt": UPPER, "Ll": LOWER}.get(category, 0)
    elif category[0] == "N":
        flags |= DIGIT
    elif category[0] == "M" or category == "Cf":
        flags |= MARK
    elif category[0] == "P":
        flags |= PUNCTUATION
    if category[0] == "L" and any(first <= code <= last for first, last in UNSPACED_RANGES):
        flags |= UNSPACED
    if character in TERMINAL_MARKS:
        flags |= TERMINAL
    if category in ("Pe", "Pf") or character in "\"'":
        flags |= CLOSING
    if (flags & (LETTER | DIGIT | MARK) and not flags & UNSPACED) or character == "_":
        flags |= RUN
    if _lower(character) != code:
        flags |= HAS_LOWER
    return flags


def _lower(character: str) -> int:
    """Its simple lower case."""
    return ord(character.lower()[0])


_Flags = TypeVar("_Flags", np.uint16, np.int32)


def _two_levels(values: Iterable[int], dtype: type[_Flags]) -> tuple[NDArray[np.uint8], NDArray[_Flags]]:
    """(block of each 256 characters, the distinct blocks in order of first use)."""
    rows: dict[bytes, int] = {}
    blocks = np.asarray(list(values), dtype).reshape(-1, 256)
    block = [rows.setdefault(row.tobytes(), len(rows)) for row in blocks]
    return np.array(block, np.uint8), np.stack([np.frombuffer(row, dtype) for row in rows])


def write_tables(path: Path) -> None:
    """Make the tables anew. Raises ValueError under a Python with another version of Unicode."""
    if unicodedata.unidata_version != VERSION:
        raise ValueError(f"this Python has Unicode {unicodedata.unidata_version}, the tables are of {VERSION}")
    kind_block, kind = _two_levels((_kind(code) for code in range(_N_CHARACTERS)), np.uint16)
    differences = (_lower(chr(code)) - code for code in range(_N_CHARACTERS))
    lower_block, lower = _two_levels(differences, np.int32)
    np.savez_compressed(path, kind_block=kind_block, kind=kind, lower_block=lower_block, lower=lower)


if __name__ == "__main__":
    write_tables(Path(sys.argv[1]))
else:
    TABLES = load_tables()

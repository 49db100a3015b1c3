r"""Which script a text is in, by Unicode 14.0's property Script and the codes of ISO 15924.

The table is data, `data/scripts-14.npz`, 34 KB in memory, two levels as in `corpus.unicode`. It was made once from the
Unicode Character Database that Perl 5.36 carries, which is of version 14.0 as well:

    perl -MUnicode::UCD=prop_invmap,prop_value_aliases -e '
        print "version ", Unicode::UCD::UnicodeVersion(), "\n";
        my ($first, $name) = prop_invmap("Script");
        for (0..$#$first) {
            my ($code) = prop_value_aliases("Script", $name->[$_]);
            printf "%x %s\n", $first->[$_], $code;
        }
    ' | python -m datassay.corpus.scripts OUT.npz
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled
from datassay.corpus.unicode import VERSION, text_buffers

DATA = Path(__file__).parent / "data" / "scripts-14.npz"
N_CHARACTERS = 0x110000

NO_SCRIPT = ("Zyyy", "Zinh", "Zzzz")
"""Common (digits, punctuation), inherited (accents on their own) and unassigned: no sign of any script."""
MERGED = {"Hira": "Jpan", "Kana": "Jpan", "Bopo": "Hani"}
"""Scripts that are counted as one: kana by its text's name; bopomofo spells Chinese."""
SAME_SCRIPT = {"Hans": "Hani", "Hant": "Hani", "Hrkt": "Jpan", "Hira": "Jpan", "Kana": "Jpan", "Kore": "Hang"}
"""Codes of ISO 15924 that no character has, or that name a text's script otherwise than this module does."""
MIN_KANA = 0.2
"""From this share of kana among kana and Han characters on a text's Han characters are Japanese writing (Jpan).

Measured: Japanese sentences have .22 to .93, Chinese ones none."""


class ScriptTable(NamedTuple):
    """The script of each character, in the form that compiled functions take."""

    block: NDArray[np.uint8]  # (4352,), which row of `script`
    script: NDArray[np.uint8]  # (rows, 256), which of SCRIPTS; 255 for what is no sign of a script


def _load(path: Path) -> tuple[tuple[str, ...], ScriptTable]:
    with np.load(path) as file:
        table = ScriptTable(np.ascontiguousarray(file["block"]), np.ascontiguousarray(file["script"]))
        return tuple(file["names"].tolist()), table


def script_counts(texts: pa.Array) -> NDArray[np.int64]:
    """Characters of each script in each text: (texts, scripts), the scripts in the order of SCRIPTS.

    Han characters are counted as Japanese writing, Jpan, in texts with kana (MIN_KANA), else as Hani. Null is counted
    as an empty text.
    """
    texts = pc.fill_null(texts.cast(pa.large_string()), "")
    if not len(texts):
        return np.zeros((0, len(SCRIPTS)), np.int64)
    offsets, data = text_buffers(texts)
    counts = np.zeros((len(texts), len(SCRIPTS)), np.int64)
    _count(offsets, data, TABLE, counts)
    kana, han = SCRIPTS.index("Jpan"), SCRIPTS.index("Hani")
    n_both = counts[:, kana] + counts[:, han]
    is_japanese = (counts[:, kana] > 0) & (counts[:, kana] >= MIN_KANA * n_both)
    counts[:, kana] += np.where(is_japanese, counts[:, han], 0)
    counts[is_japanese, han] = 0
    return counts


def main_script(counts: NDArray[np.int64]) -> tuple[list[str | None], NDArray[np.float64]]:
    """(the script with most characters of each text, its share of all characters of any script).

    None and 0 for a text without a character of any script; of scripts with equally many the first in SCRIPTS.
    """
    best = counts.argmax(axis=1) if len(counts) else np.zeros(0, np.int64)
    most = np.take_along_axis(counts, best[:, None], axis=1)[:, 0]
    names = [SCRIPTS[i] if n else None for i, n in zip(best.tolist(), most.tolist(), strict=True)]
    return names, most / np.maximum(counts.sum(axis=1), 1)


@compiled
def _count(offsets: NDArray[np.int64], data: NDArray[np.uint8], table: ScriptTable, counts: NDArray[np.int64]) -> None:
    """Add up the scripts of all characters of valid UTF-8 texts into rows of zeros."""
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        while i < end:
            lead = np.int32(data[i])
            if lead < 0x80:
                code, more = lead, 0
            elif lead < 0xE0:
                code, more = lead & 0x1F, 1
            elif lead < 0xF0:
                code, more = lead & 0x0F, 2
            else:
                code, more = lead & 0x07, 3
            for j in range(i + 1, i + 1 + more):
                code = code << 6 | np.int32(data[j]) & 0x3F
            script = table.script[table.block[code >> 8], code & 255]
            if script != 255:
                counts[d, script] += 1
            i += 1 + more


def write_table(path: Path, lines: Iterable[str]) -> None:
    """Make the table anew from the lines that the command above prints: the version, then "FIRST CODE" of each range.

    Raises ValueError if they are of another version of Unicode.
    """
    given = iter(lines)
    version = next(given, "").split()
    if version != ["version", VERSION]:
        raise ValueError(f"the first line is {' '.join(version)!r}; right would be 'version {VERSION}'")
    firsts, codes = zip(*(line.split() for line in given), strict=True)
    lasts = [int(first, 16) for first in firsts[1:]] + [N_CHARACTERS]
    names = sorted({MERGED.get(code, code) for code in codes} - set(NO_SCRIPT))
    values = np.full(N_CHARACTERS, 255, np.uint8)
    for first, last, code in zip(firsts, lasts, codes, strict=True):
        if code not in NO_SCRIPT:
            values[int(first, 16) : last] = names.index(MERGED.get(code, code))
    rows: dict[bytes, int] = {}
    block = [rows.setdefault(row.tobytes(), len(rows)) for row in values.reshape(-1, 256)]
    script = np.stack([np.frombuffer(row, np.uint8) for row in rows])
    np.savez_compressed(path, block=np.array(block, np.uint8), script=script, names=np.array(names))


if __name__ == "__main__":
    write_table(Path(sys.argv[1]), sys.stdin)
else:
    SCRIPTS, TABLE = _load(DATA)

"""What a word is: one rule for signals and for shingles, in any script.

White space separates tokens and belongs to none. From its first character on, a token is

- a run of letters, digits, marks and underscores, with an apostrophe (' or ’) between letters and a full stop or comma
  between digits: `naïve`, `don't`, `3.14`, `snake_case`;
- in scripts without spaces between words (`unicode.UNSPACED`) one character with its marks;
- otherwise a run of one and the same character, with its marks: `,`, `...`, `👍`.

A word is a token that holds a letter or a digit; every other token is a symbol.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled
from datassay.corpus.unicode import DIGIT, LETTER, MARK, RUN, UNSPACED

WORD = LETTER | DIGIT
"""A token is a word if any of its characters has one of these flags."""
FNV_START = np.uint64(0xCBF29CE484222325)


@compiled(_nrt=False)
def read_token(
    codes: NDArray[np.int32], kinds: NDArray[np.uint16], start: int, end: int
) -> tuple[int, np.uint64, np.uint16]:
    """Where the token ends that begins at `start`, which is no white space; its `hash_of`; all flags of its characters.

    codes, kinds: characters and their flags, see `unicode.decode`; looked at before `end` only

    One loop finds the end and hashes: the processor guesses the end of a word wrong once, not once for each loop.
    """
    first, flags, i = codes[start], kinds[start], start + 1
    value = fnv_step(FNV_START, first)
    if flags & RUN:
        while i < end:
            if not kinds[i] & RUN:
                after = kinds[i + 1] if i + 1 < end else np.uint16(0)
                if not _joins(codes[i], kinds[i - 1], after):
                    break
            value = fnv_step(value, codes[i])
            flags |= kinds[i]
            i += 1
    else:
        is_repeated = not flags & UNSPACED
        while i < end and (kinds[i] & MARK or (is_repeated and codes[i] == first)):
            value = fnv_step(value, codes[i])
            flags |= kinds[i]
            i += 1
    return i, mix(value), flags


@compiled(_nrt=False)
def _joins(code: int, before: int, after: int) -> bool:
    """Whether a character stands inside a word or number, between characters of the kinds `before` and `after`."""
    if code == 0x27 or code == 0x2019:
        return bool(before & (LETTER | MARK)) and bool(after & LETTER) and not after & UNSPACED
    return (code == 0x2E or code == 0x2C) and bool(before & DIGIT) and bool(after & DIGIT)


@compiled(_nrt=False)
def hash_of(codes: NDArray[np.int32], start: int, end: int) -> np.uint64:
    """64-bit hash of the characters codes[start:end], made of the FNV-1a step and splitmix64's finish."""
    value = FNV_START
    for i in range(start, end):
        value = fnv_step(value, codes[i])
    return mix(value)  # type: ignore[no-any-return]


@compiled(_nrt=False)
def fnv_step(value: np.uint64, code: int) -> np.uint64:
    return (value ^ np.uint64(code)) * np.uint64(0x100000001B3)


@compiled(_nrt=False)
def mix(value: np.uint64) -> np.uint64:
    """The finish of splitmix64 (Steele, Lea, Flood 2014): each bit of the result depends on all bits of `value`."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))

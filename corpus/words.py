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
from numba import njit
from numpy.typing import NDArray

from datassay.corpus.unicode import DIGIT, LETTER, MARK, UNSPACED

WORD = LETTER | DIGIT
"""A token is a word if any of its characters has one of these flags."""
_UNDERSCORE = 0x5F


@njit(cache=True)  # type: ignore[untyped-decorator]
def token_end(codes: NDArray[np.int32], kinds: NDArray[np.uint16], start: int, end: int) -> int:
    """Where the token ends that begins at `start`, which is no white space.

    codes, kinds: characters and their flags, see `unicode.decode`; looked at before `end` only
    """
    first, kind, i = codes[start], kinds[start], start + 1
    if kind & UNSPACED:
        while i < end and kinds[i] & MARK:
            i += 1
    elif kind & (LETTER | DIGIT | MARK) or first == _UNDERSCORE:
        while i < end:
            after = kinds[i + 1] if i + 1 < end else np.uint16(0)
            if not (_continues(codes[i], kinds[i]) or _joins(codes[i], kinds[i - 1], after)):
                break
            i += 1
    else:
        while i < end and (codes[i] == first or kinds[i] & MARK):
            i += 1
    return i


@njit(cache=True)  # type: ignore[untyped-decorator]
def _continues(code: int, kind: int) -> bool:
    return bool(kind & (LETTER | DIGIT | MARK) or code == _UNDERSCORE) and not kind & UNSPACED


@njit(cache=True)  # type: ignore[untyped-decorator]
def _joins(code: int, before: int, after: int) -> bool:
    """Whether a character stands inside a word or number, between characters of the kinds `before` and `after`."""
    if code == 0x27 or code == 0x2019:
        return bool(before & (LETTER | MARK)) and bool(after & LETTER) and not after & UNSPACED
    return (code == 0x2E or code == 0x2C) and bool(before & DIGIT) and bool(after & DIGIT)


@njit(cache=True)  # type: ignore[untyped-decorator]
def hash_of(codes: NDArray[np.int32], start: int, end: int) -> np.uint64:
    """64-bit hash of the characters codes[start:end], made of the FNV-1a step and splitmix64's finish."""
    value = np.uint64(0xCBF29CE484222325)
    for i in range(start, end):
        value = (value ^ np.uint64(codes[i])) * np.uint64(0x100000001B3)
    return mix(value)  # type: ignore[no-any-return]


@njit(cache=True)  # type: ignore[untyped-decorator]
def mix(value: np.uint64) -> np.uint64:
    """The finish of splitmix64 (Steele, Lea, Flood 2014): each bit of the result depends on all bits of `value`."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))

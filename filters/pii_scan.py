"""Where in a batch of texts personal data may be: one compiled pass over Arrow's UTF-8 buffers.

The pass stops at `@`, `:`, `.` and digits only, and yields *candidates*: short runs of bytes with the shape of an
address or a number. What looks at them further (`filters.pii`) works on those bytes alone, so that most texts never
become Python strings. Every byte is looked at a bounded number of times, whatever a text holds: an address looks back
and ahead a bounded way, everything else goes on where the last run of its shape ended.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled

EMAIL, URL, IPV4, IPV6, IBAN, DIGITS = 1, 2, 4, 8, 16, 32
"""Shapes of candidates, as flags."""

MAX_LOCAL_BYTES = 64
MAX_DOMAIN_BYTES = 255
"""Of an address (RFC 5321, section 4.5.3.1)."""
MAX_IPV6_CHARS = 45
MAX_SCHEME_CHARS = 10
MIN_DIGITS = 7
MAX_DIGITS = 64
"""A row of digits is cut into candidates of no more than these."""
MAX_SEPARATORS = 3
"""Bytes between two digits of one number, as in `(0)8-`."""

_DIGIT, _LETTER, _LOCAL, _DOMAIN, _URL, _HEX, _SEPARATOR, _STOP = (np.uint8(1 << i) for i in range(8))


def _classes() -> NDArray[np.uint8]:
    """Flags of each byte. Two-byte characters from U+00C0 to U+05FF are letters here: Latin, Greek, Cyrillic…"""
    flags = np.zeros(256, np.uint8)
    digits, upper, lower = b"0123456789", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz"
    for characters, flag in (
        (digits, _DIGIT),
        (upper + lower, _LETTER),
        (digits + upper + lower + b"._%+-'&~", _LOCAL),
        (digits + upper + lower + b".-", _DOMAIN),
        (digits + upper + lower + b"-._~:/?#[]@!$&'()*+,;=%|", _URL),
        (digits + b"ABCDEFabcdef", _HEX),
        (b" .-/()", _SEPARATOR),
        (b"@:.", _STOP),
        (digits, _STOP),
    ):
        for byte in characters:
            flags[byte] |= flag
    return flags


_CLASSES = _classes()


class Candidates(NamedTuple):
    """Candidates in the order in which they were met; bytes are counted from the start of the data."""

    rows: NDArray[np.int64]
    shapes: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    n_looked: int
    """Bytes looked at beside the pass itself, for the test that they grow linearly."""


def iban_lengths(lengths: dict[str, int]) -> NDArray[np.int64]:
    """Characters of an IBAN by its first two letters, (26 * 26,), 0 where there is none."""
    table = np.zeros(26 * 26, np.int64)
    for country, length in lengths.items():
        table[(ord(country[0]) - 65) * 26 + ord(country[1]) - 65] = length
    return table


def scan(offsets: NDArray[np.int64], data: NDArray[np.uint8], shapes: int, ibans: NDArray[np.int64]) -> Candidates:
    """All candidates of the shapes asked for, given as the sum of their flags.

    offsets: (texts + 1,), where each text begins in `data`
    ibans: see `iban_lengths`
    """
    found = np.empty((max(1024, len(data) // 1024), 4), np.int64)
    n, n_looked = _scan(offsets, data, shapes, ibans, found)
    if n > len(found):
        found = np.empty((n, 4), np.int64)
        n, n_looked = _scan(offsets, data, shapes, ibans, found)
    return Candidates(found[:n, 0], found[:n, 1], found[:n, 2], found[:n, 3], n_looked)


@compiled
def char_starts(
    offsets: NDArray[np.int64], data: NDArray[np.uint8], rows: NDArray[np.int64], starts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Characters of its text before each byte of `starts`, which ascend within a row, as `rows` do."""
    chars = np.empty(len(starts), np.int64)
    row, position, n_chars = -1, 0, 0
    for i in range(len(starts)):
        if rows[i] != row:
            row = rows[i]
            position, n_chars = offsets[row], 0
        while position < starts[i]:
            n_chars += (data[position] & 0xC0) != 0x80
            position += 1
        chars[i] = n_chars
    return chars


@compiled
def _scan(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    shapes: int,
    ibans: NDArray[np.int64],
    found: NDArray[np.int64],
) -> tuple[int, int]:
    """Put row, shape, start and end of each candidate into `found` while there is room; how many there are, bytes seen.

    An array that grows within the loop costs seven times the whole pass: its references are counted at each byte.
    """
    n, n_looked = 0, 0
    new = np.empty((4, 3), np.int64)  # what one place yields
    ends = np.empty(3, np.int64)  # where the last run of digits, URL and IPv6 address ended
    for row in range(len(offsets) - 1):
        i, last = offsets[row], offsets[row + 1]
        first = i
        ends[:] = first
        while i < last:
            if not _CLASSES[data[i]] & _STOP:
                i += 1
                continue
            after = i + 1
            if _CLASSES[data[i]] & _DIGIT:
                while after < last and _CLASSES[data[after]] & _DIGIT:
                    after += 1
                n_new, looked = _at_digits(data, shapes, ibans, first, i, after, last, ends, new)
            else:
                n_new, looked = _at_sign(data, shapes, first, i, last, ends, new)
            n_looked += looked
            for k in range(n_new):
                if n < len(found):
                    found[n, 0] = row
                    found[n, 1:] = new[k]
                n += 1
            i = after
    return n, n_looked


@compiled
def _at_sign(
    data: NDArray[np.uint8],
    shapes: int,
    first: int,
    i: int,
    last: int,
    ends: NDArray[np.int64],
    new: NDArray[np.int64],
) -> tuple[int, int]:
    """Put what lies around the @, colon or full stop at i into `new`; how many that is, and the bytes looked at."""
    n, looked = 0, 0
    if data[i] == 0x40:  # @
        if shapes & EMAIL:
            start, end = _email(data, first, i, last)
            looked += end - start
            if start < i and end > i + 3:
                n = _put(new, n, EMAIL, start, end)
    elif data[i] == 0x3A:  # :
        if shapes & URL and i >= ends[1] and i + 3 < last and data[i + 1] == 0x2F and data[i + 2] == 0x2F:
            start, end = _scheme_start(data, first, i), _url_end(data, i + 3, last)
            looked += end - start
            ends[1] = end
            if start < i and end > i + 3:
                n = _put(new, n, URL, start, end)
        if shapes & IPV6 and i >= ends[2]:
            start, end = _ipv6(data, first, i, last)
            looked += end - start
            ends[2] = end
            if _may_be_ipv6(data, start, end):
                n = _put(new, n, IPV6, start, end)
    elif shapes & URL and i >= ends[1] and _ends_www(data, first, i):
        end = _url_end(data, i + 1, last)
        looked += end - i
        ends[1] = end
        n = _put(new, n, URL, i - 3, end)
    return n, looked


@compiled
def _at_digits(
    data: NDArray[np.uint8],
    shapes: int,
    ibans: NDArray[np.int64],
    first: int,
    i: int,
    after: int,
    last: int,
    ends: NDArray[np.int64],
    new: NDArray[np.int64],
) -> tuple[int, int]:
    """Put what begins with the digits from i to `after` into `new`; how many that is, and the bytes looked at."""
    n, looked = 0, after - i
    if shapes & IPV4 and after - i <= 3 and after + 1 < last and data[after] == 0x2E:
        end = _ipv4_end(data, i, last)
        looked += 15
        if end > 0:
            n = _put(new, n, IPV4, i, end)
    if shapes & IBAN and after - i >= 2 and i - first >= 2:
        end = _iban_end(data, ibans, first, i, last)
        looked += 68
        if end > 0:
            n = _put(new, n, IBAN, i - 2, end)
    if shapes & DIGITS and i >= ends[0] and not _is_in_word(data, first, i):
        end, n_digits = _digits_end(data, i, last)
        looked += end - i
        ends[0] = end
        if n_digits >= MIN_DIGITS:
            n = _put(new, n, DIGITS, _digits_start(data, first, i), end)
    return n, looked


@compiled
def _put(new: NDArray[np.int64], n: int, shape: int, start: int, end: int) -> int:
    new[n, 0], new[n, 1], new[n, 2] = shape, start, end
    return n + 1


@compiled
def _is_letter_pair(data: NDArray[np.uint8], i: int, last: int) -> bool:
    """Whether a character of two bytes from U+00C0 to U+05FF begins at i."""
    return 0xC3 <= data[i] <= 0xD7 and i + 1 < last


@compiled
def _email(data: NDArray[np.uint8], first: int, at: int, last: int) -> tuple[int, int]:
    """What may be an address around the @ at `at`; (at, at) if the local part is too long for one."""
    start, end = at, at + 1
    while start > first:
        if _CLASSES[data[start - 1]] & _LOCAL:
            start -= 1
        elif start - 1 > first and data[start - 1] & 0xC0 == 0x80 and _is_letter_pair(data, start - 2, last):
            start -= 2
        else:
            break
        if at - start > MAX_LOCAL_BYTES:
            return at, at
    while end < last and end - at <= MAX_DOMAIN_BYTES:
        if _CLASSES[data[end]] & _DOMAIN:
            end += 1
        elif _is_letter_pair(data, end, last):
            end += 2
        else:
            break
    return start, end


@compiled
def _scheme_start(data: NDArray[np.uint8], first: int, colon: int) -> int:
    start = colon
    while start > first and colon - start < MAX_SCHEME_CHARS and _CLASSES[data[start - 1]] & _LETTER:
        start -= 1
    return start


@compiled
def _ends_www(data: NDArray[np.uint8], first: int, dot: int) -> bool:
    """Whether `www.` ends at the dot and begins a word."""
    if dot - first < 3:
        return False
    for k in range(1, 4):
        if data[dot - k] | 0x20 != 0x77:
            return False
    return dot - 3 == first or not (_CLASSES[data[dot - 4]] & _LOCAL or data[dot - 4] in (0x2F, 0x40))


@compiled
def _url_end(data: NDArray[np.uint8], start: int, last: int) -> int:
    end = start
    while end < last:
        if _CLASSES[data[end]] & _URL:
            end += 1
        elif _is_letter_pair(data, end, last):
            end += 2
        else:
            break
    return end


@compiled
def _ipv6(data: NDArray[np.uint8], first: int, colon: int, last: int) -> tuple[int, int]:
    """The run of hexadecimal digits, colons and dots around a colon; it looks back a bounded way."""
    start, end = colon, colon
    while start > first and colon - start <= 4 and _CLASSES[data[start - 1]] & _HEX:
        start -= 1
    while end < last and (_CLASSES[data[end]] & _HEX or data[end] == 0x3A or data[end] == 0x2E):
        end += 1
    return start, end


@compiled
def _may_be_ipv6(data: NDArray[np.uint8], start: int, end: int) -> bool:
    """Whether a run holds `::` or seven colons, and is not too long."""
    if end - start > MAX_IPV6_CHARS + 2:
        return False
    n_colons = 0
    for i in range(start, end):
        if data[i] == 0x3A:
            n_colons += 1
            if i + 1 < end and data[i + 1] == 0x3A:
                return end - start > 2
    return n_colons >= 6


@compiled
def _ipv4_end(data: NDArray[np.uint8], start: int, last: int) -> int:
    """Where four numbers up to 255 with dots between end that begin at `start`; 0 if they do not."""
    i = start
    for part in range(4):
        value, n_digits = 0, 0
        while i < last and _CLASSES[data[i]] & _DIGIT and n_digits < 4:
            value = value * 10 + data[i] - 0x30
            n_digits += 1
            i += 1
        if n_digits == 0 or value > 255 or n_digits > 3 or (n_digits > 1 and value < 10 ** (n_digits - 1)):
            return 0
        if part < 3:
            if i >= last or data[i] != 0x2E:
                return 0
            i += 1
    if i < last and _CLASSES[data[i]] & _LETTER:
        return 0
    if i + 1 < last and data[i] == 0x2E and _CLASSES[data[i + 1]] & _DIGIT:
        return 0
    return i


@compiled
def _iban_end(
    data: NDArray[np.uint8],
    lengths: NDArray[np.int64],
    first: int,
    digits: int,
    last: int,
) -> int:
    """Where an account number ends whose country stands in the two letters before `digits`; 0 if there is none.

    Between its characters may stand one space or hyphen each.
    """
    a, b = (data[digits - 2] | 0x20) - 0x61, (data[digits - 1] | 0x20) - 0x61
    if not (_CLASSES[data[digits - 2]] & _LETTER and _CLASSES[data[digits - 1]] & _LETTER):
        return 0
    length = lengths[a * 26 + b]
    if length == 0 or _is_in_word(data, first, digits - 2):
        return 0
    i, n = digits + 2, 4
    while i < last and n < length:
        if (data[i] == 0x20 or data[i] == 0x2D) and i + 1 < last:
            i += 1
        if not _CLASSES[data[i]] & (_DIGIT | _LETTER):
            return 0
        n += 1
        i += 1
    if n < length or (i < last and _CLASSES[data[i]] & (_DIGIT | _LETTER)):
        return 0
    return i


@compiled
def _is_in_word(data: NDArray[np.uint8], first: int, i: int) -> bool:
    """Whether an ASCII letter, digit or underscore, or a Latin letter, stands before i."""
    if i == first:
        return False
    before = data[i - 1]
    if _CLASSES[before] & (_DIGIT | _LETTER) or before == 0x5F:
        return True
    return before & 0xC0 == 0x80 and i - 2 >= first and 0xC3 <= data[i - 2] <= 0xCA


@compiled
def _digits_start(data: NDArray[np.uint8], first: int, i: int) -> int:
    """Where a number begins whose first digit is at i: at its plus sign or opening parenthesis, if it has one."""
    start = i
    while start > first and i - start < 3 and (data[start - 1] == 0x28 or data[start - 1] == 0x2B):
        start -= 1
    if start == i and i - 2 >= first and data[i - 1] == 0x20 and data[i - 2] == 0x2B:
        start = i - 2
    return start


@compiled
def _digits_end(data: NDArray[np.uint8], start: int, last: int) -> tuple[int, int]:
    """Where a row of digits and what may separate them ends, behind its last digit; how many digits it has."""
    end, n_digits, i = start, 0, start
    while i < last:
        group = i
        while i < last and _CLASSES[data[i]] & _DIGIT:
            i += 1
        if i - group > MAX_DIGITS and n_digits == 0:
            return i, 0
        if n_digits + i - group > MAX_DIGITS:
            break
        n_digits += i - group
        end = i
        n_separators, was_space = 0, False
        while i < last and n_separators <= MAX_SEPARATORS and not _CLASSES[data[i]] & _DIGIT:
            if _CLASSES[data[i]] & _SEPARATOR:
                if was_space and data[i] == 0x20:
                    return end, n_digits
                was_space = data[i] == 0x20
                i += 1
            elif i + 1 < last and data[i] == 0xC2 and data[i + 1] == 0xA0:  # no-break space
                i, was_space = i + 2, False
            elif i + 2 < last and data[i] == 0xE2 and data[i + 1] == 0x80 and 0x90 <= data[i + 2] <= 0x93:  # hyphens
                i, was_space = i + 3, False
            else:
                return end, n_digits
            n_separators += 1
        if n_separators > MAX_SEPARATORS:
            break
    return end, n_digits

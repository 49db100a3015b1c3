"""English words as spaCy's blank tokenizer cuts them, compiled: Honnibal, Montani et al., spaCy 3.8, MIT licence.

White space cuts a text into runs. From a run, prefixes and suffixes are taken off at its ends, one of each at a time,
until it is one of 1343 special cases (`can't` is `ca` and `n't`, `e.g.` is whole) or nothing comes off; what is left
is whole if it is an address, and else is cut at infixes. At last special cases are looked for among the tokens: `:`
and `)` of one run are `:)`. Every step, with its odd sides, is that of spaCy's `tokenizer.pyx`; the tables are its own
(benchmarks/spacy_tables.py). White space that is not one blank is a token there, which ends a sentence and is no word:
here it is the gap before a run.

A stretch of characters is known by a polynomial of them modulo 2**64, divided by the power where it begins: with sums
over all characters of a text at hand, the key of any stretch is one difference and one product. Texts can be made
that have the same key (Thue and Morse).

`_nrt=False`: these functions don't count references to arrays, which took half of the time. So they can't make any, and
the room for their work is made before; only those make arrays that say `_nrt=True`.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled

DATA = Path(__file__).parent / "data" / "spacy-english.npz"

SPACE = 1 << 0
"""str.isspace"""
BREAK = 1 << 1
"""Ends a line for str.splitlines."""
PREFIX = 1 << 2
SUFFIX = 1 << 3
INFIX = 1 << 4
ALPHA = 1 << 5
"""spaCy's letters, which are not Unicode's."""
LOWER_DOT = 1 << 6
"""May stand before a full stop that is an infix."""
DOT_UPPER = 1 << 7
"""May stand after a full stop that is an infix."""
BEFORE_DOT = 1 << 8
"""A full stop after it is a suffix."""
UPPER = 1 << 9
"""A full stop after two of these is a suffix."""
CURRENCY = 1 << 10
"""A suffix after a digit."""
TLD = 1 << 11
"""May stand in the last part of a host's name."""
WORD_CHARACTER = 1 << 12
r"""\w of Python's expressions"""
DECIMAL = 1 << 13
r"""\d of Python's expressions"""
NOT_PUNCTUATION = 1 << 14
"""Of no general category P*."""
NOT_SYMBOL = 1 << 15
"""Not in datatrove's PUNCTUATION_SET."""
TERMINAL = 1 << 16
"""In datatrove's TERMINAL_PUNCTUATION."""
SENTENCE_END = 1 << 17
"""In the list of spaCy's sentencizer."""
LETTER = 1 << 18
"""str.isalpha"""
ACTIVE = 1 << 19
"""May cut a run; a run without any is one token, or a special case."""

NO_GAP, BLANK_GAP, TOKEN_GAP = 0, 1, 2
"""What stands before a run: nothing, one blank, or white space that is a token for spaCy."""

CUT_BITS, MAX_CUT_TOKENS, MAX_CUT_CHARS, CUT_MATCHES = 16, 7, 255, 1 << 7
"""Of the cuts that are remembered: how many, of what runs, and the flag that a pattern may stand among the tokens."""
ROLLED = 13
"""Characters on which an entry of `Text.rolling` depends: each moves those before by 5 of 64 bits."""
MAX_CASE_CHARS = 12
"""Of the longest special case."""

_BASE = 0x9E3779B97F4A7C55
_INVERSE = pow(_BASE, -1, 1 << 64)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_TWO_KEYS = np.uint64(0xD6E8FEB86659FD93)
_MASK = (1 << 64) - 1


class English(NamedTuple):
    """spaCy's data on English, in the form that compiled functions take."""

    kind_block: NDArray[np.uint8]  # (4352,), which row of `kind`
    kind: NDArray[np.uint32]  # (rows, 256), the flags above
    case_filter: NDArray[np.uint64]  # bits by a hash of the key, set for special cases
    case_keys: NDArray[np.uint64]  # a hash table of the special cases
    case_lengths: NDArray[np.int8]  # (slots, 3), characters of the tokens of the case that stands there
    unit_keys: NDArray[np.uint64]  # sorted
    pair_filter: NDArray[np.uint64]  # bits by a hash of two keys, set for the first two of patterns that change tokens
    pair_keys: NDArray[np.uint64]  # sorted, of the same pairs
    step_keys: NDArray[np.uint64]  # a hash table of (state, token) of the patterns
    step_states: NDArray[np.int32]  # the state that follows
    is_end: NDArray[np.bool_]  # by state, whether a pattern ends there


class Words(NamedTuple):
    """The runs of a text and their tokens; with the room for as many as there are characters."""

    run_starts: NDArray[np.int32]
    run_ends: NDArray[np.int32]
    run_gaps: NDArray[np.uint8]
    run_flags: NDArray[np.uint32]  # all flags of the characters of each run
    run_tokens: NDArray[np.int32]  # the first token of each run, and after the last run how many tokens there are
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    flags: NDArray[np.uint32]  # all flags of the characters of each token
    keys: NDArray[np.uint64]
    suffixes: NDArray[np.int32]  # of one run, where each begins, the last one first
    breaks: NDArray[np.int32]  # where lines end
    break_runs: NDArray[np.int32]  # how many runs come before
    cut_keys: NDArray[np.uint64]  # of runs that were cut before, each where its hash says
    cut_lengths: NDArray[np.uint8]  # their characters, 0 where none stands
    cuts: NDArray[np.uint64]  # see `_packed`


class Text(NamedTuple):
    """Characters, decoded, with the sums by which stretches of them are known."""

    codes: NDArray[np.int32]
    kinds: NDArray[np.uint32]
    sums: NDArray[np.uint64]  # (characters + 1,)
    powers: NDArray[np.uint64]
    inverses: NDArray[np.uint64]
    rolling: NDArray[np.uint64]  # by characters before that are no white space: a sum of the last ROLLED of them


def load_english(path: Path = DATA) -> English:
    """spaCy's data from the file that benchmarks/spacy_tables.py wrote."""
    with np.load(path) as file:
        block, kind = (np.ascontiguousarray(file[name]) for name in ("kind_block", "kind"))
        cases, patterns, units = (
            bytes(file[name]).decode().split("\n") for name in ("special_cases", "patterns", "units")
        )
    tokens = [case.split("\x01") for case in cases]
    case_keys = np.zeros(1 << 12, np.uint64)
    case_lengths = np.zeros((len(case_keys), 3), np.int8)
    for case in tokens:
        slot = _free_slot(case_keys, text_key("".join(case)))
        case_keys[slot] = text_key("".join(case))
        case_lengths[slot, : len(case)] = [len(token) for token in case]
    case_filter = _filter([text_key("".join(case)) for case in tokens])
    by_text = {"".join(case): case for case in tokens}
    rows = [pattern.split("\x01") for pattern in patterns]
    pairs = [row for row in rows if row != by_text["".join(row)]]
    pair_keys = [_pair(*map(text_key, row[:2])) for row in pairs]
    unit_keys = np.sort(np.array([text_key(unit) for unit in units], np.uint64))
    sorted_pairs = np.sort(np.array(pair_keys, np.uint64))
    return English(
        block,
        kind,
        case_filter,
        case_keys,
        case_lengths,
        unit_keys,
        _filter(pair_keys),
        sorted_pairs,
        *_steps(rows),
    )


def text_key(text: str) -> int:
    """The key of a text, as that of a stretch which is equal."""
    return sum((ord(character) + 1) * pow(_BASE, i, 1 << 64) for i, character in enumerate(text)) & _MASK


def _pair(first: int, second: int) -> int:
    return first * int(_TWO_KEYS) + second & _MASK


def _filter(keys: list[int]) -> NDArray[np.uint64]:
    """65536 bits, of which that of each key is set."""
    bits = np.zeros(1 << 10, np.uint64)
    for key in keys:
        bit = (key * int(_GOLDEN) & _MASK) >> 48
        bits[bit >> 6] |= np.uint64(1 << (bit & 63))
    return bits


def _free_slot(table: NDArray[np.uint64], key: int) -> int:
    slot = (key * int(_GOLDEN) & _MASK) >> 52
    while table[slot]:
        slot = (slot + 1) % len(table)
    return slot


def _steps(patterns: list[list[str]]) -> tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.bool_]]:
    """The patterns as a tree: (keys, states) of the hash table of its steps, and by state whether a pattern ends."""
    keys, states = np.zeros(1 << 12, np.uint64), np.zeros(1 << 12, np.int32)
    steps: dict[int, int] = {}
    ends = set()
    for pattern in patterns:
        state = 0
        for token in pattern:
            step = _pair(state + 1, text_key(token))
            state = steps.setdefault(step, len(steps) + 1)
        ends.add(state)
    for step, state in steps.items():
        slot = _free_slot(keys, step)
        keys[slot], states[slot] = step, state
    return keys, states, np.array([state in ends for state in range(len(steps) + 1)])


@compiled(_nrt=True)
def new_text(n: int) -> Text:
    """Room for n characters, and as many again for lines that are written anew."""
    powers, inverses = np.empty(n + 1, np.uint64), np.empty(n + 1, np.uint64)
    power = inverse = np.uint64(1)
    for i in range(n + 1):
        powers[i], inverses[i] = power, inverse
        power *= np.uint64(_BASE)
        inverse *= np.uint64(_INVERSE)
    return Text(
        np.empty(2 * n + 1, np.int32),
        np.empty(2 * n + 1, np.uint32),
        np.empty(2 * n + 2, np.uint64),
        powers,
        inverses,
        np.empty(n + 1, np.uint64),
    )


@compiled(_nrt=True)
def new_words(n: int) -> Words:
    """Room for the words of n characters, and of as many again."""
    n = 2 * n + 2
    return Words(
        np.empty(n, np.int32),
        np.empty(n, np.int32),
        np.empty(n, np.uint8),
        np.empty(n, np.uint32),
        np.empty(n, np.int32),
        np.empty(n, np.int32),
        np.empty(n, np.int32),
        np.empty(n, np.uint32),
        np.empty(n, np.uint64),
        np.empty(n, np.int32),
        np.empty(n, np.int32),
        np.empty(n, np.int32),
        np.zeros(1 << CUT_BITS, np.uint64),
        np.zeros(1 << CUT_BITS, np.uint8),
        np.zeros(1 << CUT_BITS, np.uint64),
    )


@compiled(_nrt=False)
def read_text(data: NDArray[np.uint8], start: int, end: int, english: English, text: Text) -> int:
    """Decode the valid UTF-8 in data[start:end] into `text` and return the number of characters."""
    codes, kinds, sums, powers, rolling = text.codes, text.kinds, text.sums, text.powers, text.rolling
    ascii_kinds = english.kind[0]
    total = rolled = np.uint64(0)
    sums[0] = rolling[0] = total
    n, n_dark, i = 0, 0, start
    while i < end:
        code = np.int32(data[i])
        if code < 0x80:
            kind = ascii_kinds[code]
            i += 1
        else:
            if code < 0xE0:
                code, more = code & 0x1F, 1
            elif code < 0xF0:
                code, more = code & 0x0F, 2
            else:
                code, more = code & 0x07, 3
            for j in range(i + 1, i + 1 + more):
                code = code << 6 | np.int32(data[j]) & 0x3F
            kind = english.kind[english.kind_block[code >> 8], code & 255]
            i += 1 + more
        codes[n], kinds[n] = code, kind
        total += np.uint64(code + 1) * powers[n]
        n += 1
        sums[n] = total
        is_dark = (kind & SPACE) == 0
        rolled = (rolled << np.uint64(5)) + np.uint64(code) if is_dark else rolled
        n_dark += is_dark
        rolling[n_dark] = rolled
    return n


@compiled(_nrt=False)
def sum_up(text: Text, start: int, end: int) -> None:
    """Fill the sums of the stretch codes[start:end], which begin at 0 there."""
    codes, sums, powers = text.codes, text.sums, text.powers
    total = np.uint64(0)
    sums[start] = total
    for i in range(end - start):
        total += np.uint64(codes[start + i] + 1) * powers[i]
        sums[start + i + 1] = total


@compiled(forceinline=True, _nrt=False)
def key_of(text: Text, base: int, start: int, end: int) -> np.uint64:
    """The key of codes[start:end], whose sums begin at `base`."""
    return (text.sums[end] - text.sums[start]) * text.inverses[start - base]  # type: ignore[no-any-return]


@compiled(forceinline=True, _nrt=False)
def is_in(bits: NDArray[np.uint64], key: np.uint64) -> bool:
    """Whether the key's bit is set."""
    bit = (key * _GOLDEN) >> np.uint64(48)
    return bool((bits[bit >> np.uint64(6)] >> (bit & np.uint64(63))) & np.uint64(1))


@compiled(forceinline=True, _nrt=False)
def _slot_of(table: NDArray[np.uint64], key: np.uint64) -> int:
    """Where the key stands in a hash table, or -1."""
    slot = np.int64((key * _GOLDEN) >> np.uint64(52))
    while table[slot] != key:
        if table[slot] == 0:
            return -1
        slot = (slot + 1) & (len(table) - 1)
    return slot  # type: ignore[return-value]


@compiled(forceinline=True, _nrt=False)
def _case_of(text: Text, english: English, base: int, start: int, end: int) -> int:
    """The slot of the special case that codes[start:end] is, or -1."""
    if end - start > MAX_CASE_CHARS or end <= start:
        return -1
    key = key_of(text, base, start, end)
    return _slot_of(english.case_keys, key) if is_in(english.case_filter, key) else -1


@compiled(_nrt=False)
def read_words(
    text: Text, english: English, start: int, end: int, words: Words, n_runs: int, n_tokens: int
) -> tuple[int, int, int]:
    """Cut codes[start:end], whose sums begin at `start`, into runs and tokens.

    n_runs, n_tokens: how many of each `words` holds already, of another stretch; these are added behind
    returns:          (runs, tokens, line breaks) that `words` holds then; the breaks are of this stretch alone
    """
    codes, kinds = text.codes, text.kinds
    run_starts, run_ends, run_gaps, run_tokens = words.run_starts, words.run_ends, words.run_gaps, words.run_tokens
    run_flags, breaks, break_runs = words.run_flags, words.breaks, words.break_runs
    first_run, first_token, n_breaks = n_runs, n_tokens, 0
    has_matches = False
    i = start
    while True:
        gap_start = i
        while i < end and kinds[i] & SPACE:
            if kinds[i] & BREAK:
                breaks[n_breaks], break_runs[n_breaks] = i, n_runs
                n_breaks += 1
            i += 1
        if i == end:
            break
        is_blank = i - gap_start == 1 and codes[gap_start] == 0x20 and gap_start > start
        gap = NO_GAP if i == gap_start else BLANK_GAP if is_blank else TOKEN_GAP
        run, flags, flags_before = i, np.uint32(0), np.uint32(0)  # before the last character
        while i < end and not kinds[i] & SPACE:
            flags_before = flags
            flags |= kinds[i]
            i += 1
        run_starts[n_runs], run_ends[n_runs], run_gaps[n_runs], run_tokens[n_runs] = run, i, gap, n_tokens
        run_flags[n_runs] = flags
        n_runs += 1
        n_tokens, is_match = _add_run(text, english, start, run, i, flags, flags_before, words, n_tokens)
        has_matches |= is_match
    run_tokens[n_runs] = n_tokens
    if has_matches:
        n_tokens = _match_cases(text, english, start, words, first_run, n_runs, first_token, n_tokens)
    return n_runs, n_tokens, n_breaks


@compiled(forceinline=True, _nrt=False)
def _add_run(
    text: Text,
    english: English,
    base: int,
    start: int,
    end: int,
    flags: np.uint32,
    flags_before: np.uint32,
    words: Words,
    n: int,
) -> tuple[int, bool]:
    """Add the tokens of the run codes[start:end]: (how many there are then, whether a pattern may stand among them).

    Most runs are one token, or one and a mark behind it. How others are cut is remembered, as the same ones come again
    and again: where a key would stand, the last run that stood there.

    flags, flags_before: all flags of the characters, and of those before the last
    """
    sums, inverse, n_chars = text.sums, text.inverses[start - base], end - start
    key = (sums[end] - sums[start]) * inverse
    if not flags & ACTIVE:
        if n_chars > MAX_CASE_CHARS or not is_in(english.case_filter, key):
            _put(words, n, start, end, flags, key)
            return n + 1, False
    elif not flags_before & ACTIVE and n_chars > 1 and _is_plain_suffix(text.codes, text.kinds, end - 1):
        rest_key, last_key = (sums[end - 1] - sums[start]) * inverse, np.uint64(text.codes[end - 1] + 1)
        may_be_case = is_in(english.case_filter, key) or is_in(english.case_filter, rest_key)
        if not may_be_case and not is_in(english.pair_filter, rest_key * _TWO_KEYS + last_key):
            _put(words, n, start, end - 1, flags_before, rest_key)
            _put(words, n + 1, end - 1, end, text.kinds[end - 1], last_key)
            return n + 2, False
    slot = (key * _GOLDEN) >> np.uint64(64 - CUT_BITS)
    if words.cut_keys[slot] == key and words.cut_lengths[slot] == n_chars:
        return _add_as_before(text, base, start, words.cuts[slot], words, n)  # type: ignore[no-any-return]
    n_now = _cut_run(text, english, base, start, end, words, n)
    is_match = False
    for t in range(n, n_now - 1):
        pair = words.keys[t] * _TWO_KEYS + words.keys[t + 1]
        is_match = is_match or (is_in(english.pair_filter, pair) and _sorted_slot(english.pair_keys, pair) >= 0)
    if n_now - n <= MAX_CUT_TOKENS and n_chars <= MAX_CUT_CHARS:
        words.cut_keys[slot], words.cut_lengths[slot] = key, n_chars
        words.cuts[slot] = _packed(words, n, n_now, is_match)
    return n_now, is_match


@compiled(forceinline=True, _nrt=False)
def _put(words: Words, n: int, start: int, end: int, flags: np.uint32, key: np.uint64) -> None:
    """Set the n-th token."""
    words.starts[n], words.ends[n], words.flags[n], words.keys[n] = start, end, flags, key


@compiled(forceinline=True, _nrt=False)
def _packed(words: Words, first: int, end: int, is_match: bool) -> np.uint64:
    """The characters of each token, 8 bits each, behind CUT_MATCHES and how many tokens there are."""
    cut = np.uint64(0)
    for t in range(end - 1, first - 1, -1):
        cut = (cut | np.uint64(words.ends[t] - words.starts[t])) << np.uint64(8)
    return cut | np.uint64(end - first | (CUT_MATCHES if is_match else 0))


@compiled(forceinline=True, _nrt=False)
def _add_as_before(text: Text, base: int, start: int, cut: np.uint64, words: Words, n: int) -> tuple[int, bool]:
    """`_add_run` of a run whose cut was `_packed`."""
    is_match, n_tokens = (cut & np.uint64(CUT_MATCHES)) != 0, np.int64(cut & np.uint64(MAX_CUT_TOKENS))
    for _ in range(n_tokens):
        cut >>= np.uint64(8)
        end = start + np.int64(cut & np.uint64(MAX_CUT_CHARS))
        n = _add(text, base, start, end, words, n)
        start = end  # type: ignore[assignment]
    return n, bool(is_match)


@compiled(forceinline=True, _nrt=False)
def _is_plain_suffix(codes: NDArray[np.int32], kinds: NDArray[np.uint32], i: int) -> bool:
    """Whether codes[i] is a suffix behind a run of characters that are not ACTIVE: all that is cut off there."""
    if codes[i] == 0x2E:
        return bool(kinds[i - 1] & BEFORE_DOT)
    return bool((kinds[i] & (SUFFIX | CURRENCY)) == SUFFIX)


@compiled(forceinline=True, _nrt=False)
def _add(text: Text, base: int, start: int, end: int, words: Words, n: int) -> int:
    """Add codes[start:end] as the n-th token, and return n + 1."""
    flags, kinds = np.uint32(0), text.kinds
    for i in range(start, end):
        flags |= kinds[i]
    words.starts[n], words.ends[n], words.flags[n] = start, end, flags
    words.keys[n] = key_of(text, base, start, end)
    return n + 1


@compiled(forceinline=True, _nrt=False)
def _add_case(text: Text, english: English, base: int, start: int, slot: int, words: Words, n: int) -> int:
    """Add the tokens of the special case that begins at codes[start]."""
    for length in english.case_lengths[slot]:
        if length:
            n = _add(text, base, start, start + length, words, n)
            start += length
    return n


@compiled(forceinline=True, _nrt=False)
def _cut_run(text: Text, english: English, base: int, start: int, end: int, words: Words, n: int) -> int:
    """Add the tokens of the run codes[start:end] behind the first n tokens, and return how many there are then."""
    n_suffixes, last_length, case = 0, 0, -1
    run_end = end
    while start < end and end - start != last_length:
        case = _case_of(text, english, base, start, end)
        if case >= 0:
            break
        last_length = end - start
        prefix = _prefix_length(text, start, end)
        if prefix:
            case = _case_of(text, english, base, start + prefix, end)
            if case >= 0:
                n = _add(text, base, start, start + prefix, words, n)
                start += prefix
                break
        suffix = _suffix_length(text, english, base, start + prefix, end)
        if suffix:
            case = _case_of(text, english, base, start, end - suffix)
            if case >= 0:
                words.suffixes[n_suffixes] = end - suffix
                n_suffixes += 1
                end -= suffix
                break
        if prefix:
            n = _add(text, base, start, start + prefix, words, n)
            start += prefix
        if suffix:
            words.suffixes[n_suffixes] = end - suffix
            n_suffixes += 1
            end -= suffix
    if start < end:
        if case >= 0:
            n = _add_case(text, english, base, start, case, words, n)
        elif _is_address(text, start, end):
            n = _add(text, base, start, end, words, n)
        else:
            n = _cut_at_infixes(text, base, start, end, words, n)
    for s in range(n_suffixes - 1, -1, -1):
        suffix_end = words.suffixes[s - 1] if s else run_end
        n = _add(text, base, words.suffixes[s], suffix_end, words, n)
    return n


@compiled(forceinline=True, _nrt=False)
def _is_digit(code: int) -> bool:
    return 0x30 <= code <= 0x39


@compiled(forceinline=True, _nrt=False)
def _prefix_length(text: Text, start: int, end: int) -> int:
    """Characters of the prefix of codes[start:end]."""
    codes = text.codes
    code = codes[start]
    if text.kinds[start] & PREFIX:
        return 1
    after = codes[start + 1] if start + 1 < end else np.int32(0)
    if code == 0x2B:  # + before no digit
        return 0 if _is_digit(after) else 1
    if code == 0x2E and after == 0x2E:
        i = start + 2
        while i < end and codes[i] == 0x2E:
            i += 1
        return i - start
    if (code == 0x43 or code == 0x41) and after == 0x24:  # C$ A$
        return 2
    if code == 0x55 and after == 0x53 and start + 2 < end and codes[start + 2] == 0x24:  # US$
        return 3
    return 0


@compiled(forceinline=True, _nrt=False)
def _suffix_length(text: Text, english: English, base: int, start: int, end: int) -> int:
    """Characters of the longest suffix of codes[start:end]."""
    codes, kinds, n = text.codes, text.kinds, end - start
    if n <= 0:
        return 0
    code, kind = codes[end - 1], kinds[end - 1]
    length = 1 if kind & SUFFIX else 0
    if n == 1:
        return length
    before = codes[end - 2]
    if code == 0x2E:
        return max(length, _dot_suffix_length(text, start, end))  # type: ignore[no-any-return]
    is_genitive = (code == 0x73 or code == 0x53) and (before == 0x27 or before == 0x2019)  # 's
    if is_genitive or (code == 0x2026 and before == 0x2026):
        length = 2
    elif _is_digit(before) and (code == 0x2B or kind & CURRENCY):
        length = 1
    if code == 0x24:  # $
        if n >= 3 and (before == 0x43 or before == 0x41) and _is_digit(codes[end - 3]):
            length = 2
        elif n >= 4 and before == 0x53 and codes[end - 3] == 0x55 and _is_digit(codes[end - 4]):
            length = 3
    for i in range(end - 2, max(start, end - 7) - 1, -1):
        if _is_digit(codes[i]):
            return max(length, _unit_length(text, english, base, i + 1, end))  # type: ignore[no-any-return]
    return length


@compiled(forceinline=True, _nrt=False)
def _unit_length(text: Text, english: English, base: int, start: int, end: int) -> int:
    """Characters of codes[start:end] if it is a unit, else 0."""
    return end - start if _sorted_slot(english.unit_keys, key_of(text, base, start, end)) >= 0 else 0


@compiled(_nrt=False)
def _sorted_slot(keys: NDArray[np.uint64], key: np.uint64) -> int:
    """Where a key stands among sorted ones, or -1."""
    slot = np.searchsorted(keys, key)
    return slot if slot < len(keys) and keys[slot] == key else -1  # type: ignore[return-value]


@compiled(forceinline=True, _nrt=False)
def _dot_suffix_length(text: Text, start: int, end: int) -> int:
    """Characters of the suffix of codes[start:end], two characters or more that end in a full stop."""
    codes, kinds = text.codes, text.kinds
    i = end
    while i > start and codes[i - 1] == 0x2E:
        i -= 1
    if end - i >= 2:
        return end - i
    if kinds[end - 2] & BEFORE_DOT:
        return 1
    if end - start < 3:
        return 0
    if kinds[end - 2] & UPPER and kinds[end - 3] & UPPER:
        return 1
    return 1 if codes[end - 3] == 0xB0 and codes[end - 2] in (0x46, 0x66, 0x43, 0x63, 0x4B, 0x6B) else 0  # °F.


@compiled(forceinline=True, _nrt=False)
def _cut_at_infixes(text: Text, base: int, start: int, end: int, words: Words, n: int) -> int:
    """Add codes[start:end], cut at infixes; one at its very start does not cut."""
    rest, i, kinds = start, start, text.kinds
    while i < end:
        if not kinds[i] & ACTIVE:
            i += 1
            continue
        length = _infix_length(text, start, i, end)
        if length == 0:
            i += 1
            continue
        if i > start:
            if i > rest:
                n = _add(text, base, rest, i, words, n)
            n = _add(text, base, i, i + length, words, n)
            rest = i + length
        i += length
    return _add(text, base, rest, end, words, n) if rest < end else n


@compiled(forceinline=True, _nrt=False)
def _infix_length(text: Text, start: int, i: int, end: int) -> int:
    """Characters of the infix of codes[start:end] at i."""
    codes, kinds = text.codes, text.kinds
    if kinds[i] & INFIX:
        return 1
    code = codes[i]
    if _is_digit(code):
        return 0
    before, after = (np.uint32(0) if i == start else kinds[i - 1]), (np.uint32(0) if i + 1 >= end else kinds[i + 1])
    is_after_digit = i > start and _is_digit(codes[i - 1])
    next_code = codes[i + 1] if i + 1 < end else np.int32(0)
    if code == 0x2E:
        if next_code == 0x2E:
            j = i + 2
            while j < end and codes[j] == 0x2E:
                j += 1
            return j - i
        return 1 if before & LOWER_DOT and after & DOT_UPPER else 0
    if (
        code in (0x2B, 0x2D, 0x2A, 0x5E)  # + - * ^
        and is_after_digit
        and (_is_digit(next_code) or next_code == 0x2D)
    ):
        return 1
    if code == 0x2C:
        return 1 if before & ALPHA and after & ALPHA else 0
    if not (before & ALPHA or is_after_digit):
        return 0
    if code in (0x3A, 0x3C, 0x3E, 0x3D, 0x2F):  # : < > = /
        return 1 if after & ALPHA else 0
    if code in (0x2D, 0x2013, 0x2014, 0x7E):  # - – — ~
        return _hyphen_length(text, i, end)  # type: ignore[no-any-return]
    return 0


@compiled(forceinline=True, _nrt=False)
def _hyphen_length(text: Text, i: int, end: int) -> int:
    """Characters of the hyphen at codes[i], one of - – — ~ -- --- ——, if a letter follows."""
    code = text.codes[i]
    longest = 3 if code == 0x2D else 2 if code == 0x2014 else 1
    for length in range(1, longest + 1):
        if i + length >= end:
            return 0
        if text.kinds[i + length] & ALPHA:
            return length
        if text.codes[i + length] != code:
            return 0
    return 0


@compiled(_nrt=False)
def _is_address(text: Text, start: int, end: int) -> bool:
    """Whether codes[start:end] is the address of a site, a mailbox or a machine.

    Perini's expression (https://gist.github.com/dperini/729294) as spaCy has it: an optional scheme, an optional user,
    then a host's name or number, an optional port, an optional path.
    """
    codes, kinds = text.codes, text.kinds
    has_dot = False
    for i in range(start + 1, end - 2):
        has_dot |= codes[i] == 0x2E
    if not has_dot:
        return False
    if _is_host(text, start, end):
        return True
    i = start
    while i < end and (kinds[i] & WORD_CHARACTER or codes[i] in (0x2B, 0x2D, 0x2E)):
        i += 1
    is_scheme = i - start >= 2 and i + 2 < end and codes[i] == 0x3A and codes[i + 1] == 0x2F and codes[i + 2] == 0x2F
    if is_scheme and _is_host(text, i + 3, end):
        return True
    is_mailbox = False
    for j in range(start + 1, end):
        is_mailbox = is_mailbox or (codes[j] == 0x40 and _is_host(text, j + 1, end))  # @
    return is_mailbox


@compiled(_nrt=False)
def _is_host(text: Text, start: int, end: int) -> bool:
    """Whether codes[start:end] is a host with an optional port and path."""
    after = _name_end(text, start, end)
    if after < 0 or not _is_port_and_path(text, after, end):
        after = _number_end(text, start, end)
    return after >= 0 and _is_port_and_path(text, after, end)  # type: ignore[no-any-return]


@compiled(_nrt=False)
def _is_port_and_path(text: Text, i: int, end: int) -> bool:
    """Whether codes[i:end] is an optional port and an optional path."""
    codes = text.codes
    if i < end and codes[i] == 0x3A:
        j = i + 1
        while j < end and j - i <= 5 and text.kinds[j] & DECIMAL:
            j += 1
        if j - i - 1 < 2:
            return False
        i = j
    return i == end or codes[i] in (0x2F, 0x3F, 0x23)  # / ? #


@compiled(forceinline=True, _nrt=False)
def _is_host_character(code: int) -> bool:
    is_ascii = 0x61 <= code <= 0x7A or 0x41 <= code <= 0x5A or 0x30 <= code <= 0x39
    return is_ascii or 0xA1 <= code <= 0xFFFF


@compiled(_nrt=False)
def _name_end(text: Text, start: int, end: int) -> int:
    """Where the host's name that begins codes[start:end] ends: labels with a full stop after each, and a domain of
    letters in lower case; -1 if there is none."""
    codes = text.codes
    label, i, n_labels = start, start, 0
    while i < end:
        code = codes[i]
        if code == 0x2E:
            is_label = 1 <= i - label <= 64 and _is_host_character(codes[label]) and _is_host_character(codes[i - 1])
            if not is_label:
                return -1
            n_labels += 1
            label = i + 1
        elif not (_is_host_character(code) or code == 0x5F or code == 0x2D):
            break
        i += 1
    if n_labels == 0:
        return -1
    i = label
    while i < end and text.kinds[i] & TLD:
        i += 1
    return i if 2 <= i - label <= 63 else -1


@compiled(_nrt=False)
def _number_end(text: Text, start: int, end: int) -> int:
    """Where the machine's number that begins codes[start:end] ends, -1 if there is none or it is a private one."""
    codes = text.codes
    first = second = -1
    i = start
    for part in range(4):
        begin = i
        while i < end and text.kinds[i] & DECIMAL and i - begin < 4:
            i += 1
        n = i - begin
        if n == 0 or n > 3:
            return -1
        value, is_ascii = 0, True
        for j in range(begin, i):
            is_ascii &= _is_digit(codes[j])
            value = 10 * value + codes[j] - 0x30
        if not _is_octet(codes, begin, n, part):
            return -1
        first = value if part == 0 else first
        second = value if part == 1 and is_ascii else second
        if part < 3:
            if i >= end or codes[i] != 0x2E:
                return -1
            i += 1
    is_private = (
        first in (10, 127)
        or (first == 169 and second == 254)
        or (first == 192 and second == 168)
        or (first == 172 and 16 <= second <= 31)
    )
    return -1 if is_private else i


@compiled(_nrt=False)
def _is_octet(codes: NDArray[np.int32], begin: int, n: int, part: int) -> bool:
    r"""Whether n decimal digits are the part of a number: 0 is the first, 3 the last. \d in the expression is any
    decimal digit, so that only some places ask for an ASCII one."""
    lead = codes[begin]
    if part == 1 or part == 2:
        if n < 3 or lead == 0x31:
            return True
        return lead == 0x32 and (  # type: ignore[no-any-return]
            (0x30 <= codes[begin + 1] <= 0x34) or (codes[begin + 1] == 0x35 and 0x30 <= codes[begin + 2] <= 0x35)
        )
    if n < 3:
        return 0x31 <= lead <= 0x39  # type: ignore[no-any-return]
    if lead == 0x31:
        return True
    if lead != 0x32:
        return False
    if part == 0:  # 2[01]\d or 22[0-3]
        return codes[begin + 1] in (0x30, 0x31) or (codes[begin + 1] == 0x32 and 0x30 <= codes[begin + 2] <= 0x33)
    return (0x30 <= codes[begin + 1] <= 0x34) or (codes[begin + 1] == 0x35 and 0x30 <= codes[begin + 2] <= 0x34)  # type: ignore[no-any-return]


@compiled(_nrt=True)
def _match_cases(
    text: Text, english: English, base: int, words: Words, first_run: int, n_runs: int, first: int, n_tokens: int
) -> int:
    """Put special cases in the place of tokens that are one, and return how many tokens there are then.

    The longest match goes first, and of equal ones the first. What overlaps with one, even with one that is not made
    because a blank stands inside, is left out.
    """
    n = n_tokens - first
    gaps = np.zeros(n + 1, np.uint8)
    for run in range(first_run, n_runs):
        gaps[words.run_tokens[run] - first] = words.run_gaps[run]
    match_starts, match_lengths = _matches(english, words.keys[first:n_tokens], gaps)
    is_seen, replaced = np.zeros(n, np.bool_), np.zeros(n, np.int32)
    for length in range(12, 0, -1):
        for m in range(len(match_starts)):
            if match_lengths[m] == length:
                t = match_starts[m]
                is_inside = not gaps[t + 1 : t + length].any()
                if is_inside and not is_seen[t] and not is_seen[t + length - 1]:
                    replaced[t] = length
                is_seen[t : t + length] = True
    starts, ends = words.starts[first:n_tokens].copy(), words.ends[first:n_tokens].copy()
    run_of = np.empty(n + 1, np.int32)
    for run in range(first_run, n_runs):
        run_of[words.run_tokens[run] - first : words.run_tokens[run + 1] - first] = run
    t, n_now, last_run = 0, first, -1
    while t < n:
        if run_of[t] != last_run:
            last_run = run_of[t]
            words.run_tokens[last_run] = n_now
        length = replaced[t]
        slot = _case_of(text, english, base, starts[t], ends[t + length - 1]) if length else -1
        if slot >= 0:
            n_now = _add_case(text, english, base, starts[t], slot, words, n_now)
            t += length
        else:
            n_now = _add(text, base, starts[t], ends[t], words, n_now)
            t += 1
    words.run_tokens[n_runs] = n_now
    return n_now


@compiled(_nrt=True)
def _matches(
    english: English, keys: NDArray[np.uint64], gaps: NDArray[np.uint8]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(first token, number of tokens) of every pattern among tokens."""
    n, room = 0, 64
    starts, lengths = np.empty(room, np.int32), np.empty(room, np.int32)
    for t in range(len(keys)):
        state, i = np.int64(0), t
        while i < len(keys) and (i == t or gaps[i] != TOKEN_GAP):
            slot = _slot_of(english.step_keys, np.uint64(state + 1) * _TWO_KEYS + keys[i])
            if slot < 0:
                break
            state = np.int64(english.step_states[slot])
            i += 1
            if english.is_end[state]:
                if n == room:
                    room *= 2
                    starts = np.append(starts, np.empty(n, np.int32))
                    lengths = np.append(lengths, np.empty(n, np.int32))
                starts[n], lengths[n] = t, i - t
                n += 1
    return starts[:n], lengths[:n]


ENGLISH = load_english()


def split_words(text: str) -> list[str]:
    """The words of a text as spaCy's tokens without white space; for tests and for looking."""
    data = np.frombuffer(text.encode(), np.uint8)
    room, words = new_text(len(data) + 1), new_words(len(data) + 1)
    n = read_text(data, 0, len(data), ENGLISH, room)
    _, n_tokens, _ = read_words(room, ENGLISH, 0, n, words, 0, 0)
    return [text[words.starts[t] : words.ends[t]] for t in range(n_tokens)]

"""Characters in repeated n-grams of a document's tokens, as the repetition rules of Gopher want them.

An n-gram can only repeat where the (n - 1)-grams that it begins and ends with repeat. So from one n to the next only
the positions are kept whose n-gram came at least twice: prose is done after a few, and any text in linear time. An
n-gram is known by the number of its first n - 1 tokens and the number of its last: no hash of it can collide.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled
from datassay.filters.interning import Interner, number_keys

MIN_N, MAX_TOP_N, MAX_N = 2, 4, 10
"""The most frequent n-gram is looked for from MIN_N to MAX_TOP_N, all repeated n-grams from there to MAX_N."""


class Room(NamedTuple):
    """The room that n-grams of a document take: an entry for each token in each array."""

    positions: NDArray[np.int32]
    grams: NDArray[np.int32]
    keys: NDArray[np.uint64]
    by_gram: NDArray[np.int64]


@compiled
def new_room(n_tokens: int) -> Room:
    return Room(
        np.empty(n_tokens, np.int32),
        np.empty(n_tokens, np.int32),
        np.empty(n_tokens, np.uint64),
        np.empty(n_tokens, np.int64),
    )


@compiled(_nrt=False)
def ngram_chars(
    tokens: NDArray[np.int32],
    token_counts: NDArray[np.int64],
    chars: NDArray[np.int32],
    spaced_chars: NDArray[np.int32],
    table: Interner,
    room: Room,
    out: NDArray[np.int64],
) -> None:
    """Characters of the most frequent 2-, 3-, 4-gram, then of the repeated 5- to 10-grams, into `out`.

    tokens:       (tokens,), the number of each token
    token_counts: how often the token of that number comes
    chars:        (tokens + 1,), characters before each token, white space not counted
    spaced_chars: (tokens + 1,), the same with one character for the white space before each token, if there is any
    out:          (MAX_N - MIN_N + 1,)
    """
    positions, grams = room.positions, room.grams
    out[:] = 0
    n_left = 0
    for i in range(len(tokens)):
        positions[n_left], grams[n_left] = i, tokens[i]
        n_left += token_counts[tokens[i]] > 1  # no branch, which would be guessed wrong too often
    for n in range(MIN_N, MAX_N + 1):
        n_left = _extend(tokens, n, positions[:n_left], grams[:n_left], table, room.keys)
        if n_left == 0:
            return
        left, left_grams = positions[:n_left], grams[:n_left]
        if n <= MAX_TOP_N:
            out[n - MIN_N] = _top_chars(n, left, left_grams, table.counts, chars, spaced_chars, room.by_gram)
        else:
            out[n - MIN_N] = _repeated_chars(n, left, left_grams, chars, room.by_gram)


@compiled(_nrt=False)
def _extend(
    tokens: NDArray[np.int32],
    length: int,
    positions: NDArray[np.int32],
    grams: NDArray[np.int32],
    table: Interner,
    keys: NDArray[np.uint64],
) -> int:
    """Keep, at the head of `positions` and in order, those where an n-gram repeats, and return how many they are.

    length:    n
    positions: where (n - 1)-grams repeat
    grams:     the number of the gram at each position: of the (n - 1)-gram, and of the n-gram when this returns
    """
    n = 0
    for k in range(len(positions) - 1):
        i = positions[k]
        is_followed = positions[k + 1] == i + 1  # then i + n is not beyond the end
        keys[n], positions[n] = np.uint64(grams[k]) << np.uint64(32) | np.uint64(tokens[i + length - 1]), i
        n += is_followed
    number_keys(table, keys[:n], grams)  # to drop keys that come once before, by a filter of bits, took longer
    counts, n_kept = table.counts, 0
    for k in range(n):
        positions[n_kept], grams[n_kept] = positions[k], grams[k]
        n_kept += counts[grams[k]] > 1
    return n_kept


@compiled(_nrt=False)
def _top_chars(
    n: int,
    positions: NDArray[np.int32],
    grams: NDArray[np.int32],
    counts: NDArray[np.int64],
    chars: NDArray[np.int32],
    spaced_chars: NDArray[np.int32],
    gram_chars: NDArray[np.int64],
) -> int:
    """Characters of all occurrences of the n-gram that comes most often; of several, of the one with the most."""
    most = 0
    for gram in grams:
        gram_chars[gram] = 0
        most = max(most, counts[gram])
    top = 0
    for k in range(len(positions)):
        i, gram = positions[k], grams[k]
        if counts[gram] == most:
            space_before = (spaced_chars[i + 1] - spaced_chars[i]) - (chars[i + 1] - chars[i])
            gram_chars[gram] += spaced_chars[i + n] - spaced_chars[i] - space_before
            top = max(top, gram_chars[gram])
    return top


@compiled(_nrt=False)
def _repeated_chars(
    n: int,
    positions: NDArray[np.int32],
    grams: NDArray[np.int32],
    chars: NDArray[np.int32],
    is_seen: NDArray[np.int64],
) -> int:
    """Characters of the n-grams that came before, read from left to right, each character counted once."""
    for gram in grams:
        is_seen[gram] = 0
    repeated, free = 0, 0
    for k in range(len(positions)):
        i = positions[k]
        if i < free:
            continue
        if is_seen[grams[k]]:
            repeated += chars[i + n] - chars[i]
            free = i + n
        else:
            is_seen[grams[k]] = 1
    return repeated

"""Numbers for keys, 0, 1, 2… in order of first appearance, with how often each came: a hash table for compiled code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled


class Interner(NamedTuple):
    """The room that numbering takes, used for one set of keys after another."""

    slots: NDArray[np.int32]  # 1 + the number of the key that stands there, 0 where none does
    keys: NDArray[np.uint64]  # by 1 + number; the first is the key that is looked for
    counts: NDArray[np.int64]  # by number
    firsts: NDArray[np.int32]  # by number, where it first came


@compiled
def new_interner(max_keys: int) -> Interner:
    """Room for at most `max_keys` keys at a time. What is never used of it is never touched, so it takes no memory."""
    return Interner(
        np.empty(_n_slots(max_keys), np.int32),
        np.empty(max_keys + 2, np.uint64),
        np.empty(max_keys + 1, np.int64),
        np.empty(max_keys + 1, np.int32),
    )


@compiled(_nrt=False)
def number_keys(table: Interner, keys: NDArray[np.uint64], numbers: NDArray[np.int32]) -> int:
    """Write the number of each key to `numbers` and return how many keys differ.

    `table.counts` and `table.firsts` then say how often each number came, and where first.

    New and known keys take the same path, without a branch that the processor could guess wrong.
    """
    slots, distinct, counts, firsts = table.slots, table.keys, table.counts, table.firsts
    n_slots = _n_slots(len(keys))
    slots[:n_slots] = 0
    counts[: len(keys)] = 0
    n_distinct = 0
    for i in range(len(keys)):
        slot = _slot_of(table, n_slots, keys[i])
        found = slots[slot]
        firsts[n_distinct] = i
        n_distinct += found == 0
        entry = found if found else np.int32(n_distinct)
        slots[slot] = entry
        distinct[entry] = keys[i]
        counts[entry - 1] += 1
        numbers[i] = entry - 1
    return n_distinct


@compiled(_nrt=False)
def number_of(table: Interner, n_keys: int, key: np.uint64) -> int:
    """The number of a key after `number_keys` was given `n_keys`, or -1."""
    return table.slots[_slot_of(table, _n_slots(n_keys), key)] - 1  # type: ignore[no-any-return]


@compiled(_nrt=False)
def _slot_of(table: Interner, n_slots: int, key: np.uint64) -> np.uint64:
    """Where the key stands, or the empty slot where it would: entry 0 of the keys, which is then found, is the key."""
    slots, distinct = table.slots, table.keys
    distinct[0] = key
    mask = np.uint64(n_slots - 1)
    product = key * np.uint64(0x9E3779B97F4A7C15)
    slot = (product ^ (product >> np.uint64(32))) & mask
    while distinct[slots[slot]] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@compiled(_nrt=False)
def _n_slots(n_keys: int) -> int:
    """The power of two that leaves at least half of the slots free."""
    n_slots = 2
    while n_slots < 2 * n_keys:
        n_slots *= 2
    return n_slots

"""Numbers for keys, 0, 1, 2… in order of first appearance, with how often each came: a hash table for compiled code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray


class Interner(NamedTuple):
    """The room that numbering takes, used for one set of keys after another."""

    slots: NDArray[np.int32]
    keys: NDArray[np.uint64]  # by number
    counts: NDArray[np.int64]  # by number


@njit(cache=True)  # type: ignore[untyped-decorator]
def new_interner(max_keys: int) -> Interner:
    """Room for at most `max_keys` keys at a time. What is never used of it is never touched, so it takes no memory."""
    return Interner(np.empty(_n_slots(max_keys), np.int32), np.empty(max_keys, np.uint64), np.empty(max_keys, np.int64))


@njit(cache=True)  # type: ignore[untyped-decorator]
def number_keys(table: Interner, keys: NDArray[np.uint64], numbers: NDArray[np.int32]) -> int:
    """Write the number of each key to `numbers` and return how many keys differ.

    `table.counts` then says how often each number came. A key is new exactly if its number is that of no earlier one,
    so it is where the next number in order first stands.
    """
    slots, distinct, counts = table.slots, table.keys, table.counts
    n_slots = _n_slots(len(keys))
    slots[:n_slots] = -1
    mask = np.uint64(n_slots - 1)
    n_distinct = 0
    for i in range(len(keys)):
        key = keys[i]
        product = key * np.uint64(0x9E3779B97F4A7C15)
        slot = (product ^ (product >> np.uint64(32))) & mask
        while slots[slot] >= 0 and distinct[slots[slot]] != key:
            slot = (slot + np.uint64(1)) & mask
        found = slots[slot]
        if found < 0:
            found = np.int32(n_distinct)
            slots[slot] = found
            distinct[found] = key
            counts[found] = 0
            n_distinct += 1
        counts[found] += 1
        numbers[i] = found
    return n_distinct


@njit(cache=True)  # type: ignore[untyped-decorator]
def _n_slots(n_keys: int) -> int:
    """The power of two that leaves at least half of the slots free."""
    n_slots = 2
    while n_slots < 2 * n_keys:
        n_slots *= 2
    return n_slots

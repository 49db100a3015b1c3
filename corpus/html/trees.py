"""Gradient-boosted trees as flat arrays: how a block's features become the probability that it is main text.

No way through a tree is taken. Every split is asked about all blocks at once, and strikes out the leaves below it on
the other side; of those that are left, the leftmost one is the block's. Many more questions, but each of them is eight
or sixteen blocks in one instruction: two to four times as fast, the more blocks the better. After QuickScorer (Lucchese
et al., SIGIR 2015, doi:10.1145/2766462.2767733).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled

Floats = NDArray[np.float32]

MAX_LEAVES = 32
"""Of a tree: a leaf is a bit of its number."""
ALL_LEAVES = np.uint32(0xFFFFFFFF)
DE_BRUIJN = 0x077CB531
"""Multiplied by a power of two below 2**32, its upper five bits are another number for each."""
EXPONENT = np.array([(DE_BRUIJN << i & 0xFFFFFFFF) >> 27 for i in range(32)]).argsort()
"""The power of two, by that number."""


class Trees(NamedTuple):
    """All splits of all trees, a tree after the other; leaves count from the left."""

    column: NDArray[np.int16]  # (columns,) of the features, those that some split asks about
    place: NDArray[np.int16]  # (splits,) in `column`
    limit: Floats  # (splits,) a block with more than that goes to the right
    left: NDArray[np.uint32]  # (splits,) the leaves on the left of the split, as bits
    start: NDArray[np.int32]  # (trees + 1,) first split of each tree
    leaf: Floats  # (splits + trees,) what each leaf adds to the score; a tree has one more than splits


@compiled
def probabilities(trees: Trees, features: Floats, wanted: NDArray[np.bool_]) -> Floats:
    """(blocks,) logistic function of the trees' sum; 0 where a block is not `wanted`."""
    blocks = np.flatnonzero(wanted)
    n = len(blocks)
    values = np.empty((len(trees.column), n), np.float32)
    for k in range(n):
        for i in range(len(trees.column)):
            values[i, k] = features[blocks[k], trees.column[i]]
    score, leaves = np.zeros(n, np.float32), np.empty(n, np.uint32)
    for tree in range(len(trees.start) - 1):
        leaves[:] = ALL_LEAVES
        for split in range(trees.start[tree], trees.start[tree + 1]):
            value, limit, others = values[trees.place[split]], trees.limit[split], ~trees.left[split]
            for k in range(n):
                leaves[k] &= others if value[k] > limit else ALL_LEAVES
        first = trees.start[tree] + tree
        for k in range(n):
            score[k] += trees.leaf[first + _lowest(leaves[k])]
    out = np.zeros(len(features), np.float32)
    for k in range(n):
        out[blocks[k]] = np.float32(1) / (np.float32(1) + np.exp(-score[k]))
    return out


@compiled(inline="always")
def _lowest(bits: np.uint32) -> int:
    """The number of the lowest bit that is set."""
    return EXPONENT[((bits & (~bits + 1)) * DE_BRUIJN & 0xFFFFFFFF) >> 27]  # type: ignore[no-any-return]

"""Gradient-boosted trees as flat arrays: how a block's features become the probability that it is main text."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled

Floats = NDArray[np.float32]


class Trees(NamedTuple):
    """All nodes of all trees, a tree after the other.

    A leaf leads to itself: so all ways through a tree are taken with as many steps, and nothing has to be guessed.
    """

    feature: NDArray[np.int16]  # column that decides
    limit: Floats  # up to which the left child is taken; infinite at a leaf
    left: NDArray[np.int32]  # number of the left child, the right child is the next one after it; a leaf's own number
    leaf: Floats  # what a leaf adds to the score
    root: NDArray[np.int32]  # (trees,)
    depth: NDArray[np.int32]  # (trees,) steps from the root to the farthest leaf


@compiled
def probabilities(trees: Trees, features: Floats, wanted: NDArray[np.bool_]) -> Floats:
    """(blocks,) logistic function of the trees' sum; 0 where a block is not `wanted`.

    Four blocks go through a tree side by side, because each step waits for the one before (1.6 to 1.9 times as fast).
    """
    blocks = np.flatnonzero(wanted)
    scores = np.zeros(len(features), np.float32)
    for i in range(0, len(blocks), 4):
        last = len(blocks) - 1
        a, b, c, d = blocks[i], blocks[min(i + 1, last)], blocks[min(i + 2, last)], blocks[min(i + 3, last)]
        of_a = of_b = of_c = of_d = np.float32(0)
        for tree in range(len(trees.root)):
            at_a = at_b = at_c = at_d = trees.root[tree]
            for _ in range(trees.depth[tree]):
                at_a = trees.left[at_a] + (features[a, trees.feature[at_a]] > trees.limit[at_a])
                at_b = trees.left[at_b] + (features[b, trees.feature[at_b]] > trees.limit[at_b])
                at_c = trees.left[at_c] + (features[c, trees.feature[at_c]] > trees.limit[at_c])
                at_d = trees.left[at_d] + (features[d, trees.feature[at_d]] > trees.limit[at_d])
            of_a += trees.leaf[at_a]
            of_b += trees.leaf[at_b]
            of_c += trees.leaf[at_c]
            of_d += trees.leaf[at_d]
        scores[a], scores[b], scores[c], scores[d] = of_a, of_b, of_c, of_d
    out = np.zeros(len(features), np.float32)
    for b in blocks:
        out[b] = np.float32(1) / (np.float32(1) + np.exp(-scores[b]))
    return out

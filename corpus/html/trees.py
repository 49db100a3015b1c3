"""Gradient-boosted trees as flat arrays: how a block's features become the probability that it is main text."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled

Floats = NDArray[np.float32]


class Trees(NamedTuple):
    """All nodes of all trees, a tree after the other, children after their parent."""

    feature: NDArray[np.int16]  # column that decides; -1 at a leaf
    value: Floats  # the limit up to which the left child is taken; at a leaf, what it adds to the score
    left: NDArray[np.int32]  # number of the left child; the right child is the next one after it
    root: NDArray[np.int32]  # (trees,)


@compiled
def probabilities(trees: Trees, features: Floats, wanted: NDArray[np.bool_]) -> Floats:
    """(blocks,) logistic function of the trees' sum; 0 where a block is not `wanted`."""
    out = np.zeros(len(features), np.float32)
    for b in range(len(features)):
        if not wanted[b]:
            continue
        x, score = features[b], np.float32(0)
        for root in trees.root:
            k = root
            while trees.feature[k] >= 0:
                k = trees.left[k] + (x[trees.feature[k]] > trees.value[k])
            score += trees.value[k]
        out[b] = np.float32(1) / (np.float32(1) + np.exp(-score))
    return out

from __future__ import annotations

import numpy as np

from datassay.dedup.verify import jaccards


def test_jaccard_similarity_is_that_of_sets() -> None:
    random = np.random.RandomState(0)
    sets = [np.unique(random.randint(0, 60, random.randint(1, 40))).astype(np.uint32) for _ in range(40)]
    offsets = np.cumsum([0, *map(len, sets)])
    values = np.concatenate(sets)
    from_a, from_b = (grid.ravel() for grid in np.meshgrid(np.arange(40), np.arange(40)))
    found = jaccards(offsets, values, from_a, offsets, values, from_b)
    for i, j, similarity in zip(from_a, from_b, found, strict=True):
        a, b = set(sets[i].tolist()), set(sets[j].tolist())
        assert similarity == len(a & b) / len(a | b)

from __future__ import annotations

import numpy as np
import pytest

from datassay.dedup.twice import may_come_twice


def test_what_comes_once_is_nearly_all_left_out() -> None:
    random = np.random.RandomState(0).randint(0, 1 << 63, 50_000).astype(np.uint64)
    may = may_come_twice(np.concatenate([random, random[:100]]))
    assert may[:100].all()
    assert may[50_000:].all()
    assert may[100:50_000].mean() < 1 / 12


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_hashes(n: int) -> None:
    assert may_come_twice(np.full(n, 2**64 - 1, np.uint64)).tolist() == [n > 1] * n

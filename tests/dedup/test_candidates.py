from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from datassay.corpus.stage import StageOutput
from datassay.dedup import candidates
from datassay.dedup.candidates import bucket_pairs, pairs_with_old


@pytest.mark.parametrize(
    ("sizes", "pairs"),
    [
        ([], []),
        ([2], [(0, 1)]),
        ([3], [(0, 1), (0, 2), (1, 2)]),
        ([4], [(0, 1), (0, 2), (0, 3), (1, 2), (2, 3)]),
        ([2, 3], [(0, 1), (2, 3), (2, 4), (3, 4)]),
    ],
)
def test_a_bucket_gives_its_neighbours_and_a_star(sizes: list[int], pairs: list[tuple[int, int]]) -> None:
    a, b = bucket_pairs(np.array(sizes, np.int64))
    assert sorted(zip(a.tolist(), b.tolist(), strict=True)) == pairs


def test_a_bucket_of_n_gives_less_than_2n_pairs() -> None:
    a, _ = bucket_pairs(np.array([20_000]))
    assert len(a) == 2 * 20_000 - 3  # n - 1 neighbours, n - 2 more of the star


@pytest.mark.parametrize(
    ("bucket", "pairs"),
    [
        ("n", []),
        ("o", []),
        ("oo", []),
        ("no", [(0, 1)]),
        ("on", [(1, 0)]),
        ("oonn", [(2, 0), (2, 1), (3, 0), (3, 1)]),  # the first old one, and the nearest before
        ("nnoo", [(0, 2), (1, 2)]),  # the first old one is the nearest after
        ("ono", [(1, 0), (1, 2)]),
        ("on no", [(1, 0), (2, 3)]),  # two buckets
        ("nn oo", []),
    ],
)
def test_new_documents_are_paired_with_old_ones(bucket: str, pairs: list[tuple[int, int]]) -> None:
    sizes = np.array([len(part) for part in bucket.split()], np.int64)
    is_old = np.array([letter == "o" for letter in bucket.replace(" ", "")])
    a, b = pairs_with_old(sizes, is_old)
    assert sorted(set(zip(a.tolist(), b.tolist(), strict=True))) == pairs


def test_large_buckets_are_reported(
    run_dedup: Callable[..., dict[str, StageOutput]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "LARGE_BUCKET", 3)
    same_words = {f"{i}": "Accept all cookies" + "!" * i for i in range(4)}  # 4 texts of one shingle: 32 buckets of 4
    finished = run_dedup(same_words, {"other": "another text", "twin": "another text."})
    assert finished["candidates"].counts == {
        "buckets": 64,
        "large_buckets": 32,
        "large_bucket_documents": 128,
        "candidates": 6,  # 3 neighbours and 2 more of a star; 1 pair of twins
    }

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from datassay.corpus.shuffle import shuffle_file
from datassay.corpus.stage import StageOutput
from datassay.corpus.store import Outputs
from datassay.dedup import candidates
from datassay.dedup.candidates import _may_be_shared, band_batches, bucket_pairs, pairs_with_old
from datassay.dedup.minhash import BAND


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


def test_keys_that_come_once_are_nearly_all_left_out() -> None:
    random = np.random.RandomState(0).randint(0, 1 << 63, 50_000).astype(np.uint64)
    keys = np.concatenate([random, random[:100]])
    may = _may_be_shared(keys)
    assert may[:100].all()
    assert may[50_000:].all()
    assert may[100:50_000].mean() < 1 / 12


@pytest.mark.parametrize("have", [1, 2, 8, 32])
def test_keys_of_a_partition_are_found_however_many_the_file_has(tmp_path: Path, have: int) -> None:
    keys = np.arange(0, 1 << 64, 1 << 54, dtype=np.uint64)
    out = Outputs(tmp_path, 0)
    with shuffle_file(out, "bands", BAND, have) as file:
        shift = np.uint64(64 - (have - 1).bit_length())
        partitions = keys >> shift if have > 1 else np.zeros(len(keys), np.uint64)
        file.write_round([pa.array(keys), pa.array(keys), pa.array(np.arange(1024, dtype=np.int32))], partitions)
    path = tmp_path / "bands/part-00000.arrow"
    found = [np.concatenate([np.asarray(batch["key"]) for batch in band_batches(path, p, 8)]) for p in range(8)]
    assert [part.tolist() for part in found] == [keys[i * 128 : (i + 1) * 128].tolist() for i in range(8)]


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

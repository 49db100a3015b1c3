from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from datasketch import MinHash as SketchOfDatasketch
from numpy.typing import NDArray

from datassay.corpus.engine import Inputs
from datassay.corpus.shuffle import read_partition
from datassay.corpus.stage import StageOutput
from datassay.corpus.store import Outputs
from datassay.dedup import minhash
from datassay.dedup.minhash import (
    BAND,
    SignSettings,
    band_keys,
    band_multipliers,
    id_ranks,
    permutations,
    ranks,
    sign,
    sign_sets,
)
from datassay.dedup.shingles import ShingleSets, shingles


def as_sets(*values: NDArray[np.uint32]) -> ShingleSets:
    offsets = np.cumsum([0, *map(len, values)])
    return ShingleSets(offsets, np.concatenate(values).astype(np.uint32), np.zeros(len(values), np.bool_))


def random_values(n: int, seed: int = 0) -> NDArray[np.uint32]:
    return np.random.RandomState(seed).randint(0, 1 << 32, n, dtype=np.uint32)


@pytest.mark.parametrize("seed", [1, 42, 2**32 - 1])
@pytest.mark.parametrize("n_permutations", [1, 10, 112, 256])
def test_signatures_are_those_of_datasketch(n_permutations: int, seed: int) -> None:
    values = np.append(random_values(300), np.array([0, 1, 2**31, 2**32 - 1], np.uint32))
    sketch = SketchOfDatasketch(n_permutations, seed=seed, scheme="affine32", hashfunc=int)
    sketch.update_batch(values.tolist())
    signatures = sign_sets(as_sets(values), permutations(n_permutations, seed))
    np.testing.assert_array_equal(signatures[0], sketch.hashvalues)


def test_signature_of_an_empty_set_is_all_ones() -> None:
    signatures = sign_sets(as_sets(random_values(0), random_values(1)), permutations(4, 1))
    assert signatures[0].tolist() == [2**32 - 1] * 4
    assert signatures[1].tolist() != [2**32 - 1] * 4


@pytest.mark.parametrize("jaccard", [0.0, 0.25, 0.5, 0.75, 0.9, 1.0])
def test_share_of_equal_values_estimates_the_similarity(jaccard: float) -> None:
    """Recall and precision at once: a kernel that does not wrap makes all signatures equal."""
    n_values, n_permutations = 2000, 4096
    n_common = round(2 * n_values * jaccard / (1 + jaccard))
    values = random_values(2 * n_values - n_common)
    signatures = sign_sets(as_sets(values[:n_values], values[n_values - n_common :]), permutations(n_permutations, 1))
    estimate = np.mean(signatures[0] == signatures[1])
    deviation = np.sqrt(jaccard * (1 - jaccard) / n_permutations)  # of a binomial share
    assert abs(estimate - jaccard) <= 4 * deviation + 1e-3


def test_documents_share_a_key_exactly_where_all_rows_of_a_band_agree() -> None:
    first = random_values(12)
    second = first.copy()
    second[[3, 8]] ^= np.uint32(1)  # in bands 0 and 2 of three bands of four rows
    keys = band_keys(np.stack([first, second]), band_multipliers(3, 4))
    assert (keys[0] == keys[1]).tolist() == [False, True, False]


def test_bands_with_the_same_values_have_different_keys() -> None:
    signature = np.tile(random_values(4), 3)[None]
    assert len(np.unique(band_keys(signature, band_multipliers(3, 4)))) == 3


def bands_of(path: Path, n_partitions: int) -> list[pa.Table]:
    return [pa.Table.from_batches(read_partition(path, partition), BAND) for partition in range(n_partitions)]


def test_signed_are_documents_with_words(run_dedup: Callable[..., dict[str, StageOutput]]) -> None:
    text = "one two three four five six"
    finished = run_dedup({"b": text, "empty": "", "a": text, "marks": "?!"}, {})
    (table,) = bands_of(finished["sign"].path("bands", 0), 1)
    assert table["row"].to_pylist() == [0] * 32 + [2] * 32
    assert len(set(table["key"].to_pylist())) == 32
    assert len(set(table["rank"].to_pylist())) == 2
    assert finished["sign"].counts == {"documents": 4, "signed": 2, "signed_by_characters": 0, "no_words": 2}


def test_of_copies_of_a_text_one_is_compared(run_dedup: Callable[..., dict[str, StageOutput]]) -> None:
    text = "one two three four five six"
    finished = run_dedup({"b": text, "x": "!", "a": text}, {"c": f"{text}."})
    assert finished["candidates"].counts["buckets"] == 32  # of a and c
    assert finished["candidates"].counts["candidates"] == 1


def test_keys_are_spread_over_partitions_by_their_upper_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minhash, "ROUND_KEYS", 50)  # a round for each batch, and several rounds
    texts = [f"word{i} {i}" for i in range(3000)]
    table = pa.table({"id": texts, "text": pa.array(texts, pa.large_string())})
    pq.write_table(table, tmp_path / "clean")
    settings = SignSettings(bands=50, rows=2, shingle_words=5, shingle_chars=8, seed=1, n_partitions=4)
    sign(Inputs({"clean": (tmp_path / "clean",)}), settings, Outputs(tmp_path, 0))
    parts = bands_of(tmp_path / "bands/part-00000.arrow", 4)
    assert sum(part.num_rows for part in parts) == 50 * 3000
    assert [{key >> 62 for key in part["key"].to_pylist()} for part in parts] == [{0}, {1}, {2}, {3}]
    assert sorted(row for part in parts for row in part["row"].to_pylist()) == sorted([*range(3000)] * 50)


def test_copies_of_a_text_have_their_place_next_to_each_other() -> None:
    texts = pa.array(["same words here", "Same words, here!", "others"], pa.large_string())
    sets = shingles(texts, words=2, characters=8)
    found = ranks(sets, pa.array(["a", "b", "c"]))
    assert found[0] >> np.uint64(32) == found[1] >> np.uint64(32) != found[2] >> np.uint64(32)
    assert found[0] != found[1]


def test_ids_are_ordered_by_their_first_digits_or_by_a_hash() -> None:
    ids = ["0123abcd" + "0" * 24, "short", "ffffffff" + "e" * 24, "short but longer than others, thirty"]
    found = id_ranks(pa.array(ids)).tolist()
    assert [found[0], found[2]] == [0x0123ABCD, 0xFFFFFFFF]
    assert found[1] == xxhash.xxh3_64_intdigest(b"short") >> 32
    assert id_ranks(pa.array(ids).slice(1, 2)).tolist() == found[1:3]
    assert id_ranks(pa.array([], pa.string())).tolist() == []

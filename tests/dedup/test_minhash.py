from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasketch import MinHash as SketchOfDatasketch
from numpy.typing import NDArray

from datassay.corpus.engine import Inputs
from datassay.corpus.stage import StageOutput
from datassay.corpus.store import Outputs
from datassay.dedup.minhash import SignSettings, band_keys, band_multipliers, permutations, sign, sign_sets
from datassay.dedup.shingles import ShingleSets


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


def test_signatures_have_a_row_for_every_document(run_dedup: Callable[..., dict[str, StageOutput]]) -> None:
    text = "one two three four five six"
    finished = run_dedup({"b": text, "empty": "", "a": text, "marks": "?!"}, {})
    table = pq.read_table(finished["sign"].path("signatures", 0))
    assert table["id"].to_pylist() == ["b", "empty", "a", "marks"]
    assert table["n_shingles"].to_pylist() == [0, 0, 2, 0]  # b repeats a
    assert table["signature"].is_valid().to_pylist() == [False, False, True, False]
    assert table["shingles"].is_valid().to_pylist() == [False, False, True, False]
    assert finished["sign"].counts == {"signed": 1, "signed_by_characters": 0, "repeats": 1, "no_words": 2}


def test_keys_are_spread_over_partitions_by_their_upper_bits(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a", "b"], "text": pa.array(["x y", "z"], pa.large_string())}), tmp_path / "clean")
    out = Outputs(tmp_path, 0)
    settings = SignSettings(bands=50, rows=2, shingle_words=5, shingle_chars=8, seed=1, n_partitions=4)
    sign(Inputs({"clean": (tmp_path / "clean",)}), settings, out)
    parts = [pq.read_table(tmp_path / f"bands/partition={p:05d}/part-00000.parquet") for p in range(4)]
    assert sum(part.num_rows for part in parts) == 100
    for partition, part in enumerate(parts):
        keys = part["key"].to_pylist()
        assert keys == sorted(keys)
        assert {key >> 62 for key in keys} == {partition}

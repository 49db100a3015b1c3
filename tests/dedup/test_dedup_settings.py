from __future__ import annotations

import numpy as np
import pytest

from datassay.dedup.settings import (
    PRESET_SOURCES,
    PRESETS,
    DedupSettings,
    MinHash,
    curve_points,
    half_similarity,
    n_band_partitions,
    n_text_partitions,
    s_curve,
)


@pytest.mark.parametrize(
    ("similarity", "probability"),
    [(0.0, 0.0), (0.7, 0.56), (0.75, 0.77), (0.8, 0.92), (0.85, 0.988), (1.0, 1.0)],
)
def test_s_curve_is_the_one_that_fineweb_published(similarity: float, probability: float) -> None:
    """Penedo et al. 2024, appendix E.1."""
    assert s_curve(14, 8, similarity) == pytest.approx(probability, abs=0.006)


def test_band_and_row_are_not_mixed_up_in_presets() -> None:
    """450 bands of 20 rows find most pairs at .8; 20 bands of 450 would find none."""
    preset = PRESETS["refinedweb"]
    assert s_curve(preset.bands, preset.rows, 0.8) > 0.99
    assert s_curve(preset.rows, preset.bands, 0.8) < 1e-40


def test_number_of_hashes_of_presets() -> None:
    hashes = {name: preset.bands * preset.rows for name, preset in PRESETS.items()}
    assert hashes == {
        "datassay": 256,
        "fineweb": 112,
        "lee2022": 9000,
        "refinedweb": 9000,
        "dclm": 1395,
        "nemo": 260,
        "redpajama2-0.7": 126,
        "redpajama2-0.8": 117,
        "redpajama2-0.9": 125,
        "gpt3": 10,
    }


@pytest.mark.parametrize(
    ("n_documents", "n_partitions"), [(0, 1), (1 << 20, 1), ((1 << 20) + 1, 2), (2 << 20, 2), ((2 << 20) + 1, 4)]
)
def test_partitions_of_text_hashes_follow_from_documents(n_documents: int, n_partitions: int) -> None:
    assert n_text_partitions(n_documents) == n_partitions


@pytest.mark.parametrize(("n_documents", "n_partitions"), [(0, 1), (1 << 16, 1), ((1 << 16) + 1, 2), (1 << 18, 4)])
def test_partitions_of_band_keys_follow_from_their_number(n_documents: int, n_partitions: int) -> None:
    assert n_band_partitions(n_documents, bands=32) == n_partitions  # 2**21 keys to a partition


def test_a_wrong_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="max_jaccard"):
        MinHash.model_validate({"max_jaccard": 0.7})
    with pytest.raises(ValueError, match="keep_by"):
        DedupSettings.model_validate({"keep_by": ["first"]})


def test_every_preset_names_its_source() -> None:
    assert list(PRESET_SOURCES) == list(PRESETS)


def optimal(threshold: float, n_permutations: int) -> tuple[int, int]:
    """Bands and rows with the least area of false positives and false negatives, as RedPajama-Data and datasketch
    choose them; the integrals by the midpoint rule."""
    grid = (np.arange(1000) + 0.5) / 1000
    below = grid < threshold

    def error(bands: int, rows: int) -> float:
        found = 1 - (1 - grid**rows) ** bands
        return float(np.where(below, found, 1 - found).mean())

    choices = [(b, r) for b in range(1, n_permutations + 1) for r in range(1, n_permutations // b + 1)]
    return min(choices, key=lambda choice: error(*choice))


@pytest.mark.parametrize("limit", [0.7, 0.8, 0.9])
def test_redpajama2_has_the_bands_that_its_code_chooses(limit: float) -> None:
    """Of 128 permutations, as configs/rp_v2.0.conf says; the data set's card gives 14 x 9, 9 x 13, 5 x 25."""
    preset = PRESETS[f"redpajama2-{limit}"]
    assert (preset.bands, preset.rows) == optimal(limit, 128)
    assert preset.min_jaccard == limit
    assert preset.shingle_words == 13


def test_nemo_is_as_published() -> None:
    """20 bands of 13 rows over shingles of 24 characters, seed 42; .68 found at .8, .92 at .85."""
    preset = PRESETS["nemo"]
    assert (preset.bands, preset.rows, preset.shingle_chars, preset.by_characters, preset.seed) == (
        20,
        13,
        24,
        True,
        42,
    )
    assert s_curve(20, 13, 0.8) == pytest.approx(0.68, abs=0.005)
    assert s_curve(20, 13, 0.85) == pytest.approx(0.92, abs=0.005)


@pytest.mark.parametrize("name", PRESETS)
def test_half_of_the_pairs_are_compared_at_the_half_similarity(name: str) -> None:
    preset = PRESETS[name]
    assert s_curve(preset.bands, preset.rows, half_similarity(preset.bands, preset.rows)) == pytest.approx(0.5)


def test_points_of_a_curve() -> None:
    assert curve_points(1, 1, start=0.5, n_points=3) == [(0.5, 0.5), (0.75, 0.75), (1.0, 1.0)]
    assert len(curve_points(14, 8)) == 71
    assert curve_points(14, 8)[45] == (0.75, s_curve(14, 8, 0.75))

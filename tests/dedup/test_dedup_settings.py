from __future__ import annotations

import pytest

from datassay.dedup.settings import PRESETS, DedupSettings, MinHash, n_band_partitions, n_text_partitions, s_curve


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
    assert hashes == {"fineweb": 112, "refinedweb": 9000, "gpt3": 10, "dclm": 1395, "datassay": 256}


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

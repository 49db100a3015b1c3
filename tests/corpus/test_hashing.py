"""Hashes that decide are the same for ever."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xxhash

from datassay.corpus.hashing import file_hash, seed_of, settings_key, splitmix64, uniform


def test_splitmix64_is_the_published_sequence() -> None:
    """The first numbers after seed 1234567, from the reference implementation (Vigna, splitmix64.c)."""
    assert splitmix64(1234567, 5).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_splitmix64_continues() -> None:
    assert splitmix64(7, 10)[:4].tolist() == splitmix64(7, 4).tolist()
    assert splitmix64(7, 0).tolist() == []


def test_settings_key_is_of_content_not_of_order() -> None:
    assert settings_key({"a": 1, "b": [1.5, None]}) == settings_key({"b": [1.5, None], "a": 1})
    assert settings_key("x") == settings_key("x")
    assert len(settings_key("x")) == 16


@pytest.mark.parametrize("other", [({"a": 2},), ({"a": 1}, {}), ({"b": 1},), ({"a": "1"},), ([{"a": 1}],)])
def test_settings_key_changes_with_every_part(other: tuple[object, ...]) -> None:
    assert settings_key({"a": 1}) != settings_key(*other)


def test_file_hash_is_xxh3_128_of_the_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000  # more than one block of reading
    (tmp_path / "file").write_bytes(data)
    assert file_hash(tmp_path / "file") == xxhash.xxh3_128_hexdigest(data)


def test_uniform_is_the_upper_53_bits_of_the_hash() -> None:
    names = ["", "a", "döner", "0" * 32]
    expected = [(xxhash.xxh3_64_intdigest(name.encode(), 5) >> 11) / 2**53 for name in names]
    assert uniform(5, names).tolist() == expected
    assert uniform(5, []).tolist() == []


def test_uniform_does_not_depend_on_company() -> None:
    assert uniform(0, ["a", "b"])[1] == uniform(0, ["b"])[0]
    assert uniform(0, ["a"])[0] != uniform(1, ["a"])[0]


def test_choices_of_one_seed_are_independent() -> None:
    """Of the smallest tenth by one choice another takes a tenth: 200 of 2000, give or take 4 deviations of 13.4."""
    names = [f"document {i}" for i in range(20_000)]
    sampled, held_out = (uniform(seed_of(choice, 0), names) < 0.1 for choice in ("sample", "split"))
    assert abs(int((sampled & held_out).sum()) - 200) < 54


def test_uniform_is_uniform() -> None:
    """20 bins of 20 000 names: chi-square of 19 degrees of freedom is above 43.8 once in a thousand."""
    values = uniform(0, [f"document {i}" for i in range(20_000)])
    assert values.min() >= 0
    assert values.max() < 1
    counts = np.histogram(values, bins=20, range=(0, 1))[0]
    assert float(((counts - 1000.0) ** 2 / 1000).sum()) < 43.8

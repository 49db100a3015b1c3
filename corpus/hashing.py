"""Hashes that decide: keys of stage outputs, and chance as a function of (seed, document id).

Chance is never a random generator, whose draws depend on order; it is a hash, so that any worker in any order decides
the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import orjson
import xxhash
from numpy.typing import NDArray


def settings_key(*parts: object) -> str:
    """16 hex digits that name these settings: a hash of their canonical JSON."""
    return sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def file_hash(path: Path) -> str:
    """Hash of a file's bytes, 32 hex digits."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def splitmix64(seed: int, count: int) -> NDArray[np.uint64]:
    """The first `count` numbers of the splitmix64 sequence after `seed`: constants that must never change.

    Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014.
    """
    with np.errstate(over="ignore"):
        state = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(state ^ (state >> np.uint64(31)), np.uint64)


def seed_of(choice: str, seed: int) -> int:
    """The seed of one choice, from a seed that serves several: else each would fall on the same documents.

    With one hash for both, a sample of a tenth would hold every document that a split of two hundredths takes.
    """
    return xxhash.xxh3_64_intdigest(choice.encode(), seed)


def uniform(seed: int, names: Sequence[str]) -> NDArray[np.float64]:
    """A number in [0, 1) for each name (document id, domain…), uniform over names, the same for ever.

    Uses the upper 53 bits of XXH3-64 with the seed.
    """
    bits = np.array([xxhash.xxh3_64_intdigest(name.encode(), seed) for name in names], np.uint64)
    values: NDArray[np.float64] = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return values

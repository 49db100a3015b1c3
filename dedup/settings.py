"""What can be set about duplicates, and the published parameter sets by name."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, PositiveInt, model_validator

from datassay.dedup.bloom import Bloom
from datassay.dedup.shingles import ShingleUnit
from datassay.dedup.url_keys import UrlKeys

KeepCriterion = Literal["quality", "length", "date", "source"]


class MinHash(BaseModel, frozen=True, extra="forbid"):
    """Near duplicates by banded MinHash."""

    bands: PositiveInt = 32
    """Two documents are compared if all rows of at least one band agree."""
    rows: PositiveInt = 8
    """Signature values of a band: more rows find fewer pairs of low similarity."""
    min_jaccard: float = Field(default=0.7, ge=0, le=1)
    """Pairs found are checked, and kept as duplicates from this true Jaccard similarity of their shingle sets on."""
    shingle_words: PositiveInt = 5
    """Words of a shingle; a shorter text is one shingle."""
    shingle_chars: PositiveInt = 8
    """Characters of a shingle, in documents of a script without spaces. With 1.6 characters to a Chinese word, changing
    a word changes as large a share of these as it does of shingles of five words."""
    shingle_unit: ShingleUnit = "auto"
    """"auto": characters in documents of a script without spaces, words in all others. "characters": in all."""
    seed: int = Field(default=1, ge=0, lt=2**32)
    """Seed of the permutations."""


class DedupSettings(BaseModel, frozen=True, extra="forbid"):
    """Which documents count as copies of each other, and which of them stays."""

    exact: bool = True
    """Find documents with the same text; without it, such documents are found by MinHash."""
    url: UrlKeys | None = None
    """Documents of the same URL are copies, whatever their texts; a document without one is nobody's copy."""
    payload: bool = False
    """Pages of the same bytes of HTML are copies; rows that were text already are nobody's."""
    minhash: MinHash | None = MinHash()
    """Find near duplicates."""
    bloom: Bloom | None = None
    """Cut paragraphs, and drop documents, of text that came before; as an edit and a rule, not as clusters."""
    keep_by: tuple[KeepCriterion, ...] = ("quality", "length", "date")
    """What decides, in this order, which document of a cluster stays: the higher quality score, the longer text, the
    older date, the source that `source_priority` names first. The smaller id decides last; an unknown value loses."""
    source_priority: tuple[str, ...] = ()
    """Names of [input] sources, best first, for "source" in `keep_by`; in a pattern, `*` stands for anything. A source
    that none of them names loses to all others."""

    @model_validator(mode="after")
    def _has_an_order_of_sources(self) -> DedupSettings:
        if ("source" in self.keep_by) != bool(self.source_priority):
            raise ValueError('keep_by with "source" and source_priority go together: give both or neither')
        return self


PRESETS = {
    # Penedo et al. 2024 (FineWeb), section 3.4: 112 hashes, aimed at pairs that are at least 75 % similar
    "fineweb": MinHash(bands=14, rows=8, min_jaccard=0.75),
    # Lee et al. 2022, section 4.2, and with it RefinedWeb: 9000 hashes, similarity 0.8. RefinedWeb's text says 20 bands
    # of 450 rows, which would find nothing below similarity 0.99; FineWeb's appendix E.1 has it the right way round
    "refinedweb": MinHash(bands=450, rows=20, min_jaccard=0.8),
    # Brown et al. 2020, appendix A: 10 hashes, then a check of the true similarity, whose limit was not published
    "gpt3": MinHash(bands=10, rows=1),
    # Li et al. 2024 (DCLM), appendix L: 1395 hashes, made to follow RefinedWeb's curve at a lower cost
    "dclm": MinHash(bands=93, rows=15, min_jaccard=0.8),
    "datassay": MinHash(),
}
"""Bands, rows and limit as published; shingles and the check of the true similarity are ours in all of them."""


def s_curve(bands: int, rows: int, similarity: float) -> float:
    """Probability that two documents of this Jaccard similarity share a band and so are compared.

    1 - (1 - s**rows)**bands: Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4.2.
    """
    return float(1 - (1 - similarity**rows) ** bands)


TEXT_PARTITION_ROWS = 1 << 20
"""Text hashes to a partition."""
BAND_PARTITION_ROWS = 2 << 20
"""Band keys to a partition."""


def n_text_partitions(n_documents: int) -> int:
    """Partitions for the text hashes of this many documents: a power of two, at least 1."""
    return power_of_two(n_documents, TEXT_PARTITION_ROWS)


def n_band_partitions(n_documents: int, bands: int) -> int:
    """Partitions for the band keys of this many documents: a power of two, at least 1."""
    return power_of_two(n_documents * bands, BAND_PARTITION_ROWS)


def power_of_two(size: int, of_one: int) -> int:
    """The smallest power of two of partitions that hold `size`: a corpus that grows seldom changes it."""
    return 1 << max(0, -(-size // of_one) - 1).bit_length()

"""What can be set about duplicates, and the published parameter sets by name."""

from __future__ import annotations

import re
from typing import Literal

import pyarrow as pa
from pydantic import BaseModel, Field, PositiveInt, model_validator

from datassay.dedup.bloom import Bloom
from datassay.dedup.shingles import ShingleSets, shingle_sets
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
    by_characters: bool = False
    """Shingles of characters in all documents, as NeMo Curator has them."""
    seed: int = Field(default=1, ge=0, lt=2**32)
    """Seed of the permutations."""

    def shingle_sets(self, texts: pa.Array) -> ShingleSets:
        """The sets by which texts are compared."""
        return shingle_sets(
            texts, words=self.shingle_words, characters=self.shingle_chars, by_characters=self.by_characters
        )


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
    "datassay": MinHash(),
    "fineweb": MinHash(bands=14, rows=8, min_jaccard=0.75),
    "lee2022": MinHash(bands=450, rows=20, min_jaccard=0.8),
    "refinedweb": MinHash(bands=450, rows=20, min_jaccard=0.8),
    "dclm": MinHash(bands=93, rows=15, min_jaccard=0.8),
    "nemo": MinHash(bands=20, rows=13, min_jaccard=0.8, shingle_chars=24, by_characters=True, seed=42),
    "redpajama2-0.7": MinHash(bands=14, rows=9, min_jaccard=0.7, shingle_words=13, shingle_chars=21, seed=42),
    "redpajama2-0.8": MinHash(bands=9, rows=13, min_jaccard=0.8, shingle_words=13, shingle_chars=21, seed=42),
    "redpajama2-0.9": MinHash(bands=5, rows=25, min_jaccard=0.9, shingle_words=13, shingle_chars=21, seed=42),
    "gpt3": MinHash(bands=10, rows=1),
}
"""Bands, rows, length of shingles and limit as published (PRESET_SOURCES); what a word is, the hash functions, and that
every pair is checked, are ours. `min_jaccard = 0` takes every pair that shares a band, as most of them did."""

PRESET_SOURCES = {
    "datassay": "ours: finds pairs from .7 on, and no pair goes unchecked",
    "fineweb": "Penedo et al. 2024, section 3.4: 112 hashes of 5 words, aimed at pairs that are at least 75 % similar; "
    "not checked there",
    "lee2022": "Lee et al. 2022, section 4.2: 9000 hashes of 5 tokens, similarity .8; checked there too, from an edit "
    "similarity of .8 on",
    "refinedweb": "Penedo et al. 2023, appendix G.3, after Lee et al.; not checked there. Its text says 20 bands of "
    "450 rows, which would find nothing below .99; FineWeb's appendix E.1 has it the right way round",
    "dclm": "Li et al. 2024, appendix L: 1395 hashes, made to follow RefinedWeb's curve at a lower cost; not checked "
    "there",
    "nemo": "NVIDIA NeMo Curator, fuzzy deduplication: 260 hashes of 24 characters; checked there, from .8 on, in "
    "version 24.12, later not. There white space, punctuation and case count",
    "redpajama2-0.7": "Weber et al. 2024, RedPajama-Data configs/rp_v2.0.conf: 128 hashes of 13 words, of which these "
    "bands take 126; not checked there",
    "redpajama2-0.8": "as redpajama2-0.7, for .8: 117 of the 128 hashes",
    "redpajama2-0.9": "as redpajama2-0.7, for .9: 125 of the 128 hashes",
    "gpt3": "Brown et al. 2020, appendix A: 10 hashes; checked there, from a similarity on that was not published: "
    ".7 is ours",
}
"""Where each preset was published, and how it checked the pairs that it found."""


def named_minhash(name: str) -> MinHash:
    """A preset by its name, or BANDSxROWS; with @LIMIT after it, such as fineweb@0 or 20x13@0.8, of this limit.

    Raises ValueError for another name.
    """
    preset, at, limit = name.partition("@")
    numbers = re.fullmatch(r"([1-9]\d*)[x×]([1-9]\d*)", preset)
    if preset not in PRESETS and numbers is None:
        raise ValueError(
            f"no preset {preset!r}; there are {', '.join(PRESETS)}; or write BANDSxROWS, such as 20x13; and @LIMIT "
            "after either for another min_jaccard, such as 20x13@0.8"
        )
    if at and not re.fullmatch(r"0?\.\d+|0|1|1\.0+", limit):
        raise ValueError(f"{name!r}: after @ there is a similarity from 0 to 1, such as {preset}@0.8")
    settings = PRESETS[preset] if numbers is None else MinHash(bands=int(numbers[1]), rows=int(numbers[2]))
    return settings.model_copy(update={"min_jaccard": float(limit)}) if at else settings


def s_curve(bands: int, rows: int, similarity: float) -> float:
    """Probability that two documents of this Jaccard similarity share a band and so are compared.

    1 - (1 - s**rows)**bands: Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4.2.
    """
    return float(1 - (1 - similarity**rows) ** bands)


def half_similarity(bands: int, rows: int) -> float:
    """The similarity at which the S-curve is one half."""
    return float((1 - 0.5 ** (1 / bands)) ** (1 / rows))


def curve_points(bands: int, rows: int, *, start: float = 0.3, n_points: int = 71) -> list[tuple[float, float]]:
    """(similarity, probability of being compared) from `start` to 1: the S-curve, for drawing."""
    similarities = [start + (1 - start) * i / (n_points - 1) for i in range(n_points)]
    return [(round(similarity, 6), s_curve(bands, rows, similarity)) for similarity in similarities]


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

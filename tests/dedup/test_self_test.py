"""What is found of planted copies, what should be, and whether edges are true."""

from __future__ import annotations

from math import comb
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from datassay.corpus.engine import InlineEngine
from datassay.dedup.self_test import (
    TEXT,
    Edge,
    expected,
    false_edges,
    in_one_cluster,
    lower_tail,
    plain_shingles,
    plain_similarity,
    search,
)
from datassay.dedup.settings import PRESETS, DedupSettings, MinHash, s_curve
from datassay.dedup.shingles import shingle_sets


def near(a: str, b: str, similarity: float = 0.9) -> Edge:
    return Edge(a, b, similarity, "near")


def test_search_runs_the_stages_of_a_run(tmp_path: Path) -> None:
    """One word of 100 replaced touches 5 of 96 shingles: 91 in common, of 101."""
    words = [f"word{i}" for i in range(100)]
    shards = [{"a": " ".join(words), "x": "others"}, {"b": " ".join([*words[:50], "new", *words[51:]]), "y": "others"}]
    batches = [[pa.record_batch([list(shard), list(shard.values())], schema=TEXT)] for shard in shards]
    edges = search(batches, DedupSettings(), tmp_path, InlineEngine())
    assert edges == [Edge("a", "b", 91 / 101, "near"), Edge("x", "y", 1.0, "exact")]


def test_a_cluster_joins_by_way_of_others() -> None:
    edges = [near("a", "b"), near("b", "c"), near("d", "e")]
    pairs = [("a", "b"), ("a", "c"), ("a", "d"), ("a", "unknown")]
    assert in_one_cluster(pairs, edges).tolist() == [True, True, False, False]
    assert in_one_cluster(pairs, []).tolist() == [False] * 4


def test_nothing_is_expected_below_the_limit() -> None:
    settings = MinHash(bands=14, rows=8, min_jaccard=0.75)
    below, at = expected([np.nextafter(0.75, 0), 0.75], settings)
    assert below == 0
    assert at == s_curve(14, 8, 0.75)
    assert expected([0.1], MinHash(min_jaccard=0)) == [s_curve(32, 8, 0.1)]


@pytest.mark.parametrize("n_found", [0, 3, 10])
def test_lower_tail_of_equal_probabilities_is_that_of_the_binomial(n_found: int) -> None:
    of_binomial = sum(comb(10, k) * 0.3**k * 0.7 ** (10 - k) for k in range(n_found + 1))
    assert lower_tail([0.3] * 10, n_found) == pytest.approx(of_binomial)


def test_lower_tail_of_unequal_probabilities() -> None:
    """Of probabilities .5 and .2: neither .4; at most one 1 - .1."""
    assert lower_tail([0.5, 0.2], 0) == pytest.approx(0.4)
    assert lower_tail([0.5, 0.2], 1) == pytest.approx(0.9)
    assert lower_tail([1.0, 1.0], 1) == 0  # what is certain has to be found
    assert lower_tail([], 0) == 1


TEXTS = {"a": "one two three four five six", "b": "one two three four five six", "c": "one two three four five seven"}


@pytest.mark.parametrize(
    ("edge", "true"),
    [
        (Edge("a", "b", 1.0, "exact"), None),
        (Edge("a", "c", 1.0, "exact"), 0.0),
        (near("a", "b", 1.0), None),
        (near("a", "c", 0.9), 1 / 3),  # of two runs of five words each, one in common
    ],
)
def test_a_false_edge_is_seen_whatever_it_says(edge: Edge, true: float | None) -> None:
    assert [false.similarity for false in false_edges([edge], TEXTS, MinHash())] == ([] if true is None else [true])


@pytest.mark.parametrize(("min_jaccard", "n_false"), [(1 / 3, 0), (0.34, 1)])
def test_the_limit_itself_is_true(min_jaccard: float, n_false: int) -> None:
    assert len(false_edges([near("a", "c")], TEXTS, MinHash(min_jaccard=min_jaccard))) == n_false


@pytest.mark.parametrize("name", ["datassay", "nemo"])
@pytest.mark.parametrize(
    "text",
    [
        "The quick, brown FOX\njumps over 2 dogs — and snake_case, don't it? Ⅳ ½ again and again, yes, again",
        "ÉCOLE Straße ΣΟΦΙΑ Ёлка cafe\u0301 \u0301x naïve soft\u00adhyphen zero\u200bwidth join\u200der of words here",
        "हिन्दी में लिखा हुआ एक छोटा सा वाक्य जो काफी लंबा है और चलता ही जाता है",
        "我能吞下玻璃而不伤身体。我能吞下玻璃而不伤身体吗？当然可以,只要小心。abc 123",
        "ภาษาไทยไม่มีช่องว่างระหว่างคำและเขียนติดกันไปเรื่อยๆ",
        "العربية لغة جميلة جدا وقديمة حقا وهي لغة القرآن الكريم",
    ],
)
def test_the_plain_definition_has_as_many_shingles_as_the_kernel(text: str, name: str) -> None:
    """A second way to the same sets: their sizes agree for every script (a lone shingle has two hashes)."""
    m = PRESETS[name]
    sets = shingle_sets(
        pa.array([text], pa.large_string()),
        words=m.shingle_words,
        characters=m.shingle_chars,
        by_characters=m.by_characters,
    )
    assert len(plain_shingles(text, m)) == sets.sizes[0] > 2


def test_texts_without_words_are_not_alike() -> None:
    assert plain_similarity("!", "?", MinHash()) == 0
    assert plain_similarity("one", "ONE!", MinHash()) == 1

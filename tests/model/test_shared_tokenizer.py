"""The shared tokenizer learns from equal bytes of each variant."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.corpus.engine import Inputs
from datassay.corpus.hashing import file_hash
from datassay.corpus.store import Outputs
from datassay.corpus.tokenizer import load_tokenizer
from datassay.model.shared_tokenizer import SharedTokenizerSettings, mixed_texts, train_shared_tokenizer


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """2000 documents of ten bytes: English up to the 500th, then German."""
    path = tmp_path / "corpus.parquet"
    texts = ["the fog is" if i < 500 else "der Nebel." for i in range(2000)]
    pq.write_table(pa.table({"id": [str(i) for i in range(2000)], "text": pa.array(texts, pa.large_string())}), path)
    return path


def ids(begin: int, end: int) -> pa.ChunkedArray:
    return pa.chunked_array([[str(i) for i in range(begin, end)]])


def test_each_variant_gives_as_many_bytes_as_the_smallest_has(corpus: Path) -> None:
    texts = list(mixed_texts([corpus], [ids(0, 500), ids(500, 2000)], max_bytes=10**6, seed=0))
    counts = Counter(text[:3] for text in texts)
    assert counts["the"] == 500
    # A third of 1500 by hash: 500 with a deviation of sqrt(1500 * 2/9) = 18
    assert abs(counts["der"] - 500) < 5 * 18


def test_no_more_bytes_than_asked_for(corpus: Path) -> None:
    texts = list(mixed_texts([corpus], [ids(0, 2000), ids(0, 500)], max_bytes=4000, seed=0))
    # 2000 bytes a variant are 200 documents each, with deviations of sqrt(200 * 0.9) = 13 and sqrt(200 * 0.6) = 11
    assert abs(len(texts) - 400) < 5 * (13 + 11)


def test_a_document_of_two_variants_counts_twice(corpus: Path) -> None:
    assert list(mixed_texts([corpus], [ids(0, 2), ids(0, 2)], max_bytes=10**6, seed=0)) == ["the fog is"] * 4


def test_stage_gives_the_same_tokenizer_twice(corpus: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.parquet"
    pq.write_table(pa.table({"id": ["0", "600"]}), kept)
    inputs = Inputs({"corpus": (corpus,), "kept": (kept, kept)})
    for name in ("first", "second"):
        train_shared_tokenizer(inputs, SharedTokenizerSettings(vocab_size=260), Outputs(tmp_path / name, 0))
    first, second = (tmp_path / name / "tokenizer/part-00000.json" for name in ("first", "second"))
    assert file_hash(first) == file_hash(second)
    assert load_tokenizer(first).vocab_size == 260

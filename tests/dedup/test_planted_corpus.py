"""The corpus that recall, speed and memory of deduplication are measured on, `benchmarks/dedup_corpus.py`."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

N_DOCUMENTS = 1500


@pytest.fixture(scope="module")
def corpus() -> ModuleType:
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    try:
        import dedup_corpus
    finally:
        sys.path.pop(0)
    return dedup_corpus


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    """20,000 of 8 to 15 words, some with characters of several bytes and upper case."""
    rng = np.random.default_rng(1)
    words = [f"{start}{end}" for start in ("Tal", "mer", "sö", "El’", "gru") for end in ("ka", "nd", "é", "st", "ov")]
    return [" ".join(rng.choice(words, rng.integers(8, 16)).tolist()) + "." for _ in range(20_100)]


@pytest.fixture(scope="module")
def folders(corpus: ModuleType, sentences: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same corpus in one shard and in shards of 400."""
    pool = corpus.make_pool(iter([" ".join(sentences)]))
    folders = [tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("parts")]
    for folder, rows in zip(folders, (N_DOCUMENTS, 400), strict=True):
        corpus.write_corpus(folder, pool, n_documents=N_DOCUMENTS, shard_rows=rows)
    return folders


def documents(folder: Path) -> dict[str, str]:
    table = pa.concat_tables(pq.read_table(path) for path in sorted(folder.glob("documents-*.parquet")))
    return dict(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))


def test_shards_do_not_change_a_corpus(folders: list[Path]) -> None:
    whole, parts = folders
    assert len(list(parts.glob("documents-*.parquet"))) == 4
    assert documents(whole) == documents(parts)
    assert (whole / "truth.parquet").read_bytes() == (parts / "truth.parquet").read_bytes()


def test_truth_is_that_of_the_texts(corpus: ModuleType, folders: list[Path]) -> None:
    texts = documents(folders[0])
    truth = pq.read_table(folders[0] / "truth.parquet").to_pylist()
    assert len({row[end] for row in truth for end in ("a", "b")} - {row["cluster"] for row in truth}) == 150  # a tenth
    for row in truth:
        x, y = (corpus.word_shingles(texts[row[end]]) for end in ("a", "b"))
        assert row["jaccard"] == len(x & y) / len(x | y)
        assert not row["same_text"] or texts[row["a"]] == texts[row["b"]]
    similarities = np.array([row["jaccard"] for row in truth])
    for low, high in pairwise((0.4, 0.6, 0.8, 0.95, 1.01)):
        assert ((low <= similarities) & (similarities < high)).any()


def test_every_pair_of_a_cluster_is_listed_once(folders: list[Path]) -> None:
    """None of this size has more than 64 documents."""
    truth = pq.read_table(folders[0] / "truth.parquet").to_pylist()
    members: dict[str, set[str]] = {}
    for row in truth:
        members.setdefault(row["cluster"], set()).update((row["a"], row["b"]))
    assert max(map(len, members.values())) <= 64
    pairs = [{a, b} for ids in members.values() for a, b in combinations(ids, 2)]
    assert Counter(frozenset((row["a"], row["b"])) for row in truth) == Counter(map(frozenset, pairs))


@pytest.mark.parametrize(
    ("n_members", "n_pairs"),
    [
        (64, 64 * 63 // 2),
        (65, 64 + 48 * 16 + 16 * 15 // 2),  # with the original; of 48 copies the next 16; of the last 16 those left
    ],
)
def test_pairs_of_large_clusters_are_bounded(
    corpus: ModuleType, sentences: list[str], n_members: int, n_pairs: int
) -> None:
    plan = corpus.Plan(np.zeros(n_members, np.int64), np.zeros(n_members, np.int64), np.ones(n_members))
    truth = corpus.truth_of(plan, corpus.make_pool(iter([" ".join(sentences)])), 1)
    assert truth.num_rows == n_pairs
    assert set(truth["jaccard"].to_pylist()) == {1.0}
    assert sum(a == "000000000" for a in truth["a"].to_pylist()) == n_members - 1


def test_too_few_sentences_are_refused(corpus: ModuleType, sentences: list[str]) -> None:
    with pytest.raises(SystemExit, match="100 distinct sentences in these texts, at least 20000 are needed"):
        corpus.make_pool(iter(sentences[:100]))

"""Deciding: cut-offs and duplicates among the documents that pass the rules, and every reason for the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.cli.decisions import DecideSettings, decide, keep
from datassay.corpus.engine import InlineEngine, Inputs, Task, TaskFunction
from datassay.corpus.hashing import seed_of, uniform
from datassay.corpus.split import SPLIT
from datassay.corpus.store import Done, parquet_shard
from datassay.dedup.exact import PAIR
from datassay.dedup.settings import DedupSettings
from datassay.filters.decide import VERDICT

CARRY = [
    pa.field("quality", pa.float64()),
    pa.field("n_chars", pa.int64()),
    pa.field("n_bytes", pa.int64()),
    pa.field("date", pa.string()),
]
VERDICTS = pa.schema([*VERDICT, *CARRY])
DEDUP = DedupSettings()


@dataclass(frozen=True)
class Doc:
    """One document as the stages before know it."""

    id: str
    quality: float | None = None
    fails: Sequence[str] = ()
    role: str = "train"
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> dict[str, Any]:
        reasons = [{"rule": rule, "value": 1.0, "limit": f"{rule} > 3"} for rule in self.fails]
        known = {"n_chars": 100, "n_bytes": 100, "date": None, **self.more}
        return {"id": self.id, "keep": not reasons, "reasons": reasons, "quality": self.quality, **known}


def write(path: Path, schema: pa.Schema, rows: Sequence[Mapping[str, Any]]) -> Path:
    with parquet_shard(path, schema) as shard:
        shard.write_rows(rows)
    return path


def run(
    folder: Path,
    function: TaskFunction,
    shards: Sequence[Sequence[Doc]],
    settings: DecideSettings,
    edges: Sequence[tuple[str, str]] = (),
) -> tuple[list[dict[str, Any]], Done]:
    """All rows that the function writes, and what the task did."""
    pairs = [{"a": min(edge), "b": max(edge), "similarity": 0.9, "kind": "near"} for edge in edges]
    inputs = Inputs(
        {
            "verdicts": tuple(
                write(folder / f"v{i}", VERDICTS, [doc.verdict for doc in docs]) for i, docs in enumerate(shards)
            ),
            "split": tuple(
                write(folder / f"s{i}", SPLIT, [{"id": doc.id, "role": doc.role} for doc in docs])
                for i, docs in enumerate(shards)
            ),
            "pairs": (write(folder / "pairs", PAIR, pairs),),
        }
    )
    (done,) = InlineEngine().run([Task(function, inputs, settings, folder / "out", 0, "key")])
    tables = [pq.ParquetFile(folder / "out" / file.name).read() for file in done.files if file.dataset != "limits"]
    return [row for table in tables for row in table.to_pylist()], done


def kept(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [row["id"] for row in rows if row["keep"]]


def test_every_failed_rule_is_a_reason_with_value_and_limit(tmp_path: Path) -> None:
    docs = [Doc("a"), Doc("b", fails=["words", "lines"]), Doc("c", role="validation"), Doc("d", fails=["words"])]
    rows, done = run(tmp_path, decide, [docs[:3], docs[3:]], DecideSettings())
    assert [row["id"] for row in rows] == ["a", "b", "c", "d"]
    assert kept(rows) == ["a"]
    assert [[reason["rule"] for reason in row["reasons"]] for row in rows] == [
        [],
        ["words", "lines"],
        ["validation"],
        ["words"],
    ]
    assert rows[1]["reasons"][0] == {"rule": "words", "value": 1.0, "limit": "words > 3"}
    assert [file.dataset for file in done.files] == ["decisions", "decisions", "limits"]
    assert done.counts == {"documents": 4, "kept": 1, "duplicates": 0}


def test_rules_of_a_step_that_is_left_out_do_not_count(tmp_path: Path) -> None:
    docs = [Doc("a", fails=["words"]), Doc("b", fails=["words", "lines"]), Doc("c")]
    rows, _ = run(tmp_path, decide, [docs], DecideSettings(without_rules=("words",)))
    assert kept(rows) == ["a", "c"]
    assert [reason["rule"] for reason in rows[1]["reasons"]] == ["lines"]


def test_cluster_whose_best_document_fails_a_rule_keeps_its_next_best(tmp_path: Path) -> None:
    docs = [Doc("a", 0.5), Doc("b", 0.9, fails=["words"]), Doc("c", 0.7), Doc("d", 0.1)]
    edges = [("a", "b"), ("b", "c"), ("a", "c")]
    rows, done = run(tmp_path, decide, [docs], DecideSettings(dedup=DEDUP), edges)
    assert kept(rows) == ["c", "d"]
    assert [(row["cluster"], row["kept_for"]) for row in rows] == [("a", "c"), (None, None), ("a", None), (None, None)]
    assert [row["reasons"] == [] for row in rows] == [True, False, True, True]
    assert done.counts["duplicates"] == 1


def test_groups_that_only_a_failing_document_joins_stay_two(tmp_path: Path) -> None:
    docs = [Doc("a", 0.5), Doc("b", 0.9, fails=["words"]), Doc("c", 0.7)]
    rows, _ = run(tmp_path, decide, [docs], DecideSettings(dedup=DEDUP), [("a", "b"), ("b", "c")])
    assert kept(rows) == ["a", "c"]


def test_duplicates_of_validation_and_reference_do_not_count(tmp_path: Path) -> None:
    docs = [Doc("a", 0.1), Doc("r", 0.9, role="reference")]
    rows, _ = run(tmp_path, decide, [docs[:1], docs[1:]], DecideSettings(dedup=DEDUP), [("a", "r")])
    assert kept(rows) == ["a"]


def test_quality_cuts_before_duplicates_are_chosen(tmp_path: Path) -> None:
    """The longer copy would stay, but does not reach the quality."""
    docs = [Doc("a", 0.8), Doc("b", 0.2, more={"n_chars": 999})]
    settings = DecideSettings(dedup=DedupSettings(keep_by=("length",)), quality=">= 0.5")
    rows, _ = run(tmp_path, decide, [docs], settings, [("a", "b")])
    assert kept(rows) == ["a"]
    assert rows[0]["kept_for"] is None
    assert rows[1]["reasons"] == [{"rule": "quality", "value": 0.2, "limit": "quality >= 0.5"}]


@pytest.mark.parametrize(
    ("keep_by", "stays"),
    [(("quality",), "a"), (("length",), "b"), (("date",), "c"), ((), "a")],
)
def test_which_copy_stays(tmp_path: Path, keep_by: tuple[str, ...], stays: str) -> None:
    docs = [
        Doc("a", 0.9, more={"date": "2022"}),
        Doc("b", 0.5, more={"n_chars": 500, "date": "2023"}),
        Doc("c", None, more={"date": "2021-01-05"}),
        Doc("d", 0.1),
    ]
    settings = DecideSettings(dedup=DedupSettings(keep_by=keep_by))  # type: ignore[arg-type]
    rows, _ = run(tmp_path, decide, [docs], settings, [("a", "b"), ("b", "c"), ("c", "d")])
    assert kept(rows) == [stays]


@pytest.mark.parametrize(
    ("quality", "n_kept"),
    [
        ("top 30%", 3),  # floor(0.3 x 11)
        ("top 100%", 11),
        ("top 9%", 0),  # floor(0.99)
        ("top 10%", 1),
        (">= 0.5", 6),
        (">= 1", 1),
    ],
)
def test_cut_off_keeps_so_many(tmp_path: Path, quality: str, n_kept: int) -> None:
    """Scores 0, 0.1, …, 1 pass the rules; two better documents that fail a rule or are held out do not count."""
    passing = [Doc(f"d{i:02d}", i / 10) for i in range(11)]
    others = [Doc("x", 2.0, fails=["words"]), Doc("y", 2.0, role="validation"), Doc("z", None)]
    rows, _ = run(tmp_path, decide, [passing[:4], others, passing[4:]], DecideSettings(quality=quality))
    assert kept(rows) == [f"d{i:02d}" for i in range(11 - n_kept, 11)]


def test_equal_scores_are_cut_at_the_exact_count_by_hash(tmp_path: Path) -> None:
    docs = [Doc(f"d{i}", 0.5) for i in range(20)]
    rows, _ = run(tmp_path, decide, [docs[:7], docs[7:]], DecideSettings(quality="top 25%", seed=4))
    chance = dict(zip([doc.id for doc in docs], uniform(seed_of("cutoff", 4), [doc.id for doc in docs]), strict=True))
    assert sorted(kept(rows)) == sorted(sorted(chance, key=chance.__getitem__)[:5])


def test_the_limit_that_a_share_came_to_is_in_the_reason(tmp_path: Path) -> None:
    rows, _ = run(tmp_path, decide, [[Doc("a", 0.25), Doc("b", 0.75)]], DecideSettings(quality="top 50%"))
    assert rows[0]["reasons"] == [{"rule": "quality", "value": 0.25, "limit": "quality top 50% (>= 0.75)"}]


def test_a_document_that_fails_a_rule_also_hears_of_its_quality(tmp_path: Path) -> None:
    rows, _ = run(tmp_path, decide, [[Doc("a", 0.1, fails=["words"]), Doc("b", 0.9)]], DecideSettings(quality=">= 0.5"))
    assert [reason["rule"] for reason in rows[0]["reasons"]] == ["words", "quality"]


@pytest.mark.parametrize(("budget", "expected"), [("75 tokens", "ab"), ("74 tokens", "a"), ("1e3 tokens", "abcd")])
def test_budget_of_tokens_takes_the_best_first(tmp_path: Path, budget: str, expected: str) -> None:
    """100 bytes are 25 tokens, 200 are 50, so the two best have 75."""
    docs = [Doc("d", 0.1), Doc("a", 0.9), Doc("c", 0.2), Doc("b", 0.8, more={"n_bytes": 200})]
    rows, _ = run(tmp_path, decide, [docs], DecideSettings(quality=budget, bytes_per_token=4))
    assert sorted(kept(rows)) == list(expected)


def test_pareto_draws_by_hash_of_id(tmp_path: Path) -> None:
    """Kept with probability (2 - score)**-9, by the document's own chance: in any order and company."""
    docs = [Doc(f"d{i}", i / 200) for i in range(201)]
    rows, _ = run(tmp_path / "a", decide, [docs], DecideSettings(quality="pareto 9", seed=1))
    again, _ = run(tmp_path / "b", decide, [docs[100:][::-1], docs[:100]], DecideSettings(quality="pareto 9", seed=1))
    chance = uniform(seed_of("cutoff", 1), [doc.id for doc in docs])
    expected = [doc.id for doc, draw in zip(docs, chance, strict=True) if draw < (2 - (doc.quality or 0)) ** -9]
    assert kept(rows) == expected
    assert sorted(kept(again)) == sorted(expected)
    assert 0 < len(expected) < 201


def test_variants_are_nested(tmp_path: Path) -> None:
    """Each step more keeps a subset; the last variant keeps what `decide` keeps."""
    docs = [Doc(f"d{i:02d}", (i * 7 % 30) / 30, fails=["language"] * (i % 5 == 0)) for i in range(30)]
    docs = [
        Doc(doc.id, doc.quality, [*doc.fails, *(["words"] if i % 7 == 0 else [])], "train" if i % 11 else "validation")
        for i, doc in enumerate(docs)
    ]
    edges = [(f"d{i:02d}", f"d{i + 3:02d}") for i in range(0, 27, 2)]
    steps = [
        DecideSettings(without_rules=("language", "words")),
        DecideSettings(without_rules=("words",)),
        DecideSettings(),
        DecideSettings(quality="top 60%"),
        DecideSettings(quality="top 60%", dedup=DEDUP),
    ]
    variants = []
    for i, settings in enumerate(steps):
        rows, done = run(tmp_path / str(i), keep, [docs[:13], docs[13:]], settings, edges)
        variants.append([row["id"] for row in rows])
        assert done.counts == {"n_documents": len(rows), "n_bytes": 100 * len(rows)}
    assert len(variants[0]) == 27  # three of thirty are held out
    assert all(set(more) < set(fewer) for fewer, more in pairwise(variants))
    rows, _ = run(tmp_path / "decide", decide, [docs[:13], docs[13:]], steps[-1], edges)
    assert kept(rows) == variants[-1]


def test_empty_shards_and_no_documents(tmp_path: Path) -> None:
    settings = DecideSettings(quality="top 50%", dedup=DEDUP)
    assert kept(run(tmp_path / "a", decide, [[], [Doc("a", 0.5), Doc("b", 0.9)], []], settings)[0]) == ["b"]
    assert run(tmp_path / "b", decide, [[]], settings)[0] == []
    assert run(tmp_path / "c", keep, [[]], settings)[0] == []

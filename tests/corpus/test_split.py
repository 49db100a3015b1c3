"""What is held out, and what leaves training because it is near to that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from datassay.corpus.engine import InlineEngine, Inputs, Task
from datassay.corpus.hashing import seed_of, uniform
from datassay.corpus.schema import DOCUMENT
from datassay.corpus.split import INPUT_ONLY, SplitPlan, is_input, select_reference, split
from datassay.corpus.store import Done, parquet_shard
from datassay.dedup.exact import PAIR

FROM_FILES = SplitPlan(share=0.0, seed=0)


def document(name: str, source: str = "input", *, text: str = "text", **fields: Any) -> dict[str, Any]:
    return {"id": name, "text": text, "source": source, "file": "f", "offset": 0, **fields}


def write(path: Path, schema: Any, rows: Sequence[Mapping[str, Any]]) -> Path:
    with parquet_shard(path, schema) as shard:
        shard.write_rows(rows)
    return path


def run(
    folder: Path,
    shards: Sequence[Sequence[Mapping[str, Any]]],
    pairs: Sequence[tuple[str, str, str]] = (),
    settings: SplitPlan = FROM_FILES,
) -> tuple[dict[str, tuple[str, str | None]], Done, Inputs]:
    """Role and domain of each document, what the task did, and inputs for what comes after."""
    clean = tuple(write(folder / f"clean-{i}.parquet", DOCUMENT, rows) for i, rows in enumerate(shards))
    edges = [{"a": min(a, b), "b": max(a, b), "similarity": 1.0, "kind": kind} for a, b, kind in pairs]
    files = {"clean": clean, "pairs": (write(folder / "pairs.parquet", PAIR, edges),)}
    (done,) = InlineEngine().run([Task(split, Inputs(files), settings, folder / "split", 0, "key")])
    roles: dict[str, tuple[str, str | None]] = {}
    for file, rows in zip(done.files, shards, strict=True):
        table = pq.ParquetFile(folder / "split" / file.name).read()
        assert table["id"].to_pylist() == [row["id"] for row in rows]  # same rows, same order
        roles.update(
            {row["id"]: (row["role"], row["domain"]) for row in table.to_pylist()}  # one partition for each shard
        )
    files["split"] = tuple(folder / "split" / file.name for file in done.files)
    return roles, done, Inputs(files)


def test_files_say_what_they_are(tmp_path: Path) -> None:
    roles, done, _ = run(
        tmp_path,
        [
            [document("a"), document("b")],
            [document("c", "validation/books")],
            [
                document("d", "validation/*", metadata='{"domain": "web"}'),
                document("e", "validation/*", domain="x.org"),
                document("f", "validation/*"),
            ],
            [document("g", "reference")],
        ],
    )
    assert roles == {
        "a": ("train", None),
        "b": ("train", None),
        "c": ("validation", "books"),
        "d": ("validation", "web"),  # what its row says
        "e": ("validation", "x.org"),  # else where it comes from
        "f": ("validation", "validation"),
        "g": ("reference", None),
    }
    assert done.counts == {"train": 2, "validation": 4, "reference": 1}


def test_a_domain_that_is_left_out_guards_nothing(tmp_path: Path) -> None:
    settings = FROM_FILES.model_copy(update={"without_domains": ("books",)})
    roles, _, _ = run(tmp_path, [[document("a")], [document("v", "validation/books")]], [("a", "v", "near")], settings)
    assert roles == {"a": ("train", None), "v": ("unused", None)}


def test_near_copies_of_validation_leave_training_and_reference(tmp_path: Path) -> None:
    roles, done, inputs = run(
        tmp_path,
        [
            [document("a"), document("b"), document("c"), document("d")],
            [document("v", "validation/books"), document("w", "validation/books")],
            [document("r", "reference"), document("s", "reference")],
        ],
        [("a", "v", "near"), ("a", "b", "near"), ("c", "d", "near"), ("r", "w", "exact"), ("v", "w", "near")],
    )
    assert {name: role for name, (role, _) in roles.items()} == {
        "a": "near_validation",
        "b": "near_validation",  # may be near to v as well: not every pair of a cluster is an edge
        "c": "train",
        "d": "train",
        "v": "validation",
        "w": "validation",
        "r": "refused",
        "s": "reference",
    }
    assert done.counts == {"near_validation": 2, "train": 2, "validation": 2, "refused": 1, "reference": 1}
    reference = Inputs({name: inputs.all(name)[-1:] for name in ("clean", "split")})
    (done,) = InlineEngine().run([Task(select_reference, reference, None, tmp_path / "reference", 0, "key")])
    table = pq.read_table(tmp_path / "reference" / done.files[0].name)
    assert table["id"].to_pylist() == ["s"]
    assert done.counts == {"documents": 1}


@pytest.mark.parametrize(
    "pairs",
    [
        [("a", "b", "exact"), ("a", "v", "near")],
        [("a", "b", "exact"), ("b", "v", "near")],
        [("a", "b", "exact"), ("a", "v", "exact")],
    ],
)
def test_copies_of_a_near_copy_leave_too(tmp_path: Path, pairs: list[tuple[str, str, str]]) -> None:
    """Copies of one text have an edge to the first of them alone, and only that one has edges to near copies."""
    roles, _, _ = run(tmp_path, [[document("a"), document("b")], [document("v", "validation/books")]], pairs)
    assert [roles[name][0] for name in "ab"] == ["near_validation", "near_validation"]


def test_near_copies_of_a_copied_validation_text_leave(tmp_path: Path) -> None:
    """The validation text is itself a copy, of which another stands for both."""
    roles, _, _ = run(
        tmp_path,
        [[document("a"), document("b")], [document("v", "validation/books")]],
        [("a", "v", "exact"), ("a", "b", "near")],
    )
    assert [roles[name][0] for name in "ab"] == ["near_validation", "near_validation"]


def hold_out(share: float, seed: int = 0) -> SplitPlan:
    return SplitPlan(share=share, seed=seed)


def test_whole_domains_are_held_out_by_hash(tmp_path: Path) -> None:
    """40 domains of 3 documents, each with 2.5 % of the bytes."""
    shards = [[document(f"{d}-{i}", domain=f"{d}.org") for d in range(40)] for i in range(3)]
    roles, _, _ = run(tmp_path, shards, settings=hold_out(0.3))
    domains = [f"{d}.org" for d in range(40)]
    expected = {
        domain for domain, chance in zip(domains, uniform(seed_of("split", 0), domains), strict=True) if chance < 0.3
    }
    assert 0 < len(expected) < 40
    for name, (role, domain) in roles.items():
        is_held_out = f"{name.split('-')[0]}.org" in expected
        assert (role, domain) == (("validation", "held_out") if is_held_out else ("train", None))


def test_a_big_domain_is_split_by_document(tmp_path: Path) -> None:
    """big.org has half of the bytes; the other domains have 2.5 % each."""
    big = [document(f"big-{i}", domain="big.org") for i in range(40)]
    small = [document(f"small-{i}", domain=f"{i // 2}.org") for i in range(40)]
    roles, _, _ = run(tmp_path, [big, small], settings=hold_out(0.5))
    names = [row["id"] for row in big]
    expected = [chance < 0.5 for chance in uniform(seed_of("split", 0), names)]
    assert [roles[name][0] == "validation" for name in names] == expected
    assert all(roles[f"small-{i}"] == roles[f"small-{i + 1}"] for i in range(0, 40, 2))


def test_documents_without_a_domain_are_split_one_by_one(tmp_path: Path) -> None:
    names = [f"document {i}" for i in range(50)]
    roles, done, _ = run(tmp_path, [[document(name) for name in names]], settings=hold_out(0.2, seed=3))
    expected = [chance < 0.2 for chance in uniform(seed_of("split", 3), names)]
    assert [roles[name][0] == "validation" for name in names] == expected
    assert sum(done.counts.values()) == 50


def test_the_reference_is_never_held_out(tmp_path: Path) -> None:
    roles, _, _ = run(tmp_path, [[document(f"r{i}", "reference") for i in range(20)]], settings=hold_out(0.49))
    assert set(roles.values()) == {("reference", None)}


def test_an_empty_shard_is_split_too(tmp_path: Path) -> None:
    roles, done, _ = run(tmp_path, [[], [document("a")]])
    assert roles == {"a": ("train", None)}
    assert len(done.files) == 2


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        *(("input", True), ("books", True), ("reference-books", True), ("validation-2", True), ("validation", True)),
        *(("reference", False), ("reference/logit", False), ("validation/books", False), ("validation/*", False)),
    ],
)
def test_what_is_refined_is_told_by_its_source(source: str, expected: bool) -> None:
    """In Python and in SQL alike."""
    assert is_input(source) == expected
    assert duckdb.sql(f"SELECT {INPUT_ONLY} FROM (SELECT '{source}' AS source)").fetchall() == [(expected,)]

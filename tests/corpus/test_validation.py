"""Which of the held-out texts are evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.corpus.engine import InlineEngine, Inputs, Task
from datassay.corpus.errors import InputError
from datassay.corpus.hashing import uniform
from datassay.corpus.schema import DOCUMENT
from datassay.corpus.split import HELD_OUT, SPLIT
from datassay.corpus.store import Done, parquet_shard
from datassay.corpus.validation import ValidationPlan, select_validation

VERDICT = pa.schema([pa.field("id", pa.string()), pa.field("keep", pa.bool_()), pa.field("n_bytes", pa.int64())])


def write(path: Path, schema: pa.Schema, rows: Sequence[Mapping[str, Any]]) -> Path:
    with parquet_shard(path, schema) as shard:
        shard.write_rows(rows)
    return path


def select(
    folder: Path, shards: Sequence[Sequence[tuple[str, str, str | None, str, bool]]], max_bytes: int = 1000
) -> tuple[dict[str, list[str]], Done]:
    """Ids evaluated, by domain, of documents given as (id, role, domain, text, keep); and what the task did."""
    files: dict[str, list[Path]] = {"clean": [], "split": [], "verdicts": []}
    for i, rows in enumerate(shards):
        clean = [{"id": name, "text": text, "source": "s", "file": "f", "offset": 0} for name, _, _, text, _ in rows]
        roles = [{"id": name, "role": role, "domain": domain} for name, role, domain, _, _ in rows]
        verdicts = [{"id": name, "keep": keep, "n_bytes": len(text.encode())} for name, _, _, text, keep in rows]
        files["clean"].append(write(folder / f"clean-{i}", DOCUMENT, clean))
        files["split"].append(write(folder / f"split-{i}", SPLIT, roles))
        files["verdicts"].append(write(folder / f"verdicts-{i}", VERDICT, verdicts))
    inputs = Inputs({name: tuple(paths) for name, paths in files.items()})
    plan = ValidationPlan(max_bytes=max_bytes, seed=0)
    (done,) = InlineEngine().run([Task(select_validation, inputs, plan, folder / "out", 0, "key")])
    found = {}
    for file in done.files:
        rows = pq.ParquetFile(folder / "out" / file.name).read().to_pylist()
        found[rows[0]["domain"]] = [row["id"] for row in rows]
    return found, done


def test_domains_in_order_with_their_documents(tmp_path: Path) -> None:
    found, done = select(
        tmp_path,
        [
            [("a", "validation", "web", "some text", True), ("b", "train", None, "some text", True)],
            [("c", "validation", "books", "some text", False), ("d", "validation", "web", "more", True)],
            [("e", "unused", "wiki", "some text", True), ("f", "validation", "books", "", True)],
        ],
    )
    assert found == {"books": ["c"], "web": ["a", "d"]}  # a file is evaluated whatever the rules say of it
    assert [file.partition for file in done.files] == [0, 1]
    assert done.counts == {"domain books": 1, "domain web": 2}


def test_held_out_documents_must_pass_the_rules(tmp_path: Path) -> None:
    rows = [("a", "validation", HELD_OUT, "good", True), ("b", "validation", HELD_OUT, "junk", False)]
    assert select(tmp_path, [rows])[0] == {HELD_OUT: ["a"]}


@pytest.mark.parametrize(
    ("max_bytes", "n_chosen"),
    [(39, 1), (40, 2), (59, 2), (60, 3), (1, 1), (200, 10)],  # at least one document, however long
)
def test_whole_documents_by_hash_within_the_budget(tmp_path: Path, max_bytes: int, n_chosen: int) -> None:
    names = [f"d{i}" for i in range(10)]
    rows = [(name, "validation", "books", "ä" * 10, True) for name in names]  # 20 bytes each
    by_chance = [name for _, name in sorted(zip(uniform(0, names), names, strict=True))]
    assert select(tmp_path, [rows], max_bytes)[0] == {"books": sorted(by_chance[:n_chosen])}


def test_nothing_to_evaluate_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no validation text: .* name validation files"):
        select(tmp_path, [[("a", "train", None, "text", True), ("b", "validation", HELD_OUT, "junk", False)]])

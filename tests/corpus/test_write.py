"""The refined corpus is what others read: Parquet and JSON lines, without this package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from datassay.corpus.engine import InlineEngine, Inputs, Task
from datassay.corpus.language import LANGUAGE
from datassay.corpus.schema import DOCUMENT
from datassay.corpus.store import Done, parquet_shard
from datassay.corpus.write import CORPUS, WritePlan, write_corpus

TEXTS = ["First.\nSecond line.", "dropped", "Grüße, 世界, \u2028 and 👋", 'quotes " and \\', "x" * 5000]
KEEP = [True, False, True, True, True]
DECISION = pa.schema([pa.field("id", pa.string()), pa.field("keep", pa.bool_())])
QUALITY = pa.schema([pa.field("id", pa.string()), pa.field("quality", pa.float64())])


def write_all(folder: Path, file_format: str, *, has_quality: bool = True, times: int = 1) -> tuple[Path, Done]:
    """Write the documents above, `times` over, as the refined corpus."""
    texts, keep = TEXTS * times, KEEP * times
    names = [f"{i:032x}" for i in range(len(texts))]
    tables: dict[str, tuple[pa.Schema, list[dict[str, Any]]]] = {
        "clean": (
            DOCUMENT,
            [
                {"id": n, "text": t, "source": "input", "file": "f", "offset": 0, "metadata": '{"a":1}', "url": "u"}
                for n, t in zip(names, texts, strict=True)
            ],
        ),
        "decisions": (DECISION, [{"id": n, "keep": k} for n, k in zip(names, keep, strict=True)]),
        "language": (
            LANGUAGE,
            [
                {
                    "id": n,
                    "language": "en",
                    "language_score": i / 10,
                    "second_language_score": 0.0,
                    "script_fraction": 1.0,
                }
                for i, n in enumerate(names)
            ],
        ),
        "quality": (QUALITY, [{"id": n, "quality": i / 4} for i, n in enumerate(names)]),
    }
    files = {}
    for name, (schema, rows) in tables.items():
        with parquet_shard(folder / f"{name}.parquet", schema) as shard:
            shard.write_rows(rows)
        files[name] = (folder / f"{name}.parquet",)
    if not has_quality:
        del files["quality"]
    plan = WritePlan(format=file_format)
    (done,) = InlineEngine().run([Task(write_corpus, Inputs(files), plan, folder / "write", 0, "key")])
    return folder / "write" / done.files[-1].name, done


def test_only_what_is_kept_with_what_is_known_of_it(tmp_path: Path) -> None:
    path, done = write_all(tmp_path, "parquet")
    table = pq.read_table(path)
    assert table.schema == CORPUS
    assert table["text"].to_pylist() == [text for text, keep in zip(TEXTS, KEEP, strict=True) if keep]
    assert table["language_score"].to_pylist() == [0.0, 0.2, 0.3, 0.4]
    assert table["quality"].to_pylist() == [0.0, 0.5, 0.75, 1.0]
    assert set(table["metadata"].to_pylist()) == {'{"a":1}'}
    n_bytes = sum(len(text.encode()) for text, keep in zip(TEXTS, KEEP, strict=True) if keep)
    assert done.counts == {"documents": 4, "n_bytes": n_bytes}


def test_rows_stay_aligned_over_many_batches(tmp_path: Path) -> None:
    """10 000 rows are read in three batches, each of which takes its part of decisions and signals."""
    path, done = write_all(tmp_path, "parquet", times=2000)
    table = pq.read_table(path)
    assert done.counts["documents"] == table.num_rows == 8000
    rows = [int(name, 16) for name in table["id"].to_pylist()]
    assert rows == [i for i in range(10_000) if KEEP[i % 5]]
    assert table["quality"].to_pylist() == [i / 4 for i in rows]
    assert table["text"].to_pylist() == [TEXTS[i % 5] for i in rows]


def test_without_a_classifier_quality_is_null(tmp_path: Path) -> None:
    path, _ = write_all(tmp_path, "parquet", has_quality=False)
    assert pq.read_table(path)["quality"].null_count == 4


def test_json_lines_hold_the_same_rows(tmp_path: Path) -> None:
    path, done = write_all(tmp_path / "jsonl", "jsonl.zst")
    assert [file.name for file in done.files] == ["corpus/part-00000.parquet", "jsonl/part-00000.jsonl.zst"]
    with path.open("rb") as file:
        lines = zstandard.ZstdDecompressor().stream_reader(file).read().decode().split("\n")
    assert lines.pop() == ""
    other, parquet_done = write_all(tmp_path / "parquet", "parquet")
    assert [json.loads(line) for line in lines] == pq.read_table(other).to_pylist()
    assert done.counts == parquet_done.counts


@pytest.mark.parametrize("file_format", ["parquet", "jsonl.zst"])
def test_the_same_bytes_every_time(tmp_path: Path, file_format: str) -> None:
    first, _ = write_all(tmp_path / "a", file_format)
    second, _ = write_all(tmp_path / "b", file_format)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(("file_format", "reader"), [("parquet", "parquet"), ("jsonl.zst", "json")])
def test_datasets_reads_it_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_format: str, reader: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    import datasets

    path, _ = write_all(tmp_path, file_format)
    loaded = datasets.load_dataset(reader, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.num_rows == 4
    assert set(loaded.column_names) == set(CORPUS.names)
    assert list(loaded["text"]) == [text for text, keep in zip(TEXTS, KEEP, strict=True) if keep]

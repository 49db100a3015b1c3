"""Files are there whole or not at all, and a done record is believed only as long as its files are there."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.corpus import store
from datassay.corpus.errors import StoreError
from datassay.corpus.hashing import file_hash
from datassay.corpus.store import (
    Outputs,
    ParquetShard,
    adopt,
    done_path,
    parquet_shard,
    read_batches,
    read_done,
    read_json,
    remove_leftovers,
    whole_file,
    write_json,
)

NUMBERS = pa.schema([pa.field("n", pa.int64(), nullable=False)])


def numbers(count: int, start: int = 0) -> pa.RecordBatch:
    return pa.record_batch([pa.array(range(start, start + count))], schema=NUMBERS)


def commit(folder: Path, *, index: int = 0, key: str = "k") -> store.Done:
    """A finished task with one Parquet file, one file in a partition and one of a format of its own."""
    out = Outputs(folder, index)
    with out.parquet("numbers", NUMBERS) as shard:
        shard.write(numbers(3))
    with out.parquet("split", NUMBERS, partition=7) as shard:
        shard.write(numbers(2))
    with out.file("model", ".bin") as path:
        path.write_bytes(b"model")
    out.counts["rows"] += 5
    return out.commit(key)


def test_whole_file_appears_at_the_end_of_the_block(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file"
    with whole_file(target) as part:
        part.write_bytes(b"all of it")
        assert not target.exists()
    assert target.read_bytes() == b"all of it"
    assert list(target.parent.iterdir()) == [target]


def test_whole_file_leaves_nothing_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "file") as part:
        part.write_bytes(b"half")
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_whole_file_keeps_the_old_file_after_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "file") as part:
        part.write_bytes(b"half of the new")
        _ = 1 / 0
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_full_disk_is_a_store_error_that_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process may write 64 KB to a file and no more, so the system refuses the rest (EFBIG) as it does when a disk
    is full (ENOSPC)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    monkeypatch.setattr(store, "ROW_GROUP_ROWS", 1 << 15)
    try:
        with (
            pytest.raises(StoreError, match=r"big\.parquet: cannot be written: .*nothing of it was kept"),
            parquet_shard(tmp_path / "big.parquet", NUMBERS) as shard,
        ):
            for start in range(20):
                shard.write(numbers(1 << 15, start=start * 7919 << 15))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.iterdir()) == []


def test_an_input_that_is_gone_is_not_called_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="input"), whole_file(tmp_path / "out"):
        (tmp_path / "input").read_bytes()


def test_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file in the way")
    with pytest.raises(StoreError, match=r"folder: cannot be made: File exists"), whole_file(tmp_path / "folder/file"):
        pass


@pytest.mark.parametrize(
    ("limit_rows", "limit_bytes", "expected"),
    [
        (10, 1 << 30, [10, 10, 5]),  # rows decide
        (1000, 8 * 7, [7, 7, 7, 4]),  # 7 numbers of 8 bytes are the bytes that decide
        (25, 1 << 30, [25]),  # exactly on the limit
    ],
)
def test_row_groups_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit_rows: int, limit_bytes: int, expected: list[int]
) -> None:
    monkeypatch.setattr(store, "ROW_GROUP_ROWS", limit_rows)
    monkeypatch.setattr(store, "ROW_GROUP_BYTES", limit_bytes)
    with parquet_shard(tmp_path / "x.parquet", NUMBERS) as shard:
        for n in range(25):
            shard.write(numbers(1, start=n))
    metadata = pq.read_metadata(tmp_path / "x.parquet")
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == expected
    assert pq.read_table(tmp_path / "x.parquet")["n"].to_pylist() == list(range(25))


def test_a_batch_larger_than_a_row_group_is_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ROW_GROUP_ROWS", 10)
    with parquet_shard(tmp_path / "x.parquet", NUMBERS) as shard:
        shard.write(numbers(25))
    assert pq.read_metadata(tmp_path / "x.parquet").num_row_groups == 3


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with parquet_shard(tmp_path / name, NUMBERS) as shard:
            shard.write(numbers(1000))
    assert file_hash(tmp_path / "a") == file_hash(tmp_path / "b")


def test_shard_refuses_another_schema(tmp_path: Path) -> None:
    shard = ParquetShard(tmp_path / "x.parquet", NUMBERS)
    with pytest.raises(ValueError, match="batch has schema"):
        shard.write(pa.record_batch([pa.array(["a"])], names=["n"]))
    shard.close()


def test_shard_of_nothing_has_its_schema(tmp_path: Path) -> None:
    with parquet_shard(tmp_path / "x.parquet", NUMBERS) as shard:
        shard.write_rows([])
    table = pq.read_table(tmp_path / "x.parquet")
    assert (table.num_rows, table.schema) == (0, NUMBERS)


def test_damaged_shard_is_a_store_error_that_says_what_to_do(tmp_path: Path) -> None:
    with parquet_shard(tmp_path / "x.parquet", NUMBERS) as shard:
        shard.write(numbers(100))
    whole = (tmp_path / "x.parquet").read_bytes()
    (tmp_path / "x.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match=r"x\.parquet: not a readable Parquet shard .* run again"):
        list(read_batches([tmp_path / "x.parquet"]))
    with pytest.raises(StoreError, match=r"gone\.parquet"):
        list(read_batches([tmp_path / "gone.parquet"]))


def test_damage_in_what_is_read_is_not_blamed_on_what_is_written(tmp_path: Path) -> None:
    source, target = tmp_path / "x.parquet", tmp_path / "y.parquet"
    with parquet_shard(source, NUMBERS) as shard:
        shard.write(numbers(100_000))
    whole = source.read_bytes()
    source.write_bytes(whole[:4] + bytes(60) + whole[64:])  # the header of a page, not the footer
    with pytest.raises(StoreError, match=r"x\.parquet: not a readable"), parquet_shard(target, NUMBERS) as shard:
        for batch in read_batches([source]):
            shard.write(batch)
    assert not target.exists()


def test_done_record_says_what_was_written(tmp_path: Path) -> None:
    done = commit(tmp_path)
    assert [(file.name, file.dataset, file.partition) for file in done.files] == [
        ("numbers/part-00000.parquet", "numbers", None),
        ("split/partition=00007/part-00000.parquet", "split", 7),
        ("model/part-00000.bin", "model", None),
    ]
    assert (done.counts, done.key, done.is_partial) == ({"rows": 5}, "k", False)
    assert done.files[2].n_bytes == 5
    assert read_done(done_path(tmp_path, 0)) == done


def test_done_record_is_void_if_a_file_is_gone_or_cut(tmp_path: Path) -> None:
    path = tmp_path / commit(tmp_path).files[0].name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert read_done(done_path(tmp_path, 0)) is None
    path.write_bytes(whole)
    assert read_done(done_path(tmp_path, 0)) is not None
    path.unlink()
    assert read_done(done_path(tmp_path, 0)) is None


def test_no_record_no_done(tmp_path: Path) -> None:
    assert read_done(done_path(tmp_path, 0)) is None


def test_adopt_links_under_the_new_number(tmp_path: Path) -> None:
    old = commit(tmp_path / "old", index=2)
    new = adopt(old, tmp_path / "old", tmp_path / "new", 0)
    assert [file.name for file in new.files] == [
        "numbers/part-00000.parquet",
        "split/partition=00007/part-00000.parquet",
        "model/part-00000.bin",
    ]
    for mine, theirs in zip(new.files, old.files, strict=True):
        assert (tmp_path / "new" / mine.name).samefile(tmp_path / "old" / theirs.name)
    assert read_done(done_path(tmp_path / "new", 0)) == new
    assert (new.key, new.counts) == (old.key, old.counts)


def test_remove_leftovers_takes_temporary_files_alone(tmp_path: Path) -> None:
    done = commit(tmp_path)
    (tmp_path / "numbers" / ".part-00001.parquet.4711.part").write_bytes(b"half")
    remove_leftovers(tmp_path)
    assert read_done(done_path(tmp_path, 0)) == done
    assert [path.name for path in (tmp_path / "numbers").iterdir()] == ["part-00000.parquet"]


def test_json_is_read_back_and_its_errors_name_the_file(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"b": 1, "a": [None, 0.5]})
    assert (tmp_path / "x.json").read_text().index('"a"') < (tmp_path / "x.json").read_text().index('"b"')
    assert read_json(tmp_path / "x.json") == {"a": [None, 0.5], "b": 1}
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(StoreError, match=r"x\.json: not JSON"):
        read_json(tmp_path / "x.json")
    with pytest.raises(StoreError, match=r"y\.json: not found"):
        read_json(tmp_path / "y.json")

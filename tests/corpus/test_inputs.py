"""Paths, folders, globs, URLs and lists become files with names that are the same on any machine."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

import fsspec
import pytest

from datassay.corpus.errors import InputError
from datassay.corpus.inputs import find_inputs, shards
from datassay.corpus.readers import read_records
from datassay.corpus.records import InputFile


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    """A folder of three data files, and some that are none."""
    folder = tmp_path / "crawl"
    for name in ("b.txt", "a/c.txt", "a/d.txt", ".hidden", "_SUCCESS", "a/.part/x"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("", ["a/c.txt", "a/d.txt", "b.txt"]),
        ("/a", ["c.txt", "d.txt"]),
        ("/b.txt", ["b.txt"]),
        ("/*/*.txt", ["a/c.txt", "a/d.txt"]),
        ("/a/[cd].txt", ["c.txt", "d.txt"]),
        ("/**/*.txt", ["a/c.txt", "a/d.txt", "b.txt"]),
    ],
)
def test_names_are_relative_to_the_root(crawl: Path, path: str, names: list[str]) -> None:
    files = find_inputs([f"{crawl}{path}"], source="web")
    assert [file.name for file in files] == names
    assert {file.source for file in files} == {"web"}


def test_files_are_identified_by_content(crawl: Path) -> None:
    (file,) = find_inputs([str(crawl / "b.txt")])
    assert file == InputFile(str(crawl / "b.txt"), "b.txt", 5, hashlib.sha256(b"b.txt").hexdigest())


def test_a_url_is_opened_by_fsspec(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file(f"{tmp_path}/x/a.txt", b"words")
    (file,) = find_inputs([f"memory:/{tmp_path}/x"])
    assert (file.name, file.n_bytes) == ("a.txt", 5)
    (record,) = read_records(file, fields={})
    assert record.text == "words"


@pytest.mark.parametrize("compress", [False, True])
def test_list_of_paths(crawl: Path, compress: bool) -> None:
    lines = f"a/c.txt\n\n./b.txt\n{crawl}/a/d.txt\n".encode()
    path = crawl.parent / "crawl" / ("files.paths" + ".gz" * compress)
    path.write_bytes(gzip.compress(lines) if compress else lines)
    files = find_inputs([], paths_from=str(path))
    assert [file.name for file in files] == ["a/c.txt", "b.txt", "d.txt"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/none.txt", r"none\.txt: no such file or folder; check the path"),
        ("/none/*.txt", "no file matches this pattern"),
        ("/empty", "a folder without files"),
    ],
)
def test_what_is_not_there_is_named(crawl: Path, path: str, message: str) -> None:
    (crawl / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        find_inputs([f"{crawl}{path}"])


def test_a_list_names_a_missing_file(crawl: Path) -> None:
    (crawl / "list").write_text("a/c.txt\na/none.txt\n")
    with pytest.raises(InputError, match=r"a/none\.txt: no such file, though the list of paths names it"):
        find_inputs([], paths_from=str(crawl / "list"))
    (crawl / "list").write_text("\n")
    with pytest.raises(InputError, match="an empty list"):
        find_inputs([], paths_from=str(crawl / "list"))


def test_two_files_of_one_name(crawl: Path) -> None:
    (crawl / "a" / "b.txt").write_text("another")
    with pytest.raises(InputError, match=r"has the same name 'b\.txt' as"):
        find_inputs([str(crawl / "b.txt"), str(crawl / "a" / "b.txt")])
    assert len(find_inputs([str(crawl / "b.txt"), str(crawl / "*.txt")])) == 1  # one file, found twice


def test_hashes_are_remembered_by_size_and_time(crawl: Path, tmp_path: Path) -> None:
    path, cache = crawl / "b.txt", tmp_path / "cache.json"
    before = find_inputs([str(path)], cache=cache)
    stat = path.stat()
    path.write_text("B.txt")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # a change that neither size nor time shows
    assert find_inputs([str(path)], cache=cache) == before
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert find_inputs([str(path)], cache=cache)[0].sha256 == hashlib.sha256(b"B.txt").hexdigest()


def test_saved_data_sets_are_read_without_their_leftovers(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict({"text": [f"t{i}" for i in range(10)]})
    datasets.DatasetDict({"train": rows, "test": rows.select(range(3))}).save_to_disk(tmp_path / "saved")
    (tmp_path / "saved" / "train" / "cache-1.arrow").write_bytes(b"leftover")
    files = find_inputs([str(tmp_path / "saved")])
    assert [file.name for file in files] == ["test/data-00000-of-00001.arrow", "train/data-00000-of-00001.arrow"]
    assert [len(list(read_records(file, fields={}))) for file in files] == [3, 10]


def test_shards_are_consecutive_and_bounded() -> None:
    files = [InputFile(str(i), str(i), n_bytes, "") for i, n_bytes in enumerate([40, 60, 1, 200, 50, 50])]
    groups = shards(files, max_bytes=100)
    assert [[file.n_bytes for file in group] for group in groups] == [[40, 60], [1], [200], [50, 50]]
    assert shards([], max_bytes=100) == []

"""Where stage outputs lie: whole files or none, and a small record of what each finished task wrote.

    RUN/STAGE-KEY/DATASET/part-00000.parquet     what task 0 wrote
    RUN/STAGE-KEY/_done/00000.json               that it finished: its key, its files with their hashes, its counts

The record is written last, so a task is done exactly if its record is there; no database, no lock server. The files
themselves hold nothing but data: their bytes depend on the data alone, so the hash of a file is the hash of its
content, and a change upstream that yields the same bytes stops there.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from datassay.corpus.errors import StoreError
from datassay.corpus.hashing import file_hash

ROW_GROUP_ROWS = 65_536
"""Rows of a row group at most: DuckDB needs a third of the memory that it needs with a million (measured)."""
ROW_GROUP_BYTES = 64 << 20
"""Bytes of a row group at most, before compression: what a reader must hold at once."""
FAST, SMALL = 1, 3
"""Levels of zstd: for what later stages read, and for what people keep. The first takes half the time to write and an
eighth more room (measured). No dictionaries of values: they make text slower to write and to read, and nothing
smaller."""
FORMAT = 2
"""Part of every task's key; raised by hand when the same rows become other bytes."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to, which becomes `path` only if the block ends without an error.

    A reader, or a run that resumes, therefore never sees half a file; two attempts at the same task never share one.
    Raises StoreError if the disk is full or cannot be written; an error of another file that the block opens stays as
    it is.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path.parent}: cannot be made: {error.strerror}") from error
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)  # atomic within one file system
    except OSError as error:
        if error.filename not in (None, str(part)):
            raise
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}; nothing of it was kept") from error
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write `value` as JSON, indented, keys in order, whole or not at all."""
    with whole_file(path) as part:
        part.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")


def read_json(path: Path) -> Any:
    """The JSON value in a file. Raises StoreError if it is not there or not JSON."""
    try:
        return orjson.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise StoreError(f"{path}: not found") from error
    except orjson.JSONDecodeError as error:
        raise StoreError(f"{path}: not JSON: {error}") from error


class ParquetShard:
    """A Parquet file in the making: batches of any size in, row groups of bounded size out."""

    def __init__(self, path: Path, schema: pa.Schema, level: int = SMALL) -> None:
        self.schema = schema
        self.n_rows = 0
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        self._writer = pq.ParquetWriter(
            path, schema, compression="zstd", compression_level=level, use_dictionary=False, store_schema=True
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Add a batch. Raises ValueError if its schema is another."""
        if not batch.schema.equals(self.schema):
            raise ValueError(f"batch has schema {batch.schema}, the shard {self.schema}")
        self.n_rows += batch.num_rows
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        self._waiting_bytes += batch.nbytes
        if self._waiting_rows >= ROW_GROUP_ROWS or self._waiting_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def write_rows(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Add rows given as mappings from column to value; a missing key is null."""
        if rows:
            self.write(pa.RecordBatch.from_pylist(list(rows), schema=self.schema))

    def _flush(self) -> None:
        if self._waiting_rows:
            table = pa.Table.from_batches(self._waiting, self.schema)
            self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Close without what waits: after an error, which must not be hidden by what closing would raise."""
        with suppress(OSError, pa.ArrowException):
            self._writer.close()


@contextmanager
def parquet_shard(path: Path, schema: pa.Schema, level: int = SMALL) -> Iterator[ParquetShard]:
    """A Parquet file to write batches to, there whole or not at all."""
    with whole_file(path) as part:
        shard = ParquetShard(part, schema, level)
        try:
            yield shard
            shard.close()
        except BaseException:
            shard.abandon()
            raise


def read_batches(
    paths: Sequence[Path], *, columns: Sequence[str] | None = None, n_rows: int = 4096
) -> Iterator[pa.RecordBatch]:
    """The rows of Parquet shards, in order, at most `n_rows` and a row group at a time, so that memory is bounded.

    Raises StoreError on a damaged shard.
    """
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    yield from file.iter_batches(n_rows, row_groups=[group], columns=columns and list(columns))
        except (pa.ArrowInvalid, OSError) as error:
            raise StoreError(
                f"{path}: not a readable Parquet shard ({error}); remove its folder and run again"
            ) from error


@dataclass(slots=True)
class Outputs:
    """What one task writes: files below its stage's folder, and counts of what happened to its documents."""

    folder: Path
    index: int
    attempt: int = 0
    """How often a worker died under this task before."""
    counts: Counter[str] = field(default_factory=Counter)
    is_partial: bool = False
    """Set by a task that left something out because of a guard; the run then ends as partial."""
    _files: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"part-{self.index:05d}"

    @contextmanager
    def parquet(
        self, dataset: str, schema: pa.Schema, *, partition: int | None = None, level: int = FAST
    ) -> Iterator[ParquetShard]:
        """This task's Parquet shard of `dataset`, or of one partition of it."""
        with parquet_shard(self._path(dataset, ".parquet", partition), schema, level) as shard:
            yield shard

    @contextmanager
    def arrow(self, dataset: str, schema: pa.Schema) -> Iterator[pa.RecordBatchFileWriter]:
        """This task's file of `dataset` as Arrow IPC, not compressed: for what is mapped later."""
        with (
            whole_file(self._path(dataset, ".arrow", None)) as part,
            pa.OSFile(str(part), "wb") as file,
            pa.ipc.new_file(file, schema) as writer,
        ):
            yield writer

    @contextmanager
    def file(self, dataset: str, suffix: str) -> Iterator[Path]:
        """This task's file of `dataset` in a format of its own."""
        with whole_file(self._path(dataset, suffix, None)) as part:
            yield part

    def _path(self, dataset: str, suffix: str, partition: int | None) -> Path:
        below = dataset if partition is None else f"{dataset}/partition={partition:05d}"
        name = f"{below}/{self.name}{suffix}"
        self._files.append(name)
        return self.folder / name

    def commit(self, key: str) -> Done:
        """Write the record that says that the task is done."""
        files = tuple(
            FileRecord(name, (self.folder / name).stat().st_size, file_hash(self.folder / name)) for name in self._files
        )
        done = Done(key, self.index, files, dict(sorted(self.counts.items())), self.is_partial)
        write_json(done_path(self.folder, self.index), done)
        return done


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of a finished task: name below the stage's folder, bytes, hash of its bytes."""

    name: str
    n_bytes: int
    content: str

    @property
    def dataset(self) -> str:
        return self.name.split("/", 1)[0]

    @property
    def partition(self) -> int | None:
        for step in self.name.split("/"):
            if step.startswith("partition="):
                return int(step.removeprefix("partition="))
        return None


@dataclass(frozen=True, slots=True)
class Done:
    """That a task is done: its key, its files, its counts."""

    key: str
    index: int
    files: tuple[FileRecord, ...]
    counts: dict[str, int]
    is_partial: bool = False


def done_path(folder: Path, index: int) -> Path:
    return folder / "_done" / f"{index:05d}.json"


def read_done(path: Path) -> Done | None:
    """The record at `path`, or None if there is none or if one of its files is gone or has another size."""
    if not path.exists():
        return None
    value = read_json(path)
    files = tuple(FileRecord(**file) for file in value["files"])
    folder = path.parent.parent
    for file in files:
        where = folder / file.name
        if not where.exists() or where.stat().st_size != file.n_bytes:
            return None
    return Done(value["key"], value["index"], files, value["counts"], value["is_partial"])


def adopt(done: Done, old_folder: Path, folder: Path, index: int) -> Done:
    """Make a task's output in `old_folder` that of task `index` in `folder`."""
    files = []
    for file in done.files:
        name = file.name.replace(f"part-{done.index:05d}", f"part-{index:05d}")
        link_or_copy(old_folder / file.name, folder / name)
        files.append(FileRecord(name, file.n_bytes, file.content))
    adopted = Done(done.key, index, tuple(files), done.counts, done.is_partial)
    write_json(done_path(folder, index), adopted)
    return adopted


def link_or_copy(file: Path, target: Path) -> None:
    """Give a file that never changes a second name, by a hard link where the disk has them.

    What had that name before is replaced as a whole.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        os.link(file, part)
    except OSError:
        shutil.copyfile(file, part)
    part.replace(target)
    part.unlink(missing_ok=True)  # two names of one file stay two when one becomes the other


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of attempts that were killed. Only while the run's lock is held."""
    for part in folder.rglob(".*.part"):
        part.unlink(missing_ok=True)

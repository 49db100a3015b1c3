from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from datassay.corpus.errors import StoreError
from datassay.corpus.shuffle import covering_partitions, n_partitions_of, read_partition, shuffle_file
from datassay.corpus.store import Outputs

SCHEMA = pa.schema([pa.field("number", pa.int64(), nullable=False), pa.field("words", pa.list_(pa.string()))])


def write(folder: Path, n_partitions: int, *rounds: list[int]) -> Path:
    """A file with these numbers, each in the partition of its remainder."""
    out = Outputs(folder, 0)
    with shuffle_file(out, "numbers", SCHEMA, n_partitions) as file:
        for numbers in rounds:
            words = pa.array([[str(number)] * (number % 3) for number in numbers], pa.list_(pa.string()))
            file.write_round([pa.array(numbers, pa.int64()), words], np.array(numbers, np.int64) % n_partitions)
    return folder / "numbers" / "part-00000.arrow"


def read(path: Path, partition: int) -> list[list[int]]:
    return [batch["number"].to_pylist() for batch in read_partition(path, partition)]


def test_a_partition_is_a_batch_of_each_round_in_the_order_written(tmp_path: Path) -> None:
    path = write(tmp_path, 3, [5, 1, 2, 4, 8], [], [3])
    assert read(path, 0) == [[], [], [3]]
    assert read(path, 1) == [[1, 4], [], []]
    assert read(path, 2) == [[5, 2, 8], [], []]
    assert n_partitions_of(path) == 3
    assert next(read_partition(path, 2))["words"].to_pylist() == [["5", "5"], ["2", "2"], ["8", "8"]]


@pytest.mark.parametrize("n_partitions", [1, 2])
def test_no_round_at_all(tmp_path: Path, n_partitions: int) -> None:
    assert read(write(tmp_path, n_partitions), n_partitions - 1) == []


def test_more_partitions_than_16_bits_count(tmp_path: Path) -> None:
    path = write(tmp_path, 70_000, [65_537, 1, 69_999])
    assert read(path, 1) == [[1]]
    assert read(path, 65_537) == [[65_537]]


@pytest.mark.parametrize(
    ("have", "partition", "of", "covering"),
    [(8, 3, 8, [3]), (8, 1, 2, [4, 5, 6, 7]), (2, 5, 8, [1]), (1, 7, 8, [0]), (4, 0, 1, [0, 1, 2, 3])],
)
def test_files_of_other_numbers_of_partitions(
    tmp_path: Path, have: int, partition: int, of: int, covering: list[int]
) -> None:
    assert list(covering_partitions(write(tmp_path, have, [1]), partition, of)) == covering


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, 2, [1, 2, 3])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match=r"part-00000.arrow: not a readable Arrow file .*run again"):
        read(path, 0)

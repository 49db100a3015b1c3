"""A file shuffle with one file a task: rounds of as many record batches as there are partitions.

A task writes its rows in rounds, each of them with one batch, be it empty, for every partition. So a task needs no open
file for each partition, a thousand tasks and a thousand partitions are a thousand files, and a reader finds its batches
by their number. Files are Arrow IPC, not compressed, and mapped: what is read is a view.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datassay.corpus.errors import StoreError
from datassay.corpus.store import Outputs

_PARTITIONS = b"partitions"
"""Key of the number of partitions in a file's metadata."""


@dataclass(frozen=True, slots=True)
class ShuffleFile:
    """A file of rounds in the making."""

    schema: pa.Schema
    n_partitions: int
    _writer: Any

    def write_round(self, columns: Sequence[Any], partitions: NDArray[np.integer]) -> None:
        """Write rows, in any order; within a partition they keep it.

        columns:    arrays of the schema's types, (rows,) each
        partitions: (rows,), below n_partitions
        """
        batch = pa.record_batch(list(columns), schema=self.schema)
        bounds = [0, len(partitions)]
        if self.n_partitions > 1:
            kind = np.uint16 if self.n_partitions < 1 << 16 else np.uint32  # of 16 bits they are sorted by counting
            order = np.argsort(partitions.astype(kind), kind="stable")
            bounds = np.searchsorted(partitions, np.arange(self.n_partitions + 1), sorter=order).tolist()
            batch = batch.take(pa.array(order))
        for start, end in pairwise(bounds):
            self._writer.write_batch(batch.slice(start, end - start))


@contextmanager
def shuffle_file(out: Outputs, dataset: str, schema: pa.Schema, n_partitions: int) -> Iterator[ShuffleFile]:
    """This task's file of a shuffled dataset."""
    stated = schema.with_metadata({_PARTITIONS: str(n_partitions).encode()})
    with out.arrow(dataset, stated) as writer:
        yield ShuffleFile(stated, n_partitions, writer)


def read_partition(path: Path, partition: int) -> Iterator[pa.RecordBatch]:
    """What one task wrote for one partition, a batch a round, mapped. Raises StoreError if the file is damaged."""
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        n_partitions = int(reader.schema.metadata[_PARTITIONS])
        for number in range(partition, reader.num_record_batches, n_partitions):
            yield reader.get_batch(number)
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(f"{path}: not a readable Arrow file ({error}); remove its folder and run again") from error


def n_partitions_of(path: Path) -> int:
    """How many partitions a file's rounds have."""
    with pa.memory_map(str(path)) as source:
        return int(pa.ipc.open_file(source).schema.metadata[_PARTITIONS])


def partition_of(keys: NDArray[np.uint64], n_partitions: int) -> NDArray[np.int64]:
    """The partition of each key, (rows,): its upper bits.

    n_partitions: a power of two
    """
    n_bits = n_partitions.bit_length() - 1
    return (keys >> np.uint64(64 - n_bits)).astype(np.int64) if n_bits else np.zeros(len(keys), np.int64)


def covering_partitions(path: Path, partition: int, n_partitions: int) -> range:
    """The partitions of a file that hold what is in one of `n_partitions`, where rows lie by the upper bits of a hash.

    Both numbers are powers of two. Where the file has fewer, its one partition holds more than is asked for.
    """
    have = n_partitions_of(path)
    if have < n_partitions:
        one = partition * have // n_partitions
        return range(one, one + 1)
    share = have // n_partitions
    return range(partition * share, (partition + 1) * share)

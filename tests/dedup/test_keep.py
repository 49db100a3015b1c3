"""What stays of documents that are read in batches."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.corpus.schema import document_ids
from datassay.corpus.store import Outputs
from datassay.dedup.keep import DUPLICATE, MEMBER, write_choice


def document(row: int) -> dict[str, object]:
    return {"id": document_ids("a.parquet", [row])[0].as_py(), "file": "a.parquet", "row": row, "source_id": f"s{row}"}


@pytest.mark.parametrize("batch_rows", [1, 2, 3, 10])
@pytest.mark.parametrize("dropped", [[], [0], [9], [2, 3, 4], [0, 1, 5, 8, 9], list(range(10))])
def test_the_rest_stays_however_documents_come_in_batches(dropped: list[int], batch_rows: int, tmp_path: Path) -> None:
    documents = pa.Table.from_pylist([document(row) for row in range(10)], schema=MEMBER)
    of_kept = {"kept_for": "x", "kept_file": "b.parquet", "kept_row": 0, "cluster": "c", "kind": "near"}
    duplicates = pa.Table.from_pylist([{**document(row), **of_kept} for row in dropped], schema=DUPLICATE)
    out = Outputs(tmp_path, 0)
    write_choice(duplicates, iter(documents.to_batches(max_chunksize=batch_rows)), out)
    kept = pq.read_table(tmp_path / "kept" / "part-00000.parquet")
    assert kept["row"].to_pylist() == [row for row in range(10) if row not in dropped]
    assert (out.counts["documents"], out.counts["kept"]) == (10, 10 - len(dropped))

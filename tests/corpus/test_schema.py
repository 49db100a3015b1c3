from __future__ import annotations

from datassay.corpus.schema import document_id, document_ids


def test_ids_of_many_documents_are_those_of_each() -> None:
    rows = [0, 7, 10**12]
    assert document_ids("a/b.parquet", rows).to_pylist() == [document_id("a/b.parquet", row) for row in rows]
    assert document_ids("a/b.parquet", []).to_pylist() == []

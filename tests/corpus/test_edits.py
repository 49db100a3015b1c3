"""Edits: what overlaps becomes one span, and what is applied is what was recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datassay.corpus.edits import EDIT, Editor, edited, merge

Span = tuple[int, int, int, str]
"""(document, start, end, replacement)"""


def table(spans: list[Span]) -> tuple[np.ndarray, pa.Table]:
    rows = [
        {"id": f"d{document}", "start": start, "end": end, "rule": f"r{i}", "replacement": replacement}
        for i, (document, start, end, replacement) in enumerate(spans)
    ]
    return np.array([span[0] for span in spans], np.int64), pa.Table.from_pylist(rows, EDIT)


def merged(spans: list[Span]) -> list[tuple[int, int, int, str, str]]:
    documents, found = merge(*table(spans))
    assert found.schema == EDIT
    columns = (found[name].to_pylist() for name in ("start", "end", "rule", "replacement"))
    return list(zip(documents.tolist(), *columns, strict=True))


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], []),
        ([(0, 3, 5, "x")], [(0, 3, 5, "r0", "x")]),
        ([(0, 3, 3, "x")], []),  # nothing is cut
        ([(0, 3, 5, ""), (0, 5, 7, "")], [(0, 3, 5, "r0", ""), (0, 5, 7, "r1", "")]),  # side by side is not overlapping
        ([(0, 3, 6, ""), (0, 5, 7, "")], [(0, 3, 7, "r0", "")]),
        ([(0, 5, 9, "<mail>"), (0, 0, 20, "")], [(0, 0, 20, "r1", "")]),  # an address goes with its line
        ([(0, 0, 9, "a"), (0, 8, 12, "b"), (0, 11, 15, "c")], [(0, 0, 15, "r0", "a")]),  # a chain
        ([(1, 0, 4, ""), (0, 0, 4, "")], [(0, 0, 4, "r1", ""), (1, 0, 4, "r0", "")]),  # sorted by document
        ([(0, 0, 4, "a"), (0, 0, 4, "b")], [(0, 0, 4, "r0", "a")]),  # of equals the first that was given
    ],
)
def test_merge(spans: list[Span], expected: list[tuple[int, int, int, str, str]]) -> None:
    assert merged(spans) == expected


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 20), st.integers(0, 8), st.sampled_from(["", "x"])).map(
            lambda span: (span[0], span[1], span[1] + span[2], span[3])
        ),
        max_size=12,
    )
)
def test_merge_covers_the_same_characters_once(spans: list[Span]) -> None:
    found = merged(spans)
    for document in range(4):
        covered = {c for d, start, end, _ in spans for c in range(start, end) if d == document}
        places = [c for d, start, end, *_ in found for c in range(start, end) if d == document]
        assert len(places) == len(set(places))
        assert set(places) == covered
    assert found == sorted(found, key=lambda span: span[:2])


@pytest.mark.parametrize(
    ("text", "spans", "expected"),
    [
        (" as it is\n", [], " as it is\n"),
        ("a b c", [(2, 4, "")], "a c"),
        ("mail me@x.org now", [(5, 13, "<email>")], "mail <email> now"),
        ("first\nsecond\n", [(0, 6, "")], "second"),
        ("first\nsecond\n", [(6, 13, "")], "first"),
        ("gone", [(0, 4, "")], ""),
        ("世界👋 end", [(2, 3, "")], "世界 end"),  # places are characters, not bytes
    ],
)
def test_edited(text: str, spans: list[tuple[int, int, str]], expected: str) -> None:
    assert edited(text, spans) == expected


def test_editor_edits_any_batch_of_its_shard(tmp_path: Path) -> None:
    _, edits = table([(0, 0, 2, ""), (2, 1, 2, "-"), (2, 3, 4, "+"), (5, 0, 1, "")])
    pq.write_table(edits, tmp_path / "edits.parquet")
    texts = pa.record_batch(
        {"id": [f"d{i}" for i in range(6)], "text": pa.array(["abcde"] * 6, pa.large_string()), "n": list(range(6))}
    )
    expected = ["cde", "abcde", "a-c+e", "abcde", "abcde", "bcde"]
    for size in (1, 2, 6):
        editor = Editor.of_files([tmp_path / "edits.parquet"])
        found = [editor.apply(texts.slice(start, size)) for start in range(0, 6, size)]
        assert [text for batch, _ in found for text in batch["text"].to_pylist()] == expected
        assert sum(n for _, n in found) == 3
        assert all(batch.schema == texts.schema for batch, _ in found)
    kept = texts.take(pa.array([2, 4, 5]))  # others were dropped
    assert Editor.of_files([tmp_path / "edits.parquet"]).apply(kept)[0]["text"].to_pylist() == [
        "a-c+e",
        "abcde",
        "bcde",
    ]
    assert Editor.of_files([]).apply(texts) == (texts, 0)

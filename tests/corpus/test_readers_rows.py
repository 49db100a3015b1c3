"""Rows, text and HTML files become records with their text, what is known of it, and all the rest as metadata."""

from __future__ import annotations

import datetime
import gzip
from collections.abc import Mapping
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from datassay.corpus.errors import InputError, RecipeError
from datassay.corpus.readers import read_records
from datassay.corpus.records import InputFile, Record


def read(path: Path, fields: Mapping[str, str] | None = None) -> list[Record]:
    return list(read_records(InputFile(str(path), path.name, path.stat().st_size, ""), fields=fields or {}))


def json_lines(path: Path, *rows: object) -> Path:
    content = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    compress = {".gz": gzip.compress, ".zst": zstandard.compress}.get(path.suffix, bytes)
    path.write_bytes(compress(content))
    return path


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_json_lines(tmp_path: Path, suffix: str) -> None:
    path = json_lines(tmp_path / f"a.jsonl{suffix}", {"text": "one\u2028two"}, {"text": "three"})
    assert [(record.offset, record.text) for record in read(path)] == [(0, "one\u2028two"), (1, "three")]


@pytest.mark.parametrize(
    ("row", "metadata"),
    [
        ({"id": "7", "text": "t", "url": "u", "timestamp": "2019"}, {}),  # C4
        (
            {"id": "7", "text": "t", "source": "cc", "created": "2019", "metadata": {"url": "u", "lang": {"en": 1.0}}},
            {"source": "cc", "url": "u", "lang": {"en": 1.0}},
        ),  # dolma
        ({"text": "t", "id": "7", "metadata": {"url": "u", "date": "2019"}}, {"url": "u", "date": "2019"}),  # datatrove
        (
            {"id": "7", "text": "t", "url": "u", "date": "2019", "a": 1, "metadata": {"a": 2}},
            {"a": 1, "metadata": {"a": 2}},  # nothing is overwritten
        ),
    ],
)
def test_published_shapes_of_rows(tmp_path: Path, row: object, metadata: object) -> None:
    (record,) = read(json_lines(tmp_path / "a.jsonl", row))
    assert (record.text, record.url, record.date, record.source_id) == ("t", "u", "2019", "7")
    assert record.metadata == metadata


def test_field_map(tmp_path: Path) -> None:
    path = json_lines(tmp_path / "a.jsonl", {"content": "c", "text": "t", "uid": 5})
    (record,) = read(path, {"text": "content", "source_id": "uid"})
    assert (record.text, record.source_id, record.metadata) == ("c", "5", {"text": "t"})


def test_a_bad_row_is_quarantined(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a"}\n{"text": \n[1]\n{"x": 1}\n\n{"text": "b \\ud800", "x": NaN}')
    records = read(path)
    assert [(r.offset, r.outcome, r.reason) for r in records] == [
        (0, "page", None),
        (1, "quarantine", "not_json"),
        (2, "quarantine", "not_an_object"),
        (3, "quarantine", "no_text"),
        (5, "page", None),
    ]
    assert records[-1].text == "b \ufffd"


def test_a_file_without_texts_names_its_fields(tmp_path: Path) -> None:
    path = json_lines(tmp_path / "a.jsonl", {"content": "c"}, {"body": "b"})
    with pytest.raises(InputError, match=r"a\.jsonl: no text: the fields are content, body; .*fields = "):
        read(path)


def test_a_cut_compressed_file_keeps_its_lines(tmp_path: Path) -> None:
    path = json_lines(tmp_path / "a.jsonl.gz", *({"text": str(i) * 50} for i in range(2000)))
    path.write_bytes(path.read_bytes()[:-20])
    *lines, last = read(path)
    assert len(lines) > 100
    assert all(record.outcome == "page" for record in lines)
    assert (last.offset, last.reason, last.is_damaged) == (len(lines), "truncated_member", True)


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    when = datetime.datetime(2020, 1, 2)
    table = pa.table({"text": ["a", None, "c"], "date": [when] * 3, "raw": [b"x"] * 3, "n": [[1], [2], [3]]})
    pq.write_table(table, path, row_group_size=2)
    first, second, third = read(path)
    assert (first.text, first.date, first.metadata) == ("a", "2020-01-02T00:00:00", {"raw": "x", "n": [1]})
    assert (second.reason, second.is_damaged) == ("no_text", True)
    assert (third.offset, third.text) == (2, "c")


def test_parquet_without_the_column_names_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"content": ["a"], "n": [1]}), path)
    with pytest.raises(InputError, match=r"a\.parquet: no text: the fields are content, n;"):
        read(path)
    with pytest.raises(InputError, match=r"a\.parquet: no column 'body' for 'text', only content, n"):
        read(path, {"text": "body"})
    assert [record.text for record in read(path, {"text": "content"})] == ["a"]


@pytest.mark.parametrize("new", [pa.ipc.new_stream, pa.ipc.new_file])
def test_arrow(tmp_path: Path, new: object) -> None:
    table = pa.table({"text": [f"t{i}" for i in range(2500)]})
    path = tmp_path / "a.arrow"
    with path.open("wb") as file, new(file, table.schema) as writer:  # type: ignore[operator]
        writer.write_table(table, max_chunksize=2000)
    assert [(r.offset, r.text) for r in read(path)] == [(i, f"t{i}") for i in range(2500)]


def test_text_and_html_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Größe".encode("cp1252") * 9)
    (tmp_path / "a.html").write_bytes(b"<p>x")
    (tmp_path / "b.xhtml.gz").write_bytes(gzip.compress(b"<p>y", mtime=0))
    assert read(tmp_path / "a.txt")[0].text == "Größe" * 9
    assert read(tmp_path / "a.html")[0].html == b"<p>x"
    assert read(tmp_path / "b.xhtml.gz")[0].html == b"<p>y"


def test_content_wins_over_the_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    pq.write_table(pa.table({"text": ["a"]}), path)
    assert read(path)[0].text == "a"
    unnamed = json_lines(tmp_path / "part-0", {"text": "b"})
    assert read(unnamed)[0].text == "b"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.bin", b"\x01\x02\x03", r"a\.bin: unknown format; it should be one of \.warc"),
        ("a.parquet", b"hello", r"a\.parquet: named like a parquet file but is none"),
        ("a.parquet.gz", gzip.compress(b"PAR1", mtime=0), r"compressed as a whole; decompress it"),
        ("a.parquet", b"PAR1" * 9, r"a\.parquet: not a readable Parquet file"),
    ],
)
def test_unreadable_files_stop_with_a_message(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path / name)


def test_an_empty_file_is_accounted_for(tmp_path: Path) -> None:
    (tmp_path / "a.warc.gz").touch()
    assert [(r.outcome, r.reason) for r in read(tmp_path / "a.warc.gz")] == [("quarantine", "empty_file")]


def test_an_unknown_field_is_an_error(tmp_path: Path) -> None:
    path = json_lines(tmp_path / "a.jsonl", {"text": "a"})
    with pytest.raises(RecipeError, match="no field txt, only text, source_id, url, date"):
        read(path, {"txt": "text"})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.txt: cannot be opened"):
        list(read_records(InputFile(str(tmp_path / "gone.txt"), "gone.txt", 5, ""), fields={}))

"""Every byte of an archive is in a whole record or in quarantine, whatever was done to it."""

from __future__ import annotations

import gzip
import io
import random
import zlib
from functools import cache
from pathlib import Path

import orjson
import pytest
import zstandard
from fastwarc.stream_io import BrotliWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from datassay.corpus.readers import read_records
from datassay.corpus.records import InputFile, Record

# warcio leaves its temporary files to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PAGE = b"<!DOCTYPE html><html><body><p>Gold is where you find it.</p></body></html>"


def read(path: Path) -> list[Record]:
    return list(read_records(InputFile(str(path), path.name, path.stat().st_size, ""), fields={}))


def assert_tiled(records: list[Record], n_bytes: int) -> None:
    position = 0
    for record in records:
        assert record.offset == position
        assert record.length is not None
        assert record.length > 0
        position += record.length
    assert position == n_bytes


def http_record(
    writer: WARCWriter, url: str, body: bytes, headers: list[tuple[str, str]], *, status: str = "200 OK"
) -> None:
    """Append a response record whose body is exactly `body`."""
    http = StatusAndHeaders(status, headers, protocol="HTTP/1.1")
    writer.write_record(writer.create_warc_record(url, "response", payload=io.BytesIO(body), http_headers=http))


@cache
def members(n: int, *, seed: int = 0) -> list[bytes]:
    """`n` gzip members of one WARC record each, with bodies of random length."""
    chance = random.Random(seed)
    made = []
    for i in range(n):
        out = io.BytesIO()
        body = PAGE + chance.randbytes(chance.randrange(600)).hex().encode()
        http_record(WARCWriter(out, gzip=True), f"http://example.org/{i}", body, [("Content-Type", "text/html")])
        made.append(out.getvalue())
    return made


def write(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join(parts))
    return path


def one_page(tmp_path: Path, body: bytes, headers: list[tuple[str, str]], *, status: str = "200 OK") -> Record:
    """The record that a response with this body and these headers becomes."""
    out = io.BytesIO()
    http_record(WARCWriter(out, gzip=True), "http://example.org/", body, headers, status=status)
    (record,) = read(write(tmp_path / "one.warc.gz", out.getvalue()))
    return record


def test_whole_archive(tmp_path: Path) -> None:
    parts = members(5)
    records = read(write(tmp_path / "a.warc.gz", *parts))
    assert [record.length for record in records] == [len(part) for part in parts]
    assert [record.url for record in records] == [f"http://example.org/{i}" for i in range(5)]
    assert all(record.html is not None and record.html.startswith(PAGE) for record in records)


@pytest.mark.parametrize("compress", [None, "zstd", "zstd-dictionary"])
def test_plain_and_zstd_have_the_same_records(tmp_path: Path, compress: str | None) -> None:
    plain = [gzip.decompress(part) for part in members(20)]
    if compress is None:
        path = write(tmp_path / "a.warc", *plain)
    elif compress == "zstd":
        path = write(tmp_path / "a.warc.zst", *map(zstandard.compress, plain))
    else:  # a dictionary for all frames lies in a skippable frame before them
        dictionary = zstandard.train_dictionary(1024, [part for part in plain for _ in range(10)])
        compressor = zstandard.ZstdCompressor(dict_data=dictionary)
        content = dictionary.as_bytes()
        frame = (0x184D2A5D).to_bytes(4, "little") + len(content).to_bytes(4, "little") + content
        path = write(tmp_path / "a.warc.zst", frame, *map(compressor.compress, plain))
    records = read(path)
    assert_tiled(records, path.stat().st_size)
    assert [record.url for record in records if not record.reason] == [f"http://example.org/{i}" for i in range(20)]


def test_rubbish_between_members(tmp_path: Path) -> None:
    first, second, third = members(3)
    path = write(tmp_path / "a.warc.gz", first, b"rubbish", second, third, b"\0" * 9)
    records = read(path)
    assert_tiled(records, path.stat().st_size)
    assert [(record.offset, record.length) for record in records if record.is_damaged] == [
        (len(first), 7),
        (path.stat().st_size - 9, 9),
    ]


@pytest.mark.parametrize("n_cut", [1, 4, 5, 8, 9, 100])  # within and before the eight bytes of the trailer
def test_a_cut_member_is_no_record(tmp_path: Path, n_cut: int) -> None:
    first, second = members(2)
    records = read(write(tmp_path / "a.warc.gz", first, second[:-n_cut]))
    assert [record.is_damaged for record in records] == [False, True]
    assert (records[1].offset, records[1].length) == (len(first), len(second) - n_cut)


def test_many_records_in_one_member_have_offsets_of_their_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.warc.gz", gzip.compress(b"".join(gzip.decompress(part) for part in members(4))))
    records = read(path)
    assert [record.offset for record in records] == [0, 1, 2, 3]
    assert_tiled(records, path.stat().st_size)


def test_magic_bytes_within_a_member(tmp_path: Path) -> None:
    """A page with a gzip file in it, stored without compression, so that the magic bytes show."""
    out = io.BytesIO()
    body = PAGE + gzip.compress(b"WARC/1.0\r\nnot a record", mtime=0)
    http_record(WARCWriter(out, gzip=False), "http://example.org/", body, [("Content-Type", "text/html")])
    record = gzip.compress(out.getvalue(), compresslevel=0)
    (one, two) = read(write(tmp_path / "a.warc.gz", record, *members(1)))
    assert (one.length, one.html) == (len(record), body)
    assert two.outcome == "page"


@pytest.mark.parametrize(("stated", "n_damaged"), [(-1, 1), (0, 0), (+9, 1)])
def test_content_length_is_checked(tmp_path: Path, stated: int, n_damaged: int) -> None:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + PAGE
    head = f"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: {len(block) + stated}\r\n\r\n".encode()
    good = head.replace(str(len(block) + stated).encode(), str(len(block)).encode()) + block + b"\r\n\r\n"
    path = write(tmp_path / "a.warc", head + block + b"\r\n\r\n", good)
    records = read(path)
    assert_tiled(records, path.stat().st_size)
    assert sum(record.is_damaged for record in records) == n_damaged
    assert records[-1].html == PAGE


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["flip", "cut", "insert"]), suffix=st.sampled_from(["gz", "zst", "plain"]))
def test_damage_costs_the_damaged_member_alone(tmp_path: Path, data: st.DataObject, kind: str, suffix: str) -> None:
    parts = members(6)
    if suffix != "gz":
        parts = [gzip.decompress(part) for part in parts]
    if suffix == "zst":
        parts = [zstandard.ZstdCompressor(write_checksum=True).compress(part) for part in parts]
    hurt = data.draw(st.integers(0, len(parts) - 1))
    victim = parts[hurt]
    at = data.draw(st.integers(0, len(victim) - 1))
    n = data.draw(st.integers(1, min(40, len(victim) - at)))
    middle = {
        "flip": bytes(b ^ 0xFF for b in victim[at : at + n]),
        "cut": b"",
        "insert": b"\x55" * n + victim[at : at + n],
    }
    changed = victim[:at] + middle[kind] + victim[at + n :]
    name = {"gz": "a.warc.gz", "zst": "a.warc.zst", "plain": "a.warc"}[suffix]
    path = write(tmp_path / name, *parts[:hurt], changed, *parts[hurt + 1 :])
    records = read(path)
    assert_tiled(records, path.stat().st_size)
    whole = {record.url for record in records if not record.is_damaged}
    assert {f"http://example.org/{i}" for i in range(len(parts)) if i != hurt} <= whole


def brotli(content: bytes) -> bytes:
    """`content` in Brotli."""
    out = io.BytesIO()
    writer = BrotliWriter(out)
    writer.write(content)
    writer.close()
    return out.getvalue()


CHUNKED = b"b\r\n<html><body\r\n3;x=y\r\n>Hi\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("body", "headers", "html"),
    [
        (CHUNKED, [("Transfer-Encoding", "chunked")], b"<html><body>Hi"),
        (
            b"b\r\n<html><body\r\nzz\r\n>Hi",
            [("Transfer-Encoding", "chunked")],
            b"<html><body\r\nzz\r\n>Hi",
        ),  # breaks off
        (PAGE, [("Transfer-Encoding", "chunked")], PAGE),  # lies
        (gzip.compress(PAGE, mtime=0), [("Content-Encoding", "gzip")], PAGE),
        (PAGE, [("Content-Encoding", "gzip")], PAGE),  # lies
        (zstandard.compress(PAGE), [("Content-Encoding", "zstd")], PAGE),
        (brotli(PAGE), [("Content-Encoding", "br")], PAGE),
        (PAGE, [("Content-Encoding", "br")], PAGE),  # lies
        (zlib.compress(PAGE), [("Content-Encoding", "deflate")], PAGE),
        (zlib.compress(PAGE)[2:-4], [("Content-Encoding", "deflate")], PAGE),  # without header and check sum
        (PAGE, [("Content-Encoding", "deflate")], PAGE),  # lies
    ],
)
def test_encodings_of_bodies(tmp_path: Path, body: bytes, headers: list[tuple[str, str]], html: bytes) -> None:
    assert one_page(tmp_path, body, [("Content-Type", "text/html"), *headers]).html == html


@pytest.mark.parametrize(
    ("status", "mime", "body", "reason"),
    [
        ("200 OK", "text/html", PAGE, None),
        ("200 OK", "TEXT/HTML; charset=x", PAGE, None),
        ("200 OK", "", PAGE, None),  # what it is shows
        ("200 OK", "application/octet-stream", b"\n <!-- x --> <HTML>", None),
        ("200 OK", "text/plain", b"plain words", None),
        ("200 OK", "image/png", b"\x89PNG\r\n", "not_html"),
        ("200 OK", "text/html", b"\x89PNG\r\n", "not_html"),
        ("200 OK", "application/rss+xml", b"<rss>", "not_html"),
        ("200 OK", "", b"words", "not_html"),
        ("200 OK", "text/html", b" \r\n", "no_body"),
        ("301 Moved", "text/html", PAGE, "redirect_301"),
        ("404 Not Found", "text/html", PAGE, "status_404"),
    ],
)
def test_which_responses_are_pages(tmp_path: Path, status: str, mime: str, body: bytes, reason: str | None) -> None:
    record = one_page(tmp_path, body, [("Content-Type", mime)] if mime else [], status=status)
    assert (record.reason, record.is_damaged) == (reason, False)


@pytest.mark.parametrize("kind", ["warcinfo", "request", "metadata", "revisit"])
def test_other_types_are_skipped_by_name(tmp_path: Path, kind: str) -> None:
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nContent-Length: 2\r\n\r\nab\r\n\r\n"
    (record,) = read(write(tmp_path / "a.warc", head.encode()))
    assert (record.outcome, record.reason) == ("skipped", kind)


def test_wet(tmp_path: Path) -> None:
    text = "Größe\n"
    head = (
        "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: <http://example.org/>\r\nWARC-Date: 2024-05-01T00:00:00Z"
        f"\r\nWARC-Record-ID: <urn:x>\r\nContent-Type: text/plain\r\nContent-Length: {len(text.encode())}\r\n\r\n"
    )
    (record,) = read(write(tmp_path / "a.warc.wet.gz", gzip.compress(f"{head}{text}\r\n\r\n".encode())))
    assert (record.text, record.url, record.date) == (text, "http://example.org/", "2024-05-01T00:00:00Z")
    assert record.source_id == "<urn:x>"


@pytest.mark.parametrize("fields", [b"", b"200 - - 100 a.arc "])  # versions 1 and 2
def test_arc(tmp_path: Path, fields: bytes) -> None:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + PAGE
    version = b"1 0 Test\nURL IP-address Archive-date Content-type Archive-length\n\n"
    first = b"filedesc://a.arc 0.0.0.0 20140216050221 text/plain %d\n" % len(version) + version + b"\n"
    line = b"http://example.org/a b 93.184.216.119 20140216050221 text/html " + fields + b"%d\n" % len(block)
    path = write(tmp_path / "a.arc", first, line + block + b"\n", b"junk\n", line + block + b"\n")
    records = read(path)
    assert_tiled(records, path.stat().st_size)
    assert [record.reason for record in records] == ["warcinfo", None, "not_a_record", None]
    assert (records[1].url, records[1].date, records[1].html) == (
        "http://example.org/a b",
        "2014-02-16T05:02:21Z",
        PAGE,
    )


def test_too_long_a_record_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datassay.corpus.readers.warc.MAX_BLOCK_BYTES", 100)
    assert [record.reason for record in read(write(tmp_path / "a.warc.gz", *members(2)))] == ["too_large"] * 2


def truth(path: Path) -> list[dict[str, object]]:
    """The lines of a truth file."""
    content = path.read_bytes()
    content = zstandard.ZstdDecompressor().stream_reader(content).read() if path.suffix == ".zst" else content
    return [orjson.loads(line) for line in content.splitlines()]


def test_real_archive(shared: Path) -> None:
    rows = truth(shared / "web/dev-truth.jsonl")
    records = read(shared / "web/dev.warc.gz")
    assert len(records) == 581
    assert [(r.offset, r.length, r.source_id, r.url) for r in records] == [
        (row["offset"], row["length"], row["record_id"], row["url"]) for row in rows
    ]


def test_real_crawl(shared: Path) -> None:
    rows = truth(shared / "web/crawl-dev-truth.jsonl.zst")
    found = [
        (path.name, record.offset, record.length, record.source_id)
        for path in sorted((shared / "web").glob("crawl-dev-*.warc.gz"))
        for record in read(path)
    ]
    assert len(found) == 905
    assert found == [(row["file"], row["offset"], row["length"], row["record_id"]) for row in rows]


@pytest.mark.parametrize(
    ("name", "n_whole", "damaged"),
    [
        ("dev-truncated.warc.gz", 12, [12]),
        ("dev-corrupt.warc.gz", 12, [5]),
        ("dev-single-member.warc.gz", 8, []),
        ("dev-plain.warc", 8, []),
        ("dev-garbage.warc.gz", 6, [2]),
    ],
)
def test_real_damage(shared: Path, name: str, n_whole: int, damaged: list[int]) -> None:
    path = shared / "web" / name
    records = read(path)
    assert_tiled(records, path.stat().st_size)
    assert [i for i, record in enumerate(records) if record.is_damaged] == damaged
    assert len(records) - len(damaged) == n_whole
    if name == "dev-garbage.warc.gz":
        assert records[2].length == len(b"\r\n\r\nGARBAGE BETWEEN MEMBERS\r\n")

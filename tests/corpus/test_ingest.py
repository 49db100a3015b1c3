"""From files to documents: every record accounted for, the gate, repeated payloads, the same bytes each time."""

from __future__ import annotations

import gzip
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from xxhash import xxh3_128

from datassay.corpus.engine import Inputs
from datassay.corpus.extract import ExtractionLimits
from datassay.corpus.guard import GuardLimits
from datassay.corpus.ingest import IngestSettings, ingest, registered_domain
from datassay.corpus.page_extractor import ExtractSettings, Page, PageExtractor
from datassay.corpus.records import InputFile
from datassay.corpus.schema import DOCUMENT, RECORD, document_id
from datassay.corpus.stage import StagePlan, plan_tasks
from datassay.corpus.store import Outputs

ENGLISH = "The harbour was quiet that morning, and only the gulls were awake to see the first boat come in. "
GERMAN = "Der Hafen war an jenem Morgen still, und nur die Möwen waren wach und sahen das erste Boot einlaufen. "


def page(text: str, *, title: str = "A page") -> bytes:
    html = f"<html><head><title>{title}</title></head><body><article><p>{text}</p></article></body></html>"
    return html.encode()


def warc(path: Path, pages: list[tuple[str, bytes]], *, status: str = "200 OK") -> InputFile:
    """One gzip member for each response, as crawlers write them."""
    members = []
    for url, body in pages:
        block = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\n\r\n".encode() + body
        headers = f"WARC-Type: response\r\nWARC-Target-URI: {url}\r\nContent-Length: {len(block)}"
        record = f"WARC/1.0\r\n{headers}\r\nContent-Type: application/http\r\n\r\n".encode() + block + b"\r\n\r\n"
        members.append(gzip.compress(record, mtime=0))
    path.write_bytes(b"".join(members))
    return input_file(path)


def input_file(path: Path) -> InputFile:
    body = path.read_bytes()
    return InputFile(str(path), path.name, len(body), sha256(body).hexdigest())


def run(folder: Path, settings: IngestSettings) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Outputs]:
    out = Outputs(folder, 0)
    ingest(Inputs({}), settings, out)
    documents = pq.read_table(folder / "documents/part-00000.parquet")
    records = pq.read_table(folder / "records/part-00000.parquet")
    assert documents.schema.equals(DOCUMENT)
    assert records.schema.equals(RECORD)
    return documents.to_pylist(), records.to_pylist(), out


def test_page_becomes_a_document(tmp_path: Path) -> None:
    file = warc(tmp_path / "a.warc.gz", [("https://news.example.co.uk/x", page(ENGLISH * 3, title="Harbour"))])
    (document,), (record,), _ = run(tmp_path, IngestSettings(files=(file,)))
    assert document["text"] == (ENGLISH * 3).strip()
    assert document["id"] == document_id("a.warc.gz", 0) == record["id"]
    assert (document["url"], document["domain"]) == ("https://news.example.co.uk/x", "example.co.uk")
    assert (document["file"], document["offset"], document["source"]) == ("a.warc.gz", 0, "input")
    assert document["extractor"] == "datassay"
    stated = json.loads(document["metadata"])
    assert stated["title"] == "Harbour"
    assert 0 <= stated["extraction_doubt"] < 0.3
    assert (record["outcome"], record["reason"], record["length"]) == ("page", None, file.n_bytes)


def test_records_know_their_payload(tmp_path: Path) -> None:
    """The hash of the bytes of each page, one that gives no text too; a row that is text already has none."""
    bodies = [page(ENGLISH * 3), page(""), page(ENGLISH * 3)]
    file = warc(tmp_path / "a.warc.gz", [(f"http://a.example/{i}", body) for i, body in enumerate(bodies)])
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": ENGLISH}) + "\n")
    _, records, _ = run(tmp_path / "out", IngestSettings(files=(file, input_file(tmp_path / "b.jsonl"))))
    assert [record["payload_hash"] for record in records] == [*(xxh3_128(body).hexdigest() for body in bodies), None]
    assert records[0]["payload_hash"] == records[2]["payload_hash"] != records[1]["payload_hash"]


def test_every_record_is_accounted_for(tmp_path: Path) -> None:
    files = (
        warc(tmp_path / "a.warc.gz", [("http://a.example/", page(ENGLISH * 3)), ("http://b.example/", page(""))]),
        warc(tmp_path / "b.warc.gz", [("http://c.example/", page(ENGLISH * 3))], status="404 Not Found"),
    )
    broken = tmp_path / "c.warc.gz"
    broken.write_bytes((tmp_path / "a.warc.gz").read_bytes()[:-40])
    documents, records, out = run(tmp_path, IngestSettings(files=(*files, input_file(broken))))
    outcomes = [(record["file"], record["outcome"], record["reason"]) for record in records]
    assert outcomes[:3] == [
        ("a.warc.gz", "page", None),
        ("a.warc.gz", "skipped", "no_text"),
        ("b.warc.gz", "skipped", "status_404"),
    ]
    assert outcomes[-1][:2] == ("c.warc.gz", "quarantine")
    assert outcomes[-1][2]
    assert [record["id"] for record in records if record["id"]] == [document["id"] for document in documents]
    assert out.counts["records"] == len(records)
    assert out.counts["page"] + out.counts["skipped"] + out.counts["quarantine"] == len(records)
    assert out.counts["skipped_no_text"] == 1


def test_rows_keep_their_text_and_columns(tmp_path: Path) -> None:
    lines = [{"content": "One.", "url": "http://x.example.org/1", "likes": 3}, {"content": " \n "}]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    documents, records, _ = run(tmp_path, IngestSettings(files=(input_file(path),), fields={"text": "content"}))
    assert [(d["text"], d["extractor"], d["domain"]) for d in documents] == [("One.", None, "example.org")]
    assert json.loads(documents[0]["metadata"]) == {"likes": 3}
    assert [record["reason"] for record in records] == [None, "no_text"]


def test_gate(tmp_path: Path) -> None:
    file = warc(
        tmp_path / "a.warc.gz",
        [
            ("http://a.example/", page(ENGLISH * 4)),
            ("http://b.example/", page(GERMAN * 4)),
            ("http://c.example/", page(GERMAN)),  # 104 characters: too short to judge
        ],
    )
    settings = IngestSettings(files=(file,), keep_languages=("en",), extract=ExtractSettings(profile="quality"))
    documents, _, out = run(tmp_path, settings)
    assert [d["extractor"] for d in documents] == ["trafilatura", "datassay-gate", "trafilatura"]
    assert documents[1]["text"] == (GERMAN * 4).strip()
    assert (out.counts["extracted"], out.counts["gated"], out.counts["routed"]) == (3, 1, 2)


@pytest.mark.parametrize(
    "settings",
    [{"keep_languages": ("en", "de")}, {"keep_languages": ()}, {"keep_languages": ("en",), "gate": False}],
)
def test_gate_is_open(tmp_path: Path, settings: dict[str, Any]) -> None:
    file = warc(tmp_path / "a.warc.gz", [("http://b.example/", page(GERMAN * 4))])
    extract = ExtractSettings(profile="quality", gate=settings.get("gate", True))
    languages = settings["keep_languages"]
    (document,), _, _ = run(tmp_path, IngestSettings(files=(file,), keep_languages=languages, extract=extract))
    assert document["extractor"] == "trafilatura"


DOUBTFUL = "<html><body><div class=menu><a href=/>Home</a></div><div>{}</div></body></html>"
"""Neither long nor marked as anything: nobody can be sure."""


@pytest.mark.parametrize(("max_routed", "n_routed"), [(0.0, 0), (0.1, 1), (0.25, 2), (1.0, 4)])
def test_only_the_most_doubtful_pages_are_routed(tmp_path: Path, max_routed: float, n_routed: int) -> None:
    """Of ten pages four are doubtful; int(.25 * 10) = 2."""
    bodies = [page(ENGLISH * (i + 3)) for i in range(6)]
    bodies += [
        DOUBTFUL.format(f"{words} gulls").encode()
        for words in ("Harbour and", "Lighthouse and", "Night and", "Bread for")
    ]
    file = warc(tmp_path / "a.warc.gz", [(f"http://{i}.example/", body) for i, body in enumerate(bodies)])
    extract = ExtractSettings(max_routed=max_routed)
    documents, _, out = run(tmp_path, IngestSettings(files=(file,), extract=extract))
    doubts = [json.loads(document["metadata"])["extraction_doubt"] for document in documents]
    assert [doubt >= extract.min_doubt for doubt in doubts] == [False] * 6 + [True] * 4
    routed = [
        doubt for doubt, document in zip(doubts, documents, strict=True) if document["extractor"] == "trafilatura"
    ]
    assert out.counts["routed"] == len(routed) == n_routed
    assert sorted(routed) == sorted(doubts)[len(doubts) - n_routed :]


def test_share_of_routed_pages_is_of_all_so_far(tmp_path: Path) -> None:
    """Batches alone would be too small for a routed page: each file is a task's, and the room is carried over."""
    settings = ExtractSettings(max_routed=0.5)
    out = Outputs(tmp_path, 0)
    extractor = PageExtractor(settings, out)
    texts = [extractor([Page(DOUBTFUL.format(f"Harbour {i}, gulls and a boat").encode(), None)])[0] for i in range(4)]
    assert [found.extractor for found in texts] == ["datassay", "trafilatura", "datassay", "trafilatura"]


def test_same_payload_is_extracted_once(tmp_path: Path) -> None:
    pages = [("http://a.example/", page(ENGLISH * 3)), ("http://b.example/", page(ENGLISH * 3))]
    first, second = run(tmp_path, IngestSettings(files=(warc(tmp_path / "a.warc.gz", pages),)))[0]
    assert first["text"] == second["text"]
    assert first["id"] != second["id"]
    out = run(tmp_path, IngestSettings(files=(warc(tmp_path / "a.warc.gz", pages),)))[2]
    assert (out.counts["extracted"], out.counts["payload_repeats"]) == (1, 1)


def test_limits_are_reasons_and_leave_the_task_whole(tmp_path: Path) -> None:
    file = warc(
        tmp_path / "a.warc.gz", [("http://a.example/", page(ENGLISH * 30)), ("http://b.example/", page(ENGLISH))]
    )
    settings = IngestSettings(files=(file,), extract=ExtractSettings(limits=ExtractionLimits(max_bytes=1000)))
    documents, records, out = run(tmp_path, settings)
    assert [record["reason"] for record in records] == ["too_large", None]
    assert len(documents) == 1
    assert not out.is_partial


def test_guarded_page_makes_the_task_partial(tmp_path: Path) -> None:
    slow = b"<html><body>" + b"<p>word and word. " * 60_000
    file = warc(tmp_path / "a.warc.gz", [("http://a.example/", slow), ("http://b.example/", page(ENGLISH * 3))])
    guard = GuardLimits(max_seconds=0.05)
    settings = IngestSettings(files=(file,), extract=ExtractSettings(profile="quality", guard=guard))
    _, records, out = run(tmp_path, settings)
    assert [record["reason"] for record in records] == ["guarded", None]
    assert out.is_partial


def test_same_bytes_at_the_second_attempt_and_wherever_the_files_lie(tmp_path: Path) -> None:
    pages = [(f"http://{i}.example/", page(ENGLISH * (i + 2) + GERMAN * 3)) for i in range(4)]
    contents = []
    for attempt, name in enumerate(["one", "two"]):
        folder = tmp_path / name
        folder.mkdir()
        out = Outputs(folder, 0, attempt)  # at an attempt after the first, each page runs in a process of its own
        ingest(Inputs({}), IngestSettings(files=(warc(folder / "a.warc.gz", pages),), keep_languages=("en",)), out)
        contents.append([file.content for file in out.commit("key").files])
    assert contents[0] == contents[1]


def test_key_depends_on_content_and_not_on_place() -> None:
    def key(file: InputFile) -> str:
        plan = StagePlan("ingest", ingest, 1, (), [IngestSettings(files=(file,))])
        return plan_tasks(plan, {}, Path("run"))[0].key

    here = InputFile("/here/a.warc.gz", "a.warc.gz", 1, "00")
    assert key(here) == key(InputFile("s3://there/a.warc.gz", "a.warc.gz", 1, "00"))
    assert key(here) != key(InputFile("/here/a.warc.gz", "a.warc.gz", 1, "01"))
    assert key(here) != key(InputFile("/here/a.warc.gz", "b.warc.gz", 1, "00"))


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("http://www.example.co.uk/a?b#c", "example.co.uk"),
        ("https://example.com:8080", "example.com"),
        ("http://192.168.0.1/x", "192.168.0.1"),
        ("http://localhost/", "localhost"),
        ("http://bücher.example.de/", "example.de"),
        ("", None),
    ],
)
def test_registered_domain(url: str, domain: str | None) -> None:
    assert registered_domain(url) == domain


def test_awkward_archive(shared: Path, tmp_path: Path) -> None:
    """581 records with one of each awkward kind: all accounted for, and within bounded time."""
    settings = IngestSettings(files=(input_file(shared / "web/dev.warc.gz"),), extract=ExtractSettings(profile="fast"))
    documents, records, out = run(tmp_path, settings)
    assert len(records) == 581
    truth = [json.loads(line) for line in (shared / "web/dev-truth.jsonl").read_text().splitlines()]
    kinds = {line["record_id"]: line["kind"] for line in truth}
    reasons = {
        kinds[r["source_id"]]: r["reason"] for r in records if kinds.get(r["source_id"]) in ("deep_nesting", "huge")
    }
    assert reasons == {"deep_nesting": None, "huge": "too_large"}
    real = [r["outcome"] for r in records if kinds.get(r["source_id"]) == "page"]
    assert real.count("page") >= 0.98 * 327
    assert not out.is_partial
    assert pa.array([d["text"] for d in documents]).null_count == 0

"""Documents of one URL and pages of the same bytes: edges to the smallest id, beside those of texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash

from datassay.corpus.engine import Engine, InlineEngine, Inputs, LocalEngine, Task, run_task
from datassay.corpus.errors import StoreError
from datassay.corpus.readers import read_records
from datassay.corpus.records import InputFile
from datassay.corpus.schema import RECORD
from datassay.corpus.stage import StageOutput, run_stage
from datassay.corpus.store import Outputs, parquet_shard
from datassay.dedup import settings as settings_module
from datassay.dedup.keys import PayloadSettings, hash_payloads
from datassay.dedup.plan import PAIR_STAGES, plan_stage, stage_names
from datassay.dedup.settings import DedupSettings
from datassay.dedup.url_keys import UrlKeys, url_key

Document = tuple[str, str, str | None, bytes | None]
"""id, text, URL, payload"""
CLEAN = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("url", pa.string()),
    ]
)
BOTH = DedupSettings(minhash=None, url=UrlKeys(), payload=True)


def _write(inputs: Inputs, settings: Sequence[Document], out: Outputs) -> None:  # noqa: ARG001
    with out.parquet("clean", CLEAN) as clean:
        clean.write_rows([{"id": name, "text": text, "url": url} for name, text, url, _ in settings])
    with out.parquet("records", RECORD) as records:
        rows = [
            {
                "file": "f",
                "offset": i,
                "outcome": "page",
                "id": name,
                "payload_hash": payload and xxhash.xxh3_128_hexdigest(payload),
            }
            for i, (name, _, _, payload) in enumerate(settings)
        ]
        skipped = {"file": "f", "offset": 99, "outcome": "skipped", "payload_hash": xxhash.xxh3_128_hexdigest(b"<p>")}
        records.write_rows([*rows, skipped])


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., dict[str, StageOutput]]:
    """All stages over shards of documents."""

    def run_all(
        *shards: Sequence[Document],
        settings: DedupSettings = BOTH,
        engine: Engine | None = None,
        folder: str = "run",
    ) -> dict[str, StageOutput]:
        place = tmp_path / folder
        tasks = [Task(_write, Inputs({}), shard, place / "in", i, f"in {i}") for i, shard in enumerate(shards)]
        done = tuple(run_task(task) for task in tasks)
        finished = {name: StageOutput(name, place / "in", done) for name in ("clean", "extract")}
        for name in stage_names(settings):
            plan = plan_stage(name, settings, finished)
            finished[name] = run_stage(plan, finished, place, engine or InlineEngine())
        return finished

    return run_all


def pairs(finished: dict[str, StageOutput]) -> list[tuple[str, str, str, float | None]]:
    paths = [path for name in PAIR_STAGES if name in finished for path in finished[name].paths("pairs")]
    rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
    return sorted((row["a"], row["b"], row["kind"], row["similarity"]) for row in rows)


PAGES: tuple[Document, ...] = (
    ("d", "one", "http://a.com/x", b"<p>one"),
    ("a", "two", "https://www.a.com/x/?utm_source=f", b"<p>two"),
    ("c", "three", "http://a.com/x#top", None),
    ("b", "four", "http://a.com/y", b"<p>two"),
    ("f", "five", None, None),
    ("e", "six", None, None),
    ("h", "one", "n/a", b"<p>h"),
    ("g", "seven", "n/a", b"<p>g"),
)


def test_edges_are_stars_of_each_kind(run: Callable[..., dict[str, StageOutput]]) -> None:
    """Without URL or payload, and with what is no URL, a document is nobody's copy."""
    finished = run(PAGES)
    assert pairs(finished) == [
        ("a", "b", "payload", None),
        ("a", "c", "url", None),
        ("a", "d", "url", None),
        ("d", "h", "exact", 1.0),
    ]
    assert finished["url_keys"].counts == {"documents": 8, "without_url": 2, "not_web": 2}
    assert finished["payload_keys"].counts == {"documents": 8, "without_payload": 3}
    assert (finished["url_pairs"].counts["url_pairs"], finished["payload_pairs"].counts["payload_pairs"]) == (2, 1)


def test_a_pair_may_have_edges_of_several_kinds(run: Callable[..., dict[str, StageOutput]]) -> None:
    page = ("same text of both", "http://a.com/", b"<p>")
    found = pairs(run([("a", *page)], [("b", *page)]))
    assert [kind for _, _, kind, _ in found] == ["exact", "payload", "url"]


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        ({}, {"exact"}),
        ({"url": UrlKeys()}, {"exact", "url"}),
        ({"payload": True}, {"exact", "payload"}),
        ({"exact": False, "url": UrlKeys()}, {"url"}),
        ({"url": UrlKeys(ignore_parameters=())}, {"exact", "url"}),
    ],
)
def test_only_what_is_asked_for(
    run: Callable[..., dict[str, StageOutput]], settings: dict[str, object], kinds: set[str]
) -> None:
    found = pairs(run(PAGES, settings=DedupSettings.model_validate({"minhash": None, **settings})))
    assert {kind for _, _, kind, _ in found} == kinds


def test_settings_of_urls_reach_the_edges(run: Callable[..., dict[str, StageOutput]]) -> None:
    settings = DedupSettings(exact=False, minhash=None, url=UrlKeys(ignore_parameters=()))
    assert pairs(run(PAGES, settings=settings)) == [("c", "d", "url", None)]


@pytest.mark.parametrize("shards", [[()], [(), ()], [PAGES[:1]], [(PAGES[4],), ()]])
def test_nothing_to_join(run: Callable[..., dict[str, StageOutput]], shards: list[tuple[Document, ...]]) -> None:
    assert pairs(run(*shards)) == []


def test_shards_partitions_and_workers_do_not_matter(
    run: Callable[..., dict[str, StageOutput]], monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [
        (f"{i:03d}", f"text {i}", f"http://a.com/{i % 40}?utm_id={i}", f"<p>{i % 70}".encode()) for i in range(200)
    ]
    one = run(documents)
    assert len(pairs(one)) == 160 + 130
    monkeypatch.setattr(settings_module, "TEXT_PARTITION_ROWS", 32)
    with LocalEngine(2) as engine:
        many = run(documents[::2], documents[1::2], engine=engine, folder="many")
    assert len(many["url_pairs"].done) >= 4
    assert pairs(many) == pairs(one)
    again = run(documents[::2], documents[1::2], folder="again")
    assert many["url_pairs"].content == again["url_pairs"].content
    assert many["payload_pairs"].content == again["payload_pairs"].content


def test_records_of_older_versions_are_refused(tmp_path: Path) -> None:
    schema = RECORD.remove(RECORD.get_field_index("payload_hash"))
    with parquet_shard(tmp_path / "records", schema) as shard:
        shard.write_rows([{"file": "f", "offset": 0, "outcome": "page", "id": "a"}])
    inputs = Inputs({"records": (tmp_path / "records",)})
    with pytest.raises(StoreError, match="has no payload_hash"):
        hash_payloads(inputs, PayloadSettings(n_partitions=1), Outputs(tmp_path, 0))


def test_planted_copies_of_a_crawl(shared: Path) -> None:
    """The same bytes give the same payload; another visit gives the same URL, once the recipe names its parameter."""
    truth = [json.loads(line) for line in (shared / "web/dev-truth.jsonl").read_text().splitlines()]
    url_of = {row["record_id"]: row["url"] for row in truth}
    path = shared / "web/dev.warc.gz"
    file = InputFile(str(path), path.name, path.stat().st_size, "")
    payloads = {record.source_id: record.html for record in read_records(file, fields={}) if record.html}
    settings = UrlKeys(ignore_parameters=(*UrlKeys().ignore_parameters, "session"))
    n_visits = 0
    for row in truth:
        if row["kind"] in ("exact_dup", "near_dup"):
            name, original = row["record_id"], row["dup_of"]
            assert (payloads[name] == payloads[original]) == (row["kind"] == "exact_dup")
            is_visit = (
                row["url"].startswith(f"{url_of[original]}?utm_source=feed&session=") and row["url"].count("?") == 1
            )
            assert (url_key(row["url"], settings) == url_key(url_of[original], settings)) == is_visit
            n_visits += is_visit
    assert n_visits == 7

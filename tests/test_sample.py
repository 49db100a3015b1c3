"""The sample that ships with the project keeps what its README promises."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from warcio.archiveiterator import ArchiveIterator

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "examples" / "sample"
ARCHIVES = sorted(SAMPLE.glob("*.warc.gz"))
DOMAINS = {"books", "gov_web", "wiki", "textbook"}
LICENSES = {
    "CC0-1.0",
    "CC-BY-4.0",
    "CC-BY-SA-3.0",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "LGPL-2.1-or-later",
    "MPL-2.0",
    "PSF-2.0",
    "MIT",
    "Apache-2.0",
    "LicenseRef-public-domain",
}


def rows(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(SAMPLE / name).to_pylist()
    return found


def validation() -> list[dict[str, Any]]:
    return [row for domain in sorted(DOMAINS) for row in rows(f"validation/{domain}.parquet")]


def work(source: str) -> str:
    """Repository or package of a source; the guide for two machines is one work."""
    return source.split("@")[0].split(":")[0].removesuffix("-i386").removesuffix("-amd64")


def test_the_sample_is_small_and_has_work_for_several_workers() -> None:
    files = [path for path in SAMPLE.rglob("*") if path.suffix in {".gz", ".parquet"}]
    assert sum(path.stat().st_size for path in files) <= 8_000_000
    assert 4 <= len(ARCHIVES) <= 6


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.name)
def test_every_page_is_in_the_archives_as_the_truth_says(path: Path) -> None:
    expected = {row["url"] for row in rows("truth.parquet") if row["file"] == path.name}
    found, types = set(), Counter[str]()
    with path.open("rb") as file:
        for record in ArchiveIterator(file, check_digests=False):
            types[record.rec_type] += 1
            url = record.rec_headers["WARC-Target-URI"]
            if record.rec_type == "response" and record.http_headers and url in expected:
                assert record.http_headers.get_statuscode() == "200"
                found.add(url)
            record.content_stream().read()
    assert found == expected
    assert types["warcinfo"] == 1
    assert types["revisit"] and types["request"] and types["metadata"]


def test_a_legacy_page_decodes_in_its_encoding() -> None:
    legacy = {row["url"]: row["charset"] for row in rows("truth.parquet") if row["charset"] != "utf-8"}
    seen = 0
    for path in ARCHIVES:
        with path.open("rb") as file:
            for record in ArchiveIterator(file):
                url = record.rec_headers["WARC-Target-URI"]
                if record.rec_type == "response" and url in legacy:
                    record.content_stream().read().decode(legacy[url])
                    seen += 1
    assert seen == len(legacy) >= 40


def test_at_most_half_is_good_prose() -> None:
    truth = rows("truth.parquet")
    good = sum(row["n_prose_chars"] for row in truth)
    assert good >= 5_000_000
    assert good <= 0.5 * sum(row["n_chars"] for row in truth)
    assert all(row["copy_of"] is None for row in truth if row["good"])


def test_copies_name_a_page_of_the_sample() -> None:
    truth = rows("truth.parquet")
    urls = [row["url"] for row in truth]
    assert len(urls) == len(set(urls))
    copies = [row for row in truth if row["copy_of"]]
    assert {row["copy_of"] for row in copies} <= set(urls)
    assert {row["kind"] for row in copies} >= {"exact_copy", "near_copy", "natural_near_copy"}


def test_validation_has_enough_texts_in_each_domain() -> None:
    texts = validation()
    n_texts = Counter(row["domain"] for row in texts)
    assert set(n_texts) == DOMAINS
    assert min(n_texts.values()) >= 60
    for domain in DOMAINS:
        assert sum(len(row["text"].encode()) for row in texts if row["domain"] == domain) >= 150_000


def test_no_work_is_on_two_sides() -> None:
    sample = {work(row["source"]) for row in rows("truth.parquet")}
    learnt = {work(row["source"]) for row in rows("reference.parquet")}
    held_out = {work(row["source"]) for row in validation()}
    assert not sample & learnt
    assert not sample & held_out
    assert not learnt & held_out


def test_every_licence_and_every_work_is_in_the_notice() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    texts = [*rows("truth.parquet"), *rows("reference.parquet"), *validation()]
    assert {row["license"] for row in texts} == LICENSES
    assert [name for name in sorted(LICENSES) if name not in notice] == []
    works = {row["source"].split("@")[0].split(":")[0].removeprefix("Debian package ") for row in texts}
    named = {name.split("/")[0] if name.startswith("standardebooks/") else name for name in works}
    assert [name for name in sorted(named - {"written for the sample"}) if name not in notice] == []

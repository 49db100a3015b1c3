"""The source texts: what is read, and only what may be passed on.

The folder of source data holds
- `corpus/raw-*.parquet` (id, url, text) and `corpus/truth.parquet` (id, label, good, lang, source, license, dup_of,
  planted): texts, with where each came from;
- `web/crawl-dev-*.warc.gz` and `web/crawl-dev-truth.jsonl.zst` (url, kind, lang, source, license, dup_of): pages as
  their publishers made them;
- `lm/val.parquet` (id, domain, text, source, license): texts that nothing else in the folder holds.
A source is named `owner/name@commit:path` or `Debian package NAME:path`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from fastwarc.warc import ArchiveIterator, WarcRecordType

T = TypeVar("T", "Text", "Original")

LICENSES = {  # what the source data says -> the licence that we pass it on under (SPDX)
    "CC0-1.0": "CC0-1.0",
    "CC0-1.0 (edition) over public domain text": "CC0-1.0",
    "CC-BY-4.0": "CC-BY-4.0",
    "CC-BY-SA-3.0": "CC-BY-SA-3.0",
    "CC-BY-SA-3.0 OR GFDL": "CC-BY-SA-3.0",
    "CC-BY-SA-3.0/GFDL": "CC-BY-SA-3.0",
    "GPL-2.0-or-later OR CC-BY-SA-3.0": "CC-BY-SA-3.0",
    "GPL-2.0-or-later": "GPL-2.0-or-later",
    "LGPL-2.1-or-later": "LGPL-2.1-or-later",
    "MPL-2.0": "MPL-2.0",
    "PSF-2.0": "PSF-2.0",
    "MIT": "MIT",
    "Apache-2.0": "Apache-2.0",
    "public domain": "LicenseRef-public-domain",
}


@dataclass(frozen=True, slots=True)
class Text:
    """A text without markup; paragraphs end with an empty line or with the line."""

    id: str
    text: str
    label: str
    lang: str
    source: str
    license: str


@dataclass(frozen=True, slots=True)
class Original:
    """A page as its publisher made it; `dup_of` is the URL of the page that it nearly repeats."""

    id: str
    html: str
    kind: str
    lang: str
    source: str
    license: str
    dup_of: str | None


def work(source: str) -> str:
    """What must not be on two sides of a split: the repository or the package (the manuals' translations together)."""
    name = source.split("@")[0].split(":")[0]
    return name.removesuffix("-i386").removesuffix("-amd64")


def texts(folder: Path) -> list[Text]:
    """The corpus' texts that may be passed on and of which nothing was changed, without copies."""
    columns = ["id", "text"]
    shards = [pq.read_table(path, columns=columns) for path in sorted((folder / "corpus").glob("raw-*.parquet"))]
    by_id = {row["id"]: row["text"] for row in pa.concat_tables(shards).to_pylist()}
    rows = pq.read_table(folder / "corpus" / "truth.parquet").to_pylist()
    return [
        Text(row["id"], by_id[row["id"]], row["label"], row["lang"], row["source"], LICENSES[row["license"]])
        for row in rows
        if row["license"] in LICENSES and row["dup_of"] is None and row["planted"] in (None, "")
    ]


def held_out(folder: Path, domain: str) -> list[Text]:
    """The texts of one validation domain that may be passed on."""
    rows = pq.read_table(folder / "lm" / "val.parquet").to_pylist()
    return [
        Text(row["id"], row["text"], domain, "en", row["source"], LICENSES[row["license"]])
        for row in rows
        if row["domain"] == domain
    ]


def originals(folder: Path) -> list[Original]:
    """The crawled pages that may be passed on."""
    packed = (folder / "web" / "crawl-dev-truth.jsonl.zst").read_bytes()
    lines = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True).read().splitlines()
    truth = {row["url"]: row for row in map(orjson.loads, lines) if row["url"]}
    return [
        Original(url, html, row["kind"], row["lang"], row["source"], LICENSES[row["license"]], row["dup_of"])
        for url, html in _responses(sorted((folder / "web").glob("crawl-dev-*.warc.gz")))
        if (row := truth[url])["license"] in LICENSES
    ]


def _responses(archives: Iterable[Path]) -> Iterator[tuple[str, str]]:
    for path in archives:
        for record in ArchiveIterator(io.BytesIO(path.read_bytes()), record_types=WarcRecordType.response):
            yield record.headers["WARC-Target-URI"], record.reader.read().decode("utf-8")


def first(candidates: Iterable[T], n: int, *, n_chars: int = 10**9) -> list[T]:
    """The first `n` candidates in the order of a hash of their identifiers, while `n_chars` characters last."""
    chosen: list[T] = []
    for candidate in sorted(candidates, key=lambda each: sha256(each.id.encode()).digest()):
        size = len(candidate.text if isinstance(candidate, Text) else candidate.html)
        if len(chosen) == n or size > n_chars:
            break
        chosen.append(candidate)
        n_chars -= size
    return chosen

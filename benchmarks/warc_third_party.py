"""What the readers make of other projects' test archives, beside warcio's counts; and the speed beside fastwarc.

    python benchmarks/warc_third_party.py [FOLDER]      FOLDER: web/ of the shared data

Each file is tiled by whole records and damaged ranges; a difference from warcio has its explanation in WHY.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import orjson
from fastwarc.warc import ArchiveIterator

from datassay.corpus.readers import read_records
from datassay.corpus.records import InputFile, Record

WHY: dict[str, str] = {
    "warcio--bad.arc": "lengths that are no numbers (-1, abc); warcio counts these records all the same",
    "warcio--example-bad-non-chunked.warc.gz": "six records share one gzip member; warcio refuses, here they are read",
    "warcio--example-bad.warc.gz.bad": "six records share one gzip member; warcio refuses, here they are read",
    "warcio--example-space-in-url.arc": "the file ends before the length that the header says; warcio does not check",
    "warcio--example-trunc.warc": "Content-Length reaches into the next record; warcio does not check",
    "warcio--example-wrong-chunks.warc.gz": "the gzip member ends after the HTTP headers; warcio fails at the next one",
}


def records_of(path: Path) -> list[Record]:
    """All records of an archive."""
    return list(read_records(InputFile(str(path), path.name, path.stat().st_size, ""), fields={}))


def is_tiled(records: list[Record], n_bytes: int) -> bool:
    """Whether offsets and lengths cover the file without gap or overlap."""
    position = 0
    for record in records:
        if record.offset != position or record.length is None:
            return False
        position += record.length
    return position == n_bytes


def print_counts(folder: Path) -> None:
    """A line for each file: whole records here and in warcio, pages, damaged ranges, whether all bytes are covered."""
    print(f"{'file':48} {'whole':>5} {'warcio':>6} {'pages':>5} {'damaged':>7} tiled  why")
    for row in map(orjson.loads, (folder / "index.jsonl").read_bytes().splitlines()):
        path = folder / row["file"]
        records = records_of(path)
        damaged = [record for record in records if record.is_damaged]
        n_whole = len(records) - len(damaged)
        n_pages = sum(record.outcome == "page" for record in records)
        n_warcio = row["records_warcio"]
        reasons = ", ".join(f"{record.offset}+{record.length} {record.reason}" for record in damaged)
        why = "" if n_whole == n_warcio and not damaged else WHY.get(row["file"], "NOT EXPLAINED")
        tiled = "yes" if is_tiled(records, row["bytes"]) else "NO"
        print(f"{row['file']:48} {n_whole:5} {n_warcio:6} {n_pages:5} {len(damaged):7} {tiled:5}  {reasons} {why}")


def read_with_fastwarc(path: Path) -> None:
    """What the readers are compared with: every record, HTTP headers parsed, bodies read."""
    with path.open("rb") as file:
        for record in ArchiveIterator(file, parse_http=True):
            record.reader.read()


def read_here(path: Path) -> None:
    """Every record and the body of every page."""
    for _ in read_records(InputFile(str(path), path.name, path.stat().st_size, ""), fields={}):
        pass


def cpu_seconds(function: Callable[[Path], None], path: Path) -> float:
    """Processor time of one call."""
    start = time.process_time()
    function(path)
    return time.process_time() - start


def print_speed(path: Path, *, repeats: int = 7) -> None:
    """The ratio of processor times, fastwarc's to ours, in turns within one run: median and range."""
    read_here(path)
    ratios = sorted(cpu_seconds(read_with_fastwarc, path) / cpu_seconds(read_here, path) for _ in range(repeats))
    print(f"\n{path.name}: {statistics.median(ratios):.2f}x fastwarc's speed ({ratios[0]:.2f} to {ratios[-1]:.2f})")


def main() -> None:
    shared = Path(os.environ.get("DATASSAY_SHARED", "../shared")) / "data" / "web"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else shared
    print_counts(folder / "third_party")
    print_speed(folder / "dev.warc.gz")


if __name__ == "__main__":
    main()

"""How many of 70 real pages in legacy charsets are decoded to the right text.

    python benchmarks/charsets.py [FOLDER]      FOLDER: web/ of the shared data (default: $DATASSAY_SHARED/data/web)

A page is right if its text equals what its true charset decodes to, or differs only in how that charset's web
superset maps single characters (below one in a thousand).
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson

from datassay.corpus.charset import decode, python_charset
from datassay.corpus.readers import read_records
from datassay.corpus.records import InputFile

MAX_DIFFERENT = 0.001


def legacy_pages(folder: Path) -> Iterator[tuple[dict[str, str], bytes, str | None]]:
    """Truth, body and the header's charset of each page of kind `legacy_charset`."""
    truth = {row["offset"]: row for row in map(orjson.loads, (folder / "dev-truth.jsonl").read_bytes().splitlines())}
    path = folder / "dev.warc.gz"
    for record in read_records(InputFile(str(path), path.name, path.stat().st_size, ""), fields={}):
        row = truth[record.offset]
        if row["kind"] == "legacy_charset" and record.html is not None:
            yield row, record.html, record.charset


def is_right(text: str, body: bytes, charset: str) -> bool:
    """Whether `text` is the body in its true charset, or in the one that the web takes it for."""
    for name in (charset, python_charset(charset) or charset):
        expected = body.decode(name, "replace").replace("\0", "").removeprefix("\ufeff")
        different = sum(a != b for a, b in zip(text, expected, strict=False)) + abs(len(text) - len(expected))
        if different <= MAX_DIFFERENT * len(expected):
            return True
    return False


def main() -> None:
    shared = Path(os.environ.get("DATASSAY_SHARED", "../shared")) / "data" / "web"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else shared
    right: Counter[str] = Counter()
    pages: Counter[str] = Counter()
    for row, body, header in legacy_pages(folder):
        text, charset = decode(body, header)
        pages[row["mode"]] += 1
        if is_right(text, body, row["charset"]):
            right[row["mode"]] += 1
        else:
            print(f"wrong: {row['url']} is {row['charset']}, taken for {charset} (header: {header})")
    for mode in sorted(pages):
        print(f"{mode:22} {right[mode]:3} of {pages[mode]:3}")
    print(f"{'all':22} {right.total():3} of {pages.total():3}")


if __name__ == "__main__":
    main()

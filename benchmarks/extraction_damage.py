"""Damaged pages end in bounded time with a text or a reason: our own extractor on random damages of real pages.

    python benchmarks/extraction_damage.py PAGES.warc.gz --variants 1000000
    NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=checked python benchmarks/extraction_damage.py PAGES.warc.gz --variants 20000

PAGES may also be JSON lines with the HTML in a field `html`, such as tests/data/page-kinds.jsonl.zst.

With bounds checks on, an index beyond an array is an error and not silence; compiled code needs its own cache then.
Each variant is one page with one to eight damages: bytes cut out, doubled, moved, replaced by chance or by NUL, tags
put in, the end cut off. It is extracted with the defaults, in the next round of the pages in Markdown with all that can
be in it, then without what can be left out. Variant i is the same for the same seed. Says how many gave text and which
took longest; whatever an extractor raises ends the run, with the variant's number.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np

from datassay.cli.pages_of_inputs import records
from datassay.corpus.extract import extract
from datassay.corpus.html.render import PLAIN, Style
from datassay.corpus.html.wanted import AS_FOUND, Wanted

TAGS = b"<p> </p> <td> <tr> <table> </table> <li> </ul> <pre> </pre> <a/href=x> </a> <script> <!-- --> <b <title> <br>"
OPTIONS = (
    (PLAIN, AS_FOUND),
    (Style(is_markdown=True, has_links=True, has_images=True), Wanted(comments=True)),
    (PLAIN, Wanted(comments=False, tables=False, code=False)),
)
MAX_BYTES = 8 << 20
"""Of a page, before it is damaged."""
MAX_SECONDS = 1.0
"""CPU seconds that no page of that size may take."""


def damaged(page: bytes, generator: np.random.Generator) -> bytes:
    for _ in range(generator.integers(1, 9)):
        at, n = int(generator.integers(0, len(page) + 1)), int(generator.exponential(200))
        span = page[at : at + n]
        match generator.integers(0, 7):
            case 0:
                page = page[:at] + page[at + n :]
            case 1:
                page = page[:at] + span + page[at:]
            case 2:
                to = int(generator.integers(0, len(page) + 1))
                page = page[:to] + span + page[to:]
            case 3:
                page = page[:at] + generator.bytes(len(span)) + page[at + n :]
            case 4:
                page = page[:at] + b"\0" * len(span) + page[at + n :]
            case 5:
                page = page[:at] + generator.choice(TAGS.split()) * int(generator.integers(1, 40)) + page[at:]
            case _:
                page = page[: max(at, len(page) // 2)]
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path)
    parser.add_argument("--variants", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found_in = records([str(options.pages)], html="html", max_bytes=MAX_BYTES)
    pages = [html for found in found_in if (html := found.record.html) and len(html) <= MAX_BYTES]
    for style, wanted in OPTIONS:  # compiled before time is taken
        extract(pages[0], style=style, wanted=wanted)
    outcomes: Counter[str] = Counter()
    slowest = (0.0, -1, 0)
    begin = time.process_time()
    for i in range(options.variants):
        generator = np.random.default_rng([options.seed, i])
        page = damaged(pages[i % len(pages)], generator)
        style, wanted = OPTIONS[i // len(pages) % len(OPTIONS)]
        start = time.process_time()
        try:
            found = extract(page, style=style, wanted=wanted)
        except Exception as error:
            error.add_note(f"variant {i} of seed {options.seed}")
            raise
        seconds = time.process_time() - start
        if seconds > MAX_SECONDS:
            raise TimeoutError(f"variant {i} of seed {options.seed}: {seconds:.1f} s for {len(page):,} bytes")
        outcomes[found.reason or found.extractor or ""] += 1
        slowest = max(slowest, (seconds, i, len(page)))
        if (i + 1) % 50_000 == 0:
            print(f"{i + 1:,} variants, {time.process_time() - begin:.0f} s", flush=True)
    print(
        f"{options.variants:,} variants of {len(pages)} pages: " + ", ".join(f"{n:,} {k}" for k, n in outcomes.items())
    )
    print(f"slowest: {1000 * slowest[0]:.0f} ms for {slowest[2]:,} bytes (variant {slowest[1]})")


if __name__ == "__main__":
    main()

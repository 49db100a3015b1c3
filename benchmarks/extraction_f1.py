"""Quality and speed of main-content extraction on pages whose text people typed.

Scores as scrapinghub/article-extraction-benchmark does: multisets of 4-grams of words; true positives, false positives
and false negatives are divided by their sum for each page, precision and recall come from their means over pages, so
that an empty answer counts. Needs the shared data.

    python benchmarks/extraction_f1.py ../shared/data/extraction/dev.jsonl.zst
"""

from __future__ import annotations

import io
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import zstandard

from datassay.corpus.extract import Profile, extract

MIN_F1: dict[Profile, float] = {"quality": 0.955, "fast": 0.92}


@dataclass(frozen=True, slots=True)
class GoldPage:
    html: bytes
    text: str


def gold_pages(path: Path, *, prefix: str = "aeb-") -> Iterator[GoldPage]:
    """The pages of the gold file whose id begins with `prefix`."""
    reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(path.open("rb"))
    with io.BufferedReader(reader) as lines:
        for line in lines:
            page = orjson.loads(line)
            if page["id"].startswith(prefix):
                yield GoldPage(page["html"].encode(), page["text"])


def shingles(text: str, *, n: int = 4) -> Counter[tuple[str, ...]]:
    """The n-grams of the text's words, with how often each occurs; one shorter one where there are fewer words."""
    words = re.findall(r"\w+", text)
    return Counter(tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1)))


def page_shares(gold: str, found: str) -> tuple[float, float, float]:
    """Shares of true positives, false positives and false negatives; they sum to 1, or to 0 if both texts are empty."""
    if not gold.strip() and not found.strip():
        return 0.0, 0.0, 0.0
    want, have = shingles(gold), shingles(found)
    true = sum((want & have).values())
    false, missed = sum((have - want).values()), sum((want - have).values())
    total = true + false + missed
    return true / total, false / total, missed / total


def scores(shares: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    """F1, precision, recall from the mean shares."""
    true, false, missed = (sum(column) / len(shares) for column in zip(*shares, strict=True))
    precision, recall = true / (true + false), true / (true + missed)
    return 2 * precision * recall / (precision + recall), precision, recall


def main() -> None:
    pages = list(gold_pages(Path(sys.argv[1])))
    extract(pages[0].html)  # imports and compiled expressions are not what is timed
    seconds, failed = {}, []
    for profile in MIN_F1:
        start = time.process_time()
        found = [extract(page.html, profile=profile, header_charset="utf-8") for page in pages]
        seconds[profile] = time.process_time() - start
        shares = [page_shares(page.text, extraction.text) for page, extraction in zip(pages, found, strict=True)]
        f1, precision, recall = scores(shares)
        n_empty = sum(not extraction.text for extraction in found)
        speed = len(pages) / seconds[profile]
        quality = f"F1 {f1:.3f}  P {precision:.3f}  R {recall:.3f}"
        print(f"{profile:8} {quality}  empty {n_empty}/{len(pages)}  {speed:.0f} pages/s")
        if f1 < MIN_F1[profile] or n_empty:
            failed.append(profile)
    print(f"fast is {seconds['quality'] / seconds['fast']:.1f}x quality")
    if failed:
        sys.exit(f"below the limit: {', '.join(failed)}")


if __name__ == "__main__":
    main()

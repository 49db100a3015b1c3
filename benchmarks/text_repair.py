"""Speed of text repair behind its guard against ftfy on everything, and that both give the same text.

Four in a hundred texts are given mojibake, as a crawl has it. Needs the shared data.

    python benchmarks/text_repair.py ../shared/data/lm/val.parquet
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import ftfy
import pyarrow.parquet as pq

from datassay.corpus.clean import FTFY, repair

PIECE_CHARS = 2000


def pieces(path: str) -> list[str]:
    """The texts cut into documents of 2 000 characters; every 25th is UTF-8 read as Windows-1252."""
    column = pq.read_table(path, columns=["text"]).column("text").to_pylist()
    texts = [text[i : i + PIECE_CHARS] for text in column for i in range(0, len(text), PIECE_CHARS)]
    return [t.encode().decode("cp1252", "replace") if i % 25 == 0 else t for i, t in enumerate(texts)]


def timed(function: Callable[[str], str], texts: list[str]) -> tuple[float, list[str]]:
    """CPU seconds, the lesser of two rounds, and the results."""
    rounds = []
    for _ in range(2):
        start = time.process_time()
        results = [function(text) for text in texts]
        rounds.append(time.process_time() - start)
    return min(rounds), results


def main() -> None:
    texts = pieces(sys.argv[1])
    for name, chosen in [("all", texts), ("ASCII", [t for t in texts if t.isascii()])]:
        seconds, expected = timed(lambda text: ftfy.fix_text(text, FTFY), chosen)
        guarded_seconds, results = timed(repair, chosen)
        n_different = sum(a != b for a, b in zip(expected, results, strict=True))
        print(
            f"{name:5} {len(chosen)} documents: ftfy {len(chosen) / seconds:.0f} documents/s, "
            f"guarded {len(chosen) / guarded_seconds:.0f} ({seconds / guarded_seconds:.1f}x), {n_different} differ"
        )
        if n_different:
            sys.exit("the guard changes results")


if __name__ == "__main__":
    main()

"""Main-content extraction by kind of page and by language, beside others: F1 of words' 4-grams as in extraction_f1.py.

    python benchmarks/extraction_kinds.py tests/data/page-kinds.jsonl.zst

What the pages are and what counts as their text stands in tests/data/page-kinds.md. Only those of half B are asked:
the model that ships learned from half A (page_kind_halves.py) and has seen no page of the software that made these.
Needs `pip install readability-lxml justext`. Pages in Chinese, Japanese, Thai and Khmer have few words by `\\w+`, so
that single pages count coarsely.
"""

from __future__ import annotations

import logging
import sys
from collections import defaultdict
from pathlib import Path

from extraction_f1 import PEERS, GoldPage, in_profile
from page_kind_halves import halves, read_pages

from datassay.corpus.html.evaluation import Shares, page_shares, scores

MIN_PAGES = 3
"""Of a language, to have a line of its own."""


def main() -> None:
    logging.disable(logging.CRITICAL)
    pages = read_pages(Path(sys.argv[1]))
    rows = [page for page, half in zip(pages, halves(pages), strict=True) if half == "B"]
    gold = [GoldPage(row["html"].encode(), row["text"]) for row in rows]
    found = {"fast": in_profile(gold, "fast"), "balanced": in_profile(gold, "balanced")}
    found |= {name: [peer(row["html"]) for row in rows] for name, peer in PEERS.items()}
    names = list(found)
    print(f"{'':14} pages " + " ".join(f"{name[:13]:>13}" for name in names))
    for field in ("kind", "lang"):
        groups: dict[str, dict[str, list[Shares]]] = defaultdict(lambda: defaultdict(list))
        for name, texts in found.items():
            for row, text in zip(rows, texts, strict=True):
                groups[row[field]][name].append(page_shares(row["text"], text))
                if field == "kind":
                    groups["all"][name].append(groups[row[field]][name][-1])
        for group, by_name in sorted(groups.items()):
            n_pages = len(by_name["fast"])
            if n_pages >= MIN_PAGES:
                print(f"{group:14} {n_pages:5} " + " ".join(f"{scores(by_name[name])[0]:13.3f}" for name in names))
        print()
    for name, texts in found.items():
        blocks = [(block.strip("\n"), text) for row, text in zip(rows, texts, strict=True) for block in row["code"]]
        n_whole = sum(block in text for block, text in blocks)
        print(f"{name:26} {n_whole} of {len(blocks)} blocks of code as they stand")


if __name__ == "__main__":
    main()

"""The two halves of tests/data/page-kinds.jsonl.zst: the model that ships learns from A and has never seen B.

    python benchmarks/page_kind_halves.py tests/data/page-kinds.jsonl.zst

prints the table in tests/data/page-kinds.md. Pages that the same software made stand in one half, whatever their theme,
so that a half tells how an extractor does on sites made by software it has not seen; the rule is `halves`.
"""

from __future__ import annotations

import io
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import zstandard

FAMILIES = (
    "asciidoc", "hexo", "mediawiki", "mhonarc", "mkdocs", "mybb", "nikola", "question2answer", "sphinx", "texinfo",
    "wordpress",
)  # fmt: skip
"""Software with several templates; any other template is a family of its own."""


def family(template: str) -> str:
    """The software that a template belongs to."""
    return next((name for name in FAMILIES if name in template), template)


def read_pages(path: Path) -> list[dict[str, Any]]:
    """The rows of the file."""
    reader = zstandard.ZstdDecompressor().stream_reader(path.open("rb"))
    return [orjson.loads(line) for line in io.BufferedReader(reader)]


def halves(pages: Sequence[dict[str, Any]]) -> list[str]:
    """The half, "A" or "B", of each page.

    Groups are families; the templates of a family that a kind has alone (mail) are groups of their own. The largest
    group comes first, of two alike the one whose name comes first; each goes to the half in which the sum over kinds of
    |pages in A - pages in B| / pages is then the smaller, to A if both are alike.
    """
    families_of = defaultdict(set)
    for page in pages:
        families_of[page["kind"]].add(family(page["template"]))
    alone = {name for names in families_of.values() if len(names) == 1 for name in names}
    of_page = [page["template"] if (name := family(page["template"])) in alone else name for page in pages]
    n_pages = Counter(page["kind"] for page in pages)
    kinds = defaultdict(Counter)
    for page, group in zip(pages, of_page, strict=True):
        kinds[group][page["kind"]] += 1
    half_of: dict[str, str] = {}
    lead: Counter[str] = Counter()  # pages in A less those in B, by kind
    for group in sorted(kinds, key=lambda name: (-kinds[name].total(), name)):
        uneven = {}
        for half, sign in (("A", 1), ("B", -1)):
            uneven[half] = sum(abs(lead[kind] + sign * kinds[group][kind]) / n for kind, n in n_pages.items())
        half_of[group] = "A" if uneven["A"] <= uneven["B"] else "B"
        for kind, n in kinds[group].items():
            lead[kind] += n if half_of[group] == "A" else -n
    return [half_of[group] for group in of_page]


def main() -> None:
    pages = read_pages(Path(sys.argv[1]))
    counts = defaultdict(Counter)
    templates = defaultdict(set)
    for page, half in zip(pages, halves(pages), strict=True):
        counts[page["kind"]][half] += 1
        templates[half].add(page["template"])
    print("| kind | A | B |\n|---|---|---|")
    for kind, by_half in sorted(counts.items()):
        print(f"| {kind} | {by_half['A']} | {by_half['B']} |")
    print(f"| all | {sum(c['A'] for c in counts.values())} | {sum(c['B'] for c in counts.values())} |")
    for half, names in sorted(templates.items()):
        print(f"{half}: {', '.join(sorted(names))}")


if __name__ == "__main__":
    main()

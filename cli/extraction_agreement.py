"""Two extractors on the same pages: how far their texts agree, what that goes with, and how fast each is."""

from __future__ import annotations

import heapq
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import quantiles

from datassay.cli.difference import Difference, word_difference
from datassay.cli.extractors import Answers
from datassay.cli.pages_of_inputs import Found
from datassay.cli.query import table
from datassay.corpus.extract import Extraction
from datassay.corpus.html.evaluation import page_shares, scores
from datassay.corpus.ingest import registered_domain
from datassay.corpus.language import identify
from datassay.corpus.page_extractor import Page

N_DIFFERENT = 12
"""Pages shown of those with two texts…"""
N_ONE_SIDED = 4
"""…and of those with one text, for each side."""
N_GROUPS = 15
SHOWN_CHARS = 30_000
"""Characters of a text that are kept for the comparison word by word."""
BINS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
DOUBTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
MIN_SECONDS = 0.05
"""A speed from less CPU time is no figure."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A page in numbers."""

    f1: float | None
    """Agreement, 0 to 1; None if both texts are empty."""
    n_chars: tuple[int, int]
    language: str
    domain: str
    doubt: float | None
    """The first extractor's."""


@dataclass(frozen=True, slots=True)
class Example:
    """A page on which the two differ."""

    name: str
    f1: float
    doubt: float | None
    n_chars: tuple[int, int]
    difference: Difference


@dataclass(frozen=True, slots=True)
class Group:
    """Pages of one kind."""

    name: str
    n: int
    f1: float
    """Mean agreement."""
    n_low: int
    """Pages with an agreement below .5."""


@dataclass
class Comparison:
    """What is known of two extractors on the same pages."""

    names: tuple[str, str]
    pages: list[Compared] = field(default_factory=list)
    seconds: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """CPU seconds of each, a first batch apart that warms up."""
    failed: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))
    """Reasons of pages without text, by extractor."""
    examples: list[Example] = field(default_factory=list)

    @property
    def judged(self) -> list[float]:
        """Agreement on the pages in which one or both find text."""
        return [page.f1 for page in self.pages if page.f1 is not None]

    @property
    def mean(self) -> float | None:
        return sum(self.judged) / len(self.judged) if self.judged else None

    def n_with(self, first: bool, second: bool) -> int:
        """Pages in which exactly these find text."""
        return sum((bool(page.n_chars[0]), bool(page.n_chars[1])) == (first, second) for page in self.pages)

    @property
    def distribution(self) -> list[tuple[float, float, int]]:
        """(from, up to, pages) of agreement; the last bar is of pages with the very same 4-grams."""
        bars = [(low, high, sum(low <= f1 < high for f1 in self.judged)) for low, high in pairwise(BINS)]
        return [*bars, (1.0, 1.0, sum(f1 == 1 for f1 in self.judged))]

    @property
    def speeds(self) -> tuple[float | None, float | None]:
        """Pages per CPU second of each; None where too little time was measured."""
        first, second = (len(self.pages) / spent if spent >= MIN_SECONDS else None for spent in self.seconds)
        return first, second

    @property
    def length_ratios(self) -> list[float] | None:
        """Quartiles of the second's characters by the first's, of pages with two texts; None for less than two."""
        ratios = [page.n_chars[1] / page.n_chars[0] for page in self.pages if all(page.n_chars)]
        return quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else None

    def by(self, group_of: Callable[[Compared], str | None]) -> list[Group]:
        """The largest groups of pages, by what `group_of` says."""
        found: defaultdict[str, list[float]] = defaultdict(list)
        for page in self.pages:
            name = group_of(page)
            if name is not None and page.f1 is not None:
                found[name].append(page.f1)
        groups = [Group(name, len(f1), sum(f1) / len(f1), sum(x < 0.5 for x in f1)) for name, f1 in found.items()]
        return sorted(groups, key=lambda group: (-group.n, group.name))[:N_GROUPS]

    @property
    def languages(self) -> list[Group]:
        return self.by(lambda page: page.language)

    @property
    def domains(self) -> list[Group]:
        return self.by(lambda page: page.domain)

    @property
    def doubts(self) -> list[Group]:
        """Pages by how doubtful the first extractor is."""
        return sorted(self.by(_doubt_bin), key=lambda group: group.name)


def compare(
    batches: Iterable[Sequence[Found]], names: tuple[str, str], make: Callable[[], tuple[Answers, Answers]]
) -> Comparison:
    """Ask both extractors about all pages.

    make: both extractors anew; they are made twice, so that what warms up knows no page of what is timed
    """
    found = Comparison(names)
    worst = _Worst()
    extractors: tuple[Answers, Answers] | None = None
    for i, batch in enumerate(batches):
        pages = [Page(one.record.html, one.record.charset) for one in batch if one.record.html]
        if not pages:
            continue
        if extractors is None:
            for warmed in make():
                warmed(pages)
            extractors = make()
        answers: list[list[Extraction]] = [[], []]
        for side in (0, 1) if i % 2 == 0 else (1, 0):
            start = time.process_time()
            answers[side] = extractors[side](pages)
            found.seconds[side] += time.process_time() - start
        of_pages = [one for one in batch if one.record.html]
        for one, first, second, language in zip(of_pages, *answers, _languages(*answers), strict=True):
            page = _compared(one, first, second, language)
            found.pages.append(page)
            for side, answer in enumerate((first, second)):
                if answer.reason:
                    found.failed[side][answer.reason] += 1
            worst.add(len(found.pages), one, page, first.text, second.text)
    found.examples = list(worst.examples())
    return found


def _compared(one: Found, first: Extraction, second: Extraction, language: str) -> Compared:
    url = one.record.url
    domain = (registered_domain(url) if url else None) or "none"
    lengths = len(first.text), len(second.text)
    return Compared(agreement(first.text, second.text), lengths, language, domain, first.doubt)


def _languages(first: Sequence[Extraction], second: Sequence[Extraction]) -> list[str]:
    """The language of each page, identified in the first extractor's text, or in the second's if that is empty."""
    texts = [a.text or b.text for a, b in zip(first, second, strict=True)]
    return [found[0] if found else "none" for found in identify(texts)[0]]


def agreement(first: str, second: str) -> float | None:
    """F1 of the texts' 4-grams of words, the same in both directions; None if both are empty."""
    if not first.strip() and not second.strip():
        return None
    return scores([page_shares(first, second)])[0]


def _doubt_bin(page: Compared) -> str | None:
    if page.doubt is None:
        return None
    low, high = next((low, high) for low, high in pairwise(DOUBTS) if page.doubt <= high)
    return f"{low:.2f} to {high:.2f}"


class _Worst:
    """The pages that agree least, held with the beginnings of their texts; the same whatever the batches."""

    def __init__(self) -> None:
        self._heaps: dict[str, list[tuple[float, int, int, str, Compared, str, str]]] = defaultdict(list)

    def add(self, number: int, one: Found, page: Compared, first: str, second: str) -> None:
        if page.f1 is None or page.f1 == 1:
            return
        kind = "both" if all(page.n_chars) else "first" if page.n_chars[0] else "second"
        heap = self._heaps[kind]
        name = one.record.url or f"{one.file}, {one.record.offset}"
        entry = (-page.f1, sum(page.n_chars), -number, name, page, first[:SHOWN_CHARS], second[:SHOWN_CHARS])
        if len(heap) < (N_DIFFERENT if kind == "both" else N_ONE_SIDED):
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)

    def examples(self) -> Iterator[Example]:
        """The least alike first; those with one text last."""
        for kind in ("both", "first", "second"):
            for _, _, _, name, page, first, second in sorted(self._heaps[kind], reverse=True):
                yield Example(name, page.f1 or 0.0, page.doubt, page.n_chars, word_difference(first, second))


def as_text(found: Comparison) -> str:
    """The comparison for the terminal."""
    first, second = found.names
    rows: list[tuple[object, ...]] = [
        ("both find text", found.n_with(True, True)),
        (f"only {first}", found.n_with(True, False)),
        (f"only {second}", found.n_with(False, True)),
        ("neither", found.n_with(False, False)),
    ]
    mean = "none" if found.mean is None else f"{found.mean:.3f}"
    lines = [f"agreement {mean} (mean F1 of 4-grams of words, over pages in which one or both find text)"]
    for name, speed in zip(found.names, found.speeds, strict=True):
        lines.append(f"{name}: " + ("too few pages to time" if speed is None else f"{speed:,.0f} pages a CPU second"))
    if found.length_ratios:
        low, median, high = found.length_ratios
        lines.append(f"length of {second} by {first}: median {median:.2f}, quartiles {low:.2f} and {high:.2f}")
    groups = [(group.name, group.n, round(group.f1, 3), group.n_low) for group in found.languages]
    parts = [table(["pages", "n"], rows), "\n".join(lines) + "\n"]
    parts.append(table(["language", "pages", "agreement", "below .5"], [*groups]))
    parts.append(
        table(
            ["doubt", "pages", "agreement", "below .5"], [(g.name, g.n, round(g.f1, 3), g.n_low) for g in found.doubts]
        )
    )
    parts.append("least alike\n" + "".join(f"  {one.f1:.2f}  {one.name}\n" for one in found.examples))
    return "\n".join(parts)


def as_html(found: Comparison, options: str) -> str:
    """The comparison as one page that opens offline: no script, nothing loaded, all text escaped.

    options: how the first extractor was asked
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from datassay.cli import difference

    here = Path(__file__).parent / "report"
    environment = Environment(loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined)
    environment.filters.update(
        number=lambda value: f"{value:,.0f}".replace(",", "\u202f"),
        hidden=difference.hidden,
        notes=difference.notes,
        share=lambda part, whole: f"{part / whole:.1%}" if whole else "–",
    )
    return environment.get_template("extraction.html").render(
        found=found,
        options=options,
        style=Markup((here / "style.css").read_text(encoding="utf-8")),
    )

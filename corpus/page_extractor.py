"""Pages in batches to texts: which of them get a second opinion, each page guarded, the same bytes only once.

In the profile `balanced` trafilatura is asked about the pages of a batch on which our own extractor is most in doubt,
at most a stated share of the task's pages so far. So what is asked depends on the pages and their order alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import xxhash
from pydantic import BaseModel, Field, NonNegativeInt

from datassay.corpus.extract import (
    Extraction,
    ExtractionLimits,
    Profile,
    extract,
    is_in_reach,
    second_opinion,
)
from datassay.corpus.guard import GuardedError, GuardLimits, run_guarded
from datassay.corpus.html.classifier import MODEL_PATH
from datassay.corpus.html.render import Style
from datassay.corpus.html.wanted import Wanted
from datassay.corpus.store import Outputs

CACHE_BYTES = 64 << 20
"""Texts of payloads kept in case the same bytes come again."""


class ExtractSettings(BaseModel, frozen=True, extra="forbid"):
    """How pages become text."""

    profile: Profile = "balanced"
    """"fast": our own extractor. "balanced": trafilatura for the pages where that is most in doubt. "quality":
    trafilatura for all, some eighteen times slower."""
    max_routed: float = Field(default=0.05, ge=0, le=1)
    """Share of the pages that `balanced` gives to trafilatura at most."""
    min_doubt: float = Field(default=0.3, ge=0, le=1)
    """Doubt from which on it does."""
    gate: bool = True
    """A page of a language that is not kept stays with our own extractor's text and does not reach trafilatura."""
    gate_min_score: float = Field(default=0.9, ge=0, le=1)
    """Probability of that language from which on the gate closes."""
    gate_min_chars: NonNegativeInt = 200
    """The gate does not judge shorter texts."""
    markdown: bool = False
    """Headings, lists, code, quotations and tables in Markdown."""
    links: bool = False
    """Addresses of links, as Markdown has them."""
    images: bool = False
    """Alternative texts of images."""
    comments: Literal["auto"] | bool = "auto"
    """auto: as the classifier says, which keeps threads and drops what readers wrote below an article. true: comments
    and posts with prose, too. false: none, by the words that templates have for them."""
    tables: bool = True
    """Tables of data; those that lay out text are always in."""
    code: bool = True
    """Preformatted blocks."""
    limits: ExtractionLimits = ExtractionLimits()
    """Pages beyond these are skipped, with the reason."""
    guard: GuardLimits = GuardLimits()
    """Protection from single pages; where it acts, the run ends as partial."""

    @property
    def style(self) -> Style:
        """How texts are written."""
        return Style(self.markdown, self.links, self.images)

    @property
    def wanted(self) -> Wanted:
        """What of a page is written."""
        return Wanted(None if self.comments == "auto" else self.comments, self.tables, self.code)


@dataclass(frozen=True, slots=True)
class Page:
    """The bytes of a page, and the charset that its HTTP header claims."""

    html: bytes
    charset: str | None

    @property
    def key(self) -> Key:
        """The same for pages that give the same text."""
        return xxhash.xxh3_128_intdigest(self.html), self.charset


Key = tuple[int, str | None]


class PageExtractor:
    """Extraction of one task's pages, batch after batch."""

    def __init__(
        self,
        settings: ExtractSettings,
        out: Outputs,
        is_wanted: Callable[[str], bool] | None = None,
        model: Path = MODEL_PATH,
    ) -> None:
        """is_wanted: whether a page with this text may go to trafilatura, asked about those alone that would
        model: the classifier's file"""
        self._settings = settings
        self._out = out
        self._is_wanted = is_wanted
        self._extract = partial(
            extract, limits=settings.limits, style=settings.style, wanted=settings.wanted, model=model
        )
        self._extract(b"<p>compiled once, and not in each child of a second attempt")
        self._known: OrderedDict[Key, Extraction] = OrderedDict()
        self._known_chars = 0
        self._n_pages = 0
        self._n_routed = 0

    def __call__(self, pages: Sequence[Page]) -> list[Extraction]:
        """What each page gives; `guarded` is the reason where one took too much."""
        keys = [page.key for page in pages]
        new: dict[Key, Page] = {}
        found: dict[Key, Extraction] = {}
        for key, page in zip(keys, pages, strict=True):
            if key in self._known:
                self._known.move_to_end(key)
                found[key] = self._known[key]
            elif key not in new:
                new[key] = page
        first = {key: self._first(page) for key, page in new.items()}
        self._n_pages += len(new)
        found |= first | self._second(new, first)
        self._out.counts["payload_repeats"] += len(pages) - len(new)
        for key in new:
            self._count(found[key])
            self._remember(key, found[key])
        return [found[key] for key in keys]

    def _first(self, page: Page) -> Extraction:
        """Our own extractor's answer. Its time and memory are bounded by the bytes of a page, so it needs no guard,
        whose signal compiled code does not expect; but after a worker's death every page is suspect."""
        function = partial(self._extract, page.html, header_charset=page.charset)
        return self._guarded(function) if self._out.attempt > 0 else function()

    def _second(self, pages: dict[Key, Page], first: dict[Key, Extraction]) -> dict[Key, Extraction]:
        """Second opinions on the pages that get one, and which would have got one if they were wanted."""
        found = {}
        room = self._room()
        for key in self._candidates(first):
            if room <= 0:
                break
            page, before = pages[key], first[key]
            if not is_in_reach(page.html, self._settings.limits):
                continue
            if self._is_wanted is not None and before.text and not self._is_wanted(before.text):
                found[key] = replace(before, extractor="datassay-gate")
                continue
            ask = partial(
                second_opinion,
                page.html,
                before,
                header_charset=page.charset,
                style=self._settings.style,
                wanted=self._settings.wanted,
            )
            found[key] = self._guarded(ask)
            room -= 1
            self._n_routed += 1
        return found

    def _candidates(self, first: dict[Key, Extraction]) -> list[Key]:
        """The pages that trafilatura may be asked about, in the order in which it is: the most doubtful ones first.

        `balanced` does not ask about pages in which our own extractor finds no text at all."""
        if self._settings.profile == "fast":
            return []
        answered = [key for key, answer in first.items() if answer.doubt is not None]
        if self._settings.profile == "quality":
            return answered
        doubts = {key: first[key].doubt or 0.0 for key in answered if first[key].text}
        doubtful = [key for key, doubt in doubts.items() if doubt >= self._settings.min_doubt]
        return sorted(doubtful, key=lambda key: (-doubts[key], key[0]))

    def _room(self) -> int:
        """How many more pages may be routed."""
        if self._settings.profile == "quality":
            return self._n_pages
        return int(self._settings.max_routed * self._n_pages) - self._n_routed

    def _guarded(self, function: Callable[[], Extraction]) -> Extraction:
        try:
            return run_guarded(function, self._settings.guard, in_child=self._out.attempt > 0)
        except GuardedError:
            self._out.is_partial = True
            return Extraction(reason="guarded")

    def _count(self, found: Extraction) -> None:
        if found.text:
            self._out.counts["extracted"] += 1
            self._out.counts["routed"] += found.extractor == "trafilatura"
            self._out.counts["gated"] += found.extractor == "datassay-gate"

    def _remember(self, key: Key, extraction: Extraction) -> None:
        if extraction.reason == "guarded":
            return
        self._known[key] = extraction
        self._known_chars += len(extraction.text)
        while self._known_chars > CACHE_BYTES // 4 or len(self._known) > CACHE_BYTES // 1024:  # 4 bytes a character
            _, oldest = self._known.popitem(last=False)
            self._known_chars -= len(oldest.text)

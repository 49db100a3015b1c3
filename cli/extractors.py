"""Extractors by name, ours and others', each from a batch of pages to their texts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from datassay.cli.nearest import nearest
from datassay.corpus.charset import decode
from datassay.corpus.errors import MissingExtraError, RecipeError
from datassay.corpus.extract import Extraction, quality_text
from datassay.corpus.guard import GuardedError, GuardLimits, run_guarded
from datassay.corpus.html.classifier import MODEL_PATH
from datassay.corpus.page_extractor import ExtractSettings, Page, PageExtractor
from datassay.corpus.store import Outputs

PROFILES: tuple[Literal["fast"], Literal["balanced"], Literal["quality"]] = ("fast", "balanced", "quality")
MODULES = {
    "trafilatura": "trafilatura",
    "trafilatura-recall": "trafilatura",
    "resiliparse": "resiliparse",
    "readability-lxml": "readability",
    "justext": "justext",
}
"""The modules that others need. Their packages have the names of the keys, up to `-recall`."""

Answers = Callable[[Sequence[Page]], list[Extraction]]


def checked_name(name: str) -> str:
    """The name of an extractor. Raises RecipeError if there is none, MissingExtraError if it is not installed."""
    known = [*PROFILES, *MODULES, "model:FILE"]
    if name.startswith("model:") and name != "model:":
        return name
    if name not in known or name == "model:FILE":
        raise RecipeError(f"--compare {name}: no such extractor{nearest(name, known)}; there are {', '.join(known)}")
    if name in MODULES and find_spec(MODULES[name]) is None:
        raise MissingExtraError(f"--compare {name} needs it: pip install {_package(name)}")
    return name


def described(name: str) -> str:
    """The name with the version of the package that it is."""
    if name not in MODULES:
        return name
    try:
        return f"{name} {version(_package(name))}"
    except PackageNotFoundError:
        return name


def _package(name: str) -> str:
    return name.removesuffix("-recall")


def ours(settings: ExtractSettings, model: Path, stack: ExitStack) -> Answers:
    """Our own extractor with its profile, as a run asks it."""
    folder = stack.enter_context(TemporaryDirectory())
    return PageExtractor(settings, Outputs(Path(folder), 0), model=model)


def named(name: str, settings: ExtractSettings, stack: ExitStack) -> Answers:
    """The extractor of a checked name; ours with other settings as they are here, others as they come."""
    if name.startswith("model:"):
        return ours(settings, Path(name.removeprefix("model:")), stack)
    if name in PROFILES:
        return ours(settings.model_copy(update={"profile": name}), MODEL_PATH, stack)
    logging.getLogger(MODULES[name]).setLevel(logging.CRITICAL)  # a line a page otherwise
    return _OfOthers(TEXT_OF[name], settings.limits.max_bytes)


class _OfOthers:
    """Pages one by one, decoded as ours are, each guarded."""

    def __init__(self, text_of: Callable[[str], str], max_bytes: int) -> None:
        self._text_of = text_of
        self._max_bytes = max_bytes

    def __call__(self, pages: Sequence[Page]) -> list[Extraction]:
        return [self._answer(page) for page in pages]

    def _answer(self, page: Page) -> Extraction:
        if len(page.html) > self._max_bytes:
            return Extraction(reason="too_large")
        try:
            html = decode(page.html, page.charset)[0]
            text = run_guarded(lambda: self._text_of(html), GuardLimits()).strip()
        except GuardedError:
            return Extraction(reason="guarded")
        except Exception:  # what an extractor raises on odd pages is its own, and any of it is about this page only
            return Extraction(reason="extractor_failed")
        return Extraction(text, None if text else "no_text")


def _trafilatura(html: str) -> str:
    import trafilatura

    return trafilatura.extract(html) or ""


def _resiliparse(html: str) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return str(extract_plain_text(html, main_content=True, alt_texts=False, list_bullets=False))


def _readability(html: str) -> str:
    import lxml.html
    from readability import Document

    return str(lxml.html.fromstring(Document(html).summary()).text_content())


def _justext(html: str) -> str:
    import justext

    paragraphs = justext.justext(html.encode("utf-8", "replace"), justext.get_stoplist("English"))
    return "\n".join(paragraph.text for paragraph in paragraphs if not paragraph.is_boilerplate)


TEXT_OF: dict[str, Callable[[str], str]] = {
    "trafilatura": _trafilatura,
    "trafilatura-recall": quality_text,
    "resiliparse": _resiliparse,
    "readability-lxml": _readability,
    "justext": _justext,
}
"""From the decoded page to its text; may raise whatever the extractor raises."""

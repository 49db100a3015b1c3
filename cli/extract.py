"""Main text of pages without a run: a page to its text, many pages to rows."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import orjson
import pyarrow as pa
from pydantic import ValidationError

from datassay.cli.extraction_agreement import as_html, as_text, compare
from datassay.cli.extractors import checked_name, described, named, ours
from datassay.cli.mistakes import settings_mistakes
from datassay.cli.pages_of_inputs import Found, is_one_page, records
from datassay.corpus.errors import InputError, RecipeError
from datassay.corpus.extract import Extraction
from datassay.corpus.html.classifier import MODEL_PATH, load_given
from datassay.corpus.ingest import BATCH_BYTES, BATCH_PAGE_BYTES, BATCH_PAGES, encodable, given_text
from datassay.corpus.page_extractor import ExtractSettings, Page, PageExtractor
from datassay.corpus.store import Outputs, parquet_shard, whole_file

PARTIAL = 4
ROW = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("extractor", pa.string()),
        pa.field("doubt", pa.float64()),
        pa.field("title", pa.string()),
        pa.field("author", pa.string()),
        pa.field("date", pa.string()),
        pa.field("language", pa.string()),
        pa.field("canonical_url", pa.string()),
        pa.field("site_name", pa.string()),
    ]
)
"""A page: where it was read, its text, or the reason why there is none, and what it says of itself (`Extraction`)."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for."""

    inputs: Sequence[str]
    settings: ExtractSettings
    output: Path | None = None
    model: Path | None = None
    html: str | None = None
    """The column of rows that holds HTML."""
    limit: int | None = None
    """Only the first pages."""


@dataclass
class Summary:
    """What became of the records."""

    n_pages: int = 0
    n_texts: int = 0
    n_routed: int = 0
    n_given: int = 0
    """Records of text that nothing had to be extracted from."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why pages have no text."""
    others: Counter[str] = field(default_factory=Counter)
    """Why records are no pages."""
    is_partial: bool = False

    def as_text(self) -> str:
        """The counts in a few lines."""
        parts = [f"{self.n_pages:,} page{'s' * (self.n_pages != 1)}", f"{self.n_texts:,} with text"]
        if self.n_routed:
            parts.append(f"{self.n_routed:,} of them by trafilatura")
        if self.n_given:
            parts.append(f"{self.n_given:,} that {'was' if self.n_given == 1 else 'were'} text already")
        lines = [", ".join(parts)]
        lines += [f"  no text: {reason} {n:,}" for reason, n in sorted(self.reasons.items())]
        lines += [f"  no page: {reason} {n:,}" for reason, n in sorted(self.others.items())]
        return "\n".join(lines) + "\n"

    def others_said(self) -> str:
        """Why records are no pages, in a line."""
        return ", ".join(f"{reason} {n:,}" for reason, n in sorted(self.others.items())) or "no records of HTML"


def settings_of(**values: object) -> ExtractSettings:
    """Settings of extraction from a command line. Raises RecipeError that names the option."""
    try:
        return ExtractSettings.model_validate({name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        raise RecipeError(settings_mistakes(error)) from error


def checked_model(path: Path | None) -> Path:
    """The classifier's file, found to be one; that which ships if None. Raises InputError."""
    if path is None:
        return MODEL_PATH
    load_given(path)
    return path


def extract_inputs(request: Request) -> tuple[int, str]:
    """Write what is asked for, to stdout if no output is given; the exit status and a summary.

    Raises InputError if an input is missing, or nothing of all could be read.
    """
    model = checked_model(request.model)
    summary = Summary()
    with TemporaryDirectory() as folder, _writer(request) as write:
        extractor = PageExtractor(request.settings, Outputs(Path(folder), 0), model=model)
        found = records(request.inputs, html=request.html, max_bytes=request.settings.limits.max_bytes)
        for batch in _batches(found, request.limit, summary):
            rows = []
            for one, extraction in zip(batch, _extractions(batch, extractor), strict=True):
                _count(summary, one, extraction)
                rows.append(_row(one, extraction))
            write.write(rows)
        if not summary.n_pages and not summary.n_given:
            raise InputError(f"{', '.join(request.inputs)}: no page could be read: {summary.others_said()}")
    return (PARTIAL if summary.is_partial else 0), summary.as_text()


def compare_inputs(request: Request, other: str, report: Path | None) -> str:
    """Our extractor as it is asked for beside another one, on the pages of the inputs; a page of it in `report`.

    Raises RecipeError for an unknown extractor, MissingExtraError for one that is not installed, and InputError if an
    input is missing, or no page could be read.
    """
    model, other = checked_model(request.model), checked_name(other)
    if other.startswith("model:"):
        checked_model(Path(other.removeprefix("model:")))
    if request.output is not None:
        raise RecipeError("--compare writes no texts: leave --output out, or --compare")
    summary = Summary()
    found = records(request.inputs, html=request.html, max_bytes=request.settings.limits.max_bytes)
    pages = (one for one in found if one.record.html or one.record.reason or one.record.is_damaged)
    settings = request.settings
    name = settings.profile if request.model is None else f"{settings.profile} with {request.model.name}"
    with ExitStack() as stack:
        compared = compare(
            _batches(pages, request.limit, summary),
            (name, described(other)),
            lambda: (ours(settings, model, stack), named(other, settings, stack)),
        )
    if not compared.pages:
        raise InputError(f"{', '.join(request.inputs)}: no page could be read: {summary.others_said()}")
    if report is not None:
        with whole_file(report) as part:
            part.write_text(as_html(compared, _options(settings)), encoding="utf-8")
    return as_text(compared)


def _options(settings: ExtractSettings) -> str:
    """Settings that are not the defaults, in words."""
    changed = settings.model_dump(exclude_defaults=True, exclude={"profile"})
    return f"Asked with {', '.join(f'{name} {value}' for name, value in changed.items())}." if changed else ""


def _batches(found: Iterator[Found], limit: int | None, summary: Summary) -> Iterator[list[Found]]:
    """Pages, texts and URLs without a page, so many at a time that the most doubtful pages can be found among them."""
    batch: list[Found] = []
    n_pages = n_bytes = 0
    for one in found:
        record = one.record
        if record.reason or record.is_damaged:
            summary.others[record.reason or "damaged"] += 1
            if one.is_fetched:
                batch.append(one)
            continue
        batch.append(one)
        n_pages += 1
        n_bytes += len(record.html or record.text or "")
        if len(batch) >= BATCH_PAGES or n_bytes >= BATCH_PAGE_BYTES or n_pages == limit:
            yield batch
            batch, n_bytes = [], 0
        if n_pages == limit:
            return
    if batch:
        yield batch


def _extractions(batch: Sequence[Found], extractor: PageExtractor) -> Iterator[Extraction]:
    pages = [Page(one.record.html, one.record.charset) for one in batch if one.record.html]
    extracted = iter(extractor(pages))
    for one in batch:
        if one.record.reason:
            yield Extraction(reason=one.record.reason)
        elif one.record.html:
            yield next(extracted)
        else:
            yield given_text(one.record)


def _count(summary: Summary, one: Found, found: Extraction) -> None:
    if one.record.reason:
        return  # counted when it was read
    if one.record.html is None and found.text:
        summary.n_given += 1
        return
    summary.n_pages += 1
    summary.n_texts += bool(found.text)
    summary.n_routed += found.extractor == "trafilatura"
    summary.is_partial |= found.reason == "guarded"
    if found.reason:
        summary.reasons[found.reason] += 1


def _row(one: Found, found: Extraction) -> dict[str, Any]:
    row = {
        "file": one.file,
        "offset": one.record.offset,
        "url": one.record.url,
        "text": found.text,
        "reason": found.reason,
        "extractor": found.extractor,
        "doubt": found.doubt,
        "title": found.title,
        "author": found.author,
        "date": found.date,
        "language": found.language,
        "canonical_url": found.url,
        "site_name": found.site_name,
    }
    return {name: encodable(value) for name, value in row.items()}


class Writer(Protocol):
    """Where rows go."""

    def write(self, rows: Sequence[dict[str, Any]]) -> None: ...


class _Lines:
    """JSON lines into a file."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        self._file.write(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows))


class _Text:
    """The text of one page."""

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            sys.stdout.buffer.write((row["text"] + "\n").encode() if row["text"] else b"")


class _Rows:
    """Rows into a Parquet file, some MB at a time."""

    def __init__(self, shard: Any) -> None:
        self._shard = shard

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        waiting: list[dict[str, Any]] = []
        n_bytes = 0
        for row in rows:
            waiting.append(row)
            n_bytes += len(row["text"])
            if n_bytes >= BATCH_BYTES:
                self._shard.write_rows(waiting)
                waiting, n_bytes = [], 0
        self._shard.write_rows(waiting)


@contextmanager
def _writer(request: Request) -> Iterator[Writer]:
    """Where the rows of a request go; a file is there whole or not at all. Raises RecipeError for another suffix."""
    output = request.output
    if output is None:
        yield _Text() if is_one_page(request.inputs) else _Lines(sys.stdout.buffer)
        sys.stdout.buffer.flush()
    elif output.suffix == ".parquet":
        with parquet_shard(output, ROW) as shard:
            yield _Rows(shard)
    elif output.suffix == ".jsonl":
        with whole_file(output) as part, part.open("wb") as file:
            yield _Lines(file)
    else:
        raise RecipeError(f"--output {output}: the file ends in .jsonl or .parquet")

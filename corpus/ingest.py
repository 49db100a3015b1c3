"""Inputs to documents: every record of every file is accounted for, and every page with text becomes a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import xxhash
from pydantic import BaseModel, Field, field_serializer

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError
from datassay.corpus.extract import Extraction
from datassay.corpus.given import GivenFile
from datassay.corpus.hashing import seed_of, uniform
from datassay.corpus.html.classifier import MODEL_PATH
from datassay.corpus.language import IdentifySettings, identify, load_model
from datassay.corpus.page_extractor import ExtractSettings, Page, PageExtractor
from datassay.corpus.readers import read_records
from datassay.corpus.records import InputFile, Record
from datassay.corpus.schema import DOCUMENT, RECORD, document_id
from datassay.corpus.store import Outputs, ParquetShard

if TYPE_CHECKING:
    import tldextract

VERSION = 5
CENSUS_VERSION = 2

EXTRACTION = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("extraction_doubt", pa.float64()),  # 0 to 1; null where the input was text already
    ]
)

CENSUS = pa.schema([pa.field("chance", pa.float64(), nullable=False)])

BATCH_BYTES = 16 << 20
"""Rows wait until they are so large together, and are then written as one batch."""
BATCH_PAGES = 256
"""Pages that are extracted together, so that the most doubtful of them can be found…"""
BATCH_PAGE_BYTES = 64 << 20
"""…or fewer, if they are so large together…"""
BATCH_RECORDS = 10_000
"""…or there are so many records, of whatever kind."""


class IngestSettings(BaseModel, frozen=True, extra="forbid"):
    """What one task reads, and how."""

    files: tuple[InputFile, ...]
    fields: dict[str, str] = {}
    """Names of columns in the input by what they are here, such as {"text": "content"}."""
    keep_languages: tuple[str, ...] = ()
    """What the gate lets through; no gate if empty."""
    languages: IdentifySettings = IdentifySettings()
    """What the gate identifies languages with."""
    extract: ExtractSettings = ExtractSettings()
    classifier: GivenFile | None = None
    """Another one than ours to find main text with."""
    share: float = Field(default=1.0, gt=0, le=1)
    """Share of the pages that are taken, by hash of id; the others are skipped as `not_sampled`."""
    seed: int = 0
    """Another seed takes others."""

    @field_serializer("files")
    def _name_files(self, files: tuple[InputFile, ...]) -> list[dict[str, object]]:
        """Files by name and content, so that a task's key does not depend on where they lie."""
        return [{"name": file.name, "sha256": file.sha256, "source": file.source} for file in files]


def ingest(inputs: Inputs, settings: IngestSettings, out: Outputs) -> None:  # noqa: ARG001
    """The documents of the task's files as "documents", how doubtful their texts are as "extraction" (in the same
    order), and what became of each record as "records".

    Counts: records, bytes (of pages), page, quarantine, skipped, skipped_REASON, extracted, routed, gated,
    payload_repeats, guarded.
    """
    gate = None
    if settings.extract.gate and settings.keep_languages:
        load_model(settings.languages.path)  # before the first page, whose guard does not count it
        gate = partial(is_wanted, settings=settings)
    extractor = PageExtractor(
        settings.extract, out, gate, MODEL_PATH if settings.classifier is None else settings.classifier.path
    )
    with ExitStack() as stack:
        documents = Batches(stack.enter_context(out.parquet("documents", DOCUMENT)))
        doubts = Batches(stack.enter_context(out.parquet("extraction", EXTRACTION)))
        records = Batches(stack.enter_context(out.parquet("records", RECORD)))
        for batch in batches_of(settings):
            pages = [Page(record.html, record.charset) for record, _, reason in batch if record.html and not reason]
            extracted = iter(extractor(pages))
            for record, file, reason in batch:
                is_page = bool(record.html) and not reason
                found = next(extracted) if is_page else given_text(record)
                document, reason = (None, reason) if reason else to_document(record, file, found)
                row = _record_row(record, file, document, reason)
                _count(row, record, out)
                records.add(row, n_bytes=256)
                if document is not None:
                    documents.add(document, n_bytes=len(document["text"]))
                    doubts.add({"id": document["id"], "extraction_doubt": found.doubt}, n_bytes=64)
        documents.flush()
        doubts.flush()
        records.flush()


Taken = tuple[Record, InputFile, str | None]
"""A record with its file, and the reason why it is no page, if it is none."""


def batches_of(settings: IngestSettings) -> Iterator[list[Taken]]:
    """All records of the task's files, so many at a time that their pages can be extracted together."""
    batch: list[Taken] = []
    n_pages, n_bytes = 0, 0
    for file in settings.files:
        for record in records_of(file, settings):
            is_taken = settings.share == 1 or chance(record, file, settings.seed) < settings.share
            reason = record.reason or ("damaged" if record.is_damaged else None if is_taken else "not_sampled")
            batch.append((record, file, reason))
            n_pages += bool(record.html) and not reason
            n_bytes += len(record.html or record.text or "")
            if n_pages >= BATCH_PAGES or n_bytes >= BATCH_PAGE_BYTES or len(batch) >= BATCH_RECORDS:
                yield batch
                batch, n_pages, n_bytes = [], 0, 0
    yield batch


def records_of(file: InputFile, settings: IngestSettings) -> Iterator[Record]:
    """The records of one file. Raises InputError if it cannot be read to its end."""
    try:
        yield from read_records(file, fields=settings.fields)
    except OSError as error:
        raise InputError(f"{file.url}: cannot be read: {error.strerror or error}") from error


def chance(record: Record, file: InputFile, seed: int) -> float:
    """A number in [0, 1) for a record, which decides whether a sample takes it."""
    return float(uniform(seed_of("sample", seed), [document_id(file.name, record.offset)])[0])


def census(inputs: Inputs, settings: IngestSettings, out: Outputs) -> None:  # noqa: ARG001
    """The chance of every page of the task's files as "census", so that a sample of so many pages can be drawn."""
    with out.parquet("census", CENSUS) as shard:
        for file in settings.files:
            records = records_of(file, settings)
            found = [chance(record, file, settings.seed) for record in records if record.outcome == "page"]
            shard.write(pa.RecordBatch.from_arrays([pa.array(found, pa.float64())], schema=CENSUS))
            out.counts["pages"] += len(found)


class Batches:
    """Rows on their way into a shard, in batches of bounded size."""

    def __init__(self, shard: ParquetShard) -> None:
        self._shard = shard
        self._rows: list[dict[str, Any]] = []
        self._n_bytes = 0

    def add(self, row: dict[str, Any], *, n_bytes: int) -> None:
        self._rows.append(row)
        self._n_bytes += n_bytes
        if self._n_bytes >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        self._shard.write_rows(self._rows)
        self._rows, self._n_bytes = [], 0


def is_wanted(text: str, settings: IngestSettings) -> bool:
    """Whether a page with this text may be in a language that is kept: False only if it surely is in another."""
    if len(text) < settings.extract.gate_min_chars:
        return True
    languages, scores = identify([text], model=settings.languages.path)
    is_sure = bool(scores[0]) and scores[0][0] >= settings.extract.gate_min_score
    return not is_sure or languages[0][0] in settings.keep_languages


def given_text(record: Record) -> Extraction:
    """What a record is that is no page: text already, or nothing."""
    text = record.text or ""
    return Extraction(text) if text.strip() else Extraction(reason="no_text")


def to_document(record: Record, file: InputFile, extraction: Extraction) -> tuple[dict[str, Any] | None, str | None]:
    """The row of DOCUMENT for what was extracted from a record, or None and the reason why there is none."""
    if extraction.reason is not None:
        return None, extraction.reason
    row = {
        "id": document_id(file.name, record.offset),
        "text": _encodable(extraction.text),
        "url": _encodable(record.url),
        "domain": _encodable(_domain(record)),
        "date": _encodable(record.date),
        "source": file.source,
        "source_id": _encodable(record.source_id),
        "file": file.name,
        "offset": record.offset,
        "extractor": extraction.extractor,
        "metadata": _metadata(record, extraction),
    }
    return row, None


def _metadata(record: Record, extraction: Extraction) -> str | None:
    """A JSON object of what the input says and what the page says about itself; None if neither says anything."""
    found = {
        "title": extraction.title,
        "author": extraction.author,
        "published": extraction.date,
        "html_language": extraction.language,
        "canonical_url": extraction.url,
        "site_name": extraction.site_name,
    }
    stated = {name: value for name, value in found.items() if value}
    merged: dict[str, Any] = encodable({**stated, **record.metadata})
    if extraction.doubt is not None:
        merged["extraction_doubt"] = extraction.doubt
    if not merged:
        return None
    return orjson.dumps(merged, default=str, option=orjson.OPT_SORT_KEYS).decode()


def encodable(value: object) -> Any:
    """The value with text that can be written as UTF-8, at any depth."""
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, Mapping):
        return {_encodable(str(name)): encodable(below) for name, below in value.items()}
    if isinstance(value, list | tuple):
        return [encodable(below) for below in value]
    return value


def _encodable(text: Any) -> Any:
    """The text with "?" for lone surrogates, which no file can hold; None stays None."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "replace").decode()


def _domain(record: Record) -> str | None:
    if record.url:
        return registered_domain(record.url)
    stated = record.metadata.get("domain")
    return stated if isinstance(stated, str) else None


def registered_domain(url: str) -> str | None:
    """The domain that someone registered, such as example.co.uk; the host itself where there is none, such as an IP."""
    found = _suffixes()(url)
    if found.domain and found.suffix:
        return f"{found.domain}.{found.suffix}"
    return found.domain or found.suffix or None


@lru_cache(maxsize=1)
def _suffixes() -> tldextract.TLDExtract:
    """The public suffix list as it comes with tldextract: nothing is fetched, nothing is cached on disk."""
    import tldextract

    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


def _record_row(
    record: Record, file: InputFile, document: Mapping[str, Any] | None, reason: str | None
) -> dict[str, Any]:
    outcome = "page" if document is not None else "quarantine" if record.is_damaged else "skipped"
    return {
        "file": file.name,
        "offset": record.offset,
        "length": record.length,
        "outcome": outcome,
        "reason": reason,
        "id": document["id"] if document is not None else None,
        "url": _encodable(record.url),
        "source_id": _encodable(record.source_id),
        "payload_hash": None if record.html is None else xxhash.xxh3_128_hexdigest(record.html),
    }


def _count(row: Mapping[str, Any], record: Record, out: Outputs) -> None:
    out.counts["records"] += 1
    out.counts["bytes"] += len(record.html or b"") or len((record.text or "").encode("utf-8", "replace"))
    out.counts[row["outcome"]] += 1
    if row["outcome"] == "skipped":
        out.counts[f"skipped_{row['reason']}"] += 1

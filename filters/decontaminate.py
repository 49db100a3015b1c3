"""What the questions that documents hold mean for them: signals, cuts, and a report for each question.

    decontaminate    ─► decontamination, edits, contamination (for each shard)
    report_questions ─► question_files, question_documents

The matches are those of `question_search`, the values and their sources those of `decontaminate_settings`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from datassay.corpus.engine import Inputs
from datassay.corpus.store import Outputs, read_batches
from datassay.filters.decontaminate_settings import CutSettings, ReportSettings
from datassay.filters.question_search import BATCH_ROWS, EXCERPT_CHARS, MATCHES

VERSION = 1
REPORT_VERSION = 1

RULE = "decontaminate"
"""Of the edits."""

DECONTAMINATION = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("contaminated_ngram_count", pa.int64(), nullable=False),  # places; frequent n-grams do not count
        pa.field("contaminated_question_count", pa.int64(), nullable=False),  # of which one is there at least
        pa.field("contaminated_fraction", pa.float64(), nullable=False),  # characters within such places, of all
        pa.field("contaminated_by", pa.string()),  # FILE#ROW of the question that comes first in the text, if any
        pa.field("decontaminated_piece_count", pa.int64(), nullable=False),  # that cutting leaves, the short ones too
        pa.field("decontaminated_chars", pa.int64(), nullable=False),  # of the pieces that are long enough
    ]
)
EDITS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),  # characters
        pa.field("end", pa.int64(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("replacement", pa.string(), nullable=False),
    ]
)
CONTAMINATION = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),  # of the document
        pa.field("start", pa.int64(), nullable=False),  # of one stretch that both have, characters of the document
        pa.field("end", pa.int64(), nullable=False),
        pa.field("excerpt", pa.string(), nullable=False),  # its first characters
    ]
)
QUESTION_FILES = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("n_questions", pa.int64(), nullable=False),
        pa.field("n_matchable", pa.int64(), nullable=False),  # the others are too short
        pa.field("n_found", pa.int64(), nullable=False),  # questions of which the corpus holds something
        pa.field("n_documents", pa.int64(), nullable=False),  # that hold something of one
        pa.field("n_ngrams", pa.int64(), nullable=False),
        pa.field("n_frequent_ngrams", pa.int64(), nullable=False),  # of these, in too many documents to count
    ]
)
QUESTION_DOCUMENTS = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("n_ngrams", pa.int64(), nullable=False),  # different ones; 0: too short to be looked for
        pa.field("n_frequent_ngrams", pa.int64(), nullable=False),  # of these, in too many documents to count
        pa.field("n_documents", pa.int64(), nullable=False),  # that hold something of it
    ]
)


@dataclass(frozen=True, slots=True)
class Index:
    """The n-grams and whose they are."""

    is_frequent: NDArray[np.bool_]  # by n-gram
    offsets: NDArray[np.int64]  # (n-grams + 1,), where its questions begin
    questions: NDArray[np.int64]  # numbers of questions
    files: list[str]  # by question
    rows: NDArray[np.int64]  # by question


def _read_index(inputs: Inputs) -> Index:
    lists = pq.read_table(inputs.one("question_ngrams"), columns=["questions"])["questions"].combine_chunks()
    questions = pq.read_table(inputs.one("questions"), columns=["file", "row"])
    is_frequent = np.zeros(len(lists), np.bool_)
    is_frequent[pq.read_table(inputs.one("frequent_ngrams"))["ngram"].to_numpy()] = True
    offsets = np.r_[0, np.cumsum(lists.value_lengths().to_numpy())].astype(np.int64)
    files = questions["file"].to_pylist()
    return Index(is_frequent, offsets, lists.flatten().to_numpy(), files, questions["row"].to_numpy())


Span = tuple[int, int]


def decontaminate(inputs: Inputs, settings: CutSettings, out: Outputs) -> None:
    """What the questions mean for each document of a shard.

    Reads `clean`, its `matches`, and, whole, `question_ngrams`, `questions` and `frequent_ngrams`.

    Writes `decontamination` (signals, a row for each document), `edits` (none unless cutting is asked for) and
    `contamination` (a row for each stretch that a document shares with a question, by document, question and place).
    Counts `documents`, `contaminated` (documents with a match), `cut_chars`, and `overlaps`.
    """
    index = _read_index(inputs)
    with ExitStack() as stack:
        signals, edits, overlaps = (
            stack.enter_context(out.parquet(name, schema))
            for name, schema in (
                ("decontamination", DECONTAMINATION),
                ("edits", EDITS),
                ("contamination", CONTAMINATION),
            )
        )
        for batch, matches in _with_matches(inputs):
            columns = _clean_signals(batch)
            cuts: list[dict[str, object]] = []
            shared: list[dict[str, object]] = []
            for row, found in _by_document(matches, index):
                name, text = batch["id"][row].as_py(), batch["text"][row].as_py()
                values, spans = _judge(len(text), found, index, settings)
                for column, value in values.items():
                    columns[column][row] = value
                shared += _overlaps(name, text, found, index)
                if settings.is_cut:
                    cuts += [_edit(name, span, len(text), settings) for span in spans]
                    out.counts["cut_chars"] += len(text) - columns["decontaminated_chars"][row]
                out.counts["contaminated"] += 1
            arrays = [pa.array(columns[field.name], field.type) for field in DECONTAMINATION if field.name != "id"]
            signals.write(pa.RecordBatch.from_arrays([batch["id"], *arrays], schema=DECONTAMINATION))
            edits.write_rows(cuts)
            overlaps.write_rows(shared)
            out.counts["documents"] += batch.num_rows
            out.counts["overlaps"] += len(shared)


def _with_matches(inputs: Inputs) -> Iterator[tuple[pa.RecordBatch, pa.Table]]:
    """Batches of documents, each with its matches, whose documents are then rows of the batch."""
    more = read_batches(inputs.all("matches"), n_rows=65_536)
    waiting = MATCHES.empty_table()
    start = 0
    for batch in read_batches(inputs.all("clean"), columns=["id", "text"], n_rows=BATCH_ROWS):
        end = start + batch.num_rows
        while not waiting.num_rows or waiting["document"][-1].as_py() < end:
            block = next(more, None)
            if block is None:
                break
            waiting = pa.concat_tables([waiting, pa.Table.from_batches([block], MATCHES)])
        n_here = int(np.searchsorted(waiting["document"].to_numpy(), end))
        here = waiting.slice(0, n_here)
        yield batch, here.set_column(0, MATCHES.field(0), pc.subtract(here["document"], start))
        waiting = waiting.slice(n_here)
        start = end


def _clean_signals(batch: pa.RecordBatch) -> dict[str, list[Any]]:
    """The signals of documents without a match."""
    n_chars = pc.utf8_length(batch["text"]).cast(pa.int64()).to_pylist()
    n = batch.num_rows
    columns: dict[str, list[Any]] = {name: [0] * n for name in DECONTAMINATION.names}
    columns["contaminated_fraction"], columns["contaminated_by"] = [0.0] * n, [None] * n
    columns["decontaminated_piece_count"] = [int(length > 0) for length in n_chars]
    columns["decontaminated_chars"] = n_chars
    return columns


def _by_document(matches: pa.Table, index: Index) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(row of the batch, its matches but for frequent n-grams: (matches, 3) of n-gram, start, end)."""
    documents, *rest = (matches[name].to_numpy() for name in MATCHES.names)
    counts = ~index.is_frequent[rest[0]]
    documents, places = documents[counts], np.stack(rest, axis=1)[counts]
    rows, firsts = np.unique(documents, return_index=True)
    yield from zip(rows.tolist(), np.split(places, firsts[1:]), strict=False)


def _judge(
    n_chars: int, found: NDArray[np.int64], index: Index, settings: CutSettings
) -> tuple[dict[str, object], list[Span]]:
    """The signals of a document with these matches, and what cutting takes from it."""
    places = merged([(start, end) for _, start, end in found.tolist()])
    n_pieces, cuts = cuts_of(n_chars, places, settings)
    earliest = found[found[:, 1] == found[0, 1], 0]
    first = min(int(index.questions[index.offsets[ngram]]) for ngram in earliest)
    values = {
        "contaminated_ngram_count": len(found),
        "contaminated_question_count": len({q for ngram in found[:, 0] for q in _questions(index, ngram)}),
        "contaminated_fraction": _length(places) / n_chars,
        "contaminated_by": f"{index.files[first]}#{index.rows[first]}",
        "decontaminated_piece_count": n_pieces,
        "decontaminated_chars": n_chars - _length(cuts),
    }
    return values, cuts


def _questions(index: Index, ngram: int) -> list[int]:
    found: list[int] = index.questions[index.offsets[ngram] : index.offsets[ngram + 1]].tolist()
    return found


def _length(spans: Sequence[Span]) -> int:
    return sum(end - start for start, end in spans)


def merged(spans: Sequence[Span]) -> list[Span]:
    """The spans, sorted, those that overlap or touch as one."""
    result: list[Span] = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result


def cuts_of(n_chars: int, places: Sequence[Span], settings: CutSettings) -> tuple[int, list[Span]]:
    """How many pieces the windows around places leave of a text, and all that is cut, short pieces with it."""
    window = settings.window_chars
    windows = merged([(max(0, start - window), min(n_chars, end + window)) for start, end in places])
    edges = [0, *(edge for span in windows for edge in span), n_chars]
    pieces = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]
    short = [(a, b) for a, b in pieces if b - a < settings.min_piece_chars]
    return len(pieces), merged([*windows, *short])


def _edit(name: str, span: Span, n_chars: int, settings: CutSettings) -> dict[str, object]:
    start, end = span
    replacement = settings.joint if start > 0 and end < n_chars else ""
    return {"id": name, "start": start, "end": end, "rule": RULE, "replacement": replacement}


def _overlaps(name: str, text: str, found: NDArray[np.int64], index: Index) -> list[dict[str, object]]:
    """The rows of CONTAMINATION of one document."""
    spans: dict[int, list[Span]] = {}
    for ngram, start, end in found.tolist():
        for question in _questions(index, ngram):
            spans.setdefault(question, []).append((start, end))
    return [
        {
            "file": index.files[question],
            "row": int(index.rows[question]),
            "id": name,
            "start": start,
            "end": end,
            "excerpt": text[start : min(end, start + EXCERPT_CHARS)],
        }
        for question in sorted(spans)
        for start, end in merged(spans[question])
    ]


def report_questions(inputs: Inputs, settings: ReportSettings, out: Outputs) -> None:  # noqa: ARG001
    """What was found of each question. Reads `questions`, `question_ngrams`, `frequent_ngrams` and all `contamination`.

    Writes `question_documents`, a row for each question, by which scores on clean and on found questions can be
    compared, and `question_files`, a row for each file. Counts `found NAME`, the questions found of each file.
    """
    index = _read_index(inputs)
    n_ngrams = pq.read_table(inputs.one("questions"), columns=["n_ngrams"])["n_ngrams"].to_numpy()
    number = {(file, row): i for i, (file, row) in enumerate(zip(index.files, index.rows.tolist(), strict=True))}
    documents = np.zeros(len(n_ngrams), np.int64)
    of_files: Counter[str] = Counter()
    for _, overlaps in groupby(_rows(inputs), key=lambda row: row[2]):
        found = {(file, row) for file, row, _ in overlaps}
        for question in found:
            documents[number[question]] += 1
        of_files.update({file for file, _ in found})
    of_entry = np.repeat(np.arange(len(index.is_frequent)), np.diff(index.offsets))
    frequent = np.bincount(index.questions[index.is_frequent[of_entry]], minlength=len(n_ngrams))
    columns = [index.files, index.rows, n_ngrams, frequent, documents]
    with out.parquet("question_documents", QUESTION_DOCUMENTS) as shard:
        shard.write(pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=QUESTION_DOCUMENTS))
    names, firsts = np.unique(np.array(index.files, object), return_index=True)
    with out.parquet("question_files", QUESTION_FILES) as shard:
        for name in names[np.argsort(firsts)].tolist():
            of_file = np.array(index.files, object) == name
            has = np.zeros(len(index.is_frequent), np.bool_)
            has[of_entry[of_file[index.questions]]] = True
            row = {
                "file": name,
                "n_questions": int(of_file.sum()),
                "n_matchable": int((n_ngrams[of_file] > 0).sum()),
                "n_found": int((documents[of_file] > 0).sum()),
                "n_documents": of_files[name],
                "n_ngrams": int(has.sum()),
                "n_frequent_ngrams": int((has & index.is_frequent).sum()),
            }
            shard.write_rows([row])
            out.counts[f"found {name}"] = row["n_found"]


def _rows(inputs: Inputs) -> Iterator[tuple[str, int, str]]:
    """(file, row, document) of each overlap, those of a document together."""
    for batch in read_batches(inputs.all("contamination"), columns=["file", "row", "id"]):
        yield from zip(*(batch[name].to_pylist() for name in ("file", "row", "id")), strict=True)

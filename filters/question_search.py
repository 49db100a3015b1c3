"""The search for questions in the corpus: from their files to the places where documents hold them.

    index_questions ─► question_ngrams, questions
    count_matches   ─► matches, ngram_documents (for each shard)
    frequent_ngrams ─► frequent_ngrams (the whole corpus)

What these hold in memory grows with the n-grams of the questions, whatever the size of the corpus. The search itself
is 17 to 23 times as fast as a loop over Python's words: in one run 170 MB of text a second on one core and 7.4 MB, in
others, on a busier machine, 68 and 4.0 or 44 and 2.4 (benchmarks/decontaminate.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError
from datassay.corpus.store import Outputs, read_batches
from datassay.filters.decontaminate_settings import FrequentSettings, IndexSettings, MatchSettings
from datassay.filters.question_files import Question, QuestionFile, read_questions
from datassay.filters.question_ngrams import (
    Found,
    Matches,
    Needles,
    find_ngrams,
    find_paragraphs,
    new_needles,
    question_ngrams,
    question_paragraphs,
)

INDEX_VERSION = 1
MATCH_VERSION = 1
FREQUENT_VERSION = 1

BATCH_ROWS = 1024
MAX_LISTED = 16
"""An n-gram is listed for its first questions alone, this many at most: what more of them share is a template."""
EXCERPT_CHARS = 200

QUESTION_NGRAMS = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),  # sorted, distinct
        pa.field("prefix", pa.uint64(), nullable=False),
        pa.field("n_words", pa.int64(), nullable=False),
        pa.field("n_questions", pa.int64(), nullable=False),
        pa.field("questions", pa.list_(pa.int64()), nullable=False),  # the first MAX_LISTED, rows of QUESTIONS
    ]
)
QUESTIONS = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("n_ngrams", pa.int64(), nullable=False),  # different ones; 0: too short to be looked for
        pa.field("excerpt", pa.string(), nullable=False),
    ]
)
MATCHES = pa.schema(
    [
        pa.field("document", pa.int64(), nullable=False),  # row of the shard
        pa.field("ngram", pa.int64(), nullable=False),  # row of QUESTION_NGRAMS
        pa.field("start", pa.int64(), nullable=False),  # characters
        pa.field("end", pa.int64(), nullable=False),
    ]
)
NGRAM_DOCUMENTS = pa.schema(
    [
        pa.field("ngram", pa.int64(), nullable=False),
        pa.field("text_hash", pa.uint64(), nullable=False),  # of one of the different texts that hold it
    ]
)
FREQUENT_NGRAMS = pa.schema([pa.field("ngram", pa.int64(), nullable=False)])


def index_questions(inputs: Inputs, settings: IndexSettings, out: Outputs) -> None:  # noqa: ARG001
    """Read the question files; writes `question_ngrams`, sorted by key, and `questions`, in the order of the files.

    Counts `questions`, `unmatchable` (too short to be looked for) and `ngrams`. Raises InputError if a file has no
    question, or if all questions are unmatchable.
    """
    found: list[Found] = []
    n_questions = 0
    with out.parquet("questions", QUESTIONS) as shard:
        for file in settings.files:
            first = n_questions
            for batch in _question_batches(file):
                ngrams = _ngrams(batch, settings, n_questions)
                distinct = np.unique(np.stack([ngrams.rows - n_questions, ngrams.keys.view(np.int64)]), axis=1)
                counts = np.bincount(distinct[0], minlength=len(batch))
                columns = [
                    pa.repeat(file.name, len(batch)),
                    pa.array(np.arange(n_questions - first, n_questions - first + len(batch))),
                    pa.array(counts),
                    pa.array([" | ".join(question.texts)[:EXCERPT_CHARS] for question in batch], pa.string()),
                ]
                shard.write(pa.RecordBatch.from_arrays(columns, schema=QUESTIONS))
                out.counts["unmatchable"] += int((counts == 0).sum())
                n_questions += len(batch)
                found.append(ngrams)
            if n_questions == first:
                raise InputError(f"{file.file.path}: no questions in it; leave it out")
    index = _index(Found(*(np.concatenate(parts) for parts in zip(*found, strict=True))))
    if not index.num_rows:
        raise InputError(
            f"none of {n_questions} questions has {settings.min_words} words in {_named(settings)}; "
            "lower min_words, or name other columns"
        )
    with out.parquet("question_ngrams", QUESTION_NGRAMS) as shard:
        shard.write(index)
    out.counts["questions"], out.counts["ngrams"] = n_questions, index.num_rows


def _named(settings: IndexSettings) -> str:
    return ", ".join(str(file.file.path) for file in settings.files)


def _question_batches(file: QuestionFile) -> Iterator[list[Question]]:
    questions = read_questions(file)
    while batch := list(islice(questions, BATCH_ROWS)):
        yield batch


def _ngrams(questions: Sequence[Question], settings: IndexSettings, first: int) -> Found:
    """What to look for of some questions, which are numbered from `first` on."""
    strings = [(i, is_context, text) for i, q in enumerate(questions, first)
               for is_context, texts in ((True, q.context), (False, q.texts)) for text in texts]  # fmt: skip
    if settings.unit == "lines":
        strings = [entry for entry in strings if not entry[1]]
    texts = pa.array([text for _, _, text in strings], pa.large_string())
    rows = np.array([row for row, _, _ in strings], np.int64)
    if settings.unit == "lines":
        return question_paragraphs(texts, rows, min_words=settings.min_words)
    is_context = np.array([is_context for _, is_context, _ in strings], np.bool_)
    return question_ngrams(texts, rows, is_context, n=settings.n, min_words=settings.min_words)


def _index(found: Found) -> pa.RecordBatch:
    """The n-grams of all questions, sorted by key, each with the first questions that have it."""
    order = np.lexsort((found.rows, found.keys))
    keys, rows = found.keys[order], found.rows[order]
    is_new_key = np.r_[True, keys[1:] != keys[:-1]][: len(keys)]
    is_new = is_new_key | np.r_[True, rows[1:] != rows[:-1]][: len(rows)]
    order, rows, is_new_key = order[is_new], rows[is_new], is_new_key[is_new]
    firsts = np.flatnonzero(is_new_key)
    counts = np.diff(np.r_[firsts, len(rows)])
    rank = np.arange(len(rows)) - np.repeat(firsts, counts)
    offsets = np.r_[0, np.cumsum(np.minimum(counts, MAX_LISTED))].astype(np.int32)
    chosen = order[firsts]
    columns = [
        pa.array(found.keys[chosen]),
        pa.array(found.prefixes[chosen]),
        pa.array(found.lengths[chosen]),
        pa.array(counts),
        pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows[rank < MAX_LISTED])),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=QUESTION_NGRAMS)


def count_matches(inputs: Inputs, settings: MatchSettings, out: Outputs) -> None:
    """Look for `question_ngrams` in the documents of `clean`; writes `matches`, in order of documents and places.

    Also writes `ngram_documents`: for each n-gram that comes here, the different texts that hold it, by their hashes;
    of more than it takes to know that it is frequent, the smallest hashes, so that no order of shards matters. Counts
    `documents`, `n_bytes`, `matches`.
    """
    needles = _needles(inputs.one("question_ngrams"))
    pairs = np.empty((0, 2), np.uint64)
    start = 0
    with out.parquet("matches", MATCHES) as shard:
        for batch in read_batches(inputs.all("clean"), columns=["text"], n_rows=BATCH_ROWS):
            texts = batch["text"].cast(pa.large_string())
            found = _find(texts, needles, settings)
            columns = [found.texts + start, found.needles, found.starts, found.ends]
            shard.write(pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=MATCHES))
            if settings.max_documents is not None and len(found.texts):
                pairs = _capped(np.concatenate([pairs, _pairs(texts, found)]), settings.max_documents + 1)
            start += batch.num_rows
            out.counts["n_bytes"] += pc.sum(pc.binary_length(texts)).as_py() or 0
            out.counts["matches"] += len(found.texts)
    out.counts["documents"] = start
    with out.parquet("ngram_documents", NGRAM_DOCUMENTS) as shard:
        columns = [pa.array(pairs[:, 0].astype(np.int64)), pa.array(pairs[:, 1].copy())]
        shard.write(pa.RecordBatch.from_arrays(columns, schema=NGRAM_DOCUMENTS))


def _needles(path: Path) -> Needles:
    index = pq.read_table(path, columns=["key", "prefix", "n_words"])
    return new_needles(*(np.ascontiguousarray(index[name].to_numpy()) for name in index.column_names))


def _find(texts: pa.Array, needles: Needles, settings: MatchSettings) -> Matches:
    if settings.unit == "lines":
        return find_paragraphs(texts, needles)
    return find_ngrams(texts, needles, prefix_words=settings.min_words)


def _pairs(texts: pa.Array, found: Matches) -> NDArray[np.uint64]:
    """(n-gram, hash of the text) of each match."""
    documents, of_match = np.unique(found.texts, return_inverse=True)
    hashes = np.array([xxhash.xxh3_64_intdigest(texts[int(d)].as_py().encode()) for d in documents], np.uint64)
    return np.stack([found.needles.astype(np.uint64), hashes[of_match]], axis=1)


def _capped(pairs: NDArray[np.uint64], n_most: int) -> NDArray[np.uint64]:
    """The distinct pairs, sorted, but of each n-gram only those of the `n_most` smallest hashes."""
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    pairs = pairs[np.r_[True, np.any(pairs[1:] != pairs[:-1], axis=1)][: len(pairs)]]
    firsts = np.flatnonzero(np.r_[True, pairs[1:, 0] != pairs[:-1, 0]][: len(pairs)])
    rank = np.arange(len(pairs)) - np.repeat(firsts, np.diff(np.r_[firsts, len(pairs)]))
    kept: NDArray[np.uint64] = pairs[rank < n_most]
    return kept


def frequent_ngrams(inputs: Inputs, settings: FrequentSettings, out: Outputs) -> None:
    """The n-grams that are in too many different texts; reads all `ngram_documents`, writes `frequent_ngrams`, sorted.

    Counts `frequent`.
    """
    frequent = np.empty(0, np.uint64)
    if settings.max_documents is not None:
        pairs = np.empty((0, 2), np.uint64)
        for path in inputs.all("ngram_documents"):
            table = pq.read_table(path)
            more = [table["ngram"].to_numpy().astype(np.uint64), table["text_hash"].to_numpy()]
            pairs = _capped(np.concatenate([pairs, np.stack(more, axis=1)]), settings.max_documents + 1)
        ngrams, counts = np.unique(pairs[:, 0], return_counts=True)
        frequent = ngrams[counts > settings.max_documents]
    with out.parquet("frequent_ngrams", FREQUENT_NGRAMS) as shard:
        shard.write(pa.RecordBatch.from_arrays([pa.array(frequent.astype(np.int64))], schema=FREQUENT_NGRAMS))
    out.counts["frequent"] = len(frequent)

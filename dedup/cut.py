"""Repeats as edits: where exactly a document is cut, so that what is left reads as text.

Spans begin and end at words, so never within a character. From there they grow to where a reader would cut:

- a stretch between two cuts that holds no word goes with them;
- punctuation that the first or last word of a substring carries goes with it, and a list mark or other sign between it
  and the end of its line;
- a line of which at most the share `fragment` would stay, and fewer characters than `min_tokens`, goes whole; one of
  which so little would go stays whole (white space not counted);
- whole lines go with the line breaks on one side, so that no gap stays; of words, lines and paragraphs that become
  neighbours, one blank, line break or empty line stays between.

Where kinds overlap, a paragraph counts before a line, and a line before a substring.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, NonNegativeInt, PositiveInt

from datassay.corpus.compiled import compiled
from datassay.corpus.edits import EDIT, merge
from datassay.corpus.engine import Inputs
from datassay.corpus.shuffle import read_partition
from datassay.corpus.store import Outputs, ParquetShard, read_batches
from datassay.corpus.unicode import PUNCTUATION, RUN, SPACE, TABLES, TERMINAL, Tables, decode, text_buffers
from datassay.corpus.words import WORD
from datassay.dedup.repeats import CUT
from datassay.dedup.units import BATCH_ROWS, KINDS, LINE, PARAGRAPH, SUBSTRING

VERSION = 2

REPEATED_TEXT = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),  # "line" | "paragraph" | "substring"
        pa.field("hash", pa.uint64(), nullable=False),  # the same for the same text
        pa.field("n_places", pa.int64(), nullable=False),  # in the corpus, with those that stay
        pa.field("id", pa.string(), nullable=False),  # of a document that loses it
        pa.field("start", pa.int64(), nullable=False),  # characters of the text of `clean`
        pa.field("end", pa.int64(), nullable=False),
        pa.field("excerpt", pa.string(), nullable=False),  # its first characters
    ]
)
"""What is repeated, a row for each place that is cut. A substring's `hash` and `n_places` are those of the stretch of
`min_tokens` words within it whose hash is the smallest."""

RULES = tuple(f"dedup/{kind}" for kind in KINDS)
REST_RULE = "dedup/rest"
"""Of the edit that takes what the others left of a document."""
EXCERPT_CHARS = 80
UNITE_ROWS = 1 << 20
"""Cuts that are read before those that overlap are united."""
_LINE_FEED = 0x0A


class CutSettings(BaseModel, frozen=True, extra="forbid"):
    """Which shard, and how repeats become edits."""

    shard: NonNegativeInt
    min_tokens: PositiveInt
    fragment: float
    min_chars_left: NonNegativeInt


class Spans(NamedTuple):
    """Spans of a batch's documents that go, in order of row and place, without overlaps."""

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    kinds: NDArray[np.int8]
    is_blank: NDArray[np.bool_]
    """Whether a blank comes in its place, because two words would become one: those around a cut of characters of a
    script without spaces."""

    @property
    def replacements(self) -> NDArray[np.str_]:
        """What comes in the place of each."""
        return np.where(self.is_blank, " ", "")


def cut_repeats(inputs: Inputs, settings: CutSettings, out: Outputs) -> None:
    """Make the cuts of a shard edits, merged with those found before. Reads `clean`, the shard's part of
    `cuts` and, if there, `given`.

    Writes `edits` (EDIT): all of both; and `repeats` (REPEATED_TEXT). Counts `documents`, `cut_documents` and, of each
    kind, edits and `characters`; and `rests`: documents of which less was left than `min_chars_left`. The cuts of a
    shard, overlapping ones united, and the edits given are in memory at once.
    """
    cuts = read_cuts(batch for path in inputs.all("cuts") for batch in read_partition(path, settings.shard))
    cut_rows = cuts["row"].to_numpy()
    given_rows, given = _given(inputs)
    first_row = 0
    with out.parquet("edits", EDIT) as edits, out.parquet("repeats", REPEATED_TEXT) as repeats:
        for batch in read_batches(inputs.all("clean"), columns=["id", "text"], n_rows=BATCH_ROWS):
            first, stop = np.searchsorted(cut_rows, [first_row, first_row + batch.num_rows])
            here = cuts.slice(first, stop - first)
            rows = here["row"].to_numpy() - first_row
            _write_repeats(batch, rows, here, repeats)
            spans = cut_spans(batch["text"], rows, here, min_tokens=settings.min_tokens, fragment=settings.fragment)
            before = slice(*np.searchsorted(given_rows, [first_row, first_row + batch.num_rows]))
            rows_of_all = np.concatenate([spans.rows, given_rows[before] - first_row])
            found = _edits(batch["id"], spans)
            others = given.slice(before.start, before.stop - before.start)
            merged_rows, merged = merge(rows_of_all, pa.concat_tables([found, others]))
            merged, n_rests = _without_rests(batch, merged_rows, merged, spans.rows, settings.min_chars_left)
            for part in merged.to_batches():
                edits.write(part)
            out.counts["documents"] += batch.num_rows
            out.counts["cut_documents"] += len(np.unique(spans.rows))
            out.counts["rests"] += n_rests
            for kind, name in enumerate(RULES):
                is_kind = spans.kinds == kind
                if is_kind.any():
                    out.counts[f"edits {name}"] += int(is_kind.sum())
                    out.counts[f"characters {name}"] += int((spans.ends - spans.starts)[is_kind].sum())
            first_row += batch.num_rows


def read_cuts(batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """The cuts in batches of CUT, in order of row, kind and start; substrings that overlap are one.

    Its key and number of places are those of the smallest key in it.
    """
    waiting, n_waiting = [CUT.empty_table()], 0
    for batch in batches:
        waiting.append(pa.Table.from_batches([batch], CUT))
        n_waiting += batch.num_rows
        if n_waiting > UNITE_ROWS:
            waiting = [_united(pa.concat_tables(waiting))]
            n_waiting = 0
    return _united(pa.concat_tables(waiting))


def _united(cuts: pa.Table) -> pa.Table:
    """In order of row, kind and start, with one row for substrings of a document that overlap or touch."""
    if not len(cuts):
        return cuts
    columns = {name: cuts[name].to_numpy() for name in CUT.names}
    # one number for row, kind and start, so that each document's spans of a kind lie behind those before
    width = int(columns["end"].max()) + 1
    wide = (columns["row"].astype(np.int64) * len(KINDS) + columns["kind"]) * width
    order = np.argsort(wide + columns["start"], kind="stable")
    wide, (kinds, rows, starts, ends, keys, n_places) = wide[order], (column[order] for column in columns.values())
    reached = np.maximum.accumulate(wide + ends)
    opens = np.r_[True, (wide[1:] + starts[1:] > reached[:-1]) | (kinds[1:] != SUBSTRING)]
    first = np.flatnonzero(opens)
    group = np.cumsum(opens) - 1
    has_smallest = np.flatnonzero(keys == np.minimum.reduceat(keys, first)[group])
    smallest = has_smallest[np.searchsorted(group[has_smallest], np.arange(len(first)))]
    united_ends = np.maximum.reduceat(ends, first)
    return pa.table([kinds[first], rows[first], starts[first], united_ends, keys[smallest], n_places[smallest]], CUT)


def _write_repeats(batch: pa.RecordBatch, rows: NDArray[np.int64], cuts: pa.Table, shard: ParquetShard) -> None:
    if not len(rows):
        return
    starts, ends = cuts["start"].to_pylist(), cuts["end"].to_pylist()
    texts = {row: batch["text"][row].as_py() for row in set(rows.tolist())}
    excerpts = [
        " ".join(texts[row][start : min(end, start + EXCERPT_CHARS)].split())
        for row, start, end in zip(rows.tolist(), starts, ends, strict=True)
    ]
    columns = [
        pa.array(KINDS).take(cuts["kind"].combine_chunks()),
        cuts["key"].combine_chunks(),
        cuts["n_places"].combine_chunks(),
        batch["id"].take(pa.array(rows)),
        cuts["start"].combine_chunks().cast(pa.int64()),
        cuts["end"].combine_chunks().cast(pa.int64()),
        pa.array(excerpts, pa.string()),
    ]
    shard.write(pa.record_batch(columns, schema=REPEATED_TEXT))


def _given(inputs: Inputs) -> tuple[NDArray[np.int64], pa.Table]:
    """The edits that were found before, and the rows of their documents."""
    tables = [EDIT.empty_table(), *(pq.read_table(path) for path in inputs.files.get("given", ()))]
    given = pa.concat_tables(tables)
    ids = pq.read_table(inputs.one("clean"), columns=["id"])["id"] if len(given) else given["id"]
    rows = pc.index_in(given["id"], value_set=ids.combine_chunks())
    return np.asarray(rows, np.int64), given


def _edits(ids: pa.Array, spans: Spans) -> pa.Table:
    rules = pa.array(RULES).take(pa.array(spans.kinds))
    columns = [
        ids.take(pa.array(spans.rows)),
        spans.starts,
        spans.ends,
        rules,
        pa.array(spans.replacements, pa.string()),
    ]
    return pa.table(columns, schema=EDIT)


def _without_rests(
    batch: pa.RecordBatch,
    rows: NDArray[np.int64],
    edits: pa.Table,
    cut_rows: NDArray[np.int64],
    min_chars: int,
) -> tuple[pa.Table, int]:
    """The edits, with one for all of the text in place of those that leave a document that was cut too little of it."""
    n_chars = pc.utf8_length(batch["text"]).to_numpy().astype(np.int64)
    gone = (edits["end"].to_numpy() - edits["start"].to_numpy()) - pc.utf8_length(edits["replacement"]).to_numpy()
    left = n_chars - np.bincount(rows, gone, len(n_chars)).astype(np.int64)
    is_rest = np.zeros(len(n_chars), bool)
    is_rest[cut_rows] = True
    is_rest &= left < min_chars
    documents = np.flatnonzero(is_rest)
    if not len(documents):
        return edits, 0
    whole = [
        batch["id"].take(pa.array(documents)),
        np.zeros(len(documents), np.int64),
        n_chars[documents],
        pa.repeat(REST_RULE, len(documents)),
        pa.repeat("", len(documents)),
    ]
    stays = ~is_rest[rows]
    order = np.argsort(np.concatenate([rows[stays], documents]), kind="stable")
    table = pa.concat_tables([edits.filter(pa.array(stays)), pa.table(whole, schema=EDIT)])
    return table.take(pa.array(order)), len(documents)


def cut_spans(texts: pa.Array, rows: NDArray[np.int64], cuts: pa.Table, *, min_tokens: int, fragment: float) -> Spans:
    """Where texts are cut.

    rows: (cuts,), of each cut, in order
    cuts: CUT
    """
    starts, ends, kinds = (cuts[name].to_numpy() for name in ("start", "end", "kind"))
    found = _cut_spans(*text_buffers(texts), TABLES, rows.astype(np.int64), starts, ends, kinds, min_tokens, fragment)
    return Spans(*found)


@compiled
def _cut_spans(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    tables: Tables,
    rows: NDArray[np.int64],
    starts: NDArray[np.int32],
    ends: NDArray[np.int32],
    kinds: NDArray[np.int8],
    min_tokens: int,
    fragment: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int8], NDArray[np.bool_]]:
    longest = 0
    for row in rows:
        longest = max(longest, offsets[row + 1] - offsets[row])
    codes, flags, marks = np.empty(longest, np.int32), np.empty(longest, np.uint16), np.empty(longest, np.int8)
    found_rows, found_starts, found_ends = [np.int64(0)], [np.int64(0)], [np.int64(0)]
    found_kinds, found_blanks = [np.int8(0)], [False]
    i = 0
    while i < len(rows):
        row = rows[i]
        n = decode(data, offsets[row], offsets[row + 1], tables, codes, flags)
        marks[:n] = 0
        first = i
        while i < len(rows) and rows[i] == row:
            i += 1
        for j in range(first, i):
            if kinds[j] == SUBSTRING:
                start, end = _with_punctuation(flags, codes, n, starts[j], ends[j])
                marks[start:end] = 1 + SUBSTRING
        _join(flags, marks, n, True)
        _whole_lines(codes, flags, marks, n, min_tokens, fragment)
        for kind in (LINE, PARAGRAPH):
            for j in range(first, i):
                if kinds[j] == kind:
                    marks[starts[j] : ends[j]] = 1 + kind
        _join(flags, marks, n, False)
        _white_space(codes, flags, marks, n)
        start = 0
        for place in range(1, n + 1):
            if place == n or marks[place] != marks[start]:
                if marks[start]:
                    found_rows.append(row)
                    found_starts.append(np.int64(start))
                    found_ends.append(np.int64(place))
                    found_kinds.append(np.int8(marks[start] - 1))
                    found_blanks.append(start > 0 and place < n and (flags[start - 1] & flags[place] & RUN) != 0)
                start = place
    return (
        np.array(found_rows)[1:],
        np.array(found_starts)[1:],
        np.array(found_ends)[1:],
        np.array(found_kinds)[1:],
        np.array(found_blanks)[1:],
    )


@compiled(_nrt=False)
def _with_punctuation(
    flags: NDArray[np.uint16], codes: NDArray[np.int32], n: int, start: int, end: int
) -> tuple[int, int]:
    """A span from word to word, with the punctuation that belongs to these words, or stands between and a line's end.

    What is attached to the first word from the left goes if white space stands before it; what is attached to the last
    one goes if white space follows, else those marks of it that end a sentence or a part of one.
    """
    i = start
    while i > 0 and codes[i - 1] != _LINE_FEED and not flags[i - 1] & WORD:
        i -= 1
    if i == 0 or codes[i - 1] == _LINE_FEED:
        start = i
    else:
        i = start
        while flags[i - 1] & PUNCTUATION:
            i -= 1
        start = i if flags[i - 1] & SPACE else start
    i = end
    while i < n and codes[i] != _LINE_FEED and not flags[i] & WORD:
        i += 1
    if i == n or codes[i] == _LINE_FEED:
        return start, i
    i = end
    while flags[i] & PUNCTUATION:
        i += 1
    if flags[i] & SPACE:
        return start, i
    i = end
    while flags[i] & TERMINAL or codes[i] in (0x2C, 0x3A, 0x3B, 0x3001, 0x060C, 0xFF0C, 0xFF1A, 0xFF1B):  # , : ;
        i += 1
    return start, i


@compiled(_nrt=False)
def _join(flags: NDArray[np.uint16], marks: NDArray[np.int8], n: int, by_words: bool) -> None:
    """Mark what lies between two marked stretches, as the first of them is, if it holds no word, or nothing at all."""
    end = -1  # of the last marked stretch
    for i in range(n):
        if marks[i]:
            if end >= 0:
                marks[end:i] = marks[end - 1]
            end = i + 1
        elif (by_words and flags[i] & WORD) or not (by_words or flags[i] & SPACE):
            end = -1


@compiled(_nrt=False)
def _whole_lines(
    codes: NDArray[np.int32], flags: NDArray[np.uint16], marks: NDArray[np.int8], n: int, min_tokens: int, share: float
) -> None:
    """Mark all of a line of which hardly anything would stay, and nothing of one of which hardly anything would go."""
    start = n_chars = n_cut = n_words_left = 0
    for i in range(n + 1):
        if i < n and codes[i] != _LINE_FEED:
            is_char = not flags[i] & SPACE
            n_chars += is_char
            n_cut += is_char and marks[i] != 0
            n_words_left += marks[i] == 0 and (flags[i] & WORD) != 0
            continue
        most = min(share * n_chars, min_tokens - 1)
        if n_cut and (n_words_left == 0 or n_chars - n_cut <= most):
            marks[start:i] = 1 + SUBSTRING
        elif n_cut and n_cut <= most:
            marks[start:i] = 0
        start, n_chars, n_cut, n_words_left = i + 1, 0, 0, 0


@compiled(_nrt=False)
def _white_space(codes: NDArray[np.int32], flags: NDArray[np.uint16], marks: NDArray[np.int8], n: int) -> None:
    """Mark, or spare, white space at both ends of each marked stretch, so that words stay apart and lines do not."""
    i = 0
    while i < n:
        if not marks[i]:
            i += 1
            continue
        start = i
        while i < n and marks[i]:
            i += 1
        left, end = start, i
        while left > 0 and flags[left - 1] & SPACE:
            left -= 1
        while i < n and flags[i] & SPACE:
            i += 1
        if left == 0 or i == n:
            marks[left:start], marks[end:i] = marks[start], marks[end - 1]
        else:
            _close_gap(codes, marks, left, start, end, i)


@compiled(_nrt=False)
def _close_gap(codes: NDArray[np.int32], marks: NDArray[np.int8], left: int, start: int, end: int, right: int) -> None:
    """Mark white space around the marked characters from start to end, or spare line breaks among them.

    White space reaches from left and to right. As many line breaks stay as stood at one side, or two if an empty line
    is among what goes, or one if a line break is.
    """
    n_left = n_right = n_wanted = 0  # line breaks
    for i in range(left, right):
        if codes[i] == _LINE_FEED:
            n_left += i < start
            n_right += i >= end
            if start <= i < end:
                n_wanted = max(n_wanted, 2 if codes[i - 1] == _LINE_FEED and i > start else 1)
    n_wanted = max(n_wanted, n_left, n_right)
    if not n_left and n_wanted:
        marks[left:start] = marks[start]
    if not n_right and (n_wanted or left < start):
        marks[end:right] = marks[end - 1]
    i, n_spare = end, n_left + n_right - n_wanted
    while n_spare > 0:
        n_spare -= codes[i] == _LINE_FEED
        marks[i] = marks[end - 1]
        i += 1
    i = start
    while n_spare < 0:
        if codes[i] == _LINE_FEED:
            marks[i] = 0
            n_spare += 1
        i += 1

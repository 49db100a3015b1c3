"""Edits: spans of a document's text that are cut or replaced. They are recorded first and applied where text goes out.

So a text stays as it was measured, `datassay why` can show what was taken out and why, and a recipe without an edit
costs nothing but the missing rows. Positions are characters (code points) of the text in `clean`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

EDIT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),  # first character that goes
        pa.field("end", pa.int64(), nullable=False),  # first character that stays
        pa.field("rule", pa.string(), nullable=False),  # such as `c4-paper/javascript`, `pii/email`
        pa.field("replacement", pa.string(), nullable=False),  # what comes in its place; empty for a cut
    ]
)
"""In the order of the documents of the shard, then of their places; no two of a document overlap."""


def merge(documents: NDArray[np.int64], edits: pa.Table) -> tuple[NDArray[np.int64], pa.Table]:
    """Edits of several rules as one list without overlaps, in order of document and place: their documents, and EDIT.

    documents: (edits,), the row of each edit's document in its batch or shard

    Where spans overlap, one span from the first to the last of their characters takes their place. It keeps the rule
    and the replacement of the longest of them (of several the first by place, then by the order given): an address in a
    line that goes, goes with the line. Empty spans are left out.
    """
    start, end = edits["start"].to_numpy(), edits["end"].to_numpy()
    order = np.lexsort((-(end - start), start, documents))
    order = order[end[order] > start[order]]
    if not len(order):
        return np.empty(0, np.int64), EDIT.empty_table()
    start, end, document = start[order], end[order], documents[order]
    wide = document * (int(end.max()) + 1)  # so that the spans of one document lie behind those of another
    reached = np.maximum.accumulate(wide + end)
    opens = np.concatenate([[True], wide[1:] + start[1:] >= reached[:-1]])
    group = np.cumsum(opens) - 1
    first = np.flatnonzero(opens)
    last = np.concatenate([first[1:], [len(order)]]) - 1
    longest = np.lexsort((np.arange(len(order)), -(end - start), group))[first]  # as many rows as a group come before
    chosen = edits.take(pa.array(order[longest]))
    merged_end = reached[last] - wide[last]
    columns = [chosen["id"], pa.array(start[first]), pa.array(merged_end), chosen["rule"], chosen["replacement"]]
    return document[first], pa.table(columns, schema=EDIT)


def edited(text: str, spans: Sequence[tuple[int, int, str]]) -> str:
    """The text with each (start, end, replacement) applied, and no white space at its ends; unedited it stays as it is.

    spans: in order, without overlaps
    """
    if not spans:
        return text
    parts, free = [], 0
    for start, end, replacement in spans:
        parts += [text[free:start], replacement]
        free = end
    return "".join([*parts, text[free:]]).strip()


class Editor:
    """Applies the edits of one shard to its documents, in batches of any kind; holds the edits in memory."""

    def __init__(self, edits: pa.Table) -> None:
        """edits: EDIT; without rows, texts pass as they are."""
        self._edits = edits
        ids = edits["id"].combine_chunks()
        is_first = np.ones(len(ids), bool)
        is_first[1:] = np.asarray(pc.not_equal(ids[1:], ids[:-1]))
        self._firsts = np.append(np.flatnonzero(is_first), len(ids))  # of the edits of each document, and the end
        self._places = {name: place for place, name in enumerate(ids.filter(pa.array(is_first)).to_pylist())}

    @classmethod
    def of_files(cls, paths: Sequence[Path]) -> Editor:
        """The edits in some shards of EDIT, which may be none."""
        return cls(pa.concat_tables([EDIT.empty_table(), *(pq.read_table(path, schema=EDIT) for path in paths)]))

    def apply(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, int]:
        """The batch, which has `id` and `text`, with edited texts, and how many of them are edited."""
        rows = list(self._rows(batch["id"].to_pylist()))
        if not rows:
            return batch, 0
        texts = batch["text"].to_pylist()
        for row, spans in rows:
            texts[row] = edited(texts[row], spans)
        place = batch.schema.get_field_index("text")
        return batch.set_column(place, batch.schema.field(place), pa.array(texts, pa.large_string())), len(rows)

    def _rows(self, ids: Sequence[str]) -> Iterator[tuple[int, list[tuple[int, int, str]]]]:
        """Each row of these documents that has edits, with them."""
        for row, name in enumerate(ids):
            place = self._places.get(name)
            if place is not None:
                first, stop = self._firsts[place], self._firsts[place + 1]
                some = self._edits.slice(first, stop - first)
                columns = (some[key].to_pylist() for key in ("start", "end", "replacement"))
                yield row, list(zip(*columns, strict=True))

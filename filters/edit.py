"""The stage that finds every edit of a recipe: lines, citation marks, personal data; and measures what they leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel

from datassay.corpus.edits import EDIT, Editor, merge
from datassay.corpus.engine import Inputs
from datassay.corpus.store import Outputs, read_batches
from datassay.filters.line_rules import LINE_PRESETS, Cuts, cut_word_counts, line_edits, word_counts
from datassay.filters.pii import PiiSettings, pii_edits
from datassay.filters.rules import Rule

VERSION = 1
BATCH_ROWS = 1024


class LineEdits(BaseModel, frozen=True, extra="forbid"):
    """The line rules of a preset."""

    preset: str
    """A key of `line_rules.LINE_PRESETS`."""
    without: tuple[str, ...] = ()
    """Rules of it that are left out."""


class EditSettings(BaseModel, frozen=True, extra="forbid"):
    """What is edited, and what is measured of it."""

    lines: tuple[LineEdits, ...] = ()
    """Their cuts are made, all of them on the text as it came."""
    measured: tuple[str, ...] = ()
    """Presets of line rules of which only the share of words that they would cut is measured."""
    pii: PiiSettings | None = None
    """Personal data that is replaced."""
    counted_pii: PiiSettings | None = None
    """Personal data that is only counted, where `pii` is None."""

    @property
    def presets(self) -> tuple[str, ...]:
        """All presets whose share is measured."""
        return tuple(dict.fromkeys((*(entry.preset for entry in self.lines), *self.measured)))


def share_column(preset: str) -> str:
    """The signal that says which share of a document's words the line rules of a preset cut."""
    return f"{preset.replace('-', '_')}_cut_word_fraction"


PII_COUNT = "pii_count"
MEASURABLE = tuple(name for name in LINE_PRESETS if name != "citations")
"""Presets of line rules whose share of words is measured."""
NOT_EMPTY = Rule("edits_left_text", "edited_char_count > 0", "recipe")
"""What every recipe with edits asks of a document."""

EDIT_SIGNALS = {
    "edited_char_count": "Characters that all edits of the recipe leave, white space at both ends not counted.",
    PII_COUNT: "Pieces of personal data that were found.",
    **{
        share_column(name): f"Words cut by those line rules of {name} that [[edits]] keeps, per word."
        for name in MEASURABLE
    },
}
"""Definitions. Which of them a run has depends on its recipe, see `edited_schema`."""


def edited_schema(settings: EditSettings) -> pa.Schema:
    """Columns of the signals that the stage writes with these settings."""
    fields = [pa.field("id", pa.string(), nullable=False), pa.field("edited_char_count", pa.int64(), nullable=False)]
    if settings.pii is not None or settings.counted_pii is not None:
        fields.append(pa.field(PII_COUNT, pa.int64(), nullable=False))
    shares = [share_column(preset) for preset in settings.presets if share_column(preset) in EDIT_SIGNALS]
    return pa.schema([*fields, *(pa.field(name, pa.float64(), nullable=False) for name in shares)])


def find_edits(inputs: Inputs, settings: EditSettings, out: Outputs) -> None:
    """Find the edits of each document of dataset `clean`; writes datasets `edits` (EDIT) and `edited` (signals).

    Reads also, if there, the edits of earlier stages as datasets `given` and `repeated`. Counts documents, edits, and
    the edits of each rule.
    """
    given = [_Given(inputs, name) for name in ("given", "repeated")]
    schema = edited_schema(settings)
    with out.parquet("edits", EDIT) as edits, out.parquet("edited", schema) as signals:
        for batch in read_batches(inputs.all("clean"), columns=["id", "text"], n_rows=BATCH_ROWS):
            ids, texts = batch["id"], batch["text"]
            found, columns = _measured(ids, texts, settings, [edits.of(ids) for edits in given])
            for part in found.to_batches():
                edits.write(part)
            columns["edited_char_count"] = _chars_left(batch, found)
            signals.write(
                pa.RecordBatch.from_arrays([ids, *(pa.array(columns[n]) for n in schema.names[1:])], schema=schema)
            )
            out.counts.update(_counts(batch, found))


def _measured(
    ids: pa.Array, texts: pa.Array, settings: EditSettings, given: Sequence[Cuts]
) -> tuple[pa.Table, dict[str, NDArray[np.int64] | NDArray[np.float64]]]:
    """The merged edits of a batch, and its signals but for the characters that are left."""
    parts = [*given]
    columns: dict[str, NDArray[np.int64] | NDArray[np.float64]] = {}
    n_words = word_counts(texts) if settings.presets else np.zeros(len(ids), np.int64)
    for entry in settings.lines:
        cuts = line_edits(ids, texts, entry.preset, without=entry.without)
        parts.append(cuts)
        columns[share_column(entry.preset)] = cut_word_counts(texts, cuts) / np.maximum(n_words, 1)
    for preset in settings.measured:
        if share_column(preset) not in columns:
            cuts = line_edits(ids, texts, preset)
            columns[share_column(preset)] = cut_word_counts(texts, cuts) / np.maximum(n_words, 1)
    pii = settings.pii or settings.counted_pii
    if pii is not None:
        spans = pii_edits(ids, texts, pii)
        rows = pc.index_in(spans["id"], value_set=ids).cast(pa.int64()).to_numpy(zero_copy_only=False)
        columns[PII_COUNT] = np.bincount(rows, minlength=len(ids)).astype(np.int64)
        if settings.pii is not None:
            parts.append(Cuts(rows, pa.Table.from_batches([spans], EDIT)))
    _, merged = merge(np.concatenate([part.rows for part in parts]), pa.concat_tables([part.edits for part in parts]))
    return merged, columns


class _Given:
    """The edits of an earlier stage on one shard, handed out batch by batch."""

    def __init__(self, inputs: Inputs, name: str) -> None:
        self._batches = read_batches(inputs.files.get(name, ()))
        self._table = EDIT.empty_table()

    def of(self, ids: pa.Array) -> Cuts:
        """The edits of the next documents, which have these ids."""
        parts: list[pa.Table] = []
        while True:
            rows = pc.index_in(self._table["id"], value_set=ids)
            n = self._table.num_rows - rows.null_count
            parts.append(self._table.slice(0, n))
            self._table = self._table.slice(n)
            if self._table.num_rows or (batch := next(self._batches, None)) is None:
                break
            self._table = pa.Table.from_batches([batch], EDIT)
        table = pa.concat_tables(parts)
        rows = pc.index_in(table["id"], value_set=ids).cast(pa.int64())
        return Cuts(rows.to_numpy(), table)


def _chars_left(batch: pa.RecordBatch, edits: pa.Table) -> NDArray[np.int64]:
    """Characters of each text of a batch after its edits."""
    edited, _ = Editor(edits).apply(batch)
    counts: NDArray[np.int64] = pc.utf8_length(pc.utf8_trim_whitespace(edited["text"])).cast(pa.int64()).to_numpy()
    return counts


def _counts(batch: pa.RecordBatch, edits: pa.Table) -> Counter[str]:
    """What there is to tell of a batch."""
    counts = Counter(documents=batch.num_rows, edits=edits.num_rows)
    counts["edited_documents"] = pc.count_distinct(edits["id"]).as_py()
    for entry in edits["rule"].value_counts().to_pylist():
        counts[f"edits {entry['values']}"] = entry["counts"]
    return counts

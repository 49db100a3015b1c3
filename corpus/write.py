"""The product: the refined corpus, with the final text and what is known of each document.

Edits are applied here, and nowhere before: all stages up to here read the text as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel

from datassay.corpus.edits import Editor
from datassay.corpus.engine import Inputs
from datassay.corpus.store import SMALL, Outputs, read_batches

VERSION = 2

CORPUS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("domain", pa.string()),
        pa.field("date", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("language", pa.string()),
        pa.field("language_score", pa.float64()),
        pa.field("quality", pa.float64()),  # null where the recipe has no classifier
        pa.field("metadata", pa.string()),
    ]
)


class WritePlan(BaseModel, frozen=True, extra="forbid"):
    """How the refined corpus is written."""

    format: str
    """`parquet`, or `jsonl.zst` to have JSON lines as well."""


def write_corpus(inputs: Inputs, settings: WritePlan, out: Outputs) -> None:
    """The kept documents of one shard, edited. Reads `clean`, `decisions`, `language`, and if there `quality`, `edits`.

    Writes `corpus`, which later stages and queries read, and `jsonl` if the format asks for it.
    """
    with ExitStack() as stack:
        shard = stack.enter_context(out.parquet("corpus", CORPUS, level=SMALL))
        lines = stack.enter_context(_compressed(out)) if settings.format == "jsonl.zst" else None
        for batch in _kept(inputs, out):
            shard.write(batch)
            if lines is not None:
                for row in batch.to_pylist():
                    lines.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


@contextmanager
def _compressed(out: Outputs) -> Iterator[BinaryIO]:
    """The shard's file of JSON lines."""
    import zstandard

    with (
        out.file("jsonl", ".jsonl.zst") as path,
        path.open("wb") as file,
        zstandard.ZstdCompressor(level=9).stream_writer(file, closefd=False) as stream,
    ):
        yield stream


def _kept(inputs: Inputs, out: Outputs) -> Iterator[pa.RecordBatch]:
    """The kept rows of the shard in the schema of the corpus; counts documents and bytes.

    A document of which the edits leave nothing is left out, and counted as `emptied`.
    """
    keep = pq.read_table(inputs.all("decisions")[0], columns=["keep"])["keep"]
    editor = Editor.of_files(inputs.files.get("edits", ()))
    signals = {}
    for dataset, names in (("language", ("language", "language_score")), ("quality", ("quality",))):
        for path in inputs.files.get(dataset, ()):
            table = pq.read_table(path, columns=list(names))
            signals.update({name: table[name] for name in names})
    start = 0
    for batch in read_batches(inputs.all("clean")):
        here = slice(start, start + batch.num_rows)
        start = here.stop
        columns = {name: _slice(signals[name], here) for name in signals}
        for name in CORPUS.names:
            if name not in columns:
                missing = pa.nulls(batch.num_rows, CORPUS.field(name).type)
                columns[name] = batch[name] if name in batch.schema.names else missing
        rows = pa.RecordBatch.from_arrays([columns[name] for name in CORPUS.names], schema=CORPUS)
        before = rows.filter(_slice(keep, here))
        rows, n_edited = editor.apply(before)
        if n_edited:
            out.counts["edited"] += n_edited
            is_emptied = pc.and_(pc.equal(rows["text"], ""), pc.not_equal(before["text"], ""))
            rows = rows.filter(pc.invert(is_emptied))
            out.counts["emptied"] += before.num_rows - rows.num_rows
        out.counts["documents"] += rows.num_rows
        out.counts["n_bytes"] += pc.sum(pc.binary_length(rows["text"])).as_py() or 0
        yield rows


def _slice(column: pa.ChunkedArray, rows: slice) -> pa.Array:
    return column.slice(rows.start, rows.stop - rows.start).combine_chunks()

"""The held-out texts that losses are measured on, by domain."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError
from datassay.corpus.hashing import uniform
from datassay.corpus.split import HELD_OUT
from datassay.corpus.store import Outputs, read_batches

VERSION = 1

VALIDATION_TEXT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("domain", pa.string(), nullable=False),
    ]
)


class ValidationPlan(BaseModel, frozen=True, extra="forbid"):
    """How much is evaluated."""

    max_bytes: int
    """UTF-8 bytes of each domain; whole documents, chosen by hash."""
    seed: int


def select_validation(inputs: Inputs, settings: ValidationPlan, out: Outputs) -> None:
    """The documents to evaluate. Reads `clean`, `split` and `verdicts`; writes `validation`, a partition for each
    domain in the order of their names, and counts the documents of each as `domain NAME`.

    Documents held out of the input count only if they pass every rule: the loss on junk is nobody's aim.
    Raises InputError if there is no validation text.
    """
    chosen: defaultdict[str, list[tuple[float, str, int]]] = defaultdict(list)
    for clean, split, verdicts in zip(*map(inputs.all, ("clean", "split", "verdicts")), strict=True):
        table = pq.read_table(split)
        sizes = pc.binary_length(pq.read_table(clean, columns=["text"])["text"]).to_numpy()
        keep = pq.read_table(verdicts, columns=["keep"])["keep"].to_numpy()
        domains = table["domain"].to_pylist()
        is_chosen = pc.equal(table["role"], "validation").to_numpy() & (sizes > 0)
        is_chosen &= keep | (np.array(domains, object) != HELD_OUT)
        for row in np.flatnonzero(is_chosen):
            name = table["id"][int(row)].as_py()
            chosen[domains[row]].append((float(uniform(settings.seed, [name])[0]), name, int(sizes[row])))
    if not chosen:
        raise InputError("no validation text: no document was held out that passes every rule; name validation files")
    wanted = {name for rows in chosen.values() for name in _within(rows, settings.max_bytes)}
    for index, domain in enumerate(sorted(chosen)):
        names = pa.array(sorted({name for _, name, _ in chosen[domain]} & wanted))
        with out.parquet("validation", VALIDATION_TEXT, partition=index) as shard:
            for batch in read_batches(inputs.all("clean"), columns=["id", "text"]):
                rows = batch.filter(pc.is_in(batch["id"], value_set=names))
                shard.write(
                    pa.RecordBatch.from_arrays(
                        [rows["id"], rows["text"], pa.repeat(domain, rows.num_rows)], schema=VALIDATION_TEXT
                    )
                )
        out.counts[f"domain {domain}"] = len(names)


def _within(rows: list[tuple[float, str, int]], max_bytes: int) -> list[str]:
    """Documents in the order of their hash, until the budget is reached; at least one."""
    names: list[str] = []
    used = 0
    for _, name, size in sorted(rows):
        if names and used + size > max_bytes:
            break
        names.append(name)
        used += size
    return names

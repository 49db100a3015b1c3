"""The held-out texts that losses are measured on, by domain."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack

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
    for split, verdicts in zip(inputs.all("split"), inputs.all("verdicts"), strict=True):
        table, judged = pq.read_table(split), pq.read_table(verdicts, columns=["keep", "n_bytes"])
        keep, sizes = judged["keep"].to_numpy(), judged["n_bytes"].to_numpy()
        domains = table["domain"].to_pylist()
        is_chosen = pc.equal(table["role"], "validation").to_numpy() & (sizes > 0)
        is_chosen &= keep | (np.array(domains, object) != HELD_OUT)
        for row in np.flatnonzero(is_chosen):
            name = table["id"][int(row)].as_py()
            chosen[domains[row]].append((float(uniform(settings.seed, [name])[0]), name, int(sizes[row])))
    if not chosen:
        raise InputError(
            "no validation text: no document was held out that passes every rule, or every "
            "domain is left out; name validation files, or other without_domains"
        )
    wanted = {domain: pa.array(_within(chosen[domain], settings.max_bytes)) for domain in sorted(chosen)}
    out.counts.update({f"domain {domain}": len(names) for domain, names in wanted.items()})
    with ExitStack() as stack:
        shards = {
            domain: stack.enter_context(out.parquet("validation", VALIDATION_TEXT, partition=index))
            for index, domain in enumerate(wanted)
        }
        for batch in read_batches(inputs.all("clean"), columns=["id", "text"]):
            for domain, names in wanted.items():
                rows = batch.filter(pc.is_in(batch["id"], value_set=names))
                columns = [rows["id"], rows["text"], pa.repeat(domain, rows.num_rows)]
                shards[domain].write(pa.RecordBatch.from_arrays(columns, schema=VALIDATION_TEXT))


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

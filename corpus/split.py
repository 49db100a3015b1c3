"""Which documents are held out, the same for every variant, before anything is decided.

Validation text must have no near copy in what is trained on, or a comparison of variants is won by whoever keeps the
copies. So a training document in a cluster with a validation document leaves training in all variants alike.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, Field

from datassay.corpus.engine import Inputs
from datassay.corpus.hashing import seed_of, uniform
from datassay.corpus.schema import DOCUMENT
from datassay.corpus.store import Outputs, read_batches

VERSION = 2
REFERENCE_VERSION = 1

VALIDATION = "validation/"
"""Prefix of the source name of validation files; the domain follows, `*` for each document's own field `domain`."""
REFERENCE = "reference"
"""Source name of the good text that trains the quality classifier; with / and a name that of another score."""
HELD_OUT = "held_out"
"""Domain of the validation documents that are held out of the input itself."""
BIG_DOMAIN_SHARE = 0.05
"""A domain with more than this share of the bytes is split by document: it is too large to be held out as a whole."""

INPUT_ONLY = f"source <> '{REFERENCE}' AND source NOT LIKE '{REFERENCE}/%' AND source NOT LIKE '{VALIDATION}%'"
"""The SQL condition for what `is_input` says of a source."""

SPLIT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("role", pa.string(), nullable=False),
        pa.field("domain", pa.string()),  # of validation documents: the evaluation domain
    ]
)
"""role: `train`, `validation`, `reference`, `near_validation` (left training), `refused` (reference near validation),
`unused` (validation of a domain that the recipe leaves out)."""


class SplitPlan(BaseModel, frozen=True, extra="forbid"):
    """How validation is found."""

    share: float = Field(ge=0, lt=1)
    """Share of the units of the input that are held out; 0 where validation comes from files, or nothing is trained."""
    seed: int
    """Seed of the hash that holds units out."""
    without_domains: tuple[str, ...] = ()
    """Domains of the validation files that are left out."""


def is_input(source: str) -> bool:
    """Whether a source is a part of what is refined: neither validation nor the reference of a score."""
    return not source.startswith((VALIDATION, f"{REFERENCE}/")) and source != REFERENCE


def split(inputs: Inputs, settings: SplitPlan, out: Outputs) -> None:
    """Give every document its role. Reads `clean` and `pairs` (none if the recipe looks for no duplicates).

    Writes `split`, a partition for each shard.
    """
    shards = inputs.all("clean")
    big = _big_domains(shards) if settings.share else set()
    roles = [list(_roles(shard, settings, big)) for shard in shards]
    validation = {name for shard in roles for name, role, _ in shard if role == "validation"}
    is_near = near_validation(inputs.files.get("pairs", ()), validation)
    for index, rows in enumerate(roles):
        with out.parquet("split", SPLIT, partition=index) as part:
            part.write_rows([_row(name, role, domain, is_near, out.counts) for name, role, domain in rows])


def select_reference(inputs: Inputs, settings: None, out: Outputs) -> None:  # noqa: ARG001
    """The good text that is no near copy of validation text. Reads `clean` and `split`; writes `reference`."""
    with out.parquet("reference", DOCUMENT) as shard:
        for clean, roles in zip(inputs.all("clean"), inputs.all("split"), strict=True):
            role = pq.read_table(roles, columns=["role"])["role"]
            start = 0
            for batch in read_batches([clean]):
                is_good = pc.equal(role.slice(start, batch.num_rows), REFERENCE)
                start += batch.num_rows
                shard.write(batch.filter(is_good.combine_chunks()))
        out.counts["documents"] += shard.n_rows


def _row(
    name: str, role: str, domain: str | None, is_near: Callable[[str], bool], counts: Counter[str]
) -> dict[str, str | None]:
    if role in ("train", REFERENCE) and is_near(name):
        role = "near_validation" if role == "train" else "refused"
    counts[role] += 1
    return {"id": name, "role": role, "domain": domain if role == "validation" else None}


def _roles(shard: Path, settings: SplitPlan, big: set[str]) -> Iterator[tuple[str, str, str | None]]:
    """(id, role, evaluation domain) of each document of a shard, duplicates not yet considered."""
    for batch in read_batches([shard], columns=["id", "source", "domain", "metadata"]):
        ids = batch["id"].to_pylist()
        domains = batch["domain"].to_pylist()
        units = [name if domain is None or domain in big else domain for name, domain in zip(ids, domains, strict=True)]
        chance = uniform(seed_of("split", settings.seed), units)
        for i, source in enumerate(batch["source"].to_pylist()):
            if source.startswith(VALIDATION):
                domain = source.removeprefix(VALIDATION)
                if domain == "*":
                    domain = _own_domain(batch["metadata"][i].as_py(), domains[i])
                yield ids[i], "unused" if domain in settings.without_domains else "validation", domain
            elif not is_input(source):
                yield ids[i], REFERENCE, None
            elif chance[i] < settings.share:
                yield ids[i], "validation", HELD_OUT
            else:
                yield ids[i], "train", None


def _own_domain(metadata: str | None, fallback: str | None) -> str:
    domain = orjson.loads(metadata or "{}").get("domain") or fallback
    return str(domain or "validation")


def _big_domains(shards: tuple[Path, ...]) -> set[str]:
    sizes: Counter[str] = Counter()
    for batch in read_batches(shards, columns=["domain", "text"]):
        lengths = pc.binary_length(batch["text"]).to_pylist()
        for domain, length in zip(batch["domain"].to_pylist(), lengths, strict=True):
            sizes[domain or ""] += length
    total = sum(sizes.values())
    return {domain for domain, size in sizes.items() if size > BIG_DOMAIN_SHARE * total}


def near_validation(pairs: Sequence[Path], validation: set[str]) -> Callable[[str], bool]:
    """Whether a document is joined to a validation document by a chain of edges, itself among them.

    Edges join the copies of a text into a cluster without listing every pair of them (see `dedup.candidates`), so two
    near copies may have no edge of their own, and only the whole cluster is sure to hold all copies.
    """
    neighbours: defaultdict[str, list[str]] = defaultdict(list)
    for batch in read_batches(pairs, columns=["a", "b"]):
        for a, b in zip(batch["a"].to_pylist(), batch["b"].to_pylist(), strict=True):
            neighbours[a].append(b)
            neighbours[b].append(a)
    touched = set(validation)
    todo = list(validation)
    while todo:
        found = [name for name in neighbours.pop(todo.pop(), ()) if name not in touched]
        touched.update(found)
        todo += found
    return touched.__contains__

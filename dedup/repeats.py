"""What stands in the corpus more than once, and which of its places stay.

Two stages over the partitions of a shuffle. The first finds the places of equal keys and knows nothing of decisions, so
that deciding anew hashes nothing anew. The second, after the decision, chooses: what validation documents hold is cut
from all others; else the first `keep` places stay, those in documents that are kept before those in documents that are
not, in the order of the corpus (shard, row, place). The reference texts of a classifier, and validation that the recipe
leaves out, have no part in it. So text does not vanish because its first copy lies in a document
that a rule drops, and a dropped document loses what a kept one has, as a variant with fewer steps needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, NonNegativeInt

from datassay.corpus.compiled import compiled
from datassay.corpus.engine import Inputs
from datassay.corpus.store import Outputs
from datassay.dedup.units import KINDS, UNIT

REPEATED_VERSION = 1
CHOOSE_VERSION = 1

REPEAT = pa.schema([pa.field("shard", pa.int32(), nullable=False), *UNIT])
"""In order of key, then of place in the corpus."""

CUT = pa.schema(
    [
        pa.field("kind", pa.int8(), nullable=False),  # place in KINDS
        pa.field("row", pa.int32(), nullable=False),
        pa.field("start", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("n_places", pa.int64(), nullable=False),  # in the corpus, with those that stay
    ]
)

HELD_OUT, KEPT, OTHER, OUTSIDE = 0, 1, 2, 3
"""Ranks of documents: whose text stays first; OUTSIDE has no part in it."""
OUTSIDE_ROLES = ("reference", "refused", "unused")


class RepeatedSettings(BaseModel, frozen=True, extra="forbid"):
    """Nothing to set."""


class ChooseSettings(BaseModel, frozen=True, extra="forbid"):
    """How many places of a repeat stay."""

    keep: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt]
    """By kind, in the order of KINDS."""


def repeated_units(inputs: Inputs, settings: RepeatedSettings, out: Outputs) -> None:  # noqa: ARG001
    """Keep what occurs twice or more. Reads a partition of `units`, one file a shard, in the order of shards.

    Writes `repeats`. Counts, of each kind, `repeated`: different ones, and `places` of them.
    """
    shards, table = with_shards(inputs.all("units"))
    keys = table["key"].to_numpy()
    order = np.argsort(keys, kind="stable")  # of equal keys in the order of the corpus
    is_equal = np.diff(keys[order]) == 0
    is_repeat = np.r_[is_equal, False] | np.r_[False, is_equal] if len(order) else np.zeros(0, bool)
    is_new = np.r_[True, ~is_equal] if len(order) else is_repeat
    found = order[is_repeat]
    columns = [pa.array(shards[found]), *(table[name].to_numpy()[found] for name in UNIT.names)]
    kinds, is_first = columns[REPEAT.get_field_index("kind")], is_new[is_repeat]
    for kind, name in enumerate(KINDS):
        n_places = int((kinds == kind).sum())
        if n_places:
            out.counts[f"repeated {name}s"] += int((kinds[is_first] == kind).sum())
            out.counts[f"places {name}s"] += n_places
    with out.parquet("repeats", REPEAT) as part:
        for batch in pa.table(columns, REPEAT).to_batches(max_chunksize=65_536):
            part.write(batch)


def with_shards(paths: Sequence[Path]) -> tuple[NDArray[np.int32], pa.Table]:
    """The rows of one file a shard, and the number of each row's shard."""
    tables = [pq.ParquetFile(path).read() for path in paths]
    shards = np.repeat(np.arange(len(tables), dtype=np.int32), [table.num_rows for table in tables])
    return shards, pa.concat_tables(tables)


def choose_repeats(inputs: Inputs, settings: ChooseSettings, out: Outputs) -> None:
    """Choose which places are cut. Reads `repeats`, a partition of them, and `decisions` and `split` of all shards.

    Writes `cuts`, in a partition for each shard that has any, in order of row and start. Counts, of each kind, `cut`
    and, of these, `cut kept`: those in documents that are kept. Holds a byte for each document.
    """
    table = pq.ParquetFile(inputs.one("repeats")).read()
    shards, rows = table["shard"].to_numpy(), table["row"].to_numpy()
    ranks = document_ranks(inputs.all("decisions"), inputs.all("split"), shards, rows)
    has_part = ranks != OUTSIDE
    ranks = ranks[has_part]
    columns = {name: table[name].to_numpy()[has_part] for name in table.column_names}
    groups = np.cumsum(np.diff(columns["key"], prepend=~columns["key"][:1]) != 0)
    order = np.argsort(groups * OUTSIDE + ranks, kind="stable")
    keys, kinds = columns["key"][order], columns["kind"][order]
    places = [columns[name][order] for name in ("shard", "row", "start", "end")]
    starts, n_places = _choose(keys, kinds, ranks[order], *places, np.array(settings.keep, np.int64))
    is_cut = starts >= 0
    for kind, name in enumerate(KINDS):
        here = is_cut & (kinds == kind)
        if here.any():
            out.counts[f"cut {name}s"] += int(here.sum())
            out.counts[f"cut {name}s kept"] += int((here & (ranks[order] == KEPT)).sum())
    chosen = np.flatnonzero(is_cut)
    chosen = chosen[np.lexsort((starts[chosen], places[1][chosen], places[0][chosen]))]
    cuts = [kinds[chosen], places[1][chosen], starts[chosen], places[3][chosen], keys[chosen], n_places[chosen]]
    of_shard = places[0][chosen]
    for shard in np.unique(of_shard):
        first, stop = np.searchsorted(of_shard, [shard, shard + 1])
        with out.parquet("cuts", CUT, partition=int(shard)) as part:
            for batch in pa.table([column[first:stop] for column in cuts], CUT).to_batches(max_chunksize=65_536):
                part.write(batch)


def document_ranks(
    decisions: Sequence[Path], splits: Sequence[Path], shards: NDArray[np.int32], rows: NDArray[np.int32]
) -> NDArray[np.int8]:
    """The ranks of the documents at these shards and rows."""
    ranks = np.full(len(shards), OTHER, np.int8)
    order = np.argsort(shards, kind="stable")
    for shard, (decided, roles) in enumerate(zip(decisions, splits, strict=True)):
        here = order[slice(*np.searchsorted(shards, [shard, shard + 1], sorter=order))]
        if len(here):
            keep = pq.read_table(decided, columns=["keep"])["keep"].to_numpy()
            role = pq.read_table(roles, columns=["role"])["role"]
            of_documents = np.where(keep, KEPT, OTHER).astype(np.int8)
            of_documents[pc.equal(role, "validation").to_numpy()] = HELD_OUT
            of_documents[pc.is_in(role, value_set=pa.array(OUTSIDE_ROLES)).to_numpy()] = OUTSIDE
            ranks[here] = of_documents[rows[here]]
    return ranks


@compiled
def _choose(
    keys: NDArray[np.uint64],
    kinds: NDArray[np.int8],
    ranks: NDArray[np.int8],
    shards: NDArray[np.int32],
    rows: NDArray[np.int32],
    starts: NDArray[np.int32],
    ends: NDArray[np.int32],
    keep: NDArray[np.int64],
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """From which character on each place is cut, -1 where it stays; how many places its key has.

    In order of key, rank, shard, row and start. A place that overlaps one of its key that stays, as in a word said a
    hundred times, is cut from that one's end on.
    """
    n = len(keys)
    cut_from, n_places = np.full(n, -1, np.int32), np.zeros(n, np.int64)
    first = 0
    while first < n:
        stop = first + 1
        while stop < n and keys[stop] == keys[first]:
            stop += 1
        n_stay = 0 if ranks[first] == HELD_OUT else keep[kinds[first]]
        last = -1  # the last that stays
        for i in range(first, stop):
            n_places[i] = stop - first
            if ranks[i] == HELD_OUT or n_stay > 0:
                n_stay -= ranks[i] != HELD_OUT
                last = i
                continue
            cut_from[i] = starts[i]
            if last >= 0 and shards[last] == shards[i] and rows[last] == rows[i]:
                cut_from[i] = max(starts[i], ends[last])
        first = stop
    return cut_from, n_places

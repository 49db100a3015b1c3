"""What an index keeps of a shard of documents: the stage after the duplicates are found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, NonNegativeInt

from datassay.corpus.engine import Inputs
from datassay.corpus.shuffle import read_partition, shuffle_file
from datassay.corpus.stage import All, Each, Link, StageOutput, StagePlan
from datassay.corpus.store import Outputs
from datassay.dedup.exact import REPEAT
from datassay.dedup.keep import MEMBER, Column, members_of
from datassay.dedup.minhash import permutations, sign_sets
from datassay.dedup.plan import Search
from datassay.dedup.settings import DedupSettings, MinHash
from datassay.dedup.texts import FilePart, read_texts
from datassay.dedup.verify import SET

VERSION = 1


class RememberSettings(BaseModel, frozen=True, extra="forbid"):
    """What an index keeps of one shard."""

    shard: NonNegativeInt
    minhash: MinHash
    part: FilePart | None = None
    columns: dict[Column, str] = {}


def plan_remember(
    settings: DedupSettings, finished: Mapping[str, StageOutput], search: Search, columns: Mapping[Column, str]
) -> StagePlan:
    """The stage that writes what an index keeps and no other stage writes."""
    assert settings.minhash is not None
    links: tuple[Link, ...] = (*search.links(), Each("sign", "documents"), All("exact", "repeats", "all_repeats"))
    tasks = [
        RememberSettings(shard=shard, minhash=settings.minhash, part=search.part(shard), columns=dict(columns))
        for shard in range(len(search.rows(finished)))
    ]
    return StagePlan("remember", remember, VERSION, links, tasks)


def signature_schema(n_permutations: int) -> pa.Schema:
    """One row for each document that is signed, in order."""
    return pa.schema(
        [
            pa.field("row", pa.int32(), nullable=False),  # in its shard
            pa.field("signature", pa.list_(pa.uint32(), n_permutations), nullable=False),
        ]
    )


def remember(inputs: Inputs, settings: RememberSettings, out: Outputs) -> None:
    """Write what later documents are compared with and chosen by: `documents`, `repeats`, and, of the documents that
    are signed and that no other stands for, `sets` and `signatures`.

    Reads the texts of the shard, its `documents` of `sign`, and `all_repeats` of `exact`. Counts `remembered`.
    """
    chosen = settings.minhash
    parameters = permutations(chosen.bands * chosen.rows, chosen.seed)
    repeats = _rows_of(inputs.all("all_repeats"), settings.shard)
    with out.parquet("documents", MEMBER) as documents:
        for batch in members_of(inputs.one("documents"), inputs, settings.part, settings.columns):
            documents.write(batch)
    with shuffle_file(out, "repeats", REPEAT, 1) as file:
        file.write_round([pa.array(repeats.astype(np.int32))], np.zeros(len(repeats), np.int64))
    first_row = 0
    with (
        shuffle_file(out, "sets", SET, 1) as sets,
        shuffle_file(out, "signatures", signature_schema(len(parameters[0])), 1) as signatures,
    ):
        for batch in read_texts(inputs, settings.part):
            found = chosen.shingle_sets(batch["text"])
            rows = np.arange(first_row, first_row + batch.num_rows)
            stays = (found.sizes > 0) & ~np.isin(rows, repeats)
            where, mask = pa.array(rows[stays].astype(np.int32)), pa.array(stays)
            lists = pa.ListArray.from_arrays(found.offsets.astype(np.int32), found.values).filter(mask)
            values = sign_sets(found, parameters)[stays]
            nowhere = np.zeros(len(where), np.int64)
            sets.write_round([where, batch["id"].filter(mask), lists], nowhere)
            of_each = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
            signatures.write_round([where, of_each], nowhere)
            first_row += batch.num_rows
            out.counts["remembered"] += int(stays.sum())


def _rows_of(paths: Sequence[Path], shard: int) -> NDArray[np.int64]:
    """The rows of a shuffled dataset of rows, sorted."""
    batches = [batch for path in paths for batch in read_partition(path, shard)]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *(np.asarray(batch["row"], np.int64) for batch in batches)]))

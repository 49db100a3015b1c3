"""Runs the stages of dedup over documents built in a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.corpus.engine import Engine, InlineEngine, Inputs, Task, run_task
from datassay.corpus.stage import StageOutput, run_stage
from datassay.corpus.store import Outputs
from datassay.dedup.plan import PAIR_STAGES, plan_stage, stage_names
from datassay.dedup.settings import DedupSettings

Documents = dict[str, str]
FindPairs = Callable[..., pa.Table]

_TEXTS = pa.schema([pa.field("id", pa.string()), pa.field("text", pa.large_string())])


def _write_clean(inputs: Inputs, settings: Documents, out: Outputs) -> None:  # noqa: ARG001
    with out.parquet("clean", _TEXTS) as shard:
        shard.write(pa.record_batch([list(settings), list(settings.values())], schema=_TEXTS))


def write_clean(shards: Sequence[Documents], run: Path) -> StageOutput:
    """A finished stage `clean` with these shards: id to text."""
    tasks = [Task(_write_clean, Inputs({}), shard, run / "clean", i, f"clean {i}") for i, shard in enumerate(shards)]
    return StageOutput("clean", run / "clean", tuple(run_task(task) for task in tasks))


@pytest.fixture
def run_dedup(tmp_path: Path) -> Callable[..., dict[str, StageOutput]]:
    """Runs all stages over shards of documents; returns the finished stages by name."""

    def run(
        *shards: Documents,
        settings: DedupSettings = DedupSettings(),  # noqa: B008
        engine: Engine | None = None,
        folder: str = "run",
    ) -> dict[str, StageOutput]:
        finished = {"clean": write_clean(shards, tmp_path / folder)}
        for name in stage_names(settings):
            plan = plan_stage(name, settings, finished)
            finished[name] = run_stage(plan, finished, tmp_path / folder, engine or InlineEngine())
        return finished

    return run


@pytest.fixture
def find_pairs(run_dedup: Callable[..., dict[str, StageOutput]]) -> FindPairs:
    """Runs all stages over shards of documents; returns the edges in order of (a, b)."""

    def find(*shards: Documents, **options: object) -> pa.Table:
        finished = run_dedup(*shards, **options)
        paths = [path for name in PAIR_STAGES if name in finished for path in finished[name].paths("pairs")]
        return pa.concat_tables(pq.read_table(path) for path in paths).sort_by([("a", "ascending"), ("b", "ascending")])

    return find

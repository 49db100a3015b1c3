"""What is known is not computed again: keys follow settings, version and content, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from datassay.corpus import stage
from datassay.corpus.engine import InlineEngine, Inputs
from datassay.corpus.stage import All, Each, Partition, StageOutput, StagePlan, plan_tasks, run_stage, waiting_tasks
from datassay.corpus.store import Outputs


class Texts(BaseModel, frozen=True):
    """What a task of the first stage writes, one line for each."""

    lines: tuple[str, ...]


class Margin(BaseModel, frozen=True):
    """What the second stage puts before each line."""

    before: str = "> "


def write_lines(inputs: Inputs, settings: Texts, out: Outputs) -> None:  # noqa: ARG001
    with out.file("lines", ".txt") as path:
        path.write_text("\n".join(settings.lines))
    out.counts["lines"] += len(settings.lines)


def strip(inputs: Inputs, settings: None, out: Outputs) -> None:  # noqa: ARG001
    with out.file("stripped", ".txt") as path:
        path.write_text("\n".join(line.strip() for line in inputs.one("lines").read_text().split("\n")))


def add_margin(inputs: Inputs, settings: Margin, out: Outputs) -> None:
    text = "\n".join(path.read_text() for path in inputs.all("text"))
    with out.file("margin", ".txt") as path:
        path.write_text("\n".join(settings.before + line for line in text.split("\n")))


class Run:
    """A run folder in which three stages follow each other, and what was computed each time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.finished: dict[str, StageOutput] = {}
        self.computed: list[tuple[str, int]] = []

    def __call__(self, shards: Sequence[Sequence[str]], *, before: str = "> ", version: int = 1) -> list[str]:
        """Run all stages and return the texts of the last; `computed` says which tasks ran."""
        self.computed = []
        self.stage(StagePlan("lines", write_lines, 1, (), [Texts(lines=tuple(shard)) for shard in shards]))
        self.stage(StagePlan("strip", strip, 1, (Each("lines", "lines"),), [None] * len(shards)))
        settings = [Margin(before=before)] * len(shards)
        links = (Each("strip", "stripped", "text"),)
        output = self.stage(StagePlan("margin", add_margin, version, links, settings))
        return [path.read_text() for path in output.paths("margin")]

    def stage(self, plan: StagePlan) -> StageOutput:
        output = run_stage(
            plan,
            self.finished,
            self.folder,
            InlineEngine(),
            on_done=lambda name, done: self.computed.append((name, done.index)),
        )
        self.finished[plan.name] = output
        return output


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_first_run_computes_everything(run: Run) -> None:
    assert run([["a ", "b"], ["c"]]) == ["> a\n> b", "> c"]
    assert run.computed == [(stage, i) for stage in ("lines", "strip", "margin") for i in range(2)]


def test_finished_run_computes_nothing_and_changes_no_file(run: Run) -> None:
    run([["a"], ["b"]])
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    assert run([["a"], ["b"]]) == ["> a", "> b"]
    assert run.computed == []
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before


def test_settings_of_one_stage_concern_that_stage_alone(run: Run) -> None:
    run([["a"], ["b"]])
    assert run([["a"], ["b"]], before="* ") == ["* a", "* b"]
    assert run.computed == [("margin", 0), ("margin", 1)]


def test_raised_version_computes_again(run: Run) -> None:
    run([["a"]])
    run([["a"]], version=2)
    assert run.computed == [("margin", 0)]


def test_going_back_to_old_settings_computes_nothing(run: Run) -> None:
    run([["a"]])
    run([["a"]], before="* ")
    run([["a"]])
    assert run.computed == []


def test_the_same_bytes_upstream_stop_the_recomputation(run: Run) -> None:
    """The input changes, its stripped lines do not."""
    run([["a"], ["b"]])
    assert run([["a  "], ["b"]]) == ["> a", "> b"]
    assert run.computed == [("lines", 0), ("strip", 0)]


def test_a_new_shard_leaves_the_old_ones(run: Run) -> None:
    run([["b"], ["c"]])
    assert run([["a"], ["b"], ["c"], ["d"]]) == ["> a", "> b", "> c", "> d"]
    assert run.computed == [(stage, i) for stage in ("lines", "strip", "margin") for i in (0, 3)]


def test_a_shard_that_leaves_takes_its_output_along(run: Run) -> None:
    run([["a"], ["b"], ["c"]])
    assert run([["c"], ["a"]]) == ["> c", "> a"]
    assert run.computed == []


def test_equal_shards_are_told_apart(run: Run) -> None:
    """Two tasks with one key, the second of which was not done when the run was stopped."""
    run([["a"], ["a"]])
    (run.finished["margin"].folder / "_done" / "00001.json").unlink()
    assert run([["a"], ["a"]]) == ["> a", "> a"]
    assert len(run.finished["margin"].done) == 2


def test_stopped_stage_goes_on_where_it_was(run: Run) -> None:
    run([["a"], ["b"], ["c"]])
    folder = run.finished["margin"].folder
    (folder / "_done" / "00001.json").unlink()
    assert run([["a"], ["b"], ["c"]]) == ["> a", "> b", "> c"]
    assert run.computed == [("margin", 1)]


@pytest.mark.parametrize("damage", ["remove", "cut"])
def test_a_file_that_is_gone_or_cut_is_made_again(run: Run, damage: str) -> None:
    run([["a"], ["b"]])
    path = run.finished["strip"].paths("stripped")[1]
    if damage == "remove":
        path.unlink()
    else:
        path.write_text("")
    assert run([["a"], ["b"]]) == ["> a", "> b"]
    assert run.computed == [("strip", 1)]


def keys(plan: StagePlan, finished: dict[str, StageOutput], folder: Path) -> list[str]:
    return [task.key for task in plan_tasks(plan, finished, folder)]


def test_key_follows_name_version_settings_content_and_format_alone(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run([["a"], ["b"]])
    plan = StagePlan("margin", add_margin, 1, (Each("strip", "stripped", "text"),), [Margin(), Margin()])
    known = keys(plan, run.finished, tmp_path)
    assert known[0] != known[1]
    assert keys(plan, run.finished, Path("elsewhere")) == known
    assert keys(replace(plan, function=strip), run.finished, tmp_path) == known  # the version stands for the code
    for other in (
        replace(plan, name="other"),
        replace(plan, version=2),
        replace(plan, settings=[Margin(before="-"), Margin(before="-")]),
        replace(plan, links=(Each("strip", "stripped", "other"),)),
        replace(plan, links=(Each("lines", "lines", "text"), Each("strip", "stripped", "text"))),
        replace(plan, links=(All("strip", "stripped", "text"),)),
    ):
        assert not set(keys(other, run.finished, tmp_path)) & set(known)
    monkeypatch.setattr(stage, "FORMAT", stage.FORMAT + 1)
    assert not set(keys(plan, run.finished, tmp_path)) & set(known)


def write_partitions(inputs: Inputs, settings: Texts, out: Outputs) -> None:  # noqa: ARG001
    """One partition a line; a line may be missing from a task, and with it its partition."""
    for partition, line in enumerate(settings.lines):
        if line:
            with out.parquet("rows", _rows_schema(), partition=partition) as shard:
                shard.write_rows([{"text": line}])


def _rows_schema() -> Any:
    import pyarrow as pa

    return pa.schema([pa.field("text", pa.string())])


def selected(output: StageOutput, link: All | Each | Partition, index: int) -> list[str]:
    import pyarrow.parquet as pq

    return [
        text
        for file in output.select(link, index)
        for text in pq.ParquetFile(output.folder / file.name).read()["text"].to_pylist()
    ]


def test_links_select_by_task_by_partition_or_all(run: Run) -> None:
    shards = [Texts(lines=("a0", "a1", "")), Texts(lines=("b0", "", "b2"))]
    output = run.stage(StagePlan("parts", write_partitions, 1, (), shards))
    assert [selected(output, Each("parts", "rows"), i) for i in range(2)] == [["a0", "a1"], ["b0", "b2"]]
    assert [selected(output, Partition("parts", "rows"), i) for i in range(4)] == [["a0", "b0"], ["a1"], ["b2"], []]
    assert selected(output, All("parts", "rows"), 7) == ["a0", "a1", "b0", "b2"]
    assert selected(output, All("parts", "rows", shards=lambda partition: partition == 0), 7) == ["a0", "b0"]
    assert [path.parent.name for path in output.partitions("rows")] == [
        "partition=00000",
        "partition=00000",
        "partition=00001",
        "partition=00002",
    ]


def test_output_sums_counts_and_bytes(run: Run) -> None:
    run([["a", "b"], ["c"]])
    output = run.finished["lines"]
    assert output.counts == {"lines": 3}
    assert output.n_bytes("lines") == len("a\nb") + len("c")
    assert not output.is_partial


def test_waiting_tasks_are_those_that_would_run(tmp_path: Path) -> None:
    plan = StagePlan("lines", write_lines, 1, (), [Texts(lines=("a",)), Texts(lines=("b",))])
    more = replace(plan, settings=[Texts(lines=("c",)), *plan.settings])
    assert [task.index for task in waiting_tasks(plan, {}, tmp_path)] == [0, 1]
    run_stage(plan, {}, tmp_path, InlineEngine())
    assert waiting_tasks(plan, {}, tmp_path) == []
    assert [task.index for task in waiting_tasks(more, {}, tmp_path)] == [0]

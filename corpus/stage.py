"""What a stage is: a function over shards, what it reads, and the keys by which its results are known.

A task's key is a hash of the stage's name and version, of the format of files, of the settings that the stage reads,
and of the contents of its input files. A stage's folder is named by the hash of its tasks' keys, so a folder never
changes once it is whole; a task whose key is known from an older folder of the same stage is linked from there instead
of run again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from datassay.corpus.engine import Engine, Inputs, Task, TaskFunction
from datassay.corpus.hashing import settings_key
from datassay.corpus.store import FORMAT, Done, FileRecord, adopt, done_path, read_done


@dataclass(frozen=True, slots=True)
class Each:
    """Task i reads shard i of a dataset."""

    stage: str
    dataset: str
    name: str | None = None
    """What the function calls this input; the dataset's own name if None."""


@dataclass(frozen=True, slots=True)
class All:
    """Every task reads all shards of a dataset."""

    stage: str
    dataset: str
    name: str | None = None
    shards: Callable[[int], bool] | None = None
    """Which shards, or partitions of a dataset that has them, by index; all if None."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Task p reads the files that tasks of a shuffle wrote for partition p."""

    stage: str
    dataset: str
    name: str | None = None


Link = Each | All | Partition


@dataclass(frozen=True, slots=True)
class StageOutput:
    """A finished stage: its folder and what its tasks wrote."""

    name: str
    folder: Path
    done: tuple[Done, ...]

    def _files(self, dataset: str) -> Iterator[tuple[Done, FileRecord]]:
        return ((done, file) for done in self.done for file in done.files if file.dataset == dataset)

    def select(self, link: Link, index: int) -> list[FileRecord]:
        """The files that task `index` reads through `link`, in order."""
        files = self._files(link.dataset)
        match link:
            case Each():
                return [file for done, file in files if done.index == index]
            case Partition():
                return [file for _, file in files if file.partition == index]
            case All(shards=chosen):
                return [
                    file
                    for done, file in files
                    if chosen is None or chosen(done.index if file.partition is None else file.partition)
                ]

    def paths(self, dataset: str) -> list[Path]:
        """All files of a dataset, in the order of shards."""
        return [self.folder / file.name for _, file in self._files(dataset)]

    def path(self, dataset: str, index: int = 0) -> Path:
        """The only file of a dataset that task `index` wrote."""
        (path,) = (self.folder / file.name for done, file in self._files(dataset) if done.index == index)
        return path

    def partitions(self, dataset: str) -> list[Path]:
        """The files of a dataset in the order of their partitions."""
        found = sorted((file.partition or 0, file.name) for _, file in self._files(dataset))
        return [self.folder / name for _, name in found]

    def n_bytes(self, dataset: str) -> int:
        return sum(file.n_bytes for _, file in self._files(dataset))

    @property
    def counts(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for done in self.done:
            total.update(done.counts)
        return total

    @property
    def content(self) -> str:
        """Hash of all that the stage wrote."""
        return settings_key([[file.name, file.content] for done in self.done for file in done.files])

    @property
    def is_partial(self) -> bool:
        return any(done.is_partial for done in self.done)


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage made concrete: a settings value for each of its tasks."""

    name: str
    function: TaskFunction
    version: int
    links: tuple[Link, ...]
    settings: Sequence[Any]


def plan_tasks(plan: StagePlan, finished: dict[str, StageOutput], run_folder: Path) -> list[Task]:
    """The tasks of a stage, with their inputs, keys and common folder."""
    inputs, keys = [], []
    for index, settings in enumerate(plan.settings):
        files: dict[str, tuple[Path, ...]] = {}
        contents: list[object] = []
        for link in plan.links:
            output = finished[link.stage]
            selected = output.select(link, index)
            name = link.name or link.dataset
            files[name] = (*files.get(name, ()), *(output.folder / file.name for file in selected))
            contents.append([name, [file.content for file in selected]])
        inputs.append(Inputs(files))
        keys.append(settings_key(FORMAT, plan.name, plan.version, _canonical(settings), contents))
    folder = run_folder / f"{plan.name}-{settings_key(keys)[:12]}"
    return [
        Task(plan.function, task_inputs, settings, folder, index, key)
        for index, (task_inputs, settings, key) in enumerate(zip(inputs, plan.settings, keys, strict=True))
    ]


def _canonical(settings: Any) -> Any:
    return settings.model_dump(mode="json") if isinstance(settings, BaseModel) else settings


def run_stage(
    plan: StagePlan,
    finished: dict[str, StageOutput],
    run_folder: Path,
    engine: Engine,
    *,
    on_start: Callable[[str, int, int], object] = lambda *_: None,
    on_done: Callable[[str, Done], object] = lambda *_: None,
) -> StageOutput:
    """Run the tasks of a stage that are not done yet; on_start hears how many there are and how many were done."""
    tasks = plan_tasks(plan, finished, run_folder)
    folder = tasks[0].folder
    known = _known(plan.name, run_folder)
    results: dict[int, Done] = {}
    todo = []
    for task in tasks:
        done = read_done(done_path(folder, task.index))
        if done is not None and done.key == task.key:
            results[task.index] = done
        elif task.key in known:
            old_folder, old = known[task.key]
            results[task.index] = adopt(old, old_folder, folder, task.index)
        else:
            todo.append(task)
    on_start(plan.name, len(tasks), len(results))
    for done in engine.run(todo):
        results[done.index] = done
        on_done(plan.name, done)
    return StageOutput(plan.name, folder, tuple(results[task.index] for task in tasks))


def waiting_tasks(plan: StagePlan, finished: dict[str, StageOutput], run_folder: Path) -> list[Task]:
    """The tasks of a stage that `run_stage` would run: neither done nor known from an older folder."""
    known = _known(plan.name, run_folder)
    return [task for task in plan_tasks(plan, finished, run_folder) if task.key not in known]


def _known(stage: str, run_folder: Path) -> dict[str, tuple[Path, Done]]:
    """The finished tasks of a stage in all its folders, by key."""
    known = {}
    for path in sorted(run_folder.glob(f"{stage}-*/_done/*.json")):
        done = read_done(path)
        if done is not None:
            known[done.key] = (path.parent.parent, done)
    return known

"""Tasks run in processes; a worker that dies is survived, and no worker outlives its driver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from datassay.corpus.engine import MAX_ATTEMPTS, InlineEngine, Inputs, LocalEngine, Task, TaskFunction
from datassay.corpus.errors import InputError, StoreError

HERE = Path(__file__).parent


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The stage functions, importable here and in worker processes."""
    monkeypatch.syspath_prepend(str(HERE))
    import engine_tasks

    return engine_tasks


def tasks(function: TaskFunction, settings: list[object], folder: Path) -> list[Task]:
    return [Task(function, Inputs({}), value, folder / "stage-0", i, f"key {i}") for i, value in enumerate(settings)]


def numbers(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted((folder / "stage-0" / "number").glob("*.txt"))]


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # what is dead and waits for its parent to notice


def test_inputs_one_wants_exactly_one() -> None:
    inputs = Inputs({"none": (), "one": (Path("a"),), "two": (Path("a"), Path("b"))})
    assert inputs.one("one") == Path("a")
    for name in ("none", "two"):
        with pytest.raises(ValueError, match="unpack"):
            inputs.one(name)


def test_inline_and_local_engines_do_the_same(tmp_path: Path, functions: ModuleType) -> None:
    settings: list[object] = list(range(7))
    inline = list(InlineEngine().run(tasks(functions.write_number, settings, tmp_path / "inline")))
    with LocalEngine(2) as engine:
        local = list(engine.run(tasks(functions.write_number, settings, tmp_path / "local")))
        assert list(engine.run([])) == []
    assert sorted(local, key=lambda done: done.index) == inline
    assert numbers(tmp_path / "local") == numbers(tmp_path / "inline") == [str(i) for i in range(7)]


def test_task_whose_worker_dies_runs_again_and_knows_it(tmp_path: Path, functions: ModuleType) -> None:
    with LocalEngine(2) as engine:
        found = sorted(engine.run(tasks(functions.die_until, [0, 2, 0, 0], tmp_path)), key=lambda done: done.index)
    assert [done.index for done in found] == [0, 1, 2, 3]
    assert found[1].counts == {"attempt": 2}
    assert numbers(tmp_path) == ["0", "2", "0", "0"]


def test_task_that_always_dies_is_named_and_no_other(tmp_path: Path, functions: ModuleType) -> None:
    """The others are under way each time it dies in company, and are not to blame."""
    with (
        LocalEngine(2) as engine,
        pytest.raises(StoreError, match=rf"stage-0 task 1: its worker died {MAX_ATTEMPTS} times"),
    ):
        list(engine.run(tasks(functions.die_if_zero, [1, 0, 2, 3], tmp_path)))
    assert not (tmp_path / "stage-0" / "_done" / "00001.json").exists()


def test_error_of_a_task_comes_out_and_leaves_nothing(tmp_path: Path, functions: ModuleType) -> None:
    with LocalEngine(1) as engine, pytest.raises(InputError, match="this input is bad"):
        list(engine.run(tasks(functions.fail, ["this input is bad"], tmp_path)))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_engine_works_on_after_an_error(tmp_path: Path, functions: ModuleType) -> None:
    with LocalEngine(1) as engine:
        with pytest.raises(InputError):
            list(engine.run(tasks(functions.fail, ["bad"], tmp_path)))
        list(engine.run(tasks(functions.write_number, [1, 2], tmp_path)))
    assert numbers(tmp_path) == ["1", "2"]


def driver(function: str, *arguments: str, path: Path = HERE) -> subprocess.Popen[bytes]:
    """A process that calls a function of engine_tasks; modules are found in `path`, too."""
    code = f"import engine_tasks; engine_tasks.{function}(*{arguments!r})"
    paths = os.pathsep.join([str(HERE), str(path), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths})


@pytest.mark.parametrize("preload", [(), ("json",)], ids=["new interpreters", "forked"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_driver(tmp_path: Path, number: signal.Signals, preload: tuple[str, ...]) -> None:
    process = driver("drive_for_ever", str(tmp_path), *preload)
    try:
        assert wait_until(lambda: len(list(tmp_path.glob("*.pid"))) == 2), "the workers did not begin"
        workers = [int(found.stem) for found in tmp_path.glob("*.pid")]
        process.send_signal(number)
        assert process.wait(60) == -number
        assert wait_until(lambda: not any(map(is_alive, workers))), "workers outlived their driver"
    finally:
        process.kill()


LOADED = """
import os, pathlib, signal
place = pathlib.Path(__file__).parent
(place / f"{os.getpid()}.loaded").touch()
if not (place / "died").exists():
    (place / "died").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux")
@pytest.mark.parametrize("dies", [False, True])
def test_modules_are_loaded_once_and_anew_after_a_death(tmp_path: Path, dies: bool) -> None:
    """The process that workers are forked from can be killed before the first one is there, too."""
    (tmp_path / "loaded_once.py").write_text(LOADED)
    if not dies:
        (tmp_path / "died").touch()
    assert driver("drive", str(tmp_path), "loaded_once", path=tmp_path).wait(120) == 0
    assert numbers(tmp_path) == ["0", "1", "2", "3"]
    assert len(list(tmp_path.glob("*.loaded"))) == 1 + dies

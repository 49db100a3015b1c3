"""The same bytes come from any number of workers, and from a run that was killed in every stage and continued."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from filelock import FileLock

from datassay.cli.pipeline import stages
from datassay.cli.recipe import load_recipe
from datassay.cli.run import Request, run_recipe
from datassay.corpus.hashing import file_hash

LAST_STAGE = "validation_tokens"
NOT_COMPARED = (".lock",)


def hashes(run: Path) -> dict[str, str]:
    """Hash of every file of a run, temporary ones included, by name."""
    return {
        str(path.relative_to(run)): file_hash(path)
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in NOT_COMPARED
    }


def differences(run: Path, other: Path) -> list[str]:
    """Files that only one of two runs has, or that differ."""
    mine, theirs = hashes(run), hashes(other)
    return sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))


def start(recipe: Path, run: Path, *options: str) -> subprocess.Popen[str]:
    """The command, as a process in a group of its own."""
    command = [sys.executable, "-m", "datassay", "run", str(recipe), "-o", str(run), *options]
    return subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool], is_running: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until a condition holds, or what is to bring it about has ended."""
    end = time.monotonic() + seconds
    while not condition() and is_running() and time.monotonic() < end:
        time.sleep(0.002)


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_gives_the_same_bytes(tiny: Path, finished: Path, tmp_path: Path, workers: int) -> None:
    request = Request(tiny / "recipe.toml", tmp_path / "run", until=LAST_STAGE, workers=workers)
    assert run_recipe(request) == 0
    assert differences(tmp_path / "run", finished) == []


def test_a_finished_run_does_nothing(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = Request(tiny / "recipe.toml", tmp_path, until="split", workers=0)
    assert run_recipe(request) == 0
    assert "as is" not in capsys.readouterr().err
    before = hashes(tmp_path)
    assert run_recipe(request) == 0
    *lines, last = capsys.readouterr().err.splitlines()
    assert last == f"stopped after split; the run is in {tmp_path}"
    assert lines
    assert all("as is" in line for line in lines)
    assert hashes(tmp_path) == before


@pytest.mark.slow
def test_a_run_killed_in_every_stage_comes_to_the_same_bytes(tiny: Path, finished: Path, tmp_path: Path) -> None:
    """One run, killed when the folder of the first stage appears, continued, killed in the second stage, and so on.

    The processes are forked from one that has the modules loaded, for each of the two dozen starts would take seconds.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["datassay.cli.run"])
    run = tmp_path / "run"
    request = Request(tiny / "recipe.toml", run, until=LAST_STAGE, workers=0)
    killed = []
    for stage in [stage.name for stage in stages(load_recipe(request.recipe))]:
        process = context.Process(target=run_recipe, args=(request,))
        process.start()

        def has_begun(stage: str = stage) -> bool:
            return any(run.glob(f"{stage}-*/*"))

        wait_for(has_begun, process.is_alive)
        process.kill()
        process.join()
        if process.exitcode == -signal.SIGKILL:
            killed.append(stage)
    assert len(killed) >= 20
    assert run_recipe(request) == 0
    assert differences(run, finished) == []


@pytest.mark.parametrize("stage", ["extract", "quality_model"])
def test_the_command_and_its_workers_killed_at_once(tiny: Path, finished: Path, tmp_path: Path, stage: str) -> None:
    run = tmp_path / "run"
    process = start(tiny / "recipe.toml", run, "--until", LAST_STAGE, "--workers", "2")
    wait_for(lambda: any(run.glob(f"{stage}-*/*")), lambda: process.poll() is None)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    request = Request(tiny / "recipe.toml", run, until=LAST_STAGE, workers=0)
    assert run_recipe(request) == 0
    assert differences(run, finished) == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_polite_stop_says_how_to_go_on(
    tiny: Path, finished: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    """Ctrl-C reaches the whole group, `kill` the command alone."""
    run = tmp_path / "run"
    process = start(tiny / "recipe.toml", run, "--until", LAST_STAGE, "--workers", "1")
    wait_for(lambda: any(run.glob("clean-*/*")), lambda: process.poll() is None)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status, errors
    assert errors.endswith("stopped; the same command continues\n")
    assert "Traceback" not in errors
    request = Request(tiny / "recipe.toml", run, until=LAST_STAGE, workers=0)
    assert run_recipe(request) == 0
    assert differences(run, finished) == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")
@pytest.mark.parametrize("seconds", [0, 0.3, 0.8])
def test_a_stop_while_the_workers_start_is_as_polite(tmp_path: Path, seconds: float) -> None:
    recipe = tmp_path / "recipe.toml"
    sample = Path(__file__).parents[2] / "examples" / "sample"  # takes seconds, so that it is not done before the stop
    recipe.write_text(f'name = "stopped"\n[input]\npaths = ["{sample}/*.warc.gz"]\n')
    process = start(recipe, tmp_path / "run", "--until", "text", "--workers", "2")
    wait_for(lambda: has_server(process.pid), lambda: process.poll() is None)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert errors.endswith("stopped; the same command continues\n")


def has_server(session: int) -> bool:
    """Whether the process that workers are forked from has begun."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_inside = int((folder / "stat").read_text().rpartition(") ")[2].split()[3]) == session
            if is_inside and b"forkserver" in (folder / "cmdline").read_bytes():
                return True
    return False


def test_a_locked_run_is_left_alone(tiny: Path, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"):
        process = start(tiny / "recipe.toml", tmp_path, "--until", "extract")
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 5
    assert "another process works on this run" in errors
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_change_upstream_runs_only_what_depends_on_it(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, run = tiny / "recipe.toml", tmp_path / "run"
    assert run_recipe(Request(recipe, run, until="write", workers=0)) == 0
    capsys.readouterr()
    assert run_recipe(Request(recipe, run, changes=("quality.keep=top 50%",), until="write", workers=0)) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().err.splitlines()[:-1]}
    ran = [name for name, line in lines.items() if "as is" not in line]
    # The windows chosen are the same, byte for byte, so what cuts them does not run.
    assert ran == ["decide", "variants", "choose_units", "choose_windows", "write"]

"""Stage functions of test_engine.py: in a file of their own, so that worker processes can import them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError
from datassay.corpus.store import Outputs


def write_number(inputs: Inputs, settings: Any, out: Outputs) -> None:  # noqa: ARG001
    """Write the setting to a file."""
    with out.file("number", ".txt") as path:
        path.write_text(str(settings))
    out.counts["attempt"] = out.attempt


def die_until(inputs: Inputs, settings: int, out: Outputs) -> None:
    """Kill this very process, as the kernel does when memory is short, before attempt `settings`."""
    if out.attempt < settings:
        with out.file("number", ".txt") as path:
            path.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    write_number(inputs, settings, out)


def die_if_zero(inputs: Inputs, settings: int, out: Outputs) -> None:
    """Task 0 always dies, the others take a while, so that they are under way when it does."""
    if settings == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.3)
    write_number(inputs, settings, out)


def fail(inputs: Inputs, settings: str, out: Outputs) -> None:  # noqa: ARG001
    """Raise in the middle of a file."""
    with out.file("number", ".txt") as path:
        path.write_text("half")
        raise InputError(settings)


def say_who_and_wait(inputs: Inputs, settings: str, out: Outputs) -> None:  # noqa: ARG001
    """Write this process's id to a file, then do not come to an end."""
    path = Path(settings) / f"{os.getpid()}.pid"
    path.touch()
    while True:
        time.sleep(1)


def drive_for_ever(folder: str, *preload: str) -> None:
    """A driver with two workers that are busy until someone ends them."""
    from datassay.corpus.engine import LocalEngine, Task

    tasks = [Task(say_who_and_wait, Inputs({}), folder, Path(folder), i, "key") for i in range(2)]
    with LocalEngine(2, preload=preload) as engine:
        list(engine.run(tasks))


def drive(folder: str, *preload: str) -> None:
    """A driver that writes four numbers with two workers."""
    from datassay.corpus.engine import LocalEngine, Task

    tasks = [Task(write_number, Inputs({}), i, Path(folder) / "stage-0", i, f"key {i}") for i in range(4)]
    with LocalEngine(2, preload=preload) as engine:
        assert len(list(engine.run(tasks))) == 4

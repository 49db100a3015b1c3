"""What a command that runs stages needs around them: an engine, a folder for itself alone, signals that stop it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from datassay.corpus.engine import Engine, InlineEngine, LocalEngine
from datassay.corpus.errors import InputError, LockedError


class Terminated(BaseException):
    """SIGTERM came: stop at once and leave a run that the same command continues."""


@contextmanager
def engine_of(n_workers: int, *, initialize: Callable[[], None] | None = None) -> Iterator[Engine]:
    """The engine for so many processes, 0 for this one alone; initialize: what each worker does first."""
    if n_workers == 0:
        yield InlineEngine()
    else:
        with LocalEngine(n_workers, initialize=initialize) as engine:
            yield engine


@contextmanager
def locked(folder: Path, *, is_index: bool = False) -> Iterator[None]:
    """A run folder, or an index, for this process alone. Raises LockedError if another has it."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from error
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        with lock:
            yield
    except Timeout as error:
        what, remedy = ("index", "wait for it") if is_index else ("run", "wait for it or take another --output")
        raise LockedError(f"{folder}: another process works on this {what}; {remedy}") from error


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

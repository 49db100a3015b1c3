"""What a command that runs stages needs around them: an engine, a folder for itself alone, signals that stop it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from datassay.corpus.engine import Engine, InlineEngine, LocalEngine
from datassay.corpus.errors import InputError, LockedError
from datassay.corpus.without_pandas import leave_pandas_out


class Terminated(BaseException):
    """SIGTERM came: stop at once and leave a run that the same command continues."""


@contextmanager
def engine_of(n_workers: int, *, preload: str, is_own_code: bool = False) -> Iterator[Engine]:
    """The engine for so many processes, 0 for this one alone.

    preload: the module that they have loaded, unless they run the user's own code, for which they load nothing before
    and may load pandas.
    """
    if n_workers == 0:
        yield InlineEngine()
        return
    if is_own_code:
        engine = LocalEngine(n_workers)
    else:
        engine = LocalEngine(n_workers, preload=[preload], initialize=leave_pandas_out)
    with engine:
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

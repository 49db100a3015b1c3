"""Protection from single pages that take endless time or memory, or that crash native code.

The limits are generous and protect only: what they hit depends on the machine, so a task in which a guard acted is
partial. Limits that decide what a corpus holds are counted (bytes, elements, depth) and stand in `extract.py`.

- CPU seconds: a timer raises in Python code. Native code that does not come back is ended, with its process, by the
  kernel (RLIMIT_CPU).
- Memory: beyond what the process has, a page may take so much more address space (RLIMIT_AS); MemoryError follows.
- A page that took its worker with it: the engine runs the task again, and then every page runs in a forked child of its
  own. The child's death names the page, and the other pages come through.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeVar

from pydantic import BaseModel, PositiveFloat, PositiveInt

try:
    import resource
except ImportError:  # not a POSIX system: no guard
    resource = None  # type: ignore[assignment]

T = TypeVar("T")


class GuardLimits(BaseModel, frozen=True, extra="forbid"):
    """What one page may take; far above what any page needs, since what is hit here depends on the machine."""

    max_seconds: PositiveFloat = 60.0
    """CPU seconds. Native code that cannot be interrupted gets twice as many before its process is ended."""
    max_memory: PositiveInt = 4 << 30
    """Bytes of address space beyond those that the process has when the page's turn comes."""


class GuardedError(Exception):
    """A guard acted; the message says which: `seconds`, `memory` or `crash`."""


class _OutOfTimeError(BaseException):
    """Raised by the timer; no Exception, so that an extractor's own error handling lets it through."""


def run_guarded(function: Callable[[], T], limits: GuardLimits, *, in_child: bool = False) -> T:
    """What `function` returns, which with `in_child` must be picklable. Raises GuardedError if a guard acted.

    Other errors of `function` are raised as they are. Outside a process's main thread, where no signal arrives, and on
    systems without POSIX resource limits the function runs without a guard.
    """
    if resource is None or threading.current_thread() is not threading.main_thread():
        return function()
    if in_child:
        return _in_child(function, limits)
    return _in_process(function, limits, may_end=multiprocessing.parent_process() is not None)


def _in_process(function: Callable[[], T], limits: GuardLimits, *, may_end: bool) -> T:
    try:
        with _time_limit(limits.max_seconds), _resource_limits(limits, cpu=may_end):
            return function()
    except _OutOfTimeError:
        raise GuardedError("seconds") from None
    except MemoryError:
        raise GuardedError("memory") from None


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise _OutOfTimeError in the block once this process used so many CPU seconds in it."""

    def out_of_time(_signal: int, _frame: FrameType | None) -> None:
        raise _OutOfTimeError

    previous = signal.signal(signal.SIGPROF, out_of_time)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


@contextmanager
def _resource_limits(limits: GuardLimits, *, cpu: bool) -> Iterator[None]:
    """Let this process have so much more memory, and if `cpu`, end it after twice the seconds."""
    wanted: dict[int, int] = {}
    if (space := _address_space()) is not None:
        wanted[resource.RLIMIT_AS] = space + limits.max_memory
    if cpu:
        wanted[resource.RLIMIT_CPU] = int(time.process_time() + 2 * limits.max_seconds) + 1
        wanted[resource.RLIMIT_CORE] = 0
    previous = {kind: resource.getrlimit(kind) for kind in wanted}
    try:
        for kind, (soft, hard) in previous.items():
            resource.setrlimit(kind, (_lower(wanted[kind], soft), hard))
        yield
    finally:
        for kind, limit in previous.items():
            resource.setrlimit(kind, limit)


def _lower(wanted: int, present: int) -> int:
    return wanted if present == resource.RLIM_INFINITY else min(wanted, present)


def _address_space() -> int | None:
    """Bytes of address space of this process; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except FileNotFoundError:
        return None
    return pages * resource.getpagesize()


def _in_child(function: Callable[[], T], limits: GuardLimits) -> T:
    """Run `function` in a forked child and take its pickled result, or its error, from a pipe."""
    read_end, write_end = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: the child runs one function only
        child = os.fork()
    if child == 0:
        os.close(read_end)
        _answer(function, limits, write_end)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if status != 0 or not answer:
        ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        raise GuardedError("seconds" if ended_by == signal.SIGXCPU else "crash")
    is_error, value = pickle.loads(answer)
    if is_error:
        raise value
    result: T = value
    return result


def _answer(function: Callable[[], T], limits: GuardLimits, write_end: int) -> None:
    """Write (whether it is an error, result or error) to the pipe and end this process, whatever happens."""
    status = 1
    try:
        try:
            answer = pickle.dumps((False, _in_process(function, limits, may_end=True)))
        except Exception as error:
            answer = pickle.dumps((True, error))
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(answer)
        status = 0
    finally:
        os._exit(status)

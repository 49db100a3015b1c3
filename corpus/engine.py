"""How functions run over tasks: one process, or a pool of processes that survives the death of its workers.

A stage is a list of tasks, a task is a function of its input files, and a barrier stands between stages. No document
passes through the driver: results are names of files and counts. The engine knows no stage.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from datassay.corpus.errors import StoreError
from datassay.corpus.store import Done, Outputs

THREADS = "OMP_NUM_THREADS"
"""One task, one core: processes are the only parallelism."""
SECONDS_BETWEEN_STARTS = (0.1, 0.5, 2.0, 0.0)
"""A worker that cannot be started is tried again after so long."""
STOPS = (signal.SIGINT, signal.SIGTERM)
"""Signals on which the driver ends its workers."""
MAX_ATTEMPTS = 4
"""A task whose worker died this often stops the run."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The input files of one task, by the name of the dataset that they belong to."""

    files: Mapping[str, tuple[Path, ...]]

    def all(self, dataset: str) -> tuple[Path, ...]:
        return self.files[dataset]

    def one(self, dataset: str) -> Path:
        """The only file of `dataset`. Raises ValueError if there is not exactly one."""
        (path,) = self.files[dataset]
        return path


class TaskFunction(Protocol):
    """A stage's function: reads its inputs, writes its outputs, keeps no state between calls."""

    def __call__(self, inputs: Inputs, settings: Any, out: Outputs, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Task:
    """One call of a stage's function, with the key under which its result is known."""

    function: TaskFunction
    inputs: Inputs
    settings: Any
    folder: Path
    index: int
    key: str


def run_task(task: Task, attempt: int = 0) -> Done:
    """Run a task in this process and record that it is done."""
    out = Outputs(task.folder, task.index, attempt)
    task.function(task.inputs, task.settings, out)
    return out.commit(task.key)


class Engine(Protocol):
    """Runs tasks in any order and yields each as it is done."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Done]: ...


class InlineEngine:
    """One task after the other in this process: for debugging and tests."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Done]:
        for task in tasks:
            yield run_task(task)


class LocalEngine:
    """A pool of processes that lives for the whole run.

    Workers have the modules `preload` loaded before their first task. On Linux they are forked from a process that
    does nothing but load these, so that it is done once and its memory shared; elsewhere, and without `preload`, each
    is a new interpreter. A process has one such server: what is preloaded by it, the first engine decides.

    A worker that is killed (out of memory, a crash in native code) breaks its pool; the pool is made anew and the tasks
    that were under way run again, one at a time, up to MAX_ATTEMPTS. They know which attempt they are.
    """

    def __init__(
        self, n_workers: int, *, preload: Sequence[str] = (), initialize: Callable[[], None] | None = None
    ) -> None:
        self.n_workers = n_workers
        self._preload = tuple(preload)
        self._initialize = initialize
        self._is_forked = bool(preload) and sys.platform == "linux"
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> LocalEngine:
        if self._is_forked:  # it loads while this process goes on
            forkserver.set_forkserver_preload([__name__, *self._preload])
            with _for_workers():
                forkserver.ensure_running()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def run(self, tasks: Sequence[Task]) -> Iterator[Done]:
        attempts = [0] * len(tasks)
        todo = list(range(len(tasks)))[::-1]
        running: dict[Future[Done], int] = {}
        try:
            while todo or running:
                while todo and self._may_start(todo[-1], running.values(), attempts):
                    i = todo.pop()
                    running[self._submit(tasks[i], attempts[i])] = i
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                broken = []
                for future in finished:
                    i = running.pop(future)
                    try:
                        done = future.result()
                    except (BrokenProcessPool, CancelledError):  # of a pool that was ended
                        broken.append(i)
                    else:
                        yield done
                if broken:
                    broken += running.values()
                    running.clear()
                    self.stop()
                    todo += self._again(tasks, broken, attempts)
        except BaseException:
            self.stop()
            raise

    def _may_start(self, i: int, running: Collection[int], attempts: Sequence[int]) -> bool:
        """Whether task i may join those that run: never more than workers; a task whose worker died runs alone.

        Alone it has all the memory, and if its worker dies again it is the culprit and no other.
        """
        is_calm = not any(attempts[j] for j in (i, *running))
        return not running or (is_calm and len(running) < self.n_workers)

    def _submit(self, task: Task, attempt: int) -> Future[Done]:
        for seconds in SECONDS_BETWEEN_STARTS:
            try:
                with _uninterrupted():  # a worker that is just starting must be known to be ended
                    return self._ready_pool().submit(run_task, task, attempt)
            except BrokenProcessPool as error:  # a worker died since the last look
                future: Future[Done] = Future()
                future.set_exception(error)
                return future
            except (EOFError, ConnectionError):  # what it was to be forked from has died, or is about to
                self.stop()
                time.sleep(seconds)
        raise StoreError("no worker can be started: what they are forked from dies (out of memory?)")

    def _again(self, tasks: Sequence[Task], broken: Sequence[int], attempts: list[int]) -> list[int]:
        for i in broken:
            attempts[i] += 1
            if attempts[i] >= MAX_ATTEMPTS:
                task = tasks[i]
                raise StoreError(
                    f"{task.folder.name} task {task.index}: its worker died {MAX_ATTEMPTS} times (out of memory?); "
                    "run again with fewer --workers"
                )
        return sorted(broken, reverse=True)

    def _ready_pool(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.n_workers,
                mp_context=multiprocessing.get_context("forkserver" if self._is_forked else "spawn"),
                initializer=_start_worker,
                initargs=(self._preload, self._initialize),
            )
        return self._pool

    def stop(self) -> None:
        """End the workers at once; what they had not finished leaves no trace."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            for process in list((pool._processes or {}).values()):
                process.kill()
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _for_workers() -> Iterator[None]:
    """Processes started within use one thread, and hear no Ctrl-C."""
    resource_tracker.ensure_running()  # for it would hear signals again
    before = os.environ.get(THREADS)
    os.environ[THREADS] = "1"
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)
        if before is None:
            del os.environ[THREADS]
        else:
            os.environ[THREADS] = before


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """What SIGINT and SIGTERM do, they do after the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in STOPS}
    try:
        yield
    finally:
        for stop, handler in before.items():
            signal.signal(stop, handler if handler is not None else signal.SIG_DFL)
        if came:
            signal.raise_signal(signal.Signals(came[0]))


def _start_worker(preload: Sequence[str], initialize: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides when to stop
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_driver, daemon=True).start()
    os.environ[THREADS] = "1"
    if initialize is not None:
        initialize()
    for name in preload:
        importlib.import_module(name)


def _end_with_driver() -> None:
    """End this process when the one that made it is gone, also when that was killed."""
    driver = multiprocessing.parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)

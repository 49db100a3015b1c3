"""What a person sees while stages run: one live line on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO


class Progress:
    """Shows the stage under way, how many of its tasks are done and how long is left."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream = stream or sys.stderr
        self._live = None
        if stream.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            self._live = Bars(
                TextColumn("{task.description:<18}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=Console(file=stream),
                transient=True,
            )
        self._started = time.monotonic()
        self._stage = ""
        self._total = 0
        self._before = 0
        self._reached = 0

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def start(self, stage: str, n_tasks: int, n_done: int) -> None:
        """A stage begins: how many tasks it has, and how many of them were done by an earlier run."""
        self._started, self._stage, self._total, self._before = time.monotonic(), stage, n_tasks, n_done
        self._reached = 0
        if self._live is not None:
            for task in self._live.tasks:
                self._live.remove_task(task.id)
            self._live.add_task(stage, total=n_tasks, completed=n_done)

    def advance(self) -> None:
        """One more task is done."""
        if self._live is not None:
            self._live.advance(self._live.tasks[-1].id)

    def reach(self, n_done: int, state: str) -> None:
        """A long task has come this far; without a terminal, a tenth of the way makes a line."""
        if self._live is not None:
            self._live.update(self._live.tasks[-1].id, completed=n_done)
        elif n_done * 10 // self._total > self._reached:
            self._reached = n_done * 10 // self._total
            self.note(f"{self._stage} {n_done:,} of {self._total:,}: {state}")

    def finish(self, summary: str) -> None:
        """The stage is done; the line with its summary stays."""
        seconds = time.monotonic() - self._started
        n_run = self._total - self._before
        took = f"{seconds:6.1f} s" if n_run else "   as is"
        self.note(f"{self._stage:<18} {took}  {summary}".rstrip())

    def note(self, line: str) -> None:
        """A line that stays."""
        if self._live is not None:
            self._live.console.print(line, highlight=False, markup=False)
        else:
            print(line, file=self._stream, flush=True)

"""Runs a command and says what it took: memory of all its processes together, wall and CPU time (Linux).

    python benchmarks/dedup_memory.py [--documents N] COMMAND [ARGUMENT...]
    python benchmarks/dedup_memory.py --documents 1000000 datassay dedup corpus/*.parquet -o found --minhash fineweb

Memory is the proportional set size, `Pss` in /proc/PID/smaps_rollup, summed over the processes of the command's session
every fifth of a second: pages that processes share are counted once. A peak between two looks is missed. CPU time is
that of the command and of all processes below it, also of those that it did not wait for. Files in the page cache are
nobody's and not counted. Bytecode is kept, as an installation leaves it, whatever PYTHONDONTWRITEBYTECODE says.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

EVERY_SECONDS = 0.2
PR_SET_CHILD_SUBREAPER = 36
"""prctl(2)."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a command took."""

    wall: float
    cpu: float
    peak_pss: int  # bytes, all processes
    most_processes: int


def measure(command: Sequence[str], *, output: int | None = None) -> Usage:
    """Run a command in a session of its own, writing to `output` if given. Raises CalledProcessError if it fails."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begin = time.perf_counter()
    process = subprocess.Popen(command, start_new_session=True, stdout=output, stderr=output, env=environment)
    looks: list[list[int]] = [[]]
    is_over = threading.Event()
    watcher = threading.Thread(target=watch, args=(process.pid, is_over, looks))
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    is_over.set()
    watcher.join()
    usages = [usage, *left_behind()]
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    return Usage(wall, cpu, max(map(sum, looks)), max(map(len, looks)))


def left_behind() -> Iterator[resource.struct_rusage]:
    """What processes took that nobody waited for, as they end; by PR_SET_CHILD_SUBREAPER they are ours."""
    while True:
        try:
            yield os.wait3(0)[2]
        except ChildProcessError:
            return


def watch(session: int, is_over: threading.Event, looks: list[list[int]]) -> None:
    """Look at the session until it is over."""
    while not is_over.wait(EVERY_SECONDS):
        looks.append(list(sizes(session)))


def sizes(session: int) -> Iterator[int]:
    """Proportional set size in bytes of each process of the session."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # pid (name) state parent group session ...: a name may hold spaces and brackets
            if int((folder / "stat").read_text().rpartition(") ")[2].split()[3]) == session:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                yield from (int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended, or became a zombie, between two lines


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--documents", type=int, help="how many the command goes through")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    try:
        used = measure(arguments.command)
    except subprocess.CalledProcessError as error:
        raise SystemExit(str(error)) from error
    each = f", {used.cpu / arguments.documents * 1e6:.1f} µs of CPU a document" if arguments.documents else ""
    print(
        f"peak memory {used.peak_pss / 1e6:,.0f} MB in up to {used.most_processes} processes, "
        f"{used.wall:.1f} s, {used.cpu:.1f} s of CPU{each}"
    )


if __name__ == "__main__":
    main()

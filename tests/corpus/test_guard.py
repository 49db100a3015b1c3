"""Guards: a slow, greedy or crashing page ends with a word for it, and the other pages come through."""

from __future__ import annotations

import importlib
import os
import resource
import signal
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from datassay.corpus.engine import Inputs, LocalEngine, Task
from datassay.corpus.guard import GuardedError, GuardLimits, run_guarded

LIMITS = GuardLimits(max_seconds=0.3, max_memory=256 << 20)


def spin() -> None:
    while True:
        pass


def spin_and_catch() -> None:
    """As extractors do that catch whatever a page raises."""
    while True:
        try:
            spin()
        except Exception:
            continue


def crash() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("in_child", [False, True])
def test_result_and_error_come_back(in_child: bool) -> None:
    assert run_guarded(lambda: "x" * 200_000, LIMITS, in_child=in_child) == "x" * 200_000  # more than a pipe holds
    with pytest.raises(ZeroDivisionError):
        run_guarded(lambda: 1 // 0, LIMITS, in_child=in_child)


@pytest.mark.parametrize("in_child", [False, True])
@pytest.mark.parametrize("function", [spin, spin_and_catch])
def test_slow_python_is_interrupted(function: object, in_child: bool) -> None:
    with pytest.raises(GuardedError, match="seconds"):
        run_guarded(function, LIMITS, in_child=in_child)  # type: ignore[arg-type]


@pytest.mark.parametrize("in_child", [False, True])
def test_memory_is_limited(in_child: bool) -> None:
    with pytest.raises(GuardedError, match="memory"):
        run_guarded(lambda: bytearray(512 << 20), LIMITS, in_child=in_child)
    assert len(run_guarded(lambda: bytearray(8 << 20), LIMITS, in_child=in_child)) == 8 << 20


def test_sleep_costs_no_seconds() -> None:
    run_guarded(lambda: time.sleep(0.4), LIMITS)  # CPU time, not the clock: a busy machine drops no pages


@pytest.mark.parametrize("function", [crash, lambda: os._exit(0), lambda: os._exit(3)])
def test_crash_in_child_is_named(function: object) -> None:
    with pytest.raises(GuardedError, match="crash"):
        run_guarded(function, LIMITS, in_child=True)  # type: ignore[arg-type]


def test_limits_are_put_back() -> None:
    before = [resource.getrlimit(kind) for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU)]
    handler = signal.getsignal(signal.SIGPROF)
    with pytest.raises(GuardedError):
        run_guarded(spin, LIMITS)
    assert [resource.getrlimit(kind) for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU)] == before
    assert signal.getsignal(signal.SIGPROF) is handler
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_other_threads_run_without_guard() -> None:
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(run_guarded(lambda: 1, LIMITS)))
    thread.start()
    thread.join()
    assert results == [1]


ADD_UP = '''
from functools import partial

import pyarrow as pa

from datassay.corpus.guard import GuardedError, run_guarded


def add_up(inputs, settings, out):
    """A stage of three items. The second stays in native code for hours: only the kernel can end that."""
    with out.parquet("sums", pa.schema([pa.field("sum", pa.int64())])) as shard:
        for n in (10, 10**13, 20):
            try:
                found = run_guarded(partial(sum, range(n)), settings, in_child=out.attempt > 0)
            except GuardedError:
                out.is_partial = True
                continue
            shard.write_rows([{"sum": found}])
'''


def test_item_that_kills_its_worker_is_left_out_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "adding_up.py").write_text(ADD_UP)
    monkeypatch.syspath_prepend(tmp_path)
    add_up = importlib.import_module("adding_up").add_up
    with LocalEngine(1) as engine:
        (done,) = engine.run([Task(add_up, Inputs({}), GuardLimits(max_seconds=0.5), tmp_path / "out", 0, "key")])
    assert pq.read_table(tmp_path / "out/sums/part-00000.parquet")["sum"].to_pylist() == [45, 190]
    assert done.is_partial

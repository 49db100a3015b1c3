"""Guards: a slow, greedy or crashing page ends with a word for it, and the other pages come through."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from datassay.corpus.engine import Inputs, LocalEngine, Task
from datassay.corpus.extract import ExtractionLimits
from datassay.corpus.guard import GuardedError, GuardLimits, run_guarded
from datassay.corpus.ingest import ExtractSettings, IngestSettings, ingest
from datassay.corpus.records import InputFile

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


def test_page_that_kills_its_worker_is_left_out_alone(tmp_path: Path) -> None:
    """60 000 elements deep, resiliparse stays in native code for minutes: only the kernel can end that."""
    deep = "<html><body>" + "<div>" * 60_000 + "<p>Nobody will ever read this.</p>"
    pages = {"1-before.html": page("before"), "2-deep.html": deep, "3-after.html": page("after")}
    settings = IngestSettings(
        files=tuple(written(tmp_path / name, text) for name, text in pages.items()),
        extract=ExtractSettings(
            profile="fast",
            limits=ExtractionLimits(max_depth=100_000),
            guard=GuardLimits(max_seconds=0.5),
        ),
    )
    with LocalEngine(1) as engine:
        (done,) = engine.run([Task(ingest, Inputs({}), settings, tmp_path / "out", 0, "key")])
    documents = pq.read_table(tmp_path / "out/documents/part-00000.parquet").to_pylist()
    records = pq.read_table(tmp_path / "out/records/part-00000.parquet").to_pylist()
    assert [document["file"] for document in documents] == ["1-before.html", "3-after.html"]
    assert [record["reason"] for record in records] == [None, "guarded", None]
    assert done.is_partial
    assert done.counts["skipped_guarded"] == 1


def page(word: str) -> str:
    sentence = f"This is the page {word} the other one, and it has a paragraph that is long enough to be kept as text. "
    return f"<html><head><title>{word}</title></head><body><article><p>{sentence * 3}</p></article></body></html>"


def written(path: Path, text: str) -> InputFile:
    path.write_text(text)
    body = text.encode()
    return InputFile(str(path), path.name, len(body), sha256(body).hexdigest())

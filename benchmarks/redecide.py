"""Deciding again: 40 rules, a quality cut-off and duplicates over a million documents of 60 signals, before and after.

The signals are those of benchmarks/decide.py; one document in twenty has a near copy. Prints seconds and peak memory.

    python benchmarks/redecide.py
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from decide import DATASETS, N_SHARDS, RULES, SHARD_ROWS, peak_memory, write_signals

from datassay.cli import decisions
from datassay.cli.decisions import DecideSettings
from datassay.cli.recipe import Recipe
from datassay.cli.redecide import Judges, Ledger, Outcome, decide_again, decided_before
from datassay.cli.run_folder import RunFolder
from datassay.corpus.engine import Inputs, Task
from datassay.corpus.split import SPLIT
from datassay.corpus.store import Outputs, parquet_shard
from datassay.dedup.exact import PAIR
from datassay.dedup.settings import DedupSettings
from datassay.filters.decide import RulesSettings, apply_rules
from datassay.filters.rules import Rule

CARRY = ("quality", "n_chars", "n_bytes", "date")
SETTINGS = DecideSettings(quality="top 70%", dedup=DedupSettings())


def signals(folder: Path, shard: int) -> Inputs:
    return Inputs({name: (folder / f"{name}-{shard}.parquet",) for name in (*DATASETS, "carried")})


def write_run(folder: Path) -> None:
    """Signals, roles, pairs, and the verdicts and decisions of a run."""
    write_signals(folder)
    rng = np.random.default_rng(1)
    for shard in range(N_SHARDS):
        ids = pq.read_table(folder / f"text-{shard}.parquet", columns=["id"])["id"].combine_chunks()
        sizes = rng.integers(100, 10_000, SHARD_ROWS)
        columns = [ids, rng.random(SHARD_ROWS), sizes, sizes, pa.nulls(SHARD_ROWS, pa.string())]
        pq.write_table(pa.table(columns, names=["id", *CARRY]), folder / f"carried-{shard}.parquet")
        roles = pa.record_batch([ids, pa.repeat("train", SHARD_ROWS), pa.nulls(SHARD_ROWS, pa.string())], schema=SPLIT)
        with parquet_shard(folder / f"split/{shard:05d}.parquet", SPLIT) as part:
            part.write(roles)
        apply_rules(signals(folder, shard), RulesSettings(rules=RULES, carry=CARRY), Outputs(folder, shard))
    ends = [f"{number:032x}" for number in range(0, N_SHARDS * SHARD_ROWS, 20)]
    copies = [f"{number + 1:032x}" for number in range(0, N_SHARDS * SHARD_ROWS, 20)]
    pairs = pa.record_batch([ends, copies, np.full(len(ends), 0.9), pa.repeat("near", len(ends))], schema=PAIR)
    with parquet_shard(folder / "pairs.parquet", PAIR) as part:
        part.write(pairs)
    decisions.decide(decided_on(folder), SETTINGS, Outputs(folder, 0))


def decided_on(folder: Path) -> Inputs:
    def files(name: str) -> tuple[Path, ...]:
        return tuple(sorted((folder / name).glob("*.parquet")))

    return Inputs({"verdicts": files("verdicts"), "split": files("split"), "pairs": (folder / "pairs.parquet",)})


def ledger(folder: Path) -> Ledger:
    """The run, and a decision on it with half the limits of the rules and another cut-off."""
    own = [{"name": rule.name, "keep": rule.keep} for rule in RULES]
    quality = {"model": "none.bin", "keep": SETTINGS.quality}
    values = {"name": "benchmark", "input": {"paths": ["none"]}, "rules": own, "quality": quality}
    recipe = Recipe.model_validate(values)
    found = {
        "decide": sorted((folder / "decisions").glob("*/*.parquet")),
        "verdicts": sorted((folder / "verdicts").glob("*.parquet")),
        "split": sorted((folder / "split").glob("*.parquet")),
    }
    entries = {
        name: {"folder": ".", "files": [str(path.relative_to(folder)) for path in paths]}
        for name, paths in found.items()
    }
    run = RunFolder(folder, {"recipe": recipe.model_dump(mode="json"), "stages": entries})
    looser = tuple(Rule(rule.name, rule.keep.replace("0.02", "0.01"), rule.source) for rule in RULES)
    settings = RulesSettings(rules=looser)
    tasks = [Task(apply_rules, signals(folder, i), settings, folder, i, "") for i in range(N_SHARDS)]
    judging = Judges(looser, {rule.name: "rules" for rule in looser})
    deciding = SETTINGS.model_copy(update={"quality": "top 50%"})
    return Ledger(run, recipe, judging, tasks, decided_on(folder), deciding)


def timed(name: str, function: Callable[[], Outcome]) -> Outcome:
    begin, cpu = time.perf_counter(), time.process_time()
    found = function()
    peak = peak_memory()
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    print(f"{name}: {seconds:.2f} s, {cpu:.2f} s of CPU, peak memory so far {peak:.0f} MB, {found.keep.sum():,} kept")
    return found


def measure(folder: Path) -> None:
    """Both decisions, each timed: rules alone, everything, and what the run had decided."""
    given = ledger(folder)
    alone = replace(given, settings=DecideSettings())
    timed("rules alone", lambda: decide_again(alone))
    timed("rules, cut-off and duplicates", lambda: decide_again(given))
    timed("what the run decided", lambda: decided_before(given.run))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]))
    else:
        with TemporaryDirectory() as temp:
            write_run(Path(temp))
            subprocess.run([sys.executable, __file__, temp], check=True)  # its own process, for its own peak memory

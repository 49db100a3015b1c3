"""Deciding: 40 rules with all reasons over a million documents of 60 signals. Prints seconds and peak memory.

The signals are synthetic and lie in 16 shards of three datasets; each rule drops about 2 % of the documents.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datassay.corpus.engine import Inputs
from datassay.corpus.store import ROW_GROUP_ROWS, Outputs
from datassay.filters.decide import RulesSettings, apply_rules
from datassay.filters.rules import Rule

N_SHARDS, SHARD_ROWS = 16, 62_500
DATASETS = {"text": 40, "language": 5, "quality": 15}
RULES = tuple(Rule(f"rule_{i}", f"text_{i} >= 0.02", "synthetic") for i in range(40))


def write_signals(folder: Path) -> None:
    """Uniform numbers for 60 signals of each document."""
    rng = np.random.default_rng(0)
    for shard in range(N_SHARDS):
        ids = pa.array([f"{shard * SHARD_ROWS + row:032x}" for row in range(SHARD_ROWS)])
        for name, n_columns in DATASETS.items():
            columns = {f"{name}_{i}": rng.random(SHARD_ROWS, np.float32).astype(np.float64) for i in range(n_columns)}
            table = pa.table({"id": ids, **columns, f"{name}_bytes": rng.integers(0, 10_000, SHARD_ROWS)})
            pq.write_table(table, folder / f"{name}-{shard}.parquet", compression="zstd", row_group_size=ROW_GROUP_ROWS)


def peak_memory() -> float:
    """The most memory that this process has held, in MB (Linux).

    `getrusage` would also count what the process that started this one held.
    """
    (peak,) = re.findall(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(peak) / 1024


def decide(folder: Path) -> None:
    """All rules over all shards in this process."""
    begin = time.perf_counter()
    settings = RulesSettings(rules=RULES, carry=("quality_0", "text_bytes"))
    for shard in range(N_SHARDS):
        inputs = Inputs({name: (folder / f"{name}-{shard}.parquet",) for name in DATASETS})
        apply_rules(inputs, settings, Outputs(folder / "rules", shard))
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time()
    peak = peak_memory()
    print(f"{len(RULES)} rules {seconds:.2f} s; {cpu_seconds:.2f} s of CPU in all; peak memory {peak:.0f} MB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        decide(Path(sys.argv[1]))
    else:
        with TemporaryDirectory() as temp:
            write_signals(Path(temp))
            subprocess.run([sys.executable, __file__, temp], check=True)  # its own process, for its own peak memory

"""Damaged pages, with an index beyond an array as an error: our extractor ends with a text or a reason."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKED = """
import runpy, sys
import numpy as np
from datassay.corpus.compiled import compiled

@compiled
def beyond(numbers):
    return numbers[len(numbers)]

try:
    beyond(np.zeros(1))
except IndexError:
    sys.path.insert(0, sys.argv[1])
    sys.argv = sys.argv[1:]
    runpy.run_module("extraction_damage", run_name="__main__")
else:
    sys.exit("indices are not checked")
"""


@pytest.mark.slow
def test_damaged_pages_with_checks_of_all_bounds(tmp_path: Path) -> None:
    """Compiled anew, in a cache of its own; `benchmarks/extraction_damage.py` goes on to a million."""
    (tmp_path / "checked.py").write_text(CHECKED)
    pages = ROOT / "tests" / "data" / "page-kinds.jsonl.zst"
    done = subprocess.run(
        [sys.executable, tmp_path / "checked.py", ROOT / "benchmarks", pages, "--variants", "3000", "--seed", "7"],
        env={**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "3,000 variants of 233 pages" in done.stdout

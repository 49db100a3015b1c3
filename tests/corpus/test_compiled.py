"""Machine code is never older than any source of the functions that it was made of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from numba import version_info

from datassay.corpus.compiled import forget_stale

INNER = "from datassay.corpus.compiled import compiled\n@compiled\ndef inner(x):\n    return x + {}\n"
OUTER = (
    "from datassay.corpus.compiled import compiled\nfrom inner import inner\n"
    "@compiled\ndef outer(x):\n    return inner(x) * 10\n"
)


def answer(folder: Path) -> str:
    """What the function answers in a new process, which uses what others left compiled."""
    code = (
        f"import sys; sys.path.insert(0, {str(folder / 'filters')!r})\n"
        f"from pathlib import Path\nfrom datassay.corpus.compiled import forget_stale\n"
        f"forget_stale(Path({str(folder)!r}))\nfrom outer import outer\nprint(outer(1))"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_change_in_a_file_that_is_called_compiles_its_callers_anew(tmp_path: Path) -> None:
    filters = tmp_path / "filters"
    filters.mkdir()
    (tmp_path / "corpus").mkdir()
    (filters / "inner.py").write_text(INNER.format(1))
    (filters / "outer.py").write_text(OUTER)
    assert answer(tmp_path) == "20"
    compiled = {path: path.stat().st_mtime_ns for path in (filters / "__pycache__").glob("outer*.nbc")}
    assert compiled
    assert answer(tmp_path) == "20"
    assert {path: path.stat().st_mtime_ns for path in compiled} == compiled  # nothing changed, nothing compiled
    (filters / "inner.py").write_text(INNER.format(2))
    assert answer(tmp_path) == "30"


def test_only_files_with_compiled_functions_count(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.py").write_text("@compiled\n")
    assert forget_stale(tmp_path)
    (folder / "b.py").write_text("x = 1\n")
    assert not forget_stale(tmp_path)
    (folder / "b.py").write_text("@compiled\n")
    assert forget_stale(tmp_path)
    assert not forget_stale(tmp_path)


def test_a_folder_that_cannot_be_written_to_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "__pycache__").write_text("a file where the folder should be")
    assert forget_stale(tmp_path)


@pytest.mark.skipif(version_info.short != (0, 68), reason="other versions of numba keep their own cache")
def test_what_is_compiled_already_is_read_without_what_the_compiler_needs(tmp_path: Path) -> None:
    (tmp_path / "inner.py").write_text(INNER.format(1))
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from inner import inner\n"
        "print(inner(1), inner.stats.cache_hits.total(), 'numba.np.linalg' in sys.modules)"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    assert [run.stdout.split() for run in runs] == [["2", "0", "True"], ["2", "1", "False"]]

"""The two commands of the README, as a user types them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALL = "--limit 250 --set ablate.n_tokens=10240 --set ablate.n_seeds=2 --set ablate.max_validation_bytes=20000"


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_readme_names_both_commands() -> None:
    commands = re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert commands == ["demo", "test"]


@pytest.mark.skipif(not (ROOT / ".venv/.ready").exists(), reason="not set up by make")
def test_a_small_demo_ends_with_a_report_and_the_second_time_does_nothing(tmp_path: Path) -> None:
    first = make("demo", f"RUN={tmp_path / 'run'}", f"DEMO={SMALL}")
    assert first.returncode == 0, first.stderr
    report = tmp_path / "run" / "report.html"
    assert f"report: {report}" in first.stderr
    assert "worth of each step" in first.stderr
    again = make("demo", f"RUN={tmp_path / 'run'}", f"DEMO={SMALL}")
    stages = [line for line in again.stderr.splitlines() if re.match(r"\w+ +(as is|[\d.]+ s)  ", line)]
    assert len(stages) > 20
    assert all("as is" in line for line in stages), again.stderr


def test_ci_calls_make_check_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith(("#", "set "))] == ["make check"]


def test_make_test_runs_all_tests() -> None:
    dry = make("--dry-run", "--assume-old=.venv/.ready", "test")
    assert dry.returncode == 0, dry.stderr
    assert re.search(r"python -m pytest -n 2$", dry.stdout, re.MULTILINE)

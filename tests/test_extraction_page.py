"""The console examples of docs/extraction.md give what stands there."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from datassay.cli.main import main

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extraction.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n\$ (datassay .*)\n((?:.*\n)*?)```$", PAGE, re.MULTILINE)
EXAMPLES = [(command, expected) for command, expected in BLOCKS if not command.startswith("datassay extractor")]
"""Without those that train, which tests/cli/test_extractor_command.py holds: their last digits are a machine's."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the page that the examples are about, and the sample."""
    monkeypatch.chdir(tmp_path)
    block = re.search(r"^```html\n<!-- (\S+) -->\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert block is not None
    Path(block[1]).write_text(block[2], encoding="utf-8")
    Path("examples").symlink_to(ROOT / "examples")


@pytest.mark.parametrize(("command", "expected"), EXAMPLES)
def test_example(
    command: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    try:
        main()
    except SystemExit as end:
        assert not end.code
    said = capsys.readouterr()
    assert said.out + said.err == expected


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 4

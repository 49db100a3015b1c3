"""A small corpus through every stage, once for all tests of the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from datassay.cli.main import main
from datassay.cli.run import Request, run_recipe

LAST_STAGE = "validation_tokens"


@pytest.fixture(scope="session")
def tiny() -> Path:
    """Folder of a recipe with every stage and its corpus of a few dozen documents."""
    return Path(__file__).parents[1] / "data" / "tiny"


@pytest.fixture(scope="session")
def finished(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of that recipe with every stage done, but no ablation. For reading only."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert run_recipe(Request(tiny / "recipe.toml", folder, until=LAST_STAGE, workers=0)) == 0
    return folder


@pytest.fixture(scope="session")
def call() -> Callable[..., int]:
    """`call(monkeypatch, *arguments)`: the exit status of `datassay` with these arguments, in this process."""

    def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["datassay", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else 0
        return 0

    return call

"""Refine a pretraining corpus, and measure what each step of refining is worth in loss."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datassay.cli.run_folder import RunFolder

__version__ = version("datassay")
__all__ = ["__version__", "open"]


def open(path: str | Path) -> RunFolder:
    """The run in a folder, for notebooks: `.dataset("documents")` is Arrow, `.connect()` is DuckDB with a view of each."""
    from datassay.cli.run_folder import open_run

    return open_run(Path(path))

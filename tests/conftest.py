"""Fixtures that several packages' tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Time limits would measure the machine. CI tries the same examples each time; a developer's run looks for new ones.
settings.register_profile("datassay", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("datassay")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real data that is not part of the project; tests that need it are skipped without it."""
    default = Path(__file__).parents[2] / "shared"
    folder = Path(os.environ.get("DATASSAY_SHARED", default)) / "data"
    if not folder.is_dir():
        pytest.skip("no shared data: set DATASSAY_SHARED to the folder that holds data/")
    return folder

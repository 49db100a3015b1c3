"""Files that a recipe names and a stage uses, such as models: known by their content, wherever they lie."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError
from datassay.corpus.hashing import file_hash
from datassay.corpus.store import Outputs

VERSION = 1


class GivenFile(BaseModel, frozen=True, extra="forbid"):
    """A file by its content; its path is no part of a stage's key."""

    content: str
    """Hash of its bytes."""
    path: Path = Field(exclude=True)
    """Where it lies."""


class CopySettings(BaseModel, frozen=True, extra="forbid"):
    """A given file that takes the place of one that a stage would have made."""

    file: GivenFile
    dataset: str
    """Whose only file it becomes."""


def given_file(path: str) -> GivenFile:
    """The file at `path`. Raises InputError if there is none."""
    where = Path(path)
    if not where.is_file():
        raise InputError(f"{path}: no such file; a recipe's relative paths start at the recipe's folder")
    return GivenFile(content=file_hash(where), path=where)


def copy_file(inputs: Inputs, settings: CopySettings, out: Outputs) -> None:  # noqa: ARG001
    """Write the given file as it is."""
    with out.file(settings.dataset, settings.file.path.suffix) as path:
        path.write_bytes(settings.file.path.read_bytes())

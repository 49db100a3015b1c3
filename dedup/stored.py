"""Files of an index that stages read: they count by their content, wherever the index lies."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, NonNegativeInt, field_serializer


class StoredFile(BaseModel, frozen=True, extra="forbid"):
    """One file."""

    path: Path
    content: str
    """Hash of its bytes."""

    @field_serializer("path")
    def _leave_out(self, path: Path) -> None:
        """Where it lies does not matter."""


class StoredShard(BaseModel, frozen=True, extra="forbid"):
    """What an index knows of one shard of documents."""

    n_rows: NonNegativeInt
    texts: StoredFile
    """Hashes of texts, as `exact` has them."""
    repeats: StoredFile
    """Rows whose text another document has, which stands for them."""
    bands: StoredFile
    """As `minhash` has them."""
    sets: StoredFile
    """The shingle sets of all that are signed, as `verify` has them."""
    documents: StoredFile
    """What is known of each document, in order, see `index`."""

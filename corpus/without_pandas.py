"""pyarrow without pandas, which it imports with the first value that it converts, to see whether that is one of pandas.

That takes a process 0.25 s of CPU (measured, pandas 3.1), and ours give it no such value. Where the import fails,
pyarrow goes on without.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _NoPandas:
    """A finder of modules that answers for pandas alone: there is none."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is left out, see datassay.corpus.without_pandas", name=name)


def leave_pandas_out() -> None:
    """From here on this process finds no pandas; where it is loaded already, it stays."""
    sys.meta_path.insert(0, _NoPandas)


@contextmanager
def without_pandas() -> Iterator[None]:
    """Within the block this process finds no pandas."""
    leave_pandas_out()
    try:
        yield
    finally:
        sys.meta_path.remove(_NoPandas)

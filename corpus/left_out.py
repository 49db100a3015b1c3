"""Libraries that others load only to ask whether they are there, left out of a process that has no need of them.

pyarrow imports pandas with the first value that it converts, to see whether that is one of pandas; numba imports
`scipy.linalg` with the first compiled function, to see whether there is a BLAS for those that multiply matrices. Both
go on without. Together they take a process 0.35 s of CPU (measured: pandas 3.1, scipy 1.17).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

NAMES = ("pandas", "scipy")


class _LeftOut:
    """A finder of modules that answers for these alone: there are none."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        if name.partition(".")[0] in NAMES:
            raise ModuleNotFoundError(f"{name} is left out, see datassay.corpus.left_out", name=name)


def leave_out() -> None:
    """From here on this process finds none of NAMES; what is loaded already stays."""
    sys.meta_path.insert(0, _LeftOut)


@contextmanager
def left_out() -> Iterator[None]:
    """Within the block this process finds none of NAMES."""
    leave_out()
    try:
        yield
    finally:
        sys.meta_path.remove(_LeftOut)

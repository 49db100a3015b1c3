"""Compiled functions: numba's, cached on disk beside their source, and forgotten when any of their sources changes.

numba knows a cached function by the time of its own file alone. After a change in another file, whose functions it
calls, it would go on with the old machine code: wrong counts at best, and writes beyond the end of arrays that have
another shape now. So all of it is compiled anew when the contents of any file with compiled functions changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, overload

from numba import njit

PACKAGES = ("corpus", "dedup", "filters")
"""Which hold compiled functions."""
MARK = b"@compiled"


@overload
def compiled(function: Callable[..., Any], /) -> Any: ...
@overload
def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]: ...
def compiled(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """The function, compiled when it is first called; as a decorator with or without options of `numba.njit`."""
    return njit(cache=True, **options) if function is None else njit(cache=True)(function)


def forget_stale(root: Path) -> bool:
    """Remove what was compiled from other sources than those below `root`; returns whether anything had changed.

    Where the folders cannot be written to, numba keeps its cache elsewhere, by path and time, and nothing is done.
    """
    digest = sha256()
    for name in PACKAGES:
        for path in sorted((root / name).rglob("*.py")):
            content = path.read_bytes()
            if MARK in content:
                digest.update(path.relative_to(root).as_posix().encode() + b"\0" + content)
    known = root / PACKAGES[0] / "__pycache__" / "compiled.sha256"
    with suppress(OSError):
        if known.read_text() == digest.hexdigest():
            return False
    with suppress(OSError):
        for name in PACKAGES:
            for stale in (root / name).rglob("__pycache__/*.nb[ci]"):
                stale.unlink(missing_ok=True)
        known.parent.mkdir(exist_ok=True)
        part = known.with_name(f"{known.name}.{os.getpid()}")
        part.write_text(digest.hexdigest())
        part.replace(known)
    return True


forget_stale(Path(__file__).parents[1])

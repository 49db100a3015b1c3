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

from numba import njit, version_info
from numba.core.caching import FunctionCache
from numba.core.runtime import rtsys

PACKAGES = ("corpus", "dedup", "filters")
"""Which hold compiled functions."""
MARK = b"@compiled"


@overload
def compiled(function: Callable[..., Any], /) -> Any: ...
@overload
def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]: ...
def compiled(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """The function, compiled when it is first called; as a decorator with or without options of `numba.njit`."""
    if function is None:
        return lambda function: _compiled(function, options)
    return _compiled(function, {})


def _compiled(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    dispatcher = njit(cache=True, **options)(function)
    if version_info.short == _Cache.NUMBA:
        dispatcher._cache = _Cache(function)
    return dispatcher


class _Cache(FunctionCache):  # type: ignore[misc]
    """numba's cache, which reads machine code without first loading all that the compiler needs.

    That takes each process 0.25 s of CPU (measured). When there is something to compile, the compiler loads it by
    itself. What machine code needs besides is numba's own affair, so other versions than this one keep their cache.
    """

    NUMBA = (0, 68)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What is on disk for this signature, None if nothing is."""
        rtsys.initialize(target_context)  # counts references to arrays
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


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

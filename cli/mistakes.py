"""What is wrong with settings from a command line, in words. Apart from `recipe`, which loads every filter."""

from __future__ import annotations

from pydantic import ValidationError


def settings_mistakes(error: ValidationError, *section: str) -> str:
    """Each mistake with the name of its setting, which is in this section."""
    return "; ".join(
        f"{'.'.join(map(str, (*section, *problem['loc'])))}: {problem['msg'].removeprefix('Value error, ')}"
        for problem in error.errors()
    )

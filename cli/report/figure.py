"""A figure with the table that says the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and the table that says the same, for readers without JavaScript or without sight."""

    title: str
    specification: Markup
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    @classmethod
    def make(
        cls, title: str, specification: dict[str, Any], columns: tuple[str, ...], rows: Iterable[Sequence[Any]]
    ) -> Figure:
        return cls(title, inline_json(specification), columns, tuple(tuple(row) for row in rows))


def inline_json(value: object) -> Markup:
    """JSON that may stand inside a <script> element: without `<` no tag or comment begins in it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    for character in "<\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)

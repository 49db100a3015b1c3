"""What a rule is: data over signals, so that rules can be listed, compared and changed without code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """Keep a document where `keep`, a SQL condition over signals, holds; a signal that is null fails it."""

    name: str
    keep: str
    source: str
    """Where the limit was published, for the report and the docs."""
    only: str = ""
    """A SQL condition over signals: the rule judges the documents for which it holds; all if empty."""

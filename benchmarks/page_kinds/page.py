"""One page of the set, as it is written."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from typing import Literal

from page_kinds.truth import Rule, cleaned, truth_of

Kind = Literal["article", "book", "docs", "forum", "qa", "list", "shop", "wiki", "reference", "mail"]


@dataclass(frozen=True, slots=True)
class Page:
    id: str
    kind: str
    lang: str
    template: str
    html: str
    text: str
    comments: str
    title: str
    author: str | None
    date: str | None
    code: list[str]
    rows: list[list[str]]
    truth: str
    source: str
    license: str


def decoded(page: bytes) -> str:
    """The page as text, by the character set that it names; it then names UTF-8."""
    found = re.search(rb"charset=[\"']?([\w-]+)", page[:2000])
    text = page.decode(found.group(1).decode() if found else "utf-8")
    return re.sub(r"(?i)(<meta[^>]+charset=[\"']?)[\w-]+", r"\1utf-8", text, count=1)


# addresses but those of projects, organisations and examples
PRIVATE_ADDRESS = re.compile(
    r"\b[\w.+-]+(?:@|&#64;)"
    r"(?![\w.-]*(?:example|debian|python|postgresql|opencart|gsa|nongnu|idyll)\.)[\w-]+(?:\.[\w-]+)*\.(?:com|net|org|de|ch)\b"
)


def page_of(
    page: str, rule: Rule, *, kind: str, language: str, template: str, source: str, license: str, truth: str
) -> Page:
    """The page with its truth by the rule. Its id is made from source and template."""
    page = PRIVATE_ADDRESS.sub("name@example.org", cleaned(page))
    found = truth_of(page, rule)
    digest = hashlib.sha1(f"{template} {source}".encode()).hexdigest()[:6]
    return Page(
        id=f"{kind}-{language}-{digest}",
        kind=kind,
        lang=language,
        template=template,
        html=page,
        **asdict(found),
        truth=truth,
        source=source,
        license=license,
    )

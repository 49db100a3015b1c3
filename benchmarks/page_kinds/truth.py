"""The text, code blocks and table rows of a page's main element: what an extractor should return for it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lxml import html

Element = Any  # lxml has no types

SILENT_NAMES = """
script style noscript template iframe textarea select button svg input head object video
"""
SILENT = frozenset(SILENT_NAMES.split())
BLOCK_NAMES = """
address article aside blockquote body caption center dd details dir div dl dt fieldset figcaption
figure footer form h1 h2 h3 h4 h5 h6 header hr legend li main menu nav ol p section summary table
tbody tfoot thead tr ul
"""
BLOCKS = frozenset(BLOCK_NAMES.split())
IN_LAYOUT = "descendant::table|descendant::pre|descendant::h1|descendant::h2|descendant::h3|descendant::h4"
MAX_CODE_BLOCKS, MAX_CODE_CHARS = 5, 4000
MAX_ROWS, MAX_ROW_CHARS = 5, 400


@dataclass(frozen=True, slots=True)
class Rule:
    """Where a generator puts the main content. All are XPath; `main` and `comments` may match several elements."""

    main: str
    drop: tuple[str, ...] = ()
    """Inside main, but not content: navigation, permalink signs, buttons."""
    comments: str = ""
    title: str = ""
    author: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class Truth:
    text: str
    comments: str
    title: str
    author: str | None
    date: str | None
    code: list[str]
    rows: list[list[str]]


@dataclass(slots=True)
class Lines:
    """Lines of text as they grow; what is inline waits in `open` until a block begins or ends."""

    done: list[str] = field(default_factory=list)
    open: str = ""

    def close(self) -> None:
        line = squeezed(self.open)
        if line:
            self.done.append(line)
        self.open = ""


def squeezed(text: str) -> str:
    """The text with each run of blanks, line ends and no-break spaces as one blank."""
    return re.sub(r"[ \t\r\n\f\xa0]+", " ", text).strip()


def parse(page: str) -> Element:
    """The page's root element."""
    return html.document_fromstring(page.encode(), parser=html.HTMLParser(encoding="utf-8", huge_tree=True))


def preformatted(element: Element) -> str:
    """The text of a `pre` with its lines; a first line end is no part of it, as in HTML, nor are those at the end."""
    parts = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str) and child.tag not in SILENT:
            parts.append("\n" if child.tag == "br" else preformatted_inner(child))
        parts.append(child.tail or "")
    return "".join(parts).replace("\r\n", "\n").replace("\xa0", " ").removeprefix("\n").rstrip()


def preformatted_inner(element: Element) -> str:
    """The text inside an element of a `pre`, whole."""
    parts = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str) and child.tag not in SILENT:
            parts.append("\n" if child.tag == "br" else preformatted_inner(child))
        parts.append(child.tail or "")
    return "".join(parts)


def is_layout(table: Element) -> bool:
    """Whether a table only arranges blocks: one that holds code, headings or another table."""
    return table.get("role") == "presentation" or bool(table.xpath(IN_LAYOUT))


def cells(row: Element) -> list[str]:
    """The text of each cell of a row, on one line."""
    return [squeezed(" ".join(block_text(cell))) for cell in row if cell.tag in ("td", "th")]


def block_text(element: Element) -> list[str]:
    """The lines of an element."""
    lines = Lines()
    walk(element, lines)
    lines.close()
    return lines.done


def walk(element: Element, lines: Lines) -> None:
    """Add the text of an element to the lines."""
    if not isinstance(element.tag, str) or element.tag in SILENT:
        return
    if element.tag in ("pre", "listing", "xmp"):
        lines.close()
        lines.done.extend(filter(None, [preformatted(element)]))
        return
    if element.tag == "tr" and not any(is_layout(table) for table in element.xpath("ancestor::table[1]")):
        lines.close()
        lines.done.extend(filter(None, ["\t".join(cells(element)).strip()]))
        return
    is_block = element.tag in BLOCKS or element.tag in ("td", "th")
    if is_block or element.tag == "br":
        lines.close()
    lines.open += element.text or ""
    for child in element:
        walk(child, lines)
        lines.open += child.tail or ""
    if is_block:
        lines.close()


def outermost(elements: list[Element]) -> list[Element]:
    """The elements that lie in no other of them."""
    chosen = set(elements)
    return [element for element in elements if not chosen & set(element.iterancestors())]


def without(element: Element, drop: tuple[str, ...]) -> Element:
    """A copy of the element less what the expressions match in it."""
    clean = copy.deepcopy(element)
    clean.tail = None
    for expression in drop:
        for unwanted in clean.xpath(expression):
            if unwanted.getparent() is not None:
                unwanted.drop_tree()
    return clean


def code_blocks(element: Element) -> Iterator[str]:
    """The `pre` blocks of at most MAX_CODE_CHARS characters."""
    for pre in element.iter("pre"):
        text = preformatted(pre)
        if text.strip() and len(text) <= MAX_CODE_CHARS:
            yield text


def table_rows(element: Element) -> Iterator[list[str]]:
    """Rows of tables of at least two rows and columns without empty cells: the plainest, whose text is sure."""
    for table in element.iter("table"):
        rows = [cells(row) for row in table.iter("tr")]
        if is_layout(table) or len(rows) < 2:
            continue
        for row in rows:
            if len(row) >= 2 and all(row) and sum(map(len, row)) <= MAX_ROW_CHARS:
                yield row


def first_text(root: Element, expression: str) -> str | None:
    """The text of the first match (an element, an attribute or a string), None without one."""
    for found in root.xpath(expression) if expression else []:
        text = squeezed(found if isinstance(found, str) else " ".join(block_text(found)))
        if text:
            return text
    return None


def truth_of(page: str, rule: Rule) -> Truth:
    """What the rule finds in the page. Raises ValueError if there is no main element."""
    root = parse(page)
    found = outermost(root.xpath(rule.main))
    if not found:
        raise ValueError(f"no {rule.main} in the page")
    comments = outermost(root.xpath(rule.comments)) if rule.comments else []
    parts = [without(element, rule.drop) for element in found]
    said = [without(element, rule.drop) for element in comments]
    title = first_text(without(root, rule.drop), rule.title) or next(
        filter(None, (first_text(part, ".//h1") for part in parts)), None
    )
    date = first_text(root, rule.date)
    return Truth(
        text="\n".join(line for part in parts for line in block_text(part)),
        comments="\n".join(line for part in said for line in block_text(part)),
        title=(title or first_text(root, "//title") or "").rstrip("¶").strip(),
        author=first_text(root, rule.author),
        date=date[:10] if date else None,
        code=[block for part in parts for block in code_blocks(part)][:MAX_CODE_BLOCKS],
        rows=[row for part in parts for row in table_rows(part)][:MAX_ROWS],
    )


def cleaned(page: str, *, max_bytes: int = 20_000, kept_bytes: int = 2_000) -> str:
    """The page with inlined pictures taken out and long inline scripts and style sheets cut."""
    page = re.sub(
        r"data:(?:image|font|application)/[\w.+-]+;(?:charset=[\w-]+;)?base64,[A-Za-z0-9+/=\s]+", "data:,", page
    )

    def cut(match: re.Match[str]) -> str:
        start, body, end = match.groups()
        return start + (body if len(body) <= max_bytes else body[:kept_bytes]) + end

    return re.sub(r"(<(?:script|style)\b[^>]*>)(.*?)(</(?:script|style)>)", cut, page, flags=re.DOTALL | re.IGNORECASE)

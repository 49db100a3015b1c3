"""Kept blocks as text or Markdown: lists with marks, table rows in one line, preformatted text as it stands."""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled
from datassay.corpus.html.names import BYTE_CLASS, SPACE, TAG
from datassay.corpus.html.scan import (
    BREAK,
    CHARS,
    CODE,
    CODE_END,
    FIRST,
    IMAGE,
    LAST,
    LINK,
    LINK_END,
    NODE,
    PARENT,
    PRE_CHARS,
    PRE_TEXT,
    TAG_OF,
    TEXT,
    Ints,
    Scan,
)

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Style:
    """How text is written."""

    is_markdown: bool = False
    """Headings, lists, code, quotations and tables in Markdown, with a blank line between paragraphs."""
    has_links: bool = False
    """Addresses of links, in Markdown's notation."""
    has_images: bool = False
    """Alternative texts of images, where they have any."""


PLAIN = Style()


def written(page: Bytes, scan: Scan, keep: NDArray[np.bool_], style: Style = PLAIN) -> str:
    """The text of the kept blocks, character references resolved; "" if none is kept."""
    kept = np.flatnonzero(keep)
    if not len(kept):
        return ""
    bodies, ends = write_bodies(page, scan, kept, style.is_markdown, style.has_links, style.has_images)
    layout = lay_out(scan, kept)
    compose = _markdown if style.is_markdown else _plain
    text = b"".join(compose(bodies.tobytes(), ends.tolist(), layout.tolist())).decode("utf-8", "replace").strip("\n")
    return html.unescape(text) if "&" in text else text


PARAGRAPH, HEADING, ITEM, NUMBERED, CELL, CODE_BLOCK, QUOTE, CONTINUED = range(8)
"""What a block is. CONTINUED: in a list item that began earlier."""


def _plain(bodies: bytes, ends: list[int], layout: list[list[int]]) -> list[bytes]:
    """A line for each block; cells of one row are joined by tabs, as many as columns lie between them."""
    parts, start = [], 0
    for end, (kind, level, number, joins) in zip(ends, layout, strict=True):
        if joins:
            parts.append(b"\t" * level)
        else:
            parts.append(b"\n")
            if kind == ITEM or kind == NUMBERED:
                parts.append(b"- ")
            elif kind == CELL:
                parts.append(b"\t" * number)
        parts.append(bodies[start:end])
        start = end
    return parts


def _markdown(bodies: bytes, ends: list[int], layout: list[list[int]]) -> list[bytes]:
    """CommonMark, with tables as GitHub has them: their first row is the head."""
    parts, start, n_rows, n_cells = [], 0, 0, 0
    before = PARAGRAPH
    for end, (kind, level, number, joins) in zip(ends, layout, strict=True):
        body = bodies[start:end]
        start = end
        if joins:
            parts += [b" |" * level, b" ", body.replace(b"|", b"\\|").replace(b"\n", b" ")]
            n_cells += level
            continue
        if before == CELL:
            parts.append(b" |")
            n_rows += 1
            if n_rows == 1:
                parts += [b"\n", b"| --- " * n_cells, b"|"]
        n_rows = n_rows if kind == CELL else 0
        is_close = before == kind and kind in (ITEM, NUMBERED, CELL) and (kind != CELL or n_rows > 0)
        parts.append(b"\n" if is_close else b"\n\n")
        if kind == HEADING:
            parts += [b"#" * level, b" ", body]
        elif kind == ITEM or kind == NUMBERED:
            mark = b"- " if kind == ITEM else b"%d. " % (number + 1)
            parts += [b"  " * level, mark, body.replace(b"\n", b"\n" + b"  " * (level + 1))]
        elif kind == CONTINUED:
            indent = b"  " * (level + 1)
            parts += [indent, body.replace(b"\n", b"\n" + indent)]
        elif kind == CELL:
            parts += [b"|" + b" |" * number, b" ", body.replace(b"|", b"\\|").replace(b"\n", b" ")]
            n_cells = number + 1
        elif kind == CODE_BLOCK:
            parts += [b"```\n", body, b"\n```"]
        elif kind == QUOTE:
            parts += [b"> ", body.replace(b"\n", b"\n> ")]
        else:
            parts.append(body)
        before = kind
    if before == CELL:
        parts.append(b" |")
    return parts


LI, OL, TD, TH, H1, H6, TABLE = (TAG[name] for name in ("li", "ol", "td", "th", "h1", "h6", "table"))
BLOCKQUOTE = TAG["blockquote"]
MAX_INDENT = 8
"""Lists nested deeper are indented no further."""


@compiled
def lay_out(scan: Scan, kept: Ints) -> Ints:
    """(kept blocks, 4): what each is; the level of a heading or list, or how many columns a cell lies after the one
    before; its number from 0 in a list or row; whether it goes on in the line of the block before."""
    nodes, blocks = scan.nodes, scan.blocks
    number, n_inside = _numbers(scan)
    is_marked = np.zeros(len(nodes), np.bool_)
    layout = np.zeros((len(kept), 4), np.int64)
    before = 0
    for k in range(len(kept)):
        row, node = layout[k], blocks[kept[k], NODE]
        cell = _cell(nodes, node, number, n_inside)
        if cell:
            row[0], row[2] = CELL, number[cell]
            row[3] = before > 0 and nodes[before, PARENT] == nodes[cell, PARENT]
            row[1] = number[cell] - number[before] if row[3] else 0
            before = cell
            continue
        before = 0
        item, level, is_quoted, is_ordered = _item(nodes, node)
        row[1], row[2] = level, number[item]
        if H1 <= nodes[node, TAG_OF] <= H6:
            row[0], row[1] = HEADING, nodes[node, TAG_OF] - H1 + 1
        elif scan.counts[kept[k], PRE_CHARS] > 0.5 * scan.counts[kept[k], CHARS]:
            row[0] = CODE_BLOCK
        elif item > 0:
            row[0] = CONTINUED if is_marked[item] else NUMBERED if is_ordered else ITEM
            is_marked[item] = True
        elif is_quoted:
            row[0] = QUOTE
    return layout


@compiled
def _numbers(scan: Scan) -> tuple[Ints, Ints]:
    """Of each list item and table cell its number from 0 in its list or row, and -1 of a row with a cell of several
    blocks; of each element how many blocks it has."""
    nodes = scan.nodes
    number, n_children = np.zeros(len(nodes), np.int64), np.zeros(len(nodes), np.int64)
    n_inside = np.zeros(len(nodes), np.int64)
    for v in range(1, len(nodes)):
        tag = nodes[v, TAG_OF]
        if tag == LI or tag == TD or tag == TH:
            number[v] = n_children[nodes[v, PARENT]]
            n_children[nodes[v, PARENT]] += 1
    for b in range(len(scan.blocks)):
        n_inside[scan.blocks[b, NODE]] += 1
    for v in range(len(nodes) - 1, 0, -1):
        n_inside[nodes[v, PARENT]] += n_inside[v]
        if (nodes[v, TAG_OF] == TD or nodes[v, TAG_OF] == TH) and n_inside[v] > 1:
            number[nodes[v, PARENT]] = -1
    return number, n_inside


@compiled
def _cell(nodes: Ints, node: int, number: Ints, n_inside: Ints) -> int:
    """The table cell that holds this block and no other, as all cells of its row do; 0 if there is none, as in tables
    that are for layout."""
    v = node
    while v > 0 and n_inside[v] == 1:
        if nodes[v, TAG_OF] == TD or nodes[v, TAG_OF] == TH:
            return v if number[nodes[v, PARENT]] >= 0 else 0
        v = nodes[v, PARENT]
    return 0


@compiled
def _item(nodes: Ints, node: int) -> tuple[int, int, bool, bool]:
    """The list item around a block (0 if none), how deep its list is in others, whether it is quoted, and numbered."""
    item, level, is_quoted, v = 0, -1, False, node
    while v > 0:
        tag = nodes[v, TAG_OF]
        if tag == TABLE:
            break
        if tag == LI:
            item = item if item else v
            level += 1
        is_quoted |= tag == BLOCKQUOTE
        v = nodes[v, PARENT]
    is_ordered = item > 0 and nodes[nodes[item, PARENT], TAG_OF] == OL
    return item, min(max(level, 0), MAX_INDENT), is_quoted, is_ordered


@compiled
def write_bodies(
    page: Bytes, scan: Scan, kept: Ints, is_markdown: bool, has_links: bool, has_images: bool
) -> tuple[Bytes, Ints]:
    """UTF-8 of the kept blocks one after the other, and (kept blocks,) where each ends.

    White space is collapsed, but not in preformatted text. Images between two blocks belong to the second one.
    """
    room = 16
    for k in range(len(kept)):
        for s in range(_first(scan, kept, k, has_images), scan.blocks[kept[k], LAST]):
            room += scan.segments[s, 1] - scan.segments[s, 0] + 8
    out, ends, n = np.empty(room, np.uint8), np.empty(len(kept), np.int64), 0
    for k in range(len(kept)):
        start = n
        for s in range(_first(scan, kept, k, has_images), scan.blocks[kept[k], LAST]):
            first, last, kind = scan.segments[s, 0], scan.segments[s, 1], scan.segments[s, 2]
            if kind == TEXT:
                n = _collapsed(page, first, last, out, start, n)
            elif kind == PRE_TEXT:
                n = _verbatim(page, first, last, out, start, n)
            elif kind == BREAK:
                n = _without_blanks(out, start, n)
                if n > start:
                    out[n] = ord("\n")
                    n += 1
            elif kind == IMAGE and has_images:
                n = _image(page, first, last, out, start, n, is_markdown)
            elif is_markdown and (kind == CODE or kind == CODE_END):
                out[n] = ord("`")
                n += 1
            elif has_links and kind == LINK and _link_end(scan, s):
                out[n] = ord("[")
                n += 1
            elif has_links and kind == LINK_END:
                n = _address(page, scan, s, out, n)
        n = _without_blanks(out, start, n)
        while n > start and out[n - 1] == ord("\n"):
            n -= 1
        ends[k] = n
    return out[:n], ends


@compiled
def _first(scan: Scan, kept: Ints, k: int, has_images: bool) -> int:
    """The first segment written with a block: its own, or the first after the block before if images are."""
    return (
        scan.blocks[kept[k - 1], LAST]
        if has_images and k and kept[k - 1] + 1 == kept[k]
        else scan.blocks[kept[k], FIRST]
    )


@compiled(inline="always")
def _collapsed(page: Bytes, first: int, last: int, out: Bytes, start: int, n: int) -> int:
    for k in range(first, last):
        if not BYTE_CLASS[page[k]] & SPACE:
            out[n] = page[k]
            n += 1
        elif n > start and out[n - 1] != ord(" ") and out[n - 1] != ord("\n"):
            out[n] = ord(" ")
            n += 1
    return n


@compiled(inline="always")
def _verbatim(page: Bytes, first: int, last: int, out: Bytes, start: int, n: int) -> int:
    """Without the line break right after `<pre>`, which is no text (HTML standard, 13.2.6.4.7)."""
    for k in range(first, last):
        is_first_break = page[k] == ord("\n") and n == start
        if page[k] != ord("\r") and not is_first_break:
            out[n] = page[k]
            n += 1
    return n


@compiled(inline="always")
def _without_blanks(out: Bytes, start: int, n: int) -> int:
    while n > start and (out[n - 1] == ord(" ") or out[n - 1] == ord("\t")):
        n -= 1
    return n


@compiled
def _image(page: Bytes, first: int, last: int, out: Bytes, start: int, n: int, is_markdown: bool) -> int:
    if is_markdown:
        out[n], out[n + 1] = ord("!"), ord("[")
        n += 2
    n = _collapsed(page, first, last, out, start, n)
    if is_markdown:
        out[n], out[n + 1], out[n + 2] = ord("]"), ord("("), ord(")")
        return n + 3
    out[n] = ord(" ")
    return n + 1


@compiled
def _link_end(scan: Scan, s: int) -> bool:
    """Whether the link that begins with segment `s` has an address and ends before the next one begins."""
    if scan.segments[s, 1] <= scan.segments[s, 0]:
        return False
    for k in range(s + 1, min(s + 64, len(scan.segments))):
        if scan.segments[k, 2] == LINK_END:
            return True
        if scan.segments[k, 2] == LINK:
            return False
    return False


@compiled
def _address(page: Bytes, scan: Scan, s: int, out: Bytes, n: int) -> int:
    """`](address)` of the link that ends with segment `s`."""
    k = s - 1
    while k > 0 and scan.segments[k, 2] != LINK:
        k -= 1
    if scan.segments[k, 2] != LINK or scan.segments[k, 1] <= scan.segments[k, 0] or s - k >= 64:
        return n
    out[n], out[n + 1] = ord("]"), ord("(")
    n += 2
    for i in range(scan.segments[k, 0], scan.segments[k, 1]):
        if not BYTE_CLASS[page[i]] & SPACE:
            out[n] = page[i]
            n += 1
    out[n] = ord(")")
    return n + 1

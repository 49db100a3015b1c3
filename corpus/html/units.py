"""Blocks that belong together are judged together: a table of data, a row of one, a list of short items.

A cell or a menu's entry alone is a word or two, and says little. What a unit counts is the sum of its blocks.
"""

from __future__ import annotations

import numpy as np

from datassay.corpus.compiled import compiled
from datassay.corpus.html.names import TAG
from datassay.corpus.html.scan import (
    CHARS,
    ENDS,
    HASH,
    INLINE_WORDS,
    LAST,
    NODE,
    PARENT,
    STARTS,
    TAG_OF,
    Counts,
    Ints,
    Scan,
)

TABLE, TR, UL, OL, LI, TD, TH = (TAG[name] for name in ("table", "tr", "ul", "ol", "li", "td", "th"))
MAX_ITEM_CHARS = 80
"""A list is a unit if no item is longer."""


def united(scan: Scan) -> tuple[Scan, Ints]:
    """The page with units in place of blocks, and (blocks,) the unit of each. A unit's segments are those of its blocks
    and what stands between."""
    blocks, counts, unit = _united(scan)
    return scan._replace(blocks=blocks, counts=counts), unit


@compiled
def _united(scan: Scan) -> tuple[Ints, Counts, Ints]:
    """Units as blocks, what they count, and (blocks,) the unit of each."""
    blocks, n_blocks = scan.blocks, len(scan.blocks)
    whole = _whole_elements(scan)
    unit = np.empty(n_blocks, np.int64)
    new_blocks, new_counts = np.empty_like(blocks), np.zeros_like(scan.counts)
    n, previous = 0, -1
    for b in range(n_blocks):
        element = whole[blocks[b, NODE]]
        if element > 0 and element == previous:
            row, counts = new_blocks[n - 1], new_counts[n - 1]
            row[HASH] = (row[HASH] * 16777619 & 0xFFFFFFFF) ^ blocks[b, HASH]
            row[LAST] = blocks[b, LAST]
            row[INLINE_WORDS] &= blocks[b, INLINE_WORDS]
            starts = counts[STARTS]
            counts += scan.counts[b]
            counts[STARTS], counts[ENDS] = starts, scan.counts[b, ENDS]
        else:
            new_blocks[n], new_counts[n] = blocks[b], scan.counts[b]
            if element > 0:
                new_blocks[n, NODE] = element
            n += 1
        unit[b] = n - 1
        previous = element
    return new_blocks[:n].copy(), new_counts[:n].copy(), unit


@compiled
def _whole_elements(scan: Scan) -> Ints:
    """(elements,) the outermost element that is one unit around each; 0 if there is none."""
    nodes, n_nodes = scan.nodes, len(scan.nodes)
    n_inside, longest = np.zeros(n_nodes, np.int64), np.zeros(n_nodes, np.float32)
    for b in range(len(scan.blocks)):
        node = scan.blocks[b, NODE]
        n_inside[node] += 1
        longest[node] = max(longest[node], scan.counts[b, CHARS])
    is_split = np.zeros(n_nodes, np.bool_)  # holds a cell or item with several blocks
    for v in range(n_nodes - 1, 0, -1):
        parent, tag = nodes[v, PARENT], nodes[v, TAG_OF]
        n_inside[parent] += n_inside[v]
        longest[parent] = max(longest[parent], longest[v])
        is_split[parent] |= is_split[v] or ((tag == TD or tag == TH or tag == LI) and n_inside[v] > 1)
    whole = np.zeros(n_nodes, np.int64)
    for v in range(1, n_nodes):
        tag = nodes[v, TAG_OF]
        is_list = tag == UL or tag == OL
        whole[v] = whole[nodes[v, PARENT]]
        is_unit = tag == TABLE or tag == TR or (is_list and longest[v] <= MAX_ITEM_CHARS)
        if is_unit and not whole[v] and n_inside[v] > 1 and not is_split[v]:
            whole[v] = v
    return whole

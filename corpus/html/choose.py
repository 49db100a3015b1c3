"""Which blocks of a page are its main text, and how doubtful the choice is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled
from datassay.corpus.html.features import ANCESTORS, AT_ANCESTORS, AT_KEYWORDS, MIN_PARAGRAPH_CHARS, Measured
from datassay.corpus.html.names import KEYWORDS, TAG
from datassay.corpus.html.scan import CHARS, LINK_CHARS, NODE, PARENT, TAG_OF, Counts, Scan

Floats = NDArray[np.float32]

KEEP_FROM = 0.5
"""Probability from which on a block is kept…"""
SHARE_OF_BEST = 0.6
"""…or this share of the most probable long block's, so that few pages come out empty (F1 .953 to .959 with a
prototype, in cross-validation on 92 pages)."""
NEVER_KEEP = 0.03
"""Blocks at or below are not kept, whatever the page's best."""
DISAGREEMENT = 0.3
"""What a character on which the two stages disagree adds to doubt."""


@compiled
def choose(counts: Counts, first: Floats, second: Floats) -> tuple[NDArray[np.bool_], float]:
    """(blocks,) which are kept, and the page's doubt, from both stages' probabilities.

    Doubt is the characters that are undecided (chars x min(p, 1 - p), and those on which the stages disagree) as a
    share of the kept ones, 1 at most; 1 if nothing is kept.
    """
    best = np.float32(0)
    for b in range(len(second)):
        if counts[b, CHARS] - counts[b, LINK_CHARS] >= MIN_PARAGRAPH_CHARS:
            best = max(best, second[b])
    limit = min(np.float32(KEEP_FROM), np.float32(SHARE_OF_BEST) * best)
    keep = np.zeros(len(second), np.bool_)
    kept, undecided = np.float32(0), np.float32(0)
    for b in range(len(second)):
        chars, p = counts[b, CHARS], second[b]
        keep[b] = p >= limit and p > NEVER_KEEP
        kept += chars * keep[b]
        undecided += chars * min(p, 1 - p)
        if (first[b] >= KEEP_FROM) != (p >= limit):
            undecided += DISAGREEMENT * chars
    doubt = float(undecided / kept) if kept > 0 else 1.0
    return keep, min(1.0, doubt)


MIN_INDEX_SHARE = 0.75
"""A page is an index if blocks made alike that are mostly links hold this share of its characters. Of 398 gold pages
the indexes have .80 or more, the highest of others .67."""
_AROUND_WORDS = ("sidebar", "footer", "header", "menu", "pagination", "related")
AROUND_COLUMNS = np.array(
    [AT_KEYWORDS + bit for bit, group in enumerate(KEYWORDS) if not set(group.split()).isdisjoint(_AROUND_WORDS)]
    + [AT_ANCESTORS + ANCESTORS.index(name) for name in ("nav", "header", "footer", "aside")]
)
"""Features that are not 0 inside what stands around main text."""


@compiled
def keep_index(page: Scan, measured: Measured, keep: NDArray[np.bool_]) -> bool:
    """Whether the page is an index whose text is its links, of which less than half was kept; then they are kept, and
    what stands between them."""
    n_blocks = len(keep)
    chars, in_links = np.zeros(n_blocks, np.float32), np.zeros(n_blocks, np.float32)
    around = np.zeros(n_blocks, np.float32)
    total, kept = np.float32(0), np.float32(0)
    for b in range(n_blocks):
        group, n_chars = measured.alike[b], page.counts[b, CHARS]
        chars[group] += n_chars
        in_links[group] += page.counts[b, LINK_CHARS]
        for column in AROUND_COLUMNS:
            if measured.features[b, column]:
                around[group] += n_chars
                break
        total += n_chars
        kept += n_chars * keep[b]
    if not n_blocks:
        return False
    largest = np.argmax(chars)
    is_index = chars[largest] >= MIN_INDEX_SHARE * total and in_links[largest] > 0.5 * chars[largest]
    if not is_index or kept >= 0.5 * total or around[largest] > 0.5 * chars[largest]:
        return False
    first, last = n_blocks, -1
    for b in range(n_blocks):
        if measured.alike[b] == largest:
            first, last = min(first, b), b
    keep[first : last + 1] = True
    return True


NAV, HEADER, FOOTER, ASIDE, FORM = (TAG[name] for name in ("nav", "header", "footer", "aside", "form"))


@compiled
def choose_by_rule(page: Scan, measured: Measured) -> NDArray[np.bool_]:
    """(blocks,) which are kept without a model: paragraphs of the main element, and what stands between them there."""
    n_blocks = len(page.blocks)
    inside = np.zeros(n_blocks, np.bool_)
    first, last = n_blocks, -1
    for b in range(n_blocks):
        v, is_inside = page.blocks[b, NODE], True
        while v > measured.main:
            tag = page.nodes[v, TAG_OF]
            if tag == NAV or tag == HEADER or tag == FOOTER or tag == ASIDE or tag == FORM:
                is_inside = False
            v = page.nodes[v, PARENT]
        inside[b] = is_inside and v == measured.main
        if inside[b] and measured.is_paragraph[b]:
            first, last = min(first, b), b
    for b in range(n_blocks):
        linked = page.counts[b, LINK_CHARS] > 0.5 * page.counts[b, CHARS]
        inside[b] = inside[b] and first <= b <= last and not linked
    return inside

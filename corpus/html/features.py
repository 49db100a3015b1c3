"""What is known of each block of a page, as numbers that hold in any language.

First features come from the page alone. Second ones add the first stage's probabilities of the blocks around: of
neighbours, of blocks made alike, of the containers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled
from datassay.corpus.html.names import N_KEYWORD_BITS, TAG, TAGS
from datassay.corpus.html.scan import (
    BOLD_CHARS,
    BREAKS,
    CAPITALISED,
    CHARS,
    COMMAS,
    DIGITS,
    ENDS,
    HASH,
    IMAGES,
    INLINE_WORDS,
    LINK_CHARS,
    LINKS,
    NODE,
    NON_ASCII,
    PARENT,
    PRE_CHARS,
    SENTENCES,
    SIGNATURE,
    SIGNS,
    STARTS,
    TAG_OF,
    TITLE_WORDS,
    UPPERS,
    WIDE,
    WORDS,
    WORDS_OF,
    Counts,
    Ints,
    Scan,
)

Floats = NDArray[np.float32]

ANCESTORS = (
    "nav header footer aside article main section form table ul li figure figcaption blockquote pre td dl dd h1 h2 h3 "
    "h4 p a details caption"
).split()
_SAME_ANCESTOR = {"ol": "ul", "dt": "dd", "th": "td", "h5": "h4", "h6": "h4"}
ANCESTOR_OF_TAG = np.full(len(TAGS), -1, np.int32)
for _name, _tag in TAG.items():
    _stands_for = _SAME_ANCESTOR.get(_name, _name)
    if _stands_for in ANCESTORS:
        ANCESTOR_OF_TAG[_tag] = ANCESTORS.index(_stands_for)

OWN = (
    "log_chars", "log_words", "word_length", "link_density", "links", "commas", "sentences", "comma_share",
    "sentence_share", "digit_share", "upper_share", "non_ascii_share", "bold_share", "signs", "breaks", "title_words",
    "title_share", "ends", "starts", "wide_share", "capitalised_share", "pre_share", "tag", "depth", "n_siblings",
    "n_images",
)  # fmt: skip
LEVELS = 3
LEVEL = ("paragraph_share", "link_density", "log_chars", "log_blocks", "text_share")
PLACE = (
    "main_up", "main_down", "main_share", "position", "paragraphs_before_share", "since_paragraph", "until_paragraph",
    "since_heading", "after_h1", "in_main", "before_main", "after_main", "paragraphs_before", "paragraphs_after",
)  # fmt: skip
NEIGHBOURS = (-3, -2, -1, 1, 2, 3)
NEIGHBOUR = ("log_chars", "link_density", "ends", "kinship", "tag", "is_paragraph", "is_alike")
ALIKE = (
    "same_text",
    "same_text_before",
    "alike_log_n",
    "alike_paragraph_share",
    "alike_log_chars",
    "alike_link_density",
)
PAGE = ("log_blocks", "log_paragraph_chars", "link_density", "log_paragraphs", "longest_share")
FEATURES = (
    *OWN,
    *(f"keyword_{bit}" for bit in range(N_KEYWORD_BITS)),
    *(f"in_{name}" for name in ANCESTORS),
    *(f"level{level}_{name}" for level in range(1, LEVELS + 1) for name in LEVEL),
    *PLACE,
    *(f"next{offset:+}_{name}" for offset in NEIGHBOURS for name in NEIGHBOUR),
    *ALIKE,
    *(f"page_{name}" for name in PAGE),
)
"""Names of the first stage's features, in the order of their columns."""
P_LEVELS = 4
AROUND = (-4, -3, -2, -1, 0, 1, 2, 3, 4)
SECOND_FEATURES = (
    *FEATURES,
    *(f"p{offset:+}" for offset in AROUND),
    "p_alike",
    *(f"p_level{level}" for level in range(1, P_LEVELS + 1)),
    "p_page", "p_before", "p_after", "p_main", "p_long_before", "p_long_after", "since_sure", "until_sure",
    "outside_sure",
)  # fmt: skip
"""Names of the second stage's features: the first's and what follows from its probabilities."""
N_FEATURES, N_SECOND = len(FEATURES), len(SECOND_FEATURES)
AT_KEYWORDS = len(OWN)
AT_ANCESTORS = AT_KEYWORDS + N_KEYWORD_BITS
AT_LEVELS = AT_ANCESTORS + len(ANCESTORS)
AT_PLACE = AT_LEVELS + LEVELS * len(LEVEL)
AT_NEIGHBOURS = AT_PLACE + len(PLACE)
AT_ALIKE = AT_NEIGHBOURS + len(NEIGHBOURS) * len(NEIGHBOUR)
AT_PAGE = AT_ALIKE + len(ALIKE)

MIN_PARAGRAPH_CHARS = 60
"""A block with so many characters outside links…"""
MIN_PARAGRAPH_WORDS = 8
"""…so many words…"""
MAX_PARAGRAPH_LINKS = 0.4
"""…and less than this share of its characters in links counts as a paragraph."""
FAR = 12
"""An ancestor at this distance or beyond counts as the least near; the block's own element as the nearest."""
H1, H6, HTML, BODY, P = TAG["h1"], TAG["h6"], TAG["html"], TAG["body"], TAG["p"]
PRIME = np.int64(16777619)
MASK32 = np.int64(0xFFFFFFFF)


class Measured(NamedTuple):
    """First features of a page's blocks, and what the second ones need besides."""

    features: Floats  # (blocks, N_SECOND); the columns after N_FEATURES are for `add_probabilities`
    is_paragraph: NDArray[np.bool_]
    alike: Ints  # number of the group of blocks with the same tags and classes
    main: int  # the element that holds most of the paragraphs


def measure(page: Scan) -> Measured:
    """The first features of all blocks of a page."""
    return Measured(*_measure(page))


@compiled
def _measure(page: Scan) -> tuple[Floats, NDArray[np.bool_], Ints, int]:
    n_blocks = len(page.blocks)
    out = np.zeros((n_blocks, N_SECOND), np.float32)
    is_paragraph = np.zeros(n_blocks, np.bool_)
    for b in range(n_blocks):
        is_paragraph[b] = _is_paragraph(page.counts[b])
    sums, depth = _sums(page, is_paragraph)
    main = _main_element(page.nodes, sums)
    alike, same_text = _groups(page)
    if n_blocks:
        _own(page, sums, depth, out)
        _ancestors(page, out)
        _levels(page, sums, out)
        _places(page, sums, depth, is_paragraph, main, out)
        _neighbours(page, is_paragraph, alike, out)
        _alike(page, is_paragraph, alike, same_text, sums, out)
    return out, is_paragraph, alike, main


@compiled
def _is_paragraph(counts: Counts) -> bool:
    chars, in_links = counts[CHARS], counts[LINK_CHARS]
    is_long = chars - in_links >= MIN_PARAGRAPH_CHARS and counts[WORDS] >= MIN_PARAGRAPH_WORDS
    return is_long and in_links < MAX_PARAGRAPH_LINKS * chars


ALL_CHARS, ALL_LINK_CHARS, PARAGRAPH_CHARS, N_INSIDE, N_OWN = range(5)
"""Columns of what an element holds: characters, those in links, those of paragraphs outside links, blocks; and blocks
that are its own."""


@compiled
def _sums(page: Scan, is_paragraph: NDArray[np.bool_]) -> tuple[Floats, Ints]:
    """(elements, 5) what each element holds, and (elements,) its depth."""
    nodes, counts = page.nodes, page.counts
    sums = np.zeros((len(nodes), 5), np.float32)
    depth = np.zeros(len(nodes), np.int64)
    for v in range(1, len(nodes)):
        depth[v] = depth[nodes[v, PARENT]] + 1
    for b in range(len(counts)):
        row = sums[page.blocks[b, NODE]]
        row[ALL_CHARS] += counts[b, CHARS]
        row[ALL_LINK_CHARS] += counts[b, LINK_CHARS]
        row[PARAGRAPH_CHARS] += (counts[b, CHARS] - counts[b, LINK_CHARS]) * is_paragraph[b]
        row[N_INSIDE] += 1
        row[N_OWN] += 1
    for v in range(len(nodes) - 1, 0, -1):
        for k in range(N_OWN):
            sums[nodes[v, PARENT], k] += sums[v, k]
    return sums, depth


@compiled
def _main_element(nodes: Ints, sums: Floats) -> int:
    """From the page down, while one child holds half of the paragraphs' text."""
    best = np.zeros(len(nodes), np.int64)
    for v in range(1, len(nodes)):
        parent = nodes[v, PARENT]
        if best[parent] == 0 or sums[v, PARAGRAPH_CHARS] > sums[best[parent], PARAGRAPH_CHARS]:
            best[parent] = v
    v = 0
    while best[v] > 0 and nodes[best[v], TAG_OF] != P:
        share = sums[best[v], PARAGRAPH_CHARS]
        if share <= 0 or share < 0.5 * sums[v, PARAGRAPH_CHARS]:
            break
        v = best[v]
    return v


@compiled
def _groups(page: Scan) -> tuple[Ints, Ints]:
    """Groups of blocks with the same tag and classes, whose parents' are the same too; and of blocks of one text."""
    n_blocks = len(page.blocks)
    alike, same_text = np.empty(n_blocks, np.int64), np.empty(n_blocks, np.int64)
    for b in range(n_blocks):
        v = page.blocks[b, NODE]
        above = page.nodes[max(page.nodes[v, PARENT], 0), SIGNATURE]
        alike[b] = (page.nodes[v, SIGNATURE] * PRIME & MASK32) ^ above
        same_text[b] = page.blocks[b, HASH]
    _number_groups(alike)
    _number_groups(same_text)
    return alike, same_text


@compiled
def _number_groups(hashes: Ints) -> None:
    """Replace each hash by the number of its group, from 0 on in the order of the page."""
    size = 16
    while size < 2 * len(hashes):
        size *= 2
    keys, numbers = np.zeros(size, np.int64), np.full(size, -1, np.int64)
    n_groups = 0
    for b in range(len(hashes)):
        key = hashes[b]
        place = (key ^ (key >> 13)) & (size - 1)
        while numbers[place] >= 0 and keys[place] != key:
            place = (place + 1) & (size - 1)
        if numbers[place] < 0:
            keys[place], numbers[place] = key, n_groups
            n_groups += 1
        hashes[b] = numbers[place]


@compiled
def _own(page: Scan, sums: Floats, depth: Ints, out: Floats) -> None:
    for b in range(len(out)):
        counts, v, x = page.counts[b], page.blocks[b, NODE], out[b]
        chars, words = max(counts[CHARS], np.float32(1)), max(counts[WORDS], np.float32(1))
        x[0] = np.log1p(chars)
        x[1] = np.log1p(words)
        x[2] = chars / words
        x[3] = counts[LINK_CHARS] / chars
        x[4] = counts[LINKS]
        x[5] = counts[COMMAS]
        x[6] = counts[SENTENCES]
        x[7] = counts[COMMAS] / words
        x[8] = counts[SENTENCES] / words
        x[9] = counts[DIGITS] / chars
        x[10] = counts[UPPERS] / chars
        x[11] = counts[NON_ASCII] / chars
        x[12] = counts[BOLD_CHARS] / chars
        x[13] = counts[SIGNS]
        x[14] = counts[BREAKS]
        x[15] = counts[TITLE_WORDS]
        x[16] = counts[TITLE_WORDS] / words
        x[17] = counts[ENDS]
        x[18] = counts[STARTS]
        x[19] = counts[WIDE] / chars
        x[20] = counts[CAPITALISED] / words
        x[21] = counts[PRE_CHARS] / chars
        x[22] = page.nodes[v, TAG_OF]
        x[23] = depth[v]
        x[24] = sums[v, N_OWN]
        x[25] = page.nodes[v, IMAGES]


@compiled
def _ancestors(page: Scan, out: Floats) -> None:
    """How near the nearest element with a keyword or tag is: FAR + 1 for inline ones, then FAR downwards to 1."""
    for b in range(len(out)):
        x = out[b]
        _keywords(page.blocks[b, INLINE_WORDS], FAR + 1, x)
        near, v = FAR, page.blocks[b, NODE]
        while v > 0:
            tag = page.nodes[v, TAG_OF]
            if tag != HTML and tag != BODY:
                _keywords(page.nodes[v, WORDS_OF], near, x)
                ancestor = ANCESTOR_OF_TAG[tag]
                if ancestor >= 0 and x[AT_ANCESTORS + ancestor] == 0:
                    x[AT_ANCESTORS + ancestor] = near
            near = max(near - 1, 1)
            v = page.nodes[v, PARENT]


@compiled
def _keywords(bits: int, near: int, x: Floats) -> None:
    bit = AT_KEYWORDS
    while bits:
        if bits & 1 and x[bit] == 0:
            x[bit] = near
        bits >>= 1
        bit += 1


@compiled
def _levels(page: Scan, sums: Floats, out: Floats) -> None:
    paragraphs, chars = max(sums[0, PARAGRAPH_CHARS], np.float32(1)), max(sums[0, ALL_CHARS], np.float32(1))
    for b in range(len(out)):
        v, at = page.blocks[b, NODE], AT_LEVELS
        for _ in range(LEVELS):
            x, row = out[b], sums[v]
            x[at] = row[PARAGRAPH_CHARS] / paragraphs
            x[at + 1] = row[ALL_LINK_CHARS] / max(row[ALL_CHARS], np.float32(1))
            x[at + 2] = np.log1p(row[ALL_CHARS])
            x[at + 3] = np.log1p(row[N_INSIDE])
            x[at + 4] = row[ALL_CHARS] / chars
            at += 5
            v = max(page.nodes[v, PARENT], 0)


@compiled
def _places(  # noqa: PLR0915
    page: Scan, sums: Floats, depth: Ints, is_paragraph: NDArray[np.bool_], main: int, out: Floats
) -> None:
    """Where a block stands: to the main element, on the page, among its paragraphs and headings."""
    nodes, n_blocks = page.nodes, len(out)
    holds_main = np.zeros(len(nodes), np.bool_)
    v = main
    while v >= 0:
        holds_main[v] = True
        v = nodes[v, PARENT]
    first, last, h1, n_paragraphs = -1, -1, -1, 0
    for b in range(n_blocks):
        v = page.blocks[b, NODE]
        if h1 < 0 and nodes[v, TAG_OF] == H1 and page.counts[b, WORDS] >= 3:
            h1 = b
        if is_paragraph[b]:
            n_paragraphs += 1
            while v > main:
                v = nodes[v, PARENT]
            if v == main:
                first = b if first < 0 else first
                last = b
    until = np.empty(n_blocks, np.int64)
    distance = 40
    for b in range(n_blocks - 1, -1, -1):
        until[b] = distance
        distance = 1 if is_paragraph[b] else min(distance + 1, 40)
    total = max(sums[0, PARAGRAPH_CHARS], np.float32(1))
    chars, n_seen, since_paragraph, since_heading = np.float32(0), 0, 40, 40
    for b in range(n_blocks):
        x, v, up = out[b], page.blocks[b, NODE], 0
        tag, child = nodes[v, TAG_OF], v
        while v > 0 and not holds_main[v]:
            child, v, up = v, nodes[v, PARENT], up + 1
        x[AT_PLACE] = up
        x[AT_PLACE + 1] = max(0, depth[main] - depth[v])
        x[AT_PLACE + 2] = sums[child, PARAGRAPH_CHARS] / max(sums[v, PARAGRAPH_CHARS], np.float32(1))
        x[AT_PLACE + 3] = b / n_blocks
        x[AT_PLACE + 4] = chars / total
        x[AT_PLACE + 5] = since_paragraph
        x[AT_PLACE + 6] = until[b]
        x[AT_PLACE + 7] = since_heading
        x[AT_PLACE + 8] = 0 if h1 < 0 else 1 if b < h1 else 2
        x[AT_PLACE + 9] = (b - first) / max(1, last - first) if first >= 0 else -9
        x[AT_PLACE + 10] = max(0, first - b) if first >= 0 else -1
        x[AT_PLACE + 11] = max(0, b - last) if first >= 0 else -1
        x[AT_PLACE + 12] = n_seen
        if is_paragraph[b]:
            n_seen += 1
            chars += page.counts[b, CHARS] - page.counts[b, LINK_CHARS]
        x[AT_PLACE + 13] = n_paragraphs - n_seen
        since_paragraph = 1 if is_paragraph[b] else min(since_paragraph + 1, 40)
        since_heading = 1 if H1 <= tag <= H6 else min(since_heading + 1, 40)


@compiled
def _neighbours(page: Scan, is_paragraph: NDArray[np.bool_], alike: Ints, out: Floats) -> None:
    n_blocks = len(out)
    for b in range(n_blocks):
        at, v = AT_NEIGHBOURS, page.blocks[b, NODE]
        for offset in NEIGHBOURS:
            x, a = out[b], b + offset
            if 0 <= a < n_blocks:
                w = page.blocks[a, NODE]
                x[at] = out[a, 0]
                x[at + 1] = out[a, 3]
                x[at + 2] = page.counts[a, ENDS]
                x[at + 3] = 2 if w == v else page.nodes[w, PARENT] == page.nodes[v, PARENT]
                x[at + 4] = page.nodes[w, TAG_OF]
                x[at + 5] = is_paragraph[a]
                x[at + 6] = alike[a] == alike[b]
            else:
                x[at] = -1
            at += 7


@compiled
def _alike(
    page: Scan, is_paragraph: NDArray[np.bool_], alike: Ints, same_text: Ints, sums: Floats, out: Floats
) -> None:
    """Of the blocks made alike, of those with the same words, and of the page."""
    n_blocks, counts = len(out), page.counts
    groups = np.zeros((n_blocks, 4), np.float32)
    n_same, longest = np.zeros(n_blocks, np.int64), np.float32(0)
    for b in range(n_blocks):
        group = groups[alike[b]]
        own = counts[b, CHARS] - counts[b, LINK_CHARS]
        group[0] += 1
        group[1] += own * is_paragraph[b]
        group[2] += counts[b, CHARS]
        group[3] += counts[b, LINK_CHARS]
        n_same[same_text[b]] += 1
        longest = max(longest, own)
    n_before = np.zeros(n_blocks, np.int64)
    paragraphs = max(sums[0, PARAGRAPH_CHARS], np.float32(1))
    for b in range(n_blocks):
        x, group = out[b], groups[alike[b]]
        x[AT_ALIKE] = n_same[same_text[b]]
        x[AT_ALIKE + 1] = n_before[same_text[b]]
        n_before[same_text[b]] += 1
        x[AT_ALIKE + 2] = np.log1p(group[0])
        x[AT_ALIKE + 3] = group[1] / paragraphs
        x[AT_ALIKE + 4] = np.log1p(group[2] / group[0])
        x[AT_ALIKE + 5] = group[3] / max(group[2], np.float32(1))
        x[AT_PAGE] = np.log1p(np.float32(n_blocks))
        x[AT_PAGE + 1] = np.log1p(paragraphs)
        x[AT_PAGE + 2] = sums[0, ALL_LINK_CHARS] / max(sums[0, ALL_CHARS], np.float32(1))
        x[AT_PAGE + 3] = np.log1p(np.float32(is_paragraph.sum()))
        x[AT_PAGE + 4] = longest / paragraphs


LONG = 80
"""Characters from which on a block's probability counts for those after and before it."""
WINDOW = 8
"""Blocks before and after, over which probabilities are averaged."""


@compiled
def add_probabilities(page: Scan, measured: Measured, p: Floats) -> None:
    """Fill the second features in from the first stage's probabilities (blocks,). What a block itself adds to a mean
    of its group or container is left out."""
    nodes, counts, out = page.nodes, page.counts, measured.features
    n_blocks = len(p)
    weight = np.empty(n_blocks, np.float32)
    below, alike = np.zeros((len(nodes), 2), np.float32), np.zeros((n_blocks, 2), np.float32)
    for b in range(n_blocks):
        weight[b] = np.sqrt(max(counts[b, CHARS], np.float32(1)))
        for row in (below[page.blocks[b, NODE]], alike[measured.alike[b]]):
            row[0] += weight[b]
            row[1] += weight[b] * p[b]
    for v in range(len(nodes) - 1, 0, -1):
        below[nodes[v, PARENT], 0] += below[v, 0]
        below[nodes[v, PARENT], 1] += below[v, 1]
    long_after, until_sure = np.empty(n_blocks, np.float32), np.empty(n_blocks, np.float32)
    after, distance, first_sure, last_sure = np.float32(-1), 60, n_blocks, -1
    for b in range(n_blocks - 1, -1, -1):
        long_after[b], until_sure[b] = after, distance
        after = p[b] if counts[b, CHARS] >= LONG else after
        distance = 1 if p[b] > 0.5 else min(distance + 1, 60)
        if p[b] > 0.5:
            first_sure = b
            last_sure = max(last_sure, b)
    before, distance = np.float32(-1), 60
    for b in range(n_blocks):
        x, at = out[b], N_FEATURES
        for offset in AROUND:
            x[at] = p[b + offset] if 0 <= b + offset < n_blocks else -1
            at += 1
        x[at] = _others(alike[measured.alike[b]], weight[b], p[b])
        v = page.blocks[b, NODE]
        for level in range(P_LEVELS):
            x[at + 1 + level] = _others(below[v], weight[b], p[b])
            v = max(nodes[v, PARENT], 0)
        at += 1 + P_LEVELS
        x[at] = below[0, 1] / max(below[0, 0], np.float32(0.01))
        x[at + 1] = _mean(weight, p, max(0, b - WINDOW), b)
        x[at + 2] = _mean(weight, p, b + 1, min(n_blocks, b + 1 + WINDOW))
        x[at + 3] = below[measured.main, 1] / max(below[measured.main, 0], np.float32(0.01))
        x[at + 4], x[at + 5] = before, long_after[b]
        x[at + 6], x[at + 7] = distance, until_sure[b]
        x[at + 8] = first_sure - b if b < first_sure else max(0, b - last_sure)
        before = p[b] if counts[b, CHARS] >= LONG else before
        distance = 1 if p[b] > 0.5 else min(distance + 1, 60)


@compiled
def _others(sums: Floats, weight: float, p: float) -> float:
    """The weighted mean of a group without one of its blocks; -1 if there is no other."""
    rest = sums[0] - weight
    return (sums[1] - weight * p) / rest if rest > 0.01 else -1.0


@compiled
def _mean(weight: Floats, p: Floats, first: int, last: int) -> float:
    """The weighted mean of the blocks from `first` to before `last`; -1 if there is none."""
    total, weighted = np.float32(0), np.float32(0)
    for b in range(first, last):
        total += weight[b]
        weighted += weight[b] * p[b]
    return float(weighted / total) if total > 0 else -1.0

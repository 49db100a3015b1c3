"""Which blocks are written beyond what the classifier says: readers' comments, tables of data, code, as one wants them.

What a comment is, is said by words in class, id and role (`names.KEYWORDS`), as those who write templates use them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled
from datassay.corpus.html.features import MIN_PARAGRAPH_CHARS
from datassay.corpus.html.names import COMMENT_BIT, KEYWORDS, TAG
from datassay.corpus.html.scan import (
    CHARS,
    ENDS,
    LINK_CHARS,
    NODE,
    PARENT,
    PRE_CHARS,
    SIGNATURE,
    TAG_OF,
    WORDS,
    WORDS_OF,
    Scan,
)


def _bits(*words: str) -> np.int64:
    """Bits of the groups of keywords that hold these words."""
    return np.int64(sum(1 << bit for bit, group in enumerate(KEYWORDS) if not set(words).isdisjoint(group.split())))


COMMENT_WORDS = np.int64(1 << COMMENT_BIT)
THREAD_WORDS = COMMENT_WORDS | _bits("thread", "answer")
POST_WORDS = _bits("post")
HTML, BODY, MAIN, FORM, NAV = (TAG[name] for name in ("html", "body", "main", "form", "nav"))
TABLE, TR, TD, TH = (TAG[name] for name in ("table", "tr", "td", "th"))

MIN_PROSE_WORDS = 10
"""From so many words on a block of a comment is prose without an end like a sentence's, which names and dates lack."""
MAX_CELL_CHARS = 200
"""A table whose cells hold more on average lays out text, and is none of data."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is written of a page's main text, and beside it."""

    comments: bool | None = None
    """Whether readers' comments are; None: as the classifier says, which keeps a thread and drops what is below an
    article."""
    tables: bool = True
    code: bool = True
    """Whether preformatted blocks are; code within a sentence always is."""


AS_FOUND = Wanted()


def only_wanted(scan: Scan, keep: NDArray[np.bool_], wanted: Wanted) -> NDArray[np.bool_]:
    """(blocks,) which are written, of those that the classifier keeps and those of comments."""
    if wanted == AS_FOUND or not len(keep):
        return keep
    keep = keep.copy()
    if wanted.comments:
        keep |= comment_blocks(scan, _around_first(scan, keep), THREAD_WORDS, POST_WORDS) == PROSE
    elif wanted.comments is not None:
        keep &= comment_blocks(scan, _around_first(scan, keep), COMMENT_WORDS, np.int64(0)) == NO_COMMENT
    if not wanted.tables:
        keep &= ~in_data_table(scan)
    if not wanted.code:
        keep &= scan.counts[:, PRE_CHARS] <= 0.5 * scan.counts[:, CHARS]
    return keep


@compiled
def _around_first(scan: Scan, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(elements,) which are around the first kept paragraph, or the first kept block if there is no paragraph.

    Whatever they are called, they are around the main text: a body of class `comments-open`, the wrapper of a thread.
    """
    first = -1
    for b in range(len(keep)):
        if keep[b]:
            first = b if first < 0 else first
            if scan.counts[b, CHARS] - scan.counts[b, LINK_CHARS] >= MIN_PARAGRAPH_CHARS:
                first = b
                break
    around = np.zeros(len(scan.nodes), np.bool_)
    v = scan.blocks[first, NODE] if first >= 0 else -1
    while v >= 0:
        around[v] = True
        v = scan.nodes[v, PARENT]
    return around


NO_COMMENT, PROSE, BESIDE = range(3)
"""What a block is: outside of comments; what a reader wrote; or what stands beside that, such as names and forms."""


@compiled
def comment_blocks(scan: Scan, around: NDArray[np.bool_], words: int, post_words: int) -> NDArray[np.int8]:
    """(blocks,) NO_COMMENT, PROSE or BESIDE.

    around: (elements,) which are not taken for comments
    words: bits of the keywords that say that an element holds comments
    post_words: of those that say so of elements made like one that is `around`, with the same tag and classes: the
                posts after a thread's first one
    """
    nodes = scan.nodes
    posts = {np.int64(0)}
    for v in range(1, len(nodes)):
        if around[v] and nodes[v, WORDS_OF] & post_words:
            posts.add(nodes[v, SIGNATURE])
    state = np.zeros(len(nodes), np.int8)  # of elements; BESIDE: a form or menu among comments
    for v in range(1, len(nodes)):
        tag, above = nodes[v, TAG_OF], state[nodes[v, PARENT]]
        is_named = (nodes[v, WORDS_OF] & words) != 0 or (
            (nodes[v, WORDS_OF] & post_words) != 0 and nodes[v, SIGNATURE] in posts
        )
        is_named = is_named and not around[v] and tag != HTML and tag != BODY and tag != MAIN
        if above == BESIDE or ((tag == FORM or tag == NAV) and (is_named or above == PROSE)):
            state[v] = BESIDE
        else:
            state[v] = PROSE if is_named else above
    found = np.zeros(len(scan.blocks), np.int8)
    for b in range(len(found)):
        counts = scan.counts[b]
        found[b] = state[scan.blocks[b, NODE]]
        is_prose = counts[LINK_CHARS] <= 0.5 * counts[CHARS] and (counts[ENDS] == 1 or counts[WORDS] >= MIN_PROSE_WORDS)
        if found[b] == PROSE and not is_prose and counts[PRE_CHARS] <= 0.5 * counts[CHARS]:
            found[b] = BESIDE
    return found


@compiled
def in_data_table(scan: Scan) -> NDArray[np.bool_]:
    """(blocks,) which are in a table of data: two rows or more of two cells or more with one block at most in each, and
    more of them than other rows."""
    nodes, n_nodes = scan.nodes, len(scan.nodes)
    n_inside, chars = np.zeros(n_nodes, np.int64), np.zeros(n_nodes, np.float32)
    for b in range(len(scan.blocks)):
        n_inside[scan.blocks[b, NODE]] += 1
        chars[scan.blocks[b, NODE]] += scan.counts[b, CHARS]
    table, row = np.zeros(n_nodes, np.int64), np.zeros(n_nodes, np.int64)  # the nearest around each element
    for v in range(1, n_nodes):
        parent, tag = nodes[v, PARENT], nodes[v, TAG_OF]
        table[v] = v if tag == TABLE else table[parent]
        row[v] = v if tag == TR else 0 if tag == TABLE else row[parent]
    n_cells, n_rows, n_alike = np.zeros(n_nodes, np.int64), np.zeros(n_nodes, np.int64), np.zeros(n_nodes, np.int64)
    is_split, n_in_table = np.zeros(n_nodes, np.bool_), np.zeros(n_nodes, np.int64)
    for v in range(n_nodes - 1, 0, -1):
        parent, tag = nodes[v, PARENT], nodes[v, TAG_OF]
        n_inside[parent] += n_inside[v]
        chars[parent] += chars[v]
        if tag == TD or tag == TH:
            n_cells[row[v]] += 1
            n_in_table[table[v]] += 1
            is_split[row[v]] |= n_inside[v] > 1
        elif tag == TR:
            n_rows[table[v]] += 1
            n_alike[table[v]] += n_cells[v] > 1 and not is_split[v]
    is_data = np.zeros(n_nodes, np.bool_)
    for v in range(1, n_nodes):
        of_data = n_alike[v] > 1 and 2 * n_alike[v] > n_rows[v] and chars[v] <= MAX_CELL_CHARS * n_in_table[v]
        is_data[v] = is_data[nodes[v, PARENT]] or (nodes[v, TAG_OF] == TABLE and of_data)
    found = np.zeros(len(scan.blocks), np.bool_)
    for b in range(len(found)):
        found[b] = is_data[scan.blocks[b, NODE]]
    return found

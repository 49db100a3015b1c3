"""One tolerant pass over the bytes of a page: its elements, its blocks of text and what can be counted in them.

No tree is built and nothing is copied: a block is a list of byte ranges. Ends that may be left out are implied as the
HTML standard has it (section 13.1.2.4), void and raw-text elements are known, end tags without a start close nothing,
inline end tags never close a block. Elements nested deeper than `MAX_DEPTH` belong to the one at that depth, as in
browsers, so that time is linear in the bytes of the page whatever they are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled
from datassay.corpus.html import names
from datassay.corpus.html.names import (
    ARIA_HIDDEN_BIT,
    ATTRIBUTE,
    ATTRIBUTE_NAMES,
    BYTE_CLASS,
    DIGIT,
    FNV_BASIS,
    FNV_PRIME,
    HIDDEN_BIT,
    HIGH,
    IS_BLOCK,
    IS_BOLD,
    IS_PRE,
    IS_RAW,
    IS_SILENT,
    IS_VOID,
    KEYWORD_NAMES,
    LETTER,
    LOWER,
    N_STATED,
    NAME,
    SPACE,
    STATED_NAMES,
    TAG,
    TAG_CLASS,
    TAG_NAMES,
    UPPER,
    hashed,
    name_hash,
    number_of,
)

MAX_DEPTH = 512
"""Of open elements, as in Chromium's parser."""
MAX_LD = 16
"""JSON-LD scripts that are looked at."""
MAX_TITLE_WORDS = 32

COUNTS = (
    "chars", "words", "link_chars", "links", "commas", "sentences", "digits", "upper", "non_ascii", "bold_chars",
    "signs", "breaks", "title_words", "ends", "starts", "wide", "capitalised", "pre_chars",
)  # fmt: skip
"""What is counted in a block. `chars`: characters and one blank a word, those of East Asian width twice; `words`: those
of Chinese and Japanese are one a character, those of scripts without spaces (Thai, Lao, Khmer, Burmese) one in five;
`ends`: 1 if the block ends like a sentence, .5 if by a colon; `starts`: 1 if with an ASCII capital; `wide`: characters
counted twice."""
(
    CHARS, WORDS, LINK_CHARS, LINKS, COMMAS, SENTENCES, DIGITS, UPPERS, NON_ASCII, BOLD_CHARS, SIGNS, BREAKS,
    TITLE_WORDS, ENDS, STARTS, WIDE, CAPITALISED, PRE_CHARS,
) = range(len(COUNTS))  # fmt: skip

TEXT, BREAK, PRE_TEXT, LINK, LINK_END, CODE, CODE_END, IMAGE = range(8)
"""Kinds of segments: bytes of text, a line break, text whose white space counts, bytes of a link's address and its end,
code and its end, bytes of an image's alternative text, which may stand between blocks."""

(
    DEPTH, IN_LINK, IN_BOLD, IN_SILENT, IN_PRE, TOO_DEEP, N_NODES, N_BLOCKS, N_SEGMENTS, IS_OPEN, N_BREAKS, AFTER_SPACE,
    N_LD, N_TITLE, HREF_FIRST, HREF_LAST, ALT_FIRST, ALT_LAST, LINK_FIRST, LINK_LAST, BLANK_FIRST, BLANK_LAST,
    IN_CODE, TITLE_WORDS_AT,
) = range(24)  # fmt: skip
"""Places of the scanner's state. The last is where the hashes of the title's words begin."""

A, P, LI, UL, OL, TD, TH, TR, TABLE = (TAG[name] for name in ("a", "p", "li", "ul", "ol", "td", "th", "tr", "table"))
TBODY, THEAD, TFOOT, DT, DD, DL, BR = (TAG[name] for name in ("tbody", "thead", "tfoot", "dt", "dd", "dl", "br"))
HTML, BODY, IMG, META, LINKED, TIME = (TAG[name] for name in ("html", "body", "img", "meta", "link", "time"))
CODE_TAG, TITLE_TAG, SCRIPT = TAG["code"], TAG["title"], TAG["script"]
(
    CLASS, ID, ROLE, ITEMPROP, STYLE, HIDDEN, ARIA_HIDDEN, HREF, ALT, CONTENT, NAMED, PROPERTY, REL, LANG, TYPE,
    DATETIME,
) = range(len(ATTRIBUTE))  # fmt: skip
CANONICAL_HASH = np.uint32(name_hash("canonical"))
LD_JSON_HASH = np.uint32(name_hash("application/ld+json"))
TRUE_HASH = np.uint32(name_hash("true"))
NONE_HASH = np.uint32(name_hash("none"))
ONE = np.int64(1)


PARENT, TAG_OF, WORDS_OF, SIGNATURE, IMAGES = range(5)
"""Columns of nodes: parent's number, number of the tag, bits of names.KEYWORDS, hash of tag and class words, how many
images it holds (of block elements, without those in blocks inside)."""
NODE, INLINE_WORDS, HASH, FIRST, LAST = range(5)
"""Columns of blocks: the block element that holds it, keywords of the inline elements around it, hash of its words,
its first segment and the one after its last."""

Ints = NDArray[np.int64]
Counts = NDArray[np.float32]


class Scan(NamedTuple):
    """What a page consists of. Node 0 is the page itself; parents come before their children, blocks in their order."""

    nodes: Ints  # (elements + 1, columns of nodes)
    blocks: Ints  # (blocks, columns of blocks)
    counts: Counts  # (blocks, COUNTS)
    segments: Ints  # (segments, 3): first byte, byte after the last, kind
    stated: Ints  # (N_STATED + MAX_LD, 2): bytes of what the page states about itself and of JSON-LD; 0, 0 where unset


class Work(NamedTuple):
    """A page, the arrays of its `Scan` with room for all that it may hold, and what the scanner remembers."""

    page: NDArray[np.uint8]
    nodes: Ints
    blocks: Ints
    counts: Counts
    segments: Ints
    stated: Ints
    stack: Ints  # (MAX_DEPTH + 1, 2): open elements, and the nearest block element of each
    state: Ints  # see DEPTH


@compiled
def count_tags(page: NDArray[np.uint8]) -> int:
    """How many `<` a page has, and so how many tags at most."""
    n_tags = 0
    for byte in page:
        n_tags += byte == ord("<")
    return n_tags


def scan(page: NDArray[np.uint8]) -> Scan:
    """The elements and blocks of a page in UTF-8."""
    n_tags = 1 + count_tags(page)
    work = Work(
        page,
        np.zeros((n_tags + 1, 5), np.int64),
        np.empty((n_tags + 1, 5), np.int64),
        np.empty((n_tags + 1, len(COUNTS)), np.float32),
        np.empty((12 * n_tags + 12, 3), np.int64),  # a tag ends a block, begins one, and text follows
        np.zeros((N_STATED + MAX_LD, 2), np.int64),
        np.zeros((MAX_DEPTH + 1, 2), np.int64),
        np.zeros(TITLE_WORDS_AT + MAX_TITLE_WORDS, np.int64),
    )
    _scan(work)
    n_blocks = work.state[N_BLOCKS]
    return Scan(
        work.nodes[: work.state[N_NODES]].copy(),
        work.blocks[:n_blocks].copy(),
        work.counts[:n_blocks].copy(),
        work.segments[: work.state[N_SEGMENTS]].copy(),
        work.stated,
    )


@compiled(_nrt=False)
def _scan(work: Work) -> None:
    """Fill the arrays. The functions below are inlined into this one: a call for each tag would cost more than what is
    done there. No references to arrays are counted anywhere here."""
    page, nodes, state = work.page, work.nodes, work.state
    n = len(page)
    state[DEPTH], state[N_NODES], state[AFTER_SPACE] = 1, 1, 1
    nodes[0, PARENT] = -1
    i = 0
    while i < n:
        after = page[i + 1] if i + 1 < n else np.uint8(0)
        is_tag = page[i] == ord("<")
        if is_tag and (after == ord("!") or after == ord("?")):
            i = _declaration_end(page, i)
        elif is_tag and BYTE_CLASS[after] & LETTER:
            i = _start_tag(work, i)
        elif is_tag and after == ord("/") and i + 2 < n and BYTE_CLASS[page[i + 2]] & LETTER:
            i = _end_tag(work, i)
        else:
            i = _text(work, i)
    _end_block(work)


@compiled(_nrt=False, forceinline=True)
def _declaration_end(page: NDArray[np.uint8], i: int) -> int:
    """The byte after the comment, doctype or instruction that begins at `i`."""
    n = len(page)
    if i + 3 < n and page[i + 2] == ord("-") and page[i + 3] == ord("-"):
        k = i + 4
        if k < n and page[k] == ord(">"):  # `<!-->` is a whole comment, and so is `<!--->`
            return k + 1
        while k < n:
            if page[k] == ord(">") and page[k - 1] == ord("-") and page[k - 2] == ord("-"):
                return k + 1
            k += 1
        return n
    k = i + 2
    while k < n and page[k] != ord(">"):
        k += 1
    return k + 1


@compiled(_nrt=False, forceinline=True)
def _end_block(work: Work) -> None:
    blocks, state = work.blocks, work.state
    if state[IS_OPEN]:
        if state[IN_LINK]:
            _add_segment(work, 0, 0, LINK_END)
        if state[IN_CODE]:
            _add_segment(work, 0, 0, CODE_END)
        blocks[state[N_BLOCKS], LAST] = state[N_SEGMENTS]
        state[N_BLOCKS] += 1
        state[IS_OPEN] = 0
    state[AFTER_SPACE], state[N_BREAKS], state[BLANK_LAST] = 1, 0, 0


@compiled(_nrt=False, forceinline=True)
def _add_segment(work: Work, start: int, end: int, kind: int) -> None:
    segments, state = work.segments, work.state
    segment = segments[state[N_SEGMENTS]]
    segment[0], segment[1], segment[2] = start, end, kind
    state[N_SEGMENTS] += 1


@compiled(_nrt=False, forceinline=True)
def _close(work: Work, depth: int) -> None:
    """End the open elements from `depth` on."""
    nodes, stack, state = work.nodes, work.stack, work.state
    while state[DEPTH] > depth:
        state[DEPTH] -= 1
        tag = nodes[stack[state[DEPTH], 0], TAG_OF]
        if tag == A:
            state[IN_LINK] -= 1
            if state[IS_OPEN]:
                _add_segment(work, 0, 0, LINK_END)
        elif tag == CODE_TAG:
            state[IN_CODE] -= 1
            if state[IS_OPEN] and not state[IN_CODE]:
                _add_segment(work, 0, 0, CODE_END)
        kind = TAG_CLASS[tag]
        if kind & (IS_BOLD | IS_SILENT | IS_PRE):
            state[IN_BOLD] -= (kind & IS_BOLD) != 0
            state[IN_SILENT] -= (kind & IS_SILENT) != 0
            state[IN_PRE] -= (kind & IS_PRE) != 0


@compiled(_nrt=False, forceinline=True)
def _end_tag(work: Work, i: int) -> int:
    page, nodes, stack, state = work.page, work.nodes, work.stack, work.state
    n = len(page)
    k = i + 2
    value = FNV_BASIS
    while k < n and BYTE_CLASS[page[k]] & NAME:
        value = hashed(value, page[k])
        k += 1
    while k < n and page[k] != ord(">"):
        k += 1
    tag = max(number_of(TAG_NAMES, value), 0)
    if tag == BODY or tag == HTML:  # what follows still belongs to them
        return k + 1
    if tag == A and not state[IN_LINK]:
        tag = 0  # of an anchor
    if state[TOO_DEEP]:
        state[TOO_DEEP] -= not TAG_CLASS[tag] & IS_VOID
        return k + 1
    is_block = TAG_CLASS[tag] & IS_BLOCK
    depth = state[DEPTH] - 1
    while depth > 0:
        there = nodes[stack[depth, 0], TAG_OF]
        if there == tag:
            break
        if (TAG_CLASS[there] & IS_BLOCK and not is_block) or (tag == P and there == TD):
            depth = 0
            break
        depth -= 1
    if is_block:
        _end_block(work)
    if depth > 0:
        _close(work, depth)
    return k + 1


@compiled(_nrt=False, forceinline=True)
def _start_tag(work: Work, i: int) -> int:
    page, nodes, stack, state = work.page, work.nodes, work.stack, work.state
    n = len(page)
    k = i + 1
    value = FNV_BASIS
    while k < n and BYTE_CLASS[page[k]] & NAME:
        value = hashed(value, page[k])
        k += 1
    tag = max(number_of(TAG_NAMES, value), 0)
    kind = TAG_CLASS[tag]
    node = state[N_NODES]
    nodes[node, WORDS_OF], nodes[node, SIGNATURE] = 0, value
    state[HREF_FIRST : ALT_LAST + 1] = 0
    k, closes_itself, is_ld = _attributes(work, k, tag)
    k = min(k + 1, n)
    if kind & IS_RAW and not closes_itself:
        return _raw_text(work, k, value, tag, is_ld)
    if tag == BR:
        _break(work)
        return k
    if kind & IS_VOID or kind & IS_RAW:
        if tag == IMG:
            nodes[stack[state[DEPTH] - 1, 1], IMAGES] += 1
            if state[ALT_LAST] > state[ALT_FIRST] and not state[IN_SILENT]:
                _add_segment(work, state[ALT_FIRST], state[ALT_LAST], IMAGE)
        if kind & IS_BLOCK:
            _end_block(work)
        return k
    if kind & IS_SILENT and closes_itself:
        return k
    if state[DEPTH] >= MAX_DEPTH:
        state[TOO_DEEP] += 1
    elif not state[TOO_DEEP]:
        depth = _implied_end(work, tag)
        if depth > 0:
            _close(work, depth)
    if kind & IS_BLOCK:
        _end_block(work)
    if not state[TOO_DEEP]:
        _open(work, tag)
    return k


@compiled(_nrt=False, forceinline=True)
def _open(work: Work, tag: int) -> None:
    nodes, stack, state = work.nodes, work.stack, work.state
    node, depth, kind = state[N_NODES], state[DEPTH], TAG_CLASS[tag]
    nodes[node, PARENT], nodes[node, TAG_OF] = stack[depth - 1, 0], tag
    stack[depth, 0] = node
    stack[depth, 1] = node if kind & IS_BLOCK else stack[depth - 1, 1]
    state[N_NODES] += 1
    state[DEPTH] += 1
    if tag == A:
        if state[HREF_LAST] > 0:
            state[IN_LINK] += 1
            state[LINK_FIRST], state[LINK_LAST] = state[HREF_FIRST], state[HREF_LAST]
            if state[IS_OPEN]:
                _add_segment(work, state[HREF_FIRST], state[HREF_LAST], LINK)
        else:
            nodes[node, TAG_OF] = 0  # an anchor, which links nowhere
    elif tag == CODE_TAG:
        state[IN_CODE] += 1
        if state[IS_OPEN] and state[IN_CODE] == 1:
            _add_segment(work, 0, 0, CODE)
    if kind & (IS_BOLD | IS_SILENT | IS_PRE):
        state[IN_BOLD] += (kind & IS_BOLD) != 0
        state[IN_SILENT] += (kind & IS_SILENT) != 0
        state[IN_PRE] += (kind & IS_PRE) != 0


@compiled(_nrt=False, forceinline=True)
def _break(work: Work) -> None:
    """A line break; two in a row end the block, but not in preformatted text."""
    counts, state = work.counts, work.state
    state[N_BREAKS] += 1
    if state[IS_OPEN]:
        if state[N_BREAKS] >= 2 and not state[IN_PRE]:
            n_breaks = state[N_BREAKS]
            _end_block(work)
            state[N_BREAKS] = n_breaks
        else:
            _add_segment(work, 0, 0, BREAK)
            counts[state[N_BLOCKS], BREAKS] += 1
    state[AFTER_SPACE] = 1


@compiled(_nrt=False, forceinline=True)
def _implied_end(work: Work, tag: int) -> int:
    """The depth from which on a start tag ends what is open; 0 if it ends nothing (HTML standard, 13.1.2.4)."""
    nodes, stack, state = work.nodes, work.stack, work.state
    top = state[DEPTH] - 1
    if tag == BODY:
        for depth in range(1, state[DEPTH]):
            if nodes[stack[depth, 0], TAG_OF] != HTML:
                return depth
        return 0
    if tag == A:
        for depth in range(top, 0, -1):
            there = nodes[stack[depth, 0], TAG_OF]
            if there == A:
                return depth
            if TAG_CLASS[there] & IS_BLOCK:
                break
        return 0
    if not TAG_CLASS[tag] & IS_BLOCK:
        return 0
    implied = 0
    for depth in range(top, 0, -1):
        there = nodes[stack[depth, 0], TAG_OF]
        if TAG_CLASS[there] & IS_BLOCK:
            implied = depth if there == P else 0
            break
    is_cell = tag == TD or tag == TH
    if not (is_cell or tag == LI or tag == DT or tag == DD or tag == TR or tag == TBODY or tag == TFOOT):
        return implied
    for depth in range(top, 0, -1):
        there = nodes[stack[depth, 0], TAG_OF]
        if tag == LI:
            if there == UL or there == OL:
                break
            if there == LI:
                return depth
        elif tag == DT or tag == DD:
            if there == DL:
                break
            if there == DT or there == DD:
                return depth
        else:
            if there == TABLE or (is_cell and there == TR):
                break
            if is_cell and (there == TD or there == TH):
                return depth
            if not is_cell:
                if tag == TR and (there == TBODY or there == THEAD or there == TFOOT):
                    break
                if tag == TR and there == TR:
                    return depth
                if tag != TR and (there == TBODY or there == THEAD or there == TFOOT):
                    return depth
    return implied


@compiled(_nrt=False, forceinline=True)
def _attributes(work: Work, k: int, tag: int) -> tuple[int, bool, bool]:  # noqa: PLR0915
    """Read the attributes from `k` on; returns the tag's end, whether it closes itself, whether it holds JSON-LD.

    Keywords and signature go to the node that is about to be, bytes of href and alt to `range_`.
    """
    page, nodes, stated, state = work.page, work.nodes, work.stated, work.state
    n = len(page)
    node = state[N_NODES]
    closes_itself, is_ld, is_canonical = False, False, False
    name_stated = -1
    while k < n and page[k] != ord(">"):
        if BYTE_CLASS[page[k]] & SPACE or page[k] == ord("/"):
            closes_itself = page[k] == ord("/")
            k += 1
            continue
        closes_itself = False
        name = FNV_BASIS
        begin = k
        while k < n and not (BYTE_CLASS[page[k]] & SPACE or page[k] == ord("/") or page[k] == ord(">")):
            if page[k] == ord("=") and k > begin:
                break
            name = hashed(name, page[k])
            k += 1
        k, first, last = _value(page, k)
        attribute = number_of(ATTRIBUTE_NAMES, name)
        if attribute < 0:
            continue
        if attribute == CLASS or attribute == ID or attribute == ROLE or attribute == ITEMPROP:
            _keywords(work, first, last, node, attribute == CLASS)
        elif attribute == STYLE:
            if _hides(page, first, last):
                nodes[node, WORDS_OF] |= ONE << np.int64(HIDDEN_BIT)
        elif attribute == HIDDEN:
            nodes[node, WORDS_OF] |= ONE << np.int64(HIDDEN_BIT)
        elif attribute == ARIA_HIDDEN:
            if _value_hash(page, first, last) == TRUE_HASH:
                nodes[node, WORDS_OF] |= ONE << np.int64(ARIA_HIDDEN_BIT)
        elif attribute == HREF or attribute == CONTENT:
            state[HREF_FIRST], state[HREF_LAST] = first, max(last, 1)
        elif attribute == ALT:
            state[ALT_FIRST], state[ALT_LAST] = first, last
        elif attribute == LANG and tag == HTML:
            _state_fact(stated, names.LANGUAGE, first, last)
        elif attribute == DATETIME and tag == TIME:
            _state_fact(stated, names.TIME, first, last)
        elif attribute == REL:
            is_canonical = _value_hash(page, first, last) == CANONICAL_HASH
        elif attribute == TYPE:
            is_ld = _value_hash(page, first, last) == LD_JSON_HASH
        if tag == META and (attribute == NAMED or attribute == PROPERTY or attribute == ITEMPROP):
            name_stated = number_of(STATED_NAMES, _value_hash(page, first, last))
    if tag == META and name_stated >= 0:
        _state_fact(stated, name_stated, state[HREF_FIRST], state[HREF_LAST])
    elif tag == LINKED and is_canonical:
        _state_fact(stated, names.CANONICAL, state[HREF_FIRST], state[HREF_LAST])
    return k, closes_itself, is_ld


@compiled(_nrt=False, forceinline=True)
def _value(page: NDArray[np.uint8], k: int) -> tuple[int, int, int]:
    """What follows an attribute's name: the byte after the value, and the value's first and last; both 0 if none."""
    n = len(page)
    while k < n and BYTE_CLASS[page[k]] & SPACE:
        k += 1
    if k >= n or page[k] != ord("="):
        return k, 0, 0
    k += 1
    while k < n and BYTE_CLASS[page[k]] & SPACE:
        k += 1
    if k < n and (page[k] == ord('"') or page[k] == ord("'")):
        quote, first = page[k], k + 1
        k += 1
        while k < n and page[k] != quote:
            k += 1
        return k + 1, first, k
    first = k
    while k < n and not (BYTE_CLASS[page[k]] & SPACE or page[k] == ord(">")):
        k += 1
    return k, first, k


@compiled(_nrt=False, forceinline=True)
def _value_hash(page: NDArray[np.uint8], first: int, last: int) -> np.uint32:
    value = FNV_BASIS
    for k in range(first, last):
        if not BYTE_CLASS[page[k]] & SPACE:
            value = hashed(value, page[k])
    return value


@compiled(_nrt=False, forceinline=True)
def _state_fact(stated: Ints, place: int, first: int, last: int) -> None:
    """Take down what the page states about itself; the first statement that says anything counts."""
    if stated[place, 1] == 0 and last > first:
        stated[place, 0], stated[place, 1] = first, last


@compiled(_nrt=False, forceinline=True)
def _keywords(work: Work, first: int, last: int, node: int, is_class: bool) -> None:
    """Set the bits of the known words in a value, split where letters end and before capitals."""
    page, nodes = work.page, work.nodes
    k = first
    while k < last:
        while k < last and not BYTE_CLASS[page[k]] & LETTER:
            k += 1
        value = FNV_BASIS
        begin = k
        while k < last and BYTE_CLASS[page[k]] & LETTER:
            if k > begin and BYTE_CLASS[page[k]] & UPPER and not BYTE_CLASS[page[k - 1]] & UPPER:
                break
            value = hashed(value, page[k])
            k += 1
        if k > begin:
            bit = number_of(KEYWORD_NAMES, value)
            if bit >= 0:
                nodes[node, WORDS_OF] |= ONE << np.int64(bit)
            if is_class:
                nodes[node, SIGNATURE] = np.uint32((nodes[node, SIGNATURE] ^ value) * FNV_PRIME)


@compiled(_nrt=False, forceinline=True)
def _hides(page: NDArray[np.uint8], first: int, last: int) -> bool:
    """Whether a style says `display: none`."""
    for k in range(first, last - 10):
        if LOWER[page[k]] == ord("d") and LOWER[page[k + 3]] == ord("p") and LOWER[page[k + 6]] == ord("y"):
            at = k + 7
            while at < last and (page[at] == ord(":") or BYTE_CLASS[page[at]] & SPACE):
                at += 1
            if at > k + 7 and at + 4 <= last and _value_hash(page, at, at + 4) == NONE_HASH:
                return True
    return False


@compiled(_nrt=False)
def _next_tag(page: NDArray[np.uint8], k: int) -> int:
    """The first `<` from `k` on, or the page's end. Sixteen bytes at a time, which the compiler compares at once."""
    n = len(page)
    while k + 16 <= n:
        found = False
        for byte in page[k : k + 16]:
            found |= byte == ord("<")
        if found:
            break
        k += 16
    while k < n and page[k] != ord("<"):
        k += 1
    return k


@compiled(_nrt=False, forceinline=True)
def _raw_text(work: Work, k: int, name: np.uint32, tag: int, is_ld: bool) -> int:
    """The byte after the end tag of a raw-text element whose text begins at `k`."""
    page, stated, state = work.page, work.stated, work.state
    n = len(page)
    end = k
    while end < n:
        end = _next_tag(page, end)
        if end + 1 >= n:
            end = n
            break
        if page[end + 1] == ord("/"):
            value = FNV_BASIS
            at = end + 2
            while at < n and BYTE_CLASS[page[at]] & NAME:
                value = hashed(value, page[at])
                at += 1
            if value == name:
                break
        end += 1
    if tag == TITLE_TAG and not state[IN_SILENT] and stated[names.TITLE, 1] == 0:
        _state_fact(stated, names.TITLE, k, end)
        _title_words(work, k, end)
    elif tag == SCRIPT and is_ld and state[N_LD] < MAX_LD:
        stated[N_STATED + state[N_LD], 0], stated[N_STATED + state[N_LD], 1] = k, end
        state[N_LD] += 1
    while end < n and page[end] != ord(">"):
        end += 1
    return end + 1


@compiled(_nrt=False, forceinline=True)
def _title_words(work: Work, first: int, last: int) -> None:
    """Hashes of the title's words of three bytes or more."""
    page, state = work.page, work.state
    k = first
    while k < last and state[N_TITLE] < MAX_TITLE_WORDS:
        while k < last and not BYTE_CLASS[page[k]] & (LETTER | HIGH | DIGIT):
            k += 1
        value = FNV_BASIS
        begin = k
        while k < last and BYTE_CLASS[page[k]] & (LETTER | HIGH):
            value = hashed(value, page[k])
            k += 1
        if k - begin > 2:
            state[TITLE_WORDS_AT + state[N_TITLE]] = value
            state[N_TITLE] += 1
        k = max(k, begin + 1)


@compiled(_nrt=False, forceinline=True)
def _blank_end(page: NDArray[np.uint8], k: int) -> int:
    """The first byte from `k` on that is no white space; no-break spaces are white space too."""
    n = len(page)
    while k < n:
        byte = page[k]
        if BYTE_CLASS[byte] & SPACE:
            k += 1
        elif byte == 0xC2 and k + 1 < n and page[k + 1] == 0xA0:
            k += 2
        elif byte == ord("&") and _is_nbsp(page, k):
            k += 6
        else:
            break
    return k


@compiled(_nrt=False, forceinline=True)
def _is_nbsp(page: NDArray[np.uint8], k: int) -> bool:
    """Whether `&nbsp;` or `&#160;` stands at `k`."""
    if k + 5 >= len(page) or page[k + 5] != ord(";"):
        return False
    a, b, c, d = page[k + 1], page[k + 2], page[k + 3], page[k + 4]
    is_named = a == ord("n") and b == ord("b") and c == ord("s") and d == ord("p")
    return is_named or (a == ord("#") and b == ord("1") and c == ord("6") and d == ord("0"))


@compiled(_nrt=False, forceinline=True)
def _open_block(work: Work, at: int) -> None:
    """Begin a block whose first character is at `at`, inside the inline elements that are open."""
    page, nodes, blocks, counts, stack, state = work.page, work.nodes, work.blocks, work.counts, work.stack, work.state
    block = state[N_BLOCKS]
    top = state[DEPTH] - 1
    blocks[block, NODE] = stack[top, 1]
    blocks[block, HASH] = FNV_BASIS
    blocks[block, FIRST] = state[N_SEGMENTS]
    counts[block] = 0
    if state[BLANK_LAST]:
        _add_segment(work, state[BLANK_FIRST], state[BLANK_LAST], PRE_TEXT)
    keywords = np.int64(0)
    depth = top
    while depth > 0 and not TAG_CLASS[nodes[stack[depth, 0], TAG_OF]] & IS_BLOCK:
        keywords |= nodes[stack[depth, 0], WORDS_OF]
        depth -= 1
    if state[IN_CODE]:
        _add_segment(work, 0, 0, CODE)
    if state[IN_LINK]:
        _add_segment(work, state[LINK_FIRST], state[LINK_LAST], LINK)
    blocks[block, INLINE_WORDS] = keywords
    counts[block, STARTS] = 1 if BYTE_CLASS[page[at]] & UPPER else 0
    state[IS_OPEN], state[AFTER_SPACE] = 1, 1


@compiled(_nrt=False, forceinline=True)
def _text(work: Work, i: int) -> int:
    """Take the text from `i` to the next `<`; returns where that is. A `<` at `i` itself is text."""
    page, counts, state = work.page, work.counts, work.state
    n = len(page)
    if state[IN_SILENT]:
        k = i + 1
        while k < n and page[k] != ord("<"):
            k += 1
        return k
    at = _blank_end(page, i)
    if at >= n or (page[at] == ord("<") and at > i):
        state[AFTER_SPACE] = 1
        if state[IS_OPEN]:
            _add_segment(work, i, at, PRE_TEXT if state[IN_PRE] else TEXT)
        elif state[IN_PRE] and not state[BLANK_LAST]:  # indents the text to come
            state[BLANK_FIRST], state[BLANK_LAST] = i, at
        return at
    if not state[IS_OPEN]:
        _open_block(work, at)
        if not state[IN_PRE]:
            i = at
    state[N_BREAKS] = 0
    end, chars = _count(work, i)
    _add_segment(work, i, end, PRE_TEXT if state[IN_PRE] else TEXT)
    row = counts[state[N_BLOCKS]]
    row[CHARS] += chars
    if state[IN_LINK]:
        row[LINK_CHARS] += chars
        row[LINKS] += 1
    if state[IN_BOLD]:
        row[BOLD_CHARS] += chars
    if state[IN_PRE]:
        row[PRE_CHARS] += chars
    return end


NEITHER, COMMA, SENTENCE, WIDE_WORD, WIDE_LETTER, SPACELESS = range(6)


@compiled(_nrt=False, forceinline=True)
def _high(page: NDArray[np.uint8], k: int) -> int:
    """What the character at `k` is, whose first byte is not ASCII: a sign that ends a sentence, of which script…"""
    n = len(page)
    a = page[k]
    b = page[k + 1] if k + 1 < n else np.uint8(0)
    c = page[k + 2] if k + 2 < n else np.uint8(0)
    if a < 0xE0:
        return COMMA if a == 0xD8 and b == 0x8C else SENTENCE if a == 0xD8 and b == 0x9F else NEITHER  # ، ؟
    if a == 0xE0:
        if b == 0xA5 and (c == 0xA4 or c == 0xA5):  # । ॥
            return SENTENCE
        return SPACELESS if 0xB8 <= b <= 0xBB else NEITHER  # Thai, Lao
    if a == 0xE1:
        if b == 0x9F and (c == 0x94 or c == 0x95):  # ។ ៕
            return SENTENCE
        return SPACELESS if 0x80 <= b <= 0x82 or b == 0x9E or b == 0x9F else NEITHER  # Burmese, Khmer
    if a == 0xE3 and b == 0x80:
        return SENTENCE if c == 0x82 else COMMA if c == 0x81 else WIDE_LETTER  # 。 、
    if a == 0xEF and b == 0xBC:
        return COMMA if c == 0x8C else SENTENCE if c == 0x81 or c == 0x9F else WIDE_LETTER  # ， ！ ？
    if 0xE3 <= a <= 0xE9 or (a == 0xF0 and 0xA0 <= b <= 0xB1):
        return WIDE_WORD  # kana and Chinese characters
    return WIDE_LETTER if 0xEA <= a <= 0xED else NEITHER  # Hangul


@compiled(_nrt=False, forceinline=True)
def _count(work: Work, i: int) -> tuple[int, int]:  # noqa: PLR0915
    """Count what stands from `i` to the next `<` into the open block; returns where that is and the characters."""
    page, blocks, counts, state = work.page, work.blocks, work.counts, work.state
    n = len(page)
    block = state[N_BLOCKS]
    row = counts[block]
    value = blocks[block, HASH]
    after_space = state[AFTER_SPACE] != 0
    ends = row[ENDS]
    chars, words, spaceless = 0, 0, 0
    k = i
    while k < n:
        byte = page[k]
        if byte == ord("<") and k > i:
            break
        kind = BYTE_CLASS[byte]
        if kind & SPACE:
            after_space = True
            k += 1
            continue
        if after_space:
            words += 1
            chars += 1
            after_space = False
        if kind & LETTER:
            begin, word, n_upper, n_inner = k, FNV_BASIS, 0, 0
            row[CAPITALISED] += (kind & UPPER) != 0
            while k < n and BYTE_CLASS[page[k]] & (LETTER | HIGH):
                n_upper += (BYTE_CLASS[page[k]] & UPPER) != 0
                n_inner += (page[k] & 0xC0) == 0x80
                word = hashed(word, page[k])
                k += 1
            chars += k - begin - n_inner
            row[UPPERS] += n_upper
            value = np.uint32((value ^ word) * FNV_PRIME)
            if k - begin > 2:
                for t in range(state[N_TITLE]):
                    if state[TITLE_WORDS_AT + t] == word:
                        row[TITLE_WORDS] += 1
                        break
            ends = np.float32(0)
            continue
        if kind & HIGH:
            value = np.uint32((value ^ np.uint32(byte)) * FNV_PRIME)
            k += 1
            if byte & 0xC0 == 0x80:
                continue
            row[NON_ASCII] += 1
            chars += 1
            sign = _high(page, k - 1)
            if sign == NEITHER:
                ends = ends if byte == 0xE2 and page[min(k, n - 1)] == 0x80 else np.float32(0)  # quotation marks
                continue
            ends = np.float32(sign == SENTENCE)
            row[COMMAS] += sign == COMMA
            row[SENTENCES] += sign == SENTENCE
            if sign == SPACELESS:
                spaceless += 1
            elif byte >= 0xE3:
                chars += 1
                row[WIDE] += 1
                words += sign == WIDE_WORD
            continue
        chars += 1
        k += 1
        if kind & DIGIT:
            row[DIGITS] += 1
            value = np.uint32((value ^ np.uint32(byte)) * FNV_PRIME)
            ends = np.float32(0)
        elif byte == ord(".") or byte == ord("!") or byte == ord("?"):
            row[SENTENCES] += 1
            ends = np.float32(1)
        elif byte == ord(","):
            row[COMMAS] += 1
            ends = np.float32(0)
        elif byte == ord("&"):  # a character reference is one character
            at = k
            while at < n and at < k + 8 and (BYTE_CLASS[page[at]] & NAME or page[at] == ord("#")):
                at += 1
            if at < n and at > k and page[at] == ord(";"):
                k = at + 1
        else:
            row[SIGNS] += byte == ord("|") or byte == ord("@") or byte == ord("#") or byte == ord(">")
            if byte == ord(":"):
                ends = np.float32(0.5)
            elif byte != ord('"') and byte != ord("'") and byte != ord(")"):
                ends = np.float32(0)
    row[WORDS] += words + 0.2 * spaceless
    row[ENDS] = ends
    blocks[block, HASH] = value
    state[AFTER_SPACE] = after_space
    return k, chars

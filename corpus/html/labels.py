"""Which blocks of a page are main text, from the text that the page should give: what a classifier is trained on."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.html.render import written
from datassay.corpus.html.scan import Scan

WORD = re.compile(r"\w+")
N = 4
"""Words of a gram, as article-extraction-benchmark compares them."""
MIN_SHARE_KNOWN = 0.3
"""A block with fewer of its grams in the wanted text is not aligned with it."""


def block_words(page: NDArray[np.uint8], scan: Scan) -> list[list[str]]:
    """The words of each block."""
    keep = np.zeros(len(scan.blocks), np.bool_)
    found = []
    for b in range(len(keep)):
        keep[b] = True
        found.append(WORD.findall(written(page, scan, keep)))
        keep[b] = False
    return found


def labels(words: list[list[str]], wanted: str) -> NDArray[np.float32]:
    """(blocks,) the share of each block's words that the longest common subsequence of page and wanted text holds."""
    from rapidfuzz.distance import LCSseq  # for training only

    text = WORD.findall(wanted)
    share = np.zeros(len(words), np.float32)
    if not text:
        return share
    grams = Counter(tuple(text[i : i + N]) for i in range(max(1, len(text) - N + 1)))
    candidates = [b for b, block in enumerate(words) if _may_align(block, grams)]
    flat = [word for b in candidates for word in words[b]]
    owner = [b for b in candidates for _ in words[b]]
    for step in LCSseq.opcodes(flat, text):
        if step.tag == "equal":
            for i in range(step.src_start, step.src_end):
                share[owner[i]] += 1
    n_words = np.array([len(block) for block in words], np.float32)
    share /= np.maximum(n_words, 1)
    for b in np.flatnonzero((n_words > 0) & (n_words < N) & (share > 0)):  # short and far from main text: by chance
        around = [a for a in range(max(0, int(b) - 2), min(len(words), int(b) + 3)) if a != b and n_words[a] >= N]
        if not any(share[a] >= 0.5 for a in around):
            share[b] = 0
    return share


def _may_align(block: list[str], grams: Counter[tuple[str, ...]]) -> bool:
    if len(block) < N:
        return True
    n_grams = len(block) - N + 1
    n_known = sum(tuple(block[i : i + N]) in grams for i in range(n_grams))
    return n_known >= MIN_SHARE_KNOWN * n_grams

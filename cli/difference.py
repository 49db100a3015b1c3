"""Two texts against each other, word by word, shortened to what differs and some words around it."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from datassay.corpus.unicode import UNSPACED_RANGES

N_COMPARED = 3_000
"""Words of each text that are compared, from the first that differs on: time grows with their product."""
N_CONTEXT = 8
"""Words shown of what is alike, on each side of a change."""
N_RUN = 60
"""Words shown of a stretch that only one text has."""
N_ISLAND = 2
"""Words that are alike between two longer changes, and not taken for it."""
N_CHANGES = 30
"""Changes shown; the rest are counted."""

_UNSPACED = "".join(f"{chr(low)}-{chr(high)}" for low, high in UNSPACED_RANGES)
_WORD = re.compile(rf"[{_UNSPACED}]\s*|[^\s{_UNSPACED}]+\s*")


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of words: in both texts, only in the first, or only in the second."""

    kind: Literal["same", "gone", "new"]
    text: str
    n_hidden: int = 0
    """Words of the run that are left out after these."""

    @property
    def words(self) -> str:
        return self.text.rstrip()

    @property
    def space(self) -> str:
        """What follows the words, outside of any mark."""
        return self.text[len(self.words) :] or " " * (self.n_hidden > 0)


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two texts."""

    pieces: tuple[Piece, ...]
    n_gone: int
    """Words that only the first text has, as far as they were compared."""
    n_new: int
    n_more: int
    """Changes that are not shown."""
    n_uncompared: int
    """Words of both texts after those that were compared."""


def word_difference(first: str, second: str) -> Difference:
    """What `second` lacks and adds; words in order, white space between them does not count."""
    a, b = words(first), words(second)
    n_before = _n_alike(a, b)
    n_after = _n_alike(a[n_before:][::-1], b[n_before:][::-1])
    x, y = a[n_before : len(a) - n_after], b[n_before : len(b) - n_after]
    n_uncompared = len(x[N_COMPARED:]) + len(y[N_COMPARED:])
    runs = [("same", _common(a[:n_before], b)), *_runs(x[:N_COMPARED], y[:N_COMPARED])]
    if n_after and not n_uncompared:
        runs.append(("same", _common(a[-n_after:], b[-n_after:])))
    runs = [(kind, run) for kind, run in runs if run]
    if n_uncompared:
        n_uncompared += _drop_cut(runs)
    n_gone, n_new = (sum(len(run) for kind, run in runs if kind == wanted) for wanted in ("gone", "new"))
    shown, n_more = _first_changes(runs)
    pieces = tuple(piece for i, run in enumerate(shown) for piece in _shortened(*run, i == 0, i == len(shown) - 1))
    return Difference(pieces, n_gone, n_new, n_more, n_uncompared)


def words(text: str) -> list[str]:
    """The words of a text, each with the white space after it; characters in scripts without spaces."""
    found: list[str] = []
    for word in _WORD.findall(text.lstrip()):
        if found and unicodedata.category(word[0]).startswith("M") and not found[-1][-1].isspace():
            found[-1] += word  # a vowel or tone mark belongs to the character before it
        else:
            found.append(word)
    return found


def notes(difference: Difference) -> list[str]:
    """What the pieces do not say."""
    said = []
    if not difference.n_gone + difference.n_new and not difference.n_uncompared:
        said.append("word for word the same")
    if difference.n_more:
        said.append(f"{difference.n_more:,} more changes")
    if difference.n_uncompared:
        said.append(f"the last {difference.n_uncompared:,} words of both were not compared")
    return said


def as_text(difference: Difference, *, gone: str = "[-{}-]", new: str = "{{+{}+}}") -> str:
    """The difference for a terminal, marked as `git diff --word-diff` marks it."""
    marks = {"same": "{}", "gone": gone, "new": new}
    return "".join(_marked(piece, marks[piece.kind]) for piece in difference.pieces).rstrip()


def _marked(piece: Piece, mark: str) -> str:
    text = f"{piece.words} … {hidden(piece)} …".lstrip() if piece.n_hidden else piece.words
    return (mark.format(text) if text else "") + piece.space


def hidden(piece: Piece) -> str:
    """How many words are left out, in words."""
    return f"{piece.n_hidden:,} more word{'s' * (piece.n_hidden > 1)}"


def _n_alike(a: Sequence[str], b: Sequence[str]) -> int:
    """Words at the beginning that are the same."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x.rstrip() != y.rstrip():
            return i
    return min(len(a), len(b))


def _runs(a: Sequence[str], b: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """Runs of words in order, each of a kind of `Piece`."""
    a_end = b_end = 0
    for a_low, a_high, b_low, b_high in _changes(a, b):
        yield "same", _common(a[a_end:a_low], b[b_end:b_low])
        yield "gone", a[a_low:a_high]
        yield "new", b[b_low:b_high]
        a_end, b_end = a_high, b_high
    yield "same", _common(a[a_end:], b[b_end:])


def _common(a: Sequence[str], b: Sequence[str]) -> list[str]:
    """Words that both have; where one text ends, with the white space that the other goes on with."""
    return [x if x[-1].isspace() else y for x, y in zip(a, b, strict=False)]


def _changes(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """What of a became what of b: (a_low, a_high, b_low, b_high), in order. A word or two that are alike between long
    changes are chance, and part of one longer change."""
    matcher = difflib.SequenceMatcher(None, [x.rstrip() for x in a], [y.rstrip() for y in b], autojunk=False)
    found: list[tuple[int, int, int, int]] = []
    for kind, *change in matcher.get_opcodes():
        a_low, a_high, b_low, b_high = change
        if kind == "equal":
            continue
        if found and a_low - found[-1][1] <= N_ISLAND and min(_size(found[-1]), _size((*change,))) > N_ISLAND:
            a_low, _, b_low, _ = found.pop()
        found.append((a_low, a_high, b_low, b_high))
    return found


def _size(change: tuple[int, ...]) -> int:
    a_low, a_high, b_low, b_high = change
    return max(a_high - a_low, b_high - b_low)


def _drop_cut(runs: list[tuple[str, Sequence[str]]]) -> int:
    """Take off the change at the end, which may only be where the comparison was cut; how many words that are."""
    is_aligned = any(kind == "same" for kind, _ in runs[1:])
    n_dropped = 0
    while is_aligned and runs[-1][0] != "same":
        n_dropped += len(runs.pop()[1])
    return n_dropped


def _first_changes(runs: Sequence[tuple[str, Sequence[str]]]) -> tuple[Sequence[tuple[str, Sequence[str]]], int]:
    """The runs up to the last change that is shown with what follows it, and how many changes are left out."""
    changes = [i for i, (kind, _) in enumerate(runs) if kind != "same"]
    if len(changes) <= N_CHANGES:
        return runs, 0
    return runs[: changes[N_CHANGES]], len(changes) - N_CHANGES


def _shortened(kind: str, run: Sequence[str], is_first: bool, is_last: bool) -> Iterator[Piece]:
    if kind != "same":
        shown = run[:N_RUN] if len(run) > N_RUN + N_CONTEXT else run
        yield Piece("gone" if kind == "gone" else "new", _joined(shown), len(run) - len(shown))
        return
    n_head, n_tail = (0 if is_first else N_CONTEXT), (0 if is_last else N_CONTEXT)
    if is_first and is_last:
        n_head = N_CONTEXT
    if len(run) <= n_head + n_tail + N_CONTEXT // 2:
        yield Piece("same", _joined(run))
        return
    yield Piece("same", _joined(run[:n_head]), len(run) - n_head - n_tail)
    if n_tail:
        yield Piece("same", _joined(run[len(run) - n_tail :]))


def _joined(run: Sequence[str]) -> str:
    """The words with the white space between them; of several line ends in a row, one."""
    return re.sub(r"\s*\n\s*", "\n", "".join(run))

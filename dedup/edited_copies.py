"""Copies of documents, edited as copies on the web are, at a similarity that is known: what a search must find.

Eight kinds of edit, none of which knows a language. How much is edited is searched for, so that the similarity comes
near to what is asked; the similarity itself is computed from both shingle sets, and never assumed. Which words are
edited is a hash of seed and document.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, islice

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datassay.corpus.hashing import seed_of, splitmix64
from datassay.corpus.scripts import main_script, script_counts
from datassay.corpus.unicode import TERMINAL_MARKS
from datassay.dedup.settings import MinHash
from datassay.dedup.shingles import ShingleSets, shingle_sets

MIN_SIMILARITY = 0.3
"""Copies are aimed at similarities from here to 1."""
MIN_SHINGLES = 20
"""Of fewer, too few similarities can be reached."""
MAX_CHARS = 100_000
"""A longer document takes no part: a copy is made a dozen times before it is as similar as it should be."""
DONOR_CHARS = 10_000
"""So much of a document gives words and boilerplate to others' copies."""
BATCH_COPIES = 256
N_STEPS = 9
"""Of halving the range of the edit rate: to within .002 of a document's words."""
_GOLDEN = 0.6180339887498949
_SENTENCES = re.compile(rf".+?(?:[{re.escape(TERMINAL_MARKS)}]+(?=\s)|[。！？｡．]+|\n|\Z)\s*", re.DOTALL)
_MIN_PIECES, _PIECE_UNITS = 8, 12
_PUNCTUATION = str.maketrans(
    {"“": '"', "”": '"', "’": "'", "–": "-", "—": "-", "…": "...", "，": ",", "。": ".", "！": "!", "？": "?", ",": ";"}
)


@dataclass(frozen=True, slots=True)
class Original:
    """A document to copy, taken apart: joined, either list is the text."""

    id: str
    text: str
    script: str | None
    """Code of ISO 15924 of most of its letters."""
    is_unspaced: bool
    """Whether its script is written without spaces between words."""
    units: tuple[str, ...]
    """Words, or in scripts without spaces characters, each with the white space before it."""
    pieces: tuple[str, ...]
    """Sentences and lines, each with the white space after it."""


@dataclass(frozen=True, slots=True)
class Copy:
    """An edited copy and its true similarity to the original."""

    id: str
    original: str
    kind: str
    script: str | None
    is_unspaced: bool
    similarity: float
    """Jaccard, of the shingle sets that the search compares."""
    text: str


@dataclass(frozen=True, slots=True)
class Donors:
    """The words of other documents, for copies of one."""

    units: Sequence[Sequence[str]]
    first: int
    """Which document gives first; the others follow."""

    def words(self, chances: NDArray[np.float64]) -> list[str]:
        """Words of one document, chosen by these chances, without white space."""
        donor = self.units[self.first % len(self.units)]
        return [donor[int(chance * len(donor))].lstrip() for chance in chances]

    def run(self, n: int, skip: int) -> tuple[str, ...]:
        """n words in a row, from every second document, beginning `skip` after the first."""
        found: list[str] = []
        for step in range(0, len(self.units), 2):
            if len(found) >= n:
                break
            first, *others = self.units[(self.first + skip + step) % len(self.units)]
            found += [f"\n{first.lstrip()}", *others]
        return tuple(found[:n])


Edit = Callable[[Original, Donors, float, NDArray[np.float64]], str]
"""(original, donors, rate in 0 to 1, chances (2, units or pieces, whichever are more)) -> text.

A higher rate edits all that a lower one does."""


def _typography(original: Original, donors: Donors, rate: float, chances: NDArray[np.float64]) -> str:  # noqa: ARG001
    """Case, white space and punctuation alone: the words stay, whatever the rate."""
    units = [
        _respaced(_recased(unit) if upper < 0.3 else unit, other)
        for unit, upper, other in zip(original.units, *chances.tolist(), strict=False)
    ]
    text = "".join(units).translate(_PUNCTUATION)
    return text if text != original.text else f"{text}."


def _recased(unit: str) -> str:
    upper = unit.upper()
    return upper if len(upper) == len(unit) and upper.lower() == unit.lower() else unit


def _respaced(unit: str, chance: float) -> str:
    space = unit[: len(unit) - len(unit.lstrip())]
    return f"{'  ' if chance < 0.1 else chr(10) if chance < 0.15 else space}{unit.lstrip()}" if space else unit


def _substituted(original: Original, donors: Donors, rate: float, chances: NDArray[np.float64]) -> str:
    units = list(original.units)
    here = np.flatnonzero(chances[0][: len(units)] < rate)
    for i, word in zip(here.tolist(), donors.words(chances[1][here]), strict=True):
        units[i] = units[i][: len(units[i]) - len(units[i].lstrip())] + word
    return "".join(units)


def _inserted(original: Original, donors: Donors, rate: float, chances: NDArray[np.float64]) -> str:
    units = list(original.units)
    here = np.flatnonzero(chances[0][: len(units)] < rate)
    for i, word in zip(here.tolist(), donors.words(chances[1][here]), strict=True):
        units[i] += word if original.is_unspaced else f" {word}"
    return "".join(units)


def _deleted(original: Original, donors: Donors, rate: float, chances: NDArray[np.float64]) -> str:  # noqa: ARG001
    return "".join(compress(original.units, (chances[0] >= rate).tolist()))


def _removed(original: Original, donors: Donors, rate: float, chances: NDArray[np.float64]) -> str:  # noqa: ARG001
    """Sentences and lines left out."""
    return "".join(compress(original.pieces, (chances[0] >= rate).tolist()))


def _moved(original: Original, donors: Donors, rate: float, chances: NDArray[np.float64]) -> str:  # noqa: ARG001
    """Sentences and lines in each other's places."""
    pieces = [piece if original.is_unspaced or piece[-1].isspace() else f"{piece} " for piece in original.pieces]
    here = np.flatnonzero(chances[0][: len(pieces)] < rate)
    if len(here) < 2:
        return original.text
    moved = [pieces[i] for i in here[np.argsort(chances[1][here])]]
    for i, piece in zip(here.tolist(), moved, strict=True):
        pieces[i] = piece
    return "".join(pieces)


def _boilerplate(original: Original, donors: Donors, rate: float, chances: NDArray[np.float64]) -> str:  # noqa: ARG001
    """A header of one document and a footer of another, up to four times as long as the text."""
    n = round(2 * rate * len(original.units))
    return f"{''.join(donors.run(n, 0)).lstrip()}\n{original.text}{''.join(donors.run(n, 1))}"


def _truncated(original: Original, donors: Donors, rate: float, chances: NDArray[np.float64]) -> str:  # noqa: ARG001
    return "".join(original.units[: round((1 - rate) * len(original.units))])


EDITS: dict[str, Edit] = {
    "typography": _typography,
    "substituted": _substituted,
    "inserted": _inserted,
    "deleted": _deleted,
    "removed": _removed,
    "moved": _moved,
    "boilerplate": _boilerplate,
    "truncated": _truncated,
}
"""By name: words substituted, inserted, deleted; sentences and lines removed, moved; boilerplate added; the end cut."""


def edited_copies(
    ids: Sequence[str], texts: Sequence[str], settings: MinHash, *, seed: int = 0, n_steps: int = N_STEPS
) -> Iterator[Copy]:
    """One copy of each document, the kinds in turn, each kind's similarities spread evenly over what it can reach.

    texts: each of MIN_SHINGLES shingles at least, see `can_be_copied`
    """
    donors = _donor_pools(texts)
    names = list(EDITS)
    for start in range(0, len(ids), BATCH_COPIES):
        batch = range(start, min(start + BATCH_COPIES, len(ids)))
        originals = taken_apart([ids[i] for i in batch], [texts[i] for i in batch])
        kinds = [names[i % len(names)] for i in batch]
        wanted = np.array([(0.5 + i // len(names) * _GOLDEN) % 1 for i in batch])
        yield from _copies(originals, kinds, wanted, [donors[i] for i in batch], settings, seed, n_steps)


def can_be_copied(texts: pa.Array, settings: MinHash) -> NDArray[np.bool_]:
    """Whether a text is long enough for copies of many similarities, and not too long."""
    n_shingles = settings.shingle_sets(texts).sizes
    n_chars = np.array([len(text) for text in texts.to_pylist()], np.int64)
    enough: NDArray[np.bool_] = (n_shingles >= MIN_SHINGLES) & (n_chars <= MAX_CHARS)
    return enough


def taken_apart(ids: Sequence[str], texts: Sequence[str]) -> list[Original]:
    """Documents with their words and sentences."""
    array = pa.array(texts, pa.large_string())
    scripts, _ = main_script(script_counts(array))
    unspaced = shingle_sets(array, words=1, characters=1).by_characters
    return [
        Original(
            id=id,
            text=text,
            script=script,
            is_unspaced=bool(is_unspaced),
            units=(units := units_of(text, is_unspaced=bool(is_unspaced))),
            pieces=pieces_of(text, units),
        )
        for id, text, script, is_unspaced in zip(ids, texts, scripts, unspaced, strict=True)
    ]


def units_of(text: str, *, is_unspaced: bool) -> tuple[str, ...]:
    """The words of a text, or its characters with the marks on them, each with the white space before it."""
    if not is_unspaced:
        return tuple(re.findall(r"\s*\S+(?:\s+\Z)?", text))
    units: list[str] = []
    space = ""
    for character in text:
        if character.isspace():
            space += character
        elif units and not space and unicodedata.category(character)[0] == "M":
            units[-1] += character
        else:
            units.append(space + character)
            space = ""
    return (*units[:-1], units[-1] + space) if units else ()


def pieces_of(text: str, units: Sequence[str]) -> tuple[str, ...]:
    """The sentences and lines of a text, each with the white space after it; a dozen words each if there are few."""
    pieces = tuple(_SENTENCES.findall(text))
    if len(pieces) >= _MIN_PIECES or not units:
        return pieces
    every = iter(units)
    return tuple(iter(lambda: "".join(islice(every, _PIECE_UNITS)), ""))


def _donor_pools(texts: Sequence[str]) -> list[Donors]:
    """For each document, the others of its script; all others if there are none; itself if it is alone."""
    donors = taken_apart([""] * len(texts), [text[:DONOR_CHARS] for text in texts])
    pools: dict[tuple[str | None, bool], list[int]] = {}
    for i, donor in enumerate(donors):
        pools.setdefault((donor.script, donor.is_unspaced), []).append(i)
    found: dict[int, Donors] = {}
    for members in pools.values():
        pool = members if len(members) > 1 else range(len(texts))
        units = [donors[i].units or (".",) for i in pool]
        for place, i in enumerate(members):
            found[i] = Donors(units, (place if len(members) > 1 else i) + 1)
    return [found[i] for i in range(len(texts))]


def _copies(
    originals: Sequence[Original],
    kinds: Sequence[str],
    wanted: NDArray[np.float64],
    donors: Sequence[Donors],
    settings: MinHash,
    seed: int,
    n_steps: int,
) -> Iterator[Copy]:
    """wanted: (originals,), 0 for the lowest similarity that the kind can reach, 1 for the same words."""
    sets = settings.shingle_sets(pa.array([original.text for original in originals], pa.large_string()))
    chances = [
        _chances(seed_of(f"self-test {kind} {original.id}", seed), max(len(original.units), len(original.pieces)))
        for original, kind in zip(originals, kinds, strict=True)
    ]

    retyped = {
        i: _typography(originals[i], donors[i], 1.0, chances[i]) for i, kind in enumerate(kinds) if kind == "typography"
    }

    def edited(rates: NDArray[np.float64]) -> tuple[list[str], NDArray[np.float64]]:
        texts = [
            EDITS[kind](original, donor, float(rate), chance) if kind != "typography" else retyped[i]
            for i, (original, kind, donor, rate, chance) in enumerate(
                zip(originals, kinds, donors, rates, chances, strict=True)
            )
        ]
        return texts, _similarities(sets, settings.shingle_sets(pa.array(texts, pa.large_string())))

    best, similarity = edited(np.ones(len(originals)))
    lowest = np.maximum(similarity, MIN_SIMILARITY)
    target = lowest + wanted * (1 - lowest)
    low, high = np.zeros(len(originals)), np.ones(len(originals))
    for _ in range(n_steps):
        rates = (low + high) / 2
        texts, reached = edited(rates)
        is_edited = np.array([text != original.text for text, original in zip(texts, originals, strict=True)])
        is_better = is_edited & (np.abs(reached - target) < np.abs(similarity - target))
        best = [new if better else old for new, old, better in zip(texts, best, is_better, strict=True)]
        similarity = np.where(is_better, reached, similarity)
        low, high = np.where(reached > target, rates, low), np.where(reached > target, high, rates)
    for original, kind, text, value in zip(originals, kinds, best, similarity.tolist(), strict=True):
        yield Copy(
            f"{original.id}+{kind}", original.id, kind, original.script, original.is_unspaced, float(value), text
        )


def _chances(seed: int, n: int) -> NDArray[np.float64]:
    """(2, n), uniform over [0, 1)."""
    return (splitmix64(seed, 2 * n) >> np.uint64(11)).astype(np.float64).reshape(2, n) * 2.0**-53


def _similarities(a: ShingleSets, b: ShingleSets) -> NDArray[np.float64]:
    """Jaccard similarity of the sets at the same place of a and b; 0 for two empty ones."""
    similarity = np.zeros(len(a.offsets) - 1)
    for i in range(len(similarity)):
        x, y = (sets.values[sets.offsets[i] : sets.offsets[i + 1]] for sets in (a, b))
        n_common = len(np.intersect1d(x, y, assume_unique=True))
        n_all = len(x) + len(y) - n_common
        similarity[i] = n_common / n_all if n_all else 0.0
    return similarity

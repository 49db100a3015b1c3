"""What a search for duplicates will need, before it begins: disk, memory, time; and a refusal where it cannot fit.

Disk and time are in proportion to what can be counted beforehand: documents, bytes of text, permutations, bands. What
depends on the duplicates themselves (pairs, and what is read to check them) is left out: it is small beside the rest
unless most documents are copies.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from datassay.corpus.errors import StoreError
from datassay.dedup.minhash import ROUND_KEYS
from datassay.dedup.settings import BAND_PARTITION_ROWS, PRESETS, DedupSettings, MinHash, s_curve
from datassay.dedup.texts import BATCH_ROWS

TEXT_HASH_BYTES = 56
"""On disk, for each document: its text's hash, its id and row."""
SIGNATURE_VALUE_BYTES = 4
"""On disk, for each permutation of each document, where an index keeps signatures."""
SHINGLE_BYTES = 4
"""On disk, for each shingle of each document, where an index keeps shingle sets."""
BAND_KEY_BYTES = 20
"""On disk, for each band of each document."""
TEXT_BYTES_PER_SHINGLE = {False: 6.6, True: 1.5}
"""Where shingles are of words, and of characters. Measured on 114 MB of web text in several languages."""

PROCESS_BYTES = 300 << 20
"""Memory of a process that has loaded everything and has no data yet."""
PAIRING_BYTES = 90
"""Memory for each band key of a partition while its documents are paired."""
SIGNING_BYTES = 60
"""Memory for each band key that waits to be written."""

SECONDS_PER_BYTE = 1e-8
"""On one core of a server of 2023, as the two below: reading text and hashing its shingles."""
SECONDS_PER_VALUE = 1e-10
"""For each shingle and permutation."""
SECONDS_PER_BAND_KEY = 4e-7
"""Sorting, writing, reading and pairing a band key."""

LONG_SECONDS = 60
"""A search of more CPU time says beforehand what it will need."""

COMPARED_AT = 0.8
"""The similarity at which a preset that fits is compared with one that does not."""
LOW_SIMILARITY = 0.3
"""What two documents of one language and topic may have in common: of such pairs few should be compared."""
MAX_FALSE_CANDIDATES = 0.01
"""A preset that compares a larger share of the pairs of LOW_SIMILARITY is not proposed: it pays in time."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a search for duplicates will need."""

    text_hash_bytes: int
    """On disk, as the three below."""
    signature_bytes: int
    shingle_bytes: int
    band_key_bytes: int
    memory_bytes: int
    """Of one process at its peak."""
    cpu_seconds: float
    """Of one core, in all."""

    @property
    def disk_bytes(self) -> int:
        return self.text_hash_bytes + self.signature_bytes + self.shingle_bytes + self.band_key_bytes

    @property
    def summary(self) -> str:
        """In words, for whoever waits."""
        return (
            f"about {in_bytes(self.disk_bytes)} of disk, {in_bytes(self.memory_bytes)} of memory in each process, "
            f"{self.cpu_seconds / 60:,.0f} minutes of one core"
        )


@dataclass(frozen=True, slots=True)
class Room:
    """What there is, in bytes."""

    disk: int
    memory: int


@dataclass(frozen=True, slots=True)
class CorpusSize:
    """Of documents that are to be searched."""

    n_documents: int
    n_bytes_text: int


def corpus_size(paths: Iterable[Path], *, text: str = "text") -> CorpusSize:
    """How much there is in shards of documents, from the footers of their files alone; text: the column."""
    n_documents = n_bytes = 0
    for path in paths:
        metadata = pq.read_metadata(path)
        n_documents += metadata.num_rows
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            columns = map(group.column, range(group.num_columns))
            n_bytes += sum(column.total_uncompressed_size for column in columns if column.path_in_schema == text)
    return CorpusSize(n_documents, n_bytes)


def estimate(size: CorpusSize, settings: DedupSettings, *, keeps_index: bool = False) -> Estimate:
    """What searching a corpus with these settings will need, if none of its documents is known yet.

    keeps_index: whether signatures and shingle sets are stored, too
    """
    n_documents, minhash = size.n_documents, settings.minhash
    text_hash_bytes = TEXT_HASH_BYTES * n_documents * settings.exact
    if minhash is None:
        return Estimate(text_hash_bytes, 0, 0, 0, PROCESS_BYTES, SECONDS_PER_BYTE * size.n_bytes_text)
    n_shingles = size.n_bytes_text / TEXT_BYTES_PER_SHINGLE[minhash.by_characters]
    n_permutations = minhash.bands * minhash.rows
    n_keys = n_documents * minhash.bands
    batch_bytes = min(n_documents, BATCH_ROWS) * 4 * n_permutations
    signing = SIGNING_BYTES * min(n_keys, ROUND_KEYS) + batch_bytes
    pairing = PAIRING_BYTES * min(n_keys, BAND_PARTITION_ROWS)
    return Estimate(
        text_hash_bytes=text_hash_bytes,
        signature_bytes=SIGNATURE_VALUE_BYTES * n_permutations * n_documents * keeps_index,
        shingle_bytes=round(SHINGLE_BYTES * n_shingles) * keeps_index,
        band_key_bytes=BAND_KEY_BYTES * n_keys,
        memory_bytes=PROCESS_BYTES + max(signing, pairing),
        cpu_seconds=SECONDS_PER_BYTE * size.n_bytes_text
        + SECONDS_PER_VALUE * n_shingles * n_permutations
        + SECONDS_PER_BAND_KEY * n_keys,
    )


def check_room(
    size: CorpusSize,
    settings: DedupSettings,
    folder: Path,
    *,
    room: Room,
    n_processes: int = 1,
    keeps_index: bool = False,
) -> None:
    """Raise StoreError if a search into `folder` needs more disk or memory than there is, and say what would fit."""
    need = estimate(size, settings, keeps_index=keeps_index)
    name = describe(settings.minhash) if settings.minhash else "exact duplicates alone"
    what = f"{folder}: searching {size.n_documents:,} documents for duplicates ({name}) needs about"
    if need.disk_bytes > room.disk:
        parts = {
            "text hashes": need.text_hash_bytes,
            "signatures": need.signature_bytes,
            "shingles": need.shingle_bytes,
            "band keys": need.band_key_bytes,
        }
        listed = ", ".join(f"{in_bytes(n)} of {part}" for part, n in parts.items() if n)
        raise StoreError(
            f"{what} {in_bytes(need.disk_bytes)} of disk ({listed}), and {in_bytes(room.disk)} are free. "
            f"{_what_fits(size, settings, room, keeps_index=keeps_index)} A folder on a larger disk would do as well"
        )
    if need.memory_bytes * n_processes > room.memory:
        fitting = room.memory // need.memory_bytes
        remedy = (
            f"take --workers {fitting}"
            if fitting
            else f"take fewer bands or rows. {_what_fits(size, settings, room, keeps_index=keeps_index)}"
        )
        raise StoreError(
            f"{what} {in_bytes(need.memory_bytes)} of memory in each of {n_processes} processes, and "
            f"{in_bytes(room.memory)} are there; {remedy}"
        )


def _what_fits(size: CorpusSize, settings: DedupSettings, room: Room, *, keeps_index: bool) -> str:
    """The preset with the same shingles that fits and finds the most pairs, in a sentence."""
    before = settings.minhash
    fitting = []
    for name, preset in PRESETS.items():
        need = estimate(size, settings.model_copy(update={"minhash": preset}), keeps_index=keeps_index)
        fits = need.disk_bytes <= room.disk and need.memory_bytes <= room.memory
        is_alike = before is not None and shingles_of(preset) == shingles_of(before)
        is_cheap = s_curve(preset.bands, preset.rows, LOW_SIMILARITY) <= MAX_FALSE_CANDIDATES
        if fits and is_alike and is_cheap:
            fitting.append((found_at(preset, COMPARED_AT), -need.disk_bytes, name, need))
    if before is None or not fitting:
        return "No preset with these shingles fits."
    found, _, name, need = max(fitting, key=lambda each: each[:2])
    return (
        f'minhash = "{name}" needs about {in_bytes(need.disk_bytes)} of disk and {in_bytes(need.memory_bytes)} of '
        f"memory, and finds {found:.1%} instead of {found_at(before, COMPARED_AT):.1%} of the pairs of similarity "
        f"{COMPARED_AT}."
    )


def found_at(settings: MinHash, similarity: float) -> float:
    """The share of the pairs of this similarity that are found: compared, and not below the limit."""
    return s_curve(settings.bands, settings.rows, similarity) if similarity >= settings.min_jaccard else 0.0


def shingles_of(settings: MinHash) -> tuple[int, int, bool]:
    """What a similarity is a similarity of."""
    return settings.shingle_words, settings.shingle_chars, settings.by_characters


def describe(settings: MinHash) -> str:
    """Bands and rows, and the presets that have them and the same shingles."""

    def searches(m: MinHash) -> tuple[object, ...]:
        return m.bands, m.rows, *shingles_of(m)

    alike = [name for name, preset in PRESETS.items() if searches(preset) == searches(settings)]
    presets = f"preset {' or '.join(alike)}, " if alike else ""
    return f"{presets}{settings.bands} bands of {settings.rows} rows"


def in_bytes(n: float) -> str:
    """A number of bytes with its unit, three digits: 1.23 GB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if n < 999.5:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:,.3g} PB" if n < 999.5 else f"{n:,.0f} PB"


def room_at(folder: Path) -> Room:
    """Free disk where a folder is or will be, and the memory that processes may still take."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    return Room(shutil.disk_usage(place).free, available_memory())


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that processes may still take: what the system says, or a control group's limit where that is less.

    root: where /proc and /sys are
    """
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    meminfo = root / "proc/meminfo"
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        available = int(fields["MemAvailable"].split()[0]) * 1024
    for limit, used, cache in _CGROUP_FILES:
        limited = _number(root / limit)
        if limited is not None:
            statistics = root / cache
            lines = [line.split() for line in statistics.read_text().splitlines()] if statistics.exists() else []
            reclaimable = sum(int(value) for key, value in lines if key in ("inactive_file", "total_inactive_file"))
            available = min(available, limited - max(0, (_number(root / used) or 0) - reclaimable))
    return available


_V1 = "sys/fs/cgroup/memory/memory"
_CGROUP_FILES = (
    ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current", "sys/fs/cgroup/memory.stat"),
    (f"{_V1}.limit_in_bytes", f"{_V1}.usage_in_bytes", f"{_V1}.stat"),
)
"""Limit, use and statistics of this process's control group: version 2, then version 1."""


def _number(path: Path) -> int | None:
    """The number in a file; None if there is no file, or no limit."""
    text = path.read_text().strip() if path.exists() else ""
    return int(text) if text.isdecimal() else None

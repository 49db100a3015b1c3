"""URLs that lists block: by host, by URL, by words; and lists of what is allowed, which win.

What is looked for, in this order (FineWeb's URL filter, Penedo et al. 2024, and datatrove's `URLFilter`):

- an entry of a list such as UT1's (https://dsi.ut-capitole.fr/blacklists/, a folder for each category): `example.com`
  stands for that host and every host below it, `example.com/shop` for that page and every page below it;
- a hard word: one of the URL's words, its runs of ASCII letters, digits and characters beyond ASCII, is in a list;
- soft words: so many different words of a second list (two in datatrove);
- a substring of the URL without whatever is no ASCII letter or digit.

A URL is compared without scheme, `www.`, port, name and password, in lower case, with host names in ASCII (IDNA) and
without needless percent escapes, and so are the entries. Differences from datatrove, which compares the URL as it is:
there an entry stands for the registered domain or the very host, a URL for itself alone, and words in upper case count
as others.

A list takes 14 to 18 bytes an entry in memory: entries are 64-bit hashes, sorted. That two of n names share one has
probability n**2 / 2**65; that some URL of a billion is taken for one of five million entries, 1 in 1000.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, PositiveInt

from datassay.corpus.compiled import compiled
from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError, RecipeError
from datassay.corpus.given import GivenFile, given_file
from datassay.corpus.store import Outputs, read_batches
from datassay.corpus.unicode import TABLES, Tables, lower_of, text_buffers
from datassay.corpus.words import FNV_START, fnv_step, mix
from datassay.filters.rules import Rule

if TYPE_CHECKING:
    import tldextract

VERSION = 1
BATCH_ROWS = 16_384
BLOCK_LINES = 1 << 20
"""Lines of a list that are hashed at a time: what the lines take in memory is bounded by it."""

SHIPPED_WORDS = Path(__file__).parent / "data" / "url-words.json"

KINDS = ("entry", "hard_word", "soft_words", "substring")
"""What a URL can be blocked by, in the order in which it is looked for."""

URL_SIGNALS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("url_is_blocked", pa.bool_(), nullable=False),  # something matched, and the URL is not allowed
        pa.field("url_is_allowed", pa.bool_(), nullable=False),  # by an entry of the lists of what is allowed
        pa.field("url_match_kind", pa.string()),  # what matched first, one of KINDS; null if nothing did
        pa.field("url_match", pa.string()),  # the entry, word, words or substring; said of allowed URLs too
        pa.field("url_category", pa.string()),  # of the entry that matched; null if none did
        pa.field("url_hard_word_count", pa.int64(), nullable=False),  # different hard words
        pa.field("url_soft_word_count", pa.int64(), nullable=False),  # different soft words
    ]
)

NOT_BLOCKED = Rule("url", "NOT url_is_blocked", "Penedo et al. 2024, section 3.1; limits of datatrove's URLFilter")

_LIST_NAMES = ("domains", "urls", "domains.gz", "urls.gz")
_WORD = re.compile("[a-z0-9\u0080-\U0010ffff]+")
_SUBSTRING = re.compile(r"[a-z0-9]+")
_MAY_NEED_IDNA = r"^\s*(?:[A-Za-z][A-Za-z0-9+.\-]*:)?[/\\]*[^/?#\\]*(?:[^\x00-\x7F]|%[89A-Fa-f])"
_AUTHORITY = re.compile(
    r"(\s*(?:[A-Za-z][A-Za-z0-9+.\-]*:(?=[/\\]{2}))?(?:[/\\]{2})?(?:[^/?#\\]*@)?)"  # scheme, name and password
    r"([^/?#\\]*)"  # host and port
    r"(.*)",
    re.DOTALL,
)
_ESCAPES = re.compile(r"(?:%[89A-Fa-f][0-9A-Fa-f])+")


class UrlLists(BaseModel, frozen=True, extra="forbid"):
    """Which URLs are blocked."""

    block: tuple[str, ...] = ()
    """Hosts and URLs, such as `example.com` or `example.com/shop`; of category `recipe`."""
    block_files: tuple[str, ...] = ()
    """Files of such entries, one a line, also `.gz`; the category is the name of the file."""
    folder: str | None = None
    """A folder with a folder for each category, in it files `domains` and `urls`, also `.gz`, as UT1 has it."""
    categories: tuple[str, ...] = ()
    """Which of its folders are blocked: UT1 has banks and newspapers too. FineWeb blocks `adult`."""
    allow: tuple[str, ...] = ()
    """Hosts and URLs that are never blocked."""
    allow_files: tuple[str, ...] = ()
    """Files of such entries."""
    hard_words: tuple[str, ...] = ()
    """One of them blocks a URL."""
    soft_words: tuple[str, ...] = ()
    """`soft_word_threshold` of them block a URL."""
    substrings: tuple[str, ...] = ()
    """One of them blocks a URL; letters a to z and digits."""
    hard_word_files: tuple[str, ...] = ()
    """Files of hard words, one a line; lines that begin with # are left out."""
    soft_word_files: tuple[str, ...] = ()
    substring_files: tuple[str, ...] = ()
    shipped_words: bool = True
    """Whether the words that come with datassay are added: adult pages, gambling and pirated software."""
    soft_word_threshold: PositiveInt = 2
    """Different soft words from which on a URL is blocked; datatrove's number."""


class EntryList(BaseModel, frozen=True, extra="forbid"):
    """A file of hosts and URLs."""

    category: str
    file: GivenFile


class UrlListSettings(BaseModel, frozen=True, extra="forbid"):
    """The lists by their contents; see `url_list_settings`."""

    block: tuple[str, ...] = ()
    lists: tuple[EntryList, ...] = ()
    allow: tuple[str, ...] = ()
    allow_lists: tuple[GivenFile, ...] = ()
    hard_words: tuple[str, ...] = ()
    soft_words: tuple[str, ...] = ()
    substrings: tuple[str, ...] = ()
    soft_word_threshold: PositiveInt = 2


def url_list_settings(lists: UrlLists) -> UrlListSettings:
    """Settings of the stage, with every file known by its content and small lists read.

    Raises InputError for a file that is missing or cannot be read, RecipeError for a category that is not in the folder
    and for an entry or a word that no URL could match.
    """
    shipped = orjson.loads(SHIPPED_WORDS.read_bytes()) if lists.shipped_words else {}
    settings = UrlListSettings(
        block=lists.block,
        lists=(*_category_lists(lists), *map(_entry_list, lists.block_files)),
        allow=lists.allow,
        allow_lists=tuple(given_file(file) for file in lists.allow_files),
        hard_words=_words([*lists.hard_words, *shipped.get("hard_words", ())], lists.hard_word_files, _WORD),
        soft_words=_words([*lists.soft_words, *shipped.get("soft_words", ())], lists.soft_word_files, _WORD),
        substrings=_words([*lists.substrings, *shipped.get("substrings", ())], lists.substring_files, _SUBSTRING),
        soft_word_threshold=lists.soft_word_threshold,
    )
    for key, entries in (("block", lists.block), ("allow", lists.allow)):
        for entry in entries:
            if not _entries(_strings([entry])).n_entries:
                raise RecipeError(f"{key}: {entry!r} is no host or URL; right would be example.com or example.com/shop")
    return settings


def _entry_list(path: str) -> EntryList:
    file = given_file(path)
    name = file.path.name.removesuffix(".gz")
    return EntryList(category=name.rpartition(".")[0] or name, file=file)


def _category_lists(lists: UrlLists) -> Iterator[EntryList]:
    """The files of the categories, in the order of the recipe. Raises RecipeError or InputError for what is missing."""
    if lists.folder is None:
        if lists.categories:
            raise RecipeError(f"categories = {list(lists.categories)}: give the folder that they are in (folder)")
        return
    folder = Path(lists.folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; right would be one with a folder for each category")
    there = sorted(path.name for path in folder.iterdir() if any((path / name).is_file() for name in _LIST_NAMES))
    if not lists.categories:
        raise RecipeError(f"{folder}: say which categories are blocked; there are {', '.join(there) or 'none'}")
    for category in lists.categories:
        files = [path for name in _LIST_NAMES if (path := folder / category / name).is_file()]
        if not files:
            raise RecipeError(
                f"{folder}: no category {category!r} with a file domains or urls, only {', '.join(there) or 'none'}"
            )
        for path in files:
            yield EntryList(category=category, file=given_file(str(path)))


def _words(words: Iterable[str], files: Sequence[str], pattern: re.Pattern[str]) -> tuple[str, ...]:
    """The distinct words in simple lower case, in order. Raises RecipeError for one that no URL could hold."""
    named = [(word, "recipe") for word in words]
    for file in files:
        named += [(word, file) for word in _lines(file)]
    found = {_lower(word.strip()): where for word, where in named}
    for word, where in found.items():
        if not pattern.fullmatch(word):
            what = "letters a to z and digits" if pattern is _SUBSTRING else "letters and digits"
            raise RecipeError(f"{where}: {word!r} is in no URL: its words and substrings are {what}")
    return tuple(sorted(found))


def _lines(file: str) -> list[str]:
    lines = _read(given_file(file).path).decode("utf-8", "replace").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _lower(word: str) -> str:
    return "".join(chr(lower_of(TABLES, ord(character))) for character in word)


def _read(path: Path) -> bytes:
    """The bytes of a file, unpacked. Raises InputError if it cannot be read."""
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.name.endswith(".gz") else data
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


# --- The form in which URLs and entries are compared


class Canonical(NamedTuple):
    """URLs as they are compared: host, path, query and fragment; of what has no host, all of it."""

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]  # (urls + 1,)
    host_ends: NDArray[np.int64]  # (urls,), where in `data` the host ends; where it begins if there is none


def canonical(urls: pa.LargeStringArray) -> Canonical:
    """The form in which URLs are compared; null is as empty."""
    urls = _with_ascii_hosts(urls.fill_null(""))
    offsets, data = text_buffers(urls)
    return Canonical(*_canonical(data, offsets, TABLES))


def _with_ascii_hosts(urls: pa.LargeStringArray) -> pa.LargeStringArray:
    """The URLs with host names of other scripts in ASCII; the others, nearly all, are not looked at in Python."""
    is_other = pc.match_substring_regex(urls, _MAY_NEED_IDNA)
    if not pc.any(is_other).as_py():
        return urls
    changed = [_with_ascii_host(url) for url in urls.filter(is_other).to_pylist()]
    return pc.replace_with_mask(urls, is_other, pa.array(changed, pa.large_string()))


def _with_ascii_host(url: str) -> str:
    start, host, rest = _AUTHORITY.fullmatch(url).groups()  # type: ignore[union-attr]  # matches any string
    return start + _ascii_host(host) + rest


@lru_cache(maxsize=65_536)
def _ascii_host(host: str) -> str:
    """A host (and port) in ASCII by UTS 46, as browsers have it; a label that is not allowed stays as it is."""
    import idna

    host = _ESCAPES.sub(_unescaped, host)
    try:
        host = idna.uts46_remap(host, std3_rules=False, transitional=False)
    except idna.IDNAError:
        return host
    return ".".join(label if label.isascii() else _ascii_label(label) for label in host.split("."))


def _unescaped(match: re.Match[str]) -> str:
    try:
        return bytes.fromhex(match[0].replace("%", "")).decode()
    except UnicodeDecodeError:
        return match[0]


def _ascii_label(label: str) -> str:
    import idna

    name, colon, port = label.partition(":")
    try:
        return idna.alabel(name).decode() + colon + port
    except idna.IDNAError:
        return label


@compiled
def _canonical(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], tables: Tables
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """`Canonical` of the URLs in `data`, valid UTF-8."""
    n_urls = len(offsets) - 1
    n_max = 1
    for i in range(n_urls):
        n_max = max(n_max, offsets[i + 1] - offsets[i])
    work = np.empty(2 * n_max, np.uint8)  # lower case may take more bytes: Ⱥ has two, ⱥ three
    out = np.empty(2 * (offsets[-1] - offsets[0]) + n_urls + 1, np.uint8)
    ends, host_ends = np.zeros(n_urls + 1, np.int64), np.zeros(n_urls, np.int64)
    for i in range(n_urls):
        n = _lower_url(data, offsets[i], offsets[i + 1], tables, work)
        host_length, length = _cut(work[:n], out[ends[i] :])
        host_ends[i], ends[i + 1] = ends[i] + host_length, ends[i] + length
    return out[: ends[-1]].copy(), ends, host_ends


@compiled
def _lower_url(data: NDArray[np.uint8], start: int, end: int, tables: Tables, out: NDArray[np.uint8]) -> int:
    """Write a URL in lower case, without white space around it and needless percent escapes; how many bytes.

    Needless are those of letters, digits, - . _ ~ (RFC 3986, section 2.3) and of characters beyond ASCII (RFC 3987).
    """
    while start < end and data[start] <= 0x20:
        start += 1
    while end > start and data[end - 1] <= 0x20:
        end -= 1
    n, i = 0, start
    while i < end:
        code: Any = np.int64(data[i])
        after = i + 1
        if code == 0x25:
            code, after = _escaped(data, i, end)
        elif code >= 0x80:
            code, after = _character(data, i)
        n = _append(lower_of(tables, code), out, n)
        i = after
    return n


@compiled
def _character(data: NDArray[np.uint8], i: int) -> tuple[int, int]:
    """The character of two to four bytes that begins at i, and where the next begins."""
    lead: Any = np.int64(data[i])
    more = 1 if lead < 0xE0 else 2 if lead < 0xF0 else 3
    code = lead & (0x3F >> more)
    for j in range(i + 1, i + 1 + more):
        code = code << 6 | np.int64(data[j]) & 0x3F
    return code, i + 1 + more


@compiled
def _escaped(data: NDArray[np.uint8], i: int, end: int) -> tuple[int, int]:
    """The character that the percent escapes from i on stand for, if they are needless, or `%`; and where it ends."""
    lead = _escaped_byte(data, i, end)
    if lead < 0x80:
        is_letter = (0x41 <= lead <= 0x5A) or (0x61 <= lead <= 0x7A)
        if is_letter or (0x30 <= lead <= 0x39) or lead in (0x2D, 0x2E, 0x5F, 0x7E):
            return lead, i + 3
        return 0x25, i + 1
    more = 0 if lead < 0xC2 else 1 if lead < 0xE0 else 2 if lead < 0xF0 else 3 if lead < 0xF5 else 0
    code = lead & (0x3F >> more)
    for j in range(more):
        byte = _escaped_byte(data, i + 3 * (j + 1), end)
        if not 0x80 <= byte < 0xC0:
            return 0x25, i + 1
        code = code << 6 | byte & 0x3F
    is_short = (more == 2 and code < 0x800) or (more == 3 and code < 0x10000)
    if more == 0 or is_short or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        return 0x25, i + 1
    return code, i + 3 * (more + 1)


@compiled
def _escaped_byte(data: NDArray[np.uint8], i: int, end: int) -> int:
    """The byte that a percent escape at i stands for, or -1 if there is none."""
    if i + 2 >= end or data[i] != 0x25:
        return -1
    value: Any = 0
    for j in range(i + 1, i + 3):
        digit = np.int64(data[j])
        if 0x30 <= digit <= 0x39:
            value = value * 16 + digit - 0x30
        elif 0x61 <= digit | 0x20 <= 0x66:
            value = value * 16 + (digit | 0x20) - 0x57
        else:
            return -1
    return int(value)


@compiled
def _append(code: int, out: NDArray[np.uint8], n: int) -> int:
    """Write a character as UTF-8 at n; where the next goes."""
    if code < 0x80:
        out[n] = code
        return n + 1
    more = 1 if code < 0x800 else 2 if code < 0x10000 else 3
    out[n] = (0xFF << (7 - more) & 0xFF) | code >> 6 * more
    for j in range(1, more + 1):
        out[n + j] = 0x80 | code >> 6 * (more - j) & 0x3F
    return n + 1 + more


@compiled
def _cut(url: NDArray[np.uint8], out: NDArray[np.uint8]) -> tuple[int, int]:
    """Write host and what follows it, without scheme, name, password and port; bytes of the host, and of all.

    Of what has no host that could be one, all is written, and the host has 0 bytes.
    """
    start = _authority_start(url)
    end = start
    while end < len(url) and not _ends_authority(url[end]):
        end += 1
    for i in range(start, end):
        if url[i] == 0x40:
            start = i + 1
    host_end = _host_end(url, start, end)
    if host_end <= start:
        out[: len(url)] = url
        return 0, len(url)
    n = host_end - start
    out[:n] = url[start:host_end]
    host_length = n
    if end < len(url) and url[end] != 0x2F and url[end] != 0x5C:  # a query right after the host belongs to page /
        out[n] = 0x2F
        n += 1
    for i in range(end, len(url)):
        out[n] = 0x2F if url[i] == 0x5C else url[i]
        n += 1
    return host_length, n


@compiled
def _ends_authority(byte: int) -> bool:
    return byte == 0x2F or byte == 0x3F or byte == 0x23 or byte == 0x5C


@compiled
def _authority_start(url: NDArray[np.uint8]) -> int:
    """Where host, port, name and password begin: behind `scheme://` or `//`, else at the start."""
    i = 0
    while i < len(url) and (0x61 <= url[i] <= 0x7A or (i and (0x30 <= url[i] <= 0x39 or url[i] in (0x2B, 0x2D, 0x2E)))):
        i += 1
    if i and i < len(url) and url[i] == 0x3A:
        i += 1
    else:
        i = 0
    return i + 2 if i + 1 < len(url) and url[i] in (0x2F, 0x5C) and url[i + 1] in (0x2F, 0x5C) else 0


@compiled
def _host_end(url: NDArray[np.uint8], start: int, end: int) -> int:
    """Where the host ends that begins at `start`, before port and trailing dots; -1 if it cannot be one."""
    is_bracketed = start < end and url[start] == 0x5B
    host_end = start
    while host_end < end and (is_bracketed or url[host_end] != 0x3A):
        byte = url[host_end]
        host_end += 1
        if is_bracketed and byte == 0x5D:
            break
        is_name = 0x61 <= byte <= 0x7A or 0x30 <= byte <= 0x39 or byte in (0x2D, 0x2E, 0x5F) or byte >= 0x80
        is_address = is_bracketed and (byte == 0x5B or byte == 0x3A)
        if not is_name and not is_address:
            return -1
    if is_bracketed and url[host_end - 1] != 0x5D:
        return -1
    if host_end < end and url[host_end] != 0x3A:
        return -1
    for i in range(host_end + 1, end):
        if not 0x30 <= url[i] <= 0x39:
            return -1
    while host_end > start and url[host_end - 1] == 0x2E:
        host_end -= 1
    return host_end


# --- Lists in memory


class Names(NamedTuple):
    """A set of names as sorted 64-bit hashes, each with a number."""

    hashes: NDArray[np.uint64]  # sorted, distinct
    numbers: NDArray[np.uint16] | NDArray[np.uint32]  # the smaller for categories, which are few
    starts: NDArray[np.uint32]  # (2**k + 1,), where hashes begin whose upper k bits are 0, 1, 2…
    shift: np.uint64  # 64 - k


def new_names(hashes: NDArray[np.uint64], numbers: NDArray[np.uint16] | NDArray[np.uint32]) -> Names:
    """A set of names; of several with one hash the first counts."""
    hashes, first = np.unique(hashes, return_index=True)  # a stable sort: the first of equals
    n_bits = max(1, len(hashes).bit_length())
    shift = np.uint64(64 - n_bits)
    bounds = np.arange(1 << n_bits, dtype=np.uint64) << shift
    starts = np.append(np.searchsorted(hashes, bounds), len(hashes)).astype(np.uint32)
    return Names(hashes, numbers[first], starts, shift)


@compiled
def _number_of(names: Names, value: np.uint64) -> int:
    """The number of the name with this hash, -1 if there is none."""
    first = value >> names.shift
    for i in range(names.starts[first], names.starts[first + np.uint64(1)]):
        if names.hashes[i] == value:
            return int(names.numbers[i])
    return -1


class Entries(NamedTuple):
    """The entries of one list, hashed."""

    hosts: NDArray[np.uint64]
    pages: NDArray[np.uint64]
    bad_line: int
    """Number of the first line that is no entry, from 1; 0 if there is none."""
    n_bad_lines: int

    @property
    def n_entries(self) -> int:
        return len(self.hosts) + len(self.pages)


def _strings(lines: Sequence[str]) -> pa.LargeStringArray:
    return pa.array(lines, pa.large_string())


def _read_entries(file: GivenFile) -> Entries:
    """The entries of a file. Raises InputError if there are none, or if most lines are something else."""
    data = _read(file.path)
    lines = _split(data)
    entries = _joined([_entries(lines.slice(i, BLOCK_LINES), i) for i in range(0, len(lines), BLOCK_LINES)])
    if entries.n_bad_lines > entries.n_entries:
        line = data.split(b"\n", entries.bad_line)[entries.bad_line - 1].decode("utf-8", "replace").strip()
        raise InputError(
            f"{file.path}, line {entries.bad_line}: {line[:60]!r} is no host or URL; right would be one a line, such "
            f"as example.com or example.com/shop"
        )
    if not entries.n_entries:
        raise InputError(f"{file.path}: no entry in it; right would be a host or URL a line")
    return entries


def _split(data: bytes) -> pa.LargeStringArray:
    """The lines of a file, their ends left on, which `canonical` takes away."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 0x0A) + 1
    rest = [] if data.endswith(b"\n") or not data else [len(data)]
    offsets = np.concatenate([np.zeros(1, np.int64), ends, np.array(rest, np.int64)])
    lines = pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))
    try:
        lines.validate(full=True)
    except pa.ArrowInvalid:
        return _split(data.decode("utf-8", "replace").encode())
    return lines


def _joined(parts: Sequence[Entries]) -> Entries:
    none = np.empty(0, np.uint64)
    return Entries(
        np.concatenate([none, *(part.hosts for part in parts)]),
        np.concatenate([none, *(part.pages for part in parts)]),
        next((part.bad_line for part in parts if part.bad_line), 0),
        sum(part.n_bad_lines for part in parts),
    )


def _entries(lines: pa.LargeStringArray, n_before: int = 0) -> Entries:
    """The entries in lines. Blank ones and those that begin with # are none; `*.` and `.` before a host say nothing."""
    is_entry = pc.invert(pc.match_substring_regex(lines, r"^\s*(?:#|$)"))
    kept = pc.replace_substring_regex(lines.filter(is_entry), r"^\s*\*?\.", "")
    names = canonical(kept)
    starts = names.offsets[:-1].copy()
    starts[_begins_with_www(names)] += 4
    hosts, pages, is_bad = _hash_entries(names.data, starts, names.offsets, names.host_ends)
    bad = np.flatnonzero(np.asarray(is_entry))[is_bad]
    return Entries(hosts, pages, n_before + int(bad[0]) + 1 if len(bad) else 0, len(bad))


def _begins_with_www(names: Canonical) -> NDArray[np.int64]:
    """Which entries begin with a www. that names no domain of its own, as www.co.uk does."""
    found = _find_www(names.data, names.offsets[:-1], names.host_ends)
    hosts = [names.data[names.offsets[i] : names.host_ends[i]].tobytes().decode() for i in found]
    is_more = np.array([_suffixes()(host).domain != "www" for host in hosts], bool)
    return np.asarray(found[is_more], np.int64)


@lru_cache(maxsize=1)
def _suffixes() -> tldextract.TLDExtract:
    """The public suffix list as it comes with tldextract, with the domains of hosting firms; nothing is fetched."""
    import tldextract

    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)


@compiled
def _find_www(data: NDArray[np.uint8], starts: NDArray[np.int64], host_ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """The names that begin with `www.` and a name with a dot."""
    found = np.empty(len(starts), np.int64)
    n = 0
    for i in range(len(starts)):
        if _page_start(data, starts[i], host_ends[i]) > starts[i]:
            found[n] = i
            n += 1
    return found[:n]


@compiled
def _page_start(data: NDArray[np.uint8], start: int, host_end: int) -> int:
    """Where a name begins without `www.`, if what is left of the host has a dot."""
    if host_end - start < 7 or data[start + 3] != 0x2E:
        return start
    for i in range(start, start + 3):
        if data[i] != 0x77:
            return start
    for i in range(start + 4, host_end):
        if data[i] == 0x2E:
            return start + 4
    return start


@compiled
def _hash_entries(
    data: NDArray[np.uint8], starts: NDArray[np.int64], offsets: NDArray[np.int64], host_ends: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.bool_]]:
    """Hashes of the entries that are hosts, of those that are pages, and which are neither."""
    n = len(starts)
    hosts, pages, is_bad = np.empty(n, np.uint64), np.empty(n, np.uint64), np.zeros(n, np.bool_)
    n_hosts = n_pages = 0
    for i in range(n):
        end = offsets[i + 1]
        while end > host_ends[i] and data[end - 1] == 0x2F:
            end -= 1
        if host_ends[i] == offsets[i]:
            is_bad[i] = True
        elif end == host_ends[i]:
            hosts[n_hosts] = _backward_hash(data, starts[i], end)
            n_hosts += 1
        else:
            pages[n_pages] = _forward_hash(data, _page_start(data, offsets[i], host_ends[i]), end)
            n_pages += 1
    return hosts[:n_hosts].copy(), pages[:n_pages].copy(), is_bad


@compiled
def _backward_hash(data: NDArray[np.uint8], start: int, end: int) -> np.uint64:
    """Hash from the last byte to the first, so that one pass over a host gives those of all hosts above it."""
    value = FNV_START
    for i in range(end - 1, start - 1, -1):
        value = fnv_step(value, data[i])
    return mix(value)  # type: ignore[no-any-return]


@compiled
def _forward_hash(data: NDArray[np.uint8], start: int, end: int) -> np.uint64:
    value = FNV_START
    for i in range(start, end):
        value = fnv_step(value, data[i])
    return mix(value)  # type: ignore[no-any-return]


class Automaton(NamedTuple):
    """Finds substrings in one pass (Aho and Corasick 1975)."""

    steps: NDArray[np.int32]  # (states, 36), the next state by character: 0 to 9, a to z
    lengths: NDArray[np.int32]  # (states,), of the longest substring that ends there; 0 if none does


def new_automaton(substrings: Sequence[str]) -> Automaton:
    """What finds these substrings, which are made of a to z and 0 to 9."""
    children: list[dict[int, int]] = [{}]
    lengths = [0]
    for substring in substrings:
        state = 0
        for character in substring:
            state = children[state].setdefault(int(character, 36), len(children))
            if state == len(children):
                children.append({})
                lengths.append(0)
        lengths[state] = len(substring)
    steps = np.zeros((len(children), 36), np.int32)
    waiting = [(0, 0)]  # a state, and the longest proper end of its characters that is a state
    for state, fallback in waiting:  # grows as it is read: nearer states come first
        lengths[state] = lengths[state] or lengths[fallback]
        for digit in range(36):
            child = children[state].get(digit)
            after = 0 if state == 0 else int(steps[fallback, digit])
            steps[state, digit] = after if child is None else child
            if child is not None:
                waiting.append((child, after))
    return Automaton(steps, np.array(lengths, np.int32))


class Matcher(NamedTuple):
    """What URLs are compared with, in the form that compiled functions take."""

    hosts: Names
    pages: Names
    allowed_hosts: Names
    allowed_pages: Names
    words: Names
    is_hard: NDArray[np.bool_]  # by number of the word
    is_soft: NDArray[np.bool_]
    automaton: Automaton
    soft_word_threshold: int


@lru_cache(maxsize=1)
def load_lists(settings: UrlListSettings) -> tuple[Matcher, tuple[str, ...]]:
    """What URLs are compared with, kept for the next shard; and the categories by number.

    An entry that is in several categories has the first, in the order of the settings, the recipe's own before all.
    """
    blocked = [("recipe", _entries(_strings(settings.block)))]
    blocked += [(entry_list.category, _read_entries(entry_list.file)) for entry_list in settings.lists]
    allowed = [("", _entries(_strings(settings.allow)))] + [("", _read_entries(file)) for file in settings.allow_lists]
    categories = tuple(dict.fromkeys(category for category, _ in blocked))
    words = sorted({*settings.hard_words, *settings.soft_words})
    hashes = np.array([_word_hash(word) for word in words], np.uint64)
    matcher = Matcher(
        *_named(blocked, categories),
        *_named(allowed, ("",)),
        new_names(hashes, np.arange(len(words), dtype=np.uint32)),
        np.array([word in settings.hard_words for word in words], np.bool_),
        np.array([word in settings.soft_words for word in words], np.bool_),
        new_automaton(settings.substrings),
        settings.soft_word_threshold,
    )
    return matcher, categories


def _named(lists: Sequence[tuple[str, Entries]], categories: Sequence[str]) -> tuple[Names, Names]:
    """The hosts and the pages of some lists, numbered by category."""
    sets = []
    for kind in ("hosts", "pages"):
        hashes = [getattr(entries, kind) for _, entries in lists]
        numbers = [np.full(len(h), categories.index(c), np.uint16) for (c, _), h in zip(lists, hashes, strict=True)]
        sets.append(new_names(np.concatenate(hashes), np.concatenate(numbers)))
    return sets[0], sets[1]


def _word_hash(word: str) -> int:
    data = np.frombuffer(word.encode(), np.uint8)
    return int(_forward_hash(data, 0, len(data)))


# --- Comparing


class Matches(NamedTuple):
    """What was found in each URL."""

    kinds: NDArray[np.int8]  # number of the first of KINDS that matched, or -1
    categories: NDArray[np.int32]  # number of the category, or -1
    hard_words: NDArray[np.int64]
    soft_words: NDArray[np.int64]
    is_allowed: NDArray[np.bool_]
    offsets: NDArray[np.int32]  # (urls + 1,), into `data`
    data: NDArray[np.uint8]  # what matched


@compiled
def _match(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], host_ends: NDArray[np.int64], matcher: Matcher
) -> Matches:
    """Compare URLs in canonical form."""
    n = len(host_ends)
    found = Matches(
        np.full(n, -1, np.int8),
        np.full(n, -1, np.int32),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.bool_),
        np.zeros(n + 1, np.int32),
        np.empty(len(data) + 1, np.uint8),
    )
    last_url = np.full(len(matcher.is_hard), -1, np.int64)  # by word, the URL in which it came last
    squeezed = np.empty(len(data) + 1, np.uint8)
    for i in range(n):
        start, host_end, end = offsets[i], host_ends[i], offsets[i + 1]
        number, match_start, match_end = _entry(data, start, host_end, end, matcher.hosts, matcher.pages)
        found.categories[i] = number
        allowed, _, _ = _entry(data, start, host_end, end, matcher.allowed_hosts, matcher.allowed_pages)
        found.is_allowed[i] = allowed >= 0
        room = found.data[found.offsets[i] :]
        hard, soft, n_word_bytes = _count_words(data, start, end, i, matcher, last_url, room)
        found.hard_words[i], found.soft_words[i] = hard, soft
        if number >= 0:
            found.kinds[i] = 0
            n_bytes = match_end - match_start
            room[:n_bytes] = data[match_start:match_end]
        elif hard or soft >= matcher.soft_word_threshold:
            found.kinds[i] = 1 if hard else 2
            n_bytes = n_word_bytes
        else:
            n_bytes = _substring(data, start, end, matcher.automaton, squeezed, room)
            found.kinds[i] = 3 if n_bytes else -1
        found.offsets[i + 1] = found.offsets[i] + n_bytes
    return found


@compiled
def _entry(
    data: NDArray[np.uint8], start: int, host_end: int, end: int, hosts: Names, pages: Names
) -> tuple[int, int, int]:
    """The number of the longest entry that stands for a URL, hosts before pages, or -1; and where it stands."""
    number, match_start = -1, host_end
    if host_end > start and len(hosts.hashes):
        value = FNV_START
        is_address = _is_address(data, start, host_end)
        for i in range(host_end - 1, start - 1, -1):
            value = fnv_step(value, data[i])
            if i == start or (data[i - 1] == 0x2E and not is_address):
                found = _number_of(hosts, mix(value))
                if found >= 0:
                    number, match_start = found, i
    if number >= 0:
        return number, match_start, host_end
    match_end = start
    first = _page_start(data, start, host_end)
    if host_end > start and len(pages.hashes):
        value = FNV_START
        for i in range(first, end):
            value = fnv_step(value, data[i])
            if i >= host_end and (i + 1 == end or data[i + 1] in (0x2F, 0x3F, 0x23)):
                found = _number_of(pages, mix(value))
                if found >= 0:
                    number, match_end = found, i + 1
    return number, first, match_end


@compiled
def _is_address(data: NDArray[np.uint8], start: int, host_end: int) -> bool:
    """Whether a host is an IPv4 address, whose ends are no hosts above it: its last label is a number."""
    i = host_end - 1
    while i >= start and 0x30 <= data[i] <= 0x39:
        i -= 1
    return bool(i < host_end - 1 and (i < start or data[i] == 0x2E))


@compiled
def _count_words(
    data: NDArray[np.uint8],
    start: int,
    end: int,
    url: int,
    matcher: Matcher,
    last_url: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> tuple[int, int, int]:
    """How many different hard and soft words a URL has; writes the first hard word, or else the soft ones, to `out`.

    returns: hard words, soft words, bytes written
    """
    hard = soft = n_bytes = 0
    value, word_start = FNV_START, start
    for i in range(start, end + 1):
        if i < end and _is_word(data[i]):
            value = fnv_step(value, data[i])
            continue
        number = _number_of(matcher.words, mix(value)) if i > word_start else -1
        if number >= 0 and last_url[number] != url:
            last_url[number] = url
            soft += matcher.is_soft[number]
            if matcher.is_hard[number]:
                n_bytes = n_bytes if hard else 0
            if not hard:
                if n_bytes:
                    out[n_bytes] = 0x20
                    n_bytes += 1
                out[n_bytes : n_bytes + i - word_start] = data[word_start:i]
                n_bytes += i - word_start
            hard += matcher.is_hard[number]
        value, word_start = FNV_START, i + 1
    return hard, soft, n_bytes


@compiled
def _is_word(byte: int) -> bool:
    return 0x61 <= byte <= 0x7A or 0x30 <= byte <= 0x39 or byte >= 0x80


@compiled
def _substring(
    data: NDArray[np.uint8],
    start: int,
    end: int,
    automaton: Automaton,
    squeezed: NDArray[np.uint8],
    out: NDArray[np.uint8],
) -> int:
    """Write the substring that ends first in a URL's ASCII letters and digits to `out`; its length, 0 if there is none.

    squeezed: room for these
    """
    state = n = 0
    for i in range(start, end):
        byte = data[i]
        if byte >= 0x80 or not _is_word(byte):
            continue
        squeezed[n] = byte
        n += 1
        state = automaton.steps[state, byte - 0x30 if byte < 0x61 else byte - 0x57]
        length = automaton.lengths[state]
        if length:
            out[:length] = squeezed[n - length : n]
            return length  # type: ignore[no-any-return]
    return 0


def url_signals(ids: pa.StringArray, urls: pa.StringArray, settings: UrlListSettings) -> tuple[pa.RecordBatch, int]:
    """A row of URL_SIGNALS for each URL; and how many URLs that are not null have no host."""
    matcher, categories = load_lists(settings)
    names = canonical(urls.cast(pa.large_string()))
    found = _match(names.data, names.offsets, names.host_ends, matcher)
    is_match = found.kinds >= 0
    text = pa.StringArray.from_buffers(len(ids), pa.py_buffer(found.offsets), pa.py_buffer(found.data))
    columns = [
        ids,
        pa.array(is_match & ~found.is_allowed),
        pa.array(found.is_allowed),
        pa.array(KINDS).take(pa.array(found.kinds, mask=~is_match)),
        pc.if_else(pa.array(is_match), text, None),
        pa.array(categories).take(pa.array(found.categories, mask=found.categories < 0)),
        pa.array(found.hard_words),
        pa.array(found.soft_words),
    ]
    has_no_host = names.host_ends == names.offsets[:-1]
    n_without_host = int(np.count_nonzero(has_no_host & np.asarray(urls.is_valid())))
    return pa.RecordBatch.from_arrays(columns, schema=URL_SIGNALS), n_without_host


def measure_urls(inputs: Inputs, settings: UrlListSettings, out: Outputs) -> None:
    """Stage: the dataset `clean` to the dataset `urls`, rows in the same order.

    A document without URL is judged by its domain. Counts `documents`, those `without_url` and domain, those
    `without_host` since their URL cannot be parsed (words are still looked for in it), `blocked`, `allowed`, and for
    each of KINDS those `blocked_by_` it.
    """
    with out.parquet("urls", URL_SIGNALS) as shard:
        for batch in read_batches(inputs.all("clean"), columns=["id", "url", "domain"], n_rows=BATCH_ROWS):
            urls = pc.coalesce(batch["url"], batch["domain"])
            measured, n_without_host = url_signals(batch["id"], urls, settings)
            out.counts["documents"] += batch.num_rows
            out.counts["without_url"] += urls.null_count
            out.counts["without_host"] += n_without_host
            out.counts["blocked"] += pc.sum(measured["url_is_blocked"]).as_py() or 0
            out.counts["allowed"] += pc.sum(measured["url_is_allowed"]).as_py() or 0
            kinds = measured["url_match_kind"].filter(measured["url_is_blocked"])
            for kind in KINDS:
                out.counts[f"blocked_by_{kind}"] += pc.sum(pc.equal(kinds, kind)).as_py() or 0
            shard.write(measured)

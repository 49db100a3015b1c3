"""Bad words: how often a text uses the entries of a list for its language, as C4 drops pages (Raffel et al. 2020).

The lists that come with datassay are those of LDNOOBW (List of Dirty, Naughty, Obscene and Otherwise Bad Words, 28
languages, CC BY 4.0), packed because they are offensive. A list of your own is a text file named by its language, one
entry a line; an entry may hold several words.

An entry is found where it stands between characters that belong to no word, as by C4's `(\\W|^)ENTRY(\\W|$)`; in
languages that are written without spaces anywhere, as in C4. Letter case does not count (simple lower case), and white
space of any length stands for a space. Two things differ from C4's expression: marks belong to the word before them, so
that a Hindi entry is not found in a longer word that goes on with a vowel sign; and an entry of two words is found
across a line break.

Of entries that begin at one place the longest counts, and the next may begin where it ends.
"""

from __future__ import annotations

import gzip
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from datassay.corpus.compiled import compiled
from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError, RecipeError, StoreError
from datassay.corpus.given import GivenFile
from datassay.corpus.hashing import file_hash, seed_of, uniform
from datassay.corpus.store import Outputs, read_batches
from datassay.corpus.unicode import DIGIT, LETTER, MARK, SPACE, TABLES, Tables, decode, lower_of, text_buffers
from datassay.corpus.words import WORD, read_token
from datassay.filters.rules import Rule

VERSION = 1

SHIPPED = Path(__file__).parent / "data" / "bad-words.json.gz"

BAD_WORD_SIGNALS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("bad_word_list", pa.string()),  # language of the list that was used; null where there is none
        pa.field("bad_word_count", pa.int64(), nullable=False),  # occurrences of entries; 0 where there is no list
        pa.field("bad_word_distinct_count", pa.int64(), nullable=False),  # entries that occur
        pa.field("bad_word_fraction", pa.float64(), nullable=False),  # occurrences per word (at least one)
        pa.field("bad_word", pa.string()),  # the entry that occurs first, in lower case; null if none does
        pa.field("bad_word_draw", pa.float64(), nullable=False),  # chance, in [0, 1), by hash of the id
    ]
)

NO_BAD_WORDS = Rule("bad_words", "bad_word_count = 0", "Raffel et al. 2020, section 2.2")
"""C4's rule. To keep a tenth of the pages with bad words, as datatrove's `keep_fraction = 0.1` does, say
`bad_word_count = 0 OR bad_word_draw < 0.1`: the draw hangs on the document alone, not on who came before it."""

WITHOUT_SPACES = frozenset({"ja", "th", "zh", "km", "lo", "my"})
"""Languages whose entries are found anywhere; C4's are the first three, the others have no list of LDNOOBW."""
ALIASES: Mapping[str, str] = {"tl": "fil", "nb": "no"}
"""Codes that lid.176 or others use, and the code by which the list of that language is named."""
C4_ALLOWED: Mapping[str, tuple[str, ...]] = {"ja": ("sm", "グロ", "女の子"), "zh": ("性",)}
"""Entries that C4 leaves out: found anywhere, each would drop over a tenth of the documents of its language."""

_LANGUAGE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z0-9]+)*")
_CODE_BITS = 21  # of a character
_STARTS = 64  # characters are told apart by their lowest bits
_COUNTS = np.dtype(
    [("count", np.int64), ("distinct_count", np.int64), ("word_count", np.int64), ("first_entry", np.int64)]
)


class BadWords(BaseModel, frozen=True, extra="forbid"):
    """Lists of bad words, by the language of a document."""

    lists: str | None = None
    """A folder of lists, or one list: text files named by language, such as `en` or `de.txt`, also `.gz`. The lists of
    LDNOOBW that come with datassay if none."""
    allow: dict[str, tuple[str, ...]] = Field(default_factory=lambda: dict(C4_ALLOWED))
    """By language, entries to leave out; if none are given, those that C4 leaves out."""
    default_language: str | None = None
    """The list for documents whose language is unknown or has no list. They have no bad words if none."""


class WordList(BaseModel, frozen=True, extra="forbid"):
    """A file of entries."""

    language: str | None
    """Of its entries; None for a file of several languages, a JSON object from language to entries, as ours."""
    file: GivenFile


class BadWordSettings(BaseModel, frozen=True, extra="forbid"):
    """The lists by their contents; see `bad_word_settings`."""

    lists: tuple[WordList, ...]
    allow: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Language and the entries to leave out of its list."""
    default_language: str | None = None
    seed: int = 0
    """Of `bad_word_draw`."""


def bad_word_settings(words: BadWords, *, seed: int) -> BadWordSettings:
    """Settings of the stage. Raises InputError if there is no list, RecipeError if a language named has none."""
    if words.lists is None:
        files: tuple[WordList, ...] = (
            WordList(language=None, file=GivenFile(content=file_hash(SHIPPED), path=SHIPPED)),
        )
    else:
        files = tuple(_list_files(Path(words.lists)))
    allow = tuple(sorted((language, tuple(sorted(entries))) for language, entries in words.allow.items()))
    settings = BadWordSettings(lists=files, allow=allow, default_language=words.default_language, seed=seed)
    _check_languages(words, read_entries(settings))
    return settings


def _list_files(path: Path) -> Iterator[WordList]:
    """The lists at `path`, in order of language. Raises InputError if there is none."""
    files = {_list_name(file): file for file in (path.iterdir() if path.is_dir() else [path]) if file.is_file()}
    lists = {name: file for name, file in files.items() if _LANGUAGE.fullmatch(name)}
    if not lists:
        what = "no list of bad words in it" if path.is_dir() else "no such list" if not path.exists() else "not a list"
        raise InputError(f"{path}: {what}; a list is a text file named by its language, such as en or de.txt")
    for language, file in sorted(lists.items()):
        yield WordList(language=language, file=GivenFile(content=file_hash(file), path=file))


def _list_name(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".txt")


def _check_languages(words: BadWords, entries: Mapping[str, object]) -> None:
    """Raise RecipeError for the first language whose list is named and missing: a setting is never ignored."""
    allowed = words.allow if "allow" in words.model_fields_set else {}
    named = [*allowed, *([] if words.default_language is None else [words.default_language])]
    for language in named:
        if language not in entries:
            raise RecipeError(f"bad_words: there is no list for {language!r}, only {', '.join(sorted(entries))}")


def read_entries(settings: BadWordSettings) -> dict[str, tuple[str, ...]]:
    """By language, the distinct entries, without what is allowed, as they are looked for: lower case, single spaces.

    Raises InputError on a damaged list, or one without entries.
    """
    allowed = {language: {_folded(entry) for entry in entries} for language, entries in settings.allow}
    found: dict[str, tuple[str, ...]] = {}
    for word_list in settings.lists:
        for language, lines in _read_list(word_list).items():
            entries = dict.fromkeys(_folded(line) for line in lines)
            entries.pop("", None)
            if not entries:
                raise InputError(f"{word_list.file.path}: no entry in it; right would be one a line")
            found[language] = tuple(sorted(entry for entry in entries if entry not in allowed.get(language, ())))
    return found


def _read_list(word_list: WordList) -> dict[str, list[str]]:
    """The lines of a file, by language."""
    path = word_list.file.path
    try:
        data = path.read_bytes()
        if path.name.endswith(".gz"):
            data = gzip.decompress(data)
    except (OSError, EOFError, ValueError) as error:  # zlib's error is a ValueError where gzip does not wrap it
        raise InputError(f"{path}: cannot be read: {error}") from error
    if word_list.language is None:
        lists: dict[str, list[str]] = orjson.loads(data)
        return lists
    try:
        return {word_list.language: data.decode("utf-8-sig").splitlines()}
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: not UTF-8; save the list as UTF-8") from error


def _folded(entry: str) -> str:
    """The entry as it is looked for: NFC, as documents are, in simple lower case, white space as single spaces."""
    codes = [lower_of(TABLES, ord(character)) for character in unicodedata.normalize("NFC", entry)]
    return " ".join("".join(map(chr, codes)).split())


class Trie(NamedTuple):
    """The entries of all languages as a tree of characters, in the form that compiled functions take.

    A child stands at the hash of its parent and its character, or in the next free slot.
    """

    keys: NDArray[np.uint64]  # parent << 21 | character; 0 in a free slot, since no parent is 0
    children: NDArray[np.int32]
    entries: NDArray[np.int32]  # by node, the number of the entry that ends there, or -1
    starts: NDArray[np.bool_]  # (1 + languages, 64, 64), by root, whether an entry may begin with two such characters


class Matcher(NamedTuple):
    """What a text is searched with."""

    trie: Trie
    roots: Mapping[str, int]  # by language
    entries: pa.StringArray  # by number
    default_language: str | None

    def language_of(self, language: str | None) -> str | None:
        """The language whose list serves a document of this language: `pt-BR` has that of `pt`; None if none does."""
        for name in (language, ALIASES.get(language or ""), re.split("[-_]", language or "")[0]):
            if name in self.roots:
                return name
        return self.default_language


def load_matcher(settings: BadWordSettings) -> Matcher:
    """What texts are searched with; kept for the next shard."""
    return _matcher(settings)


@lru_cache(maxsize=1)
def _matcher(settings: BadWordSettings) -> Matcher:
    nodes: dict[int, int] = {}
    ends: dict[int, int] = {}
    roots: dict[str, int] = {}
    names: list[str] = []
    lists = read_entries(settings)
    starts = np.zeros((1 + len(lists), _STARTS, _STARTS), np.bool_)
    n_nodes = 1 + len(lists)  # node 0 is none, then come the roots
    for root, (language, entries) in enumerate(lists.items(), start=1):
        roots[language] = root
        for entry in entries:
            second = slice(None) if len(entry) == 1 else ord(entry[1]) % _STARTS
            starts[root, ord(entry[0]) % _STARTS, second] = True
            node = root
            for character in entry:
                key = node << _CODE_BITS | ord(character)
                if key not in nodes:
                    nodes[key] = n_nodes
                    n_nodes += 1
                node = nodes[key]
            ends[node] = len(names)
            names.append(entry)
    numbers = np.full(n_nodes, -1, np.int32)
    numbers[list(ends.keys())] = list(ends.values())
    keys, children = np.array(list(nodes), np.uint64), np.array(list(nodes.values()), np.int32)
    table = _hash_table(keys, children)
    return Matcher(
        Trie(table[0], table[1], numbers, starts), roots, pa.array(names, pa.string()), settings.default_language
    )


@compiled
def _hash_table(keys: NDArray[np.uint64], children: NDArray[np.int32]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Keys and children by slot; at least half of the slots are free."""
    n_slots = 2
    while n_slots < 2 * len(keys):
        n_slots *= 2
    slot_keys, slot_children = np.zeros(n_slots, np.uint64), np.zeros(n_slots, np.int32)
    for i in range(len(keys)):
        slot = _slot_of(slot_keys, keys[i])
        slot_keys[slot], slot_children[slot] = keys[i], children[i]
    return slot_keys, slot_children


@compiled
def _slot_of(keys: NDArray[np.uint64], key: np.uint64) -> np.uint64:
    """Where a key stands, or the free slot where it would."""
    mask = np.uint64(len(keys) - 1)
    product = key * np.uint64(0x9E3779B97F4A7C15)
    slot = (product >> np.uint64(32)) & mask
    while keys[slot] != key and keys[slot] != np.uint64(0):
        slot = (slot + np.uint64(1)) & mask
    return slot


def count_bad_words(
    texts: pa.LargeStringArray, languages: list[str | None], matcher: Matcher
) -> tuple[NDArray[np.void], list[str | None]]:
    """For each text a record of `count`, `distinct_count`, `word_count` and `first_entry`; and the list that was used.

    word_count:  0 where `count` is: nobody needs it there
    first_entry: its number, or -1
    """
    offsets, data = text_buffers(texts)
    lists = {language: matcher.language_of(language) for language in set(languages)}
    used = [lists[language] for language in languages]
    roots = np.array([matcher.roots.get(name, 0) if name else 0 for name in used], np.int32)
    is_anywhere = np.array([name is not None and _base(name) in WITHOUT_SPACES for name in used], np.bool_)
    counts = np.zeros(len(texts), _COUNTS)
    counts["first_entry"] = -1
    _count(offsets, data, TABLES, matcher.trie, roots, is_anywhere, counts)
    return counts, used


def _base(language: str) -> str:
    return re.split("[-_]", language)[0]


@compiled
def _count(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    tables: Tables,
    trie: Trie,
    roots: NDArray[np.int32],
    is_anywhere: NDArray[np.bool_],
    counts: NDArray[np.void],
) -> None:
    """Count the entries in all texts of a batch. The room for the work is for the longest text."""
    n_max = 1
    for d in range(len(roots)):
        n_max = max(n_max, offsets[d + 1] - offsets[d])
    codes, kinds = np.empty(n_max, np.int32), np.empty(n_max, np.uint16)
    folded, in_word = np.empty(n_max, np.int32), np.empty(n_max, np.bool_)
    last_text = np.full(len(trie.entries), -1, np.int64)  # by node, the text in which its entry came last
    for d in range(len(roots)):
        if roots[d] == 0:
            continue
        n = decode(data, offsets[d], offsets[d + 1], tables, codes, kinds)
        n_folded = _fold(codes[:n], kinds[:n], tables, folded, in_word)
        _search(folded[:n_folded], in_word, trie, roots[d], is_anywhere[d], d, last_text, counts)
        if counts[d]["count"]:
            counts[d]["word_count"] = _n_words(codes[:n], kinds[:n])


@compiled
def _fold(
    codes: NDArray[np.int32],
    kinds: NDArray[np.uint16],
    tables: Tables,
    folded: NDArray[np.int32],
    in_word: NDArray[np.bool_],
) -> int:
    """Write the characters in lower case, each run of white space as one space, and whether each belongs to a word.

    returns: the number of characters written
    """
    n = 0
    for i in range(len(codes)):
        if kinds[i] & SPACE:
            if n == 0 or folded[n - 1] != 0x20:
                folded[n], in_word[n] = 0x20, False
                n += 1
        else:
            folded[n] = lower_of(tables, codes[i])
            in_word[n] = (kinds[i] & (LETTER | DIGIT | MARK)) != 0 or codes[i] == 0x5F
            n += 1
    return n


@compiled
def _search(
    folded: NDArray[np.int32],
    in_word: NDArray[np.bool_],
    trie: Trie,
    root: int,
    is_anywhere: bool,
    text: int,
    last_text: NDArray[np.int64],
    counts: NDArray[np.void],
) -> None:
    """Count the entries of one list in one text, from left to right, of several the longest."""
    count = distinct_count = i = 0
    first_entry = np.int64(-1)
    starts = trie.starts[root]
    while i < len(folded):
        if not is_anywhere and i and in_word[i - 1]:
            i += 1
            continue
        second = folded[i + 1] if i + 1 < len(folded) else 0
        if not starts[folded[i] & (_STARTS - 1), second & (_STARTS - 1)]:
            i += 1
            continue
        node, end = _longest(folded, in_word, trie, root, is_anywhere, i)
        if node == 0:
            i += 1
            continue
        if count == 0:
            first_entry = trie.entries[node]
        count += 1
        distinct_count += last_text[node] != text
        last_text[node] = text
        i = end
    counts[text]["count"], counts[text]["distinct_count"] = count, distinct_count
    counts[text]["first_entry"] = first_entry


@compiled
def _longest(
    folded: NDArray[np.int32], in_word: NDArray[np.bool_], trie: Trie, root: int, is_anywhere: bool, start: int
) -> tuple[int, int]:
    """The node of the longest entry that begins at `start`, 0 if none does; and where it ends."""
    node, found, end, i = root, 0, start, start
    while i < len(folded):
        key = np.uint64(node) << np.uint64(_CODE_BITS) | np.uint64(folded[i])
        slot = _slot_of(trie.keys, key)
        if trie.keys[slot] != key:
            break
        node = trie.children[slot]
        i += 1
        if trie.entries[node] >= 0 and (is_anywhere or i == len(folded) or not in_word[i]):
            found, end = node, i
    return found, end


@compiled
def _n_words(codes: NDArray[np.int32], kinds: NDArray[np.uint16]) -> int:
    """The number of words as `corpus.words` has it."""
    n_words = i = 0
    while i < len(codes):
        if kinds[i] & SPACE:
            i += 1
        else:
            i, _, flags = read_token(codes, kinds, i, len(codes))
            n_words += (flags & WORD) != 0
    return n_words


def bad_word_signals(
    ids: pa.StringArray, texts: pa.LargeStringArray, languages: list[str | None], settings: BadWordSettings
) -> pa.RecordBatch:
    """A row of BAD_WORD_SIGNALS for each text."""
    matcher = load_matcher(settings)
    counts, used = count_bad_words(texts, languages, matcher)
    first = counts["first_entry"]
    draws = uniform(seed_of("bad_words", settings.seed), ids.to_pylist())
    columns = [
        ids,
        pa.array(used, pa.string()),
        pa.array(np.ascontiguousarray(counts["count"])),
        pa.array(np.ascontiguousarray(counts["distinct_count"])),
        pa.array(counts["count"] / np.maximum(counts["word_count"], 1)),
        matcher.entries.take(pa.array(first, mask=first < 0)),
        pa.array(draws),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=BAD_WORD_SIGNALS)


def measure_bad_words(inputs: Inputs, settings: BadWordSettings, out: Outputs) -> None:
    """Stage: the datasets `clean` and `language` to the dataset `bad_words`, rows in the same order.

    Counts `documents`, `with_bad_words` and `without_list`. Raises StoreError if the two datasets' rows differ.
    """
    language = pa.Table.from_batches(
        read_batches(inputs.all("language"), columns=["id", "language"]),
        pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("language", pa.string())]),
    ).combine_chunks()
    start = 0
    with out.parquet("bad_words", BAD_WORD_SIGNALS) as shard:
        for batch in read_batches(inputs.all("clean"), columns=["id", "text"]):
            rows = language.slice(start, batch.num_rows)
            start += batch.num_rows
            if not rows["id"].combine_chunks().equals(batch["id"]):
                raise StoreError("clean and language of one shard have other ids or another order; run again")
            measured = bad_word_signals(batch["id"], batch["text"], rows["language"].to_pylist(), settings)
            out.counts["documents"] += batch.num_rows
            out.counts["with_bad_words"] += int(np.count_nonzero(measured["bad_word_count"]))
            out.counts["without_list"] += measured["bad_word_list"].null_count
            shard.write(measured)
    if start != language.num_rows:
        raise StoreError("clean and language of one shard have other ids or another order; run again")

"""Perplexity of a text under an n-gram model of words: one that you give as ARPA file, or one trained on the reference.

Reads what KenLM (Heafield 2011) and SRILM write. The model backs off: the probability of a word after the words before
it is that of the longest n-gram which the model holds, times the backoff weights of the longer contexts that it passed.
Each line with a word is a sentence of its own, `<s>` before it and `</s>`, which is scored, behind it, as CCNet does
(Wenzek et al. 2020, arXiv:1911.00359) but for empty lines, which CCNet scores too. CCNet's own models read pieces of
SentencePiece, which are no part of this: they take texts whose pieces are set apart by spaces.

Training is interpolated Kneser-Ney (Chen and Goodman 1998) with one discount for each order, n1 / (n1 + 2 n2).
"""

from __future__ import annotations

import gzip
import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, Field, PositiveInt

from datassay.corpus.compiled import compiled
from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError, RecipeError, StoreError
from datassay.corpus.given import GivenFile
from datassay.corpus.hashing import seed_of, uniform
from datassay.corpus.store import Outputs, read_batches
from datassay.corpus.unicode import BREAK, SPACE, TABLES, Tables, decode, text_buffers
from datassay.corpus.words import hash_of, mix, read_token
from datassay.filters.quality_settings import COLUMN

READ_VERSION = 1
TRAIN_VERSION = 1
VERSION = 1

BATCH_ROWS = 512
BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
NEVER = -99.0
"""log10 of the probability of what is never predicted, as ARPA files write it."""
NO_UNKNOWN = -100.0
"""log10 of an unknown word's probability in a model without `<unk>`, as KenLM has it."""
MAX_ORDER = 12
_KENLM_BINARY = b"mmap lm http://kheafield.com/code"

_DIGIT = re.compile(r"\d")
_NOT_PRINTED = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CCNET_PUNCTUATION = str.maketrans(
    dict(
        zip("，。、„”“«»１」「《》´∶：？！（）；–．～’━〈〉【】％►", ',.,""""""""""\'::?!();-.~\'-<>[]%-', strict=True)
    )
    | {"—": " - ", "．": ". ", "…": "..."}
)
"""As in CCNet's text_normalizer.py, with its `１` that becomes a quotation mark."""


class NgramText(BaseModel, frozen=True, extra="forbid"):
    """How texts become the words of a model: as it was for the texts that the model was trained on."""

    normalize: Literal["none", "lower", "ccnet"] = "lower"
    """`ccnet`: lower case, no accents, every digit 0, ASCII punctuation, no control characters."""
    tokens: Literal["words", "white_space"] = "words"
    """`words`: words and symbols apart, as the text signals see them; `white_space`: what stands between white space,
    for texts or models that are tokenized already."""


class NgramScoring(NgramText, frozen=True, extra="forbid"):
    """How documents are scored."""

    name: str = Field("perplexity", pattern=COLUMN)
    """Column of the perplexity; `_log10` and `_unknown` behind it name the others."""
    head_chars: PositiveInt = 20_000
    """Only this many characters from the beginning are read."""


class NgramTraining(NgramText, frozen=True, extra="forbid"):
    """A model of the reference texts."""

    order: int = Field(3, ge=1, le=6)
    """Words of the longest n-gram."""
    n_train_documents: PositiveInt = 100_000
    """Documents at most, chosen by hash of id."""
    head_chars: PositiveInt = 20_000
    """Only this many characters from the beginning of a document are read."""
    seed: int = 0
    """Another seed takes other documents."""


class NgramFile(BaseModel, frozen=True, extra="forbid"):
    """A model that is given."""

    file: GivenFile
    """An ARPA file, plain or .gz."""


@dataclass(frozen=True, slots=True)
class Order:
    """The n-grams of one length."""

    ids: NDArray[np.int32]
    """(n-grams, n), numbers of words"""
    logs: NDArray[np.float64]
    """(n-grams,), log10 of the probability of the last word after the others"""
    backoffs: NDArray[np.float64]
    """(n-grams,), log10 of what unseen words after the n-gram are weighted by; 0 if nothing follows it"""


@dataclass(frozen=True, slots=True)
class Ngrams:
    """A model as an ARPA file has it."""

    words: tuple[str, ...]
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class NgramModel:
    """A model in the form that scores: a hash table over the n-grams of all orders."""

    order: int
    keys: NDArray[np.uint64]
    logs: NDArray[np.float32]
    backoffs: NDArray[np.float32]
    slots: NDArray[np.int32]
    """1 + where each key stands, 0 for none; a power of two, at least twice as many as keys"""


class Scores(NamedTuple):
    """What a model says of texts, all (texts,)."""

    log10: NDArray[np.float64]
    """Of the probability of the whole text"""
    n_scored: NDArray[np.int64]
    """Words and ends of sentences"""
    n_words: NDArray[np.int64]
    n_unknown: NDArray[np.int64]


def perplexity_schema(name: str) -> pa.Schema:
    """Of a dataset of perplexities; all three are null for a text without words."""
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field(name, pa.float64()),  # 10 ** -NAME_log10
            pa.field(f"{name}_log10", pa.float64()),  # mean over words and ends of sentences
            pa.field(f"{name}_unknown", pa.float64()),  # share of the words that the model does not know
        ]
    )


def read_ngram_model(inputs: Inputs, settings: NgramFile, out: Outputs) -> None:  # noqa: ARG001
    """Make the given ARPA file a table; writes `ngram_model` (.npz), and counts its n-grams."""
    _write_model(read_arpa(settings.file.path), out)


def train_ngram_model(inputs: Inputs, settings: NgramTraining, out: Outputs) -> None:
    """Train on dataset `reference`; writes `ngram_model` (.npz) and the same as `ngram_arpa` (.arpa).

    Holds some 50 bytes for each word that it trains on and for each distinct n-gram. Raises RecipeError without a word
    to train on.
    """
    ngrams = train_ngrams(_training_texts(inputs.all("reference"), settings), settings, order=settings.order)
    with out.file("ngram_arpa", ".arpa") as path:
        write_arpa(path, ngrams)
    _write_model(ngrams, out)


def measure_ngram_perplexity(inputs: Inputs, settings: NgramScoring, out: Outputs) -> None:
    """Score the documents of dataset `clean` with the model `ngram_model`; writes dataset `perplexity`."""
    path = inputs.one("ngram_model")
    model = load_ngram_model(path, path.stat().st_mtime_ns)
    schema = perplexity_schema(settings.name)
    with out.parquet("perplexity", schema) as shard:
        for batch in read_batches(inputs.all("clean"), columns=["id", "text"], n_rows=BATCH_ROWS):
            texts = [text[: settings.head_chars] for text in batch["text"].to_pylist()]
            columns = perplexities(score_texts(model, texts, settings))
            shard.write(pa.RecordBatch.from_arrays([batch["id"], *columns], schema=schema))
            out.counts["documents"] += batch.num_rows
            out.counts["null"] += columns[0].null_count


def perplexities(scores: Scores) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Perplexity, mean log10 and share of unknown words of each text; null for a text without words."""
    is_null = scores.n_words == 0
    mean = scores.log10 / np.maximum(scores.n_scored, 1)
    unknown = scores.n_unknown / np.maximum(scores.n_words, 1)
    perplexity, mean, unknown = (pa.array(values, mask=is_null) for values in (10.0**-mean, mean, unknown))
    return perplexity, mean, unknown


def score_texts(model: NgramModel, texts: Sequence[str], settings: NgramText) -> Scores:
    """The log10 probability of each text, with what it was made of."""
    stream = split_words([normalized(text, settings.normalize) for text in texts], settings.tokens)
    scores = Scores(np.zeros(len(texts)), *(np.zeros(len(texts), np.int64) for _ in range(3)))
    table = (model.keys, model.logs, model.backoffs, model.slots)
    _score(stream.keys, stream.ends, table, model.order, _special_keys(), *scores)
    return scores


def normalized(text: str, how: str) -> str:
    """The text as a model's texts were normalized, line by line."""
    if how == "none":
        return text
    if how == "lower":
        return text.lower()
    return "\n".join(_ccnet_line(line) for line in text.split("\n"))


def _ccnet_line(line: str) -> str:
    """CCNet's normalization of a line, in its order of steps."""
    decomposed = unicodedata.normalize("NFD", line.strip().lower())
    bare = "".join(character for character in decomposed if unicodedata.category(character) != "Mn")
    return _NOT_PRINTED.sub("", _DIGIT.sub("0", bare).translate(_CCNET_PUNCTUATION))


class Stream(NamedTuple):
    """The words of some texts, each sentence between the keys of `<s>` and `</s>`."""

    keys: NDArray[np.uint64]
    starts: NDArray[np.int32]
    """Character where each word begins in its text, and where it ends; -1 for `<s>` and `</s>`"""
    stops: NDArray[np.int32]
    ends: NDArray[np.int64]
    """(texts,), where each text ends in the stream"""


def split_words(texts: Sequence[str], tokens: str) -> Stream:
    """The words of texts in order."""
    offsets, data = text_buffers(pa.array(list(texts), pa.large_string()))
    room = 2 * len(data) + 3 * len(texts) + 1  # a line of one letter has three; what is not used takes no memory
    keys, starts, stops = np.empty(room, np.uint64), np.empty(room, np.int32), np.empty(room, np.int32)
    ends = np.zeros(len(texts), np.int64)
    longest = int(np.diff(offsets).max(initial=1))
    is_run = tokens == "white_space"
    n = _split_words(offsets, data, TABLES, is_run, longest, _special_keys(), keys, starts, stops, ends)
    return Stream(keys[:n].copy(), starts[:n].copy(), stops[:n].copy(), ends)


@lru_cache(maxsize=1)
def _special_keys() -> NDArray[np.uint64]:
    """Keys of `<s>`, `</s>` and `<unk>`. They hold a space, so that no word of a text is one of them."""
    return np.array([_key(f"{name} ") for name in (BEGIN, END, UNKNOWN)], np.uint64)


def _key(word: str) -> int:
    codes = np.array([ord(character) for character in word], np.int32)
    return int(hash_of(codes, 0, len(codes)))


@compiled
def _split_words(
    offsets: NDArray[np.int64],
    data: NDArray[np.uint8],
    tables: Tables,
    is_run: bool,
    longest: int,
    special: NDArray[np.uint64],
    keys: NDArray[np.uint64],
    starts: NDArray[np.int32],
    stops: NDArray[np.int32],
    ends: NDArray[np.int64],
) -> int:
    """Fill a stream; returns its length."""
    codes, kinds = np.empty(longest, np.int32), np.empty(longest, np.uint16)
    n = 0
    for d in range(len(offsets) - 1):
        end = decode(data, offsets[d], offsets[d + 1], tables, codes, kinds)
        i, is_open = 0, False
        while i < end:
            if kinds[i] & SPACE:
                if is_open and kinds[i] & BREAK:
                    keys[n], starts[n], stops[n] = special[1], -1, -1
                    n, is_open = n + 1, False
                i += 1
                continue
            if not is_open:
                keys[n], starts[n], stops[n] = special[0], -1, -1
                n, is_open = n + 1, True
            if is_run:
                stop = i
                while stop < end and not kinds[stop] & SPACE:
                    stop += 1
            else:
                stop, _, _ = read_token(codes, kinds, i, end)
            keys[n], starts[n], stops[n] = hash_of(codes, i, stop), i, stop
            n += 1
            i = stop
        if is_open:
            keys[n], starts[n], stops[n] = special[1], -1, -1
            n += 1
        ends[d] = n
    return n


Table = tuple[NDArray[np.uint64], NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]


@compiled
def _score(
    stream: NDArray[np.uint64],
    ends: NDArray[np.int64],
    table: Table,
    order: int,
    special: NDArray[np.uint64],
    log10: NDArray[np.float64],
    n_scored: NDArray[np.int64],
    n_words: NDArray[np.int64],
    n_unknown: NDArray[np.int64],
) -> None:
    """Add up what each text's words and ends of sentences cost. Unknown words of the stream become `<unk>`."""
    keys, _, _, slots = table
    begin_key, end_key, unknown_key = special[0], special[1], special[2]
    has_end = _find(keys, slots, end_key) >= 0
    first = 0
    for d in range(len(ends)):
        sentence = first
        for i in range(first, ends[d]):
            if stream[i] == begin_key:
                sentence = i
                continue
            if stream[i] == end_key:
                if not has_end:
                    continue
            else:
                n_words[d] += 1
                if _find(keys, slots, stream[i]) < 0:
                    stream[i] = unknown_key
                    n_unknown[d] += 1
            n_scored[d] += 1
            log10[d] += _word_log(stream[sentence : i + 1], table, order)
        first = ends[d]


@compiled
def _word_log(words: NDArray[np.uint64], table: Table, order: int) -> float:
    """log10 of the probability of the last of these words after the others."""
    keys, logs, backoffs, slots = table
    weight, last = 0.0, len(words) - 1
    for n in range(min(order, len(words)), 0, -1):
        start = last - n + 1
        context = words[start]
        for j in range(start + 1, last):
            context = _longer(context, words[j])
        entry = _find(keys, slots, context if n == 1 else _longer(context, words[last]))
        if entry >= 0:
            return weight + logs[entry]  # type: ignore[no-any-return]
        if n > 1:
            entry = _find(keys, slots, context)
            if entry >= 0:
                weight += backoffs[entry]
    return weight + NO_UNKNOWN


@compiled
def _longer(key: np.uint64, word: np.uint64) -> np.uint64:
    """The key of an n-gram with a word more."""
    return mix(key * np.uint64(0x9E3779B97F4A7C15) + word)  # type: ignore[no-any-return]


@compiled
def _find(keys: NDArray[np.uint64], slots: NDArray[np.int32], key: np.uint64) -> int:
    """Where the key stands, or -1."""
    mask = np.uint64(len(slots) - 1)
    slot = key & mask
    while slots[slot]:
        if keys[slots[slot] - 1] == key:
            return slots[slot] - 1  # type: ignore[no-any-return]
        slot = (slot + np.uint64(1)) & mask
    return -1


@compiled
def _fill(keys: NDArray[np.uint64], slots: NDArray[np.int32]) -> int:
    """Enter all keys into empty slots; returns the first that is there twice, or -1."""
    mask = np.uint64(len(slots) - 1)
    for i in range(len(keys)):
        slot = keys[i] & mask
        while slots[slot]:
            if keys[slots[slot] - 1] == keys[i]:
                return i
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = i + 1
    return -1


@compiled
def _row_keys(ids: NDArray[np.int32], word_keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The key of each n-gram. ids: (n-grams, n)"""
    keys = np.empty(len(ids), np.uint64)
    for i in range(len(ids)):
        key = word_keys[ids[i, 0]]
        for j in range(1, ids.shape[1]):
            key = _longer(key, word_keys[ids[i, j]])
        keys[i] = key
    return keys


def compile_ngrams(ngrams: Ngrams) -> NgramModel:
    """The table of a model. Raises InputError if it holds an n-gram twice."""
    word_keys = _word_keys(ngrams.words)
    keys = np.concatenate([_row_keys(order.ids, word_keys) for order in ngrams.orders])
    logs = np.concatenate([order.logs for order in ngrams.orders]).astype(np.float32)
    backoffs = np.concatenate([order.backoffs for order in ngrams.orders]).astype(np.float32)
    slots = _slots(keys)
    if slots is None:
        raise InputError("n-gram model: an n-gram is there twice; make the model again")
    return NgramModel(len(ngrams.orders), keys, logs, backoffs, slots)


def _slots(keys: NDArray[np.uint64]) -> NDArray[np.int32] | None:
    """The hash table over the keys; None if one is there twice."""
    slots = np.zeros(1 << (2 * len(keys)).bit_length(), np.int32)
    return slots if _fill(keys, slots) < 0 else None


def _word_keys(words: Sequence[str]) -> NDArray[np.uint64]:
    special = dict(zip((BEGIN, END, UNKNOWN), _special_keys().tolist(), strict=True))
    return np.array([special.get(word) or _key(word) for word in words], np.uint64)


def _write_model(ngrams: Ngrams, out: Outputs) -> None:
    model = compile_ngrams(ngrams)
    for n, order in enumerate(ngrams.orders, 1):
        out.counts[f"{n}-grams"] += len(order.ids)
    with out.file("ngram_model", ".npz") as path, path.open("wb") as file:
        np.savez(file, order=np.int64(model.order), keys=model.keys, logs=model.logs, backoffs=model.backoffs)


@lru_cache(maxsize=2)
def load_ngram_model(path: Path, changed: int = 0) -> NgramModel:  # noqa: ARG001
    """The model that a stage wrote; kept, since every shard asks for it. Raises StoreError on a damaged file.

    changed: when the file was last changed, so that another file at the same place is another model
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            order, keys, logs, backoffs = (file[name] for name in ("order", "keys", "logs", "backoffs"))
    except (ValueError, KeyError, OSError, EOFError, BadZipFile) as error:
        raise StoreError(f"{path}: not a whole n-gram model ({error}); remove its folder and run again") from error
    slots = _slots(keys)
    if slots is None:
        raise StoreError(f"{path}: an n-gram is there twice; remove its folder and run again")
    return NgramModel(int(order), keys, logs, backoffs, slots)


def read_arpa(path: Path) -> Ngrams:
    """The model in an ARPA file, plain or compressed by gzip.

    Raises InputError, which names the line, if the file is missing, is none, ends early or contradicts itself.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(_KENLM_BINARY))
            file.seek(0)
            if start == _KENLM_BINARY:
                raise InputError(f"{path}: a binary of KenLM; give the ARPA file that it was built from")
            is_gzip = start[:2] == b"\x1f\x8b"
            return _ArpaReader(path).read(gzip.open(file) if is_gzip else file)
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


class _ArpaReader:
    """Reads one ARPA file and knows where it is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.words: dict[bytes, int] = {}

    def read(self, file: Iterable[bytes]) -> Ngrams:
        lines = self._lines(file)
        for line in lines:
            if line == b"\\data\\":
                break
        else:
            raise self._error("no line \\data\\: not an ARPA file")
        counts, line = self._counts(lines)
        orders = []
        for n, count in enumerate(counts, 1):
            if line != b"\\%d-grams:" % n:
                raise self._error(f"{line.decode(errors='replace')!r}; right would be \\{n}-grams:")
            order, line = self._section(lines, n, count, is_last=n == len(counts))
            orders.append(order)
        if line != b"\\end\\":
            raise self._error(f"{line.decode(errors='replace')!r}; right would be \\end\\")
        try:
            words = tuple(word.decode() for word in self.words)
        except UnicodeDecodeError as error:
            raise InputError(f"{self.path}: words are not UTF-8: {error}; convert the file") from error
        return Ngrams(words, tuple(orders))

    def _lines(self, file: Iterable[bytes]) -> Iterator[bytes]:
        """Lines that hold something; an empty one for the end of the file."""
        for raw in file:
            self.number += 1
            if line := raw.strip(b" \t\r\n\0"):
                yield line
        yield b""

    def _counts(self, lines: Iterator[bytes]) -> tuple[list[int], bytes]:
        counts: list[int] = []
        for line in lines:
            found = re.fullmatch(rb"ngram\s+(\d+)\s*=\s*(\d+)", line)
            if not found:
                break
            if int(found[1]) != len(counts) + 1 or int(found[1]) > MAX_ORDER:
                raise self._error(f"ngram {int(found[1])}: orders go up from 1 by one, to {MAX_ORDER} at most")
            counts.append(int(found[2]))
        if not counts:
            raise self._error("no line such as ngram 1=1000 after \\data\\")
        return counts, line

    def _section(self, lines: Iterator[bytes], n: int, count: int, *, is_last: bool) -> tuple[Order, bytes]:
        """The n-grams up to the next section, and the line that begins it."""
        ids, logs, backoffs = array("i"), array("d"), array("d")
        words = self.words
        for line in lines:
            if line[:1] == b"\\" and (line == b"\\end\\" or line.endswith(b"-grams:")):
                break
            fields = line.split()
            if not line or not n + 1 <= len(fields) <= n + 2 - is_last:
                raise self._error(f"{len(fields)} fields; a {n}-gram has a number, {n} words, and may have a backoff")
            try:
                logs.append(float(fields[0]))
                backoffs.append(float(fields[n + 1]) if len(fields) > n + 1 else 0.0)
                if n == 1:
                    words[fields[1]] = len(words)
                ids.extend([words[word] for word in fields[1 : n + 1]])
            except ValueError as error:
                raise self._error(f"not a number: {error}") from error
            except KeyError as error:
                word = error.args[0].decode(errors="replace")
                raise self._error(f"{word!r} is not among the 1-grams") from error
            if not logs[-1] <= 0 or not backoffs[-1] < np.inf:
                raise self._error(f"log10 probability {logs[-1]}, backoff {backoffs[-1]}; a log10 is at most 0")
        if len(logs) != count or (n == 1 and len(words) != count):
            raise self._error(f"{len(logs)} {n}-grams, {count} announced; the file is cut short or holds some twice")
        rows = np.array(ids, np.int32).reshape(-1, n)
        return Order(rows, np.array(logs, np.float64), np.array(backoffs, np.float64)), line

    def _error(self, problem: str) -> InputError:
        return InputError(f"{self.path}: line {self.number}: {problem}")


def write_arpa(path: Path, ngrams: Ngrams) -> None:
    """Write a model as ARPA file, for KenLM and others. Float64 as its shortest decimal, so nothing is lost."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\\data\\\n")
        file.writelines(f"ngram {n}={len(order.ids)}\n" for n, order in enumerate(ngrams.orders, 1))
        for n, order in enumerate(ngrams.orders, 1):
            file.write(f"\n\\{n}-grams:\n")
            is_last = n == len(ngrams.orders)
            for ids, log, backoff in zip(order.ids.tolist(), order.logs, order.backoffs, strict=True):
                words = " ".join(ngrams.words[i] for i in ids)
                file.write(
                    f"{float(log)!r}\t{words}\n" if is_last else f"{float(log)!r}\t{words}\t{float(backoff)!r}\n"
                )
        file.write("\n\\end\\\n")


def _training_texts(paths: Sequence[Path], settings: NgramTraining) -> Iterator[list[str]]:
    """The beginnings of the documents whose ids have the smallest hashes, a batch at a time."""
    seed = seed_of("ngram_model", settings.seed)
    draws = [uniform(seed, batch["id"].to_pylist()) for batch in read_batches(paths, columns=["id"])]
    ordered = np.sort(np.concatenate([*draws, np.empty(0)]))[: settings.n_train_documents]
    limit = ordered[-1] if len(ordered) else -1.0
    for batch in read_batches(paths, columns=["id", "text"], n_rows=BATCH_ROWS):
        taken = pa.array(uniform(seed, batch["id"].to_pylist()) <= limit)
        yield [text[: settings.head_chars] for text in batch["text"].filter(taken).to_pylist()]


def train_ngrams(batches: Iterator[list[str]], settings: NgramText, *, order: int) -> Ngrams:
    """A model of texts by interpolated Kneser-Ney, in the form of a backoff model. The order of texts is no matter.

    The probabilities after any context sum to 1 over all words, `</s>` and `<unk>`, which has the share of a word that
    was never seen. Raises RecipeError without a word.
    """
    words, stream, places = _vocabulary(batches, settings)
    if len(words) == len(_FIRST_WORDS):
        raise RecipeError("n-gram model: no word in the reference texts; they are needed to train on")
    counted = _counts_of_orders(stream, places, order)
    orders: list[Order] = []
    lower = _unigrams(counted[0], len(words))
    for rows, counts in counted[1:]:
        higher, backoffs = _interpolated(rows, counts, lower)
        orders.append(Order(lower.ids, lower.logs, backoffs))
        lower = higher
    return Ngrams(tuple(words), (*orders, lower))


_FIRST_WORDS = (BEGIN, END, UNKNOWN)


def _vocabulary(
    batches: Iterator[list[str]], settings: NgramText
) -> tuple[list[str], NDArray[np.int32], NDArray[np.int32]]:
    """The words, sorted, behind `<s>`, `</s>`, `<unk>`; the number of each word of the stream; its place in its
    sentence, 0 for `<s>`."""
    names = dict(zip(_special_keys().tolist(), _FIRST_WORDS, strict=True))
    parts = [np.empty(0, np.uint64)]
    for texts in batches:
        clean = [normalized(text, settings.normalize) for text in texts]
        stream = split_words(clean, settings.tokens)
        for key, i in zip(*(a.tolist() for a in np.unique(stream.keys, return_index=True)), strict=True):
            if key not in names:
                text = clean[int(np.searchsorted(stream.ends, i, side="right"))]
                names[key] = text[stream.starts[i] : stream.stops[i]]
        parts.append(stream.keys)
    words = [*_FIRST_WORDS, *sorted(set(names.values()) - set(_FIRST_WORDS))]
    numbers = {word: i for i, word in enumerate(words)}
    special = dict(zip(_special_keys().tolist(), range(len(_FIRST_WORDS)), strict=True))
    # A text may hold `<s>` itself; an ARPA file has no way to tell that apart, so it counts as unknown.
    known = {key: 2 if word in _FIRST_WORDS else numbers[word] for key, word in names.items()} | special
    distinct, inverse = np.unique(np.concatenate(parts), return_inverse=True)
    ids = np.array([known[key] for key in distinct.tolist()], np.int32)[inverse]
    rows = np.arange(len(ids))
    begins = np.flatnonzero(ids == 0)
    places = rows - begins[np.searchsorted(begins, rows, side="right") - 1] if len(ids) else rows
    return words, ids, places.astype(np.int32)


Counted = tuple[NDArray[np.int32], NDArray[np.int64]]


def _counts_of_orders(stream: NDArray[np.int32], places: NDArray[np.int32], order: int) -> list[Counted]:
    """For each order, its n-grams, sorted, and their counts as Kneser and Ney have them.

    Occurrences for the longest n-grams and for those that begin a sentence, else the number of different words before.
    """
    counted: list[Counted] = []
    for n in range(order, 0, -1):
        is_counted = (places >= n - 1) if n == order else (places == n - 1)
        last = np.flatnonzero(is_counted & (places > 0))
        rows = np.stack([stream[last - n + 1 + j] for j in range(n)], axis=1)
        if n < order:
            rows = np.concatenate([rows, counted[-1][0][:, 1:]])
        counted.append(_distinct(rows))
    return counted[::-1]


def _distinct(rows: NDArray[np.int32]) -> Counted:
    """The different rows, sorted, and how often each is there."""
    rows = rows[np.lexsort(rows.T[::-1])]
    is_new = np.ones(len(rows), bool)
    is_new[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    firsts = np.flatnonzero(is_new)
    return rows[firsts], np.diff(np.append(firsts, len(rows)))


def _discount(counts: NDArray[np.int64]) -> float:
    """n1 / (n1 + 2 n2), n1 and n2 the n-grams that come once and twice (Ney, Essen and Kneser 1994); 1/2 without."""
    n1, n2 = int((counts == 1).sum()), int((counts == 2).sum())
    return n1 / (n1 + 2 * n2) if n1 and n2 else 0.5


def _unigrams(counted: Counted, n_words: int) -> Order:
    """Probabilities of single words, mixed with the uniform one over all words but `<s>`."""
    (rows, counts), discount = counted, _discount(counted[1])
    seen = np.zeros(n_words)
    seen[rows[:, 0]] = counts - discount
    total = counts.sum()
    chances = seen / total + discount * len(counts) / total / (n_words - 1)
    logs = np.log10(chances)
    logs[0] = NEVER
    return Order(np.arange(n_words, dtype=np.int32)[:, None], logs, np.zeros(n_words))


def _interpolated(
    rows: NDArray[np.int32], counts: NDArray[np.int64], lower: Order
) -> tuple[Order, NDArray[np.float64]]:
    """The n-grams of the next order, and the backoffs of the lower one's."""
    discount = _discount(counts)
    contexts, sizes = _distinct(rows[:, :-1])  # the rows are sorted, and so by context
    owner = np.repeat(np.arange(len(contexts)), sizes)
    totals = np.bincount(owner, counts)
    weights = discount * sizes / totals
    below = 10 ** lower.logs[_positions(lower.ids, rows[:, 1:])]
    chances = (counts - discount) / totals[owner] + weights[owner] * below
    backoffs = np.zeros(len(lower.ids))
    backoffs[_positions(lower.ids, contexts)] = np.log10(weights)
    return Order(rows, np.log10(chances), np.zeros(len(rows))), backoffs


def _positions(rows: NDArray[np.int32], sought: NDArray[np.int32]) -> NDArray[np.int64]:
    """Where each sought row stands in `rows`, which holds all of them."""
    word_keys = mix_all(np.arange(max(int(rows.max(initial=0)), int(sought.max(initial=0))) + 1, dtype=np.uint64))
    keys = _row_keys(rows, word_keys)
    order = np.argsort(keys)
    found: NDArray[np.int64] = order[np.searchsorted(keys[order], _row_keys(sought, word_keys))]
    assert (rows[found] == sought).all()
    return found


@compiled
def mix_all(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A key for each number."""
    keys = np.empty(len(numbers), np.uint64)
    for i in range(len(numbers)):
        keys[i] = mix(numbers[i] + np.uint64(1))
    return keys

"""Byte-level BPE tokenizers: GPT-2's own, one trained on a corpus, or any tokenizer.json; text in, token ids out.

Sennrich et al. 2016 (BPE), Radford et al. 2019 (bytes, and the regular expression that splits text before merging).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError
from datassay.corpus.hashing import settings_key, uniform
from datassay.corpus.store import Outputs, read_batches

EOS = "<|endoftext|>"
"""`<eos>` as GPT-2 writes it: stands between documents, and is never made from text."""
EOS_NAMES = (EOS, "<eos>", "</s>", "<|end_of_text|>", "<|im_end|>", "[EOS]")
"""What tokenizers of other projects call it."""
GPT2_CONTENT = "d2033335a12b5049"
"""`Tokenizer.content` of GPT-2's, of which is known what `fast_encoding` would find out anew in each process."""
GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""How GPT-2 splits text before merging (Radford et al. 2019, encoder.py), with its contractions joined."""

Ids = NDArray[np.uint16] | NDArray[np.uint32]


def byte_alphabet() -> dict[int, str]:
    """The printable character that stands for each byte in GPT-2's vocabulary, in the order of the ids 0 to 255."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer with its end-of-text token. Made by `load_tokenizer`, `parse_tokenizer` or `train_bpe`."""

    reference: Any
    """`tokenizers.Tokenizer`, which defines the ids."""
    eos_id: int

    @cached_property
    def json(self) -> str:
        """The content of its tokenizer.json."""
        return str(self.reference.to_str())

    @cached_property
    def content(self) -> str:
        """16 hex digits that name what it does."""
        return settings_key(self.json, self.eos_id)

    @property
    def vocab_size(self) -> int:
        return int(self.reference.get_vocab_size())

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint16, or uint32 for more than 65 536 tokens."""
        return np.dtype(np.uint16 if self.vocab_size <= 1 << 16 else np.uint32)

    @cached_property
    def _fast(self) -> Any:
        return fast_encoding(self.reference, self.json, is_sound=self.content == GPT2_CONTENT)

    def encode(self, text: str) -> Ids:
        """Token ids of one text, without `<eos>`."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[Ids]:
        """Token ids of each text, without `<eos>`. The text `<|endoftext|>` is text like any other."""
        if self._fast is None:
            return self._encode_by_reference(list(texts))
        return [self._encode_fast(text) for text in texts]

    def _encode_fast(self, text: str) -> Ids:
        try:
            ids: Ids = self._fast.encode_to_numpy(text, disallowed_special=()).astype(self.dtype)
        except ValueError:  # its regular expressions give up on some hundred thousand spaces in a row
            (ids,) = self._encode_by_reference([text])
        return ids

    def _encode_by_reference(self, texts: list[str]) -> list[Ids]:
        encoded = self.reference.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(encoding.ids, self.dtype) for encoding in encoded]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids; `<eos>` leaves no trace, bytes that are not UTF-8 become U+FFFD."""
        return str(self.reference.decode([int(i) for i in ids], skip_special_tokens=True))


def load_tokenizer(spec: str | Path) -> Tokenizer:
    """`gpt2`, or the tokenizer in a tokenizer.json. Raises InputError if it is none or has no end-of-text token."""
    if spec == "gpt2":
        return _gpt2()
    path = Path(spec)
    try:
        return parse_tokenizer(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{spec}: no tokenizer can be read there; give `gpt2` or a tokenizer.json") from error


@lru_cache(maxsize=2)
def parse_tokenizer(content: str, name: str = "tokenizer.json") -> Tokenizer:
    """The tokenizer whose tokenizer.json has this content; `name` is for messages.

    The last ones are remembered: making GPT-2's ready takes as long as encoding some million tokens.
    """
    from tokenizers import Tokenizer as Reference

    try:
        reference = Reference.from_str(content)
    except Exception as error:  # the library raises nothing narrower
        raise InputError(f"{name}: not a tokenizer.json: {error}") from error
    for eos in EOS_NAMES:
        if (eos_id := reference.token_to_id(eos)) is not None:
            return _tokenizer(reference, eos_id)
    raise InputError(f"{name}: no end-of-text token, none of {', '.join(EOS_NAMES)} is in the vocabulary")


def train_bpe(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train a byte-level BPE of `vocab_size` tokens, or fewer if the texts have no more pairs that occur twice.

    Id 0 is `<eos>`, 1 to 256 are the bytes, then come the merges. The same texts give the same ids.
    Raises ValueError if the vocabulary has no room for the bytes.
    """
    from tokenizers import Tokenizer as Reference
    from tokenizers import decoders, models, pre_tokenizers, trainers

    if vocab_size < 257:
        raise ValueError(f"vocab_size {vocab_size}: needs at least 257, for <eos> and the bytes")
    reference = Reference(models.BPE())
    reference.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    reference.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    reference.train_from_iterator(texts, trainer)
    return _tokenizer(reference, 0)


@lru_cache(maxsize=1)
def _gpt2() -> Tokenizer:
    """GPT-2's tokenizer from the shipped merges: first the bytes, then what each merge makes, `<eos>` last."""
    from tokenizers import Tokenizer as Reference
    from tokenizers import decoders, models, pre_tokenizers

    compressed = files("datassay.corpus").joinpath("data/gpt2-merges.txt.gz").read_bytes()
    lines = gzip.decompress(compressed).decode().splitlines()[1:]  # the first says `#version`
    merges = [(left, right) for left, right in map(str.split, lines)]
    tokens = [*byte_alphabet().values(), *(line.replace(" ", "") for line in lines)]
    reference = Reference(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    reference.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    reference.decoder = decoders.ByteLevel()
    reference.add_special_tokens([EOS])
    return _tokenizer(reference, len(tokens))


def _tokenizer(reference: Any, eos_id: int) -> Tokenizer:
    reference.encode_special_tokens = True  # a special token that stands in a text is text
    reference.no_truncation()
    reference.no_padding()
    return Tokenizer(reference, eos_id)


def fast_encoding(reference: Any, content: str, *, is_sound: bool = False) -> Any | None:
    """A `tiktoken.Encoding` that gives the same ids as `reference`, or None if that is not certain.

    content: of its tokenizer.json
    is_sound: the reference is known to encode the bytes of every token as that token

    tiktoken merges the adjacent pair whose concatenation has the lowest id, the reference the pair whose merge comes
    first. Both do the same if the ids of merges rise in their order, none occurs twice, and the reference encodes the
    bytes of every token as that one token: were another pair with the same concatenation ever adjacent when its turn
    came, the reference would leave that token's own bytes as two.
    """
    from tiktoken import Encoding

    config = orjson.loads(content)
    model = config["model"]
    is_byte_level = (
        model["type"] == "BPE"
        and all(not model.get(name) for name in ("dropout", "unk_token", "continuing_subword_prefix", "ignore_merges"))
        and config["normalizer"] is None
        and config["pre_tokenizer"] is not None
        and config["pre_tokenizer"]["type"] == "ByteLevel"
        and not config["pre_tokenizer"]["add_prefix_space"]
        and config["pre_tokenizer"]["use_regex"]
        and all(token["special"] for token in config["added_tokens"])
    )
    if not is_byte_level:
        return None
    special = {token["content"]: token["id"] for token in config["added_tokens"]}
    to_byte = {character: byte for byte, character in byte_alphabet().items()}
    ids = {token: i for token, i in model["vocab"].items() if token not in special}
    merged = [ids[left + right] for left, right in model["merges"]]
    if sorted(set(merged)) != merged or len(ids) != len(merged) + 256 or not all(byte in ids for byte in to_byte):
        return None
    if min(merged, default=256) < max(ids[byte] for byte in to_byte):
        return None
    if not is_sound and any(len(reference.model.tokenize(token)) != 1 for token in ids):
        return None
    latin1 = {ord(character): byte for character, byte in to_byte.items()}
    ranks = {token.translate(latin1).encode("latin-1"): i for token, i in ids.items()}
    return Encoding("datassay", pat_str=GPT2_PATTERN, mergeable_ranks=ranks, special_tokens=special)


class TrainTokenizerSettings(BaseModel, frozen=True, extra="forbid"):
    """A byte-level BPE trained on a sample of the corpus."""

    vocab_size: int = Field(16_384, ge=257)
    """Tokens of the vocabulary, `<eos>` and the 256 bytes among them."""
    max_bytes: int = Field(100_000_000, ge=1)
    """UTF-8 bytes of text to train on: whole documents chosen by hash of their id."""
    seed: int = 0
    """Another seed chooses other documents."""


TRAIN_TOKENIZER_VERSION = 1
"""Raised by hand whenever the stage's bytes change."""


def train_tokenizer(inputs: Inputs, settings: TrainTokenizerSettings, out: Outputs) -> None:
    """Train a tokenizer on a sample of dataset `corpus` (columns `id` and `text`); writes tokenizer.json."""
    texts = sample_texts(inputs.all("corpus"), settings.max_bytes, settings.seed)
    tokenizer = train_bpe(texts, settings.vocab_size)
    out.counts["n_tokens"] = tokenizer.vocab_size
    with out.file("tokenizer", ".json") as path:
        path.write_text(tokenizer.json, encoding="utf-8")


def sample_texts(paths: Sequence[Path], max_bytes: int, seed: int) -> Iterator[str]:
    """The texts of documents in Parquet shards, chosen by hash of id, of `max_bytes` UTF-8 bytes together at most.

    They come in the order of the shards. If even the first chosen is longer than `max_bytes`, it is cut, so that
    there is always something.
    """
    chances, sizes = [], []
    for batch in read_batches(paths, columns=["id", "text"]):
        chances.append(uniform(seed, batch.column("id").to_pylist()))
        sizes.append(pc.binary_length(batch.column("text")).to_numpy(zero_copy_only=False).astype(np.int64))
    if not chances:
        return
    chance, size = np.concatenate(chances), np.concatenate(sizes)  # (documents,) both
    order = np.argsort(chance, kind="stable")
    n_chosen = max(1, int(np.searchsorted(np.cumsum(size[order]), max_bytes, side="right")))
    is_chosen = np.zeros(len(order), np.bool_)
    is_chosen[order[:n_chosen]] = True
    n_before = 0
    for batch in read_batches(paths, columns=["text"]):
        for i in np.flatnonzero(is_chosen[n_before : n_before + batch.num_rows]):
            text = batch.column("text")[int(i)].as_py()
            yield text.encode()[:max_bytes].decode(errors="ignore")
        n_before += batch.num_rows

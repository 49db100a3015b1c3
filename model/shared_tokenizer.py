"""One tokenizer for all variants of an ablation, trained on equal bytes of each, so that it favours none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from datassay.corpus.engine import Inputs
from datassay.corpus.hashing import uniform
from datassay.corpus.store import Outputs, read_batches
from datassay.corpus.tokenizer import train_bpe


class SharedTokenizerSettings(BaseModel, frozen=True, extra="forbid"):
    """A byte-level BPE trained on equal bytes of several variants."""

    vocab_size: int = Field(4096, ge=257)
    """Tokens of the vocabulary, `<eos>` and the 256 bytes among them."""
    max_bytes: int = Field(20_000_000, ge=1)
    """UTF-8 bytes of text to train on, of all variants together."""
    seed: int = 0
    """Another seed chooses other documents."""


SHARED_TOKENIZER_VERSION = 1
"""Raised by hand whenever the stage's bytes change."""


def train_shared_tokenizer(inputs: Inputs, settings: SharedTokenizerSettings, out: Outputs) -> None:
    """Train on dataset `corpus` as mixed by the variants, a file of ids each in `kept`; writes tokenizer.json."""
    kept = [kept_ids(path) for path in inputs.all("kept")]
    texts = mixed_texts(inputs.all("corpus"), kept, max_bytes=settings.max_bytes, seed=settings.seed)
    tokenizer = train_bpe(texts, settings.vocab_size)
    out.counts["n_tokens"] = tokenizer.vocab_size
    with out.file("tokenizer", ".json") as path:
        path.write_text(tokenizer.json, encoding="utf-8")


def kept_ids(path: Path) -> pa.ChunkedArray:
    """The documents of a variant, from a Parquet file with a column `id`."""
    return pq.read_table(path, columns=["id"]).column("id")


def mixed_texts(paths: Sequence[Path], kept: Sequence[pa.ChunkedArray], *, max_bytes: int, seed: int) -> Iterator[str]:
    """Texts whose bytes come in about equal parts from each variant, `max_bytes` in expectation or all there are.

    A document is chosen for a variant where the hash of its id lies below the share that the variant may give; what
    several variants chose is yielded for each of them. The order is that of the shards.
    """
    n_bytes = np.zeros(len(kept))
    for batch in read_batches(paths, columns=["id", "text"]):
        sizes = pc.binary_length(batch.column("text")).to_numpy(zero_copy_only=False)
        n_bytes += _membership(batch, kept) @ sizes
    part = min(max_bytes / len(kept), float(n_bytes.min()))  # equal bytes, as many as the smallest variant has
    shares = part / np.maximum(n_bytes, 1)
    for batch in read_batches(paths, columns=["id", "text"]):
        chance = uniform(seed, batch.column("id").to_pylist())  # (documents,)
        chosen = _membership(batch, kept) & (chance < shares[:, None])
        texts = batch.column("text")
        for i, times in enumerate(chosen.sum(axis=0)):
            if times:
                text = texts[i].as_py()
                yield from (text for _ in range(times))


def _membership(batch: pa.RecordBatch, kept: Sequence[pa.ChunkedArray]) -> NDArray[np.bool_]:
    """(variants, documents): whether each variant keeps each document of the batch."""
    ids = batch.column("id")
    return np.array([pc.is_in(ids, value_set=of).to_numpy(zero_copy_only=False) for of in kept], np.bool_)

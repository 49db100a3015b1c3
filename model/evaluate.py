"""Loss on held-out documents: nats and bytes of each, and bits per byte of any group of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from datassay.corpus.tokens import TokenShard
from datassay.model.gpt import GPT
from datassay.model.runtime import autocast


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model needed for each document, so that intervals can be drawn over documents."""

    document_ids: tuple[str, ...]
    nats: NDArray[np.float64]
    """(documents,), of all tokens together; `<eos>` is context and never a target"""
    n_bytes: NDArray[np.int64]
    """(documents,), UTF-8 bytes of the original text"""
    n_tokens: NDArray[np.int64]
    """(documents,)"""

    @property
    def bpb(self) -> float:
        """Bits per byte of all documents together: sum of nats / ln 2 / sum of bytes; NaN without bytes."""
        n_bytes = int(self.n_bytes.sum())
        return float(self.nats.sum()) / math.log(2) / n_bytes if n_bytes else math.nan

    @property
    def nats_per_token(self) -> float:
        """Comparable between models of the same tokenizer only; NaN without tokens."""
        n_tokens = int(self.n_tokens.sum())
        return float(self.nats.sum()) / n_tokens if n_tokens else math.nan


@torch.no_grad()
def evaluate(
    model: GPT,
    documents: TokenShard,
    *,
    seq_len: int | None = None,
    stride: int | None = None,
    batch_tokens: int = 8192,
    precision: str = "auto",
) -> Evaluation:
    """Nats and bytes of each document, every one read alone after an `<eos>`.

    A document longer than seq_len (the model's, if None) is read in windows that begin every `stride` tokens (half of
    seq_len, if None); only what the window before did not hold is counted, so that all tokens but the first seq_len
    have at least seq_len - stride tokens of context. Raises ValueError if the vocabularies differ or the stride is
    outside 1 … seq_len.
    """
    if documents.vocab_size != model.config.vocab_size:
        raise ValueError(f"documents of {documents.vocab_size} tokens, model of {model.config.vocab_size}")
    seq_len = seq_len or model.config.seq_len
    stride = stride or max(1, seq_len // 2)
    if not stride <= seq_len <= model.config.seq_len:
        raise ValueError(f"stride {stride} <= seq_len {seq_len} <= {model.config.seq_len} does not hold")
    device = model.token_embedding.weight.device
    nats = np.zeros(len(documents), np.float64)
    windows = sorted(plan_windows(documents.lengths, seq_len, stride), key=lambda window: window.end - window.begin)
    for rows in batches(windows, batch_tokens):
        ids = np.full((len(rows), rows[-1].end - rows[-1].begin + 1), documents.eos_id, np.int64)  # (B, T + 1), padded
        is_counted = np.zeros((len(rows), ids.shape[1] - 1), np.bool_)  # (B, T)
        for row, window in enumerate(rows):
            text = documents.document(window.document)
            first = max(0, window.begin - 1)  # the token before the first target, or <eos>
            ids[row, first - (window.begin - 1) : window.end - window.begin + 1] = text[first : window.end]
            is_counted[row, window.first_counted - window.begin : window.end - window.begin] = True
        tensor = torch.from_numpy(ids).to(device)
        with autocast(device, precision=precision):
            losses = model.nats(tensor[:, :-1], tensor[:, 1:], torch.from_numpy(is_counted).to(device))  # (counted,)
        owners = np.array([window.document for window in rows])[np.nonzero(is_counted)[0]]  # (counted,)
        np.add.at(nats, owners, losses.double().cpu().numpy())
    names = tuple(documents.document_ids.to_pylist())
    return Evaluation(names, nats, documents.n_bytes.astype(np.int64), documents.lengths.astype(np.int64))


@dataclass(frozen=True, slots=True)
class Window:
    """Targets begin … end - 1 of a document, of which those from first_counted on are counted."""

    document: int
    begin: int
    first_counted: int
    end: int


def plan_windows(lengths: NDArray[np.int64], seq_len: int, stride: int) -> Iterator[Window]:
    """Windows of at most seq_len targets that count each token of documents of these lengths once."""
    for document, length in enumerate(lengths.tolist()):
        counted = 0
        while counted < length:
            end = min(length, counted + (stride if counted else seq_len))
            yield Window(document, max(0, end - seq_len), counted, end)
            counted = end


def batches(windows: Sequence[Window], batch_tokens: int) -> Iterator[Sequence[Window]]:
    """Groups of windows, sorted by length, of at most batch_tokens when padded to their longest, or of one window."""
    begin = 0
    for i, window in enumerate(windows):
        if i > begin and (i - begin + 1) * (window.end - window.begin) > batch_tokens:
            yield windows[begin:i]
            begin = i
    if windows:
        yield windows[begin:]

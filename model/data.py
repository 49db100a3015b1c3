"""Training batches from documents: one endless stream of tokens, cut into windows.

Documents are packed: `<eos>` before each, no mask between them (Brown et al. 2020, section 2.3). Which document comes
when is a hash of (seed, epoch, document id), so that documents that two variants share come in the same relative order
in both. A batch is a pure function of its step: resuming is asking for the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from datassay.corpus.errors import InputError
from datassay.corpus.hashing import splitmix64
from datassay.corpus.tokens import TokenShard


class TokenStream:
    """The documents of token shards in an order by hash, endlessly, another order each epoch.

    An epoch is cut into as many lanes as a batch has rows, and row b of a batch goes on where row b of the batch before
    ended: each window continues its document, while the rows of a batch come from far apart.
    """

    def __init__(
        self, shards: Sequence[TokenShard], keep: pa.Array | pa.ChunkedArray | None = None, *, seed: int = 0
    ) -> None:
        """Documents whose id is in `keep`; all if None. Raises InputError if none is left or tokenizers differ."""
        if len({shard.tokenizer for shard in shards}) > 1:
            raise InputError("token shards of different tokenizers; tokenize all documents with one")
        self.shards = tuple(shards)
        self.seed = seed
        kept = [_kept(shard, keep) for shard in shards]
        self._shard = np.repeat(np.arange(len(shards), dtype=np.int32), [len(rows) for rows in kept])  # (documents,)
        self._row = np.concatenate(kept) if kept else np.zeros(0, np.int64)  # (documents,)
        if not len(self._row):
            raise InputError("no documents to train on: the token shards hold none of those that are kept")
        self._n_tokens = (
            np.concatenate([s.lengths[rows] for s, rows in zip(shards, kept, strict=True)]) + 1
        )  # with <eos>
        self._hash = np.concatenate([_hashes(s.document_ids, rows) for s, rows in zip(shards, kept, strict=True)])
        self._epoch = lru_cache(maxsize=2)(self.epoch_order)

    @property
    def vocab_size(self) -> int:
        return self.shards[0].vocab_size

    @property
    def eos_id(self) -> int:
        return self.shards[0].eos_id

    @property
    def tokenizer(self) -> str:
        return self.shards[0].tokenizer

    @property
    def n_documents(self) -> int:
        return len(self._row)

    @property
    def n_tokens(self) -> int:
        """Tokens of an epoch, `<eos>` included."""
        return int(self._n_tokens.sum())

    @property
    def content(self) -> str:
        """16 hex digits that name the documents, their sizes and their order."""
        return xxhash.xxh3_64_hexdigest(
            self.tokenizer.encode() + self._hash.tobytes() + self._n_tokens.tobytes() + str(self.seed).encode()
        )

    def steps_per_epoch(self, batch_size: int, seq_len: int) -> int:
        """Batches until the documents begin again; the less than batch_size * seq_len tokens over are left out."""
        return max(1, self.n_tokens // (batch_size * seq_len))

    def batch(self, step: int, batch_size: int, seq_len: int) -> NDArray[np.int64]:
        """The windows of a step: (batch_size, seq_len + 1), so that each has a next token for all but its last."""
        n_steps = self.steps_per_epoch(batch_size, seq_len)
        epoch, within = divmod(step, n_steps)
        rows = [self._read(epoch, (b * n_steps + within) * seq_len, seq_len + 1) for b in range(batch_size)]
        return np.stack(rows)

    def _read(self, epoch: int, position: int, n_tokens: int) -> NDArray[np.int64]:
        """`n_tokens` tokens of an epoch from `position` on; after its last comes its first again."""
        order, ends = self._epoch(epoch)
        position %= int(ends[-1])
        out = np.empty(n_tokens, np.int64)
        n_done, place = 0, int(np.searchsorted(ends, position, side="right"))
        offset = position - int(ends[place] - self._n_tokens[order[place]])  # 0 is the document's <eos>
        while n_done < n_tokens:
            if offset == 0:
                out[n_done] = self.eos_id
                n_done, offset = n_done + 1, 1
            document = order[place]
            ids = self.shards[self._shard[document]].document(self._row[document])
            piece = ids[offset - 1 : offset - 1 + n_tokens - n_done]
            out[n_done : n_done + len(piece)] = piece
            n_done, offset, place = n_done + len(piece), 0, (place + 1) % len(order)
        return out

    def epoch_order(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The order of documents in an epoch, and where each ends in its stream: (documents,) both."""
        key = splitmix64(self.seed, epoch + 1)[-1]
        mixed = (self._hash ^ key) * np.uint64(0x9E3779B97F4A7C15)  # wraps modulo 2**64
        mixed ^= mixed >> np.uint64(32)
        order = np.lexsort((self._hash, mixed * np.uint64(0xD6E8FEB86659FD93)))
        return order, np.cumsum(self._n_tokens[order])


def _kept(shard: TokenShard, keep: pa.Array | pa.ChunkedArray | None) -> NDArray[np.int64]:
    """Rows of a shard whose document is in `keep`."""
    if keep is None:
        return np.arange(len(shard), dtype=np.int64)
    is_kept = pc.is_in(shard.document_ids, value_set=keep)
    return np.flatnonzero(is_kept.to_numpy()).astype(np.int64)


def _hashes(document_ids: pa.ChunkedArray, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    names = document_ids.take(pa.array(rows)).to_pylist()
    return np.array([xxhash.xxh3_64_intdigest(name.encode()) for name in names], np.uint64)

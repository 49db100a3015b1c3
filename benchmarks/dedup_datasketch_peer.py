"""datasketch's side of `dedup_end_to_end.py`: an index in memory, the first of similar documents stays.

    python dedup_datasketch_peer.py KEPT.txt FILE...      FILEs: Parquet with id, text; writes the kept ids, one a line

The fastest way found: shingles of one pass of `re`, xxh32, `MinHash.bulk`, and an index that is only told of what stays
and does not check for repeated keys. It asks no second time whether documents that share a band are similar.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import xxhash
from datasketch import MinHash, MinHashLSH

BANDS, ROWS = 14, 8
WORDS = re.compile(r"\w+")


def shingles(text: str) -> list[bytes]:
    words = WORDS.findall(text.lower())
    return [one.encode() for one in map(" ".join, zip(words, words[1:], words[2:], words[3:], words[4:], strict=False))]


def kept_ids(paths: Sequence[str]) -> list[str]:
    kept = []
    index = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    for path in paths:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=1000, columns=["id", "text"]):
            sets = map(shingles, batch["text"].to_pylist())
            signed = MinHash.bulk(sets, num_perm=BANDS * ROWS, hashfunc=xxhash.xxh32_intdigest)
            for id, one in zip(batch["id"].to_pylist(), signed, strict=True):
                if not index.query(one):
                    index.insert(id, one, check_duplication=False)
                    kept.append(id)
    return kept


def main() -> None:
    """See the module."""
    Path(sys.argv[1]).write_text("".join(id + "\n" for id in kept_ids(sys.argv[2:])))


if __name__ == "__main__":
    main()

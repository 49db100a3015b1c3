"""rensa's side of `dedup_signatures.py`, run by a Python that has rensa and not datassay.

    python dedup_rensa_peer.py TEXTS.json < QUESTIONS > ANSWERS

A question is a line {"way": "update" or "matrix", "n_permutations", "digests": bool}; the answer {"seconds": CPU
seconds from text to signatures} or {"digests": them}. `update` makes a sketch of each document; `matrix` signs all
documents in one call.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rensa import RMinHash

WORDS = re.compile(r"\w+")


def shingles(text: str) -> list[str]:
    words = WORDS.findall(text.lower())
    return list(map(" ".join, zip(words, words[1:], words[2:], words[3:], words[4:], strict=False)))


def sign(texts: Sequence[str], way: str, n_permutations: int) -> Any:
    if way == "matrix":
        return RMinHash.digest_matrix_from_token_sets([shingles(text) for text in texts], n_permutations, 1)
    signed = []
    for text in texts:
        one = RMinHash(num_perm=n_permutations, seed=1)
        one.update(shingles(text))
        signed.append(one)
    return signed


def main() -> None:
    """See the module."""
    texts = json.loads(Path(sys.argv[1]).read_text())
    for line in sys.stdin:
        question = json.loads(line)
        begin = time.process_time()
        signed = sign(texts, question["way"], question["n_permutations"])
        answer: dict[str, object] = {"seconds": time.process_time() - begin}
        if question.get("digests"):
            rows = signed.to_rows() if question["way"] == "matrix" else [one.digest() for one in signed]
            answer = {"digests": [list(row) for row in rows]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

"""Make datatrove_decisions.npz: what datatrove 0.10.1 decides of texts of the shipped sample and of variants of them.

    python tests/data/build_datatrove_decisions.py /path/to/peer/bin/python

where the peer has `pip install datatrove spacy regex "xxhash<4"`. Of each text there are the first 64 bits of its
SHA-256 and a bit for each rule, filter and chain, by the sorted names of benchmarks/datatrove_peer.py: set if dropped.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
DECISIONS = Path(__file__).with_name("datatrove_decisions.npz")
MAX_CHARS = 4000


def sample_texts() -> list[str]:
    """The texts of the sample, cut, and of each one variant that is near or beyond some limit."""
    sample = ROOT / "examples" / "sample"
    paths = [sample / "reference.parquet", *sorted((sample / "validation").glob("*.parquet"))]
    texts = [text[:MAX_CHARS] for path in paths for text in pq.read_table(path)["text"].to_pylist()]
    return texts + [variant(text, kind) for kind, text in enumerate(texts)]


def variant(text: str, kind: int) -> str:
    """The text made worse in one of 14 ways."""
    words, lines = text.split(), text.splitlines()
    n = 3 + kind % 11  # so that documents lie on both sides of a limit
    worse = (
        lambda: " ".join(words[: 30 + 4 * n]),
        lambda: "\n".join(lines + lines[: len(lines) * n // 20]),
        lambda: "\n\n".join([text[:800]] + [text[:200]] * (n // 3)),
        lambda: " ".join(words[::2]) + f" {' '.join(words[: 3 + n % 3])}." * n,
        lambda: text.translate({ord(mark): None for mark in ".,;:!?\"'"}),
        lambda: "\n".join(" ".join(words[i : i + n]) for i in range(0, len(words), n)),
        lambda: "\n".join(("- " if i % 20 < n + 8 else "") + line for i, line in enumerate(lines)),
        lambda: "\n".join(line + ("..." if i % 20 < n else "") for i, line in enumerate(lines)),
        lambda: "".join(f"{word} {'# ' if i % 20 < n // 4 else ''}" for i, word in enumerate(words)),
        lambda: text.upper() if n % 2 else text.replace(" the ", " teh ").replace(" of ", " fo "),
        lambda: f"{text[:300]} {{ {text[300:600]}" if n % 2 else f"{text[:500]}\nLorem ipsum dolor sit amet.",
        lambda: "\n".join(f"{line} [{i}]" if i % 2 else f"    {line} uses cookies" for i, line in enumerate(lines)),
        lambda: " ".join(f"{i}, {word}" if i % 10 < n else word for i, word in enumerate(words[:400])),
        lambda: "\n".join(words[i] for i in range(0, len(words), 7)) + "\n" + text[: 100 * n],
    )
    return worse[kind % len(worse)]()


def text_hash(text: str) -> int:
    """The first 64 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def main() -> None:
    """See the module."""
    texts = sample_texts()
    rows = "".join(json.dumps({"id": str(i), "text": text}) + "\n" for i, text in enumerate(texts))
    command = [sys.argv[1], str(ROOT / "benchmarks" / "datatrove_peer.py")]
    run = subprocess.run(command, input=rows, stdout=subprocess.PIPE, text=True, check=True)
    verdicts = [json.loads(line)["dropped"] for line in run.stdout.splitlines()[1:]]
    names = sorted(verdicts[0])
    bits = [sum(row[name] << bit for bit, name in enumerate(names)) for row in verdicts]
    np.savez_compressed(
        DECISIONS,
        names=np.array(names),
        hashes=np.array([text_hash(text) for text in texts], np.uint64),
        dropped=np.array(bits, np.uint64),
    )
    print(f"{len(texts)} texts, dropped:", {name: sum(row[name] for row in verdicts) for name in names})


if __name__ == "__main__":
    main()

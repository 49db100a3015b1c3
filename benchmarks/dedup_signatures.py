"""MinHash signatures from raw text on one core, beside datasketch and rensa.

    python benchmarks/dedup_signatures.py [--rensa-python PYTHON]      PYTHON: of an environment with rensa 0.5.0

The same documents of 2,000 characters (benchmarks/dedup_corpus.py: needs the shared data, or Parquet of real prose
given with --texts) go through each library as its users would put them through, by the fastest way found that keeps to
classic MinHash. Shingles are word 5-grams, words being runs of \\w in lower case: made in Python for the peers, since
they take ready shingles, and inside the kernel here. rensa's `rho` digests are left out: with the same bands they find
a quarter of the pairs of similarity .8 to .9.

All run on one core in rounds that alternate; CPU seconds, medians, and the range of ratios over rounds. Beside each
speed stands how far the signatures are from the true similarity of planted pairs, and what theory expects:
sqrt(J (1 - J) / permutations). The pairs have no document in common. "shingles alone" is Python's part by its fastest
way, which no peer can outrun.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

SINGLE = dict.fromkeys(("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
os.environ |= SINGLE  # before the libraries read them

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import xxhash  # noqa: E402
from datasketch import MinHash  # noqa: E402
from dedup_corpus import make_pool, prose, write_corpus  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from datassay.dedup.minhash import permutations, sign_sets  # noqa: E402
from datassay.dedup.shingles import shingles  # noqa: E402

N_DOCUMENTS, COPIES, N_ROUNDS = 4000, 0.4, 5
N_PERMUTATIONS = (112, 256)
WORDS = re.compile(r"\w+")

Signatures = NDArray[np.unsignedinteger[Any]]
Sign = Callable[[], Signatures]


def ours(texts: pa.Array, n_permutations: int) -> Sign:
    parameters = permutations(n_permutations, 1)
    return lambda: sign_sets(shingles(texts, words=5, characters=8), parameters)


def word_shingles(text: str) -> list[str]:
    """The fastest of six ways tried in plain Python; that a shingle comes twice does no harm."""
    words = WORDS.findall(text.lower())
    return list(map(" ".join, zip(words, words[1:], words[2:], words[3:], words[4:], strict=False)))


def datasketch(texts: Sequence[str], n_permutations: int, hash_function: Callable[[bytes], int] | None) -> Sign:
    def sign() -> Signatures:
        sets = ([shingle.encode() for shingle in word_shingles(text)] for text in texts)
        signed = MinHash.bulk(sets, num_perm=n_permutations, hashfunc=hash_function)
        return np.array([one.hashvalues for one in signed])

    return sign


class Rensa:
    """rensa in its own interpreter, which times itself, see dedup_rensa_peer.py."""

    def __init__(self, python: str, texts: Path) -> None:
        command = [python, str(Path(__file__).with_name("dedup_rensa_peer.py")), str(texts)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **question: object) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        return ask(self.process.stdin, self.process.stdout, question)

    def seconds(self, way: str, n_permutations: int) -> float:
        return float(self.ask(way=way, n_permutations=n_permutations)["seconds"])

    def signatures(self, way: str, n_permutations: int) -> Signatures:
        return np.array(self.ask(way=way, n_permutations=n_permutations, digests=True)["digests"], np.uint64)


def ask(stdin: IO[str], stdout: IO[str], question: object) -> Any:
    stdin.write(json.dumps(question) + "\n")
    stdin.flush()
    return json.loads(stdout.readline())


def seconds_of(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def errors(signatures: Signatures, a: NDArray[np.int64], b: NDArray[np.int64], true: NDArray[np.float64]) -> str:
    """Root mean square error of the estimate over pairs, its bias, and the error that theory expects."""
    off = (signatures[a] == signatures[b]).mean(axis=1) - true
    expected = np.sqrt((true * (1 - true)).mean() / signatures.shape[1])
    return f"{np.sqrt((off**2).mean()):.4f} {off.mean():+8.4f} {expected:10.4f}"


def measure(folder: Path, rensa_python: str | None, n_rounds: int) -> None:
    documents = pq.read_table(folder / "documents-00000.parquet")
    array = documents["text"].combine_chunks().cast(pa.large_string())
    texts = array.to_pylist()
    rows = {id: row for row, id in enumerate(documents["id"].to_pylist())}
    truth = [row for row in pq.read_table(folder / "truth.parquet").to_pylist() if row["jaccard"] < 1]
    a, b = (np.array([rows[pair[end]] for pair in truth]) for end in ("a", "b"))
    true = np.array([pair["jaccard"] for pair in truth])

    timed: dict[str, Callable[[], float]] = {
        "shingles alone": lambda: seconds_of(lambda: [word_shingles(t) for t in texts])
    }
    signed: dict[str, Sign] = {}
    for n in N_PERMUTATIONS:
        ways = {"datassay": ours(array, n), "datasketch xxh32": datasketch(texts, n, xxhash.xxh32_intdigest)}
        if n == N_PERMUTATIONS[0]:
            ways["datasketch sha1 (default)"] = datasketch(texts, n, None)
        for name, sign in ways.items():
            timed[f"{name}, {n}"] = lambda sign=sign: seconds_of(sign)  # type: ignore[misc]
            signed[f"{name}, {n}"] = sign
    if rensa_python:
        (folder / "texts.json").write_text(json.dumps(texts))
        rensa = Rensa(rensa_python, folder / "texts.json")
        for n in N_PERMUTATIONS:
            for way in ("update", "matrix"):
                timed[f"rensa {way}, {n}"] = lambda way=way, n=n: rensa.seconds(way, n)  # type: ignore[misc]
                signed[f"rensa {way}, {n}"] = lambda way=way, n=n: rensa.signatures(way, n)  # type: ignore[misc]

    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for round_ in range(n_rounds + 1):
        for name, work in timed.items():
            taken = work()
            if round_:  # the first compiles
                seconds[name].append(taken)
    show(seconds, {name: errors(sign(), a, b, true) for name, sign in signed.items()}, texts, len(truth))


def show(seconds: dict[str, list[float]], quality: dict[str, str], texts: Sequence[str], n_pairs: int) -> None:
    mean_chars = sum(map(len, texts)) / len(texts)
    print(f"{len(texts)} documents of {mean_chars:.0f} characters, one core, CPU time; errors over {n_pairs} pairs")
    print(f"{'':29} {'documents/s':>11}  {'datassay is faster by':22} {'error':>6} {'bias':>8} {'in theory':>10}")
    for name, taken in seconds.items():
        n = name.rpartition(", ")[2] if ", " in name else str(N_PERMUTATIONS[0])
        ratios = np.array(taken) / np.array(seconds[f"datassay, {n}"])
        faster = f"{np.median(ratios):.1f}x ({ratios.min():.1f}–{ratios.max():.1f})"
        rate = len(texts) / np.median(taken)
        print(f"{name:29} {rate:11,.0f}  {faster:22} {quality.get(name, '')}")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rensa-python", help="an interpreter that has rensa")
    parser.add_argument("--texts", type=Path, nargs="*", default=[], help="Parquet with a column `text`, of real prose")
    parser.add_argument("--rounds", type=int, default=N_ROUNDS)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # and the peer's, which is started from here
    with TemporaryDirectory() as folder:
        write_corpus(
            Path(folder), make_pool(prose(arguments.texts)), n_documents=N_DOCUMENTS, copies=COPIES, max_copies=1
        )
        measure(Path(folder), arguments.rensa_python, arguments.rounds)


if __name__ == "__main__":
    main()

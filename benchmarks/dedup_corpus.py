"""A corpus of any size with planted near copies, and the true similarity of every planted pair.

    python benchmarks/dedup_corpus.py FOLDER [FILE...] --documents 1000000      as FOLDER/documents-00000.parquet, ...

Real sentences are recombined: of FILEs (Parquet with a column `text`), or else of the good English prose of the shared
data (DATASSAY_SHARED). A tenth of the documents are copies of others, at random places, in clusters whose numbers of
copies follow a power law (exponent 2.5, up to 1000). A copy is its original but for words replaced, deleted, inserted,
all three, sentences that changed places, a tail that is cut; or the same text. How much is changed is spread so that
every similarity from about .4 on occurs.

`truth.parquet` has a, b, jaccard, cluster (id of the original) and same_text, by exact Jaccard similarity of the sets
of word 5-grams, words being runs of \\w in lower case. Of clusters of up to 64 documents it lists every pair; of larger
ones the pairs with the original, and of each copy with the 16 that follow it, in order of id.

Each document is a function of the seed and its number, so a corpus is the same bytes at every run, and memory holds one
shard. `--check N` compares all pairs of the first N documents that share a shingle, prints the largest similarity that
was not planted, and recomputes the similarity of a thousand planted pairs from the files in plain Python.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled

DOCUMENT = pa.schema([("id", pa.string()), ("text", pa.string())])
TRUTH = pa.schema(
    [
        pa.field("a", pa.string()),
        pa.field("b", pa.string()),
        pa.field("jaccard", pa.float64()),
        pa.field("cluster", pa.string()),
        pa.field("same_text", pa.bool_()),
    ]
)
DOCUMENT_CHARS = (1500, 2500)
SENTENCE_CHARS = (30, 200)
"""Two documents that share two sentences are then at most .15 similar."""
MIN_SENTENCES = 20_000
"""With fewer, documents of 18 sentences would share too many."""
SHINGLE_WORDS = 5
COPIES = 0.1
MAX_COPIES, EXPONENT = 1000, 2.5
WHOLE_CLUSTER, NEXT_COPIES = 64, 16
EDITS = ("same text", "replaced", "deleted", "inserted", "all three", "reordered", "cut")
SAME, REPLACED, DELETED, INSERTED, ALL_THREE, REORDERED, CUT = range(len(EDITS))
MAX_WORDS = 4096
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]’”]*\s+")
WORD = re.compile(r"\w+")


class Pool(NamedTuple):
    """Sentences, cut into words: each with what follows it up to the next word, at the end a space or a line end."""

    data: NDArray[np.uint8]
    word_starts: NDArray[np.int64]  # (words + 1,), in data
    words: NDArray[np.uint64]  # (words,), equal for words that are equal in lower case
    sentence_starts: NDArray[np.int64]  # (sentences + 1,), in words


@dataclass(frozen=True, slots=True)
class Plan:
    """What each document is, (documents,) each."""

    original: NDArray[np.int64]  # the document that it is a copy of, or itself
    edit: NDArray[np.int64]  # see EDITS
    amount: NDArray[np.float64]  # similarity aimed at; of REORDERED, 0 to 1


def good_prose(folder: Path) -> Iterator[str]:
    """The texts of edited English prose in the shared corpus, copies left out."""
    truth = pq.read_table(folder / "truth.parquet", columns=["id", "good", "dup_of"])
    chosen = truth.filter(pc.and_(truth["good"], pc.is_null(truth["dup_of"])))["id"]
    for path in sorted(folder.glob("raw-*.parquet")):
        table = pq.read_table(path, columns=["id", "text"])
        yield from table.filter(pc.is_in(table["id"], chosen))["text"].to_pylist()


def texts_of(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        for batch in pq.ParquetFile(path).iter_batches(columns=["text"]):
            yield from batch["text"].drop_null().to_pylist()


def sentences_of(texts: Iterator[str]) -> list[str]:
    """The distinct sentences of a fitting length, with white space made one space.

    A sentence whose lower case has another length is left out, so that words are the same in any surroundings.
    """
    found: dict[str, None] = {}
    for text in texts:
        for sentence in SENTENCE_END.split(text):
            plain = " ".join(sentence.split())
            if SENTENCE_CHARS[0] <= len(plain) <= SENTENCE_CHARS[1] and len(plain.lower()) == len(plain):
                found[plain] = None
    return list(found)


def make_pool(texts: Iterator[str]) -> Pool:
    """The sentences of these texts as one pool. Every fourth ends a line."""
    lengths: list[int] = []
    words: list[int] = []
    counts: list[int] = []
    pieces: list[bytes] = []
    numbers: dict[str, int] = {}
    for sentence in sentences_of(texts):
        matches = [match.span() for match in WORD.finditer(sentence)]
        if len(matches) < SHINGLE_WORDS or "Σ" in sentence:
            continue
        lower = sentence.lower()
        words += [numbers.setdefault(lower[start:end], len(numbers)) for start, end in matches]
        ends = [start for start, _ in matches[1:]]
        whole = sentence + ("\n" if len(counts) % 4 == 3 else " ")
        cuts = [whole[start:end].encode() for start, end in zip([0, *ends], [*ends, None], strict=True)]
        lengths += map(len, cuts)
        pieces += cuts
        counts.append(len(matches))
    if len(counts) < MIN_SENTENCES:
        raise SystemExit(f"{len(counts)} distinct sentences in these texts, at least {MIN_SENTENCES} are needed")
    return Pool(
        np.frombuffer(b"".join(pieces), np.uint8),
        np.cumsum([0, *lengths]),
        mix(np.array(words, np.uint64)),
        np.cumsum([0, *counts]),
    )


def make_plan(n_documents: int, *, copies: float, max_copies: int, seed: int) -> Plan:
    """Which documents are copies of which, and how they are changed."""
    rng = np.random.Generator(np.random.PCG64(seed))
    n_copies = round(n_documents * copies)
    places = rng.permutation(n_documents)
    sizes = np.minimum(rng.zipf(EXPONENT, n_copies + 1), min(max_copies, max(1, n_documents // 20)))
    originals = np.repeat(places[n_copies : n_copies + len(sizes)], sizes[: n_documents - n_copies])[:n_copies]
    original = np.arange(n_documents)
    original[places[:n_copies]] = originals
    edit, amount = np.zeros(n_documents, np.int64), np.ones(n_documents)
    edit[places[:n_copies]] = rng.integers(0, len(EDITS), n_copies)
    amount[places[:n_copies]] = rng.uniform(0.4, 1, n_copies)
    return Plan(original, edit, amount)


@compiled
def mix(x: Any) -> Any:
    """Spread 64 bits over 64 bits: the finalizer of splitmix64 (Steele, Lea, Flood 2014)."""
    x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@compiled
def draw(state: Any, below: int) -> int:
    """The next number from 0 to `below` - 1 of a stream; state: (1,)."""
    state[0] = mix(state[0])
    return int((state[0] >> np.uint64(11)) % np.uint64(below))


@compiled
def draw_share(state: Any) -> float:
    """The next number from 0 to 1."""
    return float(draw(state, 1 << 30) / (1 << 30))


@compiled
def words_of(document: int, original: int, edit: int, amount: float, pool: Pool, seed: int, out: Any) -> int:
    """Write the places, in the pool, of the words of a document to `out`; how many there are."""
    state = np.empty(1, np.uint64)
    state[0] = mix(np.uint64(seed)) ^ mix(np.uint64(original))
    n_bytes = DOCUMENT_CHARS[0] + draw(state, DOCUMENT_CHARS[1] - DOCUMENT_CHARS[0])
    chosen = np.empty(256, np.int64)
    n_sentences = n_written = 0
    while n_written < n_bytes and n_sentences < len(chosen):
        sentence = draw(state, len(pool.sentence_starts) - 1)
        chosen[n_sentences] = sentence
        n_sentences += 1
        start, end = pool.sentence_starts[sentence], pool.sentence_starts[sentence + 1]
        n_written += pool.word_starts[end] - pool.word_starts[start]
    state[0] = mix(np.uint64(seed + 1)) ^ mix(np.uint64(document))
    if edit == REORDERED:
        for _ in range(1 + int(amount * 4)):
            i, j = draw(state, n_sentences), draw(state, n_sentences)
            chosen[i], chosen[j] = chosen[j], chosen[i]
    # a shingle outlives words changed at this rate with probability (1 - rate)**5, and 2 J / (1 + J) of them are left
    rate = 1 - (2 * amount / (1 + amount)) ** (1 / SHINGLE_WORDS)
    n = 0
    for k in range(n_sentences):
        for word in range(pool.sentence_starts[chosen[k]], pool.sentence_starts[chosen[k] + 1]):
            how = edit
            if edit == ALL_THREE:
                how = REPLACED + draw(state, 3)
            if how in (REPLACED, DELETED, INSERTED) and draw_share(state) < rate:
                if how != DELETED:
                    out[n] = draw(state, len(pool.words))
                    n += 1
                if how != INSERTED:
                    continue
            out[n] = word
            n += 1
    return max(SHINGLE_WORDS, int(n * amount)) if edit == CUT else n


@compiled
def write_texts(first: int, last: int, original: Any, edit: Any, amount: Any, pool: Pool, seed: int) -> Any:
    """The texts of documents first to last - 1: bytes, and where each begins."""
    words = np.empty(MAX_WORDS, np.int64)
    offsets = np.zeros(last - first + 1, np.int32)
    data = np.empty((last - first) * DOCUMENT_CHARS[1] * 2 + (1 << 16), np.uint8)
    end = 0
    for i in range(first, last):
        n_words = words_of(i, original[i], edit[i], amount[i], pool, seed, words)
        for k in range(n_words):
            for place in range(pool.word_starts[words[k]], pool.word_starts[words[k] + 1]):
                data[end] = pool.data[place]
                end += 1
        while data[end - 1] == 32 or data[end - 1] == 10:  # the white space at the end
            end -= 1
        offsets[i - first + 1] = end
    return data[:end], offsets


@compiled
def shingles_of(document: int, original: int, edit: int, amount: float, pool: Pool, seed: int, words: Any) -> Any:
    """64-bit hashes of the shingles of a document, sorted and distinct."""
    n_words = words_of(document, original, edit, amount, pool, seed, words)
    hashes = np.empty(n_words - SHINGLE_WORDS + 1, np.uint64)
    for i in range(len(hashes)):
        shingle = np.uint64(0)
        for j in range(i, i + SHINGLE_WORDS):
            shingle = mix(shingle ^ pool.words[words[j]])
        hashes[i] = shingle
    hashes.sort()
    n = 1
    for i in range(1, len(hashes)):
        if hashes[i] != hashes[n - 1]:
            hashes[n] = hashes[i]
            n += 1
    return hashes[:n]


@compiled
def jaccard(x: Any, y: Any) -> float:
    """|x ∩ y| / |x ∪ y| of sorted sets."""
    i = j = n_common = 0
    while i < len(x) and j < len(y):
        n_common += x[i] == y[j]
        is_behind = x[i] <= y[j]
        j += y[j] <= x[i]
        i += is_behind
    return n_common / (len(x) + len(y) - n_common)


@compiled
def cluster_pairs(members: Any, starts: Any, original: Any, edit: Any, amount: Any, pool: Pool, seed: int) -> Any:
    """Every pair that the truth lists: a, b, similarity.

    members: documents of all clusters, one cluster after the other, the original first
    starts:  (clusters + 1,)
    """
    words = np.empty(MAX_WORDS, np.int64)
    a, b, similarity = [0][:0], [0][:0], [0.0][:0]
    for cluster in range(len(starts) - 1):
        here = members[starts[cluster] : starts[cluster + 1]]
        sets = [shingles_of(i, original[i], edit[i], amount[i], pool, seed, words) for i in here]
        reach = len(here) if len(here) <= WHOLE_CLUSTER else NEXT_COPIES + 1
        for i in range(len(here)):
            for j in range(i + 1, len(here) if i == 0 else min(len(here), i + reach)):
                a.append(here[i])
                b.append(here[j])
                similarity.append(jaccard(sets[i], sets[j]))
    return np.array(a), np.array(b), np.array(similarity)


def id_of(number: int) -> str:
    return f"{number:09d}"


def clusters_of(plan: Plan) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The documents of the clusters, the original first, then in order; where each cluster begins, and the end."""
    n_members = np.bincount(plan.original, minlength=len(plan.original))
    members = np.flatnonzero(n_members[plan.original] > 1)
    is_copy = plan.original[members] != members
    members = members[np.lexsort((members, is_copy, plan.original[members]))]
    starts = np.flatnonzero(np.diff(plan.original[members], prepend=-1))
    return members, np.append(starts, len(members))


def truth_of(plan: Plan, pool: Pool, seed: int) -> pa.Table:
    members, starts = clusters_of(plan)
    a, b, similarity = cluster_pairs(members, starts, plan.original, plan.edit, plan.amount, pool, seed)
    same = (plan.edit[a] == SAME) & (plan.edit[b] == SAME)
    columns = [list(map(id_of, numbers)) for numbers in (a, b, plan.original[a])]
    return pa.table([columns[0], columns[1], similarity, columns[2], same], schema=TRUTH)


def write_corpus(
    folder: Path,
    pool: Pool,
    *,
    n_documents: int,
    seed: int = 1,
    shard_rows: int = 50_000,
    copies: float = COPIES,
    max_copies: int = MAX_COPIES,
) -> list[Path]:
    """Write the shards and the truth; the paths of the shards."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = make_plan(n_documents, copies=copies, max_copies=max_copies, seed=seed)
    paths: list[Path] = []
    for first in range(0, n_documents, shard_rows):
        last = min(n_documents, first + shard_rows)
        data, offsets = write_texts(first, last, plan.original, plan.edit, plan.amount, pool, seed)
        texts = pa.StringArray.from_buffers(last - first, pa.py_buffer(offsets), pa.py_buffer(data))
        table = pa.table([list(map(id_of, range(first, last))), texts], schema=DOCUMENT)
        paths.append(folder / f"documents-{len(paths):05d}.parquet")
        pq.write_table(table, paths[-1], compression="zstd", row_group_size=10_000)
    pq.write_table(truth_of(plan, pool, seed), folder / "truth.parquet", compression="zstd")
    return paths


@compiled
def unplanted_similarities(
    starts: Any, order: Any, runs: Any, run_starts: Any, document_of: Any, original: Any
) -> tuple[int, Any]:
    """Compare every pair of documents that share a shingle and are of different clusters, exactly.

    starts:      (documents + 1,), where each document's shingles begin
    order:       (shingles,), which orders them by hash, then by document
    runs:        (shingles,), which run of equal hashes each one belongs to
    run_starts:  (runs + 1,), in `order`
    document_of: (shingles,)
    returns:     the number of pairs, and a histogram of their similarity in hundredths
    """
    n_documents = len(starts) - 1
    counts = np.zeros(n_documents, np.int64)
    met = np.empty(n_documents, np.int64)
    histogram = np.zeros(101, np.int64)
    n_pairs = 0
    for i in range(n_documents):
        n_met = 0
        for place in range(starts[i], starts[i + 1]):
            for k in range(run_starts[runs[place]], run_starts[runs[place] + 1]):
                j = document_of[order[k]]
                if j >= i:
                    break
                if counts[j] == 0:
                    met[n_met] = j
                    n_met += 1
                counts[j] += 1
        for k in range(n_met):
            j = met[k]
            if original[i] != original[j]:
                n_all = starts[i + 1] - starts[i] + starts[j + 1] - starts[j] - counts[j]
                histogram[int(100 * counts[j] / n_all)] += 1
                n_pairs += 1
            counts[j] = 0
    return n_pairs, histogram


def check(pool: Pool, plan: Plan, *, n_documents: int, seed: int) -> None:
    """Print how similar documents are that were not planted."""
    words = np.empty(MAX_WORDS, np.int64)
    sets = [
        shingles_of(i, plan.original[i], plan.edit[i], plan.amount[i], pool, seed, words) for i in range(n_documents)
    ]
    sizes = np.array([len(one) for one in sets])
    hashes = np.concatenate(sets)
    order = np.argsort(hashes, kind="stable")
    is_new = np.diff(hashes[order], prepend=~hashes[order[:1]]) != 0
    runs = np.empty(len(hashes), np.int64)
    runs[order] = np.cumsum(is_new) - 1
    n_pairs, histogram = unplanted_similarities(
        np.cumsum([0, *sizes]),
        order,
        runs,
        np.append(np.flatnonzero(is_new), len(hashes)),
        np.repeat(np.arange(n_documents), sizes),
        plan.original,
    )
    largest = np.flatnonzero(histogram)[-1] if n_pairs else 0
    above = ", ".join(f"{histogram[limit:].sum():,} from .{limit:02d} on" for limit in (5, 10, 20, 30))
    print(f"of the first {n_documents:,} documents {n_pairs:,} pairs that were not planted share a shingle: {above};")
    print(f"the largest similarity is at least .{largest:02d} and below .{largest + 1:02d}")


def show_truth(folder: Path) -> None:
    """Print how many pairs there are by similarity."""
    truth = pq.read_table(folder / "truth.parquet")
    similarity = truth["jaccard"].to_numpy()
    counts, edges = np.histogram(similarity, bins=[0, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1, 1.01])
    sizes = pc.value_counts(truth["cluster"])
    shown = ", ".join(f"{count:,} from {edge:.2f} on" for count, edge in zip(counts, edges, strict=False))
    print(f"{truth.num_rows:,} planted pairs in {len(sizes):,} clusters: {shown}")


def check_truth(folder: Path, *, n_pairs: int = 1000) -> None:
    """Compare the similarities of some pairs with those of the texts in the files."""
    truth = pq.read_table(folder / "truth.parquet")
    chosen = truth.take(np.linspace(0, truth.num_rows - 1, min(n_pairs, truth.num_rows)).astype(int))
    texts = texts_by_id(folder, {*chosen["a"].to_pylist(), *chosen["b"].to_pylist()})
    n_other = 0
    for row in chosen.to_pylist():
        x, y = word_shingles(texts[row["a"]]), word_shingles(texts[row["b"]])
        n_other += abs(similarity_of(x, y) - row["jaccard"]) > 1e-12
    print(f"of {chosen.num_rows} planted pairs {n_other} have another similarity in the files")


def texts_by_id(folder: Path, ids: set[str]) -> dict[str, str]:
    """The texts of these documents of a corpus."""
    wanted = pa.array(sorted(ids), pa.string())
    texts: dict[str, str] = {}
    for path in sorted(folder.glob("documents-*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(10_000):
            here = batch.filter(pc.is_in(batch["id"], wanted))
            texts |= dict(zip(here["id"].to_pylist(), here["text"].to_pylist(), strict=True))
    return texts


def similarity_of(x: set[tuple[str, ...]], y: set[tuple[str, ...]]) -> float:
    return len(x & y) / len(x | y)


def word_shingles(text: str) -> set[tuple[str, ...]]:
    words = WORD.findall(text.lower())
    return {tuple(words[i : i + SHINGLE_WORDS]) for i in range(len(words) - SHINGLE_WORDS + 1)}


def prose(paths: Sequence[Path]) -> Iterator[str]:
    """The texts to take sentences from."""
    return texts_of(paths) if paths else good_prose(Path(os.environ["DATASSAY_SHARED"]) / "data" / "corpus")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("files", type=Path, nargs="*", help="Parquet with a column `text`, of real prose")
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--shard-documents", type=int, default=50_000)
    parser.add_argument("--copies", type=float, default=COPIES, help="share of documents that are copies")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check", type=int, default=0, metavar="N", help="compare all pairs of the first N documents")
    arguments = parser.parse_args()
    begin = time.perf_counter()
    pool = make_pool(prose(arguments.files))
    print(
        f"{len(pool.sentence_starts) - 1:,} sentences, {len(pool.words):,} words: {time.perf_counter() - begin:.0f} s"
    )
    begin = time.perf_counter()
    write_corpus(
        arguments.folder,
        pool,
        n_documents=arguments.documents,
        seed=arguments.seed,
        shard_rows=arguments.shard_documents,
        copies=arguments.copies,
    )
    print(f"{arguments.documents:,} documents: {time.perf_counter() - begin:.0f} s")
    show_truth(arguments.folder)
    if arguments.check:
        check_truth(arguments.folder)
        plan = make_plan(arguments.documents, copies=arguments.copies, max_copies=MAX_COPIES, seed=arguments.seed)
        check(pool, plan, n_documents=min(arguments.check, arguments.documents), seed=arguments.seed)


if __name__ == "__main__":
    main()

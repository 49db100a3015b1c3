"""Recall and precision of near duplicates against every pair that there is, and the speed of signatures.

    python benchmarks/dedup_recall.py [FOLDER]      FOLDER: data/ of the shared data (default: $DATASSAY_SHARED/data)

Pairs of the same text are left out. For each preset and range of true Jaccard similarity (of word 5-grams): the number
of pairs; the share of them that the S-curve promises; that share a band key; that end in one cluster. A pair
that shares a key and has the similarity, and is in no common cluster, was lost because buckets give a star and
neighbours instead of all pairs.
Precision: edges whose similarity, computed anew in plain Python, is below the limit (documents by characters apart).
Speed: CPU time of 2 kB documents, from text to signatures, in rounds that alternate.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from datasketch import MinHash as Datasketch

from datassay.corpus.engine import InlineEngine, Inputs, Task, run_task
from datassay.corpus.stage import StageOutput, run_stage
from datassay.corpus.store import Outputs
from datassay.dedup.clusters import clusters
from datassay.dedup.minhash import permutations, sign_sets
from datassay.dedup.plan import PAIR_STAGES, plan_stage, stage_names
from datassay.dedup.settings import PRESETS, DedupSettings, MinHash, s_curve
from datassay.dedup.shingles import shingle_sets

LIMITS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.01)
N_DOCUMENTS, DOCUMENT_CHARS, N_ROUNDS = 2000, 2000, 5
TEXTS = pa.schema([("id", pa.string()), ("text", pa.large_string())])

Pair = tuple[str, str]


def copy_texts(inputs: Inputs, settings: None, out: Outputs) -> None:  # noqa: ARG001
    """A shard of `clean` that holds what dedup reads."""
    table = pq.read_table(inputs.one("raw"), columns=["id", "text"]).cast(TEXTS)
    with out.parquet("clean", TEXTS) as shard:
        for batch in table.to_batches():
            shard.write(batch)


def run_stages(shards: Sequence[Path], settings: DedupSettings, folder: Path) -> dict[str, StageOutput]:
    tasks = [Task(copy_texts, Inputs({"raw": (path,)}), None, folder / "clean", i, "") for i, path in enumerate(shards)]
    finished = {"clean": StageOutput("clean", folder / "clean", tuple(map(run_task, tasks)))}
    for name in stage_names(settings):
        start = time.process_time()
        finished[name] = run_stage(plan_stage(name, settings, finished), finished, folder, InlineEngine())
        print(f"  {name}: {time.process_time() - start:.2f} s, {dict(finished[name].counts)}")
    return finished


def shared_keys(finished: dict[str, StageOutput]) -> dict[str, set[int]]:
    """The band keys of each document that has any."""
    ids = [pq.read_table(path, columns=["id"])["id"].to_pylist() for path in finished["sign"].paths("signatures")]
    keys: dict[str, set[int]] = {}
    for done in finished["sign"].done:
        for file in done.files:
            if file.dataset == "bands":
                table = pq.read_table(finished["sign"].folder / file.name)
                for key, row in zip(table["key"].to_pylist(), table["row"].to_pylist(), strict=True):
                    keys.setdefault(ids[done.index][row], set()).add(key)
    return keys


def edges(finished: dict[str, StageOutput], stages: Iterable[str]) -> list[tuple[str, str, float]]:
    tables = [pq.read_table(path) for name in stages for path in finished[name].paths("pairs")]
    columns = pa.concat_tables(tables).to_pydict()
    return list(zip(columns["a"], columns["b"], columns["similarity"], strict=True))


def show_recall(finished: dict[str, StageOutput], settings: MinHash, truth: dict[Pair, float]) -> None:
    exact = {b: a for a, b, _ in edges(finished, ["exact"])}  # the first copy of each text stands for the others
    keys = shared_keys(finished)
    found = edges(finished, PAIR_STAGES)
    index = {id: i for i, id in enumerate(sorted({id for pair in [*truth, *found] for id in pair[:2]}))}
    a, b = (np.array([index[edge[end]] for edge in found], np.int64) for end in (0, 1))
    roots = clusters(a, b, len(index))
    print(f"  {'Jaccard':>9} {'pairs':>6} {'S-curve':>8} {'share a key':>12} {'one cluster':>12} {'lost to stars':>14}")
    for low, high in pairwise(LIMITS):
        here = [(pair, jaccard) for pair, jaccard in truth.items() if low <= jaccard < high]
        curve = np.mean([s_curve(settings.bands, settings.rows, jaccard) for _, jaccard in here])
        key = [bool(keys.get(exact.get(x, x), set()) & keys.get(exact.get(y, y), set())) for (x, y), _ in here]
        one = [bool(roots[index[x]] == roots[index[y]]) for (x, y), _ in here]
        lost = sum(
            jaccard >= settings.min_jaccard and has_key and not is_one
            for (_, jaccard), has_key, is_one in zip(here, key, one, strict=True)
        )
        print(
            f"  {low:.1f}–{min(high, 1):.1f} {len(here):>8} {curve:>8.3f} {np.mean(key):>12.3f} {np.mean(one):>12.3f}"
            f" {lost:>14}"
        )


def show_precision(finished: dict[str, StageOutput], min_jaccard: float, texts: dict[str, str]) -> None:
    near = edges(finished, ["verify"])
    array = pa.array([texts[id] for pair in near for id in pair[:2]], pa.large_string())
    by_characters = shingle_sets(array, words=5, characters=8).by_characters.reshape(-1, 2).max(axis=1)
    chosen = [edge for edge, apart in zip(near, by_characters, strict=True) if not apart]
    true = [jaccard(texts[a], texts[b]) for a, b, _ in chosen]
    different = sum(abs(similarity - same) > 1e-9 for (_, _, similarity), same in zip(chosen, true, strict=True))
    below = sum(same < min_jaccard for same in true)
    print(f"  of {len(chosen)} near edges {below} below {min_jaccard}, {different} with another similarity")


def jaccard(a: str, b: str) -> float:
    """Of the sets of word 5-grams, words being runs of \\w in lower case."""
    x, y = word_shingles(a), word_shingles(b)
    return len(x & y) / len(x | y)


def word_shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}


def show_speed(texts: Iterable[str]) -> None:
    long = [text for text in texts if len(text) >= DOCUMENT_CHARS]
    documents = [text[:DOCUMENT_CHARS] for text in long[:N_DOCUMENTS]]
    array = pa.array(documents, pa.large_string())

    def ours(n_permutations: int) -> Callable[[], object]:
        parameters = permutations(n_permutations, 1)
        return lambda: sign_sets(shingle_sets(array, words=5, characters=8), parameters)

    def datasketch(hash_function: Callable[[bytes], int] | None) -> Callable[[], object]:
        def sign() -> object:
            shingles = [[" ".join(words).encode() for words in word_shingles(text)] for text in documents]
            return Datasketch.bulk(shingles, num_perm=112, hashfunc=hash_function)

        return sign

    candidates = {
        "datasketch bulk, sha1, 112": datasketch(None),
        "datasketch bulk, xxh32, 112": datasketch(xxhash.xxh32_intdigest),
        "datassay, 112": ours(112),
        "datassay, 256": ours(256),
    }
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(N_ROUNDS + 1):  # the first round compiles
        for name, sign in candidates.items():
            start = time.process_time()
            sign()
            seconds[name].append(time.process_time() - start)
    base = np.array(seconds["datasketch bulk, xxh32, 112"][1:])
    for name, times in seconds.items():
        ratios = base / np.array(times[1:])
        rate = len(documents) / np.median(times[1:])
        print(f"{name:>28}: {rate:>9.0f} documents/s, {np.median(ratios):.1f}x ({ratios.min():.1f}–{ratios.max():.1f})")


def main(data: Path) -> None:
    corpus = sorted((data / "corpus").glob("raw-*.parquet"))
    pairs = pq.read_table(data / "corpus" / "dup-pairs.parquet").to_pylist()
    graded = pq.read_table(data / "neardup" / "pairs.parquet").to_pylist()
    sets: dict[str, tuple[Sequence[Path], dict[Pair, float]]] = {
        "corpus": (corpus, {(row["a"], row["b"]): row["jaccard"] for row in pairs if not row["same_text"]}),
        "neardup": (
            [data / "neardup" / "docs.parquet"],
            {(row["a"], row["b"]): row["jaccard5"] for row in graded if row["label"] != "exact"},
        ),
    }
    for name, (shards, truth) in sets.items():
        texts = {row["id"]: row["text"] for path in shards for row in pq.read_table(path).to_pylist()}
        for preset in ("fineweb", "datassay"):
            settings = PRESETS[preset]
            print(f"{name}, {preset}: {settings.bands} bands of {settings.rows} rows, from {settings.min_jaccard} on")
            with TemporaryDirectory() as folder:
                finished = run_stages(shards, DedupSettings(minhash=settings), Path(folder))
                show_recall(finished, settings, truth)
                show_precision(finished, settings.min_jaccard, texts)
    show_speed(text for path in corpus for text in pq.read_table(path)["text"].to_pylist())


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(os.environ["DATASSAY_SHARED"]) / "data"))

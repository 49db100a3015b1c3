"""Recall and precision of near duplicates against every pair that there is, by preset and similarity.

    python benchmarks/dedup_recall.py [FOLDER] [--presets fineweb,datassay]

FOLDER is data/ of the shared data (default: $DATASSAY_SHARED/data). Its truth is the exact Jaccard similarity of word
5-grams, words being runs of \\w in lower case, of every pair of documents from .5 on. Pairs of the same text are left
out, and copies of a text are one text: a line counts pairs of distinct texts. Documents in scripts without spaces are
shingled by characters here, so they are counted apart, with similarities of characters by plain Python.

    expected        share of pairs that the S-curve promises, with the central 95 % of the exact (Poisson binomial)
                    distribution, each pair by its own similarity. Pairs that have a document in common are not
                    independent, so more than one share in twenty may lie outside
    share a key     are compared, if a bucket gave all its pairs
    of 20 seeds     the same with other permutations, mean and its standard error: whether a share that lies off is
                    chance
    one cluster     end in one cluster: what a run does. Pairs below the limit get there by way of others alone
    lost            share a key and have the similarity, and are in no common cluster: buckets give a star and
                    neighbours instead of all pairs

Precision: edges whose similarity, by plain Python, is below the limit; and those with another similarity than reported.

Last, documents that differ, in scripts with and without spaces, beside copies of them that lack the last twentieth:
which copies are found, and which edges join documents that share less than half of their runs of five characters.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from datassay.corpus.engine import InlineEngine, Inputs, Task, run_task
from datassay.corpus.stage import StageOutput, run_stage
from datassay.corpus.store import Outputs
from datassay.dedup.clusters import clusters
from datassay.dedup.minhash import band_keys, band_multipliers, permutations, sign_sets
from datassay.dedup.plan import PAIR_STAGES, plan_stage, stage_names
from datassay.dedup.settings import PRESETS, DedupSettings, MinHash, s_curve
from datassay.dedup.shingles import shingles

LIMITS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.01)
SUMMARIES = ((0.7, 0.8), (0.8, 1.01))
LANGUAGES = {"zh": "Chinese", "ja": "Japanese", "th": "Thai", "ko": "Korean", "ar": "Arabic"}
MIN_CHARS = 100
"""Of the documents that are compared with copies of them: a shorter text may be one shingle."""
WORDS, CHARACTERS = 5, 8
N_SEEDS = 20
TEXTS = pa.schema([("id", pa.string()), ("text", pa.large_string())])

Pair = tuple[str, str]
Shingles = set[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Found:
    """What the stages made of some documents."""

    counts: dict[str, int]
    edges: list[tuple[str, str, float]]  # near
    first: dict[str, str]  # of a document that repeats another's text: that other
    roots: dict[str, int]  # of each document with an edge, its cluster

    def are_together(self, a: str, b: str) -> bool:
        return self.roots.get(a, -1) == self.roots.get(b, -2)


def copy_texts(inputs: Inputs, settings: None, out: Outputs) -> None:  # noqa: ARG001
    """A shard of `clean` that holds what dedup reads."""
    table = pq.read_table(inputs.one("raw"), columns=["id", "text"]).cast(TEXTS)
    with out.parquet("clean", TEXTS) as shard:
        for batch in table.to_batches():
            shard.write(batch)


def find(shards: Sequence[Path], settings: MinHash) -> Found:
    """Run all stages over the shards."""
    with TemporaryDirectory() as temp:
        folder = Path(temp)
        tasks = [
            Task(copy_texts, Inputs({"raw": (path,)}), None, folder / "clean", i, "") for i, path in enumerate(shards)
        ]
        finished = {"clean": StageOutput("clean", folder / "clean", tuple(map(run_task, tasks)))}
        for name in stage_names(DedupSettings(minhash=settings)):
            plan = plan_stage(name, DedupSettings(minhash=settings), finished)
            finished[name] = run_stage(plan, finished, folder, InlineEngine())
        chosen = [name for name in PAIR_STAGES if name in finished]
        tables = [pq.read_table(path) for name in chosen for path in finished[name].paths("pairs")]
        counts = {key: n for name in chosen for key, n in finished[name].counts.items()}
    pairs = pa.concat_tables(tables).to_pylist()
    index = {id: i for i, id in enumerate(sorted({row[end] for row in pairs for end in ("a", "b")}))}
    a, b = (np.array([index[row[end]] for row in pairs], np.int64) for end in ("a", "b"))
    roots = clusters(a, b, len(index)).tolist()
    return Found(
        counts,
        [(row["a"], row["b"], row["similarity"]) for row in pairs if row["kind"] == "near"],
        {row["b"]: row["a"] for row in pairs if row["kind"] == "exact"},
        {id: roots[i] for id, i in index.items()},
    )


def is_by_characters(texts: Iterable[str]) -> NDArray[np.bool_]:
    return shingles(pa.array(texts, pa.large_string()), words=WORDS, characters=CHARACTERS).by_characters


def keys_of(texts: dict[str, str], settings: MinHash) -> list[dict[str, set[int]]]:
    """The band keys of each text, with the preset's seed and then with others."""
    array = pa.array(texts.values(), pa.large_string())
    sets = shingles(
        array, words=settings.shingle_words, characters=settings.shingle_chars, by_characters=settings.by_characters
    )
    multipliers = band_multipliers(settings.bands, settings.rows)
    found = []
    for seed in range(settings.seed, settings.seed + N_SEEDS):
        keys = band_keys(sign_sets(sets, permutations(settings.bands * settings.rows, seed)), multipliers)
        found.append({id: set(row.tolist()) for id, row in zip(texts, keys, strict=True)})
    return found


def distinct_pairs(truth: dict[Pair, float], first: dict[str, str]) -> dict[Pair, float]:
    """The pairs of texts: each document stands for all with its text."""
    found: dict[Pair, float] = {}
    for (x, y), similarity in truth.items():
        a, b = sorted((first.get(x, x), first.get(y, y)))
        found[a, b] = similarity
    return found


def expected(probabilities: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean of the share of pairs that are found, and the limits that hold it with 95 % (Poisson binomial, exact)."""
    chances = np.ones(1)  # of each number found
    for p in probabilities:
        chances = np.convolve(chances, [1 - p, p])
    below = np.cumsum(chances)
    limits = np.searchsorted(below, [0.025, 0.975]) / len(probabilities)
    return float(probabilities.mean()), float(limits[0]), float(limits[1])


def show_recall(found: Found, settings: MinHash, truth: dict[Pair, float], keys: list[dict[str, set[int]]]) -> None:
    print(
        f"  {'Jaccard':>9} {'pairs':>6} {'expected':>9} {'95 % of chance':>15} {'share a key':>12} "
        f"{f'of {N_SEEDS} seeds':>15} {'one cluster':>12} {'lost':>5}"
    )
    for low, high in [*pairwise(LIMITS), *SUMMARIES]:
        here = [(a, b, similarity) for (a, b), similarity in truth.items() if low <= similarity < high]
        if not here:
            continue
        mean, least, most = expected(np.array([s_curve(settings.bands, settings.rows, j) for *_, j in here]))
        shares = np.array([[bool(of_seed[a] & of_seed[b]) for a, b, _ in here] for of_seed in keys])
        share, means = shares[0].tolist(), shares.mean(axis=1)
        error = means.std(ddof=1) / np.sqrt(N_SEEDS)
        together = [found.are_together(a, b) for a, b, _ in here]
        lost = sum(
            j >= settings.min_jaccard and has_key and not is_one
            for (*_, j), has_key, is_one in zip(here, share, together, strict=True)
        )
        print(
            f"  {low:.2f}–{min(high, 1):.2f} {len(here):>6} {mean:>9.3f} {f'{least:.3f}–{most:.3f}':>15} "
            f"{means[0]:>12.3f} {f'{means.mean():.3f} ± {error:.3f}':>15} {np.mean(together):>12.3f} {lost:>5}"
        )


def show_precision(found: Found, min_jaccard: float, texts: dict[str, str]) -> None:
    """By words and by characters."""
    ends = [texts[id] for a, b, _ in found.edges for id in (a, b)]
    apart = is_by_characters(ends).reshape(-1, 2)
    for name, chosen in (("words", ~apart.any(axis=1)), ("characters", apart.all(axis=1))):
        edges = [found.edges[i] for i in np.flatnonzero(chosen)]
        shingles_of = word_shingles if name == "words" else character_shingles
        true = [jaccard(shingles_of(texts[a]), shingles_of(texts[b])) for a, b, _ in edges]
        below = sum(same < min_jaccard for same in true)
        other = [abs(reported - same) for (*_, reported), same in zip(edges, true, strict=True) if reported != same]
        print(
            f"  by {name}: of {len(edges)} near edges {below} below {min_jaccard}; {len(other)} of another similarity, "
            f"by {max(other, default=0):.4f} at most"
        )


def jaccard(x: Shingles, y: Shingles) -> float:
    return len(x & y) / len(x | y) if x or y else 0.0


def word_shingles(text: str) -> Shingles:
    """Runs of five words, words being runs of \\w in lower case."""
    return runs(re.findall(r"\w+", text.lower()), WORDS)


def character_shingles(text: str) -> Shingles:
    """Runs of eight of the characters of words, in lower case."""
    return runs(re.findall(r"\w", text.lower()), CHARACTERS)


def runs(parts: Sequence[str], n: int) -> Shingles:
    return {tuple(parts[i : i + n]) for i in range(max(1, len(parts) - n + 1))} if parts else set()


def show_known_pairs(name: str, shards: Sequence[Path], truth: dict[Pair, float], presets: Sequence[str]) -> None:
    """Recall and precision of each preset on documents whose similar pairs are known."""
    texts = {row["id"]: row["text"] for path in shards for row in pq.read_table(path).to_pylist()}
    apart = {id for id, by_characters in zip(texts, is_by_characters(texts.values()), strict=True) if by_characters}
    sets = {id: character_shingles(texts[id]) for id in apart}
    similar = {id for pair in truth for id in pair}
    for preset in presets:
        settings = PRESETS[preset]
        start = time.process_time()
        found = find(shards, settings)
        seconds = time.process_time() - start
        print(
            f"\n{name}, {preset}: {settings.bands} bands of {settings.rows} rows, from {settings.min_jaccard} on "
            f"({len(texts)} documents, {seconds:.1f} s of CPU, {found.counts})"
        )
        keys = keys_of({id: text for id, text in texts.items() if id in apart or id in similar}, settings)
        show_recall(
            found,
            settings,
            distinct_pairs({pair: j for pair, j in truth.items() if not apart & {*pair}}, found.first),
            keys,
        )
        distinct = sorted(apart - found.first.keys())
        by_characters = {(a, b): jaccard(sets[a], sets[b]) for a, b in combinations(distinct, 2)}
        if any(j >= LIMITS[0] for j in by_characters.values()):
            print(f"  in scripts without spaces, all pairs of {len(distinct)} documents, by characters:")
            show_recall(found, settings, by_characters, keys)
        show_precision(found, settings.min_jaccard, texts)


def show_languages(data: Path, presets: Sequence[str]) -> None:
    """What is found among documents that differ, and copies of them."""
    texts: dict[str, dict[str, str]] = {name: {} for name in LANGUAGES.values()}
    names = {row["id"]: row["lang"] for row in pq.read_table(data / "corpus" / "truth.parquet").to_pylist()}
    for path in [*sorted((data / "corpus").glob("raw-*.parquet")), data / "lid" / "dev.parquet"]:
        for row in pq.read_table(path).to_pylist():
            language = row.get("lang") or names[row["id"]]
            if language in LANGUAGES:
                texts[LANGUAGES[language]][row["id"]] = row["text"]
    for preset in presets:
        settings = PRESETS[preset]
        print(f"\ndocuments that differ, and copies, {preset}")
        for language, documents in texts.items():
            long = {id: text for id, text in documents.items() if len(text) >= MIN_CHARS}
            copies = {f"{id}-copy": text[: len(text) * 19 // 20] for id, text in long.items()}
            everything = documents | copies
            with TemporaryDirectory() as folder:
                shard = Path(folder) / "texts.parquet"
                pq.write_table(pa.table([list(everything), list(everything.values())], schema=TEXTS), shard)
                found = find([shard], settings)
            n_found = sum(found.are_together(id, f"{id}-copy") for id in long)
            n_exact, n_own = len(found.first), sum(a + "-copy" == b for a, b, _ in found.edges)
            others = [(a, b) for a, b, _ in found.edges if a + "-copy" != b]
            wrong = [(a, b) for a, b in others if alike(everything[a], everything[b]) < 0.5]
            print(
                f"  {language:9} {len(documents):5} documents, {n_exact} repeat another; of {len(long)} copies "
                f"{n_found} found, {n_own} by an edge; {len(others)} other edges, {len(wrong)} of them wrong"
                + "".join(f"\n    {everything[a]!r}\n    {everything[b]!r}" for a, b in wrong[:3])
            )


def alike(a: str, b: str) -> float:
    """Share of the runs of five characters, white space left out, that two texts have in common."""
    return jaccard(*(runs("".join(text.split()), 5) for text in (a, b)))


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--presets", default="fineweb,datassay", help=f"of {', '.join(PRESETS)}")
    arguments = parser.parse_args()
    data = arguments.folder or Path(os.environ["DATASSAY_SHARED"]) / "data"
    presets = arguments.presets.split(",")
    pairs = pq.read_table(data / "corpus" / "dup-pairs.parquet").to_pylist()
    graded = pq.read_table(data / "neardup" / "pairs.parquet").to_pylist()
    show_known_pairs(
        "corpus",
        sorted((data / "corpus").glob("raw-*.parquet")),
        {(row["a"], row["b"]): row["jaccard"] for row in pairs if not row["same_text"]},
        presets,
    )
    show_known_pairs(
        "neardup",
        [data / "neardup" / "docs.parquet"],
        {(row["a"], row["b"]): row["jaccard5"] for row in graded if row["label"] != "exact"},
        presets,
    )
    show_languages(data, presets)


if __name__ == "__main__":
    main()

"""Language identification against labelled texts and real pages: accuracy, limits, scripts, case, paragraphs, speed.

Needs the shared data (DATASSAY_SHARED). Prints Markdown tables; intervals are of 95 %: Wilson's over texts, and over
languages for macro averages.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from datassay.corpus import language, language_text
from datassay.corpus.clean import clean_text
from datassay.corpus.language import (
    MIN_SCRIPT_SHARE,
    IdentifySettings,
    describe_model,
    judge,
    language_table,
    load_model,
)
from datassay.corpus.language_limits import auto_threshold
from datassay.corpus.language_text import sample
from datassay.corpus.scripts import main_script, script_counts

CLOSE = ({"no", "nn"}, {"bs", "hr", "sr", "sh"}, {"id", "ms"})
"""Languages that the labelled texts themselves tell apart badly, reported as one beside."""
LENGTHS = ("short", "medium", "long")


def interval(n_right: int, n: int) -> str:
    """A share with Wilson's interval of 95 %."""
    if n == 0:
        return "–"
    z, p = 1.96, n_right / n
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return f"{p:.3f} [{(middle - half) / (1 + z * z / n):.3f}, {(middle + half) / (1 + z * z / n):.3f}]"


def macro(is_right: NDArray[np.bool_], labels: NDArray[np.str_]) -> str:
    """The mean over languages of the share that is right, with an interval over languages."""
    shares = np.array([is_right[labels == name].mean() for name in np.unique(labels)])
    return f"{shares.mean():.3f} ± {1.96 * shares.std(ddof=1) / np.sqrt(len(shares)):.3f}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")


def as_before(texts: Sequence[str]) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    """What lid.176 says of the sample as it stands: no preparation, no look at the script."""
    labels, scores = load_model().predict([sample(text) for text in texts], k=1)
    names = [row[0].removeprefix("__label__") if len(row) else "" for row in labels]
    return np.array(names), np.array([row[0] if len(row) else 0.0 for row in scores], np.float64)


def as_now(texts: Sequence[str]) -> tuple[NDArray[np.str_], NDArray[np.float64], NDArray[np.bool_]]:
    """What datassay says, and where the model's first answer was not written in the text's script."""
    answers = judge(texts, script_counts(pa.array(texts, pa.large_string())), k=1)
    names = np.array([row[0] if row else "" for row in answers.languages])
    scores = np.array([row[0] if row else 0.0 for row in answers.scores])
    return names, scores, np.array([fit is False for fit in answers.fits])


def in_group(name: str) -> str:
    return next(("/".join(sorted(group)) for group in CLOSE if name in group), name)


def accuracy(texts: list[str], gold: NDArray[np.str_], length: NDArray[np.str_]) -> None:
    """By length and by language, of the languages that the model knows."""
    before, now = as_before(texts)[0] == gold, as_now(texts)[0]
    right = now == gold
    grouped = np.array([in_group(a) == in_group(b) for a, b in zip(now, gold, strict=True)])
    rows = []
    for name in (*LENGTHS, "all"):
        at = (length == name) | (name == "all")
        micro = [interval(int(ok[at].sum()), int(at.sum())) for ok in (before, right)]
        rows.append([name, at.sum(), *micro, macro(right[at], gold[at]), f"{grouped[at].mean():.3f}"])
    table(["length", "texts", "model alone", "datassay", "mean over languages", "close languages as one"], rows)
    languages = sorted(np.unique(gold), key=lambda name: (right[gold == name].mean(), name))
    rows = []
    for name in [*languages[:20], *languages[-10:]]:
        others, n = np.unique(now[(gold == name) & ~right], return_counts=True)
        most = ", ".join(f"{others[i] or 'none'} {n[i]}" for i in np.argsort(-n, kind="stable")[:3])
        rows.append([name, (gold == name).sum(), f"{right[gold == name].mean():.2f}", most])
    table(["language", "texts", "right", "taken for"], rows)
    n_perfect = sum(right[gold == name].mean() == 1 for name in languages)
    print(f"\n{n_perfect} of {len(languages)} languages have no error.")
    scripts = np.array(main_script(script_counts(pa.array(texts, pa.large_string())))[0], np.str_)
    names = sorted(np.unique(scripts), key=lambda name: -(scripts == name).sum())
    rows = [[name, (scripts == name).sum(), interval(int(right[scripts == name].sum()), int((scripts == name).sum()))]
            for name in names]  # fmt: skip
    table(["script", "texts", "right"], rows)
    rows = []
    for group in CLOSE:
        at = np.isin(gold, list(group))
        rows.append(["/".join(sorted(group)), at.sum(), f"{right[at].mean():.3f}", f"{grouped[at].mean():.3f}"])
    table(["close languages", "texts", "right", "right as a group"], rows)


def limits(texts: list[str], gold: NDArray[np.str_], is_known: NDArray[np.bool_]) -> None:
    """What a limit on the score keeps, and how much of that is right."""
    now, scores, _ = as_now(texts)
    right = now == gold
    found = {name: auto_threshold(scores[is_known & (now == name)]) for name in np.unique(now)}
    rows = []
    for limit in (0.0, 0.3, 0.5, 0.65, 0.8, "auto"):
        at_least = np.array([found[name] for name in now]) if limit == "auto" else limit
        kept = scores >= at_least
        n = int((kept & is_known).sum())
        precision = interval(int((right & kept).sum()), n)
        shares = [n / is_known.sum(), (right & kept).sum() / is_known.sum()]
        shares.append((kept & ~is_known).sum() / (~is_known).sum())
        rows.append([limit, precision, *(f"{share:.3f}" for share in shares)])
    head = ["min_score", "kept texts that are right", "kept", "kept and right", "of languages it does not know, kept"]
    table(head, rows)


def scripts(texts: list[str], gold: NDArray[np.str_]) -> None:
    """What refusing answers that are not written in the text's script does, by the share that its scripts must hold."""
    counts = script_counts(pa.array(texts, pa.large_string()))
    known = describe_model()
    labels, _ = known.fasttext.predict(language_text.lines_to_judge(texts), k=1)
    names = [row[0] if len(row) else "" for row in labels]
    own = [
        row[known.masks[name]].sum() if name else n for row, name, n in zip(counts, names, counts.sum(1), strict=True)
    ]
    share = np.array(own) / np.maximum(counts.sum(axis=1), 1)
    right = np.array([name.removeprefix("__label__") for name in names]) == gold
    rows = [[limit, (share < limit).sum(), (right & (share < limit)).sum()] for limit in (0.01, 0.02, 0.05, 0.1, 0.25)]
    table(["share of the script", "first answers refused", "of them right"], rows)
    now, _, refused = as_now(texts)
    print(f"\nAt {MIN_SCRIPT_SHARE}: {(now == gold)[refused].sum()} right afterwards, ", end="")
    print(f"{(now == '')[refused].sum()} without a language then, of {len(texts)} texts.")


def preparation(texts: list[str], gold: NDArray[np.str_]) -> None:
    """What case, addresses, numbers, symbols and tags do to the model alone and to datassay."""
    changes: dict[str, Callable[[str], str]] = {
        "as it is": lambda text: text,
        "in capitals": str.upper,
        "in title case": str.title,
        "with an address": lambda text: f"{text} https://www.example.com/index.php?id=12345&lang=en info@example.org",
        "with numbers": lambda text: f"2019-05-12 10:35 {text} 12345 67.8 99",
        "with symbols": lambda text: f"*** | >> {text} | * --- *",
        "with tags": lambda text: f'<p class="text"><b>{text}</b> <a href="index.html">»</a></p>',
    }
    rows = []
    for name, change in changes.items():
        changed = [change(text) for text in texts]
        before, now = as_before(changed)[0] == gold, as_now(changed)[0] == gold
        rows.append([name, f"{before.mean():.3f}", interval(int(now.sum()), len(now))])
    table(["text", "model alone", "datassay"], rows)


def real_pages(data: Path) -> None:
    """The pages of the shared corpus with a language, at most 400 of each, copies left out, their text repaired."""
    known = {label.language for label in describe_model().labels.values()}
    truth = {row["id"]: row for row in pq.read_table(data / "corpus/truth.parquet").to_pylist()}
    texts: list[str] = []
    gold: list[str] = []
    for path in sorted((data / "corpus").glob("raw-*.parquet")):
        for row in pq.read_table(path, columns=["id", "text"]).to_pylist():
            name = {"nb": "no"}.get(truth[row["id"]]["lang"], truth[row["id"]]["lang"])
            if name in known and truth[row["id"]]["dup_of"] is None and gold.count(name) < 400:
                texts.append(clean_text(row["text"])[0])
                gold.append(name)
    labels = np.array(gold)
    print(f"\nReal pages: {len(texts)} in {len(set(gold))} languages.")
    rows = []
    for kind, (names, scores) in {"model alone": as_before(texts), "datassay": as_now(texts)[:2]}.items():
        right, kept = names == labels, scores >= 0.65
        share = interval(int(right.sum()), len(right))
        rows.append([kind, share, macro(right, labels), f"{right[kept].mean():.3f}", f"{(right & kept).mean():.3f}"])
    table(["", "right", "mean over languages", "right from 0.65 on", "right and kept at 0.65"], rows)
    scripts(texts, labels)


def paragraphs(texts: list[str], gold: NDArray[np.str_], is_sentence: NDArray[np.bool_]) -> None:
    """Pages of eight sentences, of one language or of two."""
    by_language = {name: [texts[i] for i in np.flatnonzero(is_sentence & (gold == name))] for name in np.unique(gold)}
    by_language = {name: found for name, found in by_language.items() if len(found) >= 40}
    names = list(by_language)
    one = [(name, found[i : i + 8]) for name, found in by_language.items() for i in range(0, 40, 8)]
    rng = np.random.default_rng(0)
    two, shares = [], []
    for _ in range(600):
        a, b = rng.choice(len(names), 2, replace=False)
        n = int(rng.integers(1, 5))
        own, other = by_language[names[a]][: 8 - n], by_language[names[b]][:n]
        two.append((names[a], own + other))
        shares.append(sum(map(len, other)) / sum(map(len, own + other)))
    pages = [*one, *two]
    batch = pa.RecordBatch.from_pydict(
        {"id": [str(i) for i in range(len(pages))], "text": ["\n".join(lines) for _, lines in pages]}
    )
    single, share = np.arange(len(pages)) < len(one), np.array([0.0] * len(one) + shares)

    def measured() -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        result = pa.Table.from_batches([language_table(batch, IdentifySettings(paragraphs=True))])
        is_found = np.array(result["language"].to_pylist()) == np.array([name for name, _ in pages])
        many = result["paragraph_language_count"].to_numpy() > 1
        return result["paragraph_language_fraction"].to_numpy(), many, is_found

    fraction, many, is_found = measured()
    rows = []
    for kind, at in {
        "one language": single,
        "one language, found": single & is_found,
        "two, the second below .25": ~single & (share < 0.25),
        "two, the second from .25 on": ~single & (share >= 0.25),
    }.items():
        n = int(at.sum())
        means = [f"{values[at].mean():.3f}" for values in (1 - share, fraction)]
        rows.append([kind, n, *means, interval(int((fraction[at] < 0.8).sum()), n), interval(int(many[at].sum()), n)])
    head = ["pages", "n", "true share", "mean `paragraph_language_fraction`", "below 0.8"]
    head.append("`paragraph_language_count` > 1")
    table(head, rows)
    rows = []
    chosen = language_text.MIN_CHARS, language.MIN_OWN_SCORE
    for min_chars, own in ((60, 0.1), (100, 0.1), (200, 0.1), (100, 0.5), (100, 0.25), (100, 0.05)):
        language_text.MIN_CHARS, language.MIN_OWN_SCORE = min_chars, own
        fraction, _, is_found = measured()
        wrong, seen = single & is_found, ~single & (share >= 0.25)
        rows.append([min_chars, own, *(f"{(fraction[at] < 0.8).mean():.3f}" for at in (wrong, seen))])
    language_text.MIN_CHARS, language.MIN_OWN_SCORE = chosen
    table(["`MIN_CHARS`", "`MIN_OWN_SCORE`", "one language, found: below 0.8", "two from .25 on: below 0.8"], rows)


def speed(data: Path) -> None:
    """Documents a second of processor time on one core, on the first shard of the shared corpus."""
    path = min((data / "corpus").glob("raw-*.parquet"))
    batch = pq.read_table(path, columns=["id", "text"]).combine_chunks().to_batches()[0]
    texts = batch.column("text").to_pylist()
    language_table(batch[:10], IdentifySettings(paragraphs=True))
    works: dict[str, Callable[[], object]] = {
        "the model alone, on the sample": lambda: as_before(texts),
        "scripts of the whole texts": lambda: script_counts(batch.column("text")),
        "language and script": lambda: language_table(batch, IdentifySettings()),
        "with paragraphs": lambda: language_table(batch, IdentifySettings(paragraphs=True)),
    }
    rows = []
    for name, work in works.items():
        begin = time.process_time()
        work()
        rows.append([name, f"{len(texts) / (time.process_time() - begin):.0f}"])
    table([f"{len(texts)} documents of {sum(map(len, texts)) // len(texts)} characters", "documents/s"], rows)


def main() -> None:
    """Print all tables."""
    data = Path(os.environ["DATASSAY_SHARED"]) / "data"
    labelled = pq.read_table(data / "lid/dev.parquet")
    texts = labelled["text"].to_pylist()
    gold = np.array([{"nb": "no"}.get(name, name) for name in labelled["lang"].to_pylist()])
    length = np.array(labelled["length"].to_pylist())
    is_lingua = np.array([source.startswith("pemistahl") for source in labelled["source"].to_pylist()])
    is_known = np.isin(gold, [label.language for label in describe_model().labels.values()])
    known = [text for text, is_so in zip(texts, is_known, strict=True) if is_so]
    print(f"{len(texts)} texts in {len(set(gold))} languages; the model knows {len(set(gold[is_known]))} of them,")
    print(f"{len(known)} texts. The tables are of these, if they do not say otherwise.")
    accuracy(known, gold[is_known], length[is_known])
    limits(texts, gold, is_known)
    scripts(known, gold[is_known])
    print("\nOf the languages that the model does not know:")
    scripts([text for text, is_so in zip(texts, is_known, strict=True) if not is_so], gold[~is_known])
    preparation(known, gold[is_known])
    real_pages(data)
    paragraphs(known, gold[is_known], (length == "medium")[is_known] & is_lingua[is_known])
    speed(data)


if __name__ == "__main__":
    main()

"""Trains the classifier of blocks that finds a page's main text, or says how good one is by cross-validation.

    python benchmarks/extraction_model.py ../shared/data train corpus/data/main_text.npz
    python benchmarks/extraction_model.py ../shared/data validate

Needs the shared data and `pip install datassay[extractor] readability-lxml`. Examples are

- gold: pages of scrapinghub/article-extraction-benchmark, whose text people typed, and of mozilla/readability's tests;
- distilled: pages of adbar/htmldate on which trafilatura and readability-lxml agree (F1 of words from .8 on), unless
  they share fifteen 8-grams or more with a gold text. They count half, less the less the two agree; blocks on which
  trafilatura's settings for recall and for precision differ count a fifth of that;
- half A of tests/data/page-kinds.jsonl.zst (page_kind_halves.py). The pages of a template count together as the square
  root of their number.

Cross-validation: five folds of one gold set's pages; each is answered by a classifier trained on the other four, on
the other gold set and on all the others. F1 as in corpus/html/evaluation.py. With pages of one's own `datassay
extractor train` and `evaluate` do the same.
"""

from __future__ import annotations

import argparse
import io
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import zstandard
from extraction_f1 import readability_lxml
from page_kind_halves import halves, read_pages

from datassay.corpus.charset import decode
from datassay.corpus.extract import quality_text
from datassay.corpus.html.classifier import save
from datassay.corpus.html.evaluation import answer, page_shares, scores
from datassay.corpus.html.labels import WORD
from datassay.corpus.html.training import Example, Prepared, cross_validation, folds, prepare, train
from datassay.corpus.page_extractor import ExtractSettings
from datassay.corpus.readers import read_records
from datassay.corpus.records import InputFile

PAGE_KINDS = Path(__file__).parents[1] / "tests" / "data" / "page-kinds.jsonl.zst"
GOLD_SETS = ("aeb-", "readability-")
N_FOLDS = 5
SETTINGS = ExtractSettings()
MIN_AGREEMENT = 0.8
MAX_SHARED_GRAMS = 15
MIN_WORDS = 25


@dataclass(frozen=True, slots=True)
class GoldPage:
    """A page of the gold file."""

    name: str
    example: Example
    prepared: Prepared | None


def gold_pages(data: Path) -> list[GoldPage]:
    path = data / "extraction" / "dev.jsonl.zst"
    reader = zstandard.ZstdDecompressor(max_window_size=1 << 28).stream_reader(path.open("rb"))
    pages = []
    for line in io.BufferedReader(reader):
        row = orjson.loads(line)
        example = Example(row["html"].encode(), row["text"])
        pages.append(GoldPage(row["id"], example, prepare(example)))
    return pages


def distilled(data: Path, gold: Sequence[GoldPage]) -> Iterator[Example]:
    """Pages of the archive that belong to no benchmark, with the text on which extractors agree."""
    truth = (orjson.loads(line) for line in (data / "web" / "dev-truth.jsonl").open("rb"))
    wanted = {line["offset"] for line in truth if line["kind"] == "page" and "adbar/htmldate" in line.get("source", "")}
    known = set().union(*(grams(page.example.text) for page in gold))
    archive = data / "web" / "dev.warc.gz"
    file = InputFile(str(archive), archive.name, archive.stat().st_size, "")
    for record in read_records(file, fields={}):
        if record.html is None or record.offset not in wanted:
            continue
        html = decode(record.html, record.charset)[0]
        text = quality_text(html)
        agreement = word_f1(text, readability_lxml(html))
        if agreement < MIN_AGREEMENT or len(WORD.findall(text)) < MIN_WORDS:
            continue
        if len(grams(text) & known) < MAX_SHARED_GRAMS:
            yield Example(html.encode(), text, precise_text(html), weight=0.5 * agreement**2)


def half_a() -> Iterator[Example]:
    """The pages of many kinds that the model may learn from."""
    pages = read_pages(PAGE_KINDS)
    own = [page for page, half in zip(pages, halves(pages), strict=True) if half == "A"]
    n_pages = Counter(page["template"] for page in own)
    for page in own:
        yield Example(page["html"].encode(), page["text"], weight=n_pages[page["template"]] ** -0.5)


def other_pages(data: Path, gold: Sequence[GoldPage]) -> list[Prepared]:
    """All that a classifier learns from besides gold."""
    examples = (*distilled(data, gold), *half_a())
    return [page for example in examples if (page := prepare(example)) is not None]


def precise_text(html: str) -> str:
    import trafilatura

    found = trafilatura.extract(html, fast=True, favor_precision=True, include_comments=False, deduplicate=False)
    return found or ""


def word_f1(a: str, b: str) -> float:
    """Twice the words that two texts share, by those that they have."""
    one, other = Counter(WORD.findall(a)), Counter(WORD.findall(b))
    return 2 * sum((one & other).values()) / max(1, sum(one.values()) + sum(other.values()))


def grams(text: str) -> set[tuple[str, ...]]:
    words = WORD.findall(text)
    return {tuple(words[i : i + 8]) for i in range(len(words) - 7)}


def unseen_answers(
    gold: Sequence[GoldPage], others: Sequence[Prepared], *, prefix: str, seed: int
) -> tuple[list[str], list[str], int]:
    """The text that a classifier which has not seen the page finds in each of a gold set; the same with the most
    doubtful ones given to trafilatura; and how many those were."""
    own = [page for page in gold if page.name.startswith(prefix)]
    rest = [page.prepared for page in gold if not page.name.startswith(prefix)]
    fold = folds([None] * len(own), N_FOLDS, seed=7)
    prepared = [page.prepared for page in own]
    learned = [page for page in rest if page is not None] + list(others)
    found: list[tuple[str, float]] = [("", 0.0)] * len(own)
    for members, classifier in cross_validation(prepared, fold, others=learned, seed=seed):
        for i in members:
            found[i] = answer(own[i].example.html, classifier)
    doubtful = sorted(range(len(own)), key=lambda i: -found[i][1])[: int(SETTINGS.max_routed * len(own))]
    routed = {i: quality_text(own[i].example.html.decode()) for i in doubtful if found[i][1] >= SETTINGS.min_doubt}
    alone = [text for text, _ in found]
    return alone, [routed.get(i) or text for i, text in enumerate(alone)], len(routed)


def validate(gold: Sequence[GoldPage], others: Sequence[Prepared], seed: int) -> None:
    for prefix in GOLD_SETS:
        wanted = [page.example.text for page in gold if page.name.startswith(prefix)]
        alone, routed, n_routed = unseen_answers(gold, others, prefix=prefix, seed=seed)
        for name, texts in (("fast", alone), (f"balanced, {n_routed} routed", routed)):
            f1, precision, recall = scores([page_shares(*pair) for pair in zip(wanted, texts, strict=True)])
            print(f"seed {seed}  {prefix:13} {name:20} F1 {f1:.4f}  P {precision:.4f}  R {recall:.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("verb", choices=["train", "validate"])
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=1, help="of validation")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)  # readability's, a line a page
    gold = gold_pages(options.data)
    others = other_pages(options.data, gold)
    known = [page.prepared for page in gold if page.prepared is not None]
    print(f"{len(known)} gold and {len(others)} other pages")
    if options.verb == "validate":
        for seed in range(1, options.seeds + 1):
            validate(gold, others, seed)
        return
    if options.model is None:
        parser.error("train: where to write the model?")
    save(train([*known, *others]), options.model)
    print(f"{options.model}: {options.model.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

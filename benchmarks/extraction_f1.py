"""Quality and speed of main-content extraction beside others, on pages whose text people typed.

    python benchmarks/extraction_f1.py ../shared/data [--prefix aeb-]

Scores as scrapinghub/article-extraction-benchmark does (corpus/html/evaluation.py). Our own extractor answers each page
with a classifier that has not seen it (extraction_model.py, five folds); its time is that of the one that ships.
`balanced` gives the most doubtful pages to trafilatura, 5 % at most; its time is that of `fast` and of trafilatura on
those pages, as the one that ships is in no doubt about pages that it knows. Times are CPU seconds in one process, the
median of three runs, extractors in turn; ours includes character set and metadata, the others get decoded text and give
text alone. Needs the shared data and `pip install datassay[extractor] readability-lxml justext`.
"""

from __future__ import annotations

import argparse
import io
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import orjson
import zstandard

from datassay.cli.extractors import TEXT_OF
from datassay.corpus.extract import Profile, quality_text
from datassay.corpus.html.evaluation import page_shares, scores
from datassay.corpus.page_extractor import ExtractSettings, Page, PageExtractor
from datassay.corpus.store import Outputs

N_RUNS = 3


@dataclass(frozen=True, slots=True)
class GoldPage:
    html: bytes
    text: str


def gold_pages(path: Path, *, prefix: str = "aeb-") -> Iterator[GoldPage]:
    """The pages of the gold file whose id begins with `prefix`."""
    reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(path.open("rb"))
    with io.BufferedReader(reader) as lines:
        for line in lines:
            page = orjson.loads(line)
            if page["id"].startswith(prefix):
                yield GoldPage(page["html"].encode(), page["text"])


def readability_lxml(html: str) -> str:
    """Empty where it gives up."""
    import lxml.etree
    import readability

    try:
        return TEXT_OF["readability-lxml"](html)
    except (lxml.etree.LxmlError, readability.readability.Unparseable):
        return ""


PEERS: dict[str, Callable[[str], str]] = {
    "trafilatura": TEXT_OF["trafilatura"],
    "trafilatura fast, recall": TEXT_OF["trafilatura-recall"],
    "resiliparse main_content": TEXT_OF["resiliparse"],
    "readability-lxml": readability_lxml,
    "jusText, English": TEXT_OF["justext"],
}


def in_profile(pages: Sequence[GoldPage], profile: Profile) -> list[str]:
    """The text of each page, by the classifier that ships."""
    with TemporaryDirectory() as folder:
        extractor = PageExtractor(ExtractSettings(profile=profile, gate=False), Outputs(Path(folder), 0))
        return [found.text for found in extractor([Page(page.html, "utf-8") for page in pages])]


def balanced(pages: Sequence[GoldPage], routed: Sequence[GoldPage]) -> None:
    """What `balanced` takes where these pages are routed."""
    in_profile(pages, "fast")
    for page in routed:
        quality_text(page.html.decode())


def cpu_seconds(functions: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Median CPU seconds of each, run in turn after a first time that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for run in range(N_RUNS + 1):
        for name, function in functions.items():
            start = time.process_time()
            function()
            if run:
                seconds[name].append(time.process_time() - start)
    return {name: median(times) for name, times in seconds.items()}


def main() -> None:
    from extraction_model import gold_pages as examples
    from extraction_model import other_pages, unseen_answers

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--prefix", default="aeb-", help="of the pages' names: aeb- or readability-")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    gold = examples(options.data)
    others = other_pages(options.data, gold)
    alone, routed, n_routed = unseen_answers(gold, others, prefix=options.prefix, seed=options.seed)
    pages = list(gold_pages(options.data / "extraction" / "dev.jsonl.zst", prefix=options.prefix))
    texts = {"fast": alone, "balanced": routed}
    texts |= {name: [peer(page.html.decode()) for page in pages] for name, peer in PEERS.items()}
    html = [page.html.decode() for page in pages]
    functions: dict[str, Callable[[], object]] = {
        "fast": partial(in_profile, pages, "fast"),
        "balanced": partial(balanced, pages, [page for page, a, b in zip(pages, alone, routed, strict=True) if a != b]),
    }
    functions |= {name: partial(lambda peer: [peer(page) for page in html], peer) for name, peer in PEERS.items()}
    seconds = cpu_seconds(functions)
    print(f"{len(pages)} pages {options.prefix}, {n_routed} routed in balanced")
    print(f"{'':26}{'F1':>6} {'P':>6} {'R':>6} {'empty':>6} {'pages/s':>8} {'x trafilatura':>14}")
    for name, found in texts.items():
        shares = [page_shares(page.text, text) for page, text in zip(pages, found, strict=True)]
        f1, precision, recall = scores(shares)
        n_empty = sum(not text for text in found)
        speed = f"{len(pages) / seconds[name]:8,.0f} {seconds['trafilatura'] / seconds[name]:14.1f}"
        print(f"{name:26}{f1:6.3f} {precision:6.3f} {recall:6.3f} {n_empty:6} {speed}")


if __name__ == "__main__":
    main()

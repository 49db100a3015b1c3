"""WARC files in, tokens out, on two cores: whole commands, the preset `fineweb` beside FineWeb's script in datatrove.

    python benchmarks/pipeline_vs_datatrove.py WARC... --work FOLDER [--peer-python PYTHON] [--profiles fast balanced]

WARC are files with real pages; web/dev.warc.gz and web/crawl-dev-*.warc.gz of the shared data were used. PYTHON is of
an environment with `pip install "datatrove[io,processing]==0.10.1" "xxhash<4" spacy lxml_html_clean`; without it, our
side runs alone.

Every page goes into the new WARC files COPIES times, each time as another page: of three in ten of its words others of
the same page stand in place, and a line with its number comes first. So no two pages have the same bytes, of which
datassay would extract one only; most copies are no near duplicates; and tags, scripts, lengths, languages and words are
those of real pages. Pages with few words in ASCII letters stay near duplicates. The same seed gives the same bytes.

The same steps on both sides: WARC, main text, language (fastText's lid.176.ftz, English from .65 on), the filters of
FineWeb's script, MinHash of 14 bands of 8, the corpus written, GPT-2's tokens. Wall time and CPU time are of the
command with all processes below it, start and imports included. Our compiled functions are cached before, once per
installation.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dedup_memory import Usage, measure

from datassay.corpus.inputs import find_inputs
from datassay.corpus.language import MODEL
from datassay.corpus.readers import read_records
from datassay.corpus.tokenizer import load_tokenizer
from datassay.corpus.tokens import open_tokens

COMMAND = (sys.executable, "-c", "from datassay.cli.main import main; main()")
"""`datassay` of this interpreter, whatever the path."""
HERE = Path(__file__).parent
N_FILES = 8
MAX_PAGE_BYTES = 1 << 20
"""Where Common Crawl used to cut pages off."""
SWAPPED = 0.3
"""Share of words that stand for others: two copies share word 5-grams with Jaccard similarity below .05."""
PROFILES = ("quality", "balanced", "fast")
RECIPE = """
name = "pipeline"
[input]
paths = ["{inputs}/*.warc.gz"]
[extract]
profile = "{profile}"
[language]
keep = ["en"]
min_score = 0.65
[[rules]]
preset = "fineweb"
[dedup]
minhash = "fineweb"
[tokenize]
tokenizer = "gpt2"
"""
MARKUP = re.compile(rb"(<script\b.*?</script>|<style\b.*?</style>|<!--.*?-->|<[^>]*>)", re.DOTALL | re.IGNORECASE)
WORD = re.compile(rb"(?<![&#A-Za-z0-9\x80-\xff])[A-Za-z]{2,}(?![;A-Za-z0-9\x80-\xff])")
"""Words in ASCII letters that are no part of an entity or of a character of several bytes."""
BODY = re.compile(rb"<body\b[^>]*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Run:
    """What one side took and left."""

    name: str
    usage: Usage
    n_kept: int
    n_tokens: int


def write_copies(paths: Sequence[Path], folder: Path, *, n_copies: int, seed: int) -> int:
    """Write N_FILES WARC files with `n_copies` copies of every page; the number of pages."""
    folder.mkdir(parents=True)
    files = [(folder / f"pages-{i}.warc.gz").open("wb") for i in range(N_FILES)]
    n_pages = 0
    try:
        for _ in range(n_copies):
            for html, charset in pages_of(paths):
                rng = random.Random(f"{seed} {n_pages}")
                files[n_pages % N_FILES].write(warc_record(other_page(html, n_pages, rng), charset, n_pages))
                n_pages += 1
    finally:
        for file in files:
            file.close()
    return n_pages


def pages_of(paths: Sequence[Path]) -> Iterator[tuple[bytes, str | None]]:
    """The bytes of each page, with the charset of its HTTP header."""
    for file in find_inputs([str(path) for path in paths]):
        for record in read_records(file, fields={}):
            if record.html and not record.reason and len(record.html) <= MAX_PAGE_BYTES:
                yield record.html, record.charset


def other_page(html: bytes, number: int, rng: random.Random) -> bytes:
    """The page with some of its words in place of others, and a line with its number."""
    parts = MARKUP.split(html)  # text and markup in turn
    words = [word for text in parts[::2] for word in WORD.findall(text)]

    def swap(match: re.Match[bytes]) -> bytes:
        return rng.choice(words) if rng.random() < SWAPPED else match.group()

    parts[::2] = [WORD.sub(swap, text) for text in parts[::2]]
    page = b"".join(parts)
    return BODY.sub(lambda match: match.group() + b"<p>Page number %d of this collection.</p>" % number, page, count=1)


def warc_record(html: bytes, charset: str | None, number: int) -> bytes:
    """A response with the page, as one gzip member."""
    stated = f"; charset={charset}" if charset else ""
    http = f"HTTP/1.1 200 OK\r\nContent-Type: text/html{stated}\r\nContent-Length: {len(html)}\r\n\r\n".encode() + html
    head = (
        "WARC/1.0\r\nWARC-Type: response\r\n"
        f"WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-{number:012x}>\r\n"
        f"WARC-Target-URI: https://site-{number % 997}.example.org/page/{number}\r\n"
        "WARC-Date: 2024-05-01T00:00:00Z\r\nWARC-Identified-Payload-Type: text/html\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    )
    return gzip.compress(head.encode() + http + b"\r\n\r\n", 6, mtime=0)


def datassay(inputs: Path, work: Path, profile: str, *, n_rounds: int) -> Run:
    """Our side, the median of some rounds by CPU time."""
    work.mkdir(parents=True)
    recipe = work / "recipe.toml"
    recipe.write_text(RECIPE.format(inputs=inputs, profile=profile))
    usages = []
    for i in range(n_rounds):
        command = [*COMMAND, "run", str(recipe), "-o", str(work / f"run-{i}"), "--workers", "2", "--until", "tokens"]
        with (work / f"run-{i}.log").open("w") as log:
            usages.append(measure(command, output=log.fileno()))
    print(f"  {profile}: CPU {', '.join(f'{usage.cpu:.1f}' for usage in usages)} s", flush=True)
    shards = [open_tokens(path) for path in (work / "run-0").glob("tokens-*/tokens/*")]
    usage = sorted(usages, key=lambda usage: usage.cpu)[n_rounds // 2]
    return Run(f"datassay, {profile}", usage, sum(map(len, shards)), sum(shard.n_tokens for shard in shards))


def datatrove(python: str, inputs: Path, work: Path) -> Run:
    """datatrove's side, with the language model and the tokenizer that come with datassay."""
    work.mkdir(parents=True)
    tokenizer = work / "gpt2.json"
    tokenizer.write_text(load_tokenizer("gpt2").json)
    command = [python, str(HERE / "pipeline_datatrove_peer.py"), str(inputs), str(work), str(tokenizer), str(MODEL)]
    with (work / "peer.log").open("w") as log:
        usage = measure(command, output=log.fileno())
    found = json.loads((work / "found.json").read_text())
    print(f"  datatrove: {found}", flush=True)
    return Run("datatrove", usage, found["n_kept"], found["n_tokens"])


def show(runs: Sequence[Run], n_pages: int, peer: Run | None) -> None:
    """A Markdown table; ratios are the peer's time by ours."""
    print("\n| | CPU s | wall s | pages per CPU second | kept | tokens | CPU ratio | wall ratio |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for run in [*runs, *([peer] if peer else [])]:
        ratios = ("", "")
        if peer is not None and run is not peer:
            ratios = (f"{peer.usage.cpu / run.usage.cpu:.1f}", f"{peer.usage.wall / run.usage.wall:.1f}")
        print(
            f"| {run.name} | {run.usage.cpu:.1f} | {run.usage.wall:.1f} | {n_pages / run.usage.cpu:.0f} | "
            f"{run.n_kept:,} | {run.n_tokens:,} | {ratios[0]} | {ratios[1]} |"
        )


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("warc", type=Path, nargs="+")
    parser.add_argument("--work", type=Path, required=True, help="a new folder")
    parser.add_argument("--peer-python", help="an interpreter that has datatrove")
    parser.add_argument("--profiles", nargs="+", choices=PROFILES, default=PROFILES)
    parser.add_argument("--rounds", type=int, default=3, help="runs of our command; the peer runs once")
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    inputs = work / "inputs"
    n_pages = write_copies(arguments.warc, inputs, n_copies=arguments.copies, seed=arguments.seed)
    n_bytes = sum(path.stat().st_size for path in inputs.glob("*.warc.gz"))
    print(f"{n_pages:,} pages in {N_FILES} WARC files, {n_bytes / 1e6:.0f} MB compressed", flush=True)
    runs = [datassay(inputs, work / profile, profile, n_rounds=arguments.rounds) for profile in arguments.profiles]
    peer = datatrove(arguments.peer_python, inputs, work / "peer") if arguments.peer_python else None
    show(runs, n_pages, peer)


if __name__ == "__main__":
    main()

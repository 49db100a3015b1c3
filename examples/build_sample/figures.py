"""What the sample holds, measured; and the promises about it, checked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

from compose import naive
from pages import Page
from sources import Text, work

MAX_BYTES = 8_000_000
MAX_GOOD_SHARE = 0.5
MIN_TOKENS = 1_200_000
VOCAB_SIZE = 4096
N_GRAM = 13  # words, as in Brown et al. 2020, appendix C
MAX_OVERLAP = 0.01  # of a held-out text's 13-grams


def n_grams(text: str) -> set[bytes]:
    """Hashes of the text's 13-grams of lower-case words."""
    words = re.findall(r"\w+", text.lower())
    grams = (" ".join(words[start : start + N_GRAM]) for start in range(len(words) - N_GRAM + 1))
    return {blake2b(gram.encode(), digest_size=8).digest() for gram in grams}


def drop_overlapping(
    held_out: Mapping[str, Sequence[Text]], pages: Sequence[Page], reference: Sequence[Text]
) -> dict[str, list[Text]]:
    """`held_out` without the texts that share more than MAX_OVERLAP of their 13-grams with sample or reference."""
    seen: set[bytes] = set()
    for text in (*map(naive, pages), *(page.prose for page in pages), *(each.text for each in reference)):
        seen |= n_grams(text)
    kept: dict[str, list[Text]] = {}
    for domain, texts in held_out.items():
        shared = [(text, n_grams(text.text)) for text in texts]
        kept[domain] = [text for text, grams in shared if grams and len(grams & seen) <= MAX_OVERLAP * len(grams)]
        n_shared = sum(len(grams & seen) for text, grams in shared if text in kept[domain])
        n_all = sum(len(grams) for text, grams in shared if text in kept[domain])
        dropped = len(texts) - len(kept[domain])
        print(f"validation {domain}: {dropped} texts dropped for overlap; {n_shared} of {n_all} 13-grams shared")
    return kept


def extracted(pages: Iterable[Page]) -> Iterator[int]:
    """Characters that trafilatura finds in each page."""
    import trafilatura

    for page in pages:
        text = trafilatura.extract(page.body.decode(page.charset), fast=True, favor_recall=True, include_comments=False)
        yield len(text or "")


def n_tokens(texts: Sequence[str]) -> int:
    """Tokens of `texts` by a byte-level BPE of VOCAB_SIZE that is trained on them."""
    from tokenizers import ByteLevelBPETokenizer

    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(texts, vocab_size=VOCAB_SIZE, show_progress=False)
    return sum(len(encoding.ids) for encoding in tokenizer.encode_batch(list(texts)))


def print_figures(
    folder: Path, pages: Sequence[Page], reference: Sequence[Text], held_out: Mapping[str, Sequence[Text]]
) -> None:
    """Print the figures; AssertionError if one is not as promised."""
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in _data_files(folder)}
    for name, size in sizes.items():
        print(f"{size:>10,} bytes  {name}")
    print(f"{sum(sizes.values()):>10,} bytes in all")

    found = list(extracted(pages))
    counts, raw, text = Counter[str](), Counter[str](), Counter[str]()
    for page, n_found in zip(pages, found, strict=True):
        counts[page.kind] += 1
        raw[page.kind] += len(naive(page))
        text[page.kind] += n_found
    print(f"\n{'kind':<22}{'pages':>7}{'characters':>13}{'extracted':>13}")
    for kind, n in sorted(counts.items()):
        print(f"{kind:<22}{n:>7,}{raw[kind]:>13,}{text[kind]:>13,}")
    print(f"{'all':<22}{len(pages):>7,}{raw.total():>13,}{text.total():>13,}")

    prose = [page.prose for page in pages if page.good]
    n_good = sum(map(len, prose))
    n_found_good = sum(n for page, n in zip(pages, found, strict=True) if page.good)
    n_copied = sum(n for page, n in zip(pages, found, strict=True) if page.prose and not page.good)
    shares = {
        "good prose of all characters": n_good / raw.total(),
        "good prose of extracted characters": n_found_good / text.total(),
        "good prose and its copies of extracted characters": (n_found_good + n_copied) / text.total(),
    }
    tokens = n_tokens(prose)
    for name, share in shares.items():
        print(f"share of {name}: {share:.3f}")
    print(f"unique good prose: {n_good:,} characters, {tokens:,} tokens of a {VOCAB_SIZE}-token BPE trained on it")
    print(f"reference: {len(reference)} texts, {sum(len(each.text) for each in reference):,} characters")
    for domain, texts in held_out.items():
        works = len({work(each.source) for each in texts})
        print(f"validation {domain}: {len(texts)} texts, {sum(len(t.text) for t in texts):,} characters, {works} works")

    assert sum(sizes.values()) <= MAX_BYTES
    assert max(shares.values()) <= MAX_GOOD_SHARE
    assert tokens >= MIN_TOKENS
    _check_apart(pages, reference, held_out)


def _data_files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.warc.gz"), *folder.rglob("*.parquet")])


def _check_apart(pages: Sequence[Page], reference: Sequence[Text], held_out: Mapping[str, Sequence[Text]]) -> None:
    """No work is in two of sample, reference and validation."""
    sample = {work(page.source) for page in pages}
    learnt = {work(each.source) for each in reference}
    held = {work(each.source) for texts in held_out.values() for each in texts}
    assert not sample & learnt and not sample & held and not learnt & held, (
        sample & learnt,
        sample & held,
        learnt & held,
    )

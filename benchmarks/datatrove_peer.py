"""datatrove's side of `filters_vs_datatrove.py`, run by a Python that has datatrove and spaCy and not datassay.

    python datatrove_peer.py verdicts < documents.jsonl
    python datatrove_peer.py spacy < documents.jsonl
    python datatrove_peer.py regex < documents.jsonl

Reads {"id", "text"} and writes for each one {"id", "dropped": {name: bool}} by every rule alone, every filter, and the
chain of FineWeb's script; or {"seconds": CPU seconds} that the chain takes for all of them, with spaCy as it comes, or
with regular expressions in its place that find words and sentences.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import regex
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.utils import text as datatrove_text

UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
WORDS = regex.compile(
    rf"{UNSPACED}[\p{{M}}\p{{Cf}}]*"
    r"|[\p{L}\p{N}\p{M}_\p{Cf}]"
    rf"(?:(?!{UNSPACED})[\p{{L}}\p{{N}}\p{{M}}\p{{Cf}}_]"
    rf"|(?<=[\p{{L}}\p{{M}}])['’](?=\p{{L}})(?!['’]{UNSPACED})|(?<=\p{{N}})[.,](?=\p{{N}}))*"
    r"|([^\s\p{L}\p{N}\p{M}_])(?:\1|\p{M})*"
)
"""`datassay.corpus.words` in other words."""
SENTENCES = regex.compile(r"[^.!?]*[.!?]*\s*")

REPETITION_OFF: dict[str, Any] = {
    "dup_line_frac": None,
    "dup_para_frac": None,
    "dup_line_char_frac": None,
    "dup_para_char_frac": None,
    "top_n_grams": (),
    "dup_n_grams": (),
}
REPETITION_RULES: dict[str, dict[str, Any]] = {
    "duplicate_lines": {"dup_line_frac": 0.3},
    "duplicate_paragraphs": {"dup_para_frac": 0.3},
    "duplicate_line_chars": {"dup_line_char_frac": 0.2},
    "duplicate_paragraph_chars": {"dup_para_char_frac": 0.2},
    **{f"top_{n}gram": {"top_n_grams": ((n, limit),)} for n, limit in ((2, 0.2), (3, 0.18), (4, 0.16))},
    **{f"duplicate_{n}grams": {"dup_n_grams": ((n, (20 - n) / 100),)} for n in range(5, 11)},
}
QUALITY_OFF: dict[str, Any] = {
    "min_doc_words": None,
    "max_doc_words": None,
    "min_avg_word_length": None,
    "max_avg_word_length": None,
    "max_symbol_word_ratio": None,
    "max_bullet_lines_ratio": None,
    "max_ellipsis_lines_ratio": None,
    "max_non_alpha_words_ratio": None,
    "min_stop_words": None,
}
QUALITY_RULES: dict[str, dict[str, Any]] = {
    "word_count": {"min_doc_words": 50, "max_doc_words": 100000},
    "mean_word_length": {"min_avg_word_length": 3, "max_avg_word_length": 10},
    "symbol_ratio": {"max_symbol_word_ratio": 0.1},
    "bullet_lines": {"max_bullet_lines_ratio": 0.9},
    "ellipsis_lines": {"max_ellipsis_lines_ratio": 0.3},
    "alpha_tokens": {"max_non_alpha_words_ratio": 0.8},
    "stop_words": {"min_stop_words": 2},
}
C4_RULES: dict[str, dict[str, Any]] = {
    "lorem_ipsum": {"filter_curly_bracket": False, "min_num_sentences": -1},
    "curly_bracket": {"filter_lorem_ipsum": False, "min_num_sentences": -1},
    "sentences": {"filter_lorem_ipsum": False, "filter_curly_bracket": False},
}
FINEWEB_OFF: dict[str, Any] = {
    "line_punct_thr": 0,
    "short_line_thr": 1,
    "char_duplicates_ratio": math.inf,
    "new_line_ratio": math.inf,
}
FINEWEB_RULES: dict[str, dict[str, Any]] = {
    "line_punctuation": {"line_punct_thr": 0.12},
    "short_lines": {"short_line_thr": 0.67},
    "repeated_lines": {"char_duplicates_ratio": 0.01},
    "list_ratio": {"new_line_ratio": 0.3},
}


def filters() -> dict[str, BaseFilter]:
    """The four filters of FineWeb's script in its order, then C4's as it comes."""
    return {
        "repetition": GopherRepetitionFilter(),
        "quality": GopherQualityFilter(),
        "c4_any_end": C4QualityFilter(filter_no_terminal_punct=False),
        "fineweb_quality": FineWebQualityFilter(),
        "c4": C4QualityFilter(),
    }


def rules() -> dict[str, BaseFilter]:
    """Each rule alone, as `filter: rule`, in a filter that has the others switched off."""
    return {
        **{f"repetition: {n}": GopherRepetitionFilter(**REPETITION_OFF | on) for n, on in REPETITION_RULES.items()},
        **{f"quality: {n}": GopherQualityFilter(**QUALITY_OFF | on) for n, on in QUALITY_RULES.items()},
        **{
            f"c4_any_end: {n}": C4QualityFilter(filter_no_terminal_punct=False, **others)
            for n, others in C4_RULES.items()
        },
        **{f"c4: {n}": C4QualityFilter(**others) for n, others in C4_RULES.items()},
        **{f"fineweb_quality: {n}": FineWebQualityFilter(**FINEWEB_OFF | on) for n, on in FINEWEB_RULES.items()},
    }


def is_dropped(one: BaseFilter, document: Document) -> bool:
    """Whether a filter drops a document, which it may rewrite."""
    return one.filter(document) is not True


def verdicts(name: str, text: str, *, whole: dict[str, BaseFilter], single: dict[str, BaseFilter]) -> dict[str, bool]:
    """Every verdict on a document; each but the chain's is on the text as it came."""
    dropped = {key: is_dropped(one, Document(text=text, id=name)) for key, one in (single | whole).items()}
    rewritten = Document(text=text, id=name)
    is_cut = is_dropped(whole["c4_any_end"], rewritten)
    dropped["fineweb_quality after c4_any_end"] = is_cut or is_dropped(whole["fineweb_quality"], rewritten)
    dropped["chain"] = dropped["repetition"] or dropped["quality"] or dropped["fineweb_quality after c4_any_end"]
    return dropped


def all_verdicts(documents: list[tuple[str, str]]) -> Iterator[dict[str, object]]:
    """The verdicts on each document.

    datatrove remembers how it cut the last five texts, which is too few for all these filters; here it is thousands.
    """
    whole, single = filters(), rules()
    datatrove_text.split_into_parts = lru_cache(4096)(datatrove_text.split_into_parts.__wrapped__)
    for name, text in documents:
        yield {"id": name, "dropped": verdicts(name, text, whole=whole, single=single)}


def split_by_expressions() -> None:
    """Have words and sentences found by regular expressions in place of spaCy from here on."""

    @lru_cache(5)
    def split(text: str, mode: str, language: str) -> list[str]:  # noqa: ARG001
        is_words = mode == datatrove_text.SPLIT_TEXT_WORDS
        return [match.group() for match in (WORDS if is_words else SENTENCES).finditer(text) if match.group()]

    datatrove_text.split_into_parts = split


def chain_seconds(documents: list[tuple[str, str]]) -> float:
    """CPU seconds of the four filters of FineWeb's script in chain, which ends at the first drop."""
    chain = [one for name, one in filters().items() if name != "c4"]
    for one in chain:
        is_dropped(one, Document(text="The first text loads spaCy.", id="first"))
    begin = time.process_time()
    for name, text in documents:
        document = Document(text=text, id=name)
        any(is_dropped(one, document) for one in chain)
    return time.process_time() - begin


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("verdicts", "spacy", "regex"))
    what = parser.parse_args().what
    rows = [json.loads(line) for line in sys.stdin]
    documents = [(row["id"], row["text"]) for row in rows]
    if what == "verdicts":
        for row in all_verdicts(documents):
            print(json.dumps(row))
        return
    if what == "regex":
        split_by_expressions()
    print(json.dumps({"seconds": chain_seconds(documents)}))


if __name__ == "__main__":
    main()

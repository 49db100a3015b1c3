"""The kernel against a second, slow way to the same definitions: plain Python over strings."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datassay.corpus import unicode
from datassay.filters.kernel import STOP_WORDS, measure

BREAKS = re.compile("\r\n|[\n\v\f\r\x85\u2028\u2029]")
PAGE_PHRASES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)


@lru_cache(None)
def kind(character: str) -> int:
    return int(unicode.kind_of(unicode.TABLES, ord(character)))


def lower(text: str) -> str:
    return "".join(chr(unicode.lower_of(unicode.TABLES, ord(character))) for character in text)


def ascii_lower(text: str) -> str:
    return "".join(character.lower() if character.isascii() else character for character in text)


def strip(text: str) -> str:
    spaces = "".join({character for character in text if kind(character) & unicode.SPACE})
    return text.strip(spaces) if spaces else text


def letter_of(character: str) -> str:
    """One letter for what a character is to the segmentation."""
    if character == "_":
        return "_"
    if character in "'’":
        return "a"
    if character in ".,":
        return "p"
    flags = kind(character)
    for flag, letter in (
        (unicode.UNSPACED, "U"),
        (unicode.LETTER, "L"),
        (unicode.DIGIT, "D"),
        (unicode.MARK, "M"),
        (unicode.SPACE, "S"),
    ):
        if flags & flag:
            return letter
    return "o"


TOKEN = re.compile(r"S+|UM*|[LDM_](?:[LDM_]|(?<=[LM])a(?=L)|(?<=D)p(?=D))*|.")


def tokenize(text: str) -> list[tuple[str, bool]]:
    """(token, whether white space stands before it) of a text."""
    classes = "".join(map(letter_of, text))
    found, i, has_space = [], 0, False
    while i < len(text):
        match = TOKEN.match(classes, i)
        assert match
        end = match.end()
        if classes[i] in "oap":
            while end < len(text) and (text[end] == text[i] or classes[end] == "M"):
                end += 1
        if classes[i] == "S":
            has_space = True
        else:
            found.append((text[i:end], has_space))
            has_space = False
        i = end
    return found


def without_citations(text: str) -> str:
    def cut(match: re.Match[str]) -> str:
        inside = match[0][1:-1]
        is_citation = inside in ("edit", "citation needed") or all(kind(c) & unicode.DIGIT for c in inside)
        return "" if is_citation else match[0]

    return re.sub(r"\[[^\[\]]*\]", cut, text, flags=re.DOTALL)


def sentences(line: str) -> int:
    """Sentences of a line: read marks from left to right, each with what closes it."""
    n, content, i = 0, "", 0
    while i < len(line):
        if not kind(line[i]) & unicode.TERMINAL:
            content += line[i]
            i += 1
            continue
        end = i + 1
        while end < len(line):
            if kind(line[end]) & (unicode.TERMINAL | unicode.CLOSING):
                end += 1
                continue
            citation = re.match(r"\[[^\[\]]*\]", line[end:], re.DOTALL)
            if citation and not without_citations(citation[0]):
                end += citation.end()
                continue
            break
        rest = line[end:]
        is_initial = line[i:end] == "." and re.fullmatch("(.*o)?u", "".join(map(case_of, line[:i])), re.DOTALL)
        if not rest or ord(line[i]) >= 0x3000:
            is_end = True
        else:
            after = strip(rest)[0]
            is_end = bool(kind(rest[0]) & unicode.SPACE) and not is_initial and not kind(after) & unicode.LOWER
        if is_end and has_content(content):
            n, content = n + 1, ""
        i = end
    return n + has_content(content)


def case_of(character: str) -> str:
    flags = kind(character)
    return "u" if flags & unicode.UPPER else "w" if flags & (unicode.LETTER | unicode.DIGIT) else "o"


def has_content(text: str) -> bool:
    return any(kind(character) & (unicode.LETTER | unicode.DIGIT) for character in text)


def later_copies(things: list[str]) -> tuple[int, int]:
    """How many came before, and their characters."""
    times = Counter(things)
    return len(things) - len(times), sum((n - 1) * len(thing) for thing, n in times.items())


def ngram_characters(text: str) -> dict[str, int]:
    tokens = tokenize(text)
    words = [token for token, _ in tokens]
    counts = {}
    for n in range(2, 5):
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        times = Counter(grams)
        most = max(times.values(), default=0)
        covered: Counter[tuple[str, ...]] = Counter()
        for i, gram in enumerate(grams):
            covered[gram] += sum(map(len, gram)) + sum(space for _, space in tokens[i + 1 : i + n])
        top = [covered[gram] for gram in times if times[gram] == most and most > 1]
        counts[f"top_{n}gram_chars"] = max(top, default=0)
    for n in range(5, 11):
        seen, i, repeated = set(), 0, 0
        while i <= len(words) - n:
            gram = tuple(words[i : i + n])
            if gram in seen:
                repeated += sum(map(len, gram))
                i += n
            else:
                seen.add(gram)
                i += 1
        counts[f"duplicate_{n}gram_chars"] = repeated
    return counts


def c4_counts(lines: list[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for variant, needs_end in (("c4", True), ("c4_any_end", False)):
        kept, n_sentences = [], 0
        for line in lines:
            small, cut = ascii_lower(line), without_citations(line)
            if any(len(word) > 1000 for word in split_words(line)) or len(split_words(cut)) < 5:
                continue
            if needs_end and (not cut.endswith((".", "?", "!", '"')) or cut.endswith("...")):
                continue
            if "javascript" in small or any(phrase in small for phrase in PAGE_PHRASES):
                continue
            kept.append(cut)
            n_sentences += sentences(line)
        counts[f"{variant}_line_count"] = len(kept)
        counts[f"{variant}_sentence_count"] = n_sentences
        counts[f"{variant}_char_count"] = len("\n".join(kept))
    return counts


def split_words(line: str) -> list[str]:
    """What white space separates."""
    separated = "".join(" " if kind(character) & unicode.SPACE else character for character in line)
    return [word for word in separated.split(" ") if word]


def line_counts(text: str) -> dict[str, int]:
    raw = [strip(line) for line in BREAKS.split(text)]
    lines = [line for line in raw if line]
    paragraphs = [paragraph for paragraph in re.split("\n\n+", "\n".join(raw).strip("\n")) if paragraph]
    duplicate_lines, duplicate_line_chars = later_copies(lines)
    duplicate_paragraphs, duplicate_paragraph_chars = later_copies(paragraphs)
    small = [ascii_lower(line) for line in lines]
    return {
        "line_count": len(lines),
        "line_chars": sum(map(len, lines)),
        "newline_count": len(raw) - 1,
        "bullet_line_count": sum(line[0] in "•-" for line in lines),
        "any_bullet_line_count": sum(line[0] in "•‣▶◀◦■□▪▫–" for line in lines),
        "ellipsis_line_count": sum(line.endswith(("...", "…")) for line in lines),
        "terminal_punctuation_line_count": sum(
            bool(kind(line[-1]) & unicode.TERMINAL) or line[-1] in "\"'’”»」』" for line in lines
        ),
        "line_under_30_count": sum(len(line) < 30 for line in lines),
        "line_up_to_30_count": sum(len(line) <= 30 for line in lines),
        "duplicate_line_count": duplicate_lines,
        "duplicate_line_chars": duplicate_line_chars,
        "paragraph_count": len(paragraphs),
        "duplicate_paragraph_count": duplicate_paragraphs,
        "duplicate_paragraph_chars": duplicate_paragraph_chars,
        "sentence_count": sum(map(sentences, lines)),
        "javascript_line_count": sum("javascript" in line for line in small),
        "policy_line_count": sum(any(phrase in line for phrase in PAGE_PHRASES) for line in small),
        "lorem_ipsum_line_count": sum("lorem ipsum" in line for line in small),
        **c4_counts(lines),
    }


def word_counts(text: str) -> dict[str, float]:
    tokens = [token for token, _ in tokenize(text)]
    words = [token for token in tokens if has_content(token)]
    small = Counter(map(lower, words))
    cased = [
        "".join("u" if kind(c) & unicode.UPPER else "l" if kind(c) & unicode.LOWER else "" for c in w) for w in words
    ]
    return {
        "token_count": len(tokens),
        "word_count": len(words),
        "word_chars": sum(map(len, words)),
        "longest_word_length": max(map(len, words), default=0),
        "alpha_word_count": sum(any(kind(c) & unicode.LETTER for c in word) for word in words),
        "upper_case_word_count": sum("u" in cases and "l" not in cases for cases in cased),
        "unique_word_count": len(small),
        "stop_word_count": len(set(STOP_WORDS) & set(small)),
        "stop_word_occurrences": sum(small[word] for word in STOP_WORDS),
        "unigram_entropy": -sum(n / len(words) * math.log(n / len(words)) for n in small.values()),
    }


def reference(text: str) -> dict[str, float]:
    """What `measure` returns for a text, from the definitions."""

    def characters(flag: int) -> int:
        return sum(bool(kind(character) & flag) for character in text)

    runs = split_words(text)
    return {
        "n_bytes": len(text.encode()),
        "n_chars": len(text),
        "letter_count": characters(unicode.LETTER),
        "digit_count": characters(unicode.DIGIT),
        "punctuation_count": characters(unicode.PUNCTUATION),
        "upper_case_count": characters(unicode.UPPER),
        "white_space_count": characters(unicode.SPACE),
        "hash_count": text.count("#"),
        "ellipsis_count": text.count("...") + text.count("…"),
        "curly_bracket_count": text.count("{"),
        "symbol_count": text.count("#") + text.count("...") + text.count("…"),
        "run_count": len(runs),
        "alpha_run_count": sum(any(kind(c) & unicode.LETTER for c in run) for run in runs),
        **word_counts(text),
        **ngram_characters(text),
        **line_counts(text),
    }


def kernel(*texts: str) -> list[dict[str, float]]:
    counts = measure(pa.array(texts, pa.large_string()))
    return [{name: column[i].item() for name, column in counts.items()} for i in range(len(texts))]


def assert_equal(counts: dict[str, float], text: str) -> None:
    expected = reference(text)
    assert counts.pop("unigram_entropy") == pytest.approx(expected.pop("unigram_entropy"), rel=1e-9, abs=1e-12)
    assert counts == expected


PIECES = [
    *(
        "the",
        "of",
        "And",
        "don't",
        "l’été",
        "3.14",
        "1,000",
        "naïve",
        "e\u0301",
        "x_y",
        "中文",
        "日本語",
        "ไทยดี",
        "ខ្មែរ",
    ),
    *("العربية،", "؟", "مرحبا\u200cبك", "👍", "👩\u200d👧", "—", "...", "…", ".", "!", '"', "'", "’", "”", "。", "？"),
    *("#", "{", "}", "•", "▪", "–", "-", "[1]", "[edit]", "[citation needed]", "[", "]", "J.", "U.S.", "Lorem Ipsum"),
    *(
        "JavaScript",
        "terms of use",
        "Privacy policy",
        "use cookies",
        "uses cookies",
        "word",
        "word word word",
        "Ⅳ",
        "½",
    ),
    *(
        " ",
        " ",
        " ",
        "\n",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "\t",
        "\u3000",
        "\u2028",
        "\xa0",
        "\u200b",
        "\x85",
        "A",
        "É",
        "ß",
    ),
]


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=80).map("".join)))
@example("")
@example("\n \r\n\u2028")
@example("a a a a a a a a a a a a a a a a a a a a a a a a a")
@example("中文中文中文中文中文中文中文中文")
@example('One. Two! J. Smith said 3.5. then "Go." 他说。她说。\r\nfoo [1] bar baz qux quux.[12]\n')
def test_any_text_is_counted_as_defined(text: str) -> None:
    assert_equal(kernel(text)[0], text)


def test_documents_of_a_batch_do_not_meet() -> None:
    texts = ["the same line\n" * 3, "", "中文 the same line", "a" * 5000, "the same line\nthe same line"]
    assert kernel(*texts) == [kernel(text)[0] for text in texts]


def test_a_slice_is_measured_like_a_copy() -> None:
    texts = pa.array(["first of all", "Überall ist es schön.", "last"], pa.large_string())
    counts = measure(texts.slice(1, 1))
    assert {name: column[0].item() for name, column in counts.items()} == kernel("Überall ist es schön.")[0]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("don't stop", ["don't", "stop"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("rock 'n' roll", ["rock", "'", "n", "'", "roll"]),
        ("3.14, 1,000.", ["3.14", ",", "1,000", "."]),
        ("well-known snake_case", ["well", "-", "known", "snake_case"]),
        ("wait... what?!", ["wait", "...", "what", "?", "!"]),
        ("中文 ok", ["中", "文", "ok"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("👍👍 👩\u200d👧", ["👍👍", "👩\u200d", "👧"]),
    ],
)
def test_tokens(text: str, tokens: list[str]) -> None:
    assert [token for token, _ in tokenize(text)] == tokens
    counts = kernel(text)[0]
    assert counts["token_count"] == len(tokens)
    assert counts["word_count"] == sum(any(c.isalnum() for c in token) for token in tokens)


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("", 0),
        ("No end", 1),
        ("One. Two! Three?", 3),
        ('He said "Go." Then he went.', 2),
        ("J. Smith lives in the U.S. now.", 1),
        ("It costs 3.5 euros, e.g. at home.", 1),
        ("他说。她说！好", 3),
        ("Wait... what?", 1),
        ("Known.[1] Since 1950.", 2),
        ("One line\nand another", 2),
        ("---", 0),
    ],
)
def test_sentences(text: str, n: int) -> None:
    assert kernel(text)[0]["sentence_count"] == n


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the cat the cat the cat", {"top_2gram_chars": 21, "top_3gram_chars": 22}),  # 3 × "the cat", 2 × "the cat the"
        ("one two three", {"top_2gram_chars": 0, "top_3gram_chars": 0}),  # nothing comes twice
        ("a b, a b, ccc dd ccc dd", {"top_2gram_chars": 12}),  # of "a b", "b ,", "ccc dd" twice each, the longest
        ("a b c d e a b c d e", {"duplicate_5gram_chars": 5, "duplicate_6gram_chars": 0}),
        ("x x x x x x", {"duplicate_5gram_chars": 5}),  # the second begins inside the first and came before
    ],
)
def test_ngrams_by_hand(text: str, expected: dict[str, int]) -> None:
    counts = kernel(text)[0]
    assert {name: counts[name] for name in expected} == expected


def test_shared_documents_are_counted_as_defined(shared: Path) -> None:
    paths = sorted((shared / "corpus").glob("raw-*.parquet"))
    texts = [text for path in paths for text in pq.read_table(path, columns=["text"])["text"].to_pylist()[::200]]
    for counts, text in zip(kernel(*texts), texts, strict=True):
        assert_equal(counts, text)


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["word ", ".,", "a\n", "中", "[", "lorem ", "x", "a b c d e f g h i j k\n"])
def test_time_grows_linearly(piece: str) -> None:
    """One document of 3 MB takes what 30 of 100 kB take, within a factor that caches explain."""
    from time import process_time

    seconds = []
    for n_bytes, n_documents in ((100_000, 30), (3_000_000, 1)):
        texts = pa.array([piece * (n_bytes // len(piece.encode()))] * n_documents, pa.large_string())
        measure(texts)
        start = process_time()
        measure(texts)
        seconds.append(process_time() - start)
    assert seconds[1] < 10 * seconds[0] + 0.05


def test_ratios_are_whole_numbers_divided() -> None:
    counts = measure(pa.array(["a a b"], pa.large_string()))
    assert all(column.dtype == np.int64 for name, column in counts.items() if name != "unigram_entropy")

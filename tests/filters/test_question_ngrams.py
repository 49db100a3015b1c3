"""The compiled search against the same rules in plain Python."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datassay.corpus.unicode import TABLES, UNSPACED_RANGES, decode
from datassay.filters.question_ngrams import (
    find_ngrams,
    find_paragraphs,
    new_needles,
    question_ngrams,
    question_paragraphs,
    read_words,
)

Place = tuple[str, int, int]
"""A word and where it begins and ends."""

_TOKEN = re.compile(r"[^\t\n\v\f\r \x85\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000]+")


def _kind(character: str) -> str:
    """u: of a script without spaces, m: a mark, d: dropped, x: any other."""
    category = unicodedata.category(character)
    if category[0] == "P" or (character.isascii() and not character.isalnum()):
        return "d"
    if category[0] == "L" and any(first <= ord(character) <= last for first, last in UNSPACED_RANGES):
        return "u"
    return "m" if category[0] == "M" or category == "Cf" else "x"


def plain_words(text: str) -> list[Place]:
    """The words of a text, by regular expressions over the kinds of what is left of each token."""
    words = []
    for token in _TOKEN.finditer(text):
        kept = [i for i in range(token.start(), token.end()) if _kind(text[i]) != "d"]
        kinds = "".join(_kind(text[i]) for i in kept)
        for word in re.finditer("um*|x[xm]*", kinds):
            places = kept[word.start() : word.end()]
            words.append(("".join(text[i].lower()[0] for i in places), places[0], places[-1] + 1))
    return words


def plain_ngrams(questions: Sequence[Sequence[str]], n: int, min_words: int) -> set[tuple[str, ...]]:
    """What is looked for of questions, each some texts."""
    found = set()
    for question in questions:
        parts = [tuple(word for word, _, _ in plain_words(text)) for text in question]
        whole = sum(parts, ())
        found |= {whole[i : i + n] for i in range(len(whole) - n + 1)}
        found |= {part for part in [*parts, whole] if min_words <= len(part) < n}
    return found


def compiled_words(text: str) -> list[Place]:
    data = np.frombuffer(text.encode() or b" ", np.uint8)
    n = len(data)
    codes, kinds, words = np.empty(n, np.int32), np.empty(n, np.uint16), np.empty(n, np.uint64)
    starts, ends = np.empty(n, np.int64), np.empty(n, np.int64)
    n_words = read_words(codes, kinds, decode(data, 0, n, TABLES, codes, kinds), TABLES, words, starts, ends)
    return list(zip(words[:n_words].tolist(), starts[:n_words].tolist(), ends[:n_words].tolist(), strict=True))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n", []),
        ("Don't STOP!", ["dont", "stop"]),
        ("a well-known, e.g. (this)", ["a", "wellknown", "eg", "this"]),
        ("— - ... $ + =", []),
        ("$5 + 3=8", ["5", "38"]),
        ("no\u00a0break\u3000wide", ["no", "break", "wide"]),
        ("naïve NAÏVE", ["naïve", "naïve"]),
        ("你好，世界。", ["你", "好", "世", "界"]),
        ("Python语言3", ["python", "语", "言", "3"]),
        ("ก็ได้", ["ก็", "ไ", "ด้"]),  # Thai: marks stay with their letter
        ("\u0301a\u0301", ["a\u0301"]),  # a mark after nothing belongs to no word
    ],
)
def test_a_word_is_a_token_without_punctuation(text: str, words: list[str]) -> None:
    assert [word for word, _, _ in plain_words(text)] == words
    by_hash = {word: compiled_words(word)[0][0] for word in words}
    assert compiled_words(text) == [(by_hash[word], start, end) for word, start, end in plain_words(text)]


TEXT = st.text(alphabet="abAB .,'-\n你好กé\u0301ß\u200d😀_1", max_size=40)


@given(st.text(max_size=60) | TEXT)
def test_words_are_those_of_plain_python(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    compiled, plain = compiled_words(text), plain_words(text)
    assert [place[1:] for place in compiled] == [place[1:] for place in plain]
    hashes = {(word, place[0]) for place, (word, _, _) in zip(compiled, plain, strict=True)}
    assert len({word for word, _ in hashes}) == len({key for _, key in hashes}) == len(hashes)


WORDS = st.lists(st.sampled_from(["a", "b", "B,", "—", "c", "你", "\n"]), max_size=14).map(" ".join)


@given(
    st.lists(st.lists(WORDS, min_size=1, max_size=3), min_size=1, max_size=4),
    st.lists(WORDS | TEXT, max_size=4),
    st.sampled_from([(3, 2), (3, 3), (5, 1), (1, 1), (4, 2)]),
)
def test_places_are_those_of_plain_python(questions: list[list[str]], texts: list[str], sizes: tuple[int, int]) -> None:
    n, min_words = sizes
    found = _looked_for(questions, n, min_words)
    keys, order = np.unique(found.keys, return_index=True)
    needles = new_needles(keys, found.prefixes[order], found.lengths[order])
    matches = find_ngrams(pa.array(texts, pa.large_string()), needles, prefix_words=min_words)
    wanted = plain_ngrams(questions, n, min_words)
    expected, names = [], []
    for d, text in enumerate(texts):
        words = plain_words(text)
        for i in range(len(words)):
            for length in range(1, n + 1):
                run = words[i : i + length]
                ngram = tuple(word for word, _, _ in run)
                if len(run) == length and ngram in wanted:
                    expected.append((d, run[0][1], run[-1][2]))
                    names.append(ngram)
    assert list(zip(matches.texts, matches.starts, matches.ends, strict=True)) == expected
    pairs = set(zip(matches.needles.tolist(), names, strict=True))
    assert len(pairs) == len({needle for needle, _ in pairs}) == len({name for _, name in pairs})
    assert len(keys) == len(wanted)


def test_real_texts_of_many_languages(shared: Path) -> None:
    table = pq.read_table(shared / "lid" / "dev.parquet")
    for text in table["text"].to_pylist()[::10]:
        assert [place[1:] for place in compiled_words(text)] == [place[1:] for place in plain_words(text)]


def test_real_questions_in_real_texts(shared: Path) -> None:
    questions = pq.read_table(shared / "lm" / "val.parquet")["text"].to_pylist()[-60:]
    texts = pq.read_table(shared / "corpus" / "raw-00000.parquet")["text"].to_pylist()[:100] + questions[:3]
    found = _looked_for([[text] for text in questions], 13, 8)
    keys, order = np.unique(found.keys, return_index=True)
    needles = new_needles(keys, found.prefixes[order], found.lengths[order])
    matches = find_ngrams(pa.array(texts, pa.large_string()), needles, prefix_words=8)
    wanted = plain_ngrams([[text] for text in questions], 13, 8)
    expected = []
    for d, text in enumerate(texts):
        words = plain_words(text)
        names = [word for word, _, _ in words]
        expected += [
            (d, words[i][1], words[i + 12][2]) for i in range(len(words) - 12) if tuple(names[i : i + 13]) in wanted
        ]
    assert len(keys) == len(wanted)
    assert expected
    assert list(zip(matches.texts, matches.starts, matches.ends, strict=True)) == expected


def _looked_for(questions: Sequence[Sequence[str]], n: int, min_words: int):  # type: ignore[no-untyped-def]
    texts = [text for question in questions for text in question]
    rows = np.array([row for row, question in enumerate(questions) for _ in question], np.int64)
    is_context = np.zeros(len(texts), np.bool_)
    return question_ngrams(pa.array(texts, pa.large_string()), rows, is_context, n=n, min_words=min_words)


def test_context_counts_only_where_it_goes_over_into_the_answer() -> None:
    # datatrove's example: query A B C D E, label F G H I J, 4-grams
    texts = pa.array(["a b c d e", "f g h i j"], pa.large_string())
    found = question_ngrams(texts, np.zeros(2, np.int64), np.array([True, False]), n=4, min_words=4)
    wanted = {
        ("c", "d", "e", "f"),
        ("d", "e", "f", "g"),
        ("e", "f", "g", "h"),
        ("f", "g", "h", "i"),
        ("g", "h", "i", "j"),
    }
    assert set(found.keys.tolist()) == set(_looked_for([[" ".join(ngram)] for ngram in wanted], 4, 4).keys.tolist())


def test_a_context_alone_is_not_looked_for() -> None:
    texts = pa.array(["a b c d e", "—"], pa.large_string())
    found = question_ngrams(texts, np.zeros(2, np.int64), np.array([True, False]), n=4, min_words=2)
    assert len(found.keys) == 0


def test_a_sliced_array_is_searched_where_it_begins() -> None:
    found = _looked_for([["b c"]], 2, 2)
    needles = new_needles(found.keys, found.prefixes, found.lengths)
    texts = pa.array(["b c", "a b c", "b"], pa.large_string()).slice(1)
    matches = find_ngrams(texts, needles, prefix_words=2)
    assert (matches.texts.tolist(), matches.starts.tolist(), matches.ends.tolist()) == ([0], [2], [5])


def test_more_matches_than_there_was_room_for() -> None:
    found = _looked_for([["a"]], 1, 1)
    texts = pa.array(["a " * 1000], pa.large_string())
    matches = find_ngrams(texts, new_needles(found.keys, found.prefixes, found.lengths), prefix_words=1)
    assert matches.starts.tolist() == list(range(0, 2000, 2))


LINES = st.lists(st.sampled_from(["a b c", "A b c", "a b", "a  b c", "", "你 好 ,", "x"]), max_size=6).map("\n".join)


@given(st.lists(LINES, max_size=3), st.lists(LINES, max_size=3))
def test_lines_are_those_of_plain_python(questions: list[str], texts: list[str]) -> None:
    rows = np.arange(len(questions))
    found = question_paragraphs(pa.array(questions, pa.large_string()), rows, min_words=3)
    wanted = {line for text in questions for line in text.split("\n") if len(line.split()) >= 3}
    keys, order = np.unique(found.keys, return_index=True)
    assert len(keys) == len(wanted)
    needles = new_needles(keys, found.prefixes[order], found.lengths[order])
    matches = find_paragraphs(pa.array(texts, pa.large_string()), needles)
    got = [texts[d][start:end] for d, start, end in zip(matches.texts, matches.starts, matches.ends, strict=True)]
    assert got == [line for text in texts for line in text.split("\n") if line in wanted]

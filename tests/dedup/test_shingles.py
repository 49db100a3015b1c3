from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.dedup.shingles import shingle_sets

ALL_64 = 2**64 - 1


def mix(x: int) -> int:
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & ALL_64
    x = (x ^ x >> 27) * 0x94D049BB133111EB & ALL_64
    return x ^ x >> 31


def hash_word(word: str) -> int:
    value = 0xCBF29CE484222325
    for character in word:
        value = (value ^ ord(character)) * 0x100000001B3 & ALL_64
    return mix(value)


def hash_shingles(words: list[str], k: int) -> set[int]:
    """The definition, in plain Python."""
    runs = [words[i : i + k] for i in range(max(1, len(words) - k + 1))] if words else []
    values = set()
    for run in runs:
        value = 0
        for word in run:
            value = (value * 0x9E3779B97F4A7C15 + hash_word(word)) & ALL_64
        value = mix(value)
        values |= {value >> 32} | ({value & 0xFFFFFFFF} if len(runs) == 1 else set())
    return values


def sets_of(*texts: str, words: int = 5, characters: int = 8) -> list[set[int]]:
    sets = shingle_sets(pa.array(texts, pa.large_string()), words=words, characters=characters)
    return [set(part.tolist()) for part in np.split(sets.values, sets.offsets[1:-1])]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \n!?… ", []),
        ("One", ["one"]),
        ("The quick, brown FOX\njumps over 2 dogs.", ["the", "quick", "brown", "fox", "jumps", "over", "2", "dogs"]),
        ("snake_case don't", ["snake_case", "don", "t"]),
        ("ÉCOLE Straße ΣΟΦΙΑ Ёлка", ["école", "straße", "σοφια", "ёлка"]),
        ("cafe\u0301 \u0301x", ["cafe\u0301", "x"]),  # a mark belongs to the word before it, or to none
        ("हिन्दी में", ["हिन्दी", "में"]),  # vowel signs are marks
        ("𝐀 bold 😀 smile", ["𝐀", "bold", "smile"]),  # characters of four bytes
        ("العربية لغة جميلة جدا وقديمة حقا", ["العربية", "لغة", "جميلة", "جدا", "وقديمة", "حقا"]),
        ("한국어는 띄어쓰기가 있다", ["한국어는", "띄어쓰기가", "있다"]),
    ],
)
def test_word_shingles_are_those_of_the_plain_definition(text: str, words: list[str]) -> None:
    assert sets_of(text) == [hash_shingles(words, 5)]


@pytest.mark.parametrize("text", ["我能吞下玻璃而不伤身体。", "ひらがなとカタカナ", "ภาษาไทยไม่มีช่องว่างระหว่างคำ"])
def test_scripts_without_spaces_shingle_by_characters(text: str) -> None:
    assert sets_of(text) == [hash_shingles(list(text.rstrip("。")), 8)]


@pytest.mark.parametrize("text", ["Two words, café.", "我能吞下玻璃而不伤身体。", "a", "", "-"])
def test_all_documents_can_shingle_by_characters(text: str) -> None:
    """White space, punctuation and case do not count, as they do not in words."""
    sets = shingle_sets(pa.array([text], pa.large_string()), words=5, characters=6, by_characters=True)
    letters = [character for character in text.lower() if character.isalnum()]
    assert set(sets.values.tolist()) == hash_shingles(letters, 6)
    assert sets.by_characters.all()


@pytest.mark.parametrize(
    ("text", "by_characters"),
    [
        ("", False),
        ("abc 我能吞", False),
        ("ab 我能吞", True),
        ("123456 我", True),
    ],  # at the half, beyond; digits do not count
)
def test_characters_from_more_than_half_of_the_letters_on(text: str, by_characters: bool) -> None:
    sets = shingle_sets(pa.array([text], pa.large_string()), words=5, characters=8)
    assert sets.by_characters.tolist() == [by_characters]


def test_sets_are_sorted_and_distinct() -> None:
    sets = shingle_sets(pa.array(["a b c a b c a b c"], pa.large_string()), words=2, characters=8)
    assert sets.values.tolist() == sorted(hash_shingles(["a", "b", "c", "a"], 2))
    assert sets.offsets.tolist() == [0, 3]  # ab, bc, ca


@pytest.mark.parametrize(("n_words", "n_values"), [(1, 2), (4, 2), (5, 2), (6, 2), (7, 3)])
def test_a_text_of_k_words_or_fewer_is_one_shingle_of_64_bits(n_words: int, n_values: int) -> None:
    (values,) = sets_of(" ".join(f"w{i}" for i in range(n_words)))
    assert len(values) == n_values


def test_short_texts_share_nothing_unless_they_are_equal() -> None:
    first, second, longer = sets_of("Read more", "Read less", "Read more now")
    assert first.isdisjoint(second)
    assert first.isdisjoint(longer)


def test_a_slice_of_an_array_gives_the_same_sets() -> None:
    texts = pa.array(["before it", "我能吞下玻璃而不伤身体", "", "one two three four five six"], pa.large_string())
    sets = shingle_sets(texts.slice(1, 2), words=5, characters=8)
    assert set(sets.values.tolist()) == hash_shingles(list("我能吞下玻璃而不伤身体"), 8)
    assert sets.sizes.tolist() == [4, 0]
    assert shingle_sets(texts.slice(4), words=5, characters=8).sizes.tolist() == []


def test_sets_of_real_text_are_those_of_a_regular_expression(shared: Path) -> None:
    """Where a text has no marks, words are runs of \\w in lower case."""
    texts = pq.read_table(shared / "neardup" / "docs.parquet")["text"].to_pylist()[:300]
    for text, values in zip(texts, sets_of(*texts), strict=True):
        words = re.findall(r"\w+", text.lower())
        assert values == hash_shingles(words, 5)

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.dedup.shingles import shingle_sets, shingles

ALL_64 = 2**64 - 1


def mix(x: int) -> int:
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & ALL_64
    x = (x ^ x >> 27) * 0x94D049BB133111EB & ALL_64
    return x ^ x >> 31


SEED, FACTOR = 0xCBF29CE484222325, 0xD6E8FEB86659FD93


def hash_word(word: str) -> int:
    """Eight bytes at a time, the first the lowest; the last one to eight have zeros at the end."""
    data = word.encode()
    value = SEED
    n_whole = (len(data) - 1) // 8 * 8
    for i in range(0, n_whole, 8):
        value = (value ^ int.from_bytes(data[i : i + 8], "little")) * FACTOR & ALL_64
        value ^= value >> 32
    return mix((value ^ int.from_bytes(data[n_whole:], "little")) * FACTOR & ALL_64)


def hash_character(character: str) -> int:
    return mix((int.from_bytes(character.encode(), "big") ^ SEED) * FACTOR & ALL_64)


def hash_shingles(words: list[str], k: int, *, of: Callable[[str], int] = hash_word) -> set[int]:
    """The definition, in plain Python."""
    runs = [words[i : i + k] for i in range(max(1, len(words) - k + 1))] if words else []
    values = set()
    for run in runs:
        value = 0
        for word in run:
            value = (value * 0x9E3779B97F4A7C15 + of(word)) & ALL_64
        value = mix(value)
        values |= {value >> 32} | ({value & 0xFFFFFFFF} if len(runs) == 1 else set())
    return values


def sets_of(*texts: str, words: int = 5, characters: int = 8, by_characters: bool = False) -> list[set[int]]:
    sets = shingle_sets(
        pa.array(texts, pa.large_string()), words=words, characters=characters, by_characters=by_characters
    )
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
    assert sets_of(text) == [hash_shingles(list(text.rstrip("。")), 8, of=hash_character)]


def test_characters_of_all_documents_if_asked_for() -> None:
    text = "Ab, cd 2é"
    assert sets_of(text, characters=3, by_characters=True) == [hash_shingles(list("abcd2é"), 3, of=hash_character)]


@pytest.mark.parametrize("n_before", [0, 1, 7, 8, 31, 32, 33, 63])
@pytest.mark.parametrize("middle", ["", "é", "ÉCOLE", "我", "İ", "Ⱥ", "\u0301", "…", "x" * 70, "Y" * 8, "_1"])
def test_words_are_the_same_wherever_they_stand(n_before: int, middle: str) -> None:
    """At each place of the blocks that are handled at once, and of the eight bytes of a hash."""
    text = "b" * n_before + middle + " Tail end 0Z, " + "c" * 40 + f"{middle} d"
    words = re.findall(r"\w[\w\u0301]*", "".join(character.lower()[0] for character in text))
    assert sets_of(text, words=2) == [hash_shingles(words, 2)]


def test_a_signature_needs_no_set() -> None:
    texts = pa.array(["a b c a b c a b c", "", "one"], pa.large_string())
    every, distinct = (function(texts, words=2, characters=8) for function in (shingles, shingle_sets))
    assert every.sizes.tolist() == [8, 0, 2]
    assert set(every.values.tolist()) == set(distinct.values.tolist())


@pytest.mark.parametrize("text", ["Two words, café.", "我能吞下玻璃而不伤身体。", "a", "", "-"])
def test_all_documents_can_shingle_by_characters(text: str) -> None:
    """White space, punctuation and case do not count, as they do not in words."""
    sets = shingle_sets(pa.array([text], pa.large_string()), words=5, characters=6, by_characters=True)
    letters = [character for character in text.lower() if character.isalnum()]
    assert set(sets.values.tolist()) == hash_shingles(letters, 6, of=hash_character)
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
    assert set(sets.values.tolist()) == hash_shingles(list("我能吞下玻璃而不伤身体"), 8, of=hash_character)
    assert sets.sizes.tolist() == [4, 0]
    assert shingle_sets(texts.slice(4), words=5, characters=8).sizes.tolist() == []


def test_sets_of_real_text_are_those_of_a_regular_expression(shared: Path) -> None:
    """Where a text has no marks, words are runs of \\w in lower case."""
    texts = pq.read_table(shared / "neardup" / "docs.parquet")["text"].to_pylist()[:300]
    for text, values in zip(texts, sets_of(*texts), strict=True):
        words = re.findall(r"\w+", text.lower())
        assert values == hash_shingles(words, 5)

"""Edited copies of documents, at similarities that are known."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from datassay.dedup.edited_copies import (
    EDITS,
    MAX_CHARS,
    Copy,
    can_be_copied,
    edited_copies,
    pieces_of,
    units_of,
)
from datassay.dedup.self_test import plain_similarity, plain_words
from datassay.dedup.settings import PRESETS, MinHash

DEFAULT = MinHash()


def prose(seed: int, n_sentences: int = 30) -> str:
    """Sentences of ten words drawn at random, some with a line break after them."""
    random = np.random.RandomState(seed)
    sentences = [
        " ".join(f"word{number}" for number in random.randint(0, 3000, 10)).capitalize() + ("." if i % 5 else ".\n")
        for i in range(n_sentences)
    ]
    return " ".join(sentences)


def chinese(seed: int, n_sentences: int = 30) -> str:
    """Sentences of twelve Han characters drawn at random."""
    random = np.random.RandomState(seed)
    return "".join(
        "".join(chr(0x4E00 + code) for code in random.randint(0, 2000, 12)) + "。" for _ in range(n_sentences)
    )


def thai(seed: int, n_words: int = 100) -> str:
    """Syllables of a consonant, a vowel sign above it and a tone mark, without spaces."""
    random = np.random.RandomState(seed)
    return "".join(chr(0x0E01 + code) + chr(0x0E34 + code % 4) + "\u0e48" for code in random.randint(0, 40, n_words))


def copies_of(texts: list[str], settings: MinHash = DEFAULT, seed: int = 0) -> list[Copy]:
    return list(edited_copies([f"d{i}" for i in range(len(texts))], texts, settings, seed=seed))


MAKERS = {"spaces": prose, "Chinese": chinese, "Thai": thai}


@pytest.mark.parametrize("script", MAKERS)
def test_similarity_is_the_true_one(script: str) -> None:
    """As plain Python computes it, without hashes, from sets of words."""
    texts = [MAKERS[script](seed) for seed in range(40)]
    for text, copy in zip(texts, copies_of(texts), strict=True):
        assert copy.similarity == pytest.approx(plain_similarity(text, copy.text, DEFAULT), abs=1e-3)
        assert copy.text != text
        assert copy.is_unspaced == (script != "spaces")


@pytest.mark.parametrize("name", ["datassay", "nemo", "redpajama2-0.8"])
def test_similarities_are_spread_evenly_from_30_percent_on(name: str) -> None:
    """Of 400 copies by kinds that reach every similarity, a quarter lies in each quarter of .3 to 1."""
    copies = copies_of([prose(seed) for seed in range(400)], PRESETS[name])
    reaching = [copy.similarity for copy in copies if copy.kind not in ("typography", "moved")]
    counts, _ = np.histogram(reaching, [0.25, 0.475, 0.65, 0.825, 1])
    assert counts.sum() == 300
    assert counts.min() >= 60


def test_every_kind_of_edit_is_as_frequent_as_the_others() -> None:
    copies = copies_of([prose(seed) for seed in range(24)])
    assert Counter(copy.kind for copy in copies) == dict.fromkeys(EDITS, 3)
    assert [copy.original for copy in copies] == [f"d{i}" for i in range(24)]
    assert len({copy.id for copy in copies}) == 24


@pytest.mark.parametrize("script", MAKERS)
def test_each_edit_does_what_its_name_says(script: str) -> None:
    texts = [MAKERS[script](seed) for seed in range(16)]
    by_characters = script != "spaces"
    for text, copy in zip(texts, copies_of(texts), strict=True):
        before, after = (plain_words(each, by_characters=by_characters) for each in (text, copy.text))
        match copy.kind:
            case "typography":
                assert before == after
            case "substituted":
                n_units = (len(units_of(each, is_unspaced=by_characters)) for each in (text, copy.text))
                assert len(set(n_units)) == 1 and before != after
            case "inserted":
                assert is_within(before, after)
            case "deleted" | "removed":
                assert is_within(after, before) and len(after) < len(before)
            case "moved":
                assert sorted(before) == sorted(after) and before != after
            case "boilerplate":
                assert text in copy.text
            case "truncated":
                assert before[: len(after)] == after and len(after) < len(before)


def is_within(few: list[str], many: list[str]) -> bool:
    """Whether the words follow one another in `many`, with others between them."""
    every = iter(many)
    return all(word in every for word in few)


def test_words_come_from_documents_of_the_same_script() -> None:
    texts = [maker(seed) for seed in range(40) for maker in (prose, chinese)]
    for copy in copies_of(texts):
        has_han = any(character >= "\u4e00" for character in copy.text)
        assert has_han == copy.is_unspaced
        assert copy.is_unspaced != ("word" in copy.text.lower())


def test_the_same_seed_gives_the_same_copies_and_another_others() -> None:
    texts = [prose(seed) for seed in range(8)]
    first = copies_of(texts, seed=1)
    assert first == copies_of(texts, seed=1)
    assert [copy.text for copy in first] != [copy.text for copy in copies_of(texts, seed=2)]


def test_a_document_alone_and_no_document() -> None:
    (copy,) = copies_of([prose(1)])
    assert copy.kind == "typography" and copy.similarity == 1
    assert copies_of([]) == []
    assert len(copies_of([prose(1), chinese(1)])) == 2  # each alone in its script


@pytest.mark.parametrize(
    ("text", "can"),
    [
        ("", False),
        (" ".join(map(str, range(23))), False),  # 19 runs of five words
        (" ".join(map(str, range(24))), True),
        ("的" * 1000, False),  # one run of eight characters, however often
        (" ".join(map(str, range(30_000)))[:MAX_CHARS], True),
        (" ".join(map(str, range(30_000)))[: MAX_CHARS + 1], False),
    ],
)
def test_documents_too_short_or_too_long_are_not_copied(text: str, can: bool) -> None:
    assert can_be_copied(pa.array([text], pa.large_string()), DEFAULT).tolist() == [can]


@pytest.mark.parametrize("text", ["", " ", "one", "  one two\n", "a.b. C! d\ne", "零一。二!\n三", "กิ่ง ก", "a\u0301 b"])
def test_units_and_pieces_are_the_text(text: str) -> None:
    for is_unspaced in (False, True):
        units = units_of(text, is_unspaced=is_unspaced)
        assert "".join(units) == (text if text.strip() else "")
        assert all(unit.strip() for unit in units)
    assert "".join(pieces_of(text, units_of(text, is_unspaced=False))) == text


def test_marks_stay_with_their_character() -> None:
    assert units_of("กิ่ง ก", is_unspaced=True) == ("กิ่", "ง", " ก")


def test_sentences_and_lines_are_pieces_and_runs_of_words_where_there_are_few() -> None:
    text = "One. Two? 3.14 is three!\nFour\nfive. Six. Seven. Eight. Nine."
    assert pieces_of(text, units_of(text, is_unspaced=False))[:4] == ("One. ", "Two? ", "3.14 is three!\n", "Four\n")
    long = " ".join(map(str, range(30)))
    assert [len(piece.split()) for piece in pieces_of(long, units_of(long, is_unspaced=False))] == [12, 12, 6]

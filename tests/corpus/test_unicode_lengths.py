"""How many characters a text has."""

from __future__ import annotations

import pyarrow as pa

from datassay.corpus.unicode import n_characters


def test_characters_of_one_to_four_bytes_count_once() -> None:
    texts = ["", "word", "é", "naïve – 日本語", "a😀b", "e\u0301", "x" * 1000 + "ß" * 1000]
    assert n_characters(pa.array(texts)).tolist() == [len(text) for text in texts]
    assert n_characters(pa.array(texts).slice(2, 3)).tolist() == [1, len("naïve – 日本語"), 3]
    assert n_characters(pa.array([], pa.string())).tolist() == []

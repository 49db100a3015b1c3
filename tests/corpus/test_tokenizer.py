"""Byte-level BPE: GPT-2's ids, the fast path against the reference, training and its sample."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError
from datassay.corpus.store import Outputs
from datassay.corpus.tokenizer import (
    EOS,
    GPT2_CONTENT,
    Tokenizer,
    TrainTokenizerSettings,
    fast_encoding,
    load_tokenizer,
    parse_tokenizer,
    sample_texts,
    train_bpe,
    train_tokenizer,
)

TEXTS = [
    "",
    "the cat sat on the mat, didn't it?  It's  two\n\n spaces.\t",
    "naïve café — 東京 🙂 \u2028 ١٢٣ ½ \r\n\x00",
    "aaaaaaaa abababab " * 50,
    f"a text that says {EOS} itself",
]


@pytest.fixture(scope="module")
def gpt2() -> Tokenizer:
    return load_tokenizer("gpt2")


@pytest.fixture(scope="module")
def trained() -> Tokenizer:
    return train_bpe([text * 3 for text in TEXTS], 400)


def by_reference(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.reference.encode(text, add_special_tokens=False).ids)


def test_gpt2_ids(gpt2: Tokenizer) -> None:
    # Published ids: `Hello world` in many tutorials; " the" 262 and "<|endoftext|>" 50256 in encoder.json.
    assert gpt2.encode("Hello world").tolist() == [15496, 995]
    assert gpt2.encode(" the").tolist() == [262]
    assert (gpt2.vocab_size, gpt2.eos_id, gpt2.dtype) == (50257, 50256, np.uint16)


def test_gpt2_is_known(gpt2: Tokenizer) -> None:
    assert gpt2.content == parse_tokenizer(gpt2.json).content == GPT2_CONTENT


def test_end_of_text_is_never_made_from_text(gpt2: Tokenizer, trained: Tokenizer) -> None:
    for tokenizer in (gpt2, trained, parse_tokenizer(trained.json)):
        ids = tokenizer.encode(EOS)
        assert tokenizer.eos_id not in ids
        assert tokenizer.decode(ids) == EOS
        assert tokenizer.decode([tokenizer.eos_id]) == ""


@pytest.mark.parametrize("text", TEXTS)
def test_fast_ids_are_the_references(gpt2: Tokenizer, trained: Tokenizer, text: str) -> None:
    for tokenizer in (gpt2, trained):
        assert fast_encoding(tokenizer.reference, tokenizer.json) is not None
        ids = tokenizer.encode(text)
        assert ids.tolist() == by_reference(tokenizer, text)
        assert tokenizer.decode(ids) == text


def test_fast_ids_are_the_references_for_every_character(gpt2: Tokenizer) -> None:
    """Both libraries sort all of Unicode into letters, numbers, spaces and others alike."""
    characters = [chr(i) for i in range(0x110000) if not 0xD800 <= i < 0xE000]
    text = "".join(character + (" ", "a", "1")[i % 3] for i, character in enumerate(characters))
    assert gpt2.encode(text).tolist() == by_reference(gpt2, text)


def test_fast_ids_on_real_text(shared: Path, gpt2: Tokenizer) -> None:
    texts = pq.read_table(shared / "lm" / "val.parquet").column("text").to_pylist()[:60]
    tokenizer = train_bpe(texts, 2000)
    for text in texts:
        assert tokenizer.encode(text).tolist() == by_reference(tokenizer, text)
        assert gpt2.encode(text).tolist() == by_reference(gpt2, text)


def test_spaces_that_the_fast_path_cannot_do(gpt2: Tokenizer) -> None:
    text = " " * 1_000_000
    assert gpt2.encode(text).tolist() == by_reference(gpt2, text)


def test_no_fast_path_where_ids_would_differ(trained: Tokenizer) -> None:
    config = json.loads(trained.json)
    config["model"]["merges"].reverse()  # the order of merges is no longer that of ids
    shuffled = parse_tokenizer(json.dumps(config))
    assert fast_encoding(shuffled.reference, shuffled.json) is None
    assert shuffled.encode(TEXTS[1]).tolist() == by_reference(shuffled, TEXTS[1])

    config = json.loads(trained.json)
    config["normalizer"] = {"type": "Lowercase"}
    lower = parse_tokenizer(json.dumps(config))
    assert fast_encoding(lower.reference, lower.json) is None


def test_training_gives_the_same_ids_again(trained: Tokenizer) -> None:
    assert train_bpe((text * 3 for text in TEXTS), 400).json == trained.json


def test_first_merge_is_the_most_frequent_pair() -> None:
    # "ab" occurs four times; no other pair inside a word does. 257 tokens are <eos> and the bytes.
    tokenizer = train_bpe(["abx aby abz abw"], 258)
    assert tokenizer.vocab_size == 258
    assert tokenizer.eos_id == 0
    assert tokenizer.reference.id_to_token(257) == "ab"


def test_vocabulary_needs_room_for_bytes() -> None:
    with pytest.raises(ValueError, match="at least 257"):
        train_bpe([], 256)
    assert train_bpe([], 257).decode(train_bpe([], 257).encode("é")) == "é"


def test_unusable_tokenizers(tmp_path: Path, trained: Tokenizer) -> None:
    with pytest.raises(InputError, match="gpt2"):
        load_tokenizer(tmp_path / "missing.json")
    with pytest.raises(InputError, match="not a tokenizer"):
        parse_tokenizer("{}")
    with pytest.raises(InputError, match="no end-of-text token"):
        parse_tokenizer(trained.json.replace(EOS, "<start>"))


def corpus(path: Path, texts: list[str]) -> Path:
    table = pa.table({"id": [f"{i:032x}" for i in range(len(texts))], "text": pa.array(texts, pa.large_string())})
    pq.write_table(table, path)
    return path


def test_sample_is_whole_documents_within_the_budget(tmp_path: Path) -> None:
    texts = [f"{i:04d} é" for i in range(1000)]  # 7 bytes each
    path = corpus(tmp_path / "c.parquet", texts)
    sample = list(sample_texts([path], 700, seed=0))
    assert len(sample) == 100
    assert sample == sorted(sample)
    assert set(sample) <= set(texts)
    assert set(sample) <= set(sample_texts([path], 1400, seed=0))  # a larger sample holds the smaller
    assert set(sample) != set(sample_texts([path], 700, seed=1))
    assert len(list(sample_texts([path], 699, seed=0))) == 99


def test_sample_of_one_long_document_is_cut(tmp_path: Path) -> None:
    assert list(sample_texts([corpus(tmp_path / "c.parquet", ["aéé"])], 4, seed=0)) == ["aé"]  # é is two bytes
    assert list(sample_texts([corpus(tmp_path / "e.parquet", [])], 4, seed=0)) == []


def test_stage_writes_a_tokenizer(tmp_path: Path) -> None:
    path = corpus(tmp_path / "c.parquet", TEXTS)
    contents = []
    for run in ("a", "b"):
        out = Outputs(tmp_path / run, 0)
        train_tokenizer(Inputs({"corpus": (path,)}), TrainTokenizerSettings(vocab_size=270), out)
        contents.append((tmp_path / run / "tokenizer" / "part-00000.json").read_bytes())
    assert contents[0] == contents[1]
    assert load_tokenizer(tmp_path / "a" / "tokenizer" / "part-00000.json").vocab_size == out.counts["n_tokens"] == 270

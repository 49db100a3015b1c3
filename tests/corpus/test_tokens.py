"""Token shards: what is written is what is read, by us without a copy and by `datasets`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import StoreError
from datassay.corpus.store import Outputs
from datassay.corpus.tokenizer import Tokenizer, load_tokenizer, train_bpe
from datassay.corpus.tokens import TokenizeSettings, TokenShard, open_tokens, tokenize, tokenize_texts

TEXTS = ["Hello world", "", "é " * 5000, *[f"document {i}" for i in range(3000)]]  # three batches


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_bpe(TEXTS, 300)


def write(folder: Path, tokenizer: Tokenizer, texts: list[str]) -> Path:
    (folder / "in").mkdir(exist_ok=True)
    ids = pa.array([f"id{i}" for i in range(len(texts))], pa.string())
    pq.write_table(pa.table({"id": ids, "text": pa.array(texts, pa.large_string())}), folder / "in" / "c.parquet")
    (folder / "in" / "tokenizer.json").write_text(tokenizer.json, encoding="utf-8")
    inputs = Inputs({"corpus": (folder / "in" / "c.parquet",), "tokenizer": (folder / "in" / "tokenizer.json",)})
    out = Outputs(folder, 0)
    tokenize(inputs, TokenizeSettings(), out)
    assert out.counts["n_documents"] == len(texts)
    assert out.counts["n_bytes"] == sum(len(text.encode()) for text in texts)
    return folder / "tokens" / "part-00000.arrow"


def check(shard: TokenShard, texts: list[str], tokenizer: Tokenizer) -> None:
    assert len(shard) == len(texts)
    assert shard.n_bytes.tolist() == [len(text.encode()) for text in texts]
    for i in (0, 1, 2, 1023, 1024, len(texts) - 1):
        assert tokenizer.decode(shard.document(i)) == texts[i]
    assert shard.n_tokens == sum(len(ids) for ids in tokenizer.encode_batch(texts))
    assert (shard.vocab_size, shard.eos_id, shard.tokenizer) == (300, 0, tokenizer.content)


def test_what_is_written_is_read(tmp_path: Path, tokenizer: Tokenizer) -> None:
    shard = open_tokens(write(tmp_path, tokenizer, TEXTS))
    check(shard, TEXTS, tokenizer)
    assert shard.document_ids[1024].as_py() == "id1024"
    check(tokenize_texts(TEXTS, tokenizer), TEXTS, tokenizer)


def test_reading_copies_nothing(tmp_path: Path, tokenizer: Tokenizer) -> None:
    before = pa.total_allocated_bytes()
    shard = open_tokens(write(tmp_path, tokenizer, ["a long text " * 100_000]))
    assert shard.n_tokens * 2 > 400_000
    assert pa.total_allocated_bytes() - before < 10_000
    assert not shard.ids.flags.owndata
    assert not shard.ids.flags.writeable


def test_datasets_reads_it(tmp_path: Path, tokenizer: Tokenizer) -> None:
    from datasets import Dataset

    dataset = Dataset.from_file(str(write(tmp_path, tokenizer, TEXTS)))
    assert dataset.column_names == ["id", "ids", "n_bytes"]
    assert dataset.num_rows == len(TEXTS)
    assert dataset[0]["ids"] == tokenizer.encode("Hello world").tolist()
    assert dataset[1]["ids"] == []


def test_the_same_bytes_again(tmp_path: Path, tokenizer: Tokenizer) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    a, b = (write(tmp_path / run, tokenizer, TEXTS).read_bytes() for run in ("a", "b"))
    assert a == b


def test_ids_take_two_bytes_up_to_65536_tokens(tokenizer: Tokenizer) -> None:
    assert tokenize_texts(["a"], tokenizer).ids.dtype == np.uint16
    assert tokenize_texts(["a"], load_tokenizer("gpt2")).ids.dtype == np.uint16


def test_empty_shards(tmp_path: Path, tokenizer: Tokenizer) -> None:
    assert len(open_tokens(write(tmp_path, tokenizer, []))) == 0
    assert len(tokenize_texts([], tokenizer)) == 0


def test_damaged_shards(tmp_path: Path, tokenizer: Tokenizer) -> None:
    path = write(tmp_path, tokenizer, TEXTS)
    whole = path.read_bytes()
    for damaged in (b"", b"no arrow", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match="not a token shard"):
            open_tokens(path)

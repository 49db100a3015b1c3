"""Bits per byte as a signal: what is scored, against the evaluation's own figures."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

torch = pytest.importorskip("torch")

from datassay.corpus.engine import Inputs, Task, run_task  # noqa: E402
from datassay.corpus.errors import InputError  # noqa: E402
from datassay.corpus.schema import DOCUMENT  # noqa: E402
from datassay.corpus.tokenizer import train_bpe  # noqa: E402
from datassay.corpus.tokens import tokenize_texts  # noqa: E402
from datassay.model.checkpoint import load_model, save_model  # noqa: E402
from datassay.model.data import TokenStream  # noqa: E402
from datassay.model.evaluate import evaluate  # noqa: E402
from datassay.model.perplexity import (  # noqa: E402
    BATCH_ROWS,
    bits_per_byte,
    gpt_perplexity_settings,
    gpt_schema,
    measure_gpt_perplexity,
)
from datassay.model.train import Shape, TrainSettings, train  # noqa: E402

TEXT = "the quick brown fox jumps over the lazy dog"
TOKENIZER = train_bpe([TEXT * 2], 262)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows TEXT, as `datassay train` saves it."""
    settings = TrainSettings(
        shape=Shape(n_layer=1, n_head=2, n_embd=32), n_tokens=60 * 128, batch_tokens=128, seq_len=32, lr=1e-2
    )
    model = train(settings, TokenStream([tokenize_texts([TEXT], TOKENIZER)])).model
    path = tmp_path_factory.mktemp("model")
    save_model(path, model, TOKENIZER.json, {"losses": []})
    return path


def write_documents(path: Path, texts: list[str]) -> Path:
    schema = pa.schema([DOCUMENT.field("id"), DOCUMENT.field("text")])
    pq.write_table(pa.table([[f"{i:032x}" for i in range(len(texts))], texts], schema=schema), path)
    return path


def test_a_known_text_needs_fewer_bits(folder: Path, tmp_path: Path) -> None:
    texts = [TEXT, "", TEXT[::-1], "é"]
    settings = gpt_perplexity_settings(folder, name="bpb")
    inputs = Inputs({"clean": (write_documents(tmp_path / "c.parquet", texts),)})
    done = run_task(Task(measure_gpt_perplexity, inputs, settings, tmp_path, 0, "key"))
    table = pq.read_table(tmp_path / "perplexity/part-00000.parquet")
    assert table.schema == gpt_schema("bpb")
    assert done.counts == {"documents": 4, "null": 1}
    known, empty, backwards, letter = table["bpb"].to_pylist()
    assert empty is None
    assert known < backwards / 2
    saved = load_model(folder)
    alone = evaluate(saved.model, tokenize_texts(["é"], TOKENIZER), precision="float32")
    assert letter == pytest.approx(alone.nats[0] / math.log(2) / 2, rel=1e-5)  # two bytes


@pytest.mark.parametrize(("head_bytes", "read"), [(1, ""), (2, "é"), (3, "é"), (4, "éa"), (5, "éab"), (99, "éab")])
def test_the_beginning_ends_with_a_character(folder: Path, head_bytes: int, read: str) -> None:
    text = {"éab": "éab", "éa": "éaü"}.get(read, "éü")  # what follows would not fit
    settings = gpt_perplexity_settings(folder, head_bytes=head_bytes)
    saved = load_model(folder)
    whole = gpt_perplexity_settings(folder)
    assert bits_per_byte(saved, [text], settings) == bits_per_byte(saved, [read], whole)


def test_the_same_bytes_each_time(folder: Path, tmp_path: Path) -> None:
    texts = [TEXT * (i % 5) + str(i) for i in range(BATCH_ROWS + 3)]
    inputs = Inputs({"clean": (write_documents(tmp_path / "c.parquet", texts),)})
    settings = gpt_perplexity_settings(folder)
    for name, threads in (("a", 1), ("b", 2)):
        n_threads = torch.get_num_threads()
        torch.set_num_threads(threads)
        run_task(Task(measure_gpt_perplexity, inputs, settings, tmp_path / name, 0, "key"))
        assert torch.get_num_threads() == threads
        torch.set_num_threads(n_threads)
    one, other = (tmp_path / name / "perplexity/part-00000.parquet" for name in ("a", "b"))
    assert one.read_bytes() == other.read_bytes()


def test_the_key_follows_the_model_and_not_its_place(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    before = gpt_perplexity_settings(folder).model_dump(mode="json")
    assert gpt_perplexity_settings(tmp_path).model_dump(mode="json") == before
    (tmp_path / "model.safetensors").write_bytes(b"other")
    assert gpt_perplexity_settings(tmp_path).model_dump(mode="json") != before


def test_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no config\.json"):
        gpt_perplexity_settings(tmp_path)

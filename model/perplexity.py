"""Bits per byte of documents under a GPT that this project trained, as a signal: how well a small model of known text
foresees a document."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pydantic import BaseModel, Field, PositiveInt

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError
from datassay.corpus.given import GivenFile, given_file
from datassay.corpus.store import Outputs, read_batches
from datassay.corpus.tokens import tokenize_texts
from datassay.model.checkpoint import SavedModel, load_model
from datassay.model.evaluate import evaluate
from datassay.model.runtime import best_device, deterministic

VERSION = 1
BATCH_ROWS = 64
"""Documents that are scored together. Part of the signal's definition: other batches round otherwise."""
FILES = ("config.json", "model.safetensors", "tokenizer.json")


class GPTPerplexitySettings(BaseModel, frozen=True, extra="forbid"):
    """A model's folder by the contents of its files, and what is scored; see `gpt_perplexity_settings`."""

    name: str = Field("gpt_bpb", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Column of the signal."""
    files: tuple[GivenFile, ...]
    """Configuration, weights and tokenizer, in the order of FILES."""
    head_bytes: PositiveInt = 2048
    """Only so many bytes from the beginning are read, up to the end of a character: some 500 tokens of English."""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """What is multiplied in; `auto` is bfloat16 where that is native, and gives other values there."""


def gpt_perplexity_settings(
    folder: Path,
    *,
    name: str = "gpt_bpb",
    head_bytes: int = 2048,
    precision: Literal["auto", "float32", "bfloat16"] = "float32",
) -> GPTPerplexitySettings:
    """Settings of the stage for a model that `datassay train` saved. Raises InputError if the folder holds none."""
    for file in FILES:
        if not (folder / file).is_file():
            raise InputError(f"{folder}: no model here (no {file}); `datassay train RUN -o {folder}` makes one")
    files = tuple(given_file(str(folder / file)) for file in FILES)
    return GPTPerplexitySettings(name=name, files=files, head_bytes=head_bytes, precision=precision)


def gpt_schema(name: str) -> pa.Schema:
    """Of a dataset of bits per byte; null for an empty text."""
    return pa.schema([pa.field("id", pa.string(), nullable=False), pa.field(name, pa.float64())])


def measure_gpt_perplexity(inputs: Inputs, settings: GPTPerplexitySettings, out: Outputs) -> None:
    """Bits per byte of the beginning of each document of dataset `clean`; writes dataset `perplexity`.

    Each document is read alone after an `<eos>`. On one thread and in batches of BATCH_ROWS documents, so that any
    number of workers gives the same bits; another processor or version of torch may round otherwise.
    """
    config = settings.files[0]
    saved = _kept_model(config.path.parent, tuple(file.content for file in settings.files))
    schema = gpt_schema(settings.name)
    with out.parquet("perplexity", schema) as shard, deterministic(1, best_device()):
        for batch in read_batches(inputs.all("clean"), columns=["id", "text"], n_rows=BATCH_ROWS):
            values = bits_per_byte(saved, batch["text"].to_pylist(), settings)
            shard.write(pa.RecordBatch.from_arrays([batch["id"], pa.array(values, pa.float64())], schema=schema))
            out.counts["documents"] += batch.num_rows
            out.counts["null"] += values.count(None)


def bits_per_byte(saved: SavedModel, texts: list[str], settings: GPTPerplexitySettings) -> list[float | None]:
    """Bits per byte of the beginning of each text; None for an empty one."""
    heads = [text.encode()[: settings.head_bytes].decode(errors="ignore") for text in texts]
    result = evaluate(saved.model, tokenize_texts(heads, saved.tokenizer), precision=settings.precision)
    pairs = zip(result.nats.tolist(), result.n_bytes.tolist(), strict=True)
    return [nats / math.log(2) / n_bytes if n_bytes else None for nats, n_bytes in pairs]


@lru_cache(maxsize=1)
def _kept_model(folder: Path, contents: tuple[str, ...]) -> SavedModel:  # noqa: ARG001
    """The model in the folder; kept, since every shard asks for it. contents: of its files, which may change"""
    return load_model(folder)

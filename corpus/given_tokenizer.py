"""A tokenizer that the recipe names instead of training one: GPT-2's, or a tokenizer.json."""

from __future__ import annotations

from pydantic import BaseModel

from datassay.corpus.engine import Inputs
from datassay.corpus.store import Outputs
from datassay.corpus.tokenizer import load_tokenizer

VERSION = 1


class GivenTokenizer(BaseModel, frozen=True, extra="forbid"):
    """Which tokenizer, by what is in it."""

    json_text: str
    """The tokenizer.json itself, so that the stage's key depends on nothing else."""


def given_tokenizer(name: str) -> GivenTokenizer:
    """The tokenizer of this name or path. Raises InputError if there is none."""
    return GivenTokenizer(json_text=load_tokenizer(name).json)


def copy_tokenizer(inputs: Inputs, settings: GivenTokenizer, out: Outputs) -> None:  # noqa: ARG001
    """Write the tokenizer as dataset `tokenizer`, for the stages that take one."""
    with out.file("tokenizer", ".json") as path:
        path.write_text(settings.json_text, encoding="utf-8")

"""A finished model as a folder: model.safetensors, config.json, tokenizer.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datassay.corpus.errors import StoreError
from datassay.corpus.store import read_json, whole_file, write_json
from datassay.corpus.tokenizer import Tokenizer, parse_tokenizer
from datassay.model.gpt import GPT, GPTConfig
from datassay.model.runtime import best_device


@dataclass(frozen=True, slots=True)
class SavedModel:
    """A model as it was saved."""

    model: GPT
    tokenizer: Tokenizer
    meta: dict[str, Any]
    """What the saver wanted to be known: settings, losses, hashes."""


def save_model(folder: Path, model: GPT, tokenizer_json: str, meta: Mapping[str, object]) -> None:
    """Save a model with the content of its tokenizer.json; config.json comes last and says that it is whole."""
    from safetensors.torch import save_file

    with whole_file(folder / "model.safetensors") as path:
        save_file({name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}, path)
    with whole_file(folder / "tokenizer.json") as path:
        path.write_text(tokenizer_json, encoding="utf-8")
    write_json(folder / "config.json", {"model": asdict(model.config), "meta": dict(meta)})


def load_model(folder: Path) -> SavedModel:
    """The model in a folder, on the best device. Raises StoreError if there is none or it is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config = read_json(folder / "config.json")
    device = best_device()
    try:
        model = GPT(GPTConfig(**config["model"])).to(device)
        model.load_state_dict(load_file(folder / "model.safetensors", device=str(device)))
        tokenizer = parse_tokenizer((folder / "tokenizer.json").read_text(encoding="utf-8"), str(folder))
    except (OSError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise StoreError(f"{folder}: not a whole model ({error}); save it again") from error
    return SavedModel(model.eval(), tokenizer, config["meta"])

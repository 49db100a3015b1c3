"""Train, evaluate and use a single model from the command line."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from datassay.cli.mistakes import settings_mistakes
from datassay.cli.progress import Progress
from datassay.cli.query import table
from datassay.cli.run_folder import RunFolder
from datassay.corpus.errors import InputError, MissingExtraError, RecipeError
from datassay.corpus.inputs import find_inputs
from datassay.corpus.readers import read_records
from datassay.corpus.store import read_json
from datassay.corpus.tokens import open_tokens, tokenize_texts

if TYPE_CHECKING:
    from datassay.model.evaluate import Evaluation

N_REPLICATES = 1000
"""Bootstrap samples of the documents of a domain."""


def train_model(run: RunFolder, output: Path, settings: Mapping[str, Any]) -> Path:
    """Train on the tokens of a run's refined corpus and save the model; a training that was stopped goes on, one that
    is finished is not done again.

    settings: of TrainSettings; an `n_tokens` of None is one epoch
    Raises RecipeError for settings that do not go together, MissingExtraError without torch.
    """
    _need_torch()
    from datassay.model.checkpoint import save_model
    from datassay.model.data import TokenStream
    from datassay.model.train import TrainSettings, train

    shards = [open_tokens(path) for path in run.files("tokens", "tokens")]
    stream = TokenStream(shards, seed=settings["seed"])
    chosen = {name: value for name, value in settings.items() if value is not None}
    try:
        train_settings = TrainSettings(**{"n_tokens": stream.n_tokens, **chosen})
    except ValidationError as error:
        raise RecipeError(settings_mistakes(error, "train")) from error
    meta = {
        "settings": train_settings.model_dump(mode="json"),
        "tokens": [path.parent.parent.name for path in run.files("tokens", "tokens")][:1],
    }
    if _is_saved(output, meta):
        Progress().note("train: as is")
        return output
    try:
        output.mkdir(parents=True, exist_ok=True)  # before hours of training, not after
    except OSError as error:
        raise InputError(f"{output}: cannot be made: {error.strerror}") from error
    with Progress() as progress:
        progress.start("train", train_settings.n_steps, 0)
        result = train(
            train_settings,
            stream,
            on_log=lambda loss: progress.reach(loss.step, f"loss {loss.nats:.4f} at {loss.n_tokens:,} tokens"),
            checkpoint_dir=output / "checkpoints",
        )
        progress.finish(f"{result.n_tokens:,} tokens, {result.epochs:.2f} epochs, loss {result.losses[-1].nats:.4f}")
    losses = [[loss.n_tokens, loss.nats] for loss in result.losses]
    tokenizer = run.file("tokenizer", "tokenizer").read_text(encoding="utf-8")
    save_model(output, result.model, tokenizer, {**meta, "losses": losses})
    return output


def _is_saved(output: Path, meta: Mapping[str, Any]) -> bool:
    """Whether the folder holds the model of this very training."""
    config = output / "config.json"
    saved = read_json(config)["meta"] if config.exists() else {}
    return all(saved.get(name) == value for name, value in meta.items())


def evaluate_model(folder: Path, paths: Sequence[str]) -> str:
    """Bits per byte of a saved model on texts, a line for each domain, with a 95 % interval over documents.

    The domain of a text is what its row says in a field `domain`, or the name of its file.
    """
    _need_torch()
    from datassay.model.checkpoint import load_model
    from datassay.model.evaluate import evaluate

    _need_model(folder)
    saved = load_model(folder)
    texts = read_texts(paths)
    rows: list[tuple[object, ...]] = []
    for domain in sorted(texts):
        result = evaluate(saved.model, tokenize_texts(texts[domain], saved.tokenizer))
        low, high = document_interval(result)
        rows.append(
            (domain, len(texts[domain]), int(result.n_bytes.sum()), result.bpb, low, high, result.nats_per_token)
        )
    return table(["domain", "documents", "bytes", "bpb", "low", "high", "nats per token"], rows)


def read_texts(paths: Sequence[str]) -> dict[str, list[str]]:
    """Texts by domain. Raises InputError if there are none."""
    texts: defaultdict[str, list[str]] = defaultdict(list)
    for file in find_inputs(paths, paths_from=None, source="evaluate", cache=None):
        for record in read_records(file, fields={}):
            if record.text:
                texts[str(record.metadata.get("domain") or Path(file.name).name.split(".")[0])].append(record.text)
    if not texts:
        raise InputError(f"{', '.join(paths)}: no texts; give Parquet, JSON lines or text files")
    return dict(texts)


def document_interval(result: Evaluation) -> tuple[float, float]:
    """95 % percentile interval of bits per byte over documents drawn with replacement; the same draws each time."""
    generator = np.random.Generator(np.random.Philox(0))
    rows = generator.integers(0, len(result.nats), (N_REPLICATES, len(result.nats)))
    bpb = result.nats[rows].sum(axis=1) / result.n_bytes[rows].sum(axis=1) / math.log(2)
    low, high = np.quantile(bpb, [0.025, 0.975])
    return float(low), float(high)


def generate_text(folder: Path, prompt: str, settings: Mapping[str, Any]) -> str:
    """The prompt and what a saved model makes of it. Raises RecipeError for limits that leave no token."""
    _need_torch()
    from datassay.model.checkpoint import load_model
    from datassay.model.generate import generate

    _need_model(folder)
    saved = load_model(folder)
    try:
        return prompt + generate(saved.model, saved.tokenizer, prompt, **settings)
    except ValueError as error:
        raise RecipeError(f"generate: {error}") from error


def _need_model(folder: Path) -> None:
    if not (folder / "config.json").exists():
        raise InputError(f"{folder}: no model here (no config.json); `datassay train RUN -o {folder}` makes one")


def _need_torch() -> None:
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtraError("this command needs torch: pip install 'datassay[train]'") from error

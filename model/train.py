"""Training: settings and a stream of tokens in, a model and its losses out; the same bits for the same seed."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.optim import Optimizer

from datassay.corpus.errors import DatassayError, StoreError
from datassay.corpus.hashing import settings_key
from datassay.corpus.store import read_json, write_json
from datassay.model.data import TokenStream
from datassay.model.gpt import GPT, PRESETS, GPTConfig, preset
from datassay.model.optimizers import OPTIMIZERS, SCHEDULES, learning_rate, set_learning_rate
from datassay.model.runtime import autocast, best_device, deterministic, keep_memory, machine

LOG_EVERY = 10
"""Steps between two log entries; reading the loss more often would make a GPU wait."""


class TrainingError(DatassayError):
    """The training went wrong in a way that other settings can mend."""

    exit_status = 2


class Shape(BaseModel, frozen=True, extra="forbid"):
    """Shape of a GPT other than the presets."""

    n_layer: PositiveInt
    n_head: PositiveInt
    n_embd: PositiveInt
    """Width; a multiple of n_head."""


class TrainSettings(BaseModel, frozen=True, extra="forbid"):
    """One training run: with the token stream, all that decides its result."""

    preset: str = "xs"
    """Shape of the GPT: xs, s, m, l (2x64, 4x128, 6x192, 6x256), or GPT-3's gpt3-125m to gpt3-175b."""
    shape: Shape | None = None
    """A shape of your own, instead of the preset's."""
    n_tokens: PositiveInt = 1_000_000
    """Tokens trained on, repeats counted; rounded up to whole steps."""
    batch_tokens: PositiveInt = 1024
    """Tokens of an optimizer step: a multiple of seq_len."""
    seq_len: PositiveInt = 128
    """Tokens of context."""
    micro_batch_tokens: PositiveInt = 32_768
    """Tokens that go through the model at once; more of a batch are accumulated."""
    optimizer: str = "adamw"
    """adamw, adam, sgd, lion or muon."""
    lr: float = Field(1e-3, gt=0)
    """Peak learning rate. Lower than what gives the best loss: it compares variants with a third of the noise."""
    schedule: str = "linear"
    """After the warm-up: linear (to 0), cosine (to 10 %), wsd (constant, the last fifth to 0) or constant."""
    warmup: float = Field(0.05, ge=0, lt=1)
    """Share of the steps over which the learning rate rises; at least 10 steps, at most half of all."""
    weight_decay: float = Field(0.1, ge=0)
    """Decay of matrices; biases and norms do not decay."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Decay of the first and second moment; of sgd, the first is its momentum."""
    clip: float = Field(1.0, gt=0)
    """Largest norm of the gradient."""
    seed: int = 0
    """Seed of the initial weights. The order of the documents has its own, in the token stream."""
    threads: PositiveInt = 1
    """Threads; several small runs of one thread side by side are faster. Another number, other last bits."""
    precision: str = Field("auto", pattern="^(auto|bfloat16|float32)$")
    """Type that is multiplied in: auto is bfloat16 where the processor has it."""

    @model_validator(mode="after")
    def _is_consistent(self) -> TrainSettings:
        for value, table in ((self.preset, PRESETS), (self.optimizer, OPTIMIZERS), (self.schedule, SCHEDULES)):
            if value not in table:
                raise ValueError(f"no {value!r}; there are {', '.join(table)}")
        if self.batch_tokens % self.seq_len:
            raise ValueError(f"batch_tokens {self.batch_tokens} is no multiple of seq_len {self.seq_len}")
        if self.shape is not None and self.shape.n_embd % self.shape.n_head:
            raise ValueError(f"n_head {self.shape.n_head} does not divide n_embd {self.shape.n_embd}")
        return self

    @property
    def batch_size(self) -> int:
        """Windows of a step."""
        return self.batch_tokens // self.seq_len

    @property
    def n_steps(self) -> int:
        return -(-self.n_tokens // self.batch_tokens)

    @property
    def n_warmup(self) -> int:
        """Steps of the warm-up: 5 % of a short run would be too few, so at least 10."""
        return min(max(10, round(self.warmup * self.n_steps)), self.n_steps // 2) if self.warmup else 0

    def config(self, vocab_size: int) -> GPTConfig:
        """The model's shape for a vocabulary."""
        if self.shape is not None:
            return GPTConfig(**self.shape.model_dump(), vocab_size=vocab_size, seq_len=self.seq_len)
        return preset(self.preset, vocab_size=vocab_size, seq_len=self.seq_len)


@dataclass(frozen=True, slots=True)
class Loss:
    """Mean loss of the steps since the last log entry."""

    step: int
    """Steps done."""
    n_tokens: int
    nats: float
    """Per token."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A trained model and how it got there."""

    model: GPT
    losses: list[Loss]
    n_steps: int
    n_tokens: int
    epochs: float
    """How often each document was read."""
    seconds: float
    """Wall time, since the last resume."""
    cpu_seconds: float
    device: str
    flops: float


@dataclass(slots=True)
class Run:
    """A training run under way."""

    settings: TrainSettings
    stream: TokenStream
    device: torch.device
    model: GPT
    optimizers: list[Optimizer]
    n_done: int = 0
    losses: list[Loss] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Names what a checkpoint can be continued by: bit-identical results need all of it."""
        return settings_key(
            self.settings.model_dump(mode="json"), self.stream.content, machine(self.settings.precision)
        )


def train(
    settings: TrainSettings,
    stream: TokenStream,
    *,
    on_log: Callable[[Loss], None] | None = None,
    checkpoint_dir: Path | None = None,
    checkpoint_every: int = 1000,
) -> TrainResult:
    """Train a model on a stream; the same settings, stream and machine give the same bits.

    With a `checkpoint_dir` the state is saved there every `checkpoint_every` steps, and a run that was stopped goes on
    where it was, with the result it would have had. Raises TrainingError if the loss is no longer a number, StoreError
    if the checkpoint there is another run's.
    """
    keep_memory()
    device = best_device()
    wall, cpu = time.perf_counter(), time.process_time()
    with deterministic(settings.threads, device):
        run = start(settings, stream, device)
        if checkpoint_dir is not None:
            resume(run, checkpoint_dir)
        for step in range(run.n_done, settings.n_steps, LOG_EVERY):
            loss = train_steps(run, step, min(step + LOG_EVERY, settings.n_steps))
            run.losses.append(loss)
            if on_log is not None:
                on_log(loss)
            is_due = loss.step // checkpoint_every > step // checkpoint_every
            if checkpoint_dir is not None and is_due:
                save_checkpoint(run, checkpoint_dir)
    n_tokens = settings.n_steps * settings.batch_tokens
    return TrainResult(
        model=run.model.eval(),
        losses=run.losses,
        n_steps=settings.n_steps,
        n_tokens=n_tokens,
        epochs=settings.n_steps / stream.steps_per_epoch(settings.batch_size, settings.seq_len),
        seconds=time.perf_counter() - wall,
        cpu_seconds=time.process_time() - cpu,
        device=str(device),
        flops=n_tokens * run.model.flops_per_token(settings.seq_len),
    )


def start(settings: TrainSettings, stream: TokenStream, device: torch.device) -> Run:
    """A run before its first step."""
    model = GPT(settings.config(stream.vocab_size), seed=settings.seed).to(device)
    optimizers = OPTIMIZERS[settings.optimizer](
        model, lr=settings.lr, weight_decay=settings.weight_decay, betas=settings.betas
    )
    return Run(settings, stream, device, model, optimizers)


def train_steps(run: Run, begin: int, end: int) -> Loss:
    """Do the steps begin … end - 1 and return their mean loss. Raises TrainingError if it is not finite."""
    total = torch.zeros((), device=run.device)
    for step in range(begin, end):
        total += train_step(run, step)
    run.n_done = end
    nats = float(total) / (end - begin)
    if not math.isfinite(nats):
        raise TrainingError(
            f"the loss became {nats} between steps {begin} and {end}, at learning rate {run.settings.lr:g} "
            f"with {run.settings.optimizer}; try a lower lr, such as {run.settings.lr / 3:.1g}"
        )
    return Loss(end, end * run.settings.batch_tokens, nats)


def train_step(run: Run, step: int) -> Tensor:
    """One optimizer step; its loss, nats per token."""
    s = run.settings
    windows = run.stream.batch(step, s.batch_size, s.seq_len)  # (B, T + 1)
    total = torch.zeros((), device=run.device)
    n_rows = max(1, s.micro_batch_tokens // s.seq_len)
    for rows in np.split(windows, range(n_rows, len(windows), n_rows)):
        ids = torch.from_numpy(rows).to(run.device, non_blocking=True)
        with autocast(run.device, precision=s.precision):
            loss = run.model.loss(ids[:, :-1], ids[:, 1:]) * (len(rows) / len(windows))
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    nn.utils.clip_grad_norm_(run.model.parameters(), s.clip, foreach=True)
    rate = learning_rate(step, s.n_steps, peak=s.lr, n_warmup=s.n_warmup, schedule=s.schedule)
    set_learning_rate(run.optimizers, rate)
    for optimizer in run.optimizers:
        optimizer.step()
        optimizer.zero_grad()
    return total


def save_checkpoint(run: Run, folder: Path) -> None:
    """Save a run's state as folder/step-000123, whole or not at all, and remove older ones."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"step-{run.n_done:09d}"
    part = folder / f".{target.name}.part"
    for leftover in folder.glob(".step-*.part"):  # of a run that was killed while it saved
        shutil.rmtree(leftover)
    part.mkdir()
    save_file(run.model.state_dict(), part / "model.safetensors")
    torch.save([optimizer.state_dict() for optimizer in run.optimizers], part / "optimizers.pt")
    losses = [[loss.step, loss.n_tokens, loss.nats] for loss in run.losses]
    write_json(part / "state.json", {"key": run.key, "n_done": run.n_done, "losses": losses})
    shutil.rmtree(target, ignore_errors=True)
    part.replace(target)
    for old in checkpoints(folder)[:-1]:
        shutil.rmtree(old)


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first."""
    return sorted(folder.glob("step-*"))


def resume(run: Run, folder: Path) -> None:
    """Bring a run to the last checkpoint in a folder, if there is one. Raises StoreError if it is another run's."""
    from safetensors.torch import load_file

    found = checkpoints(folder)
    if not found:
        return
    state: dict[str, Any] = read_json(found[-1] / "state.json")
    if state["key"] != run.key:
        raise StoreError(
            f"{found[-1]}: a checkpoint of another run (other settings, documents, device or torch); "
            "remove it, or give another folder"
        )
    run.model.load_state_dict(load_file(found[-1] / "model.safetensors", device=str(run.device)))
    saved = torch.load(found[-1] / "optimizers.pt", map_location=run.device, weights_only=True)
    for optimizer, optimizer_state in zip(run.optimizers, saved, strict=True):
        optimizer.load_state_dict(optimizer_state)
    run.n_done = state["n_done"]
    run.losses = [Loss(*loss) for loss in state["losses"]]

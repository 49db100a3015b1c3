"""Optimizers and learning-rate schedules by name: two tables, so that they can be compared like any other choice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Muon, Optimizer


def adamw(model: nn.Module, *, lr: float, weight_decay: float, betas: tuple[float, float]) -> list[Optimizer]:
    """Adam with decoupled decay of matrices (Loshchilov & Hutter 2019); GPT-3's is betas .9/.95, decay .1."""
    return [AdamW(groups(model.parameters(), weight_decay), lr=lr, betas=betas, eps=1e-8, fused=True)]


def adam(model: nn.Module, *, lr: float, weight_decay: float, betas: tuple[float, float]) -> list[Optimizer]:
    """Adam with L2 regularization of matrices in the gradient (Kingma & Ba 2015)."""
    return [Adam(groups(model.parameters(), weight_decay), lr=lr, betas=betas, eps=1e-8, fused=True)]


def sgd(model: nn.Module, *, lr: float, weight_decay: float, betas: tuple[float, float]) -> list[Optimizer]:
    """Stochastic gradient descent with momentum betas[0]."""
    return [SGD(groups(model.parameters(), weight_decay), lr=lr, momentum=betas[0], fused=True)]


def lion(model: nn.Module, *, lr: float, weight_decay: float, betas: tuple[float, float]) -> list[Optimizer]:
    """The sign of a momentum (Chen et al. 2023, arXiv 2302.06675); wants a third to a tenth of AdamW's rate."""
    return [Lion(groups(model.parameters(), weight_decay), lr=lr, betas=betas)]


def muon(model: nn.Module, *, lr: float, weight_decay: float, betas: tuple[float, float]) -> list[Optimizer]:
    """Orthogonalized momentum for the matrices of the blocks (Jordan et al. 2024), AdamW for the rest.

    Updates are scaled to the size of AdamW's (Liu et al. 2025, arXiv 2502.16982), so that one rate serves both.
    """
    matrices = {name: p for name, p in model.named_parameters() if p.ndim == 2 and "embedding" not in name}
    rest = [p for name, p in model.named_parameters() if name not in matrices]
    return [
        Muon(matrices.values(), lr=lr, weight_decay=weight_decay, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        AdamW(groups(rest, weight_decay), lr=lr, betas=betas, eps=1e-8, fused=True),
    ]


OPTIMIZERS: dict[str, Callable[..., list[Optimizer]]] = {
    "adamw": adamw,
    "adam": adam,
    "sgd": sgd,
    "lion": lion,
    "muon": muon,
}


def groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Two groups: matrices, which decay, and vectors (biases, norms), which do not."""
    every = list(parameters)
    return [
        {"params": [p for p in every if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in every if p.ndim < 2], "weight_decay": 0.0},
    ]


class Lion(Optimizer):
    """update = sign(b1 m + (1 - b1) g); m = b2 m + (1 - b2) g; decoupled decay."""

    def __init__(self, params: Iterable[dict[str, Any]], *, lr: float, betas: tuple[float, float]) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group["lr"], group["weight_decay"], b1, b2)

    def _update(self, parameter: Tensor, grad: Tensor, lr: float, decay: float, b1: float, b2: float) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"]
        parameter.mul_(1 - lr * decay).add_(torch.sign(torch.lerp(grad, momentum, b1)), alpha=-lr)
        momentum.lerp_(grad, 1 - b2)


def linear(progress: float) -> float:
    """Straight down to 0."""
    return 1 - progress


def cosine(progress: float) -> float:
    """Half a cosine down to 10 % (Brown et al. 2020, appendix B)."""
    return 0.1 + 0.45 * (1 + math.cos(math.pi * progress))


def wsd(progress: float) -> float:
    """Constant, then straight down to 0 in the last fifth: warm-up, stable, decay (Hu et al. 2024, 2404.06395)."""
    return min(1.0, (1 - progress) / 0.2)


def constant(progress: float) -> float:  # noqa: ARG001
    """Always the peak."""
    return 1.0


SCHEDULES: dict[str, Callable[[float], float]] = {
    "linear": linear,
    "cosine": cosine,
    "wsd": wsd,
    "constant": constant,
}


def learning_rate(step: int, n_steps: int, *, peak: float, n_warmup: int, schedule: str) -> float:
    """The rate of step 0 … n_steps - 1: linear warm-up over n_warmup steps, then the schedule."""
    if step < n_warmup:
        return peak * (step + 1) / n_warmup
    progress = (step - n_warmup) / max(1, n_steps - n_warmup)
    return peak * SCHEDULES[schedule](progress)


def set_learning_rate(optimizers: Sequence[Optimizer], lr: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = lr

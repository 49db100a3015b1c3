"""GPT as in GPT-2 and GPT-3: pre-LN, learned positions, tanh-GELU, tied embeddings, biases everywhere.

Radford et al. 2019; Brown et al. 2020 (arXiv 2005.14165), table 2.1. Attention is dense in all layers: GPT-3 alternates
with banded layers, but the paper gives no width. Shapes: B sequences, T tokens, H heads, D = n_embd.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEAD_ROWS = 1024
"""Tokens whose logits exist at the same time. Measured at 4 096 tokens, V = 4 096, one thread, bf16: 150 ms a step for
the head, against 384 ms and 2.6 times the memory for all logits at once in float32."""


@dataclass(frozen=True, slots=True)
class GPTConfig:
    """Shape of a GPT."""

    n_layer: int
    n_head: int
    n_embd: int
    vocab_size: int = 50257
    seq_len: int = 2048
    """Tokens of context at most."""

    def __post_init__(self) -> None:
        if self.n_embd % self.n_head:
            raise ValueError(f"n_head {self.n_head} does not divide n_embd {self.n_embd}")


PRESETS = {
    "xs": GPTConfig(2, 2, 64),
    "s": GPTConfig(4, 4, 128),
    "m": GPTConfig(6, 6, 192),
    "l": GPTConfig(6, 8, 256),
    "gpt3-125m": GPTConfig(12, 12, 768),
    "gpt3-350m": GPTConfig(24, 16, 1024),
    "gpt3-760m": GPTConfig(24, 16, 1536),
    "gpt3-1.3b": GPTConfig(24, 16, 2048),  # the paper's 24 heads of 128 are not 2048; 16 heads of 128 are
    "gpt3-2.7b": GPTConfig(32, 32, 2560),
    "gpt3-6.7b": GPTConfig(32, 32, 4096),
    "gpt3-13b": GPTConfig(40, 40, 5120),  # the paper's 5140 is not 40 heads of 128
    "gpt3-175b": GPTConfig(96, 96, 12288),
}
"""Shapes by name: four small ones for ablations, and those of Brown et al. 2020, table 2.1."""


def preset(name: str, *, vocab_size: int, seq_len: int) -> GPTConfig:
    """The shape of a preset for a vocabulary and a context. Raises ValueError for an unknown name."""
    if name not in PRESETS:
        raise ValueError(f"no model {name!r}; there are {', '.join(PRESETS)}")
    return replace(PRESETS[name], vocab_size=vocab_size, seq_len=seq_len)


@dataclass(slots=True)
class KVCache:
    """Keys and values of the tokens that a GPT has read, each (n_layer, B, H, seq_len, D / H)."""

    keys: Tensor
    values: Tensor
    n_tokens: int = 0


class Block(nn.Module):
    """Attention and MLP, each on a normalized copy of the residual stream."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        d = config.n_embd
        self.n_head = config.n_head
        self.ln_1 = nn.LayerNorm(d)
        self.attn_in = nn.Linear(d, 3 * d)  # queries, keys, values
        self.attn_out = nn.Linear(d, d)
        self.ln_2 = nn.LayerNorm(d)
        self.mlp_in = nn.Linear(d, 4 * d)
        self.mlp_out = nn.Linear(4 * d, d)

    def forward(self, x: Tensor, cache: KVCache | None = None, layer: int = 0) -> Tensor:
        x = x + self.attention(self.ln_1(x), cache, layer)
        hidden = F.gelu(self.mlp_in(self.ln_2(x)), approximate="tanh")  # (B, T, 4 D)
        out: Tensor = x + self.mlp_out(hidden)
        return out

    def attention(self, x: Tensor, cache: KVCache | None, layer: int) -> Tensor:
        B, T, D = x.shape
        q, k, v = (
            self.attn_in(x).view(B, T, 3, self.n_head, D // self.n_head).permute(2, 0, 3, 1, 4)
        )  # (B, H, T, D / H)
        if cache is None:
            y = causal_attention(q, k, v)
        else:
            begin, end = cache.n_tokens, cache.n_tokens + T
            cache.keys[layer, :, :, begin:end] = k
            cache.values[layer, :, :, begin:end] = v
            k, v = cache.keys[layer, :, :, :end].to(q.dtype), cache.values[layer, :, :, :end].to(q.dtype)
            is_visible = torch.ones(T, end, dtype=torch.bool, device=x.device).tril(begin)  # (T, begin + T)
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=is_visible)
        out: Tensor = self.attn_out(y.transpose(1, 2).reshape(B, T, D))
        return out


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention to the token itself and those before it. (B, H, T, D / H), all four

    Written out for bfloat16 on CPUs, where torch's fused kernel is slow: forward and backward for B = 8, H = 2,
    D / H = 32 took 1.9 ms against 9.2 at T = 128, 7.0 against 15.8 at T = 256 (one thread). From T = 1024 on the fused
    kernel's memory counts for more, and float32 and GPUs do best with it.
    """
    T = q.shape[2]
    if q.device.type != "cpu" or q.dtype != torch.bfloat16 or T > 512:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    future = torch.full((T, T), -torch.inf, dtype=q.dtype).triu(1)
    scores = torch.baddbmm(future, q.flatten(0, 1), k.flatten(0, 1).mT, alpha=q.shape[3] ** -0.5)  # (B H, T, T)
    return (scores.softmax(2) @ v.flatten(0, 1)).view(q.shape)


class GPT(nn.Module):
    """The model; parameters are float32 and follow from `seed` alone."""

    def __init__(self, config: GPTConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.n_embd)  # also the head
        self.position_embedding = nn.Embedding(config.seq_len, config.n_embd)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd)
        self._initialize(torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def _initialize(self, generator: torch.Generator) -> None:
        """N(0, 0.02); what is added to the residual stream N(0, 0.02 / sqrt(2 n_layer)); biases 0."""
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                is_residual = name.endswith(("attn_out.weight", "mlp_out.weight"))
                std = 0.02 / math.sqrt(2 * self.config.n_layer) if is_residual else 0.02
                parameter.normal_(0, std, generator=generator)
            elif name.endswith("bias"):
                parameter.zero_()

    @property
    def n_params(self) -> int:
        """Parameters, embeddings included."""
        return sum(parameter.numel() for parameter in self.parameters())

    def flops_per_token(self, seq_len: int) -> float:
        """FLOPs of a training step per token: 6 for each weight that multiplies, and attention's.

        6 (12 L D² + V D) + 6 L D T; causal attention counts half (PaLM, Chowdhery et al. 2022, appendix B).
        """
        c = self.config
        return 6 * (12 * c.n_layer * c.n_embd**2 + c.vocab_size * c.n_embd) + 6 * c.n_layer * c.n_embd * seq_len

    def hidden(self, ids: Tensor, cache: KVCache | None = None) -> Tensor:
        """The normalized residual stream after the last block. ids: (B, T) -> (B, T, D)"""
        begin = 0 if cache is None else cache.n_tokens
        positions = torch.arange(begin, begin + ids.shape[1], device=ids.device)
        x = self.token_embedding(ids) + self.position_embedding(positions)  # (B, T, D)
        for layer, block in enumerate(self.blocks):
            x = block(x, cache, layer)
        if cache is not None:
            cache.n_tokens += ids.shape[1]
        out: Tensor = self.ln_f(x)
        return out

    def forward(self, ids: Tensor, cache: KVCache | None = None) -> Tensor:
        """Logits of the next token. ids: (B, T) -> (B, T, V)"""
        return F.linear(self.hidden(ids, cache), self.token_embedding.weight)

    def loss(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Mean nats per token. ids and targets: (B, T)"""
        x = self.hidden(ids).flatten(0, 1)  # (B T, D)
        loss: Tensor = HeadLoss.apply(x, self.token_embedding.weight, targets.flatten(), compute_dtype(x))  # type: ignore[no-untyped-call]
        return loss

    @torch.no_grad()
    def nats(self, ids: Tensor, targets: Tensor, is_counted: Tensor) -> Tensor:
        """Nats of the counted targets, row by row; log-softmax in float32. All three (B, T) -> (counted,)"""
        x, wanted = self.hidden(ids)[is_counted], targets[is_counted]  # (counted, D), (counted,)
        parts = [
            F.cross_entropy(F.linear(rows, self.token_embedding.weight).float(), some, reduction="none")
            for rows, some in zip(torch.split(x, HEAD_ROWS), torch.split(wanted, HEAD_ROWS), strict=True)
        ]
        return torch.cat(parts)

    def empty_cache(self, batch_size: int) -> KVCache:
        """A cache for `batch_size` sequences that are read from their beginning."""
        c = self.config
        weight = self.token_embedding.weight
        shape = (c.n_layer, batch_size, c.n_head, c.seq_len, c.n_embd // c.n_head)
        return KVCache(weight.new_zeros(shape), weight.new_zeros(shape))


def compute_dtype(x: Tensor) -> torch.dtype:
    """The type in which autocast multiplies on x's device now; float32 where it is off."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32


class HeadLoss(torch.autograd.Function):
    """Mean cross-entropy of the tied head, a few rows at a time, with its gradients made on the way.

    All logits at once, (B T, V) in float32, are by far the largest array of a small model's step. The gradient of the
    mean over N rows is (softmax - one-hot) / N.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype) -> Tensor:
        n_rows = x.shape[0]
        w = weight.to(dtype)  # (V, D)
        total = torch.zeros((), device=x.device)
        x_grad, weight_grad = torch.empty_like(x), torch.zeros_like(weight)
        for begin in range(0, n_rows, HEAD_ROWS):
            rows = x[begin : begin + HEAD_ROWS].to(dtype)  # (R, D)
            wanted = targets[begin : begin + HEAD_ROWS, None]  # (R, 1)
            logits = (rows @ w.T).float()  # (R, V)
            wanted_logits, largest = logits.gather(1, wanted), logits.amax(1, keepdim=True)
            powers = logits.sub_(largest).exp_()
            sums = powers.sum(1, keepdim=True)  # (R, 1)
            total += (sums.log() + largest - wanted_logits).sum()
            slope = powers.div_(sums * n_rows)  # softmax / N
            slope.scatter_add_(1, wanted, torch.full_like(sums, -1 / n_rows))
            slope = slope.to(dtype)
            x_grad[begin : begin + HEAD_ROWS] = slope @ w
            weight_grad += slope.T @ rows
        ctx.save_for_backward(x_grad, weight_grad)
        return total / n_rows

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x_grad, weight_grad = ctx.saved_tensors
        return x_grad * grads[0], weight_grad * grads[0], None, None

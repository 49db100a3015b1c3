"""Text from a model, one token after the other, with the keys and values of earlier tokens kept."""

from __future__ import annotations

import torch
from torch import Tensor

from datassay.corpus.tokenizer import Tokenizer
from datassay.model.gpt import GPT


@torch.no_grad()
def generate(
    model: GPT,
    tokenizer: Tokenizer,
    prompt: str = "",
    *,
    n_tokens: int = 200,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    seed: int = 0,
) -> str:
    """What follows `prompt`, until `<eos>` or n_tokens; the prompt is not part of it.

    temperature 0 takes the likeliest token. When the context is full, its later half becomes the new context.
    The same seed gives the same text on the same machine. Raises ValueError for limits that leave no token.
    """
    if temperature < 0 or not 0 < top_p <= 1 or (top_k is not None and top_k < 1):
        raise ValueError(f"temperature {temperature} >= 0, 0 < top_p {top_p} <= 1, top_k {top_k} >= 1 do not all hold")
    device = model.token_embedding.weight.device
    generator = torch.Generator().manual_seed(seed)
    seq_len = model.config.seq_len
    ids = [tokenizer.eos_id, *tokenizer.encode(prompt).tolist()]
    n_prompt = len(ids)
    unread = ids[-seq_len:]
    cache = model.empty_cache(1)
    while len(ids) < n_prompt + n_tokens:
        if cache.n_tokens + len(unread) > seq_len:
            cache, unread = model.empty_cache(1), ids[-max(1, seq_len // 2) :]
        logits = model(torch.tensor([unread], device=device), cache)[0, -1]  # (V,)
        token = choose(logits.float().cpu(), generator, temperature=temperature, top_k=top_k, top_p=top_p)
        if token == tokenizer.eos_id:
            break
        ids.append(token)
        unread = [token]
    return tokenizer.decode(ids[n_prompt:])


def choose(logits: Tensor, generator: torch.Generator, *, temperature: float, top_k: int | None, top_p: float) -> int:
    """One token. logits: (V,).

    Of the top_k likeliest, the fewest whose probability reaches top_p (Holtzman et al. 2020, arXiv 1904.09751).
    """
    if temperature == 0:
        return int(logits.argmax())
    sorted_logits, order = (logits / temperature).sort(descending=True, stable=True)
    probabilities = sorted_logits[:top_k].softmax(0)
    n_kept = int((probabilities.cumsum(0) < top_p).sum()) + 1
    chosen = torch.multinomial(probabilities[:n_kept], 1, generator=generator)
    return int(order[chosen])

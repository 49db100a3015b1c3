"""The model's shape, its loss and its memory of earlier tokens."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from datassay.model.gpt import GPT, HEAD_ROWS, GPTConfig, causal_attention, preset  # noqa: E402

TINY = GPTConfig(n_layer=2, n_head=2, n_embd=16, vocab_size=50, seq_len=12)


def some_ids(*shape: int, vocab_size: int = 50) -> torch.Tensor:
    return torch.randint(vocab_size, shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("name", "millions"), [("gpt3-125m", 125), ("gpt3-350m", 356), ("gpt3-1.3b", 1316), ("gpt3-175b", 174_600)]
)
def test_presets_have_the_papers_sizes(name: str, millions: int) -> None:
    """Brown et al. 2020, table 2.1, which rounds 356 to 350, 1316 to 1.3 billion and 174 600 to 175 billion."""
    with torch.device("meta"):  # shapes without memory
        model = GPT(preset(name, vocab_size=50257, seq_len=2048))
    assert model.n_params == pytest.approx(millions * 1e6, rel=0.005)


def test_xs_has_its_size() -> None:
    model = GPT(preset("xs", vocab_size=4096, seq_len=128))
    assert model.n_params == 2 * (12 * 64 * 64 + 13 * 64) + 2 * 64 + (4096 + 128) * 64


def test_initial_weights() -> None:
    model = GPT(GPTConfig(n_layer=8, n_head=4, n_embd=128, vocab_size=1000, seq_len=64), seed=3)
    weights = dict(model.named_parameters())
    # A standard deviation of n normal numbers is off by 1 / sqrt(2 n); n >= 16 384, so 5 % is nine of those.
    assert weights["token_embedding.weight"].std().item() == pytest.approx(0.02, rel=0.05)
    assert weights["blocks.0.attn_out.weight"].std().item() == pytest.approx(0.02 / 4, rel=0.05)  # sqrt(2 * 8) = 4
    assert weights["blocks.0.mlp_in.bias"].abs().max().item() == 0
    assert torch.equal(weights["blocks.0.mlp_in.weight"], GPT(model.config, seed=3).blocks[0].mlp_in.weight)
    assert not torch.equal(weights["blocks.0.mlp_in.weight"], GPT(model.config, seed=4).blocks[0].mlp_in.weight)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="does not divide"):
        GPTConfig(n_layer=1, n_head=3, n_embd=16)
    with pytest.raises(ValueError, match="gpt3-125m"):
        preset("gpt4", vocab_size=1, seq_len=1)


def test_no_token_sees_a_later_one() -> None:
    model = GPT(TINY)
    ids = some_ids(1, 10)
    changed = ids.clone()
    changed[0, 6] = (changed[0, 6] + 1) % 50
    a, b = model(ids), model(changed)
    assert torch.equal(a[:, :6], b[:, :6])
    assert not torch.equal(a[:, 6], b[:, 6])


def test_untrained_loss_is_that_of_a_uniform_guess() -> None:
    # Logits of an untrained model are nearly 0, so each token costs ln V nats.
    loss = GPT(TINY).loss(some_ids(4, 12), some_ids(4, 12).flip(0))
    assert loss.item() == pytest.approx(math.log(50), abs=0.05)


def test_attention_written_out_is_the_fused_one() -> None:
    q, k, v = torch.randn(3, 2, 2, 20, 8, generator=torch.Generator().manual_seed(0)).unbind()
    fused = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    ours = causal_attention(q.bfloat16(), k.bfloat16(), v.bfloat16()).float()
    torch.testing.assert_close(ours, fused, rtol=0, atol=0.03)  # bfloat16 has 8 bits: 0.4 % of values up to 3, twice


@pytest.mark.parametrize("n_rows", [1, HEAD_ROWS, HEAD_ROWS + 1])
def test_loss_and_gradients_are_those_of_cross_entropy(n_rows: int) -> None:
    config = GPTConfig(n_layer=1, n_head=1, n_embd=8, vocab_size=50, seq_len=n_rows)
    ids, targets = some_ids(1, n_rows), some_ids(1, n_rows).flip(1)
    ours, plain = GPT(config), GPT(config)
    loss = ours.loss(ids, targets)
    (2 * loss).backward()
    expected = torch.nn.functional.cross_entropy(plain(ids).flatten(0, 1), targets.flatten())
    (2 * expected).backward()
    torch.testing.assert_close(loss, expected)
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-7)


def test_nats_of_each_token_have_the_loss_as_mean() -> None:
    model = GPT(TINY)
    ids, targets = some_ids(3, 12), some_ids(3, 12).flip(0)
    is_counted = torch.ones(3, 12, dtype=torch.bool)
    nats = model.nats(ids, targets, is_counted)
    assert nats.shape == (36,)
    is_counted[0, :5] = False
    torch.testing.assert_close(model.nats(ids, targets, is_counted), nats[5:])
    torch.testing.assert_close(nats.mean(), model.loss(ids, targets).detach())


def test_the_cache_changes_nothing() -> None:
    model = GPT(TINY).eval()
    ids = some_ids(2, 12)
    cache = model.empty_cache(2)
    with torch.no_grad():
        parts = [model(ids[:, begin:end], cache) for begin, end in ((0, 5), (5, 6), (6, 12))]
        torch.testing.assert_close(torch.cat(parts, dim=1), model(ids), rtol=1e-5, atol=1e-6)

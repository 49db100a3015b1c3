"""Bits per byte: what is counted, against what, and that windows count each token once."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from datassay.corpus.tokenizer import train_bpe  # noqa: E402
from datassay.corpus.tokens import tokenize_texts  # noqa: E402
from datassay.model.evaluate import evaluate, plan_windows  # noqa: E402
from datassay.model.gpt import GPT, GPTConfig  # noqa: E402

TOKENIZER = train_bpe(["one two three four five. " * 9], 300)
TEXTS = ["one two three", "", "é", "four five one two three. " * 20]
SHARD = tokenize_texts(TEXTS, TOKENIZER)


def model(seq_len: int = 16) -> GPT:
    return GPT(
        GPTConfig(n_layer=2, n_head=2, n_embd=16, vocab_size=TOKENIZER.vocab_size, seq_len=seq_len), seed=1
    ).eval()


def test_a_uniform_model_needs_log2_of_the_vocabulary_per_token() -> None:
    uniform = model()
    with torch.no_grad():
        uniform.token_embedding.weight.zero_()  # also the head: all logits are 0
    result = evaluate(uniform, SHARD)
    n_tokens = np.array([len(TOKENIZER.encode(text)) for text in TEXTS])
    n_bytes = np.array([13, 0, 2, 25 * 20])  # é is two bytes
    assert result.n_bytes.tolist() == n_bytes.tolist()
    assert result.n_tokens.tolist() == n_tokens.tolist()  # no <eos> among them
    assert result.nats == pytest.approx(n_tokens * math.log(TOKENIZER.vocab_size), rel=1e-6)
    assert result.bpb == pytest.approx(math.log2(TOKENIZER.vocab_size) * n_tokens.sum() / n_bytes.sum(), rel=1e-6)
    assert result.nats_per_token == pytest.approx(math.log(TOKENIZER.vocab_size), rel=1e-6)


def test_short_documents_are_read_after_eos() -> None:
    m = model()
    ids = TOKENIZER.encode(TEXTS[0]).tolist()
    logits = m(torch.tensor([[0, *ids[:-1]]])).log_softmax(-1)[0]
    expected = -sum(logits[i, token].item() for i, token in enumerate(ids))
    result = evaluate(m, SHARD, precision="float32")
    assert result.nats[0] == pytest.approx(expected, rel=1e-5)
    assert result.nats[1] == 0


def test_long_documents_are_read_in_windows() -> None:
    m = model()
    ids = TOKENIZER.encode(TEXTS[3]).tolist()
    with_eos = [0, *ids]
    expected = 0.0
    for begin, first, end in [(0, 0, 16), *((i - 8, i, min(i + 8, len(ids))) for i in range(16, len(ids), 8))]:
        begin = max(0, end - 16)
        logits = m(torch.tensor([with_eos[begin:end]])).log_softmax(-1)[0]
        expected -= sum(logits[i - begin, ids[i]].item() for i in range(first, end))
    result = evaluate(m, SHARD, stride=8, precision="float32")
    assert result.nats[3] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("batch_tokens", [1, 64, 100_000])
def test_batches_change_nothing_but_rounding(batch_tokens: int) -> None:
    m = model()
    one = evaluate(m, SHARD, precision="float32").nats
    assert evaluate(m, SHARD, precision="float32", batch_tokens=batch_tokens).nats == pytest.approx(one, rel=1e-5)


@pytest.mark.parametrize("stride", [1, 3, 4])
@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 8, 13])
def test_windows_count_each_token_once(length: int, stride: int) -> None:
    windows = list(plan_windows(np.array([length]), 4, stride))
    counted = [i for window in windows for i in range(window.first_counted, window.end)]
    assert counted == list(range(length))
    for window in windows:
        assert window.end - window.begin <= 4
        assert window.begin <= window.first_counted
        assert window.begin == 0 or window.first_counted - window.begin >= 4 - stride  # context


def test_a_document_without_bytes_has_no_bits_per_byte() -> None:
    result = evaluate(model(), tokenize_texts([""], TOKENIZER))
    assert math.isnan(result.bpb)
    assert math.isnan(result.nats_per_token)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="documents of 257 tokens"):
        evaluate(model(), tokenize_texts(["x"], train_bpe([], 257)))
    with pytest.raises(ValueError, match="does not hold"):
        evaluate(model(), SHARD, seq_len=32)
    with pytest.raises(ValueError, match="does not hold"):
        evaluate(model(), SHARD, stride=17)

"""Generation and saved models."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from datassay.corpus.errors import StoreError  # noqa: E402
from datassay.corpus.tokenizer import train_bpe  # noqa: E402
from datassay.corpus.tokens import tokenize_texts  # noqa: E402
from datassay.model.checkpoint import load_model, save_model  # noqa: E402
from datassay.model.data import TokenStream  # noqa: E402
from datassay.model.generate import choose, generate  # noqa: E402
from datassay.model.gpt import GPT, GPTConfig  # noqa: E402
from datassay.model.train import Shape, TrainSettings, train  # noqa: E402

TEXT = "the quick brown fox jumps over the lazy dog"
TOKENIZER = train_bpe([TEXT * 2], 262)


@pytest.fixture(scope="module")
def learned() -> GPT:
    """A model that knows TEXT by heart."""
    settings = TrainSettings(
        shape=Shape(n_layer=1, n_head=2, n_embd=32), n_tokens=250 * 128, batch_tokens=128, seq_len=64, lr=1e-2
    )
    return train(settings, TokenStream([tokenize_texts([TEXT], TOKENIZER)])).model


def random_model() -> GPT:
    return GPT(GPTConfig(n_layer=1, n_head=1, n_embd=8, vocab_size=TOKENIZER.vocab_size, seq_len=8), seed=0).eval()


def test_a_learned_text_is_said_and_ended(learned: GPT) -> None:
    assert generate(learned, TOKENIZER, "the quick", temperature=0) == TEXT.removeprefix("the quick")
    assert generate(learned, TOKENIZER, temperature=0) == TEXT


def test_the_seed_decides() -> None:
    texts = [generate(random_model(), TOKENIZER, "fox", n_tokens=20, seed=seed) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]


def test_text_goes_on_when_the_context_is_full() -> None:
    model, ids = random_model(), TOKENIZER.encode("the quick brown fox jumps").tolist()
    assert len(ids) > model.config.seq_len
    assert generate(model, TOKENIZER, "the quick brown fox jumps", n_tokens=30, seed=2)


def test_the_cache_says_what_the_whole_says() -> None:
    model = random_model()
    ids = [TOKENIZER.eos_id]
    for _ in range(7):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    expected = TOKENIZER.decode(ids[1 : ids.index(0, 1) if 0 in ids[1:] else None])
    assert generate(model, TOKENIZER, n_tokens=7, temperature=0) == expected


@pytest.mark.parametrize(
    ("limits", "possible"),
    [
        ({"temperature": 0.0, "top_k": None, "top_p": 1.0}, {2}),
        ({"temperature": 1.0, "top_k": 1, "top_p": 1.0}, {2}),
        ({"temperature": 1.0, "top_k": 2, "top_p": 1.0}, {2, 0}),
        ({"temperature": 1.0, "top_k": None, "top_p": 0.5}, {2}),  # 0.5 is reached exactly
        ({"temperature": 1.0, "top_k": None, "top_p": 0.6}, {2, 0}),
        ({"temperature": 1.0, "top_k": None, "top_p": 1.0}, {0, 1, 2}),
    ],
)
def test_limits_of_choice(limits: dict[str, float], possible: set[int]) -> None:
    logits = torch.tensor([0.3, 0.2, 0.5]).log()
    generator = torch.Generator().manual_seed(0)
    seen = {choose(logits, generator, **limits) for _ in range(200)}  # type: ignore[arg-type]
    assert seen == possible


def test_choices_have_their_probabilities() -> None:
    logits = torch.tensor([0.3, 0.2, 0.5]).log()
    generator = torch.Generator().manual_seed(0)
    drawn = [choose(logits, generator, temperature=1.0, top_k=None, top_p=1.0) for _ in range(2000)]
    # standard error of a share of 0.5 among 2000 is 0.011
    assert drawn.count(2) / 2000 == pytest.approx(0.5, abs=4 * 0.011)


def test_limits_that_leave_nothing_are_refused() -> None:
    for limits in ({"temperature": -1.0}, {"top_p": 0.0}, {"top_k": 0}):
        with pytest.raises(ValueError, match="do not all hold"):
            generate(random_model(), TOKENIZER, **limits)  # type: ignore[arg-type]


def test_a_saved_model_is_the_same(tmp_path: Path, learned: GPT) -> None:
    save_model(tmp_path / "m", learned, TOKENIZER.json, {"bpb": 1.5})
    saved = load_model(tmp_path / "m")
    assert saved.meta == {"bpb": 1.5}
    assert saved.tokenizer.content == TOKENIZER.content
    ids = torch.tensor([TOKENIZER.encode(TEXT).tolist()])
    assert torch.equal(saved.model(ids), learned(ids))


def test_what_is_no_model_is_refused(tmp_path: Path, learned: GPT) -> None:
    with pytest.raises(StoreError, match="not found"):
        load_model(tmp_path)
    save_model(tmp_path / "m", learned, TOKENIZER.json, {})
    (tmp_path / "m" / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(StoreError, match="not a whole model"):
        load_model(tmp_path / "m")

"""Training: the order of documents, the same bits again, resuming, learning, stopping."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch")

from datassay.corpus.errors import InputError, StoreError  # noqa: E402
from datassay.corpus.tokenizer import train_bpe  # noqa: E402
from datassay.corpus.tokens import TokenShard, tokenize_texts  # noqa: E402
from datassay.model.data import TokenStream  # noqa: E402
from datassay.model.optimizers import OPTIMIZERS, SCHEDULES, learning_rate  # noqa: E402
from datassay.model.runtime import keep_memory  # noqa: E402
from datassay.model.train import Loss, Shape, TrainingError, TrainResult, TrainSettings, checkpoints, train  # noqa: E402

TOKENIZER = train_bpe(["the quick brown fox jumps over the lazy dog. " * 4], 270)
SMALL = TrainSettings(
    shape=Shape(n_layer=1, n_head=2, n_embd=32), n_tokens=30 * 64, batch_tokens=64, seq_len=16, lr=3e-3
)


def shard(n_documents: int = 40, *, first: int = 0) -> TokenShard:
    words = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog"]
    chance = random.Random(first)
    texts = [" ".join(chance.choices(words, k=chance.randint(0, 30))) for _ in range(n_documents)]
    return tokenize_texts(texts, TOKENIZER, ids=[f"d{first + i}" for i in range(n_documents)])


def order(stream: TokenStream, epoch: int = 0) -> list[str]:
    """Ids of an epoch's documents in their order."""
    names = [name for part in stream.shards for name in part.document_ids.to_pylist()]
    return [names[i] for i in stream.epoch_order(epoch)[0]]


def same_weights(a: TrainResult, b: TrainResult) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.model.parameters(), b.model.parameters(), strict=True))


def test_an_epoch_reads_every_token_once() -> None:
    stream = TokenStream([shard(25), shard(15, first=25)])
    n_steps = stream.steps_per_epoch(3, 16)
    lanes = [[stream.batch(step, 3, 16)[b, :-1] for step in range(n_steps)] for b in range(3)]
    read = np.concatenate([window for lane in lanes for window in lane])
    place = {name: i for i, name in enumerate(n for s in stream.shards for n in s.document_ids.to_pylist())}
    documents = [s.document(i) for s in stream.shards for i in range(len(s))]
    expected = np.concatenate([[stream.eos_id, *documents[place[name]]] for name in order(stream)])
    assert stream.n_tokens == len(expected)
    assert read.tolist() == expected[: len(read)].tolist()
    assert 0 <= len(expected) - len(read) < 3 * 16


def test_windows_overlap_by_the_token_that_is_only_target() -> None:
    stream = TokenStream([shard()])
    first, second = stream.batch(0, 2, 16), stream.batch(1, 2, 16)
    assert first.shape == (2, 17)
    assert first[:, -1].tolist() == second[:, 0].tolist()


def test_documents_that_two_variants_share_keep_their_order() -> None:
    every = TokenStream([shard(30), shard(30, first=30)], seed=5)
    keep = [f"d{i}" for i in range(0, 60, 3)]
    some = TokenStream([shard(30), shard(30, first=30)], pa.array(keep), seed=5)
    assert some.n_documents == 20
    for epoch in (0, 1):
        names = np.array(keep)[some.epoch_order(epoch)[0]].tolist()
        assert names == [name for name in order(every, epoch) if name in keep]


def test_order_depends_on_seed_and_epoch() -> None:
    orders = [order(TokenStream([shard()], seed=seed), epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(names) for names in orders}) == 4
    assert all(sorted(names) == sorted(orders[0]) for names in orders)


def test_order_is_uniform() -> None:
    # Place of one document of 40 over 400 epochs: mean 19.5, standard deviation 11.5 / sqrt(400) = 0.58.
    stream = TokenStream([shard()])
    places = [order(stream, epoch).index("d7") for epoch in range(400)]
    assert np.mean(places) == pytest.approx(19.5, abs=4 * 0.58)
    assert len(set(places)) == 40


def test_less_text_than_a_batch_is_repeated() -> None:
    stream = TokenStream([tokenize_texts(["fox"], TOKENIZER)])
    batch = stream.batch(3, 2, 16)
    cycle = [stream.eos_id, *TOKENIZER.encode("fox").tolist()]
    assert batch[0].tolist() == (cycle * 17)[:17]


def test_streams_that_cannot_be() -> None:
    with pytest.raises(InputError, match="no documents"):
        TokenStream([shard()], pa.array(["unknown"]))
    with pytest.raises(InputError, match="no documents"):
        TokenStream([])
    with pytest.raises(InputError, match="different tokenizers"):
        TokenStream([shard(), tokenize_texts(["x"], train_bpe(["y"], 257))])


def test_two_runs_give_the_same_bits() -> None:
    a, b = (train(SMALL, TokenStream([shard()])) for _ in range(2))
    assert a.losses == b.losses
    assert same_weights(a, b)
    assert not same_weights(a, train(SMALL.model_copy(update={"seed": 1}), TokenStream([shard()])))


class KilledError(Exception):
    """Stands for the end of a process."""


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_a_resumed_run_gives_the_same_bits(tmp_path: Path, optimizer: str) -> None:
    settings = SMALL.model_copy(update={"optimizer": optimizer, "lr": 1e-3})
    straight = train(settings, TokenStream([shard()]))

    def kill(loss: Loss) -> None:
        if loss.step == 20:
            raise KilledError

    with pytest.raises(KilledError):
        train(settings, TokenStream([shard()]), on_log=kill, checkpoint_dir=tmp_path, checkpoint_every=10)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-000000010"]
    (tmp_path / ".step-000000020.part").mkdir()  # as if killed while it saved
    seen: list[Loss] = []
    resumed = train(settings, TokenStream([shard()]), on_log=seen.append, checkpoint_dir=tmp_path, checkpoint_every=10)
    assert [loss.step for loss in seen] == [20, 30]
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000030"]
    assert resumed.losses == straight.losses
    assert same_weights(resumed, straight)


def test_another_runs_checkpoint_is_refused(tmp_path: Path) -> None:
    train(SMALL, TokenStream([shard()]), checkpoint_dir=tmp_path, checkpoint_every=10)
    other_settings = SMALL.model_copy(update={"lr": 1e-4})
    with pytest.raises(StoreError, match="another run"):
        train(other_settings, TokenStream([shard()]), checkpoint_dir=tmp_path)
    with pytest.raises(StoreError, match="another run"):
        train(SMALL, TokenStream([shard(41)]), checkpoint_dir=tmp_path)


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_every_optimizer_learns(optimizer: str) -> None:
    lr = {"sgd": 0.1, "lion": 1e-3}.get(optimizer, 3e-3)
    settings = SMALL.model_copy(update={"optimizer": optimizer, "lr": lr, "n_tokens": 100 * 64})
    losses = train(settings, TokenStream([shard()])).losses
    assert losses[0].nats > 4.5  # ln 270 = 5.6 at the start
    assert losses[-1].nats < 3.5


def test_a_tiny_text_is_learned_by_heart() -> None:
    stream = TokenStream([tokenize_texts(["the quick brown fox jumps over the lazy dog"], TOKENIZER)])
    result = train(SMALL.model_copy(update={"n_tokens": 200 * 64, "lr": 1e-2}), stream)
    assert result.losses[-1].nats < 0.1
    assert result.epochs > 100


def test_micro_batches_give_the_loss_of_the_whole() -> None:
    whole = SMALL.model_copy(update={"precision": "float32", "n_tokens": 10 * 64})
    split = whole.model_copy(update={"micro_batch_tokens": 48})  # 3 rows and 1
    a, b = (train(settings, TokenStream([shard()])).losses[-1].nats for settings in (whole, split))
    assert a == pytest.approx(b, abs=1e-5)


def test_a_loss_that_is_no_number_stops_the_run() -> None:
    settings = SMALL.model_copy(update={"optimizer": "sgd", "lr": 1e30})
    with pytest.raises(TrainingError, match="lower lr"):
        train(settings, TokenStream([shard()]))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    # 12 steps, 2 of warm-up: steps 0, 1 | 2, 7, 11, at shares 0, 0.5 and 0.9 of the rest
    [
        ("linear", [0.5, 1, 1, 0.5, 0.1]),
        ("cosine", [0.5, 1, 1, 0.55, 0.1 + 0.45 * (1 - 0.9510565)]),  # cos(0.9 pi) = -0.9510565
        ("wsd", [0.5, 1, 1, 1, 0.5]),
        ("constant", [0.5, 1, 1, 1, 1]),
    ],
)
def test_schedules(schedule: str, expected: list[float]) -> None:
    rates = [learning_rate(s, 12, peak=1.0, n_warmup=2, schedule=schedule) for s in (0, 1, 2, 7, 11)]
    assert rates == pytest.approx(expected)
    assert schedule in SCHEDULES


@pytest.mark.parametrize(
    ("n_steps", "warmup", "n_warmup"),
    [(1000, 0.05, 50), (100, 0.05, 10), (12, 0.05, 6), (1, 0.05, 0), (100, 0, 0)],
)
def test_warm_up_is_at_least_ten_steps_and_at_most_half(n_steps: int, warmup: float, n_warmup: int) -> None:
    settings = TrainSettings(n_tokens=n_steps * 1024, warmup=warmup)
    assert (settings.n_steps, settings.n_warmup) == (n_steps, n_warmup)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preset": "xl"}, "gpt3-125m"),
        ({"optimizer": "adamax"}, "muon"),
        ({"schedule": "step"}, "cosine"),
        ({"batch_tokens": 1000}, "no multiple"),
        ({"shape": {"n_layer": 1, "n_head": 3, "n_embd": 32}}, "does not divide"),
        ({"dropout": 0.1}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_be(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainSettings.model_validate(change)


def test_keeping_memory_does_no_harm_anywhere() -> None:
    assert keep_memory() in (True, False)

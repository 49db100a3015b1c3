"""Train a model on a run's tokens, evaluate it, and let it write, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

SMALL = ("--tokens", "20480", "--seq-len", "64", "--batch-tokens", "512")


@pytest.fixture(scope="module")
def model(call: Callable[..., int], finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model trained on the tiny corpus."""
    folder = tmp_path_factory.mktemp("model") / "small"
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert call(monkeypatch, "train", str(finished), "-o", str(folder), *SMALL) == 0
    return folder


def test_a_model_is_saved_with_its_tokenizer_and_losses(model: Path) -> None:
    assert {"model.safetensors", "tokenizer.json", "config.json"} <= {path.name for path in model.iterdir()}
    meta = json.loads((model / "config.json").read_bytes())["meta"]
    losses = [loss for _, loss in meta["losses"]]
    assert losses[-1] < losses[0]
    assert meta["settings"]["n_tokens"] == 20480


def test_the_same_command_gives_the_same_model(
    call: Callable[..., int], model: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(monkeypatch, "train", str(finished), "-o", str(tmp_path / "again"), *SMALL) == 0
    assert (tmp_path / "again/model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()


def test_a_trained_model_is_not_trained_again(
    call: Callable[..., int],
    model: Path,
    finished: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = (model / "model.safetensors").stat().st_mtime_ns
    assert call(monkeypatch, "train", str(finished), "-o", str(model), *SMALL) == 0
    assert (model / "model.safetensors").stat().st_mtime_ns == before
    assert "as is" in capsys.readouterr().err


def test_evaluate_says_bits_per_byte_by_domain(
    call: Callable[..., int],
    model: Path,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    noise = tmp_path / "noise.jsonl"
    noise.write_text(json.dumps({"text": "zqx jjkw vvbq xkcd qqzw " * 20}) + "\n")
    assert call(monkeypatch, "evaluate", str(model), str(tiny / "books.jsonl"), str(noise)) == 0
    header, _, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["domain", "documents", "bytes", "bpb", "low", "high", "nats", "per", "token"]
    rows = {line.split()[0]: [float(cell) for cell in line.split()[1:]] for line in lines}
    assert set(rows) == {"books", "noise"}
    for _, _, bpb, low, high, _ in rows.values():
        assert low <= bpb <= high
    assert rows["books"][2] < rows["noise"][2]


def test_generate_goes_on_with_the_prompt(
    call: Callable[..., int], model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = []
    for seed in ("1", "1", "2"):
        assert call(monkeypatch, "generate", str(model), "The house", "--tokens", "20", "--seed", seed) == 0
        written.append(capsys.readouterr().out)
    assert written[0] == written[1] != written[2]
    assert all(text.startswith("The house") for text in written)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["generate", "nowhere", "x"], 6, "nowhere: no model here"),
        (["train", "RUN", "-o", "/dev/null/model", "--tokens", "2048"], 6, "/dev/null/model: cannot be made"),
        (["evaluate", "MODEL", "nothing.jsonl"], 6, "nothing.jsonl: no such file or folder"),
        (["generate", "MODEL", "x", "--top-p", "0"], 2, "top_p"),
        (["train", "RUN", "-o", "OUT", "--preset", "huge"], 2, "huge"),
        (["train", "RUN", "-o", "OUT", "--batch-tokens", "100"], 2, "no multiple of seq_len"),
    ],
)
def test_mistakes_end_with_a_message(
    call: Callable[..., int],
    model: Path,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"MODEL": str(model), "RUN": str(finished), "OUT": str(tmp_path / "out")}
    assert call(monkeypatch, *(names.get(argument, argument) for argument in arguments)) == status
    assert message in capsys.readouterr().err

"""What a user sees when something is wrong: one message, an exit status, no traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROW = '{"text": "A text of a few words, one of them is text."}\n'


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe with one small input, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text(ROW)
    path = tmp_path / "my.toml"
    path.write_text('[input]\npaths = ["rows.jsonl"]\n[tokenize]\ntokenizer = "train:300"\n')
    return path


def test_a_search_for_duplicates_that_cannot_fit_is_refused_before_it_begins(
    call: Callable[..., int], recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A billion billion bands of one document are 16 EB."""
    assert call(monkeypatch, "run", str(recipe), "--set", "dedup.minhash.bands=1000000000000000000") == 6
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("datassay: runs/my: searching 1 documents for duplicates (")
    assert "of band keys" in message and "are free" in message and 'minhash = "datassay" needs about' in message
    assert (recipe.parent / "runs/my").exists() and not list((recipe.parent / "runs/my").glob("sign-*"))


@pytest.mark.parametrize(
    ("options", "status", "expected"),
    [
        (["--set", "sed=1"], 2, "my.toml: unknown key 'sed': did you mean 'seed'?"),
        (["--until", "nowhere"], 2, "--until nowhere: no such stage; there are extract, clean, "),
        (["--until", "ablate"], 2, "my.toml: no [ablate] table"),
        (["--sample", "0"], 2, "--sample 0.0: a share of the pages, above 0 and at most 1"),
        (["--sample", "1.01"], 2, "--sample 1.01: "),
        (["--set", "input.paths=['gone.jsonl']"], 6, "gone.jsonl: no such file or folder; check the path"),
        (["--set", "input.paths=['*.warc']"], 6, "no file matches this pattern"),
        (["--set", "input.paths=['empty']"], 6, "empty: a folder without files"),
        (["--set", "quality.model=gone.bin"], 6, "gone.bin"),
        (["--set", "tokenize.tokenizer=gone.json"], 6, "gone.json"),
        (["--set", "tokenize.tokenizer=train:many"], 2, "train:many"),
        (["--set", "language.model=gone.bin"], 6, "gone.bin"),
        (["--set", "ablate.tokenizer=gone.json"], 6, "gone.json"),
        (["--set", "signals=[{name = 'mine', function = 'gone.py:f'}]"], 2, "signal 'mine': "),
        (
            ["--set", "ablate.without_domains=['boks']", "--set", "ablate.validation={books='b'}"],
            2,
            "'boks' is no domain",
        ),
        (["--set", "tokenize.tokenizer=train:256"], 2, "257"),
    ],
)
def test_mistakes_end_with_their_status(
    call: Callable[..., int],
    recipe: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    status: int,
    expected: str,
) -> None:
    (recipe.parent / "empty").mkdir()
    assert call(monkeypatch, "run", str(recipe), "--workers", "0", *options) == status
    errors = capsys.readouterr().err
    assert expected in errors
    assert errors.splitlines()[-1].startswith("datassay: ")


@pytest.mark.parametrize(
    "change",
    ["quality.model=gone.bin", "tokenize.tokenizer=gone.json", "signals=[{name = 'x', join = 'gone.parquet'}]"],
)
def test_files_that_the_recipe_names_are_looked_up_before_anything_runs(
    call: Callable[..., int],
    recipe: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: str,
) -> None:
    """A stage that needs them may come hours later."""
    assert call(monkeypatch, "recipes", "check", str(recipe), "--set", change) != 0
    assert call(monkeypatch, "run", str(recipe), "--workers", "0", "--set", change) != 0
    assert capsys.readouterr().err.count("gone") >= 2
    assert not Path("runs").exists()


def test_usage_errors_have_status_2(call: Callable[..., int], recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, "run") == 2
    assert call(monkeypatch, "run", str(recipe), "--workers", "-1") == 2
    assert call(monkeypatch, "nonsense") == 2


def test_a_recipe_that_is_not_there(
    call: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "run", "gone.toml") == 2
    assert "gone.toml: no such recipe" in capsys.readouterr().err


def test_a_run_that_is_not_there(
    call: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["query", str(tmp_path), "SELECT 1"], ["why", str(tmp_path), "x"], ["report", str(tmp_path)]):
        assert call(monkeypatch, *arguments) == 6
        assert "no run here" in capsys.readouterr().err


@pytest.mark.parametrize("switched_off", [[], ["dedup.minhash=false", "dedup.exact=false"], ["dedup.exact=false"]])
def test_the_smallest_recipe_runs_to_its_report(
    call: Callable[..., int],
    recipe: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    switched_off: list[str],
) -> None:
    """No languages, rules, quality or ablation, and whatever else a recipe may leave out."""
    changes = [option for change in ["split.share=0.0001", *switched_off] for option in ("--set", change)]
    assert call(monkeypatch, "run", str(recipe), "--workers", "0", *changes) == 0
    assert "report: runs/my/report.html" in capsys.readouterr().err
    capsys.readouterr()
    assert call(monkeypatch, "query", "runs/my", "SELECT text FROM corpus", "--csv") == 0
    assert capsys.readouterr().out.splitlines() == ["text", '"A text of a few words, one of them is text."']


def test_json_lines_as_well(call: Callable[..., int], recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--workers", "0", "--set", "write.format=jsonl.zst", "--set", "split.share=0.0001"]
    assert call(monkeypatch, "run", str(recipe), *options) == 0
    names = {path.parent.name for path in Path("runs/my").glob("write-*/*/part-*")}
    assert names == {"corpus", "jsonl"}


def test_an_empty_corpus_is_no_crash(
    call: Callable[..., int], recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every document fails a rule; tokens need text, everything before does not."""
    recipe.write_text(
        '[input]\npaths = ["rows.jsonl"]\n[[rules]]\nname = "none"\nkeep = "word_count > 1000"\n'
        '[tokenize]\ntokenizer = "gpt2"\n'
    )
    assert call(monkeypatch, "run", str(recipe), "--workers", "0", "--until", "tokens") == 0
    assert "documents 0" in capsys.readouterr().err


def test_a_target_without_validation_text_is_named_before_anything_is_trained(
    call: Callable[..., int],
    tiny: Path,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("torch")
    shutil.copytree(finished, tmp_path / "run")
    changes = ("--set", "ablate.validation=books.jsonl", "--set", "ablate.target=web")
    assert call(monkeypatch, "ablate", str(tiny / "recipe.toml"), "-o", str(tmp_path / "run"), *changes) == 2
    assert "ablate.target: no validation text of 'web', only of " in capsys.readouterr().err
    assert not list((tmp_path / "run").glob("ablation-*"))


def test_nothing_to_train_on_is_named_with_its_reason(
    call: Callable[..., int], recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All documents are copies of one, so that holding one out takes all."""
    pytest.importorskip("torch")
    Path("rows.jsonl").write_text(ROW * 50)
    recipe.write_text(recipe.read_text() + '[ablate]\ntokenizer = "train:300"\n')
    assert call(monkeypatch, "run", str(recipe), "--workers", "0", "--set", "split.share=0.2") == 2
    assert "variant 'raw' keeps no document: all are held out" in capsys.readouterr().err


def test_validation_files_inside_the_input_are_refused(
    call: Callable[..., int], recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = recipe.parent / "data" / "validation" / "books"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text('{"text": "A book."}')
    changes = ("--set", f"input.paths=['{recipe.parent}/data']", "--set", f"ablate.validation.books='{folder}'")
    assert call(monkeypatch, "run", str(recipe), *changes) == 6
    assert "validation/books/a.jsonl: named by the input" in capsys.readouterr().err


def test_the_process_itself_ends_with_the_status(recipe: Path) -> None:
    """The whole way, as a shell sees it."""
    for options, status in ((["--set", "sed=1"], 2), (["--set", "input.paths=['gone']"], 6)):
        command = [sys.executable, "-m", "datassay", "run", str(recipe), *options]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=recipe.parent, env=os.environ)
        assert ended.returncode == status
        assert ended.stdout == ""
        assert ended.stderr.startswith("datassay: ")
        assert "Traceback" not in ended.stderr


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['datassay', '--help']\n"
        "from datassay.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'pyarrow', 'numpy', 'duckdb', 'pydantic', 'rich'} & sys.modules.keys()))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"
    assert "Usage: datassay" in ended.stdout


def test_no_arguments_show_the_help(
    call: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(monkeypatch)
    shown = capsys.readouterr()
    assert "Exit status: 0 done" in shown.out + shown.err

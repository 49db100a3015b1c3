"""The examples of the guide run as they stand there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import datassay
from datassay.cli.run import Request, run_recipe
from datassay.cli.run_folder import RunFolder

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```(python|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples() -> list[tuple[str | None, str]]:
    """(name of the file, source) of each block of Python or TOML in the guide; no name if the first line has none."""
    blocks = []
    for _, source in FENCE.findall((ROOT / "docs" / "guide.md").read_text(encoding="utf-8")):
        name = re.match(r"# (\S+\.(?:py|toml))\n", source)
        blocks.append((name[1] if name else None, source))
    return blocks


def run(recipe: str) -> RunFolder:
    assert run_recipe(Request(Path(recipe), until="decide", workers=0)) == 0
    return datassay.open(Path("runs") / Path(recipe).stem)


def test_own_signals_and_the_python_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "tests" / "data" / "tiny" / "rows.jsonl", "pages.jsonl")
    files = {name: source for name, source in examples() if name is not None}
    assert set(files) == {"questions.py", "own.toml", "score.py", "joined.toml"}
    for name, source in files.items():
        Path(name).write_text(source, encoding="utf-8")

    own = run("own.toml")
    shares = own.connect().sql("SELECT text, question_share FROM documents JOIN user_question_share USING (id)")
    for text, share in shares.fetchall():
        assert share == pytest.approx(text.count("?") / len(text))

    exec(compile(files["score.py"], "score.py", "exec"), {})
    assert pq.read_metadata("edu_scores.parquet").num_rows == own.dataset("documents").count_rows() > 0
    failed = "list_contains(list_transform(reasons, lambda reason: reason.rule), 'educational')"
    decisions = run("joined.toml").connect().sql(f"SELECT text, {failed} FROM documents JOIN decisions USING (id)")
    outcomes = [(len(text) < 900, fails) for text, fails in decisions.fetchall()]  # .09 of 10,000 characters
    assert set(outcomes) == {(True, True), (False, False)}

    for block in (source for name, source in examples() if name is None):
        exec(compile(block, "guide.md", "exec"), {})

"""A run with a classifier of one's own: `[extract] model`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from datassay.cli.run import Request, run_recipe
from datassay.corpus.errors import InputError
from datassay.corpus.html.classifier import load, save

RECIPE = """
name = "own"
[input]
paths = ["pages.warc.gz"]
[extract]
profile = "fast"
"""


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    """A recipe and its pages, with a classifier that takes for main text what ours does not."""
    shutil.copy(tiny / "pages.warc.gz", tmp_path)
    ours = load()
    assert ours is not None
    contrary = ours._replace(
        first=ours.first._replace(leaf=abs(ours.first.leaf)), second=ours.second._replace(leaf=-ours.second.leaf)
    )
    save(contrary, tmp_path / "contrary.npz")
    (tmp_path / "ours.toml").write_text(RECIPE)
    (tmp_path / "own.toml").write_text(RECIPE + 'model = "contrary.npz"\n')
    return tmp_path


def extracted(recipe: Path, run: Path, *, workers: int = 0) -> dict[str, str]:
    """Text by id."""
    assert run_recipe(Request(recipe, run, until="extract", workers=workers)) == 0
    (path,) = run.glob("extract-*/documents/*.parquet")
    table = pq.read_table(path, columns=["id", "text"])
    return dict(zip(*table.to_pydict().values(), strict=True))


def test_a_classifier_of_ones_own_finds_another_text(folder: Path) -> None:
    ours, own = extracted(folder / "ours.toml", folder / "ours"), extracted(folder / "own.toml", folder / "own")
    others = [name for name in own.keys() & ours.keys() if own[name] != ours[name]]
    assert len(others) > 0.5 * len(ours), "some pages have nothing but their main text"
    assert extracted(folder / "own.toml", folder / "two", workers=2) == own


def test_where_it_lies_is_no_part_of_the_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    extracted(folder / "own.toml", folder / "run")
    (folder / "models").mkdir()
    (folder / "contrary.npz").rename(folder / "models" / "mine.npz")
    (folder / "own.toml").write_text(RECIPE + 'model = "models/mine.npz"\n')
    capsys.readouterr()
    extracted(folder / "own.toml", folder / "run")
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("extract"))
    assert "as is" in line


def test_a_file_that_is_none_stops_before_anything_is_done(folder: Path) -> None:
    (folder / "contrary.npz").write_text("no model")
    with pytest.raises(InputError, match=r"contrary\.npz: no classifier of blocks"):
        extracted(folder / "own.toml", folder / "run")
    (folder / "contrary.npz").unlink()
    with pytest.raises(InputError, match=r"contrary\.npz: no such file; `datassay extractor train` makes"):
        extracted(folder / "own.toml", folder / "run")

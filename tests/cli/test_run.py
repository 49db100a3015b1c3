"""A run from the command: parts of the input, stopping early, the ablation at the end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from datassay.cli.run import Request, run_recipe
from datassay.cli.run_folder import open_run


def run(recipe: Path, folder: Path, *, until: str, **options: object) -> dict[str, dict[str, int]]:
    """Counts of every stage of the run, which must end well."""
    assert run_recipe(Request(recipe, folder, until=until, workers=0, **options)) == 0  # type: ignore[arg-type]
    manifest = open_run(folder).manifest
    return {name: entry["counts"] for name, entry in manifest["stages"].items()}


def input_ids(folder: Path) -> set[str]:
    rows = open_run(folder).connect().execute("SELECT id FROM documents WHERE source IN ('input', 'feed')").fetchall()
    return {name for (name,) in rows}


def test_until_stops_after_the_stage(tiny: Path, tmp_path: Path) -> None:
    assert list(run(tiny / "recipe.toml", tmp_path, until="clean")) == ["clean", "extract"]
    assert {path.name.split("-")[0] for path in tmp_path.iterdir() if path.is_dir()} == {"clean", "extract"}


def test_every_record_is_accounted_for(tiny: Path, tmp_path: Path) -> None:
    """46 responses and a cut one in the archive, 2 in the feed, 9 rows, 25 rows of reference for each of three scores,
    and 6 + 6 rows of validation."""
    counts = run(tiny / "recipe.toml", tmp_path, until="extract")["extract"]
    assert counts["records"] == 47 + 2 + 9 + 3 * 25 + 6 + 6
    assert counts["skipped_status_404"] == 1
    assert counts["quarantine"] == 1  # the cut one
    assert counts["page"] + counts["skipped"] + counts["quarantine"] == counts["records"]
    assert counts["gated"] == 2  # French, Spanish


def test_a_sample_is_part_of_a_larger_sample(tiny: Path, tmp_path: Path) -> None:
    ids = {}
    for share in (0.2, 0.5, None):
        run(tiny / "recipe.toml", tmp_path / str(share), until="clean", sample=share)
        ids[share] = input_ids(tmp_path / str(share))
    assert 0 < len(ids[0.2]) < len(ids[0.5]) < len(ids[None])
    assert ids[0.2] < ids[0.5] < ids[None]


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_a_limit_takes_so_many_pages(tiny: Path, tmp_path: Path, limit: int) -> None:
    """57 pages of the input are whole; one of them, empty, becomes no document. Reference and validation stay whole."""
    counts = run(tiny / "recipe.toml", tmp_path, until="clean", limit=limit)
    taken = len(input_ids(tmp_path))
    assert taken == 55 if limit == 1000 else taken in (limit - 1, limit)
    assert counts["extract"]["page"] == taken + 87


def test_another_seed_takes_another_sample(tiny: Path, tmp_path: Path) -> None:
    run(tiny / "recipe.toml", tmp_path / "0", until="clean", sample=0.5)
    run(tiny / "recipe.toml", tmp_path / "1", until="clean", sample=0.5, changes=("seed=1",))
    assert input_ids(tmp_path / "0") != input_ids(tmp_path / "1")


def test_a_moved_recipe_computes_nothing_again(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys follow content: the same files in another folder are the same input."""
    run(tiny / "recipe.toml", tmp_path / "run", until="verdicts")
    shutil.copytree(tiny, tmp_path / "moved")
    capsys.readouterr()
    run(tmp_path / "moved" / "recipe.toml", tmp_path / "run", until="verdicts")
    *lines, _ = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "as is" not in line] == []


def test_given_models_count_by_content(tiny: Path, finished: Path, tmp_path: Path) -> None:
    """A classifier trained by one run scores the same in another."""
    model = open_run(finished).file("quality_model", "quality_model")
    shutil.copy(model, tmp_path / "quality.bin")
    changes = (f"quality.model={tmp_path / 'quality.bin'}", "quality.reference=", "scores=[]", "ablate=")
    run(tiny / "recipe.toml", tmp_path / "run", until="decide", changes=changes)
    connection = open_run(tmp_path / "run").connect()
    assert connection.execute("SELECT count(*), min(quality) >= 0, max(quality) <= 1 FROM quality").fetchall() == [
        (55, True, True)
    ]


@pytest.mark.slow
def test_the_ablation_trains_once_and_its_report_is_there(
    tiny: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    recipe = tiny / "recipe.toml"
    changes = ("quality.keep=", "rules=[]", "language.de=", "urls=", "bad_words=")
    assert run_recipe(Request(recipe, folder, changes=changes, until="ablate", workers=2, plan_only=True)) == 0
    shown = capsys.readouterr().err
    assert "ablation: 8 runs of 10,000 tokens" in shown  # raw, language, edits, deduplication; two seeds
    assert open_run(folder).manifest["ablation"] is None
    assert run_recipe(Request(recipe, folder, changes=changes, workers=2)) == 0
    shown = capsys.readouterr().err
    assert "worth of each step, bits per byte on books" in shown
    assert all(f"+{step}" in shown for step in ("language", "edits", "dedup"))
    name = open_run(folder).manifest["ablation"]
    assert (folder / "report.html").stat().st_size > 500_000
    before = {path: path.read_bytes() for path in (folder / name).rglob("*") if path.is_file()}
    assert run_recipe(Request(recipe, folder, changes=changes, until="ablate", workers=2)) == 0
    assert {path: path.read_bytes() for path in (folder / name).rglob("*") if path.is_file()} == before

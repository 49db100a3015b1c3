"""`datassay recipes curve`: S-curves side by side."""

from __future__ import annotations

import csv
import io

import pytest
from typer.testing import CliRunner

from datassay.cli.curve import curves, parse_minhash
from datassay.cli.main import app
from datassay.corpus.errors import RecipeError
from datassay.dedup.settings import PRESET_SOURCES, PRESETS, MinHash, s_curve


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("fineweb", PRESETS["fineweb"]),
        ("20x13", MinHash(bands=20, rows=13)),
        ("20x13@0.8", MinHash(bands=20, rows=13, min_jaccard=0.8)),
        ("fineweb@0", PRESETS["fineweb"].model_copy(update={"min_jaccard": 0.0})),
        ("1×1@.5", MinHash(bands=1, rows=1, min_jaccard=0.5)),
        ("9x13@1", MinHash(bands=9, rows=13, min_jaccard=1)),
    ],
)
def test_settings_by_name_or_by_numbers(name: str, settings: MinHash) -> None:
    assert parse_minhash(name) == settings


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("finewep", "did you mean 'fineweb'"),
        ("0x8", "BANDSxROWS"),
        ("8x", "BANDSxROWS"),
        ("8x8@2", "from 0 to 1"),
        ("8x8@", "from 0 to 1"),
    ],
)
def test_other_names_are_refused(name: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        parse_minhash(name)


def test_published_probabilities_are_in_the_table() -> None:
    """FineWeb's appendix E.1: .56 at .7, .77 at .75, .92 at .8, .988 at .85."""
    (line,) = (line for line in curves(["fineweb"]).splitlines() if line.startswith("a  fineweb"))
    assert line.split()[5:] == [
        "0.053",
        "0.211",
        "0.565",
        "0.772",
        "0.924",
        "0.988",
        "1.000",
        "1.000",
        "1.000",
        "0.685",
    ]


def test_costs_of_a_document() -> None:
    """14 bands of 20 bytes, and, in an index, 112 permutations of 4."""
    (line,) = (line for line in curves(["fineweb"]).splitlines() if line.startswith("fineweb"))
    assert line.split()[:6] == ["fineweb", "5", "words", "112", "280", "448"]


def test_every_preset_has_a_row_and_a_source() -> None:
    text = curves([])
    for name in PRESETS:
        assert f"  {name}: {PRESET_SOURCES[name]}\n" in text
        assert f" {name} " in text
    assert "20x13@0.8" in curves(["20x13@0.8"])


def test_drawing_goes_from_0_to_1_and_never_falls() -> None:
    """One letter a column: the row of a similarity is its probability in twentieths."""
    lines = [line.split("|", 1)[1].ljust(71) for line in curves(["fineweb"]).splitlines() if "|" in line]
    assert len(lines) == 21
    heights = [20 - next(row for row, line in enumerate(lines) if line[column] == "a") for column in range(71)]
    assert heights == [round(20 * s_curve(14, 8, 0.3 + column / 100)) for column in range(71)]
    assert (heights[0], heights[-1]) == (0, 20)


def test_where_curves_meet_the_first_is_drawn() -> None:
    lines = [line for line in curves(["refinedweb", "lee2022"]).splitlines() if "|" in line]
    assert not any("b" in line for line in lines)


def test_csv_has_the_points_of_each_curve() -> None:
    rows = list(csv.DictReader(io.StringIO(curves(["fineweb", "20x13"], as_csv=True))))
    assert len(rows) == 142
    at = {(row["preset"], row["similarity"]): float(row["compared"]) for row in rows}
    assert at["20x13", "0.8"] == pytest.approx(s_curve(20, 13, 0.8))


def test_command() -> None:
    result = CliRunner().invoke(app, ["recipes", "curve", "nemo", "20x13@0.8"])
    assert result.exit_code == 0
    assert "24 characters" in result.stdout

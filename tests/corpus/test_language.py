"""Language identification: the model that comes with the package, what is looked at, the signal table."""

from __future__ import annotations

import sys
import types
from hashlib import md5
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError, MissingExtraError
from datassay.corpus.language import (
    LANGUAGE,
    MODEL,
    N_CHARS,
    IdentifySettings,
    identify,
    load_model,
    measure_language,
    sample,
)
from datassay.corpus.schema import DOCUMENT
from datassay.corpus.store import Outputs

TEXTS = {
    "en": "All human beings are born free and equal in dignity and rights.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits.",
    "ru": "Все люди рождаются свободными и равными в своём достоинстве и правах.",
    "zh": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。",
}


def test_model_is_the_published_one() -> None:
    assert md5(MODEL.read_bytes()).hexdigest() == "340156704bb8c8e50c4abf35a7ec2569"


def test_identify() -> None:
    languages, scores = identify(list(TEXTS.values()))
    assert [row[0] for row in languages] == list(TEXTS)
    assert all(0.5 < row[0] <= 1 for row in scores)


def test_line_breaks_do_not_matter() -> None:
    broken = TEXTS["de"].replace(" ", "\r\n")
    assert identify([broken]) == identify([TEXTS["de"]])


@pytest.mark.parametrize("text", ["", " \n "])
def test_nothing_to_identify(text: str) -> None:
    assert identify([text]) == ([[]], [[]])
    assert identify([]) == ([], [])


def test_sample_is_whole_up_to_its_limit_and_spread_beyond() -> None:
    assert sample("a" * N_CHARS) == "a" * N_CHARS
    assert sample("a" * 1000 + "b" * 1000 + "c" * 1000 + "d" * 1000) == " ".join(c * 125 for c in "abcd")
    assert sample(" a\n\nb ") == "a b"


def test_page_furniture_at_the_head_does_not_decide() -> None:
    furniture = (
        "Home About us Contact Login Register Search this site. Share on Facebook. Subscribe to our newsletter. "
    )
    assert identify([furniture * 5 + TEXTS["de"] * 40])[0] == [["de"]]


def test_stage_keeps_rows_and_order(tmp_path: Path) -> None:
    rows = [
        {"id": str(i), "text": text, "source": "input", "file": "f", "offset": i}
        for i, text in enumerate([*TEXTS.values(), ""])
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=DOCUMENT), tmp_path / "in.parquet")
    out = Outputs(tmp_path, 0)
    measure_language(Inputs({"clean": (tmp_path / "in.parquet",)}), IdentifySettings(), out)
    table = pq.read_table(tmp_path / "language/part-00000.parquet")
    assert table.schema.equals(LANGUAGE)
    assert table.column("id").to_pylist() == [str(i) for i in range(6)]
    assert table.column("language").to_pylist() == [*TEXTS, None]
    assert table.column("language_score").to_pylist()[-1] == 0.0
    first, second = table.column("language_score"), table.column("second_language_score")
    assert all(a.as_py() >= b.as_py() for a, b in zip(first, second, strict=True))
    assert out.counts == {"documents": 6, "without_language": 1}


def test_model_that_is_not_there_or_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such language model"):
        load_model(str(tmp_path / "none.ftz"))
    (tmp_path / "text.ftz").write_text("not a model")
    with pytest.raises(InputError, match="not a fastText model"):
        load_model(str(tmp_path / "text.ftz"))


def test_module_overwritten_by_another_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = types.ModuleType("fasttext")
    other.__file__ = "site-packages/fasttext/__init__.py"
    monkeypatch.setitem(sys.modules, "fasttext", other)
    with pytest.raises(MissingExtraError, match="fasttext-community"):
        load_model(str(tmp_path / "any.ftz"))


def test_loading_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    load_model.cache_clear()
    load_model()
    assert capfd.readouterr() == ("", "")


def test_accuracy_on_labelled_texts(shared: Path) -> None:
    """Sentences and longer texts of ten languages that are rarely confused with each other."""
    wanted = ["en", "de", "fr", "it", "pl", "ru", "el", "ja", "ko", "tr"]
    table = pq.read_table(shared / "lid/dev.parquet").to_pylist()
    rows = [row for row in table if row["lang"] in wanted and row["length"] != "short"]
    languages, _ = identify([row["text"] for row in rows])
    right = sum(found[:1] == [row["lang"]] for found, row in zip(languages, rows, strict=True))
    assert right / len(rows) > 0.97

"""The stage that measures text: its columns, and that its bytes depend on the documents alone."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.corpus.engine import Inputs
from datassay.corpus.store import Outputs
from datassay.filters import text_signals
from datassay.filters.text_signals import SIGNALS, TEXT_SIGNALS, TextSettings, measure_text, signals

TEXTS = ["Hello the world. " * 5, "", "中文测试。\r\n\r\nÉté", "line\nline\n\nline\nline", "👍 #tag {x}…"] * 300


def one(text: str) -> dict[str, float]:
    row: dict[str, float] = signals(pa.array(["x"]), pa.array([text], pa.large_string())).to_pylist()[0]
    return row


def run(folder: Path, texts: list[str]) -> bytes:
    clean = folder / "clean.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table({"id": [f"{i:032x}" for i in range(len(texts))], "text": pa.array(texts, pa.large_string())})
    pq.write_table(table, clean)
    out = Outputs(folder / "out", 0)
    measure_text(Inputs({"clean": (clean,)}), TextSettings(), out)
    out.commit("key")
    assert out.counts["documents"] == len(texts)
    return (folder / "out" / "text" / "part-00000.parquet").read_bytes()


def test_names_are_unique_and_described() -> None:
    assert len({signal.name for signal in SIGNALS}) == len(SIGNALS)
    assert all(signal.definition.endswith(".") for signal in SIGNALS)


def test_rows_follow_the_documents(tmp_path: Path) -> None:
    run(tmp_path, TEXTS)
    table = pq.read_table(tmp_path / "out" / "text" / "part-00000.parquet")
    assert table.schema.equals(TEXT_SIGNALS)
    assert table["id"].to_pylist() == [f"{i:032x}" for i in range(len(TEXTS))]
    assert table["n_chars"].to_pylist() == [len(text) for text in TEXTS]
    assert table["n_bytes"].to_pylist() == [len(text.encode()) for text in TEXTS]


@pytest.mark.parametrize("batch_rows", [1, 7, 100_000])
def test_bytes_do_not_depend_on_batches(tmp_path: Path, batch_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run(tmp_path / "a", TEXTS)
    monkeypatch.setattr(text_signals, "BATCH_ROWS", batch_rows)
    assert run(tmp_path / "b", TEXTS) == expected


def test_no_document_at_all(tmp_path: Path) -> None:
    run(tmp_path, [])
    assert pq.read_table(tmp_path / "out" / "text" / "part-00000.parquet").num_rows == 0


def test_an_empty_text_has_zeros() -> None:
    row = one("")
    assert {name: value for name, value in row.items() if value} == {"id": "x"}


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("the of and", "mean_word_length", 8 / 3),
        ("The THE the be", "stop_word_count", 2),
        ("The THE cat sat", "stop_word_fraction", 2 / 4),
        ("One one two", "unique_word_fraction", 2 / 3),
        ("one two, 34", "alpha_word_fraction", 2 / 3),
        ("one two, 34", "alpha_token_fraction", 2 / 4),
        ("ONE Two A", "upper_case_word_fraction", 2 / 3),
        ("one, two - 34\n(a)", "alpha_run_fraction", 3 / 5),
        ("ab 1", "alpha_fraction", 2 / 4),
        ("ab 1", "digit_fraction", 1 / 4),
        ("Ab C1", "upper_case_fraction", 2 / 3),
        ("a # b ##", "hash_ratio", 3 / 4),
        ("a... b…", "ellipsis_ratio", 2 / 4),
        ("- a\n• b\n* c\nd", "bullet_line_fraction", 2 / 4),
        ("a...\nb…\nc.\n", "ellipsis_line_fraction", 2 / 3),
        ('a.\n"b"\nc\nd:\n', "terminal_punctuation_line_fraction", 2 / 4),
        ("x" * 30 + "\n" + "y" * 29, "line_under_30_fraction", 1 / 2),
        ("x" * 30 + "\n" + "y" * 31, "line_up_to_30_fraction", 1 / 2),
        ("a\na\nb\na", "duplicate_line_fraction", 2 / 4),
        ("aa\naa\n\nb", "duplicate_line_char_fraction", 2 / 8),
        ("aa\naa\n\nb", "duplicate_line_char_fraction_of_lines", 2 / 5),
        ("a\nb\n\nc\n\na\nb", "duplicate_paragraph_fraction", 1 / 3),
        ("a\nb\n\nc\n\na\nb", "duplicate_paragraph_char_fraction", 3 / 11),
        ("a\nb\r\nc", "newlines_per_token", 2 / 3),
        ("a a b b b", "longest_word_length", 1),
    ],
)
def test_definitions_by_hand(text: str, name: str, value: float) -> None:
    assert one(text)[name] == value


def test_entropy_of_equally_frequent_words() -> None:
    import math

    assert one("a b c d A B C D")["unigram_entropy"] == pytest.approx(math.log(4))

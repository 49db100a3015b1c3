"""Files of questions: what a row says, and how a wrong file is named."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.corpus.errors import InputError, RecipeError
from datassay.corpus.given import GivenFile, given_file
from datassay.filters.question_files import Question, QuestionFile, read_questions


def questions(path: Path, *, columns: tuple[str, ...] = (), context: tuple[str, ...] = ()) -> list[Question]:
    return list(read_questions(QuestionFile(name="q", file=given_file(str(path)), columns=columns, context=context)))


def texts(path: Path, **settings: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [question.texts for question in questions(path, **settings)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", []),
        ("one\ntwo\r\n", [("one",), ("two",)]),
        ("one\nline two\n\n\nthree\n", [("one\nline two",), ("three",)]),
        ("\n\none", [("one",)]),
        ("[not json", [("[not json",)]),
        ("{} is what in Python?", [("{} is what in Python?",)]),
        ("a\u2028b\nc", [("a\u2028b",), ("c",)]),  # only a line feed ends a line
    ],
)
def test_a_text_file_has_a_question_a_paragraph_or_a_line(
    tmp_path: Path, content: str, expected: list[tuple[str]]
) -> None:
    path = tmp_path / "q.txt"
    path.write_bytes(content.encode())
    assert texts(path) == expected


JSON_LINES = (
    '{"question": "Who?", "choices": {"text": ["A", "B"], "label": [1, true]}, "id": "x"}\n\n{"answer": null}\n'
)


@pytest.mark.parametrize("name", ["q.jsonl", "q.json.gz", "q"])
def test_json_lines_have_the_usual_columns(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(JSON_LINES.encode()) if name.endswith(".gz") else JSON_LINES.encode())
    assert texts(path) == [("Who?", "A", "B", "1"), ()]


def test_a_json_array(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    path.write_text('\ufeff [{"text": "a"},\n {"text": "b"}]')
    assert texts(path) == [("a",), ("b",)]


def test_columns_and_context_come_in_the_order_of_the_recipe(tmp_path: Path) -> None:
    path = tmp_path / "q.parquet"
    pq.write_table(pa.table({"answer": ["A"], "question": ["Q"], "passage": ["P"]}), path)
    assert texts(path) == [("Q", "A")]
    assert questions(path, columns=("answer", "passage"), context=("question",)) == [Question(("Q",), ("A", "P"))]
    assert questions(path, context=("question",)) == [Question(("Q",), ("A",))]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.jsonl", '{"text": "a"}\n{"text": \n', r"q\.jsonl: line 2: not JSON"),
        ("q.jsonl", '{"text": "a"}\n[1]\n', r"q\.jsonl: line 2: list instead of an object"),
        ("q.json", '[{"text": "a"}, 1]', r"q\.json: row 1: int instead of an object"),
        ("q.csv", "question,answer\n", r"q\.csv: .* write the questions as JSON lines or Parquet"),
        ("q.parquet", "PAR1", "q.parquet: not a readable Parquet file"),
        ("q.parquet", "text", "q.parquet: not a text, JSON or Parquet file"),
    ],
)
def test_a_damaged_file_is_named_with_the_place(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        questions(tmp_path / name)


def test_a_cut_gzip_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl.gz"
    path.write_bytes(gzip.compress(JSON_LINES.encode())[:-10])
    with pytest.raises(InputError, match=r"q\.jsonl\.gz: damaged"):
        questions(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no-such"):
        list(read_questions(QuestionFile(name="q", file=GivenFile(content="", path=tmp_path / "no-such"))))


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_column_that_is_not_there_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"q.{suffix}"
    if suffix == "jsonl":
        path.write_text('{"title": "a", "body": "b"}\n')
    else:
        pq.write_table(pa.table({"title": ["a"], "body": ["b"]}), path)
    with pytest.raises(RecipeError, match="no column 'text', only title, body"):
        questions(path, columns=("text",))
    with pytest.raises(RecipeError, match="none of the usual columns; say which to look for, of title, body"):
        questions(path)
    assert texts(path, columns=("title",)) == [("a",)]


def test_a_text_file_has_no_columns(tmp_path: Path) -> None:
    (tmp_path / "q.txt").write_text("one")
    with pytest.raises(RecipeError, match="a text file has no columns"):
        questions(tmp_path / "q.txt", columns=("text",))

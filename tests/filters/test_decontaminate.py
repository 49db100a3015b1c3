"""Decontamination at the limits that were published, against plain Python, and on real texts with planted questions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from datassay.corpus.engine import Inputs, LocalEngine, Task, TaskFunction, run_task
from datassay.corpus.errors import InputError
from datassay.corpus.hashing import file_hash
from datassay.corpus.schema import DOCUMENT
from datassay.corpus.store import Done
from datassay.filters import decontaminate, question_search
from datassay.filters.decide import MEMORY, check_rules, connect, failed_rules
from datassay.filters.decontaminate import Span, cuts_of, merged
from datassay.filters.decontaminate_settings import (
    CutSettings,
    DecontaminateSettings,
    ReportSettings,
    cut_settings,
    frequent_settings,
    index_settings,
    match_settings,
)

SAMPLE = Path(__file__).parents[2] / "examples" / "sample" / "validation"
CLEAN = pa.schema([DOCUMENT.field("id"), DOCUMENT.field("text")])
Row = dict[str, Any]


class Run:
    """The stages over some shards of documents, one after the other."""

    def __init__(self, folder: Path, shards: Sequence[Sequence[tuple[str, str]]], **settings: Any) -> None:
        self.folder, self.n_shards = folder, len(shards)
        self.settings = DecontaminateSettings.model_validate(settings)
        self.done: dict[str, list[Done]] = {}
        (folder / "clean").mkdir(parents=True, exist_ok=True)
        for i, shard in enumerate(shards):
            rows = [{"id": name, "text": text} for name, text in shard]
            path = folder / "clean" / f"part-{i:05d}.parquet"
            pq.write_table(pa.Table.from_pylist(rows, schema=CLEAN), path, row_group_size=3)
        self._run(question_search.index_questions, index_settings(self.settings), [{}])
        index = {name: self._files("index_questions", name) for name in ("question_ngrams", "questions")}
        clean = sorted((folder / "clean").iterdir())
        found = [{"clean": (path,), "question_ngrams": index["question_ngrams"]} for path in clean]
        self._run(question_search.count_matches, match_settings(self.settings), found)
        documents = {"ngram_documents": self._files("count_matches", "ngram_documents")}
        self._run(question_search.frequent_ngrams, frequent_settings(self.settings), [documents])
        index["frequent_ngrams"] = self._files("frequent_ngrams", "frequent_ngrams")
        matches = self._files("count_matches", "matches")
        each = [{"clean": (a,), "matches": (b,), **index} for a, b in zip(clean, matches, strict=True)]
        self._run(decontaminate.decontaminate, cut_settings(self.settings), each)
        overlaps = {"contamination": self._files("decontaminate", "contamination")}
        self._run(decontaminate.report_questions, ReportSettings(), [{**index, **overlaps}])

    def _run(self, function: TaskFunction, settings: Any, inputs: list[dict[str, tuple[Path, ...]]]) -> None:
        name = function.__name__  # type: ignore[attr-defined]
        self.done[name] = [
            run_task(Task(function, Inputs(files), settings, self.folder / name, i, "key"))
            for i, files in enumerate(inputs)
        ]

    def _files(self, stage: str, dataset: str) -> tuple[Path, ...]:
        return tuple(sorted((self.folder / stage / dataset).iterdir()))

    def rows(self, dataset: str, stage: str = "decontaminate") -> list[Row]:
        tables = [pq.read_table(path) for path in self._files(stage, dataset)]
        schema: pa.Schema = (vars(question_search) | vars(decontaminate))[dataset.upper()]
        assert all(table.schema == schema for table in tables)
        rows: list[Row] = pa.concat_tables(tables).to_pylist()
        return rows

    def signals(self, document: str) -> Row:
        (row,) = (row for row in self.rows("decontamination") if row["id"] == document)
        return row

    def dropped(self) -> dict[str, list[str]]:
        """The rules that each document fails, if any."""
        table = pa.Table.from_pylist(self.rows("decontamination"), schema=decontaminate.DECONTAMINATION)
        check_rules(self.settings.rules, decontaminate.DECONTAMINATION)
        with TemporaryDirectory() as temp, connect(MEMORY, 1, Path(temp)) as con:
            failed = failed_rules(con, self.settings.rules, table).to_pylist()
        names = {row["id"]: [r["rule"] for r in f] for row, f in zip(self.rows("decontamination"), failed, strict=True)}
        return {name: rules for name, rules in names.items() if rules}

    def cut(self, document: str, text: str) -> str:
        """The text with its edits applied."""
        edits = [row for row in self.rows("edits") if row["id"] == document]
        assert all(row["rule"] == "decontaminate" for row in edits)
        for row in sorted(edits, key=lambda row: -row["start"]):
            text = text[: row["start"]] + row["replacement"] + text[row["end"] :]
        return text


def ask(path: Path, *rows: Mapping[str, object] | str) -> str:
    """A file of questions."""
    values = [{"text": row} if isinstance(row, str) else row for row in rows]
    path.write_bytes(b"\n".join(orjson.dumps(value) for value in values))
    return str(path)


def words(first: str, n: int) -> str:
    """n different words."""
    return " ".join(f"{first}{i}" for i in range(n))


def filler(n_chars: int) -> str:
    """Words that no question has, to exactly so many characters."""
    return ("lorem ipsum dolor " * (n_chars // 18 + 1))[:n_chars]


def test_thirteen_words_are_a_match_and_twelve_are_none(tmp_path: Path) -> None:
    question = words("q", 20)
    held = question.split()
    shard = [
        ("all", f"x {question} y"),
        ("13", "x " + " ".join(held[4:17]) + " y"),
        ("12", "x " + " ".join(held[4:16]) + " y"),
        ("broken", "x " + " ".join(held[:10]) + " and " + " ".join(held[10:]) + " y"),
        ("typed", "«" + ", ".join(held[4:17]).upper() + "!»"),
        ("empty", ""),
    ]
    run = Run(tmp_path, [shard], questions={"q": ask(tmp_path / "q.jsonl", question)}, mode="drop")
    counts = {row["id"]: row["contaminated_ngram_count"] for row in run.rows("decontamination")}
    assert counts == {"all": 8, "13": 1, "12": 0, "broken": 0, "typed": 1, "empty": 0}  # 20 words: 8 n-grams
    assert run.dropped() == {name: ["contaminated"] for name in ("all", "13", "typed")}
    length = len(" ".join(held[4:17]))
    assert run.signals("13") == {
        "id": "13",
        "contaminated_ngram_count": 1,
        "contaminated_question_count": 1,
        "contaminated_fraction": length / (length + 4),
        "contaminated_by": "q#0",
        "decontaminated_piece_count": 0,
        "decontaminated_chars": 0,
    }
    assert run.signals("empty")["contaminated_fraction"] == 0
    assert run.rows("edits") == []


def test_a_short_question_is_looked_for_whole(tmp_path: Path) -> None:
    eight, seven, twelve = words("a", 8), words("b", 7), words("c", 12)
    shard = [
        ("eight", f"x {eight} y"),
        ("part", "x " + " ".join(eight.split()[:7]) + " y"),
        ("seven", f"x {seven} y"),
        ("eleven", "x " + " ".join(twelve.split()[1:]) + " y"),
        ("twelve", f"x {twelve} y"),
    ]
    run = Run(tmp_path, [shard], questions={"q": ask(tmp_path / "q.jsonl", eight, seven, twelve)})
    found = {row["id"]: row["contaminated_by"] for row in run.rows("decontamination")}
    assert found == {"eight": "q#0", "part": None, "seven": None, "eleven": None, "twelve": "q#2"}
    assert run.done["index_questions"][0].counts == {"questions": 3, "unmatchable": 1, "ngrams": 2}
    assert run.rows("question_documents", "report_questions") == [
        {"file": "q", "row": 0, "n_ngrams": 1, "n_frequent_ngrams": 0, "n_documents": 1},
        {"file": "q", "row": 1, "n_ngrams": 0, "n_frequent_ngrams": 0, "n_documents": 0},
        {"file": "q", "row": 2, "n_ngrams": 1, "n_frequent_ngrams": 0, "n_documents": 1},
    ]


def test_ngrams_that_a_question_repeats_count_once(tmp_path: Path) -> None:
    rows = [{"text": words("q", 14), "answer": words("q", 14)}, {"text": words("q", 13)}]
    run = Run(tmp_path, [[]], questions={"q": ask(tmp_path / "q.jsonl", *rows)})
    # 28 words have 16 n-grams, of which the last two are the first two again
    assert [row["n_ngrams"] for row in run.rows("questions", "index_questions")] == [14, 1]
    assert run.done["index_questions"][0].counts["ngrams"] == 14


def test_a_page_that_shows_question_and_answer_is_found(tmp_path: Path) -> None:
    row = {"question": words("q", 7), "answer": words("a", 6)}  # neither is long enough alone
    shard = [("both", f"x {row['question']}? {row['answer']}"), ("one", f"x {row['question']}? y")]
    run = Run(tmp_path, [shard], questions={"q": ask(tmp_path / "q.jsonl", row)}, mode="drop")
    assert list(run.dropped()) == ["both"]


def test_chinese_characters_are_words(tmp_path: Path) -> None:
    question = "下列哪一项不是哺乳动物的特征"  # 14 characters
    shard = [
        ("same", f"练习：{question}？"),
        ("spaced", question[1:14].replace("不", "， 不")),
        ("short", question[:12]),
    ]
    run = Run(tmp_path, [shard], questions={"q": ask(tmp_path / "q.jsonl", question)}, mode="report")
    assert [row["contaminated_ngram_count"] for row in run.rows("decontamination")] == [2, 1, 0]
    assert run.dropped() == {}
    assert [row["excerpt"] for row in run.rows("contamination")] == [question, question[1:14].replace("不", "， 不")]


CUT = CutSettings(is_cut=True, window_chars=200, min_piece_chars=200, joint="\n\n")


@pytest.mark.parametrize(
    ("n_chars", "places", "n_pieces", "cuts"),
    [
        (1000, [(0, 50)], 1, [(0, 250)]),  # at the start
        (1000, [(950, 1000)], 1, [(750, 1000)]),  # at the end
        (410, [(200, 210)], 0, [(0, 410)]),  # windows reach both ends
        (412, [(201, 211)], 2, [(0, 412)]),  # pieces of one character, which are too short
        (810, [(400, 410)], 2, [(200, 610)]),  # pieces of exactly 200 characters stay
        (809, [(400, 410)], 2, [(200, 809)]),  # and one of 199 does not
        (2000, [(500, 510), (800, 810)], 2, [(300, 1010)]),  # windows overlap
        (2000, [(500, 510), (910, 920)], 2, [(300, 1120)]),  # windows touch
        (2000, [(500, 510), (911, 921)], 3, [(300, 1121)]),  # one character between them is a piece, and goes
        (2000, [(500, 510), (1110, 1120)], 3, [(300, 710), (910, 1320)]),  # 200 characters between them stay
        (50, [], 1, [(0, 50)]),  # as the function says; it is not asked about documents without a match
    ],
)
def test_what_a_match_takes_with_it(n_chars: int, places: list[Span], n_pieces: int, cuts: object) -> None:
    assert cuts_of(n_chars, places, CUT) == (n_pieces, cuts)


SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)).map(lambda pair: (pair[0], sum(pair))), max_size=6)


@given(SPANS, st.integers(0, 5), st.integers(0, 6))
def test_cuts_are_those_of_a_mask(places: list[Span], window: int, min_piece: int) -> None:
    n_chars = 60
    mask = ["."] * n_chars
    for start, end in places:
        mask[max(0, start - window) : end + window] = "x" * (min(n_chars, end + window) - max(0, start - window))
    pieces = re.findall(r"\.+", "".join(mask))
    final = re.sub(r"\.+", lambda m: "x" * len(m[0]) if len(m[0]) < min_piece else m[0], "".join(mask))
    settings = CutSettings(is_cut=True, window_chars=window, min_piece_chars=min_piece, joint="")
    n_pieces, cuts = cuts_of(n_chars, merged(places), settings)
    assert n_pieces == len(pieces)
    assert cuts == [m.span() for m in re.finditer("x+", final)]


@pytest.mark.parametrize(("n_matches", "is_kept"), [(9, True), (10, False)])
def test_a_document_in_ten_pieces_stays_and_one_in_eleven_goes(tmp_path: Path, n_matches: int, is_kept: bool) -> None:
    question = words("q", 13)
    text = f" {question} ".join([filler(700)] * (n_matches + 1))
    run = Run(tmp_path, [[("d", text)]], questions={"q": ask(tmp_path / "q.jsonl", question)})
    assert run.signals("d")["decontaminated_piece_count"] == n_matches + 1
    assert run.dropped() == ({} if is_kept else {"d": ["contaminated_pieces"]})
    # the window of 200 holds the space at the question's side, so the filler loses 199 at each cut
    expected = [filler(700)[:501], *[filler(700)[199:501]] * (n_matches - 1), filler(700)[199:]]
    assert run.cut("d", text) == "\n\n".join(expected)
    assert run.signals("d")["decontaminated_chars"] == sum(map(len, expected))


def test_a_document_of_which_nothing_is_left_goes(tmp_path: Path) -> None:
    question = words("q", 13)
    shard = [("d", f"{filler(300)} {question} {filler(300)}"), ("short", filler(20))]
    run = Run(tmp_path, [shard], questions={"q": ask(tmp_path / "q.jsonl", question)})
    assert run.dropped() == {"d": ["contaminated_all"]}
    assert run.cut("d", shard[0][1]) == ""
    assert run.signals("short")["decontaminated_chars"] == 20


def test_cuts_count_characters_and_not_bytes(tmp_path: Path) -> None:
    question = words("q", 13)
    text = "ä😀 " * 100 + question + " é日" * 150
    run = Run(tmp_path, [[("d", text)]], questions={"q": ask(tmp_path / "q.jsonl", question)})
    assert run.rows("edits") == [
        {"id": "d", "start": 0, "end": 500 + len(question), "rule": "decontaminate", "replacement": ""}
    ]  # the first piece would have 100 characters, the last has 250
    assert run.cut("d", text) == text[500 + len(question) :]


@pytest.mark.parametrize(("n_documents", "is_found"), [(10, True), (11, False)])
def test_an_ngram_in_more_than_ten_documents_is_no_sign(tmp_path: Path, n_documents: int, is_found: bool) -> None:
    common, rare = words("c", 13), words("r", 13)
    documents = [(f"{i:02d}", f"text {i} {common}") for i in range(n_documents)]
    documents[3] = ("03", f"text 3 {common}, {rare}")
    shards = [documents[:4], documents[4:]]
    run = Run(tmp_path, shards, questions={"q": ask(tmp_path / "q.jsonl", common, rare)}, mode="drop")
    assert list(run.dropped()) == ([name for name, _ in documents] if is_found else ["03"])
    assert run.signals("03")["contaminated_by"] == ("q#0" if is_found else "q#1")
    assert run.rows("question_files", "report_questions") == [
        {
            "file": "q",
            "n_questions": 2,
            "n_matchable": 2,
            "n_found": 2 if is_found else 1,
            "n_documents": n_documents if is_found else 1,
            "n_ngrams": 2,
            "n_frequent_ngrams": 0 if is_found else 1,
        }
    ]
    questions = run.rows("question_documents", "report_questions")
    assert [row["n_frequent_ngrams"] for row in questions] == [0 if is_found else 1, 0]
    assert [row["n_documents"] for row in questions] == [10 if is_found else 0, 1]


def test_copies_of_one_document_count_once(tmp_path: Path) -> None:
    question = words("q", 13)
    shards = [[(f"{s}{i}", f"leaked {question}") for i in range(10)] for s in "abc"]
    run = Run(tmp_path, shards, questions={"q": ask(tmp_path / "q.jsonl", question)}, mode="drop")
    assert len(run.dropped()) == 30


def test_shards_make_no_difference(tmp_path: Path) -> None:
    questions = {"q": ask(tmp_path / "q.jsonl", *(words(f"q{i}x", 13 + i) for i in range(8)))}
    documents = [
        (f"{i:03d}", f"{i} " + " ".join(words(f"q{j}x", 13 + i % 4) for j in range(8) if i % (j + 2) == 0))
        for i in range(60)
    ]
    one = Run(tmp_path / "one", [documents], questions=questions)
    three = Run(tmp_path / "three", [documents[:7], documents[7:40], documents[40:]], questions=questions)
    again = Run(tmp_path / "again", [documents], questions=questions)
    for dataset in ("decontamination", "edits", "contamination"):
        assert one.rows(dataset) == three.rows(dataset)
    assert one.rows("frequent_ngrams", "frequent_ngrams") == three.rows("frequent_ngrams", "frequent_ngrams") != []
    assert one.rows("question_documents", "report_questions") == three.rows("question_documents", "report_questions")
    assert one.done == again.done  # with the hashes of all files


def test_workers_make_no_difference(tmp_path: Path) -> None:
    questions = {"q": ask(tmp_path / "q.jsonl", words("q", 15))}
    run = Run(tmp_path, [[(str(i), f"{i} {words('q', 15)}")] for i in range(3)], questions=questions)
    tasks = [
        Task(
            question_search.count_matches,
            Inputs(
                {
                    "clean": (tmp_path / "clean" / f"part-{i:05d}.parquet",),
                    "question_ngrams": (tmp_path / "index_questions/question_ngrams/part-00000.parquet",),
                }
            ),
            match_settings(run.settings),
            tmp_path / "pool",
            i,
            "key",
        )
        for i in range(3)
    ]
    with LocalEngine(2) as engine:
        done = sorted(engine.run(tasks), key=lambda done: done.index)
    assert done == run.done["count_matches"]


def test_overlaps_name_question_document_and_place(tmp_path: Path) -> None:
    first, second = words("f", 15), words("s", 13)
    text = f"{filler(30)} {second}; {first} {filler(30)} {first}"
    a, b = ask(tmp_path / "a.jsonl", first), ask(tmp_path / "b.jsonl", filler(100), f"{second} {words('t', 5)}", first)
    run = Run(tmp_path, [[("d", text), ("e", "nothing")]], questions={"a": a, "b": b}, mode="report")
    at = text.index(first)
    last = text.rindex(first)
    assert run.rows("contamination") == [
        {"file": file, "row": row, "id": "d", "start": start, "end": start + len(held), "excerpt": held[:200]}
        for file, row, start, held in (
            ("a", 0, at, first),
            ("a", 0, last, first),
            ("b", 1, 31, second),
            ("b", 2, at, first),
            ("b", 2, last, first),
        )
    ]
    assert run.signals("d")["contaminated_by"] == "b#1"  # it comes first in the text
    assert run.signals("d")["contaminated_question_count"] == 3
    assert run.signals("d")["contaminated_ngram_count"] == 7  # 3 n-grams of 15 words, twice, and one
    assert run.signals("d")["contaminated_fraction"] == (2 * len(first) + len(second)) / len(text)
    files = run.rows("question_files", "report_questions")
    assert [(row["file"], row["n_questions"], row["n_found"], row["n_documents"]) for row in files] == [
        ("a", 1, 1, 1),
        ("b", 3, 2, 1),
    ]


def test_a_template_is_listed_for_its_first_questions_alone(tmp_path: Path) -> None:
    template = words("t", 13)
    questions = {"q": ask(tmp_path / "q.jsonl", *(f"{template} {i}" for i in range(20)))}
    run = Run(tmp_path, [[("d", template)]], questions=questions)
    (entry,) = (row for row in run.rows("question_ngrams", "index_questions") if row["n_questions"] > 1)
    assert (entry["n_questions"], entry["questions"]) == (20, list(range(question_search.MAX_LISTED)))
    assert run.signals("d")["contaminated_question_count"] == question_search.MAX_LISTED


def test_dolma_looks_for_whole_lines(tmp_path: Path) -> None:
    long, short = words("a", 12) + ".", words("b", 11) + "."  # 13 tokens, and 12
    shard = [
        ("line", f"x\n{long}\ny"),
        ("within", f"x {long}"),
        ("other case", long.upper()),
        ("short", f"x\n{short}\ny"),
        ("last", f"x\n{long}"),
    ]
    questions = {"q": ask(tmp_path / "q.jsonl", f"{long}\n{short}")}
    run = Run(tmp_path, [shard], questions=questions, preset="dolma")
    assert run.dropped() == {"line": ["contaminated"], "last": ["contaminated"]}
    assert [row["excerpt"] for row in run.rows("contamination")] == [long, long]


def test_datatrove_looks_for_answers(tmp_path: Path) -> None:
    path = ask(tmp_path / "q.jsonl", {"query": words("q", 20), "label": words("l", 13)})
    shard = [("query", words("q", 20)), ("label", words("l", 12)), ("seam", "q19 " + words("l", 11)), ("none", "q19")]
    questions = {"q": {"path": path, "columns": ["label"], "context": ["query"]}}
    run = Run(tmp_path, [shard], questions=questions, preset="datatrove")
    assert run.dropped() == {"label": ["contaminated"], "seam": ["contaminated"]}


def test_presets_fill_what_is_not_set() -> None:
    questions = {"q": "q.txt"}
    gpt3 = DecontaminateSettings.model_validate({"questions": questions})
    assert (gpt3.n, gpt3.window_chars, gpt3.min_piece_chars, gpt3.max_pieces, gpt3.max_documents) == (
        13,
        200,
        200,
        10,
        10,
    )
    datatrove = DecontaminateSettings.model_validate({"questions": questions, "preset": "datatrove", "mode": "cut"})
    assert (datatrove.n, datatrove.mode, datatrove.max_documents) == (12, "cut", "any")
    assert [rule.name for rule in datatrove.rules] == ["contaminated_pieces", "contaminated_all"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"questions": {}}, "at least 1 item"),
        ({"questions": {"q": "q.txt"}, "preset": "gpt4"}, "'gpt3', 'datatrove' or 'dolma'"),
        ({"questions": {"q": "q.txt"}, "n": 7}, "min_words 8 is more than n 7"),
        ({"questions": {"q": {"path": "q.txt", "column": "a"}}}, "questions.q.column"),
    ],
)
def test_wrong_settings_are_named(settings: Mapping[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DecontaminateSettings.model_validate(settings)


def test_questions_that_cannot_be_found_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of 2 questions has 8 words in .*q\.jsonl; lower min_words"):
        Run(tmp_path, [[]], questions={"q": ask(tmp_path / "q.jsonl", "too short", "yes")})
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(InputError, match=r"empty\.txt: no questions in it"):
        Run(tmp_path, [[]], questions={"q": str(tmp_path / "empty.txt")})
    with pytest.raises(InputError, match="no-such: no such file"):
        Run(tmp_path, [[]], questions={"q": str(tmp_path / "no-such")})


def test_the_key_follows_the_content_of_the_files(tmp_path: Path) -> None:
    def key(path: str) -> object:
        settings = DecontaminateSettings.model_validate({"questions": {"q": path}})
        return index_settings(settings).model_dump(mode="json")

    (tmp_path / "elsewhere").mkdir()
    here, there = ask(tmp_path / "q.jsonl", "a"), ask(tmp_path / "elsewhere" / "q.jsonl", "a")
    assert key(here) == key(there)
    assert key(here) != key(ask(tmp_path / "q.jsonl", "b"))


def test_an_empty_shard(tmp_path: Path) -> None:
    run = Run(tmp_path, [[], [("a", "x")]], questions={"q": ask(tmp_path / "q.jsonl", words("q", 13))})
    assert [row["id"] for row in run.rows("decontamination")] == ["a"]
    assert run.done["count_matches"][0].counts["documents"] == 0
    assert run.rows("question_files", "report_questions")[0]["n_documents"] == 0


def test_validation_texts_of_the_sample_planted_into_others(tmp_path: Path) -> None:
    books, wiki = (pq.read_table(SAMPLE / f"{name}.parquet")["text"].to_pylist() for name in ("books", "wiki"))
    clean, planted = [text for text in books if len(text) >= 1200][:40], wiki[:9]
    documents = [(f"clean-{i}", text) for i, text in enumerate(clean)]
    for i, text in enumerate(planted):
        documents.append((f"planted-{i}", f"{clean[i][:1000]}\n{text}\n{clean[i][1000:]}"))
    run = Run(tmp_path, [documents[:30], documents[30:]], questions={"wiki": str(SAMPLE / "wiki.parquet")})
    found = {row["id"]: row for row in run.rows("decontamination") if row["contaminated_ngram_count"]}
    assert set(found) == {f"planted-{i}" for i in range(9)}
    for i, text in enumerate(planted):
        name, whole = f"planted-{i}", dict(documents)[f"planted-{i}"]
        assert found[name]["contaminated_by"] == f"wiki#{i}"
        assert found[name]["contaminated_fraction"] > 0.95 * len(text) / len(whole)
        left = run.cut(name, whole)
        assert left.startswith(clean[i][:800])  # the window takes 200
        assert not any(line in left for line in text.split("\n") if len(line) > 100)


def test_the_addresses_that_the_corpus_holds_on_purpose(shared: Path, tmp_path: Path) -> None:
    validation = pq.read_table(shared / "lm" / "val.parquet")
    probe = validation.filter(pc.equal(validation["domain"], "leak_probe"))
    pq.write_table(probe.select(["text"]), tmp_path / "probe.parquet")
    truth = pq.read_table(shared / "corpus" / "truth.parquet", columns=["id", "label"])
    leaks = set(truth.filter(pc.equal(truth["label"], "leak"))["id"].to_pylist())
    corpus = pa.concat_tables(pq.read_table(path) for path in sorted((shared / "corpus").glob("raw-*.parquet")))
    rows = corpus["id"].to_pylist()
    documents = [(name, text) for i, (name, text) in enumerate(zip(rows, corpus["text"].to_pylist(), strict=True))
                 if name in leaks or i % 40 == 0]  # fmt: skip
    run = Run(tmp_path, [documents], questions={"probe": str(tmp_path / "probe.parquet")})
    found = {row["id"]: row for row in run.rows("decontamination") if row["contaminated_ngram_count"]}
    assert set(found) == leaks
    assert len({row["contaminated_by"] for row in found.values()}) == 20
    # each holds 2 500 characters of an address among 4 400
    assert all(0.5 < row["contaminated_fraction"] < 0.6 for row in found.values())
    assert file_hash(tmp_path / "probe.parquet") == index_settings(run.settings).files[0].file.content

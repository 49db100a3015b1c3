"""The commands `dedup` and `index`, on files built in the test."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasketch import MinHash as Sketch
from typer.testing import CliRunner

from datassay.cli.dedup import Request, dedup_files, keep_of_index
from datassay.cli.main import app
from datassay.corpus.errors import InputError, LockedError, RecipeError, StoreError
from datassay.corpus.shuffle import read_partition
from datassay.dedup.compact import compact
from datassay.dedup.index import open_index

Texts = Mapping[str, str]


def prose(seed: int, n_words: int = 120) -> list[str]:
    return [f"word{number}" for number in np.random.RandomState(seed).randint(0, 5000, n_words)]


def changed(words: Sequence[str], n_changes: int, seed: int = 0) -> list[str]:
    places = set(np.random.RandomState(seed).choice(len(words), n_changes, replace=False).tolist())
    return [f"other{seed}x{i}" if i in places else word for i, word in enumerate(words)]


def corpus(n: int = 40) -> dict[str, str]:
    """Documents of which every fourth has copies of several strengths, chains of them among these."""
    texts = {}
    for i in range(n):
        words = prose(i)
        texts[f"doc{i}"] = " ".join(words)
        if i % 4 == 0:
            texts[f"copy{i}"] = " ".join(words)
            for j in range(3):
                words = changed(words, 2, seed=100 * i + j)
                texts[f"near{i}-{j}"] = " ".join(words)
    return texts


def write(path: Path, texts: Texts, **columns: Sequence[Any]) -> Path:
    table = {"id": list(texts), "text": list(texts.values()), **columns}
    pq.write_table(pa.table(table), path, row_group_size=7)
    return path


def run(*paths: Path, output: Path, **options: Any) -> dict[str, list[Any]]:
    """The rows of kept and duplicates."""
    status, _ = dedup_files(Request([str(path) for path in paths], output, workers=0, **options))
    assert status == 0
    return {name: pq.read_table(output / f"{name}.parquet").to_pylist() for name in ("kept", "duplicates")}


def ids(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [row["source_id"] for row in rows]


def test_a_process_loads_neither_filters_nor_what_others_only_ask_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", corpus(8))
    code = (
        "import sys\n"
        f"sys.argv = ['datassay', 'dedup', {str(path)!r}, '-o', {str(tmp_path / 'out')!r}, '--workers', '0']\n"
        "from datassay.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "print(sorted({'pandas', 'duckdb', 'datassay.filters.presets'} & sys.modules.keys()))\n"
        "import pandas"  # once it is over it is there as ever
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (tmp_path / "out" / "kept.parquet").exists()
    assert ended.stdout.splitlines()[-1] == "[]"


def test_every_document_stays_or_has_one_that_stays_for_it(tmp_path: Path) -> None:
    texts = {**corpus(), "twin0": "the same words here", "twin1": "the same words here"}
    found = run(write(tmp_path / "a.parquet", texts), output=tmp_path / "run")
    assert sorted(ids(found["kept"]) + ids(found["duplicates"])) == sorted(texts)
    kept = {row["id"]: row for row in found["kept"]}
    for row in found["duplicates"]:
        stays = kept[row["kept_for"]]
        assert row["kept_file"] == "a.parquet"
        assert (row["kept_row"], row["kept_source_id"]) == (stays["row"], stays["source_id"])
        assert texts[list(texts)[row["row"]]] == texts[row["source_id"]]
    assert {row["kind"] for row in found["duplicates"]} == {"exact", "near"}
    assert len(found["kept"]) == 41  # a chain of copies is one cluster


def test_the_choice_between_copies(tmp_path: Path) -> None:
    texts = {"short": "one two three four five six", "long": "one, two, three, four, five, six!"}
    scores = {"score": [0.9, 0.1], "day": ["2020-01-02", "2020-01-01"]}
    path = write(tmp_path / "a.parquet", texts, **scores)

    def kept(number: int, **options: Any) -> list[str]:
        return ids(run(path, output=tmp_path / str(number), **options)["kept"])

    assert kept(0) == ["long"]
    assert kept(1, fields={"quality": "score"}) == ["short"]
    assert kept(2, fields={"date": "day"}, keep_by=("date",)) == ["long"]
    other = write(tmp_path / "b.parquet", {"elsewhere": "one two three four five six."})
    by_source = {"keep_by": ("source",), "source_priority": ("b.*", "a.*")}
    found = run(path, other, output=tmp_path / "3", **by_source)
    assert ids(found["kept"]) == ["elsewhere"]


def test_other_formats_are_read_as_a_run_reads_them(tmp_path: Path) -> None:
    texts = corpus(8)
    lines = "".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in texts.items())
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress((lines + "{broken\n").encode()))
    parquet = run(write(tmp_path / "a.parquet", texts), output=tmp_path / "one")
    found = run(tmp_path / "a.jsonl.gz", output=tmp_path / "two")
    _, said = dedup_files(Request([str(tmp_path / "a.jsonl.gz")], tmp_path / "two", workers=0))
    assert "\n1 records have no text or are damaged: datassay query " in said
    assert sorted(ids(found["kept"]) + ids(found["duplicates"])) == sorted(texts)
    assert len(found["kept"]) == len(parquet["kept"])
    assert [row["row"] for row in found["kept"]] == [list(texts).index(row["source_id"]) for row in found["kept"]]


def test_parts_of_a_file_give_what_the_whole_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.parquet", corpus())
    whole = run(path, output=tmp_path / "whole")
    from datassay.dedup import texts

    monkeypatch.setattr(texts.parquet_parts, "__kwdefaults__", {"text": "text", "max_bytes": 1})
    assert run(path, output=tmp_path / "parts") == whole
    assert len(list((tmp_path / "parts").glob("sign-*/_done/*"))) > 5


def test_two_workers_give_the_bytes_of_none(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{i}.parquet", dict(itertools.islice(corpus().items(), i, None, 3))) for i in range(3)]
    for workers in (0, 2):
        dedup_files(Request([str(path) for path in paths], tmp_path / f"run{workers}", workers=workers))
    for name in ("kept.parquet", "duplicates.parquet"):
        assert (tmp_path / "run0" / name).read_bytes() == (tmp_path / "run2" / name).read_bytes()


def in_batches(tmp_path: Path, order: Sequence[int], name: str, **options: Any) -> Path:
    """An index to which the files came one after the other."""
    index = tmp_path / name
    for i in order:
        path = tmp_path / f"{i}.parquet"
        against = [index] if index.exists() else []
        run(path, output=tmp_path / f"{name}-{i}", against=against, append=index, **options)
    return index


@pytest.fixture
def batches(tmp_path: Path) -> Path:
    """Four files, over which copies are spread."""
    texts = list(corpus().items())
    for i in range(4):
        write(tmp_path / f"{i}.parquet", dict(texts[i::4]))
    return tmp_path


PERMUTATIONS = [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)]


@pytest.mark.parametrize("order", PERMUTATIONS)
def test_an_index_gives_in_any_order_what_one_run_gives(batches: Path, order: Sequence[int]) -> None:
    few_bands = {"minhash": "8x4"}  # many candidates and some that fail
    whole = run(*(batches / f"{i}.parquet" for i in range(4)), output=batches / "whole", **few_bands)
    index = in_batches(batches, order, "index", **few_bands)
    for step in ("as it came", "compacted"):
        if step == "compacted":
            compact(index)
            assert len(open_index(index).shards) == 1
        keep_of_index(index, batches / "all", keep_by=("quality", "length", "date"), source_priority=())
        kept = pq.read_table(batches / "all" / "kept.parquet").to_pylist()
        duplicates = pq.read_table(batches / "all" / "duplicates.parquet").to_pylist()
        assert sorted(row["id"] for row in kept) == sorted(row["id"] for row in whole["kept"]), step
        columns = ("id", "kept_for", "cluster", "kind")
        found = sorted(tuple(row[name] for name in columns) for row in duplicates)
        assert found == sorted(tuple(row[name] for name in columns) for row in whole["duplicates"]), step


def test_new_documents_are_copies_of_old_ones_that_are_named(batches: Path) -> None:
    index = in_batches(batches, [0], "index")
    found = run(batches / "1.parquet", output=batches / "new", against=[index])
    of_old = [row for row in found["duplicates"] if row["kept_file"] == "0.parquet"]
    assert of_old
    old = pq.read_table(batches / "0.parquet")
    for row in of_old:
        assert row["kept_source_id"] == old["id"][row["kept_row"]].as_py()
    assert set(ids(found["kept"])) | set(ids(found["duplicates"])) == set(
        pq.read_table(batches / "1.parquet")["id"].to_pylist()
    )


def test_without_self_only_old_documents_are_compared_with(tmp_path: Path) -> None:
    one, two = " ".join(prose(1)), " ".join(prose(2))
    index = tmp_path / "index"
    run(write(tmp_path / "old.parquet", {"old": one}), output=tmp_path / "first", append=index)
    new = write(tmp_path / "new.parquet", {"a": one, "b": f"{one} more", "c": two, "d": two, "e": f"{two} more"})
    both = run(new, output=tmp_path / "both", against=[index])
    assert ids(both["kept"]) == ["e"]  # the longest of its cluster
    alone = run(new, output=tmp_path / "alone", against=[index], among_new=False)
    assert ids(alone["kept"]) == ["c", "d", "e"]
    assert [(row["source_id"], row["kind"]) for row in alone["duplicates"]] == [("a", "exact"), ("b", "near")]


def test_several_indexes(tmp_path: Path) -> None:
    texts = [" ".join(prose(i)) for i in range(3)]
    for i in range(2):
        run(
            write(tmp_path / f"{i}.parquet", {f"old{i}": texts[i]}),
            output=tmp_path / f"r{i}",
            append=tmp_path / f"ix{i}",
        )
    new = write(tmp_path / "new.parquet", {str(i): text for i, text in enumerate(texts)})
    found = run(new, output=tmp_path / "new", against=[tmp_path / "ix0", tmp_path / "ix1"])
    assert [row["kept_source_id"] for row in found["duplicates"]] == ["old0", "old1"]
    assert ids(found["kept"]) == ["2"]


def test_a_text_that_two_indexes_have(tmp_path: Path) -> None:
    """One of them stands for the new copy, and nothing is said of the old ones, which are no documents of this run."""
    text = " ".join(prose(1))
    for i in range(2):
        run(
            write(tmp_path / f"{i}.parquet", {f"old{i}": text, f"other{i}": f"{i} words of its own"}),
            output=tmp_path / f"r{i}",
            append=tmp_path / f"ix{i}",
        )
    new = write(tmp_path / "new.parquet", {"new": text, "twin": text, "near": f"{text} more"})
    found = run(new, output=tmp_path / "new", against=[tmp_path / "ix0", tmp_path / "ix1"])
    assert sorted(ids(found["duplicates"])) == ["near", "new", "twin"]
    (kept_for,) = {row["kept_for"] for row in found["duplicates"] if row["kind"] == "exact"}
    (pairs,) = (tmp_path / "new").glob("exact-*/pairs/*.parquet")
    assert {frozenset(pair.values()) for pair in pq.read_table(pairs, columns=["a", "b"]).to_pylist()} == {
        frozenset({row["id"], kept_for}) for row in found["duplicates"] if row["kind"] == "exact"
    }
    manifest = json.loads((tmp_path / "new" / "manifest.json").read_text())
    assert manifest["stages"]["exact"]["counts"]["exact_pairs"] == 2


def test_what_would_leave_an_index_incomplete_is_refused(batches: Path) -> None:
    index, other = in_batches(batches, [0], "index"), in_batches(batches, [1], "other")
    before = (index / "index.json").read_bytes()
    more = batches / "2.parquet"
    with pytest.raises(RecipeError, match=r"2\.parquet: .*does not have this file, .*give --against .*index, too"):
        run(more, output=batches / "run", append=index)
    with pytest.raises(RecipeError, match=r"compared with .*other cannot go into .*index, .*a run of its own"):
        run(more, output=batches / "run", append=index, against=[index, other])
    with pytest.raises(RecipeError, match="leave --no-self out, or --append"):
        run(more, output=batches / "run", append=index, against=[index], among_new=False)
    with pytest.raises(RecipeError, match="an index has a folder of its own; give another --output"):
        run(more, output=index, append=index, against=[index])
    assert (index / "index.json").read_bytes() == before


def test_an_index_under_another_name_is_the_same_index(batches: Path) -> None:
    index = in_batches(batches, [0], "index")
    other_name = batches / "elsewhere" / ".." / "index"
    (batches / "elsewhere").mkdir()
    run(batches / "1.parquet", output=batches / "run", against=[other_name], append=index)
    assert len(open_index(index).shards) == 2


def test_two_appends_at_once_are_one_after_the_other(batches: Path) -> None:
    from datassay.cli.session import locked

    index = in_batches(batches, [0], "index")
    with locked(index, is_index=True), pytest.raises(LockedError, match="another process works on this index; wait"):
        run(batches / "1.parquet", output=batches / "run", against=[index], append=index)


def test_signatures_of_an_index_are_datasketchs(tmp_path: Path) -> None:
    texts = {"a": "one two three four five six seven", "b": "!", "c": "one two three four five six eight"}
    run(write(tmp_path / "a.parquet", texts), output=tmp_path / "run", append=tmp_path / "index")
    index = open_index(tmp_path / "index")
    folder = tmp_path / "index" / index.shards[0].folder
    sketches = {}
    for signed, sets in zip(*(read_partition(folder / f"{n}.arrow", 0) for n in ("signatures", "sets")), strict=True):
        for row, signature, shingles in zip(signed["row"], signed["signature"], sets["shingles"], strict=True):
            values = np.array(signature.as_py(), np.uint32)
            sketch = Sketch(num_perm=256, seed=index.header.seed, scheme="affine32", hashvalues=values)
            made = Sketch(num_perm=256, seed=index.header.seed, scheme="affine32", hashfunc=int)
            made.update_batch(shingles.as_py())
            assert sketch.jaccard(made) == 1
            sketches[row.as_py()] = sketch
    assert list(sketches) == [0, 2]
    assert sketches[0].jaccard(sketches[2]) == pytest.approx(2 / 4, abs=0.15)


def test_the_same_append_again_changes_nothing(batches: Path) -> None:
    index = in_batches(batches, [0, 1], "index")
    before = (index / "index.json").read_bytes()
    run(batches / "0.parquet", output=batches / "index-0", append=index)
    assert (index / "index.json").read_bytes() == before


def test_another_batch_may_have_files_of_the_same_name(tmp_path: Path) -> None:
    index = tmp_path / "index"
    for day in ("monday", "tuesday"):
        (tmp_path / day).mkdir()
        path = write(tmp_path / day / "data.parquet", {day: " ".join(prose(1)) + day})
        options = {"batch": day, "append": index, "against": [index] if index.exists() else []}
        found = run(path, output=tmp_path / f"run-{day}", **options)
    assert [(row["file"], row["kept_file"]) for row in found["duplicates"]] == [
        ("tuesday/data.parquet", "monday/data.parquet")
    ]
    with pytest.raises(RecipeError, match="has this file already; leave it out"):
        run(path, output=tmp_path / "again", batch="tuesday", against=[index])
    with pytest.raises(RecipeError, match=r"another file of the name .monday/data\.parquet.; tell batches apart"):
        run(path, output=tmp_path / "again", batch="monday", against=[index])


def test_a_file_that_is_appended_without_being_compared_has_a_name_of_its_own(tmp_path: Path) -> None:
    index = tmp_path / "index"
    path = write(tmp_path / "data.parquet", {"a": "one two"}, score=[1.0])
    for _ in range(2):  # the first batch makes the index
        run(path, output=tmp_path / "run", append=index)
    with pytest.raises(RecipeError, match=r"has data\.parquet already; leave it out"):
        run(path, output=tmp_path / "scored", append=index, fields={"quality": "score"})
    write(path, {"a": "something else"})
    with pytest.raises(RecipeError, match=r"another file of the name .data\.parquet."):
        run(path, output=tmp_path / "run", append=index)
    assert open_index(index).n_documents == 1


def test_the_same_command_makes_an_index_and_adds_to_it(batches: Path) -> None:
    index = batches / "index"
    for i in range(2):
        run(batches / f"{i}.parquet", output=batches / f"run{i}", against=[index], append=index)
    assert len(open_index(index).shards) == 2


def test_an_index_decides_what_it_is_made_with(batches: Path) -> None:
    index = in_batches(batches, [0], "index", minhash="fineweb")
    found = run(batches / "1.parquet", output=batches / "new", against=[index])
    manifest = json.loads((batches / "new" / "manifest.json").read_text())
    assert manifest["recipe"]["dedup"]["minhash"]["bands"] == 14
    assert found["duplicates"]
    with pytest.raises(RecipeError, match=r"made with bands 14 \(asked for: 32\); leave those options out"):
        run(batches / "1.parquet", output=batches / "new", against=[index], minhash="datassay")
    with pytest.raises(RecipeError, match=r"min_jaccard 0.75 \(asked for: 0.9\)"):
        run(batches / "1.parquet", output=batches / "new", append=index, min_jaccard=0.9)
    assert run(batches / "1.parquet", output=batches / "new", against=[index], min_jaccard=0.9)["kept"]
    text = (index / "index.json").read_text()
    (index / "index.json").write_text(text.replace('"shingling": ', '"shingling": 9'))
    with pytest.raises(RecipeError, match="shingling 9"):
        run(batches / "1.parquet", output=batches / "new", against=[index])
    (index / "index.json").write_text(text.replace('"format": 1', '"format": 7'))
    with pytest.raises(StoreError, match="an index of format 7, this datassay reads format 1; build it anew"):
        open_index(index)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"minhash": "finweb"}, RecipeError, "no preset 'finweb'.*did you mean 'fineweb'"),
        (
            {"fields": {"text": "body"}},
            InputError,
            "no column 'body', only id, text, n; name it with --text",
        ),
        ({"fields": {"text": "n"}}, InputError, "column 'n' holds int64, not text"),
        ({"fields": {"quality": "score"}}, InputError, "no column 'score' for --quality"),
        ({"near": False, "exact": False}, RecipeError, "leave nothing to look for"),
        ({"among_new": False}, RecipeError, "name one with --against"),
        ({"near": False, "append": Path("ix")}, RecipeError, "an index holds exact and near"),
        ({"against": [Path("nowhere")]}, StoreError, "nowhere: no index here"),
        ({"keep_by": ("size",)}, RecipeError, "keep_by.0: Input should be 'quality'"),
        ({"min_jaccard": 1.5}, RecipeError, "min_jaccard: Input should be less than or equal to 1"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str) -> None:
    path = write(tmp_path / "a.parquet", {"a": "text"}, n=[1])
    with pytest.raises(error, match=message):
        run(path, output=tmp_path / "run", **options)


def test_bytes_that_are_no_text_are_named_with_their_place(tmp_path: Path) -> None:
    texts = pa.array([b"good", b"more", b"bad \xff\xfe", b"good"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", row_group_size=2)
    with pytest.raises(InputError, match=r"a.parquet: row 0 and after: .*UTF8 sequence at string index 2"):
        run(tmp_path / "a.parquet", output=tmp_path / "run")


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_texts_of_any_type_of_string(tmp_path: Path, kind: pa.DataType) -> None:
    pq.write_table(
        pa.table({"text": pa.array(["same words", "others", "same words"]).cast(kind)}), tmp_path / "a.parquet"
    )
    assert len(run(tmp_path / "a.parquet", output=tmp_path / "run")["duplicates"]) == 1


def test_a_missing_text_is_an_empty_one(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["same words", None, "same words", None, ""]}), tmp_path / "a.parquet")
    found = run(tmp_path / "a.parquet", output=tmp_path / "run")
    assert [row["row"] for row in found["kept"]] == sorted({0, 1, 2, 3, 4} - {found["duplicates"][0]["row"]})


@pytest.mark.parametrize("texts", [{}, {"a": ""}, {"a": "one"}])
def test_nothing_to_compare(tmp_path: Path, texts: Texts) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": pa.array(list(texts.values()), pa.string())}), path)
    found = run(path, output=tmp_path / "run", append=tmp_path / "index")
    assert len(found["kept"]) == len(texts)
    assert not found["duplicates"]
    keep_of_index(tmp_path / "index", tmp_path / "all", keep_by=("length",), source_priority=())
    assert pq.read_metadata(tmp_path / "all" / "kept.parquet").num_rows == len(texts)


@pytest.fixture
def cli() -> Callable[..., str]:
    def call(*arguments: object, status: int = 0) -> str:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == status, result.output
        return result.stdout

    return call


def test_the_commands_say_what_came_out(batches: Path, cli: Callable[..., str]) -> None:
    out, index = batches / "out", batches / "index"
    said = cli("dedup", batches / "*.parquet", "-o", out, "--append", index, "--workers", 0, "--batch", "b0")
    n = len(corpus())
    assert f"{n} documents: " in said
    assert f"index {index}: {n} documents in 4 shards" in said
    said = cli("index", "info", index)
    assert "seed 1, bands 32, rows 8" in said
    assert f"  b0: {n} documents" in said
    assert "4 shards are 1" in cli("index", "compact", index)
    assert f"{n} documents: " in cli("index", "keep", index, "-o", batches / "all")
    said = cli("query", out, "SELECT count(*) AS n FROM pairs JOIN copies ON id IN (a, b)", "--csv")
    assert int(said.splitlines()[1]) > 0


def test_a_locked_folder_is_left_alone(batches: Path) -> None:
    from datassay.cli.session import locked

    with locked(batches / "out"), pytest.raises(LockedError, match="another process works on this run"):
        run(batches / "0.parquet", output=batches / "out")


STAGES = ("sign", "exact", "candidates", "attach", "verify", "keep", "remember")


def files_of(folder: Path) -> dict[str, bytes]:
    """Everything that a run or an index wrote, but for what remembers times and places."""
    left_out = {"manifest.json", "inputs.json", ".lock"}
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name not in left_out)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def a_worker_of(process: subprocess.Popen[str]) -> int:
    """As soon as it has one: a child of the process that it starts to fork workers from."""
    while process.poll() is None:
        for server in children(process.pid):
            if b"forkserver" in Path(f"/proc/{server}/cmdline").read_bytes() and (workers := children(server)):
                return max(workers)
        time.sleep(0.01)
    raise AssertionError("it ended before it had a worker")


def children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in threads for child in path.read_text().split()]


def test_a_run_killed_after_every_stage_ends_as_one_that_was_not(batches: Path) -> None:
    """The process is killed when a stage is done and the next is under way, then started again, and so on to the end;
    in between a worker is killed, too."""

    def start(output: Path, index: Path) -> subprocess.Popen[str]:
        arguments = ["dedup", str(batches / "?.parquet"), "-o", str(output), "--append", str(index), "--batch", "b"]
        command = [sys.executable, "-m", "datassay", *arguments, "--workers", "2"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    calm = start(batches / "calm", batches / "calm.index")
    calm.communicate(timeout=600)
    assert calm.returncode == 0
    for stage in STAGES:
        with start(batches / "killed", batches / "killed.index") as process:
            assert process.stderr is not None
            for line in process.stderr:
                if stage == "attach" and line.startswith("candidates "):
                    os.kill(a_worker_of(process), signal.SIGKILL)
                if line.startswith(f"{stage} "):
                    process.kill()
                    break
        assert process.returncode == -signal.SIGKILL, stage
    last = start(batches / "killed", batches / "killed.index")
    last.communicate(timeout=600)
    assert last.returncode == 0
    assert files_of(batches / "killed") == files_of(batches / "calm")
    assert files_of(batches / "killed.index") == files_of(batches / "calm.index")

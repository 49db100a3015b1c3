"""Repeated lines, paragraphs and stretches of words through all stages: found and cut as a dictionary says."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.corpus.edits import EDIT, edited
from datassay.corpus.engine import Engine, InlineEngine, Inputs, LocalEngine, Task, run_task
from datassay.corpus.stage import StageOutput, run_stage
from datassay.corpus.store import Outputs
from datassay.dedup import repeats_plan
from datassay.dedup.repeats_plan import plan_stage, stage_names
from datassay.dedup.repeats_settings import RepeatedLines, RepeatedParagraphs, RepeatedSubstrings, RepeatsSettings
from datassay.dedup.substrings import gram_words, select_anchors

Shard = Mapping[str, str]
"""Id to text."""
Rows = Sequence[Mapping[str, object]]

SCHEMAS = {
    "clean": pa.schema([("id", pa.string()), ("text", pa.large_string())]),
    "decisions": pa.schema([("id", pa.string()), ("keep", pa.bool_())]),
    "split": pa.schema([("id", pa.string()), ("role", pa.string())]),
    "edits": EDIT,
}


def write_shard(inputs: Inputs, settings: tuple[str, Rows], out: Outputs) -> None:  # noqa: ARG001
    dataset, rows = settings
    with out.parquet(dataset, SCHEMAS[dataset]) as shard:
        shard.write_rows(rows)


def write_partitions(inputs: Inputs, settings: tuple[str, Sequence[Rows]], out: Outputs) -> None:  # noqa: ARG001
    dataset, shards = settings
    for i, rows in enumerate(shards):
        with out.parquet(dataset, SCHEMAS[dataset], partition=i) as shard:
            shard.write_rows(rows)


class Corpus:
    """Some shards, and the stages that are finished for them."""

    def __init__(self, folder: Path, *shards: Shard) -> None:
        self.folder, self.shards = folder, shards
        self.finished: dict[str, StageOutput] = {}

    def cut(
        self,
        settings: RepeatsSettings,
        *,
        dropped: Sequence[str] = (),
        held_out: Sequence[str] = (),
        reference: Sequence[str] = (),
        given: Sequence[Rows] = (),
        engine: Engine | None = None,
    ) -> dict[str, str]:
        """Every document after its edits, which are the cuts and those given of each shard."""
        ids = [list(shard) for shard in self.shards]
        self._write("clean", "clean", [[{"id": i, "text": t} for i, t in shard.items()] for shard in self.shards])
        keep = [[{"id": id, "keep": id not in (*dropped, *held_out, *reference)} for id in shard] for shard in ids]
        role = {**dict.fromkeys(held_out, "validation"), **dict.fromkeys(reference, "reference")}
        roles = [[{"id": id, "role": role.get(id, "train")} for id in shard] for shard in ids]
        self._partition("decide", "decisions", keep)
        self._partition("split", "split", roles)
        if given:
            self._write("edit", "edits", given)
        for name in stage_names(settings):
            plan = plan_stage(name, settings, self.finished, edits_of="edit" if given else None)
            self.finished[name] = run_stage(plan, self.finished, self.folder, engine or InlineEngine())
        return self._after()

    def _write(self, name: str, dataset: str, shards: Sequence[Rows]) -> None:
        tasks = [
            Task(write_shard, Inputs({}), (dataset, rows), self.folder / name, i, f"{i}")
            for i, rows in enumerate(shards)
        ]
        self.finished[name] = StageOutput(name, self.folder / name, tuple(run_task(task) for task in tasks))

    def _partition(self, name: str, dataset: str, shards: Sequence[Rows]) -> None:
        task = Task(write_partitions, Inputs({}), (dataset, shards), self.folder / name, 0, name)
        self.finished[name] = StageOutput(name, self.folder / name, (run_task(task),))

    def rows(self, dataset: str) -> list[dict[str, Any]]:
        """What the last stage wrote."""
        paths = self.finished["cut_repeats"].paths(dataset)
        return [row for path in paths for row in pq.read_table(path).to_pylist()]

    def _after(self) -> dict[str, str]:
        spans = defaultdict(list)
        for row in self.rows("edits"):
            spans[row["id"]].append((row["start"], row["end"], row["replacement"]))
        return {id: edited(text, spans[id]) for shard in self.shards for id, text in shard.items()}

    def counts(self, stage: str) -> Mapping[str, int]:
        return self.finished[stage].counts

    def contents(self) -> dict[str, str]:
        """The hash of every file of every stage."""
        return {
            f"{name}/{file.name}": file.content
            for name, stage in self.finished.items()
            for done in stage.done
            for file in done.files
        }


MakeCorpus = Callable[..., Corpus]


@pytest.fixture
def corpus(tmp_path: Path) -> MakeCorpus:
    """Makes a corpus of shards, each in a folder of its own."""
    made: list[Corpus] = []

    def make(*shards: Shard) -> Corpus:
        made.append(Corpus(tmp_path / f"run{len(made)}", *shards))
        return made[-1]

    return make


def exact(min_tokens: int, keep: int = 1) -> RepeatsSettings:
    """Substrings cut word by word."""
    return RepeatsSettings(
        substrings=RepeatedSubstrings(min_tokens=min_tokens, keep=keep, fragment=0), min_chars_left=0
    )


def lines(keep: int = 1, min_chars: int = 1) -> RepeatsSettings:
    return RepeatsSettings(lines=RepeatedLines(keep=keep, min_chars=min_chars), min_chars_left=0)


def words_of(text: str) -> list[str]:
    """ASCII words, and single characters of Han and Thai with the marks that follow them."""
    thai = r"[\u0e00-\u0e30\u0e32\u0e33\u0e40-\u0e46][\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]*"
    return re.findall(rf"[a-z0-9]+|[\u4e00-\u9fff]|{thai}", text.lower())


def words_left(
    shards: Sequence[Shard], n: int, *, keep: int = 1, dropped: Sequence[str] = (), held_out: Sequence[str] = ()
) -> dict[str, list[str]]:
    """What each document is left with: every run of n words of every document, in a dictionary."""
    words = {id: words_of(text) for shard in shards for id, text in shard.items()}
    places = defaultdict(list)
    for order, (id, found) in enumerate(words.items()):
        rank = 0 if id in held_out else 2 if id in dropped else 1
        for i in range(len(found) - n + 1):
            places[tuple(found[i : i + n])].append((rank, order, i, id))
    gone: dict[str, set[int]] = {id: set() for id in words}
    for window in places.values():
        window.sort()
        n_stay = sum(rank == 0 for rank, *_ in window) or keep
        for _, _, i, id in window[n_stay:]:
            end = max((j + n for _, _, j, other in window[:n_stay] if other == id), default=0)
            gone[id] |= set(range(max(i, end), i + n))
    return {id: [word for i, word in enumerate(found) if i not in gone[id]] for id, found in words.items()}


def random_documents(seed: int, n_words: int, n_documents: int = 24) -> dict[str, str]:
    """Random words, signs and line breaks, with stretches of one another planted in them, and words said for ever."""
    random = np.random.default_rng(seed)
    vocabulary = [*(f"w{i}" for i in range(n_words)), *"中文字符ไทยกขค", "กี่", "ที่"]
    documents: list[list[str]] = []
    for _ in range(n_documents):
        words = [vocabulary[i] for i in random.integers(0, len(vocabulary), random.integers(0, 120))]
        for _ in range(random.integers(0, 4)):
            source = documents[random.integers(len(documents))] if documents else []
            if source:
                start, length, at = (int(random.integers(high)) for high in (len(source), 60, len(words) + 1))
                words[at:at] = source[start : start + length]
        if random.random() < 0.2:
            words += ["a"] * int(random.integers(0, 70))
        documents.append(words)
    texts = {}
    for number, words in enumerate(documents):
        signs = random.choice([" ", ", ", "\n", ".\n\n", " – ", "。"], len(words)).tolist()
        texts[f"d{number:02d}"] = "".join(word + sign for word, sign in zip(words, signs, strict=True)).strip()
    return texts


def in_shards(documents: Mapping[str, str], n: int) -> list[dict[str, str]]:
    """The documents in order, in so many shards."""
    rows = list(documents.items())
    return [dict(rows[i * len(rows) // n : (i + 1) * len(rows) // n]) for i in range(n)]


@pytest.mark.parametrize("seed", range(12))
def test_what_is_left_is_what_a_dictionary_of_all_windows_leaves(corpus: MakeCorpus, seed: int) -> None:
    documents = random_documents(seed, n_words=[40, 4][seed % 2])
    shards = in_shards(documents, 1 + seed % 4)
    n, keep = [10, 15, 25, 50][seed % 4], 1 + seed % 3 // 2
    choice: dict[str, Any] = {"dropped": list(documents)[1::5], "held_out": list(documents)[seed % 2 :: 7]}
    after = corpus(*shards).cut(exact(n, keep), **choice)
    expected = words_left(shards, n, keep=keep, **choice)
    assert {id: words_of(text) for id, text in after.items()} == expected
    assert expected != {id: words_of(text) for id, text in documents.items()}  # there was something to cut


def sentence(seed: int, n_words: int) -> str:
    """So many words of which no two documents of other seeds share ten in a row."""
    return " ".join(f"w{i}" for i in np.random.default_rng(seed).integers(0, 10_000, n_words))


@pytest.mark.parametrize(("n_common", "is_cut"), [(49, False), (50, True), (51, True)])
def test_fifty_words_are_a_repeat_and_forty_nine_are_none(corpus: MakeCorpus, n_common: int, is_cut: bool) -> None:
    common = sentence(1, n_common)
    a, b = f"{sentence(2, 30)} {common} {sentence(3, 30)}", f"{sentence(4, 30)} {common} {sentence(5, 30)}"
    after = corpus({"a": a}, {"b": b}).cut(exact(50))
    assert after == {"a": a, "b": f"{sentence(4, 30)} {sentence(5, 30)}" if is_cut else b}


@pytest.mark.parametrize(("n_common", "is_cut"), [(49, False), (50, True)])
def test_a_character_is_a_word_where_there_are_no_spaces(corpus: MakeCorpus, n_common: int, is_cut: bool) -> None:
    """Fifty different characters, Han without a space, Thai with vowel signs that stay on their letters."""
    han = "".join(chr(0x4E00 + 7 * i) for i in range(n_common))
    thai = "".join(chr(0x0E01 + i % 40) + "\u0e34" * (1 + i % 2 // 2) for i in range(n_common))
    shards = [{"a": f"甲{han}乙", "c": f"ฯ {thai} ฯ"}, {"b": f"丙，{han}。丁", "d": f"ๆๆ {thai} ๆๆ"}]
    after = corpus(*shards).cut(exact(50))
    assert [after["a"], after["c"]] == [shards[0]["a"], shards[0]["c"]]
    assert [after["b"], after["d"]] == (["丙，丁", "ๆๆ ๆๆ"] if is_cut else [shards[1]["b"], shards[1]["d"]])


@pytest.mark.parametrize(
    ("text", "keep", "left"),
    [
        ("a " * 49, 1, "a " * 49),
        ("a " * 50, 1, "a " * 50),
        ("a " * 51, 1, "a " * 50),
        ("a " * 1000, 1, "a " * 50),
        ("a " * 1000, 2, "a " * 51),  # the first two windows, which begin at the first two words
        ("a b c " * 300, 1, "a b c " * 16 + "a b "),
        (f"{'a ' * 60}x {'a ' * 60}", 1, f"{'a ' * 50}x "),  # of the second run each window is the first one again
    ],
)
def test_words_said_for_ever_are_left_once(corpus: MakeCorpus, text: str, keep: int, left: str) -> None:
    """Every window is a repeat of one that it overlaps: the loop ends, and the first stays."""
    assert corpus({"a": text.strip()}).cut(exact(50, keep)) == {"a": left.strip()}


STRETCH = sentence(7, 60)
WHO_LOSES_IT = [
    ({}, 1, "bcde"),
    ({}, 2, "cde"),
    ({}, 5, ""),
    ({"dropped": "a"}, 1, "acde"),  # the first copy is nowhere to be read: the next one stays
    ({"dropped": "ab"}, 2, "abe"),
    ({"dropped": "abcde"}, 1, "bcde"),
    ({"held_out": "d"}, 1, "abce"),
    ({"held_out": "d"}, 3, "abce"),  # validation text is in no training text, however many may stay
    ({"held_out": "de", "dropped": "a"}, 1, "abc"),
]


@pytest.mark.parametrize(("choice", "keep", "losers"), WHO_LOSES_IT)
@pytest.mark.parametrize("kind", ["lines", "paragraphs", "substrings"])
def test_who_loses_a_repeat(corpus: MakeCorpus, kind: str, choice: dict[str, str], keep: int, losers: str) -> None:
    documents = {
        name: f"{name}1 {name}2 {name}3 {name}4 {name}5\n\n{STRETCH}\n\n{name}6 {name}7 {name}8" for name in "abcde"
    }
    settings = {
        "lines": RepeatsSettings(lines=RepeatedLines(keep=keep)),
        "paragraphs": RepeatsSettings(paragraphs=RepeatedParagraphs(keep=keep)),
        "substrings": RepeatsSettings(substrings=RepeatedSubstrings(keep=keep)),
    }[kind]
    run = corpus(*in_shards(documents, 3))
    after = run.cut(settings, **{name: tuple(ids) for name, ids in choice.items()})
    assert "".join(name for name in documents if STRETCH not in after[name]) == losers
    for name in losers:
        assert after[name] == documents[name].replace(f"{STRETCH}\n\n", "")
    assert {row["rule"] for row in run.rows("edits")} == ({f"dedup/{kind[:-1]}"} if losers else set())
    if losers:
        (found,) = {(row["kind"], row["n_places"], row["hash"]) for row in run.rows("repeats")}
        assert found[:2] == (kind[:-1], 5)
        assert [row["id"] for row in run.rows("repeats")] == list(losers)
        assert all(STRETCH.startswith(row["excerpt"].strip()) for row in run.rows("repeats"))


def test_reference_texts_have_no_part(corpus: MakeCorpus) -> None:
    """They count for nothing, lose nothing, and nothing is cut because they have it."""
    run = corpus({"r": f"{STRETCH}\n{STRETCH}", "s": STRETCH}, {"a": STRETCH, "b": f"x\n{STRETCH}", "c": "only here"})
    after = run.cut(RepeatsSettings(lines=RepeatedLines(), min_chars_left=0), reference=["r", "s"])
    assert after == {"r": f"{STRETCH}\n{STRETCH}", "s": STRETCH, "a": STRETCH, "b": "x", "c": "only here"}
    assert [(row["id"], row["n_places"]) for row in run.rows("repeats")] == [("b", 2)]


def test_lines_are_those_that_a_dictionary_of_lines_leaves(corpus: MakeCorpus) -> None:
    """Random lines of a small vocabulary, with other case, digits and signs; the first of each stays."""
    random = np.random.default_rng(5)
    documents = {}
    for name in range(20):
        rows = []
        for _ in range(random.integers(0, 12)):
            words = [f"Wort{i}" for i in random.integers(0, 3, random.integers(1, 4))]
            rows.append(random.choice([" ", ", "]).join(words) + random.choice(["", ".", "!"]))
        documents[f"d{name:02d}"] = "\n".join(row.upper() if random.random() < 0.3 else row for row in rows)
    seen: Counter[str] = Counter()
    expected = {}
    for name, text in documents.items():
        left = []
        for row in text.split("\n"):
            normal = re.sub(r"\d", "0", re.sub("[,.!]", "", row.lower()))
            seen[normal] += 1
            if seen[normal] <= 2 or len(normal) < 10:
                left.append(row)
        expected[name] = "\n".join(left)
    run = corpus(*in_shards(documents, 3))
    assert run.cut(lines(keep=2, min_chars=10)) == expected
    assert run.counts("repeated_units")["places lines"] == sum(n for row, n in seen.items() if n > 1 and len(row) >= 10)


def test_a_repeat_within_a_document_counts(corpus: MakeCorpus) -> None:
    chorus = "and this is the chorus of the song"
    assert corpus({"a": f"one\n{chorus}\ntwo\n{chorus}\nthree"}).cut(lines()) == {"a": f"one\n{chorus}\ntwo\nthree"}


ALL = RepeatsSettings(
    lines=RepeatedLines(min_chars=5), paragraphs=RepeatedParagraphs(), substrings=RepeatedSubstrings(min_tokens=12)
)


def edits_of(run: Corpus) -> list[tuple[object, ...]]:
    return sorted(tuple(row.values()) for row in run.rows("edits"))


def test_edits_do_not_depend_on_shards_or_partitions(corpus: MakeCorpus, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = random_documents(3, n_words=30)
    runs = [corpus(*in_shards(documents, n)) for n in (1, 3, 24)]
    for run in runs:
        run.cut(ALL)
    monkeypatch.setattr(repeats_plan, "TEXT_PARTITION_BYTES", 1 << 10)
    monkeypatch.setattr(repeats_plan, "WINDOW_PARTITION_ROWS", 1 << 7)
    runs.append(corpus(*in_shards(documents, 3)))
    runs[-1].cut(ALL)
    assert len(runs[-1].finished["choose_units"].done) > 4
    assert len(runs[-1].finished["choose_windows"].done) > 4
    assert {rule for *_, rule, _ in edits_of(runs[0])} >= {"dedup/line", "dedup/substring"}
    assert [edits_of(run) for run in runs] == [edits_of(runs[0])] * 4


def test_one_worker_writes_the_bytes_of_two(corpus: MakeCorpus) -> None:
    shards = in_shards(random_documents(4, n_words=30), 3)
    with LocalEngine(2) as engine:
        one, two = corpus(*shards), corpus(*shards)
        one.cut(ALL)
        two.cut(ALL, engine=engine)
    assert one.contents() == two.contents()


def test_another_decision_hashes_nothing_anew(corpus: MakeCorpus) -> None:
    run = corpus(*in_shards(random_documents(4, n_words=30), 3))
    first = run.cut(ALL)
    before = dict(run.finished)
    assert run.cut(ALL, dropped=["d00", "d01", "d02"]) != first
    same = {name for name in stage_names(ALL) if run.finished[name].folder == before[name].folder}
    assert same == set(stage_names(ALL)) - {"choose_units", "choose_windows", "cut_repeats"}


@pytest.mark.parametrize(
    "shards", [[{}], [{"a": ""}, {}], [{"a": "one line\n\n***"}], [{"a": "", "b": ""}, {"c": "。"}]]
)
def test_nothing_repeats(corpus: MakeCorpus, shards: list[dict[str, str]]) -> None:
    run = corpus(*shards)
    assert run.cut(ALL) == {id: text for shard in shards for id, text in shard.items()}
    assert run.rows("edits") == run.rows("repeats") == []


@pytest.mark.parametrize(("min_chars", "is_left"), [(20, True), (21, False)])
def test_a_short_rest_goes_too(corpus: MakeCorpus, min_chars: int, is_left: bool) -> None:
    """20 characters are left of b, with the line break."""
    repeated = "this line stands in both of the documents"
    settings = RepeatsSettings(lines=RepeatedLines(), min_chars_left=min_chars)
    rest = "just some more text."
    run = corpus({"a": repeated, "short": "as short as it was"}, {"b": f"{repeated}\n{rest}"})
    assert run.cut(settings) == {"a": repeated, "short": "as short as it was", "b": rest if is_left else ""}
    assert run.counts("cut_repeats")["rests"] == (not is_left)
    (edit,) = run.rows("edits")
    assert edit["rule"] == ("dedup/line" if is_left else "dedup/rest")


def test_edits_found_before_are_merged(corpus: MakeCorpus) -> None:
    """One lies in a line that goes and goes with it; others, of a document that is cut and of one that is not, stay."""
    repeated = "write to me@example.org or to no one at all"
    edit = {"rule": "pii/email", "replacement": "MAIL"}
    shards = [{"a": repeated}, {"b": f"x@y.zz says\n{repeated}"}]
    given = [
        [{"id": "a", "start": 9, "end": 23, **edit}],
        [{"id": "b", "start": 0, "end": 6, **edit}, {"id": "b", "start": 21, "end": 35, **edit}],
    ]
    run = corpus(*shards)
    after = run.cut(lines(), given=given)
    assert after == {"a": "write to MAIL or to no one at all", "b": "MAIL says"}
    assert [row["rule"] for row in run.rows("edits")] == ["pii/email", "pii/email", "dedup/line"]


@pytest.mark.parametrize("min_tokens", [10, 11, 50, 101])
def test_every_window_holds_an_anchor(min_tokens: int) -> None:
    """Of random words, w = L - k + 1 grams a window: anchors lie at most w apart; 2 / (w + 1) of the grams are some."""
    n_words, w = 20_000, min_tokens - gram_words(min_tokens) + 1
    anchors, n_counted = select_anchors(pa.array([sentence(1, n_words)], pa.large_string()), min_tokens)
    assert n_counted == n_words
    gaps = np.diff(np.concatenate([[-1], anchors.places, [n_words - gram_words(min_tokens) + 1]]))
    assert gaps.min() >= 1 and gaps.max() <= w
    assert len(anchors.places) / n_words == pytest.approx(2 / (w + 1), rel=0.1)  # Schleimer et al. 2003, section 3.1


def test_real_text_against_a_dictionary(corpus: MakeCorpus, shared: Path) -> None:
    """300 documents of a raw corpus, of which a third is repeated; their words by the toolkit's own rule."""
    table = pq.read_table(shared / "corpus" / "raw-00000.parquet", columns=["id", "text"]).slice(2000, 300)
    documents = {id: " ".join(words_of(text)) for id, text in zip(*table.to_pydict().values(), strict=True)}
    shards = in_shards(documents, 2)
    after = corpus(*shards).cut(exact(50))
    expected = words_left(shards, 50)
    assert {id: words_of(text) for id, text in after.items()} == expected
    assert sum(map(len, expected.values())) < sum(len(words_of(text)) for text in documents.values())

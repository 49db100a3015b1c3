"""Repeated lines, paragraphs and stretches of words: found and cut, against all windows in a dict."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.corpus.edits import EDIT, edited
from datassay.corpus.engine import Engine, InlineEngine, Inputs, LocalEngine, Task, run_task
from datassay.corpus.stage import Each, StageOutput, run_stage
from datassay.corpus.store import Outputs
from datassay.dedup import cut, repeats_plan
from datassay.dedup.repeats_settings import RepeatedSubstrings, RepeatsSettings

Shard = Mapping[str, str]

TEXTS = pa.schema([pa.field("id", pa.string()), pa.field("text", pa.large_string())])
DECIDED = pa.schema([pa.field("id", pa.string()), pa.field("keep", pa.bool_())])
ROLES = pa.schema([pa.field("id", pa.string()), pa.field("role", pa.string())])


def write_texts(inputs: Inputs, settings: Shard, out: Outputs) -> None:  # noqa: ARG001
    with out.parquet("clean", TEXTS) as shard:
        shard.write(pa.record_batch([list(settings), list(settings.values())], schema=TEXTS))


def write_decisions(inputs: Inputs, settings: Sequence[Mapping[str, bool]], out: Outputs) -> None:  # noqa: ARG001
    for i, decided in enumerate(settings):
        with out.parquet("decisions", DECIDED, partition=i) as shard:
            shard.write(pa.record_batch([list(decided), list(decided.values())], schema=DECIDED))


def write_roles(inputs: Inputs, settings: Sequence[Mapping[str, str]], out: Outputs) -> None:  # noqa: ARG001
    for i, roles in enumerate(settings):
        with out.parquet("split", ROLES, partition=i) as shard:
            shard.write(pa.record_batch([list(roles), list(roles.values())], schema=ROLES))


def write_edits(inputs: Inputs, settings: Sequence[Mapping[str, object]], out: Outputs) -> None:  # noqa: ARG001
    with out.parquet("edits", EDIT) as shard:
        shard.write_rows(settings)


class Corpus:
    """Shards of documents, id to text, of which some are dropped or held out; the stages run over them."""

    def __init__(self, folder: Path, shards: Sequence[Shard]) -> None:
        self.folder, self.shards = folder, shards
        self.finished: dict[str, StageOutput] = {}

    def cut(
        self,
        settings: RepeatsSettings,
        *,
        dropped: Sequence[str] = (),
        held_out: Sequence[str] = (),
        given: Sequence[Sequence[Mapping[str, object]]] = (),
        engine: Engine | None = None,
    ) -> dict[str, str]:
        """Every document after its cuts."""
        shards = self.shards
        self._made("clean", write_texts, shards)
        keep = [{id: id not in dropped and id not in held_out for id in shard} for shard in shards]
        self._made("decide", write_decisions, [keep])
        roles = [{id: "validation" if id in held_out else "train" for id in shard} for shard in shards]
        self._made("split", write_roles, [roles])
        if given:
            self._made("edit", write_edits, given)
        link = Each("edit", "edits", "given") if given else None
        for name in repeats_plan.stage_names(settings):
            plan = repeats_plan.plan_stage(name, settings, self.finished, link)
            self.finished[name] = run_stage(plan, self.finished, self.folder, engine or InlineEngine())
        return self.after()

    def _made(self, name: str, function: object, settings: Sequence[object]) -> None:
        tasks = [
            Task(function, Inputs({}), value, self.folder / name, i, f"{name} {i} {value}")  # type: ignore[arg-type]
            for i, value in enumerate(settings)
        ]
        self.finished[name] = StageOutput(name, self.folder / name, tuple(run_task(task) for task in tasks))

    def table(self, dataset: str) -> pa.Table:
        return pa.concat_tables(pq.read_table(path) for path in self.finished["cut_repeats"].paths(dataset))

    def after(self) -> dict[str, str]:
        spans = defaultdict(list)
        for row in self.table("edits").to_pylist():
            spans[row["id"]].append((row["start"], row["end"], row["replacement"]))
        return {id: edited(text, spans[id]) for shard in self.shards for id, text in shard.items()}


@pytest.fixture
def corpus(tmp_path: Path) -> Iterator[type[Corpus] | object]:
    n = 0

    def make(*shards: Shard) -> Corpus:
        nonlocal n
        n += 1
        return Corpus(tmp_path / str(n), shards)

    yield make


def words_of(text: str) -> list[str]:
    """Words of the texts of these tests: ASCII words, and single characters of Han and Thai with their marks."""
    return re.findall(r"[a-z0-9]+|[\u4e00-\u9fff]|[\u0e00-\u0e30\u0e32\u0e33\u0e40-\u0e46][\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]*", text.lower())  # noqa: E501


def oracle(
    shards: Sequence[Shard], n: int, *, keep: int = 1, dropped: Sequence[str] = (), held_out: Sequence[str] = ()
) -> dict[str, list[str]]:
    """The words that each document is left with: every window of n words of every document, in a dict."""
    places = defaultdict(list)
    words = {id: words_of(text) for shard in shards for id, text in shard.items()}
    for order, (id, found) in enumerate(words.items()):
        rank = 0 if id in held_out else 2 if id in dropped else 1
        for i in range(len(found) - n + 1):
            places[tuple(found[i : i + n])].append((rank, order, i, id))
    gone: dict[str, set[int]] = {id: set() for id in words}
    for found in places.values():
        found.sort()
        n_held_out = sum(rank == 0 for rank, *_ in found)
        n_stay = n_held_out or keep
        for _, _, i, id in found[n_stay:]:
            end = max((j + n for _, _, j, other in found[:n_stay] if other == id), default=0)
            gone[id] |= set(range(max(i, end), i + n))
    return {id: [word for i, word in enumerate(found) if i not in gone[id]] for id, found in words.items()}


def exact(n: int, keep: int = 1) -> RepeatsSettings:
    return RepeatsSettings(substrings=RepeatedSubstrings(min_tokens=n, keep=keep, fragment=0), min_chars_left=0)


def random_shards(seed: int, n_shards: int = 3, alphabet: int = 40) -> list[Shard]:
    """Documents of random words and line breaks, with stretches of others planted in them, of all lengths."""
    random = np.random.default_rng(seed)
    vocabulary = [*(f"w{i}" for i in range(alphabet)), *"中文字符ไทยกขค", "กี่", "ที่"]
    documents: list[list[str]] = []
    for _ in range(24):
        words = [vocabulary[i] for i in random.integers(0, len(vocabulary), random.integers(0, 120))]
        for _ in range(random.integers(0, 4)):
            if documents and (source := documents[random.integers(len(documents))]):
                start, length = random.integers(len(source)), random.integers(1, 60)
                at = random.integers(len(words) + 1)
                words[at:at] = source[start : start + length]
        if random.random() < 0.2:
            words += ["a"] * int(random.integers(0, 70))
        documents.append(words)
    shards: list[Shard] = []
    for i in range(n_shards):
        texts = {}
        for j in range(i * 24 // n_shards, (i + 1) * 24 // n_shards):
            separators = random.choice([" ", ", ", "\n", ".\n\n", " – ", "。"], len(documents[j]))
            texts[f"d{j:02d}"] = "".join(w + s for w, s in zip(documents[j], separators, strict=True)).strip()
        shards.append(texts)
    return shards


@pytest.mark.parametrize("seed", range(12))
def test_what_is_left_is_what_all_windows_in_a_dict_leave(corpus, seed: int) -> None:
    shards = random_shards(seed, n_shards=1 + seed % 4, alphabet=[40, 4][seed % 2])
    n, keep = [10, 15, 25, 50][seed % 4], 1 + seed % 3 // 2
    names = [id for shard in shards for id in shard]
    dropped, held_out = names[1::5], names[seed % 2 :: 7]
    run = corpus(*shards)
    after = run.cut(exact(n, keep), dropped=dropped, held_out=held_out)
    expected = oracle(shards, n, keep=keep, dropped=dropped, held_out=held_out)
    assert {id: words_of(text) for id, text in after.items()} == expected
    assert any(len(left) < len(words_of(text)) for left, text in zip(expected.values(), [t for s in shards for t in s.values()], strict=True))  # noqa: E501

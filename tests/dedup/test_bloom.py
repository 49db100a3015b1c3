"""Text that came before is cut; a filter that cannot hold the corpus stops the run instead of deleting it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from datassay.corpus.edits import edited
from datassay.corpus.engine import Inputs
from datassay.corpus.errors import StoreError
from datassay.corpus.store import Outputs, parquet_shard
from datassay.dedup import bloom as bloom_module
from datassay.dedup.bloom import Bloom, CountSettings, PassSettings, count_units, estimate, filter_size, sift

CLEAN = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("text", pa.large_string(), nullable=False)])
Shards = Sequence[dict[str, str]]


class Found:
    """What a pass over shards found."""

    def __init__(self, folder: Path, n_shards: int, counts: dict[str, int]) -> None:
        tables = [pq.read_table(folder / f"bloom/partition={i:05d}/part-00000.parquet") for i in range(n_shards)]
        cuts = [pq.read_table(folder / f"edits/partition={i:05d}/part-00000.parquet") for i in range(n_shards)]
        self.signals = {row["id"]: row for table in tables for row in table.to_pylist()}
        self.edits = [row for table in cuts for row in table.to_pylist()]
        self.counts = counts

    def fraction(self, name: str) -> float:
        return float(self.signals[name]["bloom_seen_fraction"])

    def text(self, name: str, text: str) -> str:
        own = [(row["start"], row["end"], row["replacement"]) for row in self.edits if row["id"] == name]
        return edited(text, own)


Sift = Callable[..., Found]


@pytest.fixture
def run(tmp_path: Path) -> Sift:
    """Counts, unless the number of units is given, and passes over shards of documents."""

    def passed(*shards: dict[str, str], n_shards: int | None = None, folder: str = "run", **settings: object) -> Found:
        bloom = Bloom.model_validate(settings)
        place = tmp_path / folder
        clean, registers = [], []
        for i, documents in enumerate(shards):
            clean.append(place / f"clean{i}")
            with parquet_shard(clean[-1], CLEAN) as shard:
                shard.write_rows([{"id": name, "text": text} for name, text in documents.items()])
            out = Outputs(place / "count", i)
            count_units(Inputs({"clean": (clean[-1],)}), CountSettings(unit=bloom.unit, n=bloom.n), out)
            registers.append(place / f"count/registers/part-{i:05d}.parquet")
        inputs = {"clean": tuple(clean)} | ({} if bloom.n_units else {"registers": tuple(registers)})
        out = Outputs(place / "bloom", 0)
        n_input = len(shards) if n_shards is None else n_shards
        sift(Inputs(inputs), PassSettings(bloom=bloom, n_shards=n_input), out)
        return Found(place / "bloom", len(shards), dict(out.counts))

    return passed


def words(start: int, n: int) -> str:
    return " ".join(f"w{i}" for i in range(start, start + n))


def test_a_paragraph_whose_ngrams_came_before_is_cut_with_its_line_break(run: Sift) -> None:
    first, second = words(0, 30), words(100, 30)
    texts = {"a": f"{first}\n{second}", "b": f"{words(200, 30)}\n{first}\n{words(300, 30)}", "c": f"{second}\nshort"}
    found = run(texts)
    assert [(row["id"], row["rule"]) for row in found.edits] == [("b", "bloom/ngram"), ("c", "bloom/ngram")]
    assert found.text("a", texts["a"]) == texts["a"]
    assert found.text("b", texts["b"]) == f"{words(200, 30)}\n{words(300, 30)}"
    assert found.text("c", texts["c"]) == "short"
    assert {name: row["bloom_unit_count"] for name, row in found.signals.items()} == {"a": 36, "b": 54, "c": 18}
    assert [found.fraction(name) for name in "abc"] == [0.0, 18 / 54, 1.0]  # 30 tokens have 18 13-grams


@pytest.mark.parametrize(("n_new", "is_cut"), [(2, False), (1, True)])
def test_the_share_itself_is_kept(run: Sift, n_new: int, is_cut: bool) -> None:
    """Of 10 n-grams of 2 tokens 8 came before, or 9; the published filter cuts above .8."""
    old, text = words(0, 20), " ".join([words(0, 11 - n_new), words(900, n_new)])
    found = run({"a": old, "b": text}, n=2)
    assert found.fraction("b") == (10 - n_new) / 10
    assert bool(found.edits) == is_cut


@pytest.mark.parametrize(("n_tokens", "n_units"), [(12, 0), (13, 1), (14, 2)])
def test_a_paragraph_shorter_than_an_ngram_is_left_alone(run: Sift, n_tokens: int, n_units: int) -> None:
    found = run({"a": words(0, n_tokens), "b": words(0, n_tokens)})
    assert found.signals["b"]["bloom_unit_count"] == n_units
    assert len(found.edits) == (n_units > 0)


def test_whole_paragraphs(run: Sift) -> None:
    """Of any length, by their characters but for white space around them; a copy within a document is one too."""
    text = "Read more\n\n  About us \nabout us\nRead more"
    found = run({"a": text, "b": "About us\n\nSomething new"}, unit="paragraph")
    assert found.text("a", text) == "Read more\n\n  About us \nabout us"
    assert found.text("b", "About us\n\nSomething new") == "Something new"
    assert found.signals["a"] == {"id": "a", "bloom_unit_count": 4, "bloom_seen_fraction": 0.25}


def test_positions_are_characters_in_any_script(run: Sift) -> None:
    line = "人人生而自由,在尊严和权利上一律平等。👍"
    text = f"Zoë sprach: neu\n{line}"
    found = run({"a": line, "b": text})
    assert [(row["start"], row["end"]) for row in found.edits] == [(15, len(text))]
    assert found.text("b", text) == "Zoë sprach: neu"


def test_nothing_is_nobodys_copy(run: Sift) -> None:
    found = run({"a": "", "b": "", "c": "\n \n", "d": "\n \n"}, {}, unit="paragraph")
    assert found.edits == []
    assert [found.fraction(name) for name in "abcd"] == [0.0] * 4
    assert run({}, folder="empty").counts["documents"] == 0


def test_cut_paragraphs_are_not_remembered_again_and_kept_ones_are(run: Sift) -> None:
    """c is half of a, which b repeats with much of its own: remembered where it stayed."""
    a, b = words(0, 40), f"{words(0, 20)} {words(500, 60)}"
    found = run({"a": a, "b": b, "c": words(500, 60)})
    assert [row["id"] for row in found.edits] == ["c"]


def test_a_share_of_one_only_measures(run: Sift) -> None:
    found = run({"a": words(0, 40), "b": words(0, 40)}, max_seen=1)
    assert (found.edits, found.fraction("b")) == ([], 1.0)


def test_validation_and_reference_are_neither_looked_up_nor_remembered(run: Sift) -> None:
    found = run({"a": words(0, 40)}, {"v": words(0, 40), "w": words(0, 40)}, n_shards=1)
    assert found.edits == []
    assert found.signals["v"] == {"id": "v", "bloom_unit_count": 0, "bloom_seen_fraction": 0.0}
    assert found.counts["documents"] == 1


def test_shards_do_not_matter(run: Sift, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.RandomState(0)
    lines = [words(int(start), 20) for start in random.randint(0, 3000, 300)]
    documents = {f"{i:03d}": "\n".join(lines[j] for j in random.randint(0, 300, 3)) for i in range(200)}
    one = run(documents)
    assert len(one.edits) > 50
    items = list(documents.items())
    monkeypatch.setattr(bloom_module, "BATCH_ROWS", 7)
    many = run(dict(items[:50]), {}, dict(items[50:]), folder="many")
    assert (many.edits, many.signals) == (one.edits, one.signals)


def test_the_pass_finds_what_a_set_finds(run: Sift) -> None:
    """Against Python's own set; at one error in a million none is expected in a few thousand n-grams."""
    random = np.random.RandomState(1)
    documents = {
        f"{i:03d}": "\n".join(words(int(s), int(n)) for s, n in zip(*random.randint(5, 60, (2, 4)), strict=True))
        for i in range(100)
    }
    found = run(documents, n=5, fp_rate=1e-6)
    known: set[tuple[str, ...]] = set()
    for name, text in documents.items():
        n_units = n_seen = 0
        kept = []
        for line in text.split("\n"):
            tokens = line.split()
            grams = [tuple(tokens[i : i + 5]) for i in range(len(tokens) - 4)]
            seen = [gram in known for gram in grams]
            n_units, n_seen = n_units + len(grams), n_seen + sum(seen)
            if not grams or sum(seen) / len(grams) <= 0.8:
                known.update(grams)
                kept.append(line)
        assert found.signals[name]["bloom_unit_count"] == n_units
        assert found.fraction(name) == n_seen / n_units
        assert found.text(name, text) == "\n".join(kept)


@pytest.mark.parametrize("fp_rate", [0.5, 0.1, 0.01, 1e-6])
def test_a_filter_is_as_large_as_its_formula_says(fp_rate: float) -> None:
    """(1 - exp(-k n / m))**k is the chance of an error; no filter is smaller than n log2(1 / p) / ln 2 bits."""
    n_bits, n_hashes = filter_size(1_000_000, fp_rate)
    assert (1 - np.exp(-n_hashes * 1_000_000 / n_bits)) ** n_hashes == pytest.approx(fp_rate, rel=1e-4)
    least = 1_000_000 * np.log2(1 / fp_rate) / log(2)
    assert least <= n_bits < 1.02 * least


def test_errors_are_as_rare_as_asked_for(run: Sift) -> None:
    """40,000 words that all are new: at p = .01 on the last and fewer before, so 400 at most but for chance."""
    documents = {f"{i:03d}": words(100 * i, 100) for i in range(400)}
    found = run(documents, n=1, fp_rate=0.01, max_seen=1)
    n_wrong = found.counts["seen"]
    assert 0 < n_wrong < 400
    assert found.counts["filter_permille"] / 1000 == pytest.approx(0.01 ** (1 / 7), abs=0.01)


@pytest.mark.parametrize("n", [0, 1, 1000, 300_000])
def test_units_are_counted_within_the_error_of_the_registers(tmp_path: Path, n: int) -> None:
    """4 standard errors of 1.04 / 256 around the truth, and the margin of 3 on top; each comes twice, in two shards."""
    registers = np.zeros(1 << 16, np.int8)
    for shard in range(2):
        with parquet_shard(tmp_path / "clean", CLEAN) as clean:
            clean.write_rows([{"id": str(i), "text": words(i, min(1000, n - i))} for i in range(0, n, 1000)])
        out = Outputs(tmp_path, shard)
        count_units(Inputs({"clean": (tmp_path / "clean",)}), CountSettings(unit="ngram", n=1), out)
        found = pq.read_table(tmp_path / f"registers/part-{shard:05d}.parquet")["register"].to_numpy()
        registers = np.maximum(registers, found)
    assert n * (1 - 1 / 256 * 1.04) <= estimate(registers) <= n * (1 + 7.2 * 1.04 / 256) + 1


def test_registers_are_those_of_datasketch() -> None:
    from datasketch import HyperLogLogPlusPlus

    hashes = np.random.RandomState(0).randint(0, 2**63, 5000).astype(np.uint64)
    theirs = HyperLogLogPlusPlus(p=16, hashfunc=lambda value: value)
    for value in hashes.tolist():
        theirs.update(value)
    ours = np.zeros(1 << 16, np.int8)
    bloom_module.raise_registers(hashes, ours)
    np.testing.assert_array_equal(ours, theirs.reg)


def test_a_filter_that_is_too_full_stops_the_pass(run: Sift, tmp_path: Path) -> None:
    """1000 words were announced, 2000 come: nothing is cut by what the filter makes up."""
    documents = {f"{i:03d}": words(100 * i, 100) for i in range(20)}
    with pytest.raises(StoreError, match=r"made for 1,000 ngrams by n_units.*Nothing was deleted"):
        run(documents, n=1, n_units=1000)
    assert not list((tmp_path / "run/bloom").rglob("*.parquet"))
    assert run(documents, n=1, n_units=2000, folder="enough").counts["documents"] == 20


def test_a_filter_beyond_the_memory_is_refused_before_the_pass(run: Sift) -> None:
    """10**8 n-grams at 1 % take 9.59 bits each: 115 MB."""
    with pytest.raises(StoreError, match="takes 115 MB, max_megabytes is 114"):
        run({"a": words(0, 20)}, n_units=100_000_000, max_megabytes=114)
    assert run({"a": words(0, 20)}, n_units=100_000_000, max_megabytes=115, folder="enough").edits == []


def test_settings_that_would_be_ignored_are_errors() -> None:
    with pytest.raises(ValidationError, match="go with unit"):
        Bloom(unit="paragraph", n=5)
    assert (Bloom().chance_of_error, Bloom(unit="paragraph").chance_of_error) == (0.01, 1e-6)

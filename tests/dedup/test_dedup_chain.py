"""All stages together, from documents to edges."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.corpus.engine import LocalEngine
from datassay.corpus.split import near_validation
from datassay.corpus.stage import StageOutput
from datassay.dedup import settings as settings_module
from datassay.dedup import texts, verify
from datassay.dedup.clusters import clusters
from datassay.dedup.plan import PAIR_STAGES
from datassay.dedup.settings import DedupSettings, MinHash
from datassay.dedup.shingles import shingle_sets
from datassay.dedup.verify import read_sets

FindPairs = Callable[..., pa.Table]
RunDedup = Callable[..., dict[str, StageOutput]]


def edges(pairs: pa.Table) -> list[tuple[str, str, str]]:
    return [(row["a"], row["b"], row["kind"]) for row in pairs.to_pylist()]


def prose(seed: int, n_words: int = 200) -> list[str]:
    """Words drawn at random: two of these share no five in a row."""
    return [f"word{number}" for number in np.random.RandomState(seed).randint(0, 5000, n_words)]


def changed(words: list[str], n_changes: int) -> list[str]:
    """`words` with so many of them, evenly spread, replaced."""
    places = np.linspace(0, len(words), n_changes + 2)[1:-1].astype(int)
    return [f"other{i}" if i in places else word for i, word in enumerate(words)]


def corpus() -> dict[str, str]:
    """60 documents: unique ones, exact copies, near copies of several strengths, short and empty ones."""
    documents = {f"unique{i:02d}": " ".join(prose(i)) for i in range(30)}
    for i in range(6):
        documents[f"exact{i}"] = " ".join(prose(i % 3))
        documents[f"light{i}"] = " ".join(changed(prose(i), 2))
        documents[f"upper{i}"] = " ".join(prose(10 + i)).upper()
        documents[f"medium{i}"] = " ".join(changed(prose(i), 5))
    return documents | {
        "empty0": "",
        "empty1": "",
        "short0": "Read more",
        "short1": "read more!",
        "short2": "Read less",
    }


def test_exact_copies_are_a_star_from_the_smallest_id(find_pairs: FindPairs) -> None:
    pairs = find_pairs({"d": "same text", "b": "same text", "x": "other text"}, {"c": "same text"})
    assert edges(pairs) == [("b", "c", "exact"), ("b", "d", "exact")]
    assert pairs["similarity"].to_pylist() == [1.0, 1.0]


def test_near_copies_have_their_true_similarity(find_pairs: FindPairs) -> None:
    """One word of 100 replaced touches 5 of 96 shingles: 91 in common, of 101."""
    words = prose(1, 100)
    pairs = find_pairs({"a": " ".join(words), "b": " ".join(changed(words, 1)), "c": " ".join(prose(2))})
    assert pairs.to_pylist() == [{"a": "a", "b": "b", "similarity": 91 / 101, "kind": "near"}]


@pytest.mark.parametrize(("min_jaccard", "n_pairs"), [(91 / 101, 1), (np.nextafter(91 / 101, 1), 0)])
def test_the_limit_itself_is_kept(find_pairs: FindPairs, min_jaccard: float, n_pairs: int) -> None:
    words = prose(1, 100)
    settings = DedupSettings(minhash=MinHash(min_jaccard=min_jaccard))
    assert find_pairs({"a": " ".join(words), "b": " ".join(changed(words, 1))}, settings=settings).num_rows == n_pairs


def test_short_texts_are_duplicates_only_of_the_same_words(find_pairs: FindPairs) -> None:
    pairs = find_pairs({"a": "Read more", "b": "Read less", "c": "read more!", "d": "!", "e": "?", "f": "", "g": ""})
    assert edges(pairs) == [("a", "c", "near")]


SCRIPTS = {
    "zh1": "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。",
    "zh2": "人人有资格享有本宣言所载的一切权利和自由,不分种族、肤色、性别、语言、宗教、政治或其他见解。",
    "th1": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ต่างมีเหตุผลและมโนธรรม",
    "th2": "บุคคลมีสิทธิในการมีชีวิต ในเสรีภาพ และความมั่นคงแห่งบุคคล",
    "ar1": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق وقد وهبوا عقلا وضميرا",
    "ar2": "لكل فرد الحق في الحياة والحرية وفي الأمان على شخصه ولا يجوز استرقاق أحد",
    "ja1": "すべての人間は、生れながらにして自由であり、かつ、尊厳と権利とについて平等である。",
}


def test_no_script_is_a_duplicate_of_anything_but_its_copies(find_pairs: FindPairs) -> None:
    """Articles 1 to 3 of the Universal Declaration of Human Rights, and copies with another full stop or space."""
    copies = {f"{id}-copy": text.replace("。", "．").replace(",", " ,") + " !" for id, text in SCRIPTS.items()}
    assert find_pairs(SCRIPTS).num_rows == 0
    assert edges(find_pairs(SCRIPTS, copies, folder="copies")) == [(id, f"{id}-copy", "near") for id in sorted(SCRIPTS)]


@pytest.mark.parametrize("shards", [[], [{}], [{}, {}], [{"a": "only one"}], [{"a": ""}, {}]])
def test_nothing_to_compare_gives_no_edges(find_pairs: FindPairs, shards: list[dict[str, str]]) -> None:
    assert find_pairs(*(shards or [{}])).num_rows == 0


@pytest.mark.parametrize("exact", [True, False])
def test_all_documents_alike(find_pairs: FindPairs, exact: bool) -> None:
    """A star, or, where copies are found by MinHash alone, whatever holds all of them together."""
    documents = {f"{i:03d}": "the very same words in each and every document" for i in range(100)}
    pairs = find_pairs(documents, settings=DedupSettings(exact=exact))
    assert pairs.num_rows == (99 if exact else 197)
    assert set(pairs["a"].to_pylist()) | set(pairs["b"].to_pylist()) == set(documents)


@pytest.mark.parametrize("held_out", ["page0", "page5", "page9"])
def test_no_near_copy_of_a_held_out_document_stays(run_dedup: RunDedup, held_out: str) -> None:
    """Ten pages of one frame, which share every band: far fewer edges than pairs, and all the same none is missed."""
    pages = {f"page{i}": f"{' '.join(prose(1, 300))} {i}" for i in range(10)}
    finished = run_dedup(pages, {"other": " ".join(prose(2))})
    pairs = [path for name in PAIR_STAGES if name in finished for path in finished[name].paths("pairs")]
    assert sum(pq.read_metadata(path).num_rows for path in pairs) < 10 * 9 / 2
    is_near = near_validation(pairs, {held_out})
    assert [name for name in [*pages, "other"] if not is_near(name)] == ["other"]


def test_exact_duplicates_alone(find_pairs: FindPairs) -> None:
    pairs = find_pairs(corpus(), settings=DedupSettings(minhash=None))
    assert edges(pairs) == [(f"exact{i}", copy, "exact") for i in range(3) for copy in (f"exact{i + 3}", f"unique0{i}")]


def test_planted_copies_are_found_and_nothing_else(find_pairs: FindPairs) -> None:
    found = {(a, b) for a, b, _ in edges(find_pairs(corpus()))}
    of_unique = {tuple(sorted((f"upper{i}", f"unique{10 + i}"))) for i in range(6)} | {("short0", "short1")}
    assert of_unique <= found
    groups = {f"{kind}{i}" for i in range(6) for kind in ("exact", "light", "medium", "unique0")}
    assert all({a, b} <= groups for a, b in found - of_unique)


def test_edges_do_not_depend_on_sharding(find_pairs: FindPairs) -> None:
    documents = list(corpus().items())
    one = find_pairs(dict(documents))
    many = find_pairs(*(dict(documents[i::7]) for i in range(7)), {}, folder="many")
    backwards = find_pairs(dict(documents[::-1]), folder="backwards")
    assert one.num_rows > 10
    assert one.equals(many)
    assert one.equals(backwards)


def test_edges_do_not_depend_on_the_number_of_partitions(
    find_pairs: FindPairs, run_dedup: RunDedup, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = list(corpus().items())
    shards = [dict(documents[i::3]) for i in range(3)]
    one = find_pairs(*shards)
    monkeypatch.setattr(settings_module, "TEXT_PARTITION_ROWS", 1 << 3)
    monkeypatch.setattr(settings_module, "BAND_PARTITION_ROWS", 1 << 8)
    assert find_pairs(*shards, folder="many").equals(one)
    finished = run_dedup(*shards, folder="many")
    assert len(finished["exact"].done) == 8
    assert len(finished["candidates"].done) == 8  # 57 documents of 32 bands, at most 256 keys to a partition


def files(stages: dict[str, StageOutput]) -> Iterator[tuple[str, str]]:
    for name, stage in stages.items():
        for done in stage.done:
            for file in done.files:
                yield f"{name}/{file.name}", file.content


def test_one_worker_gives_the_bytes_of_two(run_dedup: RunDedup) -> None:
    documents = list(corpus().items())
    shards = [dict(documents[i::3]) for i in range(3)]
    with LocalEngine(2) as engine:
        assert dict(files(run_dedup(*shards))) == dict(files(run_dedup(*shards, engine=engine, folder="two")))


def test_another_limit_signs_nothing_anew(run_dedup: RunDedup) -> None:
    first = run_dedup(corpus())
    second = run_dedup(corpus(), settings=DedupSettings(minhash=MinHash(min_jaccard=0.9)))
    assert first["sign"].folder == second["sign"].folder
    assert first["attach"].folder == second["attach"].folder
    assert first["verify"].folder != second["verify"].folder


def test_a_failing_star_leaves_the_neighbours_that_pass(find_pairs: FindPairs, run_dedup: RunDedup) -> None:
    """Each document overlaps the next enough and those after it too little; bands of two rows compare nearly all."""
    words = prose(5, 300)
    chain = {f"{i}": " ".join(words[i * 20 : i * 20 + 200]) for i in range(5)}  # 176 of 216 shingles in common: .81
    settings = DedupSettings(minhash=MinHash(bands=64, rows=2, min_jaccard=0.8))
    pairs = find_pairs(chain, settings=settings)
    assert edges(pairs) == [(f"{i}", f"{i + 1}", "near") for i in range(4)]
    assert set(pairs["similarity"].to_pylist()) == {176 / 216}
    assert run_dedup(chain, settings=settings)["verify"].counts["refused"] >= 3


def test_only_the_needed_sets_are_made_and_read(run_dedup: RunDedup) -> None:
    words = prose(1, 100)
    of_words = [prose(2), words, prose(3), changed(words, 1), prose(4)]
    finished = run_dedup({name: " ".join(text) for name, text in zip("abcde", of_words, strict=True)})
    (sets,) = read_sets(finished["attach"].path("sets", 0), np.array([3]))
    assert sets.ids.to_pylist() == ["d"]  # the second of its pair; the first is in `halves`
    assert sets.offsets.tolist() == [0, 96]
    assert list(read_sets(finished["attach"].path("sets", 0), np.array([0, 4]))) == []


def test_sets_are_compared_block_by_block(
    run_dedup: RunDedup, find_pairs: FindPairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few are in memory at once."""
    documents = list(corpus().items())
    shards = [dict(documents[i::2]) for i in range(2)]
    whole = find_pairs(*shards)
    monkeypatch.setattr(texts, "BATCH_ROWS", 8)
    monkeypatch.setattr(verify, "_ROUND_BYTES", 1 << 10)
    monkeypatch.setattr(verify.read_sets, "__kwdefaults__", {"block_bytes": 1 << 9})
    assert find_pairs(*shards, folder="blocks").equals(whole)
    assert len(list(read_sets(run_dedup(*shards, folder="blocks")["attach"].path("sets", 0), np.arange(60)))) > 1


def truth(path: Path) -> dict[tuple[str, str], tuple[float, bool]]:
    rows = pq.read_table(path).to_pylist()
    return {tuple(sorted((row["a"], row["b"]))): (row["jaccard"], row["same_text"]) for row in rows}  # type: ignore[misc]


def test_recall_and_precision_on_a_raw_corpus(find_pairs: FindPairs, shared: Path) -> None:
    """At the probability of the S-curve for 32 bands of 8 rows (.85 at .7, .96 at .75), of pairs of unlike texts."""
    tables = [pq.read_table(path, columns=["id", "text"]) for path in sorted((shared / "corpus").glob("raw-*"))]
    documents = [dict(zip(*table.to_pydict().values(), strict=True)) for table in tables]
    pairs = find_pairs(*documents)
    true = truth(shared / "corpus" / "dup-pairs.parquet")
    index = {id: i for i, id in enumerate(id for shard in documents for id in shard)}
    ends = [np.array([index[id] for id in pairs[name].to_pylist()]) for name in "ab"]
    roots = clusters(*ends, len(index))
    similar = [ids for ids, (jaccard, is_same) in true.items() if 0.7 <= jaccard < 0.8 and not is_same]
    alike = [ids for ids, (jaccard, is_same) in true.items() if jaccard >= 0.8 and not is_same]
    assert np.mean([roots[index[a]] == roots[index[b]] for a, b in similar]) >= 0.93
    assert np.mean([roots[index[a]] == roots[index[b]] for a, b in alike]) >= 0.98
    near = [(a, b) for a, b, kind in edges(pairs) if kind == "near"]
    by_id = {id: text for shard in documents for id, text in shard.items()}
    unlike = pa.array([by_id[a] for a, b in near if true.get((a, b), (0, False))[0] < 0.7], pa.large_string())
    assert shingle_sets(unlike, words=5, characters=8).by_characters.all()  # the truth counts words only

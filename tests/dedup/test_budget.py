"""What a search for duplicates needs, and the refusal of what cannot fit."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.corpus.errors import StoreError
from datassay.dedup.budget import (
    BAND_KEY_BYTES,
    PAIRING_BYTES,
    PROCESS_BYTES,
    SHINGLE_BYTES,
    SIGNATURE_VALUE_BYTES,
    TEXT_BYTES_PER_SHINGLE,
    TEXT_HASH_BYTES,
    CorpusSize,
    Room,
    available_memory,
    check_room,
    corpus_size,
    describe,
    estimate,
    in_bytes,
    room_at,
)
from datassay.dedup.settings import BAND_PARTITION_ROWS, PRESETS, DedupSettings, MinHash

FOLDER = Path("runs/x")
LARGE = CorpusSize(n_documents=10**9, n_bytes_text=2 * 10**12)
REFINEDWEB = DedupSettings(minhash=PRESETS["refinedweb"])
PLENTY = 10**18


def test_disk_is_in_proportion_to_documents_permutations_bands_and_text() -> None:
    need = estimate(LARGE, REFINEDWEB, keeps_index=True)
    assert need.signature_bytes == SIGNATURE_VALUE_BYTES * 9000 * 10**9
    assert need.band_key_bytes == BAND_KEY_BYTES * 450 * 10**9
    assert need.shingle_bytes == pytest.approx(SHINGLE_BYTES * 2 * 10**12 / TEXT_BYTES_PER_SHINGLE[False])
    assert need.text_hash_bytes == TEXT_HASH_BYTES * 10**9
    assert need.disk_bytes == sum((need.signature_bytes, need.band_key_bytes, need.shingle_bytes, need.text_hash_bytes))
    without_index = estimate(LARGE, REFINEDWEB)
    assert without_index.disk_bytes == need.band_key_bytes + need.text_hash_bytes


def test_memory_is_bounded_by_a_partition_however_many_documents() -> None:
    small = CorpusSize(LARGE.n_documents // 1000, LARGE.n_bytes_text // 1000)
    for size in (small, LARGE):
        assert estimate(size, DedupSettings()).memory_bytes == PROCESS_BYTES + PAIRING_BYTES * BAND_PARTITION_ROWS


def test_a_search_says_what_it_needs() -> None:
    """4.5e11 keys of 20 bytes and 1e9 text hashes of 56.

    2e12 bytes at 1e-8 s, 3.03e11 shingles of 9000 values at 1e-10 s, 4.5e11 keys at 4e-7 s: 472,727 s.
    """
    assert estimate(LARGE, REFINEDWEB).summary == (
        "about 9.06 TB of disk, 503 MB of memory in each process, 7,879 minutes of one core"
    )


def test_what_is_not_searched_costs_nothing() -> None:
    need = estimate(LARGE, DedupSettings(minhash=None))
    assert need.disk_bytes == need.text_hash_bytes
    assert estimate(CorpusSize(0, 0), DedupSettings()).disk_bytes == 0
    assert estimate(LARGE, DedupSettings(exact=False)).text_hash_bytes == 0


def test_shingles_of_characters_are_more() -> None:
    words, characters = (
        estimate(LARGE, DedupSettings(minhash=MinHash(by_characters=by)), keeps_index=True) for by in (False, True)
    )
    assert characters.shingle_bytes > 4 * words.shingle_bytes


def test_all_that_is_needed_is_enough_and_a_byte_less_is_not() -> None:
    need = estimate(LARGE, REFINEDWEB)
    check_room(LARGE, REFINEDWEB, FOLDER, room=Room(need.disk_bytes, need.memory_bytes * 2), n_processes=2)
    with pytest.raises(StoreError, match="of disk"):
        check_room(LARGE, REFINEDWEB, FOLDER, room=Room(need.disk_bytes - 1, PLENTY))
    with pytest.raises(StoreError, match=r"take --workers 1$"):
        check_room(LARGE, REFINEDWEB, FOLDER, room=Room(PLENTY, need.memory_bytes * 2 - 1), n_processes=2)


def test_refusal_says_what_is_needed_and_what_would_fit() -> None:
    """36 TB of signatures and 9 TB of band keys; the default finds 1-(1-.8**8)**32 = 99.7 % of the pairs at .8."""
    with pytest.raises(StoreError) as error:
        check_room(LARGE, REFINEDWEB, FOLDER, room=Room(4 * 10**12, PLENTY), keeps_index=True)
    message = str(error.value)
    assert error.value.exit_status == 6
    assert "runs/x: searching 1,000,000,000 documents for duplicates" in message
    assert "(preset lee2022 or refinedweb, 450 bands of 20 rows) needs about 46.3 TB of disk" in message
    assert "36 TB of signatures" in message and "9 TB of band keys" in message and "4 TB are free" in message
    assert 'minhash = "datassay" needs about' in message
    assert "finds 99.7% instead of 99.5% of the pairs of similarity 0.8" in message


def test_the_next_smaller_preset_is_proposed_where_the_default_does_not_fit() -> None:
    need = estimate(LARGE, DedupSettings())
    with pytest.raises(StoreError, match=r'minhash = "fineweb".* finds 92\.4%'):
        check_room(LARGE, DedupSettings(), FOLDER, room=Room(need.disk_bytes - 1, PLENTY))


def test_no_preset_is_proposed_that_compares_nearly_everything() -> None:
    """gpt3 needs the least disk, but compares 97 % of the pairs that have nothing in common but their language."""
    need = estimate(LARGE, DedupSettings(minhash=PRESETS["gpt3"]))
    with pytest.raises(StoreError, match="No preset with these shingles fits"):
        check_room(LARGE, DedupSettings(), FOLDER, room=Room(need.disk_bytes, PLENTY))


def test_presets_of_other_shingles_are_not_proposed() -> None:
    """Their similarities are of something else."""
    nemo = DedupSettings(minhash=PRESETS["nemo"])
    with pytest.raises(StoreError, match="No preset with these shingles fits"):
        check_room(LARGE, nemo, FOLDER, room=Room(estimate(LARGE, nemo).disk_bytes - 1, PLENTY))


def test_too_little_memory_for_one_process_asks_for_fewer_bands() -> None:
    with pytest.raises(StoreError, match="take fewer bands or rows"):
        check_room(LARGE, DedupSettings(), FOLDER, room=Room(PLENTY, 10**8))


def test_size_of_a_corpus_is_read_from_footers(tmp_path: Path) -> None:
    texts = [f"{i:0100d}" for i in range(1000)]
    table = pa.table({"id": [str(i) for i in range(1000)], "text": pa.array(texts, pa.large_string())})
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    pq.write_table(table, paths[0])
    pq.write_table(table.slice(0, 0), paths[1])
    size = corpus_size(paths)
    assert size.n_documents == 1000
    assert size.n_bytes_text == pytest.approx(100_000, rel=0.1)  # and a length for each
    assert corpus_size([]) == CorpusSize(0, 0)


def test_settings_are_called_by_a_preset_of_the_same_shingles_only() -> None:
    assert describe(PRESETS["nemo"]) == "preset nemo, 20 bands of 13 rows"
    assert describe(MinHash(bands=20, rows=13)) == "20 bands of 13 rows"
    assert describe(MinHash(bands=14, rows=8, min_jaccard=0)) == "preset fineweb, 14 bands of 8 rows"


@pytest.mark.parametrize(
    ("n", "written"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1234567, "1.23 MB"), (36e12, "36 TB"), (5e18, "5,000 PB")],
)
def test_bytes_are_written_with_a_unit(n: float, written: str) -> None:
    assert in_bytes(n) == written


def system(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MEMINFO = {"proc/meminfo": "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB\n"}
V2 = "sys/fs/cgroup/memory."
V1 = "sys/fs/cgroup/memory/memory."


@pytest.mark.parametrize(
    ("files", "available"),
    [
        (MEMINFO, 8_192_000_000),
        (MEMINFO | {f"{V2}max": "max\n", f"{V2}current": "5"}, 8_192_000_000),
        (MEMINFO | {f"{V2}max": "4000\n", f"{V2}current": "1000\n", f"{V2}stat": "anon 1\ninactive_file 300\n"}, 3300),
        (MEMINFO | {f"{V1}limit_in_bytes": "4000\n", f"{V1}usage_in_bytes": "1000\n"}, 3000),
        (MEMINFO | {f"{V1}limit_in_bytes": "9223372036854771712\n", f"{V1}usage_in_bytes": "1000\n"}, 8_192_000_000),
    ],
)
def test_memory_is_what_the_system_or_the_control_group_leaves(
    tmp_path: Path, files: dict[str, str], available: int
) -> None:
    assert available_memory(system(tmp_path, files)) == available


def test_room_is_that_of_the_nearest_folder_there_is(tmp_path: Path) -> None:
    room = room_at(tmp_path / "runs" / "not" / "there")
    assert room.disk == pytest.approx(room_at(tmp_path).disk, rel=0.01)
    assert room.memory > 0

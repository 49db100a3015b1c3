"""Bad words: found at the borders of words, by the list of the document's language, as a plain expression does."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from datassay.corpus.engine import Inputs, Task, run_task
from datassay.corpus.errors import InputError, RecipeError, StoreError
from datassay.corpus.language import LANGUAGE
from datassay.corpus.schema import DOCUMENT
from datassay.filters.bad_words import (
    BAD_WORD_SIGNALS,
    C4_ALLOWED,
    SHIPPED,
    BadWords,
    BadWordSettings,
    bad_word_settings,
    bad_word_signals,
    measure_bad_words,
    read_entries,
)
from datassay.filters.text_signals import signals

Row = tuple[str | None, str]


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """Three harmless lists, beside files that are none."""
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "en").write_text("Darn\nheck\ndarn it all\ns&m\n\n🖕\n")
    (folder / "ja").write_text("sm\nだめ\n")
    (folder / "hi.txt").write_text("बुर\n")
    (folder / "pt.gz").write_bytes(gzip.compress(b"chato\n"))
    (folder / "README.md").write_text("lists")
    (folder / "LICENSE").write_text("CC")
    return folder


def settings_for(lists: Path, **values: object) -> BadWordSettings:
    return bad_word_settings(BadWords.model_validate({"lists": str(lists), **values}), seed=0)


def measured(settings: BadWordSettings, rows: Sequence[Row]) -> list[dict[str, object]]:
    ids = pa.array([str(i) for i in range(len(rows))])
    texts = pa.array([text for _, text in rows], pa.large_string())
    batch = bad_word_signals(ids, texts, [language for language, _ in rows], settings)
    assert batch.schema == BAD_WORD_SIGNALS
    batch.validate(full=True)
    found: list[dict[str, object]] = batch.to_pylist()
    return found


@pytest.mark.parametrize(
    ("text", "count", "distinct", "first"),
    [
        ("", 0, 0, None),
        ("darn", 1, 1, "darn"),
        ("DARN!", 1, 1, "darn"),
        ("Oh, heck: darn, heck", 3, 2, "heck"),
        ("darned undarn darn_ darn1 é\u0301darn", 0, 0, None),
        ("darn\u0301", 0, 0, None),  # the mark belongs to the word
        ("darn's 'darn' darn-darn", 4, 1, "darn"),
        ("darn it all", 1, 1, "darn it all"),  # the longest
        ("darn it  \n all", 1, 1, "darn it all"),
        ("darn it allow", 1, 1, "darn"),
        ("darn darn it all", 2, 2, "darn"),
        ("an S&M b, s & m", 1, 1, "s&m"),
        ("look 🖕 here 🖕", 2, 1, "🖕"),
        ("sm だめ", 0, 0, None),  # another language's
    ],
)
def test_an_entry_is_found_between_words(lists: Path, text: str, count: int, distinct: int, first: str | None) -> None:
    (row,) = measured(settings_for(lists), [("en", text)])
    assert (row["bad_word_count"], row["bad_word_distinct_count"], row["bad_word"]) == (count, distinct, first)
    assert row["bad_word_list"] == "en"


def test_in_scripts_without_spaces_an_entry_is_found_anywhere(lists: Path) -> None:
    (row,) = measured(settings_for(lists, allow={}), [("ja", "それはだめだSMall")])
    assert (row["bad_word_count"], row["bad_word"]) == (2, "だめ")


def test_what_c4_allows_is_allowed_unless_said_otherwise(lists: Path) -> None:
    (row,) = measured(settings_for(lists), [("ja", "それはだめだSMall")])
    assert row["bad_word_count"] == 1
    assert C4_ALLOWED["ja"][0] == "sm"


def test_an_allowed_entry_is_allowed_in_its_language_only(lists: Path) -> None:
    settings = settings_for(lists, allow={"ja": ["heck"], "en": ["DARN"]})
    (row,) = measured(settings, [("en", "heck darn darn it all")])
    assert (row["bad_word_count"], row["bad_word_distinct_count"]) == (2, 2)


def test_a_hindi_word_goes_on_with_its_vowel_sign(lists: Path) -> None:
    rows = measured(settings_for(lists), [("hi", "यह बुर है"), ("hi", "यह बुरा है"), ("hi", "बुर।")])
    assert [row["bad_word_count"] for row in rows] == [1, 0, 1]


def test_the_list_is_that_of_the_language(lists: Path) -> None:
    rows = measured(settings_for(lists), [("pt", "chato"), ("pt-BR", "chato"), ("de", "chato"), (None, "chato")])
    assert [row["bad_word_list"] for row in rows] == ["pt", "pt", None, None]
    assert [row["bad_word_count"] for row in rows] == [1, 1, 0, 0]
    assert [row["bad_word"] for row in rows] == ["chato", "chato", None, None]


def test_documents_without_a_list_may_have_a_default(lists: Path) -> None:
    rows = measured(settings_for(lists, default_language="en"), [("de", "heck"), (None, "heck"), ("ja", "heck")])
    assert [row["bad_word_list"] for row in rows] == ["en", "en", "ja"]
    assert [row["bad_word_count"] for row in rows] == [1, 1, 0]


def test_the_fraction_is_per_word_of_the_text_signals(lists: Path) -> None:
    texts = ["darn, don't say 3.14 heck", "darn", "🖕", "no"]
    rows = measured(settings_for(lists), [("en", text) for text in texts])
    words = signals(pa.array(["a", "b", "c", "d"]), pa.array(texts, pa.large_string()))["word_count"].to_pylist()
    assert words == [5, 1, 0, 1]
    assert [row["bad_word_fraction"] for row in rows] == [2 / 5, 1.0, 1.0, 0.0]


def test_a_draw_is_the_same_in_any_order_and_uniform(lists: Path) -> None:
    ids = pa.array([f"{i:032x}" for i in range(2000)])
    texts = pa.array([""] * 2000, pa.large_string())
    settings = settings_for(lists)
    draws = bad_word_signals(ids, texts, [None] * 2000, settings)["bad_word_draw"].to_numpy()
    backwards = bad_word_signals(ids[::-1], texts, [None] * 2000, settings)["bad_word_draw"].to_numpy()
    assert np.array_equal(draws, backwards[::-1])
    assert abs(np.mean(draws < 0.1) - 0.1) < 4 * np.sqrt(0.09 / 2000)
    other = bad_word_signals(ids, texts, [None] * 2000, settings.model_copy(update={"seed": 1}))
    assert not np.array_equal(draws, other["bad_word_draw"].to_numpy())


ALPHABET = "aAbB \n\u3000-'_.1éÉ\u0301\u200dस性のि&"
_WORD = r"[\w\u0301\u200dि]"


def plain_find(text: str, entries: Sequence[str], *, anywhere: bool) -> list[str]:
    """What one regular expression finds: C4's, with borders that are not consumed and the longest entry first."""
    folded = re.sub(r"\s+", " ", "".join(character.lower()[0] for character in text))
    alternatives = "|".join(re.escape(entry) for entry in sorted(entries, key=len, reverse=True))
    pattern = f"(?:{alternatives})" if anywhere else f"(?<!{_WORD})(?:{alternatives})(?!{_WORD})"
    return re.findall(pattern, folded)


ENTRIES = st.lists(st.text("aAb -'_é\u0301性", min_size=1, max_size=4), min_size=1, max_size=6)


@given(ENTRIES, st.lists(st.text(ALPHABET, max_size=30), max_size=4), st.sampled_from(["en", "th"]))
def test_the_kernel_finds_what_a_plain_expression_finds(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], texts: list[str], language: str
) -> None:
    path = tmp_path_factory.mktemp("lists") / language
    path.write_text("\n".join(["zz", *lines]))
    settings = settings_for(path)
    entries = read_entries(settings)[language]
    found = [plain_find(text, entries, anywhere=language == "th") for text in texts]
    rows = measured(settings, [(language, text) for text in texts])
    assert [row["bad_word_count"] for row in rows] == [len(words) for words in found]
    assert [row["bad_word_distinct_count"] for row in rows] == [len(set(words)) for words in found]
    assert [row["bad_word"] for row in rows] == [words[0] if words else None for words in found]


def test_a_slice_of_texts_is_read_at_its_place(lists: Path) -> None:
    texts = pa.array(["heck", "darn", "heck heck"], pa.large_string()).slice(1)
    batch = bad_word_signals(pa.array(["a", "b"]), texts, ["en", "en"], settings_for(lists))
    assert batch["bad_word_count"].to_pylist() == [1, 2]
    empty = bad_word_signals(pa.array([], pa.string()), texts.slice(2), [], settings_for(lists))
    assert empty.num_rows == 0


# --- lists


def test_the_shipped_lists_are_read_for_28_languages(shared: Path) -> None:
    entries = read_entries(bad_word_settings(BadWords(allow={}), seed=0))
    source = pq.read_table(shared / "misc" / "badwords.parquet", columns=["lang", "phrase"])
    assert set(entries) == set(source["lang"].to_pylist())
    n_distinct = len({(row["lang"], row["phrase"].lower()) for row in source.to_pylist()})
    assert n_distinct - 5 <= sum(map(len, entries.values())) <= n_distinct


def test_the_shipped_lists_need_nothing_else() -> None:
    settings = bad_word_settings(BadWords(), seed=0)
    assert len(read_entries(settings)) == 28
    assert settings.lists[0].file.path == SHIPPED
    assert "性" not in read_entries(settings)["zh"]
    assert "data" not in settings.model_dump_json()  # neither path nor entries, only the hash


def test_the_norwegian_and_filipino_lists_are_found_by_other_codes() -> None:
    rows = measured(bad_word_settings(BadWords(), seed=0), [("nb", ""), ("tl", ""), ("no", "")])
    assert [row["bad_word_list"] for row in rows] == ["no", "fil", "no"]


def test_one_list_is_named_by_its_file(lists: Path) -> None:
    settings = settings_for(lists / "hi.txt")
    assert list(read_entries(settings)) == ["hi"]


def test_the_key_follows_the_contents_and_not_the_place(lists: Path, tmp_path: Path) -> None:
    before = settings_for(lists).model_dump(mode="json")
    moved = lists.rename(tmp_path / "elsewhere")
    assert settings_for(moved).model_dump(mode="json") == before
    (moved / "en").write_text("heck\n")
    assert settings_for(moved).model_dump(mode="json") != before


def test_a_list_that_changes_is_read_again(lists: Path) -> None:
    assert measured(settings_for(lists), [("en", "blast heck")])[0]["bad_word"] == "heck"
    (lists / "en").write_text("blast\n")
    assert measured(settings_for(lists), [("en", "blast heck")])[0]["bad_word"] == "blast"


def test_a_list_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none: no such list"):
        settings_for(tmp_path / "none")
    with pytest.raises(InputError, match="no list of bad words in it; a list is a text file named by its language"):
        settings_for(tmp_path)
    (tmp_path / "en").write_bytes(b"heck\nd\xe9j\xe0\n")
    with pytest.raises(InputError, match="en, line 2: not UTF-8"):
        settings_for(tmp_path)
    (tmp_path / "en").write_text("\n \n")
    with pytest.raises(InputError, match="en: no entry in it"):
        settings_for(tmp_path)
    (tmp_path / "en").unlink()
    (tmp_path / "de.gz").write_bytes(gzip.compress(b"mist\n" * 100)[:-12])
    with pytest.raises(InputError, match=r"de\.gz: cannot be read"):
        settings_for(tmp_path)
    (tmp_path / "de.gz").write_bytes(b"mist")
    with pytest.raises(InputError, match=r"de\.gz: cannot be read"):
        settings_for(tmp_path)


def test_a_language_without_a_list_is_named(lists: Path) -> None:
    with pytest.raises(RecipeError, match="there is no list for 'xx', only en, hi, ja, pt"):
        settings_for(lists, default_language="xx")
    with pytest.raises(RecipeError, match="there is no list for 'de'"):
        settings_for(lists, allow={"de": ["mist"]})
    with pytest.raises(ValidationError):
        BadWords.model_validate({"keep_fraction": 0.1})


# --- stage


def write_shard(folder: Path, rows: Sequence[Row], language_ids: Sequence[str] | None = None) -> Inputs:
    ids = [str(i) for i in range(len(rows))]
    schema = pa.schema([DOCUMENT.field("id"), DOCUMENT.field("text")])
    clean = pa.table({"id": ids, "text": pa.array([text for _, text in rows], pa.large_string())}, schema=schema)
    codes = [code for code, _ in rows]
    language = pa.table(
        [language_ids or ids, codes], schema=pa.schema([LANGUAGE.field("id"), LANGUAGE.field("language")])
    )
    pq.write_table(clean, folder / "clean.parquet", row_group_size=3)
    pq.write_table(language, folder / "language.parquet", row_group_size=2)
    return Inputs({"clean": (folder / "clean.parquet",), "language": (folder / "language.parquet",)})


def test_the_stage_keeps_the_order_and_counts(lists: Path, tmp_path: Path) -> None:
    rows: list[Row] = [("en", "heck"), ("de", "heck"), (None, ""), ("en", "fine"), ("ja", "だめ")]
    inputs = write_shard(tmp_path, rows)
    done = run_task(Task(measure_bad_words, inputs, settings_for(lists), tmp_path / "out", 0, "key"))
    table = pq.read_table(tmp_path / "out" / done.files[0].name)
    assert table.schema == BAD_WORD_SIGNALS
    assert table["id"].to_pylist() == ["0", "1", "2", "3", "4"]
    assert table["bad_word_count"].to_pylist() == [1, 0, 0, 0, 1]
    assert done.counts == {"documents": 5, "with_bad_words": 2, "without_list": 2}


def test_the_stage_of_an_empty_shard(lists: Path, tmp_path: Path) -> None:
    inputs = write_shard(tmp_path, [])
    done = run_task(Task(measure_bad_words, inputs, settings_for(lists), tmp_path / "out", 0, "key"))
    assert pq.read_table(tmp_path / "out" / done.files[0].name).num_rows == 0


@pytest.mark.parametrize("ids", [["0", "2"], ["1", "0"]])
def test_rows_that_do_not_belong_together_are_refused(lists: Path, tmp_path: Path, ids: list[str]) -> None:
    inputs = write_shard(tmp_path, [("en", "heck"), ("en", "heck")], ids)
    with pytest.raises(StoreError, match="clean and language of one shard have other ids"):
        run_task(Task(measure_bad_words, inputs, settings_for(lists), tmp_path / "out", 0, "key"))


def test_rows_that_are_left_over_are_refused(lists: Path, tmp_path: Path) -> None:
    inputs = write_shard(tmp_path, [("en", "heck"), ("en", "heck")])
    pq.write_table(pq.read_table(tmp_path / "clean.parquet").slice(0, 1), tmp_path / "clean.parquet")
    with pytest.raises(StoreError, match="clean and language of one shard have other ids"):
        run_task(Task(measure_bad_words, inputs, settings_for(lists), tmp_path / "out", 0, "key"))


def test_on_real_texts_the_shipped_list_finds_what_c4s_expression_finds(shared: Path) -> None:
    texts = pq.read_table(shared / "quality" / "labels.parquet", columns=["text"])["text"].to_pylist()[:300]
    settings = bad_word_settings(BadWords(), seed=0)
    entries = read_entries(settings)["en"]
    c4 = re.compile(r"(?:\W|^)({})(?:\W|$)".format("|".join(map(re.escape, entries))))
    expected = [c4.search(text.lower()) is not None for text in texts]
    found = [row["bad_word_count"] != 0 for row in measured(settings, [("en", text) for text in texts])]
    assert found == expected
    assert 0 < sum(found) < len(found)

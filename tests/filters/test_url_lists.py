"""Block lists for URLs: hosts, pages, words, what wins over what, and the form in which URLs are compared."""

from __future__ import annotations

import gzip
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from datassay.corpus.engine import Inputs, Task, run_task
from datassay.corpus.errors import InputError, RecipeError
from datassay.corpus.schema import DOCUMENT
from datassay.filters.url_lists import (
    SHIPPED_WORDS,
    URL_SIGNALS,
    UrlLists,
    UrlListSettings,
    canonical,
    load_lists,
    measure_urls,
    new_automaton,
    new_names,
    url_list_settings,
    url_signals,
)


def form(url: str) -> tuple[str, str]:
    """Host, and all, of a URL as it is compared."""
    names = canonical(pa.array(["padding", url], pa.large_string()))
    data = names.data[names.offsets[1] :].tobytes()
    return data[: names.host_ends[1] - names.offsets[1]].decode(), data.decode()


def settings_for(**values: object) -> UrlListSettings:
    return url_list_settings(UrlLists.model_validate({"shipped_words": False, **values}))


def measured(settings: UrlListSettings, urls: Sequence[str | None]) -> list[dict[str, object]]:
    batch, _ = url_signals(pa.array([str(i) for i in range(len(urls))]), pa.array(urls, pa.string()), settings)
    assert batch.schema == URL_SIGNALS
    batch.validate(full=True)
    rows: list[dict[str, object]] = batch.to_pylist()
    return rows


def matches(settings: UrlListSettings, url: str) -> str | None:
    """What blocks a URL."""
    (row,) = measured(settings, [url])
    assert row["url_is_blocked"] == (row["url_match"] is not None and not row["url_is_allowed"])
    return str(row["url_match"]) if row["url_is_blocked"] else None


# --- The form in which URLs are compared


@pytest.mark.parametrize(
    ("url", "host", "name"),
    [
        ("http://example.com", "example.com", "example.com"),
        ("HTTPS://User:p%40ss@WWW.Example.COM.:8080/A?b=C#D", "www.example.com", "www.example.com/a?b=c#d"),
        ("example.com:80/x", "example.com", "example.com/x"),
        ("//example.com/x", "example.com", "example.com/x"),
        ("http:\\\\example.com\\x", "example.com", "example.com/x"),
        ("http://a@b@example.com/x@y", "example.com", "example.com/x@y"),
        (" \thttp://example.com/a b \n", "example.com", "example.com/a b"),
        ("http://example.com?x=1", "example.com", "example.com/?x=1"),
        ("http://example.com#x", "example.com", "example.com/#x"),
        ("http://example.com:/x", "example.com", "example.com/x"),
        ("http://example.com../x", "example.com", "example.com/x"),
        ("http://ex%61mple.com/%7Ea%2fb%2", "example.com", "example.com/~a%2fb%2"),
        ("http://[2001:DB8::1]:80/x", "[2001:db8::1]", "[2001:db8::1]/x"),
        ("http://1.2.3.4:80/x", "1.2.3.4", "1.2.3.4/x"),
        ("http://bücher.de:81/Ä", "xn--bcher-kva.de", "xn--bcher-kva.de/ä"),
        ("http://b%C3%BCcher.de/%C3%84", "xn--bcher-kva.de", "xn--bcher-kva.de/ä"),
        ("http://me@XN--bcher-kva.de/", "xn--bcher-kva.de", "xn--bcher-kva.de/"),
        ("http://straße.de/", "xn--strae-oqa.de", "xn--strae-oqa.de/"),
        ("http://例え。テスト/x", "xn--r8jz45g.xn--zckzah", "xn--r8jz45g.xn--zckzah/x"),
        ("http://a_b.пример.рф", "a_b.xn--e1afmkfd.xn--p1ai", "a_b.xn--e1afmkfd.xn--p1ai"),
        ("http://example.com/%FF%C3%28%ED%A0%80%C0%80", "example.com", "example.com/%ff%c3%28%ed%a0%80%c0%80"),
        ("http://example.com/\u023a\U00010400", "example.com", "example.com/\u2c65\U00010428"),
        ("http://example.com/%F0%90%90%80", "example.com", "example.com/\U00010428"),
    ],
)
def test_the_form_of_a_url(url: str, host: str, name: str) -> None:
    assert form(url) == (host, name)


@pytest.mark.parametrize(
    "url",
    (
        *("", " ", "?", "#x", "http://", "http:///x", "http://./", "http://%/", "http://a b/x", "http://a%20b/"),
        *("javascript:void(0)", "urn:uuid:1-2", "http://a:b/", "http://[::1/x", "http://[::1]x/", "http://a,b.com"),
        "http://a%ff.com/",
    ),
)
def test_what_cannot_be_parsed_has_no_host(url: str) -> None:
    assert form(url)[0] == ""


LABEL = st.text("abcxyz019-_", min_size=1, max_size=5)
HOSTS = st.lists(LABEL, min_size=1, max_size=4).map(".".join)


@given(
    st.sampled_from(["http://", "https://", "//", "ftp://", ""]),
    st.sampled_from(["", "user@", "u:p@", "a@b:c@"]),
    HOSTS,
    st.sampled_from(["", ".", ":", ":80", ".:8080"]),
    st.text("aZ/?#=&.-é日%", max_size=12).map(lambda text: text and "/" + text),
)
def test_the_form_is_host_and_path_whatever_stands_around(
    scheme: str, user: str, host: str, port: str, path: str
) -> None:
    url = f"{scheme}{user}{host.upper()}{port}{path}"
    assert form(url) == (host, host + path.lower())


@given(st.text(max_size=30), st.sampled_from(["", "http://", "http://é", "http://a/"]))
def test_no_text_is_too_odd(text: str, start: str) -> None:
    host, name = form(start + text)
    assert name.startswith(host)
    measured(settings_for(block=["a.com"], soft_words=["a"], substrings=["ab"]), [start + text])


# --- Hosts and pages


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("http://bad.com", "bad.com"),
        ("http://www.bad.com/x", "bad.com"),
        ("http://a.b.bad.com:80/x", "bad.com"),
        ("http://sub.bad.com", "sub.bad.com"),  # the nearest of two
        ("http://notbad.com", None),
        ("http://bad.com.au", None),
        ("http://com", None),
        ("http://x.com/bad.com", None),
        ("http://site.org", "site.org"),  # its entry says www.
        ("http://b.www.site.org", "site.org"),
        ("http://star.org", "star.org"),
        ("http://a.star.org", "star.org"),
        ("http://dot.org", "dot.org"),
        ("http://gov.uk", None),  # the entry www.gov.uk is no entry for every .gov.uk
        ("http://www.gov.uk", "www.gov.uk"),
        ("http://other.blogspot.com", None),  # nor www.blogspot.com one for every blog
        ("http://xn--bcher-kva.de", "xn--bcher-kva.de"),
        ("http://shop.BÜCHER.de", "xn--bcher-kva.de"),
        ("http://1.2.3.4/x", "1.2.3.4"),
        ("http://0.1.2.3.4/x", None),
        ("http://[::1]/", "[::1]"),
        ("http://page.com", None),
        ("http://page.com/shop", "page.com/shop"),
        ("http://www.page.com/Shop/", "page.com/shop"),
        ("http://page.com/shop/a?b", "page.com/shop"),
        ("http://page.com/shop?b", "page.com/shop"),
        ("http://page.com/shop#b", "page.com/shop"),
        ("http://page.com/shopping", None),
        ("http://a.page.com/shop", None),
        ("http://page.com/?id=1", "page.com/?id=1"),
        ("http://page.com?id=1", "page.com/?id=1"),
        ("http://page.com/?id=12", None),
        ("http://page.com/?id=1&x", None),
        ("http://page.com/long/er", "page.com/long/er"),  # the nearest of two
    ],
)
def test_an_entry_stands_for_what_is_below_it(url: str, match: str | None) -> None:
    entries = ["bad.com", "http://Sub.Bad.com/", "www.site.org", "*.star.org", ".dot.org", "www.gov.uk", "1.2.3.4"]
    entries += ["www.blogspot.com", "bücher.de", "[::1]", "http://www.page.com/shop/", "page.com?id=1"]
    entries += ["page.com/long", "page.com/long/er"]
    assert matches(settings_for(block=entries), url) == match


def test_what_is_allowed_is_not_blocked_but_what_matched_is_said() -> None:
    settings = settings_for(block=["bad.com"], hard_words=["casino"], allow=["ok.bad.com", "fine.com/casino"])
    rows = measured(
        settings, ["http://a.ok.bad.com", "http://fine.com/casino/1", "http://fine.com/x-casino", "http://ok"]
    )
    assert [row["url_is_allowed"] for row in rows] == [True, True, False, False]
    assert [row["url_is_blocked"] for row in rows] == [False, False, True, False]
    assert [row["url_match"] for row in rows] == ["bad.com", "casino", "casino", None]


ENTRIES = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(".".join), max_size=4)


@given(ENTRIES, st.lists(HOSTS | st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(".".join), max_size=6))
def test_hosts_are_found_as_in_a_set(entries: list[str], hosts: list[str]) -> None:
    found = [row["url_match"] for row in measured(settings_for(block=entries), [f"http://{host}/" for host in hosts])]
    expected = []
    for host in hosts:
        labels = host.split(".")
        above = [".".join(labels[i:]) for i in range(len(labels))]
        above = above[:1] if labels[-1].isdigit() else above
        expected.append(next((name for name in above if name in entries), None))
    assert found == expected


@given(st.lists(st.integers(0, 2**64 - 1), max_size=50), st.lists(st.integers(0, 2**64 - 1), max_size=10))
def test_names_know_their_first_number(hashes: list[int], others: list[int]) -> None:
    from datassay.filters.url_lists import _number_of

    names = new_names(np.array(hashes, np.uint64), np.arange(len(hashes), dtype=np.uint16))
    for value in [*hashes, *others, 0, 2**64 - 1]:
        assert _number_of(names, np.uint64(value)) == (hashes.index(value) if value in hashes else -1)


# --- Words


def test_hard_words_come_before_soft_words_and_substrings() -> None:
    settings = settings_for(hard_words=["Porn", "xxx"], soft_words=["hot", "teen", "xxx"], substrings=["video"])
    urls = [
        "http://a.com/HOT-video-xxx-teen-porn",
        "http://hot.com/teen_hot",
        "http://hot.com/vid-eo",
        "http://hotteen.com",
    ]
    rows = measured(settings, urls)
    assert [row["url_match_kind"] for row in rows] == ["hard_word", "soft_words", "substring", None]
    assert [row["url_match"] for row in rows] == ["xxx", "hot teen", "video", None]
    assert [row["url_hard_word_count"] for row in rows] == [2, 0, 0, 0]
    assert [row["url_soft_word_count"] for row in rows] == [3, 2, 1, 0]
    assert [row["url_category"] for row in rows] == [None] * 4


@pytest.mark.parametrize(("threshold", "is_blocked"), [(1, True), (2, True), (3, False)])
def test_soft_words_block_from_the_threshold_on(threshold: int, is_blocked: bool) -> None:
    settings = settings_for(soft_words=["hot", "teen", "babe"], soft_word_threshold=threshold)
    assert (matches(settings, "http://a.com/hot/teen/hot") is not None) == is_blocked


def test_words_beyond_ascii_and_in_percent_escapes_are_words() -> None:
    settings = settings_for(hard_words=["Порно", "बुरा", "p0rn"])
    assert matches(settings, "http://a.com/ПОРНО") == "порно"
    assert matches(settings, "http://a.com/x-%D0%9F%D0%BE%D1%80%D0%BD%D0%BE.html") == "порно"
    assert matches(settings, "http://a.com/बुरा") == "बुरा"
    assert matches(settings, "http://a.com/%700rn") == "p0rn"
    assert matches(settings, "http://a.com/порнозавр") is None


def test_there_may_be_more_than_65536_words(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("\n".join(f"w{i}" for i in range(65_540)))
    settings = settings_for(hard_word_files=[str(tmp_path / "words")])
    assert [matches(settings, f"a.com/w{i}") for i in (0, 65_539, 65_540)] == ["w0", "w65539", None]


def test_words_are_looked_for_in_what_is_no_url() -> None:
    assert matches(settings_for(hard_words=["porn"]), "not a url, porn") == "porn"


@given(
    st.lists(st.text("abc0", min_size=1, max_size=3), max_size=5),
    st.lists(st.text("abc0", min_size=1, max_size=3), max_size=5),
    st.text("abc0-/.?", max_size=25),
)
def test_words_and_substrings_are_found_as_in_plain_python(words: list[str], parts: list[str], path: str) -> None:
    settings = settings_for(soft_words=words, substrings=parts, soft_word_threshold=2)
    (row,) = measured(settings, ["http://zz.org/" + path])
    found = set(re.split("[^a-z0-9]+", "zz.org/" + path)) & set(words)
    assert row["url_soft_word_count"] == len(found)
    squeezed = re.sub("[^a-z0-9]", "", "zz.org/" + path)
    ends = [squeezed.index(part) + len(part) for part in parts if part in squeezed]
    if len(found) >= 2:
        assert row["url_match_kind"] == "soft_words"
        assert set(str(row["url_match"]).split()) == found
    elif ends:
        assert row["url_match_kind"] == "substring"
        assert row["url_match"] == max((p for p in parts if squeezed[: min(ends)].endswith(p)), key=len)
    else:
        assert row["url_match_kind"] is None


def test_an_automaton_without_substrings_finds_nothing() -> None:
    assert new_automaton([]).lengths.tolist() == [0]


def test_the_shipped_words_are_of_the_kind_that_is_looked_for() -> None:
    settings = url_list_settings(UrlLists())
    assert len(settings.hard_words) > 50
    assert len(settings.soft_words) > 50
    assert min(map(len, settings.substrings)) >= 6
    assert not set(settings.hard_words) & set(settings.soft_words)
    assert matches(settings, "https://www.example.com/2021/05/how-to-bake-bread") is None
    assert SHIPPED_WORDS.stat().st_size < 10_000


# --- Files


@pytest.fixture
def ut1(tmp_path: Path) -> Path:
    """A folder as UT1 has it."""
    folder = tmp_path / "ut1"
    for category in ("adult", "press", "warez"):
        (folder / category).mkdir(parents=True)
    (folder / "adult" / "domains").write_bytes(b"# adult\r\nbad.com\r\n\r\nb\xe9d.com\r\nboth.com\n8.8.8.8")
    (folder / "adult" / "urls").write_text("page.com/adult/\n")
    (folder / "adult" / "usage").write_text("black")
    (folder / "press" / "domains").write_text("news.com\n")
    (folder / "warez" / "domains.gz").write_bytes(gzip.compress(b"crack.com\nboth.com\n"))
    return folder


def test_a_folder_of_categories(ut1: Path) -> None:
    settings = settings_for(folder=str(ut1), categories=["adult", "warez"], block=["mine.com"])
    urls = ["bad.com", "page.com/adult/1", "crack.com", "both.com", "news.com", "mine.com", "8.8.8.8"]
    rows = measured(settings, urls)
    categories = [row["url_category"] for row in rows]
    assert categories == ["adult", "adult", "warez", "adult", None, "recipe", "adult"]
    assert [row["url_is_blocked"] for row in rows] == [True, True, True, True, False, True, True]
    (row,) = measured(settings_for(folder=str(ut1), categories=["warez", "adult"]), ["both.com"])
    assert row["url_category"] == "warez"  # the first in the order of the recipe


def test_the_category_of_a_file_is_its_name(tmp_path: Path) -> None:
    for name in ("ads.txt", "spam", "old.list.gz"):
        data = f"{name.partition('.')[0]}.com\n".encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    settings = settings_for(block_files=[str(tmp_path / name) for name in ("ads.txt", "spam", "old.list.gz")])
    assert [row["url_category"] for row in measured(settings, ["ads.com", "spam.com", "old.com"])] == [
        "ads",
        "spam",
        "old",
    ]


def test_words_and_allowed_hosts_come_from_files_too(tmp_path: Path) -> None:
    (tmp_path / "hard").write_text("# comment\nCasino\n\n")
    (tmp_path / "soft").write_text("hot\nteen")
    (tmp_path / "parts").write_text("slotsonline")
    (tmp_path / "allow").write_text("ok.com\n")
    files = {f"{key}_files": [str(tmp_path / name)] for key, name in (("hard_word", "hard"), ("soft_word", "soft"))}
    settings = settings_for(**files, substring_files=[str(tmp_path / "parts")], allow_files=[str(tmp_path / "allow")])
    urls = ["a.com/casino", "ok.com/casino", "a.com/hot/teen", "slots-online.com"]
    assert [row["url_is_blocked"] for row in measured(settings, urls)] == [True, False, True, True]


def test_the_key_follows_the_contents_and_not_the_place(ut1: Path, tmp_path: Path) -> None:
    before = settings_for(folder=str(ut1), categories=["adult"])
    moved = ut1.rename(tmp_path / "elsewhere")
    after = settings_for(folder=str(moved), categories=["adult"])
    assert after.model_dump(mode="json") == before.model_dump(mode="json")
    (moved / "adult" / "domains").write_text("other.com\n")
    changed = settings_for(folder=str(moved), categories=["adult"])
    assert changed.model_dump(mode="json") != before.model_dump(mode="json")
    assert matches(changed, "other.com") == "other.com"
    assert matches(changed, "bad.com") is None


def test_what_is_missing_is_named(ut1: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        settings_for(folder=str(tmp_path / "nowhere"), categories=["adult"])
    with pytest.raises(RecipeError, match="say which categories are blocked; there are adult, press, warez"):
        settings_for(folder=str(ut1))
    with pytest.raises(RecipeError, match="no category 'porn' with a file domains or urls, only adult, press, warez"):
        settings_for(folder=str(ut1), categories=["porn"])
    with pytest.raises(RecipeError, match="give the folder that they are in"):
        settings_for(categories=["adult"])
    with pytest.raises(InputError, match="nothing: no such file"):
        settings_for(block_files=[str(tmp_path / "nothing")])
    with pytest.raises(ValidationError):
        settings_for(soft_word_threshold=0)


@pytest.mark.parametrize("key", ["block", "allow"])
@pytest.mark.parametrize("entry", ["", "# x", "not a host", "http://"])
def test_an_entry_that_is_none_is_named(key: str, entry: str) -> None:
    with pytest.raises(RecipeError, match=f"{key}: {entry!r} is no host or URL"):
        settings_for(**{key: ["ok.com", entry]})


@pytest.mark.parametrize(
    ("key", "word"), [("hard_words", "two words"), ("soft_words", "a_b"), ("substrings", "é"), ("hard_words", "")]
)
def test_a_word_that_no_url_could_hold_is_named(key: str, word: str) -> None:
    with pytest.raises(RecipeError, match=f"recipe: {word!r} is in no URL"):
        settings_for(**{key: [word]})


def test_a_file_that_is_no_list_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list"
    settings = {"block_files": [str(path)]}
    path.write_text("# a list\nok.com\n<p>no host</p>\n<br />\n")
    with pytest.raises(
        InputError, match=r"list, line 3: '<p>no host</p>' is no host or URL; right would be one a line"
    ):
        load_lists(settings_for(**settings))
    path.write_text("ok.com\n<p>no host</p>\n")  # one line of two is skipped
    assert matches(settings_for(**settings), "ok.com") == "ok.com"
    path.write_text("# nothing\n\n")
    with pytest.raises(InputError, match="list: no entry in it"):
        load_lists(settings_for(**settings))
    path.write_bytes(b"")
    with pytest.raises(InputError, match="list: no entry in it"):
        load_lists(settings_for(**settings))
    packed = tmp_path / "list.gz"
    packed.write_bytes(gzip.compress(b"ok.com\n" * 100)[:-9])
    with pytest.raises(InputError, match=r"list\.gz: cannot be read"):
        load_lists(settings_for(block_files=[str(packed)]))


def test_a_long_list_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datassay.filters.url_lists.BLOCK_LINES", 3)
    (tmp_path / "list").write_text("".join(f"h{i}.com\n" for i in range(10)) + "<no>\n" * 11)
    with pytest.raises(InputError, match="line 11: '<no>'"):
        load_lists(settings_for(block_files=[str(tmp_path / "list")]))
    (tmp_path / "list").write_text("".join(f"h{i}.com\n" for i in range(10)))
    rows = measured(settings_for(block_files=[str(tmp_path / "list")]), [f"h{i}.com" for i in range(11)])
    assert [row["url_is_blocked"] for row in rows] == [True] * 10 + [False]


# --- Stage


def run_stage(folder: Path, settings: UrlListSettings, rows: Sequence[tuple[str | None, str | None]]) -> Task:
    schema = pa.schema([DOCUMENT.field(name) for name in ("id", "url", "domain")])
    columns = [[str(i) for i in range(len(rows))], [url for url, _ in rows], [domain for _, domain in rows]]
    pq.write_table(pa.table(columns, schema=schema), folder / "clean.parquet", row_group_size=2)
    return Task(measure_urls, Inputs({"clean": (folder / "clean.parquet",)}), settings, folder / "out", 0, "key")


def test_the_stage_keeps_the_order_and_counts(tmp_path: Path) -> None:
    settings = settings_for(block=["bad.com"], hard_words=["porn"], allow=["good.bad.com"])
    rows = [("http://bad.com/x", "bad.com"), (None, "bad.com"), (None, None), ("http://good.bad.com", "bad.com")]
    rows += [("what is this", "bad.com"), ("http://porn.org", "porn.org")]
    done = run_task(run_stage(tmp_path, settings, rows))
    table = pq.read_table(tmp_path / "out" / done.files[0].name)
    assert table.schema == URL_SIGNALS
    assert table["id"].to_pylist() == list("012345")
    assert table["url_is_blocked"].to_pylist() == [True, True, False, False, False, True]
    assert done.counts == {
        "allowed": 1,
        "blocked": 3,
        "blocked_by_entry": 2,
        "blocked_by_hard_word": 1,
        "blocked_by_soft_words": 0,
        "blocked_by_substring": 0,
        "documents": 6,
        "without_host": 1,
        "without_url": 1,
    }


def test_the_stage_of_an_empty_shard(tmp_path: Path) -> None:
    done = run_task(run_stage(tmp_path, settings_for(), []))
    assert pq.read_table(tmp_path / "out" / done.files[0].name).schema == URL_SIGNALS


def test_the_hosts_of_real_urls_are_those_that_pythons_parser_finds(shared: Path) -> None:
    urls = pq.read_table(shared / "corpus" / "raw-00000.parquet", columns=["url"])["url"].drop_null().to_pylist()
    assert len(urls) > 1000
    names = canonical(pa.array(urls, pa.large_string()))
    data = names.data.tobytes()
    for url, start, end in zip(urls, names.offsets[:-1], names.host_ends, strict=True):
        assert data[start:end].decode() == (urlsplit(url).hostname or "").rstrip("."), url


def test_a_list_of_half_the_real_hosts_blocks_that_half(shared: Path, tmp_path: Path) -> None:
    names = pq.read_table(shared / "misc" / "domains.parquet")["domain"].to_pylist()
    (tmp_path / "half").write_text("\n".join(names[::2]))
    settings = settings_for(block_files=[str(tmp_path / "half")])
    rows = measured(settings, [f"http://{name}/x" for name in names])
    listed = set(names[::2])
    for name, row in zip(names, rows, strict=True):
        labels = name.split(".")
        expected = any(".".join(labels[i:]) in listed for i in range(len(labels)))
        assert row["url_is_blocked"] == expected, name

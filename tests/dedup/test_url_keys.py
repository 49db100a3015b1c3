"""One key for all spellings of a URL, and different keys for different pages."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datassay.dedup.url_keys import UrlKeys, url_key

DEFAULT = UrlKeys()


def key(url: str, **settings: object) -> str | None:
    return url_key(url, UrlKeys.model_validate(settings))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a/c?b=2&x=1",
        "https://example.com/a/c?b=2&x=1",
        "  HTTP://Example.COM/a/c?b=2&x=1\n",  # RFC 3986, 6.2.2.1: case of scheme and host
        "http://example.com:80/a/c?b=2&x=1",  # 6.2.3: the default port of the scheme
        "https://example.com:443/a/c?b=2&x=1",
        "http://example.com./a/c?b=2&x=1",  # the same name, from the root of the DNS on
        "http://www.example.com/a/c?b=2&x=1",
        "http://example.com/a/c/?b=2&x=1",
        "http://example.com/a/./b/../c?b=2&x=1",  # 6.2.2.3: dot segments
        "http://example.com/%61/c?b=2&x=1",  # 6.2.2.2: an escape that is not needed
        "http://example.com/a/c?x=1&b=2",
        "http://example.com/a/c?b=2&x=1#part-3",
        "http://example.com/a/c?b=2&&x=1&",
        "http://example.com/a/c?b=2&utm_source=feed&x=1&UTM_Medium=rss&gclid=Cj0K&fbclid=IwAR&_hsenc=p2",
        "http://example.com/a/c;jsessionid=1A2B?b=2&x=1&PHPSESSID=00ff&ASPSESSIONIDABC=Z",
    ],
)
def test_spellings_of_one_url(url: str) -> None:
    assert key(url) == "//example.com/a/c?b=2&x=1"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://example.com", "//example.com"),
        ("http://example.com/", "//example.com"),
        ("http://example.com/?", "//example.com"),
        ("http://example.com/?utm_source=x", "//example.com"),
        ("http://example.com/..", "//example.com"),
        ("http://example.com:8080/", "//example.com:8080"),
        ("https://example.com:80/", "//example.com:80"),  # not the default port of https
        ("http://www.com/", "//www.com"),  # a host of its own
        ("http://user@www.example.com/", "//user@example.com"),
        ("http://[::1]:80/a", "//[::1]/a"),
        ("http://münchen.de/straße?q=ä b", "//xn--mnchen-3ya.de/stra%C3%9Fe?q=%C3%A4%20b"),
        ("http://XN--Mnchen-3ya.de/stra%c3%9fe?q=%c3%a4%20b", "//xn--mnchen-3ya.de/stra%C3%9Fe?q=%C3%A4%20b"),
        ("http://例え.jp/%E3%81%82", "//xn--r8jz45g.jp/%E3%81%82"),
        ("http://example.com/a%2Fb", "//example.com/a%2Fb"),  # an escaped slash separates nothing
        ("http://example.com/100%", "//example.com/100%25"),  # no escape, so it needs one
        ("http://example.com/?a=2&a=1&b", "//example.com?a=2&a=1&b"),  # the values of one name keep their order
        ("http://example.com/app#!/page/2", "//example.com/app#!/page/2"),  # a fragment that names a page
        ("http://example.com/app#/page/2", "//example.com/app#/page/2"),
    ],
)
def test_keys(url: str, expected: str) -> None:
    assert key(url) == expected


def test_different_pages_have_different_keys() -> None:
    urls = [
        "http://example.com/a",
        "http://example.com/A",
        "http://example.com/a/index.html",
        "http://example.com/a?page=2",
        "http://example.com/a?page=",
        "http://example.com/a?page",
        "http://example.com/a?ref=2",  # a name that some sites mean otherwise
        "http://example.com/a?sid=2",
        "http://example.com/a?session=2",
        "http://blog.example.com/a",
        "http://example.org/a",
        "http://example.com:81/a",
        "http://example.com/a//b",
        "http://example.com/a/b",
    ]
    for one, other in combinations(urls, 2):
        assert key(one) != key(other), (one, other)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "n/a",
        "http:// /",
        "http://a b.com/",
        "http://a%00.com/",
        "example.com/page",
        "//example.com/page",
        "http://",
        "http:///page",
        "http://[::1/",
        "http://a:port/",
        "ftp://example.com/a",
        "urn:isbn:0451450523",
        "file:///data/rows.jsonl",
        "http://a:99999/",
        "httpx://a.com",
    ],
)
def test_what_is_no_url_of_the_web_has_no_key(url: str) -> None:
    assert key(url) is None


@pytest.mark.parametrize(
    ("setting", "one", "other"),
    [
        ({"ignore_scheme": False}, "http://a.com/x", "https://a.com/x"),
        ({"ignore_www": False}, "http://www.a.com/x", "http://a.com/x"),
        ({"ignore_trailing_slash": False}, "http://a.com/x/", "http://a.com/x"),
        ({"sort_query": False}, "http://a.com/x?a=1&b=2", "http://a.com/x?b=2&a=1"),
        ({"ignore_parameters": ()}, "http://a.com/x?utm_source=1", "http://a.com/x"),
        ({"ignore_parameters": ("ref",)}, "http://a.com/x;jsessionid=1", "http://a.com/x"),
    ],
)
def test_what_is_ignored_can_count(setting: dict[str, object], one: str, other: str) -> None:
    assert key(one) == key(other)
    assert key(one, **setting) != key(other, **setting)


@pytest.mark.parametrize(
    ("setting", "one", "other"),
    [
        ({"ignore_query": True}, "http://a.com/x?page=1", "http://a.com/x"),
        ({"ignore_index": True}, "http://a.com/x/Index.html", "http://a.com/x/"),
        ({"ignore_index": True}, "http://a.com/default.aspx", "http://a.com"),
        ({"ignore_case": True}, "http://a.com/X?Q=A", "http://a.com/x?q=a"),
        ({"ignore_parameters": ("ref", "s*d")}, "http://a.com/x?REF=1&sid=2&said=3", "http://a.com/x"),
    ],
)
def test_more_can_be_ignored(setting: dict[str, object], one: str, other: str) -> None:
    assert key(one) != key(other)
    assert key(one, **setting) == key(other, **setting)


@given(st.text())
def test_no_text_is_too_odd(text: str) -> None:
    assert (key(f"http://{text}") or "").isascii() or not text.isascii()


@given(st.text(st.sampled_from("/.%aA1?&=;+ é#")))
def test_a_key_is_its_own_key(path: str) -> None:
    found = key(f"http://example.com/{path}")
    assert found is not None
    assert key(f"http:{found}") == found

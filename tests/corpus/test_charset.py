"""Bytes become the text that their authors wrote, whatever anybody claims about the charset."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datassay.corpus.charset import declared_charset, decode, python_charset

RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. Широкая электрификация южных губерний. "
JAPANESE = "私はガラスを食べられます。それは私を傷つけません。日本語の文章です。"


@pytest.mark.parametrize(
    ("body", "header", "text", "charset"),
    [
        (b"", None, "", "utf-8"),
        ("naïve".encode(), "iso-8859-1", "naïve", "utf-8"),  # valid UTF-8 wins over the header
        (b"\xef\xbb\xbfabc", None, "abc", "utf-8"),
        ("abc".encode("utf-16"), "utf-8", "abc", "utf-16-le"),
        ("<p>abc".encode("utf-16-be"), None, "<p>abc", "utf-16-be"),  # without a mark
        (b"a\0b\0\0c", None, "abc", "utf-8"),
        (b"<meta charset=windows-1252>\x93quoted\x94", "utf-8", "<meta charset=windows-1252>“quoted”", "cp1252"),
        (b"<meta charset=iso-8859-1>\x93quoted\x94", None, "<meta charset=iso-8859-1>“quoted”", "cp1252"),
        (JAPANESE.encode("iso2022_jp"), None, JAPANESE, "iso2022_jp"),
        (JAPANESE.encode("shift_jis"), "utf-8", JAPANESE, "cp932"),
        (JAPANESE.encode("euc_jp"), None, JAPANESE, "euc_jp"),
        (RUSSIAN.encode("koi8-r"), "windows-1251", RUSSIAN, "koi8-r"),
        (RUSSIAN.encode("cp1251"), "none-such", RUSSIAN, "cp1251"),
    ],
)
def test_decode(body: bytes, header: str | None, text: str, charset: str) -> None:
    assert decode(body, header) == (text, charset)


def test_some_bad_bytes_leave_declared_utf8() -> None:
    body = b'<meta charset="utf-8">' + "füße ".encode() * 200 + b"\x93caf\xe9\x94"
    text, charset = decode(body, None)
    assert charset == "utf-8"
    assert text.count("füße") == 200


def test_a_declaration_as_utf16_that_can_be_read_is_wrong() -> None:
    assert declared_charset(b'<meta charset="utf-16">') == "utf-8"


@pytest.mark.parametrize(
    ("label", "name"),
    [
        (" GB2312 ", "gb18030"),
        ("x-sjis", "cp932"),
        ('"Latin1"', "cp1252"),
        ("none-such", None),
        ("", None),
        (None, None),
    ],
)
def test_labels_mean_what_they_mean_on_the_web(label: str | None, name: str | None) -> None:
    assert python_charset(label) == name


@given(st.binary(max_size=300), st.sampled_from([None, "utf-8", "utf-7", "base64", "idna", "big5", "punycode", "\0"]))
def test_never_raises(body: bytes, header: str | None) -> None:
    text, _ = decode(body, header)
    assert "\0" not in text

"""Personal data: what is found at each limit and one step beyond, where it stands, and what takes its place."""

from __future__ import annotations

import ipaddress
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from datassay.filters import pii_scan
from datassay.filters.pii import (
    DOLMA_TAGS,
    EDIT,
    KINDS,
    SPAN,
    PiiSettings,
    PiiTags,
    find_spans,
    pii_edits,
    replacement,
)
from datassay.filters.pii_numbers import BBANS, IBAN_LENGTHS, card_issuer, is_iban, luhn

REGISTRY = (
    # examples of SWIFT's IBAN registry
    *("AD1200012030200359100100", "AE070331234567890123456", "AL47212110090000000235698741"),
    *("AT611904300234573201", "BE68539007547034", "BG80BNBG96611020345678"),
    *("BR9700360305000010009795493P1", "CH9300762011623852957", "CR05015202001026284066"),
    *("CY17002001280000001200527600", "CZ6508000000192000145399", "DE89370400440532013000"),
    *("DK5000400440116243", "DO28BAGR00000001212453611324", "EE382200221020145685"),
    *("ES9121000418450200051332", "FI2112345600000785", "FR1420041010050500013M02606"),
    *("GB29NWBK60161331926819", "GE29NB0000000101904917", "GI75NWBK000000007099453"),
    *("GR1601101250000000012300695", "HR1210010051863000160", "HU42117730161111101800000000"),
    *("IE29AIBK93115212345678", "IL620108000000099999999", "IS140159260076545510730339"),
    *("IT60X0542811101000000123456", "KZ86125KZT5004100100", "LB62099900000001001901229114"),
    *("LI21088100002324013AA", "LT121000011101001000", "LU280019400644750000"),
    *("LV80BANK0000435195001", "MC5811222000010123456789030", "MT84MALT011000012345MTLCAST001S"),
    *("MU17BOMM0101101030300200000MUR", "NL91ABNA0417164300", "NO9386011117947"),
    *("PL61109010140000071219812874", "PT50000201231234567890154", "RO49AAAA1B31007593840000"),
    *("RS35260005601001611379", "SA0380000000608010167519", "SE4550000000058398257466"),
    *("SI56263300012039086", "SK3112000000198742637541", "SM86U0322509800000000270100"),
    *("TN5910006035183598478831", "TR330006100519786457841326", "UA213223130000026007233566001"),
    "VG96VPVG0000012345678901",
)
TEST_CARDS = (
    # numbers that payment services publish for tests
    *("4111111111111111", "4242424242424242", "5555555555554444", "5105105105105100", "2223003122003222"),
    *("378282246310005", "371449635398431", "6011111111111117", "3530111333300000"),
)


def values(text: str, kinds: tuple[str, ...] = KINDS, **options: bool) -> list[tuple[str, str]]:
    """Kind and value of everything found in a text."""
    spans = find_spans(pa.array([text]), kinds, **options)
    assert spans.schema == SPAN
    return [(span["kind"], text[span["start"] : span["end"]]) for span in spans.to_pylist()]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Write to jane.doe+x@mail.example.co.uk.", ["jane.doe+x@mail.example.co.uk"]),
        ("<A.B@GSA.GOV>, 'c@d.org'", ["A.B@GSA.GOV", "c@d.org"]),
        ("mailto:o'brien_9@a-b.museum?subject=x", ["o'brien_9@a-b.museum"]),
        ("%20info@firma.at", ["info@firma.at"]),
        ("“müller@exämple-firma.de”，иван@почта.рф。", ["müller@exämple-firma.de", "иван@почта.рф"]),
        ("邮箱abc@x.com。", ["abc@x.com"]),
        ("x@y.xn--p1ai", ["x@y.xn--p1ai"]),
        ("l" * 64 + "@x.org", ["l" * 64 + "@x.org"]),  # RFC 5321: 64 and no more
        ("l" * 65 + "@x.org", []),
        ("a@" + "b" * 63 + ".org", ["a@" + "b" * 63 + ".org"]),
        ("a@" + "b" * 64 + ".org", []),
        ("icon@2x.png user@host root@localhost @handle a@b. a@.org a@@b.org 1.@b.org pkg@1.2.3", []),
        ("user@example.com, x@mail.example.org, me@printer.local, y@z.test", []),
        ("a@b.com@c.com@d.com", ["b.com@c.com"]),
    ],
)
def test_mail_addresses(text: str, found: list[str]) -> None:
    assert values(text) == [("email", value) for value in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from 93.184.216.34, to http 255.1.1.1", ["93.184.216.34"]),  # 240.0.0.0/4 is reserved
        ("256.1.1.1 1.2.3 93.184.216.340 093.184.216.34 93.184.216.34.5 93.184.216.34a", []),
        ("10.1.2.3 192.168.0.77 172.31.0.1 127.0.0.1 169.254.9.9 192.0.2.44 198.51.100.7 203.0.113.9 100.64.3.3", []),
        ("172.32.0.1 and 100.128.0.1", ["172.32.0.1", "100.128.0.1"]),
        ("[~joe@217.89.81.34]:8080", ["217.89.81.34"]),
        ("version 93.184.216.34, Chrome/93.0.4577.63, openssl-93.184.216.34, v93.184.216.34", []),
        ("see 7.29.4.2 and\n31.31.31.200 ", []),  # three numbers below 32: a section or a version…
        ("the server 31.31.31.200", ["31.31.31.200"]),  # …unless called a host
        ("32.1.1.1", ["32.1.1.1"]),
        ("upgrade V8 from 4.2.77.18 to 4.2.77.20", []),
        ('d="M4.12 3.12v24.8c0 1.44.3 2.48.93 3.12.62.65-.68 0 0 .67-.21 2.2.82.64"', []),
        ("2001:4860:4860::8888.", ["2001:4860:4860::8888"]),
        ("[2a00:1450:4001:81b:0:0:0:200e]:80", ["2a00:1450:4001:81b:0:0:0:200e"]),
        ("2A00:1450:4001:081B:0000:0000:0000:200E", ["2A00:1450:4001:081B:0000:0000:0000:200E"]),
        ("::ffff:93.184.216.34", ["::ffff:93.184.216.34"]),
        ("::1 fe80::1 2001:db8::1 fd00::2 :: 2001:4860::/32 abc::def std::bad 12:30:45 00:1b:44:11:3a:b7", []),
        ("2001:4860:4860:::8888 12001:4860:4860::8888 1:2:3:4:5:6:7:8:9", []),
    ],
)
def test_ip_addresses(text: str, found: list[str]) -> None:
    assert values(text) == [("ip", value) for value in found]


def test_what_is_nobodys_is_found_if_asked_for() -> None:
    text = "192.168.2.3 fe80::1 a@example.com 212-555-0123"
    assert values(text) == []
    assert [value for _, value in values(text, include_reserved=True)] == text.split()


@pytest.mark.parametrize("number", REGISTRY)
def test_account_numbers_of_the_registry(number: str) -> None:
    groups = " ".join(number[i : i + 4] for i in range(0, len(number), 4))
    assert len(number) == IBAN_LENGTHS[number[:2]]
    for written in (number, number.lower(), groups, groups.replace(" ", "-")):
        assert values(f"IBAN: {written}, thanks") == [("iban", written)]
        assert values(f"x{written}", ("iban",)) == []
    assert values(f"{number}7", ("iban",)) == []
    assert values(number[:-1], ("iban",)) == []


@given(st.sampled_from(REGISTRY), st.data())
def test_one_wrong_character_is_no_account_number(number: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(2, len(number) - 1))
    other = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != number[at]]))
    assert not is_iban(number[:at] + other + number[at + 1 :])  # modulo 97 sees every change of one character


def test_check_digits_that_banks_do_not_give() -> None:
    """97 + 00 and 98 + 01 have the same remainder; only 02 to 98 are given (ISO 13616)."""
    for i in range(1000):
        bban = f"{i:018d}"
        good = 98 - int(f"{bban}131400") % 97  # D is 13, E is 14
        assert [check for check in range(100) if is_iban(f"DE{check:02d}{bban}")] == [good]


@pytest.mark.parametrize("number", TEST_CARDS)
def test_cards_that_prove_themselves(number: str) -> None:
    assert values(f"paid {number}.") == [("card", number)]
    assert values(f"paid {number[:-1]}{(int(number[-1]) + 1) % 10}.", ("card",)) == []
    assert values(f"id={number}", ("card",)) == []  # part of a longer name
    assert values(f"1{number}", ("card",)) == []
    assert values(f"rng({number})", ("card",)) == []
    if len(number) == 16:
        groups = "-".join(number[i : i + 4] for i in range(0, 16, 4))
        assert values(groups) == [("card", groups)]


def test_a_table_of_codes_holds_no_cards() -> None:
    assert values("54FE 54FF 5500 5501 5502 5503 5504 5505") == []
    assert values("5105 1051 0510 5100 5101 510A", ("card",)) == []
    assert values("5105 1051 0510 5100 thanks", ("card",)) == [("card", "5105 1051 0510 5100")]


@pytest.mark.parametrize("number", ["4222222222222", "30569309025904", "6759649826438453", "6200000000000005"])
def test_cards_that_need_a_word(number: str) -> None:
    assert values(f"number {number}", ("card",)) == []
    assert values(f"my card {number}", ("card",)) == [("card", number)]


def test_luhn() -> None:
    assert luhn("79927398713") == 0  # the example of the patent
    assert [luhn(f"7992739871{digit}") == 0 for digit in range(10)] == [digit == 3 for digit in range(10)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("123-45-6789", ["123-45-6789"]),
        ("000-45-6789 666-45-6789 900-45-6789 123-00-6789 123-45-0000 123-45-67890 0123-45-6789 1-123-45-6789", []),
        ("899-01-0001", ["899-01-0001"]),
        ("SSN 123 45 6789", ["123 45 6789"]),
        ("123 45 6789", []),
    ],
)
def test_social_security_numbers(text: str, found: list[str]) -> None:
    assert values(text, ("ssn",)) == [("ssn", value) for value in found]
    assert values(text, PiiSettings().kinds) == []  # not a default kind, and no phone number


@pytest.mark.parametrize(
    "number",
    [
        *(
            "+1 212 736 5000",
            "+12127365000",
            "+49 (0)30 259219-0",
            "+44 20 7946 0123",
            "+7(495)609-44-44",
            "+374 91 073313",
        ),
        *("+353 1 9203901", "+886 (2) 2568-3356", "+41-44-2581000", "+49 (0) 30 – 555 780 2", "001-518-640-0854"),
        "1 - 800 - 273 - 0462",
        *(
            "(212) 736-5000",
            "212-736-5000",
            "212.736.5000",
            "1-800-772-1213",
            "202-736-5000 x123",
            "202-736-5000 ext. 7",
        ),
        *("01 23 45 67 89", "01.84.17.61.18", "020 7946 0123", "01632 960123", "044 668 18 00", "03-6717-6939"),
        *("(08) 8747 6301", "(11) 98765-4321", "8 (800) 500-11-00", "08-123 456 78"),
    ],
)
def test_phone_numbers_by_their_shape(number: str) -> None:
    for before, after in (("", ""), ("Acme, 5 High St\n", "\nOpen daily"), ("at ", ". It")):
        assert values(before + number + after) == [("phone", number)]


@pytest.mark.parametrize(
    "number", ["467 3395", "72 128 827", "5403926876", "030-27586-467", "98765 43210", "22 123 45 67"]
)
@pytest.mark.parametrize(
    ("before", "after"),
    [("Tel.: ", ""), ("Phone:\n", ""), ("call me on ", "?"), ("電話：", "\n"), ("T: ", ""), ("", " (fax)")],
)
def test_phone_numbers_by_a_word_beside(number: str, before: str, after: str) -> None:
    assert values(before + number + after) == [("phone", number)]
    assert values(f"It says {number} there") == []


def test_one_word_for_a_list_of_phone_numbers() -> None:
    assert [value for _, value in values("Teléfonos: 7881-2353 y 7881-1464, 7881 1465.")] == [
        "7881-2353",
        "7881-1464",
        "7881 1465",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "ISBN 978-0-306-40615-7, ISBN 0-306-40615-2, ISSN 2049-3630, 9780306406157",
        "doi:10.1000/212-736-5000, https://x.org/212-736-5000?id=+12127365000",
        "2010-05-12 12:30, 12.05.2010, call 2010-05-12, tel 1990-1995, (1990) 1995-1999",
        "Copyright (c) 1997-2010 and Visual C++ 2013-2022",
        "CA\t+4906-11631\tAmerica/Creston, +394606-0860929",
        "f(x) = +12345678 + 1.23456789 + 0.00517447318",
        "Am. Math. Monthly 45, 446-447. 1938; Nature 27 (12) 1123-1135; (12) 1123-1135",
        '{"mobile": 213920363, "mobile_id":"10550762"}',
        'd="M3.237l-.002.04c-.008.12-.015.23-.02.34.05.03 c-.002 7.79 2.162 20.35"',
        "0069 0307 0303; 01 02 03 04 05; 206.766 9896; DFARS 252.227-7014; + 14285714.286 x +2147483647 +35236450.6",
        "https://x.org/mobile/4676908/a, charge-your-phone-1839906505",
        "order no. 212-736-5000 of part 212.736.5000",
        "12 345 678 90 123 45 678 9 1234",
        "phone of 1234 and tel 123456",  # under seven digits
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8, a212-736-5000, 212-736-50001, 1212-736-5000",
        "212-555-0123, +44 7700 900123, 07700 900456",  # set aside for fiction
    ],
)
def test_what_is_no_phone_number(text: str) -> None:
    assert values(text, PiiSettings().kinds) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see http://a.org/b?c=d#e, or https://x.y:80/", ["http://a.org/b?c=d#e", "https://x.y:80/"]),
        ("(https://en.wikipedia.org/wiki/A_(b))", ["https://en.wikipedia.org/wiki/A_(b)"]),
        ("[text](http://a.org/b)!", ["http://a.org/b"]),
        ('"www.a-b.de/x", Www.c.fr.', ["www.a-b.de/x", "Www.c.fr"]),
        ("http://[2001:4860::8]:8/x http://localhost", ["http://[2001:4860::8]:8/x", "http://localhost"]),
        ("https://user:pw@h.com/a", ["https://user:pw@h.com/a"]),
        ("https://x.com/abc查看更多，http://пример.рф/й。", ["https://x.com/abc", "http://пример.рф/й"]),
        ("a://b c++://d http:// www. www.a http://.a", []),
        ("http://a.org/?mail=joe@b.org&tel=+12127365000", ["http://a.org/?mail=joe@b.org&tel=+12127365000"]),
    ],
)
def test_web_addresses(text: str, found: list[str]) -> None:
    assert values(text) == [("url", value) for value in found]


def test_spans_are_characters_and_rows_those_of_the_array() -> None:
    texts = ["ß😀 a@b.org", None, "", "日本 tel 467 3395 und x@y.de"]
    expected = [(0, 3, 10, "email"), (3, 7, 15, "phone"), (3, 20, 26, "email")]
    for kind in (pa.string(), pa.large_string()):
        array = pa.array(["skipped s@t.org", *texts], kind)
        spans = find_spans(array.slice(1), KINDS)
        assert [tuple(row.values()) for row in spans.to_pylist()] == expected
        assert find_spans(pa.chunked_array([array.slice(1, 2), array.slice(3)]), KINDS).equals(spans)
    assert find_spans(pa.array([], pa.string()), KINDS).num_rows == 0
    assert find_spans(pa.array([None], pa.string()), KINDS).num_rows == 0


def test_only_the_kinds_asked_for() -> None:
    text = "http://x.org/ a@b.org 93.184.216.34 DE89370400440532013000 4111111111111111 123-45-6789 +12127365000"
    assert [kind for kind, _ in values(text)] == ["url", "email", "ip", "iban", "card", "ssn", "phone"]
    for kind in KINDS:
        assert [found for found, _ in values(text, (kind,))] == [kind]
    with pytest.raises(ValueError, match="kinds \\['name'\\]: right would be some of iban, card"):
        find_spans(pa.array([text]), ("name",))


ALPHABET = [
    *"@:/.-+() \n",
    "::",
    "://",
    "www.",
    "tel ",
    "1",
    "23",
    "456",
    "7890",
    "a",
    "DE",
    "é",
    "日",
    "4111",
    "fe80",
    "@x.org",
]
soup = st.lists(st.sampled_from(ALPHABET), max_size=60).map("".join)


@given(st.lists(soup | st.text(), max_size=6))
def test_spans_are_in_order_apart_and_the_same_in_any_batch(texts: list[str]) -> None:
    spans = [tuple(span.values()) for span in find_spans(pa.array(texts, pa.large_string()), KINDS).to_pylist()]
    assert spans == sorted(spans)
    for (row, _, end, _), (next_row, start, _, _) in pairwise(spans):
        assert row < next_row or end <= start
    assert all(0 <= start < end <= len(texts[row]) for row, start, end, _ in spans)
    alone = [find_spans(pa.array([text]), KINDS).to_pylist() for text in texts]
    assert spans == [(row, *list(span.values())[1:]) for row, some in enumerate(alone) for span in some]


@given(soup)
def test_every_mail_address_of_a_plain_pattern_is_found(text: str) -> None:
    """A second way: letters, an @, letters, a dot and `org`, with spaces around."""
    expected = re.findall(r"(?:^|(?<=\s))[a-z0-9]+@[a-z0-9]+\.org(?=\s|$)", text)
    assert [value for value in expected if value not in [found for _, found in values(text, ("email",))]] == []


UNITS = [
    *(
        "@",
        "a@",
        "a.b@",
        "a@b.",
        "a" * 70 + "@",
        "1",
        "1.",
        "1.2.3.4",
        "1-",
        "1 ",
        "+",
        "+1",
        "(",
        "((1)",
        "http://",
        "http://(",
    ),
    *(
        "http://a.b)",
        "www.",
        "://",
        ":",
        "::",
        "a:",
        "f:",
        "2001:",
        "DE89 ",
        "DE89",
        "tel ",
        "tel: 12",
        "4111 ",
        "+49 30 1",
        "é@",
    ),
    *("212-555-", "0-", "%20", "x@y.org@", "[::", "phone : ; , ", "1(0)", "\u00a01", "1\u2013", "9" * 65),
]


@pytest.mark.parametrize("unit", UNITS)
def test_work_grows_linearly(unit: str) -> None:
    """Bytes that the pass looks at twice, candidates, and the bytes of these: no more than so many for each byte."""
    ibans = pii_scan.iban_lengths(IBAN_LENGTHS)
    shapes = 2 * pii_scan.DIGITS - 1
    for n in (1000, 10_000):
        data = (unit * n)[:n].encode()
        scanned = pii_scan.scan(np.array([0, len(data)]), np.frombuffer(data, np.uint8), shapes, ibans)
        n_bytes = int((scanned.ends - scanned.starts).sum())
        assert scanned.n_looked <= 350 * len(data)  # an @ looks at 64 bytes before and 255 behind it at most
        assert n_bytes <= 350 * len(data)
        if "http" not in unit and "www" not in unit and "//" not in unit:  # which are trimmed without a pattern
            assert int((scanned.ends - scanned.starts).max(initial=0)) <= 512
        find_spans(pa.array([data.decode(errors="ignore")]), KINDS)


def test_settings() -> None:
    assert PiiSettings().kinds == ("iban", "card", "ip", "email", "phone")
    assert PiiSettings(kinds=("url", "ip", "ip")) == PiiSettings(kinds=("ip", "url"))
    for wrong in ({"kinds": ()}, {"kinds": ("name",)}, {"replace": "hash"}, {"tags": {"name": "x"}}, {"seed": -1}):
        with pytest.raises(ValidationError):
            PiiSettings.model_validate(wrong)
    assert PiiSettings.model_validate({"tags": {"ip": "[IP]"}}).tags == PiiTags(ip="[IP]")


TEXT = "Fax +49 30 2592190, a@b.org; IBAN DE89 3704 0044 0532 0130 00."


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (PiiSettings(), "Fax <phone>, <email>; IBAN <iban>."),
        (PiiSettings(replace="remove", kinds=("email",)), "Fax +49 30 2592190, ; IBAN DE89 3704 0044 0532 0130 00."),
        (
            PiiSettings(tags=DOLMA_TAGS, kinds=("email", "phone")),
            "Fax  |||PHONE_NUMBER||| ,  |||EMAIL_ADDRESS||| ; IBAN DE89 3704 0044 0532 0130 00.",
        ),
    ],
)
def test_edits_applied(settings: PiiSettings, expected: str) -> None:
    assert applied(TEXT, settings) == expected


def applied(text: str, settings: PiiSettings) -> str:
    """The text after its edits."""
    for edit in reversed(pii_edits(pa.array(["x"]), pa.array([text]), settings).to_pylist()):
        text = text[: edit["start"]] + edit["replacement"] + text[edit["end"] :]
    return text


def test_edits_name_document_and_rule() -> None:
    edits = pii_edits(
        pa.array(["d1", "d2", "d3"]), pa.array(["a@b.org 93.184.216.34", "", "tel 467 3395"]), PiiSettings()
    )
    assert edits.schema == EDIT
    assert [tuple(row.values()) for row in edits.to_pylist()] == [
        ("d1", 0, 7, "pii/email", "<email>"),
        ("d1", 8, 21, "pii/ip", "<ip>"),
        ("d3", 4, 12, "pii/phone", "<phone>"),
    ]
    assert pii_edits(pa.array([], pa.string()), pa.array([], pa.string()), PiiSettings()).num_rows == 0


VALUES = [
    *(("iban", number) for number in REGISTRY),
    *(("card", number) for number in TEST_CARDS),
    *(("email", f"user{i}@firma.de") for i in range(30)),
    *(("ip", f"93.184.216.{i}") for i in range(1, 30)),
    *(("ip", f"2a00:1450::{i:x}") for i in range(1, 30)),
    *(
        ("phone", number)
        for number in ("+49 30 2592190", "+44 20 7946 1234", "(212) 736-5000", "07911 123456", "467 3395")
    ),
    *(("ssn", "123-45-6789"), ("url", "https://en.wikipedia.org/wiki/A")),
]


@pytest.mark.parametrize("seed", [0, 7])
def test_fakes_are_stable_and_nobodys(seed: int) -> None:
    settings = PiiSettings(replace="fake", seed=seed, kinds=KINDS)
    for kind, value in VALUES:
        fake = replacement(kind, value, settings)
        assert fake == replacement(kind, value, settings)
        assert kind == "url" or found_again(kind, fake) == []
        if kind == "email":
            assert re.fullmatch(r"[a-z]+\d{4}@example\.(com|net|org)", fake)  # RFC 2606
        elif kind == "ip":
            nets = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")  # RFC 5737, 3849
            address = ipaddress.ip_address(fake)
            assert any(address in ipaddress.ip_network(net) for net in nets if (":" in net) == (":" in fake))
            assert (":" in fake) == (":" in value)
        elif kind == "iban":
            assert fake[:2] == value[:2]
            assert len(fake) == len(value)
            assert fake[2:4] in ("00", "01")
            assert int("".join(str(int(c, 36)) for c in fake[4:] + fake[:4])) % 97 != 1
        elif kind == "card":
            assert (card_issuer(fake) or "")[:1] == (card_issuer(value) or "")[:1]
            assert luhn(fake) != 0
        elif kind == "phone":
            assert re.fullmatch(r"(?:\+1 )?\(?\d{3}\)?[ -]555-01\d\d|(?:\+44 7|07)700 900\d{3}", fake)
        elif kind == "ssn":
            assert re.fullmatch(r"000-\d\d-\d{4}", fake)


def found_again(kind: str, fake: str) -> list[tuple[str, str]]:
    """What is found of a fake, beside the word for its kind."""
    return values(f"{'tel' if kind == 'phone' else kind} {fake}", (kind,))


def test_one_value_has_one_fake_however_it_is_written() -> None:
    settings = PiiSettings(replace="fake")
    for kind, one, other in (
        ("email", "Jane@Firma.de", "jane@firma.de"),
        ("ip", "2001:4860::8", "2001:4860:0::0008"),
    ):
        assert replacement(kind, one, settings) == replacement(kind, other, settings)
    for kind, one, other in (
        ("iban", "DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        ("card", "4111-1111-1111-1111", "4111 1111 1111 1111"),
    ):
        a, b = replacement(kind, one, settings), replacement(kind, other, settings)
        assert re.sub("[ -]", "", a) == re.sub("[ -]", "", b)
        assert [i for i, c in enumerate(a) if c in " -"] == [i for i, c in enumerate(one) if c in " -"]
    assert len({replacement("email", f"user{i}@firma.de", settings) for i in range(200)}) > 190
    assert replacement("email", "a@b.org", settings) != replacement(
        "email", "a@b.org", PiiSettings(replace="fake", seed=1)
    )


def test_fakes_are_not_faked_again() -> None:
    settings = PiiSettings(replace="fake")
    text = (
        "Tel. 467 3395, +49 30 2592190, a@b.org, 93.184.216.34, 2a00:1450::8, DE89370400440532013000, 4111111111111111"
    )
    once = applied(text, settings)
    assert once != text
    assert applied(once, settings) == once


def test_every_country_has_a_shape_of_the_right_length() -> None:
    assert len(BBANS) == 89
    assert (IBAN_LENGTHS["NO"], IBAN_LENGTHS["RU"], IBAN_LENGTHS["GB"]) == (15, 33, 22)  # shortest, longest


def test_marked_sentences(shared: Path) -> None:
    """750 sentences of presidio-research: every marked value is found, and nothing that is not marked."""
    kinds = {
        "EMAIL_ADDRESS": "email",
        "PHONE_NUMBER": "phone",
        "CREDIT_CARD": "card",
        "IBAN_CODE": "iban",
        "IP_ADDRESS": "ip",
        "US_SSN": "ssn",
        "DOMAIN_NAME": "url",
    }
    with (shared / "misc/pii.jsonl.zst").open("rb") as file:
        lines = zstandard.ZstdDecompressor().stream_reader(file).read().splitlines()
    rows = [orjson.loads(line) for line in lines]
    true = sorted(
        (row, span["start"], span["end"], kinds[span["type"]])
        for row, sentence in enumerate(rows)
        for span in sentence["spans"]
        if span["type"] in kinds
    )
    spans = find_spans(pa.array([row["text"] for row in rows]), KINDS).to_pylist()
    assert [tuple(span.values()) for span in spans] == true

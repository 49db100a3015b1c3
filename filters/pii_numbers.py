"""Numbers that prove themselves: IBAN (ISO 13616), payment cards (ISO/IEC 7812), US SSN, and IP addresses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from itertools import groupby

_BBANS = """
AD 8n12c   AE 19n     AL 8n16c     AT 16n     AZ 4a20c   BA 16n      BE 12n     BG 4a6n8c BH 4a14c   BI 23n
BR 23n1a1c BY 4c4n16c CH 5n12c     CR 18n     CY 8n16c   CZ 20n      DE 18n     DJ 23n    DK 14n     DO 4c20n
EE 16n     EG 25n     ES 20n       FI 14n     FK 2a12n   FO 14n      FR 10n11c2n GB 4a14n GE 2a16n   GI 4a15c
GL 14n     GR 7n16c   GT 24c       HN 4a20n   HR 17n     HU 24n      IE 4a14n   IL 19n    IQ 4a15n   IS 22n
IT 1a10n12c JO 4a4n18c KW 4a22c    KZ 3n13c   LB 4n20c   LC 4a24c    LI 5n12c   LT 16n    LU 3n13c   LV 4a13c
LY 21n     MC 10n11c2n MD 20c      ME 18n     MK 3n10c2n MN 16n      MR 23n     MT 4a5n18c MU 4a19n3a NI 4a20n
NL 4a10n   NO 11n     OM 3n16c     PK 4a16c   PL 24n     PS 4a21c    PT 21n     QA 4a21c  RO 4a16c   RS 18n
RU 14n15c  SA 2n18c   SC 4a20n3a   SD 14n     SE 20n     SI 15n      SK 20n     SM 1a10n12c SO 19n   ST 21n
SV 4a20n   TL 19n     TN 20n       TR 6n16c   UA 6n19c   VA 18n      VG 4a16n   XK 16n    YE 4a4n18c
"""
"""By country: what follows the check digits, in runs of n digits, a letters or c either (SWIFT's IBAN registry)."""

BBANS = {
    country: tuple((int(length), kind) for length, kind in re.findall(r"(\d+)([nac])", shape))
    for country, shape in re.findall(r"([A-Z]{2}) (\w+)", _BBANS)
}
IBAN_LENGTHS = {country: 4 + sum(length for length, _ in shape) for country, shape in BBANS.items()}
_CLASSES = {"n": "[0-9]", "a": "[A-Z]", "c": "[A-Z0-9]"}
_IBANS = {
    country: re.compile("".join(f"{_CLASSES[kind]}{{{length}}}" for length, kind in shape))
    for country, shape in BBANS.items()
}

_ISSUERS = (
    # (first, last) of the leading digits, lengths, whether it is told from other numbers without a word beside it
    (("4", "4"), (16,), True),  # Visa
    (("4", "4"), (13, 18, 19), False),  # and EAN-13 of Germany and Japan; ids of 19 digits
    (("51", "55"), (16,), True),  # Mastercard
    (("2221", "2720"), (16,), True),
    (("34", "34"), (15,), True),  # American Express
    (("37", "37"), (15,), True),
    (("6011", "6011"), (16, 19), True),  # Discover
    (("644", "649"), (16, 19), True),
    (("65", "65"), (16, 19), True),
    (("3528", "3589"), (16, 17, 18, 19), True),  # JCB
    (("35", "35"), (16,), False),  # what test data calls JCB
    (("1800", "1800"), (15,), False),
    (("2131", "2131"), (15,), False),
    (("300", "305"), (14, 16), False),  # Diners Club
    (("3095", "3095"), (14, 16), False),
    (("36", "36"), (14, 16), False),
    (("38", "39"), (14, 16), False),
    (("62", "62"), (16, 17, 18, 19), False),  # UnionPay
    (("2200", "2204"), (16, 17, 18, 19), False),  # Mir
    (("50", "50"), (12, 13, 14, 15, 16, 17, 18, 19), False),  # Maestro
    (("56", "58"), (12, 13, 14, 15, 16, 17, 18, 19), False),
    (("6304", "6304"), (12, 13, 14, 15, 16, 17, 18, 19), False),
    (("6390", "6390"), (12, 13, 14, 15, 16, 17, 18, 19), False),
    (("6759", "6763"), (12, 13, 14, 15, 16, 17, 18, 19), False),
)

_DASHES = "\\-\u2010\u2011\u2012\u2013"
_CARD = re.compile(
    rf"(?<![0-9])(?<![0-9][.{_DASHES}])(?:"
    rf"[0-9]{{4}}([ \u00a0{_DASHES}])[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}(?:\1[0-9]{{3}})?"
    rf"|3[0-9]{{3}}([ \u00a0{_DASHES}])[0-9]{{6}}\2[0-9]{{4,5}}"
    rf"|[0-9]{{12,19}}"
    rf")(?![0-9])(?![.{_DASHES}][0-9])"
)
_CARD_WORDS = re.compile(
    r"card|visa|maestro|amex|american express|\bjcb\b|diners|discover|unionpay|\bcredit|\bdebit|\bcc\b|\bcvv|\bcvc"
    r"|karte|\bcarte\b|tarjeta|\bcarta\b|cartão|kortnummer|карт|カード|卡",
    re.IGNORECASE,
)
_CODE_BEFORE = re.compile(r"\b[0-9A-Fa-f]{4,5}\s\Z|\w\(\Z|[=:]\s?\Z")
_CODE_AFTER = re.compile(r"\s[0-9A-Fa-f]{4,5}\b")
"""Around a number that is one of a table of codes, or an argument or a value in a program."""
_SSN = re.compile(r"(?<![0-9])(?<![0-9][.\-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![0-9])(?!-[0-9])")
_BARE_SSN = re.compile(r"(?<![0-9])(?!000|666|9)[0-9]{3}([ ]?)(?!00)[0-9]{2}\1(?!0000)[0-9]{4}(?![0-9])")
_SSN_WORDS = re.compile(r"\bssn\b|social security", re.IGNORECASE)

_IN_TOKEN = re.compile(r"[\w/=_&?#%@.\-]\Z")
"""What stands right before a number that is part of an address or a longer name."""
_VERSION_WORD = re.compile(
    r"(?:\b(?:v|ver|version|versions|release|build|firmware|update|upgrade|driver|section|sec|chapter|clause|rule|table"
    r"|figure|fig|oid|appendix|paragraph|iec|iso|rev|revision)\b\.?|§)[\s:#(]*\Z",
    re.IGNORECASE,
)
_HOST_WORD = re.compile(
    r"\bips?\b|\bip[_-]|address|\bdns\b|\bhosts?\b|server|\bping\b|gateway|router|proxy|client|\bfrom:?\s*\Z",
    re.IGNORECASE,
)
_RELEASE = re.compile(r"\b(?:upgrad|updat|patch|bump|version|releas)\w*\b[^\n]{0,24}\Z", re.IGNORECASE)
_DECIMAL_BEFORE = re.compile(r"(?<![0-9.])[0-9]*(?:\.[0-9]+){1,2}[ ,\-]?\Z")
"""A row of numbers, as in a path of SVG: `.67-.21 2.2.82.64`."""
_LOW_OCTET = 32
"""Where the first three of four numbers are below this, it is a version or a section as a rule."""


def is_iban(text: str) -> bool:
    """Whether an account number without separators has its country's length and structure and proves by modulo 97."""
    number = text.upper()
    shape = _IBANS.get(number[:2])
    if shape is None or not shape.fullmatch(number, 4) or not "02" <= number[2:4] <= "98":
        return False
    return iban_remainder(number) == 1


def iban_remainder(number: str) -> int:
    """An account number in capitals modulo 97 (ISO 7064): 1 where its check digits are right."""
    return int("".join(str(int(character, 36)) for character in number[4:] + number[:4])) % 97


def luhn(digits: str) -> int:
    """The sum of ISO/IEC 7812 modulo 10: 0 where the last digit is right."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(int(digit) for digit in digits[::-2]) + sum(doubled)) % 10


def card_issuer(digits: str) -> tuple[str, bool] | None:
    """The first leading digits of the issuer's range, and whether it is telling by itself; None if nobody's."""
    for (low, high), lengths, is_telling in _ISSUERS:
        if len(digits) in lengths and low <= digits[: len(low)] <= high:
            return low, is_telling
    return None


def card_spans(before: str, digits: str, after: str) -> Iterator[tuple[int, int]]:
    """Where payment cards stand in a row of digits and separators, given the text around it.

    Issuer, length and Luhn's sum must agree. Where these are no proof (a range full of other numbers, an EAN-13 in
    particular), or the number is part of a longer name, a word such as "card" must stand beside.
    """
    for match in _CARD.finditer(digits):
        number = "".join(re.findall("[0-9]+", match[0]))
        issuer = card_issuer(number)
        if issuer is None or luhn(number) or len(set(number)) == 1:
            continue
        is_proof = issuer[1] and not (match.start() == 0 and _IN_TOKEN.search(before)) and not after[:1].isalpha()
        left, right = before + digits[: match.start()], digits[match.end() :] + after
        is_proof &= not (_CODE_BEFORE.search(left[-8:]) or _CODE_AFTER.match(right))
        if is_proof or _CARD_WORDS.search(before[-40:]) or _CARD_WORDS.search(after[:20]):
            yield match.span()


def ssn_spans(before: str, digits: str, _after: str) -> Iterator[tuple[int, int]]:
    """Where social security numbers of the US stand in a row of digits, without areas and groups never given out."""
    found = [match.span() for match in _SSN.finditer(digits)]
    if not found and _SSN_WORDS.search(before[-40:]):
        found = [match.span() for match in _BARE_SSN.finditer(digits)]
    if not found or not _IN_TOKEN.search(before) or found[0][0] > 0:
        yield from found


def is_personal_ipv4(address: str, before: str, after: str, *, include_reserved: bool) -> bool:
    """Whether four numbers with dots are an address of the public net (RFC 6890), and no version or section."""
    if before[-1:].isalnum() or before[-1:] in ("_", ".") or after[:1] == "_":
        return False
    if before[-1:] in ("/", "-") and before[-2:-1].isalpha() and not before.endswith("//"):
        return False  # Chrome/41.0.2228.0, openssl-1.0.2.1
    if _VERSION_WORD.search(before[-24:]) or after.startswith((".in-addr", ".IN-ADDR")) or address.endswith(".0.0"):
        return False
    if _DECIMAL_BEFORE.search(before[-12:]) or _RELEASE.search(before[-48:]):
        return False
    line = before.rpartition("\n")[2]
    if max(int(octet) for octet in address.split(".")[:3]) < _LOW_OCTET and not _HOST_WORD.search(line[-40:]):
        return False
    return include_reserved or is_global(ipaddress.IPv4Address(address))


def ipv6_span(text: str, before: str, after: str, *, include_reserved: bool) -> tuple[int, int] | None:
    """Where in a run of hexadecimal digits, colons and dots an address of the public net stands, if it is one."""
    end = len(text.rstrip("."))
    if text[:end].endswith(":") and not text[:end].endswith("::"):
        end -= 1
    if before[-1:].isalnum() or before[-1:] in ("_", ":", ".", "-") or after[:1].isalnum() or after[:1] == "_":
        return None
    try:
        address = ipaddress.IPv6Address(text[:end])
    except ValueError:
        return None
    if int(address) & ((1 << 64) - 1) == 0:
        return None  # a network, not a host
    if include_reserved:
        is_wanted = any(character.isdigit() for character in text)  # abc::def is a name in several languages
    elif address.ipv4_mapped is not None:
        is_wanted = is_global(address.ipv4_mapped)
    else:
        is_wanted = int(address) >> 125 == 1 and is_global(address)  # 2000::/3, all that is given out (IANA)
    return (0, end) if is_wanted else None


_DOCUMENTATION = tuple(ipaddress.ip_network(net) for net in ("2001:db8::/32", "3fff::/20"))
_RESERVED = tuple(
    ipaddress.ip_network(net)
    for net in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
        *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4"),
    )
)
"""Blocks that are nobody's host (RFC 6890 and its updates, multicast, 6to4 relays)."""


def is_global(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address may be somebody's. The blocks stand here, since `ipaddress` changes them between versions."""
    return not any(address in net for net in (_RESERVED if address.version == 4 else _DOCUMENTATION))


def grouped_like(value: str, replacement: str) -> str:
    """The characters of `replacement` with the separators of `value`, which has as many characters beside them."""
    characters = iter(replacement)
    return "".join(
        "".join(next(characters) if is_word else character for character in run)
        for is_word, run in groupby(value, str.isalnum)
    )

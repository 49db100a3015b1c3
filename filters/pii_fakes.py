"""Fakes of personal data: of the same kind and shape, the same for the same value, and never anybody's."""

from __future__ import annotations

import ipaddress
import re

import xxhash

from datassay.corpus.hashing import seed_of
from datassay.filters.pii_numbers import BBANS, IBAN_LENGTHS, card_issuer, grouped_like, iban_remainder, luhn

_NAMES = (
    *(
        "alex",
        "anna",
        "ben",
        "carla",
        "chris",
        "dana",
        "david",
        "elena",
        "emma",
        "eric",
        "eva",
        "felix",
        "fiona",
        "george",
    ),
    *(
        "hanna",
        "helen",
        "ines",
        "ivan",
        "jan",
        "jonas",
        "julia",
        "karl",
        "kim",
        "laura",
        "leo",
        "lena",
        "lucas",
        "maria",
    ),
    *("mark", "marta", "max", "maya", "mia", "nina", "noah", "nora", "oscar", "paul", "peter", "rosa", "ruth", "sam"),
    *("sara", "simon", "sofia", "tara", "theo", "tina", "tom", "vera", "victor", "zoe"),
)
_EXAMPLE_DOMAINS = ("example.com", "example.net", "example.org")  # RFC 2606
_EXAMPLE_NETS = ("192.0.2", "198.51.100", "203.0.113")  # RFC 5737
_AREA_CODES = (
    "202",
    "206",
    "212",
    "213",
    "214",
    "215",
    "303",
    "305",
    "312",
    "404",
    "415",
    "503",
    "512",
    "612",
    "617",
    "702",
)


class Draws:
    """Numbers that follow from seed, kind and value alone."""

    def __init__(self, kind: str, value: str, seed: int) -> None:
        self._value = value.encode()
        self._seed = seed_of(f"pii_{kind}", seed)

    def below(self, n: int) -> int:
        """The next number in [0, n)."""
        self._seed = xxhash.xxh3_64_intdigest(self._value, self._seed)
        return self._seed % n

    def characters(self, kind: str, n: int) -> str:
        """n digits (kind n), capitals (a) or either (c)."""
        alphabet = {"n": "0123456789", "a": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}.get(
            kind, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        )
        return "".join(alphabet[self.below(len(alphabet))] for _ in range(n))


def fake(kind: str, value: str, seed: int) -> str:
    """A value of this kind that is nobody's, the same for the same value however it is written.

    Mail addresses are at example.com, .net and .org (RFC 2606), IP addresses of the blocks for documentation (RFC 5737,
    3849), phone numbers 555-0100 to 555-0199 of North America or 07700 900000 to 900999 of the United Kingdom, which
    are set aside for fiction. Account numbers of an IBAN keep their country and get check digits that no bank gives,
    cards keep their issuer and fail Luhn's sum, social security numbers begin with 000: all are refused everywhere.
    """
    return _FAKES[kind](value, Draws(kind, canonical(kind, value), seed))


def canonical(kind: str, value: str) -> str:
    """What two ways to write one value have in common."""
    if kind in ("phone", "card", "ssn"):
        return "".join(re.findall("[0-9]+", value))
    if kind == "iban":
        return "".join(re.findall("[0-9A-Z]+", value.upper()))
    if kind == "ip" and ":" in value:
        return str(ipaddress.IPv6Address(value))
    return value if kind == "url" else value.lower()


def _email(_value: str, draws: Draws) -> str:
    name, number = _NAMES[draws.below(len(_NAMES))], draws.below(10_000)
    return f"{name}{number:04d}@{_EXAMPLE_DOMAINS[draws.below(3)]}"


def _ip(value: str, draws: Draws) -> str:
    if ":" not in value:
        return f"{_EXAMPLE_NETS[draws.below(3)]}.{1 + draws.below(254)}"
    return str(ipaddress.IPv6Address((0x20010DB8 << 96) + (draws.below(1 << 32) << 64) + draws.below(1 << 64)))


def _phone(value: str, draws: Draws) -> str:
    digits = canonical("phone", value)
    if digits.startswith(("44", "0044")) and value[:1] in "+0(":
        return f"+44 7700 900{draws.below(1000):03d}"
    if digits.startswith("07") and len(digits) == 11:
        return f"07700 900{draws.below(1000):03d}"
    area, number = _AREA_CODES[draws.below(len(_AREA_CODES))], draws.below(100)
    if value.startswith(("+", "00", "(+")):
        return f"+1 {area}-555-01{number:02d}"
    return f"({area}) 555-01{number:02d}" if value.startswith("(") else f"{area}-555-01{number:02d}"


def _iban(value: str, draws: Draws) -> str:
    country = value[:2].upper()
    bban = "".join(draws.characters(kind, n) for n, kind in BBANS[country])
    # Banks give 02 to 98. By modulo 97, 00 is the same as 97 and 01 as 98, so that the other one of the two fails.
    check = "00" if iban_remainder(f"{country}00{bban}") != 1 else "01"
    return grouped_like(value, f"{country}{check}{bban}"[: IBAN_LENGTHS[country]])


def _card(value: str, draws: Draws) -> str:
    digits = canonical("card", value)
    issuer = card_issuer(digits)
    prefix = issuer[0] if issuer else digits[:1]
    number = prefix + draws.characters("n", len(digits) - len(prefix) - 1)
    right = next(str(last) for last in range(10) if luhn(f"{number}{last}") == 0)
    return grouped_like(value, f"{number}{(int(right) + 1 + draws.below(9)) % 10}")


def _ssn(value: str, draws: Draws) -> str:
    return grouped_like(value, "000" + draws.characters("n", 6))


def _url(_value: str, draws: Draws) -> str:
    return f"https://{_EXAMPLE_DOMAINS[draws.below(3)]}/{draws.below(1 << 32):08x}"


_FAKES = {"email": _email, "ip": _ip, "phone": _phone, "iban": _iban, "card": _card, "ssn": _ssn, "url": _url}

"""Personal data: what is found of what people marked and of generated values, and how fast beside datatrove's patterns.

    python benchmarks/pii.py [FOLDER] [--show KIND N]

FOLDER: the shared data (data/ under DATASSAY_SHARED), with misc/pii.jsonl.zst and corpus/raw-*.parquet. Three parts:

- marked: 750 sentences of presidio-research whose values are marked; recall and precision by kind with Wilson's 95 %
  intervals, where a value counts if the kind is right and the spans are the same (exact) or overlap.
- generated: values of all countries, issuers and notations; and texts that hold none: ISBN, DOI, dates, versions, ids.
- speed: MB of UTF-8 for each second of CPU time on the corpus, beside the two regular expressions that datatrove's
  PIIFormatter runs over every text (e-mail and IPv4), written anew here, on Python strings that are there already.

`--show phone 100` prints that many found values of the corpus between the text around them, to be read by a person.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import sqrt
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from datassay.filters.pii import KINDS, PiiSettings, find_spans
from datassay.filters.pii_numbers import BBANS

KIND_OF_TYPE = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip",
    "US_SSN": "ssn",
    "DOMAIN_NAME": "url",
}
Place = tuple[int, int, str]

_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)"
PEER_EMAIL = re.compile(rf"\b{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+{_LABEL}")
PEER_IP = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}")

PHONES = {
    "United States": ("+1 ### 555 ####|2", "(2##) 555-####", "2##-555-####", "2##.555.####"),
    "United Kingdom": ("+44 20 #### ####", "020 #### ####", "01### ######", "07### ######"),
    "Germany": ("+49 30 ########", "(030) ######", "030/#######", "0171 #######"),
    "France": ("+33 1 ## ## ## ##", "01 ## ## ## ##", "01.##.##.##.##", "06-##-##-##-##"),
    "Spain": ("+34 91# ### ###", "91# ### ###", "6## ## ## ##", "(91) ### ## ##"),
    "Italy": ("+39 06 ########", "06 ########", "02-########", "347 #######"),
    "Netherlands": ("+31 20 ### ####", "020-#######", "020 ### ####", "06-########"),
    "Switzerland": ("+41 44 ### ## ##", "044 ### ## ##", "0800 ### ###", "079 ### ## ##"),
    "Sweden": ("+46 8 ### ### ##", "08-### ### ##", "070-### ## ##", "031-## ## ##"),
    "Poland": ("+48 22 ### ## ##", "22 ### ## ##", "### ### ###", "(22) ### ## ##"),
    "Russia": ("+7 495 ###-##-##", "8 (495) ###-##-##", "8-800-###-##-##", "+7(495)###-##-##"),
    "Turkey": ("+90 212 ### ## ##", "0212 ### ## ##", "(0212) ### ## ##", "0532 ### ####"),
    "India": ("+91 98### #####", "98### #####", "011-########", "022 #### ####"),
    "China": ("+86 138 #### ####", "138########", "010-########", "138 #### ####"),
    "Japan": ("+81 3 #### ####", "03-####-####", "090-####-####", "0120-###-###"),
    "South Korea": ("+82 2 #### ####", "02-####-####", "010-####-####", "031-###-####"),
    "Brazil": ("+55 11 9####-####", "(11) 9####-####", "(11) ####-####", "11 9####-####"),
    "Mexico": ("+52 55 #### ####", "55 #### ####", "(55) #### ####", "55-####-####"),
    "Australia": ("+61 2 #### ####", "(02) #### ####", "02 #### ####", "0412 ### ###"),
    "South Africa": ("+27 11 ### ####", "011 ### ####", "082 ### ####", "(011) ### ####"),
}
"""A country's number from abroad and three ways in which it is written at home; # is any digit, | 2 the area code's."""

NEGATIVES: dict[str, Callable[[random.Random], str]] = {
    "ISBN-13": lambda r: (
        f"ISBN 978-{r.randrange(10)}-{r.randrange(100, 1000)}-{r.randrange(10_000, 99_999)}-{r.randrange(10)}"
    ),
    "ISBN-13 in one": lambda r: f"97{r.choice('89')}{r.randrange(10**9, 10**10)}",
    "ISBN-10": lambda r: f"ISBN 0-{r.randrange(100, 1000)}-{r.randrange(10_000, 99_999)}-{r.choice('0123456789X')}",
    "ISSN": lambda r: f"ISSN {r.randrange(1000, 9999)}-{r.randrange(1000, 9999)}",
    "DOI": lambda r: (
        f"doi:10.{r.randrange(9999):04d}/s{r.randrange(10**4, 10**5)}-{r.randrange(100, 999)}-{r.randrange(9999):04d}-7"
    ),
    "date": lambda r: (
        f"{r.randrange(1950, 2030)}-{r.randrange(1, 13):02d}-{r.randrange(1, 29):02d} {r.randrange(24):02d}:30:15"
    ),
    "date with dots": lambda r: f"{r.randrange(1, 29):02d}.{r.randrange(1, 13):02d}.{r.randrange(1950, 2030)}",
    "years": lambda r: f"({r.randrange(1900, 1990)}-{r.randrange(1990, 2030)})",
    "version": lambda r: f"version {r.randrange(20)}.{r.randrange(20)}.{r.randrange(9999)}.{r.randrange(300)}",
    "section": lambda r: f"{r.randrange(1, 20)}.{r.randrange(1, 20)}.{r.randrange(1, 20)}.{r.randrange(1, 20)} Methods",
    "user agent": lambda r: f"Chrome/{r.randrange(40, 130)}.0.{r.randrange(255)}.{r.randrange(200)} Safari/537.36",
    "16 digits": lambda r: f"number {r.randrange(10**15, 10**16)}",
    "id of 16 digits": lambda r: f"id={r.randrange(10**15, 10**16)}",
    "id of 19 digits": lambda r: f"status {r.randrange(10**18, 2 * 10**18)}",
    "time in ms": lambda r: f"at {r.randrange(14 * 10**11, 18 * 10**11)} ms",
    "UUID": lambda r: "-".join(f"{r.randrange(16**n):0{n}x}" for n in (8, 4, 4, 4, 12)),
    "MAC": lambda r: ":".join(f"{r.randrange(256):02x}" for _ in range(6)),
    "time of day": lambda r: f"{r.randrange(24):02d}:{r.randrange(60):02d}:{r.randrange(60):02d}",
    "price": lambda r: f"${r.randrange(1, 999)},{r.randrange(100, 999)},{r.randrange(100, 999)}.00",
    "table row": lambda r: " ".join(str(r.randrange(10, 99_999)) for _ in range(12)),
    "decimals": lambda r: f"{r.random():.12f} +{r.random() * 9:.9f}",
    "pages": lambda r: (
        f"Nature {r.randrange(100, 600)} ({r.randrange(9, 99)}), {r.randrange(1000, 4000)}-{r.randrange(4000, 9000)}"
    ),
    "private IP": lambda r: f"host 192.168.{r.randrange(256)}.{r.randrange(256)}",
    "C++ and Perl": lambda r: f"std::vector<Face::Bad> a{r.randrange(9)}::b; abc::def",
    "file at scale": lambda r: f"icon{r.randrange(99)}@2x.png",
}


def main() -> None:
    """Run the three parts, or show values."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default=os.environ.get("DATASSAY_SHARED", "../shared") + "/data")
    parser.add_argument("--show", nargs=2, metavar=("KIND", "N"))
    arguments = parser.parse_args()
    folder = Path(arguments.folder)
    if arguments.show:
        show(folder, arguments.show[0], int(arguments.show[1]))
        return
    marked(folder / "misc" / "pii.jsonl.zst")
    generated()
    speed(folder)


def wilson(n: int, total: int) -> str:
    """A share with Wilson's 95 % interval."""
    if total == 0:
        return "none"
    z, p = 1.959964, n / total
    middle, scale = (p + z * z / (2 * total)), 1 + z * z / total
    half = z * sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return f"{n}/{total} [{max(0.0, (middle - half) / scale):.3f}, {min(1.0, (middle + half) / scale):.3f}]"


def places(texts: Sequence[str], kinds: Sequence[str] = KINDS) -> list[list[Place]]:
    """What is found in each text."""
    found: list[list[Place]] = [[] for _ in texts]
    for span in find_spans(pa.array(texts, pa.large_string()), kinds).to_pylist():
        found[span["row"]].append((span["start"], span["end"], span["kind"]))
    return found


def overlaps(place: Place, others: Sequence[Place]) -> bool:
    """Whether a value of the same kind stands over the same place."""
    return any(kind == place[2] and a < place[1] and b > place[0] for a, b, kind in others)


def marked(path: Path) -> None:
    """Print recall and precision on marked sentences, and every error."""
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        rows = [orjson.loads(line) for line in io.TextIOWrapper(stream, "utf-8")]
    counts: Counter[tuple[str, str]] = Counter()
    for row, got in zip(rows, places([row["text"] for row in rows]), strict=True):
        true = [(s["start"], s["end"], KIND_OF_TYPE[s["type"]]) for s in row["spans"] if s["type"] in KIND_OF_TYPE]
        for place in true:
            counts[place[2], "true"] += 1
            counts[place[2], "exact"] += place in got
            counts[place[2], "overlap"] += overlaps(place, got)
        for place in got:
            counts[place[2], "found"] += 1
            counts[place[2], "right"] += overlaps(place, true)
        for place in {*true} ^ {*got}:
            print(f"  {'missed' if place in true else 'not marked'}: {place[2]} {row['text'][place[0] : place[1]]!r}")
    print(f"{'marked':8} {'recall, exact':26} {'recall, overlap':26} {'precision, exact':26} precision, overlap")
    for kind in KINDS:
        true_count, found_count = counts[kind, "true"], counts[kind, "found"]
        shares = [(counts[kind, "exact"], true_count), (counts[kind, "overlap"], true_count)]
        shares += [(counts[kind, "exact"], found_count), (counts[kind, "right"], found_count)]
        print(f"{kind:8} " + " ".join(f"{wilson(*share):26}" for share in shares))


def generated() -> None:
    """Print recall on generated values and the texts without any in which something is found."""
    print(f"\n{'generated':26} {'exact':26} overlap")
    for name, kind, cases in generators():
        texts = [before + value + after for before, value, after in cases]
        true = [(len(before), len(before) + len(value), kind) for before, value, _ in cases]
        got = places(texts)
        exact = sum(place in some for place, some in zip(true, got, strict=True))
        overlap = sum(overlaps(place, some) for place, some in zip(true, got, strict=True))
        print(f"{name:26} {wilson(exact, len(cases)):26} {wilson(overlap, len(cases))}")
    print(f"\n{'without any':26} texts in which something is found")
    r = random.Random(3)
    for name, make in NEGATIVES.items():
        texts = [f"It says {make(r)} there." for _ in range(400)]
        got = places(texts, PiiSettings().kinds)
        wrong = [(text, some) for text, some in zip(texts, got, strict=True) if some]
        example = f"  such as {wrong[0][0]!r}: {wrong[0][1][0][2]}" if wrong else ""
        print(f"{name:26} {wilson(len(wrong), len(texts))}{example}")


def generators() -> Iterator[tuple[str, str, list[tuple[str, str, str]]]]:
    """Name, kind and cases (text before, value, text after) of each set of generated values."""
    r = random.Random(1)
    plain = ("It says ", " there.")
    numbers = [iban(country, r) for country in BBANS for _ in range(5)]
    yield "IBAN, all countries", "iban", [(plain[0], number, plain[1]) for number in numbers]
    grouped = [" ".join(number[i : i + 4] for i in range(0, len(number), 4)) for number in numbers]
    yield "IBAN in groups of four", "iban", [(plain[0], number, plain[1]) for number in grouped]
    cards = [card(prefix, n, r) for prefix, n in CARDS for _ in range(20)]
    yield "card, word beside", "card", [("my card ", number, plain[1]) for number in cards]
    yield "card, alone", "card", [(plain[0], number, plain[1]) for number in cards]
    fours = [" ".join(number[i : i + 4] for i in range(0, 16, 4)) for number in cards if len(number) == 16]
    yield "card in groups of four", "card", [("paid with card ", number, plain[1]) for number in fours]
    for name, make in (("full", ipv6_full), ("shortened", ipv6_short), ("capitals", lambda r: ipv6_short(r).upper())):
        yield f"IPv6, {name}", "ip", [(plain[0], make(r), plain[1]) for _ in range(200)]
    v4 = [f"{r.randrange(32, 100)}.{r.randrange(256)}.{r.randrange(256)}.{r.randrange(1, 255)}" for _ in range(200)]
    yield "IPv4", "ip", [(plain[0], address, plain[1]) for address in v4]
    mails = [f"{r.choice(LOCALS)}{r.choice(['', '+x', '-1', '_z'])}@{r.choice(DOMAINS)}" for _ in range(200)]
    yield (
        "e-mail",
        "email",
        [(r.choice(["<", "mailto:", "to ", "(", "“"]), mail, r.choice([">", ".", ")", ", ", "”"])) for mail in mails],
    )
    ssns = [
        f"{r.choice([*range(1, 666), *range(667, 900)]):03d}-{r.randrange(1, 100):02d}-{r.randrange(1, 10000):04d}"
        for _ in range(200)
    ]
    yield "US SSN", "ssn", [(plain[0], number, plain[1]) for number in ssns]
    for country, (abroad, *home) in PHONES.items():
        yield f"{country}, from abroad", "phone", [(plain[0], phone(abroad, r), plain[1]) for _ in range(100)]
        at_home = [phone(shape, r) for shape in home for _ in range(50)]
        yield f"{country}, tel.", "phone", [("Tel.: ", number, "\n") for number in at_home]
        yield f"{country}, alone", "phone", [(plain[0], number, plain[1]) for number in at_home]


CARDS = (
    *(("4", 13), ("4", 16), ("4", 19), ("51", 16), ("55", 16), ("2221", 16), ("2720", 16), ("34", 15), ("37", 15)),
    *(
        ("6011", 16),
        ("644", 16),
        ("65", 16),
        ("3528", 16),
        ("3589", 16),
        ("300", 14),
        ("36", 14),
        ("38", 14),
        ("62", 16),
    ),
    *(("5018", 12), ("6304", 13), ("6759", 16), ("6763", 19), ("2200", 16), ("2131", 15), ("1800", 15)),
)
LOCALS = ("jane.doe", "j", "info", "o'brien", "anna_k", "max.m.muster", "x99", "müller", "иван")
DOMAINS = ("web.de", "mail.co.uk", "a-b.org", "sub.uni-x.edu", "exämple-firma.at", "почта.рф", "x.xn--p1ai", "t.museum")


def iban(country: str, r: random.Random) -> str:
    """An account number with right check digits, found by trying all of them."""
    alphabets = {"n": "0123456789", "a": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "c": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
    bban = "".join(r.choice(alphabets[kind]) for n, kind in BBANS[country] for _ in range(n))
    for check in range(2, 99):
        remainder = 0
        for character in f"{bban}{country}{check:02d}":
            value = int(character, 36)
            remainder = (remainder * (100 if value > 9 else 10) + value) % 97
        if remainder == 1:
            return f"{country}{check:02d}{bban}"
    raise AssertionError("one of 97 remainders is right")


def card(prefix: str, n: int, r: random.Random) -> str:
    """A card number of n digits, its last digit found by trying all ten."""
    body = prefix + "".join(r.choice("0123456789") for _ in range(n - len(prefix) - 1))
    for last in "0123456789":
        digits = [int(digit) for digit in body + last]
        for i in range(n - 2, -1, -2):
            digits[i] = digits[i] * 2 - 9 * (digits[i] > 4)
        if sum(digits) % 10 == 0:
            return body + last
    raise AssertionError("one of ten digits is right")


def ipv6_full(r: random.Random) -> str:
    """An address of 2a00::/12 in eight groups."""
    return "2a" + ":".join([f"{r.randrange(256):02x}", *(f"{r.randrange(1, 65536):04x}" for _ in range(7))])


def ipv6_short(r: random.Random) -> str:
    """An address of 2a00::/12 with a gap."""
    n = r.randrange(1, 4)
    left = [f"2a{r.randrange(256):02x}", *(f"{r.randrange(1, 65536):x}" for _ in range(n))]
    return ":".join(left) + "::" + ":".join(f"{r.randrange(1, 65536):x}" for _ in range(r.randrange(1, 5 - n + 1)))


def phone(shape: str, r: random.Random) -> str:
    """A number of this shape; in the United States area code and exchange start with 2 to 9, and none is fiction."""
    shape, _, first = shape.partition("|")
    if first:
        shape = shape.replace("#", first, 1)
    shape = shape.replace("555", f"{r.randrange(220, 300)}") if "555" in shape else shape
    return re.sub("#", lambda _: str(r.randrange(1, 9)), shape)


def speed(folder: Path) -> None:
    """Print MB/s of CPU time on the corpus, beside datatrove's patterns."""
    texts = [
        pq.read_table(path, columns=["text"])["text"].combine_chunks().cast(pa.large_string())
        for path in sorted((folder / "corpus").glob("raw-*.parquet"))
    ]
    find_spans(texts[0].slice(0, 10), KINDS)  # compiles
    strings = [text for array in texts for text in array.to_pylist()]
    n_bytes = sum(len(text.encode()) for text in strings)

    def ours(kinds: Sequence[str]) -> int:
        return sum(find_spans(array, kinds).num_rows for array in texts)

    def peers() -> int:
        return sum(len(PEER_EMAIL.findall(text)) + len(PEER_IP.findall(text)) for text in strings)

    print(f"\nspeed on {n_bytes / 1e6:.0f} MB of {len(strings)} texts, one core")
    rates = {}
    for name, run in (
        ("datatrove's two patterns", peers),
        ("email, ip", lambda: ours(("email", "ip"))),
        ("default kinds", lambda: ours(PiiSettings().kinds)),
        ("all kinds", lambda: ours(KINDS)),
    ):
        begin = time.process_time()
        n = run()
        rates[name] = n_bytes / 1e6 / (time.process_time() - begin)
        ratio = rates[name] / rates["datatrove's two patterns"]
        print(f"{name:26} {rates[name]:7.1f} MB/s  {ratio:5.1f}x  {n} found")


def show(folder: Path, kind: str, n: int) -> None:
    """Print n different values of a kind found in the corpus, chosen by chance, between the text around them."""
    seen: dict[str, tuple[str, str, str]] = {}
    for path in sorted((folder / "corpus").glob("raw-*.parquet")):
        texts = pq.read_table(path, columns=["text"])["text"].to_pylist()
        for text, some in zip(texts, places(texts), strict=True):
            for a, b, found in some:
                if found == kind:
                    seen.setdefault(text[a:b], (text[max(0, a - 40) : a], text[a:b], text[b : b + 20]))
    chosen = random.Random(1).sample(sorted(seen.values()), min(n, len(seen)))
    for parts in chosen:
        print("  ".join(map(repr, parts)))
    print(f"{len(chosen)} of {len(seen)} different values")


if __name__ == "__main__":
    main()

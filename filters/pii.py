"""Personal data and web addresses in texts, as spans: where they stand, and what takes their place.

Found are mail addresses, public IP addresses, phone numbers, IBANs, payment cards and, if asked for, US social security
numbers and URLs. Names, street addresses and whatever else needs understanding are not. A value that proves itself
(modulo 97, Luhn) needs no word beside it; digits that do not are taken for a phone number by their shape or the words
around them. What belongs to nobody is left alone: private and reserved IP addresses, example.com, 555-0123.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Collection, Iterator
from itertools import groupby
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, Field, field_validator

from datassay.corpus.edits import EDIT
from datassay.corpus.unicode import text_buffers
from datassay.filters import pii_scan
from datassay.filters.pii_addresses import email_span, is_reserved_email, url_span
from datassay.filters.pii_fakes import fake
from datassay.filters.pii_numbers import (
    IBAN_LENGTHS,
    card_spans,
    ipv6_span,
    is_iban,
    is_personal_ipv4,
    ssn_spans,
)
from datassay.filters.pii_phones import is_fiction, phone_spans

VERSION = 1

Kind = Literal["email", "ip", "phone", "iban", "card", "ssn", "url"]
KINDS: tuple[Kind, ...] = ("iban", "card", "ip", "email", "url", "ssn", "phone")
"""All kinds; of two spans of the same length over the same place the first one wins."""

SPAN = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),  # of the texts given
        pa.field("start", pa.int64(), nullable=False),  # characters from the start of the text
        pa.field("end", pa.int64(), nullable=False),  # exclusive
        pa.field("kind", pa.string(), nullable=False),
    ]
)
_CONTEXT_BEFORE, _CONTEXT_AFTER = 96, 32  # bytes around a number that may say what it is


class PiiTags(BaseModel, frozen=True, extra="forbid"):
    """What stands in the text for a value of each kind."""

    email: str = "<email>"
    """datatrove writes email@example.com, dolma ` |||EMAIL_ADDRESS||| `."""
    ip: str = "<ip>"
    """datatrove writes one of six addresses that are somebody's, dolma ` |||IP_ADDRESS||| `."""
    phone: str = "<phone>"
    """dolma writes ` |||PHONE_NUMBER||| `."""
    iban: str = "<iban>"
    card: str = "<card>"
    ssn: str = "<ssn>"
    url: str = "<url>"


DOLMA_TAGS = PiiTags(email=" |||EMAIL_ADDRESS||| ", ip=" |||IP_ADDRESS||| ", phone=" |||PHONE_NUMBER||| ")
"""Soldaini et al. 2024, arXiv:2402.00159, section 4.3."""


class PiiSettings(BaseModel, frozen=True, extra="forbid"):
    """Which personal data are looked for, and what takes their place."""

    kinds: tuple[Kind, ...] = ("iban", "card", "ip", "email", "phone")
    """Any of email, ip, phone, iban, card, ssn (US social security numbers) and url (every web address)."""
    replace: Literal["tag", "fake", "remove"] = "tag"
    """A tag, a value of the same kind that is nobody's and the same for the same value, or nothing."""
    tags: PiiTags = Field(default_factory=PiiTags)
    """The tag of each kind."""
    include_reserved: bool = False
    """Also what is nobody's: private and documentation IP addresses, example.com, phone numbers kept for fiction."""
    seed: int = Field(default=0, ge=0)
    """Of the fakes: with another seed a value gets another one."""

    @field_validator("kinds")
    @classmethod
    def _in_order(cls, kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
        """The kinds in one order, so that the order in a recipe does not change a key."""
        if not kinds:
            raise ValueError(f"kinds is empty; right would be some of {', '.join(KINDS)}")
        return tuple(kind for kind in KINDS if kind in kinds)


class Span(NamedTuple):
    """A value found in a text; the fields sort as a text is read."""

    row: int
    start: int
    end: int
    kind: str
    value: str


def find_spans(
    texts: pa.Array | pa.ChunkedArray, kinds: Collection[str], *, include_reserved: bool = False
) -> pa.RecordBatch:
    """Where values of these kinds stand in each text, as SPAN: by row, then by start, none overlapping another.

    Of values that overlap the longest is kept, then the first. A null text has none. Raises ValueError for a kind that
    there is not.
    """
    spans = list(find_values(texts, kinds, include_reserved=include_reserved))
    return pa.RecordBatch.from_arrays(
        [pa.array([getattr(span, field.name) for span in spans], field.type) for field in SPAN], schema=SPAN
    )


def pii_edits(ids: pa.Array, texts: pa.Array, settings: PiiSettings) -> pa.RecordBatch:
    """The edits, as EDIT, that take personal data out of texts: in the order of the texts, then by start, none
    overlapping another.

    ids, texts: (documents,)
    """
    rows: list[int] = []
    columns: list[list[Any]] = [[], [], [], []]
    for span in find_values(texts, settings.kinds, include_reserved=settings.include_reserved):
        rows.append(span.row)
        values = (span.start, span.end, f"pii/{span.kind}", replacement(span.kind, span.value, settings))
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    documents = ids.take(pa.array(rows, pa.int64())).cast(pa.string())
    arrays = [pa.array(values, field.type) for values, field in zip(columns, list(EDIT)[1:], strict=True)]
    return pa.RecordBatch.from_arrays([documents, *arrays], schema=EDIT)


def replacement(kind: str, value: str, settings: PiiSettings) -> str:
    """What takes the place of a value of this kind."""
    if settings.replace == "remove":
        return ""
    if settings.replace == "fake":
        return fake(kind, value, settings.seed)
    return str(getattr(settings.tags, kind))


def find_values(
    texts: pa.Array | pa.ChunkedArray, kinds: Collection[str], *, include_reserved: bool = False
) -> Iterator[Span]:
    """What `find_spans` finds, with the values."""
    wanted = _checked(kinds)
    offsets, data = _buffers(texts)
    candidates = pii_scan.scan(offsets, data, _shapes(wanted), pii_scan.iban_lengths(IBAN_LENGTHS))
    order = np.lexsort((candidates.starts, candidates.rows))
    rows, starts = candidates.rows[order], candidates.starts[order]
    chars = pii_scan.char_starts(offsets, data, rows, starts)
    table = zip(
        *(column.tolist() for column in (rows, candidates.shapes[order], starts, candidates.ends[order], chars)),
        strict=True,
    )
    view = data.data
    for row, group in groupby(table, key=lambda candidate: candidate[0]):
        bounds = int(offsets[row]), int(offsets[row + 1])
        yield from _without_overlaps(list(_spans(view, bounds, group, wanted, include_reserved)))


def _checked(kinds: Collection[str]) -> frozenset[str]:
    wrong = sorted(set(kinds) - set(get_args(Kind)))
    if wrong or isinstance(kinds, str):
        raise ValueError(f"kinds {wrong or kinds!r}: right would be some of {', '.join(KINDS)}")
    return frozenset(kinds)


def _buffers(texts: pa.Array | pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Where each text begins, (texts + 1,), and the bytes of all; a null text has none."""
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    return text_buffers(texts.fill_null("") if texts.null_count else texts)


def _shapes(kinds: Collection[str]) -> int:
    """The shapes that values of these kinds have."""
    shapes = {
        "email": pii_scan.EMAIL,
        "url": pii_scan.URL,
        "ip": pii_scan.IPV4 | pii_scan.IPV6,
        "iban": pii_scan.IBAN,
        "phone": pii_scan.DIGITS,
        "card": pii_scan.DIGITS,
        "ssn": pii_scan.DIGITS,
    }
    found_shapes = 0
    for kind in kinds:
        found_shapes |= shapes[kind]
    return found_shapes


def _spans(
    data: memoryview,
    bounds: tuple[int, int],
    candidates: Iterator[tuple[int, int, int, int, int]],
    kinds: Collection[str],
    include_reserved: bool,
) -> Iterator[Span]:
    """The values among the candidates of one text, which lies between the bytes `bounds`."""
    first, last = bounds
    phone_end = -1
    for row, shape, start, end, char in candidates:
        value = str(data[start:end], "utf-8")
        before = str(data[max(first, start - _CONTEXT_BEFORE) : start], "utf-8", "ignore")
        after = str(data[end : min(last, end + _CONTEXT_AFTER)], "utf-8", "ignore")
        if shape == pii_scan.DIGITS:
            places = _digit_places(
                value, before, after, kinds, include_reserved, char - phone_end <= 8 and phone_end >= 0
            )
            phone_end = max([char + b for kind, _, b in places if kind == "phone"], default=phone_end)
        else:
            places = _other_places(shape, value, before, after, include_reserved)
        text = value + after
        for kind, a, b in places:
            yield Span(row, char + a, char + b, kind, text[a:b])


def _digit_places(
    digits: str, before: str, after: str, kinds: Collection[str], include_reserved: bool, follows_a_phone: bool
) -> list[tuple[str, int, int]]:
    """Cards, social security numbers and phone numbers in a row of digits: kind, start and end of each."""
    places: list[tuple[str, int, int]] = []
    if "card" in kinds and len(digits) >= 12:
        places += [("card", *span) for span in card_spans(before, digits, after)]
    if "ssn" in kinds:
        places += [("ssn", *span) for span in ssn_spans(before, digits, after)]
    if "phone" in kinds:
        spans = phone_spans(before, digits, after, follows_a_phone=follows_a_phone)
        text = digits + after
        places += [("phone", a, b) for a, b in spans if include_reserved or not is_fiction(text[a:b])]
    return places


def _other_places(
    shape: int, value: str, before: str, after: str, include_reserved: bool
) -> list[tuple[str, int, int]]:
    """The value that a candidate of any other shape holds, if it does: kind, start and end."""
    span: tuple[int, int] | None = None
    kind = _KIND_OF_SHAPE[shape]
    if shape == pii_scan.EMAIL:
        span = email_span(value)
        if span and not include_reserved and is_reserved_email(value[slice(*span)]):
            span = None
    elif shape == pii_scan.URL:
        span = url_span(value)
    elif shape == pii_scan.IBAN:
        span = (0, len(value)) if is_iban(value.replace(" ", "").replace("-", "")) else None
    elif shape == pii_scan.IPV6:
        span = ipv6_span(value, before, after, include_reserved=include_reserved)
    elif is_personal_ipv4(value, before, after, include_reserved=include_reserved):
        span = 0, len(value)
    return [(kind, *span)] if span else []


_KIND_OF_SHAPE = {
    pii_scan.EMAIL: "email",
    pii_scan.URL: "url",
    pii_scan.IBAN: "iban",
    pii_scan.IPV4: "ip",
    pii_scan.IPV6: "ip",
}


def _without_overlaps(spans: list[Span]) -> list[Span]:
    """The spans of one text by start; where some overlap, the longest stays, then the first, then that of KINDS."""
    spans.sort()
    kept: list[Span] = []
    group: list[Span] = []
    end = 0
    for span in spans:
        if span.start >= end and group:
            kept += _longest(group)
            group = []
        group.append(span)
        end = max(end, span.end)
    return kept + _longest(group)


def _longest(group: list[Span]) -> list[Span]:
    """Of spans that hang together, those that stay, by start."""
    if len(group) <= 1:
        return group
    kept: list[Span] = []
    for span in sorted(group, key=lambda span: (span.start - span.end, span.start, KINDS.index(span.kind))):
        at = bisect(kept, span)
        is_free_left = at == 0 or kept[at - 1].end <= span.start
        if is_free_left and (at == len(kept) or kept[at].start >= span.end):
            kept.insert(at, span)
    return kept

"""Phone numbers, by their shape alone where that is telling, else by a word such as "tel." beside them.

Telling are a country code after a plus sign, the North American plan, and national shapes that start with the trunk
prefix 0. Any other seven to fifteen digits are a phone number only where the text says so.
"""

from __future__ import annotations

import re

MIN_DIGITS_IN_ONE = 10
MIN_DIGITS, MAX_DIGITS = 7, 15  # the longest that ITU-T E.164 allows

_MAX_DIGITS_OF_COUNTRY = {
    **{"1": 11, "7": 11, "20": 12, "27": 11, "30": 12, "31": 11, "32": 11, "33": 11, "34": 11, "36": 11, "39": 13},
    **{"40": 11, "41": 11, "43": 14, "44": 12, "45": 10, "46": 12, "47": 10, "48": 11, "49": 14, "51": 11, "52": 13},
    **{"53": 10, "54": 13, "55": 13, "56": 11, "57": 12, "58": 12, "60": 12, "61": 11, "62": 14, "63": 12, "64": 12},
    **{"65": 10, "66": 11, "81": 12, "82": 12, "84": 11, "86": 13, "90": 12, "91": 12, "92": 12, "93": 11, "94": 11},
    **{"95": 12, "98": 12},
}
"""Longest number by country code, the code included (national numbering plans); codes of three digits: 13."""
_CODES_OF_THREE = re.compile(
    r"21[12368]|22\d|23\d|24\d|25[0-8]|26\d|29[0178]|35\d|37[0-9]|38[0-9]|42[0139]|50\d|59\d|67[0-9]|68\d|69[0-2]|80[08]|85[0-9]|87[08]|88\d|96\d|97\d|99\d"
)
_FIXED_LENGTH = {"1": 11, "7": 11}

_DASH = "\\-\u2010\u2011\u2012\u2013"
_GAP = rf"[ \u00a0.{_DASH}]"
_NANP = re.compile(
    rf"(?<![0-9])(?<![0-9][.{_DASH}/])"
    rf"(?:(?:\+|00)?1(?:{_GAP}{{1,3}}|(?=\()))?"
    rf"(?:\(([2-9](?!11)[0-8][0-9])\)[ \u00a0.{_DASH}/]{{0,3}}|([2-9](?!11)[0-8][0-9])[ \u00a0]?[{_DASH}./][ \u00a0]?)"
    rf"[2-9](?!11)[0-9]{{2}}(?:[{_DASH}. \u00a0]|[ \u00a0][{_DASH}][ \u00a0])[0-9]{{4}}(?![0-9])(?![.{_DASH}/][0-9])"
)
"""North America: (212) 555-0100, 212-555-0100, 212.555.0100."""
_NATIONAL = re.compile(
    r"(?<![0-9])(?<![0-9][.\-/ ])(?:"
    rf"0[1-9]({_GAP})[0-9]{{2}}\1[0-9]{{2}}\1[0-9]{{2}}\1[0-9]{{2}}"  # France: 01 23 45 67 89
    r"|0[1-9][0-9]{1,2} [0-9]{3} [0-9]{2} [0-9]{2}"  # Switzerland, Austria, Turkey: 044 668 18 00
    r"|0[1-9][0-9]{1,3} [0-9]{3,4} [0-9]{3,4}"  # United Kingdom and many more: 020 7946 0123, 082 490 1693
    r"|0[1-9][0-9]{3} [0-9]{6}"  # 01632 960123
    r"|0[1-9][0-9]{0,2}-[0-9]{3,4}-[0-9]{4}"  # Japan, Korea, Taiwan: 03-1234-5678
    r"|0[1-9][0-9]{0,2}-[0-9]{7,8}"  # China, Italy, Netherlands: 021-12345678
    r"|0[1-9][0-9]{0,2}-[0-9]{2,3} [0-9]{2,3} [0-9]{2}"  # Sweden: 08-123 456 78
    r"|0[1-9][0-9]{2,3}-[0-9]{3}-[0-9]{3}"  # Japan: 0120-123-456
    r"|\(0[1-9][0-9]{0,4}\) ?[0-9]{3,8}(?:[ \-][0-9]{2,4}){0,3}"  # (08) 8747 6301, (030) 901820
    r"|\([1-9][0-9]\) 9?[0-9]{4}-[0-9]{4}"  # Brazil: (11) 98765-4321
    r"|8[ \-]?\([0-9]{3}\) ?[0-9]{3}-[0-9]{2}-[0-9]{2}|8-[0-9]{3}-[0-9]{3}-[0-9]{2}-[0-9]{2}"  # Russia
    rf")(?![0-9])(?![.{_DASH}/ ][0-9])"
)
_EXTENSION = re.compile(r"[ ,]{0,2}(?:x|ext\.?|extension|Ext\.?)[ ]?[0-9]{1,6}(?![0-9])")

_WORDS = (
    *("phone", "phones", "telephone", "telefon", "telefono", "teléfono", "teléfonos", "telefone", "telefoon"),
    *("téléphone", "fon", "fono", "fone", "foon", "tel", "tél", "tlf", "tfno", "fax", "telefax", "mobile", "mobil"),
    *("móvil", "movil", "celular", "cell", "cellulare", "portable", "handy", "gsm", "sms", "whatsapp", "viber"),
    *("hotline", "helpline", "bestellhotline", "helpdesk", "desk", "rufnummer", "voicemail", "pager", "toll"),
    *("call", "calls", "calling", "text", "texting", "dial", "ring", "phoning", "contact", "reach", "reached"),
    *("answering", "message", "messages", "тел", "телефон", "факс", "моб", "τηλ", "هاتف", "טלפון"),
)
_UNSPACED_WORDS = ("電話", "电话", "手机", "手機", "传真", "傳真", "전화", "팩스")
"""Words for phones and for what is done with them, in languages of the web; in lower case."""
_LETTER_BEFORE = re.compile(r"(?<![\w.])(?:[ptfm]|ph)(?:\.?\s?:|\.|\)).{0,4}\Z", re.IGNORECASE | re.DOTALL)
_SIGNS = r"[\s.:;,#()\[\]|*=\"'/\u2013\u2014\u201c\u201d\uff1a-]"
_WORD_BEFORE = re.compile(
    rf"(?:\b(?:{'|'.join(_WORDS)})|{'|'.join(_UNSPACED_WORDS)}"
    r"|(?<![\w.])(?:p|t|f|m|ph)(?=\.?\s?:)|(?<!\w)\((?:p|t|f|m)\)|\bph(?=\.))"
    rf"{_SIGNS}{{0,12}}"
    r"(?:(?:numbers?|num|no|nr|nº|is|are|was|at|on|to|us|me|him|her|them|it|now|my|your|our|the|this|or|and|registered"
    rf"|home|work|office|direct|fax|line|tel|phone|mobile|cell|toll|free|uk|usa){_SIGNS}{{1,6}}){{0,5}}\Z",
    re.IGNORECASE,
)
"""A word for phones, then up to five small words until the number."""
_WORD_AFTER = re.compile(
    r"[ \u00a0]?(?:[(\[,\-\u2013\\/:]{1,2}[ ]?)?"
    r"(?:office|fax|mobile|cell|phone|telephone|tel|hotline|landline|voice)\b",
    re.IGNORECASE,
)
_AFTER_A_PHONE = re.compile(r"[ \u00a0]{0,2}(?:,|;|/|or|and|&|\||\u2013|-|und|et|y|e)[ \u00a0]{0,2}\(?\Z")

_NOT_A_PHONE = re.compile(
    r"\b(?:isbn|issn|ismn|doi|pmid|pmc|arxiv|oclc|lccn|ean|upc|gtin|asin|patent|serial|sku|part|model|version|order|invoice"
    r"|case|docket|grant|account|acct|acc|ref|reference|id|item|lot|cas|registration|reg|policy|tax|vat|ein|nif|siret|pp|pages?"
    r"|vol|volume|zip|page|bug|issue|dfars|far|clause|cfr|uid|uuid|md5|hash|contract|license|licence|permit|nct|stock|code)\b"
    r"\W{0,3}(?:\b(?:no|nr|number|num|code|id)\b)?\W{0,3}\Z",
    re.IGNORECASE,
)
_IN_TOKEN = re.compile(r"[\w/=_&?%@$€£¥~^*\\+.]\Z|[\w.]-\Z|[0-9][,:]\Z")
_IN_PATH = re.compile(r"/\Z|[^\W\d_]-\w+-\Z")  # even behind a word: /mobile/1234567, my-phone-1234567
_YEAR, _MONTH, _DAY = "(?:1[5-9]|20)[0-9]{2}", "(?:0?[1-9]|1[0-2])", "(?:0?[1-9]|[12][0-9]|3[01])"
_DATE = re.compile(
    rf"\(?(?:{_YEAR}[ .{_DASH}/]{{1,3}}{_MONTH}[ .{_DASH}/]{{1,3}}{_DAY}(?![0-9])"
    rf"|{_DAY}[.{_DASH}/]{_DAY}[.{_DASH}/](?:{_YEAR}|[0-9]{{2}})(?![0-9])"
    rf"|{_YEAR}\)?[ .{_DASH}/()]{{1,3}}{_YEAR}(?![0-9]))"
)
_COORDINATES = re.compile(r"\+(?:[0-9]{4}-[0-9]{5}|[0-9]{6}-[0-9]{7})\Z")  # ISO 6709, as in zone.tab
_JSON_NUMBER = re.compile(r"[\"']\s?:\s?\Z")
_DECIMAL = re.compile(r"[0-9]+\.[0-9]+ [0-9]+\Z")
_GROUP = re.compile("[0-9]+")


def phone_spans(before: str, digits: str, after: str, *, follows_a_phone: bool = False) -> list[tuple[int, int]]:
    """Where phone numbers stand in a row of digits and separators, given the text around it.

    Positions count from the start of `digits`; an extension may reach into `after`. `follows_a_phone` says that a
    phone number ends within `before`, so that a list of them is found with one word for all.
    """
    if _COORDINATES.match(digits):
        return []
    is_named = _is_named(before) or (follows_a_phone and bool(_AFTER_A_PHONE.search(before)))
    spans = _international(digits, is_named=is_named) if _may_be_international(digits, before) else []
    at = spans[-1][1] if spans else 0
    spans += [match.span() for match in _NANP.finditer(digits, at) if is_named or not _is_number_or_code(match[0])]
    if not spans:
        found = [match for match in _NATIONAL.finditer(digits) if not _is_range(match[0])]
        spans = [match.span() for match in found if is_named or not _is_number_or_code(match[0])]
    is_named = is_named and not _IN_PATH.search(before)
    if spans and not is_named and (_IN_TOKEN.search(before) or _NOT_A_PHONE.search(before[-40:])):
        spans = []
    if not spans and is_named and not _JSON_NUMBER.search(before):
        spans = [_first_named(digits)]
    if not spans and _WORD_AFTER.match(after) and not _IN_TOKEN.search(before):
        spans = [_last_named(digits)]
    spans = [span for span in spans if span[1] > span[0]]
    if spans and after[:1].isalpha() and spans[-1][1] == len(digits) and not _EXTENSION.match(after):
        spans.pop()  # part of a longer name
    spans = [(start + (digits[start] == "(" and ")" not in digits[start:end]), end) for start, end in spans]
    return _with_extension(spans, digits, after)


def is_fiction(number: str) -> bool:
    """Whether a phone number is one that nobody has: 555-0100 to 555-0199 in North America, Ofcom's for drama."""
    plain = "".join(_GROUP.findall(number))
    return bool(
        re.fullmatch(r"(?:00)?1?[2-9][0-9]{2}55501[0-9]{2}|55501[0-9]{2}", plain)
        or re.fullmatch(r"(?:0|(?:00)?440?)7700900[0-9]{3}", plain)
    )


def _is_named(before: str) -> bool:
    """Whether the text before a number calls it a phone, in the same line or before a colon at its end."""
    near = before[-60:]
    if not _LETTER_BEFORE.search(near):
        lower = near.lower()
        if not any(word in lower for word in _WORDS + _UNSPACED_WORDS):  # a tenth of the time of the regular expression
            return False
    word = _WORD_BEFORE.search(near)
    return word is not None and ("\n" not in word[0] or ":" in word[0] or "\uff1a" in word[0])


def _may_be_international(digits: str, before: str) -> bool:
    if digits[:1] in ("+", "(") and "+" in digits[:3]:
        is_term = digits.startswith("+ ") and (digits.count(" ") < 4 or "." in digits or "/" in digits)  # of a sum
        return not (before[-1:].isalnum() or before[-1:] in ("+", "_") or is_term)
    return digits.startswith("00") and not _is_number_or_code(digits)


def _is_number_or_code(text: str) -> bool:
    """Whether this is a decimal, as 206.766 9896, or a row of codes or counts, as 0399 0308 0301."""
    groups = _GROUP.findall(text)
    is_row = len(groups) > 2 and all(group[0] == "0" and len(group) == len(groups[0]) for group in groups)
    return is_row or _DECIMAL.match(text) is not None


def _international(digits: str, *, is_named: bool) -> list[tuple[int, int]]:
    """The number after a plus sign or 00, as long as its country's numbers get; none if it is too short.

    Digits in one piece need a word beside them or be ten at least: `+12345678` may be a term of a sum.
    """
    groups = list(_GROUP.finditer(digits))
    has_plus = "+" in digits[:3]
    plain = "".join(match[0] for match in groups)
    if not has_plus:
        plain = plain[2:]
        if len(groups) < 3 or len(groups[0][0]) not in (2, 3, 4, 5):
            return []
    code = next((plain[:n] for n in (1, 2) if plain[:n] in _MAX_DIGITS_OF_COUNTRY), plain[:3])
    if len(code) == 3 and not _CODES_OF_THREE.fullmatch(code):
        return []
    longest = _MAX_DIGITS_OF_COUNTRY.get(code, 13)
    n_digits, end = 0 if has_plus else -2, 0
    for match in groups:
        is_trunk = match[0] == "0" and digits[match.start() - 1 : match.end() + 1] == "(0)"
        n_digits += 0 if is_trunk else len(match[0])
        is_glued = end and " " not in digits[end : match.start()] and "\u00a0" not in digits[end : match.start()]
        if n_digits > (MAX_DIGITS if is_glued and code not in _FIXED_LENGTH else longest):
            break
        if n_digits >= _FIXED_LENGTH.get(code, 8 if has_plus else 10):
            end = match.end()
    if len(_GROUP.findall(digits[:end])) == 1 and not is_named and n_digits < MIN_DIGITS_IN_ONE:
        return []
    if end and len(groups) == 2 and code != "1" and re.match(r"\+(?:[0-9]|[0-9]{4,})\.[0-9]", digits):
        return []  # a decimal number
    return [(0, end)] if end else []


def _first_named(digits: str) -> tuple[int, int]:
    """The number at the start of a row that a word before it calls a phone; empty if it is a date or too short."""
    if _DATE.match(digits):
        return 0, 0
    n_digits, end, last = 0, 0, 0
    for match in _GROUP.finditer(digits):
        gap = digits[last : match.start()]
        is_wide = n_digits >= 10 and len(gap.strip(" \u00a0")) + 2 <= len(gap)
        is_wide |= "/" in gap or ". " in gap
        if n_digits + len(match[0]) > MAX_DIGITS or (is_wide and n_digits >= MIN_DIGITS):
            break
        n_digits += len(match[0])
        last = match.end()
        if n_digits >= MIN_DIGITS and _is_plausible(n_digits, last, digits):
            end = last
    return 0, end


def _is_plausible(n_digits: int, end: int, digits: str) -> bool:
    """Eleven digits are enough, unless the row ends there."""
    return n_digits <= 11 or end == len(digits)


def _last_named(digits: str) -> tuple[int, int]:
    """The number at the end of a row that a word after it calls a phone; empty if it is a date or too short."""
    if _DATE.match(digits):
        return 0, 0
    n_digits, start = 0, len(digits)
    for match in reversed(list(_GROUP.finditer(digits))):
        if n_digits + len(match[0]) > MAX_DIGITS - 3:
            break
        n_digits += len(match[0])
        start = match.start()
    while start and digits[start - 1] in "(+":
        start -= 1
    return (start, len(digits)) if n_digits >= MIN_DIGITS else (0, 0)


def _is_range(number: str) -> bool:
    """Whether this is a volume and its pages: (12) 1123-1135."""
    match = re.fullmatch(r"\([0-9]+\) ([0-9]+)-([0-9]+)", number)
    return match is not None and 0 < int(match[2]) - int(match[1]) < 200


def _with_extension(spans: list[tuple[int, int]], digits: str, after: str) -> list[tuple[int, int]]:
    """The spans, the last one with the extension that follows it."""
    if spans and spans[-1][1] == len(digits):
        extension = _EXTENSION.match(after)
        if extension:
            spans[-1] = (spans[-1][0], len(digits) + extension.end())
    return spans

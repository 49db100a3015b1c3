"""What the scanner knows by name: tags, attributes, words in class names, kinds of metadata, classes of bytes.

Names are looked up by their 32-bit FNV-1a hash in small open-addressed tables. Two known names never share a hash
(checked on import); an unknown one shares that of a known one once in some ten million.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled

TAGS = [
    "?", "html", "head", "body", "div", "p", "span", "a", "b", "strong", "i", "em", "u", "font", "small", "br", "hr",
    "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tfoot", "tr",
    "td", "th", "section", "article", "main", "header", "footer", "nav", "aside", "figure", "figcaption",
    "blockquote", "pre", "code", "form", "fieldset", "legend", "address", "details", "summary", "center", "caption",
    "dialog", "menu", "label", "input", "select", "option", "button", "textarea", "script", "style", "noscript",
    "template", "svg", "math", "iframe", "object", "embed", "img", "picture", "source", "video", "audio", "link",
    "meta", "title", "base", "canvas", "area", "col", "param", "wbr", "track", "sup", "sub", "cite", "q", "time",
    "abbr", "mark", "ins", "del", "tt", "var", "kbd", "samp",
]  # fmt: skip
"""Elements by number; 0 is any other. The order is that of the model's feature `tag`."""
TAG = {name: number for number, name in enumerate(TAGS)}

IS_BLOCK, IS_VOID, IS_RAW, IS_SILENT, IS_BOLD, IS_PRE = 1, 2, 4, 8, 16, 32
_BLOCK = [
    "html", "head", "body", "div", "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd",
    "table", "thead", "tbody", "tfoot", "tr", "td", "th", "section", "article", "main", "header", "footer", "nav",
    "aside", "figure", "figcaption", "blockquote", "pre", "form", "fieldset", "legend", "address", "details",
    "summary", "center", "caption", "hr", "dialog", "menu",
]  # fmt: skip
_VOID = ["br", "hr", "input", "img", "source", "link", "meta", "base", "area", "col", "param", "wbr", "track", "embed"]
_RAW = ["script", "style", "noscript", "textarea", "title", "iframe"]
"""Up to their end tag there are no tags (HTML standard, 13.2.5.2 to 13.2.5.4; scripting is on, so noscript too)."""
_SILENT = ["select", "button", "template", "svg", "math", "object", "video", "audio", "canvas"]
"""What they hold is no text of the page."""
TAG_CLASS = np.array(
    [
        (name in _BLOCK) * IS_BLOCK
        | (name in _VOID) * IS_VOID
        | (name in _RAW) * IS_RAW
        | (name in _SILENT) * IS_SILENT
        | (name in ("b", "strong")) * IS_BOLD
        | (name == "pre") * IS_PRE
        for name in TAGS
    ],
    np.uint8,
)

ATTRIBUTES = [
    "class", "id", "role", "itemprop", "style", "hidden", "aria-hidden", "href", "alt", "content", "name",
    "property", "rel", "lang", "type", "datetime",
]  # fmt: skip
ATTRIBUTE = {name: number for number, name in enumerate(ATTRIBUTES)}

KEYWORDS = tuple(
    """
    comment comments disqus reply replies respond commentlist livefyre
    sidebar rail sidenav widget widgets complementary aside sticky
    related recommend recommended recommendations popular trending mostread suggested similar also relatedposts readmore mostpopular more
    share sharing social facebook twitter whatsapp pinterest addthis sharethis sharebar socials linkedin reddit
    footer bottom foot contentinfo colophon
    header masthead top banner
    menu nav navbar navigation breadcrumb breadcrumbs crumb crumbs submenu megamenu
    promo ad ads advert advertisement advertising sponsor sponsored outbrain taboola teaser promoted dfp adsense partner affiliate
    newsletter subscribe signup subscription paywall login register signin optin mailchimp
    article
    content contents
    body
    post entry hentry posts
    story
    text copy richtext prose
    main primary maincontent
    author byline bio contributor authors
    date time timestamp published dateline meta datetime posted metadata info
    caption figcaption credit credits wp
    image photo gallery slideshow media video player img images carousel slider slide figure
    tag tags category categories topics keyword keywords topic taglist cat
    title headline heading hed
    subtitle dek standfirst lead intro summary excerpt description subheadline deck abstract lede
    cookie cookies consent gdpr modal popup overlay dialog lightbox tooltip
    copyright legal disclaimer terms privacy
    print email tools toolbar actions action utility
    pagination pager next prev previous pages
    list links link items item
    card tile grid thumb thumbnail
    quote pullquote blockquote
    paragraph para
    hidden hide invisible sr reader visually
    search form field input
    button btn cta
    user profile avatar member username
    table
    wiki mw toc infobox navbox
    section module block region
    container wrapper wrap inner col row column
    single page detail
    secondary tertiary
    latest news feed stream recent
    note notes footnote footnotes reference references
    articlebody storybody entrycontent postcontent bodytext articlecontent storytext
    product price shop cart buy
    event location address contact map
    alert notice warning breaking
    inline embed embedded
    logo brand
    question answer
    message forum thread topiclist
    code highlight source
    follow followers connect
    language lang locale
    survey poll quiz vote
    off canvas drawer mobile
    """.strip().split("\n")
)
"""Groups of words in class, id, role and itemprop: one bit each. They are habits of those who write templates."""
N_KEYWORDS = 60
"""Bits for groups; after them two for what a page hides."""
HIDDEN_BIT, ARIA_HIDDEN_BIT = 60, 61
N_KEYWORD_BITS = 62
COMMENT_BIT = 0

METADATA = {
    "title": ("og:title", "twitter:title", "dc.title"),
    "author": ("author", "article:author", "dc.creator", "parsely-author", "sailthru.author"),
    "date": (
        "article:published_time", "datepublished", "og:published_time", "date", "dc.date", "dc.date.issued", "pubdate",
        "publishdate", "parsely-pub-date", "sailthru.date",
    ),
    "site_name": ("og:site_name", "application-name"),
    "url": ("og:url",),
}  # fmt: skip
"""Names of meta elements (name, property or itemprop) by what they state, the most telling first."""
META_NAMES = tuple(name for names in METADATA.values() for name in names)
CANONICAL, LANGUAGE, TIME, TITLE = (len(META_NAMES) + k for k in range(4))
N_STATED = len(META_NAMES) + 4
"""Places for what a page states about itself: meta elements, canonical link, language, first time, title."""

SPACE, LETTER, DIGIT, UPPER, HIGH, NAME = 1, 2, 4, 8, 16, 32
_SPACES, _UPPER, _LOWER, _DIGITS = (
    b" \t\n\r\f\v",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"abcdefghijklmnopqrstuvwxyz",
    b"0123456789",
)
BYTE_CLASS = np.zeros(256, np.uint8)
for _bytes, _classes in (
    (_SPACES, SPACE),
    (_UPPER, LETTER | UPPER | NAME),
    (_LOWER, LETTER | NAME),
    (_DIGITS, DIGIT | NAME),
    (b"-:", NAME),
    (range(0x80, 0x100), HIGH),
):
    BYTE_CLASS[list(_bytes)] |= _classes
LOWER = np.arange(256, dtype=np.uint8)
LOWER[list(_UPPER)] += 32

FNV_BASIS = np.uint32(2166136261)
FNV_PRIME = np.uint32(16777619)


class Names(NamedTuple):
    """An open-addressed table from the hash of a name to its number."""

    hashes: NDArray[np.uint32]
    numbers: NDArray[np.int32]  # -1 where the place is free


def name_hash(name: str) -> int:
    """32-bit FNV-1a of the name's bytes."""
    value = int(FNV_BASIS)
    for byte in name.encode():
        value = (value ^ byte) * int(FNV_PRIME) & 0xFFFFFFFF
    return value


def name_table(names: Iterable[tuple[str, int]]) -> Names:
    """The table of these names and numbers, at most half full. Raises ValueError if two names have one hash."""
    pairs = [(name_hash(name), number) for name, number in names]
    if len({value for value, _ in pairs}) < len(pairs):
        raise ValueError("two names have the same hash, or one stands twice")
    size = 1 << (2 * len(pairs)).bit_length()
    table = Names(np.zeros(size, np.uint32), np.full(size, -1, np.int32))
    for value, number in pairs:
        place = (value ^ value >> 15) & size - 1
        while table.numbers[place] >= 0:
            place = (place + 1) & size - 1
        table.hashes[place], table.numbers[place] = value, number
    return table


TAG_NAMES = name_table((name, number) for name, number in TAG.items() if number)
ATTRIBUTE_NAMES = name_table((name, number) for name, number in ATTRIBUTE.items())
KEYWORD_NAMES = name_table((word, bit) for bit, group in enumerate(KEYWORDS) for word in group.split())
STATED_NAMES = name_table((name, number) for number, name in enumerate(META_NAMES))
if len(KEYWORDS) > N_KEYWORDS:
    raise ValueError(f"{len(KEYWORDS)} groups of keywords do not fit into {N_KEYWORDS} bits")


@compiled(_nrt=False, forceinline=True)
def number_of(names: Names, value: np.uint32) -> int:
    """The number of the name with this hash, or -1."""
    last = np.uint32(len(names.hashes) - 1)
    place = np.uint32((value ^ (value >> np.uint32(15))) & last)
    while names.numbers[place] >= 0:
        if names.hashes[place] == value:
            return names.numbers[place]
        place = np.uint32((place + np.uint32(1)) & last)
    return -1


@compiled(_nrt=False, forceinline=True)
def hashed(value: np.uint32, byte: np.uint8) -> np.uint32:
    """The hash `value` continued by one byte, in lower case."""
    return np.uint32((value ^ np.uint32(LOWER[byte])) * FNV_PRIME)

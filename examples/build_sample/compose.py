"""What the sample is made of: good prose, and the noise in which a crawl brings it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import PurePosixPath

import ftfy.bad_codecs  # noqa: F401  (registers "sloppy-windows-1252": all 256 bytes mean something, as in browsers)
from pages import Page, archive, blog, listing, manual, naive_text, paragraphs, plain, reader
from sources import Original, Text, first, work
from splits import SAMPLE_BLOG, SAMPLE_BOOKS, SAMPLE_CHAPTERS, chapter_text

BLOG, BOOKS, DOCS, MIRROR = "blog.example.com", "books.example.org", "docs.example.net", "mirror.example.edu"

BOOK_CHARS = 150_000  # of each of SAMPLE_BOOKS
BLOG_CHARS = 2_480_000
MIN_POST_CHARS = 2_500  # the frame costs a kilobyte a page

MANUALS = {  # pages with their own markup: pages a package and language
    "Debian package python3.11-doc": 35,
    "Debian package cppreference-doc-en-html": 8,
    "Debian package libreoffice-help-en-us": 15,
    "Debian package libglib2.0-doc": 30,
    "Debian package installation-guide": 7,
    "Debian package debian-reference-en": 6,
    "Debian package debian-reference-de": 5,
    "Debian package debian-reference-fr": 5,
    "Debian package debian-reference-ja": 2,
}
UNMARKED = {  # texts without markup: (label, work) -> characters
    ("tech_docs", "Debian package python3.11-doc"): 1_700_000,
    ("tech_docs", "Debian package debian-handbook"): 190_000,
    ("tech_docs", "Debian package debian-reference-en"): 200_000,
    ("api_boilerplate", "Debian package cppreference-doc-en-html"): 350_000,
    ("api_boilerplate", "Debian package libglib2.0-doc"): 900_000,
    ("help_boilerplate", "Debian package libreoffice-help-en-us"): 300_000,
    ("list_table", "google-research/url-nlp"): 150_000,
    ("list_table", "google-deepmind/pg19"): 420_000,
    ("list_table", "Debian package tzdata"): 40_000,
    ("pii_synthetic", "microsoft/presidio-research"): 30_000,
}
HANDBOOK_CHARS = 95_000  # of each of its translations
LEGACY = {  # language -> the encodings that its pages had before UTF-8
    "cs": ("iso-8859-2", "windows-1250"),
    "de": ("iso-8859-1", "windows-1252"),
    "el": ("iso-8859-7",),
    "en": ("windows-1252",),
    "es": ("iso-8859-15",),
    "fr": ("iso-8859-1",),
    "ja": ("shift_jis", "euc-jp"),
    "ko": ("euc-kr",),
    "ru": ("koi8-r", "windows-1251"),
    "vi": ("windows-1258",),
    "zh": ("gb18030", "big5"),
}
DECLARED = re.compile(r"(charset=[\"']?)utf-8", re.IGNORECASE)


def compose(texts: Sequence[Text], originals: Sequence[Original]) -> list[Page]:
    """All pages of the sample, in the order of a hash of their addresses, each address once."""
    posts = _posts(texts)
    good = [*posts, *_chapters(originals), *_book_pages(texts)]
    manuals = list(_manuals(originals))
    pages = [
        *_broken_encodings(posts),
        *good[len(posts) :],
        *_legacy(manuals),
        *_unmarked(texts, taken={page.source for page in manuals}),
        *_archives(posts),
        *_copies(posts, good[len(posts) :]),
        *_doorways(posts),
        *_shells(),
    ]
    by_url = {page.url: page for page in pages}
    assert len(by_url) == len(pages)
    return sorted(by_url.values(), key=lambda page: _rank(page.url))


def _rank(name: str) -> bytes:
    return sha256(name.encode()).digest()


def _title(source: str) -> str:
    """A title from the path of a source: `2016-08-12-did-we-do.md` is "Did we do"."""
    stem = re.sub(r"^\d{4}-\d\d-\d\d-", "", PurePosixPath(source.split(":")[-1]).stem)
    return stem.replace("-", " ").replace("_", " ").capitalize()


def _posts(texts: Sequence[Text]) -> list[Page]:
    candidates = [
        text
        for text in texts
        if work(text.source) == SAMPLE_BLOG and text.label == "prose_gov_web" and len(text.text) >= MIN_POST_CHARS
    ]
    chosen = first(candidates, len(candidates), n_chars=BLOG_CHARS)
    addresses = [(_post_url(text.source), _title(text.source)) for text in chosen]
    pages = []
    for number, (text, (url, title)) in enumerate(zip(chosen, addresses, strict=True)):
        lines = paragraphs(text.text)
        date = "-".join(url.split("/")[3:6])
        related = [addresses[(number * 7 + step) % len(addresses)] for step in range(1, 4)]
        body = blog(title, lines, date=date, related=related).encode()
        pages.append(Page(url, body, "blog_post", True, "en", text.source, text.license, prose="\n".join(lines)))
    return pages


def _post_url(source: str) -> str:
    name = PurePosixPath(source.split(":")[-1]).stem
    year, month, day, slug = (name if re.match(r"\d{4}-\d\d-\d\d-", name) else "2015-01-01-" + name).split("-", 3)
    return f"https://{BLOG}/{year}/{month}/{day}/{slug}/"


def _chapters(originals: Sequence[Original]) -> Iterator[Page]:
    for name, n in SAMPLE_CHAPTERS.items():
        for chapter in first((page for page in originals if work(page.source) == name), n):
            url = f"https://{BOOKS}/{name.split('/')[1]}/{PurePosixPath(chapter.source).name}"
            prose = chapter_text(chapter.html)
            yield Page(
                url, chapter.html.encode(), "book_chapter", True, "en", chapter.source, chapter.license, prose=prose,
                media_type="application/xhtml+xml; charset=utf-8",
            )  # fmt: skip


def _book_pages(texts: Sequence[Text]) -> Iterator[Page]:
    for name in SAMPLE_BOOKS:
        of_work = [text for text in texts if work(text.source) == name and text.label == "prose_book"]
        for number, text in enumerate(first(of_work, len(of_work), n_chars=BOOK_CHARS), start=1):
            slug = name.split("/")[1]
            lines = paragraphs(text.text)
            title = slug.split("_")[1].replace("-", " ").title()
            body = reader(title, _title(text.source), lines).encode()
            url = f"https://{BOOKS}/read/{slug}/{PurePosixPath(text.source).stem}/{number}"
            yield Page(url, body, "book_page", True, "en", text.source, text.license, prose="\n".join(lines))


def _manuals(originals: Sequence[Original]) -> Iterator[Page]:
    """Manuals as packages ship them; the installation guide for two machines gives copies with a few other words."""
    groups: dict[tuple[str, str], list[Original]] = {}
    twins: dict[str, Original] = {}
    for page in originals:
        if work(page.source) in MANUALS and page.dup_of is None:
            groups.setdefault((work(page.source), page.lang), []).append(page)
        elif page.dup_of is not None:
            twins[page.dup_of] = page
    for (name, lang), pages in sorted(groups.items()):
        for page in first(pages, MANUALS[name]):
            url = f"http://{DOCS}/{page.id.split('/', 3)[3]}"
            yield Page(url, page.html.encode(), page.kind, False, lang, page.source, page.license)
            if twin := twins.get(page.id):
                other = f"http://{DOCS}/{twin.id.split('/', 3)[3]}"
                yield Page(
                    other, twin.html.encode(), "natural_near_copy", False, lang, twin.source, twin.license, copy_of=url
                )


def _legacy(manuals: Sequence[Page]) -> Iterator[Page]:
    """Every second of the manuals in an encoding of its language: declared in the header, in the page, or nowhere."""
    for number, page in enumerate(manuals):
        if number % 2 or page.lang not in LEGACY or page.copy_of is not None:
            yield page
            continue
        charset = LEGACY[page.lang][number // 6 % len(LEGACY[page.lang])]
        declared = ("header", "page", "nowhere")[number // 2 % 3]
        html = DECLARED.sub(rf"\g<1>{charset}" if declared == "page" else r"\1", page.body.decode())
        body = html.encode(charset, errors="xmlcharrefreplace")
        media_type = f"text/html; charset={charset}" if declared == "header" else "text/html"
        yield replace(page, body=body, charset=charset, media_type=media_type)


def _broken_encodings(posts: Sequence[Page]) -> Iterator[Page]:
    """The posts; of 40, one in windows-1252, and two that were read as windows-1252 once, which can be mended."""
    for number, page in enumerate(posts):
        html = page.body.decode()
        if number % 40 == 0:
            body = html.replace('<meta charset="utf-8">', "").encode("windows-1252", errors="xmlcharrefreplace")
            yield replace(page, body=body, charset="windows-1252", media_type="text/html")
        elif number % 40 in (1, 2):
            yield replace(page, body=html.encode().decode("sloppy-windows-1252").encode(), kind="blog_post_mojibake")
        elif number % 40 == 3:
            yield replace(page, coding="gzip" if number % 80 == 3 else "chunked")
        else:
            yield page


def _unmarked(texts: Sequence[Text], *, taken: set[str]) -> Iterator[Page]:
    """Manuals, tables and lists whose markup is lost; none that is among the manuals `taken` already."""
    languages = {text.lang for text in texts if text.label == "foreign_docs"}
    handbook = "Debian package debian-handbook"
    groups = [(label, name, "en", n_chars) for (label, name), n_chars in UNMARKED.items()]
    groups += [("foreign_docs", handbook, lang, HANDBOOK_CHARS) for lang in sorted(languages)]
    for label, name, lang, n_chars in groups:
        candidates = [
            text
            for text in texts
            if text.label == label
            and work(text.source) == name
            and text.source not in taken
            and (label != "foreign_docs" or text.lang == lang)
        ]
        for number, text in enumerate(first(candidates, len(candidates), n_chars=n_chars)):
            slug = re.sub(r"[^a-z0-9]+", "-", name.removeprefix("Debian package ").lower())
            is_list = label.startswith("list") or label == "pii_synthetic"
            url = f"http://{MIRROR if is_list else DOCS}/{slug}/{lang}/{number:03}.html"
            title = _title(text.source)
            lines = [line for line in text.text.splitlines() if line.strip()]
            html = listing(title, text.text) if is_list else manual(title, lines, lang=lang)
            yield Page(url, html.encode(), label, False, text.lang, text.source, text.license)


def _archives(posts: Sequence[Page]) -> Iterator[Page]:
    """Pages that list posts with their first words: many links, pieces of prose that stand elsewhere."""
    for number, start in enumerate(range(0, len(posts), 25), start=1):
        entries = [(post.url, _title(post.source), post.prose[:180]) for post in posts[start : start + 25]]
        url = f"https://{BLOG}/archive/{number}/"
        yield Page(url, archive(number, entries).encode(), "archive", False, "en", posts[start].source, "CC0-1.0")


def _copies(posts: Sequence[Page], books: Sequence[Page]) -> Iterator[Page]:
    """Copies: the same page at a second address, a print view, a revised post, a chapter on a mirror."""
    for number, page in enumerate(posts):
        lines = page.prose.split("\n")
        title = _title(page.source)
        copy = replace(page, good=False, copy_of=page.url)
        if number % 20 == 10:
            yield replace(copy, url=page.url + "?utm_source=newsletter", kind="exact_copy")
        elif number % 20 == 11:
            yield replace(copy, url=page.url + "print/", body=plain(title, lines).encode(), kind="print_view")
        elif number % 20 == 12 and len(lines) > 8:
            notice = "This post was revised after it was first published."
            revised = [notice, *lines[:3], *lines[4:]]
            url = f"http://{MIRROR}/blog/{number}.html"
            yield replace(copy, url=url, body=plain(title, revised).encode(), kind="near_copy")
    for number, page in enumerate(books):
        if number % 40 == 1 and len(page.prose) < 20_000:
            url = f"http://{MIRROR}/books/{number}.html"
            body = plain(_title(page.source), page.prose.split("\n")).encode()
            yield replace(page, url=url, body=body, kind="mirror", good=False, copy_of=page.url,
                          media_type="text/html; charset=utf-8")  # fmt: skip


def _doorways(posts: Sequence[Page]) -> Iterator[Page]:
    """Pages for search engines: one paragraph of a post over and over."""
    for number, page in enumerate(posts[:: len(posts) // 12]):
        paragraph = max(page.prose.split("\n"), key=len)
        rows = [f"{row}. {paragraph}" for row in range(1, 20_000 // len(paragraph))]
        body = listing(_title(page.source), "\n".join(rows)).encode()
        url = f"http://{MIRROR}/best/{number}.html"
        yield Page(url, body, "repetition", False, "en", page.source, page.license)


def _shells() -> Iterator[Page]:
    """Pages that hold nothing: a script, a notice, a form."""
    shells = {
        "app": '<html><head><title>App</title></head><body><div id="root"></div><script src="/app.js"></script></body>',
        "login": "<html><body><h1>Sign in</h1><form><input name='user'><input name='password'></form></body></html>",
        "moved": "<html><body>This page has moved. Please update your bookmarks.</body></html>",
        "placeholder": f"<html><body><p>{'Lorem ipsum dolor sit amet, consectetur. ' * 12}</p></body></html>",
        "empty": "",
    }
    for name, html in shells.items():
        yield Page(f"https://{BLOG}/{name}", html.encode(), "shell", False, "en", "written for the sample", "CC0-1.0")


def naive(page: Page) -> str:
    """The page's text with all that stands around it, whatever its encoding."""
    return naive_text(page.body.decode(page.charset))

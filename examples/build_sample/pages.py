"""Pages around texts that come without markup: a blog, a reader for books, a manual, plain lists.

The frames (menus, side bars, notices, footers) are ours and are written to be like those of such sites, because they
are what an extractor has to take away. Pages that have their publisher's own markup are not touched by this module.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape, unescape


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the sample: what the archive holds, and what is true of it."""

    url: str
    body: bytes
    kind: str
    good: bool  # edited English prose, and the first of its copies
    lang: str
    source: str
    license: str
    prose: str = ""  # the good text in it, without markup
    copy_of: str | None = None  # URL of the page that this one repeats
    charset: str = "utf-8"
    media_type: str = "text/html; charset=utf-8"
    coding: str = ""  # "gzip" or "chunked": how the body travels
    headers: dict[str, str] = field(default_factory=dict)


_BLOCK = re.compile(r"\n\s*\n")
_ITEM = re.compile(r"^\s*(?:[*+-]|\d+\.)\s+")
_ESCAPED = re.compile(r"\\([\\*_#`\[\]|<>-])")
_EMPHASIS = re.compile(r"(?<!\w)_([^_\n]+)_(?!\w)")
_NOT_TEXT = re.compile(r"<(script|style|head)\b.*?</\1>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE)


def naive_text(html: str) -> str:
    """`html` without tags, scripts and styles, white space as one space: what a page holds, boilerplate and all."""
    return " ".join(unescape(_NOT_TEXT.sub(" ", html)).split())


def paragraphs(text: str) -> list[str]:
    """The paragraphs and list items of `text`, each on one line, without its quotation and emphasis marks."""
    lines: list[str] = []
    for block in _BLOCK.split(text):
        rows = [_ESCAPED.sub(r"\1", row.strip().removeprefix("> ")) for row in block.splitlines()]
        wrapped = len(rows) > 2 and max(map(len, rows)) <= 100 and not any(map(_ITEM.match, rows))
        lines += [" ".join(rows)] if wrapped else rows
    return [_EMPHASIS.sub(r"\1", line).strip() for line in lines if re.search(r"\w", line)]


def markup(lines: Sequence[str]) -> str:
    """`lines` as HTML paragraphs; runs of list items as one list."""
    parts: list[str] = []
    for line in lines:
        if not _ITEM.match(line):
            parts.append(f"<p>{escape(line, quote=False)}</p>")
            continue
        item = f"<li>{escape(_ITEM.sub('', line), quote=False)}</li>"
        if parts and parts[-1].endswith("</ul>"):
            parts[-1] = parts[-1].removesuffix("</ul>") + item + "</ul>"
        else:
            parts.append(f"<ul>{item}</ul>")
    return "\n".join(parts)


def links(entries: Sequence[tuple[str, str]]) -> str:
    """A list of links, as menus are made of."""
    return "<ul>" + "".join(f'<li><a href="{escape(url)}">{escape(name)}</a></li>' for url, name in entries) + "</ul>"


BLOG_MENU = tuple(
    (f"/{name.lower().replace(' ', '-')}/", name)
    for name in (
        "Home", "News", "Events", "Resources", "Communities", "Services", "Job board", "About us", "Contribute",
        "Subscribe", "Contact",
    )
)  # fmt: skip
BLOG_FOOTER = (
    "An example of an official website. Accessibility · Privacy policy · Freedom of information · No FEAR Act data · "
    "Performance reports · Budget · Vulnerability disclosure. Looking for government information and services?"
)


def blog(title: str, lines: Sequence[str], *, date: str, related: Sequence[tuple[str, str]]) -> str:
    """A post of a government blog."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{escape(title)} | Blog</title><link rel="stylesheet" href="/css/site.css">
<script>window.dataLayer=window.dataLayer||[];dataLayer.push({{js:new Date()}});</script>
</head>
<body class="post">
<a class="skip" href="#main">Skip to main content</a>
<div class="cookie-notice"><p>We use cookies to count visits. By using this site you agree to that.</p>
<button>Accept</button></div>
<header><a href="/">Blog</a><nav aria-label="Main">{links(BLOG_MENU)}</nav>
<form role="search"><input name="q"><button>Search</button></form></header>
<main id="main"><article><h1>{escape(title)}</h1><p class="byline">Posted on <time datetime="{date}">{date}</time></p>
{markup(lines)}
<div class="share">Share this post: <a href="#">Email</a> <a href="#">Facebook</a> <a href="#">LinkedIn</a></div>
</article>
<aside><h2>Related posts</h2>{links(related)}<h2>Stay informed</h2><p>Sign up for our newsletter.</p></aside></main>
<footer><nav>{links(BLOG_MENU)}</nav><p>{BLOG_FOOTER}</p></footer>
</body></html>
"""


def plain(title: str, lines: Sequence[str]) -> str:
    """The same post as a mirror or a print view shows it."""
    body = "\n".join(f"<p>{escape(line, quote=False)}</p>" for line in lines)
    return f"<html><head><title>{escape(title)}</title></head><body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"


def reader(work: str, chapter: str, lines: Sequence[str]) -> str:
    """A page of a library's reader for books."""
    contents = links([("/", "Library"), ("/new", "New books"), ("/authors", "Authors"), ("/lists", "Reading lists")])
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(chapter)} - {escape(work)}</title></head>
<body><header><nav>{contents}<a href="prev">Previous page</a> <a href="next">Next page</a></nav></header>
<div class="tools">Font size: <a>small</a> <a>medium</a> <a>large</a> | <a>Bookmark this page</a></div>
<main><h1>{escape(work)}</h1>
{markup(lines)}
</main><footer><a href="prev">Previous page</a> | <a href="contents">Contents</a> | <a href="next">Next page</a>
<p>Report an error in this text. Free of copyright restrictions.</p></footer></body></html>
"""


def manual(title: str, lines: Sequence[str], *, lang: str) -> str:
    """A page of a manual or a reference whose own markup is lost."""
    return f"""<!DOCTYPE html>
<html lang="{lang}"><head><meta charset="utf-8"><title>{escape(title)}</title></head>
<body><div id="nav"><a href="index.html">Index</a> <a href="genindex.html">General index</a></div>
<div class="section">
{markup(lines)}
</div><div id="footer">Generated from the sources of the package.</div></body></html>
"""


def listing(title: str, text: str) -> str:
    """A file as a file server shows it."""
    return (
        f"<html><head><title>{escape(title)}</title></head><body><h1>{escape(title)}</h1>\n"
        f"<pre>{escape(text, quote=False)}</pre></body></html>\n"
    )


def archive(number: int, posts: Sequence[tuple[str, str, str]]) -> str:
    """A page of a blog's archive: title, address and first words of each post."""
    entries = "\n".join(
        f'<div class="card"><h3><a href="{escape(url)}">{escape(title)}</a></h3><p>{escape(words)}…</p>'
        '<a href="#">Read more</a></div>'
        for url, title, words in posts
    )
    pager = links([(f"/archive/{page}/", str(page)) for page in range(1, 13)])
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Archive, page {number}</title></head>'
        f"<body><nav>{links(BLOG_MENU)}</nav><main>{entries}</main>{pager}<footer>{BLOG_FOOTER}</footer></body></html>\n"
    )

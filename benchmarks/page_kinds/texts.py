"""Free texts to render: articles in many languages, questions with answers, posts, product reviews.

Each comes from a git repository; `clones` is a folder that holds them as OWNER+NAME (bare or not).
"""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

import markdown


@dataclass(frozen=True, slots=True)
class Text:
    """A text with its origin; `body` is Markdown, `html` the same as HTML."""

    title: str
    body: str
    lang: str
    source: str
    license: str
    author: str | None = None
    date: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def html(self) -> str:
        return markdown_html(self.body)


def markdown_html(text: str) -> str:
    """Markdown as HTML, with tables and code blocks."""
    page: str = markdown.markdown(text, extensions=["tables", "fenced_code", "sane_lists"])
    return page


@dataclass(slots=True)
class Thread:
    """A question or first post and what was answered, best first; bodies are HTML."""

    title: str
    posts: list[Post]
    source: str
    license: str
    tags: tuple[str, ...] = ()


@dataclass(slots=True)
class Post:
    author: str
    date: str  # ISO, to the second
    html: str
    score: int
    comments: list[Post] = field(default_factory=list)


def git_show(clones: Path, repository: str, path: str) -> str:
    """The text of a file at the head of a clone. Raises CalledProcessError if there is none."""
    command = ["git", "-C", str(clones / repository.replace("/", "+")), "show", f"HEAD:{path}"]
    return subprocess.run(command, check=True, capture_output=True).stdout.decode("utf-8-sig")


def front_matter(text: str) -> tuple[dict[str, str], str]:
    """The flat fields of a YAML head and the text after it."""
    _, head, body = text.split("---\n", 2)
    fields = dict(re.findall(r"^(\w+): *(.+?) *$", head, flags=re.MULTILINE))
    return {name: value.strip("\"'") for name, value in fields.items()}, body


def open_source_guide(clones: Path, lang: str, name: str) -> Text:
    """A chapter of the Open Source Guides, less its pull quotes (their markup needs Jekyll)."""
    path = f"_articles/{lang}/{name}.md" if lang != "en" else f"_articles/{name}.md"
    fields, body = front_matter(git_show(clones, "github/opensource.guide", path))
    body = re.sub(r"<aside.*?</aside>", "", body, flags=re.DOTALL)
    body = re.sub(r"<(div|p|h\d|form|img|br|a|span)\b[^>]*>|</(div|p|h\d|form|a|span)>", "", body)
    body = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{:.*?\}|\{/?a\d\}", "", body, flags=re.DOTALL)
    body = re.sub(r"\]\(\.?\.?/[^)]*\)", "](https://opensource.guide/)", body)
    lang = {"zh-hans": "zh-Hans", "zh-hant": "zh-Hant"}.get(lang, lang)
    return Text(
        title=fields["title"],
        body=re.sub(r"\n{3,}", "\n\n", body).strip(),
        lang=lang,
        source=f"github/opensource.guide:{path}",
        license="CC-BY-4.0",
        tags=tuple(fields["class"].split("-")[:2]),
    )


def digital_gov(clones: Path, name: str) -> Text:
    """A post of Digital.gov, by its file name, less short codes of the site generator."""
    year, month = name.split("-")[:2]
    path = f"content/news/{year}/{month}/{name}.md"
    fields, body = front_matter(git_show(clones, "GSA/digitalgov.gov", path))
    body = re.sub(r"\{\{.*?\}\}|<[^>]+>|\{[^}\n]*\}", "", body, flags=re.DOTALL)
    return Text(fields["title"], body.strip(), "en", f"GSA/digitalgov.gov:{path}", "CC0-1.0", date=name[:10])


def semantic_versioning(clones: Path, folder: str, lang: str) -> Text:
    """The specification of Semantic Versioning in a language: rules, a grammar in a code block, questions."""
    path = f"lang/{folder}/spec/v2.0.0.md" if folder else "spec/v2.0.0.md"
    _, body = front_matter(git_show(clones, "semver/semver.org", path))
    heading = re.search(r"^(.+)\n=+\n|^# (.+)\n", body, flags=re.MULTILINE)
    assert heading is not None
    body = re.sub(r"\{:.*?\}|<[^>\n]*(?:href|id)=[^>\n]*>", "", body[heading.end() :])
    title = heading.group(1) or heading.group(2)
    return Text(title, body.strip(), lang, f"semver/semver.org:{path}", "CC-BY-3.0", author="Tom Preston-Werner")


def thai_government(clones: Path, path: str) -> Text:
    """An announcement of the Thai government: topic, text, and a last paragraph with its address, which is left out."""
    title, _, body = git_show(clones, "PyThaiNLP/thaigov-v2-corpus", path).strip().partition("\n")
    title = title.split("-", 2)[-1].strip()  # after "Thai government-news of the government house-"
    lines = [line.strip() for line in body.splitlines()[3:]]
    paragraphs = [line for line in lines if line and line not in (title, "พิมพ์") and "http" not in line]
    date = "-".join(path.split("/")[1:4])
    source = f"PyThaiNLP/thaigov-v2-corpus:{path}"
    return Text(title, "\n\n".join(paragraphs), "th", source, "LicenseRef-public-domain", date=date)


def tldr_pages(clones: Path, lang: str, names: tuple[str, ...], *, title: str) -> Text:
    """Some pages of tldr-pages in a language, one after another: names, sentences, commands."""
    pages = [git_show(clones, "tldr-pages/tldr", f"pages.{lang}/{name}.md") for name in names]
    body = "\n\n".join(re.sub(r"^# ", "## ", re.sub(r"\{\{|\}\}", "", page).strip()) for page in pages)
    body = re.sub(r"^`(.+)`$", r"```\n\1\n```", body, flags=re.MULTILINE)
    source = f"tldr-pages/tldr:pages.{lang}/{{{','.join(names)}}}.md"
    return Text(title, body, {"zh": "zh-Hans"}.get(lang, lang), source, "CC-BY-4.0")


def stack_exchange_threads(clones: Path, repository: str, site: str) -> list[Thread]:
    """Questions of a data dump of 2011 to 2018 with two or more answers, the most answered first."""
    rows = {
        name: list(ElementTree.fromstring(re.sub(r"<!DOCTYPE[^>]*>", "", git_show(clones, repository, f"{name}.xml"))))
        for name in dump_files(clones, repository)
    }
    names = {row.get("Id"): row.get("DisplayName", "") for row in rows.get("Users", [])}

    def post(row: ElementTree.Element, body: str) -> Post:
        user = row.get("OwnerUserId") or row.get("UserId") or ""
        name = names.get(user) or row.get("OwnerDisplayName") or row.get("UserDisplayName") or f"user{user}"
        date = row.get("CreationDate", "")[:19]
        made = Post(name, date, body, int(row.get("Score", "0")))
        for comment in comments.get(row.get("Id", ""), []) if row.get("PostTypeId") else []:
            made.comments.append(post(comment, f"<p>{markdown.markdown(comment.get('Text', ''))[3:-4]}</p>"))
        return made

    comments: dict[str, list[ElementTree.Element]] = {}
    for row in rows.get("Comments", []):
        comments.setdefault(row.get("PostId", ""), []).append(row)
    answers: dict[str, list[ElementTree.Element]] = {}
    for row in rows["Posts"]:
        answers.setdefault(row.get("ParentId", ""), []).append(row)
    threads = []
    for row in rows["Posts"]:
        found = answers.get(row.get("Id", ""), []) if row.get("PostTypeId") == "1" else []
        if len(found) >= 2:
            found.sort(key=lambda answer: -int(answer.get("Score", "0")))
            posts = [post(each, each.get("Body", "").strip()) for each in (row, *found)]
            source = f"{repository}:Posts.xml, {site}/q/{row.get('Id')}"
            tags = tuple(re.findall(r"<(.+?)>", row.get("Tags", "")))
            threads.append(Thread(row.get("Title", ""), posts, source, "CC-BY-SA-3.0", tags))
    return sorted(threads, key=lambda thread: -len(thread.posts))


def dump_files(clones: Path, repository: str) -> list[str]:
    """Which of the dump's tables the repository has."""
    command = ["git", "-C", str(clones / repository.replace("/", "+")), "ls-tree", "--name-only", "HEAD"]
    files = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return [name for name in ("Posts", "Users", "Comments") if f"{name}.xml" in files]


def text(clones: Path, spec: str) -> Text:
    """A text by its short name: osg LANG CHAPTER, semver FOLDER LANG, gov FILE, thai PATH, tldr LANG TITLE PAGE..."""
    collection, *rest = spec.split()
    match collection:
        case "osg":
            return open_source_guide(clones, rest[0], rest[1])
        case "semver":
            return semantic_versioning(clones, rest[0], rest[1])
        case "gov":
            return digital_gov(clones, rest[0])
        case "thai":
            return thai_government(clones, rest[0])
        case "tldr":
            return tldr_pages(clones, rest[0], tuple(rest[2:]), title=rest[1].replace("_", " "))
    raise ValueError(f"no collection {collection!r} in {spec!r}")

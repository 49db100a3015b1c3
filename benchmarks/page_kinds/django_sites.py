"""Renders a shop and a forum through Django applications, each in a Python of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lxml import html

from page_kinds import php_sites, texts
from page_kinds.page import Page, page_of
from page_kinds.truth import Rule, block_text, parse

SCRIPTS = Path(__file__).parent / "django_scripts"
HANDBOOK = "debian-handbook/usr/share/doc/debian-handbook/html"

OSCAR_RULE = Rule(
    "//article[contains(@class, 'product_page')]",
    drop=(
        ".//div[contains(@class, 'product_main')]/*[not(self::h1)]",
        ".//*[preceding-sibling::section]",  # recommended and lately seen products
        ".//section",  # reviews
    ),
    title="//article//h1",
)
OSCAR_PROGRAMS = ("audacity", "gpodder", "ledger", "scribus", "kstars", "lyx", "sigil", "gramps")
OSCAR_BOOKS = (
    ("de", "de-DE", "Bücher"),
    ("fr", "fr-FR", "Livres"),
    ("es", "es-ES", "Libros"),
    ("ru", "ru-RU", "Книги"),
    ("ja", "ja-JP", "書籍"),
    ("zh-hans", "zh-CN", "图书"),
)


def rendered(script: str, python: str, data: dict[str, Any]) -> list[str]:
    """The pages that a script prints, run by the Python that the environment variable names."""
    command = [os.environ[python], str(SCRIPTS / script)]
    done = subprocess.run(command, input=json.dumps(data), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{script}: {done.stderr[-1500:]}")
    pages: list[str] = json.loads(done.stdout)
    return pages


def program(packages: Path, name: str) -> dict[str, Any]:
    """A program of Debian as a product."""
    fields = php_sites.control_fields(packages, name)
    short = fields["Description"].partition("\n")[0]
    values = {field: fields[field] for field in php_sites.SPECIFICATION if field in fields}
    return {
        "name": f"{name.capitalize()}: {short}",
        "html": php_sites.description_html(fields["Description"]),
        "values": values,
    }


def book(packages: Path, folder: str) -> dict[str, Any]:
    """The Debian Administrator's Handbook in a language as a product, described by its preface."""
    folder_path = packages / HANDBOOK / folder
    name = parse((folder_path / "index.html").read_text()).findtext(".//title")
    preface = parse((folder_path / "preface.html").read_text())
    paragraphs = [" ".join(block_text(each)) for each in preface.xpath("//div[@class='para']")]
    values = {
        "Debian": "11 (Bullseye)",
        "Authors": "Raphaël Hertzog, Roland Mas",
        "Publisher": "Freexian SARL",
        "Format": "HTML, EPUB, PDF",
        "License": "GPL-2.0-or-later, CC-BY-SA-3.0",
    }
    return {
        "name": re.sub(r"\s+", " ", name),
        "html": "".join(f"<p>{each}</p>\n" for each in paragraphs),
        "values": values,
    }


def oscar(packages: Path) -> Iterator[Page]:
    """Product pages of an Oscar shop."""
    programs = [program(packages, name) for name in OSCAR_PROGRAMS]
    shops: list[tuple[str, str, list[dict[str, Any]], tuple[str, ...]]] = [
        ("en", "Programs", programs, OSCAR_PROGRAMS[:3])
    ]
    shops += [(lang, kind, [book(packages, folder), *programs[:3]], (folder,)) for lang, folder, kind in OSCAR_BOOKS]
    for lang, kind, products, names in shops:
        data = {"language": lang, "class": kind, "categories": [kind], "products": products}
        pages = rendered("oscar_shop.py", "PAGE_KINDS_OSCAR_PYTHON", data)
        for name, page in zip(names, pages, strict=False):
            if lang == "en" and name not in php_sites.DESCRIPTION_LICENSES:
                continue
            free = php_sites.DESCRIPTION_LICENSES.get(name, "(GPL-2.0-or-later OR CC-BY-SA-3.0)")
            source = (
                f"Debian package {name}:control"
                if lang == "en"
                else f"Debian package {HANDBOOK}/{name}/preface.html".replace("handbook/usr", "handbook:usr")
            )
            yield page_of(
                page,
                OSCAR_RULE,
                kind="shop",
                language=lang.replace("hans", "Hans"),
                template="django-oscar",
                source=source,
                license=f"{free} AND BSD-3-Clause",
                truth="rendered",
            )


MACHINA_RULE = Rule(
    "//div[@class='col-12']/h1|//div[contains(@class, 'post-content')][not(contains(@class, 'wrapper'))]",
    title="//div[@class='col-12']/h1",
    author="(//div[contains(@class, 'post-sidebar')]//div[@class='username'])[1]",
)
FAQ_FORUMS = (
    ("ru", "ru", "Форум"),
    ("ja", "ja", "フォーラム"),
    ("zh-hans", "zh-cn", "论坛"),
    ("fr", "fr", "Forum"),
    ("de", "de", "Forum"),
)


def faq_thread(packages: Path, folder: str) -> texts.Thread:
    """Questions of a chapter of the Debian FAQ, each followed by its answer, as the posts of a thread."""
    path = f"usr/share/doc/debian/FAQ/{folder}/compatibility.{folder}.html"
    root = parse((packages / f"debian-faq-{folder}" / path).read_text())
    posts = []
    for i, section in enumerate(root.xpath("//div[@class='chapter']/div[@class='section']")[:6]):
        question = re.sub(r"^[\d.\s\xa0]+", "", " ".join(block_text(section.xpath("./div[@class='titlepage']")[0])))
        answer = "".join(
            html.tostring(part, encoding="unicode") for part in section if part.get("class") != "titlepage"
        )
        day = f"2021-03-{i + 10}T1{i}"
        posts += [
            texts.Post(f"reader{i}", f"{day}:05:00", f"<p>{question}</p>", 1),
            texts.Post("faq-team", f"{day}:40:00", answer, 1),
        ]
    title = re.sub(
        r"^\D*\d+\s?(?:章|\.)?\s*", "", root.xpath("string(//div[@class='titlepage']//h1)")
    )  # less "Chapter 4."
    return texts.Thread(title, posts, f"Debian package debian-faq-{folder}:{path}", "LicenseRef-permission-notice")


def machina(packages: Path, threads: list[texts.Thread]) -> Iterator[Page]:
    """Threads of a machina forum: of the dump in English, and of the Debian FAQ in other languages."""
    forums = [("en", "Board", threads)]
    forums += [(lang, name, [faq_thread(packages, folder)]) for lang, folder, name in FAQ_FORUMS]
    for lang, name, chosen in forums:
        posts = [php_sites.thread_data(thread, with_comments=False) for thread in chosen]
        data = {"language": lang, "forum": name, "section": name, "threads": posts}
        for thread, page in zip(chosen, rendered("machina_forum.py", "PAGE_KINDS_MACHINA_PYTHON", data), strict=True):
            yield page_of(
                page,
                MACHINA_RULE,
                kind="forum",
                language=lang.replace("hans", "Hans"),
                template="django-machina",
                source=thread.source,
                license=f"{thread.license} AND BSD-3-Clause",
                truth="rendered",
            )

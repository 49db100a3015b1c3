"""Renders articles and documentation through generators of static sites, each with its own navigation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from page_kinds import texts
from page_kinds.page import Page, page_of
from page_kinds.texts import Text
from page_kinds.truth import Rule

Builder = Callable[[Path, list[Text]], Path]  # writes a site of the texts to an empty folder: the first text's page

PERMALINKS = (
    ".//a[contains(@class, 'headerlink') or contains(@class, 'header-anchor') or contains(@class, 'headeranchor')]",
)
GUTTER = ".//td[@class='gutter']"
FILLERS = (
    "metrics",
    "finding-users",
    "legal",
    "getting-paid",
    "best-practices",
    "starting-a-project",
    "code-of-conduct",
)
GUIDE_LANGUAGE_NAMES = """
ar bn de el es fa fr hi hu id it ja ko nl pl pt ro ru ta tr zh-hans zh-hant
"""
GUIDE_LANGUAGES = frozenset(GUIDE_LANGUAGE_NAMES.split())


# the example of the theme's own documentation
CONSENT = (
    "We use cookies to recognize your repeated visits and preferences, as well as to measure the effectiveness of our "
    "documentation and whether users find what they're searching for. With your consent, you're helping us to make our "
    "documentation better."
)


@dataclass(frozen=True, slots=True)
class Template:
    """A generator with a theme: how it builds a site, where its pages have their text, and which texts it renders."""

    name: str
    kind: str
    license: str
    build: Builder
    rule: Rule
    texts: tuple[str, ...]


def run(*command: str | Path, folder: Path, **variables: str) -> None:
    """Run a generator in a folder. Raises RuntimeError with what it wrote if it fails."""
    words, environment = [str(word) for word in command], {**os.environ, **variables}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} in {folder}: {(done.stdout + done.stderr)[-1500:]}")


def tool(name: str) -> Path:
    """A program of the Python environment that runs this."""
    return Path(sys.executable).parent / name


def node_modules() -> Path:
    """The folder of installed Node packages: the environment variable PAGE_KINDS_NODE_MODULES."""
    return Path(os.environ["PAGE_KINDS_NODE_MODULES"])


def yaml_head(**fields: object) -> str:
    """The fields as the YAML head of a Markdown file; JSON is YAML."""
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items() if value]
    return "\n".join(["---", *lines, "---", ""])


def hexo(theme: str, *, settings: str = "") -> Builder:
    """Blogs by Hexo with a theme."""

    def build(folder: Path, posts: list[Text]) -> Path:
        language = {"zh-Hans": "zh-CN", "zh-Hant": "zh-TW", "pt": "pt-BR"}.get(posts[0].lang, posts[0].lang)
        (folder / "source/_posts").mkdir(parents=True)
        (folder / "node_modules").symlink_to(node_modules())
        names = [entry.name for entry in node_modules().iterdir() if entry.name.startswith("hexo")]
        package = {"name": "site", "version": "0.0.0", "hexo": {}, "dependencies": dict.fromkeys(names, "*")}
        (folder / "package.json").write_text(json.dumps(package))
        (folder / "_config.yml").write_text(
            f"title: Notes\nsubtitle: From the field\nauthor: Editors\nlanguage: {language}\nurl: https://blog.example.org\n"
            f"permalink: :title/\ntheme: {theme}\nsyntax_highlighter: highlight.js\n"
            "highlight: {line_number: true, wrap: true}\n"
        )
        (folder / f"_config.{theme}.yml").write_text(settings or "{}")
        for i, post in enumerate(posts):
            date = f"{post.date or f'2024-0{i + 1}-1{i}'} 10:00:00"
            head = yaml_head(title=post.title, date=date, tags=list(post.tags), categories=["Guides"])
            (folder / f"source/_posts/post-{i}.md").write_text(head + post.body)
        run("node", node_modules() / ".bin/hexo", "generate", folder=folder)
        return folder / "public/post-0/index.html"

    return build


def mkdocs(theme: str) -> Builder:
    """Documentation by MkDocs with a theme."""

    def build(folder: Path, pages: list[Text]) -> Path:
        language = pages[0].lang.replace("zh-Hans", "zh").lower()
        (folder / "docs").mkdir()
        settings = {
            "name": theme,
            **({"language": language, "features": ["navigation.footer"]} if theme == "material" else {}),
        }
        config = {
            "site_name": "Handbook",
            "site_url": "https://docs.example.org/",
            "repo_url": "https://code.example.org/handbook",
            "theme": settings,
            "extra": {"consent": {"title": "Cookie consent", "description": CONSENT}} if theme == "material" else {},
            "markdown_extensions": ["tables", "fenced_code", {"toc": {"permalink": True}}],
        }
        (folder / "mkdocs.yml").write_text(json.dumps(config, ensure_ascii=False))
        for i, page in enumerate(pages):
            name = "index" if i == 1 else f"page-{i}"
            (folder / f"docs/{name}.md").write_text(f"# {page.title}\n\n{page.body}\n")
        run(tool("mkdocs"), "build", "--quiet", folder=folder, NO_MKDOCS_2_WARNING="1")
        return folder / "site/page-0/index.html"

    return build


def sphinx(theme: str) -> Builder:
    """Documentation by Sphinx with a theme, from Markdown."""

    def build(folder: Path, pages: list[Text]) -> Path:
        language = pages[0].lang.replace("-Hans", "_CN").replace("-Hant", "_TW")
        (folder / "conf.py").write_text(
            f"project = 'Handbook'\nauthor = 'Editors'\ncopyright = '2024, Editors'\nlanguage = {language!r}\n"
            f"extensions = ['myst_parser']\nhtml_theme = {theme!r}\n"
        )
        names = [f"page-{i}" for i in range(len(pages))]
        for name, page in zip(names, pages, strict=True):
            (folder / f"{name}.md").write_text(f"# {page.title}\n\n{page.body}\n")
        (folder / "index.rst").write_text(
            "Handbook\n========\n\n.. toctree::\n\n" + "".join(f"   {n}\n" for n in names)
        )
        run(tool("sphinx-build"), "-q", "-b", "html", ".", "_build", folder=folder)
        return folder / "_build/page-0.html"

    return build


def nikola(theme: str) -> Builder:
    """Blogs by Nikola with a theme."""

    def build(folder: Path, posts: list[Text]) -> Path:
        language = posts[0].lang.replace("-Hans", "_cn").replace("-Hant", "_tw").replace("pt", "pt_br")
        run(tool("nikola"), "init", "-q", "site", folder=folder)
        config = (folder / "site/conf.py").read_text()
        config = config.replace('DEFAULT_LANG = "en"', f'DEFAULT_LANG = "{language}"')
        (folder / "site/conf.py").write_text(
            f"{config}\nTHEME = {theme!r}\nBLOG_TITLE = 'Notes'\nBLOG_AUTHOR = 'Editors'\n"
        )
        for i, post in enumerate(posts):
            date = f"{post.date or f'2024-0{i + 1}-11'} 10:00:00 UTC"
            head = f".. title: {post.title}\n.. slug: post-{i}\n.. date: {date}\n.. tags: {','.join(post.tags)}\n"
            (folder / f"site/posts/post-{i}.md").write_text(f"<!--\n{head}-->\n\n{post.body}")
        run(tool("nikola"), "build", "-q", folder=folder / "site")
        return folder / "site/output/posts/post-0/index.html"

    return build


def vitepress(folder: Path, pages: list[Text]) -> Path:
    """Documentation by VitePress."""
    (folder / "node_modules").symlink_to(node_modules())
    (folder / ".vitepress").mkdir()
    menu = [{"text": page.title, "link": f"/page-{i}"} for i, page in enumerate(pages)]
    theme = {
        "nav": menu[:3],
        "sidebar": [{"text": "Handbook", "items": menu}],
        "editLink": {"pattern": "https://code.example.org/:path"},
        "footer": {"message": "Released under a free licence.", "copyright": "Copyright 2024 Editors"},
    }
    config = {"title": "Handbook", "lang": pages[0].lang, "ignoreDeadLinks": True, "themeConfig": theme}
    (folder / ".vitepress/config.mjs").write_text(f"export default {json.dumps(config, ensure_ascii=False)}\n")
    for i, page in enumerate(pages):
        (folder / f"page-{i}.md").write_text(f"# {page.title}\n\n::: v-pre\n{page.body}\n:::\n")
    (folder / "index.md").write_text("# Handbook\n")
    run("node", node_modules() / "vitepress/bin/vitepress.js", "build", ".", folder=folder)
    return folder / ".vitepress/dist/page-0.html"


ICARUS = """
widgets:
  - {position: left, type: profile, author: Editors, author_title: Notes, location: Here, follow_link: 'https://example.org'}
  - {position: left, type: categories}
  - {position: right, type: recent_posts}
  - {position: right, type: archives}
  - {position: right, type: tags}
donates: []
share: {}
"""
BUTTERFLY = """
menu: {Home: / || fas fa-home, Archives: /archives/ || fas fa-archive, Tags: /tags/ || fas fa-tags}
post_copyright: {enable: true, license: CC BY 4.0, license_url: 'https://creativecommons.org/licenses/by/4.0/'}
"""

TEMPLATES: tuple[Template, ...] = (
    Template(
        "hexo-landscape",
        "article",
        "MIT",
        hexo("landscape"),
        Rule(
            "//article//header[@class='article-header']|//div[contains(@class, 'article-entry')]",
            drop=(*PERMALINKS, GUTTER),
            title="//article//h1",
            date="//article//time/@datetime",
        ),
        (
            "osg ko finding-users",
            "osg ru getting-paid",
            "thai data/2020/10/01/ด้านกฎหมายฯ_1.txt",
            "semver he he",
            "gov 2015-01-02-past-present-future-usability-testing-at-the-national-library-of-medicine",
        ),
    ),
    Template(
        "hexo-icarus",
        "article",
        "MIT",
        hexo("icarus", settings=ICARUS),
        Rule(
            "//article//h1|//article//div[@class='content']",
            drop=(*PERMALINKS, GUTTER),
            title="//article//h1",
            date="//article//time/@datetime",
        ),
        (
            "osg zh-hans metrics",
            "osg ja legal",
            "osg fr leadership-and-governance",
            "tldr zh 命令行速查 common/tar common/curl common/rsync common/git-log",
        ),
    ),
    Template(
        "hexo-butterfly",
        "article",
        "Apache-2.0",
        hexo("butterfly", settings=BUTTERFLY),
        Rule(
            "//h1[@class='post-title']|//article[@id='article-container']",
            drop=(*PERMALINKS, GUTTER),
            title="//h1[@class='post-title']",
            date="//time[@class='post-meta-date-created']/@datetime",
        ),
        (
            "osg zh-hant starting-a-project",
            "thai data/2020/10/01/ด้านสังคม_7.txt",
            "osg de finding-users",
            "gov 2016-02-23-the-benefits-of-being-push-y-reaching-your-audience-through-push-notifications",
        ),
    ),
    Template(
        "hexo-fluid",
        "article",
        "GPL-3.0-only",
        hexo("fluid"),
        Rule(
            "//h1[@id='seo-header']|//div[@class='markdown-body']",
            drop=(*PERMALINKS, GUTTER),
            title="//h1[@id='seo-header']",
            date="//meta[@property='article:published_time']/@content",
        ),
        ("osg ar metrics", "osg es legal", "semver uk uk"),
    ),
    Template(
        "nikola-bootblog4",
        "article",
        "MIT",
        nikola("bootblog4"),
        Rule(
            "//article//h1|//article//div[contains(@class, 'e-content')]",
            drop=PERMALINKS,
            title="//article//h1",
            date="//article//time/@datetime",
        ),
        (
            "osg hi metrics",
            "osg ta metrics",
            "gov 2016-08-18-the-right-tools-for-the-job-"
            "re-hosting-digitalgov-search-to-a-dynamic-infrastructure-environment",
        ),
    ),
    Template(
        "nikola-bootstrap4",
        "article",
        "MIT",
        nikola("bootstrap4"),
        Rule(
            "//article//h1|//article//div[contains(@class, 'e-content')]",
            drop=PERMALINKS,
            title="//article//h1",
            date="//article//time/@datetime",
        ),
        ("osg el metrics", "osg pl legal"),
    ),
    Template(
        "mkdocs",
        "docs",
        "BSD-2-Clause",
        mkdocs("mkdocs"),
        Rule("//div[@role='main']", drop=PERMALINKS),
        (
            "osg ru code-of-conduct",
            "tldr th คำสั่งพื้นฐาน common/ls common/clamscan common/clamdscan linux/ac windows/cmd common/n",
        ),
    ),
    Template(
        "mkdocs-readthedocs",
        "docs",
        "BSD-2-Clause",
        mkdocs("readthedocs"),
        Rule("//div[@role='main']", drop=PERMALINKS),
        ("semver ar ar", "osg id legal"),
    ),
    Template(
        "mkdocs-material",
        "docs",
        "MIT",
        mkdocs("material"),
        Rule(
            "//article",
            drop=(*PERMALINKS, ".//*[contains(@class, 'md-source-file') or contains(@class, 'md-content__button')]"),
        ),
        (
            "semver ja ja",
            "semver hin hi",
            "osg fa metrics",
            "tldr ko 자주_쓰는_명령 common/curl common/tar common/grep common/find",
        ),
    ),
    Template(
        "sphinx-furo",
        "docs",
        "MIT",
        sphinx("furo"),
        Rule("//article[@role='main']", drop=PERMALINKS),
        ("semver zh-CN zh-Hans", "osg bn best-practices"),
    ),
    Template(
        "sphinx-book-theme",
        "docs",
        "BSD-3-Clause",
        sphinx("sphinx_book_theme"),
        Rule("//article[contains(@class, 'bd-article')]", drop=PERMALINKS),
        ("semver ko ko", "osg tr legal"),
    ),
    Template(
        "vitepress",
        "docs",
        "MIT",
        vitepress,
        Rule(
            "//main//div[contains(@class, 'vp-doc')]",
            drop=(*PERMALINKS, ".//span[@class='lang']", ".//div[contains(@class, 'line-numbers')]"),
        ),
        ("semver ru ru", "semver el el", "tldr ar أوامر common/grep common/find common/zip common/du common/scp"),
    ),
)


def static_sites(clones: Path, work: Path) -> Iterator[Page]:
    """A page of each text that a template is given, from a site that also holds other texts of its language."""
    for template in TEMPLATES:
        for i, spec in enumerate(template.texts):
            text = texts.text(clones, spec)
            guide = text.lang.lower() if text.lang.lower() in GUIDE_LANGUAGES else "en"
            others = [texts.open_source_guide(clones, guide, chapter) for chapter in FILLERS[:4]]
            folder = work / f"{template.name}-{i}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            file = template.build(folder, [text, *(other for other in others if other.source != text.source)])
            yield page_of(
                file.read_text(),
                template.rule,
                kind=template.kind,
                language=text.lang,
                template=template.name,
                source=text.source,
                license=f"{text.license} AND {template.license}" if text.license != template.license else text.license,
                truth="rendered",
            )

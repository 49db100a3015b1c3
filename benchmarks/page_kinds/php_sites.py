"""Renders blogs with comments, questions, forums, shops and wikis through PHP software that runs on this machine."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from page_kinds import texts
from page_kinds.page import Page, page_of
from page_kinds.texts import Post, Thread
from page_kinds.truth import Rule

HOST = "127.0.0.1:8055"
SCRIPTS = Path(__file__).parent / "php"


def php() -> str:
    """The command that runs PHP 8 with its database, XML and image modules, from the environment."""
    return os.environ.get("PAGE_KINDS_PHP", "php")


def run_php(script: str, folder: Path, data: dict[str, Any]) -> Any:
    """What a script of this package prints after "IDS ", as JSON, run in a folder with data on its input."""
    command = [php(), str(SCRIPTS / script)]
    done = subprocess.run(command, cwd=folder, input=json.dumps(data), capture_output=True, text=True)
    if "IDS " not in done.stdout:
        raise RuntimeError(f"{script} in {folder}: {(done.stdout + done.stderr)[-2000:]}")
    return json.loads(done.stdout.rpartition("IDS ")[2])


def sql(*statements: str) -> None:
    """Run statements on the database server, by the command PAGE_KINDS_SQL (mariadb with its options)."""
    command = [*os.environ.get("PAGE_KINDS_SQL", "mariadb").split(), "-e", ";".join(statements)]
    subprocess.run(command, check=True)


def new_database(name: str) -> None:
    """An empty database, for the user pk with password pk."""
    sql(f"drop database if exists {name}", f"create database {name} character set utf8mb4")


@contextmanager
def server(folder: Path) -> Iterator[None]:
    """PHP's own web server on the folder, at HOST."""
    sessions = folder.parent / "sessions"  # else PHP's warnings that it cannot write them are part of the pages
    sessions.mkdir(exist_ok=True)
    command = [php(), "-d", f"session.save_path={sessions}", "-d", "display_errors=0", "-S", HOST, "-t", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield
    finally:
        process.terminate()
        process.wait()


def fetched(path: str) -> str:
    """The page at a path of the server."""
    with urllib.request.urlopen(f"http://{HOST}/{path}", timeout=60) as answer:
        page: str = answer.read().decode()
    return page.replace(HOST, "www.example.org").replace(urllib.parse.quote(HOST, safe=""), "www.example.org")


def as_local(date: str) -> str:
    """A date as MySQL writes it."""
    return date.replace("T", " ")


# WordPress: a question as the article, its answers as readers' comments

WORDPRESS_RULE = Rule(
    "//h1[contains(@class, 'entry-title') or contains(@class, 'wp-block-post-title')]"
    "|//main//h2[contains(@class, 'wp-block-post-title')][not(a)]"
    "|//div[contains(concat(' ', @class, ' '), ' entry-content ')]",
    drop=(".//*[contains(@class, 'reply') or contains(@class, 'comment-metadata') or contains(@class, 'says')]",),
    comments="//li//div[contains(@class, 'comment-content')]",
    title="//h1[contains(@class, 'entry-title') or contains(@class, 'wp-block-post-title')]",
    date="//time[contains(@class, 'entry-date')]/@datetime"
    "|//div[contains(@class, 'wp-block-post-date')]//time/@datetime",
)


def wordpress_comment(post: Post) -> dict[str, Any]:
    replies = [{"author": each.author, "date": as_local(each.date), "html": each.html} for each in post.comments]
    return {"author": post.author, "date": as_local(post.date), "html": post.html, "replies": replies}


def wordpress_post(thread: Thread) -> dict[str, Any]:
    first, *answers = thread.posts
    return {
        "title": thread.title,
        "html": first.html,
        "date": as_local(first.date),
        "tags": list(thread.tags),
        "comments": [wordpress_comment(answer) for answer in answers],
    }


def wordpress(
    packages: Path, work: Path, threads: list[Thread], *, theme: str, language: str = ""
) -> Iterator[tuple[Thread, str]]:
    """Each thread with its page in WordPress."""
    folder = work / f"wordpress-{theme}{language}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(packages / "wordpress/usr/share/wordpress", folder, ignore_dangling_symlinks=True, symlinks=False)
    for part in (f"wordpress-theme-{theme}/usr/share/wordpress", "wordpress-l10n/usr/share/wordpress"):
        shutil.copytree(packages / part / "wp-content", folder / "wp-content", dirs_exist_ok=True)
    new_database("pk_wordpress")
    names = {
        "DB_NAME": "pk_wordpress",
        "DB_USER": "pk",
        "DB_PASSWORD": "pk",
        "DB_HOST": "127.0.0.1:33306",
        "DB_CHARSET": "utf8mb4",
    }
    lines = [f"define('{name}', '{value}');" for name, value in names.items()]
    tail = "$table_prefix = 'wp_'; define('DISABLE_WP_CRON', true); define('WP_HTTP_BLOCK_EXTERNAL', true);"
    (folder / "wp-config.php").write_text(
        "\n".join(
            [
                "<?php",
                *lines,
                tail,
                "if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');",
                "require_once ABSPATH . 'wp-settings.php';",
            ]
        )
    )
    data = {"host": HOST, "theme": theme, "language": language, "posts": [wordpress_post(thread) for thread in threads]}
    ids = run_php("wordpress.php", folder, data)
    with server(folder):
        for thread, number in zip(threads, ids, strict=True):
            yield thread, fetched(f"?p={number}")


def repository(clones: Path, name: str, folder: Path, *parts: str, revision: str = "HEAD") -> None:
    """The files of a clone at a revision, in a new folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "-C", str(clones / name.replace("/", "+")), "archive", revision, *parts], capture_output=True
    )
    subprocess.run(["tar", "x", "-C", str(folder)], input=archive.stdout, check=True)


def posted(path: str, fields: dict[str, str]) -> str:
    """The answer to a form sent to the server."""
    data = urllib.parse.urlencode(fields).encode()
    with urllib.request.urlopen(urllib.request.Request(f"http://{HOST}/{path}", data=data), timeout=120) as answer:
        page: str = answer.read().decode()
    return page


# Question2Answer: question, answers and their comments

QUESTION2ANSWER_RULE = Rule(
    "//div[@class='qa-main-heading']//h1|//div[contains(@class, 'qa-q-view-content')]"
    "|//div[contains(@class, 'qa-a-item-content')]|//div[contains(@class, 'qa-c-item-content')]",
    drop=(".//a[@name]", ".//*[@class='qa-favoriting']"),
    title="//div[@class='qa-main-heading']//h1",
    author="//span[@class='qa-q-view-who-data']",
    date="//span[@class='qa-q-view-when-data']/time/@datetime",
)


def thread_data(thread: Thread, *, with_comments: bool) -> dict[str, Any]:
    """A thread as the scripts read it."""

    def post_data(post: Post) -> dict[str, Any]:
        comments = [post_data(comment) for comment in post.comments] if with_comments else []
        return {
            "author": post.author,
            "date": as_local(post.date),
            "html": post.html,
            "score": post.score,
            "comments": comments,
        }

    return {"title": thread.title, "tags": list(thread.tags), "posts": [post_data(post) for post in thread.posts]}


def question2answer(clones: Path, work: Path, threads: list[Thread], *, theme: str) -> Iterator[tuple[Thread, str]]:
    """Each thread with its page in Question2Answer."""
    folder = work / f"q2a-{theme}"
    repository(clones, "q2a/question2answer", folder)
    new_database("pk_q2a")
    names = {
        "HOSTNAME": "127.0.0.1",
        "PORT": "33306",
        "USERNAME": "pk",
        "PASSWORD": "pk",
        "DATABASE": "pk_q2a",
        "TABLE_PREFIX": "qa_",
    }
    lines = [f"define('QA_MYSQL_{name}', '{value}');" for name, value in names.items()]
    (folder / "qa-config.php").write_text("\n".join(["<?php", *lines, "define('QA_EXTERNAL_USERS', false);"]))
    with server(folder):
        posted("index.php?qa=install", {"create": "Set up"})
    data = {"host": HOST, "theme": theme, "threads": [thread_data(thread, with_comments=True) for thread in threads]}
    paths = run_php("question2answer.php", folder, data)
    with server(folder):
        for thread, path in zip(threads, paths, strict=True):
            yield thread, fetched(path)


# OpenCart: programs of Debian as products, with what their package says as description and specification

OPENCART_RULE = Rule(
    "//div[@id='content']//h1|//div[@id='tab-description']|//div[@id='tab-specification']",
    title="//div[@id='content']//h1",
)
PRODUCTS = (
    "gramps", "lyx", "sigil", "scribus", "kstars", "tuxpaint-data", "denemo", "xournalpp", "shotwell-common", "hledger",
    "gnuplot-nox", "solfege",
)  # fmt: skip
# the terms of packaging, by the packages' copyright files; a product that is not here is on no page of its own
DESCRIPTION_LICENSES = {
    "audacity": "(GPL-2.0-or-later OR CC-BY-3.0)",
    **dict.fromkeys(
        ("gramps", "scribus", "kstars", "tuxpaint-data", "xournalpp", "shotwell-common"), "GPL-2.0-or-later"
    ),
    **dict.fromkeys(("gpodder", "sigil", "hledger", "solfege"), "GPL-3.0-or-later"),
}
SPECIFICATION = ("Version", "Section", "Architecture", "Installed-Size", "Homepage", "Recommends", "Suggests")


def control_fields(packages: Path, name: str) -> dict[str, str]:
    """The control fields of a package file in the folder beside the unpacked ones."""
    file = next((packages.parent / "deb").glob(f"{name}_*.deb"))
    text = subprocess.run(["dpkg-deb", "-f", str(file)], check=True, capture_output=True).stdout.decode()
    return dict(re.findall(r"^([\w-]+): (.*(?:\n .*)*)", text, flags=re.MULTILINE))


def description_html(description: str) -> str:
    """The long description of a package: paragraphs, and lists where lines begin with a sign."""
    body = re.sub(r"^ ", "", description.partition("\n")[2], flags=re.MULTILINE)
    paragraphs = re.sub(r"^\.$", "", body, flags=re.MULTILINE)
    listed = re.sub(r"^ *([*o-]) ", "* ", re.sub(r"(?<!\n)\n( *[*o-] )", r"\n\1", paragraphs), flags=re.MULTILINE)
    return texts.markdown_html(re.sub(r"([^\n])\n(\* )", r"\1\n\n\2", listed))


def opencart(clones: Path, packages: Path, work: Path) -> Iterator[tuple[str, str]]:
    """The name of each product's package with its page in OpenCart."""
    folder = work / "opencart"
    repository(clones, "opencart/opencart", folder, "upload", revision="4.1.0.3")
    new_database("pk_opencart")
    shop = folder / "upload"
    for part in ("", "admin/"):
        (shop / f"{part}config.php").write_text("")
    options = {
        "username": "admin",
        "email": "admin@example.org",
        "password": "password",
        "http_server": f"http://{HOST}/",
        "language": "en-gb",
        "db_driver": "mysqli",
        "db_hostname": "127.0.0.1",
        "db_username": "pk",
        "db_password": "pk",
        "db_database": "pk_opencart",
        "db_port": "33306",
        "db_prefix": "oc_",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    subprocess.run([php(), "cli_install.php", "install", *words], cwd=shop / "install", check=True, capture_output=True)
    shutil.rmtree(shop / "install")
    products = []
    for i, name in enumerate(PRODUCTS):
        fields = control_fields(packages, name)
        short = fields["Description"].partition("\n")[0]
        values = [fields.get(field, "") for field in SPECIFICATION]
        title = f"{name.removesuffix('-data').removesuffix('-common').capitalize()}: {short}"
        products.append(
            {
                "name": title,
                "model": name,
                "html": description_html(fields["Description"]),
                "price": 19 + 7 * i,
                "values": values,
            }
        )
    paths = run_php(
        "opencart.php", shop, {"database": "pk_opencart", "attributes": list(SPECIFICATION), "products": products}
    )
    with server(shop):
        for name, path in zip(PRODUCTS, paths, strict=True):
            yield name, fetched(path)


# MyBB: a question, answers and their comments as the posts of a thread, in order of time

MYBB_RULE = Rule(
    "//td[@class='thead']/div/strong|//div[contains(@class, 'post_body')]",
    drop=(".//div[@class='post_meta']",),
    title="//td[@class='thead']/div/strong",
)
BBCODE = (
    (r"<blockquote>\s*(.*?)\s*</blockquote>", r"[quote]\1[/quote]"),
    (r"<pre[^>]*>(?:<code>)?(.*?)(?:</code>)?</pre>", r"[code]\1[/code]"),
    (r"<(?:strong|b|h\d)>(.*?)</(?:strong|b|h\d)>", r"[b]\1[/b]"),
    (r"<(?:em|i)>(.*?)</(?:em|i)>", r"[i]\1[/i]"),
    (r'<a href="(https?://[^"]+)"[^>]*>(.*?)</a>', r"[url=\1]\2[/url]"),
    (r"<ul>\s*(.*?)\s*</ul>", r"[list]\1[/list]"),
    (r"<ol>\s*(.*?)\s*</ol>", r"[list=1]\1[/list]"),
    (r"<li>\s*(.*?)\s*</li>", r"[*]\1[/*]"),
    (r"<br\s*/?>", "\n"),
    (r"</p>\s*<p>", "\n\n"),
    (r"<[^>]+>", ""),
)


def bbcode(text: str) -> str:
    """HTML as the marks of bulletin boards."""
    for pattern, mark in BBCODE:
        text = re.sub(pattern, mark, text, flags=re.DOTALL)
    return html.unescape(text).strip()


def as_conversation(thread: Thread) -> Thread:
    """The thread with comments as posts of their own, in order of time."""
    posts = [post for each in thread.posts for post in (each, *each.comments)]
    return Thread(thread.title, sorted(posts, key=lambda post: post.date), thread.source, thread.license, thread.tags)


def mybb(clones: Path, work: Path, threads: list[Thread], *, layout: str) -> Iterator[tuple[Thread, str]]:
    """Each thread with its page in MyBB; layout: horizontal or classic (the author beside the post)."""
    folder = work / f"mybb-{layout}"
    repository(clones, "mybb/mybb", folder)
    new_database("pk_mybb")
    (folder / "inc/config.php").write_text("")
    database = {
        "dbhost": "127.0.0.1:33306",
        "dbuser": "pk",
        "dbpass": "pk",
        "dbname": "pk_mybb",
        "tableprefix": "mybb_",
        "encoding": "utf8mb4",
    }
    steps: list[dict[str, str]] = [
        {
            "action": "create_tables",
            "dbengine": "mysqli",
            **{f"config[mysqli][{name}]": value for name, value in database.items()},
        },
        {"action": "populate_tables"},
        {"action": "templates"},
        {"action": "configuration"},
        {
            "action": "adminuser",
            "bbname": "Community board",
            "bburl": f"http://{HOST}",
            "websitename": "Site",
            "websiteurl": f"http://{HOST}",
            "cookiedomain": "",
            "cookiepath": "/",
            "contactemail": "admin@example.org",
        },
        {
            "action": "final",
            "adminuser": "admin",
            "adminpass": "password1",
            "adminpass2": "password1",
            "adminemail": "admin@example.org",
        },
    ]
    with server(folder):
        for step in steps:
            posted("install/index.php", step)
        shutil.rmtree(folder / "install")
        posts = [thread_data(thread, with_comments=False) for thread in threads]
        for thread in posts:
            for post in thread["posts"]:
                post["bbcode"] = bbcode(post["html"])
        paths = run_php("mybb.php", folder, {"database": "pk_mybb", "layout": layout, "threads": posts})
        for source, path in zip(threads, paths, strict=True):
            yield source, fetched(path)


# MediaWiki: specifications in several languages, with an infobox, in each skin

MEDIAWIKI_RULE = Rule(
    "//*[@id='firstHeading']|//div[contains(@class, 'mw-parser-output')]",
    drop=(".//*[contains(@class, 'mw-editsection') or @id='toc' or @class='toctogglespan']",),
    title="//*[@id='firstHeading']",
)
INFOBOX = (("Version", "2.0.0"), ("License", "CC BY 3.0"), ("Source", "semver.org"))


def wikitext(text: texts.Text) -> str:
    """A Markdown text as the markup of MediaWiki, with an infobox before it and a category after it."""
    body = re.sub(r"<pre><code[^>]*>(.*?)</code></pre>", r"<pre>\1</pre>", text.html, flags=re.DOTALL)
    body = re.sub(r'<a href="(https?://[^"]+)">(.*?)</a>', r"[\1 \2]", body, flags=re.DOTALL)
    body = re.sub(r"<a [^>]*>|</a>|<img[^>]*>", "", body)
    for level in (2, 3, 4):
        body = re.sub(rf"<h{level}>(.*?)</h{level}>", rf"\n{'=' * level} \1 {'=' * level}\n", body, flags=re.DOTALL)
    rows = "".join(f"|-\n! {name}\n| {value}\n" for name, value in (*INFOBOX, ("Language", text.lang)))
    box = f'{{| class="infobox wikitable" style="float:right"\n|+ {text.title}\n{rows}|}}\n'
    return f"{box}{body}\n[[Category:Software]]\n"


def mediawiki(packages: Path, work: Path, pages: list[texts.Text], *, skin: str) -> Iterator[tuple[texts.Text, str]]:
    """Each text with its page in a MediaWiki of its language."""
    for i, text in enumerate(pages):
        folder = work / f"mediawiki-{skin}-{i}"
        shutil.rmtree(folder, ignore_errors=True)
        for part in (
            "mediawiki/var/lib/mediawiki",
            "mediawiki/usr/share/mediawiki",
            "mediawiki-classes/usr/share/mediawiki",
        ):
            shutil.copytree(packages / part, folder, dirs_exist_ok=True, ignore_dangling_symlinks=True)
        options = {
            "dbtype": "sqlite",
            "dbpath": folder / "data",
            "pass": "long password 1",
            "lang": text.lang.lower(),
            "server": f"http://{HOST}",
            "scriptpath": "",
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        subprocess.run(
            [php(), "maintenance/install.php", *words, "Wiki", "Admin"], cwd=folder, check=True, capture_output=True
        )
        with (folder / "LocalSettings.php").open("a") as settings:
            settings.write(
                f"\nwfLoadSkin('{skin}');\n$wgDefaultSkin = '{skin.lower().removesuffix('neue')}';\n"
                "$wgUseFileCache = false;\n$wgMainCacheType = CACHE_NONE;\n"
            )
        edit = [php(), "maintenance/edit.php", "--user=Admin", text.title]
        subprocess.run(edit, cwd=folder, check=True, capture_output=True, input=wikitext(text).encode())
        with server(folder):
            yield text, fetched("index.php?title=" + urllib.parse.quote(text.title))


HISTORY = ("GonzaloHirsch/TP-XML", "history.meta.stackexchange.com")
COFFEE = ("Yoav-Shafir/Elasticsearch-Coffee-Search-Engine-JS", "coffee.stackexchange.com")
CC_BY_SA_4 = "2018-05-02"  # posts from this day on are under version 4.0 of the licence
WIKI_PAGES = (
    ("Vector", ("de", "vi")),
    ("MonoBook", ("fr", "tr")),
    ("Timeless", ("ca", "it")),
    ("MinervaNeue", ("pl", "pt-BR", "fa")),
)


def page_of_thread(thread: Thread, page: str, rule: Rule, *, kind: str, template: str, license: str) -> Page:
    """A page made from a thread of a data dump."""
    both = thread.license if thread.license == license else f"{thread.license} AND {license}"
    return page_of(
        page, rule, kind=kind, language="en", template=template, source=thread.source, license=both, truth="rendered"
    )


def history_threads(clones: Path) -> dict[str, list[Thread]]:
    """Discussions of the dump with names and comments: those with long questions for blogs, the others for forums."""
    threads = texts.stack_exchange_threads(clones, *HISTORY)
    articles = [thread for thread in threads if len(thread.posts[0].html) > 1500 and 3 <= len(thread.posts) <= 7][:9]
    taken = {thread.source for thread in articles}
    forums = [as_conversation(thread) for thread in threads if thread.source not in taken]
    return {"articles": articles, "forums": forums[1:19]}


def php_sites(packages: Path, clones: Path, work: Path) -> Iterator[Page]:
    """Pages of all the PHP software."""
    history, coffee = history_threads(clones), texts.stack_exchange_threads(clones, *COFFEE)
    for i, theme in enumerate(("twentytwentyone", "twentytwentytwo", "twentytwentythree")):
        for thread, page in wordpress(packages, work, history["articles"][i::3], theme=theme):
            yield page_of_thread(
                thread, page, WORDPRESS_RULE, kind="article", template=f"wordpress-{theme}", license="GPL-2.0-or-later"
            )
    for theme, chosen in (("SnowFlat", coffee[:7]), ("Snow", coffee[7:11]), ("Candy", coffee[11:14])):
        for thread, page in question2answer(clones, work, chosen, theme=theme):
            yield page_of_thread(
                thread,
                page,
                QUESTION2ANSWER_RULE,
                kind="qa",
                template=f"question2answer-{theme}",
                license="GPL-2.0-or-later",
            )
    for i, layout in enumerate(("horizontal", "classic")):
        chosen = [thread for thread in history["forums"][i:10:2] if thread.posts[-1].date < CC_BY_SA_4]
        for thread, page in mybb(clones, work, chosen, layout=layout):
            yield page_of_thread(
                thread, page, MYBB_RULE, kind="forum", template=f"mybb-{layout}", license="LGPL-3.0-only"
            )
    for name, page in opencart(clones, packages, work):
        if name not in DESCRIPTION_LICENSES:
            continue
        yield page_of(
            page,
            OPENCART_RULE,
            kind="shop",
            language="en",
            template="opencart",
            source=f"Debian package {name}:control",
            license=f"{DESCRIPTION_LICENSES[name]} AND GPL-3.0-only",
            truth="rendered",
        )
    for skin, folders in WIKI_PAGES:
        specifications = [texts.semantic_versioning(clones, folder, folder[:2]) for folder in folders]
        for text, page in mediawiki(packages, work, specifications, skin=skin):
            yield page_of(
                page,
                MEDIAWIKI_RULE,
                kind="wiki",
                language=text.lang,
                template=f"mediawiki-{skin}",
                source=text.source,
                license=f"{text.license} AND GPL-2.0-or-later",
                truth="rendered",
            )

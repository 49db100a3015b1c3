"""Build tests/data/page-kinds.jsonl.zst from unpacked Debian packages, git clones and software that renders.

    python benchmarks/page_kinds PACKAGES CLONES WORK

PACKAGES   Debian 12 packages unpacked as PACKAGES/NAME (apt-get download NAME; dpkg-deb -x FILE PACKAGES/NAME): those
           of PACKAGES in documents.py, debian-faq-ru, git-doc, mhonarc, mediawiki, mediawiki-classes, wordpress,
           wordpress-l10n and wordpress-theme-{twentytwentyone,twentytwentytwo,twentytwentythree}; beside the folder,
           as ../deb/NAME_*.deb, the programs of PRODUCTS in php_sites.py and OSCAR_PROGRAMS in django_sites.py
CLONES     git clones as CLONES/OWNER+NAME: github/opensource.guide, semver/semver.org, tldr-pages/tldr,
           GSA/digitalgov.gov, PyThaiNLP/thaigov-v2-corpus, GonzaloHirsch/TP-XML,
           Yoav-Shafir/Elasticsearch-Coffee-Search-Engine-JS, q2a/question2answer, mybb/mybb, opencart/opencart
WORK       an empty folder

The Python that runs this needs lxml, zstandard, markdown, mkdocs, mkdocs-material, nikola, sphinx, myst-parser, furo
and sphinx-book-theme. Environment:
PAGE_KINDS_NODE_MODULES    a folder node_modules with vitepress, hexo, its renderers (ejs, marked, stylus, pug,
                           nunjucks), generators and hexo-theme-{landscape,icarus,butterfly,fluid}
PAGE_KINDS_PHP             the command of PHP 8.2 with curl, dom, gd, intl, mbstring, mysqli, sqlite3, xml and zip
PAGE_KINDS_SQL             the command of a MariaDB client; its server listens at 127.0.0.1:33306 and lets user pk with
                           password pk do all
PAGE_KINDS_OSCAR_PYTHON    a Python with django-oscar, sorl-thumbnail and whoosh
PAGE_KINDS_MACHINA_PYTHON  a Python with django-machina and factory_boy

Takes five minutes. Page ids and truths are the same in every run; dates and tokens in some pages' markup are not.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import zstandard

sys.path.insert(0, str(Path(__file__).parents[1]))
from page_kinds.django_sites import machina, oscar
from page_kinds.documents import documents
from page_kinds.mail import mhonarc
from page_kinds.page import Page
from page_kinds.php_sites import history_threads, php_sites
from page_kinds.static_sites import static_sites

TARGET = Path(__file__).parents[2] / "tests/data/page-kinds.jsonl.zst"


def pages(packages: Path, clones: Path, work: Path) -> Iterator[Page]:
    """All pages, in the order of the file."""
    yield from documents(packages)
    yield from static_sites(clones, work / "static")
    yield from php_sites(packages, clones, work / "php")
    yield from oscar(packages)
    yield from machina(packages, history_threads(clones)["forums"][11:15])
    yield from mhonarc(packages, work / "mail")


def main() -> None:
    packages, clones, work = (Path(argument).resolve() for argument in sys.argv[1:4])
    lines, kinds = [], Counter[str]()
    for page in pages(packages, clones, work):
        lines.append(json.dumps(dataclasses.asdict(page), ensure_ascii=False))
        kinds[page.kind] += 1
        print(page.id, page.template, page.title[:60], file=sys.stderr)
    packed = zstandard.ZstdCompressor(level=19).compress(("\n".join(lines) + "\n").encode())
    TARGET.write_bytes(packed)
    print(f"{len(lines)} pages, {len(packed)} bytes: {dict(kinds)}")


if __name__ == "__main__":
    main()

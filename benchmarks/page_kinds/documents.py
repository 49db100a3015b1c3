"""Documentation pages of Debian packages, and where each generator puts their content."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from page_kinds.page import Page, decoded, page_of
from page_kinds.truth import Rule

DOCBOOK = Rule(
    "//body/div[contains(' book preface chapter appendix section sect1 article glossary refentry ', "
    "concat(' ', @class, ' '))]",
    drop=(".//div[@class='toc']", ".//p[@class='title'][b='Table of Contents']", ".//a[@class='headerlink']"),
    title="//div[contains(@class, 'titlepage')]//h1|//div[contains(@class, 'titlepage')]//h2",
)
SPHINX = Rule(
    "//div[contains(concat(' ', @class, ' '), ' body ')]|//div[@itemprop='articleBody']|//main[@role='main']//article",
    drop=(
        ".//a[contains(@class, 'headerlink')]",
        ".//a[@class='viewcode-link' or @class='reference internal'][span[@class='viewcode-link']]",
        ".//*[contains(@class, 'viewcode-back')]",
        ".//span[@class='viewcode-link']",
        ".//div[contains(@class, 'contents') and contains(@class, 'local')]",
        ".//*[@class='contents topic' or @class='topic contents' or contains(@class, 'toctree-wrapper')]",
        ".//nav",
        ".//div[@class='genindex-jumpbox' or @class='modindex-jumpbox']",
        ".//td[@class='linenos']",
        ".//*[@class='prev-next-area' or contains(@class, 'prev-next')]",
    ),
)
DOXYGEN = Rule(
    "//div[@class='header']|//div[@class='contents']",
    drop=(
        ".//div[@class='summary' or @class='ingroups' or @class='ttc' or @class='dynheader' or @class='dyncontent']",
        ".//div[@class='toc' or contains(@class, 'toc interactive')]",
        ".//span[@class='permalink']",
        ".//*[self::p or self::div][not(.//p)][starts-with(normalize-space(), 'Go to the') and contains(., 'section')]",
    ),
    title="//div[@class='title']",
)
TEXINFO = Rule(
    "//body/div[@class and @id]|//body[not(div[@class and @id])]",
    drop=(
        ".//div[@class='header' or @class='nav-panel']",
        ".//table[@class='menu']",
        ".//ul[@class='section-toc' or @class='mini-toc']",
        ".//a[@class='copiable-anchor' or @class='copiable-link' or @class='anchor']",
        ".//div[@class='contents']",
    ),
    title="//h1|//h2|//h3|//h4",
)
RULES: dict[str, Rule] = {
    "sphinx-python": SPHINX,
    "sphinx-django": Rule("//div[@id='yui-main']//div[contains(@class, 'yui-g')]", drop=SPHINX.drop),
    "sphinx-sqlalchemy": Rule(
        "//div[@id='docs-body']",
        drop=(*SPHINX.drop, ".//nav", ".//div[contains(@class, 'tutorial-nav')]", ".//div[@class='nav-header']"),
    ),
    "sphinx-rtd": SPHINX,
    "sphinx-pallets": SPHINX,
    "sphinx-sphinx13": SPHINX,
    "sphinx-pydata": Rule("//main[@role='main']", drop=(*SPHINX.drop, ".//div[contains(@class, 'prev-next')]")),
    "sphinx-classic": SPHINX,
    "apache-manual": Rule(
        "//div[@id='page-content']",
        drop=(
            ".//div[@id='quickview' or @class='top' or @class='toplang' or @id='comments_section']",
            ".//div[h2/a[@id='comments_section'] or h2[@id='comments_section']]",
            ".//a[@class='permalink']",
            ".//div[@class='outofdate']",
        ),
    ),
    "docbook": DOCBOOK,
    "publican": DOCBOOK,
    "rdoc": Rule(
        "//main[@role='main']",
        drop=(".//span[@class='method-click-advice']",),
    ),
    "mediawiki-cppreference": Rule(
        "//*[@id='firstHeading']|//*[@id='bodyContent']",
        drop=(
            ".//*[@id='contentSub' or @id='siteSub' or @id='jump-to-nav' or @id='toc' or @id='catlinks']",
            ".//div[@class='t-navbar' or @class='printfooter' or contains(@class, 'editsection')]",
            ".//span[@class='editsection' or contains(@class, 'noprint')]",
            ".//table[@id='toc']",
        ),
    ),
    "doxygen": DOXYGEN,
    "asciidoc": Rule(
        "//div[@id='header']|//div[@id='content']|//div[@id='footnotes']",
        drop=(".//div[@id='toc']", ".//a[@class='anchor']"),
    ),
    "asciidoctor": Rule(
        "//div[@id='header']|//div[@id='content']|//div[@id='footnotes']",
        drop=(".//div[@id='toc']", ".//a[@class='anchor']"),
    ),
    "gtk-doc": Rule(
        "//body/div[@class='refentry' or @class='chapter' or @class='part' or @class='section' or @class='sect1']",
        drop=(".//div[@class='toc']", ".//td[@align='right' and img]"),
        title="//span[@class='refentrytitle']|//h2[@class='title']",
    ),
    "gi-docgen": Rule(
        "//section[@id='main']",
        drop=(".//a[@class='anchor' or @class='srclink']", ".//*[contains(@class, 'toggle-wrapper-button')]"),
    ),
    "libreoffice-help": Rule(
        "//div[@id='DisplayArea']",
        drop=(
            ".//p[@class='related']/following-sibling::*",
            ".//p[@class='related']",
            ".//div[@class='relatedtopics']",
            ".//*[contains(@class, 'noprint')]",
        ),
        title="//div[@id='DisplayArea']//h1|//title",
    ),
    "texinfo": TEXINFO,
    "lilypond-texinfo": Rule(
        "//div[@id='main']",
        drop=(".//table[contains(@class, 'nav_table')]", ".//div[@id='footer']", ".//div[@class='contents']"),
        title="//div[@id='main']//h1|//div[@id='main']//h2|//div[@id='main']//h3",
    ),
    "sisu": Rule("//div[@class='content0']", drop=(".//label[@class='ocn']", ".//h1[@class='tiny']/a[img]")),
    "node-api": Rule("//div[@id='apicontent']", drop=(".//a[@class='mark' or @class='srclink']", ".//input")),
    "postgresql": DOCBOOK,
    "sqlite": Rule(
        "//body",
        drop=(
            ".//*[contains(@class, 'nosearch') or @class='fancy_toc']",
            ".//ol[@class='nounderline']",
            ".//p[small/i[contains(., 'last modified')]]",
        ),
        title="//div[@class='fancy_title']|//h1|//title",
    ),
    "mdbook": Rule("//div[@id='content']//main", title="//main//h1|//main//h2|//title"),
    "rustdoc": Rule(
        "//section[@id='main-content']",
        drop=(
            ".//a[@class='anchor' or @class='srclink' or contains(@class, 'srclink')]",
            ".//*[@class='out-of-band' or @class='notable-traits' or @class='rightside']",
            ".//summary[@class='hideme']",
            ".//a[@class='test-arrow']",
            ".//*[@class='since']",
        ),
    ),
    "javadoc": Rule(
        "//main",
        drop=(".//div[@class='subTitle' or @class='sub-title']", ".//*[@class='tableTab' or @class='table-tabs']"),
        title="//main//*[@class='title']",
    ),
    "qdoc": Rule(
        "//div[@class='line']|//div[@class='content mainContent']",
        drop=(".//div[@class='sidebar']", ".//*[@class='naviNextPrevious']"),
    ),
    "vim2html": Rule("//body", drop=("./p[a[contains(@href, 'index')]]", "./a")),
    "ikiwiki": Rule(
        "//div[@id='content']|//section[@id='content']",
        drop=(".//div[@class='toc']", ".//a[@class='toctoggle']", ".//*[@class='createlink']"),
        title="//title",
    ),
}


@dataclass(frozen=True, slots=True)
class Package:
    """Pages of a package that one generator made: `pages` are (kind, language, path under the folder)."""

    name: str
    license: str
    template: str
    folder: str
    pages: tuple[tuple[str, str, str], ...]


LO = "usr/share/libreoffice/help"
HANDBOOK = "usr/share/doc/debian-handbook/html"
PACKAGES: tuple[Package, ...] = (
    Package(
        "python3.11-doc",
        "PSF-2.0",
        "sphinx-python",
        "usr/share/doc/python3.11/html",
        (
            ("list", "en", "glossary.html"),
            ("qa", "en", "faq/design.html"),
            ("qa", "en", "faq/library.html"),
            ("docs", "en", "tutorial/datastructures.html"),
            ("reference", "en", "library/operator.html"),
        ),
    ),
    Package(
        "python-django-doc",
        "BSD-3-Clause",
        "sphinx-django",
        "usr/share/doc/python-django-doc/html",
        (
            ("docs", "en", "topics/class-based-views/generic-display.html"),
            ("qa", "en", "faq/general.html"),
            ("docs", "en", "intro/tutorial01.html"),
        ),
    ),
    Package(
        "python-sqlalchemy-doc",
        "MIT",
        "sphinx-sqlalchemy",
        "usr/share/doc/python-sqlalchemy-doc/html",
        (("docs", "en", "orm/backref.html"), ("docs", "en", "orm/versioning.html")),
    ),
    Package(
        "python-attr-doc",
        "MIT",
        "sphinx-rtd",
        "usr/share/doc/python-attr-doc/html",
        (("docs", "en", "init.html"), ("list", "en", "glossary.html")),
    ),
    Package(
        "python-flask-doc",
        "BSD-3-Clause",
        "sphinx-pallets",
        "usr/share/doc/python-flask-doc/html",
        (("docs", "en", "errorhandling.html"), ("docs", "en", "tutorial/views.html")),
    ),
    Package(
        "sphinx-doc",
        "BSD-2-Clause",
        "sphinx-sphinx13",
        "usr/share/doc/sphinx-doc/html",
        (("docs", "en", "usage/restructuredtext/basics.html"),),
    ),
    Package(
        "python-pandas-doc",
        "BSD-3-Clause",
        "sphinx-pydata",
        "usr/share/doc/python-pandas-doc/html",
        (
            ("reference", "en", "reference/api/pandas.DataFrame.reset_index.html"),
            ("docs", "en", "whatsnew/v0.19.2.html"),
        ),
    ),
    Package(
        "developers-reference-ru",
        "GPL-2.0-or-later",
        "sphinx-classic",
        "usr/share/developers-reference/ru",
        (("docs", "ru", "new-maintainer.html"), ("docs", "ru", "l10n.html")),
    ),
    Package(
        "developers-reference-ja",
        "GPL-2.0-or-later",
        "sphinx-classic",
        "usr/share/developers-reference/ja",
        (("docs", "ja", "developer-duties.html"),),
    ),
    Package(
        "apache2-doc",
        "Apache-2.0",
        "apache-manual",
        "usr/share/doc/apache2-doc/manual",
        (
            ("docs", "ko", "ko/howto/cgi.html"),
            ("reference", "ko", "ko/mod/mod_log_config.html"),
            ("list", "ja", "ja/glossary.html"),
            ("docs", "ja", "ja/urlmapping.html"),
            ("reference", "fr", "fr/mod/mod_autoindex.html"),
            ("list", "tr", "tr/glossary.html"),
            ("docs", "es", "es/howto/auth.html"),
            ("docs", "de", "de/invoking.html"),
        ),
    ),
    Package(
        "debian-handbook",
        "GPL-2.0-or-later OR CC-BY-SA-3.0",
        "publican",
        HANDBOOK,
        (
            ("book", "ar", "ar-MA/sect.user-space.html"),
            ("book", "ar", "ar-MA/network-infrastructure.html"),
            ("book", "ar", "ar-MA/short-remedial-course.html"),
            ("book", "fa", "fa-IR/sect.user-space.html"),
            ("book", "zh-Hans", "zh-CN/sect.network-config.html"),
            ("book", "zh-Hant", "zh-TW/sect.hotplug.html"),
            ("book", "ja", "ja-JP/sect.firewall-packet-filtering.html"),
            ("book", "de", "de-DE/sect.firewall-packet-filtering.html"),
            ("book", "es", "es-ES/sect.quotas.html"),
            ("book", "pt", "pt-BR/sect.backup.html"),
        ),
    ),
    Package(
        "debian-faq-fr",
        "LicenseRef-permission-notice",
        "docbook",
        "usr/share/doc/debian/FAQ/fr",
        (("qa", "fr", "basic-defs.fr.html"),),
    ),
    Package(
        "debian-faq-ja",
        "LicenseRef-permission-notice",
        "docbook",
        "usr/share/doc/debian/FAQ/ja",
        (("qa", "ja", "kernel.ja.html"),),
    ),
    Package(
        "debian-faq-zh-cn",
        "LicenseRef-permission-notice",
        "docbook",
        "usr/share/doc/debian/FAQ/zh-cn",
        (("qa", "zh-Hans", "pkg-basics.zh-cn.html"), ("qa", "zh-Hans", "pkgtools.zh-cn.html")),
    ),
    Package(
        "debian-faq-ko",
        "LicenseRef-permission-notice",
        "docbook",
        "usr/share/doc/debian/FAQ/ko",
        (("qa", "ko", "software.ko.html"), ("qa", "ko", "basic-defs.ko.html")),
    ),
    Package(
        "debian-reference-zh-cn",
        "GPL-2.0-or-later",
        "docbook",
        "usr/share/debian-reference",
        (("reference", "zh-Hans", "ch08.zh-cn.html"),),
    ),
    Package(
        "debian-reference-ja",
        "GPL-2.0-or-later",
        "docbook",
        "usr/share/debian-reference",
        (("book", "ja", "pr01.ja.html"),),
    ),
    Package(
        "debian-faq-de",
        "LicenseRef-permission-notice",
        "docbook",
        "usr/share/doc/debian/FAQ/de",
        (("qa", "de", "pkg-basics.de.html"),),
    ),
    Package(
        "debian-history",
        "GPL-2.0-or-later",
        "docbook",
        "usr/share/doc/debian-history/docs",
        (("list", "ko", "releases.ko.html"), ("book", "pt", "detailed.pt.html")),
    ),
    Package(
        "debian-reference-fr",
        "GPL-2.0-or-later",
        "docbook",
        "usr/share/debian-reference",
        (("reference", "fr", "ch08.fr.html"),),
    ),
    Package(
        "maint-guide-ja",
        "GPL-2.0-or-later",
        "docbook",
        "usr/share/doc/maint-guide-ja/html",
        (("docs", "ja", "update.ja.html"),),
    ),
    Package(
        "maint-guide-ru",
        "GPL-2.0-or-later",
        "docbook",
        "usr/share/doc/maint-guide-ru/html",
        (("docs", "ru", "update.ru.html"),),
    ),
    Package(
        "installation-guide-amd64",
        "GPL-2.0-only",
        "docbook",
        "usr/share/doc/installation-guide-amd64",
        (("reference", "cs", "cs/ch02s01.html"), ("docs", "el", "el/ch05s03.html"), ("docs", "ko", "ko/ch04s03.html")),
    ),
    Package(
        "asciidoctor-doc",
        "MIT",
        "rdoc",
        "usr/share/doc/asciidoctor-doc/html",
        (("reference", "en", "Asciidoctor/Cli/Options.html"), ("reference", "en", "Asciidoctor/Table.html")),
    ),
    Package(
        "cppreference-doc-en-html",
        "CC-BY-SA-3.0 AND GPL-2.0-or-later",
        "mediawiki-cppreference",
        "usr/share/cppreference/doc/html/en",
        (
            ("wiki", "en", "cpp/container/vector/insert.html"),
            ("wiki", "en", "cpp/language/range-for.html"),
            ("wiki", "en", "cpp/keyword.html"),
            ("wiki", "en", "c/io/fprintf.html"),
        ),
    ),
    Package(
        "libsfml-doc",
        "Zlib",
        "doxygen",
        "usr/share/doc/libsfml-dev/html",
        (("reference", "en", "classsf_1_1Clock.html"),),
    ),
    Package(
        "doxygen-doc",
        "GPL-2.0-only",
        "doxygen",
        "usr/share/doc/doxygen/html",
        (
            ("docs", "en", "docblocks.html"),
            ("qa", "en", "faq.html"),
            ("reference", "en", "htmlcmds.html"),
            ("list", "en", "features.html"),
        ),
    ),
    Package(
        "git-doc",
        "GPL-2.0-only",
        "asciidoc",
        "usr/share/doc/git-doc",
        (("reference", "en", "git-reflog.html"), ("docs", "en", "gitcvs-migration.html")),
    ),
    Package(
        "libglib2.0-doc",
        "LGPL-2.1-or-later",
        "gtk-doc",
        "usr/share/gtk-doc/html",
        (("reference", "en", "gio/GInetSocketAddress.html"), ("docs", "en", "gobject/howto-gobject-methods.html")),
    ),
    Package(
        "libgtk-4-doc",
        "LGPL-2.1-or-later",
        "gi-docgen",
        "usr/share/doc/libgtk-4-doc",
        (("reference", "en", "gtk4/class.LevelBar.html"), ("docs", "en", "gtk4/input-handling.html")),
    ),
    Package(
        "libreoffice-help-km",
        "MPL-2.0",
        "libreoffice-help",
        f"{LO}/km/text",
        (
            ("docs", "km", "swriter/guide/finding.html"),
            ("list", "km", "swriter/guide/main.html"),
            ("docs", "km", "scalc/guide/move_dragdrop.html"),
            ("docs", "km", "shared/guide/digital_signatures.html"),
            ("reference", "km", "scalc/01/04060112.html"),
            ("reference", "km", "shared/01/05340400.html"),
        ),
    ),
    Package(
        "libreoffice-help-hi",
        "MPL-2.0",
        "libreoffice-help",
        f"{LO}/hi/text",
        (("docs", "hi", "swriter/guide/word_completion_adjust.html"),),
    ),
    Package(
        "libreoffice-help-ko",
        "MPL-2.0",
        "libreoffice-help",
        f"{LO}/ko/text",
        (
            ("docs", "ko", "shared/guide/collab.html"),
            ("list", "ko", "scalc/guide/main.html"),
            ("reference", "ko", "scalc/01/04060119.html"),
        ),
    ),
    Package(
        "libreoffice-help-ru",
        "MPL-2.0",
        "libreoffice-help",
        f"{LO}/ru/text",
        (
            ("docs", "ru", "scalc/guide/consolidate.html"),
            ("list", "ru", "shared/guide/main.html"),
            ("reference", "ru", "shared/01/05340400.html"),
        ),
    ),
    Package(
        "libreoffice-help-el",
        "MPL-2.0",
        "libreoffice-help",
        f"{LO}/el/text",
        (("reference", "el", "scalc/01/func_countifs.html"),),
    ),
    Package(
        "octave-doc",
        "LicenseRef-permission-notice",
        "texinfo",
        "usr/share/doc/octave/octave.html",
        (("reference", "en", "Rearranging-Matrices.html"), ("docs", "en", "Basic-Vectorization.html")),
    ),
    Package(
        "live-manual-html",
        "GPL-3.0-or-later",
        "sisu",
        "usr/share/doc/live-manual/html/live-manual",
        (
            ("book", "fr", "the-basics.fr.html"),
            ("docs", "it", "customizing-run-time-behaviours.it.html"),
            ("docs", "ja", "examples.ja.html"),
        ),
    ),
    Package(
        "nodejs-doc",
        "MIT",
        "node-api",
        "usr/share/doc/nodejs/api",
        (("reference", "en", "path.html"), ("docs", "en", "debugger.html")),
    ),
    Package(
        "postgresql-doc-15",
        "PostgreSQL",
        "postgresql",
        "usr/share/doc/postgresql-doc-15/html",
        (
            ("reference", "en", "functions-string.html"),
            ("list", "en", "sql-keywords-appendix.html"),
            ("docs", "en", "tutorial-join.html"),
            ("list", "en", "acronyms.html"),
        ),
    ),
    Package(
        "sqlite3-doc",
        "blessing",
        "sqlite",
        "usr/share/doc/sqlite3",
        (
            ("qa", "en", "faq.html"),
            ("reference", "en", "datatype3.html"),
            ("docs", "en", "whentouse.html"),
            ("reference", "en", "limits.html"),
        ),
    ),
    Package(
        "rust-doc",
        "(MIT OR Apache-2.0) AND MPL-2.0",
        "mdbook",
        "usr/share/doc/rust-doc/html",
        (
            ("book", "en", "book/ch04-01-what-is-ownership.html"),
            ("book", "en", "book/ch08-01-vectors.html"),
            ("reference", "en", "reference/tokens.html"),
        ),
    ),
    Package(
        "rust-doc",
        "MIT OR Apache-2.0",
        "rustdoc",
        "usr/share/doc/rust-doc/html",
        (("reference", "en", "std/primitive.unit.html"), ("docs", "en", "std/pin/index.html")),
    ),
    Package(
        "libcommons-codec-java-doc",
        "Apache-2.0",
        "javadoc",
        "usr/share/doc/libcommons-codec-java/api/org/apache/commons",
        (("reference", "en", "codec/net/URLCodec.html"),),
    ),
    Package(
        "libcommons-lang3-java-doc",
        "Apache-2.0",
        "javadoc",
        "usr/share/doc/libcommons-lang3-java/api/org/apache/commons",
        (("reference", "en", "lang3/SerializationUtils.html"),),
    ),
    Package(
        "qtbase5-doc-html",
        "GFDL-1.3-no-invariants-only",
        "qdoc",
        "usr/share/qt5/doc",
        (("docs", "en", "qtcore/signalsandslots.html"), ("reference", "en", "qtcore/qtime.html")),
    ),
    Package(
        "kicad-doc-zh",
        "GPL-3.0-or-later OR CC-BY-3.0",
        "asciidoctor",
        "usr/share/doc/kicad/help/zh",
        (("book", "zh-Hans", "pl_editor.html"),),
    ),
    Package(
        "ikiwiki",
        "GPL-2.0-or-later",
        "ikiwiki",
        "usr/share/doc/ikiwiki/html",
        (
            ("wiki", "en", "ikiwiki/markdown.html"),
            ("wiki", "en", "theme_market.html"),
            ("wiki", "en", "tips/spam_and_softwaresites.html"),
            ("wiki", "en", "features.html"),
        ),
    ),
    Package(
        "lilypond-doc-html",
        "GFDL-1.3-no-invariants-or-later",
        "lilypond-texinfo",
        "usr/share/doc/lilypond/html/Documentation",
        (("reference", "en", "notation/bagpipes.html"), ("docs", "en", "notation/arabic-music.html")),
    ),
    Package(
        "lilypond-doc-html-ja",
        "GFDL-1.3-no-invariants-or-later",
        "lilypond-texinfo",
        "usr/share/doc/lilypond/html/Documentation",
        (
            ("docs", "ja", "learning/contexts-explained.ja.html"),
            ("docs", "ja", "learning/combining-notes-into-chords.ja.html"),
        ),
    ),
)


def documents(folder: Path) -> Iterator[Page]:
    """The chosen pages of packages unpacked in `folder/NAME`."""
    for package in PACKAGES:
        for kind, language, path in package.pages:
            file = folder / package.name / package.folder / path
            yield page_of(
                decoded(file.read_bytes()),
                RULES[package.template],
                kind=kind,
                language=language,
                template=package.template,
                source=f"Debian package {package.name}:{package.folder}/{path}",
                license=package.license,
                truth="markup",
            )

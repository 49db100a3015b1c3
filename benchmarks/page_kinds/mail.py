"""Renders messages of the Git mailing list, which Git ships as howtos, through MHonArc."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path

from page_kinds.page import Page, page_of
from page_kinds.static_sites import run
from page_kinds.truth import Rule

HOWTO = "usr/share/doc/git-doc/howto"
BODY = (
    "//comment()[.='X-Body-of-Message']/following-sibling::*[following-sibling::comment()[.='X-Body-of-Message-End']]"
)
SUBJECT = "//comment()[.='X-Subject-Header-Begin']/following-sibling::h1[1]"
MHONARC_RULE = Rule(f"{SUBJECT}|{BODY}", title=SUBJECT)
RESOURCES = (  # the second is an example of MHonArc's documentation
    ("mhonarc", ""),
    ("mhonarc-icons", "icons.mrc"),
)
MESSAGES = (
    "keep-canonical-history-correct", "maintain-git", "rebase-from-internal-branch", "rebuild-from-update-hook",
    "recover-corrupted-blob-object", "revert-a-faulty-merge", "revert-branch-rebase", "separating-topic-branches",
    "update-hook-example", "using-merge-subtree", "using-signed-tag-in-pull-request",
)  # fmt: skip


def message(text: str, number: int) -> EmailMessage:
    """A howto as a message: its head has the message's fields."""
    head, _, body = text.partition("\n\n")
    fields = dict(re.findall(r"^(From|Date|Subject): *(.+)$", head, flags=re.MULTILINE))
    made = EmailMessage()
    sender = re.split(r">,", fields.get("From", "Git <git@vger.kernel.org>"))[0]
    made["From"] = re.sub(r"<.*|\S+@\S+", "", sender).strip() + " <list@example.org>"
    made["To"] = "list@example.org"
    made["Subject"] = fields.get("Subject", body.partition("\n")[0])
    date = parsedate_to_datetime(fields["Date"]) if "Date" in fields else None
    made["Date"] = format_datetime(date) if date else f"Mon, {number + 1} Jan 2007 10:00:00 +0000"
    made["Message-ID"] = f"<{number}@example.org>"
    if number % 3:
        made["In-Reply-To"] = made["References"] = f"<{number - number % 3}@example.org>"
    made.set_content(re.sub(r"[\w.+-]+@[\w-]+\.[\w.-]+", "name@example.org", body))
    return made


def mhonarc(packages: Path, work: Path) -> Iterator[Page]:
    """A page of each message, in turn by the default layout and by that of a resource file."""
    program = packages / "mhonarc/usr"
    for offset, (template, resources) in enumerate(RESOURCES):
        folder = work / template
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        texts = [(packages / "git-doc" / HOWTO / f"{name}.txt").read_text() for name in MESSAGES]
        box = [
            f"From list@example.org Mon Jan  1 10:00:00 2007\n{message(text, i)}\n\n" for i, text in enumerate(texts)
        ]
        (folder / "mbox").write_text("".join(box))
        options = ["-rcfile", str(program / f"share/doc/mhonarc/examples/{resources}")] if resources else []
        run(
            "perl",
            "-I",
            program / "share/mhonarc",
            program / "bin/mhonarc",
            "-quiet",
            *options,
            "-outdir",
            folder,
            folder / "mbox",
            folder=folder,
        )
        for i in range(offset, len(MESSAGES), len(RESOURCES)):
            subject = message(texts[i], i)["Subject"]
            file = next(
                file
                for file in sorted(folder.glob("msg*.html"))
                if f"<!--X-Message-Id: {i}@" in file.read_text().replace("&#45;", "-")
            )
            assert subject
            yield page_of(
                file.read_text(),
                MHONARC_RULE,
                kind="mail",
                language="en",
                template=template,
                source=f"Debian package git-doc:{HOWTO}/{MESSAGES[i]}.txt",
                license="GPL-2.0-only AND GPL-2.0-or-later",
                truth="rendered",
            )

"""Which works go where: no work (repository, package) is on two sides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pages import naive_text, paragraphs
from sources import Original, Text, first, held_out, work

SAMPLE_CHAPTERS = {  # pages with their own markup: chapters a book
    "standardebooks/charles-darwin_the-voyage-of-the-beagle": 10,
    "standardebooks/charles-dickens_great-expectations": 22,
    "standardebooks/jane-austen_emma": 22,
    "standardebooks/arthur-conan-doyle_the-adventures-of-sherlock-holmes": 10,
    "standardebooks/mary-shelley_frankenstein": 20,
}
SAMPLE_BOOKS = (  # texts without markup
    "standardebooks/adam-smith_the-wealth-of-nations",
    "standardebooks/samuel-pepys_the-diary",
    "standardebooks/charles-dickens_bleak-house",
    "standardebooks/george-eliot_middlemarch",
    "standardebooks/herman-melville_moby-dick",
    "standardebooks/charles-darwin_the-origin-of-species",
    "standardebooks/fyodor-dostoevsky_crime-and-punishment_constance-garnett",
    "standardebooks/wilkie-collins_the-moonstone",
    "standardebooks/thomas-hardy_far-from-the-madding-crowd",
)
SAMPLE_BLOG = "GSA/digitalgov.gov"
REFERENCE = {  # texts a work
    "standardebooks/charlotte-bronte_jane-eyre": 9,
    "standardebooks/emily-bronte_wuthering-heights": 9,
    "standardebooks/william-james_the-varieties-of-religious-experience": 9,
    "standardebooks/john-stuart-mill_on-liberty": 9,
    "standardebooks/f-scott-fitzgerald_the-great-gatsby": 9,
    "standardebooks/frederick-douglass_narrative-of-the-life-of-frederick-douglass": 9,
    "standardebooks/mark-twain_the-adventures-of-huckleberry-finn": 6,
    "nltk/nltk_data": 18,  # speeches to the US Congress
    "github/opensource.guide": 19,
}
VALIDATION_BOOKS = {"standardebooks/h-g-wells_the-war-of-the-worlds", "standardebooks/henry-david-thoreau_walden"}
VALIDATION_BLOG = "18F/18f.gsa.gov"
TEXTBOOK = "openstax/osbooks-introduction-anthropology"
REFERENCE_LABELS = {"prose_book", "prose_speech", "prose_guide"}
VALIDATION_CHARS = 2_400  # of one text: more texts for the same size give narrower intervals
PIECES = {"wiki": 3}  # pieces taken of a text, where there are few of them; otherwise one


def cut(text: str, n: int) -> list[str]:
    """The first `n` pieces of `text`: whole paragraphs, up to VALIDATION_CHARS characters a piece."""
    pieces: list[list[str]] = [[]]
    for line in paragraphs(text):
        if pieces[-1] and sum(map(len, pieces[-1])) + len(line) > VALIDATION_CHARS:
            pieces.append([])
        pieces[-1].append(line)
    return ["\n\n".join(piece) for piece in pieces[:n]]


def reference(texts: Sequence[Text]) -> list[Text]:
    """Good prose for the classifier to learn from."""
    chosen: list[Text] = []
    for name, n in REFERENCE.items():
        of_work = (text for text in texts if text.label in REFERENCE_LABELS and work(text.source) == name)
        chosen += first(of_work, n)
    return chosen


def validation(folder: Path, texts: Sequence[Text], pages: Sequence[Original]) -> dict[str, list[Text]]:
    """Held-out texts by domain, at most VALIDATION_CHARS characters each."""
    chapters = [
        Text(page.id, chapter_text(page.html), "books", "en", page.source, page.license)
        for page in pages
        if work(page.source) in VALIDATION_BOOKS
    ]
    blog = [text for text in texts if work(text.source) == VALIDATION_BLOG and len(text.text) >= 1500]
    textbook = [text for text in texts if work(text.source) == TEXTBOOK]
    domains = {
        "books": [*first(held_out(folder, "books"), 65), *chapters],
        "gov_web": first(blog, 110),
        "wiki": held_out(folder, "wiki"),
        "textbook": first(textbook, 110),
    }
    return {
        name: [
            Text(f"{each.id}/{number}", piece, name, "en", each.source, each.license)
            for each in chosen
            for number, piece in enumerate(cut(each.text, PIECES.get(name, 1)))
        ]
        for name, chosen in domains.items()
    }


def chapter_text(html: str) -> str:
    """The paragraphs of a Standard Ebooks chapter, one a line."""
    body = html.split("<body", 1)[1].split(">", 1)[1]
    return "\n".join(text for part in body.split("</p>") if (text := naive_text(part)))


def write_texts(path: Path, texts: Sequence[Text]) -> None:
    """Write `texts` as Parquet: id, text, domain, source, license."""
    rows = [
        {
            "id": f"{path.stem}-{number:04}",
            "text": "\n\n".join(paragraphs(text.text)),
            "domain": path.stem if path.parent.name == "validation" else text.label.removeprefix("prose_"),
            "source": text.source,
            "license": text.license,
        }
        for number, text in enumerate(texts)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd", compression_level=19)

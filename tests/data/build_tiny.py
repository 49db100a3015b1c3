"""Build tests/data/tiny, the corpus of the golden and resume tests, from CC0 texts of the sample.

    python tests/data/build_tiny.py

Run again only to change what is in it: every hash in golden.json then changes too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
TINY = Path(__file__).parent / "tiny"
SAMPLE = ROOT / "examples" / "sample"
sys.path.insert(0, str(ROOT / "examples" / "build_sample"))
import warc  # noqa: E402

OTHER_LANGUAGES = (  # written for this file
    "Am Morgen gingen wir zum Markt, kauften Brot und Käse und setzten uns an den Fluss. Die Sonne schien warm auf die "
    "alten Mauern der Stadt, und die Kinder liefen zwischen den Bäumen hin und her, bis ihre Mütter sie riefen. Gegen "
    "Mittag zog ein Gewitter auf, und wir flüchteten in das kleine Wirtshaus neben der Brücke, wo man uns Suppe gab.",
    "Le matin, nous sommes allés au marché pour acheter du pain et du fromage, puis nous nous sommes assis au bord de "
    "la rivière. Le soleil brillait sur les vieux murs de la ville, et les enfants couraient entre les arbres jusqu'à "
    "ce que leurs mères les appellent. Vers midi, un orage est arrivé et nous avons couru nous abriter dans l'auberge.",
    "Por la mañana fuimos al mercado a comprar pan y queso, y después nos sentamos a la orilla del río. El sol "
    "brillaba sobre los viejos muros de la ciudad, y los niños corrían entre los árboles hasta que sus madres los "
    "llamaron. Al mediodía llegó una tormenta y corrimos a refugiarnos en la pequeña posada que "
    "hay junto al puente de piedra.",
)


def texts(name: str, words: int) -> list[str]:
    """The beginnings of the CC0 texts of one file of the sample, whole paragraphs of at least so many words."""
    found = []
    for row in pq.read_table(SAMPLE / name).to_pylist():
        if row["license"] == "CC0-1.0":
            paragraphs, n = [], 0
            for paragraph in row["text"].split("\n\n"):
                paragraphs.append(paragraph[:900])
                n += len(paragraph.split())
                if n >= words:
                    break
            found.append("\n\n".join(paragraphs))
    return found


def page(title: str, text: str, *, menu: str = "Home | About | Archive") -> bytes:
    """A web page that frames a text."""
    body = "".join(f"<p>{paragraph}</p>\n" for paragraph in text.split("\n\n"))
    return (
        f"<html><head><title>{title}</title></head><body><nav>{menu}</nav><article><h1>{title}</h1>\n{body}</article>"
        "<footer>All rights reserved</footer></body></html>"
    ).encode()


def changed(text: str) -> str:
    """A near copy: one word in fifty is another."""
    words = text.split(" ")
    words[25::50] = ["otherwise"] * len(words[25::50])
    return " ".join(words)


def pages(good: list[str], near_validation: str) -> list[tuple[str, str, bytes]]:
    """(status, url, body) of every page of the archive."""
    found = [("200 OK", f"https://site{i % 9}.example.org/{i}", page(f"Page {i}", text)) for i, text in enumerate(good)]
    found += [
        ("200 OK", f"https://mirror.example.net/{i}", page(f"Page {i}", good[i], menu="Mirror")) for i in range(3)
    ]
    found += [("200 OK", f"https://print.example.net/{i}", page("Print", changed(good[i]))) for i in range(2, 6)]
    found += [("200 OK", "https://copy.example.net/v", page("A copy", near_validation))]
    found += [
        ("200 OK", f"https://welt.example.com/{i}", page("Welt", f"{text}\n\n{text[::-1][:40]}"))
        for i, text in enumerate(OTHER_LANGUAGES)
    ]
    found += [
        ("200 OK", "https://spam.example.com/a", page("Offers", "buy cheap things here now\n\n" * 40)),
        ("200 OK", "https://spam.example.com/b", page("Short", "Too short to say anything of interest to anyone.")),
        ("200 OK", "https://spam.example.com/c", page("Numbers", " ".join(f"{n * n} #{n}" for n in range(200)))),
        ("200 OK", "https://spam.example.com/d", b"<html><body></body></html>"),
        ("404 Not Found", "https://site1.example.org/gone", page("Gone", "Not here any more.")),
        ("200 OK", "https://site1.example.org/cut", page("Cut", good[0])),
    ]
    return found


def feed(good: list[str]) -> list[tuple[str, str, bytes]]:
    """A second source: a page of the first under another spelling of its URL, and the bytes of another elsewhere."""
    return [
        ("200 OK", "http://www.site5.example.org:80/5/?utm_source=feed#top", page("Page 5", changed(good[5]))),
        ("200 OK", "https://feed.example.net/again", page("Page 6", good[6])),
    ]


def archive(responses: list[tuple[str, str, bytes]], *, is_cut: bool = True) -> bytes:
    """A WARC file of these responses, its last record cut in the middle."""
    members = [
        warc.record(
            "response", url, warc.http(status, {"Content-Type": "text/html; charset=utf-8"}, body), number=number
        )
        for number, (status, url, body) in enumerate(responses)
    ]
    return b"".join(members)[: -len(members[-1]) // 2 if is_cut else None]


def write_rows(path: Path, rows: list[str], **fields: str) -> None:
    lines = (json.dumps({"text": text, **fields}, ensure_ascii=False) for text in rows)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def main() -> None:
    TINY.mkdir(exist_ok=True)
    books, blogs = texts("validation/books.parquet", 120), texts("validation/gov_web.parquet", 120)
    good = texts("reference.parquet", 120)
    responses = pages(blogs[:24] + books[:6], changed(blogs[40]))
    (TINY / "pages.warc.gz").write_bytes(archive(responses))
    (TINY / "feed.warc.gz").write_bytes(archive(feed(blogs), is_cut=False))
    write_rows(TINY / "rows.jsonl", [*blogs[24:32], changed(blogs[3])], url="rows.example.org/all")
    write_rows(TINY / "reference.jsonl", [*good[:24], changed(books[40])])
    write_rows(TINY / "books.jsonl", books[40:46])
    write_rows(TINY / "blogs.jsonl", blogs[40:46])


if __name__ == "__main__":
    main()

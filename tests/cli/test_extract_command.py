"""`datassay extract`: pages from files, archives, tables and the web to text and rows."""

from __future__ import annotations

import gzip
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from datassay.cli.web_pages import as_ascii, user_agent
from datassay.corpus.extract import extract
from datassay.corpus.html.classifier import MODEL_PATH

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "sample" / "crawl-00000.warc.gz"
SENTENCE = "The mill stands on the old bank of the river, and its wheel has turned since the year of the great flood. "
HEAD = '<html lang="en"><head><title>The old mill</title><meta name="author" content="Jane Doe"></head>'
TABLE = "<table><tr><th>year</th><th>wheels</th></tr><tr><td>1811</td><td>seven</td></tr></table>"
BODY = f"<h1>The old mill</h1>{f'<p>{SENTENCE * 3}</p>' * 3}{TABLE}<p>{SENTENCE * 3}</p>"
PAGE = f"{HEAD}<body><nav><a href='/'>Home</a></nav>{BODY}</body></html>"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "mill.html"
    path.write_text(PAGE, encoding="utf-8")
    return path


class Site(http.server.BaseHTTPRequestHandler):
    """/mill in Latin-1 by its header alone, /picture, /large, /moved; all else is missing."""

    agents: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.agents.append(self.headers["User-Agent"])
        body, kind, status = b"", "text/html; charset=iso-8859-1", 200
        if self.path == "/mill":
            body = PAGE.replace("river", "Weser-Flüsschen").encode("latin-1")
        elif self.path == "/picture":
            body, kind = b"\x89PNG\r\n\x1a\n\0\0", "image/png"
        elif self.path == "/large":
            body = b"<html><body>" + b"<p>large</p>" * (1 << 20)
        elif self.path == "/moved":
            status = 302
        else:
            status = 404
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status == 302:
            self.send_header("Location", "/mill")
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            return  # who asked has gone: the page is too large

    def log_message(self, *arguments: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_one_page_is_text(
    call: Callable[..., int], page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "extract", page) == 0
    said = capsys.readouterr()
    assert said.out == extract(PAGE.encode()).text + "\n"
    assert "1811\tseven" in said.out and "Home" not in said.out
    assert said.err == "1 page, 1 with text\n"


def test_options_change_the_text(
    call: Callable[..., int], page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "extract", page, "--markdown", "--no-tables") == 0
    text = capsys.readouterr().out
    assert text.startswith("# The old mill\n\n") and "1811" not in text
    assert call(monkeypatch, "extract", page, "--profile", "quality") == 0
    assert "by trafilatura" in capsys.readouterr().err


def test_an_archive_becomes_rows_that_a_run_would_have(
    call: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = [tmp_path / name for name in ("a.parquet", "b.parquet", "c.jsonl")]
    for output in outputs:
        assert call(monkeypatch, "extract", SAMPLE, "--limit", 40, "-o", output, "--max-routed", 0.2) == 0
    said = capsys.readouterr().err
    assert "no page: request" in said and "by trafilatura" in said
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    rows = pq.read_table(outputs[0]).to_pylist()
    assert len(rows) == 40 and rows == [json.loads(line) for line in outputs[2].read_text("utf-8").splitlines()]
    assert {"datassay", "trafilatura"} <= {row["extractor"] for row in rows}
    html = [row for row in rows if row["extractor"] == "datassay"]
    assert all(row["url"] and row["text"] and 0 <= row["doubt"] <= 1 for row in html)
    assert any(row["title"] for row in html) and any(row["language"] for row in html)


def test_several_pages_go_to_standard_output_as_lines(
    call: Callable[..., int], page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = page.with_name("empty.html")
    empty.write_text("<html><body></body></html>")
    assert call(monkeypatch, "extract", page, empty) == 0
    said = capsys.readouterr()
    first, second = map(json.loads, said.out.splitlines())
    assert (first["file"], first["title"], first["author"]) == ("mill.html", "The old mill", "Jane Doe")
    assert (second["file"], second["text"], second["reason"]) == ("empty.html", "", "no_text")
    assert said.err == "2 pages, 1 with text\n  no text: no_text 1\n"


def test_rows_with_html_are_pages_and_rows_with_text_are_texts(
    call: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        json.dumps({"text": PAGE, "url": "http://a.example/"}) + "\n" + json.dumps({"text": "Plain."}) + "\n"
    )
    assert call(monkeypatch, "extract", path) == 0
    said = capsys.readouterr()
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [(row["text"], row["url"]) for row in rows] == [
        (extract(PAGE.encode()).text, "http://a.example/"),
        ("Plain.", None),
    ]
    assert said.err == "1 page, 1 with text, 1 that was text already\n"
    path.write_text(json.dumps({"body": f"<p>{SENTENCE}"}) + "\n")
    assert call(monkeypatch, "extract", path, "--html", "body") == 0
    assert json.loads(capsys.readouterr().out)["text"] == SENTENCE.strip()


def test_a_list_of_urls(
    call: Callable[..., int],
    site: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Site.agents.clear()
    path = tmp_path / "urls.txt"
    names = ("mill", "gone", "picture", "large", "moved")
    path.write_text("# pages\n" + "".join(f"{site}/{name}\n" for name in names) + "http://127.0.0.1:1/\n", "utf-8")
    assert call(monkeypatch, "extract", path) == 0
    said = capsys.readouterr()
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [row["offset"] for row in rows] == [0, 1, 2, 3, 4, 5]
    reasons = [row["reason"] for row in rows]
    assert reasons == [None, "status_404", "not_html", "too_large", None, "unreachable"]
    assert all(("Weser-Flüsschen" in row["text"]) == (row["reason"] is None) for row in rows)  # by the header's charset
    for reason in ("status_404 1", "not_html 1", "too_large 1", "unreachable 1"):
        assert f"no page: {reason}\n" in said.err
    assert set(Site.agents) == {user_agent()}


def test_a_url_is_a_page(
    call: Callable[..., int], site: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "extract", f"{site}/mill") == 0
    assert capsys.readouterr().out.startswith("The old mill\n")
    assert call(monkeypatch, "extract", f"{site}/gone") == 6
    assert capsys.readouterr().err == f"datassay: {site}/gone: no page could be read: status_404 1\n"


def test_urls_beyond_ascii() -> None:
    assert as_ascii("http://bücher.example/straße?q=ö") == "http://xn--bcher-kva.example/stra%C3%9Fe?q=%C3%B6"
    assert as_ascii("http://a.example/%C3%9F?a=b&c#d") == "http://a.example/%C3%9F?a=b&c#d"


def test_damaged_archives_give_what_can_be_read(
    call: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = tmp_path / "cut.warc.gz"
    stored = SAMPLE.read_bytes()
    cut.write_bytes(stored[: len(stored) // 8])
    assert call(monkeypatch, "extract", cut, "-o", tmp_path / "cut.jsonl") == 0
    assert "no page: " in capsys.readouterr().err
    assert (tmp_path / "cut.jsonl").read_text("utf-8").count("\n") > 5
    cut.write_bytes(gzip.compress(b"WARC/1.0\r\n")[:12])
    assert call(monkeypatch, "extract", cut, "-o", tmp_path / "none.jsonl") == 6
    assert "cut.warc.gz: no page could be read: " in capsys.readouterr().err
    assert not (tmp_path / "none.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (["gone.html"], 6, "gone.html: no such file or folder"),
        (["mill.html", "--profile", "slow"], 2, "profile: Input should be 'fast', 'balanced' or 'quality'"),
        (["mill.html", "--max-routed", "2"], 2, "max_routed: "),
        (["mill.html", "-o", "texts.csv"], 2, "--output texts.csv: the file ends in .jsonl or .parquet"),
        (["mill.html", "--model", "gone.npz"], 6, "gone.npz: no such file"),
        (["mill.html", "--model", "mill.html"], 6, "mill.html: no classifier of blocks"),
        (["mill.html", "--model", "other.npz"], 6, "other.npz: made by another version, with other features"),
        (["urls.txt"], 6, "urls.txt: a list of URLs, but 'mill.html' is none"),
    ],
)
def test_mistakes_are_said(
    call: Callable[..., int],
    page: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    expected: str,
) -> None:
    monkeypatch.chdir(page.parent)
    np.savez_compressed("other.npz", features=np.array(["one", "two"]))
    Path("urls.txt").write_text("http://a.example/1\nhttp://a.example/2\nmill.html\n")
    assert call(monkeypatch, "extract", *arguments) == status
    assert f"datassay: {expected}" in capsys.readouterr().err


def test_ones_own_classifier(
    call: Callable[..., int], page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same trees whose leaves say that nothing is main text."""
    with np.load(MODEL_PATH) as arrays:
        own = {name: arrays[name] for name in arrays.files}
    path = page.with_name("own.npz")
    np.savez_compressed(path, **own)
    assert call(monkeypatch, "extract", page, "--model", path) == 0
    assert capsys.readouterr().out == extract(PAGE.encode()).text + "\n"
    leaves = [name for name in own if name.endswith(("leaf", "leaves", "values", "value"))]
    assert len(leaves) == 2, own.keys()
    np.savez_compressed(path, **own | {name: np.full_like(own[name], -9) for name in leaves})
    other = page.with_name("none.npz")
    path.rename(other)
    assert call(monkeypatch, "extract", page, "--model", other) == 0
    assert capsys.readouterr().out == ""

"""`datassay extract --compare`: the numbers of hand-made cases, the page, and the extractors that can be named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from datassay.cli import extraction_agreement, extractors
from datassay.cli.extraction_agreement import Comparison, agreement, as_html, as_text, compare
from datassay.cli.pages_of_inputs import Found
from datassay.corpus.extract import Extraction
from datassay.corpus.page_extractor import Page
from datassay.corpus.records import Record

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "sample" / "crawl-00000.warc.gz"
SENTENCE = "The mill stands on the old bank of the river, and its wheel has turned since the year of the great flood. "
PLACES = ("river", "harbour", "forest", "market", "border", "old road")
PARAGRAPHS = "".join(
    f"<p>By the {place} there is a mill that was built in {1700 + 7 * i}, and {i + 2} families have lived in it since. "
    f"Whoever goes to the {place} by the {PLACES[i - 1]} sees its wheel from afar, if the leaves have fallen. "
    f"It is said that they were the first of those who came to the {place}, and that it is theirs.</p>"
    for i, place in enumerate(PLACES)
)
PAGE = f"<html><body><h1>Mills of the land</h1>{PARAGRAPHS}</body></html>"


def test_agreement_is_the_f1_of_4_grams() -> None:
    assert agreement("a b c d e f", "a b c d e") == pytest.approx(4 / 5)  # 3 and 2 4-grams, 2 of them in both
    assert agreement("a b c d e", "b c d e f") == pytest.approx(1 / 2)
    assert agreement("a b c d a b c d", "a b c d") == pytest.approx(2 / 6)  # 5 and 1 of them, 1 in both
    assert agreement("a b", "a b") == 1
    assert agreement("", " ") is None
    assert agreement("a", "") == agreement("", "a") == 0


TEXTS = [  # of a page, by the first and by the second extractor
    (SENTENCE, SENTENCE),
    ("a b c d e f", "a b c d e"),
    ("a b c d", ""),
    ("", "a b c d"),
    ("", ""),
    ("<script>alert(1)</script> one two three", "one two three four five six"),
]


def made() -> Comparison:
    """The comparison of two extractors that give these texts, in batches of four."""
    pages = [
        Found("f.warc", Record(i, html=b"%d" % i, url=f"http://www.{'ab'[i % 2]}.example.com/{i}"))
        for i in range(len(TEXTS))
    ]

    def answers(side: int, doubt: float | None) -> extractors.Answers:
        def answer(asked: Sequence[Page]) -> list[Extraction]:
            texts = [TEXTS[int(page.html)][side] for page in asked]
            return [Extraction(text, None if text else "no_text", doubt=doubt) for text in texts]

        return answer

    return compare(
        (pages[i : i + 4] for i in range(0, len(pages), 4)),
        ("one", "two"),
        lambda: (answers(0, 0.25), answers(1, None)),
    )


def test_numbers_of_a_hand_made_case() -> None:
    found = made()
    cells = [found.n_with(a, b) for a, b in ((True, True), (True, False), (False, True), (False, False))]
    assert cells == [3, 1, 1, 1]
    last = agreement(*TEXTS[5])
    assert last is not None and 0 <= last < 0.4
    assert found.judged == pytest.approx([1, 0.8, 0, 0, last])
    assert found.mean == pytest.approx((1.8 + last) / 5)
    assert sum(n for _, _, n in found.distribution) == 5
    assert found.distribution[-1] == (1.0, 1.0, 1) and (0.8, 0.9, 1) in found.distribution
    assert [(g.name, g.n, g.n_low) for g in found.domains] == [("example.com", 5, 3)]
    assert [(g.name, g.n) for g in found.doubts] == [("0.20 to 0.30", 5)]
    ratios = sorted(len(b) / len(a) for a, b in (TEXTS[0], TEXTS[1], TEXTS[5]))
    assert found.length_ratios is not None and found.length_ratios[1] == pytest.approx(ratios[1])
    assert [dict(failed) for failed in found.failed] == [{"no_text": 2}, {"no_text": 2}]
    assert found.speeds == (None, None)
    assert [one.name.rsplit("/", 1)[1] for one in found.examples] == ["5", "1", "2", "3"]
    gone, new = found.examples[1].difference.n_gone, found.examples[1].difference.n_new
    assert (gone, new) == (1, 0)


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    page = as_html(made(), "Asked with markdown True.")
    assert "default-src 'none'" in page and "Asked with markdown True." in page
    assert "<script" not in page and "&lt;script&gt;alert(1)" in page
    assert not re.search(r"""(?:src|srcset|data|action)\s*=|@import|url\(""", page)
    assert set(re.findall(r'href="([^"]*)"', page)) == {"#agreement", "#speed", "#groups", "#pages"}
    assert "the same</text>" in page and "{{" not in page
    empty = as_html(Comparison(("one", "two")), "")
    assert "Neither finds text" in empty


def test_pages_that_differ_most_do_not_depend_on_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction_agreement, "N_DIFFERENT", 1)
    assert [one.name.rsplit("/", 1)[1] for one in made().examples] == ["5", "2", "3"]


@pytest.mark.parametrize(
    "other", ["fast", "quality", "trafilatura", "trafilatura-recall", "resiliparse", "readability-lxml", "justext"]
)
def test_every_extractor_that_can_be_named(
    call: Callable[..., int],
    other: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = extractors.MODULES.get(other)
    if module is not None:
        pytest.importorskip(module)
    path, report = tmp_path / "rows.jsonl", tmp_path / "report.html"
    path.write_text("".join(json.dumps({"text": html}) + "\n" for html in (PAGE, "<html><body></body></html>")))
    assert call(monkeypatch, "extract", path, "--compare", other, "--report", report) == 0
    said = capsys.readouterr().out
    assert re.search(r"^neither +1$", said, re.M) and re.search(r"^both find text +1$", said, re.M)
    assert float(re.findall(r"^agreement (\S+)", said, re.M)[0]) > 0.7
    assert f"Second: {extractors.described(other)}" in report.read_text("utf-8")


def test_a_comparison_of_the_sample_with_itself(
    call: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ROOT / "corpus" / "data" / "main_text.npz"
    assert call(monkeypatch, "extract", SAMPLE, "--profile", "fast", "--limit", 50, "--compare", f"model:{model}") == 0
    assert "agreement 1.000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (["--compare", "trafilatur"], 2, "--compare trafilatur: no such extractor: did you mean 'trafilatura'?"),
        (["--compare", "model:gone.npz"], 6, "gone.npz: no such file"),
        (["--compare", "fast", "-o", "x.jsonl"], 2, "--compare writes no texts"),
        (["--report", "x.html"], 2, "--report is of a comparison: add --compare"),
    ],
)
def test_mistakes_are_said(
    call: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mill.html").write_text(PAGE)
    assert call(monkeypatch, "extract", "mill.html", *arguments) == status
    assert f"datassay: {expected}" in capsys.readouterr().err


def test_a_peer_that_is_not_installed_is_named_with_the_remedy(
    call: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(extractors.MODULES, "justext", "not_there_at_all")
    (tmp_path / "mill.html").write_text(PAGE)
    assert call(monkeypatch, "extract", tmp_path / "mill.html", "--compare", "justext") == 2
    assert capsys.readouterr().err == "datassay: --compare justext needs it: pip install justext\n"


def test_a_peer_that_fails_on_a_page_fails_on_that_page_alone() -> None:
    def odd(html: str) -> str:
        return str(1 // (len(html) - 4)) * len(html)

    peer = extractors._OfOthers(odd, 10)
    answers = peer([Page(b"four", None), Page(b"longer than ten", None), Page(b"five!", None)])
    assert [answer.reason for answer in answers] == ["extractor_failed", "too_large", None]
    assert answers[2].text == "11111"


def test_as_text_of_no_pages() -> None:
    assert "agreement none" in as_text(Comparison(("one", "two")))

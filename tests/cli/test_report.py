"""The ablation of the tiny corpus, and the report that it ends in."""

from __future__ import annotations

import html.parser
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import duckdb
import pytest

from datassay.cli.report import facts
from datassay.cli.report.figure import inline_json
from datassay.cli.report.page import write_report
from datassay.cli.report.worth import headline
from datassay.cli.run import Request, run_recipe
from datassay.cli.run_folder import open_run
from datassay.model.statistics import Analysis, Contrast

SMALL = ("ablate.n_tokens=10240", "ablate.n_seeds=2", "ablate.seq_len=64", "ablate.batch_tokens=512")
HOSTILE = "</script><script>alert(1)</script><!-- \u2028 & <b>"


@pytest.fixture(scope="session")
def ablated(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of the tiny recipe with a small ablation and a report."""
    folder = tmp_path_factory.mktemp("ablated") / "run"
    assert run_recipe(Request(tiny / "recipe.toml", folder, changes=SMALL, workers=2)) == 0
    return folder


class Page(html.parser.HTMLParser):
    """What a page refers to, and the JSON of its figures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.figures: dict[str, object] = {}
        self.n_scripts = 0
        self._id = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.n_scripts += tag == "script"
        self.references += [str(found[name]) for name in ("src", "href") if name in found]
        self._id = str(found.get("id")) if found.get("type") == "application/json" else ""

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002
        self._id = ""

    def handle_data(self, data: str) -> None:
        if self._id:
            self.figures[self._id] = json.loads(data)


def test_what_is_not_finite_is_in_no_histogram() -> None:
    """A signal of the user's own may be null everywhere, or have infinite values."""
    connection = duckdb.connect()
    connection.execute(
        """
        CREATE TABLE signals AS SELECT i::VARCHAR AS id, NULL::DOUBLE AS nothing,
            CASE i WHEN 0 THEN 'nan'::DOUBLE WHEN 1 THEN '-inf'::DOUBLE ELSE i END AS some FROM range(10) numbers(i);
        CREATE TABLE judged AS SELECT id, true AS keep FROM signals
        """
    )
    rows = [facts.RuleRow("a", "nothing >= 1", 10, 10), facts.RuleRow("b", "some >= 3", 3, 3)]
    (found,) = facts.histograms(connection, rows)
    assert (found.signal, found.limits, found.bars[0].low, found.bars[-1].high) == ("some", (3.0,), 2.0, 9.0)
    assert (sum(bar.kept for bar in found.bars), found.n_outside) == (8, 2)


def test_the_report_is_one_file_with_all_sections(ablated: Path) -> None:
    text = (ablated / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert all(reference.startswith("#") for reference in page.references)
    assert {
        "figure-worth",
        "figure-curves",
        "figure-funnel",
        "figure-languages",
        "figure-clusters",
        "figure-s-curve",
    } <= set(page.figures)
    assert "default-src 'none'" in text
    assert "bits per byte" in text
    for step in ("language", "rules", "quality", "dedup"):
        assert f"+ {step}" in text


def test_the_numbers_for_machines_are_those_of_the_page(ablated: Path) -> None:
    report = json.loads((ablated / "report.json").read_bytes())
    text = (ablated / "report.html").read_text(encoding="utf-8")
    contrasts = report["analysis"]["contrasts"]
    assert {contrast["kind"] for contrast in contrasts} == {"total", "cumulative"}
    for contrast in contrasts:
        assert f"{contrast['difference']:+.4f}".replace("-", "\u2212") in text
    duplicates = report["duplicates"]
    assert sum(duplicates["criteria"].values()) == sum(duplicates["sizes"].values()) == duplicates["clusters"] > 0
    assert report["funnel"][-2]["n_documents"] - report["funnel"][-1]["n_documents"] == duplicates["documents"]
    assert [row["step"] for row in report["funnel"]] == [
        *("raw", "+urls", "+language", "+rules", "+bad_words", "+edits", "+quality", "+dedup")
    ]
    documents = [row["n_documents"] for row in report["funnel"]]
    assert documents == sorted(documents, reverse=True)


def test_a_finished_run_trains_nothing_again(ablated: Path, tiny: Path) -> None:
    folder = next(ablated.glob("ablation-*"))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.json*") if "_done" in str(path)}
    analysis = (folder / "analysis.json").read_bytes()
    assert run_recipe(Request(tiny / "recipe.toml", ablated, changes=SMALL, workers=2)) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (folder / "analysis.json").read_bytes() == analysis


def test_a_run_without_ablation_has_a_report(finished: Path, tmp_path: Path) -> None:
    path = write_report(open_run(finished), tmp_path / "plain.html")
    assert "Not measured" in path.read_text(encoding="utf-8")


def test_hostile_text_stays_text(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = facts.Sample("id", "https://example.org/" + HOSTILE, HOSTILE, HOSTILE, False)
    monkeypatch.setattr(facts, "samples", lambda *_: [(HOSTILE, [sample])])
    monkeypatch.setattr(facts, "domains", lambda *_: [(HOSTILE, 3, 2, 1)])
    text = write_report(open_run(finished), tmp_path / "hostile.html").read_text(encoding="utf-8")
    assert text.count("<script") == text.count("</script>") == Page(text).n_scripts
    assert Page(text).figures["figure-domains"]


@pytest.mark.parametrize("value", ["</script>", "<!--", "\u2028\u2029", "a</b"])
def test_inlined_json_is_the_same_value(value: str) -> None:
    text = str(inline_json({"x": value}))
    assert not re.search("[<\u2028\u2029]", text)
    assert json.loads(text) == {"x": value}


def test_the_headline_says_what_was_not_measurable() -> None:
    def contrast(step: str, verdict: str, difference: float) -> Contrast:
        return Contrast(
            domain="mean",
            step=step,
            kind="cumulative",
            variant=f"+{step}",
            versus="raw",
            difference=difference,
            low=difference - 0.01,
            high=difference + 0.01,
            p=0.5,
            p_holm=0.5,
            verdict=verdict,  # type: ignore[arg-type]
            smallest_detectable=0.02,
            p_welch=None,
            pairing_correlation=None,
            bootstrap_low=0.0,
            bootstrap_high=0.0,
        )

    analysis = Analysis(
        variants=("raw", "+rules", "+dedup"),
        seeds=(0, 1),
        domains=("mean", "a", "b"),
        target=None,
        scores=(),
        contrasts=(contrast("rules", "helps", -0.05), contrast("dedup", "not measurable at this budget", 0.001)),
        noise=(),
        notes=(),
    )
    (sentence,) = headline(analysis)
    assert "rules helps by 0.0500 bits per byte [-0.0600, -0.0400]" in sentence
    assert "dedup is not measurable at this budget: +0.0010 [-0.0090, +0.0110]" in sentence


def test_the_report_opens_in_a_browser_without_errors_or_requests(ablated: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    result = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr",
            "--virtual-time-budget=8000",
            "--dump-dom",
            f"file://{ablated / 'report.html'}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "HOME": str(tmp_path)},
        check=True,
    )
    assert "CONSOLE" not in result.stderr
    n_figures = result.stdout.count("data-figure=")
    assert n_figures > 10
    assert len(re.findall(r"<svg[^>]*class=\"marks\"", result.stdout)) == n_figures

"""The page: facts and figures put into one HTML file that needs no network and no server."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from markupsafe import Markup

from datassay.cli import clusters, difference
from datassay.cli.report import duplicates, facts, figures
from datassay.cli.report.figure import Figure
from datassay.cli.report.worth import Worth, read_worth
from datassay.cli.run_folder import RunFolder
from datassay.corpus.store import whole_file, write_json

HERE = Path(__file__).parent
SCRIPTS = ("vega.min.js", "vega-lite.min.js", "vega-embed.min.js")
PACKAGES = (
    "datassay",
    "pyarrow",
    "duckdb",
    "fasttext-community",
    "trafilatura",
    "resiliparse",
    "ftfy",
    "numba",
    "numpy",
    "torch",
)


def write_report(run: RunFolder, path: Path | None = None) -> Path:
    """Write the report of a run and return where it is: `report.html` in the run folder if no path is given.

    `report.json` beside it holds the figures' numbers for machines.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    path = path or run.path / "report.html"
    content = gather(run)
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    environment.filters.update(number=_number, signed=_signed, share=_share)
    environment.filters.update(domains=clusters.domains_said, pairs=clusters.pairs_said, dropped=clusters.dropped_said)
    environment.filters.update(hidden=difference.hidden, notes=difference.notes)
    page = environment.get_template("page.html").render(
        **content,
        style=Markup((HERE / "style.css").read_text(encoding="utf-8")),
        scripts=[Markup((HERE.parent / "data" / name).read_text(encoding="utf-8")) for name in SCRIPTS],
        draw=Markup((HERE / "draw.js").read_text(encoding="utf-8")),
    )
    with whole_file(path) as part:
        part.write_text(page, encoding="utf-8")
    worth: Worth | None = content["worth"]
    write_json(
        path.with_suffix(".json"),
        {
            "name": run.manifest["recipe"]["name"],
            "analysis": None if worth is None else asdict(worth.analysis),
            "funnel": [asdict(row) for row in content["funnel"]],
            "rules": [asdict(row) for row in content["rules"]],
            "records": content["records"],
            "extractors": content["extractors"],
            "sources": content["sources"],
            "crossing": None if content["crossing"] is None else asdict(content["crossing"]),
            "duplicates": content["duplicates"].numbers(),
        },
    )
    return path


def gather(run: RunFolder) -> dict[str, Any]:
    """Everything that the page shows. Raises StoreError if the run has not come to its decisions."""
    run.files("decide", "decisions")
    connection = facts.connect(run)
    rules = facts.rules(connection)
    funnel = facts.funnel(run, connection)
    languages, domains = facts.languages(connection), facts.domains(connection)
    return {
        "run": run,
        "recipe": run.manifest["recipe"],
        "worth": read_worth(run),
        "bytes_per_token": _bytes_per_token(run),
        "funnel": funnel,
        "funnel_figure": Figure.make(
            "What each step leaves",
            figures.funnel(funnel),
            ("after", "documents", "bytes"),
            [(row.step, row.n_documents, row.n_bytes) for row in funnel],
        ),
        "records": facts.records(connection),
        "extractors": facts.extractors(connection) if "extraction" in run.datasets() else [],
        "roles": facts.roles(connection),
        "rules": rules,
        "questions": facts.questions(connection) if run.has("report_questions") else [],
        "overlaps": facts.overlaps(connection) if run.has("report_questions") else [],
        "edits": facts.edits(connection) if "edits" in run.datasets() else [],
        "repeats": facts.repeats(connection) if "repeats" in run.datasets() else [],
        "histograms": [_histogram_figure(histogram) for histogram in facts.histograms(connection, rules)],
        "languages": Figure.make(
            "Languages",
            figures.bars([row[:3] for row in languages]),
            ("language", "documents", "kept", "mean score"),
            languages,
        ),
        "domains": Figure.make(
            "Largest domains",
            figures.bars([row[:3] for row in domains]),
            ("domain", "documents", "kept", "bytes"),
            domains,
        ),
        "samples": facts.samples(connection, rules),
        "duplicates": duplicates.gather(run, connection),
        "crossing": facts.crossing(connection) if run.names_kinds else None,
        "sources": facts.sources(connection),
        "stages": [(name, entry) for name, entry in run.manifest["stages"].items()],
        "versions": [
            ("Python", platform.python_version()),
            ("machine", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"),
            *((package, _version(package)) for package in PACKAGES),
        ],
        "recipe_json": json.dumps(run.manifest["recipe"], indent=2, ensure_ascii=False),
    }


def _histogram_figure(histogram: facts.Histogram) -> Figure:
    limits = ", ".join(f"{limit:g}" for limit in histogram.limits)
    title = f"{histogram.signal}, limits {limits}" if limits else histogram.signal
    return Figure.make(
        title,
        figures.histogram(histogram),
        ("from", "to", "kept", "dropped"),
        [(f"{bar.low:.4g}", f"{bar.high:.4g}", bar.kept, bar.dropped) for bar in histogram.bars],
    )


def _bytes_per_token(run: RunFolder) -> float | None:
    """Of the product's tokenizer on the refined corpus; None without tokens."""
    counts = run.counts("tokens")
    return counts["n_bytes"] / counts["n_tokens"] if counts.get("n_tokens") else None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _number(value: object) -> str:
    """Thousands apart for counts, four significant digits otherwise."""
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "\u2212")


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"

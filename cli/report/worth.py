"""What the ablation says, in the words and rows of the report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from datassay.cli.report import figures
from datassay.cli.report.figure import Figure
from datassay.cli.run_folder import RunFolder
from datassay.corpus.store import read_json
from datassay.model.statistics import MEAN, Analysis, Contrast, Noise, VariantScore


@dataclass(frozen=True, slots=True)
class WorthRow:
    """One step against its comparison, on every domain."""

    label: str
    cells: tuple[Contrast, ...]


@dataclass(frozen=True, slots=True)
class VariantRow:
    """What a variant was trained on, and its bits per byte on every domain."""

    name: str
    n_documents: int
    n_tokens: int
    epochs: float
    bpb: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Worth:
    """The first section of the report."""

    analysis: Analysis
    headline: tuple[str, ...]
    method: str
    domains: tuple[str, ...]
    rows: tuple[WorthRow, ...]
    variants: tuple[VariantRow, ...]
    notes: tuple[str, ...]
    figure: Figure
    curves: Figure


def read_worth(run: RunFolder) -> Worth | None:
    """The result of the run's ablation; None if it has none."""
    name = run.manifest.get("ablation")
    if name is None:
        return None
    folder = run.path / name
    analysis = parse_analysis(read_json(folder / "analysis.json"))
    plan = read_json(folder / "plan.json")
    runs = [orjson.loads(line) for line in (folder / "runs.jsonl").read_bytes().splitlines()]
    domains = tuple(dict.fromkeys(contrast.domain for contrast in analysis.contrasts))
    return Worth(
        analysis=analysis,
        headline=tuple(headline(analysis)),
        method=_method(analysis, plan, run.manifest["recipe"]["ablate"]["tokenizer"]),
        domains=domains,
        rows=tuple(_rows(analysis.contrasts, domains)),
        variants=tuple(_variants(analysis, plan, domains)),
        notes=(*analysis.notes, *plan["notes"]),
        figure=_figure(analysis, domains),
        curves=_curves(runs, analysis.variants),
    )


def parse_analysis(value: Mapping[str, Any]) -> Analysis:
    """An analysis as it was written to analysis.json."""
    return Analysis(
        variants=tuple(value["variants"]),
        seeds=tuple(value["seeds"]),
        domains=tuple(value["domains"]),
        target=value["target"],
        scores=tuple(VariantScore(**{**score, "by_seed": tuple(score["by_seed"])}) for score in value["scores"]),
        contrasts=tuple(Contrast(**contrast) for contrast in value["contrasts"]),
        noise=tuple(Noise(**noise) for noise in value["noise"]),
        notes=tuple(value["notes"]),
    )


def headline(analysis: Analysis) -> list[str]:
    """The verdict in sentences: all steps together, then each step; on the target domain, or the mean."""
    domain = analysis.target or analysis.domains[0]
    where = "on the mean of the domains" if domain == MEAN else f"on {domain}"
    found = [contrast for contrast in analysis.contrasts if contrast.domain == domain]
    total = [contrast for contrast in found if contrast.kind == "total"]
    sentences = [f"Refining as a whole {_says(contrast)} {where}." for contrast in total]
    steps = [contrast for contrast in found if contrast.kind == "cumulative"]
    if steps:
        sentences.append("Step by step: " + "; ".join(f"{contrast.step} {_says(contrast)}" for contrast in steps) + ".")
    presets = [contrast for contrast in found if contrast.kind == "preset"]
    if presets:
        listed = "; ".join(f"{contrast.step} {_says(contrast)}" for contrast in presets)
        sentences.append(f"In place of the recipe's rules: {listed}.")
    return sentences


def _says(contrast: Contrast) -> str:
    interval = f"[{contrast.low:+.4f}, {contrast.high:+.4f}]"
    match contrast.verdict:
        case "helps" | "hurts":
            return f"{contrast.verdict} by {abs(contrast.difference):.4f} bits per byte {interval}"
        case "same documents":
            return "changes no document"
        case _:
            return f"is not measurable at this budget: {contrast.difference:+.4f} {interval}"


def _method(analysis: Analysis, plan: Mapping[str, Any], tokenizer: str) -> str:
    training = ", trained on equal bytes of every variant" if tokenizer.startswith("train:") else ""
    return (
        f"{len(analysis.seeds)} seeds of each variant, paired; {plan['n_tokens']:,} training tokens a run, the same "
        f"for all; one tokenizer{training}; intervals from the residual pooled over "
        "variants; verdicts after Holm's correction within a domain."
    )


def _rows(contrasts: Sequence[Contrast], domains: Sequence[str]) -> list[WorthRow]:
    by_label: defaultdict[str, dict[str, Contrast]] = defaultdict(dict)
    for contrast in contrasts:
        by_label[figures.label(contrast)][contrast.domain] = contrast
    return [WorthRow(label, tuple(cells[domain] for domain in domains)) for label, cells in by_label.items()]


def _variants(analysis: Analysis, plan: Mapping[str, Any], domains: Sequence[str]) -> list[VariantRow]:
    bpb = {(score.variant, score.domain): score.bpb for score in analysis.scores}
    rows = []
    for row in plan["rows"]:
        name, corpus = row["variant"]["name"], row["corpus"]
        trained = row["same_as"] or name
        scores = tuple(bpb[trained, domain] for domain in domains)
        rows.append(VariantRow(name, corpus["n_documents"], corpus["n_tokens"], row["epochs"], scores))
    return rows


def _figure(analysis: Analysis, domains: Sequence[str]) -> Figure:
    rows = [
        (
            figures.label(c),
            c.domain,
            f"{c.difference:+.5f}",
            f"{c.low:+.5f}",
            f"{c.high:+.5f}",
            f"{c.p_holm:.2g}",
            c.verdict,
        )
        for c in analysis.contrasts
    ]
    columns = ("step", "domain", "difference", "low", "high", "p (Holm)", "verdict")
    return Figure.make("Effect of each step, bits per byte", figures.worth(analysis.contrasts, domains), columns, rows)


def _curves(runs: Sequence[Mapping[str, Any]], variants: Sequence[str]) -> Figure:
    points: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    for run in runs:
        for n_tokens, loss in run["curve"]:
            points[run["variant"], n_tokens].append(loss)
    rows = [
        {"variant": variant, "n_tokens": n, "loss": sum(losses) / len(losses), "low": min(losses), "high": max(losses)}
        for (variant, n), losses in sorted(points.items())
    ]
    table = [(row["variant"], row["n_tokens"], row["loss"]) for row in rows]
    columns = ("variant", "tokens", "loss")
    return Figure.make(
        "Training loss, mean and range of the seeds", figures.loss_curves(rows, variants), columns, table
    )

"""The report's figures as Vega-Lite specifications, built with Altair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from datassay.cli.report.facts import Bar, FunnelRow, Histogram

if TYPE_CHECKING:
    import altair as alt

    from datassay.model.statistics import Contrast

KEPT, DROPPED, NEUTRAL = "#2a6f97", "#d1495b", "#8a8f98"
"""Told apart by the colour-blind, too; figures add labels or order, so that colour is never alone."""
VERDICT_COLOURS = {"helps": KEPT, "hurts": DROPPED, "not measurable at this budget": NEUTRAL, "same documents": NEUTRAL}
WIDTH = 640


def worth(contrasts: Sequence[Contrast], domains: Sequence[str]) -> dict[str, Any]:
    """Forest plot: each step's effect in bits per byte with its interval, a panel for each domain."""
    import altair as alt

    rows = [
        {
            "step": label(contrast),
            "domain": contrast.domain,
            "difference": contrast.difference,
            "low": contrast.low,
            "high": contrast.high,
            "verdict": contrast.verdict,
        }
        for contrast in contrasts
    ]
    order = list(dict.fromkeys(row["step"] for row in rows))
    base = alt.Chart().encode(y=alt.Y("step:N", sort=order, title=None))
    verdicts = [verdict for verdict in VERDICT_COLOURS if any(row["verdict"] == verdict for row in rows)]
    legend = alt.Legend(title=None, orient="bottom", columns=4, labelLimit=260)
    colours = alt.Scale(domain=verdicts, range=[VERDICT_COLOURS[verdict] for verdict in verdicts])
    colour = alt.Color("verdict:N", scale=colours, legend=legend)
    shape = alt.Shape("verdict:N", scale=alt.Scale(domain=verdicts), legend=legend)
    title = "change in bits per byte (left: better)"
    interval = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=title), x2="high:Q", color=colour)
    point = base.mark_point(filled=True, size=70, opacity=1).encode(
        x="difference:Q",
        color=colour,
        shape=shape,
        tooltip=["step:N", "domain:N", "difference:Q", "low:Q", "high:Q", "verdict:N"],
    )
    zero = alt.Chart().mark_rule(strokeDash=[4, 3], color=NEUTRAL).encode(x=alt.datum(0))
    panel = alt.layer(zero, interval, point, data=alt.Data(values=rows)).properties(
        width=WIDTH // 2 - 90, height=24 * len(order)
    )
    chart = panel.facet(facet=alt.Facet("domain:N", sort=list(domains), title=None), columns=2).resolve_scale(
        x="independent"
    )
    return _finish(chart)


def label(contrast: Contrast) -> str:
    """What a contrast is called in figures and tables."""
    before = {"cumulative": "+ ", "minus": "after all others: ", "total": "", "preset": "rules of "}
    return before[contrast.kind] + contrast.step


def loss_curves(curves: Sequence[Mapping[str, Any]], variants: Sequence[str]) -> dict[str, Any]:
    """Training loss against tokens, mean and range of the seeds. Rows: variant, n_tokens, loss, low, high."""
    import altair as alt

    base = alt.Chart(alt.Data(values=list(curves))).encode(
        x=alt.X("n_tokens:Q", title="training tokens", axis=alt.Axis(format="~s")),
        color=alt.Color("variant:N", sort=list(variants), title=None),
    )
    band = base.mark_area(opacity=0.15).encode(
        y=alt.Y("low:Q", scale=alt.Scale(zero=False), title="training loss, nats per token"), y2="high:Q"
    )
    line = base.mark_line().encode(y="loss:Q", strokeDash=alt.StrokeDash("variant:N", sort=list(variants), title=None))
    return _finish(alt.layer(band, line).properties(width=WIDTH, height=280))


def funnel(rows: Sequence[FunnelRow]) -> dict[str, Any]:
    """What is left after each step, as a share of raw: documents beside bytes."""
    import altair as alt

    first = rows[0]
    values = [
        {"step": row.step, "of": unit, "share": amount / (total or 1), "amount": amount}
        for row in rows
        for unit, amount, total in (
            ("documents", row.n_documents, first.n_documents),
            ("bytes", row.n_bytes, first.n_bytes),
        )
    ]
    chart = (
        alt.Chart(alt.Data(values=values))
        .mark_bar()
        .encode(
            y=alt.Y("step:N", sort=[row.step for row in rows], title=None),
            yOffset=alt.YOffset("of:N", sort=["documents", "bytes"]),
            x=alt.X(
                "share:Q", title="share of raw that is left", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])
            ),
            color=alt.Color(
                "of:N", scale=alt.Scale(domain=["documents", "bytes"], range=[KEPT, "#e9a03b"]), title=None
            ),
            tooltip=["step:N", "of:N", "amount:Q"],
        )
        .properties(width=WIDTH - 60, height=44 * len(rows))
    )
    return _finish(chart)


def histogram(histogram: Histogram) -> dict[str, Any]:
    """A signal over kept and dropped documents, with the limits of its rules drawn."""
    import altair as alt

    values = [
        {"low": bar.low, "high": bar.high, "is": kind, "documents": n}
        for bar in histogram.bars
        for kind, n in (("kept", bar.kept), ("dropped", bar.dropped))
    ]
    bars = (
        alt.Chart(alt.Data(values=values))
        .mark_bar(binSpacing=0)
        .encode(
            x=alt.X("low:Q", bin="binned", title=histogram.signal),
            x2="high:Q",
            y=alt.Y("documents:Q", stack="zero"),
            color=alt.Color("is:N", scale=alt.Scale(domain=["kept", "dropped"], range=[KEPT, DROPPED]), title=None),
            tooltip=["low:Q", "high:Q", "is:N", "documents:Q"],
        )
    )
    if not histogram.limits:  # as of a signal that a rule compares with another signal; an empty layer has no extent
        return _finish(bars.properties(width=300, height=150))
    limits = (
        alt.Chart(alt.Data(values=[{"limit": limit} for limit in histogram.limits]))
        .mark_rule(strokeDash=[5, 3], strokeWidth=1.5)
        .encode(x="limit:Q", tooltip=["limit:Q"])
    )
    return _finish(alt.layer(bars, limits).properties(width=300, height=150))


def bars(rows: Sequence[tuple[str, int, int]]) -> dict[str, Any]:
    """Kept and dropped documents of each group. Rows: (name, documents, kept)."""
    import altair as alt

    values = [
        {"group": name, "is": kind, "documents": n}
        for name, total, kept in rows
        for kind, n in (("kept", kept), ("dropped", total - kept))
    ]
    chart = (
        alt.Chart(alt.Data(values=values))
        .mark_bar()
        .encode(
            y=alt.Y("group:N", sort=[name for name, _, _ in rows], title=None, axis=alt.Axis(labelLimit=200)),
            x=alt.X("documents:Q", stack="zero"),
            color=alt.Color("is:N", scale=alt.Scale(domain=["kept", "dropped"], range=[KEPT, DROPPED]), title=None),
            tooltip=["group:N", "is:N", "documents:Q"],
        )
        .properties(width=WIDTH - 120, height=18 * len(rows))
    )
    return _finish(chart)


def cluster_sizes(rows: Sequence[tuple[str, int, int]]) -> dict[str, Any]:
    """Documents removed from clusters of each size. Rows: (sizes, clusters, documents removed)."""
    import altair as alt

    values = [{"size": size, "clusters": n, "removed": removed} for size, n, removed in rows]
    base = alt.Chart(alt.Data(values=values)).encode(
        y=alt.Y("size:N", sort=[row[0] for row in rows], title=None),
        x=alt.X("removed:Q", title="documents removed"),
        tooltip=["size:N", "clusters:Q", "removed:Q"],
    )
    bars = base.mark_bar(color=KEPT)
    labels = base.mark_text(align="left", dx=4).encode(text=alt.Text("clusters:Q", format=","))
    return _finish(alt.layer(bars, labels).properties(width=300, height=22 * max(len(rows), 1)))


def similarity(bars: Sequence[Bar], limit: float) -> dict[str, Any]:
    """How many pairs are how similar, with the limit drawn."""
    import altair as alt

    values = [{"low": bar.low, "high": bar.high, "pairs": bar.kept} for bar in bars]
    drawn = (
        alt.Chart(alt.Data(values=values))
        .mark_bar(binSpacing=0, color=KEPT)
        .encode(
            x=alt.X("low:Q", bin="binned", title="Jaccard similarity"),
            x2="high:Q",
            y=alt.Y("pairs:Q", title="near pairs"),
            tooltip=["low:Q", "high:Q", "pairs:Q"],
        )
    )
    return _finish(alt.layer(drawn, _limit(limit)).properties(width=300, height=170))


def s_curve(bands: int, rows: int, marks: Sequence[tuple[float, float]], limit: float) -> dict[str, Any]:
    """Chance of a pair to be compared along its similarity; marks: (similarity, chance), with the chance written."""
    import altair as alt

    from datassay.dedup.settings import s_curve as chance

    values = [{"similarity": i / 100, "found": chance(bands, rows, i / 100)} for i in range(101)]
    x = alt.X("similarity:Q", title="Jaccard similarity", scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("found:Q", title="chance to be compared", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]))
    line = alt.Chart(alt.Data(values=values)).mark_line(color=KEPT).encode(x=x, y=y)
    marked = alt.Chart(alt.Data(values=[{"similarity": s, "found": p} for s, p in marks])).encode(
        x=x, y=y, tooltip=["similarity:Q", alt.Tooltip("found:Q", format=".1%")]
    )
    points = marked.mark_point(filled=True, size=50, color=KEPT, opacity=1)
    return _finish(alt.layer(line, points, _limit(limit)).properties(width=300, height=170))


def _limit(limit: float) -> alt.Chart:
    """A dashed line at a limit."""
    import altair as alt

    return (
        alt.Chart(alt.Data(values=[{"limit": limit}]))
        .mark_rule(strokeDash=[5, 3], strokeWidth=1.5, color=DROPPED)
        .encode(x="limit:Q", tooltip=["limit:Q"])
    )


def _finish(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """The specification as JSON-able data, on the page's own background and with its own colours."""
    specification: dict[str, Any] = chart.configure(background="transparent", font="system-ui, sans-serif").to_dict(
        validate=False
    )
    return specification

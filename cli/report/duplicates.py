"""What the report says of duplicates: how they were found, how large clusters are, which documents stay, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datassay.cli import clusters
from datassay.cli.clusters import Cluster, Contrast
from datassay.cli.report import figures
from datassay.cli.report.facts import Bar
from datassay.cli.report.figure import Figure
from datassay.cli.run_folder import RunFolder
from datassay.dedup.settings import MinHash, s_curve

if TYPE_CHECKING:
    import duckdb

N_CLUSTERS = 6
"""Clusters shown: so many of the largest, and of those with the least similar pairs."""
BIN = 0.01
"""Width of a bar of similarities."""
CURVE_POINTS = (0.9, 0.8, 0.7)
"""Similarities at which the table says how likely a pair is compared, beside the limit."""

FOUND = (
    ("texts", "documents", "documents whose text was hashed"),
    ("texts", "empty", "of these without text"),
    ("exact", "exact_pairs", "copies of another text: compared no more"),
    ("url_keys", "without_url", "documents without a URL"),
    ("url_pairs", "url_pairs", "captures of an earlier URL"),
    ("payload_keys", "without_payload", "documents without a payload: rows"),
    ("payload_pairs", "payload_pairs", "copies of an earlier payload"),
    ("sign", "documents", "documents looked at"),
    ("sign", "signed", "documents signed"),
    ("sign", "signed_by_characters", "of these by characters, not words: scripts without spaces"),
    ("sign", "no_words", "documents without words: nobody's copies"),
    ("candidates", "buckets", "buckets: band keys of two documents or more"),
    ("candidates", "large_buckets", "large buckets: boilerplate, or too few rows for this corpus"),
    ("candidates", "large_bucket_documents", "documents in large buckets"),
    ("attach", "compared", "pairs of documents compared"),
    ("verify", "refused", "of these refused: less similar than the limit"),
    ("verify", "near_pairs", "near pairs"),
)
"""Counts of stages, in order, and what they mean; one that a run has not counted is left out."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The verified pairs of one kind."""

    kind: str
    n_pairs: int
    n_between_members: int
    """Of documents that pass everything else: only those count in the decision."""
    lowest: float | None
    median: float | None


@dataclass(frozen=True, slots=True)
class Duplicates:
    """The section of the page."""

    n_clusters: int
    n_removed: int
    n_bytes: int
    n_chained: int
    """Clusters with a member that is no verified pair with the document that stays."""
    kinds: list[Kind]
    found: list[tuple[str, str, int]]
    """(stage, what, how many)."""
    criteria: list[tuple[str, int, int]]
    """(criterion, clusters that it decided, documents removed from them), in the recipe's order."""
    sizes: list[tuple[str, int, int]]
    """(documents of a cluster, clusters, documents removed)."""
    sizes_figure: Figure
    similarity: Figure | None
    curve: Figure | None
    settings: MinHash | None
    shown: list[tuple[str, list[tuple[Cluster, Contrast]]]]
    """(what they are, clusters); a cluster is shown once."""

    def numbers(self) -> dict[str, Any]:
        """For machines."""
        return {
            "clusters": self.n_clusters,
            "documents": self.n_removed,
            "bytes": self.n_bytes,
            "pairs": {kind.kind: kind.n_pairs for kind in self.kinds},
            "criteria": {name: n for name, n, _ in self.criteria},
            "sizes": {name: n for name, n, _ in self.sizes},
        }


def gather(run: RunFolder, connection: duckdb.DuckDBPyConnection) -> Duplicates:
    """What the page shows; only the texts of the clusters that it shows are read.

    Raises StoreError if the run has not come to its decisions.
    """
    clusters.find_clusters(run, connection)
    minhash = run.manifest["recipe"]["dedup"]["minhash"]
    settings = None if minhash is None else MinHash.model_validate(minhash)
    sizes = size_classes(_sizes(connection))
    return Duplicates(
        n_clusters=sum(n for _, n, _ in sizes),
        n_removed=sum(n for _, _, n in sizes),
        n_bytes=_bytes_removed(connection),
        n_chained=_chained(connection),
        kinds=_kinds(connection),
        found=[(stage, what, run.counts(stage)[name]) for stage, name, what in FOUND if name in run.counts(stage)],
        criteria=_criteria(connection, clusters.keep_by(run)),
        sizes=sizes,
        sizes_figure=Figure.make(
            "Documents removed, by size of their cluster",
            figures.cluster_sizes(sizes),
            ("documents in the cluster", "clusters", "documents removed"),
            sizes,
        ),
        similarity=None if settings is None else _similarity(connection, settings.min_jaccard),
        curve=None if settings is None else _curve(settings),
        settings=settings,
        shown=_shown(run, connection),
    )


def _shown(run: RunFolder, connection: duckdb.DuckDBPyConnection) -> list[tuple[str, list[tuple[Cluster, Contrast]]]]:
    largest = clusters.largest(connection, N_CLUSTERS)
    contrasts = clusters.contrasts(run, connection, largest)
    names = {cluster.cluster for cluster in largest}
    doubtful = [c for c in clusters.least_similar(connection, 2 * N_CLUSTERS) if c.cluster not in names][:N_CLUSTERS]
    contrasts |= clusters.contrasts(run, connection, doubtful)
    groups = [("Largest clusters", largest), ("Clusters of the least similar pairs", doubtful)]
    return [(title, [(c, contrasts[c.cluster]) for c in found]) for title, found in groups if found]


def size_classes(sizes: Sequence[tuple[int, int]]) -> list[tuple[str, int, int]]:
    """(sizes, clusters, documents removed): 2, 3 and 4 by themselves, then doubling, so that few rows say it all.

    sizes: (documents of a cluster, clusters of that size)
    """
    found: dict[tuple[int, int], list[int]] = {}
    for size, n in sorted(sizes):
        high = size if size <= 4 else 1 << (size - 1).bit_length()
        counts = found.setdefault((high if size <= 4 else high // 2 + 1, high), [0, 0])
        counts[0] += n
        counts[1] += n * (size - 1)
    return [
        (f"{low}" if low == high else f"{low}–{high}", n_clusters, n_removed)
        for (low, high), (n_clusters, n_removed) in found.items()
    ]


def _sizes(connection: duckdb.DuckDBPyConnection) -> list[tuple[int, int]]:
    return connection.execute("SELECT n_documents, count(*) FROM found_clusters GROUP BY 1 ORDER BY 1").fetchall()


def _bytes_removed(connection: duckdb.DuckDBPyConnection) -> int:
    return int(_one(connection, "SELECT coalesce(sum(n_bytes), 0) FROM members WHERE kept_for IS NOT NULL"))


def _chained(connection: duckdb.DuckDBPyConnection) -> int:
    """Clusters with a member that only others join to the document that stays."""
    return int(_one(connection, "SELECT count(DISTINCT cluster) FROM beside WHERE kind IS NULL"))


def _kinds(connection: duckdb.DuckDBPyConnection) -> list[Kind]:
    rows = connection.execute(
        """
        SELECT kind, count(*), coalesce(any_value(n), 0), min(similarity), median(similarity)
        FROM pairs LEFT JOIN (SELECT kind, count(*) AS n FROM member_pairs GROUP BY 1) USING (kind)
        GROUP BY 1 ORDER BY 1
        """
    ).fetchall()
    return [Kind(*row) for row in rows]


def _criteria(connection: duckdb.DuckDBPyConnection, keep_by: Sequence[str]) -> list[tuple[str, int, int]]:
    rows = connection.execute(
        "SELECT criterion, count(*), sum(n_documents - 1)::BIGINT FROM found_clusters GROUP BY 1"
    ).fetchall()
    order = [*keep_by, "id"]
    return sorted(rows, key=lambda row: order.index(row[0]))


def _similarity(connection: duckdb.DuckDBPyConnection, limit: float) -> Figure:
    """How similar near pairs are, from the bar that the limit is in up to 1."""
    rows = connection.execute(
        f"""
        SELECT least(floor(similarity / {BIN} + 1e-9), {round(1 / BIN) - 1})::INT, count(*)
        FROM pairs WHERE kind = 'near' GROUP BY 1 ORDER BY 1
        """
    ).fetchall()
    counted = dict(rows)
    bars = [
        Bar(i * BIN, (i + 1) * BIN, counted.get(i, 0), 0)
        for i in range(min(math.floor(limit / BIN + 1e-9), round(1 / BIN) - 1), round(1 / BIN))
    ]
    return Figure.make(
        f"Jaccard similarity of near pairs; the limit is {limit:g}",
        figures.similarity(bars, limit),
        ("from", "to", "near pairs"),
        [(f"{bar.low:.2f}", f"{bar.high:.2f}", bar.kept) for bar in bars if bar.kept],
    )


def _curve(settings: MinHash) -> Figure:
    """How likely two documents of a similarity are compared."""
    marks = sorted({settings.min_jaccard, *CURVE_POINTS}, reverse=True)
    rows = [(s, s_curve(settings.bands, settings.rows, s)) for s in marks]
    return Figure.make(
        f"Chance that a pair is compared: {settings.bands} bands of {settings.rows} rows",
        figures.s_curve(settings.bands, settings.rows, rows, settings.min_jaccard),
        ("Jaccard similarity", "found, in theory", ""),
        [(f"{s:g}", _percent(found), "the limit" if s == settings.min_jaccard else "") for s, found in rows],
    )


def _percent(chance: float) -> str:
    """A chance that is not quite certain is not called 100 %."""
    return "over 99.9%" if 0.9995 <= chance < 1 else f"{chance:.1%}"


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> Any:
    return connection.execute(sql).fetchall()[0][0]

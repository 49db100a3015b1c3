"""Clusters of duplicates: which there are, who is in one, which document stays and why, and how two of them differ."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datassay.cli import difference
from datassay.cli.decisions import CARRIED
from datassay.cli.query import table
from datassay.cli.run_folder import RunFolder
from datassay.corpus.errors import InputError, RecipeError
from datassay.dedup.exact import PAIR
from datassay.dedup.reasons import deciding_criteria, in_words, reasons
from datassay.dedup.settings import MinHash

if TYPE_CHECKING:
    import duckdb

N_SHOWN = 20
"""Clusters, or members of one, that a table shows; CSV has all."""
N_DOMAINS = 3
"""Domains and sources named of a cluster, those of the most members."""
N_LOOKED_AT = 4
"""Members whose texts are read to find one that is unlike the document that stays."""
MAX_NAMED = 5
"""Ids that are named where a URL has several documents."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Duplicates that belong together, and the one that stays."""

    cluster: str
    """The smallest id of its members."""
    n_documents: int
    kept: str
    url: str | None
    """Of the document that stays."""
    criterion: str
    because: str
    """What told the document that stays from the runner-up."""
    pairs: tuple[tuple[str, int, float | None], ...]
    """(kind, verified pairs between members, the lowest similarity)."""
    domains: tuple[tuple[str, int], ...]
    n_domains: int
    sources: tuple[tuple[str, int], ...]
    n_dropped: int
    """Documents with a verified pair to a member that other rules had dropped before: they are no members."""
    dropped: tuple[tuple[str, int], ...]
    """(rule, how many of those fail it), the most frequent first."""


@dataclass(frozen=True, slots=True)
class Member:
    """A document of a cluster, beside the one that stays."""

    id: str
    url: str | None
    stays: bool
    kind: str | None
    """Of the verified pair of its text with the one that stays; None for that one, and where others join them."""
    similarity: float | None
    because: str
    """Why the other stays in place of it; empty for the one that stays."""
    quality: float | None
    n_chars: int
    date: str | None
    domain: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Contrast:
    """The document that stays beside the least similar member of those that were looked at."""

    other: str
    url: str | None
    similarity: float
    """Jaccard similarity of their shingle sets."""
    is_pair: bool
    """Whether the two are a verified pair; else other members join them."""
    difference: difference.Difference


def find_clusters(run: RunFolder, connection: duckdb.DuckDBPyConnection, cluster: str | None = None) -> None:
    """Give a connection of the run tables of all clusters, or of one: `members`, `member_pairs`, `found_clusters`, and
    `beside`, of the members that go.

    Memory grows with the members, not with the texts. Raises StoreError if the run has not come to its decisions.
    """
    run.files("decide", "decisions")  # or an error that says that the run has not come so far
    verdicts = run.files("verdicts", "verdicts")
    connection.read_parquet([str(path) for path in verdicts], hive_partitioning=False).create_view("verdicts")
    known = pq.read_schema(verdicts[0]).names
    types = {"quality": "DOUBLE", "source": "VARCHAR"}  # there is no quality without a score, no source in older runs
    columns = ", ".join(name if name in known else f"NULL::{types[name]} AS {name}" for name in (*CARRIED, "source"))
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE members AS
        SELECT id, cluster, kept_for, {columns}
        FROM (SELECT id, cluster, kept_for FROM decisions WHERE cluster IS NOT NULL AND ($1 IS NULL OR cluster = $1))
        JOIN verdicts USING (id)
        """,
        [cluster],
    )
    members = _arrow(connection, "SELECT * FROM members ORDER BY id")
    connection.register("reasons", reasons(members, keep_by(run), source_priority=source_priority(run)))
    connection.execute("CREATE OR REPLACE TEMP TABLE found_clusters AS SELECT * FROM reasons")
    connection.unregister("reasons")
    if "pairs" not in run.datasets():
        connection.register("pairs", PAIR.empty_table())
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE member_pairs AS
        SELECT a, b, similarity, kind, cluster
        FROM pairs JOIN members x ON a = x.id SEMI JOIN members y ON b = y.id
        """
    )
    connection.execute(_BESIDE)


_BESIDE = """
CREATE OR REPLACE TEMP TABLE beside AS
WITH firsts AS (SELECT b AS id, min(a) AS first FROM member_pairs WHERE kind = 'exact' GROUP BY 1),
texts AS (SELECT id, cluster, coalesce(first, id) AS text FROM members LEFT JOIN firsts USING (id)),
stays AS (SELECT texts.cluster, kept, text FROM found_clusters JOIN texts ON id = kept),
others AS (SELECT texts.*, kept, stays.text AS kept_text FROM texts JOIN stays USING (cluster) WHERE id <> kept),
ends AS (SELECT a AS x, b AS y, kind, similarity FROM member_pairs UNION ALL
    SELECT b, a, kind, similarity FROM member_pairs),
found AS (SELECT id, 'exact' AS kind, 1.0 AS similarity FROM others WHERE text = kept_text UNION ALL
    SELECT id, kind, similarity FROM others JOIN ends ON x = id AND y = kept UNION ALL
    SELECT id, kind, similarity FROM others JOIN ends ON x = text AND y = kept_text)
SELECT id, cluster, kind, similarity FROM others LEFT JOIN found USING (id)
QUALIFY row_number() OVER (PARTITION BY id ORDER BY similarity DESC NULLS LAST, kind) = 1
"""
"""Each member that goes beside the one that stays. Exact copies of a text share its pairs, of which only the first copy
has any."""


def keep_by(run: RunFolder) -> tuple[Any, ...]:
    """What decides in this run which document of a cluster stays."""
    return tuple(run.manifest["recipe"]["dedup"]["keep_by"])


def source_priority(run: RunFolder) -> tuple[str, ...]:
    """Which sources this run prefers, first to last."""
    return tuple(run.manifest["recipe"]["dedup"].get("source_priority", ()))


def minhash_settings(run: RunFolder) -> MinHash:
    """How this run compares texts; the defaults where it looks for no near duplicates."""
    return MinHash.model_validate(run.manifest["recipe"]["dedup"]["minhash"] or {})


def largest(connection: duckdb.DuckDBPyConnection, n: int | None = None) -> list[Cluster]:
    """The clusters of the most documents, or all, after `find_clusters`; of equal size by name."""
    return _described(connection, "found_clusters", "n_documents DESC, cluster", n)


def least_similar(connection: duckdb.DuckDBPyConnection, n: int) -> list[Cluster]:
    """The clusters with the least similar pairs, after `find_clusters`, but for those of one text."""
    lowest = "SELECT cluster, min(similarity) AS lowest FROM member_pairs WHERE similarity < 1 GROUP BY 1"
    return _described(connection, f"found_clusters JOIN ({lowest}) USING (cluster)", "lowest, cluster", n)


def _described(connection: duckdb.DuckDBPyConnection, source: str, order: str, n: int | None) -> list[Cluster]:
    """The first n clusters of a table in some order, or all; the table `shown` has them afterwards."""
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE shown AS SELECT *, row_number() OVER (ORDER BY {order}) AS place FROM {source}
        QUALIFY {n is None} OR place <= {n or 0}
        """
    )
    pairs = _grouped(
        connection,
        """
        SELECT cluster, kind, count(*), min(similarity)
        FROM member_pairs SEMI JOIN shown USING (cluster) GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2
        """,
    )
    domains, sources = (_places(connection, column) for column in ("domain", "source"))
    n_dropped, dropped = _dropped(connection)
    rows = connection.execute(
        """
        SELECT cluster, n_documents, kept, url, criterion, because FROM shown JOIN documents ON documents.id = kept
        ORDER BY place
        """
    ).fetchall()
    return [
        Cluster(
            *(name, n_documents, kept, url, criterion, because),
            pairs=tuple(pairs[name]),
            domains=tuple(domains[name][:N_DOMAINS]),
            n_domains=len(domains[name]),
            sources=tuple(sources[name]),
            n_dropped=n_dropped.get(name, 0),
            dropped=tuple(dropped[name]),
        )
        for name, n_documents, kept, url, criterion, because in rows
    ]


def _places(connection: duckdb.DuckDBPyConnection, column: str) -> Mapping[str, list[Any]]:
    """(domain or source, members) of each cluster that is shown, the most frequent first."""
    return _grouped(
        connection,
        f"""
        SELECT cluster, coalesce(documents.{column}, 'none'), count(*)
        FROM members SEMI JOIN shown USING (cluster) JOIN documents USING (id) GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2
        """,
    )


def _dropped(connection: duckdb.DuckDBPyConnection) -> tuple[dict[str, int], Mapping[str, list[Any]]]:
    """Of each cluster that is shown, how many documents near to it other rules dropped, and (rule, how many)."""
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE dropped_before AS
        WITH near AS (
            SELECT cluster, other FROM (
                SELECT a AS id, b AS other FROM pairs UNION ALL SELECT b, a FROM pairs)
            JOIN members USING (id) SEMI JOIN shown USING (cluster))
        SELECT DISTINCT near.cluster, other AS id, reasons FROM near JOIN decisions ON decisions.id = other
        WHERE decisions.cluster IS NULL
        """
    )
    counts = dict(connection.execute("SELECT cluster, count(*) FROM dropped_before GROUP BY 1").fetchall())
    rules = _grouped(
        connection,
        """
        SELECT cluster, rule, count(*) FROM (
            SELECT DISTINCT cluster, id, unnest(reasons).rule AS rule FROM dropped_before)
        GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2
        """,
    )
    return counts, rules


def members_of(run: RunFolder, connection: duckdb.DuckDBPyConnection, cluster: str) -> list[Member]:
    """The members of a cluster, after `find_clusters`: the one that stays, then the most similar to it first."""
    documents = _arrow(connection, "SELECT * FROM members WHERE cluster = $1 ORDER BY id", cluster)
    ids = documents["id"].to_pylist()
    (kept,) = connection.execute("SELECT kept FROM found_clusters WHERE cluster = $1", [cluster]).fetchall()[0]
    others = np.array([i for i, name in enumerate(ids) if name != kept], np.int64)
    stays = np.full(len(others), ids.index(kept), np.int64)
    criteria = deciding_criteria(documents, stays, others, keep_by(run), source_priority=source_priority(run))
    because = dict(zip(others.tolist(), in_words(documents, stays, others, criteria), strict=True))
    rows = connection.execute(
        """
        SELECT id, url, kind, similarity, quality, n_chars, members.date, domain, documents.source
        FROM members LEFT JOIN beside USING (id) JOIN documents USING (id) WHERE members.cluster = $1 ORDER BY id
        """,
        [cluster],
    ).fetchall()
    found = [
        Member(name, url, name == kept, kind, similarity, because.get(i, ""), quality, n_chars, date, domain, source)
        for i, (name, url, kind, similarity, quality, n_chars, date, domain, source) in enumerate(rows)
    ]
    return sorted(found, key=lambda m: (not m.stays, m.similarity is None, -(m.similarity or 0), m.id))


def contrasts(
    run: RunFolder, connection: duckdb.DuckDBPyConnection, clusters: Sequence[Cluster]
) -> dict[str, Contrast]:
    """Of each of the clusters that were described last, the member that is least like the one that stays, of a few that
    are looked at: those that others join to it, and those in the pairs of the lowest similarity. No other texts are
    read."""
    looked_at = _grouped(
        connection,
        f"""
        WITH lowest AS (
            SELECT id, min(similarity) AS lowest FROM (
                SELECT a AS id, similarity FROM member_pairs UNION ALL SELECT b, similarity FROM member_pairs)
            GROUP BY 1)
        SELECT cluster, id FROM beside SEMI JOIN shown USING (cluster) LEFT JOIN lowest USING (id)
        QUALIFY row_number() OVER (PARTITION BY cluster ORDER BY kind IS NOT NULL, lowest, id) <= {N_LOOKED_AT}
        ORDER BY 1, 2
        """,
    )
    wanted = {c.cluster: [name for (name,) in looked_at[c.cluster]] for c in clusters}
    texts = read_texts(
        connection, [*(c.kept for c in clusters), *(name for names in wanted.values() for name in names)]
    )
    urls = dict(
        connection.execute("SELECT id, url FROM documents WHERE id IN (SELECT unnest($1))", [list(texts)]).fetchall()
    )
    pairs = _with_a_pair(connection, urls)
    found = {}
    for c in clusters:
        similarity = similarities(texts[c.kept], [texts[name] for name in wanted[c.cluster]], minhash_settings(run))
        least = int(np.argmin(similarity))
        other = wanted[c.cluster][least]
        changes = difference.word_difference(texts[c.kept], texts[other])
        found[c.cluster] = Contrast(other, urls[other], similarity[least], other in pairs, changes)
    return found


def _with_a_pair(connection: duckdb.DuckDBPyConnection, ids: Iterable[str]) -> set[str]:
    """Those of some members that are a verified pair with the document that stays."""
    rows = connection.execute(
        "SELECT id FROM beside WHERE kind IS NOT NULL AND id IN (SELECT unnest($1))", [list(ids)]
    ).fetchall()
    return {name for (name,) in rows}


def read_texts(connection: duckdb.DuckDBPyConnection, ids: Iterable[str]) -> dict[str, str]:
    """The texts of these documents; of a Parquet file, DuckDB decompresses only the pages that they are in."""
    wanted = sorted(set(ids))
    return dict(
        connection.execute("SELECT id, text FROM documents WHERE id IN (SELECT unnest($1))", [wanted]).fetchall()
    )


def similarities(text: str, others: Sequence[str], settings: MinHash) -> list[float]:
    """Jaccard similarity of a text's shingle set with those of others; of texts without words, 1 if they are equal."""
    sets = settings.shingle_sets(pa.array([text, *others], pa.large_string()))
    first, *rest = (sets.values[low:high] for low, high in zip(sets.offsets, sets.offsets[1:], strict=False))
    n_common = [len(np.intersect1d(first, other, assume_unique=True)) for other in rest]
    n_all = [len(first) + len(other) - n for other, n in zip(rest, n_common, strict=True)]
    return [n / total if total else float(text == y) for n, total, y in zip(n_common, n_all, others, strict=True)]


def document_named(run: RunFolder, connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """The id of the document with this id, source id or URL. Raises InputError if there is none or more than one."""
    found = connection.execute(
        "SELECT id FROM documents WHERE id = $1 OR source_id = $1 OR url = $1 ORDER BY id", [name]
    ).fetchall()
    if not found:
        raise InputError(f"{run.path}: no document with the id, source id or URL {name!r}")
    if len(found) > 1:
        ids = ", ".join(name for (name,) in found[:MAX_NAMED]) + (", …" if len(found) > MAX_NAMED else "")
        raise InputError(f"{run.path}: {len(found)} documents have the URL or source id {name!r}; name one: {ids}")
    return str(found[0][0])


def list_clusters(run: RunFolder, *, top: int | None = None, as_csv: bool = False) -> str:
    """The largest clusters of a run as a table, or all, or the `top` largest, as CSV."""
    connection = run.connect()
    find_clusters(run, connection)
    n_all, n_gone = connection.execute(
        "SELECT count(*), coalesce(sum(n_documents - 1), 0)::BIGINT FROM found_clusters"
    ).fetchall()[0]
    found = largest(connection, top if as_csv else top or N_SHOWN)
    if as_csv:
        names = [
            "cluster",
            "documents",
            "stays",
            "criterion",
            "because",
            "pairs",
            "lowest",
            "domains",
            "dropped",
            "url",
        ]
        return _csv(names, (_csv_row(c) for c in found))
    if not n_all:
        return "No clusters: no two documents that pass everything else are duplicates.\n"
    rows: list[tuple[object, ...]] = [
        (c.n_documents, c.kept, c.because, pairs_said(c), domains_said(c), c.url) for c in found
    ]
    more = f"and {n_all - len(found):,} more clusters\n" if n_all > len(found) else ""
    return (
        table(["documents", "stays", "because", "pairs", "domains", "url"], rows)
        + more
        + (f"\n{n_all:,} clusters; {n_gone:,} documents go for another that stays.\n")
    )


def list_members(run: RunFolder, name: str, *, top: int | None = None, as_csv: bool = False) -> str:
    """The members of a document's cluster as a table, or all, or the `top` first, as CSV."""
    connection = run.connect()
    name = document_named(run, connection, name)
    found = cluster_of(run, connection, name)
    members = members_of(run, connection, found.cluster) if found is not None else []
    if as_csv:
        names = ["id", "stays", "kind", "similarity", "because", "quality", "n_chars", "date", "source", "url"]
        rows: Iterable[tuple[object, ...]] = (
            (m.id, int(m.stays), m.kind, m.similarity, m.because, m.quality, m.n_chars, m.date, m.source, m.url)
            for m in members[:top]
        )
        return _csv(names, rows)
    if found is None:
        return f"{name} is in no cluster{_why_none(connection, name)}\n"
    shown = members[: top or N_SHOWN]
    rows = [(m.id, place(m), m.similarity, m.because, m.n_chars, m.date, m.url) for m in shown]
    more = f"and {len(members) - len(shown):,} more members\n" if len(members) > len(shown) else ""
    lines = "".join(f"{line}\n" for line in [heading(found), *dropped_said(found)])
    return lines + table(["id", "", "similarity", "the other stays for", "n_chars", "date", "url"], rows) + more


def cluster_of(run: RunFolder, connection: duckdb.DuckDBPyConnection, document: str) -> Cluster | None:
    """The cluster that a document is in; only its members are looked at."""
    run.files("decide", "decisions")
    found = connection.execute("SELECT cluster FROM decisions WHERE id = $1", [document]).fetchall()
    if not found or found[0][0] is None:
        return None
    find_clusters(run, connection, found[0][0])
    return largest(connection)[0]


def _why_none(connection: duckdb.DuckDBPyConnection, document: str) -> str:
    reasons = connection.execute("SELECT reasons FROM decisions WHERE id = $1", [document]).fetchall()[0][0]
    if reasons:
        return ": other rules drop it before duplicates are chosen between: " + ", ".join(r["rule"] for r in reasons)
    return ": it has no verified pair with a document that passes everything else"


def show_difference(run: RunFolder, first: str, second: str) -> str:
    """The words of one document against those of another, and how alike they are."""
    import typer

    connection = run.connect()
    run.files("clean", "clean")
    a, b = document_named(run, connection, first), document_named(run, connection, second)
    texts = read_texts(connection, [a, b])
    (similarity,) = similarities(texts[a], [texts[b]], minhash_settings(run))
    found = difference.word_difference(texts[a], texts[b])
    marked = difference.as_text(found, gone=typer.style("[-{}-]", fg="red"), new=typer.style("{{+{}+}}", fg="green"))
    said = [
        f"Jaccard similarity {similarity:.3f}",
        f"{found.n_gone:,} word{'s' * (found.n_gone != 1)} only in the first",
        f"{found.n_new:,} only in the second",
    ]
    return f"[-{a}-]\n{{+{b}+}}\n{', '.join([*said, *difference.notes(found)])}\n\n{marked}\n"


def heading(c: Cluster) -> str:
    """A cluster in one line: its size, which document stays, and why."""
    return f"{c.n_documents:,} documents; {c.kept} stays: {c.because}"


def pairs_said(c: Cluster) -> str:
    """Verified pairs between the members of a cluster, by kind, with the lowest similarity."""
    return ", ".join(
        f"{n:,} {kind}" + (f" from {lowest:.3f}" if lowest is not None and lowest < 1 else "")
        for kind, n, lowest in c.pairs
    )


def domains_said(c: Cluster) -> str:
    """The domains of a cluster with their members."""
    others = f" and {c.n_domains - len(c.domains):,} more" if c.n_domains > len(c.domains) else ""
    return ", ".join(f"{name} {n:,}" for name, n in c.domains) + others


def dropped_said(c: Cluster) -> Iterator[str]:
    """A sentence on the documents that other rules had dropped before, if there are any."""
    if c.n_dropped:
        one = c.n_dropped == 1
        yield (
            f"{c.n_dropped:,} more {'document' if one else 'documents'} with a verified pair to a member "
            f"{'is no member: it fails' if one else 'are no members: they fail'} other rules: "
            + ", ".join(f"{rule} {n:,}" for rule, n in c.dropped)
        )


def place(m: Member) -> str:
    """How a member comes to be one: the kind of its pair with the one that stays, or that others join them."""
    return "stays" if m.stays else m.kind or "joined"


def _csv_row(c: Cluster) -> tuple[object, ...]:
    lowest = min((x for _, _, x in c.pairs if x is not None), default=None)
    n_pairs = sum(n for _, n, _ in c.pairs)
    return c.cluster, c.n_documents, c.kept, c.criterion, c.because, n_pairs, lowest, c.n_domains, c.n_dropped, c.url


def _csv(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([names, *rows])
    return out.getvalue()


def _grouped(connection: duckdb.DuckDBPyConnection, sql: str) -> defaultdict[str, list[Any]]:
    """The rows of a query without their first column, by that column, in order."""
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for first, *rest in connection.execute(sql).fetchall():
        found[first].append(tuple(rest))
    return found


def _arrow(connection: duckdb.DuckDBPyConnection, sql: str, *values: object) -> pa.Table:
    return connection.sql(sql, params=values).to_arrow_table()


def asked(run: RunFolder, *, member: str | None, diff: tuple[str, str] | None, top: int | None, as_csv: bool) -> str:
    """What the command prints. Raises RecipeError for options that do not go together."""
    if diff is not None:
        if member is not None or top is not None or as_csv:
            raise RecipeError("--diff goes without --member, --top and --csv")
        return show_difference(run, *diff)
    if member is not None:
        return list_members(run, member, top=top, as_csv=as_csv)
    return list_clusters(run, top=top, as_csv=as_csv)

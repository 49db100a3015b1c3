"""What the report says of a run: tables asked of its files with DuckDB, nothing of the page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from datassay.cli.run_folder import RunFolder

if TYPE_CHECKING:
    import duckdb

N_BINS = 40
"""Bars of a histogram."""
N_SAMPLES = 4
"""Documents shown of each reason, and of those that were kept."""
SAMPLE_CHARACTERS = 700
N_OVERLAPS = 10
N_REPEATS = 15
N_DOMAINS = 15
N_CROSSINGS = 30
"""Rows shown of which source duplicates which."""
N_SIGNALS = 12
"""Histograms: of the signals whose rules drop most."""


@dataclass(frozen=True, slots=True)
class FunnelRow:
    """What is left after a step."""

    step: str
    n_documents: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class RuleRow:
    """What one rule drops."""

    rule: str
    limit: str
    n_failed: int
    n_alone: int
    """Documents that no other rule drops."""


@dataclass(frozen=True, slots=True)
class EditRow:
    """What one rule edits in the documents that are kept."""

    rule: str
    n_documents: int
    n_edits: int
    n_chars: int
    """Characters that it takes out."""


@dataclass(frozen=True, slots=True)
class RepeatRow:
    """A repeated text, and the documents that are kept and lose it."""

    kind: str
    n_places: int
    n_cut: int
    n_chars: int
    excerpt: str


@dataclass(frozen=True, slots=True)
class QuestionFile:
    """What was found of a file of questions."""

    file: str
    n_questions: int
    n_matchable: int
    n_found: int
    n_documents: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """A stretch that a document shares with a question."""

    question: str
    id: str
    url: str | None
    excerpt: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a histogram: documents with low <= value < high."""

    low: float
    high: float
    kept: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """How a signal is distributed over kept and dropped documents, and the limits of its rules."""

    signal: str
    bars: tuple[Bar, ...]
    limits: tuple[float, ...]
    n_outside: int
    """Documents beyond the 99.5 % quantile, which the figure leaves out."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A document, cut to what is shown."""

    id: str
    url: str | None
    reason: str
    text: str
    is_cut: bool


@dataclass(frozen=True, slots=True)
class DuplicateRow:
    """Documents of one group that were dropped for documents of another, or the same."""

    group: str
    kept_group: str
    kind: str
    n_documents: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class PairRow:
    """Edges between the documents of two groups, in either direction."""

    group_a: str
    group_b: str
    kind: str
    n_pairs: int
    similarity: float | None
    """Mean; None where it was not measured."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """Which sources duplicate which; by file or by domain where all documents have one source."""

    by: str
    """What the groups are: source, file or domain."""
    duplicates: tuple[DuplicateRow, ...]
    pairs: tuple[PairRow, ...]
    n_more: int
    """Rows of `duplicates` that are not shown."""
    n_more_pairs: int


def connect(run: RunFolder) -> duckdb.DuckDBPyConnection:
    """The run's views, and `judged`: the decisions on the documents of the input that may be trained on."""
    connection = run.connect()
    connection.execute(
        "CREATE VIEW judged AS SELECT decisions.* FROM decisions JOIN split USING (id) WHERE role = 'train'"
    )
    return connection


def records(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, int]]:
    """(outcome, reason, count) of every record of the input."""
    return connection.execute(
        "SELECT outcome, coalesce(reason, ''), count(*) FROM records GROUP BY ALL ORDER BY 1, 3 DESC, 2"
    ).fetchall()


def extractors(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, int, int, float | None]]:
    """(extractor, documents, kept, mean doubt of our own) of the documents that were pages, the most frequent first."""
    return connection.execute(
        """
        SELECT extractor, count(*), count(*) FILTER (keep), avg(extraction_doubt)
        FROM documents JOIN judged USING (id) JOIN extraction USING (id)
        WHERE extractor IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1
        """
    ).fetchall()


def funnel(run: RunFolder, connection: duckdb.DuckDBPyConnection) -> list[FunnelRow]:
    """Documents and bytes that are in training after each step, from all that were extracted."""
    n, n_bytes = _one(connection, "SELECT count(*), coalesce(sum(n_bytes), 0) FROM text JOIN judged USING (id)")
    steps = [variant for variant in run.manifest["variants"] if variant["kind"] == "cumulative"]
    return [
        FunnelRow("raw", n, n_bytes),
        *(FunnelRow(step["name"], step["n_documents"], step["n_bytes"]) for step in steps),
    ]


def roles(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, int]]:
    """(role, evaluation domain, documents)."""
    return connection.execute(
        "SELECT role, coalesce(domain, ''), count(*) FROM split GROUP BY ALL ORDER BY 1, 2"
    ).fetchall()


def rules(connection: duckdb.DuckDBPyConnection) -> list[RuleRow]:
    """What each rule drops of the training documents, most first."""
    found = connection.execute(
        """
        SELECT reason.rule, any_value(reason.limit), count(*), count(*) FILTER (n = 1)
        FROM (
            SELECT len(reasons) AS n, unnest(reasons) AS reason
            FROM judged)
        GROUP BY 1 ORDER BY 3 DESC, 1
        """
    ).fetchall()
    return [RuleRow(*row) for row in found]


def edits(connection: duckdb.DuckDBPyConnection) -> list[EditRow]:
    """What each rule edits in the documents that are kept, most characters first."""
    found = connection.execute(
        """
        SELECT rule, count(DISTINCT id), count(*), sum("end" - start) FROM edits JOIN judged USING (id) WHERE keep
        GROUP BY 1 ORDER BY 4 DESC, 1
        """
    ).fetchall()
    return [EditRow(rule, n_documents, n_edits, int(n_chars)) for rule, n_documents, n_edits, n_chars in found]


def repeats(connection: duckdb.DuckDBPyConnection) -> list[RepeatRow]:
    """What is cut out of the most documents that are kept, as a line, a paragraph or a substring."""
    found = connection.execute(
        f"""
        SELECT repeats.kind, max(n_places), count(*), sum("end" - start), min(excerpt)
        FROM repeats JOIN judged USING (id) WHERE keep
        GROUP BY repeats.kind, hash ORDER BY 3 DESC, 4 DESC, 5 LIMIT {N_REPEATS}
        """
    ).fetchall()
    return [RepeatRow(kind, n_places, n_cut, int(n_chars), text) for kind, n_places, n_cut, n_chars, text in found]


def questions(connection: duckdb.DuckDBPyConnection) -> list[QuestionFile]:
    """What was found of each file of questions."""
    found = connection.execute("SELECT file, n_questions, n_matchable, n_found, n_documents FROM question_files")
    return [QuestionFile(*row) for row in found.fetchall()]


def overlaps(connection: duckdb.DuckDBPyConnection) -> list[Overlap]:
    """The longest stretches that training documents share with a question, one of each question."""
    found = connection.execute(
        f"""
        SELECT c.file || '#' || c.row, c.id, url, excerpt
        FROM contamination c JOIN judged USING (id) JOIN documents USING (id)
        QUALIFY row_number() OVER (PARTITION BY c.file, c.row ORDER BY c."end" - c.start DESC, c.id) = 1
        ORDER BY c."end" - c.start DESC, 1 LIMIT {N_OVERLAPS}
        """
    )
    return [Overlap(*row) for row in found.fetchall()]


def histograms(connection: duckdb.DuckDBPyConnection, dropped: Sequence[RuleRow]) -> list[Histogram]:
    """Distributions of the signals that the rules limit, of the rules that drop most first."""
    columns = dict(connection.execute("SELECT column_name, column_type FROM (DESCRIBE signals)").fetchall())
    limits: dict[str, list[float]] = {}
    for row in dropped:
        for signal in re.findall(r"[a-z_][a-z0-9_]*", row.limit):
            if columns.get(signal) in ("DOUBLE", "BIGINT"):
                limits.setdefault(signal, []).extend(
                    float(x) for x in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?:e\d+)?", row.limit)
                )
    found = (_histogram(connection, signal, tuple(sorted(set(limits[signal])))) for signal in limits)
    return list(islice((histogram for histogram in found if histogram is not None), N_SIGNALS))


def _histogram(connection: duckdb.DuckDBPyConnection, signal: str, limits: tuple[float, ...]) -> Histogram | None:
    """None for a signal that has no finite value, as one of the user's may."""
    low, high, n = _one(
        connection,
        f"""
        SELECT min("{signal}") FILTER (is_finite), quantile_disc("{signal}", 0.995) FILTER (is_finite), count(*)
        FROM (SELECT *, isfinite("{signal}"::DOUBLE) AS is_finite FROM signals) JOIN judged USING (id)
        """,
    )
    if low is None:
        return None
    inside = [limit for limit in limits if limit <= 2 * high]
    high = max([high, *inside])
    width = (high - low) / N_BINS or 1.0
    counted = connection.execute(
        f"""
        SELECT least(floor(("{signal}" - $low) / $width), {N_BINS - 1})::INT AS bin,
               count(*) FILTER (keep), count(*) FILTER (NOT keep)
        FROM signals JOIN judged USING (id) WHERE "{signal}" BETWEEN $low AND $high GROUP BY 1 ORDER BY 1
        """,
        {"low": low, "width": width, "high": high},
    ).fetchall()
    bars = tuple(Bar(low + i * width, low + (i + 1) * width, kept, dropped) for i, kept, dropped in counted)
    return Histogram(signal, bars, tuple(inside), n - sum(bar.kept + bar.dropped for bar in bars))


def languages(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, int, int, float]]:
    """(language, documents, kept, mean score), the most frequent first."""
    return connection.execute(
        """
        SELECT language, count(*), count(*) FILTER (keep), avg(language_score)
        FROM language JOIN judged USING (id) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20
        """
    ).fetchall()


def domains(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, int, int, int]]:
    """(domain, documents, kept, bytes), the largest first."""
    return connection.execute(
        f"""
        SELECT coalesce(domain, 'none'), count(*), count(*) FILTER (keep), sum(n_bytes)
        FROM documents JOIN judged USING (id) JOIN text USING (id) GROUP BY 1 ORDER BY 4 DESC, 1 LIMIT {N_DOMAINS}
        """
    ).fetchall()


def samples(connection: duckdb.DuckDBPyConnection, dropped: Sequence[RuleRow]) -> list[tuple[str, list[Sample]]]:
    """Some documents that were kept, and some of each reason, chosen by their id, which is a hash."""
    groups = [("kept", "keep", "")]
    groups += [
        (row.rule, f"list_contains([r.rule FOR r IN reasons], {_quoted(row.rule)})", row.rule) for row in dropped
    ]
    groups.append(("duplicate", "kept_for IS NOT NULL", ""))
    found = []
    for title, condition, rule in groups:
        chosen = connection.execute(f"SELECT id FROM judged WHERE {condition} ORDER BY id LIMIT {N_SAMPLES}").fetchall()
        rows = connection.execute(  # by id, so that no other text is read
            """
            SELECT id, url, reasons, kept_for, text FROM documents JOIN judged USING (id)
            WHERE documents.id IN (SELECT unnest($1)) ORDER BY id
            """,
            [[name for (name,) in chosen]],
        ).fetchall()
        if rows:
            found.append((title, [_sample(row, rule) for row in rows]))
    return found


def _sample(row: tuple[Any, ...], rule: str) -> Sample:
    name, url, reasons, kept_for, text = row
    shown = [f"{r['rule']} {'null' if r['value'] is None else format(r['value'], '.4g')}" for r in reasons]
    shown.sort(key=lambda reason: not reason.startswith(rule + " "))
    if kept_for is not None:
        shown.append(f"duplicate of {kept_for}")
    return Sample(name, url, ", ".join(shown), text[:SAMPLE_CHARACTERS], len(text) > SAMPLE_CHARACTERS)


def crossing(connection: duckdb.DuckDBPyConnection) -> Crossing:
    """Which sources duplicate which, the most documents first; by file where there is one source, by domain where there
    is one file."""
    n = _one(connection, "SELECT count(DISTINCT source), count(DISTINCT file) FROM documents JOIN judged USING (id)")
    by = "source" if n[0] > 1 else "file" if n[1] > 1 else "domain"
    dropped = connection.execute(
        f"""
        SELECT coalesce({by}, 'none'), coalesce(kept_{by}, 'none'), kind, count(*), sum(n_bytes)::BIGINT
        FROM duplicates JOIN text USING (id) GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3
        """
    ).fetchall()
    joined = connection.execute(
        f"""
        WITH ends AS (
            SELECT coalesce(x.{by}, 'none') AS x, coalesce(y.{by}, 'none') AS y, kind, similarity
            FROM pairs JOIN documents x ON x.id = a JOIN documents y ON y.id = b
            WHERE a IN (SELECT id FROM judged) AND b IN (SELECT id FROM judged))
        SELECT least(x, y), greatest(x, y), kind, count(*), avg(similarity)
        FROM ends GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3
        """
    ).fetchall()
    return Crossing(
        by,
        tuple(DuplicateRow(*row) for row in dropped[:N_CROSSINGS]),
        tuple(PairRow(*row) for row in joined[:N_CROSSINGS]),
        max(0, len(dropped) - N_CROSSINGS),
        max(0, len(joined) - N_CROSSINGS),
    )


def sources(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, int, int, int, int]]:
    """(source, documents, kept, bytes, bytes kept), the largest first."""
    return connection.execute(
        """
        SELECT source, count(*), count(*) FILTER (keep), sum(n_bytes)::BIGINT,
               coalesce(sum(n_bytes) FILTER (keep), 0)::BIGINT
        FROM documents JOIN judged USING (id) JOIN text USING (id) GROUP BY 1 ORDER BY 4 DESC, 1
        """
    ).fetchall()


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> Any:
    row = connection.execute(sql).fetchone()
    assert row is not None  # an aggregate always gives a row
    return row


def _quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"

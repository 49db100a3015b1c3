"""Audit: which groups of documents a rule hits harder than others: languages, domains, lengths, sources, scripts.

A rule is flagged for a group if the group has `min_documents` documents or more and the lower end of the 95 % Wilson
interval of its drop rate is at least `factor` times the rule's drop rate over all training documents. The lower end and
not the rate, since hundreds of pairs of rule and group are looked at, and small groups reach any rate by chance. A rule
that drops more than 1 / factor of everything can therefore not be flagged. Nor is a rule held against the groups that
it is about: one that mentions `language` says nothing new by language.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datassay.cli.query import table
from datassay.cli.redecide import QUALITY_RULE, judges, run_recipe_of
from datassay.cli.run_folder import RunFolder
from datassay.filters.decide import rule_columns

if TYPE_CHECKING:
    import duckdb

Z_95 = 1.959963984540054
"""Quantile .975 of the normal distribution."""
N_DOMAINS = 50
"""Domains looked at: those of the most documents; the others are one group."""
N_LENGTHS = 10
OTHERS = "(all others)"
N_WORST = 5
N_SHOWN = 20
"""Flags that the table shows; CSV has all groups of all rules."""


@dataclass(frozen=True, slots=True)
class Group:
    """What a rule drops of a group of training documents."""

    rule: str
    kind: str
    """`language`, `domain`, `length`, `source` or `script`."""
    group: str
    n_documents: int
    n_dropped: int
    average: float
    """The rule's drop rate over all training documents."""
    low: float
    high: float
    """Wilson interval of the drop rate, 95 %."""
    is_flagged: bool

    @property
    def rate(self) -> float:
        return self.n_dropped / self.n_documents

    @property
    def times(self) -> float:
        """The drop rate as a multiple of the average; infinite is not possible, since a group is part of the whole."""
        return self.rate / self.average if self.average else 0.0


def wilson(n_dropped: int, n_documents: int, z: float = Z_95) -> tuple[float, float]:
    """Interval of a share of which `n_dropped` of `n_documents` were seen (Wilson 1927); 0 to 1 without documents."""
    if not n_documents:
        return 0.0, 1.0
    share, shift = n_dropped / n_documents, z * z / n_documents
    middle = share + shift / 2
    width = z * math.sqrt(share * (1 - share) / n_documents + shift / (4 * n_documents))
    return max(0.0, (middle - width) / (1 + shift)), min(1.0, (middle + width) / (1 + shift))


def audit(run: RunFolder, *, factor: float = 3.0, min_documents: int = 30) -> list[Group]:
    """What each rule of a run drops of each group of training documents, the worst first, those flagged before others.

    Raises StoreError if the run has not come to its decisions.
    """
    run.files("decide", "decisions")  # or an error that says that the run has not come so far
    connection = run.connect()
    kinds = _create_groups(connection)
    known = judges(run_recipe_of(run)).rules
    about = dict(zip([rule.name for rule in known], rule_columns(connection, known), strict=True))
    about[QUALITY_RULE] = [QUALITY_RULE]
    total = connection.execute("SELECT count(*) FROM members WHERE kind = 'all'").fetchall()[0][0]
    found = connection.execute(
        """
        SELECT rule, kind, "group", n_documents, coalesce(n_dropped, 0), n_all
        FROM (SELECT kind, "group", count(*) AS n_documents FROM members GROUP BY ALL)
        CROSS JOIN (SELECT rule, count(*) AS n_all FROM failures GROUP BY 1)
        LEFT JOIN (SELECT rule, kind, "group", count(*) AS n_dropped FROM failures JOIN members USING (id) GROUP BY ALL)
            USING (rule, kind, "group")
        WHERE kind <> 'all' ORDER BY ALL
        """
    ).fetchall()
    groups = []
    for rule, kind, group, n_documents, n_dropped, n_all in found:
        if kinds[kind] in about.get(rule, ()):
            continue
        average = n_all / total
        low, high = wilson(n_dropped, n_documents)
        is_flagged = n_documents >= min_documents and n_dropped > 0 and low >= factor * average
        groups.append(Group(rule, kind, group, n_documents, n_dropped, average, low, high, is_flagged))
    return sorted(groups, key=lambda g: (not g.is_flagged, -g.low / g.average, g.rule, g.kind, g.group))


def _create_groups(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Tables `members` (id, kind, group) and `failures` (id, rule) of the training documents.

    Returns, of each kind of group, the column that it is made of.
    """
    columns = {name for (name,) in connection.execute("SELECT column_name FROM (DESCRIBE signals)").fetchall()}
    kinds = {"language": "language", "length": "n_chars", "domain": "domain", "source": "source"}
    if "script" in columns:
        kinds["script"] = "script"
    connection.execute(
        f"""
        CREATE TEMP TABLE grouped AS
        SELECT signals.id, signals.language, signals.n_chars, documents.domain, documents.source
               {", signals.script" if "script" in kinds else ""}
        FROM signals JOIN documents USING (id) JOIN split USING (id) WHERE role = 'train'
        """
    )
    parts = ["SELECT id, 'all' AS kind, 'all' AS \"group\" FROM grouped"]
    parts += [
        f"SELECT id, '{kind}', coalesce({kind}, 'none') FROM grouped"
        for kind in kinds
        if kind in ("language", "script")
    ]
    parts.append("SELECT id, 'source', source FROM grouped WHERE (SELECT count(DISTINCT source) FROM grouped) > 1")
    parts.append(
        f"""
        SELECT id, 'domain', CASE WHEN domain IN (
            SELECT domain FROM grouped WHERE domain IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {N_DOMAINS})
            THEN domain ELSE '{OTHERS}' END FROM grouped
        """
    )
    parts.append(_length_classes(connection))
    connection.execute("CREATE TEMP TABLE members AS " + " UNION ALL ".join(parts))
    connection.execute(
        """
        CREATE TEMP TABLE failures AS
        SELECT id, unnest(reasons).rule AS rule FROM decisions JOIN split USING (id) WHERE role = 'train'
        """
    )
    return kinds


def _length_classes(connection: duckdb.DuckDBPyConnection) -> str:
    """A SELECT that puts each document into the tenth of lengths that it belongs to; equal lengths stay together."""
    shares = [i / N_LENGTHS for i in range(1, N_LENGTHS)]
    ((bounds, low, high),) = connection.execute(
        "SELECT quantile_disc(n_chars, ?::DOUBLE[]), min(n_chars), max(n_chars) FROM grouped", [shares]
    ).fetchall()
    ends = sorted({*(bounds or []), high or 0})
    starts = [low or 0, *(end + 1 for end in ends[:-1])]
    cases = " ".join(
        f"WHEN n_chars <= {end} THEN '{start} to {end} characters'" for start, end in zip(starts, ends, strict=True)
    )
    return f"SELECT id, 'length', CASE {cases} END FROM grouped"


def as_csv(groups: Sequence[Group]) -> str:
    """Every rule and group, flagged or not."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["rule", "kind", "group", "documents", "dropped", "rate", "low", "high", "average", "flagged"])
    writer.writerows(
        [g.rule, g.kind, g.group, g.n_documents, g.n_dropped, *(f"{x:.6g}" for x in (g.rate, g.low, g.high, g.average)),
         int(g.is_flagged)]
        for g in groups
    )  # fmt: skip
    return out.getvalue()


def as_text(groups: Sequence[Group], *, factor: float, min_documents: int) -> str:
    """The flagged groups as a table, and the worst of them in words."""
    flagged = [group for group in groups if group.is_flagged]
    n_rules = len({group.rule for group in groups})
    if not flagged:
        return (
            f"No group of {min_documents} documents or more is surely hit {factor:g} times as hard as the average: "
            f"{n_rules} rules, {len(groups):,} pairs of rule and group.\n"
        )
    rows: list[tuple[object, ...]] = [
        (g.rule, g.kind, g.group, g.n_documents, _percent(g.rate), f"{_percent(g.low)} to {_percent(g.high)}",
         _percent(g.average), f"{g.times:.1f}x")
        for g in flagged[:N_SHOWN]
    ]  # fmt: skip
    names = ["rule", "by", "group", "documents", "dropped", "95 % interval", "average", "times"]
    more = f"and {len(flagged) - N_SHOWN} more\n" if len(flagged) > N_SHOWN else ""
    sentences = [
        f"{g.rule} drops {g.n_dropped:,} of the {g.n_documents:,} documents of {g.kind} {g.group}: "
        f"{_percent(g.rate)}, against {_percent(g.average)} of all."
        for g in flagged[:N_WORST]
    ]
    return (
        table(names, rows)
        + more
        + f"\nOf {n_rules} rules, {len({g.rule for g in flagged})} hit some group of {min_documents} documents or more "
        + f"surely {factor:g} times as hard as the average, {len(flagged)} of {len(groups):,} pairs of rule and group. "
        + "The worst: "
        + " ".join(sentences)
        + "\n"
    )


def _percent(share: float) -> str:
    return f"{share:.1%}"

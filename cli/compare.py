"""Compare: two decisions on the same documents, by two runs or by a run and another recipe."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from datassay.cli.query import table
from datassay.cli.redecide import (
    RAW,
    STEPS,
    Change,
    Outcome,
    bytes_per_token,
    changed_recipe,
    decide_again,
    decided_before,
    ledger_for,
    reference_note,
    said,
    write_decisions,
)
from datassay.cli.run_folder import RunFolder, open_run
from datassay.corpus.errors import InputError, RecipeError
from datassay.corpus.split import INPUT_ONLY
from datassay.corpus.store import whole_file

if TYPE_CHECKING:
    import duckdb

N_GROUPS = 10
"""Languages and domains shown: those of the most documents."""
N_SAMPLES = 3
N_PAGE_SAMPLES = 8
"""Documents shown of each side, in the terminal and on the page."""
SAMPLE_CHARACTERS = 600


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two decisions."""

    name: str
    run: RunFolder
    """Where the documents and signals are."""
    recipe: dict[str, Any]
    decisions: tuple[Path, ...]
    outcome: Outcome
    is_run: bool
    """Whether the run itself decided so, and not another recipe over its ledger."""
    notes: tuple[str, ...] = ()

    @property
    def steps(self) -> list[tuple[str, int, int]]:
        """(step, documents, bytes) of what is left after each."""
        taken = [RAW, *(step for step in STEPS if step in self.outcome.drops)]
        left = [(step, self.outcome.after(step)) for step in taken]
        return [(step, int(mask.sum()), int(self.outcome.sizes[mask].sum())) for step, mask in left]

    @property
    def rules(self) -> list[tuple[str, str, int, int]]:
        """(rule, what it keeps, documents that fail it, that fail it alone)."""
        found = self.outcome
        return [
            (name, limit, found.n_failed.get(name, 0), found.n_alone.get(name, 0))
            for name, limit in found.limits.items()
        ]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of some documents, how many each decision keeps."""

    group: str
    both: int
    only_a: int
    only_b: int
    neither: int
    both_bytes: int = 0
    only_a_bytes: int = 0
    only_b_bytes: int = 0
    neither_bytes: int = 0

    @property
    def n(self) -> int:
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def kappa(self) -> float | None:
        return kappa(self.both, self.only_a, self.only_b, self.neither)


@dataclass(frozen=True, slots=True)
class Sample:
    """A document that one side keeps, and why the other drops it."""

    id: str
    url: str
    language: str
    n_bytes: int
    reasons: str
    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far two decisions agree."""

    a: Side
    b: Side
    n_unmatched: tuple[int, int]
    """Documents of the input that only A has, and only B."""
    n_other_texts: int
    """Documents of both whose texts have other lengths."""
    total: Agreement
    languages: tuple[Agreement, ...]
    domains: tuple[Agreement, ...]
    drops: tuple[tuple[tuple[str, int, int], ...], tuple[tuple[str, int, int], ...]]
    """(rule, documents, alone): what B's rules drop of what A keeps, and the other way round."""
    samples: tuple[tuple[Sample, ...], tuple[Sample, ...]]
    """Documents that only A keeps, with B's reasons, and the other way round."""


def kappa(both: int, only_a: int, only_b: int, neither: int) -> float | None:
    """Cohen's kappa of two decisions (Cohen 1960): agreement beyond what both shares of kept documents give by chance.

    None where chance alone agrees on everything: both keep all, or both keep none, or there is no document.
    """
    n = both + only_a + only_b + neither
    if n == 0:
        return None
    kept_a, kept_b = both + only_a, both + only_b
    by_chance = (kept_a * kept_b + (n - kept_a) * (n - kept_b)) / n**2
    return None if by_chance == 1 else ((both + neither) / n - by_chance) / (1 - by_chance)


@contextmanager
def side(path: Path, on: RunFolder | None) -> Iterator[Side]:
    """The decision of a run folder, or that of a recipe over the ledger of the run `on`; files last for the block.

    Raises RecipeError for a recipe without a run, or one that the run has not measured enough for.
    """
    if path.suffix != ".toml":
        run = open_run(path)
        files = tuple(run.files("decide", "decisions"))
        yield Side(str(path), run, dict(run.manifest["recipe"]), files, decided_before(run), is_run=True)
        return
    if on is None:
        raise RecipeError(f"{path}: a recipe decides over what a run has measured; name the run with --on RUN")
    recipe = changed_recipe(on, Change(recipe=path))
    with ledger_for(on, recipe) as ledger, TemporaryDirectory() as temp:
        decisions = Path(temp) / "decisions.parquet"
        write_decisions(ledger, decisions)
        notes = (*reference_note(on, path), *ledger.notes)
        dump = recipe.model_dump(mode="json")
        yield Side(str(path), on, dump, (decisions,), decide_again(ledger), is_run=False, notes=notes)


def compare(first: Path, second: Path, *, on: Path | None = None, html: Path | None = None) -> str:
    """How far two runs, or a run and a recipe, or two recipes over the run `on`, agree, as text.

    html: a file for the same on one page, with the texts of some documents
    Raises InputError if the two have no document in common.
    """
    ledger = open_run(on) if on is not None else None
    if ledger is None:
        ledger = next((open_run(path) for path in (first, second) if path.suffix != ".toml"), None)
    with ExitStack() as stack:
        a, b = (stack.enter_context(side(path, ledger)) for path in (first, second))
        found = compared(a, b)
        text = as_text(found)
        if html is not None:
            with whole_file(html) as part:
                part.write_text(as_html(found), encoding="utf-8")
            text += f"\npage: {html}\n"
    return text


def compared(a: Side, b: Side) -> Comparison:
    """How far two decisions agree on the documents of the input that both have."""
    connection = _connect(a, b)
    n_a, n_b, n_both, n_other = connection.execute(
        """
        SELECT (SELECT count(*) FROM input_a), (SELECT count(*) FROM input_b), count(*),
               count(*) FILTER (input_a.n_bytes <> input_b.n_bytes)
        FROM input_a JOIN input_b USING (id)
        """
    ).fetchall()[0]
    if not n_both:
        raise InputError(
            f"{a.name} and {b.name} have no document in common ({n_a:,} and {n_b:,}). Ids follow from the names of the "
            "input files and the places in them: compare runs over the same [input], or one run with another recipe: "
            f"datassay compare {a.name} RECIPE.toml"
        )
    return Comparison(
        a,
        b,
        (n_a - n_both, n_b - n_both),
        n_other,
        _agreements(connection, "'all'")[0],
        tuple(_agreements(connection, "language")),
        tuple(_agreements(connection, "domain")),
        (_drops(connection, "a", "b"), _drops(connection, "b", "a")),
        (_samples(connection, "a", "b"), _samples(connection, "b", "a")),
    )


def _connect(a: Side, b: Side) -> duckdb.DuckDBPyConnection:
    """A connection with, of each side, its decisions and the documents of its input, and `both`: what both decided."""
    import duckdb

    connection = duckdb.connect()
    for letter, one in (("a", a), ("b", b)):
        sources = {
            "decisions": one.decisions,
            **{name: one.run.datasets()[name] for name in ("documents", "text", "language")},
        }
        for name, paths in sources.items():
            view = connection.read_parquet([str(path) for path in paths], hive_partitioning=False)
            view.create_view(f"{name}_{letter}")
        connection.execute(
            f"""
            CREATE VIEW input_{letter} AS
            SELECT id, n_bytes FROM documents_{letter} JOIN text_{letter} USING (id) WHERE {INPUT_ONLY}
            """
        )
    connection.execute(
        """
        CREATE TEMP TABLE compared AS
        SELECT id, decisions_a.keep AS a, decisions_b.keep AS b, n_bytes, coalesce(language, 'none') AS language,
               coalesce(domain, 'none') AS domain
        FROM decisions_a JOIN decisions_b USING (id) JOIN input_a USING (id) JOIN language_a USING (id)
        JOIN documents_a USING (id)
        WHERE id IN (SELECT id FROM input_b)
        """
    )
    return connection


def _agreements(connection: duckdb.DuckDBPyConnection, group: str) -> list[Agreement]:
    cells = ("a AND b", "a AND NOT b", "b AND NOT a", "NOT a AND NOT b")
    columns = [f"count(*) FILTER ({cell})" for cell in cells]
    columns += [f"coalesce(sum(n_bytes) FILTER ({cell}), 0)::BIGINT" for cell in cells]
    rows = connection.execute(
        f"SELECT {group}, {', '.join(columns)} FROM compared GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {N_GROUPS}"
    ).fetchall()
    return [Agreement(*row) for row in rows]


def _drops(connection: duckdb.DuckDBPyConnection, keeps: str, drops: str) -> tuple[tuple[str, int, int], ...]:
    """(rule, documents, alone) of what one side keeps and the other drops; being a duplicate counts as a rule."""
    rows = connection.execute(
        f"""
        SELECT rule, count(*), count(*) FILTER (n = 1)
        FROM (
            SELECT unnest(rules) AS rule, len(rules) AS n
            FROM (
                SELECT list_concat([r.rule FOR r IN reasons], CASE WHEN kept_for IS NULL THEN [] ELSE ['duplicate'] END)
                       AS rules
                FROM decisions_{drops} JOIN compared USING (id) WHERE {keeps} AND NOT {drops}))
        GROUP BY 1 ORDER BY 2 DESC, 1
        """
    ).fetchall()
    return tuple(rows)


def _samples(connection: duckdb.DuckDBPyConnection, keeps: str, drops: str) -> tuple[Sample, ...]:
    """Documents that one side keeps alone, chosen by their id, which is a hash."""
    chosen = connection.execute(
        f"SELECT id, language, n_bytes FROM compared WHERE {keeps} AND NOT {drops} ORDER BY id LIMIT {N_PAGE_SAMPLES}"
    ).fetchall()
    names = [name for name, _, _ in chosen]
    texts = _by_id(connection, f"SELECT id, url, text FROM documents_{keeps} WHERE list_contains(?, id)", names)
    reasons = _by_id(
        connection, f"SELECT id, reasons, kept_for FROM decisions_{drops} WHERE list_contains(?, id)", names
    )
    return tuple(
        Sample(name, texts[name][0] or "", language, n_bytes, said(*reasons[name]), texts[name][1][:SAMPLE_CHARACTERS])
        for name, language, n_bytes in chosen
    )


def _by_id(connection: duckdb.DuckDBPyConnection, sql: str, names: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    return {row[0]: row[1:] for row in connection.execute(sql, [list(names)]).fetchall()}


def as_text(found: Comparison) -> str:
    """The comparison for the terminal."""
    total = found.total
    size = sum((total.both_bytes, total.only_a_bytes, total.only_b_bytes, total.neither_bytes))
    rows: list[tuple[object, ...]] = [
        (name, n, f"{n / total.n:.1%}", n_bytes, f"{n_bytes / size:.1%}" if size else "")
        for name, n, n_bytes in (
            ("kept by both", total.both, total.both_bytes),
            ("only A", total.only_a, total.only_a_bytes),
            ("only B", total.only_b, total.only_b_bytes),
            ("neither", total.neither, total.neither_bytes),
        )
    ]
    parts = [
        f"A {found.a.name}\nB {found.b.name}\n",
        table(["decision", "documents", "share", "bytes", "share"], rows) + f"Cohen's kappa {_kappa(total.kappa)}\n",
        *(f"note: {note}\n" for note in notes(found)),
        *(_group_table(kind, groups) for kind, groups in (("language", found.languages), ("domain", found.domains))),
        *(
            _drop_table(f"what {there} drops of what {here} keeps", drops)
            for here, there, drops in (("A", "B", found.drops[0]), ("B", "A", found.drops[1]))
        ),
        *(
            _sample_lines(f"only {here}, with the reasons of {there}", samples)
            for here, there, samples in (("A", "B", found.samples[0]), ("B", "A", found.samples[1]))
        ),
    ]
    return "\n".join(parts)


def notes(found: Comparison) -> list[str]:
    """What a reader of the numbers should know."""
    said_so = list(dict.fromkeys((*found.a.notes, *found.b.notes)))
    if any(found.n_unmatched):
        only_a, only_b = found.n_unmatched
        said_so.append(
            f"compared are the {found.total.n:,} documents of both; {only_a:,} are only in A, {only_b:,} only in B"
        )
    if found.n_other_texts:
        said_so.append(f"{found.n_other_texts:,} documents have other texts in B; bytes are those of A")
    return said_so


def _group_table(kind: str, groups: Sequence[Agreement]) -> str:
    rows: list[tuple[object, ...]] = [
        (g.group, g.n, g.both, g.only_a, g.only_b, g.neither, _kappa(g.kappa)) for g in groups
    ]
    return table([kind, "documents", "both", "only A", "only B", "neither", "kappa"], rows)


def _drop_table(title: str, drops: Sequence[tuple[str, int, int]]) -> str:
    return f"{title}\n" + (table(["rule", "documents", "alone"], list(drops)) if drops else "  nothing\n")


def _sample_lines(title: str, samples: Sequence[Sample]) -> str:
    lines = [f"  {sample.id}  {sample.url}\n    {sample.reasons}\n" for sample in samples[:N_SAMPLES]]
    return f"{title}\n" + ("".join(lines) or "  none\n")


def _kappa(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def as_html(found: Comparison) -> str:
    """The comparison as one page that opens offline: no script, nothing loaded, all text escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    here = Path(__file__).parent / "report"
    environment = Environment(loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined)
    environment.filters.update(number=_number, kappa=_kappa)
    return environment.get_template("compare.html").render(
        found=found,
        notes=notes(found),
        style=Markup((here / "style.css").read_text(encoding="utf-8")),
        recipes=[json.dumps(one.recipe, indent=2, ensure_ascii=False) for one in (found.a, found.b)],
        per_token=[bytes_per_token(one.run) for one in (found.a, found.b)],
    )


def _number(value: float) -> str:
    """Thousands apart."""
    return f"{value:,.0f}".replace(",", "\u202f")

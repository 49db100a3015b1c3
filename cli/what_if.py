"""What if a limit were another: the documents and tokens that stay along the threshold of one signal.

Counted among the documents that every other condition lets through, so that a row says what moving this one limit
comes to. Duplicates are chosen later, among what stays, and are not taken off here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import orjson

from datassay.cli.query import table
from datassay.cli.redecide import QUALITY_RULE, bytes_per_token, judges, run_recipe_of
from datassay.cli.run_folder import RunFolder
from datassay.corpus.errors import RecipeError
from datassay.filters.decide import column_names, expression_nodes, rule_columns
from datassay.filters.rules import Rule

if TYPE_CHECKING:
    import duckdb

N_VALUES = 40
"""Values of a signal without order that the table shows; CSV has them all."""
LOWER, UPPER = (">=", ">"), ("<=", "<")
_OPERATORS = {
    "COMPARE_GREATERTHANOREQUALTO": ">=",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_LESSTHANOREQUALTO": "<=",
    "COMPARE_LESSTHAN": "<",
}
_MIRRORED = {">=": "<=", ">": "<", "<=": ">=", "<": ">"}

AMONG = ("passing", "all")
"""The documents to count: those that every other condition lets through, or all that may be trained on."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that a rule sets to the signal: `signal operator value` holds for what stays."""

    rule: str
    operator: str
    value: float


@dataclass(frozen=True, slots=True)
class Split:
    """The rules, seen from one signal."""

    limits: tuple[Limit, ...]
    own: tuple[str, ...]
    """Other SQL conditions on this signal alone, such as a list of values."""
    others: tuple[str, ...]
    """SQL conditions of the same rules that mention other signals, and hold as they are."""
    rules: tuple[str, ...]
    """Names of the rules that mention the signal; the other rules' verdicts are known."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A table of what stays, and a sentence about it."""

    names: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    about: str

    def as_text(self) -> str:
        more = len(self.rows) - N_VALUES if self.names[0] == "value" else 0
        shown = self.rows[:N_VALUES] if more > 0 else self.rows
        return (
            self.about
            + "\n\n"
            + table(list(self.names), list(shown))
            + (f"and {more} more values\n" if more > 0 else "")
        )

    def as_csv(self) -> str:
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([self.names, *self.rows])
        return out.getvalue()


def kept_along(run: RunFolder, signal: str, *, steps: int = 20, among: str = "passing") -> Answer:
    """Documents and tokens that stay along the threshold of a signal, at `steps` quantiles and at the present limits.

    A signal that a rule limits on one side is followed on that side, any other on both. For a signal that is no number,
    what there is of each value. Raises RecipeError for an unknown signal, with the nearest name.
    """
    if among not in AMONG:
        raise RecipeError(f"--among {among}: there are {', '.join(AMONG)}")
    run.files("decide", "decisions")  # or an error that says that the run has not come so far
    connection = run.connect()
    kinds = dict(connection.execute("SELECT column_name, column_type FROM (DESCRIBE signals)").fetchall())
    kinds.pop("id")
    if signal not in kinds:
        near = get_close_matches(signal, kinds, n=1, cutoff=0)
        raise RecipeError(
            f"{run.path}: no signal {signal!r}; did you mean {near[0]!r}? All of them: "
            f"datassay query {run.path} 'DESCRIBE signals'"
        )
    recipe = run_recipe_of(run)
    split = split_rules(connection, judges(recipe).rules, signal)
    if signal == QUALITY_RULE and recipe.quality is not None and recipe.quality.keep is not None:
        limits = (*split.limits, *_cut_off(connection))
        split = replace(split, limits=limits, rules=(*split.rules, QUALITY_RULE))
    has_order = kinds[signal] not in ("VARCHAR", "BOOLEAN")
    _create_base(connection, signal, split, conditions=(*split.own * has_order, *split.others), among=among)
    tokens = bytes_per_token(run)
    if not has_order:
        return _by_value(connection, signal, split, tokens, among)
    return _by_threshold(connection, signal, split, steps, tokens, among)


def split_rules(connection: duckdb.DuckDBPyConnection, all_rules: Sequence[Rule], signal: str) -> Split:
    """What the rules that mention a signal say of it, and what else they say.

    A limit is one of several conditions joined by AND, or alone, that compares the signal with a constant; a condition
    that joins the signal with something else, by OR for instance, holds as it is. So does a rule that judges some
    documents alone.
    """
    limits: list[Limit] = []
    own: list[str] = []
    others: list[str] = []
    names = []
    for rule, columns in zip(all_rules, rule_columns(connection, all_rules), strict=True):
        if signal not in columns:
            continue
        names.append(rule.name)
        if rule.only:
            others.append(f"({rule.only}\n) IS NOT TRUE OR ({rule.keep}\n)")
            continue
        for condition in _conditions(connection, rule.keep):
            found = _limits(connection, rule.name, condition, signal)
            limits += found
            if not found:
                is_own = column_names(list(expression_nodes(condition))) == [signal]
                (own if is_own else others).append(_as_sql(connection, condition))
    return Split(tuple(limits), tuple(own), tuple(others), tuple(names))


def _conditions(connection: duckdb.DuckDBPyConnection, keep: str) -> list[Mapping[str, Any]]:
    """The syntax trees of the conditions that a rule joins by AND."""
    ((json,),) = connection.execute("SELECT json_serialize_sql(?)", [f"SELECT ({keep}\n)"]).fetchall()
    todo: list[Mapping[str, Any]] = list(orjson.loads(json)["statements"][0]["node"]["select_list"])
    found = []
    while todo:
        tree = todo.pop(0)
        if tree["type"] == "CONJUNCTION_AND":
            todo = [*tree["children"], *todo]
        else:
            found.append(tree)
    return found


def _limits(connection: duckdb.DuckDBPyConnection, rule: str, condition: Mapping[str, Any], signal: str) -> list[Limit]:
    """The limits that a condition sets to a signal; none if it says anything else."""
    if condition["type"] == "COMPARE_BETWEEN" and _is_signal(condition["input"], signal):
        parts = [(">=", condition["lower"]), ("<=", condition["upper"])]
    elif condition["type"] in _OPERATORS and _is_signal(condition["left"], signal):
        parts = [(_OPERATORS[condition["type"]], condition["right"])]
    elif condition["type"] in _OPERATORS and _is_signal(condition["right"], signal):
        parts = [(_MIRRORED[_OPERATORS[condition["type"]]], condition["left"])]
    else:
        return []
    if any(column_names(list(expression_nodes(tree))) for _, tree in parts):
        return []  # compared with another signal
    values = [connection.execute(f"SELECT ({_as_sql(connection, tree)})::DOUBLE").fetchall()[0][0] for _, tree in parts]
    return [Limit(rule, operator, value) for (operator, _), value in zip(parts, values, strict=True)]


def _is_signal(tree: Mapping[str, Any], signal: str) -> bool:
    return bool(tree["type"] == "COLUMN_REF" and tree["column_names"] == [signal])


def _as_sql(connection: duckdb.DuckDBPyConnection, tree: Mapping[str, Any]) -> str:
    """A syntax tree as an SQL expression."""
    ((json,),) = connection.execute("SELECT json_serialize_sql('SELECT 1')").fetchall()
    statement = orjson.loads(json)
    statement["statements"][0]["node"]["select_list"] = [tree]
    ((sql,),) = connection.execute(
        "SELECT json_deserialize_sql(?::JSON)", [orjson.dumps(statement).decode()]
    ).fetchall()
    return str(sql).removeprefix("SELECT ")


def _cut_off(connection: duckdb.DuckDBPyConnection) -> list[Limit]:
    """What the quality cut-off came to: the lowest score that it left."""
    ((score,),) = connection.execute(
        f"""
        SELECT min(quality) FROM quality JOIN decisions USING (id) JOIN split USING (id)
        WHERE role = 'train' AND NOT list_contains([r.rule FOR r IN reasons], '{QUALITY_RULE}')
        """
    ).fetchall()
    return [] if score is None else [Limit(QUALITY_RULE, ">=", score)]


def _create_base(
    connection: duckdb.DuckDBPyConnection, signal: str, split: Split, *, conditions: Sequence[str], among: str
) -> None:
    """Table `base`: the signal and the bytes of the training documents that all else lets through."""
    names = ", ".join(_quoted(name) for name in split.rules) or "''"
    needed = [f"len([r.rule FOR r IN reasons IF r.rule NOT IN ({names})]) = 0"]
    needed += [f"({condition}\n)" for condition in conditions]
    passes = " AND ".join(needed) if among == "passing" else "true"
    connection.execute(
        f"""
        CREATE TEMP TABLE base AS
        SELECT "{signal}" AS value, n_bytes FROM signals JOIN decisions USING (id) JOIN split USING (id)
        WHERE role = 'train' AND ({passes})
        """
    )


def _by_threshold(
    connection: duckdb.DuckDBPyConnection, signal: str, split: Split, steps: int, per_token: float, among: str
) -> Answer:
    sides = _sides(split.limits)
    shares = [i / steps for i in range(steps + 1)]
    ((found, n, n_unknown),) = connection.execute(
        "SELECT quantile_disc(value::DOUBLE, ?::DOUBLE[]) FILTER (isfinite(value::DOUBLE)), count(*), "
        "count(*) FILTER (value IS NULL) FROM base",
        [shares],
    ).fetchall()
    thresholds = sorted({*(found or []), *(limit.value for limit in split.limits)})
    rows = [
        (
            at,
            *(count for side in sides for count in _kept(connection, split.limits, side, at, per_token, among)),
            "; ".join(
                f"{limit.rule}: {limit.operator} {limit.value:.6g}" for limit in split.limits if limit.value == at
            ),
        )
        for at in thresholds
    ]
    names = [name for side in sides for name in (f"{side} keeps", "tokens")]
    about = f"{signal}: {n:,} {_of_what(among)}" + (f", {n_unknown:,} without a value" if n_unknown else "")
    return Answer(("threshold", *names, "limit now"), tuple(rows), about)


def _sides(limits: Sequence[Limit]) -> list[str]:
    """The comparisons to follow: those that rules make, or both ways."""
    made = [limit.operator for limit in limits]
    lower = next((operator for operator in made if operator in LOWER), None)
    upper = next((operator for operator in made if operator in UPPER), None)
    return [side for side in (lower, upper) if side is not None] or [">=", "<="]


def _kept(
    connection: duckdb.DuckDBPyConnection, limits: Sequence[Limit], side: str, at: float, per_token: float, among: str
) -> tuple[int, int]:
    """Documents and tokens that stay with this limit on one side, and the present limits on the other."""
    opposite = UPPER if side in LOWER else LOWER
    others = [limit for limit in limits if limit.operator in opposite and among == "passing"]
    condition = " AND ".join([f"value {side} ?", *(f"value {limit.operator} ?" for limit in others)])
    ((n, n_bytes),) = connection.execute(
        f"SELECT count(*), coalesce(sum(n_bytes), 0) FROM base WHERE {condition}",
        [at, *(limit.value for limit in others)],
    ).fetchall()
    return n, round(int(n_bytes) / per_token)


def _by_value(connection: duckdb.DuckDBPyConnection, signal: str, split: Split, per_token: float, among: str) -> Answer:
    """Documents and tokens of each value, and whether the rules keep it."""
    mine = " AND ".join(f"({condition}\n)" for condition in split.own) or "true"
    rows = connection.execute(
        f"""
        SELECT value, n, size, ({mine}) IS TRUE
        FROM (SELECT value, value AS "{signal}", count(*) AS n, sum(n_bytes) AS size FROM base GROUP BY 1)
        ORDER BY 2 DESC, 1 NULLS LAST
        """
    ).fetchall()
    about = f"{signal}: {sum(row[1] for row in rows):,} {_of_what(among)}"
    counted = [
        ("null" if value is None else str(value), n, round(int(size) / per_token), "kept" if is_kept else "dropped")
        for value, n, size, is_kept in rows
    ]
    return Answer(("value", "documents", "tokens", "now"), tuple(counted), about)


def _of_what(among: str) -> str:
    return "training documents" if among == "all" else "training documents pass every other condition"


def _quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"

"""Decide: rules and cut-offs over signals. Every rule that fails is listed, with the value and the limit.

Rules are SQL conditions, which DuckDB evaluates; a shard's signals come from several datasets whose rows are aligned,
so they are put side by side by position, a few thousand rows at a time, and nothing is joined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import RecipeError, StoreError
from datassay.corpus.store import Outputs, read_batches
from datassay.filters.rules import Rule

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RULES_VERSION = 3

REASON = pa.struct(
    [
        pa.field("rule", pa.string()),
        pa.field("value", pa.float64()),  # of the first number that the rule mentions; null if it has none
        pa.field("limit", pa.string()),  # the condition as the recipe says it
    ]
)
VERDICT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("keep", pa.bool_(), nullable=False),  # exactly if there are no reasons
        pa.field("reasons", pa.list_(REASON), nullable=False),  # in the order of the rules
    ]
)
"""Columns of every verdict; those that later stages carry along follow."""
_NO_REASONS = pa.nulls(0, REASON)  # pa.array of a list would import pandas

MEMORY = "1GB"
"""What DuckDB may hold for the batch at hand; it needs a tenth of it."""
BATCH_ROWS = 65_536


class RulesSettings(BaseModel, frozen=True, extra="forbid"):
    """The rules of one variant, and the columns that later stages need."""

    rules: tuple[Rule, ...]
    """A document is kept if all of them hold."""
    carry: tuple[str, ...] = ()
    """Columns of the inputs that go along with each verdict, for cut-offs and for choosing between duplicates."""


def connect(memory: str, threads: int, temp: Path) -> DuckDBPyConnection:
    """A DuckDB database in memory that keeps to these limits, spills to `temp` and loads nothing from the network."""
    import duckdb

    return duckdb.connect(
        config={
            "memory_limit": memory,
            "threads": threads,
            "temp_directory": str(temp),
            "autoinstall_known_extensions": False,
            "preserve_insertion_order": True,
        }
    )


def check_rules(rules: Sequence[Rule], signals: pa.Schema) -> None:
    """Raise RecipeError for the first rule that is not a condition over these signals which depends on nothing else.

    Nothing else: no other table, no other document (aggregates), no clock and no chance. Two rules of one name are
    refused too, since a reason names its rule.
    """
    for name, count in Counter(rule.name for rule in rules).items():
        if count > 1:
            limits = " and ".join(repr(rule.keep) for rule in rules if rule.name == name)
            raise RecipeError(f"rule {name!r} is there {count} times: {limits}; leave one out (without) or rename it")
    with TemporaryDirectory() as temp, connect(MEMORY, 1, Path(temp)) as con:
        con.register("signals", signals.empty_table())
        for rule in rules:
            _check_condition(con, f"rule {rule.name!r}: keep = {rule.keep!r}", rule.keep, signals)
            if rule.only:
                _check_condition(con, f"rule {rule.name!r}: only = {rule.only!r}", rule.only, signals)


def _check_condition(con: DuckDBPyConnection, where: str, condition: str, signals: pa.Schema) -> None:
    """Raise RecipeError, which begins with `where`, if it is no condition over the signals of one document."""
    import duckdb

    try:
        trees = _expressions(con, condition)
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from error
    if len(trees) != 1:
        raise RecipeError(f"{where}: give one condition; join several by AND")
    nodes = list(expression_nodes(trees))
    for name in column_names(nodes):
        if name not in signals.names:
            near = get_close_matches(name, signals.names, n=1, cutoff=0)
            raise RecipeError(f"{where}: there is no signal {name!r}; did you mean {near[0]!r}?")
    if any(node["class"] == "SUBQUERY" for node in nodes):
        raise RecipeError(f"{where}: a rule judges one document by its signals alone, without SELECT")
    for name in {node["function_name"] for node in nodes if node["class"] == "FUNCTION"}:
        if _is_volatile(con, name):
            raise RecipeError(f"{where}: {name}() is not the same in every run; use signals and constants")
    try:
        con.execute(f"DESCRIBE SELECT 1 FROM signals WHERE ({condition}\n)").fetchall()  # no aggregates, no windows
        ((_, kind, *_),) = con.execute(f"DESCRIBE SELECT ({condition}\n) AS keep FROM signals").fetchall()
    except duckdb.Error as error:
        raise RecipeError(f"{where}: {str(error).splitlines()[0]}") from error
    if kind != "BOOLEAN":
        raise RecipeError(f"{where}: this is a {kind}, not a condition; right would be something like {condition} > 0")


def _is_volatile(con: DuckDBPyConnection, function: str) -> bool:
    """Whether a function depends on more than its arguments."""
    found = con.execute("SELECT stability FROM duckdb_functions() WHERE function_name = ?", [function]).fetchall()
    return any(stability not in ("CONSISTENT", None) for (stability,) in found)


def _expressions(con: DuckDBPyConnection, sql: str) -> list[Any]:
    """The syntax trees of a list of SQL expressions. Raises RecipeError if it is anything else."""
    ((json,),) = con.execute("SELECT json_serialize_sql(?)", [f"SELECT {sql}"]).fetchall()
    tree = orjson.loads(json)
    if tree["error"]:
        raise RecipeError(tree["error_message"])
    nodes = [statement["node"] for statement in tree["statements"]]
    if len(nodes) > 1 or nodes[0]["from_table"]["type"] != "EMPTY":
        raise RecipeError("not an SQL expression")
    return list(nodes[0]["select_list"])


def expression_nodes(tree: Any) -> Iterator[Mapping[str, Any]]:
    """All expressions of a syntax tree, in the order in which they are written."""
    if isinstance(tree, dict):
        if "class" in tree:
            yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for part in tree:
            yield from expression_nodes(part)


def column_names(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns that these expressions mention, each once, in order."""
    return list(dict.fromkeys(".".join(node["column_names"]) for node in nodes if node["class"] == "COLUMN_REF"))


def rule_columns(con: DuckDBPyConnection, rules: Sequence[Rule]) -> list[list[str]]:
    """For each of some checked rules, the columns that its conditions mention, each once, those of `keep` first."""
    conditions = [f"({rule.keep}\n), ({rule.only or True}\n)" for rule in rules]
    trees = _expressions(con, ", ".join(conditions)) if rules else []
    return [column_names(list(expression_nodes(list(pair)))) for pair in zip(trees[::2], trees[1::2], strict=True)]


def failed_rules(con: DuckDBPyConnection, rules: Sequence[Rule], signals: pa.Table) -> pa.ListArray:
    """For each row of `signals`, in order, every rule that it fails: a list of REASON, in the order of the rules.

    A rule fails where it judges the document and its condition is false or null. The value is that of the first number
    (or boolean, as 0 or 1) that the condition mentions; the limit is the condition itself.
    """
    rows = [np.flatnonzero(fails) for fails in failures(con, rules, signals)]
    entries = [_NO_REASONS]
    for rule, names, failed in zip(rules, rule_columns(con, rules), rows, strict=True):
        number = next((name for name in names if _is_number(signals.schema.field(name).type)), None)
        values = np.full(len(failed), np.nan) if number is None else _floats(signals[number])[failed]
        entries.append(_same_reason(rule.name, values, rule.keep))
    return _lists(signals.num_rows, np.concatenate([*rows, np.empty(0, np.int64)]), pa.concat_arrays(entries))


def failures(con: DuckDBPyConnection, rules: Sequence[Rule], signals: pa.Table) -> list[NDArray[np.bool_]]:
    """For each rule, whether each row fails it."""
    if not rules:
        return []
    con.register("signals", signals.append_column("row number", pa.array(np.arange(signals.num_rows))))
    conditions = ", ".join(f"{_fails_if(rule)} AS fails_{j}" for j, rule in enumerate(rules))
    found = con.execute(f'SELECT {conditions} FROM signals ORDER BY "row number"').fetchnumpy()
    con.unregister("signals")
    return [np.asarray(found[f"fails_{j}"], bool) for j in range(len(rules))]


def _fails_if(rule: Rule) -> str:
    """SQL that is true where a rule fails, and else false."""
    fails = f"({rule.keep}\n) IS NOT TRUE"
    return f"(({rule.only}\n) IS TRUE AND {fails})" if rule.only else fails


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _same_reason(rule: str, values: NDArray[np.float64], limit: str) -> pa.StructArray:
    """One REASON for each value; NaN is null."""
    n = len(values)
    columns = [pa.repeat(rule, n), pa.array(values, pa.float64(), from_pandas=True), pa.repeat(limit, n)]
    return pa.StructArray.from_arrays(columns, fields=list(REASON))


def _lists(n_documents: int, documents: NDArray[np.int64], entries: pa.StructArray) -> pa.ListArray:
    """The entries as one list for each document, given the document of each entry, in which their order stays."""
    offsets = np.concatenate([[0], np.cumsum(np.bincount(documents, minlength=n_documents))]).astype(np.int32)
    ordered = entries.take(pa.array(np.argsort(documents, kind="stable")))
    return pa.ListArray.from_arrays(pa.array(offsets), ordered, type=pa.list_(REASON))


def aligned_tables(inputs: Inputs, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Columns `id` and `columns` of one shard, from whichever of its datasets holds each, BATCH_ROWS rows at a time.

    Raises RecipeError if no dataset or more than one holds a column, StoreError if ids differ between datasets.
    """
    schemas = {name: pq.read_schema(paths[0]) for name, paths in inputs.files.items()}
    chosen: dict[str, list[str]] = {}
    for column in dict.fromkeys(columns):
        holders = [name for name, schema in schemas.items() if column in schema.names]
        if column != "id" and len(holders) != 1:
            raise RecipeError(f"column {column!r} is in {' and '.join(holders) or 'none'} of {', '.join(schemas)}")
        if column != "id":
            chosen.setdefault(holders[0], []).append(column)
    chosen = chosen or {next(iter(schemas)): []}
    readers = [_tables(inputs.all(name), ["id", *names]) for name, names in chosen.items()]
    for tables in zip_longest(*readers):
        yield _side_by_side(dict(zip(chosen, tables, strict=True)))


def _tables(paths: Sequence[Path], columns: Sequence[str]) -> Iterator[pa.Table]:
    """The rows of some shards as tables of exactly BATCH_ROWS rows, but for the last."""
    waiting: pa.Table | None = None
    for batch in read_batches(paths, columns=columns, n_rows=BATCH_ROWS):
        table = pa.Table.from_batches([batch])
        waiting = table if waiting is None else pa.concat_tables([waiting, table])
        while waiting.num_rows >= BATCH_ROWS:
            yield waiting.slice(0, BATCH_ROWS)
            waiting = waiting.slice(BATCH_ROWS)
    if waiting is not None and waiting.num_rows:
        yield waiting


def _side_by_side(tables: Mapping[str, pa.Table | None]) -> pa.Table:
    """The columns of tables with the same ids in one table. Raises StoreError if the ids are not the same."""
    (first_name, first), *others = tables.items()
    for name, table in others:
        if first is None or table is None or not first["id"].equals(table["id"]):
            raise StoreError(f"{first_name} and {name} of one shard have other ids or another order; run again")
        for field in table.schema:
            if field.name != "id":
                first = first.append_column(field, table[field.name])
    return first


def apply_rules(inputs: Inputs, settings: RulesSettings, out: Outputs) -> None:
    """Judge each document of one shard by all rules; reads any number of datasets with aligned rows, each with `id`.

    Writes dataset `verdicts`: VERDICT, then the columns to carry. Counts `documents`, `kept`, and for each rule the
    documents that fail it (`fails NAME`) and that fail it alone (`only NAME`).
    """
    schemas = [pq.read_schema(paths[0]) for paths in inputs.files.values()]
    fields = {field.name: field for schema in schemas for field in schema}
    schema = pa.schema([*VERDICT, *(fields[name] for name in settings.carry if name in fields)])
    with TemporaryDirectory() as temp, connect(MEMORY, 1, Path(temp)) as con, out.parquet("verdicts", schema) as shard:
        mentioned = [name for names in rule_columns(con, settings.rules) for name in names]
        for table in aligned_tables(inputs, [*mentioned, *settings.carry]):
            reasons = failed_rules(con, settings.rules, table)
            keep = pc.equal(reasons.value_lengths(), 0)
            columns = [table["id"].combine_chunks(), keep, reasons, *(table[name] for name in settings.carry)]
            for batch in pa.Table.from_arrays(columns, schema=schema).to_batches():
                shard.write(batch)
            _count(out, reasons)


def _count(out: Outputs, reasons: pa.ListArray) -> None:
    """Count documents, those kept, and those that each rule drops, and drops alone."""
    lengths = reasons.value_lengths().to_numpy()
    names = reasons.values.field("rule")
    is_only = np.repeat(lengths, lengths) == 1
    out.counts["documents"] += len(lengths)
    out.counts["kept"] += int((lengths == 0).sum())
    for prefix, some in (("fails", names), ("only", names.filter(pa.array(is_only)))):
        for entry in some.value_counts():
            out.counts[f"{prefix} {entry['values']}"] += entry["counts"].as_py()


def _floats(values: pa.Array | pa.ChunkedArray) -> NDArray[np.float64]:
    """Numbers or booleans as float64; null is NaN."""
    found: NDArray[np.float64] = np.asarray(values.cast(pa.float64()).fill_null(np.nan))
    return found

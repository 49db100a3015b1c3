"""A question to a run in SQL."""

from __future__ import annotations

import csv
import io

from datassay.cli.run_folder import RunFolder
from datassay.corpus.errors import RecipeError

MAX_WIDTH = 60
"""Characters of a cell of the table; CSV has them all."""


def answer(run: RunFolder, sql: str, *, as_csv: bool = False) -> str:
    """The rows that `sql` selects, as an aligned table or as CSV. Raises RecipeError with DuckDB's message."""
    import duckdb

    connection = run.connect()
    try:
        result = connection.execute(sql)
        if result is None:  # DuckDB's answer to nothing, or to comments alone
            raise RecipeError("query: no statement; such as SELECT count(*) FROM records")
        names = [column[0] for column in result.description or []]
        rows = result.fetchall()
    except duckdb.Error as error:
        views = ", ".join(
            name for (name,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        )
        raise RecipeError(f"{error}\nthe views of this run: {views}") from error
    if as_csv:
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([names, *rows])
        return out.getvalue()
    return table(names, rows)


def table(names: list[str], rows: list[tuple[object, ...]]) -> str:
    """Rows as aligned text: numbers to the right, long cells cut."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(name), *(len(row[i]) for row in cells)) if cells else len(name) for i, name in enumerate(names)]
    numeric = [
        all(isinstance(row[i], int | float) or row[i] is None for row in rows) and bool(rows) for i in range(len(names))
    ]
    lines = [names, ["-" * width for width in widths], *cells]
    return "".join(
        "  ".join(
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(line, widths, numeric, strict=True)
        ).rstrip()
        + "\n"
        for line in lines
    )


def _cell(value: object) -> str:
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= MAX_WIDTH else text[: MAX_WIDTH - 1] + "…"

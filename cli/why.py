"""A document's whole ledger: where it came from, what was measured, which rules failed, who its duplicates are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from datassay.cli.clusters import cluster_of, dropped_said, heading, members_of, place
from datassay.cli.run_folder import RunFolder
from datassay.corpus.edits import edited
from datassay.corpus.errors import InputError

if TYPE_CHECKING:
    import duckdb

TEXT_CHARACTERS = 600
"""How much of a text is shown."""
MAX_DUPLICATES = 10
MAX_EDITS = 20
EDIT_CHARACTERS = 60
"""How much of what an edit takes out is shown."""
KINDS = {"exact": "the same text", "payload": "the same HTML", "url": "the same URL", "near": "a near copy"}
"""What makes a document a copy, in words."""
MAX_DOCUMENTS = 10
"""Ledgers that are shown where a URL was captured more often; the others are named by id."""


def explain(run: RunFolder, name: str) -> str:
    """The ledger of the document with this id, source id or URL, as text. Raises InputError if there is none."""
    run.files("clean", "clean")  # or an error that says that the run has not come so far
    connection = run.connect()
    documents = _rows(
        connection, "SELECT * FROM documents WHERE id = $1 OR source_id = $1 OR url = $1 ORDER BY id", name
    )
    if documents:
        ledgers = ["\n".join(_ledger(run, connection, document)) for document in documents[:MAX_DOCUMENTS]]
        others = [document["id"] for document in documents[MAX_DOCUMENTS:]]
        if others:
            ledgers.append("\n".join([f"and {len(others)} more documents of this URL", *others]))
        return "\n\n".join(ledgers)
    records = _rows(connection, "SELECT * FROM records WHERE source_id = $1 OR url = $1", name)
    if records:
        return "\n\n".join("\n".join(_no_document(record)) for record in records)
    raise InputError(f"{run.path}: no document or record with the id, source id or URL {name!r}")


def _no_document(record: Mapping[str, Any]) -> Iterator[str]:
    yield f"{record['outcome']}: {record['reason']}"
    yield f"  {record['file']} at {record['offset']}" + (f", {record['length']} bytes" if record["length"] else "")
    yield f"  url        {record['url']}"
    yield f"  source id  {record['source_id']}"


def _ledger(run: RunFolder, connection: duckdb.DuckDBPyConnection, document: Mapping[str, Any]) -> Iterator[str]:
    name = document["id"]
    yield f"document {name}"
    for key in ("url", "domain", "date", "source", "source_id", "extractor", "metadata"):
        if document[key]:
            yield f"  {key:<10} {document[key]}"
    yield f"  from       {document['file']} at {document['offset']}"
    yield from _decision(run, connection, name)
    yield from _duplicates(run, connection, name)
    if run.has("text"):
        yield from _signals(connection, name)
    known = run.datasets()
    edits = _rows(connection, "SELECT * FROM edits WHERE id = $1 ORDER BY start", name) if "edits" in known else []
    yield from _edits(document["text"], edits)
    yield "text" if not edits else "text before the edits"
    yield _shown(document["text"])
    if edits:
        yield "text after the edits"
        yield _shown(edited(document["text"], [(e["start"], e["end"], e["replacement"]) for e in edits]))


def _edits(text: str, edits: list[dict[str, Any]]) -> Iterator[str]:
    """What the edits of a text take out, and put in."""
    if edits:
        yield f"edits      {len(edits)}"
    for edit in edits[:MAX_EDITS]:
        gone = " ".join(text[edit["start"] : edit["end"]].split())
        gone = gone if len(gone) <= EDIT_CHARACTERS else gone[: EDIT_CHARACTERS - 1] + "…"
        becomes = f" becomes {edit['replacement']!r}" if edit["replacement"] else ""
        yield f"  {edit['rule']:<28} at {edit['start']}: {gone!r}{becomes}"
    if len(edits) > MAX_EDITS:
        yield f"  and {len(edits) - MAX_EDITS} more"


def _shown(text: str) -> str:
    """The beginning of a text, each line behind a bar."""
    shown = text[:TEXT_CHARACTERS] + ("…" if len(text) > TEXT_CHARACTERS else "")
    return "\n".join(f"  | {line}" for line in shown.split("\n"))


def _signals(connection: duckdb.DuckDBPyConnection, name: str) -> Iterator[str]:
    yield "signals"
    for signal, value in _rows(connection, "SELECT * FROM signals WHERE id = $1", name)[0].items():
        if signal != "id":
            yield f"  {signal:<38} {value:.6g}" if isinstance(value, float) else f"  {signal:<38} {value}"


def _decision(run: RunFolder, connection: duckdb.DuckDBPyConnection, name: str) -> Iterator[str]:
    if run.has("split"):
        role = _rows(connection, "SELECT role, domain FROM split WHERE id = $1", name)[0]
        if role["role"] != "train":
            yield f"role       {role['role']}" + (f" ({role['domain']})" if role["domain"] else "")
    if not run.has("decide"):
        return
    decision = _rows(connection, "SELECT * FROM decisions WHERE id = $1", name)[0]
    yield "decision   " + ("kept" if decision["keep"] else "dropped")
    for reason in decision["reasons"]:
        value = "null" if reason["value"] is None else f"{reason['value']:.6g}"
        yield f"  {reason['rule']:<28} is {value}, keeps {reason['limit']}"
    if decision["kept_for"] is not None:
        because = f": {KINDS[decision['kind']]}" if decision.get("kind") else ""  # not in runs of older versions
        yield f"  duplicate of {decision['kept_for']}, which stays for it{because}"


def _duplicates(run: RunFolder, connection: duckdb.DuckDBPyConnection, name: str) -> Iterator[str]:
    if "pairs" not in run.datasets():
        return
    if run.has("decide"):
        yield from _cluster(run, connection, name)
    pairs = _rows(
        connection,
        """
        SELECT other, max(similarity) AS similarity, string_agg(kind, ', ' ORDER BY kind) AS kinds,
               any_value(url) AS url
        FROM (SELECT CASE WHEN a = $1 THEN b ELSE a END AS other, similarity, kind FROM pairs WHERE a = $1 OR b = $1)
        LEFT JOIN documents ON documents.id = other
        GROUP BY other ORDER BY similarity DESC NULLS LAST, other
        """,
        name,
    )
    if pairs:
        yield f"duplicates {len(pairs)} verified"
    shown = pairs[:MAX_DUPLICATES]
    width = max([6, *(len(pair["kinds"]) for pair in shown)])
    for pair in shown:
        similarity = "     " if pair["similarity"] is None else f"{pair['similarity']:.3f}"
        yield f"  {pair['kinds']:<{width}} {similarity}  {pair['other']}  {pair['url'] or ''}".rstrip()
    if len(pairs) > MAX_DUPLICATES:
        yield f"  and {len(pairs) - MAX_DUPLICATES} more"


def _cluster(run: RunFolder, connection: duckdb.DuckDBPyConnection, name: str) -> Iterator[str]:
    """The cluster that the document is in, if it is in one: which document stays and why, and who is in it."""
    found = cluster_of(run, connection, name)
    if found is None:
        return
    members = members_of(run, connection, found.cluster)
    (this,) = (member for member in members if member.id == name)
    yield f"cluster    {heading(found)}"
    if not this.stays:
        yield f"  the other stays for this one: {this.because}"
    for member in members[:MAX_DUPLICATES]:
        similarity = "     " if member.similarity is None else f"{member.similarity:.3f}"
        yield f"  {place(member):<6} {similarity}  {member.id}  {member.url or ''}".rstrip()
    if len(members) > MAX_DUPLICATES:
        yield f"  and {len(members) - MAX_DUPLICATES:,} more members"
    for sentence in dropped_said(found):
        yield f"  {sentence}"


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, name: str) -> list[dict[str, Any]]:
    result = connection.execute(sql, [name])
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

"""Whether the search for near duplicates does on your own documents what its S-curve promises.

Edited copies of a sample of the documents are planted, the stages of a run search them together with the sample, and
what they found is set beside what they should have found.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datassay.cli.curve import parse_minhash, with_limit
from datassay.cli.query import table
from datassay.cli.redecide import run_recipe_of
from datassay.cli.run_folder import RunFolder, open_run
from datassay.corpus.engine import InlineEngine
from datassay.corpus.errors import InputError, RecipeError
from datassay.corpus.hashing import seed_of, uniform
from datassay.corpus.inputs import find_inputs
from datassay.corpus.readers import read_records
from datassay.corpus.split import is_input
from datassay.corpus.store import read_batches
from datassay.dedup.budget import describe
from datassay.dedup.edited_copies import EDITS, MAX_CHARS, MIN_SHINGLES, Copy, can_be_copied, edited_copies
from datassay.dedup.self_test import (
    TEXT,
    Edge,
    FalseEdge,
    expected,
    false_edges,
    in_one_cluster,
    lower_tail,
    search,
)
from datassay.dedup.settings import DedupSettings, MinHash
from datassay.filters.evaluation import Interval, wilson

GATE_FAILED = 3
"""Exit status where the search found less than it should, or an edge is false."""
ALPHA = 0.001
"""Chance that a search which is as it should be fails: shared by all rows that are tested (Bonferroni)."""
N_DOCUMENTS, N_COPIES = 10_000, 2_000
MAX_CHECKED = 500
"""Edges of each kind that are computed anew at most; chosen by hash."""
N_SHOWN = 10
BIN_WIDTH = 0.05
MAX_SAMPLE_BYTES = 512 << 20
"""Text of the sample at most: of a corpus of books fewer documents are taken."""
_BATCH_ROWS = 256
_ROUNDING = 1e-9

Documents = Callable[[], Iterator[pa.RecordBatch]]
"""Reads id and text of all documents, in order, as often as it is called."""


@dataclass(frozen=True, slots=True)
class Row:
    """Planted copies of one kind, script or range of similarity, and how many of them were found."""

    group: str
    name: str
    n_planted: int
    similarity: float
    """Mean of the true similarities."""
    n_edges: int
    """Copies with an edge to their original."""
    n_found: int
    """Copies in one cluster with their original."""
    recall: Interval
    """With Wilson's interval."""
    expected: float
    """Mean of what the S-curve says at each pair's own similarity; nothing below the limit."""
    p_lower: float
    """Chance of finding so few or fewer if the S-curve holds."""
    fails: bool

    @property
    def verdict(self) -> str:
        """Where the S-curve lies: within the interval, or what was found is above or below it."""
        if self.fails:
            return "FAILS"
        if self.expected > self.recall.high + _ROUNDING:
            return "below"
        return "above" if self.expected < self.recall.low - _ROUNDING else "as the curve"


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The outcome of a self-test."""

    settings: MinHash
    n_documents: int
    n_copies: int
    rows: tuple[Row, ...]
    n_checked: int
    """Edges whose similarity was computed anew."""
    n_edges: int
    """Edges of all kinds."""
    false_edges: tuple[FalseEdge, ...]
    n_natural_exact: int
    n_natural_near: int
    """Edges between documents of the sample: nobody planted them."""
    natural: tuple[Edge, ...]
    """Some of the near ones."""

    @property
    def passes(self) -> bool:
        return not self.false_edges and not any(row.fails for row in self.rows)

    @property
    def exit_status(self) -> int:
        return 0 if self.passes else GATE_FAILED

    def as_data(self) -> dict[str, Any]:
        """All of it as plain values, for a report."""
        rows = [{**asdict(row), "recall": row.recall._asdict(), "verdict": row.verdict} for row in self.rows]
        return {**asdict(self), "settings": self.settings.model_dump(), "rows": rows, "passes": self.passes}

    def as_csv(self) -> str:
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([_COLUMNS, *(_cells(row) for row in self.rows)])
        return out.getvalue()

    def as_text(self) -> str:
        parts = [self._head()]
        for group, title in _GROUPS.items():
            rows = [_cells(row)[1:] for row in self.rows if row.group == group]
            parts.append(table([title, *_COLUMNS[2:]], rows))
        return "\n".join([*parts, self._precision(), self._natural(), self._last()])

    def _head(self) -> str:
        return (
            f"{self.n_copies:,} edited copies planted among {self.n_documents:,} documents, of those with "
            f"{MIN_SHINGLES} shingles or more and {MAX_CHARS:,} characters or fewer\n"
            f"{describe(self.settings)}, pairs below similarity {self.settings.min_jaccard:g} refused\n"
            "edges: copies joined to their original itself; found: in one cluster with it, be it by way of others; "
            "recall: found of planted, with its 95 % interval; S-curve: what it should be; "
            "chance: of finding so few if the S-curve holds\n"
        )

    def _precision(self) -> str:
        true = self.n_checked - len(self.false_edges)
        lines = [f"precision: {true:,} of {self.n_checked:,} edges are true (of {self.n_edges:,}; computed anew)"]
        lines += [
            f"  false: {false.edge.a} and {false.edge.b}, {false.edge.kind}: {false.edge.similarity:.4f} written, "
            f"{false.similarity:.4f} true"
            for false in self.false_edges[:N_SHOWN]
        ]
        return "\n".join(lines)

    def _natural(self) -> str:
        n = self.n_natural_exact + self.n_natural_near
        lines = [
            f"duplicates that nobody planted: {n:,} edges, {self.n_natural_exact:,} of the same text, "
            f"{self.n_natural_near:,} near"
        ]
        lines += [f"  {edge.similarity:.3f} {edge.a} {edge.b}" for edge in self.natural]
        return "\n".join(lines)

    def _last(self) -> str:
        if self.passes:
            return "passes: no row is significantly below the S-curve, and no edge is false\n"
        failed = [f"{row.group} {row.name}" for row in self.rows if row.fails]
        less = f"significantly fewer copies found than the S-curve says ({', '.join(failed)})" if failed else ""
        false = f"{len(self.false_edges)} false edges" if self.false_edges else ""
        return f"FAILS: {' and '.join(filter(None, (less, false)))}\n"


_GROUPS = {"all": "all", "similarity": "similarity", "edit": "edit", "script": "script"}
_COLUMNS = [
    *("group", "name", "planted", "mean similarity", "edges", "found"),
    *("recall", "low", "high", "S-curve", "chance", "verdict"),
]


def _cells(row: Row) -> tuple[object, ...]:
    figures = (*row.recall, row.expected)
    return (
        *(row.group, row.name, row.n_planted, round(row.similarity, 3), row.n_edges, row.n_found),
        *(round(figure, 3) for figure in figures),
        float(f"{row.p_lower:.2g}"),
        row.verdict,
    )


def self_test_of(
    sources: Sequence[str],
    *,
    minhash: str | None,
    text: str,
    min_jaccard: float | None = None,
    n_documents: int = N_DOCUMENTS,
    n_copies: int = N_COPIES,
    seed: int = 0,
) -> SelfTest:
    """The self-test on files of texts, or on a run if its folder is the only source.

    min_jaccard: instead of the limit of the settings
    """
    chosen = None if minhash is None else parse_minhash(minhash)
    if len(sources) == 1 and (Path(sources[0]) / "manifest.json").exists():
        run = open_run(Path(sources[0]))
        searched = chosen or run_recipe_of(run).dedup.minhash
        limited = None if searched is None else with_limit(searched, min_jaccard)
        return self_test_of_run(run, limited, n_documents=n_documents, n_copies=n_copies, seed=seed)
    settings = DedupSettings(minhash=with_limit(chosen or MinHash(), min_jaccard))
    return self_test_of_files(sources, settings, text=text, n_documents=n_documents, n_copies=n_copies, seed=seed)


def self_test_of_run(
    run: RunFolder,
    minhash: MinHash | None = None,
    *,
    n_documents: int = N_DOCUMENTS,
    n_copies: int = N_COPIES,
    seed: int = 0,
) -> SelfTest:
    """The self-test on the cleaned documents of a run's input, with the [dedup] of its recipe, or another MinHash.

    Raises RecipeError if the recipe searches no near duplicates.
    """
    settings = run_recipe_of(run).dedup
    chosen = DedupSettings(exact=settings.exact, minhash=minhash or settings.minhash)
    paths = run.files("clean", "clean")

    def documents() -> Iterator[pa.RecordBatch]:
        for batch in read_batches(paths, columns=["id", "text", "source"]):
            inputs = batch.filter(pa.array([is_input(source) for source in batch["source"].to_pylist()], pa.bool_()))
            yield inputs.select(["id", "text"]).cast(TEXT)

    return self_test(documents, chosen, n_documents=n_documents, n_copies=n_copies, seed=seed, where=str(run.path))


def self_test_of_files(
    paths: Sequence[str],
    settings: DedupSettings,
    *,
    text: str = "text",
    n_documents: int = N_DOCUMENTS,
    n_copies: int = N_COPIES,
    seed: int = 0,
) -> SelfTest:
    """The self-test on the texts of files; an id is the name of the file and the row.

    Raises InputError if there are none.
    """
    files = find_inputs(paths, paths_from=None, source="self-test", cache=None)
    fields = {} if text == "text" else {"text": text}

    def documents() -> Iterator[pa.RecordBatch]:
        rows = (
            (f"{file.name}:{record.offset}", record.text)
            for file in files
            for record in read_records(file, fields=fields)
            if record.text is not None
        )
        while batch := list(islice(rows, _BATCH_ROWS)):
            yield pa.record_batch(list(map(list, zip(*batch, strict=True))), schema=TEXT)

    where = ", ".join(paths)
    return self_test(documents, settings, n_documents=n_documents, n_copies=n_copies, seed=seed, where=where)


def self_test(
    documents: Documents, settings: DedupSettings, *, n_documents: int, n_copies: int, seed: int, where: str
) -> SelfTest:
    """Plant copies of `n_copies` documents among `n_documents`, both chosen by hash of id, and search them."""
    minhash = settings.minhash
    if minhash is None:
        raise RecipeError(f"{where}: the recipe searches no near duplicates (dedup.minhash = false); give --minhash")
    ids, texts = sample(documents, n_documents, seed)
    if not ids:
        raise InputError(f"{where}: no texts; give files with texts, or the folder of a run")
    is_long = can_be_copied(pa.array(texts, pa.large_string()), minhash)
    if not is_long.any():
        raise InputError(f"{where}: none of {len(ids):,} documents has {MIN_SHINGLES} shingles, so none can be copied")
    chosen = np.flatnonzero(is_long)[:n_copies].tolist()
    copies = list(edited_copies([ids[i] for i in chosen], [texts[i] for i in chosen], minhash, seed=seed))
    planted = _batches([copy.id for copy in copies], [copy.text for copy in copies])
    with TemporaryDirectory() as folder:
        edges = search([_batches(ids, texts), planted], settings, Path(folder), InlineEngine())
    return outcome(dict(zip(ids, texts, strict=True)), copies, edges, minhash, seed=seed)


def outcome(
    texts: Mapping[str, str], copies: Sequence[Copy], edges: Sequence[Edge], settings: MinHash, *, seed: int
) -> SelfTest:
    """What the edges found among documents (texts by id) and copies of some of them say of the search."""
    every_text = {**texts, **{copy.id: copy.text for copy in copies}}
    checked = [edge for kind in ("exact", "near") for edge in _some(edges, kind, seed)]
    natural = [edge for edge in edges if edge.a in texts and edge.b in texts]
    return SelfTest(
        settings=settings,
        n_documents=len(texts),
        n_copies=len(copies),
        rows=rows_of(copies, edges, settings),
        n_checked=len(checked),
        n_edges=len(edges),
        false_edges=tuple(false_edges(checked, every_text, settings)),
        n_natural_exact=sum(edge.kind == "exact" for edge in natural),
        n_natural_near=sum(edge.kind == "near" for edge in natural),
        natural=tuple(edge for edge in natural if edge.kind == "near")[:N_SHOWN],
    )


def sample(documents: Documents, n: int, seed: int) -> tuple[list[str], list[str]]:
    """Ids and texts of the n documents of the lowest chance, in order of chance: all if there are no more, fewer if
    their text is more than MAX_SAMPLE_BYTES."""
    hashed_by = seed_of("self-test", seed)
    chances, sizes = np.zeros(0), np.zeros(0, np.int64)
    for batch in documents():
        chances = np.concatenate([chances, uniform(hashed_by, batch["id"].to_pylist())])
        sizes = np.concatenate([sizes, np.asarray(pc.binary_length(batch["text"]))])
        order = np.argsort(chances)[:n]
        chances, sizes = chances[order], sizes[order]
    fitting = chances[np.cumsum(sizes) <= MAX_SAMPLE_BYTES]
    limit = fitting[-1] if len(fitting) else -1.0
    found: list[tuple[float, str, str]] = []
    for batch in documents():
        own = uniform(hashed_by, batch["id"].to_pylist())
        chosen = batch.filter(pa.array(own <= limit))
        found += zip(own[own <= limit].tolist(), *(chosen[name].to_pylist() for name in TEXT.names), strict=True)
    found.sort()
    return [id for _, id, _ in found], [text for _, _, text in found]


def _batches(ids: Sequence[str], texts: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(ids), _BATCH_ROWS):
        here = slice(start, start + _BATCH_ROWS)
        yield pa.record_batch([list(ids[here]), list(texts[here])], schema=TEXT)


def _some(edges: Sequence[Edge], kind: str, seed: int) -> list[Edge]:
    """At most MAX_CHECKED edges of a kind, by hash."""
    chosen = [edge for edge in edges if edge.kind == kind]
    chances = uniform(seed_of("checked edges", seed), [f"{edge.a}\0{edge.b}" for edge in chosen])
    return [chosen[i] for i in np.sort(np.argsort(chances)[:MAX_CHECKED])]


def rows_of(copies: Sequence[Copy], edges: Sequence[Edge], settings: MinHash) -> tuple[Row, ...]:
    """The table: all copies, each range of similarity, and each kind and script of those that should be found."""
    joined = {(edge.a, edge.b) for edge in edges}
    pairs = [(min(copy.id, copy.original), max(copy.id, copy.original)) for copy in copies]
    is_edge = np.array([pair in joined for pair in pairs])
    is_found = in_one_cluster(pairs, edges)
    similarity = np.array([copy.similarity for copy in copies])
    curve = expected(similarity.tolist(), settings)
    over = similarity >= settings.min_jaccard
    groups: list[tuple[str, str, Iterable[bool]]] = [("all", f"from {settings.min_jaccard:g} on", over)]
    bins = [bin_of(value) for value in similarity.tolist()]
    groups += [("similarity", name, [b == name for b in bins]) for name in sorted(set(bins))]
    groups += [("edit", kind, over & np.array([copy.kind == kind for copy in copies])) for kind in EDITS]
    scripts = [script_of(copy) for copy in copies]
    groups += [("script", name, over & np.array([s == name for s in scripts])) for name in sorted(set(scripts))]
    chosen = [(group, name, here) for group, name, members in groups if (here := np.flatnonzero(list(members))).size]
    n_tested = sum(bool(curve[here].any()) for _, _, here in chosen)
    rows = []
    for group, name, here in chosen:
        n_found = int(is_found[here].sum())
        p_lower = lower_tail(curve[here], n_found)
        rows.append(
            Row(
                group=group,
                name=name,
                n_planted=len(here),
                similarity=float(similarity[here].mean()),
                n_edges=int(is_edge[here].sum()),
                n_found=n_found,
                recall=wilson(n_found, len(here)),
                expected=float(curve[here].mean()),
                p_lower=p_lower,
                fails=p_lower < ALPHA / max(n_tested, 1),
            )
        )
    return tuple(rows)


def bin_of(similarity: float) -> str:
    """The name of the range of similarity that a pair is in: .05 wide, the upper end belonging to the next."""
    if similarity == 1:
        return "1"
    low = int(round(similarity / BIN_WIDTH, 9)) * BIN_WIDTH
    return f"{low:.2f}–{low + BIN_WIDTH:.2f}"


def script_of(copy: Copy) -> str:
    """A script, and whether it is written with spaces between words."""
    return f"{copy.script or 'none'}, {'without' if copy.is_unspaced else 'with'} spaces"

"""From edges to clusters, and which document of a cluster stays.

Only documents that pass every other rule are clustered: a cluster whose best document fails a rule keeps its next best,
and two groups that only a failing document is near to stay two. Copies of one text, payload or URL belong together even
where the copy that their edges lead to fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from datassay.corpus.compiled import compiled
from datassay.dedup.settings import KeepCriterion

CLUSTER = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("cluster", pa.string(), nullable=False),  # the smallest id of its documents
        pa.field("kept_for", pa.string()),  # the document that stays in place of this one; null for the one that stays
        pa.field("kind", pa.string()),  # what makes it a copy of that, see `joining_kinds`; null for the one that stays
    ]
)
KINDS = ("exact", "payload", "url", "near")
"""What edges are made of, the surest first."""


def clusters(a: NDArray[np.int64], b: NDArray[np.int64], n_nodes: int) -> NDArray[np.int64]:
    """The smallest node of each node's connected component, (n_nodes,).

    a, b: (edges,), nodes from 0; a node without edges is a component of its own
    """
    roots: NDArray[np.int64] = _union(np.asarray(a, np.int64), np.asarray(b, np.int64), n_nodes)
    return roots


@compiled
def _union(a: NDArray[np.int64], b: NDArray[np.int64], n_nodes: int) -> NDArray[np.int64]:
    """Union-find, linking to the smaller root, so that the order of edges does not matter; paths are halved."""
    parent = np.arange(n_nodes)
    for edge in range(len(a)):
        x, y = _root(parent, a[edge]), _root(parent, b[edge])
        parent[max(x, y)] = min(x, y)
    for node in range(n_nodes):
        parent[node] = _root(parent, node)
    return parent


@compiled
def _root(parent: NDArray[np.int64], node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


def preference(
    documents: pa.Table, keep_by: Sequence[KeepCriterion], source_priority: Sequence[str] = ()
) -> NDArray[np.int64]:
    """Place of each document, 0 for the one to prefer to all others, (documents,).

    documents: id, and of what `keep_by` names: quality (higher wins), n_chars (longer), date (older, compared as ISO
               8601 text), source (by its place among the patterns of source_priority). Null and NaN lose. With a
               column `is_old`, documents of an index come before all others.
    """
    columns = {"id": documents["id"]}
    keys = []
    if "is_old" in documents.column_names:
        columns["is_old"] = documents["is_old"].cast(pa.int8())
        keys.append(("is_old", "descending"))
    for criterion in keep_by:
        if criterion == "quality":
            known = documents["quality"].cast(pa.float64())  # a run without a classifier has nulls of no type
            columns[criterion] = pc.fill_null(known, float("nan"))  # one kind of unknown, sorted last
        elif criterion == "source":
            columns[criterion] = _source_places(documents["source"], source_priority)
        else:
            columns[criterion] = documents["n_chars" if criterion == "length" else "date"]
        keys.append((criterion, "descending" if criterion in ("quality", "length") else "ascending"))
    order = pc.sort_indices(pa.table(columns), [*keys, ("id", "ascending")]).to_numpy()
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def _source_places(sources: pa.ChunkedArray, source_priority: Sequence[str]) -> pa.Array:
    """The place of each document's source among the patterns, 0 for the first; behind all of them if none fits."""
    names = sources.unique()
    places = [
        next((i for i, pattern in enumerate(source_priority) if fnmatchcase(name, pattern)), len(source_priority))
        for name in names.to_pylist()
    ]
    return pa.array(places, pa.int64()).take(pc.index_in(sources, value_set=names).combine_chunks())


def choose(roots: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """The node that stays of each node's component, (nodes,).

    roots:  (nodes,), the component of each node, as `clusters` gives it
    places: (nodes,), distinct; the lowest of a component stays
    """
    order = np.argsort(places)[::-1]
    best = np.empty(len(roots), np.int64)
    best[roots[order]] = order  # the last to be written has the lowest place
    return best[roots]


def joining_kinds(
    a: NDArray[np.int64], b: NDArray[np.int64], kinds: NDArray[np.int64], kept: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The kind, as its place in KINDS, that makes each node a copy of the one that stays for it, (nodes,); -1 for none.

    kinds: (edges,), as places in KINDS
    kept:  (nodes,), the node that stays of each node's component

    It is the first kind whose edges, with those of surer kinds, lead from one to the other. So two copies of a text are
    "exact" though both have an edge only to a third, and a copy of a near copy is "near".
    """
    found = np.full(len(kept), -1)
    is_open = kept != np.arange(len(kept))
    for kind in range(len(KINDS)):
        if (kinds == kind).any():
            usable = kinds <= kind
            roots = clusters(a[usable], b[usable], len(kept))
            joined = is_open & (roots == roots[kept])
            found[joined] = kind
            is_open &= ~joined
    return found


def _edges_that_count(pairs: pa.Table, ids: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Edges between documents that pass: both ends, as places in `ids` (sorted), and the kind's place in KINDS.

    Documents of one text, payload or URL are a star around one of them, which may be a document that fails: those of
    its members that pass are joined all the same. A near pair is one of texts, so any passing document of a text takes
    the part of another.
    """
    names = pa.chunked_array([*pairs["a"].chunks, *pairs["b"].chunks], pa.string()).unique()
    a, b = (np.asarray(pc.index_in(pairs[end], value_set=names), np.int64) for end in ("a", "b"))
    kinds = np.asarray(pc.index_in(pairs["kind"], value_set=pa.array(KINDS)), np.int64)
    places = np.asarray(pc.fill_null(pc.index_in(names, value_set=ids), -1), np.int64)
    passes = np.flatnonzero(places >= 0)
    passes = passes[np.argsort(places[passes])]
    found = []
    for kind, name in enumerate(KINDS):
        here = kinds == kind
        if name == "near":
            texts = clusters(a[kinds == KINDS.index("exact")], b[kinds == KINDS.index("exact")], len(names))
            stands = np.full(len(names), -1)
            stands[texts[passes[::-1]]] = places[passes[::-1]]  # the last to be written is the first of a text
            x, y = stands[texts[a[here]]], stands[texts[b[here]]]
            both = (x >= 0) & (y >= 0) & (x != y)
            x, y = x[both], y[both]
        elif here.any():
            groups = clusters(a[here], b[here], len(names))[passes]
            order = np.argsort(groups, kind="stable")
            is_same = np.diff(groups[order]) == 0
            x, y = places[passes[order[:-1][is_same]]], places[passes[order[1:][is_same]]]
        else:
            continue
        found.append((x, y, np.full(len(x), kind)))
    columns = [np.concatenate([np.zeros(0, np.int64), *column]) for column in zip(*found, strict=True)]
    return columns[0], columns[1], columns[2]


def resolve(
    pairs: pa.Table, passing: pa.Table, *, keep_by: Sequence[KeepCriterion], source_priority: Sequence[str] = ()
) -> pa.Table:
    """Cluster the documents that pass everything else, and choose the one of each cluster that stays.

    pairs:   a, b, kind (of KINDS): verified edges; what they say of documents that are not in `passing`, see
             `_edges_that_count`
    passing: id, and the columns that `preference` needs
    returns: CLUSTER, one row for each document that has an edge, ordered by id
    """
    passing = passing.sort_by("id")
    ids = passing["id"].combine_chunks()
    ends_a, ends_b, kinds = _edges_that_count(pairs, ids)
    roots = clusters(ends_a, ends_b, len(ids))
    kept = choose(roots, preference(passing, keep_by, source_priority))
    members = np.unique(np.concatenate([ends_a, ends_b]))
    stays = kept[members] == members
    kept_for = pa.array(kept[members], mask=stays)
    kind = pa.array(joining_kinds(ends_a, ends_b, kinds, kept)[members], mask=stays)
    columns = [
        *(ids.take(pa.array(members)), ids.take(pa.array(roots[members])), ids.take(kept_for)),
        pa.array(KINDS).take(kind),
    ]
    return pa.table(columns, CLUSTER)

from __future__ import annotations

from itertools import permutations

import numpy as np
import pyarrow as pa
import pytest

from datassay.dedup.clusters import KINDS, choose, clusters, preference, resolve

ALL = ("quality", "length", "date")


def documents(**columns: object) -> pa.Table:
    """a, b, c… that differ in nothing but what is given."""
    n = max(len(values) for values in columns.values())  # type: ignore[arg-type]
    equal = {"quality": [0.5] * n, "n_chars": [10] * n, "date": ["2020"] * n}
    return pa.table({"id": list("abcdefgh"[:n])} | equal | columns)


def edges(*pairs: str, kinds: str = "nnnnnnnn") -> pa.Table:
    """Edges given as two letters each, their kinds as the first letters of theirs."""
    names = {kind[0]: kind for kind in KINDS}
    columns = {
        "a": [pair[0] for pair in pairs],
        "b": [pair[1] for pair in pairs],
        "kind": [names[letter] for _, letter in zip(pairs, kinds, strict=False)],
    }
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def test_clusters_are_named_by_their_smallest_node_whatever_the_order_of_edges() -> None:
    chain = [(4, 3), (3, 1), (5, 6), (1, 4)]
    for order in permutations(chain):
        a, b = np.array(order).T
        assert clusters(a, b, 7).tolist() == [0, 1, 2, 1, 1, 5, 5]


def test_clusters_agree_with_scipy_on_random_edges() -> None:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a, b = np.random.RandomState(0).randint(0, 3000, (2, 1400))
    labels = connected_components(coo_array((np.ones(1400), (a, b)), shape=(3000, 3000)), directed=False)[1]
    smallest = np.array([np.flatnonzero(labels == label)[0] for label in range(labels.max() + 1)])
    np.testing.assert_array_equal(clusters(a, b, 3000), smallest[labels])


def test_no_edges_leave_every_node_alone() -> None:
    nothing = np.array([], np.int64)
    assert clusters(nothing, nothing, 3).tolist() == [0, 1, 2]
    assert clusters(nothing, nothing, 0).tolist() == []


def test_choose_takes_the_lowest_place_of_each_component() -> None:
    roots, places = np.array([0, 1, 0, 1, 4]), np.array([3, 0, 2, 4, 1])
    assert choose(roots, places).tolist() == [2, 1, 2, 1, 4]


@pytest.mark.parametrize(
    ("columns", "order"),
    [
        ({"quality": [None, float("nan"), 0.1, 0.9]}, "dcab"),
        ({"quality": pa.nulls(3, pa.int32()), "n_chars": [5, 7, 6]}, "bca"),  # as SQL has what a run did not measure
        ({"n_chars": [5, 7, 6]}, "bca"),
        ({"date": ["2021-05-01", "2021", None, "2019-12-31"]}, "dbac"),
        ({"quality": [0.5, 0.5, 0.9], "n_chars": [1, 2, 0]}, "cba"),
        ({"date": ["2020"] * 3}, "abc"),
    ],
)
def test_order_of_preference(columns: dict[str, list[object]], order: str) -> None:
    places = preference(documents(**columns), ALL)
    assert "".join("abcdefgh"[i] for i in np.argsort(places)) == order


def test_criteria_apply_in_the_order_given() -> None:
    table = documents(quality=[0.1, 0.9], n_chars=[9, 1])
    assert preference(table, ("quality", "length")).tolist() == [1, 0]
    assert preference(table, ("length", "quality")).tolist() == [0, 1]
    assert preference(table, ()).tolist() == [0, 1]


def test_a_cluster_whose_best_document_fails_keeps_its_next_best() -> None:
    everything = documents(quality=[0.2, 0.9, 0.5])
    pairs = edges("ab", "bc", "ac")
    best = resolve(pairs, everything, keep_by=ALL)
    assert best.to_pydict() == {
        "id": ["a", "b", "c"],
        "cluster": ["a"] * 3,
        "kept_for": ["b", None, "b"],
        "kind": ["near", None, "near"],
    }
    without_b = everything.filter(pa.array([True, False, True]))
    next_best = resolve(pairs, without_b, keep_by=ALL)
    assert next_best["id"].to_pylist() == ["a", "c"]
    assert next_best["kept_for"].to_pylist() == ["c", None]


def test_two_groups_that_only_a_failing_document_joins_stay_two() -> None:
    passing = documents(n_chars=[1, 2, 3, 4, 5]).filter(pa.array([True, True, False, True, True]))
    found = resolve(edges("ab", "bc", "cd", "de"), passing, keep_by=ALL)
    assert found["cluster"].to_pylist() == ["a", "a", "d", "d"]
    assert found["kept_for"].to_pylist() == ["b", None, "e", None]


def test_documents_without_edges_are_in_no_cluster() -> None:
    found = resolve(edges(), documents(n_chars=[1, 2]), keep_by=ALL)
    assert found.num_rows == 0
    assert resolve(edges("ab"), documents(n_chars=[1, 2]).slice(0, 0), keep_by=ALL).num_rows == 0


def test_the_order_of_documents_and_edges_does_not_matter() -> None:
    table, pairs = documents(quality=[0.2, 0.9, 0.5, 0.5]), edges("ab", "bc", "ad")
    shuffled = table.take(pa.array([3, 1, 0, 2]))
    assert resolve(pairs.take(pa.array([2, 0, 1])), shuffled, keep_by=ALL).equals(resolve(pairs, table, keep_by=ALL))


@pytest.mark.parametrize(
    ("pairs", "kinds", "expected"),
    [
        (["ab"], "u", ["url"]),
        (["ab", "ab", "ab"], "nue", ["exact"]),  # several kinds for one pair: the surest
        (["ab", "ab"], "un", ["url"]),
        (["ab", "ab"], "pu", ["payload"]),
        (["ab", "ac"], "ee", ["exact", "exact"]),  # c is a copy of b, though both are joined to a alone
        (["ab", "bc"], "en", ["near", "near"]),  # a is the text of b; but c stays, which is near to b alone
        (["ab", "bc", "cd"], "eup", ["url", "url", "payload"]),
        (["ab", "bc", "ac"], "neu", ["url", "exact"]),  # a by its URL at once, rather than by near and exact
    ],
)
def test_what_makes_a_document_a_copy_of_the_one_that_stays(pairs: list[str], kinds: str, expected: list[str]) -> None:
    """The last document, which is the longest, stays."""
    n = max("abcd".index(pair[1]) for pair in pairs) + 1
    found = resolve(edges(*pairs, kinds=kinds), documents(n_chars=list(range(n))), keep_by=("length",))
    assert found["kept_for"].to_pylist() == ["abcd"[n - 1]] * (n - 1) + [None]
    assert found["kind"].to_pylist() == [*expected, None]


@pytest.mark.parametrize(
    ("source_priority", "order"),
    [
        (("books",), "bacd"),
        (("web-*", "books"), "acbd"),  # a pattern; within it the order of ids
        (("web-new", "books", "*"), "cbad"),
        (("Books", "none"), "abcd"),  # names are case-sensitive; what no pattern names is alike
    ],
)
def test_sources_are_preferred_in_the_order_of_their_patterns(source_priority: tuple[str, ...], order: str) -> None:
    table = documents(source=["web-old", "books", "web-new", "input"])
    places = preference(table, ("source",), source_priority)
    assert "".join("abcd"[i] for i in np.argsort(places)) == order


def test_source_decides_where_it_stands_in_keep_by() -> None:
    table = documents(quality=[0.9, 0.1], source=["web", "books"])
    for keep_by, kept in ((("source", "quality"), "b"), (("quality", "source"), "a")):
        found = resolve(edges("ab"), table, keep_by=keep_by, source_priority=("books", "web"))
        assert {kept} == set(found["kept_for"].drop_null().to_pylist())


@pytest.mark.parametrize("kind", ["e", "p", "u"])
def test_copies_stay_copies_where_the_one_that_stood_for_them_fails(kind: str) -> None:
    """Documents of one text are a star around the smallest id, which a rule may drop."""
    everything = documents(n_chars=[1, 2, 3, 4])
    found = resolve(edges("ab", "ac", "ad", kinds=kind * 3), everything.slice(1), keep_by=("length",))
    assert found["id"].to_pylist() == ["b", "c", "d"]
    assert found["kept_for"].to_pylist() == ["d", "d", None]
    assert found["kind"].to_pylist() == [next(name for name in KINDS if name[0] == kind)] * 2 + [None]


def test_a_near_pair_is_one_of_texts() -> None:
    """a, b and c are one text, of which a is near to d; a fails."""
    everything = documents(n_chars=[9, 1, 2, 3])
    found = resolve(edges("ab", "ac", "ad", kinds="een"), everything.slice(1), keep_by=("length",))
    assert found["kept_for"].to_pylist() == ["d", "d", None]
    assert found["kind"].to_pylist() == ["near", "near", None]
    without_url = resolve(edges("ab", "ac", "ad", kinds="uun"), everything.slice(1), keep_by=("length",))
    assert without_url["id"].to_pylist() == ["b", "c"]  # of one URL, but of other texts than a

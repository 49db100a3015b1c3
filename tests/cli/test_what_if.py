"""What a limit on one signal is worth: counted once more by hand, and the limits that rules set."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import duckdb
import pytest

from datassay.cli.redecide import Change, changed_recipe, decide_again, ledger_for
from datassay.cli.run import Request, run_recipe
from datassay.cli.run_folder import RunFolder, open_run
from datassay.cli.what_if import Limit, Split, kept_along, split_rules
from datassay.corpus.errors import RecipeError, StoreError
from datassay.filters.rules import Rule


@pytest.fixture(scope="module")
def run(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that has come to its tokens."""
    folder = tmp_path_factory.mktemp("decided") / "run"
    assert run_recipe(Request(tiny.parent / "decided.toml", folder, until="tokens", workers=0)) == 0
    return open_run(folder)


def documents(run: RunFolder) -> list[dict[str, Any]]:
    """Signals and failed rules of every training document."""
    result = run.connect().execute(
        """
        SELECT signals.*, [r.rule FOR r IN reasons] AS rules
        FROM signals JOIN decisions USING (id) JOIN split USING (id) WHERE role = 'train'
        """
    )
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def split_of(signal: str, *rules: tuple[str, str]) -> Split:
    return split_rules(duckdb.connect(), [Rule(name, keep, "test") for name, keep in rules], signal)


@pytest.mark.parametrize(
    ("keep", "limits"),
    [
        ("x >= 3", [(">=", 3.0)]),
        ("x < -1.5", [("<", -1.5)]),
        ("5 <= x", [(">=", 5.0)]),
        ("2 > x", [("<", 2.0)]),
        ("x BETWEEN 50 AND 100", [(">=", 50.0), ("<=", 100.0)]),
        ("x > 1e-3 AND (x <= 2 + 1 AND y = 4)", [(">", 0.001), ("<=", 3.0)]),
        ("x >= 3 OR y > 1", []),
        ("x >= y", []),
        ("x + 1 >= 3", []),
        ("NOT x >= 3", []),
        ("x = 3", []),
        ("y > 1", []),
    ],
)
def test_limits_that_a_condition_sets(keep: str, limits: list[tuple[str, float]]) -> None:
    assert split_of("x", ("r", keep)).limits == tuple(Limit("r", operator, value) for operator, value in limits)


def test_what_is_no_limit_holds_as_it_is() -> None:
    found = split_of("score", ("language", "language IN ('it''s') AND score >= 0.65"), ("other", "y > 2"))
    assert found.rules == ("language",)
    assert found.own == ()
    (other,) = found.others
    assert duckdb.connect().execute(f"SELECT {other} FROM (SELECT 'it''s' AS language)").fetchall() == [(True,)]
    (own,) = split_of("language", ("language", "language IN ('en') AND score >= 0.65")).own
    assert own.replace('"', "") == "(language IN ('en'))"


def test_a_rule_for_some_documents_holds_as_it_is() -> None:
    rule = Rule("words", "x >= 3", "test", only="language = 'de'")
    found = split_rules(duckdb.connect(), [rule], "x")
    assert found.limits == ()
    (other,) = found.others
    rows = "(VALUES (2, 'de'), (3, 'de'), (2, 'en')) t(x, language)"
    assert duckdb.connect().execute(f"SELECT {other} FROM {rows}").fetchall() == [(False,), (True,), (True,)]


@pytest.mark.parametrize("among", ["passing", "all"])
def test_counts_are_those_by_hand(run: RunFolder, among: str) -> None:
    """The rule keeps 50 to 100,000 words: each side is counted with the other side's limit."""
    answer = kept_along(run, "word_count", steps=7, among=among)
    assert answer.names == ("threshold", ">= keeps", "tokens", "<= keeps", "tokens", "limit now")
    base = [row for row in documents(run) if among == "all" or not set(row["rules"]) - {"word_count"}]
    counts = run.counts("tokens")
    per_token = counts["n_bytes"] / counts["n_tokens"]
    assert len(answer.rows) >= 3
    for at, n_above, tokens_above, n_below, tokens_below, _ in answer.rows:
        above = [row["n_bytes"] for row in base if row["word_count"] >= at]
        below = [row["n_bytes"] for row in base if row["word_count"] <= at]
        if among == "passing":
            above = [row["n_bytes"] for row in base if at <= row["word_count"] <= 100_000]
            below = [row["n_bytes"] for row in base if 50 <= row["word_count"] <= at]
        assert (n_above, n_below) == (len(above), len(below))
        assert (tokens_above, tokens_below) == (round(sum(above) / per_token), round(sum(below) / per_token))
    assert {row[0]: row[-1] for row in answer.rows}[50.0] == "word_count: >= 50"
    assert {row[0]: row[-1] for row in answer.rows}[100_000.0] == "word_count: <= 100000"


def test_the_row_of_the_present_limit_is_what_passes_now(run: RunFolder) -> None:
    n_passing = sum(not row["rules"] for row in documents(run))
    for signal in ("language_score", "word_count", "stop_word_count", "quality", "shout_share"):
        answer = kept_along(run, signal, steps=3)
        marked = [row for row in answer.rows if row[-1]]
        assert [row for row in marked if row[1] == n_passing or row[-3] == n_passing] == marked, signal
        assert marked


def test_a_row_is_what_deciding_again_leaves(run: RunFolder) -> None:
    """Before the choice of duplicates, and with the score that the quality cut-off came to."""
    (score,) = (row[0] for row in kept_along(run, "quality").rows if row[-1])
    rows = kept_along(run, "word_count", steps=4).rows
    assert len({row[1] for row in rows}) >= 4
    for at, n_kept, *_ in rows:
        rule = f"word_count=word_count BETWEEN {at} AND 100000"
        with ledger_for(run, changed_recipe(run, Change((f"quality.keep=>= {score!r}",), (rule,)))) as ledger:
            assert decide_again(ledger).after("quality").sum() == n_kept


def test_a_signal_without_rules_goes_both_ways(run: RunFolder) -> None:
    answer = kept_along(run, "digit_fraction", steps=2)
    assert answer.names == ("threshold", ">= keeps", "tokens", "<= keeps", "tokens", "limit now")
    first, *_, last = answer.rows
    n_passing = sum(not row["rules"] for row in documents(run))
    assert (first[1], last[3]) == (n_passing, n_passing)
    assert f"digit_fraction: {n_passing} training documents pass every other condition" in answer.as_text()


def test_a_signal_of_words_is_counted_by_value(run: RunFolder) -> None:
    answer = kept_along(run, "language")
    assert answer.names == ("value", "documents", "tokens", "now")
    expected: dict[str, int] = {}
    for row in documents(run):
        if not set(row["rules"]) - {"language"} and row["language_score"] >= 0.5:
            expected[row["language"] or "null"] = expected.get(row["language"] or "null", 0) + 1
    assert {row[0]: row[1] for row in answer.rows} == expected
    assert {row[0]: row[3] for row in answer.rows}["en"] == "kept"
    assert all(row[3] == "dropped" for row in answer.rows if row[0] != "en")


def test_csv_and_the_same_answer_twice(run: RunFolder) -> None:
    answers = [kept_along(run, "word_count", steps=5) for _ in range(2)]
    assert answers[0].as_text() == answers[1].as_text()
    names, *rows = csv.reader(io.StringIO(answers[0].as_csv()))
    assert tuple(names) == answers[0].names
    assert [float(row[0]) for row in rows] == [row[0] for row in answers[0].rows]


def test_unknown_signals_and_choices(run: RunFolder) -> None:
    with pytest.raises(RecipeError, match=r"no signal 'wrd_count'; did you mean 'word_count'\?.*DESCRIBE signals"):
        kept_along(run, "wrd_count")
    with pytest.raises(RecipeError, match="no signal 'id'"):
        kept_along(run, "id")
    with pytest.raises(RecipeError, match="--among some: there are passing, all"):
        kept_along(run, "word_count", among="some")


def test_a_run_that_has_not_decided(tiny: Path, tmp_path: Path) -> None:
    assert run_recipe(Request(tiny.parent / "decided.toml", tmp_path, until="text", workers=0)) == 0
    with pytest.raises(StoreError, match=r"stage 'decide' has not run; `datassay run` continues the run"):
        kept_along(open_run(tmp_path), "word_count")

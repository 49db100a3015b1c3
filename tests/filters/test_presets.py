"""Published rules at their limits, and one step beyond."""

from __future__ import annotations

import re

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from datassay.corpus.errors import RecipeError
from datassay.filters import datatrove
from datassay.filters.datatrove import DATATROVE_SIGNALS
from datassay.filters.dolma import DOLMA_SIGNALS
from datassay.filters.edit import EditSettings, edited_schema
from datassay.filters.line_rules import cut_word_counts, line_edits, word_counts
from datassay.filters.presets import PRESET_SETTINGS, PRESETS, preset_rules
from datassay.filters.rules import Rule
from datassay.filters.text_signals import TEXT_SIGNALS, signals

EDITED = edited_schema(EditSettings(measured=("refinedweb",)))
ALL_SIGNALS = pa.schema(
    [
        *TEXT_SIGNALS,
        *(field for more in (DATATROVE_SIGNALS, DOLMA_SIGNALS, EDITED) for field in more if field.name != "id"),
    ]
)


def failed(rules: tuple[Rule, ...], text: str) -> list[str]:
    """Names of the rules that a text fails, as SQL decides."""
    ids, texts = pa.array(["x"]), pa.array([text], pa.large_string())
    row = pa.Table.from_batches([signals(ids, texts)])
    of_datatrove = datatrove.signals(ids, texts)
    for name in of_datatrove.schema.names[1:]:
        row = row.append_column(name, of_datatrove[name])
    return failed_row(rules, row)


def failed_row(rules: tuple[Rule, ...], row: pa.Table) -> list[str]:
    with duckdb.connect() as connection:
        connection.register("signals", row)
        columns = ", ".join(f"coalesce({rule.keep}, false)" for rule in rules)
        (answer,) = connection.sql(f"SELECT {columns} FROM signals").fetchall()
    return [rule.name for rule, is_kept in zip(rules, answer, strict=True) if not is_kept]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_sql_over_signals(name: str) -> None:
    row = ALL_SIGNALS.empty_table()
    for rule in PRESETS[name]:
        duckdb.from_arrow(row).filter(rule.keep).fetchall()
        assert rule.source
    assert len({rule.name for rule in PRESETS[name]}) == len(PRESETS[name])


FILLER = " ".join(f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(500)).split()


def words(n: int) -> str:
    """That many different words, the first two of them stop words."""
    return " ".join(["the", "of", *FILLER[: n - 2]])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["word_count", "mean_word_length", "alpha_words", "stop_words"]),
        (words(49), ["word_count"]),
        (words(50), []),
        ("the of " + "ab c " * 49999, ["mean_word_length"]),  # 100 000 words of 1.5 characters
        ("the of " + "word " * 99998, []),
        ("the of " + "word " * 99999, ["word_count"]),
        ("the of " + "ab " * 48, ["mean_word_length"]),  # 101 characters in 50 words
        ("the of a " + "abc " * 47 + "abcdef", []),  # 153 in 51 words: 3 exactly
        ("the of a " + "abc " * 47 + "abcde", ["mean_word_length"]),  # 152 in 51 words
        ("the " * 49 + "of", ["mean_word_length"]),  # 149 in 50
        ("with have " + "abcdefghij " * 47 + "a" * 22, []),  # 500 in 50: 10 exactly
        ("with have " + "abcdefghij " * 47 + "a" * 23, ["mean_word_length"]),
        ("the be", ["word_count", "mean_word_length"]),
        (words(50).replace("the of", "the xx"), ["stop_words"]),
        (words(50).replace("the of", "the THE"), ["stop_words"]),  # different ones are counted
        (words(50).replace("the of", "The OF"), []),
        (words(90) + " #" * 10, []),  # 10 of 100 tokens
        (words(80) + " #" * 10, ["hash_ratio"]),  # 10 of 90
        (words(90) + " ..." * 10, []),
        (words(89) + " ..." * 10, ["ellipsis_ratio"]),  # 10 of 99; in one line, which ends so
    ],
)
def test_gopher_quality_limits(text: str, names: list[str]) -> None:
    ignored = {"ellipsis_lines"} if "..." in text else set()
    assert [name for name in failed(preset_rules("gopher-quality"), text) if name not in ignored] == names


def lines_of(n_marked: int, n: int, mark: str, end: str = "") -> str:
    """n lines of ten words, of which n_marked begin with `mark` and end with `end`."""
    lines = [
        f"the of {FILLER[8 * i % 480]} " + " ".join(FILLER[8 * i % 480 + j] for j in range(1, 8)) for i in range(n)
    ]
    return "\n".join(f"{mark}{line}{end}" if i < n_marked else line for i, line in enumerate(lines))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (lines_of(9, 10, "• "), []),  # 0.9 exactly
        (lines_of(10, 10, "- "), ["bullet_lines"]),
        (lines_of(3, 10, "", "…"), []),  # 0.3 exactly
        (lines_of(4, 10, "", "..."), ["ellipsis_lines"]),
        (words(80) + " 12" * 20, []),  # 0.8 exactly
        (words(80) + " 12" * 21, ["alpha_words"]),
        (words(80).replace(" ", ", ") + " 12" * 20, []),  # punctuation is part of what white space separates
    ],
)
def test_gopher_line_and_letter_limits(text: str, names: list[str]) -> None:
    assert failed(preset_rules("gopher-quality"), text) == names


@pytest.mark.parametrize(
    ("signal", "limit", "rule"),
    [
        ("duplicate_line_fraction", 0.3, "duplicate_lines"),
        ("duplicate_paragraph_fraction", 0.3, "duplicate_paragraphs"),
        ("duplicate_line_char_fraction", 0.2, "duplicate_line_chars"),
        ("duplicate_paragraph_char_fraction", 0.2, "duplicate_paragraph_chars"),
        ("top_2gram_char_fraction", 0.2, "top_2gram"),
        ("top_3gram_char_fraction", 0.18, "top_3gram"),
        ("top_4gram_char_fraction", 0.16, "top_4gram"),
        ("duplicate_5gram_char_fraction", 0.15, "duplicate_5grams"),
        ("duplicate_6gram_char_fraction", 0.14, "duplicate_6grams"),
        ("duplicate_7gram_char_fraction", 0.13, "duplicate_7grams"),
        ("duplicate_8gram_char_fraction", 0.12, "duplicate_8grams"),
        ("duplicate_9gram_char_fraction", 0.11, "duplicate_9grams"),
        ("duplicate_10gram_char_fraction", 0.10, "duplicate_10grams"),
    ],
)
def test_gopher_repetition_limits(signal: str, limit: float, rule: str) -> None:
    """Table A1: a share of `limit`, as a quotient of whole numbers, is kept; one character or line more is not."""
    columns = {field.name: pa.array([0], field.type) for field in ALL_SIGNALS if field.name != "id"}
    for numerator, names in ((round(limit * 100), []), (round(limit * 100) + 1, [rule])):
        row = pa.table({**columns, signal: pa.array([numerator / 100])})
        assert failed_row(preset_rules("gopher-repetition"), row) == names


def test_gopher_repetition_of_texts() -> None:
    rules = preset_rules("gopher-repetition")
    unique = [f"line {FILLER[i]} {FILLER[i + 100]} {FILLER[i + 200]}" for i in range(97)]
    assert failed(rules, "\n".join(unique)) == []
    assert failed(rules, "\n".join([*unique[:7], *unique[:3]])) != []
    assert "duplicate_lines" not in failed(rules, "\n".join([*unique[:7], *unique[:3]]))  # 3 of 10
    assert "duplicate_lines" in failed(rules, "\n".join([*unique[:6], *unique[:3]]))  # 3 of 9
    assert failed(rules, "two words") == []  # a 2-gram that comes once is no repetition


S = "Every line has five words."


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f"{S}\n{S}\n{S}", []),
        (f"{S}\n{S}", ["sentences", "terminal_punctuation"]),
        (f"{S}\n{S}\nThis line has no end", ["terminal_punctuation"]),
        (f"{S}\n{S}\nThis line here trails off...", ["terminal_punctuation"]),
        (f"{S}\n{S}\nOnly four words here.", ["sentences", "terminal_punctuation"]),
        (f'{S}\n{S}\nHe said "five words here"', []),
        (f"{S}\n{S}\nThis one ends in 'apostrophe'", ["terminal_punctuation"]),
        (f"{S}\n{S}\nPlease enable JavaScript in your browser.", ["sentences", "terminal_punctuation"]),
        (f"{S}\n{S}\nRead our privacy policy right now.", ["sentences", "terminal_punctuation"]),
        (f"{S}\n{S}\n{S} [1]", ["terminal_punctuation"]),  # a blank is left at the end
        (f"{S}\n{S}\n{S}[1]", []),
        (f"{S}\n{S}\nThese are only four[edit] [1].", []),
        (f"{S} {S} {S}\nLorem Ipsum", ["lorem_ipsum"]),
        (f"{S} {S} {S}\n{{", ["curly_bracket"]),
        (f"{S} {S} {'X' * 1000} at last.", []),
        (f"{S} {S} {'X' * 1001} at last.", ["sentences", "terminal_punctuation"]),
    ],
)
def test_c4_paper(text: str, names: list[str]) -> None:
    assert failed(preset_rules("c4"), text) == names == failed(preset_rules("c4-paper"), text)


T = "Three words here."


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("\n".join([T] * 5), []),
        ("\n".join([T] * 4), ["sentences"]),
        ("\n".join([T] * 4 + ["Two words."]), ["sentences"]),
        ("\n".join([T] * 4 + ["it ends 'so'"]), []),
        ("\n".join([T] * 4 + ["no end here"]), ["sentences"]),
        ("\n".join([T] * 5 + ["{"]), []),  # cut before it is looked at
        ("\n".join([T] * 5 + ["x = { y."]), ["curly_bracket"]),
        ("\n".join([T] * 5 + ["lorem ipsum dolor."]), ["lorem_ipsum"]),
        ("\n".join([T] * 5 + ["javascript x = { y."]), []),
    ],
)
def test_c4_code(text: str, names: list[str]) -> None:
    assert failed(preset_rules("c4-code"), text) == names


END = "terminal_punctuation_line_fraction"


def with_lines(n_marked: int, n: int, marked: str, other: str) -> str:
    return "\n".join(f"{i:04d} {marked}" if i < n_marked else f"{i:04d} {other}" for i in range(n))


@pytest.mark.parametrize(
    ("text", "paper", "code"),
    [
        (with_lines(3, 25, "ends with a mark as it should be.", "ends without any mark at all here"), [], []),  # 0.12
        (
            with_lines(2, 25, "ends with a mark as it should be.", "ends without any mark at all here"),
            ["line_punctuation"],
            ["line_punctuation"],
        ),
    ],
)
def test_fineweb_line_punctuation(text: str, paper: list[str], code: list[str]) -> None:
    is_at_limit = text.count(".") == 3
    assert failed(preset_rules("fineweb-paper"), text) == (["line_punctuation"] if is_at_limit else paper)
    assert failed(preset_rules("fineweb-code"), text) == code


@pytest.mark.parametrize(
    ("signal", "value", "paper", "code"),
    [
        ("terminal_punctuation_line_fraction", 0.12, ["line_punctuation"], []),
        ("terminal_punctuation_line_fraction", 0.11, ["line_punctuation"], ["line_punctuation"]),
        ("terminal_punctuation_line_fraction", 0.13, [], []),
        ("duplicate_line_char_fraction_of_lines", 0.01, [], []),
        ("duplicate_line_char_fraction_of_lines", 0.02, [], ["repeated_lines"]),
        ("duplicate_line_char_fraction_of_lines", 0.09, [], ["repeated_lines"]),
        ("duplicate_line_char_fraction_of_lines", 0.1, ["repeated_lines"], ["repeated_lines"]),
        ("line_under_30_fraction", 0.66, [], []),
        ("line_under_30_fraction", 0.67, ["short_lines"], []),
        ("line_up_to_30_fraction", 0.67, [], []),
        ("line_up_to_30_fraction", 0.68, [], ["short_lines"]),
    ],
)
def test_fineweb_limits(signal: str, value: float, paper: list[str], code: list[str]) -> None:
    columns = {field.name: pa.array([0], field.type) for field in ALL_SIGNALS if field.name != "id"}
    ends = {name: pa.array([1.0]) for name in (END, f"dt_cut_{END}")}
    row = pa.table({**columns, **ends, signal: pa.array([value]), f"dt_cut_{signal}": pa.array([value])})
    assert failed_row(preset_rules("fineweb-paper"), row) == paper
    assert failed_row(preset_rules("fineweb-code"), row) == code


@pytest.mark.parametrize(("value", "names"), [(0.3, []), (0.31, ["list_ratio"])])
def test_fineweb_newlines(value: float, names: list[str]) -> None:
    columns = {field.name: pa.array([0], field.type) for field in ALL_SIGNALS if field.name != "id"}
    row = pa.table({**columns, f"dt_cut_{END}": pa.array([1.0]), "dt_cut_newlines_per_token": pa.array([value])})
    assert failed_row(preset_rules("fineweb-code"), row) == names


@pytest.mark.parametrize(
    ("signal", "value", "names"),
    [
        ("dt_alpha_token_fraction", 0.8, []),  # datatrove drops below 0.8 only
        ("dt_alpha_token_fraction", 0.79, ["alpha_tokens"]),
        ("dt_c4_any_end_sentence_count", 5, []),  # below 5 only
        ("dt_c4_any_end_sentence_count", 4, ["sentences"]),
        ("dt_c4_any_end_lorem_ipsum_count", 1, ["lorem_ipsum"]),
        ("dt_c4_any_end_curly_bracket_count", 1, ["curly_bracket"]),
        ("dt_c4_sentence_count", 0, []),  # of lines that end in punctuation, which FineWeb does not ask for
        ("dt_word_count", 50, []),
        ("dt_word_count", 49, ["word_count"]),
        ("dt_word_count", 100000, []),
        ("dt_word_count", 100001, ["word_count"]),
        ("dt_mean_word_length", 3.0, []),
        ("dt_mean_word_length", 2.99, ["mean_word_length"]),
        ("dt_mean_word_length", 10.0, []),
        ("dt_mean_word_length", 10.01, ["mean_word_length"]),
        ("dt_hash_ratio", 0.1, []),  # above 0.1 only, as for ellipses, bullets and their lines
        ("dt_hash_ratio", 0.11, ["hash_ratio"]),
        ("dt_ellipsis_ratio", 0.1, []),
        ("dt_ellipsis_ratio", 0.11, ["ellipsis_ratio"]),
        ("dt_bullet_line_fraction", 0.9, []),
        ("dt_bullet_line_fraction", 0.91, ["bullet_lines"]),
        ("dt_ellipsis_line_fraction", 0.3, []),
        ("dt_ellipsis_line_fraction", 0.31, ["ellipsis_lines"]),
        ("dt_stop_word_count", 2, []),
        ("dt_stop_word_count", 1, ["stop_words"]),
    ],
)
def test_whole_fineweb_limits(signal: str, value: float, names: list[str]) -> None:
    """At each limit of datatrove 0.10.1's filters as the script of FineWeb sets them, and one step beyond."""
    columns = {field.name: pa.array([0], field.type) for field in ALL_SIGNALS if field.name != "id"}
    good = {
        "dt_char_count": 1,
        "dt_word_count": 50,
        "dt_mean_word_length": 3.0,
        "dt_alpha_token_fraction": 0.8,
        "dt_stop_word_count": 2,
        "dt_c4_any_end_sentence_count": 5,
        "dt_cut_terminal_punctuation_line_fraction": 0.12,
    }
    row = pa.table({**columns, **{name: pa.array([limit]) for name, limit in {**good, signal: value}.items()}})
    assert failed_row(preset_rules("fineweb"), row) == names


def test_fineweb_does_not_ask_for_terminal_punctuation() -> None:
    names = [rule.name for rule in preset_rules("fineweb")]
    assert "terminal_punctuation" not in names
    assert {"word_count", "top_2gram", "sentences", "list_ratio"} <= set(names)


def test_a_signal_that_is_null_fails() -> None:
    row = pa.table({field.name: pa.array([None], field.type) for field in ALL_SIGNALS})
    rules = preset_rules("gopher")
    assert failed_row(rules, row) == [rule.name for rule in rules]


def test_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean 'gopher-quality'"):
        preset_rules("gopher_quality")
    with pytest.raises(RecipeError, match="there are c4, c4-code"):
        preset_rules("zzz")


def test_settings_belong_to_presets() -> None:
    assert set(PRESET_SETTINGS) <= set(PRESETS)
    assert PRESET_SETTINGS["gpt3"]["quality"]["keep"] == "pareto 9"


SIMPLE = re.compile(r"(\w+) (>=|<=|<|>|=) (-?[\d.]+)|(\w+) BETWEEN ([\d.]+) AND ([\d.]+)")
EVERY_RULE = sorted({rule.keep: rule for rules in PRESETS.values() for rule in rules}.values(), key=lambda r: r.keep)


def limits(keep: str) -> list[tuple[str, float, int, bool]]:
    """(signal, limit, which side of it is dropped, whether the limit itself is kept) of a simple rule."""
    match = SIMPLE.fullmatch(keep)
    assert match is not None, keep
    if match[4]:
        return [(match[4], float(match[5]), -1, True), (match[4], float(match[6]), 1, True)]
    sign = {">=": [(-1, True)], ">": [(-1, False)], "<=": [(1, True)], "<": [(1, False)], "=": [(-1, True), (1, True)]}
    return [(match[1], float(match[3]), side, is_kept) for side, is_kept in sign[match[2]]]


@pytest.mark.parametrize("rule", [rule for rule in EVERY_RULE if " * " not in rule.keep], ids=lambda rule: rule.keep)
def test_every_limit_is_where_it_was_published(rule: Rule) -> None:
    """At the limit, as a quotient and as a decimal, and the next number that a document can have beyond it."""
    for signal, limit, dropped_side, is_kept in limits(rule.keep):
        kind = ALL_SIGNALS.field(signal).type
        beyond = limit + dropped_side if kind == pa.int64() else np.nextafter(limit, dropped_side * np.inf)
        within = limit - dropped_side if kind == pa.int64() else np.nextafter(limit, -dropped_side * np.inf)
        values = pa.array([limit, beyond, within], pa.float64()).cast(kind)
        answers = duckdb.from_arrow(pa.table({signal: values})).project(rule.keep).fetchall()
        assert [kept for (kept,) in answers[:2]] == [is_kept, False]
        assert answers[2][0] or "=" in rule.keep.split()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (words(50), []),
        (words(50).replace("the of", "the the"), []),  # occurrences count, not only different words
        (words(50).replace("the of", "the xx"), ["stop_words"]),
        (words(100) + "\nword\n3 likes\nABCDEF", []),  # 4 of 104 words are cut
        (words(76) + "\nword\n3 likes\nABCDEF", []),  # 4 of 80: a twentieth exactly
        (words(75) + "\nword\n3 likes\nABCDEF", ["cut_words"]),
    ],
)
def test_refinedweb(text: str, names: list[str]) -> None:
    ids, texts = pa.array(["x"]), pa.array([text], pa.large_string())
    row = pa.Table.from_batches([signals(ids, texts)])
    cuts = line_edits(ids, texts, "refinedweb")
    share = cut_word_counts(texts, cuts) / word_counts(texts)
    row = row.append_column("refinedweb_cut_word_fraction", pa.array(share))
    assert failed_row(preset_rules("refinedweb"), row) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (words(50), []),
        (words(49), ["word_count"]),
        (words(50) + " #" * 5, []),  # 5 per 50 words
        (words(50) + " #" * 6, ["symbol_ratio"]),
        (lines_of(9, 10, "▪ "), []),
        (lines_of(10, 10, "– "), ["bullet_lines"]),
        (lines_of(10, 10, "- "), []),  # no bullet there
    ],
)
def test_redpajama2(text: str, names: list[str]) -> None:
    assert failed(preset_rules("redpajama2"), text) == names

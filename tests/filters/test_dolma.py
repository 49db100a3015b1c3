"""Dolma's signals: the compiled ones are those of a plain reading of its definitions; its rules at their limits."""

from __future__ import annotations

from collections import Counter
from statistics import median

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datassay.filters.dolma import DOLMA, DOLMA_SIGNALS, REQUIRED_WORDS, dolma_signals


def measured(text: str) -> dict[str, float]:
    row: dict[str, float] = dolma_signals(pa.array(["x"]), pa.array([text], pa.large_string())).to_pylist()[0]
    del row["id"]
    return row


def plain(text: str) -> dict[str, float]:
    """The same by the words of the definitions, in plain Python."""
    names = [name for name in DOLMA_SIGNALS.names if name != "id"]
    words = text.split()
    if not words:
        return dict.fromkeys(names, 0)
    n, chars = len(words), sum(map(len, words))
    lines = [line for line in text.split("\n") if line]
    times = Counter(lines)
    found: dict[str, float] = {
        "dolma_word_count": n,
        "dolma_median_word_length": median(map(len, words)),
        "dolma_symbol_to_word_ratio": sum("#" in word or "…" in word for word in words) / n,
        "dolma_alpha_word_fraction": sum(any(c.isalpha() for c in word) for word in words) / n,
        "dolma_required_word_count": sum(word in REQUIRED_WORDS for word in words),
        "dolma_bullet_line_fraction": sum(line.startswith(("*", "-")) for line in lines) / len(lines),
        "dolma_ellipsis_line_fraction": sum(line.endswith("…") for line in lines) / len(lines),
        "dolma_duplicate_line_fraction": sum(k for k in times.values() if k > 1) / len(lines),
        "dolma_duplicate_line_char_fraction": sum(k * len(line) for line, k in times.items() if k > 1) / chars,
    }
    for size in range(2, 11):
        grams = Counter(tuple(words[i : i + size]) for i in range(n - size + 1))
        sizes = {gram: sum(map(len, gram)) for gram in grams}
        if size <= 4:
            top = grams.most_common(1)[0] if grams else ((), 0)
            found[f"dolma_top_{size}gram_char_fraction"] = top[1] * sum(map(len, top[0])) / chars
        else:
            total = sum(k * sizes[gram] for gram, k in grams.items())
            repeated = sum(k * sizes[gram] for gram, k in grams.items() if k > 1)
            found[f"dolma_duplicate_{size}gram_char_fraction"] = repeated / max(total, 1)
    return found


PARTS = st.one_of(
    st.sampled_from(
        ["the ", "of ", "a b ", "word ", "\n", "\n\n", "- x", "* ", "…", "#", "12 ", "é ", "世界 ", "a b c d e "]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6),
)


@given(st.lists(PARTS, max_size=40).map("".join))
def test_as_in_plain_python(text: str) -> None:
    text = text.replace("\u200b", "")  # separates words here, as nowhere else, for scripts without spaces
    assert measured(text) == pytest.approx(plain(text), abs=1e-15)


def failed(text: str) -> list[str]:
    row = pa.Table.from_batches([dolma_signals(pa.array(["x"]), pa.array([text], pa.large_string()))])
    with duckdb.connect() as connection:
        connection.register("signals", row)
        columns = ", ".join(f"coalesce({rule.keep}, false)" for rule in DOLMA)
        (answer,) = connection.sql(f"SELECT {columns} FROM signals").fetchall()
    return [rule.name for rule, is_kept in zip(DOLMA, answer, strict=True) if not is_kept]


def words(n: int) -> str:
    return " ".join(["the", "of", *(f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(n - 2))])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["word_count", "median_word_length", "alpha_words", "required_words"]),
        (words(49), ["word_count"]),
        (words(50), []),
        (words(50).replace("the of", "the xx"), ["required_words"]),
        (words(50).replace("the of", "the the"), []),  # copies count here
        (words(50).replace("the of", "The Of"), ["required_words"]),
        (words(90) + " x#" * 10, []),  # 10 of 100; their median is that of the others
        (words(90) + " x#y" + " z#" * 10, ["symbol_ratio"]),  # 11 of 101
        (words(80) + " 123" * 20, []),
        (words(80) + " 123" * 21, ["alpha_words"]),
    ],
)
def test_limits(text: str, names: list[str]) -> None:
    ignored = {"top_2gram", "top_3gram", "top_4gram"} | {f"duplicate_{n}grams" for n in range(5, 11)}
    assert [name for name in failed(text) if name not in ignored] == names


@pytest.mark.parametrize("rule", DOLMA, ids=lambda rule: rule.name)
def test_each_limit_is_kept_and_what_is_beyond_it_not(rule: object) -> None:
    signal, _, rest = rule.keep.partition(" ")  # type: ignore[attr-defined]
    numbers = [float(part) for part in rest.replace("BETWEEN", "").replace("AND", " ").split() if part[0].isdigit()]
    is_count = pa.types.is_integer(DOLMA_SIGNALS.field(signal).type)
    step = 1 if is_count else 1e-9
    for place, limit in enumerate(numbers):
        is_lower = ">=" in rest or ("BETWEEN" in rest and place == 0)
        beyond = limit - step if is_lower else limit + step
        column = pa.array([limit, beyond], pa.float64()).cast(DOLMA_SIGNALS.field(signal).type)
        kept = duckdb.from_arrow(pa.table({signal: column})).project(rule.keep).fetchall()  # type: ignore[attr-defined]
        assert kept == [(True,), (False,)]

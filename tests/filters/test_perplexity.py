"""N-gram perplexity: ARPA files as they are defined, and a trained model whose probabilities sum to 1."""

from __future__ import annotations

import gzip
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datassay.corpus.engine import Inputs, Task, run_task
from datassay.corpus.errors import InputError, RecipeError, StoreError
from datassay.corpus.given import given_file
from datassay.corpus.schema import DOCUMENT
from datassay.filters.perplexity import (
    NgramFile,
    Ngrams,
    NgramScoring,
    NgramText,
    NgramTraining,
    compile_ngrams,
    load_ngram_model,
    measure_ngram_perplexity,
    normalized,
    perplexity_schema,
    read_arpa,
    read_ngram_model,
    score_texts,
    train_ngram_model,
    train_ngrams,
    write_arpa,
)

ARPA = """\
a comment, which may stand before

\\data\\
ngram 1=6
ngram 2=4
ngram 3=2

\\1-grams:
-1.5\t<unk>
-99\t<s>\t-0.5
-1.0\t</s>
-0.7\tthe\t-0.25
-0.9\tcat\t-0.125
-1.1\tsat\t-0.0625

\\2-grams:
-0.3\t<s> the\t-0.4
-0.2\tthe cat\t-0.6
-0.35\tcat sat
-0.45\tsat </s>

\\3-grams:
-0.1\t<s> the cat
-0.15\tthe cat sat

\\end\\
"""
PLAIN = NgramText(normalize="none", tokens="white_space")


@pytest.fixture
def arpa(tmp_path: Path) -> Path:
    path = tmp_path / "model.arpa"
    path.write_text(ARPA)
    return path


def log10s(path: Path, *texts: str, settings: NgramText = PLAIN) -> list[float]:
    return score_texts(compile_ngrams(read_arpa(path)), texts, settings).log10.tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the cat sat", [-0.3, -0.1, -0.15, -0.45]),  # cat sat </s> backs off to sat </s>: cat sat has no backoff
        ("cat", [-0.5 - 0.9, -0.125 - 1.0]),  # no <s> cat; no cat </s>
        ("the sat", [-0.3, -0.4 - 0.25 - 1.1, -0.45]),  # both contexts of sat are passed
        ("the dog", [-0.3, -0.4 - 0.25 - 1.5, -1.0]),  # unknown, and a context without a backoff
        ("the\n\n cat \n", [-0.3, -0.4 - 0.25 - 1.0, -0.5 - 0.9, -0.125 - 1.0]),  # two sentences
        ("<s> the", [-0.5 - 1.5, -0.7, -0.25 - 1.0]),  # no text can claim to begin
        ("The", [-0.5 - 1.5, -1.0]),  # as it is
        ("", []),
        (" \n\t", []),
    ],
)
def test_backing_off_by_hand(arpa: Path, text: str, expected: list[float]) -> None:
    assert log10s(arpa, text) == [pytest.approx(sum(expected), abs=1e-6)]
    scores = score_texts(compile_ngrams(read_arpa(arpa)), ["the cat", text], PLAIN)
    assert scores.n_scored[1] == len(expected)
    assert scores.log10[1] == pytest.approx(sum(expected), abs=1e-6)  # whatever stands before


Table = dict[tuple[str, ...], tuple[float, float]]


def table_of(ngrams: Ngrams) -> Table:
    """The log10 of the probability, and the backoff, of each n-gram."""
    return {
        tuple(ngrams.words[i] for i in ids): (log, backoff)
        for order in ngrams.orders
        for ids, log, backoff in zip(order.ids.tolist(), order.logs.tolist(), order.backoffs.tolist(), strict=True)
    }


def word_log(table: Table, words: tuple[str, ...]) -> float:
    """log10 of the probability of the last word after the others: the definition."""
    if words in table:
        return table[words][0]
    return -100.0 if len(words) == 1 else table.get(words[:-1], (0, 0))[1] + word_log(table, words[1:])


def sentence_log(ngrams: Ngrams, sentence: list[str]) -> float:
    """log10 of the probability of a sentence's words and end."""
    table, n = table_of(ngrams), len(ngrams.orders)
    known = [word if (word,) in table else "<unk>" for word in ["<s>", *sentence, "</s>"]]
    return sum(word_log(table, tuple(known[max(0, i - n + 1) : i + 1])) for i in range(1, len(known)))


WORDS = st.sampled_from(["the", "cat", "sat", "dog", "é", "."])
SENTENCES = st.lists(st.lists(WORDS, min_size=1, max_size=7), min_size=1, max_size=8)


@given(SENTENCES, SENTENCES, st.integers(1, 4))
def test_a_trained_model_scores_as_the_definition_says(
    learnt: list[list[str]], sentences: list[list[str]], order: int
) -> None:
    ngrams = train_ngrams(iter([[" ".join(words)] for words in learnt]), PLAIN, order=order)
    scores = score_texts(compile_ngrams(ngrams), [" ".join(words) for words in sentences], PLAIN)
    assert scores.log10 == pytest.approx([sentence_log(ngrams, words) for words in sentences], rel=1e-5)


@given(SENTENCES, st.integers(1, 4))
def test_trained_probabilities_sum_to_1_after_any_context(learnt: list[list[str]], order: int) -> None:
    ngrams = train_ngrams(iter([[" ".join(words) for words in learnt]]), PLAIN, order=order)
    table = table_of(ngrams)
    predicted = [word for word in ngrams.words if word != "<s>"]
    for context in ([], ["<s>"], ["<s>", "the"], learnt[0][:3], ["dog", "dog"], ["<unk>", "cat"]):
        before = tuple(context[max(0, len(context) - order + 1) :])
        assert sum(10 ** word_log(table, (*before, word)) for word in predicted) == pytest.approx(1, abs=1e-9)


def test_kneser_ney_by_hand() -> None:
    ngrams = train_ngrams(iter([["a b", "a b", "a c"]]), PLAIN, order=2)
    assert ngrams.words == ("<s>", "</s>", "<unk>", "a", "b", "c")
    # 2-grams: <s> a 3, a b 2, a c 1, b </s> 2, c </s> 1; discount n1 / (n1 + 2 n2) = 2 / 6
    # words before: a 1, b 1, c 1, </s> 2, of 5; discount 3 / 5; uniform over 5 words
    low = {"a": 0.4, "b": 0.4, "c": 0.4, "</s>": 1.4}
    unigram = {word: (value + 0.6 * 4 / 5) / 5 for word, value in low.items()} | {"<unk>": 0.6 * 4 / 25}
    assert {ngrams.words[i]: 10 ** ngrams.orders[0].logs[i] for i in range(1, 6)} == pytest.approx(unigram)
    bigram = dict(zip(map(tuple, ngrams.orders[1].ids.tolist()), 10 ** ngrams.orders[1].logs, strict=True))
    weight_a = (1 / 3) * 2 / 3  # discount x kinds of words after a / words after a
    assert bigram[3, 4] == pytest.approx((2 - 1 / 3) / 3 + weight_a * unigram["b"])
    assert 10 ** ngrams.orders[0].backoffs[3] == pytest.approx(weight_a)
    assert Counter(len(ids) for ids in bigram) == {2: 5}


def test_a_model_survives_its_arpa_file(tmp_path: Path) -> None:
    ngrams = train_ngrams(iter([["the cat sat", "the naïve dog\nsat"]]), PLAIN, order=3)
    write_arpa(tmp_path / "a.arpa", ngrams)
    again = read_arpa(tmp_path / "a.arpa")
    assert again.words == ngrams.words
    for one, other in zip(again.orders, ngrams.orders, strict=True):
        assert one.ids.tolist() == other.ids.tolist()
        assert one.logs.tolist() == other.logs.tolist()
        assert one.backoffs.tolist() == other.backoffs.tolist()
    (tmp_path / "a.arpa.gz").write_bytes(gzip.compress((tmp_path / "a.arpa").read_bytes()))
    assert read_arpa(tmp_path / "a.arpa.gz").words == ngrams.words


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\", "data", "line 26: no line .*not an ARPA file"),
        ("ngram 2=4", "ngram 3=4", "line 5: ngram 3: orders go up"),
        ("ngram 1=6\nngram 2=4\nngram 3=2\n", "", "line 5: no line such as ngram 1=1000"),
        ("\\2-grams:", "\\5-grams:", r"line 16: '\\\\5-grams:'; right would be \\2-grams:"),
        ("-0.2\tthe cat", "-0.2\tthe dog", "line 18: 'dog' is not among the 1-grams"),
        ("-0.2\tthe cat", "half\tthe cat", "line 18: not a number"),
        ("-0.2\tthe cat", "0.2\tthe cat", "line 18: log10 probability 0.2"),
        ("-0.2\tthe cat", "nan\tthe cat", "line 18: log10 probability nan"),
        ("-0.2\tthe cat\t-0.6\n", "", "3 2-grams, 4 announced"),
        ("-0.2\tthe cat\t-0.6\n", "-0.2 the\n", "line 18: 2 fields; a 2-gram has"),
        ("-1.1\tsat\t-0.0625", "-1.1\tcat", "6 1-grams, 6 announced; .*some twice"),
        ("\\end\\\n", "", "line 25: 0 fields"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in ARPA
    path = tmp_path / "model.arpa"
    path.write_text(ARPA.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        read_arpa(path)


def test_what_is_no_arpa_file_is_refused(tmp_path: Path, arpa: Path) -> None:
    (tmp_path / "cut.gz").write_bytes(gzip.compress(arpa.read_bytes())[:-20])
    (tmp_path / "a.bin").write_bytes(b"mmap lm http://kheafield.com/code format version 5\n\0")
    for name, message in (("cut.gz", "cannot be read"), ("a.bin", "binary of KenLM"), ("none", "cannot be read")):
        with pytest.raises(InputError, match=message):
            read_arpa(tmp_path / name)
    arpa.write_text(ARPA.replace("-0.2\tthe cat", "-0.2\t<s> the", 1))
    with pytest.raises(InputError, match="twice"):
        compile_ngrams(read_arpa(arpa))


def test_a_model_without_the_special_words(tmp_path: Path) -> None:
    path = tmp_path / "bare.arpa"
    path.write_text("\\data\\\nngram 1=1\n\n\\1-grams:\n-0.5 word\n\n\\end\\\n")
    scores = score_texts(compile_ngrams(read_arpa(path)), ["word word other"], PLAIN)
    assert scores.log10.tolist() == [-0.5 - 0.5 - 100]  # as KenLM does
    assert (scores.n_scored[0], scores.n_words[0], scores.n_unknown[0]) == (3, 3, 1)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("none", " Ünï 12… „x”\n—"),
        ("lower", " ünï 12… „x”\n—"),
        ("ccnet", 'uni 00... "x"\n - '),  # stripped, no accents, digits 0, ASCII punctuation
    ],
)
def test_normalization(how: str, expected: str) -> None:
    assert normalized(" Ünï 12… „x”\n—", how) == expected
    assert normalized("a\x07b\u0085c", "ccnet") == "abc"


def write_documents(path: Path, texts: list[str]) -> Path:
    schema = pa.schema([DOCUMENT.field("id"), DOCUMENT.field("text")])
    pq.write_table(pa.table([[f"{path.stem}{i:030x}" for i in range(len(texts))], texts], schema=schema), path)
    return path


def test_stages_from_a_file_to_columns(arpa: Path, tmp_path: Path) -> None:
    done = run_task(Task(read_ngram_model, Inputs({}), NgramFile(file=given_file(str(arpa))), tmp_path, 0, "key"))
    assert done.counts == {"1-grams": 6, "2-grams": 4, "3-grams": 2}
    model = tmp_path / "ngram_model/part-00000.npz"
    clean = write_documents(tmp_path / "c.parquet", ["the cat sat", "", "the dog", " \n"])
    settings = NgramScoring(name="ppl", normalize="none", tokens="white_space")
    inputs = Inputs({"clean": (clean,), "ngram_model": (model,)})
    done = run_task(Task(measure_ngram_perplexity, inputs, settings, tmp_path / "out", 0, "key"))
    table = pq.read_table(tmp_path / "out/perplexity/part-00000.parquet")
    assert table.schema == perplexity_schema("ppl")
    assert done.counts == {"documents": 4, "null": 2}
    assert table["ppl"].to_pylist() == [pytest.approx(10 ** (1.0 / 4)), None, pytest.approx(10 ** (3.45 / 3)), None]
    assert table["ppl_log10"].to_pylist() == [pytest.approx(-1.0 / 4), None, pytest.approx(-3.45 / 3), None]
    assert table["ppl_unknown"].to_pylist() == [0, None, 0.5, None]


def test_training_is_the_same_for_any_shards(tmp_path: Path) -> None:
    texts = [f"the cat {i % 7} sat\non mat {i % 3}." for i in range(40)]
    whole = pq.read_table(write_documents(tmp_path / "r.parquet", texts))
    pq.write_table(whole.slice(25), tmp_path / "0.parquet")
    pq.write_table(whole.slice(0, 25), tmp_path / "1.parquet")
    for name, shards in (("a", ["r.parquet"]), ("b", ["0.parquet", "1.parquet"])):
        inputs = Inputs({"reference": tuple(tmp_path / shard for shard in shards)})
        run_task(Task(train_ngram_model, inputs, NgramTraining(), tmp_path / name, 0, "key"))
    for file in ("ngram_model/part-00000.npz", "ngram_arpa/part-00000.arpa"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    trained = load_ngram_model(tmp_path / "a/ngram_model/part-00000.npz")
    read = compile_ngrams(read_arpa(tmp_path / "a/ngram_arpa/part-00000.arpa"))
    both = [score_texts(model, ["the cat sat", "on 3 zebras"], NgramText()).log10 for model in (trained, read)]
    assert both[0].tolist() == both[1].tolist()


def test_nothing_to_train_on_and_a_damaged_table_are_refused(tmp_path: Path) -> None:
    for texts in ([], ["", "\n"]):
        inputs = Inputs({"reference": (write_documents(tmp_path / "r.parquet", texts),)})
        with pytest.raises(RecipeError, match="no word"):
            run_task(Task(train_ngram_model, inputs, NgramTraining(), tmp_path, 0, "key"))
    (tmp_path / "m.npz").write_bytes(b"PK\x03\x04none")
    with pytest.raises(StoreError, match="not a whole n-gram model"):
        load_ngram_model(tmp_path / "m.npz")


def test_prose_is_less_surprising_than_boilerplate(shared: Path) -> None:
    reference = pq.read_table(shared / "quality/reference.parquet")
    labels, texts = reference["label"].to_pylist(), reference["text"].to_pylist()
    good = [text for text, label in zip(texts, labels, strict=True) if label == "high"]
    low = [text for text, label in zip(texts, labels, strict=True) if label == "low"]
    ngrams = train_ngrams(iter([[text[:20_000] for text in good[::2]]]), NgramText(), order=3)
    model = compile_ngrams(ngrams)
    means = [
        float(np.median(scores.log10 / np.maximum(scores.n_scored, 1)))
        for scores in (score_texts(model, part, NgramText()) for part in (good[1::2], low))
    ]
    assert means[0] > means[1] + math.log10(1.2)

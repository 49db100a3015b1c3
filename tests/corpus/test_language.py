"""Language identification: models and their labels, what is looked at, scripts, paragraphs, the signal table."""

from __future__ import annotations

import sys
import types
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError, MissingExtraError
from datassay.corpus.given import given_file
from datassay.corpus.language import (
    LANGUAGE,
    MIN_SCRIPT_SHARE,
    MODEL,
    PARAGRAPHS,
    Answers,
    IdentifySettings,
    LanguageLimit,
    LanguageSettings,
    describe_model,
    identify,
    judge,
    language_table,
    load_model,
    measure_language,
)
from datassay.corpus.language_codes import SCRIPTS_OF, TWO_LETTERS, Label, parse_label
from datassay.corpus.language_text import (
    MAX_CHARS,
    MAX_PARAGRAPHS,
    MAX_UPPER_FRACTION,
    MIN_CHARS,
    N_CHARS,
    lines_to_judge,
    paragraph_pieces,
    plain,
    sample,
    upper_fractions,
)
from datassay.corpus.schema import DOCUMENT
from datassay.corpus.scripts import SCRIPTS, script_counts
from datassay.corpus.store import Outputs

TEXTS = {
    "en": "All human beings are born free and equal in dignity and rights.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits.",
    "ru": "Все люди рождаются свободными и равными в своём достоинстве и правах.",
    "zh": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。",
}


def ask(texts: list[str], k: int = 1, model: str | None = None) -> Answers:
    return judge(texts, script_counts(pa.array(texts, pa.large_string())), model=model, k=k)


def table_of(texts: list[str], **settings: Any) -> pa.RecordBatch:
    batch = pa.RecordBatch.from_pydict({"id": [str(i) for i in range(len(texts))], "text": texts})
    return language_table(batch, IdentifySettings(**settings))


# lid.176


def test_model_is_the_published_one() -> None:
    assert md5(MODEL.read_bytes()).hexdigest() == "340156704bb8c8e50c4abf35a7ec2569"


def test_identify() -> None:
    languages, scores = identify(list(TEXTS.values()))
    assert [row[0] for row in languages] == list(TEXTS)
    assert all(0.5 < row[0] <= 1 for row in scores)


def test_line_breaks_do_not_matter() -> None:
    broken = TEXTS["de"].replace(" ", "\r\n")
    assert identify([broken]) == identify([TEXTS["de"]])


@pytest.mark.parametrize("text", ["", " \n ", "12345 67,8 | 99 %", "https://example.org/de/index.html", "🙂 …"])
def test_nothing_to_identify(text: str) -> None:
    assert identify([text]) == ([[]], [[]])
    assert identify([]) == ([], [])


def test_model_that_is_not_there_or_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such language model"):
        load_model(str(tmp_path / "none.ftz"))
    (tmp_path / "text.ftz").write_text("not a model")
    with pytest.raises(InputError, match="not a fastText model"):
        load_model(str(tmp_path / "text.ftz"))


def test_module_overwritten_by_another_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = types.ModuleType("fasttext")
    other.__file__ = "site-packages/fasttext/__init__.py"
    monkeypatch.setitem(sys.modules, "fasttext", other)
    with pytest.raises(MissingExtraError, match="fasttext-community"):
        load_model(str(tmp_path / "any.ftz"))


def test_loading_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    load_model.cache_clear()
    load_model()
    assert capfd.readouterr() == ("", "")


def test_accuracy_on_labelled_texts(shared: Path) -> None:
    """Sentences and longer texts of ten languages that are rarely confused with each other."""
    wanted = ["en", "de", "fr", "it", "pl", "ru", "el", "ja", "ko", "tr"]
    table = pq.read_table(shared / "lid/dev.parquet").to_pylist()
    rows = [row for row in table if row["lang"] in wanted and row["length"] != "short"]
    for change in (str, str.upper):
        languages, _ = identify([change(row["text"]) for row in rows])
        right = sum(found[:1] == [row["lang"]] for found, row in zip(languages, rows, strict=True))
        assert right / len(rows) > 0.97


# what the model gets to see


def test_sample_is_whole_up_to_its_limit_and_spread_beyond() -> None:
    assert sample("a" * N_CHARS) == "a" * N_CHARS
    assert sample("a" * 1000 + "b" * 1000 + "c" * 1000 + "d" * 1000) == " ".join(c * 125 for c in "abcd")
    assert sample(" a\n\nb ") == "a b"


def test_page_furniture_at_the_head_does_not_decide() -> None:
    furniture = (
        "Home About us Contact Login Register Search this site. Share on Facebook. Subscribe to our newsletter. "
    )
    assert identify([furniture * 5 + TEXTS["de"] * 40])[0] == [["de"]]


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("see https://example.com/a?b=c here", "see here"),
        ("see www.example.com/x, or mail me@example.org now", "see or mail now"),
        ("官网https://example.com下载", "官网 下载"),  # no space around it
        ("<p class='x'>Text</p> <!-- no --> 3 < 4 and a<b", "Text and a<b"),
        ("2019-05-12 10:35 Uhr, 3. Mai, B2B | 5 %", "Uhr, Mai, B2B"),
        ("don't e.g. naïve – été", "don't e.g. naïve été"),
        ("123 | 456", ""),
    ],
)
def test_plain_line_is_without_what_is_no_language(line: str, left: str) -> None:
    assert plain(line) == left


def test_lower_case_beyond_the_limit_only() -> None:
    at = "AAA" + "a" * 17
    assert upper_fractions([at, "A" + at, "", "中文 12", "ÄÖ ДДД ää"]).tolist() == [
        *(MAX_UPPER_FRACTION, 4 / 21, 0.0, 0.0),
        5 / 7,
    ]
    assert lines_to_judge([at, "A" + at]) == [at, "a" * 21]
    assert lines_to_judge([]) == []


@given(st.lists(st.text(st.characters(codec="utf-8", categories=["Lu", "Ll", "Lo", "Nd"], max_codepoint=0x24F))))
def test_upper_case_is_counted_by_category(lines: list[str]) -> None:
    for line, fraction in zip(lines, upper_fractions(lines).tolist(), strict=True):
        upper, lower = sum(map(str.isupper, line)), sum(c.islower() and c not in "ªº" for c in line)
        assert fraction == (upper / (upper + lower) if upper else 0)


def test_capitals_addresses_and_numbers_do_not_mislead() -> None:
    for language, text in TEXTS.items():
        for changed in (text.upper(), text.title(), f"{text} https://www.example.com/en?page=12 info@example.org"):
            assert identify([changed])[0] == [[language]]
        assert identify([f"12 345 | {text} *** 2019-05-12"]) == identify([text])


# labels


@pytest.mark.parametrize(
    ("label", "parsed"),
    [
        ("__label__en", ("en", None)),
        ("__label__eng", ("en", None)),
        ("__label__eng_Latn", ("en", "Latn")),
        ("__label__eng-Latn", ("en", "Latn")),
        ("__label__cmn_Hani", ("zh", "Hani")),
        ("__label__zho_Hant", ("zh", "Hant")),
        ("__label__ceb", ("ceb", None)),
        ("__label__als", ("gsw", None)),  # as Wikipedia
        ("__label__als_Latn", ("sq", "Latn")),  # as ISO 639
        ("__label__zxx_Zyyy", ("zxx", "Zyyy")),
        ("__label__other", ("other", None)),
        ("__label__EN", ("EN", None)),
        ("__label__eng_latn", ("eng_latn", None)),
    ],
)
def test_labels_of_any_model(label: str, parsed: tuple[str, str | None]) -> None:
    assert parse_label(label) == Label(*parsed)


def test_scripts_of_labels() -> None:
    assert parse_label("sr").scripts == {"Latn", "Cyrl"}
    assert parse_label("srp_Cyrl").scripts == {"Cyrl"}
    assert parse_label("zho_Hans").scripts == {"Hani"}
    assert parse_label("jpn_Jpan").scripts == parse_label("ja").scripts == {"Jpan", "Hani"}
    assert parse_label("kor_Kore").scripts == {"Hang"}
    assert parse_label("xyz").scripts is None


def test_tables_of_codes() -> None:
    assert len(TWO_LETTERS) == len(set(TWO_LETTERS.values())) == 184
    assert all(scripts <= set(SCRIPTS) for scripts in SCRIPTS_OF.values())
    known = {label.language for label in describe_model().labels.values()}
    assert len(known) == 176
    assert known <= set(SCRIPTS_OF)


def train(path: Path, lines: dict[str, str]) -> str:
    """A fastText model that knows these labels by these texts."""
    import fasttext

    training = path.with_suffix(".txt")
    training.write_text("".join(f"{label} {text}\n" for label, text in lines.items()) * 20, encoding="utf-8")
    model = fasttext.train_supervised(
        str(training), dim=10, epoch=20, lr=0.5, minn=1, maxn=3, wordNgrams=2, bucket=900_000, thread=1, verbose=0
    )  # fmt: skip
    model.save_model(str(path))
    return str(path)


SERBIAN = "сва људска бића рађају се слободна и једнака у достојанству и правима"


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> str:
    return train(
        tmp_path_factory.mktemp("model") / "scripted.bin",
        {
            "__label__eng_Latn": TEXTS["en"].lower(),
            "__label__deu-Latn": TEXTS["de"].lower(),
            "__label__srp_Cyrl": SERBIAN,
            "__label__srp_Latn": "sva ljudska bića rađaju se slobodna i jednaka u dostojanstvu i pravima",
            "__label__zho_Hans": "人人 生而 自由 在 尊严 和 权利 上 一律 平等",
            "__label__zho_Hant": "人人 生而 自由 在 尊嚴 和 權利 上 一律 平等",
        },
    )


def test_model_with_scripts_in_its_labels(scripted: str) -> None:
    texts = [TEXTS["en"], TEXTS["de"], SERBIAN, "人人 生而 自由 在 尊嚴 和 權利 上"]
    answers = ask(texts, k=2, model=scripted)
    assert [row[0] for row in answers.languages] == ["en", "de", "sr", "zh"]
    assert answers.scripts[:3] == ["Latn", "Latn", "Cyrl"]
    assert answers.scripts[3] in ("Hans", "Hant")
    assert answers.fits == [True] * 4
    assert all(len(set(row)) == len(row) == 2 for row in answers.languages)  # no language is its own second


def test_labels_of_one_language_are_added_up(scripted: str) -> None:
    text = "人人 生而 自由"
    labels, scores = load_model(scripted).predict([text], k=6)
    both = sum(float(s) for name, s in zip(labels[0], scores[0], strict=True) if name.startswith("__label__zho"))
    assert ask([text], model=scripted).scores == [[pytest.approx(min(both, 1))]]


def test_model_by_its_file_in_the_stage(scripted: str) -> None:
    table = table_of([TEXTS["de"], SERBIAN], model=given_file(scripted)).to_pydict()
    assert table["language"] == ["de", "sr"]
    assert table["language_script"] == ["Latn", "Cyrl"]


def test_model_without_labels_is_refused(tmp_path: Path) -> None:
    import fasttext

    (tmp_path / "words.txt").write_text("one two three four five\n" * 50)
    model = fasttext.train_unsupervised(str(tmp_path / "words.txt"), dim=4, epoch=1, bucket=100, thread=1, verbose=0)
    model.save_model(str(tmp_path / "words.bin"))
    with pytest.raises(InputError, match="without labels"):
        identify(["text"], model=str(tmp_path / "words.bin"))


# scripts


def test_answer_in_another_script_is_refused(tmp_path: Path) -> None:
    """A model that takes Cyrillic for English by its words: the script corrects it."""
    confused = train(
        tmp_path / "confused.bin",
        {"__label__en": "мир труд май", "__label__ru": "one two three", "__label__uk": "four five six"},
    )
    first = load_model(confused).predict(["мир труд май"], k=3)
    assert first[0][0][0] == "__label__en"
    answers = ask(["мир труд май", "one two three"], k=3, model=confused)
    assert answers.fits == [False, False]
    assert set(answers.languages[0]) == {"ru", "uk"}  # English is out
    assert sum(answers.scores[0]) == pytest.approx(1)
    by_name = dict(zip(first[0][0], map(float, first[1][0]), strict=True))
    russian = answers.scores[0][answers.languages[0].index("ru")]
    total = by_name["__label__ru"] + by_name["__label__uk"]
    assert russian == pytest.approx(by_name["__label__ru"] / total)
    assert answers.languages[1] == ["en"]
    assert answers.scores[1] == [1.0]


def test_no_language_of_the_model_is_written_so() -> None:
    syllabics = "ᐃᓄᓕᒫᑦ ᐊᓂᖅᑎᕆᔪᓕᒫᑦ ᐃᓅᓚᐅᖅᐳᑦ ᐊᔪᕐᓇᖏᑦᑐᒥᒃ"
    row = table_of([syllabics]).to_pylist()[0]
    assert row["language"] is None
    assert row["language_score"] == 0
    assert row["language_fits_script"] is False
    assert (row["script"], row["script_fraction"]) == ("Cans", 1.0)


def test_share_of_the_script_at_its_limit(tmp_path: Path) -> None:
    """A hundredth Cyrillic is enough for Russian, less is not."""
    model = train(tmp_path / "model.bin", {"__label__ru": "aa", "__label__en": "zz"})
    n_latin = round(1 / MIN_SCRIPT_SHARE) - 1
    counts = np.zeros((2, len(SCRIPTS)), np.int64)
    counts[:, SCRIPTS.index("Cyrl")] = 1
    counts[:, SCRIPTS.index("Latn")] = n_latin, n_latin + 1
    answers = judge(["aa", "aa"], counts, model=model, k=1)
    assert answers.fits == [True, False]
    assert answers.languages == [["ru"], ["en"]]


def test_language_whose_scripts_are_not_known_is_believed(tmp_path: Path) -> None:
    model = train(tmp_path / "model.bin", {"__label__klingon": "aa bb cc", "__label__zxx_Zyyy": "dd ee ff"})
    answers = ask(["aa bb cc", "dd ee ff"], model=model)
    assert answers.languages == [["klingon"], ["zxx"]]
    assert answers.fits == [None, None]


# paragraphs


def test_paragraphs_are_lines_joined_and_cut() -> None:
    assert paragraph_pieces("") == paragraph_pieces(" \n \n") == []
    assert paragraph_pieces("short") == ["short"]
    assert paragraph_pieces("a" * MIN_CHARS + "\n\n" + "b" * MIN_CHARS) == ["a" * MIN_CHARS, "b" * MIN_CHARS]
    below = "a" * (MIN_CHARS - 1)
    assert paragraph_pieces(f"{below}\n{'b' * MIN_CHARS}") == [f"{below}\n{'b' * MIN_CHARS}"]
    assert paragraph_pieces(f"{'a' * MIN_CHARS}\nend") == ["a" * MIN_CHARS + "\nend"]
    assert paragraph_pieces("a" * MAX_CHARS + "b" * MIN_CHARS) == ["a" * MAX_CHARS, "b" * MIN_CHARS]


def test_paragraphs_looked_at_are_spread_from_first_to_last() -> None:
    lines = [f"{i:04d}" + "x" * MIN_CHARS for i in range(1000)]
    pieces = paragraph_pieces("\n".join(lines))
    assert len(pieces) == MAX_PARAGRAPHS
    assert pieces[0] == lines[0]
    assert pieces[-1] == lines[-1]
    assert paragraph_pieces("\n".join(lines[:MAX_PARAGRAPHS])) == lines[:MAX_PARAGRAPHS]


@given(st.text(st.sampled_from("ab \n"), max_size=3000))
def test_paragraphs_hold_all_letters_and_have_bounded_lengths(text: str) -> None:
    pieces = paragraph_pieces(text)
    assert all(len(piece) < 2 * MIN_CHARS + MAX_CHARS + 2 for piece in pieces)
    if len(pieces) < MAX_PARAGRAPHS:
        assert "".join("".join(pieces).split()) == "".join(text.split())


def test_share_and_number_of_paragraph_languages() -> None:
    lines = {language: " ".join([text] * 3)[:240] for language, text in TEXTS.items()}
    german, russian = lines["de"], lines["ru"]
    texts = [
        "\n".join([german] * 4),
        "\n".join([german] * 3 + [russian]),
        "\n".join([german] * 6 + [russian]),
        "kurz",
        "",
        "12 345",
    ]
    table = table_of(texts, paragraphs=True).to_pydict()
    letters = script_counts(pa.array([german, russian])).sum(axis=1)
    assert table["paragraph_language_fraction"] == [
        1.0,
        pytest.approx(3 * letters[0] / (3 * letters[0] + letters[1])),
        pytest.approx(6 * letters[0] / (6 * letters[0] + letters[1])),
        *(1.0, None, None),
    ]
    assert table["paragraph_language_count"] == [1, 2, 1, 1, 0, 0]  # a seventh in Russian is too little to count


def test_mixed_pages_are_seen(shared: Path) -> None:
    """Pages of German and Russian, French and Polish sentences against pages of one language."""
    rows = pq.read_table(shared / "lid/dev.parquet", filters=[("length", "==", "medium")]).to_pylist()
    of = {name: [row["text"] for row in rows if row["lang"] == name][:40] for name in ("de", "ru", "fr", "pl")}
    single = ["\n".join(of[name][i : i + 8]) for name in of for i in range(0, 40, 8)]
    pairs = [("de", "ru"), ("fr", "pl")]
    mixed = ["\n".join(of[a][i : i + 4] + of[b][i : i + 4]) for a, b in pairs for i in range(0, 40, 4)]
    counts = table_of(single + mixed, paragraphs=True)["paragraph_language_count"].to_pylist()
    assert set(counts[: len(single)]) == {1}
    assert sum(count == 2 for count in counts[len(single) :]) >= 0.95 * len(mixed)


# the stage


def documents(folder: Path, texts: list[str]) -> Inputs:
    rows = [{"id": str(i), "text": text, "source": "input", "file": "f", "offset": i} for i, text in enumerate(texts)]
    pq.write_table(pa.Table.from_pylist(rows, schema=DOCUMENT), folder / "in.parquet", row_group_size=4)
    return Inputs({"clean": (folder / "in.parquet",)})


def test_stage_keeps_rows_and_order(tmp_path: Path) -> None:
    out = Outputs(tmp_path, 0)
    measure_language(documents(tmp_path, [*TEXTS.values(), ""]), IdentifySettings(), out)
    table = pq.read_table(tmp_path / "language/part-00000.parquet")
    assert table.schema.equals(LANGUAGE)
    assert table.column("id").to_pylist() == [str(i) for i in range(6)]
    assert table.column("language").to_pylist() == [*TEXTS, None]
    assert table.column("language_score").to_pylist()[-1] == 0.0
    assert table.column("script").to_pylist() == ["Latn", "Latn", "Latn", "Cyrl", "Hani", None]
    assert table.column("language_fits_script").to_pylist() == [True] * 5 + [None]
    assert table.column("language_script").null_count == 6
    first, second = table.column("language_score"), table.column("second_language_score")
    assert all(a.as_py() >= b.as_py() for a, b in zip(first, second, strict=True))
    assert out.counts == {"documents": 6, "without_language": 1, "against_script": 0}


def test_stage_with_paragraphs(tmp_path: Path) -> None:
    out = Outputs(tmp_path, 0)
    settings = IdentifySettings(paragraphs=True)
    measure_language(documents(tmp_path, [*TEXTS.values(), ""]), settings, out)
    table = pq.read_table(tmp_path / "language/part-00000.parquet")
    assert table.schema.equals(settings.schema)
    assert table.schema.names == [*LANGUAGE.names, *PARAGRAPHS.names]


def test_stage_without_documents(tmp_path: Path) -> None:
    for settings in (IdentifySettings(), IdentifySettings(paragraphs=True)):
        measure_language(documents(tmp_path, []), settings, Outputs(tmp_path, 0))
        assert pq.read_table(tmp_path / "language/part-00000.parquet").num_rows == 0


def test_a_document_is_judged_by_itself_alone() -> None:
    texts = [*TEXTS.values(), "", "ᐃᓄᓕᒫᑦ", "a\n" * 400, *TEXTS.values()]
    whole = table_of(texts, paragraphs=True).to_pylist()
    for i, text in enumerate(texts):
        assert table_of([text], paragraphs=True).to_pylist()[0] == {**whole[i], "id": "0"}


# settings


def test_languages_with_settings_of_their_own() -> None:
    settings = LanguageSettings.model_validate({"keep": ["en", "de", "fr"], "de": {"min_score": 0.5}, "fr": {}})
    assert settings.by_language == {"de": LanguageLimit(min_score=0.5), "fr": LanguageLimit()}
    assert [settings.min_score_of(name) for name in settings.keep] == [0.65, 0.5, 0.65]
    assert LanguageSettings.model_validate(settings.model_dump()) == settings
    assert LanguageSettings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"keep": ["en"], "de": {"min_score": 0.5}}, "'de' is not kept; add it"),
        ({"min_scor": 0.5}, "min_scor"),
        (
            {"min_score": 1.5},
            r"^1 validation .*\nmin_score\n.*less than or equal to 1, or .auto.",
        ),
        ({"min_score": -0.1}, "greater than or equal to 0"),
        ({"min_score": "automatic"}, "valid number.*or .auto."),
        ({"keep": ["de"], "de": {"min_score": 2}}, r"by_language\.de\.min_score\n"),
        ({"keep": ["de"], "de": {"keep": 1}}, "by_language.de.keep"),
    ],
)
def test_wrong_settings_are_refused(value: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LanguageSettings.model_validate(value)


def test_when_thresholds_are_needed() -> None:
    assert not LanguageSettings().needs_thresholds
    assert LanguageSettings(min_score="auto").needs_thresholds
    own = {"en": LanguageLimit(min_score=0.5)}
    assert not LanguageSettings(min_score="auto", by_language=own).needs_thresholds
    assert LanguageSettings(keep=(), by_language={"de": LanguageLimit(min_score="auto")}).needs_thresholds


def test_json_schema_for_editors_has_tables_of_languages() -> None:
    schema = LanguageSettings.model_json_schema()
    assert schema["additionalProperties"] == {"$ref": "#/$defs/LanguageLimit"}
    assert schema["properties"]["min_score"]["anyOf"][1]["const"] == "auto"

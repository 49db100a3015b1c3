"""Lists, edits, scores and languages in one run: what each stage finds reaches decisions, corpus and tokens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from datassay.cli.recipe import load_recipe
from datassay.cli.run import Request, run_recipe
from datassay.cli.run_folder import RunFolder, open_run
from datassay.cli.signals import families, rules, rules_by_step
from datassay.corpus.edits import edited
from datassay.corpus.tokenizer import load_tokenizer
from datassay.corpus.tokens import open_tokens


@pytest.fixture
def run(finished: Path) -> RunFolder:
    return open_run(finished)


def rows(run: RunFolder, sql: str) -> list[tuple[object, ...]]:
    return run.connect().execute(sql).fetchall()


def test_every_signal_has_a_row_for_every_document(run: RunFolder, tiny: Path) -> None:
    recipe = load_recipe(tiny / "recipe.toml")
    for family in families(recipe):
        for clean, signals in zip(run.files("clean", "clean"), run.files(family.stage, family.dataset), strict=True):
            assert pq.read_table(signals).schema == family.schema
            assert pq.read_table(signals)["id"].equals(pq.read_table(clean)["id"]), family.stage


def test_the_corpus_is_the_clean_text_with_its_edits(run: RunFolder) -> None:
    spans: dict[str, list[tuple[int, int, str]]] = {}
    for name, *span in rows(run, 'SELECT id, start, "end", replacement FROM edits ORDER BY id, start'):
        spans.setdefault(str(name), []).append(tuple(span))  # type: ignore[arg-type]
    before = dict(rows(run, "SELECT id, text FROM documents"))
    after = dict(rows(run, "SELECT id, text FROM corpus"))
    assert {name: edited(str(before[name]), spans.get(str(name), [])) for name in after} == after
    assert sum(before[name] != after[name] for name in after) == run.counts("write")["edited"] > 0


def test_variants_with_the_step_read_edited_texts(run: RunFolder) -> None:
    tokenizer = load_tokenizer(run.file("ablation_tokenizer", "tokenizer"))
    before = dict(rows(run, "SELECT id, text FROM documents"))
    after = dict(rows(run, "SELECT id, text FROM corpus"))
    for stage, texts in (("ablation_tokens", before), ("edited_tokens", after)):
        for path in run.files(stage, "tokens"):
            shard = open_tokens(path)
            for i, name in enumerate(shard.document_ids.to_pylist()):
                if name in texts and name in after:
                    assert shard.document(i).tolist() == tokenizer.encode(str(texts[name])).tolist()


def test_personal_data_is_replaced(run: RunFolder) -> None:
    found = rows(run, "SELECT id, replacement FROM edits WHERE rule = 'pii/email'")
    assert found
    for name, replacement in found:
        assert str(replacement).endswith(("example.com", "example.org", "example.net"))
        assert rows(run, f"SELECT pii_count FROM signals WHERE id = '{name}'") != [(0,)]


def test_lists_decide(run: RunFolder) -> None:
    blocked = rows(run, "SELECT DISTINCT url_match FROM signals WHERE url_is_blocked")
    assert blocked == [("spam.example.com",)]
    reasons = "SELECT unnest(reasons).rule AS rule, id FROM decisions"
    of_urls = rows(run, f"SELECT count(*) FROM ({reasons}) WHERE rule = 'url'")
    assert of_urls == rows(run, "SELECT count(*) FROM signals WHERE url_is_blocked")
    of_words = rows(run, f"SELECT count(*) FROM ({reasons}) WHERE rule = 'bad_words'")
    assert of_words == rows(run, "SELECT count(*) FROM signals WHERE bad_word_count > 0")


def test_a_language_has_rules_of_its_own(run: RunFolder, tiny: Path) -> None:
    recipe = load_recipe(tiny / "recipe.toml")
    names = [rule.name for rule in rules(recipe)]
    assert "de/some_words" in names
    dropped = rows(
        run,
        "SELECT language, r.rule FROM (SELECT id, unnest(reasons) AS r FROM decisions) JOIN signals USING (id) "
        "WHERE language = 'de' AND r.rule NOT IN ('quality', 'reference', 'validation')",
    )
    general = {rule.name for rule in rules_by_step(recipe)["rules"] if "/" not in rule.name}
    assert not {rule for _, rule in dropped} & general


def test_limits_of_languages_come_from_the_corpus(run: RunFolder) -> None:
    (path,) = run.files("thresholds", "thresholds")
    found = json.loads(path.read_bytes())
    n_english = rows(
        run,
        "SELECT count(*) FROM signals JOIN documents USING (id) WHERE source IN ('input', 'feed') AND language = 'en'",
    )
    assert [(found["en"]["documents"],)] == n_english
    assert rows(run, "SELECT DISTINCT language_min_score FROM signals WHERE language = 'en'") == [
        (found["en"]["min_score"],)
    ]
    assert rows(run, "SELECT DISTINCT language_min_score FROM signals WHERE language = 'de'") == [(0.5,)]


def test_questions_are_found_where_they_are(run: RunFolder) -> None:
    """A page of the tiny corpus is a near copy of one of the validation texts that serve as questions."""
    found = rows(
        run, "SELECT url, contaminated_by FROM signals JOIN documents USING (id) WHERE contaminated_fraction > 0.5"
    )
    assert ("https://copy.example.net/v", "blogs#0") in found
    assert rows(run, "SELECT file, n_questions FROM question_files") == [("blogs", 6)]


def test_the_cut_off_is_in_the_manifest(run: RunFolder) -> None:
    (limit,) = run.manifest["quality_limits"]
    assert limit["keep"] == "top 80%"
    assert limit["kept"] == int(limit["documents"] * 0.8)
    kept = rows(run, "SELECT min(quality) FROM decisions JOIN signals USING (id) WHERE keep")
    assert kept[0][0] >= limit["score"]


def test_scores_are_combined_and_cut_by_group(tiny: Path, tmp_path: Path) -> None:
    """The best percentile of two scores, for each language by itself; compared with SQL's own ranks."""
    source = (
        (tiny / "recipe.toml")
        .read_text()
        .replace(
            'reference = ["reference.jsonl"]\nkeep = "top 80%"',
            'combine = ["logit", { column = "ppl", better = "lower" }]\n'
            'by = "language"\nkeep = { en = "top 50%", "*" = ">= 0" }',
        )
    )
    for name in (
        "pages.warc.gz",
        "feed.warc.gz",
        "rows.jsonl",
        "reference.jsonl",
        "books.jsonl",
        "blogs.jsonl",
        "shout.py",
    ):
        (tmp_path / name).write_bytes((tiny / name).read_bytes())
    (tmp_path / "recipe.toml").write_text(source)
    assert run_recipe(Request(tmp_path / "recipe.toml", tmp_path / "run", until="decide", workers=0)) == 0
    run = open_run(tmp_path / "run")
    combined = rows(
        run,
        """
        WITH ranked AS (
            SELECT id, quality_bucket, percent_rank() OVER (ORDER BY logit) AS a,
                   percent_rank() OVER (ORDER BY ppl DESC) AS b
            FROM signals JOIN documents USING (id) WHERE source IN ('input', 'feed'))
        SELECT quality_bucket, greatest(a, b) FROM ranked
        """,
    )
    assert all(abs(bucket / 20 - rank) < 0.1 for bucket, rank in combined)  # type: ignore[operator]
    limits = {limit["group"]: limit for limit in run.manifest["quality_limits"]}
    assert limits["en"]["kept"] == limits["en"]["documents"] // 2
    assert all(limit["kept"] == limit["documents"] for group, limit in limits.items() if group != "en")
    reasons = rows(
        run, "SELECT DISTINCT r.\"limit\" FROM (SELECT unnest(reasons) AS r FROM decisions) WHERE r.rule = 'quality'"
    )
    assert any("of language en" in str(limit) for (limit,) in reasons)


def filtered(folder: Path, inputs: Sequence[Path], rules: str) -> RunFolder:
    """A run of these rules alone."""
    recipe = folder / "recipe.toml"
    paths = [str(path) for path in inputs]
    recipe.write_text(f"[input]\npaths = {paths}\n[dedup]\nexact = false\nminhash = false\n{rules}")
    assert run_recipe(Request(recipe, folder / "run", until="write", workers=0)) == 0
    return open_run(folder / "run")


def test_a_rule_may_measure_what_no_edit_makes(tiny: Path, tmp_path: Path) -> None:
    rules = '[[rules]]\npreset = "refinedweb"\n[[rules]]\nname = "pii"\nkeep = "pii_count <= 5"\n'
    run = filtered(tmp_path, [tiny / "rows.jsonl"], rules)
    assert rows(run, "SELECT count(*) FROM edits") == [(0,)]
    assert rows(run, "SELECT max(pii_count), max(refinedweb_cut_word_fraction) < 0.05 FROM signals") == [(1, True)]
    assert "edited" not in run.counts("write")


def test_doubt_of_extraction_is_a_signal_for_rules(tiny: Path, tmp_path: Path) -> None:
    rule = '[[rules]]\nname = "clear"\nkeep = "extraction_doubt IS NULL OR extraction_doubt < 0.02"\n'
    run = filtered(tmp_path, [tiny / "*.warc.gz", tiny / "rows.jsonl"], rule)
    kept = rows(run, "SELECT keep, extraction_doubt FROM decisions JOIN signals USING (id)")
    assert all(keep == (doubt is None or doubt < 0.02) for keep, doubt in kept)  # type: ignore[operator]
    assert {(keep, doubt is None) for keep, doubt in kept} == {(True, True), (True, False), (False, False)}
    stated = "CAST(json_extract(metadata, '$.extraction_doubt') AS DOUBLE)"
    assert rows(run, f"SELECT count(*) FROM documents JOIN signals USING (id) WHERE {stated} <> extraction_doubt") == [
        (0,)
    ]

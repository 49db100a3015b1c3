"""Write docs/reference.md from the code's own tables and docstrings.

    python docs/make_reference.py

`tests/test_reference.py` fails while the file differs from what this makes.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pyarrow as pa
import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from datassay.cli import decisions, run
from datassay.cli.main import app
from datassay.cli.pipeline import stages
from datassay.cli.run_folder import DATASETS, RunFolder
from datassay.cli.sections import ClassifierScore, GptScore, NgramScore, Recipe
from datassay.cli.signals import OPTIONAL
from datassay.corpus import edits, errors, ingest, language, language_limits, schema, split, tokens, words, write
from datassay.corpus.errors import DatassayError
from datassay.corpus.tokenizer import load_tokenizer
from datassay.dedup import bloom, cut, exact, keep
from datassay.dedup.settings import PRESET_SOURCES as MINHASH_SOURCES
from datassay.dedup.settings import PRESETS as MINHASH
from datassay.dedup.settings import s_curve
from datassay.filters import (
    bad_words,
    c4,
    datatrove,
    decontaminate,
    decontaminate_settings,
    dolma,
    edit,
    fineweb,
    gopher,
    gpt3,
    line_rules,
    lines,
    quality_settings,
    redpajama2,
    refinedweb,
    text_signals,
    url_lists,
)
from datassay.filters.presets import PRESET_SETTINGS, PRESETS
from datassay.filters.rules import Rule
from datassay.model import ablation, ablation_plan, statistics

TARGET = Path(__file__).parent / "reference.md"

HEAD = """\
# Reference

Made by `python docs/make_reference.py` from the code; do not edit. The walk-through is [guide.md](guide.md), how the
worth of a step is measured is [method.md](method.md).
"""

STAGES = {
    "census": "only with `--limit`: the chance of every page, so that a sample of so many can be drawn",
    "extract": "`documents`: pages with text; `records`: what became of every record of the input",
    "clean": "`clean`: the documents with repaired text; what all later stages read",
    "text": "`text`: the signals of each text",
    "language": "`language`: the likeliest languages of each text, and its script",
    "thresholds": 'with `min_score = "auto"`: the score from which on each language is believed (JSON)',
    "language_limit": "`language_limit`: that score beside each document",
    "user_NAME": "`user`: a signal of your own, a stage for each",
    "datatrove": "`datatrove`: signals by datatrove's definitions, if a rule or `measure` asks for them",
    "dolma": "`dolma`: signals by Dolma's definitions, if a rule or `measure` asks for them",
    "urls": "`urls`: what lists say of each URL",
    "bad_words": "`bad_words`: bad words of each text",
    "index_questions": "`questions` and their n-grams",
    "count_matches": "`matches`: where documents hold n-grams of questions",
    "frequent_ngrams": "`frequent_ngrams`: those that too many documents hold to count",
    "decontaminate": "`decontamination` (signals), `contamination` (what is shared with which question), `edits`",
    "report_questions": "`question_files`, `question_documents`: what was found of each file, and each question",
    "bloom_count": "`registers` of HyperLogLog: how many units there are, unless `dedup.bloom.n_units` says it",
    "bloom": "`bloom` (signals) and `edits`, by shard: what came before, found in one pass over all documents",
    "edit": "`edits`: every span that is cut or replaced; `edited`: signals of what they leave",
    "sign": "`bands`: keys of signatures; `texts`: hashes of texts (written by `texts` where nothing is signed)",
    "exact": "`pairs` of the same text; `repeats`: the copies that another stands for",
    "payload_keys": "`keys`: hashes of payloads, by partition",
    "payload_pairs": "`pairs` of the same payload",
    "url_keys": "`keys`: hashes of normalised URLs, by partition",
    "url_pairs": "`pairs` of the same URL",
    "candidates": "`candidates`: pairs that share a band; `wanted`: their second documents",
    "attach": "`halves`, `sets`: the shingle sets of first and of second documents",
    "verify": "`pairs` whose true Jaccard similarity is high enough",
    "split": "`split`: the role of each document",
    "score_NAME_reference": "the same for one of [[scores]]: its good text",
    "score_NAME_model": "its model",
    "score_NAME": "the score of each document, a stage for each",
    "reference": "`reference`: the good text that is no near copy of validation text",
    "quality_model": "`quality_model`: the classifier; `quality_card`: what it was trained on, and its AUC",
    "percentiles": "with `quality.combine`: the edges of the buckets of each score (JSON)",
    "quality": "`quality`: the score of each document; `combined` with `quality.combine`",
    "verdicts": "`verdicts`: every rule that each document fails",
    "preset_NAME": "the same by the rules of a preset that the ablation tries, a stage for each",
    "decide": "`decisions`: what the recipe keeps, with all reasons; `limits`: what the quality cut-off came to (JSON)",
    "variants": "`kept`: the ids that each variant of the ablation keeps, a task for each",
    "units": "with `dedup.lines` or `dedup.paragraphs`: `units`, the hash and place of each, by partition",
    "repeated_units": "`repeats`: those that occur twice or more",
    "choose_units": "`cuts`: which of them go, a partition for each shard",
    "anchors": "with `dedup.substrings`: `anchors`, hashes of some runs of words, by partition",
    "shared_anchors": "`shared`: those that occur twice or more, a partition for each shard",
    "windows": "`units`: every stretch of `min_tokens` words around these",
    "repeated_windows": "`repeats`: those that occur twice or more",
    "choose_windows": "`cuts`: which of them go, a partition for each shard",
    "cut_repeats": "`edits`: those of `edit` and the cuts; `repeats`: what was cut as a repeat",
    "write": "`corpus`: the refined corpus, without documents of which the edits leave nothing",
    "tokenizer": "`tokenizer`: a tokenizer.json",
    "tokens": "`tokens`: the refined corpus as token ids",
    "validation": "`validation`: the texts to evaluate, a partition for each domain",
    "ablation_tokenizer": "`tokenizer`: the one that all variants share",
    "ablation_tokens": "`tokens` of all documents, from which each variant takes its own",
    "edited_tokens": "the same after the recipe's edits",
    "validation_tokens": "`tokens` of the validation texts, a file for each domain",
}
"""What each stage writes, in order."""

RUN_FOLDER = """\
```
RUN/
  manifest.json                              versions, recipe, inputs with their SHA-256, counts and files of each stage
  inputs.json                                hashes of input files, so that they are read once
  STAGE-KEY/DATASET/part-00000.parquet       what task 0 of a stage wrote; tasks are shards of the input
  STAGE-KEY/DATASET/partition=00000/…        the same where a task writes for several readers
  STAGE-KEY/_done/00000.json                 that task 0 is done: its key, its files with their hashes, its counts
  ablation-KEY/plan.json, cost.json          what will be trained; what a run costs on this machine
  ablation-KEY/runs/RUNKEY/                  one run: run.json, scores (Parquet), timing.json
  ablation-KEY/runs.jsonl, analysis.json     all runs; what they show
  report.html, report.json                   the report, and its numbers
```

A key is a hash of what the output depends on: the stage's version, its settings, and the contents of its inputs. A
folder with another key is another result; the manifest names those of the last run. Parquet is compressed with zstd.
All signal datasets have the rows of `clean` in the same order.
"""

MODEL_FOLDER = """\
`datassay train` writes a folder with `model.safetensors`, `tokenizer.json`, `config.json` (shape, settings, losses)
and, in `checkpoints/`, the state from which a stopped training goes on.
"""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset and where its schema stands."""

    name: str
    module: ModuleType
    constant: str
    note: str = ""


PARQUET = (
    Dataset("documents", schema, "DOCUMENT", "In the dataset and view of this name, `text` is that of stage `clean`."),
    Dataset("records", schema, "RECORD"),
    Dataset("extraction", ingest, "EXTRACTION"),
    Dataset("text", text_signals, "TEXT_SIGNALS"),
    Dataset("language", language, "LANGUAGE"),
    Dataset("language_limit", language_limits, "LANGUAGE_LIMIT"),
    Dataset("datatrove", datatrove, "DATATROVE_SIGNALS"),
    Dataset("dolma", dolma, "DOLMA_SIGNALS"),
    Dataset("edited", edit, "", "`id`, and the [signals of edits](#of-edits) that the recipe asks for."),
    Dataset("quality", quality_settings, "", "`id`, and the [signals of quality](#of-quality)."),
    Dataset("urls", url_lists, "URL_SIGNALS"),
    Dataset("bad_words", bad_words, "BAD_WORD_SIGNALS"),
    Dataset("decontamination", decontaminate, "DECONTAMINATION"),
    Dataset("contamination", decontaminate, "CONTAMINATION"),
    Dataset("questions", decontaminate, "QUESTION_DOCUMENTS"),
    Dataset("question_files", decontaminate, "QUESTION_FILES"),
    Dataset("bloom", bloom, "BLOOM"),
    Dataset("edits", edits, "EDIT"),
    Dataset(
        "repeats",
        cut,
        "REPEATED_TEXT",
        "A row for each place that is cut as a repeat. Of a substring, `hash` and `n_places` are those of the stretch "
        "of `min_tokens` words in it whose hash is the smallest.",
    ),
    Dataset("pairs", exact, "PAIR"),
    Dataset("kept", keep, "KEPT", "Of `datassay dedup`: kept.parquet."),
    Dataset("copies", keep, "DUPLICATE", "Of `datassay dedup`: duplicates.parquet."),
    Dataset("split", split, "SPLIT"),
    Dataset("decisions", decisions, "DECISION"),
    Dataset("corpus", write, "CORPUS", 'With `write.format = "jsonl.zst"` the same keys, one JSON object a line.'),
    Dataset("kept", decisions, "KEPT", "Of stage `variants`; not a view."),
    Dataset("scores", ablation, "SCORES", "Of each run of the ablation; not a view."),
)


SIGNAL_TABLES = {
    "TEXT_SIGNALS": "Of the text",
    "DATATROVE_SIGNALS": "By datatrove's definitions",
    "DOLMA_SIGNALS": "By Dolma's definitions",
}
"""Schemas whose columns are described among the signals, and under which heading."""


def reference() -> str:
    """The whole page."""
    parts = (
        HEAD,
        *("## Commands\n", *commands()),
        *("## Exit status\n", table(("status", "means"), exit_statuses())),
        *("## The recipe\n", *recipe()),
        *("## Signals\n", *signals()),
        *("## Presets of rules\n", *presets()),
        *("## Presets of edits\n", *edit_presets()),
        *("## Presets of decontamination\n", *question_presets()),
        *("## Presets of MinHash\n", *minhash()),
        *("## The run folder\n", RUN_FOLDER, "### Stages, in order\n", table(("stage", "writes"), stage_rows())),
        *("## Datasets\n", *datasets()),
        *("## Files of the ablation\n", *ablation_files()),
        *("## Folder of a model\n", MODEL_FOLDER),
        *("## In Python\n", *python_door()),
    )
    return "\n".join(parts)


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [names, ["---"] * len(names), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def code(text: object) -> str:
    return f"`{text}`"


def commands() -> Iterator[str]:
    """A section for each command: help, example, arguments and options."""
    for name, command in sorted_commands(typer.main.get_command(app), "datassay"):
        text, _, example = inspect.cleandoc(command.help).partition("Example:")
        yield f"### {name}\n\n{one_line(text)}\n\n```sh\n{one_line(example)}\n```\n"
        if command.params:
            yield table(("argument or option", "default", "meaning"), [parameter(p) for p in command.params])


def sorted_commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every command below a group with its full name, in the order of `--help`."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from sorted_commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def parameter(p: Any) -> tuple[str, str, str]:
    """Name, default and meaning of an argument or option."""
    is_option = p.param_type_name == "option"
    name = ", ".join(map(code, (*p.opts, *p.secondary_opts))) if is_option else code(p.metavar or p.name.upper())
    is_empty = p.default is None or p.default is False or p.default in ([], (), "")
    default = "required" if p.required else "" if is_empty else code(p.default)
    return name, default, one_line(p.help)


def exit_statuses() -> Iterator[tuple[str, str]]:
    """Status and meaning; those of errors as their classes say."""
    found: dict[int, list[str]] = {
        0: ["Done, or nothing was left to do."],
        1: ["A bug: what follows is a traceback."],
        2: ["The command line is wrong.", "A training's loss is no number any more: other settings may mend it."],
        run.PARTIAL: [
            "Partial: a guard left out a page that took too much time or memory, or crashed; all else is there."
        ],
    }
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, DatassayError) and error is not DatassayError:
            found.setdefault(error.exit_status, []).append(one_line(error.__doc__))
    found[130] = ["Interrupted (Ctrl-C); the same command continues."]
    found[143] = ["Terminated (SIGTERM); the same command continues."]
    return ((str(status), " ".join(found[status])) for status in sorted(found))


def field_docs(kind: type) -> dict[str, str]:
    """The docstring under each field of a class and of those it inherits from."""
    docs: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not (base is not BaseModel and (is_dataclass(base) or issubclass(base, BaseModel))):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(definition, ast.ClassDef)
        for field, after in pairwise([*definition.body, ast.Pass()]):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                docs[field.target.id] = one_line(docstring(after))
    return docs


def docstring(statement: ast.stmt) -> str:
    """The text of a statement that is only a string; empty for any other."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return str(statement.value.value)
    return ""


def recipe() -> Iterator[str]:
    """A section for each table of the recipe."""
    yield (
        "TOML. Relative paths are relative to the recipe's folder. A key that is not listed here is an error. "
        "`--set TABLE.KEY=VALUE` changes a key for one call, `--set TABLE.KEY=` removes it. "
        "`datassay recipes show schema` prints the JSON schema, for editors.\n"
    )
    top = [name for name in Recipe.model_fields if name != "scores" and model_of(Recipe, name) is None]
    yield "### Top of the file\n"
    yield table(("key", "type", "default", "meaning"), [key_row(Recipe, name, "") for name in top])
    for name, field in Recipe.model_fields.items():
        model = model_of(Recipe, name)
        if name == "scores":
            yield "### [[scores]]\n\nFurther scores beside `quality`, of three kinds. Any number of these tables.\n"
            for kind in (ClassifierScore, NgramScore, GptScore):
                yield f"{one_line(kind.__doc__)}\n"
                yield table(("key", "type", "default", "meaning"), key_rows(kind, ""))
        elif model is not None:
            brackets = f"[[{name}]]" if field.default == () else f"[{name}]"
            yield f"### {brackets}\n\n{one_line(model.__doc__)} {if_absent(name, field)}\n"
            yield table(("key", "type", "default", "meaning"), key_rows(model, ""))


def if_absent(name: str, field: FieldInfo) -> str:
    """What holds without a table of this name."""
    if field.is_required():
        return "Required."
    if field.default == ():
        return "Any number of these tables."
    if field.default is None:
        return "Left out: the step is not taken."
    can_be_off = f"; `{name} = false`: not done" if type(None) in get_args(field.annotation) else ""
    return f"Left out: its defaults hold{can_be_off}."


def model_of(kind: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The model in a field's annotation, if there is one."""
    annotation = kind.model_fields[name].annotation
    for option in (annotation, *get_args(annotation)):
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


def key_rows(kind: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    """Every key of a table; those of tables in it with a dot."""
    for name in kind.model_fields:
        inner = model_of(kind, name)
        if inner is None:
            yield key_row(kind, name, prefix)
        else:
            field = kind.model_fields[name]
            is_off = field.default is None
            switch = "`true`, `false`" if is_off else "`false`, a preset's name"
            options = f"{switch}, or a table of the keys below. " if field.annotation is not inner else ""
            yield (
                code(prefix + name),
                "table",
                "`false`" if is_off else "its defaults",
                options + field_docs(kind)[name],
            )
            yield from key_rows(inner, f"{prefix}{name}.")


def key_row(kind: type[BaseModel], name: str, prefix: str) -> tuple[str, str, str, str]:
    field = kind.model_fields[name]
    json_type = kind.model_json_schema()["properties"][name]
    default = "required" if field.is_required() else toml(field.get_default(call_default_factory=True))
    default = "the file's name" if kind is Recipe and name == "name" else default
    return code(prefix + name), type_words(json_type), default, field_docs(kind)[name]


def toml(value: object) -> str:
    """A default as TOML would write it."""
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        return "its defaults"
    if isinstance(value, tuple):
        value = list(value)
    return code(json.dumps(value, ensure_ascii=False))


BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
NAMES = {"array": "list", "object": "table"}


def type_words(json_type: Mapping[str, Any]) -> str:
    """A JSON schema's type in words, with its limits."""
    if "$ref" in json_type:
        return "table"
    if "const" in json_type:
        return code(json.dumps(json_type["const"]))
    if "anyOf" in json_type:
        return " or ".join(type_words(option) for option in json_type["anyOf"] if option.get("type") != "null")
    if "enum" in json_type:
        return ", ".join(code(json.dumps(value)) for value in json_type["enum"])
    inner = json_type.get("items") or json_type.get("additionalProperties")
    name = NAMES.get(json_type["type"], json_type["type"])
    limits = [f"{sign} {json_type[bound]:,}".replace(",", " ") for bound, sign in BOUNDS.items() if bound in json_type]
    pattern = [code(json_type["pattern"])] if "pattern" in json_type else []
    return f"{name} of {type_words(inner)}" if inner else " ".join(filter(None, [name, ", ".join(limits), *pattern]))


def signals() -> Iterator[str]:
    """Every signal of a text; then those of other datasets."""
    yield "Columns of the view `signals`, for rules and queries.\n"
    yield f"**Words.** {inspect.cleandoc(words.__doc__ or '')}\n"
    yield f"**Lines.** {inspect.cleandoc(lines.__doc__ or '')}\n"
    rows = []
    for signal in text_signals.SIGNALS:
        sources = [part for part in signal.source.split("; ") if part]
        aliases = ", ".join(part for part in sources if "rps_" in part)
        published = "; ".join(part for part in sources if "rps_" not in part)
        rows.append((code(signal.name), str(signal.type), signal.definition, aliases, published))
    yield "### Of the text\n"
    yield table(("signal", "type", "definition", "in RedPajama-V2", "source"), rows)
    yield "### Of extraction\n"
    yield signal_table(Dataset("extraction", ingest, "EXTRACTION"))
    yield "### Of language\n"
    others = [Dataset("language", language, name) for name in ("LANGUAGE", "PARAGRAPHS")]
    yield signal_table(*others, Dataset("language_limit", language_limits, "LANGUAGE_LIMIT"))
    yield (
        "The `paragraph_…` are there with `language.paragraphs = true`, `language_min_score` with "
        '`min_score = "auto"`.\n'
    )
    for title, module in (("datatrove", datatrove), ("Dolma", dolma)):
        yield f"### By {title}'s definitions\n"
        yield f'Measured where a rule mentions one, or with `measure = ["{title.lower()}"]`.\n'
        rows = [(code(signal.name), str(signal.type), signal.definition) for signal in module.SIGNALS]
        yield table(("signal", "type", "definition"), rows)
    yield "### Of URLs, with [urls]\n"
    yield signal_table(Dataset("urls", url_lists, "URL_SIGNALS"))
    yield "### Of bad words, with [bad_words]\n"
    yield signal_table(Dataset("bad_words", bad_words, "BAD_WORD_SIGNALS"))
    yield "### Of questions, with [decontaminate]\n"
    yield signal_table(Dataset("decontamination", decontaminate, "DECONTAMINATION"))
    yield "### Of repeated text, with dedup.bloom\n"
    yield signal_table(Dataset("bloom", bloom, "BLOOM"))
    yield "### Of edits\n\nMeasured where the recipe edits, or a rule mentions one.\n"
    yield table(("signal", "definition"), [(code(name), text) for name, text in edit.EDIT_SIGNALS.items()])
    yield "### Of quality\n"
    yield (
        "`quality`, from 0 (raw) to 1 (good), with a table [quality]; with `combine` also `quality_bucket`, its "
        "percentile bucket from 0 to 19. A score of [[scores]] has the name that the recipe gives it; a perplexity "
        "`ppl` also gives `ppl_log10`, the mean over words, and `ppl_unknown`, the share of unknown words.\n"
    )
    yield (
        "Rules may also use the columns of `documents`, but for the text: `url`, `domain`, `date`, `source`, "
        "`extractor`, `metadata` and the others; and every signal of your own.\n"
    )


def signal_table(*datasets: Dataset) -> str:
    """The columns of some datasets, but for the id."""
    rows = [row for dataset in datasets for row in schema_rows(dataset) if row[0] != "`id`"]
    return table(("signal", "type", "meaning"), rows)


def edit_presets() -> Iterator[str]:
    """What each preset of edits cuts."""
    yield f"{inspect.cleandoc(line_rules.__doc__ or '')}\n"
    for name, preset in line_rules.LINE_PRESETS.items():
        yield f"**`{name}`** ({preset.source})\n"
        yield table(("rule", "cuts"), [(code(rule.name), rule.cuts) for rule in preset.rules])


def question_presets() -> Iterator[str]:
    """The values of each preset of decontamination."""
    yield f"{inspect.cleandoc(decontaminate_settings.__doc__ or '')}\n"


def presets() -> Iterator[str]:
    """The presets of each published method, with what its module says about it."""
    by_module = {
        gopher: "gopher",
        c4: "c4",
        fineweb: "fineweb",
        refinedweb: "refinedweb",
        dolma: "dolma",
        redpajama2: "redpajama2",
        gpt3: "gpt3",
    }
    assert all(name.split("-")[0] in by_module.values() for name in PRESETS)
    for module, family in by_module.items():
        yield f"### {family}\n\n{inspect.cleandoc(module.__doc__ or '')}\n"
        for name in (name for name in PRESETS if name.split("-")[0] == family):
            yield from preset(name, PRESETS[name])


def preset(name: str, rules: Sequence[Rule]) -> Iterator[str]:
    """A preset: other presets that it contains by name, the rest as a table."""
    contained: list[str] = []
    rest = list(rules)
    for other in sorted(PRESETS, key=lambda other: -len(PRESETS[other])):
        is_later_name = len(PRESETS[other]) == len(rules) and list(PRESETS).index(other) <= list(PRESETS).index(name)
        if PRESETS[other] and not is_later_name and other != name and all(rule in rest for rule in PRESETS[other]):
            contained.append(other)
            rest = [rule for rule in rest if rule not in PRESETS[other]]
    title = ["= " + " + ".join(map(code, contained)) + (", and" if rest else "")] if contained else []
    sections = PRESET_SETTINGS.get(name, {}).items()
    settings = [
        f"sets `{section}.{key} = {json.dumps(value)}`" for section, keys in sections for key, value in keys.items()
    ]
    yield " ".join([f"**`{name}`**", *title, *settings]) + "\n"
    if rest:
        yield table(("rule", "keeps", "source"), [(code(rule.name), code(rule.keep), rule.source) for rule in rest])


def minhash() -> Iterator[str]:
    """The parameter sets and how likely each compares two documents."""
    shown = (0.5, 0.6, 0.7, 0.8, 0.9)
    yield (
        '`minhash = "NAME"` in `[dedup]`, or `"20x13"` for bands and rows of your own; `@` and a number after either '
        'is another `min_jaccard`: `"fineweb@0"`. The columns on the right say with what probability two documents of '
        f"this Jaccard similarity are compared: {one_line(inspect.cleandoc(s_curve.__doc__ or '').splitlines()[-1])} "
        "Every pair found is then checked, and is an edge from `min_jaccard` on; most of these methods checked none, "
        "as `min_jaccard = 0` does. Bands, rows, length of shingles and limit are as published; words and hashes are "
        "ours.\n"
    )
    rows = [
        (
            code(name),
            *map(str, (m.bands, m.rows, m.min_jaccard)),
            f"{m.shingle_chars} characters" if m.by_characters else f"{m.shingle_words} words",
            *(f"{s_curve(m.bands, m.rows, s):.3f}" for s in shown),
            MINHASH_SOURCES[name],
        )
        for name, m in MINHASH.items()
    ]
    yield table(("preset", "bands", "rows", "min_jaccard", "shingle", *map(str, shown), "source"), rows)


def stage_rows() -> list[tuple[str, str]]:
    """The stages of a recipe that has everything. Raises ValueError if STAGES is not that table."""
    everything: dict[str, Any] = {
        "name": "x",
        "input": {"paths": ["x"]},
        "language": {"min_score": "auto"},
        "signals": [{"name": "NAME", "join": "x.parquet"}],
        "dedup": {"url": True, "payload": True, "bloom": True, "lines": True, "substrings": True},
        "measure": list(OPTIONAL),
        "edits": [{"preset": "citations"}],
        "urls": {},
        "bad_words": {},
        "decontaminate": {"questions": {"x": "x"}},
        "scores": [{"name": "NAME", "kind": "logistic", "reference": ["x"]}],
        "quality": {"reference": ["x"]},
        "ablate": {"presets": ["gopher"]},
    }
    combined = {**everything, "quality": {"combine": ["NAME"]}}
    names = stage_names(everything)
    place = names.index("quality")
    names[place:place] = [name for name in stage_names(combined) if name not in names]
    if names != list(STAGES):
        raise ValueError(f"STAGES in {__file__} has {list(STAGES)}, the pipeline {names}")
    return [(code(name), writes) for name, writes in STAGES.items()]


def stage_names(recipe: Mapping[str, Any]) -> list[str]:
    """The stages of a recipe, in order."""
    found = stages(Recipe.model_validate(recipe), limit=1)
    return ["preset_NAME" if stage.name.startswith("preset_") else stage.name for stage in found]


def datasets() -> Iterator[str]:
    """The columns of each dataset."""
    missing = set(DATASETS) - {dataset.name for dataset in PARQUET}
    assert not missing, f"datasets without a schema here: {missing}"
    yield (
        f"Views of `datassay query` and of the Python door: {', '.join(map(code, DATASETS))}, `user_NAME` for each "
        "signal of your own, and `signals`, which has all columns of those that hold signals and of your own; views "
        "only: `clusters` (`cluster`, `n_documents`, `kept`), which `decisions` say.\n"
    )
    yield (
        "Three more views say which source duplicates which. `duplicates`: a row for each document that another stays "
        "for, with `kind`, and `source`, `file`, `domain` and `url` of both (`kept_source` and so on). "
        "`source_duplicates`: how many documents and bytes of one source were dropped for documents of another, and "
        "because of what. `source_pairs`: edges between the documents of two sources, whatever was decided.\n"
    )
    for dataset in PARQUET:
        yield f"### {dataset.name}\n"
        if dataset.note:
            yield dataset.note + "\n"
        if dataset.constant in SIGNAL_TABLES:
            title = SIGNAL_TABLES[dataset.constant]
            yield f"`id`, and the signals [{title.lower()}](#{title.lower().replace(' ', '-').replace(chr(39), '')}).\n"
        elif dataset.constant:
            yield table(("column", "type", "meaning"), schema_rows(dataset))
        if dataset.name == "split":
            yield one_line(docstring(assignment(dataset)[1])) + "\n"
    yield "### tokens\n"
    yield "Arrow IPC stream files; `datasets.Dataset.from_file` maps them. `ids` are without `<eos>`.\n"
    token_schema = tokens.token_schema(load_tokenizer("gpt2"))
    yield table(("column", "type"), [(code(field.name), arrow_type(field.type)) for field in token_schema])
    yield "`ids` are uint32 for more than 65 536 tokens. The schema's metadata: `tokenizer`, `vocab_size`, `eos_id`.\n"


def schema_rows(dataset: Dataset) -> list[tuple[str, str, str]]:
    """Name, type and meaning of each column; the meaning is the comment beside the field in the source."""
    statement, _ = assignment(dataset)
    source = "\n".join(inspect.getsource(dataset.module).splitlines()[statement.lineno - 1 : statement.end_lineno])
    comments = dict(re.findall(r'pa\.field\("(\w+)".*?\),?\s*#\s*(.*)', source))
    columns: pa.Schema = getattr(dataset.module, dataset.constant)
    return [
        (
            code(field.name),
            arrow_type(field.type) + (" or null" if field.nullable else ""),
            comments.get(field.name, ""),
        )
        for field in columns
    ]


def assignment(dataset: Dataset) -> tuple[ast.Assign, ast.stmt]:
    """The statement that makes the dataset's schema, and the statement after it."""
    statements = ast.parse(inspect.getsource(dataset.module)).body
    for i, statement in enumerate(statements):
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == dataset.constant:
            return statement, statements[i + 1]
    raise ValueError(f"{dataset.module.__name__} has no {dataset.constant}")


def arrow_type(kind: pa.DataType) -> str:
    """An Arrow type's name; the inside of a list or struct is spelled out."""
    if pa.types.is_list(kind):
        return f"list of {arrow_type(kind.value_type)}"
    if pa.types.is_struct(kind):
        return "(" + ", ".join(f"{field.name} {arrow_type(field.type)}" for field in kind) + ")"
    return str(kind)


def ablation_files() -> Iterator[str]:
    """The fields of the JSON files, from the dataclasses that they are written from."""
    files = {
        "plan.json": (ablation_plan.Plan, ablation_plan.PlanRow, ablation_plan.Variant, ablation_plan.Corpus),
        "cost.json": (ablation_plan.Cost,),
        "runs.jsonl, a line for each run, without `seconds`": (ablation.Run,),
        "analysis.json": (statistics.Analysis, statistics.Contrast, statistics.Noise, statistics.VariantScore),
    }
    for name, kinds in files.items():
        yield f"### {name}\n"
        for kind in kinds:
            docs = field_docs(kind)
            yield f"**{kind.__name__}**: {one_line(kind.__doc__)}\n"
            yield table(("key", "meaning"), [(code(field.name), docs.get(field.name, "")) for field in fields(kind)])


def python_door() -> Iterator[str]:
    """What `datassay.open` gives."""
    import datassay

    yield f"`datassay.open(path)`: {one_line(datassay.open.__doc__)}\n"
    rows = []
    for name, method in inspect.getmembers(RunFolder, inspect.isfunction):
        if not name.startswith("_") and method.__doc__:
            arguments = ", ".join(list(inspect.signature(method).parameters)[1:])
            rows.append((code(f".{name}({arguments})"), one_line(method.__doc__)))
    yield table(("of a run", "gives"), rows)


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
    print(TARGET)

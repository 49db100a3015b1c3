"""The command `datassay`: one way in, errors turned into messages once."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Annotated

import typer

from datassay.corpus.errors import DatassayError, RecipeError

app = typer.Typer(
    name="datassay",
    help="Refine a pretraining corpus, and measure what each step of refining is worth in loss.",
    epilog="Exit status: 0 done, 1 bug, 2 usage or recipe, 3 gate failed, 4 partial, 5 locked, "
    "6 input or disk at fault, 130 and 143 interrupted (the same command continues).",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
recipes_app = typer.Typer(help="The presets that ship, and a check of your own recipe.", no_args_is_help=True)
app.add_typer(recipes_app, name="recipes")
classifier_app = typer.Typer(help="Quality classifiers of your own, without a run.", no_args_is_help=True)
app.add_typer(classifier_app, name="classifier")
extractor_app = typer.Typer(
    help="The classifier of a page's blocks, trained on pages of your own.", no_args_is_help=True
)
app.add_typer(extractor_app, name="extractor")

index_app = typer.Typer(help="Indexes of documents that new ones are compared with.", no_args_is_help=True)
app.add_typer(index_app, name="index")

RecipePath = Annotated[Path, typer.Argument(help="The recipe, a TOML file.", metavar="RECIPE")]
RunPath = Annotated[Path, typer.Argument(help="A run folder, such as runs/crawl-en.", metavar="RUN")]
Changes = Annotated[
    list[str],
    typer.Option("--set", help="Change a key of the recipe: --set language.min_score=0.5", metavar="KEY=VALUE"),
]
Workers = Annotated[int, typer.Option(help="Processes; 0 runs everything in this one.", min=0)]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="The run folder; runs/NAME if not given.")]


@app.command()
def run(
    recipe: RecipePath,
    output: Output = None,
    until: Annotated[str | None, typer.Option(help="Stop after this stage.")] = None,
    sample: Annotated[float | None, typer.Option(help="Take this share of the pages, by hash.")] = None,
    limit: Annotated[int | None, typer.Option(help="Take this many pages, by hash.", min=1)] = None,
    changes: Changes = [],  # noqa: B006 (typer reads the default)
    workers: Workers = 2,
) -> None:
    """Run a recipe into a run folder; the same command continues a run that was stopped.

    Example: datassay run recipe.toml --workers 8
    """
    from datassay.cli.run import Request, run_recipe

    finish(run_recipe(Request(recipe, output, tuple(changes), until, sample, limit, workers)))


@app.command()
def ablate(
    recipe: RecipePath,
    output: Output = None,
    changes: Changes = [],  # noqa: B006
    workers: Workers = 2,
    plan: Annotated[bool, typer.Option("--plan", help="Print what it would cost, and stop.")] = False,
) -> None:
    """Train small GPTs on what each step kept and say what the step is worth, in bits per byte.

    Example: datassay ablate recipe.toml --set ablate.n_seeds=5
    """
    from datassay.cli.run import Request, run_recipe

    finish(run_recipe(Request(recipe, output, tuple(changes), "ablate", None, None, workers, plan_only=plan)))


@app.command()
def report(
    run: RunPath,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file; report.html in the run folder if not given.")
    ] = None,
) -> None:
    """Write the report of a run, one HTML file that opens offline.

    Example: datassay report runs/crawl-en
    """
    from datassay.cli.report.page import write_report
    from datassay.cli.run_folder import open_run

    typer.echo(write_report(open_run(run), output))


@app.command()
def why(run: RunPath, document: Annotated[str, typer.Argument(help="Id, source id or URL.", metavar="ID|URL")]) -> None:
    """Show all that is known of one document: where it came from, every signal, every rule, its duplicates.

    Example: datassay why runs/crawl-en https://example.org/page
    """
    from datassay.cli.run_folder import open_run
    from datassay.cli.why import explain

    typer.echo(explain(open_run(run), document))


@app.command()
def query(
    run: RunPath,
    sql: Annotated[
        str,
        typer.Argument(help="A SELECT over documents, signals, decisions, clusters, records, pairs, split, corpus."),
    ],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
) -> None:
    """Ask the run a question in SQL (DuckDB).

    Example: datassay query runs/crawl-en "SELECT language, count(*) FROM signals GROUP BY 1 ORDER BY 2 DESC"
    """
    from datassay.cli.query import answer
    from datassay.cli.run_folder import open_run

    typer.echo(answer(open_run(run), sql, as_csv=as_csv), nl=False)


@app.command()
def clusters(
    run: RunPath,
    top: Annotated[int | None, typer.Option(help="Show so many clusters, or members; 20 if not given.", min=1)] = None,
    member: Annotated[
        str | None, typer.Option(help="The members of the cluster of this document.", metavar="ID|URL")
    ] = None,
    diff: Annotated[
        tuple[str, str] | None, typer.Option(help="How two documents differ, in words.", metavar="ID|URL ID|URL")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, of all if there is no --top.")] = False,
) -> None:
    """The largest clusters of duplicates: which document stays and why, who its members are, how they differ.

    Example: datassay clusters runs/crawl-en --top 50
    """
    from datassay.cli.clusters import asked
    from datassay.cli.run_folder import open_run

    typer.echo(asked(open_run(run), member=member, diff=diff, top=top, as_csv=as_csv), nl=False)


@app.command()
def decide(
    run: RunPath,
    changes: Changes = [],  # noqa: B006
    rules: Annotated[
        list[str], typer.Option("--rule", help="Add a rule, or replace that of its name.", metavar="NAME=CONDITION")
    ] = [],  # noqa: B006
    without: Annotated[list[str], typer.Option(help="Leave out a rule.", metavar="NAME")] = [],  # noqa: B006
    recipe: Annotated[Path | None, typer.Option(help="Decide as this recipe does.", metavar="RECIPE")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A Parquet file for the decisions, with every reason.")
    ] = None,
) -> None:
    """Decide again by other rules and limits, from what the run has measured; the run stays as it is.

    Example: datassay decide runs/crawl-en --set "quality.keep=top 20%" --rule "word_count=word_count >= 100"
    """
    from datassay.cli.redecide import Change, redecide
    from datassay.cli.run_folder import open_run

    change = Change(tuple(changes), tuple(rules), tuple(without), recipe)
    typer.echo(redecide(open_run(run), change, output), nl=False)


@app.command("what-if")
def what_if(
    run: RunPath,
    signal: Annotated[str, typer.Argument(help="Such as word_count or quality.", metavar="SIGNAL")],
    steps: Annotated[int, typer.Option(help="Thresholds: so many quantiles.", min=2)] = 20,
    among: Annotated[
        str, typer.Option(help="passing: what all else lets through; all: all that may be kept.")
    ] = "passing",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
) -> None:
    """Documents and tokens kept along the threshold of one signal.

    Example: datassay what-if runs/crawl-en word_count
    """
    from datassay.cli.run_folder import open_run
    from datassay.cli.what_if import kept_along

    answer = kept_along(open_run(run), signal, steps=steps, among=among)
    typer.echo(answer.as_csv() if as_csv else answer.as_text(), nl=False)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="A run folder, or a recipe.", metavar="A")],
    second: Annotated[Path, typer.Argument(help="A run folder, or a recipe.", metavar="B")],
    on: Annotated[
        Path | None,
        typer.Option(help="The run that recipes decide over; else the one that is compared.", metavar="RUN"),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with both side by side, too.", metavar="FILE")] = None,
) -> None:
    """How far two runs, or a run and another recipe, decide alike, and why where they do not.

    Example: datassay compare runs/crawl-en fineweb.toml --html compare.html
    """
    from datassay.cli.compare import compare as compare_decisions

    typer.echo(compare_decisions(first, second, on=on, html=html), nl=False)


@app.command()
def audit(
    run: RunPath,
    factor: Annotated[float, typer.Option(help="Flag groups that are surely hit so many times as hard.", min=1)] = 3.0,
    min_documents: Annotated[int, typer.Option(help="Flag no smaller group.", min=1)] = 30,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print every rule and group as CSV.")] = False,
) -> None:
    """Which languages, domains, lengths, sources and scripts each rule hits harder than others.

    Example: datassay audit runs/crawl-en --factor 2
    """
    from datassay.cli.audit import as_csv as csv_of
    from datassay.cli.audit import as_text
    from datassay.cli.audit import audit as audit_run
    from datassay.cli.run_folder import open_run

    groups = audit_run(open_run(run), factor=factor, min_documents=min_documents)
    text = csv_of(groups) if as_csv else as_text(groups, factor=factor, min_documents=min_documents)
    typer.echo(text, nl=False)


@app.command()
def train(
    run: RunPath,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the model.")] = Path("model"),
    preset: Annotated[str, typer.Option(help="Shape: xs, s, m, l, gpt3-125m to gpt3-175b.")] = "xs",
    tokens: Annotated[int | None, typer.Option(help="Training tokens; one epoch if not given.", min=1)] = None,
    seq_len: Annotated[int, typer.Option(help="Tokens of context.")] = 128,
    batch_tokens: Annotated[int, typer.Option(help="Tokens of an optimizer step.")] = 1024,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 1e-3,
    optimizer: Annotated[str, typer.Option(help="adamw, adam, sgd, lion or muon.")] = "adamw",
    schedule: Annotated[str, typer.Option(help="linear, cosine, wsd or constant.")] = "linear",
    seed: Annotated[int, typer.Option(help="Seed of the weights and of the order of the documents.")] = 0,
    threads: Annotated[int, typer.Option(help="Threads; another number gives other last bits.", min=1)] = 1,
) -> None:
    """Train a GPT on the refined corpus of a run; the same command continues a training that was stopped.

    Example: datassay train runs/crawl-en -o models/small --preset s --tokens 5000000
    """
    from datassay.cli.models import train_model
    from datassay.cli.run_folder import open_run

    settings = {
        "preset": preset,
        "n_tokens": tokens,
        "seq_len": seq_len,
        "batch_tokens": batch_tokens,
        "lr": lr,
        "optimizer": optimizer,
        "schedule": schedule,
        "seed": seed,
        "threads": threads,
    }
    typer.echo(train_model(open_run(run), output, settings))


@app.command()
def extract(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="HTML, WARC, Parquet or JSON lines files, folders, URLs, or text files with a URL a line.",
            metavar="INPUT",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Rows as .jsonl or .parquet; standard output if not given.")
    ] = None,
    profile: Annotated[str, typer.Option(help="fast, balanced or quality.")] = "balanced",
    max_routed: Annotated[float | None, typer.Option(help="Share of the pages for trafilatura at most.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Write Markdown.")] = False,
    links: Annotated[bool, typer.Option("--links", help="Write addresses of links.")] = False,
    images: Annotated[bool, typer.Option("--images", help="Write alternative texts of images.")] = False,
    comments: Annotated[
        bool | None, typer.Option("--comments/--no-comments", help="Readers' comments; else as the classifier says.")
    ] = None,
    tables: Annotated[bool, typer.Option("--tables/--no-tables", help="Tables of data.")] = True,
    code: Annotated[bool, typer.Option("--code/--no-code", help="Preformatted blocks.")] = True,
    html: Annotated[str | None, typer.Option(help="The column of rows that holds HTML.", metavar="COLUMN")] = None,
    model: Annotated[Path | None, typer.Option(help="A classifier of blocks of your own, .npz.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first pages.", min=1)] = None,
    other: Annotated[
        str | None,
        typer.Option(
            "--compare",
            help="Write no texts, but compare with fast, balanced, quality, trafilatura, trafilatura-recall, "
            "resiliparse, readability-lxml, justext or model:FILE.",
            metavar="OTHER",
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the comparison as a page, too.", metavar="FILE")] = None,
) -> None:
    """Extract the main text of pages, without a run: of one page as text, of more as rows with metadata.

    Example: datassay extract crawl.warc.gz -o texts.parquet
    """
    from datassay.cli.extract import Request, compare_inputs, extract_inputs, settings_of

    if report is not None and other is None:
        raise RecipeError("--report is of a comparison: add --compare, such as --compare trafilatura")
    settings = settings_of(
        profile=profile,
        max_routed=max_routed,
        markdown=markdown,
        links=links,
        images=images,
        comments=comments,
        tables=tables,
        code=code,
    )
    request = Request(inputs, settings, output, model, html, limit)
    if other is not None:
        typer.echo(compare_inputs(request, other, report), nl=False)
        return
    status, said = extract_inputs(request)
    typer.echo(said, nl=False, err=True)
    finish(status)


MinHashName = Annotated[
    str | None,
    typer.Option(
        help="A preset or BANDSxROWS, with @LIMIT for another limit; the run's own, or the default.", metavar="MINHASH"
    ),
]


Paths = Annotated[list[str], typer.Argument(help="Files, folders, patterns or URLs.", metavar="FILES")]
KeepBy = Annotated[str, typer.Option(help="Which copy stays: quality, length, date, source, in this order.")]
SourcePriority = Annotated[
    list[str], typer.Option(help="For source: names of files or patterns, the first preferred.", metavar="PATTERN")
]


@app.command()
def dedup(
    files: Paths,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of the run.")] = Path("runs/dedup"),
    minhash: MinHashName = None,
    min_jaccard: Annotated[float | None, typer.Option(help="True similarity from which on they are copies.")] = None,
    near: Annotated[bool, typer.Option("--near/--no-near", help="Find near duplicates.")] = True,
    exact: Annotated[bool, typer.Option("--exact/--no-exact", help="Find copies of the same text first.")] = True,
    keep_by: KeepBy = "quality,length,date",
    source_priority: SourcePriority = [],  # noqa: B006
    text: Annotated[str | None, typer.Option(help="The column with the text, if not `text`.")] = None,
    source_id: Annotated[str | None, typer.Option(help="The column with your own id, if not `id`.")] = None,
    quality: Annotated[str | None, typer.Option(help="A column of scores, for --keep-by.")] = None,
    date: Annotated[str | None, typer.Option(help="A column of dates, for --keep-by.")] = None,
    against: Annotated[list[Path], typer.Option(help="An index to compare with, too.", metavar="INDEX")] = [],  # noqa: B006
    among_new: Annotated[bool, typer.Option("--self/--no-self", help="Compare the files with each other, too.")] = True,
    append: Annotated[Path | None, typer.Option(help="Add the documents to this index.", metavar="INDEX")] = None,
    batch: Annotated[str | None, typer.Option(help="Stands before the files' names, and in the index.")] = None,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Only plant edited copies and say how many are found.")
    ] = False,
    workers: Workers = 2,
) -> None:
    """Find the copies in files of texts: kept.parquet says what stays, duplicates.parquet what goes and for what.

    Example: datassay dedup crawl/*.parquet -o runs/dedup --minhash fineweb
    """
    if self_test:
        from datassay.cli.self_test import self_test_of

        if against or append or not near:
            raise RecipeError(
                "--self-test only searches copies that it plants: leave --against, --append, --no-near out"
            )
        result = self_test_of(files, minhash=minhash, text=text or "text", min_jaccard=min_jaccard)
        typer.echo(result.as_text(), nl=False)
        raise typer.Exit(result.exit_status)
    from datassay.cli.dedup import Request, dedup_files

    fields = {"text": text, "source_id": source_id, "quality": quality, "date": date}
    status, said = dedup_files(
        Request(
            paths=files,
            output=output,
            minhash=minhash,
            min_jaccard=min_jaccard,
            near=near,
            exact=exact,
            keep_by=tuple(part.strip() for part in keep_by.split(",")),
            source_priority=tuple(source_priority),
            fields={name: value for name, value in fields.items() if value is not None},
            against=against,
            among_new=among_new,
            append=append,
            batch=batch,
            workers=workers,
        )
    )
    typer.echo(said, nl=False)
    finish(status)


@app.command("dedup-self-test")
def dedup_self_test(
    sources: Annotated[list[str], typer.Argument(help="Files of texts, or a run folder.", metavar="FILES|RUN")],
    minhash: MinHashName = None,
    text: Annotated[str, typer.Option(help="The field with the text.")] = "text",
    documents: Annotated[int, typer.Option(help="Documents to search, by hash.", min=1)] = 10_000,
    copies: Annotated[int, typer.Option(help="Edited copies to plant among them.", min=1)] = 2_000,
    seed: Annotated[int, typer.Option(help="Another seed takes other documents and edits.", min=0)] = 0,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the rows of the tables as CSV.")] = False,
) -> None:
    """Plant edited copies among your documents and compare what is found of them with the S-curve.

    Ends with status 3 if significantly fewer are found, or if a pair that was found is false.
    Example: datassay dedup-self-test crawl.parquet --minhash fineweb
    """
    from datassay.cli.self_test import self_test_of

    found = self_test_of(sources, minhash=minhash, text=text, n_documents=documents, n_copies=copies, seed=seed)
    typer.echo(found.as_csv() if as_csv else found.as_text(), nl=False)
    finish(found.exit_status)


IndexPath = Annotated[Path, typer.Argument(help="An index, made by `datassay dedup --append`.", metavar="INDEX")]


@index_app.command("info")
def index_info(index: IndexPath) -> None:
    """Say what an index is made with and what is in it.

    Example: datassay index info corpus.index
    """
    from datassay.cli.dedup import index_says

    typer.echo(index_says(index), nl=False)


@index_app.command("keep")
def index_keep(
    index: IndexPath,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for kept and duplicates.")],
    keep_by: KeepBy = "quality,length,date",
    source_priority: SourcePriority = [],  # noqa: B006
) -> None:
    """Choose among all documents of an index as if they had come in one run, in whatever order they came.

    Example: datassay index keep corpus.index -o runs/all
    """
    from datassay.cli.dedup import keep_of_index

    criteria = tuple(part.strip() for part in keep_by.split(","))
    typer.echo(keep_of_index(index, output, keep_by=criteria, source_priority=tuple(source_priority)), nl=False)


@index_app.command("compact")
def index_compact(index: IndexPath) -> None:
    """Put the small shards of an index together; what is found stays the same.

    Example: datassay index compact corpus.index
    """
    from datassay.cli.dedup import compact_index

    typer.echo(compact_index(index), nl=False)


ModelPath = Annotated[Path, typer.Argument(help="Folder of a model, made by `datassay train`.", metavar="MODEL")]


@app.command()
def evaluate(
    model: ModelPath,
    texts: Annotated[
        list[str], typer.Argument(help="Parquet, JSON lines or text files; a field `domain` groups them.")
    ],
) -> None:
    """Bits per byte of a model on texts, for each domain, with an interval over documents.

    Example: datassay evaluate models/small validation/*.parquet
    """
    from datassay.cli.models import evaluate_model

    typer.echo(evaluate_model(model, texts), nl=False)


@app.command()
def generate(
    model: ModelPath,
    prompt: Annotated[str, typer.Argument(help="What the text begins with.")] = "",
    tokens: Annotated[int, typer.Option(help="Tokens to add at most.", min=1)] = 200,
    temperature: Annotated[float, typer.Option(help="0 takes the likeliest token.", min=0)] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Choose among this many tokens.", min=1)] = None,
    top_p: Annotated[float, typer.Option(help="Choose among the likeliest tokens of this probability.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same text.")] = 0,
) -> None:
    """Let a model go on with a text.

    Example: datassay generate models/small "It was a dark and stormy" --temperature 0.8
    """
    from datassay.cli.models import generate_text

    settings = {"n_tokens": tokens, "temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    typer.echo(generate_text(model, prompt, settings))


@recipes_app.command("list")
def list_recipes() -> None:
    """Name the presets of rules, of edits and of near-duplicate detection, with their source.

    Example: datassay recipes list
    """
    from datassay.cli.recipes import listing

    typer.echo(listing(), nl=False)


@recipes_app.command("show")
def show_recipe(
    name: Annotated[str, typer.Argument(help="A preset of rules or edits, `schema`, or a recipe file.")],
) -> None:
    """Show the rules and edits of a preset, a recipe with every default filled in, or the JSON schema of recipes.

    Example: datassay recipes show gopher
    """
    from datassay.cli.recipes import show

    typer.echo(show(name), nl=False)


@recipes_app.command("check")
def check_recipe(recipe: RecipePath, changes: Changes = []) -> None:  # noqa: B006
    """Check a recipe without running it: keys, values, rules against the signals there are, and inputs.

    Example: datassay recipes check recipe.toml
    """
    from datassay.cli.recipes import check

    typer.echo(check(recipe, changes))


@recipes_app.command("curve")
def show_curves(
    presets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Presets or BANDSxROWS, with @LIMIT for another limit; all presets if not given.", metavar="MINHASH"
        ),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the points of the curves as CSV.")] = False,
) -> None:
    """Show the S-curves of MinHash settings side by side, and what each costs.

    Example: datassay recipes curve fineweb datassay 20x13@0.8
    """
    from datassay.cli.curve import curves

    typer.echo(curves(presets or [], as_csv=as_csv), nl=False)


ClassifierPath = Annotated[Path, typer.Argument(help="A classifier: .bin, .ftz or .npz.", metavar="CLASSIFIER")]
Label = Annotated[str, typer.Option(help="A fastText model's label for good text.")]


@classifier_app.command("train")
def train_classifier(
    good: Annotated[list[str], typer.Argument(help="Files of good text.", metavar="GOOD")],
    raw: Annotated[list[str], typer.Option("--raw", help="Files of raw, or bad, text.", metavar="FILE")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The model: .bin, or .npz if logistic.")],
    kind: Annotated[str, typer.Option(help="fasttext (DCLM) or logistic (GPT-3).")] = "fasttext",
    epochs: Annotated[int, typer.Option(help="fastText: passes over the training lines.", min=1)] = 5,
    seed: Annotated[int, typer.Option(help="Another seed takes other documents.")] = 0,
) -> None:
    """Train a classifier of good text against raw text, and say what it is worth on held-out documents.

    Example: datassay classifier train good.parquet --raw crawl.parquet -o quality.bin
    """
    from datassay.cli.classifiers import checked_settings, train_from_files

    settings = checked_settings(kind=kind, seed=seed, **({"epochs": epochs} if kind == "fasttext" else {}))
    typer.echo(train_from_files(good, raw, output, settings), nl=False)


@classifier_app.command("evaluate")
def evaluate_classifier(
    classifier: ClassifierPath,
    labelled: Annotated[str, typer.Argument(help="Texts with a label: 1, good or high against 0, bad or low.")],
    text: Annotated[str, typer.Option(help="The field with the text.")] = "text",
    label: Annotated[str, typer.Option(help="The field with the label.")] = "label",
    good_label: Label = "good",
) -> None:
    """AUC and calibration of a classifier on labelled texts, beside what their length alone says.

    Example: datassay classifier evaluate quality.bin labelled.parquet
    """
    from datassay.cli.classifiers import evaluate_file
    from datassay.filters.quality_settings import QualityScoring

    settings = QualityScoring(label=good_label)
    typer.echo(evaluate_file(classifier, labelled, text=text, label=label, settings=settings), nl=False)


@classifier_app.command("score")
def score_texts(
    classifier: ClassifierPath,
    texts: Annotated[list[str], typer.Argument(help="Files of texts.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A Parquet file: id, source_id, quality.")],
    good_label: Label = "good",
) -> None:
    """Score texts with a classifier; the file can be joined to a run as a signal.

    Example: datassay classifier score quality.bin crawl.parquet -o scores.parquet
    """
    from datassay.cli.classifiers import score_files
    from datassay.filters.quality_settings import QualityScoring

    n = score_files(classifier, texts, output, settings=QualityScoring(label=good_label))
    typer.echo(f"{output}: {n} documents scored")


Pages = Annotated[
    list[str],
    typer.Argument(
        help="JSON lines or Parquet: html, text, and optionally weight, group, other_text.", metavar="PAGES"
    ),
]
Group = Annotated[
    str | None,
    typer.Option(
        help="The field that names a page's group, such as its site; `group`, if there is one.", metavar="FIELD"
    ),
]


@extractor_app.command("train")
def train_extractor(
    pages: Pages,
    output: Annotated[Path, typer.Option("--output", "-o", help="The model, a file that ends in .npz.")],
    group: Group = None,
    seed: Annotated[int, typer.Option(help="Another seed draws other pages and features for each tree.", min=0)] = 1,
) -> None:
    """Train the classifier of blocks that finds a page's main text, on pages whose text is known.

    Example: datassay extractor train pages.jsonl.zst --group site -o mine.npz
    """
    from datassay.cli.extractor import train_from_pages

    typer.echo(train_from_pages(pages, output, seed=seed, group=group), nl=False)


@extractor_app.command("evaluate")
def evaluate_extractor(
    pages: Pages,
    model: Annotated[Path | None, typer.Option(help="The model; if not given, cross-validation.")] = None,
    folds: Annotated[int | None, typer.Option(help="Of cross-validation; 5 if not given.", min=2)] = None,
    group: Group = None,
    seed: Annotated[int | None, typer.Option(help="Of cross-validation; 1 if not given.", min=0)] = None,
) -> None:
    """F1, precision and recall of a classifier of blocks on pages whose text is known, beside the one that ships.

    Example: datassay extractor evaluate pages.jsonl.zst --group site
    """
    from datassay.cli.extractor import evaluate_pages

    typer.echo(evaluate_pages(pages, model, n_folds=folds, seed=seed, group=group), nl=False)


def finish(exit_status: int) -> None:
    """End the process with a status that is not an error's."""
    if exit_status:
        raise typer.Exit(exit_status)


def main() -> None:
    """Run the command; a DatassayError becomes one message on stderr and its own exit status."""
    gc.set_threshold(50_000)  # at 700, loading modules means looking through all of them again and again: 0.08 s
    try:
        app()
    except DatassayError as error:
        print(f"datassay: {error}", file=sys.stderr)
        raise SystemExit(error.exit_status) from error

"""The command `datassay`: one way in, errors turned into messages once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from datassay.corpus.errors import DatassayError

app = typer.Typer(
    name="datassay",
    help="Refine a pretraining corpus, and measure what each step of refining is worth in loss.",
    epilog="Exit status: 0 done, 1 bug, 2 usage or recipe, 4 partial, 5 locked, "
    "6 input or disk at fault, 130 and 143 interrupted (the same command continues).",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
recipes_app = typer.Typer(help="The presets that ship, and a check of your own recipe.", no_args_is_help=True)
app.add_typer(recipes_app, name="recipes")

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
        str, typer.Argument(help="A SELECT over documents, signals, decisions, records, pairs, split, corpus.")
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
    """Name the presets of rules and of near-duplicate detection, with their source.

    Example: datassay recipes list
    """
    from datassay.cli.recipes import listing

    typer.echo(listing(), nl=False)


@recipes_app.command("show")
def show_recipe(name: Annotated[str, typer.Argument(help="A preset of rules, `schema`, or a recipe file.")]) -> None:
    """Show the rules of a preset, a recipe with every default filled in, or the JSON schema of recipes.

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


def finish(exit_status: int) -> None:
    """End the process with a status that is not an error's."""
    if exit_status:
        raise typer.Exit(exit_status)


def main() -> None:
    """Run the command; a DatassayError becomes one message on stderr and its own exit status."""
    try:
        app()
    except DatassayError as error:
        print(f"datassay: {error}", file=sys.stderr)
        raise SystemExit(error.exit_status) from error

"""What a profile of extraction is worth: loss of small GPTs trained on the text of each, at equal tokens.

    python benchmarks/profile_loss.py examples/sample.toml --work FOLDER

Runs the recipe with `[extract] profile` as fast, balanced and quality, all else alike, and trains the recipe's ablation
model on what all steps keep of each: the same tokens to read, seeds, tokenizer (that of `balanced`) and validation
texts, which no extractor has touched. Prints bits per byte and the differences to `balanced`, with 95 % intervals by
the residual of variants and seeds, as the ablation does (docs/method.md).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from datassay.cli.ablate import train_settings
from datassay.cli.recipe import load_recipe
from datassay.cli.run_folder import RunFolder, open_run
from datassay.corpus.engine import Inputs, LocalEngine, Task
from datassay.model.ablation import read_scores, train_variant
from datassay.model.statistics import Comparison, analyse

PROFILES = ("balanced", "fast", "quality")
N_WORKERS = 2


def refine(recipe: Path, profile: str, work: Path) -> RunFolder:
    """The run of a profile, up to the tokens of its ablation."""
    changes = [f"extract.profile={profile}"]
    if profile != PROFILES[0]:
        tokenizer = open_run(work / PROFILES[0]).file("ablation_tokenizer", "tokenizer")
        changes.append(f"ablate.tokenizer={tokenizer.resolve()}")
    options = [word for change in changes for word in ("--set", change)]
    command = [sys.executable, "-m", "datassay", "run", str(recipe), "-o", str(work / profile), *options]
    subprocess.run([*command, "--until", "validation_tokens", "--workers", str(N_WORKERS)], check=True)
    return open_run(work / profile)


def kept_by_all_steps(run: RunFolder) -> Path:
    kinds = [variant["kind"] for variant in run.manifest["variants"]]
    last = max(i for i, kind in enumerate(kinds) if kind == "cumulative")
    return run.files("variants", "kept")[last]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    ablate = load_recipe(options.recipe).ablate
    if ablate is None:
        parser.error(f"{options.recipe} has no [ablate]")
    runs = {profile: refine(options.recipe, profile, options.work) for profile in PROFILES}
    domains = sorted(ablate.validation)
    tasks = {}
    for profile, run in runs.items():
        texts = zip(domains, run.files("validation_tokens", "tokens"), strict=True)
        inputs = Inputs(
            {
                "tokens": tuple(run.files("ablation_tokens", "tokens")),
                "kept": (kept_by_all_steps(run),),
                **{f"validation/{domain}": (path,) for domain, path in texts},
            }
        )
        for seed in range(options.seeds):
            settings = train_settings(ablate).model_copy(update={"seed": seed})
            key = f"{profile}-{seed}"
            tasks[profile, seed] = Task(train_variant, inputs, settings, options.work / "trained" / key, 0, key)
    with LocalEngine(N_WORKERS) as engine:
        for done in engine.run(list(tasks.values())):
            print(done.key, flush=True)
    scores = [score for (profile, seed), task in tasks.items() for score in read_scores(task, profile, seed)]
    analysis = analyse(scores, [Comparison(name, "preset", name, PROFILES[0]) for name in PROFILES[1:]])
    for score in analysis.scores:
        print(f"{score.domain:10} {score.variant:9} {score.bpb:.4f}  " + " ".join(f"{x:.4f}" for x in score.by_seed))
    for found in analysis.contrasts:
        print(
            f"{found.domain:10} {found.variant} less {found.versus}: {found.difference:+.4f} "
            f"[{found.low:+.4f}, {found.high:+.4f}] {found.verdict} (would have seen {found.smallest_detectable:.3f})"
        )


if __name__ == "__main__":
    main()

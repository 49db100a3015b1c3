"""Prove each step: train a small GPT on what each step keeps, with the same seeds, and compare the losses.

Every run (one variant, one seed) is a task of its own, known by a hash of all that it depends on. So an ablation that
was killed goes on where it stopped, one with more seeds or steps trains only what is new, and the result is the same
bytes however it came about. Runs are single-threaded processes side by side: for small models on a CPU that beats one
process with many threads (1.2 to 1.4 times, measured).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datassay.corpus.engine import Inputs, LocalEngine, Task
from datassay.corpus.errors import RecipeError, StoreError
from datassay.corpus.hashing import file_hash, settings_key
from datassay.corpus.store import Outputs, done_path, read_done, read_json, remove_leftovers, whole_file, write_json
from datassay.corpus.tokens import open_tokens
from datassay.model.ablation_plan import Corpus, Cost, Plan, PlanRow
from datassay.model.shared_tokenizer import kept_ids
from datassay.model.statistics import Analysis, Score, analyse

if TYPE_CHECKING:  # torch takes seconds to import, and only the workers need it
    from datassay.model.gpt import GPT
    from datassay.model.train import TrainSettings

VALIDATION = "validation/"
"""Before the domain, in the names of a run's inputs."""

VERSION = 1
"""Raised by hand whenever a run's bytes change."""

MAX_CURVE_POINTS = 100
PROBE_STEPS = (5, 25)
"""Steps of the two probes whose difference in time is that of a step."""

SCORES = pa.schema(
    [
        pa.field("domain", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("nats", pa.float64(), nullable=False),  # summed over the document's tokens
        pa.field("n_bytes", pa.int64(), nullable=False),  # of its UTF-8 text
    ]
)


@dataclass(frozen=True, slots=True)
class AblationData:
    """Token shards, all made by the one tokenizer."""

    tokens: tuple[Path, ...]
    """Of every document that any variant keeps, each once."""
    validation: Mapping[str, tuple[Path, ...]]
    """By domain."""
    edited: tuple[Path, ...] = ()
    """Of the same documents after the recipe's edits, if it has any."""

    def shards(self, *, is_edited: bool) -> tuple[Path, ...]:
        """The token shards that a variant with or without the edits reads."""
        return self.edited if is_edited else self.tokens


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run."""

    variant: str
    seed: int
    key: str
    n_tokens: int
    epochs: float
    n_params: int
    curve: tuple[tuple[int, float], ...]
    """(tokens read, training loss in nats per token), at most `MAX_CURVE_POINTS`, each the mean of its stretch."""
    bpb: dict[str, float]
    """Bits per byte by domain."""
    seconds: float
    """Of the attempt that finished; not part of the result."""


@dataclass(frozen=True, slots=True)
class Ablation:
    """What an ablation showed."""

    plan: Plan
    analysis: Analysis
    runs: tuple[Run, ...]


def survey(data: AblationData, kept: Path, *, is_edited: bool = False) -> Corpus:
    """How much a variant is: documents, tokens (with an `<eos>` each), bytes, and the hash of what it reads.

    kept:      Parquet with a column `id`
    is_edited: whether it reads the texts after the recipe's edits
    Raises StoreError if it names a document that no token shard holds.
    """
    ids = kept_ids(kept)
    n_documents = n_tokens = n_bytes = 0
    shards = data.shards(is_edited=is_edited)
    for path in shards:
        shard = open_tokens(path)
        mask = pc.is_in(shard.document_ids, value_set=ids).to_numpy()
        n_documents += int(mask.sum())
        n_tokens += int(shard.lengths[mask].sum() + mask.sum())
        n_bytes += int(shard.n_bytes[mask].sum())
    if n_documents != len(ids):
        raise StoreError(f"{kept}: names {len(ids)} documents, of which the token shards hold {n_documents}")
    content = settings_key(sorted(ids.to_pylist()), [file_hash(path) for path in shards])
    return Corpus(kept, n_documents, n_tokens, n_bytes, content, is_edited)


def probe(data: AblationData, corpus: Corpus, settings: TrainSettings, *, n_workers: int) -> Cost:
    """What a run costs on this machine, with all workers busy. Takes seconds and keeps nothing."""
    with TemporaryDirectory() as scratch:
        tasks = []
        # The first round warms up and is not counted.
        for i, n_steps in enumerate([PROBE_STEPS[0]] * 2 * n_workers + [PROBE_STEPS[1]] * n_workers):
            run_settings = settings.model_copy(update={"n_tokens": n_steps * settings.batch_tokens})
            tasks.append(_task(data, corpus, run_settings, folder=Path(scratch) / str(i), key=str(i)))
        with LocalEngine(n_workers) as engine:
            done = {result.key for result in engine.run(tasks)}
        seconds = [_seconds(Path(scratch) / str(i)) for i in range(len(done))]
    short, long = (np.mean(seconds[from_ * n_workers : (from_ + 1) * n_workers]) for from_ in (1, 2))
    per_step = max(float(long - short) / (PROBE_STEPS[1] - PROBE_STEPS[0]), 1e-6)
    return Cost(per_step, max(float(short) - PROBE_STEPS[0] * per_step, 0.0))


def run_ablation(
    plan: Plan,
    data: AblationData,
    settings: TrainSettings,
    *,
    folder: Path,
    n_workers: int,
    on_start: Callable[[int, int], None] = lambda *_: None,
    on_done: Callable[[str], None] = lambda *_: None,
    target: str | None = None,
) -> Ablation:
    """Train and evaluate every run of the plan that is not done yet, and analyse them all.

    settings: of every run; seed and number of tokens come from the plan
    folder:   runs/KEY/ for each run, runs.jsonl in the order of the plan, analysis.json
    on_start: hears how many runs there are and how many were done before; on_done the key of each that is done

    A run whose process dies is tried again; whatever stops this function leaves finished runs for the next call.
    Raises RecipeError if a run's loss is not finite.
    """
    settings = settings.model_copy(update={"n_tokens": plan.n_tokens})
    tasks = plan_tasks(plan, data, settings, folder=folder)
    remove_leftovers(folder)
    todo = [task for task in tasks if not _is_done(task)]
    on_start(len(tasks), len(tasks) - len(todo))
    with LocalEngine(n_workers) as engine:
        for done in engine.run(todo):
            on_done(done.key)
    return read_ablation(plan, tasks, folder=folder, target=target)


def plan_tasks(plan: Plan, data: AblationData, settings: TrainSettings, *, folder: Path) -> list[Task]:
    """One task for each run of the plan, in its order."""
    from datassay.model.runtime import machine

    contents = [
        VERSION,
        {domain: [file_hash(path) for path in paths] for domain, paths in sorted(data.validation.items())},
        machine(settings.precision),
    ]
    tasks = []
    for seed, row in plan.runs:
        run_settings = settings.model_copy(update={"seed": seed})
        key = settings_key(run_settings.model_dump(mode="json"), row.corpus.content, contents)
        tasks.append(_task(data, row.corpus, run_settings, folder=folder / "runs" / key, key=key))
    return tasks


def _task(data: AblationData, corpus: Corpus, settings: TrainSettings, *, folder: Path, key: str) -> Task:
    validation = {f"{VALIDATION}{domain}": paths for domain, paths in data.validation.items()}
    inputs = Inputs({"tokens": data.shards(is_edited=corpus.is_edited), "kept": (corpus.kept,), **validation})
    return Task(train_variant, inputs, settings, folder, 0, key)


def _is_done(task: Task) -> bool:
    done = read_done(done_path(task.folder, task.index))
    return done is not None and done.key == task.key


def read_ablation(plan: Plan, tasks: Sequence[Task], *, folder: Path, target: str | None = None) -> Ablation:
    """The ablation as far as it is done; writes runs.jsonl and analysis.json.

    Raises RecipeError if fewer than two seeds are finished for all variants.
    """
    runs: list[Run] = []
    scores: list[Score] = []
    for (seed, row), task in zip(plan.runs, tasks, strict=True):
        if _is_done(task):
            found = read_scores(task, row.variant.name, seed)
            scores += found
            runs.append(_read_run(task, row, seed, bpb={score.domain: score.bpb for score in found}))
    try:
        analysis = analyse(scores, plan.comparisons, same_as=plan.same_as, target=target)
    except ValueError as error:
        raise RecipeError(f"{folder}: {error}") from error
    with whole_file(folder / "runs.jsonl") as path:
        path.write_bytes(b"".join(orjson.dumps(_without_seconds(run)) + b"\n" for run in runs))
    write_json(folder / "analysis.json", analysis)
    return Ablation(plan, analysis, tuple(runs))


def train_variant(inputs: Inputs, settings: TrainSettings, out: Outputs) -> None:
    """One run: train on the documents `kept` of `tokens`, evaluate on every `validation/DOMAIN`.

    Writes `run` (JSON), `scores` (SCORES) and `timing` (JSON, all that differs between two attempts). Raises
    TrainingError if a loss is not finite.
    """
    from datassay.model.data import TokenStream
    from datassay.model.train import train

    started = time.perf_counter()
    shards = [open_tokens(path) for path in inputs.all("tokens")]
    stream = TokenStream(shards, kept_ids(inputs.one("kept")), seed=settings.seed)
    result = train(settings, stream)
    with out.parquet("scores", SCORES) as scores:
        for batch in _evaluate(result.model, inputs, settings):
            scores.write(batch)
    record = {
        "n_params": result.model.n_params,
        "n_tokens": result.n_tokens,
        "epochs": result.epochs,
        "curve": thin([(loss.n_tokens, loss.nats) for loss in result.losses], MAX_CURVE_POINTS),
    }
    with out.file("run", ".json") as path:
        path.write_bytes(orjson.dumps(record, option=orjson.OPT_SORT_KEYS))
    with out.file("timing", ".json") as path:
        path.write_bytes(orjson.dumps({"seconds": time.perf_counter() - started}))


def _evaluate(model: GPT, inputs: Inputs, settings: TrainSettings) -> Iterator[pa.RecordBatch]:
    """The scores of each validation shard, by name of domain. Raises TrainingError if a loss is not finite."""
    from datassay.model.evaluate import evaluate
    from datassay.model.runtime import best_device, deterministic
    from datassay.model.train import TrainingError

    for name in sorted(inputs.files):
        if not name.startswith(VALIDATION):
            continue
        domain = name.removeprefix(VALIDATION)
        for path in inputs.all(name):
            with deterministic(settings.threads, best_device()):
                found = evaluate(model, open_tokens(path), precision=settings.precision)
            if not np.isfinite(found.nats).all():
                raise TrainingError(f"the loss on domain {domain!r} is not finite; try a lower lr")
            columns = [[domain] * len(found.nats), found.document_ids, found.nats, found.n_bytes]
            yield pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=SCORES)


def thin(curve: Sequence[tuple[int, float]], n_points: int) -> list[tuple[int, float]]:
    """A loss curve of at most `n_points`, each at the end of its stretch and the mean of the stretch's losses."""
    ends = np.unique(np.linspace(0, len(curve), n_points + 1).astype(np.int64))  # 0, …, len(curve)
    return [
        (curve[end - 1][0], float(np.mean([loss for _, loss in curve[begin:end]]))) for begin, end in pairwise(ends)
    ]


def _without_seconds(run: Run) -> dict[str, object]:
    """A run as a JSON object, without what differs between two attempts."""
    return {field.name: getattr(run, field.name) for field in fields(run) if field.name != "seconds"}


def _read_run(task: Task, row: PlanRow, seed: int, *, bpb: dict[str, float]) -> Run:
    record = read_json(_file(task.folder, "run", ".json"))
    return Run(
        variant=row.variant.name,
        seed=seed,
        key=task.key,
        n_tokens=record["n_tokens"],
        epochs=record["epochs"],
        n_params=record["n_params"],
        curve=tuple((n_tokens, loss) for n_tokens, loss in record["curve"]),
        bpb=bpb,
        seconds=_seconds(task.folder),
    )


def read_scores(task: Task, variant: str, seed: int) -> list[Score]:
    """What a finished run of `train_variant` scored, domain by domain."""
    table = pq.read_table(_file(task.folder, "scores", ".parquet"))
    domains = table.column("domain").to_numpy()
    nats, n_bytes = table.column("nats").to_numpy(), table.column("n_bytes").to_numpy()
    return [
        Score(variant, seed, domain, nats[domains == domain], n_bytes[domains == domain])
        for domain in sorted(set(domains))
    ]


def _seconds(folder: Path) -> float:
    return float(read_json(_file(folder, "timing", ".json"))["seconds"])


def _file(folder: Path, dataset: str, suffix: str) -> Path:
    return folder / dataset / f"part-00000{suffix}"

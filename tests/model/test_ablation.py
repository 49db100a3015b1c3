"""An ablation from token shards to verdicts: stopped and resumed, on one worker or two, always the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import StoreError
from datassay.corpus.store import Outputs
from datassay.corpus.tokenizer import train_bpe
from datassay.corpus.tokens import TokenizeSettings, tokenize
from datassay.model.ablation import Ablation, AblationData, plan_tasks, probe, run_ablation, survey, thin
from datassay.model.ablation_plan import Cost, Plan, make_plan, make_variants
from datassay.model.train import Shape, TrainSettings

SETTINGS = TrainSettings(shape=Shape(n_layer=1, n_head=1, n_embd=8), seq_len=16, batch_tokens=64, n_tokens=640, lr=1e-2)
ENGLISH = "The fog came in from the sea before noon and lay on the harbour until the lamps were lit."
NOISE = "zq xv 0193 || kk wwq 77 // zzx qqv 11 %% xx"


def write_texts(path: Path, texts: dict[str, str]) -> Path:
    pq.write_table(pa.table({"id": list(texts), "text": pa.array(texts.values(), pa.large_string())}), path)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> AblationData:
    """Forty documents, every second one of noise, and two domains of validation text."""
    folder = tmp_path_factory.mktemp("data")
    texts = {str(i): f"{i} {NOISE if i % 2 else ENGLISH}" for i in range(40)}
    (folder / "tokenizer.json").write_text(train_bpe(texts.values(), 300).json)

    def tokens(name: str, texts: dict[str, str]) -> Path:
        corpus = write_texts(folder / f"{name}.parquet", texts)
        inputs = Inputs({"corpus": (corpus,), "tokenizer": (folder / "tokenizer.json",)})
        tokenize(inputs, TokenizeSettings(), Outputs(folder / name, 0))
        return folder / name / "tokens" / "part-00000.arrow"

    validation = {
        "prose": (tokens("prose", {"a": ENGLISH[4:], "b": ENGLISH[:50]}),),
        "codes": (tokens("codes", {"c": NOISE}),),
    }
    return AblationData((tokens("all", texts),), validation)


def keep(path: Path, ids: range) -> Path:
    pq.write_table(pa.table({"id": [str(i) for i in ids]}), path)
    return path


@pytest.fixture
def plan(data: AblationData, tmp_path: Path) -> Plan:
    """raw, the English half, and half of that; two seeds."""
    raw, english, part = make_variants(["language", "dedup"])
    corpora = {
        raw: survey(data, keep(tmp_path / "raw.parquet", range(40))),
        english: survey(data, keep(tmp_path / "english.parquet", range(0, 40, 2))),
        part: survey(data, keep(tmp_path / "part.parquet", range(0, 20, 2))),
    }
    cost = Cost(seconds_per_step=0.01, fixed_seconds=1.0)
    return make_plan(corpora, seeds=(0, 1), n_tokens=640, tokens_per_step=64, cost=cost, n_workers=1)


def result_bytes(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "runs.jsonl").read_bytes(), (folder / "analysis.json").read_bytes()


def test_survey_counts_what_is_kept(data: AblationData, tmp_path: Path) -> None:
    corpus = survey(data, keep(tmp_path / "kept.parquet", range(0, 4, 2)))
    assert corpus.n_documents == 2
    assert corpus.n_bytes == 2 * (2 + len(ENGLISH))
    one = survey(data, keep(tmp_path / "one.parquet", range(0, 1)))
    other = survey(data, keep(tmp_path / "other.parquet", range(2, 3)))
    assert one.n_tokens + other.n_tokens == corpus.n_tokens
    assert one.content != other.content


def test_edited_texts_are_another_corpus_of_the_same_documents(data: AblationData, tmp_path: Path) -> None:
    kept = keep(tmp_path / "kept.parquet", range(0, 4, 2))
    both = replace(data, edited=data.validation["prose"])
    assert survey(both, kept).content == survey(data, kept).content
    with pytest.raises(StoreError, match="names 2 documents, of which the token shards hold 0"):
        survey(both, kept, is_edited=True)
    edited = survey(replace(data, edited=(*data.tokens, *data.validation["prose"])), kept, is_edited=True)
    assert (edited.is_edited, edited.n_documents) == (True, 2)
    assert edited.content != survey(data, kept).content


def test_survey_names_what_is_missing(data: AblationData, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="names 41 documents, of which the token shards hold 40"):
        survey(data, keep(tmp_path / "kept.parquet", range(41)))


def test_a_run_is_known_by_what_it_depends_on(data: AblationData, plan: Plan, tmp_path: Path) -> None:
    def keys(plan: Plan, settings: TrainSettings = SETTINGS) -> list[str]:
        return [task.key for task in plan_tasks(plan, data, settings, folder=tmp_path)]

    assert len(set(keys(plan))) == 6
    assert keys(replace(plan, seeds=(0, 1, 2)))[:6] == keys(plan)  # more seeds keep what is done
    assert not set(keys(plan, SETTINGS.model_copy(update={"lr": 2e-2}))) & set(keys(plan))


def test_stopped_and_resumed_gives_the_same_bytes(data: AblationData, plan: Plan, tmp_path: Path) -> None:
    def run(folder: str, *, n_workers: int = 1, stop_after: int | None = None) -> tuple[Ablation, list[int], list[str]]:
        started: list[int] = []
        finished: list[str] = []

        def on_done(key: str) -> None:
            finished.append(key)
            if len(finished) == stop_after:
                raise KeyboardInterrupt

        ablation = run_ablation(
            plan,
            data,
            SETTINGS,
            folder=tmp_path / folder,
            n_workers=n_workers,
            target="prose",
            on_start=lambda n_runs, n_done: started.extend((n_runs, n_done)),
            on_done=on_done,
        )
        return ablation, started, finished

    ablation, started, finished = run("straight", n_workers=2)
    assert (started, len(finished)) == ([6, 0], 6)
    with pytest.raises(KeyboardInterrupt):
        run("stopped", stop_after=2)
    _, started, finished = run("stopped")
    assert (started, len(finished)) == ([6, 2], 4)
    assert result_bytes(tmp_path / "straight") == result_bytes(tmp_path / "stopped")
    _, started, finished = run("stopped")
    assert (started, finished) == ([6, 6], [])

    assert [(run.variant, run.seed) for run in ablation.runs[:4]] == [
        ("raw", 0),
        ("+language", 0),
        ("+dedup", 0),
        ("raw", 1),
    ]
    assert ablation.runs[0].n_tokens == 640
    assert set(ablation.runs[0].bpb) == {"prose", "codes"}
    assert ablation.analysis.domains == ("mean", "codes", "prose")
    assert ablation.analysis.noise[0].df == 2  # (3 - 1) * (2 - 1)
    assert ablation.runs[0].bpb["prose"] == pytest.approx(
        next(s.by_seed[0] for s in ablation.analysis.scores if (s.variant, s.domain) == ("raw", "prose"))
    )


def test_probe_measures_seconds(data: AblationData, plan: Plan) -> None:
    cost = probe(data, plan.rows[0].corpus, SETTINGS, n_workers=1)
    assert 0 < cost.seconds_per_step < 10
    assert 0 <= cost.fixed_seconds < 60


def test_thin() -> None:
    curve = [(step * 10, float(step)) for step in range(1, 251)]
    points = thin(curve, 100)
    assert len(points) == 100
    assert points[-1] == (2500, pytest.approx(249.0))  # mean of 248, 249, 250
    assert thin(curve[:3], 100) == curve[:3]
    assert thin([], 100) == []

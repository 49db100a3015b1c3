"""A run as it lies on disk: its manifest, and where the files of each dataset are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datassay.corpus.errors import StoreError
from datassay.corpus.store import read_json, write_json

if TYPE_CHECKING:
    import duckdb
    import pyarrow.dataset

    from datassay.corpus.stage import StageOutput

SIGNALS = (
    *("text", "extraction", "language", "language_limit", "datatrove", "dolma"),
    *("urls", "bad_words", "decontamination", "bloom", "edited", "quality"),
)
"""Datasets that are columns of the view `signals`, together with the user's own."""

DATASETS = {
    "documents": (("clean", "clean"),),
    "records": (("extract", "records"),),
    "text": (("text", "text"),),
    "extraction": (("extract", "extraction"),),
    "language": (("language", "language"),),
    "language_limit": (("language_limit", "language_limit"),),
    "urls": (("urls", "urls"),),
    "bad_words": (("bad_words", "bad_words"),),
    "datatrove": (("datatrove", "datatrove"),),
    "dolma": (("dolma", "dolma"),),
    "edited": (("edit", "edited"),),
    "bloom": (("bloom", "bloom"),),
    "decontamination": (("decontaminate", "decontamination"),),
    "quality": (("quality", "quality"), ("quality", "combined")),
    "edits": (("edit", "edits"),),
    "repeats": (("cut_repeats", "repeats"),),
    "contamination": (("decontaminate", "contamination"),),
    "questions": (("report_questions", "question_documents"),),
    "question_files": (("report_questions", "question_files"),),
    "pairs": (("exact", "pairs"), ("payload_pairs", "pairs"), ("url_pairs", "pairs"), ("verify", "pairs")),
    "split": (("split", "split"),),
    "decisions": (("decide", "decisions"),),
    "corpus": (("write", "corpus"),),
    "kept": (("keep", "kept"),),
    "copies": (("keep", "duplicates"),),
}
"""What `query` and the Python door know, and which stages write it; beside them a dataset for each of your signals."""

DUPLICATE_VIEWS = {
    "duplicates": """
        SELECT id, kept_for, kind, goes.source, stays.source AS kept_source, goes.file, stays.file AS kept_file,
               goes.domain, stays.domain AS kept_domain, goes.url, stays.url AS kept_url
        FROM decisions JOIN documents goes USING (id) JOIN documents stays ON stays.id = kept_for
        """,
    "source_duplicates": """
        SELECT source, kept_source, kind, count(*) AS n_documents, sum(n_bytes)::BIGINT AS n_bytes
        FROM duplicates JOIN text USING (id) GROUP BY ALL ORDER BY n_documents DESC, source, kept_source, kind
        """,
    "source_pairs": """
        SELECT least(x.source, y.source) AS source_a, greatest(x.source, y.source) AS source_b, kind,
               count(*) AS n_pairs, avg(similarity) AS mean_similarity
        FROM pairs JOIN documents x ON x.id = a JOIN documents y ON y.id = b
        GROUP BY ALL ORDER BY n_pairs DESC, source_a, source_b, kind
        """,
}
"""Which source duplicates which. `duplicates` has a row for each document that another stays for, with what makes it a
copy of that one; `source_duplicates` counts them; `source_pairs` counts edges, whatever was decided."""


CLUSTERS = """
CREATE VIEW clusters AS
SELECT cluster, count(*) AS n_documents, min(id) FILTER (kept_for IS NULL) AS kept
FROM decisions WHERE cluster IS NOT NULL GROUP BY cluster
"""
"""Of `decisions`: the clusters of duplicates, with the document that stays."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run folder whose manifest was read."""

    path: Path
    manifest: Mapping[str, Any]

    def has(self, stage: str) -> bool:
        return stage in self.manifest["stages"]

    def files(self, stage: str, dataset: str) -> list[Path]:
        """The files of a stage's dataset, in the order of shards. Raises StoreError if the stage has not run."""
        if not self.has(stage):
            raise StoreError(f"{self.path}: stage {stage!r} has not run; `datassay run` continues the run")
        entry = self.manifest["stages"][stage]
        return [self.path / entry["folder"] / name for name in entry["files"] if name.startswith(f"{dataset}/")]

    def file(self, stage: str, dataset: str) -> Path:
        """The only file of a stage's dataset."""
        (path,) = self.files(stage, dataset)
        return path

    def counts(self, stage: str) -> dict[str, int]:
        return dict(self.manifest["stages"][stage]["counts"]) if self.has(stage) else {}

    def datasets(self) -> dict[str, list[Path]]:
        """The files of every dataset that the run has, by name; each signal of the user's, and each score, is one."""
        stages = self.manifest["stages"]
        known = dict(DATASETS)
        if "cut_repeats" in stages:
            known["edits"] = (("cut_repeats", "edits"),)  # which holds those of `edit` as well
        known.update({name: ((name, "user"),) for name in stages if name.startswith("user_")})
        scores = [name for name in stages if name.startswith("score_")]
        known.update({name: ((name, "quality"), (name, "perplexity")) for name in scores})
        found = {
            name: [path for stage, dataset in places if stage in stages for path in self.files(stage, dataset)]
            for name, places in known.items()
        }
        return {name: paths for name, paths in found.items() if paths}

    @property
    def names_kinds(self) -> bool:
        """Whether the decisions say what makes a document a copy: those of older versions do not."""
        import pyarrow.parquet as pq

        known = self.datasets()
        return "pairs" in known and "decisions" in known and "kind" in pq.read_schema(known["decisions"][0]).names

    def dataset(self, name: str) -> pyarrow.dataset.Dataset:
        """A dataset of `datasets` as an Arrow dataset: nothing is read before it is asked for."""
        import pyarrow.dataset

        known = self.datasets()
        if name not in known:
            raise StoreError(f"{self.path}: no dataset {name!r}; there are {', '.join(known)}")
        return pyarrow.dataset.dataset([str(path) for path in known[name]])

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection with a view of each dataset that the run has, of all `signals` side by side, and of the
        `clusters` that the decisions made."""
        import duckdb

        connection = duckdb.connect()
        known = self.datasets()
        for name, paths in known.items():
            if all(path.suffix == ".parquet" for path in paths):
                connection.read_parquet([str(path) for path in paths], hive_partitioning=False).create_view(name)
        signals = [name for name in known if name in SIGNALS or name.startswith(("user_", "score_"))]
        if "text" in signals:
            first, *others = signals
            joins = "".join(f" JOIN {name} USING (id)" for name in others)
            connection.execute(f"CREATE VIEW signals AS SELECT * FROM {first}{joins}")
        if self.names_kinds:
            for name, sql in DUPLICATE_VIEWS.items():
                connection.execute(f"CREATE VIEW {name} AS {sql}")
        if "decisions" in known:
            connection.execute(CLUSTERS)
        return connection


def open_run(path: Path) -> RunFolder:
    """The run in a folder. Raises StoreError if there is none."""
    if not (path / "manifest.json").exists():
        raise StoreError(f"{path}: no run here (no manifest.json); `datassay run RECIPE` makes one")
    return RunFolder(path, read_json(path / "manifest.json"))


def stage_entry(output: StageOutput, version: int) -> dict[str, Any]:
    """What the manifest says of a finished stage."""
    return {
        "folder": output.folder.name,
        "version": version,
        "content": output.content,
        "n_tasks": len(output.done),
        "is_partial": output.is_partial,
        "counts": dict(sorted(output.counts.items())),
        "files": [file.name for done in output.done for file in done.files],
    }


def update_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write what a run has reached. What an earlier run had reached beyond that stays, as far as it still holds:
    if every stage up to here is as it was, so is what followed."""
    merged = dict(manifest)
    if (path / "manifest.json").exists():
        before = read_json(path / "manifest.json")
        stages = manifest["stages"]
        if all(before["stages"].get(name) == entry for name, entry in stages.items()):
            merged["stages"] = {**before["stages"], **stages}
            merged["quality_limits"] = manifest["quality_limits"] or before.get("quality_limits", [])
            merged["variants"] = manifest["variants"] or before["variants"]
            merged["ablation"] = manifest["ablation"] or before["ablation"]
    write_json(path / "manifest.json", merged)

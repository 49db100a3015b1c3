"""`datassay dedup`: find the copies in files of texts, say which documents stay, compare with an index of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pydantic import ValidationError

from datassay.cli.curve import parse_minhash, with_limit
from datassay.cli.mistakes import settings_mistakes
from datassay.cli.progress import Progress
from datassay.cli.run_folder import stage_entry, update_manifest
from datassay.cli.session import Terminated, engine_of, locked, stopped_by_signals
from datassay.corpus.engine import Engine
from datassay.corpus.errors import InputError, RecipeError
from datassay.corpus.inputs import find_inputs, shards
from datassay.corpus.records import InputFile
from datassay.corpus.stage import All, Each, StageOutput, StagePlan, run_stage, waiting_tasks
from datassay.corpus.store import Outputs, link_or_copy, remove_leftovers
from datassay.corpus.without_pandas import without_pandas
from datassay.dedup import index as indexes
from datassay.dedup import keep
from datassay.dedup.budget import LONG_SECONDS, check_room, corpus_size, estimate, room_at
from datassay.dedup.compact import compact
from datassay.dedup.index_choice import decide_index
from datassay.dedup.keep import Column, KeepSettings
from datassay.dedup.plan import Search, plan_stage, stage_names
from datassay.dedup.remember import plan_remember
from datassay.dedup.settings import DedupSettings, MinHash
from datassay.dedup.texts import parquet_parts

DOCUMENTS = Each("extract", "documents")
COLUMNS: tuple[Column, ...] = ("quality", "date", "source_id")


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for."""

    paths: Sequence[str]
    output: Path
    minhash: str | None = None
    """A preset or BANDSxROWS; the default, or what the index is made with."""
    min_jaccard: float | None = None
    near: bool = True
    exact: bool = True
    keep_by: tuple[str, ...] = ("quality", "length", "date")
    source_priority: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    """Which column is `text`, `quality`, `date`, `source_id`."""
    against: Sequence[Path] = ()
    among_new: bool = True
    append: Path | None = None
    batch: str | None = None
    workers: int = 2


def dedup_files(request: Request) -> tuple[int, str]:
    """Find the copies in some files. Returns the exit status, and what to print."""
    if request.append is not None:
        one = request.append
        request = replace(request, against=[one if _is_same(path, one) else path for path in request.against])
    _check_request(request)
    with ExitStack() as stack:
        stack.enter_context(without_pandas())
        stack.enter_context(locked(request.output))
        if request.append is not None:  # until the end: what is added has been compared with all that is there
            stack.enter_context(locked(request.append, is_index=True))
            remove_leftovers(request.append)
        old = _open_indexes(request)
        settings = _settings(request, old)
        stack.enter_context(stopped_by_signals())
        progress = stack.enter_context(Progress())
        try:
            with engine_of(request.workers, preload=__name__) as engine:
                return 0, _Run(request, settings, old, engine, progress)()
        except (KeyboardInterrupt, Terminated) as stop:
            progress.note("stopped; the same command continues")
            return (143 if isinstance(stop, Terminated) else 130), ""


def _check_request(request: Request) -> None:
    """Raise RecipeError for what does not go together."""
    if not (request.near or request.exact):
        raise RecipeError("--no-exact and --no-near leave nothing to look for")
    if (request.against or request.append) and not (request.near and request.exact):
        raise RecipeError("an index holds exact and near duplicates: leave --no-exact and --no-near out")
    if not request.among_new and not request.against:
        raise RecipeError("--no-self compares with an index alone: name one with --against")
    if request.append is None:
        return
    if _is_same(request.append, request.output):
        raise RecipeError(f"{request.append}: an index has a folder of its own; give another --output")
    if not request.among_new:
        raise RecipeError("an index knows all copies among its documents: leave --no-self out, or --append")
    if others := [path for path in request.against if path != request.append]:
        raise RecipeError(
            f"documents that are compared with {others[0]} cannot go into {request.append}, which does not have what "
            f"they copy; first compare with {others[0]}, then append what stays in a run of its own"
        )


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _open_indexes(request: Request) -> dict[Path, indexes.Index]:
    """The indexes to compare with; the one to be made is none yet."""
    return {
        path: indexes.open_index(path)
        for path in request.against
        if path != request.append or (path / "index.json").exists()
    }


def _settings(request: Request, old: Mapping[Path, indexes.Index]) -> DedupSettings:
    """The settings asked for; where an index says how it is made, what is not asked for comes from there."""
    existing = dict(old)
    if request.append is not None and (request.append / "index.json").exists():
        existing[request.append] = indexes.open_index(request.append)
    minhash = MinHash() if request.minhash is None else parse_minhash(request.minhash)
    changes: dict[str, Any] = {}
    if existing and request.minhash is None:
        first = next(iter(existing.values()))
        header = {**first.header.model_dump(), "min_jaccard": first.min_jaccard}
        changes.update({name: header[name] for name in MinHash.model_fields if name in header})
    minhash = with_limit(minhash.model_copy(update=changes), request.min_jaccard)
    try:
        settings = DedupSettings.model_validate(
            {
                "exact": request.exact,
                "minhash": minhash if request.near else None,
                "keep_by": request.keep_by,
                "source_priority": request.source_priority,
            }
        )
    except ValidationError as error:
        raise RecipeError(settings_mistakes(error)) from error
    for path, index in existing.items():
        indexes.check_header(path, index, minhash, appends=path == request.append)
    return settings


class _Run:
    """The stages of one request, one after the other."""

    def __init__(
        self,
        request: Request,
        settings: DedupSettings,
        old: Mapping[Path, indexes.Index],
        engine: Engine,
        progress: Progress,
    ) -> None:
        self._request, self._settings, self._old = request, settings, old
        self._engine, self._progress = engine, progress
        self._finished: dict[str, StageOutput] = {}
        self._manifest: dict[str, Any] = {}

    def __call__(self) -> str:
        request = self._request
        remove_leftovers(request.output)
        files = _input_files(request)
        _check_names(files, self._old, request.append)
        self._manifest = {
            "datassay": version("datassay"),
            "recipe": {"dedup": self._settings.model_dump(mode="json")},
            "inputs": [[{"name": file.name, "sha256": file.sha256, "n_bytes": file.n_bytes}] for file in files],
            "against": {str(path): index.model_dump(mode="json") for path, index in self._old.items()},
            "stages": {},
            "quality_limits": [],
            "variants": [],
            "ablation": None,
        }
        search, groups, columns = self._search(files)
        for name in stage_names(self._settings):
            plan = plan_stage(name, self._settings, self._finished, search)
            if name == "sign" and waiting_tasks(plan, self._finished, request.output):
                self._check_room(files, search)
            self._do(plan)
        self._do(self._plan_keep(search, columns))
        for dataset in ("kept", "duplicates"):
            link_or_copy(self._finished["keep"].path(dataset), request.output / f"{dataset}.parquet")
        lines = [_summary(self._finished, request.output)]
        if request.append is not None:
            assert self._settings.minhash is not None
            self._do(plan_remember(self._settings, self._finished, search, columns))
            sources = [{file.name: file.sha256 for file in group} for group in groups]
            batch = request.batch or request.output.name
            grown = indexes.append(request.append, self._settings.minhash, self._finished, sources, batch)
            lines.append(f"index {request.append}: {grown.n_documents:,} documents in {len(grown.shards)} shards")
        return "\n".join(lines) + "\n"

    def _check_room(self, files: Sequence[InputFile], search: Search) -> None:
        """Raise StoreError if disk or memory are too small for what is asked; say it if it takes long."""
        request = self._request
        documents = None if search.parts else self._finished["extract"].paths("documents")
        text = request.fields.get("text", "text") if documents is None else "text"
        size = corpus_size([Path(file.url) for file in files] if documents is None else documents, text=text)
        keeps_index = request.append is not None
        need = estimate(size, self._settings, keeps_index=keeps_index)
        check_room(
            size,
            self._settings,
            request.output,
            room=room_at(request.output),
            n_processes=max(1, request.workers),
            keeps_index=keeps_index,
        )
        if need.cpu_seconds > LONG_SECONDS:
            self._progress.note(f"near duplicates: {need.summary}")

    def _do(self, plan: StagePlan) -> None:
        output = run_stage(
            plan,
            self._finished,
            self._request.output,
            self._engine,
            on_start=self._progress.start,
            on_done=lambda *_: self._progress.advance(),
        )
        self._finished[plan.name] = output
        self._manifest["stages"][plan.name] = stage_entry(output, plan.version)
        counts = sorted(output.counts.items(), key=lambda item: (-item[1], item[0]))
        self._progress.finish(", ".join(f"{name} {n:,}" for name, n in counts[:5]))
        update_manifest(self._request.output, self._manifest)

    def _search(self, files: Sequence[InputFile]) -> tuple[Search, list[tuple[InputFile, ...]], dict[Column, str]]:
        """Where the texts are, which files each shard is of, and which columns of theirs count."""
        old = tuple(shard for path, index in self._old.items() for shard in index.stored(path))
        fields = dict(self._request.fields)
        if all(_is_parquet(file) for file in files):
            parts = tuple(part for file in files for part in parquet_parts(file, text=fields.get("text", "text")))
            search = Search(parts=parts, old=old, among_new=self._request.among_new, list_documents=True)
            return search, [(part.file,) for part in parts], _columns(files, fields)
        if "quality" in fields:
            raise RecipeError("--quality names a column of Parquet files; these inputs are of other formats")
        from datassay.corpus.ingest import VERSION, IngestSettings, ingest

        groups = shards(files)
        ingesting = [IngestSettings(files=group, fields=fields) for group in groups]
        self._do(StagePlan("extract", ingest, VERSION, (), ingesting))
        search = Search(documents=DOCUMENTS, old=old, among_new=self._request.among_new, list_documents=True)
        return search, groups, {}

    def _plan_keep(self, search: Search, columns: Mapping[Column, str]) -> StagePlan:
        pairs = [name for name in ("exact", "verify") if name in self._finished]
        settings = KeepSettings(
            parts=search.parts,
            keep_by=self._settings.keep_by,
            source_priority=self._settings.source_priority,
            columns=dict(columns),
            old=search.old,
        )
        signed = "sign" if self._settings.minhash is not None else "texts"
        links = (
            *(All(name, "pairs") for name in pairs),
            All(signed, "documents"),
            *((All("extract", "documents", "clean"),) * (not search.parts)),
        )
        return StagePlan("keep", keep.keep, keep.VERSION, links, [settings])


def _input_files(request: Request) -> list[InputFile]:
    files = find_inputs(request.paths, cache=request.output / "inputs.json")
    if not files:
        raise InputError("no input file")
    if request.batch is not None:
        files = [replace(file, name=f"{request.batch}/{file.name}") for file in files]
    return files


def _check_names(files: Sequence[InputFile], old: Mapping[Path, indexes.Index], append: Path | None) -> None:
    """Raise RecipeError for a file that an index has under the same name: their documents would share ids.

    A file that is appended without being compared may be there already, if it is the same: then nothing is added. If
    it is not there, that is refused: what it copies would not be known.
    """
    known = {path: index.sources for path, index in old.items()}
    new: Sequence[InputFile] = ()
    if append is not None and append not in old and (append / "index.json").exists():
        sources = indexes.open_index(append).sources
        known[append] = {name: content for name, content in sources.items() if (name, content) not in _named(files)}
        new = [file for file in files if sources.get(file.name) != file.sha256]
    for path, sources in known.items():
        for file in files:
            if file.name in sources:
                is_same = sources[file.name] == file.sha256
                raise RecipeError(
                    f"{file.url}: the index {path} has "
                    + ("this file already" if is_same else f"another file of the name {file.name!r}")
                    + "; "
                    + ("leave it out" if is_same else "tell batches apart with --batch NAME")
                )
    if new:
        raise RecipeError(
            f"{new[0].url}: the index {append} does not have this file, and what is added has to be compared with what "
            f"is there: give --against {append}, too"
        )


def _named(files: Iterable[InputFile]) -> set[tuple[str, str]]:
    return {(file.name, file.sha256) for file in files}


def _is_parquet(file: InputFile) -> bool:
    """Whether a local file begins as Parquet does."""
    if "://" in file.url:
        return False
    with Path(file.url).open("rb") as opened:
        return opened.read(4) == b"PAR1"


def _columns(files: Sequence[InputFile], fields: Mapping[str, str]) -> dict[Column, str]:
    """The columns asked for, and `id` as the source's own id where all files have it."""
    names = [set(pq.read_schema(file.url).names) for file in files]
    columns: dict[Column, str] = {kind: fields[kind] for kind in COLUMNS if kind in fields}
    for kind, column in columns.items():
        for file, known in zip(files, names, strict=True):
            if column not in known:
                raise InputError(f"{file.url}: no column {column!r} for --{kind}, only {', '.join(sorted(known))}")
    if "source_id" not in columns and all("id" in known for known in names):
        columns["source_id"] = "id"
    return columns


def _summary(finished: Mapping[str, StageOutput], folder: Path) -> str:
    """What came out, in words."""
    counts = finished["keep"].counts
    kinds = [
        f"{finished[stage].counts[count]:,} {kind}"
        for stage, count, kind in (("exact", "exact_pairs", "exact"), ("verify", "near_pairs", "near"))
        if stage in finished
    ]
    lines = [
        f"{counts['documents']:,} documents: {counts['kept']:,} stay, {counts['duplicates']:,} are copies "
        f"(clusters {counts['clusters']:,}; verified pairs: {', '.join(kinds)})"
    ]
    read = finished["extract"].counts if "extract" in finished else {}
    if n_lost := read.get("quarantine", 0) + read.get("skipped", 0):
        where = "SELECT * FROM records WHERE outcome <> 'page'"
        lines.append(f'{n_lost:,} records have no text or are damaged: datassay query {folder} "{where}"')
    if counts["duplicates_of_index"]:
        lines.append(f"{counts['duplicates_of_index']:,} of them copy a document of an index")
    if not counts["duplicates"]:
        lines.append("no copies at all: is the text in the column that was read?")
    return "\n".join([*lines, f"{folder / 'kept.parquet'}, {folder / 'duplicates.parquet'}"])


def index_says(path: Path) -> str:
    """What an index is made with and what is in it."""
    index = indexes.open_index(path)
    batches: dict[str, int] = {}
    for shard in index.shards:
        batches[shard.batch] = batches.get(shard.batch, 0) + shard.n_rows
    n_bytes = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    made = {**index.header.model_dump(), "min_jaccard": index.min_jaccard}
    header = ", ".join(f"{name} {value}" for name, value in made.items())
    lines = [
        f"{path}: {index.n_documents:,} documents in {len(index.shards)} shards, {n_bytes / 1e6:,.1f} MB",
        f"made by datassay {index.datassay} with {header}",
        *(f"  {name}: {n:,} documents" for name, n in batches.items()),
    ]
    return "\n".join(lines) + "\n"


def keep_of_index(path: Path, output: Path, *, keep_by: tuple[str, ...], source_priority: tuple[str, ...]) -> str:
    """Choose among all documents of an index as if they had come in one run; what to print."""
    try:
        settings = KeepSettings.model_validate({"keep_by": keep_by, "source_priority": source_priority})
    except ValidationError as error:
        raise RecipeError(settings_mistakes(error)) from error
    if _is_same(path, output):
        raise RecipeError(f"{path}: an index has a folder of its own; give another --output")
    with locked(path, is_index=True), locked(output):
        out = Outputs(output / "index", 0)
        decide_index(path, settings, out)
        for dataset in ("kept", "duplicates"):
            link_or_copy(output / "index" / dataset / "part-00000.parquet", output / f"{dataset}.parquet")
    counts = out.counts
    return (
        f"{counts['documents']:,} documents: {counts['kept']:,} stay, {counts['duplicates']:,} are copies\n"
        f"{output / 'kept.parquet'}, {output / 'duplicates.parquet'}\n"
    )


def compact_index(path: Path) -> str:
    """Put the small shards of an index together; what to print."""
    with locked(path, is_index=True):
        before = indexes.open_index(path)
        after = compact(path)
    return f"{path}: {len(before.shards)} shards are {len(after.shards)}, of {after.n_documents:,} documents\n"

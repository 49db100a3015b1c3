"""An index: what is known of documents that came before, so that new ones are compared with them.

    INDEX/index.json                 what the index is made with, its shards and edges; written last
    INDEX/shards/KEY-00000/          of one shard: documents.parquet, texts.arrow, repeats.arrow, bands.arrow,
                                     sets.arrow, signatures.arrow
    INDEX/edges/KEY-00000.parquet    verified pairs that were found when a batch came

Signatures are those of datasketch 2, scheme `affine32`, over 32-bit hashes of shingles: `datasketch.MinHash(
num_perm=…, seed=…, hashvalues=signature, scheme="affine32")` is one of them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, NonNegativeInt, PositiveInt

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import RecipeError, StoreError
from datassay.corpus.hashing import file_hash, settings_key
from datassay.corpus.shuffle import ShuffleFile, read_partition, shuffle_file
from datassay.corpus.stage import All, Each, Link, StageOutput, StagePlan
from datassay.corpus.store import Outputs, read_batches, read_json, write_json
from datassay.corpus.unicode import VERSION as UNICODE
from datassay.dedup.candidates import CandidatesSettings, distinct_pairs, shared_buckets
from datassay.dedup.exact import REPEAT
from datassay.dedup.keep import (
    MEMBER,
    Column,
    KeepSettings,
    ends_of,
    find_duplicates,
    members_of,
    old_members,
    read_edges,
    write_choice,
)
from datassay.dedup.minhash import permutations, sign_sets
from datassay.dedup.plan import Search
from datassay.dedup.settings import DedupSettings, MinHash, n_band_partitions
from datassay.dedup.shingles import SHINGLING, shingle_sets
from datassay.dedup.stored import StoredFile, StoredShard
from datassay.dedup.texts import FilePart, read_texts
from datassay.dedup.verify import SET

FORMAT = 1
REMEMBER_VERSION = 1
FILES = ("documents", "texts", "repeats", "bands", "sets", "signatures")
"""Of each shard."""


class IndexHeader(BaseModel, frozen=True, extra="forbid"):
    """What an index is made with; documents are compared only if all of it is the same."""

    format: int = FORMAT
    scheme: Literal["affine32"] = "affine32"
    shingling: int = SHINGLING
    """Version of how words are found and hashed."""
    unicode: str = UNICODE
    """Version of the tables of letters and lower case."""
    seed: int
    bands: PositiveInt
    rows: PositiveInt
    shingle_words: PositiveInt
    shingle_chars: PositiveInt
    by_characters: bool

    @classmethod
    def of(cls, settings: MinHash) -> IndexHeader:
        return cls(**settings.model_dump(include=set(cls.model_fields)))


class IndexShard(BaseModel, frozen=True, extra="forbid"):
    """One shard of documents, and the files that they came from."""

    folder: str
    batch: str
    n_rows: NonNegativeInt
    sources: dict[str, str]
    """Hash of the content of each input file, by name."""
    contents: dict[str, str]
    """Hash of the bytes of each of FILES."""


class Index(BaseModel, frozen=True, extra="forbid"):
    """What index.json says."""

    datassay: str
    header: IndexHeader
    shards: tuple[IndexShard, ...] = ()
    edges: dict[str, str] = {}
    """Hash of the bytes of each file of pairs, by name below the index."""

    @property
    def n_documents(self) -> int:
        return sum(shard.n_rows for shard in self.shards)

    @property
    def sources(self) -> dict[str, str]:
        return {name: content for shard in self.shards for name, content in shard.sources.items()}

    def stored(self, path: Path) -> tuple[StoredShard, ...]:
        """The shards as stages read them; path: of the index."""
        return tuple(
            StoredShard(
                n_rows=shard.n_rows,
                **{
                    name: StoredFile(path=path / shard.folder / file_name(name), content=shard.contents[name])
                    for name in StoredShard.model_fields
                    if name != "n_rows"
                },
            )
            for shard in self.shards
        )


def file_name(dataset: str) -> str:
    return f"{dataset}.parquet" if dataset == "documents" else f"{dataset}.arrow"


def open_index(path: Path) -> Index:
    """The index in a folder. Raises StoreError if there is none, if it is of another format, or if files are gone."""
    if not (path / "index.json").exists():
        raise StoreError(f"{path}: no index here (no index.json); `datassay dedup FILES --append {path}` makes one")
    value = read_json(path / "index.json")
    found = value.get("header", {}).get("format") if isinstance(value, dict) else None
    if found != FORMAT:
        raise StoreError(f"{path}: an index of format {found}, this datassay reads format {FORMAT}; build it anew")
    index = Index.model_validate(value)
    for shard in index.shards:
        for name in FILES:
            if not (path / shard.folder / file_name(name)).exists():
                raise StoreError(f"{path}: {shard.folder}/{file_name(name)} is gone; build the index anew")
    return index


def check_header(path: Path, index: Index, settings: MinHash) -> None:
    """Raise RecipeError if an index is made with other settings, naming what differs."""
    have, asked = index.header.model_dump(), IndexHeader.of(settings).model_dump()
    differ = [f"{name} {have[name]} (asked for: {asked[name]})" for name in have if have[name] != asked[name]]
    if differ:
        raise RecipeError(
            f"{path}: documents cannot be compared, the index is made with {', '.join(differ)}; "
            "leave those options out and the index decides, or build another index"
        )


class RememberSettings(BaseModel, frozen=True, extra="forbid"):
    """What an index keeps of one shard."""

    shard: NonNegativeInt
    minhash: MinHash
    part: FilePart | None = None
    columns: dict[Column, str] = {}


def plan_remember(
    settings: DedupSettings, finished: Mapping[str, StageOutput], search: Search, columns: Mapping[Column, str]
) -> StagePlan:
    """The stage that writes what an index keeps and no other stage writes."""
    assert settings.minhash is not None
    links: tuple[Link, ...] = (*search.links(), Each("sign", "documents"), All("exact", "repeats", "all_repeats"))
    tasks = [
        RememberSettings(shard=shard, minhash=settings.minhash, part=search.part(shard), columns=dict(columns))
        for shard in range(len(search.rows(finished)))
    ]
    return StagePlan("remember", remember, REMEMBER_VERSION, links, tasks)


def signature_schema(n_permutations: int) -> pa.Schema:
    """One row for each document that is signed, in order."""
    return pa.schema(
        [
            pa.field("row", pa.int32(), nullable=False),  # in its shard
            pa.field("signature", pa.list_(pa.uint32(), n_permutations), nullable=False),
        ]
    )


def remember(inputs: Inputs, settings: RememberSettings, out: Outputs) -> None:
    """Write what later documents are compared with and chosen by: `documents`, `repeats`, and, of the documents that
    are signed and that no other stands for, `sets` and `signatures`.

    Reads the texts of the shard, its `documents` of `sign`, and `all_repeats` of `exact`. Counts `remembered`.
    """
    chosen = settings.minhash
    parameters = permutations(chosen.bands * chosen.rows, chosen.seed)
    repeats = _rows_of(inputs.all("all_repeats"), settings.shard)
    with out.parquet("documents", MEMBER) as documents:
        for batch in members_of(inputs.one("documents"), inputs, settings.part, settings.columns):
            documents.write(batch)
    with shuffle_file(out, "repeats", REPEAT, 1) as file:
        file.write_round([pa.array(repeats.astype(np.int32))], np.zeros(len(repeats), np.int64))
    first_row = 0
    with (
        shuffle_file(out, "sets", SET, 1) as sets,
        shuffle_file(out, "signatures", signature_schema(len(parameters[0])), 1) as signatures,
    ):
        for batch in read_texts(inputs, settings.part):
            found = shingle_sets(
                batch["text"],
                words=chosen.shingle_words,
                characters=chosen.shingle_chars,
                by_characters=chosen.by_characters,
            )
            rows = np.arange(first_row, first_row + batch.num_rows)
            stays = (found.sizes > 0) & ~np.isin(rows, repeats)
            where, mask = pa.array(rows[stays].astype(np.int32)), pa.array(stays)
            lists = pa.ListArray.from_arrays(found.offsets.astype(np.int32), found.values).filter(mask)
            values = sign_sets(found, parameters)[stays]
            nowhere = np.zeros(len(where), np.int64)
            sets.write_round([where, batch["id"].filter(mask), lists], nowhere)
            of_each = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
            signatures.write_round([where, of_each], nowhere)
            first_row += batch.num_rows
            out.counts["remembered"] += int(stays.sum())


def _rows_of(paths: Sequence[Path], shard: int) -> NDArray[np.int64]:
    """The rows of a shuffled dataset of rows, sorted."""
    batches = [batch for path in paths for batch in read_partition(path, shard)]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *(np.asarray(batch["row"], np.int64) for batch in batches)]))


def append(
    path: Path, settings: MinHash, finished: Mapping[str, StageOutput], sources: Sequence[Mapping[str, str]], batch: str
) -> Index:
    """Add the documents of a finished run to an index, or make one; what it had is not touched.

    sources: of each shard, the input files by name, with the hash of their content
    The same run added again changes nothing. Raises RecipeError if the index is made with other settings.
    """
    if (path / "index.json").exists():
        index = open_index(path)
        check_header(path, index, settings)
    else:
        index = Index(datassay=version("datassay"), header=IndexHeader.of(settings))
    shards, edges = [], {}
    known = {shard.folder for shard in index.shards}
    for number, files in enumerate(sources):
        from_stage = {name: finished["sign" if name in ("bands", "texts") else "remember"] for name in FILES}
        paths = {name: output.path(name, number) for name, output in from_stage.items()}
        contents = {name: file_hash(file) for name, file in paths.items()}
        folder = f"shards/{settings_key(sorted(contents.items()))}-{number:05d}"
        if folder in known:
            continue
        for name, file in paths.items():
            _copy(file, path / folder / file_name(name))
        n_rows = sum(len(part) for part in read_batches([paths["documents"]], columns=["id"]))
        shards.append(IndexShard(folder=folder, batch=batch, n_rows=n_rows, sources=dict(files), contents=contents))
    for stage in ("exact", "verify"):
        for file in finished[stage].paths("pairs"):
            content = file_hash(file)
            name = f"edges/{stage}-{content}.parquet"
            if name not in index.edges and pc.count(_ids(file)).as_py():
                _copy(file, path / name)
                edges[name] = content
    grown = index.model_copy(update={"shards": (*index.shards, *shards), "edges": {**index.edges, **edges}})
    write_json(path / "index.json", grown.model_dump(mode="json"))
    return grown


def _ids(pairs: Path) -> pa.ChunkedArray:
    return read_edges([pairs])["a"]


def _copy(file: Path, target: Path) -> None:
    """Put a run's file, which never changes, into the index: by a link where the disk has them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.link(file, part)
    except OSError:
        shutil.copyfile(file, part)
    part.replace(target)


def decide_index(path: Path, settings: KeepSettings, out: Outputs) -> None:
    """Choose among all documents of an index as if they had come in one run. Writes `kept` and `duplicates`.

    Buckets that grew over time were paired more often than those of one run, so of the verified near pairs those count
    that one run would have compared; an order of arrival then changes nothing.
    """
    index = open_index(path)
    old = index.stored(path)
    edges = read_edges([path / name for name in sorted(index.edges)])
    members = pa.concat_tables([MEMBER.empty_table(), *map(_table, old_members(old, ends_of(edges)))])
    compared = _compared_pairs(old, index.header.bands)
    edges = edges.filter(pa.array(_is_compared(edges, members, old, compared)))
    members = members.append_column("is_old", pa.array(np.zeros(len(members), bool)))
    batches = (batch for shard in old for batch in read_batches([shard.documents.path]))
    write_choice(find_duplicates(edges, members, settings), batches, out)


def _table(batch: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([batch])


def _compared_pairs(old: Sequence[StoredShard], bands: int) -> NDArray[np.uint64]:
    """The pairs of document numbers that one run over these shards would compare, sorted."""
    n_documents = sum(shard.n_rows for shard in old)
    n_partitions = n_band_partitions(n_documents, bands)
    pairs = [np.zeros(0, np.uint64)]
    for partition in range(n_partitions):
        settings = CandidatesSettings(partition=partition, n_partitions=n_partitions, shard_rows=(), old=tuple(old))
        documents, sizes = shared_buckets(Inputs({"bands": ()}), settings)
        pairs.append(distinct_pairs(documents, sizes, n_new=n_documents, among_new=True))
    return np.unique(np.concatenate(pairs))


def _is_compared(
    edges: pa.Table, members: pa.Table, old: Sequence[StoredShard], compared: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """Which edges count: all but near ones between documents that one run would not compare."""
    numbers = _numbers(members["id"], old)
    ids = members["id"].combine_chunks()
    ends = [numbers[np.asarray(pc.index_in(edges[name], value_set=ids), np.int64)] for name in ("a", "b")]
    codes = np.minimum(*ends).astype(np.uint64) << np.uint64(32) | np.maximum(*ends).astype(np.uint64)
    is_near = pc.equal(edges["kind"], "near").to_numpy(zero_copy_only=False)
    place = np.minimum(np.searchsorted(compared, codes), max(len(compared) - 1, 0))
    found = compared[place] == codes if len(compared) else np.zeros(len(codes), bool)
    counts: NDArray[np.bool_] = ~is_near | found
    return counts


def _numbers(ids: pa.ChunkedArray, old: Sequence[StoredShard]) -> NDArray[np.int64]:
    """The document number of each of these ids."""
    numbers = np.full(len(ids), -1)
    wanted = ids.combine_chunks()
    number = 0
    for shard in old:
        for batch in read_batches([shard.documents.path], columns=["id"]):
            place = pc.index_in(batch["id"], value_set=wanted)
            rows = np.flatnonzero(np.asarray(pc.is_valid(place)))
            numbers[np.asarray(place.drop_null(), np.int64)] = number + rows
            number += batch.num_rows
    return numbers


def compact(path: Path, *, max_rows: int = 1 << 20) -> Index:
    """Put the small shards of an index together, up to so many documents each, and its edges into one file.

    Documents, signatures and what is found stay the same.
    """
    index = open_index(path)
    groups: list[list[IndexShard]] = []
    for shard in index.shards:
        if groups and sum(other.n_rows for other in groups[-1]) + shard.n_rows <= max_rows:
            groups[-1].append(shard)
        else:
            groups.append([shard])
    shards = [group[0] if len(group) == 1 else _joined(path, group, index.header) for group in groups]
    edges = _joined_edges(path, index) if len(index.edges) > 1 else index.edges
    compacted = index.model_copy(update={"shards": tuple(shards), "edges": edges})
    write_json(path / "index.json", compacted.model_dump(mode="json"))
    for gone in {shard.folder for shard in index.shards} - {shard.folder for shard in shards}:
        shutil.rmtree(path / gone, ignore_errors=True)
    for name in index.edges.keys() - edges.keys():
        (path / name).unlink(missing_ok=True)
    return compacted


def _joined(path: Path, group: Sequence[IndexShard], header: IndexHeader) -> IndexShard:
    """One shard of several, in their order."""
    key = settings_key(*[shard.contents for shard in group])
    out = Outputs(path / "shards" / f".{key}", 0)
    folders = [path / shard.folder for shard in group]
    firsts = np.cumsum([0, *(shard.n_rows for shard in group)])[:-1].tolist()
    n_rows = sum(shard.n_rows for shard in group)
    with out.parquet("documents", MEMBER) as documents:
        for batch in read_batches([folder / file_name("documents") for folder in folders]):
            documents.write(batch)
    for name in FILES[1:]:
        n_partitions = n_band_partitions(n_rows, header.bands) if name == "bands" else 1
        files = [folder / file_name(name) for folder in folders]
        schema = pa.ipc.open_file(pa.memory_map(str(files[0]))).schema.remove_metadata()
        with shuffle_file(out, name, schema, n_partitions) as file:
            for source, first in zip(files, firsts, strict=True):
                _copy_rounds(source, file, first)
    folder = f"shards/{key}-joined"
    contents = {}
    for name in FILES:
        target = path / folder / file_name(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        (path / "shards" / f".{key}" / name / f"part-00000{target.suffix}").replace(target)
        contents[name] = file_hash(target)
    shutil.rmtree(path / "shards" / f".{key}")
    sources = {name: content for shard in group for name, content in shard.sources.items()}
    batch = ", ".join(dict.fromkeys(shard.batch for shard in group))
    return IndexShard(folder=folder, batch=batch, n_rows=n_rows, sources=sources, contents=contents)


def _copy_rounds(source: Path, file: ShuffleFile, first: int) -> None:
    """Copy all rows of a shuffled file, their numbers raised by `first`."""
    place = file.schema.get_field_index("row")
    with pa.memory_map(str(source)) as mapped:
        reader = pa.ipc.open_file(mapped)
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            columns = list(batch.columns)
            columns[place] = pa.array(np.asarray(columns[place]) + np.int32(first))
            partitions = np.zeros(len(batch), np.uint64)
            if file.n_partitions > 1:
                partitions = np.asarray(batch["key"]) >> np.uint64(64 - (file.n_partitions - 1).bit_length())
            file.write_round(columns, partitions)


def _joined_edges(path: Path, index: Index) -> dict[str, str]:
    """One file of all pairs, in order."""
    edges = read_edges([path / name for name in sorted(index.edges)])
    edges = edges.sort_by([(name, "ascending") for name in ("a", "b", "kind")])
    out = Outputs(path / "edges" / ".joined", 0)
    with out.parquet("pairs", edges.schema) as shard:
        for batch in edges.combine_chunks().to_batches(max_chunksize=65_536):
            shard.write(batch)
    written = path / "edges" / ".joined" / "pairs" / "part-00000.parquet"
    content = file_hash(written)
    name = f"edges/joined-{content}.parquet"
    written.replace(path / name)
    shutil.rmtree(path / "edges" / ".joined")
    return {name: content}

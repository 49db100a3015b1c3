"""An index: what is known of documents that came before, so that new ones are compared with them.

    INDEX/index.json                 what the index is made with, its shards and edges; written last
    INDEX/shards/KEY-00000/          of one shard: documents.parquet, texts.arrow, repeats.arrow, bands.arrow,
                                     sets.arrow, signatures.arrow
    INDEX/edges/                     verified pairs that were found when a batch came: STAGE-CONTENT.parquet, or
                                     joined-CONTENT.parquet once they were put together

Signatures are those of datasketch 2, scheme `affine32`, over 32-bit hashes of shingles: `datasketch.MinHash(
num_perm=…, seed=…, hashvalues=signature, scheme="affine32")` is one of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq
from pydantic import BaseModel, NonNegativeInt, PositiveInt

from datassay.corpus.errors import RecipeError, StoreError
from datassay.corpus.hashing import file_hash, settings_key
from datassay.corpus.stage import StageOutput
from datassay.corpus.store import link_or_copy, read_json, write_json
from datassay.corpus.unicode import VERSION as UNICODE
from datassay.dedup.settings import MinHash
from datassay.dedup.shingles import SHINGLING
from datassay.dedup.stored import StoredFile, StoredShard

FORMAT = 1
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
    min_jaccard: float
    """From which similarity on pairs are stored."""
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


def check_header(path: Path, index: Index, settings: MinHash, *, appends: bool) -> None:
    """Raise RecipeError if an index is made with other settings, naming what differs.

    appends: whether documents will be added; then the limit of similarity has to be the same, too
    """
    have, asked = index.header.model_dump(), IndexHeader.of(settings).model_dump()
    if appends:
        have["min_jaccard"], asked["min_jaccard"] = index.min_jaccard, settings.min_jaccard
    differ = [f"{name} {have[name]} (asked for: {asked[name]})" for name in have if have[name] != asked[name]]
    if differ:
        raise RecipeError(
            f"{path}: the index is made with {', '.join(differ)}; leave those options out and the index decides, or "
            "build another"
        )


def append(
    path: Path, settings: MinHash, finished: Mapping[str, StageOutput], sources: Sequence[Mapping[str, str]], batch: str
) -> Index:
    """Add the documents of a finished run to an index, or make one; what it had is not touched.

    sources: of each shard, the input files by name, with the hash of their content
    The same run added again changes nothing. Raises RecipeError if the index is made with other settings.
    """
    if (path / "index.json").exists():
        index = open_index(path)
        check_header(path, index, settings, appends=True)
    else:
        index = Index(datassay=version("datassay"), header=IndexHeader.of(settings), min_jaccard=settings.min_jaccard)
    shards, edges = [], {}
    known = {shard.folder for shard in index.shards}
    for number, files in enumerate(sources):
        from_stage = {name: finished["sign" if name in ("bands", "texts") else "remember"] for name in FILES}
        paths = {name: output.path(name, number) for name, output in from_stage.items()}
        contents = {name: file_hash(file) for name, file in paths.items()}
        folder = f"shards/{settings_key(sorted(contents.items()))}-{number:05d}"
        if folder in known:
            continue
        if again := sorted(files.keys() & index.sources.keys()):
            raise RecipeError(f"{path}: has {again[0]} already; leave it out")
        for name, file in paths.items():
            link_or_copy(file, path / folder / file_name(name))
        n_rows = pq.read_metadata(paths["documents"]).num_rows
        shards.append(IndexShard(folder=folder, batch=batch, n_rows=n_rows, sources=dict(files), contents=contents))
    for stage in ("exact", "verify"):
        for file in finished[stage].paths("pairs"):
            content = file_hash(file)
            name = f"edges/{stage}-{content}.parquet"
            if name not in index.edges and pq.read_metadata(file).num_rows:
                link_or_copy(file, path / name)
                edges[name] = content
    grown = index.model_copy(update={"shards": (*index.shards, *shards), "edges": {**index.edges, **edges}})
    write_json(path / "index.json", grown.model_dump(mode="json"))
    return grown

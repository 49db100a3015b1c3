"""Fewer and larger shards of an index: what many small batches leave is put together."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from datassay.corpus.hashing import file_hash, settings_key
from datassay.corpus.shuffle import ShuffleFile, partition_of, shuffle_file
from datassay.corpus.store import Outputs, read_batches, write_json
from datassay.dedup.index import FILES, Index, IndexHeader, IndexShard, file_name, open_index
from datassay.dedup.keep import MEMBER, read_edges
from datassay.dedup.settings import n_band_partitions


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
            file.write_round(columns, _partitions(batch, file.n_partitions))


def _partitions(batch: pa.RecordBatch, n_partitions: int) -> NDArray[np.int64]:
    """Of each row; only band keys have more than one."""
    if n_partitions == 1:
        return np.zeros(len(batch), np.int64)
    return partition_of(np.asarray(batch["key"]), n_partitions)


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

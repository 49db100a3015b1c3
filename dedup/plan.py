"""The stages from documents to verified edges, one after the other.

    clean ─ texts ─► exact ─► sign ─► candidates ─► attach ─► verify

`exact` and `verify` write `pairs`. Instead of the stage `clean`, parts of Parquet files can be read; and the documents
of an index can be compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from datassay.corpus.stage import All, Each, Link, Partition, StageOutput, StagePlan
from datassay.dedup import candidates, exact, minhash, verify
from datassay.dedup.settings import DedupSettings, MinHash, n_band_partitions, n_text_partitions
from datassay.dedup.texts import FilePart

PAIR_STAGES = ("exact", "verify")
"""The stages whose dataset `pairs` the edges are in."""


@dataclass(frozen=True, slots=True)
class Search:
    """Among which documents copies are looked for."""

    parts: tuple[FilePart, ...] = ()
    """The shards; without any, those of the stage `clean`."""

    def rows(self, finished: Mapping[str, StageOutput]) -> tuple[int, ...]:
        """Documents of each shard."""
        if self.parts:
            return tuple(part.n_rows for part in self.parts)
        clean = finished["clean"]
        return tuple(pq.read_metadata(clean.path("clean", done.index)).num_rows for done in clean.done)

    def links(self) -> tuple[Link, ...]:
        """What holds the texts, for a task per shard."""
        return () if self.parts else (Each("clean", "clean"),)

    def part(self, shard: int) -> FilePart | None:
        return self.parts[shard] if self.parts else None


def stage_names(settings: DedupSettings) -> tuple[str, ...]:
    """The stages that these settings need, in order."""
    return ("texts", "exact") * settings.exact + ("sign", "candidates", "attach", "verify") * (
        settings.minhash is not None
    )


def plan_stage(
    name: str,
    settings: DedupSettings,
    finished: Mapping[str, StageOutput],
    search: Search = Search(),
) -> StagePlan:
    """One of the stages, made concrete once the stages before it are finished.

    The numbers of partitions follow from the number of documents, never from the machine.
    """
    rows = search.rows(finished)
    shards = range(len(rows))
    n_text = n_text_partitions(sum(rows))
    tasks: list[Any]
    match name:
        case "texts":
            tasks = [exact.HashTextsSettings(n_partitions=n_text, part=search.part(shard)) for shard in shards]
            return StagePlan(name, exact.hash_texts, exact.HASH_TEXTS_VERSION, search.links(), tasks)
        case "exact":
            tasks = [exact.ExactEdgesSettings()] * n_text
            return StagePlan(name, exact.exact_edges, exact.EXACT_EDGES_VERSION, (Partition("texts", "texts"),), tasks)
    chosen = settings.minhash
    assert chosen is not None, f"{name} is a stage of MinHash"
    n_partitions = n_band_partitions(sum(rows), chosen.bands)
    pairs: tuple[Link, ...] = (All("candidates", "candidates"), All("candidates", "wanted"))
    match name:
        case "sign":
            links = (*search.links(), *(Partition("exact", "repeats"),) * settings.exact)
            tasks = [sign_settings(chosen, n_partitions, search.part(shard)) for shard in shards]
            return StagePlan(name, minhash.sign, minhash.VERSION, links, tasks)
        case "candidates":
            tasks = [
                candidates.CandidatesSettings(
                    partition=partition, n_partitions=n_partitions, shard_rows=rows, n_new=len(rows)
                )
                for partition in range(n_partitions)
            ]
            return StagePlan(name, candidates.candidates, candidates.VERSION, (All("sign", "bands"),), tasks)
        case "attach":
            tasks = [_attach_settings(chosen, shard, rows, search.part(shard)) for shard in shards]
            return StagePlan(name, verify.attach, verify.ATTACH_VERSION, (*search.links(), *pairs), tasks)
        case "verify":
            sets = (All("attach", "halves"), Each("attach", "sets"))
            tasks = [verify.VerifySettings(shard=shard, min_jaccard=chosen.min_jaccard) for shard in shards]
            return StagePlan(name, verify.verify, verify.VERIFY_VERSION, sets, tasks)
    raise ValueError(f"no stage {name!r}, only {', '.join(stage_names(settings))}")


def sign_settings(settings: MinHash, n_partitions: int, part: FilePart | None = None) -> minhash.SignSettings:
    """What signatures depend on, without the limits that are checked later: changing those signs nothing anew."""
    return minhash.SignSettings(
        bands=settings.bands,
        rows=settings.rows,
        shingle_words=settings.shingle_words,
        shingle_chars=settings.shingle_chars,
        shingle_unit=settings.shingle_unit,
        seed=settings.seed,
        n_partitions=n_partitions,
        part=part,
    )


def _attach_settings(
    settings: MinHash, shard: int, rows: tuple[int, ...], part: FilePart | None
) -> verify.AttachSettings:
    return verify.AttachSettings(
        shard=shard,
        shard_rows=rows,
        shingle_words=settings.shingle_words,
        shingle_chars=settings.shingle_chars,
        shingle_unit=settings.shingle_unit,
        part=part,
    )

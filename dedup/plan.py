"""The stages from documents to verified edges, one after the other.

    clean ─ sign ─► exact ─► candidates ─► attach ─► verify      (texts ─► exact, where nothing is signed)
    clean ─ url_keys ─► url_pairs, and extract ─ payload_keys ─► payload_pairs

`exact`, `verify`, `url_pairs` and `payload_pairs` write `pairs`. Instead of the stage `clean`, parts of Parquet files
can be read; and the documents of an index can be compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from datassay.corpus.stage import All, Each, Link, StageOutput, StagePlan
from datassay.dedup import candidates, exact, keys, minhash, verify
from datassay.dedup.settings import DedupSettings, MinHash, n_band_partitions, n_text_partitions
from datassay.dedup.stored import StoredShard
from datassay.dedup.texts import FilePart

PAIR_STAGES = ("exact", "payload_pairs", "url_pairs", "verify")
"""The stages whose dataset `pairs` the edges are in."""


CLEAN = Each("clean", "clean")


@dataclass(frozen=True, slots=True)
class Search:
    """Among which documents copies are looked for."""

    parts: tuple[FilePart, ...] = ()
    """The shards; without any, those of the stage `clean`."""
    documents: Each = CLEAN
    """Else the dataset, of a stage, whose files they are."""
    old: tuple[StoredShard, ...] = ()
    """Shards of an index that are compared with."""
    among_new: bool = True
    """Whether the others are compared with each other, too."""
    list_documents: bool = False
    """Whether `sign` writes their ids and lengths."""

    def rows(self, finished: Mapping[str, StageOutput]) -> tuple[int, ...]:
        """Documents of each shard that is not of an index."""
        if self.parts:
            return tuple(part.n_rows for part in self.parts)
        output = finished[self.documents.stage]
        return tuple(pq.read_metadata(output.path(self.documents.dataset, done.index)).num_rows for done in output.done)

    def links(self) -> tuple[Link, ...]:
        """What holds the texts, for a task per shard."""
        return () if self.parts else (Each(self.documents.stage, self.documents.dataset, "clean"),)

    def part(self, shard: int) -> FilePart | None:
        return self.parts[shard] if self.parts else None


def stage_names(settings: DedupSettings) -> tuple[str, ...]:
    """The stages that these settings need, in order."""
    signs = settings.minhash is not None
    kinds = (
        (settings.exact and not signs, ("texts",)),
        (signs, ("sign",)),
        (settings.exact, ("exact",)),
        (settings.payload, ("payload_keys", "payload_pairs")),
        (settings.url is not None, ("url_keys", "url_pairs")),
        (signs, ("candidates", "attach", "verify")),
    )
    return tuple(name for is_wanted, names in kinds if is_wanted for name in names)


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
    n_text = n_text_partitions(sum(rows))
    tasks: list[Any]
    match name:
        case "texts":
            tasks = [
                exact.HashTextsSettings(
                    n_partitions=n_text, part=search.part(shard), list_documents=search.list_documents
                )
                for shard in range(len(rows))
            ]
            return StagePlan(name, exact.hash_texts, exact.HASH_TEXTS_VERSION, search.links(), tasks)
        case "exact":
            tasks = [
                exact.ExactEdgesSettings(
                    partition=partition,
                    n_partitions=n_text,
                    n_shards=len(rows),
                    old=search.old,
                    among_new=search.among_new,
                )
                for partition in range(n_text)
            ]
            links = (All("texts" if settings.minhash is None else "sign", "texts"),)
            return StagePlan(name, exact.exact_edges, exact.EXACT_EDGES_VERSION, links, tasks)
        case "url_keys" | "url_pairs" | "payload_keys" | "payload_pairs":
            return _plan_keys(name, settings, len(rows), n_text)
    assert settings.minhash is not None, f"{name} is a stage of MinHash"
    return _plan_near(name, settings.minhash, search, rows, hashes_texts=settings.exact)


def _plan_keys(name: str, settings: DedupSettings, n_shards: int, n_partitions: int) -> StagePlan:
    """A stage of documents that share a URL or a payload; payloads are hashed where `extract` reads them."""
    match name:
        case "url_keys":
            assert settings.url is not None
            hashing = keys.UrlSettings(url=settings.url, n_partitions=n_partitions)
            return StagePlan(name, keys.hash_urls, keys.URL_VERSION, (Each("clean", "clean"),), [hashing] * n_shards)
        case "payload_keys":
            spreading = keys.PayloadSettings(n_partitions=n_partitions)
            links = (Each("extract", "records"),)
            return StagePlan(name, keys.hash_payloads, keys.PAYLOAD_VERSION, links, [spreading] * n_shards)
    kind = "url" if name == "url_pairs" else "payload"
    tasks = [
        keys.EdgesSettings(kind=kind, partition=partition, n_partitions=n_partitions)
        for partition in range(n_partitions)
    ]
    return StagePlan(name, keys.key_edges, keys.EDGES_VERSION, (All(f"{kind}_keys", "keys"),), tasks)


def _plan_near(name: str, settings: MinHash, search: Search, rows: tuple[int, ...], *, hashes_texts: bool) -> StagePlan:
    """A stage of near duplicates. rows: documents of each shard that is not of an index."""
    n_partitions = n_band_partitions(sum(rows) + sum(shard.n_rows for shard in search.old), settings.bands)
    shingling = settings.model_dump(include={"shingle_words", "shingle_chars", "by_characters"})
    tasks: list[Any]
    links: tuple[Link, ...]
    match name:
        case "sign":
            tasks = [
                minhash.SignSettings(
                    bands=settings.bands,
                    rows=settings.rows,
                    seed=settings.seed,
                    n_partitions=n_partitions,
                    n_text_partitions=n_text_partitions(sum(rows)) if hashes_texts else None,
                    part=search.part(shard),
                    list_documents=search.list_documents,
                    **shingling,
                )
                for shard in range(len(rows))
            ]
            return StagePlan(name, minhash.sign, minhash.VERSION, search.links(), tasks)
        case "candidates":
            tasks = [
                candidates.CandidatesSettings(
                    partition=partition,
                    n_partitions=n_partitions,
                    shard_rows=rows,
                    old=search.old,
                    among_new=search.among_new,
                )
                for partition in range(n_partitions)
            ]
            links = (All("sign", "bands"), *(All("exact", "repeats"),) * hashes_texts)
            return StagePlan(name, candidates.candidates, candidates.VERSION, links, tasks)
        case "attach":
            tasks = [
                verify.AttachSettings(
                    shard=shard, shard_rows=rows, old=search.old, part=search.part(shard), **shingling
                )
                for shard in range(len(rows))
            ]
            links = (*search.links(), All("candidates", "candidates"), All("candidates", "wanted"))
            return StagePlan(name, verify.attach, verify.ATTACH_VERSION, links, tasks)
        case "verify":
            stored = [None] * len(rows) + [shard.sets for shard in search.old]
            tasks = [
                verify.VerifySettings(shard=shard, min_jaccard=settings.min_jaccard, stored=sets)
                for shard, sets in enumerate(stored)
            ]
            links = (All("attach", "halves"), Each("attach", "sets"))
            return StagePlan(name, verify.verify, verify.VERIFY_VERSION, links, tasks)
    raise ValueError(f"no stage {name!r} of near duplicates")

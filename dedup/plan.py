"""The stages from cleaned documents to verified edges, one after the other.

    clean ─ texts ─► exact ─► sign ─► candidates ─► attach ─► verify

`exact` and `verify` write `pairs`.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow.parquet as pq

from datassay.corpus.stage import Each, Partition, StageOutput, StagePlan
from datassay.dedup import candidates, exact, minhash, verify
from datassay.dedup.settings import DedupSettings, MinHash, n_band_partitions, n_text_partitions

PAIR_STAGES = ("exact", "verify")
"""The stages whose dataset `pairs` the edges are in."""


def stage_names(settings: DedupSettings) -> tuple[str, ...]:
    """The stages that these settings need, in order."""
    return ("texts", "exact") * settings.exact + ("sign", "candidates", "attach", "verify") * (
        settings.minhash is not None
    )


def plan_stage(name: str, settings: DedupSettings, finished: Mapping[str, StageOutput]) -> StagePlan:
    """One of the stages, made concrete once the stages before it are finished; documents come from the stage `clean`.

    The numbers of partitions follow from the bytes and the rows of the documents, never from the machine.
    """
    clean = finished["clean"]
    documents, signatures = Each("clean", "clean"), Each("sign", "signatures")
    n_shards = len(clean.done)
    match name:
        case "texts":
            hashing = exact.HashTextsSettings(n_partitions=n_text_partitions(clean.n_bytes("clean")))
            return StagePlan(name, exact.hash_texts, exact.HASH_TEXTS_VERSION, (documents,), [hashing] * n_shards)
        case "exact":
            tasks = [exact.ExactEdgesSettings()] * n_text_partitions(clean.n_bytes("clean"))
            return StagePlan(name, exact.exact_edges, exact.EXACT_EDGES_VERSION, (Partition("texts", "texts"),), tasks)
    assert settings.minhash is not None, f"{name} is a stage of MinHash"
    n_partitions = n_band_partitions(_n_documents(clean), settings.minhash.bands)
    match name:
        case "sign":
            repeats = (Partition("exact", "repeats"),) * settings.exact
            signing = sign_settings(settings.minhash, n_partitions)
            return StagePlan(name, minhash.sign, minhash.VERSION, (documents, *repeats), [signing] * n_shards)
        case "candidates":
            pairing = [candidates.CandidatesSettings()] * n_partitions
            return StagePlan(name, candidates.candidates, candidates.VERSION, (Partition("sign", "bands"),), pairing)
        case "attach":
            pairs, attaching = Partition("candidates", "candidates"), [verify.AttachSettings()] * n_shards
            return StagePlan(name, verify.attach, verify.ATTACH_VERSION, (pairs, signatures), attaching)
        case "verify":
            halves, checking = (
                Partition("attach", "halves"),
                verify.VerifySettings(min_jaccard=settings.minhash.min_jaccard),
            )
            return StagePlan(name, verify.verify, verify.VERIFY_VERSION, (halves, signatures), [checking] * n_shards)
    raise ValueError(f"no stage {name!r}, only {', '.join(stage_names(settings))}")


def sign_settings(settings: MinHash, n_partitions: int) -> minhash.SignSettings:
    """What signatures depend on, without the limits that are checked later: changing those signs nothing anew."""
    return minhash.SignSettings(
        bands=settings.bands,
        rows=settings.rows,
        shingle_words=settings.shingle_words,
        shingle_chars=settings.shingle_chars,
        by_characters=settings.by_characters,
        seed=settings.seed,
        n_partitions=n_partitions,
    )


def _n_documents(clean: StageOutput) -> int:
    return sum(pq.read_metadata(path).num_rows for path in clean.paths("clean"))

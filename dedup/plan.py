"""The stages from cleaned documents to verified edges, one after the other.

    clean ─ texts ─► exact ─► sign ─► candidates ─► attach ─► verify

    clean ─ url_keys ─► url_pairs, and extract ─ payload_keys ─► payload_pairs

`exact`, `verify`, `url_pairs` and `payload_pairs` write `pairs`.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow.parquet as pq

from datassay.corpus.stage import Each, Partition, StageOutput, StagePlan
from datassay.dedup import candidates, exact, keys, minhash, verify
from datassay.dedup.settings import DedupSettings, MinHash, n_band_partitions, n_text_partitions

PAIR_STAGES = ("exact", "payload_pairs", "url_pairs", "verify")
"""The stages whose dataset `pairs` the edges are in."""


def stage_names(settings: DedupSettings) -> tuple[str, ...]:
    """The stages that these settings need, in order."""
    kinds = (
        (settings.exact, ("texts", "exact")),
        (settings.payload, ("payload_keys", "payload_pairs")),
        (settings.url is not None, ("url_keys", "url_pairs")),
        (settings.minhash is not None, ("sign", "candidates", "attach", "verify")),
    )
    return tuple(name for is_wanted, names in kinds if is_wanted for name in names)


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
        case "url_keys" | "url_pairs" | "payload_keys" | "payload_pairs":
            return _plan_keys(name, settings, clean)
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


def _plan_keys(name: str, settings: DedupSettings, clean: StageOutput) -> StagePlan:
    """A stage of documents that share a URL or a payload; payloads are hashed where `extract` reads them."""
    n_shards, n_partitions = len(clean.done), n_text_partitions(clean.n_bytes("clean"))
    match name:
        case "url_keys":
            assert settings.url is not None
            hashing = keys.UrlSettings(url=settings.url, n_partitions=n_partitions)
            return StagePlan(name, keys.hash_urls, keys.URL_VERSION, (Each("clean", "clean"),), [hashing] * n_shards)
        case "payload_keys":
            spreading = keys.PayloadSettings(n_partitions=n_partitions)
            links = (Each("extract", "records"),)
            return StagePlan(name, keys.hash_payloads, keys.PAYLOAD_VERSION, links, [spreading] * n_shards)
    joining = keys.EdgesSettings(kind="url" if name == "url_pairs" else "payload")
    links_to_keys = (Partition(f"{joining.kind}_keys", "keys"),)
    return StagePlan(name, keys.key_edges, keys.EDGES_VERSION, links_to_keys, [joining] * n_partitions)


def sign_settings(settings: MinHash, n_partitions: int) -> minhash.SignSettings:
    """What signatures depend on, without the limits that are checked later: changing those signs nothing anew."""
    return minhash.SignSettings(
        bands=settings.bands,
        rows=settings.rows,
        shingle_words=settings.shingle_words,
        shingle_chars=settings.shingle_chars,
        seed=settings.seed,
        n_partitions=n_partitions,
    )


def _n_documents(clean: StageOutput) -> int:
    return sum(pq.read_metadata(path).num_rows for path in clean.paths("clean"))

"""The stages that cut repeated text, all of them after the decision, of which only the last three depend on it.

clean ─┬► units ► repeated_units ──────────────────────────────► choose_units ───┬► cut_repeats
       └► anchors ► shared_anchors ► windows ► repeated_windows ► choose_windows ┘
"""

from __future__ import annotations

from collections.abc import Mapping

from datassay.corpus.stage import All, Each, Partition, StageOutput, StagePlan
from datassay.dedup import cut, repeats, substrings, units
from datassay.dedup.repeats_settings import RepeatsSettings
from datassay.dedup.settings import power_of_two

CLEAN = Each("clean", "clean")
UNIT_STAGES = ("units", "repeated_units", "choose_units")
SUBSTRING_STAGES = ("anchors", "shared_anchors", "windows", "repeated_windows", "choose_windows")
CUT_STAGE = "cut_repeats"

TEXT_PARTITION_BYTES = 128 << 20
"""Bytes of cleaned Parquet shards to a partition of lines, paragraphs and anchors: some 4 million of these."""
WINDOW_PARTITION_ROWS = 4 << 20
"""Windows to a partition: sorting and choosing among them takes 300 MB (measured)."""
MAX_PARTITIONS = 512
"""A task has the files of all partitions open, and a system allows 1024 to a process. Beyond 64 GB of cleaned shards,
partitions grow instead, and with them the memory of the tasks that sort them."""


def stage_names(settings: RepeatsSettings) -> tuple[str, ...]:
    """The stages that these settings need, in order."""
    found = UNIT_STAGES * settings.cuts_units + SUBSTRING_STAGES * (settings.substrings is not None)
    return (*found, CUT_STAGE) if found else ()


def plan_stage(
    name: str, settings: RepeatsSettings, finished: Mapping[str, StageOutput], *, edits_of: str | None = None
) -> StagePlan:
    """One of the stages, made concrete once those before it are finished.

    edits_of: the stage whose edits are made as well
    The numbers of partitions follow from the bytes of the documents and the shared anchors, never from the machine.
    """
    n_shards = len(finished["clean"].done)
    if name == CUT_STAGE:
        chosen = [stage for stage in ("choose_units", "choose_windows") if stage in stage_names(settings)]
        given = (Each(edits_of, "edits", "given"),) if edits_of is not None else ()
        links = (CLEAN, *(Partition(stage, "cuts") for stage in chosen), *given)
        return StagePlan(name, cut.cut_repeats, cut.VERSION, links, [_cut_settings(settings)] * n_shards)
    if name in UNIT_STAGES:
        return _unit_stage(name, settings, finished, n_shards)
    if name in SUBSTRING_STAGES:
        return _substring_stage(name, settings, finished, n_shards)
    raise ValueError(f"no stage {name!r}, only {', '.join(stage_names(settings))}")


def _unit_stage(name: str, settings: RepeatsSettings, finished: Mapping[str, StageOutput], n_shards: int) -> StagePlan:
    n_partitions = _text_partitions(finished)
    if name == "units":
        hashing = units.HashUnitsSettings(
            min_line_chars=settings.lines.min_chars if settings.lines is not None else None,
            min_paragraph_chars=settings.paragraphs.min_chars if settings.paragraphs is not None else None,
            n_partitions=n_partitions,
        )
        return StagePlan(name, units.hash_units, units.VERSION, (CLEAN,), [hashing] * n_shards)
    if name == "repeated_units":
        return _repeated(name, "units", n_partitions)
    return _choice(name, "repeated_units", settings, n_partitions)


def _substring_stage(
    name: str, settings: RepeatsSettings, finished: Mapping[str, StageOutput], n_shards: int
) -> StagePlan:
    assert settings.substrings is not None, f"{name} is a stage of substrings"
    min_tokens, n_partitions = settings.substrings.min_tokens, _text_partitions(finished)
    if name == "anchors":
        selecting = substrings.AnchorsSettings(min_tokens=min_tokens, n_partitions=n_partitions)
        return StagePlan(name, substrings.find_anchors, substrings.ANCHORS_VERSION, (CLEAN,), [selecting] * n_shards)
    if name == "shared_anchors":
        links, sharing = (Partition("anchors", "anchors"),), [substrings.SharedAnchorsSettings()] * n_partitions
        return StagePlan(name, substrings.shared_anchors, substrings.SHARED_VERSION, links, sharing)
    n_windows = _most_windows(finished, min_tokens)
    n_partitions = min(power_of_two(n_windows, WINDOW_PARTITION_ROWS), MAX_PARTITIONS)
    if name == "windows":
        hashing = substrings.WindowsSettings(min_tokens=min_tokens, n_partitions=n_partitions)
        around = (CLEAN, Partition("shared_anchors", "shared"))
        return StagePlan(name, substrings.hash_windows, substrings.WINDOWS_VERSION, around, [hashing] * n_shards)
    if name == "repeated_windows":
        return _repeated(name, "windows", n_partitions)
    return _choice(name, "repeated_windows", settings, n_partitions)


def _repeated(name: str, hashed: str, n_partitions: int) -> StagePlan:
    tasks = [repeats.RepeatedSettings()] * n_partitions
    return StagePlan(name, repeats.repeated_units, repeats.REPEATED_VERSION, (Partition(hashed, "units"),), tasks)


def _choice(name: str, found: str, settings: RepeatsSettings, n_partitions: int) -> StagePlan:
    kinds = (settings.lines, settings.paragraphs, settings.substrings)
    choosing = repeats.ChooseSettings(keep=tuple(1 if kind is None else kind.keep for kind in kinds))
    links = (Each(found, "repeats"), All("decide", "decisions"), All("split", "split"))
    return StagePlan(name, repeats.choose_repeats, repeats.CHOOSE_VERSION, links, [choosing] * n_partitions)


def _cut_settings(settings: RepeatsSettings) -> cut.CutSettings:
    """Without substrings, nothing but whole lines is cut."""
    stretches = settings.substrings
    return cut.CutSettings(
        min_tokens=stretches.min_tokens if stretches is not None else 1,
        fragment=stretches.fragment if stretches is not None else 0.0,
        min_chars_left=settings.min_chars_left,
    )


def _text_partitions(finished: Mapping[str, StageOutput]) -> int:
    return min(power_of_two(finished["clean"].n_bytes("clean"), TEXT_PARTITION_BYTES), MAX_PARTITIONS)


def _most_windows(finished: Mapping[str, StageOutput], min_tokens: int) -> int:
    """Windows that can hold a shared anchor: no more than there are words."""
    of_each = min_tokens - substrings.gram_words(min_tokens) + 1
    return min(finished["anchors"].counts["words"], finished["shared_anchors"].counts["shared"] * of_each)

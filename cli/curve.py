"""The S-curves of MinHash settings side by side: what they find, what they compare in vain, and what they cost."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from pydantic import ValidationError

from datassay.cli.mistakes import settings_mistakes
from datassay.cli.nearest import nearest
from datassay.cli.query import table
from datassay.corpus.errors import RecipeError
from datassay.dedup.budget import LOW_SIMILARITY, CorpusSize, estimate
from datassay.dedup.settings import (
    PRESET_SOURCES,
    PRESETS,
    DedupSettings,
    MinHash,
    curve_points,
    half_similarity,
    named_minhash,
    s_curve,
)

SIMILARITIES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
DOCUMENT_BYTES = 2000
"""Length of the document that the costs are of."""
_MARKS = "abcdefghijklmnopqrstuvwxyz"


def parse_minhash(name: str) -> MinHash:
    """The settings that a name stands for, as in a recipe. Raises RecipeError if it stands for none."""
    try:
        return named_minhash(name)
    except ValueError as error:
        raise RecipeError(f"{error}{nearest(name, list(PRESETS))}") from error


def with_limit(minhash: MinHash, min_jaccard: float | None) -> MinHash:
    """The same settings with another limit of similarity; None: as they are. Raises RecipeError if it is none."""
    if min_jaccard is None:
        return minhash
    try:
        return MinHash.model_validate({**minhash.model_dump(), "min_jaccard": min_jaccard})
    except ValidationError as error:
        raise RecipeError(settings_mistakes(error)) from error


def curves(names: Sequence[str], *, as_csv: bool = False) -> str:
    """The curves of these settings, all presets if there are none: a table, a drawing, and where they come from."""
    chosen = {name: parse_minhash(name) for name in names or PRESETS}
    if as_csv:
        return _csv(chosen)
    sources = [f"  {name}: {PRESET_SOURCES[name]}" for name in chosen if name in PRESET_SOURCES]
    return "\n".join(
        [
            "chance that two documents of this similarity are compared; those from min_jaccard on stay\n",
            _probabilities(chosen),
            f"costs of {DOCUMENT_BYTES} bytes of text: on disk (signature, shingles: in an index only), and CPU time\n",
            _costs(chosen),
            _drawing(chosen),
            *sources,
            "",
        ]
    )


def _probabilities(chosen: dict[str, MinHash]) -> str:
    rows: list[tuple[object, ...]] = [
        (
            mark,
            name,
            *(m.bands, m.rows, m.min_jaccard),
            *(f"{s_curve(m.bands, m.rows, s):.3f}" for s in SIMILARITIES),
            f"{half_similarity(m.bands, m.rows):.3f}",
        )
        for mark, (name, m) in zip(_marks(chosen), chosen.items(), strict=True)
    ]
    return table(["", "preset", "bands", "rows", "min_jaccard", *map(str, SIMILARITIES), "half at"], rows)


def _costs(chosen: dict[str, MinHash]) -> str:
    size = CorpusSize(n_documents=1, n_bytes_text=DOCUMENT_BYTES)
    of_default = estimate(size, DedupSettings()).cpu_seconds
    rows: list[tuple[object, ...]] = []
    for name, m in chosen.items():
        need = estimate(size, DedupSettings(minhash=m), keeps_index=True)
        shingle = f"{m.shingle_chars} characters" if m.by_characters else f"{m.shingle_words} words"
        in_vain = f"{s_curve(m.bands, m.rows, LOW_SIMILARITY):.2g}"
        cpu = f"{need.cpu_seconds / of_default:.2f}"
        rows.append(
            (
                name,
                shingle,
                m.bands * m.rows,
                need.band_key_bytes,
                need.signature_bytes,
                need.shingle_bytes,
                cpu,
                in_vain,
            )
        )
    names = ["preset", "shingle", "permutations", "band keys", "signature", "shingles", "CPU"]
    return table([*names, f"compared at {LOW_SIMILARITY}"], rows)


def _drawing(chosen: dict[str, MinHash]) -> str:
    """The curves in plain characters, a letter each; where several meet, the first of them is drawn."""
    height = 20
    points = {mark: curve_points(m.bands, m.rows) for mark, m in zip(_marks(chosen), chosen.values(), strict=True)}
    n = len(next(iter(points.values())))
    grid = [[" "] * n for _ in range(height + 1)]
    for mark, curve in reversed(points.items()):
        for column, (_, probability) in enumerate(curve):
            grid[height - round(probability * height)][column] = mark
    lines = [
        f"{f'{1 - row / height:.1f}' if row % 4 == 0 else '':>4} |{''.join(cells).rstrip()}"
        for row, cells in enumerate(grid)
    ]
    first = next(iter(points.values()))
    ticks = "".join(f"{similarity:<10g}" for similarity, _ in first[::10]).rstrip()
    return "\n".join([*lines, f"{'':>4} +{'-' * n}", f"{'':>6}{ticks}  similarity", ""])


def _marks(chosen: dict[str, MinHash]) -> list[str]:
    return [_MARKS[i % len(_MARKS)] for i in range(len(chosen))]


def _csv(chosen: dict[str, MinHash]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["preset", "bands", "rows", "min_jaccard", "similarity", "compared"])
    for name, m in chosen.items():
        writer.writerows((name, m.bands, m.rows, m.min_jaccard, *point) for point in curve_points(m.bands, m.rows))
    return out.getvalue()

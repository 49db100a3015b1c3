"""Published sets of rules by name, and the settings beside rules that a published method brings along."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from datassay.corpus.errors import RecipeError
from datassay.filters.c4 import C4_CODE, C4_PAPER
from datassay.filters.dolma import DOLMA
from datassay.filters.fineweb import FINEWEB, FINEWEB_CODE, FINEWEB_PAPER
from datassay.filters.gopher import (
    GOPHER,
    GOPHER_QUALITY,
    GOPHER_QUALITY_CODE,
    GOPHER_REPETITION,
    GOPHER_REPETITION_CODE,
)
from datassay.filters.gpt3 import QUALITY_KEEP
from datassay.filters.redpajama2 import REDPAJAMA2
from datassay.filters.refinedweb import REFINEDWEB
from datassay.filters.rules import Rule

PRESETS: Mapping[str, tuple[Rule, ...]] = {
    "gopher": GOPHER,
    "gopher-quality": GOPHER_QUALITY,
    "gopher-repetition": GOPHER_REPETITION,
    "gopher-quality-code": GOPHER_QUALITY_CODE,
    "gopher-repetition-code": GOPHER_REPETITION_CODE,
    "c4": C4_PAPER,
    "c4-paper": C4_PAPER,
    "c4-code": C4_CODE,
    "fineweb": FINEWEB,
    "fineweb-paper": FINEWEB_PAPER,
    "fineweb-code": FINEWEB_CODE,
    "refinedweb": REFINEDWEB,
    "dolma": DOLMA,
    "redpajama2": REDPAJAMA2,
    "gpt3": (),
}
"""`fineweb` is all of FineWeb's rules over text; `fineweb-paper` and `fineweb-code` are only those that it added."""

PRESET_SETTINGS: Mapping[str, Mapping[str, Mapping[str, object]]] = {"gpt3": {"quality": {"keep": QUALITY_KEEP}}}
"""What a preset says beside rules: by section of the recipe, the keys that it sets where the recipe is silent."""


def preset_rules(name: str) -> tuple[Rule, ...]:
    """The rules of a preset. Raises RecipeError if there is none of that name."""
    try:
        return PRESETS[name]
    except KeyError as error:
        near = get_close_matches(name, PRESETS, n=1)
        instead = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(PRESETS))}"
        raise RecipeError(f"no preset {name!r}; {instead}") from error

"""RefinedWeb's rules on a page: Penedo et al. 2023, The RefinedWeb Dataset, arXiv:2306.01116, appendix G.

Figures and order as DCLM rebuilt them (mlfoundations/dclm, baselines_configs/refinedweb.yaml): Gopher's rules, of which
that on stop words counts every occurrence, then line-wise corrections (the edits `refinedweb`, see
`filters.line_rules`), and a page that loses more than a twentieth of its words to them goes. The corrections themselves
are made only if the recipe has them among its `[[edits]]`. Words are our own; for the paper's filter on URLs see
`filters.url_lists`.
"""

from __future__ import annotations

from datassay.filters.gopher import GOPHER_QUALITY, GOPHER_REPETITION
from datassay.filters.rules import Rule

_SOURCE = "Penedo et al. 2023, appendix G; DCLM's refinedweb.yaml"
_STOP_WORDS = Rule("stop_words", "stop_word_fraction * word_count >= 2", _SOURCE)

REFINEDWEB = (
    *(_STOP_WORDS if rule.name == "stop_words" else rule for rule in GOPHER_QUALITY),
    *GOPHER_REPETITION,
    Rule("cut_words", "refinedweb_cut_word_fraction <= 0.05", _SOURCE),
)

"""FineWeb's own rules and its whole set: Penedo et al. 2024, The FineWeb Datasets, arXiv:2406.17557, section 3.6.

The paper and the code that ran disagree: on characters in duplicate lines 0.1 against 0.01, on whether a line of 30
characters is short, on what happens at the limits; and the paper does not speak of newlines per word. So there are two
presets, `fineweb-paper` over our own signals and `fineweb-code` over those of `datatrove`.

In FineWeb's script its own rules come after C4's filter and see the text without the lines that it took out. So do
`fineweb-code` and `fineweb`, which is the whole chain of datatrove 0.10.1's four filters as the script runs it.
`FINEWEB_CODE_WHOLE` are the same rules over the whole text. Every signal, and so every decision, was the same as
datatrove's on the documents that benchmarks/filters_vs_datatrove.py compares.
"""

from __future__ import annotations

from datassay.filters.c4 import C4_CODE_ANY_END
from datassay.filters.gopher import GOPHER_QUALITY_CODE, GOPHER_REPETITION_CODE
from datassay.filters.rules import Rule

_PAPER = "Penedo et al. 2024, section 3.6"
_CODE = "datatrove, FineWebQualityFilter and examples/fineweb.py"

FINEWEB_PAPER = (
    Rule("line_punctuation", "terminal_punctuation_line_fraction > 0.12", _PAPER),
    Rule("repeated_lines", "duplicate_line_char_fraction_of_lines < 0.1", _PAPER),
    Rule("short_lines", "line_under_30_fraction < 0.67", _PAPER),
)
FINEWEB_CODE = (
    Rule("line_punctuation", "dt_cut_terminal_punctuation_line_fraction >= 0.12", _CODE),
    Rule("short_lines", "dt_cut_line_up_to_30_fraction <= 0.67", _CODE),
    Rule("repeated_lines", "dt_cut_duplicate_line_char_fraction_of_lines <= 0.01", _CODE),
    Rule("list_ratio", "dt_cut_newlines_per_token <= 0.3", _CODE),
)
FINEWEB_CODE_WHOLE = tuple(Rule(rule.name, rule.keep.replace("dt_cut_", "dt_"), rule.source) for rule in FINEWEB_CODE)
"""FineWeb's own rules over a text that C4's filter has not touched."""
FINEWEB = GOPHER_REPETITION_CODE + GOPHER_QUALITY_CODE + C4_CODE_ANY_END + FINEWEB_CODE
"""Every rule over text of FineWeb's script, in its order."""

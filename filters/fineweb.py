"""FineWeb's own rules and its whole set: Penedo et al. 2024, The FineWeb Datasets, arXiv:2406.17557, section 3.6.

The paper and the code that ran disagree: on characters in duplicate lines 0.1 against 0.01, on whether a line of 30
characters is short, on what happens at the limits; and the paper does not speak of newlines per word. So there are two
presets.

Limits and their sides are those of datatrove 0.10.1; some of what is measured is not. There a quotation mark does not
end a line well, indentation counts as characters of a line, stop words are in lower case, blank lines count among those
with bullets and ellipses, and an address or a path is one word. And in FineWeb's script its own rules come after C4's
filter has cut lines of one or two words, while here each rule sees the whole text: so `fineweb` drops some lists of
short lines that the script keeps. Of 2 000 English documents the whole set decides 94 % alike, each rule alone 97 % or
more, `alpha_tokens` 95 %; on the text that C4 leaves, and with the same words, the whole set decides 99.6 % alike
(benchmarks/filters_vs_datatrove.py).
"""

from __future__ import annotations

from datassay.filters.c4 import C4_CODE_ANY_END
from datassay.filters.gopher import GOPHER_QUALITY, GOPHER_REPETITION
from datassay.filters.rules import Rule

_PAPER = "Penedo et al. 2024, section 3.6"
_CODE = "datatrove, FineWebQualityFilter and examples/fineweb.py"

FINEWEB_PAPER = (
    Rule("line_punctuation", "terminal_punctuation_line_fraction > 0.12", _PAPER),
    Rule("repeated_lines", "duplicate_line_char_fraction_of_lines < 0.1", _PAPER),
    Rule("short_lines", "line_under_30_fraction < 0.67", _PAPER),
)
FINEWEB_CODE = (
    Rule("line_punctuation", "terminal_punctuation_line_fraction >= 0.12", _CODE),
    Rule("repeated_lines", "duplicate_line_char_fraction_of_lines <= 0.01", _CODE),
    Rule("short_lines", "line_up_to_30_fraction <= 0.67", _CODE),
    Rule("list_ratio", "newlines_per_token <= 0.3", _CODE),
)
_ALPHA_TOKENS = Rule("alpha_tokens", "alpha_token_fraction >= 0.8", "datatrove, GopherQualityFilter")
_GOPHER_QUALITY = tuple(_ALPHA_TOKENS if rule.name == "alpha_words" else rule for rule in GOPHER_QUALITY)
FINEWEB = GOPHER_REPETITION + _GOPHER_QUALITY + C4_CODE_ANY_END + FINEWEB_CODE
"""Every rule over text of FineWeb's script, in its order; what Gopher counts in words, it counts in tokens."""

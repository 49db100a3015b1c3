"""RedPajama-V2's example of rules over its signals: its dataset card, togethercomputer/RedPajama-Data-V2.

RedPajama-V2 (Weber et al. 2024, arXiv:2411.12372) publishes signals and no filter; the card shows how to make one of
them, with Gopher's figures but for 10,000 words at most. Signals here that have a name there say so (`rps_…`, see the
reference); they count words without lower-casing and punctuation, and do so by our definition of a word.
"""

from __future__ import annotations

from datassay.filters.rules import Rule

_CARD = "RedPajama-Data-V2, dataset card"

REDPAJAMA2 = (
    Rule("word_count", "word_count BETWEEN 50 AND 10000", _CARD),
    Rule("mean_word_length", "mean_word_length BETWEEN 3 AND 10", _CARD),
    Rule("symbol_ratio", "symbol_to_word_ratio <= 0.1", _CARD),
    Rule("bullet_lines", "any_bullet_line_fraction <= 0.9", _CARD),
    Rule("top_2gram", "top_2gram_char_fraction <= 0.2", _CARD),
)

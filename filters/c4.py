"""What C4 asks of a page: Raffel et al. 2020, Exploring the Limits of Transfer Learning, JMLR 21(140), section 2.2.

C4 first cuts lines and then looks at what is left. The cuts are measured here, not made: the signals `c4_…` count the
lines and sentences that the line rules would leave, and the rules below say which pages C4 would drop for it.

`c4-paper` has the figures of the paper and of its reference code: lines of five words, pages of three sentences.
`c4-code` is datatrove's filter over the signals of `datatrove`; it has the figures of an older text of the paper: lines
of three words, pages of five sentences; a line may end in ' there, and *lorem ipsum* and { drop a page only from lines
that passed the rules before.

Without the rule `terminal_punctuation`, and with the signals `..._any_end_...`, lines need not end in punctuation,
which is how FineWeb uses C4.
"""

from __future__ import annotations

from datassay.filters.rules import Rule

_PAPER = "Raffel et al. 2020, section 2.2"
_CODE = "datatrove, C4QualityFilter"

C4_PAPER = (
    Rule("lorem_ipsum", "lorem_ipsum_line_count = 0", _PAPER),
    Rule("curly_bracket", "curly_bracket_count = 0", _PAPER),
    Rule("sentences", "c4_any_end_sentence_count >= 3", _PAPER),
    Rule("terminal_punctuation", "c4_sentence_count >= 3", _PAPER),
)
C4_CODE = (
    Rule("lorem_ipsum", "dt_c4_lorem_ipsum_count = 0", _CODE),
    Rule("curly_bracket", "dt_c4_curly_bracket_count = 0", _CODE),
    Rule("sentences", "dt_c4_sentence_count >= 5", _CODE),
)
C4_CODE_ANY_END = (
    Rule("lorem_ipsum", "dt_c4_any_end_lorem_ipsum_count = 0", _CODE),
    Rule("curly_bracket", "dt_c4_any_end_curly_bracket_count = 0", _CODE),
    Rule("sentences", "dt_c4_any_end_sentence_count >= 5", _CODE),
)
"""Of datatrove's filter with `filter_no_terminal_punct=False`."""

"""Quality and repetition rules of Gopher: Rae et al. 2021, Scaling Language Models, arXiv:2112.11446, appendix A.1.1.

The paper leaves open what is counted. Words with a letter are counted among what white space separates, as DCLM does;
among tokens, as datatrove does, every comma counts against a text, and of novels with much dialogue two thirds would go
(measured on 17 books). Else these follow datatrove, which FineWeb was made with: symbols are tokens too where something
is counted per token; of a repeated line or paragraph only the later copies count, and characters are divided
by all characters of the text. Unlike there, the most frequent n-gram counts only if it comes more than once, of several
it is the longest, stop words count in any case, and blank lines do not count among the lines.

`gopher-quality-code` and `gopher-repetition-code` are datatrove's filters as they are, over the signals of `datatrove`.
"""

from __future__ import annotations

from datassay.filters.rules import Rule

_QUALITY = "Rae et al. 2021, appendix A.1.1, quality filtering"
_REPETITION = "Rae et al. 2021, table A1"

GOPHER_QUALITY = (
    Rule("word_count", "word_count BETWEEN 50 AND 100000", _QUALITY),
    Rule("mean_word_length", "mean_word_length BETWEEN 3 AND 10", _QUALITY),
    Rule("hash_ratio", "hash_ratio <= 0.1", _QUALITY),
    Rule("ellipsis_ratio", "ellipsis_ratio <= 0.1", _QUALITY),
    Rule("bullet_lines", "bullet_line_fraction <= 0.9", _QUALITY),
    Rule("ellipsis_lines", "ellipsis_line_fraction <= 0.3", _QUALITY),
    Rule("alpha_words", "alpha_run_fraction >= 0.8", _QUALITY),
    Rule("stop_words", "stop_word_count >= 2", _QUALITY),
)
_MAX_TOP = {2: 0.20, 3: 0.18, 4: 0.16}
_MAX_DUPLICATE = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
GOPHER_REPETITION = (
    Rule("duplicate_lines", "duplicate_line_fraction <= 0.3", _REPETITION),
    Rule("duplicate_paragraphs", "duplicate_paragraph_fraction <= 0.3", _REPETITION),
    Rule("duplicate_line_chars", "duplicate_line_char_fraction <= 0.2", _REPETITION),
    Rule("duplicate_paragraph_chars", "duplicate_paragraph_char_fraction <= 0.2", _REPETITION),
    *(Rule(f"top_{n}gram", f"top_{n}gram_char_fraction <= {limit}", _REPETITION) for n, limit in _MAX_TOP.items()),
    *(
        Rule(f"duplicate_{n}grams", f"duplicate_{n}gram_char_fraction <= {limit}", _REPETITION)
        for n, limit in _MAX_DUPLICATE.items()
    ),
)
GOPHER = GOPHER_QUALITY + GOPHER_REPETITION

_QUALITY_CODE = "datatrove, GopherQualityFilter"
_REPETITION_CODE = "datatrove, GopherRepetitionFilter"

GOPHER_QUALITY_CODE = (
    Rule("word_count", "dt_word_count BETWEEN 50 AND 100000", _QUALITY_CODE),
    Rule("mean_word_length", "dt_mean_word_length BETWEEN 3 AND 10", _QUALITY_CODE),
    Rule("hash_ratio", "dt_hash_ratio <= 0.1", _QUALITY_CODE),
    Rule("ellipsis_ratio", "dt_ellipsis_ratio <= 0.1", _QUALITY_CODE),
    Rule("bullet_lines", "dt_bullet_line_fraction <= 0.9", _QUALITY_CODE),
    Rule("ellipsis_lines", "dt_ellipsis_line_fraction <= 0.3", _QUALITY_CODE),
    Rule("alpha_tokens", "dt_alpha_token_fraction >= 0.8", _QUALITY_CODE),
    Rule("stop_words", "dt_stop_word_count >= 2", _QUALITY_CODE),
)
GOPHER_REPETITION_CODE = (
    Rule("empty", "dt_char_count > 0", _REPETITION_CODE),
    Rule("duplicate_paragraphs", "dt_duplicate_paragraph_fraction <= 0.3", _REPETITION_CODE),
    Rule("duplicate_paragraph_chars", "dt_duplicate_paragraph_char_fraction <= 0.2", _REPETITION_CODE),
    Rule("duplicate_lines", "dt_duplicate_line_fraction <= 0.3", _REPETITION_CODE),
    Rule("duplicate_line_chars", "dt_duplicate_line_char_fraction <= 0.2", _REPETITION_CODE),
    *(
        Rule(f"top_{n}gram", f"dt_top_{n}gram_char_fraction <= {limit}", _REPETITION_CODE)
        for n, limit in _MAX_TOP.items()
    ),
    *(
        Rule(f"duplicate_{n}grams", f"dt_duplicate_{n}gram_char_fraction <= {limit}", _REPETITION_CODE)
        for n, limit in _MAX_DUPLICATE.items()
    ),
)

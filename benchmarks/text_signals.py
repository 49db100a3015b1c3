"""Measuring texts: documents and MB a CPU second, the share of each part, and plain Python beside it, in one run.

    python benchmarks/text_signals.py SHARD.parquet

The parts are timed by running the first one, the first two, and so on, five times each; the least time counts. Plain
Python is the reference that the tests compare with, on the first documents.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numba import njit

from datassay.corpus.unicode import TABLES, decode
from datassay.filters import kernel, lines, ngrams
from datassay.filters.interning import new_interner
from datassay.filters.kernel import _count_characters, _count_tokens, _find_tokens, _new_room
from datassay.filters.text_signals import BATCH_ROWS

PARTS = ("decode", "characters", "find tokens", "count tokens", "n-grams", "lines")
N_REFERENCE = 100
_new_line_room, _count_lines = lines.new_room, lines.count_lines
_new_gram_room, _ngram_chars = ngrams.new_room, ngrams.ngram_chars


@njit  # type: ignore[untyped-decorator]
def first_parts(
    n_parts: int, offsets: Any, data: Any, tables: Any, stop_words: Any, characters: Any, tokens: Any, line_records: Any
) -> None:
    """What `kernel._measure` does with each document, up to that part."""
    n_max = np.max(np.diff(offsets))
    codes, kinds = np.empty(n_max, np.int32), np.empty(n_max, np.uint16)
    room, line_room, gram_room = _new_room(n_max), _new_line_room(n_max), _new_gram_room(n_max)
    table, word_table = new_interner(n_max), new_interner(n_max)
    grams, c4 = np.zeros(9, np.int64), np.zeros((4, 5), np.int64)
    for d in range(len(offsets) - 1):
        n = decode(data, offsets[d], offsets[d + 1], tables, codes, kinds)
        if n_parts > 1:
            _count_characters(codes[:n], kinds[:n], characters[d])
        if n_parts > 2:
            n_tokens, n_distinct = _find_tokens(codes[:n], kinds[:n], room, table, tokens[d])
        if n_parts > 3:
            _count_tokens(codes, n_distinct, room, table, word_table, tables, stop_words, tokens[d])
        if n_parts > 4:
            ids = room.ids[:n_tokens]
            _ngram_chars(ids, table.counts, room.chars, room.spaced_chars, word_table, gram_room, grams)
        if n_parts > 5:
            text = data[offsets[d] : offsets[d + 1]]
            _count_lines(text, codes[:n], kinds[:n], table, line_room, line_records[d], c4)


def least_seconds(run: Callable[[], None]) -> float:
    """CPU seconds of the fastest of five runs, after one that compiles."""
    run()
    seconds = []
    for _ in range(5):
        begin = time.process_time()
        run()
        seconds.append(time.process_time() - begin)
    return min(seconds)


def seconds_of_parts(texts: pa.LargeStringArray) -> list[float]:
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[: len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2], np.uint8)
    records = [
        np.zeros(len(texts), counts) for counts in (kernel.CHARACTER_COUNTS, kernel.TOKEN_COUNTS, lines.LINE_COUNTS)
    ]
    stop_words = kernel._stop_words()
    upto = [
        least_seconds(lambda n=n: first_parts(n, offsets, data, TABLES, stop_words, *records))  # type: ignore[misc]
        for n in range(1, len(PARTS) + 1)
    ]
    return np.diff(upto, prepend=0).tolist()  # type: ignore[no-any-return]


def main(path: Path) -> None:
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "filters"))
    from test_kernel import reference  # type: ignore[import-not-found]

    begin = time.process_time()
    kernel.measure(pa.array(["a text"], pa.large_string()))
    print(f"first call, which compiles or loads: {time.process_time() - begin:.1f} s of CPU")
    texts = pa.concat_arrays(pq.read_table(path, columns=["text"])["text"].cast(pa.large_string()).chunks)
    batches = [texts.slice(start, BATCH_ROWS) for start in range(0, len(texts), BATCH_ROWS)]
    n_bytes = sum(len(text.as_py().encode()) for text in texts)
    seconds = least_seconds(lambda: [kernel.measure(batch) for batch in batches] and None)
    rate = len(texts) / seconds
    print(
        f"{rate:.0f} documents, {n_bytes / seconds / 1e6:.1f} MB a CPU second ({n_bytes / len(texts):.0f} bytes each)"
    )
    parts = seconds_of_parts(texts)
    for name, part in zip(PARTS, parts, strict=True):
        print(f"  {name:<13}{part * 1e3:6.0f} ms {part / sum(parts):6.1%}")
    sample = [text.as_py() for text in texts[:N_REFERENCE]]
    sample_array = pa.array(sample, pa.large_string())
    ours = least_seconds(lambda: [kernel.measure(sample_array) for _ in range(10)] and None) / 10
    begin = time.process_time()
    for text in sample:
        reference(text)
    print(f"{(time.process_time() - begin) / ours:.0f} times plain Python, on {len(sample)} documents")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

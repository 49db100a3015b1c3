"""What the workers of a run have ready before their first task: made once, in the process that they are forked from.

Modules, machine code and models take 1.3 s of CPU, which each worker would spend anew.
"""

from __future__ import annotations

import duckdb  # noqa: F401
import pyarrow as pa

import datassay.cli.pipeline  # noqa: F401
from datassay.corpus.extract import extract
from datassay.corpus.ingest import registered_domain
from datassay.corpus.language import identify
from datassay.corpus.without_pandas import without_pandas
from datassay.filters.text_signals import signals


def rehearse() -> None:
    """Do once what every run does with a page, so that whatever it needs is loaded."""
    found = extract(b"<p>Pages, their text, language and domain.")
    identify([found.text])
    registered_domain("https://example.org")
    signals(pa.array(["0"]), pa.array([found.text], pa.large_string()))


with without_pandas():
    rehearse()

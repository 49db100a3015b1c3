"""A signal of the user's own."""

import pyarrow as pa


def shout_share(texts: pa.Array) -> pa.Array:
    """Share of the characters of each text that are capital letters."""
    return pa.array([sum(map(str.isupper, text)) / max(len(text), 1) for text in texts.to_pylist()], pa.float64())

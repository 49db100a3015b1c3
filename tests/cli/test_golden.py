"""The outputs of every stage on tests/data/tiny are what they were: a change of bytes comes with a raised VERSION.

After a change that is meant to alter outputs, raise the stage's VERSION and write the new hashes:

    DATASSAY_UPDATE_GOLDEN=1 python -m pytest tests/cli/test_golden.py

The hashes are of values, not of Parquet bytes, and scores of trained models count to three decimals only, so that they
hold for other versions of Arrow and other processors. Who updates a library that changes texts (trafilatura, ftfy)
updates the hashes too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datassay.cli.pipeline import stages
from datassay.cli.recipe import load_recipe
from datassay.cli.run_folder import RunFolder, open_run
from datassay.cli.sections import Recipe

GOLDEN = Path(__file__).parents[1] / "data" / "golden.json"
MAY_UPDATE = "DATASSAY_UPDATE_GOLDEN" in os.environ
MODELS = (".bin", ".npz")
"""Files whose bytes are floats that a processor may round otherwise; what they predict is compared instead."""


def contents(run: RunFolder, stage: str) -> Iterator[tuple[str, object]]:
    """Name and values of each file of a stage."""
    entry = run.manifest["stages"][stage]
    for name in entry["files"]:
        path = run.path / entry["folder"] / name
        if path.suffix == ".parquet":
            table = pq.ParquetFile(path).read()
            yield name, [str(table.schema), table.to_pylist()]
        elif path.suffix == ".arrow":
            is_file = path.read_bytes()[:6] == b"ARROW1"  # a shuffle; token shards are streams
            with (pa.ipc.open_file if is_file else pa.ipc.open_stream)(path) as stream:
                yield name, [str(stream.schema.remove_metadata()), stream.read_all().to_pylist()]
        elif path.suffix == ".json":
            yield name, json.loads(path.read_bytes())
        elif path.suffix not in MODELS:
            yield name, path.read_bytes().hex()


def rounded(value: Any) -> Any:
    """The value with floats to three decimals and bytes as hexadecimal digits, at any depth."""
    match value:
        case float():
            return round(value, 3) + 0.0
        case bytes():
            return value.hex()
        case dict():
            return {key: rounded(below) for key, below in value.items()}
        case list() | tuple():
            return [rounded(below) for below in value]
    return value


def measured(run: RunFolder, recipe: Recipe) -> dict[str, dict[str, object]]:
    """Version and hash of every stage's output, in the order in which they run."""
    found: dict[str, dict[str, object]] = {}
    for stage in (stage.name for stage in stages(recipe)):
        entry = run.manifest["stages"][stage]
        digest = sha256()
        for name, value in contents(run, stage):
            digest.update(json.dumps([name, rounded(value)], sort_keys=True).encode())
        found[stage] = {"version": entry["version"], "hash": digest.hexdigest()[:16]}
    return found


def test_stages_that_changed_have_a_new_version(finished: Path, tiny: Path) -> None:
    found = measured(open_run(finished), load_recipe(tiny / "recipe.toml"))
    if MAY_UPDATE:
        GOLDEN.write_text(json.dumps(found, indent=2) + "\n")
    golden = json.loads(GOLDEN.read_text())
    assert list(found) == list(golden), "other stages than in golden.json: DATASSAY_UPDATE_GOLDEN=1 writes them"
    changed = [stage for stage in found if found[stage]["hash"] != golden[stage]["hash"]]
    if changed:
        first = changed[0]
        says = (
            f"the values of stage {first!r} changed but its VERSION did not: raise it"
            if found[first]["version"] == golden[first]["version"]
            else f"stage {first!r} has a new VERSION"
        )
        pytest.fail(f"{says}; then DATASSAY_UPDATE_GOLDEN=1 writes the new hashes (all that changed: {changed})")
    assert found == golden, "a VERSION was raised: DATASSAY_UPDATE_GOLDEN=1 notes it"


def test_hash_sees_values_and_order() -> None:
    assert rounded({"a": [0.12345, b"\x01", None, True]}) == {"a": [0.123, "01", None, True]}
    assert rounded([0.1, 0.2]) != rounded([0.2, 0.1])
    assert str(rounded(-0.0001)) == "0.0"

"""The user's own signals: a Python function over texts, or a column of a Parquet file with scores."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, Field, model_validator

from datassay.corpus.engine import Inputs
from datassay.corpus.errors import InputError, RecipeError
from datassay.corpus.hashing import file_hash
from datassay.corpus.schema import DOCUMENT
from datassay.corpus.store import Outputs, read_batches

VERSION = 1
BATCH_ROWS = 4096

TYPES = {"float64": pa.float64(), "int64": pa.int64(), "bool": pa.bool_(), "string": pa.string()}


class UserSignal(BaseModel, frozen=True, extra="forbid"):
    """A signal of the user's own: either a function or a file to join."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Its column, for rules."""
    function: str | None = None
    """`FILE.py:NAME`: takes an Arrow array of texts, returns an Arrow array of as many values. It must judge each text
    by itself alone. Modules that the file imports do not count as changes of it."""
    join: str | None = None
    """A Parquet file with the signal as a column of this name."""
    key: Literal["id", "url", "source_id"] = "id"
    """The column, of the file to join and of the documents, by which rows belong together; it names a row once."""
    type: Literal["float64", "int64", "bool", "string"] = "float64"
    """Kind of the values."""

    @model_validator(mode="after")
    def _has_one_origin(self) -> UserSignal:
        if (self.function is None) == (self.join is None):
            raise ValueError(f'signal {self.name!r}: give either function = "FILE.py:NAME" or join = "FILE.parquet"')
        if self.function is not None and not all(self.function.rpartition(":")[::2]):
            raise ValueError(f'signal {self.name!r}: function = {self.function!r}: right would be "FILE.py:NAME"')
        return self

    @property
    def schema(self) -> pa.Schema:
        """Of dataset `user`."""
        return pa.schema([pa.field("id", pa.string(), nullable=False), pa.field(self.name, TYPES[self.type])])

    @property
    def file(self) -> str:
        """The file that it comes from, as the recipe names it."""
        return self.join if self.join is not None else str(self.function).rpartition(":")[0]


class UserSignalSettings(BaseModel, frozen=True, extra="forbid"):
    """A user's signal and the contents of its file, so that its key changes with them; see `user_signal_settings`."""

    signal: UserSignal
    content: str
    """Hash of the file's bytes."""
    path: Path = Field(exclude=True)
    """Where the file lies; no part of the key."""


def user_signal_settings(signal: UserSignal, folder: Path) -> UserSignalSettings:
    """Settings of the stage for a signal whose file is named relative to `folder`, that of the recipe.

    Raises RecipeError if there is no such file, or no such function or column in it.
    """
    path = folder / signal.file
    if not path.is_file():
        raise RecipeError(f"signal {signal.name!r}: {path}: no such file")
    if signal.function is not None:
        load_function(path, signal.function.rpartition(":")[2])
    else:
        _check_columns(path, signal)
    return UserSignalSettings(signal=signal, content=file_hash(path), path=path)


def _check_columns(path: Path, signal: UserSignal) -> None:
    try:
        schema = pq.read_schema(path)
    except pa.ArrowInvalid as error:
        raise InputError(f"signal {signal.name!r}: {path}: not a Parquet file: {error}") from error
    for column in (signal.key, signal.name):
        if column not in schema.names:
            raise RecipeError(f"signal {signal.name!r}: {path}: no column {column!r}, only {', '.join(schema.names)}")


def measure_user(inputs: Inputs, settings: UserSignalSettings, out: Outputs) -> None:
    """Measure a user's signal on the documents of dataset `clean`; writes dataset `user`: id and the signal.

    Counts `documents` and `null`: values that the function or the file leaves open, among them every NaN, since a
    comparison with NaN may hold in SQL and one with null fails.
    """
    columns = _computed(inputs, settings) if settings.signal.join is None else _joined(inputs, settings)
    with out.parquet("user", settings.signal.schema) as shard:
        for ids, values in columns:
            shard.write(pa.RecordBatch.from_arrays([ids, values], schema=settings.signal.schema))
            out.counts["documents"] += len(values)
            out.counts["null"] += values.null_count


def load_function(path: Path, name: str) -> Callable[[pa.Array], Any]:
    """The function `name` of a Python file. Raises RecipeError if the file fails or has no such function."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise RecipeError(f"{path}: not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the user's file raises
        raise RecipeError(f"{path}: cannot be loaded: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        names = ", ".join(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
        raise RecipeError(f"{path}: no function {name!r}, only {names or 'none'}")
    return function  # type: ignore[no-any-return]


def _computed(inputs: Inputs, settings: UserSignalSettings) -> Iterator[tuple[pa.Array, pa.Array]]:
    """The ids and values of each batch, by the user's function."""
    name = str(settings.signal.function).rpartition(":")[2]
    function = load_function(settings.path, name)
    where = f"signal {settings.signal.name!r}: {settings.path}: {name}()"
    for batch in read_batches(inputs.all("clean"), columns=["id", "text"], n_rows=BATCH_ROWS):
        try:
            values = function(batch["text"])
        except (Exception, SystemExit) as error:  # whatever the user's function raises
            raise RecipeError(f"{where} failed on {len(batch)} texts: {type(error).__name__}: {error}") from error
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        if not isinstance(values, pa.Array):
            raise RecipeError(f"{where} returned {type(values).__name__}; right would be a pyarrow.Array")
        if len(values) != len(batch):
            raise RecipeError(
                f"{where} returned {len(values)} values for {len(batch)} texts; right would be one for each"
            )
        yield batch["id"], _cast(values, settings.signal, where)


def _joined(inputs: Inputs, settings: UserSignalSettings) -> Iterator[tuple[pa.Array, pa.Array]]:
    """The ids and values of the shard, from the file to join, which is read a batch at a time."""
    signal = settings.signal
    where = f"signal {signal.name!r}: {settings.path}"
    names = list(dict.fromkeys(["id", signal.key]))
    documents = pa.Table.from_batches(
        read_batches(inputs.all("clean"), columns=names), pa.schema(DOCUMENT.field(n) for n in names)
    )
    keys = documents[signal.key].combine_chunks()
    values = pa.nulls(len(keys), TYPES[signal.type])
    is_found = np.zeros(len(keys), bool)
    for batch in read_batches([settings.path], columns=[signal.key, signal.name], n_rows=65_536):
        named = batch[signal.key].drop_null().cast(pa.string())
        found = pc.index_in(keys, value_set=batch[signal.key].cast(pa.string()), skip_nulls=True)
        is_match = found.is_valid()
        if pc.count_distinct(named).as_py() < len(named) or np.any(is_found & np.asarray(is_match)):
            raise RecipeError(f"{where}: column {signal.key!r} names a row more than once; give each one value")
        is_found |= np.asarray(is_match)
        values = pc.if_else(is_match, _cast(batch[signal.name], signal, where).take(found), values)
    yield documents["id"].combine_chunks(), values


def _cast(values: pa.Array, signal: UserSignal, where: str) -> pa.Array:
    """The values as the type that the recipe says, NaN as null. Raises RecipeError if one is lost by that.

    A float32 becomes the float64 of the same shortest decimal, so that a score written as 0.7 is 0.7 for a rule that
    says `>= 0.7`; widening the bits would give 0.69999998807.
    """
    kind = TYPES[signal.type]
    try:
        if pa.types.is_float32(values.type) and kind == pa.float64():
            values = values.cast(pa.string())
        values = values.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise RecipeError(f"{where} has values of {values.type}, not {signal.type}: {error}; set type") from error
    if pa.types.is_floating(kind):
        values = pc.if_else(pc.is_nan(values), None, values)
    return values

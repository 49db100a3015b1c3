"""Which files an input consists of: paths, folders, globs, URLs and lists of them, each file identified by content."""

from __future__ import annotations

import gzip
import hashlib
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import orjson

from datassay.corpus.errors import InputError
from datassay.corpus.records import InputFile
from datassay.corpus.store import read_json, write_json

SHARD_BYTES = 2 << 20
"""Small files share a task up to so many stored bytes: minutes of extraction, so that a folder of a few archives of
some MB keeps several workers busy."""
_GLOB = re.compile(r"[*?\[]")
_DATASET_FILES = frozenset({"state.json", "dataset_info.json", "dataset_dict.json"})


@dataclass(frozen=True, slots=True)
class _Found:
    """A file that a path stands for: where it is opened, and its name relative to the input's root."""

    url: str
    name: str


def find_inputs(
    paths: Sequence[str], *, paths_from: str | None = None, source: str = "input", cache: Path | None = None
) -> list[InputFile]:
    """The files that `paths` (files, folders, globs, URLs) and the list `paths_from` stand for, sorted by name.

    paths_from: a text file, plain or .gz, of one path or URL a line; relative ones are relative to it
    cache: a JSON file that remembers the hashes of files whose path, size and time of change stay the same
    A name is relative to the folder given, to the part of a glob before its first pattern, or for a file its own name;
    files from a list have their path below the list's folder, or a URL's path. Hidden files and those whose name begins
    with `_` are left out of folders; of a data set saved by `datasets`, the Arrow files are taken.
    Raises InputError if something is missing or empty, or if two files have the same name.
    """
    found = [file for path in paths for file in _expand(path)]
    if paths_from is not None:
        found += _listed(paths_from)
    by_name: dict[str, str] = {}
    for file in found:
        if by_name.setdefault(file.name, file.url) != file.url:
            raise InputError(
                f"{file.url}: has the same name {file.name!r} as {by_name[file.name]}, so their documents would share "
                "ids; give the folder above both"
            )
    known = _Hashes(cache)
    files = [known.input_file(url, name, source) for name, url in sorted(by_name.items())]
    known.save()
    return files


def shards(files: Sequence[InputFile], *, max_bytes: int = SHARD_BYTES) -> list[tuple[InputFile, ...]]:
    """Consecutive files in groups of at most `max_bytes` as stored; a larger file stands alone."""
    groups: list[tuple[InputFile, ...]] = []
    group: list[InputFile] = []
    n_bytes = 0
    for file in files:
        if group and n_bytes + file.n_bytes > max_bytes:
            groups.append(tuple(group))
            group, n_bytes = [], 0
        group.append(file)
        n_bytes += file.n_bytes
    return [*groups, tuple(group)] if group else groups


def _filesystem(path: str) -> tuple[Any, str, str]:
    """File system, the path in it, and what stands before a path of it to make a URL (empty for local ones)."""
    try:
        filesystem, inner = fsspec.core.url_to_fs(path)
    except ImportError as error:
        raise InputError(f"{path}: cannot be opened: {error}; for s3:// pip install 'datassay[s3]'") from error
    except ValueError as error:
        raise InputError(f"{path}: cannot be opened: {error}") from error
    if "file" in filesystem.protocol:
        return filesystem, inner, ""
    return filesystem, inner, path.split("://", 1)[0] + "://"


def _expand(path: str) -> list[_Found]:
    """The files that one path, folder, glob or URL stands for."""
    filesystem, inner, prefix = _filesystem(path)
    try:
        if _GLOB.search(inner) and not filesystem.exists(inner):
            return _globbed(path, filesystem, inner, prefix)
        if filesystem.isdir(inner):
            files = _in_folder(filesystem, inner)
            if not files:
                raise InputError(f"{path}: a folder without files; give the folder that holds the data")
            return [_Found(prefix + file, _below(file, inner)) for file in files]
        if filesystem.isfile(inner):
            return [_Found(prefix + inner, PurePosixPath(inner).name)]
    except OSError as error:
        raise InputError(f"{path}: cannot be listed: {error}") from error
    raise InputError(f"{path}: no such file or folder; check the path")


def _globbed(path: str, filesystem: Any, pattern: str, prefix: str) -> list[_Found]:
    files = sorted(file for file in filesystem.glob(pattern) if filesystem.isfile(file))
    if not files:
        raise InputError(f"{path}: no file matches this pattern; check it, and that the shell has not changed it")
    steps = PurePosixPath(pattern).parts
    n_fixed = next(i for i, step in enumerate(steps) if _GLOB.search(step))
    root = str(PurePosixPath(*steps[:n_fixed]))
    return [_Found(prefix + file, _below(file, root)) for file in files]


def _below(file: str, folder: str) -> str:
    return str(PurePosixPath(file).relative_to(PurePosixPath(folder)))


def _in_folder(filesystem: Any, folder: str) -> list[str]:
    """The data files below a folder, hidden ones left out; of a saved data set only the shards that it lists."""
    files = [file for file in sorted(filesystem.find(folder)) if not _is_hidden(_below(file, folder))]
    saved = {str(PurePosixPath(file).parent) for file in files if PurePosixPath(file).name == "state.json"}
    saved &= {str(PurePosixPath(file).parent) for file in files if PurePosixPath(file).name == "dataset_info.json"}
    data = [file for file in files if str(PurePosixPath(file).parent) not in saved]
    data = [file for file in data if not (saved and PurePosixPath(file).name in _DATASET_FILES)]
    for place in saved:
        state = orjson.loads(filesystem.cat_file(f"{place}/state.json"))
        data += [f"{place}/{shard['filename']}" for shard in state["_data_files"]]
    return sorted(data)


def _is_hidden(name: str) -> bool:
    return any(step.startswith((".", "_")) for step in name.split("/"))


def _listed(paths_from: str) -> list[_Found]:
    """The files that a list of paths names."""
    filesystem, inner, prefix = _filesystem(paths_from)
    try:
        content = filesystem.cat_file(inner)
    except OSError as error:
        raise InputError(f"{paths_from}: no such list of paths; check paths_from") from error
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    lines = [line.strip() for line in content.decode("utf-8").split("\n") if line.strip()]
    if not lines:
        raise InputError(f"{paths_from}: an empty list; it should have one path or URL a line")
    folder = prefix + str(PurePosixPath(inner).parent)
    return [_listed_file(line, folder) for line in lines]


def _listed_file(line: str, folder: str) -> _Found:
    if "://" in line:
        path, name = line, line.split("://", 1)[1]
    elif line.startswith("/"):
        path, name = line, PurePosixPath(line).name
    else:
        path, name = f"{folder}/{line}", posixpath.normpath(line)
    filesystem, inner, prefix = _filesystem(path)
    if not filesystem.isfile(inner):
        raise InputError(f"{path}: no such file, though the list of paths names it")
    return _Found(prefix + inner, name)


class _Hashes:
    """SHA-256 of files, remembered between runs."""

    def __init__(self, cache: Path | None) -> None:
        self._cache = cache
        self._before: dict[str, list[Any]] = read_json(cache) if cache is not None and cache.exists() else {}
        self._now: dict[str, list[Any]] = {}

    def input_file(self, url: str, name: str, source: str) -> InputFile:
        """The file with its size and hash, read only if it has changed."""
        filesystem, inner, _ = _filesystem(url)
        n_bytes, changed = _size_and_change(filesystem, inner)
        remembered = self._before.get(url)
        if remembered is not None and changed is not None and remembered[:2] == [n_bytes, changed]:
            digest = str(remembered[2])
        else:
            digest = _sha256(filesystem, inner)
        self._now[url] = [n_bytes, changed, digest]
        return InputFile(url, name, n_bytes, digest, source)

    def save(self) -> None:
        """Write what is known to the cache file, if that is new."""
        if self._cache is not None and (known := self._before | self._now) != self._before:
            write_json(self._cache, known)


def _size_and_change(filesystem: Any, inner: str) -> tuple[int, str | None]:
    """Bytes of a file, and what changes when it is written: its time of change or ETag; None where there is neither."""
    if "file" in filesystem.protocol:
        stat = Path(inner).stat()
        return stat.st_size, str(stat.st_mtime_ns)
    info = filesystem.info(inner)
    change = next((info[key] for key in ("ETag", "etag", "LastModified", "mtime") if info.get(key)), None)
    return int(info["size"]), None if change is None else str(change)


def _sha256(filesystem: Any, inner: str) -> str:
    digest = hashlib.sha256()
    try:
        with filesystem.open(inner, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{inner}: cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()

"""A stream of bytes to parse: lines and exact lengths, with a look ahead of any length."""

from __future__ import annotations

import re
from collections.abc import Iterator

_EMPTY_LINE = re.compile(rb"\n\r?\n")


class Source:
    """Bytes that come in blocks, none of them empty, the first of which lies at `position`."""

    def __init__(self, blocks: Iterator[bytes], *, position: int = 0) -> None:
        self._blocks = blocks
        self._data = b""
        self._at = 0
        self._start = position

    @property
    def position(self) -> int:
        """How far the stream was read: bytes, counted from the position that it was opened with."""
        return self._start + self._at

    def peek(self, n: int) -> bytes:
        """The next `n` bytes, or fewer at the end, without going on."""
        self._fill(n)
        return self._data[self._at : self._at + n]

    def read(self, n: int) -> bytes:
        """The next `n` bytes, or fewer at the end."""
        self._fill(n)
        data = self._data[self._at : self._at + n]
        self._at += len(data)
        return data

    def view(self, n: int) -> memoryview:
        """As `read`, but without a copy."""
        self._fill(n)
        data = memoryview(self._data)[self._at : self._at + n]
        self._at += len(data)
        return data

    def skip(self, n: int) -> int:
        """Go on by `n` bytes without keeping them; how many there were."""
        skipped = 0
        while skipped < n and (data := self.read(min(n - skipped, 1 << 20))):
            skipped += len(data)
        return skipped

    def readline(self, limit: int) -> bytes:
        """The next line with its line feed; without one if the stream ends or the line is longer than `limit` bytes."""
        size = 256
        while True:
            self._fill(size)
            end = self._data.find(b"\n", self._at, self._at + limit)
            if end >= 0:
                return self.read(end + 1 - self._at)
            have = len(self._data) - self._at
            if have < size or have >= limit:
                return self.read(limit)
            size = 2 * max(size, have)

    def read_head(self, limit: int) -> bytes | None:
        """The next lines up to an empty one, which is included; None if none comes within `limit` bytes."""
        size = 2048
        while True:
            self._fill(size)
            if match := _EMPTY_LINE.search(self._data, self._at, self._at + size):
                return self.read(match.end() - self._at)
            if size >= limit or len(self._data) - self._at < size:
                return None
            size = min(8 * size, limit)

    def _fill(self, n: int) -> None:
        have = len(self._data) - self._at
        if have >= n:
            return
        parts = [self._data[self._at :]] if have else []
        while have < n and (block := next(self._blocks, b"")):
            parts.append(block)
            have += len(block)
        self._start += self._at
        self._data, self._at = parts[0] if len(parts) == 1 else b"".join(parts), 0

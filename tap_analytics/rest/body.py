"""The body of an answer, in memory that is used again and again.

A page is several megabytes; memory taken and given back for each would cost more time than reading it, and more room
than all pages in flight together.
"""

from __future__ import annotations

import codecs
from collections import deque

from tap_analytics.rest.errors import UnreadableBodyError

CHECKED_SIZE = 1 << 16
"""Bytes of a body that are checked at a time."""


class Body:
    """The bytes of a body, gathered piece by piece."""

    def __init__(self, buffers: BufferPool) -> None:
        self._buffers = buffers
        self._memory = buffers.take()
        self.size = 0

    def feed(self, piece: bytes) -> None:
        """Add a piece."""
        end = self.size + len(piece)
        self._memory[self.size : end] = piece
        self.size = end

    @property
    def has_line_breaks(self) -> bool:
        """Whether a record may stand on more than one line."""
        return any(self._memory.find(end, 0, self.size) >= 0 for end in (b"\n", b"\r"))

    def count(self, sign: bytes) -> int:
        """Return how often a sign stands in the body."""
        return self._memory.count(sign, 0, self.size)

    def text(self, charset: str = "utf-8") -> memoryview:
        """Return the body as UTF-8, without a byte-order mark.

        Args:
            charset: The encoding that the answer names.

        Raises:
            UnreadableBodyError: The body is not in that encoding.
        """
        start = len(codecs.BOM_UTF8) if self.start(3) == codecs.BOM_UTF8 else 0
        text = memoryview(self._memory)[start : self.size]
        self._buffers.put_back(self._memory)
        try:
            if codecs.lookup(charset).name not in {"utf-8", "ascii"}:
                return memoryview(bytes(text).decode(charset).encode())
            _check_utf8(text)
        except LookupError:
            _check_utf8(text)
        except UnicodeDecodeError as error:
            msg = f"are not {charset.upper()} ({error.reason})"
            raise UnreadableBodyError(msg) from None
        return text

    def start(self, size: int) -> bytes:
        """Return the first bytes of the body."""
        return bytes(self._memory[: min(size, self.size)])


def _check_utf8(text: memoryview) -> None:
    """Raise UnicodeDecodeError where a text is not UTF-8."""
    start, size = 0, len(text)
    while start < size:
        # What is decoded is thrown away: little enough at a time that the memory for it is there already.
        end = start + CHECKED_SIZE
        _, decoded = codecs.utf_8_decode(text[start:end], "strict", end >= size)
        start += decoded


class BufferPool:
    """Keeps the memory of bodies for the next ones; it is free once nobody has a view of it."""

    def __init__(self) -> None:
        self._memories: deque[bytearray] = deque()

    def take(self) -> bytearray:
        """Return memory that nobody looks at any more, or new."""
        for _ in range(len(self._memories)):
            try:
                memory = self._memories.popleft()
            except IndexError:
                break  # another thread was quicker
            try:
                # Python lets nobody change the size of memory that somebody has a view of.
                memory.append(0)
            except BufferError:
                self._memories.append(memory)
            else:
                return memory
        return bytearray()

    def put_back(self, memory: bytearray) -> None:
        """Keep memory; it may still be looked at."""
        self._memories.append(memory)

"""The body of a response, in memory that is used again and again.

A page is several megabytes; memory taken and given back for each would cost more time than reading
it, and more room than all pages under way together.
"""

from __future__ import annotations

import codecs
from collections import deque


class UnreadableBodyError(ValueError):
    """A body is no JSON: cut off, garbled, or something else altogether."""


class Body:
    """The bytes of a body, gathered piece by piece."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._memory = shelf.take()
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._garbled: UnicodeDecodeError | None = None
        self.size = 0
        self.has_line_breaks = False

    def feed(self, piece: bytes) -> None:
        """Add a piece."""
        end = self.size + len(piece)
        self._memory[self.size : end] = piece
        self.size = end
        if b"\n" in piece or b"\r" in piece:
            self.has_line_breaks = True
        if self._garbled is None:
            self._check(piece)

    def _check(self, piece: bytes, *, final: bool = False) -> None:
        try:
            self._decode(piece, final)
        except UnicodeDecodeError as error:
            self._garbled = error

    def text(self) -> memoryview:
        """Return the bytes of the body, which are UTF-8, without a byte-order mark.

        Raises UnreadableBodyError where they are not.
        """
        if self._garbled is None:
            self._check(b"", final=True)
        if self._garbled is not None:
            msg = f"are no UTF-8 ({self._garbled.reason})"
            raise UnreadableBodyError(msg)
        start = len(codecs.BOM_UTF8) if self.start(3) == codecs.BOM_UTF8 else 0
        text = memoryview(self._memory)[start : self.size]
        self._shelf.put_back(self._memory)
        return text

    def start(self, size: int) -> bytes:
        """Return the first bytes of the body."""
        return bytes(self._memory[: min(size, self.size)])


class Shelf:
    """Keeps the memory of bodies for the next ones; it is free once nobody has a view of it."""

    def __init__(self) -> None:
        self._memories: deque[bytearray] = deque()

    def take(self) -> bytearray:
        """Return memory that nobody looks at any more, or new."""
        for _ in range(len(self._memories)):
            memory = self._memories.popleft()
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

"""Standard output: a line is never cut, not by a signal, nor by a reader that is slow or gone."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import sys
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from singer_sdk.singerlib.encoding import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message

try:
    import fcntl
    import termios
except ImportError:  # pragma: no cover - Windows has neither, nor pipes that need them
    fcntl = termios = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable

ATOMIC = getattr(select, "PIPE_BUF", 512)
"""Bytes that a write to a pipe takes as a whole or not at all."""

WAKE = 0.25
"""Seconds that a reader is waited for at a time: a signal that came just before is seen only after the wait."""

encoder = msgspec.json.Encoder(
    decimal_format="number",
    enc_hook=lambda value: value.isoformat() if isinstance(value, datetime) else str(value),
)
"""Encodes messages; no number loses a digit."""


class OutputError(BaseException):
    """Standard output is closed or full. It ends the run, so it is no `Exception`, which would end a stream."""


class LineWriter(GenericSingerWriter[bytes, Message]):
    """Writes messages to standard output; a signal never cuts a line."""

    def __init__(self) -> None:
        super().__init__()
        self._in_line = False
        self._stop: Callable[[], None] | None = None

    def check(self) -> None:
        """Raise OutputError where nothing can be written."""
        if sys.stdout is None:
            msg = "it is closed"
            raise OutputError(msg)

    def serialize_message(self, message: Message) -> bytes:
        """Return a message as a line of JSON, with every digit of its numbers."""
        return encoder.encode(message.to_dict()) + b"\n"

    def write_message(self, message: Message) -> None:
        """Write a message."""
        self.write_lines(self.serialize_message(message))

    def write_lines(self, lines: bytes) -> None:
        """Write encoded lines.

        Raises OutputError where the reader is gone or the disk is full.
        """
        try:
            self._write(lines)
        except OSError as error:
            raise OutputError(error.strerror) from None

    def _write(self, lines: bytes) -> None:
        try:
            output = sys.stdout.fileno()
        except (OSError, ValueError):  # it was replaced, as in tests
            self._write_whole(sys.stdout.buffer.write, lines)
            return
        kind = os.fstat(output).st_mode
        # A file makes no writer wait, nor does a device that is no terminal, such as /dev/null.
        if fcntl is None or stat.S_ISREG(kind) or (stat.S_ISCHR(kind) and not os.isatty(output)):
            self._write_whole(lambda some: os.write(output, some), lines)
            return
        if not stat.S_ISFIFO(kind):
            self._write_whole(lambda some: _write_some(output, some), lines)
            return
        capacity = fcntl.fcntl(output, fcntl.F_GETPIPE_SZ) if hasattr(fcntl, "F_GETPIPE_SZ") else ATOMIC
        start, view = 0, memoryview(lines)
        while start < len(lines):
            # A line of up to `ATOMIC` bytes is never cut, not even in a pipe that nobody reads.
            room = capacity
            if _has_unread(output):
                room = ATOMIC
                _await_room(output)
            end = lines.rfind(b"\n", start, start + room) + 1
            if end:
                start += os.write(output, view[start:end])
            else:
                end = lines.find(b"\n", start) + 1
                self._write_whole(lambda some: _write_some(output, some), view[start:end])
                start = end

    def _write_whole(self, write: Callable[[bytes | memoryview], int], lines: bytes | memoryview) -> None:
        """Write lines completely before a signal is obeyed."""
        self._in_line = True
        try:
            view = memoryview(lines)
            while view:
                view = view[write(view) :]
            if write is sys.stdout.buffer.write:
                sys.stdout.flush()
        finally:
            self._in_line = False
        if self._stop is not None:
            self._stop()

    def stop(self, leave: Callable[[], None]) -> None:
        """Call `leave` now, or as soon as the current line is complete."""
        self._stop = leave
        if not self._in_line:
            leave()

    def abandon(self) -> None:
        """Discard everything that is written from now on: the reader is gone."""
        if sys.stdout is None:
            return
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)


class NullWriter(LineWriter):
    """Writes nothing, for what only looks at records."""

    def write_lines(self, lines: bytes) -> None:
        """Discard encoded lines."""


def _await_room(output: int) -> None:
    """Wait until `ATOMIC` bytes can be written."""
    while not select.select((), (output,), (), WAKE)[1]:
        pass


def _write_some(output: int, some: bytes | memoryview) -> int:
    """Write up to `ATOMIC` bytes; return how many were written."""
    _await_room(output)
    return os.write(output, some[:ATOMIC])


def _has_unread(pipe: int) -> bool:
    waiting = bytearray(4)
    fcntl.ioctl(pipe, termios.FIONREAD, waiting)
    return any(waiting)

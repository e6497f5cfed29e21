"""Standard output: each line whole, whatever signal comes, and whether or not anybody reads."""

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
"""Bytes that a pipe takes whole or not at all."""

WAKE = 0.25
"""Seconds that a reader is waited for at a time: a signal that came just before is seen only after the wait."""

encoder = msgspec.json.Encoder(
    decimal_format="number",
    enc_hook=lambda value: value.isoformat() if isinstance(value, datetime) else str(value),
)
"""What writes messages: no number loses a digit."""


class OutputError(BaseException):
    """Nothing more can be written; no stream can go on, so it is no `Exception` of a stream."""


class LineWriter(GenericSingerWriter[bytes, Message]):
    """Writes messages to standard output, each line whole, whatever signal comes."""

    def __init__(self) -> None:
        super().__init__()
        self._in_line = False
        self._stop: Callable[[], None] | None = None

    def serialize_message(self, message: Message) -> bytes:
        """Return a message as a line of JSON that has lost no digit."""
        return encoder.encode(message.to_dict()) + b"\n"

    def write_message(self, message: Message) -> None:
        """Write a message."""
        self.write_lines(self.serialize_message(message))

    def write_lines(self, lines: bytes) -> None:
        """Write encoded lines.

        Raises OutputError where the reader is gone, or there is no room.
        """
        try:
            self._write(lines)
        except OSError as error:
            raise OutputError(error.strerror) from None

    def _write(self, lines: bytes) -> None:
        try:
            output = sys.stdout.fileno()
        except (OSError, ValueError):  # somebody has put something else in its place
            self._write_whole(sys.stdout.buffer.write, lines)
            return
        kind = os.fstat(output).st_mode
        if fcntl is None or stat.S_ISREG(kind):
            self._write_whole(lambda some: os.write(output, some), lines)
            return
        if not stat.S_ISFIFO(kind):
            self._write_whole(lambda some: _write_some(output, some), lines)
            return
        capacity = fcntl.fcntl(output, fcntl.F_GETPIPE_SZ) if hasattr(fcntl, "F_GETPIPE_SZ") else ATOMIC
        start, view = 0, memoryview(lines)
        while start < len(lines):
            # A pipe that nobody reads is never left with a part of a line, if that is short enough.
            room = capacity
            if _holds_anything(output):
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
        """Write lines that a signal must not cut."""
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
        """Leave now, or as soon as the line that is being written is whole."""
        self._stop = leave
        if not self._in_line:
            leave()

    def abandon(self) -> None:
        """Have what is still written go nowhere: the reader is gone."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)


def _await_room(output: int) -> None:
    """Wait until something can be written that is no longer than a pipe takes whole."""
    while not select.select((), (output,), (), WAKE)[1]:
        pass


def _write_some(output: int, some: bytes | memoryview) -> int:
    """Write as much as there is room for; return how much that was."""
    _await_room(output)
    return os.write(output, some[:ATOMIC])


def _holds_anything(pipe: int) -> bool:
    waiting = bytearray(4)
    fcntl.ioctl(pipe, termios.FIONREAD, waiting)
    return any(waiting)

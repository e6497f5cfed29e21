"""A network without sockets: bytes arrive when they are due, and connections break as the server says.

urllib3, `http.client` and all that is above them are the real ones.
"""

from __future__ import annotations

import io
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.faults.api import Asked

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from tests.simulation.clock import Clock


@dataclass(frozen=True)
class Piece:
    """Bytes of an answer, some seconds after the ones before; without any, the end of the connection."""

    data: bytes
    delay: float = 0.0


class Reset(Piece):
    """The connection is reset."""


RESET = Reset(b"")
END = Piece(b"")

Answer = list[Piece]


class Network:
    """Connects whoever asks to one server."""

    def __init__(self, clock: Clock, answer: Callable[[Asked], Answer]) -> None:
        self.clock = clock
        self.answer = answer
        self.is_down = False
        """Whether connections are refused."""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        patches = {
            "urllib3.util.connection.create_connection": self._connect,
            "urllib3.connection.wait_for_read": lambda connection, **_options: connection.has_arrived(),
        }
        for name, double in patches.items():
            self._stack.enter_context(mock.patch(name, double))
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def _connect(self, _address: object, timeout: float, *_others: object, **_options: object) -> Connection:
        if self.is_down:
            self.is_down = False
            raise ConnectionRefusedError(111, "Connection refused")
        return Connection(self, timeout)


class Connection:
    """What the client takes for a socket."""

    def __init__(self, network: Network, timeout: float) -> None:
        self.network = network
        self.timeout = timeout
        self.is_cut = False
        self._sent = bytearray()
        self._arriving: deque[tuple[float, Piece]] = deque()

    def settimeout(self, timeout: float) -> None:
        self.timeout = timeout

    def sendall(self, data: bytes) -> None:
        self._sent += data

    def makefile(self, *_mode: object) -> io.BufferedReader:
        """Have the server answer what was sent, and return what reads the answer."""
        asked = read_request(bytes(self._sent))
        self._sent.clear()
        due = self.network.clock.monotonic()
        for piece in self.network.answer(asked):
            due = round(due + piece.delay, 6)  # as the clock goes
            self._arriving.append((due, piece))
        return io.BufferedReader(_Reader(self))

    def shutdown(self, _how: int) -> None:
        self.is_cut = True

    def close(self) -> None:
        self.is_cut = True

    def has_arrived(self) -> bool:
        """Tell whether there is something to read, if only the end."""
        return self.is_cut or bool(self._arriving and self._arriving[0][0] <= self.network.clock.monotonic())

    def receive(self, size: int) -> bytes:
        """Return what arrives next, and wait for it; nothing at the end."""
        clock = self.network.clock
        due = self._arriving[0][0] if self._arriving else float("inf")
        clock.advance(min(due - clock.monotonic(), self.timeout))
        if self.is_cut:
            return b""
        if not self.has_arrived():
            msg = "timed out"
            raise TimeoutError(msg)
        _, piece = self._arriving.popleft()
        if isinstance(piece, Reset):
            raise ConnectionResetError(104, "Connection reset by peer")
        if not piece.data or len(piece.data) > size:
            self._arriving.appendleft((due, Piece(piece.data[size:])))
        return piece.data[:size]


class _Reader(io.RawIOBase):
    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable memory
        data = self._connection.receive(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def read_request(sent: bytes) -> Asked:
    """Return the request that some bytes are."""
    head, _, body = sent.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    method, target, _ = line.split(" ")
    parts = urlsplit(target)
    headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
    return Asked(method, unquote(parts.path), dict(parse_qsl(parts.query)), headers, body.decode())

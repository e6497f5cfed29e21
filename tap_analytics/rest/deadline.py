"""The deadline of a request: from the start of its connection to the last byte of its answer."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    from typing import Self


_of_thread = threading.local()


class TransportError(Exception):
    """A request did not get a complete answer; the text quotes no URL."""


class Deadline:
    """Ends a request at a moment, whatever it is doing then.

    The timeout of a socket counts from byte to byte; this one counts from the start of the connection, through a
    proxy too, to the last byte.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.is_late = False
        self.is_cut = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = self._start(timeout)

    def __enter__(self) -> Self:
        _of_thread.deadline = self
        return self

    def __exit__(self, *_exception: object) -> None:
        del _of_thread.deadline
        self._timer.cancel()
        with self._lock:
            self._socket = None

    def _start(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        timer.start()
        return timer

    def _end(self) -> None:
        self.is_late = True
        self.cut()

    def hurry(self, seconds: float) -> None:
        """Let the rest take no longer than some seconds."""
        if seconds < self.timeout:
            self._timer.cancel()
            self._timer = self._start(seconds)

    def cut(self) -> None:
        """End the request now: whoever reads from its connection finds the end of it."""
        with self._lock:
            self.is_cut = True
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def check(self) -> None:
        """Raise TransportError if the request was ended, whatever has arrived since."""
        if self.is_late:
            msg = f"no complete answer within {self.timeout:g} s (request_timeout)"
            raise TransportError(msg)
        if self.is_cut:
            msg = "the request was cancelled"
            raise TransportError(msg)

    def use(self, opened: socket.socket | None) -> None:
        """Remember the socket that the request goes through."""
        with self._lock:
            self._socket = opened
        if self.is_cut:
            self.cut()


def current_deadline() -> Deadline | None:
    """Return the deadline of the request that the current thread sends."""
    return getattr(_of_thread, "deadline", None)


class _Response(http.client.HTTPResponse):
    """An answer that is preceded by any number of interim ones (RFC 9110, 15.2).

    Python (3.14) reads past 100 only, and takes 103 for the answer: the answer itself then stays on the connection,
    and the next request would get it.
    """

    def _read_status(self) -> Any:  # noqa: ANN401 - of http.client
        while True:
            status_line = super()._read_status()  # type: ignore[misc] # typeshed does not know it
            status = status_line[1]
            if status == HTTPStatus.CONTINUE or status // 100 != 1 or status == HTTPStatus.SWITCHING_PROTOCOLS:
                return status_line
            http.client.parse_headers(self.fp)


class _Watched:
    """A connection that tells the deadline of its thread which socket it uses."""

    sock: socket.socket | None
    response_class: Any = _Response

    def _new_conn(self) -> Any:  # noqa: ANN401 - urllib3's own
        """Connect; from now on the deadline counts, through a proxy's handshake too."""
        sock = super()._new_conn()  # type: ignore[misc] # of the connection beside it
        if deadline := current_deadline():
            deadline.use(sock)
        return sock

    def getresponse(self) -> Any:  # noqa: ANN401 - urllib3's own
        """Wait for the answer."""
        if deadline := current_deadline():
            deadline.use(self.sock)
        return super().getresponse()  # type: ignore[misc] # of the connection beside it


class _Connection(_Watched, HTTPConnection):
    pass


class _SecureConnection(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Adapter(HTTPAdapter):
    """What sends requests, by connections that end when their exchange does."""

    _POOLS = {"http": _Pool, "https": _SecurePool}  # noqa: RUF012 - urllib3 takes a dictionary

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - of requests
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:  # noqa: ANN401 - of requests
        """Return the pools of the connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **options)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._POOLS
        return manager

    def close(self) -> None:
        """Close every connection now, not once nobody remembers an error that came over one."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - it is not a dictionary
                if pool := manager.pools.get(key):
                    pool.close()
        super().close()

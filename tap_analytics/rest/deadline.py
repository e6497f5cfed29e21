"""The deadline of a request: from the start of its connection to the last byte of its answer."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from math import inf
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter

from tap_analytics.rest.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self


_of_thread = threading.local()


class TransportError(Exception):
    """A request did not get a complete answer; the text quotes no URL."""


class Watchdog:
    """Ends requests that are late, all of them from one thread, which the first request starts."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._moments: dict[Deadline, float] = {}
        self._wakes_at = inf
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def watch(self, deadline: Deadline, moment: float) -> None:
        """End a request at a moment of the monotonic clock.

        Raises RestError where the system lets the process start no thread.
        """
        with self._changed:
            if self._thread is None:
                self._thread = start_thread(self._run, "watchdog")
            self._moments[deadline] = moment
            if moment < self._wakes_at:
                self._changed.notify()

    def forget(self, deadline: Deadline) -> None:
        """Let a request go on."""
        with self._changed:
            self._moments.pop(deadline, None)

    def close(self) -> None:
        """Let the thread end."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._is_closed:
                now = time.monotonic()
                for deadline in [one for one, moment in self._moments.items() if moment <= now]:
                    del self._moments[deadline]
                    deadline.end()
                # It also wakes where that request has ended: then no later one has to wake it.
                self._wakes_at = min(self._moments.values(), default=inf)
                self._changed.wait(None if self._wakes_at == inf else self._wakes_at - now)


class Deadline:
    """Ends a request at a moment, whatever it is doing then.

    The timeout of a socket counts from byte to byte; this one counts from the start of the connection, through a
    proxy's handshake too, to the last byte. That of TLS ends by the timeout of its socket: Python counts it as a whole.
    """

    def __init__(self, timeout: float, watchdog: Watchdog) -> None:
        self.timeout = timeout
        self.is_late = False
        self.is_cut = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._watchdog = watchdog
        self._moment = time.monotonic() + timeout

    def __enter__(self) -> Self:
        self._watchdog.watch(self, self._moment)
        _of_thread.deadline = self
        return self

    def __exit__(self, *_exception: object) -> None:
        del _of_thread.deadline
        self._watchdog.forget(self)
        with self._lock:
            self._socket = None

    def hurry(self, seconds: float) -> None:
        """Let the rest take no longer than some seconds."""
        self._moment = min(self._moment, time.monotonic() + seconds)
        self._watchdog.watch(self, self._moment)

    def end(self) -> None:
        """End the request for being late."""
        self.is_late = True
        self.cut()

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


def _watched(pools: Mapping[str, Any]) -> dict[str, Any]:
    """Return classes of pools, by the scheme of an address, whose connections are watched."""
    watched = dict(pools)
    for scheme, pool in pools.items():
        if not issubclass(pool.ConnectionCls, _Watched):
            connection = type("WatchedConnection", (_Watched, pool.ConnectionCls), {})
            watched[scheme] = type("WatchedPool", (pool,), {"ConnectionCls": connection})
    return watched


class Adapter(HTTPAdapter):
    """What sends requests, by connections that end when their exchange does."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - of requests
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _watched(self.poolmanager.pool_classes_by_scheme)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:  # noqa: ANN401 - of requests
        """Return the pools of the connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _watched(manager.pool_classes_by_scheme)
        return manager

    def close(self) -> None:
        """Close every connection now, not once nobody remembers an error that came over one."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - it is not a dictionary
                if pool := manager.pools.get(key):
                    pool.close()
        super().close()

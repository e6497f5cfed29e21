"""What happens to one request on the wire: it ends by its deadline, and its body is whole or refused."""

from __future__ import annotations

import socket
import threading
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from singer_sdk.exceptions import FatalAPIError
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    import requests
    from urllib3 import BaseHTTPResponse

LARGEST_BODY = 1 << 28
"""Bytes of a response, unpacked, above which it is refused: some 26 kB for each record of a full page."""

PIECE = 1 << 16
"""Bytes of a body that are read and unpacked at a time; more would be memory fetched from the system each time."""

ENCODINGS = "gzip"
"""The encodings of a body that are asked for."""

_GZIP = 16 + zlib.MAX_WBITS
_GZIP_START = b"\x1f"
_PACKED = {"br", "compress", "deflate", "zstd"}

_of_thread = threading.local()


class TransportError(Exception):
    """A request did not come through; its text quotes no URL."""


class Exchange:
    """A request and its answer, which the thread in it gives up once they are cut.

    A timeout of a socket counts from byte to byte; this one counts from the first to the last.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.is_late = False
        self.is_cut = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = self._start(timeout)

    def __enter__(self) -> Self:
        _of_thread.exchange = self
        return self

    def __exit__(self, *_exception: object) -> None:
        del _of_thread.exchange
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
        """Have the rest take no longer than some seconds."""
        if seconds < self.timeout:
            self._timer.cancel()
            self._timer = self._start(seconds)

    def cut(self) -> None:
        """End the exchange now: who reads finds the end of the connection."""
        with self._lock:
            self.is_cut = True
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def check(self) -> None:
        """Raise TransportError if the exchange was cut, whatever has come of it since."""
        if self.is_late:
            msg = f"no complete answer within {self.timeout:g} s (request_timeout)"
            raise TransportError(msg)
        if self.is_cut:
            msg = "it is not needed any more"
            raise TransportError(msg)

    def use(self, opened: socket.socket | None) -> None:
        """Take notice of the socket that the request goes through."""
        with self._lock:
            self._socket = opened
        if self.is_cut:
            self.cut()


def current_exchange() -> Exchange | None:
    """Return the exchange that the current thread is in."""
    return getattr(_of_thread, "exchange", None)


class _Watched:
    """A connection that tells the exchange of its thread which socket it uses."""

    sock: socket.socket | None

    def getresponse(self) -> Any:  # noqa: ANN401 - urllib3's own
        """Wait for the answer."""
        if found := current_exchange():
            found.use(self.sock)
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
            for key in manager.pools.keys():  # noqa: SIM118 - it is no dictionary
                if pool := manager.pools.get(key):
                    pool.close()
        super().close()


def unpacked(response: requests.Response) -> Iterator[bytes]:
    """Yield the body of a response piece by piece, unpacked: never more than a piece in memory.

    Raises TransportError where it is cut off or garbled within its packing, FatalAPIError where it
    is packed as was not asked for, and what the connection raises.
    """
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in _PACKED or "," in encoding:
        msg = f"was answered in the encoding {encoding[:40]!r}; only {ENCODINGS} was asked for."
        raise FatalAPIError(msg)
    raw: BaseHTTPResponse = response.raw
    packed = iter(lambda: raw.read1(PIECE, decode_content=False), b"")
    return _inflated(packed) if encoding in {"gzip", "x-gzip"} else packed


def _inflated(packed: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a gzip body, which may have several members, unpacked.

    The decoder of urllib3 takes a body that is cut off for whole.
    """
    inflater = zlib.decompressobj(_GZIP)
    began = ended = False
    try:
        for piece in packed:
            rest = piece
            while rest:
                if ended:
                    if not rest.startswith(_GZIP_START):
                        break  # padding, as after any archive
                    inflater, ended = zlib.decompressobj(_GZIP), False
                began = True
                yield inflater.decompress(rest, PIECE)
                ended = inflater.eof
                rest = inflater.unused_data if ended else inflater.unconsumed_tail
    except zlib.error as error:
        msg = f"the body is no gzip, as its header says ({error})"
        raise TransportError(msg) from None
    if began and not ended:
        msg = "the gzip body is cut off"
        raise TransportError(msg)

"""What the sandbox does wrong when it is asked to."""

import asyncio
import gzip
import json
import re
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http.client import responses
from typing import Final, NamedTuple

JSON: Final = {"Content-Type": "application/json; charset=utf-8"}

# These alter how a good answer is computed, so any number of them go together.
ALTERING: Final = frozenset(
    {
        "delay",
        "cap",
        "ignore_offset",
        "ignore_limit",
        "clamp_offset",
        "result_window",
        "reverse",
        "repeat_last_page",
        "stale_page",
        "empty_page",
    }
)
# These break the connection; the others answer something else over a sound one.
CUTTING: Final = frozenset(
    {
        "reset",
        "reset_in_body",
        "silence",
        "silence_in_body",
        "long_content_length",
        "cut_chunked",
    }
)

_BIG: Final = 3_000_000
# A client needs a moment to read what came before a reset, which may overtake it.
_BEFORE_RESET: Final = 0.05
_SLICES_A_SECOND: Final = 20
_NUMBER: Final = re.compile(rb'(?<=":)\s*-?\d+(?:\.\d+)?(?=[,}\s])')
_FIRST_MEMBER: Final = re.compile(rb'\{\s*(?="id")')


class Answer(NamedTuple):
    """A response before it is sent."""

    status: int
    body: bytes
    headers: Mapping[str, str] = JSON


@dataclass(frozen=True, kw_only=True)
class _Options:
    """What a fault can be told beside when it happens, each for the kinds named above it."""

    # status, redirect, body, echo_key, big_error; None is the usual one of the kind.
    status: int | None = None
    # status, redirect, body
    headers: Mapping[str, str] = field(default_factory=dict)
    # status (empty: a JSON error), body
    body: bytes | str = b""
    # redirect
    location: str = "/elsewhere"
    # delay
    seconds: float = 1.0
    # drip
    bytes_per_second: int = 1_000
    # cap
    limit: int = 100
    # clamp_offset, result_window
    offset: int = 0
    # gzip_bomb, in bytes before compression
    size: int = 100_000_000


@dataclass(frozen=True)
class Fault(_Options):
    """One way to misbehave, and the requests it happens to: some path, some parameters, some times.

    `path` is a pattern of fnmatch. The first `after` matching requests are served well, then
    `times` of them are not (None: for ever). Raises ValueError for an unknown kind.
    """

    kind: str
    path: str = "*"
    params: Mapping[str, str] = field(default_factory=dict)
    after: int = 0
    times: int | None = 1

    def __post_init__(self) -> None:
        kinds = ALTERING | CUTTING | {"drip"} | _ANSWERS.keys()
        if self.kind not in kinds:
            message = f"no fault {self.kind!r}; there are {', '.join(sorted(kinds))}"
            raise ValueError(message)

    def matches(self, path: str, params: Mapping[str, str]) -> bool:
        """Return whether a request is one that this fault can happen to."""
        return fnmatchcase(path, self.path) and self.params.items() <= params.items()


class Happening(NamedTuple):
    """What goes wrong with one request: how its answer is computed, and what becomes of it."""

    altering: dict[str, Fault]
    other: Fault | None


class Faults:
    """The faults that are set, and how often each has happened; safe to use from threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[_Counted] = []

    def add(self, *faults: Fault) -> None:
        """Set more faults, after those that are set."""
        with self._lock:
            self._faults += [_Counted(fault) for fault in faults]

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()

    def take(self, path: str, params: Mapping[str, str]) -> Happening:
        """Return what goes wrong with a request, and count it: the first other fault wins."""
        altering: dict[str, Fault] = {}
        other: Fault | None = None
        with self._lock:
            for counted in self._faults:
                fault = counted.fault
                if not fault.matches(path, params):
                    continue
                counted.seen += 1
                if counted.seen <= fault.after or counted.happened == fault.times:
                    continue
                if fault.kind in ALTERING:
                    altering.setdefault(fault.kind, fault)
                elif other is None:
                    other = fault
                else:
                    continue
                counted.happened += 1
        return Happening(altering, other)


@dataclass
class _Counted:
    fault: Fault
    seen: int = 0
    happened: int = 0


def error(status: int, message: str | None = None) -> Answer:
    """Return the JSON answer of an error."""
    text = message or _reason(status)
    return Answer(status, json.dumps({"error": {"code": status, "message": text}}).encode())


def _reason(status: int) -> str:
    return responses.get(status, "Unknown")


class Asked(NamedTuple):
    """What a request carried, for the fault that echoes it."""

    params: Mapping[str, str]
    headers: Mapping[str, str]


def answer_wrongly(fault: Fault, answer: Answer, asked: Asked) -> Answer:
    """Return what a fault that leaves the connection alone makes of a good answer."""
    return _ANSWERS[fault.kind](fault, answer, asked)


def _status(fault: Fault, _answer: Answer, _asked: Asked) -> Answer:
    wrong = error(fault.status or 500)
    body = _bytes(fault.body) or wrong.body
    return Answer(wrong.status, body, {**wrong.headers, **fault.headers})


def _redirect(fault: Fault, _answer: Answer, _asked: Asked) -> Answer:
    return Answer(fault.status or 302, b"", {"Location": fault.location, **fault.headers})


def _body(fault: Fault, _answer: Answer, _asked: Asked) -> Answer:
    return Answer(fault.status or 200, _bytes(fault.body), {**JSON, **fault.headers})


def _html(_fault: Fault, _answer: Answer, _asked: Asked) -> Answer:
    page = b"<!DOCTYPE html><html><body><h1>Down for maintenance</h1></body></html>"
    return Answer(200, page, {"Content-Type": "text/html; charset=utf-8"})


def _echo_key(fault: Fault, _answer: Answer, asked: Asked) -> Answer:
    echo = {"query": dict(asked.params), "headers": dict(asked.headers)}
    wrong = {"error": {"code": fault.status or 400, "message": "Bad request", "request": echo}}
    return Answer(fault.status or 400, json.dumps(wrong).encode())


def _big_error(fault: Fault, _answer: Answer, _asked: Asked) -> Answer:
    return error(fault.status or 500, "stack trace " * (_BIG // len("stack trace ")))


def _cut_gzip(_fault: Fault, answer: Answer, _asked: Asked) -> Answer:
    packed = gzip.compress(answer.body, 1)
    return Answer(200, packed[: len(packed) // 2], {**answer.headers, "Content-Encoding": "gzip"})


def _gzip_bomb(fault: Fault, answer: Answer, _asked: Asked) -> Answer:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    spaces = b" " * 1_000_000
    packed = [packer.compress(b'{"data":[')]
    packed += [packer.compress(spaces) for _ in range(fault.size // len(spaces))]
    packed += [packer.compress(b"]}"), packer.flush()]
    return Answer(200, b"".join(packed), {**answer.headers, "Content-Encoding": "gzip"})


def _no_node(_fault: Fault, _answer: Answer, _asked: Asked) -> Answer:
    return Answer(200, b'{"meta":{"count":0}}')


def _with_body(body: bytes) -> "_Wrong":
    return lambda _fault, answer, _asked: answer._replace(body=body)


def _first_record(start: bytes) -> "_Wrong":
    """Begin the first record with something more."""

    def wrong(_fault: Fault, answer: Answer, _asked: Asked) -> Answer:
        body, replaced = _FIRST_MEMBER.subn(b"{" + start, answer.body, count=1)
        return answer._replace(body=body if replaced else b'{"data":[{' + start + b'"id":"1"}]}')

    return wrong


def _first_number(word: bytes) -> "_Wrong":
    """Replace the first number of the answer by a word."""
    otherwise = _first_record(b'"value":' + word + b",")

    def wrong(fault: Fault, answer: Answer, asked: Asked) -> Answer:
        body, replaced = _NUMBER.subn(word, answer.body, count=1)
        return answer._replace(body=body) if replaced else otherwise(fault, answer, asked)

    return wrong


def _bom(_fault: Fault, answer: Answer, _asked: Asked) -> Answer:
    return answer._replace(body=b"\xef\xbb\xbf" + answer.body)


_Wrong = Callable[[Fault, Answer, Asked], Answer]
_ANSWERS: Final[dict[str, _Wrong]] = {
    "status": _status,
    "redirect": _redirect,
    "body": _body,
    "html": _html,
    "echo_key": _echo_key,
    "big_error": _big_error,
    "cut_gzip": _cut_gzip,
    "gzip_bomb": _gzip_bomb,
    "no_node": _no_node,
    "empty_body": _with_body(b""),
    "invalid_json": _with_body(b'{"data":[{"id":"1",,}]}'),
    "invalid_utf8": _first_record(b'"name":"caf\xe9 \xff",'),
    "duplicate_keys": _first_record(b'"id":"duplicate",'),
    "nan": _first_number(b"NaN"),
    "infinity": _first_number(b"Infinity"),
    "bom": _bom,
}


def _bytes(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else body


class Wire:
    """A connection that is written to past the HTTP library, which would keep it in order."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    async def send(self, fault: Fault, answer: Answer) -> None:
        """Send an answer as a fault wants it, and end the connection."""
        half = answer.body[: len(answer.body) // 2]
        match fault.kind:
            case "reset":
                self._reset()
            case "reset_in_body":
                self._write(self._head(answer, len(answer.body)) + half)
                await asyncio.sleep(_BEFORE_RESET)
                self._reset()
            case "silence":
                await self._left_alone()
            case "silence_in_body":
                self._write(self._head(answer, len(answer.body)) + half)
                await self._left_alone()
            case "long_content_length":
                self._write(self._head(answer, len(answer.body) + 1_000) + answer.body)
            case "cut_chunked":
                self._write(self._head(answer, None) + b"%x\r\n%b\r\n" % (len(half), half))
            case "drip":
                self._write(self._head(answer, len(answer.body)))
                await self._drip(answer.body, fault.bytes_per_second)
        self._transport.close()

    def _head(self, answer: Answer, length: int | None) -> bytes:
        sizing = {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
        headers = {**answer.headers, **sizing, "Connection": "close"}
        lines = [f"HTTP/1.1 {answer.status} {_reason(answer.status)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def _reset(self) -> None:
        # Lingering for zero seconds makes the kernel send RST instead of FIN.
        sock: socket.socket | None = self._transport.get_extra_info("socket")
        if sock is not None and not self._transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    async def _left_alone(self) -> None:
        """Wait until the client hangs up or the server stops: either cancels this."""
        await asyncio.get_running_loop().create_future()

    async def _drip(self, body: bytes, bytes_per_second: int) -> None:
        size = max(1, bytes_per_second // _SLICES_A_SECOND)
        for start in range(0, len(body), size):
            if self._transport.is_closing():
                return
            self._write(body[start : start + size])
            await asyncio.sleep(size / bytes_per_second)

"""The HTTP server of the sandbox, and its behaviour when nothing is asked to go wrong."""

import asyncio
import gzip
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Annotated, Any, Final, Literal, Self, cast

from aiohttp import web

from sandbox.faults import (
    CUTTING,
    Answer,
    Asked,
    Fault,
    Faults,
    Happening,
    Wire,
    answer_wrongly,
    error,
)
from sandbox.instants import DAY, parse, to_ms
from sandbox.styles import Ask, Styles
from sandbox.world import (
    DEFAULT_NOW,
    GENERIC,
    MASTER,
    PLAIN,
    RESOURCES,
    TRANSACTIONAL,
    DateKind,
    Window,
    World,
)

_CONTROL: Final = "/_sandbox/"
_STYLES: Final = "/styles/"
_MOST_DAYS: Final = 366
_GENERIC_PAGE: Final = 100
# How long a request that is being served may take when the server stops.
_PATIENCE: Final = 0.1
_BACKLOG: Final = 128
_INTEGER: Final = re.compile(r"[0-9]{1,15}")

_log = logging.getLogger("sandbox")


class _RefusalError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.answer = error(status, message)


@dataclass
class Request:
    """One request of the API as the server saw it.

    `time` is monotonic seconds; `target` is the path and the query as they were written; `status`
    is None until the answer goes out, and stays so when the connection was cut; `in_flight` counts
    the requests being served then, this one included.
    """

    time: float
    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    authorized: bool
    in_flight: int
    target: str = ""
    body: str = ""
    status: int | None = None


class Sandbox:
    """The API of a made-up greenhouse company on 127.0.0.1, served from a thread of its own."""

    def __init__(
        self,
        *,
        seed: Annotated[int, "seed of the made-up data"] = 7,
        now: Annotated[datetime, "where the clock starts"] = DEFAULT_NOW,
        days: Annotated[int, "days of history"] = 120,
        registrations: Annotated[int, "registrations in the history"] = 3_000,
        sessions: Annotated[int, "sessions in the history"] = 1_500,
        resources: Annotated[int, "records of the generic resource in the history"] = 250,
        workers: Annotated[int, "workers"] = 40,
        rows: Annotated[int, "rows of plants"] = 60,
        api_key: Annotated[str, "the key that requests must carry"] = "sandbox-key",
        auth_location: Annotated[Literal["header", "query"], "where the key travels"] = "header",
        auth_name: Annotated[str | None, "name of that header or parameter (api_key; key in the wild)"] = None,
        page_cap: Annotated[int, "most records in one answer"] = 10_000,
        latency: Annotated[float, "seconds that each answer takes at least"] = 0.0,
        dialect: Annotated[Literal["v1", "wild"], "shape of addresses and answers"] = "v1",
        client_as_object: Annotated[bool, "answer the client as an object, not a list"] = False,
        gzip: Annotated[bool, "compress for clients that accept it"] = False,
        date_header: Annotated[timedelta, "seconds that the Date header is ahead"] = timedelta(),
        host: Annotated[str, "address to listen on"] = "127.0.0.1",
        port: Annotated[int, "port to listen on; 0 lets the system choose"] = 0,
    ) -> None:
        self.world = World(
            seed=seed,
            now=now,
            days=days,
            registrations=registrations,
            sessions=sessions,
            resources=resources,
            workers=workers,
            rows=rows,
        )
        self.api_key = api_key
        self.requests: list[Request] = []
        self.styles = Styles()
        self._wild = dialect == "wild"
        self._base = "/ext" if self._wild else ""
        self._paths = _paths(self._base if self._wild else "/v1")
        self._auth_location = auth_location
        self._auth_name = auth_name or ("key" if self._wild else "api_key")
        self._page_cap = page_cap
        self._latency = latency
        self._client_as_object = client_as_object or self._wild
        self._gzip = gzip
        self._date_header = date_header
        self._host = host
        self._port = port
        self._faults = Faults()
        self._callbacks: list[Callable[[Request], None]] = []
        self._last_pages: dict[str, Answer] = {}
        self._active = 0
        self._thread: threading.Thread | None = None
        self._stopping: Future[None] = Future()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base URL of the API."""
        return f"http://{self._host}:{self._port}{self._base}"

    @property
    def now(self) -> datetime:
        """The clock of the made-up world."""
        return self.world.now

    def advance(self, days: float = 1) -> None:
        """Move the clock forward by days; records appear and change meanwhile."""
        self.world.advance(days)

    def misbehave(self, *faults: Fault) -> None:
        """Set more faults; they happen in this order."""
        self._faults.add(*faults)

    def behave(self) -> None:
        """Forget all faults."""
        self._faults.clear()

    def on_request(self, callback: Callable[[Request], None]) -> None:
        """Have a function called in the server's thread before each request is answered."""
        self._callbacks.append(callback)

    def start(self) -> None:
        """Serve, on the port of the last time if there was one; OSError when it is taken."""
        if self._thread is not None:
            return
        # Listening here and not in the thread gives a taken port to the caller, and a free one a
        # queue of connections until the thread is ready.
        listener = socket.create_server((self._host, self._port), backlog=_BACKLOG)
        self._port = listener.getsockname()[1]
        self._stopping = Future()
        self._thread = threading.Thread(
            target=asyncio.run,
            args=[self._serve(listener, self._stopping)],
            name="sandbox",
            # An owner that never stops it can still end.
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop serving: connections are refused from now on, and open ones end."""
        if self._thread is None:
            return
        self._stopping.set_result(None)
        self._thread.join()
        self._thread = None

    async def _serve(self, listener: socket.socket, stopping: Future[None]) -> None:
        server = web.Server(self._handle, access_log=None, handler_cancellation=True)
        runner = web.ServerRunner(server, shutdown_timeout=_PATIENCE)
        await runner.setup()
        try:
            await web.SockSite(runner, listener, backlog=_BACKLOG).start()
            await asyncio.wrap_future(stopping)
        finally:
            await runner.cleanup()

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        path = http.path.removeprefix(self._base)
        if path.startswith(_CONTROL):
            return await self._control(http, path.removeprefix(_CONTROL))
        self._active += 1
        try:
            return await self._answer_api(http)
        finally:
            self._active -= 1

    async def _answer_api(self, http: web.BaseRequest) -> web.StreamResponse:
        params, headers = dict(http.query), dict(http.headers)
        carrier: Mapping[str, str] = http.headers if self._auth_location == "header" else http.query
        request = Request(
            time=time.monotonic(),
            method=http.method,
            path=http.path,
            params=params,
            headers=headers,
            authorized=carrier.get(self._auth_name) == self.api_key,
            in_flight=self._active,
            target=http.raw_path,
            body=(await http.read()).decode(errors="replace"),
        )
        self.requests.append(request)
        for callback in self._callbacks:
            callback(request)
        happening = self._faults.take(request.path, params)
        delay = happening.altering.get("delay")
        await asyncio.sleep(self._latency + (delay.seconds if delay else 0))
        try:
            answer = self._answer(request, happening)
        except _RefusalError as refusal:
            answer = refusal.answer
        if self._date_header:
            ahead = format_datetime(datetime.now(UTC) + self._date_header, usegmt=True)
            answer = answer._replace(headers={**answer.headers, "Date": ahead})
        return await self._send(http, request, answer, happening.other)

    async def _send(
        self, http: web.BaseRequest, request: Request, answer: Answer, fault: Fault | None
    ) -> web.StreamResponse:
        if fault and (fault.kind in CUTTING or fault.kind == "drip"):
            request.status = None if fault.kind in CUTTING else answer.status
            _log.info("%s %s: %s", request.method, request.path, fault.kind)
            if http.transport is not None:
                await Wire(http.transport).send(fault, answer)
            # The connection is gone, so this goes nowhere.
            return web.Response()
        if fault:
            answer = answer_wrongly(fault, answer, Asked(request.params, request.headers))
        elif self._gzip and "gzip" in http.headers.get("Accept-Encoding", ""):
            packed = gzip.compress(answer.body, 1)
            answer = answer._replace(body=packed, headers={**answer.headers, "Content-Encoding": "gzip"})
        request.status = answer.status
        _log.info("%s %s: %d", request.method, request.path, answer.status)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    def _answer(self, request: Request, happening: Happening) -> Answer:
        if request.path.startswith(self._base + _STYLES):
            url = f"http://{request.headers.get('Host', '')}{request.target}"
            return self.styles.answer(Ask(request.method, url, request.headers, request.body))
        if not request.authorized:
            raise _RefusalError(401, "Missing or wrong API key")
        resource = self._paths.get(request.path)
        if resource is None:
            raise _RefusalError(404, "No such resource")
        if request.method != "GET":
            raise _RefusalError(405, "Only GET is allowed")
        records = self._page(resource, request.params, happening.altering)
        answer = Answer(200, self._body(resource, records))
        if "stale_page" in happening.altering:
            answer = self._last_pages.get(request.path, answer)
        self._last_pages[request.path] = answer
        return answer

    def _page(self, resource: str, params: Mapping[str, str], altering: Mapping[str, Fault]) -> list[bytes]:
        offset = _integer(params, "offset", 0, least=0)
        default = _GENERIC_PAGE if resource == GENERIC else self._page_cap
        limit = _integer(params, "limit", default, least=1)
        records = self._select(resource, params)
        if "ignore_offset" in altering:
            offset = 0
        if "clamp_offset" in altering:
            offset = min(offset, altering["clamp_offset"].offset)
        if "result_window" in altering:
            records = records[: altering["result_window"].offset]
        if "reverse" in altering:
            records = records[::-1]
        if "ignore_limit" in altering:
            limit = default
        limit = min(limit, self._page_cap)
        if "cap" in altering:
            limit = min(limit, altering["cap"].limit)
        if "empty_page" in altering:
            return []
        if "repeat_last_page" in altering and offset >= len(records):
            offset = max(len(records) - 1, 0) // limit * limit
        return records[offset : offset + limit]

    def _select(self, resource: str, params: Mapping[str, str]) -> list[bytes]:
        if resource == GENERIC:
            since = params.get("since")
            # A plus sign that nobody escaped arrives as a space.
            instant = parse(since.replace(" ", "+")) if since is not None else None
            if since is not None and instant is None:
                raise _RefusalError(400, "since must be an RFC 3339 date-time")
            return self.world.select(resource, since=instant)
        if resource not in (*TRANSACTIONAL, *PLAIN):
            return self.world.select(resource)
        archived = not self._wild or params.get("return_archived") == "true"
        return self.world.select(resource, self._windows(params), archived=archived)

    def _windows(self, params: Mapping[str, str]) -> tuple[Window, ...]:
        by = params.get("filter_date_by", "CREATED")
        if by not in ("CREATED", "UPDATED"):
            raise _RefusalError(400, "filter_date_by must be CREATED or UPDATED")
        kind = cast("DateKind", by)
        windows = []
        if ("date" in params) != ("days_from_date" in params):
            raise _RefusalError(400, "date and days_from_date go together")
        if "date" in params:
            start = _date(params["date"])
            days = _integer(params, "days_from_date", 1, least=1, most=_MOST_DAYS)
            windows.append(Window(kind, start, start + days * DAY))
        if "days_till_date" in params:
            days = _integer(params, "days_till_date", 1, least=1)
            tomorrow = (to_ms(self.now) // DAY + 1) * DAY
            windows.append(Window(kind, tomorrow - days * DAY, tomorrow))
        return tuple(windows)

    def _body(self, resource: str, records: list[bytes]) -> bytes:
        body = b"[" + b",".join(records) + b"]"
        if resource == "client" and self._client_as_object:
            body = records[0] if records else b"{}"
            if self._wild:
                body = _without_id(body)
        if self._wild and resource in MASTER:
            return body
        return b'{"data":' + body + b"}"

    async def _control(self, http: web.BaseRequest, name: str) -> web.StreamResponse:
        try:
            match http.method, name.split("/"):
                case "GET", ["health"]:
                    answer: Any = {"status": "ok", "now": self.now.isoformat()}
                case "GET", ["requests"]:
                    answer = [vars(request) for request in self.requests]
                case "GET", ["records", resource] if resource in RESOURCES:
                    raws = self.world.select(resource)
                    body = b"[" + b",".join(raws) + b"]"
                    return web.Response(body=body, content_type="application/json")
                case "POST", ["advance"]:
                    self.advance(**json.loads(await http.text() or "{}"))
                    answer = {"now": self.now.isoformat()}
                case "POST", ["misbehave"]:
                    faults = [Fault(**fault) for fault in json.loads(await http.text())]
                    self.misbehave(*faults)
                    answer = {"faults": len(faults)}
                case "POST", ["behave"]:
                    self.behave()
                    answer = {}
                case _:
                    return _respond(error(404, f"No control {http.method} {name}"))
        except (TypeError, ValueError) as problem:
            return _respond(error(400, str(problem)))
        # The line ends where somebody types the next command.
        return web.Response(text=json.dumps(answer) + "\n", content_type="application/json")


def _respond(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


def _paths(base: str) -> dict[str, str]:
    """Return which resource each path holds."""
    folders = {"master": MASTER, "transactional": (*TRANSACTIONAL, *PLAIN)}
    paths = {f"{base}/{folder}/{resource}": resource for folder, resources in folders.items() for resource in resources}
    return paths | {f"{base}/{GENERIC}": GENERIC}


def _integer(params: Mapping[str, str], name: str, default: int, *, least: int, most: int | None = None) -> int:
    text = params.get(name)
    if text is None:
        return default
    value = int(text) if _INTEGER.fullmatch(text) else least - 1
    if value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"from {least} to {most}"
        raise _RefusalError(400, f"{name} must be an integer {bounds}")
    return value


def _date(text: str) -> int:
    """Return a date such as 20260301 in ms."""
    try:
        if _INTEGER.fullmatch(text):
            day = date.fromisoformat(text)
            return to_ms(datetime(day.year, day.month, day.day, tzinfo=UTC))
    except ValueError:
        pass
    raise _RefusalError(400, "date must be a day as YYYYMMDD")


def _without_id(raw: bytes) -> bytes:
    record = json.loads(raw)
    record.pop("id", None)
    return json.dumps(record, ensure_ascii=False).encode()

"""A server that one seed makes: how it lists rows, what is odd about it, and what goes wrong with it."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tests.faults.api import Asked, Reply
from tests.simulation.network import END, RESET, Answer, Piece

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from tests.simulation.clock import Clock
    from tests.simulation.table import Row, Table

LATE = 400.0
"""Seconds that no request may take."""

EVENTS = ("create", "update", "delete")


@dataclass(frozen=True)
class Character:
    """What is so about a server in every run; the tap reads it to its end all the same."""

    style: str = "offset"
    """How its pages follow each other."""
    order: str = "key"
    cap: int = 10_000
    """Rows of a page at most."""
    has_uneven_pages: bool = False
    past_the_end: int = 200
    """The status of a page after the last one."""
    total: str = ""
    """Where it says how many rows there are: in the body, in a header; and whether that is `wrong`."""
    encoding: str = ""
    has_interim_answers: bool = False
    has_redirects: bool = False
    rounds_offsets: bool = False
    window: int = 0
    """Rows that can be reached by offset; 0 for all of them."""
    window_status: int = 0
    """The status of a page that would go beyond those; 0 where the list ends there."""
    at_once: int = 100
    """Requests that it takes at once; beyond those it says 429."""
    form: str = "Z"
    shows_date: bool = True
    is_strict: bool = False
    """Whether it refuses a time that is not written like its own."""
    reorders: bool = False
    """Whether every answer may have another order."""

    @property
    def is_sound(self) -> bool:
        """Whether a run in which nothing else goes wrong must succeed."""
        return not (self.reorders or self.window or "wrong" in self.total)


@dataclass(frozen=True)
class Fault:
    """What goes wrong with some requests, one after another."""

    kind: str
    at: int
    times: int = 1


@dataclass
class Server:
    """Answers requests, and goes on changing meanwhile."""

    tables: Mapping[str, Table]
    character: Character
    chance: random.Random
    clock: Clock
    ahead: timedelta = timedelta(0)
    """How far its clock is ahead of ours."""
    events: tuple[str, ...] = ()
    """What may happen to rows while a run is under way."""
    pace: float = 0.0
    """How many of those happen at a request."""
    faults: tuple[Fault, ...] = ()
    beside: Callable[[], int] = lambda: 0
    """Tells how many requests are in flight beside the one that is answered."""
    asked: int = 0
    pages: list[list[Row]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def now(self) -> datetime:
        return self.clock.now() + self.ahead

    # Changes

    def change(self, events: tuple[str, ...]) -> None:
        """Let one thing happen to one row."""
        if not events:
            return
        names = [name for name in self.tables if name != "parts"]
        table = self.tables[self.chance.choice(names)]
        event, key = self.chance.choice(events), table.any_key()
        self.log.append(f"      {event} a row of {table.name}")
        if event == "create" or key is None:
            table.create(self.now())
        elif event == "update":
            table.update(self.now(), key)
            self._change_parts(key)
        else:
            table.delete(key)
            self._delete_parts(key)

    def _change_parts(self, owner: str) -> None:
        """Let a change of a row be one of what belongs to it."""
        parts = self.tables.get("parts")
        if parts is not None:
            of = [key for key, row in parts.rows.items() if row.owner == owner]
            if of:
                parts.update(self.now(), self.chance.choice(of))
            parts.create(self.now(), owner=owner)

    def _delete_parts(self, owner: str) -> None:
        parts = self.tables.get("parts")
        if parts is not None:
            for key in [key for key, row in parts.rows.items() if row.owner == owner]:
                parts.delete(key)

    # Answers

    def answer(self, asked: Asked) -> Answer:
        """Return the bytes that a request is answered with."""
        self.asked += 1
        if self.chance.random() < self.pace:
            self.change(self.events)
        kind = next((one.kind for one in self.faults if one.at <= self.asked < one.at + one.times), "")
        query = urlencode(asked.params)
        self.log.append(f"    {self.asked}. {asked.method} {asked.path}?{query}" + (f" [{kind}]" if kind else ""))
        if self.beside() >= self.character.at_once:
            self.log.append(f"      429: {self.beside()} others in flight")
            return self._bytes(Reply({"error": "busy"}, HTTPStatus.TOO_MANY_REQUESTS))
        if kind:
            return self._failed(kind, asked)
        if self.character.has_redirects and "hop" not in asked.params:
            where = f"{asked.path}?{urlencode({**asked.params, 'hop': 1})}"
            return self._bytes(Reply("", 307, {"Location": where}))
        return self._bytes(self._reply(asked))

    def _failed(self, kind: str, asked: Asked) -> Answer:
        """Return what goes wrong with an answer."""
        stale = self.pages[-2] if len(self.pages) > 1 else []
        replies = {
            "wait": Reply({"message": "wait"}, 503, {"Retry-After": "7"}),
            "error": Reply({"error": "the database is down", "data": []}),
            "failure": Reply({"success": False, "data": None if self.asked % 2 else []}),
            "empty page": Reply({"data": []}),
            "stale page": Reply({"data": [self._table(asked).record(row) for row in stale]}),
        }
        if kind in replies:
            return self._bytes(replies[kind])
        if kind.isdecimal():
            return self._bytes(Reply({"message": "no"}, int(kind)))
        return self._broken(kind, self._bytes(self._reply(asked)))

    def _broken(self, kind: str, sound: Answer) -> Answer:
        whole = b"".join(piece.data for piece in sound)
        head, _, body = whole.partition(b"\r\n\r\n")
        middle = len(head) + 4 + len(body) // 2
        broken: dict[str, Answer] = {
            "reset": [RESET],
            "reset in the body": [Piece(whole[:middle]), RESET],
            "cut": [Piece(whole[:middle]), END],
            "no answer": [],
            "silence in the body": [Piece(whole[:middle])],
            "byte by byte": [Piece(head + b"\r\n\r\n"), *(Piece(body[n : n + 1], LATE / 9) for n in range(len(body)))],
            "empty": [Piece(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")],
            "garbage": self._bytes(Reply('{"data": [{"id"')),
            "a page of HTML": self._bytes(Reply("<html>sorry</html>")),
        }
        return broken[kind]

    def _reply(self, asked: Asked) -> Reply:
        """Return the answer to a request as the API means it."""
        table = self._table(asked)
        rows = self._listed(table, asked)
        if rows is None:
            return Reply({"message": "no such parameter"}, 400)
        style = "single_page" if table.name == "workers" and "offset" not in asked.params else self.character.style
        reply: Reply = getattr(self, f"_{style}")(table, rows, asked)
        data = reply.body.get("data", []) if isinstance(reply.body, dict) else []
        self.log.append(
            f"      {reply.status} {len(data)} of {len(rows)} rows: {' '.join(str(one['id']) for one in data)}"
        )
        return reply

    def _table(self, asked: Asked) -> Table:
        return self.tables[asked.path.rstrip("/").rpartition("/")[2]]

    def _listed(self, table: Table, asked: Asked) -> list[Row] | None:
        """Return the rows that a request is about, in their order; None where it is refused."""
        rows = list(table.rows.values())
        params = asked.params
        if "days_from_date" in params:
            start = datetime.strptime(params["date"], "%Y%m%d").replace(tzinfo=UTC)
            end = start + timedelta(days=int(params["days_from_date"]))
            by = params["filter_date_by"].lower()
            rows = [row for row in rows if start <= getattr(row, by) < end]
        if "since" in params:
            since = params["since"]
            sample = table.written(self.now())
            if self.character.is_strict and (len(since), since[-1:].isdigit()) != (len(sample), sample[-1:].isdigit()):
                return None
            instant = datetime.fromisoformat(since)
            instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
            rows = [row for row in rows if row.updated >= instant]
        if table.name == "parts":
            owner = asked.path.split("/")[-2]
            rows = [row for row in rows if row.owner == owner]
        return self._ordered(rows)

    def _ordered(self, rows: list[Row]) -> list[Row]:
        order = self.character.order
        if self.character.reorders and self.chance.random() < 0.5:
            order = self.chance.choice(["key", "rank", "newest", "updated"])
        match order:
            case "created":
                return sorted(rows, key=lambda row: (row.created, row.key))
            case "newest":
                return sorted(rows, key=lambda row: (row.created, row.key), reverse=True)
            case "rank":
                return sorted(rows, key=lambda row: row.rank)
            case "updated":
                return sorted(rows, key=lambda row: (row.updated, row.version))
        return sorted(rows, key=lambda row: row.key)

    def _body(self, table: Table, rows: list[Row], **beside: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
        self.pages.append(rows)
        return {"data": [table.record(row) for row in rows], **beside}

    def _announced(self, rows: list[Row]) -> tuple[dict[str, Any], dict[str, str]]:
        """Return what an answer says of how many rows there are, in its body and in its headers."""
        count = len(rows)
        if self.character.total.endswith("wrong"):
            count = max(count + self.chance.choice([-3, 5]), 0)
        if self.character.total.startswith("header"):
            return {}, {"X-Total-Count": str(count)}
        return ({"total": count} if self.character.total else {}), {}

    def _size(self, limit: int) -> int:
        size = min(limit, self.character.cap)
        return self.chance.randint(min(2, size), size) if self.character.has_uneven_pages else size

    def _past_the_end(self, table: Table) -> Reply:
        status = self.character.past_the_end
        if status == HTTPStatus.OK:
            return Reply(self._body(table, []))
        return Reply("" if status == HTTPStatus.NO_CONTENT else {"message": "no such page"}, status)

    # Styles of pages

    def _offset(self, table: Table, rows: list[Row], asked: Asked) -> Reply:
        stated = int(asked.params.get("limit", 10_000))
        offset, limit = int(asked.params.get("offset", 0)), self._size(stated)
        if self.character.rounds_offsets:
            offset -= offset % stated
        body, headers = self._announced(rows)
        reach, status = self.character.window, self.character.window_status
        if reach and not status:
            rows = rows[:reach]
        elif reach and offset > 0 and offset + limit > reach:
            return Reply({"data": []} if status == HTTPStatus.OK else {}, status)
        if offset >= len(rows) and offset > 0:
            return self._past_the_end(table)
        return Reply(self._body(table, rows[offset : offset + limit], **body), 200, headers)

    def _single_page(self, table: Table, rows: list[Row], asked: Asked) -> Reply:
        del asked
        body, headers = self._announced(rows)
        return Reply(self._body(table, rows[: self.character.cap], **body), 200, headers)

    def _page_number(self, table: Table, rows: list[Row], asked: Asked) -> Reply:
        size, number = self.character.cap, int(asked.params.get("page", 1))
        pages = max(-(-len(rows) // size), 1)
        body, headers = self._announced(rows)
        if number > pages:
            return self._past_the_end(table)
        page = rows[(number - 1) * size : number * size]
        return Reply(self._body(table, page, page=number, total_pages=pages, **body), 200, headers)

    def _cursor(self, table: Table, rows: list[Row], asked: Asked) -> Reply:
        page, following = self._after(rows, asked)
        body, headers = self._announced(rows)
        return Reply(self._body(table, page, next_cursor=following, **body), 200, headers)

    def _header_cursor(self, table: Table, rows: list[Row], asked: Asked) -> Reply:
        page, following = self._after(rows, asked)
        return Reply(self._body(table, page), 200, {"X-Next": following} if following else {})

    def _json_link(self, table: Table, rows: list[Row], asked: Asked) -> Reply:
        page, following = self._after(rows, asked)
        link = f"{asked.path}?{urlencode({**asked.params, 'after': following})}" if following else None
        return Reply(self._body(table, page, next=link))

    def _header_link(self, table: Table, rows: list[Row], asked: Asked) -> Reply:
        page, following = self._after(rows, asked)
        link = f'<{asked.path}?{urlencode({**asked.params, "after": following})}>; rel="next"'
        return Reply(self._body(table, page), 200, {"Link": link} if following else {})

    def _after(self, rows: list[Row], asked: Asked) -> tuple[list[Row], str | None]:
        """Return the rows after a key, and the key that the next page begins after."""
        rows = sorted(rows, key=lambda row: row.key)
        begin = asked.params.get("after") or asked.params.get("cursor", "")
        rest = [row for row in rows if row.key > begin]
        size = self._size(self.character.cap)
        return rest[:size], rest[size - 1].key if len(rest) > size else None

    # Bytes

    def _bytes(self, reply: Reply) -> Answer:
        body = reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode()
        headers = {"Content-Type": "application/json", **reply.headers}
        if self.character.shows_date:
            headers["Date"] = format_datetime(self.now().astimezone(UTC), usegmt=True)
        if reply.status == HTTPStatus.NO_CONTENT:
            body = b""
        elif self.character.encoding == "gzip":
            body, headers["Content-Encoding"] = gzip.compress(body, 1, mtime=0), "gzip"
        if reply.status != HTTPStatus.NO_CONTENT and self.character.encoding == "chunked":
            headers["Transfer-Encoding"] = "chunked"
            half = len(body) // 2
            body = b"".join(b"%x\r\n%s\r\n" % (len(some), some) for some in (body[:half], body[half:]) if some)
            body += b"0\r\n\r\n"
        elif reply.status != HTTPStatus.NO_CONTENT:
            headers["Content-Length"] = str(len(body))
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        whole = f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\n{fields}\r\n".encode() + body
        if not self.character.has_interim_answers:
            return [Piece(whole, 0.1)]
        return [Piece(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"), Piece(whole, 0.5)]

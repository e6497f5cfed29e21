"""The data that the sandbox serves, and the clock that makes it grow."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

import msgspec

from sandbox.greenhouse import Greenhouse, Happening, Record, Update
from sandbox.instants import DAY, from_ms, parse, stamp, to_ms, work_between

MASTER: Final = (
    "client",
    "locations",
    "rows",
    "users",
    "workers",
    "workergroups",
    "tasks",
    "taskgroups",
    "labels",
    "varieties",
)
TRANSACTIONAL: Final = ("registrations", "sessions")
PLAIN: Final[tuple[str, ...]] = ()
"""Further transactional resources, whose records hold no more than a key and the time of their last change."""
GENERIC: Final = "resource"
RESOURCES: Final = (*MASTER, *TRANSACTIONAL, *PLAIN, GENERIC)
DEFAULT_NOW: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)

_LATE_DAYS: Final = 10

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode
_decode: Final = msgspec.json.Decoder(float_hook=Decimal).decode

DateKind = Literal["CREATED", "UPDATED"]


class Window(NamedTuple):
    """A half-open range of ms, of one of a record's dates."""

    by: DateKind
    start: int
    end: int


class _Row(NamedTuple):
    """A record as it is stored: its raw JSON, and the ms that the date filters look at."""

    key: str | None
    raw: bytes
    created: int
    updated: int
    archived: bool


class _Table:
    """The records of one resource, in the order in which they are served."""

    def __init__(self) -> None:
        self.rows: list[_Row] = []
        self.keys_of_day: dict[int, list[str]] = {}
        self._positions: dict[str, int] | None = {}
        self._selections: dict[object, list[bytes]] = {}

    def position(self, key: str) -> int | None:
        if self._positions is None:
            self._positions = {row.key: at for at, row in enumerate(self.rows) if row.key}
        return self._positions.get(key)

    def grow(self, happening: Happening) -> None:
        at, key, raw, archived = happening
        self.keys_of_day.setdefault(at // DAY, []).append(key)
        self.append(_Row(key, raw, at, at, archived))

    def append(self, row: _Row) -> None:
        if row.key is not None and self._positions is not None:
            self._positions[row.key] = len(self.rows)
        self.rows.append(row)
        self._selections.clear()

    def replace(self, position: int, row: _Row) -> None:
        self.rows[position] = row
        self._selections.clear()

    def insert(self, position: int, row: _Row) -> None:
        self.rows.insert(position, row)
        self._positions = None
        self._selections.clear()

    def remove(self, position: int) -> None:
        del self.rows[position]
        self._positions = None
        self._selections.clear()

    def clear(self) -> None:
        self.rows.clear()
        self._positions = {}
        self._selections.clear()

    def select(self, windows: tuple[Window, ...], since: int | None, *, archived: bool) -> list[bytes]:
        """Return the raw records that match, remembered until the table changes."""
        asked = (windows, since, archived)
        if asked not in self._selections:
            rows = self.rows
            for by, start, end in windows:
                if by == "CREATED":
                    rows = [row for row in rows if start <= row.created < end]
                else:
                    rows = [row for row in rows if start <= row.updated < end]
            if not archived:
                rows = [row for row in rows if not row.archived]
            if since is not None:
                rows = [row for row in rows if _timestamp(row.raw) >= since]
            self._selections[asked] = [row.raw for row in rows]
        return self._selections[asked]


def _load(raw: bytes) -> object:
    # The standard library keeps integers of any size, which msgspec would make decimals.
    return json.loads(raw, parse_float=Decimal)


def _timestamp(raw: bytes) -> float:
    """Return the ms of a generic record, or minus infinity when it has none."""
    record = _load(raw)
    instant = parse(record.get("timestamp")) if isinstance(record, dict) else None
    return float("-inf") if instant is None else instant


class World:
    """All records of a made-up company; safe to use from several threads."""

    def __init__(
        self,
        *,
        seed: int = 7,
        now: datetime = DEFAULT_NOW,
        days: int = 120,
        registrations: int = 3_000,
        sessions: int = 1_500,
        resources: int = 250,
        workers: int = 40,
        rows: int = 60,
    ) -> None:
        if now.tzinfo is None:
            message = "now needs a time zone, as in 2026-06-01T12:00:00Z"
            raise ValueError(message)
        if min(days, workers, rows) < 1:
            message = "days, workers and rows must be at least 1"
            raise ValueError(message)
        self._lock = threading.RLock()
        self._clock = to_ms(now)
        self._tables = {resource: _Table() for resource in RESOURCES}
        start = (self._clock // DAY - days) * DAY
        greenhouse = Greenhouse(seed=seed, start=start, workers=workers, rows=rows)
        for resource, records in greenhouse.master.items():
            for record in records:
                self.put(resource, record, created=from_ms(start - DAY))
        work = work_between(start, self._clock)
        registration_rate, session_rate = registrations / work, sessions / work
        self._growth = [
            self._creations("registrations", greenhouse.registrations(registration_rate)),
            self._creations("sessions", greenhouse.sessions(session_rate)),
            self._creations(GENERIC, greenhouse.generic(resources / work)),
            *(self._creations(name, greenhouse.plain(name, resources / work)) for name in PLAIN),
            # Updates after creations: they change records of the days before theirs.
            self._late_updates("registrations", greenhouse.late_updates("registrations", registration_rate)),
            self._late_updates("sessions", greenhouse.late_updates("sessions", session_rate)),
            self._master_updates(greenhouse.master_updates()),
        ]
        self.advance()

    @property
    def now(self) -> datetime:
        """The world's clock."""
        return from_ms(self._clock)

    def advance(self, days: float = 0) -> None:
        """Move the clock forward by days, and let happen what happens until then."""
        if days < 0:
            message = "the clock only moves forward"
            raise ValueError(message)
        with self._lock:
            self._clock += round(days * DAY)
            for growth in self._growth:
                next(growth)

    def _creations(self, resource: str, happenings: Iterator[Happening]) -> Iterator[None]:
        """Create what is due; each step of the iterator goes up to the clock."""
        grow = self._tables[resource].grow
        for happening in happenings:
            while happening.at > self._clock:
                yield
            grow(happening)
        while True:
            yield

    def _late_updates(self, resource: str, updates: Iterator[Update]) -> Iterator[None]:
        """Change recent records as is due; each step of the iterator goes up to the clock."""
        table = self._tables[resource]
        for at, pick, pick_again, amount in updates:
            while at > self._clock:
                yield
            keys = table.keys_of_day.get(at // DAY - 1 - int(pick * _LATE_DAYS), ())
            position = table.position(keys[int(pick_again * len(keys))]) if keys else None
            if position is not None:
                self._change(table, position, at, resource, amount)
        while True:
            yield

    def _master_updates(self, updates: Iterator[Update]) -> Iterator[None]:
        """Change master records as is due; each step of the iterator goes up to the clock."""
        for at, pick, pick_again, amount in updates:
            while at > self._clock:
                yield
            resource = MASTER[int(pick * len(MASTER))]
            table = self._tables[resource]
            if table.rows:
                self._change(table, int(pick_again * len(table.rows)), at, resource, amount)
        while True:
            yield

    def _change(self, table: _Table, position: int, at: int, resource: str, amount: float) -> None:
        row = table.rows[position]
        record = _decode(row.raw)
        match resource:
            case "registrations":
                record["laborCost"] = round(amount * 60, 4)
                record["stepCounter"] = int(amount * 9_000)
            case "sessions":
                record["countCorrected"] = record["correctedCount"] = int(amount * 900)
            case "workers":
                record["hourlyRate"] = round(14 + amount * 9, 4)
            case "rows":
                record["rowLength"] = round(60 + amount * 60, 4)
            case _:
                pass
        record["updatedTimestamp"] = stamp(at)
        table.replace(position, row._replace(raw=_encode(record), updated=at))

    def _table(self, resource: str) -> _Table:
        if resource not in self._tables:
            message = f"no resource {resource!r}; there are {', '.join(RESOURCES)}"
            raise KeyError(message)
        return self._tables[resource]

    def _row(
        self,
        record: Record | bytes,
        created: datetime | None,
        updated: datetime | None,
    ) -> _Row:
        raw = record if isinstance(record, bytes) else _encode(record)
        loaded = _load(raw)
        members = loaded if isinstance(loaded, dict) else {}
        key = members.get("id")
        updated_ms = to_ms(updated) if updated else parse(members.get("updatedTimestamp"))
        if updated_ms is None:
            updated_ms = self._clock
        created_ms = to_ms(created) if created else parse(members.get("createdTimestamp"))
        return _Row(
            key=key if isinstance(key, str) else None,
            raw=raw,
            created=updated_ms if created_ms is None else created_ms,
            updated=updated_ms,
            archived=members.get("isArchived") is True,
        )

    def put(
        self,
        resource: str,
        record: Record | bytes,
        *,
        created: datetime | None = None,
        updated: datetime | None = None,
    ) -> None:
        """Replace the record with the same id, or append it; bytes are served exactly as they are.

        Where no dates are given, a record was updated at its `updatedTimestamp`, or now; and
        created when the one it replaces was, at its `createdTimestamp`, or with the update.
        """
        row = self._row(record, created, updated)
        with self._lock:
            table = self._table(resource)
            position = table.position(row.key) if row.key else None
            if position is None:
                table.append(row)
            else:
                if created is None:
                    row = row._replace(created=table.rows[position].created)
                table.replace(position, row)

    def insert(
        self,
        resource: str,
        position: int,
        record: Record | bytes,
        *,
        created: datetime | None = None,
        updated: datetime | None = None,
    ) -> None:
        """Insert a record before a position, even when its id is there already."""
        row = self._row(record, created, updated)
        with self._lock:
            self._table(resource).insert(position, row)

    def delete(self, resource: str, key: str) -> None:
        """Delete the record with an id; KeyError when there is none."""
        with self._lock:
            table = self._table(resource)
            position = table.position(key)
            if position is None:
                message = f"no {key!r} in {resource}"
                raise KeyError(message)
            table.remove(position)

    def clear(self, resource: str) -> None:
        """Delete all records of a resource."""
        with self._lock:
            self._table(resource).clear()

    def select(
        self,
        resource: str,
        windows: tuple[Window, ...] = (),
        since: int | None = None,
        *,
        archived: bool = True,
    ) -> list[bytes]:
        """Return the raw records within all windows, and not before `since` (ms), in order."""
        with self._lock:
            return self._table(resource).select(windows, since, archived=archived)

    def records(self, resource: str) -> list[Any]:
        """Return all records of a resource, with decimals as exact as they are served."""
        return [_load(raw) for raw in self.select(resource)]

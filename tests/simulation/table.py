"""The rows that a server has, and how they change."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.singer import instant

if TYPE_CHECKING:
    import random

FORMS = {
    "Z": "%Y-%m-%dT%H:%M:%S.%fZ",
    "seconds": "%Y-%m-%dT%H:%M:%SZ",
    "space": "%Y-%m-%d %H:%M:%S",
    "offset": "%Y-%m-%dT%H:%M:%S+00:00",
    "date": "%Y-%m-%d",
}
"""How servers write the time of a change."""


@dataclass(frozen=True)
class Row:
    """A row, as it is from one change to the next."""

    key: str
    rank: float
    """Its place in an order that means nothing."""
    created: datetime
    updated: datetime
    version: int
    """The number of the change that made it so, which no other row has."""
    owner: str = ""
    """The key of the row of another table that it belongs to."""


@dataclass
class Table:
    """Rows by their keys; remembers every version that there ever was."""

    name: str
    chance: random.Random
    form: str = "Z"
    rows: dict[str, Row] = field(default_factory=dict)
    ever: set[tuple[str, int]] = field(default_factory=set)
    changes: int = 0

    def put(self, row: Row) -> None:
        self.changes += 1
        row = replace(row, version=self.changes)
        self.rows[row.key] = row
        self.ever.add((row.key, row.version))

    def create(self, now: datetime, *, owner: str = "", age: timedelta = timedelta(0)) -> None:
        """Add a row that is as old as is said."""
        key = f"{self.name}-{self.changes:04d}"
        self.put(Row(key, self.chance.random(), now - age, now - age, 0, owner))

    def update(self, now: datetime, key: str) -> None:
        self.put(replace(self.rows[key], updated=now))

    def delete(self, key: str) -> None:
        self.changes += 1
        del self.rows[key]

    def any_key(self) -> str | None:
        return self.chance.choice(list(self.rows)) if self.rows else None

    def written(self, instant: datetime) -> str:
        return instant.astimezone(UTC).strftime(FORMS[self.form])

    def record(self, row: Row) -> dict[str, Any]:
        """Return a row as the API has it."""
        match self.name:
            case "registrations":
                return {"id": row.key, "stepCounter": row.version, "updatedTimestamp": self.written(row.updated)}
            case "workers":
                return {"id": row.key, "workerCode": str(row.version), "updatedTimestamp": self.written(row.updated)}
        return {
            "id": row.key,
            "rev": row.version,
            "updated_at": self.written(row.updated),
            "owner": row.owner,
            "note": json.dumps(row.key) if row.version % 7 == 0 else None,
        }


def version_of(record: dict[str, Any]) -> int:
    """Return the version of the row that a record shows."""
    return int(next((record[name] for name in ("rev", "stepCounter", "workerCode") if name in record), 0))


def cursor_of(record: dict[str, Any]) -> datetime | None:
    """Return the time of the last change that a record shows."""
    text = record.get("updated_at")
    return instant(text) if text else None

"""What the sandbox serves, beside what has arrived in the tables."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import psycopg
import requests
from psycopg import sql

from demo.project import TABLES

if TYPE_CHECKING:
    from demo.project import Api

Connection = psycopg.Connection[tuple[Any, ...]]

Records = dict[str, dict[str, dict[str, Any]]]
"""The records of the API, by their table and their key."""

EVER = datetime.min.replace(tzinfo=UTC)


@cache
def session() -> requests.Session:
    """Return a session that no proxy of the environment comes between: the sandbox is on this machine."""
    made = requests.Session()
    made.trust_env = False
    return made


def control(api: Api, name: str, what: object) -> None:
    """Have the sandbox do something."""
    session().post(f"{api.url}/_sandbox/{name}", json=what, timeout=30).raise_for_status()


def failures(api: Api) -> int:
    """Return how many requests the sandbox has answered with an error."""
    asked = session().get(f"{api.url}/_sandbox/requests", timeout=30).json()
    return sum(request["status"] != requests.codes.ok for request in asked)


def served(api: Api) -> Records:
    """Return what the API has now."""
    lists = {
        table: session().get(f"{api.url}/_sandbox/records/{resource}", timeout=30).json()
        for table, resource in TABLES.items()
    }
    return {table: {record["id"]: record for record in records} for table, records in lists.items()}


def loaded(connection: Connection, table: str, *, since: datetime = EVER) -> dict[str, datetime | None]:
    """Return when each row of a table was changed in the API, by its key; only rows loaded since a moment in UTC."""
    statement = sql.SQL('SELECT id, "updatedTimestamp" FROM {} WHERE "_sdc_batched_at" >= %s')
    rows = connection.execute(statement.format(sql.Identifier(table)), [since.replace(tzinfo=None)]).fetchall()
    return {key: changed and changed.replace(tzinfo=UTC) for key, changed in rows}


def incomplete(connection: Connection, records: Records) -> list[str]:
    """Return the tables that lack a record, or have another version of it."""
    return [
        table
        for table, expected in records.items()
        if loaded(connection, table)
        != {key: datetime.fromisoformat(record["updatedTimestamp"]) for key, record in expected.items()}
    ]

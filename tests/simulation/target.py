"""What a target holds: it merges, appends or replaces, and keeps the last state that it has committed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.simulation.table import cursor_of, version_of

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from datetime import datetime

    Record = dict[str, Any]

ALIASES = {"registrations_initial": "registrations", "registrations_incremental": "registrations"}


class Target:
    """Tables by the names of their streams; the backfill of a stream and its tail share one."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, tuple[Record, int | None]]] = {}
        self.rows: dict[str, list[tuple[str, int]]] = {}
        """Keys and versions of all records, in the order in which they came: what `append` stores."""
        self.known: set[tuple[str, str, datetime | None]] = set()
        """Streams, keys and cursors of all records: by these a stream that appends tells what it has emitted."""
        self.state: dict[str, Any] | None = None
        self.problems: list[str] = []

    def take(self, lines: Sequence[bytes]) -> None:
        """Take over lines that have been committed."""
        known: set[str] = set()
        for line in lines:
            message = json.loads(line)
            name = message.get("stream", "")
            table = self.tables.setdefault(ALIASES.get(name, name), {})
            match message["type"]:
                case "SCHEMA":
                    known.add(name)
                case "STATE":
                    self.state = message["value"]
                case "RECORD":
                    if name not in known:
                        self.problems.append(f"a record of {name} comes before its SCHEMA")
                    record = message["record"]
                    table[record["id"]] = record, message.get("version")
                    self.known.add((name, record["id"], cursor_of(record)))
                    self.rows.setdefault(name, []).append((record["id"], version_of(record)))
                case "ACTIVATE_VERSION":
                    for key in [key for key, (_, version) in table.items() if version != message["version"]]:
                        del table[key]

    def versions(self, name: str) -> dict[str, int]:
        return {key: version_of(record) for key, (record, _) in self.tables.get(name, {}).items()}


def committed(lines: Sequence[bytes], chance: random.Random) -> Sequence[bytes]:
    """Return the lines that a target has committed when it loses the tap: up to some STATE, and maybe more."""
    states = [0, *(n for n, line in enumerate(lines, 1) if b'"type":"STATE"' in line)]
    last = chance.choice(states)
    end = chance.randint(last, len(lines))
    # Of the lines after the state that is kept, the records may be there; a later state is not.
    return [line for n, line in enumerate(lines[:end]) if n < last or b'"type":"STATE"' not in line]

"""Made-up registrations and orders in a file, laid out so that any page of them is one cut."""

from __future__ import annotations

from array import array
from datetime import UTC, datetime
from itertools import count as numbers
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from sandbox.greenhouse import Greenhouse
from sandbox.instants import to_ms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = datetime(2024, 1, 1, tzinfo=UTC)
A_WEEKDAY = 2_000


def registrations() -> Iterator[bytes]:
    """Yield registrations as JSON, the oldest first."""
    company = Greenhouse(seed=7, start=to_ms(START), workers=80, rows=200)
    return (record.raw for record in company.registrations(A_WEEKDAY))


def orders() -> Iterator[bytes]:
    """Yield orders as JSON."""
    encode = msgspec.json.Encoder().encode
    return (encode(order(number)) for number in numbers())


def order(number: int) -> dict[str, Any]:
    """Return an order with a customer, an address and three lines."""
    address = {"street": f"Lindenstraße {number % 90}", "city": "Köln", "zip": f"{number % 90000:05}", "country": "DE"}
    customer = {"id": f"c{number % 5000}", "name": "Noor van den Berg", "email": f"noor{number}@example.com"}
    lines = [
        {"sku": f"SKU-{number}-{line}", "title": "Tomato, on the vine", "quantity": line, "price": number * 1.25 + line}
        for line in range(1, 4)
    ]
    return {
        "id": f"{number:024x}",
        "number": number,
        "placed_at": f"2026-01-{number % 28 + 1:02}T{number % 24:02}:05:07Z",
        "customer": customer | {"address": address},
        "lines": lines,
        "total": number * 3.5,
        "note": None,
    }


STREAMS = {"registrations": registrations, "orders": orders}


class Records:
    """The first `count` records of a stream, as JSON objects with a comma between them."""

    def __init__(self, directory: Path, stream: str, count: int) -> None:
        self.stream = stream
        self.count = count
        name = f"{stream}-{count}"
        self.file = directory / f"{name}.json"
        self._index = directory / f"{name}.offsets"
        if not self._index.exists():
            directory.mkdir(parents=True, exist_ok=True)
            self._write(count)
        self._offsets = array("Q", self._index.read_bytes())

    def _write(self, count: int) -> None:
        offsets = array("Q", [0])
        # The offsets are written last: with them, the file is known to be complete.
        with self.file.open("wb") as file:
            for record in islice(STREAMS[self.stream](), count):
                file.write(record + b",")
                offsets.append(file.tell())
        self._index.write_bytes(offsets.tobytes())

    def cut(self, offset: int, limit: int) -> tuple[int, int]:
        """Return where in the file a page begins, and how many bytes it has."""
        last = len(self._offsets) - 1
        first, end = min(offset, last), min(offset + limit, last)
        start = self._offsets[first]
        return start, max(self._offsets[end] - start - 1, 0)

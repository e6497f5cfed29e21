"""Made-up registrations in a file, laid out so that any page of them is one cut."""

from __future__ import annotations

import mmap
from array import array
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from sandbox.greenhouse import Greenhouse
from sandbox.instants import to_ms

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2024, 1, 1, tzinfo=UTC)
A_WEEKDAY = 2_000


class Records:
    """The first `count` registrations, as JSON objects with a comma between them."""

    def __init__(self, directory: Path, count: int) -> None:
        name = f"registrations-{count}"
        self.file = directory / f"{name}.json"
        self._index = directory / f"{name}.offsets"
        if not self._index.exists():
            directory.mkdir(parents=True, exist_ok=True)
            self._write(count)
        self._offsets = array("Q", self._index.read_bytes())

    def _write(self, count: int) -> None:
        company = Greenhouse(seed=7, start=to_ms(START), workers=80, rows=200)
        offsets = array("Q", [0])
        # The offsets are written last: with them, the file is known to be complete.
        with self.file.open("wb") as file:
            for record in islice(company.registrations(A_WEEKDAY), count):
                file.write(record.raw + b",")
                offsets.append(file.tell())
        self._index.write_bytes(offsets.tobytes())

    def cut(self, offset: int, limit: int) -> tuple[int, int]:
        """Return where in the file a page begins, and how many bytes it has."""
        last = len(self._offsets) - 1
        first, end = min(offset, last), min(offset + limit, last)
        start = self._offsets[first]
        return start, max(self._offsets[end] - start - 1, 0)

    @property
    def size(self) -> float:
        """The bytes of a record, on average."""
        return self._offsets[-1] / max(len(self._offsets) - 1, 1)

    def map(self) -> mmap.mmap:
        """Return the file as memory."""
        with self.file.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

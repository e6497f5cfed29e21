"""The time of a history: it passes when somebody waits, and only then."""

from __future__ import annotations

import math
import os
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from unittest import mock

import time_machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


class Clock:
    """Shows an instant, in a time zone, to everything in the process; every wait moves it on."""

    def __init__(self, start: datetime, zone: str = "UTC") -> None:
        self._start = start
        self._zone = zone
        self._seconds = 0.0
        self._timers: list[Timer] = []
        self._stack = ExitStack()
        self._traveller: time_machine.Traveller

    def __enter__(self) -> Self:
        self._stack.enter_context(mock.patch.dict(os.environ, {"TZ": self._zone}))
        self._stack.callback(time.tzset)
        time.tzset()
        self._traveller = self._stack.enter_context(time_machine.travel(self._start, tick=False))
        for name, double in (
            ("time.sleep", self.advance),
            ("time.monotonic", self.monotonic),
            ("threading.Timer", self._timer),
        ):
            self._stack.enter_context(mock.patch(name, double))
        return self

    def __exit__(self, *_exception: object) -> None:
        # The variable is given back before the time zone is read again.
        self._stack.close()
        time.tzset()

    def monotonic(self) -> float:
        return self._seconds

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass, and do what was to be done meanwhile."""
        end = self._seconds + max(seconds, 0.0)
        while (due := min(self._timers, key=lambda timer: timer.due, default=None)) is not None and due.due <= end:
            self._timers.remove(due)
            self._move(max(due.due, self._seconds))
            due.function()
        self._move(end)

    def set(self, instant: datetime) -> None:
        """Show another instant; what waits goes on waiting as long as before."""
        self._start = instant.astimezone(UTC) - timedelta(seconds=self._seconds)
        self._move(self._seconds)

    def _move(self, seconds: float) -> None:
        self._seconds = math.ceil(round(seconds * 1e6, 3)) / 1e6  # never short of what is waited for
        self._traveller.move_to(self.now(), tick=False)

    def _timer(self, interval: float, function: Callable[[], None]) -> Timer:
        return Timer(self._timers, self._seconds + interval, function)


class Timer:
    """A `threading.Timer` that needs no thread."""

    daemon = False

    def __init__(self, running: list[Timer], due: float, function: Callable[[], None]) -> None:
        self._running = running
        self.due = due
        self.function = function

    def start(self) -> None:
        self._running.append(self)

    def cancel(self) -> None:
        if self in self._running:
            self._running.remove(self)

"""The clock that tests go by, and all that they start: none of them knows what day it is.

It shows the same instant at the beginning of each test, whenever that runs, and ticks from there.
`python -m tests.calendar` runs tests at many instants, in several time zones.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import time_machine

from tests.cold import timeshift

VARIABLE = "TEST_CLOCK"
"""Environment variable that names another instant."""

NOW = datetime.fromisoformat(os.environ.get(VARIABLE, "2026-06-17T18:29:00Z")).astimezone(UTC)
"""What the clock shows when a test begins: a Wednesday, unless the environment names another instant."""

TODAY = NOW.replace(hour=0, minute=0, second=0, microsecond=0)

_COLD = str(Path(__file__).with_name("cold"))
_running: list[time_machine.travel] = []


def start() -> None:
    """Show NOW, here and in all processes that are started from here."""
    stop()
    began = datetime.now(UTC)
    travel = time_machine.travel(NOW, tick=True)
    travel.start()
    _running.append(travel)
    os.environ[timeshift.VARIABLE] = str((NOW - began).total_seconds())
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != _COLD]
    os.environ["PYTHONPATH"] = os.pathsep.join([_COLD, *paths])


def stop() -> None:
    """Show the time of the machine again."""
    while _running:
        _running.pop().stop()


def environment(clock: datetime) -> dict[str, str]:
    """Return what gives a process another clock than the test's."""
    ahead = float(os.environ[timeshift.VARIABLE]) + (clock - datetime.now(UTC)).total_seconds()
    return {timeshift.VARIABLE: str(ahead)}

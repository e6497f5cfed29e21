"""The clock that tests go by, and all that they start: none of them knows what day it is.

It shows the same instant at the beginning of each test, whenever that runs, and ticks from there.
`python -m tests.calendar` runs tests at many instants, in several time zones.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from shlex import quote

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


def of_the_machine() -> dict[str, str]:
    """Return the environment without the clock, for what has a clock of its own."""
    return {name: value for name, value in os.environ.items() if name not in {timeshift.VARIABLE, "PYTHONPATH"}}


def reach_plugins(environment: dict[str, str]) -> None:
    """Have the plugins of a Meltano project go by the clock, too: Meltano takes PYTHONPATH from them."""
    environment["PATH"] = os.pathsep.join([str(_commands()), environment["PATH"]])


@cache
def _commands() -> Path:
    """Return a directory of the plugins' commands, each of which gives PYTHONPATH back."""
    directory = Path(tempfile.mkdtemp(prefix="tap-analytics-commands-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    for name in ("tap-analytics", "target-csv", "target-postgres"):
        command = directory / name
        real = Path(sys.executable).with_name(name)
        command.write_text(f'#!/bin/sh\nPYTHONPATH={quote(_COLD)} exec {quote(str(real))} "$@"\n', encoding="utf-8")
        command.chmod(0o755)
    return directory


def environment(clock: datetime) -> dict[str, str]:
    """Return what gives a process another clock than the test's."""
    ahead = float(os.environ[timeshift.VARIABLE]) + (clock - datetime.now(UTC)).total_seconds()
    return {timeshift.VARIABLE: str(ahead)}

"""A signal that the main thread is not woken by is seen all the same, wherever that waits.

Python looks for signals between two steps of its own. One that comes after the last look and before
a wait is seen when the wait ends. Another thread that takes the signal does the same, every time.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Sandbox
from tests.conftest import settings, shipped
from tests.faults.matrix import PATH, SMALL
from tests.faults.test_lifecycle import CODES, SOON, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCRIPT = f"""
import signal, threading, time
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {{{", ".join(str(int(number)) for number in CODES)}}})
from tap_analytics.tap import TapAnalytics
TapAnalytics.cli()
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are others there")


@pytest.fixture(params=CODES, ids=lambda number: number.name)
def number(request: pytest.FixtureRequest) -> signal.Signals:
    sent: signal.Signals = request.param
    return sent


class Deaf:
    """The tap, with a main thread that no signal wakes."""

    def __init__(self, config: dict[str, Any], directory: Path, **streams: Any) -> None:  # noqa: ANN401 - of Popen
        path = directory / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        command = [sys.executable, "-c", SCRIPT, "--config", str(path)]
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **streams}
        self.process = subprocess.Popen(command, cwd=directory, **streams)

    def ends_soon(self, number: signal.Signals) -> None:
        began = time.monotonic()
        self.process.send_signal(number)
        try:
            assert self.process.wait(10) == CODES[number]
        finally:
            self.process.kill()
        assert time.monotonic() - began < SOON


@pytest.fixture
def unread() -> Iterator[int]:
    """Return the end of a small pipe that nobody reads from."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    yield writer
    os.close(reader)
    os.close(writer)


def test_while_it_waits_for_a_silent_server(sandbox: Sandbox, tmp_path: Path, number: signal.Signals) -> None:
    sandbox.misbehave(Fault("silence", PATH, times=None))
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        tap = Deaf(settings(sandbox, resources=[shipped("workers")]), tmp_path, stderr=stderr)
    until(lambda: sandbox.requests)
    time.sleep(0.3)
    tap.ends_soon(number)
    assert f"Stopped by {number.name}." in log.read_text(encoding="utf-8")


def test_while_the_connection_test_waits(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.misbehave(Fault("silence", PATH, times=None))
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings(sandbox, resources=[shipped("workers")])), encoding="utf-8")
    command = [sys.executable, "-c", SCRIPT, "--config", str(path), "--test"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=log)
    until(lambda: sandbox.requests)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(SOON) == CODES[signal.SIGTERM]
    assert "Stopped by SIGTERM." in (tmp_path / "log").read_text(encoding="utf-8")


def test_while_it_waits_for_a_target(tmp_path: Path, unread: int, number: signal.Signals) -> None:
    with Sandbox(**{**SMALL, "registrations": 3000}) as sandbox, (tmp_path / "log").open("wb") as log:
        config = settings(sandbox, resources=[shipped("registrations_initial")])
        tap = Deaf(config, tmp_path, stdout=unread, stderr=log)
        until(lambda: sandbox.requests)
        time.sleep(1)
        tap.ends_soon(number)
    assert f"Stopped by {number.name}." in (tmp_path / "log").read_text(encoding="utf-8")


def test_while_it_waits_for_who_reads_its_log(
    sandbox: Sandbox, tmp_path: Path, unread: int, number: signal.Signals
) -> None:
    sandbox.misbehave(Fault("status", PATH, times=None, status=503))
    config = settings(sandbox, resources=[shipped("workers")], max_retries=10_000)
    tap = Deaf(config, tmp_path, stderr=unread)
    until(lambda: len(sandbox.requests) > 3)
    time.sleep(1)
    tap.ends_soon(number)

"""How a run ends before its time: soon, with whole lines, and with a state that covers what came out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Sandbox
from tests.conftest import settings, shipped
from tests.faults.matrix import PATH, SMALL
from tests.singer import COLD, Started, check_messages, run_tap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Literal

SOON = 2.0
"""Seconds in which a run ends after a signal, whatever it waits for: the promise."""

CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# What the tap is busy with; what the server does then; settings.
BUSY: list[tuple[str, list[Fault], dict[str, Any]]] = [
    ("waiting to try again", [Fault("status", PATH, status=503, times=None)], {"backoff_factor": 60}),
    (
        "obeying a Retry-After",
        [Fault("status", PATH, status=429, times=None, headers={"Retry-After": "200"})],
        {"backoff_factor": 0},
    ),
    ("waiting for a silent server", [Fault("silence", PATH, times=None)], {}),
    ("waiting for the rest of a body", [Fault("silence_in_body", PATH, times=None)], {}),
    ("reading byte by byte", [Fault("drip", PATH, times=None, bytes_per_second=50)], {}),
]


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
@pytest.mark.parametrize(("busy", "faults", "config"), BUSY, ids=lambda value: value if isinstance(value, str) else "")
def test_a_signal_ends_the_run_soon(
    sandbox: Sandbox, number: signal.Signals, busy: str, faults: list[Fault], config: dict[str, Any]
) -> None:
    assert busy
    sandbox.misbehave(*faults)
    started = Started(settings(sandbox, resources=[shipped("labels"), shipped("workers")], **config))
    until(lambda: any(request.path == PATH for request in sandbox.requests))
    time.sleep(0.1)
    began = time.monotonic()
    started.kill(number)
    run = started.finish()
    assert time.monotonic() - began < SOON
    assert run.returncode == CODES[number]
    assert "Traceback" not in run.stderr
    assert run.said(f"Stopped by {number.name}.")
    # What came out before is covered by the last state.
    assert len(run.records["labels"]) == len(sandbox.world.records("labels"))
    assert run.state["bookmarks"]["labels"]["last_sync"]
    assert "last_sync" not in run.state["bookmarks"].get("workers", {})


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_second_signal_changes_nothing(sandbox: Sandbox, number: signal.Signals) -> None:
    sandbox.misbehave(Fault("silence", times=None))
    started = Started(settings(sandbox))
    until(lambda: sandbox.requests)
    while started.process.poll() is None:
        started.kill(number)
        time.sleep(0.001)
    run = started.finish()
    assert run.returncode == CODES[number]
    assert "Traceback" not in run.stderr
    assert "Exception ignored" not in run.stderr


class Piped:
    """The tap as the first part of a pipe, whose other end is the test's."""

    def __init__(self, config: dict[str, Any], directory: Path) -> None:
        path = directory / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        self.log = directory / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*COLD, "--config", str(path)], stdout=subprocess.PIPE, stderr=log, cwd=directory
            )
        assert self.process.stdout is not None
        self.output = self.process.stdout

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")


@pytest.fixture
def full() -> Iterator[Sandbox]:
    """Return a sandbox with more records than any pipe holds."""
    with Sandbox(**{**SMALL, "registrations": 3000}) as sandbox:
        yield sandbox


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_target_that_does_not_read_delays_no_end_and_finds_whole_lines(
    full: Sandbox, tmp_path: Path, number: signal.Signals
) -> None:
    tap = Piped(settings(full, resources=[shipped("registrations_initial")]), tmp_path)
    until(lambda: full.requests)
    time.sleep(0.5)
    began = time.monotonic()
    tap.process.send_signal(number)
    assert tap.process.wait(10) == CODES[number]
    assert time.monotonic() - began < SOON
    assert f"Stopped by {number.name}." in tap.said
    lines = tap.output.read().decode().splitlines(keepends=True)
    tap.output.close()
    messages = check_messages(lines, key=full.api_key)
    assert len(messages) > 10
    assert messages[-1]["type"] == "RECORD"


def test_a_target_that_does_not_read_a_very_long_line_delays_no_end(full: Sandbox, tmp_path: Path) -> None:
    full.world.clear("workers")
    full.world.put("workers", b'{"id":"1","notes":"' + b"x" * 1_000_000 + b'"}')
    tap = Piped(settings(full, resources=[shipped("workers")]), tmp_path)
    until(lambda: full.requests)
    time.sleep(0.5)
    began = time.monotonic()
    tap.process.send_signal(signal.SIGTERM)
    assert tap.process.wait(10) == 143
    assert time.monotonic() - began < SOON
    tap.output.close()


def test_a_very_long_line_is_finished_for_a_target_that_reads(full: Sandbox, tmp_path: Path) -> None:
    full.world.clear("workers")
    full.world.put("workers", b'{"id":"1","notes":"' + b"x" * 1_000_000 + b'"}')
    tap = Piped(settings(full, resources=[shipped("workers")]), tmp_path)
    until(lambda: full.requests)
    time.sleep(0.3)
    tap.process.send_signal(signal.SIGTERM)
    threading.Timer(0.3, lambda: None).start()
    lines = tap.output.read().decode().splitlines(keepends=True)
    tap.output.close()
    assert tap.process.wait(10) == 143
    assert check_messages(lines)[-1]["type"] == "RECORD"


def test_a_slow_target_gets_all(full: Sandbox, tmp_path: Path) -> None:
    tap = Piped(settings(full, resources=[shipped("registrations_initial")]), tmp_path)
    data = bytearray()
    while piece := os.read(tap.output.fileno(), 30_000):
        data += piece
        time.sleep(0.002)
    tap.output.close()
    assert tap.process.wait(10) == 0
    messages = check_messages(data.decode().splitlines(keepends=True))
    count = sum(message["type"] == "RECORD" for message in messages)
    assert count == len(full.world.records("registrations"))


@pytest.mark.parametrize("read", [0, 1, 100_000])
def test_a_target_that_is_gone_ends_the_run_quietly(full: Sandbox, tmp_path: Path, read: int) -> None:
    tap = Piped(settings(full), tmp_path)
    if read:
        tap.output.read(read)
    tap.output.close()
    assert tap.process.wait(20) == 1
    assert "Traceback" not in tap.said
    assert "Exception" not in tap.said
    assert "Standard output: Broken pipe. Nothing more is sent." in tap.said
    problems = [line for line in tap.said.splitlines() if "| ERROR" in line or "| WARNING" in line]
    assert len(problems) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no device that is full")  # noqa: PTH110
def test_no_room_for_the_output_is_said(full: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings(full, resources=[shipped("workers")])), encoding="utf-8")
    with open("/dev/full", "wb") as device:  # noqa: PTH123
        ended = subprocess.run(
            [*COLD, "--config", str(path)], stdout=device, stderr=subprocess.PIPE, check=False, encoding="utf-8"
        )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "Standard output: No space left on device. Nothing more is sent." in ended.stderr


def test_nothing_is_left_behind_in_the_process(sandbox: Sandbox) -> None:
    script = """
import json, os, sys, threading, time, warnings
warnings.simplefilter("error")
from tap_analytics.tap import TapAnalytics
before = threading.active_count(), len(os.listdir("/proc/self/fd"))
tap = TapAnalytics(config=json.loads(sys.argv[1]))
tap.sync_all()
tap.client.close()
deadline = time.monotonic() + 5
while threading.active_count() > before[0] and time.monotonic() < deadline:
    time.sleep(0.01)
after = threading.active_count(), len(os.listdir("/proc/self/fd"))
print(before, after, file=sys.stderr)
sys.exit(before != after)
"""
    sandbox.misbehave(
        Fault("silence", PATH, times=None),
        Fault("reset_in_body", "*/labels", times=2),
        Fault("cap", times=None, limit=9),
    )
    config = settings(sandbox, request_timeout=0.5, max_retries=1, window_days=2, start_date="2026-05-01")
    ended = subprocess.run(
        [sys.executable, "-c", script, json.dumps(config)], capture_output=True, check=False, encoding="utf-8"
    )
    assert ended.returncode == 0, ended.stderr[-2000:]


@pytest.mark.parametrize("in_flight", [1, 4])
def test_killed_at_any_moment_and_resumed_nothing_is_missing(in_flight: int) -> None:
    with Sandbox(**{**SMALL, "registrations": 400}, page_cap=30, latency=0.004) as sandbox:
        config = settings(
            sandbox,
            resources=[shipped("registrations_initial"), shipped("registrations_incremental")],
            max_in_flight=in_flight,
            start_date="2026-05-10",
            window_days=3,
        )
        state: Any = None
        came: dict[str, int] = {}
        for attempt in range(30):
            started = Started(config, state=state)
            if attempt < 12:
                time.sleep(0.03 + 0.02 * attempt)
                started.kill(signal.SIGKILL)
            run = started.finish()
            state = run.state or state
            for record in run.records.get("registrations_initial", []):
                came[record["id"]] = came.get(record["id"], 0) + 1
            if run.returncode == 0:
                break
        assert run.returncode == 0
        assert came.keys() == {record["id"] for record in sandbox.world.records("registrations")}


def test_what_a_kill_costs_is_one_window() -> None:
    with Sandbox(**{**SMALL, "registrations": 400}, page_cap=1000) as sandbox:
        config = settings(
            sandbox,
            resources=[shipped("registrations_initial")],
            max_in_flight=1,
            start_date="2026-05-12",
            window_days=4,
        )
        sandbox.misbehave(Fault("silence", "*/registrations", after=8, times=None))
        started = Started(config)
        until(lambda: len([line for line in started.lines if '"STATE"' in line]) >= 2)
        started.kill()
        killed = started.finish()
        sandbox.behave()
        asked = len(sandbox.requests)
        resumed = run_tap(config, state=killed.state)
        assert resumed.returncode == 0
        again = {record["id"] for record in killed.records["registrations_initial"]} & {
            record["id"] for record in resumed.records["registrations_initial"]
        }
        windows = {request.params["date"] for request in sandbox.requests[:asked]}
        repeated = windows & {request.params["date"] for request in sandbox.requests[asked:]}
        assert len(repeated) <= 1
        assert len(again) < len(killed.records["registrations_initial"])


def test_a_signal_leaves_a_state_that_says_no_more_than_what_came(
    sandbox: Sandbox, auth_location: Literal["header", "query"]
) -> None:
    del sandbox
    with Sandbox(**SMALL, auth_location=auth_location, page_cap=20, latency=0.01) as sandbox:
        config = settings(
            sandbox,
            auth_location=auth_location,
            resources=[shipped("registrations_initial")],
            start_date="2026-05-10",
            window_days=2,
        )
        started = Started(config)
        until(lambda: len(started.lines) > 40)
        started.kill(signal.SIGTERM)
        first = started.finish()
        assert first.returncode == 143
        second = run_tap(config, state=first.state)
        assert second.returncode == 0
        came = {record["id"] for run in (first, second) for record in run.records["registrations_initial"]}
        assert came == {record["id"] for record in sandbox.world.records("registrations")}

"""What the system refuses: threads, and standard streams that are closed. Each ends in one line, and in no wait."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import settings, shipped
from tests.singer import COLD, check_messages

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="what the system refuses is something else there")

NO_THREAD = """
import itertools, os, sys, threading
start, count = threading.Thread.start, itertools.count()
def start_few(thread):
    if next(count) == int(os.environ["THREADS"]):
        threading.stack_size(1 << 46)  # no system has room for that
    start(thread)
threading.Thread.start = start_few
from tap_analytics.tap import TapAnalytics
TapAnalytics.cli()
"""


@pytest.fixture
def config_file(sandbox: Sandbox, tmp_path: Path) -> Path:
    """Return a file with settings that read one stream."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings(sandbox, resources=[shipped("workers")])), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("threads", "args"), [(0, ()), (1, ()), (1, ("--test",)), (2, ())], ids=["none", "one", "one, tested", "two"]
)
def test_a_thread_that_cannot_start_is_an_error(
    sandbox: Sandbox, config_file: Path, threads: int, args: tuple[str, ...]
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", NO_THREAD, "--config", str(config_file), *args],
        env={**os.environ, "THREADS": str(threads)},
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=30,
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert "no thread can be started (can't start new thread). Raise the limit of processes" in last, ended.stderr
    assert "unexpected error" not in last
    assert sandbox.requests == []


def run_with(config_file: Path, redirection: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Return a run of the command line in a shell, with a redirection of its streams."""
    command = " ".join([*COLD, "--config", str(config_file), *args, redirection])
    return subprocess.run(command, shell=True, capture_output=True, check=False, encoding="utf-8", timeout=30)  # noqa: S602


def test_a_run_whose_standard_error_is_closed_reads_everything(sandbox: Sandbox, config_file: Path) -> None:
    run = run_with(config_file, "2>&-")
    assert run.returncode == 0
    messages = check_messages(run.stdout.splitlines(keepends=True))
    records = [message["record"]["id"] for message in messages if message["type"] == "RECORD"]
    assert records == [record["id"] for record in sandbox.world.records("workers")]


@pytest.mark.parametrize("args", [(), ("--test",), ("--discover",)], ids=" ".join)
def test_a_standard_output_that_is_closed_is_said_in_one_line(
    sandbox: Sandbox, config_file: Path, args: tuple[str, ...]
) -> None:
    run = run_with(config_file, ">&-", *args)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    (line,) = [line for line in run.stderr.splitlines() if "| INFO" not in line]
    assert "Standard output: it is closed. Nothing more is sent." in line
    assert sandbox.requests == []


def test_a_catalog_for_which_there_is_no_room_is_said_in_one_line(config_file: Path) -> None:
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("there is no device that is full")
    run = run_with(config_file, ">/dev/full", "--discover")
    assert run.returncode == 1
    (line,) = [line for line in run.stderr.splitlines() if "| INFO" not in line]
    assert "Standard output: No space left on device. Nothing more is sent." in line

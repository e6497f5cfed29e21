"""Whatever a test starts goes by the clock of the test, and not by the machine's."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from demo.project import sandbox as serve
from tests.clock import NOW
from tests.conftest import shipped
from tests.singer import COLD, Started, instant, run_tap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox import Sandbox

NEAR = timedelta(minutes=5)
"""How long a test may take on a slow machine."""


def is_now(moment: datetime) -> bool:
    return NOW - timedelta(seconds=2) <= moment <= NOW + NEAR


def test_the_test_itself() -> None:
    assert is_now(datetime.now(UTC))
    assert is_now(datetime.fromtimestamp(time.time(), UTC))


def test_another_test_begins_at_the_same_instant() -> None:
    assert NOW <= datetime.now(UTC) <= NOW + timedelta(seconds=30)


@pytest.mark.parametrize("command", [None, COLD], ids=["forked", "from nothing"])
def test_the_tap(sandbox: Sandbox, config: dict[str, Any], command: Sequence[str] | None) -> None:
    run = run_tap(config | {"resources": [shipped("workers")]}, command=command)
    assert is_now(instant(run.state["bookmarks"]["workers"]["last_sync"]))
    assert is_now(instant(run.messages[1]["time_extracted"]))
    assert sandbox.requests


@pytest.mark.parametrize("command", [None, COLD], ids=["forked", "from nothing"])
def test_the_tap_at_another_instant(sandbox: Sandbox, config: dict[str, Any], command: Sequence[str] | None) -> None:
    other = NOW - timedelta(days=1000)
    run = Started(config | {"resources": [shipped("workers")]}, command=command, clock=other).finish()
    assert other <= instant(run.state["bookmarks"]["workers"]["last_sync"]) <= other + NEAR
    assert sandbox.requests


def test_the_server(sandbox: Sandbox, tmp_path: Path) -> None:
    with serve(tmp_path / "log", "--days", "1") as cold:
        for url, key in ((sandbox.url, sandbox.api_key), (cold.url, cold.api_key)):
            answer = requests.get(f"{url}/v1/master/workers", headers={"api_key": key}, timeout=30)
            assert is_now(parsedate_to_datetime(answer.headers["Date"]))


def test_any_other_process_with_spans_as_they_are() -> None:
    script = "import time; began = time.monotonic(); time.sleep(0.2); print(time.time(), time.monotonic() - began)"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True).stdout
    now, span = map(float, said.split())
    assert is_now(datetime.fromtimestamp(now, UTC))
    assert 0.2 <= span < 60


def test_no_test_asks_the_machine_for_the_day() -> None:
    """A module is imported before its tests begin: it takes NOW from the clock instead."""
    for path in Path(__file__).parent.rglob("test_*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not (line[:1].isalpha() and "datetime.now(" in line), f"{path}: {line}"

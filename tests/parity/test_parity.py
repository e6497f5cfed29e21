"""The tap makes of each configuration what dlt makes of it, or departs as the table says."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Sandbox
from sandbox.styles.auth import SECRETS
from tests.parity.expect import FILE
from tests.parity.table import CASES
from tests.singer import Run, assert_secret, run_tap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.parity.case import Case

EXPECTED: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))["cases"]


@pytest.fixture
def server() -> Iterator[Sandbox]:
    """Return a sandbox with next to no greenhouse in it."""
    with Sandbox(days=1, registrations=0, sessions=0, resources=0) as running:
        yield running


def run(case: Case, server: Sandbox) -> Run:
    """Return the last run of a case, each of which but the first has the state of the one before."""
    state = None
    for size in case.sizes[:-1]:
        before = run_tap({**case.config_for(f"{server.url}/styles", size), "backoff_factor": 0}, state=state)
        assert before.returncode == 0, before.stderr
        state = before.state
    return run_tap({**case.config_for(f"{server.url}/styles", case.sizes[-1]), "backoff_factor": 0}, state=state)


def matches(pattern: str, line: str) -> bool:
    """Return whether the message of a line matches: what stands before it, such as the time, may by chance."""
    message = line.split(" | ", 3)[-1]
    return re.search(pattern, message, re.IGNORECASE) is not None


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_parity(case: Case, server: Sandbox) -> None:
    last = run(case, server)
    for secret in SECRETS:
        assert_secret(secret, stdout=last.stdout, stderr=last.stderr)
    if case.error is not None:
        assert last.returncode == 1, last.stderr
        assert matches(case.error, last.stderr.splitlines()[-1]), last.stderr
        return
    assert last.returncode == 0, last.stderr
    expected = EXPECTED[case.name]["records"] if case.records is None else case.records
    brought = {stream: case.ids(stream, records) for stream, records in last.records.items() if records}
    assert brought == {stream: ids for stream, ids in expected.items() if ids}
    warnings = [line for line in last.problems if "| WARNING" in line]
    if case.warning is not None:
        assert any(matches(case.warning, line) for line in warnings), last.stderr


def test_nothing_goes_to_another_origin(server: Sandbox) -> None:
    other = next(case for case in CASES if case.name == "json_link: to another origin")
    run(other, server)
    assert server.requests
    assert {request.headers["Host"].partition(":")[0] for request in server.requests} == {"127.0.0.1"}

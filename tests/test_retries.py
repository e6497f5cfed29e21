"""Trouble that may pass is waited for; trouble that will not is said at once."""

from __future__ import annotations

import logging
import random
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal

import pytest

from sandbox import Fault, Sandbox
from tap_analytics.rest.errors import RestError, TransientError
from tap_analytics.tap import TapAnalytics
from tests.conftest import settings
from tests.singer import PREFIX, Started, catalog_of, exact, run_tap

WORKERS = "/v1/master/workers"
REGISTRATIONS = "/v1/transactional/registrations"

PASSING: dict[str, dict[str, Any]] = {
    **{f"{status}": {"kind": "status", "status": status} for status in (429, 500, 502, 503, 504)},
    **{kind: {"kind": kind} for kind in ("reset", "reset_in_body", "silence", "silence_in_body", "cut_chunked")},
    "cut": {"kind": "long_content_length"},
    "unparsable": {"kind": "body", "body": '{"data":[{"id":"a"},{"id'},
    "web page": {"kind": "html"},
    "empty": {"kind": "body", "body": ""},
}


def asked(sandbox: Sandbox, path: str) -> int:
    return len([request for request in sandbox.requests if request.path == path])


def patience(trouble: str) -> float:
    """Return seconds that are short where a test has to wait for their end, and else never over."""
    return 0.5 if trouble.startswith("silence") else 60


# What comes of it


@pytest.mark.parametrize("trouble", PASSING)
def test_trouble_that_passes_costs_a_request_and_no_record(trouble: str) -> None:
    with Sandbox(page_cap=40, days=20, registrations=120, sessions=1, workers=12) as sandbox:
        sandbox.misbehave(
            Fault(**PASSING[trouble], path=WORKERS),
            Fault(**PASSING[trouble], path=REGISTRATIONS, after=2),
        )
        config = settings(sandbox, request_timeout=patience(trouble), max_in_flight=1)
        run = run_tap(config, catalog=catalog_of("workers", "registrations_initial"))
        assert run.returncode == 0, run.stderr
        assert exact(run.records["workers"]) == exact(sandbox.world.records("workers"))
        assert exact(run.records["registrations_initial"]) == exact(sandbox.world.records("registrations"))
        assert asked(sandbox, WORKERS) == 2
        assert [line.split(" | ")[1].strip() for line in run.problems] == ["WARNING", "WARNING"]
        assert run.said("workers: GET /v1/master/workers", "Try 2 of 4 in")


@pytest.mark.parametrize(
    ("trouble", "retries"), [("503", 3), ("reset", 1), ("silence", 1), ("unparsable", 0), ("429", 2)]
)
def test_trouble_that_stays_costs_one_request_and_the_retries_and_no_other_stream(
    sandbox: Sandbox, config: dict[str, Any], trouble: str, retries: int
) -> None:
    sandbox.misbehave(Fault(**PASSING[trouble], path=WORKERS, times=None))
    state = {"bookmarks": {"sessions_incremental": {"replication_key_value": "2026-05-28T00:00:00Z"}}}
    run = run_tap(
        config | {"max_retries": retries, "request_timeout": patience(trouble), "max_in_flight": 1},
        state=state,
        catalog=catalog_of("users", "workers", "sessions_incremental"),
    )
    assert run.returncode == 1
    assert asked(sandbox, WORKERS) == 1 + retries
    assert run.records["workers"] == []
    assert exact(run.records["users"]) == exact(sandbox.world.records("users"))
    assert run.records["sessions_incremental"]
    assert run.state["bookmarks"]["sessions_incremental"]["replication_key_value"] > "2026-05-28"
    assert "Traceback" not in run.stderr
    failed = [line for line in run.stderr.splitlines() if "Failed: " in line]
    assert len(failed) == 1
    assert "workers" in failed[0]
    assert "GET /v1/master/workers" in failed[0]


def test_a_failed_stream_keeps_its_state(sandbox: Sandbox, config: dict[str, Any]) -> None:
    before = {"replication_key_value": "2026-05-20T00:00:00Z"}
    sandbox.misbehave(Fault("status", REGISTRATIONS, status=500, times=None))
    run = run_tap(
        config | {"max_retries": 0},
        state={"bookmarks": {"registrations_incremental": before}},
        catalog=catalog_of("registrations_incremental", "users"),
    )
    assert run.returncode == 1
    assert run.state["bookmarks"]["registrations_incremental"]["replication_key_value"] == "2026-05-20T00:00:00Z"
    again = run_tap(config, state=run.state, catalog=catalog_of("registrations_incremental"))
    assert again.returncode == 1
    sandbox.behave()
    last = run_tap(config, state=again.state, catalog=catalog_of("registrations_incremental"))
    assert last.returncode == 0, last.stderr
    assert last.records["registrations_incremental"]


def test_a_window_that_fails_leaves_the_state_of_those_before_it(sandbox: Sandbox, config: dict[str, Any]) -> None:
    start = (sandbox.now - timedelta(days=15)).date()
    third = start + timedelta(days=10)
    sandbox.misbehave(Fault("status", REGISTRATIONS, params={"date": f"{third:%Y%m%d}"}, status=500, times=None))
    config |= {"start_date": str(start), "window_days": 5, "max_retries": 1}
    run = run_tap(config, catalog=catalog_of("registrations_initial"))
    assert run.returncode == 1
    assert run.state["bookmarks"]["registrations_initial"]["backfill_until"] == str(third)
    sandbox.behave()
    rest = run_tap(config, state=run.state, catalog=catalog_of("registrations_initial"))
    assert rest.returncode == 0, rest.stderr
    keys = [record["id"] for one in (run, rest) for record in one.records["registrations_initial"]]
    assert len(keys) == len(set(keys))
    assert set(keys) <= {record["id"] for record in sandbox.world.records("registrations")}
    assert len(keys) > 50


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, "params"),
        (401, "Check the credentials: api_key, auth_location and auth_name"),
        (403, "deselect"),
        (404, "Check base_url"),
        (405, "405"),
        (410, "410"),
        (501, "501"),
    ],
)
def test_trouble_that_will_not_pass_costs_one_request_and_is_said_with_what_to_do(
    sandbox: Sandbox, config: dict[str, Any], status: int, advice: str
) -> None:
    sandbox.misbehave(Fault("status", WORKERS, status=status, times=None))
    run = run_tap(config, catalog=catalog_of("users", "workers"))
    assert run.returncode == 1
    assert asked(sandbox, WORKERS) == 1
    assert exact(run.records["users"]) == exact(sandbox.world.records("users"))
    assert run.said("ERROR", "Failed: workers", WORKERS, str(status), advice)
    assert "Traceback" not in run.stderr


def test_the_statuses_to_retry_are_a_setting(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.misbehave(Fault("status", WORKERS, status=404), Fault("status", "/v1/master/users", status=500))
    run = run_tap(config | {"retry_on_status_codes": [404]}, catalog=catalog_of("users", "workers"))
    assert run.returncode == 1
    assert (asked(sandbox, WORKERS), asked(sandbox, "/v1/master/users")) == (2, 1)


def test_a_wrong_key_is_said_once_for_all_streams(sandbox: Sandbox, config: dict[str, Any]) -> None:
    run = run_tap(config | {"api_key": "not-the-key"})
    assert run.returncode == 1
    assert run.said("Failed: clients", "401", "Check the credentials")
    assert len(sandbox.requests) >= 12
    assert not any(run.records.values())


def test_a_server_that_comes_back_is_waited_for(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.stop()
    started = Started(config | {"backoff_factor": 1}, catalog=catalog_of("workers"))
    while "Try 2 of 4" not in started.log and started.process.poll() is None:
        time.sleep(0.02)
    sandbox.start()
    run = started.finish()
    assert run.returncode == 0, run.stderr
    assert exact(run.records["workers"]) == exact(sandbox.world.records("workers"))
    assert run.said("Connection refused", "Try 2 of 4")


def test_a_server_that_is_not_there_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    config = {"base_url": f"http://127.0.0.1:{port}", "api_key": "secret-key", "backoff_factor": 0, "max_retries": 2}
    run = run_tap(config, catalog=catalog_of("workers", "users"))
    assert run.returncode == 1
    assert len([line for line in run.problems if "Try " in line and "workers" in line]) == 2
    assert run.said("Failed: ", "workers", "Connection refused")
    assert "Traceback" not in run.stderr


# How long the waits are: only the clock is made up


class Clock:
    """A clock that only sleep moves, and what was slept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.naps: list[float] = []
        self._now = time.monotonic()
        monkeypatch.setattr(time, "sleep", self._sleep)
        monkeypatch.setattr(time, "monotonic", lambda: self._now)
        # The waits without what is added to them at random.
        monkeypatch.setattr(random, "uniform", lambda _low, _high: 0.0)

    def _sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self._now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def fetch(config: dict[str, Any]) -> Exception | None:
    """Have workers fetched, and return what came of it."""
    tap = TapAnalytics(config=config)
    stream: Any = tap.streams["workers"]
    try:
        list(stream.get_records(None))
    except RestError as error:
        return error
    finally:
        tap.client.close()
    return None


@pytest.mark.parametrize(
    ("factor", "waits"),
    [(2, [2, 4, 8]), (0, [0, 0, 0]), (0.5, [0.5, 1, 2, 4, 8]), (2, []), (1, [1])],
)
@pytest.mark.parametrize("status", [500, 429])
def test_waits_grow_as_the_factor_times_powers_of_two(
    sandbox: Sandbox, clock: Clock, factor: float, waits: list[float], status: int
) -> None:
    sandbox.misbehave(Fault("status", WORKERS, status=status, times=None))
    error = fetch(settings(sandbox, backoff_factor=factor, max_retries=len(waits)))
    assert isinstance(error, TransientError)
    assert [nap for nap in clock.naps if nap] == [wait for wait in waits if wait]
    assert asked(sandbox, WORKERS) == 1 + len(waits)


def test_the_waits_are_two_four_and_eight_seconds_unless_set(sandbox: Sandbox, clock: Clock) -> None:
    sandbox.misbehave(Fault("reset", WORKERS, times=None))
    fetch({"base_url": sandbox.url, "api_key": sandbox.api_key})
    assert clock.naps == [2, 4, 8]


def later(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("retry_after", "waits"),
    [
        ("7", [7]),
        ("0", [2]),
        ("1", [2]),
        ("2.5", [2.5]),
        ("-5", [2]),
        ("soon", [2]),
        ("nan", [2]),
        ("inf", [2]),
        ("", [2]),
        ("99999", [300]),
        pytest.param(later(-30), [2], id="a date that has passed"),
        ("Fri, 32 Foo 2026", [2]),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed_where_it_is_longer(
    sandbox: Sandbox, clock: Clock, retry_after: str, waits: list[float], status: int
) -> None:
    sandbox.misbehave(Fault("status", WORKERS, status=status, headers={"Retry-After": retry_after}))
    assert fetch(settings(sandbox, backoff_factor=2)) is None
    assert clock.naps == waits
    assert asked(sandbox, WORKERS) == 2


def test_retry_after_may_be_a_date_by_the_clock_of_the_server(sandbox: Sandbox, clock: Clock) -> None:
    headers = {"Date": later(5 * 3600), "Retry-After": later(5 * 3600 + 30)}
    sandbox.misbehave(Fault("status", WORKERS, status=503, headers=headers))
    assert fetch(settings(sandbox, backoff_factor=2)) is None
    assert 29 <= sum(clock.naps) <= 31


def test_jitter_only_makes_waits_longer(
    sandbox: Sandbox, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    monkeypatch.setattr(random, "uniform", lambda _low, high: high)
    sandbox.misbehave(Fault("status", WORKERS, status=500, times=None))
    fetch(config | {"backoff_factor": 2, "max_retries": 2})
    assert all(wait <= nap <= wait * 1.25 for wait, nap in zip([2, 4], clock.naps, strict=True))


def test_retry_after_is_obeyed_by_the_command_line(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.misbehave(Fault("status", WORKERS, status=429, headers={"Retry-After": "1"}))
    run = run_tap(config, catalog=catalog_of("workers"))
    assert run.returncode == 0, run.stderr
    first, second = (request.time for request in sandbox.requests)
    assert second - first >= 1


# What is said


@pytest.mark.parametrize(
    "trouble",
    [{"kind": "status", "status": 401}, {"kind": "echo_key"}, {"kind": "reset"}, {"kind": "html"}],
    ids=lambda trouble: trouble["kind"],
)
def test_the_key_is_in_no_output_at_any_level(
    auth_location: Literal["header", "query"], trouble: dict[str, Any]
) -> None:
    key = "k+e/y & ü=%41#?" if auth_location == "query" else "k+e/y & =%41#?"
    with Sandbox(auth_location=auth_location, api_key=key, days=2, registrations=2, sessions=2) as sandbox:
        sandbox.misbehave(Fault(**trouble, path=WORKERS, times=None))
        config = settings(sandbox, auth_location=auth_location, max_retries=1)
        run = run_tap(config, env={f"{PREFIX}LOGLEVEL": "DEBUG"}, catalog=catalog_of("workers", "users"))
        assert run.returncode == 1
        assert "| DEBUG" in run.stderr
        assert run.records["users"]


def test_no_logger_says_more_than_one_line_for_a_failure(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.misbehave(Fault("status", WORKERS, status=500, body="line one\r\nline two\n\n", times=None))
    run = run_tap(config | {"max_retries": 1}, catalog=catalog_of("workers"))
    assert all(" | " in line for line in run.stderr.splitlines())
    assert logging.getLevelName(logging.ERROR) in run.stderr

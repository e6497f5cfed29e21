"""Answers that are an error: tried again as the settings and the server say, or said at once."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Sandbox
from tests.conftest import settings, shipped
from tests.faults.api import Api, Reply
from tests.faults.matrix import PATH, SMALL, Row, both, params
from tests.faults.raw import Raw, answer, head
from tests.singer import Started, run_tap

if TYPE_CHECKING:
    from sandbox import Request


def status(code: int, times: int | None = None, **options: Any) -> tuple[Fault, ...]:  # noqa: ANN401
    return (Fault("status", PATH, status=code, times=times, **options),)


AT_ONCE = {
    400: "compare the resource's params",
    401: "Check the credentials: api_key, auth_location and auth_name",
    403: "ask for access or deselect",
    404: "Check base_url and the resource's path",
    410: "410 Gone",
    501: "501 Not Implemented",
}
RETRIED = (429, 500, 502, 503, 504)


@pytest.mark.parametrize(
    ("base", "path", "twice"),
    [
        ("/v1", "/v1/things", "/v1"),
        ("/v1/", "v1/things", "/v1"),
        ("/api/v1", "api/v1/things", "/api/v1"),
        ("/api", "api", "/api"),
        ("/v1", "/v2/things", None),
        ("", "/v1/v1/things", None),
        ("/v1", "things/v1", None),
    ],
)
def test_a_path_that_repeats_the_end_of_the_base_url_is_said(base: str, path: str, twice: str | None) -> None:
    with Api(lambda _asked: Reply({"error": "no such page"}, status=404)) as api:
        things = {"name": "things", "endpoint": path}
        last = run_tap({"base_url": f"{api.url}{base}", "resources": [things]}).stderr.splitlines()[-1]
    if twice is None:
        assert last.endswith("Check base_url and the resource's path.")
    else:
        assert last.endswith(
            f". {twice} is twice in the address: base_url ends and the resource's path begins with it. Remove one."
        )


def test_a_server_that_speaks_tls_is_said_to_do_so(config: dict[str, Any]) -> None:
    with Raw(answer(b"\x15\x03\x03\x00\x02\x02\x46")) as raw:
        run = run_tap(config | {"base_url": raw.url, "max_retries": 0, "resources": [shipped("users")]})
    assert run.stderr.splitlines()[-1].endswith("failed: the server speaks TLS at this address; try https://")


def test_a_server_that_speaks_no_tls_is_said_to_do_so(sandbox: Sandbox, config: dict[str, Any]) -> None:
    address = sandbox.url.replace("http://", "https://")
    run = run_tap(config | {"base_url": address, "max_retries": 0, "resources": [shipped("users")]})
    assert run.stderr.splitlines()[-1].endswith("the server does not speak TLS at this address; try http://")


def _rows() -> list[Row]:
    rows = [
        Row(
            what=f"Status {code}",
            faults=status(code),
            exit_code=1,
            records="none",
            requests=1,
            says=("Failed: workers: GET /v1/master/workers was answered with", str(code), advice),
        )
        for code, advice in AT_ONCE.items()
    ]
    for code in RETRIED:
        rows += [
            Row(
                what=f"Status {code}, once",
                faults=status(code, 1),
                config={"max_in_flight": 1},  # a request that was refused for others beside it costs no try
                requests=2,
                says=(str(code), "Try 2 of 4"),
            ),
            Row(
                what=f"Status {code}, for ever",
                faults=status(code),
                config={"max_retries": 1, "max_in_flight": 1},
                exit_code=1,
                records="none",
                requests=2,
                says=("Failed: workers: GET", str(code)),
            ),
        ]
    return rows


ROWS = [
    *_rows(),
    Row(what="Status 503, three times", faults=status(503, 3), requests=4, says=("Try 4 of 4",)),
    Row(
        what="Status 503, four times",
        faults=status(503, 4),
        requests=4,
        exit_code=1,
        records="none",
        says=("Failed: workers: GET", "503"),
        why="`max_retries` are 3",
    ),
    Row(
        what="Status 418, and only that is to be tried again",
        faults=status(418, 1),
        config={"retry_on_status_codes": [418]},
        requests=2,
        says=("418", "Try 2 of 4"),
    ),
    Row(
        what="Status 500, and only 418 is to be tried again",
        faults=status(500, 1),
        config={"retry_on_status_codes": [418]},
        requests=1,
        exit_code=1,
        records="none",
        says=("Failed: workers: GET", "500"),
    ),
    Row(
        what="Status 500, and nothing is to be tried again",
        faults=status(500, 1),
        config={"max_retries": 0},
        requests=1,
        exit_code=1,
        records="none",
        says=("Failed: workers: GET", "500"),
    ),
    Row(
        what="Status 204 and no body",
        faults=status(204),
        requests=1,
        records="none",
        why="204 means that there are none",
    ),
]


@pytest.mark.parametrize("row", params(ROWS))
def test_status(row: Row) -> None:
    both(row)


def gaps(requests: list[Request]) -> list[float]:
    """Return the seconds between the requests for workers."""
    times = [request.time for request in requests if request.path == PATH]
    return [after - before for before, after in pairwise(times)]


# What the server asks for; the least and the most seconds until the next try.
RETRY_AFTER: list[tuple[str, str, float, float]] = [
    ("seconds", "1", 1, 2),
    ("seconds with a fraction", "0.6", 0.6, 1.5),
    ("nothing that is a number", "soon", 0, 0.5),
    ("a negative number", "-60", 0, 0.5),
    ("zero", "0", 0, 0.5),
    ("no number at all", "nan", 0, 0.5),
    ("an empty header", "", 0, 0.5),
    ("a date in the past", "Wed, 21 Oct 2015 07:28:00 GMT", 0, 0.5),
    ("a date that is none", "Wed, 42 Oct 2015 07:28:00 GMT", 0, 0.5),
    ("a date beyond all calendars", "Fri, 31 Dec 99999999999 23:59:59 GMT", 0, 0.5),
]


@pytest.mark.parametrize(("form", "value", "least", "most"), RETRY_AFTER, ids=str)
def test_retry_after(form: str, value: str, least: float, most: float) -> None:
    assert form
    with Sandbox(**SMALL) as sandbox:
        sandbox.misbehave(*status(429, 1, headers={"Retry-After": value}))
        run = run_tap(settings(sandbox, resources=[shipped("workers")]))
        assert run.returncode == 0, run.stderr
        (gap,) = gaps(sandbox.requests)
        assert least <= gap < most


@pytest.mark.parametrize("ahead", [timedelta(), timedelta(minutes=10)], ids=str)
def test_retry_after_as_a_date_is_meant_by_the_clock_of_the_server(ahead: timedelta) -> None:
    with Sandbox(**SMALL) as sandbox:
        date, until = (datetime.now(UTC) + ahead + timedelta(seconds=seconds) for seconds in (0, 2))
        headers = {"Date": format_datetime(date, usegmt=True), "Retry-After": format_datetime(until, usegmt=True)}
        sandbox.misbehave(*status(503, 1, headers=headers))
        run = run_tap(settings(sandbox, resources=[shipped("workers")]))
        assert run.returncode == 0, run.stderr
        (gap,) = gaps(sandbox.requests)
        assert 0 < gap < 4


ABSURD = ["31536000", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT", "1e300"]


@pytest.mark.parametrize("value", ABSURD)
def test_an_absurd_retry_after_is_capped_and_said(value: str) -> None:
    with Sandbox(**SMALL) as sandbox:
        sandbox.misbehave(*status(429, 1, headers={"Retry-After": value}))
        started = Started(settings(sandbox, resources=[shipped("workers")]))
        deadline = time.monotonic() + 10
        while "Try 2 of 4" not in started.log and time.monotonic() < deadline:
            time.sleep(0.02)
        started.kill(15)  # type: ignore[arg-type]
        run = started.finish()
    assert run.returncode == 143
    assert run.said("workers: the server asks to wait", "the tap waits 300 s")
    wait = float(run.stderr.partition("Try 2 of 4 in ")[2].partition(" s")[0])
    assert 300 <= wait <= 302


def test_too_many_requests_slow_all_that_are_in_flight() -> None:
    with Sandbox(**{**SMALL, "registrations": 600}, page_cap=20, latency=0.01) as sandbox:
        fault = Fault("status", "*/registrations", after=4, status=429, headers={"Retry-After": "1"})
        sandbox.misbehave(fault)
        run = run_tap(settings(sandbox, resources=[shipped("registrations_initial")]))
        assert run.returncode == 0, run.stderr
        (refused,) = [request for request in sandbox.requests if request.status == 429]
        after = [request.time - refused.time for request in sandbox.requests if request.time > refused.time]
        assert [seconds for seconds in after if 0.2 < seconds < 1] == []
        assert len(after) > 10
        assert len(run.records["registrations_initial"]) == len(sandbox.world.records("registrations"))


def test_a_big_error_makes_little_log() -> None:
    with Sandbox(**SMALL) as sandbox:
        sandbox.misbehave(Fault("big_error", times=None))
        run = run_tap(settings(sandbox, resources=[shipped("workers")]), env={"TAP_ANALYTICS_LOGLEVEL": "DEBUG"})
        assert run.returncode == 1
        assert run.said("Failed: workers", "500", "stack trace")
        assert len(run.stderr) < 20_000


def test_the_body_of_an_error_is_not_waited_for() -> None:
    script = answer(head("404 Not Found", "Content-Length: 1000"), b"no such", hold=30)
    with Raw(script) as server:
        began = time.monotonic()
        run = run_tap({"base_url": server.url, "api_key": "k-e-y", "resources": [shipped("workers")]})
        assert time.monotonic() - began < 25
    assert run.returncode == 1
    assert run.said("Failed: workers", "404 Not Found: no such")


def test_all_of_a_request_has_one_deadline() -> None:
    dripping = answer(*[bytes([byte]) for byte in head("200 OK", "X-Slow: " + "x" * 400)], pause=0.05)
    with Raw(dripping) as server:
        began = time.monotonic()
        config = {"base_url": server.url, "api_key": "k-e-y", "resources": [shipped("workers")]}
        run = run_tap(config | {"request_timeout": 0.5, "max_retries": 1, "backoff_factor": 0})
        assert time.monotonic() - began < 15
        assert len(server.asked) == 2
    assert run.returncode == 1
    assert run.said("Failed: workers", "no complete answer within 0.5 s (request_timeout)")

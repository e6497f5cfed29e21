"""One stream in trouble does not stop the others; one reason for all of them is said once."""

from __future__ import annotations

import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sandbox import Fault, Sandbox
from tests.conftest import settings, shipped
from tests.faults.matrix import PATH, SMALL
from tests.singer import run_tap, stream_names

if TYPE_CHECKING:
    from typing import Literal

    from tests.singer import Run


def summary(run: Run) -> list[str]:
    """Return the lines that say at the end which streams failed, and why."""
    lines = run.stderr.splitlines()
    failures = [line for line in lines if "Failed: " in line]
    assert lines[-len(failures) :] == failures
    return [line.partition("Failed: ")[2] for line in failures]


def test_the_others_sync_to_the_end_and_keep_their_state(
    auth_location: Literal["header", "query"],
) -> None:
    with Sandbox(**SMALL, auth_location=auth_location, now=datetime.now(UTC) - timedelta(days=3)) as sandbox:
        config = settings(sandbox, auth_location=auth_location, max_retries=0, lookback_days=9)
        first = run_tap(config)
        assert first.returncode == 0
        sandbox.advance(2)
        sandbox.misbehave(
            Fault("status", PATH, times=None, status=403),
            Fault("no_node", "*/labels", times=None),
            Fault("status", "*/sessions", times=None, status=500),
        )
        run = run_tap(config, state=first.state)
        assert run.returncode == 1
        failed = {"workers": "403", "labels": "data", "sessions_incremental": "500"}
        lines = summary(run)
        assert [line.partition(":")[0] for line in lines] == sorted(failed)
        for line in lines:
            assert failed[line.partition(":")[0]] in line
        for stream, path in (("rows", "rows"), ("users", "users"), ("varieties", "varieties"), ("tasks", "tasks")):
            assert len(run.records[stream]) == len(sandbox.world.records(path))
        for stream in failed:
            assert run.records[stream] == []
            assert run.state["bookmarks"].get(stream, {}) == first.state["bookmarks"][stream]
        before = first.state["bookmarks"]["registrations_incremental"]["replication_key_value"]
        assert run.state["bookmarks"]["registrations_incremental"]["replication_key_value"] > before
        # What failed is caught up with.
        sandbox.behave()
        last = run_tap(config, state=run.state)
        assert last.returncode == 0
        failures = {record["id"] for each in (first, last) for name, records in each.records.items()
                 for record in records if name.startswith("sessions")}  # fmt: skip
        assert failures == {record["id"] for record in sandbox.world.records("sessions")}


def test_a_bad_key_is_said_once(auth_location: Literal["header", "query"]) -> None:
    with Sandbox(**SMALL, auth_location=auth_location) as sandbox:
        run = run_tap(settings(sandbox, auth_location=auth_location, api_key="wrong-key-entirely"))
        assert run.returncode == 1
        (line,) = summary(run)
        assert line.startswith(", ".join(sorted(stream_names())) + ": ")
        assert "401 Unauthorized" in line
        assert "Check the credentials: api_key" in line
        assert len(run.problems) == 2
        assert not any(run.records.values())


def test_a_server_that_is_not_there_is_said_once() -> None:
    with Sandbox(**SMALL) as sandbox:
        pass
    run = run_tap(settings(sandbox, max_retries=1))
    assert run.returncode == 1
    (line,) = summary(run)
    assert line.startswith(", ".join(sorted(stream_names())) + ": ")
    assert "Connection refused" in line
    assert "check base_url" in line


def test_a_server_that_comes_back_is_read() -> None:
    with Sandbox(**SMALL) as sandbox:
        sandbox.stop()
        threading.Timer(0.3, sandbox.start).start()
        run = run_tap(settings(sandbox, resources=[shipped("workers")], backoff_factor=0.25))
        assert run.returncode == 0, run.stderr
        assert run.said(
            "workers: GET /v1/master/workers failed: Connection refused; check base_url and the network. Try 2 of 4"
        )
        assert len(run.records["workers"]) == len(sandbox.world.records("workers"))


def test_a_server_that_takes_no_connection_is_given_up_in_time() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        full = [socket.socket() for _ in range(3)]
        for one in full:
            one.settimeout(0)
            one.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        began = time.monotonic()
        config = {"base_url": url, "api_key": "k-e-y", "resources": [shipped("workers")], "backoff_factor": 0}
        run = run_tap(config | {"request_timeout": 0.4, "max_retries": 1})
        assert time.monotonic() - began < 20
        for one in full:
            one.close()
    assert run.returncode == 1
    assert run.said("Failed: workers", "no complete answer within 0.4 s (request_timeout)")


def test_a_name_that_is_not_known_is_said() -> None:
    run = run_tap({"base_url": "http://no-such-host.invalid", "api_key": "k-e-y", "max_retries": 0})
    assert run.returncode == 1
    (line,) = summary(run)
    assert "check base_url" in line


def test_an_error_that_nobody_foresaw_stops_one_stream_and_hides_the_key(sandbox: Sandbox) -> None:
    maps = {"workers": {"name": "record['name'] + 1 / (len(record['id']) - len(record['id']))"}}
    run = run_tap(
        settings(sandbox, resources=[shipped("labels"), shipped("workers"), shipped("varieties")], stream_maps=maps),
        env={"TAP_ANALYTICS_LOGLEVEL": "DEBUG"},
    )
    assert run.returncode == 1
    (line,) = summary(run)
    assert line.startswith("workers: ")
    assert len(run.records["labels"]) == len(sandbox.world.records("labels"))
    assert len(run.records["varieties"]) == len(sandbox.world.records("varieties"))


@pytest.mark.parametrize(
    "maps",
    [
        {"workers": {"name": "1 +"}},
        {"workers": {"name": "no_such_function(name)"}},
        {"workers": "nonsense"},
        {"workers": {"__else__": 7}},
        {"workers": {"__key_properties__": ["nothing"]}},
        [],
    ],
    ids=str,
)
def test_a_wrong_stream_map_is_said_in_one_line(sandbox: Sandbox, maps: object) -> None:
    run = run_tap(settings(sandbox, resources=[shipped("workers")], stream_maps=maps))
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert run.problems or "Error: " in run.stderr

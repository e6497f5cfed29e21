"""What `--test` says of each stream, what it asks for, and what it costs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from demo.postgres import free_port
from sandbox import Sandbox
from sandbox.faults import Fault
from tests.clock import NOW
from tests.conftest import settings
from tests.singer import Run, catalog_of, run_tap, stream_names

if TYPE_CHECKING:
    from collections.abc import Mapping


def run_test(config: Mapping[str, Any], **given: Any) -> Run:  # noqa: ANN401 - what run_tap takes
    return run_tap(config, args=["--test"], **given)


def report(run: Run) -> list[str]:
    """Return what the log says to the user, without the figures for programs."""
    lines = [line.split(" | ", 3) for line in run.stderr.splitlines()]
    return [line[-1] for line in lines if len(line) == 4 and "METRIC" not in line[-1]]


def test_each_stream_is_said_to_work_with_what_was_looked_at() -> None:
    start = (NOW - timedelta(days=40)).date()
    with Sandbox(now=NOW - timedelta(days=1), days=20, registrations=120, sessions=60, workers=12, rows=15) as sandbox:
        run = run_test(settings(sandbox, start_date=str(start)))
    assert run.returncode == 0, run.stderr
    lines = report(run)
    count = len(stream_names())
    assert lines[-1] == f"{count} of {count} streams work."
    assert sum(": works, " in line for line in lines) == count
    assert f"workers: works, {len(sandbox.world.records('workers'))} records read (all records)" in lines
    assert any(line.startswith(f"sessions_initial: works, 1 record read (created {start} to ") for line in lines)


def test_it_takes_one_small_request_a_stream(sandbox: Sandbox, config: dict[str, Any]) -> None:
    run_test(config | {"start_date": "2020-01-01", "window_days": 1})
    assert len(sandbox.requests) == len(stream_names())
    asked = [request.params for request in sandbox.requests if "filter_date_by" in request.params]
    backfills = [params for params in asked if params["filter_date_by"] == "CREATED"]
    assert [(params["limit"], params["days_from_date"]) for params in backfills] == [("1", "366")] * 2
    assert all(int(params["days_from_date"]) <= 3 for params in asked if params not in backfills)


def test_a_lookback_longer_than_a_request_may_ask_for(config: dict[str, Any]) -> None:
    run = run_test(config | {"lookback_days": 500})
    assert run.returncode == 0, run.stderr


def test_standard_output_holds_a_schema_and_at_most_a_record_a_stream(config: dict[str, Any]) -> None:
    run = run_test(config)
    assert run.schemas.keys() == set(stream_names())
    assert max(len(records) for records in run.records.values()) == 1
    assert {message["type"] for message in run.messages} == {"SCHEMA", "RECORD"}


def test_a_stream_that_fails_is_named_with_what_to_do_and_the_others_are_tested(
    sandbox: Sandbox, config: dict[str, Any]
) -> None:
    sandbox.misbehave(
        Fault("status", status=403, path="/v1/master/users", times=None),
        Fault("status", status=404, path="/v1/master/labels", times=None),
        Fault("body", body=b'{"data": [{"name": "nobody"}]}', path="/v1/master/tasks", times=None),
    )
    run = run_test(config)
    assert run.returncode == 1
    assert run.said("ERROR", "users: GET /v1/master/users was answered with 403", "ask for access or deselect")
    assert run.said("ERROR", "labels: GET /v1/master/labels was answered with 404", "Check base_url")
    assert run.said("ERROR", "tasks: GET /v1/master/tasks: record 1 of the answer has no id, which is its key")
    assert f"{len(stream_names()) - 3} of {len(stream_names())} streams work." in report(run)


def test_trouble_that_may_pass_is_tried_once_more(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.misbehave(
        Fault("status", status=503, path="/v1/master/rows", times=1),
        Fault("status", status=503, path="/v1/master/users", times=None),
    )
    run = run_test(config)
    assert run.returncode == 1
    assert f"{len(stream_names()) - 1} of {len(stream_names())} streams work." in report(run)
    assert len([request for request in sandbox.requests if request.path == "/v1/master/users"]) == 2


def test_a_server_that_is_not_there_fails_every_stream() -> None:
    config = {"base_url": f"http://127.0.0.1:{free_port()}", "api_key": "some-key", "backoff_factor": 0}
    run = run_test(config)
    assert run.returncode == 1
    assert report(run)[-2] == f"0 of {len(stream_names())} streams work."
    assert report(run)[-1].startswith("Failed: clients, labels, ")
    assert "Connection refused" in report(run)[-1]


def test_a_wrong_key_is_said_once_with_what_to_do(sandbox: Sandbox) -> None:
    run = run_test(settings(sandbox, api_key="not-the-key-at-all"))
    assert run.returncode == 1
    assert len([line for line in run.problems if "401" in line]) == 2
    assert "Check the credentials: api_key, auth_location and auth_name" in report(run)[-1]


def test_only_selected_streams_are_tested(sandbox: Sandbox, config: dict[str, Any]) -> None:
    run = run_test(config, catalog=catalog_of("users"))
    assert report(run)[-1] == "1 of 1 streams work."
    assert [request.path for request in sandbox.requests] == ["/v1/master/users"]


@pytest.mark.parametrize("cursor", [{}, {"incremental": {"cursor_path": "timestamp", "start_param": "since"}}])
def test_a_declared_resource_is_tested_as_it_is_declared(sandbox: Sandbox, cursor: dict[str, Any]) -> None:
    paged = {"paginator": {"type": "offset", "limit": 100}}
    schema = {"type": "object", "properties": {"id": {"type": "string"}, "timestamp": {"type": "string"}}}
    declared = {"name": "readings", "primary_key": "id", "schema": schema}
    endpoint = {"path": "/v1/resource", **paged, **cursor}
    run = run_test(settings(sandbox, resources=[declared | {"endpoint": endpoint}]))
    assert run.returncode == 0, run.stderr
    assert "1 of 1 streams work." in report(run)
    assert sandbox.requests[-1].params["limit"] == "1"

"""What `--test` shows of each stream, what it asks for, and what it costs."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from demo.postgres import free_port
from sandbox import Sandbox
from sandbox.faults import Fault
from tap_analytics.rest.errors import ADVICE, with_remedy
from tests.clock import NOW
from tests.conftest import settings
from tests.singer import COLD, Run, catalog_of, run_tap, stream_names

if TYPE_CHECKING:
    from collections.abc import Mapping


def run_test(config: Mapping[str, Any], *, width: int = 200, **given: Any) -> Run:  # noqa: ANN401 - what run_tap takes
    """Run the connection test where a terminal would have some columns."""
    run = run_tap(config, args=["--test"], env={"COLUMNS": str(width)}, **given)
    assert run.stdout == ""
    return run


def table(run: Run) -> dict[str, str]:
    """Return the row of each stream, without its name, and with single blanks, whichever lines it takes."""
    cells: dict[str, str] = {}
    _, _, text = run.stderr.partition("stream ")
    for line in text.splitlines()[1:-1]:
        name, _, rest = line.partition(" ")
        if name:
            cells[name] = rest
        elif cells:
            cells[list(cells)[-1]] += f" {rest}"
    return {name: " ".join(text.split()) for name, text in cells.items()}


def last(run: Run) -> str:
    return run.stderr.splitlines()[-1]


def test_each_stream_is_said_to_work_with_what_was_looked_at() -> None:
    start = (NOW - timedelta(days=40)).date()
    with Sandbox(now=NOW - timedelta(days=1), days=20, registrations=120, sessions=60, workers=12, rows=15) as sandbox:
        run = run_test(settings(sandbox, start_date=str(start)))
    assert run.returncode == 0, run.stderr
    count = len(stream_names())
    assert last(run) == f"{count} of {count} streams work."
    rows = table(run)
    assert list(rows) == stream_names()
    assert all(row.startswith("works ") for row in rows.values())
    assert rows["workers"] == f"works {len(sandbox.world.records('workers'))} records, asked for all"
    assert rows["sessions_initial"].startswith(f"works 1 record, asked for 1 (created {start} to ")


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


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_narrow_table_cuts_names_and_nothing_else(encoding: str) -> None:
    with Sandbox(days=2, registrations=5, sessions=5, workers=2, rows=2) as sandbox:
        sandbox.misbehave(Fault("status", status=403, path="/v1/master/users", times=None, body=b'{"e": "no\xc3\xb6"}'))
        name = "a" * 50
        extends = [{"name": name, "extends": "clients"}, {"name": "users", "extends": True}]
        config = settings(sandbox, resources=extends)
        run = run_tap(
            config,
            args=["--test"],
            env={"COLUMNS": "60", "PYTHONIOENCODING": encoding},
            command=COLD if encoding == "ascii" else None,
        )
    mark, letter = ("…", "ö") if encoding == "utf-8" else ("~", "?")
    shown = table(run)
    assert shown["a" * 19 + mark] == "works 1 record, asked for all"
    assert f'403 Forbidden: {{"e": "no{letter}"}}. The credentials may not read this; ask for' in shown["users"]
    _, _, text = run.stderr.partition("stream ")
    assert max(map(len, text.splitlines()[1:-1])) <= 60


@pytest.mark.parametrize(
    ("what", "between", "remedy"),
    [
        ("GET /a was answered with 404 Not Found.", " ", "Check base_url."),
        ("GET /a was answered with 403.", " ", ADVICE[403]),
        ("GET /a failed: refused", "; ", "check base_url and the network"),
        ("GET /a: the answer holds data (a list of 5 objects)", "; ", "did you mean data?"),
        ("GET /a was answered with 404. /v1 is twice in the address.", " ", "Remove one."),
        ("GET /a: checked. Checksum is wrong", "", ""),
    ],
)
def test_what_to_do_is_told_from_what_happened(what: str, between: str, remedy: str) -> None:
    assert with_remedy(f"{what}{between}{remedy}") == (what, remedy)


def test_off_a_terminal_each_stream_takes_a_line(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.misbehave(Fault("status", status=403, path="/v1/master/users", times=None))
    run = run_tap(config, args=["--test"], env={"COLUMNS": ""}, catalog=catalog_of("labels", "users"))
    *_, header, labels, users, end = run.stderr.splitlines()
    assert header == "stream  test   seen, and asked for | what to do"
    assert labels.startswith("labels  works  8 records, asked for all")
    assert users.startswith("users   fails  GET /v1/master/users was answered with 403")
    assert users.endswith(f" | {ADVICE[403]}")
    assert end.startswith("1 of 2 streams work. ")


def test_a_schema_that_grows_is_not_written(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.world.put("resource", {"id": "one", "extra": 1})
    catalog = {
        "streams": [
            {
                "tap_stream_id": "readings",
                "schema": {"type": "object", "properties": {"id": {"type": ["string", "null"]}}},
                "metadata": [{"breadcrumb": [], "metadata": {"selected": True}}],
            }
        ]
    }
    run = run_test(config | {"resources": [{"name": "readings", "endpoint": "/v1/resource"}]}, catalog=catalog)
    assert last(run) == "1 of 1 streams work."


def test_a_stream_map_that_does_not_fit_the_records_fails_the_test(config: dict[str, Any]) -> None:
    run = run_test(config | {"stream_maps": {"workers": {"name": "name / 2"}}}, catalog=catalog_of("workers"))
    assert run.returncode == 1
    assert last(run).startswith("0 of 1 streams work. Failed: workers: a stream map of it fails: TypeError")


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
    rows = table(run)
    assert rows["users"].startswith("fails GET /v1/master/users was answered with 403")
    assert "ask for access or deselect" in rows["users"]
    assert "Check base_url and the resource's path." in rows["labels"]
    assert rows["tasks"] == "fails GET /v1/master/tasks: record 1 of the answer has no id, which is its key"
    assert sum(row.startswith("works") for row in rows.values()) == len(stream_names()) - 3
    assert "ERROR" not in run.stderr  # the table says it
    count = len(stream_names())
    assert last(run).startswith(
        f"{count - 3} of {count} streams work. Failed: labels, tasks, users; the first: labels: "
    )


def test_the_last_line_has_the_reason_of_one_failure(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.misbehave(Fault("status", status=403, path="/v1/master/users", times=None))
    run = run_test(config, width=80, catalog=catalog_of("users", "labels"))
    assert re.fullmatch(
        r"1 of 2 streams work\. Failed: users: .* was answered with 403 .* deselect the stream\.", last(run)
    )


def test_a_stream_without_a_schema_fails_the_test(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.misbehave(Fault("status", status=404, path="/v1/resource", times=None))
    run = run_test(
        config | {"resources": [{"name": "users", "extends": True}, {"name": "x", "endpoint": "/v1/resource"}]}
    )
    assert run.returncode == 1
    assert table(run)["x"].startswith("fails no schema can be inferred: GET /v1/resource was answered with 404")
    assert last(run).startswith("1 of 2 streams work. Failed: x: no schema can be inferred: ")


def test_trouble_that_may_pass_is_tried_once_more(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.misbehave(
        Fault("status", status=503, path="/v1/master/rows", times=1),
        Fault("status", status=503, path="/v1/master/users", times=None),
    )
    run = run_test(config)
    assert run.returncode == 1
    assert last(run).startswith(f"{len(stream_names()) - 1} of {len(stream_names())} streams work.")
    assert len([request for request in sandbox.requests if request.path == "/v1/master/users"]) == 2


def test_a_server_that_is_not_there_fails_every_stream() -> None:
    config = {"base_url": f"http://127.0.0.1:{free_port()}", "api_key": "some-key", "backoff_factor": 0}
    run = run_test(config)
    assert run.returncode == 1
    assert last(run).startswith(f"0 of {len(stream_names())} streams work. Failed: clients, labels, ")
    assert "Connection refused" in last(run)


def test_a_wrong_key_is_said_once_with_what_to_do(sandbox: Sandbox) -> None:
    run = run_test(settings(sandbox, api_key="not-the-key-at-all"))
    assert run.returncode == 1
    rows = table(run)
    assert "Check the credentials: api_key, auth_location and auth_name" in rows.pop("clients")
    assert set(rows.values()) == {"fails as clients"}
    assert "every request was answered with 401" in last(run)


def test_only_selected_streams_are_tested(sandbox: Sandbox, config: dict[str, Any]) -> None:
    run = run_test(config, catalog=catalog_of("users"))
    assert last(run) == "1 of 1 streams work."
    assert [request.path for request in sandbox.requests] == ["/v1/master/users"]


@pytest.mark.parametrize("cursor", [{}, {"incremental": {"cursor_path": "timestamp", "start_param": "since"}}])
def test_a_declared_resource_is_tested_as_it_is_declared(sandbox: Sandbox, cursor: dict[str, Any]) -> None:
    paged = {"paginator": {"type": "offset", "limit": 100}}
    schema = {"type": "object", "properties": {"id": {"type": "string"}, "timestamp": {"type": "string"}}}
    declared = {"name": "readings", "primary_key": "id", "schema": schema}
    endpoint = {"path": "/v1/resource", **paged, **cursor}
    run = run_test(settings(sandbox, resources=[declared | {"endpoint": endpoint}]))
    assert run.returncode == 0, run.stderr
    assert last(run) == "1 of 1 streams work."
    assert "1 record, asked for 1" in table(run)["readings"]
    assert sandbox.requests[-1].params["limit"] == "1"


def test_with_nothing_selected_there_is_nothing_to_test(config: dict[str, Any]) -> None:
    run = run_test(config, catalog=catalog_of())
    assert run.returncode == 1
    assert "Nothing is selected" in last(run)

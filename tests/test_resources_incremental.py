"""Declared resources that are read from a bookmark on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import shipped
from tests.singer import instant, run_tap
from tests.test_resources import keys, put, resource

if TYPE_CHECKING:
    from sandbox import Sandbox

Words = dict[str, Any]

SINCE = {"cursor_path": "timestamp", "start_param": "since"}


def at(number: int, time: str | None) -> Words:
    return {"id": str(number), "timestamp": time}


def asked(sandbox: Sandbox, param: str) -> set[str | None]:
    """Return what the requests had for a parameter, and forget them."""
    values = {request.params.get(param) for request in sandbox.requests}
    sandbox.requests.clear()
    return values


def bookmark(state: Words) -> Any:  # noqa: ANN401 - text or a number
    return state["bookmarks"]["things"]["replication_key_value"]


def incremental(config: Words, *, schema: Words | None = None, **words: object) -> Words:
    """Return a configuration with one incremental resource, which needs no sample."""
    schema = schema or {"type": ["string", "null"], "format": "date-time"}
    properties = {"id": {"type": "string"}, "timestamp": schema}
    declared = resource(incremental=SINCE | words, schema={"properties": properties})
    return config | {"lookback_days": 0, "resources": [declared]}


def test_it_reads_on_from_its_bookmark(sandbox: Sandbox, config: Words) -> None:
    config |= {"resources": [resource(incremental=SINCE)]}
    first = run_tap(config)
    assert len(first.records["things"]) == 30
    assert first.schemas["things"]["bookmark_properties"] == ["timestamp"]
    newest = max(record["timestamp"] for record in first.records["things"])
    assert instant(bookmark(first.state)) == instant(newest)
    assert asked(sandbox, "since") == {None}

    sandbox.advance(days=4)
    new = [record["id"] for record in sandbox.world.records("resource")][30:]
    second = run_tap(config, state=first.state)
    assert new
    assert keys(second.records["things"])[-len(new) :] == new
    assert len(second.records["things"]) < 30
    # The sample that finds the schema reads from the beginning.
    (since,) = asked(sandbox, "since") - {None}
    assert since is not None
    assert since < newest


def test_data_without_order_and_equal_values_at_the_bookmark(sandbox: Sandbox, config: Words) -> None:
    config = incremental(config)
    last = "2026-05-03T00:00:00Z"
    put(sandbox, at(1, last), at(2, "2026-05-01T00:00:00Z"), at(3, "2026-05-02T00:00:00Z"))
    first = run_tap(config)
    assert keys(first.records["things"]) == ["1", "2", "3"]
    assert bookmark(first.state) == last
    put(sandbox, at(4, last), at(2, "2026-05-01T00:00:00Z"), at(1, last), at(5, "2026-05-02T23:59:59Z"))
    asked(sandbox, "since")
    second = run_tap(config, state=first.state)
    assert set(keys(second.records["things"])) == {"1", "4"}
    assert asked(sandbox, "since") == {last}
    assert bookmark(second.state) == last


def test_a_server_that_takes_no_notice_of_the_parameter(sandbox: Sandbox, config: Words) -> None:
    config = incremental(config, start_param="updated_after", initial_value="2026-05-02T00:00:00Z")
    put(sandbox, at(1, "2026-05-01T00:00:00Z"), at(2, "2026-05-02T02:00:00+02:00"), at(3, "2026-05-03T00:00:00Z"))
    run = run_tap(config)
    assert keys(run.records["things"]) == ["2", "3"]
    assert asked(sandbox, "updated_after") == {"2026-05-02T00:00:00Z"}


def test_null_and_unreadable_cursors_come_out_and_move_nothing(sandbox: Sandbox, config: Words) -> None:
    config = incremental(config, start_param="updated_after")
    put(sandbox, at(1, None), at(2, "2026-05-01T00:00:00Z"), at(3, "soon"), {"id": "4"})
    first = run_tap(config)
    assert keys(first.records["things"]) == ["1", "2", "3", "4"]
    assert bookmark(first.state) == "2026-05-01T00:00:00Z"
    assert keys(run_tap(config, state=first.state).records["things"]) == ["1", "2", "3", "4"]


def test_only_null_cursors_leave_no_bookmark(sandbox: Sandbox, config: Words) -> None:
    put(sandbox, at(1, None), at(2, None))
    run = run_tap(incremental(config))
    assert keys(run.records["things"]) == ["1", "2"]
    assert "replication_key_value" not in run.state["bookmarks"]["things"]


def test_whole_numbers(sandbox: Sandbox, config: Words) -> None:
    config = incremental(config, schema={"type": ["integer", "null"]}, start_param="after", initial_value=3)
    config["lookback_days"] = 9
    put(sandbox, *({"id": str(n), "timestamp": n} for n in (7, 2, 5, 3)), {"id": "null", "timestamp": None})
    first = run_tap(config)
    assert keys(first.records["things"]) == ["7", "5", "3", "null"]
    assert bookmark(first.state) == 7
    assert asked(sandbox, "after") == {"3"}
    put(sandbox, {"id": "6", "timestamp": 6}, {"id": "7", "timestamp": 7}, {"id": "8", "timestamp": 8})
    second = run_tap(config, state=first.state)
    assert keys(second.records["things"]) == ["7", "8"]
    assert bookmark(second.state) == 8
    assert asked(sandbox, "after") == {"7"}


def test_whole_numbers_that_a_sample_shows(sandbox: Sandbox, config: Words) -> None:
    put(sandbox, {"id": "1", "number": 41}, {"id": "2", "number": 40})
    config |= {"resources": [resource(incremental={"cursor_path": "$.number", "start_param": "after"})]}
    run = run_tap(config)
    assert bookmark(run.state) == 41
    assert run_tap(config, state=run.state).records["things"] == [{"id": "1", "number": 41}]


def test_dates(sandbox: Sandbox, config: Words) -> None:
    config = incremental(config, schema={"type": ["string", "null"], "format": "date"}, start_param="day")
    config["lookback_days"] = 2
    put(sandbox, at(1, "2026-05-01"), at(2, "2026-05-09"))
    first = run_tap(config)
    assert bookmark(first.state) == "2026-05-09T00:00:00Z"
    put(sandbox, at(3, "2026-05-07"), at(4, "2026-05-06"))
    asked(sandbox, "day")
    assert keys(run_tap(config, state=first.state).records["things"]) == ["3"]
    assert asked(sandbox, "day") == {"2026-05-07"}


def test_the_lookback_reads_days_again(sandbox: Sandbox, config: Words) -> None:
    config = incremental(config)
    put(sandbox, at(1, "2026-05-09T12:00:00Z"))
    state = run_tap(config).state
    put(sandbox, at(2, "2026-05-06T12:00:00Z"), at(3, "2026-05-06T11:59:59Z"))
    asked(sandbox, "since")
    run = run_tap(config | {"lookback_days": 3}, state=state)
    assert keys(run.records["things"]) == ["2"]
    assert asked(sandbox, "since") == {"2026-05-06T12:00:00Z"}
    assert bookmark(run.state) == "2026-05-09T12:00:00Z"


def test_an_initial_value_is_sent_as_it_was_written(sandbox: Sandbox, config: Words) -> None:
    config = incremental(config, start_param="after", initial_value="2026-05-02")
    put(sandbox, at(1, "2026-05-01T23:59:59Z"), at(2, "2026-05-02T00:00:00Z"))
    run = run_tap(config)
    assert keys(run.records["things"]) == ["2"]
    assert asked(sandbox, "after") == {"2026-05-02"}


def test_another_replication_key_starts_over(sandbox: Sandbox, config: Words) -> None:
    state = {"bookmarks": {"things": {"replication_key": "changed", "replication_key_value": "2026-05-30T00:00:00Z"}}}
    put(sandbox, at(1, "2026-05-01T00:00:00Z"))
    run = run_tap(incremental(config), state=state, starts_over=True)
    assert keys(run.records["things"]) == ["1"]
    assert bookmark(run.state) == "2026-05-01T00:00:00Z"


def test_a_stream_that_failed_keeps_its_bookmark(sandbox: Sandbox, config: Words) -> None:
    config = incremental(config)
    put(sandbox, at(1, "2026-05-01T00:00:00Z"))
    state = run_tap(config).state
    put(sandbox, *(at(n, "2026-05-02T00:00:00Z") for n in range(2, 30)), {"timestamp": "2026-05-03T00:00:00Z"})
    run = run_tap(config, state=state)
    assert run.returncode == 1
    assert run.records["things"]
    assert not run.states or bookmark(run.state) == "2026-05-01T00:00:00Z"


def test_append_may_be_incremental(config: Words) -> None:
    config |= {"resources": [resource(incremental=SINCE, write_disposition="append")], "lookback_days": 0}
    first = run_tap(config)
    second = run_tap(config, state=first.state)
    assert first.schemas["things"]["key_properties"] == []
    assert len(first.records["things"]) == 30
    assert second.records["things"] == []


def test_a_cursor_that_no_sampled_record_has_is_an_error(config: Words) -> None:
    nowhere = resource(incremental={"cursor_path": "nowhere", "start_param": "since"})
    run = run_tap(config | {"resources": [nowhere, shipped("workers")]})
    assert run.returncode == 1
    assert run.said("Failed: things", "'nowhere' is not in the schema", "customer_id")
    assert run.records["workers"]


def test_a_shipped_stream_becomes_incremental(sandbox: Sandbox, config: Words) -> None:
    words = {"cursor_path": "updatedTimestamp", "start_param": "updated_after"}
    config |= {
        "resources": [{"name": "workers", "extends": True, "endpoint": {"incremental": words}}],
        "lookback_days": 0,
    }
    first = run_tap(config)
    assert len(first.records["workers"]) == 12
    second = run_tap(config, state=first.state)
    newest = max(record["updatedTimestamp"] for record in first.records["workers"])
    assert {record["updatedTimestamp"] for record in second.records["workers"]} == {newest}
    assert asked(sandbox, "updated_after") > {None}


def test_a_date_is_read_again_as_a_whole(sandbox: Sandbox, config: Words) -> None:
    config = incremental(config, schema={"type": ["string", "null"], "format": "date"}, start_param="day")
    today, tomorrow = (str(datetime.now(UTC).date() + timedelta(days=days)) for days in (0, 1))
    put(sandbox, at(1, tomorrow))
    first = run_tap(config)
    put(sandbox, at(2, today))  # it came after the first run, on the same day
    second = run_tap(config, state=first.state)
    assert keys(second.records["things"]) == ["2"]


@pytest.mark.parametrize("words", [{}, {"stream_maps": {"*": {"__filter__": "True"}}}], ids=["as they came", "decoded"])
def test_a_cursor_is_sent_back_as_the_api_writes_it(sandbox: Sandbox, config: Words, words: Words) -> None:
    config = incremental(config | words, start_param="after")
    put(sandbox, at(1, "2026-05-01 10:20:30"), at(2, "2026-05-02 10:20:30"))
    first = run_tap(config)
    assert [record["timestamp"] for record in first.records["things"]][-1] == "2026-05-02T10:20:30Z"
    asked(sandbox, "after")
    run_tap(config, state=first.state)
    assert asked(sandbox, "after") == {"2026-05-02 10:20:30"}

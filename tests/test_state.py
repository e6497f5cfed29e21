"""What a run leaves behind for the next one: nothing is read twice without need, and nothing never."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from sandbox import Request, Sandbox
from tests.clock import NOW, TODAY
from tests.conftest import settings
from tests.singer import Run, Started, State, catalog_of, exact, instant, run_tap

INITIAL, TAIL = "registrations_initial", "registrations_incremental"
DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def put(sandbox: Sandbox, key: str, created: datetime, updated: datetime | None = None) -> None:
    """Have the server hold a registration of its own making, `updatedTimestamp` and all."""
    moment = updated or created
    sandbox.world.put("registrations", {"id": key, "updatedTimestamp": text(moment)}, created=created, updated=moment)


def keys(run: Run, stream: str) -> list[str]:
    return [record["id"] for record in run.records.get(stream, [])]


def dates(sandbox: Sandbox, by: str) -> list[str]:
    """Return which days each request asked for, as `20260501+30`."""
    return [
        f"{request.params['date']}+{request.params['days_from_date']}"
        for request in sandbox.requests
        if request.params.get("filter_date_by") == by
    ]


def tail_state(bookmark: object) -> State:
    return {"bookmarks": {TAIL: {"replication_key_value": bookmark}}}


def bookmark_of(run: Run) -> datetime:
    return instant(run.state["bookmarks"][TAIL]["replication_key_value"])


@pytest.fixture
def history(sandbox: Sandbox) -> Sandbox:
    """Return a server with a registration on each of the last 60 days, and none else."""
    sandbox.world.clear("registrations")
    for ago in range(60, 0, -1):
        put(sandbox, f"-{ago}", TODAY - ago * DAY + 7 * HOUR)
    return sandbox


# The backfill


@pytest.mark.parametrize("max_in_flight", [1, 4])
def test_each_window_of_the_backfill_is_followed_by_its_checkpoint(
    history: Sandbox, config: dict[str, Any], max_in_flight: int
) -> None:
    start = TODAY - 45 * DAY
    run = run_tap(
        config | {"start_date": text(start), "window_days": 10, "max_in_flight": max_in_flight},
        catalog=catalog_of(INITIAL),
    )
    assert run.returncode == 0, run.stderr
    emitted: list[str] = []
    checkpoints = []
    for message in run.messages:
        if message["type"] == "RECORD":
            emitted.append(message["record"]["id"])
        elif message["type"] == "STATE":
            until = date.fromisoformat(message["value"]["bookmarks"][INITIAL]["backfill_until"])
            checkpoints.append(until)
            assert emitted == [f"-{ago}" for ago in range(45, 0, -1) if (TODAY - ago * DAY).date() < until]
    assert checkpoints[:4] == [(start + days * DAY).date() for days in (10, 20, 30, 40)]
    assert max(checkpoints) == TODAY.date()
    assert min(dates(history, "CREATED")) == f"{start:%Y%m%d}+10"
    assert run.state["bookmarks"][INITIAL]["backfill_completed"] is True


@pytest.mark.parametrize("max_in_flight", [1, 4])
@pytest.mark.parametrize("window", [1, 2, 4])
def test_a_killed_backfill_goes_on_at_its_window(
    history: Sandbox, config: dict[str, Any], window: int, max_in_flight: int
) -> None:
    start = TODAY - 60 * DAY
    config |= {"start_date": start.date().isoformat(), "window_days": 10, "max_in_flight": max_in_flight}
    fatal = f"{start + window * 10 * DAY:%Y%m%d}"
    running: list[Started] = []
    ready = threading.Event()

    def kill(request: Request) -> None:
        if request.params.get("date") == fatal and ready.wait(10) and running:
            running.pop().kill()

    history.on_request(kill)
    running.append(Started(config, catalog=catalog_of(INITIAL)))
    started = running[0]
    ready.set()
    killed = started.finish()
    assert killed.returncode == -9
    history.requests.clear()
    resumed = run_tap(config, state=killed.state, catalog=catalog_of(INITIAL))
    assert resumed.returncode == 0, resumed.stderr
    assert set(keys(killed, INITIAL) if killed.records else []) | set(keys(resumed, INITIAL)) == {
        f"-{ago}" for ago in range(1, 61)
    }
    until = killed.state.get("bookmarks", {}).get(INITIAL, {}).get("backfill_until", start.date().isoformat())
    assert min(dates(history, "CREATED")) == until.replace("-", "") + "+10"
    if max_in_flight == 1:
        assert until == (start + window * 10 * DAY).date().isoformat()


def test_a_complete_backfill_is_not_read_again_and_says_how_to(history: Sandbox, config: dict[str, Any]) -> None:
    config |= {"start_date": text(TODAY - 30 * DAY)}
    first = run_tap(config, catalog=catalog_of(INITIAL))
    history.requests.clear()
    for ago in range(3):
        second = run_tap(config, state=first.state, catalog=catalog_of(INITIAL))
        assert second.returncode == 0, second.stderr
        assert keys(second, INITIAL) == []
        assert history.requests == []
        assert second.said("WARNING", INITIAL, "--full-refresh")
        config["start_date"] = text(TODAY - (20 - ago) * DAY)


@pytest.mark.usefixtures("history")
def test_an_earlier_start_date_begins_the_backfill_again(config: dict[str, Any]) -> None:
    first = run_tap(config | {"start_date": text(TODAY - 20 * DAY)}, catalog=catalog_of(INITIAL))
    assert len(keys(first, INITIAL)) == 20
    earlier = config | {"start_date": text(TODAY - 40 * DAY)}
    second = run_tap(earlier, state=first.state, catalog=catalog_of(INITIAL), starts_over=True)
    assert len(keys(second, INITIAL)) == 40
    assert second.said("WARNING", INITIAL, "begins again")
    third = run_tap(config, state=second.state, catalog=catalog_of(INITIAL), starts_over=True)
    assert len(keys(third, INITIAL)) == 60


def test_a_backfill_that_never_began_is_not_said_to_be_complete(history: Sandbox, config: dict[str, Any]) -> None:
    run = run_tap(config | {"start_date": text(TODAY + 400 * DAY)}, catalog=catalog_of(INITIAL))
    assert run.returncode == 0, run.stderr
    assert history.requests == []
    assert not run.said("is complete")
    assert run.said("WARNING", "start_date", "in the future")
    tail = run_tap(config | {"start_date": text(TODAY + 400 * DAY)}, catalog=catalog_of(TAIL))
    assert tail.said("WARNING", TAIL, "start_date", "is in the future: nothing is read.")


# The tail


def test_the_second_run_brings_only_what_was_created_or_changed_since() -> None:
    with Sandbox(now=TODAY - 20 * DAY, days=20, registrations=400, sessions=200, workers=12, rows=15) as sandbox:
        config = settings(sandbox)
        before = {name: sandbox.world.records(name) for name in ("registrations", "sessions")}
        run = run_tap(config)
        for name, records in before.items():
            assert exact(run.records[f"{name}_initial"]) == exact(records)
        for days in (1, 3):
            sandbox.advance(days)
            run = run_tap(config, state=run.state)
            assert run.returncode == 0, run.stderr
            for name, records in before.items():
                assert f"{name}_initial" not in run.records
                known = {record["id"]: record for record in records}
                now = {record["id"]: record for record in sandbox.world.records(name)}
                changed = {key for key, record in now.items() if known.get(key) != record}
                arrived = {record["id"]: record for record in run.records[f"{name}_incremental"]}
                assert changed
                assert exact({key: arrived.get(key) for key in changed}) == exact({key: now[key] for key in changed})
                assert len(arrived) < len(now) / 2
                before[name] = list(now.values())


@pytest.mark.parametrize("lookback", [0, 1, 3])
def test_the_tail_reads_as_far_back_as_lookback_says_and_emits_no_older(
    history: Sandbox, config: dict[str, Any], lookback: int
) -> None:
    bookmark = TODAY - 10 * DAY + 15 * HOUR
    since = bookmark - lookback * DAY
    for key, moment in (("older", since - SECOND), ("same", since), ("newer", since + SECOND)):
        put(history, key, TODAY - 50 * DAY, moment)
    run = run_tap(config | {"lookback_days": lookback}, state=tail_state(text(bookmark)), catalog=catalog_of(TAIL))
    assert run.returncode == 0, run.stderr
    regular = [f"-{ago}" for ago in range(60, 0, -1) if TODAY - ago * DAY + 7 * HOUR >= since]
    assert keys(run, TAIL) == [*regular, "same", "newer"]
    assert dates(history, "UPDATED")[0].startswith(f"{since:%Y%m%d}+")
    assert bookmark_of(run) == TODAY - DAY + 7 * HOUR


def test_the_bookmark_is_the_greatest_instant_and_nothing_else_moves_it(
    sandbox: Sandbox, config: dict[str, Any]
) -> None:
    values: list[object] = [
        "2026-05-01T13:00:00+02:00",  # 11:00
        "2026-05-01T11:00:00.500Z",
        "2026-05-01T06:30:00.500999999-04:30",  # 11:00:00.500999, the greatest
        "2026-05-01T10:59:59.999999Z",
        "2026-05-01t11:00:00z",
        "2026-05-01 11:00:00Z",
        "2026-05-01T12:30:00+01:30",  # 11:00
        "2026-05-01T11:00:00",
        "20260501T110000Z",
        "2026-05-01",
        "zzzz",
        "9999",
        "",
        None,
    ]
    sandbox.world.clear("registrations")
    updated = datetime(2026, 5, 1, 11, tzinfo=UTC)
    for number, value in enumerate(values):
        sandbox.world.put("registrations", {"id": f"{number}", "updatedTimestamp": value}, updated=updated)
    sandbox.world.put("registrations", {"id": "none"}, updated=updated)
    run = run_tap(config, catalog=catalog_of(TAIL))
    assert run.returncode == 0, run.stderr
    assert len(keys(run, TAIL)) == len(values) + 1
    assert bookmark_of(run) == datetime(2026, 5, 1, 11, 0, 0, 500999, tzinfo=UTC)
    again = run_tap(config | {"lookback_days": 0}, state=run.state, catalog=catalog_of(TAIL))
    unreadable = [str(number) for number, value in enumerate(values) if value in {"zzzz", "9999", "", None}]
    assert keys(again, TAIL) == ["2", *unreadable, "none"]
    assert bookmark_of(again) == bookmark_of(run)


@pytest.mark.parametrize("value", ["", "Z", "zzzz", None])
def test_records_come_out_where_no_timestamp_can_be_read(
    sandbox: Sandbox, config: dict[str, Any], value: str | None
) -> None:
    sandbox.world.clear("registrations")
    for key in ("a", "b"):
        sandbox.world.put("registrations", {"id": key, "updatedTimestamp": value})
    run = run_tap(config, catalog=catalog_of(INITIAL, TAIL))
    assert run.returncode == 0, run.stderr
    assert sorted(keys(run, INITIAL)) == ["a", "b"]
    assert "replication_key_value" not in run.state["bookmarks"][TAIL]


@pytest.mark.parametrize("behind", [timedelta(0), 3 * HOUR])
def test_the_bookmark_never_passes_the_moment_the_sync_began(behind: timedelta) -> None:
    with Sandbox(date_header=-behind, days=5, registrations=5, sessions=5) as sandbox:
        put(sandbox, "ahead", NOW, NOW + HOUR)
        put(sandbox, "far ahead", NOW, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
        sandbox.world.put(
            "registrations", {"id": "far ahead", "updatedTimestamp": "9999-12-31T23:59:59.999Z"}, updated=NOW
        )
        run = run_tap(settings(sandbox, start_date=text(TODAY - DAY)), catalog=catalog_of(TAIL))
        assert {"ahead", "far ahead"} <= set(keys(run, TAIL))
        assert NOW - behind - 5 * SECOND < bookmark_of(run) <= datetime.now(UTC) - behind


def test_a_tail_without_a_bookmark_starts_where_the_backfill_began(history: Sandbox, config: dict[str, Any]) -> None:
    first = run_tap(config, catalog=catalog_of(INITIAL))
    began = instant(first.state["bookmarks"][INITIAL]["backfill_began"])
    assert began == TODAY - DAY + 7 * HOUR  # the newest change that the server told of
    put(history, "-30", TODAY - 30 * DAY, NOW - HOUR)
    put(history, "new", NOW, NOW)
    run = run_tap(config, state=first.state, catalog=catalog_of(TAIL))
    assert set(keys(run, TAIL)) == {"-1", "-2", "-30", "new"}


def test_a_tail_beside_a_new_backfill_starts_with_it(history: Sandbox, config: dict[str, Any]) -> None:
    run = run_tap(config | {"start_date": text(TODAY - 50 * DAY)}, catalog=catalog_of(INITIAL, TAIL))
    assert len(keys(run, INITIAL)) == 50
    assert Counter(keys(run, TAIL)) <= Counter({"-1"})
    assert len(dates(history, "UPDATED")) == 1


def test_a_tail_alone_starts_at_the_start_date(history: Sandbox, config: dict[str, Any]) -> None:
    put(history, "late", TODAY - 50 * DAY, TODAY - 5 * DAY + 12 * HOUR)
    start = TODAY - 5 * DAY + 9 * HOUR
    run = run_tap(config | {"start_date": text(start)}, catalog=catalog_of(TAIL))
    assert keys(run, TAIL) == ["-4", "-3", "-2", "-1", "late"]


def test_a_tail_alone_without_a_start_date_reads_everything(history: Sandbox, config: dict[str, Any]) -> None:
    run = run_tap(config, catalog=catalog_of(TAIL))
    assert keys(run, TAIL) == [f"-{ago}" for ago in range(60, 0, -1)]
    assert [request.params for request in history.requests] == [{}]


def test_a_long_absence_is_read_in_windows_that_the_api_accepts(history: Sandbox, config: dict[str, Any]) -> None:
    put(history, "long ago", TODAY - 800 * DAY)
    run = run_tap(config, state=tail_state(text(TODAY - 900 * DAY)), catalog=catalog_of(TAIL))
    assert run.returncode == 0, run.stderr
    assert keys(run, TAIL) == ["long ago", *(f"-{ago}" for ago in range(60, 0, -1))]
    assert len(dates(history, "UPDATED")) == 3
    assert max(int(asked.split("+")[1]) for asked in dates(history, "UPDATED")) <= 366


def test_a_catalog_may_ask_for_the_whole_table(history: Sandbox, config: dict[str, Any]) -> None:
    catalog = catalog_of(TAIL)
    for stream in catalog["streams"]:
        if stream["tap_stream_id"] == TAIL:
            stream["replication_method"] = "FULL_TABLE"
            for entry in stream["metadata"]:
                if entry["breadcrumb"] == []:
                    entry["metadata"].pop("forced-replication-method", None)
                    entry["metadata"]["replication-method"] = "FULL_TABLE"
    run = run_tap(config, state=tail_state(text(TODAY - 2 * DAY)), catalog=catalog)
    assert run.returncode == 0, run.stderr
    assert len(keys(run, TAIL)) == 60
    assert history.requests[0].params == {}


# States of others


def test_the_state_of_streams_that_do_not_run_is_kept(history: Sandbox, config: dict[str, Any]) -> None:
    first = run_tap(config | {"start_date": text(TODAY - 20 * DAY)})
    state = first.state
    state["bookmarks"]["another"] = {"replication_key_value": "2026-01-01T00:00:00Z"}
    second = run_tap(config, state=state, catalog=catalog_of("users"))
    assert second.returncode == 0, second.stderr
    kept = {name: value for name, value in second.state["bookmarks"].items() if name != "users"}
    assert kept == {name: value for name, value in state["bookmarks"].items() if name != "users"}
    assert history.requests


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ({"bookmarks": []}, "bookmarks"),
        ({"bookmarks": {TAIL: "2026-01-01"}}, TAIL),
        (tail_state(20260101), TAIL),
        (tail_state("last week"), TAIL),
        (tail_state({"at": "2026"}), TAIL),
        (tail_state("2999-01-01T00:00:00Z"), "future"),
    ],
)
def test_a_state_that_cannot_be_meant_is_said_and_read_past(
    history: Sandbox, config: dict[str, Any], state: State, word: str
) -> None:
    run = run_tap(config, state=state, catalog=catalog_of(TAIL), starts_over=True)
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    assert run.said("WARNING", word)
    if word != "future":
        assert len(keys(run, TAIL)) == 60
    assert bookmark_of(run) <= datetime.now(UTC)
    assert history.requests


@pytest.mark.parametrize(
    "bookmark",
    [
        {},
        {"replication_key_value": None},
        {"progress_markers": {"replication_key_value": "2026-01-01T00:00:00Z"}},
        {"backfill_began": "never"},
        {"backfill_began": 7, "backfill_completed": True},
        {"backfill_completed": True},
        {"backfill_began": "2026-01-01T00:00:00Z", "backfill_until": "2026-13-41"},
        {"backfill_began": "2026-01-01T00:00:00Z", "backfill_until": 7, "backfill_start": []},
        {"backfill_began": "2026-01-01T00:00:00Z", "backfill_completed": "yes"},
    ],
)
def test_a_broken_state_of_the_backfill_starts_it_over(
    history: Sandbox, config: dict[str, Any], bookmark: dict[str, object]
) -> None:
    run = run_tap(config, state={"bookmarks": {INITIAL: bookmark}}, catalog=catalog_of(INITIAL))
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    assert len(keys(run, INITIAL)) == 60
    assert run.state["bookmarks"][INITIAL]["backfill_completed"] is True
    assert history.requests

"""A state that names the future: it is said, and corrected at once, so that no later run passes over a record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault
from tests.clock import NOW
from tests.conftest import settings
from tests.singer import Started, State, catalog_of, instant
from tests.test_resources import resource

if TYPE_CHECKING:
    from sandbox import Sandbox
    from tests.singer import Run

INITIAL, TAIL = "registrations_initial", "registrations_incremental"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
FAR = "2999-01-01T00:00:00Z"
START = str((NOW - 47 * DAY).date())


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def run_at(sandbox: Sandbox, clock: datetime, state: State | None, *streams: str, **others: object) -> Run:
    """Run some shipped streams, or those declared, at an instant by the tap's clock and the server's."""
    sandbox._date_header = clock - datetime.now(UTC)  # noqa: SLF001 - it is set for good elsewhere
    catalog = catalog_of(*streams) if streams else None
    started = Started(settings(sandbox, **others), state=state, catalog=catalog, clock=clock)
    return started.finish(aside=state)


def ids(run: Run) -> list[str]:
    return [record["id"] for records in run.records.values() for record in records]


KINDS: dict[str, tuple[object, dict[str, Any] | None]] = {
    "tail": (FAR, None),
    "timestamps": (FAR, {"type": ["string", "null"], "format": "date-time"}),
    "dates": ("2999-01-01", {"type": ["string", "null"], "format": "date"}),
    "seconds": (32_472_144_000, {"type": ["integer", "null"]}),
    "milliseconds": (32_472_144_000_000, {"type": ["integer", "null"]}),
}


def written(kind: str, moment: datetime) -> object:
    """Return an instant as the cursor of a kind has it."""
    numbers = {"seconds": 1, "milliseconds": 1000}
    if kind in numbers:
        return int(moment.timestamp()) * numbers[kind]
    return str(moment.date()) if kind == "dates" else text(moment)


class Source:
    """What is read: the tail, or a resource with a cursor of some kind."""

    def __init__(self, sandbox: Sandbox, kind: str, **others: object) -> None:
        self.sandbox, self.kind, self.others = sandbox, kind, others
        bookmark, self.schema = KINDS[kind]
        self.stream = "things" if self.schema else TAIL
        self.state: State = {"bookmarks": {self.stream: {"replication_key_value": bookmark}}}
        sandbox.world.clear("resource" if self.schema else "registrations")

    def put(self, key: str, moment: datetime) -> None:
        if self.schema:
            self.sandbox.world.put("resource", {"id": key, "updated_at": written(self.kind, moment)})
        else:
            record = {"id": key, "updatedTimestamp": text(moment)}
            self.sandbox.world.put("registrations", record, created=moment, updated=moment)

    def run(self, clock: datetime, **others: object) -> Run:
        streams: tuple[str, ...] = (TAIL,)
        if self.schema:
            properties = {"id": {"type": "string"}, "updated_at": self.schema}
            incremental = {"cursor_path": "updated_at", "start_param": "changed_after"}
            others |= {"resources": [resource(incremental=incremental, schema={"properties": properties})]}
            streams = ()
        run = run_at(self.sandbox, clock, self.state, *streams, **self.others, **others)
        self.state = run.state
        return run

    @property
    def bookmark(self) -> Any:  # noqa: ANN401 - text or a number
        return self.state["bookmarks"][self.stream]["replication_key_value"]


@pytest.mark.parametrize("kind", KINDS)
def test_daily_runs_bring_each_new_record_although_the_first_found_no_bookmark(sandbox: Sandbox, kind: str) -> None:
    source = Source(sandbox, kind, lookback_days=0)
    for day in range(5):
        clock = NOW + day * DAY
        source.put(str(day), clock - timedelta(minutes=5))
        run = source.run(clock)
        assert run.returncode == 0, run.stderr
        assert str(day) in ids(run)
        assert run.said("WARNING", source.stream, "in the future") == (day == 0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_moment_the_run_began_takes_the_place_although_no_record_came(sandbox: Sandbox, kind: str) -> None:
    source = Source(sandbox, kind)
    run = source.run(NOW)
    assert ids(run) == []
    began = source.bookmark if isinstance(source.bookmark, int) else instant(source.bookmark).timestamp()
    assert NOW.timestamp() - 5 < began / (1000 if kind == "milliseconds" else 1) < NOW.timestamp() + 5
    # A record of an hour later, and a run of three days later.
    source.put("later", NOW + HOUR)
    assert ids(source.run(NOW + 3 * DAY, lookback_days=1)) == ["later"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_fails_has_corrected_the_state_already(sandbox: Sandbox, kind: str) -> None:
    source = Source(sandbox, kind, lookback_days=0, max_retries=0)
    sandbox.misbehave(Fault("status", times=1))
    assert source.run(NOW).returncode == 1
    source.put("later", NOW + HOUR)
    assert ids(source.run(NOW + 3 * DAY)) == ["later"]


@pytest.mark.parametrize("kind", ["seconds", "milliseconds"])
def test_a_record_of_the_future_moves_no_bookmark_past_now(sandbox: Sandbox, kind: str) -> None:
    source = Source(sandbox, kind)
    source.state = {}
    source.put("far", NOW + 900 * DAY)
    assert ids(source.run(NOW)) == ["far"]
    assert NOW.timestamp() - 5 < source.bookmark / (1000 if kind == "milliseconds" else 1) <= NOW.timestamp()


@pytest.mark.parametrize("bookmark", [5_000_000_000, 32_472_144_000_000, 2**63])
def test_a_large_number_that_counts_something_is_no_time(sandbox: Sandbox, bookmark: int) -> None:
    sandbox.world.clear("resource")
    sandbox.world.put("resource", {"id": "1", "number": bookmark + 1})
    properties = {"id": {"type": "string"}, "number": {"type": "integer"}}
    incremental = {"cursor_path": "number", "start_param": "after"}
    resources = [resource(incremental=incremental, schema={"properties": properties})]
    state = {"bookmarks": {"things": {"replication_key_value": bookmark}}}
    run = run_at(sandbox, NOW, state, resources=resources)
    assert ids(run) == ["1"]
    assert run.state["bookmarks"]["things"]["replication_key_value"] == bookmark + 1
    assert not run.problems


def test_a_first_value_that_is_a_time_makes_times_of_the_numbers(sandbox: Sandbox) -> None:
    sandbox.world.clear("resource")
    properties = {"id": {"type": "string"}, "number": {"type": "integer"}}
    incremental = {"cursor_path": "number", "start_param": "after", "initial_value": 1_700_000_000}
    resources = [resource(incremental=incremental, schema={"properties": properties})]
    state = {"bookmarks": {"things": {"replication_key_value": 32_472_144_000}}}
    run = run_at(sandbox, NOW, state, resources=resources)
    assert run.said("WARNING", "things", "32472144000", "in the future")
    assert run.state["bookmarks"]["things"]["replication_key_value"] <= NOW.timestamp()


def noted(**words: object) -> State:
    return {"bookmarks": {INITIAL: {"backfill_began": text(NOW - 9 * DAY), **words}}}


def test_a_tail_after_a_backfill_that_began_in_the_future_goes_on_from_now(sandbox: Sandbox) -> None:
    sandbox.world.clear("registrations")
    run = run_at(sandbox, NOW, noted(backfill_began=FAR, backfill_completed=True), TAIL, lookback_days=0)
    assert run.said("WARNING", TAIL, "backfill_began", "in the future")
    assert {request.params["date"] for request in sandbox.requests} <= {f"{NOW - days * DAY:%Y%m%d}" for days in (0, 1)}
    later = NOW + HOUR
    sandbox.world.put("registrations", {"id": "later", "updatedTimestamp": text(later)}, created=later, updated=later)
    assert ids(run_at(sandbox, NOW + 3 * DAY, run.state, TAIL, lookback_days=0)) == ["later"]


@pytest.mark.parametrize("completed", [False, True])
def test_a_backfill_that_began_in_the_future_is_noted_as_begun_now(sandbox: Sandbox, *, completed: bool) -> None:
    run = run_at(sandbox, NOW, noted(backfill_began=FAR, backfill_completed=completed), INITIAL)
    assert run.returncode == 0, run.stderr
    assert run.said("WARNING", INITIAL, "backfill_began", "in the future")
    assert instant(run.state["bookmarks"][INITIAL]["backfill_began"]) < NOW + timedelta(minutes=1)


def test_a_backfill_read_until_the_future_is_not_complete(sandbox: Sandbox) -> None:
    sandbox.world.clear("registrations")
    sandbox.world.put("registrations", {"id": "today"}, created=NOW, updated=NOW)
    state = noted(backfill_start=START, backfill_until="2999-01-01", backfill_completed=False)
    run = run_at(sandbox, NOW, state, INITIAL, start_date=START)
    assert run.said("WARNING", INITIAL, "backfill_until", "in the future")
    assert not run.said("is complete")
    assert ids(run) == ["today"]
    assert run.state["bookmarks"][INITIAL]["backfill_until"] == str(NOW.date())


def test_a_backfill_complete_until_a_day_in_the_future_goes_on(sandbox: Sandbox) -> None:
    sandbox.world.clear("registrations")
    sandbox.world.put("registrations", {"id": "today"}, created=NOW, updated=NOW)
    state = noted(
        backfill_start=START,
        backfill_until=str(NOW.date()),
        backfill_end="2999-01-01",
        backfill_completed=True,
    )
    run = run_at(sandbox, NOW, state, INITIAL, start_date=START, end_date="2999-01-01")
    assert run.said("WARNING", INITIAL, "backfill_end", "in the future")
    assert ids(run) == ["today"]

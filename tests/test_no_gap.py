"""Backfill and tail leave no gap between them, in whatever order they run and wherever a run dies.

A scenario is a row of runs, each with some of the two streams selected, with changes on the server
before and during each of them, and a death at some request. In the end both streams run once in
peace; then a target that merged everything on the key must hold what the server holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from sandbox import Request, Sandbox
from tests.conftest import settings, shipped
from tests.singer import Record, Started, State, catalog_of, exact

INITIAL, TAIL = "registrations_initial", "registrations_incremental"
BOTH = (TAIL, INITIAL)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
BUSY = 8
"""Requests at which the server changes: one that gains a record at each of them has no last page."""


@dataclass(frozen=True)
class Step:
    """One run, and what happens around it."""

    streams: tuple[str, ...]
    pause: timedelta = DAY
    """The time that passes before it."""
    changes: int = 1
    """How many records are created and updated before the run, and again at each of its first requests."""
    dies_at: int | None = None
    """The request at which the run is killed, counted from 1."""


class Company:
    """A server whose records change, by its own clock, and a target that merges what comes."""

    def __init__(self, sandbox: Sandbox, start: datetime, skew: timedelta) -> None:
        self.table: dict[str, Record] = {}
        self._sandbox = sandbox
        self._clock = start
        self._skew = skew
        self._state: State | None = None
        self._count = 0
        self._step = Step(BOTH, changes=0)
        self._asked = 0
        self._running: Started | None = None
        sandbox.world.clear("registrations")
        for ago in range(50, 0, -2):
            self._put(f"-{ago}", start - ago * DAY, start - (ago // 2) * DAY)
        sandbox.on_request(self._disturb)

    def _put(self, key: str, created: datetime | None, updated: datetime) -> None:
        self._count += 1
        record = {"id": key, "stepCounter": self._count, "updatedTimestamp": updated.isoformat()}
        self._sandbox.world.put("registrations", record, created=created, updated=updated)

    def _change(self) -> None:
        for _ in range(self._step.changes):
            self._put(f"new {self._count}", self._clock, self._clock)
            self._put(f"-{2 + self._count * 14 % 50}", None, self._clock)

    def _disturb(self, _request: Request) -> None:
        self._asked += 1
        if self._asked == self._step.dies_at and self._running:
            self._running.kill()
        if self._asked <= BUSY:
            # A run takes hours, in which the server goes on.
            self._clock += HOUR
            self._change()
        self._sandbox._date_header = self._clock - datetime.now(UTC)  # noqa: SLF001 - it is set for good elsewhere

    def run(self, step: Step, **others: object) -> None:
        """Run the tap once, and merge what comes out."""
        self._step, self._asked = step, 0
        self._clock += step.pause
        self._change()
        self._running = Started(
            settings(self._sandbox, **others),
            state=self._state,
            catalog=catalog_of(*step.streams),
            clock=self._clock - self._skew,
        )
        run = self._running.finish()
        self._running = None
        assert run.returncode in {0, -9}, run.stderr
        for message in run.messages:
            if message["type"] == "RECORD":
                self.table[message["record"]["id"]] = message["record"]
        self._state = run.state or self._state

    def missing(self) -> list[tuple[object, object]]:
        """Return what the target and the server have where that differs."""
        records = self._sandbox.world.records("registrations")
        pairs = [(self.table.get(record["id"]), record) for record in records]
        return [(loaded, record) for loaded, record in pairs if exact(loaded) != exact(record)]


def play(  # noqa: PLR0913 - one for each thing that scenarios differ in
    steps: tuple[Step, ...],
    *,
    start: datetime = datetime(2026, 6, 15, 10, tzinfo=UTC),
    skew: timedelta = timedelta(0),
    windows: bool = False,
    page: int = 10_000,
    max_in_flight: int = 4,
) -> None:
    """Run a scenario, and fail where something is missing in the end."""
    pages = {"paginator": {"type": "offset", "limit": page}}
    others: dict[str, Any] = {
        "lookback_days": 0,
        "max_in_flight": max_in_flight,
        "resources": [shipped(name, endpoint=pages) if page < 10_000 else shipped(name) for name in BOTH],
    }
    if windows:
        others |= {"start_date": str((start - 60 * DAY).date()), "window_days": 20}
    with Sandbox(days=1, registrations=0, sessions=0, resources=0) as sandbox:
        company = Company(sandbox, start, skew)
        for step in steps:
            company.run(step, **others)
        company.run(Step(BOTH, changes=0), **others)
        assert company.missing() == []


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize(
    "steps",
    [
        (Step(BOTH), Step((TAIL,))),
        (Step((INITIAL,)), Step((TAIL,))),
        (Step((TAIL,)), Step((INITIAL,)), Step(BOTH)),
        (Step((INITIAL,), dies_at=3), Step((TAIL,)), Step((INITIAL,), dies_at=2)),
        (Step(BOTH, dies_at=4), Step((TAIL,), dies_at=1), Step(BOTH, dies_at=2)),
    ],
    ids=["both", "backfill first", "tail first", "backfill dies", "both die"],
)
def test_nothing_is_missing_whichever_runs_first(steps: tuple[Step, ...], *, windows: bool) -> None:
    play(steps, windows=windows, page=4)


@pytest.mark.slow
@pytest.mark.parametrize("skew", [-3 * HOUR, 3 * HOUR], ids=["server behind", "server ahead"])
@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("selections", list(product([(INITIAL,), (TAIL,), BOTH], repeat=2)))
def test_nothing_is_missing_whatever_the_clocks_say(
    selections: tuple[tuple[str, ...], ...], skew: timedelta, *, windows: bool
) -> None:
    play(tuple(map(Step, selections)), skew=skew, windows=windows, page=4)


STEPS = st.builds(
    Step,
    st.sampled_from([(INITIAL,), (TAIL,), BOTH]),
    pause=st.sampled_from([timedelta(0), HOUR, DAY, 40 * DAY]),
    changes=st.integers(0, 2),
    dies_at=st.none() | st.integers(1, 6),
)


@pytest.mark.slow
@examples(max_examples=20, deadline=None, derandomize=True)
@given(
    steps=st.lists(STEPS, min_size=1, max_size=4).map(tuple),
    hour=st.sampled_from([0, 10, 22]),
    skew=st.sampled_from([timedelta(0), -3 * HOUR, 3 * HOUR]),
    windows=st.booleans(),
    page=st.sampled_from([3, 7, 10_000]),
    max_in_flight=st.sampled_from([1, 4]),
)
def test_nothing_is_missing_wherever_runs_die(  # noqa: PLR0913 - so many things may be so or so
    steps: tuple[Step, ...], hour: int, skew: timedelta, *, windows: bool, page: int, max_in_flight: int
) -> None:
    start = datetime(2026, 6, 15, hour, tzinfo=UTC)
    play(steps, start=start, skew=skew, windows=windows, page=page, max_in_flight=max_in_flight)

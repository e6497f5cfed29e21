"""How a stream is replicated: which slices a sync reads, and what it may note in its state.

A frozen value on the stream class says which of the ways it is; `begin` makes the reading of one
sync from it. Nothing here reads or writes: the stream asks for slices, and keeps what it is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from tap_analytics.endpoint import LONGEST_WINDOW, Everything, Slice, Window, windows
from tap_analytics.instants import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Sequence

CLOCK_TOLERANCE = timedelta(hours=1)
"""How far the server's clock may be behind ours without a gap between backfill and tail."""

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a sync knows when it begins a stream."""

    began: datetime
    start_date: datetime | None = None
    lookback: timedelta = timedelta(days=1)
    window_days: int = 30
    backfill_began: datetime | None = None
    """When the stream's backfill began: now if it is selected, else as its state tells."""


class Reading:
    """The reading of a whole stream: one slice, and nothing to remember."""

    slices: Sequence[Slice] = (Everything(),)
    since: datetime | None = None
    """Records whose replication key is an instant before this are left out."""
    notes: tuple[str, ...] = ()
    """What the user should know before the reading starts."""

    def observe(self, instant: datetime) -> None:
        """Take notice of a replication key that has been emitted."""

    def state_after(self, part: Slice, *, limit: datetime) -> State:
        """Return what to note once a slice has been emitted.

        The limit is the moment the sync began by the more cautious of the two clocks.
        """
        del part, limit
        return {}


@dataclass(frozen=True, slots=True)
class FullTable:
    """Everything is read in every sync."""

    cursor: None = None

    def begin(self, state: State, terms: Terms) -> Reading:
        """Return the reading of one sync."""
        del state, terms
        return Reading()


@dataclass(frozen=True, slots=True)
class Backfill:
    """Everything is read once, in windows of creation dates, resumed where it stopped."""

    cursor: str = "updatedTimestamp"
    """The field that tells the server's own time: the tail starts there, if that is earlier."""

    def begin(self, state: State, terms: Terms) -> Reading:
        """Return the reading of one sync: what no earlier one has completed."""
        return BackfillReading(state, terms)


class BackfillReading(Reading):
    """The windows of a backfill that are still to be read."""

    BEGAN: ClassVar[str] = "backfill_began"
    START: ClassVar[str] = "backfill_start"
    UNTIL: ClassVar[str] = "backfill_until"
    COMPLETED: ClassVar[str] = "backfill_completed"

    def __init__(self, state: State, terms: Terms) -> None:
        self._start = day(terms.start_date)
        began = self.began(state)
        known = began is not None
        if known and not self._covers(state):
            was = _named(_date(state, self.START))
            note = f"start_date is {_named(self._start)} and was {was}: the backfill begins again."
            self.notes = (note,)
            known = False
        self._began = began or terms.began
        self._newest = began
        self.slices = self._slices(state if known else {}, terms)
        if not self.slices:
            when = format_instant(self._began)
            note = f"The backfill that began {when} is complete; to read it all again, run with --full-refresh."
            self.notes = (note,)

    @classmethod
    def began(cls, state: State) -> datetime | None:
        """Return when the backfill that left this state began."""
        text = state.get(cls.BEGAN)
        return parse_instant(text) if isinstance(text, str) else None

    def _covers(self, state: State) -> bool:
        """Tell whether the backfill of the state started no later than this one."""
        start = _date(state, self.START)
        return start is None or (self._start is not None and start <= self._start)

    def _slices(self, state: State, terms: Terms) -> Sequence[Slice]:
        if state.get(self.COMPLETED) is True:
            return ()
        start = _date(state, self.UNTIL) or self._start
        if start is None:
            return (Everything(),)
        # A day more than today: a server whose clock is ahead may already be there.
        end = terms.began.date() + timedelta(days=2)
        return windows(start, end, terms.window_days, "CREATED")

    def observe(self, instant: datetime) -> None:
        """Take notice of when a record was changed last."""
        if self._newest is None or instant > self._newest:
            self._newest = instant

    def state_after(self, part: Slice, *, limit: datetime) -> State:
        """Return how far the backfill has come.

        No clock is trusted with when it began: where the newest change was made before, by the
        server's clock, that is when.
        """
        noted: State = {
            self.BEGAN: format_instant(min(self._began, limit, self._newest or limit)),
            self.START: self._start.isoformat() if self._start else None,
            self.COMPLETED: part == self.slices[-1],
        }
        if isinstance(part, Window):
            # What is created later on the day of the sync is the tail's; so that the tail may
            # also be left out, an unfinished day is never noted as read.
            noted[self.UNTIL] = min(part.end, limit.date()).isoformat()
        return noted


@dataclass(frozen=True, slots=True)
class Tail:
    """What was created or updated since the bookmark is read, by whole days of update."""

    backfill: str | None = None
    """The name of the stream that reads the same records from the beginning."""
    cursor: None = None

    def begin(self, state: State, terms: Terms) -> Reading:
        """Return the reading of one sync: the days since the bookmark."""
        return TailReading(state, terms)


class TailReading(Reading):
    """The days that may hold updates that no earlier sync has emitted."""

    VALUE: ClassVar[str] = "replication_key_value"

    def __init__(self, state: State, terms: Terms) -> None:
        self._newest: datetime | None = None
        self._bookmark, self.notes = bookmark(state.get(self.VALUE), terms)
        if self._bookmark is not None:
            self.since = self._bookmark - terms.lookback
        elif terms.backfill_began is not None:
            self.since = terms.backfill_began - max(terms.lookback, CLOCK_TOLERANCE)
        else:
            self.since = terms.start_date
        if self.since is not None:
            start = (self.since - CLOCK_TOLERANCE).date()
            end = terms.began.date() + timedelta(days=2)
            self.slices = windows(start, max(end, start + timedelta(days=1)), LONGEST_WINDOW, "UPDATED")

    def observe(self, instant: datetime) -> None:
        """Take notice of a replication key that has been emitted."""
        if self._newest is None or instant > self._newest:
            self._newest = instant

    def state_after(self, part: Slice, *, limit: datetime) -> State:
        """Return the bookmark: the newest instant emitted that nothing unread can precede."""
        if self._newest is None:
            return {}
        newest = min(self._newest, limit)
        if isinstance(part, Window):
            newest = min(newest, datetime.combine(part.end, time.min, UTC))
        if self._bookmark is None or newest > self._bookmark:
            self._bookmark = newest
        return {self.VALUE: format_instant(self._bookmark)}


def bookmark(value: object, terms: Terms) -> tuple[datetime | None, tuple[str, ...]]:
    """Return the bookmark that a state holds, and what the user should know of it."""
    if value is None:
        return None, ()
    found = parse_instant(value) if isinstance(value, str) else None
    if found is None:
        return None, (f"The bookmark {value!r} in the state is no timestamp; the stream starts over.",)
    if found > terms.began + CLOCK_TOLERANCE:
        now = format_instant(terms.began)
        note = f"The bookmark {value} in the state is in the future; the stream reads from {now} on instead."
        return terms.began, (note,)
    return found, ()


def day(instant: datetime | None) -> date | None:
    """Return the day (UTC) of an instant."""
    return instant.astimezone(UTC).date() if instant else None


def _date(state: State, key: str) -> date | None:
    try:
        return date.fromisoformat(state[key])
    except (KeyError, TypeError, ValueError):
        return None


def _named(start: date | None) -> str:
    return str(start) if start else "not set"


Replication = FullTable | Backfill | Tail

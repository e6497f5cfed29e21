"""How a stream is replicated: which slices a sync reads, and what it may keep in its state.

A frozen value of a resource says how; its `plan` is made for one sync. Nothing here reads or writes: the stream asks
for slices, and keeps what it is given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from tap_analytics.sync.slices import DayFilter, DayWindow, Slice
from tap_analytics.timestamps import earlier, format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

CLOCK_TOLERANCE = timedelta(hours=1)
"""How far the server's clock may be behind ours without a gap between backfill and incremental stream."""

BOOKMARK = "replication_key_value"
"""Where the state keeps a bookmark, as the SDK does."""

LONGEST_WINDOW = 366
"""Days that the setting window_days may be at most."""

State = dict[str, Any]

_last_letter = itemgetter(slice(-1, None))


@dataclass(frozen=True, slots=True)
class SyncContext:
    """What a sync knows when it begins a stream."""

    began: datetime
    start_date: datetime | None = None
    end_date: datetime | None = None
    lookback: timedelta = timedelta(days=1)
    window_days: int = 30
    backfill_began: datetime | None = None
    """When the stream's backfill began: now if it is selected, else as its state tells."""
    cursor: Mapping[str, Any] = field(default_factory=dict)
    """The JSON Schema of the stream's replication key."""
    deduplicates: bool = False
    """Whether records at the bookmark that an earlier run emitted are left out."""
    key_of: Callable[[Any], Hashable] = bytes
    """Returns what tells an encoded record from the others."""

    @property
    def cautious(self) -> datetime:
        """When the sync began by any clock: the server's may be behind, and is not known before it answers."""
        return earlier(self.began, CLOCK_TOLERANCE)


class SyncPlan:
    """What one sync of a stream reads: one slice, and nothing to remember."""

    has_checkpoints = False
    """Whether each slice is a checkpoint of its own."""
    method = "everything in every run"
    """How the stream is replicated, in words."""

    def __init__(self) -> None:
        self.slices: Sequence[Slice] = (Slice(),)
        self.notes: tuple[str, ...] = ()
        """What the user should know before the sync starts."""
        self.correction: State = {}
        """What the state must say at once, whether or not a record comes."""
        self.is_complete = False
        """Whether nothing that is still to come can be wanted, as the order of the records tells."""
        self.limit: datetime | None = None
        """What the bookmark cannot pass, as far as the server's clock is known; the stream says it."""
        self._since: Any = None
        self._newest: Any = None

    @property
    def bookmark(self) -> str:
        """What earlier syncs have read, in words."""
        return "no bookmark"

    def position(self, value: object) -> Any:  # noqa: ANN401 - instants or numbers
        """Return where the value of a cursor stands among others, or None where it cannot be read."""
        return parse_instant(value) if isinstance(value, str) else None

    def wants(self, value: object) -> bool:
        """Tell whether a record with this value of the cursor is wanted, and observe it.

        A value that cannot be read never keeps a record back, and never moves a bookmark.
        """
        position = self.position(value)
        if position is None:
            return True
        if self._since is not None and position < self._since:
            return False
        if self._newest is None or position > self._newest:
            self._newest = position
        return True

    def observe(self, values: Sequence[object], records: Sequence[object]) -> Iterator[bool] | None:
        """Tell of each record whether it is wanted; None is all of them.

        Args:
            values: The values of the cursor in some records.
            records: The records themselves, encoded.
        """
        del records
        if self._since is None and (latest := _latest(values)) is not None:
            self.wants(latest)
            return None
        return map(self.wants, values)

    def state_after(self, done: Slice, *, limit: datetime) -> State:
        """Return what to keep once a slice has been emitted.

        Args:
            done: The slice.
            limit: The moment the sync began, by the more cautious of the two clocks.
        """
        del done, limit
        return {}

    def _bookmark_of(self, state: State, context: SyncContext) -> datetime | None:
        """Return the bookmark that a state holds; report one that is not valid or in the future."""
        value = state.get(BOOKMARK)
        if value is None:
            return None
        instant = parse_instant(value) if isinstance(value, str) else None
        if instant is None:
            self.notes = (f"The bookmark {value!r} in the state is not a timestamp; the stream starts over.",)
            return None
        return self._not_in_future("bookmark", value, instant, context)

    def _not_in_future(self, name: str, text: object, instant: datetime, context: SyncContext) -> datetime:
        """Return an instant of the state, or for one in the future what replaces it as the bookmark.

        The correction cannot wait for a record: every later run would begin at its own now.
        """
        if instant <= context.began:
            return instant
        now = format_instant(context.began)
        note = f"The {name} {text} in the state is in the future; it is replaced by the moment this run began, {now}."
        self.notes = (*self.notes, note)
        self._newest = context.began
        self.correction = {BOOKMARK: format_instant(context.cautious)}
        return context.cautious


class Replication(Protocol):
    """How a stream is replicated."""

    @property
    def replication_key(self) -> str | None:
        """The path of the field whose value is kept as a bookmark."""

    @property
    def observed(self) -> tuple[str, ...]:
        """The names that lead to the field by which a plan observes records; none where it does not."""

    def plan(self, state: State, context: SyncContext) -> SyncPlan:
        """Return the plan of one sync."""


@dataclass(frozen=True, slots=True)
class FullTable:
    """Everything is read in every sync."""

    replication_key: ClassVar[None] = None
    observed: ClassVar[tuple[str, ...]] = ()

    def plan(self, state: State, context: SyncContext) -> SyncPlan:
        """Return the plan of one sync: all records."""
        del state, context
        return SyncPlan()


@dataclass(frozen=True, slots=True)
class Backfill:
    """Everything is read once, in windows of days, resumed where it stopped."""

    days: DayFilter
    """How the API asks for the records that were created in some days."""
    cursor: str
    """The field with the server's own time: the incremental stream starts there, if that is earlier."""
    replication_key: ClassVar[None] = None

    @property
    def observed(self) -> tuple[str, ...]:
        """The name of that field."""
        return (self.cursor,)

    def plan(self, state: State, context: SyncContext) -> SyncPlan:
        """Return the plan of one sync: what no earlier one has completed."""
        return BackfillPlan(self, state, context)


class BackfillPlan(SyncPlan):
    """The windows of a backfill that are still to be read."""

    BEGAN: ClassVar[str] = "backfill_began"
    START: ClassVar[str] = "backfill_start"
    UNTIL: ClassVar[str] = "backfill_until"
    END: ClassVar[str] = "backfill_end"
    COMPLETED: ClassVar[str] = "backfill_completed"

    has_checkpoints = True
    method = "everything once"

    def __init__(self, backfill: Backfill, state: State, context: SyncContext) -> None:
        super().__init__()
        self._days = backfill.days
        self._window_days = min(context.window_days, self._days.longest)
        self._start = day(context.start_date)
        self._end = day(context.end_date)
        if self._start is not None:
            days = "1 day" if self._window_days == 1 else f"{self._window_days} days"
            self.method = f"everything once, in windows of {days}"
        began = self.began(state)
        is_known = began is not None
        if is_known and not self._covers(state):
            was = _date_or_not_set(_date(state, self.START))
            self.notes = (f"start_date is {_date_or_not_set(self._start)} and was {was}: the backfill begins again.",)
            is_known = False
        state = self._corrected(state, context) if is_known else {}
        self._began = min(began or context.began, context.began)
        self._newest = began and self._began
        self.slices = self._slices(state, context)
        self._bookmark = self._in_words(state)
        if not self.slices:
            when = format_instant(self._began)
            note = f"The backfill that began {when} is complete; to read everything again, run with --full-refresh."
            self.notes = (*self.notes, note if is_known else _in_future(self._start))

    @classmethod
    def began(cls, state: State) -> datetime | None:
        """Return when the backfill that left this state began."""
        text = state.get(cls.BEGAN)
        return parse_instant(text) if isinstance(text, str) else None

    def _corrected(self, state: State, context: SyncContext) -> State:
        """Return the state without what it says of the future, which is reported and corrected at once."""
        began, today = self.began(state), context.cautious.date()
        until, end = _date(state, self.UNTIL), _date(state, self.END)
        if began is not None and began > context.began:
            self.correction[self.BEGAN] = format_instant(context.began)
        if until is not None and until > context.began.date():
            self.correction[self.UNTIL] = today.isoformat()
        if state.get(self.COMPLETED) is True and end is not None and end > context.began.date():
            self.correction[self.END] = today.isoformat()
        self.notes += tuple(
            f"{name} {state[name]} in the state is in the future; it is replaced by {value}. "
            "To read everything again, run with --full-refresh."
            for name, value in self.correction.items()
        )
        return state | self.correction

    def _covers(self, state: State) -> bool:
        """Tell whether the backfill of the state started no later than this one."""
        start = _date(state, self.START)
        return start is None or (self._start is not None and start <= self._start)

    def _slices(self, state: State, context: SyncContext) -> Sequence[Slice]:
        if state.get(self.COMPLETED) is True:
            end = _date(state, self.END)
            if end is None or (self._end is not None and self._end <= end):
                return ()
        start = _date(state, self.UNTIL) or self._start
        if start is None:
            return (Slice(remedy="Set start_date, so that it is read in windows."),)
        # A day more than today: a server whose clock is ahead may already be there.
        tomorrow = context.began.date() + timedelta(days=2)
        return self._days.windows(start, min(self._end or tomorrow, tomorrow), self._window_days)

    def _in_words(self, state: State) -> str:
        """Return how far the backfill of a state has come: which of its windows is the next one."""
        start, until = _date(state, self.START), _date(state, self.UNTIL)
        up_to = f", up to {until}" if until else ""
        if not self.slices:
            return f"complete{up_to}" if state else "no bookmark"
        if start is None or until is None:
            return "no bookmark"
        done = -((start - until).days // self._window_days)
        return f"window {done + 1} of {done + len(self.slices)}{up_to}"

    @property
    def bookmark(self) -> str:
        """How far the backfill has come."""
        return self._bookmark

    def state_after(self, done: Slice, *, limit: datetime) -> State:
        """Return how far the backfill has come.

        No clock is trusted with when it began: where the newest change was made before, by the server's clock, that is
        when.
        """
        state: State = {
            self.BEGAN: format_instant(min(self._began, limit, self._newest or limit)),
            self.START: self._start.isoformat() if self._start else None,
            self.END: self._end.isoformat() if self._end else None,
            # A backfill up to a day in the future goes on in later runs.
            self.COMPLETED: done == self.slices[-1] and (self._end is None or self._end <= limit.date()),
        }
        if isinstance(done, DayWindow):
            # What is created later on the day of the sync is read by the incremental stream; so that that may
            # also be left out, an unfinished day is never kept as read.
            state[self.UNTIL] = min(done.end, limit.date()).isoformat()
        return state


@dataclass(frozen=True, slots=True)
class IncrementalByDay:
    """What was created or updated since the bookmark is read, by whole days of update."""

    days: DayFilter
    """How the API asks for the records that were updated in some days."""
    cursor: str
    """The field with the time of the update."""
    backfill: str | None = None
    """The name of the stream that reads the same records from the beginning."""

    @property
    def replication_key(self) -> str:
        """The field with the time of the update."""
        return self.cursor

    @property
    def observed(self) -> tuple[str, ...]:
        """The name of that field."""
        return (self.cursor,)

    def plan(self, state: State, context: SyncContext) -> SyncPlan:
        """Return the plan of one sync: the days since the bookmark."""
        return IncrementalByDayPlan(self, state, context)


class IncrementalByDayPlan(SyncPlan):
    """The days that may hold updates that no earlier sync has emitted."""

    has_checkpoints = True

    def __init__(self, replication: IncrementalByDay, state: State, context: SyncContext) -> None:
        super().__init__()
        self._cursor = replication.cursor
        self.method = f"what was {replication.days.verb} since the bookmark"
        self._bookmark = self._bookmark_of(state, context)
        if self._bookmark is not None:
            self._since = earlier(self._bookmark, context.lookback)
        elif context.backfill_began is not None:
            began = context.backfill_began
            began = self._not_in_future(BackfillPlan.BEGAN, format_instant(began), began, context)
            self._since = earlier(began, max(context.lookback, CLOCK_TOLERANCE))
        else:
            self._since = context.start_date
            if self._since is not None and self._since > context.began:
                self.notes = (_in_future(day(self._since)),)
        if self._since is not None:
            start = earlier(self._since, CLOCK_TOLERANCE).date()
            end = max(context.began.date() + timedelta(days=2), start + timedelta(days=1))
            self.slices = replication.days.windows(start, end, replication.days.longest)

    @property
    def bookmark(self) -> str:
        """The newest update that was emitted, and from when on this sync looks for more."""
        kept = "no bookmark" if self._bookmark is None else f"{self._cursor} {format_instant(self._bookmark)}"
        return kept if self._since is None else f"{kept}; records from {format_instant(self._since)} on are emitted"

    def state_after(self, done: Slice, *, limit: datetime) -> State:
        """Return the bookmark: the newest instant emitted that nothing unread can precede."""
        if self._newest is None:
            return {}
        newest = min(self._newest, limit)
        if isinstance(done, DayWindow):
            newest = min(newest, datetime.combine(done.end, time.min, UTC))
        self._bookmark = max(newest, self._bookmark or newest)
        return {BOOKMARK: format_instant(self._bookmark)}


def _latest(values: Sequence[object]) -> str | None:
    """Return the latest of some timestamps, if they are all written alike, which is quick to tell."""
    texts = [value for value in values if isinstance(value, str)]
    if len(set(map(len, texts))) != 1 or set(map(_last_letter, texts)) != {"Z"}:
        return None
    latest = max(texts)
    return None if parse_instant(latest) is None else latest


def day(instant: datetime | None) -> date | None:
    """Return the day (UTC) of an instant."""
    return instant.astimezone(UTC).date() if instant else None


def _date(state: State, key: str) -> date | None:
    try:
        return date.fromisoformat(state[key])
    except (KeyError, TypeError, ValueError):
        return None


def _in_future(start: date | None) -> str:
    return f"start_date {_date_or_not_set(start)} is in the future: nothing is read."


def _date_or_not_set(start: date | None) -> str:
    return str(start) if start else "not set"

"""How a stream is replicated: which slices a sync reads, and what it may note in its state.

A frozen value on the stream class says which of the ways it is; `begin` makes the reading of one
sync from it. Nothing here reads or writes: the stream asks for slices, and keeps what it is told.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar

from tap_analytics.rest.endpoint import LONGEST_WINDOW, Everything, Since, Slice, Window, windows
from tap_analytics.timestamps import earlier, format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CLOCK_TOLERANCE = timedelta(hours=1)
"""How far the server's clock may be behind ours without a gap between backfill and tail."""

BOOKMARK = "replication_key_value"
"""Where the state keeps a bookmark, as the SDK does."""

_EARLIEST, _LATEST = 946_684_800, 253_402_300_800
"""The seconds since 1970 at the beginning of the years 2000 and 10000: a number between may be a time."""

_OF_TIME = frozenset(
    "at changed created date datetime epoch millis modified ms seconds time timestamp ts unix updated".split()  # noqa: SIM905 - a list of words
)
"""Words in the name of a cursor that holds times."""

_last_letter = itemgetter(slice(-1, None))

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Terms:
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
    cursor_name: str = ""
    """The name of the stream's replication key."""

    @property
    def cautious(self) -> datetime:
        """When the sync began by any clock: the server's may be behind, and is not known before it answers."""
        return earlier(self.began, CLOCK_TOLERANCE)


class Reading:
    """The reading of a whole stream: one slice, and nothing to remember."""

    slices: Sequence[Slice] = (Everything(),)
    notes: tuple[str, ...] = ()
    """What the user should know before the reading starts."""

    def __init__(self) -> None:
        self.correction: State = {}
        """What the state must say at once, whether or not a record comes."""
        self._since: Any = None
        self._newest: Any = None

    def place(self, value: object) -> Any:  # noqa: ANN401 - instants or numbers
        """Return where the value of a cursor stands among others, or None where it cannot be read."""
        return parse_instant(value) if isinstance(value, str) else None

    def wants(self, value: object) -> bool:
        """Tell whether a record with this value of the cursor is wanted, and take notice of it.

        A value that cannot be read never keeps a record back, and never moves a bookmark.
        """
        place = self.place(value)
        if place is None:
            return True
        if self._since is not None and place < self._since:
            return False
        if self._newest is None or place > self._newest:
            self._newest = place
        return True

    def wanted(self, values: Sequence[object]) -> Iterator[bool] | None:
        """Tell of each record by the value of its cursor whether it is wanted; None is all of them."""
        if self._since is None and (latest := _latest(values)) is not None:
            self.wants(latest)
            return None
        return map(self.wants, values)

    def _bookmark_of(self, state: State, terms: Terms) -> datetime | None:
        """Return the bookmark that a state holds; what is none, and one in the future, is said."""
        value = state.get(BOOKMARK)
        if value is None:
            return None
        found = parse_instant(value) if isinstance(value, str) else None
        if found is None:
            self.notes = (f"The bookmark {value!r} in the state is no timestamp; the stream starts over.",)
            return None
        return self._not_in_future("bookmark", value, found, terms)

    def _not_in_future(self, word: str, text: object, instant: datetime, terms: Terms) -> datetime:
        """Return an instant of the state, or for one in the future what stands in for it as the bookmark.

        The correction cannot wait for a record: every later run would begin at its own now.
        """
        if instant <= terms.began:
            return instant
        now = format_instant(terms.began)
        note = f"The {word} {text} in the state is in the future; the moment this run began, {now}, takes its place."
        self.notes = (*self.notes, note)
        self._newest = terms.began
        self.correction = {BOOKMARK: format_instant(terms.cautious)}
        return terms.cautious

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
    END: ClassVar[str] = "backfill_end"
    COMPLETED: ClassVar[str] = "backfill_completed"

    def __init__(self, state: State, terms: Terms) -> None:
        super().__init__()
        self._start = day(terms.start_date)
        self._end = day(terms.end_date)
        began = self.began(state)
        known = began is not None
        if known and not self._covers(state):
            was = _named(_date(state, self.START))
            note = f"start_date is {_named(self._start)} and was {was}: the backfill begins again."
            self.notes = (note,)
            known = False
        state = self._corrected(state, terms) if known else {}
        self._began = min(began or terms.began, terms.began)
        self._newest = began and self._began
        self.slices = self._slices(state, terms)
        if not self.slices:
            when = format_instant(self._began)
            note = f"The backfill that began {when} is complete; to read it all again, run with --full-refresh."
            nothing = f"start_date {_named(self._start)} is yet to come: nothing is read."
            self.notes = (*self.notes, note if known else nothing)

    @classmethod
    def began(cls, state: State) -> datetime | None:
        """Return when the backfill that left this state began."""
        text = state.get(cls.BEGAN)
        return parse_instant(text) if isinstance(text, str) else None

    def _corrected(self, state: State, terms: Terms) -> State:
        """Return the state without what it says of the future, which is said, and corrected at once."""
        began, today = self.began(state), terms.cautious.date()
        until, end = _date(state, self.UNTIL), _date(state, self.END)
        if began is not None and began > terms.began:
            self.correction[self.BEGAN] = format_instant(terms.began)
        if until is not None and until > terms.began.date():
            self.correction[self.UNTIL] = today.isoformat()
        if state.get(self.COMPLETED) is True and end is not None and end > terms.began.date():
            self.correction[self.END] = today.isoformat()
        self.notes += tuple(
            f"{name} {state[name]} in the state is in the future; {value} takes its place. "
            "To read it all again, run with --full-refresh."
            for name, value in self.correction.items()
        )
        return state | self.correction

    def _covers(self, state: State) -> bool:
        """Tell whether the backfill of the state started no later than this one."""
        start = _date(state, self.START)
        return start is None or (self._start is not None and start <= self._start)

    def _slices(self, state: State, terms: Terms) -> Sequence[Slice]:
        if state.get(self.COMPLETED) is True:
            end = _date(state, self.END)
            if end is None or (self._end is not None and self._end <= end):
                return ()
        start = _date(state, self.UNTIL) or self._start
        if start is None:
            return (Everything(),)
        # A day more than today: a server whose clock is ahead may already be there.
        tomorrow = terms.began.date() + timedelta(days=2)
        return windows(start, min(self._end or tomorrow, tomorrow), terms.window_days, "CREATED")

    def state_after(self, part: Slice, *, limit: datetime) -> State:
        """Return how far the backfill has come.

        No clock is trusted with when it began: where the newest change was made before, by the
        server's clock, that is when.
        """
        noted: State = {
            self.BEGAN: format_instant(min(self._began, limit, self._newest or limit)),
            self.START: self._start.isoformat() if self._start else None,
            self.END: self._end.isoformat() if self._end else None,
            # A backfill up to a day that is yet to come goes on in later runs.
            self.COMPLETED: part == self.slices[-1] and (self._end is None or self._end <= limit.date()),
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

    def __init__(self, state: State, terms: Terms) -> None:
        super().__init__()
        self._bookmark = self._bookmark_of(state, terms)
        if self._bookmark is not None:
            self._since = earlier(self._bookmark, terms.lookback)
        elif terms.backfill_began is not None:
            began = terms.backfill_began
            began = self._not_in_future(BackfillReading.BEGAN, format_instant(began), began, terms)
            self._since = earlier(began, max(terms.lookback, CLOCK_TOLERANCE))
        else:
            self._since = terms.start_date
        if self._since is not None:
            start = earlier(self._since, CLOCK_TOLERANCE).date()
            end = terms.began.date() + timedelta(days=2)
            self.slices = windows(start, max(end, start + timedelta(days=1)), LONGEST_WINDOW, "UPDATED")

    def state_after(self, part: Slice, *, limit: datetime) -> State:
        """Return the bookmark: the newest instant emitted that nothing unread can precede."""
        if self._newest is None:
            return {}
        newest = min(self._newest, limit)
        if isinstance(part, Window):
            newest = min(newest, datetime.combine(part.end, time.min, UTC))
        self._bookmark = max(newest, self._bookmark or newest)
        return {BOOKMARK: format_instant(self._bookmark)}


@dataclass(frozen=True, slots=True)
class Cursor:
    """What stands at or after the bookmark is asked for by one parameter of the request."""

    param: str
    initial_value: str | int | None = None
    cursor: None = None

    def begin(self, state: State, terms: Terms) -> Reading:
        """Return the reading of one sync: everything since the bookmark, in one slice."""
        counts = "integer" in terms.cursor.get("type", ())
        return (NumberReading if counts else TimeReading)(self, state, terms)


class TimeReading(Reading):
    """The records whose timestamp is not older than the bookmark, less the lookback."""

    def __init__(self, way: Cursor, state: State, terms: Terms) -> None:
        super().__init__()
        self._bookmark = self._bookmark_of(state, terms)
        if self._bookmark is not None:
            self._since = earlier(self._bookmark, terms.lookback)
            text = format_instant(self._since)
            if terms.cursor.get("format") == "date":
                # A date is wanted as a whole, whatever the time of the bookmark.
                self._since = datetime.combine(self._since.date(), time.min, UTC)
                text = str(self._since.date())
            self.slices = (Since(way.param, text),)
        elif way.initial_value is not None:
            self._since = self.place(way.initial_value)
            self.slices = (Since(way.param, way.initial_value),)  # as the user knows it to be right

    def state_after(self, part: Slice, *, limit: datetime) -> State:
        """Return the bookmark: the newest instant emitted."""
        del part
        if self._newest is None:
            return {}
        newest = min(self._newest, limit)
        return {BOOKMARK: format_instant(max(newest, self._bookmark or newest))}


class NumberReading(Reading):
    """The records whose number is not smaller than the bookmark."""

    def __init__(self, way: Cursor, state: State, terms: Terms) -> None:
        super().__init__()
        self._tells_time = _tells_time(way, terms)
        kept = state.get(BOOKMARK)
        self._bookmark = self.place(kept)
        if kept is not None and self._bookmark is None:
            self.notes = (f"The bookmark {kept!r} in the state is no whole number; the stream starts over.",)
        if self._bookmark is not None and self._tells_time and self._at(terms.began, self._bookmark) < self._bookmark:
            self._correct(self._bookmark, terms)
        self._since = self.place(way.initial_value) if self._bookmark is None else self._bookmark
        if self._since is not None:
            self.slices = (Since(way.param, self._since),)

    def _correct(self, bookmark: int, terms: Terms) -> None:
        """Put the moment this run began in the place of a bookmark in the future."""
        self._newest = self._at(terms.began, bookmark)
        note = f"The bookmark {bookmark} in the state is in the future; the moment this run began, {self._newest}, "
        self.notes = (f"{note}takes its place.",)
        self._bookmark = self._at(terms.cautious, bookmark)
        self.correction = {BOOKMARK: self._bookmark}

    @staticmethod
    def _at(instant: datetime, number: int) -> int:
        """Return an instant in the unit that a number has as a time: seconds or milliseconds since 1970.

        That is the number itself where it is neither.
        """
        for unit in (1, 1000):
            if _EARLIEST * unit <= number < _LATEST * unit:
                return int(instant.timestamp() * unit)
        return number

    def place(self, value: object) -> int | None:
        """Return the number, or None where the value is none."""
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def state_after(self, part: Slice, *, limit: datetime) -> State:
        """Return the bookmark: the greatest number emitted."""
        del part
        newest = self._newest
        if newest is None:
            return {}
        if self._tells_time:
            newest = min(newest, self._at(limit, newest))
        return {BOOKMARK: newest if self._bookmark is None else max(newest, self._bookmark)}


def _tells_time(way: Cursor, terms: Terms) -> bool:
    """Tell whether the numbers of a cursor are plainly times: large ones may well count something.

    The names that the API and the user have given say so, or a first value that is one.
    """
    words = {word for name in (terms.cursor_name, way.param) for word in _words(name)}
    initial = way.initial_value
    known = isinstance(initial, int) and any(_EARLIEST * unit <= initial < _LATEST * unit for unit in (1, 1000))
    return known or bool(words & _OF_TIME)


def _words(name: str) -> Iterator[str]:
    """Yield the words of a name such as `updated_at`, `updatedAt` or `UPDATED-AT`, in lower case."""
    for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name):
        yield part.lower()


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


def _named(start: date | None) -> str:
    return str(start) if start else "not set"


Replication = FullTable | Backfill | Tail | Cursor

"""Incremental replication by a cursor, in dlt's words: what is newer than the bookmark is asked for and emitted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from operator import gt, lt
from typing import Any, ClassVar, Literal

from tap_analytics.declare import Words, at_least, word
from tap_analytics.sync.replication import BOOKMARK, CLOCK_TOLERANCE, State, SyncContext, SyncPlan
from tap_analytics.sync.slices import Slice
from tap_analytics.timestamps import earlier, format_instant, format_like, parse_instant

VALUE = "cursor_value"
"""Where the state keeps the newest value as the API wrote it."""

BOUNDARY = "boundary_hashes"
"""Where the state keeps hashes of the emitted records at the bookmark."""

PLACEHOLDERS = ("start_value", "last_value", "initial_value", "end_value", "lag")
"""What `{incremental.…}` may name."""

_EARLIEST, _LATEST = 946_684_800, 253_402_300_800
"""Seconds since 1970 at the beginning of the years 2000 and 10000: a number between them may be a time."""

_TIME_WORDS = frozenset(
    "at changed created date datetime epoch millis modified ms seconds time timestamp ts unix updated".split()  # noqa: SIM905 - a list of words
)
"""Words in the name of a cursor that holds times."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d")

_PYTHON = "it needs Python"


def _is_cursor_value(value: object) -> str | None:
    is_valid = parse_instant(value) is not None if isinstance(value, str) else _is_number(value)
    return None if is_valid else "expected a timestamp or a number"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _shown_by(value: object) -> dict[str, Any]:
    """Return the schema of a cursor as one of its values shows it; empty where it does not."""
    if _is_number(value):
        return {"type": "number"}
    return {"type": "string", "format": "date"} if isinstance(value, str) and _DATE.fullmatch(value) else {}


@dataclass(frozen=True)
class Incremental(Words):
    """A field of the records that tells how new they are, and how requests ask for the newer ones."""

    unsupported: ClassVar[Mapping[str, str]] = {
        "convert": f"{_PYTHON}; values are sent in the form of the API's own",
        "transform": f"{_PYTHON}; values are sent in the form of the API's own",
    }
    ignored: ClassVar[frozenset[str]] = frozenset(["allow_external_schedulers", "primary_key", "type"])
    cursor_path: str = word("Path of the field in a record.", required=True)
    start_param: str | None = word("Parameter with the value from which on records are asked for.")
    end_param: str | None = word("Parameter with the value before which records are asked for.")
    initial_value: str | int | float | None = word("Value with which the first run begins.", check=_is_cursor_value)
    end_value: str | int | float | None = word(
        "Value with which every run ends; the state is then neither read nor written.", check=_is_cursor_value
    )
    lag: float | None = word(
        "Seconds (timestamps), days (dates) or units (numbers) before the bookmark that are read again.",
        check=at_least(0),
    )
    range_start: Literal["closed", "open"] = word("Whether records at the start value are emitted.", default="closed")
    range_end: Literal["open", "closed"] = word("Whether records at end_value are left out.", default="open")
    row_order: Literal["asc", "desc"] | None = word(
        "Order of the records; reading stops at the first one out of range."
    )
    last_value_func: Literal["max", "min"] = word("Whether the greatest or the smallest value is kept.", default="max")
    on_cursor_value_missing: Literal["raise", "include", "exclude"] | None = word(
        "What becomes of a record without a value; without this, it is emitted with one warning."
    )

    @property
    def observed(self) -> tuple[str, ...]:
        """The names that lead to the field."""
        return tuple(self.cursor_path.removeprefix("$.").split("."))

    @property
    def replication_key(self) -> str:
        """The field, as a dotted path."""
        return ".".join(self.observed)

    def plan(self, state: State, context: SyncContext) -> SyncPlan:
        """Return the plan of one sync: everything since the bookmark, in one slice."""
        if not context.cursor:  # a schema that does not know the field
            context = replace(context, cursor=_shown_by(state.get(VALUE, state.get(BOOKMARK, self.initial_value))))
        kinds = context.cursor.get("type", ())
        counts = "integer" in kinds or "number" in kinds
        return (NumberPlan if counts else TimestampPlan)(self, {} if self.end_value is not None else state, context)


class MissingCursorError(ValueError):
    """A record has no value of the cursor, and `on_cursor_value_missing` is `raise`."""


class CursorPlan(SyncPlan):
    """The records from the bookmark on, whatever its type."""

    def __init__(self, incremental: Incremental, state: State, context: SyncContext) -> None:
        super().__init__()
        self._words = incremental
        self._sign = -1 if incremental.last_value_func == "min" else 1
        # Of two positions: whether the first is further on, and which one is.
        self._is_beyond: Callable[[Any, Any], bool] = gt if self._sign > 0 else lt
        self._further: Callable[[Any, Any], Any] = max if self._sign > 0 else min
        # With a lag, dlt (1.31) emits again what it reads again.
        self._deduplicates = context.deduplicates and incremental.range_start == "closed" and not incremental.lag
        self._known = frozenset(state.get(BOUNDARY, ())) if self._deduplicates else frozenset()
        self._boundary: dict[str, None] = {}
        self._late: dict[str, Any] = {}
        """Positions of the records that the bookmark may not pass, by their hashes: they were made during the run."""
        self._began = context.began
        self._key_of = context.key_of
        self._newest_value: object = None
        self._has_missed = False
        self._until = None if incremental.end_value is None else self.position(incremental.end_value)
        self._bookmark: Any = None
        until = "" if incremental.end_value is None else f" up to {incremental.end_value}, whatever the state"
        self.method = f"what is new by {incremental.cursor_path}{until}"

    @property
    def bookmark(self) -> str:
        """The value of the cursor up to which records were emitted."""
        kept = format_instant(self._bookmark) if isinstance(self._bookmark, datetime) else self._bookmark
        return "no bookmark" if kept is None else f"{self._words.cursor_path} {kept}"

    def _ask(self, value: object) -> None:
        """Make the slice that asks for records from a value on."""
        words = self._words
        params = {words.start_param: value} if words.start_param and value is not None else {}
        if words.end_param and words.end_value is not None:
            params[words.end_param] = words.end_value
        values = {"start_value": value, "last_value": value}
        values |= {"initial_value": words.initial_value, "end_value": words.end_value, "lag": words.lag}
        bindings = {f"incremental.{name}": values[name] for name in PLACEHOLDERS}
        label = "all records" if value is None else f"records from {words.cursor_path} {value}"
        self.slices = (Slice(label=label, params=params, bindings=bindings),)

    def wants(self, value: object) -> bool:
        """Tell whether a record with this value of the cursor is wanted, and observe it.

        Raises MissingCursorError where there is no value, and one is demanded.
        """
        position = self.position(value)
        if position is None:
            return self._wants_without_value()
        if self._is_out_of_range(position):
            return False
        if self._newest is None or self._is_beyond(position, self._newest):
            self._newest, self._newest_value = position, value
            self._boundary.clear()
        return True

    def _is_out_of_range(self, position: Any) -> bool:  # noqa: ANN401 - instants or numbers
        words = self._words
        if self._since is not None:
            before = self._is_beyond(self._since, position)
            if before or (words.range_start == "open" and position == self._since):
                self.is_complete |= before and words.row_order == "desc"
                return True
        if self._until is not None:
            beyond = self._is_beyond(position, self._until)
            if beyond or (words.range_end == "open" and position == self._until):
                self.is_complete |= words.row_order == "asc"
                return True
        return False

    def _wants_without_value(self) -> bool:
        choice = self._words.on_cursor_value_missing
        if choice == "raise":
            msg = f"has no usable {self._words.cursor_path}, its cursor; see on_cursor_value_missing"
            raise MissingCursorError(msg)
        if not self._has_missed:
            self._has_missed = True
            outcome = "left out" if choice == "exclude" else "emitted whatever the bookmark"
            self.on_note(
                f"The API sends records without a usable {self._words.cursor_path}, the cursor; they are {outcome}. "
                "An API that filters by it may not send them again."
            )
        return choice != "exclude"

    def on_note(self, note: str) -> None:
        """Take what the user should know while the sync goes on; the stream replaces this."""

    def observe(self, values: Sequence[object], records: Sequence[object]) -> Iterator[bool] | None:
        """Tell of each record whether it is wanted; leave out what an earlier run emitted at the bookmark."""
        if not self._deduplicates:
            return map(self.wants, values)
        return (self._wants_once(value, record) for value, record in zip(values, records, strict=True))

    def _wants_once(self, value: object, record: object) -> bool:
        if not self.wants(value):
            return False
        position = self.position(value)
        if position is None:
            return True
        is_late = self._sign > 0 and position >= self._kept_back(
            earlier(self.limit or self._began, CLOCK_TOLERANCE), position
        )
        if not (self._known or is_late or position == self._newest):
            return True
        digest = hashlib.blake2b(repr((self._key_of(record), value)).encode(), digest_size=8).hexdigest()
        if position == self._newest:
            self._boundary[digest] = None
        if is_late:
            self._late[digest] = position
        return digest not in self._known

    def _kept_back(self, instant: datetime, position: Any) -> Any:  # noqa: ANN401 - instants or numbers
        """Return an instant that the bookmark may not pass, in the kind of another position."""
        raise NotImplementedError

    def _state(self, bookmark: object, position: Any) -> State:  # noqa: ANN401 - an instant or a number
        if self._words.end_value is not None:
            return {}
        state: State = {BOOKMARK: bookmark}
        if isinstance(self._newest_value, str):
            state[VALUE] = self._newest_value
        if self._deduplicates:
            same = self._newest == self._since
            late = (digest for digest, one in self._late.items() if one >= position)
            state[BOUNDARY] = sorted({*self._boundary, *late, *(self._known if same else ())})
        return state


class TimestampPlan(CursorPlan):
    """The records whose timestamp is not older than the bookmark, less the lag."""

    def __init__(self, incremental: Incremental, state: State, context: SyncContext) -> None:
        super().__init__(incremental, state, context)
        self._bookmark = self._bookmark_of(state, context)
        initial = incremental.initial_value
        self._ask(initial)  # as the user knows it to be right
        if self._bookmark is None:
            self._since = None if initial is None else self.position(initial)
            return
        lag = self._lag(context)
        since = earlier(self._bookmark, lag) if self._sign > 0 else self._bookmark + lag
        first = None if initial is None else self.position(initial)
        if first is not None and incremental.lag is not None:
            since = self._further(since, first)
        sample = state.get(VALUE)
        if context.cursor.get("format") == "date":
            # A date is wanted as a whole, whatever the time of the bookmark.
            since = datetime.combine(since.date(), time.min, UTC)
            sample = str(since.date())
        self._since = since
        self._ask(format_like(since, sample) if isinstance(sample, str) else format_instant(since))

    def _lag(self, context: SyncContext) -> timedelta:
        if self._words.lag is None:
            return timedelta(0) if context.deduplicates else context.lookback
        unit = "days" if context.cursor.get("format") == "date" else "seconds"
        return timedelta(**{unit: float(self._words.lag)})

    def position(self, value: object) -> datetime | None:
        """Return the instant of a value."""
        return parse_instant(value) if isinstance(value, str) else None

    def state_after(self, done: Slice, *, limit: datetime) -> State:
        """Return the bookmark: the newest instant emitted."""
        del done
        if self._newest is None:
            return {}
        newest = self._newest if self._sign < 0 else min(self._newest, limit)
        kept = self._further(newest, self._bookmark or newest)
        return self._state(format_instant(kept), kept)

    def _kept_back(self, instant: datetime, position: datetime) -> datetime:
        del position
        return instant


class NumberPlan(CursorPlan):
    """The records whose number is not smaller than the bookmark, less the lag."""

    def __init__(self, incremental: Incremental, state: State, context: SyncContext) -> None:
        super().__init__(incremental, state, context)
        self._is_time = _is_time(incremental)
        value = state.get(BOOKMARK)
        self._bookmark = self.position(value)
        if value is not None and self._bookmark is None:
            self.notes = (f"The bookmark {value!r} in the state is not a number; the stream starts over.",)
        if self._bookmark is not None and self._is_time and _at(context.began, self._bookmark) < self._bookmark:
            self._correct(self._bookmark, context)
        initial = self.position(incremental.initial_value)
        self._since = initial
        if self._bookmark is not None:
            lag = _number(incremental.lag or 0)
            self._since = self._bookmark - lag * self._sign
            if initial is not None and lag:
                self._since = self._further(self._since, initial)
        self._ask(incremental.initial_value if self._bookmark is None else self._since)

    def _correct(self, bookmark: Any, context: SyncContext) -> None:  # noqa: ANN401 - a number
        """Replace a bookmark in the future by the moment this run began."""
        self._newest = _at(context.began, bookmark)
        note = f"The bookmark {bookmark} in the state is in the future; it is replaced by the moment this run began"
        self.notes = (f"{note}, {self._newest}.",)
        self._bookmark = _at(context.cautious, bookmark)
        self.correction = {BOOKMARK: self._bookmark}

    def position(self, value: object) -> Any:  # noqa: ANN401 - a number
        """Return the number, or None where the value is not one."""
        return value if _is_number(value) else None

    def state_after(self, done: Slice, *, limit: datetime) -> State:
        """Return the bookmark: the greatest number emitted."""
        del done
        newest = self._newest
        if newest is None:
            return {}
        if self._is_time:
            newest = min(newest, _at(limit, newest))
        if self._bookmark is not None:
            newest = self._further(newest, self._bookmark)
        return self._state(newest, newest)

    def _kept_back(self, instant: datetime, position: Any) -> Any:  # noqa: ANN401 - numbers
        return _at(instant, position) if self._is_time else position + 1


def _number(value: float) -> Any:  # noqa: ANN401 - a number
    return int(value) if value == int(value) else value


def _at(instant: datetime, number: Any) -> Any:  # noqa: ANN401 - numbers
    """Return an instant in the unit that a number has as a time: seconds or milliseconds since 1970.

    That is the number itself where it is neither.
    """
    for unit in (1, 1000):
        if _EARLIEST * unit <= number < _LATEST * unit:
            return int(instant.timestamp() * unit)
    return number


def _is_time(incremental: Incremental) -> bool:
    """Tell whether the numbers of a cursor are plainly times: large ones may well count something.

    The names that the API and the user have given say so, or a first value that is one.
    """
    names = (incremental.cursor_path, incremental.start_param or "")
    words = {match.lower() for name in names for match in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}
    initial = incremental.initial_value
    is_time = isinstance(initial, int) and any(_EARLIEST * unit <= initial < _LATEST * unit for unit in (1, 1000))
    return is_time or bool(words & _TIME_WORDS)

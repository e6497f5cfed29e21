"""The fast path: records are checked, and what may leave is kept, without a value being taken apart."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import repeat
from operator import attrgetter, countOf
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Raw

from tap_analytics.singer.compile import Check, Instant, Projection, UncompilableError
from tap_analytics.singer.instants import has_offset, in_utc
from tap_analytics.singer.schema import ITEMS, VALUES, definition_at, kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_analytics.singer.compile import Attributes, Rules
    from tap_analytics.singer.flatten import Flattening
    from tap_analytics.singer.schema import Definition, Path


class Reading(NamedTuple):
    """What was read of some records."""

    cursors: Sequence[Any]
    """Their cursors; none where the stream has none."""
    in_utc: bool
    """Whether all their timestamps are in UTC."""
    keys: Sequence[Any] = ()
    """Their keys; none where a key is no plain text or whole number."""


class FastPath:
    """The decoders of one schema: one finds whatever does not fit it, the other keeps what may leave."""

    def __init__(  # noqa: PLR0913 - what a stream knows of its records
        self,
        schema: Definition,
        rules: Rules,
        *,
        keys: Sequence[str],
        cursor: Path | None,
        report_local_time: Callable[[], None],
        flattening: Flattening | None = None,
    ) -> None:
        self._report_local_time = report_local_time
        self._has_local_times = False
        self.slow_reason: str | None = None
        """Why records must be decoded one by one, or None where they need not."""
        self.misfit = ""
        """What the last record that did not fit has, or where it differs from the schema."""
        self.closed: set[Path] = set()
        """The paths of objects in which unknown properties are noticed."""
        self.project: Callable[[Raw], object] | None = None
        """Decodes what may leave of a record, ready to be encoded; None where all of it may."""
        check = Check(rules, cursor=cursor, key=_plain_key(schema, keys))
        try:
            self._check = check.decoder(schema, keys=keys)
            if flattening is None:
                self.project = Projection(rules).decoder(schema, hook=self._instant)
            else:
                self.project = flattening.decoder(schema, rules, hook=self._instant)
        except UncompilableError as error:
            self.slow_reason = str(error)
            return
        self.closed = check.closed
        self._rewrites_instants = rules.rewrites_instants
        self._reader = RowReader(
            check.cursor,
            check.key,
            cursor_format=definition_at(schema, cursor or ()).get("format"),
            instants=() if rules.rewrites_instants else check.instants,
        )

    def read(self, records: Sequence[Raw]) -> Reading | None:
        """Return what was read of some records; None where one does not fit.

        Records in which a timestamp is not in UTC fit, but need decoders that rewrite timestamps.
        """
        if self.slow_reason is not None:
            return None
        try:
            reading = self._reader.read(self._check.decode, records)
        except (msgspec.DecodeError, RecursionError) as error:
            self.misfit = _difference(str(error))
            return None
        return reading._replace(in_utc=True) if self._rewrites_instants else reading

    def _instant(self, kind: type, text: str) -> Instant:
        """Return a timestamp as it is to be written: the hook of the decoder that keeps what may leave."""
        written = in_utc(text)
        if written is None:
            msg = f"{kind.__name__}: {text!r} is not a timestamp"
            raise ValueError(msg)
        if not (self._has_local_times or text[-6] in "+-" or has_offset(text)):
            self._has_local_times = True
            self._report_local_time()
        return Instant(written)


class RowReader:
    """Reads what every record is looked at for, with all loops in C wherever that can be.

    A timestamp without an offset is not in UTC. To find out costs a tenth of decoding a record.
    """

    def __init__(
        self,
        cursor: Attributes | None,
        key: Attributes | None,
        *,
        cursor_format: str | None,
        instants: Sequence[Attributes],
    ) -> None:
        """Take where the cursor, the key and the timestamps are in a row."""
        plain = [path for path in instants if ITEMS not in path and VALUES not in path]
        self._cursor_of = _getter(cursor) if cursor else None
        self._key_of = _getter(key) if key else None
        self._kind: Any = {"date": date, "date-time": datetime}.get(cursor_format or "")
        self._plain = [_getter(path) for path in plain]
        self._nested = [path for path in instants if path not in plain]
        names = [".".join(map(str, path)) for path in (cursor, key) if path]
        names += [".".join([*map(str, path), "tzinfo"]) for path in plain]
        self._quick = attrgetter(*names) if names and not self._nested else None
        self._width = len(names)
        self._utc = UTC if len(plain) == 1 else (UTC,) * len(plain)

    def read(self, decode: Callable[[Any], object], records: Sequence[Any]) -> Reading:
        """Return the cursors of some records, and whether all their timestamps are in UTC.

        Raises msgspec.DecodeError where a record or a cursor is not of its type.
        """
        # One by one: each record's values are gone before the next one's are made.
        rows = map(decode, records)
        if not self._width and not self._nested:
            deque(rows, maxlen=0)
            return Reading((), in_utc=True)
        if self._quick is not None:
            try:
                return self._read_quickly(map(self._quick, rows), len(records))
            except AttributeError:  # one is null or missing
                self._quick = None
                rows = map(decode, records)
        return self._read_all(list(rows))

    def _read_quickly(self, values: Iterable[Any], count: int) -> Reading:
        if self._cursor_of is None and self._key_of is None:
            return Reading((), countOf(values, self._utc) == count)
        columns = [list(values)] if self._width == 1 else list(zip(*values, strict=True))
        cursors = columns.pop(0) if self._cursor_of and columns else ()
        keys = columns.pop(0) if self._key_of and columns else ()
        in_utc = all(countOf(zones, UTC) == count for zones in columns)
        return Reading(cursors, self._cursors_in_utc(cursors) and in_utc, keys)

    def _read_all(self, rows: list[object]) -> Reading:
        cursors = list(map(self._cursor_of, rows)) if self._cursor_of else []
        in_utc = self._cursors_in_utc(cursors)
        for get in self._plain:
            zones = map(getattr, map(get, rows), repeat("tzinfo"), repeat(UTC))
            in_utc = in_utc and countOf(zones, UTC) == len(rows)
        for path in self._nested:
            in_utc = in_utc and all(zone is UTC for row in rows for zone in _zones_at(row, path))
        return Reading(cursors, in_utc, list(map(self._key_of, rows)) if self._key_of else ())

    def _cursors_in_utc(self, cursors: Sequence[Any]) -> bool:
        """Tell whether cursors, which were decoded as text, are in UTC where they are timestamps."""
        if self._kind is None:
            return True
        try:
            instants = msgspec.convert(cursors, list[self._kind])  # type: ignore[name-defined] # it is known by now
        except msgspec.ValidationError:
            texts = [cursor for cursor in cursors if isinstance(cursor, str)]  # the others are null or missing
            instants = msgspec.convert(texts, list[self._kind])  # type: ignore[name-defined] # as above
        return self._kind is date or countOf(map(attrgetter("tzinfo"), instants), UTC) == len(instants)


def _plain_key(schema: Definition, keys: Sequence[str]) -> str | None:
    """Return the key of records, if it is one field that holds plain text or whole numbers."""
    if len(keys) != 1:
        return None
    definition = schema["properties"].get(keys[0])
    is_plain = isinstance(definition, Mapping) and "format" not in definition
    is_plain = is_plain and {*kinds(definition)} - {"null"} in ({"string"}, {"integer"})
    return keys[0] if is_plain else None


def _difference(message: str) -> str:
    """Return what the message of a decoder says of a record, without any of its values."""
    where = message.rpartition(" - at ")[2]
    if where.startswith("`$["):
        where = "its cursor"  # one of a list of them
    return where if where == message else f"one differs at {where}"


def _getter(attributes: Attributes) -> Callable[[object], object]:
    """Return what reads a value from a compiled row: None or UNSET where it is null or missing."""
    if len(attributes) == 1:
        return attrgetter(str(attributes[0]))

    def get(row: object) -> object:
        for attribute in attributes:
            row = getattr(row, str(attribute), None)
        return row

    return get


def _zones_at(value: Any, path: Sequence[str | int]) -> Iterator[object]:  # noqa: ANN401 - of compiled rows
    if not path:
        yield getattr(value, "tzinfo", UTC)
        return
    step, rest = path[0], path[1:]
    inner: Iterable[object]
    if step == ITEMS:
        inner = value if isinstance(value, list) else ()
    elif step == VALUES:
        inner = value.values() if isinstance(value, dict) else ()
    else:
        inner = (getattr(value, str(step), None),)
    for one in inner:
        yield from _zones_at(one, rest)

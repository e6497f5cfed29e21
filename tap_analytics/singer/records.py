"""From the bytes of a response to RECORD lines."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw
from singer_sdk.exceptions import DataError

from tap_analytics.singer.compile import Rules, allows_unknown
from tap_analytics.singer.conform import MOST_UNKNOWN, Conformer, ConformError
from tap_analytics.singer.contract import DiscardedError, FrozenError, SchemaContract
from tap_analytics.singer.evolution import Evolution, is_open, loadable
from tap_analytics.singer.fast import FastPath
from tap_analytics.singer.output import encoder as _encoder
from tap_analytics.singer.schema import definition_at, prune, unknown_properties, value_at
from tap_analytics.structs import can_be_a_field, optional

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from datetime import datetime

    from tap_analytics.singer.fast import Reading
    from tap_analytics.singer.schema import Definition, Path, Selected

Wanted = Callable[[Sequence[Any], Sequence[Raw]], Iterable[bool] | None]
"""Tells of records, by their cursors, which are wanted; None is all of them."""

NoteKeys = Callable[[Sequence["Hashable"]], None]
"""Takes the keys of records that were decoded anyhow."""

DEFAULT = SchemaContract()
"""What becomes of data that the schema does not know, where the user says nothing."""

CHUNK = 100
"""Records that are checked, encoded and written at a time.

Few enough that their bytes stay in the processor's cache, and that the memory for them is small
enough (under 128 kB) that the allocator keeps it, and does not fetch it from the system each time.
"""

_exactly = msgspec.json.Decoder(dict[str, Any], float_hook=decimal.Decimal)


class RecordError(DataError):
    """A good answer does not hold what was asked for."""

    index: int = 0
    """Which record of a chunk it is about."""


def decode_exactly(record: Raw | bytes) -> dict[str, Any]:
    """Return a record as Python values that have lost no digit.

    Raises RecordError where it is not an object.
    """
    try:
        return _exactly.decode(record)
    except (msgspec.DecodeError, RecursionError) as error:
        msg = f"is not a readable object ({error})"
        raise RecordError(msg) from None


class KeyReader:
    """Reads what tells a record from the others of its stream."""

    def __init__(self, keys: Sequence[str]) -> None:
        # Without a key that a decoder can find, a whole record tells itself apart.
        is_found = keys and all(map(can_be_a_field, keys))
        self._decoder = msgspec.json.Decoder(optional(dict.fromkeys(keys, Raw))) if is_found else None

    def key_of(self, record: Raw) -> Hashable:
        """Return the bytes of a record's key, or of all of it where it has none."""
        if self._decoder is None:
            return bytes(record)
        try:
            row = self._decoder.decode(record)
            return tuple(bytes(value) for value in msgspec.structs.astuple(row))
        except (msgspec.ValidationError, TypeError):
            return bytes(record)  # it has no key; its encoding reports that


@dataclass(frozen=True)
class SchemaChange:
    """The schema of a stream changes before its next record."""

    schema: dict[str, Any]


class RecordEncoder:
    """Checks and encodes the records of one stream without taking their values apart.

    A record whose fields are all known, selected and valid is written as the bytes it came in. A
    record with fields to leave out is written from the bytes of the others. Only a record that does
    not fit the schema is decoded, conformed and encoded again.
    """

    def __init__(  # noqa: PLR0913 - what a stream knows of its records
        self,
        schema: Definition,
        *,
        selected: Selected,
        keys: Sequence[str],
        cursor: str | Path | None,
        warn: Callable[[str], None],
        contract: SchemaContract = DEFAULT,
        flattened_levels: int = 0,
    ) -> None:
        """Take the schema, and how many levels of objects are flattened later."""
        self.schema = schema
        self._selected = selected
        self._warn = warn
        self._keys = tuple(keys)
        self._cursor = (cursor,) if isinstance(cursor, str) else cursor
        self._is_strict = contract.columns != "discard_value" or contract.data_type == "evolve"
        self._learns_unknown = contract.columns in {"evolve", "discard_value"}
        self._evolution = Evolution(contract, selected=selected)
        self.discarded = 0
        """Records that the schema contract has dropped so far."""
        self._conformer = Conformer(
            schema, warn, selected=selected, contract=contract, flattened_levels=flattened_levels
        )
        self._known_unknown: set[tuple[Path, str]] = set()
        self._rewrites_instants = False
        self.key_of = KeyReader(keys).key_of
        self._compile()

    def _compile(self) -> None:
        rules = Rules(self._selected, self._is_strict, self._rewrites_instants, self._known_unknown)
        self._fast = FastPath(
            self.schema,
            rules,
            keys=self._keys,
            cursor=self._cursor,
            report_local_time=self._conformer.report_local_time,
        )

    @property
    def slow_reason(self) -> str | None:
        """Why records must be decoded one by one, or None where they need not."""
        return self._fast.slow_reason

    def process(
        self, chunk: Sequence[Raw], wanted: Wanted | None = None, note_keys: NoteKeys | None = None
    ) -> Iterator[SchemaChange | Sequence[Raw | bytes]]:
        """Yield some records encoded, valid under the schema, and the schema before them where it changes.

        `wanted` takes the cursors of records and tells which of them are wanted, None being all.
        `note_keys` takes the keys of the records, where they can be had for next to nothing.
        Raises RecordError with the index of a record that has no valid form, or that the schema
        contract refuses.
        """
        reading = self._read(chunk)
        if reading is None:
            yield from self._evolve(chunk)
            reading = self.check(chunk)
        if reading is None:
            for values in self._decode_all(chunk, wanted):
                yield (_encoder.encode(values),)
            return
        if note_keys is not None:
            note_keys(reading.keys)
        kept = wanted(reading.cursors, chunk) if wanted is not None and reading.cursors else None
        yield self.encode(chunk if kept is None else list(compress(chunk, kept)))

    def process_decoded(
        self, chunk: Sequence[Raw], wanted: Wanted | None = None
    ) -> Iterator[SchemaChange | dict[str, Any]]:
        """Yield what `process` yields, with records as Python values that have lost no digit."""
        if self._evolution.is_possible and self._read(chunk) is None:
            yield from self._evolve(chunk)
        yield from self._decode_all(chunk, wanted)

    def _evolve(self, chunk: Sequence[Raw]) -> Iterator[SchemaChange]:
        """Widen the schema so that records fit it, where its contract allows that."""
        if not self._evolution.is_possible:
            return
        before, schema = self.loadable_schema, self.schema
        for record in chunk:
            with suppress(RecordError):  # it is reported when it is decoded
                schema = self._evolution.widened(schema, decode_exactly(record))
        if schema is not self.schema:
            self.schema = schema
            self._conformer.learn(schema)
            self._compile()
            if self.loadable_schema != before:
                yield SchemaChange(self.loadable_schema)

    @property
    def loadable_schema(self) -> dict[str, Any]:
        """The schema of the records as they leave: what a SCHEMA message shows."""
        return loadable(prune(self.schema, self._selected))

    @property
    def has_open_key(self) -> bool:
        """Whether the type of a key is still unknown, so that no SCHEMA message can be written."""
        return any(is_open(self.schema["properties"].get(key)) for key in self._keys)

    def _decode_all(self, chunk: Sequence[Raw], wanted: Wanted | None) -> Iterator[dict[str, Any]]:
        for index, record in enumerate(chunk):
            try:
                values = decode_exactly(record)
                conformed = self.conform(values)
            except DiscardedError as error:
                self._report_discarded(error)
                continue
            except RecordError as error:
                error.index = index
                raise
            kept = wanted((self._cursor_of(values, conformed),), (record,)) if wanted and self._cursor else None
            if kept is None or all(kept):
                yield conformed

    def _cursor_of(self, values: Mapping[str, Any], conformed: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        """Return the cursor of a record: as the API wrote it, so that it can be sent back; as a number from text."""
        cursor = value_at(conformed, self._cursor or ())
        return value_at(values, self._cursor or ()) if cursor is None or isinstance(cursor, str) else cursor

    def _report_discarded(self, error: DiscardedError) -> None:
        self.discarded += 1
        if self.discarded == 1:
            self._warn(f"A record is dropped, as schema_contract says: {error}. Further ones are only counted.")

    def check(self, chunk: Sequence[Raw]) -> Reading | None:
        """Return what was read of some records, or None if a record does not fit the schema."""
        reading = self._read(chunk)
        return self._read(chunk) if reading is None and self._learn(chunk) else reading

    def _read(self, chunk: Sequence[Raw]) -> Reading | None:
        reading = self._fast.read(chunk)
        if reading is None or reading.in_utc:
            return reading
        self._rewrites_instants = True
        self._compile()
        return self._read(chunk)  # from now on more is known of it

    def _learn(self, chunk: Sequence[Raw]) -> bool:
        """Take note of properties that the schema does not know; tell whether a new check can pass them."""
        if self.slow_reason is not None or not self._learns_unknown:
            return False
        try:
            pairs = {pair for record in chunk for pair in unknown_properties(decode_exactly(record), self.schema)}
        except RecordError:
            return False
        new = {(path, name) for path, name in pairs if path in self._fast.closed} - self._known_unknown
        if not new or len(self._known_unknown) + len(new) > MOST_UNKNOWN or not all(can_be_a_field(n) for _, n in new):
            return False
        self._conformer.report_unknown((path, name) for path, name in new if not self._leaves(path))
        self._known_unknown |= new
        self._compile()
        return True

    def _leaves(self, path: Path) -> bool:
        """Tell whether unknown properties of the object at a path leave with it."""
        return allows_unknown(definition_at(self.schema, path), path)

    def encode(self, chunk: Sequence[Raw]) -> Sequence[Raw | bytes]:
        """Return the selected fields of records that have been checked, encoded."""
        if self._fast.project is None:
            return chunk
        return list(map(_encoder.encode, map(self._fast.project, chunk)))

    def conform(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the selected fields of a decoded record, valid under the schema.

        Raises RecordError where it has no key, or has no form that fits the schema, and DiscardedError where the schema
        contract drops it.
        """
        for key in self._keys:
            if values.get(key) is None or isinstance(values[key], (dict, list)):
                msg = f"has no {key}, which is its key"
                raise RecordError(msg)
        try:
            conformed = self._conformer.conform(values)
        except (ConformError, FrozenError) as error:
            raise RecordError(str(error)) from None
        for key in self._keys:
            if conformed.get(key) is None:
                msg = f"has a key, {key}, that does not fit the schema; let the schema be discovered again"
                raise RecordError(msg)
        return conformed


class Envelope:
    """What stands before and behind each record of a page in its RECORD line."""

    def __init__(self, stream: str, version: int | None, received: datetime) -> None:
        before = {"type": "RECORD", "stream": stream}
        after = {"version": version} if version is not None else {}
        self._before = _encoder.encode(before)[:-1] + b',"record":'
        self._after = b"," + _encoder.encode(after | {"time_extracted": received})[1:] + b"\n"

    def wrap(self, records: Sequence[Raw | bytes]) -> bytes:
        """Return a RECORD line for each of some encoded records."""
        if not records:
            return b""
        return self._before + (self._after + self._before).join(records) + self._after

"""From the bytes of a response to RECORD lines."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from tap_analytics.singer.compile import Rules
from tap_analytics.singer.conform import MOST_UNKNOWN, Conformer
from tap_analytics.singer.contract import SchemaContract
from tap_analytics.singer.decoding import RecordDecoder, RecordError, decode_exactly
from tap_analytics.singer.evolution import Evolution, is_open, loadable
from tap_analytics.singer.fast import FastPath
from tap_analytics.singer.output import encoder as _encoder
from tap_analytics.singer.schema import definition_at, prune, unknown_properties
from tap_analytics.structs import can_be_a_field, optional

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence
    from datetime import datetime

    from tap_analytics.singer.decoding import NoteKeys, Wanted
    from tap_analytics.singer.fast import Reading
    from tap_analytics.singer.flatten import Flattening
    from tap_analytics.singer.schema import Definition, Path, Selected

DEFAULT = SchemaContract()
"""What becomes of data that the schema does not know, where the user says nothing."""

CHUNK = 100
"""Records that are checked, encoded and written at a time.

Few enough that their bytes stay in the processor's cache, and that the memory for them is small
enough (under 128 kB) that the allocator keeps it, and does not fetch it from the system each time.
"""


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
        inform: Callable[[str], None] = lambda _: None,
        flattening: Flattening | None = None,
    ) -> None:
        """Take the schema, what may leave, and how objects are flattened, if they are."""
        self.schema = schema
        self._inform = inform
        self._flattening = flattening
        self._flattened_levels = flattening.levels if flattening is not None else 0
        self._selected = selected
        self._warn = warn
        self._keys = tuple(keys)
        self._cursor = (cursor,) if isinstance(cursor, str) else cursor
        self._is_strict = contract.columns != "discard_value" or contract.data_type == "evolve"
        self._learns_unknown = contract.columns in {"evolve", "discard_value"}
        self._evolution = Evolution(contract, selected=selected)
        conformer = Conformer(
            schema, warn, selected=selected, contract=contract, flattened_levels=self._flattened_levels
        )
        self.decoder = RecordDecoder(conformer, keys=self._keys, cursor=self._cursor, warn=warn)
        self._known_unknown: set[tuple[Path, str]] = set()
        self._rewrites_instants = False
        self._has_misfits = False
        self.key_of = KeyReader(keys).key_of
        self._compile()

    def _compile(self) -> None:
        self._rules = Rules(
            self._selected,
            self._is_strict,
            self._rewrites_instants,
            self._known_unknown,
            self._flattened_levels,
        )
        self._fast = FastPath(
            self.schema,
            self._rules,
            keys=self._keys,
            cursor=self._cursor,
            report_local_time=self.decoder.conformer.report_local_time,
            flattening=self._flattening,
        )

    @property
    def slow_reason(self) -> str | None:
        """Why records must be decoded one by one, or None where they need not."""
        return self._fast.slow_reason

    @property
    def exception(self) -> str:
        """What of the records does not leave as it came, in words that follow on that it does; empty where all does."""
        if self._flattening is not None:
            return ", their objects flattened"
        return ", without what is not selected" if self._fast.project is not None else ""

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
            yield from self._one_by_one(chunk, wanted)
            return
        if note_keys is not None:
            note_keys(reading.keys)
        kept = wanted(reading.cursors, chunk) if wanted is not None and reading.cursors else None
        yield self.encode(chunk if kept is None else list(compress(chunk, kept)))

    def _one_by_one(self, chunk: Sequence[Raw], wanted: Wanted | None) -> Iterator[Sequence[Raw | bytes]]:
        """Yield some records encoded, of which only those that do not fit the schema are decoded."""
        if not self._has_misfits:
            self._has_misfits = True
            reason = self.slow_reason or self._fast.misfit
            self._inform(f"records that do not fit the schema are decoded, which is slower: {reason}.")
        encoded: list[Raw | bytes] = []
        try:
            for index, record in enumerate(chunk):
                reading = self._read((record,))
                if reading is None:
                    encoded += map(self._encode_values, self.decoder.leaving((record,), wanted, first=index))
                elif wanted is None or not reading.cursors or all(wanted(reading.cursors, (record,)) or (True,)):
                    encoded += self.encode((record,))
        except Exception:
            yield encoded  # what comes before the bad one
            raise
        yield encoded

    def _encode_values(self, values: dict[str, Any]) -> bytes:
        return _encoder.encode(values if self._flattening is None else self._flattening.flatten(values))

    def process_decoded(
        self, chunk: Sequence[Raw], wanted: Wanted | None = None
    ) -> Iterator[SchemaChange | dict[str, Any]]:
        """Yield what `process` yields, with records as Python values that have lost no digit."""
        if self._evolution.is_possible and self._read(chunk) is None:
            yield from self._evolve(chunk)
        yield from self.decoder.leaving(chunk, wanted)

    def _evolve(self, chunk: Sequence[Raw]) -> Iterator[SchemaChange]:
        """Widen the schema so that records fit it, where its contract allows that."""
        if not self._evolution.is_possible:
            return
        before, schema = self.loadable_schema, self.schema
        for record in self._misfits(chunk):
            with suppress(RecordError):  # it is reported when it is decoded
                schema = self._evolution.widened(schema, decode_exactly(record))
        if schema is not self.schema:
            self.schema = schema
            self.decoder.conformer.learn(schema)
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

    def _misfits(self, chunk: Sequence[Raw]) -> Iterator[Raw]:
        return (record for record in chunk if self._fast.read((record,)) is None)

    def _learn(self, chunk: Sequence[Raw]) -> bool:
        """Take note of properties that the schema does not know; tell whether a new check can pass them."""
        if self.slow_reason is not None or not self._learns_unknown:
            return False
        try:
            records = map(decode_exactly, self._misfits(chunk))
            pairs = {pair for record in records for pair in unknown_properties(record, self.schema)}
        except RecordError:
            return False
        new = {(path, name) for path, name in pairs if path in self._fast.closed} - self._known_unknown
        if not new or len(self._known_unknown) + len(new) > MOST_UNKNOWN or not all(can_be_a_field(n) for _, n in new):
            return False
        self.decoder.conformer.report_unknown((path, name) for path, name in new if not self._leaves(path))
        self._known_unknown |= new
        self._compile()
        return True

    def _leaves(self, path: Path) -> bool:
        """Tell whether unknown properties of the object at a path leave with it."""
        return self._rules.allows_unknown(definition_at(self.schema, path), path)

    def encode(self, chunk: Sequence[Raw]) -> Sequence[Raw | bytes]:
        """Return the selected fields of records that have been checked, encoded."""
        if self._fast.project is None:
            return chunk
        return list(map(_encoder.encode, map(self._fast.project, chunk)))


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

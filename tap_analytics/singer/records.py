"""From the bytes of a response to RECORD lines."""

from __future__ import annotations

import decimal
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import reduce
from operator import attrgetter, or_
from typing import TYPE_CHECKING, Any, get_args

import msgspec
from msgspec import UNSET, Raw, UnsetType
from singer_sdk.exceptions import DataError

from tap_analytics.singer.conform import Conformer, ConformError, is_judged_by_shape
from tap_analytics.singer.output import encoder as _encoder

if TYPE_CHECKING:
    from datetime import datetime

CHUNK = 100
"""Records that are checked, encoded and written at a time.

Few enough that their bytes stay in the processor's cache, and that the memory for them is small
enough (under 128 kB) that the allocator keeps it, and does not fetch it from the system each time.
"""

_CHECKS: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list[Raw],
    "object": dict[str, Raw],
    "null": None,
}

_fields = msgspec.json.Decoder(dict[str, Raw])
_exactly = msgspec.json.Decoder(dict[str, Any], float_hook=decimal.Decimal)


def _type_of(definition: Mapping[str, Any]) -> object:
    """Return the type that checks a property; bytes as they are, where there is nothing to check."""
    named = definition.get("type")
    kinds = [named] if isinstance(named, str) else named or ()
    types = [_CHECKS[kind] for kind in kinds if kind in _CHECKS]
    if len(types) < len(kinds) or not kinds:
        return Raw
    items = definition.get("items")
    if "array" in kinds and isinstance(items, Mapping) and (item := _type_of(items)) is not Raw:
        types[kinds.index("array")] = list[item]  # type: ignore[valid-type] # made here
    return reduce(or_, types)


def _has_properties(definition: object) -> bool:
    """Tell whether a schema says anything of the fields of an object, at whatever depth."""
    if isinstance(definition, Mapping):
        return "properties" in definition or any(map(_has_properties, definition.values()))
    return isinstance(definition, list) and any(map(_has_properties, definition))


def _without_null(kind: object) -> object:
    kinds = [one for one in get_args(kind) or (kind,) if one is not type(None)]
    return reduce(or_, kinds, kinds[0])


def _struct(types: Mapping[str, Any], *, closed: bool = False) -> type[msgspec.Struct]:
    """Return a struct with some JSON fields; its attributes are `f0`, `f1` … in their order."""
    required = [(f"f{n}", kind) for n, kind in enumerate(types.values())]
    fields = [(name, kind, UNSET) if UnsetType in get_args(kind) else (name, kind) for name, kind in required]
    return msgspec.defstruct(
        "Row",
        fields,
        rename=dict(zip([name for name, _ in required], types, strict=True)),
        gc=False,
        forbid_unknown_fields=closed,
    )


def _speakable(name: str) -> bool:
    """Tell whether a struct can have a field of this name."""
    return name.isprintable() and '"' not in name and "\\" not in name


class RecordError(DataError):
    """A good answer does not hold what was asked for."""


def decode_exactly(record: Raw) -> dict[str, Any]:
    """Return a record as Python values that have lost no digit.

    Raises RecordError where it is no object.
    """
    try:
        return _exactly.decode(record)
    except (msgspec.DecodeError, RecursionError) as error:
        msg = f"is no readable object ({error}): {bytes(record)[:80].decode(errors='replace')}"
        raise RecordError(msg) from None


class RecordEncoder:
    """Checks and encodes the records of one stream without taking their values apart.

    A record whose fields are all known, wanted and of their type is written as the bytes it came
    in. A record with fields to leave out is written from the bytes of the others.
    """

    def __init__(
        self,
        schema: Mapping[str, Any],
        *,
        selected: Sequence[str],
        keys: Sequence[str],
        cursor: str | None,
        warn: Callable[[str], None],
    ) -> None:
        self._types = {name: _type_of(definition) for name, definition in schema["properties"].items()}
        self.is_flat = (
            all(map(_speakable, self._types))
            and all(self._types[key] is not Raw for key in keys)
            and all(
                is_judged_by_shape(definition) and not _has_properties(definition)
                for definition in schema["properties"].values()
            )
        )
        """Whether there is nothing to check but the types of fields, and nothing to leave out below them."""
        self._conformer = Conformer(schema, warn)
        self._required = [name for name in schema.get("required", ()) if name in self._types]
        self._selected = selected
        self._keys = tuple(keys)
        self._cursor = cursor
        self._warn = warn
        self._unknown: set[str] = set()
        # A whole record tells itself apart where no decoder can find its key.
        named = keys if all(map(_speakable, keys)) else ()
        self._key_decoder = msgspec.json.Decoder(_struct(dict.fromkeys(named, Raw | UnsetType))) if named else None
        if self.is_flat:
            self._kept = msgspec.json.Decoder(_struct(dict.fromkeys(selected, Raw | UnsetType)))
            self._compile()

    def _compile(self) -> None:
        """Make the decoder that finds whatever is not as the schema says."""
        types = self._types | dict.fromkeys(filter(_speakable, self._unknown), Raw)
        required = {name: types[name] for name in self._required}
        required |= {name: _without_null(types[name]) for name in self._keys}
        optional = {name: kind | UnsetType for name, kind in types.items() if name not in required}
        self._strict = msgspec.json.Decoder(_struct(required | optional, closed=True))
        self._verbatim = set(types) == set(self._selected)
        if self._cursor:
            self._cursor_of = attrgetter(f"f{list(required | optional).index(self._cursor)}")

    def key_of(self, record: Raw) -> Hashable:
        """Return what tells a record from the others of its stream."""
        if self._key_decoder is None:
            return bytes(record)
        try:
            row = self._key_decoder.decode(record)
            return tuple(bytes(value) for value in msgspec.structs.astuple(row))
        except (msgspec.ValidationError, TypeError):
            return bytes(record)  # it has no key; that is said when it is encoded

    def check(self, chunk: Sequence[Raw]) -> Sequence[Any] | None:
        """Return the cursors of some records, or None if a record is not as the schema says.

        There are no cursors where the stream has none.
        """
        try:
            # One by one, in C: each record's values are gone before the next one's are made.
            rows = map(self._strict.decode, chunk)
            return list(map(self._cursor_of, rows)) if self._cursor else deque(rows, maxlen=0)
        except (msgspec.DecodeError, RecursionError):
            return self.check(chunk) if self._learn(chunk) else None

    def _learn(self, chunk: Sequence[Raw]) -> bool:
        """Note fields that the schema does not know, and say so; tell whether there are any."""
        try:
            names = {name for record in chunk for name in _fields.decode(record)}
        except (msgspec.DecodeError, RecursionError):
            return False
        known = self._types.keys() | self._unknown
        self.warn_of_unknown(names)
        if names <= known or not all(map(_speakable, names)):
            return False
        self._compile()
        return True

    def warn_of_unknown(self, names: set[str]) -> None:
        """Say once of each field that the schema does not know it."""
        if new := names - self._types.keys() - self._unknown:
            self._unknown |= new
            told = ", ".join(name if name.isprintable() else ascii(name) for name in sorted(new))
            self._warn(f"The API sends fields that the schema does not have: {told}. They are left out.")

    def encode(self, chunk: Sequence[Raw]) -> Sequence[Raw | bytes]:
        """Return the wanted fields of records that have been checked, encoded."""
        if self._verbatim or not chunk:
            return chunk
        return list(map(_encoder.encode, map(self._kept.decode, chunk)))

    def decode(self, record: Raw) -> dict[str, Any]:
        """Return a record as Python values that have lost no digit.

        Raises RecordError where it is no object, has no key, or cannot be as the schema says.
        """
        values = decode_exactly(record)
        for key in self._keys:
            if values.get(key) is None or isinstance(values[key], (dict, list)):
                msg = f"has no {key}, which is its key"
                raise RecordError(msg)
        self.warn_of_unknown(values.keys() - self._types.keys())
        try:
            return self._conformer.conform({name: value for name, value in values.items() if name in self._types})
        except ConformError as error:
            raise RecordError(str(error)) from None


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

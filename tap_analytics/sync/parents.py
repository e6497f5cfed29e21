"""Children: the records of a stream that are asked for once for each record of another stream."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tap_analytics import exact, jsonpath
from tap_analytics.sync.slices import Slice

IN_MEMORY = 1 << 20
"""Bytes of parent records above which they are kept in a temporary file."""

_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])


class ParentError(ValueError):
    """A parent record does not have what its children need."""


@dataclass(frozen=True)
class ParentLink:
    """What the requests of a child need of its parent."""

    name: str
    """The resource of the parent."""
    fields: Mapping[str, str]
    """Paths in a parent record, by the placeholders that stand for them."""
    included: tuple[str, ...] = ()
    """Fields of the parent that the records of the child take over."""

    @property
    def wanted(self) -> frozenset[str]:
        """The top-level fields that are needed of a parent record; none stands for all of them."""
        names = [_first_name(path) for path in self.fields.values()]
        return frozenset() if None in names else frozenset([*(name for name in names if name), *self.included])

    def slices(self, records: Iterator[Mapping[str, Any]], among: Sequence[Slice]) -> Iterator[Slice]:
        """Yield the slices of a child, in the order of its parent's records.

        Raises ParentError where a record lacks a value that is needed.
        """
        for record in records:
            values = {name: self._value(path, record) for name, path in self.fields.items()}
            members = b",".join(
                exact.encode(f"_{self.name}_{name}") + b":" + exact.encode(self._included(name, record))
                for name in self.included
            )
            of = ", ".join(f"{name} {value}" for name, value in values.items())
            for one in among:
                bindings = {**one.bindings, **values}
                yield Slice(label=f"{one.label} of {of}", params=one.params, bindings=bindings, members=members)

    def _value(self, path: str, record: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        value = jsonpath.first(path, record)
        if value is None or isinstance(value, Mapping | list):
            shown = ", ".join(f"{name} {item!r}"[:80] for name, item in list(record.items())[:3])
            msg = f"the parent {self.name} has no value at {path!r} in its record with {shown}"
            raise ParentError(msg)
        return value

    def _included(self, name: str, record: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON
        if name not in record:
            msg = f"the parent {self.name} has no field {name!r}, which include_from_parent names"
            raise ParentError(msg)
        return record[name]


def _first_name(path: str) -> str | None:
    """Return the top-level field that a path leads through, or None where it may be any."""
    segments = jsonpath.parse(path)
    return segments[0] if segments and isinstance(segments[0], str) else None


class ParentRecords:
    """The fields of parent records that children need, kept until the children are read.

    A million parents take a temporary file, not memory.
    """

    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted = wanted
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed by `close`

    def add(self, records: Sequence[Any]) -> None:
        """Keep what is needed of some records, given as their bytes."""
        for record in records:
            fields = _objects.decode(record)
            self._file.write(
                exact.encode({name: value for name, value in fields.items() if name in (self._wanted or fields)})
                + b"\n"
            )

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """Yield the records in their order."""
        position = 0
        while True:
            self._file.seek(position)
            line = self._file.readline()
            if not line:
                return
            position = self._file.tell()
            yield exact.decode(line)

    def close(self) -> None:
        """Free what the records take."""
        self._file.close()

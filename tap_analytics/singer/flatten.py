"""Flattening without a value being taken apart: the members of objects become columns, as the SDK has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw
from singer_sdk.singerlib.json import serialize_json

from tap_analytics import exact
from tap_analytics.singer.compile import Projection, Rules, UncompilableError, decoder
from tap_analytics.singer.output import encoder
from tap_analytics.singer.schema import VALIDATING, dotted, kinds
from tap_analytics.structs import optional

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tap_analytics.singer.schema import Definition, Path

Attributes = tuple[str, ...]
"""The attributes that lead from a decoded record to a value."""


@dataclass(frozen=True)
class Flattening:
    """How the objects of one stream are flattened."""

    levels: int
    """How many levels of objects become columns; the objects below are written as JSON."""
    flatten: Callable[[dict[str, Any]], dict[str, Any]]
    """Flattens a record of Python values."""

    def column(self, path: Path) -> str:
        """Return the name of the column of the value at a path."""
        record: Any = None
        for name in reversed(path):
            record = {name: record}
        return next(iter(self.flatten(record)))

    def decoder(
        self, schema: Definition, rules: Rules, *, hook: Callable[[type, Any], object]
    ) -> Callable[[Raw], object]:
        """Return what makes of a record a flat one that can be encoded.

        Raises UncompilableError where only the SDK can tell what becomes of a value.
        """
        columns = _Columns(self, Projection(rules), rules)
        row = columns.compiled(schema, (), ())
        if not columns.leaves:
            msg = "no property is selected"
            raise UncompilableError(msg)
        names = [self.column(path) for path in (*columns.leaves, *columns.objects)]
        if len({*names}) < len(names):
            msg = "two properties are flattened to one column"
            raise UncompilableError(msg)
        return _Flattener(
            decoder(row, hook=hook).decode,
            optional(dict.fromkeys(names, Any)),
            [*columns.leaves.values()],
            [*columns.objects.values()],
            [number for number, path in enumerate(columns.leaves) if path in columns.documents],
        ).flat


@dataclass
class _Columns:
    """The values of a record that become columns, by their paths, and where they are in a decoded record."""

    flattening: Flattening
    projection: Projection
    rules: Rules
    leaves: dict[Path, Attributes] = field(default_factory=dict)
    objects: dict[Path, Attributes] = field(default_factory=dict)
    """Objects whose members become columns; they are columns themselves where they are null."""
    documents: set[Path] = field(default_factory=set)
    """Leaves that may be lists or objects."""

    def compiled(self, definition: Definition, path: Path, attributes: Attributes) -> type[msgspec.Struct]:
        """Return the struct that keeps the members of an object."""
        names = [name for name in definition["properties"] if self.rules.selected((*path, name))]
        types: dict[str, Any] = {}
        for number, name in enumerate(names):
            position = ((*path, name), (*attributes, f"f{number}"))
            types[name] = self._compiled_member(definition["properties"][name], *position)
        return optional(types)

    def _compiled_member(self, definition: Definition, path: Path, attributes: Attributes) -> Any:  # noqa: ANN401 - a type that msgspec takes
        named = kinds(definition)
        if len(path) > self.flattening.levels or "object" not in named or "properties" not in definition:
            self.leaves[path] = attributes
            if {"object", "array"} & {*named}:
                self.documents.add(path)
            return self.projection.kept(definition, path)
        properties = definition["properties"]
        if (
            {*named} - {"object", "null"}
            or not properties
            or not properties.keys() >= {*definition.get("required", ())}
        ):
            msg = f"{dotted(path)} is not always an object of known properties"
            raise UncompilableError(msg)
        self.objects[path] = attributes
        inner = self.compiled(definition, path, attributes)
        return inner | None if "null" in named else inner


class _Flattener:
    """Makes flat records of nested ones."""

    def __init__(
        self,
        decode: Callable[[Raw], object],
        record: type[msgspec.Struct],
        leaves: Sequence[Attributes],
        objects: Sequence[Attributes],
        documents: Sequence[int],
    ) -> None:
        self._decode = decode
        self._record = record
        self._leaves = leaves
        self._objects = objects
        self._documents = documents
        # With the first one twice, what it returns is always a tuple.
        self._values = attrgetter(*map(".".join, [leaves[0], *leaves]))

    def flat(self, record: Raw) -> object:
        """Return a record, flat."""
        row = self._decode(record)
        try:
            values = [*self._values(row)[1:]]
        except AttributeError:  # an object is null or missing
            values = [_value_at(row, path) for path in self._leaves]
            values += [None if _value_at(row, path) is None else UNSET for path in self._objects]
        for number in self._documents:
            values[number] = _written(values[number])
        return self._record(*values)


def _value_at(row: object, attributes: Attributes) -> object:
    for attribute in attributes:
        row = getattr(row, attribute, UNSET)
    return row


def _written(value: Any) -> object:  # noqa: ANN401 - what a projection keeps
    """Return a list or an object as text, in the notation of the SDK, and anything else as it is."""
    if value is None or value is UNSET:
        return value
    decoded = exact.decode(encoder.encode(value))
    if not isinstance(decoded, list | dict):
        return value
    text = encoder.encode(decoded)
    # Its notation differs in what is not ASCII alone, and it takes several times as long.
    return text.decode() if text.isascii() else serialize_json(decoded)


def with_texts(definition: Definition, levels: int) -> dict[str, Any]:
    """Return a schema in which columns without a type are text, as the SDK announces them."""
    properties = {}
    for name, inner in definition["properties"].items():
        if not isinstance(inner, Mapping):
            properties[name] = inner
        elif not inner.keys() & VALIDATING:
            properties[name] = {**inner, "type": ["string", "null"]}
        else:
            is_flattened = levels and "object" in kinds(inner) and "properties" in inner
            properties[name] = with_texts(inner, levels - 1) if is_flattened else inner
    return {**definition, "properties": properties}

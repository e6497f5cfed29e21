"""JSON Schemas compiled to msgspec types: one that checks records, one that drops what must not leave."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from tap_analytics.singer.schema import (
    ITEMS,
    LARGEST_INTEGER,
    VALIDATING,
    VALUES,
    Definition,
    Path,
    Selected,
    dotted,
    kinds,
)
from tap_analytics.structs import can_be_a_field, optional, struct

if TYPE_CHECKING:
    from collections.abc import Callable

Attributes = tuple[str | int, ...]
"""The attributes that lead from a compiled row to a value, with `ITEMS` and `VALUES` where there are many."""

_SCALARS: Mapping[str, Any] = {"integer": int, "number": float, "boolean": bool, "null": None}
_FORMATS: Mapping[str, Any] = {
    "date-time": datetime,
    "date": date,
    # All that the `jsonschema` package asks of an address.
    "email": Annotated[str, Meta(pattern="@")],
    "idn-email": Annotated[str, Meta(pattern="@")],
}
_SLOW_FORMATS = frozenset({"ipv4", "ipv6", "regex", "idn-hostname"})
"""Formats that the `jsonschema` package checks, and msgspec cannot."""

_LIMITS: Mapping[str, str] = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "minLength": "min_length",
    "maxLength": "max_length",
    "pattern": "pattern",
}
_LIMITED: Mapping[str, AbstractSet[str]] = {
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "string": {"minLength", "maxLength", "pattern"},
}
_STRUCTURE = frozenset({"type", "properties", "required", "additionalProperties", "items", "format", "enum", "const"})


class UncompilableError(Exception):
    """Only a validator can judge a property; the message names the property and the reason."""


class Instant:
    """A timestamp that is rewritten when a record leaves."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


class AnyObject(msgspec.Struct, gc=False):
    """An object of whatever members; none of them is kept."""


@dataclass(frozen=True)
class Rules:
    """What compiling a schema depends on beside the schema."""

    selected: Selected
    """Whether the property at a path is selected."""
    is_strict: bool = False
    """Whether unknown properties at any depth, and whole numbers of more than 64 bits, are to be noticed."""
    rewrites_instants: bool = False
    """Whether the projection rewrites timestamps."""
    unknown: AbstractSet[tuple[Path, str]] = frozenset()
    """The unknown properties that were seen: the path of the object and the name."""
    flattened_levels: int = 0
    """How many levels of objects are flattened, which leaves no unknown property in them."""

    def unknown_at(self, path: Path, definition: Definition) -> set[str]:
        """Return the names that the object at a path is known to have, or must have, beside its properties."""
        seen = {name for other, name in self.unknown if other == path}
        return seen.union(definition.get("required", ())).difference(definition["properties"])

    def allows_unknown(self, definition: Definition, path: Path) -> bool:
        """Tell whether an object may leave with properties that its definition does not name."""
        is_flattened = self.flattens(definition, path)
        return bool(path) and not is_flattened and definition.get("additionalProperties", True) is not False

    def flattens(self, definition: Definition, path: Path) -> bool:
        """Tell whether the object at a path is flattened."""
        return bool(definition.get("properties")) and 0 < len(path) <= self.flattened_levels and ITEMS not in path


class Projection:
    """Compiles the types that keep of a record what may leave, each value as the bytes it came in."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def decoder(self, schema: Definition, *, hook: Callable[[type, Any], object]) -> Callable[[Raw], object] | None:
        """Return what decodes of a record what may leave; None where that is all of it, as it came.

        Raises UncompilableError where msgspec cannot tell the types of the schema apart.
        """
        kept = self.kept({"type": "object", **schema}, ())
        return None if kept is Raw else decoder(kept, hook=hook).decode

    def kept(self, definition: object, path: Path) -> Any:  # noqa: ANN401 - a type that msgspec takes
        """Return the type that keeps a value; `Raw` where the value leaves as it came.

        Raises UncompilableError where msgspec cannot tell the types of the definition apart.
        """
        if not isinstance(definition, Mapping):
            return Raw
        changed: dict[str, Any] = {}
        if self._rules.rewrites_instants and is_instant(definition):
            changed["string"] = Instant
        if "properties" in definition and (fields := self._members(definition, path)) is not None:
            changed["object"] = optional(fields)
        elif "properties" not in definition and (value := self._additional(definition, path)) is not Raw:
            changed["object"] = dict[str, value]  # type: ignore[valid-type] # made here
        items = definition.get("items")
        if isinstance(items, Mapping) and (item := self.kept(items, (*path, ITEMS))) is not Raw:
            changed["array"] = list[item]  # type: ignore[valid-type] # made here
        if not changed:
            return Raw
        return self._union(changed, definition, path)

    def _members(self, definition: Definition, path: Path) -> dict[str, Any] | None:
        """Return the types that keep the members of an object, or None where all of it leaves as it came."""
        properties = definition["properties"]
        unknown = self._rules.unknown_at(path, definition)
        selected = [name for name in properties if self._rules.selected((*path, name))]
        fields = {name: self.kept(properties[name], (*path, name)) for name in selected}
        if self._rules.allows_unknown(definition, path):
            additional = self._additional(definition, path)
            fields |= {name: additional for name in sorted(unknown) if self._rules.selected((*path, name))}
        if fields.keys() == {*properties, *unknown} and all(kind is Raw for kind in fields.values()):
            return None
        _require_fields([*properties, *unknown], path)
        return fields

    def _additional(self, definition: Definition, path: Path) -> Any:  # noqa: ANN401 - as above
        """Return the type that keeps the members that an object may have beside those that it names."""
        return self.kept(definition.get("additionalProperties"), (*path, VALUES))

    @staticmethod
    def _union(changed: dict[str, Any], definition: Definition, path: Path) -> Any:  # noqa: ANN401 - as above
        # Lists and objects beside those that change keep their bytes; a number would lose digits.
        unchanged: dict[str, Any] = {"string": str, "boolean": bool, "null": None, "array": list[Raw]}
        types = [changed.get(kind, unchanged.get(kind)) for kind in kinds(definition)]
        for kind, compiled in zip(kinds(definition), types, strict=True):
            if compiled is None and kind != "null":
                msg = f"{dotted(path)} may be {kind} or something else that changes"
                raise UncompilableError(msg)
        return reduce(or_, types)


class Check:
    """Compiles the types that records must have to leave without a closer look.

    They refuse some records that are valid; they never accept one that is not.
    """

    def __init__(self, rules: Rules, *, cursor: Path | None = None, key: str | None = None) -> None:
        self._rules = rules
        self._cursor = cursor
        self._key = (key,)
        self._projection = Projection(rules)
        self.instants: list[Attributes] = []
        """Where timestamps are in a row."""
        self.cursor: Attributes | None = None
        """Where the cursor is in a row."""
        self.key: Attributes | None = None
        """Where the key is in a row."""
        self.closed: set[Path] = set()
        """The paths of objects that a record must not have unknown properties in."""

    def decoder(self, schema: Definition, *, keys: Iterable[str]) -> msgspec.json.Decoder[Any]:
        """Return the decoder of records whose keys are there and not null.

        Raises UncompilableError where only a validator can judge a record.
        """
        if extra := (schema.keys() & VALIDATING) - _STRUCTURE:
            msg = f"the schema has the keyword {', '.join(sorted(extra))}"
            raise UncompilableError(msg)
        required = {*schema.get("required", ()), *keys} & schema["properties"].keys()
        try:
            row = self._struct({**schema, "required": required}, (), (), keys=set(keys))
        except (TypeError, ValueError, OverflowError) as error:
            raise _unknown_type(error) from None
        return decoder(row)

    def _struct(
        self, definition: Definition, path: Path, attributes: Attributes, *, keys: AbstractSet[str] = frozenset()
    ) -> type[msgspec.Struct]:
        properties = definition["properties"]
        unknown = self._rules.unknown_at(path, definition)
        _require_fields([*properties, *unknown], path)
        additional = definition.get("additionalProperties", True)
        # What becomes of an unknown property is decided when it is first seen.
        changes = self._rules.flattens(definition, path) or self._projection.kept(definition, path) is not Raw
        closed = not path or self._rules.is_strict or additional not in (True, {}) or changes
        if closed:
            self.closed.add(path)
        fields: dict[str, Any] = {}
        defaults: dict[str, Any] = {}
        for number, name in enumerate([*properties, *sorted(unknown)]):
            inner = properties.get(name, additional if path and isinstance(additional, Mapping) else {})
            kind = self._type(inner, (*path, name), (*attributes, f"f{number}"), not_null=name in keys)
            is_optional = name not in definition.get("required", ()) or not self._rules.selected((*path, name))
            fields[name] = kind | UnsetType if is_optional else kind
            if is_optional:
                defaults[name] = UNSET
        return struct(fields, defaults, closed=closed)

    def _type(self, definition: object, path: Path, attributes: Attributes, *, not_null: bool = False) -> Any:  # noqa: ANN401 - a type that msgspec takes
        """Return the type that checks a value; bytes as they are, where there is nothing to check."""
        if path == self._cursor:
            self.cursor = attributes
        if path == self._key:
            self.key = attributes
        if not isinstance(definition, Mapping) or not (not_null or self._rules.selected(path)):
            return self._unchecked(definition, path, not_null=not_null)
        named = kinds(definition)
        if not named:
            if definition.keys() & VALIDATING:
                msg = f"{dotted(path)} has no type"
                raise UncompilableError(msg)
            return self._unchecked(definition, path, not_null=not_null)
        if not_null:
            named = [kind for kind in named if kind != "null"]
            if not named or {"object", "array"} & {*named}:
                msg = f"the key {dotted(path)} may be an object or a list"
                raise UncompilableError(msg)
        _require_known_keywords(definition, named, path)
        return reduce(or_, [self._of_kind(kind, definition, path, attributes) for kind in named])

    @staticmethod
    def _unchecked(definition: object, path: Path, *, not_null: bool) -> Any:  # noqa: ANN401 - as above
        if definition is False or not_null:
            msg = f"{dotted(path)} has no type"
            raise UncompilableError(msg)
        return Raw

    def _of_kind(self, kind: str, definition: Definition, path: Path, attributes: Attributes) -> Any:  # noqa: ANN401 - as above
        if kind == "object":
            return self._object(definition, path, attributes)
        if kind == "array":
            items = definition.get("items", True)
            inner = self._type(items, (*path, ITEMS), (*attributes, ITEMS))
            return list[inner]  # type: ignore[valid-type] # made here
        if kind == "string":
            return self._string(definition, path, attributes)
        if kind == "integer" and self._rules.is_strict:
            lowest = {} if "exclusiveMinimum" in definition else {"minimum": -LARGEST_INTEGER}
            highest = {} if "exclusiveMaximum" in definition else {"maximum": LARGEST_INTEGER}
            definition = {**lowest, **highest, **definition}
        return _limited(_SCALARS[kind], kind, definition)

    def _object(self, definition: Definition, path: Path, attributes: Attributes) -> Any:  # noqa: ANN401 - as above
        if "properties" in definition:
            return self._struct(definition, path, attributes)
        additional = definition.get("additionalProperties", True)
        if additional is False or definition.get("required"):
            return self._struct({**definition, "properties": {}}, path, attributes)
        if additional in (True, {}):
            return AnyObject
        inner = self._type(additional, (*path, VALUES), (*attributes, VALUES))
        return dict[str, inner]  # type: ignore[valid-type] # made here

    def _string(self, definition: Definition, path: Path, attributes: Attributes) -> Any:  # noqa: ANN401 - as above
        if (values := _listed(definition)) is not None:
            return Literal[tuple(value for value in values if value is not None)]
        if path == self._cursor:
            return str  # its text is needed; the encoder checks its format
        if is_instant(definition):
            self.instants.append(attributes)
        return _FORMATS.get(definition.get("format", ""), _limited(str, "string", definition))


def decoder(kind: Any, *, hook: Callable[[type, Any], object] | None = None) -> msgspec.json.Decoder[Any]:  # noqa: ANN401 - a type
    """Return the decoder of a type; raise UncompilableError where msgspec has no such type."""
    try:
        return msgspec.json.Decoder(kind, dec_hook=hook)
    except (TypeError, ValueError, OverflowError) as error:
        raise _unknown_type(error) from None


def _unknown_type(error: Exception) -> UncompilableError:
    return UncompilableError(f"msgspec does not know such a type: {error}")


def is_instant(definition: Definition) -> bool:
    """Tell whether a definition is one of timestamps."""
    return definition.get("format") == "date-time" and "string" in kinds(definition)


def _limited(kind: Any, name: str, definition: Definition) -> Any:  # noqa: ANN401 - types that msgspec takes
    limits = {_LIMITS[word]: definition[word] for word in _LIMITED.get(name, ()) if word in definition}
    return Annotated[kind, Meta(**limits)] if limits else kind


def _require_fields(names: Iterable[str], path: Path) -> None:
    for name in names:
        if not can_be_a_field(name):
            msg = f"the property {name!a} of {dotted(path) or 'the record'} has a name with escapes"
            raise UncompilableError(msg)


def _listed(definition: Definition) -> list[Any] | None:
    """Return the only values that a definition allows, or None where it does not list them."""
    values: list[Any] | None = definition.get("enum", [definition["const"]] if "const" in definition else None)
    return values


def _require_known_keywords(definition: Definition, named: list[str], path: Path) -> None:
    """Raise UncompilableError where a definition says what no msgspec type says."""
    unknown = (definition.keys() & VALIDATING) - _STRUCTURE.union(*(_LIMITED.get(kind, ()) for kind in named))
    values, text = _listed(definition), definition.get("format")
    if values is not None and not _are_texts(values, {*named}, definition):
        unknown |= definition.keys() & {"enum", "const"}
    if text in _SLOW_FORMATS or (text in _FORMATS and definition.keys() & (_LIMITED["string"] | {"enum", "const"})):
        unknown |= {"format"}
    if isinstance(definition.get("items"), list):
        unknown |= {"items"}
    if "pattern" in definition and not _is_pattern(definition["pattern"]):
        unknown |= {"pattern"}
    if unknown or not {*named} <= {*_SCALARS, "string", "object", "array"}:
        words = ", ".join(sorted(unknown)) or ", ".join(named)
        msg = f"{dotted(path)} is judged by {words}"
        raise UncompilableError(msg)


def _are_texts(values: list[Any], named: AbstractSet[str], definition: Definition) -> bool:
    """Tell whether a list of values is one of texts, with null if and only if the type allows null."""
    return (
        all(isinstance(value, str | None) for value in values)
        and any(isinstance(value, str) for value in values)
        and named - {"null"} == {"string"}
        and (None in values) == ("null" in named)
        and not {"enum", "const"} <= definition.keys()
        and not definition.keys() & _LIMITED["string"]
    )


def _is_pattern(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True

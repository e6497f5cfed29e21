"""Schemas that grow with their records: new fields and wider types, as dlt's `evolve` has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import SchemaError

from tap_analytics.singer.conform import fits
from tap_analytics.singer.inference import (
    MOST_COLUMNS,
    MOST_MEMBERS,
    define,
    members_of,
    merge,
    settle,
    within_bounds,
)
from tap_analytics.singer.schema import ITEMS, LARGEST_INTEGER, VALIDATING, Definition, Path, Selected, kinds, typed

if TYPE_CHECKING:
    from tap_analytics.singer.contract import SchemaContract

_WIDENED = frozenset({"type", "format", "items", "properties", "additionalProperties", "required"})
"""The validating keywords that widening understands; a definition with others stays as it is."""


class Evolution:
    """Widens a schema where its contract says `evolve`, and nowhere else."""

    def __init__(self, contract: SchemaContract, *, selected: Selected) -> None:
        self._columns = contract.columns == "evolve"
        self._types = contract.data_type == "evolve"
        self._selected = selected
        self._room: int | None = None
        """Members of nested objects that may yet be added, all levels together."""

    @property
    def is_possible(self) -> bool:
        """Whether anything may ever be widened."""
        return self._columns or self._types

    def widened(self, schema: Definition, record: Mapping[str, Any]) -> Definition:
        """Return a schema that the record fits, or the same one where that is so already.

        What is deselected stays as it is. Text that is empty or blank widens no type: it stands for null.
        """
        if self._room is None:
            named = members_of(schema) - len(schema["properties"])
            self._room = max(MOST_MEMBERS - named, 0)
        grown: Definition = self._grown_members(schema, record, ())
        if grown is schema:
            return schema
        # A key whose type was open has one now, and is never null.
        closed = {name: _without_null(grown["properties"][name]) for name in schema.get("required", ())}
        properties: dict[str, Any] = {**grown["properties"], **closed}
        # A column that becomes loadable is a new one: it comes last, and the columns before keep their places.
        for name, definition in schema["properties"].items():
            if is_open(definition) and not is_open(properties[name]):
                properties[name] = properties.pop(name)
        return {**grown, "properties": properties}

    def _grown(self, definition: Any, value: object, path: Path) -> Any:  # noqa: ANN401 - any schema
        if value is None or not isinstance(definition, Mapping) or not self._selected(path):
            return definition
        named = kinds(definition)
        if isinstance(value, Mapping) and "object" in named:
            return self._grown_members(definition, value, path)
        if isinstance(value, list) and "array" in named:
            return self._grown_items(definition, value, path)
        may_widen = self._types or (self._columns and is_open(definition))
        if not may_widen or not named or _holds(value, definition):
            return definition
        annotations = {word: text for word, text in definition.items() if word not in VALIDATING | {"format"}}
        new = {"": settle(merge(definition, define(value)), evolves=True)}
        self._room = within_bounds(new, self._room or 0)
        wider = new[""]
        return {**annotations, **(wider if "null" in named else _without_null(wider))}

    def _grown_members(self, definition: Definition, value: Mapping[str, Any], path: Path) -> Any:  # noqa: ANN401 - the same, or a new one
        properties = definition.get("properties")
        if properties is None:
            return definition  # it may hold anything
        grown = dict(properties)
        for name, member in value.items():
            if name in properties:
                grown[name] = self._grown(properties[name], member, (*path, name))
            elif self._may_add(definition, len(grown), (*path, name)):
                new = {name: settle(define(member), evolves=True)}
                self._room = within_bounds(new, self._room or 0) - bool(path)
                grown |= new
        if len(grown) == len(properties) and all(grown[name] is properties[name] for name in properties):
            return definition
        return {**definition, "properties": grown}

    def _may_add(self, definition: Definition, count: int, path: Path) -> bool:
        additional = definition.get("additionalProperties", True)
        has_room = self._room if len(path) > 1 else count < MOST_COLUMNS
        return bool(self._columns and has_room) and isinstance(additional, bool) and self._selected(path)

    def _grown_items(self, definition: Definition, values: list[Any], path: Path) -> Definition:
        items = grown = definition.get("items")
        for value in values:
            grown = self._grown(grown, value, (*path, ITEMS))
        return definition if grown is items else {**definition, "items": grown}


def loadable(schema: Definition) -> dict[str, Any]:
    """Return a schema as a SCHEMA message shows it: without fields of which only null is known.

    A loader would have to give them a type, and could not change it to the right one.
    """
    properties = {name: inner for name, inner in schema["properties"].items() if not is_open(inner)}
    return {**schema, "properties": properties}


def is_open(definition: object) -> bool:
    """Tell whether a field has only ever been null, so that its type is still open."""
    return isinstance(definition, Mapping) and kinds(definition) == ["null"]


def learned(base: Definition, schema: Definition) -> dict[str, Any]:
    """Return what a state keeps of a schema that grew from another: the properties that differ."""
    known = base["properties"]
    return {
        name: definition for name, definition in schema["properties"].items() if known.get(name, None) != definition
    }


def with_learned(base: Definition, properties: object) -> dict[str, Any]:
    """Return a schema with what a state kept of its growth; what cannot be meant is ignored."""
    if not isinstance(properties, Mapping):
        return dict(base)
    grown = dict(base["properties"])
    for name, definition in properties.items():
        if not isinstance(definition, Mapping) or not _is_schema(definition):
            continue
        known = grown.get(name)
        if known is None:
            grown[name] = dict(definition)
        else:
            grown[name] = _wider(known, definition)
    return {**base, "properties": grown}


def _wider(known: object, definition: Definition) -> Any:  # noqa: ANN401 - any schema
    """Return what fits everything that either of two definitions fits, with the annotations of the first."""
    if not isinstance(known, Mapping) or (known.keys() & VALIDATING) - _WIDENED:
        return known
    if kinds(known) == kinds(definition) and "properties" in known and "properties" in definition:
        return with_learned(known, definition["properties"])
    wider = settle(merge(known, definition), evolves=True)
    if "null" not in kinds(known):
        wider = _without_null(wider)
    if {*kinds(known)} == {*kinds(wider)} and known.get("format") == wider.get("format"):
        return dict(known)
    return {**{word: text for word, text in known.items() if word not in VALIDATING | {"format"}}, **wider}


def _without_null(definition: Definition) -> dict[str, Any]:
    named = kinds(definition)
    return {**definition, "type": typed(named, nullable=False)} if named not in (["null"], []) else dict(definition)


def _is_schema(definition: Definition) -> bool:
    try:
        Draft7Validator.check_schema(definition)
    except SchemaError:
        return False
    return bool(kinds(definition)) and not (definition.keys() & VALIDATING) - _WIDENED


def _holds(value: object, definition: Definition) -> bool:
    """Tell whether a definition need not be widened for a value, or cannot be."""
    if (definition.keys() & VALIDATING) - _WIDENED:
        return True
    named = kinds(definition)
    if _is_blank(value) and "null" in named and not is_open(definition):
        return True
    is_large = isinstance(value, int) and abs(value) > LARGEST_INTEGER
    return fits(value, definition) and not (is_large and "integer" in named and "number" not in named)


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and (not value.strip() or value.startswith("0000-00-00"))

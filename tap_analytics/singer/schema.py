"""JSON Schemas as the tap uses them: the types of a definition, paths to properties, selection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from jsonschema import Draft7Validator

Definition = Mapping[str, Any]
"""The JSON Schema of one value."""

ITEMS = 0
"""The step of a path from a list to its items."""

VALUES = "*"
"""The step of a path from an object to its members that no property declares: any record may bring others."""

Path = tuple[str | int, ...]
"""The names that lead from a record to a value, with `ITEMS` for each list in between."""

Selected = Callable[[Path], bool]
"""Tells whether the property at a path is selected."""

LARGEST_INTEGER = 2**63 - 1
"""The largest whole number that a column of whole numbers holds; beyond it, a field is inferred as `number`."""

VALIDATING = frozenset(Draft7Validator.VALIDATORS) - {"$ref"}
"""Keywords that constrain a value; every other one is an annotation."""


def kinds(definition: Definition) -> list[str]:
    """Return the names of the types that a definition allows."""
    named = definition.get("type", [])
    return [named] if isinstance(named, str) else list(named)


def typed(named: str | Sequence[str], *, nullable: bool) -> str | list[str]:
    """Return names of types with or without null among them."""
    others = [kind for kind in kinds({"type": named}) if kind != "null"]
    return [*others, "null"] if nullable else others[0] if len(others) == 1 else others


def dotted(path: Path) -> str:
    """Return a path as messages show it, such as `lines[].price`."""
    text = ""
    for step in path:
        text += "[]" if step == ITEMS else f".{step}" if text else str(step)
    return text


def breadcrumb(path: Path) -> tuple[str, ...]:
    """Return the breadcrumb by which a catalog selects the property at a path: below a list, the list's own."""
    names = takewhile(lambda step: step != ITEMS, path)
    return tuple(word for name in names for word in ("properties", str(name)))


def prune(definition: Definition, selected: Selected, path: Path = ()) -> dict[str, Any]:
    """Return a definition without the properties that are not selected, as the SDK writes it in a SCHEMA."""
    pruned = dict(definition)
    if "properties" in definition and (not path or "object" in kinds(definition)):
        pruned["properties"] = {
            name: prune(inner, selected, (*path, name)) if isinstance(inner, Mapping) else inner
            for name, inner in definition["properties"].items()
            if selected((*path, name))
        }
        if "required" in definition:
            pruned["required"] = [
                name
                for name in definition["required"]
                if name in pruned["properties"] or name not in definition["properties"]
            ]
    return pruned


def with_nullable_items(definition: Any) -> Any:  # noqa: ANN401 - any schema
    """Return a schema whose lists may hold null, so that no item changes its index when one is null."""
    if not isinstance(definition, Mapping):
        return definition
    changed = dict(definition)
    if "properties" in definition:
        changed["properties"] = {name: with_nullable_items(inner) for name, inner in definition["properties"].items()}
    items = with_nullable_items(definition.get("items"))
    if isinstance(items, Mapping):
        values = items.get("enum")
        nullable = {"type": typed(kinds(items), nullable=True)} if kinds(items) else {}
        changed["items"] = {**items, **nullable} if values is None or None in values else items
    return changed


def unknown_properties(value: object, definition: object, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield the path of an object and the name of a member for each member that no definition names."""
    if not isinstance(definition, Mapping):
        return
    if isinstance(value, Mapping) and "properties" in definition:
        for name, member in value.items():
            if name not in definition["properties"]:
                yield path, name
            else:
                yield from unknown_properties(member, definition["properties"][name], (*path, name))
    elif isinstance(value, Mapping):
        if definition.get("additionalProperties") is False:
            yield from ((path, name) for name in value)
        for member in value.values():
            yield from unknown_properties(member, definition.get("additionalProperties"), (*path, VALUES))
    elif isinstance(value, list):
        for item in value:
            yield from unknown_properties(item, definition.get("items"), (*path, ITEMS))


def definition_at(schema: Definition, path: Path) -> Definition:
    """Return the definition of the value at a path; empty where there is none."""
    definition: Any = schema
    for step in path:
        if not isinstance(definition, Mapping):
            return {}
        inner: Any = definition.get("additionalProperties")
        if step == ITEMS:
            inner = definition.get("items")
        elif step != VALUES:
            inner = definition.get("properties", {}).get(step, inner)
        definition = inner
    return definition if isinstance(definition, Mapping) else {}


def value_at(record: Any, path: Path) -> Any:  # noqa: ANN401 - any JSON
    """Return the value of a decoded record at a path of names; None where there is none."""
    for name in path:
        record = record.get(name) if isinstance(record, Mapping) else None
    return record

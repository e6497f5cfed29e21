"""The schema that records themselves show, and the smallest one that fits both of two."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import DiscoveryError

from tap_analytics.singer import instants
from tap_analytics.singer.schema import LARGEST_INTEGER, kinds, typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tap_analytics.singer.schema import Definition

Schema = dict[str, Any]

MOST_COLUMNS = 1600 - 7
"""Columns that a table of PostgreSQL can have, without the seven of metadata that a loader of the SDK adds."""

MOST_MEMBERS = 1600
"""Members of nested objects that a schema names, all levels together; an object with more may hold anything."""

LONGEST_NAME = 63
"""Bytes that PostgreSQL keeps of a column's name."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})",
)
_ORDER = ("object", "array", "string", "number", "integer", "boolean", "null")
_NOTHING = {"null"}


def infer(
    records: Iterable[Mapping[str, Any]],
    *,
    keys: Sequence[str],
    columns: Mapping[str, Definition] | None = None,
    evolves: bool = False,
) -> Schema:
    """Return the schema that all of some records fit; everything but the key may be null.

    Declared `columns` count for more than what the records show. Without a record, the schema is
    one of the key and those columns. A field that is only ever null is text, or, where the schema
    evolves, of a type that is still open.

    Raises DiscoveryError where records are nested too deeply, where none of them has the key, and
    where there are neither records nor a key nor columns.
    """
    declared: dict[str, Any] = dict(columns or {})
    try:
        shown = reduce(merge, map(define, records), define({}))["properties"]
    except RecursionError:
        msg = "the records are nested too deeply; declare a schema"
        raise DiscoveryError(msg) from None
    if shown and (missing := [key for key in keys if key not in shown and key not in declared]):
        msg = f"no record has the primary key {', '.join(missing)}; they have {', '.join(shown)}"
        raise DiscoveryError(msg)
    if not (shown or keys or declared):
        msg = "there is no record to infer a schema from; declare a schema"
        raise DiscoveryError(msg)
    properties = {
        name: settle(shown.get(name, define(None)), evolves=evolves) for name in dict.fromkeys([*keys, *shown])
    }
    within_bounds(properties)
    properties |= declared
    for key in keys:
        if kinds(properties[key]) != ["null"]:
            properties[key] = {**properties[key], "type": typed(kinds(properties[key]), nullable=False)}
    return {"type": "object", "properties": properties, "required": list(keys)}


def define(value: object) -> Schema:
    """Return the definition of one value, whose items and members may all be null."""
    if isinstance(value, str):
        text_format = _format(value)
        return {"type": ["string", "null"]} | ({"format": text_format} if text_format else {})
    if isinstance(value, list):
        return {"type": ["array", "null"], "items": reduce(merge, map(define, value), define(None))}
    if isinstance(value, Mapping):
        return {"type": ["object", "null"], "properties": {name: define(member) for name, member in value.items()}}
    return {"type": ["null"] if value is None else [_scalar(value), "null"]}


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    is_integer = isinstance(value, int) and abs(value) <= LARGEST_INTEGER
    return "integer" if is_integer else "number"


def merge(one: Definition, other: Definition) -> Schema:
    """Return the definition that fits what either of two fits; `settle` makes a final one of it.

    Without `items`, an array may hold anything; without `properties`, an object may.
    """
    if one == other:
        return dict(one)  # as nearly always, when the records of a sample are merged
    names = {*kinds(one), *kinds(other)}
    if "number" in names:
        names.discard("integer")
    merged: Schema = {"type": sorted(names, key=_ORDER.index)}
    texts = [definition.get("format") for definition in (one, other) if "string" in kinds(definition)]
    if texts and len({*texts}) == 1 and texts[0]:
        merged["format"] = texts[0]
    lists = [definition.get("items") for definition in (one, other) if "array" in kinds(definition)]
    if lists and all(isinstance(items, Mapping) for items in lists):
        merged["items"] = _bounded(reduce(merge, lists))  # type: ignore[arg-type] # all are definitions
    objects = [definition.get("properties") for definition in (one, other) if "object" in kinds(definition)]
    # PHP writes an empty object as an empty list; any other list is told apart by its bytes alone.
    is_empty = "array" not in names or kinds(merged.get("items", {})) == ["null"]
    if objects and is_empty and all(isinstance(properties, Mapping) for properties in objects):
        merged["properties"] = {}
        for name, definition in (pair for properties in objects for pair in (properties or {}).items()):
            known = merged["properties"].get(name)
            merged["properties"][name] = _bounded(definition if known is None else merge(known, definition))
    return merged


def within_bounds(properties: dict[str, Any], room: int = MOST_MEMBERS) -> int:
    """Let objects among some definitions hold anything, where they name more members than there is room for.

    Returns the room that is left.
    """
    for name, definition in properties.items():
        count = members_of(definition)
        if count > room:
            properties[name] = _anything(definition)
        else:
            room -= count
    return room


def members_of(definition: object) -> int:
    """Return how many members the objects in a definition name, at all levels."""
    inner = definition.get("properties", {}) if isinstance(definition, Mapping) else {}
    return len(inner) + sum(map(members_of, inner.values()))


def _anything(definition: Definition) -> Schema:
    """Return the definition of an object without the names of its members."""
    return {word: item for word, item in definition.items() if word not in {"properties", "additionalProperties"}}


def _bounded(definition: Definition) -> Definition:
    """Return a definition that names no more members than any schema does: records may each bring new ones."""
    return _anything(definition) if len(definition.get("properties") or ()) > MOST_MEMBERS else definition


def settle(definition: Definition, *, evolves: bool) -> Schema:
    """Return a definition in the form that a table can hold.

    Scalars of several types are text. Only a list of texts says what its items are, and only an
    object that is never anything else names its members: others are JSON.
    """
    names = {*kinds(definition)} - _NOTHING
    if not names:
        return {"type": ["null"] if evolves else ["string", "null"]}
    if names == {"string"} and definition.get("format"):
        return {"type": ["string", "null"], "format": definition["format"]}
    if len(names) > 1 and not names & {"object", "array"}:
        names = {"number"} if names == {"number", "integer"} else {"string"}
    settled: Schema = {"type": [*sorted(names, key=_ORDER.index), "null"]}
    items = definition.get("items")
    if names == {"array"} and items is not None and {*kinds(items)} - _NOTHING == {"string"}:
        settled["items"] = settle(items, evolves=evolves)
    if definition.get("properties") and names <= {"object", "array"}:
        members = definition["properties"].items()
        settled["properties"] = {name: settle(member, evolves=evolves) for name, member in members}
        # What the sample does not show must not be lost.
        settled["additionalProperties"] = True
    return settled


def unloadable_names(schema: Definition) -> Iterator[str]:
    """Yield a line for each reason why PostgreSQL refuses the columns of a schema, or mixes them up."""
    names = list(schema["properties"])
    if len(names) > MOST_COLUMNS:
        room = f"a table of PostgreSQL has room for {MOST_COLUMNS:,}, and for seven of the loader's own"
        yield f"there are {len(names):,} fields; {room}"
    begins: dict[bytes, str] = {}
    for name in names:
        if not name:
            yield "a field has an empty name, which no column can have"
        elif '"' in name or "\0" in name:
            yield f"the name {name!a} has a character that target-postgres refuses in a column"
        begin = name.encode(errors="replace")[:LONGEST_NAME]
        if begins.setdefault(begin, name) != name:
            yield f"{name!a} and {begins[begin]!a} have the same first {LONGEST_NAME} bytes, all that PostgreSQL keeps"


def _format(text: str) -> str | None:
    """Return the format of a text that is a date or a timestamp by RFC 3339."""
    if _RFC_3339.fullmatch(text):
        return "date-time" if instants.timestamp(text) is not None else None
    return "date" if _DATE.fullmatch(text) and instants.day(text) is not None else None

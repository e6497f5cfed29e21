"""The schema that records themselves show, for resources whose user declares none."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import reduce
from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import DiscoveryError

from tap_analytics.singer.schema import typed
from tap_analytics.timestamps import parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Schema = dict[str, Any]

_FORMATS = {
    "date": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "date-time": re.compile(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})",
    ),
}
_SCALARS: dict[type, list[str]] = {
    type(None): [],
    bool: ["boolean"],
    int: ["integer"],
    float: ["number"],
    Decimal: ["number"],
}
_ORDER = ("object", "array", "string", "number", "integer", "boolean")


def infer(records: Iterable[Mapping[str, Any]], *, keys: Sequence[str]) -> Schema:
    """Return the schema that all of some records fit; everything but the key may be null.

    Raises DiscoveryError where there is no record, or none has the key.
    """
    try:
        seen = [_of(dict(record)) for record in records]
    except RecursionError:
        msg = "the records are nested too deeply; declare a schema"
        raise DiscoveryError(msg) from None
    if not seen:
        msg = "there is no record to infer a schema from; declare a schema"
        raise DiscoveryError(msg)
    properties: dict[str, Schema] = reduce(_united, seen)["properties"]
    if missing := [key for key in keys if key not in properties]:
        msg = f"no record has the primary key {', '.join(missing)}; they have {', '.join(properties)}"
        raise DiscoveryError(msg)
    named = {name: _nullable(schema, nullable=name not in keys) for name, schema in properties.items()}
    return {"type": "object", "properties": named, "required": list(keys)}


def _of(value: object) -> Schema:
    """Return the schema of one value; null shows nothing."""
    match value:
        case str():
            return {"type": ["string"], "format": _format(value)}
        case list():
            return {"type": ["array"], "items": reduce(_united, map(_of, value), {"type": []})}
        case dict():
            return {"type": ["object"], "properties": {name: _of(held) for name, held in value.items()}}
    return {"type": _SCALARS[type(value)]}


def _format(text: str) -> str | None:
    """Return the format of a text that is a date or a timestamp by RFC 3339."""
    if parse_instant(text) is None:
        return None  # there is no such day, or no such time
    return next((name for name, pattern in _FORMATS.items() if pattern.fullmatch(text)), None)


def _united(one: Schema, other: Schema) -> Schema:
    """Return the schema that fits what either of two fits."""
    names = {*one["type"], *other["type"]}
    if "number" in names:
        names.discard("integer")
    united: Schema = {"type": sorted(names, key=_ORDER.index)}
    if "string" in names:
        formats = {schema["format"] for schema in (one, other) if "string" in schema["type"]}
        united["format"] = formats.pop() if len(formats) == 1 else None
    if "array" in names:
        items = [schema["items"] for schema in (one, other) if "array" in schema["type"]]
        united["items"] = reduce(_united, items)
    if "object" in names:
        united["properties"] = {}
        for schema in (one, other):
            for name, held in schema.get("properties", {}).items():
                known = united["properties"].get(name)
                united["properties"][name] = _united(known, held) if known else held
    return united


def _nullable(schema: Schema, *, nullable: bool = True) -> Schema:
    """Return a schema in its final form: what was only ever null is taken for text."""
    final: Schema = {"type": typed(schema["type"] or ["string"], nullable=nullable)}
    if schema.get("format"):
        final["format"] = schema["format"]
    if "items" in schema:
        final["items"] = _nullable(schema["items"])
    if schema.get("properties"):
        final["properties"] = {name: _nullable(held) for name, held in schema["properties"].items()}
        # What the sample does not show must not be lost.
        final["additionalProperties"] = True
    return final

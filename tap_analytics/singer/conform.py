"""Values that are not of the type that the schema names: turned into it, or left empty, and said once."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from jsonschema import Draft7Validator

from tap_analytics.singer.output import encoder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

JUDGED_BY_SHAPE = frozenset(
    {"type", "items", "properties", "additionalProperties", "format", "title", "description", "default", "examples"}
)
"""Keywords that say nothing of a value but its shape; `format` is an annotation, as the default is."""

MOST_DIGITS = 4000
"""Digits that a number written with an exponent may have as a whole number."""

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_NAMES = {
    str: "text",
    int: "a whole number",
    Decimal: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
_QUICK: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, Decimal),
    "boolean": (bool,),
    "null": (type(None),),
}
_OUTCOMES = {True: "it is written as its schema says", False: "it is left empty, as its schema has no place for it"}
_LEFT_OUT: Any = object()


class ConformError(ValueError):
    """A record has no valid form: a field that the schema requires cannot hold its value, or null."""


class Conformer:
    """Brings the records of one stream into the shape that their schema promises."""

    def __init__(self, schema: Mapping[str, Any], warn: Callable[[str], None]) -> None:
        self._schema = schema
        self._warn = warn
        self._said: set[tuple[str, bool]] = set()
        self._quick = {
            name: _quick_types(definition)
            for name, definition in schema["properties"].items()
            if definition.keys() <= JUDGED_BY_SHAPE
        }

    def conform(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return a record that is valid under the schema.

        Raises ConformError where there is none.
        """
        properties = self._schema["properties"]
        conformed = {}
        for name, value in record.items():
            kept = value if type(value) in self._quick.get(name, ()) else self._fit(value, properties[name], name)
            if kept is not _LEFT_OUT:
                conformed[name] = kept
        for name in self._schema.get("required", ()):
            if name not in conformed:
                if not Draft7Validator(properties.get(name, {})).is_valid(None):
                    msg = f"has no valid {name}, which its schema requires"
                    raise ConformError(msg)
                conformed[name] = None
        return conformed

    def _fit(self, value: object, definition: Any, place: str) -> Any:  # noqa: ANN401 - any JSON
        """Return a value as its definition allows it, or say that it is to be left out."""
        if isinstance(definition, bool) or not definition:
            return value if definition is not False else _LEFT_OUT
        kinds = _kinds(definition)
        kept = value if not kinds or _is_any(value, kinds) else self._converted(value, kinds, place)
        if isinstance(kept, list) and "items" in definition:
            kept = self._fit_items(kept, definition["items"], place)
        if isinstance(kept, dict) and "properties" in definition:
            kept = self._fit_members(kept, definition["properties"], place)
        if kept is not _LEFT_OUT and not (definition.keys() <= JUDGED_BY_SHAPE or _is_valid(kept, definition)):
            self._say(place, value, kept=False)
            kept = None if _is_valid(None, definition) else _LEFT_OUT
        return kept

    def _fit_items(self, values: list[Any], items: Any, place: str) -> list[Any]:  # noqa: ANN401 - any schema
        if isinstance(items, list):
            return values  # judged as a whole
        fitted = (self._fit(value, items, f"{place}[]") for value in values)
        return [value for value in fitted if value is not _LEFT_OUT]

    def _fit_members(self, values: dict[str, Any], properties: Mapping[str, Any], place: str) -> dict[str, Any]:
        fitted = {name: self._fit(held, properties.get(name, {}), f"{place}.{name}") for name, held in values.items()}
        return {name: held for name, held in fitted.items() if held is not _LEFT_OUT}

    def _converted(self, value: object, kinds: Sequence[str], place: str) -> Any:  # noqa: ANN401 - any JSON
        for kind in kinds:
            found = _CONVERSIONS.get(kind, _no_way)(value)
            if found is not _LEFT_OUT:
                self._say(place, value, kept=True)
                return found
        self._say(place, value, kept=False)
        return None if "null" in kinds else _LEFT_OUT

    def _say(self, place: str, value: object, *, kept: bool) -> None:
        if (place, kept) in self._said:
            return
        self._said.add((place, kept))
        definition = self._schema["properties"].get(place, {})
        kinds = " or ".join(kind for kind in _kinds(definition) if kind != "null")
        declared = f" where the schema says {kinds}" if kinds else ""
        came = _NAMES.get(type(value), "something else")
        self._warn(f"The API sends {came} in {place}{declared}; {_OUTCOMES[kept]}. This is said once.")


def is_judged_by_shape(definition: Any) -> bool:  # noqa: ANN401 - any schema
    """Tell whether a schema says nothing of a value but its type, at whatever depth."""
    if isinstance(definition, bool):
        return definition
    items, properties = definition.get("items", True), definition.get("properties", {})
    return (
        definition.keys() <= JUDGED_BY_SHAPE
        and not isinstance(items, list)
        and is_judged_by_shape(items)
        and all(map(is_judged_by_shape, properties.values()))
    )


def _kinds(definition: Mapping[str, Any]) -> Sequence[str]:
    named = definition.get("type", ())
    return [named] if isinstance(named, str) else named


def _quick_types(definition: Mapping[str, Any]) -> set[type]:
    """Return the types of values that fit without a closer look."""
    return {kind for name in _kinds(definition) for kind in _QUICK.get(name, ())}


def _is_any(value: object, kinds: Sequence[str]) -> bool:
    return any(_IS.get(kind, _is_nothing)(value) for kind in kinds)


def _is_nothing(value: object) -> bool:
    del value
    return False


_IS: Mapping[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    # A whole number of more than 64 bits is read as a decimal without an exponent.
    "integer": lambda value: type(value) is int or (isinstance(value, Decimal) and value.as_tuple().exponent == 0),
    "number": lambda value: type(value) in {int, Decimal},
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


def _no_way(value: object) -> Any:  # noqa: ANN401 - as the others
    del value
    return _LEFT_OUT


def _to_text(value: object) -> Any:  # noqa: ANN401 - text, or the sign that there is none
    return _LEFT_OUT if value is None else encoder.encode(value).decode()


def _to_number(value: object) -> Any:  # noqa: ANN401 - a number, or the sign that there is none
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return _LEFT_OUT
    return Decimal(value)


def _to_integer(value: object) -> Any:  # noqa: ANN401 - as above
    number = value if isinstance(value, Decimal) else _to_number(value)
    if number is _LEFT_OUT or abs(number.adjusted()) > MOST_DIGITS or number != number.to_integral_value():
        return _LEFT_OUT
    return Decimal(int(number))


def _to_boolean(value: object) -> Any:  # noqa: ANN401 - as above
    return {"true": True, "false": False}.get(value, _LEFT_OUT) if isinstance(value, str) else _LEFT_OUT


_CONVERSIONS: Mapping[str, Callable[[object], Any]] = {
    "number": _to_number,
    "integer": _to_integer,
    "boolean": _to_boolean,
    "string": _to_text,
}


def _is_valid(value: object, definition: Mapping[str, Any]) -> bool:
    return bool(Draft7Validator(definition).is_valid(_plain(value)))


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a value with the types that a validator knows."""
    if isinstance(value, Decimal):
        return int(value) if value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, list):
        return [_plain(held) for held in value]
    if isinstance(value, dict):
        return {name: _plain(held) for name, held in value.items()}
    return value

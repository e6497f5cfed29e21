"""Values that do not fit their schema: converted where nothing is lost by it, or else left empty."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import MAX_PREC, Decimal, localcontext
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from jsonschema import Draft7Validator

from tap_analytics.singer import instants
from tap_analytics.singer.contract import DiscardedError, FrozenError, SchemaContract
from tap_analytics.singer.output import encoder
from tap_analytics.singer.schema import ITEMS, VALIDATING, VALUES, Definition, Path, Selected, dotted, kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MOST_DIGITS = 4000
"""Digits that a number written with an exponent may have as a whole number."""

MOST_NAMED = 100
"""Fields that one message names."""

MOST_UNKNOWN = 1000
"""Fields that the schema does not have and that a stream remembers: an API may use data as names."""

_STRUCTURE = frozenset({"type", "items", "properties", "required", "additionalProperties"})
"""Keywords that the conformer obeys itself; a validator judges by the others."""

_CHECKED_FORMATS = frozenset(Draft7Validator.FORMAT_CHECKER.checkers) - {"date", "date-time"}
_INSTANTS: Mapping[str, Callable[[str], str | None]] = {"date-time": instants.timestamp, "date": instants.day}
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
Outcome = Literal["converted", "left empty", "left out of the list"]
_OUTCOMES: Mapping[Outcome, str] = {
    "converted": "it is converted to the type of the schema",
    "left empty": "the field is left empty",
    "left out of the list": "it is left out of the list",
}
_OMIT: Any = object()


class ConformError(ValueError):
    """A record has no valid form: a field that the schema requires cannot hold its value, or null."""


class Conformer:
    """Brings the records of one stream into the shape that their schema promises.

    It warns once of each field and outcome. Fields that are not selected are left out.
    """

    def __init__(
        self,
        schema: Definition,
        warn: Callable[[str], None],
        *,
        selected: Selected,
        contract: SchemaContract,
        flattened_levels: int = 0,
    ) -> None:
        """Take the schema, and how many levels of objects are flattened later, which loses unknown fields."""
        self._warn = warn
        self._flattened_levels = flattened_levels
        self._contract = contract
        self._selected = selected
        self._warned: set[tuple[Path, str]] = set()
        self._unknown: set[tuple[Path, str]] = set()
        self._has_local_times = False
        self.learn(schema)

    def learn(self, schema: Definition) -> None:
        """Conform to another schema from now on."""
        self._schema = schema
        self._judge = _validator_beyond_structure(schema)
        self._validators: dict[Path, Draft7Validator | None] = {}
        self._quick = {
            name: _quick_types(definition)
            for name, definition in schema["properties"].items()
            if isinstance(definition, Mapping) and self._selected((name,)) and not _needs_validator(definition)
        }

    def conform(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the selected fields of a record, valid under the schema.

        Raises ConformError where there is no valid form, FrozenError where the schema contract
        forbids what the record holds, and DiscardedError where it drops the record for it.
        """
        properties = self._schema["properties"]
        self.report_unknown(((), name) for name in record if name not in properties)
        conformed = self._conform_fields({name: value for name, value in record.items() if name in properties})
        if (missing := self._add_required(conformed, self._schema, ())) is not None:
            msg = f"has no valid {missing}, which its schema requires"
            raise ConformError(msg)
        if self._judge is not None and (error := next(self._judge.iter_errors(_plain(conformed)), None)):
            msg = f"is not valid under its schema: {error.message}"
            raise ConformError(msg)
        return conformed

    def _conform_fields(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the selected fields among some of the schema's, each with a valid value.

        Raises FrozenError and DiscardedError as `conform` does.
        """
        conformed, properties = {}, self._schema["properties"]
        for name, value in record.items():
            is_quick = type(value) in self._quick.get(name, ())
            kept = value if is_quick else self._fit(value, properties[name], (name,))
            if kept is not _OMIT:
                conformed[name] = kept
        return conformed

    def report_unknown(self, unknown: Iterable[tuple[Path, str]]) -> None:
        """Warn once of each property that the schema does not have, given the path of its object and its name.

        Raises FrozenError and DiscardedError as `conform` does.
        """
        if not (pairs := {*unknown}):
            return
        if self._contract.columns == "freeze":
            msg = f"has fields that its schema does not have: {_names(pairs)}; schema_contract freezes the columns"
            raise FrozenError(msg)
        if self._contract.columns == "discard_row":
            msg = f"it has fields that the schema does not have: {_names(pairs)}"
            raise DiscardedError(msg)
        new = set(islice(sorted(pairs - self._unknown, key=repr), MOST_UNKNOWN - len(self._unknown)))
        if new:
            self._unknown |= new
            self._warn(f"The API sends fields that the schema does not have: {_names(new)}. They are left out.")
            if len(self._unknown) >= MOST_UNKNOWN:
                self._warn(f"More than {MOST_UNKNOWN:,} fields are not in the schema; no more of them are named.")

    def report_local_time(self) -> None:
        """Warn once that timestamps have no offset."""
        if not self._has_local_times:
            self._has_local_times = True
            self._warn("The API sends timestamps without a UTC offset; they are taken as UTC.")

    def _fit(self, value: object, definition: Any, path: Path) -> Any:  # noqa: ANN401 - any JSON
        """Return a value as its definition allows it, or that it is to be omitted."""
        if not self._selected(path) or definition is False:
            return _OMIT
        if definition is True or not definition:
            return value
        named = kinds(definition)
        fitted = value if not named or _is_any(value, named) else self._convert(value, definition, path)
        if isinstance(fitted, str) and definition.get("format") in _INSTANTS:
            fitted = self._fit_instant(fitted, value, definition, path)
        elif isinstance(fitted, list) and isinstance(definition.get("items"), Mapping | bool):
            fitted = self._fit_items(fitted, definition["items"], path)
        elif isinstance(fitted, dict):
            fitted = self._fit_members(fitted, definition, path)
        if fitted is not _OMIT and not self._is_valid(fitted, definition, path):
            return self._empty(value, definition, path)
        return fitted

    def _fit_instant(self, text: str, value: object, definition: Definition, path: Path) -> Any:  # noqa: ANN401 - text, null or nothing
        written = _INSTANTS[definition["format"]](text)
        if written is None:
            return self._empty(value, definition, path)
        if definition["format"] == "date-time" and not instants.has_offset(text):
            self.report_local_time()
        return written

    def _fit_items(self, values: list[Any], items: Any, path: Path) -> list[Any]:  # noqa: ANN401 - any schema
        fitted = (self._fit(value, items, (*path, ITEMS)) for value in values)
        return [value for value in fitted if value is not _OMIT]

    def _fit_members(self, values: dict[str, Any], definition: Definition, path: Path) -> Any:  # noqa: ANN401 - an object, null or nothing
        properties, additional = definition.get("properties", {}), definition.get("additionalProperties", True)
        is_flattened = bool(properties) and len(path) <= self._flattened_levels and ITEMS not in path
        is_closed = additional is False or is_flattened
        if is_closed or (properties and self._contract.columns in {"freeze", "discard_row"}):
            self.report_unknown((path, name) for name in values if name not in properties)
        if is_closed:
            values = {name: value for name, value in values.items() if name in properties}
        fitted = {}
        for name, value in values.items():
            step = name if name in properties or (properties and additional is True) else VALUES
            member = self._fit(value, properties.get(name, additional), (*path, step))
            if member is not _OMIT:
                fitted[name] = member
        if self._add_required(fitted, definition, path) is not None:
            return self._empty(values, definition, path)
        return fitted

    def _add_required(self, members: dict[str, Any], definition: Definition, path: Path) -> str | None:
        """Add null for each required property that is missing; return the name of one that cannot be null."""
        properties = definition.get("properties", {})
        for name in definition.get("required", ()):
            if name not in members and self._selected((*path, name)):
                if not Draft7Validator(properties.get(name, {})).is_valid(None):
                    return str(name)
                members[name] = None
        return None

    def _convert(self, value: object, definition: Definition, path: Path) -> Any:  # noqa: ANN401 - any JSON
        named = kinds(definition)
        if value == [] and "object" in named:
            return {}  # as PHP writes an empty object
        for kind in named:
            converted = _CONVERSIONS.get(kind, _no_conversion)(value)
            if converted is not _OMIT:
                if definition.get("format") not in _INSTANTS:
                    self._report(value, definition, path, "converted")
                return converted
        return self._empty(value, definition, path)

    def _empty(self, value: object, definition: Definition, path: Path) -> Any:  # noqa: ANN401 - null, or that there is nothing
        """Return what stands for a value that has no valid form.

        Raises FrozenError and DiscardedError as `conform` does.
        """
        if self._contract.data_type in {"freeze", "discard_row"}:
            self._refuse(value, definition, path)
        nullable = Draft7Validator(dict(definition)).is_valid(None)
        outcome: Outcome = "left out of the list" if not nullable and path[-1] == ITEMS else "left empty"
        self._report(value, definition, path, outcome)
        return None if nullable else _OMIT

    def _refuse(self, value: object, definition: Definition, path: Path) -> NoReturn:
        msg = f"has {_name_of(value)} in {_printable(dotted(path))}{_declared(definition)}"
        if self._contract.data_type == "freeze":
            msg = f"{msg}; schema_contract freezes the data types"
            raise FrozenError(msg)
        msg = f"it {msg}"
        raise DiscardedError(msg)

    def _report(self, value: object, definition: Definition, path: Path, outcome: Outcome) -> None:
        if (path, outcome) not in self._warned:
            self._warned.add((path, outcome))
            where = f"in {_printable(dotted(path))}{_declared(definition)}"
            self._warn(f"The API sends {_name_of(value)} {where}; {_OUTCOMES[outcome]}. This warning is not repeated.")

    def _is_valid(self, value: object, definition: Definition, path: Path) -> bool:
        if path not in self._validators:
            self._validators[path] = _validator_beyond_structure(definition)
        validator = self._validators[path]
        if validator is None:
            return True
        with localcontext() as context:
            context.prec = min(MAX_PREC, 2 * MOST_DIGITS)  # for the remainder of a division
            try:
                return bool(validator.is_valid(_plain(value)))
            except ArithmeticError:
                return False


def fits(value: object, definition: Definition) -> bool:
    """Tell whether a value is of a type that a definition allows, or is converted to one without a loss."""
    named = kinds(definition)
    fitted = [value] if _is_any(value, named) else [_CONVERSIONS.get(kind, _no_conversion)(value) for kind in named]
    written = _INSTANTS.get(definition.get("format", ""))
    for one in fitted:
        if one is not _OMIT and not (isinstance(one, str) and written is not None and written(one) is None):
            return True
    return value == [] and "object" in named


def _needs_validator(definition: Definition) -> bool:
    """Tell whether a scalar must be looked at more closely than by its type."""
    named = definition.get("format")
    beyond = (definition.keys() & VALIDATING) - _STRUCTURE - {"format"}
    return bool(beyond) or named in _INSTANTS or named in _CHECKED_FORMATS


def _validator_beyond_structure(definition: Definition) -> Draft7Validator | None:
    """Return the validator of a definition that says more than the conformer obeys itself."""
    named = definition.get("format")
    if not (definition.keys() & VALIDATING) - _STRUCTURE - {"format"} and named not in _CHECKED_FORMATS:
        return None
    return Draft7Validator(_exact(definition), format_checker=Draft7Validator.FORMAT_CHECKER)


def _exact(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a schema with decimals for floats, so that 0.3 is a multiple of 0.1."""
    if isinstance(schema, float):
        return Decimal(str(schema))
    if isinstance(schema, list | tuple):
        return [_exact(inner) for inner in schema]
    if isinstance(schema, Mapping):
        return {name: _exact(inner) for name, inner in schema.items()}
    return schema


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a value with the types that a validator knows: a decimal without an exponent is whole."""
    if isinstance(value, Decimal):
        return int(value) if value.as_tuple().exponent == 0 else value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    return value


def _name_of(value: object) -> str:
    return _NAMES.get(type(value), "something else")


def _declared(definition: Definition) -> str:
    """Return what a message says of the type that a definition demands."""
    named = [kind for kind in kinds(definition) if kind != "null"]
    if definition.get("format") in _INSTANTS:
        named = [definition["format"] if kind == "string" else kind for kind in named]
    return f" where the schema says {' or '.join(named)}" if named else ""


def _names(unknown: Iterable[tuple[Path, str]]) -> str:
    names = sorted(_printable(dotted((*path, name))) for path, name in unknown)
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _printable(name: str) -> str:
    return name if name.isprintable() else ascii(name)


def _quick_types(definition: Definition) -> set[type]:
    """Return the types of values that fit without a closer look."""
    return {kind for name in kinds(definition) for kind in _QUICK.get(name, ())}


def _is_any(value: object, named: Sequence[str]) -> bool:
    return any(_IS.get(kind, _is_nothing)(value) for kind in named)


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


def _no_conversion(value: object) -> Any:  # noqa: ANN401 - as the others
    del value
    return _OMIT


def _to_text(value: object) -> Any:  # noqa: ANN401 - text, or that there is none
    return _OMIT if value is None else encoder.encode(value).decode()


def _to_number(value: object) -> Any:  # noqa: ANN401 - a number, or that there is none
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return _OMIT
    return Decimal(value)


def _to_integer(value: object) -> Any:  # noqa: ANN401 - as above
    number = value if isinstance(value, Decimal) else _to_number(value)
    if number is _OMIT or abs(number.adjusted()) > MOST_DIGITS or number != number.to_integral_value():
        return _OMIT
    return Decimal(int(number))


def _to_boolean(value: object) -> Any:  # noqa: ANN401 - as above
    return {"true": True, "false": False}.get(value, _OMIT) if isinstance(value, str) else _OMIT


_CONVERSIONS: Mapping[str, Callable[[object], Any]] = {
    "number": _to_number,
    "integer": _to_integer,
    "boolean": _to_boolean,
    "string": _to_text,
}

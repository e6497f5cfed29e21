"""The words in which users declare resources: dlt's, where the tap knows what they mean.

Checked value by value, so that a mistake is told in one line that names its place and what would
be valid there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from difflib import get_close_matches
from math import inf
from typing import Any, Final

from tap_analytics.timestamps import parse_instant

Problems = Iterator[str]
Check = Callable[[Any, str], Problems]

# What dlt says and the tap does not

UNSUPPORTED: Final = {
    "resource": frozenset(
        [
            "columns",
            "data_from",
            "file_format",
            "include_from_parent",
            "max_table_nesting",
            "merge_key",
            "nested_hints",
            "parallelized",
            "parent",
            "processing_steps",
            "references",
            "schema_contract",
            "section",
            "selected",
            "table_format",
            "table_name",
        ],
    ),
    "endpoint": frozenset(["auth", "data", "headers", "json", "response_actions"]),
    "paginator": frozenset(
        [
            "has_more_path",
            "limit_body_path",
            "maximum_offset",
            "offset_body_path",
            "stop_after_empty_page",
            "total_path",
        ],
    ),
    "incremental": frozenset(
        [
            "allow_external_schedulers",
            "convert",
            "end_param",
            "end_value",
            "lag",
            "last_value_func",
            "on_cursor_value_missing",
            "primary_key",
            "range_end",
            "range_start",
            "row_order",
        ],
    ),
    "error_handler": frozenset[str](),
}
"""Words of dlt (1.x, `dlt.sources.rest_api.typing`) that have no meaning here, by their place."""

PAGINATORS_OF_DLT: Final = frozenset(
    ["auto", "cursor", "header_cursor", "header_link", "json_link", "json_response", "page_number"],
)

# Names that a data selector may hold: what JSONPath gives a meaning, a name cannot have.
_NODES: Final = re.compile(r"\$|(\$\.)?[^.$\[\]*?@\"\\\s]+(\.[^.$\[\]*?@\"\\\s]+)*")


# Checks of any value


def told(value: object) -> str:
    """Return a value as a message quotes it."""
    return str(value) if isinstance(value, Decimal) else repr(value)


def text(value: object, place: str) -> Problems:
    """Yield what is wrong with a value that must be text."""
    if not isinstance(value, str) or not value.strip():
        yield f"{place}: {told(value)} is not valid; it must be text that is not empty"


def whole(least: int, most: int | None = None) -> Check:
    """Return a check for a whole number within limits."""

    def check(value: object, place: str) -> Problems:
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or value < least
            or (most is not None and value > most)
        ):
            limits = f"of at least {least}" if most is None else f"from {least} to {most}"
            yield f"{place}: {told(value)} is not valid; it must be a whole number {limits}"

    return check


def number(value: object, place: str) -> Problems:
    """Yield what is wrong with a value that must be a number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)) or not 0 <= value < inf:
        yield f"{place}: {told(value)} is not valid; it must be a number of at least 0"


def choice(*valid: str) -> Check:
    """Return a check for one of some words."""

    def check(value: object, place: str) -> Problems:
        if value not in valid:
            yield f"{place}: {told(value)} is not valid; it must be one of {', '.join(valid)}"

    return check


def many(check: Check) -> Check:
    """Return a check for a list of values."""

    def check_all(value: object, place: str) -> Problems:
        if not isinstance(value, list) or not value:
            yield f"{place}: {told(value)} is not valid; it must be a list that is not empty"
            return
        for index, item in enumerate(value):
            yield from check(item, f"{place}[{index}]")

    return check_all


def words(kind: str, valid: Mapping[str, Check], *required: str) -> Check:
    """Return a check for an object that has some words, and no others."""

    def check(value: object, place: str) -> Problems:
        if not isinstance(value, dict):
            yield f"{place}: {told(value)} is not valid; it must be an object with {_listed(valid)}"
            return
        for word, held in value.items():
            if word in valid:
                if held is not None:  # as if it were not said
                    yield from valid[word](held, f"{place}.{word}")
            elif word in UNSUPPORTED[kind]:
                yield f"{place}.{word}: this word of dlt is not supported; valid are {_listed(valid)}"
            else:
                close = get_close_matches(str(word), valid, 1)
                hint = f"did you mean {close[0]}?" if close else f"valid are {_listed(valid)}"
                yield f"{place}.{word}: no such word; {hint}"
        for word in required:
            if value.get(word) is None:
                yield f"{place}.{word}: is missing"

    return check


def _listed(valid: Mapping[str, Check]) -> str:
    return ", ".join(valid)


# Checks of one word each


def _keys(value: object, place: str) -> Problems:
    yield from (many(text) if isinstance(value, list) else text)(value, place)
    if isinstance(value, list) and len({str(key) for key in value}) < len(value):
        yield f"{place}: {told(value)} is not valid; it names a field twice"


def _path(value: object, place: str) -> Problems:
    yield from text(value, place)
    if isinstance(value, str) and re.search(r"[?#{}\s]", value):
        yield f"{place}: {told(value)} is not valid; parameters belong in endpoint.params, and placeholders in no place"


def _params(value: object, place: str) -> Problems:
    if not isinstance(value, dict):
        yield f"{place}: {told(value)} is not valid; it must be an object of names and values"
        return
    for name, held in value.items():
        if isinstance(held, dict):
            kind = held.get("type")
            what = f"parameters of type {kind!r} are" if kind else "objects are"
            hint = "; use endpoint.incremental" if kind == "incremental" else ""
            yield f"{place}.{name}: {what} not supported{hint}"
        elif not all(item is None or isinstance(item, (str, int, float, Decimal)) for item in _items(held)):
            yield f"{place}.{name}: {told(held)} is not valid; it must be text, a number, a boolean or a list of these"


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _selector(value: object, place: str) -> Problems:
    if not isinstance(value, str) or not _NODES.fullmatch(value):
        yield (
            f"{place}: {told(value)} is not valid; it must name the node that holds the records: "
            "a name such as data, a dotted path such as data.items, or $ for the root"
        )


def _paginator(value: object, place: str) -> Problems:
    kind = value.get("type") if isinstance(value, dict) else value
    if isinstance(kind, str) and kind in PAGINATORS_OF_DLT:
        yield f"{place}.type: the paginator {kind!r} of dlt is not supported; valid are single_page, offset"
    elif isinstance(value, dict):
        yield from _PAGINATOR(value, place)
    elif kind not in ("single_page", "offset"):
        yield f"{place}: {kind!r} is not valid; it must be one of single_page, offset, or an object with such a type"


def _method(value: object, place: str) -> Problems:
    if str(value).upper() != "GET":
        yield f"{place}: {told(value)} is not supported; the tap only reads, with GET"


def _endpoint(value: object, place: str) -> Problems:
    yield from (_path if isinstance(value, str) else _ENDPOINT)(value, place)


def _defaults_of_endpoint(value: object, place: str) -> Problems:
    stated = {"path": value} if isinstance(value, str) else value
    if isinstance(stated, dict) and "path" in stated:
        yield f"{place}.path: is not valid in the defaults; every resource has a path of its own"
        stated = {word: held for word, held in stated.items() if word != "path"}
    yield from _ENDPOINT(stated, place)


def _schema(value: object, place: str) -> Problems:
    stated = value if isinstance(value, dict) else {}
    properties = stated.get("properties")
    if stated.get("type", "object") not in ("object", ["object"]) or not isinstance(properties, dict) or not properties:
        yield f"{place}: is not valid; it must be a JSON Schema of an object, with properties"
        return
    for name, definition in properties.items():
        yield from _definition(definition, f"{place}.properties.{name}")


def _definition(value: object, place: str) -> Problems:
    """Check what the SDK and the tap take for granted of the schema of a field, at whatever depth."""
    if not isinstance(value, dict):
        yield f"{place}: {told(value)} is not valid; it must be a JSON Schema that is an object"
        return
    if "$ref" in value:
        yield f"{place}.$ref: is not valid here; write out what it refers to"
    if "items" in value:
        yield from _definition(value["items"], f"{place}.items")
    properties = value.get("properties", {})
    for name, definition in properties.items() if isinstance(properties, dict) else ():
        yield from _definition(definition, f"{place}.properties.{name}")


def _initial(value: object, place: str) -> Problems:
    valid = parse_instant(value) is not None if isinstance(value, str) else type(value) is int
    if not valid:
        yield f"{place}: {told(value)} is not valid; it must be a timestamp or a whole number"


# The words themselves

_PAGINATOR = words(
    "paginator",
    {
        "type": choice("single_page", "offset"),
        "limit": whole(1),
        "offset": whole(0),
        "offset_param": text,
        "limit_param": text,
    },
    "type",
)
_ENDPOINT = words(
    "endpoint",
    {
        "path": _path,
        "method": _method,
        "params": _params,
        "data_selector": _selector,
        "paginator": _paginator,
        "incremental": words(
            "incremental",
            {"cursor_path": text, "start_param": text, "initial_value": _initial},
            "cursor_path",
            "start_param",
        ),
        "error_handler": words(
            "error_handler",
            {
                "retry_on_status_codes": many(whole(400, 599)),
                "max_retries": whole(0),
                "backoff_factor": number,
            },
        ),
    },
)
_RESOURCE: Final[dict[str, Check]] = {
    "primary_key": _keys,
    "write_disposition": choice("merge", "append", "replace"),
    "schema": _schema,
    "endpoint": _endpoint,
}

check_defaults = words("resource", {**_RESOURCE, "endpoint": _defaults_of_endpoint})
check_resource = words("resource", {"name": text, **_RESOURCE}, "name")

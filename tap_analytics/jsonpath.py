"""JSONPath: plain paths as a tuple of segments that can be followed on bytes, anything else by jsonpath-ng."""

from __future__ import annotations

import importlib
import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

Segment = str | int | None
"""A name, an index, or None for every item of a list."""

_SEGMENT = re.compile(
    r"""\.?(?P<name>[^.\[\]*?"'\s$(),:|&@]+)"""
    r"""|\[(?P<index>-?\d+)\]"""
    r"""|\.?(?P<every>\[\*\])"""
    r"""|\.?\[?(?P<quote>["'])(?P<quoted>[^"']+)(?P=quote)\]?""",
)


@cache
def parse(path: str) -> tuple[Segment, ...] | None:
    """Return the segments of a plain path, or None where it needs a library."""
    position = 1 if path.startswith("$") else 0
    if path == "$.":
        return None
    segments: list[Segment] = []
    while position < len(path):
        match = _SEGMENT.match(path, position)
        if match is None or (match[0].startswith(".") and position == 0):
            return None
        if match["index"]:
            segments.append(int(match["index"]))
        else:
            segments.append(match["name"] or match["quoted"])
        position = match.end()
    return tuple(segments)


def written(names: Sequence[str]) -> str:
    """Return the path that leads through some names, those in quotes that need them."""
    text = ""
    for name in names:
        if parse(name) != (name,):
            text += f"['{name}']"
        else:
            text += f".{name}" if text else name
    return text


@cache
def _compiled(path: str) -> Any:  # noqa: ANN401 - of a library without types
    # Importing it takes a tenth of a second, which only those pay who use it.
    return importlib.import_module("jsonpath_ng.ext").parse(path)


def problem(path: str) -> str | None:
    """Return what would be valid where a text is not a JSONPath."""
    if parse(path) is not None:
        return None
    try:
        _compiled(path)
    except Exception:  # noqa: BLE001 - the library raises several kinds, some of them bare
        return "expected a JSONPath such as data, data.items, $ or items[*].product"
    return None


def find(path: str, value: object) -> list[Any]:
    """Return all values at a path of decoded JSON; none where there is no such node."""
    if isinstance(value, dict) and path in value:
        return [value[path]]  # a name that holds dots, such as @odata.nextLink
    segments = parse(path)
    if segments is None:
        return [match.value for match in _compiled(path).find(value)]
    return follow(segments, value)


def follow(segments: Sequence[Segment], value: object) -> list[Any]:
    """Return all values at the end of some segments."""
    values = [value]
    for segment in segments:
        values = [child for parent in values for child in _children(parent, segment)]
    return values


def first(path: str, value: object) -> Any:  # noqa: ANN401 - any JSON
    """Return the first value at a path of decoded JSON, or None."""
    return next(iter(find(path, value)), None)


def _children(value: object, segment: Segment) -> list[Any]:
    if isinstance(segment, str):
        return [value[segment]] if isinstance(value, dict) and segment in value else []
    if not isinstance(value, list):
        return []
    if segment is None:
        return value
    return [value[segment]] if -len(value) <= segment < len(value) else []

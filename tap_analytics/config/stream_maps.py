"""The names under which streams leave: by stream maps that must match a stream, and as tables that must differ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from logging import getLogger
from typing import TYPE_CHECKING, Any

from singer_sdk.mapper import PluginMapper, SameRecordTransform

from tap_analytics.config import resources
from tap_analytics.declare import suggestion

if TYPE_CHECKING:
    from tap_analytics.config.words import Resource

Json = Mapping[str, Any]

_ALIAS, _SOURCE, _ELSE = "__alias__", "__source__", "__else__"
_REMOVED = "__NULL__"


def problems(config: Json, shipped: resources.Shipped) -> Iterator[str]:
    """Yield a line for each stream map that matches no stream, and for two streams that become one table.

    The other settings must be valid.
    """
    read = resources.resources(config, shipped)
    names = [resource.name for resource in read]
    yield from _unmatched(config.get("stream_maps") or {}, names, shipped)
    yield from _merged(_aliases(_emitted(read), resources.with_aliases(config, shipped)))


def warnings(config: Json, shipped: resources.Shipped) -> Iterator[str]:
    """Yield a line for each stream whose name targets take for two; the settings must be valid."""
    emitted = _emitted(resources.resources(config, shipped))
    for alias in dict.fromkeys(_aliases(emitted, resources.with_aliases(config, shipped))):
        if "-" in alias:
            table = alias.rpartition("-")[2]
            yield (
                f"{alias}: SQL targets take what is before its hyphen for a schema, and load it into the table "
                f"{table}. Set table_name, such as {_plain(alias)}."
            )


def _emitted(read: Sequence[Resource]) -> list[str]:
    return [resource.name for resource in read if resource.selected and resource.disposition != "skip"]


def _unmatched(maps: Json, names: Sequence[str], shipped: resources.Shipped) -> Iterator[str]:
    """Yield a line for each entry that no stream takes: what it masks would leave as it is."""
    for key, definition in maps.items():
        words = definition if isinstance(definition, Mapping) else {}
        pattern = words.get(_SOURCE, key)
        if key == _ELSE or any(name == pattern or fnmatch(name, str(pattern)) for name in names):
            continue
        if key in shipped and words.keys() == {_ALIAS}:
            continue  # as meltano.yml has them, whatever is read
        path = f"stream_maps.{key}" + (f".{_SOURCE}" if _SOURCE in words else "")
        yield f"{path}: {pattern!r} matches no stream; {suggestion(str(pattern), names)}"


def _aliases(names: Sequence[str], maps: Json) -> list[str]:
    """Return the names under which some streams leave; none where stream maps are not valid, which is refused later."""
    mapper = PluginMapper({"stream_maps": dict(_only_names(maps))}, getLogger(__name__))
    try:
        for name in names:
            mapper.register_raw_stream_schema(name, {"properties": {}}, None)
    except Exception:  # noqa: BLE001 - the SDK looks at the words of a map as it goes
        return []
    return [
        stream_map.stream_alias
        for name in names
        for stream_map in mapper.stream_maps[name]
        if stream_map.stream_alias != _REMOVED and not (_ELSE in maps and isinstance(stream_map, SameRecordTransform))
    ]


def _only_names(maps: Json) -> Iterator[tuple[str, Any]]:
    """Yield stream maps with no other word than those that name streams."""
    for key, definition in maps.items():
        if isinstance(definition, Mapping):
            yield key, {word: item for word, item in definition.items() if word in {_ALIAS, _SOURCE}}
        elif key != _ELSE:
            yield key, {_ALIAS: repr(_REMOVED)}


def _merged(aliases: Sequence[str]) -> Iterator[str]:
    """Yield a line for each name that becomes the table of an earlier one; one name for several streams is meant."""
    seen: dict[tuple[str, str], str] = {}
    for alias in aliases:
        for table, reason in _tables(alias):
            other = seen.setdefault((table, reason), alias)
            if other != alias:
                yield (
                    f"streams {other!r} and {alias!r}: they become one table, {table!r}: {reason}. "
                    f"Give one of them another table_name, or another {_ALIAS} in stream_maps."
                )
                break


def _tables(alias: str) -> Iterator[tuple[str, str]]:
    """Yield the names of tables that targets make of the name of a stream, with the reason."""
    yield _plain(alias), "targets ignore the case, and write _ for other characters"
    yield _plain(alias.rpartition("-")[2]), "SQL targets take what is before a hyphen for a schema"


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", name.lower())

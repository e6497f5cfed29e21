"""What users declare, made into stream classes of the same kind as the shipped ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from inspect import getattr_static
from typing import TYPE_CHECKING, Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import SchemaError

from tap_analytics import vocabulary
from tap_analytics.client import AnalyticsStream
from tap_analytics.endpoint import Offset, Paginator, SinglePage, Window
from tap_analytics.inference import infer, kinds, typed
from tap_analytics.instants import parse_instant
from tap_analytics.replication import Cursor, FullTable

if TYPE_CHECKING:
    from singer_sdk import StreamSchema, Tap

    from tap_analytics.connection import Connection

Words = Mapping[str, Any]
Shipped = Mapping[str, type[AnalyticsStream]]


class DeclaredStream(AnalyticsStream):
    """A resource whose schema is what its own records show."""

    write_disposition = "append"
    primary_keys = ()

    def __init__(self, tap: Tap, connection: Connection) -> None:
        super().__init__(tap, connection)
        if "paginator" not in vars(type(self)):
            self.logger.warning(
                "%s: no paginator is declared, so the answer to one request is taken for everything.",
                self.name,
            )

    @property
    def schema(self) -> dict[str, Any]:
        """The schema that the user's catalog gives, or else the one that a sample shows.

        Raises SchemaError where there is no record to see.
        """
        if self._input_schema is not None:
            return self._input_schema
        if self._schema is None:
            self._schema = infer(self.sample(), keys=self.primary_keys)
        return self._schema


def classes(config: Words, shipped: Shipped) -> list[type[AnalyticsStream]]:
    """Return the stream classes that the settings ask for: all shipped ones, or those listed."""
    declared = config.get("resources")
    if declared is None:
        return list(shipped.values())
    defaults = config.get("resource_defaults") or {}
    return [_class(merge(defaults, entry), config, shipped) for entry in declared]


def merge(defaults: Words, entry: str | Words) -> dict[str, Any]:
    """Return a resource with the defaults for what it does not say.

    As dlt merges them (`dlt.sources.rest_api.config_setup`): word by word, in the endpoint word by
    word again, and the parameters one by one.
    """
    resource = {"name": entry} if isinstance(entry, str) else dict(entry)
    base, own = (_endpoint(words) for words in (defaults, resource))
    endpoint = {**base, **own}
    if "params" in base or "params" in own:
        endpoint["params"] = {**base.get("params", {}), **own.get("params", {})}
    return {**defaults, **resource, "endpoint": endpoint}


def _endpoint(words: Words) -> Words:
    endpoint = words.get("endpoint", {})
    return {"path": endpoint} if isinstance(endpoint, str) else endpoint


def _class(resource: Words, config: Words, shipped: Shipped) -> type[AnalyticsStream]:
    """Return the class of a declared resource; its facts are those of the shipped one it names."""
    base = shipped.get(resource["name"], DeclaredStream)
    return type(str(resource["name"]), (base,), {"__module__": __name__, **_facts(resource, base, config)})


def _facts(resource: Words, base: type[AnalyticsStream], config: Words) -> dict[str, Any]:
    """Return the facts of a resource that differ from those of its base."""
    endpoint = resource["endpoint"]
    facts: dict[str, Any] = {"name": resource["name"]}
    if "path" in endpoint:
        facts["path"] = _relative(endpoint["path"], config)
    if "paginator" in endpoint:
        facts["paginator"] = _paginator(endpoint["paginator"])
    for word in ("params", "data_selector", "error_handler"):
        if word in endpoint:
            facts[word] = endpoint[word]
    if "primary_key" in resource:
        keys = resource["primary_key"]
        facts["primary_keys"] = (keys,) if isinstance(keys, str) else tuple(keys)
    by_default = "merge" if facts.get("primary_keys") else base.write_disposition
    facts["write_disposition"] = resource.get("write_disposition", by_default)
    if facts["write_disposition"] == "append":
        facts["primary_keys"] = ()
    if "schema" in resource:
        facts["schema"] = resource["schema"]
    elif "primary_keys" in facts and base is not DeclaredStream:
        facts["schema"] = _Rekeyed(getattr_static(base, "schema"))
    if "incremental" in endpoint:
        incremental = endpoint["incremental"]
        facts["replication_key"] = _field(incremental["cursor_path"])
        facts["replication"] = Cursor(incremental["start_param"], incremental.get("initial_value"))
    return facts


class _Rekeyed:
    """The schema of a shipped stream whose records another key tells apart."""

    def __init__(self, schema: StreamSchema) -> None:
        self._schema = schema

    def __get__(self, stream: AnalyticsStream, owner: type[AnalyticsStream]) -> dict[str, Any]:
        schema = self._schema.__get__(stream, owner)
        properties = {
            name: definition | {"type": typed(definition["type"], nullable=name not in stream.primary_keys)}
            for name, definition in schema["properties"].items()
        }
        return schema | {"properties": properties, "required": list(stream.primary_keys)}


def _paginator(words: str | Words) -> Paginator:
    facts = {"type": words} if isinstance(words, str) else dict(words)
    return (SinglePage if facts.pop("type") == "single_page" else Offset)(**facts)


def _relative(path: str, config: Words) -> str:
    """Return a path relative to the base URL, which it may repeat."""
    base = str(config.get("base_url", "")).rstrip("/")
    return path.removeprefix(base) if "://" in path else path


def _field(cursor_path: str) -> str:
    return cursor_path.removeprefix("$.")


# The door


def problems(config: Words, shipped: Shipped) -> Iterator[str]:
    """Yield a line for each mistake in `resource_defaults` and `resources`."""
    defaults = config.get("resource_defaults")
    sound = {} if defaults is None else defaults
    found = [] if defaults is None else list(vocabulary.check_defaults(defaults, "resource_defaults"))
    yield from found
    declared = config.get("resources")
    if declared is None:
        return
    if not isinstance(declared, list) or not declared:
        yield "resources: must be a list of names of shipped streams and of objects that declare resources"
        return
    names: dict[str, int] = {}
    for index, entry in enumerate(declared):
        place = f"resources[{index}]"
        wrong = list(_problems_of(entry, place, shipped))
        yield from wrong
        if not wrong:
            name = entry if isinstance(entry, str) else entry["name"]
            if names.setdefault(name, index) != index:
                yield f"{place}.name: {name!r} is declared by resources[{names[name]}] already"
            if not found:
                yield from _contradictions(merge(sound, entry), place, config, shipped)


def _problems_of(entry: object, place: str, shipped: Shipped) -> Iterator[str]:
    if not isinstance(entry, str):
        yield from vocabulary.check_resource(entry, place)
    elif entry not in shipped:
        yield f"{place}: {entry!r} is no shipped stream; those are {', '.join(shipped)}"


def _contradictions(resource: Words, place: str, config: Words, shipped: Shipped) -> Iterator[str]:
    """Yield a line for each pair of words, each valid by itself, that do not go together."""
    base = shipped.get(resource["name"], DeclaredStream)
    endpoint = resource["endpoint"]
    path = endpoint.get("path", getattr(base, "path", None))
    if path is None:
        yield f"{place}.endpoint.path: is missing"
    elif "://" in path and not _relative(path, config).startswith("/"):
        yield f"{place}.endpoint.path: {path!r} is not below base_url; it must be a path such as /v1/resource"
        return
    facts = _facts(resource, base, config)
    keys = facts.get("primary_keys", base.primary_keys)
    replication = facts.get("replication", base.replication)
    disposition = facts["write_disposition"]
    if disposition == "merge" and not keys:
        yield f"{place}.primary_key: is missing; the write_disposition merge needs it, append does not"
    if disposition == "replace" and not isinstance(replication, FullTable):
        yield f"{place}.write_disposition: replace reads everything every time; it cannot be incremental"
    yield from _clashes(endpoint, facts, base, place, config)
    if "schema" in resource:
        yield from _schema_problems(resource["schema"], keys, facts.get("replication_key"), place)
    if isinstance(replication, Cursor):
        value = replication.initial_value
        if isinstance(value, str) and parse_instant(value) is None:
            yield f"{place}.endpoint.incremental.initial_value: {value!r} is no timestamp"


def _clashes(endpoint: Words, facts: Words, base: type[AnalyticsStream], place: str, config: Words) -> Iterator[str]:
    """Yield a line for each parameter that something else sets as well."""
    paginator = facts.get("paginator", base.paginator)
    setters = dict.fromkeys((paginator.offset_param, paginator.limit_param), "the paginator")
    replication = facts.get("replication", base.replication)
    if isinstance(replication, Cursor):
        setters[replication.param] = "endpoint.incremental"
    elif not isinstance(replication, FullTable):
        setters |= dict.fromkeys(Window.NAMES, "the stream's windows")
    if config.get("auth_location") == "query":
        setters[config.get("auth_name", "api_key")] = "auth_name"
    for name in endpoint.get("params", {}):
        if name in setters:
            yield f"{place}.endpoint.params.{name}: is set by {setters[name]} already"


def _schema_problems(schema: Words, keys: Sequence[str], cursor: str | None, place: str) -> Iterator[str]:
    try:
        Draft7Validator.check_schema(schema)
    except SchemaError as error:
        yield f"{place}.schema: is no valid JSON Schema: {error.message}"
        return
    properties = schema["properties"]
    for key in keys:
        if key not in properties:
            yield f"{place}.primary_key: {key!r} is not in the schema; it has {', '.join(properties)}"
    if cursor is None:
        return
    if cursor not in properties:
        yield (
            f"{place}.endpoint.incremental.cursor_path: {cursor!r} is not in the schema; it has {', '.join(properties)}"
        )
    elif not {"string", "integer"} & set(kinds(properties[cursor])):
        yield f"{place}.endpoint.incremental.cursor_path: {cursor!r} is neither a timestamp nor a whole number"

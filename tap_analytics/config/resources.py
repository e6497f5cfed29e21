"""What users declare, made into stream classes of the same kind as the shipped ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from inspect import getattr_static
from itertools import chain
from typing import TYPE_CHECKING, Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import SchemaError
from singer_sdk.exceptions import DiscoveryError

from tap_analytics.config import words as vocabulary
from tap_analytics.rest.endpoint import Offset, Paginator, SinglePage, Window
from tap_analytics.singer.inference import infer
from tap_analytics.singer.schema import kinds, typed, with_nullable_items
from tap_analytics.stream import AnalyticsStream
from tap_analytics.sync.replication import Cursor, FullTable

if TYPE_CHECKING:
    from singer_sdk import Tap

    from tap_analytics.rest.transport import Connection

Words = Mapping[str, Any]
Shipped = Mapping[str, type[AnalyticsStream]]

_WITH_HOST = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)?//")


class DeclaredStream(AnalyticsStream):
    """A resource whose schema is what its own records show."""

    write_disposition = "append"
    primary_keys = ()

    def __init__(self, tap: Tap, connection: Connection) -> None:
        super().__init__(tap, connection)
        if "paginator" not in vars(type(self)):
            self.warn("no paginator is declared, so the answer to one request is taken for everything.")

    @property
    def schema(self) -> dict[str, Any]:
        """The schema that the user's catalog gives, or else the one that a sample shows.

        Raises DiscoveryError where the sample does not show it, and SyncError where there is none.
        """
        if self._input_schema is not None:
            return self._input_schema
        if self._tap.input_catalog is not None:
            return {"type": "object", "properties": {}}  # not in the catalog, so not selected
        if self._schema is None:
            if missing := [name for name in ("base_url", "api_key") if not self.config.get(name)]:
                msg = f"a sample needs {' and '.join(missing)}"
                raise DiscoveryError(msg)
            schema = infer(self.sample(), keys=self.primary_keys)
            if isinstance(self.replication, Cursor):
                for mistake in _cursor_mistakes(self.replication_key, self.replication, schema).values():
                    raise DiscoveryError(mistake)
            self._schema = schema
        return self._schema


# The classes


def classes(config: Words, shipped: Shipped) -> list[type[AnalyticsStream]]:
    """Return the stream classes that the settings ask for: those listed, or all shipped ones."""
    entries = config.get("resources")
    defaults = config.get("resource_defaults") or {}
    return [_class(merge(defaults, entry), config, shipped) for entry in (shipped if entries is None else entries)]


def merge(defaults: Words, entry: str | Words) -> dict[str, Any]:
    """Return a resource with the defaults for what it does not say.

    As dlt merges them (`dlt.sources.rest_api.config_setup`): word by word, in the endpoint word by
    word again, and the parameters one by one. A null takes back what the defaults say.
    """
    resource = {"name": entry} if isinstance(entry, str) else entry
    base, own = (_endpoint(words) for words in (defaults, resource))
    params = {**(base.get("params") or {}), **(own.get("params") or {})}
    endpoint = {**base, **own, "params": _said(params)}
    return _said({**defaults, **resource, "endpoint": _said(endpoint)})


def _endpoint(words: Words) -> Words:
    endpoint = words.get("endpoint") or {}
    return {"path": endpoint} if isinstance(endpoint, str) else endpoint


def _said(words: Words) -> dict[str, Any]:
    """Return words without those that are null."""
    return {word: value for word, value in words.items() if value is not None}


def _class(resource: Words, config: Words, shipped: Shipped) -> type[AnalyticsStream]:
    """Return the class of a resource, made from the shipped one of its name if there is one."""
    base = _base(resource, shipped)
    return type("Declared", (base,), {"__module__": __name__, **_facts(resource, base, config)})


def _base(resource: Words, shipped: Shipped) -> type[AnalyticsStream]:
    return shipped.get(resource["name"], DeclaredStream)


def _facts(resource: Words, base: type[AnalyticsStream], config: Words) -> dict[str, Any]:
    """Return what a resource says, as attributes of a stream class."""
    facts = {"name": resource["name"], **_facts_of_endpoint(resource["endpoint"], config)}
    if "primary_key" in resource:
        keys = resource["primary_key"]
        facts["primary_keys"] = (keys,) if isinstance(keys, str) else tuple(keys)
    by_default = "merge" if "primary_keys" in facts else base.write_disposition
    facts["write_disposition"] = resource.get("write_disposition", by_default)
    if facts["write_disposition"] == "append":
        facts["primary_keys"] = ()
    if "schema" in resource:
        facts["schema"] = with_nullable_items({"type": "object", **resource["schema"]})
    elif base is not DeclaredStream and facts.get("primary_keys", base.primary_keys) != base.primary_keys:
        facts["schema"] = _rekeyed(_shipped_schema(base), facts["primary_keys"])
    return facts


def _facts_of_endpoint(endpoint: Words, config: Words) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if "path" in endpoint:
        facts["path"] = _relative(endpoint["path"], config)
    if "data_selector" in endpoint:
        facts["data_selector"] = endpoint["data_selector"]
    if endpoint["params"]:
        facts["params"] = endpoint["params"]
    if "paginator" in endpoint:
        facts["paginator"] = _paginator(endpoint["paginator"])
    if "error_handler" in endpoint:
        handler = _said(endpoint["error_handler"])
        if "backoff_factor" in handler:
            handler["backoff_factor"] = float(handler["backoff_factor"])  # JSON files give decimals
        facts["error_handler"] = handler
    if "incremental" in endpoint:
        incremental = endpoint["incremental"]
        facts["replication_key"] = incremental["cursor_path"].removeprefix("$.")
        facts["replication"] = Cursor(incremental["start_param"], incremental.get("initial_value"))
    return facts


def _paginator(words: str | Words) -> Paginator:
    facts = {"type": words} if isinstance(words, str) else _said(words)
    return (SinglePage if facts.pop("type") == "single_page" else Offset)(**facts)


def _relative(path: str, config: Words) -> str:
    """Return a path relative to the base URL, which it may repeat."""
    base = str(config.get("base_url", "")).rstrip("/")
    below = path.removeprefix(base)
    return below if below.startswith("/") and _WITH_HOST.match(path) else path


def _shipped_schema(base: type[AnalyticsStream]) -> dict[str, Any]:
    schema: dict[str, Any] = getattr_static(base, "schema").__get__(base, base)
    return schema


def _rekeyed(schema: Words, keys: Sequence[str]) -> dict[str, Any]:
    """Return the schema of records that another key tells apart: nothing else has to be there."""
    properties = {
        name: {**definition, "type": typed(definition["type"], nullable=name not in keys)}
        for name, definition in schema["properties"].items()
    }
    return {**schema, "properties": properties, "required": list(keys)}


# The door


def problems(config: Words, shipped: Shipped) -> Iterator[str]:
    """Yield a line for each mistake in `resource_defaults` and `resources`, which are an object and a list."""
    if "client" in config:
        yield "client: the words of dlt's client are settings here: base_url, api_key, auth_location, auth_name"
    defaults = config.get("resource_defaults")
    entries = config.get("resources")
    if not isinstance(defaults, dict | None) or not isinstance(entries, list | None):
        return  # refused by its type
    mistaken = list(vocabulary.check_defaults(defaults or {}, "resource_defaults"))
    yield from mistaken
    if entries is None:
        if defaults and not mistaken:
            found = (_contradictions(merge(defaults, name), "resource_defaults", config, shipped) for name in shipped)
            yield from dict.fromkeys(chain.from_iterable(found))
        return
    if not entries:
        yield "resources: is empty; leave it out for all shipped streams"
    names: dict[str, int] = {}
    for index, entry in enumerate(entries):
        place = f"resources[{index}]"
        wrong = list(_problems_of(entry, place, shipped))
        yield from wrong
        if isinstance(entry, str | dict) and not wrong:
            name = entry if isinstance(entry, str) else entry["name"]
            if names.setdefault(name, index) != index:
                yield f"{place}.name: {name!r} is declared by resources[{names[name]}] already"
            if not mistaken:
                yield from _contradictions(merge(defaults or {}, entry), place, config, shipped)


def _problems_of(entry: object, place: str, shipped: Shipped) -> Iterator[str]:
    if isinstance(entry, dict):
        yield from vocabulary.check_resource(entry, place)
    elif isinstance(entry, str) and entry not in shipped:
        yield f"{place}: {entry!r} is no shipped stream; those are {', '.join(shipped)}"


def _contradictions(resource: Words, place: str, config: Words, shipped: Shipped) -> Iterator[str]:
    """Yield a line for each pair of words, each valid by itself, that do not go together."""
    base = _base(resource, shipped)
    facts = _facts(resource, base, config)
    path = facts.get("path", getattr(base, "path", None))
    if path is None:
        yield f"{place}.endpoint.path: is missing"
    elif _WITH_HOST.match(path):
        yield f"{place}.endpoint.path: {path!r} is not below base_url; it must be a path such as /v1/resource"
    keys = facts.get("primary_keys", base.primary_keys)
    replication = facts.get("replication", base.replication)
    disposition = facts["write_disposition"]
    if disposition == "merge" and not keys:
        yield f"{place}.primary_key: is missing; the write_disposition merge needs it, append does not"
    if disposition == "replace" and not isinstance(replication, FullTable):
        yield f"{place}.write_disposition: replace reads everything every time; it cannot be incremental"
    if disposition == "replace" and config.get("batch_config"):
        yield f"{place}.write_disposition: replace marks each record, which the files of batch_config cannot"
    yield from _clashes(resource["endpoint"], facts, base, place, config)
    yield from _schema_problems(resource, facts, base, place)


def _clashes(endpoint: Words, facts: Words, base: type[AnalyticsStream], place: str, config: Words) -> Iterator[str]:
    """Yield a line for each parameter of a request that two words set."""
    paginator = facts.get("paginator", base.paginator)
    replication = facts.get("replication", base.replication)
    setters = []
    if config.get("auth_location") == "query":
        setters.append(("auth_name", config.get("auth_name", "api_key")))
    if isinstance(replication, Cursor):
        setters.append(("endpoint.incremental.start_param", replication.param))
    elif not isinstance(replication, FullTable):
        setters += [("the windows of the stream", name) for name in Window.NAMES]
    setters += [("endpoint.paginator.offset_param", paginator.offset_param)]
    setters += [("endpoint.paginator.limit_param", paginator.limit_param)]
    setters += [(f"endpoint.params.{name}", name) for name in endpoint["params"]]
    known: dict[str, str] = {}
    for setter, name in setters:
        if known.setdefault(name, setter) != setter:
            yield f"{place}.{setter}: the parameter {name!r} is set by {known[name]} already"


def _schema_problems(resource: Words, facts: Words, base: type[AnalyticsStream], place: str) -> Iterator[str]:
    """Yield a line for each word that does not fit the schema, where that is known beforehand."""
    schema = resource.get("schema")
    if schema is not None:
        try:
            Draft7Validator.check_schema(schema)
        except SchemaError as error:
            yield f"{place}.schema: is no valid JSON Schema: {error.message}"
            return
    elif base is not DeclaredStream:
        schema = _shipped_schema(base)
    replication = facts.get("replication", base.replication)
    cursor = facts.get("replication_key") or getattr_static(base, "replication_key")
    incremental = f"{place}.endpoint.incremental"
    if schema is None:
        return
    for key in facts.get("primary_keys", base.primary_keys):
        if key not in schema["properties"]:
            yield f"{place}.primary_key: {key!r} is not in the schema; it has {', '.join(schema['properties'])}"
    if isinstance(replication, Cursor):
        for word, mistake in _cursor_mistakes(cursor, replication, schema).items():
            yield f"{incremental}.{word}: {mistake}"
    elif isinstance(cursor, str) and "string" not in kinds(schema["properties"].get(cursor, {})):
        yield f"{place}.schema: {cursor!r} is no string in it, which the stream is replicated by"


def _cursor_mistakes(cursor: str | None, way: Cursor, schema: Words) -> dict[str, str]:
    """Return what is wrong with a cursor under a schema, by the word that says it."""
    properties = schema["properties"]
    if cursor not in properties:
        return {"cursor_path": f"{cursor!r} is not in the schema; it has {', '.join(properties)}"}
    types = set(kinds(properties[cursor]))
    if not types & {"string", "integer"}:
        return {"cursor_path": f"the type of {cursor!r} must be string or integer, for a timestamp or a whole number"}
    value = way.initial_value
    if value is None:
        return {}
    if "integer" in types and not isinstance(value, int):
        return {"initial_value": f"{value!r} is not valid; {cursor!r} is a whole number"}
    if "integer" not in types and not isinstance(value, str):
        return {"initial_value": f"{value!r} is not valid; {cursor!r} is a timestamp"}
    return {}

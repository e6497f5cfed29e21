"""What users declare, checked and made into `Resource` values of the same kind as the shipped ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft7Validator
from jsonschema.exceptions import SchemaError

from tap_analytics.config.words import (
    ClientWords,
    Endpoint,
    Resource,
    SchemaContractWords,
    WriteDisposition,
    is_absolute,
    plain,
)
from tap_analytics.declare import build, ignored_words, problems, quoted, suggestion, words
from tap_analytics.rest import placeholders
from tap_analytics.rest.auth import ApiKeyAuth, Auth
from tap_analytics.rest.paginators import Offset, PageNumber, SinglePage
from tap_analytics.rest.request import joined, same_origin
from tap_analytics.singer.schema import kinds
from tap_analytics.sync.incremental import PLACEHOLDERS, Incremental
from tap_analytics.sync.replication import FullTable

Json = Mapping[str, Any]
Shipped = Mapping[str, Resource]
Problems = Iterator[str]

SECRET_SETTINGS = ("api_key", "token", "username", "password", "client_id", "client_secret")
"""Settings that a secret which `auth` leaves out is taken from, by its own name."""


@dataclass(frozen=True)
class Api:
    """The API that all resources belong to, with its secrets."""

    base_url: str
    headers: Json
    auth: Auth | None


def api(config: Json) -> Api:
    """Return the API that valid settings describe: by `client`, or by the flat settings."""
    client = build(ClientWords, config["client"]) if config.get("client") else ClientWords()
    auth = with_secrets(client.auth, config)
    if not config.get("client") and config.get("api_key"):
        auth = ApiKeyAuth(
            api_key=config["api_key"],
            name=config.get("auth_name", "api_key"),
            location=config.get("auth_location", "header"),
        )
    return Api(client.base_url or config.get("base_url", ""), client.headers or {}, auth)


def with_secrets(auth: Auth | None, config: Json) -> Auth | None:
    """Return an authentication with the secrets that it leaves out, from the settings of their names."""
    if auth is None:
        return None
    missing = {name: config[name] for name in auth.secret_words if not getattr(auth, name) and config.get(name)}
    return replace(auth, **missing) if missing else auth


# From JSON to values


def resources(config: Json, shipped: Shipped) -> list[Resource]:
    """Return the resources that valid settings ask for: those listed, or all shipped ones."""
    entries = config.get("resources")
    if entries is None:
        defaults = config.get("resource_defaults") or {}
        return [extended(resource, merged(defaults, {"name": name}), config) for name, resource in shipped.items()]
    return [_resource(entry, config, shipped) for entry in entries]


def _resource(entry: str | Json, config: Json, shipped: Shipped) -> Resource:
    stated = merged(config.get("resource_defaults") or {}, entry)
    base = shipped.get(_extended_name(stated))
    if base is not None:
        return extended(base, stated, config)
    endpoint = stated.get("endpoint", {})
    client = config.get("client") or {}
    if "paginator" in client and "paginator" not in endpoint and not build(Endpoint, endpoint).is_single_entity:
        endpoint = {**endpoint, "paginator": client["paginator"]}
    resource: Resource = build(Resource, {**stated, "endpoint": {"path": stated["name"], **endpoint}})
    return _with_endpoint_secrets(resource, config)


def _extended_name(stated: Json) -> str:
    extends = stated.get("extends")
    return str(stated.get("name")) if extends is True else str(extends or "")


def extended(base: Resource, stated: Json, config: Json) -> Resource:
    """Return a shipped resource with what is stated over its facts."""
    own: Resource = build(Resource, {"name": base.name, **stated})
    said = {name: getattr(own, name) for name in words(Resource) if stated.get(name) is not None}
    inner = {name: getattr(own.requests, name) for name in words(Endpoint) if name in stated.get("endpoint", {})}
    params = {**(base.requests.params or {}), **(inner.get("params") or {})}
    endpoint = replace(base.requests, **{**inner, "params": params or None})
    resource = replace(base, **{**said, "endpoint": endpoint})
    if resource.disposition == "replace":
        resource = replace(resource, replication=FullTable())
    return _with_endpoint_secrets(resource, config)


def _with_endpoint_secrets(resource: Resource, config: Json) -> Resource:
    endpoint = resource.requests
    if endpoint.auth is None:
        return resource
    return replace(resource, endpoint=replace(endpoint, auth=with_secrets(endpoint.auth, config)))


def merged(defaults: Json, entry: str | Json) -> dict[str, Any]:
    """Return a resource with the defaults for what it does not say, in one form of each word.

    As dlt merges them (`dlt.sources.rest_api.config_setup`): word by word, in the endpoint word by word again, and
    parameters, body and columns by name. A null takes back what the defaults say.
    """
    resource: Json = {"name": entry, "endpoint": {"path": entry}} if isinstance(entry, str) else entry
    base, own = _endpoint(defaults), _endpoint(resource)
    endpoint: dict[str, Any] = {**base, **own}
    for name in ("params", "json", "headers"):
        if isinstance(base.get(name), dict) and isinstance(own.get(name), dict):
            endpoint[name] = {**base[name], **own[name]}
    columns: dict[str, Any] = {}
    if isinstance(defaults.get("columns"), dict) and isinstance(resource.get("columns"), dict):
        columns = {"columns": {**defaults["columns"], **resource["columns"]}}
    stated = _said({**defaults, **resource, **columns, "endpoint": _normalized(plain(_said(endpoint)))})
    return stated if stated["endpoint"] else {name: item for name, item in stated.items() if name != "endpoint"}


def _endpoint(stated: Json) -> Json:
    endpoint = stated.get("endpoint") or {}
    return {"path": endpoint} if isinstance(endpoint, str) else endpoint


def _said(stated: Json) -> dict[str, Any]:
    """Return words without those that are null."""
    return {name: value for name, value in stated.items() if value is not None}


def _normalized(endpoint: Json) -> dict[str, Any]:
    """Return an endpoint in one form: what `params` say of the path and of the cursor stands where it belongs."""
    normal = dict(endpoint)
    path, params = normal.get("path"), normal.get("params")
    if not isinstance(params, dict):
        return normal
    kept: dict[str, Any] = {}
    for name, value in params.items():
        kind = value.get("type") if isinstance(value, dict) else None
        if kind == "incremental":
            normal["incremental"] = {"start_param": name, **value}
        elif kind == "resolve" and name in placeholders.names(path or ""):
            path = _bound(path, name, f"{{resources.{value.get('resource')}.{value.get('field')}}}")
        elif isinstance(path, str) and name in placeholders.names(path):
            path = _bound(path, name, placeholders.expand_path("{value}", {"value": value}))
        elif value is not None:
            kept[name] = value
    normal |= {"path": path} if path is not None else {}
    return {**normal, "params": kept} if kept else {name: item for name, item in normal.items() if name != "params"}


def _bound(path: str | None, name: str, value: str) -> str | None:
    return path.replace(f"{{{name}}}", value) if isinstance(path, str) else path


# Checks


def check(config: Json, shipped: Shipped) -> Problems:
    """Yield a line for each mistake in `client`, `resource_defaults` and `resources`."""
    mistakes = list(_client_problems(config))
    defaults, entries = config.get("resource_defaults") or {}, config.get("resources")
    if not isinstance(defaults, dict) or not isinstance(entries, list | None):
        yield from mistakes
        return  # refused by their types
    optional = {"name": "defaults", **defaults} if "name" not in defaults else defaults
    mistakes += problems(Resource, optional, "resource_defaults")
    mistakes += _default_problems(defaults)
    yield from mistakes
    wrong = dict(_list_problems(entries)) if entries is not None else {}
    yield from (line for lines in wrong.values() for line in lines)
    if not mistakes:
        yield from _resources_problems(config, shipped, wrong)


def _client_problems(config: Json) -> Problems:
    client = config.get("client")
    if client is None:
        return
    yield from problems(ClientWords, client, "client")
    if not isinstance(client, dict):
        return
    base_url = client.get("base_url")
    if base_url is not None and config.get("base_url", base_url) != base_url:
        yield "base_url: client.base_url says otherwise; state it in one place"
    if base_url is None and not config.get("base_url"):
        yield "client.base_url: is missing. Address of the API; it may also be the setting base_url."


def _default_problems(defaults: Json) -> Problems:
    for name in ("name", "extends"):
        if defaults.get(name) is not None:
            yield f"resource_defaults.{name}: is not valid in the defaults; every resource has its own"
    if _endpoint(defaults).get("path") is not None:
        yield "resource_defaults.endpoint.path: is not valid in the defaults; every resource has its own path"


def _list_problems(entries: Sequence[Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield the path of each resource that has mistakes of its own, and a line for each of them."""
    if not entries:
        yield "resources", ["resources: is empty; leave it out for all shipped streams"]
    names: dict[str, int] = {}
    for index, entry in enumerate(entries):
        path = f"resources[{index}]"
        if not isinstance(entry, str | dict):
            yield path, []  # refused by its type
            continue
        lines = list(problems(Resource, entry, path))
        name = entry if isinstance(entry, str) else entry.get("name")
        if isinstance(name, str) and names.setdefault(name, index) != index:
            lines.append(f"{path}.name: {name!r} is declared by resources[{names[name]}] already")
        if lines:
            yield path, lines


def _resources_problems(config: Json, shipped: Shipped, wrong: Mapping[str, object]) -> Problems:
    """Yield a line for each mistake that shows only once the defaults are merged, of resources that have no other."""
    entries = config.get("resources")
    named = [(f"resources[{index}]", entry) for index, entry in enumerate(entries or ())]
    named = [(path, entry) for path, entry in named if path not in wrong]
    if entries is None and config.get("resource_defaults"):
        named = [("resource_defaults", {"name": name, "extends": True}) for name in shipped]
    checked: list[tuple[str, Resource]] = []
    seen: set[str] = set()
    for path, entry in named:
        stated = merged(config.get("resource_defaults") or {}, entry)
        lines = [*_merged_problems(stated, path, shipped)]
        if not lines:
            resource = _resource(stated, config, shipped)
            checked.append((path, resource))
            lines = [*resource_problems(resource, path, config)]
        yield from (line for line in lines if line not in seen)
        seen.update(lines)
    names = [entry.get("name") if isinstance(entry, dict) else entry for entry in entries or ()]
    yield from _parent_problems(checked, [name for name in names if isinstance(name, str)])


def _merged_problems(stated: Json, path: str, shipped: Shipped) -> Problems:
    base = _extended_name(stated)
    if base and base not in shipped:
        yield f"{path}.extends: {quoted(base)} is not a shipped stream; {suggestion(base, list(shipped))}"
    yield from problems(Resource, stated, path)
    for name, value in (_endpoint(stated).get("params") or {}).items():
        if isinstance(value, dict):
            yield f"{path}.endpoint.params.{name}: no part of the path is {{{name}}}, which it would be resolved for"


def resource_problems(resource: Resource, path: str, config: Json) -> Problems:
    """Yield a line for each pair of words, each valid by itself, that contradict each other."""
    endpoint, described = resource.requests, api(config)
    if (config.get("client") or {}).get("base_url") == "" and not is_absolute(endpoint.path or ""):
        yield f"{path}.endpoint.path: is below base_url, which is empty"
    elif (
        described.base_url
        and is_absolute(endpoint.path or "")
        and not _is_same_origin(endpoint.path or "", described.base_url)
    ):
        yield f"{path}.endpoint.path: {endpoint.path!r} is on another server than base_url, which is refused"
    if endpoint.json is not None and endpoint.data is not None:
        yield f"{path}.endpoint.data: a request has one body; remove json or data"
    if resource.disposition == "replace" and config.get("batch_config"):
        yield f"{path}.write_disposition: replace marks each record, which the files of batch_config cannot"
    yield from _auth_problems(endpoint.auth, f"{path}.endpoint.auth")
    yield from _placeholder_problems(resource, path)
    yield from _parameter_problems(resource, path, described.auth)
    yield from _paginator_problems(endpoint, path)
    yield from _schema_problems(resource, path)


def _is_same_origin(path: str, base_url: str) -> bool:
    try:
        return same_origin(joined(base_url, path) if not path.startswith("//") else "http:" + path, base_url)
    except ValueError:
        return False


def _auth_problems(auth: Auth | None, path: str) -> Problems:
    for name in auth.secret_words if auth is not None else ():
        if getattr(auth, name) is None or (name != "password" and not getattr(auth, name)):
            yield f"{path}.{name}: is missing; state it, or the setting {name} (TAP_ANALYTICS_{name.upper()})"


def client_auth_problems(config: Json) -> Problems:
    """Yield a line for each secret that the client's authentication lacks."""
    if config.get("client"):
        yield from _auth_problems(api(config).auth, "client.auth")


def _placeholder_problems(resource: Resource, path: str) -> Problems:
    endpoint, parent = resource.requests, resource.parent
    for name in sorted(endpoint.placeholders):
        first, _, rest = name.partition(".")
        if first == "incremental":
            if endpoint.incremental is None:
                yield f"{path}.endpoint: {{{name}}} stands for nothing; declare endpoint.incremental"
            elif rest not in PLACEHOLDERS:
                yield f"{path}.endpoint: {{{name}}} is unknown; {suggestion(rest, PLACEHOLDERS)}"
            elif (
                endpoint.incremental.initial_value is None
                and rest not in {"end_value", "lag"}
                and not _is_optional(endpoint, name)
            ):
                yield f"{path}.endpoint.incremental.initial_value: is missing; the first run needs it for {{{name}}}"
        elif first != "resources" and name in placeholders.names(endpoint.path or ""):
            yield f"{path}.endpoint.path: {{{name}}} stands for nothing; state it in params, or as {{resources.….…}}"
    parents = {name.split(".")[1] for name in endpoint.placeholders if name.startswith("resources.")}
    if len(parents) > 1:
        yield f"{path}.endpoint: refers to several parents, {', '.join(sorted(parents))}; one is possible"
    if resource.include_from_parent and parent is None:
        yield f"{path}.include_from_parent: there is no parent; refer to one, as in {{resources.users.id}}"


def _is_optional(endpoint: Endpoint, name: str) -> bool:
    """Tell whether a request can do without a placeholder: it is all of a parameter, which is left out then."""
    rest = [endpoint.path, endpoint.json, endpoint.data, endpoint.headers or {}]
    values = (endpoint.params or {}).values()
    return name not in placeholders.names(rest) and all(
        value == f"{{{name}}}" for value in values if name in placeholders.names(value)
    )


def _parameter_problems(resource: Resource, path: str, auth: Auth | None) -> Problems:
    """Yield a line for each parameter of a request that two words set."""
    endpoint, paginator = resource.requests, resource.requests.pagination
    setters: list[tuple[str, str]] = []
    auth = endpoint.auth or auth
    if isinstance(auth, ApiKeyAuth) and auth.location in {"query", "param"}:
        setters.append(("auth_name", auth.name))
    if endpoint.incremental is not None:
        cursor = endpoint.incremental
        setters.append(("endpoint.incremental.start_param", cursor.start_param or ""))
        setters.append(("endpoint.incremental.end_param", cursor.end_param or ""))
    if days := getattr(resource.replication, "days", None):
        setters += [("the windows of the stream", name) for name in days.names]
    # A single page sends its parameters only where it may have been cut off.
    names = [] if isinstance(paginator, SinglePage) else [item.name for item in fields(paginator)]  # type: ignore[arg-type] # a dataclass
    params = [name for name in names if name.endswith("_param")]
    setters += [(f"endpoint.paginator.{name}", getattr(paginator, name) or "") for name in params]
    setters += [(f"endpoint.params.{name}", name) for name in endpoint.params or {}]
    limit = getattr(paginator, "limit", None)
    if limit is not None and (endpoint.params or {}).get(getattr(paginator, "limit_param", "")) == limit:
        setters = [(setter, name) for setter, name in setters if setter != "endpoint.paginator.limit_param"]
    known: dict[str, str] = {}
    for setter, name in setters:
        if name and known.setdefault(name, setter) != setter:
            yield f"{path}.{setter}: the parameter {name!r} is set by {known[name]} already"


def _paginator_problems(endpoint: Endpoint, path: str) -> Problems:
    paginator = endpoint.paginator
    if paginator is not None and endpoint.data is not None:
        for name in [item.name for item in fields(paginator) if item.name.endswith("_body_path")]:
            if getattr(paginator, name):
                yield f"{path}.endpoint.paginator.{name}: writes into a JSON body; state json instead of data"
    if isinstance(paginator, Offset | PageNumber):
        for param in [item.name for item in fields(paginator) if item.name.endswith("_param")]:
            body_path = param.replace("_param", "_body_path")
            default = type(paginator).__dataclass_fields__[param].default
            if getattr(paginator, body_path, None) and getattr(paginator, param) not in {default, None}:
                yield f"{path}.endpoint.paginator.{body_path}: {param} says otherwise; remove one of them"


def _schema_problems(resource: Resource, path: str) -> Problems:
    """Yield a line for each word that does not fit the schema, where that is known beforehand."""
    if resource.schema is not None:
        lines = [*_json_schema_problems(resource.schema, f"{path}.schema")]
        yield from lines
        if lines:
            return
    schema = resource.known_schema
    if schema is None:
        return
    properties = schema["properties"]
    for key in resource.keys:
        if key not in properties:
            yield f"{path}.primary_key: {key!r} is not in the schema; it has {', '.join(properties)}"
    incremental = resource.requests.incremental
    if incremental is not None:
        for name, mistake in cursor_problems(incremental, schema).items():
            yield f"{path}.endpoint.incremental.{name}: {mistake}"
    for cursor in resource.replication.observed if incremental is None else ():
        if "string" not in kinds(properties.get(cursor, {})):
            yield f"{path}.schema: {cursor!r} must be a string in it; the stream is replicated by it"


def _json_schema_problems(schema: Json, path: str) -> Problems:
    properties = schema.get("properties")
    if schema.get("type", "object") not in ("object", ["object"]) or not isinstance(properties, dict) or not properties:
        yield f"{path}: is not valid; expected a JSON Schema of an object, with properties"
        return
    lines = [
        line for name, item in properties.items() for line in _definition_problems(item, f"{path}.properties.{name}")
    ]
    yield from lines
    if not lines:
        try:
            Draft7Validator.check_schema(schema)
        except SchemaError as error:
            yield f"{path}: is not a valid JSON Schema: {error.message}"


def _definition_problems(value: object, path: str) -> Problems:
    """Check what the SDK and the tap take for granted of the schema of a field, at whatever depth."""
    if not isinstance(value, dict):
        yield f"{path}: {quoted(value)} is not valid; expected a JSON Schema that is an object"
        return
    if "$ref" in value:
        yield f"{path}.$ref: is not supported; write out what it refers to"
    if "items" in value:
        yield from _definition_problems(value["items"], f"{path}.items")
    properties = value.get("properties", {})
    for name, definition in properties.items() if isinstance(properties, dict) else ():
        yield from _definition_problems(definition, f"{path}.properties.{name}")


def cursor_problems(incremental: Incremental, schema: Json) -> dict[str, str]:
    """Return what is wrong with a cursor under a schema, by the word that says it."""
    definition: Json = schema
    for name in incremental.observed:
        properties = definition.get("properties", {})
        if name not in properties:
            return {"cursor_path": f"{incremental.cursor_path!r} is not in the schema; it has {', '.join(properties)}"}
        definition = properties[name]
    types = set(kinds(definition))
    if not types & {"string", "integer", "number"}:
        return {"cursor_path": f"{incremental.cursor_path!r} must be a string (a timestamp) or a number"}
    counts = bool(types & {"integer", "number"})
    for word in ("initial_value", "end_value"):
        value = getattr(incremental, word)
        if value is not None and isinstance(value, str) == counts:
            kind = "a number" if counts else "a timestamp"
            return {word: f"{quoted(value)} is not valid; {incremental.cursor_path!r} is {kind}"}
    return {}


def _parent_problems(checked: Sequence[tuple[str, Resource]], names: Sequence[str]) -> Problems:
    parents = {resource.name: resource.parent.name for _, resource in checked if resource.parent}
    for path, resource in checked:
        if resource.parent is None:
            continue
        if resource.parent.name not in names:
            yield (
                f"{path}.endpoint: the parent {resource.parent.name!r} is not among the resources; "
                f"{suggestion(resource.parent.name, names)}"
            )
        ancestors, name = [resource.name], parents.get(resource.name)
        while name is not None and name not in ancestors:
            ancestors.append(name)
            name = parents.get(name)
        if name == resource.name:
            yield f"{path}.endpoint: is its own parent: {' -> '.join([*ancestors, name])}"


def notes(config: Json) -> Iterator[str]:
    """Yield a line for each word that is accepted and has no effect on a tap."""
    seen: dict[str, None] = {}
    for entry in [config.get("resource_defaults"), *(config.get("resources") or ())]:
        if isinstance(entry, dict):
            seen |= dict.fromkeys(ignored_words(Resource, entry))
            seen |= dict.fromkeys(ignored_words(WriteDisposition, entry.get("write_disposition")))
            seen |= dict.fromkeys(ignored_words(SchemaContractWords, entry.get("schema_contract")))
            seen |= dict.fromkeys(ignored_words(Incremental, _endpoint(entry).get("incremental")))
    for name in seen:
        yield f"{name}: steers dlt's loader; it has no effect here."


def warnings(config: Json, shipped: Shipped) -> Iterator[str]:
    """Yield a line for each resource of which something else becomes than its words say, and each unused secret."""
    every = resources(config, shipped)
    auths = [api(config).auth, *(resource.requests.auth for resource in every)]
    used = {word for auth in auths if auth is not None for word in auth.secret_words}
    for name in SECRET_SETTINGS:
        if config.get(name) and name not in used:
            yield f"{name}: is not used. Neither client.auth nor the auth of a resource takes it; see client.auth."
    for resource in every:
        if resource.disposition == "merge" and not resource.keys:
            yield f"{resource.name}: has the write_disposition merge, but no primary_key; its records are appended."


def with_aliases(config: Json, shipped: Shipped) -> dict[str, Any]:
    """Return `stream_maps` in which the table_name of each resource is the alias of its stream."""
    maps = dict(config.get("stream_maps") or {})
    for resource in resources(config, shipped):
        own = maps.get(resource.name, {})
        if resource.table_name and isinstance(own, dict):
            maps[resource.name] = {"__alias__": resource.table_name, **own}
    return maps


def path_of(base_url: str, path: str) -> str:
    """Return how messages name a resource: its path, relative to the base URL, which it may repeat."""
    if not is_absolute(path):
        return path or urlsplit(base_url).path or "/"
    return re.sub(r"^[^/]*//[^/]*", "", path) or "/"

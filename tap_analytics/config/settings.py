"""Settings: checked before the first request; each mistake is one line that says what would be valid."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar, get_args
from urllib.parse import parse_qsl, urlsplit

import requests
from singer_sdk.plugin_base import JSONSchemaValidator

from tap_analytics.config import resources, stream_maps
from tap_analytics.declare import Words, at_least, problems, quoted, word
from tap_analytics.rest.auth import Auth
from tap_analytics.singer.schema import kinds
from tap_analytics.timestamps import parse_instant

if TYPE_CHECKING:
    from jsonschema import ValidationError

    from tap_analytics.config.words import Resource

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110, 5.6.2
_OF_HTTP = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "te", "upgrade", "expect"}
_NUMBERS = ("backoff_factor", "request_timeout")
_SECRET_NAMES = frozenset(
    "apikey token password passwd secret clientsecret accesstoken refreshtoken authtoken accesskey secretkey "  # noqa: SIM905 - a list of words
    "privatekey authkey subscriptionkey".split()
)
"""Names of secrets, in lower case and without what separates words."""
_LONG_NAMES = frozenset(["key", "appid", "appkey", "sig", "signature"])
"""Names of which the value is a secret where it is as long as one."""
_LONG = 16
_SECRET_HEADER = re.compile(r"auth|cookie|key|token|secret|password|signature|session", re.IGNORECASE)


_AUTH_TYPES = {name for kind in get_args(Auth) for name in (kind.type, *getattr(kind, "aliases", ()))}


def secrets(config: object) -> Iterator[str]:
    """Yield every secret in the settings, at whatever depth: in `auth`, headers, parameters, bodies and addresses."""
    if isinstance(config, Mapping):
        for name, value in config.items():
            if name == "headers" and isinstance(value, Mapping):
                yield from (str(text) for header, text in value.items() if _SECRET_HEADER.search(str(header)))
            if name == "auth":
                yield from _misplaced(value)
            if _is_secret(str(name), value) and isinstance(value, str | int | float | Decimal):
                yield str(value).strip()
            else:
                yield from secrets(value)
    elif isinstance(config, list):
        yield from (secret for item in config for secret in secrets(item))
    elif isinstance(config, str) and "?" in config:
        yield from (value for name, value in parse_qsl(config.partition("?")[2]) if _is_secret(name, value))


def _is_secret(name: str, value: object) -> bool:
    plain = re.sub(r"[^a-z]", "", name.lower())
    if "{" in str(value) and isinstance(value, str):
        return False  # a placeholder
    return plain in _SECRET_NAMES or (plain in _LONG_NAMES and len(str(value)) >= _LONG)


def _misplaced(auth: object) -> Iterator[str]:
    """Yield what may be a secret in an authentication that is not valid: the message that refuses it quotes it."""
    if isinstance(auth, str):
        yield from () if auth in _AUTH_TYPES else (auth,)
    elif isinstance(auth, Mapping):
        for name, value in auth.items():
            if _is_secret(str(name), value):
                yield from _texts(value)


def _texts(value: object) -> Iterator[str]:
    """Yield all texts and numbers in a value, which may be of the wrong type."""
    if isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value).strip()


def prepare(config: dict[str, Any]) -> list[str]:
    """Bring settings into the form that the tap works with; return what the user should know.

    Environment variables hold text where a number is meant, files end in a newline, and `null` means a setting that is
    left to its default.
    """
    notes = []
    for name in [name for name, value in config.items() if value is None]:
        del config[name]
    for name in _NUMBERS:
        if isinstance(config.get(name), str | float | Decimal):
            try:
                number = float(config[name])
            except ValueError:
                continue  # refused by its type
            config[name] = number if isfinite(number) else str(number)
    for name in resources.SECRET_SETTINGS:
        value = config.get(name)
        if isinstance(value, str) and value != value.strip():
            config[name] = value.strip()
            notes.append(f"{name}: white space around it was removed.")
    return notes


def check(
    config: dict[str, Any],
    schema: Mapping[str, Any],
    shipped: Mapping[str, Resource],
    *,
    complete: bool,
    variables: Callable[[], Mapping[str, str]],
) -> Iterator[str]:
    """Yield a line for each mistake in the settings; fill in the defaults.

    Args:
        config: The settings.
        schema: Their JSON Schema.
        shipped: The shipped resources, by name.
        complete: Whether what requests need may not be missing.
        variables: Returns the environment variables that hold settings and are not read, by the names of those.
    """
    stated = dict(config)
    try:
        errors = list(JSONSchemaValidator(schema).iter_errors(config))
    except AttributeError:
        # The SDK (0.54.9) has None for a schema of that one word.
        yield "stream_maps: the value of __else__ is not valid; expected null or __NULL__"
        return
    yield from map(_line, errors)
    for name in config.keys() - schema["properties"].keys():
        if close := get_close_matches(name.lower(), schema["properties"], 1):
            yield f"{name}: is unknown; did you mean {close[0]}?"
    if config.get("batch_config"):
        yield from problems(BatchWords, config["batch_config"], "batch_config")
    for name, check_value in _CHECKS.items():
        value = config.get(name)
        if isinstance(value, str) and value and (problem := check_value(value, config)):
            yield f"{name}: {problem}"
    wrong = {error.absolute_path[0] for error in errors if error.absolute_path}
    lines = [*_client_problems(stated), *resources.check(config, shipped)]
    yield from (line for line in lines if line.partition(":")[0] not in wrong)
    if not errors and not lines:
        yield from stream_maps.problems(config, shipped)
        yield from _with_variables(_missing(config, schema), variables) if complete else ()


def _client_problems(stated: Mapping[str, Any]) -> Iterator[str]:
    client = stated.get("client")
    if not isinstance(client, dict):
        return
    for name, default in (("auth_location", "header"), ("auth_name", "api_key")):
        if stated.get(name, default) != default:
            yield f"{name}: is not used beside client; state it in client.auth"
    base_url = client.get("base_url")
    if base_url and isinstance(base_url, str) and (problem := _base_url(base_url, stated)):
        yield f"client.base_url: {problem}"


def _missing(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each setting that requests need and that is missing."""
    described = schema["properties"]
    if not config.get("base_url") and (config.get("client") or {}).get("base_url") is None:
        yield f"base_url: is missing. {described['base_url']['description']}"
    entries = config.get("resources")
    reads_shipped = entries is None or any(isinstance(entry, dict) and entry.get("extends") for entry in entries)
    if not config.get("client") and not config.get("api_key") and reads_shipped:
        yield f"api_key: is missing. {described['api_key']['description']}"
    yield from resources.client_auth_problems(config)


def _with_variables(lines: Iterable[str], variables: Callable[[], Mapping[str, str]]) -> Iterator[str]:
    """Yield lines about missing settings; one that is in the environment, which was not read, with its variable."""
    for line in lines:
        variable = variables().get(line.partition(":")[0].rpartition(".")[2])
        yield f"{line} {variable} is set; --config ENV reads it." if variable else line


def unknown(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each setting that the tap does not know and that is not spelled like one that it does."""
    for name in sorted(config.keys() - schema["properties"].keys()):
        if not get_close_matches(name.lower(), schema["properties"], 1):
            yield without_effect(name, name, schema)


def without_effect(name: str, setting: str, schema: Mapping[str, Any]) -> str:
    """Return a line that says of a name, which would be that of a setting, that there is no such setting."""
    nearest = get_close_matches(setting.lower(), schema["properties"], 1, cutoff=0)
    return f"{name}: is unknown and has no effect; the nearest setting is {nearest[0]}."


_TYPES: Mapping[str, str] = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}
"""What messages call the types of JSON."""


def type_name(schema: Mapping[str, Any]) -> str:
    """Return in words of which type a value is by its schema."""
    return " or ".join(_TYPES[kind] for kind in kinds(schema) if kind in _TYPES)


def _line(error: ValidationError) -> str:
    """Return what a validation error says of its setting; the value of a secret stays out."""
    path = "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in error.absolute_path)
    name = path.lstrip(".")
    message = error.message
    if name in resources.SECRET_SETTINGS:
        message = "must be text that is not empty"
    elif error.validator in {"type", "enum"}:
        schema: Any = error.schema
        expected = type_name(schema) if error.validator == "type" else " or ".join(schema["enum"])
        example = _EXAMPLES.get(name, schema.get("default"))
        message = f"must be {expected}"
        if error.validator == "type" and example is not None and not isinstance(example, bool):
            message += f", like {json.dumps(example)}"
        if not isinstance(error.instance, dict | list):
            message += f", not {quoted(error.instance)}"
    elif isinstance(error.instance, Decimal):
        message = message.replace(repr(error.instance), str(error.instance))
    return f"{name}: {message}"


_EXAMPLES: Mapping[str, Any] = {
    "base_url": "https://api.example.com",
    "start_date": "2026-01-31",
    "end_date": "2026-01-31",
    "client": {"base_url": "https://api.example.com"},
    "resource_defaults": {"write_disposition": "merge"},
    "resources": ["workers"],
}
"""Values of settings that have no default to show."""


@dataclass(frozen=True)
class EncodingWords(Words):
    """How BATCH files are written."""

    format: str = word("Format of the files, such as jsonl.", required=True)
    compression: str | None = word("gzip or none.")


@dataclass(frozen=True)
class StorageWords(Words):
    """Where BATCH files are written."""

    root: str = word("Directory or address of the files.", required=True)
    prefix: str | None = word("What their names begin with.")
    params: dict[str, Any] | None = word("Parameters of the file system.")


@dataclass(frozen=True)
class BatchWords(Words):
    """The setting batch_config, of which the SDK checks only the types."""

    type: ClassVar[str] = ""
    encoding: EncodingWords = word("How files are written.", required=True)
    storage: StorageWords = word("Where files are written.", required=True)
    batch_size: int | None = word("Records of a file.", check=at_least(1))


def _base_url(value: str, config: Mapping[str, Any]) -> str | None:
    del config
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        return f"is not a valid URL ({error})"
    if "://" not in value and re.fullmatch(r"[\w.-]+(:\d+)?(/[\w./-]*)?", value):
        return f"has no scheme; did you mean https://{value}?"
    if parts.scheme not in {"http", "https"} or not parts.hostname or value != value.strip():
        return "must be a URL like https://api.example.com"
    if parts.username is not None or parts.query or parts.fragment:
        return "must not contain a user name, query or fragment; credentials belong in api_key or client.auth"
    try:
        requests.Request("GET", value).prepare()
    except requests.RequestException:
        return f"{value!r} does not contain a valid host name"
    return None


def _api_key(value: str, config: Mapping[str, Any]) -> str | None:
    if config.get("auth_location") == "header" and not (value.isprintable() and value.isascii()):
        return "contains characters that a request header cannot carry"
    return None


def _auth_name(value: str, config: Mapping[str, Any]) -> str | None:
    if config.get("auth_location") == "header" and not _HEADER_NAME.fullmatch(value):
        return f"{value!r} is not a valid header name"
    if config.get("auth_location") == "header" and value.lower() in _OF_HTTP:
        return f"{value!r} is a header that HTTP itself uses"
    return None


def _start_date(value: str, config: Mapping[str, Any]) -> str | None:
    del config
    if parse_instant(value) is None:
        return f"{quoted(value)} is not a date like 2026-01-31 or a date-time like 2026-01-31T00:00:00Z"
    return None


def _end_date(value: str, config: Mapping[str, Any]) -> str | None:
    if problem := _start_date(value, config):
        return problem
    start, end = parse_instant(str(config.get("start_date"))), parse_instant(value)
    if start is None:
        return "needs a start_date"
    if end is not None and end.date() <= start.date():
        return f"{value!r} is not a day after start_date, {config['start_date']!r}"
    return None


_CHECKS = {
    "base_url": _base_url,
    "api_key": _api_key,
    "auth_name": _auth_name,
    "start_date": _start_date,
    "end_date": _end_date,
}

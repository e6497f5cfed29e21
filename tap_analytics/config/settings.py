"""The door: settings are refused here, each in one line that says what would be valid."""

from __future__ import annotations

import re
from decimal import Decimal
from difflib import get_close_matches
from math import isfinite
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from singer_sdk.plugin_base import JSONSchemaValidator

from tap_analytics.timestamps import parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jsonschema import ValidationError

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110, 5.6.2
_OF_HTTP = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "te", "upgrade", "expect"}
_NUMBERS = ("backoff_factor", "request_timeout")


def prepare(config: dict[str, Any]) -> list[str]:
    """Bring settings into the form that the tap works with; return what the user should know.

    Environment variables hold text where a number is meant, files end in a newline, and `null`
    means a setting that is left to its default.
    """
    notes = []
    for name in [name for name, value in config.items() if value is None]:
        del config[name]
    for name in _NUMBERS:
        if isinstance(config.get(name), (str, float, Decimal)):
            try:
                number = float(config[name])
            except ValueError:
                continue  # refused by its type
            config[name] = number if isfinite(number) else str(number)
    key = config.get("api_key")
    if isinstance(key, str) and key != key.strip():
        config["api_key"] = key.strip()
        notes.append("api_key: white space around it was taken off.")
    return notes


def problems(config: dict[str, Any], schema: Mapping[str, Any], *, complete: bool) -> Iterator[str]:
    """Yield a line for each mistake in the settings; fill in the defaults.

    Required settings may be missing where the settings need not be complete.
    """
    try:
        errors = list(JSONSchemaValidator(schema).iter_errors(config))
    except AttributeError:
        # What the SDK (0.54.9) has for a schema of that one word is none.
        yield "stream_maps: the value of __else__ is not valid; it must be null or __NULL__"
        return
    for error in errors:
        if error.validator != "required":
            yield _line(error)
        elif complete:
            name = error.message.split("'")[1]
            yield f"{name}: is missing. {schema['properties'][name]['description']}"
    for name in config.keys() - schema["properties"].keys():
        if close := get_close_matches(name, schema["properties"], 1):
            yield f"{name}: no such setting; did you mean {close[0]}?"
    yield from _batch_problems(config.get("batch_config"))
    for name, check in _CHECKS.items():
        value = config.get(name)
        if isinstance(value, str) and value and (problem := check(value, config)):
            yield f"{name}: {problem}"


def _line(error: ValidationError) -> str:
    """Return what a validation error says of its setting; the value of a secret stays out."""
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    name = place.lstrip(".")
    message = error.message
    if name == "api_key":
        message = "must be text that is not empty"
    elif error.validator == "type":
        message = f"{error.instance!r} is not of type {error.validator_value!r}"
    elif error.validator == "enum":
        message = f"{error.instance!r} is not one of {error.validator_value}"
    if isinstance(error.instance, Decimal):
        message = message.replace(repr(error.instance), str(error.instance))
    return f"{name}: {message}"


def _batch_problems(batches: object) -> Iterator[str]:
    """Yield a line for each mistake in `batch_config` that its schema, which is the SDK's, lets pass."""
    if not isinstance(batches, dict) or not batches:
        return
    known = {"encoding": ("format", "compression"), "storage": ("root", "prefix", "params"), "batch_size": ()}
    for name in batches.keys() - known.keys():
        yield f"batch_config.{name}: is not known; valid are {', '.join(known)}"
    for name, needed in (("encoding", "format"), ("storage", "root")):
        part = batches.get(name)
        stated = part if isinstance(part, dict) else {}
        if not stated.get(needed):
            yield f"batch_config.{name}.{needed}: is missing"
        for word in stated.keys() - set(known[name]):
            yield f"batch_config.{name}.{word}: is not known; valid are {', '.join(known[name])}"
    size = batches.get("batch_size", 1)
    if type(size) is not int or size < 1:
        yield f"batch_config.batch_size: {size!r} is no whole number from 1 on"


def _base_url(value: str, config: Mapping[str, Any]) -> str | None:
    del config
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        return f"is no URL ({error})"
    if parts.scheme not in {"http", "https"} or not parts.hostname or value != value.strip():
        return "must be a URL like https://api.example.com"
    if parts.username is not None or parts.query or parts.fragment:
        return "must have no user name, query or fragment; the key belongs in api_key"
    try:
        requests.Request("GET", value).prepare()
    except requests.RequestException:
        return f"{value!r} names no host that there can be"
    return None


def _api_key(value: str, config: Mapping[str, Any]) -> str | None:
    if config.get("auth_location") == "header" and not (value.isprintable() and value.isascii()):
        return "holds characters that a request header cannot carry"
    return None


def _auth_name(value: str, config: Mapping[str, Any]) -> str | None:
    if config.get("auth_location") == "header" and not _HEADER_NAME.fullmatch(value):
        return f"{value!r} cannot be the name of a request header"
    if config.get("auth_location") == "header" and value.lower() in _OF_HTTP:
        return f"{value!r} is a header that HTTP itself needs"
    return None


def _start_date(value: str, config: Mapping[str, Any]) -> str | None:
    del config
    if parse_instant(value) is None:
        return f"{value!r} is no date like 2026-01-31 and no date-time like 2026-01-31T00:00:00Z"
    return None


def _end_date(value: str, config: Mapping[str, Any]) -> str | None:
    if problem := _start_date(value, config):
        return problem
    start, end = parse_instant(str(config.get("start_date"))), parse_instant(value)
    if start is None:
        return "needs a start_date"
    if end is not None and end.date() <= start.date():
        return f"{value!r} is no day after start_date, {config['start_date']!r}"
    return None


_CHECKS = {
    "base_url": _base_url,
    "api_key": _api_key,
    "auth_name": _auth_name,
    "start_date": _start_date,
    "end_date": _end_date,
}

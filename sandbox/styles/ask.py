"""A request as a style sees it, and how a style answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlencode, urlsplit, urlunsplit

from sandbox.faults import JSON, Answer

_ROOT: Final = "/styles/"


class RefusedError(Exception):
    """A request that a style answers with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Ask:
    """A request: its absolute address as it was written, its headers, and its body."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str = ""

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """The segments of the path below `/styles/`, each unquoted by itself."""
        below = urlsplit(self.url).path.partition(_ROOT)[2]
        return tuple(map(unquote, below.split("/")))

    @cached_property
    def params(self) -> dict[str, list[str]]:
        """The parameters of the query, with all their values."""
        return parse_qs(urlsplit(self.url).query, keep_blank_values=True)

    @cached_property
    def json(self) -> dict[str, Any]:
        """The JSON object in the body; refuses any other body."""
        if "application/json" not in self.header("Content-Type"):
            raise RefusedError(415, "The body must be application/json")
        try:
            value = json.loads(self.body)
        except ValueError:
            raise RefusedError(400, "The body is not JSON") from None
        if not isinstance(value, dict):
            raise RefusedError(400, "The body must be a JSON object")
        return value

    @cached_property
    def form(self) -> dict[str, list[str]]:
        """The fields of the form in the body; refuses any other body."""
        if "application/x-www-form-urlencoded" not in self.header("Content-Type"):
            raise RefusedError(415, "The body must be a form")
        return parse_qs(self.body, keep_blank_values=True)

    def header(self, name: str) -> str:
        """Return the value of a header, whose name may be in any case; empty without one."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), "")

    def param(self, name: str) -> str | None:
        """Return the last value of a parameter, or None without one."""
        return self.params.get(name, [None])[-1]

    def field(self, path: str) -> Any:  # noqa: ANN401 - any JSON
        """Return the value at a dotted path of the JSON body, or None without one."""
        value: Any = self.json
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def number(self, name: str, default: int, *, least: int = 0, in_body: bool = False) -> int:
        """Return a whole number from the query or, by its dotted path, from the JSON body."""
        value = self.field(name) if in_body else self.param(name)
        if value is None:
            return default
        number = int(value) if str(value).isdecimal() else least - 1
        if number < least or (in_body and not isinstance(value, int)):
            raise RefusedError(400, f"{name} must be a whole number, at least {least}")
        return number

    def link(self, **params: object) -> str:
        """Return the address of this request with some parameters changed (None removes one)."""
        changed = {**self.params, **{name: [value] for name, value in params.items()}}
        query = urlencode({name: values for name, values in changed.items() if values != [None]}, doseq=True)
        return urlunsplit(urlsplit(self.url)._replace(query=query))


def reply(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an answer that holds a JSON value."""
    return Answer(status, json.dumps(value, ensure_ascii=False).encode(), {**JSON, **(headers or {})})


def put(body: dict[str, Any], path: str | None, value: object) -> None:
    """Set the value at a dotted path of a body; without a path, nothing."""
    if path is None:
        return
    *parents, name = path.split(".")
    for parent in parents:
        body = body.setdefault(parent, {})
    body[name] = value

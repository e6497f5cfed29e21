"""A request as a value: the endpoint, the slice, the paginator and the authentication each add to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

import requests

from tap_analytics.rest.placeholders import Bindings, expand, expand_path

NOTHING: Mapping[str, Any] = MappingProxyType({})

_QUOTED_VALUE = 80
"""Characters of a parameter's value that a message quotes."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the API."""

    url: str
    """Address without the parameters of `params`; placeholders are still in it until `expanded`."""
    method: str = "GET"
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    data: Any = None
    cookies: Mapping[str, str] = field(default_factory=dict)
    path: str = field(default="", compare=False)
    """How messages name the resource: never a host, never a secret."""

    @property
    def label(self) -> str:
        """The request as messages name it: method, path and parameters."""
        params = ", ".join(f"{name}={_shortened(value)}" for name, value in self.params.items() if value is not None)
        return f"{self.method} {self.path}" + (f" ({params})" if params else "")

    def with_params(self, params: Mapping[str, Any]) -> Request:
        """Return the request with parameters added or replaced."""
        return replace(self, params={**self.params, **params}) if params else self

    def with_headers(self, headers: Mapping[str, str]) -> Request:
        """Return the request with headers added, or replaced whatever their case."""
        named = {name.lower() for name in headers}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in named}
        return replace(self, headers={**kept, **headers})

    def with_json(self, path: str, value: object) -> Request:
        """Return the request with a value at a dotted path of its JSON body."""
        return replace(self, json=_with_value(self.json, path.removeprefix("$.").split("."), value))

    def at(self, link: str) -> Request:
        """Return the request for another address, absolute or relative, which brings its own parameters.

        Raises ValueError where the link is not an address.
        """
        url = urljoin(self.with_query().url, link)
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for a port that is not a number
        query = f"?{_shortened(parts.query)}" if parts.query else ""
        return replace(self, url=url, params=NOTHING, path=parts.path + query)

    def with_query(self) -> Request:
        """Return the request with its parameters in its address."""
        query = urlencode([*_pairs(self.params)])
        if not query:
            return self
        parts = urlsplit(self.url)
        joined = f"{parts.query}&{query}" if parts.query else query
        return replace(self, url=urlunsplit(parts._replace(query=joined)), params=NOTHING)

    def expanded(self, bindings: Bindings) -> Request:
        """Return the request with its placeholders replaced: quoted in the address, as they are elsewhere."""
        return replace(
            self,
            url=expand_path(self.url, bindings),
            path=expand_path(self.path, bindings),
            params=expand(self.params, bindings),
            headers={name: str(value) for name, value in expand(self.headers, bindings).items() if value is not None},
            json=expand(self.json, bindings),
            data=expand(self.data, bindings),
        )


def _pairs(params: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return parameters as a query has them: lists repeated, null left out, booleans as Python writes them.

    dlt sends booleans through requests, which writes `True`.
    """
    return [
        (str(name), str(item))
        for name, value in params.items()
        for item in (value if isinstance(value, list | tuple) else [value])
        if item is not None
    ]


def _shortened(value: object) -> str:
    text = re.sub(r"\s+", " ", str(value))
    return text if len(text) <= _QUOTED_VALUE else f"{text[:_QUOTED_VALUE]}…"


def _with_value(body: object, names: list[str], value: object) -> dict[str, Any]:
    first, *rest = names
    changed = dict(body) if isinstance(body, Mapping) else {}
    changed[first] = _with_value(changed.get(first), rest, value) if rest else value
    return changed


def joined(base_url: str, path: str) -> str:
    """Return the address of a path below a base URL; an absolute path stays as it is."""
    if re.match(r"https?://", path, re.IGNORECASE):
        return path
    return f"{base_url.rstrip('/')}/{path.lstrip('/')}" if path else base_url


def same_origin(one: str, other: str) -> bool:
    """Tell whether two URLs share scheme, host and port."""
    return origin(one) == origin(other)


def as_sent(url: str) -> str:
    """Return an address as it will be sent: there are addresses that two readers take for two servers.

    Raises ValueError where it is not one.
    """
    return requests.Request("GET", url).prepare().url or ""


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port of a URL; raises ValueError where it is not one."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)

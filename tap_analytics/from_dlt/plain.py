"""Writes values that need no translation, and lists those that only running the pipeline would show."""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from tap_analytics.from_dlt.credentials import secret
from tap_analytics.from_dlt.findings import Findings
from tap_analytics.from_dlt.values import Function, Instance, Reference, Scope, Unknown, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Handler = Callable[[Value, str], Any]

MISSING: Final = object()
"""What a word is worth that is left out."""

_INSTEAD: Final = {
    "access_token_request_data": "write the value",
    "auth": "declare one of type bearer, api_key, http_basic or oauth2_client_credentials",
    "base_url": "write the address, or give it as the setting base_url",
    "columns": "declare schema, or have the tap infer one",
    "convert": "the tap sends the bookmark as the API writes it",
    "initial_value": "write a timestamp, a date or a whole number",
    "end_value": "write a timestamp, a date or a whole number",
    "last_value_func": "max and min are valid",
    "paginator": "declare one of the known types",
    "params": "write the value; without it, the parameter is not sent",
    "processing_steps": "use a stream map: __filter__ for a filter, an expression for each field that map changes",
    "response_actions": "ignore is the only action; use a stream map to change records",
    "session": "use the settings of the tap, such as request_timeout and max_retries",
    "table_name": "use a stream map with __alias__",
}
"""What to do about a word that is left out."""

_BODY: Final = re.compile(r"\.(endpoint\.(json|data)|access_token_request_data)\b")


class Plain:
    """Writes plain values."""

    def __init__(self) -> None:
        self.findings = Findings()

    def remark(self, value: Value, location: str) -> None:
        """List what was taken for granted to arrive at a value."""
        for note in value.notes:
            self.findings.check(value.line, location, note)

    def words(
        self,
        value: Value,
        location: str,
        handlers: Mapping[str, Handler],
        handler: Handler | None = None,
    ) -> Any:  # noqa: ANN401  (words or MISSING)
        """Return an object, each word by its handler."""
        if not isinstance(value.content, dict):
            return self.plain(value, location)
        self.remark(value, location)
        converted = {
            word: handlers.get(word, handler or self.plain)(item, f"{location}.{word}")
            for word, item in value.content.items()
        }
        return {word: item for word, item in converted.items() if item is not MISSING}

    def plain(self, value: Value, location: str) -> Any:  # noqa: ANN401  (whatever JSON holds, or MISSING)
        """Return a value as JSON has it, without what is unknown in it."""
        content = value.content
        if isinstance(content, dict):
            return self.words(value, location, {}, self._body if _BODY.search(location) else None)
        self.remark(value, location)
        if isinstance(content, list):
            converted = [self.plain(item, f"{location}[{index}]") for index, item in enumerate(content)]
            kept = [item for item in converted if item is not MISSING]
            return kept if kept or not converted else MISSING
        if isinstance(content, Unknown) and content.default:
            converted = self.plain(content.default, location)
            self.findings.check(value.line, location, f"the default of {content.what}")
            return converted
        infinite = isinstance(content, float) and not isfinite(content)
        if infinite or isinstance(content, (Unknown, Instance, Reference, Function, Scope)):
            return self.missing(value, location)
        return content

    def _body(self, value: Value, location: str) -> Any:  # noqa: ANN401  (whatever JSON holds, or MISSING)
        """Return a word of a request's body, unless it is secret."""
        if secret(location.rpartition(".")[2], value):
            self.findings.fill(value.line, location, "a secret; write it here, in a file that only the tap can read")
            return MISSING
        return self.plain(value, location)

    def missing(self, value: Value, location: str) -> Any:  # noqa: ANN401  (always MISSING)
        """List a value that is left out, with what to do instead."""
        content = value.content
        instead = instead_of(location) or "write the value, or do without"
        given = isinstance(content, Unknown) and content.kind in ("config", "environment", "argument", "secret")
        required = given or isinstance(content, Reference) or location == "client.base_url"
        add = self.findings.fill if required else self.findings.left
        add(value.line, location, f"{described(content)}; {instead}")
        return MISSING


def instead_of(location: str) -> str:
    """Return what to do about a word, by the innermost word of its location that says."""
    words = re.findall(r"\w+", location)
    return next((_INSTEAD[word] for word in reversed(words) if word in _INSTEAD), "")


def described(content: object) -> str:
    """Return what a value of code is, for a message."""
    if isinstance(content, Unknown):
        python = {"resource": " is a resource in Python", "code": " is Python code"}
        return content.what + python.get(content.kind, "")
    if isinstance(content, Reference):
        return f"`{content.path}` is not in this file"
    if isinstance(content, Function):
        kind = "resource" if content.resource else "function"
        return f"the {kind} `{content.node.name}` is Python code"
    if isinstance(content, Instance):
        return f"an object of {content.name} is Python code"
    return "a class is Python code" if isinstance(content, Scope) else "is not valid here"

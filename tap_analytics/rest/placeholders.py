"""Placeholders such as `{resources.users.id}` in a path, in parameters, headers and bodies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

_TOKEN = re.compile(r"\{\{|\}\}|\{(?P<name>[A-Za-z_][\w.\[\]$@*'-]*)\}")

Bindings = Mapping[str, Any]
"""Values by the names of placeholders."""


def names(value: object) -> Iterator[str]:
    """Yield the names of the placeholders in a text, or in an object or list of texts."""
    if isinstance(value, str):
        for match in _TOKEN.finditer(value):
            if match["name"]:
                yield match["name"]
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from names(name)
            yield from names(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from names(item)


def expand(value: Any, bindings: Bindings) -> Any:  # noqa: ANN401 - any JSON
    """Return a value with its placeholders replaced.

    A text that is nothing but a placeholder becomes the bound value with its type; `{{` and `}}` stand for braces in
    a text with placeholders or with both of them.
    """
    if isinstance(value, str):
        whole = _TOKEN.fullmatch(value)
        if whole and whole["name"] in bindings:
            return bindings[whole["name"]]
        return _expand_text(value, bindings, str)
    if isinstance(value, Mapping):
        return {expand_text(name, bindings): expand(item, bindings) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [expand(item, bindings) for item in value]
    return value


def expand_text(text: str, bindings: Bindings) -> str:
    """Return a text with its placeholders replaced by values as text."""
    return _expand_text(text, bindings, str)


def expand_path(path: str, bindings: Bindings) -> str:
    """Return a path with its placeholders replaced by quoted values: none can add a segment or a query."""
    return _expand_text(path, bindings, lambda value: _quoted(str(value)))


def _quoted(text: str) -> str:
    # A segment of dots would be resolved away, however it is quoted.
    return text.replace(".", "%2E") if text in {".", ".."} else quote(text, safe="")


def _expand_text(text: str, bindings: Bindings, write: Any) -> str:  # noqa: ANN401 - a function to text
    has_placeholder = any(match["name"] in bindings for match in _TOKEN.finditer(text))
    if not has_placeholder and not ("{{" in text and "}}" in text):
        return text  # braces as they are, such as those of JSON in a parameter

    def replaced(match: re.Match[str]) -> str:
        if match["name"] is None:
            return match[0][0]
        return write(bindings[match["name"]]) if match["name"] in bindings else match[0]

    return _TOKEN.sub(replaced, text)

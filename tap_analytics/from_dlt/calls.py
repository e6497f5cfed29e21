"""Evaluates calls: of dlt's classes, of well-known functions and methods, and of functions of the file."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tap_analytics.from_dlt.operations import configured, joined, unknown
from tap_analytics.from_dlt.values import Function, Instance, Reference, Scope, Unknown, Value, scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tap_analytics.from_dlt.evaluator import Evaluator
    from tap_analytics.from_dlt.values import Content

    Known = Callable[[Sequence[Value], dict[str, Value], ast.Call], Value | None]
    Method = Callable[[Any, Sequence[Value], dict[str, Value], ast.Call], Value | None]

SOURCES: Final = ("rest_api_source", "rest_api_resources")
"""The functions of dlt that take a configuration."""

_CLASSES: Final = ("Auth", "ClientCredentials", "Paginator", "incremental", "Incremental")
"""How the names of the classes end whose objects a configuration may hold."""

_TYPED: Final = ("Config", "Endpoint", "EndpointResource", "EndpointResourceBase", "ResponseActionDict")
"""How the names of dlt's typed dictionaries end: to call one is to write a dictionary."""

_TEXT: Final = (
    "strip",
    "lstrip",
    "rstrip",
    "lower",
    "upper",
    "title",
    "replace",
    "removeprefix",
    "removesuffix",
    "split",
)
"""The methods of text that are known."""

_LONGEST_RANGE: Final = 10_000


def evaluate(evaluator: Evaluator, node: ast.Call, scope: Scope) -> Value:
    """Return what a call gives."""
    if isinstance(node.func, ast.Attribute):
        base = evaluator.evaluate(node.func.value, scope)
        arguments, keywords = _given(evaluator, node, scope)
        if not isinstance(base.content, (Reference, Scope)):
            return _method(evaluator, base.content, arguments, keywords, node)
        function = evaluator.attribute(base, node.func)
    else:
        function = evaluator.evaluate(node.func, scope)
        arguments, keywords = _given(evaluator, node, scope)
    content = function.content
    if isinstance(content, Function):
        if content.resource:
            return Value(Unknown("resource", f"`{content.node.name}`"), node.lineno)
        return evaluator.call(content, arguments, keywords, node)
    if not isinstance(content, Reference):
        return unknown(node)
    if content.name in SOURCES and content.of_dlt:
        evaluator.record(node, keywords.get("config") or next(iter(arguments), unknown(node)))
        return Value(Unknown("resource", f"`{content.name}()`"), node.lineno)
    return _referenced(content, arguments, keywords, node)


def _given(evaluator: Evaluator, node: ast.Call, scope: Scope) -> tuple[list[Value], dict[str, Value]]:
    """Return the arguments of a call."""
    arguments: list[Value] = []
    for argument in node.args:
        if isinstance(argument, ast.Starred):
            arguments += evaluator.items(argument.value, scope) or []
        else:
            arguments.append(evaluator.evaluate(argument, scope))
    keywords: dict[str, Value] = {}
    for keyword in node.keywords:
        value = evaluator.evaluate(keyword.value, scope)
        if keyword.arg:
            keywords[keyword.arg] = value
        elif isinstance(value.content, dict):
            keywords |= value.content
    return arguments, keywords


def _referenced(function: Reference, arguments: Sequence[Value], keywords: dict[str, Value], node: ast.Call) -> Value:
    """Return what something imported, or a builtin, gives."""
    if function.of_dlt and function.name.endswith(_CLASSES):
        return Value(Instance(function.name, tuple(arguments), keywords), node.lineno)
    if function.of_dlt and function.name.endswith(_TYPED) and not arguments:
        return Value(keywords, node.lineno)
    module, _, name = function.path.rpartition(".")
    if function.path == "os.getenv" or (name == "get" and module in ("os.environ", "dlt.secrets", "dlt.config")):
        base = Reference("os.environ" if module == "os" else module)
        # What else dlt is given is the type of the value.
        default = arguments[1] if base.path == "os.environ" and len(arguments) > 1 else keywords.get("default")
        return configured(base, arguments[0].content if arguments else None, node.lineno, default) or unknown(node)
    known = _FUNCTIONS.get(function.path)
    return (known(arguments, keywords, node) if known else None) or unknown(node)


# Functions


def _cast(arguments: Sequence[Value], keywords: dict[str, Value], node: ast.Call) -> Value | None:  # noqa: ARG001  (alike)
    return arguments[-1] if len(arguments) == 2 else None  # noqa: PLR2004  (a type and a value)


def _deep_copy(arguments: Sequence[Value], keywords: dict[str, Value], node: ast.Call) -> Value | None:  # noqa: ARG001
    return copied(arguments[0]) if len(arguments) == 1 else None


def copied(value: Value) -> Value:
    """Return a value that shares no list and no dictionary with another."""
    if isinstance(value.content, list):
        return replace(value, content=[copied(item) for item in value.content])
    if isinstance(value.content, dict):
        return replace(value, content={key: copied(item) for key, item in value.content.items()})
    return value


def _list(arguments: Sequence[Value], keywords: dict[str, Value], node: ast.Call) -> Value | None:  # noqa: ARG001
    items = [elements(argument) for argument in arguments] or [[]]
    return None if len(items) > 1 or items[0] is None else Value(items[0], node.lineno)


def elements(value: Value) -> list[Value] | None:
    """Return what a value iterates over, or None where that is unknown."""
    if isinstance(value.content, list):
        return list(value.content)
    if isinstance(value.content, dict):
        return [Value(key, value.line) for key in value.content]
    return None


def _dict(arguments: Sequence[Value], keywords: dict[str, Value], node: ast.Call) -> Value | None:
    words: dict[str, Value] = {}
    for argument in arguments:
        if not isinstance(argument.content, dict):
            return None
        words |= argument.content
    return Value(words | keywords, node.lineno)


def _converted(arguments: Sequence[Value], keywords: dict[str, Value], node: ast.Call) -> Value | None:
    """Return what `str`, `int`, `float` or `bool` makes of a value."""
    if len(arguments) != 1 or keywords:
        return None
    (value,) = arguments
    if isinstance(value.content, Unknown):
        default = value.content.default
        known = _converted([default], {}, node) if default else None
        return replace(value, content=replace(value.content, default=known))
    types: dict[str, Callable[[Any], Any]] = {"str": str, "int": int, "float": float, "bool": bool}
    if not scalar(value.content):
        return None
    try:
        return Value(types[ast.unparse(node.func)](value.content), node.lineno)
    except (TypeError, ValueError):
        return None  # the pipeline would fail as well


def _range(arguments: Sequence[Value], keywords: dict[str, Value], node: ast.Call) -> Value | None:  # noqa: ARG001
    numbers = [argument.content for argument in arguments if isinstance(argument.content, int)]
    if not 1 <= len(numbers) == len(arguments) <= 3 or 0 in numbers[2:]:  # noqa: PLR2004  (start, stop, step)
        return None
    steps = range(*numbers)
    return Value([Value(step, node.lineno) for step in steps], node.lineno) if len(steps) <= _LONGEST_RANGE else None


def _zip(arguments: Sequence[Value], keywords: dict[str, Value], node: ast.Call) -> Value | None:  # noqa: ARG001
    items = [elements(argument) for argument in arguments]
    known = [item for item in items if item is not None]
    if len(known) != len(items):
        return None
    return Value([Value(list(row), node.lineno) for row in zip(*known, strict=False)], node.lineno)


def _enumerate(arguments: Sequence[Value], keywords: dict[str, Value], node: ast.Call) -> Value | None:
    items = elements(arguments[0]) if len(arguments) == 1 and not keywords else None
    if items is None:
        return None
    return Value([Value([Value(n, item.line), item], item.line) for n, item in enumerate(items)], node.lineno)


_FUNCTIONS: Final[dict[str, Known]] = {
    "typing.cast": _cast,
    "copy.copy": _deep_copy,
    "copy.deepcopy": _deep_copy,
    "list": _list,
    "tuple": _list,
    "dict": _dict,
    "str": _converted,
    "int": _converted,
    "float": _converted,
    "bool": _converted,
    "range": _range,
    "zip": _zip,
    "enumerate": _enumerate,
}


# Methods


def _method(
    evaluator: Evaluator,
    base: Content,
    arguments: Sequence[Value],
    keywords: dict[str, Value],
    node: ast.Call,
) -> Value:
    """Return what a method gives, and change what it changes."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if isinstance(base, Unknown) and base.kind != "code":  # a secret that is stripped is still a secret
        return Value(Unknown(base.kind, base.what), node.lineno)
    if isinstance(base, list):
        return _method_of_list(evaluator, base, name, arguments, node)
    if isinstance(base, dict):
        marked = [evaluator.marked(argument) for argument in arguments]
        named = {word: evaluator.marked(value) for word, value in keywords.items()}
        return _method_of_dict(base, name, marked, named, node)
    if isinstance(base, str):
        return _method_of_text(base, name, arguments, node)
    return unknown(node)


def _method_of_list(
    evaluator: Evaluator,
    base: list[Value],
    name: str,
    arguments: Sequence[Value],
    node: ast.Call,
) -> Value:
    items = elements(arguments[0]) if arguments else None
    if name == "copy":
        return Value(list(base), node.lineno)
    if name == "append" and len(arguments) == 1:
        base.append(evaluator.marked(arguments[0]))
    elif name == "extend" and items is not None:
        base += [evaluator.marked(item) for item in items]
    elif name not in ("index", "count"):
        base.append(unknown(node))  # whatever it changes is listed, as an element that is left out
    return Value(None, node.lineno)


def _method_of_dict(
    base: dict[str, Value],
    name: str,
    arguments: Sequence[Value],
    keywords: dict[str, Value],
    node: ast.Call,
) -> Value:
    line = node.lineno
    key, default, *_ = *(argument for argument in arguments), Value(None, line), Value(None, line)
    if name in ("get", "setdefault", "pop") and isinstance(key.content, str):
        value = base.get(key.content, default)
        if name == "setdefault":
            base.setdefault(key.content, default)
        elif name == "pop":
            base.pop(key.content, None)
        return value
    if name == "update" and (not arguments or isinstance(key.content, dict)):
        given = key.content if isinstance(key.content, dict) else {}
        base |= {word: replace(value, notes=(*value.notes, *key.notes)) for word, value in given.items()} | keywords
        return Value(None, line)
    if name == "copy":
        return Value(dict(base), line)
    if name == "items":
        return Value([Value([Value(word, value.line), value], value.line) for word, value in base.items()], line)
    if name in ("keys", "values"):
        return Value([Value(word, value.line) if name == "keys" else value for word, value in base.items()], line)
    if name != "get":
        base[ast.unparse(node.func).rpartition(".")[2] + "()"] = unknown(node)  # listed, as a word that is left out
    return unknown(node)


def _method_of_text(base: str, name: str, arguments: Sequence[Value], node: ast.Call) -> Value:
    contents = [argument.content for argument in arguments]
    if name in _TEXT and all(isinstance(content, str) for content in contents):
        try:
            given = getattr(base, name)(*contents)
        except (TypeError, ValueError):
            return unknown(node)  # the pipeline would fail as well
        pieces = [Value(piece, node.lineno) for piece in given] if isinstance(given, list) else given
        return Value(pieces, node.lineno)
    items = elements(arguments[0]) if name == "join" and len(arguments) == 1 else None
    if items:
        separated = [piece for item in items for piece in (Value(base, node.lineno), item)]
        return joined(separated[1:], node)
    return unknown(node)

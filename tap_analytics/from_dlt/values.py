"""What an expression of a pipeline is worth, as far as reading tells without running."""

from __future__ import annotations

import ast
import copy
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["secret", "config", "environment", "argument", "resource", "code"]

_LONGEST: Final = 60
"""Characters that a message quotes of an expression."""


class PipelineError(Exception):
    """The pipeline cannot be converted; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Value:
    """What a piece of code is worth, and the line where it was written.

    Lists and dictionaries hold further values, and change as the pipeline changes them. The notes say
    what was taken for granted to arrive here.
    """

    content: Content
    line: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that only running the pipeline would show.

    `what` describes it for messages, without any text that could be secret. A text with unknown
    pieces has all of them, in order. `default` is the value where nothing else is configured.
    """

    kind: Kind
    what: str
    pieces: tuple[str | Unknown, ...] = ()
    default: Value | None = None

    @property
    def name(self) -> str:
        """An identifier that stands for the value."""
        words = re.findall(r"[A-Za-z_]\w*", self.what.partition(" (")[0])
        return words[-1] if words else "value"

    @property
    def secret(self) -> bool:
        """Whether the value is, or holds, one of dlt's secrets."""
        return self.kind == "secret" or any(isinstance(piece, Unknown) and piece.secret for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Instance:
    """An object of one of dlt's classes, as its call describes it."""

    name: str
    arguments: tuple[Value, ...]
    keywords: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Reference:
    """Something that the file imports, or a builtin: a dotted path."""

    path: str

    @property
    def name(self) -> str:
        """The last name of the path."""
        return self.path.rpartition(".")[2]

    @property
    def of_dlt(self) -> bool:
        """Whether dlt defines it; a name that no import explains may come from an import of everything.

        Before it was shipped with dlt, the source was copied into projects, as the package `rest_api`.
        """
        modules = self.path.split(".")
        return len(modules) == 1 or modules[0] == "dlt" or "rest_api" in modules


class Scope:
    """The names of a module, a class or a call, looked up outwards."""

    def __init__(self, outer: Scope | None = None) -> None:
        self.names: dict[str, Value] = {}
        self._outer = outer

    def find(self, name: str) -> Value | None:
        """Return the value of a name, or None where nothing binds it."""
        if name in self.names:
            return self.names[name]
        return self._outer.find(name) if self._outer else None


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of the file, and the names around it.

    What a function decorated as a resource of dlt gives is data, not configuration.
    """

    node: ast.FunctionDef | ast.AsyncFunctionDef
    outer: Scope
    resource: bool


Content = (
    str | int | float | bool | None | list[Value] | dict[str, Value] | Unknown | Instance | Reference | Function | Scope
)


def scalar(content: object) -> bool:
    """Return whether a value is one that JSON writes as it is, without anything inside."""
    return content is None or isinstance(content, (str, int, float))


def literal(value: Value) -> bool:
    """Return whether a value is known with all that is inside."""
    if isinstance(value.content, dict):
        return all(literal(item) for item in value.content.values())
    return all(literal(item) for item in value.content) if isinstance(value.content, list) else scalar(value.content)


@lru_cache
def describe(node: ast.AST) -> str:
    """Return an expression as messages quote it: short, and without text in it, which may be secret."""
    text = ast.unparse(_Redaction().visit(copy.deepcopy(node)))
    return text if len(text) <= _LONGEST else text[:_LONGEST].rstrip() + " …"


class _Redaction(ast.NodeTransformer):
    """Takes text out of an expression, but for the keys by which values are looked up."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        """Replace text."""
        return ast.Constant("…") if isinstance(node.value, (str, bytes)) else node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        """Keep the key of a `get()`."""
        keys = node.args[:1] if isinstance(node.func, ast.Attribute) and node.func.attr == "get" else []
        node.func = self.visit(node.func)
        node.args = keys + [self.visit(argument) for argument in node.args[len(keys) :]]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.Subscript:
        """Keep the key."""
        node.value = self.visit(node.value)
        return node

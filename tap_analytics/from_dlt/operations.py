"""Operations on values: what the operators and text of a pipeline give, where all of it is known."""

from __future__ import annotations

import ast
import operator
from math import inf
from typing import TYPE_CHECKING, Any, Final

from tap_analytics.from_dlt.values import Unknown, Value, describe, scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tap_analytics.from_dlt.values import Content, Reference

_OPERATORS: Final[dict[type, Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.BitOr: operator.or_,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_GREATEST: Final = 10**18
_LONGEST: Final = 100_000
"""What a configuration may hold; more of it is a mistake, and would take time without end."""

_CONFIGURED: Final = {"dlt.secrets": "secret", "dlt.config": "config", "os.environ": "environment"}


def unknown(node: ast.expr) -> Value:
    """Return the value of code that only running would show."""
    return Value(Unknown("code", f"`{describe(node)}`"), node.lineno)


def calculated(action: ast.AST, left: Content, right: Content, node: ast.expr) -> Value:
    """Return what an operator gives for two numbers, texts, lists or dictionaries."""
    if isinstance(action, ast.Add) and all(isinstance(side, (str, Unknown)) for side in (left, right)):
        return joined([Value(left, node.lineno), Value(right, node.lineno)], node)
    numbers = all(isinstance(side, (int, float)) and abs(side) < _GREATEST for side in (left, right))
    alike = type(left) is type(right) and not isinstance(action, ast.Mult) and _size(left) + _size(right) <= _LONGEST
    if type(action) in _OPERATORS and (numbers or alike):
        try:
            return Value(_OPERATORS[type(action)](left, right), node.lineno)
        except (ArithmeticError, TypeError):
            pass  # the pipeline would fail as well
    return unknown(node)


def _size(content: Content) -> float:
    """Return how long a text, a list or a dictionary is."""
    return len(content) if isinstance(content, (str, list, dict)) else inf


def compared(action: ast.AST, left: Content, right: Content, node: ast.expr) -> Value:
    """Return what a comparison of known values gives."""
    if isinstance(action, (ast.In, ast.NotIn)) and isinstance(right, (list, dict)) and scalar(left):
        items = [item.content if isinstance(item, Value) else item for item in right]
        if all(scalar(item) for item in items):
            return Value((left in items) is isinstance(action, ast.In), node.lineno)
    if scalar(left) and scalar(right) and isinstance(action, (ast.Eq, ast.NotEq)):
        return Value((left == right) is isinstance(action, ast.Eq), node.lineno)
    return calculated(action, left, right, node)


def joined(values: Sequence[Value], node: ast.expr) -> Value:
    """Return the text that values give one after another, with whatever is unknown as a piece of it."""
    pieces: list[str | Unknown] = []
    for value in values:
        content = value.content
        if isinstance(content, Unknown):
            pieces += content.pieces or (content,)
        elif scalar(content):
            pieces.append(str(content))
        else:
            return unknown(node)
        if len(pieces) > _LONGEST or sum(len(piece) for piece in pieces if isinstance(piece, str)) > _LONGEST:
            return unknown(node)
    texts = [piece if isinstance(piece, str) else _default(piece) for piece in pieces]
    text = None if None in texts else Value("".join(filter(None, texts)), node.lineno)
    if text is not None and not any(isinstance(piece, Unknown) for piece in pieces):
        return text
    return Value(Unknown("code", f"`{describe(node)}`", tuple(piece for piece in pieces if piece), text), node.lineno)


def _default(piece: Unknown) -> str | None:
    """Return the text that an unknown piece has by default."""
    return str(piece.default.content) if piece.default and scalar(piece.default.content) else None


def configured(base: Reference, key: Content, line: int, default: Value | None = None) -> Value | None:
    """Return what is looked up in dlt's configuration or the environment, or None where it is neither."""
    kind = _CONFIGURED.get(base.path)
    if kind is None:
        return None
    name = key if isinstance(key, str) else "…"
    return Value(Unknown(kind, f'{base.path}["{name}"]', default=default), line)  # type: ignore[arg-type] # the table's kinds

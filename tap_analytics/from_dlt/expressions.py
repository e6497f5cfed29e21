"""Evaluates expressions of a pipeline without running it; what cannot be known becomes an `Unknown`."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from tap_analytics.from_dlt import calls, loops
from tap_analytics.from_dlt.conditions import assumption, truth
from tap_analytics.from_dlt.evaluator import Evaluator
from tap_analytics.from_dlt.operations import calculated, compared, configured, joined, unknown
from tap_analytics.from_dlt.values import Function, Reference, Scope, Unknown, Value, describe, scalar

if TYPE_CHECKING:
    from collections.abc import Callable


class Expressions(Evaluator):
    """Evaluates expressions. What statements do, the subclass knows."""

    def evaluate(self, node: ast.expr, scope: Scope) -> Value:
        """Return the value of an expression."""
        handler = self._handlers.get(type(node))
        return handler(self, node, scope) if handler else self._unknown(node, scope)

    def items(self, node: ast.expr, scope: Scope) -> list[Value] | None:
        """Return what an expression iterates over, or None where that is unknown."""
        return calls.elements(self.evaluate(node, scope))

    def attribute(self, base: Value, node: ast.Attribute) -> Value:
        """Return an attribute of something that is imported, or of a class of the file."""
        if isinstance(base.content, Reference):
            path = f"{base.content.path}.{node.attr}"
            if path in ("dlt.secrets.value", "dlt.config.value"):
                return Value(Unknown("secret" if "secrets" in path else "config", path), node.lineno)
            return Value(Reference(path), node.lineno)
        if isinstance(base.content, Scope) and node.attr in base.content.names:
            return base.content.names[node.attr]
        return unknown(node)

    def word(self, key: ast.expr, value: Value, scope: Scope) -> dict[str, Value]:
        """Return one word of a dictionary; where only running shows which, its value counts for nothing."""
        name = self.evaluate(key, scope).content
        known = isinstance(name, (str, int, float))
        return {str(name): value} if known else {describe(key): unknown(key)}

    # One method for each kind of expression

    def _unknown(self, node: ast.expr, scope: Scope) -> Value:
        """Return an unknown value, after evaluating what is inside: that may give a configuration to dlt."""
        for child in [] if isinstance(node, ast.Lambda) else ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.evaluate(child, scope)
        return unknown(node)

    def _constant(self, node: ast.Constant, _: Scope) -> Value:
        if isinstance(node.value, (bytes, complex)) or not scalar(node.value):
            return unknown(node)
        return Value(node.value, node.lineno)  # type: ignore[arg-type] # a scalar

    def _name(self, node: ast.Name, scope: Scope) -> Value:
        value = scope.find(node.id)
        if value is None:
            return Value(Reference(node.id), node.lineno)
        # What only running shows is of interest where it is used, other values where they are written.
        elsewhere = isinstance(value.content, (Unknown, Reference, Function, Scope))
        return replace(value, line=node.lineno) if elsewhere else value

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Value:
        return self.attribute(self.evaluate(node.value, scope), node)

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Value:
        base, key = (self.evaluate(side, scope).content for side in (node.value, node.slice))
        if isinstance(base, Reference):  # if nothing else, a generic such as incremental[str]
            return configured(base, key, node.lineno) or Value(base, node.lineno)
        if isinstance(base, dict) and isinstance(key, str) and key in base:
            return base[key]
        if isinstance(base, list) and isinstance(key, int) and -len(base) <= key < len(base):
            return base[key]
        return unknown(node)

    def _list(self, node: ast.List | ast.Tuple | ast.Set, scope: Scope) -> Value:
        items: list[Value] = []
        for element in node.elts:
            if isinstance(element, ast.Starred):
                known = self.items(element.value, scope)
                items += [unknown(element.value)] if known is None else known
            else:
                items.append(self.evaluate(element, scope))
        return Value(items, node.lineno)

    def _dict(self, node: ast.Dict, scope: Scope) -> Value:
        words: dict[str, Value] = {}
        for key, item in zip(node.keys, node.values, strict=True):
            value = self.evaluate(item, scope)
            if key is None:
                words |= value.content if isinstance(value.content, dict) else {f"**{describe(item)}": unknown(item)}
            else:
                words |= self.word(key, value, scope)
        return Value(words, node.lineno)

    def _conditional(self, node: ast.IfExp, scope: Scope) -> Value:
        true, assumed = truth(self, node.test, scope)
        value = self.evaluate(node.body if true else node.orelse, scope)
        return replace(value, notes=(*value.notes, assumption(node.test, true=true))) if assumed else value

    def _either(self, node: ast.BoolOp, scope: Scope) -> Value:
        values = [self.evaluate(side, scope) for side in node.values]
        if isinstance(node.op, ast.And):
            return next((value for value in values if not value.content), values[-1])
        first = next((value for value in values if value.content), values[-1])
        others = values[values.index(first) + 1 :]
        if not isinstance(first.content, Unknown) or first.content.default:
            return first
        default = next((value for value in others if value.content and not isinstance(value.content, Unknown)), None)
        return replace(first, content=replace(first.content, default=default))

    def _negative(self, node: ast.UnaryOp, scope: Scope) -> Value:
        content = self.evaluate(node.operand, scope).content
        if isinstance(node.op, ast.USub) and isinstance(content, (int, float)):
            return Value(-content, node.lineno)
        if isinstance(node.op, ast.Not) and not isinstance(content, Unknown):
            return Value(not content, node.lineno)
        return unknown(node)

    def _operation(self, node: ast.BinOp, scope: Scope) -> Value:
        sides = [self.evaluate(side, scope) for side in (node.left, node.right)]
        return calculated(node.op, sides[0].content, sides[1].content, node)

    def _comparison(self, node: ast.Compare, scope: Scope) -> Value:
        left, right = (self.evaluate(side, scope).content for side in (node.left, node.comparators[0]))
        return compared(node.ops[0], left, right, node) if len(node.ops) == 1 else unknown(node)

    def _text(self, node: ast.JoinedStr, scope: Scope) -> Value:
        pieces = []
        for piece in node.values:
            if not isinstance(piece, ast.FormattedValue):
                pieces.append(self.evaluate(piece, scope))
            elif piece.format_spec or piece.conversion != -1:
                pieces.append(unknown(piece.value))
            else:
                pieces.append(self.evaluate(piece.value, scope))
        return joined(pieces, node)

    def _inside(self, node: ast.Await | ast.Yield | ast.YieldFrom, scope: Scope) -> Value:
        return self.evaluate(node.value, scope) if node.value else Value(None, node.lineno)

    _handlers: ClassVar[dict[type, Callable[[Any, Any, Scope], Value]]] = {
        ast.Attribute: _attribute,
        ast.Await: _inside,
        ast.BinOp: _operation,
        ast.BoolOp: _either,
        ast.Call: calls.evaluate,
        ast.Compare: _comparison,
        ast.Constant: _constant,
        ast.Dict: _dict,
        ast.DictComp: loops.collected_words,
        ast.GeneratorExp: loops.collected,
        ast.IfExp: _conditional,
        ast.JoinedStr: _text,
        ast.List: _list,
        ast.ListComp: loops.collected,
        ast.Name: _name,
        ast.Set: _list,
        ast.Subscript: _subscript,
        ast.Tuple: _list,
        ast.UnaryOp: _negative,
        ast.Yield: _inside,
        ast.YieldFrom: _inside,
    }

"""Decides conditions, and says which it took for granted."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tap_analytics.from_dlt.values import Reference, Unknown, describe

if TYPE_CHECKING:
    from tap_analytics.from_dlt.evaluator import Evaluator
    from tap_analytics.from_dlt.values import Scope


def truth(evaluator: Evaluator, node: ast.expr, scope: Scope) -> tuple[bool, bool]:
    """Return whether a condition is true, and whether that is only assumed.

    What is unknown is assumed to be there: pipelines ask whether a secret or an argument was given.
    """
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        true, assumed = truth(evaluator, node.operand, scope)
        return not true, assumed
    if isinstance(node, ast.BoolOp):
        decisive = isinstance(node.op, ast.Or)  # one true side decides an `or`, one false side an `and`
        sides = [truth(evaluator, side, scope) for side in node.values]
        if any(true is decisive and not assumed for true, assumed in sides):
            return decisive, False
        return any(true is decisive for true, _ in sides) is decisive, any(assumed for _, assumed in sides)
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Is, ast.IsNot)):
        left = evaluator.evaluate(node.left, scope).content
        same = isinstance(node.comparators[0], ast.Constant) and left is node.comparators[0].value
        return same is isinstance(node.ops[0], ast.Is), isinstance(left, (Unknown, Reference))
    content = evaluator.evaluate(node, scope).content
    return (True, True) if isinstance(content, (Unknown, Reference)) else (bool(content), False)


def assumption(test: ast.expr, *, true: bool) -> str:
    """Return the note of a condition that is taken for granted."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return assumption(test.operand, true=not true)
    return f"taken as if `{describe(test)}` were {'true' if true else 'false'}"

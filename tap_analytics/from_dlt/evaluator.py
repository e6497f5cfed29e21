"""What evaluates a pipeline, as those see it who evaluate a piece of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from tap_analytics.from_dlt.values import PipelineError

if TYPE_CHECKING:
    import ast
    from collections.abc import Sequence

    from tap_analytics.from_dlt.values import Function, Scope, Value

_MOST: Final = 50_000
"""Statements and rounds of loops, before a pipeline counts as endless."""


class Evaluator(ABC):
    """Evaluates expressions, and does what statements do."""

    def __init__(self) -> None:
        self._steps = 0

    def step(self) -> None:
        """Count a statement, or a round of a loop.

        Raises:
            PipelineError: If there are so many that there may be no end.
        """
        self._steps += 1
        if self._steps > _MOST:
            message = "the pipeline is too long to be read, or repeats something too often"
            raise PipelineError(message)

    @abstractmethod
    def evaluate(self, node: ast.expr, scope: Scope) -> Value:
        """Return the value of an expression."""

    @abstractmethod
    def items(self, node: ast.expr, scope: Scope) -> list[Value] | None:
        """Return what an expression iterates over, or None where that is unknown."""

    @abstractmethod
    def attribute(self, base: Value, node: ast.Attribute) -> Value:
        """Return an attribute of something that is imported, or of a class of the file."""

    @abstractmethod
    def word(self, key: ast.expr, value: Value, scope: Scope) -> dict[str, Value]:
        """Return one word of a dictionary; where only running shows which, its value counts for nothing."""

    @abstractmethod
    def call(self, function: Function, arguments: Sequence[Value], keywords: dict[str, Value], node: ast.Call) -> Value:
        """Return what a function of the file gives."""

    @abstractmethod
    def record(self, node: ast.expr | ast.stmt, config: Value) -> None:
        """Note a configuration of dlt's source."""

    @abstractmethod
    def bind(self, target: ast.expr, value: Value, scope: Scope) -> None:
        """Give a value to a name, to an item, or to several of them."""

    @abstractmethod
    def marked(self, value: Value) -> Value:
        """Return a value with a note of what is taken for granted at the moment."""

"""Goes through the statements of a pipeline in their order, as far as that needs no run."""

from __future__ import annotations

import ast
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tap_analytics.from_dlt.calls import elements
from tap_analytics.from_dlt.conditions import assumption, truth
from tap_analytics.from_dlt.expressions import Expressions
from tap_analytics.from_dlt.loops import rounds
from tap_analytics.from_dlt.operations import calculated, unknown
from tap_analytics.from_dlt.values import Function, Reference, Scope, Unknown, Value, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_analytics.from_dlt.evaluator import Evaluator

CONFIGURATION: Final = "RESTAPIConfig"
"""What annotates a configuration."""

_DEEPEST: Final = 20
"""Calls within calls, before one counts as unknown."""


class Leave(Enum):
    """How a statement ends what surrounds it, when it returns nothing."""

    ROUND = "continue"
    LOOP = "break"
    CALL = "raise"


class Statements(Expressions):
    """Goes through statements, and keeps every configuration that they give to dlt."""

    def __init__(self) -> None:
        super().__init__()
        self.module = Scope()
        self.recorded: dict[ast.expr | ast.stmt, list[Value]] = {}
        """The configurations, by the call, assignment or function that has them."""
        self._notes: list[str] = []
        self._depth = 0
        self.module.names["__name__"] = Value("__main__", 1)

    def record(self, node: ast.expr | ast.stmt, config: Value) -> None:
        """Note a configuration of dlt's source."""
        self.recorded.setdefault(node, []).append(config)

    def marked(self, value: Value) -> Value:
        """Return a value with a note of what is taken for granted at the moment."""
        return replace(value, notes=tuple(dict.fromkeys([*value.notes, *self._notes])))

    @contextmanager
    def _granted(self, note: str) -> Iterator[None]:
        """Mark what is bound and changed meanwhile, where there is something to note."""
        before = self._notes
        self._notes = [*before, note] if note else before
        yield
        self._notes = before

    # Functions

    def call(self, function: Function, arguments: Sequence[Value], keywords: dict[str, Value], node: ast.Call) -> Value:
        """Return what a function of the file gives."""
        if self._depth >= _DEEPEST:
            return unknown(node)
        scope = Scope(function.outer)
        scope.names |= _parameters(self, function, arguments, keywords)
        return self._run(function, scope) or unknown(node)

    def enter(self, functions: Sequence[ast.FunctionDef | ast.AsyncFunctionDef]) -> None:
        """Go through functions that nothing calls, the outer ones first, with their defaults."""
        scope = self.module
        for node in functions:
            function = Function(node, scope, resource=False)
            scope = Scope(scope)
            scope.names |= _parameters(self, function, (), {})
            self._run(function, scope)

    def _run(self, function: Function, scope: Scope) -> Value | None:
        """Return what a call gives, or None for a generator and for what ends without a value."""
        notes, self._notes = self._notes, []
        self._depth += 1
        returned = self.execute(function.node.body, scope)
        self._depth -= 1
        self._notes = notes
        if not isinstance(returned, Value):
            return None
        if annotates(function.node.returns):
            self.record(function.node, returned)
        return returned

    # Names

    def bind(self, target: ast.expr, value: Value, scope: Scope) -> None:
        """Give a value to a name, to an item, or to several of them."""
        if isinstance(target, ast.Name):
            scope.names[target.id] = self.marked(value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            items = elements(value) or []
            same = len(items) == len(target.elts)
            for index, element in enumerate(target.elts):
                self.bind(element, items[index] if same else unknown(element), scope)
        elif isinstance(target, ast.Subscript):
            base, key = self.evaluate(target.value, scope).content, self.evaluate(target.slice, scope).content
            if isinstance(base, dict):
                base[key if isinstance(key, str) else describe(target.slice)] = (
                    self.marked(value) if isinstance(key, str) else unknown(target)
                )
            elif isinstance(base, list) and isinstance(key, int) and -len(base) <= key < len(base):
                base[key] = self.marked(value)

    # One method for each kind of statement

    def execute(self, body: Sequence[ast.stmt], scope: Scope) -> Value | Leave | None:
        """Go through statements; return what ends them early: the value that is returned, or a way to leave."""
        for statement in body:
            self.step()
            handler = self._statements.get(type(statement))
            ended = handler(self, statement, scope) if handler else None
            if ended is not None:
                return ended
        return None

    def _assign(self, node: ast.Assign, scope: Scope) -> None:
        value = self.evaluate(node.value, scope)
        for target in node.targets:
            self.bind(target, value, scope)

    def _annotated(self, node: ast.AnnAssign, scope: Scope) -> None:
        if node.value:
            self.bind(node.target, self.evaluate(node.value, scope), scope)
            if annotates(node.annotation):
                self.record(node, self.evaluate(node.target, scope))

    def _augmented(self, node: ast.AugAssign, scope: Scope) -> None:
        old, new = self.evaluate(node.target, scope), self.evaluate(node.value, scope)
        if isinstance(old.content, list) and isinstance(new.content, list):
            old.content.extend([self.marked(item) for item in new.content])
        elif isinstance(old.content, dict) and isinstance(new.content, dict):
            old.content.update({word: self.marked(item) for word, item in new.content.items()})
        else:
            operation = ast.copy_location(ast.BinOp(node.target, node.op, node.value), node)
            self.bind(node.target, calculated(node.op, old.content, new.content, operation), scope)

    def _expression(self, node: ast.Expr, scope: Scope) -> None:
        self.evaluate(node.value, scope)

    def _import(self, node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
        scope.names |= {name: Value(reference, node.lineno) for name, reference in _imported(node).items()}

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        decorators = [item.func if isinstance(item, ast.Call) else item for item in node.decorator_list]
        paths = [self.evaluate(decorator, scope).content for decorator in decorators]
        resource = Reference("dlt.resource") in paths or Reference("dlt.transformer") in paths
        scope.names[node.name] = Value(Function(node, scope, resource), node.lineno)
        if any(isinstance(decorator, ast.Attribute) and decorator.attr == "cell" for decorator in decorators):
            self.execute(node.body, scope)  # the cells of a notebook share their names

    def _class(self, node: ast.ClassDef, scope: Scope) -> None:
        inner = Scope(scope)
        self.execute(node.body, inner)
        scope.names[node.name] = Value(inner, node.lineno)

    def _if(self, node: ast.If, scope: Scope) -> Value | Leave | None:
        true, assumed = truth(self, node.test, scope)
        with self._granted(assumption(node.test, true=true) if assumed else ""):
            return self.execute(node.body if true else node.orelse, scope)

    def _for(self, node: ast.For | ast.AsyncFor, scope: Scope) -> Value | Leave | None:
        for note in rounds(self, node.target, node.iter, scope):
            with self._granted(note):
                ended = self.execute(node.body, scope)
            if isinstance(ended, Value) or ended is Leave.CALL:
                return ended
            if ended is Leave.LOOP:
                return None
        return self.execute(node.orelse, scope)

    def _while(self, node: ast.While, scope: Scope) -> Value | Leave | None:
        with self._granted(f"is repeated while `{describe(node.test)}`"):
            ended = self.execute(node.body, scope)
        return ended if isinstance(ended, Value) or ended is Leave.CALL else None

    def _with(self, node: ast.With | ast.AsyncWith, scope: Scope) -> Value | Leave | None:
        for item in node.items:
            value = self.evaluate(item.context_expr, scope)
            if item.optional_vars:
                self.bind(item.optional_vars, value, scope)
        return self.execute(node.body, scope)

    def _try(self, node: ast.Try, scope: Scope) -> Value | Leave | None:
        return self.execute([*node.body, *node.orelse, *node.finalbody], scope)

    def _return(self, node: ast.Return, scope: Scope) -> Value:
        return self.marked(self.evaluate(node.value, scope) if node.value else Value(None, node.lineno))

    def _continue(self, _: ast.Continue, __: Scope) -> Leave:
        return Leave.ROUND

    def _break(self, _: ast.Break, __: Scope) -> Leave:
        return Leave.LOOP

    def _raise(self, _: ast.Raise, __: Scope) -> Leave:
        return Leave.CALL

    _statements: ClassVar[dict[type, Callable[[Any, Any, Scope], Value | Leave | None]]] = {
        ast.AnnAssign: _annotated,
        ast.Assign: _assign,
        ast.AsyncFor: _for,
        ast.AsyncFunctionDef: _function,
        ast.AsyncWith: _with,
        ast.AugAssign: _augmented,
        ast.Break: _break,
        ast.ClassDef: _class,
        ast.Continue: _continue,
        ast.Expr: _expression,
        ast.For: _for,
        ast.FunctionDef: _function,
        ast.If: _if,
        ast.Import: _import,
        ast.ImportFrom: _import,
        ast.Raise: _raise,
        ast.Return: _return,
        ast.Try: _try,
        ast.While: _while,
        ast.With: _with,
    }


def _imported(node: ast.Import | ast.ImportFrom) -> dict[str, Reference]:
    """Return what an import binds."""
    if isinstance(node, ast.Import):
        return {
            alias.asname or alias.name.partition(".")[0]: Reference(
                alias.name if alias.asname else alias.name.partition(".")[0],
            )
            for alias in node.names
        }
    module = node.module or ""
    names = {alias.asname or alias.name: f"{module}.{alias.name}".strip(".") for alias in node.names}
    return {name: Reference(path) for name, path in names.items()}


def annotates(annotation: ast.expr | None) -> bool:
    """Return whether an annotation is that of a configuration."""
    return annotation is not None and ast.unparse(annotation).strip("'").rpartition(".")[2] == CONFIGURATION


def _parameters(
    evaluator: Evaluator,
    function: Function,
    arguments: Sequence[Value],
    keywords: dict[str, Value],
) -> dict[str, Value]:
    """Return the parameters of a call: what it is given, their defaults, or something unknown."""
    spec = function.node.args
    positional = [*spec.posonlyargs, *spec.args]
    defaults = [None] * (len(positional) - len(spec.defaults)) + spec.defaults + spec.kw_defaults
    given = dict(zip((parameter.arg for parameter in positional), arguments, strict=False)) | keywords
    bound: dict[str, Value] = {}
    for parameter, default in zip([*positional, *spec.kwonlyargs], defaults, strict=True):
        name = parameter.arg
        if name not in given and default is not None:
            given[name] = _named(evaluator.evaluate(default, function.outer), name)
        bound[name] = given.get(name) or _argument(parameter)
    if spec.vararg:
        bound[spec.vararg.arg] = Value(list(arguments[len(positional) :]), function.node.lineno)
    if spec.kwarg:
        others = {name: value for name, value in keywords.items() if name not in bound}
        bound[spec.kwarg.arg] = Value(others, function.node.lineno)
    return bound


def _named(value: Value, name: str) -> Value:
    """Return the default of a parameter; what dlt fills in, it looks up under the name of the parameter."""
    if isinstance(value.content, Unknown) and value.content.what in ("dlt.secrets.value", "dlt.config.value"):
        what = f"the argument `{name}` ({value.content.what})"
        return replace(value, content=replace(value.content, what=what))
    return value


def _argument(parameter: ast.arg) -> Value:
    """Return the value of a parameter that is given nothing."""
    secret = parameter.annotation is not None and "Secret" in ast.unparse(parameter.annotation)
    return Value(Unknown("secret" if secret else "argument", f"the argument `{parameter.arg}`"), parameter.lineno)

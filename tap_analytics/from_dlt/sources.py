"""Finds the configurations of dlt's `rest_api` source in a Python file, without running it."""

from __future__ import annotations

import ast
import sys
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tap_analytics.from_dlt.calls import SOURCES
from tap_analytics.from_dlt.plain import described
from tap_analytics.from_dlt.statements import Statements, annotates
from tap_analytics.from_dlt.values import PipelineError, Value, describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path


_CHANGES: Final = {
    "add_filter": "use a stream map with __filter__",
    "add_limit": "the tap reads everything; start_date and end_date narrow a backfill",
    "add_map": "use a stream map",
    "add_step": "use a stream map",
    "add_yield_map": "a stream map changes records one by one",
    "apply_hints": "declare it in the resource",
    "with_resources": "select streams in the catalog",
}
"""The methods that change a source or a resource of dlt once it is made, and what to do instead."""


@dataclass(frozen=True)
class Source:
    """A configuration in the file."""

    label: str
    """The name by which it is listed."""

    names: frozenset[str]
    """All names by which it can be chosen: of functions, variables, and the one that dlt is given."""

    line: int
    config: Value
    changing: bool
    """Whether the same line gives dlt several configurations, of which this is the first."""

    changes: tuple[tuple[int, str, str], ...]
    """The calls that change a source when it is made: line, call, and what to do instead."""


def read(path: Path) -> list[Source]:
    """Return the sources of a file, in the order of their lines.

    Raises:
        PipelineError: If the file cannot be read.
    """
    try:
        return _sources(_parsed(path))
    except (MemoryError, RecursionError):  # the first is what the parser of Python raises
        message = "is nested too deeply to be read"
    raise PipelineError(message)


def _parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    version = ".".join(map(str, sys.version_info[:2]))
    try:
        with warnings.catch_warnings(action="ignore"):  # of the file: they are for those who run it
            return ast.parse(path.read_bytes(), str(path))
    except OSError as error:
        message = str(error.strerror)
    except SyntaxError as error:
        message = f"line {error.lineno or 1}: is not valid Python {version}: {error.msg}"
    except ValueError as error:  # of a null byte, before Python 3.11.4
        message = f"is not valid Python {version}: {error}"
    raise PipelineError(message)


def chosen(sources: list[Source], name: str | None) -> Source:
    """Return the source that is meant.

    Raises:
        PipelineError: If there is none, if it is one of several, or if its configuration is made by code.
    """
    listed = ", ".join(f"{source.label} (line {source.line})" for source in sources)
    if not sources:
        message = "no configuration of rest_api_source(), of rest_api_resources() or annotated RESTAPIConfig"
        raise PipelineError(message)
    meant = [source for source in sources if name is None or name in {source.label, *source.names}]
    if not meant:
        message = f"--source {name}: no such source; valid are {listed}"
        raise PipelineError(message)
    readable = [source for source in meant if isinstance(source.config.content, dict)]
    if not readable:
        message = f"line {meant[0].line}: the configuration cannot be read: {described(meant[0].config.content)}"
        raise PipelineError(message)
    if len(readable) > 1:
        message = f"several sources; choose one with --source NAME: {listed}"
        raise PipelineError(message)
    return readable[0]


def _sources(tree: ast.Module) -> list[Source]:
    """Return the configurations of a module: those that it gives to dlt, and those that it only declares."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    statements = Statements()
    statements.execute(tree.body, statements.module)
    # Functions come last, since to call one is to learn what it is called with.
    for node in sorted(filter(_candidate, ast.walk(tree)), key=lambda node: isinstance(node, ast.FunctionDef)):
        functions = [node, *_around(node, parents)] if isinstance(node, ast.FunctionDef) else _around(node, parents)
        if node not in statements.recorded and functions:
            statements.enter(functions[::-1])
    sources: list[Source] = []
    known: set[int] = set()
    # A call has more names than an assignment, so that it goes first where both have the same configuration.
    for node in sorted(statements.recorded, key=lambda node: (not isinstance(node, ast.Call), node.lineno)):
        first, *others = statements.recorded[node]
        if id(first.content) not in known:
            known.add(id(first.content))
            label, names = _names(node, parents)
            changing = any(other.content != first.content for other in others)
            changes = tuple(_changes(tree, node, statements.recorded.keys(), parents))
            sources.append(Source(label, frozenset(names), node.lineno, first, changing, changes))
    return _distinct(sorted(sources, key=lambda source: source.line))


def _changes(
    tree: ast.Module,
    source: ast.AST,
    sources: Iterable[ast.AST],
    parents: Mapping[ast.AST, ast.AST],
) -> Iterator[tuple[int, str, str]]:
    """Yield the calls that change a source, but for those of functions that have another source of their own."""
    own, others = _outermost(source, parents), {_outermost(other, parents) for other in sources}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES:
            function = _outermost(node, parents)
            if function is None or function is own or function not in others:
                yield node.lineno, f"{describe(node.func)}()", _CHANGES[node.func.attr]


def _outermost(node: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> ast.AST | None:
    """Return the outermost function around a node, or None for one of the module."""
    functions = _around(node, parents)
    return functions[-1] if functions else None


def _candidate(node: ast.AST) -> bool:
    """Return whether a node may hold a configuration."""
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).rpartition(".")[2] in SOURCES
    if isinstance(node, ast.AnnAssign):
        return annotates(node.annotation)
    return isinstance(node, ast.FunctionDef) and annotates(node.returns)


def _around(node: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions around a node, the inner ones first."""
    functions = []
    while node in parents:
        node = parents[node]
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            functions.append(node)
    return functions


def _names(node: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> tuple[str, list[str]]:
    """Return the name that tells a configuration best, and all its names."""
    functions = _around(node, parents)
    assigned = [node, parents[node]] if isinstance(node, ast.Call) else [node]
    targets = [target for item in assigned for target in _targets(item)]
    keywords = [node, *(item for function in functions for item in function.decorator_list)]
    given = [
        keyword.value.value
        for call in keywords
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str)
    ]
    own = [node.name] if isinstance(node, ast.FunctionDef) else []
    names = [*own, *(function.name for function in functions if function.name != "_"), *targets, *given]
    if isinstance(node, ast.Call):
        names += [argument.id for argument in node.args[:1] if isinstance(argument, ast.Name)]
    return (names[0] if names else f"line-{getattr(node, 'lineno', 0)}"), names


def _targets(node: ast.AST) -> list[str]:
    """Return the names that an assignment binds."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _distinct(sources: list[Source]) -> list[Source]:
    """Return sources whose labels differ, with names that choose one alone where they have such."""
    shared = Counter(name for source in sources for name in {source.label, *source.names})
    labels = Counter(source.label for source in sources)
    named = []
    for source in sources:
        own = sorted(name for name in source.names if shared[name] == 1)
        others = own[0] if own else f"{source.label}:{source.line}"
        named.append(source if labels[source.label] == 1 else replace(source, label=others))
    return named

"""The structure that docs/how-it-reads.md promises: imports run one way, and everything stays small enough to read."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest
from singer_sdk import Stream, Tap

from docs.generate import PACKAGE, modules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAYERS = (
    {"tap"},
    {"streams", "cli", "from_dlt"},
    {"tables", "plan", "about"},
    {"stream"},
    {"writing"},
    {"encoding"},
    {"reading"},
    {"family", "reader", "terminal"},
    {"sdk", "config"},
    {"sync", "rest", "singer"},
    {"declare", "exact", "files", "jsonpath", "progress", "structs", "timestamps"},
)
"""Modules and packages of the top level, each above all that it may import."""

LONGEST_FUNCTION, LONGEST_CLASS = 40, 200

VAGUE = {"told", "place", "way", "held", "found"}

IMPORTS = {name: imports for name, (_first_line, imports) in modules()}


def top(name: str) -> str:
    return name.partition(".")[0]


def height(name: str) -> int:
    (layer_number,) = [number for number, layer in enumerate(LAYERS) if top(name) in layer]
    return layer_number


@pytest.mark.parametrize("name", IMPORTS)
def test_imports_run_one_way(name: str) -> None:
    for other in IMPORTS[name]:
        assert top(other) == top(name) or height(other) > height(name), f"{name} imports {other}"


def test_an_import_within_a_function_and_by_name_is_seen() -> None:
    assert "terminal" in IMPORTS["cli"], "the display is imported by its name, within a function"


def definitions() -> Iterator[tuple[Path, ast.FunctionDef | ast.ClassDef]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield path, node


def test_no_function_and_no_class_is_too_long_to_read() -> None:
    long = [
        f"{path.relative_to(PACKAGE)}: {node.name} has {length} lines"
        for path, node in definitions()
        if (length := (node.end_lineno or 0) - node.lineno + 1)
        > (LONGEST_CLASS if isinstance(node, ast.ClassDef) else LONGEST_FUNCTION)
    ]
    assert not long


def test_no_variable_has_a_name_that_says_nothing_of_it() -> None:
    root = PACKAGE.parent
    folders = ("tap_analytics", "loader", "sandbox", "demo", "docs", "benchmarks", "examples", "tests")
    vague = {
        f"{path.relative_to(root)}:{node.lineno}: {node.id}"
        for folder in folders
        for path in (root / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in VAGUE
    }
    assert not vague


def test_only_one_module_uses_private_names_of_the_sdk() -> None:
    names = {
        name for base in (Stream, Tap) for name in vars(base) if name.startswith("_") and not name.startswith("__")
    }
    used = {
        f"{path.relative_to(PACKAGE)}: {node.attr}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in names and path.name != "sdk.py"
    }
    assert not used, "private names of the SDK belong into sdk.py, with their reason"

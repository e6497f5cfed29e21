"""Writes the matrix of faults into the page on guarantees, from the tests' own rows: `python -m tests.faults.table`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests import test_settings
from tests.faults import test_lifecycle, test_paging, test_redirects, test_shape, test_status, test_transport
from tests.faults.matrix import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAGE = Path(__file__).parents[2] / "docs" / "guarantees.md"
START = "<!-- Made by `python -m tests.faults.table` from the rows of the tests; what is written by hand from here on"
END = "<!-- up to here. -->"
HEADINGS = ("what goes wrong", "what comes of it", "exit code", "what the log says")


def main() -> int:
    """Write the table, if it is not as it should be."""
    page = PAGE.read_text(encoding="utf-8")
    if page != with_matrix(page):
        PAGE.write_text(with_matrix(page), encoding="utf-8")
    return 0


def with_matrix(page: str) -> str:
    """Return the page with its table as it should be."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START} is lost, -->\n\n{matrix()}\n{END}{after}"


def matrix() -> str:
    """Return the rows of all tests, as sections of Markdown."""
    sections: list[tuple[str, Iterable[tuple[str, str, str, str]]]] = [
        ("On the way, and in the body", map(text, test_transport.ROWS)),
        ("Answers that are errors", map(text, test_status.ROWS)),
        ("`Retry-After`", _retry_after()),
        ("Redirects", [*map(text, test_redirects.ROWS), *_elsewhere()]),
        ("What the records are like", map(text, test_shape.ROWS)),
        ("Values of another type than the schema says", _drift()),
        ("Pages", map(text, test_paging.ROWS)),
        ("Signals", _signals()),
        ("Settings", _settings()),
    ]
    return "\n".join(f"### {title}\n\n{_table(rows)}\n" for title, rows in sections)


def _retry_after() -> Iterator[tuple[str, str, str, str]]:
    for form, value, least, most in test_status.RETRY_AFTER:
        waits = f"waits {least:g} s at least" if least else "waits as if there were none"
        yield (
            f"status 429 with {form}: `{value}`",
            f"{waits}, {most:g} s at most, then every record, once",
            "0",
            "Try 2",
        )
    for value in test_status.ABSURD:
        cell = f"`{value}`" if len(value) < 40 else f"a number of {len(value)} digits"
        yield f"status 429 with {cell}", "waits 300 s", "0", "the server asks to wait … the tap waits 300 s"


def _elsewhere() -> Iterator[tuple[str, str, str, str]]:
    for how, location in test_redirects.ELSEWHERE.items():
        shown = location.format(host="other.example", port="81", own="80")
        yield (
            f"A redirect to another server, {how}: `{shown}`",
            "1 request; nothing reaches the other server; no record of the stream",
            "1",
            "redirects to another server … which is refused. Check base_url.",
        )


def _drift() -> Iterator[tuple[str, str, str, str]]:
    for field, sent, expected, came in test_shape.DRIFT:
        comes = "null" if expected is None else f"`{test_shape.written(expected)}`"
        yield f"`{field}` is `{sent}`", f"comes out as {comes}", "0", f"The API sends {came} in {field}"


def _signals() -> Iterator[tuple[str, str, str, str]]:
    for number, code in test_lifecycle.CODES.items():
        for busy, _, _ in test_lifecycle.BUSY:
            yield (
                f"{number.name} while {busy}",
                f"ends within {test_lifecycle.SOON:g} s; the last line is whole; the last state covers what came",
                str(code),
                f"Stopped by {number.name}.",
            )


def _settings() -> Iterator[tuple[str, str, str, str]]:
    for name, values in test_settings.WRONG.items():
        wrong = ", ".join(f"`{value!r}`" for value, _ in values)
        yield f"`{name}` is one of {wrong}", "no request", "1", f"{name}: … and what would be valid"


def _table(rows: Iterable[tuple[str, str, str, str]]) -> str:
    lines = [HEADINGS, ("---",) * len(HEADINGS), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())

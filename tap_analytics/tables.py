"""The connection test and the preview as tables that fit any terminal, pipe and encoding."""

from __future__ import annotations

import os
import sys
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tap_analytics.rest.errors import with_remedy
from tap_analytics.singer.output import encoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from tap_analytics.rest.secrets import Secrets
    from tap_analytics.stream import RestStream

PREVIEWED = 5
"""Records that a preview shows."""

NARROWEST = 40
"""Columns that a table takes at least."""

WIDE = 120
"""Columns from which on what to do stands beside what happened, not below it."""

UNFOLDED = 10_000
"""Columns that a table may take where each of its rows is one line."""

LONGEST = 1000
"""Characters of a value or a message that are looked at."""

GAP = 2

STYLES = {"works": "green", "fails": "red"}


class Sheet:
    """Writes rows of cells to a stream, in columns of fixed widths."""

    def __init__(self, stream: TextIO, secrets: Secrets, *, folds: bool = True) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._secrets = secrets
        self.width = max(self._console.width, NARROWEST) if folds else UNFOLDED
        self._console.width = self.width
        self._mark = self._encodable("…") if self._encodable("…") != "?" else "~"

    def _encodable(self, text: str) -> str:
        return text.encode(self._console.encoding, "replace").decode(self._console.encoding)

    def shown(self, text: str) -> str:
        """Return a text in one line, without a secret, and without characters that the stream cannot write."""
        return self._encodable(self._secrets.excerpt(text, LONGEST))

    def cut(self, text: str, width: int) -> str:
        """Return a text that takes some columns at most."""
        return text if cell_len(text) <= width else set_cell_size(text, width - 1) + self._mark

    def fitted(self, rows: Sequence[Sequence[str]], least: Sequence[int]) -> list[int]:
        """Return widths with which rows fit; the names in the first column give way before the least of the others."""
        first, *wanted = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
        room = self.width - GAP * len(wanted)
        first = max(min(first, self.width // 3, room - sum(least)), len(self._mark))
        missing = [width - at_least for width, at_least in zip(wanted, least, strict=True)]
        more = shared(missing, room - first - sum(least))
        return [first, *(at_least + some for at_least, some in zip(least, more, strict=True))]

    def row(self, cells: Sequence[str | Text], widths: Sequence[int], *, style: str = "") -> None:
        """Write a row; what is wider than its column is folded."""
        grid = Table.grid(padding=(0, GAP, 0, 0))
        *before, last = widths
        for width in before:
            grid.add_column(width=width, overflow="fold")
        grid.add_column(max_width=last, overflow="fold")
        grid.add_row(*cells, style=style)
        self._console.print(grid)

    def line(self, text: str) -> None:
        """Write a line, as long as it is."""
        self._console.print(Text(self._encodable(text)), soft_wrap=True)


def show_test(streams: Sequence[RestStream], undiscovered: Mapping[str, str], secrets: Secrets) -> None:
    """Write to standard error, as they come, which streams work, what was seen, and what to do about the others."""
    # Meltano takes each line for one of a log, and takes its indentation away.
    folds = sys.stderr.isatty() or bool(os.environ.get("COLUMNS"))
    sheet = Sheet(sys.stderr, secrets, folds=folds)
    names = [*(sheet.shown(stream.name) for stream in streams), *map(sheet.shown, undiscovered), "stream"]
    first = min(max(map(cell_len, names)), sheet.width // 3)
    rest = sheet.width - first - len("works") - 2 * GAP
    is_wide = folds and sheet.width >= WIDE
    widths = [first, len("works"), *([rest // 2 - GAP, rest - rest // 2] if is_wide else [rest])]
    between = "\n" if folds else " | "

    def write(name: str, verdict: str, seen: str, remedy: str = "", *, style: str = "") -> None:
        cells = [seen, remedy] if is_wide else [between.join(filter(None, (seen, remedy)))]
        name = sheet.cut(sheet.shown(name), first)
        sheet.row([name, Text(verdict, STYLES.get(verdict, "")), *cells], widths, style=style)

    write("stream", "test", "seen, and asked for", "what to do", style="bold")
    reasons: dict[str, str] = {}
    for stream, look in [(stream, stream.probe()) for stream in streams]:
        seen = look()
        if stream.failure is None:
            write(stream.name, "works", sheet.shown(seen))
        elif (other := reasons.setdefault(stream.reason, stream.name)) != stream.name:
            write(stream.name, "fails", f"as {other}")
        else:
            write(stream.name, "fails", *with_remedy(sheet.shown(str(stream.failure))))
    for name, reason in undiscovered.items():
        write(name, "fails", *with_remedy(sheet.shown(reason)))


def show_preview(stream: RestStream, secrets: Secrets) -> None:
    """Write the first records of a stream to standard output, as they would leave.

    Each is a row where the fields fit side by side, else each field is. What is wrong is kept in `failure`.
    """
    sheet = Sheet(sys.stdout, secrets)
    one = stream.begin_look()
    records: list[Mapping[str, Any]] = []
    with stream.keeping_failure():
        records.extend(islice(stream.preview(one, PREVIEWED), PREVIEWED))
    if stream.failure is not None:
        return
    fields = list(dict.fromkeys(name for record in records for name in record))
    names = [sheet.shown(name) for name in fields]
    columns = [[_written(record[name], sheet) if name in record else "" for name in fields] for record in records]
    rows = [names, *columns]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    if sum(widths) + GAP * len(widths) > sheet.width + GAP:
        rows = [["field", *map(str, range(1, len(records) + 1))], *map(list, zip(names, *columns, strict=True))]
        widths = sheet.fitted(rows, [max(map(_least, record.values()), default=1) for record in records])
    for index, row in enumerate(rows if fields else ()):
        cells = [sheet.cut(text, width) for text, width in zip(row, widths, strict=True)]
        sheet.row(cells, widths, style="" if index else "bold")
    count = "1 record" if len(records) == 1 else f"{len(records)} records"
    sheet.line(f"{stream.name}: {count} ({one.label})")


def _written(value: object, sheet: Sheet) -> str:
    return sheet.shown(value if isinstance(value, str) else encoder.encode(value).decode())


def _least(value: object) -> int:
    """Return the columns that a value takes at least: a number is never cut."""
    return len(encoder.encode(value)) if isinstance(value, int | float | Decimal) else 1


def shared(wanted: Sequence[int], room: int) -> list[int]:
    """Return how much of a room each gets that wants some of it: what one does not want is for the others."""
    given = [0] * len(wanted)
    by_size = sorted(range(len(wanted)), key=wanted.__getitem__)
    for done, index in enumerate(by_size):
        given[index] = min(wanted[index], max(room, 0) // (len(by_size) - done))
        room -= given[index]
    return given

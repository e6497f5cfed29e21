"""The live display of a run: the last rows of a terminal.

The rows above are a scroll region. Whatever is written to the terminal scrolls there, by whichever process: the display
never has to know of it, and is only ever drawn in one write.
"""

from __future__ import annotations

import logging
import os
import select
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from singer_sdk.metrics import METRICS_LOGGER_NAME

from tap_analytics.progress import total

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tap_analytics.progress import StreamStats

INTERVAL = 0.25
"""Seconds between two drawings."""

PATIENCE = 0.2
"""Seconds in which a terminal that is stopped (Ctrl-S) may go on before the display is left as it is."""

LEAST_COLUMNS, LEAST_ROWS = 30, 6
"""The smallest terminal with a display."""

LONGEST_BAR, SHORTEST_BAR = 24, 4

# ECMA-48, and DEC's two for the cursor.
_SAVE, _RESTORE, _INDEX = "\x1b7", "\x1b8", "\x1bD"
_WHOLE_SCREEN = f"{_SAVE}\x1b[r{_RESTORE}\x1b[J"
"""Ends the scroll region, and erases everything below the cursor: the display, wherever a resize has moved it."""

_STYLES = {"running": "1", "done": "32", "failed": "31"}

_NUMBERS: Mapping[str, Callable[[StreamStats], str]] = {
    "pages": lambda stats: f"{stats.pages:,}",
    "records": lambda stats: f"{stats.records:,}",
    "rec/s": lambda stats: f"{stats.rate:,.0f}",
    "time": lambda stats: _elapsed(stats.seconds),
    "retries": lambda stats: f"{stats.retries:,}",
}
"""The columns of numbers, by their headings, from the left."""

_DISPENSABLE = ("rec/s", "retries", "pages", "window", "time")
"""The columns that a narrow terminal does without, in this order."""


@contextmanager
def display(all_stats: Sequence[StreamStats]) -> Iterator[Callable[[], None]]:
    """Show the streams that have begun until the end, then take the display away; yield what does that earlier."""
    styled = not os.environ.get("NO_COLOR")
    screen = _Screen(sys.stderr.fileno(), lambda columns, rows: table(all_stats, columns, rows, styled=styled))
    metrics = logging.getLogger(METRICS_LOGGER_NAME)
    metrics.addFilter(_is_alarming)  # the display tells the same
    try:
        screen.start()
        yield screen.close
    finally:
        screen.close()
        metrics.removeFilter(_is_alarming)


class _Screen:
    """Draws lines at the bottom of a terminal, again and again."""

    def __init__(self, terminal: int, lines: Callable[[int, int], list[str]]) -> None:
        self._terminal = terminal
        self._lines = lines
        self._size = (0, 0)
        self._rows = 0
        self._end = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to draw."""
        with suppress(RuntimeError):  # where no thread can be started, the first request says so
            threading.Thread(target=self._draw_on, name="tap-analytics-display", daemon=True).start()

    def _draw_on(self) -> None:
        with suppress(OSError):  # the terminal is gone
            while not self._end.wait(INTERVAL):
                with self._lock:
                    if not self._end.is_set():
                        self._draw()

    def _draw(self) -> None:
        columns, height = size = os.get_terminal_size(self._terminal)
        out = ""
        if size != self._size:
            out, self._rows = _WHOLE_SCREEN if self._rows else "", 0
            self._size = size
        lines = self._lines(columns, height // 2) if columns >= LEAST_COLUMNS and height >= LEAST_ROWS else []
        if more := max(len(lines) - self._rows, 0):
            # What is in these rows scrolls up, and the cursor with it.
            out += f"{_INDEX * more}\x1b[{more}A"
            self._rows += more
        top = height - self._rows
        if self._rows:
            rows = "".join(f"\x1b[{row};1H\x1b[2K{line}" for row, line in enumerate(lines, top + 1))
            out += f"{_SAVE}\x1b[1;{top}r{rows}{_RESTORE}"
        self._write(out)

    def _write(self, text: str) -> None:
        """Write in one go, so that nothing of another process comes between; nothing to a terminal that is stopped."""
        if text and select.select((), (self._terminal,), (), PATIENCE)[1]:
            os.write(self._terminal, text.encode())

    def close(self) -> None:
        """Take the display away; do nothing where that is done already."""
        self._end.set()
        # The lock is not free where the terminal takes nothing.
        if self._lock.acquire(timeout=PATIENCE):
            with suppress(OSError):
                self._write(_WHOLE_SCREEN if self._rows else "")
            self._rows = 0
            self._lock.release()


def table(all_stats: Sequence[StreamStats], columns: int, rows: int, *, styled: bool = False) -> list[str]:
    """Return a line for each stream that has begun, the latest ones where there is no room for all, and a total.

    No line is longer than the terminal has columns. Names are cut, numbers never.
    """
    shown = [stats for stats in all_stats if stats.began is not None][-max(rows - 2, 1) :]
    summed = total(all_stats)
    names = ["stream", *(stats.stream for stats in shown), summed.stream]
    cells = {"window": ["window", *map(_window, shown), ""]}
    cells |= {heading: [heading, *map(text, (*shown, summed))] for heading, text in _NUMBERS.items()}
    longest = max(map(_width, names))
    for heading in _DISPENSABLE:
        if columns - _used(cells) >= len(summed.stream):
            break
        del cells[heading]
    room = columns - _used(cells)
    bar = min(room - longest - 2, LONGEST_BAR) if any(map(_is_divided, shown)) and "window" in cells else 0
    bars = ["", *(_bar(stats, bar) for stats in shown), ""] if bar >= SHORTEST_BAR else []
    styles = ["2", *(_STYLES.get(stats.state, "") for stats in shown), "2"]
    lines = []
    for row, (name, style) in enumerate(zip(names, styles, strict=True)):
        line = _padded(name, min(longest, room))
        for heading, texts in cells.items():
            width = max(map(len, texts))
            line += f"  {texts[row]:<{width}}" if heading == "window" else f"  {texts[row]:>{width}}"
            line += f"  {bars[row]:<{bar}}" if heading == "window" and bars else ""
        lines.append(f"\x1b[{style}m{line}\x1b[m" if styled and style else line)
    return lines


def _used(cells: Mapping[str, Sequence[str]]) -> int:
    """Return the columns that cells take, with what separates them."""
    return sum(2 + max(map(len, texts)) for texts in cells.values())


def _is_divided(stats: StreamStats) -> bool:
    return stats.state == "running" and stats.windows > 1


def _window(stats: StreamStats) -> str:
    return f"{stats.window} of {stats.windows}" if _is_divided(stats) else stats.state


def _bar(stats: StreamStats, width: int) -> str:
    """Return how much of a stream has been read, where it is divided."""
    if not _is_divided(stats):
        return ""
    halves = 2 * width * max(stats.window - 1, 0) // stats.windows
    return ("━" * (halves // 2) + "╸" * (halves % 2)).ljust(width, "─")


def _elapsed(seconds: float) -> str:
    """Return seconds as a clock shows them."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"  # noqa: PLR2004 - minutes of an hour


def _width(text: str) -> int:
    return sum(1 + (east_asian_width(character) in "WF") for character in text)


def _padded(name: str, width: int) -> str:
    """Return a name in exactly so many columns, cut where it has more."""
    if _width(name) > width:
        while _width(name) >= width:
            name = name[:-1]
        name += "…"
    return name + " " * (width - _width(name))


def _is_alarming(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING

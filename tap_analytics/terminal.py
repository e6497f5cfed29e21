"""The live display of a run on a terminal; log lines go by above it."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from singer_sdk.metrics import METRICS_LOGGER_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from tap_analytics.progress import Tally

REFRESHES = 4
"""How often a second the display is made anew."""

BAR = 16
"""Characters of a bar."""

STYLES = {"running": "bold", "done": "green", "failed": "red"}


@contextmanager
def display(tallies: Sequence[Tally]) -> Iterator[None]:
    """Show the streams that have begun until the end, then take the display away."""
    console = Console(stderr=True)
    if console.is_dumb_terminal:
        yield
        return
    live = Live(
        get_renderable=lambda: table(tallies, console.height - 3),
        console=console,
        refresh_per_second=REFRESHES,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    above = _Above(console)
    moved = [
        (handler, handler.setStream(above))
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr
    ]
    metrics = logging.getLogger(METRICS_LOGGER_NAME)
    metrics.addFilter(_is_alarming)  # the display tells the same
    try:
        with live:
            # A run that is killed must not leave a terminal without a cursor.
            console.show_cursor()
            yield
    finally:
        metrics.removeFilter(_is_alarming)
        for handler, stream in moved:
            if stream is not None:
                handler.setStream(stream)


def table(tallies: Sequence[Tally], height: int) -> Table:
    """Return a line for each stream that has begun, the latest ones where there is no room for all, and a total."""
    begun = [tally for tally in tallies if tally.began is not None]
    grid = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    grid.add_column("stream", no_wrap=True, overflow="ellipsis")
    grid.add_column("window", no_wrap=True)
    grid.add_column("", no_wrap=True)
    for heading in ("pages", "records", "a second", "retries"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for tally in begun[-max(height, 1) :]:
        style = STYLES.get(tally.state, "")
        grid.add_row(
            Text(tally.stream, style),
            *_windows(tally),
            f"{tally.pages:,}",
            f"{tally.records:,}",
            f"{tally.rate:,.0f}",
            Text(f"{tally.retries:,}", "yellow" if tally.retries else "dim"),
        )
    ended = sum(tally.ended is not None for tally in tallies)
    grid.add_row(
        Text(f"{ended} of {len(tallies)} streams", "dim"),
        "",
        "",
        f"{sum(tally.pages for tally in tallies):,}",
        f"{sum(tally.records for tally in tallies):,}",
        "",
        f"{sum(tally.retries for tally in tallies):,}",
        style="dim",
    )
    return grid


def _windows(tally: Tally) -> tuple[RenderableType, RenderableType]:
    if tally.ended is not None or not tally.windows:
        return "", Text(tally.state, STYLES.get(tally.state, ""))
    done = tally.window - 1
    return f"{tally.window} of {tally.windows}", ProgressBar(total=tally.windows, completed=done, width=BAR)


def _is_alarming(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


class _Above:
    """Writes text above the live display."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> int:
        """Write whole lines, as a log handler does."""
        self._console.print(Text(text), end="", soft_wrap=True)
        return len(text)

    def flush(self) -> None:
        """Do nothing: the console has flushed."""

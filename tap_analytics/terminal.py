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

    from tap_analytics.progress import StreamStats

REFRESHES = 4
"""How often a second the display is made anew."""

BAR = 16
"""Characters of a bar."""

STYLES = {"running": "bold", "done": "green", "failed": "red"}


@contextmanager
def display(all_stats: Sequence[StreamStats]) -> Iterator[None]:
    """Show the streams that have begun until the end, then take the display away."""
    console = Console(stderr=True)
    if console.is_dumb_terminal:
        yield
        return
    live = Live(
        get_renderable=lambda: table(all_stats, console.height - 3),
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


def table(all_stats: Sequence[StreamStats], height: int) -> Table:
    """Return a line for each stream that has begun, the latest ones where there is no room for all, and a total."""
    begun = [stats for stats in all_stats if stats.began is not None]
    grid = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    grid.add_column("stream", no_wrap=True, overflow="ellipsis")
    grid.add_column("window", no_wrap=True)
    grid.add_column("", no_wrap=True)
    for heading in ("pages", "records", "a second", "retries"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for stats in begun[-max(height, 1) :]:
        style = STYLES.get(stats.state, "")
        grid.add_row(
            Text(stats.stream, style),
            *_windows(stats),
            f"{stats.pages:,}",
            f"{stats.records:,}",
            f"{stats.rate:,.0f}",
            Text(f"{stats.retries:,}", "yellow" if stats.retries else "dim"),
        )
    ended = sum(stats.ended is not None for stats in all_stats)
    grid.add_row(
        Text(f"{ended} of {len(all_stats)} streams", "dim"),
        "",
        "",
        f"{sum(stats.pages for stats in all_stats):,}",
        f"{sum(stats.records for stats in all_stats):,}",
        "",
        f"{sum(stats.retries for stats in all_stats):,}",
        style="dim",
    )
    return grid


def _windows(stats: StreamStats) -> tuple[RenderableType, RenderableType]:
    if stats.ended is not None or not stats.windows:
        return "", Text(stats.state, STYLES.get(stats.state, ""))
    done = stats.window - 1
    return f"{stats.window} of {stats.windows}", ProgressBar(total=stats.windows, completed=done, width=BAR)


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

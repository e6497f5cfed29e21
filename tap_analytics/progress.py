"""What a run has done so far, stream by stream, and the lines that tell it where there is no terminal."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Sequence

INTERVAL = 30.0
"""Seconds between two lines of a stream that is being read."""


@dataclass
class Durations:
    """How long requests took, in seconds; memory does not grow with their number."""

    total: float = 0.0
    _counts: Counter[float] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, seconds: float) -> None:
        """Count a request; requests end in several threads."""
        with self._lock:
            self.total += seconds
            self._counts[float(f"{seconds:.2g}")] += 1

    @property
    def count(self) -> int:
        """How many requests there were."""
        return self._counts.total()

    def quantile(self, share: float) -> float:
        """Return the duration, to two digits, that a share of the requests did not exceed; 0 without requests."""
        rank = math.ceil(share * self.count)
        for seconds, count in sorted(self._counts.items()):
            rank -= count
            if rank <= 0:
                return seconds
        return 0.0


@dataclass
class StreamStats:
    """What one stream has done so far; counted a page or some records at a time."""

    stream: str
    window: int = 0
    windows: int = 0
    pages: int = 0
    records: int = 0
    retries: int = 0
    ignored: int = 0
    """Answers that response_actions took for pages without records."""
    state: Literal["waiting", "running", "done", "failed", "stopped"] = "waiting"
    began: float | None = None
    ended: float | None = None
    requests: Durations = field(default_factory=Durations)

    def begin(self) -> None:
        """Start the clock, if it does not run."""
        if self.began is None:
            self.began = time.monotonic()
            self.state = "running"

    def end(self, state: Literal["done", "failed", "stopped"]) -> None:
        """Stop the clock, if it runs."""
        if self.state == "running":
            self.ended = time.monotonic()
            self.state = state

    def count_retry(self) -> None:
        """Count a request that is sent again."""
        self.retries += 1

    @property
    def seconds(self) -> float:
        """How long the stream has taken."""
        return 0.0 if self.began is None else (self.ended or time.monotonic()) - self.began

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        return f"{self.stream}: {self.state}, {self.figures}"

    @property
    def figures(self) -> str:
        """The figures in words."""
        text = f"{_count(self.records, 'record')} in {_count(self.pages, 'page')}"
        if self.windows > 1:
            text += f", window {self.window} of {self.windows}"
        if self.began is not None:
            text += f", {self.seconds:.1f} s"
        if self.seconds >= 1:
            text += f", {self.rate:,.0f} records/s"
        text += f", {_count(self.ignored, 'ignored answer')}" if self.ignored else ""
        return f"{text}, {_count(self.retries, 'retry')}" if self.retries else text

    @property
    def facts(self) -> dict[str, Any]:
        """The same for a log that is read by programs."""
        return {
            "stream_name": self.stream,
            "status": self.state,
            "records": self.records,
            "pages": self.pages,
            "windows": self.windows,
            "window": self.window,
            "seconds": round(self.seconds, 3),
            "retries": self.retries,
            "ignored": self.ignored,
        }


def total(all_stats: Sequence[StreamStats]) -> StreamStats:
    """Return the sum of all streams, whose clock runs until the last one has ended; its name counts the streams."""
    ended = [stats.ended for stats in all_stats if stats.ended is not None]
    return StreamStats(
        f"{sum(stats.state == 'done' for stats in all_stats)} of {_count(len(all_stats), 'stream')}",
        pages=sum(stats.pages for stats in all_stats),
        records=sum(stats.records for stats in all_stats),
        retries=sum(stats.retries for stats in all_stats),
        ignored=sum(stats.ignored for stats in all_stats),
        state="done",
        began=min((stats.began for stats in all_stats if stats.began is not None), default=None),
        ended=max(ended) if ended and not any(stats.state == "running" for stats in all_stats) else None,
    )


@contextmanager
def lines(
    all_stats: Sequence[StreamStats], logger: logging.Logger, *, clock: threading.Event | None = None
) -> Iterator[None]:
    """Log every 30 seconds how far each stream is that is being read.

    Args:
        all_stats: What the streams have done.
        logger: Where to log it.
        clock: Waits for the end, at most so long.
    """
    end = clock or threading.Event()

    def watch() -> None:
        while not end.wait(INTERVAL):
            for stats in all_stats:
                if stats.state == "running":
                    logger.info("%s", stats, extra=stats.facts)

    with suppress(RuntimeError):  # where no thread can be started, the first request says so
        threading.Thread(target=watch, name="tap-analytics-progress", daemon=True).start()
    try:
        yield
    finally:
        end.set()


def sum_up(all_stats: Sequence[StreamStats], logger: logging.Logger) -> None:
    """Log what each stream has done, and the total; a stream that is being read is stopped."""
    begun = [stats for stats in all_stats if stats.began is not None]
    for stats in begun:
        stats.end("stopped")
        logger.info("%s", stats, extra=stats.facts)
    if begun:
        summed = total(all_stats)
        facts = {name: summed.facts[name] for name in ("records", "pages", "seconds", "retries")}
        logger.info("%s done: %s", summed.stream, summed.figures, extra={"streams": len(all_stats), **facts})


def _count(number: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"

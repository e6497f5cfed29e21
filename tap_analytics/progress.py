"""What a run has done so far, stream by stream."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal


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
        text = f"{self.stream}: {self.state}, {_count(self.records, 'record')} in {_count(self.pages, 'page')}"
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


def _count(number: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"

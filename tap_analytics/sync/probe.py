"""What the connection test asks of a stream: as a sync would ask, but for as little as the API allows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from tap_analytics.rest.endpoint import LONGEST_WINDOW, Everything, Offset, Paginator, Slice, Window
from tap_analytics.sync.replication import Replication, Tail, Terms

if TYPE_CHECKING:
    from datetime import date

    from tap_analytics.rest.endpoint import ErrorHandler

RETRIES = 1
"""How often the test asks again at the most: who tests waits for the answer."""


def part(way: Replication, terms: Terms) -> Slice:
    """Return one slice that tells whether all can be read; the latest days of a stream with windows."""
    if isinstance(way, Tail):
        return _last_days(terms.lookback.days + 2, terms.began.date() + timedelta(days=2), "UPDATED")
    slices = way.begin({}, terms).slices or (Everything(),)
    first, last = slices[0], slices[-1]
    if isinstance(first, Window) and isinstance(last, Window):
        return _last_days((last.end - first.start).days, last.end, last.by)
    return first


def _last_days(days: int, end: date, by: Literal["CREATED", "UPDATED"]) -> Window:
    """Return the last days before another, as many as one request may ask for."""
    days = min(days, LONGEST_WINDOW)
    return Window(end - timedelta(days=days), days, by)


def paginator(usual: Paginator) -> Paginator:
    """Return what asks for a single record, where pages have a size."""
    return replace(usual, limit=1) if isinstance(usual, Offset) else usual


def errors(usual: ErrorHandler) -> ErrorHandler:
    """Return what tries again less often."""
    return replace(usual, max_retries=min(usual.max_retries, RETRIES))

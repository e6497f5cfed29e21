"""What the connection test asks of a stream: as a sync would ask, but for as little as the API allows."""

from __future__ import annotations

from datetime import timedelta

from tap_analytics.sync.replication import IncrementalByDay, Replication, SyncContext
from tap_analytics.sync.slices import DayWindow, Slice

RETRIES = 1
"""How often the test asks again at most: a person waits for the answer."""


def probe_slice(replication: Replication, context: SyncContext) -> Slice:
    """Return one slice that shows whether all can be read; the latest days of a stream with windows."""
    if isinstance(replication, IncrementalByDay):
        return replication.days.last_days(context.lookback.days + 2, context.began.date() + timedelta(days=2))
    slices = replication.plan({}, context).slices or (Slice(),)
    first, last = slices[0], slices[-1]
    if isinstance(first, DayWindow) and isinstance(last, DayWindow):
        return last.filter.last_days((last.end - first.start).days, last.end)
    return first

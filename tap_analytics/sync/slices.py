"""What a sync reads at a time: the whole of a stream, the days of a window, or the records of one parent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

R = TypeVar("R", bound="ExpandableRequest")


class ExpandableRequest(Protocol):
    """A request that a slice can be written into."""

    def expanded(self, bindings: Mapping[str, Any]) -> Self:
        """Return the request with its placeholders replaced."""

    def with_params(self, params: Mapping[str, Any]) -> Self:
        """Return the request with parameters added or replaced."""


@dataclass(frozen=True)
class Slice:
    """Some of the records of a stream, all of them by default."""

    label: str = "all records"
    """What messages call it."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Request parameters that ask for it."""
    bindings: Mapping[str, Any] = field(default_factory=dict)
    """Values of the placeholders in the request."""
    members: bytes = b""
    """JSON members that each record takes over from its parent."""
    remedy: str = ""
    """What the user can do to have it read in smaller slices."""

    def apply(self, request: R) -> R:
        """Return the request for the slice."""
        return request.expanded(self.bindings).with_params(self.params)

    def halves(self) -> tuple[Slice, ...]:
        """Return two smaller slices that are the same together, or nothing where there are none."""
        return ()


@dataclass(frozen=True)
class DayFilter:
    """How the requests of an API ask for the records of some whole days (UTC)."""

    start_param: str
    """Parameter with the first day."""
    days_param: str
    """Parameter with the number of days."""
    longest: int
    """Days that one request may ask for at most."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Parameters that are the same in each request."""
    start_format: str = "%Y%m%d"
    verb: str = "created"
    """What happened to the records in those days, for messages."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all parameters."""
        return (self.start_param, self.days_param, *self.constants)

    def window(self, start: date, days: int) -> DayWindow:
        """Return the slice of some days."""
        params = {self.start_param: start.strftime(self.start_format), self.days_param: days, **self.constants}
        label = f"{self.verb} {start} to {start + timedelta(days=days - 1)}"
        return DayWindow(label=label, params=params, start=start, days=days, filter=self)

    def windows(self, start: date, end: date, days: int) -> list[DayWindow]:
        """Cut the days from start up to, and without, end into windows of some days each."""
        windows = []
        while start < end:
            length = min(days, (end - start).days)
            windows.append(self.window(start, length))
            start += timedelta(days=length)
        return windows

    def last_days(self, days: int, end: date) -> DayWindow:
        """Return the last days before another, as many as one request may ask for."""
        days = min(days, self.longest)
        return self.window(end - timedelta(days=days), days)


@dataclass(frozen=True)
class DayWindow(Slice):
    """The records of some whole days (UTC)."""

    start: date = field(kw_only=True)
    days: int = field(kw_only=True)
    filter: DayFilter = field(kw_only=True)

    @property
    def end(self) -> date:
        """The first day after the window."""
        return self.start + timedelta(days=self.days)

    def halves(self) -> tuple[Slice, ...]:
        """Return the window as two smaller ones, or nothing where it is a day long."""
        if self.days == 1:
            return ()
        first = self.days // 2
        middle = self.start + timedelta(days=first)
        return self.filter.window(self.start, first), self.filter.window(middle, self.days - first)

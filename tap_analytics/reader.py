"""Reads the slices of a plan in their order, with the first pages of the next ones in flight."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tap_analytics.rest.errors import PagingError, ResultWindowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_analytics.rest.pages import Page
    from tap_analytics.rest.walk import Walk
    from tap_analytics.sync.slices import Slice


class SliceReader:
    """The pages of some slices.

    Args:
        slices: What is read, made as it is needed.
        walk: Returns the walk through the pages of a slice.
        ahead: Slices beside the one that is read whose first page is asked for.
        warn: Is given what the user should know.
    """

    def __init__(
        self, slices: Iterable[Slice], walk: Callable[[Slice], Walk], *, ahead: int, warn: Callable[[str], None]
    ) -> None:
        self._slices = iter(slices)
        self._walk = walk
        self._ahead = ahead
        self._warn = warn
        self._started: deque[tuple[Slice, Walk]] = deque()

    def start(self) -> None:
        """Ask for the first page of the first slice, if that has not been done."""
        self._start(1)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to read, which is known once it has been started."""
        return not self._started

    def _start(self, count: int) -> None:
        while len(self._started) < count and (one := next(self._slices, None)) is not None:
            walk = self._walk(one)
            walk.start()
            self._started.append((one, walk))

    def close(self) -> None:
        """Give up what was asked for and not read."""
        while self._started:
            self._started.popleft()[1].close()

    def pages(self) -> Iterator[tuple[Slice, Page | None]]:
        """Yield each page with its slice, and None for a page once a slice has been read to its end.

        Raises RestError where the reading cannot go on.
        """
        while True:
            self._start(1)
            if not self._started:
                return
            one, walk = self._started.popleft()
            self._start(self._ahead)
            for page in self._pages(one, walk):
                yield one, page
            yield one, None

    def _pages(self, one: Slice, walk: Walk) -> Iterator[Page]:
        try:
            yield from walk.pages()
        except PagingError as error:
            halves = one.halves()
            if not halves:
                self._judge(one, error)
                return
            # A window that fits on one page cannot shift.
            self._warn(f"{error} Reading smaller windows instead.")
            for half in halves:
                yield from self._pages(half, self._walk(half))

    def _judge(self, one: Slice, error: PagingError) -> None:
        """Raise what ends the reading of a slice that has no halves; warn where all of it may have been read."""
        if not isinstance(error, ResultWindowError):
            raise error
        if one.remedy:  # the state would note it as complete, and it would not be read again
            msg = f"{error} {one.remedy}"
            raise PagingError(msg) from None
        remedy = "ask for fewer at a time, by start_date, another filter or another paginator"
        self._warn(f"{error} If there are more, {remedy}.")

"""Pages that are asked for by their offset, and how many records they show a list to have."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from tap_analytics.rest.coverage import Outcome
from tap_analytics.rest.errors import MisfitError, PagingError, ResultWindowError, StatusError
from tap_analytics.rest.evidence import whole_number
from tap_analytics.rest.paginators import Offset, SinglePage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_analytics.rest.coverage import Coverage
    from tap_analytics.rest.pages import Page
    from tap_analytics.rest.pool import Pending

LONGEST_TROUBLE = 5
"""Pages in a row that may bring nothing new before the walk gives up, and how often it may start over."""

PAST_THE_END = frozenset([400, 404, 416, 422])
"""Statuses with which servers answer for a page after the last one, or for an offset that they do not take."""

NO_SUCH_PAGE = frozenset([404, 416])
"""Those of them that mean a page after the last one."""

RESULT_WINDOWS = frozenset([5_000, 10_000])
"""Numbers of records after which servers often stop, whatever there is beyond."""


class PageQueue:
    """The pages that were asked for and not read yet, by their offset; nothing at `end` or beyond is read."""

    def __init__(self, ask: Callable[[int], Pending[Page]], *, end: int | None = None) -> None:
        self.end = end
        self._ask = ask
        self._asked: deque[tuple[int, Pending[Page]]] = deque()

    @property
    def is_empty(self) -> bool:
        """Whether no page was asked for."""
        return not self._asked

    def close(self) -> None:
        """Give up what was asked for and not read."""
        while self._asked:
            self._asked.popleft()[1].abandon()

    def read(self, offset: int) -> Page:
        """Return the page at an offset, asked for before or now."""
        pending = self._asked_for(offset)
        self._asked.popleft()
        return self._up_to_end(offset, pending.result())

    def read_if_there(self, offset: int, other: Page) -> Page:
        """Return the page at an offset; where the server refuses it as past the end, another without its records."""
        try:
            return self.read(offset)
        except StatusError as error:
            if error.status not in PAST_THE_END:
                raise
            return replace(other, records=[], refusal=str(error))

    def peek(self, offset: int) -> Page:
        """Return the page at an offset, and keep it as not read."""
        return self._up_to_end(offset, self._asked_for(offset).result())

    def _asked_for(self, offset: int) -> Pending[Page]:
        """Return the page at an offset, which comes first from now on, while it may be in flight."""
        if not self._asked or self._asked[0][0] != offset:
            self.close()
            self._asked.append((offset, self._ask(offset)))
        return self._asked[0][1]

    def _up_to_end(self, offset: int, page: Page) -> Page:
        if self.end is None or offset + len(page.records) <= self.end:
            return page
        return replace(page, records=page.records[: max(self.end - offset, 0)])

    def is_refused(self, offset: int) -> bool:
        """Tell whether the server refuses an offset, or has no page there."""
        try:
            self.peek(offset)
        except StatusError as error:
            if error.status not in PAST_THE_END:
                raise
            return True
        return False

    def look_ahead(self, offset: int, step: int, count: int) -> None:
        """Ask for the pages at an offset and beyond, unless they have been asked for."""
        wanted = [offset + step * n for n in range(count)]
        if [asked for asked, _ in self._asked] != wanted[: len(self._asked)]:
            self.close()
        for n in wanted[len(self._asked) :]:
            self._asked.append((n, self._ask(n)))


class Places:
    """How many records a list has, as far as its pages have shown.

    Args:
        queue: Gives the pages.
        paginator: Says where the list begins.
        coverage: Knows which records have been read; None where records have no key.
    """

    def __init__(self, queue: PageQueue, paginator: Offset | SinglePage, coverage: Coverage | None) -> None:
        self._queue = queue
        self._paginator = paginator
        self._start = paginator.offset
        self._coverage = coverage
        self._longest = 0
        self._is_uneven = False
        """Whether pages in the middle of the list were shorter than others, so that a short one may not be the last."""
        self._last: Page | None = None
        self.outcome = Outcome()
        """What is noted of the look at the list that is under way."""

    def note(self, offset: int, page: Page) -> bool:
        """Note that the list goes as far as a page; tell whether nothing beyond it is to be read."""
        self._longest = max(self._longest, len(page.records))
        end = offset + len(page.records)
        before = self.outcome.places
        if before is None or self._last is None:
            self._is_uneven = False  # a new look
        elif end - self._start > before and len(self._last.records) < self._longest:
            self._is_uneven = True
        self.outcome.places = end - self._start
        self._last = page
        return end == self._queue.end

    def require_no_result_window(self) -> None:
        """Raise ResultWindowError where the list ends as if the server limits the offset, and announces no total."""
        places = self.outcome.places
        if self._last is None or places not in RESULT_WINDOWS or self._start + places == self._queue.end:
            return
        if announced_total(self._last, self._paginator) != places:
            msg = f"{self._last.label}: the list ends after {places:,} records, where servers usually limit the offset."
            raise ResultWindowError(msg)

    def read_on(self, offset: int, before: Page) -> Page:
        """Return the page after another; one without records where the server refuses it.

        Raises MisfitError where more records must be there.
        """
        page = self._queue.read_if_there(offset, before)
        if not page.refusal:
            return page
        is_last = len(before.records) == 1 and announced_total(before, self._paginator) <= offset - self._start
        has_fewer = len(before.records) > 1 and self._coverage is not None  # counting them shows whether all were read
        if not is_last and not has_fewer:
            raise MisfitError(misfit(page))
        return page

    def is_last(self, page: Page) -> bool:
        """Tell whether a page that does not join is the last one all the same: it is short, and brings nothing new."""
        is_short = 0 < len(page.records) < self._longest and not self._is_uneven
        return is_short and self._knows_all(page)

    def _knows_all(self, page: Page) -> bool:
        return self._coverage is not None and self._coverage.knows_all(page.records)

    def pages(self) -> Iterator[Page]:
        """Yield all pages by position: where rows have no order, their number tells whether all have been read.

        Raises MisfitError where the server has no record at the place of one that it has sent, or
        where offsets lead to no new records.
        """
        offset, fruitless = self._start, 0
        before: Page | None = None
        if self._coverage is not None:
            self._coverage.forget()
        while True:
            page = self.read_on(offset, before) if before else self._queue.read(offset)
            size = len(before.records) if before else 0
            if not page.records and size > 1:
                page = self._queue.read_if_there(offset, page)
                if not page.records:
                    raise MisfitError(misfit(page))
            overlaps = size > 1 and self._knows_all(replace(page, records=page.records[:1]))
            is_last = not page.records or self.is_last(page)
            is_end = self.note(offset, page) or is_last
            fruitless = fruitless + 1 if self._knows_all(page) else 0
            if fruitless > LONGEST_TROUBLE:
                raise MisfitError(misfit(page))
            yield page.without_first(1) if overlaps else page
            if is_end:
                return
            before = page
            offset += max(len(page.records) - 1, 1)


def misfit(page: Page) -> str:
    """Return why nothing can be read past a page."""
    if page.refusal:
        return f"{page.refusal} There are records at this offset: the server limits the offset, or rows move too fast."
    return (
        f"{page.label} was answered with {len(page.records)} records that do not continue the page "
        f"before, {LONGEST_TROUBLE} times in a row: the server limits or ignores the offset, or rows "
        "move too fast. Nothing can be read past this point without missing records."
    )


def whole_steps(
    queue: PageQueue, paginator: Offset | SinglePage, first: Page, *, rounds: bool, warn: Callable[[str], None]
) -> Iterator[Page]:
    """Yield the pages after the first, from a server that takes offsets only in multiples of the limit.

    It `rounds` the others, or refuses them, and then it may refuse all offsets.
    Raises PagingError where it returns fewer records than the limit in the middle of the list.
    """
    if rounds and len(first.records) < paginator.limit:
        return  # the first page is the only one
    warn(
        f"{first.label}: the server takes offsets only in multiples of {paginator.limit}; its pages are read without "
        "overlap, so that rows which move meanwhile are not noticed."
    )
    offset, before = paginator.offset, first
    while True:
        offset += paginator.limit
        try:
            page = queue.read(offset)
        except StatusError as error:
            if error.status not in PAST_THE_END:
                raise
            may_refuse_all = before is first and len(first.records) >= paginator.limit and not rounds
            if may_refuse_all and error.status not in NO_SUCH_PAGE:
                again = queue.read(paginator.offset)
                if len(again.records) >= paginator.limit:
                    raise  # no offset at all is taken
                yield again  # the list has become shorter
            return
        if not page.records or page.records == before.records:
            return
        if len(before.records) < paginator.limit:
            msg = f"{page.label}: the server returns fewer records than the limit, and no offset between its multiples"
            raise PagingError(msg)
        yield page
        before = page


def after_refusal(
    queue: PageQueue, paginator: Offset | SinglePage, first: Page, *, warn: Callable[[str], None]
) -> Iterator[Page]:
    """Yield what follows the first page, where the server refuses the offset of its last record."""
    if isinstance(paginator, SinglePage):
        warn(
            f"{first.label}: the answer holds {len(first.records)} records, a round number, and the server refuses "
            "to be asked for more. If there are more, declare a paginator."
        )
    elif len(first.records) > 1:  # else there was nothing to overlap with
        yield from whole_steps(queue, paginator, first, rounds=False, warn=warn)


def announced_total(page: Page, paginator: Offset | SinglePage) -> int:
    """Return how many records a page says there are: at the declared path, else under a usual name; 0 for none."""
    declared = page.nodes.get(paginator.total_path or "") if isinstance(paginator, Offset) else None
    number = whole_number(declared)
    return number if number is not None and number >= 0 else page.evidence.total or 0

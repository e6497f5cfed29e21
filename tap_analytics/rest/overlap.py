"""The walk through pages that are asked for by offset: nothing is skipped, whatever moves meanwhile.

Each page is asked for so that it begins with the last record of the page before. If it does, no
row between the two can have been missed, as long as rows keep their order. If it does not, rows
came or went, or the server or a cache answered something else than was asked; then the walk
steps back until a page begins with a record it knows, and goes on from there. A row that came in
among those already read may be an old one, from further on: the list is read again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from tap_analytics.rest.errors import PagingError, StatusError
from tap_analytics.rest.evidence import whole_number
from tap_analytics.rest.paginators import Offset, SinglePage

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from msgspec import Raw

    from tap_analytics.rest.pages import Page
    from tap_analytics.rest.pool import Pending

STEPS_BACK = (1, 32, 1024)
"""Records to step back, try by try, before the walk starts over from its first page."""

ROUND = 100
"""Where a single page holds a multiple of this many records, the server may have cut it off there."""

LONGEST_TROUBLE = 5
"""Pages in a row that may bring nothing new before the walk gives up, and how often it may start over."""

LOOKS = 3
"""How often a list is read as long as rows come in among those that have been read."""


PAST_THE_END = frozenset([400, 404, 416, 422])
"""Statuses with which servers answer for a page after the last one, or for an offset that they do not take."""


class PageQueue:
    """The pages that were asked for and not read yet, by their offset."""

    def __init__(self, ask: Callable[[int], Pending[Page]]) -> None:
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
        page = self.peek(offset)
        self._asked.popleft()
        return page

    def peek(self, offset: int) -> Page:
        """Return the page at an offset, and keep it as not read."""
        if not self._asked or self._asked[0][0] != offset:
            self.close()
            self._asked.append((offset, self._ask(offset)))
        return self._asked[0][1].result()

    def look_ahead(self, offset: int, step: int, count: int) -> None:
        """Ask for the pages at an offset and beyond, unless they have been asked for."""
        wanted = [offset + step * n for n in range(count)]
        if [asked for asked, _ in self._asked] != wanted[: len(self._asked)]:
            self.close()
        for n in wanted[len(self._asked) :]:
            self._asked.append((n, self._ask(n)))


class OffsetWalk:
    """All pages of one slice, in order, with requests ahead of the reader."""

    def __init__(
        self,
        ask: Callable[[int], Pending[Page]],
        paginator: Offset | SinglePage,
        *,
        key_of: Callable[[Raw], Hashable] | None,
        max_in_flight: int,
        warn: Callable[[str], None],
    ) -> None:
        self._queue = PageQueue(ask)
        self._paginator = paginator
        self._key_of = key_of or bytes
        self._keyed = key_of is not None
        self._max_in_flight = max_in_flight
        self._warn = warn
        self._before: Page
        self._ahead = 1
        self._trouble = 0
        self._restarts = 0
        self._came_in: str | None = None
        """The last request that showed rows among those that had been read."""

    def start(self) -> None:
        """Ask for the first page, if that has not been done."""
        if self._queue.is_empty:
            self._queue.look_ahead(self._paginator.offset, 1, 1)

    def close(self) -> None:
        """Give up what was asked for and not read."""
        self._queue.close()

    def pages(self) -> Iterator[Page]:
        """Yield the pages, each without the records that the pages before have brought.

        Raises PagingError where the pages do not fit together, and what a request raised.
        """
        try:
            for _ in range(LOOKS if self._keyed else 1):  # without a key, every look would double the rows
                self._came_in = None
                pages = limited(self._pages(), self._paginator)
                yield from judged(pages, self._paginator, warn=self._warn)
                if self._came_in is None:
                    return
            self._warn(
                f"{self._came_in} showed that rows came in among those that had been read. If one of them was "
                "moved there from further on, it may be missing until the next run."
            )
        finally:
            self.close()

    def _pages(self) -> Iterator[Page]:
        offset = self._paginator.offset
        page = new = self._queue.read(offset)
        size = len(page.records)
        full = size >= self._paginator.limit
        if size == 0 or (isinstance(self._paginator, SinglePage) and not full and size % ROUND):
            yield page
            return
        first: Page | None = page
        pace = self._paginator.limit
        while True:
            self._before = page
            step = max(len(page.records) - 1, 1)
            offset += step
            # Asked for before the page is handed out, so that it is under way meanwhile.
            self._ahead = min(self._ahead * 2, self._max_in_flight) if len(page.records) >= pace else 1
            self._queue.look_ahead(offset, step, self._ahead)
            if new.records:
                yield new
            pace = size
            if first is not None and self._is_refused(offset):
                yield from self._after_refusal(first)
                return
            page = self._queue.read(offset)
            if self._joined(page) is None and not self._brings_new(page):
                page = self._queue.read(offset)  # a stale or an empty answer is often gone by then
            joined = self._joined(page)
            if first and (ending := self._ending(offset, page, first, joins=joined is not None)) is not None:
                yield from ending
                return
            if joined is not None:
                if not joined.records:
                    return
                self._trouble = 0
                new = joined
            else:
                offset, page = self._step_back(offset, page)
                new = self._unknown(page)
            first = None  # pages are large, and this one is done with

    def _is_refused(self, offset: int) -> bool:
        """Tell whether the server refuses an offset, or has no page there."""
        try:
            self._queue.peek(offset)
        except StatusError as error:
            if error.status not in PAST_THE_END:
                raise
            return True
        return False

    def _ending(self, offset: int, page: Page, first: Page, *, joins: bool) -> Iterator[Page] | None:
        """Return how the walk ends where the second page is the first again; None where it goes on as it should."""
        if not joins and page.records == first.records and self._rounds(offset, first):
            return whole_steps(self._queue, self._paginator, first, warn=self._warn)
        if self._is_first_again(page, first, joins=joins):
            judge_repetition(page, self._paginator, warn=self._warn)
            return iter(())
        return None

    def _after_refusal(self, first: Page) -> Iterator[Page]:
        """Yield what follows the first page, where the server refuses the offset of its last record."""
        if isinstance(self._paginator, SinglePage):
            self._warn(
                f"{first.label}: the answer holds {len(first.records)} records, a round number, and the server refuses "
                "to be asked for more. If there are more, declare a paginator."
            )
        elif len(first.records) > 1:  # else there was nothing to overlap with
            yield from whole_steps(self._queue, self._paginator, first, warn=self._warn)

    def _rounds(self, offset: int, first: Page) -> bool:
        """Tell whether the server rounds an offset to a multiple of the limit, and does not answer from a cache."""
        if len(first.records) < self._paginator.limit or self._queue.read(offset).records != first.records:
            return False
        following = self._queue.read(self._paginator.offset + self._paginator.limit).records
        return bool(following) and following != first.records

    def _joined(self, page: Page) -> Page | None:
        """Return what a page adds, if it begins where the page before ended; else None."""
        before = self._before.records
        if len(before) == 1:
            # Pages of one record cannot overlap; only an empty one ends such a walk.
            return None if page.records and self._begins_known(page) else page
        if page.records and self._key_of(page.records[0]) == self._key_of(before[-1]):
            return page.without_first(1)
        return None

    def _is_first_again(self, page: Page, first: Page, *, joins: bool) -> bool:
        """Tell whether the second page is the first, which comes back from far away too, where no row moved it."""
        if page.records != first.records or (joins and len(self._known_keys()) == 1):
            return False  # rows that are all alike go on with themselves
        return self._queue.read(self._paginator.offset + self._paginator.limit).records == first.records

    def _step_back(self, offset: int, page: Page) -> tuple[int, Page]:
        """Return an offset and its page that begins with a known record, or the very first.

        Raises PagingError where that has been done too often without finding anything new.
        """
        self._ahead = 1
        self._trouble += 1
        if self._trouble > LONGEST_TROUBLE:
            raise PagingError(misfit(page))
        if self._brings_new(page):
            self._trouble = 0 if self._keyed else self._trouble
            self._came_in = page.label
            return offset, page
        start = self._paginator.offset
        for step in STEPS_BACK:
            if offset - step <= start:
                break
            page = self._queue.read(offset - step)
            if self._begins_known(page):
                return offset - step, page
        return start, self._restart(start)

    def _restart(self, start: int) -> Page:
        """Return the first page anew, once two answers agree on where it begins: nothing joins it to another."""
        page = self._queue.read(start)
        self._restarts += 1
        if self._restarts > LONGEST_TROUBLE:
            raise PagingError(misfit(page))
        for _ in range(LONGEST_TROUBLE):
            before, page = page, self._queue.read(start)
            if page.records and before.records and self._key_of(page.records[0]) == self._key_of(before.records[0]):
                return page
        raise PagingError(misfit(page))

    def _begins_known(self, page: Page) -> bool:
        return bool(page.records) and self._key_of(page.records[0]) in self._known_keys()

    def _brings_new(self, page: Page) -> bool:
        return self._begins_known(page) and bool(self._unknown(page).records)

    def _unknown(self, page: Page) -> Page:
        """Return the page without the records of the page before; without a key nobody can tell."""
        if not self._keyed:
            return page
        known = self._known_keys()
        new = [record for record in page.records if self._key_of(record) not in known]
        return replace(page, records=new, first=page.first + len(page.records) - len(new))

    def _known_keys(self) -> set[Hashable]:
        return {self._key_of(record) for record in self._before.records}


def judge_repetition(page: Page, paginator: Offset | SinglePage, *, warn: Callable[[str], None]) -> None:
    """Judge a server that answers with the first page again, whatever the offset.

    Raises PagingError where that may hide records: a paginator is declared and ignored, or the page is full.
    """
    size = len(page.records)
    if page.evidence.total == size:
        return
    repeated = f"{page.label} was answered with the first page again"
    if isinstance(paginator, Offset) or size >= paginator.limit:
        msg = f"{repeated}: the server ignores the offset. "
        msg += "Check the paginator, or declare single_page if this is everything."
        raise PagingError(msg)
    warn(f"{repeated}. The server does not seem to page; its {size} records are taken as all there are.")


def limited(pages: Iterator[Page], paginator: Offset | SinglePage) -> Iterator[Page]:
    """Yield pages up to the maximum offset, which is exclusive, if there is one."""
    if isinstance(paginator, SinglePage) or paginator.maximum_offset is None:
        yield from pages
        return
    room = max(paginator.maximum_offset - paginator.offset, 0)
    for page in pages:
        yield replace(page, records=page.records[:room])
        room -= len(page.records)
        if room <= 0:
            return


def judged(pages: Iterator[Page], paginator: Offset | SinglePage, *, warn: Callable[[str], None]) -> Iterator[Page]:
    """Yield pages; warn where the answers announce more than they hold."""
    read, announced, page = 0, "", None
    for page in pages:
        read += len(page.records)
        yield page
        total = announced_total(page, paginator)
        announced = f"{total:,} records" if total > read else ""
        if isinstance(paginator, SinglePage):
            announced = announced or page.evidence.next
    is_limited = isinstance(paginator, Offset) and paginator.maximum_offset is not None
    if page is not None and announced and not is_limited:
        warn(f"{page.label}: the API announces {announced}; {read:,} were read. Check the paginator.")


def announced_total(page: Page, paginator: Offset | SinglePage) -> int:
    """Return how many records a page says there are: at the declared path, else under a usual name; 0 for none."""
    declared = page.nodes.get(paginator.total_path or "") if isinstance(paginator, Offset) else None
    number = whole_number(declared)
    return number if number is not None and number >= 0 else page.evidence.total or 0


def misfit(page: Page) -> str:
    """Return why nothing can be read past a page."""
    return (
        f"{page.label} was answered with {len(page.records)} records that do not continue the page "
        f"before, {LONGEST_TROUBLE} times in a row: the server limits or ignores the offset, or rows "
        "move too fast. Nothing can be read past this point without missing records."
    )


def whole_steps(
    queue: PageQueue, paginator: Offset | SinglePage, first: Page, *, warn: Callable[[str], None]
) -> Iterator[Page]:
    """Yield the pages after the first, from a server that takes offsets only in multiples of the limit.

    Raises PagingError where it returns fewer records than the limit in the middle of the list.
    """
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
            if error.status in PAST_THE_END and (before is not first or len(first.records) < paginator.limit):
                return
            raise
        if not page.records or page.records == before.records:
            return
        if len(before.records) < paginator.limit:
            msg = f"{page.label}: the server returns fewer records than the limit, and no offset between its multiples"
            raise PagingError(msg)
        yield page
        before = page

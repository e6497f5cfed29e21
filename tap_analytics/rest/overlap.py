"""The walk through pages that are asked for by offset: nothing is skipped, whatever moves meanwhile.

Each page is asked for so that it begins with the last record of the page before. If it does, no
row between the two can have been missed, as long as rows keep their order. If it does not, rows
came or went, or the server or a cache answered something else than was asked; then the walk
steps back until a page begins with a record it knows, and goes on from there. A row that came in
among those already read may be an old one, from further on: the list is read again. Where the rows
have no order that lasts, the pages are read by position, and counted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tap_analytics.rest.coverage import Coverage, Outcome, covered
from tap_analytics.rest.errors import MisfitError, PagingError
from tap_analytics.rest.paginators import Offset, SinglePage
from tap_analytics.rest.positions import (
    LONGEST_TROUBLE,
    PageQueue,
    Places,
    after_refusal,
    announced_total,
    misfit,
    whole_steps,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from msgspec import Raw

    from tap_analytics.rest.pages import Page
    from tap_analytics.rest.pool import Pending

STEPS_BACK = (1, 32, 1024)
"""Records to step back, try by try, before the walk starts over from its first page."""

ROUND = 100
"""Where a single page holds a multiple of this many records, the server may have cut it off there."""


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
        self._queue = PageQueue(ask, end=paginator.maximum_offset if isinstance(paginator, Offset) else None)
        self._paginator = paginator
        self._key_of = key_of or bytes
        self._coverage = Coverage(key_of) if key_of else None
        self._max_in_flight = max_in_flight
        self._warn = warn
        self._before: Page
        self._ahead = 1
        self._trouble = 0
        self._restarts = 0
        self._places = Places(self._queue, paginator, self._coverage)

    def start(self) -> None:
        """Ask for the first page, if that has not been done."""
        if self._queue.is_empty:
            self._queue.look_ahead(self._paginator.offset, 1, 1)

    def close(self) -> None:
        """Give up what was asked for and not read."""
        self._queue.close()

    def pages(self) -> Iterator[Page]:
        """Yield the pages, each without the records that the pages before have brought.

        Raises PagingError where the pages do not fit together, ResultWindowError where the server may
        have shown all that it ever shows, and what a request raised.
        """
        try:
            yield from covered(self._look, self._coverage, warn=self._warn)
            self._places.require_no_result_window()
        finally:
            self.close()

    def _look(self, outcome: Outcome) -> Iterator[Page]:
        """Yield the pages once, and say how that ended."""
        self._places.outcome = outcome
        for _ in range(1, outcome.look):  # so that servers which take turns answer other pages than in the look before
            self._queue.read(self._paginator.offset)
        yield from judged(self._joined_pages(), self._paginator, warn=self._warn)

    def _joined_pages(self) -> Iterator[Page]:
        if not self._places.outcome.by_position:
            try:
                yield from self._pages()
            except MisfitError:
                if self._coverage is None:
                    raise
            else:
                return
        yield from self._places.pages()

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
            if self._places.note(offset, page):
                yield new
                return
            step = max(len(page.records) - 1, 1)
            offset += step
            # Asked for before the page is handed out, so that it is under way meanwhile.
            self._ahead = min(self._ahead * 2, self._max_in_flight) if len(page.records) >= pace else 1
            self._queue.look_ahead(offset, step, self._ahead)
            if new.records:
                yield new
            pace = size
            if first is not None and self._queue.is_refused(offset):
                self._places.outcome.places = None
                yield from after_refusal(self._queue, self._paginator, first, warn=self._warn)
                return
            page, joined = self._read_on(offset)
            if (ending := self._ending(offset, page, first, joined)) is not None:
                yield from ending
                return
            if joined is not None:
                self._trouble = 0
                new = joined
            else:
                offset, page = self._step_back(offset, page)
                new = self._unknown(page)
            first = None  # pages are large, and this one is done with

    def _read_on(self, offset: int) -> tuple[Page, Page | None]:
        """Return the page at an offset, and what it adds; None where it does not begin where the page before ended."""
        page = self._places.read_on(offset, self._before)
        if self._joined(page) is None and not self._brings_new(page):
            page = self._queue.read_if_there(offset, page)  # a stale or an empty answer is often gone by then
        return page, self._joined(page)

    def _ending(self, offset: int, page: Page, first: Page | None, joined: Page | None) -> Iterator[Page] | None:
        """Return how the walk ends with a page, `first` being the page before if that is the first; else None."""
        if joined is None and self._places.is_last(page):
            self._places.note(offset, page)
            return iter(())
        if first is not None:
            if joined is None and page.records == first.records and self._rounds(offset, first):
                self._places.outcome.places = None
                return whole_steps(self._queue, self._paginator, first, rounds=True, warn=self._warn)
            if self._is_first_again(page, first, joins=joined is not None):
                judge_repetition(page, self._paginator, warn=self._warn)
                return iter(())
        return iter(()) if joined is not None and not joined.records else None

    def _rounds(self, offset: int, first: Page) -> bool:
        """Tell whether the server rounds an offset to a multiple of the limit, and does not answer from a cache."""
        if self._queue.read(offset).records != first.records:
            return False
        following = self._paginator.offset + self._paginator.limit
        if self._queue.is_refused(following):
            return True
        records = self._queue.read(following).records
        return records != first.records if len(first.records) >= self._paginator.limit else not records

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
            raise MisfitError(misfit(page))
        if self._brings_new(page):
            self._trouble = 0 if self._coverage else self._trouble
            self._places.outcome.came_in = page.label
            return offset, page
        start = self._paginator.offset
        for step in STEPS_BACK:
            if offset - step <= start:
                break
            page = self._queue.read_if_there(offset - step, page)
            if self._begins_known(page):
                return offset - step, page
        return start, self._restart(start)

    def _restart(self, start: int) -> Page:
        """Return the first page anew, once two answers agree on where it begins: nothing joins it to another."""
        page = self._queue.read(start)
        self._restarts += 1
        if self._restarts > LONGEST_TROUBLE:
            raise MisfitError(misfit(page))
        for _ in range(LONGEST_TROUBLE):
            before, page = page, self._queue.read(start)
            if page.records and before.records and self._key_of(page.records[0]) == self._key_of(before.records[0]):
                return page
        raise MisfitError(misfit(page))

    def _begins_known(self, page: Page) -> bool:
        return bool(page.records) and self._key_of(page.records[0]) in self._known_keys()

    def _brings_new(self, page: Page) -> bool:
        return self._begins_known(page) and bool(self._unknown(page).records)

    def _unknown(self, page: Page) -> Page:
        """Return the page without the records of the page before; without a key nobody can tell."""
        if self._coverage is None:
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

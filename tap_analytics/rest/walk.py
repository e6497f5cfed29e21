"""The walk through the pages of one slice, each named by the one before or by its number."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from operator import eq
from typing import TYPE_CHECKING, Protocol

from tap_analytics import jsonpath
from tap_analytics.rest.coverage import Coverage, Outcome, covered
from tap_analytics.rest.errors import PagingError, StatusError
from tap_analytics.rest.overlap import ROUND, OffsetWalk
from tap_analytics.rest.pages import WHOLE_ANSWER, Page
from tap_analytics.rest.paginators import Auto, Offset, PageNumber, Paginator, Position, SinglePage
from tap_analytics.rest.pool import Pending
from tap_analytics.rest.positions import PAST_THE_END

if TYPE_CHECKING:
    from msgspec import Raw

Fetch = Callable[[Paginator, Position], Pending[Page]]
"""Asks for the page of a paginator at a position."""


class Walk(Protocol):
    """All pages of one slice, in order, with requests ahead of the reader."""

    def start(self) -> None:
        """Ask for the first page, if that has not been done."""

    def close(self) -> None:
        """Give up what was asked for and not read."""

    def pages(self) -> Iterator[Page]:
        """Yield the pages.

        Raises PagingError where they do not fit together, and what a request raised.
        """


def walk(  # noqa: PLR0913 - what both kinds of walk need
    fetch: Fetch,
    paginator: Paginator,
    *,
    key_of: Callable[[Raw], Hashable] | None,
    max_in_flight: int,
    warn: Callable[[str], None],
    inform: Callable[[str], None],
) -> Walk:
    """Return the walk that fits a paginator.

    Args:
        fetch: Asks for a page.
        paginator: How the pages follow each other.
        key_of: Returns what tells a record from the others; None where nothing does.
        max_in_flight: Requests that may be in flight at once.
        warn: Is given what may be missing.
        inform: Is given what was detected.
    """
    if isinstance(paginator, Offset | SinglePage):
        return OffsetWalk(
            lambda offset: fetch(paginator, offset), paginator, key_of=key_of, max_in_flight=max_in_flight, warn=warn
        )
    return ChainWalk(fetch, paginator, key_of=key_of, max_in_flight=max_in_flight, warn=warn, inform=inform)


class ChainWalk:
    """Pages by links, cursors or numbers."""

    def __init__(  # noqa: PLR0913 - as `walk`
        self,
        fetch: Fetch,
        paginator: Paginator,
        *,
        key_of: Callable[[Raw], Hashable] | None,
        max_in_flight: int,
        warn: Callable[[str], None],
        inform: Callable[[str], None],
    ) -> None:
        self._fetch = fetch
        self.paginator = paginator
        """How the pages follow each other: as declared, or as the first page has shown."""
        self._key_of = key_of
        self._inform = inform
        self._max_in_flight = max_in_flight
        self._warn = warn
        self._asked: deque[tuple[Position, Pending[Page]]] = deque()
        self._width = 1
        self._records = 0
        self._is_base_guessed = False

    def start(self) -> None:
        """Ask for the first page, if that has not been done."""
        if not self._asked:
            self._ask(self.paginator.first)

    def close(self) -> None:
        """Give up what was asked for and not read."""
        while self._asked:
            self._asked.popleft()[1].abandon()

    def pages(self) -> Iterator[Page]:
        """Yield the pages.

        Raises PagingError where they do not fit together, and what a request raised.
        """
        # A server that names its pages by links or cursors keeps their order itself.
        is_counted = isinstance(self.paginator, Auto | PageNumber)
        coverage = Coverage(self._key_of) if self._key_of is not None and is_counted else None
        try:
            yield from covered(self._look, coverage, warn=self._warn)
        finally:
            self.close()

    def _look(self, outcome: Outcome) -> Iterator[Page]:
        """Yield the pages once, and say how that ended."""
        if outcome.look > 1:
            self.close()
        for _ in range(1, outcome.look):  # so that servers which take turns answer other pages than in the look before
            self._fetch(self.paginator, self.paginator.first).result()
        self.start()
        yield from self._pages()
        if not isinstance(self.paginator, PageNumber):
            outcome.places = 0

    def _pages(self) -> Iterator[Page]:
        position, pending = self._asked.popleft()
        page = pending.result()
        self._records = len(page.records)
        if isinstance(self.paginator, Auto):
            self._detect(page)
            if isinstance(self.paginator, SinglePage):
                yield page
                self._judge_single_page(page)
                return
            page = replace(page, nodes=self._nodes_of(page))
            position = self.paginator.first
        self._judge_first(page)
        seen = {position}
        shown = page
        while (following := self.paginator.next(position, page)) is not None:
            if following in seen:
                msg = f"{page.label}: the answer leads to a page that was read already. Check the paginator."
                raise PagingError(msg)
            self._ask_for(following, page)
            yield shown
            before, position = page, following
            seen.add(position)
            shown = page = self._read(before)
            if page.records and self._is_same(page, before):
                if self._is_end(position, page, first=len(seen) == 2):  # noqa: PLR2004 - the second page
                    return
                shown = replace(page, records=[])
            self._records += len(shown.records)
        yield shown
        self._judge_end(page)

    def _detect(self, page: Page) -> None:
        """Go on with the paginator that the first page shows."""
        assert isinstance(self.paginator, Auto)  # noqa: S101 - for the type checker
        self.paginator = self.paginator.detect(page)
        self._inform(f"no paginator is declared; the first answer shows {self.paginator.type}.")
        if isinstance(self.paginator, PageNumber):
            self._is_base_guessed = self.paginator.base_page == 0

    def _nodes_of(self, page: Page) -> dict[str, object]:
        root = page.nodes.get(WHOLE_ANSWER)
        matched = {path: jsonpath.find(path, root) for path in self.paginator.nodes}
        return {path: values[0] for path, values in matched.items() if values}

    def _ask(self, position: Position) -> None:
        self._asked.append((position, self._fetch(self.paginator, position)))

    def _ask_for(self, following: Position, page: Page) -> None:
        """Have the page at a position in flight, and as many after it as are known."""
        if self._asked and self._asked[0][0] != following:
            self.close()
        if not self._asked:
            self._ask(following)
        self._width = min(self._width * 2, self._max_in_flight)
        for position in self.paginator.ahead(self._asked[-1][0], self._width - len(self._asked), page):
            self._ask(position)

    def _is_same(self, page: Page, other: Page) -> bool:
        """Tell whether two pages hold the same rows, of which some fields may change from answer to answer."""
        if page.records == other.records or self._key_of is None or len(page.records) != len(other.records):
            return page.records == other.records
        return all(map(eq, map(self._key_of, page.records), map(self._key_of, other.records)))

    def _read(self, before: Page) -> Page:
        """Return the next page that was asked for; one without records where the server has none so far on.

        Raises PagingError where the page before announced more, and what the request raised.
        """
        _, pending = self._asked.popleft()
        try:
            return pending.result()
        except StatusError as error:
            if error.status in PAST_THE_END and isinstance(self.paginator, PageNumber) and before.records:
                self._judge_refusal(before, error)
                return replace(before, records=[], nodes={}, label=f"{before.label}, the page after it")
            raise

    def _judge_refusal(self, before: Page, error: StatusError) -> None:
        """Raise PagingError where the page before a page that is refused announced more than was read."""
        evidence = before.evidence
        if evidence.next or (evidence.total or 0) > self._records:
            announced = f"{evidence.total:,} records" if evidence.total else f"another page ({evidence.next})"
            msg = f"{error} The API announces {announced}; {self._records:,} were read."
            raise PagingError(msg) from None

    def _is_end(self, position: Position, page: Page, *, first: bool) -> bool:
        """Tell whether a page that is the one before again is the end of the list.

        Raises PagingError where the server ignores the paginator.
        """
        paginator = self.paginator
        if isinstance(paginator, PageNumber):
            if first and self._is_base_guessed:
                self.paginator = replace(paginator, base_page=1)
                self._is_base_guessed = False
                return False
            # A server may answer with its last page for ever; a cache does so once.
            again = [self._fetch(paginator, at).result() for at in (position, int(str(position)) + 1)]
            if not first and all(self._is_same(one, page) for one in again):
                return True
        msg = (
            f"{page.label} was answered with the page before again: the server ignores the paginator. "
            "Check its parameters, or declare single_page if this is everything."
        )
        raise PagingError(msg)

    def _judge_first(self, page: Page) -> None:
        """Raise PagingError where the first page should name the next one and has no place for it."""
        missing = self.paginator.missing(page)
        if not missing or not page.records:
            return
        evidence, size = page.evidence, len(page.records)
        is_full = bool(self.paginator.nodes) and size % ROUND == 0
        if evidence.next or (evidence.total or 0) > size or is_full:
            announced = f", but {evidence.next}" if evidence.next else ""
            msg = f"{page.label}: the answer with {size} records has no {missing}{announced}. Check the paginator."
            raise PagingError(msg)

    def _judge_single_page(self, page: Page) -> None:
        """Raise PagingError, or warn, where no pagination was detected and there may be more pages."""
        size, evidence = len(page.records), page.evidence
        if evidence.next or (evidence.total or 0) > size:
            announced = f"a total of {evidence.total:,}" if evidence.total else evidence.next
            msg = (
                f"{page.label}: no pagination was detected, but the answer with {size:,} records announces {announced}"
            )
            msg = f"{msg}. Declare a paginator."
            raise PagingError(msg)
        if size and size % ROUND == 0:
            self._warn(
                f"{page.label}: no pagination was detected, and the answer holds {size} records, a round number. "
                "If there are more, declare a paginator."
            )

    def _judge_end(self, page: Page) -> None:
        """Warn where the server announced more records than were read."""
        total = page.evidence.total
        if total is not None and total > self._records:
            self._warn(f"{page.label}: the API announces {total:,} records; {self._records:,} were read.")

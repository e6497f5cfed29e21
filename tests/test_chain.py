"""The walk through pages that are named by the one before, or by their number."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Raw

from tap_analytics.rest.errors import PagingError, StatusError
from tap_analytics.rest.evidence import Evidence
from tap_analytics.rest.pages import Page
from tap_analytics.rest.paginators import Auto, Cursor, JsonLink, PageNumber, Paginator, Position
from tap_analytics.rest.pool import Pending
from tap_analytics.rest.walk import ChainWalk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RECEIVED = datetime(2026, 6, 1, tzinfo=UTC)


def page(*rows: int, total: int | None = None, nodes: Mapping[str, Any] | None = None) -> Page:
    records = [Raw(b"%d" % row) for row in rows]
    return Page(records, "GET x", RECEIVED, nodes=nodes or {}, evidence=Evidence(total))


class Server:
    """Pages by their position; a status for those that there are none of."""

    def __init__(self, pages: Mapping[Any, Page], status: int = 404) -> None:
        self.pages = pages
        self.status = status
        self.asked: list[Position] = []

    def fetch(self, paginator: Paginator, position: Position) -> Pending[Page]:
        del paginator
        self.asked.append(position)
        pending = Pending[Page]()
        if position in self.pages:
            pending.set_result(self.pages[position])
        else:
            pending.set_exception(StatusError(f"GET x was answered with {self.status}", self.status))
        return pending


def walk(server: Server, paginator: Paginator, *, max_in_flight: int = 4) -> tuple[list[int], list[str]]:
    """Return the rows that a walk brought, in order, and its warnings."""
    warnings: list[str] = []
    chain = ChainWalk(
        server.fetch,
        paginator,
        key_of=bytes,
        max_in_flight=max_in_flight,
        warn=warnings.append,
        inform=lambda _text: None,
    )
    return [int(bytes(record)) for one in chain.pages() for record in one.records], warnings


@pytest.mark.parametrize("status", [400, 404, 416, 422])
@pytest.mark.parametrize("in_flight", [1, 4])
def test_a_number_that_is_refused_after_a_page_of_records_is_the_end(status: int, in_flight: int) -> None:
    server = Server({0: page(1, 2), 1: page(3)}, status)
    assert walk(server, PageNumber(), max_in_flight=in_flight) == ([1, 2, 3], [])


def test_a_refused_number_proves_nothing_where_more_records_are_announced() -> None:
    server = Server({0: page(1, 2, total=5), 1: page(3, 4, total=5)})
    with pytest.raises(PagingError, match="announces 5 records; 4 were read"):
        walk(server, PageNumber())


def test_an_empty_page_is_the_end_and_a_larger_total_a_warning() -> None:
    server = Server({0: page(1, 2, total=5), 1: page(total=5)})
    rows, (warning,) = walk(server, PageNumber(), max_in_flight=1)
    assert rows == [1, 2]
    assert "announces 5 records; 2 were read" in warning


@pytest.mark.parametrize("status", [403, 500])
def test_another_status_is_an_error(status: int) -> None:
    with pytest.raises(StatusError):
        walk(Server({0: page(1)}, status), PageNumber())


def test_a_refused_cursor_is_an_error() -> None:
    with pytest.raises(StatusError):
        walk(Server({None: page(1, nodes={"next": "b"})}), Cursor(cursor_path="next"))


def test_numbers_run_ahead_no_further_than_the_total() -> None:
    nodes = {"total": 3}
    server = Server({number: page(number, nodes=nodes) for number in range(3)})
    assert walk(server, PageNumber(total_path="total"), max_in_flight=16) == ([0, 1, 2], [])
    assert server.asked == [0, 1, 2]


@pytest.mark.parametrize("in_flight", [1, 4])
def test_numbered_pages_whose_rows_change_places_are_read_again(in_flight: int) -> None:
    before, after = {0: page(1, 2), 1: page(3, 4), 2: page(5)}, {0: page(3, 5), 1: page(2, 1), 2: page(4)}
    server = Server({**before, 1: after[1], 2: after[2]})

    def fetch(paginator: Paginator, position: Position) -> Pending[Page]:
        if position == 0 and server.asked:
            server.pages = after
        return Server.fetch(server, paginator, position)

    chain = Server({})
    chain.fetch = fetch  # type: ignore[method-assign]
    rows, warnings = walk(chain, PageNumber(), max_in_flight=in_flight)
    assert set(rows) == {1, 2, 3, 4, 5}
    assert warnings == []


def test_numbered_pages_that_repeat_keys_in_a_lasting_order_are_all_there_is() -> None:
    rows, (warning,) = walk(Server({0: page(1, 2), 1: page(2, 1), 2: page(3)}), PageNumber())
    assert set(rows) == {1, 2, 3}
    assert warning == "2 of 5 records have the key of another record of the list. Is the key right?"


def test_a_last_page_that_is_repeated_for_ever_is_the_end() -> None:
    last = page(3, 4)
    server = Server({0: page(1, 2)} | dict.fromkeys(range(1, 40), last))
    assert walk(server, PageNumber()) == ([1, 2, 3, 4], [])


def test_a_first_page_that_is_repeated_is_an_ignored_paginator() -> None:
    server = Server(dict.fromkeys(range(40), page(1, 2)))
    with pytest.raises(PagingError, match="declare single_page"):
        walk(server, PageNumber())


@pytest.mark.parametrize("links", [["a", "b", "a"], ["a", "a"]])
def test_links_in_a_circle_are_an_error(links: Sequence[str]) -> None:
    positions: list[Position] = [None, *links[:-1]]
    pages = {
        position: page(number, nodes={"next": link})
        for number, (position, link) in enumerate(zip(positions, links, strict=True))
    }
    with pytest.raises(PagingError, match="already"):
        walk(Server(pages), JsonLink())


@pytest.mark.parametrize("first", [0, 1])
def test_the_number_of_the_first_page_is_found_out(first: int) -> None:
    nodes = {"$": {"total_pages": 3}, "total_pages": 3}
    pages: dict[Any, Page] = {first + number: page(number, nodes=nodes) for number in range(3)}
    pages[None] = pages[first]
    if first:
        pages[0] = pages[1]
    assert walk(Server(pages), Auto())[0] == [0, 1, 2]

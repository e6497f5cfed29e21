"""The walk through pages, over a list that changes and a server that errs between any two requests."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from tap_analytics.rest.errors import PagingError, RestError, ResultWindowError, StatusError
from tap_analytics.rest.evidence import Evidence
from tap_analytics.rest.overlap import OffsetWalk
from tap_analytics.rest.pages import Page
from tap_analytics.rest.paginators import Offset, SinglePage
from tap_analytics.rest.pool import Pending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RECEIVED = datetime(2026, 6, 1, tzinfo=UTC)
MOST_REQUESTS = 3_000


class Lazy(Pending[Page]):
    """A page that is made when it is read, and not when it is asked for."""

    def __init__(self, make: Callable[[], Page]) -> None:
        super().__init__()
        self._make = make

    def result(self, timeout: float | None = None) -> Page:
        del timeout
        return self._make()


@dataclass
class Server:
    """A list of rows, served in pages."""

    rows: list[int]
    limit: int
    cap: int = 10_000
    lazy: bool = False
    ignores_limit: bool = False
    ignores_offset: bool = False
    repeats_last_page: bool = False
    largest_offset: int = 10_000
    nothing_beyond: int = 10_000
    refused_from: int = 10_000_000
    """The first offset that is answered with status 400."""
    refusal: int = 400
    refuses_past_the_end: bool = False
    """Whether an offset of the length of the list, or beyond, is refused."""
    rounds: bool = False
    """Whether offsets are rounded down to multiples of the limit."""
    total: int | None = None
    moves: list[tuple[str, float] | None] = field(default_factory=list)
    """What happens before each request: at a fraction of the list, a row comes, goes, or moves to the front or end."""
    orders: Sequence[int | None] = ()
    """Before each request, time and again: the order that the rows take on, 0 being the reverse; None for the same."""
    sizes: Sequence[int] = ()
    """Records of a page at the most, request by request, time and again."""
    empty: set[int] = field(default_factory=set)
    """The requests, counted from 0, that are answered without rows."""
    stale: set[int] = field(default_factory=set)
    """The requests that are answered with the page before."""

    def __post_init__(self) -> None:
        self.stayed = set(self.rows)
        self.requests = 0
        self._next = len(self.rows)
        self._last: list[int] = []
        self._moves = iter(self.moves)
        self._orders = cycle(self.orders or [None])
        self._sizes = cycle(self.sizes or [self.cap])

    def ask(self, offset: int) -> Pending[Page]:
        if offset >= self.refused_from or (self.refuses_past_the_end and offset >= max(len(self.rows), 1)):
            refused = Pending[Page]()
            message = f"GET (offset={offset}) was answered with {self.refusal}."
            refused.set_exception(StatusError(message, self.refusal))
            return refused
        if self.lazy:
            return Lazy(lambda: self._page(offset))
        ticket = Pending[Page]()
        ticket.set_result(self._page(offset))
        return ticket

    def _page(self, offset: int) -> Page:
        number, self.requests = self.requests, self.requests + 1
        assert number < MOST_REQUESTS, "the walk does not end"
        self._move()
        size = min(self.cap, next(self._sizes), 10_000 if self.ignores_limit else self.limit)
        at = 0 if self.ignores_offset else min(offset, self.largest_offset)
        at -= at % self.limit if self.rounds else 0
        if self.repeats_last_page and at >= len(self.rows):
            at = max(len(self.rows) - 1, 0) // size * size
        rows_read = self._last if number in self.stale else self.rows[at : at + size]
        self._last = rows_read
        rows_read = [] if number in self.empty or offset > self.nothing_beyond else rows_read
        return Page(
            [Raw(b"%d" % row) for row in rows_read], f"GET (offset={offset})", RECEIVED, evidence=Evidence(self.total)
        )

    def _move(self) -> None:
        match next(self._orders):
            case 0:
                self.rows.reverse()
            case int(order):
                self.rows.sort(key=lambda row: hash((row, order)))
        match next(self._moves, None):
            case ("insert", where):
                self.rows.insert(round(where * len(self.rows)), self._next)
                self._next += 1
            case ("advance", where) if self.rows:
                self.rows.insert(0, self.rows.pop(round(where * (len(self.rows) - 1))))
            case ("retreat", where) if self.rows:
                self.rows.append(self.rows.pop(round(where * (len(self.rows) - 1))))
            case ("delete", where) if self.rows:
                self.stayed.discard(self.rows.pop(round(where * (len(self.rows) - 1))))
            case _:
                pass


def walk(
    server: Server,
    *,
    paginator: Offset | SinglePage | None = None,
    max_in_flight: int = 4,
    keyed: bool = True,
) -> tuple[list[int], list[str]]:
    """Return the rows that a walk brought, in order, and its warnings."""
    warnings: list[str] = []
    pages = OffsetWalk(
        server.ask,
        paginator or Offset(limit=server.limit),
        key_of=bytes if keyed else None,
        max_in_flight=max_in_flight,
        warn=warnings.append,
    )
    return [int(bytes(record)) for page in pages.pages() for record in page.records], warnings


IN_FLIGHT = st.sampled_from([1, 2, 4, 16])
MOVE = st.tuples(st.sampled_from(["insert", "delete"]), st.floats(0, 1))


@settings(deadline=None, derandomize=True)
@given(
    rows=st.integers(0, 60),
    limit=st.integers(1, 25),
    cap=st.integers(1, 30),
    in_flight=IN_FLIGHT,
    lazy=st.booleans(),
    keyed=st.booleans(),
    ignores_limit=st.booleans(),
)
def test_a_walk_in_peace_brings_each_row_once_and_in_order(
    rows: int,
    limit: int,
    cap: int,
    in_flight: int,
    **habits: Any,  # noqa: ANN401
) -> None:
    keyed = habits.pop("keyed")
    server = Server(list(range(rows)), limit, cap, **habits)
    assert walk(server, max_in_flight=in_flight, keyed=keyed) == (list(range(rows)), [])


@pytest.mark.parametrize("rows", [0, 2, 9, 10, 11, 19, 20, 35])
@pytest.mark.parametrize("keyed", [False, True])
def test_a_last_page_that_is_repeated_for_ever_is_the_last(rows: int, *, keyed: bool) -> None:
    server = Server(list(range(rows)), 10, repeats_last_page=True)
    assert walk(server, keyed=keyed) == (list(range(rows)), [])


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    rows=st.integers(0, 80),
    limit=st.integers(3, 20),
    cap=st.integers(3, 25),
    in_flight=IN_FLIGHT,
    lazy=st.booleans(),
    keyed=st.booleans(),
    ignores_limit=st.booleans(),
    repeats_last_page=st.booleans(),
    largest_offset=st.sampled_from([10_000, 30, 7]),
    moves=st.lists(st.none() | MOVE, max_size=25),
    # An empty first page cannot be told from an empty list.
    empty=st.sets(st.integers(1, 12), max_size=2),
    # The first page time and again cannot be told from a server that has no other.
    stale=st.sets(st.integers(1, 12), max_size=1),
)
def test_no_row_that_stayed_is_missing_or_the_walk_fails(
    rows: int,
    limit: int,
    in_flight: int,
    **trouble: Any,  # noqa: ANN401
) -> None:
    keyed = trouble.pop("keyed")
    server = Server(list(range(rows)), limit, **trouble)
    try:
        rows_read, _ = walk(server, max_in_flight=in_flight, keyed=keyed)
    except PagingError:
        return
    assert server.stayed <= set(rows_read)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    rows=st.integers(20, 80),
    page=st.integers(5, 20),
    in_flight=IN_FLIGHT,
    lazy=st.booleans(),
    moves=st.lists(st.none() | MOVE, max_size=3),
)
def test_a_few_moves_are_got_over(rows: int, page: int, in_flight: int, **trouble: Any) -> None:  # noqa: ANN401
    server = Server(list(range(rows)), page, **trouble)
    rows_read, warnings = walk(server, max_in_flight=in_flight)
    assert server.stayed <= set(rows_read)
    assert warnings == []


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    rows=st.integers(5, 60),
    page=st.integers(3, 20),
    in_flight=IN_FLIGHT,
    lazy=st.booleans(),
    moves=st.lists(st.none() | st.tuples(st.sampled_from(["advance", "insert"]), st.floats(0, 1)), max_size=25),
)
def test_a_row_that_moves_to_the_front_is_found_or_the_doubt_is_said(
    rows: int,
    page: int,
    in_flight: int,
    **trouble: Any,  # noqa: ANN401
) -> None:
    server = Server(list(range(rows)), page, **trouble)
    try:
        rows_read, warnings = walk(server, max_in_flight=in_flight)
    except PagingError:
        return
    assert warnings or server.stayed <= set(rows_read)


def test_a_row_that_moves_to_the_front_costs_one_more_look() -> None:
    server = Server(list(range(8)), 4, moves=[None, ("advance", 1.0)])
    rows_read, warnings = walk(server, max_in_flight=1)
    assert rows_read[-8:] == [7, *range(7)]
    assert warnings == []


@pytest.mark.parametrize(("keyed", "times"), [(True, 100), (False, 1)])
def test_rows_that_keep_coming_in_end_a_walk_with_a_warning(*, keyed: bool, times: int) -> None:
    # Rows without a key are not read twice: no target could merge them.
    server = Server(list(range(40)), 10, moves=[None, ("insert", 0.0), None] * times)
    rows_read, (warning,) = walk(server, max_in_flight=1, keyed=keyed)
    assert server.stayed <= set(rows_read)
    assert "may be missing until the next run" in warning
    assert server.requests < 60


ORDERS = st.none() | st.integers(0, 5)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    rows=st.integers(0, 60),
    limit=st.integers(2, 25),
    cap=st.integers(2, 30),
    in_flight=IN_FLIGHT,
    lazy=st.booleans(),
    orders=st.lists(ORDERS, max_size=8),
    sizes=st.lists(st.integers(2, 9), max_size=4),
)
@example(rows=150, limit=50, cap=50, in_flight=1, lazy=False, orders=[None, 0, *[None] * 50], sizes=[])
@example(rows=40, limit=10, cap=10, in_flight=4, lazy=True, orders=[1, 2], sizes=[])
def test_whatever_order_the_rows_have_at_each_request_all_come_or_the_walk_fails(
    rows: int,
    limit: int,
    in_flight: int,
    **habits: Any,  # noqa: ANN401
) -> None:
    server = Server(list(range(rows)), limit, **habits)
    try:
        brought, warnings = walk(server, max_in_flight=in_flight)
    except PagingError:
        return
    assert set(brought) == server.stayed
    assert warnings == []


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("order", range(6))
@pytest.mark.parametrize("request_number", range(1, 8))
def test_an_order_that_changes_once_costs_another_look_and_no_row(
    order: int, request_number: int, *, lazy: bool
) -> None:
    orders = [*[None] * request_number, order, *[None] * MOST_REQUESTS]
    server = Server(list(range(150)), 30, lazy=lazy, orders=orders)
    brought, warnings = walk(server, max_in_flight=1)
    assert set(brought) == server.stayed
    assert warnings == []
    assert server.requests < 40


@pytest.mark.parametrize("limit", [2, 10, 100])
@pytest.mark.parametrize("in_flight", [1, 4])
def test_two_servers_with_orders_of_their_own_that_take_turns_are_read(limit: int, in_flight: int) -> None:
    server = Server(list(range(150)), limit, lazy=True, orders=[1, 2])
    brought, warnings = walk(server, max_in_flight=in_flight)
    assert set(brought) == server.stayed
    assert warnings == []


def test_records_of_one_key_are_no_sign_of_a_changing_order() -> None:
    within = Server([1, 1, 2, 3, 4, 5, 6, 7, 8], 5)
    brought, (warning,) = walk(within)
    assert brought == [1, 1, 2, 3, 4, 5, 6, 7, 8]
    assert warning == "1 of 9 records have the key of another record of the list. Is the key right?"
    across = Server([1, 2, 3, 4, 5, 6, 7, 1, 8], 5)
    brought, (warning,) = walk(across)
    assert set(brought) == {*range(1, 9)}
    assert warning == "1 of 9 records have the key of another record of the list. Is the key right?"


@pytest.mark.parametrize("in_flight", [1, 4])
@pytest.mark.parametrize("limit", [5, 20])
def test_a_list_that_grows_by_a_row_at_every_request_ends_with_a_warning(limit: int, in_flight: int) -> None:
    server = Server(list(range(60)), limit, moves=[("insert", 0.0)] * MOST_REQUESTS)
    brought, (warning,) = walk(server, max_in_flight=in_flight)
    assert server.stayed <= set(brought)
    assert "may be missing until the next run" in warning
    assert server.requests < 200


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    limit=st.integers(5, 20),
    in_flight=IN_FLIGHT,
    lazy=st.booleans(),
    places=st.lists(st.floats(0, 1), min_size=1, max_size=9),
)
def test_rows_that_move_to_the_end_at_every_request_end_no_walk(
    limit: int, in_flight: int, *, lazy: bool, places: list[float]
) -> None:
    moves: list[tuple[str, float] | None] = [("retreat", share) for share in places]
    server = Server(list(range(60)), limit, lazy=lazy, moves=moves * (MOST_REQUESTS // len(moves)))
    brought, _ = walk(server, max_in_flight=in_flight)
    assert set(brought) == server.stayed


def test_a_maximum_offset_ends_a_list_that_is_read_again() -> None:
    server = Server(list(range(100)), 10, orders=[None, None, 0, *[None] * MOST_REQUESTS])
    brought, _ = walk(server, paginator=Offset(limit=10, maximum_offset=35), max_in_flight=1)
    assert {*range(65, 100)} <= set(brought)
    assert server.requests < 30


@pytest.mark.parametrize("ends", [10, 30])
def test_a_server_that_has_nothing_beyond_some_offset_but_a_shorter_list_is_refused(ends: int) -> None:
    server = Server(list(range(100)), 10, nothing_beyond=ends)
    with pytest.raises(PagingError, match="do not continue"):
        walk(server)
    assert server.requests < 100


@pytest.mark.parametrize("in_flight", [1, 4])
@pytest.mark.parametrize("keyed", [False, True])
def test_a_server_that_refuses_offsets_beyond_some_number_limits_them(in_flight: int, *, keyed: bool) -> None:
    server = Server(list(range(100)), 10, refused_from=30)
    with pytest.raises(PagingError, match=r"answered with 400.*limits the offset"):
        walk(server, max_in_flight=in_flight, keyed=keyed)


@pytest.mark.parametrize("rows", [0, 1, 2, 9, 10, 11, 20, 25])
@pytest.mark.parametrize("cap", [1, 10, 1_000])
@pytest.mark.parametrize("refusal", [404, 416, 400])
@pytest.mark.parametrize("keyed", [False, True])
def test_a_refusal_past_the_end_is_the_end(rows: int, cap: int, refusal: int, *, keyed: bool) -> None:
    server = Server(list(range(rows)), 10, cap, refuses_past_the_end=True, refusal=refusal)
    assert walk(server, keyed=keyed) == (list(range(rows)), [])


def test_a_refusal_past_the_end_is_no_end_where_more_was_announced() -> None:
    server = Server(list(range(3)), 10, 1, refuses_past_the_end=True, total=5)
    with pytest.raises(PagingError, match="limits the offset"):
        walk(server)


@pytest.mark.parametrize("rows", [0, 1, 2, 9, 10, 11, 20, 25])
@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize("keyed", [False, True])
def test_a_server_that_rounds_offsets_is_read_in_whole_steps(rows: int, *, refuses: bool, keyed: bool) -> None:
    server = Server(list(range(rows)), 10, rounds=True, refuses_past_the_end=refuses)
    brought, warnings = walk(server, keyed=keyed)
    assert brought == list(range(rows))
    assert [warning for warning in warnings if "multiples of 10" not in warning] == []
    assert len(warnings) == (rows >= 10)


@pytest.mark.parametrize("rows", [5_000, 10_000])
@pytest.mark.parametrize("limit", [700, 5_000])
@pytest.mark.parametrize("keyed", [False, True])
def test_a_list_that_ends_where_servers_usually_stop_is_not_taken_for_whole(
    rows: int, limit: int, *, keyed: bool
) -> None:
    with pytest.raises(ResultWindowError, match=f"ends after {rows:,} records"):
        walk(Server(list(range(rows)), limit), keyed=keyed)
    whole = Server(list(range(rows)), limit, total=rows)
    assert walk(whole, keyed=keyed) == (list(range(rows)), [])
    one_more = Server(list(range(rows + 1)), limit)
    assert walk(one_more, keyed=keyed) == (list(range(rows + 1)), [])


def test_a_server_that_ignores_the_offset_is_found_out_though_its_page_ends_as_it_begins() -> None:
    server = Server([1, 2, 1], 10, ignores_offset=True)
    with pytest.raises(PagingError, match="declare single_page"):
        walk(server)


def test_a_page_that_insertions_made_like_the_first_is_not_taken_for_it() -> None:
    server = Server([0, 1, 2], 3, cap=2, moves=[None, ("insert", 0.0)])
    rows_read, warnings = walk(server)
    assert set(rows_read) >= {0, 1, 2}
    assert warnings == []


def test_a_stale_page_is_not_taken_for_the_first_where_a_walk_starts_over() -> None:
    server = Server(list(range(7)), 3, moves=[None, *[("delete", 0.0)] * 3], stale={4})
    rows_read, _ = walk(server, max_in_flight=1)
    assert server.stayed <= set(rows_read)


@pytest.mark.parametrize("number", range(1, 8))
@pytest.mark.parametrize("kind", ["empty", "stale"])
@pytest.mark.parametrize("lazy", [False, True])
def test_one_wrong_answer_costs_little_and_no_row(number: int, kind: str, *, lazy: bool) -> None:
    wrong: dict[str, Any] = {kind: {number}}
    server = Server(list(range(40)), 10, lazy=lazy, **wrong)
    rows_read, warnings = walk(server, max_in_flight=1)
    assert rows_read == list(range(40))
    assert warnings == []
    assert server.requests <= 8


def test_a_server_that_ignores_a_declared_paginator_is_refused_however_little_it_has() -> None:
    server = Server(list(range(9)), 10, ignores_offset=True, ignores_limit=True)
    with pytest.raises(PagingError, match="declare single_page"):
        walk(server)


def test_a_single_page_of_a_server_that_does_not_page_is_read_with_a_warning() -> None:
    server = Server(list(range(100)), 1000, ignores_offset=True, ignores_limit=True)
    rows_read, (warning,) = walk(server, paginator=SinglePage(limit=1000))
    assert rows_read == list(range(100))
    assert "does not seem to page" in warning


@pytest.mark.parametrize("rows", [10, 11, 50])
@pytest.mark.parametrize("ignores_limit", [False, True])
def test_a_server_that_ignores_the_offset_of_full_pages_is_refused(rows: int, *, ignores_limit: bool) -> None:
    server = Server(list(range(rows)), 10, ignores_offset=True, ignores_limit=ignores_limit)
    with pytest.raises(PagingError, match="ignores the offset"):
        walk(server)
    assert server.requests < 10


def test_a_server_that_limits_the_offset_is_refused_soon() -> None:
    server = Server(list(range(100)), 10, largest_offset=40)
    with pytest.raises(PagingError, match="limits or ignores the offset"):
        walk(server)
    assert server.requests < 50


@pytest.mark.parametrize(("rows", "requests"), [(0, 1), (1, 1), (9, 1), (10, 2), (11, 3), (19, 3)])
def test_a_single_page_is_one_request_unless_it_is_full(rows: int, requests: int) -> None:
    server = Server(list(range(rows)), 10)
    rows_read, _ = walk(server, paginator=SinglePage(limit=10), max_in_flight=1)
    assert rows_read == list(range(rows))
    assert server.requests == requests


@pytest.mark.parametrize(("rows", "requests"), [(0, 1), (1, 2), (5, 2), (9, 2)])
def test_a_small_list_costs_one_or_two_requests(rows: int, requests: int) -> None:
    server = Server(list(range(rows)), 10)
    rows_read, _ = walk(server)
    assert rows_read == list(range(rows))
    assert server.requests == requests


def test_a_request_that_cannot_be_made_ends_the_walk_with_its_reason() -> None:
    def ask(_offset: int) -> Pending[Page]:
        msg = "no thread can be started"
        raise RestError(msg)

    with pytest.raises(RestError, match="no thread can be started"):
        list(OffsetWalk(ask, Offset(limit=10), key_of=bytes, max_in_flight=4, warn=print).pages())


def test_a_walk_that_is_left_early_gives_up_what_it_asked_for() -> None:
    tickets: list[Pending[Page]] = []
    server = Server(list(range(100)), 10, lazy=True)

    def ask(offset: int) -> Pending[Page]:
        tickets.append(server.ask(offset))
        return tickets[-1]

    pages = OffsetWalk(ask, Offset(limit=10), key_of=bytes, max_in_flight=4, warn=print).pages()
    assert isinstance(pages, Generator)
    for _ in range(3):
        next(pages)
    pages.close()
    assert len(tickets) > 3
    assert [ticket.abandoned for ticket in tickets[server.requests :]] == [True] * (len(tickets) - server.requests)

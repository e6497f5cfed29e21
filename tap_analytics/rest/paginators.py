"""How the pages of a list follow each other: dlt's paginators as words that work.

A position is what tells one page from the others: an offset, a number, a cursor or an address. A paginator writes a
position into a request, and reads the next position from a page. It keeps nothing, so that pages can be asked for
ahead, again and out of order.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from tap_analytics import jsonpath
from tap_analytics.declare import Words, at_least, word
from tap_analytics.rest.errors import PagingError
from tap_analytics.rest.evidence import NEXT_NAMES, whole_number
from tap_analytics.rest.pages import WHOLE_ANSWER, Page
from tap_analytics.rest.request import as_sent

if TYPE_CHECKING:
    from tap_analytics.rest.request import Request

Position = Hashable

LARGEST_PAGE = 10_000
"""Records that a server is taken to return at most in the answer to one request, where nothing else is known."""


class Paginator(Words):
    """What all paginators can; a new one is a class here and its cases in the tests."""

    @property
    def first(self) -> Position:
        """The position of the first page."""
        return None

    @property
    def nodes(self) -> tuple[str, ...]:
        """The paths whose values a page has to carry."""
        return ()

    def apply(self, request: Request, position: Position) -> Request:
        """Return the request for the page at a position."""
        raise NotImplementedError

    def next(self, position: Position, page: Page) -> Position | None:
        """Return the position of the page after another, or None where there is none.

        Raises PagingError where the page does not have what the paginator needs.
        """
        raise NotImplementedError

    def ahead(self, position: Position, count: int, page: Page) -> Sequence[Position]:
        """Return positions after another that are known before its page is read.

        Args:
            position: The last position that was asked for.
            count: How many to return at most.
            page: The last page that was read.
        """
        del position, count, page
        return ()

    def missing(self, page: Page) -> str:
        """Return the path that should have named the next page, where a page does not have it at all."""
        del page
        return ""

    def small(self, records: int = 1) -> Paginator:
        """Return the paginator that asks for a few records, or for as few as it can, to look at them."""
        del records
        return self

    @property
    def amount(self) -> str:
        """How many records the first request asks for, in words."""
        return "the first page"


def _written(request: Request, param: str | None, path: str | None, value: object) -> Request:
    if path:
        return request.with_json(path, value)
    return request.with_params({param: value}) if param else request


def _linked(request: Request, link: str) -> Request:
    """Return the request for the address of a next page; raises PagingError where it is not one."""
    try:
        linked = request.at(link)
        as_sent(linked.url)
    except ValueError:
        msg = f"{request.label}: the answer's link to the next page is not a valid address"
        raise PagingError(msg) from None
    return linked


def _has_more(page: Page, path: str) -> bool:
    """Return what an answer says at the path of `has_more_path`.

    Raises PagingError where that is neither true nor false.
    """
    value = page.nodes.get(path)
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value.lower())
    if not isinstance(value, bool):
        msg = f"{page.label}: the answer has neither true nor false at has_more_path {path!r}"
        raise PagingError(msg)
    return value


def _is_absent(page: Page) -> bool:
    """Tell whether there was no answer to read: 204, or one that response_actions ignore."""
    return not (page.records or page.nodes or page.headers)


def _number(page: Page, path: str, name: str) -> int:
    """Return the whole number at a path; raises PagingError where there is none."""
    number = whole_number(page.nodes.get(path))
    if number is None:
        msg = f"{page.label}: the answer has no whole number at {name} {path!r}"
        raise PagingError(msg)
    return number


def _body_path_problem(path: str) -> str | None:
    """Return what would be valid where a path does not lead through objects alone, which can be made."""
    segments = jsonpath.parse(path)
    is_plain = bool(segments) and path.removeprefix("$.") == ".".join(map(str, segments or ()))
    return None if is_plain else "expected names with dots between them, such as variables.page"


def _paths(*paths: str | None) -> tuple[str, ...]:
    return tuple(path for path in paths if path)


@dataclass(frozen=True)
class SinglePage(Paginator):
    """One request; where its answer may have been cut off, what follows is asked for by offset."""

    type: ClassVar[str] = "single_page"
    limit: int = word("Records that the server returns at most.", default=LARGEST_PAGE, check=at_least(1))
    offset: int = word("Position of the first record.", default=0, check=at_least(0))
    offset_param: str = word("Parameter with the offset, if more has to be asked for.", default="offset")
    limit_param: str = word("Parameter with the limit, likewise.", default="limit")

    @property
    def amount(self) -> str:
        """Everything: the one request names no limit."""
        return "all"

    @property
    def first(self) -> Position:
        """The offset of the first record."""
        return self.offset

    def apply(self, request: Request, position: Position) -> Request:
        """Return the request as it is; for any page but the first, with offset and limit."""
        if position == self.offset:
            return request
        return request.with_params({self.offset_param: position, self.limit_param: self.limit})


@dataclass(frozen=True)
class Offset(Paginator):
    """Pages of `limit` records, each asked for by its offset."""

    type: ClassVar[str] = "offset"
    limit: int = word("Records of a page.", default=100, check=at_least(1))
    offset: int = word("Offset of the first page.", default=0, check=at_least(0))
    offset_param: str | None = word("Parameter with the offset.", default="offset")
    limit_param: str | None = word("Parameter with the limit.", default="limit")
    offset_body_path: str | None = word(
        "Path in the JSON body for the offset, instead of a parameter.", check=_body_path_problem
    )
    limit_body_path: str | None = word(
        "Path in the JSON body for the limit, instead of a parameter.", check=_body_path_problem
    )
    total_path: str | None = word("Path of the number of records there are.", check=jsonpath.problem)
    maximum_offset: int | None = word("Offset before which reading ends.", check=at_least(0))
    has_more_path: str | None = word("Path of whether there is another page.", check=jsonpath.problem)
    stop_after_empty_page: bool = word("Whether an empty page is the end; it always is.", default=True)

    @property
    def first(self) -> Position:
        """The offset of the first page."""
        return self.offset

    @property
    def nodes(self) -> tuple[str, ...]:
        """The paths of the total and of whether there is more."""
        return _paths(self.total_path, self.has_more_path)

    def apply(self, request: Request, position: Position) -> Request:
        """Return the request with offset and limit."""
        request = _written(request, self.offset_param, self.offset_body_path, position)
        return _written(request, self.limit_param, self.limit_body_path, self.limit)

    def small(self, records: int = 1) -> Paginator:
        """Return the paginator that asks for a few records."""
        return replace(self, limit=min(self.limit, records))

    @property
    def amount(self) -> str:
        """The limit, if requests carry it."""
        return f"{self.limit:,}" if self.limit_param or self.limit_body_path else super().amount


@dataclass(frozen=True)
class PageNumber(Paginator):
    """Pages by their number."""

    type: ClassVar[str] = "page_number"
    base_page: int = word("Number of the first page.", default=0, check=at_least(0))
    page: int | None = word("Number to begin with; without it, base_page.", check=at_least(0))
    page_param: str | None = word("Parameter with the number.", default="page")
    page_body_path: str | None = word(
        "Path in the JSON body for the number, instead of a parameter.", check=_body_path_problem
    )
    total_path: str | None = word("Path of the number of pages there are.", check=jsonpath.problem)
    maximum_page: int | None = word("Number before which reading ends.", check=at_least(0))
    stop_after_empty_page: bool = word("Whether an empty page is the end.", default=True)
    has_more_path: str | None = word("Path of whether there is another page.", check=jsonpath.problem)

    @property
    def first(self) -> Position:
        """The number of the first page."""
        return self.base_page if self.page is None else self.page

    @property
    def nodes(self) -> tuple[str, ...]:
        """The paths of the total and of whether there is more."""
        return _paths(self.total_path, self.has_more_path)

    def apply(self, request: Request, position: Position) -> Request:
        """Return the request with the number of the page."""
        return _written(request, self.page_param, self.page_body_path, position)

    def next(self, position: Position, page: Page) -> Position | None:
        """Return the next number, unless the page, the total or a limit says that there is none."""
        following = cast("int", position) + 1
        if _is_absent(page) or (not page.records and (self.stop_after_empty_page or not self.nodes)):
            return None
        if self.maximum_page is not None and following >= self.maximum_page:
            return None
        if self.total_path and following >= _number(page, self.total_path, "total_path") + self.base_page:
            return None
        return following if not self.has_more_path or _has_more(page, self.has_more_path) else None

    def ahead(self, position: Position, count: int, page: Page) -> Sequence[Position]:
        """Return the next numbers, up to the last one where the answer says which that is."""
        if self.has_more_path:
            return ()
        number = cast("int", position)
        end = number + 1 + count
        if self.maximum_page is not None:
            end = min(end, self.maximum_page)
        if self.total_path:
            end = min(end, _number(page, self.total_path, "total_path") + self.base_page)
        return range(number + 1, end)


@dataclass(frozen=True)
class Cursor(Paginator):
    """Pages by a cursor that the page before holds."""

    type: ClassVar[str] = "cursor"
    cursor_path: str = word("Path of the next cursor.", default="cursors.next", check=jsonpath.problem)
    cursor_param: str | None = word("Parameter with the cursor.", default="cursor")
    cursor_body_path: str | None = word(
        "Path in the JSON body for the cursor, instead of a parameter.", check=_body_path_problem
    )
    stop_after_empty_page: bool = word("Whether an empty page is the end.", default=False)
    has_more_path: str | None = word("Path of whether there is another page.", check=jsonpath.problem)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The paths of the cursor and of whether there is more."""
        return _paths(self.cursor_path, self.has_more_path)

    def apply(self, request: Request, position: Position) -> Request:
        """Return the request with the cursor; the first one has none."""
        return request if position is None else _written(request, self.cursor_param, self.cursor_body_path, position)

    def next(self, position: Position, page: Page) -> Position | None:
        """Return the cursor in a page; null, an empty text and no cursor at all are the end, 0 is a cursor."""
        del position
        if _is_absent(page) or (self.stop_after_empty_page and not page.records):
            return None
        if self.has_more_path and not _has_more(page, self.has_more_path):
            return None
        cursor = page.nodes.get(self.cursor_path)
        if cursor is None or cursor == "" or isinstance(cursor, bool):
            return None
        if isinstance(cursor, list | dict):
            msg = f"{page.label}: there is no cursor at cursor_path {self.cursor_path!r}, but a list or an object"
            raise PagingError(msg)
        return cast("Position", cursor)

    def missing(self, page: Page) -> str:
        """Return the path of the cursor, where a page does not have it."""
        return "" if self.cursor_path in page.nodes else f"cursor_path {self.cursor_path!r}"


@dataclass(frozen=True)
class HeaderCursor(Paginator):
    """Pages by a cursor in a header of the page before."""

    type: ClassVar[str] = "header_cursor"
    cursor_key: str = word("Header with the next cursor.", default="next")
    cursor_param: str = word("Parameter with the cursor.", default="cursor")

    def apply(self, request: Request, position: Position) -> Request:
        """Return the request with the cursor; the first one has none."""
        return request if position is None else request.with_params({self.cursor_param: position})

    def next(self, position: Position, page: Page) -> Position | None:
        """Return the cursor in the header."""
        del position
        return page.headers.get(self.cursor_key) or None

    def missing(self, page: Page) -> str:
        """Return the name of the header, where an answer does not have it."""
        return "" if self.cursor_key in page.headers else f"cursor_key {self.cursor_key!r}"


@dataclass(frozen=True)
class JsonLink(Paginator):
    """Pages by the address in the page before."""

    type: ClassVar[str] = "json_link"
    aliases: ClassVar[tuple[str, ...]] = ("json_response",)
    next_url_path: str = word("Path of the address of the next page.", default="next", check=jsonpath.problem)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The path of the address."""
        return (self.next_url_path,)

    def apply(self, request: Request, position: Position) -> Request:
        """Return the request at the address; it brings its own parameters."""
        return request if position is None else _linked(request, str(position))

    def next(self, position: Position, page: Page) -> Position | None:
        """Return the address in a page; null and an empty text are the end."""
        del position
        link = page.nodes.get(self.next_url_path)
        if link is None or link == "" or link is False:
            return None
        if not isinstance(link, str):
            msg = f"{page.label}: there is no address at next_url_path {self.next_url_path!r}"
            raise PagingError(msg)
        return link

    def missing(self, page: Page) -> str:
        """Return the path of the address, where a page does not have it."""
        return "" if self.next_url_path in page.nodes else f"next_url_path {self.next_url_path!r}"


@dataclass(frozen=True)
class HeaderLink(Paginator):
    """Pages by the address in the header Link (RFC 8288)."""

    type: ClassVar[str] = "header_link"
    links_next_key: str = word("Relation of the next page.", default="next")

    def apply(self, request: Request, position: Position) -> Request:
        """Return the request at the address; it brings its own parameters."""
        return request if position is None else _linked(request, str(position))

    def next(self, position: Position, page: Page) -> Position | None:
        """Return the address of the relation."""
        del position
        return page.links.get(self.links_next_key) or None

    def missing(self, page: Page) -> str:
        """Return the relation, where an answer does not have it."""
        return "" if self.links_next_key in page.links else f"links_next_key {self.links_next_key!r}"


@dataclass(frozen=True)
class Auto(Paginator):
    """Pages as the first answer shows: links, page numbers or cursors, as dlt detects them."""

    type: ClassVar[str] = "auto"

    @property
    def nodes(self) -> tuple[str, ...]:
        """The whole answer."""
        return (WHOLE_ANSWER,)

    def apply(self, request: Request, position: Position) -> Request:
        """Return the first request as it is."""
        del position
        return request

    def next(self, position: Position, page: Page) -> Position | None:
        """Return nothing: `detect` tells which paginator goes on."""
        del position, page
        return None

    def detect(self, page: Page) -> Paginator:
        """Return the paginator that the first page shows.

        In the order of dlt (1.31, `rest_client/detector.py`): the header Link, an address under a name that begins with
        `next`, a number of pages, a cursor under such a name, and else a single page. Beyond dlt, `@odata.nextLink` is
        such a name, and pages may be numbered from 1, as the answer to the first request says.
        """
        if page.links.get("next"):
            return HeaderLink()
        root = page.nodes.get(WHOLE_ANSWER)
        named = list(_named(root, _is_next_name))
        if path := next((path for path, value in named if _is_address(path, value)), None):
            return JsonLink(next_url_path=path)
        pages = _named(root, lambda name: name.lower() in _TOTAL_PAGES)
        total = next((path for path, value in pages if whole_number(value) is not None), None)
        if total is not None:
            number = next((value for _, value in _named(root, lambda name: name in _PAGE_NAMES)), None)
            return PageNumber(base_page=1 if number == 1 else 0, total_path=total)
        if path := next((path for path, value in named if value and not isinstance(value, bool | dict | list)), None):
            return Cursor(cursor_path=path)
        return SinglePage()


_TOTAL_PAGES = frozenset(["total_pages", "pages", "totalpages"])
_PAGE_NAMES = frozenset(["page", "current_page", "currentPage", "page_number", "pageNumber", "number"])


def _is_next_name(name: str) -> bool:
    return name.startswith("next") or name in NEXT_NAMES


def _is_address(path: str, value: object) -> bool:
    if not isinstance(value, str):
        return False
    # The links of OData may be relative to the collection, without a slash.
    return value.startswith(("http://", "https://", "/")) or bool(value and path.endswith("nextLink']"))


def _named(value: object, is_wanted: Any, path: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 - a predicate; an iterator of pairs
    """Yield path and value of each node with a wanted name, in objects at any depth; of objects, their address."""
    if not isinstance(value, Mapping):
        return
    for name, inner in value.items():
        here = (*path, name)
        if is_wanted(name):
            if isinstance(inner, Mapping):
                yield from ((jsonpath.written((*here, key)), inner[key]) for key in ("href", "url") if key in inner)
            else:
                yield jsonpath.written(here), inner
        elif isinstance(inner, Mapping):
            yield from _named(inner, is_wanted, here)


AnyPaginator = SinglePage | Offset | PageNumber | Cursor | HeaderCursor | JsonLink | HeaderLink | Auto

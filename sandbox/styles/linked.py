"""Styles in which each page names the next one: a link or a cursor, in the body or in a header."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from sandbox.faults import Answer
from sandbox.styles.ask import Ask, RefusedError, put, reply
from sandbox.styles.data import PAGE, THINGS, Record

_PAGES: Final = -(-len(THINGS) // PAGE)

Form = Literal["absolute", "relative", "sibling", "query", "other"]
"""How a link is written: with the origin, as a path, as the last segment of one, as a query, or with another origin."""

End = Literal["null", "absent", "empty"]
"""What the last page has where the others name the next one."""


def write_link(ask: Ask, form: Form, **params: object) -> str:
    """Return a link to the same address with other parameters."""
    link = ask.link(**params)
    parts = urlsplit(link)
    match form:
        case "absolute":
            return link
        case "relative":
            return f"{parts.path}?{parts.query}"
        case "sibling":
            return f"{parts.path.rpartition('/')[2]}?{parts.query}"
        case "query":
            return f"?{parts.query}"
        case "other":
            # Another origin by its name, and yet this server: what is sent there is recorded here.
            return link.replace("//127.0.0.1:", "//localhost:")


@dataclass(frozen=True, kw_only=True)
class LinkedPages:
    """Pages from 1 on, each with a link to the next at a dotted path of the body."""

    next: str = "next"
    form: Form = "absolute"
    end: End = "null"
    # Which page the last one links to.
    circle: int | None = None
    # What the links leave out of the parameters.
    without: tuple[str, ...] = ()

    def __call__(self, ask: Ask) -> Answer:
        """Answer with a page."""
        page = ask.number("page", 1, least=1)
        body: dict[str, Any] = {"data": list(THINGS[(page - 1) * PAGE : page * PAGE])}
        following = page + 1 if page < _PAGES else self.circle
        if following:
            # Only the first page leads elsewhere, so that a client which follows comes to an end.
            form = "absolute" if self.form == "other" and page > 1 else self.form
            link = write_link(ask, form, page=following, **dict.fromkeys(self.without))
            put(body, self.next, link)
        elif self.end != "absent":
            put(body, self.next, None if self.end == "null" else "")
        return reply(body)


@dataclass(frozen=True, kw_only=True)
class HeaderLinks:
    """Bare arrays from page 1 on, with a `Link` header (RFC 8288) that holds several relations."""

    rel: str = "next"
    form: Form = "absolute"
    circle: int | None = None
    # Further parameters of the link to the next page, as the header has them.
    extra: str = ""
    records: tuple[Record, ...] = THINGS
    # Most records in a page, whatever its size is asked to be.
    cap: int = 100

    def __call__(self, ask: Ask) -> Answer:
        """Answer with a page."""
        size = min(ask.number("per_page", PAGE, least=1), self.cap)
        pages = max(-(-len(self.records) // size), 1)
        page = ask.number("page", 1, least=1)
        links = [(1, 'rel="first"'), (pages, 'rel="last"')]
        if page > 1:
            links.append((page - 1, 'rel="prev"'))
        following = page + 1 if page < pages else self.circle
        if following:
            links.insert(1, (following, f'{self.extra}rel="{self.rel}"'))
        header = ", ".join(f"<{write_link(ask, self.form, page=number)}>; {rest}" for number, rest in links)
        return reply(self.records[(page - 1) * size : page * size], headers={"Link": header})


def _text(index: int) -> str:
    # Characters that mean something else in a query when they are not quoted.
    return f"p+{index}/&="


def _pages_left(index: int) -> int:
    return _PAGES - 1 - index // PAGE


def _last_id(index: int) -> int:
    return min(index, len(THINGS))


@dataclass(frozen=True, kw_only=True)
class CursorPages:
    """Pages by a cursor, which the answer tells at `path` of its body, in `header`, or (both None) nowhere."""

    path: str | None = "cursors.next"
    header: str | None = None
    param: str = "cursor"
    in_body: bool = False
    encode: Callable[[int], str | int] = _text
    end: End = "null"
    has_more: str | None = None
    # The cursor stays the same from the second page on.
    stuck: bool = False

    def __call__(self, ask: Ask) -> Answer:
        """Answer with a page."""
        start = self._start(ask.field(self.param) if self.in_body else ask.param(self.param))
        following = PAGE if self.stuck else start + PAGE
        more = self.stuck or following < len(THINGS)
        body: dict[str, Any] = {"data": list(THINGS[start : start + PAGE])}
        cursor = self.encode(following) if more else "" if self.end == "empty" else None
        if more or self.end != "absent":
            put(body, self.path, cursor)
        put(body, self.has_more, more)
        headers = {self.header: str(cursor)} if self.header and cursor is not None else None
        return reply(body, headers=headers)

    def _start(self, cursor: object) -> int:
        if cursor is None:
            return 0
        starts: tuple[int, ...] = (*range(PAGE, len(THINGS), PAGE), len(THINGS))
        for start in starts:
            if str(self.encode(start)) == str(cursor):
                return start
        raise RefusedError(400, f"No such {self.param}")


GET: Final = {
    "link/absolute": LinkedPages(),
    "link/relative": LinkedPages(form="relative"),
    "link/sibling": LinkedPages(form="sibling"),
    "link/query": LinkedPages(form="query"),
    "link/other": LinkedPages(form="other"),
    "link/absent": LinkedPages(end="absent"),
    "link/empty": LinkedPages(end="empty"),
    "link/deep": LinkedPages(next="paging.next.href"),
    "link/odd": LinkedPages(next="@odata-next link"),
    "link/circle": LinkedPages(circle=1),
    "link/itself": LinkedPages(circle=_PAGES),
    "header/next": HeaderLinks(),
    "header/relative": HeaderLinks(form="relative"),
    "header/query": HeaderLinks(form="query"),
    "header/other": HeaderLinks(form="other"),
    "header/more": HeaderLinks(rel="more"),
    "header/several": HeaderLinks(rel="next up"),
    "header/titled": HeaderLinks(extra='title="the next, with a comma"; '),
    "header/circle": HeaderLinks(circle=1),
    "header_cursor/next": CursorPages(path=None, header="next"),
    "header_cursor/named": CursorPages(path=None, header="X-Next-Cursor", param="after"),
    "header_cursor/last_id": CursorPages(path=None, header="X-Last-Id", param="after", encode=_last_id),
    "header_cursor/zero": CursorPages(path=None, header="next", encode=_pages_left),
    "header_cursor/empty": CursorPages(path=None, header="next", end="empty"),
    "header_cursor/stuck": CursorPages(path=None, header="next", stuck=True),
    "cursor/next": CursorPages(),
    "cursor/named": CursorPages(path="meta.next_token", param="token", end="absent"),
    "cursor/empty": CursorPages(end="empty"),
    "cursor/zero": CursorPages(encode=_pages_left),
    "cursor/more": CursorPages(has_more="has_more"),
    "cursor/last_id": CursorPages(path=None, param="starting_after", encode=_last_id),
    "cursor/last_id_more": CursorPages(path=None, param="starting_after", encode=_last_id, has_more="has_more"),
    "cursor/stuck": CursorPages(stuck=True),
    "cursor/next_cursor": CursorPages(path="next_cursor"),
    "cursor/next_page": CursorPages(path="next_page", param="page_token"),
}
"""What is asked for with GET, by path."""

POST: Final = {
    "cursor/body": CursorPages(in_body=True),
    "cursor/deep_body": CursorPages(path="page.after", param="page.after", in_body=True),
}
"""What is asked for with POST, by path."""

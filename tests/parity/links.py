"""Cases of the paginators that follow what each page says of the next, and of those that are detected."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from tests.parity.case import EVERY, POST, Case, Outcome, Words, paged, things

REPEATED = "circle|again|repeat|twice|already|same"
ELSEWHERE = "origin|another (server|host)|other (server|host)"


def _json_link() -> list[Case]:
    case = partial(paged, "json_link")

    return [
        case("absolute", "link/absolute"),
        case("relative", "link/relative"),
        case("only the last segment of a path", "link/sibling"),
        case("only a query", "link/query"),
        case("none at the end", "link/absent"),
        case(
            "empty at the end", "link/empty", departure="an empty link or cursor is the end of the list", records=EVERY
        ),
        case("deep in the body", "link/deep", {"next_url_path": "paging.next.href"}),
        case("a name that must be quoted", "link/odd", {"next_url_path": "['@odata-next link']"}),
        case("parameters are in the link", "link/absolute", endpoint={"params": {"kept": "a b"}}),
        case(
            "the body is sent again",
            "bodies/linked",
            endpoint={"method": "POST", "json": {"filter": {"kind": "thing"}}},
        ),
        case("by its other name", "link/absolute", endpoint={"paginator": {"type": "json_response"}}),
        case(
            "a wrong path",
            "link/absolute",
            {"next_url_path": "links.next"},
            departure="an answer that announces another page, but not where the paginator looks, is an error",
            error="next",
        ),
        case(
            "in a circle",
            "link/circle",
            departure="a link, cursor or page that repeats is an error",
            error=REPEATED,
        ),
        case(
            "to itself",
            "link/itself",
            departure="a link, cursor or page that repeats is an error",
            error=REPEATED,
        ),
        case(
            "to another origin",
            "link/other",
            departure="a link to another origin is an error",
            error=ELSEWHERE,
        ),
    ]


def _header_link() -> list[Case]:
    def case(
        name: str,
        path: str,
        words: Words | None = None,
        endpoint: Words | None = None,
        **outcome: Unpack[Outcome],
    ) -> Case:
        return paged("header_link", name, path, words, {"data_selector": "$", **(endpoint or {})}, **outcome)

    return [
        case("several relations", "header/next"),
        case("relative", "header/relative"),
        case("only a query", "header/query"),
        case("another relation", "header/more", {"links_next_key": "more"}),
        case(
            "a link with two relations",
            "header/several",
            departure="one link may have several relations",
            records=EVERY,
        ),
        case("a title with a comma", "header/titled"),
        case("everything in one page", "header/next", endpoint={"params": {"per_page": 25}}),
        case("a size of its own", "header/next", endpoint={"params": {"per_page": 7}}),
        case("no selector", "header/next", endpoint={"data_selector": None}),
        case(
            "a wrong relation",
            "header/next",
            {"links_next_key": "following"},
            departure="an answer that announces another page, but not where the paginator looks, is an error",
            error="next",
        ),
        case(
            "in a circle",
            "header/circle",
            departure="a link, cursor or page that repeats is an error",
            error=REPEATED,
        ),
        case(
            "to another origin",
            "header/other",
            departure="a link to another origin is an error",
            error=ELSEWHERE,
        ),
    ]


def _header_cursor() -> list[Case]:
    case = partial(paged, "header_cursor")

    named = {"cursor_key": "X-Next-Cursor", "cursor_param": "after"}
    return [
        case("the usual names", "header_cursor/next"),
        case("other names", "header_cursor/named", named),
        case("a name in other case", "header_cursor/named", {**named, "cursor_key": "x-next-cursor"}),
        case("the last id", "header_cursor/last_id", {"cursor_key": "X-Last-Id", "cursor_param": "after"}),
        case("the cursor 0", "header_cursor/zero"),
        case("beside other parameters", "header_cursor/next", endpoint={"params": {"kept": "a b"}}),
        case("no selector", "header_cursor/next", endpoint={"data_selector": None}),
        case(
            "empty at the end",
            "header_cursor/empty",
            departure="an empty link or cursor is the end of the list",
            records=EVERY,
        ),
        case(
            "always the same",
            "header_cursor/stuck",
            departure="a link, cursor or page that repeats is an error",
            error=REPEATED,
        ),
        case(
            "a wrong header",
            "header_cursor/next",
            {"cursor_key": "following"},
            departure="an answer that announces another page, but not where the paginator looks, is an error",
            error="next",
        ),
    ]


def _cursor() -> list[Case]:
    case = partial(paged, "cursor")

    last_id = {"cursor_path": "data[-1].id", "cursor_param": "starting_after"}
    return [
        case("the usual names", "cursor/next"),
        case(
            "other names, none at the end", "cursor/named", {"cursor_path": "meta.next_token", "cursor_param": "token"}
        ),
        case("empty at the end", "cursor/empty"),
        case("the number 0", "cursor/zero", departure="0 is a cursor like any other number", records=EVERY),
        case("has_more", "cursor/more", {"has_more_path": "has_more"}),
        case("the id of the last record", "cursor/last_id", last_id),
        case(
            "the id of the last record, until an empty page",
            "cursor/last_id",
            {**last_id, "stop_after_empty_page": True},
        ),
        case(
            "the id of the last record, while there are more",
            "cursor/last_id_more",
            {**last_id, "has_more_path": "has_more"},
        ),
        case("in the body", "cursor/body", {"cursor_body_path": "cursor"}, endpoint=POST),
        case(
            "deep in the body",
            "cursor/deep_body",
            {"cursor_path": "page.after", "cursor_body_path": "page.after"},
            endpoint=POST,
        ),
        case("beside other parameters", "cursor/next", endpoint={"params": {"kept": "a b"}}),
        case(
            "always the same",
            "cursor/stuck",
            departure="a link, cursor or page that repeats is an error",
            error=REPEATED,
        ),
        case(
            "a wrong path",
            "cursor/next",
            {"cursor_path": "meta.next"},
            departure="an answer that announces another page, but not where the paginator looks, is an error",
            error="next",
        ),
    ]


def _detected(
    name: str,
    path: str,
    *,
    endpoint: Words | None = None,
    client: Words | None = None,
    key: str = "id",
    **outcome: Unpack[Outcome],
) -> Case:
    """Return a case in which the paginator is detected."""
    config = things({"path": path, **(endpoint or {})}, client=client, key=key)
    return Case(name=f"auto: {name}", about="auto", config=config, **outcome)


def _auto() -> list[Case]:
    json_api = {"headers": {"Accept": "application/vnd.api+json"}}
    return [
        _detected("a link in a header", "header/next"),
        _detected("an absolute link", "link/absolute"),
        _detected("a relative link", "link/relative"),
        _detected("a link deep in the body", "link/deep"),
        _detected("the links of JSON:API", "apis/jsonapi/articles", client=json_api),
        _detected("a cursor below cursors", "cursor/next"),
        _detected("a cursor named next_cursor", "cursor/next_cursor"),
        _detected("pages from 0", "page/0/total_pages"),
        _detected("pages from 0, as a text deep in the body", "page/0/text"),
        _detected(
            "pages from 1",
            "page/1/total_pages",
            departure="page numbers that begin at 1 are detected",
            records=EVERY,
        ),
        _detected(
            "the link of OData",
            "apis/odata/Customers",
            departure="`@odata.nextLink` is detected",
            records={"things": [f"C{number:03d}" for number in range(1, 24)]},
            key="CustomerID",
            keys={"things": ("CustomerID",)},
        ),
        _detected("everything in one answer", "shapes/array"),
        _detected("said by its name", "link/absolute", endpoint={"paginator": "auto"}),
        _detected("said by its type", "header/next", endpoint={"paginator": {"type": "auto"}}),
        _detected("everything in one page, with a null link", "link/absolute", endpoint={"params": {"page": 3}}),
        _detected(
            "only a total, which is larger",
            "offset/total",
            departure="no detected pagination, and a total larger than the page, is an error",
            error="25",
        ),
        _detected(
            "a cursor whose parameter has another name",
            "cursor/next_page",
            departure="a link, cursor or page that repeats is an error",
            error=REPEATED,
        ),
    ]


CASES = [*_json_link(), *_header_link(), *_header_cursor(), *_cursor(), *_auto()]

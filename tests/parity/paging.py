"""Cases of the paginators that count: a single page, offsets, page numbers."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from tests.parity.case import EVERY, POST, Case, Outcome, Words, paged, things


def _single_page() -> list[Case]:
    case = partial(paged, "single_page")

    posted = {"method": "POST", "json": {"filter": {"least": 20}}}
    return [
        case("everything in one answer", "shapes/data"),
        case("a bare array", "shapes/array", endpoint={"data_selector": "$"}),
        case("as a text", "shapes/data", endpoint={"paginator": "single_page"}),
        case("one object", "shapes/object", endpoint={"data_selector": "$"}),
        case("no records", "shapes/empty"),
        case("a body", "bodies/json", endpoint=posted),
        case("the parameter asks for all", "offset/total", endpoint={"params": {"limit": 25}}),
        case("the answer links to another page", "link/absolute", warning="next"),
        case("the answer has a larger total", "offset/total", warning="25"),
        Case(
            name="single_page: said by the endpoint, over the client's",
            about="single_page",
            config=things(
                {"path": "link/absolute", "paginator": "single_page"}, client={"paginator": {"type": "json_link"}}
            ),
            warning="next",
        ),
    ]


def _offset() -> list[Case]:
    def case(
        name: str,
        path: str,
        limit: int = 10,
        words: Words | None = None,
        endpoint: Words | None = None,
        **outcome: Unpack[Outcome],
    ) -> Case:
        return paged("offset", name, path, {"limit": limit, **(words or {})}, endpoint, **outcome)

    no_total = {"total_path": None}
    body = {"offset_body_path": "page.offset", "limit_body_path": "page.limit"}
    return [
        case("total in the body", "offset/total"),
        case("a limit of one", "offset/total", 1),
        case(
            "no limit",
            "offset/total",
            endpoint={"paginator": {"type": "offset"}},
            departure="the limit is 100 where none is declared",
            records=EVERY,
        ),
        case("a page that is exactly full", "offset/total", 25),
        case(
            "no total is there",
            "offset/plain",
            departure="without total_path, no total is needed",
            records=EVERY,
        ),
        case("no total is looked for", "offset/plain", words=no_total),
        case("a bare array", "offset/bare", words=no_total, endpoint={"data_selector": "$"}),
        case("total as a text", "offset/text", words={"total_path": "meta.count"}),
        case(
            "total is no number",
            "offset/words",
            departure="without total_path, no total is needed",
            records=EVERY,
        ),
        case("total is too large", "offset/wrong_total", warning="40"),
        case(
            "pages are capped",
            "offset/capped_total",
            departure="offsets advance by what arrived, so that a cap loses nothing",
            records=EVERY,
        ),
        case(
            "pages are capped and there is no total",
            "offset/capped",
            words=no_total,
            departure="offsets advance by what arrived, so that a cap loses nothing",
            records=EVERY,
        ),
        case("offsets must be multiples of the limit", "offset/multiples"),
        case("offsets are rounded to multiples of the limit", "offset/rounded"),
        case("has_more", "offset/more", words={**no_total, "has_more_path": "has_more"}),
        case(
            "other names",
            "offset/named",
            words={"offset_param": "skip", "limit_param": "take", "total_path": "meta.count"},
        ),
        case("a maximum, which is exclusive", "offset/plain", 5, words={**no_total, "maximum_offset": 15}),
        case("begins later", "offset/total", words={"offset": 5}),
        case("in the body", "offset/body", words=body, endpoint={"method": "POST", "json": {"kind": "thing"}}),
        case("goes on after empty pages", "offset/total", words={"stop_after_empty_page": False}),
        case(
            "the server takes no notice of it",
            "offset/ignored",
            departure="a total that is reached proves the end, although the server ignores the offset",
            records=EVERY,
        ),
    ]


def _page_number() -> list[Case]:
    case = partial(paged, "page_number")

    one, no_total = {"base_page": 1}, {"total_path": None}
    pages = {"total_path": "total_pages"}
    return [
        case("from 0", "page/0/total"),
        case("from 1", "page/1/total", one),
        case("from 0, another total", "page/0/total_pages", pages),
        case("from 1, another total", "page/1/total_pages", {**one, **pages}),
        case("from 1, no total is looked for", "page/1/plain", {**one, **no_total}),
        case(
            "no total is there",
            "page/1/plain",
            one,
            departure="without total_path, no total is needed",
            records=EVERY,
        ),
        case("a bare array", "page/0/bare", no_total, endpoint={"data_selector": "$"}),
        case("total as a text", "page/0/text", {"total_path": "meta.pages"}),
        case("total counts records", "page/1/records", one),
        case("total in a header", "page/1/header", {**one, **no_total}),
        case("has_more", "page/1/more", {**one, **no_total, "has_more_path": "meta.has_more"}),
        case("other names", "page/1/named", {**one, "page_param": "p", "total_path": "meta.pages"}),
        case("a size of its own", "page/1/total", one, endpoint={"params": {"per_page": 5}}),
        case("a maximum, which is exclusive", "page/1/plain", {**one, **no_total, "maximum_page": 3}),
        case("begins later", "page/1/total", {**one, "page": 2}),
        case("from 0, in the body", "page/0/body", {**no_total, "page_body_path": "paging.page"}, endpoint=POST),
        case("from 1, in the body", "page/1/body", {**one, **no_total, "page_body_path": "paging.page"}, endpoint=POST),
        case("the last page is repeated, with a total", "page/1/last_total", one),
        case(
            "the last page is repeated, without a total",
            "page/1/last",
            {**one, **no_total},
            departure="a last page that repeats is the end of the list",
            records=EVERY,
        ),
        case("a page beyond the last is refused, with a total", "page/1/refused_total", one),
        case(
            "a page beyond the last is refused, without a total",
            "page/1/refused",
            {**one, **no_total},
            departure="404 for the page after the last one is the end of the list",
            records=EVERY,
        ),
        case("a first page that the server does not have", "page/1/total", error="400"),
    ]


CASES = [*_single_page(), *_offset(), *_page_number()]

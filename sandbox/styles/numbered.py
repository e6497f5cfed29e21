"""Styles whose pages are asked for by number: of the first record, or of the page."""

from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from sandbox.faults import Answer
from sandbox.styles.ask import Ask, RefusedError, put, reply
from sandbox.styles.data import MANY, PAGE, THINGS, Record


@dataclass(frozen=True, kw_only=True)
class OffsetPages:
    """Pages by offset and limit. `total` and `has_more` are where the answer tells them; None is nowhere."""

    offset: str = "offset"
    limit: str = "limit"
    in_body: bool = False
    total: str | None = None
    totals: object = len(THINGS)
    records: tuple[Record, ...] = THINGS
    has_more: str | None = None
    # Most records in a page, whatever the limit.
    cap: int = 100
    # What becomes of an offset that is no multiple of the limit.
    multiples: Literal["any", "only", "rounded"] = "any"
    ignored: bool = False
    bare: bool = False

    def __call__(self, ask: Ask) -> Answer:
        """Answer with a page."""
        limit = ask.number(self.limit, PAGE, least=1, in_body=self.in_body)
        start = ask.number(self.offset, 0, in_body=self.in_body)
        if self.ignored:
            start, limit = 0, len(self.records)
        if start % limit and self.multiples == "only":
            raise RefusedError(400, f"{self.offset} must be a multiple of {self.limit}")
        if self.multiples == "rounded":
            start -= start % limit
        end = start + min(limit, self.cap)
        page = list(self.records[start:end])
        body: dict[str, Any] = {"data": page}
        put(body, self.total, self.totals)
        put(body, self.has_more, end < len(self.records))
        return reply(page if self.bare else body)


@dataclass(frozen=True, kw_only=True)
class NumberedPages:
    """Pages by their number. `total`, `header` and `has_more` are where the answer tells them; None is nowhere."""

    first: int = 0
    page: str = "page"
    size: str = "per_page"
    in_body: bool = False
    total: str | None = None
    # What the total counts.
    counts: Literal["pages", "records", "pages as text"] = "pages"
    header: str | None = None
    has_more: str | None = None
    beyond: Literal["empty", "last", "refused"] = "empty"
    bare: bool = False
    records: tuple[Record, ...] = THINGS
    # Most records in a page, whatever its size is asked to be.
    cap: int = 100

    def __call__(self, ask: Ask) -> Answer:
        """Answer with a page."""
        size = PAGE if self.in_body else min(ask.number(self.size, PAGE, least=1), self.cap)
        pages = -(-len(self.records) // size)
        index = ask.number(self.page, self.first, least=self.first, in_body=self.in_body) - self.first
        if index >= pages and self.beyond == "refused":
            raise RefusedError(404, "No such page")
        if self.beyond == "last":
            index = min(index, pages - 1)
        page = list(self.records[index * size : (index + 1) * size])
        body: dict[str, Any] = {"data": page}
        totals = {"pages": pages, "records": len(self.records), "pages as text": str(pages)}
        put(body, self.total, totals[self.counts])
        put(body, self.has_more, index + 1 < pages)
        headers = {self.header: str(pages)} if self.header else None
        return reply(page if self.bare else body, headers=headers)


_PAGES: Final = {
    "plain": NumberedPages(),
    "bare": NumberedPages(bare=True),
    "total": NumberedPages(total="total"),
    "records": NumberedPages(total="total", counts="records"),
    "total_pages": NumberedPages(total="total_pages"),
    "many": NumberedPages(records=MANY, total="total_pages"),
    "many_records": NumberedPages(records=MANY, total="total", counts="records"),
    "text": NumberedPages(total="meta.pages", counts="pages as text"),
    "header": NumberedPages(header="X-Total-Pages"),
    "more": NumberedPages(has_more="meta.has_more"),
    "named": NumberedPages(page="p", size="size", total="meta.pages"),
    "last": NumberedPages(beyond="last"),
    "last_total": NumberedPages(beyond="last", total="total"),
    "refused": NumberedPages(beyond="refused"),
    "refused_total": NumberedPages(beyond="refused", total="total"),
}
_OFFSETS: Final = {
    "plain": OffsetPages(),
    "bare": OffsetPages(bare=True),
    "total": OffsetPages(total="total"),
    "many": OffsetPages(records=MANY, total="total", totals=len(MANY)),
    "many_untold": OffsetPages(records=MANY),
    "text": OffsetPages(total="meta.count", totals=str(len(THINGS))),
    "words": OffsetPages(total="total", totals="many"),
    "wrong_total": OffsetPages(total="total", totals=40),
    "more": OffsetPages(has_more="has_more"),
    "named": OffsetPages(offset="skip", limit="take", total="meta.count"),
    "capped": OffsetPages(cap=4),
    "capped_total": OffsetPages(cap=4, total="total"),
    "multiples": OffsetPages(multiples="only", total="total"),
    "rounded": OffsetPages(multiples="rounded", total="total"),
    "ignored": OffsetPages(ignored=True, total="total"),
}

GET: Final = {
    **{f"offset/{name}": style for name, style in _OFFSETS.items()},
    **{f"page/{first}/{name}": replace(style, first=first) for first in (0, 1) for name, style in _PAGES.items()},
}
"""What is asked for with GET, by path."""

POST: Final = {
    "offset/body": OffsetPages(offset="page.offset", limit="page.limit", in_body=True, total="total"),
    **{f"page/{first}/body": NumberedPages(first=first, page="paging.page", in_body=True) for first in (0, 1)},
}
"""What is asked for with POST, by path."""

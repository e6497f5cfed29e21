"""Frozen values that describe an endpoint; nothing here reads or writes anything."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from typing import ClassVar, Literal
from urllib.parse import quote, quote_plus, urlsplit

LARGEST_PAGE = 10_000
"""Records that the API returns at the most in one response (its contract)."""

LONGEST_WINDOW = 366
"""Days that `days_from_date` accepts at the most (the API's contract)."""

REDACTED = "***"

Params = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The key, and where in a request it travels."""

    value: str = field(repr=False)
    name: str = "api_key"
    location: Literal["header", "query"] = "header"

    def redact(self, text: str) -> str:
        """Return the text with the key blotted out, in plain and in every encoded form."""
        for form in _forms(self.value):
            text = text.replace(form, REDACTED)
        return text

    def excerpt(self, body: bytes | str, size: int) -> str:
        """Return the start of what a server sent, in one line and without the key or a part of it."""
        text = self.redact(body if isinstance(body, str) else body.decode(errors="replace"))
        for form in _forms(self.value):
            # What was read may end within the key.
            if part := next((n for n in range(len(form) - 1, 0, -1) if text.endswith(form[:n])), 0):
                text = text[:-part]
        return " ".join(text.split())[:size]


@cache
def _forms(key: str) -> tuple[str, ...]:
    """Return how a key may be written where it is repeated, the longest first."""
    if not key:
        return ()
    texts = [json.dumps(key)[1:-1], json.dumps(key, ensure_ascii=False)[1:-1]]
    urls = [quote(key, safe=""), quote(key), quote_plus(key)]
    found = {
        key,
        *texts,
        *(text.replace("/", "\\/") for text in texts),
        *urls,
        *(re.sub("%..", lambda match: match[0].lower(), url) for url in urls),
        key.encode("unicode_escape").decode(),
        repr(key)[1:-1],
        html.escape(key),
        html.escape(key, quote=False),
        " ".join(key.split()),
        key.encode().decode("latin-1"),
    }
    return tuple(sorted(found, key=len, reverse=True))


@dataclass(frozen=True, slots=True)
class SinglePage:
    """One request without paging parameters; a response of `limit` records may hide more."""

    limit: int = LARGEST_PAGE
    offset: int = 0
    offset_param: str = "offset"
    limit_param: str = "limit"

    def params(self, offset: int) -> dict[str, int]:
        """Return the parameters that ask for the page at an offset; the first needs none."""
        if offset == self.offset:
            return {}
        return {self.offset_param: offset, self.limit_param: self.limit}


@dataclass(frozen=True, slots=True)
class Offset:
    """Pages of `limit` records, each asked for by its offset."""

    limit: int = 100
    offset: int = 0
    offset_param: str = "offset"
    limit_param: str = "limit"

    def params(self, offset: int) -> dict[str, int]:
        """Return the parameters that ask for the page at an offset."""
        return {self.offset_param: offset, self.limit_param: self.limit}


Paginator = SinglePage | Offset


@dataclass(frozen=True, slots=True)
class ErrorHandler:
    """Which answers are tried again, how often, and how long the waits are."""

    retry_on_status_codes: Sequence[int] = (429, 500, 502, 503, 504)
    max_retries: int = 3
    backoff_factor: float = 2.0

    def wait(self, retry: int) -> float:
        """Return the seconds to wait before a retry, counted from 0."""
        return self.backoff_factor * 2.0 ** min(retry, 64)


@dataclass(frozen=True, slots=True)
class Everything:
    """A slice of a stream that is all of it."""

    def params(self) -> dict[str, str | int]:
        """Return no parameters."""
        return {}

    def halves(self) -> tuple[()]:
        """Return nothing: there is no smaller slice."""
        return ()

    def __str__(self) -> str:
        return "all records"


@dataclass(frozen=True, slots=True)
class Since:
    """The records from a value of the cursor on, as one request parameter asks for them."""

    param: str
    value: str | int

    def params(self) -> dict[str, str | int]:
        """Return the parameter that asks for the slice."""
        return {self.param: self.value}

    def halves(self) -> tuple[()]:
        """Return nothing: there is no smaller slice."""
        return ()

    def __str__(self) -> str:
        return f"records with {self.param} from {self.value}"


@dataclass(frozen=True, slots=True)
class Window:
    """The records whose date of creation or update lies in some whole days (UTC)."""

    start: date
    days: int
    by: Literal["CREATED", "UPDATED"]

    NAMES: ClassVar = ("date", "days_from_date", "filter_date_by")

    @property
    def end(self) -> date:
        """The first day after the window."""
        return self.start + timedelta(days=self.days)

    def params(self) -> dict[str, str | int]:
        """Return the parameters that ask for the window."""
        return dict(zip(self.NAMES, (f"{self.start:%Y%m%d}", self.days, self.by), strict=True))

    def halves(self) -> tuple[Window, Window] | tuple[()]:
        """Return the window as two smaller ones, or nothing where it is a day long."""
        if self.days == 1:
            return ()
        first = self.days // 2
        middle = self.start + timedelta(days=first)
        return Window(self.start, first, self.by), Window(middle, self.days - first, self.by)

    def __str__(self) -> str:
        last = self.end - timedelta(days=1)
        return f"{self.by.lower()} {self.start} to {last}"


Slice = Everything | Since | Window


def windows(
    start: date,
    end: date,
    days: int,
    by: Literal["CREATED", "UPDATED"],
) -> list[Window]:
    """Cut the days from start up to, and without, end into windows of some days each."""
    cut = []
    while start < end:
        length = min(days, (end - start).days)
        cut.append(Window(start, length, by))
        start += timedelta(days=length)
    return cut


def same_origin(one: str, other: str) -> bool:
    """Tell whether two URLs share scheme, host and port."""
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)

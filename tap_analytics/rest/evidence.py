"""What an answer says of itself beside its records: how much there is, whether more follows, whether it failed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

NEXT_NAMES = (
    "next",
    "next_url",
    "nextUrl",
    "next_link",
    "nextLink",
    "@odata.nextLink",
    "next_page",
    "nextPage",
    "next_page_url",
    "next_page_token",
    "nextPageToken",
    "next_token",
    "nextToken",
    "next_cursor",
    "nextCursor",
    "has_more",
    "hasMore",
    "has_next",
    "hasNext",
    "has_next_page",
    "hasNextPage",
)
"""Names under which answers announce a further page."""

TOTAL_NAMES = (
    "total",
    "total_count",
    "totalCount",
    "total_records",
    "totalRecords",
    "total_results",
    "totalResults",
    "total_items",
    "totalItems",
    "total_rows",
    "@odata.count",
    "count",
)
"""Names under which answers say how many records there are."""

CONTAINERS = ("meta", "metadata", "pagination", "paging", "page", "page_info", "pageInfo", "links", "_links", "cursors")
"""Objects beside the records that hold such names."""

ERROR_NAMES = ("error", "errors")
HTTP_ERRORS = range(400, 600)
STATUS_NAMES = ("status", "success", "ok")
FAILED = frozenset(["error", "failed", "failure", "fail", "false", "ko", "nok"])
"""Texts of a status, in any case, that mean that a request failed."""

ERROR_WORDS = frozenset(
    (
        *ERROR_NAMES,
        *STATUS_NAMES,
        *("message", "messages", "msg", "code", "title", "type", "detail", "details", "description", "reason"),
        *("error_code", "errorCode", "error_message", "errorMessage", "error_description", "status_code", "statusCode"),
        *("timestamp", "path", "instance", "request_id", "requestId", "trace_id", "traceId", "documentation_url"),
    )
)
"""Names that objects have which say that a request failed, and what of it; a record has others."""

NEXT_HEADERS = ("next", "X-Next", "X-Next-Page", "X-Next-Cursor")

TOTAL_HEADERS = ("X-Total-Count", "X-Total", "Total-Count")

BESIDE = frozenset((*NEXT_NAMES, *TOTAL_NAMES, *CONTAINERS, *ERROR_NAMES, *STATUS_NAMES))
"""Names that are looked at beside the records."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an answer announces."""

    total: int | None = None
    """Records that there are in all."""
    next: str = ""
    """The name under which a further page is announced, if one is."""
    error: str = ""
    """The name under which an error stands, if one does."""


NO_EVIDENCE = Evidence()


def whole_number(value: object) -> int | None:
    """Return the whole number that a value is, or is the text of; None where it is something else."""
    if isinstance(value, str):
        return int(value) if value.isdecimal() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def evidence_of(root: object, headers: Mapping[str, str]) -> Evidence:
    """Return what an answer announces in its headers, and in its body beside the records."""
    stated = (whole_number(headers.get(name)) for name in TOTAL_HEADERS)
    total = next((number for number in stated if number is not None), None)
    following = ""
    for level, path in _levels(root):
        numbers = (level.get(name) for name in TOTAL_NAMES)
        counts = (number for number in numbers if isinstance(number, int) and not isinstance(number, bool))
        total = next(counts, None) if total is None else total
        following = following or next((f"{path}{name}" for name in NEXT_NAMES if _announces(level.get(name))), "")
    following = following or next((f"header {name}" for name in NEXT_HEADERS if headers.get(name)), "")
    return Evidence(total, following, _error_name(root) if isinstance(root, dict) else "")


def evidence_of_record(record: Mapping[str, Any], headers: Mapping[str, str]) -> Evidence:
    """Return what an answer announces that is one record as a whole: its fields are its own, unless it is an error."""
    announced = evidence_of(None, headers)
    return replace(announced, error=_error_name(record) if record.keys() <= ERROR_WORDS else "")


def _error_name(root: Mapping[str, Any]) -> str:
    """Return the name under which an answer says that the request failed, if it does."""
    names = (name for name in ERROR_NAMES if root.get(name))
    return next(names, "") or next((name for name in STATUS_NAMES if _says_no(name, root.get(name))), "")


def _says_no(name: str, value: object) -> bool:
    """Tell whether a status means that the request failed; 0 is a success under most names."""
    if isinstance(value, bool) or value is None:
        return value is False
    if isinstance(value, int):
        return (value == 0 and name != "status") or (name == "status" and value in HTTP_ERRORS)
    return isinstance(value, str) and value.lower() in FAILED


def _levels(root: object, path: str = "") -> list[tuple[Mapping[str, Any], str]]:
    """Return the objects of an answer that may hold what it announces, the root first."""
    if not isinstance(root, dict):
        return []
    inner = [(name, value) for name, value in root.items() if isinstance(value, dict) and name != "next"]
    below = [level for name, value in inner for level in _levels(value, f"{path}{name}.")]
    return [(root, path), *below]


def _announces(value: object) -> bool:
    if isinstance(value, dict):
        return any(_announces(value.get(name)) for name in ("href", "url", "after", "cursor"))
    return (
        value is True
        or (isinstance(value, str) and value not in {"", "false", "False", "null"})
        or (isinstance(value, int) and not isinstance(value, bool) and value > 0)
    )

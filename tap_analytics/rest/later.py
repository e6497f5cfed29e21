"""Where a page far behind the first ones is, so that a sample need not be of the first ones alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tap_analytics.rest.evidence import whole_number
from tap_analytics.rest.paginators import Offset, PageNumber
from tap_analytics.rest.positions import announced_total

if TYPE_CHECKING:
    from tap_analytics.rest.pages import Page
    from tap_analytics.rest.paginators import Paginator, Position


def later_position(paginator: Paginator, page: Page, *, pages: int, records: int) -> Position | None:
    """Return the position of one of the last pages, where an answer says how many there are.

    Args:
        paginator: How the pages follow each other.
        page: The last of the first pages.
        pages: How many of them were read.
        records: How many records they held.

    Returns:
        The position, or None where it is not known, or where it was read already.
    """
    if isinstance(paginator, Offset):
        # The last page but one is full. Some servers take multiples of the limit only.
        whole = (announced_total(page, paginator) - paginator.limit) // paginator.limit
        offset = paginator.offset + whole * paginator.limit
        is_allowed = paginator.maximum_offset is None or offset < paginator.maximum_offset
        return offset if is_allowed and whole * paginator.limit >= records else None
    if isinstance(paginator, PageNumber):
        count = whole_number(page.nodes.get(paginator.total_path)) if paginator.total_path else None
        if count is None:
            count = (page.evidence.total or 0) // max(len(page.records), 1)
        last, read = paginator.base_page + count - 1, cast("int", paginator.first) + pages - 1
        number = last - 1 if last - 1 > read else last  # the last one may hold next to nothing
        is_allowed = paginator.maximum_page is None or number < paginator.maximum_page
        return number if is_allowed and number > read else None
    return None

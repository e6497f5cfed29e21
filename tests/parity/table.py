"""All cases, in which the tap is compared with dlt."""

from __future__ import annotations

from tests.parity import family, increments, links, paging, reading, signing

CASES = [*paging.CASES, *links.CASES, *signing.CASES, *reading.CASES, *family.CASES, *increments.CASES]
"""Every case; names are unique."""

PAGINATORS = (
    "single_page",
    "offset",
    "page_number",
    "json_link",
    "header_link",
    "header_cursor",
    "cursor",
    "auto",
)
"""The kinds of paginators, each of which has at least `ENOUGH` cases."""

ENOUGH = 8

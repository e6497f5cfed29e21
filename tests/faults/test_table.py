"""The table of the page on guarantees is that of the tests."""

from __future__ import annotations

from tests.faults.table import PAGE, with_matrix


def test_the_matrix_of_the_page_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_matrix(page), "run python -m tests.faults.table"

"""Walks by links and numbers: servers that take no notice, or that end before the end."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.api import Api, Reply, config, page
from tests.singer import run_tap

if TYPE_CHECKING:
    from tests.faults.api import Asked

Words = dict[str, Any]

ROWS = [{"id": number} for number in range(1, 26)]

SCHEMA = {"properties": {"id": {"type": "integer"}, "served": {"type": "integer"}}}


def things(paginator: object, **words: object) -> Words:
    endpoint = {"path": "things", "data_selector": "data", **({"paginator": paginator} if paginator else {}), **words}
    return {"name": "things", "primary_key": "id", "schema": SCHEMA, "endpoint": endpoint}


def ids(records: list[Words]) -> list[int]:
    return [record["id"] for record in records]


PAGINATORS = ["page_number", {"type": "cursor", "cursor_path": "next"}, "json_link"]


@pytest.mark.parametrize("paginator", PAGINATORS, ids=["page_number", "cursor", "json_link"])
def test_a_server_that_takes_no_notice_is_an_error_whatever_else_changes_in_its_rows(paginator: object) -> None:
    served = count()

    def answer(_: Asked) -> object:
        now = next(served)
        return {"data": [{**row, "served": now} for row in ROWS], "next": f"/things?at={now}"}

    with Api(answer) as api:
        run = run_tap(config(api, things(paginator)), timeout=30)
        assert run.returncode == 1
        assert run.said("Failed: things:", "was answered with the page before again")
        assert ids(run.records["things"]) == ids(ROWS)


def test_the_number_of_the_first_page_is_found_whatever_else_changes_in_its_rows() -> None:
    served = count()

    def answer(asked: Asked) -> object:
        return {"data": [{**row, "served": next(served)} for row in page(ROWS, asked, 10)], "total_pages": 3}

    with Api(answer) as api:
        run = run_tap(config(api, things(None)))
        assert run.returncode == 0, run.stderr
        assert ids(run.records["things"]) == ids(ROWS)


@pytest.mark.parametrize("announced", [{"total": 25}, {"has_more": True}, {"next": "/things?page=4"}], ids=str)
@pytest.mark.parametrize("status", [400, 404])
def test_a_refused_page_is_no_end_where_more_was_announced(status: int, announced: Words) -> None:
    def answer(asked: Asked) -> object:
        if int(asked.params["page"]) > 3:
            return Reply({"message": "too deep"}, status=status)
        return {"data": page(ROWS, asked, 5), **announced}

    with Api(answer) as api:
        run = run_tap(config(api, things({"type": "page_number", "base_page": 1})))
        assert run.returncode == 1
        assert run.said("Failed: things:", f"was answered with {status}", "The API announces", "15 were read")


@pytest.mark.parametrize("announced", [{}, {"total": 25}, {"total": 5}, {"next": None}], ids=str)
def test_a_refused_page_is_the_end_where_nothing_says_otherwise(announced: Words) -> None:
    def answer(asked: Asked) -> object:
        rows = page(ROWS, asked, 5)
        return {"data": rows, **announced} if rows else Reply({"message": "no such page"}, status=404)

    with Api(answer) as api:
        run = run_tap(config(api, things({"type": "page_number", "base_page": 1})))
        assert run.returncode == 0, run.stderr
        assert ids(run.records["things"]) == ids(ROWS)
        assert not run.problems

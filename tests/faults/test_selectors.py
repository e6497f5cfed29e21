"""Selectors that lead nowhere, and filters that nothing passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tap_analytics import jsonpath
from tests.faults.api import Api, config
from tests.singer import run_tap

if TYPE_CHECKING:
    from tests.faults.api import Asked

ROW = {"id": 1}


def things(selector: str, paginator: object = "single_page") -> dict[str, Any]:
    return {"name": "things", "endpoint": {"path": "things", "data_selector": selector, "paginator": paginator}}


@pytest.mark.parametrize(
    ("selector", "body"),
    [
        ("data[*].itemz", {"data": [{"items": [ROW]}]}),
        ("data[*].items.rows", {"data": [{"items": {"row": [ROW]}}]}),
        ("[1]", [{"message": "no such country"}]),
        ("$[1]", [{"message": "no such country"}]),
        ("data[3]", {"data": [[ROW]]}),
        ("$..rows", {"data": [ROW]}),
        ("datas[?(@.id==1)]", {"data": [ROW]}),
    ],
)
def test_a_node_that_is_not_there_is_an_error(selector: str, body: object) -> None:
    with Api(lambda _: body) as api:
        run = run_tap(config(api, things(selector)))
        assert run.returncode == 1
        assert run.said("Failed: things:", f"there are no records at the data selector {selector!r}")


def test_the_selector_that_was_meant_is_named_without_a_value() -> None:
    with Api(lambda _asked: {"data": [{"id": "very-private"}] * 100, "page": 1}) as api:
        last = run_tap(config(api, things("items"))).stderr.splitlines()[-1]
    assert "the answer holds data (a list of 100 objects), page (a number); did you mean data?" in last
    assert "very-private" not in last


@pytest.mark.parametrize(
    ("selector", "body"),
    [
        ("data[*].items", {"data": []}),
        ("data[*].items", {"data": [{"items": []}, {"items": None}]}),
        ("[1]", [{"page": 1}, None]),
        ("[1]", [{"page": 1}, []]),
        ("data[0]", {"data": []}),
        ("data[?(@.id==2)]", {"data": [ROW]}),
        ("data[?(@.id==2)]", {"data": []}),
    ],
)
def test_a_node_that_holds_nothing_is_no_records(selector: str, body: object) -> None:
    with Api(lambda _: body) as api:
        run = run_tap(config(api, things(selector)))
        assert run.returncode == 0, run.stderr
        assert not run.records.get("things")


@pytest.mark.parametrize(
    ("selector", "body"),
    [
        ("data[*].items", {"data": [{"items": [ROW]}, {}]}),
        ("[1]", [{"page": 1}, [ROW]]),
        ("data[?(@.id==1)]", {"data": [ROW, {"id": 2}]}),
    ],
)
def test_what_is_there_is_read(selector: str, body: object) -> None:
    with Api(lambda _: body) as api:
        run = run_tap(config(api, things(selector)))
        assert run.records["things"] == [ROW]


@pytest.mark.parametrize("paginator", ["single_page", "auto", "json_link"])
def test_a_filter_leaves_pages_empty_and_totals_unproved(paginator: str) -> None:
    rows = [{"id": number, "kind": "odd" if number % 2 else "even"} for number in range(1, 4)]

    def answer(asked: Asked) -> object:
        number = int(asked.params.get("page", 1))
        if paginator != "json_link":
            return {"data": rows, "total": len(rows)}
        return {"data": rows[number - 1 : number], "next": f"?page={number + 1}" if number < 3 else None}

    with Api(answer) as api:
        run = run_tap(config(api, things("data[?(@.kind=='odd')]", paginator)))
        assert run.returncode == 0, run.stderr
        assert [record["id"] for record in run.records["things"]] == [1, 3]
        assert not run.problems


@pytest.mark.parametrize(
    "names",
    [("data",), ("a b", "items"), ("meta", "x.y"), ("meta", "a.[b", "rows"), ("a b", "@odata.nextLink"), ("[0]",)],
)
def test_the_path_through_names_leads_through_them(names: tuple[str, ...]) -> None:
    assert jsonpath.parse(jsonpath.written(names)) == names

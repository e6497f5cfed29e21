"""Parents and children: what fails, what is left out, and where bookmarks stand then."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from tap_analytics.sync.parents import ParentLink, ParentRecords
from tap_analytics.sync.slices import Slice
from tests.faults.api import Api, Reply, config
from tests.singer import run_tap

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.api import Asked

Words = dict[str, Any]

PARENTS = [{"id": number, "at": f"2026-01-{number:02d}T00:00:00Z"} for number in range(1, 7)]

SINCE = {"cursor_path": "at", "start_param": "since", "initial_value": "2026-01-01T00:00:00Z"}

BY_NUMBER = {"type": "page_number", "base_page": 1}


def stream(name: str, path: str, **words: object) -> Words:
    """Return a resource with a key; words of the endpoint and of the resource go together."""
    own = {"selected", "write_disposition", "include_from_parent", "schema"}
    endpoint = {"path": path, "data_selector": "data", "paginator": "single_page"}
    return {
        "name": name,
        "primary_key": "id",
        **{word: value for word, value in words.items() if word in own},
        "endpoint": endpoint | {word: value for word, value in words.items() if word not in own},
    }


def child(name: str, parent: str = "parents", **words: object) -> Words:
    return stream(name, f"{name}/{{resources.{parent}.id}}", **{"schema": ID, **words})


ID = {"properties": {"id": {"type": ["integer", "string"]}}}
AT = {"properties": {"id": {"type": ["integer", "string"]}, "at": {"type": "string", "format": "date-time"}}}


def family(refused: Callable[[Asked], bool] = lambda _: False) -> Callable[[Asked], object]:
    """Return the answers of an API of parents in pages of two, of which each has one child a kind."""

    def answer(asked: Asked) -> object:
        if refused(asked):
            return Reply({"message": "no"}, status=403)
        kind, _, parent = asked.path.strip("/").partition("/")
        if kind == "parents" and not parent:
            known = [row for row in PARENTS if str(row["at"]) >= asked.params.get("since", "")]
            number = int(asked.params.get("page", 1))
            return {"data": known[2 * number - 2 : 2 * number]}
        return {"data": [{"id": f"{kind}{parent}"}]}

    return answer


def ids(records: list[Words]) -> list[Any]:
    return [record["id"] for record in records]


@pytest.mark.parametrize("words", [{}, {"incremental": SINCE}], ids=["whole", "incremental"])
def test_a_parent_that_is_not_selected_is_read_once_for_all_its_children(words: Words) -> None:
    parents = stream("parents", "parents", selected=False, paginator=BY_NUMBER, schema=AT, **words)
    with Api(family()) as api:
        run = run_tap(config(api, parents, child("a"), child("b")))
        assert run.returncode == 0, run.stderr
        assert {name: ids(records) for name, records in run.records.items()} == {
            "a": [f"a{number}" for number in range(1, 7)],
            "b": [f"b{number}" for number in range(1, 7)],
        }
        assert len({tuple(asked.params.items()) for asked in api.asked if asked.path == "/parents"}) == len(
            [asked for asked in api.asked if asked.path == "/parents"]
        )


@pytest.mark.parametrize("selected", [True, False])
def test_no_child_takes_a_parent_that_failed_for_read(selected: bool) -> None:  # noqa: FBT001 - of pytest
    parents = stream("parents", "parents", selected=selected, paginator=BY_NUMBER, schema=AT, incremental=SINCE)
    with Api(family(lambda asked: asked.params.get("page") == "2")) as api:
        run = run_tap(config(api, parents, child("a"), child("b")))
        assert run.returncode == 1
        assert run.said("Failed:", "b: its parent parents could not be read")
        assert "last_sync" not in run.state["bookmarks"]["b"]
        assert run.state["bookmarks"]["parents"] == {}


def test_a_parent_that_is_not_selected_keeps_its_bookmark() -> None:
    parents = stream("parents", "parents", selected=False, paginator=BY_NUMBER, schema=AT, incremental=SINCE)
    settings: Words = {"lookback_days": 0}
    with Api(family()) as api:
        resources = [parents, child("a")]
        first = run_tap(config(api, *resources, **settings))
        second = run_tap(config(api, *resources, **settings), state=first.state)
        assert first.state["bookmarks"]["parents"]["replication_key_value"] == PARENTS[-1]["at"]
        assert ids(second.records["a"]) == ["a6"]


def test_a_parent_that_is_not_selected_leaves_out_what_its_cursor_does() -> None:
    only = {"cursor_path": "at", "initial_value": "2026-01-05T00:00:00Z"}
    parents = stream("parents", "parents", selected=False, paginator=BY_NUMBER, schema=AT, incremental=only)
    with Api(family()) as api:
        run = run_tap(config(api, parents, child("a")))
        assert ids(run.records["a"]) == ["a5", "a6"]


@pytest.mark.parametrize("between", [True, False], ids=["selected", "not selected"])
@pytest.mark.parametrize("fails", [True, False])
def test_a_bookmark_waits_for_grandchildren(between: bool, fails: bool) -> None:  # noqa: FBT001 - of pytest
    resources = [
        stream("parents", "parents", paginator=BY_NUMBER, schema=AT, incremental=SINCE),
        child("a", selected=between),
        child("b", "a"),
    ]
    with Api(family(lambda asked: fails and asked.path == "/b/a3")) as api:
        run = run_tap(config(api, *resources))
        assert run.returncode == int(fails)
        assert ("replication_key_value" in run.state["bookmarks"]["parents"]) is not fails


@pytest.mark.parametrize("failing", ["a", "b"])
def test_a_bookmark_waits_for_the_child_that_fails_whichever_it_is(failing: str) -> None:
    parents = stream("parents", "parents", paginator=BY_NUMBER, schema=AT, incremental=SINCE)
    with Api(family(lambda asked: asked.path == f"/{failing}/3")) as api:
        run = run_tap(config(api, parents, child("a"), child("b")))
        assert run.returncode == 1
        assert run.state["bookmarks"]["parents"] == {}


def test_a_bookmark_waits_for_the_child_whose_schema_cannot_be_inferred() -> None:
    parents = stream("parents", "parents", incremental=SINCE, paginator=BY_NUMBER, schema=AT)
    of = stream("of", "of/{resources.parents.id}")
    with Api(family(lambda asked: asked.path.startswith("/of"))) as api:
        first = run_tap(config(api, parents, of))
    assert first.returncode == 1
    assert "replication_key_value" not in first.state.get("bookmarks", {}).get("parents", {})
    with Api(family()) as api:
        second = run_tap(config(api, parents, of), state=first.state)
    assert second.returncode == 0, second.stderr
    assert len(second.records["of"]) == len(PARENTS)


def test_the_order_of_the_records_of_one_parent_says_nothing_of_the_next() -> None:
    def answer(asked: Asked) -> object:
        if asked.path == "/parents":
            return {"data": PARENTS[:3]}
        number, first = int(asked.params.get("page", 1)), asked.path[-1]
        days = range(20, 0, -1)[5 * number - 5 : 5 * number]
        return {"data": [{"id": f"{first}-{day}", "at": f"2026-01-{day:02d}T00:00:00Z"} for day in days]}

    newest_first = {"cursor_path": "at", "row_order": "desc", "initial_value": "2026-01-12T00:00:00Z"}
    with Api(answer) as api:
        children = child("a", paginator=BY_NUMBER, incremental=newest_first, schema=AT)
        run = run_tap(config(api, stream("parents", "parents", schema=ID), children))
        assert ids(run.records["a"]) == [f"{parent}-{day}" for parent in (1, 2, 3) for day in range(20, 11, -1)]


@pytest.mark.parametrize("path", ["no", "$.no", "$..no", "inner.numbers[1]", "inner['no']"])
def test_the_field_of_a_parent_is_any_jsonpath(path: str) -> None:
    link = ParentLink("orgs", {"resources.orgs.x": path}, ("name",))
    records = ParentRecords(link.wanted)
    records.add([b'{"no":3,"inner":{"no":3,"numbers":[1,3]},"name":"a"}'])
    (one,) = link.slices(iter(records), (Slice(),))
    assert one.bindings == {"resources.orgs.x": 3}
    records.close()
    assert one.members == b'"_orgs_name":"a"'


@pytest.mark.parametrize(
    "paginator",
    [
        {"type": "cursor", "cursor_path": "next", "has_more_path": "has_more"},
        {"type": "page_number", "has_more_path": "has_more", "stop_after_empty_page": False},
        {"type": "page_number", "total_path": "total", "stop_after_empty_page": False},
        {"type": "offset", "limit": 10, "has_more_path": "has_more"},
        "json_link",
    ],
    ids=str,
)
def test_a_child_without_an_answer_has_no_records_whatever_its_paginator(paginator: object) -> None:
    def answer(asked: Asked) -> object:
        if asked.path == "/parents":
            return {"data": PARENTS[:3]}
        if asked.path == "/a/1":
            return Reply({"message": "none"}, status=404)
        return (
            Reply(b"", status=204) if asked.path == "/a/2" else {"data": [{"id": "a3"}], "has_more": False, "total": 1}
        )

    ignored = [{"status_code": 404, "action": "ignore"}]
    with Api(answer) as api:
        children = child("a", paginator=paginator, response_actions=ignored)
        run = run_tap(config(api, stream("parents", "parents", schema=ID), children))
        assert run.returncode == 0, run.stderr
        assert ids(run.records["a"]) == ["a3"]


def test_what_children_take_over_and_ask_for_loses_no_digit() -> None:
    number = "12345678901234567.8901234567890"

    def answer(asked: Asked) -> object:
        if asked.path == "/parents":
            return Reply(f'{{"data":[{{"id":1,"size":{number},"price":1.10}}]}}'.encode())
        return {"data": [{"id": "a1"}]}

    with Api(answer) as api:
        sized = stream("parents", "parents", schema={"properties": {**ID["properties"], "size": {"type": "number"}}})
        asked = {"method": "POST", "json": {"size": "{resources.parents.size}"}}
        path = "a/{resources.parents.size}/{resources.parents.price}"
        children = stream("a", path, include_from_parent=["size"], **asked)
        run = run_tap(config(api, sized, children))
        assert run.returncode == 0, run.stderr
        assert str(run.records["a"][0]["_parents_size"]) == number
        assert {(one.path, one.body) for one in api.asked[1:] if one.method == "POST"} == {
            (f"/a/{number}/1.10", f'{{"size":{number}}}')
        }
        assert {one.header("Content-Type") for one in api.asked if one.method == "POST"} == {"application/json"}


def test_many_parents_do_not_take_memory() -> None:
    records = ParentRecords(frozenset({"id"}))
    text = "x" * 1000
    tracemalloc.start()
    try:
        for number in range(20_000):
            records.add([b'{"id": "%d%s", "other": "%s"}' % (number, text.encode(), text.encode())])
        count = sum(1 for _ in ParentLink(name="parents", fields={"of": "id"}).slices(iter(records), [Slice()]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        records.close()
    assert count == 20_000
    assert peak < 5_000_000  # the records needed are 20 MB

"""What answers say beside their records: errors under a good status, and what only looks like one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.faults.api import Api, Reply, config
from tests.singer import run_tap

Words = dict[str, Any]

ROWS = [{"id": number} for number in range(1, 6)]


def things(**words: object) -> Words:
    endpoint = {"path": "things", **{name: item for name, item in words.items() if name != "write_disposition"}}
    own = {name: item for name, item in words.items() if name == "write_disposition"}
    return {"name": "things", "endpoint": endpoint, **own}


def named(body: object) -> str:
    return json.dumps(body)[:60]


NO_ERRORS = [
    {"status": 0, "data": []},
    {"status": "ok", "data": []},
    {"status": 200, "data": []},
    {"success": True, "data": []},
    {"error": None, "errors": [], "data": []},
    {"error": False, "data": []},
    {"data": [], "count": 0, "total": 0, "next": None},
]

ERRORS = [
    {"status": "error", "data": []},
    {"status": "ERROR", "data": []},
    {"status": "Failed", "data": None},
    {"status": 500, "data": []},
    {"success": False, "data": []},
    {"success": "false", "data": []},
    {"ok": 0, "data": []},
    {"error": "quota exceeded", "data": []},
    {"errors": [{"code": 7}], "data": None},
]


@pytest.mark.parametrize("body", NO_ERRORS, ids=named)
def test_an_answer_that_says_yes_is_an_empty_one(body: object) -> None:
    with Api(lambda _: body) as api:
        run = run_tap(config(api, things(data_selector="data", paginator="single_page")))
        assert run.returncode == 0, run.stderr
        assert not run.problems


@pytest.mark.parametrize("body", ERRORS, ids=named)
def test_an_answer_that_says_no_is_an_error(body: object) -> None:
    with Api(lambda _: body) as api:
        run = run_tap(config(api, things(data_selector="data", paginator="single_page")))
        assert run.returncode == 1
        assert run.said("Failed: things:", "in the answer says that the request failed")


@pytest.mark.parametrize(
    "body",
    [
        {"error": "quota exceeded"},
        {"errors": [{"code": 7}]},
        {"success": False, "message": "no"},
        {"status": "error", "message": "no", "request_id": 7},
        {"type": "about:blank", "title": "no", "status": 403, "detail": "no"},
    ],
    ids=named,
)
@pytest.mark.parametrize("disposition", ["append", "replace"])
def test_an_error_is_no_record_and_replaces_nothing(body: object, disposition: str) -> None:
    with Api(lambda _: ROWS) as api:
        resource = things(write_disposition=disposition)
        catalog = json.loads(run_tap(config(api, resource), args=["--discover"]).stdout)
        api.answer = lambda _: body
        run = run_tap(config(api, resource), catalog=catalog)
        assert run.returncode == 1
        assert run.said("Failed: things:", "in the answer says that the request failed")
        assert not run.records["things"]
        assert "ACTIVATE_VERSION" not in {message["type"] for message in run.messages}


RECORDS = [
    {"id": 1, "count": 5},
    {"id": 1, "total": 5},
    {"id": 1, "meta": {"count": 12}},
    {"id": 1, "pages": 300},
    {"id": 1, "next_run": "2026-01-01"},
    {"id": 1, "next": "/things/2"},
    {"id": 1, "has_more": True, "tags": ["a"]},
    {"id": 1, "status": "error", "name": "a job"},
    {"id": 1, "errors": ["one"], "success": False},
]


@pytest.mark.parametrize("record", RECORDS, ids=named)
def test_the_fields_of_one_record_say_nothing_of_the_answer(record: Words) -> None:
    with Api(lambda _: record) as api:
        run = run_tap(config(api, things()))
        assert run.returncode == 0, run.stderr
        assert run.records["things"] == [record]
        assert not run.problems


@pytest.mark.parametrize("record", RECORDS, ids=named)
def test_the_fields_of_each_child_say_nothing_of_the_answer(record: Words) -> None:
    with Api(lambda asked: ROWS if asked.path == "/parents" else record) as api:
        run = run_tap(config(api, "parents", {"name": "things", "endpoint": "things/{resources.parents.id}"}))
        assert run.returncode == 0, run.stderr
        assert run.records["things"] == [record] * len(ROWS)
        assert not run.problems


def test_a_record_with_the_address_of_another_is_said() -> None:
    with Api(lambda _: {"id": 1, "next": "https://127.0.0.1/things/2"}) as api:
        run = run_tap(config(api, things()))
        assert run.returncode == 0
        assert run.said("WARNING", "things: The answer is taken for one record, although its next is an address.")


def test_pages_that_are_records_are_no_number_of_pages() -> None:
    with Api(lambda _: {"pages": ROWS}) as api:
        run = run_tap(config(api, things()))
        assert run.records["things"] == ROWS


@pytest.mark.parametrize("errors", [[], None])
def test_errors_are_not_where_the_records_are(errors: object) -> None:
    with Api(lambda _: {"errors": errors, "things": ROWS}) as api:
        run = run_tap(config(api, things()))
        assert run.records["things"] == ROWS


def test_an_empty_list_that_is_chosen_before_a_full_one_is_said_once() -> None:
    with Api(lambda _: {"notices": [], "things": ROWS}) as api:
        run = run_tap(config(api, things()))
        assert not run.records.get("things")
        said = "the records are looked for at 'notices', where there are none, and not at 'things'"
        assert [said in line for line in run.problems] == [True]


def test_a_total_with_a_digit_that_is_no_number_is_none() -> None:
    with Api(lambda _: Reply({"data": ROWS}, headers={"X-Total-Count": "²"})) as api:
        run = run_tap(config(api, things(data_selector="data", paginator="single_page")))
        assert run.returncode == 0, run.stderr
        assert not run.problems


def test_a_number_of_pages_with_such_a_digit_is_an_error() -> None:
    with Api(lambda _: {"data": ROWS, "pages": "²"}) as api:
        paginator = {"type": "page_number", "total_path": "pages"}
        run = run_tap(config(api, things(data_selector="data", paginator=paginator)))
        assert run.returncode == 1
        assert run.said("Failed: things:", "has no whole number at total_path 'pages'")

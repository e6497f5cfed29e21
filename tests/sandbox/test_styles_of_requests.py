"""Styles that differ in what a request carries and what an answer looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Sandbox
from sandbox.styles.data import ORGS, THINGS

from .conftest import ALL, ids

if TYPE_CHECKING:
    from .conftest import Ask


# What requests carry, and what answers look like


def test_shapes(ask: Ask) -> None:
    things = list(THINGS)
    answers = {
        "array": things,
        "object": things[0],
        "in_object": {"data": things[0]},
        "nested": {"result": {"list": {"things": things}}},
        "odd": {"odd.name": {"the things": things}},
        "two": {"meta": {"tags": ["one", "two"]}, "persons": things},
        "null": {"data": None},
        "empty": {"data": []},
        "empty_first": {},
    }
    for name, expected in answers.items():
        assert ask(f"shapes/{name}").json() == expected, name
    assert (ask("shapes/204").status_code, ask("shapes/204").content) == (204, b"")
    assert ids(ask(ask("shapes/empty_first").links["next"]["url"])) == ALL
    assert [one["id"] for one in ask("shapes/mixed").json()["entries"] if one["kind"] == "thing"] == ALL
    assert ask("shapes/html").headers["Content-Type"] == "text/html"


def test_errors(ask: Ask) -> None:
    for name in ("instead", "empty", "beside", "status", "success"):
        assert ask(f"errors/{name}").status_code == 200
    assert "data" not in ask("errors/instead").json()
    assert ids(ask("errors/empty")) == ids(ask("errors/status")) == []
    assert ids(ask("errors/beside")) == ALL
    assert ask("errors/404").json()["error"]["code"] == "E42"
    assert ask("errors/403").status_code == 403


def test_bodies(ask: Ask) -> None:
    assert ids(ask("bodies/json", json={"filter": {"least": 23}})) == [23, 24, 25]
    assert ids(ask("bodies/json", json={"filter": {"least": 23, "most": 24}})) == [23, 24]
    assert ids(ask("bodies/form", data={"least": "24"})) == [24, 25]
    assert ids(ask("bodies/list", data=[("id", "3"), ("id", "5")])) == [3, 5]
    assert ids(ask("bodies/text", data="least 24")) == [24, 25]
    assert ids(ask("bodies/linked", json={"filter": {"kind": "thing"}}, params={"page": 3})) == ALL[20:]
    assert len(ask("bodies/query", json={"query": "{ things { id } }"}).json()["data"]["things"]) == 25
    assert "errors" in ask("bodies/query", json={"query": "{{ things }}"}).json()


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        ("bodies/json", {"json": {"filter": {"least": "23"}}}, 400),
        ("bodies/json", {"data": "[]", "headers": {"Content-Type": "application/json"}}, 400),
        ("bodies/json", {"data": "{", "headers": {"Content-Type": "application/json"}}, 400),
        ("bodies/form", {"json": {"least": "24"}}, 415),
        ("bodies/form", {"data": {"most": "24"}}, 400),
        ("bodies/text", {"data": "24 at least"}, 400),
        ("bodies/linked", {"json": {}}, 400),
        ("bodies/form", {}, 405),
        ("shapes/array", {"data": ""}, 405),
        ("shapes/array", {"method": "DELETE"}, 405),
        ("params/flag", {"params": {"flag": "True"}}, 400),
        ("params/headers", {"headers": {"X-Tenant": "south", "X-Version": "2"}}, 400),
        ("no/such/style", {}, 404),
    ],
)
def test_what_is_refused(ask: Ask, path: str, options: dict[str, Any], status: int) -> None:
    assert ask(path, **options).status_code == status


def test_params_and_headers(ask: Ask) -> None:
    assert ids(ask("params/list", params={"id": [3, 5]})) == [3, 5]
    assert ids(ask("params/flag", params={"flag": "true"})) == ALL
    assert ids(ask("params/headers", headers={"X-Tenant": "north", "x-version": "2"})) == ALL


# Parents and children


@pytest.mark.parametrize(
    ("written", "number"), [("a%2Fb", 1), ("c%20d", 2), ("e%3Ff=1", 3), ("g%23h", 4), ("%C3%BC%2520", 5), ("plain", 6)]
)
def test_a_child_by_the_quoted_id_of_its_parent(ask: Ask, written: str, number: int) -> None:
    assert ask(f"orgs/{written}").json()["no"] == number
    assert ids(ask(f"orgs/{written}/repos")) == ids(ask(f"orgs/{number}/repos")) != []


def test_a_slash_that_is_not_quoted_makes_another_path(ask: Ask) -> None:
    assert ask("orgs/a/b/repos").status_code == 404
    assert ids(ask("orgs/a%2Fb/repos/1%2F1/issues")) == ids(ask("repos/11/issues")) == [111, 112]
    assert ask("orgs/plain/repos/1%2F1/issues").status_code == 404


def test_parents_and_children(ask: Ask) -> None:
    names = [org["id"] for org in ORGS]
    assert ids(ask("orgs")) == names
    assert [ids(ask("orgs_in_pages", params={"page": page})) for page in (1, 3)] == [names[:2], names[4:]]
    assert ask("orgs_in_pages", params={"page": 3}).json()["next"] is None
    assert [ask(f"orgs/{number}/notes").status_code for number in (2, 3, 4, 7)] == [200, 404, 200, 404]
    assert ask("orgs/3/refused_notes").status_code == 409
    assert ids(ask("orgs/6/members", params={"per_page": 4, "page": 2})) == [605, 606]
    assert ids(ask("orgs/1/events")) == [11, 12, 13, 14]
    assert ids(ask("orgs/1/events", params={"since": "2026-01-10T18:00:00Z"})) == [13, 14]


def test_children_by_parameter_header_and_body(ask: Ask) -> None:
    expected = ["3/1", "3/2", "3/3"]
    assert ids(ask("repos_by_param", params={"org": "e?f=1"})) == expected
    assert ids(ask("repos_by_header", headers={"X-Org": "3"})) == expected
    assert ids(ask("repos_by_number", json={"where": {"no": 3}})) == expected
    assert ask("repos_by_number", json={"where": {"no": "3"}}).status_code == 400
    assert ids(ask("repos_by_form", data={"org": "e?f=1"})) == expected


# Filters


@pytest.mark.parametrize(
    ("path", "params", "expected"),
    [
        ("inclusive", {"since": "2026-01-05T12:00:00Z"}, ALL[9:]),
        ("inclusive", {"since": "2026-01-05T13:30:00+01:00"}, ALL[12:]),
        ("exclusive", {"since": "2026-01-05T12:00:00.000Z"}, ALL[12:]),
        ("epoch", {"since": 1767614400}, ALL[9:]),
        ("day", {"since": "2026-01-13"}, ALL[24:]),
        ("range", {"since": "2026-01-02T00:00:00Z", "until": "2026-01-03T00:00:00Z"}, [3, 4]),
        ("backwards", {"since": "2026-01-12T12:00:00Z"}, [25, 24]),
        ("pages", {"since": "2026-01-02T00:00:00Z", "page": 2}, ALL[7:12]),
        ("unfiltered", {"since": "2026-01-02T00:00:00Z"}, ALL),
        ("inclusive/12", {"since": "2026-01-05T12:00:00Z"}, [10, 11, 12]),
    ],
)
def test_filters(ask: Ask, path: str, params: dict[str, Any], expected: list[int]) -> None:
    assert ids(ask(f"since/{path}", params=params)) == expected


def test_a_filter_by_numbers_in_no_order_and_one_in_a_body(ask: Ask) -> None:
    matching = ask("since/number", params={"since": 22}).json()["data"]
    assert sorted(thing["n"] for thing in matching) == [22, 23, 24]
    assert ids(ask("since/body", json={"filter": {"since": "2026-01-12T12:00:00Z"}})) == [24, 25]


@pytest.mark.parametrize(("path", "since"), [("inclusive", "1767"), ("epoch", "2026-01-01"), ("day", "20260101")])
def test_a_filter_refuses_another_form(ask: Ask, path: str, since: str) -> None:
    assert ask(f"since/{path}", params={"since": since}).status_code == 400


# As every other request


def test_requests_are_recorded_and_faults_happen(sandbox: Sandbox, ask: Ask) -> None:
    ask("repos_by_param?org=a%2Fb", headers={"X-Extra": "1"})
    ask("bodies/form", data={"least": "24"})
    asked, posted = sandbox.requests[-2:]
    assert (asked.method, asked.target, asked.params) == ("GET", "/styles/repos_by_param?org=a%2Fb", {"org": "a/b"})
    assert (asked.headers["X-Extra"], asked.body, asked.status) == ("1", "", 200)
    assert (posted.method, posted.body, posted.status) == ("POST", "least=24", 200)
    sandbox.misbehave(Fault("status", path="/styles/orgs", status=503))
    assert [ask("orgs").status_code for _ in range(2)] == [503, 200]

"""Cases of selectors, of what requests carry, and of answers that are errors."""

from __future__ import annotations

from typing import Any, Unpack

from tests.parity.case import EVERY, Case, Outcome, Words, things


def _selected(
    name: str, path: str, selector: str | None = None, *, key: str | None = "id", **outcome: Unpack[Outcome]
) -> Case:
    """Return a case of one page, from which the records are selected, or detected where there is no selector."""
    endpoint = {"path": f"shapes/{path}", "paginator": "single_page"}
    if selector is not None:
        endpoint["data_selector"] = selector
    return Case(name=f"selector: {name}", about="selector", config=things(endpoint, key=key), **outcome)


def _selectors() -> list[Case]:
    return [
        _selected("a name", "data", "data"),
        _selected("the root", "array", "$"),
        _selected("a dotted path", "nested", "result.list.things"),
        _selected("a path from the root", "nested", "$.result.list.things"),
        _selected("all items", "data", "data[*]"),
        _selected("quoted names", "odd", "['odd.name']['the things']"),
        _selected("lists in a list", "groups", "groups[*].things[*]"),
        _selected("at any depth", "nested", "$..things[*]"),
        _selected("a filter", "mixed", "entries[?(@.kind=='thing')]"),
        _selected("all values of an object", "by_key", "data.*"),
        _selected("an object", "in_object", "data"),
        _selected("the object at the root", "object", "$"),
        _selected("an item of a list", "groups", "groups[1].things"),
        _selected("null", "null", "data"),
        _selected("an empty list", "empty", "data"),
        _selected(
            "what is not there",
            "data",
            "date",
            departure="a selector that matches nothing is an error",
            error="date",
        ),
        _selected(
            "what is not there, deep",
            "nested",
            "result.lists.things",
            departure="a selector that matches nothing is an error",
            error="result.lists.things",
        ),
        _selected(
            "numbers and texts",
            "scalars",
            "data",
            departure="a record that is not an object is an error",
            error="object",
        ),
    ]


def _without_selectors() -> list[Case]:
    return [
        _selected("detected: a bare array", "array"),
        _selected("detected: data", "data"),
        _selected("detected: a usual name among others", "named"),
        _selected("detected: an unusual name", "value"),
        _selected("detected: three levels deep", "nested"),
        _selected(
            "detected: too deep, so that the answer is the record", "deep", key=None, keys={"things": ("a.b.c.name",)}
        ),
        _selected("detected: the object at the root", "plain_object"),
        _selected(
            "detected: the object at the root, which has a list of texts",
            "object",
            departure="a list of texts is not detected as the records",
            records={"things": [1]},
        ),
        _selected(
            "detected: a list of texts before the records",
            "two",
            departure="a list of texts is not detected as the records",
            records=EVERY,
        ),
        Case(
            name="selector: detected: on the first page that has records",
            about="selector",
            config=things({"path": "shapes/empty_first", "paginator": "header_link"}),
            departure="the selector is detected on the first page that has records",
            records=EVERY,
        ),
    ]


def _carrying(name: str, path: str, **words: Any) -> Case:  # noqa: ANN401 - the words of an endpoint
    """Return a case of one page that must be asked for in a certain form."""
    endpoint: Words = {"path": path, "paginator": "single_page", "data_selector": "data", **words}
    return Case(name=f"request: {name}", about="request", config=things(endpoint))


def _requests() -> list[Case]:
    post = {"method": "POST"}
    return [
        _carrying("a JSON body", "bodies/json", **post, json={"filter": {"least": 20}}),
        Case(
            name="request: a JSON body that the defaults begin",
            about="request",
            config=things(
                {"path": "bodies/json", "json": {"filter": {"least": 20, "most": 23}}, "data_selector": "data"},
                defaults={"endpoint": {"method": "POST", "json": {"kind": "thing"}, "paginator": "single_page"}},
            ),
        ),
        _carrying("a form", "bodies/form", **post, data={"least": "20"}),
        _carrying("a form of numbers", "bodies/form", **post, data={"least": 20}),
        _carrying("a form with a name twice", "bodies/list", **post, data=[["id", "3"], ["id", "5"]]),
        _carrying("a form with a list", "bodies/list", **post, data={"id": ["3", "5"]}),
        _carrying("a text", "bodies/text", **post, data="least 20"),
        _carrying(
            "doubled braces",
            "bodies/query",
            **post,
            json={"query": "{{ things {{ id }} }}"},
            data_selector="data.things",
        ),
        _carrying("a parameter twice", "params/list", params={"id": [3, 5]}),
        _carrying("a parameter without a value", "params/list", params={"id": 3, "other": None}),
        Case(
            name="request: a parameter that is true",
            about="request",
            config=things({"path": "params/flag", "params": {"flag": True}, "data_selector": "data"}),
            error="flag must be true",
        ),
        _carrying("headers", "params/headers", headers={"X-Tenant": "north", "X-Version": "2"}),
    ]


def _answered(name: str, path: str, words: Words | None = None, **outcome: Unpack[Outcome]) -> Case:
    """Return a case of one page whose answer may be an error."""
    endpoint = {"path": path, "paginator": "single_page", "data_selector": "data", **(words or {})}
    return Case(name=f"answer: {name}", about="answer", config=things(endpoint), **outcome)


def _answers() -> list[Case]:
    beside = "an error in an answer of status 200 is an error"
    ignore = {"response_actions": [{"status_code": 404, "action": "ignore"}]}
    return [
        _answered("status 404", "errors/404", error="404"),
        _answered("status 404 that is ignored", "errors/404", words=ignore),
        _answered("status 403 where 404 is ignored", "errors/403", error="403", words=ignore),
        _answered(
            "ignored for what the body says",
            "errors/403",
            words={"response_actions": [{"content": "not ready", "action": "ignore"}]},
        ),
        _answered(
            "ignored for the status and the body",
            "errors/403",
            words={"response_actions": [{"status_code": 403, "content": "not ready", "action": "ignore"}]},
        ),
        _answered(
            "not ignored where only the status fits",
            "errors/403",
            words={"response_actions": [{"status_code": 403, "content": "gone", "action": "ignore"}]},
            error="403",
        ),
        _answered(
            "status 204",
            "shapes/204",
            departure="status 204 is a page without records",
            records={"things": []},
        ),
        _answered("a page of HTML", "shapes/html", error="JSON|HTML"),
        _answered("an error instead of records", "errors/instead", departure=beside, error="not ready|error"),
        _answered("an error beside no records", "errors/empty", departure=beside, error="not ready|error"),
        _answered("an error beside records", "errors/beside", warning="not ready|error"),
        _answered("a status that says no", "errors/status", departure=beside, error="not ready|error"),
        _answered("a success that says no", "errors/success", departure=beside, error="success"),
        Case(
            name="answer: an error at the root, and no selector",
            about="answer",
            config=things({"path": "errors/instead"}),
            departure=beside,
            error="not ready|error",
        ),
    ]


CASES = [*_selectors(), *_without_selectors(), *_requests(), *_answers()]

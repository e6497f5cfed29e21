"""Pages that are asked for in the body of a request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.faults.api import Api, Asked, config
from tests.singer import run_tap

ROWS = [{"id": number} for number in range(1, 8)]

BODY_PATHS = {"offset": "offset_body_path", "page_number": "page_body_path", "cursor": "cursor_body_path"}


def things(kind: str, path: str, **words: object) -> dict[str, Any]:
    paginator = {"type": kind, BODY_PATHS[kind]: path}
    endpoint = {"path": "things", "method": "POST", "data_selector": "data", "paginator": paginator, **words}
    return {"name": "things", "primary_key": "id", "endpoint": endpoint}


@pytest.mark.parametrize("kind", BODY_PATHS)
def test_a_page_in_a_body_that_is_not_json_is_refused(kind: str) -> None:
    with Api(lambda _: {"data": ROWS}) as api:
        run = run_tap(config(api, things(kind, "page", data={"a": 1})))
        assert run.returncode == 1
        assert run.said(f"resources[0].endpoint.paginator.{BODY_PATHS[kind]}: writes into a JSON body")
        assert api.asked == []


@pytest.mark.parametrize("path", ["v[0].page", "v[*].page", "$..page", "$", "v.", "['a.b']"])
@pytest.mark.parametrize("kind", BODY_PATHS)
def test_a_path_that_does_not_lead_through_objects_is_refused(kind: str, path: str) -> None:
    with Api(lambda _: {"data": ROWS}) as api:
        run = run_tap(config(api, things(kind, path, json={"v": [{}]})))
        assert run.returncode == 1
        assert run.said(f"resources[0].endpoint.paginator.{BODY_PATHS[kind]}: {path!r} is not valid", "such as")
        assert api.asked == []


@pytest.mark.parametrize("path", ["page", "$.page", "variables.page", "$.a.b-c.d_e"])
def test_a_page_is_written_where_the_path_leads(path: str) -> None:
    def answer(asked: Asked) -> object:
        value = json.loads(asked.body)
        assert value.pop("filter") == 7
        for name in path.removeprefix("$.").split("."):
            value = value[name]
        return {"data": ROWS[3 * value : 3 * value + 3]}

    with Api(answer) as api:
        run = run_tap(config(api, things("page_number", path, json={"filter": 7})))
        assert run.returncode == 0, run.stderr
        assert run.records["things"] == ROWS

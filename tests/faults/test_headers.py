"""Headers that are sent and obeyed, headers that cannot be sent, and mistakes shown while streams are discovered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.faults.api import Api, Asked, Reply, config
from tests.singer import run_tap

THINGS = {"name": "things", "endpoint": {"path": "things", "data_selector": "data", "paginator": "single_page"}}

SECRET = "half-of-a-secret"


@pytest.mark.parametrize(
    "client",
    [
        {"auth": {"token": f"{SECRET}\nx"}},
        {"auth": {"type": "api_key", "name": "key", "api_key": f"{SECRET}\u2013"}},
        {"headers": {"x": "line\r\nbreak"}},
        {"headers": {"x": "\u2013"}},
    ],
    ids=["a token with a line break", "a key beyond Latin-1", "a header with a line break", "a header beyond Latin-1"],
)
def test_what_no_header_carries_is_said_and_not_tried_again(client: dict[str, Any]) -> None:
    with Api(lambda _: {"data": [{"id": 1}]}) as api:
        run = run_tap(config(api, THINGS, client=client))
        assert run.returncode == 1
        assert run.problems == [
            line for line in run.problems if "GET things cannot be sent: a header has characters that HTTP" in line
        ]
        assert SECRET not in run.stderr
        assert "stream_maps" not in run.stderr
        assert "Try 2" not in run.stderr


NAMES = {"id": 1, "name": "Müller, Zoë"}
DECLARED = {**THINGS, "schema": {"properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}}


@pytest.mark.parametrize("charset", ["iso-8859-1", "ISO-8859-15", '"windows-1252"', "utf-16", "utf-8"])
def test_the_charset_of_an_answer_is_obeyed(charset: str) -> None:
    body = json.dumps({"data": [NAMES]}, ensure_ascii=False).encode(charset.strip('"'))
    reply = Reply(body, headers={"Content-Type": f"application/json; charset={charset}"})
    with Api(lambda _: reply) as api:
        run = run_tap(config(api, DECLARED))
    assert run.returncode == 0, run.stderr
    assert run.records["things"] == [NAMES]


def test_the_charset_of_a_token_is_obeyed() -> None:
    token = "zoë-and-her-token"

    def answer(asked: Asked) -> object:
        if asked.path != "/token":
            return {"data": [{"id": 1}]} if asked.header("Authorization") == f"Bearer {token}" else Reply(status=401)
        body = json.dumps({"access_token": token}, ensure_ascii=False).encode("latin-1")
        return Reply(body, headers={"Content-Type": "application/json; charset=iso-8859-1"})

    with Api(answer) as api:
        kind = "oauth2_client_credentials"
        auth = {"type": kind, "access_token_url": f"{api.url}/token", "client_id": "one", "client_secret": "one-secret"}
        run = run_tap(config(api, THINGS, client={"auth": auth}))
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(("headers", "sent"), [({}, "application/json"), ({"accept": "text/json"}, "text/json")])
def test_json_is_asked_for_unless_the_user_asks_for_something_else(headers: dict[str, str], sent: str) -> None:
    with Api(lambda _: {"data": [{"id": 1}]}) as api:
        run = run_tap(config(api, THINGS, client={"headers": headers}))
        assert run.returncode == 0, run.stderr
        assert {asked.header("Accept") for asked in api.asked} == {sent}

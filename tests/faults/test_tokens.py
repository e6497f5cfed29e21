"""Tokens: from which server they come, and what is said where they do not."""

from __future__ import annotations

from typing import Any

from tests.faults.api import Api, Asked, Reply, config
from tests.faults.raw import Raw, answer
from tests.singer import run_tap

THINGS: dict[str, Any] = {
    "name": "things",
    "schema": {"properties": {"id": {"type": "integer"}}},
    "endpoint": {"path": "things", "data_selector": "data", "paginator": "single_page"},
}


def auth(url: str) -> dict[str, str]:
    kind = "oauth2_client_credentials"
    return {"type": kind, "access_token_url": f"{url}/token", "client_id": "one", "client_secret": "one-secret"}


def test_each_server_is_reached_as_the_environment_says() -> None:
    with (
        Api(lambda _: {"access_token": "token-of-a-server"}) as issuer,
        Api(lambda _: {"data": [{"id": 1}]}) as proxy,
        Api(lambda _: {"data": [{"id": 2}]}) as api,
    ):
        client = {"base_url": api.url.replace("127.0.0.1", "localhost"), "auth": auth(issuer.url)}
        run = run_tap(config(api, THINGS, client=client), env={"http_proxy": proxy.url, "no_proxy": "127.0.0.1"})
        assert run.records["things"] == [{"id": 1}]
        assert (len(issuer.asked), len(api.asked)) == (1, 0)


def test_it_is_said_that_it_is_the_token_which_does_not_come() -> None:
    with Raw(answer(hold=10)) as issuer, Api(lambda _: {"data": []}) as api:
        run = run_tap(config(api, THINGS, client={"auth": auth(issuer.url)}, request_timeout=0.5, max_retries=0))
        assert run.returncode == 1
        assert run.said("Failed: things:", "POST the token: no complete answer within 0.5 s (request_timeout)")
        assert api.asked == []


def test_an_answer_that_is_ignored_is_not_ignored_for_the_token() -> None:
    def refuse(asked: Asked) -> Reply:
        return Reply({"message": "no such page"}, status=404 if asked.path == "/token" else 200)

    with Api(refuse) as api:
        ignoring = {"response_actions": [{"status_code": 404, "action": "ignore"}]}
        things = {**THINGS, "endpoint": {**THINGS["endpoint"], **ignoring}}
        run = run_tap(config(api, things, client={"auth": auth(api.url)}))
        assert run.returncode == 1
        assert run.said("Failed: things:", "POST the token was answered with 404")

"""Secrets wherever a configuration may have them: in parameters, addresses and bodies, and where they do not belong."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tap_analytics.rest.secrets import SecretFilter, Secrets
from tests.faults.api import Api, Asked, Reply, config
from tests.singer import run_tap

Words = dict[str, Any]

SECRET = "a-secret-of-20-letters"


def echo(asked: Asked) -> Reply:
    return Reply({"path": asked.path, "params": asked.params, "headers": asked.headers, "body": asked.body}, 400)


@pytest.mark.parametrize(
    "endpoint",
    [
        *({"params": {name: SECRET}} for name in ("apikey", "api-key", "access_token", "AppId", "key", "sig")),
        *({"path": f"things?x=1&{name}={SECRET}"} for name in ("apikey", "key", "token")),
        {"method": "POST", "json": {"login": {"apiKey": SECRET}}},
        {"method": "POST", "data": {"client_secret": SECRET}},
        *({"headers": {name: SECRET}} for name in ("X-Auth", "X-Session-Id", "X-Signature", "Private-Token")),
    ],
    ids=str,
)
def test_a_secret_that_is_not_in_auth_is_in_no_log(endpoint: Words) -> None:
    with Api(echo) as api:
        run = run_tap(
            config(api, {"name": "things", "endpoint": {"paginator": "single_page", **endpoint}}),
            env={"TAP_ANALYTICS_LOGLEVEL": "DEBUG"},
        )
        assert run.returncode == 1
        assert SECRET in str(api.asked)
        assert SECRET not in run.stderr


@pytest.mark.parametrize(
    "auth",
    [
        SECRET,
        {"token": [SECRET]},
        {"token": {"value": SECRET}},
        {"type": "api_key", "api_key": 12345678901234567890},
        {"type": "http_basic", "username": "x", "password": 12345678901234567890},
    ],
    ids=str,
)
def test_what_refuses_a_secret_does_not_quote_it(auth: object) -> None:
    with Api(echo) as api:
        run = run_tap(config(api, "things", client={"auth": auth}))
        assert run.returncode == 1
        assert run.said("ERROR", "client.auth", "is not valid; expected")
        assert SECRET not in run.stderr
        assert "12345678901234567890" not in run.stderr


def test_words_of_the_configuration_stay_readable() -> None:
    schema = {"properties": {"token": {"type": "integer"}, "key": {"type": "integer"}}}
    resource = {"name": "things", "schema": schema, "endpoint": {"params": {"token": "{x}", "key": "name"}}}
    with Api(echo) as api:
        run = run_tap(config(api, resource, client={"auth": "api_key"}))
        assert run.said("ERROR", "client.auth.api_key: is missing")
    with Api(lambda _: [{"name": "integer"}]) as api:
        run = run_tap(config(api, resource))
        assert run.said("The API sends fields that the schema does not have: name.")


@pytest.mark.parametrize(
    ("client", "unused"),
    [
        ({}, ["api_key", "token"]),
        ({"auth": {"type": "bearer"}}, ["api_key"]),
        ({"auth": {"type": "api_key", "name": "k"}}, ["token"]),
    ],
    ids=str,
)
def test_a_secret_that_no_auth_takes_is_a_warning(client: Words, unused: list[str]) -> None:
    with Api(lambda _asked: Reply([{"id": 1}])) as api:
        words = config(api, {"name": "things", "endpoint": {"paginator": "single_page"}})
        words["client"] = {"base_url": api.url, **client}
        run = run_tap({**words, "api_key": SECRET, "token": SECRET})
    assert run.returncode == 0
    assert [line for line in run.problems if "is not used" in line] == [
        line for name in unused for line in run.problems if f"{name}: is not used." in line
    ]
    assert len([line for line in run.problems if "is not used" in line]) == len(unused)
    assert SECRET not in run.stderr


def test_a_message_that_its_arguments_do_not_fit_is_logged_without_the_secret() -> None:
    secrets = Secrets()
    secrets.add(SECRET)
    record = logging.LogRecord("x", logging.INFO, "", 1, "%d of %s", (SECRET, "x"), None)
    assert SecretFilter(secrets).filter(record)
    assert record.getMessage() == "%d of %s ('***', 'x')"

"""What cannot be meant is refused at the door, in one line that names its place and what would be valid."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import shipped
from tests.singer import run_tap
from tests.test_resources import resource

if TYPE_CHECKING:
    from sandbox import Sandbox

Words = dict[str, Any]

GOOD = resource()
SCHEMA = {"properties": {"id": {"type": "string"}, "at": {"type": "string"}, "value": {"type": "number"}}}
CURSOR = {"cursor_path": "at", "start_param": "since"}


def endpoint(**words: object) -> list[Words]:
    return [resource(**words)]  # type: ignore[arg-type] # words of whatever type are the point


# What is declared, the path that the line begins with, and words that it holds.
TABLE: list[tuple[Any, str, str]] = [
    # Shapes
    ("workers", "resources: ", "must be a list"),
    ([], "resources: ", "is empty"),
    ([GOOD, 5], "resources[1]: ", "object"),
    ([{"endpoint": "/v1/resource"}], "resources[0].name: ", "is missing"),
    ([{**GOOD, "name": ""}], "resources[0].name: ", "not empty"),
    ([GOOD, "workers", GOOD], "resources[2].name: ", "declared by resources[0]"),
    (["workers", {"name": "workers"}], "resources[1].name: ", "declared by resources[0]"),
    # Shipped streams
    ([{"name": "workers", "extends": "worker"}], "resources[0].extends: ", "did you mean workers"),
    ([{"name": "people", "extends": True}], "resources[0].extends: ", "is not a shipped stream"),
    # Paths
    (endpoint(path=7), "resources[0].endpoint.path: ", "expected text"),
    (endpoint(path="/v1/resource#top"), "resources[0].endpoint.path: ", "expected a path"),
    (endpoint(path="/v1/a resource"), "resources[0].endpoint.path: ", "expected a path"),
    (endpoint(path="https://elsewhere.example.com/v1"), "resources[0].endpoint.path: ", "another server"),
    (endpoint(path="//elsewhere.example.com/v1"), "resources[0].endpoint.path: ", "another server"),
    (endpoint(path="/v1/{id}"), "resources[0].endpoint.path: ", "{id} stands for nothing"),
    # Words
    (endpoint(pagniator={}), "resources[0].endpoint.pagniator: ", "did you mean paginator"),
    ([{**GOOD, "keys": "id"}], "resources[0].keys: ", "primary_key"),
    (endpoint(paginator={"type": "offset", "size": 3}), "resources[0].endpoint.paginator.size: ", "limit"),
    # Paginators
    (endpoint(paginator={"type": "offest"}), "resources[0].endpoint.paginator.type: ", "single_page, offset"),
    (endpoint(paginator="pages"), "resources[0].endpoint.paginator: ", "single_page, offset"),
    (endpoint(paginator={"type": ["offset"]}), "resources[0].endpoint.paginator.type: ", "single_page, offset"),
    (endpoint(paginator={"limit": 3}), "resources[0].endpoint.paginator.type: ", "is missing"),
    (endpoint(limit=0), "resources[0].endpoint.paginator.limit: ", "1 or more"),
    (endpoint(limit="100"), "resources[0].endpoint.paginator.limit: ", "whole number"),
    (endpoint(limit=2.5), "resources[0].endpoint.paginator.limit: 2.5 ", "whole number"),
    (endpoint(limit=True), "resources[0].endpoint.paginator.limit: ", "whole number"),
    (
        endpoint(paginator={"type": "offset", "offset_param": "p", "limit_param": "p"}),
        "resources[0].endpoint.paginator.limit_param: ",
        "endpoint.paginator.offset_param",
    ),
    (
        endpoint(paginator={"type": "page_number", "page_param": "p", "page_body_path": "page"}),
        "resources[0].endpoint.paginator.page_body_path: ",
        "page_param says otherwise",
    ),
    (
        endpoint(paginator={"type": "cursor", "cursor_path": "[["}),
        "resources[0].endpoint.paginator.cursor_path: ",
        "JSON",
    ),
    # Selectors
    (endpoint(data_selector="data[["), "resources[0].endpoint.data_selector: ", "data.items"),
    (endpoint(data_selector=["data"]), "resources[0].endpoint.data_selector: ", "text"),
    # Keys and dispositions
    ([{**GOOD, "primary_key": []}], "resources[0].primary_key: ", "list that is not empty"),
    ([{**GOOD, "primary_key": ["id", 3]}], "resources[0].primary_key[1]: ", "expected text"),
    ([{**GOOD, "primary_key": ["id", "id"]}], "resources[0].primary_key: ", "twice"),
    ([{**GOOD, "write_disposition": "upsert"}], "resources[0].write_disposition: ", "merge, append, replace"),
    ([{**GOOD, "write_disposition": {}}], "resources[0].write_disposition.disposition: ", "is missing"),
    # Schemas
    ([{**GOOD, "schema": "id"}], "resources[0].schema: ", "expected an object"),
    ([{**GOOD, "schema": {"properties": {}}}], "resources[0].schema: ", "JSON Schema"),
    ([{**GOOD, "schema": {"type": "array", "properties": SCHEMA}}], "resources[0].schema: ", "of an object"),
    ([{**GOOD, "schema": {"properties": {"id": "string"}}}], "resources[0].schema.properties.id: ", "JSON Schema"),
    ([{**GOOD, "schema": {"properties": {"id": {"type": "text"}}}}], "resources[0].schema: ", "'text'"),
    ([{**GOOD, "schema": SCHEMA, "primary_key": "key"}], "resources[0].primary_key: ", "id, at, value"),
    ([{**GOOD, "columns": {"id": {"data_type": "string"}}}], "resources[0].columns: ", "text, double"),
    ([{**GOOD, "schema_contract": "grow"}], "resources[0].schema_contract: ", "evolve, freeze"),
    ([shipped("workers", primary_key="key")], "resources[0].primary_key: ", "workerCode"),
    ([shipped("sessions_incremental", schema=SCHEMA)], "resources[0].schema: ", "updatedTimestamp"),
    # Cursors
    (endpoint(incremental=True), "resources[0].endpoint.incremental: ", "cursor_path, start_param"),
    (endpoint(incremental={"start_param": "since"}), "resources[0].endpoint.incremental.cursor_path: ", "is missing"),
    (
        endpoint(schema=SCHEMA, incremental={**CURSOR, "cursor_path": "nowhere"}),
        "resources[0].endpoint.incremental.cursor_path: ",
        "id, at, value",
    ),
    (
        endpoint(
            schema={"properties": {"id": {"type": "string"}, "at": {"type": "boolean"}}},
            incremental=CURSOR,
        ),
        "resources[0].endpoint.incremental.cursor_path: ",
        "must be a string (a timestamp) or a number",
    ),
    (
        [shipped("workers", endpoint={"incremental": {**CURSOR, "cursor_path": "at"}})],
        "resources[0].endpoint.incremental.cursor_path: ",
        "updatedTimestamp",
    ),
    (
        endpoint(incremental={**CURSOR, "initial_value": "yesterday"}),
        "resources[0].endpoint.incremental.initial_value: ",
        "timestamp or a number",
    ),
    (
        endpoint(schema=SCHEMA, incremental={**CURSOR, "initial_value": 5}),
        "resources[0].endpoint.incremental.initial_value: ",
        "is a timestamp",
    ),
    (
        endpoint(
            schema={"properties": {"id": {"type": "string"}, "at": {"type": "integer"}}},
            incremental={**CURSOR, "initial_value": "2026-01-01"},
        ),
        "resources[0].endpoint.incremental.initial_value: ",
        "is a number",
    ),
    (
        endpoint(path="/v1/{incremental.start_value}", incremental={"cursor_path": "at"}),
        "resources[0].endpoint.incremental.initial_value: ",
        "the first run needs it",
    ),
    # JSON Schema
    (
        [resource(schema={"properties": {"id": {"$ref": "#/definitions/id"}}})],
        "resources[0].schema.properties.id.$ref: ",
        "write out",
    ),
    (
        [resource(schema={"properties": {"id": {"type": "string"}, "tags": {"type": "array", "items": [{}]}}})],
        "resources[0].schema.properties.tags.items: ",
        "JSON Schema",
    ),
    (
        [shipped("registrations_incremental", schema={"properties": {"id": {}, "updatedTimestamp": {}}})],
        "resources[0].schema: ",
        "must be a string",
    ),
    # Parameters
    (endpoint(params=["a"]), "resources[0].endpoint.params: ", "an object"),
    (endpoint(params={"a": {"b": 1}}), "resources[0].endpoint.params: ", "'a'"),
    (endpoint(params={"a": [{"b": 1}]}), "resources[0].endpoint.params: ", "'a'"),
    (endpoint(params={"offset": 3}), "resources[0].endpoint.params.offset: ", "endpoint.paginator.offset_param"),
    (endpoint(params={"a": "{resources.users.id}"}), "resources[0].endpoint: ", "not among the resources"),
    (endpoint(params={"a": "{incremental.start_value}"}), "resources[0].endpoint: ", "declare endpoint.incremental"),
    (
        endpoint(params={"a": {"type": "resolve", "resource": "users", "field": "id"}}),
        "resources[0].endpoint.params.a: ",
        "part of the path",
    ),
    (
        endpoint(params={"since": 3}, incremental=CURSOR),
        "resources[0].endpoint.params.since: ",
        "endpoint.incremental.start_param",
    ),
    (
        [shipped("sessions_initial", endpoint={"params": {"date": "20260101"}})],
        "resources[0].endpoint.params.date: ",
        "windows",
    ),
    # Errors
    (endpoint(error_handler=3), "resources[0].endpoint.error_handler: ", "max_retries"),
    (endpoint(error_handler={"max_retries": -1}), "resources[0].endpoint.error_handler.max_retries: ", "0 or more"),
    (endpoint(error_handler={"backoff_factor": "2"}), "resources[0].endpoint.error_handler.backoff_factor: ", "number"),
    (
        endpoint(error_handler={"retry_on_status_codes": [429, 200]}),
        "resources[0].endpoint.error_handler.retry_on_status_codes: ",
        "from 400 to 599",
    ),
    (endpoint(response_actions=[{"action": "retry"}]), "resources[0].endpoint.response_actions[0].action: ", "ignore"),
    # What needs Python, or goes beyond reading
    (endpoint(method="PUT"), "resources[0].endpoint.method: ", "GET, POST"),
    (endpoint(json={}, data={}, method="POST"), "resources[0].endpoint.data: ", "one body"),
    ([{**GOOD, "processing_steps": []}], "resources[0].processing_steps: ", "use stream_maps"),
    (endpoint(incremental={**CURSOR, "convert": 1}), "resources[0].endpoint.incremental.convert: ", "needs Python"),
    ([{**GOOD, "include_from_parent": ["id"]}], "resources[0].include_from_parent: ", "there is no parent"),
    (endpoint(auth={"type": "bearer"}), "resources[0].endpoint.auth.token: ", "TAP_ANALYTICS_TOKEN"),
]
DEFAULTS: list[tuple[object, str, str]] = [
    ("id", "resource_defaults: ", "object"),
    ({"name": "things"}, "resource_defaults.name: ", "its own"),
    ({"primary_key": 3}, "resource_defaults.primary_key: ", "expected text"),
    ({"endpoint": {"path": "/v1/resource"}}, "resource_defaults.endpoint.path: ", "its own path"),
    ({"endpoint": "/v1/resource"}, "resource_defaults.endpoint.path: ", "its own path"),
    ({"endpoint": {"paginator": "cursr"}}, "resource_defaults.endpoint.paginator: ", "cursor"),
    ({"endpoint": {"params": {"limit": 3}}}, "resources[0].endpoint.params.limit: ", "limit_param"),
]


def lines(stderr: str) -> list[str]:
    """Return what the log says of mistakes, without the times and the names before it."""
    return [line.split("|", 3)[3].strip() for line in stderr.splitlines() if "| ERROR" in line]


def assert_refused(config: Words, where: str, words: str, *args: str) -> None:
    run = run_tap(config, args=args)
    assert run.returncode == 1
    assert not run.stdout
    assert "Traceback" not in run.stderr
    (line,) = lines(run.stderr)
    assert line.startswith(where)
    assert words in line


def is_new(entry: object) -> bool:
    return isinstance(entry, dict) and entry.get("name") == "things"


TOGETHER = [row for row in TABLE if isinstance(row[0], list) and len(row[0]) == 1 and is_new(row[0][0])]
ALONE = [row for row in TABLE if row not in TOGETHER]


@pytest.mark.parametrize("args", [[], ["--discover"]], ids=str)
def test_each_mistake_in_its_own_line(sandbox: Sandbox, config: Words, args: list[str]) -> None:
    resources = [{**declared, "name": f"things_{n}"} for n, ((declared,), _, _) in enumerate(TOGETHER)]
    run = run_tap(config | {"resources": resources}, args=args)
    assert run.returncode == 1
    assert not run.stdout
    assert not sandbox.requests
    reported = lines(run.stderr)
    for n, (_, where, words) in enumerate(TOGETHER):
        here = [line for line in reported if line.startswith(f"resources[{n}]")]
        assert len(here) == 1, (n, here)
        assert here[0].startswith(where.replace("resources[0]", f"resources[{n}]")), here
        assert words in here[0]
    assert len(reported) == len(TOGETHER)


@pytest.mark.parametrize(("resources", "where", "words"), ALONE, ids=lambda value: str(value)[:60])
def test_a_mistake_in_the_resources(sandbox: Sandbox, config: Words, resources: object, where: str, words: str) -> None:
    assert_refused(config | {"resources": resources}, where, words)
    assert not sandbox.requests


@pytest.mark.parametrize(("defaults", "where", "words"), DEFAULTS, ids=lambda value: str(value)[:60])
def test_a_mistake_in_the_defaults(sandbox: Sandbox, config: Words, defaults: object, where: str, words: str) -> None:
    assert_refused(config | {"resource_defaults": defaults, "resources": [GOOD]}, where, words)
    assert not sandbox.requests


def test_a_default_that_no_shipped_stream_can_have_is_told_once(config: Words) -> None:
    defaults = {"endpoint": {"params": {"offset": 3}}}
    assert_refused(config | {"resource_defaults": defaults}, "resource_defaults.endpoint.params.offset: ", "paginator")


def test_the_key_is_not_told_even_where_it_was_put_by_mistake(config: Words) -> None:
    key = config["api_key"]
    resources = [resource(data_selector=f"{key}[["), resource("two", **{key: 1})]
    run = run_tap(config | {"resources": resources})  # the run looks for it
    assert len(lines(run.stderr)) == 2


def test_a_parameter_with_the_name_of_the_key(config: Words) -> None:
    declared = resource(params={"api_key": "something"})
    config |= {"auth_location": "query", "resources": [declared]}
    assert_refused(config, "resources[0].endpoint.params.api_key: ", "auth_name")


@pytest.mark.parametrize(
    ("client", "settings", "path", "words"),
    [
        ({}, {"base_url": None}, "client.base_url: ", "is missing"),
        ({"base_url": "ftp://x.example.com"}, {"base_url": None}, "client.base_url: ", "must be a URL"),
        ({"base_url": "http://127.0.0.1:9"}, {}, "base_url: ", "client.base_url says otherwise"),
        ({"session": 1}, {}, "client.session: ", "needs Python"),
        ({"auth": {"type": "bearr"}}, {}, "client.auth.type: ", "bearer"),
        ({"auth": "bearer"}, {}, "client.auth.token: ", "TAP_ANALYTICS_TOKEN"),
        ({"auth": {"type": "http_basic"}}, {"username": "u"}, "client.auth.password: ", "TAP_ANALYTICS_PASSWORD"),
        ({"auth": {"type": "oauth2_client_credentials"}}, {}, "client.auth.access_token_url: ", "is missing"),
        ({}, {"auth_name": "key"}, "auth_name: ", "client.auth"),
    ],
)
def test_a_mistake_in_the_client(config: Words, client: Words, settings: Words, path: str, words: str) -> None:
    assert_refused(config | settings | {"client": client, "resources": [GOOD]}, path, words)


def test_the_client_and_a_setting_may_say_the_same(sandbox: Sandbox, config: Words) -> None:
    client = {"base_url": sandbox.url, "auth": {"type": "api_key", "name": "api_key"}}
    run = run_tap(config | {"client": client, "resources": [GOOD]})
    assert run.returncode == 0, run.stderr
    assert len(run.records["things"]) == 30


def test_replace_cannot_go_by_way_of_files(config: Words) -> None:
    batches = {"encoding": {"format": "jsonl"}, "storage": {"root": "file://."}}
    declared = resource(write_disposition="replace")
    assert_refused(
        config | {"resources": [declared], "batch_config": batches}, "resources[0].write_disposition: ", "batch_config"
    )


def test_a_sample_needs_a_server() -> None:
    run = run_tap({"resources": [GOOD]}, args=["--discover"])
    assert run.returncode == 1
    assert lines(run.stderr) == ["Failed: things: no schema can be inferred: a sample needs base_url"]


def test_a_declared_schema_needs_none() -> None:
    run = run_tap({"resources": [{**GOOD, "schema": SCHEMA}]}, args=["--discover"])
    assert run.returncode == 0
    (stream,) = json.loads(run.stdout)["streams"]
    assert stream["schema"] == {"type": "object", **SCHEMA}

"""What cannot be meant is refused at the door, in one line that names its place and what would be valid."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

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


# What is declared, the place that the line begins with, and words that it holds.
TABLE: list[tuple[Any, str, str]] = [
    # Shapes
    ("workers", "resources: ", "array"),
    ([], "resources: ", "is empty"),
    ([GOOD, 5], "resources[1]: ", "object"),
    (["nothing"], "resources[0]: ", "clients, locations"),
    ([{"endpoint": "/v1/resource"}], "resources[0].name: ", "is missing"),
    ([{**GOOD, "name": ""}], "resources[0].name: ", "not empty"),
    ([GOOD, "workers", GOOD], "resources[2].name: ", "declared by resources[0]"),
    (["workers", {"name": "workers"}], "resources[1].name: ", "declared by resources[0]"),
    # Paths
    ([{"name": "things"}], "resources[0].endpoint.path: ", "is missing"),
    (endpoint(path=None), "resources[0].endpoint.path: ", "is missing"),
    (endpoint(path=7), "resources[0].endpoint.path: ", "must be text"),
    (endpoint(path="/v1/resource?a=1"), "resources[0].endpoint.path: ", "endpoint.params"),
    ([{**GOOD, "endpoint": "/v1/{resources.a.b}"}], "resources[0].endpoint: ", "placeholders"),
    (endpoint(path="https://elsewhere.example.com/v1"), "resources[0].endpoint.path: ", "below base_url"),
    (endpoint(path="//elsewhere.example.com/v1"), "resources[0].endpoint.path: ", "below base_url"),
    # Words
    (endpoint(pagniator={}), "resources[0].endpoint.pagniator: ", "did you mean paginator"),
    ([{**GOOD, "keys": "id"}], "resources[0].keys: ", "primary_key"),
    (endpoint(paginator={"type": "offset", "size": 3}), "resources[0].endpoint.paginator.size: ", "limit"),
    # Paginators
    (endpoint(paginator={"type": "offest"}), "resources[0].endpoint.paginator.type: ", "single_page, offset"),
    (endpoint(paginator="pages"), "resources[0].endpoint.paginator: ", "single_page, offset"),
    (endpoint(paginator={"type": ["offset"]}), "resources[0].endpoint.paginator.type: ", "single_page, offset"),
    (endpoint(paginator={"limit": 3}), "resources[0].endpoint.paginator.type: ", "is missing"),
    (endpoint(limit=0), "resources[0].endpoint.paginator.limit: ", "at least 1"),
    (endpoint(limit="100"), "resources[0].endpoint.paginator.limit: ", "whole number"),
    (endpoint(limit=2.5), "resources[0].endpoint.paginator.limit: 2.5 ", "whole number"),
    (endpoint(limit=True), "resources[0].endpoint.paginator.limit: ", "whole number"),
    (
        endpoint(paginator={"type": "offset", "offset_param": "p", "limit_param": "p"}),
        "resources[0].endpoint.paginator.limit_param: ",
        "endpoint.paginator.offset_param",
    ),
    # Selectors
    (endpoint(data_selector="data[*]"), "resources[0].endpoint.data_selector: ", "data.items"),
    (endpoint(data_selector=["data"]), "resources[0].endpoint.data_selector: ", "data.items"),
    (endpoint(data_selector='da"ta'), "resources[0].endpoint.data_selector: ", "data.items"),
    # Keys and dispositions
    ([{**GOOD, "primary_key": []}], "resources[0].primary_key: ", "list that is not empty"),
    ([{**GOOD, "primary_key": ["id", 3]}], "resources[0].primary_key[1]: ", "must be text"),
    ([{**GOOD, "primary_key": ["id", "id"]}], "resources[0].primary_key: ", "twice"),
    ([{**GOOD, "write_disposition": "upsert"}], "resources[0].write_disposition: ", "merge, append, replace"),
    ([{**GOOD, "write_disposition": {"disposition": "merge"}}], "resources[0].write_disposition: ", "merge, append"),
    ([{**GOOD, "primary_key": None, "write_disposition": "merge"}], "resources[0].primary_key: ", "append"),
    (
        [{"name": "sessions_initial", "write_disposition": "replace"}],
        "resources[0].write_disposition: ",
        "cannot be incremental",
    ),
    # Schemas
    ([{**GOOD, "schema": "id"}], "resources[0].schema: ", "JSON Schema"),
    ([{**GOOD, "schema": {"properties": {}}}], "resources[0].schema: ", "JSON Schema"),
    ([{**GOOD, "schema": {"type": "array", "properties": SCHEMA}}], "resources[0].schema: ", "of an object"),
    ([{**GOOD, "schema": {"properties": {"id": "string"}}}], "resources[0].schema.properties.id: ", "JSON Schema"),
    ([{**GOOD, "schema": {"properties": {"id": {"type": "text"}}}}], "resources[0].schema: ", "'text'"),
    ([{**GOOD, "schema": SCHEMA, "primary_key": "key"}], "resources[0].primary_key: ", "id, at, value"),
    ([{"name": "workers", "primary_key": "key"}], "resources[0].primary_key: ", "workerCode"),
    (
        [{"name": "sessions_incremental", "schema": SCHEMA}],
        "resources[0].schema: ",
        "updatedTimestamp",
    ),
    # Cursors
    (endpoint(incremental=True), "resources[0].endpoint.incremental: ", "cursor_path, start_param"),
    (endpoint(incremental={"cursor_path": "at"}), "resources[0].endpoint.incremental.start_param: ", "is missing"),
    (
        endpoint(schema=SCHEMA, incremental={**CURSOR, "cursor_path": "nowhere"}),
        "resources[0].endpoint.incremental.cursor_path: ",
        "id, at, value",
    ),
    (
        endpoint(schema=SCHEMA, incremental={**CURSOR, "cursor_path": "value"}),
        "resources[0].endpoint.incremental.cursor_path: ",
        "string or integer",
    ),
    (
        [{"name": "workers", "endpoint": {"incremental": CURSOR}}],
        "resources[0].endpoint.incremental.cursor_path: ",
        "updatedTimestamp",
    ),
    (
        endpoint(incremental={**CURSOR, "initial_value": "yesterday"}),
        "resources[0].endpoint.incremental.initial_value: ",
        "timestamp or a whole number",
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
        "is a whole number",
    ),
    (
        endpoint(write_disposition="replace", incremental=CURSOR),
        "resources[0].write_disposition: ",
        "cannot be incremental",
    ),
    # Schemas
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
        [{"name": "registrations_incremental", "schema": {"properties": {"id": {}, "updatedTimestamp": {}}}}],
        "resources[0].schema: ",
        "is no string",
    ),
    # Parameters
    (endpoint(params=["a"]), "resources[0].endpoint.params: ", "names and values"),
    (endpoint(params={"a": {"b": 1}}), "resources[0].endpoint.params.a: ", "not supported"),
    (endpoint(params={"a": [{"b": 1}]}), "resources[0].endpoint.params.a: ", "text, a number"),
    (endpoint(params={"offset": 3}), "resources[0].endpoint.params.offset: ", "endpoint.paginator.offset_param"),
    (
        endpoint(params={"since": 3}, incremental=CURSOR),
        "resources[0].endpoint.params.since: ",
        "endpoint.incremental.start_param",
    ),
    (
        [{"name": "sessions_initial", "endpoint": {"params": {"date": "20260101"}}}],
        "resources[0].endpoint.params.date: ",
        "windows",
    ),
    # Trouble
    (endpoint(error_handler=3), "resources[0].endpoint.error_handler: ", "max_retries"),
    (endpoint(error_handler={"max_retries": -1}), "resources[0].endpoint.error_handler.max_retries: ", "at least 0"),
    (endpoint(error_handler={"backoff_factor": "2"}), "resources[0].endpoint.error_handler.backoff_factor: ", "number"),
    (
        endpoint(error_handler={"retry_on_status_codes": [429, 200]}),
        "resources[0].endpoint.error_handler.retry_on_status_codes[1]: ",
        "from 400 to 599",
    ),
    # Words of dlt that have no meaning here
    (endpoint(method="POST"), "resources[0].endpoint.method: ", "GET"),
    (endpoint(params={"a": {"type": "resolve"}}), "resources[0].endpoint.params.a: ", "'resolve' are not supported"),
    (endpoint(params={"a": {"type": "incremental"}}), "resources[0].endpoint.params.a: ", "endpoint.incremental"),
    *(
        (endpoint(paginator={"type": kind}), "resources[0].endpoint.paginator.type: ", f"{kind!r} of dlt is not supp")
        for kind in ("auto", "cursor", "header_cursor", "header_link", "json_link", "json_response", "page_number")
    ),
    *(
        (endpoint(**{word: {}}), f"resources[0].endpoint.{word}: ", "of dlt is not supported")
        for word in ("auth", "data", "headers", "json", "response_actions")
    ),
    *(
        ([{**GOOD, word: {}}], f"resources[0].{word}: ", "of dlt is not supported")
        for word in ("columns", "include_from_parent", "processing_steps", "parallelized", "selected", "table_name")
    ),
    *(
        (
            endpoint(incremental={**CURSOR, word: 1}),
            f"resources[0].endpoint.incremental.{word}: ",
            "of dlt is not supported",
        )
        for word in ("end_param", "end_value", "lag", "convert", "row_order", "on_cursor_value_missing")
    ),
    *(
        (
            endpoint(paginator={"type": "offset", word: 1}),
            f"resources[0].endpoint.paginator.{word}: ",
            "of dlt is not supported",
        )
        for word in ("total_path", "maximum_offset", "stop_after_empty_page", "has_more_path")
    ),
]
DEFAULTS: list[tuple[object, str, str]] = [
    ("id", "resource_defaults: ", "object"),
    ({"name": "things"}, "resource_defaults.name: ", "primary_key"),
    ({"primary_key": 3}, "resource_defaults.primary_key: ", "must be text"),
    ({"endpoint": {"path": "/v1/resource"}}, "resource_defaults.endpoint.path: ", "a path of its own"),
    ({"endpoint": "/v1/resource"}, "resource_defaults.endpoint.path: ", "a path of its own"),
    ({"endpoint": {"paginator": "cursor"}}, "resource_defaults.endpoint.paginator.type: ", "of dlt is not supported"),
    ({"endpoint": {"params": {"limit": 3}}}, "resources[0].endpoint.params.limit: ", "limit_param"),
]


def lines(stderr: str) -> list[str]:
    """Return what the log says of mistakes, without the times and the names before it."""
    return [line.split("|", 3)[3].strip() for line in stderr.splitlines() if "| ERROR" in line]


def assert_refused(config: Words, place: str, words: str, *args: str) -> None:
    run = run_tap(config, args=args)
    assert run.returncode == 1
    assert not run.stdout
    assert "Traceback" not in run.stderr
    told = [line for line in lines(run.stderr) if line != "Config validation failed"]
    (line,) = told
    assert line.startswith(place)
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
    told = lines(run.stderr)
    for n, (_, place, words) in enumerate(TOGETHER):
        here = [line for line in told if line.startswith(f"resources[{n}]")]
        assert len(here) == 1, (n, here)
        assert here[0].startswith(place.replace("resources[0]", f"resources[{n}]")), here
        assert words in here[0]
    assert told[len(TOGETHER) :] == ["Config validation failed"]


@pytest.mark.parametrize(("resources", "place", "words"), ALONE, ids=lambda value: str(value)[:60])
def test_a_mistake_in_the_resources(sandbox: Sandbox, config: Words, resources: object, place: str, words: str) -> None:
    assert_refused(config | {"resources": resources}, place, words)
    assert not sandbox.requests


@pytest.mark.parametrize(("defaults", "place", "words"), DEFAULTS, ids=lambda value: str(value)[:60])
def test_a_mistake_in_the_defaults(sandbox: Sandbox, config: Words, defaults: object, place: str, words: str) -> None:
    assert_refused(config | {"resource_defaults": defaults, "resources": [GOOD]}, place, words)
    assert not sandbox.requests


def test_a_default_that_no_shipped_stream_can_have_is_told_once(config: Words) -> None:
    defaults = {"endpoint": {"params": {"offset": 3}}}
    assert_refused(config | {"resource_defaults": defaults}, "resource_defaults.endpoint.params.offset: ", "paginator")


def test_the_key_is_not_told_even_where_it_was_put_by_mistake(config: Words) -> None:
    key = config["api_key"]
    resources = [resource(data_selector=f"{key}[*]"), resource("two", **{key: 1}), key]
    run = run_tap(config | {"resources": resources})  # the run looks for it
    assert len(lines(run.stderr)) == 4


def test_a_parameter_with_the_name_of_the_key(config: Words) -> None:
    declared = resource(params={"api_key": "something"})
    config |= {"auth_location": "query", "resources": [declared]}
    assert_refused(config, "resources[0].endpoint.params.api_key: ", "auth_name")


def test_the_client_of_dlt_is_told_what_it_is_here(config: Words) -> None:
    client = {"base_url": config["base_url"], "auth": {"type": "api_key", "api_key": config["api_key"]}}
    assert_refused(config | {"client": client}, "client: ", "base_url, api_key, auth_location, auth_name")


def test_replace_cannot_go_by_way_of_files(config: Words) -> None:
    batches = {"encoding": {"format": "jsonl"}, "storage": {"root": "file://."}}
    declared = resource(write_disposition="replace")
    assert_refused(
        config | {"resources": [declared], "batch_config": batches}, "resources[0].write_disposition: ", "batch_config"
    )


def test_a_sample_needs_a_server_and_a_key() -> None:
    run = run_tap({"resources": [GOOD]}, args=["--discover"])
    assert run.returncode == 1
    assert lines(run.stderr) == ["Failed: things: no schema can be inferred: a sample needs base_url and api_key"]


def test_a_declared_schema_needs_neither() -> None:
    run = run_tap({"resources": [{**GOOD, "schema": SCHEMA}]}, args=["--discover"])
    assert run.returncode == 0
    (stream,) = json.loads(run.stdout)["streams"]
    assert stream["schema"] == {"type": "object", **SCHEMA}

"""Resources that users declare become streams like the shipped ones."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Sandbox
from tests.conftest import settings, shipped
from tests.singer import PREFIX, Run, exact, run_tap, stream_names

if TYPE_CHECKING:
    from collections.abc import Mapping

Words = dict[str, Any]


def example(name: str) -> Words:
    """Return a configuration that the guide to declared resources shows."""
    file = Path(__file__).parents[1] / "docs" / "examples" / f"{name}.json"
    result: Words = json.loads(file.read_text(encoding="utf-8"))
    return result


DEFAULTS: Words = example("analytics")["resource_defaults"]
DOCUMENTED: list[Words] = example("analytics")["resources"]
RESTATED: list[Words] = [{**entry, "extends": True} for entry in DOCUMENTED]
PATHS = {entry["name"]: entry["endpoint"]["path"].removeprefix("/v1/") for entry in DOCUMENTED}


def at(sandbox: Sandbox, config: Words) -> Words:
    """Return a configuration of dlt's form that reaches the sandbox; the secret comes from its setting."""
    client = config["client"] | {"base_url": sandbox.url}
    return {**config, "client": client, "api_key": sandbox.api_key, "backoff_factor": 0}


def resource(name: str = "things", *, limit: int = 10, **words: object) -> Words:
    """Return a declaration of the generic resource; words of the endpoint and of the resource go together."""
    own = {"primary_key", "write_disposition", "schema", "columns"}
    endpoint = {"path": "/v1/resource", "paginator": {"type": "offset", "limit": limit}}
    return {
        "name": name,
        "primary_key": "id",
        **{word: value for word, value in words.items() if word in own},
        "endpoint": endpoint | {word: value for word, value in words.items() if word not in own},
    }


def put(sandbox: Sandbox, *records: Mapping[str, object]) -> None:
    """Have the generic resource hold some records and no others."""
    sandbox.world.clear("resource")
    for record in records:
        sandbox.world.put("resource", json.dumps(record).encode())


def untimed(run: Run) -> list[Words]:
    """Return the messages without what tells when they were made."""
    messages = json.loads(json.dumps(run.messages, default=str))
    for message in messages:
        message.pop("time_extracted", None)
        for bookmark in message.get("value", {}).get("bookmarks", {}).values():
            bookmark.pop("last_sync", None)
            bookmark.pop("backfill_began", None)
            bookmark.pop("replication_key_signpost", None)
    return list(messages)


def keys(records: list[Words]) -> list[Any]:
    return [record["id"] for record in records]


# The examples of the specification


def test_the_fourteen_restated_give_the_messages_of_the_shipped_ones(sandbox: Sandbox, config: Words) -> None:
    shipped = run_tap(config)
    asked = [(request.path, request.params) for request in sandbox.requests]
    sandbox.requests.clear()
    restated = run_tap(config | {"resource_defaults": DEFAULTS, "resources": RESTATED})
    assert restated.returncode == 0
    assert not restated.problems
    assert restated.records.keys() == PATHS.keys()
    assert untimed(restated) == untimed(shipped)
    assert Counter(map(str, asked)) == Counter(str((request.path, request.params)) for request in sandbox.requests)


def test_the_fourteen_restated_have_the_catalog_of_the_shipped_ones(config: Words) -> None:
    shipped = run_tap(config, args=["--discover"])
    restated = run_tap(config | {"resource_defaults": DEFAULTS, "resources": RESTATED}, args=["--discover"])
    assert json.loads(restated.stdout) == json.loads(shipped.stdout)


def test_a_restated_stream_goes_on_from_the_state_of_the_shipped_one(sandbox: Sandbox, config: Words) -> None:
    state = run_tap(config).state
    sandbox.advance(days=1)
    restated = run_tap(config | {"resource_defaults": DEFAULTS, "resources": RESTATED}, state=state)
    assert untimed(restated) == untimed(run_tap(config, state=state))


def test_the_first_document_of_the_specification_runs_unchanged(sandbox: Sandbox) -> None:
    run = run_tap(at(sandbox, example("analytics")))
    assert run.returncode == 0, run.stderr
    assert not run.problems
    assert run.records.keys() == PATHS.keys()
    for name, path in PATHS.items():
        assert exact(run.records[name]) == exact(sandbox.world.records(path.rpartition("/")[2])), name
        assert run.schemas[name]["key_properties"] == ["id"]


def test_the_second_document_of_the_specification_runs_unchanged() -> None:
    with Sandbox(auth_location="query", resources=250) as sandbox:
        run = run_tap(at(sandbox, example("generic")))
        assert run.returncode == 0, run.stderr
        assert not run.problems
        assert exact(run.records["resource_name"]) == exact(sandbox.world.records("resource"))
        assert {request.params["limit"] for request in sandbox.requests} == {"100"}
        assert run.schemas["resource_name"]["key_properties"] == ["id"]


@pytest.mark.parametrize("status", [429, 503])
def test_an_error_handler_of_its_own_says_how_often_and_how_long(sandbox: Sandbox, status: int) -> None:
    handler = {"max_retries": 2, "backoff_factor": 0.2, "retry_on_status_codes": [status]}
    patient = resource(error_handler=handler, schema={"properties": {"id": {"type": "string"}}})
    sandbox.misbehave(Fault("status", path="/v1/resource", status=status, times=None))
    run = run_tap(settings(sandbox, resources=[patient, shipped("tasks")], max_in_flight=1, max_retries=0))
    times = [request.time for request in sandbox.requests if request.path == "/v1/resource"]
    assert run.returncode == 1
    assert len(times) == 3
    assert times[1] - times[0] >= 0.2
    assert times[2] - times[1] >= 0.4
    assert run.said("Failed: things", str(status))
    assert len(run.records["tasks"]) == len(sandbox.world.records("tasks"))


def test_a_status_that_its_error_handler_does_not_list_is_not_tried_again(sandbox: Sandbox, config: Words) -> None:
    sandbox.misbehave(Fault("status", path="/v1/resource", status=503, times=None))
    run = run_tap(config | {"resources": [resource(error_handler={"retry_on_status_codes": [429]})]})
    assert run.returncode == 1
    assert len(sandbox.requests) == 1


# Which streams there are


def test_exactly_the_listed_ones_in_whatever_form(sandbox: Sandbox, config: Words) -> None:
    named = {"name": "task_groups", "endpoint": "/v1/master/taskgroups"}
    other = resource("people", path="/v1/master/workers", paginator="single_page")
    run = run_tap(config | {"resources": [shipped("workers"), named, other, resource()]})
    assert run.returncode == 0, run.stderr
    assert run.records.keys() == {"workers", "task_groups", "people", "things"}
    assert exact(run.records["people"]) == exact(run.records["workers"])
    assert exact(run.records["task_groups"]) == exact(sandbox.world.records("taskgroups"))


def test_an_object_with_a_shipped_name_inherits_and_overrides(sandbox: Sandbox, config: Words) -> None:
    run = run_tap(config | {"resources": [{"name": "workers", "extends": True, "primary_key": ["id", "name"]}]})
    schema = run.schemas["workers"]
    assert schema["key_properties"] == ["id", "name"]
    assert schema["schema"]["properties"]["name"]["type"] == "string"
    assert schema["schema"]["properties"]["notes"]["type"] == ["string", "null"]
    assert len(run.records["workers"]) == 12
    assert {request.path for request in sandbox.requests} == {"/v1/master/workers"}


def test_a_shipped_stream_with_another_path_and_schema(sandbox: Sandbox, config: Words) -> None:
    schema = {"properties": {"id": {"type": "string"}, "name": {"type": ["string", "null"]}}}
    declared = {"name": "labels", "endpoint": "/v1/master/varieties", "schema": schema}
    run = run_tap(config | {"resources": [declared]})
    assert [record.keys() for record in run.records["labels"]] == [{"id", "name"}] * len(run.records["labels"])
    assert {request.path for request in sandbox.requests} == {"/v1/master/varieties"}


def test_defaults_alone_hold_for_all_shipped_streams(sandbox: Sandbox, config: Words) -> None:
    run = run_tap(config | {"resource_defaults": {"endpoint": {"params": {"tenant": 7}}}})
    assert run.returncode == 0
    assert run.records.keys() == set(stream_names())
    assert {request.params["tenant"] for request in sandbox.requests} == {"7"}


# One path


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", path="/v1/resource", status=429, headers={"Retry-After": "0"}, after=1),
        Fault("status", path="/v1/resource", status=500, after=2),
        Fault("cut_chunked", path="/v1/resource", after=1),
        Fault("invalid_json", path="/v1/resource", after=1),
        Fault("cap", path="/v1/resource", limit=7, times=None),
        Fault("empty_page", path="/v1/resource", params={"offset": "9"}),
    ],
    ids=lambda fault: str(fault.kind) + str(fault.status or ""),
)
def test_nothing_is_lost_to_trouble_that_passes(sandbox: Sandbox, config: Words, fault: Fault) -> None:
    sandbox.misbehave(fault)
    run = run_tap(config | {"resources": [resource()]})
    assert run.returncode == 0, run.stderr
    assert exact(run.records["things"]) == exact(sandbox.world.records("resource"))


@pytest.mark.parametrize("kind", ["no_node", "ignore_offset", "redirect"])
def test_trouble_that_stays_is_an_error_and_stops_no_other_stream(sandbox: Sandbox, config: Words, kind: str) -> None:
    schema = {"properties": {"id": {"type": "string"}}}
    location = {"location": "http://127.0.0.1:9/"} if kind == "redirect" else {}
    sandbox.misbehave(Fault(kind, path="/v1/resource", times=None, **location))  # type: ignore[arg-type] # by its kind
    run = run_tap(config | {"resources": [resource(schema=schema), shipped("workers")]})
    assert run.returncode == 1
    assert run.said("Failed: things", "/v1/resource")
    assert len(run.records["workers"]) == 12


def test_a_record_without_its_key_is_an_error(sandbox: Sandbox, config: Words) -> None:
    put(sandbox, {"id": "1"}, {"id": None})
    run = run_tap(config | {"resources": [resource()]})
    assert run.returncode == 1
    assert run.said("Failed: things", "record 2", "id")


@pytest.mark.parametrize(
    ("body", "selector"),
    [
        (b'[{"id":"1"},{"id":"2"}]', "$"),
        (b'{"data":{"items":[{"id":"1"},{"id":"2"}]}}', "data.items"),
        (b'{"data":{"items":[{"id":"1"},{"id":"2"}]}}', "$.data.items"),
        (b'{"items":{"id":"1"}}', "items"),
        (b'{"id":"1"}', "$"),
    ],
)
def test_the_data_selector_names_the_node_with_the_records(
    sandbox: Sandbox, config: Words, body: bytes, selector: str
) -> None:
    sandbox.misbehave(Fault("body", path="/v1/resource", body=body, times=None))
    run = run_tap(config | {"resources": [resource(data_selector=selector, paginator="single_page")]})
    assert run.returncode == 0, run.stderr
    assert keys(run.records["things"]) in (["1", "2"], ["1"])


def test_the_pagination_that_is_detected_is_said(config: Words) -> None:
    declared = resource()
    del declared["endpoint"]["paginator"]
    run = run_tap(config | {"resources": [declared]})
    assert run.returncode == 0
    assert run.said("INFO", "things", "no paginator is declared", "single_page")


def test_a_text_with_the_name_of_a_shipped_stream_is_a_resource_of_its_own(sandbox: Sandbox, config: Words) -> None:
    run = run_tap(config | {"resources": ["v1/master/users"]})
    assert run.returncode == 0, run.stderr
    assert exact(run.records["v1/master/users"]) == exact(sandbox.world.records("users"))
    run = run_tap(config | {"resources": ["users"]})
    assert run.returncode == 1
    assert sandbox.requests[-1].path == "/users"


def test_the_names_of_the_paging_parameters(sandbox: Sandbox, config: Words) -> None:
    # The server does not know these names, and answers with all that it has.
    paginator = {"type": "offset", "limit": 50, "offset": 5, "offset_param": "skip", "limit_param": "top"}
    run_tap(config | {"resources": [resource(paginator=paginator)], "max_in_flight": 1})
    assert sandbox.requests[0].params == {"skip": "5", "top": "50"}


# Write dispositions


def versions(run: Run) -> list[int]:
    return [message["version"] for message in run.messages if message["type"] == "ACTIVATE_VERSION"]


def test_merge_has_a_key_and_append_none(sandbox: Sandbox, config: Words) -> None:
    appended = resource("appended", write_disposition="append")
    plain = {name: value for name, value in resource("plain").items() if name != "primary_key"}
    run = run_tap(config | {"resources": [resource("merged", write_disposition="merge"), appended, plain]})
    assert run.schemas["merged"]["key_properties"] == ["id"]
    assert run.schemas["appended"]["key_properties"] == []
    assert run.schemas["plain"]["key_properties"] == []
    served = exact(sandbox.world.records("resource"))
    assert all(exact(run.records[name]) == served for name in ("merged", "appended", "plain"))
    assert not versions(run)


def test_append_keeps_records_that_are_alike(sandbox: Sandbox, config: Words) -> None:
    put(sandbox)
    for position in range(25):
        sandbox.world.insert("resource", position, b'{"value":1}')
    run = run_tap(config | {"resources": [resource(primary_key=None)]})
    assert run.returncode == 0, run.stderr
    assert len(run.records["things"]) >= 25


def test_replace_activates_its_version_once_after_the_rows(config: Words) -> None:
    run = run_tap(config | {"resources": [resource(write_disposition="replace")]})
    kinds = [message["type"] for message in run.messages]
    (version,) = versions(run)
    assert kinds.index("ACTIVATE_VERSION") > max(n for n, kind in enumerate(kinds) if kind == "RECORD")
    assert {message["version"] for message in run.messages if message["type"] == "RECORD"} == {version}


def test_replace_activates_nothing_where_the_stream_failed(sandbox: Sandbox, config: Words) -> None:
    schema = {"properties": {"id": {"type": "string"}}}
    sandbox.misbehave(Fault("status", path="/v1/resource", status=500, after=2, times=None))
    run = run_tap(config | {"resources": [resource(write_disposition="replace", schema=schema)]})
    assert run.returncode == 1
    assert run.records["things"]
    assert not versions(run)


def test_replace_of_a_shipped_stream(config: Words) -> None:
    run = run_tap(config | {"resources": [{"name": "workers", "extends": True, "write_disposition": "replace"}]})
    assert len(versions(run)) == 1
    assert run.schemas["workers"]["key_properties"] == ["id"]


# Parameters and defaults


def test_parameters_merge_one_by_one_and_other_words_whole(sandbox: Sandbox, config: Words) -> None:
    defaults = {
        "primary_key": "id",
        "endpoint": {
            "params": {"a": 1, "b": "two", "gone": True, "flags": [True, "x"]},
            "paginator": {"type": "offset", "limit": 7, "offset_param": "skip"},
        },
    }
    own = {"params": {"b": "own", "c": False, "gone": None}, "paginator": {"type": "offset", "limit": 9}}
    declared = {"name": "things", "endpoint": {"path": "/v1/resource", **own}}
    run = run_tap(config | {"resource_defaults": defaults, "resources": [declared], "max_in_flight": 1})
    assert run.returncode == 0, run.stderr
    assert run.schemas["things"]["key_properties"] == ["id"]
    first = sandbox.requests[0].params
    # The sandbox's log keeps one value of each name.
    assert first.pop("flags") in {"True", "x"}
    # The paginator is its own from end to end: the name of the offset is not taken over.
    assert first == {"a": "1", "b": "own", "c": "False", "offset": "0", "limit": "9"}


def test_null_takes_back_what_the_defaults_say(config: Words) -> None:
    defaults = {
        "primary_key": "id",
        "write_disposition": "merge",
        "endpoint": {"incremental": {"cursor_path": "timestamp", "start_param": "since"}},
    }
    plain = {**resource("plain", incremental=None), "primary_key": None, "write_disposition": None}
    run = run_tap(config | {"resource_defaults": defaults, "resources": [resource(), plain]})
    assert run.returncode == 0, run.stderr
    assert run.schemas["things"]["bookmark_properties"] == ["timestamp"]
    assert "bookmark_properties" not in run.schemas["plain"]
    assert run.schemas["plain"]["key_properties"] == []


def test_a_path_may_repeat_the_base_url(sandbox: Sandbox, config: Words) -> None:
    run = run_tap(config | {"resources": [resource(path=f"{sandbox.url}/v1/resource", method="get")]})
    assert len(run.records["things"]) == 30
    assert {request.path for request in sandbox.requests} == {"/v1/resource"}


# Where settings come from


def test_resources_from_the_environment(sandbox: Sandbox) -> None:
    env = {
        f"{PREFIX}BASE_URL": sandbox.url,
        f"{PREFIX}API_KEY": sandbox.api_key,
        f"{PREFIX}BACKOFF_FACTOR": "0",
        f"{PREFIX}RESOURCE_DEFAULTS": json.dumps(DEFAULTS),
        f"{PREFIX}RESOURCES": json.dumps([shipped("workers"), {"name": "things", "endpoint": resource()["endpoint"]}]),
    }
    run = run_tap(None, env=env, args=["--config=ENV"])
    assert run.returncode == 0, run.stderr
    assert {name: len(records) for name, records in run.records.items()} == {"workers": 12, "things": 30}


def test_broken_json_in_the_environment_is_refused(sandbox: Sandbox) -> None:
    env = {f"{PREFIX}BASE_URL": sandbox.url, f"{PREFIX}API_KEY": "a secret", f"{PREFIX}RESOURCES": '[{"name": '}
    run = run_tap(None, env=env, args=["--config=ENV"])
    assert run.returncode == 1
    assert run.said("resources")
    assert not sandbox.requests


def test_resources_from_a_file_of_their_own(config: Words, tmp_path: Path) -> None:
    file = tmp_path / "resources.json"
    file.write_text(json.dumps({"resources": [resource()]}), encoding="utf-8")
    run = run_tap(config, args=[f"--config={file}"])
    assert len(run.records["things"]) == 30


def test_answers_that_are_ignored_are_counted_in_the_summary(sandbox: Sandbox, config: Words) -> None:
    sandbox.misbehave(Fault("status", path="/v1/resource", status=404, times=None))
    actions = [{"status_code": 404, "action": "ignore"}]
    schema = {"properties": {"id": {"type": "string"}}}
    run = run_tap(config | {"resources": [resource(response_actions=actions, schema=schema)]})
    assert run.returncode == 0, run.stderr
    assert run.records["things"] == []
    assert run.said("things: done", "1 ignored answer")


def test_answers_that_are_ignored_empty_no_table(sandbox: Sandbox, config: Words) -> None:
    sandbox.misbehave(Fault("status", path="/v1/resource", status=404, times=None))
    actions = [{"status_code": 404, "action": "ignore"}]
    schema = {"properties": {"id": {"type": "string"}}}
    declared = resource(response_actions=actions, schema=schema, write_disposition="replace")
    run = run_tap(config | {"resources": [declared]})
    assert run.returncode == 0, run.stderr
    assert not [message for message in run.messages if message["type"] == "ACTIVATE_VERSION"]
    assert run.said("WARNING", "things", "keep what they have")

"""What the tap tells of itself without reading anything."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

import pytest

from tests.singer import run_tap

# The fields of each resource as the API's contract lists them: a name alone is a string.
STRINGS, NUMBERS, BOOLEANS, ARRAYS = "string", "number", "boolean", "array"

GROUP = {STRINGS: "id name", BOOLEANS: "isArchived", "times": "createdTimestamp updatedTimestamp"}
REGISTRATIONS = {
    STRINGS: "id worker workerId workerGroup workerGroupId task taskId taskType location locationId layoutId row "
    "rowId variety varietyId deviceNumber",
    ARRAYS: "workerLabels taskGroups taskGroupIds rowLabels varietyLabels assetIds assetNumbers",
    NUMBERS: "workerHourlyRate rowFloorArea stepCounter laborCost",
    BOOLEANS: "isArchived",
    "times": "startTimestamp endTimestamp updatedTimestamp",
}
SESSIONS = {
    STRINGS: "id worker workerId workerGroup workerGroupId location locationId layout layoutId row rowId variety "
    "varietyId trolley deviceNumber",
    ARRAYS: "workerLabels rowLabels varietyLabels",
    NUMBERS: "workerHourlyRate rowFloorArea count correctedCount countCorrected countCorrectedAtCreation "
    "performanceGross performanceNet laborCost workerPerformanceSlope workerPerformanceWeightedAvg "
    "varietyPerformanceWeightedAvg workerToGroupPerformance",
    BOOLEANS: "isArchived",
    "times": "startTimestampGross endTimestampGross startTimestampNet endTimestampNet updatedTimestamp",
}
STREAMS: dict[str, dict[str, str]] = {
    "clients": {STRINGS: "id name", "times": "updatedTimestamp"},
    "locations": {
        STRINGS: "id name externalId",
        ARRAYS: "layoutIds",
        "times": "createdTimestamp updatedTimestamp",
    },
    "rows": {
        STRINGS: "id name rowNumber locationId layoutId varietyId latestWorkerId",
        ARRAYS: "labelIds",
        NUMBERS: "rowLength rowWidth rowFloorArea",
        BOOLEANS: "isArchived",
        "times": "createdTimestamp updatedTimestamp",
    },
    "users": {
        STRINGS: "id name email role language notes associatedWorkerId",
        BOOLEANS: "isArchived",
        "times": "createdTimestamp updatedTimestamp",
    },
    "workers": {
        STRINGS: "id name workerCode workerGroupId externalId notes",
        ARRAYS: "locationIds labelIds",
        NUMBERS: "hourlyRate",
        BOOLEANS: "leftHanded isArchived",
        "times": "startTimestamp endTimestamp createdTimestamp updatedTimestamp",
    },
    "worker_groups": GROUP,
    "task_groups": GROUP,
    "labels": GROUP,
    "tasks": {
        STRINGS: "id name externalId function",
        ARRAYS: "taskGroupIds locationIds targetDevices",
        BOOLEANS: "isArchived",
        "times": "createdTimestamp updatedTimestamp",
    },
    "varieties": {
        STRINGS: "id name externalId",
        ARRAYS: "assignedLocationIds labelIds",
        BOOLEANS: "isArchived",
        "times": "createdTimestamp updatedTimestamp",
    },
    "registrations_initial": REGISTRATIONS,
    "registrations_incremental": REGISTRATIONS,
    "sessions_initial": SESSIONS,
    "sessions_incremental": SESSIONS,
}
INCREMENTAL = {"registrations_incremental", "sessions_incremental"}

SETTINGS = {
    "base_url",
    "api_key",
    "auth_location",
    "auth_name",
    "start_date",
    "lookback_days",
    "window_days",
    "max_retries",
    "backoff_factor",
    "retry_on_status_codes",
    "request_timeout",
    "max_in_flight",
    "resource_defaults",
    "resources",
}
DEFAULTS = {
    "auth_location": "header",
    "auth_name": "api_key",
    "lookback_days": 1,
    "window_days": 30,
    "max_retries": 3,
    "backoff_factor": 2,
    "retry_on_status_codes": [429, 500, 502, 503, 504],
    "request_timeout": 300,
    "max_in_flight": 4,
}


@pytest.fixture(scope="module")
def catalog() -> dict[str, dict[str, Any]]:
    """Return what `--discover` prints without any configuration, by stream."""
    run = run_tap(None, args=["--discover"])
    assert run.returncode == 0, run.stderr
    assert not run.problems
    return {stream["tap_stream_id"]: stream for stream in json.loads(run.stdout)["streams"]}


def test_discovery_needs_no_configuration_and_finds_the_streams_of_the_contract(
    catalog: dict[str, dict[str, Any]],
) -> None:
    assert catalog.keys() >= STREAMS.keys()


@pytest.mark.parametrize("name", STREAMS)
def test_fields_are_those_of_the_contract(catalog: dict[str, dict[str, Any]], name: str) -> None:
    properties = catalog[name]["schema"]["properties"]
    expected = {field: kind for kind, fields in STREAMS[name].items() for field in fields.split()}
    assert properties.keys() == expected.keys()
    for field, kind in expected.items():
        types = properties[field]["type"]
        assert (types if isinstance(types, str) else sorted(types)) == (
            "string" if field == "id" else sorted(["string" if kind == "times" else kind, "null"])
        ), field
        assert properties[field].get("format") == ("date-time" if kind == "times" else None), field
        if kind == ARRAYS:
            items = properties[field]["items"]["type"]
            assert items == "string" or "string" in items, field


def test_every_field_is_described(catalog: dict[str, dict[str, Any]]) -> None:
    for name, stream in catalog.items():
        for field, definition in stream["schema"]["properties"].items():
            assert definition.get("description"), f"{name}.{field}"


@pytest.mark.parametrize("name", STREAMS)
def test_keys_and_replication_are_those_of_the_contract(catalog: dict[str, dict[str, Any]], name: str) -> None:
    stream = catalog[name]
    assert stream["key_properties"] == ["id"]
    assert stream.get("replication_key") == ("updatedTimestamp" if name in INCREMENTAL else None)
    assert stream["replication_method"] == ("INCREMENTAL" if name in INCREMENTAL else "FULL_TABLE")
    inclusion = {tuple(entry["breadcrumb"]): entry["metadata"]["inclusion"] for entry in stream["metadata"]}
    assert inclusion["properties", "id"] == "automatic"
    if name in INCREMENTAL:
        assert inclusion["properties", "updatedTimestamp"] == "automatic"


def test_discovery_finds_the_same_with_a_configuration(
    catalog: dict[str, dict[str, Any]], config: dict[str, Any]
) -> None:
    run = run_tap(config, args=["--discover"])
    assert {stream["tap_stream_id"]: stream for stream in json.loads(run.stdout)["streams"]} == catalog


def test_about_tells_every_setting_with_its_default_and_meaning() -> None:
    run = run_tap(None, args=["--about", "--format=json"])
    assert run.returncode == 0, run.stderr
    about = json.loads(run.stdout)
    properties = about["settings"]["properties"]
    assert properties.keys() >= SETTINGS
    assert {name: properties[name]["default"] for name in DEFAULTS} == DEFAULTS
    assert all(properties[name]["description"] for name in SETTINGS)
    assert properties["api_key"]["secret"] is True
    assert properties["auth_location"]["enum"] == ["header", "query"]
    assert about["version"] == version("tap-analytics")


@pytest.mark.parametrize("form", [[], ["--format=markdown"]], ids=["text", "markdown"])
def test_about_names_every_setting(form: list[str]) -> None:
    run = run_tap(None, args=["--about", *form])
    assert run.returncode == 0, run.stderr
    assert [name for name in SETTINGS if name not in run.stdout] == []


def test_about_in_text_tells_meaning_default_and_choices() -> None:
    facts = json.loads(run_tap(None, args=["--about", "--format=json"]).stdout)["settings"]["properties"]
    text = run_tap(None, args=["--about"]).stdout
    assert max(map(len, text.splitlines())) < 80
    blocks = {block.split()[0]: " ".join(block.split()) for block in text.split("\n\n")}
    for name, schema in facts.items():
        assert f"(TAP_ANALYTICS_{name.upper()})" in blocks[name]
        assert " ".join(schema["description"].split()) in blocks[name]
    assert blocks["auth_location"].endswith("Valid: header or query; default: header")
    assert blocks["window_days"].endswith("Valid: a whole number, at least 1, at most 366; default: 30")
    assert blocks["progress"].endswith("Valid: true or false; default: true")
    assert blocks["api_key"].endswith("Valid: text, a secret")


def test_version_is_the_installed_one() -> None:
    run = run_tap(None, args=["--version"])
    assert run.returncode == 0
    assert f"v{version('tap-analytics')}" in run.stdout

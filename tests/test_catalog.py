"""Catalogs and states that were made by hand, or wrapped by somebody else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.singer import catalog_of, exact, run_tap

if TYPE_CHECKING:
    from sandbox import Sandbox

Words = dict[str, Any]


def entry_of(catalog: Words, stream: str) -> Words:
    (entry,) = [entry for entry in catalog["streams"] if entry["tap_stream_id"] == stream]
    result: Words = entry
    return result


def test_a_catalog_without_keys_leaves_the_stream_its_own(config: Words) -> None:
    catalog = catalog_of("workers")
    entry = entry_of(catalog, "workers")
    del entry["key_properties"]
    for one in entry["metadata"]:
        one["metadata"].pop("table-key-properties", None)
    run = run_tap(config, catalog=catalog)
    assert run.returncode == 0, run.stderr
    assert run.schemas["workers"]["key_properties"] == ["id"]


def test_a_key_that_is_deselected_by_hand_is_emitted_all_the_same(sandbox: Sandbox, config: Words) -> None:
    catalog = catalog_of("workers", without={"workers": ["id", "notes"]})
    for one in entry_of(catalog, "workers")["metadata"]:
        if one["breadcrumb"] == ["properties", "id"]:
            one["metadata"]["inclusion"] = "available"
    run = run_tap(config, catalog=catalog)
    assert run.returncode == 0, run.stderr
    assert [record["id"] for record in run.records["workers"]] == [
        record["id"] for record in sandbox.world.records("workers")
    ]
    assert "notes" not in run.records["workers"][0]
    assert run.said("WARNING", "workers", "its key id is deselected")


def test_a_run_that_selects_nothing_says_so(sandbox: Sandbox, config: Words) -> None:
    run = run_tap(config, catalog=catalog_of())
    assert run.returncode == 1
    assert "Nothing is selected" in run.stderr.splitlines()[-1]
    assert not sandbox.requests


def test_a_catalog_of_another_tap_selects_nothing(sandbox: Sandbox, config: Words) -> None:
    entry = {"tap_stream_id": "elsewhere", "schema": {"properties": {}}, "metadata": []}
    run = run_tap(config, catalog={"streams": [entry]})
    assert run.returncode == 1
    assert "Nothing is selected" in run.stderr.splitlines()[-1]
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("catalog", "words"),
    [
        ({}, "is not a catalog"),
        ({"streams": {}}, "is not a catalog"),
        ({"bookmarks": {}}, "holds a state, so give it to --state"),
        ({"streams": [{"tap_stream_id": "workers", "metadata": []}]}, "streams[0].schema: is missing"),
        ({"streams": [{"schema": {"properties": {}}}]}, "streams[0].tap_stream_id: is missing"),
        ({"streams": [5]}, "streams[0].tap_stream_id: is missing"),
    ],
)
def test_what_is_not_a_catalog_is_refused(sandbox: Sandbox, config: Words, catalog: Words, words: str) -> None:
    run = run_tap(config, catalog=catalog)
    assert run.returncode == 1
    assert words in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
    assert not sandbox.requests


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"type": "STATE", "value": state},
        lambda state: {"value": state},
        lambda state: {"singer_state": state},
        lambda state: {"singer_state": {"value": state}},
    ],
    ids=["a STATE message", "its value", "of Meltano", "both"],
)
def test_a_state_that_is_wrapped_is_a_state(config: Words, wrap: Any) -> None:  # noqa: ANN401 - a function
    catalog = catalog_of("registrations_initial")
    first = run_tap(config, catalog=catalog)
    plain = run_tap(config, catalog=catalog, state=first.state)
    wrapped = run_tap(config, catalog=catalog, state=json.dumps(wrap(first.state)))
    assert plain.said("The backfill that began", "is complete")
    assert wrapped.said("The backfill that began", "is complete")
    assert exact(wrapped.records) == exact(plain.records)
    assert not any(wrapped.records.values())

"""SCHEMA messages: one where there is something to read, and once for one table: some loaders begin anew at each."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import settings, shipped
from tests.faults.api import Api, config
from tests.singer import Run, run_tap

if TYPE_CHECKING:
    from sandbox import Sandbox

PAIR = ("registrations_initial", "registrations_incremental")
ALIASES = {"stream_maps": {name: {"__alias__": "registrations"} for name in PAIR}}


def kinds(run: Run) -> list[tuple[str, str]]:
    """Return the type and the stream of each message but the states, those in a row that are alike once."""
    order = [(message["type"], message["stream"]) for message in run.messages if message["type"] != "STATE"]
    return [one for index, one in enumerate(order) if order[index - 1 : index] != [one]]


def load_csv(directory: Path, *runs: Run) -> None:
    """Load the output of runs into files with fixed names, as a user does."""
    options = directory / "target.json"
    options.write_text(json.dumps({"output_path": str(directory), "file_naming_scheme": "{stream_name}.csv"}))
    command = [str(Path(sys.executable).with_name("target-csv")), "--config", str(options)]
    lines = "".join(run.stdout for run in runs)
    subprocess.run(command, input=lines, check=True, capture_output=True, encoding="utf-8", timeout=60)


def keys_in(directory: Path, stream: str) -> list[str]:
    with (directory / f"{stream}.csv").open(encoding="utf-8") as file:
        return [row["id"] for row in csv.DictReader(file)]


@pytest.mark.slow
def test_a_finished_backfill_empties_no_file(sandbox: Sandbox, tmp_path: Path) -> None:
    apart = settings(sandbox, resources=[*map(shipped, PAIR)])
    together = settings(sandbox, resources=[*map(shipped, PAIR), shipped("rows")], **ALIASES)
    first = run_tap(apart)
    load_csv(tmp_path, first)
    whole = keys_in(tmp_path, "registrations_initial")
    assert sorted(whole) == sorted(record["id"] for record in sandbox.world.records("registrations"))
    sandbox.advance(2)

    second = run_tap(apart, state=first.state)
    assert "registrations_initial" not in second.schemas
    third = run_tap(together, state=first.state)
    load_csv(tmp_path, second, third)
    assert keys_in(tmp_path, "registrations_initial") == whole
    assert kinds(third) == [
        *((kind, stream) for stream in ("registrations", "rows") for kind in ("SCHEMA", "RECORD")),
    ]
    tail = [record["id"] for record in third.records["registrations"]]
    assert tail == [record["id"] for record in second.records["registrations_incremental"]]
    assert keys_in(tmp_path, "registrations") == tail != []


def things(name: str, **words: object) -> dict[str, Any]:
    endpoint = {"path": name, "data_selector": "$", "paginator": "single_page"}
    schema = {"properties": {"id": {"type": "integer"}}}
    return {"name": name, "primary_key": "id", "schema": schema, "endpoint": endpoint, **words}


def test_one_schema_is_said_once_for_one_table() -> None:
    with Api(lambda _: [{"id": 1}]) as api:
        resources = [things("a", table_name="one"), things("b"), things("c", table_name="one")]
        run = run_tap(config(api, *resources))
        other = {"properties": {"id": {"type": "integer"}, "more": {"type": "string"}}}
        changed = run_tap(config(api, *resources[:2], things("c", table_name="one", schema=other)))
    said = [("SCHEMA", "one"), ("RECORD", "one"), ("SCHEMA", "b"), ("RECORD", "b")]
    assert kinds(run) == [*said, ("RECORD", "one")]
    assert kinds(changed) == [*said, ("SCHEMA", "one"), ("RECORD", "one")]


CHILD = {"path": "parents/{resources.parents.id}/children", "data_selector": "$", "paginator": "single_page"}


@pytest.mark.parametrize("disposition", ["merge", "replace"])
def test_a_table_learns_that_there_is_nothing_where_it_has_to(disposition: str) -> None:
    with Api(lambda _: []) as api:
        words = {"write_disposition": disposition}
        parents, children = things("parents", **words), things("children", endpoint=CHILD, **words)
        run = run_tap(config(api, parents, children))
    assert run.returncode == 0, run.stderr
    if disposition == "merge":  # the parents were asked for, the children of no parent were not
        assert kinds(run) == [("SCHEMA", "parents")]
    else:
        assert kinds(run) == [
            ("SCHEMA", "parents"),
            ("ACTIVATE_VERSION", "parents"),
            ("SCHEMA", "children"),
            ("ACTIVATE_VERSION", "children"),
        ]

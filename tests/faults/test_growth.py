"""Names of its own in every record: the schema, the messages and the log stay within bounds. Counted, not timed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tap_analytics.singer.conform import MOST_UNKNOWN
from tap_analytics.singer.inference import MOST_COLUMNS, MOST_MEMBERS
from tests.faults.api import Api, config, page
from tests.singer import Run, run_tap

WIDE = 100
"""Names that each record has, and no other."""


def names(record: int) -> dict[str, int]:
    return {f"n{record}_{name}": record for name in range(WIDE)}


SHAPES: dict[str, Any] = {
    "at the top": names,
    "in an object": lambda record: {"inner": names(record)},
    "in objects of their own": lambda record: {"inner": {f"o{record}": names(record)}},
    "in new fields": lambda record: {f"o{record}": names(record)},
}


def things(**words: object) -> dict[str, Any]:
    paginator = {"type": "page_number", "base_page": 1, "total_path": None}
    endpoint = {"path": "things", "data_selector": "$", "paginator": paginator}
    return {"name": "things", "primary_key": "id", "endpoint": endpoint, **words}


def members(definition: dict[str, Any]) -> int:
    inner = definition.get("properties", {})
    return len(inner) + sum(map(members, inner.values()))


def read(shape: str, records: int, **words: object) -> Run:
    rows = [{"id": number, **SHAPES[shape](number)} for number in range(records)]
    with Api(lambda asked: page(rows, asked, 10)) as api:
        run = run_tap(config(api, things(**words)))
    assert run.returncode == 0, run.stderr
    assert len(run.records["things"]) == records
    return run


@pytest.mark.parametrize(
    ("shape", "is_declared"),
    [
        ("at the top", True),
        ("in an object", False),
        ("in objects of their own", True),
        ("in objects of their own", False),
        ("in new fields", True),
    ],
)
def test_a_schema_grows_to_its_bound_and_no_further(shape: str, *, is_declared: bool) -> None:
    words: dict[str, Any] = {"schema_contract": "evolve"}
    if is_declared:
        inner = {"type": ["object", "null"], "properties": {}}
        words["schema"] = {"properties": {"id": {"type": "integer"}, "inner": inner}}
    run = read(shape, 30, **words)
    schema = run.schemas["things"]["schema"]
    top = len(schema["properties"])
    assert top <= MOST_COLUMNS
    assert members(schema) - top <= MOST_MEMBERS
    learned = json.dumps(run.state["bookmarks"]["things"].get("learned_properties", {}))
    assert learned.count('"type"') <= MOST_COLUMNS + MOST_MEMBERS
    if shape != "at the top":  # a table has so many columns, but an object in a column holds anything
        assert run.records["things"] == [{"id": number, **SHAPES[shape](number)} for number in range(30)]


def test_names_are_reported_up_to_a_bound() -> None:
    schema = {"properties": {"id": {"type": "integer"}}}
    run, twice = (read("at the top", records, schema=schema) for records in (30, 60))
    assert len(run.problems) == len(twice.problems)
    assert run.stderr.count("_") == pytest.approx(twice.stderr.count("_"), abs=WIDE)
    assert twice.said(f"More than {MOST_UNKNOWN:,} fields are not in the schema; no more of them are named.")

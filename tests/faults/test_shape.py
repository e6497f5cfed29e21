"""Answers that hold something else than the records that the schema promises: right, or refused by name."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Sandbox
from tap_analytics.singer.output import encoder
from tests.conftest import settings, shipped
from tests.faults.matrix import PATH, Row, both, params
from tests.singer import exact, run_tap

if TYPE_CHECKING:
    from collections.abc import Callable


def body(text: str) -> tuple[Fault, ...]:
    return (Fault("body", PATH, body=text, times=None),)


def only(*records: bytes) -> Callable[[Sandbox], None]:
    """Have the server hold these workers and no others."""

    def prepare(sandbox: Sandbox) -> None:
        sandbox.world.clear("workers")
        for record in records:
            sandbox.world.put("workers", record)

    return prepare


def refused(what: str, text: str, *says: str, records: int = 0) -> Row:
    return Row(
        what=what, faults=body(text), exit_code=1, records=records, requests=1, says=("Failed: workers: GET", *says)
    )


DEEP = b'{"a":' * 900 + b"1" + b"}" * 900
DEEPER = '{"data":[{"id":"1","notes":' + "[" * 10_000 + "]" * 10_000 + "}]}"
BIG = b'{"id":"big","notes":"' + b"x" * 5_000_000 + b'"}'
NUMBERS = (
    b'{"id":"1","hourlyRate":123456789012345678901234567890}',
    b'{"id":"2","hourlyRate":0.123456789012345678901234567891}',
    b'{"id":"3","hourlyRate":-18446744073709551617.000000000001}',
    b'{"id":"4","hourlyRate":1e400}',
    b'{"id":"5","hourlyRate":1.50}',
)

ROWS = [
    refused("The node of the records is missing", '{"meta":{}}', "data"),
    refused("An error in a body with status 200", '{"error":"database is down"}', "database is down"),
    refused("The node of the records is text", '{"data":"none"}', "data"),
    refused("The node of the records is a number", '{"data":7}', "data"),
    refused("Records that are no objects", '{"data":[{"id":"1"},7]}', "record 2", records=1),
    refused("A record that is null", '{"data":[{"id":"1"},null]}', "record 2", records=1),
    refused("A record without its key", '{"data":[{"id":"1"},{"name":"x"}]}', "record 2", "id", records=1),
    refused("A record whose key is null", '{"data":[{"id":null}]}', "record 1", "id"),
    refused("A record whose key is an object", '{"data":[{"id":{}}]}', "record 1", "id"),
    refused("A body that is a bare number", "7", "data"),
    refused("A value nested ten thousand deep", DEEPER, "nested too deeply"),
    Row(what="One object instead of a list", faults=body('{"data":{"id":"1"}}'), records=1, requests=1),
    Row(what="`null` instead of a list", faults=body('{"data":null}'), records=0, requests=1),
    Row(what="An empty list", faults=body('{"data":[]}'), records=0, requests=1),
    Row(what="A field nested 900 deep", prepare=only(b'{"id":"1","notes":"x"}', b'{"id":"2","other":' + DEEP + b"}"),
        records=2, says=("other",), why="a field that the schema does not have is left out"),
    Row(what="A record of 5 MB", prepare=only(BIG, b'{"id":"2"}')),
    Row(what="Numbers of thirty digits and beyond 64 bits", prepare=only(*NUMBERS), why="no digit is lost"),
    Row(what="Line breaks and odd spacing in a record", prepare=only(b'{\r\n  "id" : "1",\n "name": "a\\nb"}')),
    Row(what="Characters that only JSON takes for line breaks or none",
        prepare=only('{"id":"1","name":"a\u2028b\u0085c\\u0000d"}'.encode())),
    Row(what="The same record twice on a page", prepare=only(b'{"id":"1"}', b'{"id":"2"}'),
        faults=body('{"data":[{"id":"1"},{"id":"1"},{"id":"2"}]}'), records=3, why="a target merges them"),
]  # fmt: skip


@pytest.mark.parametrize("row", params(ROWS))
def test_shape(row: Row) -> None:
    both(row)


def declared(properties: dict[str, Any], **others: Any) -> dict[str, Any]:  # noqa: ANN401 - words of a resource
    """Return a resource with a schema of its own."""
    endpoint = {"path": "/v1/resource", "paginator": "single_page"}
    schema = {"type": "object", "required": ["id"], "properties": properties}
    return {"name": "things", "primary_key": "id", "schema": schema, "endpoint": endpoint, **others}


NO_TIMESTAMPS = (
    "",
    "n/a",
    "0000-00-00",
    "0000-00-00 00:00:00",
    "2026-02-30T10:00:00Z",
    "2026-01-31T24:00:00Z",
    "2026-06-30T23:59:60Z",
    "/Date(1700000000000)/",
    "10000-01-01T00:00:00Z",
    "1700000000",
    "2026-01-31T10:00:00+25:00",
)

# A field, what the server sends in it, what comes out, what the user reads.
DRIFT: list[tuple[str, str, Any, str]] = [
    ("workerCode", "5", "5", "a whole number"),
    ("workerCode", "1.50", "1.50", "a number"),
    ("workerCode", "true", "true", "true or false"),
    ("workerCode", '{"a":[1.50]}', '{"a":[1.50]}', "an object"),
    ("workerCode", "[1]", "[1]", "a list"),
    ("hourlyRate", '"12.50"', Decimal("12.50"), "text"),
    ("hourlyRate", '"1e2"', Decimal("1e2"), "text"),
    ("hourlyRate", '"12,50"', None, "text"),
    ("hourlyRate", '""', None, "text"),
    ("hourlyRate", "true", None, "true or false"),
    ("hourlyRate", "{}", None, "an object"),
    ("isArchived", '"true"', True, "text"),
    ("isArchived", "1", None, "a whole number"),
    ("labelIds", '"one"', None, "text"),
    ("labelIds", '["a",7]', ["a", "7"], "a whole number"),
    ("labelIds", "{}", None, "an object"),
    ("labelIds", '["a",null,7]', ["a", None, "7"], "a whole number"),
    ("updatedTimestamp", "1700000000", None, "a whole number"),
    *(("updatedTimestamp", f'"{text}"', None, "text") for text in NO_TIMESTAMPS),
    ("id", "77", "77", "a whole number"),
]


def written(value: object) -> str:
    """Return a value as it is written in JSON."""
    return encoder.encode(value).decode()


@pytest.mark.parametrize(("field", "sent", "expected", "came"), DRIFT, ids=str)
def test_a_value_of_another_type_is_said_once_and_breaks_nothing(  # noqa: PLR0913, PLR0917 - two are fixtures
    sandbox: Sandbox, config: dict[str, Any], field: str, sent: str, expected: object, came: str
) -> None:
    members = {"id": '"a"', field: sent}
    record = "{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}"
    sound = [json.dumps({"id": f"w{n}", "name": f"worker {n}"}).encode() for n in range(150)]
    only(*sound[:70], record.encode(), *sound[70:], record.encode())(sandbox)
    sandbox.world.insert("workers", 3, record.encode())
    run = run_tap(config | {"resources": [shipped("workers")]})
    assert run.returncode == 0, run.stderr
    (warning,) = run.problems
    assert f"workers: The API sends {came} in {field}" in warning
    nameless = [record for record in run.records["workers"] if "name" not in record]
    assert [exact(record[field]) for record in nameless] == [exact(expected)] * len(nameless)
    assert len(run.records["workers"]) == 150 + len(nameless)
    assert len(nameless) == len([worker for worker in sandbox.world.records("workers") if "name" not in worker])


# A timestamp that is no RFC 3339 in UTC, how it is written, whether that deserves a warning.
REWRITTEN = [
    ("2026-01-31T10:00:00+02:00", "2026-01-31T08:00:00Z", ""),
    ("2026-01-31T23:00:00.123456789-02:30", "2026-02-01T01:30:00.123456789Z", ""),
    ("2026-01-31T10:00:00+0200", "2026-01-31T08:00:00Z", ""),
    ("2026-01-31T10:00:00-00:00", "2026-01-31T10:00:00-00:00", ""),
    ("2026-01-31T10:00:00+00:00", "2026-01-31T10:00:00+00:00", ""),
    ("2026-01-31t10:00:00.50z", "2026-01-31t10:00:00.50z", ""),
    ("2026-01-31 10:00:00.5", "2026-01-31T10:00:00.5Z", "without a UTC offset"),
    ("2026-01-31", "2026-01-31T00:00:00Z", "without a UTC offset"),
    ("2026-01-31T10:00+02", "2026-01-31T08:00:00Z", ""),
    ("0001-01-01T00:00:00+02:00", "0001-01-01T00:00:00+02:00", ""),
]


@pytest.mark.parametrize(("sent", "written", "warning"), REWRITTEN, ids=str)
@pytest.mark.parametrize("field", ["at", "of.at", "all[].at"])
def test_timestamps_are_written_in_utc(field: str, sent: str, written: str, warning: str) -> None:
    definition = {"type": ["string", "null"], "format": "date-time"}
    nested = {"type": "object", "properties": {"at": definition}}
    properties = {"id": {"type": "string"}, "at": definition, "of": nested, "all": {"type": "array", "items": nested}}

    def record(text: str) -> dict[str, Any]:
        value: Any = {"at": text, "of": {"at": text, "more": 1.50}, "all": [{"at": None}, {"at": text}]}[
            field.partition(".")[0].removesuffix("[]")
        ]
        return {"id": "1", field.partition(".")[0].removesuffix("[]"): value}

    with Sandbox(days=1, resources=1) as sandbox:
        sound, odd = record("2026-01-31T10:00:00Z"), record(sent)
        body = json.dumps({"data": [sound] * 150 + [odd] + [sound] * 150 + [odd]})
        sandbox.misbehave(Fault("body", "/v1/resource", body=body.encode(), times=None))
        run = run_tap(settings(sandbox, resources=[declared(properties)]))
    assert run.returncode == 0, run.stderr
    assert exact(run.records["things"]) == exact(
        [json.loads(json.dumps(one), parse_float=Decimal) for one in [sound] * 150 + [record(written)] + [sound] * 150]
        + [json.loads(json.dumps(record(written)), parse_float=Decimal)]
    )
    assert len(run.problems) == bool(warning)
    assert all(warning in line for line in run.problems)


STRICT = {
    "type": "object",
    "required": ["id", "kind", "count"],
    "properties": {
        "id": {"type": "string"},
        "kind": {"type": ["string", "null"], "enum": ["a", "b", None]},
        "count": {"type": "integer", "minimum": 0},
        "size": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "place": {"type": ["object", "null"], "properties": {"row": {"type": ["integer", "null"]}}},
    },
}
# A record, what comes out (None: the stream is refused), the field that is said to be of another type.
DECLARED: list[tuple[str, dict[str, Any] | None, str]] = [
    ('{"id":"1","kind":"a","count":3}', {"id": "1", "kind": "a", "count": 3}, ""),
    ('{"id":"1","kind":"c","count":3}', {"id": "1", "kind": None, "count": 3}, "kind"),
    ('{"id":"1","count":3}', {"id": "1", "kind": None, "count": 3}, ""),
    ('{"id":"1","kind":"a","count":"3"}', {"id": "1", "kind": "a", "count": 3}, "count"),
    ('{"id":"1","kind":"a","count":3.0}', {"id": "1", "kind": "a", "count": 3}, "count"),
    ('{"id":"1","kind":"a","count":3,"size":"big"}', {"id": "1", "kind": "a", "count": 3}, "size"),
    ('{"id":"1","kind":"a","count":3,"size":1e999999999}', {"id": "1", "kind": "a", "count": 3}, "size"),
    (
        '{"id":"1","kind":"a","count":3,"tags":["x",7]}',
        {"id": "1", "kind": "a", "count": 3, "tags": ["x", "7"]},
        "tags",
    ),
    (
        '{"id":"1","kind":"a","count":3,"tags":["x",null,"y"]}',
        {"id": "1", "kind": "a", "count": 3, "tags": ["x", None, "y"]},
        "",
    ),
    (
        '{"id":"1","kind":"a","count":3,"place":{"row":"7"}}',
        {"id": "1", "kind": "a", "count": 3, "place": {"row": 7}},
        "place.row",
    ),
    ('{"id":"1","kind":"a","count":-1}', None, "count"),
    ('{"id":"1","kind":"a"}', None, "count"),
    ('{"id":"1","kind":"a","count":null}', None, "count"),
]


@pytest.mark.parametrize(("record", "expected", "drifted"), DECLARED)
def test_records_are_valid_under_a_declared_schema_or_refused(
    record: str, expected: dict[str, Any] | None, drifted: str
) -> None:
    with Sandbox(days=1, resources=1) as sandbox:
        sandbox.misbehave(Fault("body", "/v1/resource", body=f'{{"data":[{record}]}}', times=None))
        endpoint = {"path": "/v1/resource", "paginator": "single_page"}
        resource = {"name": "things", "primary_key": "id", "schema": STRICT, "endpoint": endpoint}
        run = run_tap(settings(sandbox, resources=[resource]))
    if expected is None:
        assert run.returncode == 1
        assert run.said("Failed: things: ", "record 1", "count")
        return
    assert run.returncode == 0, run.stderr
    assert exact(run.records["things"]) == exact([expected])
    assert [line for line in run.problems if f"in {drifted}" not in line] == []
    assert len(run.problems) == bool(drifted)


def test_new_fields_are_named_once(sandbox: Sandbox, config: dict[str, Any]) -> None:
    for n in range(300):
        sandbox.world.put("workers", json.dumps({"id": f"n{n}", "colour": "green", "shoeSize": 44}).encode())
    run = run_tap(config | {"resources": [shipped("workers")]})
    assert run.returncode == 0
    (warning,) = run.problems
    assert "workers: " in warning
    assert "colour, shoeSize" in warning


@pytest.mark.slow
def test_a_page_of_50_mb(sandbox: Sandbox, config: dict[str, Any]) -> None:
    only(*(b'{"id":"%d","notes":"' % n + b"x" * 5_000 + b'"}' for n in range(10_000)))(sandbox)
    run = run_tap(config | {"resources": [shipped("workers")]})
    assert run.returncode == 0, run.stderr
    assert [record["id"] for record in run.records["workers"]] == [str(n) for n in range(10_000)]

"""Schemas that are found in the records themselves."""

from __future__ import annotations

import json
from datetime import UTC, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import hypothesis
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from singer_sdk.exceptions import DiscoveryError

from sandbox import Fault
from tap_analytics.singer.inference import infer, unloadable_names
from tap_analytics.singer.output import encoder as json_encoder
from tap_analytics.singer.records import RecordEncoder
from tests.singer import FORMATS, run_tap
from tests.test_resources import keys, put, resource

if TYPE_CHECKING:
    from sandbox import Sandbox

Words = dict[str, Any]

WORKERS = {"name": "workers", "extends": True}
KEYLESS = {
    "name": "things",
    "write_disposition": "append",
    "endpoint": {"path": "/v1/resource", "paginator": "single_page"},
}

FEW = hypothesis.settings(max_examples=50, deadline=None)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=-30))])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.dates().map(str),
    st.datetimes(timezones=ZONES).map(lambda inferred: inferred.isoformat()),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.lists(
    st.builds(
        lambda key, rest: rest | {"id": key},
        st.integers() | st.text(),
        st.dictionaries(st.sampled_from(["a", "b", "a b", "ü", '"', ""]), VALUES),
    ),
    min_size=1,
    max_size=5,
)


def inferred(*values: object) -> Any:  # noqa: ANN401 - a JSON Schema
    """Return the schema of a field that has some values."""
    return infer([{"id": 1, "field": value} for value in values], keys=["id"])["properties"]["field"]


# What is found


@given(records=RECORDS, evolves=st.booleans())
@FEW
def test_every_record_leaves_valid_under_its_schema(records: list[Words], evolves: bool) -> None:  # noqa: FBT001 - drawn
    schema = infer(records, keys=["id"], evolves=evolves)
    validator = jsonschema.Draft7Validator(schema, format_checker=FORMATS)
    validator.check_schema(schema)
    encoder = RecordEncoder(schema, selected=lambda _: True, keys=["id"], cursor=None, warn=print)
    for record in records:
        left = encoder.decoder.decode(Raw(json_encoder.encode(record)))
        validator.validate(json.loads(json_encoder.encode(left)))
        assert {name for name, value in record.items() if value is not None} == {
            name for name, value in left.items() if value is not None
        }, "nothing is left empty"


@given(records=RECORDS)
@FEW
def test_the_order_of_the_records_does_not_matter(records: list[Words]) -> None:
    assert infer(records, keys=["id"]) == infer(records[::-1], keys=["id"])


@given(records=RECORDS)
@FEW
def test_everything_may_be_null_but_the_key(records: list[Words]) -> None:
    schema = infer(records, keys=["id"])
    assert schema["required"] == ["id"]
    for name, definition in schema["properties"].items():
        assert ("null" in definition["type"]) is (name != "id")


@pytest.mark.parametrize(
    ("values", "schema"),
    [
        (["x"], {"type": ["string", "null"]}),
        ([True, None], {"type": ["boolean", "null"]}),
        ([1, 2], {"type": ["integer", "null"]}),
        ([1, Decimal("2.5")], {"type": ["number", "null"]}),
        ([1, "2"], {"type": ["string", "null"]}),
        ([1, True], {"type": ["string", "null"]}),
        ([2**63 - 1], {"type": ["integer", "null"]}),
        ([2**63], {"type": ["number", "null"]}),
        ([Decimal(10**30)], {"type": ["number", "null"]}),
        (
            [{"a": 1}, []],
            {
                "type": ["object", "array", "null"],
                "properties": {"a": {"type": ["integer", "null"]}},
                "additionalProperties": True,
            },
        ),
        ([{"a": 1}, [{"a": 1}]], {"type": ["object", "array", "null"]}),
        ([[]], {"type": ["array", "null"]}),
        ([["a", 1]], {"type": ["array", "null"]}),
        ([[1], [2]], {"type": ["array", "null"]}),
        ([[["a"]]], {"type": ["array", "null"]}),
        ([["a"], "a"], {"type": ["array", "string", "null"]}),
        ([{"a": 1}, "a"], {"type": ["object", "string", "null"]}),
        (["2026-01-31T24:00:00Z"], {"type": ["string", "null"]}),
        (["2026-06-30T23:59:60Z"], {"type": ["string", "null"]}),
        (["2026-01-31", 1], {"type": ["string", "null"]}),
        (["2026-01-31T10:00:00Z", "n/a"], {"type": ["string", "null"]}),
        ([None, None], {"type": ["string", "null"]}),
        (["2026-01-31T10:00:00Z", None], {"type": ["string", "null"], "format": "date-time"}),
        (["2026-01-31T10:00:00.123456789+01:00"], {"type": ["string", "null"], "format": "date-time"}),
        (["2026-01-31"], {"type": ["string", "null"], "format": "date"}),
        (["2026-01-31", "2026-01-31T10:00:00Z"], {"type": ["string", "null"]}),
        (["2026-01-31T10:00:00Z", ""], {"type": ["string", "null"]}),
        (["2026-13-31T10:00:00Z"], {"type": ["string", "null"]}),
        (["2026-01-31T10:00:00"], {"type": ["string", "null"]}),
        (["20260131"], {"type": ["string", "null"]}),
        (
            [["a", None], []],
            {"type": ["array", "null"], "items": {"type": ["string", "null"]}},
        ),
        (
            [{"b": 1}, {"c": {"d": [1, Decimal("0.5")]}}],
            {
                "type": ["object", "null"],
                "additionalProperties": True,
                "properties": {
                    "b": {"type": ["integer", "null"]},
                    "c": {
                        "type": ["object", "null"],
                        "additionalProperties": True,
                        "properties": {"d": {"type": ["array", "null"]}},
                    },
                },
            },
        ),
        ([{}, 1], {"type": ["object", "integer", "null"]}),
    ],
    ids=str,
)
def test_what_values_show(values: list[object], schema: Words) -> None:
    assert inferred(*values) == schema


def test_a_field_that_is_only_null_is_open_where_the_schema_evolves() -> None:
    assert infer([{"id": 1, "a": None}], keys=["id"], evolves=True)["properties"]["a"] == {"type": ["null"]}


def test_declared_columns_count_for_more_than_what_is_shown() -> None:
    number: Words = {"type": ["number", "null"]}
    schema = infer([{"id": 1, "a": 1}], keys=["id"], columns={"a": number, "b": number, "id": {"type": "number"}})
    assert schema["properties"] == {"id": {"type": "number"}, "a": number, "b": number}


@pytest.mark.parametrize(("evolves", "key"), [(False, {"type": "string"}), (True, {"type": ["null"]})])
def test_without_a_record_the_schema_is_what_is_declared(evolves: bool, key: Words) -> None:  # noqa: FBT001 - a parameter
    schema = infer([], keys=["id"], columns={"a": {"type": "number"}}, evolves=evolves)
    assert schema == {"type": "object", "required": ["id"], "properties": {"id": key, "a": {"type": "number"}}}


def test_without_anything_there_is_no_schema() -> None:
    with pytest.raises(DiscoveryError, match="declare a schema"):
        infer([], keys=[])


def test_names_that_postgres_refuses_are_told() -> None:
    names = ["", 'a"b', "ü" * 31 + "ab", "ü" * 31 + "ac", "fine", *map(str, range(1600))]
    lines = list(unloadable_names({"properties": {key: {} for key in names}}))
    assert len(lines) == 4
    for line, words in zip(lines, ["1,605 fields", "empty", "refuses", "first 63 bytes"], strict=True):
        assert words in line
    assert list(unloadable_names({"properties": {"fine": {}, "ü" * 31 + "b": {}, "ü" * 31 + "c": {}}})) == []
    assert list(unloadable_names({"properties": {str(number): {} for number in range(1593)}})) == []
    assert len(list(unloadable_names({"properties": {str(number): {} for number in range(1594)}}))) == 1


def test_discovery_tells_the_names_that_postgres_refuses(sandbox: Sandbox, config: Words) -> None:
    put(sandbox, {"id": "1", 'a"b': 1, "": 2, "x" * 63 + "1": 1, "x" * 63 + "2": 2})
    run = run_tap(config | {"resources": [resource()]}, args=["--discover"])
    assert run.returncode == 0, run.stderr
    assert [line.partition("things: ")[2] for line in run.problems] == [
        "the name 'a\"b' has a character that target-postgres refuses in a column",
        "a field has an empty name, which no column can have",
        f"'{'x' * 63}2' and '{'x' * 63}1' have the same first 63 bytes, all that PostgreSQL keeps",
    ]


def test_no_record_has_the_key() -> None:
    with pytest.raises(DiscoveryError, match="no record has the primary key id; they have a"):
        infer([{"a": 1}], keys=["id"])


def test_records_nested_too_deeply() -> None:
    record: Any = []
    for _ in range(3000):
        record = [record]
    with pytest.raises(DiscoveryError, match="declare a schema"):
        infer([{"a": record}], keys=[])


# How it is found


def test_discovery_shows_what_the_records_have(sandbox: Sandbox, config: Words) -> None:
    put(sandbox, {"id": "1", "n": 1, "tags": ["a"]}, {"id": "2", "n": 2.5, "at": "2026-01-31T10:00:00Z"})
    run = run_tap(config | {"resources": [resource()]}, args=["--discover"])
    (stream,) = json.loads(run.stdout)["streams"]
    assert stream["key_properties"] == ["id"]
    assert stream["schema"] == {
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "string"},
            "n": {"type": ["number", "null"]},
            "tags": {"type": ["array", "null"], "items": {"type": ["string", "null"]}},
            "at": {"type": ["string", "null"], "format": "date-time"},
        },
    }


def test_nested_fields_that_the_sample_did_not_show_are_kept(sandbox: Sandbox, config: Words) -> None:
    put(sandbox, *({"id": str(n), "of": {"a": n}} for n in range(1000)), {"id": "last", "of": {"a": 1, "b": [2]}})
    run = run_tap(config | {"resources": [resource(limit=1000)]})
    assert run.records["things"][-1] == {"id": "last", "of": {"a": 1, "b": [2]}}
    assert len(run.records["things"]) == 1001


def test_fields_that_the_sample_did_not_show_come_in(sandbox: Sandbox, config: Words) -> None:
    put(sandbox, *({"id": str(n)} for n in range(1000)), {"id": "last", "late": 1})
    run = run_tap(config | {"resources": [resource(limit=1000)]})
    assert run.records["things"][-1] == {"id": "last", "late": 1}
    assert run.schemas["things"]["schema"]["properties"].keys() == {"id", "late"}
    assert len(run.records["things"]) == 1001


def test_a_sample_is_the_first_pages(sandbox: Sandbox, config: Words) -> None:
    put(sandbox, *({"id": str(n)} for n in range(5000)))
    run = run_tap(config | {"resources": [resource(limit=100)]}, args=["--discover"])
    assert run.returncode == 0
    assert len(sandbox.requests) <= 13
    assert {request.params["limit"] for request in sandbox.requests} == {"100"}


@pytest.mark.parametrize(
    ("path", "paginator"),
    [
        ("offset/many", {"type": "offset", "limit": 100}),
        ("page/0/many", {"type": "page_number", "total_path": "total_pages"}),
        ("page/1/many", {"type": "page_number", "base_page": 1, "total_path": "total_pages"}),
        ("page/1/many", "auto"),
        ("page/1/many_records", {"type": "page_number", "base_page": 1, "total_path": None}),
    ],
    ids=str,
)
def test_a_sample_has_a_later_page_where_the_answer_says_how_many_there_are(
    sandbox: Sandbox, config: Words, path: str, paginator: object
) -> None:
    inferred = sampled(sandbox, config, path, paginator)
    assert inferred == {"id": "integer", "n": "number", "late": "boolean"}
    assert len(sandbox.requests) <= 13, "the first pages, perhaps the one after them, and one of the last"


@pytest.mark.parametrize(
    ("path", "paginator"),
    [
        ("offset/many_untold", {"type": "offset", "limit": 100}),
        ("offset/many", {"type": "offset", "limit": 100, "maximum_offset": 2000}),
        ("page/0/many", {"type": "page_number", "total_path": "total_pages", "maximum_page": 20}),
    ],
    ids=str,
)
def test_a_sample_has_no_later_page_where_none_is_known(
    sandbox: Sandbox, config: Words, path: str, paginator: object
) -> None:
    assert sampled(sandbox, config, path, paginator) == {"id": "integer", "n": "integer"}


def test_a_later_page_that_cannot_be_read_fails_no_discovery(sandbox: Sandbox, config: Words) -> None:
    sandbox.misbehave(Fault("status", params={"offset": "2400"}, status=500, times=None))
    inferred = sampled(sandbox, config, "offset/many", {"type": "offset", "limit": 100})
    assert inferred == {"id": "integer", "n": "integer"}
    assert any(request.params["offset"] == "2400" for request in sandbox.requests)


def sampled(sandbox: Sandbox, config: Words, path: str, paginator: object) -> dict[str, str]:
    """Return the types that discovery finds in a list of 2,500 records, the last two hundred of which are different."""
    endpoint = {"path": f"/styles/{path}", "paginator": paginator, "params": {"per_page": 100}}
    declared = {"name": "things", "primary_key": "id", "endpoint": endpoint}
    run = run_tap(config | {"max_retries": 0, "resources": [declared]}, args=["--discover"])
    assert run.returncode == 0, run.stderr
    (stream,) = json.loads(run.stdout)["streams"]
    del sandbox
    types = {name: definition["type"] for name, definition in stream["schema"]["properties"].items()}
    return {name: kind if isinstance(kind, str) else kind[0] for name, kind in types.items()}


def test_with_a_catalog_nothing_is_sampled(sandbox: Sandbox, config: Words) -> None:
    config |= {"resources": [resource(limit=100), resource("left_out", path="/v1/nowhere")]}
    of = {"type": ["object", "null"], "properties": {"a": {"type": "string"}}}
    schema = {"type": "object", "properties": {"id": {"type": "string"}, "of": of}}
    metadata = [{"breadcrumb": [], "metadata": {"selected": True}}]
    entry = {"tap_stream_id": "things", "schema": schema, "key_properties": ["id"], "metadata": metadata}
    run = run_tap(config, catalog={"streams": [entry]})
    assert run.returncode == 0, run.stderr
    assert keys(run.records["things"]) == [record["id"] for record in sandbox.world.records("resource")]
    # A page, and the one after it that shows that there is no more.
    assert [request.params["offset"] for request in sandbox.requests] == ["0", "29"]


@pytest.mark.parametrize(
    "declared",
    [KEYLESS, resource(), resource(incremental={"cursor_path": "changed", "start_param": "after"})],
    ids=["without a key", "with a key", "with a cursor"],
)
def test_an_empty_resource_is_no_error(sandbox: Sandbox, config: Words, declared: Words) -> None:
    put(sandbox)
    config |= {"resources": [declared, WORKERS]}
    run = run_tap(config)
    assert run.returncode == 0, run.stderr
    assert run.said("things", "there is no record to infer a schema from")
    assert not any(message["type"] == "RECORD" and message["stream"] == "things" for message in run.messages)
    assert len(run.records["workers"]) == 12
    catalog = json.loads(run_tap(config, args=["--discover"]).stdout)
    put(sandbox, {"id": 7, "a": {"b": 1}})
    again = run_tap(config, catalog=catalog, state=run.state)
    assert again.returncode == 0, again.stderr
    assert again.records["things"] == [{"id": 7, "a": {"b": 1}}]
    assert again.schemas["things"]["schema"]["properties"]["id"]["type"] in ("integer", ["integer", "null"])


def test_a_key_of_unknown_type_is_never_left_empty(sandbox: Sandbox, config: Words) -> None:
    put(sandbox)
    config |= {"resources": [resource()]}
    catalog = json.loads(run_tap(config, args=["--discover"]).stdout)
    put(sandbox, {"id": "a", "b": 1})
    # With a stream map the schema cannot grow.
    run = run_tap(config | {"stream_maps": {"things": {"__filter__": "True"}}}, catalog=catalog)
    assert run.returncode == 1
    assert run.records["things"] == []
    assert run.said("Failed: things", "record 1 of the answer has a key, id, that does not fit the schema")


def test_an_empty_resource_with_a_schema_is_no_error(sandbox: Sandbox, config: Words) -> None:
    put(sandbox)
    run = run_tap(config | {"resources": [resource(schema={"properties": {"id": {"type": "string"}}})]})
    assert run.returncode == 0
    assert run.records["things"] == []


@pytest.mark.parametrize("body", [b'{"data":[1,2]}', b'{"data":["x"]}', b"nothing", b'{"data":7}'])
def test_a_sample_that_fails_stops_no_other_stream(sandbox: Sandbox, config: Words, body: bytes) -> None:
    sandbox.misbehave(Fault("body", path="/v1/resource", body=body, times=None))
    run = run_tap(config | {"resources": [resource(), WORKERS]})
    assert run.returncode == 1
    assert run.said("Failed: things", "no schema can be inferred")
    assert len(run.records["workers"]) == 12
    assert "Traceback" not in run.stderr


def test_a_sample_is_tried_again(sandbox: Sandbox, config: Words) -> None:
    sandbox.misbehave(Fault("status", path="/v1/resource", status=503, times=2))
    run = run_tap(config | {"resources": [resource()]}, args=["--discover"])
    assert run.returncode == 0
    assert json.loads(run.stdout)["streams"]


def test_discovery_that_fails_prints_the_catalog_of_the_others(sandbox: Sandbox, config: Words) -> None:
    put(sandbox, {"a": 1})
    run = run_tap(config | {"resources": [resource(), WORKERS]}, args=["--discover"])
    assert run.returncode == 1
    assert [stream["tap_stream_id"] for stream in json.loads(run.stdout)["streams"]] == ["workers"]
    assert run.said("Failed: things", "no record has the primary key id; they have a")


# What becomes of the records


FLATTENED: Words = {"flattening_enabled": True, "flattening_max_depth": 2}
JUDGED: Words = {"properties": {"id": {"type": "string"}, "n": {"type": "number", "multipleOf": 2}}}


@pytest.mark.parametrize(
    ("words", "others", "road"),
    [
        ({}, {}, "records leave as they came."),
        ({}, {"stream_maps": {"things": {"__alias__": "others"}}}, "records leave as they came."),
        ({}, FLATTENED, "records leave as they came, their objects flattened."),
        ({}, {"stream_maps": {"things": {"twice": "id + id"}}}, "records are decoded one by one: stream_maps change"),
        ({"schema": JUDGED}, {}, "records are decoded one by one: n is judged by multipleOf."),
        ({"schema": JUDGED}, FLATTENED, "records are decoded one by one: n is judged by multipleOf."),
    ],
    ids=str,
)
def test_each_stream_says_which_road_its_records_take(
    sandbox: Sandbox, config: Words, words: Words, others: Words, road: str
) -> None:
    put(sandbox, {"id": "a", "of": {"b": 1}})
    run = run_tap(config | {"resources": [resource(**words)]} | others)
    assert run.returncode == 0, run.stderr
    (line,) = [line for line in run.stderr.splitlines() if "things: records" in line]
    assert road in line
    assert "INFO" in line


def test_a_stream_says_that_what_is_not_selected_is_left_out(sandbox: Sandbox, config: Words) -> None:
    put(sandbox, {"id": "a", "of": {"b": 1, "c": 2}})
    catalog = json.loads(run_tap(config | {"resources": [resource()]}, args=["--discover"]).stdout)
    for entry in catalog["streams"][0]["metadata"]:
        entry["metadata"]["selected"] = entry["breadcrumb"][-1:] != ["c"]
    run = run_tap(config | {"resources": [resource()]}, catalog=catalog)
    assert run.said("INFO", "things: records leave as they came, without what is not selected.")
    assert run.records["things"] == [{"id": "a", "of": {"b": 1}}]


def test_records_that_do_not_fit_are_decoded_and_the_others_leave_as_they_came(sandbox: Sandbox, config: Words) -> None:
    put(sandbox, {"id": "a", "n": "\u00e9"}, {"id": "b", "n": 7}, {"id": "c", "n": "\u00e9"}, {"id": "d", "n": 8})
    run = run_tap(config | {"resources": [resource()]})
    assert run.records["things"] == [{"id": key, "n": n} for key, n in zip("abcd", ["é", "7", "é", "8"], strict=True)]
    assert run.stdout.count('"n": "\\u00e9"') == 2, "they left as the bytes they came in"
    lines = [line for line in run.stderr.splitlines() if "do not fit the schema" in line]
    assert [line.partition("things: ")[2] for line in lines] == [
        "records that do not fit the schema are decoded, which is slower: one differs at `$.n`."
    ]


def test_a_record_that_is_refused_keeps_back_none_before_it(sandbox: Sandbox, config: Words) -> None:
    put(sandbox, {"id": "a", "n": "x"}, {"id": "b", "n": 7}, {"n": "no key"}, {"id": "c"})
    schema = {"properties": {"id": {"type": "string"}, "n": {"type": ["string", "null"]}}}
    run = run_tap(config | {"resources": [resource(schema=schema)]})
    assert run.returncode == 1
    assert run.records["things"] == [{"id": "a", "n": "x"}, {"id": "b", "n": "7"}]
    assert run.said("record 3 of the answer has no id")


def test_dropped_records_are_counted(sandbox: Sandbox, config: Words) -> None:
    put(sandbox, {"id": "a"}, {"id": "b", "new": 1}, {"id": "c", "new": 2})
    schema = {"properties": {"id": {"type": "string"}}}
    declared = resource(schema=schema) | {"schema_contract": "discard_row"}
    run = run_tap(config | {"resources": [declared]})
    assert keys(run.records["things"]) == ["a"]
    assert run.said("INFO", "things: 2 records were dropped, as schema_contract says.")


def test_flattening_tells_which_nested_fields_it_loses(sandbox: Sandbox, config: Words) -> None:
    late = {"a": 2, "late": 3, "deep": {"e": {"f": 5, "g": 6}}}
    put(
        sandbox,
        *({"id": str(n), "of": {"a": n, "deep": {"e": {"f": n}}}} for n in range(1000)),
        {"id": "x", "of": late},
    )
    run = run_tap(config | {"resources": [resource(limit=1001)], "flattening_enabled": True, "flattening_max_depth": 2})
    assert run.returncode == 0, run.stderr
    (warning,) = [line for line in run.problems if "does not have" in line or "do not have" in line]
    assert "of.late" in warning
    assert "of.deep.e.g" not in warning, "what is deeper is written as JSON"
    assert run.records["things"][-1] == {"id": "x", "of__a": 2, "of__deep__e": '{"f":5,"g":6}'}


def test_flattening_makes_text_of_what_has_no_type(sandbox: Sandbox, config: Words) -> None:
    put(sandbox, {"id": "a", "of": {"any": 7}})
    of = {"type": "object", "properties": {"any": {}}}
    declared = resource(schema={"properties": {"id": {"type": "string"}, "of": of}})
    run = run_tap(config | {"resources": [declared]} | FLATTENED)
    assert run.schemas["things"]["schema"]["properties"]["of__any"] == {"type": ["null", "string"]}
    assert run.records["things"] == [{"id": "a", "of__any": "7"}]

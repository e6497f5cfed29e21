"""The record encoder by itself: cursors below the top, selection, timestamps."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import Raw
from singer_sdk.helpers._flattening import FlatteningOptions
from singer_sdk.mapper import SameRecordTransform

from tap_analytics.rest.coverage import digest, plain_key
from tap_analytics.singer.flatten import Flattening, with_texts
from tap_analytics.singer.output import encoder as json_encoder
from tap_analytics.singer.records import RecordEncoder

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

TEXT = {"type": ["string", "null"]}
NUMBER = {"type": ["number", "null"]}
ORDER: dict[str, Any] = {
    "id": {"type": "integer"},
    "customer": {
        "type": ["object", "null"],
        "properties": {
            "name": TEXT,
            "at": {"type": ["string", "null"], "format": "date-time"},
            "address": {"type": ["object", "null"], "properties": {"city": TEXT, "zip": TEXT}},
        },
    },
    "lines": {"type": ["array", "null"], "items": {"type": "object", "properties": {"price": NUMBER}}},
}


def an_encoder(
    properties: dict[str, Any],
    without: set[tuple[str, ...]] | None = None,
    **others: Any,  # noqa: ANN401 - as the encoder takes them
) -> tuple[RecordEncoder, list[str]]:
    """Return an encoder, and the list of its warnings."""
    warnings: list[str] = []
    schema = {"type": "object", "properties": properties, "required": ["id"]}
    words: dict[str, Any] = {"keys": ["id"], "cursor": None} | others
    selected: Callable[..., bool] = lambda path: path not in (without or ())  # noqa: E731 - as a stream passes it
    encoder = RecordEncoder(schema, selected=selected, warn=warnings.append, **words)
    assert encoder.slow_reason is None
    return encoder, warnings


def through(encoder: RecordEncoder, *records: str) -> list[str]:
    """Return records as they are encoded without being decoded."""
    chunk = [Raw(record.encode()) for record in records]
    assert encoder.check(chunk) is not None
    encoded = [bytes(record).decode() for record in encoder.encode(chunk)]
    for record, raw in zip(encoded, chunk, strict=True):
        exactly = json.loads(record, parse_float=Decimal)
        assert encoder.decoder.decode(raw) == exactly, "what is decoded says the same"
    return encoded


def processed(encoder: RecordEncoder, chunk: list[Raw]) -> list[bytes]:
    """Return the records of a chunk as they leave."""
    return [bytes(record) for encoded in encoder.process(chunk) for record in encoded]  # type: ignore[union-attr]


# Nested records


def test_nested_records_leave_as_the_bytes_they_came_in() -> None:
    encoder, warnings = an_encoder(ORDER)
    record = '{"id": 1,"customer":{"name":"\\u00e9","more":[1.50]},"lines":[{"price":1.50,"sku":1e400},{}]}'
    assert through(encoder, record) == [record]
    assert warnings == []


def test_what_is_below_is_checked() -> None:
    encoder, _ = an_encoder(ORDER)
    assert encoder.check([Raw(b'{"id":1,"lines":[{"price":"1"}]}')]) is None
    assert encoder.check([Raw(b'{"id":1,"customer":{"address":{"zip":1234}}}')]) is None
    assert encoder.check([Raw(b'{"id":1,"customer":{"at":"soon"}}')]) is None


def test_properties_are_deselected_at_any_depth() -> None:
    without = {("customer", "address", "zip"), ("customer", "at")}
    encoder, warnings = an_encoder(ORDER, without)
    record = (
        '{"id":1,"customer":{"at":7,"name":"x","new":1.50,"address":{"zip":"1","city":1e5}},"lines":[{"price":1.0}]}'
    )
    assert encoder.check([Raw(record.encode())]) is None, "the city is no text"
    record = record.replace("1e5", "null")
    expected = {
        "id": 1,
        "customer": {"name": "x", "new": Decimal("1.50"), "address": {"city": None}},
        "lines": [{"price": Decimal("1.0")}],
    }
    assert [json.loads(text, parse_float=Decimal) for text in through(encoder, record)] == [expected]
    assert warnings == []


def test_closed_objects_leave_without_what_they_do_not_name() -> None:
    closed = {"type": "object", "properties": {"a": NUMBER}, "additionalProperties": False}
    encoder, warnings = an_encoder({"id": {"type": "integer"}, "of": closed})
    assert through(encoder, '{"id":1,"of":{"b":1,"a":2}}', '{"id":2,"of":{"a":2,"c":1}}') == [
        '{"id":1,"of":{"a":2}}',
        '{"id":2,"of":{"a":2}}',
    ]
    assert len(warnings) == 1
    assert "of.b, of.c" in warnings[0]


def test_map_types_are_checked() -> None:
    encoder, _ = an_encoder({"id": {"type": "integer"}, "prices": {"type": "object", "additionalProperties": NUMBER}})
    record = '{"id":1,"prices":{"EUR":1.50,"USD":null}}'
    assert through(encoder, record) == [record]
    assert encoder.check([Raw(b'{"id":1,"prices":{"EUR":"1.50"}}')]) is None
    assert encoder.decoder.decode(Raw(b'{"id":1,"prices":{"EUR":"1.50"}}'))["prices"] == {"EUR": Decimal("1.50")}


# Cursors


@pytest.mark.parametrize(
    ("record", "cursor"),
    [
        ('{"id":1,"customer":{"at":"2026-01-31T10:00:00Z"}}', "2026-01-31T10:00:00Z"),
        ('{"id":1,"customer":{"at":null}}', None),
        ('{"id":1,"customer":{}}', None),
        ('{"id":1,"customer":null}', None),
        ('{"id":1}', None),
    ],
)
@pytest.mark.parametrize("others", [0, 1])
def test_a_cursor_is_read_below_the_top(record: str, cursor: str | None, others: int) -> None:
    encoder, _ = an_encoder(ORDER, cursor=("customer", "at"))
    chunk = [Raw(b'{"id":2,"customer":{"at":"2026-01-30T10:00:00Z"}}')] * others + [Raw(record.encode())]
    reading = encoder.check(chunk)
    assert reading is not None
    assert (reading.cursors[-1] or None) == cursor
    assert bytes(encoder.encode(chunk)[-1]) == record.encode()


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("integer", [1, -1, -2, 2**63, 0, 1]),
        ("string", ["a", "\u00e9", "\U0001f33f", "1", "", "a", 'quo"te']),
        (["string", "null"], ["a", "b"]),
    ],
)
@pytest.mark.parametrize("cursor", [None, "at"])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_keys_are_noted_as_a_walk_would_read_them(
    kind: object, keys: list[object], cursor: str | None, *, ascii_only: bool
) -> None:
    encoder, _ = an_encoder({"at": {"type": "string", "format": "date-time"}, "id": {"type": kind}}, cursor=cursor)
    texts = [json.dumps({"id": key, "at": "2026-01-31T10:00:00Z"}, ensure_ascii=ascii_only) for key in keys]
    chunk = [Raw(text.encode()) for text in texts]
    noted: list[Hashable] = []
    list(encoder.process(chunk, note_keys=noted.extend))
    assert list(map(digest, noted)) == [digest(plain_key(encoder.key_of(record))) for record in chunk]
    assert len(set(map(digest, noted))) == len(set(keys))


def test_keys_that_are_neither_text_nor_whole_numbers_are_left_to_the_walk() -> None:
    noted: list[Hashable] = []
    for kind, record in (
        ({"type": "string", "format": "date-time"}, b'{"id":"2026-01-31T10:00:00Z"}'),
        ({"type": "number"}, b'{"id":1.5}'),
    ):
        encoder, _ = an_encoder({"id": kind})
        list(encoder.process([Raw(record)], note_keys=noted.extend))
    assert noted == []


def test_a_cursor_that_is_no_timestamp_is_noticed() -> None:
    encoder, _ = an_encoder(ORDER, cursor=("customer", "at"))
    assert encoder.check([Raw(b'{"id":1,"customer":{"at":"soon"}}')]) is None


def test_a_cursor_with_an_offset_is_read_as_it_came_and_written_in_utc() -> None:
    encoder, _ = an_encoder(ORDER, cursor=("customer", "at"))
    chunk = [Raw(b'{"id":1,"customer":{"at":"2026-01-31T10:00:00+01:00"}}')]
    reading = encoder.check(chunk)
    assert reading is not None
    assert list(reading.cursors) == ["2026-01-31T10:00:00+01:00"]
    assert bytes(encoder.encode(chunk)[0]) == b'{"id":1,"customer":{"at":"2026-01-31T09:00:00Z"}}'


def test_timestamps_among_other_types_are_decoded_where_they_have_an_offset() -> None:
    either = {"type": ["boolean", "string", "null"], "format": "date-time"}
    encoder, _ = an_encoder({"id": {"type": "integer"}, "at": either})
    chunk = [Raw(b'{"id":1,"at":"2026-01-31T10:00:00+01:00"}'), Raw(b'{"id":2,"at":true}')]
    assert [json.loads(record)["at"] for record in processed(encoder, chunk)] == ["2026-01-31T09:00:00Z", True]


# Flattening


def flattened(
    definition: dict[str, Any], levels: int, *records: str
) -> tuple[RecordEncoder, list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the encoder of records with an object, the flat records that it makes, and those that the SDK makes."""
    schema = {"type": "object", "properties": {"id": {"type": "integer"}, "of": definition}, "required": ["id"]}
    options = FlatteningOptions(enabled=True, max_level=levels)
    stream_map = SameRecordTransform("things", schema, ["id"], options)
    encoder = RecordEncoder(
        with_texts(schema, levels),
        selected=lambda _: True,
        keys=["id"],
        cursor=None,
        warn=print,
        flattening=Flattening(levels, stream_map.flatten_record),
    )
    chunk = [Raw(record.encode()) for record in records]
    flat = [json.loads(record, parse_float=Decimal) for record in processed(encoder, chunk)]
    by_the_sdk = [stream_map.transform(encoder.decoder.decode(record)) for record in chunk]
    return encoder, flat, json.loads(json_encoder.encode(by_the_sdk), parse_float=Decimal)


def test_nested_records_are_flattened_without_being_decoded() -> None:
    encoder, flat, by_the_sdk = flattened(
        ORDER["customer"],
        2,
        '{"id":1,"of":{"name":"\\u00e9","address":{"city":"Ulm","zip":"1"}}}',
        '{"id":2,"of":null}',
        '{"id":3,"of":{"at":null,"address":null}}',
        '{"id":4,"of":{"address":{}}}',
        '{"id":5}',
    )
    assert encoder.slow_reason is None
    assert flat == by_the_sdk
    assert flat[0] == {"id": 1, "of__name": "é", "of__address__city": "Ulm", "of__address__zip": "1"}
    (record,) = processed(encoder, [Raw(b'{"id":1,"of":{"name":"\\u00e9"}}')])
    assert record == b'{"id":1,"of__name":"\\u00e9"}', "the bytes that came"


@pytest.mark.parametrize(
    ("levels", "text"),
    [
        (1, '{"id":1,"of":{"name":"x","address":{"city":"Köln","more":[1.50,1e5,12345678901234567890123]}}}'),
        (1, '{"id":1,"of":{"name":"x","address":{"city":"Ulm","more":[1.50,1e5,12345678901234567890123]}}}'),
        (2, '{"id":1,"of":{"new":1,"name":"x"}}'),
        (2, '{"id":1,"of":{"name":7}}'),
        (2, '{"id":1,"of":{"at":"2026-01-31T10:00:00+01:00"}}'),
        (2, '{"id":1,"of":[]}'),
    ],
)
def test_flat_records_are_those_of_the_sdk(levels: int, text: str) -> None:
    encoder, flat, by_the_sdk = flattened(ORDER["customer"], levels, text, '{"id":2,"of":{"name":"y"}}')
    assert encoder.slow_reason is None
    assert flat == by_the_sdk


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ({"type": ["object", "string"], "properties": {"a": TEXT}}, "of is not always an object of known properties"),
        ({"type": "object", "properties": {}}, "of is not always an object of known properties"),
        ({"type": "object", "properties": {"a": TEXT}, "required": ["b"]}, "not always an object of known properties"),
        ({"type": ["object"], "properties": {"a": {"type": "array", "items": [TEXT]}}}, "judged by items"),
    ],
    ids=str,
)
def test_what_only_the_sdk_can_flatten(definition: dict[str, Any], reason: str) -> None:
    encoder, *_ = flattened(definition, 1)
    assert reason in str(encoder.slow_reason)


def test_columns_without_a_type_are_texts_where_objects_are_flattened() -> None:
    of = {"type": "object", "properties": {"any": {}, "deep": {"type": "object", "properties": {"any": {}}}}}
    _, flat, by_the_sdk = flattened(of, 1, '{"id":1,"of":{"any":1.50,"deep":{"any":[1]}}}')
    assert flat == by_the_sdk == [{"id": 1, "of__any": "1.50", "of__deep": '{"any":[1]}'}]


# What only a validator can judge


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ({"anyOf": [TEXT, NUMBER]}, "field has no type"),
        ({"type": "number", "multipleOf": 0.1}, "field is judged by multipleOf"),
        ({"type": ["integer", "null"], "enum": [1, None]}, "field is judged by enum"),
        ({"type": "string", "format": "ipv4"}, "field is judged by format"),
        ({"type": "object", "properties": {'"': TEXT}, "additionalProperties": False}, "has a name with escapes"),
        ({"type": "array", "items": [TEXT]}, "field is judged by items"),
    ],
    ids=str,
)
def test_the_reason_for_a_slow_stream_is_given(definition: dict[str, Any], reason: str) -> None:
    schema = {"type": "object", "properties": {"id": {"type": "string"}, "field": definition}}
    encoder = RecordEncoder(schema, selected=lambda _: True, keys=["id"], cursor=None, warn=print)
    assert reason in str(encoder.slow_reason)
    assert encoder.check([Raw(b'{"id":"1"}')]) is None


@pytest.mark.parametrize(
    ("definition", "good", "bad"),
    [
        ({"type": ["string", "null"], "enum": ["a", "b", None]}, ['"a"', "null"], ['"c"', "1"]),
        ({"const": "a", "type": "string"}, ['"a"'], ['"b"', "null"]),
        ({"type": "integer", "minimum": 0, "exclusiveMaximum": 5}, ["0", "4"], ["-1", "5"]),
        ({"type": "number", "exclusiveMinimum": 0}, ["0.1"], ["0", "-0.0"]),
        ({"type": "string", "minLength": 1, "maxLength": 2}, ['"\\u00e9"'], ['""', '"abc"']),
        ({"type": "string", "pattern": "^a"}, ['"ab"'], ['"b"']),
        ({"type": "string", "format": "email"}, ['"a@b"'], ['"ab"']),
        ({"type": "string", "format": "uuid", "x-note": 1}, ['"anything"'], ["1"]),
        ({"type": "object", "required": ["a"]}, ['{"a":1}'], ["{}"]),
    ],
    ids=str,
)
def test_common_keywords_are_judged_without_decoding(
    definition: dict[str, Any], good: list[str], bad: list[str]
) -> None:
    encoder, _ = an_encoder({"id": {"type": "integer"}, "field": definition})
    records = [f'{{"id":1,"field":{value}}}' for value in good]
    assert through(encoder, *records) == records
    for value in bad:
        assert encoder.check([Raw(f'{{"id":1,"field":{value}}}'.encode())]) is None


@pytest.mark.parametrize(
    ("definition", "value", "expected"),
    [
        ({"type": ["number", "null"], "multipleOf": 0.1}, "0.3", Decimal("0.3")),
        ({"type": ["number", "null"], "multipleOf": 0.01}, "1e300", Decimal("1e300")),
        ({"type": ["number", "null"], "multipleOf": 0.1}, "0.35", None),
        ({"type": ["number", "null"], "enum": [0.1, None]}, "0.10", Decimal("0.10")),
        ({"type": ["number", "null"], "enum": [0.1, None]}, "0.2", None),
        ({"type": ["number", "null"], "const": 0.1}, "0.1", Decimal("0.1")),
        ({"type": ["number", "null"], "minimum": 9007199254740993}, "9007199254740992", None),
        ({"type": ["object", "null"]}, "[]", {}),
        ({"type": ["object", "null"], "required": ["a"], "properties": {"a": {"type": "string"}}}, "{}", None),
        ({"type": ["array", "null"], "items": {"type": ["string", "null"]}}, '["A",null,"C"]', ["A", None, "C"]),
        ({"type": ["string", "null"], "format": "date"}, '"2026-02-30"', None),
        ({"type": ["string", "null"], "format": "date"}, '"2026-01-31T00:00:00Z"', "2026-01-31"),
        ({"type": ["string", "null"], "format": "ipv4"}, '"1.2.3"', None),
    ],
    ids=str,
)
def test_values_are_judged_exactly(definition: dict[str, Any], value: str, expected: object) -> None:
    schema = {"type": "object", "properties": {"id": {"type": "integer"}, "field": definition}}
    encoder = RecordEncoder(schema, selected=lambda _: True, keys=["id"], cursor=None, warn=print)
    decoded = encoder.decoder.decode(Raw(f'{{"id":1,"field":{value}}}'.encode()))["field"]
    assert (decoded, str(decoded)) == (expected, str(expected))

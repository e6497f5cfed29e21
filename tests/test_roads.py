"""Records leave by two roads, as the bytes they came in or through the SDK: both say the same."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox import Fault, Sandbox
from tap_analytics.singer.output import encoder
from tap_analytics.tap import TapAnalytics
from tests.conftest import ROADS
from tests.singer import check_messages

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = st.sampled_from(["a", "b c", "ë", "_x", "UPPER", "type", "f0", 'quo"te', "back\\slash", "tab\tname", ""])
STRINGS = st.text(max_size=8)
NUMBERS = st.one_of(
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.sampled_from(["-0", "-0.0", "1.0", "1e5", "1E400", "12345678901234567890.123456789", "1" * 40]),
)


def text_of(value: str, *, ascii_only: bool) -> str:
    return json.dumps(value, ensure_ascii=ascii_only)


SCALARS = {
    "string": st.builds(lambda value, plain: text_of(value, ascii_only=plain), STRINGS, plain=st.booleans()),
    "integer": st.integers().map(str),
    "number": NUMBERS,
    "boolean": st.sampled_from(["true", "false"]),
}
STRINGS_IN_ARRAY = st.lists(SCALARS["string"], max_size=3).map(lambda items: f"[{', '.join(items)}]")
OBJECTS = st.dictionaries(NAMES, st.one_of(*SCALARS.values()), max_size=3).map(
    lambda document: "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in document.items()) + "}",
)
NESTED = {
    "type": ["object", "null"],
    "properties": {
        "a": {"type": ["string", "null"]},
        "b c": {"type": ["object", "null"], "properties": {"a": {"type": ["string", "null"]}, "_x": {}}},
        "type": {"type": ["string", "null"], "format": "date-time"},
    },
}
TIMESTAMPS = st.sampled_from(
    ["", "2026-01-31T10:00:00Z", "2026-01-31T10:00:00.5+02:00", "2026-01-31 10:00:00", "2026-02-30T10:00:00Z", "soon"]
).map(json.dumps)


def members(**texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return the text of an object with some of these members, and some others."""
    own = st.fixed_dictionaries({}, optional={name.replace("__", " "): text for name, text in texts.items()})
    return st.tuples(own, st.dictionaries(NAMES, SCALARS["number"], max_size=1)).map(
        lambda pair: "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in (pair[1] | pair[0]).items()) + "}"
    )


NULL = st.just("null")
RECORDS_BELOW = members(
    a=SCALARS["string"] | NULL,
    b__c=members(a=SCALARS["string"], _x=SCALARS["number"]) | NULL,
    type=TIMESTAMPS | NULL,
)
KINDS: dict[str, tuple[dict[str, Any], st.SearchStrategy[str]]] = {
    **{kind: ({"type": [kind, "null"]}, texts) for kind, texts in SCALARS.items()},
    "strings": ({"type": ["array", "null"], "items": {"type": "string"}}, STRINGS_IN_ARRAY),
    "object": ({"type": ["object", "null"]}, OBJECTS),
    "record": (
        {"type": ["object", "null"], "properties": {"a": {"type": ["string", "null"]}}, "additionalProperties": True},
        OBJECTS,
    ),
    "timestamp": ({"type": ["string", "null"], "format": "date-time"}, TIMESTAMPS),
    "nested": (NESTED, RECORDS_BELOW),
    "closed": (NESTED | {"additionalProperties": False}, RECORDS_BELOW),
    "map": ({"type": ["object", "null"], "additionalProperties": {"type": ["string", "null"]}}, OBJECTS),
    "list": (
        {"type": ["array", "null"], "items": NESTED},
        st.lists(RECORDS_BELOW, max_size=2).map(lambda items: f"[{', '.join(items)}]"),
    ),
}
ANYTHING = st.one_of(*(texts for _, texts in KINDS.values()), st.just("null"))


def paths_of(properties: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each property that a catalog can select."""
    for name, definition in properties.items():
        yield (*path, name)
        yield from paths_of(definition.get("properties", {}), (*path, name))


@st.composite
def streams(draw: st.DrawFn) -> tuple[dict[str, Any], set[tuple[str, ...]], str]:
    """Return a schema, the paths in it that are selected, and a body that mostly fits it."""
    kinds = draw(st.dictionaries(NAMES, st.sampled_from(sorted(KINDS)), max_size=5))
    schema = {name: KINDS[kind][0] for name, kind in kinds.items()} | {"id": {"type": "string"}}
    paths = sorted(paths_of(schema))
    selected = draw(st.sets(st.sampled_from(paths))) | {("id",)} if draw(st.booleans()) else {*paths}
    pretty = draw(st.booleans())
    records = []
    for number in range(draw(st.integers(0, 4))):
        fields = {"id": json.dumps(f"key {number}")}
        for name, kind in kinds.items():
            how = draw(st.integers(0, 9))
            if how:  # else the field is missing
                fields[name] = draw({1: st.just("null"), 2: ANYTHING}.get(how, KINDS[kind][1]))
        if draw(st.integers(0, 4)) == 0:
            fields[draw(st.sampled_from(["new", "newer", 'new"est']))] = draw(ANYTHING)
        if draw(st.integers(0, 15)) == 0:
            fields["id"] = draw(st.sampled_from(["null", "[]", "7"]))
        gap = "\n  " if pretty else ""
        records.append("{" + gap + f",{gap}".join(f"{json.dumps(name)}:{text}" for name, text in fields.items()) + "}")
    return schema, selected, '{"data": [' + ", ".join(records) + "]}"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(days=1, registrations=1, sessions=1) as running:
        yield running


def messages(
    sandbox: Sandbox, schema: dict[str, Any], selected: set[tuple[str, ...]], **others: object
) -> list[dict[str, Any]]:
    """Return the messages of one sync, without what tells the time, and whether it failed."""
    resource = {
        "name": "things",
        "primary_key": "id",
        "schema": {"type": "object", "properties": schema},
        "endpoint": {"path": "/v1/resource", "paginator": "single_page"},
    }
    config: dict[str, Any] = {
        "base_url": sandbox.url,
        "api_key": sandbox.api_key,
        "max_retries": 0,
        "resources": [resource],
        **others,
    }
    fields = [
        {
            "breadcrumb": [word for name in path for word in ("properties", name)],
            "metadata": {"inclusion": "available", "selected": path in selected},
        }
        for path in paths_of(schema)
    ]
    catalog = {
        "streams": [
            {
                "tap_stream_id": "things",
                "stream": "things",
                "key_properties": ["id"],
                "schema": {"type": "object", "properties": schema},
                "metadata": [{"breadcrumb": [], "metadata": {"selected": True}}, *fields],
            },
        ],
    }
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(output):
        tap = TapAnalytics(config=config, catalog=catalog)
        tap.sync_all()
        tap.client.close()
    output.seek(0)
    written = [json.loads(line, parse_float=Decimal) for line in output]
    for message in written:
        message.pop("time_extracted", None)
    return [*[message for message in written if message["type"] != "STATE"], {"failed": tap.failures}]


FLATTENED = [{"flattening_enabled": True, "flattening_max_depth": levels} for levels in (1, 2)]


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(streams(), st.sampled_from([{}, *FLATTENED]))
def test_both_roads_say_the_same(
    sandbox: Sandbox, stream: tuple[dict[str, Any], set[tuple[str, ...]], str], others: dict[str, Any]
) -> None:
    schema, selected, body = stream
    sandbox.behave()
    sandbox.misbehave(Fault("body", body=body.encode(), times=None))
    logging.disable()
    try:
        raw = messages(sandbox, schema, selected, **others)
        through_the_sdk = messages(sandbox, schema, selected, **ROADS["through the SDK"], **others)
    finally:
        logging.disable(logging.NOTSET)
    assert raw == through_the_sdk
    check_messages([encoder.encode(message).decode() + "\n" for message in raw[:-1]])

"""Names of streams: tables that targets would merge, and stream maps that would change nothing."""

from __future__ import annotations

from typing import Any

import pytest
from target_postgres.sinks import PostgresSink

from tests.faults.api import Api, config
from tests.singer import run_tap


def thing(name: str, **words: object) -> dict[str, Any]:
    return {"name": name, "primary_key": "id", "endpoint": {"path": "things", "paginator": "single_page"}, **words}


def served() -> Api:
    return Api(lambda _: [{"id": 1, "secret": "s"}])


MERGED = [
    ("work-orders", "purchase-orders", "orders"),
    ("work-orders", "orders", "orders"),
    ("work_orders", "work-orders", "work_orders"),
    ("Orders", "orders", "orders"),
    ("work orders", "work.orders", "work_orders"),
]


@pytest.mark.parametrize(("one", "other", "table"), MERGED)
def test_streams_that_would_become_one_table_are_refused(one: str, other: str, table: str) -> None:
    with served() as api:
        run = run_tap(config(api, thing(one), thing(other)))
        assert run.returncode == 1
        assert run.said(f"streams {one!r} and {other!r}", "they become one table", repr(table), "another table_name")
        assert api.asked == []
        both = run_tap(config(api, thing(one, table_name="first"), thing(other, table_name="second")))
        assert both.returncode == 0, both.stderr
        assert both.records.keys() == {"first", "second"}


def test_that_is_what_a_target_does() -> None:
    def table(stream: str) -> object:
        sink = PostgresSink.__new__(PostgresSink)
        sink.stream_name = stream
        return sink.table_name

    assert table("work-orders") == table("purchase-orders") == table("orders") == "orders"
    assert table("work_orders") == "work_orders"


@pytest.mark.parametrize(
    ("maps", "is_refused"),
    [
        ({"one": {"__alias__": "work-orders"}, "other": {"__alias__": "purchase-orders"}}, True),
        ({"*": {"__alias__": "'raw-' + __stream_name__"}}, False),
        ({"one": {"__alias__": "orders"}, "other": {"__alias__": "orders"}}, False),
        ({"One": {"__source__": "one"}}, True),
        ({"One": {"__source__": "one"}, "one": None}, False),
        ({"one": {"__alias__": "ONE"}, "oth*": {"__alias__": "One"}}, True),
        ({"Other": {"__source__": "one"}, "__else__": None}, False),
    ],
    ids=str,
)
def test_aliases_count(maps: dict[str, Any], *, is_refused: bool) -> None:
    with served() as api:
        run = run_tap(config(api, thing("one"), thing("other"), stream_maps=maps))
    assert run.returncode == int(is_refused), run.stderr
    assert run.said("they become one table") == is_refused


def test_a_parent_that_is_not_emitted_is_no_table() -> None:
    with served() as api:
        run = run_tap(config(api, thing("Orders", selected=False), thing("orders")))
    assert run.returncode == 0, run.stderr


def test_a_name_that_targets_take_for_two_is_warned_of() -> None:
    with served() as api:
        run = run_tap(config(api, thing("work-orders")))
    assert run.returncode == 0, run.stderr
    assert run.said("work-orders: SQL targets take", "the table orders", "Set table_name, such as work_orders.")


MASK = {"secret": "md5(secret)"}


@pytest.mark.parametrize(
    ("maps", "says"),
    [
        ({"thigns": MASK}, "stream_maps.thigns: 'thigns' matches no stream; did you mean things?"),
        ({"nothing-like-*": MASK}, "stream_maps.nothing-like-*: 'nothing-like-*' matches no stream; valid are things"),
        ({"copy": {"__source__": "thing", **MASK}}, "stream_maps.copy.__source__: 'thing' matches no stream"),
        ({"workers": MASK}, "stream_maps.workers: 'workers' matches no stream"),
        ({"thigns": None}, "stream_maps.thigns: 'thigns' matches no stream"),
    ],
    ids=str,
)
def test_a_stream_map_that_matches_no_stream_is_refused(maps: dict[str, Any], says: str) -> None:
    with served() as api:
        run = run_tap(config(api, thing("things"), stream_maps=maps))
        assert run.returncode == 1
        assert run.said(says), run.stderr
        assert api.asked == []


@pytest.mark.parametrize(
    "maps",
    [
        {"th*": MASK},
        {"copy": {"__source__": "th*", **MASK}, "things": None},
        {"things": MASK, "__else__": None},
        {"things": MASK, "registrations_initial": {"__alias__": "registrations"}},
    ],
    ids=str,
)
def test_a_stream_map_that_matches_is_applied(maps: dict[str, Any]) -> None:
    with served() as api:
        run = run_tap(config(api, thing("things"), stream_maps=maps))
    assert run.returncode == 0, run.stderr
    assert [record["secret"] for records in run.records.values() for record in records] == [
        "03c7c0ace395d80182db07ae2c30f034"
    ]


ROWS: list[dict[str, Any]] = [
    {"id": 1, "first": "Ada", "last": "L"},
    {"id": 2, "last": "M"},
    {"id": 3, "first": None, "last": "N"},
]
TEXT = {"type": ["string", "null"]}
SCHEMA = {"properties": {"id": {"type": "integer"}, "first": TEXT, "last": TEXT}}


@pytest.mark.parametrize("expression", ["first or last", "record['first'] or last", "_['first'] or _['last']"])
def test_a_field_that_a_record_lacks_is_null_in_a_stream_map(expression: str) -> None:
    with Api(lambda _: ROWS) as api:
        maps = {"things": {"name": expression, "__filter__": "first != 'Bob'"}}
        run = run_tap(config(api, thing("things", schema=SCHEMA), stream_maps=maps))
    assert run.returncode == 0, run.stderr
    assert [record["name"] for record in run.records["things"]] == ["Ada", "M", "N"]
    assert [list(record) for record in run.records["things"]] == [[*row, "name"] for row in ROWS]


@pytest.mark.parametrize(
    ("expression", "says"),
    [("int(last)", "ValueError"), ("frist", "'frist' is not defined"), ("last + 1", "TypeError")],
)
def test_a_stream_map_that_fails_names_stream_and_record_and_no_value(expression: str, says: str) -> None:
    rows = [{"id": 1, "last": "1"}, {"id": 2, "last": "customer-4711"}]
    with Api(lambda _: rows) as api:
        maps = {"things": {"number": expression}}
        run = run_tap(config(api, thing("things", schema=SCHEMA), stream_maps=maps))
    assert run.returncode == 1
    number = 2 if expression == "int(last)" else 1
    assert run.said("Failed: things: GET things", f"record {number} of the stream: a stream map of it fails", says)
    assert len(run.records["things"]) == number - 1
    assert "customer-4711" not in run.stderr

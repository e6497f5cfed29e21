"""Trouble on the way and in the body: what passes costs nothing, what lasts is said once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault
from tests.conftest import shipped
from tests.faults.matrix import PATH, Row, both, params
from tests.singer import Started

if TYPE_CHECKING:
    from sandbox import Sandbox

IMPATIENT = {"request_timeout": 0.4}
# What goes wrong; the kind of the fault, with its options; what the user reads when it lasts.
TROUBLE: list[tuple[str, Fault, tuple[str, ...]]] = [
    ("Connection reset before the answer", Fault("reset"), ("failed:",)),
    ("Connection reset within the body", Fault("reset_in_body"), ("failed:",)),
    ("No answer to the request", Fault("silence"), ("no complete answer within 0.4 s", "request_timeout")),
    ("The body stops half-way, the connection stays", Fault("silence_in_body"), ("no complete answer within 0.4 s",)),
    ("The body comes byte by byte", Fault("drip", bytes_per_second=20), ("no complete answer within 0.4 s",)),
    ("The body is shorter than its `Content-Length`", Fault("long_content_length"), ("broke off",)),
    ("A chunked body is cut off", Fault("cut_chunked"), ("broke off",)),
    ("A gzip body is cut off", Fault("cut_gzip"), ("not JSON", "truncated")),
    ("The body is empty", Fault("empty_body"), ("0 bytes of application/json", "not JSON")),
    ("The body is no JSON", Fault("invalid_json"), ("not JSON", '{"data":[{"id":"1",,}]}')),
    ("The body is not UTF-8", Fault("invalid_utf8"), ("not UTF-8",)),
    ("An HTML page with status 200", Fault("html"), ("text/html", "not JSON", "Down for maintenance")),
    ("A number is `NaN`", Fault("nan"), ("not JSON", "NaN")),
    ("A number is `Infinity`", Fault("infinity"), ("not JSON",)),
]

FINE = [
    Row(what="A byte-order mark before the body", faults=(Fault("bom", PATH),), requests=1),
]


def _rows() -> list[Row]:
    rows = []
    for what, fault, says in TROUBLE:
        for often, times in (("once", 1), ("twice", 2)):
            rows.append(
                Row(
                    what=f"{what}, {often}",
                    faults=(replace(fault, path=PATH, times=times),),
                    config=IMPATIENT,
                    requests=times + 1,
                    says=("Try 2 of 4",),
                )
            )
        rows.append(
            Row(
                what=f"{what}, for ever",
                faults=(replace(fault, path=PATH, times=None),),
                config=IMPATIENT | {"max_retries": 1},
                exit_code=1,
                records="none",
                requests=2,
                says=("Failed: workers: GET /v1/master/workers", *says),
            )
        )
    return rows


ROWS = [*_rows(), *FINE]


@pytest.mark.parametrize("row", params(ROWS))
def test_transport(row: Row) -> None:
    both(row)


def test_a_name_twice_in_a_record_leaves_as_it_came(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.misbehave(Fault("duplicate_keys", PATH))
    started = Started(config | {"resources": [shipped("workers")]})
    assert started.process.wait(30) == 0
    records = [message["record"] for message in map(json.loads, started.lines) if message["type"] == "RECORD"]
    # As every reader does, Python takes the last.
    assert [record["id"] for record in records] == [record["id"] for record in sandbox.world.records("workers")]
    with pytest.raises(AssertionError, match="a name twice in one object"):
        started.finish()

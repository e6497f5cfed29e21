"""Appending by a cursor: what one run has emitted, no later run emits again."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.clock import NOW
from tests.faults.api import Api, config
from tests.singer import Started

if TYPE_CHECKING:
    from datetime import datetime

    from tests.faults.api import Asked

Words = dict[str, Any]

RUNS = 5


def things(at: str, **words: object) -> Words:
    kind = {"type": "string", "format": "date-time"} if at == "at" else {"type": "integer"}
    properties = {"id": {"type": "integer"}, at: kind, "served": {"type": "integer"}}
    incremental = {"cursor_path": at, "start_param": "since"}
    endpoint = {"path": "things", "data_selector": "data", "paginator": "single_page", "incremental": incremental}
    return {
        "name": "things",
        "write_disposition": "append",
        "schema": {"properties": properties},
        "endpoint": endpoint,
        **words,
    }


def written(instant: datetime, at: str) -> object:
    return instant.isoformat().replace("+00:00", "Z") if at == "at" else int(instant.timestamp())


@pytest.mark.parametrize("at", ["at", "updated_at_epoch"])
@pytest.mark.parametrize("later", [timedelta(seconds=5), timedelta(minutes=10), timedelta(days=900)], ids=str)
def test_rows_that_are_newer_than_the_run_are_appended_once(later: timedelta, at: str) -> None:
    rows: list[Words] = []

    def answer(asked: Asked) -> object:
        since = asked.params.get("since", "" if at == "at" else "0")
        return {"data": [row for row in rows if row[at] >= (since if at == "at" else int(since))]}

    appended: list[int] = []
    state = None
    with Api(answer) as api:
        for number in range(RUNS):
            now = NOW + timedelta(hours=number)
            rows += [{"id": 2 * number + n, at: written(now + n * later, at)} for n in (0, 1)]
            run = Started(config(api, things(at)), state=state, clock=now).finish()
            assert run.returncode == 0, run.stderr
            appended += [record["id"] for record in run.records["things"]]
            state = run.state
    assert sorted(appended) == [row["id"] for row in rows]


def test_a_row_is_known_again_by_its_key_whatever_else_changes_in_it() -> None:
    served = count()
    rows = [{"id": number, "at": written(NOW - timedelta(days=1), "at")} for number in range(3)]
    appended: list[int] = []
    state = None
    with Api(lambda _: {"data": [{**row, "served": next(served)} for row in rows]}) as api:
        for number in range(RUNS):
            run = Started(config(api, things("at", primary_key="id")), state=state).finish()
            appended += [record["id"] for record in run.records["things"]]
            state = run.state
            rows[number % 2] |= {"at": written(NOW - timedelta(hours=20 - number), "at")}
    # Each change of the cursor is a new row; the last one comes after the last run.
    assert appended == [0, 1, 2, 0, 1, 0, 1]

"""The values of cursors: each is sent back in the form that the API has for it, whichever road its records leave by."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.clock import NOW
from tests.faults.api import Api, Asked, Reply, config
from tests.singer import run_tap

FORMS = {
    "a space": ("2026-02-05 04:05:06", "2026-02-05 04:05:07"),
    "local time": ("2026-02-05T04:05:06", "2026-02-05T04:05:07"),
    "compact": ("20260205T040506Z", "20260205T040507Z"),
    "seven digits": ("2026-02-05T04:05:06.1200000", "2026-02-05T04:05:06.1200001"),
    "an offset": ("2026-02-05T06:05:06+02:00", "2026-02-05T06:05:07+02:00"),
    "a short offset": ("2026-02-05 06:05:06+02", "2026-02-05 06:05:07+02"),
    "lower case": ("2026-02-05t04:05:06z", "2026-02-05t04:05:07z"),
    "a day": ("2026-02-05", "2026-02-06"),
}

ROADS: dict[str, dict[str, Any]] = {
    "as they came": {},
    "through the SDK": {"stream_maps": {"things": {"__filter__": "True"}}},
}


def things(kind: dict[str, Any] | None, **words: object) -> dict[str, Any]:
    words |= {"schema": {"properties": {"id": {"type": "integer"}, "at": kind}}} if kind else {}
    incremental = {"cursor_path": "at", "start_param": "since"}
    endpoint = {"path": "things", "data_selector": "$", "paginator": "single_page", "incremental": incremental}
    return {"name": "things", "primary_key": "id", "endpoint": endpoint, **words}


MOMENT = {"type": ["string", "null"], "format": "date-time"}


@pytest.mark.parametrize(
    ("kind", "road"),
    [(MOMENT, "as they came"), (MOMENT, "through the SDK"), (None, "as they came")],
    ids=["declared", "declared, through the SDK", "inferred"],
)
def test_a_cursor_is_sent_back_as_the_api_writes_it(kind: dict[str, Any] | None, road: str) -> None:
    """The server takes one form only, and compares text, as a database does that has the column as text."""
    for form, (old, new) in FORMS.items():
        if form == "a day" and kind is not None:
            continue
        rows = [{"id": 1, "at": old}]

        def answer(asked: Asked, old: str = old, rows: list[Any] = rows) -> object:
            since = asked.params.get("since", "")
            if since not in {"", old}:
                return Reply({"message": f"{since} is not valid"}, status=400)
            return [row for row in rows if row["at"] >= since]

        with Api(answer) as api:
            settings = config(api, things(kind), lookback_days=0, **ROADS[road])
            first = run_tap(settings)
            assert first.returncode == 0, (form, first.stderr)
            rows.append({"id": 2, "at": new})
            second = run_tap(settings, state=first.state)
            assert second.returncode == 0, (form, second.stderr)
            assert [record["id"] for record in second.records["things"]] == [1, 2], form


@pytest.mark.parametrize("hours", [2, -5])
def test_local_times_without_an_offset_lose_and_double_nothing(hours: int) -> None:
    """Taken as UTC, the times of a server east of Greenwich are in the future, and those of one west of it past."""

    def local(minutes: int) -> str:
        return f"{NOW + timedelta(hours=hours, minutes=minutes):%Y-%m-%d %H:%M:%S}"

    rows: list[dict[str, Any]] = [{"id": 1, "at": local(-60)}, {"id": 2, "at": local(-1)}]
    with Api(lambda asked: [row for row in rows if row["at"] >= asked.params.get("since", "")]) as api:
        settings = config(api, things(MOMENT, write_disposition="append"))
        first = run_tap(settings)
        assert first.said("The API sends timestamps without a UTC offset; they are taken as UTC.")
        rows.append({"id": 3, "at": local(1)})
        second = run_tap(settings, state=first.state)
        third = run_tap(settings, state=second.state)
    came = [[record["id"] for record in run.records["things"]] for run in (first, second, third)]
    assert came == [[1, 2], [3], []]


@pytest.mark.parametrize("road", ROADS)
def test_a_new_row_without_a_cursor_is_told_at_the_first_sight(road: str) -> None:
    rows = [{"id": 1, "at": "2026-02-05T04:05:06Z"}, {"id": 2, "at": None}, {"id": 3, "at": None}]
    with Api(lambda _: rows) as api:
        run = run_tap(config(api, things(MOMENT), **ROADS[road]))
    assert [record["id"] for record in run.records["things"]] == [1, 2, 3]
    (line,) = run.problems
    assert "without a usable at, the cursor; they are emitted whatever the bookmark" in line
    assert "An API that filters by it may not send them again." in line

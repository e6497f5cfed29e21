"""What `--plan` shows of a run without sending anything, and how it reads a state."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.clock import NOW
from tests.singer import COLD, Run, catalog_of, run_tap, stream_names

TODAY = NOW.date()
DAY = timedelta(days=1)
BEFORE = TODAY - DAY

SECRET, HIDDEN = "sup3rs3cret-key", "hidd3n-value"

CONFIG = {"base_url": "http://127.0.0.1:1/api", "api_key": SECRET}
"""Settings with which every request would fail."""

INITIAL, TAIL = "registrations_initial", "registrations_incremental"


def plan(config: dict[str, Any] | None = None, *, width: int = 200, **given: Any) -> Run:  # noqa: ANN401 - what run_tap takes
    env = {"COLUMNS": str(width)} | given.pop("env", {})
    run = run_tap(CONFIG | (config or {}), args=["--plan"], env=env, **given)
    assert run.returncode == 0, run.stderr
    assert run.problems == []
    assert run.stdout.splitlines()[-1] == "Nothing was sent."
    return run


def blocks(run: Run) -> dict[str, list[str]]:
    """Return what is shown of each stream: its bookmark, and the lines below that with single blanks."""
    shown: dict[str, list[str]] = {}
    for line in run.stdout.splitlines()[:-1]:
        if line.startswith(" "):
            shown[list(shown)[-1]].append(" ".join(line.split()))
        else:
            name, _, bookmark = line.partition(": ")
            shown[name] = [bookmark]
    return shown


def declared(*resources: dict[str, Any]) -> dict[str, Any]:
    return {
        "base_url": None,
        "api_key": None,
        "client": {"base_url": CONFIG["base_url"], "auth": {"type": "bearer", "token": SECRET}},
        "resources": list(resources),
    }


def things(**incremental: object) -> dict[str, Any]:
    return {"name": "things", "endpoint": {"path": "things", "paginator": "single_page", "incremental": incremental}}


def state(**bookmarks: dict[str, Any]) -> dict[str, Any]:
    return {"bookmarks": bookmarks}


def test_the_first_run_of_the_shipped_streams() -> None:
    start = TODAY - 70 * DAY
    shown = blocks(plan({"start_date": str(start)}))
    assert list(shown) == stream_names()
    assert shown["workers"] == [
        "no bookmark",
        "road everything in every run; records leave as they came",
        "first request GET /v1/master/workers",
    ]
    first = start + 29 * DAY
    params = f"date={start:%Y%m%d}, days_from_date=30, filter_date_by=CREATED, offset=0, limit=10000"
    assert shown[INITIAL] == [
        "no bookmark",
        "road everything once, in windows of 30 days; records leave as they came",
        f"windows 3, {start} to {TODAY + DAY}; first created {start} to {first}",
        f"first request GET /v1/transactional/registrations ({params})",
    ]
    assert shown[TAIL][0].startswith("no bookmark; records from ")
    assert "filter_date_by=UPDATED" in shown[TAIL][-1]


@pytest.mark.parametrize(("days", "window"), [(1, 2), (120, 5), (121, 6), (150, 6)])
def test_a_backfill_goes_on_in_the_middle_of_its_windows(days: int, window: int) -> None:
    start = TODAY - 300 * DAY
    until = start + days * DAY
    kept = {
        "backfill_began": f"{BEFORE}T00:00:00Z",
        "backfill_start": str(start),
        "backfill_until": str(until),
        "backfill_end": None,
        "backfill_completed": False,
    }
    run = plan({"start_date": str(start)}, state=state(**{INITIAL: kept}), catalog=catalog_of(INITIAL))
    bookmark, *lines = blocks(run)[INITIAL]
    left = -(-(TODAY + 2 * DAY - until).days // 30)
    assert bookmark == f"window {window} of {window - 1 + left}, up to {until}"
    assert lines[1].startswith(f"windows {left}, {until} to {TODAY + DAY}; ")


def test_a_state_is_read_in_words() -> None:
    complete: dict[str, Any] = {
        "backfill_began": f"{BEFORE}T00:00:00Z",
        "backfill_until": str(BEFORE),
        "backfill_completed": True,
    }
    tail = {"replication_key": "updatedTimestamp", "replication_key_value": f"{BEFORE}T01:00:00Z"}
    tail |= {"last_sync": f"{BEFORE}T02:00:00Z"}
    kept = state(**{INITIAL: complete, TAIL: tail, "other": {"at": 1}})
    run = plan(state={"value": kept}, catalog=catalog_of(INITIAL, TAIL))
    shown = blocks(run)
    assert shown[INITIAL][0] == f"complete, up to {BEFORE}"
    assert "windows none" in shown[INITIAL]
    assert any(line.startswith("note The backfill that began") for line in shown[INITIAL])
    assert shown[TAIL][0] == (
        f"updatedTimestamp {BEFORE}T01:00:00Z; records from {BEFORE - DAY}T01:00:00Z on are emitted; "
        f"last read to its end by the run of {BEFORE}T02:00:00Z"
    )
    assert "The state also knows other, which is not read." in run.stdout


@pytest.mark.parametrize(
    ("words", "kept", "bookmark", "params"),
    [
        pytest.param({"initial_value": 0}, None, "no bookmark", "after=0", id="numbers first"),
        pytest.param({"initial_value": 0, "lag": 2}, 712, "at 712", "after=710", id="numbers"),
        pytest.param(
            {"initial_value": "2019-01-01T00:00:00Z", "lag": 60},
            "2020-05-01T00:00:00Z",
            "at 2020-05-01T00:00:00Z",
            "after=2020-04-30T23:59:00Z",
            id="timestamps",
        ),
        pytest.param({"end_value": 9, "initial_value": 1}, 5, "no bookmark", "after=1", id="with an end"),
    ],
)
def test_a_cursor_is_read_by_its_own_values_where_no_schema_is_known(
    words: dict[str, Any], kept: object, bookmark: str, params: str
) -> None:
    before = None if kept is None else state(things={"replication_key": "at", "replication_key_value": kept})
    config = declared(things(cursor_path="at", start_param="after", **words))
    block = blocks(plan(config, state=before))["things"]
    assert block[0] == bookmark
    assert block[1].startswith("road what is new by at")
    assert block[1].endswith("before, a sample of up to 1,000 records is read for the schema")
    assert block[-1] == f"first request GET things ({params})"


def test_dates_are_read_as_dates_where_no_schema_is_known() -> None:
    kept = {"replication_key": "at", "replication_key_value": "2020-05-03T00:00:00Z", "cursor_value": "2020-05-03"}
    config = declared(things(cursor_path="at", start_param="after", lag=2))
    assert blocks(plan(config, state=state(things=kept)))["things"][-1].endswith("(after=2020-05-01)")


def test_a_bookmark_that_is_not_used_is_said_to_be_so() -> None:
    kept = {"replication_key": "other", "replication_key_value": 5}
    config = declared(things(cursor_path="at", initial_value=0) | {"write_disposition": "replace"})
    block = blocks(plan(config, state=state(things=kept)))["things"]
    assert "note The bookmark in the state is of other; the stream starts over." in block
    assert "note write_disposition is replace: the bookmark in the state is not used." in block


def test_parents_that_are_not_emitted_are_read_for_their_children() -> None:
    users = {"name": "users", "selected": False, "endpoint": {"path": "users", "paginator": "page_number"}}
    posts = {"name": "posts", "endpoint": "users/{resources.users.id}/posts"}
    shown = blocks(plan(declared(users, posts)))
    assert list(shown) == ["users", "posts"]
    assert shown["users"][1:] == [
        "road everything in every run; read for its children, not emitted",
        "first request GET users (page=0)",
    ]
    assert shown["posts"][2:] == [
        "windows all records, for each record of users",
        "first request GET users/{resources.users.id}/posts",
    ]


def test_no_secret_is_shown() -> None:
    endpoint = {"path": "search", "method": "POST", "json": {"q": "é", "secret": HIDDEN}, "params": {"token": SECRET}}
    run = plan(declared({"name": "found", "endpoint": endpoint}), env={"PYTHONIOENCODING": "ascii"}, command=COLD)
    assert 'first request POST search (token=***) with {"q":"\\xe9","secret":"***"}' in blocks(run)["found"]
    assert SECRET not in run.stdout + run.stderr
    assert HIDDEN not in run.stdout + run.stderr


def test_a_stream_map_tells_its_road_and_needs_no_schema() -> None:
    upper = {"name": "name.upper()"}
    shown = blocks(plan({"stream_maps": {"workers": upper}}, catalog=catalog_of("workers")))
    assert shown["workers"][1].endswith("records are decoded one by one: stream_maps change them")
    declaration = {"name": "things", "primary_key": "id", "endpoint": "things"}
    assert list(blocks(plan(declared(declaration) | {"stream_maps": {"things": upper}}))) == ["things"]


def test_a_catalog_that_asks_for_everything() -> None:
    catalog = catalog_of(TAIL)
    for stream in catalog["streams"]:
        stream["replication_method"] = "FULL_TABLE"
    kept = {"replication_key": "updatedTimestamp", "replication_key_value": f"{BEFORE}T01:00:00Z"}
    block = blocks(plan(catalog=catalog, state=state(**{TAIL: kept})))[TAIL]
    assert block[0] == "no bookmark"
    assert block[1].startswith("road everything in every run")


def test_lines_are_folded_to_the_terminal() -> None:
    run = plan({"start_date": str(TODAY - 70 * DAY)}, width=60)
    assert max(map(len, run.stdout.splitlines())) <= 60
    assert run.stdout.count("first request") == len(stream_names())

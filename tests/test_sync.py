"""What the server has comes out: each record once, in order, and as it was sent."""

from __future__ import annotations

import gzip
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from demo.project import PATHS, TABLES
from sandbox import Fault, Sandbox
from tests.conftest import settings, shipped
from tests.singer import COLD, Run, catalog_of, exact, run_tap

if TYPE_CHECKING:
    from collections.abc import Sequence

TAILS = [name for name in PATHS if name.endswith("_incremental")]
RESOURCES = {name: path.rpartition("/")[2] for name, path in PATHS.items() if name not in TAILS}
MASTER = [name for name, path in PATHS.items() if "/master/" in path]

WICKED = r"""{
  "id": "wicked", "worker": "J\u00fcrgen \"\u65e5\u672c\" \ud83d\ude00 \/ \\ \n\t\u0000\u001f\u007f",
  "workerId": "LINE SEPARATOR🌱 é é", "workerGroup": "", "task": "null",
  "workerHourlyRate": 12345678901234567890.123456789,
  "rowFloorArea": 6.5591,
  "stepCounter": 123456789012345678901234567890,
  "laborCost": -0.0,
  "workerLabels": [
    "one",
    "two\r\n"  ,
    ""
  ],
  "taskGroups": [  ],
  "isArchived": null,
  "updatedTimestamp": "2026-05-01T00:00:00.123456789+02:00"
}""".replace("LINE SEPARATOR", "\u2028\u0085").encode()
MORE_WICKED = (
    b'{"updatedTimestamp":"2026-05-01T00:00:00Z","stepCounter":1e400,"laborCost":0.1000,"rowFloorArea":1E-7,'
    b'"workerHourlyRate":-98765432109876543210,"id":"more"}'
)


def written(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return records as they are written: the one timestamp with an offset is the same instant in UTC."""
    in_utc = {"2026-05-01T00:00:00.123456789+02:00": "2026-04-30T22:00:00.123456789Z"}
    return [
        {name: in_utc.get(value, value) if isinstance(value, str) else value for name, value in record.items()}
        for record in records
    ]


def assert_whole(run: Run, sandbox: Sandbox, *streams: str) -> None:
    """Compare what came out with what the server has, digit by digit and in its order."""
    assert run.returncode == 0, run.stderr
    for stream in streams or RESOURCES:
        records = written(sandbox.world.records(RESOURCES[stream]))
        assert exact(run.records[stream]) == exact(records), stream


@pytest.fixture(scope="module")
def served(way_out: str) -> Any:  # noqa: ANN401 - a generator of pairs
    """Return a server, and a run with nothing but the required settings, made anew for each road."""
    del way_out
    with Sandbox(days=20, registrations=120, sessions=60, workers=12, rows=15) as sandbox:
        yield sandbox, run_tap(settings(sandbox))


# What arrives


def test_every_record_of_every_stream_comes_out_once_and_equal(served: tuple[Sandbox, Run]) -> None:
    sandbox, run = served
    assert_whole(run, sandbox)
    assert run.records.keys() == {*RESOURCES, *TAILS}
    assert not run.problems


def test_runs_take_the_road_that_they_are_told_to(served: tuple[Sandbox, Run], way_out: str) -> None:
    _, run = served
    records = [message for message in run.messages if message["type"] == "RECORD"]
    times = {message["time_extracted"] for message in records if message["stream"] == "registrations_initial"}
    # The SDK tells the time of each record, the other road that of the page.
    assert (len(times) == 1) == (way_out == "as they came")


@pytest.mark.parametrize(
    "command", [COLD, [str(Path(sys.executable).with_name("tap-analytics"))]], ids=["module", "script"]
)
def test_the_command_says_the_same_however_it_is_started(
    sandbox: Sandbox, config: dict[str, Any], command: Sequence[str]
) -> None:
    run = run_tap(config, command=command)
    assert_whole(run, sandbox)
    assert exact(run.records) == exact(run_tap(config).records)


def test_each_stream_ends_with_a_state_that_differs_from_those_before(served: tuple[Sandbox, Run]) -> None:
    _, run = served
    ends = [
        number
        for number, message in enumerate(run.messages)
        if number + 1 == len(run.messages) or run.messages[number + 1]["type"] == "SCHEMA"
    ]
    assert len(ends) == len(RESOURCES) + len(TAILS)
    states = [json.dumps(run.messages[end]["value"]) for end in ends]
    assert len(set(states)) == len(states)
    for stream in run.schemas:
        assert stream in run.state["bookmarks"]


def test_nothing_lets_a_target_delete_rows(served: tuple[Sandbox, Run]) -> None:
    _, run = served
    assert {message["type"] for message in run.messages} == {"SCHEMA", "RECORD", "STATE"}
    assert all(message["key_properties"] == ["id"] for message in run.schemas.values())


def test_small_streams_cost_one_or_two_requests(served: tuple[Sandbox, Run]) -> None:
    sandbox, _ = served
    asked: dict[str, list[dict[str, str]]] = {}
    for request in sandbox.requests:
        asked.setdefault(request.path, []).append(request.params)
    for stream in MASTER:
        assert asked[f"/v1/master/{RESOURCES[stream]}"] == [{}]
    for name in ("registrations", "sessions"):
        requests = asked[f"/v1/transactional/{name}"]
        assert len([params for params in requests if params.get("filter_date_by") == "UPDATED"]) == 1
        assert len([params for params in requests if "date" not in params]) == 2
        assert len(requests) == 3


def test_every_digit_and_character_survives(sandbox: Sandbox, config: dict[str, Any]) -> None:
    for raw in (WICKED, MORE_WICKED):
        sandbox.world.put("registrations", raw)
    run = run_tap(config, catalog=catalog_of("registrations_initial"))
    assert_whole(run, sandbox, "registrations_initial")
    for digits in ("12345678901234567890.123456789", "123456789012345678901234567890", "-0.0", "0.1000"):
        assert f":{digits}," in run.stdout


@pytest.mark.parametrize(
    "change",
    [
        {"flattening_enabled": True, "flattening_max_depth": 1},
        {"stream_maps": {"registrations_initial": {"doubled": "id + id"}}},
        {"stream_maps": {"registrations_initial": {"__filter__": "True"}}},
    ],
    ids=["flattening", "new field", "filter"],
)
def test_every_digit_survives_where_records_are_changed(
    sandbox: Sandbox, config: dict[str, Any], change: dict[str, Any]
) -> None:
    sandbox.world.clear("registrations")
    for raw in (WICKED, MORE_WICKED):
        sandbox.world.put("registrations", raw)
    run = run_tap(config | change, catalog=catalog_of("registrations_initial"))
    assert run.returncode == 0, run.stderr
    records = written(sandbox.world.records("registrations"))
    for emitted, sent in zip(run.records["registrations_initial"], records, strict=True):
        for name in sent:
            if isinstance(sent[name], list) and change.get("flattening_enabled"):
                assert json.loads(emitted[name]) == sent[name]
            else:
                assert emitted[name] == sent[name], name
    for digits in ("12345678901234567890.123456789", "-0.0", "0.1000"):
        assert f":{digits}," in run.stdout


def test_one_record_of_an_unexpected_type_does_not_blur_the_others(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.world.put("registrations", WICKED)
    sandbox.world.put("registrations", MORE_WICKED)
    sandbox.world.put("sessions", b'{"id":"odd","count":"many","workerLabels":"none","isArchived":0}')
    run = run_tap(config, catalog=catalog_of("registrations_initial"))
    assert_whole(run, sandbox, "registrations_initial")


@pytest.mark.parametrize("gzip_answers", [False, True])
def test_the_key_travels_where_it_is_told(
    auth_location: Literal["header", "query"],
    gzip_answers: bool,  # noqa: FBT001
) -> None:
    key = "k+e/y & ü=%41#?" if auth_location == "query" else "k+e/y & =%41#?"
    with Sandbox(
        auth_location=auth_location,
        auth_name="X-Token",
        api_key=key,
        gzip=gzip_answers,
        days=5,
        registrations=20,
        sessions=10,
    ) as sandbox:
        run = run_tap(settings(sandbox, auth_location=auth_location, auth_name="X-Token"))
        assert_whole(run, sandbox)
        for request in sandbox.requests:
            assert request.authorized
            assert (request.params.get("X-Token") == key) is (auth_location == "query")
            assert ("X-Token" in request.headers) is (auth_location == "header")


@pytest.mark.parametrize("path", ["", "/", "/deep/er", "/deep/er/"])
def test_a_base_url_may_carry_a_path(sandbox: Sandbox, config: dict[str, Any], path: str) -> None:
    run_tap(config | {"base_url": sandbox.url + path}, catalog=catalog_of("users"))
    assert [request.path for request in sandbox.requests] == [path.rstrip("/") + "/v1/master/users"]


# The selector


def test_one_object_is_one_record() -> None:
    with Sandbox(client_as_object=True, days=5, registrations=5, sessions=5) as sandbox:
        run = run_tap(settings(sandbox), catalog=catalog_of("clients"))
        assert_whole(run, sandbox, "clients")


@pytest.mark.parametrize("body", ['{"data":null}', '{"data":[]}', '{"data": [ \n ], "meta": {}}', '\ufeff{"data":[]}'])
def test_null_and_an_empty_list_are_no_records(sandbox: Sandbox, config: dict[str, Any], body: str) -> None:
    sandbox.misbehave(Fault("body", "/v1/*/[wr]*", times=None, body=body))
    run = run_tap(config, catalog=catalog_of("workers", "registrations_initial", "registrations_incremental"))
    assert run.returncode == 0, run.stderr
    assert not any(run.records.values())
    assert not run.problems


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"meta":{}}', "data"),
        ('{"error":{"code":500,"message":"database is down"}}', "database is down"),
        ('{"data":"none"}', "data"),
        ('{"data":7}', "data"),
        ("[]", "data"),
        ('{"data":[7]}', "record 1"),
        ('{"data":[{"id":"a"},null]}', "record 2"),
        ('{"data":[{"id":"a"},{"name":"no key"}]}', "record 2"),
        ('{"data":[{"id":null}]}', "id"),
        ('{"data":{"id":{}}}', "id"),
    ],
)
def test_an_answer_without_what_was_asked_for_is_an_error_that_says_so(
    sandbox: Sandbox, config: dict[str, Any], body: str, words: str
) -> None:
    sandbox.misbehave(Fault("body", "/v1/master/users", times=None, body=body))
    run = run_tap(config, catalog=catalog_of("users", "workers"))
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert run.said("ERROR", "users", "GET /v1/master/users", words)
    assert_whole(Run(0, "", "", run.messages), sandbox, "workers")
    assert len([request for request in sandbox.requests if request.path.endswith("users")]) == 1


# Pages


@pytest.mark.parametrize("cap", [2, 7, 119, 120])
@pytest.mark.parametrize("max_in_flight", [1, 4])
def test_a_walk_steps_by_what_arrives(cap: int, max_in_flight: int) -> None:
    with Sandbox(page_cap=cap, days=20, registrations=120, sessions=1) as sandbox:
        run = run_tap(settings(sandbox, max_in_flight=max_in_flight), catalog=catalog_of("registrations_initial"))
        assert_whole(run, sandbox, "registrations_initial")
        assert not run.problems


@pytest.mark.parametrize("size", [9_999, 10_000, 10_001, 10_050])
def test_the_overflow_of_a_single_page_is_followed_by_offset(
    sandbox: Sandbox, config: dict[str, Any], size: int
) -> None:
    sandbox.world.clear("tasks")
    for number in range(size):
        sandbox.world.put("tasks", b'{"id":"%d"}' % number)
    run = run_tap(config, catalog=catalog_of("tasks"))
    assert [record["id"] for record in run.records["tasks"]] == [str(number) for number in range(size)]
    assert run.returncode == 0, run.stderr
    assert sandbox.requests[0].params == {}
    assert all(request.params["limit"] == "10000" for request in sandbox.requests[1:])
    assert (len(sandbox.requests) > 1) is (size >= 10_000)


def test_requests_in_flight_are_no_more_than_allowed() -> None:
    with Sandbox(page_cap=10, latency=0.02, days=20, registrations=300, sessions=1) as sandbox:
        run = run_tap(settings(sandbox, max_in_flight=3), catalog=catalog_of("registrations_initial"))
        assert_whole(run, sandbox, "registrations_initial")
        assert {request.in_flight for request in sandbox.requests} == {1, 2, 3}


def test_one_request_in_flight_is_strictly_one_after_the_other() -> None:
    with Sandbox(page_cap=50, latency=0.005, days=40, registrations=200, sessions=30) as sandbox:
        start = (sandbox.now.date()).replace(month=5).isoformat()
        run = run_tap(settings(sandbox, max_in_flight=1, start_date=start, window_days=10))
        assert run.returncode == 0, run.stderr
        assert {request.in_flight for request in sandbox.requests} == {1}


# Fields


def test_unknown_fields_are_dropped_with_one_warning_that_names_them(sandbox: Sandbox, config: dict[str, Any]) -> None:
    known = sandbox.world.records("workers")
    for number, record in enumerate(known):
        extra = {"shoeSize": number, "badge": {"colour": "red"}} if number != 3 else {'quote"d\n': [1], "ünï": None}
        sandbox.world.put("workers", record | extra)
    run = run_tap(config, catalog=catalog_of("workers"))
    assert run.returncode == 0, run.stderr
    assert exact(run.records["workers"]) == exact(known)
    warnings = [line for line in run.problems if "shoeSize" in line]
    assert len(warnings) == 1
    assert "badge" in warnings[0]
    assert "workers" in warnings[0]


def test_deselected_streams_and_fields_cost_nothing(sandbox: Sandbox, config: dict[str, Any]) -> None:
    without = ["notes", "hourlyRate", "labelIds", "id"]
    run = run_tap(config, catalog=catalog_of("workers", without={"workers": without}))
    assert run.returncode == 0, run.stderr
    assert run.records.keys() == {"workers"}
    gone = set(without) - {"id"}
    assert not gone & run.schemas["workers"]["schema"]["properties"].keys()
    expected = [
        {name: value for name, value in record.items() if name not in gone}
        for record in sandbox.world.records("workers")
    ]
    assert exact(run.records["workers"]) == exact(expected)
    assert [request.path for request in sandbox.requests] == ["/v1/master/workers"]


def test_fields_that_a_record_lacks_stay_lacking(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.world.put("users", {"id": "bare"})
    sandbox.world.put("users", {"notes": None, "id": "backwards"})
    run = run_tap(config, catalog=catalog_of("users"))
    assert run.records["users"][-2:] == [{"id": "bare"}, {"notes": None, "id": "backwards"}]


# What the SDK gives


MAPS = {
    "stream_maps": {f"registrations_{kind}": {"__alias__": "registrations"} for kind in ("initial", "incremental")}
    | {f"sessions_{kind}": {"__alias__": "sessions"} for kind in ("initial", "incremental")},
}


def test_aliases_bring_two_streams_into_one_table(sandbox: Sandbox, config: dict[str, Any]) -> None:
    run = run_tap(config | MAPS)
    assert run.returncode == 0, run.stderr
    assert run.schemas.keys() == set(TABLES)
    for name in ("registrations", "sessions"):
        assert exact(run.records[name]) == exact(sandbox.world.records(name))
    assert {"registrations_initial", "registrations_incremental"} <= run.state["bookmarks"].keys()


@pytest.mark.parametrize("selected", ["registrations_initial", "registrations_incremental"])
@pytest.mark.parametrize("args", [[], ["--test"], ["--test=schema"]], ids=["sync", "test", "schema"])
def test_one_of_an_aliased_pair_may_be_selected_alone(
    sandbox: Sandbox, config: dict[str, Any], selected: str, args: list[str]
) -> None:
    run = run_tap(config | MAPS, catalog=catalog_of(selected), args=args)
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    if not args:
        assert exact(run.records) == exact({"registrations": sandbox.world.records("registrations")})


def test_the_connection_test_passes_and_fails_as_it_should(sandbox: Sandbox, config: dict[str, Any]) -> None:
    assert run_tap(config, args=["--test"]).returncode == 0
    sandbox.requests.clear()
    run = run_tap(config | {"api_key": "wrong"}, args=["--test"])
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert run.said("401", "Check the credentials")


def test_stream_maps_change_records(sandbox: Sandbox, config: dict[str, Any]) -> None:
    maps = {"workers": {"name": "name.upper()", "notes": None, "__filter__": "id < '8'"}}
    run = run_tap(config | {"stream_maps": maps}, catalog=catalog_of("workers"))
    assert run.returncode == 0, run.stderr
    expected = [worker for worker in sandbox.world.records("workers") if worker["id"] < "8"]
    assert [record["name"] for record in run.records["workers"]] == [worker["name"].upper() for worker in expected]
    assert all("notes" not in record for record in run.records["workers"])


def test_batches_hold_every_record(sandbox: Sandbox, config: dict[str, Any], tmp_path: Path) -> None:
    batches = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": tmp_path.as_uri()},
        "batch_size": 50,
    }
    run = run_tap(config | {"batch_config": batches}, catalog=catalog_of("registrations_initial"))
    assert run.returncode == 0, run.stderr
    files = [file for message in run.messages if message["type"] == "BATCH" for file in message["manifest"]]
    lines = [gzip.decompress(Path(file.removeprefix("file://")).read_bytes()).splitlines() for file in files]
    assert [json.loads(line) for batch in lines for line in batch] == [
        json.loads(json.dumps(record, default=float)) for record in sandbox.world.records("registrations")
    ]


@pytest.mark.parametrize("compression", ["gzip", "none", None])
@pytest.mark.parametrize("maps", [{}, {"*": {"__filter__": "True"}}], ids=["as they came", "mapped"])
def test_batches_are_packed_as_they_say(
    sandbox: Sandbox, config: dict[str, Any], compression: str | None, maps: dict[str, Any], tmp_path: Path
) -> None:
    encoding = {"format": "jsonl"} | ({"compression": compression} if compression else {})
    batches = {"encoding": encoding, "storage": {"root": tmp_path.as_uri()}}
    run = run_tap(config | {"batch_config": batches, "stream_maps": maps}, catalog=catalog_of("workers"))
    assert run.returncode == 0, run.stderr
    (message,) = (message for message in run.messages if message["type"] == "BATCH")
    assert message["encoding"] == encoding
    (file,) = tmp_path.iterdir()
    text = gzip.decompress(file.read_bytes()) if compression == "gzip" else file.read_bytes()
    assert exact([json.loads(line, parse_float=Decimal) for line in text.splitlines()]) == exact(
        sandbox.world.records("workers")
    )


@pytest.mark.skipif(sys.platform == "win32", reason="only a POSIX shell can limit the size of files")
def test_a_state_covers_only_records_that_are_in_announced_files(
    sandbox: Sandbox, config: dict[str, Any], tmp_path: Path
) -> None:
    for number in range(2_000):
        sandbox.world.put("registrations", {"id": f"{number:06}", "updatedTimestamp": "2026-05-20T00:00:00Z"})
    batches = {"encoding": {"format": "jsonl", "compression": "none"}, "storage": {"root": tmp_path.as_uri()}}
    config |= {"batch_config": batches, "start_date": "2026-05-01", "window_days": 3}
    catalog = catalog_of("registrations_initial")
    # Larger files than 40 blocks of a kilobyte fail, as on a disk that is full.
    little_room = ["bash", "-c", 'ulimit -f 40; exec "$@"', "bash", *COLD]
    first = run_tap(config, catalog=catalog, command=little_room)
    assert first.returncode == 1
    assert first.said("Failed: registrations_initial", "File too large")
    assert "backfill_until" not in first.state.get("bookmarks", {}).get("registrations_initial", {})
    for file in tmp_path.iterdir():
        file.unlink()
    second = run_tap(config, catalog=catalog, state=first.state)
    assert second.returncode == 0
    lines = [line for file in tmp_path.iterdir() for line in file.read_bytes().splitlines()]
    assert len(lines) == len(sandbox.world.records("registrations"))


def test_half_of_a_character_costs_no_record(sandbox: Sandbox, config: dict[str, Any]) -> None:
    texts = [r"cut \ud83d", r"\udc00", r"\ud83d\ude00 whole", r"\\ud83d no escape", r"\ud83d\ud83d\ude00"]
    records = ",".join(f'{{"id":"{number}","notes":"{text}"}}' for number, text in enumerate(texts))
    sandbox.misbehave(Fault("body", body=f'{{"data":[{records}]}}'.encode(), times=None))
    run = run_tap(config, catalog=catalog_of("workers"))
    assert run.returncode == 0, run.stderr
    notes = [record["notes"] for record in run.records["workers"]]
    assert notes == ["cut \ufffd", "\ufffd", "\U0001f600 whole", r"\ud83d no escape", "\ufffd\U0001f600"]
    assert [line for line in run.problems if "halves of characters" in line] == run.problems


@pytest.mark.parametrize("null", [None, "__NULL__"])
def test_a_stream_that_a_map_takes_out_and_another_puts_back_stops_no_other(
    config: dict[str, Any], null: str | None
) -> None:
    maps = {"tasks": null, "tas*": {"__alias__": "x_tasks"}}
    run = run_tap(config | {"stream_maps": maps, "resources": [shipped("labels"), shipped("tasks"), shipped("users")]})
    assert run.returncode == 0, run.stderr


def test_a_single_page_that_the_server_may_have_cut_off_is_followed() -> None:
    with Sandbox(workers=250, page_cap=100, days=1, registrations=1, sessions=1) as capped:
        run = run_tap(settings(capped, resources=[shipped("workers")]))
        assert run.returncode == 0
        assert [worker["id"] for worker in run.records["workers"]] == [
            worker["id"] for worker in capped.world.records("workers")
        ]

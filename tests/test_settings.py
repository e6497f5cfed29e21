"""Settings are refused at the door, each in one line that says what would be valid; or they work."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Fault, Sandbox
from tests.singer import PREFIX, Started, run_tap

if TYPE_CHECKING:
    from pathlib import Path

    from tests.singer import Run

# Values that are wrong, each with a word of what the complaint says of it.
WRONG: dict[str, list[tuple[object, str]]] = {
    "base_url": [
        ("", "non-empty"),
        ("ftp://127.0.0.1", "https://"),
        ("127.0.0.1:80", "https://"),
        ("http://", "https://"),
        ("http://127.0.0.1:port", "URL"),
        (" http://127.0.0.1", "https://"),
        ("http://me:word@127.0.0.1", "api_key"),
        ("http://127.0.0.1/?api_key=x", "api_key"),
        (7, 'must be text, like "https://api.example.com", not 7'),
        ("http://a b.example", "host"),
        ("http://exa\nmple.com", "host"),
        ("http://..", "host"),
        ("http://me:word@..", "api_key"),
    ],
    "api_key": [("", "empty"), ("  ", "empty"), ("with\nline", "header"), ("sleutel-één", "header"), (7.5, "text")],
    "auth_name": [
        ("", "non-empty"),
        ("api key", "header"),
        ("a:b", "header"),
        ("Host", "header"),
        (["a"], "must be text"),
    ],
    "start_date": [("soon", "2026-01-31"), ("2026-02-30", "2026-01-31"), (20260101, 'like "2026-01-31"')],
    "lookback_days": [
        (-1, "minimum"),
        (1.5, "must be a whole number, like 1, not 1.5"),
        (True, "whole number"),
        (10**9, "maximum"),
    ],
    "window_days": [(0, "minimum"), (367, "maximum"), ("7 days", "must be a whole number, like 30, not '7 days'")],
    "max_retries": [(-1, "minimum"), ("3", "not '3'")],
    "backoff_factor": [(-0.5, "-0.5 is less than"), ("fast", "number"), ("nan", "number"), ("inf", "number")],
    "retry_on_status_codes": [
        (500, "must be a list, like [429, 500, 502, 503, 504], not 500"),
        ([200], "minimum"),
        (["500"], "whole number"),
    ],
    "request_timeout": [(0, "minimum"), ("nan", "number"), ("-inf", "number"), (1e10, "maximum")],
    "max_in_flight": [(0, "minimum"), (2.5, "whole number")],
    "start_dat": [("2026-01-01", "start_date")],
    "BASE_URL": [("http://127.0.0.1", "did you mean base_url?")],
    "progress": [("yes", "progress: must be true or false, not 'yes'")],
}
ROUNDS = [
    {name: values[number] for name, values in WRONG.items() if number < len(values)}
    for number in range(max(map(len, WRONG.values())))
]


def complaints(run: Run) -> list[str]:
    """Return the errors of a run that must have refused its settings."""
    assert run.returncode not in {0, None}
    assert run.stdout == ""
    assert "Traceback" not in run.stderr
    errors = [line.split(" | ")[-1] for line in run.stderr.splitlines() if "| ERROR" in line]
    return [line for line in errors if line != "Config validation failed"]


@pytest.mark.parametrize("wrong", ROUNDS)
def test_each_wrong_setting_is_refused_in_one_line(
    sandbox: Sandbox, config: dict[str, Any], wrong: dict[str, tuple[object, str]]
) -> None:
    run = run_tap(config | {name: value for name, (value, _) in wrong.items()})
    lines = {line.split(":")[0].split("[")[0]: line for line in complaints(run)}
    assert lines.keys() == wrong.keys()
    assert len(lines) == len(complaints(run))
    for name, (_, word) in wrong.items():
        assert word in lines[name]
    assert sandbox.requests == []


WHOLE = {"encoding": {"format": "jsonl"}, "storage": {"root": "file:///nowhere"}}


@pytest.mark.parametrize(
    ("batches", "line"),
    [
        (WHOLE | {"batch_size": 0}, "batch_config.batch_size: 0 is not valid; expected 1 or more"),
        (WHOLE | {"batch_size": "many"}, "batch_config.batch_size: 'many' is not valid; expected a whole number"),
        (WHOLE | {"size": 5}, "batch_config.size: is unknown; valid are encoding, storage, batch_size"),
        ({"encoding": {"format": "jsonl"}}, "batch_config.storage: is missing"),
        (WHOLE | {"encoding": {"compression": "gzip"}}, "batch_config.encoding.format: is missing"),
        (
            WHOLE | {"storage": {"root": "file:///", "rot": 1}},
            "batch_config.storage.rot: is unknown; did you mean root?",
        ),
    ],
)
def test_batches_are_looked_at_before_the_first_request(
    sandbox: Sandbox, config: dict[str, Any], batches: dict[str, Any], line: str
) -> None:
    (said,) = complaints(run_tap(config | {"batch_config": batches}))
    assert said.startswith(line)
    assert sandbox.requests == []


def test_flattening_without_a_depth_is_called_so(config: dict[str, Any]) -> None:
    (line,) = complaints(run_tap(config | {"flattening_enabled": True}))
    assert "flattening_max_depth" in line
    assert "stream_maps" not in line


def test_the_place_of_the_key_is_header_or_query(config: dict[str, Any]) -> None:
    (line,) = complaints(run_tap(config | {"auth_location": "body"}))
    assert line == "auth_location: must be header or query, not 'body'"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"resources": "workers"}, "resources: must be a list, like [\"workers\"], not 'workers'"),
        ({"resources": {"name": "workers"}}, 'resources: must be a list, like ["workers"]'),
        (
            {"client": "https://api.example.com"},
            'client: must be an object, like {"base_url": "https://api.example.com"}',
        ),
        ({"base_url": "api.example.com/v1"}, "base_url: has no scheme; did you mean https://api.example.com/v1?"),
        ({"base_url": "localhost:8080"}, "base_url: has no scheme; did you mean https://localhost:8080?"),
        ({"base_url": "//api.example.com"}, "base_url: must be a URL like https://api.example.com"),
    ],
)
def test_what_a_new_user_gets_wrong_is_shown_right(settings: dict[str, Any], line: str) -> None:
    run = run_tap({"api_key": "a-key-of-some-length", **settings})
    assert complaints(run)[0].startswith(line)
    assert len(complaints(run)) == 1


def test_settings_in_an_environment_that_is_not_read_are_named() -> None:
    env = {f"{PREFIX}BASE_URL": "http://127.0.0.1:1", f"{PREFIX}API_KEY": "a-key-of-some-length"}
    for config in (None, {}, {"base_url": "http://127.0.0.1:1"}):
        lines = complaints(run_tap(config, env=env))
        assert [line.split(":")[0] for line in lines] == ["base_url", "api_key"][bool(config) :]
        for line in lines:
            assert line.endswith(f"{PREFIX}{line.split(':')[0].upper()} is set; --config ENV reads it.")
    client = {"client": {"base_url": "http://127.0.0.1:1", "auth": "bearer"}}
    (line,) = complaints(run_tap(client, env={f"{PREFIX}TOKEN": "a-token-of-some-length"}))
    assert line.endswith(f"{PREFIX}TOKEN is set; --config ENV reads it.")
    (line,) = complaints(run_tap(None, args=["--config=ENV"], env={f"{PREFIX}BASE_URL": "http://127.0.0.1:1"}))
    assert "is set" not in line


def test_unknown_settings_are_named_with_the_nearest_one(config: dict[str, Any]) -> None:
    unknown = dict.fromkeys(("page_size", "verify", "foo"), 1)
    run = run_tap(config | unknown | {"resources": [{"name": "users", "extends": True}]})
    assert run.returncode == 0, run.stderr
    named = [line.split(" | ")[-1] for line in run.problems]
    assert [line.split(":")[0] for line in named] == sorted(unknown)
    assert all(re.search(r": is unknown and has no effect; the nearest setting is \w+\.$", line) for line in named)


def test_variables_that_are_no_settings_are_named(config: dict[str, Any]) -> None:
    names = ("PAGE_SIZE", "START_DAT")
    env = {f"{PREFIX}{name}": "2026-01-01" for name in (*names, "_SELECT")} | {f"{PREFIX}LOGLEVEL": "INFO"}
    config |= {"resources": '[{"name": "users", "extends": true}]'}
    run = run_tap(
        None, args=["--config=ENV"], env=env | {f"{PREFIX}{name.upper()}": str(value) for name, value in config.items()}
    )
    assert run.returncode == 0, run.stderr
    assert [line.split(" | ")[-1].split(":")[0] for line in run.problems] == [f"{PREFIX}{name}" for name in names]
    assert run.said(f"{PREFIX}START_DAT", "nearest setting is start_date")
    assert not run_tap({}, env=env).said("PAGE_SIZE"), "the environment is not read"


def test_missing_settings_are_named_with_their_meaning() -> None:
    for run in (run_tap(None), run_tap({}), run_tap(None, args=["--config=ENV"])):
        lines = complaints(run)
        assert [line.split(":")[0] for line in lines] == ["base_url", "api_key"]
        assert "Address of the API" in lines[0]


def test_a_key_of_a_wrong_type_is_not_repeated() -> None:
    run = run_tap({"base_url": "http://127.0.0.1:1", "api_key": 74185296300741})
    (line,) = complaints(run)
    assert line.startswith("api_key")
    assert "74185296300741" not in run.stderr


def test_null_leaves_a_setting_to_its_default(config: dict[str, Any]) -> None:
    about = json.loads(run_tap(None, args=["--about", "--format=json"]).stdout)
    names = about["settings"]["properties"].keys() - {"base_url", "api_key"}
    run = run_tap(config | dict.fromkeys(names))
    assert run.returncode == 0, run.stderr
    assert not run.problems
    assert run.records["workers"]


def test_discovery_refuses_wrong_settings_too(config: dict[str, Any]) -> None:
    (line,) = complaints(run_tap(config | {"window_days": 0}, args=["--discover"]))
    assert line.startswith("window_days")


@pytest.mark.parametrize(
    ("option", "text"),
    [("config", "{"), ("config", "7"), ("state", ""), ("state", "[]"), ("catalog", '{"a": \x00}'), ("catalog", "7")],
)
def test_a_file_that_holds_no_object_is_named(
    sandbox: Sandbox, config: dict[str, Any], tmp_path: Path, option: str, text: str
) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text, encoding="utf-8")
    run = run_tap(None if option == "config" else config, args=[f"--{option}", str(path)])
    assert run.returncode != 0
    assert "Traceback" not in run.stderr
    assert run.said(f"--{option}", "broken.json")
    assert sandbox.requests == []


STATE = '{"type": "STATE", "value": {"bookmarks": {}}}\n'


@pytest.mark.parametrize(
    ("option", "content", "line"),
    [
        ("config", b"", "is empty. Give a JSON file with settings"),
        ("config", b'{\n  "a": 1,,\n}', "is not JSON (line 2, column 10: "),
        ("config", b"\xff\xfe{", "is not UTF-8 text. Give"),
        ("config", b"[1]", "does not hold a JSON object. Give"),
        ("config", b'{"streams": []}', "holds a catalog, so give it to --catalog. Give"),
        ("config", STATE.encode(), "holds a state, so give it to --state. Give"),
        ("catalog", b'{"bookmarks": {}}', "holds a state, so give it to --state. Give a file that --discover"),
        ("catalog", b" \n", "is empty. Give a file that --discover has printed."),
        ("state", b'{"base_url": "x"}', "holds settings, so give it to --config. Give the last STATE"),
        ("state", b"\xff", "is not UTF-8 text. Give the last STATE of an earlier run."),
        ("state", f"{STATE}\n{STATE}".encode(), "holds several states; give the last: tail -n 1 "),
        ("state", b"{}\n{", "is not JSON (line 2, column 1: Extra data)"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, option: str, content: bytes, line: str) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    run = run_tap(None, args=[f"--{option}", str(path)])
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith(f"Error: --{option}: {path} {line}")


def test_a_directory_is_not_a_file_with_settings(tmp_path: Path) -> None:
    last = run_tap(None, args=["--config", str(tmp_path)]).stderr.splitlines()[-1]
    assert last.startswith(f"Error: --config: {tmp_path} cannot be read (Is a directory). Give a JSON file")


def test_settings_are_read_from_a_pipe_and_after_a_byte_order_mark(config: dict[str, Any], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = "\ufeff" + json.dumps(config | {"resources": [{"name": "users", "extends": True}]})
    started = Started(None, args=["--config", str(pipe)])
    pipe.write_text(text, encoding="utf-8")
    run = started.finish()
    assert run.returncode == 0, run.stderr
    assert run.records["users"]


@pytest.mark.parametrize("option", ["config", "state", "catalog"])
def test_a_file_that_is_not_there_is_named(config: dict[str, Any], option: str) -> None:
    run = run_tap(config, args=[f"--{option}", "/no/such/file.json"])
    assert run.returncode != 0
    assert "Traceback" not in run.stderr
    assert run.said("/no/such/file.json")


def test_every_setting_works_from_the_environment() -> None:
    with Sandbox(auth_location="query", auth_name="to ken", days=40, registrations=40, sessions=4) as sandbox:
        start = sandbox.now.date().replace(day=1)
        environment = {
            "BASE_URL": f"{sandbox.url}/",
            "API_KEY": sandbox.api_key,
            "AUTH_LOCATION": "query",
            "AUTH_NAME": "to ken",
            "START_DATE": start.isoformat(),
            "LOOKBACK_DAYS": "3",
            "WINDOW_DAYS": "366",
            "MAX_RETRIES": "1",
            "BACKOFF_FACTOR": "0.001",
            "RETRY_ON_STATUS_CODES": "[418]",
            "REQUEST_TIMEOUT": "12.5",
            "MAX_IN_FLIGHT": "1",
        }
        sandbox.misbehave(Fault("status", "/v1/master/client", status=418))
        run = run_tap(
            None,
            args=["--config=ENV"],
            env={PREFIX + name: value for name, value in environment.items()},
        )
        assert run.returncode == 0, run.stderr
        assert run.said("418", "Try 2 of 2")
        assert len(run.records["workers"]) == len(sandbox.world.records("workers"))
        dates = [request.params["date"] for request in sandbox.requests if "date" in request.params]
        assert f"{start:%Y%m%d}" in dates
        assert {request.in_flight for request in sandbox.requests} == {1}

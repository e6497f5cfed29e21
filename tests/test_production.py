"""The examples for production, as far as one machine can try them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import requests

from demo.postgres import postgres
from demo.project import ROOT, Project
from demo.project import sandbox as serve
from tests.clock import reach_plugins
from tests.singer import COLD, catalog_of, run_tap, stream_names

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox

EXAMPLES = ROOT / "examples" / "production"

MAIN = "tap-analytics-to-target-postgres"


def freshness(state: object, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / "freshness.py"), *options]
    return subprocess.run(command, input=json.dumps(state), capture_output=True, encoding="utf-8", check=False)


def ago(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat()


def test_a_stream_that_stands_still_is_found() -> None:
    bookmarks = {
        "workers": {"last_sync": ago(40)},
        "tasks": {"last_sync": ago(1)},
        "sessions_incremental": {"last_sync": ago(1), "replication_key_value": ago(100)},
    }
    result = freshness({"singer_state": {"bookmarks": bookmarks}})
    assert result.returncode == 1
    assert re.fullmatch(r"workers: last_sync stands at \S+\n", result.stdout)
    result = freshness({"bookmarks": bookmarks}, "--hours=48", "--quiet-hours=96")
    assert result.returncode == 1
    assert re.fullmatch(r"sessions_incremental: replication_key_value stands at \S+\n", result.stdout)
    assert freshness({"bookmarks": bookmarks}, "--hours=48").returncode == 0
    assert freshness({}).returncode == 1


def test_the_state_of_a_run_is_fresh_and_that_of_a_failed_stream_is_not(
    sandbox: Sandbox, config: dict[str, Any]
) -> None:
    state = run_tap(config, catalog=catalog_of("users", "workers")).state
    assert freshness(state, "--hours=1").returncode == 0
    state["bookmarks"]["users"]["last_sync"] = ago(3)
    sandbox.stop()
    after = run_tap(config, catalog=catalog_of("users"), state=state)
    assert after.returncode == 1
    assert freshness(after.state, "--hours=2").stdout.startswith("users: last_sync stands at ")


def test_the_log_for_programs_is_json_and_keeps_the_key(sandbox: Sandbox, config: dict[str, Any]) -> None:
    sandbox.stop()
    config |= {"auth_location": "query", "max_retries": 1}
    env = {"SINGER_SDK_LOG_CONFIG": str(EXAMPLES / "logging.yml")}
    run = run_tap(config, catalog=catalog_of("users"), env=env, command=COLD)
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    assert run.returncode == 1
    assert {line["app_name"] for line in lines} == {"tap-analytics"}
    assert lines[-1]["level"] == "error"
    assert [line["extra"] for line in lines if line["stream_name"] == "users"][-1]["status"] == "failed"


def test_the_units_of_systemd_are_valid(tmp_path: Path) -> None:
    systemd = shutil.which("systemd-analyze")
    if systemd is None:
        pytest.skip("there is no systemd here")
    for unit in ("tap-analytics.service", "tap-analytics.timer"):
        text = (EXAMPLES / unit).read_text(encoding="utf-8")
        assert "ExecStart=/srv/analytics/.venv/bin/meltano run daily" in text or unit.endswith("timer")
        (tmp_path / unit).write_text(re.sub("ExecStart=.*", "ExecStart=/bin/true", text), encoding="utf-8")
    units = [str(tmp_path / "tap-analytics.service"), str(tmp_path / "tap-analytics.timer")]
    result = subprocess.run([systemd, "verify", *units], capture_output=True, encoding="utf-8", check=False)
    assert not [line for line in result.stderr.splitlines() if str(tmp_path) in line], result.stderr


def test_the_crontab_has_a_time_and_a_command_that_cron_takes() -> None:
    (line,) = [
        line for line in (EXAMPLES / "crontab").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
    ]
    *times, command = line.split(maxsplit=5)
    assert times == ["0", "5", "*", "*", "*"]
    assert "%" not in command  # cron makes a line break of it


@pytest.mark.slow
def test_the_commands_of_the_operations_page(tmp_path: Path) -> None:
    now = datetime.now(UTC) - timedelta(days=5)
    options = ["--now", now.isoformat(), "--days", "20", "--registrations", "200", "--sessions", "100"]
    states = tmp_path / "states"
    with postgres() as server, serve(tmp_path / "sandbox.log", *options) as api:
        schema = f"production_{uuid4().hex}"
        project = Project.create(tmp_path / "project", api=api, server=server, schema=schema)
        reach_plugins(project.environment)
        backend = {"MELTANO_STATE_BACKEND_URI": states.as_uri()}

        def meltano(*arguments: str, code: int = 0, **settings: str) -> subprocess.CompletedProcess[str]:
            done = project.meltano(*arguments, **backend, **settings)
            assert done.returncode == code, done.stdout + done.stderr
            assert api.api_key not in done.stdout + done.stderr
            return done

        def bookmarks(environment: str) -> dict[str, dict[str, Any]]:
            kept = json.loads(meltano("state", "get", f"{environment}:{MAIN}").stdout)
            result: dict[str, dict[str, Any]] = kept["singer_state"]["bookmarks"]
            return result

        tested = meltano("invoke", "tap-analytics", "--test")
        assert f"{len(stream_names())} of {len(stream_names())} streams work." in tested.stderr
        assert re.search(r"workers +works +40 records, asked for all", tested.stderr)

        # A stream that fails: the others are loaded, their state is kept, and the exit code tells.
        meltano("select", "tap-analytics", "users", "*")
        meltano("select", "tap-analytics", "registrations_*", "*")
        fault = {"kind": "status", "status": 403, "path": "/v1/master/users", "times": 1}
        requests.post(f"{api.url}/_sandbox/misbehave", json=[fault], timeout=30).raise_for_status()
        failed = meltano("--log-format=json", "run", "daily", code=1)
        lines = [json.loads(line) for line in failed.stderr.splitlines() if line.startswith("{")]
        assert any("users: failed, 0 records" in line["event"] for line in lines)
        first = bookmarks("dev")
        whole = {name for name, kept in first.items() if "last_sync" in kept}
        assert whole == {"registrations_initial", "registrations_incremental"}
        assert freshness({"bookmarks": first}).stdout == "users: never read to its end\n"
        assert (states / f"dev:{MAIN}").is_dir()

        # Another stream, and the one that failed: the next run reads them, and goes on with the others.
        meltano("select", "tap-analytics", "tasks", "*")
        meltano("schedule", "run", "daily")
        second = bookmarks("dev")
        assert second.keys() == whole | {"users", "tasks"}
        assert freshness({"bookmarks": second}, "--hours=1").returncode == 0

        # Another environment has a state of its own, and a full refresh starts over.
        assert meltano("state", "list").stdout.split() == [f"dev:{MAIN}"]
        refreshed = meltano("--environment=prod", "run", "--full-refresh", "daily")
        assert "registrations_initial: done" in refreshed.stderr
        assert set(meltano("state", "list").stdout.split()) == {f"dev:{MAIN}", f"prod:{MAIN}"}
        (schedule,) = json.loads(meltano("schedule", "list", "--format=json").stdout)["schedules"]["job"]
        assert schedule["cron_interval"] == "0 0 * * *"
        meltano("state", "clear", "--force", f"dev:{MAIN}")
        assert meltano("state", "list").stdout.split() == [f"prod:{MAIN}"]

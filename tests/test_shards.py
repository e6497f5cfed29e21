"""A backfill in shards, and the tail that takes over: each record once, whatever fails or changes meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
import requests
from psycopg import sql

from demo.postgres import postgres
from demo.project import ROOT, Project
from demo.project import sandbox as serve
from sandbox import Sandbox
from sandbox.faults import Fault
from tests.clock import reach_plugins
from tests.conftest import settings
from tests.singer import catalog_of, exact, run_tap

if TYPE_CHECKING:
    from types import ModuleType

EXAMPLE = ROOT / "examples" / "dagster"

BACKFILL = ("registrations_initial", "sessions_initial")
TAIL = ("registrations_incremental", "sessions_incremental")


def load_example() -> ModuleType:
    spec = spec_from_file_location("backfill", EXAMPLE / "backfill.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclass looks for its types
    spec.loader.exec_module(module)
    return module


def months(first: date, last: date) -> list[tuple[date, date]]:
    """Return the first day of each month, and of the one after it."""
    collected = [first.replace(day=1)]
    while collected[-1] <= last:
        collected.append((collected[-1] + timedelta(days=31)).replace(day=1))
    return list(pairwise(collected))


def by_key(records: list[dict[str, Any]]) -> dict[str, object]:
    return {record["id"]: exact(record) for record in records}


def test_shards_hold_every_record_once_and_the_tail_what_changed_meanwhile() -> None:
    now = datetime.now(UTC) - timedelta(days=5)
    with Sandbox(now=now, days=100, registrations=400, sessions=200, workers=5, rows=5) as sandbox:
        config = settings(sandbox, window_days=7)
        collected: dict[str, list[dict[str, Any]]] = {name: [] for name in BACKFILL}
        for start, end in months((now - timedelta(days=100)).date(), now.date()):
            dates = {"start_date": str(start), "end_date": str(end)}
            run = run_tap(config | dates, catalog=catalog_of(*BACKFILL))
            assert run.returncode == 0, run.stderr
            for name, records in run.records.items():
                collected[name] += records
            sandbox.advance(0.5)  # while the shards are read, records come and change
        loaded = {name: by_key(records) for name, records in collected.items()}
        assert all(len(collected[name]) == len(loaded[name]) for name in BACKFILL)

        began = {"start_date": str(now.date() - timedelta(days=1))}
        tail = run_tap(config | began, catalog=catalog_of(*TAIL))
        for backfill, incremental, resource in zip(BACKFILL, TAIL, ("registrations", "sessions"), strict=True):
            assert tail.records[incremental]
            assert loaded[backfill] | by_key(tail.records[incremental]) == by_key(sandbox.world.records(resource))


def test_a_shard_goes_on_where_it_failed_and_is_then_complete(sandbox: Sandbox) -> None:
    config = settings(sandbox, start_date="2026-05-01", end_date="2026-06-01", window_days=10)
    sandbox.misbehave(Fault("status", status=400, params={"date": "20260521"}, times=1))
    failed = run_tap(config, catalog=catalog_of(BACKFILL[0]))
    assert failed.returncode == 1
    assert failed.state["bookmarks"][BACKFILL[0]]["backfill_until"] == "2026-05-21"

    again = run_tap(config, state=failed.state, catalog=catalog_of(BACKFILL[0]))
    assert again.returncode == 0, again.stderr
    assert not by_key(failed.records[BACKFILL[0]]).keys() & by_key(again.records[BACKFILL[0]]).keys()
    assert again.state["bookmarks"][BACKFILL[0]]["backfill_completed"] is True
    sandbox.requests.clear()
    assert run_tap(config, state=again.state, catalog=catalog_of(BACKFILL[0])).returncode == 0
    assert sandbox.requests == []


def test_the_example_refuses_a_handover_that_would_leave_a_gap() -> None:
    backfill = load_example()
    with pytest.raises(backfill.StepError, match="nobody's"):
        backfill.load_shard(date(2026, 1, 1), date(2026, 2, 1), began=datetime.now(UTC).date())


@pytest.mark.slow
def test_shards_go_into_one_postgres_at_once_and_the_main_job_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC) - timedelta(days=5)
    options = ["--now", now.isoformat(), "--days", "70", "--registrations", "2000", "--sessions", "1000"]
    schema = f"shards_{uuid4().hex}"
    with postgres() as server, serve(tmp_path / "sandbox.log", *options) as api:
        project = Project.create(tmp_path / "project", api=api, server=server, schema=schema)
        reach_plugins(project.environment)
        project.environment["MELTANO_STATE_BACKEND_URI"] = (tmp_path / "states").as_uri()
        for name, value in (project.environment | {"MELTANO_PROJECT_ROOT": str(project.directory)}).items():
            monkeypatch.setenv(name, value)
        backfill = load_example()
        began = now.date() - timedelta(days=1)
        shards = months((now - timedelta(days=70)).date(), now.date())
        # Only one stream of the shard fails, and always the same.
        first_day = {"date": f"{shards[1][0]:%Y%m%d}"}
        fault = {"kind": "status", "path": "*/registrations", "status": 400, "params": first_day, "times": 1}
        requests.post(f"{api.url}/_sandbox/misbehave", json=[fault], timeout=30).raise_for_status()

        loaded: dict[tuple[date, date], Any] = {}

        def load(shard: tuple[date, date]) -> str | None:
            try:
                loaded[shard] = backfill.load_shard(*shard, began=began)
            except backfill.StepError as error:
                return str(error)
            return None

        backfill.create_tables()
        with ThreadPoolExecutor(len(shards)) as pool:
            problems = list(pool.map(load, shards))
        assert [problem is not None for problem in problems] == [shard == shards[1] for shard in shards]
        assert load(shards[1]) is None
        created = requests.get(f"{api.url}/_sandbox/records/registrations", timeout=30).json()
        assert sum(done.records["registrations_initial"] for done in loaded.values()) == len(created)
        requests.post(f"{api.url}/_sandbox/advance", json={"days": 2}, timeout=30).raise_for_status()
        for done in [*loaded.values(), backfill.load_tail(began=began)]:
            assert Path(urlsplit(done.state).path).is_file()
            assert done.seconds > 0

        for table in ("registrations", "sessions", "workers"):
            served = requests.get(f"{api.url}/_sandbox/records/{table}", timeout=30).json()
            with psycopg.connect(server.url) as connection:
                statement = sql.SQL('SELECT "id", "updatedTimestamp" FROM {}').format(sql.Identifier(schema, table))
                rows = connection.execute(statement).fetchall()
            assert len(rows) == len(served)
            assert dict(rows) == {record["id"]: instant(record["updatedTimestamp"]) for record in served}
        states = set(project.meltano("state", "list").stdout.split())
        assert states == {"dev:tap-analytics-to-target-postgres", *(f"backfill-{a}-{b}" for a, b in shards)}
        main = json.loads(project.meltano("state", "get", "dev:tap-analytics-to-target-postgres").stdout)
        assert not main["singer_state"]["bookmarks"].keys() & set(BACKFILL)


def instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None) if text else None


MELTANO = """\
#!/bin/sh
echo '{"event": "METRIC", "name": "tap-analytics", "metric_info":' \\
    '{"metric": "record_count", "value": 7, "tags": {"stream": "sessions_initial"}}}' >&2
echo "$TAP_ANALYTICS_START_DATE $TAP_ANALYTICS_END_DATE $TAP_ANALYTICS__SELECT meltano $*" >> calls
case "$*" in *" el "*) test -e failed || { touch failed; exit 1; };; esac
"""
"""A stand-in that notes its calls, and fails at the first shard."""

DRIVER = """
import dagster as dg
from definitions import MONTHS, defs, history, tables, tail

assets = [tables, history, tail]
print(*MONTHS.get_partition_keys())
assert dg.materialize(assets, selection=[tables]).success
done = dg.materialize(assets, selection=[history], partition_key="2026-02-01")
(month,) = done.asset_materializations_for_node("history")
assert month.metadata["sessions_initial"].value == month.metadata["dagster/row_count"].value == 7
assert month.metadata["seconds"].value >= 0
assert month.metadata["state"].text == "meltano state get backfill-2026-02-01-2026-03-01"
assert dg.materialize(assets, selection=[tail]).success
assert defs.resolve_schedule_def("daily").cron_schedule == "0 5 * * *"
"""


@pytest.mark.slow
def test_dagster_makes_a_shard_of_each_month_and_tries_again(tmp_path: Path) -> None:
    python = dagster_environment()
    meltano = tmp_path / "meltano"
    meltano.write_text(MELTANO, encoding="utf-8")
    meltano.chmod(0o755)
    began = datetime.now(UTC).date() - timedelta(days=1)
    environment = os.environ | {
        "PATH": os.pathsep.join([str(tmp_path), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(EXAMPLE), os.environ["PYTHONPATH"]]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "BACKFILL_FROM": "2026-01-15",
        "BACKFILL_BEGAN": str(began),
        "BACKFILL_RETRY_DELAY": "0",
        "DAGSTER_HOME": str(tmp_path),
    }
    (tmp_path / "dagster.yaml").write_bytes((EXAMPLE / "home" / "dagster.yaml").read_bytes())
    done = subprocess.run(
        [python, "-c", DRIVER], env=environment, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stderr
    keys = done.stdout.split()
    assert keys[0] == "2026-01-01"
    assert keys[-1] == f"{datetime.now(UTC):%Y-%m}-01"
    shard = (
        '2026-02-01 2026-03-01 ["registrations_initial.*", "sessions_initial.*"] '
        "meltano --log-format=json el tap-analytics target-postgres --state-id=backfill-2026-02-01-2026-03-01"
    )
    tail = (
        f'{began}  ["*.*", "!registrations_initial.*", "!sessions_initial.*"] '
        "meltano --log-format=json run tap-analytics target-postgres"
    )
    assert (tmp_path / "calls").read_text(encoding="utf-8").splitlines() == [
        "   meltano invoke tap-analytics --test=schema",
        "   meltano invoke target-postgres",
        shard,
        shard,
        tail,
    ]


def dagster_environment() -> Path:
    """Return the Python of the environment with Dagster, which `make` makes before the tests."""
    directory = ROOT / ".cache" / "dagster"
    if not (directory / ".installed").exists():
        pytest.skip("Dagster is not installed: make .cache/dagster/.installed")
    return directory / "bin" / "python"
